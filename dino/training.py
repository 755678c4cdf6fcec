"""Lesson 03: training. Show the network a noisy picture, ask for the clean one, nudge it towards the right answer.

This is the whole of diffusion training. `dino/trainer.py` does the same with a run folder, speed and safety around it.
"""

from collections.abc import Iterable, Iterator

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.optim import Optimizer

from .noise import add_noise


def denoising_loss(model: nn.Module, clean: Tensor, *, generator: torch.Generator | None = None) -> Tensor:
    """The mean squared error of the network's guesses at `clean`, each noised to a level of its own.

    Args:
        model: a denoiser, called as `model(noisy, noise_level)`.
        clean: images in [0, 1], shape (N, C, H, W).
        generator: where noise and levels come from. It must live on the device of `clean`.

    Returns:
        A scalar, ready for `backward()`. In papers: the denoising loss in x0 form, every noise level weighted 1.
    """
    noisy, noise_level = add_noise(clean, generator=generator)
    return F.mse_loss(model(noisy, noise_level), clean)


def train_step(
    model: nn.Module, optimizer: Optimizer, clean: Tensor, *, generator: torch.Generator | None = None
) -> float:
    """One step of gradient descent on one batch of clean images, float in [0, 1], shape (N, C, H, W).

    Returns the loss before the step.
    """
    model.train()
    optimizer.zero_grad()
    loss = denoising_loss(model, clean, generator=generator)
    loss.backward()
    optimizer.step()
    return loss.item()


@torch.no_grad()
def update_average(average: nn.Module, model: nn.Module, decay: float) -> None:
    """Move `average` a little towards `model`, in place: decay * average + (1 - decay) * model.

    Training jitters around good weights; their running average (exponential moving average, EMA) sits in the middle and
    draws much better pictures. Anything that isn't a parameter (a buffer) is copied. `decay` is in [0, 1]: 0 copies the
    model, 1 changes nothing.
    """
    for ours, theirs in zip(average.parameters(), model.parameters(), strict=True):
        ours.lerp_(theirs, 1 - decay)
    for our_buffer, their_buffer in zip(average.buffers(), model.buffers(), strict=True):
        our_buffer.copy_(their_buffer)


def train(
    model: nn.Module,
    optimizer: Optimizer,
    batches: Iterable[Tensor],
    *,
    average: nn.Module | None = None,
    decay: float = 0.998,
    generator: torch.Generator | None = None,
) -> Iterator[float]:
    """Train on `batches` of clean images and yield the loss after each step. A generator: the caller sets the pace.

    Args:
        batches: clean images in [0, 1], each (N, C, H, W). Training ends when they do.
        average: a copy of the model that holds the running average of its weights, or None for no averaging.
        decay: how much of the average is kept at each step.
    """
    for clean in batches:
        loss = train_step(model, optimizer, clean, generator=generator)
        if average is not None:
            update_average(average, model, decay)
        yield loss
