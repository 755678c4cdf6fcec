"""A large set: decoding with bounded memory, an interruption, and the speed of training from the disk.

    python -m scripts.benchmarks.large_set --json docs/benchmarks/large-set.json

Makes Parquet files of small drawings with words. One process decodes them until it gets a Ctrl-C half-way, and another
one goes on. Then two trainers take the same steps in turns: one has its images in memory, the other reads each batch
from the memory-mapped cache. Their weights must be equal in the end, bit for bit.
"""

import io
import json
import multiprocessing
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dino.common.errors import shell_command
from dino.common.memory import size_in_words
from dino.common.plots import STYLE
from dino.data.cache import cache_folder
from dino.reports.report import Report, environment, number, table
from dino.reports.report import write as write_report
from dino.trainer.presets import PRESETS

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SIZE, ROWS = 32, 20_000  # of an image, in pixels; of a Parquet file
COLORS = {"red": (220, 60, 60), "green": (70, 170, 80), "blue": (70, 100, 220), "yellow": (240, 200, 60)}
SHAPES = ("circle", "square", "diamond")


# ---- the set --------------------------------------------------------------------------------------------------------


def make_set(folder: Path, n: int) -> None:
    """Write n small drawings, each with two words, into Parquet files. Files that are there already are kept."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    for first in range(0, n, ROWS):
        path = folder / f"{first:08d}.parquet"
        if path.exists():
            continue
        rows = [make_row(k) for k in range(first, min(first + ROWS, n))]
        columns = {name: [row[name] for row in rows] for name in rows[0]}
        folder.mkdir(parents=True, exist_ok=True)
        pq.write_table(pa.table(columns), path.with_suffix(".tmp"))
        path.with_suffix(".tmp").rename(path)


def make_row(k: int) -> dict[str, Any]:
    """Return drawing number k and its words, as a row of a table."""
    import numpy as np
    from PIL import Image

    random = np.random.default_rng(k)
    color, shape = random.choice(list(COLORS)), random.choice(SHAPES)
    (x, y), radius = random.uniform(10, SIZE - 10, 2), random.uniform(4, 9)
    rows, columns = np.mgrid[:SIZE, :SIZE]
    dx, dy = abs(columns - x), abs(rows - y)
    distance = {"circle": np.hypot(dx, dy), "square": np.maximum(dx, dy), "diamond": dx + dy}[shape]
    pixels = np.full((SIZE, SIZE, 3), 255, np.uint8)
    pixels[distance < radius] = np.array(COLORS[color]) + random.integers(-15, 16, 3)
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG", compress_level=1)
    return {"image": file.getvalue(), "color": color, "shape": shape}


# ---- decoding -------------------------------------------------------------------------------------------------------


@contextmanager
def peak_memory() -> Iterator[list[int]]:
    """Measure how much memory of its own this process gains within this context, mapped files not counted. Linux only.

    Yields:
        A list that has the bytes of the peak at the end; or nothing, on another system.
    """
    found, done, before = list[int](), threading.Event(), _own_memory()

    def watch() -> None:
        peak = 0
        while not done.wait(0.01):
            peak = max(peak, (_own_memory() or 0) - (before or 0))
        found.extend([peak] if before else [])

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield found
    finally:
        done.set()
        thread.join()


def _own_memory() -> int | None:
    try:
        lines = Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
        return next(1024 * int(line.split()[1]) for line in lines if line.startswith("RssAnon"))
    except (OSError, StopIteration):
        return None


def load(folder: Path) -> None:
    """Load the set, and print what that took, as JSON. Runs in a process of its own."""
    from dino.data.loading import fingerprint, load_labeled_images

    start = time.perf_counter()
    with peak_memory() as peak:
        labeled = load_labeled_images(folder, SIZE, part="training", memory_map=True)
    seconds = time.perf_counter() - start
    images, words = len(labeled.images), list(labeled.vocabulary)
    found = {"seconds": seconds, "peak": peak, "images": images, "words": words}
    print(json.dumps(found | {"fingerprint": fingerprint(labeled.images)}))


def loaded(folder: Path, *, interrupt_at: int = 0) -> dict[str, Any]:
    """Load the set in a process of its own.

    Args:
        folder: of the Parquet files.
        interrupt_at: bytes of decoded images at which the process gets a Ctrl-C; 0 for never.

    Returns:
        What `load` printed; or, if it was interrupted, the last line of the error stream as "message".
    """
    command = [sys.executable, "-m", "scripts.benchmarks.large_set", "--loads", str(folder)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, encoding="utf-8")
    while interrupt_at and process.poll() is None:
        if sum(path.stat().st_size for path in cache_folder().glob("*.partial")) >= interrupt_at:
            process.send_signal(signal.SIGINT)
            break
        time.sleep(0.05)
    output, errors = process.communicate()
    if process.returncode == 0:
        return dict(json.loads(output.splitlines()[-1]))
    kept = [line for line in errors.splitlines() if "decoding was interrupted" in line]
    return {"message": kept[-1].partition("DinoWarning: ")[2] if kept else errors}


def measure_decoding(folder: Path, n: int) -> Report:
    """Decode the set with an interruption half-way, and then load it from the cache."""
    interrupted = loaded(folder, interrupt_at=n * 3 * SIZE**2 // 2)
    rest, again = loaded(folder), loaded(folder)
    for path in cache_folder().glob("*.safetensors"):
        path.unlink()
    whole = loaded(folder)
    if not whole["fingerprint"] == rest["fingerprint"] == again["fingerprint"]:
        raise AssertionError("an interrupted decoding gave other images")
    return {"interrupted": interrupted, "rest": rest, "whole": whole, "again": again}


# ---- training -------------------------------------------------------------------------------------------------------


def measure_training(folder: Path, rounds: int, n_steps: int) -> Report:
    """Train in turns with images in memory and from the disk, and compare speeds and weights."""
    import torch

    from dino.trainer.trainer import Trainer

    config = replace(PRESETS["quick"], data=str(folder), size=SIZE, n_images=10**9)
    first = Trainer(config, device="cpu", memory_map=False)
    second = Trainer(first.config, device="cpu", memory_map=True)
    trainers = {"memory": first, "disk": second}
    steps = {name: trainer.steps() for name, trainer in trainers.items()}
    speeds: dict[str, list[float]] = {name: [] for name in trainers}
    for each in steps.values():
        next(each)  # to warm up
    for number_of_round in range(rounds):
        for name in list(trainers)[:: (-1) ** number_of_round]:
            start = time.perf_counter()
            for _ in range(n_steps):
                next(steps[name])
            speeds[name].append(n_steps * config.batch_size / (time.perf_counter() - start))
    equal = all(torch.equal(a, b) for a, b in zip(first.weights, second.weights, strict=True))
    ratios = [disk / memory for disk, memory in zip(speeds["disk"], speeds["memory"], strict=True)]
    return {"speeds": speeds, "ratio": median(ratios), "ratios": ratios, "equal": equal, "batch": config.batch_size}


# ---- printing and writing -------------------------------------------------------------------------------------------


def markdown(report: Report) -> str:
    """Return the table."""
    decoding, training = report["decoding"], report["training"]

    def of(run: dict[str, Any]) -> tuple[str, str]:
        return f"{run['seconds']:.1f} s", size_in_words(run["peak"][0]) if run["peak"] else "unknown"

    speeds = {name: number(median(speeds), ".0f") for name, speeds in training["speeds"].items()}
    rows = [
        ("", "time", "memory", "images per second"),
        ("decode all", *of(decoding["whole"]), ""),
        ("decode the rest after a Ctrl-C", *of(decoding["rest"]), ""),
        ("load from the cache", *of(decoding["again"]), ""),
        ("train from memory", "", size_in_words(report["bytes"]), speeds["memory"]),
        ("train from the disk", "", "0", f"{speeds['disk']} ({training['ratio']:.1%})"),
    ]
    return table(rows)


def facts(report: Report) -> dict[str, str]:
    """Return the sentences below the table, by their labels."""
    training = report["training"]
    return {
        "set": f"{report['images']:,} drawings of {SIZE} x {SIZE} pixels in Parquet files, which need "
        f"{size_in_words(report['bytes'])} decoded",
        "memory": "what a process gains at most while it loads, files that are mapped not counted",
        "Ctrl-C": report["decoding"]["interrupted"]["message"],
        "training": f"the preset quick, in {len(training['ratios'])} rounds in turns; the percentage is the median of "
        f"the rounds' ratios; the weights are {'equal' if training['equal'] else 'NOT EQUAL'} bit for bit",
    }


def plot(report: Report) -> "Figure":
    """Plot the speed of each round."""
    import matplotlib as mpl
    from matplotlib.figure import Figure

    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(7, 3.5), layout="constrained")
        axes = figure.subplots()
        for name, speeds in report["training"]["speeds"].items():
            axes.plot(range(1, len(speeds) + 1), speeds, "o-", label=f"images from {name}")
        axes.set(xlabel="round", ylabel="images per second", ylim=(0, None))
        axes.legend()
    return figure


def main(
    images: Annotated[int, typer.Option(help="How many images.")] = 200_000,
    rounds: Annotated[int, typer.Option(help="How many times each trainer has its turn.")] = 8,
    steps: Annotated[int, typer.Option(help="Steps in a turn.")] = 40,
    folder: Annotated[Path, typer.Option(help="Where the Parquet files are kept.")] = Path("runs/large-set"),
    out: Annotated[Path, typer.Option("--json", help="The report to write.")] = Path("large-set.json"),
    loads: Annotated[Path | None, typer.Option(hidden=True)] = None,
) -> None:
    """Decode a large set, interrupt that, and train from memory and from the disk in turns."""
    if loads:
        load(loads)
        return
    import torch

    command = ("python", "-m", "scripts.benchmarks.large_set", "--images", images, "--rounds", rounds, "--steps", steps)
    with multiprocessing.get_context("spawn").Pool(1) as pool:  # another process: its memory doesn't count
        pool.apply(make_set, (folder / str(images), images))
    with tempfile.TemporaryDirectory() as cache:
        os.environ["DINO_CACHE"] = cache
        report = environment(torch.device("cpu")) | {
            "images": images, "bytes": images * 3 * SIZE**2,
            "decoding": measure_decoding(folder / str(images), images),
            "training": measure_training(folder / str(images), rounds, steps),
            "command": shell_command(*command),
        }  # fmt: skip
    typer.echo(markdown(report))
    for path in write_report(report, out, markdown(report), facts(report), plot(report)):
        typer.echo(f"wrote {path}")


if __name__ == "__main__":
    typer.run(main)
