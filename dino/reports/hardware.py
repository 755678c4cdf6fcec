"""How fast training is, and what makes it so: a plain loop beside the trainer, one choice added at a time.

    dino bench

The first line is a loop as the original notebook writes it. Each line after it keeps the choices of those before and
adds one; the last is the trainer itself, with all that `dino train` does between two grids of samples. Each runs in a
process of its own, for some choices hold for a whole process, and they take turns on the same pictures, round after
round, so that a machine that slows down slows them all. Getting batches counts, too.

Two shares say how near a line comes to what the device can do, against rates that are measured here: its arithmetic
against a large matrix product in the same number format, its traffic with memory against a large copy. That traffic is
what a forward and a backward pass would move if each operation read its inputs from memory and wrote its outputs there.
Where layers are fused, or a cache keeps what comes next, less is moved, and the share can pass 100%.
"""

import contextlib
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import FlopCounterMode

from ..trainer.config import Config
from ..trainer.device import autocast
from .report import Report

if TYPE_CHECKING:
    pass
from .training_loops import Choices, a_batch, network


class Traffic(TorchDispatchMode):
    """Adds up the bytes of all that operations take in and give out. A view does neither."""

    def __init__(self) -> None:
        super().__init__()
        self.total = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        answer = func(*args, **(kwargs or {}))
        if not func.is_view:
            self.total += sum(each.nbytes for each in tree_leaves((args, kwargs, answer)) if isinstance(each, Tensor))
        return answer


def cost(choices: Choices, config: Config, device: torch.device) -> Report:
    """What a forward and a backward pass cost for each image: FLOP and bytes.

    A multiplication and an addition are two FLOP. Those of the convolutions are counted, nearly all there are.
    """
    device = torch.device("cpu") if device.type == "mps" else device  # the counter doesn't know its convolutions
    model, (noisy, noise_level, clean) = network(choices, config, device), a_batch(choices, config, device)
    with FlopCounterMode(display=False) as flop, Traffic() as traffic:
        with autocast(choices.precision, device):
            denoised = model(noisy, noise_level)
        F.mse_loss(denoised, clean).backward()
    n = choices.batch_size
    return {"flop_per_image": flop.get_total_flops() / n, "bytes_per_image": traffic.total / n}


def matmul_rate(device: torch.device, precision: torch.dtype) -> float:
    """The FLOP a second of a large matrix product. On CUDA in TF32, as cuDNN convolves what is in float32."""
    n = 8192 if device.type == "cuda" else 2048
    left, right = (torch.rand(n, n, device=device).to(precision) for _ in range(2))
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("high" if device.type == "cuda" else before)
    try:
        return 2 * n**3 / fastest(lambda: torch.mm(left, right), device)
    finally:
        torch.set_float32_matmul_precision(before)


def copy_rate(device: torch.device) -> float:
    """The bytes a second that a large copy reads and writes."""
    source = torch.ones(2**30 if device.type == "cuda" else 2**28, dtype=torch.uint8, device=device)
    target = torch.zeros_like(source)
    return 2 * source.nbytes / fastest(lambda: target.copy_(source), device)


def fastest(work: Callable[[], object], device: torch.device, trials: int = 10) -> float:
    """The seconds that `work` takes when nothing disturbs it."""
    return min(timed(work, device) for _ in range(trials))


def timed(work: Callable[[], object], device: torch.device) -> float:
    """The seconds until `work` is done, also on the device."""
    wait_for(device)
    start = time.perf_counter()
    work()
    wait_for(device)
    return time.perf_counter() - start


def wait_for(device: torch.device) -> None:
    """Return when the device has done all that it was given."""
    if device.type != "cpu":
        torch.accelerator.synchronize(device)


def memory(device: torch.device, *, peak: bool) -> int | None:
    """The bytes that this process has in use, or the most it ever had. None where the system doesn't tell."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device) if peak else torch.cuda.memory_allocated(device)
    with contextlib.suppress(OSError):  # Linux tells
        name = "VmHWM:" if peak else "VmRSS:"
        lines = Path("/proc/self/status").read_text().splitlines()
        return next(1024 * int(line.split()[1]) for line in lines if line.startswith(name))
    return None
