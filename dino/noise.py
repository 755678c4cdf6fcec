"""Lesson 01: noise. Mixing uniform noise into images.

A noisy image is a blend of a clean image and noise, on the straight line from one to the other. The noise level is the
position on this line: 0 is the clean image, 1 is pure noise.
"""

import torch
from torch import Tensor


def mix(clean: Tensor, noise: Tensor, noise_level: Tensor) -> Tensor:
    """Blend `clean` with `noise`: at level 0 the result is `clean`, at level 1 it is `noise`, at 0.5 it is halfway.

    Args:
        clean: images in [0, 1], shape (N, C, H, W). Papers write x_0.
        noise: uniform in [0, 1), shape (N, C, H, W). Papers write epsilon, and most of them use Gaussian noise.
        noise_level: in [0, 1], shape (N, 1, 1, 1) or (1, 1, 1, 1). Papers write t.

    Returns:
        Noisy images, shape (N, C, H, W). Papers write x_t. The straight line is the path of rectified flow (Liu et al.
        2022, arXiv:2209.03003), where time runs the other way: there, 0 is noise.
    """
    return torch.lerp(clean, noise, noise_level)


def sample_noise_levels(
    n: int, *, generator: torch.Generator | None = None, device: torch.device | str | None = None
) -> Tensor:
    """Draw noise levels, one for each image of a batch.

    Args:
        n: how many.
        generator: where the random numbers come from, on `device`. By default torch's global one.
        device: where the noise levels are made. By default torch's default device.

    Returns:
        Noise levels (papers write t), uniform in [0, 1), shape (n, 1, 1, 1). The three ones make each level broadcast
        over the channels, rows and columns of its own image.
    """
    return torch.rand(n, 1, 1, 1, generator=generator, device=device)


def add_noise(clean: Tensor, *, generator: torch.Generator | None = None) -> tuple[Tensor, Tensor]:
    """Mix new uniform noise into images, at a random noise level for each image.

    Args:
        clean: images in [0, 1], shape (N, C, H, W). Papers write x_0.
        generator: where the random numbers come from, on the device of `clean`. By default torch's global one.

    Returns:
        The noisy images (papers write x_t), shape (N, C, H, W), and their noise levels (t), shape (N, 1, 1, 1).
    """
    # Not `rand_like`: it doesn't take a generator in every release of torch that dino supports.
    noise = torch.rand(clean.shape, generator=generator, device=clean.device, dtype=clean.dtype)
    noise_level = sample_noise_levels(len(clean), generator=generator, device=clean.device).to(clean.dtype)
    return mix(clean, noise, noise_level), noise_level
