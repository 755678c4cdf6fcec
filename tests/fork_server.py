"""A fork server: a process that has imported all of dino, and forks a child that runs the `dino` command on request.

Importing torch takes seconds and a fork takes none, so test_faults.py can kill dozens of children. The server reads one
line of JSON for each request and responds with one. The server itself computes nothing, because torch's threads don't
survive a fork.

`fault` lists what can happen to a child. Everything else in a child is what `python -m dino` does.
"""

import contextlib
import json
import math
import os
import resource
import runpy
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Generator
from pathlib import Path
from typing import Any

import datasets  # noqa: F401
import matplotlib.pyplot  # noqa: F401
import PIL.Image  # noqa: F401
import torch
import torch.nn.functional as F
import torch.utils.tensorboard
import torchvision.transforms.v2.functional  # noqa: F401
import tqdm  # noqa: F401
from safetensors.torch import save_file
from torch import Tensor, nn

from dino import images
from dino.trainer import checkpoint, presets, run, trainer
from dino.trainer.config import Config
from dino.trainer.run import Progress
from dino.trainer.trainer import Trainer

TINY = Config(
    size=8, widths=(4, 8), depths=(1, 1), n_images=60 * 16, batch_size=16, learning_rate=1e-3,
    warmup=10, anneal=True, precision="float32", layout="channels_last", maximum="max_pool", seed=3,
)  # fmt: skip
LIFETIME = 600  # seconds; no child lives longer, and only one that hangs lives that long


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def fill(folder: Path, leave: int) -> None:
    """Fill the disk that `folder` is on, down to `leave` free bytes."""
    free = os.statvfs(folder).f_bavail * os.statvfs(folder).f_frsize
    with (folder.parent / "ballast").open("wb", buffering=0) as file:
        file.write(bytes(free - leave))


def make_read_only(folder: Path) -> None:
    """Mount a folder so that no user can write to it, not even root."""
    for words in (["--bind", folder, folder], ["-o", "remount,ro,bind", folder]):
        subprocess.run(["mount", *map(str, words)], check=True)


# ---- faults ---------------------------------------------------------------------------------------------------------


def die_in_a_save(step: int, point: str) -> None:
    """Kill this process at a point of the save after `step`, such as "half of the bytes of state.safetensors"."""
    when, _, name = point.rpartition(" of ")
    armed = False
    save, write_bytes, replace, fsync = Trainer.save, Path.write_bytes, Path.replace, os.fsync

    def reached(here: str, path: Path) -> bool:
        return armed and here == when and name in path.name  # a temporary has its target's name in its own

    def saving(self: Trainer, folder: Path, loss: float) -> None:
        nonlocal armed
        armed = self.step == step
        save(self, folder, loss)

    def writing(self: Path, data: bytes) -> int:
        if reached("before the temporary", self):
            die()
        if reached("half of the bytes", self):
            with self.open("wb", buffering=0) as file:
                file.write(data[: len(data) // 2])
            die()
        return write_bytes(self, data)

    def flushing(handle: int) -> None:
        path = Path(f"/proc/self/fd/{handle}").readlink()
        if reached("before the fsync", path):
            die()
        fsync(handle)
        if reached("after the fsync", path):
            die()
        if path.is_dir() and reached("after the fsync of the folder", moved_last):
            die()

    def moving(self: Path, target: Path) -> Path:
        nonlocal moved_last
        moved_last = target
        moved = replace(self, target)
        if reached("after the rename", target):
            die()
        return moved

    moved_last = Path()
    Trainer.save = saving  # type: ignore[method-assign]
    Path.write_bytes, Path.replace, os.fsync = writing, moving, flushing  # type: ignore[method-assign, assignment]


def poison(what: str, step: int, value: float) -> None:
    """Spoil a number in the step that follows `step` others: set it to `value`, or multiply it by `value`."""
    if what == "image":
        make = Trainer.__init__

        def initialize(self: Trainer, *given: Any, **named: Any) -> None:
            make(self, *given, **named)
            chosen = images.batches(
                self.images, self.config.batch_size, seed=self.config.seed, start=step,
                to_unit=lambda batch: batch, random_flip=lambda batch, generator: batch,
            )  # fmt: skip
            bad = next(chosen)

            def to_unit(batch: Tensor) -> Tensor:
                clean = images.to_unit(batch)
                if torch.equal(batch, bad):
                    clean[3, 0, 2, 5] = value
                return clean

            self._batches = lambda start: images.batches(  # type: ignore[method-assign]
                self.images, self.config.batch_size, seed=self.config.seed, start=start, to_unit=to_unit,
            )  # fmt: skip

        Trainer.__init__ = initialize  # type: ignore[method-assign]
    if what == "loss":
        mse_loss, calls = F.mse_loss, 0

        def loss(*given: Tensor) -> Tensor:
            nonlocal calls
            calls += 1
            return mse_loss(*given) * (value if calls == step + 1 else 1)

        F.mse_loss = loss
    if what == "gradient":
        make_network = Trainer._fast_network

        def network(self: Trainer) -> nn.Module:
            weight = list(self.model.parameters())[5]
            weight.register_hook(lambda gradient: gradient * (value if self.step == step else 1))
            return make_network(self)

        Trainer._fast_network = network  # type: ignore[method-assign]


def fault(
    folder: Path,
    *,
    at: int = -1,
    hold: bool = False,
    remove: bool = False,
    read_only: bool = False,
    fill_to: int | None = None,
    before_weights: bool = False,
    spoil_weight: bool = False,
    slow_saves: bool = False,
    stop: bool = False,
) -> Callable[[Trainer, int], None]:
    """Return a function that does to this process what the arguments say, when step `at` is done."""
    save, save_model = Trainer.save, trainer.save_model
    full = False

    def save_slowly(self: Trainer, *given: Any) -> None:
        (folder.parent / "saving").touch()
        time.sleep(LIFETIME)
        save(self, *given)

    def save_model_to_a_full_disk(*given: Any) -> None:
        if full and fill_to is not None:
            fill(folder, fill_to)
        save_model(*given)

    if before_weights:
        trainer.save_model = save_model_to_a_full_disk

    def strike(trainer: Trainer, step: int) -> None:
        nonlocal full
        if step != at:
            return
        if hold:
            (folder.parent / "held").touch()
            while (folder.parent / "held").exists():
                time.sleep(0.02)
        if remove:
            shutil.rmtree(folder)
        if read_only:
            make_read_only(folder)
        if fill_to is not None and not before_weights:
            fill(folder, fill_to)
        full = True
        if spoil_weight:
            with torch.no_grad():
                next(trainer.model.parameters())[0, 0, 0, 0] = math.nan
        if slow_saves:
            Trainer.save = save_slowly  # type: ignore[method-assign]
        if stop:
            os.kill(os.getpid(), signal.SIGTERM)

    return strike


# ---- a child --------------------------------------------------------------------------------------------------------


def recorded(strike: Callable[[Trainer, int], None], log: Path) -> Any:
    """Return `dino.trainer.run.train`, recording what it yields. Each record is one write, which no kill can tear."""
    train = run.train

    def record(trainer: Trainer, folder: Path) -> Generator[Progress, None, None]:
        handle = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        try:
            with contextlib.closing(train(trainer, folder)) as steps:
                for progress in steps:
                    os.write(handle, f"{progress.step} {progress.saved}\n".encode())
                    strike(trainer, progress.step)
                    yield progress
        finally:  # the state in memory at the end
            tensors, _ = checkpoint.state_of(trainer._networks, trainer.optimizer)
            save_file({name: tensor.contiguous() for name, tensor in tensors.items()}, log.with_suffix(".memory"))

    return record


def run_command(folder: Path, log: Path, argv: list[str], settings: dict[str, Any]) -> None:
    """Run the command in this process, with a fault."""
    torch.set_num_threads(1)
    signal.alarm(LIFETIME)
    for stream in (1, 2):
        os.dup2(os.open(log.with_suffix((".out", ".err")[stream - 1]), os.O_WRONLY | os.O_CREAT, 0o644), stream)
    os.chdir(folder.parent)
    presets.PRESETS["quick"] = TINY
    if not settings.pop("finish", False):
        run.finish = lambda *_: []
    run.SAVE_EVERY = settings.pop("save_every", 0)
    if point := settings.pop("point", None):
        die_in_a_save(settings["at"], point)
    if what := settings.pop("poison", None):
        poison(what, settings["at"], float(settings.pop("value")))
        settings.pop("at")
    if settings.pop("starts_read_only", False):
        make_read_only(folder)
    memory = settings.pop("memory", None)
    run.train = recorded(fault(folder, **settings), log)
    if memory is not None:
        size = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize() + memory
        resource.setrlimit(resource.RLIMIT_AS, (size, size))
    sys.argv = ["dino", *argv]
    runpy.run_module("dino", run_name="__main__")


def fork(request: dict[str, Any]) -> int:
    child = os.fork()
    if child:
        return child
    status = 70
    try:
        run_command(Path(request["folder"]), Path(request["log"]), request["argv"], request["settings"])
        status = 0
    except SystemExit as end:
        status = end.code if isinstance(end.code, int) else int(end.code is not None)
    except KeyboardInterrupt:
        status = 71
    except BaseException:
        sys.excepthook(*sys.exc_info())
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)


def main() -> None:
    print("ready", flush=True)
    for line in sys.stdin:
        request = json.loads(line)
        if "argv" in request:
            response: Any = fork(request)
        elif "copy" in request:  # out of a disk that only this process and its children see
            response = shutil.copytree(request["copy"], request["to"])
        elif "remove" in request:
            response = Path(request["remove"]).unlink()
        elif "mount" in request:
            words = ["mount", "-t", "tmpfs", "-o", f"size={request['size']}", "tmpfs", request["mount"]]
            response = subprocess.run(words, capture_output=True, text=True, check=False).stderr
        else:
            response = os.waitstatus_to_exitcode(os.waitpid(request["wait"], 0)[1])
        print(json.dumps(response), flush=True)


if __name__ == "__main__":
    main()
