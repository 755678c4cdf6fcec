"""Measurements of a device: its arithmetic, its memory bandwidth, and the time and memory that work takes on it."""

import contextlib
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

# ---- what the device can do -----------------------------------------------------------------------------------------


def matmul_rate(device: torch.device, precision: torch.dtype) -> float:
    """Return the FLOP per second of a large matrix product.

    On CUDA, float32 is measured in TF32, because that is how cuDNN computes convolutions of float32.
    """
    n = 8192 if device.type == "cuda" else 2048
    left, right = (torch.rand(n, n, device=device).to(precision) for _ in range(2))
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("high" if device.type == "cuda" else before)
    try:
        return 2 * n**3 / fastest(lambda: torch.mm(left, right), device)
    finally:
        torch.set_float32_matmul_precision(before)


def copy_rate(device: torch.device) -> float:
    """Return the bytes per second that a large copy reads and writes."""
    source = torch.ones(2**30 if device.type == "cuda" else 2**28, dtype=torch.uint8, device=device)
    target = torch.zeros_like(source)
    return 2 * source.nbytes / fastest(lambda: target.copy_(source), device)


# ---- time -----------------------------------------------------------------------------------------------------------


def fastest(work: Callable[[], object], device: torch.device, trials: int = 10) -> float:
    """Return the seconds of the fastest of several trials, which is the one with the fewest disturbances."""
    return min(timed(work, device) for _ in range(trials))


def timed(work: Callable[[], object], device: torch.device) -> float:
    """Return the seconds until the work is done, on the device too."""
    wait_for(device)
    start = time.perf_counter()
    work()
    wait_for(device)
    return time.perf_counter() - start


def wait_for(device: torch.device) -> None:
    """Wait until the device has finished everything it was given."""
    if device.type != "cpu":
        torch.accelerator.synchronize(device)


# ---- memory ---------------------------------------------------------------------------------------------------------


def memory_used(device: torch.device, *, peak: bool) -> int | None:
    """Return the bytes that this process uses now, or at its peak. None if the system doesn't report it."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device) if peak else torch.cuda.memory_allocated(device)
    with contextlib.suppress(OSError):  # only Linux has this file
        name = "VmHWM:" if peak else "VmRSS:"
        lines = Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
        return next(1024 * int(line.split()[1]) for line in lines if line.startswith(name))
    return None


class Traffic(TorchDispatchMode):
    """Counts the bytes of all inputs and outputs of torch's operations. A view reads and writes nothing.

    Attributes:
        total: bytes so far.
    """

    def __init__(self) -> None:
        super().__init__()
        self.total = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        output = func(*args, **(kwargs or {}))
        if not func.is_view:
            self.total += sum(each.nbytes for each in tree_leaves((args, kwargs, output)) if isinstance(each, Tensor))
        return output
