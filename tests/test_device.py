"""dino.speed: fused layers compute the same, and where there is no compiler training goes on without."""

import contextlib
import os
import shutil
import subprocess
import sys
import warnings
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from dino import images
from dino.common.errors import DinoError, DinoWarning
from dino.trainer import device, trainer
from dino.trainer.config import Config
from dino.trainer.device import choose_precision, explaining_memory
from dino.trainer.trainer import Trainer

TINY = Config(
    data="blobs", size=8, widths=(4, 8), depths=(1, 1), n_images=640, batch_size=16, learning_rate=1e-3,
    precision="float32", seed=3,
)  # fmt: skip


WAITING = {"_local_scalar_dense", "is_nonzero", "nonzero", "equal", "masked_select", "unique", "repeat_interleave"}


class NoWaiting(TorchDispatchMode):
    """Refuses the operations for which a host waits until a GPU has done all that it was given."""

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        assert func.overloadpacket.__name__ not in WAITING, func
        return func(*args, **(kwargs or {}))


@pytest.mark.parametrize("accumulate", [1, 3])
def test_no_number_is_read_from_the_device_within_a_step(blobs: Tensor, accumulate: int) -> None:
    """A GPU runs ahead only as long as no one asks it for a number. `docs/benchmarks/gpu.py` asks a real one, too."""
    trainer = Trainer(TINY, images=blobs, device="cpu", accumulate=accumulate)
    with NoWaiting():
        for _ in trainer.steps():
            pass
        with pytest.raises(AssertionError, match="_local_scalar_dense"):
            trainer.read_losses()
    assert trainer.step == 40


class Crossings(TorchDispatchMode):
    """Keeps the shapes of what goes from the CPU to another device."""

    def __init__(self) -> None:
        super().__init__()
        self.shapes: list[tuple[int, ...]] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        answer = func(*args, **(kwargs or {}))
        given = [tensor for tensor in args if isinstance(tensor, Tensor) and tensor.device.type == "cpu"]
        if isinstance(answer, Tensor) and answer.device.type != "cpu":
            self.shapes += [tuple(tensor.shape) for tensor in given]
        return answer


@pytest.fixture
def elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    """All is put on the meta device, whose tensors have a shape and no numbers, and refuse to meet those of the CPU."""
    for module in (images, trainer):  # it has no generators
        monkeypatch.setattr(module, "seeded", lambda *_: None)
    monkeypatch.setattr(device, "autocast", lambda *_: contextlib.nullcontext())  # nor this
    monkeypatch.setattr(trainer, "choose_device", lambda *_: torch.device("meta"))
    monkeypatch.setattr(Tensor, "is_cuda", True)  # so that it goes the ways of a GPU
    # Nor does it know fused optimizers; what dino hangs on to them is done.
    monkeypatch.setattr(
        torch.optim.AdamW, "step", lambda self: next(iter(self._optimizer_step_pre_hooks.values()))(self)
    )


@pytest.mark.parametrize("accumulate", [1, 3])
def test_nothing_of_a_step_or_a_sample_is_on_the_cpu(elsewhere: None, blobs: Tensor, accumulate: int) -> None:
    run = Trainer(replace(TINY, n_images=96), images=blobs, accumulate=accumulate, compile=False)
    with Crossings() as crossings:
        assert [loss.is_meta for loss in run.steps()] == [True] * 6
    assert set(crossings.shapes) == {(len(blobs),)}  # the order of the pictures, a new one for each pass
    with Crossings() as crossings:
        assert run.sample(4, n_steps=3).is_meta
    assert crossings.shapes == [(4,)]  # the schedule: from 1 down to 0


def test_noise_from_the_cpu_would_be_noticed(elsewhere: None, blobs: Tensor, monkeypatch: pytest.MonkeyPatch) -> None:
    def from_the_cpu(clean: Tensor, **_: Any) -> tuple[Tensor, Tensor]:
        noise, noise_level = torch.rand(clean.shape), torch.rand(len(clean), 1, 1, 1)
        return clean.lerp(noise.to(clean.device), noise_level.to(clean.device)), noise_level

    run = Trainer(TINY, images=blobs, compile=False)
    monkeypatch.setattr(trainer, "add_noise", from_the_cpu)
    with Crossings() as crossings, pytest.raises(RuntimeError, match="cpu"):
        next(run.steps())
    assert (TINY.batch_size, 3, 8, 8) in crossings.shapes


@pytest.mark.skipif(not shutil.which("g++"), reason="there is no compiler")
def test_a_compiled_network_learns_what_the_plain_one_learns(blobs: Tensor) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error", DinoWarning)  # a fall-back would prove nothing
        plain, fused = (Trainer(TINY, images=blobs, device="cpu", compile=wanted) for wanted in (False, True))
        losses = [[loss.item() for _, loss in zip(range(10), each.steps(), strict=False)] for each in (plain, fused)]
    assert losses[0] == pytest.approx(losses[1], rel=1e-4)
    for ours, theirs in zip(plain.averages, fused.averages, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-3, atol=1e-4)
    assert fused.model.state_dict().keys() == plain.model.state_dict().keys()  # what is saved has no trace of it


def test_without_a_compiler_training_goes_on_and_says_so(tmp_path: Path, blobs: Tensor) -> None:
    save_file({"blobs": blobs}, tmp_path / "blobs")
    code = f"""
from safetensors.torch import load_file
from dino.config import Config
from dino.trainer import Trainer
trainer = Trainer(Config(**{vars(TINY)!r}), images=load_file({str(tmp_path / "blobs")!r})["blobs"], compile=True)
losses = [loss.item() for loss in trainer.steps()]
print(losses[0] > losses[-1], trainer.step)
"""
    environment = os.environ | {"CXX": "/no/such/compiler", "TORCHINDUCTOR_CACHE_DIR": str(tmp_path / "cache")}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False)
    assert done.stdout == "True 40\n", done.stderr
    assert "torch.compile does not work here" in done.stderr
    assert "--no-compile" in done.stderr


def test_precision_is_what_was_asked_for_or_chosen_for_the_device() -> None:
    cpu = torch.device("cpu")
    assert choose_precision("float32", cpu) is torch.float32
    assert choose_precision("bfloat16", cpu) is torch.bfloat16
    assert choose_precision("auto", torch.device("mps")) is torch.float32
    assert choose_precision("auto", cpu) in (torch.float32, torch.bfloat16)


def test_a_full_memory_is_told_in_one_line_and_other_errors_are_let_through() -> None:
    with pytest.raises(DinoError, match="not enough memory for this: take less"), explaining_memory("take less"):
        torch.empty(10**15)
    with pytest.raises(RuntimeError, match="shape"), explaining_memory("take less"):
        torch.zeros(2) + torch.zeros(3).reshape(5)
