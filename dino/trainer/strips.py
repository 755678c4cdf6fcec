"""Strips: rows of images that show noise, predictions and sampling side by side, for `common.grids.grid`."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from ..noise import mix
from ..sampler import Step
from .noising import draw_noise


def noise_strip(
    images: Tensor, levels: Sequence[float], *, kind: str = "uniform", generator: torch.Generator | None = None
) -> Tensor:
    """Mix noise into each image at each noise level, with the same noise at all levels.

    Args:
        images: in [0, 1], (N, C, H, W).
        levels: in [0, 1].
        kind: the kind of noise, see `draw_noise`.
        generator: where the noise comes from. It must live on the device of the images.

    Returns:
        A row for each image, (N * len(levels), C, H, W), ready for `grid(columns=len(levels))`.
    """
    noise = draw_noise(images.shape, kind, generator=generator, device=images.device)
    return torch.stack(
        [mix(images, noise, torch.tensor(level, device=images.device)) for level in levels], dim=1
    ).flatten(0, 1)


@torch.no_grad()
def denoising_strip(
    model: nn.Module,
    images: Tensor,
    levels: Sequence[float],
    *,
    kind: str = "uniform",
    generator: torch.Generator | None = None,
) -> Tensor:
    """Make two rows for each image: the image at each noise level, and below it the model's prediction.

    Takes the arguments of `noise_strip`, and returns (2 * N * len(levels), C, H, W).
    """
    noisy = noise_strip(images, levels, kind=kind, generator=generator)
    at = torch.tensor(levels, device=images.device).repeat(len(images)).view(-1, 1, 1, 1)
    rows = torch.stack([noisy.unflatten(0, (len(images), -1)), model(noisy, at).unflatten(0, (len(images), -1))], dim=1)
    return rows.flatten(0, 2)


STRIP_COLUMNS = 10  # images in a row of a sampling strip


def sampling_strip(path: Sequence[Step]) -> Tensor:
    """Make two rows that show how one image is sampled: noisy images, and below them the predictions.

    Args:
        path: all steps of `denoise`. The first image of the batch is shown, at ten of the steps.

    Returns:
        (2 * STRIP_COLUMNS, C, H, W), ready for `grid(columns=STRIP_COLUMNS)`.
    """
    kept = [path[round(k * (len(path) - 1) / (STRIP_COLUMNS - 1))] for k in range(STRIP_COLUMNS)]
    return torch.cat([step.noisy[:1] for step in kept] + [step.denoised[:1] for step in kept])
