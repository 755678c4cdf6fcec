"""Lesson 08: in other people's words. DDPM, DDIM, EDM, rectified flow and IADB are this course in other coordinates.

In each paper, a noisy image is a sum of an image and noise. The papers multiply this sum by different numbers, measure
the noise level in different units, and let the network predict different things. With t for our noise level:

    here             x = (1 - t) image + t noise    level t, from 1 to 0         the network predicts the image
    rectified flow   x                              1 - t, from 0 to 1           image - noise
    DDPM and DDIM    x / sqrt((1 - t)^2 + t^2)      alpha-bar, from 0 to 1       the noise
    EDM              x / (1 - t)                    sigma = t / (1 - t)          the image

You'll write steps of these papers in their own symbols. In this course's coordinates, each of them is `remix`.

The noise is Gaussian in this lesson: mean 0 and standard deviation 1. Most of the formulas hold for any noise.

Fill in the eight functions, then run: uv run pytest lessons/08
"""

from collections.abc import Callable

import torch
from torch import Tensor

# ---- what the network predicts --------------------------------------------------------------------------------------


def predicted_noise(noisy: Tensor, denoised: Tensor, noise_level: Tensor) -> Tensor:
    """Return the noise that must be in noisy images if `denoised` is the image in them.

    Noisy images are (1 - t) image + t noise, where t is the noise level. Two of the three are known here.

    Args:
        noisy: images at `noise_level`, shape (N, C, H, W). Papers write x_t.
        denoised: the prediction of the images, of the same shape. Papers write x_0-hat, or D.
        noise_level: above 0 and at most 1, shape (N, 1, 1, 1) or (1, 1, 1, 1). Papers write t.

    Returns:
        The noise, shape (N, C, H, W). Papers write epsilon_theta. It may be wrong, if `denoised` is, but mixing
        `denoised` with it gives `noisy` again.

    Example:
        At level 0.8, a noisy pixel of 0.9 with a prediction of 0.5 has a noise of 1.0: 0.2 * 0.5 + 0.8 * 1.0 is 0.9.
    """
    # noisy = (1 - t) image + t noise. Subtract the image's part, and divide by the weight of the noise.
    return (noisy - (1 - noise_level) * denoised) / noise_level


def denoised_from_velocity(noisy: Tensor, velocity: Tensor, noise_level: Tensor) -> Tensor:
    """Return the prediction of the images that belongs to a prediction of the velocity.

    The velocity is noise minus image. It is how fast a noisy image changes while its level rises from 0 to 1: the
    change per unit of level, the same everywhere on the straight line from the image to the noise.

    Args:
        noisy: images at `noise_level`, shape (N, C, H, W).
        velocity: the predicted noise minus image, of the same shape. Papers write u or v.
        noise_level: from 0 to 1, shape (N, 1, 1, 1) or (1, 1, 1, 1).

    Returns:
        The images at the other end of the line, at level 0, shape (N, C, H, W).

    Example:
        At level 0.8, a noisy pixel of 0.9 that changes with a velocity of 0.5 was 0.5 at level 0.
    """
    # From level t back to level 0, the level changes by -t. The change of level times the velocity is the change of the
    # image. No level is special: at level 0 nothing changes, and at level 1 this is noise - (noise - image).
    return noisy - noise_level * velocity


def rectified_flow_step(z: Tensor, v: Tensor, t: Tensor, next_t: Tensor) -> Tensor:
    """Take one Euler step of rectified flow (Liu et al. 2022, arXiv:2209.03003): dZ_t = v(Z_t, t) dt.

    The paper's time t runs the other way: t = 0 is pure noise, and t = 1 is the image. So it is one minus our noise
    level, and v is image minus noise.

    Args:
        z: noisy images at time t, shape (N, C, H, W). The paper writes Z_t. They are the same as our noisy images.
        v: the predicted image minus noise, of the same shape. The paper writes v(Z_t, t).
        t: from 0 to below 1, shape (1, 1, 1, 1).
        next_t: from t to 1, shape (1, 1, 1, 1).

    Returns:
        The images at `next_t`, shape (N, C, H, W).

    Example:
        From t = 0.2 to 0.6, a pixel of 0.9 with a v of -0.5 becomes 0.7.

    Good to know:
        dZ = v dt says that in a short time dt, Z changes by v dt. An Euler step takes the same for a longer time.
    """
    # The equation with finite steps: dt is next_t - t, and dZ is what is added.
    return z + (next_t - t) * v


def predicted_score(noisy: Tensor, denoised: Tensor, noise_level: Tensor) -> Tensor:
    """Return the score, the direction in which noisy images become more likely: the gradient of log p(x; t).

    For Gaussian noise, it needs no new network. If there were a single possible image, noisy images would have a normal
    distribution with mean (1 - t) image and standard deviation t. Its logarithm is a constant minus the squared
    distance from the mean over 2 t^2. For many possible images, the prediction takes the place of the single image.

    Args:
        noisy: images at `noise_level`, shape (N, C, H, W).
        denoised: the prediction of the images, of the same shape: the mean of all images that could be in `noisy`.
        noise_level: above 0 and at most 1, shape (N, 1, 1, 1) or (1, 1, 1, 1).

    Returns:
        The gradient of log p(x; t) with respect to x = noisy, shape (N, C, H, W).

    Example:
        At level 0.8, a noisy pixel of 0.9 with a prediction of 0.5 has a score of -1.25. It should become smaller.

    Good to know:
        The gradient of -(x - m)^2 / (2 s^2) with respect to x is (m - x) / s^2.
    """
    # The gradient above with the mean m = (1 - t) denoised and the standard deviation s = t. It is minus the predicted
    # noise, divided by t: noisy images become more likely if noise is taken away.
    return ((1 - noise_level) * denoised - noisy) / noise_level**2


# ---- noise levels ---------------------------------------------------------------------------------------------------


def to_alpha_bar(noise_level: Tensor) -> Tensor:
    """Return DDPM's alpha-bar, the image's share of the variance of a noisy image.

    DDPM's noisy image is sqrt(alpha-bar) image + sqrt(1 - alpha-bar) noise. Ours is (1 - t) image + t noise. Both have
    the same proportion of image to noise, but the squares of DDPM's two weights add up to 1.

    Args:
        noise_level: t, from 0 to 1, of any shape.

    Returns:
        alpha-bar, of the same shape, from 1 at level 0 to 0 at level 1.

    Example:
        At level 0.25, alpha-bar is 0.9: sqrt(0.9) is three times sqrt(0.1), as 0.75 is three times 0.25.
    """
    # Divide both weights by hypot(1 - t, t), the root of the sum of their squares. Then their squares add up to 1, and
    # the first square is alpha-bar.
    return ((1 - noise_level) / torch.hypot(1 - noise_level, noise_level)) ** 2


# ---- one step, in the symbols of each paper -------------------------------------------------------------------------


def ddim_step(x: Tensor, epsilon: Tensor, alpha: Tensor, next_alpha: Tensor) -> Tensor:
    """Take one step of DDIM without fresh noise (Song et al. 2021, arXiv:2010.02502, equation 12 with sigma_t = 0).

    Noisy images are x = sqrt(alpha) x_0 + sqrt(1 - alpha) epsilon. The step finds the x_0 that belongs to the predicted
    epsilon, and mixes the same two anew, with the weights of the next level.

    Args:
        x: noisy images in DDIM's coordinates, shape (N, C, H, W). The paper writes x_t.
        epsilon: the predicted noise, of the same shape. The paper writes epsilon_theta(x_t).
        alpha: what DDPM calls alpha-bar, above 0 and below 1, shape (1, 1, 1, 1). The paper writes alpha_t.
        next_alpha: from alpha to 1, shape (1, 1, 1, 1). The paper writes alpha_(t-1).

    Returns:
        The images at `next_alpha`, in the same coordinates, shape (N, C, H, W). The paper writes x_(t-1).

    Example:
        From alpha = 0.36 to 0.64, a pixel of 1.1 with an epsilon of 1.0 becomes 1.0: its x_0 is 0.5.
    """
    predicted_x0 = (x - (1 - alpha).sqrt() * epsilon) / alpha.sqrt()
    # The old noise is used again. With new noise here, each step would forget what it knew except for predicted_x0.
    return next_alpha.sqrt() * predicted_x0 + (1 - next_alpha).sqrt() * epsilon


def ddpm_step(x: Tensor, epsilon: Tensor, alpha_bar: Tensor, next_alpha_bar: Tensor, z: Tensor) -> Tensor:
    """Take one step of DDPM, which adds fresh noise (Ho et al. 2020, arXiv:2006.11239, algorithm 2).

    The paper's step, with its symbols beta_t = 1 - alpha_t:

        x_(t-1) = 1 / sqrt(alpha_t) (x_t - beta_t / sqrt(1 - alpha-bar_t) epsilon) + sigma_t z

    alpha-bar_t is the product of all alphas up to alpha_t, so alpha-bar_t = alpha_t alpha-bar_(t-1). The paper offers
    two choices of sigma_t. Take the second one (beta-tilde, equation 7):

        sigma_t^2 = (1 - alpha-bar_(t-1)) / (1 - alpha-bar_t) beta_t

    Args:
        x: noisy images in DDPM's coordinates, shape (N, C, H, W). The paper writes x_t.
        epsilon: the predicted noise, of the same shape. The paper writes epsilon_theta(x_t, t).
        alpha_bar: alpha-bar_t, above 0 and below 1, shape (1, 1, 1, 1).
        next_alpha_bar: alpha-bar_(t-1), above alpha_bar and at most 1, shape (1, 1, 1, 1). At 1, the last step, sigma_t
            is 0.
        z: fresh Gaussian noise, shape (N, C, H, W).

    Returns:
        The images at `next_alpha_bar`, in the same coordinates, shape (N, C, H, W). The paper writes x_(t-1).

    Example:
        From alpha_bar = 0.36 to 0.64, a pixel of 1.1 with an epsilon of 1.0 becomes 0.7375 if z is 0, and about 1.2336
        if z is 1.
    """
    alpha = alpha_bar / next_alpha_bar  # the paper's alpha_t: alpha-bar is the product of all alphas so far
    beta = 1 - alpha
    mean = (x - beta / (1 - alpha_bar).sqrt() * epsilon) / alpha.sqrt()
    variance = (1 - next_alpha_bar) / (1 - alpha_bar) * beta
    # The mean takes away more noise than `remix` would, and z fills up what is missing. On the last step the variance
    # is 0, and z doesn't count.
    return mean + variance.sqrt() * z


def edm_heun_step(x: Tensor, denoiser: Callable[[Tensor, Tensor], Tensor], sigma: Tensor, next_sigma: Tensor) -> Tensor:
    """Take one Heun step of EDM (Karras et al. 2022, arXiv:2206.00364, algorithm 1).

    1. Get the direction at the start: d = (x - denoiser(x, sigma)) / sigma.
    2. Take an Euler step from sigma to next_sigma in this direction.
    3. If next_sigma is 0, that's the result. Otherwise get the direction at its end, with a second prediction.
    4. Take the step from the start again, with the mean of the two directions.

    Args:
        x: noisy images in EDM's coordinates, image + sigma noise, shape (N, C, H, W). The paper writes x_i.
        denoiser: called as denoiser(x, sigma), it predicts the images, shape (N, C, H, W). The paper writes
            D(x; sigma).
        sigma: above 0, shape (1, 1, 1, 1). The paper writes t_i.
        next_sigma: from 0 to sigma, shape (1, 1, 1, 1). The paper writes t_(i+1).

    Returns:
        The images at `next_sigma`, in the same coordinates, shape (N, C, H, W). The paper writes x_(i+1).

    Example:
        If the denoiser always returns zeros, a pixel of 4 becomes 2 from sigma = 1 to 0.5.

    Good to know:
        The equation behind it is dx/dsigma = (x - D) / sigma. In a step, sigma changes by next_sigma - sigma. This is
        negative, because the noise shrinks.
    """
    d = (x - denoiser(x, sigma)) / sigma
    euler = x + (next_sigma - sigma) * d
    # At sigma = 0 there is no direction: (x - D) / sigma is zero by zero.
    if next_sigma == 0:
        return euler
    next_d = (euler - denoiser(euler, next_sigma)) / next_sigma
    # The step starts from x again, not from `euler`, which was only a look ahead.
    return x + (next_sigma - sigma) * (d + next_d) / 2
