"""One run on several processes, each with a share of every batch: what `torchrun` starts.

torchrun tells each process its rank in environment variables. Without it there is one process, of rank 0, and every
function here does nothing or answers for that one.
"""

import contextlib
import os
import signal
import sys
from collections.abc import Iterator
from functools import cache
from typing import TYPE_CHECKING

from ..common.errors import DinoError, is_out_of_memory

if TYPE_CHECKING:  # torch takes two seconds to import, and the command line asks here who may speak
    import torch
    from torch import Tensor, nn


TORCHRUN = "TORCHELASTIC_RUN_ID" in os.environ
RANK = int(os.environ["RANK"]) if TORCHRUN else 0  # among all processes, on all boxes
LOCAL_RANK = int(os.environ["LOCAL_RANK"]) if TORCHRUN else 0  # among those of this box
N_PROCESSES = int(os.environ["WORLD_SIZE"]) if TORCHRUN else 1
FIRST = RANK == 0  # only this one writes files and speaks


@contextlib.contextmanager
def joined(device: "torch.device") -> Iterator[None]:
    """Within this context the processes know each other. The pictures' loading goes box by box: see `one_first`.

    Raises:
        DinoError: another process died; this one can't go on alone.
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
        first_to_speak()  # before leaving the others, who would take it for a death and tell that
        raise
    except RuntimeError as error:
        if is_out_of_memory(error) or not _is_about_a_peer(error):
            raise
        signal.signal(signal.SIGTERM, signal.SIG_IGN)  # torchrun's, which would end us before the reason is told
        raise DinoError(
            f"another process of this run died, so process {RANK} of {N_PROCESSES} ends too. "
            "The last save is whole: go on with the same torchrun command and --resume RUN"
        ) from error
    finally:
        with contextlib.suppress(Exception):  # it is broken if a process died
            distributed.destroy_process_group()


@contextlib.contextmanager
def leaving_at_once() -> Iterator[None]:
    """If the body ends the program, do so without taking Python apart first, in a process that torchrun started.

    Threads of gloo are still there then, though its group was destroyed. Now and then one of them wants something of
    Python in that moment and aborts the process, and torchrun calls a run that is whole and saved a failure.
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
    """The body runs in one process of each box, then in the others: they find the decoded pictures in the cache."""
    if LOCAL_RANK:
        _wait_for_all()
    yield
    if not LOCAL_RANK:
        _wait_for_all()


def _wait_for_all() -> None:
    if N_PROCESSES > 1:
        from torch import distributed

        distributed.barrier()


def synchronised(network: "nn.Module", device: "torch.device") -> "nn.Module":
    """A network whose gradients are, after each backward pass, the mean over the processes."""
    if N_PROCESSES == 1:
        return network
    from torch.nn.parallel import DistributedDataParallel

    devices = [device] if device.type == "cuda" else None
    return DistributedDataParallel(network, devices, gradient_as_bucket_view=True)


def sharing_gradients(network: "nn.Module", now: bool) -> contextlib.AbstractContextManager[None]:
    """Whether a backward pass in this context shares its gradients, or adds them up for the next one that does."""
    return contextlib.nullcontext() if now or N_PROCESSES == 1 else network.no_sync()  # type: ignore[operator]


def check_shares(batch_size: int, parts: int) -> None:
    """See that a batch can be split over the processes, and each one's share into parts.

    Raises:
        DinoError: it has too few images.
    """
    if not 1 <= N_PROCESSES * parts <= batch_size:
        raise DinoError(f"a batch of {batch_size} can't be split over {N_PROCESSES} processes in {parts} parts each")


def share(batch: "Tensor") -> "Tensor":
    """This process's part of a batch. The parts differ in size by one at most."""
    return batch.tensor_split(N_PROCESSES)[RANK]


def summed(values: "Tensor") -> "Tensor":
    """The sum over the processes, on all of them. Nothing waits for it."""
    if N_PROCESSES > 1:
        from torch import distributed

        distributed.all_reduce(values)
    return values


def largest(*values: float, device: "torch.device") -> list[float]:
    """The largest of each value among the processes: how they come to one decision. All wait for each other here."""
    if N_PROCESSES == 1:
        return list(values)
    import torch
    from torch import distributed

    together = torch.tensor(values, dtype=torch.float64, device=device)
    distributed.all_reduce(together, distributed.ReduceOp.MAX)
    return together.tolist()


def all_equal(number: int, device: "torch.device") -> bool:
    """Whether all processes have the same number here, of at most 53 bits."""
    high, low = largest(number, -number, device=device)
    return high == -low


@cache
def first_to_speak() -> bool:
    """Whether no other process has told the person yet why the run ends. torchrun's own store keeps count."""
    if not TORCHRUN:
        return True
    from torch.distributed import TCPStore  # type: ignore[attr-defined]

    host, port = os.environ["MASTER_ADDR"], int(os.environ["MASTER_PORT"])
    try:
        store = TCPStore(host, port, is_master=False)
        return store.add(f"dino told {os.environ.get('TORCHELASTIC_RESTART_COUNT')}", 1) == 1
    except Exception:  # the launcher is gone; better told twice than not at all
        return True
