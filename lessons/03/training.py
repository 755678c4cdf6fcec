"""Lesson 03: training. How a network learns to denoise images.

A network is a function that contains many numbers, its weights. The weights decide what the network predicts. Training
changes the weights a little, again and again: give the network noisy images, measure how far its prediction is from the
clean images (this number is the loss), and move each weight in the direction that lowers the loss.

Fill in the four functions, then run: uv run pytest lessons/03
"""

from collections.abc import Iterable, Iterator

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.optim import Optimizer

from dino.noise import add_noise  # lesson 01: the course's own here; `dino train --mine` puts yours in its place


def denoising_loss(model: nn.Module, clean: Tensor, *, generator: torch.Generator | None = None) -> Tensor:
    """Measure how well a network denoises images.

    Add noise to the images, let the network predict the clean ones, and compare the prediction with the clean images.
    The measure is the mean squared error: the difference between prediction and clean image, squared, then averaged
    over every number of every image. So batches of any size are judged on the same scale.

    Args:
        model: the network. Call it once for the whole batch, as `model(noisy, noise_level)`. It returns its prediction
            of the clean images, in their shape. Its weights and its mode stay as they are.
        clean: a batch, which is all the images of one step, in [0, 1], shape (N, C, H, W). It stays as it is.
        generator: the source of random numbers; None means torch's global generator.

    Returns:
        The loss: a scalar, which is a tensor of shape () that holds a single number.

    Example:
        A network that is off by 0.1 at every pixel has a loss of 0.01. A network that is always right has a loss of 0.

    Good to know:
        torch records how a tensor was computed, and needs this record later to find out which way to move each weight.
        Return the loss as it was computed: `.item()`, `.detach()` and `torch.no_grad()` would cut it off from the
        record. add_noise(clean, generator=generator), from lesson 01, returns the noisy images and their noise levels,
        in this order.
    """
    # TODO 3.1: write your code here, in place of the next line
    raise NotImplementedError


def train_step(
    model: nn.Module, optimizer: Optimizer, clean: Tensor, *, generator: torch.Generator | None = None
) -> float:
    """Take one step of gradient descent on one batch of clean images.

    The gradient says, for each weight, how the loss would change if that weight grew. Each weight takes a step in the
    opposite direction. The optimizer moves the weights: it holds them and decides how long their steps are. It takes
    one step, and uses only the gradients of this batch, even if the weights still hold gradients from before.

    Args:
        model: the network. Put it into training mode (`model.train()`), and leave it in this mode. Some layers work
            differently during training, and the caller may have switched to evaluation mode to look at results.
        optimizer: for example, torch.optim.AdamW(model.parameters(), lr=1e-3). Its settings stay as they are.
        clean: images in [0, 1], shape (N, C, H, W). They stay as they are.
        generator: the source of random numbers; None means torch's global generator.

    Returns:
        The loss before the step, as a plain float.

    Example:
        loss = train_step(model, optimizer, clean) might return 0.1132. The next loss may be higher, because its noise
        is different. Over about ten steps, the losses fall.

    Good to know:
        Each weight keeps its gradient in `.grad`. loss.backward() computes the gradients and *adds* them to what
        `.grad` already holds. optimizer.step() moves the weights by the gradients in `.grad`. optimizer.zero_grad()
        clears them. loss.item() returns the number in a scalar tensor, as a float.
    """
    # TODO 3.2: write your code here, in place of the next line
    raise NotImplementedError


def update_average(average: nn.Module, model: nn.Module, decay: float) -> None:
    """Move the weights of `average` a little toward those of `model`, in place.

    Training jitters: each batch pulls the weights another way. An exponential moving average (EMA) of the weights
    follows them smoothly, and a network with the weights of the EMA generates much better images. Each weight of the
    EMA becomes

        decay * (its old value) + (1 - decay) * (the model's weight)

    A network may also hold buffers: numbers that it keeps but doesn't learn, such as counters. Copy them.

    Args:
        average: the EMA, a copy of the model made at the start of training. Its weights and buffers change.
        model: the network being trained. It stays as it is, and shares no tensors with the EMA.
        decay: how much of the EMA is kept, from 0 (nothing) to 1 (everything). 0.998 suits thousands of steps. For a
            few hundred steps, use 0.98. Otherwise the EMA remembers the start too long.

    Returns:
        Nothing. The function changes the weights that `average` already has.

    Example:
        With a decay of 0.9, an EMA weight of 2.0 and a model weight of 3.0 give a new EMA weight of 2.1.

    Good to know:
        `parameters()` of a network iterates over its weights, and `buffers()` over its buffers, for both networks in
        the same order. A tensor method whose name ends in an underscore works in place: x.lerp_(y, 0.25) changes x
        itself. torch allows this for weights only inside `with torch.no_grad():`, where it doesn't prepare gradients.
        x.copy_(y) copies the numbers of y into x, and works for any shape.
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
    """Train on one batch after another, and yield the loss after each step. This function is a generator.

    The caller sets the pace. Between any two steps, the caller may inspect the network, generate images with it, or
    stop.

    Args:
        model: the network. After each step it is in training mode.
        optimizer: the optimizer that holds the network's weights.
        batches: batches of clean images in [0, 1], each of shape (N, C, H, W): a list, or anything else that a `for`
            loop accepts. They may never end, so take one batch at a time, and only when its step is due. Training ends
            when the batches end.
        average: the EMA, a copy of the model that holds the exponential moving average of its weights. Update it after
            each step, before the loss is handed out. None means no EMA.
        decay: how much of the EMA is kept at each step; see `update_average`.
        generator: the source of random numbers; None means torch's global generator.

    Yields:
        The loss of each step, a float.

    Example:
        for loss in train(model, optimizer, batches):
            print(loss)

    Good to know:
        A function that contains `yield` is a generator. Calling it doesn't run any of its code yet. Each time the
        caller's `for` loop asks for a value, the code runs on to the next `yield`, hands out that value, and waits
        there. (The argument `generator` is something else with the same name: the source of random numbers.)
    """
    # TODO 3.4: write your code here, in place of the next line
    raise NotImplementedError
