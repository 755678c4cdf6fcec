"""Which noise levels does a network learn when? Train the preset `quick`, and take the loss apart by level on the way.

    python docs/benchmarks/levels.py

It writes docs/benchmarks/levels.json, levels.md and levels.png. About six minutes on two CPU cores; nothing else is
saved. The run is that of `dino train --preset quick --seed 0`. The loss is that of the averaged weights, as `dino
evaluate` measures it, on the pictures that are learned from and on those that are held out.
"""

import sys
from pathlib import Path

import matplotlib as mpl
from matplotlib.figure import Figure
from tqdm.auto import tqdm

from dino.common import plots
from dino.common.errors import shell_command
from dino.reports import evaluate
from dino.reports import report as reports
from dino.reports.report import Report
from dino.trainer.presets import PRESETS
from dino.trainer.trainer import Trainer

MOMENTS = (2_496, 9_888, 20_000, 46_336, 104_000)  # images seen; healthy_stages.py shows pictures of these
OUT = Path("docs/benchmarks/levels.json")


def main() -> None:
    """Train and measure, and write the report."""
    report = measure() | {"command": shell_command("python", *sys.argv)}
    n = report["pictures"]
    facts = {
        "pictures": f"{n['training']} that are learned from, {n['held_out']} held out",
        "each number": "the loss of the averaged weights, on training pictures / on held-out ones",
    }
    with mpl.rc_context(plots.STYLE):
        for path in reports.write(report, OUT, markdown(report), facts, plot(report)):
            print(f"wrote {path}")


def measure() -> Report:
    """Train, and stop at each of MOMENTS to measure."""
    trainer = Trainer(PRESETS["quick"])
    config, moments = trainer.config, []
    real = evaluate.Real.of(config.data, config.split, trainer.about())
    with tqdm(total=config.n_images, unit=" images", unit_scale=True) as bar:
        for _ in trainer.steps():
            bar.update(trainer.images_seen - bar.n)
            if trainer.images_seen in MOMENTS:
                moments.append({"images_seen": trainer.images_seen} | evaluate.losses(trainer.average, real))
    counts = {"training": len(real.training), "held_out": len(real.held_out)}
    return reports.circumstances(trainer.device) | {"pictures": counts, "moments": moments}


def markdown(report: Report) -> str:
    """A row for each level, and a column for each moment."""
    moments = report["moments"]
    rows = [("noise level", *(f"{moment['images_seen']:,}" for moment in moments))]
    for k, level in enumerate(evaluate.LEVELS):
        losses = (f"{moment['training'][k]:.4f} / {moment['held_out'][k]:.4f}" for moment in moments)
        rows.append((f"{level:.2f}", *losses))
    return reports.table(rows)


def plot(report: Report) -> Figure:
    """A pair of curves for each moment: solid for training pictures, dashed for held-out ones."""
    figure = Figure(figsize=(7, 4.2), layout="constrained")
    axes = figure.subplots()
    for moment, marker in zip(report["moments"], "os^Dv", strict=True):
        label = f"{moment['images_seen']:,}"
        (line,) = axes.plot(moment["levels"], moment["training"], marker=marker, ms=5, label=label)
        axes.plot(moment["levels"], moment["held_out"], "--", color=line.get_color())
    axes.set(xlabel="noise level", ylabel="loss", yscale="log", xticks=[k / 10 for k in range(11)])
    ticks = (0.002, 0.005, 0.01, 0.02, 0.05)
    axes.set_yticks(ticks, map(str, ticks))
    axes.minorticks_off()
    axes.grid(alpha=0.3)
    axes.legend(title="images seen", fontsize=9)
    return figure


if __name__ == "__main__":
    main()
