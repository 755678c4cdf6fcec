"""Fine-tuning against training from scratch, on three sets of 50 to 66 pictures, at equal time.

    python -m scripts.benchmarks.start_from --json docs/benchmarks/start-from.json

A fifth of each set is held out. The time is a processor's, on one thread. It is measured for a step of each network
first, and the length of each run follows from that, because the learning rate falls toward the planned end. Words
aren't learned: the pictures of the three sets have different ones.

Finished runs are kept, so an interrupted measurement goes on where it stopped.
"""

import multiprocessing
import os
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NamedTuple

import torch
import typer
from torch import Tensor
from tqdm import tqdm

from dino.common.errors import shell_command
from dino.common.grids import labeled_grid, save_image
from dino.common.plots import STYLE
from dino.data.loading import load_images
from dino.evaluation import loss_by_noise_level
from dino.images import to_unit
from dino.reports.evaluate import LEVELS, distances
from dino.reports.memorization import memorization
from dino.reports.report import Report, environment, number, table
from dino.reports.report import write as write_report
from dino.trainer import fine_tuning
from dino.trainer.batched_sampling import generate_batched
from dino.trainer.config import Config
from dino.trainer.model_file import image_shape, load_model
from dino.trainer.presets import QUICK
from dino.trainer.tensor_file import WEIGHTS
from dino.trainer.trainer import Trainer

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MINT = "mint"  # a color that the embedded dinosaurs don't have
N_MINT = 60
SETS = {  # the sources; the dinosaurs are drawn here
    "mint triceratopses": MINT,
    "mammals": "emoji:animal-mammal,twemoji",
    "vehicles": "emoji:transport-ground,noto",
}
WAYS = ("from scratch", "from the pretrained model")
N_DRAWN, N_SHOWN, N_TIMED, HELD_OUT = 256, 10, 8, 5  # images; steps; every fifth image


class Job(NamedTuple):
    """A network to train."""

    name: str  # of the set
    way: str  # one of `WAYS`
    seconds: float  # of training
    seed: int

    def folder(self, runs: Path) -> Path:
        """Return the folder where the network is kept."""
        return runs / f"{self.name}-{self.way}-{self.seconds:g}-{self.seed}".replace(" ", "-")


# ---- the sets -------------------------------------------------------------------------------------------------------


def load_set(name: str, size: int) -> tuple[Tensor, Tensor]:
    """Return the training images and the held-out images of a set: uint8, (N, 3, size, size)."""
    images = mint_dinosaurs(size) if SETS[name] == MINT else load_images(SETS[name], size)
    is_held_out = torch.arange(len(images)) % HELD_OUT == HELD_OUT - 1
    return images[~is_held_out], images[is_held_out]


def mint_dinosaurs(size: int) -> Tensor:
    """Draw the dinosaurs of a kind in a color that the pretrained model has never seen."""
    from PIL import Image
    from torchvision.transforms.functional import pil_to_tensor

    from scripts.data.build_dinos import WORN
    from scripts.data.dinosaurs import COLORS, FACINGS, GOES_WITH, MOODS, PATTERNS, Dinosaur, draw

    COLORS[MINT], GOES_WITH[MINT] = (158, 222, 190), ("orange", "purple")
    drawn = []
    for k in range(N_MINT):
        words = (values[k % len(values)] for values in (PATTERNS, MOODS, FACINGS, WORN))
        pixels = draw(Dinosaur("triceratops", MINT, *words), seed=10**6 + k)
        drawn.append(pil_to_tensor(Image.fromarray(pixels).resize((size, size), Image.Resampling.LANCZOS)))
    return torch.stack(drawn)


# ---- training and measuring -----------------------------------------------------------------------------------------


def new_trainer(job: Job, weights: str, n_images: int) -> Trainer:
    """Return the trainer of a job, with a run of this length."""
    start_from = weights if job.way == WAYS[1] else None
    config = fine_tuning.recipe(start_from) if start_from else QUICK
    # The way to compute is fixed, so that no trial takes time or decides the result.
    config = replace(
        config, data=job.name, max_words=0, n_images=n_images, seed=job.seed, warmup=_warmup(config, n_images),
        precision="float32", layout="channels_last", maximum="max_pool",
    )  # fmt: skip
    training, _ = load_set(job.name, config.size)
    return Trainer(config, images=training, device="cpu", start_from=start_from)


def _warmup(config: Config, n_images: int) -> int:
    """Return the steps of the warm-up: fewer in a run that is very short."""
    return min(config.warmup, n_images // config.batch_size // 4)


def train(job: Job, weights: str, runs: Path) -> None:
    """Train a network for a time, and keep it. A network that is there already is kept."""
    folder = job.folder(runs)
    if (folder / WEIGHTS).exists():
        return
    torch.set_num_threads(1)
    timed = new_trainer(job, weights, 10**6)
    steps = timed.steps()
    next(steps)  # to warm up
    start = time.process_time()
    for _ in range(N_TIMED):
        next(steps)
    per_image = (time.process_time() - start) / N_TIMED / timed.config.batch_size
    trainer = new_trainer(job, weights, max(timed.config.batch_size, round(job.seconds / per_image)))
    for _ in trainer.steps():
        pass
    folder.mkdir(parents=True, exist_ok=True)
    trainer.save(folder, trainer.read_losses())


def measure(job: Job, runs: Path, n_drawn: int) -> tuple[Report, Tensor]:
    """Return the numbers of a network, and the first images that it draws."""
    model, metadata = load_model(job.folder(runs))
    shape = image_shape(metadata)
    training, held_out = load_set(job.name, shape[-1])
    real = torch.cat([training, held_out])
    drawn = generate_batched(model, n_drawn, image_shape=shape, seed=job.seed)
    group = min(len(real) // 2, n_drawn)
    return {
        "set": job.name, "way": job.way, "seconds": job.seconds, "seed": job.seed,
        "images_seen": metadata["images_seen"],
        "held_out_loss": loss_by_noise_level(model, to_unit(held_out), LEVELS).mean().item(),
        "distance": distances(drawn, real, group, job.seed)["ratio"],
        "memorization": memorization(drawn, training, held_out),
    }, drawn[:N_SHOWN]  # fmt: skip


# ---- printing and writing -------------------------------------------------------------------------------------------


def mean(values: list[float | None]) -> float | None:
    """Return the mean over the seeds, or None if a number is unknown."""
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known and len(known) == len(values) else None


def markdown(report: Report) -> str:
    """Return the table: a row for each set, time and way, with means over the seeds."""
    rows: list[tuple[str, ...]] = [
        ("pictures", "trained", "time", "images seen", "held-out loss", "distance", "near copies"),
    ]
    for name, seconds, way in product(SETS, report["seconds"], WAYS):
        found = [row for row in report["rows"] if (row["set"], row["seconds"], row["way"]) == (name, seconds, way)]
        copies = mean([row["memorization"]["copies"] for row in found])
        rows.append((
            f"{report['images'][name]} {name}", way, f"{seconds:g} s",
            number(mean([row["images_seen"] for row in found]), ",.0f"),
            number(mean([row["held_out_loss"] for row in found]), ".5f"),
            number(mean([row["distance"] for row in found]), ".2f"), number(copies, ".0%"),
        ))  # fmt: skip
    return table(rows)


def facts(report: Report) -> dict[str, str]:
    """Return the sentences below the table, by their labels."""
    return {
        "from scratch": "the preset quick, as long as the time allows",
        "from the pretrained model": f"`--start-from {report['weights']}`, as long as the time allows",
        "time": "of one processor, for training alone",
        "distance": "to real pictures, where 1 is the distance between real pictures",
        "near copies": "the share of generated pictures that are near copies of training pictures",
        "numbers": f"means over {report['seeds']} seed{'s' * (report['seeds'] != 1)}, each with {report['drawn']} "
        "generated pictures",
    }


def plot(report: Report) -> "Figure":
    """Plot the distance against the time, for each set."""
    import matplotlib as mpl
    from matplotlib.figure import Figure

    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(10, 3.5), layout="constrained")
        for axes, name in zip(figure.subplots(1, len(SETS), sharey=True), SETS, strict=True):
            for way in WAYS:
                of_way = [row for row in report["rows"] if (row["set"], row["way"]) == (name, way)]
                points = [
                    (seconds, mean([row["distance"] for row in of_way if row["seconds"] == seconds]))
                    for seconds in report["seconds"]
                ]
                axes.plot(*zip(*[(x, y) for x, y in points if y is not None], strict=True), "o-", label=way)
            axes.set(title=name, xlabel="seconds of training", xscale="log")
        figure.axes[0].set(ylabel="distance to real pictures", yscale="log")
        figure.axes[0].legend()
    return figure


def comparison_rows(shown: dict[Job, Tensor]) -> tuple[Tensor, list[str]]:
    """Return rows of real and drawn images, and their labels."""
    rows, labels = [], []
    for name in SETS:
        of_set = {job: images for job, images in shown.items() if job.name == name}
        training, _ = load_set(name, next(iter(of_set.values())).shape[-1])
        rows.append(to_unit(training[:N_SHOWN]))
        labels.append(name)
        for job, images in of_set.items():
            rows.append(images)
            labels.append(f"{job.way}, {job.seconds:g} s")
    return torch.cat(rows), labels


def main(
    seconds: Annotated[list[float], typer.Option(help="Of training; may be given several times.")] = [60.0, 240.0],  # noqa: B006
    seeds: Annotated[int, typer.Option(help="Runs of each kind.")] = 2,
    weights: Annotated[str, typer.Option(help="Where the fine-tuned runs start.")] = "pretrained-32",
    drawn: Annotated[int, typer.Option(help="Images to draw with each network.")] = N_DRAWN,
    processes: Annotated[int, typer.Option(help="Runs at a time, one thread each.")] = os.cpu_count() or 1,
    runs: Annotated[Path, typer.Option(help="Where the trained networks are kept.")] = Path("runs/start-from"),
    out: Annotated[Path, typer.Option("--json", help="The report to write.")] = Path("start-from.json"),
) -> None:
    """Compare fine-tuning with training from scratch, on few pictures and at equal time."""
    jobs = [Job(*each) for each in product(SETS, WAYS, seconds, range(seeds))]
    for name in SETS:
        load_set(name, QUICK.size)  # into the cache, before the processes look for it
    with ProcessPoolExecutor(processes, multiprocessing.get_context("spawn")) as pool:
        working = [pool.submit(train, job, weights, runs) for job in jobs]
        for job in tqdm(working, "training", unit=" networks", disable=None):
            job.result()
    found = [(job, *measure(job, runs, drawn)) for job in tqdm(jobs, "drawing", disable=None)]
    options = [word for each in seconds for word in ("--seconds", f"{each:g}")] + ["--seeds", seeds, "--drawn", drawn]
    report = environment(torch.device("cpu")) | {
        "weights": weights, "seconds": seconds, "seeds": seeds, "drawn": drawn,
        "images": {name: sum(map(len, load_set(name, QUICK.size))) for name in SETS},
        "rows": [row for _, row, _ in found],
        "command": shell_command("python", "-m", "scripts.benchmarks.start_from", *options),
    }  # fmt: skip
    typer.echo(markdown(report))
    for path in write_report(report, out, markdown(report), facts(report), plot(report)):
        typer.echo(f"wrote {path}")
    longest = {job: images for job, _, images in found if job.seed == 0 and job.seconds == max(seconds)}
    grid = labeled_grid(*comparison_rows(longest))
    typer.echo(f"wrote {save_image(grid, out.with_name(f'{out.stem}-grid.png'))}")


if __name__ == "__main__":
    typer.run(main)
