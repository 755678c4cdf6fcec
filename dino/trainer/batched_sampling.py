"""Sampling any number of images in batches, with a progress bar. `dino sample`, `compare` and `evaluate` use it."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from tqdm.auto import tqdm

from ..sampler import Step, denoise, noise_schedule

BATCH = 64  # images, so that thousands fit in memory
N_RECORDED = 16  # the first images, of which every step can be kept


def generate_batched(
    model: nn.Module,
    n: int,
    *,
    image_shape: Sequence[int],
    n_steps: int = 100,
    step_size: float = 2.0,
    seed: int = 0,
    path: list[Step] | None = None,
) -> Tensor:
    """Generate images like `dino.sampler.generate`, in batches and with a progress bar.

    It calls `denoise` instead of `generate`, because `generate` reports nothing before it is done.

    Args:
        model: ready to draw, as from `load_model`.
        n: how many images.
        image_shape: (C, H, W).
        n_steps, step_size: as in `generate`.
        seed: determines the noise, and with it the images.
        path: a list to which each step of the first `N_RECORDED` images is appended, beginning with their noise.

    Returns:
        (n, C, H, W), in [0, 1], on the CPU.
    """
    device = next(model.parameters()).device
    generator = torch.Generator(device).manual_seed(seed)
    parts: list[Tensor] = []
    with tqdm(total=n * n_steps, unit=" predictions", unit_scale=True, leave=False, disable=None) as bar:
        for first in range(0, n, BATCH):
            noisy = torch.rand((min(BATCH, n - first), *image_shape), generator=generator, device=device)
            recorded = path if first == 0 else None
            if recorded is not None:
                recorded.append(_record(Step(torch.ones(1, 1, 1, 1), noisy, torch.full_like(noisy, 0.5))))
            for step in denoise(model, noisy, noise_schedule(n_steps), step_size):
                noisy = step.noisy
                if recorded is not None:
                    recorded.append(_record(step))
                bar.update(len(noisy))
            parts.append(noisy.clamp(0, 1).cpu())
    return torch.cat(parts)


def _record(step: Step) -> Step:
    return Step(step.noise_level, step.noisy[:N_RECORDED].cpu(), step.denoised[:N_RECORDED].cpu())
