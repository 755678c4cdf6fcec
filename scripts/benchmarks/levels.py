"""Measurement of the loss at each noise level, at five stages of a run of the preset quick.

    python scripts/benchmarks/levels.py

Writes docs/benchmarks/levels.json, levels.md and levels.png. Takes about four minutes on two CPU cores, and saves
nothing else. The run is that of `dino train --preset quick --seed 0`. The loss is that of the EMA weights, as `dino
evaluate` measures it, on training images and on held-out images.
"""

import os
import sys
from pathlib import Path

import matplotlib as mpl
from matplotlib.figure import Figure
from tqdm import tqdm

from dino.common.errors import shell_command
from dino.common.plots import STYLE
from dino.reports.evaluate import LEVELS, RealImages, losses
from dino.reports.report import Report, environment, table, write
from dino.trainer.presets import PRESETS
from dino.trainer.trainer import Trainer

STAGES = (960, 3_808, 7_712, 17_824, 40_000)  # images seen; healthy_stages.py shows images of these stages
OUT = Path("docs/benchmarks/levels.json")


def main() -> None:
    """Train and measure, and write the report."""
    report = measure() | {"command": shell_command("python", os.path.relpath(sys.argv[0]), *sys.argv[1:])}
    with mpl.rc_context(STYLE):
        for path in write(report, OUT, markdown(report), facts(report), plot(report)):
            print(f"wrote {path}")


def measure() -> Report:
    """Train, and measure at each of `STAGES`."""
    trainer = Trainer(PRESETS["quick"])
    config, stages = trainer.config, []
    real = RealImages.of(config.data, config.split, trainer.metadata())
    with tqdm(total=config.n_images, unit=" images", unit_scale=True) as bar:
        for _ in trainer.steps():
            bar.update(trainer.images_seen - bar.n)
            if trainer.images_seen in STAGES:
                stages.append({"images_seen": trainer.images_seen} | losses(trainer.ema, real))
    counts = {"training": len(real.training), "held_out": len(real.held_out)}
    return environment(trainer.device) | {"images": counts, "stages": stages}


def markdown(report: Report) -> str:
    """Return the table: a row for each noise level, and a column for each stage."""
    stages = report["stages"]
    rows = [("noise level", *(f"{stage['images_seen']:,}" for stage in stages))]
    for k, level in enumerate(LEVELS):
        row = (f"{stage['training'][k]:.4f} / {stage['held_out'][k]:.4f}" for stage in stages)
        rows.append((f"{level:.2f}", *row))
    return table(rows)


def facts(report: Report) -> dict[str, str]:
    """Return the sentences below the table, by their labels."""
    n = report["images"]
    return {
        "images": f"{n['training']} training, {n['held_out']} held out",
        "columns": "the images seen, counting repeats",
        "numbers": "the loss of the EMA weights on training images / on held-out images",
    }


def plot(report: Report) -> Figure:
    """Plot a pair of curves for each stage: solid for training images, dashed for held-out images."""
    figure = Figure(figsize=(7, 4.2), layout="constrained")
    axes = figure.subplots()
    for stage, marker in zip(report["stages"], "os^Dv", strict=True):
        label = f"{stage['images_seen']:,}"
        (line,) = axes.plot(stage["levels"], stage["training"], marker=marker, ms=5, label=label)
        axes.plot(stage["levels"], stage["held_out"], "--", color=line.get_color())
    axes.set(xlabel="noise level", ylabel="loss", yscale="log", xticks=[k / 10 for k in range(11)])
    ticks = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05)
    axes.set_yticks(ticks, map(str, ticks))
    axes.minorticks_off()
    axes.grid(alpha=0.3)
    axes.legend(title="images seen", fontsize=9)
    return figure


if __name__ == "__main__":
    main()
