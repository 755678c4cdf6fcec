"""Runs: training in a folder with a log, grids of samples and saves; what sums a run up; and finding it again.

    trainer = Trainer(PRESETS["quick"])
    for progress in train(trainer, Path("runs/mine")):
        print(progress.images, progress.loss)

Whatever ends a run, its folder holds a state to go on from and weights to draw with.
"""

import contextlib
import math
from collections.abc import Iterator
from dataclasses import replace
from itertools import count
from pathlib import Path

import torch
from filelock import FileLock, Timeout

from ..common.atomic_file import explaining
from ..common.errors import DinoError, shown, typed
from . import tensor_file
from .config import Config
from .model_file import blueprint, load_model
from .tensor_file import STATE, WEIGHTS

RUNS = Path("runs")


SHIPPED = Path(__file__).parent / "data" / WEIGHTS  # the model that comes with dino; see docs/model.md


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
    tensors, about = tensor_file.read(path, "state")  # all of it, so that nothing begins with a damaged description
    config, _ = blueprint(path, about)
    if about.get("step", math.inf) > config.n_steps or about.get("precision") not in ("float32", "bfloat16"):
        raise DinoError(f"{path} does not say rightly how far its run is, or in which precision. Take another copy")
    losses = {"losses": tensors["losses"]} if "losses" in tensors else {}
    row = torch.empty(sum(map(torch.numel, losses.values())), device="meta")  # of as many as there are
    tensor_file.check_fit(path, {"losses": row}, losses)
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
