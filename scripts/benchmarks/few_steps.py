"""Few steps: the distance to real images against the number of steps, their spacing and their size.

    python -m scripts.benchmarks.few_steps pretrained-32 --json docs/benchmarks/few-steps.json

Every recipe draws from the same noise, and the same groups of real images take part in every comparison. With `uv run
--with diffusers`, the sampler DPM-Solver++(2M) of that library draws with the same network, as a check from outside.
"""

import importlib.util
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import torch
import typer
from torch import Tensor, nn
from tqdm import tqdm

from dino.common.plots import STYLE
from dino.data.loading import load_labeled_images
from dino.few_steps import euler_at_final, step_sizes, warped_schedule
from dino.reports.evaluate import GROUP, N_DRAWS, group_size
from dino.reports.report import Report, environment, table
from dino.reports.report import write as write_report
from dino.sampler import noise_schedule
from dino.steering import asking
from dino.trainer.batched_sampling import Steps, Wishes, generate_batched
from dino.trainer.model_file import image_shape, load_model, vocabulary
from dino.trainer.run_folder import find_weights

from .sampling import distances, in_parentheses, interval, words_to_ask

if TYPE_CHECKING:
    from matplotlib.figure import Figure

N_STEPS = (4, 6, 8, 10, 15, 20, 50, 100)
SPACINGS = ("even", "warp 0.5")
Size = float | str
SIZES: tuple[Size, ...] = (1.0, 1.5, 2.0, "exact", "exact, then 1")
GUIDANCE = 1.0  # so that nothing but the steps differs

Recipe = tuple[str, int, Size]  # spacing or name, number of steps, step size


def draw(
    model: nn.Module, recipe: Recipe, shape: tuple[int, int, int], words: Tensor | None, n: int, seed: int
) -> Tensor:
    """Draw n images with a recipe: (n, C, H, W), in [0, 1]."""
    name, n_steps, size = recipe
    if name == "DPM-Solver++":
        return dpm_solver(model, n_steps, shape, words, n, seed, euler_at_final=size == "exact, then 1")
    schedule = noise_schedule(n_steps) if name == "even" else warped_schedule(n_steps, float(name.split()[1]))
    sizes = size if isinstance(size, float) else step_sizes(schedule)
    steps = Steps(schedule, euler_at_final(step_sizes(schedule)) if size == "exact, then 1" else sizes)
    return generate_batched(model, n, image_shape=shape, steps=steps, wishes=Wishes(words, GUIDANCE), seed=seed)


@torch.no_grad()
def dpm_solver(
    model: nn.Module,
    n_steps: int,
    shape: tuple[int, int, int],
    words: Tensor | None,
    n: int,
    seed: int,
    *,
    euler_at_final: bool,
) -> Tensor:
    """Draw with DPM-Solver++(2M) of the library diffusers, at the levels of the warped schedule."""
    from diffusers import DPMSolverMultistepScheduler

    generator = torch.Generator().manual_seed(seed)
    levels = warped_schedule(n_steps)
    parts = []
    for first in range(0, n, 64):  # as `generate_batched`, so that the noise is the same
        noisy = torch.rand((min(64, n - first), *shape), generator=generator)
        rows = None if words is None else words[first : first + len(noisy)]
        denoiser = model if rows is None else asking(model, rows, GUIDANCE)
        solver: Any = DPMSolverMultistepScheduler(
            solver_order=2, algorithm_type="dpmsolver++", prediction_type="sample", use_flow_sigmas=True,
            final_sigmas_type="zero", lower_order_final=False, euler_at_final=euler_at_final,
        )  # fmt: skip
        solver.set_timesteps(n_steps)
        solver.sigmas = levels.clone()
        for level, timestep in zip(levels[:-1], solver.timesteps, strict=True):
            denoised = denoiser(noisy, level.view(1, 1, 1, 1))
            noisy = solver.step(denoised, timestep, noisy).prev_sample
        parts.append(noisy.clamp(0, 1))
    return torch.cat(parts)


def measure(path: Path, n: int, n_seeds: int) -> Report:
    """Draw with every recipe and measure the distance of the images to real ones.

    Args:
        path: a run folder or a weights file.
        n: how many images each recipe draws.
        n_seeds: how many times to repeat it with other noise and other groups.

    Raises:
        DinoError: if n is too small, or the real images are all equal.
    """
    model, metadata = load_model(path)
    shape, config = image_shape(metadata), metadata["config"]
    real = load_labeled_images(config["data"], shape[-1], channels=shape[0], vocabulary=vocabulary(metadata))
    group = group_size(n, len(real.images))
    recipes: list[Recipe] = list(product(SPACINGS, N_STEPS, SIZES))
    if importlib.util.find_spec("diffusers"):
        recipes += list(product(["DPM-Solver++"], N_STEPS, ["exact", "exact, then 1"]))
    measured = []
    with tqdm(total=n_seeds * len(recipes), unit=" recipes", disable=None) as bar:
        for seed in range(n_seeds):
            words = words_to_ask(real, n, seed)
            drawn = {}
            for recipe in recipes:
                drawn[recipe] = draw(model, recipe, shape, words, n, seed)
                bar.update()
            measured.append(distances(drawn, real.images, group, seed))
    rows = [{"recipe": list(recipe), "distance": interval(measured, recipe)} for recipe in recipes]
    return environment(torch.device("cpu")) | {
        "model": str(path), "data": config["data"], "size": shape[-1], "images": n, "seeds": n_seeds,
        "real": interval(measured, "real"), "rows": rows,
    }  # fmt: skip


# ---- printing and writing -------------------------------------------------------------------------------------------


def _label(recipe: list[Any]) -> str:
    name, _, size = recipe
    return f"{name}, {size if isinstance(size, str) else f'size {size:g}'}"


def markdown(report: Report) -> str:
    """Return the table: a row for each spacing and step size, a column for each number of steps."""
    cells: dict[str, dict[int, str]] = {}
    for row in report["rows"]:
        cells.setdefault(_label(row["recipe"]), {})[row["recipe"][1]] = in_parentheses(row["distance"])
    rows = [("steps", *map(str, N_STEPS))]
    return table([*rows, *((label, *(by_steps[n] for n in N_STEPS)) for label, by_steps in cells.items())])


def facts(report: Report) -> dict[str, str]:
    """Return the sentences below the table, by their labels."""
    low, _, high = report["real"]
    return {
        "images": f"{report['images']} of {report['model']} for each recipe, {report['seeds']} times, from equal noise",
        "distance": f"to real images of {report['data']}, {report['size']} x {report['size']}, in units of that "
        f"between real images, in groups of {GROUP}; in parentheses, 90% of {N_DRAWS * report['seeds']} draws. Real "
        f"images: {low:.2f} to {high:.2f}",
    }


def plot(report: Report) -> "Figure":
    """Plot the distance against the number of steps, a line for each spacing and step size."""
    import matplotlib as mpl
    from matplotlib.figure import Figure

    lines: dict[str, list[tuple[int, float]]] = {}
    for row in report["rows"]:
        lines.setdefault(_label(row["recipe"]), []).append((row["recipe"][1], row["distance"][1]))
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(8, 4.5), layout="constrained")
        axes = figure.subplots()
        axes.axhspan(report["real"][0], report["real"][2], alpha=0.15, color="gray")
        for label, points in lines.items():
            style = "--" if label.startswith("even") else "-"
            axes.plot(*zip(*points, strict=True), style, marker="o", ms=3, label=label)
        axes.set(xlabel="steps", ylabel="distance to real images", xscale="log", yscale="log")
        axes.set_xticks(N_STEPS, map(str, N_STEPS))
        axes.legend(fontsize=8)
    return figure


def main(
    model: Annotated[Path | None, typer.Argument(help="A run folder or a weights file.")] = None,
    n: Annotated[int, typer.Option("-n", help="Images for each recipe and seed.")] = 256,
    seeds: Annotated[int, typer.Option(help="How many times to repeat it, with other noise.")] = 3,
    out: Annotated[Path, typer.Option("--json", help="The report to write.")] = Path("few-steps.json"),
) -> None:
    """Measure how good images are with few steps."""
    path, _ = find_weights(model)
    report = measure(path, n, seeds) | {
        "command": f"python -m scripts.benchmarks.few_steps {model or ''} -n {n} --seeds {seeds}"
    }
    typer.echo(markdown(report))
    for written in write_report(report, out, markdown(report), facts(report), plot(report)):
        typer.echo(f"wrote {written}")


if __name__ == "__main__":
    typer.run(main)
