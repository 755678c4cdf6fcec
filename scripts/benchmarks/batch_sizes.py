"""The loss against the images seen, for several batch sizes and learning rates.

    python scripts/benchmarks/batch_sizes.py --preset quick 16:1.06e-3 32:1.5e-3 64:2.12e-3 64:1.5e-3

Each run sees the same number of images. The loss is that of the EMA weights, which `dino sample` draws with, on the
same images with the same noise, at ten noise levels.
"""

import csv
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import matplotlib as mpl
import typer
from matplotlib.figure import Figure
from tqdm import tqdm

from dino.common.plots import STYLE, save_figure
from dino.evaluation import loss_by_noise_level
from dino.images import to_unit
from dino.reports.evaluate import LEVELS
from dino.steering import asking
from dino.trainer.config import Config
from dino.trainer.presets import PRESETS
from dino.trainer.trainer import Trainer

N_IMAGES = 128  # images to measure the loss on
N_POINTS = 20  # points of each curve, closer together at its start


def main(
    recipes: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="BATCH:RATE...", help="Batch sizes and learning rates. Without any, the existing table is plotted."
        ),
    ] = None,
    preset: Annotated[str, typer.Option(help="The preset that all other settings come from.")] = "quick",
    images: Annotated[
        int | None, typer.Option(help="How many images each run sees. By default as in the preset.")
    ] = None,
    device: str = "auto",
    out: Annotated[Path, typer.Option(help="The table to write. The plot goes beside it.")] = Path("batch-sizes.csv"),
) -> None:
    """Train once for each batch size and learning rate, and write a table and a plot of the losses."""
    rows: list[tuple[int, float, int, float]] = []
    if not recipes:
        with out.open(newline="", encoding="utf-8") as file:
            rows = recorded(csv.reader(file))
    for recipe in recipes or []:
        size, rate = recipe.split(":")
        config = PRESETS[preset]
        matrix_rate = config.matrix_learning_rate * float(rate) / config.learning_rate  # in the same proportion
        config = replace(
            config, batch_size=int(size), learning_rate=float(rate), matrix_learning_rate=matrix_rate,
            n_images=images or config.n_images,
        )  # fmt: skip
        rows += [(int(size), float(rate), seen, loss) for seen, loss in curve(config, device)]
        with out.open("w", newline="", encoding="utf-8") as file:
            csv.writer(file).writerows([("batch_size", "learning_rate", "images", "loss"), *rows])
        print(f"batch {size}, learning rate {rate}: loss {rows[-1][-1]:.5f} after {rows[-1][2]:,} images")
    with mpl.rc_context(STYLE):
        save_figure(plot(rows, preset), out.with_suffix(".png"))


def recorded(table: Iterable[list[str]]) -> list[tuple[int, float, int, float]]:
    """Return the rows of a table that this program wrote."""
    return [(int(size), float(rate), int(seen), float(loss)) for size, rate, seen, loss in list(table)[1:]]


def curve(config: Config, device: str) -> list[tuple[int, float]]:
    """Train one run to its end, and return points of its curve: images seen and loss."""
    trainer = Trainer(config, device=device)
    measure_at = {round(config.n_steps * (k / N_POINTS) ** 2) for k in range(1, N_POINTS + 1)}
    points = []
    for _ in tqdm(trainer.steps(), f"batch {config.batch_size}", config.n_steps, leave=False, mininterval=10):
        if trainer.step in measure_at:
            points.append((trainer.images_seen, ema_loss(trainer)))
    return points


def ema_loss(trainer: Trainer) -> float:
    """Return the mean squared error of the EMA network over all noise levels, given the words of the images."""
    chosen = trainer.examples(min(N_IMAGES, len(trainer.images)))
    clean = to_unit(trainer.images[chosen])
    denoiser = asking(trainer.ema, trainer.words[chosen].float()) if trainer.config.vocabulary else trainer.ema
    with trainer.autocast():
        return loss_by_noise_level(denoiser, clean, LEVELS).mean().item()


def plot(rows: list[tuple[int, float, int, float]], preset: str) -> Figure:
    """Plot one curve for each batch size and learning rate."""
    figure = Figure(figsize=(6.2, 5.2), layout="constrained")
    axes = figure.subplots()
    for size, rate in dict.fromkeys(row[:2] for row in rows):
        points = [row[2:] for row in rows if row[:2] == (size, rate)]
        axes.plot(*zip(*points, strict=True), marker=".", label=f"{size}, {rate:g}")
    axes.set(xscale="log", yscale="log", xlabel="images seen", ylabel="loss of the EMA weights", title=preset)
    axes.grid(alpha=0.3, which="both")
    axes.legend(loc="lower left", title="batch size, learning rate")
    return figure


if __name__ == "__main__":
    typer.run(main)
