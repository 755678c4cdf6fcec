"""Batches of images that are not on the device: each is read, from a file or main memory, while the device works."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import count

import torch
from torch import Tensor

from ..images import batch_indices, random_flip, seeded, to_unit

CPU = torch.device("cpu")


def batches_from_file(
    images_uint8: Tensor,
    batch_size: int,
    *,
    seed: int,
    start: int,
    device: torch.device,
    to_unit: Callable[[Tensor], Tensor] = to_unit,
    random_flip: Callable[..., Tensor] = random_flip,
) -> Iterator[Tensor]:
    """Yield the batches of `dino.images.batches`, bit for bit, and read each one while the one before is used.

    Args:
        images_uint8: all training images, (N, C, H, W), on the CPU, perhaps mapped from a file.
        device: where the batches are made.
        batch_size, seed, start, to_unit, random_flip: as for `batches`.
    """

    def read(k: int) -> Tensor:
        chosen = images_uint8[batch_indices(len(images_uint8), batch_size, k, seed=seed, device=CPU)]
        return chosen.pin_memory() if device.type == "cuda" else chosen  # from there it is copied while the GPU works

    with ThreadPoolExecutor(1) as thread:
        coming = thread.submit(read, start)
        for k in count(start):
            chosen, coming = coming.result(), thread.submit(read, k + 1)
            clean = to_unit(chosen.to(device, non_blocking=True))
            yield random_flip(clean, generator=seeded(clean.device, seed, "flips", k))
