"""Runs: training in a folder with a log, grids of samples and saves; what sums a run up; and finding it again.

    trainer = Trainer(PRESETS["quick"])
    for progress in train(trainer, Path("runs/mine")):
        print(progress.images, progress.loss)

Whatever ends a run, its folder holds a state to go on from and weights to draw with.
"""

import contextlib
import csv
import json
import math
import os
import signal
import time
from collections.abc import Generator, Iterator
from dataclasses import asdict, replace
from itertools import count
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from filelock import FileLock, Timeout

from . import pictures, processes, tensorfile
from .config import Config
from .errors import DinoError, shown, typed
from .files import explaining, replacing, sweep
from .images import seeded, to_unit
from .tensorfile import STATE, WEIGHTS
from .trainer import Trainer
from .weights import blueprint, load_model

RUNS = Path("runs")
SHIPPED = Path(__file__).parent / "data" / WEIGHTS  # the model that comes with dino; see docs/model.md
LOG_EVERY = 25  # steps; in between, nothing waits for the device
SAVE_EVERY = 60  # seconds
N_GRIDS = 24  # sample grids in a run, closer together at its start, where more changes; fewer in a very short run


class Progress(NamedTuple):
    """Where a run stands after a step."""

    step: int  # steps done
    images: int  # images seen
    loss: float  # mean over the steps of the last row of the log; NaN before there is one
    saved: int  # the step of the last save that is whole


def train(trainer: Trainer, folder: Path) -> Generator[Progress, None, None]:
    """Carry a run to its end in a run folder, yielding after each step. A generator: close it and all is saved.

    Of several processes the first one writes: config.json, log.csv, TensorBoard's events, a grid of samples now and
    then, and the two files of `checkpoint`. An exception in the middle of a step, such as Ctrl-C without
    `StopOnSignal`, saves nothing, for a step half done is no state to go on from; what was saved last stays.

    Raises:
        DinoError: the disk is full or the folder gone, another run is at work in it or has come further there, or the
            numbers blew up.
    """
    if processes.FIRST:
        with locked(folder), explaining(folder, then=f"go on with: {typed('dino train --resume')} {folder}"):
            _spare_what_is_there(trainer, folder)
            yield from _train(trainer, folder)
        return
    for _ in trainer.steps():
        if log_is_due(trainer):
            trainer.read_losses()
        yield Progress(trainer.step, trainer.images_seen, math.nan, 0)


def _spare_what_is_there(trainer: Trainer, folder: Path) -> None:
    if (folder / STATE).exists():
        about, _ = tensorfile.describe(folder / STATE, "state")
        step = about.get("step")
        if isinstance(step, int) and step > trainer.step:
            raise DinoError(
                f"{folder} holds a run that is at step {step:,}, and this one, at step {trainer.step:,}, would take "
                "its place. Go on with that one (trainer.load), or choose another folder"
            )


def log_is_due(trainer: Trainer) -> bool:
    """Whether losses are read after this step, which is when processes agree on things, too."""
    return trainer.step % LOG_EVERY == 0 or trainer.step == trainer.config.n_steps


def _train(trainer: Trainer, folder: Path) -> Generator[Progress, None, None]:
    log, grids_at = Log(folder, trainer), grid_steps(trainer.config.n_steps)
    if trainer.step == 0:
        log.add_grid(trainer)
    # Saved at once: a full disk is told before the work, and after a kill between two files they are a pair again.
    trainer.save(folder, log.loss)
    saved, saved_at = trainer.step, time.monotonic()
    log.restart_clock(trainer)
    with contextlib.suppress(GeneratorExit):  # the caller stopped between two steps: save, and be done
        for _ in trainer.steps():
            if log_is_due(trainer):
                log.add_row(trainer)
            # The grid comes first: if the process dies between the two, the same grid is drawn once more.
            if trainer.step in grids_at:
                log.add_grid(trainer)
            if trainer.step in grids_at or time.monotonic() - saved_at > SAVE_EVERY:
                trainer.save(folder, log.loss)
                saved, saved_at = trainer.step, time.monotonic()
                log.restart_clock(trainer)
            yield Progress(trainer.step, trainer.images_seen, log.loss, saved)
    if trainer.step != saved:
        trainer.save(folder, log.loss)
    log.close()


@contextlib.contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Within this context no other trainer can write to a run folder. The lock goes with the process, however it ends.

    Raises:
        DinoError: another one is at work in it.
    """
    with explaining(folder):
        folder.mkdir(parents=True, exist_ok=True)
        lock = FileLock(folder / ".lock")
        try:
            lock.acquire(blocking=False)
        except Timeout as error:
            raise DinoError(f"another process is training in {folder}. Wait for it, or choose another --out") from error
        except NotImplementedError:
            pass  # this disk knows no locks
    try:
        yield
    finally:
        lock.release()


def grid_steps(n_steps: int) -> set[int]:
    """The steps after which a grid of samples is drawn, besides that before the first."""
    n_grids = min(N_GRIDS, 1 + n_steps // 20)
    return {round(n_steps * (k / n_grids) ** 1.5) for k in range(1, n_grids + 1)}


class Log:
    """What is written while a run goes on: config.json, the losses in log.csv and for TensorBoard, and the grids."""

    COLUMNS = ("step", "images", "loss", "images_per_second")

    def __init__(self, folder: Path, trainer: Trainer) -> None:
        from torch.utils.tensorboard import SummaryWriter

        self.folder, self.path, self.loss = folder, folder / "log.csv", math.nan
        sweep(folder)
        with replacing(folder / "config.json") as temporary:
            temporary.write_text(json.dumps(asdict(trainer.config), indent=2) + "\n")
        rows = self._rows_until(trainer.step) if trainer.step and self.path.exists() else []
        if rows:
            self.loss = float(rows[-1][2])
        with replacing(self.path) as temporary, temporary.open("w", newline="") as file:
            csv.writer(file).writerows([self.COLUMNS, *rows])
        self.tensorboard = SummaryWriter(str(folder), purge_step=trainer.images_seen + 1)
        self.restart_clock(trainer)

    def _rows_until(self, step: int) -> list[list[str]]:
        """The rows of steps that were saved. A run that was killed may have logged later ones, or half a row."""
        with self.path.open(newline="", encoding="utf-8", errors="replace") as file:
            rows = [row for row in csv.reader(file) if len(row) == len(self.COLUMNS) and row[0].isdigit()]
        return [row for row in rows if int(row[0]) <= step]

    def restart_clock(self, trainer: Trainer) -> None:
        """Measure speed from here on: sampling and saving are not training."""
        self._clock_step, self._clock = trainer.step, time.perf_counter()

    def add_row(self, trainer: Trainer) -> None:
        """Write the loss and the speed since the last row."""
        self.loss = round(trainer.read_losses(), 8)  # as in the log, from which a resumed run takes it
        rate = (trainer.step - self._clock_step) * trainer.config.batch_size / (time.perf_counter() - self._clock)
        with self.path.open("r+", newline="") as file:  # not "a", which would begin anew in a folder that was removed
            file.seek(0, os.SEEK_END)
            csv.writer(file).writerow([trainer.step, trainer.images_seen, f"{self.loss:.8f}", f"{rate:.1f}"])
        self.tensorboard.add_scalar("loss", self.loss, trainer.images_seen)
        self.tensorboard.add_scalar("images_per_second", rate, trainer.images_seen)
        self.restart_clock(trainer)

    def add_grid(self, trainer: Trainer) -> None:
        """Draw a grid of samples, named by the images seen."""
        image = pictures.grid(trainer.sample(36))
        pictures.save(image, self.folder / "samples" / f"{trainer.images_seen:09d}.png")
        self.tensorboard.add_image("samples", np.asarray(image), trainer.images_seen, dataformats="HWC")
        self.restart_clock(trainer)

    def close(self) -> None:
        """Write out what TensorBoard still holds."""
        self.tensorboard.close()


def finish(trainer: Trainer, folder: Path) -> list[Path]:
    """Draw what sums up a run, into its folder. Returns the paths.

    film.gif is its grids one after another; loss.png its loss; compare.png real pictures beside generated ones; and
    levels.png its guesses at each noise level.
    """
    from PIL import Image

    grids = [Image.open(path) for path in sorted((folder / "samples").glob("*.png"))]
    real = to_unit(trainer.images[:64])
    some = real[:: max(1, len(real) // 4)][:4]
    with trainer.autocast():
        generator = seeded(trainer.device, trainer.config.seed, "levels")
        guesses = pictures.denoising_strip(trainer.average, some, [k / 8 for k in range(9)], generator=generator)
    film = [pictures.animation(grids, folder / "film.gif")] if grids else []
    return [
        *film,
        pictures.save_figure(pictures.loss_curve(folder / "log.csv"), folder / "loss.png"),
        pictures.save(pictures.comparison(real, trainer.sample(64, n_steps=100)), folder / "compare.png"),
        pictures.save(pictures.grid(guesses, columns=9), folder / "levels.png"),
    ]


def new_run_folder(out: Path | None, name: str) -> Path:
    """Make the folder for a new run: `out`, or the next free one under runs/ such as runs/quick-3.

    Raises:
        DinoError: `out` has something in it already.
    """
    if out is None:
        taken = [int(p.name.rpartition("-")[2]) for p in RUNS.glob(f"{name}-*") if p.name.rpartition("-")[2].isdigit()]
        for number in count(max(taken, default=0) + 1):
            folder = RUNS / f"{name}-{number}"
            with explaining(folder), contextlib.suppress(FileExistsError):  # another run may have taken it just now
                folder.mkdir(parents=True)
                return folder
        raise AssertionError("there are always more numbers")
    if (out / STATE).exists():
        raise DinoError(f"{out} already holds a run. Go on with it by --resume {out}, or choose another --out")
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise DinoError(f"{out} is there already and is not empty. Choose a new folder for --out")
    with explaining(out):
        out.mkdir(parents=True, exist_ok=True)
    return out


def newest_run() -> Path:
    """The run under runs/ whose weights were written last.

    Raises:
        DinoError: there is none.
    """
    weights = sorted(filter(Path.is_file, RUNS.glob(f"*/{WEIGHTS}")), key=lambda path: path.stat().st_mtime)
    if not weights:
        raise DinoError(f"there is no run under {RUNS.resolve()} yet. Make one with: {typed('dino train')}")
    return weights[-1].parent


def find_weights(named: Path | None) -> tuple[Path, Path]:
    """The weights to draw with, and the folder to write beside them.

    Those that were named; else those of the newest run; else, or if "shipped" was named, those that come with dino.
    """
    if named is None:
        try:
            named = newest_run()
        except DinoError:
            named = Path("shipped")
    if named == Path("shipped") and not named.exists():
        return SHIPPED, RUNS / "shipped"
    return named, named if named.is_dir() else named.parent


def saved_config(folder: Path) -> Config:
    """The configuration of the run saved in a folder, with the precision that was chosen for it.

    Raises:
        DinoError: there is no run in the folder, or its file is damaged or can't be as it describes itself.
    """
    path = folder / STATE
    if not path.exists():
        raise DinoError(f"there is no run to resume in {folder} (no {STATE})")
    tensors, about = tensorfile.read(path, "state")  # all of it, so that nothing begins with a damaged description
    config, _ = blueprint(path, about)
    if about.get("step", math.inf) > config.n_steps or about.get("precision") not in ("float32", "bfloat16"):
        raise DinoError(f"{path} does not say rightly how far its run is, or in which precision. Take another copy")
    losses = {"losses": tensors["losses"]} if "losses" in tensors else {}
    row = torch.empty(sum(map(torch.numel, losses.values())), device="meta")  # of as many as there are
    tensorfile.check_fit(path, {"losses": row}, losses)
    return replace(config, precision=about["precision"])


def describe(path: Path) -> dict[str, str]:
    """What a run folder or a weights file holds, in words, each under a word: what `dino info` prints.

    Raises:
        DinoError: as `load_model`.
    """
    model, about = load_model(path)
    config = Config.from_dict(about["config"])
    words = {
        "weights": f"{sum(p.numel() for p in model.parameters()):,} in {len(config.widths)} resolutions, "
        f"widths {list(config.widths)}, depths {list(config.depths)}",
        "draws": f"{config.size} x {config.size} pictures, {'colour' if config.channels == 3 else 'gray'}",
    }
    if "images_seen" not in about:
        return words  # saved by hand, and nothing is known of its training
    seen, n_pictures, loss = about["images_seen"], about.get("n_pictures"), about.get("loss")
    if n_pictures:
        words["learned"] = (
            f"from {n_pictures:,} pictures of {shown(config.data)}, "
            f"seeing {seen:,} images ({seen / n_pictures:.0f} times each)"
        )
    words["trained"] = (
        f"{about.get('step', 0):,} steps of {config.batch_size}, learning rate {config.learning_rate:g}, "
        f"in {shown(str(about.get('precision', config.precision)), 20)}, seed {config.seed}"
    )
    if isinstance(loss, float):
        words["loss"] = f"{loss:.5f} at the end"
    if path.is_dir():
        done = about.get("step", 0) / config.n_steps
        go_on = typed(f"dino train --resume {path}")
        words["run"] = "complete" if done >= 1 else f"{done:.0%} done; go on with: {go_on}"
    return words


class StopOnSignal:
    """Within this context Ctrl-C, SIGTERM and a closed terminal only raise a flag, for a loop to see between two steps.

    A second signal ends the program at once.
    """

    def __init__(self) -> None:
        self.received: signal.Signals | None = None

    def __enter__(self) -> "StopOnSignal":
        names = ("SIGINT", "SIGTERM", "SIGHUP")  # Windows has no SIGHUP
        numbers = [signal.Signals[name] for name in names if name in signal.Signals.__members__]
        self._before = {number: signal.signal(number, self._receive) for number in numbers}
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _receive(self, number: int, _: object) -> None:
        if self.received is not None:
            os._exit(128 + number)
        self.received = signal.Signals(number)
        if not processes.TORCHRUN:  # which passes on its signals once, and counts the seconds itself
            os.write(2, b"\nstopping after this step; once more ends it at once, unsaved\n")
