"""dino.noise: the blend of picture and noise."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from dino.noise import add_noise, mix, sample_noise_levels


@given(level=st.floats(0, 1), seed=st.integers(0, 2**32))
def test_a_mix_is_the_weighted_mean_of_picture_and_noise(level: float, seed: int) -> None:
    random = torch.Generator().manual_seed(seed)
    clean, noise = torch.rand(2, 2, 3, 4, 5, generator=random, dtype=torch.float64)
    noisy = mix(clean, noise, torch.full((2, 1, 1, 1), level, dtype=torch.float64))
    torch.testing.assert_close(noisy, (1 - level) * clean + level * noise, rtol=0, atol=1e-15)


def test_at_level_0_a_mix_is_the_picture_and_at_level_1_the_noise_exactly() -> None:
    clean, noise = torch.rand(2, 2, 3, 4, 5)
    assert torch.equal(mix(clean, noise, torch.zeros(2, 1, 1, 1)), clean)
    assert torch.equal(mix(clean, noise, torch.ones(2, 1, 1, 1)), noise)


def test_noise_levels_are_one_number_an_image_uniform_in_0_to_1() -> None:
    levels = sample_noise_levels(20_000, generator=torch.Generator().manual_seed(0))
    assert levels.shape == (20_000, 1, 1, 1)
    assert levels.min() >= 0
    assert levels.max() < 1
    counts = torch.histc(levels, bins=10, min=0, max=1)
    assert (counts - 2000).abs().max() < 5 * (20_000 * 0.1 * 0.9) ** 0.5  # five standard deviations


def test_each_image_gets_noise_and_a_level_of_its_own(generator: torch.Generator) -> None:
    clean = torch.full((6, 3, 16, 16), 0.5)
    noisy, levels = add_noise(clean, generator=generator)
    noise = clean + (noisy - clean) / levels
    assert levels.flatten().unique().numel() == 6
    assert noise.min() >= -1e-4
    assert noise.max() <= 1 + 1e-4
    assert (noise.std(dim=(1, 2, 3)) - 12**-0.5).abs().max() < 0.02  # uniform noise: standard deviation 1 / sqrt(12)
    flat = noise.reshape(18, -1)  # every image's every channel
    assert (torch.corrcoef(flat) - torch.eye(18)).abs().max() < 0.3


def test_adding_noise_is_seeded_changes_no_input_and_reseeds_nothing() -> None:
    clean = torch.rand(3, 3, 4, 5)
    before, state = clean.clone(), torch.random.get_rng_state()
    first = add_noise(clean, generator=torch.Generator().manual_seed(7))
    second = add_noise(clean, generator=torch.Generator().manual_seed(7))
    assert torch.equal(torch.random.get_rng_state(), state)
    assert torch.equal(clean, before)
    assert all(torch.equal(a, b) for a, b in zip(first, second, strict=True))
    assert not torch.equal(first[0], add_noise(clean, generator=torch.Generator().manual_seed(8))[0])


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16])
def test_noise_keeps_the_precision_of_the_images(dtype: torch.dtype) -> None:
    noisy, levels = add_noise(torch.rand(2, 3, 4, 4, dtype=dtype))
    assert noisy.dtype == levels.dtype == dtype
