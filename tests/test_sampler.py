"""Lesson 04, the sampler: every step is checked, not only the end, because a perfect denoiser hides most mistakes."""

from itertools import pairwise

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from dino.denoiser import UNet
from dino.noise import mix
from dino.sampler import denoise, extrapolate, generate, noise_schedule, remix


@given(n_steps=st.integers(1, 200))
def test_the_schedule_falls_evenly_from_1_to_0(n_steps: int) -> None:
    levels = noise_schedule(n_steps)
    assert levels.shape == (n_steps + 1,)
    assert levels[0] == 1
    assert levels[-1] == 0
    torch.testing.assert_close(levels.diff(), torch.full((n_steps,), -1 / n_steps), rtol=0, atol=2e-7)


def test_a_schedule_without_steps_is_refused() -> None:
    with pytest.raises(ValueError, match="at least 1 step"):
        noise_schedule(0)


def test_extrapolate_continues_the_change_between_two_predictions() -> None:
    previous, denoised = torch.rand(2, 2, 3, 4, 5, dtype=torch.float64)
    assert extrapolate(denoised, None, 2.0) is denoised
    torch.testing.assert_close(extrapolate(denoised, previous, 2.0), denoised + (denoised - previous))
    torch.testing.assert_close(extrapolate(denoised, previous, 1.5), denoised + 0.5 * (denoised - previous))
    assert torch.equal(extrapolate(denoised, previous, 1.0), denoised)


@given(level=st.floats(0.05, 1), fraction=st.floats(0, 1))
def test_remixing_with_the_true_image_moves_along_the_line_between_noise_and_image(
    level: float, fraction: float
) -> None:
    clean, noise = torch.rand(2, 2, 3, 4, 5, dtype=torch.float64)
    here, there = (torch.full((1, 1, 1, 1), value, dtype=torch.float64) for value in (level, level * fraction))
    moved = remix(mix(clean, noise, here), clean, here, there)
    torch.testing.assert_close(moved, mix(clean, noise, there), rtol=0, atol=1e-13)


@given(level=st.floats(0.05, 0.95), fraction=st.floats(0.05, 0.95))
def test_at_step_size_1_remix_is_the_euler_step_of_edm(level: float, fraction: float) -> None:
    """EDM's variables: sigma = t / (1 - t), and x = noisy / (1 - t)."""
    noisy, denoised = torch.rand(2, 2, 3, 4, 5, dtype=torch.float64)
    here, there = (torch.tensor(value, dtype=torch.float64) for value in (level, level * fraction))
    sigma, next_sigma = here / (1 - here), there / (1 - there)
    x = noisy / (1 - here)
    euler = x + (next_sigma - sigma) * (x - denoised) / sigma
    guess = extrapolate(denoised, torch.rand_like(denoised), 1.0)
    torch.testing.assert_close(remix(noisy, guess, here, there), euler * (1 - there), rtol=1e-10, atol=1e-12)


@given(level=st.floats(0.05, 0.95), fraction=st.floats(0.05, 0.95))
def test_at_step_size_1_remix_is_the_ddim_step(level: float, fraction: float) -> None:
    """DDIM computes the noise from the prediction, and mixes the two at the next level."""
    noisy, denoised = torch.rand(2, 2, 3, 4, 5, dtype=torch.float64)
    here, there = (torch.tensor(value, dtype=torch.float64) for value in (level, level * fraction))
    implied_noise = (noisy - (1 - here) * denoised) / here
    expected = (1 - there) * denoised + there * implied_noise
    torch.testing.assert_close(remix(noisy, denoised, here, there), expected, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("step_size", [1.0, 1.5, 2.0])
def test_a_perfect_denoiser_keeps_every_step_on_the_line_and_ends_on_the_image(
    denoiser_of: type, step_size: float
) -> None:
    clean, noise = torch.rand(2, 2, 3, 4, 5)
    schedule = noise_schedule(7)
    for step, level in zip(
        denoise(denoiser_of(lambda noisy, level: clean), noise, schedule, step_size), schedule[1:], strict=True
    ):
        assert step.noise_level == level
        torch.testing.assert_close(step.noisy, mix(clean, noise, level), rtol=0, atol=1e-6)
    assert torch.equal(step.noisy, clean)


def test_generating_with_a_perfect_denoiser_returns_the_image_exactly(denoiser_of: type) -> None:
    clean = torch.rand(2, 3, 4, 5)
    assert torch.equal(generate(denoiser_of(lambda noisy, level: clean), 2, image_shape=(3, 4, 5)), clean)


def test_the_model_gets_the_noisy_images_with_their_own_level(denoiser_of: type) -> None:
    """Compare with the definition, written out, for a model whose prediction depends on both inputs."""
    seen: list[float] = []

    def predict(noisy: Tensor, level: Tensor) -> Tensor:
        seen.append(level.item())
        return (0.3 + 0.5 * noisy) * (1 - 0.4 * level)

    noisy = torch.rand(2, 3, 4, 5, dtype=torch.float64)
    start = noisy.clone()
    levels = [1.0, 0.7, 0.4, 0.15, 0.0]
    steps = list(denoise(denoiser_of(predict), noisy, levels, step_size=1.7))
    assert torch.equal(noisy, start)
    assert seen == pytest.approx(levels[:-1])
    previous = None
    for (now, after), step in zip(pairwise(levels), steps, strict=True):
        denoised = (0.3 + 0.5 * noisy) * (1 - 0.4 * now)
        guess = denoised if previous is None else previous + 1.7 * (denoised - previous)
        noisy = (after / now) * noisy + (1 - after / now) * guess
        previous = denoised
        torch.testing.assert_close(step.denoised, denoised)
        torch.testing.assert_close(step.noisy, noisy)


def test_only_the_final_images_are_clamped_to_the_range_of_pixels(denoiser_of: type) -> None:
    wild = denoiser_of(lambda noisy, level: torch.full_like(noisy, 3.0))
    steps = list(denoise(wild, torch.rand(1, 3, 4, 4), noise_schedule(5)))
    assert steps[-1].noisy.max() == 3
    assert torch.equal(generate(wild, 1, image_shape=(3, 4, 4), n_steps=5), torch.ones(1, 3, 4, 4))


def test_generating_is_seeded_keeps_no_gradients_and_restores_the_mode_of_the_model() -> None:
    model = UNet(3, (4, 4), (1, 1))

    def draw(seed: int) -> Tensor:
        return generate(model, 2, image_shape=(3, 8, 8), n_steps=3, generator=torch.Generator().manual_seed(seed))

    first = draw(1)
    assert torch.equal(first, draw(1))
    assert not torch.equal(first, draw(2))
    assert not first.requires_grad
    assert first.min() >= 0
    assert first.max() <= 1
    assert model.training
    assert not generate(model.eval(), 1, image_shape=(3, 8, 8), n_steps=1).requires_grad
    assert not model.training
