"""What a run learns, and on what: its configuration, the presets, and the device.

    config = PRESETS["quick"]
    longer = dataclasses.replace(config, n_images=2 * config.n_images)

PRESETS holds a `Config` under each name; docs/reference/configuration.md has a table of them.
"""

import contextlib
import ctypes
import warnings
from collections.abc import Iterator
from typing import TypeVar, cast

import torch
from torch import Tensor, nn

from ..common.errors import DinoError, DinoWarning, first_line, is_out_of_memory


def choose_device(name: str = "auto", local_rank: int = 0) -> torch.device:
    """The device called `name`, or the fastest one here.

    Args:
        name: "cpu", "cuda", "cuda:1", "mps" and the like, or "auto": a CUDA GPU before MPS before the CPU.
        local_rank: of this process among those of its box. Each gets its own GPU, where `name` leaves a choice.

    Raises:
        DinoError: there is no such device.
    """
    gpus = [f"cuda:{index}" for index in range(torch.cuda.device_count())]
    available = [*gpus, *["mps"] * torch.backends.mps.is_available(), "cpu"]
    if gpus and local_rank and name in ("auto", "cuda"):
        name = f"cuda:{local_rank}"
    if name == "auto":
        return torch.device(available[0])
    if name not in available and f"{name}:0" not in available:
        raise DinoError(f"there is no device {name} here. Available: {', '.join(available)}")
    return torch.device(name)


Network = TypeVar("Network", bound=nn.Module)

SMALL_BATCH = 128  # images; below it a GPU waits for the launches of its kernels, unless they come as one graph


def choose_precision(precision: str, device: torch.device) -> torch.dtype:
    """What the convolutions compute in: "float32", "bfloat16", or with "auto" whichever is faster on the device."""
    if precision != "auto":
        return torch.float32 if precision == "float32" else torch.bfloat16
    if device.type == "cuda":
        faster = torch.cuda.is_bf16_supported(including_emulation=False)
    else:  # on CPUs it pays where there are instructions for it
        has_instructions = torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()
        faster = device.type == "cpu" and has_instructions
    return torch.bfloat16 if faster else torch.float32


def autocast(precision: torch.dtype, device: torch.device) -> torch.autocast:
    """Within this context convolutions are done in `precision`. Weights stay as they are."""
    return torch.autocast(device.type, torch.bfloat16, enabled=precision == torch.bfloat16)


def to_fast_layout(network: Network, device: torch.device | str) -> Network:
    """Move a network to a device, in the layout of memory that its convolutions like best.

    Channels-last keeps a pixel's features together. It pays on GPUs with tensor cores and on CPUs; MPS is left alone.
    """
    if torch.device(device).type == "mps":
        return network.to(device)
    return network.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]


def prepare(device: torch.device) -> None:
    """Set what makes this process fast on a device, for all that it will do there."""
    if device.type == "cpu":
        keep_freed_memory()
    torch.backends.cudnn.benchmark |= device.type == "cuda"  # try its ways to convolve, and keep the fastest


def keep_freed_memory() -> None:
    """Have the C library keep the memory that tensors give back, for the next ones.

    By default each large tensor's memory goes back to Linux and comes again as fresh zeroed pages, 700,000 of them in
    three seconds of training at 64 x 64: keeping them made that 1.5 times as fast. For CPUs; a GPU's has torch for it.
    """
    with contextlib.suppress(OSError, AttributeError, TypeError):  # only glibc knows mallopt, and needs it
        libc, mmap_threshold, trim_threshold = ctypes.CDLL(None), -3, -1  # the numbers are from its malloc.h
        libc.mallopt(mmap_threshold, 2**30)
        libc.mallopt(trim_threshold, 2**31 - 1)


def compiled(
    network: nn.Module, example: tuple[Tensor, Tensor], autocast: torch.autocast, *, graphs: bool
) -> nn.Module:
    """The network with its layers fused by torch.compile, or as it was, with a warning, where there is no compiler.

    Args:
        example: what the network will be given: noisy images and noise levels.
        graphs: whether to launch each pass as one CUDA graph. It pays for small batches. A graph overwrites the
            gradients of the one before, so it can't be used where they are to add up.
    """
    # Not dynamic: the shape never changes in a run, and a second run in one process would get slower kernels for any.
    fast = cast(nn.Module, torch.compile(network, mode="reduce-overhead" if graphs else "default", dynamic=False))
    try:
        with autocast:
            answer = fast(*example)
        answer.sum().backward()
    except Exception as error:  # the compiler and its tools raise many kinds
        if is_out_of_memory(error):
            raise
        why = f"torch.compile does not work here ({first_line(error)}), so training goes on without it, slower"
        warnings.warn(f"{why}. It needs a C compiler: install gcc, or say --no-compile", DinoWarning, stacklevel=2)
        fast = network
    network.zero_grad()
    return fast


@contextlib.contextmanager
def explaining_memory(remedy: str) -> Iterator[None]:
    """Tell in one line that the memory is full, and what to do.

    Raises:
        DinoError: in place of torch's error.
    """
    try:
        yield
    except (RuntimeError, MemoryError) as error:
        if not is_out_of_memory(error):
            raise
        raise DinoError(f"there is not enough memory for this: {remedy}") from error
