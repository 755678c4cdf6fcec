"""Distillation: the distance to real images of students that draw in 4, 2 and 1 steps, beside their teacher.

    python -m scripts.benchmarks.distill pretrained-32 --json docs/benchmarks/distill.json

Each seed trains its own students, and draws with other noise. The baseline is regression: a student that learns from
pairs of noise and what the teacher draws from this noise, and takes one step. It needs about as much time as the three
students together.
"""

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import torch
import typer
from torch import Tensor, nn
from tqdm import tqdm

from dino.common.plots import STYLE
from dino.data.loading import load_labeled_images
from dino.few_steps import warped_schedule
from dino.reports.evaluate import GROUP, N_DRAWS, group_size
from dino.reports.report import Report, environment, table
from dino.reports.report import write as write_report
from dino.steering import GUIDANCE
from dino.trainer.batched_sampling import Steps, Wishes, generate_batched
from dino.trainer.distillation import Student, distill
from dino.trainer.model_file import image_shape, load_model, vocabulary
from dino.trainer.run_folder import find_weights

from .sampling import distances, in_parentheses, interval, words_to_ask

if TYPE_CHECKING:
    from matplotlib.figure import Figure

TEACHER = {"teacher, 100 even steps": Steps.of(100, "even")} | {
    f"teacher, {n} step{'s' * (n > 1)}": Steps.of(n) for n in (8, 4, 2, 1)
}
PAIR_STEPS = 8  # of the teacher, for the pairs of the baseline
N_SHOWN = 8  # images in a row of the grid


def trained(path: Path, seed: int, n_images: int, save: Path | None) -> tuple[dict[str, nn.Module], list[Report]]:
    """Train the students and the baseline of one seed. Returns them by name, and how their runs went."""
    models: dict[str, nn.Module] = {}
    runs: list[Report] = []
    began = time.perf_counter()
    first: Student | None = None
    for student in distill(path, n_images=n_images, seed=seed):
        first = first or student
        name = f"student, {student.n_student_steps} step{'s' * (student.n_student_steps > 1)}"
        models[name], began = student.ema, _ended(runs, name, student, began)
        if save:
            save.mkdir(parents=True, exist_ok=True)
            student.save_weights(save / f"student-{student.n_student_steps}-seed-{seed}.safetensors")
    assert first
    regression = Student(
        first.config, first.teacher, n_steps=1, parts=PAIR_STEPS, guidance=first.teachers_guidance, is_exact=True
    )
    for _ in tqdm(regression.steps(), total=regression.config.n_steps, desc="pairs", leave=False, disable=None):
        pass
    _ended(runs, "regression, 1 step", regression, began)
    return models | {"regression, 1 step": regression.ema}, runs


def _ended(runs: list[Report], name: str, student: Student, began: float) -> float:
    """Keep how a run went: the mean loss of its first and its last tenth, and its time. Returns the time now."""
    losses, now = torch.stack(student.unlogged).cpu(), time.perf_counter()
    tenth = max(1, len(losses) // 10)
    runs.append({
        "name": name, "loss": [losses[:tenth].mean().item(), losses[-tenth:].mean().item()], "seconds": now - began,
    })  # fmt: skip
    return now


def measure(path: Path, n: int, n_seeds: int, n_images: int, save: Path | None) -> tuple[Report, dict[str, Tensor]]:
    """Train with each seed, draw with every model and measure the distance of the images to real ones.

    Args:
        path: the teacher: a run folder or a weights file.
        n: how many images each model draws.
        n_seeds: how many times to repeat everything.
        n_images: the length of each student's run.
        save: a folder for the students, or None.

    Returns:
        The report, and images of each model from the first seed, all from the same noise.

    Raises:
        DinoError: if n is too small, or the real images are all equal.
    """
    teacher, metadata = load_model(path)
    shape, config, known = image_shape(metadata), metadata["config"], vocabulary(metadata)
    real = load_labeled_images(config["data"], shape[-1], channels=shape[0], vocabulary=known)
    group = group_size(n, len(real.images))
    measured, runs, shown = [], [], dict[str, Tensor]()
    for seed in range(n_seeds):
        models, ran = trained(path, seed, n_images, save)
        runs.append(ran)
        words = words_to_ask(real, n, seed)
        drawn = {}
        for name, steps in TEACHER.items():
            drawn[name] = _drawn(teacher, n, shape, steps, Wishes(words, GUIDANCE), seed)
        for name, model in models.items():
            steps = Steps(warped_schedule(int(name.split()[1])), 1.0)
            drawn[name] = _drawn(model, n, shape, steps, Wishes(words, 1.0), seed)
        shown = shown or {name: images[:N_SHOWN] for name, images in drawn.items()}
        measured.append(distances(drawn, real.images, group, seed))
    rows = [{"name": name, "distance": interval(measured, name)} for name in shown]
    return environment(torch.device("cpu")) | {
        "model": str(path), "data": config["data"], "size": shape[-1], "images": n, "seeds": n_seeds,
        "training_images": n_images, "guidance": GUIDANCE if known else None, "real": interval(measured, "real"),
        "rows": rows, "runs": runs,
    }, shown  # fmt: skip


def _drawn(model: nn.Module, n: int, shape: tuple[int, int, int], steps: Steps, wishes: Wishes, seed: int) -> Tensor:
    return generate_batched(model, n, image_shape=shape, steps=steps, wishes=wishes, seed=seed)


# ---- printing and writing -------------------------------------------------------------------------------------------


def markdown(report: Report) -> str:
    """Return the table: a row for each model and number of steps."""
    teacher = next(row for row in report["rows"] if row["name"] == "teacher, 8 steps")["distance"][1]
    runs = {run["name"]: [ran[k] for ran in report["runs"]] for k, run in enumerate(report["runs"][0])}
    rows = [("", "distance", "times the teacher's in 8", "loss, first and last tenth", "minutes of training")]
    for row in report["rows"]:
        middle = row["distance"][1]
        ran: list[dict[str, Any]] = runs.get(row["name"], [])
        mean = [sum(run["loss"][k] for run in ran) / len(ran) for k in range(2)] if ran else []
        minutes = f"{sum(run['seconds'] for run in ran) / len(ran) / 60:.1f}" if ran else ""
        losses = " to ".join(f"{loss:.4f}" for loss in mean)
        rows.append((row["name"], in_parentheses(row["distance"]), f"{middle / teacher:.2f}", losses, minutes))
    return table(rows)


def facts(report: Report) -> dict[str, str]:
    """Return the sentences below the table, by their labels."""
    low, _, high = report["real"]
    guided = "" if report["guidance"] is None else f", with guidance {report['guidance']:g}"
    return {
        "training": f"{report['training_images']:,} images for each student, {report['seeds']} times",
        "images": f"{report['images']} for each row and seed, from equal noise{guided}",
        "distance": f"to real images of {report['data']}, {report['size']} x {report['size']}, in units of that "
        f"between real images, in groups of {GROUP}; in parentheses, 90% of {N_DRAWS * report['seeds']} draws",
        "real images": f"{low:.2f} to {high:.2f}",
    }


def plot(shown: dict[str, Tensor]) -> "Figure":
    """Show some images of each model, a row for each, all from the same noise."""
    import matplotlib as mpl

    from dino.common.plots import labeled

    with mpl.rc_context(STYLE):
        return labeled(shown, inch=0.7)


def main(
    model: Annotated[Path | None, typer.Argument(help="The teacher: a run folder or a weights file.")] = None,
    n: Annotated[int, typer.Option("-n", help="Images for each row and seed.")] = 256,
    seeds: Annotated[int, typer.Option(help="How many times to repeat it.")] = 3,
    images: Annotated[int, typer.Option(help="Training images for each student.")] = 10_000,
    save: Annotated[Path | None, typer.Option(help="A folder for the students.")] = None,
    out: Annotated[Path, typer.Option("--json", help="The report to write.")] = Path("distill.json"),
) -> None:
    """Distill a model, and measure how good the images of its students are."""
    path, _ = find_weights(model)
    report, shown = measure(path, n, seeds, images, save)
    command = f"python -m scripts.benchmarks.distill {model or ''} -n {n} --seeds {seeds} --images {images}"
    report |= {"command": command}
    typer.echo(markdown(report))
    for written in write_report(report, out, markdown(report), facts(report), plot(shown)):
        typer.echo(f"wrote {written}")


if __name__ == "__main__":
    typer.run(main)
