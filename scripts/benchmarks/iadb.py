"""The preset iadb beside the plain recipe, at equal training time, and each of its three choices alone.

    python -m scripts.benchmarks.iadb --seconds 240 --seeds 3 --json docs/benchmarks/iadb.json

Each recipe is the preset `quick` with other noise, another target of the network, or other noise levels. First a few
steps are timed, and then a run is as long as the time allows, so that its learning rate falls to 0 in the end. The EMA
draws with the few steps of `dino sample`, for the words of the same real images in each recipe. Beside the report, it
writes a grid with a row for each recipe.
"""

import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import torch
import typer
from torch import Tensor
from tqdm import tqdm

from dino.common import plots
from dino.data.loading import load_labeled_images
from dino.reports.evaluate import N_DRAWS, group_size
from dino.reports.report import Report, environment, table
from dino.reports.report import write as write_report
from dino.trainer.batched_sampling import Wishes, generate_batched
from dino.trainer.config import Config
from dino.trainer.presets import PRESETS
from dino.trainer.trainer import Trainer

from .sampling import distances, in_parentheses, interval, words_to_ask

if TYPE_CHECKING:
    from matplotlib.figure import Figure

QUICK = PRESETS["quick"]
RECIPES = {
    "plain": QUICK,
    "Gaussian noise": replace(QUICK, noise="gaussian"),
    "velocity": replace(QUICK, target="velocity"),
    "lognormal levels": replace(QUICK, levels="lognormal"),
    "iadb": PRESETS["iadb"],
}
TIMED = 0.1  # the share of a run's time for which its steps are timed first
SHOWN = 12  # images of each recipe in the grid
GUIDANCE = 1.0  # so that nothing but the recipe differs


def images_in(config: Config, seconds: float) -> int:
    """Return how many images a run sees in this time on this machine."""
    trainer = Trainer(config)
    steps = trainer.steps()
    next(steps).item()  # the first step allocates memory
    begin, n = time.perf_counter(), 0
    while (taken := time.perf_counter() - begin) < TIMED * seconds or n == 0:
        next(steps).item()
        n += 1
    return max(1, round(seconds * n / taken)) * config.batch_size


def train(config: Config, seconds: float) -> tuple[Trainer, float]:
    """Train for about this time. Returns the trainer, and the time that it took."""
    trainer = Trainer(replace(config, n_images=images_in(config, seconds)))
    begin = time.perf_counter()
    for _ in tqdm(trainer.steps(), total=trainer.config.n_steps, unit=" steps", leave=False, disable=None):
        pass
    trainer.check_finite()
    return trainer, time.perf_counter() - begin


def draw(trainer: Trainer, n: int, words: Tensor | None, seed: int) -> Tensor:
    """Draw n images with the EMA, each asked for the words of a real image."""
    config = trainer.config
    shape = (config.channels, config.size, config.size)
    return generate_batched(
        trainer.ema, n, image_shape=shape, wishes=Wishes(words, GUIDANCE), noise=config.noise, seed=seed
    )


def measure(seconds: float, n: int, n_seeds: int) -> tuple[Report, dict[str, Tensor]]:
    """Train and draw with each recipe, and measure the distance to real images.

    Args:
        seconds: of training, for each recipe and seed.
        n: how many images each recipe draws.
        n_seeds: how many times to repeat it, with other random numbers in training and drawing.

    Returns:
        The report, and some images of each recipe for a grid.
    """
    measured, runs = [], []
    some: dict[str, Tensor] = {}
    for seed in range(n_seeds):
        drawn = {}
        for name, config in RECIPES.items():
            trainer, taken = train(replace(config, seed=seed), seconds)
            real = load_labeled_images(config.data, config.size, vocabulary=trainer.config.vocabulary)
            group = group_size(n, len(real.images))
            drawn[name] = draw(trainer, n, words_to_ask(real, n, seed), seed)
            runs.append({"recipe": name, "seed": seed, "seconds": taken, "images": trainer.images_seen})
            typer.echo(f"{name}, seed {seed}: {trainer.images_seen:,} images in {taken:.0f} s")
        measured.append(distances(drawn, real.images, group, seed))
        some = some or {name: images[:SHOWN] for name, images in drawn.items()}
    rows = [{"recipe": name, "distance": interval(measured, name)} for name in RECIPES]
    report = environment(torch.device("cpu")) | {
        "data": QUICK.data, "size": QUICK.size, "seconds": seconds, "images": n, "seeds": n_seeds, "group": group,
        "real": interval(measured, "real"), "runs": runs, "rows": rows,
    }  # fmt: skip
    return report, some


# ---- printing and writing -------------------------------------------------------------------------------------------


def markdown(report: Report) -> str:
    """Return the table: a row for each recipe."""
    rows = [("recipe", "noise", "target", "levels", "images seen", "distance")]
    for row in report["rows"]:
        config = RECIPES[row["recipe"]]
        seen = [run["images"] for run in report["runs"] if run["recipe"] == row["recipe"]]
        mean, distance = f"{sum(seen) / len(seen):,.0f}", in_parentheses(row["distance"])
        rows.append((row["recipe"], config.noise, config.target, config.levels, mean, distance))
    return table(rows)


def facts(report: Report) -> dict[str, str]:
    """Return the sentences below the table, by their labels."""
    low, _, high = report["real"]
    return {
        "training": f"{report['seconds']:g} seconds for each recipe, {report['seeds']} times with other random numbers",
        "distance": f"of {report['images']} images to real ones of {report['data']}, {report['size']} x "
        f"{report['size']}, in units of that between real images, in groups of {report['group']}; in parentheses, 90% "
        f"of {N_DRAWS * report['seeds']} draws. Real images: {low:.2f} to {high:.2f}",
    }


def plot(report: Report) -> "Figure":
    """Plot the distance of each recipe, with its interval."""
    import matplotlib as mpl
    from matplotlib.figure import Figure

    with mpl.rc_context(plots.STYLE):
        figure = Figure(figsize=(7, 3), layout="constrained")
        axes = figure.subplots()
        axes.axvspan(report["real"][0], report["real"][2], alpha=0.15, color="gray")
        for k, row in enumerate(reversed(report["rows"])):
            low, middle, high = row["distance"]
            axes.errorbar(middle, k, xerr=[[middle - low], [high - middle]], fmt="o", capsize=4, color="#0072B2")
        axes.set(xlabel="distance to real images", xscale="log")
        axes.set_yticks(range(len(report["rows"])), [row["recipe"] for row in reversed(report["rows"])])
    return figure


def main(
    seconds: Annotated[float, typer.Option(help="Training time for each recipe and seed.")] = 240,
    n: Annotated[int, typer.Option("-n", help="Images for each recipe and seed.")] = 512,
    seeds: Annotated[int, typer.Option(help="How many times to repeat it.")] = 3,
    out: Annotated[Path, typer.Option("--json", help="The report to write.")] = Path("iadb.json"),
) -> None:
    """Train the plain recipe, iadb, and each single change for the same time, and compare what they draw."""
    report, some = measure(seconds, n, seeds)
    report["command"] = f"python -m scripts.benchmarks.iadb --seconds {seconds:g} -n {n} --seeds {seeds}"
    typer.echo(markdown(report))
    for written in write_report(report, out, markdown(report), facts(report), plot(report)):
        typer.echo(f"wrote {written}")
    grid = out.with_name(f"{out.stem}-grid.png")
    typer.echo(f"wrote {_saved(plots.labeled(some, inch=0.7), grid)}")


def _saved(figure: "Figure", path: Path) -> Path:
    figure.savefig(path, dpi=120)
    return path


if __name__ == "__main__":
    typer.run(main)
