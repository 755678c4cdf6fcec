"""Looking at things: grids, strips, films and curves. All images in [0, 1], shape (N, C, H, W), on any device."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from ..noise import mix
from ..sampler import Step

if TYPE_CHECKING:  # imported where they are used: together they cost a learner three seconds
    pass


def noise_strip(images: Tensor, levels: Sequence[float], *, generator: torch.Generator | None = None) -> Tensor:
    """Each image at each noise level, with the same noise all along, ready for `grid(columns=len(levels))`.

    Args:
        images: in [0, 1], (N, C, H, W).
        levels: in [0, 1].
        generator: where the noise comes from.

    Returns:
        A row for each image: (N * len(levels), C, H, W).
    """
    noise = torch.rand(images.shape, generator=generator, device=images.device)
    return torch.stack(
        [mix(images, noise, torch.tensor(level, device=images.device)) for level in levels], dim=1
    ).flatten(0, 1)


@torch.no_grad()
def denoising_strip(
    model: nn.Module, images: Tensor, levels: Sequence[float], *, generator: torch.Generator | None = None
) -> Tensor:
    """Two rows for each image: the image at each noise level, and below it what the model makes of it in one go.

    Takes what `noise_strip` takes, and returns (2 * N * len(levels), C, H, W), ready for `grid(columns=len(levels))`.
    """
    noisy = noise_strip(images, levels, generator=generator)
    at = torch.tensor(levels, device=images.device).repeat(len(images)).view(-1, 1, 1, 1)
    rows = torch.stack([noisy.unflatten(0, (len(images), -1)), model(noisy, at).unflatten(0, (len(images), -1))], dim=1)
    return rows.flatten(0, 2)


STRIP = 10  # pictures in a row of a strip


def sampling_strip(path: Sequence[Step]) -> Tensor:
    """One picture on its way from noise: a row of mixes and a row of guesses, for `grid(columns=STRIP)`.

    Args:
        path: all steps of `denoise`; the first of its pictures is shown, at ten of them.
    """
    kept = [path[round(k * (len(path) - 1) / (STRIP - 1))] for k in range(STRIP)]
    return torch.cat([step.noisy[:1] for step in kept] + [step.denoised[:1] for step in kept])
