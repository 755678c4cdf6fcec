"""Lesson 08: in other people's words. DDPM, DDIM, EDM, rectified flow and IADB are this course in other coordinates.

In each paper a noisy image is a sum of an image and noise. The papers multiply this sum by different numbers, measure
the noise level in different units, and let the network predict different things. `PAPERS` is the whole dictionary: the
tables of the course's pages and the sliders of lesson 08 are made from it.

So a step of a paper is three things: go to its coordinates, take its step, come back. Except for rounding, the result
is that of `remix`, and for DDPM that of `remix` with fresh noise:

    level, next_level = torch.tensor([0.8, 0.6]).view(2, 1, 1, 1, 1)
    x, sigma, next_sigma = variance_exploding(noisy, level), to_sigma(level), to_sigma(next_level)
    after = from_variance_exploding(edm_euler_step(x, denoised, sigma, next_sigma), next_level)
    torch.allclose(after, remix(noisy, denoised, level, next_level))  # True

The equalities hold for any noise, because they are algebra. The words behind them need Gaussian noise with mean 0 and
standard deviation 1: the score, DDPM's fresh noise, and "variance-preserving", which also needs images with about that
standard deviation. So the papers scale theirs to [-1, 1].
"""

import math
from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor, nn

# ---- what the network predicts ---------------------------------------------------------------------------------------
# Each pair of functions goes from a prediction of the image to another target, and back.


def predicted_noise(noisy: Tensor, denoised: Tensor, noise_level: Tensor) -> Tensor:
    """Return the noise that is left of noisy images if `denoised` is what they show.

    DDPM's network predicts this (Ho et al. 2020, arXiv:2006.11239, equation 14). Papers write epsilon_theta.

    Args:
        noisy: images at `noise_level`, shape (N, C, H, W). Papers write x_t.
        denoised: the prediction of the images, of the same shape. Papers write x_0-hat, or D.
        noise_level: in (0, 1], shape (N, 1, 1, 1) or (1, 1, 1, 1). Papers write t.

    Returns:
        Shape (N, C, H, W).
    """
    return (noisy - (1 - noise_level) * denoised) / noise_level


def denoised_from_noise(noisy: Tensor, noise: Tensor, noise_level: Tensor) -> Tensor:
    """Return the prediction of the images that belongs to a prediction of the noise, see `predicted_noise`.

    DDIM has this formula in DDPM's coordinates (Song et al. 2021, arXiv:2010.02502).

    Args:
        noisy: images at `noise_level`, shape (N, C, H, W).
        noise: the prediction of the noise, of the same shape. Papers write epsilon_theta.
        noise_level: in [0, 1), shape (N, 1, 1, 1) or (1, 1, 1, 1). Pure noise says nothing about an image.
    """
    return (noisy - noise_level * noise) / (1 - noise_level)


def predicted_velocity(noisy: Tensor, denoised: Tensor, noise_level: Tensor) -> Tensor:
    """Return the direction from the image to the noise, which is dx/dt on the straight line between the two.

    The networks of rectified flow (Liu et al. 2022, arXiv:2209.03003) and of IADB (Heitz et al. 2023,
    arXiv:2305.03486) predict this with the opposite sign, because their time runs from noise to image.

    Args:
        noisy: images at `noise_level`, shape (N, C, H, W). Papers write x_t or X_t.
        denoised: the prediction of the images, of the same shape.
        noise_level: in (0, 1], shape (N, 1, 1, 1) or (1, 1, 1, 1).

    Returns:
        Noise minus image, shape (N, C, H, W). Papers write u or v. This isn't v-prediction (see the glossary).
    """
    return (noisy - denoised) / noise_level


def denoised_from_velocity(noisy: Tensor, velocity: Tensor, noise_level: Tensor) -> Tensor:
    """Return the prediction of the images that belongs to a velocity, see `predicted_velocity`.

    Args:
        noisy: images at `noise_level`, shape (N, C, H, W).
        velocity: noise minus image, of the same shape.
        noise_level: in [0, 1], shape (N, 1, 1, 1) or (1, 1, 1, 1). No level is impossible.
    """
    return noisy - noise_level * velocity


def predicted_score(noisy: Tensor, denoised: Tensor, noise_level: Tensor) -> Tensor:
    """Return the score, the direction in which noisy images become more likely.

    This is the gradient of log p(x; t) with respect to x. It is right for Gaussian noise with mean 0 and standard
    deviation 1, if `denoised` is the best possible prediction, the mean of all images that could be behind the noise.
    EDM has this formula in its own coordinates (Karras et al. 2022, arXiv:2206.00364).

    Args:
        noisy: images at `noise_level`, shape (N, C, H, W).
        denoised: the prediction of the images, of the same shape.
        noise_level: in (0, 1], shape (N, 1, 1, 1) or (1, 1, 1, 1).

    Returns:
        Shape (N, C, H, W). It is also the predicted noise divided by -t.
    """
    return ((1 - noise_level) * denoised - noisy) / noise_level**2


def denoised_from_score(noisy: Tensor, score: Tensor, noise_level: Tensor) -> Tensor:
    """Return the prediction of the images that belongs to a score, see `predicted_score`. It is Tweedie's formula.

    Args:
        noisy: images at `noise_level`, shape (N, C, H, W).
        score: the gradient of log p(x; t), of the same shape.
        noise_level: in [0, 1), shape (N, 1, 1, 1) or (1, 1, 1, 1).
    """
    return (noisy + noise_level**2 * score) / (1 - noise_level)


# ---- noise levels ----------------------------------------------------------------------------------------------------


def to_sigma(noise_level: Tensor) -> Tensor:
    """Return EDM's sigma, the amount of noise for one part of image: in [0, infinity] for levels in [0, 1]."""
    return noise_level / (1 - noise_level)


def from_sigma(sigma: Tensor) -> Tensor:
    """Return the noise level, in [0, 1), that belongs to EDM's sigma, in [0, infinity)."""
    return sigma / (1 + sigma)


def to_alpha_bar(noise_level: Tensor) -> Tensor:
    """Return DDPM's alpha-bar, the share of the image in the variance: in [0, 1], falling from 1 as the level rises.

    DDIM writes alpha for it. sqrt(alpha-bar) image + sqrt(1 - alpha-bar) noise is DDPM's noisy image.
    """
    return (1 - noise_level) ** 2 / ((1 - noise_level) ** 2 + noise_level**2)


def from_alpha_bar(alpha_bar: Tensor) -> Tensor:
    """Return the noise level, in [0, 1], that belongs to DDPM's alpha-bar, in [0, 1].

    Near 1, alpha-bar has lost digits of the level. In float32, levels near 0.001 come back with errors of some percent.
    """
    image, noise = alpha_bar.sqrt(), (1 - alpha_bar).sqrt()
    return noise / (image + noise)


def to_log_snr(noise_level: Tensor) -> Tensor:
    """Return the logarithm of the signal-to-noise ratio: in [-infinity, infinity], falling as the noise level rises.

    The ratio is alpha-bar / (1 - alpha-bar), or 1 / sigma^2 (Kingma et al. 2021, arXiv:2107.00630). Many papers write
    lambda for its logarithm or half of that.
    """
    return -2 * torch.logit(noise_level)


def from_log_snr(log_snr: Tensor) -> Tensor:
    """Return the noise level, in [0, 1], that belongs to a log-SNR, in [-infinity, infinity]."""
    return torch.sigmoid(-log_snr / 2)


def lognormal_levels(
    n: int,
    mean: float = 0.0,
    deviation: float = 1.0,
    *,
    generator: torch.Generator | None = None,
    device: torch.device | str | None = None,
) -> Tensor:
    """Draw noise levels, one for each image of a batch, so that log sigma has a normal distribution.

    The draws are stratified: one from each of n parts of the distribution that are equally probable. So each batch has
    low, middle and high levels, and its loss varies less. EDM has a mean of -1.2 and a deviation of 1.2 (Karras et al.
    2022, arXiv:2206.00364).

    Args:
        n: how many.
        mean: of log sigma. At 0, half of the levels are above 0.5.
        deviation: the standard deviation of log sigma.
        generator: where the random numbers come from, on `device`. By default torch's global one.
        device: where the noise levels are made. By default torch's default device.

    Returns:
        Noise levels in [0, 1], in rising order, shape (n, 1, 1, 1).
    """
    quantiles = (torch.arange(n, device=device) + torch.rand(n, generator=generator, device=device)) / n
    log_sigma = mean + deviation * torch.special.ndtri(quantiles)
    return from_log_snr(-2 * log_sigma).view(n, 1, 1, 1)


# ---- coordinates of noisy images -------------------------------------------------------------------------------------


def variance_preserving(noisy: Tensor, noise_level: Tensor) -> Tensor:
    """Return noisy images in the coordinates of DDPM and DDIM, where their variance is the same at each noise level.

    Args:
        noisy: images at `noise_level`, shape (N, C, H, W): (1 - t) image + t noise.
        noise_level: in [0, 1], shape (N, 1, 1, 1) or (1, 1, 1, 1).

    Returns:
        sqrt(alpha-bar) image + sqrt(1 - alpha-bar) noise, shape (N, C, H, W).
    """
    return noisy / torch.hypot(1 - noise_level, noise_level)


def from_variance_preserving(x: Tensor, noise_level: Tensor) -> Tensor:
    """Return images in the coordinates of DDPM and DDIM as this course's noisy images, see `variance_preserving`."""
    return x * torch.hypot(1 - noise_level, noise_level)


def variance_exploding(noisy: Tensor, noise_level: Tensor) -> Tensor:
    """Return noisy images in the coordinates of EDM, where noise comes on top of the whole image.

    Args:
        noisy: images at `noise_level`, shape (N, C, H, W): (1 - t) image + t noise.
        noise_level: in [0, 1), shape (N, 1, 1, 1) or (1, 1, 1, 1). EDM starts at sigma = 80, which is t = 80/81.

    Returns:
        image + sigma noise, shape (N, C, H, W).
    """
    return noisy / (1 - noise_level)


def from_variance_exploding(x: Tensor, noise_level: Tensor) -> Tensor:
    """Return images in the coordinates of EDM as this course's noisy images, see `variance_exploding`."""
    return x * (1 - noise_level)


# ---- one step, in the symbols of each paper --------------------------------------------------------------------------


def ddim_step(x: Tensor, epsilon: Tensor, alpha: Tensor, next_alpha: Tensor) -> Tensor:
    """Take one step of DDIM, without fresh noise (Song et al. 2021, arXiv:2010.02502, equation 12 with sigma_t = 0).

    Keep the predicted image, keep the predicted noise, and mix the two anew. This is `remix`.

    Args:
        x: noisy images in `variance_preserving` coordinates, shape (N, C, H, W). The paper writes x_t.
        epsilon: the predicted noise, of the same shape. The paper writes epsilon_theta(x_t).
        alpha: in (0, 1), shape (1, 1, 1, 1): alpha_t, which DDPM writes alpha-bar_t.
        next_alpha: in [alpha, 1], shape (1, 1, 1, 1). The paper writes alpha_(t-1).

    Returns:
        The images at `next_alpha`, in the same coordinates: x_(t-1), shape (N, C, H, W).
    """
    predicted_x0 = (x - (1 - alpha).sqrt() * epsilon) / alpha.sqrt()
    direction_to_x = (1 - next_alpha).sqrt() * epsilon
    return next_alpha.sqrt() * predicted_x0 + direction_to_x


def ddpm_step(x: Tensor, epsilon: Tensor, alpha_bar: Tensor, next_alpha_bar: Tensor, z: Tensor) -> Tensor:
    """Take one ancestral step of DDPM (Ho et al. 2020, arXiv:2006.11239, algorithm 2).

    Of the two variances that the paper names, this is beta-tilde (equation 7). DDIM with eta = 1 is the same.

    The step is `remix` with fresh noise. `remix` mixes anew with the predicted noise. Here the share c = next_sigma /
    sigma of the predicted noise stays, and z replaces the rest: the noise becomes c epsilon + sqrt(1 - c^2) z. In the
    coordinates of this course, that is `remix` plus next_level (sqrt(1 - c^2) z - (1 - c) epsilon).

    Args:
        x: noisy images in `variance_preserving` coordinates, shape (N, C, H, W). The paper writes x_t.
        epsilon: the predicted noise, of the same shape. The paper writes epsilon_theta(x_t, t).
        alpha_bar: in (0, 1), shape (1, 1, 1, 1). The paper writes alpha-bar_t.
        next_alpha_bar: in [alpha_bar, 1], shape (1, 1, 1, 1): alpha-bar_(t-1). At 1, the last step, z doesn't count.
        z: fresh Gaussian noise, shape (N, C, H, W).

    Returns:
        The images at `next_alpha_bar`, in the same coordinates: x_(t-1), shape (N, C, H, W).
    """
    alpha = alpha_bar / next_alpha_bar
    beta = 1 - alpha
    mean = (x - beta / (1 - alpha_bar).sqrt() * epsilon) / alpha.sqrt()
    variance = (1 - next_alpha_bar) / (1 - alpha_bar) * beta
    return mean + variance.sqrt() * z


def edm_euler_step(x: Tensor, denoised: Tensor, sigma: Tensor, next_sigma: Tensor) -> Tensor:
    """Take one Euler step of EDM (Karras et al. 2022, arXiv:2206.00364, algorithm 1). This is `remix`.

    Args:
        x: noisy images in `variance_exploding` coordinates, shape (N, C, H, W). The paper writes x_i.
        denoised: the prediction of the images, of the same shape. The paper writes D(x_i; t_i).
        sigma: in (0, infinity), shape (1, 1, 1, 1). The paper writes t_i, and sigma(t) = t.
        next_sigma: in [0, sigma], shape (1, 1, 1, 1). The paper writes t_(i+1).

    Returns:
        The images at `next_sigma`, in the same coordinates: x_(i+1), shape (N, C, H, W).
    """
    d = (x - denoised) / sigma
    return x + (next_sigma - sigma) * d


def edm_heun_step(x: Tensor, denoiser: Callable[[Tensor, Tensor], Tensor], sigma: Tensor, next_sigma: Tensor) -> Tensor:
    """Take one Heun step of EDM (Karras et al. 2022, arXiv:2206.00364, algorithm 1).

    An Euler step, a second prediction at its end, and then the same step again with the mean of the two directions.
    This is `remix` with lerp(first, second, sigma / (2 next_sigma)) instead of one prediction, where `first` and
    `second` are the two. So Heun extrapolates, too. Where `extrapolate` looks back, Heun looks ahead.

    Args:
        x: noisy images in `variance_exploding` coordinates, shape (N, C, H, W). The paper writes x_i.
        denoiser: called as `denoiser(x, sigma)` in these coordinates, see `edm_denoiser`. The paper writes D(x; sigma).
        sigma: in (0, infinity), shape (1, 1, 1, 1). The paper writes t_i.
        next_sigma: in [0, sigma], shape (1, 1, 1, 1): t_(i+1). At 0, the last step, this is an Euler step.

    Returns:
        The images at `next_sigma`, in the same coordinates: x_(i+1), shape (N, C, H, W).
    """
    d = (x - denoiser(x, sigma)) / sigma
    euler = x + (next_sigma - sigma) * d
    if next_sigma == 0:
        return euler
    next_d = (euler - denoiser(euler, next_sigma)) / next_sigma
    return x + (next_sigma - sigma) * (d + next_d) / 2


def edm_denoiser(model: nn.Module) -> Callable[[Tensor, Tensor], Tensor]:
    """Return EDM's D(x; sigma), which takes images in `variance_exploding` coordinates, from a denoiser of this course.

    Args:
        model: a denoiser, called as `model(noisy, noise_level)`.
    """

    def denoiser(x: Tensor, sigma: Tensor) -> Tensor:
        noise_level = from_sigma(sigma)
        return model(from_variance_exploding(x, noise_level), noise_level)

    return denoiser


def rectified_flow_step(z: Tensor, v: Tensor, t: Tensor, next_t: Tensor) -> Tensor:
    """Take one Euler step of rectified flow, dZ_t = v(Z_t, t) dt (Liu et al. 2022, arXiv:2209.03003). This is `remix`.

    Args:
        z: noisy images, shape (N, C, H, W), in the coordinates of this course. The paper writes Z_t.
        v: the predicted image minus noise, of the same shape, which is minus `predicted_velocity`: v(Z_t, t).
        t: in [0, 1), shape (1, 1, 1, 1): one minus our noise level. At 0 there is pure noise.
        next_t: in [t, 1], shape (1, 1, 1, 1).

    Returns:
        The images at `next_t`, shape (N, C, H, W).
    """
    return z + (next_t - t) * v


def iadb_step(x: Tensor, d: Tensor, alpha: Tensor, next_alpha: Tensor) -> Tensor:
    """Take one step of iterative alpha-(de)blending (Heitz et al. 2023, arXiv:2305.03486). This is `remix`.

    The paper derives the step of rectified flow without any differential equation: split the blend into image and
    noise, and blend the two anew.

    Args:
        x: noisy images, shape (N, C, H, W), in the coordinates of this course. The paper writes x_alpha.
        d: the predicted image minus noise, of the same shape. The paper writes D_theta(x_alpha, alpha).
        alpha: in [0, 1), shape (1, 1, 1, 1): the share of the image, one minus our noise level.
        next_alpha: in [alpha, 1], shape (1, 1, 1, 1).

    Returns:
        The images at `next_alpha`, shape (N, C, H, W).
    """
    return x + (next_alpha - alpha) * d


class VelocityDenoiser(nn.Module):
    """A network that predicts image minus noise, as IADB and rectified flow do, as a denoiser of this course.

    The network sees images in [-1, 1] with noise of standard deviation 1, and the sampler sees images in [0, 1]. So its
    noise has mean 0.5 and standard deviation 0.5: (1 + randn) / 2. Mixing is the same in both, and the sampler gets
    predictions of the image.

    The squared error of the network is 4 / t^2 times that of its prediction of the image: low noise levels count more.

    Args:
        network: called as `network(noisy, noise_level)` with noisy images in [-1, 1], or with a condition too, as a
            `ConditionalDenoiser` is. It returns image minus noise in the same scale, D_theta of the paper, of the same
            shape.
    """

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, noisy: Tensor, noise_level: Tensor, condition: Tensor | None = None) -> Tensor:
        """Predict the clean images, from noisy ones in the scale of [0, 1]; shapes as in `denoised_from_velocity`.

        The network gets the condition, if there is one.
        """
        wishes = [] if condition is None else [condition]
        velocity = -self.network(2 * noisy - 1, noise_level, *wishes) / 2
        return denoised_from_velocity(noisy, velocity, noise_level)


# ---- the papers side by side -----------------------------------------------------------------------------------------


class Paper(NamedTuple):
    """A paper's words for the level, noisy images and the prediction of this course. Formulas are LaTeX."""

    name: str
    image_at: str  # its level of a clean image
    noise_at: str  # and of pure noise
    mix: str  # its noisy images, in its own symbols
    noisy: str  # its noisy images, from our x
    symbol: str  # of its level
    spoken: str  # the same in words
    level: str  # its level, from our t
    predicts: str  # what its network returns
    step: str
    coordinates: Callable[[Tensor, Tensor], Tensor]  # its noisy images, from ours and our noise level
    to_level: Callable[[Tensor], Tensor]  # its level, from ours


def same(noisy: Tensor, _noise_level: Tensor) -> Tensor:
    """Return noisy images as they are: the coordinates of rectified flow and of IADB are ours."""
    return noisy


PAPERS = (
    Paper(
        "this course",
        image_at="level 0",
        noise_at="level 1",
        mix=r"x_t = (1-t)\,x_0 + t\,\epsilon",
        noisy="x",
        symbol="t",
        spoken="noise level",
        level="t",
        predicts="image",
        step="`remix`",
        coordinates=same,
        to_level=lambda t: t,
    ),
    Paper(
        "DDPM",
        image_at=r"\(t = 0\)",
        noise_at=r"\(t = T\), 1000 for instance",
        mix=r"x_t = \sqrt{\bar\alpha_t}\,x_0 + \sqrt{1-\bar\alpha_t}\,\epsilon",
        noisy=r"x / \sqrt{(1-t)^2 + t^2}",
        symbol=r"\bar\alpha",
        spoken="alpha-bar",
        level=r"\frac{(1-t)^2}{(1-t)^2 + t^2}",
        predicts="noise",
        step="`remix`, with fresh noise",
        coordinates=variance_preserving,
        to_level=to_alpha_bar,
    ),
    Paper(
        "DDIM",
        image_at=r"\(t = 0\)",
        noise_at=r"\(t = T\), 1000 for instance",
        mix=r"x_t = \sqrt{\alpha_t}\,x_0 + \sqrt{1-\alpha_t}\,\epsilon",
        noisy=r"x / \sqrt{(1-t)^2 + t^2}",
        symbol=r"\alpha",
        spoken="alpha",
        level=r"\frac{(1-t)^2}{(1-t)^2 + t^2}",
        predicts="noise",
        step="`remix`",
        coordinates=variance_preserving,
        to_level=to_alpha_bar,
    ),
    Paper(
        "EDM",
        image_at=r"\(\sigma = 0\)",
        noise_at=r"\(\sigma_\text{max}\), 80 by default",
        mix=r"x = y + \sigma\,\epsilon",
        noisy="x / (1-t)",
        symbol=r"\sigma",
        spoken="sigma",
        level=r"\frac{t}{1-t}",
        predicts="image",
        step="Euler: `remix`; Heun: `remix` with a blend",
        coordinates=variance_exploding,
        to_level=to_sigma,
    ),
    Paper(
        "rectified flow",
        image_at=r"\(t = 1\)",
        noise_at=r"\(t = 0\)",
        mix=r"X_t = t\,X_1 + (1-t)\,X_0",
        noisy="x",
        symbol="t",
        spoken="time",
        level="1 - t",
        predicts="image - noise",
        step="`remix`",
        coordinates=same,
        to_level=lambda t: 1 - t,
    ),
    Paper(
        "IADB",
        image_at=r"\(\alpha = 1\)",
        noise_at=r"\(\alpha = 0\)",
        mix=r"x_\alpha = (1-\alpha)\,x_0 + \alpha\,x_1",
        noisy="x",
        symbol=r"\alpha",
        spoken="alpha",
        level="1 - t",
        predicts="image - noise",
        step="`remix`",
        coordinates=same,
        to_level=lambda t: 1 - t,
    ),
)


# ---- a denoiser that is right ----------------------------------------------------------------------------------------


class GaussianMixture(nn.Module):
    """The best possible denoiser, in closed form, of images that come from a mixture of Gaussian distributions.

    Its prediction is the mean of all clean images that could be behind the noise, weighted by how likely each is. That
    is what a network learns from a squared error, so every formula can be tried without training one. With deviations
    of 0 it is the ideal denoiser of a finite data set (Karras et al. 2022, arXiv:2206.00364, appendix B).

    The noise is Gaussian, with mean 0 and standard deviation 1.

    Args:
        means: the center of each component, shape (K, C, H, W). Papers write mu_k.
        deviations: the standard deviation of each component, the same in all directions, shape (K,). Papers write s_k.
        weights: the probability of each component, shape (K,); even by default. Papers write pi_k or w_k.
    """

    def __init__(self, means: Tensor, deviations: Tensor, weights: Tensor | None = None) -> None:
        super().__init__()
        weights = torch.ones_like(deviations) if weights is None else weights
        self.means: Tensor
        self.deviations: Tensor
        self.weights: Tensor
        self.register_buffer("means", means)
        self.register_buffer("deviations", deviations)
        self.register_buffer("weights", weights / weights.sum())

    def forward(self, noisy: Tensor, noise_level: Tensor) -> Tensor:
        """Return the mean of the clean images that could be behind noisy ones. Papers write E[x_0 | x_t].

        Args:
            noisy: shape (N, C, H, W).
            noise_level: in (0, 1], shape (N, 1, 1, 1) or (1, 1, 1, 1).

        Returns:
            Shape (N, C, H, W).
        """
        offset, variance, log_joint = self._components(noisy, noise_level)
        image_share = (1 - noise_level.view(-1, 1)) * self.deviations**2 / variance
        each = self.means + image_share[:, :, None, None, None] * offset
        return torch.einsum("nk,nkchw->nchw", log_joint.softmax(dim=1), each)

    def log_density(self, noisy: Tensor, noise_level: Tensor) -> Tensor:
        """Return log p(x; t), how likely noisy images are at their noise level. Its gradient is the score.

        Args:
            noisy: shape (N, C, H, W).
            noise_level: in (0, 1], shape (N, 1, 1, 1) or (1, 1, 1, 1).

        Returns:
            Shape (N,).
        """
        return self._components(noisy, noise_level)[2].logsumexp(dim=1)

    def sample(self, n: int, *, generator: torch.Generator | None = None) -> Tensor:
        """Draw clean images.

        Args:
            n: how many.
            generator: where the random numbers come from, on the mixture's device. By default torch's global one.

        Returns:
            Shape (n, C, H, W).
        """
        chosen = torch.multinomial(self.weights, n, replacement=True, generator=generator)
        means = self.means[chosen]
        noise = torch.randn(means.shape, generator=generator, device=means.device, dtype=means.dtype)
        return means + self.deviations[chosen, None, None, None] * noise

    def _components(self, noisy: Tensor, noise_level: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return, for each component, what noisy images look like if they come from this one.

        Returns:
            How far each image is from the component's center, (N, K, C, H, W); the variance of a number of the image,
            (N, K) or (1, K); and the logarithm of the probability of the component and the image together, (N, K).
        """
        level = noise_level.view(-1, 1)
        variance = ((1 - level) * self.deviations) ** 2 + level**2
        offset = noisy[:, None] - (1 - level[:, :, None, None, None]) * self.means
        distance = offset.square().flatten(2).sum(2)
        log_density = -(distance / variance + self.means[0].numel() * (2 * math.pi * variance).log()) / 2
        return offset, variance, log_density + self.weights.log()
