"""How far can `dino doctor` be trusted? What it says of runs that it has never seen.

    python docs/benchmarks/second_opinion.py

The bugs of the gallery with another seed, a healthy run, and some broken in ways that the gallery doesn't hold. Each
is stopped after 30,000 images of its 104,000. Takes about a minute and a half for each run on two CPU cores, and prints
the table of docs/gallery.md.
"""

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import torch
import torch.nn.functional as F
import typer
from gallery import ENTRIES, QUICK, Entry, noisy_pair, training_with
from torch import Tensor, nn

from dino import sampler, training
from dino.common.errors import DinoError
from dino.noise import add_noise, mix
from dino.reports.diagnosis import examine
from dino.reports.report import Report
from dino.trainer import run
from dino.trainer.custom import CustomTrainer, Parts
from dino.trainer.tensor_file import STATE

FOLDER = Path("runs/second-opinion")
UNTIL = 30_000  # images


def asks_for_the_neighbor(model: nn.Module, clean: Tensor, *, generator: torch.Generator | None = None) -> Tensor:
    """Each noisy picture is asked for the clean one of the picture beside it."""
    noisy, noise_level = add_noise(clean, generator=generator)
    return F.mse_loss(model(noisy, noise_level), clean.roll(1, dims=0))


def little_noise(model: nn.Module, clean: Tensor, *, generator: torch.Generator | None = None) -> Tensor:
    """Levels reach up to 0.3, where the sampler begins at 1."""
    noise, noise_level = noisy_pair(clean, generator)
    return F.mse_loss(model(mix(clean, noise, 0.3 * noise_level), 0.3 * noise_level), clean)


def never_clears(
    model: nn.Module, optimizer: torch.optim.Optimizer, clean: Tensor, *, generator: torch.Generator | None = None
) -> float:
    """Gradients pile up from step to step."""
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
    """The schedule ends at level 0.15."""
    noise = torch.rand((n_images, *image_shape), generator=generator)
    *_, last = sampler.denoise(model, noise, torch.linspace(1, 0.15, n_steps + 1), step_size)
    return last.noisy.clamp(0, 1)


def never_follows(average: nn.Module, model: nn.Module, decay: float) -> None:
    """The average stays what it was."""


NEW = [
    Entry("healthy, another seed", changes={"seed": 9}),
    *(
        replace(bug, name=f"{bug.name}, another seed", changes=bug.changes | {"seed": 7})
        for bug in ENTRIES
        if bug.advice
    ),
    Entry("each picture asked for its neighbor", parts=Parts(training=training_with(asks_for_the_neighbor))),
    Entry("levels up to 0.3 only", parts=Parts(training=training_with(little_noise))),
    Entry("sampler ends at level 0.15", parts=Parts(sampler=SimpleNamespace(generate=stops_early))),
    Entry(
        "gradients never cleared",
        parts=Parts(training=SimpleNamespace(train_step=never_clears, update_average=training.update_average)),
    ),
    Entry("average never updated", parts=Parts(training=training_with(update_average=never_follows))),
]


def train(entry: Entry, folder: Path) -> None:
    """Train one run up to `UNTIL`, or until its numbers blow up."""
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
    """The first two signs, without what the gallery says of a recorded run; or that there are none."""
    signs = [sign["what"] for sign in report["signs"]] or [report["verdict"].partition(": ")[2]]
    name, colon, told = signs[0].partition(":")
    return "; ".join([name if "the recorded run" in name else name + colon + told, *signs[1:2]])


def main() -> None:
    """Train the runs that aren't there yet, and print what `dino doctor` says of each."""
    for entry in NEW:
        train(entry, FOLDER / entry.name.replace(", ", "-").replace(" ", "-"))
    print("| what was done | what `dino doctor` says |\n|---|---|")
    for entry in NEW:
        report, _ = examine(FOLDER / entry.name.replace(", ", "-").replace(" ", "-"))
        print(f"| {entry.name} | {in_short(report)} |")


if __name__ == "__main__":
    typer.run(main)
