"""Lesson 06: steering. Ask for something, keep something, change something.

The sampler needs a denoiser: a function that takes noisy pictures and their noise level, and returns a prediction of
the clean pictures. It doesn't care where the prediction comes from. So each new ability in this lesson is a function
that takes a denoiser and returns another one, and the sampler of lesson 04 stays as it is.

Fill in the six functions and the class, then run: uv run pytest lessons/06
"""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from dino.noise import mix
from dino.sampler import denoise, noise_schedule


class Denoiser(nn.Module):
    """A function as a module, with the weights of a model. You don't need to change this class.

    `generate` looks for the model's weights and switches its mode. A plain function has neither. So wrap your function:
    Denoiser(model, function)(noisy, noise_level) calls function(noisy, noise_level).
    """

    def __init__(self, model: nn.Module, function: Callable[[Tensor, Tensor], Tensor]) -> None:
        super().__init__()
        self.model, self.function = model, function

    def forward(self, noisy: Tensor, noise_level: Tensor) -> Tensor:
        return self.function(noisy, noise_level)


class ConditionalDenoiser(nn.Module):
    """A denoiser that also gets words. Each word is one more channel of the network's input.

    A word's channel has the same number at every pixel: 1 if the word was asked for, and 0 if it wasn't. If all words
    are 0, nothing was asked for, and the network may predict any picture.

    Args:
        unet: a network, called as unet(x, noise_level). It takes pictures with `n_words` more channels than the real
            ones. The first channels of its output are the prediction. It may have more channels after them.
        n_words: how many words there are.
    """

    def __init__(self, unet: nn.Module, n_words: int) -> None:
        super().__init__()
        # A module that is assigned to an attribute is registered: its weights now belong to this module, too.
        self.unet, self.n_words = unet, n_words

    def forward(self, noisy: Tensor, noise_level: Tensor, condition: Tensor | None = None) -> Tensor:
        """Predict the clean pictures.

        Args:
            noisy: shape (N, C, H, W).
            noise_level: shape (N, 1, 1, 1) or (1, 1, 1, 1). Pass it on to the network.
            condition: the words, in [0, 1]: one row for each picture, shape (N, n_words), or one row for all of them,
                shape (1, n_words). None means that nothing was asked for.

        Returns:
            The predictions, shape (N, C, H, W).

        Example:
            With 3 color channels and 25 words, the network gets 28 channels: the noisy picture first, then the words.

        Good to know:
            condition[:, :, None, None] has the shape (N, n_words, 1, 1). x.expand(n, -1, height, width) repeats it over
            all pixels without copying it; -1 leaves a dimension as it is. torch.cat([a, b], dim=1) puts the channels of
            b after those of a. x.to(noisy) is x with the dtype and the device of `noisy`.
        """
        n, channels, height, width = noisy.shape
        if condition is None:
            condition = noisy.new_zeros(1, self.n_words)
        # One number for each word becomes one plane for each word. The network's first convolution then sees, at every
        # pixel, which words were asked for. That is the same trick as for the noise level in lesson 02.
        planes = condition.to(noisy)[:, :, None, None].expand(n, -1, height, width)
        # A network that takes 28 channels usually returns 28, too. Only the first ones are a prediction of the picture.
        return self.unet(torch.cat([noisy, planes], dim=1), noise_level)[:, :channels]


def drop_conditions(condition: Tensor, share: float, *, generator: torch.Generator | None = None) -> Tensor:
    """Set the words of some pictures to zero, so that the network also learns to draw when nothing is asked for.

    Guidance, in the next exercise, needs a network that can do both.

    Args:
        condition: the words of a batch, shape (N, n_words). They stay as they are.
        share: the probability, in [0, 1], with which a picture loses all of its words. Each picture has its own chance.
        generator: the source of random numbers; None means torch's global generator.

    Returns:
        The words, shape (N, n_words). Each row is either as it was, or all zeros.

    Example:
        With a share of 0.1, about one picture in ten loses all of its words.

    Good to know:
        torch.rand(3, 1) < 0.1 is True with a probability of 0.1, in each of its three rows. A tensor times True stays
        as it is, and a tensor times False is zero.
    """
    # One random number for each row, in a column of shape (N, 1), so that a row is kept or dropped as a whole. A random
    # number is below `share` with a probability of `share`, so the others are kept.
    kept = torch.rand(len(condition), 1, generator=generator, device=condition.device) >= share
    return condition * kept


def guide(unconditional: Tensor, conditional: Tensor, guidance: float) -> Tensor:
    """Go from the prediction without the words through the prediction with them: classifier-free guidance.

    Args:
        unconditional: the prediction when nothing was asked for, shape (N, C, H, W).
        conditional: the prediction with the words, of the same shape.
        guidance: how far to go. 0 ignores the words, 1 is the prediction with them, and more exaggerates what the words
            change.

    Returns:
        The guided prediction, shape (N, C, H, W). It may leave [0, 1], and that is fine.

    Example:
        If a pixel is 0.5 without the words and 0.6 with them, a guidance of 3 makes it 0.8.
    """
    # The course's blend, with a weight that may be above 1, as in `extrapolate`.
    return torch.lerp(unconditional, conditional, guidance)


def asking(model: nn.Module, condition: Tensor, guidance: float = 1.0) -> nn.Module:
    """Return a denoiser that draws what `condition` asks for.

    Args:
        model: a conditional denoiser, called as model(noisy, noise_level, condition). With None in place of the
            condition, it predicts without words.
        condition: the words, shape (N, n_words) or (1, n_words).
        guidance: see `guide`. At 0 one prediction is enough, and at 1, too. Otherwise the model has to be called twice.

    Returns:
        A denoiser, which is called as denoiser(noisy, noise_level). It is a module, so that `generate` can use it.

    Example:
        stegosaurus = asking(model, condition, guidance=1.5)
        pictures = generate(stegosaurus, 16, image_shape=(3, 32, 32))

    Good to know:
        A function inside a function can use the arguments of the outer one, also after the outer function has returned:

            def adding(a):
                def add(b):
                    return a + b
                return add

        adding(2)(3) is 5. Wrap your inner function: return Denoiser(model, predict).
    """

    # Nothing is predicted yet. `predict` runs later, once in each step of the sampler, and remembers model, condition
    # and guidance.
    def predict(noisy: Tensor, noise_level: Tensor) -> Tensor:
        if guidance == 0:
            return model(noisy, noise_level, None)
        conditional = model(noisy, noise_level, condition)
        if guidance == 1:  # most of the time goes into calling the model, so don't call it for nothing
            return conditional
        return guide(model(noisy, noise_level, None), conditional, guidance)

    return Denoiser(model, predict)


def keeping(denoiser: nn.Module, known: Tensor, mask: Tensor) -> nn.Module:
    """Return a denoiser that draws only the part of a picture that is missing. Papers call it inpainting.

    Where the picture is known, replace the prediction by it. Leave the noisy pictures alone: the sampler mixes the
    prediction in, and so the known part arrives in them by itself, at the right noise level.

    Args:
        denoiser: called as denoiser(noisy, noise_level).
        known: a picture in [0, 1], shape (N, C, H, W) or (1, C, H, W).
        mask: True where the picture is known: dtype bool, shape (N, 1, H, W) or (1, 1, H, W).

    Returns:
        A denoiser, as in `asking`.

    Example:
        keeping(denoiser, known, mask) with a mask that is True in the left half draws a new right half.

    Good to know:
        torch.where(mask, a, b) takes its numbers from a where the mask is True, and from b where it is False.
    """

    # The network sees a mix in which the known part is already right, and its prediction of the rest fits to that part.
    def predict(noisy: Tensor, noise_level: Tensor) -> Tensor:
        return torch.where(mask, known, denoiser(noisy, noise_level))

    return Denoiser(denoiser, predict)


def vary(
    denoiser: nn.Module,
    images: Tensor,
    noise_level: float,
    *,
    schedule: Tensor | None = None,
    step_size: float = 2.0,
    generator: torch.Generator | None = None,
) -> Tensor:
    """Draw variations of pictures: mix some noise in, and take it away again.

    Until now sampling began at level 1, with pure noise. Here it begins at a lower level, with a mix that `mix` makes
    from the pictures and new noise. The higher the level, the less is left of the pictures.

    Args:
        denoiser: called as denoiser(noisy, noise_level).
        images: in [0, 1], shape (N, C, H, W). They stay as they are.
        noise_level: where to begin, above 0 and at most 1.
        schedule: levels from 1 down to 0, shape (n_steps + 1,). Multiply them by `noise_level`, so that they begin
            there. None means noise_schedule(100).
        step_size: as for `denoise`.
        generator: the source of random numbers for the noise; None means torch's global generator.

    Returns:
        The variations, shape (N, C, H, W), clamped to [0, 1] at the very end.

    Example:
        vary(denoiser, images, 0.5, schedule=noise_schedule(2)) calls the denoiser at level 0.5 and at level 0.25.

    Good to know:
        The noise is uniform in [0, 1), as in `generate`: torch.rand(images.shape, generator=..., device=...,
        dtype=...). `mix` needs the level as a tensor: images.new_full((1, 1, 1, 1), 0.5) is 0.5 in the dtype and on the
        device of `images`. Each step of `denoise` has a `.noisy`, as in lesson 04.
    """
    noise = torch.rand(images.shape, generator=generator, device=images.device, dtype=images.dtype)
    noisy = mix(images, noise, images.new_full((1, 1, 1, 1), noise_level))
    # The first level must be the level that the mix is at. With a higher one, the network would expect more noise than
    # there is, and would take parts of the picture for noise.
    levels = noise_level * (noise_schedule(100) if schedule is None else schedule)
    for step in denoise(denoiser, noisy, levels, step_size):
        noisy = step.noisy
    return noisy.clamp(0, 1)


def my_own(denoiser: nn.Module) -> nn.Module:
    """Return a denoiser of your own invention, made from another one. There is no single right answer.

    The solution averages over a flip: it predicts for the noisy pictures and for the mirrored ones, mirrors the second
    prediction back, and averages the two. Other ideas:

    - a picture that looks the same when it is turned upside down: average a prediction with itself, turned around;
    - a picture in four colors: replace each pixel of the prediction by the nearest color of a palette;
    - a tile that continues on its other side: roll the noisy pictures, predict, and roll the prediction back.

    Args:
        denoiser: called as denoiser(noisy, noise_level). In your denoiser, call it at least once in each step, with
            pictures of the shape of `noisy` and with the noise level as it is.

    Returns:
        A denoiser, as in `asking`. Its prediction has the shape of `noisy`, depends on what `denoiser` predicts, and
        isn't always the same as that.

    Good to know:
        x.flip(-1) mirrors left and right, x.flip(-2) turns top and bottom around, and x.flip(-1, -2) does both.
        torch.roll(x, 8, dims=-1) moves everything 8 pixels to the right, and what leaves on the right enters on the
        left.
    """

    # A mirrored noisy picture gets the mirrored prediction, so this denoiser doesn't know left from right. The second
    # prediction must be mirrored back, because it is about the mirrored pictures.
    def predict(noisy: Tensor, noise_level: Tensor) -> Tensor:
        mirrored = denoiser(noisy.flip(-1), noise_level).flip(-1)
        return torch.lerp(denoiser(noisy, noise_level), mirrored, 0.5)

    return Denoiser(denoiser, predict)
