"""The order of the sampler: how fast its error falls with more steps, measured where the exact result is known.

    python scripts/benchmarks/order.py

The "images" are single pixels from a Gaussian. The noise is Gaussian too, with the mean and the standard deviation of
uniform noise. The perfect denoiser is then a formula, and so is the exact result: a pixel that starts k standard
deviations from the mean of the noise should end k standard deviations from the mean of the images. All of this is
linear. If one pixel ends a tenth closer to the mean, all pixels do, and the image has a tenth less contrast. One pixel
is therefore enough, and its error is a fraction of the contrast: below 0 is too flat, above 0 is too harsh.

Why the errors fall as they do: a step would be exact if it used the average of the network's predictions over the step.
Step size 1 uses the prediction at the beginning of the step, which is half a step late. Step size 2 extrapolates to the
end of the step, which is half a step early. In half a step the prediction changes by O(1/n). This is the error of each
step's estimate, and in the end that of the image, with opposite signs for 1 and 2. Step size 1.5 aims at the middle of
the step (Adams-Bashforth), where the two errors cancel. What is left comes from the curvature of the predictions' path,
and is O(1/n^2).

The measured order of 1.5 is slightly below 2. With k steps to go, a step replaces the fraction 1/k of the noisy image,
and all these fractions add up to log n. The error of 1.5 therefore falls like log n / n^2. On a schedule that ends
above level 0 the order is 2 (tests/test_sampling_order.py).
"""

import math
import os
import sys
from pathlib import Path
from statistics import linear_regression
from typing import Annotated

import matplotlib as mpl
import torch
import typer
from matplotlib.figure import Figure
from torch import Tensor, nn

from dino.common.errors import shell_command
from dino.common.plots import INK, STYLE
from dino.reports.report import Report, check_name, environment, table, write
from dino.sampler import denoise, noise_schedule

NOISE_MEAN, NOISE_STD = 0.5, 12**-0.5  # of uniform noise
MEAN, STD = 0.7, 0.25  # of the pixels; the mean doesn't change the errors
STEP_SIZES = (1.0, 1.5, 2.0)
STEPS = (8, 16, 32, 64, 128, 256, 512, 1024)
FITTED_FROM = 64  # steps; with fewer steps the leading term of the error doesn't dominate yet
STDS = tuple(0.3 * 10 ** (-k / 20) for k in range(31))  # 0.3 to 0.01
MARKERS = {
    1.0: ("#0072B2", "o"),
    1.5: ("#009E73", "s"),
    2.0: ("#D55E00", "^"),
}  # colors that color-blind people can tell


# ---- measuring ------------------------------------------------------------------------------------------------------


class PerfectDenoiser(nn.Module):
    """The denoiser with the lowest possible loss: the mean of all clean pixels that a noisy pixel may come from."""

    def __init__(self, std: float = STD) -> None:
        super().__init__()
        self.std = std

    def forward(self, noisy: Tensor, noise_level: Tensor) -> Tensor:
        """Attribute to the image its share of the variance in a noisy pixel's deviation from the mean."""
        image, noise = ((1 - noise_level) * self.std) ** 2, (noise_level * NOISE_STD) ** 2  # variances
        deviation = noisy - (1 - noise_level) * MEAN - noise_level * NOISE_MEAN
        return MEAN + (1 - noise_level) * self.std**2 / (image + noise) * deviation


def contrast_error(n_steps: int, step_size: float, std: float = STD) -> float:
    """Return the excess contrast of the sampler's images, as a fraction of the correct contrast."""
    noisy = torch.full((1, 1, 1, 1), NOISE_MEAN + NOISE_STD, dtype=torch.float64)  # one standard deviation brighter
    *_, last = denoise(PerfectDenoiser(std), noisy, noise_schedule(n_steps), step_size)
    return (last.noisy.item() - MEAN) / std - 1


def order(errors: list[float]) -> float:
    """Return the order of errors, one for each of `STEPS`: the power of 1 / n by which they fall.

    It is the slope of the errors on logarithmic axes.
    """
    points = [(math.log(n), math.log(abs(error))) for n, error in zip(STEPS, errors, strict=True) if n >= FITTED_FROM]
    return -linear_regression(*zip(*points, strict=True)).slope


def measure() -> Report:
    """Measure the errors and the orders of all step sizes, and the errors of fainter and fainter details."""
    errors = {size: [contrast_error(n, size) for n in STEPS] for size in STEP_SIZES}
    curves = [{"step_size": size, "errors": errors[size], "order": order(errors[size])} for size in STEP_SIZES]
    details = [
        {"steps": n, "step_size": size, "errors": [contrast_error(n, size, std) for std in STDS]}
        for n in (10, 100)
        for size in STEP_SIZES
    ]
    distributions = {"mean": MEAN, "std": STD, "noise_mean": NOISE_MEAN, "noise_std": NOISE_STD}
    return environment(torch.device("cpu")) | distributions | {
        "steps": STEPS, "curves": curves, "stds": STDS, "details": details,
    }  # fmt: skip


# ---- printing and writing -------------------------------------------------------------------------------------------


def markdown(report: Report) -> str:
    """Return the table: a row for each number of steps, and the orders."""
    curves = report["curves"]
    rows = [("steps", *(f"step size {curve['step_size']:g}" for curve in curves))]
    rows += [(str(n), *(f"{curve['errors'][k]:+.4%}" for curve in curves)) for k, n in enumerate(report["steps"])]
    return table([*rows, ("order", *(f"{curve['order']:.2f}" for curve in curves))])


def facts(report: Report) -> dict[str, str]:
    """Return the sentences below the table, by their labels."""
    return {
        "pixels": f"Gaussian with a standard deviation of {report['std']:g}, in noise with a standard deviation of "
        f"{report['noise_std']:.3f}; the perfect denoiser, in float64",
        "error": "the contrast of the result minus the correct contrast, as a fraction of the correct contrast",
        "order": f"the slope of the errors on logarithmic axes, from {FITTED_FROM} steps on: at order 1, twice the "
        "steps halve the error; at order 2, they quarter it",
    }


def plot(report: Report) -> Figure:
    """Plot the size of the errors by the number of steps, and the contrast of details of all strengths."""
    figure = Figure(figsize=(5.6, 8.6), layout="constrained")
    top, bottom = figure.subplots(2, 1)
    for curve in report["curves"]:
        color, marker = MARKERS[curve["step_size"]]
        label = f"step size {curve['step_size']:g}: order {curve['order']:.2f}"
        top.plot(report["steps"], [abs(error) for error in curve["errors"]], color=color, marker=marker, label=label)
    top.set(xscale="log", yscale="log", xlabel="steps", ylabel="absolute error of the contrast")
    top.set_xticks(report["steps"], [str(n) for n in report["steps"]])
    top.set_xticks([], minor=True)
    top.set_title(f"More steps (standard deviation {report['std']:g})")
    for curve in report["details"]:
        color, _ = MARKERS[curve["step_size"]]
        style = "-" if curve["steps"] == 100 else "--"
        label = f"size {curve['step_size']:g}, {curve['steps']} steps"
        contrasts = [1 + error for error in curve["errors"]]
        bottom.plot(report["stds"], contrasts, color=color, label=label, linestyle=style)
    bottom.axhline(1, color=INK, linewidth=1, zorder=1)
    bottom.set(xscale="log", xlabel="standard deviation of the pixels (small: faint details)", ylabel="contrast")
    bottom.set_xticks([0.01, 0.03, 0.1, 0.3], ["0.01", "0.03", "0.1", "0.3"])
    bottom.set_title("Faint and strong details (1 is correct)")
    for axes in (top, bottom):
        axes.grid(alpha=0.3, which="both")
        axes.legend()
    return figure


def main(
    out: Annotated[Path, typer.Option(help="The JSON file for all numbers. A page and a plot go beside it.")] = Path(
        "docs/benchmarks/order.json"
    ),
) -> None:
    """Measure, print the table, and write numbers, page and plot."""
    check_name(out)
    report = measure() | {"command": shell_command("python", os.path.relpath(sys.argv[0]), *sys.argv[1:])}
    print(f"\n{markdown(report)}\n")
    with mpl.rc_context(STYLE):
        written = write(report, out, markdown(report), facts(report), plot(report))
    for path in written:
        print(f"wrote {path}")


if __name__ == "__main__":
    typer.run(main)
