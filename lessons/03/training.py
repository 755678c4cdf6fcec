"""Lesson 03: training. How a network learns to clean pictures.

A network is a function with many numbers inside, its weights, which decide what it answers. Learning means changing
them a little, again and again: show the network a noisy picture, measure how far its answer is from the clean one (that
number is the loss), and move each weight in the direction in which the loss falls.

Fill in the four functions, then run: uv run pytest lessons/03
"""

from collections.abc import Iterable, Iterator

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.optim import Optimizer

from dino.noise import add_noise  # lesson 01: the course's own here; `dino train --mine` puts yours in its place


def denoising_loss(model: nn.Module, clean: Tensor, *, generator: torch.Generator | None = None) -> Tensor:
    """Measure how well a network cleans pictures: noise them, ask the network, compare its answer with the clean ones.

    The measure is the mean squared error: the difference between answer and clean picture, squared, then averaged over
    every number of every image, so that a batch of any size is judged on the same scale.

    Args:
        model: the network. It is asked once for the whole batch, as `model(noisy, noise_level)`, and answers with its
            guess at the clean images, of their shape. Its weights and its mode stay as they are.
        clean: a batch, which is all the images of one step: in [0, 1], shape (N, C, H, W). They stay as they are.
        generator: where random numbers come from; None means torch's own, global one.

    Returns:
        The loss: a scalar, which is a tensor of shape () that holds a single number.

    Example:
        A network that is off by 0.1 at every pixel has a loss of 0.01, one that is always right has 0.

    Good to know:
        torch remembers how a tensor was computed, and needs that later to find out which way to move each weight. The
        loss must come straight out of the computation: `.item()`, `.detach()` and `torch.no_grad()` would cut it off.
        From lesson 01, add_noise(clean, generator=generator) gives the noisy images and their levels, in this order.
    """
    # TODO 3.1: write your code here, in place of the next line
    raise NotImplementedError


def train_step(
    model: nn.Module, optimizer: Optimizer, clean: Tensor, *, generator: torch.Generator | None = None
) -> float:
    """Learn a little from one batch of clean images: one step of gradient descent.

    The gradient says, for each weight, how the loss would change if that weight grew. Each weight takes a step the
    other way. The optimizer does the moving: it holds the weights and decides how long their steps are. It takes one
    step, by the gradients of this batch alone, whatever was left in the weights before.

    Args:
        model: the network. It is put into training mode (`model.train()`), in which it also stays: some layers work
            differently while they learn, and the caller may have switched it off to look at results.
        optimizer: such as torch.optim.AdamW(model.parameters(), lr=1e-3). How it is set stays as it is.
        clean: images in [0, 1], shape (N, C, H, W). They stay as they are.
        generator: where random numbers come from; None means torch's own, global one.

    Returns:
        The loss before the step, as a plain float.

    Example:
        loss = train_step(model, optimizer, clean) might give 0.1132. The next loss may be higher, as its noise is
        another; over some ten steps they fall.

    Good to know:
        Each weight keeps its gradient in `.grad`. loss.backward() works out the gradients and *adds* them to what is
        there already; optimizer.step() moves the weights by what it finds there; optimizer.zero_grad() clears it.
        loss.item() is the number in a scalar tensor, as a float.
    """
    # TODO 3.2: write your code here, in place of the next line
    raise NotImplementedError


def update_average(average: nn.Module, model: nn.Module, decay: float) -> None:
    """Move the weights of `average` a little towards those of `model`, in place.

    Training jitters: each batch pulls the weights another way. Their running average follows them smoothly, and a
    network with averaged weights makes much better pictures. Each weight of the average becomes

        decay * (what it was) + (1 - decay) * (the model's)

    A network may also hold buffers: numbers that are kept but not learned, such as counters. They are copied.

    Args:
        average: a copy of the model, made at the start of the training; its weights and buffers change.
        model: the network that is being trained. It stays as it is, and shares no numbers with the average.
        decay: how much of the average is kept, from 0 (nothing) to 1 (everything). 0.998 suits thousands of steps. For
            a few hundred take 0.98, or the average remembers the start too long.

    Returns:
        Nothing. The change is made in the weights that `average` already has.

    Example:
        With a decay of 0.9, an average of 2.0 and a model's weight of 3.0 give an average of 2.1.

    Good to know:
        `parameters()` of a network goes through its weights, `buffers()` through its buffers, for both networks in the
        same order. A method of a tensor whose name ends in an underscore works in place: x.lerp_(y, 0.25) changes x
        itself. With weights, torch allows that only `with torch.no_grad():`, where no gradients are prepared.
        x.copy_(y) puts y's numbers into x, whatever their shape.
    """
    # TODO 3.3: write your code here, in place of the next line
    raise NotImplementedError


def train(
    model: nn.Module,
    optimizer: Optimizer,
    batches: Iterable[Tensor],
    *,
    average: nn.Module | None = None,
    decay: float = 0.998,
    generator: torch.Generator | None = None,
) -> Iterator[float]:
    """Train on one batch after another, and hand out the loss after each step. This is a generator.

    The caller sets the pace, and may look at the network, draw a picture with it or stop between any two steps.

    Args:
        model: the network. After each step it is in training mode.
        optimizer: the optimizer that holds its weights.
        batches: batches of clean images in [0, 1], each of shape (N, C, H, W): a list, or anything else that a `for`
            loop takes. They may never end, so take one batch at a time, and only when its step is due. Training ends
            when they do.
        average: a copy of the model that holds the running average of its weights; it is updated after each step,
            before the loss is handed out. None means no averaging.
        decay: how much of the average is kept at each step; see `update_average`.
        generator: where random numbers come from; None means torch's own, global one.

    Yields:
        The loss of each step, a float.

    Example:
        for loss in train(model, optimizer, batches):
            print(loss)

    Good to know:
        A function with a `yield` in it is a generator. Calling it runs nothing yet; each time round the caller's `for`
        loop, its code runs on to the next `yield`, hands out that value, and waits there. (The argument `generator` is
        something else that happens to share the name: the source of random numbers.)
    """
    # TODO 3.4: write your code here, in place of the next line
    raise NotImplementedError
