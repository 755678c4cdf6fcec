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
import time
from collections.abc import Generator
from dataclasses import asdict
from pathlib import Path
from typing import NamedTuple

import numpy as np

from ..common import grids, plots
from ..common.atomic_file import explaining, replacing, sweep
from ..common.errors import DinoError, typed
from ..images import seeded, to_unit
from . import distributed, strips, tensor_file
from .run_folder import locked
from .tensor_file import STATE
from .trainer import Trainer

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
    if distributed.FIRST:
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
        about, _ = tensor_file.describe(folder / STATE, "state")
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
        image = grids.grid(trainer.sample(36))
        grids.save(image, self.folder / "samples" / f"{trainer.images_seen:09d}.png")
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
        guesses = strips.denoising_strip(trainer.average, some, [k / 8 for k in range(9)], generator=generator)
    film = [grids.animation(grids, folder / "film.gif")] if grids else []
    return [
        *film,
        plots.save_figure(plots.loss_curve(folder / "log.csv"), folder / "loss.png"),
        grids.save(grids.comparison(real, trainer.sample(64, n_steps=100)), folder / "compare.png"),
        grids.save(grids.grid(guesses, columns=9), folder / "levels.png"),
    ]
