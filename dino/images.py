"""Lesson 00: images. From bytes to batches of floats.

All training images together are one uint8 tensor (N, C, H, W), small enough to live on the GPU
(`dino.data.loading.load_images` makes it). Batches of floats in [0, 1] are made from it as training asks for them.
"""

import hashlib
from collections.abc import Callable, Iterator
from functools import lru_cache
from itertools import count

import torch
from torch import Tensor


def to_unit(images_uint8: Tensor) -> Tensor:
    """Convert uint8 in 0 to 255 to float32 in [0, 1]. Any shape."""
    return images_uint8.to(torch.float32) / 255


def center_square(image: Tensor) -> Tensor:
    """Return the middle square of an image.

    If an odd number of pixels is cut off, the extra pixel is cut off on the right or at the bottom.

    Args:
        image: any dtype, shape (C, H, W).

    Returns:
        Shape (C, S, S) with S = min(H, W).
    """
    height, width = image.shape[-2:]
    side = min(height, width)
    top, left = (height - side) // 2, (width - side) // 2
    return image[..., top : top + side, left : left + side]


def random_flip(images: Tensor, *, generator: torch.Generator | None = None) -> Tensor:
    """Mirror each image left to right with probability 1/2, independently of the others.

    Args:
        images: shape (N, C, H, W).
        generator: where the random numbers come from, on the device of `images`. By default torch's global one.

    Returns:
        The images, mirrored or not: shape (N, C, H, W).
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
    """Yield clean training batches without end. Each pass shows every image once, in a new order, flipped at random.

    Batch number k depends on `seed` and k alone (an idea from the code of EDM2, Karras et al. 2024, arXiv:2312.02696),
    so a run that stops after k batches resumes with `start=k` and sees the batches it would have seen.

    Args:
        images_uint8: all training images, shape (N, C, H, W), at least one. The batches are made on their device.
        batch_size: may be larger than N; a batch then holds several passes.
        seed: determines the order and the flips.
        start: the number of the first batch, counted from 0.
        to_unit, random_flip: a learner's own functions can replace these.

    Yields:
        Clean images in [0, 1], float32, shape (batch_size, C, H, W). Papers write x_0.
    """
    for k in count(start):
        chosen = batch_indices(len(images_uint8), batch_size, k, seed=seed, device=images_uint8.device)
        clean = to_unit(images_uint8[chosen])
        yield random_flip(clean, generator=seeded(clean.device, seed, "flips", k))


def batch_indices(n: int, batch_size: int, k: int, *, seed: int, device: torch.device) -> Tensor:
    """Return which of n images are in batch number k of `batches`: shape (batch_size,), int64, on the device."""
    first, last = k * batch_size, (k + 1) * batch_size
    passes = range(first // n, (last - 1) // n + 1)
    order = torch.cat([_order_of_pass(n, seed, number, device) for number in passes])
    return order[first - passes[0] * n :][:batch_size]


def seeded(device: torch.device | str, *key: int | str) -> torch.Generator:
    """Return a random number generator that depends on `key` alone, for example (seed, "noise", step)."""
    digest = hashlib.sha256(repr(key).encode()).digest()
    return torch.Generator(device).manual_seed(int.from_bytes(digest[:6], "little"))


@lru_cache(maxsize=2)
def _order_of_pass(n: int, seed: int, number: int, device: torch.device) -> Tensor:
    """Return the order of the images in one pass over them: a permutation of 0 to n - 1."""
    order = torch.randperm(n, generator=seeded("cpu", seed, "order", number))  # on the CPU: the same for all devices
    if device.type == "cuda":  # pinned memory is copied while the GPU works
        return order.pin_memory().to(device, non_blocking=True)
    return order.to(device)
