"""Lesson 07: few steps. The same pictures in ten calls of the network instead of a hundred, and then in one.

A step is as good as the prediction that it assumes to stay true. So you put the steps where the prediction changes, you
let each step follow the line through the last two predictions, and in the end you train a network to predict what two
steps of another network do.

Fill in the five functions, then run: uv run pytest lessons/07
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.optim import Optimizer

from dino.noise import mix
from dino.sampler import noise_schedule, remix


def warped_schedule(n_steps: int, warp: float = 0.5) -> Tensor:
    """Return noise levels from 1 down to 0 that lie close together near 1, where it is decided what the picture shows.

    Start from even levels, as `noise_schedule` of lesson 04 returns them. A level x becomes x (1 + warp) / (x + warp).

    Args:
        n_steps: how many steps to take, at least 1.
        warp: more than 0. With a small warp, most levels are high. With a large warp, the levels are nearly even.

    Returns:
        The levels, from the highest to the lowest: float32, shape (n_steps + 1,).

    Raises:
        ValueError: if n_steps is less than 1, or warp isn't more than 0.

    Example:
        warped_schedule(4) is tensor([1.0000, 0.9000, 0.7500, 0.5000, 0.0000]).

    Good to know:
        Arithmetic works on all numbers of a tensor at once: 2 * torch.tensor([1.0, 0.5]) is tensor([2., 1.]).
    """
    # TODO 7.1: write your code here, in place of the next line
    raise NotImplementedError


def step_sizes(schedule: Tensor) -> Tensor:
    """Return the step size of each step that is exact if the prediction changes linearly with the noise level.

    In a step from level t down to level s, draw the line through the last two predictions, which the network made at
    the levels p and t. The estimate to mix in is the point of this line at the mean level of the step,

        mean = s t log(t / s) / (t - s),

    and `extrapolate` reaches this point with a step size of (p - mean) / (p - t).

    Args:
        schedule: falling levels in [0, 1], shape (n_steps + 1,). All are above 0 except perhaps the last.

    Returns:
        The step sizes, with the dtype of the schedule, shape (n_steps,). The first step has no previous prediction, and
        its size is 1.

    Example:
        step_sizes(torch.tensor([1.0, 0.8, 0.4, 0.0])) is about tensor([1.0000, 2.2274, 2.0000]).

    Good to know:
        In a step to level 0 the mean level is 0, but for PyTorch 0 times the logarithm of 0 is nan. torch.xlogy(a, b)
        is a * log(b), and 0 if both are 0. The levels p, t and s of all steps at once are the slices schedule[:-2],
        schedule[1:-1] and schedule[2:].
    """
    # TODO 7.2: write your code here, in place of the next line
    raise NotImplementedError


def distillation_target(
    teacher: nn.Module, noisy: Tensor, noise_level: Tensor, middle: Tensor, next_level: Tensor
) -> Tensor:
    """Return the prediction with which one step does what two steps of the teacher do.

    The teacher takes `noisy` from `noise_level` to `middle`, and from there to `next_level`. Each of its steps is a
    `remix` with the teacher's prediction. A single `remix` of `noisy` with your target, from `noise_level` to
    `next_level`, must arrive at the same pictures.

    Args:
        teacher: a denoiser, called as teacher(noisy, noise_level).
        noisy: the pictures at `noise_level`, shape (N, C, H, W).
        noise_level: where the two steps begin, above 0 and at most 1, shape (N, 1, 1, 1) or (1, 1, 1, 1).
        middle: where the first step ends, above 0 and below `noise_level`, of the same shape.
        next_level: where the second step ends, from 0 to below `middle`, of the same shape.

    Returns:
        The target, shape (N, C, H, W). It carries no gradients, because the teacher doesn't learn.

    Example:
        From level 0.8 over 0.4 to 0.2: if the teacher predicts 0.3 for a pixel and then 0.6, the target is 0.5.

    Good to know:
        remix(noisy, guess, noise_level, next_level) keeps next_level / noise_level of `noisy`, and fills the rest with
        `guess`. The levels may be different for each picture; remix takes those, too.
    """
    # TODO 7.3: write your code here, in place of the next line
    raise NotImplementedError


def distill_step(
    student: nn.Module,
    teacher: nn.Module,
    optimizer: Optimizer,
    clean: Tensor,
    schedule: Tensor,
    *,
    generator: torch.Generator | None = None,
) -> float:
    """Take one step of gradient descent toward a student that does in one step what its teacher does in two.

    The teacher's schedule has an even number of steps: the levels 0, 1, 2, 3, 4 ... The student's steps go from level
    0 to level 2, from level 2 to level 4, and so on. For each picture of the batch, pick one of the student's steps at
    random, and mix in noise up to the level where this step begins. The student predicts from there. The loss is the
    mean squared error between its prediction and the `distillation_target`.

    Args:
        student: the network that learns, called as student(noisy, noise_level).
        teacher: the network that it learns from. It doesn't change.
        optimizer: of the student's weights.
        clean: a batch of pictures, shape (N, C, H, W).
        schedule: the teacher's levels, from 1 down to 0, with an even number of steps: shape (2 * n_steps + 1,).
        generator: source of the random numbers; None means torch's global generator.

    Returns:
        The loss before the step, a plain number.

    Example:
        With the schedule [1, 0.9, 0.75, 0.5, 0], half of the pictures are shown at level 1, and the student learns to
        go to 0.75 at once. The other half is shown at 0.75, and learns to go to 0.

    Good to know:
        torch.randint(5, (3,)) draws three whole numbers from 0 to 4, and levels[numbers] picks those levels. Of a row
        of levels, [::2] is every second one, and .view(-1, 1, 1, 1) gives it the shape of noise levels. A step of
        gradient descent is zero_grad, backward and step, as in lesson 03.
    """
    # TODO 7.4: write your code here, in place of the next line
    raise NotImplementedError


def one_step(
    student: nn.Module, n_images: int, *, image_shape: Sequence[int], generator: torch.Generator | None = None
) -> Tensor:
    """Draw new pictures with a single call of the network: its prediction for pure noise.

    Args:
        student: a denoiser that was distilled down to one step, called as student(noisy, noise_level).
        n_images: how many pictures.
        image_shape: the shape (C, H, W) of one picture, a tuple or a list.
        generator: source of the random numbers for the noise; None means torch's global generator.

    Returns:
        The pictures, shape (n_images, C, H, W), clamped to [0, 1], without gradients. They have the device and dtype of
        the student's weights.

    Example:
        one_step(student, 16, image_shape=(3, 32, 32)) makes 16 color pictures.

    Good to know:
        Pure noise is uniform in [0, 1), and its noise level is 1. A noise level has the shape (1, 1, 1, 1).
        next(student.parameters()) is the first of the weights; it has a .device and a .dtype.
    """
    # TODO 7.5: write your code here, in place of the next line
    raise NotImplementedError
