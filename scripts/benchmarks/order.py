"""How fast does the sampler's error fall with more steps? Measured where the perfect answer is known.

    python docs/benchmarks/order.py

The 'pictures' are single pixels from a Gaussian, and so is the noise, with the mean and the spread of uniform noise.
Then the perfect denoiser is a formula, and so is the pixel that infinitely many steps would end on: one that starts a
number of standard deviations from the mean of the noise should end as many from the mean of the pictures. All of this
is linear. If one pixel ends a tenth nearer to the mean, all of them do, and the picture has a tenth less contrast. So
one pixel tells all, and the error is a share of contrast: below 0 is too flat, above 0 too harsh.

Why the errors fall as they do: a step would be exact if its guess were the network's answer averaged over the step.
Step size 1 takes the answer at the step's beginning and is half a step late. 2 takes the answer to be expected at its
end and is half a step early. In half a step the answer changes by something of order 1/n, so this is the error of the
guesses, and in the end that of the picture, with opposite signs for 1 and 2. 1.5 aims at the middle (Adams-Bashforth),
where the two cancel. What is left is the bend of the answers' path, of order 1/n^2.

Nearly: with k steps to go, a step replaces the share 1/k of the mix, and all these shares add up to log n. With them
the error of 1.5 falls like log n / n^2, and the order that is measured is a little below 2. On a way that ends before
level 0 it is 2 (tests/test_sampling_order.py).
"""

import math
import sys
from pathlib import Path
from statistics import linear_regression
from typing import Annotated

import matplotlib as mpl
import torch
import typer
from matplotlib.figure import Figure
from torch import Tensor, nn

from dino.common import plots
from dino.common.errors import shell_command
from dino.reports import report as reports
from dino.sampler import denoise, noise_schedule

NOISE_MEAN, NOISE_SPREAD = 0.5, 12**-0.5  # of uniform noise
MEAN, SPREAD = 0.7, 0.25  # of the pictures; any mean gives the same errors
STEP_SIZES = (1.0, 1.5, 2.0)
STEPS = (8, 16, 32, 64, 128, 256, 512, 1024)
FITTED_FROM = 64  # steps; with fewer the largest term of the error doesn't rule yet
SPREADS = tuple(0.3 * 10 ** (-k / 20) for k in range(31))  # 0.3 to 0.01
LOOKS = {1.0: ("#0072B2", "o"), 1.5: ("#009E73", "s"), 2.0: ("#D55E00", "^")}  # told apart by the color-blind


class PerfectDenoiser(nn.Module):
    """The mean of all clean pixels that a noisy one may come from, where pixels and noise are Gaussian."""

    def __init__(self, spread: float = SPREAD) -> None:
        super().__init__()
        self.spread = spread

    def forward(self, noisy: Tensor, noise_level: Tensor) -> Tensor:
        """Where a noisy pixel differs from their mean, a share of that is due to the picture, and the rest to noise."""
        picture, noise = ((1 - noise_level) * self.spread) ** 2, (noise_level * NOISE_SPREAD) ** 2  # variances
        differs = noisy - (1 - noise_level) * MEAN - noise_level * NOISE_MEAN
        return MEAN + (1 - noise_level) * self.spread**2 / (picture + noise) * differs


def contrast_error(n_steps: int, step_size: float, spread: float = SPREAD) -> float:
    """The contrast that the sampler's pictures have too much, as a share of what they should have."""
    noisy = torch.full((1, 1, 1, 1), NOISE_MEAN + NOISE_SPREAD, dtype=torch.float64)  # one standard deviation brighter
    *_, last = denoise(PerfectDenoiser(spread), noisy, noise_schedule(n_steps), step_size)
    return (last.noisy.item() - MEAN) / spread - 1


def order(errors: list[float]) -> float:
    """By which power of 1 / n the errors, one for each of STEPS, fall: the slope on logarithmic axes."""
    points = [(math.log(n), math.log(abs(error))) for n, error in zip(STEPS, errors, strict=True) if n >= FITTED_FROM]
    return -linear_regression(*zip(*points, strict=True)).slope


def measure() -> reports.Report:
    """All errors, and the orders; and for two numbers of steps the errors of finer and finer details."""
    errors = {size: [contrast_error(n, size) for n in STEPS] for size in STEP_SIZES}
    lines = [{"step_size": size, "errors": errors[size], "order": order(errors[size])} for size in STEP_SIZES]
    details = [
        {"steps": n, "step_size": size, "errors": [contrast_error(n, size, spread) for spread in SPREADS]}
        for n in (10, 100)
        for size in STEP_SIZES
    ]
    about = {"mean": MEAN, "spread": SPREAD, "noise_mean": NOISE_MEAN, "noise_spread": NOISE_SPREAD}
    return reports.circumstances(torch.device("cpu")) | about | {
        "steps": STEPS, "lines": lines, "spreads": SPREADS, "details": details,
    }  # fmt: skip


# ---- telling --------------------------------------------------------------------------------------------------------


def markdown(report: reports.Report) -> str:
    """The table: a row for each number of steps, and the orders."""
    lines = report["lines"]
    rows = [("steps", *(f"step size {line['step_size']:g}" for line in lines))]
    rows += [(str(n), *(f"{line['errors'][k]:+.4%}" for line in lines)) for k, n in enumerate(report["steps"])]
    return reports.table([*rows, ("order", *(f"{line['order']:.2f}" for line in lines))])


def facts(report: reports.Report) -> dict[str, str]:
    """What is told below the table."""
    return {
        "pixels": f"Gaussian with a spread of {report['spread']:g}, in noise with a spread of "
        f"{report['noise_spread']:.3f}; the perfect denoiser, in float64",
        "error": "the contrast at the end, less what it should be, as a share of that",
        "order": f"the slope of the errors on logarithmic axes, from {FITTED_FROM} steps on: 1 where twice the steps "
        "halve the error, 2 where they quarter it",
    }


def plot(report: reports.Report) -> Figure:
    """The size of the errors against the number of steps, and their sign and size for details of all spreads."""
    figure = Figure(figsize=(5.6, 8.6), layout="constrained")
    top, bottom = figure.subplots(2, 1)
    for line in report["lines"]:
        color, marker = LOOKS[line["step_size"]]
        label = f"step size {line['step_size']:g}: order {line['order']:.2f}"
        top.plot(report["steps"], [abs(error) for error in line["errors"]], color=color, marker=marker, label=label)
    top.set(xscale="log", yscale="log", xlabel="steps", ylabel="error of the contrast, without its sign")
    top.set_xticks(report["steps"], [str(n) for n in report["steps"]])
    top.set_xticks([], minor=True)
    top.set_title(f"More steps (spread {report['spread']:g})")
    for line in report["details"]:
        color, _ = LOOKS[line["step_size"]]
        style = "-" if line["steps"] == 100 else "--"
        label = f"size {line['step_size']:g}, {line['steps']} steps"
        bottom.plot(
            report["spreads"], [1 + error for error in line["errors"]], color=color, label=label, linestyle=style
        )
    bottom.axhline(1, color=plots.INK, linewidth=1, zorder=1)
    bottom.set(xscale="log", xlabel="spread of the pixels: small for faint details", ylabel="contrast that comes out")
    bottom.set_xticks([0.01, 0.03, 0.1, 0.3], ["0.01", "0.03", "0.1", "0.3"])
    bottom.set_title("Faint and strong details (1 is right)")
    for axes in (top, bottom):
        axes.grid(alpha=0.3, which="both")
        axes.legend()
    return figure


def main(
    out: Annotated[Path, typer.Option(help="The file for all numbers.")] = Path("docs/benchmarks/order.json"),
) -> None:
    """Measure, print the table, and write numbers, page and plot."""
    reports.check_name(out)
    report = measure() | {"command": shell_command("python", *sys.argv)}
    print(f"\n{markdown(report)}\n")
    with mpl.rc_context(plots.STYLE):
        written = reports.write(report, out, markdown(report), facts(report), plot(report))
    for path in written:
        print(f"wrote {path}")


if __name__ == "__main__":
    typer.run(main)
