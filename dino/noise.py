"""Lesson 01: noise. Mixing uniform noise into pictures.

A noisy picture is a straight blend of the clean picture and noise. The noise level says how far along that line it is:
0 is the picture itself, 1 is nothing but noise.
"""

import torch
from torch import Tensor


def mix(clean: Tensor, noise: Tensor, noise_level: Tensor) -> Tensor:
    """Blend `clean` towards `noise`: the picture at level 0, the noise at level 1, halfway at 0.5.

    Args:
        clean: images in [0, 1], shape (N, C, H, W). Papers write x_0.
        noise: as `clean`. Papers write epsilon; theirs is Gaussian, ours is uniform.
        noise_level: (N, 1, 1, 1), in [0, 1]. Papers write t.

    Returns:
        The noisy images, shape (N, C, H, W). Papers write x_t; this path is the straight line of rectified flow
        (Liu et al. 2022, arXiv:2209.03003, where time runs the other way: 0 is noise there).
    """
    return torch.lerp(clean, noise, noise_level)


def sample_noise_levels(
    n: int, *, generator: torch.Generator | None = None, device: torch.device | str | None = None
) -> Tensor:
    """Draw `n` noise levels, uniform in [0, 1), one for each image of a batch: shape (n, 1, 1, 1).

    The three ones let a level stretch over the channels, rows and columns of its own image and of no other.
    """
    return torch.rand(n, 1, 1, 1, generator=generator, device=device)


def add_noise(clean: Tensor, *, generator: torch.Generator | None = None) -> tuple[Tensor, Tensor]:
    """Mix fresh uniform noise into `clean`, at a level of its own for each image.

    Args:
        clean: images in [0, 1], shape (N, C, H, W).
        generator: where the random numbers come from. It must live on the device of `clean`.

    Returns:
        The noisy images, shape (N, C, H, W), and their noise levels, shape (N, 1, 1, 1).
    """
    # torch.rand, not rand_like: only it takes a generator in every release of torch that we support.
    noise = torch.rand(clean.shape, generator=generator, device=clean.device, dtype=clean.dtype)
    noise_level = sample_noise_levels(len(clean), generator=generator, device=clean.device).to(clean.dtype)
    return mix(clean, noise, noise_level), noise_level
