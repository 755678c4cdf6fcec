"""The device, and how to compute fast on it: number formats, memory layout, fused layers."""

import contextlib
import ctypes
import sys
import warnings
from collections.abc import Iterator, Mapping, Sequence
from typing import TypeVar, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..common import memory
from ..common.errors import DinoError, DinoWarning, first_line, is_out_of_memory
from ..denoiser import largest

Network = TypeVar("Network", bound=nn.Module)

SMALL_BATCH = 128  # images; with fewer, a GPU waits for the launches of its kernels, unless they come as one graph


def choose_device(name: str = "auto", local_rank: int = 0, n_processes: int = 1) -> torch.device:
    """Return the device called `name`, or the fastest one available.

    Args:
        name: "cpu", "cuda", "cuda:1", "mps" and the like, or "auto": a CUDA GPU before MPS before the CPU.
        local_rank: the number of this process on its machine. Each process gets its own GPU, unless `name` says which.
        n_processes: of the run. Several can't share gradients on MPS, so "auto" is then the CPU.

    Raises:
        DinoError: if there is no such device.
    """
    gpus = [f"cuda:{index}" for index in range(torch.cuda.device_count())]
    available = [*gpus, *["mps"] * torch.backends.mps.is_available(), "cpu"]
    if gpus and local_rank and name in ("auto", "cuda"):
        name = f"cuda:{local_rank}"
    if name == "auto":
        return torch.device(next(each for each in available if each != "mps" or n_processes == 1))
    if name not in available and f"{name}:0" not in available:
        raise DinoError(f"there is no device {name} here. Available: {', '.join(available)}")
    return torch.device(name)


@contextlib.contextmanager
def flushing_denormals() -> Iterator[None]:
    """A context in which the CPU takes numbers below 1e-38 for 0. Where it can't, nothing changes.

    Below 1e-38 a number in float32 is denormal: it has fewer digits, and a CPU computes with it many times more slowly.
    A channel that is never active has a gradient of exactly 0. So its momentum shrinks by a twentieth in every step,
    and after some 900 steps the squares that Muon takes of it are denormal. From then on, a long run becomes slower and
    slower: one went from 290 images a second down to 84, and spent most of its time in Muon.

    The setting is one of each thread. Threads that PyTorch starts inherit it and keep it, so a program that only trains
    enters this context before it computes anything.
    """
    flushed_before = sys.float_info.min / 2 == 0
    torch.set_flush_denormal(True)
    try:
        yield
    finally:
        torch.set_flush_denormal(flushed_before)


# ---- number formats and memory layout -------------------------------------------------------------------------------


def autocast(precision: torch.dtype, device: torch.device) -> torch.autocast:
    """Compute convolutions in `precision` within this context. Weights keep their own format."""
    return torch.autocast(device.type, torch.bfloat16, enabled=precision == torch.bfloat16)


def to_layout(network: Network, device: torch.device | str, layout: str) -> Network:
    """Move a network to a device, in a memory layout.

    Channels-last keeps a pixel's features together, contiguous keeps a channel's pixels together.

    Args:
        network: the network.
        device: where to move it.
        layout: "channels_last" or "contiguous".
    """
    formats = {"channels_last": torch.channels_last, "contiguous": torch.contiguous_format}
    return network.to(device, memory_format=formats[layout])  # type: ignore[call-overload]


def _by_max_pool(x: Tensor) -> Tensor:
    return F.max_pool2d(x, kernel_size=x.shape[2:])


# Two forms of the maximum over an image. On many CPUs the gradient of amax is slow. On a GPU each thread of max_pool2d
# would have to walk through a whole image. Where several pixels are largest, amax shares the gradient among them.
MAXIMA = {"max_pool": _by_max_pool, "amax": largest}


# ---- settings of the whole process ----------------------------------------------------------------------------------


def prepare(device: torch.device) -> None:
    """Set everything that makes this process fast on a device."""
    if device.type == "cpu":
        keep_freed_memory()
    torch.backends.cudnn.benchmark |= device.type == "cuda"  # time cuDNN's convolutions, and use the fastest


def keep_freed_memory() -> None:
    """Make the C library keep the memory of freed tensors for new ones. For CPUs; on a GPU, torch does the same.

    By default the memory of each large tensor is returned to Linux and comes back as fresh zeroed pages, 700,000 pages
    in three seconds of training at 64 x 64. Keeping the memory made that training 1.5 times as fast.
    """
    with contextlib.suppress(OSError, AttributeError, TypeError):  # only glibc has mallopt, and needs it
        libc, mmap_threshold, trim_threshold = ctypes.CDLL(None), -3, -1  # the numbers are from its malloc.h
        libc.mallopt(mmap_threshold, 2**30)
        libc.mallopt(trim_threshold, 2**31 - 1)


# ---- compiling ------------------------------------------------------------------------------------------------------


def compiled(network: nn.Module, example: Sequence[Tensor], autocast: torch.autocast, *, graphs: bool) -> nn.Module:
    """Return the network with its layers fused by torch.compile, or unchanged, with a warning, if that fails.

    Args:
        network: to be compiled.
        example: noisy images, noise levels and perhaps conditions, of the shapes that the network will get.
        autocast: the context to run it in.
        graphs: whether to launch each pass as one CUDA graph. It pays for small batches. A graph overwrites the
            gradients of the one before, so it can't be used where gradients add up.
    """
    # Not dynamic: the shape never changes in a run, and a second run in one process would get slower kernels.
    fast = cast(nn.Module, torch.compile(network, mode="reduce-overhead" if graphs else "default", dynamic=False))
    try:
        with autocast:
            denoised = fast(*example)
        denoised.sum().backward()
    except Exception as error:  # the compiler and its tools raise many kinds
        if is_out_of_memory(error):
            raise
        warnings.warn(
            DinoWarning(
                f"torch.compile does not work here ({first_line(error)}), so training continues without it, slower. "
                "It needs a C compiler: install gcc, or switch compiling off",
                settings={"compile": False},
            ),
            stacklevel=2,
        )
        fast = network
    network.zero_grad()
    return fast


# ---- memory ---------------------------------------------------------------------------------------------------------


def free_memory(device: torch.device) -> int | None:
    """Return the free bytes of a device's memory, or None if nobody knows."""
    if device.type == "cuda":
        free, _ = torch.cuda.mem_get_info(device)
        return free
    return memory.free_memory()  # a Mac's GPU has no other


@contextlib.contextmanager
def explaining_memory(needed_for: str, settings: Mapping[str, object]) -> Iterator[None]:
    """Explain in one line that the memory is full.

    Args:
        needed_for: "a batch of 32 images", for example.
        settings: settings that need less memory, with values to try.

    Raises:
        DinoError: in place of torch's error.
    """
    try:
        yield
    except (RuntimeError, MemoryError) as error:
        if not is_out_of_memory(error):
            raise
        raise DinoError(f"there is not enough memory for {needed_for}", settings=settings) from error
