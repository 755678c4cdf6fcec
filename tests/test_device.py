"""The device: no step waits for it, everything of a step is on it, and fused layers compute the same."""

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
from dino.cli.output import in_one_line
from dino.common.errors import DinoError, DinoWarning
from dino.few_steps import FEW
from dino.trainer import device, noising, trainer
from dino.trainer.config import Config
from dino.trainer.device import explaining_memory
from dino.trainer.trainer import Trainer

TINY = Config(
    data="blobs", size=8, widths=(4, 8), depths=(1, 1), n_images=640, batch_size=16, learning_rate=1e-3,
    precision="float32", seed=3,
)  # fmt: skip


WAITING = {"_local_scalar_dense", "is_nonzero", "nonzero", "equal", "masked_select", "unique", "repeat_interleave"}


class NoWaiting(TorchDispatchMode):
    """Refuse operations for which the host waits until the GPU has finished."""

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        assert func.overloadpacket.__name__ not in WAITING, func
        return func(*args, **(kwargs or {}))


@pytest.mark.parametrize(("accumulate", "changes"), [(1, {}), (3, {}), (1, {"flaws": 0.5})])
def test_no_number_is_read_from_the_device_within_a_step(
    blobs: Tensor, accumulate: int, changes: dict[str, Any]
) -> None:
    """The host can't queue work for a GPU while it waits for a number. `scripts/benchmarks/gpu.py` tries a real GPU."""
    trainer = Trainer(replace(TINY, **changes), images=blobs, device="cpu", accumulate=accumulate)
    with NoWaiting():
        for _ in trainer.steps():
            pass
        with pytest.raises(AssertionError, match="_local_scalar_dense"):
            trainer.read_losses()
    assert trainer.step == 40


class Crossings(TorchDispatchMode):
    """Record the shapes of tensors that go from the CPU to another device."""

    def __init__(self) -> None:
        super().__init__()
        self.shapes: list[tuple[int, ...]] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        given = [tensor for tensor in args if isinstance(tensor, Tensor) and tensor.device.type == "cpu"]
        if isinstance(result, Tensor) and result.device.type != "cpu":
            self.shapes += [tuple(tensor.shape) for tensor in given]
        return result


@pytest.fixture
def meta_device(monkeypatch: pytest.MonkeyPatch) -> None:
    """Train on the meta device, whose tensors have shapes and no numbers, and don't mix with tensors of the CPU."""
    for module in (images, trainer):  # the meta device has no generators
        monkeypatch.setattr(module, "seeded", lambda *_: None)
    monkeypatch.setattr(device, "autocast", lambda *_: contextlib.nullcontext())  # and no autocast
    monkeypatch.setattr(device, "choose_device", lambda *_: torch.device("meta"))
    monkeypatch.setattr(Tensor, "is_cuda", True)  # so that the code takes its paths for GPUs
    # The meta device has no fused optimizers either. The hook that dino adds to the optimizer still runs.
    monkeypatch.setattr(
        torch.optim.AdamW, "step", lambda self: next(iter(self._optimizer_step_pre_hooks.values()))(self)
    )


@pytest.mark.parametrize("accumulate", [1, 3])
def test_nothing_of_a_step_or_a_sample_is_on_the_cpu(meta_device: None, blobs: Tensor, accumulate: int) -> None:
    run = Trainer(replace(TINY, n_images=96), images=blobs, accumulate=accumulate, compile=False)
    with Crossings() as crossings:
        assert [loss.is_meta for loss in run.steps()] == [True] * 6
    assert set(crossings.shapes) == {(len(blobs),)}  # the order of the images, a new one for each pass
    with Crossings() as crossings:
        assert run.sample(4).is_meta
    assert crossings.shapes == [(FEW + 1,)]  # the schedule: from 1 down to 0


def test_noise_from_the_cpu_would_be_noticed(meta_device: None, blobs: Tensor, monkeypatch: pytest.MonkeyPatch) -> None:
    def from_the_cpu(clean: Tensor, *_: Any, **__: Any) -> tuple[Tensor, Tensor]:
        noise, noise_level = torch.rand(clean.shape), torch.rand(len(clean), 1, 1, 1)
        return clean.lerp(noise.to(clean.device), noise_level.to(clean.device)), noise_level

    run = Trainer(TINY, images=blobs, compile=False)
    monkeypatch.setattr(noising, "add_noise", from_the_cpu)
    with Crossings() as crossings, pytest.raises(RuntimeError, match="cpu"):
        next(run.steps())
    assert (TINY.batch_size, 3, 8, 8) in crossings.shapes


@pytest.mark.skipif(not shutil.which("g++"), reason="there is no compiler")
def test_a_compiled_network_trains_like_a_plain_one(blobs: Tensor) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error", DinoWarning)  # a fallback would prove nothing
        plain, fused = (Trainer(TINY, images=blobs, device="cpu", compile=wanted) for wanted in (False, True))
        losses = [[loss.item() for _, loss in zip(range(10), each.steps(), strict=False)] for each in (plain, fused)]
    assert losses[0] == pytest.approx(losses[1], rel=1e-4)
    for ours, theirs in zip(plain.ema_weights, fused.ema_weights, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-3, atol=1e-4)
    assert fused.model.state_dict().keys() == plain.model.state_dict().keys()  # saved files have no trace of compiling


def test_without_a_compiler_training_continues_and_warns(tmp_path: Path, blobs: Tensor) -> None:
    save_file({"blobs": blobs}, tmp_path / "blobs")
    code = f"""
import warnings
from safetensors.torch import load_file
from dino.cli.output import format_warning
from dino.trainer.config import Config
from dino.trainer.trainer import Trainer
warnings.formatwarning = format_warning
trainer = Trainer(Config(**{vars(TINY)!r}), images=load_file({str(tmp_path / "blobs")!r})["blobs"], compile=True)
losses = [loss.item() for loss in trainer.steps()]
print(losses[0] > losses[-1], trainer.step)
"""
    environment = os.environ | {"CXX": "/no/such/compiler", "TORCHINDUCTOR_CACHE_DIR": str(tmp_path / "cache")}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False)
    assert done.stdout == "True 40\n", done.stderr
    assert "dino: torch.compile does not work here" in done.stderr
    assert "Try --no-compile." in done.stderr


def test_a_full_memory_is_reported_in_one_line_and_other_errors_pass() -> None:
    with (
        pytest.raises(DinoError, match="not enough memory for a batch of 2") as caught,
        explaining_memory("a batch of 2", {"batch_size": 1}),
    ):
        torch.empty(10**15)
    assert in_one_line(caught.value).endswith("for a batch of 2. Try --batch-size 1.")
    with pytest.raises(RuntimeError, match="shape"), explaining_memory("a batch of 2", {"batch_size": 1}):
        torch.zeros(2) + torch.zeros(3).reshape(5)


@pytest.mark.parametrize(
    ("batch_size", "accumulate", "sentence"),
    [
        (16, 1, "Try --accumulate 2 or --batch-size 8."),
        (16, 4, "Try --accumulate 8 or --batch-size 8."),
        (3, 2, "Try --batch-size 1."),  # three images can't be split into four parts
        (1, 1, "Change --size."),
    ],
)
def test_a_batch_that_does_not_fit_is_reported_with_settings_to_try(
    blobs: Tensor, monkeypatch: pytest.MonkeyPatch, batch_size: int, accumulate: int, sentence: str
) -> None:
    def run_out(*_: Any) -> Tensor:
        raise torch.OutOfMemoryError("CUDA out of memory")

    run = Trainer(replace(TINY, batch_size=batch_size), images=blobs, device="cpu", accumulate=accumulate)
    monkeypatch.setattr(run, "_train_step", run_out)
    with pytest.raises(DinoError) as caught:
        next(run.steps())
    images = f"{batch_size} image{'s' * (batch_size != 1)}"
    assert in_one_line(caught.value) == f"dino: there is not enough memory for a batch of {images}. {sentence}"


def test_training_takes_denormal_numbers_for_0_and_nothing_else_does(
    blobs: Tensor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The momentum of a channel that is never active becomes denormal, and computing with it takes long."""
    tiny = torch.full((1000,), 1e-39)
    if not torch.set_flush_denormal(True):
        pytest.skip("this processor can't")
    torch.set_flush_denormal(False)
    run = Trainer(TINY, images=blobs, device="cpu")
    monkeypatch.setattr(run, "_train_step", lambda *_: tiny * 1)
    steps = run.steps()
    assert next(steps).max() == 0
    assert (tiny * 1).max() > 0
    with device.flushing_denormals():
        assert next(steps).max() == 0
        assert (tiny * 1).max() == 0
    assert (tiny * 1).max() > 0
