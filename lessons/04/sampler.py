"""Lesson 04: the sampler, which turns pure noise into pictures, one prediction at a time.

The network has learned to predict the clean picture behind a noisy one. From pure noise, its prediction is a blur. But
mix some of that blur into the noise, and the network has more to go on the next time. So the sampler takes small steps
from noise level 1 down to 0. In each step it gets a prediction from the network and mixes that prediction in.

Fill in the five functions, then run: uv run pytest lessons/04
"""

from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import NamedTuple

import torch
from torch import Tensor, nn


class Step(NamedTuple):
    """State of the sampler after one step. You don't need to change this class.

    A Step is a tuple whose items have names: Step(a, b, c).noisy is b.
    """

    noise_level: Tensor  # the level that the step reached, (1, 1, 1, 1)
    noisy: Tensor  # the mix at that level, (N, C, H, W)
    denoised: Tensor  # the network's prediction in this step, (N, C, H, W)


def noise_schedule(n_steps: int) -> Tensor:
    """Return the noise levels to visit, evenly spaced from 1 (pure noise) down to 0 (no noise).

    Args:
        n_steps: how many steps to take, at least 1. Each step goes from one level to the next.

    Returns:
        The levels, from the highest to the lowest, including both ends: float32, shape (n_steps + 1,).

    Raises:
        ValueError: if n_steps is less than 1.

    Example:
        noise_schedule(4) is tensor([1.0000, 0.7500, 0.5000, 0.2500, 0.0000]).

    Good to know:
        torch.linspace(2, 5, 4) is tensor([2., 3., 4., 5.]): four evenly spaced numbers, including both ends.
    """
    # TODO 4.1: write your code here, in place of the next line
    raise NotImplementedError


def extrapolate(denoised: Tensor, previous: Tensor | None, step_size: float) -> Tensor:
    """Extrapolate from the previous prediction through the new prediction, `step_size` times as far.

    A step size of 1 stops at the new prediction. A step size of 2 goes beyond it, by the same distance again. A step
    size of 0.5 stops halfway. Predictions become sharper as the noise level falls, so the change from one prediction to
    the next points toward the predictions to come.

    Args:
        denoised: the network's new prediction, shape (N, C, H, W).
        previous: the network's prediction one step earlier, of the same shape. On the first step it is None.
        step_size: how far to go, as a multiple of the distance from `previous` to `denoised`.

    Returns:
        The extrapolated prediction, shape (N, C, H, W). On the first step it is `denoised` itself. It may leave [0, 1],
        and that is fine.

    Example:
        If the prediction for a pixel was 0.5 and is now 0.6, a step size of 2 gives 0.7.

    Good to know:
        To extrapolate is to go beyond a known point on a line. A blend with a weight above 1 does that.
    """
    # TODO 4.2: write your code here, in place of the next line
    raise NotImplementedError


def remix(noisy: Tensor, guess: Tensor, noise_level: Tensor, next_level: Tensor) -> Tensor:
    """Take noisy pictures down to a lower noise level by mixing in `guess`, an estimate of the clean pictures.

    The result is a blend of `guess` and `noisy`. If `guess` is the true clean picture, the result is what `mix` of
    lesson 01 would make from that picture and the same noise at `next_level`.

    Args:
        noisy: the images at `noise_level`, shape (N, C, H, W).
        guess: an estimate of the clean images, of the same shape. The sampler passes the extrapolated prediction.
        noise_level: the level that `noisy` is at, shape (1, 1, 1, 1), above 0 and at most 1.
        next_level: the level to go to, shape (1, 1, 1, 1), from 0 to `noise_level`.

    Returns:
        The images at `next_level`, shape (N, C, H, W).

    Example:
        From level 0.8 to 0.2, a noisy pixel of 0.9 becomes 0.6 if `guess` is 0.5.

    Good to know:
        A picture at level 0.8 holds 0.8 parts of noise. At level 0.2 it should hold a quarter of that. A blend scales
        everything in a picture by the same fraction.
    """
    # TODO 4.3: write your code here, in place of the next line
    raise NotImplementedError


def denoise(
    model: nn.Module, noisy: Tensor, schedule: Tensor | Sequence[float], step_size: float = 2.0
) -> Iterator[Step]:
    """Take noisy pictures down the levels of a schedule, and yield a Step after each step.

    Each step calls the model once, with the current pictures and their current noise level. `extrapolate` combines the
    new prediction with the prediction one step earlier, and `remix` uses the result to take the pictures to the next
    level of the schedule. Nothing here is random, and nothing is clamped to [0, 1].

    Args:
        model: called as model(noisy, noise_level), it predicts the clean images, shape (N, C, H, W). The noise level
            is a tensor of shape (1, 1, 1, 1), with the dtype and the device of `noisy`. Leave the model's mode,
            training or evaluation, to the caller.
        noisy: the images at the first level of the schedule, shape (N, C, H, W). They must not change.
        schedule: falling levels, all above 0 except perhaps the last: a tensor of shape (n_steps + 1,) or a list of
            floats. They may be unevenly spaced, and they don't have to start at 1 or end at 0.
        step_size: see `extrapolate`.

    Yields:
        A Step after each step. Later steps must not change the tensors of an earlier Step.

    Example:
        for step in denoise(model, noisy, [1.0, 0.5, 0.0]): print(step.noise_level.item()) prints 0.5, then 0.0.

    Good to know:
        A function with a `yield` in it is a generator. When its caller asks for a value, it runs up to the next `yield`
        and pauses there. Nothing is learned here, so call the model without gradients, inside `with torch.no_grad():`.
        Until that block ends, gradients are off in the whole program. If the function pauses inside the block,
        gradients are off for its caller too.
    """
    # TODO 4.4: write your code here, in place of the next line
    raise NotImplementedError


def generate(
    model: nn.Module,
    n_images: int,
    *,
    image_shape: Sequence[int],
    n_steps: int = 100,
    step_size: float = 2.0,
    generator: torch.Generator | None = None,
) -> Tensor:
    """Generate new pictures: start from pure noise, and denoise along an evenly spaced schedule down to level 0.

    Args:
        model: a denoiser, see `denoise`. Call it in evaluation mode. Afterward it must be back in its original mode,
            even after an error halfway.
        n_images: how many pictures.
        image_shape: the shape (C, H, W) of one picture, a tuple or a list.
        n_steps: how many steps to take. Each step is one call of the model.
        step_size: see `extrapolate`.
        generator: source of the random numbers for the noise; None means torch's global generator.

    Returns:
        The pictures, shape (n_images, C, H, W), clamped to [0, 1] once, at the very end. They have the device and dtype
        of the model's weights. Some of the grader's models have no weights; then the pictures are on the CPU, float32.

    Example:
        generate(model, 16, image_shape=(3, 64, 64)) makes 16 color pictures.

    Good to know:
        Some layers work differently during training. model.eval() switches a network and all of its parts to evaluation
        mode. model.train(mode) switches them to training mode if `mode` is True. model.training says which mode it is.
        next(model.parameters(), other) is the first of the weights, or `other` if there are none.
    """
    # TODO 4.5: write your code here, in place of the next line
    raise NotImplementedError
