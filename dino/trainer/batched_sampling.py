"""Drawing many pictures with a trained network, behind a progress bar.

For `dino sample`, `dino compare` and `dino evaluate`.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from tqdm.auto import tqdm

from ..sampler import Step, denoise, noise_schedule

AT_ONCE = 64  # pictures, so that thousands fit in memory


WATCHED = 16  # of the first pictures the whole way can be kept


def draw(
    model: nn.Module,
    n: int,
    *,
    image_shape: Sequence[int],
    n_steps: int = 100,
    step_size: float = 2.0,
    seed: int = 0,
    path: list[Step] | None = None,
) -> Tensor:
    """As `dino.sampler.generate`, for any number of pictures, telling how far it is.

    It walks with `denoise` instead of calling `generate`, which tells nothing before it is done.

    Args:
        model: ready to draw, as from `dino.weights.load_model`.
        image_shape: (C, H, W).
        n_steps, step_size: as in `generate`.
        seed: decides the noise, and with it the pictures.
        path: a list, to be filled with the way of the first `WATCHED` pictures, beginning with their noise.

    Returns:
        (n, C, H, W), in [0, 1], on the CPU.
    """
    device = next(model.parameters()).device
    generator = torch.Generator(device).manual_seed(seed)
    parts: list[Tensor] = []
    with tqdm(total=n * n_steps, unit=" guesses", unit_scale=True, leave=False, disable=None) as bar:
        for first in range(0, n, AT_ONCE):
            noisy = torch.rand((min(AT_ONCE, n - first), *image_shape), generator=generator, device=device)
            watched = path if first == 0 else None
            if watched is not None:
                watched.append(_seen(Step(torch.ones(1, 1, 1, 1), noisy, torch.full_like(noisy, 0.5))))
            for step in denoise(model, noisy, noise_schedule(n_steps), step_size):
                noisy = step.noisy
                if watched is not None:
                    watched.append(_seen(step))
                bar.update(len(noisy))
            parts.append(noisy.clamp(0, 1).cpu())
    return torch.cat(parts)


def _seen(step: Step) -> Step:
    return Step(step.noise_level, step.noisy[:WATCHED].cpu(), step.denoised[:WATCHED].cpu())
