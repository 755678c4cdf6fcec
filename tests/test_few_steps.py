"""Few steps: the warped schedule, and the exact step sizes."""

import pytest
import torch

from dino.few_steps import step_sizes, warped_schedule
from dino.sampler import denoise, generate, noise_schedule
from tests.conftest import FromFunction


def test_a_warped_schedule_falls_from_1_to_0_with_the_given_steps() -> None:
    schedule = warped_schedule(10)
    assert schedule.shape == (11,)
    assert schedule[0] == 1
    assert schedule[-1] == 0
    steps = schedule[:-1] - schedule[1:]
    assert (steps > 0).all()
    assert (steps[1:] > steps[:-1]).all() or (steps[1:] < steps[:-1]).all(), "the steps change in one direction"
    assert steps[0] < steps[-1], "see the docstring: where do the steps lie?"


def test_a_very_large_warp_is_even() -> None:
    assert torch.allclose(warped_schedule(7, warp=1e6), noise_schedule(7), atol=1e-5)


@pytest.mark.parametrize("warp", [0.0, -1.0, float("nan")])
def test_an_impossible_warp_is_refused(warp: float) -> None:
    with pytest.raises(ValueError, match="warp must be more than 0"):
        warped_schedule(10, warp)


def linear_in_the_level(a: torch.Tensor, b: torch.Tensor) -> FromFunction:
    """A denoiser whose prediction is a + b t, whatever it is shown."""
    return FromFunction(lambda noisy, level: (a + b * level).expand_as(noisy))


def exact(a: torch.Tensor, b: torch.Tensor, noise: torch.Tensor, level: torch.Tensor) -> torch.Tensor:
    """The solution of dx/dt = (x - a - b t) / t that is `noise` at t = 1: x = a - b t ln t + (noise - a) t."""
    return a - b * torch.xlogy(level, level) + (noise - a) * level


@pytest.mark.parametrize("schedule", [warped_schedule(6), noise_schedule(9), torch.tensor([1.0, 0.9, 0.5, 0.1, 0.0])])
def test_a_prediction_that_changes_linearly_is_followed_exactly(schedule: torch.Tensor) -> None:
    generator = torch.Generator().manual_seed(0)
    a, b, noise = torch.rand(3, 1, 3, 4, 4, generator=generator, dtype=torch.float64)
    schedule = schedule.double()
    model = linear_in_the_level(a, b)
    # The first step has no previous prediction, so it starts where the exact solution is after that step.
    start = exact(a, b, noise, schedule[1])
    noisy, previous, sizes = start, a + b * schedule[0], step_sizes(schedule)
    for k in range(1, len(schedule) - 1):
        denoised = model(noisy, schedule[k].view(1, 1, 1, 1))
        guess = torch.lerp(previous, denoised, sizes[k])
        noisy = torch.lerp(guess, noisy, schedule[k + 1] / schedule[k])
        previous = denoised
        assert torch.allclose(noisy, exact(a, b, noise, schedule[k + 1]), atol=1e-9), f"step {k} leaves the solution"


def test_even_steps_have_sizes_from_1_and_a_half_to_2() -> None:
    sizes = step_sizes(noise_schedule(100).double())
    assert sizes[0] == 1
    assert sizes[1].item() == pytest.approx(1.5, abs=0.01)
    assert sizes[-1].item() == pytest.approx(2.0, abs=1e-6)


def test_the_error_falls_with_the_square_of_the_steps() -> None:
    """Second order, for a prediction that isn't linear in the level."""
    noise = torch.full((1, 1, 1, 1), 0.3, dtype=torch.float64)
    model = FromFunction(lambda noisy, level: (0.2 + 0.5 * torch.sin(2 * level)).expand_as(noisy))

    def drawn(n: int) -> float:
        schedule = warped_schedule(n).double()
        *_, last = denoise(model, noise, schedule, step_sizes(schedule))
        return last.noisy.item()

    truth = drawn(4096)
    errors = [abs(drawn(n) - truth) for n in (16, 32, 64)]
    assert errors[0] / errors[1] > 3
    assert errors[1] / errors[2] > 3


def test_denoise_takes_one_size_for_each_step_and_generate_a_schedule() -> None:
    model = FromFunction(lambda noisy, level: (noisy * 0.5 + level * 0.1).clamp(0, 1))
    noise = torch.rand(2, 3, 4, 4, generator=torch.Generator().manual_seed(0))
    schedule = noise_schedule(5)
    one = [step.noisy for step in denoise(model, noise, schedule, 1.5)]
    many = [step.noisy for step in denoise(model, noise, schedule, [1.5] * 5)]
    assert all(torch.equal(a, b) for a, b in zip(one, many, strict=True))
    with pytest.raises((ValueError, RuntimeError)):
        list(denoise(model, noise, schedule, [1.5] * 4))
    options = {"image_shape": (3, 4, 4), "step_size": 1.5}
    drawn = generate(model, 2, n_steps=5, generator=torch.Generator().manual_seed(0), **options)
    same = generate(model, 2, schedule=schedule, generator=torch.Generator().manual_seed(0), **options)
    assert torch.equal(drawn, same)
