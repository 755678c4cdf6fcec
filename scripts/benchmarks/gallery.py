"""Train the runs that `dino doctor` compares other runs with: healthy runs, and runs with a known bug.

    python scripts/benchmarks/gallery.py

Each run is the preset `quick`, in its own folder under runs/gallery/. Complete runs aren't trained again, and stopped
runs are resumed. Then the script writes dino/reports/recorded_runs.json, which `dino doctor` reads, and what
docs/gallery.md shows: for each run a sample grid and the doctor's verdict. Takes about four minutes for each run on two
CPU cores.
"""

import json
import math
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Annotated, Any

import torch
import torch.nn.functional as F
import typer
from PIL import Image
from torch import Tensor, nn
from tqdm import tqdm

from dino import training
from dino.common.atomic_file import replacing
from dino.common.errors import DinoError
from dino.common.grids import grid, save_image, split_grid
from dino.data.loading import load_images
from dino.denoiser import UNet
from dino.images import to_unit
from dino.noise import mix, sample_noise_levels
from dino.reports.diagnosis import RECORDED, diagnose
from dino.reports.report import environment, number
from dino.reports.symptoms import read_log, read_sample_stats
from dino.trainer import run
from dino.trainer.config import Config
from dino.trainer.custom import CustomTrainer, Parts
from dino.trainer.presets import PRESETS
from dino.trainer.run_folder import LOG, SAMPLES
from dino.trainer.tensor_file import STATE

FOLDER = Path("runs/gallery")
GRIDS = Path("docs/images/gallery")
VERDICTS = GRIDS / "verdicts.json"  # docs/gallery.md quotes them
N_HEALTHY = 4
MIDWAY = ("healthy-0", "no-ema")  # the gallery also shows a grid from the middle of these runs
QUICK = PRESETS["quick"]

# ---- the bugs -------------------------------------------------------------------------------------------------------


def noisy_pair(clean: Tensor, generator: torch.Generator | None) -> tuple[Tensor, Tensor]:
    """Draw noise and noise levels as `add_noise` does."""
    noise = torch.rand(clean.shape, generator=generator, device=clean.device)
    return noise, sample_noise_levels(len(clean), generator=generator, device=clean.device)


def training_with(loss_of: Callable[..., Tensor] | None = None, update_average: Any = None) -> SimpleNamespace:
    """Return the functions of lesson 03 with another loss or another EMA."""

    def train_step(
        model: nn.Module, optimizer: torch.optim.Optimizer, clean: Tensor, *, generator: torch.Generator | None = None
    ) -> float:
        optimizer.zero_grad()
        loss = (loss_of or training.denoising_loss)(model, clean, generator=generator)
        loss.backward()
        optimizer.step()
        return loss.item()

    return SimpleNamespace(train_step=train_step, update_average=update_average or training.update_average)


def predicts_the_noise(model: nn.Module, clean: Tensor, *, generator: torch.Generator | None = None) -> Tensor:
    """Train the network to predict the noise, which the sampler then takes for the image."""
    noise, noise_level = noisy_pair(clean, generator)
    return F.mse_loss(model(mix(clean, noise, noise_level), noise_level), noise)


def inverts_the_level(model: nn.Module, clean: Tensor, *, generator: torch.Generator | None = None) -> Tensor:
    """Train with level 0 as pure noise and level 1 as the image, the opposite of what the sampler assumes."""
    noise, noise_level = noisy_pair(clean, generator)
    return F.mse_loss(model(mix(noise, clean, noise_level), noise_level), clean)


def copies_the_newest_weights(average: nn.Module, model: nn.Module, decay: float) -> None:  # noqa: ARG001
    """Copy the newest weights instead of averaging."""
    training.update_average(average, model, decay=0.0)


class WithoutNoiseLevel(UNet):
    """A network that the noise level never reaches."""

    def forward(self, noisy: Tensor, noise_level: Tensor) -> Tensor:
        """Predict with the channel of the noise level set to 0."""
        return super().forward(noisy, torch.zeros_like(noise_level))


class WithoutSkips(UNet):
    """A network without skip connections."""

    def forward(self, noisy: Tensor, noise_level: Tensor) -> Tensor:
        """Predict from the features of the lowest resolution alone."""
        level = noise_level.expand(len(noisy), 1, *noisy.shape[2:])
        x = self.down[0](torch.cat([noisy, level], dim=1))
        for stage in self.down[1:]:
            x = stage(F.avg_pool2d(x, 2))
        for stage in self.up:
            x = F.interpolate(stage(x), scale_factor=2, mode="nearest")
        return self.head(x).to(noisy.dtype)


# ---- the runs -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Entry:
    """A run of the gallery."""

    name: str
    description: str = "nothing is wrong"
    advice: str = ""  # where to look; empty for a healthy run
    changes: dict[str, Any] = field(default_factory=dict)  # to the configuration
    parts: Parts = field(default_factory=Parts)


ENTRIES = [
    *(Entry(f"healthy-{seed}", changes={"seed": seed}) for seed in range(N_HEALTHY)),
    Entry(
        "swapped-target",
        "the network is trained to predict the noise, and the sampler takes that prediction for the image",
        "In the loss, compare the prediction with the clean images.",
        parts=Parts(training=training_with(predicts_the_noise)),
    ),
    Entry(
        "inverted-fraction",
        "noise level 1 means the clean image in training, and pure noise in sampling",
        "At level 1, mix(clean, noise, level) should return the noise, in training and in sampling alike.",
        parts=Parts(training=training_with(inverts_the_level)),
    ),
    Entry(
        "level-not-fed-in",
        "the network doesn't see the noise level",
        "The noise level should be one more channel of the network's input, with the same value at every pixel.",
        parts=Parts(denoiser=SimpleNamespace(UNet=WithoutNoiseLevel)),
    ),
    Entry(
        "no-skips",
        "the U-Net has no skip connections",
        "In forward(), each stage on the way up should add the features that were kept at that resolution on the way "
        "down.",
        parts=Parts(denoiser=SimpleNamespace(UNet=WithoutSkips)),
    ),
    Entry(
        "no-ema",
        "the samples are drawn with the newest weights instead of their EMA",
        "At every step, update_average should keep most of the average: the fraction `decay`.",
        parts=Parts(training=training_with(update_average=copies_the_newest_weights)),
    ),
    Entry(
        "learning-rate-times-ten",
        "the learning rate is ten times too high",
        "Divide the learning rate by ten.",
        changes={rate: 10 * getattr(QUICK, rate) for rate in ("learning_rate", "matrix_learning_rate")},
    ),
]


# ---- training and recording -----------------------------------------------------------------------------------------


def train(entry: Entry, folder: Path) -> None:
    """Train a run to its end, or resume it."""
    trainer = CustomTrainer(replace(QUICK, **entry.changes), parts=entry.parts)
    if (folder / STATE).exists():
        trainer.load(folder)
    if trainer.step == trainer.config.n_steps:
        return
    with tqdm(total=trainer.config.n_images, initial=trainer.images_seen, desc=entry.name, mininterval=10) as bar:
        try:
            for progress in run.train(trainer, folder):
                bar.set_postfix_str(f"loss {number(progress.loss, '.4f')}", refresh=False)
                bar.update(progress.images - bar.n)
        except DinoError as error:  # its weights diverged, as they should
            bar.write(f"{entry.name}: {error}")


def record() -> None:
    """Write the losses and sample statistics of all runs that exist, and their sample grids for the gallery."""
    real = to_unit(load_images(QUICK.data, QUICK.size, part="training"))
    runs = []
    for entry in ENTRIES:
        folder = FOLDER / entry.name
        if not (folder / LOG).exists():
            continue
        losses = [(images, round(loss, 5)) for images, loss in read_log(folder / LOG) if math.isfinite(loss)]
        stats = read_sample_stats(folder / SAMPLES, real)
        runs.append({
            "name": entry.name,
            "description": entry.description,
            "advice": entry.advice,
            "losses": losses,
            "sample_stats": [
                (images, [None if value is None else round(value, 3) for value in each]) for images, each in stats
            ],
        })  # fmt: skip
        save_grids(entry, folder)
    report = environment(torch.device("cpu")) | {"config": asdict(recorded_config()), "runs": runs}
    with replacing(RECORDED) as temporary:
        temporary.write_text(json.dumps(report, allow_nan=False) + "\n", encoding="utf-8")


def record_verdicts() -> None:
    """Write what `dino doctor` says about each run, now that it can compare the run with the recorded ones."""
    folders = {entry.name: FOLDER / entry.name for entry in ENTRIES if (FOLDER / entry.name / LOG).exists()}
    verdicts = {name: diagnose(folder)[0]["verdict"] for name, folder in folders.items()}
    with replacing(VERDICTS) as temporary:
        temporary.write_text(json.dumps(verdicts, indent=1) + "\n", encoding="utf-8")


def recorded_config() -> Config:
    """Return the configuration of the healthy runs: the preset's, with the words that were found."""
    config = Config.from_dict(json.loads((FOLDER / ENTRIES[0].name / "config.json").read_text(encoding="utf-8")))
    return replace(config, precision="auto", layout="auto", maximum="auto")  # as found on this machine


def save_grids(entry: Entry, folder: Path) -> None:
    """Write sixteen samples from the end of a run, and for some runs also from its middle."""
    paths = sorted((folder / SAMPLES).glob("*.png"))
    shown = {"": paths[-1]}
    if entry.name in MIDWAY:
        shown["-midway"] = paths[run.N_GRIDS // 2]
    for suffix, path in shown.items():
        samples = split_grid(Image.open(path), QUICK.size)
        save_image(grid(samples[:16]), GRIDS / f"{entry.name}{suffix}.png")


def main(names: Annotated[list[str] | None, typer.Argument(help="The runs to train. By default all.")] = None) -> None:
    """Train the runs, and record what `dino doctor` needs of them."""
    for entry in ENTRIES:
        if not names or entry.name in names:
            train(entry, FOLDER / entry.name)
    record()
    record_verdicts()


if __name__ == "__main__":
    typer.run(main)
