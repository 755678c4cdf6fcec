"""Alternative solutions for lesson 08, each written differently. The grader must accept all of them."""

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from dino.sampler import remix
from tests.alternative_solutions import answers

Denoiser = Callable[[Tensor, Tensor], Tensor]

# ---- predicted_noise ------------------------------------------------------------------------------------------------


@answers("predicted_noise")
def solved_for_the_noise(x_t: Tensor, x_0: Tensor, t: Tensor) -> Tensor:
    return x_t / t - (1 / t - 1) * x_0


@answers("predicted_noise")
def beyond_the_noisy_image(noisy: Tensor, denoised: Tensor, noise_level: Tensor) -> Tensor:
    return torch.lerp(denoised, noisy, 1 / noise_level)


@answers("predicted_noise")
def velocity_plus_image(noisy: Tensor, denoised: Tensor, noise_level: Tensor) -> Tensor:
    return denoised + (noisy - denoised) / noise_level


@answers("predicted_noise")
def with_a_safe_division(noisy: Tensor, denoised: Tensor, noise_level: Tensor) -> Tensor:
    return (noisy - (1 - noise_level) * denoised) / (noise_level + 1e-8)


@answers("predicted_noise")
def noise_image_by_image(noisy: Tensor, denoised: Tensor, noise_level: Tensor) -> Tensor:
    levels = noise_level.expand(len(noisy), 1, 1, 1)
    return torch.stack([(x - d + t * d) / t for x, d, t in zip(noisy, denoised, levels, strict=True)])


@answers("predicted_noise")
def noise_in_numpy(noisy: Tensor, denoised: Tensor, noise_level: Tensor) -> Tensor:
    x, d, t = noisy.numpy(), denoised.numpy(), noise_level.numpy()
    return torch.from_numpy(np.divide(x - d, t) + d)


@answers("predicted_noise")
def noise_on_a_copy(noisy: Tensor, denoised: Tensor, noise_level: Tensor) -> Tensor:
    noise = noisy.clone()
    noise -= (1 - noise_level) * denoised
    noise /= noise_level
    return noise


# ---- denoised_from_velocity -----------------------------------------------------------------------------------------


@answers("denoised_from_velocity")
def one_step_back(x: Tensor, v: Tensor, t: Tensor) -> Tensor:
    return x + (0 - t) * v


@answers("denoised_from_velocity")
def by_addcmul(noisy: Tensor, velocity: Tensor, noise_level: Tensor) -> Tensor:
    return torch.addcmul(noisy, noise_level, velocity, value=-1)


@answers("denoised_from_velocity")
def noise_first(noisy: Tensor, velocity: Tensor, noise_level: Tensor) -> Tensor:
    noise = noisy + (1 - noise_level) * velocity
    return noise - velocity


@answers("denoised_from_velocity")
def between_two_ends(noisy: Tensor, velocity: Tensor, noise_level: Tensor) -> Tensor:
    return torch.lerp(noisy, noisy - velocity, noise_level)


@answers("denoised_from_velocity")
def velocity_image_by_image(noisy: Tensor, velocity: Tensor, noise_level: Tensor) -> Tensor:
    out = torch.empty_like(noisy)
    for i in range(len(noisy)):
        out[i] = noisy[i] - noise_level[i if len(noise_level) > 1 else 0] * velocity[i]
    return out


@answers("denoised_from_velocity")
def velocity_turned_round(noisy: Tensor, velocity: Tensor, noise_level: Tensor) -> Tensor:
    toward_the_image = velocity.neg()
    return noise_level.mul(toward_the_image).add(noisy)


# ---- rectified_flow_step --------------------------------------------------------------------------------------------


@answers("rectified_flow_step")
def by_remix(z: Tensor, v: Tensor, t: Tensor, next_t: Tensor) -> Tensor:
    return remix(z, z + (1 - t) * v, 1 - t, 1 - next_t)


@answers("rectified_flow_step")
def length_first(z: Tensor, v: Tensor, t: Tensor, next_t: Tensor) -> Tensor:
    dt = next_t - t
    return dt * v + z


@answers("rectified_flow_step")
def back_to_time_zero(z: Tensor, v: Tensor, t: Tensor, next_t: Tensor) -> Tensor:
    noise = z - t * v
    return noise + next_t * v


@answers("rectified_flow_step")
def both_ends_mixed_anew(z: Tensor, v: Tensor, t: Tensor, next_t: Tensor) -> Tensor:
    noise, image = z - t * v, z + (1 - t) * v
    return (1 - next_t) * noise + next_t * image


@answers("rectified_flow_step")
def with_a_plain_number(z: Tensor, v: Tensor, t: Tensor, next_t: Tensor) -> Tensor:
    return z.add(v, alpha=next_t.item() - t.item())


@answers("rectified_flow_step")
def in_many_small_steps(z: Tensor, v: Tensor, t: Tensor, next_t: Tensor) -> Tensor:
    for _ in range(4):
        z = z + (next_t - t) / 4 * v
    return z


# ---- predicted_score ------------------------------------------------------------------------------------------------


@answers("predicted_score")
def noise_over_the_level(noisy: Tensor, denoised: Tensor, noise_level: Tensor) -> Tensor:
    noise = (noisy - (1 - noise_level) * denoised) / noise_level
    return -noise / noise_level


@answers("predicted_score")
def difference_to_the_mean(x: Tensor, d: Tensor, t: Tensor) -> Tensor:
    mean, std = d - t * d, t
    return (mean - x) / std / std


@answers("predicted_score")
def through_edm_coordinates(noisy: Tensor, denoised: Tensor, noise_level: Tensor) -> Tensor:
    t = noise_level.double().clamp(max=1 - 1e-12)  # at 1, sigma would be infinite
    x, sigma = noisy / (1 - t), t / (1 - t)
    return ((denoised - x) / sigma**2 / (1 - t)).to(noisy)


@answers("predicted_score")
def by_autograd(noisy: Tensor, denoised: Tensor, noise_level: Tensor) -> Tensor:
    with torch.enable_grad():
        x = noisy.detach().clone().requires_grad_()
        density = -(((x - (1 - noise_level) * denoised) / noise_level) ** 2).sum() / 2
        return torch.autograd.grad(density, x)[0]


@answers("predicted_score")
def score_with_a_safe_division(noisy: Tensor, denoised: Tensor, noise_level: Tensor) -> Tensor:
    return (denoised * (1 - noise_level) - noisy) / (noise_level**2 + 1e-8)


@answers("predicted_score")
def two_terms(noisy: Tensor, denoised: Tensor, noise_level: Tensor) -> Tensor:
    precision = noise_level.pow(-2)
    return precision * (1 - noise_level) * denoised - precision * noisy


@answers("predicted_score")
def by_a_normal_distribution(noisy: Tensor, denoised: Tensor, noise_level: Tensor) -> Tensor:
    with torch.enable_grad():
        x = noisy.detach().requires_grad_()
        torch.distributions.Normal((1 - noise_level) * denoised, noise_level).log_prob(x).sum().backward()
        assert x.grad is not None
        return x.grad


# ---- to_alpha_bar ---------------------------------------------------------------------------------------------------


@answers("to_alpha_bar")
def from_sigma_squared(t: Tensor) -> Tensor:
    return 1 / (1 + (t / (1 - t)) ** 2)


@answers("to_alpha_bar")
def square_of_a_cosine(noise_level: Tensor) -> Tensor:
    return torch.cos(torch.atan2(noise_level, 1 - noise_level)) ** 2


@answers("to_alpha_bar")
def weight_squared(noise_level: Tensor) -> Tensor:
    return ((1 - noise_level) / torch.hypot(1 - noise_level, noise_level)) ** 2


@answers("to_alpha_bar")
def from_log_snr(noise_level: Tensor) -> Tensor:
    return torch.sigmoid(-2 * torch.logit(noise_level))


@answers("to_alpha_bar")
def multiplied_out(noise_level: Tensor) -> Tensor:
    t = noise_level
    return (1 - 2 * t + t * t) / (1 - 2 * t + 2 * t * t)


@answers("to_alpha_bar")
def one_minus_the_noise(noise_level: Tensor) -> Tensor:
    return 1 - noise_level.square() / ((1 - noise_level).square() + noise_level.square())


@answers("to_alpha_bar")
def level_after_level(noise_level: Tensor) -> Tensor:
    values = [(1 - t) ** 2 / ((1 - t) ** 2 + t**2) for t in noise_level.flatten().tolist()]
    return torch.tensor(values, dtype=noise_level.dtype).view(noise_level.shape)


# ---- ddim_step ------------------------------------------------------------------------------------------------------


@answers("ddim_step")
def two_coefficients(x: Tensor, epsilon: Tensor, alpha: Tensor, next_alpha: Tensor) -> Tensor:
    scale = (next_alpha / alpha).sqrt()
    return scale * x + ((1 - next_alpha).sqrt() - scale * (1 - alpha).sqrt()) * epsilon


@answers("ddim_step")
def as_an_euler_step(x: Tensor, epsilon: Tensor, alpha: Tensor, next_alpha: Tensor) -> Tensor:
    """Equation 13 of the paper: x / sqrt(alpha) moves by a change of sigma times epsilon."""
    sigma, next_sigma = ((1 - a).sqrt() / a.sqrt() for a in (alpha, next_alpha))
    return (x / alpha.sqrt() + (next_sigma - sigma) * epsilon) * next_alpha.sqrt()


@answers("ddim_step")
def in_this_courses_coordinates(x: Tensor, epsilon: Tensor, alpha: Tensor, next_alpha: Tensor) -> Tensor:
    t, s = ((1 - a).sqrt() / (a.sqrt() + (1 - a).sqrt()) for a in (alpha, next_alpha))
    noisy = x * torch.hypot(1 - t, t)
    guess = (noisy - t * epsilon) / (1 - t)
    return remix(noisy, guess, t, s) / torch.hypot(1 - s, s)


@answers("ddim_step")
def by_angles(x: Tensor, epsilon: Tensor, alpha: Tensor, next_alpha: Tensor) -> Tensor:
    angle, next_angle = torch.acos(alpha.sqrt()), torch.acos(next_alpha.sqrt())
    image = (x - angle.sin() * epsilon) / angle.cos()
    return next_angle.cos() * image + next_angle.sin() * epsilon


@answers("ddim_step")
def with_eta_of_zero(x: Tensor, epsilon: Tensor, alpha: Tensor, next_alpha: Tensor) -> Tensor:
    eta = 0.0
    sigma = eta * ((1 - next_alpha) / (1 - alpha) * (1 - alpha / next_alpha)).sqrt()
    image = (x - (1 - alpha) ** 0.5 * epsilon) / alpha**0.5
    noise = sigma * torch.zeros_like(x)
    return next_alpha**0.5 * image + (1 - next_alpha - sigma**2) ** 0.5 * epsilon + noise


@answers("ddim_step")
def ddim_with_plain_numbers(x: Tensor, epsilon: Tensor, alpha: Tensor, next_alpha: Tensor) -> Tensor:
    a, b = alpha.item(), next_alpha.item()
    image = (x - (1 - a) ** 0.5 * epsilon) / a**0.5
    return b**0.5 * image + (1 - b) ** 0.5 * epsilon


# ---- ddpm_step ------------------------------------------------------------------------------------------------------


@answers("ddpm_step")
def as_ddim_with_eta_of_one(x: Tensor, epsilon: Tensor, alpha_bar: Tensor, next_alpha_bar: Tensor, z: Tensor) -> Tensor:
    sigma = ((1 - next_alpha_bar) / (1 - alpha_bar) * (1 - alpha_bar / next_alpha_bar)).sqrt()
    image = (x - (1 - alpha_bar).sqrt() * epsilon) / alpha_bar.sqrt()
    return next_alpha_bar.sqrt() * image + (1 - next_alpha_bar - sigma**2).clamp(min=0).sqrt() * epsilon + sigma * z


@answers("ddpm_step")
def posterior_of_the_predicted_image(
    x: Tensor, epsilon: Tensor, alpha_bar: Tensor, next_alpha_bar: Tensor, z: Tensor
) -> Tensor:
    """Equations 6 and 7 of the paper: a blend of the predicted image and x."""
    alpha = alpha_bar / next_alpha_bar
    beta = 1 - alpha
    image = (x - (1 - alpha_bar).sqrt() * epsilon) / alpha_bar.sqrt()
    mean = next_alpha_bar.sqrt() * beta / (1 - alpha_bar) * image
    mean = mean + alpha.sqrt() * (1 - next_alpha_bar) / (1 - alpha_bar) * x
    return mean + ((1 - next_alpha_bar) / (1 - alpha_bar) * beta) ** 0.5 * z


@answers("ddpm_step")
def kept_and_replaced(x: Tensor, epsilon: Tensor, alpha_bar: Tensor, next_alpha_bar: Tensor, z: Tensor) -> Tensor:
    sigma, next_sigma = ((1 / a - 1).sqrt() for a in (alpha_bar, next_alpha_bar))
    kept = next_sigma / sigma
    noise = kept * epsilon + (1 - kept**2).sqrt() * z
    image = (x - (1 - alpha_bar).sqrt() * epsilon) / alpha_bar.sqrt()
    return next_alpha_bar.sqrt() * image + (1 - next_alpha_bar).sqrt() * noise


@answers("ddpm_step")
def no_noise_on_the_last_step(
    x: Tensor, epsilon: Tensor, alpha_bar: Tensor, next_alpha_bar: Tensor, z: Tensor
) -> Tensor:
    a = alpha_bar / next_alpha_bar
    mean = 1 / torch.sqrt(a) * (x - (1 - a) / torch.sqrt(1 - alpha_bar) * epsilon)
    if next_alpha_bar == 1:
        return mean
    variance = (1 - next_alpha_bar) * (1 - a) / (1 - alpha_bar)
    return mean + torch.exp(0.5 * torch.log(variance)) * z


@answers("ddpm_step")
def ancestral_in_edm_coordinates(
    x: Tensor, epsilon: Tensor, alpha_bar: Tensor, next_alpha_bar: Tensor, z: Tensor
) -> Tensor:
    sigma, next_sigma = ((1 / a - 1).sqrt() for a in (alpha_bar, next_alpha_bar))
    up = next_sigma * (1 - next_sigma**2 / sigma**2).sqrt()
    down = next_sigma**2 / sigma
    return next_alpha_bar.sqrt() * (x / alpha_bar.sqrt() + (down - sigma) * epsilon + up * z)


@answers("ddpm_step")
def ddpm_with_plain_numbers(x: Tensor, epsilon: Tensor, alpha_bar: Tensor, next_alpha_bar: Tensor, z: Tensor) -> Tensor:
    now, after = alpha_bar.item(), next_alpha_bar.item()
    beta = 1 - now / after
    mean = (x - beta / (1 - now) ** 0.5 * epsilon) / (1 - beta) ** 0.5
    return mean + ((1 - after) / (1 - now) * beta) ** 0.5 * z


# ---- edm_heun_step --------------------------------------------------------------------------------------------------


@answers("edm_heun_step")
def half_and_half_of_both(x: Tensor, denoiser: Denoiser, sigma: Tensor, next_sigma: Tensor) -> Tensor:
    h = next_sigma - sigma
    d = (x - denoiser(x, sigma)) / sigma
    x_next = x + h * d
    if next_sigma > 0:
        d_prime = (x_next - denoiser(x_next, next_sigma)) / next_sigma
        x_next = x + h * (0.5 * d + 0.5 * d_prime)
    return x_next


@answers("edm_heun_step")
def remixed_with_a_blend(x: Tensor, denoiser: Denoiser, sigma: Tensor, next_sigma: Tensor) -> Tensor:
    first, kept = denoiser(x, sigma), next_sigma / sigma
    ahead = torch.lerp(first, x, kept)
    if not next_sigma.any():
        return ahead
    guess = torch.lerp(first, denoiser(ahead, next_sigma), 1 / (2 * kept))
    return torch.lerp(guess, x, kept)


@answers("edm_heun_step")
def corrected_afterward(x: Tensor, denoiser: Denoiser, sigma: Tensor, next_sigma: Tensor) -> Tensor:
    d = (x - denoiser(x, sigma)) / sigma
    ahead = x + (next_sigma - sigma) * d
    if next_sigma.item() == 0.0:
        return ahead
    change = (ahead - denoiser(ahead, next_sigma)) / next_sigma - d
    return ahead + (next_sigma - sigma) * change / 2


@answers("edm_heun_step")
def trapezoid(x: Tensor, denoiser: Denoiser, sigma: Tensor, next_sigma: Tensor) -> Tensor:
    def slope(x: Tensor, sigma: Tensor) -> Tensor:
        return (x - denoiser(x, sigma)) / sigma

    slopes = [slope(x, sigma)]
    if float(next_sigma) > 0:
        slopes.append(slope(x - (sigma - next_sigma) * slopes[0], next_sigma))
    return x - (sigma - next_sigma) * torch.stack(slopes).mean(0)


@answers("edm_heun_step")
def mean_of_two_ends(x: Tensor, denoiser: Denoiser, sigma: Tensor, next_sigma: Tensor) -> Tensor:
    euler = x + (next_sigma - sigma) * (x - denoiser(x, sigma)) / sigma
    if torch.all(next_sigma == 0):
        return euler
    backward = x + (next_sigma - sigma) * (euler - denoiser(euler, next_sigma)) / next_sigma
    return (euler + backward) / 2


@answers("edm_heun_step")
def one_sigma_for_each_image(x: Tensor, denoiser: Denoiser, sigma: Tensor, next_sigma: Tensor) -> Tensor:
    sigma, next_sigma = sigma.expand(len(x), 1, 1, 1), next_sigma.expand(len(x), 1, 1, 1)
    d = (x - denoiser(x, sigma)) / sigma
    euler = x + (next_sigma - sigma) * d
    if (next_sigma == 0).all():
        return euler
    return x + (next_sigma - sigma) * (d + (euler - denoiser(euler, next_sigma)) / next_sigma) / 2
