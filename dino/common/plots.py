"""Plots: labeled rows of images, and loss curves."""

import csv
import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from torch import Tensor

from .atomic_file import replacing

if TYPE_CHECKING:  # imported where it is used, because it costs a learner a second
    from matplotlib.figure import Figure

INK = "#767676"  # the color of text and lines, as light as is readable on white. The site adapts it to the page
STYLE: dict[Any, Any] = {  # for matplotlib, in all figures of the course
    "figure.facecolor": "none", "axes.facecolor": "none", "savefig.facecolor": "none", "legend.framealpha": 0,
    "text.color": INK, "axes.labelcolor": INK, "axes.edgecolor": INK, "axes.titlecolor": INK, "grid.color": INK,
    "xtick.color": INK, "ytick.color": INK, "font.size": 11, "svg.fonttype": "none",
    "axes.prop_cycle": "cycler('color', ['#0072B2', '#BD7B00', '#009E73', '#B9669A', '#3A93C8', '#D55E00'])",
}  # fmt: skip


def labeled(rows: Mapping[str, Tensor], columns: Sequence[str] | None = None, *, inch: float = 0.9) -> "Figure":
    """Plot rows of images, each row with its name on the left, and labels above the columns.

    Args:
        rows: images in [0, 1], each (N, C, H, W). N may differ from row to row.
        columns: one label for each image of the longest row. By default there are none.
        inch: the side of an image, in inches.
    """
    import matplotlib as mpl
    from matplotlib.figure import Figure

    wide = max(map(len, rows.values()))
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(inch * (wide + 1.4), inch * (len(rows) + 0.4)), layout="constrained")
        all_axes = figure.subplots(len(rows), wide, squeeze=False)
        for axes_of_row, (name, images) in zip(all_axes, rows.items(), strict=True):
            axes_of_row[0].set_ylabel(name, rotation=0, ha="right", va="center")
            for k, axes in enumerate(axes_of_row):
                axes.set(xticks=[], yticks=[])
                axes.spines[:].set_visible(False)
                if k < len(images):
                    pixels = images[k].detach().float().cpu().clamp(0, 1).permute(1, 2, 0).squeeze(2).numpy()
                    axes.imshow(pixels, cmap="gray", vmin=0, vmax=1, interpolation="nearest")
        for axes, label in zip(all_axes[0], columns or [], strict=False):
            axes.set_title(label, fontsize=10)
    return figure


def loss_curve(log: Path) -> "Figure":
    """Plot the loss against the images seen, on a logarithmic axis: each row of the log faintly, and a smooth curve.

    Args:
        log: the path of a run's log.csv.
    """
    from matplotlib.figure import Figure

    with log.open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    images = [int(row["images"]) for row in rows]
    losses = [float(row["loss"] or "nan") for row in rows]
    figure = Figure(figsize=(7, 4), layout="constrained")
    axes = figure.subplots()
    axes.plot(images, losses, alpha=0.25, color="C0")
    axes.plot(images, smooth(losses), color="C0")
    axes.set(xlabel="images seen", ylabel="loss (mean squared error)", yscale=loss_scale(losses), title=log.parent.name)
    if not any(map(math.isfinite, losses)):
        axes.text(0.5, 0.5, "no loss is known yet", ha="center", va="center", transform=axes.transAxes)
    axes.grid(alpha=0.3, which="both")
    return figure


def loss_scale(losses: Iterable[float | None]) -> str:
    """Return the scale of an axis of losses: "log", or "linear" if none is above 0, which a logarithmic axis needs."""
    return "log" if any(loss is not None and 0 < loss < math.inf for loss in losses) else "linear"


def smooth(values: list[float], reach: int = 5) -> list[float]:
    """Return the mean of each value and its neighbors, up to `reach` of them on either side.

    Values that are not finite are left out. The mean of nothing else is NaN.
    """
    windows = (values[max(0, i - reach) : i + reach + 1] for i in range(len(values)))
    finite = ([value for value in window if math.isfinite(value)] for window in windows)
    return [sum(window) / len(window) if window else math.nan for window in finite]


def save_figure(figure: "Figure", path: Path) -> Path:
    """Write a matplotlib figure as a PNG, atomically. Returns the path."""
    with replacing(path) as temporary:
        figure.savefig(temporary, format="png", dpi=120)
    return path
