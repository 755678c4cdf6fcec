"""Lesson 07: few steps. The same images in ten steps instead of a hundred.

A step is as good as the prediction that it assumes to stay true. So the steps are small where the prediction changes
fast, and each one follows the line through the last two predictions exactly.

    schedule = warped_schedule(10)
    images = generate(model, 16, image_shape=(3, 32, 32), schedule=schedule, step_size=step_sizes(schedule))
"""

import torch
from torch import Tensor

from .sampler import noise_schedule

FEW = 10  # warped steps, with which images are as good as with 100 even ones (docs/guides/sampling.md)


def warped_schedule(n_steps: int, warp: float = 0.5) -> Tensor:
    """Return noise levels from 1 down to 0 that lie close together near 1, where it is decided what the image shows.

    An even schedule x from 1 to 0 becomes x (1 + warp) / (x + warp).

    Args:
        n_steps: number of sampling steps.
        warp: more than 0. Large numbers are nearly even; small ones spend most steps on high noise levels.

    Returns:
        Shape (n_steps + 1,).

    Raises:
        ValueError: if `n_steps` is less than 1, or `warp` isn't more than 0.
    """
    if not warp > 0:
        raise ValueError(f"warp must be more than 0, not {warp}")
    even = noise_schedule(n_steps)
    return even * (1 + warp) / (even + warp)


def step_sizes(schedule: Tensor) -> Tensor:
    """Return the step size of each step with which `extrapolate` is exact for a prediction that changes linearly.

    A step from level t to level s solves dx/dt = (x - D) / t, where D is the prediction. Its exact solution is
    x_s / s = x_t / t + the integral of D(u) / u^2 from s to t. With D on the line through the last two predictions, at
    levels p and t, this is the same as for the constant prediction that `extrapolate` returns at this step size.
    DPM-Solver++(2M) has the same idea and another approximation (Lu et al. 2022, arXiv:2211.01095).

    Args:
        schedule: falling noise levels in [0, 1], shape (n_steps + 1,).

    Returns:
        Shape (n_steps,). The first one is 1, because there is no previous prediction then.
    """
    levels = schedule.double()
    previous, level, next_level = levels[:-2], levels[1:-1], levels[2:]
    kept = next_level / level  # papers write r: the share of the noise that the step keeps
    sizes = 1 + level / (previous - level) * (1 - kept + torch.xlogy(kept, kept)) / (1 - kept)
    return torch.cat([sizes.new_ones(1), sizes]).to(schedule.dtype)
