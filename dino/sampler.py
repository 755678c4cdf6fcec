"""Lesson 04: the sampler. From pure noise to an image, by mixing in the network's own predictions step by step."""

from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import NamedTuple

import torch
from torch import Tensor, nn


class Step(NamedTuple):
    """The state of the sampler after one step."""

    noise_level: Tensor  # the level that the step reached, (1, 1, 1, 1)
    noisy: Tensor  # the images at that level, (N, C, H, W)
    denoised: Tensor  # the network's prediction in this step, (N, C, H, W)


def noise_schedule(n_steps: int) -> Tensor:
    """Return the noise levels to visit, evenly spaced from 1 down to 0: shape (n_steps + 1,). Papers write t_i.

    Raises:
        ValueError: if `n_steps` is less than 1.
    """
    if n_steps < 1:
        raise ValueError(f"sampling takes at least 1 step, got {n_steps}")
    return torch.linspace(1, 0, n_steps + 1)


def extrapolate(denoised: Tensor, previous: Tensor | None, step_size: float) -> Tensor:
    """Extrapolate from the previous prediction through the new one.

    Predictions become sharper as the noise level falls, so the change from one to the next points toward those to come.
    This is a two-step multistep method. Adams-Bashforth has a step size of 1.5.

    Args:
        denoised: the network's new prediction, shape (N, C, H, W).
        previous: its prediction one step earlier, of the same shape, or None on the first step.
        step_size: how far to go, as a multiple of the distance from `previous` to `denoised`. 1 is `denoised` itself.

    Returns:
        The extrapolated prediction, shape (N, C, H, W). It may leave [0, 1]. On the first step it is `denoised`.
    """
    return denoised if previous is None else torch.lerp(previous, denoised, step_size)


def remix(noisy: Tensor, guess: Tensor, noise_level: Tensor, next_level: Tensor) -> Tensor:
    """Take images from `noise_level` down to `next_level` by mixing in `guess`, an estimate of the clean images.

    The result keeps next_level / noise_level of the noise. With a `step_size` of 1 this is an Euler step of
    dx/dt = (x - D) / t. That is the step of DDIM (Song et al. 2021, arXiv:2010.02502), and the Euler step of EDM
    (Karras et al. 2022, arXiv:2206.00364).

    Args:
        noisy: images at `noise_level`, shape (N, C, H, W).
        guess: an estimate of the clean images, of the same shape; in `denoise`, the extrapolated prediction.
        noise_level: in (0, 1], shape (1, 1, 1, 1).
        next_level: in [0, noise_level], shape (1, 1, 1, 1).

    Returns:
        The images at `next_level`, shape (N, C, H, W).
    """
    return torch.lerp(guess, noisy, next_level / noise_level)


@torch.no_grad()  # gradients are off inside a generator's step, and not for the caller between two steps
def denoise(
    model: nn.Module,
    noisy: Tensor,
    schedule: Tensor | Sequence[float],
    step_size: float | Sequence[float] | Tensor = 2.0,
) -> Iterator[Step]:
    """Take noisy images down the levels of a schedule. This is a generator, so the caller can watch, animate or stop.

    Args:
        model: a denoiser, called as `model(noisy, noise_level)`.
        noisy: images at the first level of the schedule, shape (N, C, H, W): pure noise if that level is 1.
        schedule: falling noise levels in [0, 1], all above 0 except perhaps the last.
        step_size: see `extrapolate`. One for all steps, or one for each step.

    Yields:
        A `Step` after each step.
    """
    levels = torch.as_tensor(schedule).to(noisy).view(-1, 1, 1, 1, 1)  # each (1, 1, 1, 1), for the whole batch
    sizes = torch.as_tensor(step_size, dtype=torch.float64, device="cpu").expand(len(levels) - 1).tolist()
    previous = None
    for (noise_level, next_level), size in zip(pairwise(levels), sizes, strict=True):
        denoised = model(noisy, noise_level)
        guess = extrapolate(denoised, previous, size)
        noisy = remix(noisy, guess, noise_level, next_level)
        previous = denoised
        yield Step(next_level, noisy, denoised)


def generate(
    model: nn.Module,
    n_images: int,
    *,
    image_shape: Sequence[int],
    n_steps: int = 100,
    step_size: float | Sequence[float] | Tensor = 2.0,
    schedule: Tensor | Sequence[float] | None = None,
    generator: torch.Generator | None = None,
) -> Tensor:
    """Draw new images, from uniform noise. `dino.generate_as_saved` follows what a model's file says about its noise.

    Args:
        model: a denoiser, called as `model(noisy, noise_level)`.
        n_images: how many images.
        image_shape: the shape (C, H, W) of one image.
        n_steps: number of sampling steps, each of which calls the model once. More steps are finer and slower.
        step_size: see `extrapolate`. One for all steps, or one for each step.
        schedule: noise levels from 1 down to 0, instead of `n_steps` even steps.
        generator: where the noise comes from, on the model's device. It determines the images.

    Returns:
        The images, in [0, 1], shape (n_images, C, H, W), on the model's device.

    Raises:
        ValueError: if `n_steps` is less than 1.
    """
    weights = next(model.parameters(), torch.empty(0))  # a model without any works on the CPU, in float32
    noise = torch.rand((n_images, *image_shape), generator=generator, device=weights.device, dtype=weights.dtype)
    was_training = model.training
    model.eval()
    try:
        for step in denoise(model, noise, noise_schedule(n_steps) if schedule is None else schedule, step_size):
            noisy = step.noisy
    finally:
        model.train(was_training)
    return noisy.clamp(0, 1)
