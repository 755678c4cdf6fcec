"""Common wrong answers to lesson 07, each with the sentence that the learner reads. The grader recognizes them.

Spoilers: this file gives the exercises away.
"""

import math
from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.optim import Optimizer

from ....few_steps import distillation_target
from ....noise import mix
from ....sampler import noise_schedule, remix
from ...grader.expect import mistake

Generator = torch.Generator | None


# ---- 7.1 warped_schedule --------------------------------------------------------------------------------------------


def positive(warp: float) -> float:
    """Raise a ValueError if a warp can't be. Most mistakes get this part right."""
    if not warp > 0:
        raise ValueError("warp must be more than 0")
    return warp


@mistake("warped_schedule", "The levels are even: `warp` isn't used.")
def even_levels(n_steps: int, warp: float = 0.5) -> Tensor:
    return noise_schedule(n_steps + 0 * round(positive(warp)))


@mistake("warped_schedule", "The levels are bent the wrong way: they lie close together near 0, not near 1.")
def bent_toward_zero(n_steps: int, warp: float = 0.5) -> Tensor:
    even = noise_schedule(n_steps)
    return even * positive(warp) / (1 + warp - even)


@mistake("warped_schedule", "The factor `1 + warp` is missing, so the first level isn't 1.")
def factor_forgotten(n_steps: int, warp: float = 0.5) -> Tensor:
    even = noise_schedule(n_steps)
    return even / (even + positive(warp))


@mistake("warped_schedule", "The numerator is `x + 1 + warp`. The level and `1 + warp` should be multiplied.")
def added_instead_of_multiplied(n_steps: int, warp: float = 0.5) -> Tensor:
    even = noise_schedule(n_steps)
    return (even + 1 + positive(warp)) / (even + warp)


@mistake("warped_schedule", "Parentheses are missing, around `1 + warp` and around `x + warp`.")
def parentheses_forgotten(n_steps: int, warp: float = 0.5) -> Tensor:
    even = noise_schedule(n_steps)
    return even * 1 + positive(warp) / even + warp


@mistake("warped_schedule", "Parentheses are missing around `x + warp`.")
def last_parentheses_forgotten(n_steps: int, warp: float = 0.5) -> Tensor:
    even = noise_schedule(n_steps)
    return even * (1 + positive(warp)) / even + warp


@mistake("warped_schedule", "Parentheses are missing around `1 + warp`.")
def first_parentheses_forgotten(n_steps: int, warp: float = 0.5) -> Tensor:
    even = noise_schedule(n_steps)
    return even * 1 + positive(warp) / (even + warp)


@mistake("warped_schedule", "The warp is taken away where it should be added: the denominator is `x - warp`.")
def warp_subtracted(n_steps: int, warp: float = 0.5) -> Tensor:
    even = noise_schedule(n_steps)
    return even * (1 - positive(warp)) / (even - warp)


@mistake("warped_schedule", "The warp is always 0.5, whatever the caller asks for.")
def always_one_half(n_steps: int, warp: float = 0.5) -> Tensor:
    even = noise_schedule(n_steps)
    return even * 1.5 / (even + positive(0.5 + 0 * positive(warp)))


@mistake("warped_schedule", "The default warp isn't 0.5.")
def another_default(n_steps: int, warp: float = 0.2) -> Tensor:
    even = noise_schedule(n_steps)
    return even * (1 + positive(warp)) / (even + warp)


@mistake("warped_schedule", "There is one level too few: n steps go between n + 1 levels.")
def one_level_too_few(n_steps: int, warp: float = 0.5) -> Tensor:
    if n_steps < 1:
        raise ValueError("at least 1 step")
    even = torch.linspace(1, 0, n_steps)
    return even * (1 + positive(warp)) / (even + warp)


@mistake("warped_schedule", "The levels rise from 0 to 1. A sampler starts with pure noise, at level 1.")
def rising(n_steps: int, warp: float = 0.5) -> Tensor:
    even = noise_schedule(n_steps).flip(0)
    return even * (1 + positive(warp)) / (even + warp)


@mistake("warped_schedule", "The levels are even and then taken to a power, which is another curve.")
def a_power(n_steps: int, warp: float = 0.5) -> Tensor:
    return noise_schedule(n_steps) ** (positive(warp) / (1 + warp))


@mistake("warped_schedule", "The levels stop above 0, so noise is left in the pictures.")
def stops_above_zero(n_steps: int, warp: float = 0.5) -> Tensor:
    even = noise_schedule(n_steps).clamp(min=0.001)
    return even * (1 + positive(warp)) / (even + warp)


@mistake("warped_schedule", "The levels are warped twice.")
def warped_twice(n_steps: int, warp: float = 0.5) -> Tensor:
    levels = noise_schedule(n_steps)
    for _ in range(2):
        levels = levels * (1 + positive(warp)) / (levels + warp)
    return levels


@mistake("warped_schedule", "The levels have the shape of noise levels, (n, 1, 1, 1), but one dimension is enough.")
def four_dimensions(n_steps: int, warp: float = 0.5) -> Tensor:
    even = noise_schedule(n_steps)
    return (even * (1 + positive(warp)) / (even + warp)).view(-1, 1, 1, 1)


@mistake("warped_schedule", "The result is a list. The caller needs a tensor.")
def a_list(n_steps: int, warp: float = 0.5) -> list[float]:
    even = noise_schedule(n_steps)
    return (even * (1 + positive(warp)) / (even + warp)).tolist()


@mistake("warped_schedule", "The levels are computed in float64, but the result should be float32.")
def in_float64(n_steps: int, warp: float = 0.5) -> Tensor:
    even = noise_schedule(n_steps).double()
    return even * (1 + positive(warp)) / (even + warp)


@mistake("warped_schedule", "The function accepts a warp of 0 or less, which makes levels that can't be.")
def any_warp(n_steps: int, warp: float = 0.5) -> Tensor:
    even = noise_schedule(n_steps)
    return even * (1 + warp) / (even + warp)


@mistake("warped_schedule", "The function accepts 0 steps, but a schedule needs at least one step.")
def any_number_of_steps(n_steps: int, warp: float = 0.5) -> Tensor:
    even = torch.linspace(1, 0, max(n_steps, 0) + 1)
    return even * (1 + positive(warp)) / (even + warp)


# ---- 7.2 step_sizes -------------------------------------------------------------------------------------------------


def read_at(schedule: Tensor, mean: Any) -> Tensor:
    """Return the sizes that read the line at `mean(previous, level, next_level)` in each step, in float64."""
    levels = schedule.double()
    previous, level, after = levels[:-2], levels[1:-1], levels[2:]
    sizes = (previous - mean(previous, level, after)) / (previous - level)
    return torch.cat([sizes.new_ones(1), sizes])


def exact_mean(previous: Tensor, level: Tensor, after: Tensor) -> Tensor:
    """Return the right place to read the line."""
    kept = after / level
    return -level * torch.xlogy(kept, kept) / (1 - kept)


@mistake("step_sizes", "Every step has size 2, as far again beyond the new prediction.")
def always_two(schedule: Tensor) -> Tensor:
    return torch.cat([torch.ones(1), torch.full((len(schedule) - 2,), 2.0)]).to(schedule)


@mistake("step_sizes", "Every step has size 1.5, which would be right for many small steps of equal length.")
def always_one_and_a_half(schedule: Tensor) -> Tensor:
    return torch.cat([torch.ones(1), torch.full((len(schedule) - 2,), 1.5)]).to(schedule)


@mistake("step_sizes", "Every step has size 1, so nothing is extrapolated.")
def always_one(schedule: Tensor) -> Tensor:
    return torch.ones(len(schedule) - 1).to(schedule)


@mistake("step_sizes", "The line is read halfway between the two levels, but later levels count more in a step.")
def read_halfway(schedule: Tensor) -> Tensor:
    return read_at(schedule, lambda _, t, s: (t + s) / 2).to(schedule)


@mistake("step_sizes", "The line is read at the end of the step, which is too far.")
def read_at_the_end(schedule: Tensor) -> Tensor:
    return read_at(schedule, lambda _, t, s: s).to(schedule)


@mistake("step_sizes", "The line is read at the geometric mean of the two levels, sqrt(s t).")
def read_at_the_geometric_mean(schedule: Tensor) -> Tensor:
    return read_at(schedule, lambda _, t, s: (t * s).sqrt()).to(schedule)


@mistake("step_sizes", "The line is read at (t - s) / log(t / s). The mean level also has s t in it.")
def read_at_the_logarithmic_mean(schedule: Tensor) -> Tensor:
    return read_at(schedule, lambda _, t, s: (t - s) / (t / s).log()).to(schedule)


@mistake("step_sizes", "The factor s is missing in the mean level.")
def next_level_forgotten(schedule: Tensor) -> Tensor:
    return read_at(schedule, lambda _, t, s: t * (t / s.clamp(min=1e-6)).log() / (t - s)).to(schedule)


@mistake("step_sizes", "The logarithm is upside down: log(s / t) is negative, and log(t / s) is meant.")
def logarithm_inverted(schedule: Tensor) -> Tensor:
    return read_at(schedule, lambda p, t, s: -exact_mean(p, t, s)).to(schedule)


@mistake("step_sizes", "The logarithm to base 2 or 10 is used. The natural logarithm is meant, torch.log.")
def another_logarithm(schedule: Tensor) -> Tensor:
    return read_at(schedule, lambda p, t, s: exact_mean(p, t, s) / math.log(2)).to(schedule)


@mistake("step_sizes", "The step to level 0 comes out as nan, because 0 is multiplied by an infinite logarithm.")
def nan_at_zero(schedule: Tensor) -> Tensor:
    return read_at(schedule, lambda _, t, s: s * t * (t / s).log() / (t - s)).to(schedule)


@mistake("step_sizes", "The last step has size 1. Here it should follow the line like the others.")
def last_step_plain(schedule: Tensor) -> Tensor:
    sizes = read_at(schedule, exact_mean)
    sizes[-1] = 1
    return sizes.to(schedule)


@mistake("step_sizes", "The last step always reads the line at level 0. That is right only if the step ends there.")
def last_step_to_zero(schedule: Tensor) -> Tensor:
    sizes = read_at(schedule, exact_mean)
    if len(sizes) > 1:
        sizes[-1] = read_at(schedule, lambda _, t, s: 0 * s)[-1]
    return sizes.to(schedule)


@mistake("step_sizes", "The distance is divided by the length of this step. The unit is the previous step, p - t.")
def in_units_of_this_step(schedule: Tensor) -> Tensor:
    levels = schedule.double()
    previous, level, after = levels[:-2], levels[1:-1], levels[2:]
    sizes = (previous - exact_mean(previous, level, after)) / (level - after)
    return torch.cat([sizes.new_ones(1), sizes]).to(schedule)


@mistake("step_sizes", "The distance is measured from level t. A step size counts from the previous prediction, at p.")
def measured_from_the_new_prediction(schedule: Tensor) -> Tensor:
    return torch.cat([torch.ones(1), read_at(schedule, exact_mean)[1:] - 1]).to(schedule)


@mistake("step_sizes", "The size has the wrong sign.")
def wrong_sign(schedule: Tensor) -> Tensor:
    return torch.cat([torch.ones(1), -read_at(schedule, exact_mean)[1:]]).to(schedule)


@mistake("step_sizes", "Each size is for the step before it: the levels p, t and s are taken one place too early.")
def one_place_too_early(schedule: Tensor) -> Tensor:
    sizes = read_at(schedule, exact_mean)
    return torch.cat([sizes[:1], sizes[:1], sizes[1:-1]]).to(schedule) if len(sizes) > 1 else sizes.to(schedule)


@mistake("step_sizes", "The size of the first step is missing.")
def first_missing(schedule: Tensor) -> Tensor:
    return read_at(schedule, exact_mean)[1:].to(schedule)


@mistake("step_sizes", "There is one size too many: as many as levels, not as many as steps.")
def one_for_each_level(schedule: Tensor) -> Tensor:
    return torch.cat([read_at(schedule, exact_mean), torch.ones(1)]).to(schedule)


@mistake("step_sizes", "The first size is 0, which would throw the first prediction away.")
def first_zero(schedule: Tensor) -> Tensor:
    return torch.cat([torch.zeros(1), read_at(schedule, exact_mean)[1:]]).to(schedule)


@mistake("step_sizes", "The 1 for the first step stands at the end.")
def one_at_the_end(schedule: Tensor) -> Tensor:
    return read_at(schedule, exact_mean).roll(-1).to(schedule)


@mistake("step_sizes", "The result is a list. The caller needs a tensor.")
def list_of_sizes(schedule: Tensor) -> list[float]:
    return read_at(schedule, exact_mean).tolist()


@mistake("step_sizes", "The result is always float64, but it should have the dtype of the schedule.")
def sizes_in_float64(schedule: Tensor) -> Tensor:
    return read_at(schedule, exact_mean)


@mistake("step_sizes", "The levels are changed in place, but `schedule` belongs to the caller.")
def levels_changed(schedule: Tensor) -> Tensor:
    sizes = read_at(schedule, exact_mean).to(schedule)
    schedule += 1e-6
    return sizes


# ---- 7.3 distillation_target ----------------------------------------------------------------------------------------


@torch.no_grad()
def predictions(
    teacher: nn.Module, noisy: Tensor, noise_level: Tensor, middle: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """Return the teacher's first prediction, the mix in the middle, and its second prediction."""
    first = teacher(noisy, noise_level)
    halfway = remix(noisy, first, noise_level, middle)
    return first, halfway, teacher(halfway, middle)


@mistake("distillation_target", "The target is the second prediction. That is only right if `next_level` is 0.")
def second_alone(teacher: nn.Module, noisy: Tensor, noise_level: Tensor, middle: Tensor, next_level: Tensor) -> Tensor:
    return predictions(teacher, noisy, noise_level, middle)[2]


@mistake("distillation_target", "The target is the first prediction, so the second step of the teacher is lost.")
def first_alone(teacher: nn.Module, noisy: Tensor, noise_level: Tensor, middle: Tensor, next_level: Tensor) -> Tensor:
    return predictions(teacher, noisy, noise_level, middle)[0]


@mistake("distillation_target", "The teacher is called once only, but it takes two steps.")
@torch.no_grad()
def called_once(teacher: nn.Module, noisy: Tensor, noise_level: Tensor, middle: Tensor, next_level: Tensor) -> Tensor:
    return teacher(noisy, noise_level)


@mistake("distillation_target", "The two predictions are averaged, whatever the levels are.")
def averaged(teacher: nn.Module, noisy: Tensor, noise_level: Tensor, middle: Tensor, next_level: Tensor) -> Tensor:
    first, _, second = predictions(teacher, noisy, noise_level, middle)
    return (first + second) / 2


@mistake(
    "distillation_target",
    "The two predictions are weighted by the lengths of the two steps. But a step mixes in a fraction of what is there.",
)
def weighted_by_length(
    teacher: nn.Module, noisy: Tensor, noise_level: Tensor, middle: Tensor, next_level: Tensor
) -> Tensor:
    first, _, second = predictions(teacher, noisy, noise_level, middle)
    return torch.lerp(first, second, (middle - next_level) / (noise_level - next_level))


@mistake("distillation_target", "The two weights are swapped: the first prediction gets the share of the second.")
def weights_swapped(
    teacher: nn.Module, noisy: Tensor, noise_level: Tensor, middle: Tensor, next_level: Tensor
) -> Tensor:
    first, _, second = predictions(teacher, noisy, noise_level, middle)
    kept, both = next_level / middle, next_level / noise_level
    return torch.lerp(second, first, (1 - kept) / (1 - both))


@mistake("distillation_target", "The share of the second prediction isn't divided by 1 - a b, what one step fills.")
def share_not_divided(
    teacher: nn.Module, noisy: Tensor, noise_level: Tensor, middle: Tensor, next_level: Tensor
) -> Tensor:
    first, _, second = predictions(teacher, noisy, noise_level, middle)
    return torch.lerp(first, second, 1 - next_level / middle)


@mistake("distillation_target", "The result is where the two steps arrive, a noisy picture, and not a prediction.")
def arrival(teacher: nn.Module, noisy: Tensor, noise_level: Tensor, middle: Tensor, next_level: Tensor) -> Tensor:
    _, halfway, second = predictions(teacher, noisy, noise_level, middle)
    return remix(halfway, second, middle, next_level)


@mistake(
    "distillation_target",
    "`noisy` is left out of where the two steps arrive, and the weights of the rest don't add up to 1.",
)
def not_scaled_up(teacher: nn.Module, noisy: Tensor, noise_level: Tensor, middle: Tensor, next_level: Tensor) -> Tensor:
    arrived = arrival(teacher, noisy, noise_level, middle, next_level)
    return arrived - next_level / noise_level * noisy


@mistake("distillation_target", "All of `noisy` is taken out of where the steps arrive, but only a fraction is in it.")
def all_taken_out(teacher: nn.Module, noisy: Tensor, noise_level: Tensor, middle: Tensor, next_level: Tensor) -> Tensor:
    arrived = arrival(teacher, noisy, noise_level, middle, next_level)
    return (arrived - noisy) / (1 - next_level / noise_level)


@mistake("distillation_target", "The teacher is shown `noisy` again, and not the pictures that its first step reached.")
@torch.no_grad()
def shown_noisy_twice(
    teacher: nn.Module, noisy: Tensor, noise_level: Tensor, middle: Tensor, next_level: Tensor
) -> Tensor:
    first, second = teacher(noisy, noise_level), teacher(noisy, middle)
    kept, both = next_level / middle, next_level / noise_level
    return torch.lerp(first, second, (1 - kept) / (1 - both))


@mistake("distillation_target", "The teacher is shown its own first prediction, and not the mix that its step reached.")
@torch.no_grad()
def shown_its_prediction(
    teacher: nn.Module, noisy: Tensor, noise_level: Tensor, middle: Tensor, next_level: Tensor
) -> Tensor:
    first = teacher(noisy, noise_level)
    second = teacher(first, middle)
    kept, both = next_level / middle, next_level / noise_level
    return torch.lerp(first, second, (1 - kept) / (1 - both))


@mistake("distillation_target", "In its second step, the teacher still gets the level at which the first step began.")
@torch.no_grad()
def same_level_twice(
    teacher: nn.Module, noisy: Tensor, noise_level: Tensor, middle: Tensor, next_level: Tensor
) -> Tensor:
    first = teacher(noisy, noise_level)
    second = teacher(remix(noisy, first, noise_level, middle), noise_level)
    kept, both = next_level / middle, next_level / noise_level
    return torch.lerp(first, second, (1 - kept) / (1 - both))


@mistake("distillation_target", "In its second step, the teacher gets the level where the step ends.")
@torch.no_grad()
def level_of_the_end(
    teacher: nn.Module, noisy: Tensor, noise_level: Tensor, middle: Tensor, next_level: Tensor
) -> Tensor:
    first = teacher(noisy, noise_level)
    second = teacher(remix(noisy, first, noise_level, middle), next_level)
    kept, both = next_level / middle, next_level / noise_level
    return torch.lerp(first, second, (1 - kept) / (1 - both))


@mistake("distillation_target", "The teacher's first step goes all the way to `next_level`, and not to `middle`.")
@torch.no_grad()
def first_step_too_far(
    teacher: nn.Module, noisy: Tensor, noise_level: Tensor, middle: Tensor, next_level: Tensor
) -> Tensor:
    first = teacher(noisy, noise_level)
    second = teacher(remix(noisy, first, noise_level, next_level), middle)
    kept, both = next_level / middle, next_level / noise_level
    return torch.lerp(first, second, (1 - kept) / (1 - both))


@mistake("distillation_target", "Halfway, the first prediction is mixed with new noise, so the old noise is lost.")
@torch.no_grad()
def new_noise_halfway(
    teacher: nn.Module, noisy: Tensor, noise_level: Tensor, middle: Tensor, next_level: Tensor
) -> Tensor:
    first = teacher(noisy, noise_level)
    second = teacher(mix(first, torch.full_like(noisy, 0.5), middle), middle)
    kept, both = next_level / middle, next_level / noise_level
    return torch.lerp(first, second, (1 - kept) / (1 - both))


@mistake("distillation_target", "The target is clamped to [0, 1], but it may leave that range.")
def target_clamped(
    teacher: nn.Module, noisy: Tensor, noise_level: Tensor, middle: Tensor, next_level: Tensor
) -> Tensor:
    return distillation_target(teacher, noisy, noise_level, middle, next_level).clamp(0, 1)


@mistake("distillation_target", "A step to level 0 comes out as nan or infinite, because something is divided by 0.")
def divided_by_zero(
    teacher: nn.Module, noisy: Tensor, noise_level: Tensor, middle: Tensor, next_level: Tensor
) -> Tensor:
    first, _, second = predictions(teacher, noisy, noise_level, middle)
    weight = (middle / next_level - 1) / (middle / next_level - middle / noise_level)
    return torch.lerp(first, second, weight)


@mistake("distillation_target", "The target is the extrapolated prediction, which is for a step that is still to come.")
def extrapolated(teacher: nn.Module, noisy: Tensor, noise_level: Tensor, middle: Tensor, next_level: Tensor) -> Tensor:
    first, _, second = predictions(teacher, noisy, noise_level, middle)
    return torch.lerp(first, second, 2.0)


@mistake(
    "distillation_target", "Gradients are on while the teacher predicts, which costs memory, and the teacher learns."
)
def gradients_on(teacher: nn.Module, noisy: Tensor, noise_level: Tensor, middle: Tensor, next_level: Tensor) -> Tensor:
    first = teacher(noisy, noise_level)
    second = teacher(remix(noisy, first, noise_level, middle), middle)
    kept, both = next_level / middle, next_level / noise_level
    return torch.lerp(first, second, (1 - kept) / (1 - both))


@mistake("distillation_target", "The first step is written into `noisy`, which belongs to the caller.")
@torch.no_grad()
def into_noisy(teacher: nn.Module, noisy: Tensor, noise_level: Tensor, middle: Tensor, next_level: Tensor) -> Tensor:
    first = teacher(noisy, noise_level)
    noisy.copy_(remix(noisy, first, noise_level, middle))
    kept, both = next_level / middle, next_level / noise_level
    return torch.lerp(first, teacher(noisy, middle), (1 - kept) / (1 - both))


# ---- 7.4 distill_step -----------------------------------------------------------------------------------------------


def drawn(clean: Tensor, schedule: Tensor, generator: Generator) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Return noise, and the levels at which a random step of the student begins, is halfway and ends, as is right."""
    levels = schedule.to(clean).view(-1, 1, 1, 1)
    step = 2 * torch.randint(len(levels) // 2, (len(clean),), generator=generator, device=clean.device)
    noise = torch.rand(clean.shape, generator=generator, device=clean.device, dtype=clean.dtype)
    return noise, levels[step], levels[step + 1], levels[step + 2]


def descend(optimizer: Optimizer, loss: Tensor) -> float:
    """Take a step of gradient descent, as is right."""
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    return loss.item()


@mistake("distill_step", "The student is compared with the clean pictures. That is the training of lesson 03.")
def compared_with_clean(
    student: nn.Module, teacher: nn.Module, optimizer: Optimizer, clean: Tensor, schedule: Tensor,
    *, generator: Generator = None,
) -> float:  # fmt: skip
    noise, begin, _, _ = drawn(clean, schedule, generator)
    teacher(clean, begin)
    return descend(optimizer, F.mse_loss(student(mix(clean, noise, begin), begin), clean))


@mistake("distill_step", "The target is a single prediction of the teacher, for the same pictures as the student's.")
def one_prediction_of_the_teacher(
    student: nn.Module, teacher: nn.Module, optimizer: Optimizer, clean: Tensor, schedule: Tensor,
    *, generator: Generator = None,
) -> float:  # fmt: skip
    noise, begin, _, _ = drawn(clean, schedule, generator)
    noisy = mix(clean, noise, begin)
    with torch.no_grad():
        target = teacher(noisy, begin)
    return descend(optimizer, F.mse_loss(student(noisy, begin), target))


@mistake("distill_step", "The student's prediction is compared with the noisy pictures at which the teacher arrives.")
def compared_with_the_arrival(
    student: nn.Module, teacher: nn.Module, optimizer: Optimizer, clean: Tensor, schedule: Tensor,
    *, generator: Generator = None,
) -> float:  # fmt: skip
    noise, begin, middle, end = drawn(clean, schedule, generator)
    noisy = mix(clean, noise, begin)
    target = remix(noisy, distillation_target(teacher, noisy, begin, middle, end), begin, end)
    return descend(optimizer, F.mse_loss(student(noisy, begin), target))


@mistake("distill_step", "Student and teacher have changed places: the target comes from the student.")
def places_changed(
    student: nn.Module, teacher: nn.Module, optimizer: Optimizer, clean: Tensor, schedule: Tensor,
    *, generator: Generator = None,
) -> float:  # fmt: skip
    noise, begin, middle, end = drawn(clean, schedule, generator)
    noisy = mix(clean, noise, begin)
    target = distillation_target(student, noisy, begin, middle, end)
    student_prediction = teacher(noisy, begin)
    return descend(optimizer, F.mse_loss(student_prediction, target))


@mistake("distill_step", "One step is drawn for the whole batch, so all pictures have the same level.")
def one_step_for_all(
    student: nn.Module, teacher: nn.Module, optimizer: Optimizer, clean: Tensor, schedule: Tensor,
    *, generator: Generator = None,
) -> float:  # fmt: skip
    levels = schedule.to(clean).view(-1, 1, 1, 1, 1)
    step = 2 * int(torch.randint(len(levels) // 2, (1,), generator=generator))
    noisy = mix(clean, torch.rand(clean.shape, generator=generator, dtype=clean.dtype), levels[step])
    target = distillation_target(teacher, noisy, *levels[step : step + 3])
    return descend(optimizer, F.mse_loss(student(noisy, levels[step]), target))


@mistake("distill_step", "Steps of the teacher are drawn, so the student also learns at levels it never begins at.")
def steps_of_the_teacher(
    student: nn.Module, teacher: nn.Module, optimizer: Optimizer, clean: Tensor, schedule: Tensor,
    *, generator: Generator = None,
) -> float:  # fmt: skip
    levels = schedule.to(clean).view(-1, 1, 1, 1)
    step = torch.randint(len(levels) - 2, (len(clean),), generator=generator)
    noisy = mix(clean, torch.rand(clean.shape, generator=generator, dtype=clean.dtype), levels[step])
    target = distillation_target(teacher, noisy, levels[step], levels[step + 1], levels[step + 2])
    return descend(optimizer, F.mse_loss(student(noisy, levels[step]), target))


@mistake("distill_step", "The levels are drawn anywhere in [0, 1), but the student only needs those of its own steps.")
def any_level(
    student: nn.Module, teacher: nn.Module, optimizer: Optimizer, clean: Tensor, schedule: Tensor,
    *, generator: Generator = None,
) -> float:  # fmt: skip
    begin = 1 - torch.rand(len(clean), 1, 1, 1, generator=generator, dtype=clean.dtype)
    noisy = mix(clean, torch.rand(clean.shape, generator=generator, dtype=clean.dtype), begin)
    target = distillation_target(teacher, noisy, begin, begin / 2, 0 * begin + 0 * float(schedule[-1]))
    return descend(optimizer, F.mse_loss(student(noisy, begin), target))


@mistake("distill_step", "The last step of the student is never drawn. torch.randint(n, ...) stops before n already.")
def last_never_drawn(
    student: nn.Module, teacher: nn.Module, optimizer: Optimizer, clean: Tensor, schedule: Tensor,
    *, generator: Generator = None,
) -> float:  # fmt: skip
    levels = schedule.to(clean).view(-1, 1, 1, 1)
    step = 2 * torch.randint(max(len(levels) // 2 - 1, 1), (len(clean),), generator=generator)
    noisy = mix(clean, torch.rand(clean.shape, generator=generator, dtype=clean.dtype), levels[step])
    target = distillation_target(teacher, noisy, levels[step], levels[step + 1], levels[step + 2])
    return descend(optimizer, F.mse_loss(student(noisy, levels[step]), target))


@mistake("distill_step", "The first step of the student, from pure noise, is never drawn.")
def first_never_drawn(
    student: nn.Module, teacher: nn.Module, optimizer: Optimizer, clean: Tensor, schedule: Tensor,
    *, generator: Generator = None,
) -> float:  # fmt: skip
    levels = schedule.to(clean).view(-1, 1, 1, 1)
    step = 2 * torch.randint(1, len(levels) // 2, (len(clean),), generator=generator)
    noisy = mix(clean, torch.rand(clean.shape, generator=generator, dtype=clean.dtype), levels[step])
    target = distillation_target(teacher, noisy, levels[step], levels[step + 1], levels[step + 2])
    return descend(optimizer, F.mse_loss(student(noisy, levels[step]), target))


@mistake("distill_step", "The steps are dealt out in order, not at random.")
def steps_in_order(
    student: nn.Module, teacher: nn.Module, optimizer: Optimizer, clean: Tensor, schedule: Tensor,
    *, generator: Generator = None,
) -> float:  # fmt: skip
    levels = schedule.to(clean).view(-1, 1, 1, 1)
    step = 2 * (torch.arange(len(clean)) % (len(levels) // 2))
    noisy = mix(clean, torch.rand(clean.shape, generator=generator, dtype=clean.dtype), levels[step])
    target = distillation_target(teacher, noisy, levels[step], levels[step + 1], levels[step + 2])
    return descend(optimizer, F.mse_loss(student(noisy, levels[step]), target))


@mistake("distill_step", "The student is shown the pictures of one level, and gets the level halfway through the step.")
def level_of_the_middle(
    student: nn.Module, teacher: nn.Module, optimizer: Optimizer, clean: Tensor, schedule: Tensor,
    *, generator: Generator = None,
) -> float:  # fmt: skip
    noise, begin, middle, end = drawn(clean, schedule, generator)
    noisy = mix(clean, noise, begin)
    target = distillation_target(teacher, noisy, begin, middle, end)
    return descend(optimizer, F.mse_loss(student(noisy, middle), target))


@mistake("distill_step", "The student is shown pure noise at every level, and never anything of a picture.")
def always_pure_noise(
    student: nn.Module, teacher: nn.Module, optimizer: Optimizer, clean: Tensor, schedule: Tensor,
    *, generator: Generator = None,
) -> float:  # fmt: skip
    noise, begin, middle, end = drawn(clean, schedule, generator)
    target = distillation_target(teacher, noise, begin, middle, end)
    return descend(optimizer, F.mse_loss(student(noise, begin), target))


@mistake("distill_step", "The student is shown the clean pictures, without any noise.")
def no_noise(
    student: nn.Module, teacher: nn.Module, optimizer: Optimizer, clean: Tensor, schedule: Tensor,
    *, generator: Generator = None,
) -> float:  # fmt: skip
    _, begin, middle, end = drawn(clean, schedule, generator)
    target = distillation_target(teacher, clean, begin, middle, end)
    return descend(optimizer, F.mse_loss(student(clean, begin), target))


@mistake("distill_step", "The noise is Gaussian, but the networks only know uniform noise.")
def gaussian(
    student: nn.Module, teacher: nn.Module, optimizer: Optimizer, clean: Tensor, schedule: Tensor,
    *, generator: Generator = None,
) -> float:  # fmt: skip
    _, begin, middle, end = drawn(clean, schedule, generator)
    noisy = mix(clean, torch.randn(clean.shape, generator=generator, dtype=clean.dtype), begin)
    target = distillation_target(teacher, noisy, begin, middle, end)
    return descend(optimizer, F.mse_loss(student(noisy, begin), target))


@mistake("distill_step", "All pictures of the batch get the same noise.")
def same_noise(
    student: nn.Module, teacher: nn.Module, optimizer: Optimizer, clean: Tensor, schedule: Tensor,
    *, generator: Generator = None,
) -> float:  # fmt: skip
    noise, begin, middle, end = drawn(clean, schedule, generator)
    noisy = mix(clean, noise[:1], begin)
    target = distillation_target(teacher, noisy, begin, middle, end)
    return descend(optimizer, F.mse_loss(student(noisy, begin), target))


@mistake("distill_step", "The clean picture and the noise are swapped in the mix.")
def swapped(
    student: nn.Module, teacher: nn.Module, optimizer: Optimizer, clean: Tensor, schedule: Tensor,
    *, generator: Generator = None,
) -> float:  # fmt: skip
    noise, begin, middle, end = drawn(clean, schedule, generator)
    noisy = mix(noise, clean, begin)
    target = distillation_target(teacher, noisy, begin, middle, end)
    return descend(optimizer, F.mse_loss(student(noisy, begin), target))


@mistake(
    "distill_step", "The target is for a step that skips the middle: `middle` and the end of the step are swapped."
)
def middle_and_end_swapped(
    student: nn.Module, teacher: nn.Module, optimizer: Optimizer, clean: Tensor, schedule: Tensor,
    *, generator: Generator = None,
) -> float:  # fmt: skip
    noise, begin, middle, end = drawn(clean, schedule, generator)
    noisy = mix(clean, noise, begin)
    target = distillation_target(teacher, noisy, begin, end.clamp(min=1e-3), middle)
    return descend(optimizer, F.mse_loss(student(noisy, begin), target))


@mistake("distill_step", "Every step goes down to level 0, but only the student's last step does.")
def always_to_zero(
    student: nn.Module, teacher: nn.Module, optimizer: Optimizer, clean: Tensor, schedule: Tensor,
    *, generator: Generator = None,
) -> float:  # fmt: skip
    noise, begin, middle, _ = drawn(clean, schedule, generator)
    noisy = mix(clean, noise, begin)
    target = distillation_target(teacher, noisy, begin, middle, torch.zeros_like(middle))
    return descend(optimizer, F.mse_loss(student(noisy, begin), target))


@mistake("distill_step", "The squares are added up, not averaged, so the loss depends on the size of the batch.")
def summed(
    student: nn.Module, teacher: nn.Module, optimizer: Optimizer, clean: Tensor, schedule: Tensor,
    *, generator: Generator = None,
) -> float:  # fmt: skip
    noise, begin, middle, end = drawn(clean, schedule, generator)
    noisy = mix(clean, noise, begin)
    target = distillation_target(teacher, noisy, begin, middle, end)
    return descend(optimizer, (student(noisy, begin) - target).square().sum())


@mistake("distill_step", "The loss is the mean absolute error, not the mean squared error.")
def absolute(
    student: nn.Module, teacher: nn.Module, optimizer: Optimizer, clean: Tensor, schedule: Tensor,
    *, generator: Generator = None,
) -> float:  # fmt: skip
    noise, begin, middle, end = drawn(clean, schedule, generator)
    noisy = mix(clean, noise, begin)
    target = distillation_target(teacher, noisy, begin, middle, end)
    return descend(optimizer, (student(noisy, begin) - target).abs().mean())


@mistake("distill_step", "`optimizer.step()` is missing, so the weights never change.")
def no_step(
    student: nn.Module, teacher: nn.Module, optimizer: Optimizer, clean: Tensor, schedule: Tensor,
    *, generator: Generator = None,
) -> float:  # fmt: skip
    noise, begin, middle, end = drawn(clean, schedule, generator)
    noisy = mix(clean, noise, begin)
    loss = F.mse_loss(student(noisy, begin), distillation_target(teacher, noisy, begin, middle, end))
    optimizer.zero_grad()
    loss.backward()
    return loss.item()


@mistake("distill_step", "`backward()` is missing, so the optimizer has no gradients to follow.")
def no_backward(
    student: nn.Module, teacher: nn.Module, optimizer: Optimizer, clean: Tensor, schedule: Tensor,
    *, generator: Generator = None,
) -> float:  # fmt: skip
    noise, begin, middle, end = drawn(clean, schedule, generator)
    noisy = mix(clean, noise, begin)
    loss = F.mse_loss(student(noisy, begin), distillation_target(teacher, noisy, begin, middle, end))
    optimizer.zero_grad()
    optimizer.step()
    return loss.item()


@mistake("distill_step", "The gradients are set to zero after `backward()`, so there is nothing left to follow.")
def zeroed_too_late(
    student: nn.Module, teacher: nn.Module, optimizer: Optimizer, clean: Tensor, schedule: Tensor,
    *, generator: Generator = None,
) -> float:  # fmt: skip
    noise, begin, middle, end = drawn(clean, schedule, generator)
    noisy = mix(clean, noise, begin)
    loss = F.mse_loss(student(noisy, begin), distillation_target(teacher, noisy, begin, middle, end))
    loss.backward()
    optimizer.zero_grad(set_to_none=False)
    optimizer.step()
    return loss.item()


@mistake("distill_step", "`optimizer.zero_grad()` is missing, so the gradients of all steps add up.")
def never_zeroed(
    student: nn.Module, teacher: nn.Module, optimizer: Optimizer, clean: Tensor, schedule: Tensor,
    *, generator: Generator = None,
) -> float:  # fmt: skip
    noise, begin, middle, end = drawn(clean, schedule, generator)
    noisy = mix(clean, noise, begin)
    loss = F.mse_loss(student(noisy, begin), distillation_target(teacher, noisy, begin, middle, end))
    loss.backward()
    optimizer.step()
    return loss.item()


@mistake("distill_step", "The student is called without gradients, so it can't learn.")
def student_without_gradients(
    student: nn.Module, teacher: nn.Module, optimizer: Optimizer, clean: Tensor, schedule: Tensor,
    *, generator: Generator = None,
) -> float:  # fmt: skip
    noise, begin, middle, end = drawn(clean, schedule, generator)
    noisy = mix(clean, noise, begin)
    with torch.no_grad():
        loss = F.mse_loss(student(noisy, begin), distillation_target(teacher, noisy, begin, middle, end))
    return descend(optimizer, loss)


@mistake("distill_step", "The loss is returned as a tensor. The caller needs a plain number: loss.item().")
def loss_as_a_tensor(
    student: nn.Module, teacher: nn.Module, optimizer: Optimizer, clean: Tensor, schedule: Tensor,
    *, generator: Generator = None,
) -> Tensor:  # fmt: skip
    noise, begin, middle, end = drawn(clean, schedule, generator)
    noisy = mix(clean, noise, begin)
    loss = F.mse_loss(student(noisy, begin), distillation_target(teacher, noisy, begin, middle, end))
    descend(optimizer, loss)
    return loss


@mistake("distill_step", "The generator isn't used, so the same seed gives other steps and other noise each time.")
def generator_ignored(
    student: nn.Module, teacher: nn.Module, optimizer: Optimizer, clean: Tensor, schedule: Tensor,
    *, generator: Generator = None,
) -> float:  # fmt: skip
    noise, begin, middle, end = drawn(clean, schedule, None)
    noisy = mix(clean, noise, begin)
    loss = F.mse_loss(student(noisy, begin), distillation_target(teacher, noisy, begin, middle, end))
    return descend(optimizer, loss)


@mistake("distill_step", "The noise is mixed into `clean` in place, but the batch belongs to the caller.")
def into_clean(
    student: nn.Module, teacher: nn.Module, optimizer: Optimizer, clean: Tensor, schedule: Tensor,
    *, generator: Generator = None,
) -> float:  # fmt: skip
    noise, begin, middle, end = drawn(clean, schedule, generator)
    noisy = clean.lerp_(noise, begin)
    loss = F.mse_loss(student(noisy, begin), distillation_target(teacher, noisy, begin, middle, end))
    return descend(optimizer, loss)


# ---- 7.5 one_step ---------------------------------------------------------------------------------------------------


def noise_for(student: nn.Module, n: int, shape: Sequence[int], generator: Generator) -> Tensor:
    """Draw the noise, as is right."""
    weights = next(student.parameters(), torch.empty(0))
    return torch.rand((n, *shape), generator=generator, device=weights.device, dtype=weights.dtype)


@mistake("one_step", "The student gets level 0, as if the noise were a clean picture. The level of pure noise is 1.")
@torch.no_grad()
def level_zero(student: nn.Module, n_images: int, *, image_shape: Sequence[int], generator: Generator = None) -> Tensor:
    noise = noise_for(student, n_images, image_shape, generator)
    return student(noise, noise.new_zeros(1, 1, 1, 1)).clamp(0, 1)


@mistake("one_step", "The student gets level 0.5. The level of pure noise is 1.")
@torch.no_grad()
def level_one_half(
    student: nn.Module, n_images: int, *, image_shape: Sequence[int], generator: Generator = None
) -> Tensor:
    noise = noise_for(student, n_images, image_shape, generator)
    return student(noise, noise.new_full((1, 1, 1, 1), 0.5)).clamp(0, 1)


@mistake("one_step", "The student gets random noise levels, as in training. The level of pure noise is 1.")
@torch.no_grad()
def random_levels(
    student: nn.Module, n_images: int, *, image_shape: Sequence[int], generator: Generator = None
) -> Tensor:
    noise = noise_for(student, n_images, image_shape, generator)
    levels = torch.rand(n_images, 1, 1, 1, generator=generator, dtype=noise.dtype)
    return student(noise, levels).clamp(0, 1)


@mistake("one_step", "The student gets its noise level as a plain number, but it needs a tensor.")
@torch.no_grad()
def plain_level(
    student: nn.Module, n_images: int, *, image_shape: Sequence[int], generator: Generator = None
) -> Tensor:
    noise = noise_for(student, n_images, image_shape, generator)
    return student(noise, 1.0).clamp(0, 1)


@mistake("one_step", "The noise level has one dimension, but its shape should be (1, 1, 1, 1).")
@torch.no_grad()
def flat_level(student: nn.Module, n_images: int, *, image_shape: Sequence[int], generator: Generator = None) -> Tensor:
    noise = noise_for(student, n_images, image_shape, generator)
    return student(noise, noise.new_ones(n_images)).clamp(0, 1)


@mistake("one_step", "The noise level has no dimensions, but its shape should be (1, 1, 1, 1).")
@torch.no_grad()
def level_without_dimensions(
    student: nn.Module, n_images: int, *, image_shape: Sequence[int], generator: Generator = None
) -> Tensor:
    noise = noise_for(student, n_images, image_shape, generator)
    return student(noise, noise.new_tensor(1.0)).clamp(0, 1)


@mistake("one_step", "The student is called without a noise level.")
@torch.no_grad()
def no_level(student: nn.Module, n_images: int, *, image_shape: Sequence[int], generator: Generator = None) -> Tensor:
    return student(noise_for(student, n_images, image_shape, generator)).clamp(0, 1)


@mistake("one_step", "The pictures aren't clamped to [0, 1].")
@torch.no_grad()
def not_clamped(
    student: nn.Module, n_images: int, *, image_shape: Sequence[int], generator: Generator = None
) -> Tensor:
    noise = noise_for(student, n_images, image_shape, generator)
    return student(noise, noise.new_ones(1, 1, 1, 1))


@mistake("one_step", "The pictures go through a sigmoid, which changes all of them. Clamp them instead.")
@torch.no_grad()
def sigmoid(student: nn.Module, n_images: int, *, image_shape: Sequence[int], generator: Generator = None) -> Tensor:
    noise = noise_for(student, n_images, image_shape, generator)
    return student(noise, noise.new_ones(1, 1, 1, 1)).sigmoid()


@mistake("one_step", "The result is the noise, and the student's prediction is thrown away.")
@torch.no_grad()
def noise_returned(
    student: nn.Module, n_images: int, *, image_shape: Sequence[int], generator: Generator = None
) -> Tensor:
    noise = noise_for(student, n_images, image_shape, generator)
    student(noise, noise.new_ones(1, 1, 1, 1))
    return noise


@mistake("one_step", "The prediction is mixed half and half with the noise, but a step to level 0 keeps no noise.")
@torch.no_grad()
def half_noise(student: nn.Module, n_images: int, *, image_shape: Sequence[int], generator: Generator = None) -> Tensor:
    noise = noise_for(student, n_images, image_shape, generator)
    return torch.lerp(student(noise, noise.new_ones(1, 1, 1, 1)), noise, 0.5).clamp(0, 1)


@mistake("one_step", "The student is called twice. Its first prediction for pure noise is the picture already.")
@torch.no_grad()
def called_twice(
    student: nn.Module, n_images: int, *, image_shape: Sequence[int], generator: Generator = None
) -> Tensor:
    noise = noise_for(student, n_images, image_shape, generator)
    level = noise.new_ones(1, 1, 1, 1)
    return student(torch.lerp(student(noise, level), noise, 0.5), level / 2).clamp(0, 1)


@mistake("one_step", "The noise is Gaussian, but the student only knows uniform noise.")
@torch.no_grad()
def gaussian_noise(
    student: nn.Module, n_images: int, *, image_shape: Sequence[int], generator: Generator = None
) -> Tensor:
    noise = torch.randn_like(noise_for(student, n_images, image_shape, None)).clone()
    noise.normal_(generator=generator)
    return student(noise, noise.new_ones(1, 1, 1, 1)).clamp(0, 1)


@mistake("one_step", "All pictures start from the same noise, so they are all the same picture.")
@torch.no_grad()
def one_noise_for_all(
    student: nn.Module, n_images: int, *, image_shape: Sequence[int], generator: Generator = None
) -> Tensor:
    noise = noise_for(student, 1, image_shape, generator).repeat(n_images, 1, 1, 1)
    return student(noise, noise.new_ones(1, 1, 1, 1)).clamp(0, 1)


@mistake("one_step", "Only one picture is drawn, whatever `n_images` is.")
@torch.no_grad()
def one_picture(
    student: nn.Module, n_images: int, *, image_shape: Sequence[int], generator: Generator = None
) -> Tensor:
    noise = noise_for(student, min(1, n_images), image_shape, generator)
    return student(noise, noise.new_ones(1, 1, 1, 1)).clamp(0, 1)


@mistake("one_step", "The pictures are a list. The caller needs a tensor.")
@torch.no_grad()
def list_of_pictures(
    student: nn.Module, n_images: int, *, image_shape: Sequence[int], generator: Generator = None
) -> list[Tensor]:
    noise = noise_for(student, n_images, image_shape, generator)
    return list(student(noise, noise.new_ones(1, 1, 1, 1)).clamp(0, 1))


@mistake("one_step", "Gradients are on while the student predicts, and the pictures carry a graph.")
def with_gradients(
    student: nn.Module, n_images: int, *, image_shape: Sequence[int], generator: Generator = None
) -> Tensor:
    noise = noise_for(student, n_images, image_shape, generator)
    return student(noise, noise.new_ones(1, 1, 1, 1)).clamp(0, 1)


@mistake("one_step", "The generator isn't used, so the same seed gives other pictures each time.")
@torch.no_grad()
def seed_ignored(
    student: nn.Module,
    n_images: int,
    *,
    image_shape: Sequence[int],
    generator: Generator = None,
) -> Tensor:
    noise = noise_for(student, n_images, image_shape, None)
    return student(noise, noise.new_ones(1, 1, 1, 1)).clamp(0, 1)


@mistake("one_step", "The noise is always float32, whatever the dtype of the student's weights is.")
@torch.no_grad()
def always_float32(
    student: nn.Module, n_images: int, *, image_shape: Sequence[int], generator: Generator = None
) -> Tensor:
    noise = torch.rand((n_images, *image_shape), generator=generator)
    return student(noise, torch.ones(1, 1, 1, 1)).clamp(0, 1)


@mistake("one_step", "The code needs a student with weights. A student without weights raises an error.")
@torch.no_grad()
def weights_needed(
    student: nn.Module, n_images: int, *, image_shape: Sequence[int], generator: Generator = None
) -> Tensor:
    weights = next(student.parameters())
    noise = torch.rand((n_images, *image_shape), generator=generator, device=weights.device, dtype=weights.dtype)
    return student(noise, noise.new_ones(1, 1, 1, 1)).clamp(0, 1)
