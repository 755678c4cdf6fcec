"""Train the runs that `dino doctor` compares others with: healthy ones, and some with a bug that has a name.

    python docs/benchmarks/gallery.py

Each run is the preset `quick`, in a folder of its own under runs/gallery/; those that are there already are not trained
again, and one that was stopped goes on. Then it writes dino/data/recorded.json, which `dino doctor` reads, and for
each run the grid of samples that docs/gallery.md shows. Takes about five minutes for each run on two CPU cores.
"""

import json
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
from tqdm.auto import tqdm

from dino import training
from dino.common.atomic_file import replacing
from dino.common.errors import DinoError
from dino.data.loading import load_images
from dino.denoiser import UNet
from dino.images import to_unit
from dino.noise import mix, sample_noise_levels
from dino.reports.diagnosis import RECORDED
from dino.reports.report import circumstances
from dino.reports.symptoms import LOG, SAMPLES, read_log, read_looks
from dino.trainer import run
from dino.trainer.custom import CustomTrainer, Parts
from dino.trainer.presets import PRESETS
from dino.trainer.tensor_file import STATE

FOLDER = Path("runs/gallery")
GRIDS = Path("docs/images/gallery")
N_HEALTHY = 4
MIDWAY = ("healthy-0", "no-averaging")  # of which a grid from the middle is shown, too
QUICK = PRESETS["quick"]

# ---- the bugs -------------------------------------------------------------------------------------------------------


def noisy_pair(clean: Tensor, generator: torch.Generator | None) -> tuple[Tensor, Tensor]:
    """Noise and levels, as `add_noise` draws them."""
    noise = torch.rand(clean.shape, generator=generator, device=clean.device)
    return noise, sample_noise_levels(len(clean), generator=generator, device=clean.device)


def training_with(loss_of: Callable[..., Tensor] | None = None, update_average: Any = None) -> SimpleNamespace:
    """Lesson 03's file, with another loss or another way to average."""

    def train_step(
        model: nn.Module, optimizer: torch.optim.Optimizer, clean: Tensor, *, generator: torch.Generator | None = None
    ) -> float:
        optimizer.zero_grad()
        loss = (loss_of or training.denoising_loss)(model, clean, generator=generator)
        loss.backward()
        optimizer.step()
        return loss.item()

    return SimpleNamespace(train_step=train_step, update_average=update_average or training.update_average)


def asks_for_the_noise(model: nn.Module, clean: Tensor, *, generator: torch.Generator | None = None) -> Tensor:
    """The target is the noise, and the sampler takes the answer for the picture."""
    noise, noise_level = noisy_pair(clean, generator)
    return F.mse_loss(model(mix(clean, noise, noise_level), noise_level), noise)


def mixes_the_wrong_way(model: nn.Module, clean: Tensor, *, generator: torch.Generator | None = None) -> Tensor:
    """Level 0 is pure noise and level 1 the picture; the sampler goes by the opposite."""
    noise, noise_level = noisy_pair(clean, generator)
    return F.mse_loss(model(mix(noise, clean, noise_level), noise_level), clean)


def takes_the_newest_weights(average: nn.Module, model: nn.Module, decay: float) -> None:  # noqa: ARG001
    """Nothing is averaged."""
    training.update_average(average, model, decay=0.0)


class BlindToTheLevel(UNet):
    """The noise level never reaches the network."""

    def forward(self, noisy: Tensor, noise_level: Tensor) -> Tensor:
        """The level's channel is always 0."""
        return super().forward(noisy, torch.zeros_like(noise_level))


class WithoutSkips(UNet):
    """What was seen on the way down isn't added on the way up."""

    def forward(self, noisy: Tensor, noise_level: Tensor) -> Tensor:
        """As `UNet`, but all has to pass through the smallest picture."""
        level = noise_level.expand(len(noisy), 1, *noisy.shape[2:])
        x = self.down[0](torch.cat([noisy, level], dim=1))
        for stage in self.down[1:]:
            x = stage(F.avg_pool2d(x, 2))
        for stage in self.up:
            x = F.interpolate(stage(x), scale_factor=2, mode="nearest")
        return self.head(x).to(noisy.dtype)


@dataclass(frozen=True)
class Entry:
    """A run of the gallery: what is wrong with it, if anything, and where one should look."""

    name: str
    told: str = "nothing is wrong"
    advice: str = ""
    changes: dict[str, Any] = field(default_factory=dict)  # of the configuration
    parts: Parts = field(default_factory=Parts)


ENTRIES = [
    *(Entry(f"healthy-{seed}", changes={"seed": seed}) for seed in range(N_HEALTHY)),
    Entry(
        "swapped-target",
        "the network is asked for the noise, and its answer is taken for the picture",
        "in the loss, compare the network's answer with the clean pictures",
        parts=Parts(training=training_with(asks_for_the_noise)),
    ),
    Entry(
        "inverted-fraction",
        "level 1 means the clean picture in training, and pure noise in sampling",
        "mix(clean, noise, level) should give the noise at level 1; training and sampler should both use it",
        parts=Parts(training=training_with(mixes_the_wrong_way)),
    ),
    Entry(
        "level-not-fed-in",
        "the network isn't told the noise level",
        "the level should be one more channel of the network's input, the same number at every pixel",
        parts=Parts(denoiser=SimpleNamespace(UNet=BlindToTheLevel)),
    ),
    Entry(
        "no-skips",
        "what the U-Net sees on its way down isn't added on its way up",
        "in forward(), each stage on the way up should be added to what was kept at that resolution",
        changes={"learning_rate": QUICK.learning_rate / 5},  # with the preset's own it blew up after 363 steps
        parts=Parts(denoiser=SimpleNamespace(UNet=WithoutSkips)),
    ),
    Entry(
        "no-averaging",
        "the samples are drawn with the newest weights, and not with their average",
        "update_average should keep most of the average at each step",
        parts=Parts(training=training_with(update_average=takes_the_newest_weights)),
    ),
    Entry(
        "learning-rate-times-ten",
        "the learning rate is ten times too high",
        "divide the learning rate by ten",
        changes={"learning_rate": 10 * QUICK.learning_rate},
    ),
]


def train(entry: Entry, folder: Path) -> None:
    """Train one run to its end, or go on with it."""
    trainer = CustomTrainer(replace(QUICK, **entry.changes), parts=entry.parts)
    if (folder / STATE).exists():
        trainer.load(folder)
    if trainer.step == trainer.config.n_steps:
        return
    with tqdm(total=trainer.config.n_images, initial=trainer.images_seen, desc=entry.name, mininterval=10) as bar:
        try:
            for progress in run.train(trainer, folder):
                bar.set_postfix_str(f"loss {progress.loss:.4f}", refresh=False)
                bar.update(progress.images - bar.n)
        except DinoError as error:  # its numbers blew up, which is what is to be recorded
            bar.write(f"{entry.name}: {error}")


def record() -> None:
    """Write down the losses and looks of all runs that are there, and their last grids."""
    real = to_unit(load_images(QUICK.data, QUICK.size, part="training"))
    found = []
    for entry in ENTRIES:
        folder = FOLDER / entry.name
        if not (folder / LOG).exists():
            continue
        losses = [(images, round(loss, 5)) for images, loss in read_log(folder / LOG)]
        looks = [(images, [round(value, 3) for value in look]) for images, look in read_looks(folder / SAMPLES, real)]
        found.append({"name": entry.name, "told": entry.told, "advice": entry.advice, "losses": losses, "looks": looks})
        grids = {"": max((folder / SAMPLES).glob("*.png"))}
        if entry.name in MIDWAY:
            grids["-midway"] = sorted((folder / SAMPLES).glob("*.png"))[run.N_GRIDS // 2]
        for when, grid in grids.items():
            samples = grids.split_grid(Image.open(grid), QUICK.size)
            grids.save(grids.grid(samples[:16]), GRIDS / f"{entry.name}{when}.png")
    report = circumstances(torch.device("cpu")) | {"config": asdict(QUICK), "runs": found}
    with replacing(RECORDED) as temporary:
        temporary.write_text(json.dumps(report) + "\n")


def main(names: Annotated[list[str] | None, typer.Argument(help="The runs to train; by default all.")] = None) -> None:
    """Train the runs, and record what `dino doctor` compares with."""
    for entry in ENTRIES:
        if not names or entry.name in names:
            train(entry, FOLDER / entry.name)
    record()


if __name__ == "__main__":
    typer.run(main)
