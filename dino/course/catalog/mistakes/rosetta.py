"""Common wrong answers to lesson 08, each with the sentence that the learner reads. The grader recognizes them.

Spoilers: this file gives the exercises away.
"""

from collections.abc import Callable

import torch
from torch import Tensor

from ...grader.expect import mistake

Denoiser = Callable[[Tensor, Tensor], Tensor]


# ---- 8.1 predicted_noise --------------------------------------------------------------------------------------------


@mistake("predicted_noise", "`noisy - denoised` is treated as the noise, but the image in `noisy` is scaled by 1 - t.")
def difference_of_images(noisy: Tensor, denoised: Tensor, noise_level: Tensor) -> Tensor:
    return noisy - denoised


@mistake("predicted_noise", "The whole image is subtracted, but `noisy` contains only a part of it.")
def velocity_in_place_of_noise(noisy: Tensor, denoised: Tensor, noise_level: Tensor) -> Tensor:
    return (noisy - denoised) / noise_level


@mistake("predicted_noise", "This is the noise with its weight still on it: what `noisy` contains of the noise.")
def weight_left_on(noisy: Tensor, denoised: Tensor, noise_level: Tensor) -> Tensor:
    return noisy - (1 - noise_level) * denoised


@mistake("predicted_noise", "The difference is multiplied by the noise level, but undoing a weight takes a division.")
def multiplied_by_the_level(noisy: Tensor, denoised: Tensor, noise_level: Tensor) -> Tensor:
    return (noisy - (1 - noise_level) * denoised) * noise_level


@mistake("predicted_noise", "The two weights are swapped: the image has the weight 1 - t, and the noise has t.")
def weights_swapped(noisy: Tensor, denoised: Tensor, noise_level: Tensor) -> Tensor:
    return (noisy - noise_level * denoised) / (1 - noise_level)


@mistake("predicted_noise", "The image is taken out with weight t, but `noisy` contains 1 - t parts of it.")
def image_with_the_weight_of_noise(noisy: Tensor, denoised: Tensor, noise_level: Tensor) -> Tensor:
    return (noisy - noise_level * denoised) / noise_level


@mistake("predicted_noise", "The difference is divided by 1 - t, but the weight of the noise is t.")
def divided_by_the_image_weight(noisy: Tensor, denoised: Tensor, noise_level: Tensor) -> Tensor:
    return (noisy - (1 - noise_level) * denoised) / (1 - noise_level)


@mistake("predicted_noise", "The sign is wrong: `noisy` is subtracted from the image's part.")
def noise_with_the_wrong_sign(noisy: Tensor, denoised: Tensor, noise_level: Tensor) -> Tensor:
    return ((1 - noise_level) * denoised - noisy) / noise_level


@mistake("predicted_noise", "The image is added, but it should be taken out of `noisy`.")
def image_added(noisy: Tensor, denoised: Tensor, noise_level: Tensor) -> Tensor:
    return (noisy + (1 - noise_level) * denoised) / noise_level


@mistake("predicted_noise", "The noise is divided by its level twice, as for the score.")
def divided_twice(noisy: Tensor, denoised: Tensor, noise_level: Tensor) -> Tensor:
    return (noisy - (1 - noise_level) * denoised) / noise_level**2


@mistake("predicted_noise", "`noisy` and `denoised` are swapped.")
def images_swapped(noisy: Tensor, denoised: Tensor, noise_level: Tensor) -> Tensor:
    return (denoised - (1 - noise_level) * noisy) / noise_level


@mistake("predicted_noise", "The weights have square roots, as in DDPM's coordinates, but ours are 1 - t and t.")
def ddpm_weights(noisy: Tensor, denoised: Tensor, noise_level: Tensor) -> Tensor:
    return (noisy - (1 - noise_level).sqrt() * denoised) / noise_level.sqrt()


@mistake("predicted_noise", "The image is taken out at full strength, as in EDM's coordinates: image + sigma noise.")
def edm_weights(noisy: Tensor, denoised: Tensor, noise_level: Tensor) -> Tensor:
    return (noisy - denoised) * (1 - noise_level) / noise_level


@mistake("predicted_noise", "Without brackets, only the image's part is divided by the noise level.")
def brackets_forgotten(noisy: Tensor, denoised: Tensor, noise_level: Tensor) -> Tensor:
    return noisy - (1 - noise_level) * denoised / noise_level


@mistake("predicted_noise", "`noisy` and `denoised` are blended, which adds more of the image. It should be taken out.")
def mixed_again(noisy: Tensor, denoised: Tensor, noise_level: Tensor) -> Tensor:
    return torch.lerp(denoised, noisy, noise_level)


@mistake("predicted_noise", "The noise is clamped to [-1, 1], but Gaussian noise goes beyond it.")
def noise_clamped(noisy: Tensor, denoised: Tensor, noise_level: Tensor) -> Tensor:
    return ((noisy - (1 - noise_level) * denoised) / noise_level).clamp(-1, 1)


@mistake("predicted_noise", "The noise level of the first image is used for all images.")
def first_level_for_the_noise(noisy: Tensor, denoised: Tensor, noise_level: Tensor) -> Tensor:
    return (noisy - (1 - noise_level[:1]) * denoised) / noise_level[:1]


@mistake("predicted_noise", "The noise is scaled to a standard deviation of 1, but a prediction may be wrong.")
def noise_standardized(noisy: Tensor, denoised: Tensor, noise_level: Tensor) -> Tensor:
    noise = noisy - (1 - noise_level) * denoised
    return noise / noise.std()


@mistake("predicted_noise", "The result is always float32, but it should have the dtype of the images.")
def noise_in_float32(noisy: Tensor, denoised: Tensor, noise_level: Tensor) -> Tensor:
    return ((noisy - (1 - noise_level) * denoised) / noise_level).float()


@mistake("predicted_noise", "The result is written into `noisy`, which belongs to the caller.")
def noise_into_noisy(noisy: Tensor, denoised: Tensor, noise_level: Tensor) -> Tensor:
    return noisy.sub_((1 - noise_level) * denoised).div_(noise_level)


# ---- 8.2 denoised_from_velocity -------------------------------------------------------------------------------------


@mistake("denoised_from_velocity", "The step goes away from the image: a velocity of noise minus image leads to noise.")
def away_from_the_image(noisy: Tensor, velocity: Tensor, noise_level: Tensor) -> Tensor:
    return noisy + noise_level * velocity


@mistake("denoised_from_velocity", "The step leads to the other end of the line: this is the noise, not the image.")
def noise_in_place_of_image(noisy: Tensor, velocity: Tensor, noise_level: Tensor) -> Tensor:
    return noisy + (1 - noise_level) * velocity


@mistake("denoised_from_velocity", "The step has the length 1 - t, but the image is t away.")
def length_of_the_other_part(noisy: Tensor, velocity: Tensor, noise_level: Tensor) -> Tensor:
    return noisy - (1 - noise_level) * velocity


@mistake("denoised_from_velocity", "The whole velocity is subtracted, as if all noisy images were pure noise.")
def whole_velocity(noisy: Tensor, velocity: Tensor, noise_level: Tensor) -> Tensor:
    return noisy - velocity


@mistake("denoised_from_velocity", "The velocity is divided by the noise level, but the way is velocity times level.")
def velocity_divided(noisy: Tensor, velocity: Tensor, noise_level: Tensor) -> Tensor:
    return noisy - velocity / noise_level


@mistake("denoised_from_velocity", "`velocity` is treated as predicted noise. It is noise minus image.")
def velocity_taken_for_noise(noisy: Tensor, velocity: Tensor, noise_level: Tensor) -> Tensor:
    return (noisy - noise_level * velocity) / (1 - noise_level).clamp(min=1e-6)


@mistake("denoised_from_velocity", "The result is divided by 1 - t, but the velocity already leads to the whole image.")
def divided_by_what_is_left(noisy: Tensor, velocity: Tensor, noise_level: Tensor) -> Tensor:
    return (noisy - noise_level * velocity) / (1 - noise_level)


@mistake("denoised_from_velocity", "`velocity` is treated as a prediction of the image.")
def velocity_taken_for_the_image(noisy: Tensor, velocity: Tensor, noise_level: Tensor) -> Tensor:
    return velocity.clone()


@mistake("denoised_from_velocity", "`noisy` and `velocity` are swapped.")
def velocity_and_noisy_swapped(noisy: Tensor, velocity: Tensor, noise_level: Tensor) -> Tensor:
    return velocity - noise_level * noisy


@mistake("denoised_from_velocity", "`noisy` and `velocity` are blended, as if the velocity were an image.")
def velocity_blended(noisy: Tensor, velocity: Tensor, noise_level: Tensor) -> Tensor:
    return torch.lerp(noisy, velocity, noise_level)


@mistake("denoised_from_velocity", "The result is the change alone, but it should be added to `noisy`.")
def noisy_forgotten(noisy: Tensor, velocity: Tensor, noise_level: Tensor) -> Tensor:
    return -noise_level * velocity


@mistake("denoised_from_velocity", "`noisy` is scaled by 1 - t first, but it is already a point on the line.")
def noisy_scaled(noisy: Tensor, velocity: Tensor, noise_level: Tensor) -> Tensor:
    return (1 - noise_level) * noisy - noise_level * velocity


@mistake("denoised_from_velocity", "The noise level is squared. A straight line has the same velocity everywhere.")
def level_squared(noisy: Tensor, velocity: Tensor, noise_level: Tensor) -> Tensor:
    return noisy - noise_level**2 * velocity


@mistake("denoised_from_velocity", "This is for v-prediction, which mixes noise and image with square roots.")
def v_prediction(noisy: Tensor, velocity: Tensor, noise_level: Tensor) -> Tensor:
    return (1 - noise_level).sqrt() * noisy - noise_level.sqrt() * velocity


@mistake("denoised_from_velocity", "The image is clamped to [-1, 1], but a prediction may leave that range.")
def image_clamped(noisy: Tensor, velocity: Tensor, noise_level: Tensor) -> Tensor:
    return (noisy - noise_level * velocity).clamp(-1, 1)


@mistake("denoised_from_velocity", "The step uses the noise level of the first image for all images.")
def first_level_for_the_velocity(noisy: Tensor, velocity: Tensor, noise_level: Tensor) -> Tensor:
    return noisy - noise_level[:1] * velocity


@mistake("denoised_from_velocity", "The image is always float32, but it should have the dtype of `noisy`.")
def image_in_float32(noisy: Tensor, velocity: Tensor, noise_level: Tensor) -> Tensor:
    return (noisy - noise_level * velocity).float()


@mistake("denoised_from_velocity", "The image is written into `noisy`, which belongs to the caller.")
def image_into_noisy(noisy: Tensor, velocity: Tensor, noise_level: Tensor) -> Tensor:
    return noisy.sub_(noise_level * velocity)


# ---- 8.3 rectified_flow_step ----------------------------------------------------------------------------------------


@mistake("rectified_flow_step", "The step goes back in time, away from the image: its sign is wrong.")
def back_in_time(z: Tensor, v: Tensor, t: Tensor, next_t: Tensor) -> Tensor:
    return z + (t - next_t) * v


@mistake("rectified_flow_step", "The whole v is added in one step, however short the step should be.")
def whole_v(z: Tensor, v: Tensor, t: Tensor, next_t: Tensor) -> Tensor:
    return z + v


@mistake("rectified_flow_step", "The step has the length `next_t`, as if it started at time 0.")
def from_the_start(z: Tensor, v: Tensor, t: Tensor, next_t: Tensor) -> Tensor:
    return z + next_t * v


@mistake("rectified_flow_step", "The step has the length `t`, and `next_t` isn't used.")
def length_of_t(z: Tensor, v: Tensor, t: Tensor, next_t: Tensor) -> Tensor:
    return z + t * v


@mistake("rectified_flow_step", "The step goes all the way to the image, and `next_t` isn't used.")
def all_the_way(z: Tensor, v: Tensor, t: Tensor, next_t: Tensor) -> Tensor:
    return z + (1 - t) * v


@mistake("rectified_flow_step", "The step has the length that is left after it, `1 - next_t`.")
def what_is_left(z: Tensor, v: Tensor, t: Tensor, next_t: Tensor) -> Tensor:
    return z + (1 - next_t) * v


@mistake("rectified_flow_step", "`v` is treated as an image and mixed in with `remix`. It is image minus noise.")
def v_taken_for_an_image(z: Tensor, v: Tensor, t: Tensor, next_t: Tensor) -> Tensor:
    return torch.lerp(v, z, (1 - next_t) / (1 - t))


@mistake("rectified_flow_step", "`t` is treated as a noise level, and the step is `remix` with `v` as the image.")
def remixed_by_times(z: Tensor, v: Tensor, t: Tensor, next_t: Tensor) -> Tensor:
    return torch.lerp(v, z, next_t / t.clamp(min=1e-6))


@mistake("rectified_flow_step", "The step is divided by what is left of the time, `1 - t`, but v is per unit of time.")
def divided_by_the_rest(z: Tensor, v: Tensor, t: Tensor, next_t: Tensor) -> Tensor:
    return z + (next_t - t) / (1 - t) * v


@mistake("rectified_flow_step", "The step is divided by the time, `t`, which is 0 at the start.")
def divided_by_the_time(z: Tensor, v: Tensor, t: Tensor, next_t: Tensor) -> Tensor:
    return z + (next_t - t) / t * v


@mistake("rectified_flow_step", "The result is the change alone, but it should be added to `z`.")
def change_of_z_alone(z: Tensor, v: Tensor, t: Tensor, next_t: Tensor) -> Tensor:
    return (next_t - t) * v


@mistake("rectified_flow_step", "`z` and `v` are swapped.")
def z_and_v_swapped(z: Tensor, v: Tensor, t: Tensor, next_t: Tensor) -> Tensor:
    return v + (next_t - t) * z


@mistake("rectified_flow_step", "The step is added with a square root of its length, as fresh noise would be.")
def root_of_the_step(z: Tensor, v: Tensor, t: Tensor, next_t: Tensor) -> Tensor:
    return z + (next_t - t).sqrt() * v


@mistake("rectified_flow_step", "The result is clamped to [-1, 1], but Gaussian noise goes beyond it.")
def z_clamped(z: Tensor, v: Tensor, t: Tensor, next_t: Tensor) -> Tensor:
    return (z + (next_t - t) * v).clamp(-1, 1)


@mistake("rectified_flow_step", "The result is `z`: no step is taken.")
def z_unchanged(z: Tensor, v: Tensor, t: Tensor, next_t: Tensor) -> Tensor:
    return z.clone()


@mistake("rectified_flow_step", "The images are always float32, but they should have the dtype of `z`.")
def flow_in_float32(z: Tensor, v: Tensor, t: Tensor, next_t: Tensor) -> Tensor:
    return (z + (next_t - t) * v).float()


@mistake("rectified_flow_step", "The step is written into `z`, which belongs to the caller.")
def into_z(z: Tensor, v: Tensor, t: Tensor, next_t: Tensor) -> Tensor:
    return z.add_((next_t - t) * v)


# ---- 8.4 predicted_score --------------------------------------------------------------------------------------------


@mistake("predicted_score", "The sign is wrong: this is the direction in which images become less likely.")
def downhill(noisy: Tensor, denoised: Tensor, noise_level: Tensor) -> Tensor:
    return (noisy - (1 - noise_level) * denoised) / noise_level**2


@mistake(
    "predicted_score",
    "The distance to the mean is divided by the standard deviation, but the formula has the variance.",
)
def divided_once(noisy: Tensor, denoised: Tensor, noise_level: Tensor) -> Tensor:
    return ((1 - noise_level) * denoised - noisy) / noise_level


@mistake("predicted_score", "This is the predicted noise. The score points the other way, and is larger.")
def noise_in_place_of_the_score(noisy: Tensor, denoised: Tensor, noise_level: Tensor) -> Tensor:
    return (noisy - (1 - noise_level) * denoised) / noise_level


@mistake("predicted_score", "The mean of the noisy images is taken to be the image, but it is (1 - t) image.")
def mean_unscaled(noisy: Tensor, denoised: Tensor, noise_level: Tensor) -> Tensor:
    return (denoised - noisy) / noise_level**2


@mistake("predicted_score", "This is EDM's formula, (D - x) / sigma^2, but our x isn't in EDM's coordinates.")
def edm_formula_on_our_images(noisy: Tensor, denoised: Tensor, noise_level: Tensor) -> Tensor:
    return (denoised - noisy) * ((1 - noise_level) / noise_level) ** 2


@mistake(
    "predicted_score", "This is the score in EDM's coordinates: x was scaled, and its gradient wasn't scaled back."
)
def score_in_edm_coordinates(noisy: Tensor, denoised: Tensor, noise_level: Tensor) -> Tensor:
    return ((1 - noise_level) * denoised - noisy) * (1 - noise_level) / noise_level**2


@mistake("predicted_score", "The direction toward the mean isn't divided by anything.")
def never_divided_by_the_variance(noisy: Tensor, denoised: Tensor, noise_level: Tensor) -> Tensor:
    return (1 - noise_level) * denoised - noisy


@mistake("predicted_score", "The direction is multiplied by the variance, t squared, in place of a division.")
def multiplied_by_the_variance(noisy: Tensor, denoised: Tensor, noise_level: Tensor) -> Tensor:
    return ((1 - noise_level) * denoised - noisy) * noise_level**2


@mistake("predicted_score", "The gradient is twice as large as it should be: the 1/2 of the exponent cancels a 2.")
def without_the_half(noisy: Tensor, denoised: Tensor, noise_level: Tensor) -> Tensor:
    return 2 * ((1 - noise_level) * denoised - noisy) / noise_level**2


@mistake("predicted_score", "The gradient is half as large as it should be: a square has a gradient with a 2 in it.")
def with_the_half(noisy: Tensor, denoised: Tensor, noise_level: Tensor) -> Tensor:
    return ((1 - noise_level) * denoised - noisy) / (2 * noise_level**2)


@mistake("predicted_score", "The score always points to 0: `denoised` isn't used.")
def toward_zero(noisy: Tensor, denoised: Tensor, noise_level: Tensor) -> Tensor:
    return -noisy / noise_level**2


@mistake("predicted_score", "The weights of the image and the noise are swapped: the mean is (1 - t) image.")
def mean_with_the_noise_level(noisy: Tensor, denoised: Tensor, noise_level: Tensor) -> Tensor:
    return (noise_level * denoised - noisy) / noise_level**2


@mistake("predicted_score", "The direction is divided by the square of 1 - t, but the variance of the noise is t^2.")
def variance_of_the_image(noisy: Tensor, denoised: Tensor, noise_level: Tensor) -> Tensor:
    return ((1 - noise_level) * denoised - noisy) / (1 - noise_level) ** 2


@mistake("predicted_score", "The result is the logarithm of a density, up to a constant, and not its gradient.")
def log_density(noisy: Tensor, denoised: Tensor, noise_level: Tensor) -> Tensor:
    return -((noisy - (1 - noise_level) * denoised) ** 2) / (2 * noise_level**2)


@mistake("predicted_score", "This is the velocity with its sign turned. The score isn't the way to the image.")
def negative_velocity(noisy: Tensor, denoised: Tensor, noise_level: Tensor) -> Tensor:
    return (denoised - noisy) / noise_level


@mistake("predicted_score", "The score is scaled to length 1, but its length says how far away likely images are.")
def of_length_one(noisy: Tensor, denoised: Tensor, noise_level: Tensor) -> Tensor:
    score = ((1 - noise_level) * denoised - noisy) / noise_level**2
    return score / score.flatten(1).norm(dim=1).view(-1, 1, 1, 1)


@mistake("predicted_score", "All images get the score for the noise level of the first image.")
def first_level_for_the_score(noisy: Tensor, denoised: Tensor, noise_level: Tensor) -> Tensor:
    return ((1 - noise_level[:1]) * denoised - noisy) / noise_level[:1] ** 2


@mistake("predicted_score", "The score is always float32, but it should have the dtype of `noisy`.")
def score_in_float32(noisy: Tensor, denoised: Tensor, noise_level: Tensor) -> Tensor:
    return (((1 - noise_level) * denoised - noisy) / noise_level**2).float()


@mistake("predicted_score", "The score is written into `denoised`, which belongs to the caller.")
def score_into_denoised(noisy: Tensor, denoised: Tensor, noise_level: Tensor) -> Tensor:
    return denoised.mul_(1 - noise_level).sub_(noisy).div_(noise_level**2)


# ---- 8.5 to_alpha_bar -----------------------------------------------------------------------------------------------


@mistake("to_alpha_bar", "This is our weight of the image, 1 - t. Its square and the square of t don't add up to 1.")
def our_image_weight(noise_level: Tensor) -> Tensor:
    return 1 - noise_level


@mistake("to_alpha_bar", "This is the square of our weight, but it isn't divided by the sum of both squares.")
def square_not_divided(noise_level: Tensor) -> Tensor:
    return (1 - noise_level) ** 2


@mistake("to_alpha_bar", "This is the noise's share of the variance, 1 - alpha-bar.")
def share_of_the_noise(noise_level: Tensor) -> Tensor:
    return noise_level**2 / ((1 - noise_level) ** 2 + noise_level**2)


@mistake("to_alpha_bar", "This is sqrt(alpha-bar), the weight of the image. alpha-bar is its square.")
def weight_in_place_of_its_square(noise_level: Tensor) -> Tensor:
    return (1 - noise_level) / torch.hypot(1 - noise_level, noise_level)


@mistake("to_alpha_bar", "The weight is divided by the sum of squares, but the square of the weight should be.")
def weight_over_squares(noise_level: Tensor) -> Tensor:
    return (1 - noise_level) / ((1 - noise_level) ** 2 + noise_level**2)


@mistake("to_alpha_bar", "The square is divided by the root of the sum of squares, one root too many.")
def square_over_the_root(noise_level: Tensor) -> Tensor:
    return (1 - noise_level) ** 2 / torch.hypot(1 - noise_level, noise_level)


@mistake("to_alpha_bar", "This is the noise level itself, but alpha-bar falls while the level rises.")
def the_level_itself(noise_level: Tensor) -> Tensor:
    return noise_level.clone()


@mistake("to_alpha_bar", "This is 1 - t^2. The squares of DDPM's weights add up to 1, but ours are other weights.")
def one_minus_the_square(noise_level: Tensor) -> Tensor:
    return 1 - noise_level**2


@mistake("to_alpha_bar", "This is EDM's sigma, the amount of noise for one part of image.")
def sigma(noise_level: Tensor) -> Tensor:
    return noise_level / (1 - noise_level)


@mistake("to_alpha_bar", "This is the signal-to-noise ratio. alpha-bar is the image's share of the sum, not a ratio.")
def signal_to_noise(noise_level: Tensor) -> Tensor:
    return ((1 - noise_level) / noise_level) ** 2


@mistake("to_alpha_bar", "This is a cosine schedule, alpha-bar as a function of time. It belongs to other levels.")
def cosine_schedule(noise_level: Tensor) -> Tensor:
    return torch.cos(noise_level * torch.pi / 2) ** 2


@mistake("to_alpha_bar", "The result is kept below 1 by force, so at level 0 there is still some noise.")
def below_one_by_force(noise_level: Tensor) -> Tensor:
    image, noise = (1 - noise_level) ** 2, noise_level**2
    return (image / (image + noise)).clamp(max=0.9999)


@mistake("to_alpha_bar", "The result is kept above 0 by force, so at level 1 there is still some image.")
def above_zero_by_force(noise_level: Tensor) -> Tensor:
    image, noise = (1 - noise_level) ** 2, noise_level**2
    return (image / (image + noise)).clamp(min=1e-4)


@mistake("to_alpha_bar", "The squares are subtracted in the denominator, but variances add up.")
def squares_subtracted(noise_level: Tensor) -> Tensor:
    return (1 - noise_level) ** 2 / ((1 - noise_level) ** 2 - noise_level**2)


@mistake("to_alpha_bar", "This is the logarithm of the ratio of image to noise, the log-SNR.")
def log_snr(noise_level: Tensor) -> Tensor:
    return -2 * torch.logit(noise_level)


@mistake("to_alpha_bar", "The result is one Python number, but there should be one alpha-bar for each level.")
def one_python_number(noise_level: Tensor) -> float:
    image, noise = float((1 - noise_level.flatten()[0]) ** 2), float(noise_level.flatten()[0] ** 2)
    return image / (image + noise)


@mistake("to_alpha_bar", "alpha-bar is computed through float32, so half of the digits of a float64 level are lost.")
def through_float32(noise_level: Tensor) -> Tensor:
    t = noise_level.float()
    return (1 - t) ** 2 / ((1 - t) ** 2 + t**2)


@mistake("to_alpha_bar", "alpha-bar is written into `noise_level`, which belongs to the caller.")
def into_the_level(noise_level: Tensor) -> Tensor:
    alpha_bar = (1 - noise_level) ** 2 / ((1 - noise_level) ** 2 + noise_level**2)
    return noise_level.copy_(alpha_bar)


# ---- 8.6 ddim_step --------------------------------------------------------------------------------------------------


def _predicted_image(x: Tensor, epsilon: Tensor, alpha: Tensor) -> Tensor:
    return (x - (1 - alpha).sqrt() * epsilon) / alpha.sqrt()


@mistake("ddim_step", "The weights have no square roots. The squares of DDIM's weights are alpha and 1 - alpha.")
def roots_forgotten(x: Tensor, epsilon: Tensor, alpha: Tensor, next_alpha: Tensor) -> Tensor:
    image = (x - (1 - alpha) * epsilon) / alpha
    return next_alpha * image + (1 - next_alpha) * epsilon


@mistake("ddim_step", "The predicted image is computed without square roots, and mixed in with them.")
def roots_forgotten_at_first(x: Tensor, epsilon: Tensor, alpha: Tensor, next_alpha: Tensor) -> Tensor:
    image = (x - (1 - alpha) * epsilon) / alpha
    return next_alpha.sqrt() * image + (1 - next_alpha).sqrt() * epsilon


@mistake("ddim_step", "The image is predicted correctly, but the weights of the new mix have no square roots.")
def roots_forgotten_at_last(x: Tensor, epsilon: Tensor, alpha: Tensor, next_alpha: Tensor) -> Tensor:
    return next_alpha * _predicted_image(x, epsilon, alpha) + (1 - next_alpha) * epsilon


@mistake("ddim_step", "The predicted image is divided by alpha, but its weight in `x` is the square root of alpha.")
def divided_by_alpha(x: Tensor, epsilon: Tensor, alpha: Tensor, next_alpha: Tensor) -> Tensor:
    image = (x - (1 - alpha).sqrt() * epsilon) / alpha
    return next_alpha.sqrt() * image + (1 - next_alpha).sqrt() * epsilon


@mistake("ddim_step", "The noise is taken out of `x` with the weight 1 - alpha: a square root is missing.")
def noise_without_a_root(x: Tensor, epsilon: Tensor, alpha: Tensor, next_alpha: Tensor) -> Tensor:
    image = (x - (1 - alpha) * epsilon) / alpha.sqrt()
    return next_alpha.sqrt() * image + (1 - next_alpha).sqrt() * epsilon


@mistake("ddim_step", "`1 - alpha.sqrt()` takes the root first and subtracts afterward.")
def root_before_the_difference(x: Tensor, epsilon: Tensor, alpha: Tensor, next_alpha: Tensor) -> Tensor:
    image = (x - (1 - alpha.sqrt()) * epsilon) / alpha.sqrt()
    return next_alpha.sqrt() * image + (1 - next_alpha.sqrt()) * epsilon


@mistake("ddim_step", "`alpha` and `next_alpha` are swapped.")
def alphas_swapped(x: Tensor, epsilon: Tensor, alpha: Tensor, next_alpha: Tensor) -> Tensor:
    image = _predicted_image(x, epsilon, next_alpha)
    return alpha.sqrt() * image + (1 - alpha).sqrt() * epsilon


@mistake("ddim_step", "The new mix has the weights of the old level, so the result is `x` again.")
def old_weights(x: Tensor, epsilon: Tensor, alpha: Tensor, next_alpha: Tensor) -> Tensor:
    return alpha.sqrt() * _predicted_image(x, epsilon, alpha) + (1 - alpha).sqrt() * epsilon


@mistake("ddim_step", "The image gets its new weight, but the noise keeps the weight of the old level.")
def old_weight_of_the_noise(x: Tensor, epsilon: Tensor, alpha: Tensor, next_alpha: Tensor) -> Tensor:
    return next_alpha.sqrt() * _predicted_image(x, epsilon, alpha) + (1 - alpha).sqrt() * epsilon


@mistake("ddim_step", "The noise gets its new weight, but the image keeps the weight of the old level.")
def old_weight_of_the_image(x: Tensor, epsilon: Tensor, alpha: Tensor, next_alpha: Tensor) -> Tensor:
    return alpha.sqrt() * _predicted_image(x, epsilon, alpha) + (1 - next_alpha).sqrt() * epsilon


@mistake("ddim_step", "The result is the predicted image, without any noise, at every step.")
def image_without_noise(x: Tensor, epsilon: Tensor, alpha: Tensor, next_alpha: Tensor) -> Tensor:
    return _predicted_image(x, epsilon, alpha)


@mistake("ddim_step", "The image is scaled to the next level, but no noise is mixed in.")
def noise_left_out(x: Tensor, epsilon: Tensor, alpha: Tensor, next_alpha: Tensor) -> Tensor:
    return next_alpha.sqrt() * _predicted_image(x, epsilon, alpha)


@mistake("ddim_step", "New noise is mixed in, but DDIM keeps the predicted noise. This step has nothing random in it.")
def with_new_noise(x: Tensor, epsilon: Tensor, alpha: Tensor, next_alpha: Tensor) -> Tensor:
    image = _predicted_image(x, epsilon, alpha)
    return next_alpha.sqrt() * image + (1 - next_alpha).sqrt() * torch.randn_like(x)


@mistake("ddim_step", "The predicted image isn't divided by sqrt(alpha), so it comes out too pale.")
def image_not_divided(x: Tensor, epsilon: Tensor, alpha: Tensor, next_alpha: Tensor) -> Tensor:
    return next_alpha.sqrt() * (x - (1 - alpha).sqrt() * epsilon) + (1 - next_alpha).sqrt() * epsilon


@mistake("ddim_step", "The predicted image is clipped to [-1, 1]. Some programs do that, but it isn't in the paper.")
def image_clipped(x: Tensor, epsilon: Tensor, alpha: Tensor, next_alpha: Tensor) -> Tensor:
    image = _predicted_image(x, epsilon, alpha).clamp(-1, 1)
    return next_alpha.sqrt() * image + (1 - next_alpha).sqrt() * epsilon


@mistake("ddim_step", "`x` itself is scaled and mixed in, but the predicted image should be.")
def x_taken_for_the_image(x: Tensor, epsilon: Tensor, alpha: Tensor, next_alpha: Tensor) -> Tensor:
    return next_alpha.sqrt() * x + (1 - next_alpha).sqrt() * epsilon


@mistake("ddim_step", "This is `remix` with alphas as noise levels, and `epsilon` as the image.")
def remixed_by_alphas(x: Tensor, epsilon: Tensor, alpha: Tensor, next_alpha: Tensor) -> Tensor:
    return torch.lerp(epsilon, x, (1 - next_alpha) / (1 - alpha))


@mistake("ddim_step", "The noise is added to find the predicted image, but it should be taken out of `x`.")
def noise_added(x: Tensor, epsilon: Tensor, alpha: Tensor, next_alpha: Tensor) -> Tensor:
    image = (x + (1 - alpha).sqrt() * epsilon) / alpha.sqrt()
    return next_alpha.sqrt() * image + (1 - next_alpha).sqrt() * epsilon


@mistake("ddim_step", "alpha is taken for the ratio of two alpha-bars, as in DDPM. In DDIM's paper, it is alpha-bar.")
def alpha_of_ddpm(x: Tensor, epsilon: Tensor, alpha: Tensor, next_alpha: Tensor) -> Tensor:
    ratio = alpha / next_alpha
    image = (x - (1 - ratio).sqrt() * epsilon) / ratio.sqrt()
    return next_alpha.sqrt() * image + (1 - next_alpha).sqrt() * epsilon


@mistake("ddim_step", "The images are always float32, but they should have the dtype of `x`.")
def ddim_in_float32(x: Tensor, epsilon: Tensor, alpha: Tensor, next_alpha: Tensor) -> Tensor:
    image = _predicted_image(x, epsilon, alpha)
    return (next_alpha.sqrt() * image + (1 - next_alpha).sqrt() * epsilon).float()


@mistake("ddim_step", "The predicted image is written into `x`, which belongs to the caller.")
def image_into_x(x: Tensor, epsilon: Tensor, alpha: Tensor, next_alpha: Tensor) -> Tensor:
    x -= (1 - alpha).sqrt() * epsilon
    x /= alpha.sqrt()
    return next_alpha.sqrt() * x + (1 - next_alpha).sqrt() * epsilon


# ---- 8.7 ddpm_step --------------------------------------------------------------------------------------------------


def _mean(x: Tensor, epsilon: Tensor, alpha_bar: Tensor, next_alpha_bar: Tensor) -> Tensor:
    alpha = alpha_bar / next_alpha_bar
    return (x - (1 - alpha) / (1 - alpha_bar).sqrt() * epsilon) / alpha.sqrt()


def _variance(alpha_bar: Tensor, next_alpha_bar: Tensor) -> Tensor:
    return (1 - next_alpha_bar) / (1 - alpha_bar) * (1 - alpha_bar / next_alpha_bar)


@mistake("ddpm_step", "No fresh noise is added: `z` isn't used.")
def z_left_out(x: Tensor, epsilon: Tensor, alpha_bar: Tensor, next_alpha_bar: Tensor, z: Tensor) -> Tensor:
    return _mean(x, epsilon, alpha_bar, next_alpha_bar)


@mistake("ddpm_step", "The step makes noise of its own, but the fresh noise is given: it is `z`.")
def own_noise(x: Tensor, epsilon: Tensor, alpha_bar: Tensor, next_alpha_bar: Tensor, z: Tensor) -> Tensor:
    sigma = _variance(alpha_bar, next_alpha_bar).sqrt()
    return _mean(x, epsilon, alpha_bar, next_alpha_bar) + sigma * torch.randn_like(x)


@mistake("ddpm_step", "`z` is added with the variance as its weight, but a weight is a standard deviation.")
def weight_is_the_variance(x: Tensor, epsilon: Tensor, alpha_bar: Tensor, next_alpha_bar: Tensor, z: Tensor) -> Tensor:
    return _mean(x, epsilon, alpha_bar, next_alpha_bar) + _variance(alpha_bar, next_alpha_bar) * z


@mistake("ddpm_step", "`z` is added with the weight sqrt(beta), the first choice of the paper, not the second.")
def first_choice(x: Tensor, epsilon: Tensor, alpha_bar: Tensor, next_alpha_bar: Tensor, z: Tensor) -> Tensor:
    beta = 1 - alpha_bar / next_alpha_bar
    return _mean(x, epsilon, alpha_bar, next_alpha_bar) + beta.sqrt() * z


@mistake("ddpm_step", "`z` is added at full strength, whatever the levels are.")
def z_at_full_strength(x: Tensor, epsilon: Tensor, alpha_bar: Tensor, next_alpha_bar: Tensor, z: Tensor) -> Tensor:
    return _mean(x, epsilon, alpha_bar, next_alpha_bar) + z


@mistake("ddpm_step", "The fraction in sigma_t is upside down: it should be below 1.")
def fraction_of_sigma_inverted(
    x: Tensor, epsilon: Tensor, alpha_bar: Tensor, next_alpha_bar: Tensor, z: Tensor
) -> Tensor:
    beta = 1 - alpha_bar / next_alpha_bar
    variance = (1 - alpha_bar) / (1 - next_alpha_bar).clamp(min=1e-6) * beta
    return _mean(x, epsilon, alpha_bar, next_alpha_bar) + variance.sqrt() * z


@mistake("ddpm_step", "sigma_t lacks the factor beta_t.")
def sigma_without_beta(x: Tensor, epsilon: Tensor, alpha_bar: Tensor, next_alpha_bar: Tensor, z: Tensor) -> Tensor:
    variance = (1 - next_alpha_bar) / (1 - alpha_bar)
    return _mean(x, epsilon, alpha_bar, next_alpha_bar) + variance.sqrt() * z


@mistake("ddpm_step", "`z` is added before the division by sqrt(alpha_t), so its weight becomes too large.")
def z_before_the_division(x: Tensor, epsilon: Tensor, alpha_bar: Tensor, next_alpha_bar: Tensor, z: Tensor) -> Tensor:
    alpha, sigma = alpha_bar / next_alpha_bar, _variance(alpha_bar, next_alpha_bar).sqrt()
    return (x - (1 - alpha) / (1 - alpha_bar).sqrt() * epsilon + sigma * z) / alpha.sqrt()


@mistake("ddpm_step", "alpha_t is taken to be alpha-bar_t, but it is only this step's factor of it.")
def alpha_bar_for_alpha(x: Tensor, epsilon: Tensor, alpha_bar: Tensor, next_alpha_bar: Tensor, z: Tensor) -> Tensor:
    beta = 1 - alpha_bar
    mean = (x - beta / (1 - alpha_bar).sqrt() * epsilon) / alpha_bar.sqrt()
    return mean + ((1 - next_alpha_bar) / (1 - alpha_bar) * beta).sqrt() * z


@mistake("ddpm_step", "The ratio of the two alpha-bars is upside down, so alpha_t comes out above 1.")
def ratio_inverted(x: Tensor, epsilon: Tensor, alpha_bar: Tensor, next_alpha_bar: Tensor, z: Tensor) -> Tensor:
    alpha = next_alpha_bar / alpha_bar
    beta = 1 - alpha
    mean = (x - beta / (1 - alpha_bar).sqrt() * epsilon) / alpha.sqrt()
    return mean + ((1 - next_alpha_bar) / (1 - alpha_bar) * beta).abs().sqrt() * z


@mistake("ddpm_step", "alpha_t is the difference of the two alpha-bars, but alpha-bar is a product, not a sum.")
def difference_of_alpha_bars(
    x: Tensor, epsilon: Tensor, alpha_bar: Tensor, next_alpha_bar: Tensor, z: Tensor
) -> Tensor:
    beta = next_alpha_bar - alpha_bar
    mean = (x - beta / (1 - alpha_bar).sqrt() * epsilon) / (1 - beta).sqrt()
    return mean + ((1 - next_alpha_bar) / (1 - alpha_bar) * beta).sqrt() * z


@mistake("ddpm_step", "The noise is taken out with the weight beta_t: its root of 1 - alpha-bar_t is missing.")
def noise_not_divided(x: Tensor, epsilon: Tensor, alpha_bar: Tensor, next_alpha_bar: Tensor, z: Tensor) -> Tensor:
    alpha = alpha_bar / next_alpha_bar
    return (x - (1 - alpha) * epsilon) / alpha.sqrt() + _variance(alpha_bar, next_alpha_bar).sqrt() * z


@mistake("ddpm_step", "The noise is divided by 1 - alpha-bar_t, but the paper divides by its square root.")
def root_of_the_noise_forgotten(
    x: Tensor, epsilon: Tensor, alpha_bar: Tensor, next_alpha_bar: Tensor, z: Tensor
) -> Tensor:
    alpha = alpha_bar / next_alpha_bar
    mean = (x - (1 - alpha) / (1 - alpha_bar) * epsilon) / alpha.sqrt()
    return mean + _variance(alpha_bar, next_alpha_bar).sqrt() * z


@mistake("ddpm_step", "The mean is divided by alpha_t, but the paper divides by its square root.")
def root_of_alpha_forgotten(x: Tensor, epsilon: Tensor, alpha_bar: Tensor, next_alpha_bar: Tensor, z: Tensor) -> Tensor:
    alpha = alpha_bar / next_alpha_bar
    mean = (x - (1 - alpha) / (1 - alpha_bar).sqrt() * epsilon) / alpha
    return mean + _variance(alpha_bar, next_alpha_bar).sqrt() * z


@mistake("ddpm_step", "The mean isn't divided by sqrt(alpha_t), so the image fades from step to step.")
def mean_not_divided(x: Tensor, epsilon: Tensor, alpha_bar: Tensor, next_alpha_bar: Tensor, z: Tensor) -> Tensor:
    alpha = alpha_bar / next_alpha_bar
    mean = x - (1 - alpha) / (1 - alpha_bar).sqrt() * epsilon
    return mean + _variance(alpha_bar, next_alpha_bar).sqrt() * z


@mistake("ddpm_step", "Only x is divided by sqrt(alpha_t), but the whole difference should be.")
def only_x_divided(x: Tensor, epsilon: Tensor, alpha_bar: Tensor, next_alpha_bar: Tensor, z: Tensor) -> Tensor:
    alpha = alpha_bar / next_alpha_bar
    mean = x / alpha.sqrt() - (1 - alpha) / (1 - alpha_bar).sqrt() * epsilon
    return mean + _variance(alpha_bar, next_alpha_bar).sqrt() * z


@mistake("ddpm_step", "The noise is added to `x`, but it should be taken out.")
def noise_added_to_x(x: Tensor, epsilon: Tensor, alpha_bar: Tensor, next_alpha_bar: Tensor, z: Tensor) -> Tensor:
    alpha = alpha_bar / next_alpha_bar
    mean = (x + (1 - alpha) / (1 - alpha_bar).sqrt() * epsilon) / alpha.sqrt()
    return mean + _variance(alpha_bar, next_alpha_bar).sqrt() * z


@mistake("ddpm_step", "This is DDIM's step, with z on top: the predicted noise stays, so there is too much noise.")
def ddim_with_z_on_top(x: Tensor, epsilon: Tensor, alpha_bar: Tensor, next_alpha_bar: Tensor, z: Tensor) -> Tensor:
    image = _predicted_image(x, epsilon, alpha_bar)
    mean = next_alpha_bar.sqrt() * image + (1 - next_alpha_bar).sqrt() * epsilon
    return mean + _variance(alpha_bar, next_alpha_bar).sqrt() * z


@mistake("ddpm_step", "z replaces all of the predicted noise, but DDPM keeps a part of it.")
def all_noise_replaced(x: Tensor, epsilon: Tensor, alpha_bar: Tensor, next_alpha_bar: Tensor, z: Tensor) -> Tensor:
    return next_alpha_bar.sqrt() * _predicted_image(x, epsilon, alpha_bar) + (1 - next_alpha_bar).sqrt() * z


@mistake("ddpm_step", "`epsilon` and `z` are swapped.")
def epsilon_and_z_swapped(x: Tensor, epsilon: Tensor, alpha_bar: Tensor, next_alpha_bar: Tensor, z: Tensor) -> Tensor:
    return _mean(x, z, alpha_bar, next_alpha_bar) + _variance(alpha_bar, next_alpha_bar).sqrt() * epsilon


@mistake("ddpm_step", "The step is always float32, but it should have the dtype of `x`.")
def ddpm_in_float32(x: Tensor, epsilon: Tensor, alpha_bar: Tensor, next_alpha_bar: Tensor, z: Tensor) -> Tensor:
    return (_mean(x, epsilon, alpha_bar, next_alpha_bar) + _variance(alpha_bar, next_alpha_bar).sqrt() * z).float()


@mistake("ddpm_step", "The scaled noise is written into `z`, which belongs to the caller.")
def into_fresh_noise(x: Tensor, epsilon: Tensor, alpha_bar: Tensor, next_alpha_bar: Tensor, z: Tensor) -> Tensor:
    z *= _variance(alpha_bar, next_alpha_bar).sqrt()
    return _mean(x, epsilon, alpha_bar, next_alpha_bar) + z


# ---- 8.8 edm_heun_step ----------------------------------------------------------------------------------------------


def _euler(x: Tensor, d: Tensor, sigma: Tensor, next_sigma: Tensor) -> Tensor:
    return x + (next_sigma - sigma) * d


def _slope(x: Tensor, denoiser: Denoiser, sigma: Tensor) -> Tensor:
    return (x - denoiser(x, sigma)) / sigma


@mistake("edm_heun_step", "This is an Euler step. A Heun step looks ahead, with a second prediction.")
def euler_alone(x: Tensor, denoiser: Denoiser, sigma: Tensor, next_sigma: Tensor) -> Tensor:
    return _euler(x, _slope(x, denoiser, sigma), sigma, next_sigma)


@mistake("edm_heun_step", "The last step is divided by `next_sigma`, which is 0 there.")
def last_step_divided_by_zero(x: Tensor, denoiser: Denoiser, sigma: Tensor, next_sigma: Tensor) -> Tensor:
    d = _slope(x, denoiser, sigma)
    next_d = _slope(_euler(x, d, sigma, next_sigma), denoiser, next_sigma)
    return _euler(x, (d + next_d) / 2, sigma, next_sigma)


@mistake("edm_heun_step", "The direction at the end is the whole step, but the mean of both directions should be.")
def end_direction_alone(x: Tensor, denoiser: Denoiser, sigma: Tensor, next_sigma: Tensor) -> Tensor:
    d = _slope(x, denoiser, sigma)
    euler = _euler(x, d, sigma, next_sigma)
    if next_sigma == 0:
        return euler
    return _euler(x, _slope(euler, denoiser, next_sigma), sigma, next_sigma)


@mistake("edm_heun_step", "The two directions are added, but their mean should be taken.")
def directions_added(x: Tensor, denoiser: Denoiser, sigma: Tensor, next_sigma: Tensor) -> Tensor:
    d = _slope(x, denoiser, sigma)
    euler = _euler(x, d, sigma, next_sigma)
    if next_sigma == 0:
        return euler
    return _euler(x, d + _slope(euler, denoiser, next_sigma), sigma, next_sigma)


@mistake("edm_heun_step", "The second step starts from the end of the Euler step, so it goes twice as far.")
def from_the_end(x: Tensor, denoiser: Denoiser, sigma: Tensor, next_sigma: Tensor) -> Tensor:
    d = _slope(x, denoiser, sigma)
    euler = _euler(x, d, sigma, next_sigma)
    if next_sigma == 0:
        return euler
    return _euler(euler, (d + _slope(euler, denoiser, next_sigma)) / 2, sigma, next_sigma)


@mistake("edm_heun_step", "The second prediction is for `x`, but at the end of the Euler step the images are others.")
def second_for_x(x: Tensor, denoiser: Denoiser, sigma: Tensor, next_sigma: Tensor) -> Tensor:
    d = _slope(x, denoiser, sigma)
    if next_sigma == 0:
        return _euler(x, d, sigma, next_sigma)
    next_d = (x - denoiser(x, next_sigma)) / next_sigma
    return _euler(x, (d + next_d) / 2, sigma, next_sigma)


@mistake("edm_heun_step", "The second prediction is for the right images, but the denoiser gets the old `sigma`.")
def second_at_the_old_sigma(x: Tensor, denoiser: Denoiser, sigma: Tensor, next_sigma: Tensor) -> Tensor:
    d = _slope(x, denoiser, sigma)
    euler = _euler(x, d, sigma, next_sigma)
    if next_sigma == 0:
        return euler
    next_d = (euler - denoiser(euler, sigma)) / next_sigma
    return _euler(x, (d + next_d) / 2, sigma, next_sigma)


@mistake("edm_heun_step", "The first prediction gets `next_sigma`, but `x` has the noise of `sigma`.")
def first_at_the_next_sigma(x: Tensor, denoiser: Denoiser, sigma: Tensor, next_sigma: Tensor) -> Tensor:
    d = (x - denoiser(x, next_sigma)) / sigma
    euler = _euler(x, d, sigma, next_sigma)
    if next_sigma == 0:
        return euler
    return _euler(x, (d + _slope(euler, denoiser, next_sigma)) / 2, sigma, next_sigma)


@mistake("edm_heun_step", "The direction at the end is divided by the old `sigma`.")
def end_divided_by_the_old_sigma(x: Tensor, denoiser: Denoiser, sigma: Tensor, next_sigma: Tensor) -> Tensor:
    d = _slope(x, denoiser, sigma)
    euler = _euler(x, d, sigma, next_sigma)
    if next_sigma == 0:
        return euler
    return _euler(x, (d + (euler - denoiser(euler, next_sigma)) / sigma) / 2, sigma, next_sigma)


@mistake("edm_heun_step", "The direction at the end is measured from `x`, but it starts at the end of the Euler step.")
def end_measured_from_x(x: Tensor, denoiser: Denoiser, sigma: Tensor, next_sigma: Tensor) -> Tensor:
    d = _slope(x, denoiser, sigma)
    euler = _euler(x, d, sigma, next_sigma)
    if next_sigma == 0:
        return euler
    return _euler(x, (d + (x - denoiser(euler, next_sigma)) / next_sigma) / 2, sigma, next_sigma)


@mistake("edm_heun_step", "The step goes toward more noise: a sign is wrong, that of the direction or of the step.")
def toward_noise(x: Tensor, denoiser: Denoiser, sigma: Tensor, next_sigma: Tensor) -> Tensor:
    d = _slope(x, denoiser, sigma)
    euler = x + (sigma - next_sigma) * d
    if next_sigma == 0:
        return euler
    return x + (sigma - next_sigma) * (d + _slope(euler, denoiser, next_sigma)) / 2


@mistake("edm_heun_step", "The direction isn't divided by sigma: it is the whole difference to the prediction.")
def direction_not_divided(x: Tensor, denoiser: Denoiser, sigma: Tensor, next_sigma: Tensor) -> Tensor:
    d = x - denoiser(x, sigma)
    euler = _euler(x, d, sigma, next_sigma)
    if next_sigma == 0:
        return euler
    return _euler(x, (d + euler - denoiser(euler, next_sigma)) / 2, sigma, next_sigma)


@mistake("edm_heun_step", "The two predictions are averaged, but the directions should be: they end at two sigmas.")
def predictions_averaged(x: Tensor, denoiser: Denoiser, sigma: Tensor, next_sigma: Tensor) -> Tensor:
    first = denoiser(x, sigma)
    euler = _euler(x, (x - first) / sigma, sigma, next_sigma)
    if next_sigma == 0:
        return euler
    return _euler(x, (x - (first + denoiser(euler, next_sigma)) / 2) / sigma, sigma, next_sigma)


@mistake("edm_heun_step", "This is the midpoint method: its second prediction is halfway, not at the end of the step.")
def midpoint(x: Tensor, denoiser: Denoiser, sigma: Tensor, next_sigma: Tensor) -> Tensor:
    d = _slope(x, denoiser, sigma)
    if next_sigma == 0:
        return _euler(x, d, sigma, next_sigma)
    middle = (sigma + next_sigma) / 2
    return _euler(x, _slope(_euler(x, d, sigma, middle), denoiser, middle), sigma, next_sigma)


@mistake("edm_heun_step", "The last step returns `x` unchanged, but it should be an Euler step.")
def last_step_returns_x(x: Tensor, denoiser: Denoiser, sigma: Tensor, next_sigma: Tensor) -> Tensor:
    d = _slope(x, denoiser, sigma)
    if next_sigma == 0:
        return x.clone()
    next_d = _slope(_euler(x, d, sigma, next_sigma), denoiser, next_sigma)
    return _euler(x, (d + next_d) / 2, sigma, next_sigma)


@mistake("edm_heun_step", "The arguments of the denoiser are swapped: first the noisy images, then sigma.")
def denoiser_arguments_swapped(x: Tensor, denoiser: Denoiser, sigma: Tensor, next_sigma: Tensor) -> Tensor:
    d = (x - denoiser(sigma, x)) / sigma
    return _euler(x, d, sigma, next_sigma)


@mistake("edm_heun_step", "The denoiser gets only the noisy images, but it needs their sigma, too.")
def sigma_not_passed(x: Tensor, denoiser: Denoiser, sigma: Tensor, next_sigma: Tensor) -> Tensor:
    d = (x - denoiser(x)) / sigma  # type: ignore[call-arg]
    return _euler(x, d, sigma, next_sigma)


@mistake("edm_heun_step", "The denoiser gets sigma as a Python number, but it should get the tensor.")
def sigma_as_a_number(x: Tensor, denoiser: Denoiser, sigma: Tensor, next_sigma: Tensor) -> Tensor:
    d = (x - denoiser(x, sigma.item())) / sigma  # type: ignore[arg-type]
    return _euler(x, d, sigma, next_sigma)


@mistake("edm_heun_step", "The denoiser is called again for the last step, at a sigma of 0, and the result is unused.")
def wasted_at_the_end(x: Tensor, denoiser: Denoiser, sigma: Tensor, next_sigma: Tensor) -> Tensor:
    d = _slope(x, denoiser, sigma)
    euler = _euler(x, d, sigma, next_sigma)
    next_d = _slope(euler, denoiser, next_sigma)
    return torch.where(next_sigma == 0, euler, _euler(x, (d + next_d) / 2, sigma, next_sigma))


@mistake("edm_heun_step", "The same prediction is asked for twice, and a prediction is what takes time.")
def asked_twice(x: Tensor, denoiser: Denoiser, sigma: Tensor, next_sigma: Tensor) -> Tensor:
    euler = _euler(x, _slope(x, denoiser, sigma), sigma, next_sigma)
    if next_sigma == 0:
        return euler
    return _euler(x, (_slope(x, denoiser, sigma) + _slope(euler, denoiser, next_sigma)) / 2, sigma, next_sigma)


@mistake("edm_heun_step", "The Heun step is always float32, but it should have the dtype of `x`.")
def heun_in_float32(x: Tensor, denoiser: Denoiser, sigma: Tensor, next_sigma: Tensor) -> Tensor:
    d = _slope(x, denoiser, sigma)
    euler = _euler(x, d, sigma, next_sigma)
    if next_sigma == 0:
        return euler.float()
    return _euler(x, (d + _slope(euler, denoiser, next_sigma)) / 2, sigma, next_sigma).float()


@mistake("edm_heun_step", "The Euler step is written into `x`, which belongs to the caller, and which is needed again.")
def euler_into_x(x: Tensor, denoiser: Denoiser, sigma: Tensor, next_sigma: Tensor) -> Tensor:
    start = x.clone()
    d = _slope(x, denoiser, sigma)
    x += (next_sigma - sigma) * d
    if next_sigma == 0:
        return x
    return start + (next_sigma - sigma) * (d + _slope(x, denoiser, next_sigma)) / 2
