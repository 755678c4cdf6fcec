"""Common wrong answers to lesson 04, each with the sentence that the learner reads. The grader recognizes them.

Spoilers: this file gives the exercises away.
"""

import math
from collections.abc import Iterator, Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn

import dino.sampler

from ....sampler import Step, extrapolate, remix
from ...grader.expect import mistake

Generator = torch.Generator | None
Schedule = Tensor | Sequence[float]


# ---- 4.1 noise_schedule ---------------------------------------------------------------------------------------------


def at_least_one(n_steps: int) -> None:
    """Raise a ValueError if there is no step to take. Most mistakes get this part right."""
    if n_steps < 1:
        raise ValueError("at least 1 step")


@mistake("noise_schedule", "There is one level per step, but each step goes from one level to the next.")
def one_level_short(n_steps: int) -> Tensor:
    at_least_one(n_steps)
    return torch.linspace(1, 0, n_steps)


@mistake("noise_schedule", "The levels stop one short of 0, so the last step is never taken.")
def zero_left_out(n_steps: int) -> Tensor:
    at_least_one(n_steps)
    return torch.linspace(1, 0, n_steps + 1)[:-1]


@mistake("noise_schedule", "The levels start one step below 1, but the sampler starts from pure noise.")
def one_left_out(n_steps: int) -> Tensor:
    at_least_one(n_steps)
    return torch.linspace(1, 0, n_steps + 1)[1:]


@mistake("noise_schedule", "There is one level too many: you counted the extra level twice.")
def one_level_too_many(n_steps: int) -> Tensor:
    at_least_one(n_steps)
    return torch.linspace(1, 0, n_steps + 2)


@mistake("noise_schedule", "The levels rise from 0 to 1, but sampling starts from pure noise and goes down.")
def ascending(n_steps: int) -> Tensor:
    at_least_one(n_steps)
    return torch.linspace(0, 1, n_steps + 1)


@mistake("noise_schedule", "The last level is slightly above 0, so a trace of noise stays in every picture.")
def ends_above_zero(n_steps: int) -> Tensor:
    at_least_one(n_steps)
    return torch.linspace(1, 1e-3, n_steps + 1)


@mistake("noise_schedule", "The first level is slightly below 1, but the sampler starts from noise and nothing else.")
def starts_below_one(n_steps: int) -> Tensor:
    at_least_one(n_steps)
    return torch.linspace(0.999, 0, n_steps + 1)


@mistake("noise_schedule", "The levels follow a cosine and bunch up at both ends, but they should be evenly spaced.")
def cosine(n_steps: int) -> Tensor:
    at_least_one(n_steps)
    return (1 + torch.cos(math.pi * torch.linspace(0, 1, n_steps + 1))) / 2


@mistake("noise_schedule", "The levels are squared and bunch up near 0, but they should be evenly spaced.")
def squared(n_steps: int) -> Tensor:
    at_least_one(n_steps)
    return torch.linspace(1, 0, n_steps + 1) ** 2


@mistake(
    "noise_schedule", "Each level is half of the previous level, so the levels aren't evenly spaced and never reach 0."
)
def halved(n_steps: int) -> Tensor:
    at_least_one(n_steps)
    return 0.5 ** torch.arange(n_steps + 1)


@mistake("noise_schedule", "The levels are step numbers, but a noise level is a fraction, from 0 to 1.")
def step_numbers(n_steps: int) -> Tensor:
    at_least_one(n_steps)
    return torch.arange(n_steps, -1, -1)


@mistake("noise_schedule", "The division rounds down to whole numbers, so every level after the first is 0.")
def whole_numbers(n_steps: int) -> Tensor:
    at_least_one(n_steps)
    return torch.arange(n_steps, -1, -1) // n_steps


@mistake(
    "noise_schedule", "The levels are divided by the number of levels, one more than the steps, so they don't reach 1."
)
def divided_by_too_much(n_steps: int) -> Tensor:
    at_least_one(n_steps)
    return torch.arange(n_steps, -1, -1) / (n_steps + 1)


@mistake(
    "noise_schedule", "The levels are sorted random numbers, but they should be evenly spaced and always the same."
)
def drawn_at_random(n_steps: int) -> Tensor:
    at_least_one(n_steps)
    levels = torch.rand(n_steps + 1, generator=torch.Generator().manual_seed(0))
    return levels.sort(descending=True).values


@mistake("noise_schedule", "The function returns a list, but the code that uses the levels expects a tensor.")
def a_list(n_steps: int) -> list[float]:
    at_least_one(n_steps)
    return [1 - i / n_steps for i in range(n_steps + 1)]


@mistake("noise_schedule", "The levels have four dimensions, like images, but the docstring asks for one dimension.")
def four_dimensions(n_steps: int) -> Tensor:
    at_least_one(n_steps)
    return torch.linspace(1, 0, n_steps + 1).view(-1, 1, 1, 1)


@mistake("noise_schedule", "The levels come in pairs, (from, to), but the docstring asks for one dimension.")
def pairs(n_steps: int) -> Tensor:
    at_least_one(n_steps)
    levels = torch.linspace(1, 0, n_steps + 1)
    return torch.stack([levels[:-1], levels[1:]], dim=1)


@mistake("noise_schedule", "The levels are float64, but the pictures and the network are float32.")
def double_precision(n_steps: int) -> Tensor:
    at_least_one(n_steps)
    return torch.linspace(1, 0, n_steps + 1, dtype=torch.float64)


@mistake(
    "noise_schedule",
    "With torch.arange and a step of -1/n, rounding decides whether the levels end at 0 or go past it.",
)
def arange_by_fractions(n_steps: int) -> Tensor:
    at_least_one(n_steps)
    return torch.arange(1, -1 / n_steps, -1 / n_steps)


@mistake("noise_schedule", "The function accepts 0 steps, but a schedule needs at least one step.")
def nothing_refused(n_steps: int) -> Tensor:
    return torch.linspace(1, 0, n_steps + 1)


@mistake("noise_schedule", "The function refuses 0 steps, but it accepts negative numbers.")
def zero_alone_refused(n_steps: int) -> Tensor:
    if n_steps == 0:
        raise ValueError("at least 1 step")
    return torch.linspace(1, 0, max(0, n_steps + 1))


@mistake("noise_schedule", "`assert` raises an AssertionError, but the docstring promises a different error.")
def asserted(n_steps: int) -> Tensor:
    assert n_steps >= 1
    return torch.linspace(1, 0, n_steps + 1)


# ---- 4.2 extrapolate ------------------------------------------------------------------------------------------------


@mistake("extrapolate", "The two predictions are swapped, so the result goes back toward the previous prediction.")
def predictions_swapped(denoised: Tensor, previous: Tensor | None, step_size: float) -> Tensor:
    return denoised if previous is None else torch.lerp(denoised, previous, step_size)


@mistake("extrapolate", "The distance is measured from the new prediction, so even a step size of 1 goes beyond it.")
def counted_from_the_new(denoised: Tensor, previous: Tensor | None, step_size: float) -> Tensor:
    return denoised if previous is None else denoised + step_size * (denoised - previous)


@mistake("extrapolate", "A step size of 2 goes back to the previous prediction: the change has the wrong sign.")
def wrong_sign(denoised: Tensor, previous: Tensor | None, step_size: float) -> Tensor:
    return denoised if previous is None else denoised + (step_size - 1) * (previous - denoised)


@mistake("extrapolate", "The result is always the new prediction: `previous` and `step_size` aren't used.")
def never_extrapolated(denoised: Tensor, previous: Tensor | None, step_size: float) -> Tensor:
    return denoised.clone()


@mistake("extrapolate", "The function always acts as if the step size were 2: `step_size` isn't used.")
def always_two(denoised: Tensor, previous: Tensor | None, step_size: float) -> Tensor:
    return denoised if previous is None else 2 * denoised - previous


@mistake(
    "extrapolate", "The function always acts as if the step size were 1.5 (Adams-Bashforth): `step_size` isn't used."
)
def always_one_and_a_half(denoised: Tensor, previous: Tensor | None, step_size: float) -> Tensor:
    return denoised if previous is None else 1.5 * denoised - 0.5 * previous


@mistake("extrapolate", "The result is the change alone, but the change should be added to the previous prediction.")
def change_alone(denoised: Tensor, previous: Tensor | None, step_size: float) -> Tensor:
    return denoised if previous is None else step_size * (denoised - previous)


@mistake("extrapolate", "The whole new prediction is added to the previous prediction, instead of their difference.")
def added_whole(denoised: Tensor, previous: Tensor | None, step_size: float) -> Tensor:
    return denoised if previous is None else previous + step_size * denoised


@mistake(
    "extrapolate", "The weights of the two predictions add up to more than 1, so pictures would become too bright."
)
def weights_above_one(denoised: Tensor, previous: Tensor | None, step_size: float) -> Tensor:
    return denoised if previous is None else step_size * denoised + (step_size - 1) * previous


@mistake("extrapolate", "The weights of the two predictions add up to 1 only at a step size of 2.")
def right_at_two_alone(denoised: Tensor, previous: Tensor | None, step_size: float) -> Tensor:
    return denoised if previous is None else step_size * denoised - previous


@mistake("extrapolate", "The new prediction is multiplied by the step size, and `previous` isn't used.")
def multiplied(denoised: Tensor, previous: Tensor | None, step_size: float) -> Tensor:
    return denoised if previous is None else step_size * denoised


@mistake("extrapolate", "The two predictions are averaged, so the result is half a step behind.")
def averaged(denoised: Tensor, previous: Tensor | None, step_size: float) -> Tensor:
    return denoised if previous is None else (denoised + previous) / 2


@mistake("extrapolate", "The result is clamped to [0, 1], but it may leave that range.")
def guess_clamped(denoised: Tensor, previous: Tensor | None, step_size: float) -> Tensor:
    return denoised if previous is None else torch.lerp(previous, denoised, step_size).clamp(0, 1)


@mistake("extrapolate", "The step size is capped at 1, so the result never goes beyond the new prediction.")
def never_beyond(denoised: Tensor, previous: Tensor | None, step_size: float) -> Tensor:
    return denoised if previous is None else torch.lerp(previous, denoised, min(step_size, 1.0))


@mistake("extrapolate", "The step size is rounded down to a whole number.")
def rounded_down(denoised: Tensor, previous: Tensor | None, step_size: float) -> Tensor:
    return denoised if previous is None else torch.lerp(previous, denoised, max(int(step_size), step_size % 1))


@mistake("extrapolate", "On the first step, a black picture stands in for the previous prediction.")
def black_before_the_first(denoised: Tensor, previous: Tensor | None, step_size: float) -> Tensor:
    return torch.lerp(torch.zeros_like(denoised) if previous is None else previous, denoised, step_size)


@mistake("extrapolate", "On the first step, a gray picture stands in for the previous prediction.")
def gray_before_the_first(denoised: Tensor, previous: Tensor | None, step_size: float) -> Tensor:
    return torch.lerp(torch.full_like(denoised, 0.5) if previous is None else previous, denoised, step_size)


@mistake("extrapolate", "On the first step, where `previous` is None, the function returns nothing.")
def nothing_at_first(denoised: Tensor, previous: Tensor | None, step_size: float) -> Tensor | None:
    return None if previous is None else torch.lerp(previous, denoised, step_size)


@mistake("extrapolate", "The code doesn't handle `previous` being None, and Python can't calculate with None.")
def none_forgotten(denoised: Tensor, previous: Tensor | None, step_size: float) -> Tensor:
    return previous + step_size * (denoised - previous)


@mistake("extrapolate", "The code doesn't handle `previous` being None, and torch.lerp needs two tensors.")
def none_in_lerp(denoised: Tensor, previous: Tensor | None, step_size: float) -> Tensor:
    return torch.lerp(previous, denoised, step_size)


@mistake("extrapolate", "`if previous` asks whether a whole tensor is true. Compare it with None instead.")
def truth_of_a_tensor(denoised: Tensor, previous: Tensor | None, step_size: float) -> Tensor:
    if previous:
        return torch.lerp(previous, denoised, step_size)
    return denoised


@mistake("extrapolate", "The result is written into `previous`, which belongs to the caller.")
def into_previous(denoised: Tensor, previous: Tensor | None, step_size: float) -> Tensor:
    return denoised if previous is None else previous.lerp_(denoised, step_size)


@mistake(
    "extrapolate", "The result is written into `denoised`, but the next step needs that prediction to extrapolate."
)
def into_denoised(denoised: Tensor, previous: Tensor | None, step_size: float) -> Tensor:
    return denoised if previous is None else denoised.sub_(previous).mul_(step_size).add_(previous)


# ---- 4.3 remix ------------------------------------------------------------------------------------------------------


@mistake("remix", "The fraction is upside down: when the next level is lower, the fraction comes out above 1.")
def fraction_inverted(noisy: Tensor, guess: Tensor, noise_level: Tensor, next_level: Tensor) -> Tensor:
    return torch.lerp(guess, noisy, noise_level / next_level)


@mistake(
    "remix", "The fraction of `noisy` that is kept is the next level, as if `noisy` were pure noise at every step."
)
def next_level_alone(noisy: Tensor, guess: Tensor, noise_level: Tensor, next_level: Tensor) -> Tensor:
    return torch.lerp(guess, noisy, next_level)


@mistake("remix", "The fraction of `noisy` that is kept is the current level, and `next_level` isn't used.")
def this_level_alone(noisy: Tensor, guess: Tensor, noise_level: Tensor, next_level: Tensor) -> Tensor:
    return torch.lerp(guess, noisy, noise_level)


@mistake("remix", "`guess` and `noisy` are swapped, so the lower the next level, the more noise is kept.")
def guess_and_noisy_swapped(noisy: Tensor, guess: Tensor, noise_level: Tensor, next_level: Tensor) -> Tensor:
    return torch.lerp(noisy, guess, next_level / noise_level)


@mistake(
    "remix", "The weight of `guess` is the difference of the two levels. What fraction of the current level is that?"
)
def difference_of_levels(noisy: Tensor, guess: Tensor, noise_level: Tensor, next_level: Tensor) -> Tensor:
    return torch.lerp(noisy, guess, noise_level - next_level)


@mistake("remix", "The fraction of `noisy` that is kept is the difference of the two levels.")
def difference_kept(noisy: Tensor, guess: Tensor, noise_level: Tensor, next_level: Tensor) -> Tensor:
    return torch.lerp(guess, noisy, noise_level - next_level)


@mistake("remix", "The fraction of `noisy` that is kept is the product of the two levels.")
def product_of_levels(noisy: Tensor, guess: Tensor, noise_level: Tensor, next_level: Tensor) -> Tensor:
    return torch.lerp(guess, noisy, noise_level * next_level)


@mistake("remix", "The function returns `guess` unchanged, so it throws away everything that `noisy` contained.")
def guess_alone(noisy: Tensor, guess: Tensor, noise_level: Tensor, next_level: Tensor) -> Tensor:
    return guess.clone()


@mistake("remix", "The function returns `noisy` unchanged, so no step makes any progress.")
def nothing_done(noisy: Tensor, guess: Tensor, noise_level: Tensor, next_level: Tensor) -> Tensor:
    return noisy.clone()


@mistake("remix", "`guess` and `noisy` are averaged in equal parts, and the levels aren't used.")
def half_and_half(noisy: Tensor, guess: Tensor, noise_level: Tensor, next_level: Tensor) -> Tensor:
    return (noisy + guess) / 2


@mistake("remix", "`noisy` fades, but `guess` is added at full strength, so the weights don't add up to 1.")
def guess_at_full_strength(noisy: Tensor, guess: Tensor, noise_level: Tensor, next_level: Tensor) -> Tensor:
    return guess + next_level / noise_level * noisy


@mistake("remix", "`guess` is added on top of `noisy`, but `noisy` isn't scaled down to compensate.")
def guess_on_top(noisy: Tensor, guess: Tensor, noise_level: Tensor, next_level: Tensor) -> Tensor:
    return noisy + (1 - next_level / noise_level) * guess


@mistake("remix", "`noisy` is treated as the noise itself, but it already contains some of the picture.")
def noisy_taken_for_noise(noisy: Tensor, guess: Tensor, noise_level: Tensor, next_level: Tensor) -> Tensor:
    return (1 - next_level) * guess + next_level / noise_level * noisy


@mistake("remix", "`noisy - guess` is treated as the noise, but the picture is subtracted from the noise in it.")
def difference_taken_for_noise(noisy: Tensor, guess: Tensor, noise_level: Tensor, next_level: Tensor) -> Tensor:
    return torch.lerp(guess, noisy - guess, next_level)


@mistake("remix", "The noise is computed correctly, but it is mixed in with its old weight.")
def implied_noise_at_the_old_level(noisy: Tensor, guess: Tensor, noise_level: Tensor, next_level: Tensor) -> Tensor:
    noise = (noisy - (1 - noise_level) * guess) / noise_level
    return (1 - next_level) * guess + noise_level * noise


@mistake("remix", "The step goes away from `guess`: it has the wrong sign.")
def away_from_the_guess(noisy: Tensor, guess: Tensor, noise_level: Tensor, next_level: Tensor) -> Tensor:
    return noisy + (next_level - noise_level) / noise_level * (guess - noisy)


@mistake("remix", "The step is divided by the next level, which is 0 at the end, instead of the current level.")
def divided_by_the_next(noisy: Tensor, guess: Tensor, noise_level: Tensor, next_level: Tensor) -> Tensor:
    return noisy + (next_level - noise_level) / next_level * (noisy - guess)


@mistake("remix", "The weights have square roots in them, as for Gaussian noise.")
def square_roots(noisy: Tensor, guess: Tensor, noise_level: Tensor, next_level: Tensor) -> Tensor:
    return torch.lerp(guess, noisy, (next_level / noise_level).sqrt())


@mistake("remix", "The fraction of `noisy` that is kept is squared, so the images are cleaner than the level says.")
def share_squared(noisy: Tensor, guess: Tensor, noise_level: Tensor, next_level: Tensor) -> Tensor:
    return torch.lerp(guess, noisy, (next_level / noise_level) ** 2)


@mistake("remix", "`guess` is mixed with new noise, so what was left of the old noise is lost.")
def new_noise(noisy: Tensor, guess: Tensor, noise_level: Tensor, next_level: Tensor) -> Tensor:
    return torch.lerp(guess, torch.rand_like(noisy), next_level)


@mistake("remix", "The result is clamped to [0, 1], but during sampling it may leave that range.")
def result_clamped(noisy: Tensor, guess: Tensor, noise_level: Tensor, next_level: Tensor) -> Tensor:
    return torch.lerp(guess, noisy, next_level / noise_level).clamp(0, 1)


@mistake("remix", "`guess` is clamped to [0, 1] before it is mixed in, but it may leave that range.")
def guess_clamped_first(noisy: Tensor, guess: Tensor, noise_level: Tensor, next_level: Tensor) -> Tensor:
    return torch.lerp(guess.clamp(0, 1), noisy, next_level / noise_level)


@mistake("remix", "The result is written into `noisy`, which belongs to the caller.")
def into_noisy(noisy: Tensor, guess: Tensor, noise_level: Tensor, next_level: Tensor) -> Tensor:
    return noisy.sub_(guess).mul_(next_level / noise_level).add_(guess)


@mistake("remix", "The result is written into `guess`, which belongs to the caller.")
def into_guess(noisy: Tensor, guess: Tensor, noise_level: Tensor, next_level: Tensor) -> Tensor:
    return guess.lerp_(noisy, next_level / noise_level)


# ---- 4.4 denoise ----------------------------------------------------------------------------------------------------


def levels_of(schedule: Schedule, noisy: Tensor) -> Tensor:
    """Return the levels of a schedule, each of shape (1, 1, 1, 1), with the dtype and device of the images."""
    return torch.as_tensor(schedule).to(noisy).view(-1, 1, 1, 1, 1)


@mistake("denoise", "The model gets the noise level that the step leads to, not the current level of the images.")
@torch.no_grad()
def told_the_next_level(model: nn.Module, noisy: Tensor, schedule: Schedule, step_size: float = 2.0) -> Iterator[Step]:
    previous = None
    for now, after in pairwise(levels_of(schedule, noisy)):
        denoised = model(noisy, after)
        noisy = remix(noisy, extrapolate(denoised, previous, step_size), now, after)
        previous = denoised
        yield Step(after, noisy, denoised)


@mistake("denoise", "The model gets the first noise level in every step, as if the images never became cleaner.")
@torch.no_grad()
def told_one_always(model: nn.Module, noisy: Tensor, schedule: Schedule, step_size: float = 2.0) -> Iterator[Step]:
    previous = None
    levels = levels_of(schedule, noisy)
    for now, after in pairwise(levels):
        denoised = model(noisy, levels[0])
        noisy = remix(noisy, extrapolate(denoised, previous, step_size), now, after)
        previous = denoised
        yield Step(after, noisy, denoised)


@mistake("denoise", "The model gets 1 minus the noise level, which says how clean the images are, not how noisy.")
@torch.no_grad()
def told_how_clean(model: nn.Module, noisy: Tensor, schedule: Schedule, step_size: float = 2.0) -> Iterator[Step]:
    previous = None
    for now, after in pairwise(levels_of(schedule, noisy)):
        denoised = model(noisy, 1 - now)
        noisy = remix(noisy, extrapolate(denoised, previous, step_size), now, after)
        previous = denoised
        yield Step(after, noisy, denoised)


@mistake("denoise", "The model gets the number of the step, not the noise level.")
@torch.no_grad()
def told_the_step_number(model: nn.Module, noisy: Tensor, schedule: Schedule, step_size: float = 2.0) -> Iterator[Step]:
    previous = None
    for place, (now, after) in enumerate(pairwise(levels_of(schedule, noisy))):
        denoised = model(noisy, torch.full_like(now, place))
        noisy = remix(noisy, extrapolate(denoised, previous, step_size), now, after)
        previous = denoised
        yield Step(after, noisy, denoised)


@mistake("denoise", "The model gets the noise level as a plain number, but it needs a tensor of shape (1, 1, 1, 1).")
@torch.no_grad()
def told_a_plain_number(model: nn.Module, noisy: Tensor, schedule: Schedule, step_size: float = 2.0) -> Iterator[Step]:
    previous = None
    for now, after in pairwise(levels_of(schedule, noisy)):
        denoised = model(noisy, now.item())
        noisy = remix(noisy, extrapolate(denoised, previous, step_size), now, after)
        previous = denoised
        yield Step(after, noisy, denoised)


@mistake(
    "denoise", "The model gets the noise level as a tensor without dimensions, but its shape should be (1, 1, 1, 1)."
)
@torch.no_grad()
def told_without_dimensions(
    model: nn.Module, noisy: Tensor, schedule: Schedule, step_size: float = 2.0
) -> Iterator[Step]:
    previous = None
    for now, after in pairwise(torch.as_tensor(schedule).to(noisy)):
        denoised = model(noisy, now)
        noisy = remix(noisy, extrapolate(denoised, previous, step_size), now, after)
        previous = denoised
        yield Step(after.view(1, 1, 1, 1), noisy, denoised)


@mistake(
    "denoise",
    "The noise level has one dimension too few: taking one level out of a tensor of levels removes a dimension, so the "
    "tensor needs one more.",
)
@torch.no_grad()
def told_with_a_dimension_too_few(
    model: nn.Module, noisy: Tensor, schedule: Schedule, step_size: float = 2.0
) -> Iterator[Step]:
    previous = None
    for now, after in pairwise(torch.as_tensor(schedule).to(noisy).view(-1, 1, 1, 1)):
        denoised = model(noisy, now)
        noisy = remix(noisy, extrapolate(denoised, previous, step_size), now, after)
        previous = denoised
        yield Step(after, noisy, denoised)


@mistake("denoise", "The model gets noise levels of shape (N,), which line up with the columns, not with the images.")
@torch.no_grad()
def told_a_bare_row(model: nn.Module, noisy: Tensor, schedule: Schedule, step_size: float = 2.0) -> Iterator[Step]:
    previous = None
    for now, after in pairwise(levels_of(schedule, noisy)):
        denoised = model(noisy, now.flatten().expand(len(noisy)))
        noisy = remix(noisy, extrapolate(denoised, previous, step_size), now, after)
        previous = denoised
        yield Step(after, noisy, denoised)


@mistake("denoise", "The two arguments of the model are in the wrong order.")
@torch.no_grad()
def level_first(model: nn.Module, noisy: Tensor, schedule: Schedule, step_size: float = 2.0) -> Iterator[Step]:
    previous = None
    for now, after in pairwise(levels_of(schedule, noisy)):
        denoised = model(now, noisy)
        noisy = remix(noisy, extrapolate(denoised, previous, step_size), now, after)
        previous = denoised
        yield Step(after, noisy, denoised)


@mistake("denoise", "The model doesn't get a noise level.")
@torch.no_grad()
def told_no_level(model: nn.Module, noisy: Tensor, schedule: Schedule, step_size: float = 2.0) -> Iterator[Step]:
    previous = None
    for now, after in pairwise(levels_of(schedule, noisy)):
        denoised = model(noisy)
        noisy = remix(noisy, extrapolate(denoised, previous, step_size), now, after)
        previous = denoised
        yield Step(after, noisy, denoised)


@mistake(
    "denoise", "The levels have their own dtype, but a network needs its images and noise levels in the same dtype."
)
@torch.no_grad()
def levels_in_a_dtype_of_their_own(
    model: nn.Module, noisy: Tensor, schedule: Schedule, step_size: float = 2.0
) -> Iterator[Step]:
    previous = None
    for now, after in pairwise(torch.as_tensor(schedule, dtype=torch.float32).view(-1, 1, 1, 1, 1)):
        denoised = model(noisy, now)
        guess = extrapolate(denoised, previous, step_size)
        noisy = guess + after / now * (noisy - guess)
        previous = denoised
        yield Step(after, noisy, denoised)


@mistake("denoise", "The model gets the starting noise in every step, so it never sees what the earlier steps did.")
@torch.no_grad()
def start_shown_always(model: nn.Module, noisy: Tensor, schedule: Schedule, step_size: float = 2.0) -> Iterator[Step]:
    previous, start = None, noisy
    for now, after in pairwise(levels_of(schedule, noisy)):
        denoised = model(start, now)
        noisy = remix(noisy, extrapolate(denoised, previous, step_size), now, after)
        previous = denoised
        yield Step(after, noisy, denoised)


@mistake("denoise", "The model gets its own previous prediction, not the mix.")
@torch.no_grad()
def prediction_shown(model: nn.Module, noisy: Tensor, schedule: Schedule, step_size: float = 2.0) -> Iterator[Step]:
    previous = None
    for now, after in pairwise(levels_of(schedule, noisy)):
        denoised = model(noisy if previous is None else previous, now)
        noisy = remix(noisy, extrapolate(denoised, previous, step_size), now, after)
        previous = denoised
        yield Step(after, noisy, denoised)


@mistake(
    "denoise", "The extrapolated prediction is kept as `previous`, so the next step extrapolates it a second time."
)
@torch.no_grad()
def guess_remembered(model: nn.Module, noisy: Tensor, schedule: Schedule, step_size: float = 2.0) -> Iterator[Step]:
    previous = None
    for now, after in pairwise(levels_of(schedule, noisy)):
        denoised = model(noisy, now)
        previous = extrapolate(denoised, previous, step_size)
        noisy = remix(noisy, previous, now, after)
        yield Step(after, noisy, denoised)


@mistake("denoise", "`previous` is set too early or never, or the prediction is mixed in without extrapolating it.")
@torch.no_grad()
def never_remembered(model: nn.Module, noisy: Tensor, schedule: Schedule, step_size: float = 2.0) -> Iterator[Step]:
    for now, after in pairwise(levels_of(schedule, noisy)):
        denoised = model(noisy, now)
        noisy = remix(noisy, extrapolate(denoised, None, step_size), now, after)
        yield Step(after, noisy, denoised)


@mistake("denoise", "Every step extrapolates from the first prediction: `previous` isn't updated.")
@torch.no_grad()
def first_remembered(model: nn.Module, noisy: Tensor, schedule: Schedule, step_size: float = 2.0) -> Iterator[Step]:
    previous = None
    for now, after in pairwise(levels_of(schedule, noisy)):
        denoised = model(noisy, now)
        noisy = remix(noisy, extrapolate(denoised, previous, step_size), now, after)
        previous = denoised if previous is None else previous
        yield Step(after, noisy, denoised)


@mistake("denoise", "The noisy images are used as the previous prediction.")
@torch.no_grad()
def mix_remembered(model: nn.Module, noisy: Tensor, schedule: Schedule, step_size: float = 2.0) -> Iterator[Step]:
    previous = None
    for now, after in pairwise(levels_of(schedule, noisy)):
        denoised = model(noisy, now)
        noisy = remix(noisy, extrapolate(denoised, previous, step_size), now, after)
        previous = noisy
        yield Step(after, noisy, denoised)


@mistake("denoise", "The first step extrapolates from the starting noise, but there is no previous prediction yet.")
@torch.no_grad()
def noise_before_the_first(
    model: nn.Module, noisy: Tensor, schedule: Schedule, step_size: float = 2.0
) -> Iterator[Step]:
    previous = noisy
    for now, after in pairwise(levels_of(schedule, noisy)):
        denoised = model(noisy, now)
        noisy = remix(noisy, extrapolate(denoised, previous, step_size), now, after)
        previous = denoised
        yield Step(after, noisy, denoised)


@mistake("denoise", "`step_size` isn't passed on: every step uses 2.")
@torch.no_grad()
def step_size_ignored(model: nn.Module, noisy: Tensor, schedule: Schedule, step_size: float = 2.0) -> Iterator[Step]:
    previous = None
    for now, after in pairwise(levels_of(schedule, noisy)):
        denoised = model(noisy, now)
        noisy = remix(noisy, extrapolate(denoised, previous, 2.0), now, after)
        previous = denoised
        yield Step(after, noisy, denoised)


@mistake("denoise", "The default step size is 1, but in the lesson's file it is 2.")
@torch.no_grad()
def other_default(model: nn.Module, noisy: Tensor, schedule: Schedule, step_size: float = 1.0) -> Iterator[Step]:
    yield from dino.sampler.denoise(model, noisy, schedule, step_size)


@mistake("denoise", "`remix` gets the two levels in the wrong order.")
@torch.no_grad()
def levels_swapped(model: nn.Module, noisy: Tensor, schedule: Schedule, step_size: float = 2.0) -> Iterator[Step]:
    previous = None
    for now, after in pairwise(levels_of(schedule, noisy)):
        denoised = model(noisy, now)
        noisy = remix(noisy, extrapolate(denoised, previous, step_size), after, now)
        previous = denoised
        yield Step(after, noisy, denoised)


@mistake("denoise", "Each step mixes into the starting noise again, so the work of the earlier steps is lost.")
@torch.no_grad()
def start_remixed_always(model: nn.Module, noisy: Tensor, schedule: Schedule, step_size: float = 2.0) -> Iterator[Step]:
    previous, start, first = None, noisy, None
    for now, after in pairwise(levels_of(schedule, noisy)):
        first = now if first is None else first
        denoised = model(noisy, now)
        noisy = remix(start, extrapolate(denoised, previous, step_size), first, after)
        previous = denoised
        yield Step(after, noisy, denoised)


@mistake("denoise", "Each step mixes in new noise, but the starting noise should be the only noise.")
@torch.no_grad()
def fresh_noise(model: nn.Module, noisy: Tensor, schedule: Schedule, step_size: float = 2.0) -> Iterator[Step]:
    previous = None
    for now, after in pairwise(levels_of(schedule, noisy)):
        denoised = model(noisy, now)
        guess = extrapolate(denoised, previous, step_size)
        noisy = torch.lerp(guess, torch.rand_like(noisy), after)
        previous = denoised
        yield Step(after, noisy, denoised)


@mistake("denoise", "The mix is clamped to [0, 1] after each step, but only the finished picture should be clamped.")
@torch.no_grad()
def mix_clamped(model: nn.Module, noisy: Tensor, schedule: Schedule, step_size: float = 2.0) -> Iterator[Step]:
    previous = None
    for now, after in pairwise(levels_of(schedule, noisy)):
        denoised = model(noisy, now)
        noisy = remix(noisy, extrapolate(denoised, previous, step_size), now, after).clamp(0, 1)
        previous = denoised
        yield Step(after, noisy, denoised)


@mistake("denoise", "The model's prediction is clamped to [0, 1] in each step, but it should be used unchanged.")
@torch.no_grad()
def prediction_clamped(model: nn.Module, noisy: Tensor, schedule: Schedule, step_size: float = 2.0) -> Iterator[Step]:
    previous = None
    for now, after in pairwise(levels_of(schedule, noisy)):
        denoised = model(noisy, now).clamp(0, 1)
        noisy = remix(noisy, extrapolate(denoised, previous, step_size), now, after)
        previous = denoised
        yield Step(after, noisy, denoised)


@mistake("denoise", "The extrapolated prediction is clamped to [0, 1] in each step, but it may leave that range.")
@torch.no_grad()
def guess_clamped_on_the_way(
    model: nn.Module, noisy: Tensor, schedule: Schedule, step_size: float = 2.0
) -> Iterator[Step]:
    previous = None
    for now, after in pairwise(levels_of(schedule, noisy)):
        denoised = model(noisy, now)
        noisy = remix(noisy, extrapolate(denoised, previous, step_size).clamp(0, 1), now, after)
        previous = denoised
        yield Step(after, noisy, denoised)


@mistake(
    "denoise",
    "Gradients are on while the model is called, so torch keeps everything it computes for a backward pass that never "
    "comes.",
)
def gradients_kept(model: nn.Module, noisy: Tensor, schedule: Schedule, step_size: float = 2.0) -> Iterator[Step]:
    previous = None
    for now, after in pairwise(levels_of(schedule, noisy)):
        denoised = model(noisy, now)
        noisy = remix(noisy, extrapolate(denoised, previous, step_size), now, after)
        previous = denoised
        yield Step(after, noisy, denoised)


@mistake(
    "denoise",
    "Gradients are still off when the function pauses at `yield`, so they are off for its caller too.",
)
def yield_within_no_grad(model: nn.Module, noisy: Tensor, schedule: Schedule, step_size: float = 2.0) -> Iterator[Step]:
    with torch.no_grad():
        previous = None
        for now, after in pairwise(levels_of(schedule, noisy)):
            denoised = model(noisy, now)
            noisy = remix(noisy, extrapolate(denoised, previous, step_size), now, after)
            previous = denoised
            yield Step(after, noisy, denoised)


@mistake("denoise", "The model is switched to evaluation mode and left in it, but its mode is up to the caller.")
@torch.no_grad()
def mode_switched(model: nn.Module, noisy: Tensor, schedule: Schedule, step_size: float = 2.0) -> Iterator[Step]:
    model.eval()
    yield from dino.sampler.denoise(model, noisy, schedule, step_size)


@mistake("denoise", "The images that were passed in are overwritten.")
@torch.no_grad()
def start_overwritten(model: nn.Module, noisy: Tensor, schedule: Schedule, step_size: float = 2.0) -> Iterator[Step]:
    previous = None
    for now, after in pairwise(levels_of(schedule, noisy)):
        denoised = model(noisy, now)
        noisy.copy_(remix(noisy, extrapolate(denoised, previous, step_size), now, after))
        previous = denoised
        yield Step(after, noisy, denoised)


@mistake(
    "denoise", "All Steps share one tensor, and each step overwrites it, so earlier Steps don't stay as they were."
)
@torch.no_grad()
def one_tensor_for_all(model: nn.Module, noisy: Tensor, schedule: Schedule, step_size: float = 2.0) -> Iterator[Step]:
    previous, noisy = None, noisy.clone()
    for now, after in pairwise(levels_of(schedule, noisy)):
        denoised = model(noisy, now)
        noisy.copy_(remix(noisy, extrapolate(denoised, previous, step_size), now, after))
        previous = denoised
        yield Step(after, noisy, denoised)


@mistake("denoise", "The Step holds the noise level that the step started from, not the level it reached.")
@torch.no_grad()
def level_left_behind(model: nn.Module, noisy: Tensor, schedule: Schedule, step_size: float = 2.0) -> Iterator[Step]:
    previous = None
    for now, after in pairwise(levels_of(schedule, noisy)):
        denoised = model(noisy, now)
        noisy = remix(noisy, extrapolate(denoised, previous, step_size), now, after)
        previous = denoised
        yield Step(now, noisy, denoised)


@mistake("denoise", "The Step holds the extrapolated prediction, but it should hold the model's own prediction.")
@torch.no_grad()
def guess_yielded(model: nn.Module, noisy: Tensor, schedule: Schedule, step_size: float = 2.0) -> Iterator[Step]:
    previous = None
    for now, after in pairwise(levels_of(schedule, noisy)):
        denoised = model(noisy, now)
        guess = extrapolate(denoised, previous, step_size)
        noisy = remix(noisy, guess, now, after)
        previous = denoised
        yield Step(after, noisy, guess)


@mistake("denoise", "The mix and the model's prediction are swapped in the Step.")
@torch.no_grad()
def places_changed(model: nn.Module, noisy: Tensor, schedule: Schedule, step_size: float = 2.0) -> Iterator[Step]:
    for step in dino.sampler.denoise(model, noisy, schedule, step_size):
        yield Step(step.noise_level, step.denoised, step.noisy)


@mistake(
    "denoise",
    "The Step holds the mix from before the step. Is it yielded too early, or does the step change nothing?",
)
@torch.no_grad()
def yielded_too_early(model: nn.Module, noisy: Tensor, schedule: Schedule, step_size: float = 2.0) -> Iterator[Step]:
    for step in dino.sampler.denoise(model, noisy, schedule, step_size):
        yield Step(step.noise_level, noisy, step.denoised)
        noisy = step.noisy


@mistake("denoise", "The function yields a plain tuple, without the names of a Step.")
@torch.no_grad()
def plain_tuple(
    model: nn.Module, noisy: Tensor, schedule: Schedule, step_size: float = 2.0
) -> Iterator[tuple[Tensor, ...]]:
    for step in dino.sampler.denoise(model, noisy, schedule, step_size):
        yield tuple(step)


@mistake("denoise", "The function yields only the images, but a Step also holds the noise level and the prediction.")
@torch.no_grad()
def images_alone(model: nn.Module, noisy: Tensor, schedule: Schedule, step_size: float = 2.0) -> Iterator[Tensor]:
    for step in dino.sampler.denoise(model, noisy, schedule, step_size):
        yield step.noisy


@mistake(
    "denoise", "The noise levels in the Steps are plain numbers, but they should be tensors of shape (1, 1, 1, 1)."
)
@torch.no_grad()
def plain_numbers(model: nn.Module, noisy: Tensor, schedule: Schedule, step_size: float = 2.0) -> Iterator[Step]:
    for step in dino.sampler.denoise(model, noisy, schedule, step_size):
        yield Step(step.noise_level.item(), step.noisy, step.denoised)  # type: ignore[arg-type]


@mistake("denoise", "All Steps are collected in a list and returned, so nobody can watch them as they happen.")
@torch.no_grad()
def a_list_of_steps(model: nn.Module, noisy: Tensor, schedule: Schedule, step_size: float = 2.0) -> list[Step]:
    return list(dino.sampler.denoise(model, noisy, schedule, step_size))


@mistake("denoise", "All steps are taken before the first Step is yielded.")
@torch.no_grad()
def all_at_once(model: nn.Module, noisy: Tensor, schedule: Schedule, step_size: float = 2.0) -> Iterator[Step]:
    yield from list(dino.sampler.denoise(model, noisy, schedule, step_size))


@mistake("denoise", "Only the last Step is yielded: the `yield` comes after the loop.")
@torch.no_grad()
def end_alone(model: nn.Module, noisy: Tensor, schedule: Schedule, step_size: float = 2.0) -> Iterator[Step]:
    *_, step = dino.sampler.denoise(model, noisy, schedule, step_size)
    yield step


@mistake("denoise", "The images are returned after the loop, and nothing is yielded.")
@torch.no_grad()
def images_returned(model: nn.Module, noisy: Tensor, schedule: Schedule, step_size: float = 2.0) -> Tensor:
    *_, step = dino.sampler.denoise(model, noisy, schedule, step_size)
    return step.noisy


@mistake("denoise", "A Step is also yielded for the starting noise, before any step is taken.")
@torch.no_grad()
def start_yielded(model: nn.Module, noisy: Tensor, schedule: Schedule, step_size: float = 2.0) -> Iterator[Step]:
    yield Step(levels_of(schedule, noisy)[0], noisy, noisy)
    yield from dino.sampler.denoise(model, noisy, schedule, step_size)


@mistake("denoise", "The last step is missing: sampling ends one level above the last.")
@torch.no_grad()
def last_step_missing(model: nn.Module, noisy: Tensor, schedule: Schedule, step_size: float = 2.0) -> Iterator[Step]:
    yield from dino.sampler.denoise(model, noisy, schedule[:-1], step_size)


@mistake("denoise", "The first level is skipped: sampling starts at the second level.")
@torch.no_grad()
def first_step_missing(model: nn.Module, noisy: Tensor, schedule: Schedule, step_size: float = 2.0) -> Iterator[Step]:
    yield from dino.sampler.denoise(model, noisy, schedule[1:], step_size)


@mistake("denoise", "The model is called once more at the end, at level 0, but sampling ends there.")
@torch.no_grad()
def one_prediction_more(model: nn.Module, noisy: Tensor, schedule: Schedule, step_size: float = 2.0) -> Iterator[Step]:
    for step in dino.sampler.denoise(model, noisy, schedule, step_size):
        yield step
    denoised = model(step.noisy, step.noise_level)
    yield Step(step.noise_level, denoised, denoised)


@mistake("denoise", "The mix is clamped to [0, 1] in the last step, but `denoise` leaves that to its caller.")
@torch.no_grad()
def end_clamped(model: nn.Module, noisy: Tensor, schedule: Schedule, step_size: float = 2.0) -> Iterator[Step]:
    end = torch.as_tensor(schedule).tolist()[-1]
    for step in dino.sampler.denoise(model, noisy, schedule, step_size):
        last = abs(step.noise_level.item() - end) < 1e-6
        yield step._replace(noisy=step.noisy.clamp(0, 1)) if last else step


@mistake("denoise", "The model's weights are frozen and stay frozen, so its training could not continue.")
@torch.no_grad()
def weights_frozen(model: nn.Module, noisy: Tensor, schedule: Schedule, step_size: float = 2.0) -> Iterator[Step]:
    model.requires_grad_(False)
    yield from dino.sampler.denoise(model, noisy, schedule, step_size)


@mistake("denoise", "The model is called twice in each step.")
@torch.no_grad()
def asked_twice(model: nn.Module, noisy: Tensor, schedule: Schedule, step_size: float = 2.0) -> Iterator[Step]:
    previous = None
    for now, after in pairwise(levels_of(schedule, noisy)):
        noisy = remix(noisy, extrapolate(model(noisy, now), previous, step_size), now, after)
        previous = model(noisy, now)
        yield Step(after, noisy, previous)


@mistake("denoise", "The levels of `schedule` aren't used: the function makes evenly spaced levels of its own.")
@torch.no_grad()
def even_levels_of_its_own(
    model: nn.Module, noisy: Tensor, schedule: Schedule, step_size: float = 2.0
) -> Iterator[Step]:
    yield from dino.sampler.denoise(model, noisy, torch.linspace(1, 0, len(schedule)), step_size)


@mistake("denoise", "The code needs a tensor as its schedule, but the schedule may also be a list.")
@torch.no_grad()
def tensors_only(model: nn.Module, noisy: Tensor, schedule: Schedule, step_size: float = 2.0) -> Iterator[Step]:
    previous = None
    for now, after in pairwise(schedule.view(-1, 1, 1, 1, 1).to(noisy)):
        denoised = model(noisy, now)
        noisy = remix(noisy, extrapolate(denoised, previous, step_size), now, after)
        previous = denoised
        yield Step(after, noisy, denoised)


# ---- 4.5 generate ---------------------------------------------------------------------------------------------------


def noise_for(model: nn.Module, shape: Sequence[int], generator: Generator) -> Tensor:
    """Draw correct starting noise, for mistakes that come later."""
    weights = next(model.parameters(), torch.empty(0))
    return torch.rand(tuple(shape), generator=generator, dtype=weights.dtype, device=weights.device)


def walk(model: nn.Module, noisy: Tensor, n_steps: int, step_size: float) -> Tensor:
    """Sample correctly, without clamping, and return the last mix. The model gets its mode back."""
    was_training = model.training
    model.eval()
    try:
        return walk_in_any_mode(model, noisy, n_steps, step_size)
    finally:
        model.train(was_training)


def walk_in_any_mode(model: nn.Module, noisy: Tensor, n_steps: int, step_size: float) -> Tensor:
    for step in dino.sampler.denoise(model, noisy, dino.sampler.noise_schedule(n_steps), step_size):
        noisy = step.noisy
    return noisy


@mistake("generate", "The starting noise is Gaussian, but the network was only trained on uniform noise.")
def gaussian_start(model, n_images, *, image_shape, n_steps=100, step_size=2.0, generator=None):
    weights = next(model.parameters(), torch.empty(0))
    shape = (n_images, *image_shape)
    noise = torch.randn(shape, generator=generator, device=weights.device, dtype=weights.dtype)
    return walk(model, noise, n_steps, step_size).clamp(0, 1)


@mistake("generate", "The starting noise goes from -1 to 1, but in training the noise went from 0 to 1.")
def start_from_minus_one(model, n_images, *, image_shape, n_steps=100, step_size=2.0, generator=None):
    noise = 2 * noise_for(model, (n_images, *image_shape), generator) - 1
    return walk(model, noise, n_steps, step_size).clamp(0, 1)


@mistake("generate", "Sampling starts from one flat color, but without noise a picture has nothing to grow from.")
def plain_start(model, n_images, *, image_shape, n_steps=100, step_size=2.0, generator=None):
    noise = torch.zeros_like(noise_for(model, (n_images, *image_shape), generator))
    return walk(model, noise, n_steps, step_size).clamp(0, 1)


@mistake("generate", "All pictures start from the same noise, so they come out the same.")
def one_noise_for_all(model, n_images, *, image_shape, n_steps=100, step_size=2.0, generator=None):
    noise = noise_for(model, (1, *image_shape), generator).expand(n_images, -1, -1, -1)
    return walk(model, noise, n_steps, step_size).clamp(0, 1)


@mistake("generate", "Red, green and blue start from the same noise, so the noise is gray. Draw it for every channel.")
def gray_noise(model, n_images, *, image_shape, n_steps=100, step_size=2.0, generator=None):
    noise = noise_for(model, (n_images, 1, *image_shape[1:]), generator).repeat(1, image_shape[0], 1, 1)
    return walk(model, noise, n_steps, step_size).clamp(0, 1)


@mistake("generate", "The generator isn't passed to torch.rand, so the same seed gives different pictures.")
def generator_ignored(model, n_images, *, image_shape, n_steps=100, step_size=2.0, generator=None):
    noise = noise_for(model, (n_images, *image_shape), None)
    return walk(model, noise, n_steps, step_size).clamp(0, 1)


@mistake("generate", "The noise comes from a generator with a fixed seed, so every call makes the same pictures.")
def seed_fixed(model, n_images, *, image_shape, n_steps=100, step_size=2.0, generator=None):
    noise = noise_for(model, (n_images, *image_shape), torch.Generator().manual_seed(0))
    return walk(model, noise, n_steps, step_size).clamp(0, 1)


@mistake("generate", "Each call gives the generator a new seed, so each call makes the same pictures.")
def generator_reseeded(model, n_images, *, image_shape, n_steps=100, step_size=2.0, generator=None):
    if generator is not None:
        generator.manual_seed(generator.initial_seed())
    noise = noise_for(model, (n_images, *image_shape), generator)
    return walk(model, noise, n_steps, step_size).clamp(0, 1)


@mistake("generate", "The function calls torch.manual_seed, so every program that uses it repeats its random numbers.")
def everyone_reseeded(model, n_images, *, image_shape, n_steps=100, step_size=2.0, generator=None):
    if generator is None:
        torch.manual_seed(0)
    noise = noise_for(model, (n_images, *image_shape), generator)
    return walk(model, noise, n_steps, step_size).clamp(0, 1)


@mistake("generate", "`n_steps` isn't passed on: sampling always takes 100 steps.")
def n_steps_ignored(model, n_images, *, image_shape, n_steps=100, step_size=2.0, generator=None):
    noise = noise_for(model, (n_images, *image_shape), generator)
    return walk(model, noise, 100, step_size).clamp(0, 1)


@mistake("generate", "Sampling takes one step too few: `n_steps` counts the steps, not the levels.")
def one_step_short(model, n_images, *, image_shape, n_steps=100, step_size=2.0, generator=None):
    noise = noise_for(model, (n_images, *image_shape), generator)
    return walk(model, noise, n_steps - 1, step_size).clamp(0, 1)


@mistake("generate", "Sampling takes one step too many: `noise_schedule` adds the extra level itself.")
def one_step_too_many(model, n_images, *, image_shape, n_steps=100, step_size=2.0, generator=None):
    noise = noise_for(model, (n_images, *image_shape), generator)
    return walk(model, noise, n_steps + 1, step_size).clamp(0, 1)


@mistake("generate", "The default number of steps isn't 100.")
def other_number_of_steps(model, n_images, *, image_shape, n_steps=50, step_size=2.0, generator=None):
    noise = noise_for(model, (n_images, *image_shape), generator)
    return walk(model, noise, n_steps, step_size).clamp(0, 1)


@mistake("generate", "`step_size` isn't passed on: the steps always use 2.")
def step_size_not_handed_on(model, n_images, *, image_shape, n_steps=100, step_size=2.0, generator=None):
    noise = noise_for(model, (n_images, *image_shape), generator)
    return walk(model, noise, n_steps, 2.0).clamp(0, 1)


@mistake("generate", "The default step size is 1, not 2.")
def other_step_size(model, n_images, *, image_shape, n_steps=100, step_size=1.0, generator=None):
    noise = noise_for(model, (n_images, *image_shape), generator)
    return walk(model, noise, n_steps, step_size).clamp(0, 1)


@mistake("generate", "Sampling takes only one step, as if the `return` were inside the loop.")
def first_step_alone(model, n_images, *, image_shape, n_steps=100, step_size=2.0, generator=None):
    noise = noise_for(model, (n_images, *image_shape), generator)
    was_training = model.training
    model.eval()
    try:
        for step in dino.sampler.denoise(model, noise, dino.sampler.noise_schedule(n_steps), step_size):
            return step.noisy.clamp(0, 1)
    finally:
        model.train(was_training)


@mistake("generate", "The pictures are made one at a time, but the model can take all of them at once.")
def one_at_a_time(model, n_images, *, image_shape, n_steps=100, step_size=2.0, generator=None):
    noise = noise_for(model, (n_images, *image_shape), generator)
    return torch.cat([walk(model, one, n_steps, step_size) for one in noise.split(1)]).clamp(0, 1)


@mistake("generate", "The schedule is upside down: it goes from 0 to 1.")
def schedule_upside_down(model, n_images, *, image_shape, n_steps=100, step_size=2.0, generator=None):
    noise = noise_for(model, (n_images, *image_shape), generator)
    was_training = model.training
    model.eval()
    try:
        *_, step = dino.sampler.denoise(model, noise, dino.sampler.noise_schedule(n_steps).flip(0), step_size)
    finally:
        model.train(was_training)
    return step.noisy.nan_to_num().clamp(0, 1)


@mistake("generate", "The pictures aren't clamped to [0, 1] at the end.")
def not_clamped(model, n_images, *, image_shape, n_steps=100, step_size=2.0, generator=None):
    noise = noise_for(model, (n_images, *image_shape), generator)
    return walk(model, noise, n_steps, step_size)


@mistake("generate", "The mix is clamped to [0, 1] after each step, but only the finished pictures should be.")
def clamped_on_the_way(model, n_images, *, image_shape, n_steps=100, step_size=2.0, generator=None):
    noisy, previous = noise_for(model, (n_images, *image_shape), generator), None
    was_training = model.training
    model.eval()
    try:
        for now, after in pairwise(levels_of(dino.sampler.noise_schedule(n_steps), noisy)):
            with torch.no_grad():
                denoised = model(noisy, now)
            noisy = remix(noisy, extrapolate(denoised, previous, step_size), now, after).clamp(0, 1)
            previous = denoised
    finally:
        model.train(was_training)
    return noisy


@mistake("generate", "The function returns the model's last prediction, not the mix that the last step reached.")
def last_prediction(model, n_images, *, image_shape, n_steps=100, step_size=2.0, generator=None):
    noise = noise_for(model, (n_images, *image_shape), generator)
    was_training = model.training
    model.eval()
    try:
        *_, step = dino.sampler.denoise(model, noise, dino.sampler.noise_schedule(n_steps), step_size)
    finally:
        model.train(was_training)
    return step.denoised.clamp(0, 1)


@mistake("generate", "A sigmoid squeezes the pictures into [0, 1], which changes all of their colors.")
def squeezed(model, n_images, *, image_shape, n_steps=100, step_size=2.0, generator=None):
    noise = noise_for(model, (n_images, *image_shape), generator)
    return torch.sigmoid(walk(model, noise, n_steps, step_size))


@mistake("generate", "The pictures are stretched to fill [0, 1], which changes all of their colors.")
def stretched(model, n_images, *, image_shape, n_steps=100, step_size=2.0, generator=None):
    noise = noise_for(model, (n_images, *image_shape), generator)
    made = walk(model, noise, n_steps, step_size)
    return (made - made.min()) / (made.max() - made.min())


@mistake("generate", "The pictures are treated as if they went from -1 to 1, but in this course they go from 0 to 1.")
def halved_and_shifted(model, n_images, *, image_shape, n_steps=100, step_size=2.0, generator=None):
    noise = noise_for(model, (n_images, *image_shape), generator)
    return ((walk(model, noise, n_steps, step_size) + 1) / 2).clamp(0, 1)


@mistake("generate", "The pictures are converted to bytes, but they should stay numbers from 0 to 1.")
def as_bytes(model, n_images, *, image_shape, n_steps=100, step_size=2.0, generator=None):
    noise = noise_for(model, (n_images, *image_shape), generator)
    return (255 * walk(model, noise, n_steps, step_size).clamp(0, 1)).to(torch.uint8)


@mistake("generate", "The model isn't switched to evaluation mode.")
def never_evaluating(model, n_images, *, image_shape, n_steps=100, step_size=2.0, generator=None):
    noise = noise_for(model, (n_images, *image_shape), generator)
    return walk_in_any_mode(model, noise, n_steps, step_size).clamp(0, 1)


@mistake("generate", "The model is left in evaluation mode, so training would continue in the wrong mode.")
def left_evaluating(model, n_images, *, image_shape, n_steps=100, step_size=2.0, generator=None):
    noise = noise_for(model, (n_images, *image_shape), generator)
    model.eval()
    return walk_in_any_mode(model, noise, n_steps, step_size).clamp(0, 1)


@mistake("generate", "The model is always put in training mode at the end, even if it was in evaluation mode before.")
def always_training_after(model, n_images, *, image_shape, n_steps=100, step_size=2.0, generator=None):
    noise = noise_for(model, (n_images, *image_shape), generator)
    model.eval()
    try:
        return walk_in_any_mode(model, noise, n_steps, step_size).clamp(0, 1)
    finally:
        model.train()


@mistake("generate", "If the model raises an error halfway, the line that restores its mode never runs.")
def mode_lost_in_an_error(model, n_images, *, image_shape, n_steps=100, step_size=2.0, generator=None):
    noise = noise_for(model, (n_images, *image_shape), generator)
    was_training = model.training
    model.eval()
    noisy = walk_in_any_mode(model, noise, n_steps, step_size)
    model.train(was_training)
    return noisy.clamp(0, 1)


@mistake("generate", "A `return` in the `finally` block hides errors that the model raises.")
def errors_hidden(model, n_images, *, image_shape, n_steps=100, step_size=2.0, generator=None):
    noisy = noise_for(model, (n_images, *image_shape), generator)
    was_training = model.training
    model.eval()
    try:
        noisy = walk_in_any_mode(model, noisy, n_steps, step_size)
    finally:
        model.train(was_training)
        return noisy.clamp(0, 1)


@mistake("generate", "`model.training = False` switches only the model itself, not the layers inside it.")
def model_switched_alone(model, n_images, *, image_shape, n_steps=100, step_size=2.0, generator=None):
    noise = noise_for(model, (n_images, *image_shape), generator)
    was_training = model.training
    model.training = False
    try:
        return walk_in_any_mode(model, noise, n_steps, step_size).clamp(0, 1)
    finally:
        model.training = was_training


@mistake("generate", "The model is back in the right mode afterward, but its layers stay in evaluation mode.")
def layers_left_evaluating(model, n_images, *, image_shape, n_steps=100, step_size=2.0, generator=None):
    noise = noise_for(model, (n_images, *image_shape), generator)
    was_training = model.training
    model.eval()
    try:
        return walk_in_any_mode(model, noise, n_steps, step_size).clamp(0, 1)
    finally:
        model.training = was_training


@mistake("generate", "Gradients are on while the model is called.")
def gradients_on(model, n_images, *, image_shape, n_steps=100, step_size=2.0, generator=None):
    noisy, previous = noise_for(model, (n_images, *image_shape), generator), None
    was_training = model.training
    model.eval()
    try:
        for now, after in pairwise(levels_of(dino.sampler.noise_schedule(n_steps), noisy)):
            denoised = model(noisy, now)
            noisy = remix(noisy, extrapolate(denoised, previous, step_size), now, after)
            previous = denoised
    finally:
        model.train(was_training)
    return noisy.detach().clamp(0, 1)


@mistake("generate", "Gradients are switched off for the whole program, and after an error they stay off.")
def gradients_off_for_everyone(model, n_images, *, image_shape, n_steps=100, step_size=2.0, generator=None):
    torch.set_grad_enabled(False)
    noise = noise_for(model, (n_images, *image_shape), generator)
    made = walk(model, noise, n_steps, step_size).clamp(0, 1)
    torch.set_grad_enabled(True)
    return made


@mistake("generate", "The noise is always float32, but it should have the dtype of the model's weights.")
def dtype_ignored(model, n_images, *, image_shape, n_steps=100, step_size=2.0, generator=None):
    device = next(model.parameters(), torch.empty(0)).device
    noise = torch.rand((n_images, *image_shape), generator=generator, device=device)
    return walk(model, noise, n_steps, step_size).clamp(0, 1)


@mistake("generate", "The noise is always on the CPU, so a model on a GPU could not use it.")
def device_ignored(model, n_images, *, image_shape, n_steps=100, step_size=2.0, generator=None):
    weights = next(model.parameters(), torch.empty(0))
    noise = torch.rand((n_images, *image_shape), generator=generator, dtype=weights.dtype)
    return walk(model, noise, n_steps, step_size).clamp(0, 1)


@mistake("generate", "A model has no `device` attribute, but each of its weights has one.")
def device_of_the_model(model, n_images, *, image_shape, n_steps=100, step_size=2.0, generator=None):
    noise = torch.rand((n_images, *image_shape), generator=generator, device=model.device)
    return walk(model, noise, n_steps, step_size).clamp(0, 1)


@mistake("generate", "A model has no `dtype` attribute, but each of its weights has one.")
def dtype_of_the_model(model, n_images, *, image_shape, n_steps=100, step_size=2.0, generator=None):
    noise = torch.rand((n_images, *image_shape), generator=generator, dtype=model.dtype)
    return walk(model, noise, n_steps, step_size).clamp(0, 1)


@mistake("generate", "The model's weights are frozen and stay frozen, so its training could not continue.")
def frozen(model, n_images, *, image_shape, n_steps=100, step_size=2.0, generator=None):
    noise = noise_for(model, (n_images, *image_shape), generator)
    return walk(model.requires_grad_(False), noise, n_steps, step_size).clamp(0, 1)


@mistake("generate", "A model may have no weights at all, and then `next` raises an error.")
def weights_taken_for_granted(model, n_images, *, image_shape, n_steps=100, step_size=2.0, generator=None):
    like = next(model.parameters())
    noise = torch.rand((n_images, *image_shape), generator=generator, dtype=like.dtype, device=like.device)
    return walk(model, noise, n_steps, step_size).clamp(0, 1)


@mistake("generate", "`image_shape` is a tuple inside the shape, but the shape should contain its numbers.")
def tuple_within_the_shape(model, n_images, *, image_shape, n_steps=100, step_size=2.0, generator=None):
    noise = torch.rand(n_images, image_shape, generator=generator)
    return walk(model, noise, n_steps, step_size).clamp(0, 1)


@mistake("generate", "Python can't add a tuple and a list, and `image_shape` may be either.")
def tuple_taken_for_granted(model, n_images, *, image_shape, n_steps=100, step_size=2.0, generator=None):
    noise = noise_for(model, (n_images,) + image_shape, generator)  # noqa: RUF005
    return walk(model, noise, n_steps, step_size).clamp(0, 1)


@mistake("generate", "Only one picture is made: `n_images` isn't used.")
def one_picture(model, n_images, *, image_shape, n_steps=100, step_size=2.0, generator=None):
    noise = noise_for(model, (1, *image_shape), generator)
    return walk(model, noise, n_steps, step_size).clamp(0, 1)


@mistake("generate", "The pictures have their channels last, but everywhere else the channels come before the rows.")
def channels_last(model, n_images, *, image_shape, n_steps=100, step_size=2.0, generator=None):
    noise = noise_for(model, (n_images, *image_shape), generator)
    return walk(model, noise, n_steps, step_size).clamp(0, 1).movedim(1, -1)


@mistake("generate", "The function returns a list of all steps, but it should return the finished pictures.")
def all_steps(model, n_images, *, image_shape, n_steps=100, step_size=2.0, generator=None):
    noise = noise_for(model, (n_images, *image_shape), generator)
    return list(dino.sampler.denoise(model, noise, dino.sampler.noise_schedule(n_steps), step_size))


@mistake("generate", "The function returns the whole last Step, but the pictures are only one part of it.")
def whole_step(model, n_images, *, image_shape, n_steps=100, step_size=2.0, generator=None):
    noise = noise_for(model, (n_images, *image_shape), generator)
    return list(dino.sampler.denoise(model, noise, dino.sampler.noise_schedule(n_steps), step_size))[-1]


@mistake(
    "generate", "The function contains `yield`, so calling it runs nothing. It should return the finished pictures."
)
def a_generator(model, n_images, *, image_shape, n_steps=100, step_size=2.0, generator=None):
    noise = noise_for(model, (n_images, *image_shape), generator)
    yield from dino.sampler.denoise(model, noise, dino.sampler.noise_schedule(n_steps), step_size)


@mistake("generate", "The function makes the pictures but returns nothing.")
def nothing_returned(model, n_images, *, image_shape, n_steps=100, step_size=2.0, generator=None):
    noise = noise_for(model, (n_images, *image_shape), generator)
    walk(model, noise, n_steps, step_size).clamp(0, 1)
