"""Measurement of how reliable `dino doctor` is: its diagnoses of runs that it isn't compared with.

    python scripts/benchmarks/second_opinion.py

The runs are a healthy one, the bugs of the gallery with another seed, and bugs that aren't in the gallery. Each run
stops after 12,000 images of its 40,000. Takes about a minute for each run on two CPU cores, and prints the
table of docs/gallery.md.
"""

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import torch
import torch.nn.functional as F
import typer
from torch import Tensor, nn

from dino import sampler, training
from dino.common.errors import DinoError
from dino.noise import add_noise, mix
from dino.reports.diagnosis import diagnose
from dino.reports.report import Report
from dino.trainer import run
from dino.trainer.custom import CustomTrainer, Parts
from dino.trainer.tensor_file import STATE
from scripts.benchmarks.gallery import ENTRIES, QUICK, Entry, noisy_pair, training_with

FOLDER = Path("runs/second-opinion")
UNTIL = 12_000  # images


def compares_with_the_neighbor(model: nn.Module, clean: Tensor, *, generator: torch.Generator | None = None) -> Tensor:
    """Compare each prediction with the clean image beside its own."""
    noisy, noise_level = add_noise(clean, generator=generator)
    return F.mse_loss(model(noisy, noise_level), clean.roll(1, dims=0))


def little_noise(model: nn.Module, clean: Tensor, *, generator: torch.Generator | None = None) -> Tensor:
    """Train with noise levels up to 0.3 only, although the sampler starts at 1."""
    noise, noise_level = noisy_pair(clean, generator)
    return F.mse_loss(model(mix(clean, noise, 0.3 * noise_level), 0.3 * noise_level), clean)


def never_clears(
    model: nn.Module, optimizer: torch.optim.Optimizer, clean: Tensor, *, generator: torch.Generator | None = None
) -> float:
    """Take a step without clearing the gradients of the steps before."""
    loss = training.denoising_loss(model, clean, generator=generator)
    loss.backward()
    optimizer.step()
    return loss.item()


def stops_early(
    model: nn.Module,
    n_images: int,
    *,
    image_shape: tuple[int, ...],
    n_steps: int = 100,
    step_size: float = 2.0,
    generator: torch.Generator | None = None,
) -> Tensor:
    """Sample with a schedule that ends at level 0.15."""
    noise = torch.rand((n_images, *image_shape), generator=generator)
    *_, last = sampler.denoise(model, noise, torch.linspace(1, 0.15, n_steps + 1), step_size)
    return last.noisy.clamp(0, 1)


def never_follows(average: nn.Module, model: nn.Module, decay: float) -> None:
    """Leave the average as it was."""


NEW = [
    Entry("healthy, another seed", changes={"seed": 9}),
    Entry("healthy, with the sampler of lesson 04", parts=Parts(sampler=SimpleNamespace(generate=sampler.generate))),
    *(
        replace(bug, name=f"{bug.name}, another seed", changes=bug.changes | {"seed": 7})
        for bug in ENTRIES
        if bug.advice
    ),
    Entry(
        "each prediction compared with the neighbor's clean image",
        parts=Parts(training=training_with(compares_with_the_neighbor)),
    ),
    Entry("levels up to 0.3 only", parts=Parts(training=training_with(little_noise))),
    Entry("sampler ends at level 0.15", parts=Parts(sampler=SimpleNamespace(generate=stops_early))),
    Entry(
        "gradients never cleared",
        parts=Parts(training=SimpleNamespace(train_step=never_clears, update_average=training.update_average)),
    ),
    Entry("EMA never updated", parts=Parts(training=training_with(update_average=never_follows))),
]


def train(entry: Entry, folder: Path) -> None:
    """Train a run until it has seen `UNTIL` images, or until it diverges."""
    if (folder / STATE).exists():
        return
    steps = run.train(CustomTrainer(replace(QUICK, **entry.changes), parts=entry.parts), folder)
    try:
        for progress in steps:
            if progress.images >= UNTIL:
                break
        steps.close()
    except DinoError as error:
        print(f"{entry.name}: {error}")


def in_short(report: Report) -> str:
    """Return the first two findings, without the description of a recorded run; or the verdict if there are none."""
    findings = [symptom["finding"] for symptom in report["symptoms"]] or [report["verdict"].partition(": ")[2]]
    first, colon, rest = findings[0].partition(":")
    return "; ".join([first if "the recorded run" in first else first + colon + rest, *findings[1:2]])


def folder_of(entry: Entry) -> Path:
    """Return the folder of a run."""
    return FOLDER / entry.name.replace(", ", "-").replace(" ", "-").replace("'", "")


def main() -> None:
    """Train the runs that don't exist yet, and print the diagnosis of each."""
    for entry in NEW:
        train(entry, folder_of(entry))
    print("| what was done | what `dino doctor` says |\n|---|---|")
    for entry in NEW:
        report, _ = diagnose(folder_of(entry))
        print(f"| {entry.name} | {in_short(report)} |")


if __name__ == "__main__":
    typer.run(main)
