"""Lesson 01: noise. Mixing uniform noise into images.

A noisy image is a blend of a clean image and noise, on the straight line between the two. The noise level is the
position on this line: 0 is the clean image, and 1 is pure noise.

Fill in the three functions, then run: uv run pytest lessons/01
"""

import torch
from torch import Tensor


def mix(clean: Tensor, noise: Tensor, noise_level: Tensor) -> Tensor:
    """Blend clean images with noise.

    At level 0 the result is the clean image, and at level 1 it is the noise. At level 0.25 it is three parts image and
    one part noise.

    Args:
        clean: images in [0, 1], shape (N, C, H, W): N images with C channels, H rows and W columns.
        noise: numbers in [0, 1], of the same shape.
        noise_level: one level in [0, 1] for each image, shape (N, 1, 1, 1).

    Returns:
        The noisy images, shape (N, C, H, W).

    Example:
        A pixel of 0.8, noise of 0.4 and a level of 0.25 give 0.7.

    Good to know:
        `+` and `*` between tensors work number by number. Where one tensor has a 1 in its shape, its single number is
        used for all: a level of shape (N, 1, 1, 1) applies to every channel, row and column of its own image. This is
        called broadcasting.
    """
    # TODO 1.1: write your code here, in place of the next line
    raise NotImplementedError


def sample_noise_levels(
    n: int, *, generator: torch.Generator | None = None, device: torch.device | str | None = None
) -> Tensor:
    """Draw one noise level for each of `n` images.

    Args:
        n: the number of levels.
        generator: the source of random numbers. None means torch's global generator.
        device: the device of the result, such as "cpu" or "cuda". None means the CPU.

    Returns:
        Levels drawn uniformly from [0, 1), shape (n, 1, 1, 1).

    Example:
        sample_noise_levels(2) could be tensor([[[[0.1374]]], [[[0.8805]]]]).

    Good to know:
        torch.rand(2, 3) draws a tensor of that shape, uniform in [0, 1). It also takes `generator` and `device`.
    """
    # TODO 1.2: write your code here, in place of the next line
    raise NotImplementedError


def add_noise(clean: Tensor, *, generator: torch.Generator | None = None) -> tuple[Tensor, Tensor]:
    """Mix new noise into each image, at a random level for each image.

    Args:
        clean: images in [0, 1], shape (N, C, H, W). The function doesn't change them.
        generator: the source of random numbers. None means torch's global generator.

    Returns:
        The noisy images, shape (N, C, H, W), and their noise levels, shape (N, 1, 1, 1). Both have the dtype of
        `clean`.

    Example:
        noisy, noise_level = add_noise(clean)

    Good to know:
        The noise is uniform in [0, 1), like pixels, with a separate random number for each image, channel, row and
        column. To make this work on a GPU too, draw the numbers on the device of `clean` and with its dtype: torch.rand
        takes `device=clean.device` and `dtype=clean.dtype`. `x.to(clean.dtype)` converts numbers that are already
        drawn.
    """
    # TODO 1.3: write your code here, in place of the next line
    raise NotImplementedError
