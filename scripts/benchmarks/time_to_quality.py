"""Time to quality: how long recipes of training take until they reach a loss.

    python -m scripts.benchmarks.time_to_quality adamw muon --seeds 3 --json docs/benchmarks/time-to-quality.json

The recipes race side by side, one thread each, on the same images, and with the same noise at each step. The quality is
the denoising loss of the EMA on held-out images, averaged over ten noise levels. The target is the last loss of the
first recipe. Only training counts as time, measured on the processor that does it.
"""

import json
import multiprocessing
import os
import time
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import replace
from pathlib import Path
from statistics import mean
from typing import TYPE_CHECKING, Annotated, Any

import torch
import typer
from tqdm.auto import tqdm

from dino.common.plots import STYLE
from dino.data.loading import load_labeled_images
from dino.evaluation import loss_by_noise_level
from dino.images import seeded, to_unit
from dino.reports.evaluate import LEVELS
from dino.reports.report import Report, environment, table
from dino.reports.report import write as write_report
from dino.steering import asking
from dino.trainer.config import Config
from dino.trainer.presets import PRESETS
from dino.trainer.trainer import Trainer

if TYPE_CHECKING:
    from matplotlib.figure import Figure

N_CHECKS = 16  # measurements of the loss in each run, evenly spaced
N_HELD_OUT = 128  # images for each of them

# The recipe before Muon, on the same data, network and images seen; the others change one thing each.
QUICK = PRESETS["dinos"]
ADAMW: dict[str, Any] = {
    "optimizer": "adamw", "n_images": 104_000, "learning_rate": 1.5e-3, "warmup": 250, "ema_half_life": 3_000
}  # fmt: skip
RECIPES: dict[str, dict[str, Any]] = {
    "adamw": ADAMW,
    "adamw-48k": ADAMW | {"n_images": 48_000, "ema_half_life": 1_500},
    "muon": {},
    "muon-32k": {"n_images": 32_000, "ema_half_life": 1_000},
    "rate-0.005": {"matrix_learning_rate": 0.005},
    "rate-0.02": {"matrix_learning_rate": 0.02},
    "rate-0.04": {"matrix_learning_rate": 0.04},
    "batch-16": {"batch_size": 16},
    "batch-64": {"batch_size": 64, "matrix_learning_rate": 0.014, "warmup": 50},
    "no-words": {"max_words": 0},
}


def run(name: str, seed: int, data: str) -> list[dict[str, float]]:
    """Train one recipe and return its measurements: the images seen, the seconds of training, and the loss.

    Args:
        name: in `RECIPES`.
        seed: of the run.
        data: the source of images.
    """
    torch.set_num_threads(1)
    config = replace(QUICK, data=data, seed=seed, **RECIPES[name])
    trainer = Trainer(config, device="cpu")
    measured: list[dict[str, float]] = []
    checks = {round(config.n_steps * k / N_CHECKS) for k in range(1, N_CHECKS + 1)}
    trained, start = 0.0, time.process_time()
    for _ in trainer.steps():
        if trainer.step in checks:
            trained += time.process_time() - start
            measured.append({"images": trainer.images_seen, "seconds": trained, "loss": held_out_loss(trainer, config)})
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


def race(names: list[str], n_seeds: int, data: str) -> Report:
    """Run all recipes with several seeds, as many at a time as there are processors."""
    runs: dict[str, list[list[dict[str, float]]]] = {name: [] for name in names}
    with ProcessPoolExecutor(os.cpu_count(), multiprocessing.get_context("spawn")) as processes:
        jobs = {processes.submit(run, name, seed, data): name for seed in range(n_seeds) for name in names}
        for job in tqdm(as_completed(jobs), "racing", len(jobs), unit=" runs", disable=None):
            runs[jobs[job]].append(job.result())
            tqdm.write(f"{jobs[job]}: {job.result()[-1]}")
    target = mean(losses[-1]["loss"] for losses in runs[names[0]])
    recipes = [
        {
            "name": name,
            "changes": RECIPES[name],
            "runs": of_seeds,
            "loss": mean(losses[-1]["loss"] for losses in of_seeds),
            "seconds": mean(losses[-1]["seconds"] for losses in of_seeds),
            "seconds_to_target": [time_to(losses, target) for losses in of_seeds],
        }
        for name, of_seeds in runs.items()
    ]
    return environment(torch.device("cpu")) | {"data": data, "seeds": n_seeds, "target": target, "recipes": recipes}


def time_to(measured: list[dict[str, float]], target: float) -> float | None:
    """Return the seconds of training until the loss reaches a target, or None if it doesn't."""
    before = None
    for now in measured:
        if now["loss"] <= target:
            if before is None:
                return now["seconds"]
            share = (before["loss"] - target) / (before["loss"] - now["loss"])
            return before["seconds"] + share * (now["seconds"] - before["seconds"])
        before = now
    return None


def markdown(report: Report) -> str:
    """Return the table: a row for each recipe."""
    rows = [("recipe", "images", "seconds", "last loss", "seconds to the target", "of the first recipe's time")]
    first = report["recipes"][0]["seconds"]
    for recipe in report["recipes"]:
        times = [seconds for seconds in recipe["seconds_to_target"] if seconds is not None]
        reached = len(times) == len(recipe["seconds_to_target"])
        rows.append((
            recipe["name"], f"{recipe['runs'][0][-1]['images']:,}", f"{recipe['seconds']:.0f}", f"{recipe['loss']:.5f}",
            f"{mean(times):.0f}" if reached else "not reached", f"{mean(times) / first:.0%}" if reached else "-",
        ))  # fmt: skip
    return table(rows)


def facts(report: Report) -> dict[str, str]:
    """Return the sentences below the table, by their labels."""
    return {
        "loss": f"of the EMA, on {N_HELD_OUT} held-out images of {report['data']}, mean over {len(LEVELS)} levels",
        "target": f"{report['target']:.5f}, the last loss of {report['recipes'][0]['name']}",
        "runs": f"{report['seeds']} with different seeds, whose means are shown; one thread each, side by side",
        "changes": "; ".join(f"{r['name']}: {json.dumps(r['changes'])}" for r in report["recipes"] if r["changes"]),
    }


def plot(report: Report) -> "Figure":
    """Plot the loss of every run over the seconds of training."""
    import matplotlib as mpl
    from matplotlib.figure import Figure

    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(8, 4.5), layout="constrained")
        axes = figure.subplots()
        for k, recipe in enumerate(report["recipes"]):
            for number, measured in enumerate(recipe["runs"]):
                label = recipe["name"] if number == 0 else None
                axes.plot([m["seconds"] for m in measured], [m["loss"] for m in measured], color=f"C{k}", label=label)
        axes.axhline(report["target"], ls=":", color="gray")
        axes.set(xlabel="seconds of training, on one thread", ylabel="held-out loss", yscale="log")
        axes.legend()
    return figure


def main(
    recipes: Annotated[list[str], typer.Argument(help=f"Of: {', '.join(RECIPES)}. The first one sets the target.")],
    seeds: Annotated[int, typer.Option(min=1, help="Runs of each recipe.")] = 3,
    data: Annotated[str, typer.Option(help="The source of images.")] = QUICK.data,
    out: Annotated[Path, typer.Option("--json", help="The report to write.")] = Path("time-to-quality.json"),
) -> None:
    """Race recipes of training until they reach a loss."""
    if unknown := set(recipes) - RECIPES.keys():
        raise typer.BadParameter(f"unknown recipes: {', '.join(sorted(unknown))}")
    load_labeled_images(data, QUICK.size)  # into the cache, before the processes look for it
    report = race(recipes, seeds, data)
    typer.echo(markdown(report))
    command = f"python -m scripts.benchmarks.time_to_quality {' '.join(recipes)} --seeds {seeds} --data {data}"
    report |= {"command": command}
    for path in write_report(report, out, markdown(report), facts(report), plot(report)):
        typer.echo(f"wrote {path}")


if __name__ == "__main__":
    typer.run(main)
