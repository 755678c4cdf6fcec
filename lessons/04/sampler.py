"""Lesson 04: the sampler. From pure noise to a picture, mixing in the network's own guesses step by step.

The network has learned to guess the clean picture behind a noisy one. From pure noise its guess is a blur. But mixed
into the noise, even a blur leaves a little more for the network to go by the next time it is asked. So the sampler
walks down from noise level 1 to 0: ask, mix the guess in, ask again.

Fill in the five functions, then run: uv run pytest lessons/04
"""

from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import NamedTuple

import torch
from torch import Tensor, nn


class Step(NamedTuple):
    """What the sampler has after one step. You need not change this.

    It is a tuple whose places have names: Step(a, b, c).noisy is b.
    """

    noise_level: Tensor  # the level that the step arrived at, (1, 1, 1, 1)
    noisy: Tensor  # the mix at that level, (N, C, H, W)
    denoised: Tensor  # the network's answer that led there, (N, C, H, W)


def noise_schedule(n_steps: int) -> Tensor:
    """List the noise levels to visit, evenly spaced from 1 (pure noise) down to 0 (no noise).

    Args:
        n_steps: how many steps to take, at least 1. A step leads from one level of the list to the one after it.

    Returns:
        The levels, from the highest to the lowest, both ends included: float32, shape (n_steps + 1,).

    Raises:
        ValueError: n_steps is less than 1.

    Example:
        noise_schedule(4) is tensor([1.0000, 0.7500, 0.5000, 0.2500, 0.0000]).

    Good to know:
        torch.linspace(2, 5, 4) is tensor([2., 3., 4., 5.]): so many numbers, evenly spaced, with both ends.
    """
    # TODO 4.1: write your code here, in place of the next line
    raise NotImplementedError


def extrapolate(denoised: Tensor, previous: Tensor | None, step_size: float) -> Tensor:
    """Lean on the network's answer: go from the previous answer through the new one, `step_size` times as far.

    A step size of 1 stops at the new answer. 2 goes on beyond it, by as much again. 0.5 stops halfway. The answers
    sharpen while the noise falls, so the change from one to the next points at the answers to come.

    Args:
        denoised: the network's new answer, shape (N, C, H, W).
        previous: its answer one step earlier, of the same shape. On the first step there is none, and it is None.
        step_size: how far to go, where the way from `previous` to `denoised` counts as 1.

    Returns:
        The guess, shape (N, C, H, W); on the first step `denoised` itself. It may leave [0, 1], and that is fine.

    Example:
        A pixel that was answered as 0.5, and now as 0.6, is guessed at 0.7 with a step size of 2.

    Good to know:
        To go beyond a point on a line is called to extrapolate. A blend with a weight above 1 does that.
    """
    # TODO 4.2: write your code here, in place of the next line
    raise NotImplementedError


def remix(noisy: Tensor, guess: Tensor, noise_level: Tensor, next_level: Tensor) -> Tensor:
    """Take a noisy picture down to a lower noise level, by mixing in the guess at the clean picture.

    The result is a blend of `guess` and `noisy`. If the guess is the true clean picture, the result is what `mix` of
    lesson 01 would make of that picture and the same noise at `next_level`.

    Args:
        noisy: the images at `noise_level`, shape (N, C, H, W).
        guess: the clean images, as far as one can tell, of the same shape.
        noise_level: the level that `noisy` is at, shape (1, 1, 1, 1), above 0 and at most 1.
        next_level: the level to go to, shape (1, 1, 1, 1), from 0 to `noise_level`.

    Returns:
        The images at `next_level`, shape (N, C, H, W).

    Example:
        From level 0.8 to 0.2, a noisy pixel of 0.9 with a guess of 0.5 becomes 0.6.

    Good to know:
        A picture at level 0.8 holds 0.8 parts of noise. At level 0.2 it should hold a quarter of that. A blend keeps
        the same share of everything that is in it.
    """
    # TODO 4.3: write your code here, in place of the next line
    raise NotImplementedError


def denoise(
    model: nn.Module, noisy: Tensor, schedule: Tensor | Sequence[float], step_size: float = 2.0
) -> Iterator[Step]:
    """Walk noisy pictures down the levels of a schedule, and yield a Step after each step.

    A step asks the model once, about the pictures as they are now and the level they are at now. From its answer and
    its answer one step earlier, `extrapolate` makes the guess, and `remix` takes the pictures to the next level of the
    schedule. Nothing is random here, and nothing is cut off to [0, 1].

    Args:
        model: called as model(noisy, noise_level), it answers with clean images, shape (N, C, H, W). The level is told
            as a tensor of shape (1, 1, 1, 1), of the dtype of `noisy` and on its device. Whether the model is in
            training or evaluation mode is up to the caller.
        noisy: the images at the first level of the schedule, shape (N, C, H, W). They stay as they are.
        schedule: falling levels, each but the last above 0: a tensor of shape (n_steps + 1,) or a list of floats. They
            need not be even, and need not begin at 1 or end at 0.
        step_size: see `extrapolate`.

    Yields:
        A Step after each step. Later steps leave the tensors of an earlier Step as they are.

    Example:
        for step in denoise(model, noisy, [1.0, 0.5, 0.0]): print(step.noise_level.item()) prints 0.5, then 0.0.

    Good to know:
        A function with a `yield` in it is a generator. It runs when a value is asked for, up to the next `yield`, and
        stands still there. Nothing is learned here, and so the model is called without gradients, inside of
        `with torch.no_grad():`. Until that block ends, gradients are off for all of the program: if the function stands
        still inside, its caller goes on without them too.
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
    """Make new pictures: pure noise, walked down an even schedule to level 0.

    Args:
        model: a denoiser, see `denoise`. It is in evaluation mode while it is asked. Afterwards, also after an error
            halfway, it is back in the mode it came in.
        n_images: how many pictures.
        image_shape: the shape (C, H, W) of one picture, a tuple or a list.
        n_steps: how many steps to take, each of them one call of the model.
        step_size: see `extrapolate`.
        generator: where the random numbers of the noise come from; None means torch's own, global one.

    Returns:
        The pictures, shape (n_images, C, H, W), cut off to [0, 1] once, at the very end. They are on the device and of
        the dtype of the model's weights; if it has none (as some of the grader's), on the CPU and float32.

    Example:
        generate(model, 16, image_shape=(3, 64, 64)) makes 16 pictures in color.

    Good to know:
        Some layers work differently while a network learns. model.eval() switches a network and all of its parts to
        evaluation, model.train(mode) to training if `mode` is True; model.training says which it is.
        next(model.parameters(), other) is the first of the weights, or `other` if there are none.
    """
    # TODO 4.5: write your code here, in place of the next line
    raise NotImplementedError
