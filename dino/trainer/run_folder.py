"""Run folders: how to make and find them, and what they hold."""

import contextlib
import math
import re
from collections.abc import Iterator
from dataclasses import replace
from itertools import count
from pathlib import Path

import torch
from filelock import FileLock, Timeout

from ..common.atomic_file import explaining
from ..common.errors import DinoError, printable
from . import tensor_file
from .config import Config
from .model_file import blueprint, load_model, resolve
from .tensor_file import STATE, WEIGHTS

RUNS = Path("runs")  # the folder of run folders
LOG, SAMPLES = "log.csv", "samples"  # in a run folder, beside the two tensor files


# ---- making a run folder --------------------------------------------------------------------------------------------


def new_run_folder(out: Path | None, name: str) -> Path:
    """Make the folder for a new run: `out`, or the next free one under runs/, such as runs/quick-3.

    Raises:
        DinoError: if `out` is not empty, its name is not Unicode, or it can't be made.
    """
    if out is None:
        taken = [int(p.name.rpartition("-")[2]) for p in RUNS.glob(f"{name}-*") if p.name.rpartition("-")[2].isdigit()]
        for number in count(max(taken, default=0) + 1):
            folder = RUNS / f"{name}-{number}"
            with explaining(folder), contextlib.suppress(FileExistsError):  # another run may have made it just now
                folder.mkdir(parents=True)
                return folder
        raise AssertionError("unreachable: there is always another number")
    check_is_unicode(out)
    with explaining(out):
        if (out / STATE).exists():
            raise DinoError(
                f"{out} already holds a run. Resume it, or choose another folder", settings={"resume": out, "out": None}
            )
        if out.exists() and (not out.is_dir() or any(out.iterdir())):
            raise DinoError(f"{out} exists and is not empty. Choose a new folder", settings={"out": None})
        out.mkdir(parents=True, exist_ok=True)
    return out


def check_is_unicode(folder: Path) -> None:
    """Refuse the path of a run folder that isn't Unicode.

    Raises:
        DinoError: if bytes of it are not UTF-8. TensorBoard can't write its files there.
    """
    try:
        str(folder).encode()
    except UnicodeEncodeError as error:
        raise DinoError(
            f"the name {printable(str(folder))} is not Unicode, and TensorBoard can't write to such a folder. Choose "
            "another name",
            settings={"out": None},
        ) from error


@contextlib.contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Keep other trainers out of a run folder within this context. The lock ends with the process, however it ends.

    Raises:
        DinoError: if another process trains in the folder.
    """
    with explaining(folder):
        folder.mkdir(parents=True, exist_ok=True)
        lock = FileLock(folder / ".lock")
        try:
            lock.acquire(blocking=False)
        except Timeout as error:
            raise DinoError(f"another process is training in {folder}. Wait for it, or train elsewhere") from error
        except NotImplementedError:
            pass  # this disk has no locks
    try:
        yield
    finally:
        lock.release()


# ---- finding a run --------------------------------------------------------------------------------------------------


def newest_run() -> Path:
    """Return the folder under runs/ whose weights were written last.

    Raises:
        DinoError: if there is none.
    """
    weights = sorted(filter(Path.is_file, RUNS.glob(f"*/{WEIGHTS}")), key=lambda path: path.stat().st_mtime)
    if not weights:
        raise DinoError(f"there is no run under {RUNS.resolve()} yet", command="train")
    return weights[-1].parent


def find_weights(named: Path | None) -> tuple[Path, Path]:
    """Return the weights to draw with, and the folder to write beside them.

    Args:
        named: what `resolve` takes; or None for the newest run, and if there is none, the model "pretrained". Beside a
            model that has a name instead of a path nothing is written: its folder is under runs/.
    """
    if named is None:
        try:
            named = newest_run()
        except DinoError:
            named = Path("pretrained")
    path = resolve(named)
    if path != named:
        return path, RUNS / re.sub("[:/]", "-", named.as_posix())
    return path, path if path.is_dir() else path.parent


# ---- the contents of a run folder -----------------------------------------------------------------------------------


def saved_config(folder: Path) -> Config:
    """Return the configuration of the run saved in a folder, with the precision that was chosen for it.

    Raises:
        DinoError: if there is no run in the folder, its file is damaged, or the file's metadata is false.
    """
    path = folder / STATE
    if not path.exists():
        raise DinoError(f"there is no run to resume in {folder} (no {STATE})")
    tensors, metadata = tensor_file.read(path, "state")  # all of it, so that nothing begins with damaged metadata
    config, _ = blueprint(path, metadata)
    if metadata.get("step", math.inf) > config.n_steps or metadata.get("precision") not in ("float32", "bfloat16"):
        raise DinoError(
            f"the metadata of {path} is wrong about the steps of its run or its precision. Use another copy"
        )
    losses = {"losses": tensors["losses"]} if "losses" in tensors else {}
    row = torch.empty(sum(map(torch.numel, losses.values())), device="meta")  # a single row, however long
    tensor_file.check_fit(path, {"losses": row}, losses)
    return replace(config, precision=metadata["precision"])


def progress(step: int, n_steps: int) -> str:
    """Say in words how far a run is. `dino info` and `dino doctor` print it."""
    if step >= n_steps:
        return "complete"
    if step == 0:
        return "not begun"
    return f"{100 * step // n_steps}% done" if 100 * step >= n_steps else "less than 1% done"


def describe(path: Path) -> dict[str, str]:
    """Describe a run folder or a weights file in words, each under a label. `dino info` prints them.

    Raises:
        DinoError: as `load_model`.
    """
    model, metadata = load_model(path)
    config = Config.from_dict(metadata["config"])
    words = {
        "weights": f"{sum(p.numel() for p in model.parameters()):,} in {len(config.widths)} resolutions, "
        f"widths {list(config.widths)}, depths {list(config.depths)}",
        "draws": f"{config.size} x {config.size} images, {'color' if config.channels == 3 else 'gray'}",
    }
    if config.vocabulary:
        words["can be asked for"] = printable(", ".join(config.vocabulary), 2_000)
    if "images_seen" not in metadata:
        return words  # saved by hand, so nothing is known of its training
    seen, n, loss = metadata["images_seen"], metadata.get("n_training_images"), metadata.get("loss")
    if n:
        times = f"{seen / n:.0f}" if seen >= 10 * n else f"{seen / n:.2g}"
        words["learned"] = f"from {n:,} images of {printable(config.data)}, seeing {seen:,} images ({times} times each)"
    if config.start_from:
        words["started from"] = f"{printable(config.start_from)}, not from random weights"
    words["trained"] = (
        f"{metadata.get('step', 0):,} steps of {config.batch_size} images each, "
        f"learning rate {config.learning_rate:g}, "
        f"in {printable(str(metadata.get('precision', config.precision)), 20)}, seed {config.seed}"
    )
    if isinstance(loss, float) and math.isfinite(loss):
        words["loss"] = f"{loss:.5f} in the last row of the log"
    elif "loss" in metadata:
        words["loss"] = "unknown, because the log had no row with a finite loss yet"
    if path.is_dir():
        words["run"] = progress(metadata.get("step", 0), config.n_steps)
    return words
