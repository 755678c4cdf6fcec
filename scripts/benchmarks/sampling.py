"""Images of a trained network for several numbers of steps and step sizes, and their quality.

    python scripts/benchmarks/sampling.py runs/quick-1

Each recipe, a number of steps and a step size, draws from the same noise, so that its images differ only by the recipe.
Three things are measured of each recipe:

- distance: from real images, as `dino evaluate` measures it, in units of the distance between two groups of real ones.
- from 400 steps: the distance of the median image from the one that 400 steps draw from the same noise. In theory all
  step sizes converge to the same image as the number of steps grows. Step size 1.5 should converge soonest
  (scripts/benchmarks/order.py), so the 400 steps use that size. `convergence` measures how far to trust them.
- detail: the strength of the finest details, relative to real images. Below 1 is blurred, above 1 is sharpened.

And for each step size: how fast the error falls with more steps between level 1 and level 0.2, see `partway_errors`.

Writes the numbers, a page, a plot and a grid of images. Takes about ten minutes on one idle CPU core for a network of
the preset quick. A network of the preset full needs a GPU.
"""

import json
import os
import sys
from itertools import product
from math import log, nan
from pathlib import Path
from statistics import linear_regression, median
from typing import Annotated, Any

import matplotlib as mpl
import torch
import typer
from matplotlib.figure import Figure
from torch import Tensor, nn
from tqdm import tqdm

from dino.common.errors import DinoError, shell_command
from dino.common.grids import grid
from dino.common.plots import INK, STYLE, save_figure
from dino.data.loading import LabeledImages
from dino.evaluation import laplacian_pyramid, sliced_wasserstein
from dino.images import seeded, to_unit
from dino.reports import evaluate
from dino.reports.report import Report, check_name, environment, in_words, number, table, write
from dino.reports.symptoms import NEARLY_0
from dino.sampler import denoise
from dino.trainer.batched_sampling import BATCH, Steps, generate_batched
from dino.trainer.device import choose_device
from dino.trainer.model_file import image_shape, load_model
from dino.trainer.run_folder import find_weights

Recipe = tuple[int, float]  # number of steps, step size

STEPS, STEP_SIZES = (5, 10, 20, 50, 100), (1.0, 1.5, 2.0)
OUT = Path("docs/benchmarks/sampling.json")
USUAL: Recipe = (100, 2.0)
MANY: Recipe = (400, 1.5)
PARTWAY = 0.2  # a noise level
STEPS_PARTWAY, MANY_PARTWAY = (8, 16, 32, 64), 256
N_PARTWAY = 32  # images
SHOWN, DPI = 8, 120  # images in a row of the grid, and the pixels per inch of `save_figure`
MARKERS = {
    1.0: ("#0072B2", "o"),
    1.5: ("#009E73", "s"),
    2.0: ("#D55E00", "^"),
}  # colors that color-blind people can tell


# ---- measuring ------------------------------------------------------------------------------------------------------


def measure(
    model: nn.Module, metadata: dict[str, Any], n: int = 256, n_seeds: int = 1
) -> tuple[Report, dict[Recipe, Tensor]]:
    """Draw images with every recipe and measure them. Shows progress bars.

    Args:
        model, metadata: as `load_model` returns them.
        n: how many images each recipe draws.
        n_seeds: how many times to repeat all of it, with other noise and other groups of real images.

    Returns:
        The report, and the images of the first repetition.

    Raises:
        DinoError: if the real images can't be loaded or are all equal, or n is too small.
    """
    config, device = metadata["config"], next(model.parameters()).device
    real = evaluate.RealImages.of(config["data"], config.get("split", "train"), metadata).all
    group = evaluate.group_size(n, len(real))
    report = environment(device) | {
        "images_seen": metadata.get("images_seen"),
        "data": config["data"],
        "images": {"real": len(real), "generated": n, "seeds": n_seeds},
        "size": config["size"],
        "group": group,
    }
    repetitions = [draw_all(model, image_shape(metadata), n, seed) for seed in range(n_seeds)]
    measured = [distances(drawn, real.to(device), group, seed) for seed, drawn in enumerate(repetitions)]
    report["partway"] = partway_errors(model, image_shape(metadata))
    report["convergence"] = convergence(model, real, repetitions[0][MANY])
    report["real"] = interval(measured, "real")
    report["recipes"] = [
        {
            "steps": recipe[0],
            "step_size": recipe[1],
            "distance": interval(measured, recipe),
            "nearer": nearer(measured, recipe),
            "from_many": median(far for drawn in repetitions for far in differences(drawn[recipe], drawn[MANY])),
            "detail": ratio(detail(torch.cat([drawn[recipe] for drawn in repetitions])), detail(to_unit(real))),
        }
        for recipe in repetitions[0]
    ]
    return report | {"unknown": unknown(report)}, repetitions[0]


def unknown(report: Report) -> dict[str, str]:
    """Return why numbers of a report are unknown, by their names."""
    smooth, reasons = "the real images have no fine details", {}
    if report["recipes"][0]["detail"] is None:
        reasons["recipes.detail"] = smooth
    if report["convergence"]["sharpened"] is None:
        reasons["convergence.sharpened"] = smooth
    if any(curve["order"] is None for curve in report["partway"]):
        reasons["partway.order"] = "errors of 0 have none"
    return reasons


def draw_all(model: nn.Module, shape: tuple[int, int, int], n: int, seed: int) -> dict[Recipe, Tensor]:
    """Draw images with every recipe from the same noise: each (n, C, H, W), in [0, 1]."""
    drawn = {}
    for recipe in tqdm([*product(STEPS, STEP_SIZES), MANY], "drawing", unit=" recipes", leave=False, disable=None):
        steps = Steps.of(recipe[0], "even", recipe[1])
        drawn[recipe] = generate_batched(model, n, image_shape=shape, steps=steps, seed=seed)
    return drawn


def distances(drawn: dict[Any, Tensor], real: Tensor, group: int, seed: int) -> dict[Any, list[float]]:
    """Return the distance of each recipe's images from real ones in each draw, and that of "real" images.

    The numbers are those of `dino.reports.evaluate.distances`. Here every recipe takes part in every draw, and real
    images are compared with real images only once for all recipes, which takes half the time.

    Raises:
        DinoError: if the real images are all equal.
    """
    found: dict[Any, list[float]] = {name: [] for name in ("real", *drawn)}
    for k in tqdm(range(evaluate.N_DRAWS), "comparing", leave=False, disable=None):
        generator = seeded("cpu", seed, "groups", k)
        some = torch.randperm(len(real), generator=generator)[: 2 * group]
        one, other = to_unit(real[some.to(real.device)]).split(group)
        chosen = torch.randperm(len(next(iter(drawn.values()))), generator=generator)[:group]
        for name in found:
            images = other if name == "real" else drawn[name][chosen].to(real.device)
            found[name].append(sliced_wasserstein(one, images, generator=seeded(one.device, seed, "patches", k)))
    unit = evaluate.unit_of(found["real"])
    if unit is None:
        raise DinoError(f"distances can't be measured: {evaluate.ALL_EQUAL}. Use other images")
    return {name: [value / unit for value in values] for name, values in found.items()}


def words_to_ask(real: LabeledImages, n: int, seed: int) -> Tensor | None:
    """Return the words of n random real images, (n, n_words), or None if the images have no words."""
    if not real.vocabulary:
        return None
    chosen = torch.randperm(len(real.images), generator=seeded("cpu", seed, "words"))
    return real.words[chosen[torch.arange(n) % len(chosen)]].float()


def interval(measured: list[dict[Any, list[float]]], name: Any) -> list[float]:
    """Return the 5th percentile, the median and the 95th percentile of the draws of all repetitions."""
    draws = torch.tensor([value for each in measured for value in each[name]])
    found: list[float] = draws.quantile(torch.tensor([0.05, 0.5, 0.95])).tolist()
    return found


def in_parentheses(distance: list[float]) -> str:
    """Return an `interval` for a table: its median, and its ends in parentheses."""
    low, middle, high = distance
    return f"{middle:.2f} ({low:.2f} to {high:.2f})"


def nearer(measured: list[dict[Any, list[float]]], recipe: Recipe) -> float:
    """Return in which share of the draws a recipe is nearer to real images than the usual one, for equal groups."""
    pairs = [pair for each in measured for pair in zip(each[recipe], each[USUAL], strict=True)]
    return sum(value < usual for value, usual in pairs) / len(pairs)


def differences(images: Tensor, others: Tensor) -> list[float]:
    """Return the difference of each pair of images: the root of the mean squared difference over all pixels."""
    found: list[float] = (images - others).square().flatten(1).mean(1).sqrt().tolist()
    return found


def detail(images: Tensor) -> float:
    """Return the mean absolute value of the finest details: what images lose when they are halved and doubled again."""
    return laplacian_pyramid(images, 2)[0].abs().mean().item()


def ratio(value: float, unit: float) -> float | None:
    """Return a quotient of two numbers between black (0) and white (1), or None if it would divide by nearly 0."""
    return None if unit < NEARLY_0 else value / unit


def partway_errors(model: nn.Module, shape: tuple[int, int, int]) -> list[Report]:
    """Return, for each step size, the errors of the median image at level `PARTWAY`, and their order in 1 / n.

    Above that level the images hold enough noise for the network to do what it was trained for.
    """
    device = next(model.parameters()).device
    noise = torch.rand((N_PARTWAY, *shape), generator=seeded(device, "on the way"), device=device)

    def partway(n: int, step_size: float) -> Tensor:
        for step in denoise(model, noise, torch.linspace(1, PARTWAY, n + 1), step_size):
            noisy = step.noisy
        return noisy

    converged, found = partway(MANY_PARTWAY, MANY[1]), []
    for size in STEP_SIZES:
        errors = [median(differences(partway(n, size), converged)) for n in STEPS_PARTWAY]
        found.append({"step_size": size, "steps": STEPS_PARTWAY, "errors": errors, "order": order(errors)})
    return found


def order(errors: list[float]) -> float | None:
    """Return the order in 1 / n of errors, one for each of `STEPS_PARTWAY`. Errors of 0 have none."""
    if min(errors) <= 0:
        return None
    return -linear_regression(list(map(log, STEPS_PARTWAY)), list(map(log, errors))).slope


@torch.no_grad()
def convergence(model: nn.Module, real: Tensor, many: Tensor) -> dict[str, float | None]:
    """Measure whether the images converge with many steps, and how the network changes images without noise.

    At level 0 there is no noise to remove, and a perfect network returns its input. What a real network changes there
    and slightly above, it changes again in every step, so more steps change it more often.
    """
    (n_steps, step_size), device = MANY, next(model.parameters()).device
    few = many[:BATCH]  # a whole batch of `generate_batched`, so that the noise is the same
    half = generate_batched(model, len(few), image_shape=few.shape[1:], steps=Steps.of(n_steps // 2, "even", step_size))
    clean = to_unit(real[torch.randperm(len(real), generator=seeded("cpu", "steadiness"))[:BATCH]])
    prediction = model(clean.to(device), torch.zeros(1, 1, 1, 1, device=device)).cpu()
    return {
        "moved": median(differences(few, half)),
        "changed": median(differences(prediction, clean)),
        "sharpened": ratio(detail(prediction), detail(clean)),
    }


# ---- printing and writing -------------------------------------------------------------------------------------------


def markdown(report: Report) -> str:
    """Return the table: a row for each recipe."""
    rows = [("steps", "size", "distance", "90% of draws", "nearer", f"from {MANY[0]} steps", "detail")]
    for recipe in report["recipes"]:
        low, middle, high = recipe["distance"]
        usual = (recipe["steps"], recipe["step_size"]) == USUAL
        rows.append((
            f"{recipe['steps']}", f"{recipe['step_size']:g}", f"{middle:.2f}", f"{low:.2f} to {high:.2f}",
            "-" if usual else f"{recipe['nearer']:.0%}", f"{recipe['from_many']:.3f}", number(recipe["detail"], ".2f"),
        ))  # fmt: skip
    return table(rows)


def facts(report: Report) -> dict[str, str]:
    """Return the sentences below the table, by their labels."""
    n, converged, (low, _, high) = report["images"], report["convergence"], report["real"]
    times = f", {n['seeds']} times" if n["seeds"] > 1 else ""
    sentences = {
        "images": f"{n['real']:,} of {report['data']}, {report['size']} x {report['size']}; each recipe drew "
        f"{n['generated']:,}{times}, from the same noise",
        "distance": "from real images, in units of the distance between real images, in groups of "
        f"{report['group']}; 90% of draws of real images are {low:.2f} to {high:.2f}",
        "nearer": "the share of draws in which the recipe is nearer to real images than "
        f"{USUAL[0]} steps of size {USUAL[1]:g}",
        f"from {MANY[0]} steps": f"the distance of the median image from that of {MANY[0]} steps of size {MANY[1]:g}, "
        f"which is itself {converged['moved']:.3f} from that of half as many steps",
        "detail": "the strength of the finest details, relative to real images",
        "without noise": f"the network changes a clean image by {converged['changed']:.3f}, and makes its details "
        f"{number(converged['sharpened'], '.2f')} times as strong; a perfect network would change nothing",
    }
    for curve in report["partway"]:
        errors, steps = ", ".join(f"{error:.4f}" for error in curve["errors"]), ", ".join(map(str, curve["steps"]))
        sentences[f"partway, size {curve['step_size']:g}"] = (
            f"at level {PARTWAY:g} the error of the median noisy image is {errors} after {steps} steps: order "
            f"{number(curve['order'], '.2f')}"
        )
    if report.get("unknown"):
        sentences["unknown"] = in_words(report["unknown"])
    return sentences


def plot(report: Report) -> Figure:
    """Plot the three measures against the number of steps, a curve for each step size."""
    figure = Figure(figsize=(5.2, 10.5), layout="constrained")
    top, middle, bottom = figure.subplots(3, 1)
    for k, (size, (color, marker)) in enumerate(MARKERS.items()):
        recipes = [each for each in report["recipes"] if each["step_size"] == size and each["steps"] in STEPS]
        style = {"color": color, "marker": marker, "label": f"step size {size:g}"}
        steps = [recipe["steps"] for recipe in recipes]
        low, best, high = torch.tensor([recipe["distance"] for recipe in recipes]).T
        beside = [n * 1.06 ** (k - 1) for n in steps]  # because the bars would hide each other
        top.errorbar(beside, best, yerr=torch.stack([best - low, high - best]), capsize=3, **style)
        from_many = [recipe["from_many"] for recipe in recipes]
        middle.plot(steps, from_many, **(style | {"label": None}))  # the legend of the top plot is enough
        details = [nan if recipe["detail"] is None else recipe["detail"] for recipe in recipes]
        bottom.plot(steps, details, **style)
    low, _, high = report["real"]
    top.axhspan(low, high, color=INK, alpha=0.25, linewidth=0, label="real images")
    half = {"color": INK, "linestyle": ":", "label": f"{MANY[0] // 2} steps of size {MANY[1]:g}"}
    middle.axhline(report["convergence"]["moved"], **half)
    bottom.axhline(1, color=INK, linestyle=":", label="real images")
    _label(top, middle, bottom)
    return figure


def _label(top: Any, middle: Any, bottom: Any) -> None:
    top.set(title="Distance from real images", ylabel="relative to real images")
    middle.set(title=f"Distance from the images of {MANY[0]} steps", ylabel="1: black from white", yscale="log")
    ticks = (0.01, 0.02, 0.05, 0.1, 0.2)
    middle.set_yticks(ticks, map(str, ticks))
    middle.set_yticks([], minor=True)
    bottom.set(title="Finest details", ylabel="relative to real images")
    for axes, corner in ((top, "upper right"), (middle, "upper right"), (bottom, "lower right")):
        axes.set(xscale="log", xlabel="steps")
        axes.set_xticks(STEPS, map(str, STEPS))
        axes.set_xticks([], minor=True)
        axes.grid(alpha=0.3, which="both")
        axes.legend(loc=corner, title="bars: 90% of draws" if axes is top else None)


def image_grid(drawn: dict[Recipe, Tensor]) -> Figure:
    """Lay out the first images of every recipe: a block for each step size, with a row for each number of steps.

    Images in one column start from the same noise. Pixels are drawn one to one, which also keeps the file small.
    """
    blocks = [[recipe for recipe in drawn if recipe[1] == size] for size in STEP_SIZES]
    grids = [
        (recipes, grid(torch.cat([drawn[recipe][:SHOWN] for recipe in recipes]), columns=SHOWN)) for recipes in blocks
    ]
    left, above = 95, 36  # in pixels
    width, height = left + grids[0][1].width, sum(above + block.height for _, block in grids)
    figure, down = Figure(figsize=(width / DPI, height / DPI)), 0
    for recipes, block in grids:
        down += above + block.height
        axes = figure.add_axes((left / width, 1 - down / height, block.width / width, block.height / height))
        axes.imshow(block, aspect="auto", interpolation="nearest")
        axes.set_title(f"step size {recipes[0][1]:g}", pad=4)
        rows = [block.height * (row + 0.5) / len(recipes) for row in range(len(recipes))]
        axes.set(xticks=[], yticks=rows, yticklabels=[f"{n} steps" for n, _ in recipes])
        axes.tick_params(length=0)
        axes.spines[:].set_visible(False)
    return figure


def main(
    weights: Annotated[
        Path, typer.Argument(metavar="RUN|WEIGHTS", help="A run folder or a weights file; or 'pretrained'.")
    ],
    n: Annotated[int, typer.Option("-n", min=1, help="How many images to draw with each recipe.")] = 256,
    seeds: Annotated[int, typer.Option(min=1, help="How many times to repeat it all, with other noise.")] = 1,
    out: Annotated[
        Path, typer.Option(help="The JSON file for all numbers. A page, a plot and a grid of images go beside it.")
    ] = OUT,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:1, mps ...")] = "auto",
    redraw: Annotated[bool, typer.Option("--redraw", help="Measure nothing, and plot the existing numbers.")] = False,
) -> None:
    """Measure, print the table, and write numbers, page, plot and images."""
    check_name(out)
    model, metadata = load_model(find_weights(weights)[0], choose_device(device))
    if redraw:
        report = json.loads(out.read_text(encoding="utf-8"))
        drawn = draw_all(model, image_shape(metadata), SHOWN, seed=0)
    else:
        report, drawn = measure(model, metadata, n, seeds)
        report["command"] = shell_command("python", os.path.relpath(sys.argv[0]), *sys.argv[1:])
    print(f"\n{markdown(report)}\n")
    with mpl.rc_context(STYLE):
        written = write(report, out, markdown(report), facts(report), plot(report))
        figure = image_grid(drawn)
    figure.set_facecolor("white")  # readable on dark pages, too
    written.append(save_figure(figure, out.with_name(f"{out.stem}-pictures.png")))
    for path in written:
        print(f"wrote {path}")


if __name__ == "__main__":
    typer.run(main)
