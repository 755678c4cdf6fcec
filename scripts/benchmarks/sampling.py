"""How many sampling steps, and how far to lean? Pictures of a trained network, for several of both, and their quality.

    python docs/benchmarks/sampling.py runs/quick-1

Each recipe, a number of steps and a step size, draws from the same noise, so that pictures differ by what is compared
and not by luck. Three things are measured of each:

- distance: from real pictures, as `dino evaluate` measures it, in units of how far two groups of real ones are apart.
- from 400 steps: how far a picture is from the one that 400 steps draw from the same noise, in the median. In theory
  every step size comes to the same picture as the steps grow many. 1.5 should come there soonest
  (docs/benchmarks/order.py), so that is the size of the 400. How far to trust them is measured, too: see `steadiness`.
- detail: how strong the finest details are, over what they are in real pictures. Below 1 is blurred, above 1 sharpened.

And once for each step size, how fast the error falls with more steps on the way to level 0.2: see `on_the_way`.

Writes the numbers, a page, a plot and a sheet of pictures. A network of the preset quick takes about ten minutes on one
CPU core that does nothing else; one of the preset full wants a GPU.
"""

import json
import sys
from itertools import product
from math import log
from pathlib import Path
from statistics import linear_regression, median
from typing import Annotated, Any

import matplotlib as mpl
import torch
import typer
from matplotlib.figure import Figure
from torch import Tensor, nn
from tqdm.auto import tqdm

from dino.common import grids, plots
from dino.common.errors import DinoError, shell_command
from dino.evaluation import laplacian_pyramid, sliced_wasserstein
from dino.images import seeded, to_unit
from dino.reports import evaluate
from dino.reports import report as reports
from dino.reports.report import Report
from dino.sampler import denoise
from dino.trainer.batched_sampling import AT_ONCE, draw
from dino.trainer.device import choose_device
from dino.trainer.model_file import load_model, shape_of
from dino.trainer.run_folder import find_weights

Recipe = tuple[int, float]  # number of steps, step size

STEPS, STEP_SIZES = (5, 10, 20, 50, 100), (1.0, 1.5, 2.0)
OUT = Path("docs/benchmarks/sampling.json")
USUAL: Recipe = (100, 2.0)
MANY: Recipe = (400, 1.5)
PARTWAY = 0.2  # a noise level
STEPS_PARTWAY, MANY_PARTWAY = (8, 16, 32, 64), 256
N_PARTWAY = 32  # pictures
SHOWN, DPI = 8, 120  # pictures in a row of the sheet, and the pixels in an inch of `save_figure`
LOOKS = {1.0: ("#0072B2", "o"), 1.5: ("#009E73", "s"), 2.0: ("#D55E00", "^")}  # told apart by the color-blind


# ---- measuring ------------------------------------------------------------------------------------------------------


def measure(
    model: nn.Module, about: dict[str, Any], n: int = 256, n_seeds: int = 1
) -> tuple[Report, dict[Recipe, Tensor]]:
    """Draw and measure with every recipe, behind progress bars.

    Args:
        model, about: as from `dino.weights.load_model`.
        n: how many pictures each recipe draws.
        n_seeds: how many times all of it is done, from other noise and with other groups of real pictures.

    Returns:
        The report, and the pictures of the first time.

    Raises:
        DinoError: the real pictures can't be loaded, or too few are to be drawn.
    """
    config, device = about["config"], next(model.parameters()).device
    real = evaluate.Real.of(config["data"], config.get("split", "train"), about).all
    group = min(evaluate.GROUP, len(real) // 2)
    if n < group:
        raise DinoError(f"pictures are compared {group} with {group}, so draw at least as many: -n {group}")
    report = reports.circumstances(device) | {
        "images_seen": about.get("images_seen"),
        "data": config["data"],
        "pictures": {"real": len(real), "generated": n, "seeds": n_seeds},
        "size": config["size"],
        "group": group,
    }
    times = [draw_all(model, shape_of(about), n, seed) for seed in range(n_seeds)]
    apart = [distances(drawn, real.to(device), group, seed) for seed, drawn in enumerate(times)]
    report["on_the_way"] = on_the_way(model, shape_of(about))
    report["steadiness"] = steadiness(model, real, times[0][MANY])
    report["real"] = interval(apart, "real")
    report["lines"] = [
        {
            "steps": recipe[0],
            "step_size": recipe[1],
            "distance": interval(apart, recipe),
            "nearer": nearer(apart, recipe),
            "from_many": median(far for drawn in times for far in differences(drawn[recipe], drawn[MANY])),
            "detail": detail(torch.cat([drawn[recipe] for drawn in times])) / detail(to_unit(real)),
        }
        for recipe in times[0]
    ]
    return report, times[0]


def draw_all(model: nn.Module, shape: tuple[int, int, int], n: int, seed: int) -> dict[Recipe, Tensor]:
    """Pictures by every recipe from the same noise: each (n, C, H, W), in [0, 1]."""
    recipes = [*product(STEPS, STEP_SIZES), MANY]
    bar = tqdm(recipes, "drawing", unit=" recipes", leave=False, disable=None)
    return {(k, size): draw(model, n, image_shape=shape, n_steps=k, step_size=size, seed=seed) for k, size in bar}


def distances(drawn: dict[Recipe, Tensor], real: Tensor, group: int, seed: int) -> dict[Any, list[float]]:
    """The distance of each recipe's pictures from real ones in each draw, and that of "real" ones from real ones.

    The numbers are those of `dino.evaluate.distances`. But here every recipe takes part in every draw, and real
    pictures are compared with real ones once for all of them, which takes half the time.
    """
    apart: dict[Any, list[float]] = {name: [] for name in ("real", *drawn)}
    for k in tqdm(range(evaluate.N_DRAWS), "comparing", leave=False, disable=None):
        chance = seeded("cpu", seed, "groups", k)
        some = torch.randperm(len(real), generator=chance)[: 2 * group]
        one, other = to_unit(real[some.to(real.device)]).split(group)
        chosen = torch.randperm(len(drawn[MANY]), generator=chance)[:group]
        for name in apart:
            images = other if name == "real" else drawn[name][chosen].to(real.device)
            apart[name].append(sliced_wasserstein(one, images, generator=seeded(one.device, seed, "patches", k)))
    unit = max(median(apart["real"]), 1e-9)  # 0 where all real pictures are one and the same
    return {name: [value / unit for value in values] for name, values in apart.items()}


def interval(apart: list[dict[Any, list[float]]], name: Recipe | str) -> list[float]:
    """Of the draws of all times the 5th percentile, the median, and the 95th percentile."""
    draws = torch.tensor([value for each in apart for value in each[name]])
    found: list[float] = draws.quantile(torch.tensor([0.05, 0.5, 0.95])).tolist()
    return found


def nearer(apart: list[dict[Any, list[float]]], recipe: Recipe) -> float:
    """In which share of the draws, of the same groups, this recipe is nearer to real pictures than the usual one."""
    pairs = [pair for each in apart for pair in zip(each[recipe], each[USUAL], strict=True)]
    return sum(value < usual for value, usual in pairs) / len(pairs)


def differences(images: Tensor, others: Tensor) -> list[float]:
    """How far each picture is from its other: the root of the mean squared difference over all pixels."""
    found: list[float] = (images - others).square().flatten(1).mean(1).sqrt().tolist()
    return found


def detail(images: Tensor) -> float:
    """The mean size of the finest details: of what is lost when pictures are halved and doubled again."""
    return laplacian_pyramid(images, 2)[0].abs().mean().item()


def on_the_way(model: nn.Module, shape: tuple[int, int, int]) -> list[Report]:
    """For each step size the errors at level `PARTWAY`, of the median picture, and by which power of 1 / n they fall.

    Down to there the pictures hold noise enough for the network to do what it was trained for.
    """
    device = next(model.parameters()).device
    noise = torch.rand((N_PARTWAY, *shape), generator=seeded(device, "on the way"), device=device)

    def arrive(n: int, step_size: float) -> Tensor:
        for step in denoise(model, noise, torch.linspace(1, PARTWAY, n + 1), step_size):
            mix = step.noisy
        return mix

    settled, told = arrive(MANY_PARTWAY, MANY[1]), []
    for size in STEP_SIZES:
        errors = [max(1e-9, median(differences(arrive(n, size), settled))) for n in STEPS_PARTWAY]
        slope = linear_regression(list(map(log, STEPS_PARTWAY)), list(map(log, errors))).slope
        told.append({"step_size": size, "steps": STEPS_PARTWAY, "errors": errors, "order": -slope})
    return told


@torch.no_grad()
def steadiness(model: nn.Module, real: Tensor, many: Tensor) -> dict[str, float]:
    """Do the pictures settle as the steps grow many? And what the network does to pictures that are clean already.

    At level 0 there is no noise to remove, and a perfect network answers what it is shown. What a real one changes
    there, and just above, it changes in step after step, the more often the more steps there are.
    """
    (n_steps, step_size), device = MANY, next(model.parameters()).device
    few = many[:AT_ONCE]  # a whole batch of `draw`, so that the noise is the same
    half = draw(model, len(few), image_shape=few.shape[1:], n_steps=n_steps // 2, step_size=step_size)
    clean = to_unit(real[torch.randperm(len(real), generator=seeded("cpu", "steadiness"))[:AT_ONCE]])
    answer = model(clean.to(device), torch.zeros(1, 1, 1, 1, device=device)).cpu()
    return {
        "moved": median(differences(few, half)),
        "changed": median(differences(answer, clean)),
        "sharpened": detail(answer) / detail(clean),
    }


# ---- telling --------------------------------------------------------------------------------------------------------


def markdown(report: Report) -> str:
    """The table: a row for each recipe."""
    rows = [("steps", "size", "distance", "90% of draws", "nearer", f"from {MANY[0]} steps", "detail")]
    for line in report["lines"]:
        low, middle, high = line["distance"]
        usual = (line["steps"], line["step_size"]) == USUAL
        rows.append((
            f"{line['steps']}", f"{line['step_size']:g}", f"{middle:.2f}", f"{low:.2f} to {high:.2f}",
            "-" if usual else f"{line['nearer']:.0%}", f"{line['from_many']:.3f}", f"{line['detail']:.2f}",
        ))  # fmt: skip
    return reports.table(rows)


def facts(report: Report) -> dict[str, str]:
    """What is told below the table."""
    n, steady, (low, _, high) = report["pictures"], report["steadiness"], report["real"]
    times = f", {n['seeds']} times" if n["seeds"] > 1 else ""
    told = {
        "pictures": f"{n['real']:,} of {report['data']}, {report['size']} x {report['size']}; each recipe drew "
        f"{n['generated']:,}{times}, from the same noise",
        "distance": f"from real pictures, in units of that between real pictures, in groups of {report['group']}; of "
        f"real ones, 90% of draws are {low:.2f} to {high:.2f}",
        "nearer": f"in how many of the draws it is nearer to real pictures than {USUAL[0]} steps of size {USUAL[1]:g}",
        f"from {MANY[0]} steps": f"how far the median picture is from that of {MANY[0]} steps of size {MANY[1]:g}; "
        f"those are {steady['moved']:.3f} from the pictures of half as many steps",
        "detail": "the finest details over those of real pictures",
        "without noise": f"the network changes a clean picture by {steady['changed']:.3f}, and makes its details "
        f"{steady['sharpened']:.2f} times as strong; a perfect one would change nothing",
    }
    for line in report["on_the_way"]:
        errors, steps = ", ".join(f"{error:.4f}" for error in line["errors"]), ", ".join(map(str, line["steps"]))
        told[f"on the way, size {line['step_size']:g}"] = (
            f"at level {PARTWAY:g} the median mix is off by {errors} after {steps} steps: order {line['order']:.2f}"
        )
    return told


def plot(report: Report) -> Figure:
    """The three measures against the number of steps, a curve for each step size."""
    figure = Figure(figsize=(5.2, 10.5), layout="constrained")
    top, middle, bottom = figure.subplots(3, 1)
    for k, (size, (color, marker)) in enumerate(LOOKS.items()):
        lines = [line for line in report["lines"] if line["step_size"] == size and line["steps"] in STEPS]
        looks = {"color": color, "marker": marker, "label": f"step size {size:g}"}
        steps = [line["steps"] for line in lines]
        low, best, high = torch.tensor([line["distance"] for line in lines]).T
        beside = [n * 1.06 ** (k - 1) for n in steps]  # or the bars would hide each other
        top.errorbar(beside, best, yerr=torch.stack([best - low, high - best]), capsize=3, **looks)
        middle.plot(steps, [line["from_many"] for line in lines], **(looks | {"label": None}))  # it would hide a curve
        bottom.plot(steps, [line["detail"] for line in lines], **looks)
    low, _, high = report["real"]
    top.axhspan(low, high, color=plots.INK, alpha=0.25, linewidth=0, label="real pictures")
    unsure = {"color": plots.INK, "linestyle": ":", "label": f"{MANY[0] // 2} steps of size {MANY[1]:g}"}
    middle.axhline(report["steadiness"]["moved"], **unsure)
    bottom.axhline(1, color=plots.INK, linestyle=":", label="real pictures")
    top.set(title="Distance from real pictures", ylabel="in units of real ones")
    middle.set(title=f"Distance from the pictures of {MANY[0]} steps", ylabel="1 is black from white", yscale="log")
    ticks = (0.01, 0.02, 0.05, 0.1, 0.2)
    middle.set_yticks(ticks, map(str, ticks))
    middle.set_yticks([], minor=True)
    bottom.set(title="Finest details", ylabel="over those of real pictures")
    for axes, corner in ((top, "upper right"), (middle, "upper right"), (bottom, "lower right")):
        axes.set(xscale="log", xlabel="steps")
        axes.set_xticks(STEPS, map(str, STEPS))
        axes.set_xticks([], minor=True)
        axes.grid(alpha=0.3, which="both")
        axes.legend(loc=corner, title="bars: 90% of draws" if axes is top else None)
    return figure


def sheet(drawn: dict[Recipe, Tensor]) -> Figure:
    """The first pictures of every recipe: a block for each step size, and in it a row for each number of steps.

    The same noises are in the same columns. The pictures' pixels are kept as they are, which makes the file small, too.
    """
    blocks = [[recipe for recipe in drawn if recipe[1] == size] for size in STEP_SIZES]
    grids = [
        (recipes, grids.grid(torch.cat([drawn[recipe][:SHOWN] for recipe in recipes]), columns=SHOWN))
        for recipes in blocks
    ]
    left, above = 95, 36  # in pixels
    width, height = left + grids[0][1].width, sum(above + grid.height for _, grid in grids)
    figure, down = Figure(figsize=(width / DPI, height / DPI)), 0
    for recipes, grid in grids:
        down += above + grid.height
        axes = figure.add_axes((left / width, 1 - down / height, grid.width / width, grid.height / height))
        axes.imshow(grid, aspect="auto", interpolation="nearest")
        axes.set_title(f"step size {recipes[0][1]:g}", pad=4)
        rows = [grid.height * (row + 0.5) / len(recipes) for row in range(len(recipes))]
        axes.set(xticks=[], yticks=rows, yticklabels=[f"{n} steps" for n, _ in recipes])
        axes.tick_params(length=0)
        axes.spines[:].set_visible(False)
    return figure


def main(
    weights: Annotated[
        Path, typer.Argument(metavar="RUN|WEIGHTS", help="A run folder or a weights file; or 'shipped'.")
    ],
    n: Annotated[int, typer.Option("-n", min=1, help="How many pictures to draw with each recipe.")] = 256,
    seeds: Annotated[int, typer.Option(min=1, help="How many times to do all of it, from other noise.")] = 1,
    out: Annotated[Path, typer.Option(help="The file for all numbers; page, plot and pictures go beside it.")] = OUT,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:1, mps ...")] = "auto",
    redraw: Annotated[bool, typer.Option("--redraw", help="Measure nothing; draw what was measured anew.")] = False,
) -> None:
    """Measure, print the table, and write numbers, page, plot and pictures."""
    reports.check_name(out)
    model, about = load_model(find_weights(weights)[0], choose_device(device))
    if redraw:
        report, drawn = json.loads(out.read_text()), draw_all(model, shape_of(about), SHOWN, seed=0)
    else:
        report, drawn = measure(model, about, n, seeds)
        report["command"] = shell_command("python", *sys.argv)
    print(f"\n{markdown(report)}\n")
    with mpl.rc_context(plots.STYLE):
        written = reports.write(report, out, markdown(report), facts(report), plot(report))
        written.append(plots.save_figure(sheet(drawn), out.with_name(f"{out.stem}-pictures.png")))
    for path in written:
        print(f"wrote {path}")


if __name__ == "__main__":
    typer.run(main)
