"""Strips: rows of images that show noise, predictions and sampling."""

import torch

from dino.noise import mix
from dino.sampler import denoise, noise_schedule
from dino.trainer import strips


def test_a_noise_strip_goes_from_the_image_to_noise_with_the_same_noise_at_all_levels() -> None:
    images = torch.rand(2, 3, 8, 8)
    strip = strips.noise_strip(images, [0.0, 0.5, 1.0], generator=torch.Generator().manual_seed(0))
    rows = strip.unflatten(0, (2, 3))
    assert torch.equal(rows[:, 0], images)
    torch.testing.assert_close(rows[:, 1], mix(images, rows[:, 2], torch.tensor(0.5)))


def test_a_denoising_strip_has_the_prediction_below_each_noisy_image(denoiser_of: type) -> None:
    images = torch.rand(2, 3, 8, 8)
    strip = strips.denoising_strip(denoiser_of(lambda noisy, level: noisy * level), images, [0.25, 0.5, 1.0])
    rows = strip.unflatten(0, (2, 2, 3))  # image, noisy or denoised, level
    torch.testing.assert_close(rows[:, 1], rows[:, 0] * torch.tensor([0.25, 0.5, 1.0]).view(1, 3, 1, 1, 1))


def test_a_sampling_strip_runs_from_the_first_step_to_the_last(denoiser_of: type) -> None:
    path = list(denoise(denoiser_of(lambda noisy, level: noisy.round()), torch.rand(2, 3, 8, 8), noise_schedule(30)))
    strip = strips.sampling_strip(path)
    assert strip.shape == (2 * strips.STRIP_COLUMNS, 3, 8, 8)
    assert torch.equal(strip[0], path[0].noisy[0])
    assert torch.equal(strip[strips.STRIP_COLUMNS - 1], path[-1].noisy[0])
    assert torch.equal(strip[-1], path[-1].denoised[0])
    assert strips.sampling_strip(path[:1]).shape[0] == 2 * strips.STRIP_COLUMNS  # a single step is repeated
