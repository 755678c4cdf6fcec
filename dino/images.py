"""Lesson 00: images. Where pictures come from, and how they become numbers.

On disk a picture is a file in one of many formats. Here it is decoded once, to a square of bytes (0 to 255), and all
the pictures together are one uint8 tensor (N, C, H, W) small enough to live on the GPU. Batches of floats in [0, 1] are
made from it as training asks for them.
"""

import hashlib
from collections.abc import Callable, Iterator
from functools import lru_cache
from itertools import count

import torch
from torch import Tensor


def to_unit(images_uint8: Tensor) -> Tensor:
    """Bytes in 0..255 become float32 in [0, 1]. Any shape."""
    return images_uint8.to(torch.float32) / 255


def center_square(image: Tensor) -> Tensor:
    """The middle of a picture: (C, H, W) -> (C, S, S) with S = min(H, W). An odd leftover pixel goes right or below."""
    height, width = image.shape[-2:]
    side = min(height, width)
    top, left = (height - side) // 2, (width - side) // 2
    return image[..., top : top + side, left : left + side]


def random_flip(images: Tensor, *, generator: torch.Generator | None = None) -> Tensor:
    """Mirror each image left-right with probability 1/2, each by a toss of its own. (N, C, H, W) -> the same.

    The generator must live on the device of `images`; without one it is torch's global one.
    """
    mirrored = torch.rand(len(images), 1, 1, 1, generator=generator, device=images.device) < 0.5
    return torch.where(mirrored, images.flip(-1), images)


def batches(
    images_uint8: Tensor,
    batch_size: int,
    *,
    seed: int = 0,
    start: int = 0,
    to_unit: Callable[[Tensor], Tensor] = to_unit,
    random_flip: Callable[..., Tensor] = random_flip,
) -> Iterator[Tensor]:
    """Clean training batches without end: each picture once per pass, every pass in a new order, flipped at random.

    Batch number k depends on `seed` and k alone (an idea from the code of EDM2, Karras et al. 2024, arXiv:2312.02696),
    so a run that stops after k batches goes on with `start=k` as if nothing had happened.

    Args:
        images_uint8: all the pictures, (N, C, H, W), at least one, on the device where the batches are wanted.
        batch_size: may be larger than N; a batch then holds several passes.
        seed: decides order and flips.
        start: the number of the first batch, counted from 0.
        to_unit, random_flip: a learner's own may take the place of ours.

    Yields:
        float32 in [0, 1], shape (batch_size, C, H, W).
    """
    n = len(images_uint8)
    for k in count(start):
        first, last = k * batch_size, (k + 1) * batch_size
        passes = range(first // n, (last - 1) // n + 1)
        order = torch.cat([_order_of_pass(n, seed, number, images_uint8.device) for number in passes])
        chosen = order[first - passes[0] * n :][:batch_size]
        clean = to_unit(images_uint8[chosen])
        yield random_flip(clean, generator=seeded(clean.device, seed, "flips", k))


def seeded(device: torch.device | str, *key: int | str) -> torch.Generator:
    """A random number generator whose numbers depend on `key` alone, such as (seed, "noise", step)."""
    digest = hashlib.sha256(repr(key).encode()).digest()
    return torch.Generator(device).manual_seed(int.from_bytes(digest[:6], "little"))


@lru_cache(maxsize=2)
def _order_of_pass(n: int, seed: int, number: int, device: torch.device) -> Tensor:
    order = torch.randperm(n, generator=seeded("cpu", seed, "order", number))  # the same on all devices
    if device.type == "cuda":  # from pinned memory it goes over while the GPU works
        return order.pin_memory().to(device, non_blocking=True)
    return order.to(device)
