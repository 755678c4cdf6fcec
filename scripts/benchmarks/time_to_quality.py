"""Time to quality: how long recipes of training take until they reach a loss.

    python -m scripts.benchmarks.time_to_quality adamw muon --seeds 3 --json docs/benchmarks/time-to-quality.json

The recipes race side by side, one thread each, on the same images, and with the same noise at each step. The quality is
the denoising loss of the EMA on held-out images, averaged over ten noise levels. The target is the last loss of the
first recipe. Only training counts as time, measured on the processor that does it.

Finished runs are kept beside the report, so an interrupted race goes on where it stopped.
"""

import json
import math
import multiprocessing
import os
import time
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from statistics import mean, stdev
from typing import TYPE_CHECKING, Annotated, Any

import torch
import torch.nn.functional as F
import typer
from torch import Tensor, nn
from tqdm import tqdm

from dino.common.plots import STYLE
from dino.data.loading import load_labeled_images
from dino.evaluation import loss_by_noise_level
from dino.images import seeded, to_unit
from dino.noise import mix
from dino.reports.evaluate import LEVELS
from dino.reports.report import Report, environment, in_words, known, number, table
from dino.reports.report import write as write_report
from dino.steering import asking
from dino.trainer.config import Config
from dino.trainer.presets import PRESETS
from dino.trainer.trainer import Trainer

if TYPE_CHECKING:
    from matplotlib.figure import Figure

N_CHECKS = 16  # measurements of the loss in each run, evenly spaced
N_HELD_OUT = 128  # images for each of them

BASE = PRESETS["quick"]

Measured = dict[str, Any]  # "images" seen, "seconds" of training, and the "loss", which may be None


@dataclass(frozen=True)
class Recipe:
    """The changes that a recipe makes to the base recipe.

    Attributes:
        title: what is changed, in words.
        changes: fields of `Config`.
        iterations: of Newton-Schulz in Muon.
        momentum: of Muon.
        stratified: whether a batch's noise levels are spread evenly, one in each of as many equal parts of [0, 1].
        weighting: exponent of a weight in the loss, (noise level + 0.1) ** weighting, scaled to mean 1; above -1.
        schedule: how the learning rate falls: "linear"; "cosine"; or "late", at its peak until the last third.
    """

    title: str
    changes: dict[str, Any] = field(default_factory=dict)
    iterations: int | None = None
    momentum: float | None = None
    stratified: bool = False
    weighting: float = 0.0
    schedule: str = "linear"


ADAMW: dict[str, Any] = {
    "optimizer": "adamw", "depths": (1, 1, 2, 2), "n_images": 104_000, "learning_rate": 1.5e-3, "warmup": 250,
    "ema_half_life": 3_000,
}  # fmt: skip
RECIPES = {
    "adamw": Recipe("AdamW, 104,000 images: the recipe before Muon, with words", ADAMW, schedule="cosine"),
    "adamw-short": Recipe("AdamW on as many images as Muon", {"optimizer": "adamw", "warmup": 250}),
    "muon": Recipe("the preset"),
    "iterations-2": Recipe("2 iterations of Newton-Schulz", iterations=2),
    "iterations-3": Recipe("3 iterations of Newton-Schulz", iterations=3),
    "iterations-5": Recipe("5 iterations of Newton-Schulz", iterations=5),
    "rate-0.005": Recipe("half the rate of matrices", {"matrix_learning_rate": 0.005}),
    "rate-0.02": Recipe("twice the rate of matrices", {"matrix_learning_rate": 0.02}),
    "rate-0.04": Recipe("four times the rate of matrices", {"matrix_learning_rate": 0.04}),
    "other-rate-3e-3": Recipe("twice the rate of all other weights", {"learning_rate": 3e-3}),
    "batch-16": Recipe("batches of 16, rate 0.007", {"batch_size": 16, "matrix_learning_rate": 0.007}),
    "batch-64": Recipe("batches of 64, rate 0.014", {"batch_size": 64, "matrix_learning_rate": 0.014}),
    "batch-128": Recipe("batches of 128, rate 0.02", {"batch_size": 128, "matrix_learning_rate": 0.02}),
    "momentum-0.9": Recipe("momentum 0.9", momentum=0.9),
    "decay-0.1": Recipe("matrices that decay", {"matrix_decay": 0.1}),
    "decay-0.3": Recipe("matrices that decay three times as fast", {"matrix_decay": 0.3}),
    "flaws": Recipe("flaws in three tenths of the images", {"flaws": 0.3}),
    "warmup-10": Recipe("a warm-up of 10 steps", {"warmup": 10}),
    "ema-short": Recipe("an EMA a third as long", {"ema_half_life": 500}),
    "ema-long": Recipe("an EMA twice as long", {"ema_half_life": 3_000}),
    "stratified": Recipe("stratified noise levels", stratified=True),
    "weigh-low": Recipe("more weight for low noise levels", weighting=-0.5),
    "weigh-high": Recipe("more weight for high noise levels", weighting=0.5),
    "cosine": Recipe("a rate that falls along a half cosine", schedule="cosine"),
    "late": Recipe("a rate that falls in the last third", schedule="late"),
    "deep": Recipe("two blocks at all sizes", {"depths": (2, 2, 2, 2)}),
    "deep-end": Recipe("two blocks at the two smallest sizes", {"depths": (1, 1, 2, 2)}),
    "wide": Recipe("wider: 24, 48, 64, 64", {"widths": (24, 48, 64, 64)}),
    "narrow-end": Recipe("narrower at the end: 16, 32, 64, 64", {"widths": (16, 32, 64, 64)}),
    "hide-none": Recipe("all images with all of their words", {"hide_words": 0.0}),
    "hide-half": Recipe("half of the images with some of their words", {"hide_words": 0.5}),
    "no-words": Recipe("without words", {"max_words": 0}),
}  # fmt: skip


class RecipeTrainer(Trainer):
    """A `Trainer` that follows a recipe."""

    def __init__(self, config: Config, recipe: Recipe) -> None:
        self.recipe = recipe
        super().__init__(config, device="cpu")

    def _new_optimizer(self) -> torch.optim.Optimizer:
        optimizer = super()._new_optimizer()
        for name in ("iterations", "momentum"):
            if getattr(self.recipe, name) is not None:
                optimizer.param_groups[0][name] = getattr(self.recipe, name)
        return optimizer

    def _set_learning_rates(self, share: float) -> None:
        if self.recipe.schedule != "linear":
            done = self.step / self.config.n_steps
            fall = (1 + math.cos(math.pi * done)) / 2 if self.recipe.schedule == "cosine" else min(1.0, 3 * (1 - done))
            share = min(1.0, (self.step + 1) / self.config.warmup) * fall
        super()._set_learning_rates(share)

    def _train_step(
        self, network: nn.Module, clean: Tensor, condition: Tensor | None, generator: torch.Generator
    ) -> Tensor:
        if not self.recipe.stratified and not self.recipe.weighting:
            return super()._train_step(network, clean, condition, generator)
        self.optimizer.zero_grad()
        noise = torch.rand(clean.shape, generator=generator)
        level = torch.rand(len(clean), 1, 1, 1, generator=generator)
        if self.recipe.stratified:
            level = (torch.arange(len(clean)).view(-1, 1, 1, 1) + level) / len(clean)
        power = self.recipe.weighting
        weight = (level + 0.1) ** power * (1 + power) / (1.1 ** (1 + power) - 0.1 ** (1 + power))
        loss = (
            weight * F.mse_loss(network(mix(clean, noise, level), level, condition), clean, reduction="none")
        ).mean()
        loss.backward()
        self.optimizer.step()
        return loss.detach()


def run(name: str, seed: int, base: Config) -> list[Measured]:
    """Train one recipe and return its measurements: the images seen, the seconds of training, and the loss.

    The loss is None if the weights have diverged so far that it isn't finite.

    Args:
        name: in `RECIPES`.
        seed: of the run.
        base: the configuration that the recipe changes.
    """
    torch.set_num_threads(1)
    config = replace(base, seed=seed, **RECIPES[name].changes)
    trainer = RecipeTrainer(config, RECIPES[name])
    measured: list[Measured] = []
    checks = {round(config.n_steps * k / N_CHECKS) for k in range(1, N_CHECKS + 1)}
    trained, start = 0.0, time.process_time()
    for _ in trainer.steps():
        if trainer.step in checks:
            trained += time.process_time() - start
            loss = known(held_out_loss(trainer, config))
            measured.append({"images": trainer.images_seen, "seconds": trained, "loss": loss})
            start = time.process_time()
    return measured


@torch.no_grad()
def held_out_loss(trainer: Trainer, config: Config) -> float:
    """Return the loss of the EMA on held-out images, given their words if the network knows words."""
    words = trainer.config.vocabulary
    held_out = load_labeled_images(config.data, config.size, vocabulary=words, part="held out")
    chosen = torch.randperm(len(held_out.images), generator=seeded("cpu", "held out"))[:N_HELD_OUT]
    denoiser = asking(trainer.ema, held_out.words[chosen].float()) if words else trainer.ema
    return loss_by_noise_level(denoiser, to_unit(held_out.images[chosen]), LEVELS).mean().item()


def race(names: list[str], n_seeds: int, base: Config, kept: Path, processes: int) -> Report:
    """Run all recipes with several seeds, several runs at a time.

    Args:
        names: in `RECIPES`.
        n_seeds: runs of each.
        base: the configuration that the recipes change.
        kept: a file of finished runs, one JSON object in a line. Runs that it holds aren't repeated.
        processes: runs at a time, one thread each.
    """
    finished = {}
    if kept.exists():
        rows = map(json.loads, kept.read_text(encoding="utf-8").splitlines())
        finished = {json.dumps(row["run"]): row["measured"] for row in rows}
    runs: dict[str, list[list[Measured]]] = {name: [] for name in names}
    with ProcessPoolExecutor(processes, multiprocessing.get_context("spawn")) as pool:
        jobs = {}
        for seed in range(n_seeds):
            for name in names:
                key = json.dumps({"recipe": asdict(RECIPES[name]), "seed": seed, "base": asdict(base)})
                if key in finished:
                    runs[name].append(finished[key])
                else:
                    jobs[pool.submit(run, name, seed, base)] = name, key
        for job in tqdm(as_completed(jobs), "racing", len(jobs), unit=" runs", disable=None):
            name, key = jobs[job]
            runs[name].append(job.result())
            with kept.open("a", encoding="utf-8") as file:
                file.write(json.dumps({"run": json.loads(key), "measured": job.result()}, allow_nan=False) + "\n")
            tqdm.write(f"{name}: {job.result()[-1]}")
    return environment(torch.device("cpu")) | {
        "data": base.data, "images": base.n_images, "seeds": n_seeds, **compare(runs)
    }  # fmt: skip


def compare(runs: dict[str, list[list[Measured]]]) -> Report:
    """Return the "target", the "recipes" and what is "unknown" of a race.

    Args:
        runs: of each recipe, what each of its runs measured. The first recipe sets the target.
    """
    unknown, recipes = {}, []
    ends = {name: [measured[-1]["loss"] for measured in of_seeds] for name, of_seeds in runs.items()}
    known_ends = {name: [loss for loss in losses if loss is not None] for name, losses in ends.items()}
    means = {name: mean(known_ends[name]) if None not in losses else None for name, losses in ends.items()}
    target = next(iter(means.values()))
    for name, of_seeds in runs.items():
        deviation = stdev(known_ends[name]) if means[name] is not None and len(of_seeds) > 1 else None
        if means[name] is None:
            unknown[f"{name}.loss"] = "a run diverged, and its loss isn't finite"
        elif deviation is None:
            unknown[f"{name}.deviation"] = "one run has no standard deviation"
        recipes.append({
            "name": name,
            "title": RECIPES[name].title,
            "runs": of_seeds,
            "loss": means[name],
            "deviation": deviation,
            "seconds": mean(measured[-1]["seconds"] for measured in of_seeds),
            "seconds_to_target": [time_to(measured, target) for measured in of_seeds],
        })  # fmt: skip
    return {"target": target, "recipes": recipes, "unknown": unknown}


def time_to(measured: list[Measured], target: float | None) -> float | None:
    """Return the seconds of training until the loss reaches a target, or None if it doesn't or there is no target."""
    before = None
    for now in measured:
        if target is not None and now["loss"] is not None and now["loss"] <= target:
            if before is None or before["loss"] is None:
                return now["seconds"]
            share = (before["loss"] - target) / (before["loss"] - now["loss"])
            return before["seconds"] + share * (now["seconds"] - before["seconds"])
        before = now
    return None


def markdown(report: Report) -> str:
    """Return the table: a row for each recipe."""
    rows = [("recipe", "what it changes", "images", "seconds", "last loss", "seconds to the target", "of the first's")]
    first = report["recipes"][0]["seconds"]
    for recipe in report["recipes"]:
        times = [seconds for seconds in recipe["seconds_to_target"] if seconds is not None]
        reached = len(times) == len(recipe["seconds_to_target"])
        deviation = "" if recipe["deviation"] is None else f" ± {recipe['deviation']:.5f}"
        rows.append((
            recipe["name"], recipe["title"], f"{recipe['runs'][0][-1]['images']:,}", f"{recipe['seconds']:.0f}",
            f"{number(recipe['loss'], '.5f')}{deviation}", f"{mean(times):.0f}" if reached else "not reached",
            f"{mean(times) / first:.0%}" if reached else "-",
        ))  # fmt: skip
    return table(rows)


def facts(report: Report) -> dict[str, str]:
    """Return the sentences below the table, by their labels."""
    sentences = {
        "loss": f"of the EMA, on {N_HELD_OUT} held-out images of {report['data']}, mean over {len(LEVELS)} levels",
        "target": f"{number(report['target'], '.5f')}, the last loss of {report['recipes'][0]['name']}",
        "runs": f"{report['seeds']} with different seeds: means and standard deviations; one thread each, side by side",
    }
    return sentences | ({"unknown": in_words(report["unknown"])} if report["unknown"] else {})


def plot(report: Report) -> "Figure":
    """Plot the loss of every run over the seconds of training."""
    import matplotlib as mpl
    from matplotlib.figure import Figure

    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(8, 4.5), layout="constrained")
        axes = figure.subplots()
        for k, recipe in enumerate(report["recipes"]):
            for number, measured in enumerate(recipe["runs"]):
                label = recipe["title"] if number == 0 else None
                losses = [math.nan if m["loss"] is None else m["loss"] for m in measured]
                axes.plot([m["seconds"] for m in measured], losses, color=f"C{k}", label=label)
        if report["target"] is not None:
            axes.axhline(report["target"], ls=":", color="gray")
        axes.set(xlabel="seconds of training, on one thread", ylabel="held-out loss", yscale="log")
        axes.legend()
    return figure


def main(
    recipes: Annotated[list[str], typer.Argument(help=f"Of: {', '.join(RECIPES)}. The first one sets the target.")],
    seeds: Annotated[int, typer.Option(min=1, help="Runs of each recipe.")] = 3,
    data: Annotated[str, typer.Option(help="The source of images.")] = BASE.data,
    images: Annotated[int, typer.Option(help="Length of the runs whose recipe doesn't set another.")] = BASE.n_images,
    processes: Annotated[int, typer.Option(min=1, help="Runs at a time, one thread each.")] = os.cpu_count() or 1,
    out: Annotated[Path, typer.Option("--json", help="The report to write.")] = Path("time-to-quality.json"),
) -> None:
    """Race recipes of training until they reach a loss."""
    if unknown := set(recipes) - RECIPES.keys():
        raise typer.BadParameter(f"unknown recipes: {', '.join(sorted(unknown))}")
    base = replace(BASE, data=data, n_images=images, ema_half_life=BASE.ema_half_life * images // BASE.n_images)
    load_labeled_images(data, base.size)  # into the cache, before the processes look for it
    report = race(recipes, seeds, base, out.with_suffix(".runs.jsonl"), processes)
    typer.echo(markdown(report))
    command = f"python -m scripts.benchmarks.time_to_quality {' '.join(recipes)} --seeds {seeds} --images {images}"
    report |= {"command": command if data == BASE.data else f"{command} --data {data}"}
    for path in write_report(report, out, markdown(report), facts(report), plot(report)):
        typer.echo(f"wrote {path}")


if __name__ == "__main__":
    typer.run(main)
