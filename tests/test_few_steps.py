"""Few steps: the warped schedule, and the exact step sizes."""

import pytest
import torch
from torch import nn

from dino.few_steps import (
    distill_step,
    distillation_target,
    euler_at_final,
    one_step,
    step_sizes,
    warped_schedule,
)
from dino.sampler import denoise, generate, noise_schedule, remix
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


def test_the_last_step_can_take_the_last_prediction_as_it_is() -> None:
    schedule = warped_schedule(5)
    sizes = step_sizes(schedule)
    assert torch.equal(euler_at_final(sizes), torch.tensor([*sizes[:-1].tolist(), 1.0]))
    assert sizes[-1] > 1.5, "its argument stays as it is"
    model = linear_in_the_level(torch.full((1, 1, 1, 1), 0.2), torch.full((1, 1, 1, 1), 0.5))
    *_, last = denoise(model, torch.rand(1, 1, 1, 1), schedule, euler_at_final(sizes))
    assert torch.equal(last.noisy, last.denoised)


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


# ---- distillation ---------------------------------------------------------------------------------------------------


class Gain(nn.Module):
    """A denoiser of one weight, whose prediction depends on everything it is shown."""

    def __init__(self, gain: float) -> None:
        super().__init__()
        self.gain = nn.Parameter(torch.tensor(gain, dtype=torch.float64))

    def forward(self, noisy: torch.Tensor, noise_level: torch.Tensor) -> torch.Tensor:
        return self.gain * torch.cos(3 * noisy + noise_level)


class Canvas(nn.Module):
    """A student of one weight, its prediction for everything."""

    def __init__(self, picture: float) -> None:
        super().__init__()
        self.picture = nn.Parameter(torch.tensor(picture, dtype=torch.float64))

    def forward(self, noisy: torch.Tensor, noise_level: torch.Tensor) -> torch.Tensor:  # noqa: ARG002
        return self.picture.expand_as(noisy)


def test_one_step_with_the_target_arrives_where_two_steps_of_the_teacher_arrive() -> None:
    generator = torch.Generator().manual_seed(0)
    noisy = torch.rand(5, 3, 4, 4, generator=generator, dtype=torch.float64)
    a, b = 0.1 + 0.8 * torch.rand(2, 5, 1, 1, 1, generator=generator, dtype=torch.float64)
    now = 0.2 + 0.8 * torch.rand(5, 1, 1, 1, generator=generator, dtype=torch.float64)
    teacher = Gain(1.3)
    target = distillation_target(teacher, noisy, now, a * now, a * b * now)
    assert not target.requires_grad
    halfway = remix(noisy, teacher(noisy, now), now, a * now)
    arrived = remix(halfway, teacher(halfway, a * now), a * now, a * b * now)
    assert torch.allclose(remix(noisy, target, now, a * b * now), arrived, atol=1e-12)
    last = distillation_target(teacher, noisy, now, a * now, 0 * now)
    assert torch.allclose(last, teacher(halfway, a * now), atol=1e-12), "down to level 0, the second prediction"


def test_a_student_learns_to_do_in_one_step_what_its_teacher_does_in_two() -> None:
    generator = torch.Generator().manual_seed(0)
    clean = torch.rand(64, 1, 4, 4, generator=generator, dtype=torch.float64)
    student, teacher, schedule = Canvas(0.1), Gain(1.0), warped_schedule(2)
    optimizer = torch.optim.SGD(student.parameters(), lr=0.2)
    for _ in range(100):
        distill_step(student, teacher, optimizer, clean, schedule, generator=generator)
    noise = torch.rand(1000, 1, 4, 4, generator=generator, dtype=torch.float64)
    *_, last = denoise(teacher, noise, schedule, 1.0)
    assert student.picture.item() == pytest.approx(last.noisy.mean().item(), abs=0.05)
    assert teacher.gain == 1.0
    assert teacher.gain.grad is None
    again = [torch.Generator().manual_seed(1) for _ in range(2)]
    first, second = (
        distill_step(Gain(0.5), teacher, torch.optim.SGD(student.parameters(), lr=0.1), clean, schedule, generator=each)
        for each in again
    )
    assert first == second


def test_one_step_is_the_prediction_for_pure_noise() -> None:
    student = Gain(2.0)
    drawn = one_step(student, 3, image_shape=(2, 4, 5), generator=torch.Generator().manual_seed(3))
    same = generate(student, 3, image_shape=(2, 4, 5), n_steps=1, generator=torch.Generator().manual_seed(3))
    assert torch.equal(drawn, same)
    assert not drawn.requires_grad
    assert drawn.dtype == torch.float64
