"""Lesson 03: training. Give the network noisy images, compare its predictions with the clean ones, improve the weights.

This is all of diffusion training. `dino.trainer` does the same faster, with run folders, saves and exact resume.
"""

from collections.abc import Iterable, Iterator

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.optim import Optimizer

from .noise import add_noise


def denoising_loss(model: nn.Module, clean: Tensor, *, generator: torch.Generator | None = None) -> Tensor:
    """Return the mean squared error of the network's predictions, at a random noise level for each image.

    Args:
        model: a denoiser, called as `model(noisy, noise_level)`.
        clean: images in [0, 1], shape (N, C, H, W). Papers write x_0.
        generator: where the random numbers come from, on the device of `clean`. By default torch's global one.

    Returns:
        The loss, a scalar, ready for `backward()`. Papers call it the denoising loss in x0 form, with weight 1 at every
        noise level.
    """
    noisy, noise_level = add_noise(clean, generator=generator)
    return F.mse_loss(model(noisy, noise_level), clean)


def train_step(
    model: nn.Module, optimizer: Optimizer, clean: Tensor, *, generator: torch.Generator | None = None
) -> float:
    """Take one step of gradient descent on one batch.

    Args:
        model: a denoiser. It is left in training mode.
        optimizer: of the model's weights.
        clean: images in [0, 1], shape (N, C, H, W).
        generator: where the random numbers come from, on the device of `clean`. By default torch's global one.

    Returns:
        The loss before the step.
    """
    model.train()
    optimizer.zero_grad()
    loss = denoising_loss(model, clean, generator=generator)
    loss.backward()
    optimizer.step()
    return loss.item()


@torch.no_grad()
def update_average(average: nn.Module, model: nn.Module, decay: float) -> None:
    """Update the exponential moving average (EMA) of a model's weights, in place.

    Each weight becomes decay * average + (1 - decay) * model. Training jitters around good weights. The EMA is in their
    middle, and samples drawn with it are much better. Buffers, which aren't trained, are copied.

    Args:
        average: a network like `model` that holds the EMA.
        model: the network that is trained. It doesn't change.
        decay: in [0, 1]: 0 copies the model, 1 changes nothing.
    """
    for average_weight, weight in zip(average.parameters(), model.parameters(), strict=True):
        average_weight.lerp_(weight, 1 - decay)
    for average_buffer, buffer in zip(average.buffers(), model.buffers(), strict=True):
        average_buffer.copy_(buffer)


def train(
    model: nn.Module,
    optimizer: Optimizer,
    batches: Iterable[Tensor],
    *,
    average: nn.Module | None = None,
    decay: float = 0.998,
    generator: torch.Generator | None = None,
) -> Iterator[float]:
    """Train on batches, one step for each. This is a generator, so the caller sets the pace and may stop at any step.

    Args:
        model: a denoiser.
        optimizer: of the model's weights.
        batches: clean images in [0, 1], each of shape (N, C, H, W). Training ends when they end.
        average: a copy of the model that holds the EMA of its weights, or None for no EMA.
        decay: see `update_average`.
        generator: where the random numbers come from, on the device of the batches. By default torch's global one.

    Yields:
        The loss of each step.
    """
    for clean in batches:
        loss = train_step(model, optimizer, clean, generator=generator)
        if average is not None:
            update_average(average, model, decay)
        yield loss
