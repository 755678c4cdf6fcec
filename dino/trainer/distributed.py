"""One run on several processes, each with a shard of every batch, as `torchrun` starts them.

torchrun gives each process its rank in environment variables. Without torchrun there is one process, of rank 0, and
every function here does nothing, or returns what is true of that process.
"""

import contextlib
import os
import signal
import sys
from collections.abc import Iterator
from functools import cache
from typing import TYPE_CHECKING

from ..common.errors import DinoError, is_out_of_memory

if TYPE_CHECKING:  # importing torch takes two seconds, and the command line asks here which process may print
    import torch
    from torch import Tensor, nn

TORCHRUN = "TORCHELASTIC_RUN_ID" in os.environ
RANK = int(os.environ["RANK"]) if TORCHRUN else 0  # among all processes, on all machines
LOCAL_RANK = int(os.environ["LOCAL_RANK"]) if TORCHRUN else 0  # among the processes of this machine
N_PROCESSES = int(os.environ["WORLD_SIZE"]) if TORCHRUN else 1


def is_main() -> bool:
    """Return whether this is the process that writes files and prints."""
    return RANK == 0


@contextlib.contextmanager
def joined(device: "torch.device") -> Iterator[None]:
    """Connect the processes within this context.

    Raises:
        DinoError: if another process died, because this one can't continue alone.
    """
    if not TORCHRUN:
        yield
        return
    import torch
    from torch import distributed

    if device.type == "cuda":
        torch.cuda.set_device(device)
    try:
        distributed.init_process_group("nccl" if device.type == "cuda" else "gloo")
        yield
    except DinoError:
        first_to_report()  # before leaving, because the other processes would report a death instead
        raise
    except RuntimeError as error:
        if is_out_of_memory(error) or not _is_about_a_peer(error):
            raise
        signal.signal(signal.SIGTERM, signal.SIG_IGN)  # torchrun's, which would end us before the reason is printed
        raise DinoError(
            f"another process of this run died, so process {RANK} of {N_PROCESSES} ends too. The last save is whole: "
            "resume the run with the same torchrun command",
            settings={"resume": "RUN"},
        ) from error
    finally:
        with contextlib.suppress(Exception):  # it is broken if a process died
            distributed.destroy_process_group()


@contextlib.contextmanager
def exit_at_once() -> Iterator[None]:
    """Exit without tearing Python down if the body ends the program, in a process that torchrun started.

    Threads of gloo are still running then, although its group was destroyed. Now and then one of them calls into Python
    at that moment and aborts the process, and torchrun reports a failure although the run is whole and saved.
    """
    try:
        yield
    except SystemExit as ending:
        if not TORCHRUN:
            raise
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(ending.code if isinstance(ending.code, int) else int(ending.code is not None))


def _is_about_a_peer(error: RuntimeError) -> bool:
    from torch import distributed

    words = str(error).lower()
    return isinstance(error, distributed.DistError) or any(word in words for word in ("gloo", "nccl", "connection"))


@contextlib.contextmanager
def one_first() -> Iterator[None]:
    """Run the body in one process of each machine first. The others then find its result in the cache."""
    if LOCAL_RANK:
        _wait_for_all()
    yield
    if not LOCAL_RANK:
        _wait_for_all()


def _wait_for_all() -> None:
    if N_PROCESSES > 1:
        from torch import distributed

        distributed.barrier()


# ---- batches and gradients ------------------------------------------------------------------------------------------


def synchronized(network: "nn.Module", device: "torch.device") -> "nn.Module":
    """Wrap a network so that each backward pass averages its gradients over the processes."""
    if N_PROCESSES == 1:
        return network
    from torch.nn.parallel import DistributedDataParallel

    devices = [device] if device.type == "cuda" else None
    return DistributedDataParallel(network, devices, gradient_as_bucket_view=True)


def sharing_gradients(network: "nn.Module", now: bool) -> contextlib.AbstractContextManager[None]:
    """Share the gradients of a backward pass in this context `now`, or keep them and add them to those of the next."""
    return contextlib.nullcontext() if now or N_PROCESSES == 1 else network.no_sync()  # type: ignore[operator]


def check_shards(batch_size: int, parts: int) -> None:
    """Check that a batch can be split over the processes, and each shard into parts.

    Raises:
        DinoError: if the batch has too few images.
    """
    if not 1 <= N_PROCESSES * parts <= batch_size:
        processes = f"over {N_PROCESSES} processes, " if N_PROCESSES > 1 else ""
        raise DinoError(
            f"a batch of {batch_size:,} can't be split {processes}into {parts:,} part{'s' * (parts != 1)}"
            + (" each" if processes else ""),
            settings={"batch_size": None, "accumulate": None},
        )


def shard(batch: "Tensor") -> "Tensor":
    """Return this process's part of a batch. The parts differ in size by at most one image."""
    return batch.tensor_split(N_PROCESSES)[RANK]


def summed(values: "Tensor") -> "Tensor":
    """Return the sum over the processes, on all of them, without waiting for it."""
    if N_PROCESSES > 1:
        from torch import distributed

        distributed.all_reduce(values)
    return values


# ---- agreement ------------------------------------------------------------------------------------------------------


def largest(*values: float, device: "torch.device") -> list[float]:
    """Return the largest of each value among the processes, which wait here for each other and then decide alike."""
    if N_PROCESSES == 1:
        return list(values)
    import torch
    from torch import distributed

    shared = torch.tensor(values, dtype=torch.float64, device=device)
    distributed.all_reduce(shared, distributed.ReduceOp.MAX)
    return shared.tolist()


def all_equal(number: int, device: "torch.device") -> bool:
    """Return whether all processes have the same number, of at most 53 bits."""
    high, low = largest(number, -number, device=device)
    return high == -low


@cache
def first_to_report() -> bool:
    """Return whether no other process has reported yet why the run ends. torchrun's own store keeps count."""
    if not TORCHRUN:
        return True
    from torch.distributed import TCPStore  # type: ignore[attr-defined]

    host, port = os.environ["MASTER_ADDR"], int(os.environ["MASTER_PORT"])
    try:
        store = TCPStore(host, port, is_master=False)
        return store.add(f"dino reported {os.environ.get('TORCHELASTIC_RESTART_COUNT')}", 1) == 1
    except Exception:  # the launcher is gone, and two reports are better than none
        return True
