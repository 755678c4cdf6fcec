"""A run: training in a folder with a log, sample grids and saves, and the images that summarize it.

    trainer = Trainer(PRESETS["quick"])
    for progress in train(trainer, Path("runs/mine")):
        print(progress.images, progress.loss)

Whatever ends a run, its folder holds a state to resume from and weights to draw with.
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

from ..common.atomic_file import delete_leftovers, explaining, replacing
from ..common.errors import DinoError
from ..common.grids import animation, comparison, grid, save_image
from ..common.plots import loss_curve, save_figure
from ..images import seeded
from . import distributed, tensor_file
from .run_folder import LOG, SAMPLES, check_is_unicode, locked
from .strips import denoising_strip
from .tensor_file import STATE
from .trainer import Trainer

LOG_EVERY = 25  # steps; in between, nothing waits for the device
SAVE_EVERY = 60  # seconds
N_GRIDS = 24  # sample grids in a run, more often at its start, where more changes; fewer in a very short run


class Progress(NamedTuple):
    """A run's progress after a step."""

    step: int  # steps done
    images: int  # images seen
    loss: float  # mean over the steps of the log's last row; NaN before there is one
    saved: int  # the step of the last save that is whole


def train(trainer: Trainer, folder: Path) -> Generator[Progress, None, None]:
    """Train to the end in a run folder, yielding after each step. Closing the generator saves everything.

    Of several processes only the main one writes: config.json, log.csv, TensorBoard's events, sample grids, and the
    state and the weights. An exception in the middle of a step, such as Ctrl-C without `StopOnSignal`, saves nothing,
    because training can't resume from half a step. The last save stays.

    Args:
        trainer: the run in memory.
        folder: the run folder, which need not exist yet.

    Raises:
        DinoError: if the disk is full, the folder is gone, its name is not Unicode, another process trains in the
            folder, the folder holds a run that is further along, or a number is not finite any more.
    """
    if distributed.is_main():
        check_is_unicode(folder)
        with locked(folder), explaining(folder, "resume the run", settings={"resume": folder}, command="train"):
            _check_not_further(trainer, folder)
            yield from _train(trainer, folder)
        return
    for _ in trainer.steps():
        if log_is_due(trainer):
            trainer.read_losses()
        yield Progress(trainer.step, trainer.images_seen, math.nan, 0)


def _check_not_further(trainer: Trainer, folder: Path) -> None:
    """Refuse to overwrite a run that is further along than the trainer."""
    if (folder / STATE).exists():
        metadata, _ = tensor_file.read_metadata(folder / STATE, "state")
        step = metadata.get("step")
        if isinstance(step, int) and step > trainer.step:
            raise DinoError(
                f"{folder} holds a run that is at step {step:,}, and this one, at step {trainer.step:,}, would "
                "overwrite it. Resume that one (trainer.load), or choose another folder"
            )


def log_is_due(trainer: Trainer) -> bool:
    """Return whether losses are read after this step. Several processes also decide together at these steps."""
    return trainer.step % LOG_EVERY == 0 or trainer.step == trainer.config.n_steps


def _train(trainer: Trainer, folder: Path) -> Generator[Progress, None, None]:
    log, grids_at = Log(folder, trainer), grid_steps(trainer.config.n_steps)
    if trainer.step == 0:
        log.add_grid(trainer)
    # Saved at once, so that a full disk is reported before the work, and so that the two files match again after a
    # process was killed between them.
    trainer.save(folder, log.loss)
    saved, saved_at = trainer.step, time.monotonic()
    log.restart_clock(trainer)
    with contextlib.suppress(GeneratorExit):  # the caller stopped between two steps: save
        for _ in trainer.steps():
            if log_is_due(trainer):
                log.add_row(trainer)
            # The grid comes first. If the process dies between the two, the same grid is drawn once more.
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
    """Return the steps after which a sample grid is drawn, besides the one before the first step."""
    n_grids = min(N_GRIDS, 1 + n_steps // 20)
    return {round(n_steps * (k / n_grids) ** 1.5) for k in range(1, n_grids + 1)}


# ---- the log --------------------------------------------------------------------------------------------------------


class Log:
    """The records of a run: config.json, the losses in log.csv and for TensorBoard, and the sample grids.

    Attributes:
        loss: the loss in the last row, or NaN.
    """

    COLUMNS = ("step", "images", "loss", "images_per_second")

    def __init__(self, folder: Path, trainer: Trainer) -> None:
        from torch.utils.tensorboard import SummaryWriter

        self.folder, self.path, self.loss = folder, folder / LOG, math.nan
        delete_leftovers(folder)
        with replacing(folder / "config.json") as temporary:
            temporary.write_text(json.dumps(asdict(trainer.config), indent=2, allow_nan=False) + "\n", encoding="utf-8")
        rows = self._rows_until(trainer.step) if trainer.step and self.path.exists() else []
        if rows:
            self.loss = float(rows[-1][2] or "nan")
        with replacing(self.path) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
            csv.writer(file).writerows([self.COLUMNS, *rows])
        self.tensorboard = SummaryWriter(str(folder), purge_step=trainer.images_seen + 1)
        self.restart_clock(trainer)

    def _rows_until(self, step: int) -> list[list[str]]:
        """Return the rows of saved steps. A run that was killed may have logged later rows, or half a row."""
        with self.path.open(newline="", encoding="utf-8", errors="replace") as file:
            rows = [row for row in csv.reader(file) if len(row) == len(self.COLUMNS) and row[0].isdigit()]
        return [row for row in rows if int(row[0]) <= step]

    def restart_clock(self, trainer: Trainer) -> None:
        """Measure speed from here on, so that sampling and saving don't count as training."""
        self._clock_step, self._clock = trainer.step, time.perf_counter()

    def add_row(self, trainer: Trainer) -> None:
        """Write the loss and the speed since the last row.

        A custom training step may return a loss that isn't finite. The row then has none.
        """
        self.loss = round(trainer.read_losses(), 8)  # as in the log, from which a resumed run reads it
        loss = f"{self.loss:.8f}" if math.isfinite(self.loss) else ""
        rate = (trainer.step - self._clock_step) * trainer.config.batch_size / (time.perf_counter() - self._clock)
        with self.path.open(
            "r+", newline="", encoding="utf-8"
        ) as file:  # not "a", which would make a new file in a deleted folder
            file.seek(0, os.SEEK_END)
            csv.writer(file).writerow([trainer.step, trainer.images_seen, loss, f"{rate:.1f}"])
        if loss:
            self.tensorboard.add_scalar("loss", self.loss, trainer.images_seen)
        self.tensorboard.add_scalar("images_per_second", rate, trainer.images_seen)
        self.restart_clock(trainer)

    def add_grid(self, trainer: Trainer) -> None:
        """Draw a sample grid, named by the number of images seen."""
        image = grid(trainer.sample(36))
        save_image(image, self.folder / SAMPLES / f"{trainer.images_seen:09d}.png")
        self.tensorboard.add_image("samples", np.asarray(image), trainer.images_seen, dataformats="HWC")
        self.restart_clock(trainer)

    def close(self) -> None:
        """Write what TensorBoard still buffers."""
        self.tensorboard.close()


# ---- the summary ----------------------------------------------------------------------------------------------------


def finish(trainer: Trainer, folder: Path) -> list[Path]:
    """Draw images that summarize a run, into its folder.

    animation.gif shows its grids one after another; loss.png the loss; compare.png real images beside generated ones;
    and levels.png the predictions at each noise level.

    Returns:
        The paths.
    """
    from PIL import Image

    grids = [Image.open(path) for path in sorted((folder / SAMPLES).glob("*.png"))]
    real = trainer.example_images(min(64, len(trainer.images)))
    some = real[:: max(1, len(real) // 4)][:4]
    with trainer.autocast():
        generator = seeded(trainer.device, trainer.config.seed, "levels")
        kind = trainer.config.noise
        predictions = denoising_strip(trainer.ema, some, [k / 8 for k in range(9)], kind=kind, generator=generator)
    return [
        *([animation(grids, folder / "animation.gif")] if grids else []),
        save_figure(loss_curve(folder / LOG), folder / "loss.png"),
        save_image(comparison(real, trainer.sample(64, fine=True)), folder / "compare.png"),
        save_image(grid(predictions, columns=9), folder / "levels.png"),
    ]
