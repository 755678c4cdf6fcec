"""Lesson 04: the sampler. From pure noise to a picture, mixing in the network's own guesses step by step."""

from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import NamedTuple

import torch
from torch import Tensor, nn


class Step(NamedTuple):
    """What the sampler has after one step."""

    noise_level: Tensor  # the level reached, (1, 1, 1, 1)
    noisy: Tensor  # the mix at that level, (N, C, H, W)
    denoised: Tensor  # the network's answer that led there, (N, C, H, W)


def noise_schedule(n_steps: int) -> Tensor:
    """The noise levels to visit, evenly spaced from 1 down to 0: shape (n_steps + 1,).

    Raises:
        ValueError: there is no step to take.
    """
    if n_steps < 1:
        raise ValueError(f"sampling takes at least 1 step, got {n_steps}")
    return torch.linspace(1, 0, n_steps + 1)


def extrapolate(denoised: Tensor, previous: Tensor | None, step_size: float) -> Tensor:
    """Lean on the guess: go from the `previous` answer through the new one, `step_size` times as far.

    1 is the new answer itself, 2 goes as far again beyond it. Answers sharpen as the noise falls, so the change from
    one to the next points at the answer to come. (A two-step multistep method; Adams-Bashforth would be 1.5.)

    Args:
        denoised: the network's new answer, (N, C, H, W).
        previous: its answer at the step before, or None on the first step, where the guess is `denoised` itself.
    """
    return denoised if previous is None else torch.lerp(previous, denoised, step_size)


def remix(noisy: Tensor, guess: Tensor, noise_level: Tensor, next_level: Tensor) -> Tensor:
    """Bring a mix from `noise_level` down to `next_level`, by mixing in the guess.

    Of the noise there is now, the share next_level / noise_level stays; the rest makes room for the guess. With
    `step_size` 1 this is an Euler step of dx/dt = (x - D) / t: the same as DDIM (Song et al. 2021, arXiv:2010.02502)
    and as the Euler step of EDM (Karras et al. 2022, arXiv:2206.00364). Images (N, C, H, W), levels (1, 1, 1, 1).
    """
    return torch.lerp(guess, noisy, next_level / noise_level)


@torch.no_grad()  # of a generator it holds while a step is made, and not for the caller between two steps
def denoise(
    model: nn.Module, noisy: Tensor, schedule: Tensor | Sequence[float], step_size: float = 2.0
) -> Iterator[Step]:
    """Walk `noisy` down the levels of `schedule`, yielding after each step. A generator: watch, animate, stop at will.

    Args:
        noisy: (N, C, H, W), at the schedule's first level: pure noise if that is 1.
        schedule: falling noise levels, each but the last above 0.
        step_size: see `extrapolate`.
    """
    levels = torch.as_tensor(schedule).to(noisy).view(-1, 1, 1, 1, 1)  # each (1, 1, 1, 1), for the whole batch
    previous = None
    for noise_level, next_level in pairwise(levels):
        denoised = model(noisy, noise_level)
        guess = extrapolate(denoised, previous, step_size)
        noisy = remix(noisy, guess, noise_level, next_level)
        previous = denoised
        yield Step(next_level, noisy, denoised)


def generate(
    model: nn.Module,
    n_images: int,
    *,
    image_shape: Sequence[int],
    n_steps: int = 100,
    step_size: float = 2.0,
    generator: torch.Generator | None = None,
) -> Tensor:
    """Make `n_images` new pictures of shape `image_shape` (C, H, W), on the model's device: (N, C, H, W), in [0, 1].

    Args:
        n_steps: more is finer and slower; each is one call of the model.
        step_size: see `extrapolate`.
        generator: decides the noise, and with it the pictures. It must live on the model's device.

    Raises:
        ValueError: there is no step to take.
    """
    weights = next(model.parameters(), torch.empty(0))  # a model without any works on the CPU, in float32
    noise = torch.rand((n_images, *image_shape), generator=generator, device=weights.device, dtype=weights.dtype)
    was_training = model.training
    model.eval()
    try:
        for step in denoise(model, noise, noise_schedule(n_steps), step_size):
            noisy = step.noisy
    finally:
        model.train(was_training)
    return noisy.clamp(0, 1)
