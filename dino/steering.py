"""Lesson 06: steering. Ask for something, keep something, change something.

The sampler needs a denoiser, and doesn't care where it comes from. So each new ability is a function that takes a
denoiser and returns another one, and the sampler stays as it is:

    stegosaurus = asking(model, condition, guidance=1.5)
    images = generate(stegosaurus, 16, image_shape=(3, 32, 32))
"""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from .noise import mix
from .sampler import denoise, noise_schedule

GUIDANCE = 1.5  # see `guide`; more exaggerates, and images become less like real ones (docs/guides/steering.md)


class ConditionalDenoiser(nn.Module):
    """A denoiser that also gets words. Each word is one more channel of the network's input, like the noise level.

    A word's channel is 1 everywhere if the word was asked for, and 0 everywhere if it was not. All words at 0 means
    that nothing was asked for, and the network draws whatever it likes.

    Args:
        unet: any network that takes and returns images with `n_words` more channels than the real ones: `UNet(channels
            + n_words)`. The first channels of its output are the prediction. The others aren't used.
        n_words: how many words there are.
    """

    def __init__(self, unet: nn.Module, n_words: int) -> None:
        super().__init__()
        self.unet, self.n_words = unet, n_words

    def forward(self, noisy: Tensor, noise_level: Tensor, condition: Tensor | None = None) -> Tensor:
        """Predict the clean images.

        Args:
            noisy: shape (N, C, H, W). Papers write x_t.
            noise_level: in [0, 1], shape (N, 1, 1, 1) or (1, 1, 1, 1). Papers write t.
            condition: in [0, 1], shape (N, n_words), or (1, n_words) for the whole batch. None if nothing was asked
                for. Papers write c or y.

        Returns:
            The predictions, shape (N, C, H, W).
        """
        n, channels, height, width = noisy.shape
        if condition is None:
            condition = noisy.new_zeros(1, self.n_words)
        planes = condition.to(noisy)[:, :, None, None].expand(n, self.n_words, height, width)
        return self.unet(torch.cat([noisy, planes], dim=1), noise_level)[:, :channels]


def drop_conditions(condition: Tensor, share: float, *, generator: torch.Generator | None = None) -> Tensor:
    """Set the conditions of some images to zero, so that the network also learns to draw when nothing is asked for.

    Classifier-free guidance needs both predictions (Ho and Salimans 2022, arXiv:2207.12598).

    Args:
        condition: shape (N, n_words).
        share: the probability, in [0, 1], with which a row becomes zero, independently of the others.
        generator: where the random numbers come from, on the device of `condition`. By default torch's global one.

    Returns:
        The conditions, shape (N, n_words).
    """
    kept = torch.rand(len(condition), 1, generator=generator, device=condition.device) >= share
    return condition * kept


def hide_words(condition: Tensor, share: float, *, generator: torch.Generator | None = None) -> Tensor:
    """Hide some of the words of some images, so that the network can also be asked for less than everything.

    Most images keep all of their words. Each of the others keeps a part of them, between none and all. With many of
    them, the network learns more slowly to draw well: it sees fewer images of which it knows everything.

    Args:
        condition: shape (N, n_words).
        share: the probability, in (0, 1], with which words of an image are hidden, independently of the others.
        generator: where the random numbers come from, on the device of `condition`. By default torch's global one.

    Returns:
        The conditions, shape (N, n_words).
    """
    kept = torch.rand(len(condition), 1, generator=generator, device=condition.device) / share  # mostly above 1
    return condition * (torch.rand(condition.shape, generator=generator, device=condition.device) < kept)


def guide(unconditional: Tensor, conditional: Tensor, guidance: float) -> Tensor:
    """Go from the prediction without the words through the prediction with them: classifier-free guidance.

    Args:
        unconditional: the prediction when nothing was asked for, shape (N, C, H, W).
        conditional: the prediction with the words, of the same shape.
        guidance: how far to go. 0 ignores the words, 1 is the prediction with them, and more exaggerates what the words
            change. Papers write w; some count from 1 less.

    Returns:
        The guided prediction, shape (N, C, H, W). It may leave [0, 1].
    """
    return torch.lerp(unconditional, conditional, guidance)


class Denoiser(nn.Module):
    """A function as a module with the weights of a model, so that `generate` can use it in the model's place."""

    def __init__(self, model: nn.Module, function: Callable[[Tensor, Tensor], Tensor]) -> None:
        super().__init__()
        self.model, self.function = model, function

    def forward(self, noisy: Tensor, noise_level: Tensor) -> Tensor:
        return self.function(noisy, noise_level)


def asking(model: nn.Module, condition: Tensor, guidance: float = 1.0) -> nn.Module:
    """Return a denoiser that draws what `condition` asks for.

    Args:
        model: a conditional denoiser, called as `model(noisy, noise_level, condition)`.
        condition: in [0, 1], shape (N, n_words), one row for each image, or (1, n_words) for all of them.
        guidance: see `guide`. At 0 and 1 the model is called once for each prediction, otherwise twice.
    """

    def predict(noisy: Tensor, noise_level: Tensor) -> Tensor:
        if guidance == 0:
            return model(noisy, noise_level, None)
        conditional = model(noisy, noise_level, condition)
        if guidance == 1:
            return conditional
        return guide(model(noisy, noise_level, None), conditional, guidance)

    return Denoiser(model, predict)


def keeping(denoiser: nn.Module, known: Tensor, mask: Tensor) -> nn.Module:
    """Return a denoiser that draws only what is missing from an image. Papers call it inpainting.

    Wherever the image is known, the prediction is replaced by it. The sampler's mix then holds the known part at the
    right noise level, and the network fits the rest to it.

    Args:
        denoiser: called as `denoiser(noisy, noise_level)`.
        known: an image in [0, 1], shape (N, C, H, W) or (1, C, H, W).
        mask: bool, True where the image is known, shape (N, 1, H, W) or (1, 1, H, W).
    """

    def predict(noisy: Tensor, noise_level: Tensor) -> Tensor:
        return torch.where(mask, known, denoiser(noisy, noise_level))

    return Denoiser(denoiser, predict)


def vary(
    denoiser: nn.Module,
    images: Tensor,
    noise_level: float,
    *,
    schedule: Tensor | None = None,
    step_size: float | Sequence[float] | Tensor = 2.0,
    generator: torch.Generator | None = None,
) -> Tensor:
    """Draw variations of images: mix some uniform noise in, and take it away again. Papers call it SDEdit.

    Meng et al. 2021 (arXiv:2108.01073) did this first. The higher the noise level, the less is left of the images.

    Args:
        denoiser: called as `denoiser(noisy, noise_level)`.
        images: in [0, 1], shape (N, C, H, W).
        noise_level: in (0, 1]. 1 draws new images.
        schedule: noise levels from 1 down to 0, which are scaled down to begin at `noise_level`. By default 100 even
            steps.
        step_size: one for each step of the schedule, or one for all; see `extrapolate`.
        generator: where the noise comes from, on the device of `images`. By default torch's global one.

    Returns:
        The variations, in [0, 1], shape (N, C, H, W).
    """
    noise = torch.rand(images.shape, generator=generator, device=images.device, dtype=images.dtype)
    noisy = mix(images, noise, images.new_full((1, 1, 1, 1), noise_level))
    levels = noise_level * (noise_schedule(100) if schedule is None else schedule)
    for step in denoise(denoiser, noisy, levels, step_size):
        noisy = step.noisy
    return noisy.clamp(0, 1)


def flip_averaged(denoiser: nn.Module) -> nn.Module:
    """Return a denoiser that doesn't know left from right: the average over an image and its mirror image.

    The denoiser predicts twice, and the second time it gets the mirrored image. Its second prediction is mirrored back.
    So a mirrored noisy image gets the mirrored prediction. Which way an object faces is then up to the noise alone.

    Args:
        denoiser: called as `denoiser(noisy, noise_level)`.
    """

    def predict(noisy: Tensor, noise_level: Tensor) -> Tensor:
        return torch.lerp(denoiser(noisy, noise_level), denoiser(noisy.flip(-1), noise_level).flip(-1), 0.5)

    return Denoiser(denoiser, predict)


my_own = flip_averaged  # exercise 6.7 asks for any denoiser that is made from another one; this is one of them
