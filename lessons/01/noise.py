"""Lesson 01: noise. Mixing uniform noise into pictures.

A noisy picture is a straight blend of the clean picture and noise. The noise level says how far along that line it is:
0 is the picture itself, 1 is nothing but noise.

Fill in the three functions, then run: uv run pytest lessons/01
"""

import torch
from torch import Tensor


def mix(clean: Tensor, noise: Tensor, noise_level: Tensor) -> Tensor:
    """Blend pictures towards noise.

    At level 0 the result is the picture, at level 1 the noise, at 0.25 three parts of picture and one part of noise.

    Args:
        clean: images in [0, 1], shape (N, C, H, W): N images of C channels, H rows and W columns.
        noise: numbers in [0, 1], of the same shape.
        noise_level: one level in [0, 1] for each image, shape (N, 1, 1, 1).

    Returns:
        The noisy images, shape (N, C, H, W).

    Example:
        A pixel of 0.8, noise of 0.4 and a level of 0.25 give 0.7.

    Good to know:
        Between tensors, `+` and `*` work number by number. Where one side has a 1 in its shape, its single number
        serves for all: a level of shape (N, 1, 1, 1) reaches every channel, row and column of its own image. This is
        called broadcasting.
    """
    # TODO 1.1: write your code here, in place of the next line
    raise NotImplementedError


def sample_noise_levels(
    n: int, *, generator: torch.Generator | None = None, device: torch.device | str | None = None
) -> Tensor:
    """Draw one noise level for each of `n` images.

    Args:
        n: how many levels.
        generator: where random numbers come from; None means torch's own, global one.
        device: where the result should live, such as "cpu" or "cuda"; None means the CPU.

    Returns:
        Levels spread evenly over [0, 1), shape (n, 1, 1, 1).

    Example:
        sample_noise_levels(2) could be tensor([[[[0.1374]]], [[[0.8805]]]]).

    Good to know:
        torch.rand(2, 3) draws a tensor of that shape, evenly spread over [0, 1); it takes `generator` and `device` too.
    """
    # TODO 1.2: write your code here, in place of the next line
    raise NotImplementedError


def add_noise(clean: Tensor, *, generator: torch.Generator | None = None) -> tuple[Tensor, Tensor]:
    """Mix fresh noise into each image, at a level of its own.

    Args:
        clean: images in [0, 1], shape (N, C, H, W). It stays as it is.
        generator: where random numbers come from; None means torch's own, global one.

    Returns:
        The noisy images, shape (N, C, H, W), and their noise levels, shape (N, 1, 1, 1). Both have the dtype of
        `clean`.

    Example:
        noisy, noise_level = add_noise(clean)

    Good to know:
        The noise is uniform in [0, 1), as pixels are: a number of its own for each image, channel, row and column.
        So that it works on a GPU too, draw the numbers where `clean` lives and of its kind: torch.rand takes
        `device=clean.device` and `dtype=clean.dtype`; `x.to(clean.dtype)` converts what is drawn already.
    """
    # TODO 1.3: write your code here, in place of the next line
    raise NotImplementedError
