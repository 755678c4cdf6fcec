"""Wrong answers to lesson 04 that people give, and what to say to each. The grader knows a mistake when it sees one.

Reading on spoils the exercises.
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
    """The part that most mistakes get right."""
    if n_steps < 1:
        raise ValueError("at least 1 step")


@mistake("noise_schedule", "There are as many levels as steps; but a step goes from one level to the next.")
def one_level_short(n_steps: int) -> Tensor:
    at_least_one(n_steps)
    return torch.linspace(1, 0, n_steps)


@mistake("noise_schedule", "The levels stop one short of 0, so the last step would never be taken.")
def zero_left_out(n_steps: int) -> Tensor:
    at_least_one(n_steps)
    return torch.linspace(1, 0, n_steps + 1)[:-1]


@mistake("noise_schedule", "The levels begin one step below 1: pure noise, where the sampler starts, is missing.")
def one_left_out(n_steps: int) -> Tensor:
    at_least_one(n_steps)
    return torch.linspace(1, 0, n_steps + 1)[1:]


@mistake("noise_schedule", "There is one level too many: you counted one extra twice.")
def one_level_too_many(n_steps: int) -> Tensor:
    at_least_one(n_steps)
    return torch.linspace(1, 0, n_steps + 2)


@mistake("noise_schedule", "The levels rise from 0 to 1; sampling starts at noise and goes down.")
def ascending(n_steps: int) -> Tensor:
    at_least_one(n_steps)
    return torch.linspace(0, 1, n_steps + 1)


@mistake("noise_schedule", "The last level is a little above 0, so a trace of the noise stays in every picture.")
def ends_above_zero(n_steps: int) -> Tensor:
    at_least_one(n_steps)
    return torch.linspace(1, 1e-3, n_steps + 1)


@mistake("noise_schedule", "The first level is a little below 1, but what you start from is noise and nothing else.")
def starts_below_one(n_steps: int) -> Tensor:
    at_least_one(n_steps)
    return torch.linspace(0.999, 0, n_steps + 1)


@mistake("noise_schedule", "The levels follow a cosine: they crowd at both ends, and here they should be even.")
def cosine(n_steps: int) -> Tensor:
    at_least_one(n_steps)
    return (1 + torch.cos(math.pi * torch.linspace(0, 1, n_steps + 1))) / 2


@mistake("noise_schedule", "The levels are squared, so that they crowd near 0; here they should be even.")
def squared(n_steps: int) -> Tensor:
    at_least_one(n_steps)
    return torch.linspace(1, 0, n_steps + 1) ** 2


@mistake("noise_schedule", "Each level is half of the one before: that is not even, and never arrives at 0.")
def halved(n_steps: int) -> Tensor:
    at_least_one(n_steps)
    return 0.5 ** torch.arange(n_steps + 1)


@mistake("noise_schedule", "The levels are the numbers of the steps; as shares of noise they should lie in [0, 1].")
def step_numbers(n_steps: int) -> Tensor:
    at_least_one(n_steps)
    return torch.arange(n_steps, -1, -1)


@mistake("noise_schedule", "The division is rounded down to whole numbers, which leaves 1 and then nothing but 0.")
def whole_numbers(n_steps: int) -> Tensor:
    at_least_one(n_steps)
    return torch.arange(n_steps, -1, -1) // n_steps


@mistake("noise_schedule", "The levels are divided by their number, which is one more than the steps: 1 isn't reached.")
def divided_by_too_much(n_steps: int) -> Tensor:
    at_least_one(n_steps)
    return torch.arange(n_steps, -1, -1) / (n_steps + 1)


@mistake("noise_schedule", "The levels are drawn at random and sorted; they should be evenly spaced, always the same.")
def drawn_at_random(n_steps: int) -> Tensor:
    at_least_one(n_steps)
    levels = torch.rand(n_steps + 1, generator=torch.Generator().manual_seed(0))
    return levels.sort(descending=True).values


@mistake("noise_schedule", "The levels come as a list; what uses them expects a tensor.")
def a_list(n_steps: int) -> list[float]:
    at_least_one(n_steps)
    return [1 - i / n_steps for i in range(n_steps + 1)]


@mistake("noise_schedule", "The levels come with a shape for images; the docstring asks for one plain row.")
def four_dimensions(n_steps: int) -> Tensor:
    at_least_one(n_steps)
    return torch.linspace(1, 0, n_steps + 1).view(-1, 1, 1, 1)


@mistake("noise_schedule", "The levels come as pairs, from and to; the docstring asks for one plain row.")
def pairs(n_steps: int) -> Tensor:
    at_least_one(n_steps)
    levels = torch.linspace(1, 0, n_steps + 1)
    return torch.stack([levels[:-1], levels[1:]], dim=1)


@mistake("noise_schedule", "The levels are float64, where pictures and networks are float32.")
def double_precision(n_steps: int) -> Tensor:
    at_least_one(n_steps)
    return torch.linspace(1, 0, n_steps + 1, dtype=torch.float64)


@mistake("noise_schedule", "With torch.arange and a step of -1/n, rounding decides whether 0 or one more is the last.")
def arange_by_fractions(n_steps: int) -> Tensor:
    at_least_one(n_steps)
    return torch.arange(1, -1 / n_steps, -1 / n_steps)


@mistake("noise_schedule", "0 steps are not refused, and there are no levels for no steps.")
def nothing_refused(n_steps: int) -> Tensor:
    return torch.linspace(1, 0, n_steps + 1)


@mistake("noise_schedule", "0 steps are refused, but numbers below 0 are let through.")
def zero_alone_refused(n_steps: int) -> Tensor:
    if n_steps == 0:
        raise ValueError("at least 1 step")
    return torch.linspace(1, 0, max(0, n_steps + 1))


@mistake("noise_schedule", "`assert` raises an AssertionError; the docstring promises another kind of error.")
def asserted(n_steps: int) -> Tensor:
    assert n_steps >= 1
    return torch.linspace(1, 0, n_steps + 1)


# ---- 4.2 extrapolate ------------------------------------------------------------------------------------------------


@mistake("extrapolate", "The two answers are swapped: the guess leans back towards the previous one.")
def leaning_back(denoised: Tensor, previous: Tensor | None, step_size: float) -> Tensor:
    return denoised if previous is None else torch.lerp(denoised, previous, step_size)


@mistake("extrapolate", "The way is counted from the new answer on, so that a step size of 1 already goes beyond it.")
def counted_from_the_new(denoised: Tensor, previous: Tensor | None, step_size: float) -> Tensor:
    return denoised if previous is None else denoised + step_size * (denoised - previous)


@mistake("extrapolate", "A step size of 2 goes back to the previous answer: the sign of the change is turned round.")
def wrong_sign(denoised: Tensor, previous: Tensor | None, step_size: float) -> Tensor:
    return denoised if previous is None else denoised + (step_size - 1) * (previous - denoised)


@mistake("extrapolate", "The guess is the new answer always: the previous one and the step size aren't used.")
def never_leaning(denoised: Tensor, previous: Tensor | None, step_size: float) -> Tensor:
    return denoised.clone()


@mistake("extrapolate", "The guess is as for a step size of 2 always: `step_size` isn't used.")
def always_two(denoised: Tensor, previous: Tensor | None, step_size: float) -> Tensor:
    return denoised if previous is None else 2 * denoised - previous


@mistake("extrapolate", "The guess is as for a step size of 1.5 always (Adams-Bashforth): `step_size` isn't used.")
def always_one_and_a_half(denoised: Tensor, previous: Tensor | None, step_size: float) -> Tensor:
    return denoised if previous is None else 1.5 * denoised - 0.5 * previous


@mistake("extrapolate", "The guess is the change alone; it should be added to the previous answer.")
def change_alone(denoised: Tensor, previous: Tensor | None, step_size: float) -> Tensor:
    return denoised if previous is None else step_size * (denoised - previous)


@mistake("extrapolate", "The whole new answer is added to the previous one, where their difference should be.")
def added_whole(denoised: Tensor, previous: Tensor | None, step_size: float) -> Tensor:
    return denoised if previous is None else previous + step_size * denoised


@mistake(
    "extrapolate", "The two answers are added with weights that add up to more than 1: pictures would grow bright."
)
def weights_above_one(denoised: Tensor, previous: Tensor | None, step_size: float) -> Tensor:
    return denoised if previous is None else step_size * denoised + (step_size - 1) * previous


@mistake("extrapolate", "The weights of the two answers add up to 1 at a step size of 2 alone.")
def right_at_two_alone(denoised: Tensor, previous: Tensor | None, step_size: float) -> Tensor:
    return denoised if previous is None else step_size * denoised - previous


@mistake("extrapolate", "The new answer is multiplied by the step size, and the previous one isn't used.")
def multiplied(denoised: Tensor, previous: Tensor | None, step_size: float) -> Tensor:
    return denoised if previous is None else step_size * denoised


@mistake("extrapolate", "The two answers are averaged, so the guess is half a step behind.")
def averaged(denoised: Tensor, previous: Tensor | None, step_size: float) -> Tensor:
    return denoised if previous is None else (denoised + previous) / 2


@mistake("extrapolate", "The guess is cut off to [0, 1]; it may leave that range.")
def guess_clamped(denoised: Tensor, previous: Tensor | None, step_size: float) -> Tensor:
    return denoised if previous is None else torch.lerp(previous, denoised, step_size).clamp(0, 1)


@mistake("extrapolate", "The step size is cut off at 1, so the guess never goes beyond the new answer.")
def never_beyond(denoised: Tensor, previous: Tensor | None, step_size: float) -> Tensor:
    return denoised if previous is None else torch.lerp(previous, denoised, min(step_size, 1.0))


@mistake("extrapolate", "The step size is rounded to a whole number.")
def rounded_down(denoised: Tensor, previous: Tensor | None, step_size: float) -> Tensor:
    return denoised if previous is None else torch.lerp(previous, denoised, max(int(step_size), step_size % 1))


@mistake("extrapolate", "Where there is no previous answer, a black picture is taken for it.")
def black_before_the_first(denoised: Tensor, previous: Tensor | None, step_size: float) -> Tensor:
    return torch.lerp(torch.zeros_like(denoised) if previous is None else previous, denoised, step_size)


@mistake("extrapolate", "Where there is no previous answer, a gray picture is taken for it.")
def gray_before_the_first(denoised: Tensor, previous: Tensor | None, step_size: float) -> Tensor:
    return torch.lerp(torch.full_like(denoised, 0.5) if previous is None else previous, denoised, step_size)


@mistake("extrapolate", "Where there is no previous answer, nothing is returned.")
def nothing_at_first(denoised: Tensor, previous: Tensor | None, step_size: float) -> Tensor | None:
    return None if previous is None else torch.lerp(previous, denoised, step_size)


@mistake("extrapolate", "The case that `previous` is None is forgotten, and one can't calculate with None.")
def none_forgotten(denoised: Tensor, previous: Tensor | None, step_size: float) -> Tensor:
    return previous + step_size * (denoised - previous)


@mistake("extrapolate", "The case that `previous` is None is forgotten, and torch.lerp needs two tensors.")
def none_in_lerp(denoised: Tensor, previous: Tensor | None, step_size: float) -> Tensor:
    return torch.lerp(previous, denoised, step_size)


@mistake("extrapolate", "`if previous` asks a whole tensor for one yes or no; compare with None instead.")
def truth_of_a_tensor(denoised: Tensor, previous: Tensor | None, step_size: float) -> Tensor:
    if previous:
        return torch.lerp(previous, denoised, step_size)
    return denoised


@mistake("extrapolate", "The guess is written into `previous`, which belongs to the caller.")
def into_previous(denoised: Tensor, previous: Tensor | None, step_size: float) -> Tensor:
    return denoised if previous is None else previous.lerp_(denoised, step_size)


@mistake("extrapolate", "The guess is written into `denoised`, the answer that the next step needs to lean on.")
def into_denoised(denoised: Tensor, previous: Tensor | None, step_size: float) -> Tensor:
    return denoised if previous is None else denoised.sub_(previous).mul_(step_size).add_(previous)


# ---- 4.3 remix ------------------------------------------------------------------------------------------------------


@mistake("remix", "The fraction is upside down: going to a lower level, the share that is kept comes out above 1.")
def fraction_inverted(noisy: Tensor, guess: Tensor, noise_level: Tensor, next_level: Tensor) -> Tensor:
    return torch.lerp(guess, noisy, noise_level / next_level)


@mistake("remix", "The share that is kept is the next level alone, as if `noisy` were pure noise at every step.")
def next_level_alone(noisy: Tensor, guess: Tensor, noise_level: Tensor, next_level: Tensor) -> Tensor:
    return torch.lerp(guess, noisy, next_level)


@mistake("remix", "The share that is kept is the level now, and where to go isn't used.")
def this_level_alone(noisy: Tensor, guess: Tensor, noise_level: Tensor, next_level: Tensor) -> Tensor:
    return torch.lerp(guess, noisy, noise_level)


@mistake("remix", "The guess and the noisy images are swapped: the nearer the end, the more of the noise is kept.")
def guess_and_noisy_swapped(noisy: Tensor, guess: Tensor, noise_level: Tensor, next_level: Tensor) -> Tensor:
    return torch.lerp(noisy, guess, next_level / noise_level)


@mistake("remix", "The guess's share is the difference of the two levels; how much is that of the level there is now?")
def difference_of_levels(noisy: Tensor, guess: Tensor, noise_level: Tensor, next_level: Tensor) -> Tensor:
    return torch.lerp(noisy, guess, noise_level - next_level)


@mistake("remix", "The share that is kept is the difference of the two levels.")
def difference_kept(noisy: Tensor, guess: Tensor, noise_level: Tensor, next_level: Tensor) -> Tensor:
    return torch.lerp(guess, noisy, noise_level - next_level)


@mistake("remix", "The share that is kept is the product of the two levels.")
def product_of_levels(noisy: Tensor, guess: Tensor, noise_level: Tensor, next_level: Tensor) -> Tensor:
    return torch.lerp(guess, noisy, noise_level * next_level)


@mistake("remix", "The guess is returned as it is, and all of the noise with what it knew is thrown away.")
def guess_alone(noisy: Tensor, guess: Tensor, noise_level: Tensor, next_level: Tensor) -> Tensor:
    return guess.clone()


@mistake("remix", "The noisy images are returned as they were, so that no step leads anywhere.")
def nothing_done(noisy: Tensor, guess: Tensor, noise_level: Tensor, next_level: Tensor) -> Tensor:
    return noisy.clone()


@mistake("remix", "The guess and the noisy images are averaged half and half: the levels aren't used.")
def half_and_half(noisy: Tensor, guess: Tensor, noise_level: Tensor, next_level: Tensor) -> Tensor:
    return (noisy + guess) / 2


@mistake("remix", "The noisy images fade, but the guess comes in at full strength: the weights don't add up to 1.")
def guess_at_full_strength(noisy: Tensor, guess: Tensor, noise_level: Tensor, next_level: Tensor) -> Tensor:
    return guess + next_level / noise_level * noisy


@mistake("remix", "The guess is added on top of the noisy images, which should make room for it.")
def guess_on_top(noisy: Tensor, guess: Tensor, noise_level: Tensor, next_level: Tensor) -> Tensor:
    return noisy + (1 - next_level / noise_level) * guess


@mistake("remix", "The noisy images are taken for the noise itself; but they hold some of the picture already.")
def noisy_taken_for_noise(noisy: Tensor, guess: Tensor, noise_level: Tensor, next_level: Tensor) -> Tensor:
    return (1 - next_level) * guess + next_level / noise_level * noisy


@mistake("remix", "The difference of `noisy` and `guess` is taken for the noise; it is the noise less the picture.")
def difference_taken_for_noise(noisy: Tensor, guess: Tensor, noise_level: Tensor, next_level: Tensor) -> Tensor:
    return torch.lerp(guess, noisy - guess, next_level)


@mistake("remix", "The noise is worked out right, but then mixed in at its old weight.")
def implied_noise_at_the_old_level(noisy: Tensor, guess: Tensor, noise_level: Tensor, next_level: Tensor) -> Tensor:
    noise = (noisy - (1 - noise_level) * guess) / noise_level
    return (1 - next_level) * guess + noise_level * noise


@mistake("remix", "The step goes away from the guess: its sign is turned round.")
def away_from_the_guess(noisy: Tensor, guess: Tensor, noise_level: Tensor, next_level: Tensor) -> Tensor:
    return noisy + (next_level - noise_level) / noise_level * (guess - noisy)


@mistake("remix", "The step is divided by the level it leads to, which is 0 in the end, in place of the level now.")
def divided_by_the_next(noisy: Tensor, guess: Tensor, noise_level: Tensor, next_level: Tensor) -> Tensor:
    return noisy + (next_level - noise_level) / next_level * (noisy - guess)


@mistake("remix", "The weights are those for Gaussian noise, with square roots.")
def square_roots(noisy: Tensor, guess: Tensor, noise_level: Tensor, next_level: Tensor) -> Tensor:
    return torch.lerp(guess, noisy, (next_level / noise_level).sqrt())


@mistake("remix", "The share that is kept is squared, so the images are cleaner than the level says.")
def share_squared(noisy: Tensor, guess: Tensor, noise_level: Tensor, next_level: Tensor) -> Tensor:
    return torch.lerp(guess, noisy, (next_level / noise_level) ** 2)


@mistake("remix", "The guess is mixed with new noise; what was left of the old noise is lost.")
def new_noise(noisy: Tensor, guess: Tensor, noise_level: Tensor, next_level: Tensor) -> Tensor:
    return torch.lerp(guess, torch.rand_like(noisy), next_level)


@mistake("remix", "The result is cut off to [0, 1]; on the way it may leave that range.")
def result_clamped(noisy: Tensor, guess: Tensor, noise_level: Tensor, next_level: Tensor) -> Tensor:
    return torch.lerp(guess, noisy, next_level / noise_level).clamp(0, 1)


@mistake("remix", "The guess is cut off to [0, 1] before it is mixed in; it may leave that range.")
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
    """Each level as (1, 1, 1, 1), like the images."""
    return torch.as_tensor(schedule).to(noisy).view(-1, 1, 1, 1, 1)


@mistake("denoise", "The model is told the level that the step leads to, not the one that the images are at.")
@torch.no_grad()
def told_the_next_level(model: nn.Module, noisy: Tensor, schedule: Schedule, step_size: float = 2.0) -> Iterator[Step]:
    previous = None
    for now, after in pairwise(levels_of(schedule, noisy)):
        denoised = model(noisy, after)
        noisy = remix(noisy, extrapolate(denoised, previous, step_size), now, after)
        previous = denoised
        yield Step(after, noisy, denoised)


@mistake("denoise", "The model is told a level of 1 in every step, as if the images stayed pure noise.")
@torch.no_grad()
def told_one_always(model: nn.Module, noisy: Tensor, schedule: Schedule, step_size: float = 2.0) -> Iterator[Step]:
    previous = None
    levels = levels_of(schedule, noisy)
    for now, after in pairwise(levels):
        denoised = model(noisy, levels[0])
        noisy = remix(noisy, extrapolate(denoised, previous, step_size), now, after)
        previous = denoised
        yield Step(after, noisy, denoised)


@mistake("denoise", "The model is told 1 minus the level: how clean the images are, not how noisy.")
@torch.no_grad()
def told_how_clean(model: nn.Module, noisy: Tensor, schedule: Schedule, step_size: float = 2.0) -> Iterator[Step]:
    previous = None
    for now, after in pairwise(levels_of(schedule, noisy)):
        denoised = model(noisy, 1 - now)
        noisy = remix(noisy, extrapolate(denoised, previous, step_size), now, after)
        previous = denoised
        yield Step(after, noisy, denoised)


@mistake("denoise", "The model is told the number of the step, not the noise level.")
@torch.no_grad()
def told_the_step_number(model: nn.Module, noisy: Tensor, schedule: Schedule, step_size: float = 2.0) -> Iterator[Step]:
    previous = None
    for place, (now, after) in enumerate(pairwise(levels_of(schedule, noisy))):
        denoised = model(noisy, torch.full_like(now, place))
        noisy = remix(noisy, extrapolate(denoised, previous, step_size), now, after)
        previous = denoised
        yield Step(after, noisy, denoised)


@mistake("denoise", "The model is told the level as a plain number; it needs a tensor of shape (1, 1, 1, 1).")
@torch.no_grad()
def told_a_plain_number(model: nn.Module, noisy: Tensor, schedule: Schedule, step_size: float = 2.0) -> Iterator[Step]:
    previous = None
    for now, after in pairwise(levels_of(schedule, noisy)):
        denoised = model(noisy, now.item())
        noisy = remix(noisy, extrapolate(denoised, previous, step_size), now, after)
        previous = denoised
        yield Step(after, noisy, denoised)


@mistake("denoise", "The model is told the level as a tensor without dimensions; its shape should be (1, 1, 1, 1).")
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
    "The level has a dimension too few: taking it out of the row used one up, so the row's shape needs one more 1.",
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


@mistake("denoise", "The model is told a bare row of levels (N,), which lines up with columns, not with images.")
@torch.no_grad()
def told_a_bare_row(model: nn.Module, noisy: Tensor, schedule: Schedule, step_size: float = 2.0) -> Iterator[Step]:
    previous = None
    for now, after in pairwise(levels_of(schedule, noisy)):
        denoised = model(noisy, now.flatten().expand(len(noisy)))
        noisy = remix(noisy, extrapolate(denoised, previous, step_size), now, after)
        previous = denoised
        yield Step(after, noisy, denoised)


@mistake("denoise", "The two things that the model is called with are in the wrong order.")
@torch.no_grad()
def level_first(model: nn.Module, noisy: Tensor, schedule: Schedule, step_size: float = 2.0) -> Iterator[Step]:
    previous = None
    for now, after in pairwise(levels_of(schedule, noisy)):
        denoised = model(now, noisy)
        noisy = remix(noisy, extrapolate(denoised, previous, step_size), now, after)
        previous = denoised
        yield Step(after, noisy, denoised)


@mistake("denoise", "The model isn't told any level.")
@torch.no_grad()
def told_no_level(model: nn.Module, noisy: Tensor, schedule: Schedule, step_size: float = 2.0) -> Iterator[Step]:
    previous = None
    for now, after in pairwise(levels_of(schedule, noisy)):
        denoised = model(noisy)
        noisy = remix(noisy, extrapolate(denoised, previous, step_size), now, after)
        previous = denoised
        yield Step(after, noisy, denoised)


@mistake("denoise", "The levels keep a dtype of their own; a network takes its image and its level in the same one.")
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


@mistake("denoise", "The model is shown the noise of the start in every step, and never sees how far you have come.")
@torch.no_grad()
def start_shown_always(model: nn.Module, noisy: Tensor, schedule: Schedule, step_size: float = 2.0) -> Iterator[Step]:
    previous, start = None, noisy
    for now, after in pairwise(levels_of(schedule, noisy)):
        denoised = model(start, now)
        noisy = remix(noisy, extrapolate(denoised, previous, step_size), now, after)
        previous = denoised
        yield Step(after, noisy, denoised)


@mistake("denoise", "The model is shown its own last answer, not the mix.")
@torch.no_grad()
def answer_shown(model: nn.Module, noisy: Tensor, schedule: Schedule, step_size: float = 2.0) -> Iterator[Step]:
    previous = None
    for now, after in pairwise(levels_of(schedule, noisy)):
        denoised = model(noisy if previous is None else previous, now)
        noisy = remix(noisy, extrapolate(denoised, previous, step_size), now, after)
        previous = denoised
        yield Step(after, noisy, denoised)


@mistake("denoise", "The guess is remembered for the next step in place of the answer, so it is leant on twice.")
@torch.no_grad()
def guess_remembered(model: nn.Module, noisy: Tensor, schedule: Schedule, step_size: float = 2.0) -> Iterator[Step]:
    previous = None
    for now, after in pairwise(levels_of(schedule, noisy)):
        denoised = model(noisy, now)
        previous = extrapolate(denoised, previous, step_size)
        noisy = remix(noisy, previous, now, after)
        yield Step(after, noisy, denoised)


@mistake("denoise", "`previous` is set too early or never, or the answer is mixed in where the guess should be.")
@torch.no_grad()
def never_remembered(model: nn.Module, noisy: Tensor, schedule: Schedule, step_size: float = 2.0) -> Iterator[Step]:
    for now, after in pairwise(levels_of(schedule, noisy)):
        denoised = model(noisy, now)
        noisy = remix(noisy, extrapolate(denoised, None, step_size), now, after)
        yield Step(after, noisy, denoised)


@mistake("denoise", "Every step leans on the first answer: `previous` isn't brought up to date.")
@torch.no_grad()
def first_remembered(model: nn.Module, noisy: Tensor, schedule: Schedule, step_size: float = 2.0) -> Iterator[Step]:
    previous = None
    for now, after in pairwise(levels_of(schedule, noisy)):
        denoised = model(noisy, now)
        noisy = remix(noisy, extrapolate(denoised, previous, step_size), now, after)
        previous = denoised if previous is None else previous
        yield Step(after, noisy, denoised)


@mistake("denoise", "The noisy images are taken for the previous answer.")
@torch.no_grad()
def leaning_on_the_mix(model: nn.Module, noisy: Tensor, schedule: Schedule, step_size: float = 2.0) -> Iterator[Step]:
    previous = None
    for now, after in pairwise(levels_of(schedule, noisy)):
        denoised = model(noisy, now)
        noisy = remix(noisy, extrapolate(denoised, previous, step_size), now, after)
        previous = noisy
        yield Step(after, noisy, denoised)


@mistake("denoise", "The first step leans on the noise it starts from; there is no previous answer yet.")
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


@mistake("denoise", "`step_size` isn't handed on: each step is taken with 2.")
@torch.no_grad()
def step_size_ignored(model: nn.Module, noisy: Tensor, schedule: Schedule, step_size: float = 2.0) -> Iterator[Step]:
    previous = None
    for now, after in pairwise(levels_of(schedule, noisy)):
        denoised = model(noisy, now)
        noisy = remix(noisy, extrapolate(denoised, previous, 2.0), now, after)
        previous = denoised
        yield Step(after, noisy, denoised)


@mistake("denoise", "Without a step size, 1 is taken; the signature in the lesson says 2.")
@torch.no_grad()
def other_default(model: nn.Module, noisy: Tensor, schedule: Schedule, step_size: float = 1.0) -> Iterator[Step]:
    yield from dino.sampler.denoise(model, noisy, schedule, step_size)


@mistake("denoise", "The two levels are handed to `remix` in the wrong order.")
@torch.no_grad()
def levels_swapped(model: nn.Module, noisy: Tensor, schedule: Schedule, step_size: float = 2.0) -> Iterator[Step]:
    previous = None
    for now, after in pairwise(levels_of(schedule, noisy)):
        denoised = model(noisy, now)
        noisy = remix(noisy, extrapolate(denoised, previous, step_size), after, now)
        previous = denoised
        yield Step(after, noisy, denoised)


@mistake("denoise", "Each step mixes the guess into the noise of the start; what the steps before made of it is lost.")
@torch.no_grad()
def start_remixed_always(model: nn.Module, noisy: Tensor, schedule: Schedule, step_size: float = 2.0) -> Iterator[Step]:
    previous, start, first = None, noisy, None
    for now, after in pairwise(levels_of(schedule, noisy)):
        first = now if first is None else first
        denoised = model(noisy, now)
        noisy = remix(start, extrapolate(denoised, previous, step_size), first, after)
        previous = denoised
        yield Step(after, noisy, denoised)


@mistake("denoise", "Each step mixes fresh noise in; the noise of the start is all there should be.")
@torch.no_grad()
def fresh_noise(model: nn.Module, noisy: Tensor, schedule: Schedule, step_size: float = 2.0) -> Iterator[Step]:
    previous = None
    for now, after in pairwise(levels_of(schedule, noisy)):
        denoised = model(noisy, now)
        guess = extrapolate(denoised, previous, step_size)
        noisy = torch.lerp(guess, torch.rand_like(noisy), after)
        previous = denoised
        yield Step(after, noisy, denoised)


@mistake("denoise", "The mix is cut off to [0, 1] after each step; that should wait for the finished picture.")
@torch.no_grad()
def mix_clamped(model: nn.Module, noisy: Tensor, schedule: Schedule, step_size: float = 2.0) -> Iterator[Step]:
    previous = None
    for now, after in pairwise(levels_of(schedule, noisy)):
        denoised = model(noisy, now)
        noisy = remix(noisy, extrapolate(denoised, previous, step_size), now, after).clamp(0, 1)
        previous = denoised
        yield Step(after, noisy, denoised)


@mistake("denoise", "The model's answer is cut off to [0, 1] in each step; it is to be used as it is.")
@torch.no_grad()
def answer_clamped(model: nn.Module, noisy: Tensor, schedule: Schedule, step_size: float = 2.0) -> Iterator[Step]:
    previous = None
    for now, after in pairwise(levels_of(schedule, noisy)):
        denoised = model(noisy, now).clamp(0, 1)
        noisy = remix(noisy, extrapolate(denoised, previous, step_size), now, after)
        previous = denoised
        yield Step(after, noisy, denoised)


@mistake("denoise", "The guess is cut off to [0, 1] in each step; it may leave that range.")
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
    "Gradients stay on while the model is called: torch keeps all that it computes, for a backward pass that never comes.",
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
    "Gradients are still off when the function stands still at `yield`, so its caller is left without them too.",
)
def yield_within_no_grad(model: nn.Module, noisy: Tensor, schedule: Schedule, step_size: float = 2.0) -> Iterator[Step]:
    with torch.no_grad():
        previous = None
        for now, after in pairwise(levels_of(schedule, noisy)):
            denoised = model(noisy, now)
            noisy = remix(noisy, extrapolate(denoised, previous, step_size), now, after)
            previous = denoised
            yield Step(after, noisy, denoised)


@mistake("denoise", "The model is switched to evaluation mode and left in it; its mode is up to the caller.")
@torch.no_grad()
def mode_switched(model: nn.Module, noisy: Tensor, schedule: Schedule, step_size: float = 2.0) -> Iterator[Step]:
    model.eval()
    yield from dino.sampler.denoise(model, noisy, schedule, step_size)


@mistake("denoise", "The images that were handed in are overwritten.")
@torch.no_grad()
def start_overwritten(model: nn.Module, noisy: Tensor, schedule: Schedule, step_size: float = 2.0) -> Iterator[Step]:
    previous = None
    for now, after in pairwise(levels_of(schedule, noisy)):
        denoised = model(noisy, now)
        noisy.copy_(remix(noisy, extrapolate(denoised, previous, step_size), now, after))
        previous = denoised
        yield Step(after, noisy, denoised)


@mistake("denoise", "All Steps share one tensor, which each step overwrites: who keeps them has the last one only.")
@torch.no_grad()
def one_tensor_for_all(model: nn.Module, noisy: Tensor, schedule: Schedule, step_size: float = 2.0) -> Iterator[Step]:
    previous, noisy = None, noisy.clone()
    for now, after in pairwise(levels_of(schedule, noisy)):
        denoised = model(noisy, now)
        noisy.copy_(remix(noisy, extrapolate(denoised, previous, step_size), now, after))
        previous = denoised
        yield Step(after, noisy, denoised)


@mistake("denoise", "The Step tells the level that the step came from, not the one that it arrives at.")
@torch.no_grad()
def level_left_behind(model: nn.Module, noisy: Tensor, schedule: Schedule, step_size: float = 2.0) -> Iterator[Step]:
    previous = None
    for now, after in pairwise(levels_of(schedule, noisy)):
        denoised = model(noisy, now)
        noisy = remix(noisy, extrapolate(denoised, previous, step_size), now, after)
        previous = denoised
        yield Step(now, noisy, denoised)


@mistake("denoise", "The Step holds the guess, and should hold what the model answered.")
@torch.no_grad()
def guess_yielded(model: nn.Module, noisy: Tensor, schedule: Schedule, step_size: float = 2.0) -> Iterator[Step]:
    previous = None
    for now, after in pairwise(levels_of(schedule, noisy)):
        denoised = model(noisy, now)
        guess = extrapolate(denoised, previous, step_size)
        noisy = remix(noisy, guess, now, after)
        previous = denoised
        yield Step(after, noisy, guess)


@mistake("denoise", "In the Step, the mix and the model's answer have changed places.")
@torch.no_grad()
def places_changed(model: nn.Module, noisy: Tensor, schedule: Schedule, step_size: float = 2.0) -> Iterator[Step]:
    for step in dino.sampler.denoise(model, noisy, schedule, step_size):
        yield Step(step.noise_level, step.denoised, step.noisy)


@mistake("denoise", "The Step holds the mix from before the step.")
@torch.no_grad()
def yielded_too_early(model: nn.Module, noisy: Tensor, schedule: Schedule, step_size: float = 2.0) -> Iterator[Step]:
    for step in dino.sampler.denoise(model, noisy, schedule, step_size):
        yield Step(step.noise_level, noisy, step.denoised)
        noisy = step.noisy


@mistake("denoise", "What is yielded is a plain tuple, without the names of a Step.")
@torch.no_grad()
def plain_tuple(
    model: nn.Module, noisy: Tensor, schedule: Schedule, step_size: float = 2.0
) -> Iterator[tuple[Tensor, ...]]:
    for step in dino.sampler.denoise(model, noisy, schedule, step_size):
        yield tuple(step)


@mistake("denoise", "Only the images are yielded; a Step also tells the level and the model's answer.")
@torch.no_grad()
def images_alone(model: nn.Module, noisy: Tensor, schedule: Schedule, step_size: float = 2.0) -> Iterator[Tensor]:
    for step in dino.sampler.denoise(model, noisy, schedule, step_size):
        yield step.noisy


@mistake("denoise", "The levels in the Steps are plain numbers; they should be tensors of shape (1, 1, 1, 1).")
@torch.no_grad()
def plain_numbers(model: nn.Module, noisy: Tensor, schedule: Schedule, step_size: float = 2.0) -> Iterator[Step]:
    for step in dino.sampler.denoise(model, noisy, schedule, step_size):
        yield Step(step.noise_level.item(), step.noisy, step.denoised)  # type: ignore[arg-type]


@mistake("denoise", "All Steps are collected in a list and returned, so that nobody can watch.")
@torch.no_grad()
def a_list_of_steps(model: nn.Module, noisy: Tensor, schedule: Schedule, step_size: float = 2.0) -> list[Step]:
    return list(dino.sampler.denoise(model, noisy, schedule, step_size))


@mistake("denoise", "The whole walk is done before the first Step is yielded.")
@torch.no_grad()
def all_at_once(model: nn.Module, noisy: Tensor, schedule: Schedule, step_size: float = 2.0) -> Iterator[Step]:
    yield from list(dino.sampler.denoise(model, noisy, schedule, step_size))


@mistake("denoise", "Only the end of the walk is yielded: the `yield` stands after the loop.")
@torch.no_grad()
def end_alone(model: nn.Module, noisy: Tensor, schedule: Schedule, step_size: float = 2.0) -> Iterator[Step]:
    *_, step = dino.sampler.denoise(model, noisy, schedule, step_size)
    yield step


@mistake("denoise", "The images are returned after the loop; nothing is yielded.")
@torch.no_grad()
def images_returned(model: nn.Module, noisy: Tensor, schedule: Schedule, step_size: float = 2.0) -> Tensor:
    *_, step = dino.sampler.denoise(model, noisy, schedule, step_size)
    return step.noisy


@mistake("denoise", "A Step is yielded for the start as well, before any step was taken.")
@torch.no_grad()
def start_yielded(model: nn.Module, noisy: Tensor, schedule: Schedule, step_size: float = 2.0) -> Iterator[Step]:
    yield Step(levels_of(schedule, noisy)[0], noisy, noisy)
    yield from dino.sampler.denoise(model, noisy, schedule, step_size)


@mistake("denoise", "The last step is missing: the walk ends one level above the last.")
@torch.no_grad()
def last_step_missing(model: nn.Module, noisy: Tensor, schedule: Schedule, step_size: float = 2.0) -> Iterator[Step]:
    yield from dino.sampler.denoise(model, noisy, schedule[:-1], step_size)


@mistake("denoise", "The first level is skipped: the walk starts from the second one.")
@torch.no_grad()
def first_step_missing(model: nn.Module, noisy: Tensor, schedule: Schedule, step_size: float = 2.0) -> Iterator[Step]:
    yield from dino.sampler.denoise(model, noisy, schedule[1:], step_size)


@mistake("denoise", "The model is asked once more at the end, at a level of 0; the walk is over there.")
@torch.no_grad()
def one_answer_more(model: nn.Module, noisy: Tensor, schedule: Schedule, step_size: float = 2.0) -> Iterator[Step]:
    for step in dino.sampler.denoise(model, noisy, schedule, step_size):
        yield step
    denoised = model(step.noisy, step.noise_level)
    yield Step(step.noise_level, denoised, denoised)


@mistake("denoise", "The mix is cut off to [0, 1] in the last step; that is left to who makes pictures of it.")
@torch.no_grad()
def end_clamped(model: nn.Module, noisy: Tensor, schedule: Schedule, step_size: float = 2.0) -> Iterator[Step]:
    end = torch.as_tensor(schedule).tolist()[-1]
    for step in dino.sampler.denoise(model, noisy, schedule, step_size):
        last = abs(step.noise_level.item() - end) < 1e-6
        yield step._replace(noisy=step.noisy.clamp(0, 1)) if last else step


@mistake("denoise", "The model's weights are frozen and stay so: it could not go on learning.")
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


@mistake("denoise", "The levels of `schedule` aren't used: the walk goes down even levels of its own.")
@torch.no_grad()
def even_levels_of_its_own(
    model: nn.Module, noisy: Tensor, schedule: Schedule, step_size: float = 2.0
) -> Iterator[Step]:
    yield from dino.sampler.denoise(model, noisy, torch.linspace(1, 0, len(schedule)), step_size)


@mistake("denoise", "The schedule is used as a tensor; it may be a list as well.")
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
    """Noise as it should be, for the mistakes to go on from."""
    weights = next(model.parameters(), torch.empty(0))
    return torch.rand(tuple(shape), generator=generator, dtype=weights.dtype, device=weights.device)


def walk(model: nn.Module, noisy: Tensor, n_steps: int, step_size: float) -> Tensor:
    """The mix at the end, by a model that gets its mode back."""
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


@mistake("generate", "The start is Gaussian noise; the network was trained on uniform noise and knows no other.")
def gaussian_start(model, n_images, *, image_shape, n_steps=100, step_size=2.0, generator=None):
    weights = next(model.parameters(), torch.empty(0))
    shape = (n_images, *image_shape)
    noise = torch.randn(shape, generator=generator, device=weights.device, dtype=weights.dtype)
    return walk(model, noise, n_steps, step_size).clamp(0, 1)


@mistake("generate", "The noise at the start goes from -1 to 1; in training it went from 0 to 1.")
def start_from_minus_one(model, n_images, *, image_shape, n_steps=100, step_size=2.0, generator=None):
    noise = 2 * noise_for(model, (n_images, *image_shape), generator) - 1
    return walk(model, noise, n_steps, step_size).clamp(0, 1)


@mistake("generate", "The start is one plain color; without noise there is nothing for a picture to grow from.")
def plain_start(model, n_images, *, image_shape, n_steps=100, step_size=2.0, generator=None):
    noise = torch.zeros_like(noise_for(model, (n_images, *image_shape), generator))
    return walk(model, noise, n_steps, step_size).clamp(0, 1)


@mistake("generate", "All pictures start from the same noise, so they come out the same.")
def one_noise_for_all(model, n_images, *, image_shape, n_steps=100, step_size=2.0, generator=None):
    noise = noise_for(model, (1, *image_shape), generator).expand(n_images, -1, -1, -1)
    return walk(model, noise, n_steps, step_size).clamp(0, 1)


@mistake("generate", "Red, green and blue start from the same noise, so it is gray: draw it for every channel.")
def gray_noise(model, n_images, *, image_shape, n_steps=100, step_size=2.0, generator=None):
    noise = noise_for(model, (n_images, 1, *image_shape[1:]), generator).repeat(1, image_shape[0], 1, 1)
    return walk(model, noise, n_steps, step_size).clamp(0, 1)


@mistake("generate", "The generator isn't handed on to torch.rand, so the same seed gives different pictures.")
def generator_ignored(model, n_images, *, image_shape, n_steps=100, step_size=2.0, generator=None):
    noise = noise_for(model, (n_images, *image_shape), None)
    return walk(model, noise, n_steps, step_size).clamp(0, 1)


@mistake("generate", "The noise comes from a generator with a fixed seed, so every call makes the same pictures.")
def seed_fixed(model, n_images, *, image_shape, n_steps=100, step_size=2.0, generator=None):
    noise = noise_for(model, (n_images, *image_shape), torch.Generator().manual_seed(0))
    return walk(model, noise, n_steps, step_size).clamp(0, 1)


@mistake("generate", "The generator is given a new seed at each call, so each call makes the same pictures.")
def generator_reseeded(model, n_images, *, image_shape, n_steps=100, step_size=2.0, generator=None):
    if generator is not None:
        generator.manual_seed(generator.initial_seed())
    noise = noise_for(model, (n_images, *image_shape), generator)
    return walk(model, noise, n_steps, step_size).clamp(0, 1)


@mistake("generate", "torch.manual_seed is called inside, which makes every program that calls it repeat itself.")
def everyone_reseeded(model, n_images, *, image_shape, n_steps=100, step_size=2.0, generator=None):
    if generator is None:
        torch.manual_seed(0)
    noise = noise_for(model, (n_images, *image_shape), generator)
    return walk(model, noise, n_steps, step_size).clamp(0, 1)


@mistake("generate", "`n_steps` isn't handed on: 100 steps are taken, whatever is asked for.")
def n_steps_ignored(model, n_images, *, image_shape, n_steps=100, step_size=2.0, generator=None):
    noise = noise_for(model, (n_images, *image_shape), generator)
    return walk(model, noise, 100, step_size).clamp(0, 1)


@mistake("generate", "One step too few is taken: `n_steps` counts the steps, not the levels.")
def one_step_short(model, n_images, *, image_shape, n_steps=100, step_size=2.0, generator=None):
    noise = noise_for(model, (n_images, *image_shape), generator)
    return walk(model, noise, n_steps - 1, step_size).clamp(0, 1)


@mistake("generate", "One step too many is taken: the schedule adds the extra level itself.")
def one_step_too_many(model, n_images, *, image_shape, n_steps=100, step_size=2.0, generator=None):
    noise = noise_for(model, (n_images, *image_shape), generator)
    return walk(model, noise, n_steps + 1, step_size).clamp(0, 1)


@mistake("generate", "Without `n_steps` another number than 100 is taken.")
def other_number_of_steps(model, n_images, *, image_shape, n_steps=50, step_size=2.0, generator=None):
    noise = noise_for(model, (n_images, *image_shape), generator)
    return walk(model, noise, n_steps, step_size).clamp(0, 1)


@mistake("generate", "`step_size` isn't handed on: the steps are taken with 2, whatever is asked for.")
def step_size_not_handed_on(model, n_images, *, image_shape, n_steps=100, step_size=2.0, generator=None):
    noise = noise_for(model, (n_images, *image_shape), generator)
    return walk(model, noise, n_steps, 2.0).clamp(0, 1)


@mistake("generate", "Without `step_size` the steps are taken with 1, not 2.")
def other_step_size(model, n_images, *, image_shape, n_steps=100, step_size=1.0, generator=None):
    noise = noise_for(model, (n_images, *image_shape), generator)
    return walk(model, noise, n_steps, step_size).clamp(0, 1)


@mistake("generate", "Only one step is taken, as when the `return` stands inside the loop.")
def first_step_alone(model, n_images, *, image_shape, n_steps=100, step_size=2.0, generator=None):
    noise = noise_for(model, (n_images, *image_shape), generator)
    was_training = model.training
    model.eval()
    try:
        for step in dino.sampler.denoise(model, noise, dino.sampler.noise_schedule(n_steps), step_size):
            return step.noisy.clamp(0, 1)
    finally:
        model.train(was_training)


@mistake(
    "generate", "The pictures are made one at a time, with a call of the model for each; it takes them all at once."
)
def one_at_a_time(model, n_images, *, image_shape, n_steps=100, step_size=2.0, generator=None):
    noise = noise_for(model, (n_images, *image_shape), generator)
    return torch.cat([walk(model, one, n_steps, step_size) for one in noise.split(1)]).clamp(0, 1)


@mistake("generate", "The schedule is handed on upside down, from 0 to 1.")
def schedule_upside_down(model, n_images, *, image_shape, n_steps=100, step_size=2.0, generator=None):
    noise = noise_for(model, (n_images, *image_shape), generator)
    was_training = model.training
    model.eval()
    try:
        *_, step = dino.sampler.denoise(model, noise, dino.sampler.noise_schedule(n_steps).flip(0), step_size)
    finally:
        model.train(was_training)
    return step.noisy.nan_to_num().clamp(0, 1)


@mistake("generate", "The pictures aren't cut off to [0, 1] at the end.")
def not_clamped(model, n_images, *, image_shape, n_steps=100, step_size=2.0, generator=None):
    noise = noise_for(model, (n_images, *image_shape), generator)
    return walk(model, noise, n_steps, step_size)


@mistake("generate", "The mix is cut off to [0, 1] after each step; the finished picture alone should be.")
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


@mistake("generate", "What is returned is the model's last answer, not the mix that the last step arrived at.")
def last_answer(model, n_images, *, image_shape, n_steps=100, step_size=2.0, generator=None):
    noise = noise_for(model, (n_images, *image_shape), generator)
    was_training = model.training
    model.eval()
    try:
        *_, step = dino.sampler.denoise(model, noise, dino.sampler.noise_schedule(n_steps), step_size)
    finally:
        model.train(was_training)
    return step.denoised.clamp(0, 1)


@mistake("generate", "The pictures are squeezed into [0, 1] by a sigmoid, which changes all of their colors.")
def squeezed(model, n_images, *, image_shape, n_steps=100, step_size=2.0, generator=None):
    noise = noise_for(model, (n_images, *image_shape), generator)
    return torch.sigmoid(walk(model, noise, n_steps, step_size))


@mistake("generate", "The pictures are stretched so that they fill [0, 1], which changes all of their colors.")
def stretched(model, n_images, *, image_shape, n_steps=100, step_size=2.0, generator=None):
    noise = noise_for(model, (n_images, *image_shape), generator)
    made = walk(model, noise, n_steps, step_size)
    return (made - made.min()) / (made.max() - made.min())


@mistake("generate", "The pictures are treated as if they went from -1 to 1; in this course they go from 0 to 1.")
def halved_and_shifted(model, n_images, *, image_shape, n_steps=100, step_size=2.0, generator=None):
    noise = noise_for(model, (n_images, *image_shape), generator)
    return ((walk(model, noise, n_steps, step_size) + 1) / 2).clamp(0, 1)


@mistake("generate", "The pictures are turned into bytes; they should stay numbers from 0 to 1.")
def as_bytes(model, n_images, *, image_shape, n_steps=100, step_size=2.0, generator=None):
    noise = noise_for(model, (n_images, *image_shape), generator)
    return (255 * walk(model, noise, n_steps, step_size).clamp(0, 1)).to(torch.uint8)


@mistake("generate", "The model isn't switched to evaluation mode.")
def never_evaluating(model, n_images, *, image_shape, n_steps=100, step_size=2.0, generator=None):
    noise = noise_for(model, (n_images, *image_shape), generator)
    return walk_in_any_mode(model, noise, n_steps, step_size).clamp(0, 1)


@mistake("generate", "The model is left in evaluation mode, and a training that goes on would go on in it.")
def left_evaluating(model, n_images, *, image_shape, n_steps=100, step_size=2.0, generator=None):
    noise = noise_for(model, (n_images, *image_shape), generator)
    model.eval()
    return walk_in_any_mode(model, noise, n_steps, step_size).clamp(0, 1)


@mistake("generate", "The model is put in training mode at the end, even if it came in evaluation mode.")
def always_training_after(model, n_images, *, image_shape, n_steps=100, step_size=2.0, generator=None):
    noise = noise_for(model, (n_images, *image_shape), generator)
    model.eval()
    try:
        return walk_in_any_mode(model, noise, n_steps, step_size).clamp(0, 1)
    finally:
        model.train()


@mistake("generate", "If the model raises an error halfway, the line that puts its mode back is never reached.")
def mode_lost_in_an_error(model, n_images, *, image_shape, n_steps=100, step_size=2.0, generator=None):
    noise = noise_for(model, (n_images, *image_shape), generator)
    was_training = model.training
    model.eval()
    noisy = walk_in_any_mode(model, noise, n_steps, step_size)
    model.train(was_training)
    return noisy.clamp(0, 1)


@mistake("generate", "A `return` in the `finally` block hides the errors of the model.")
def errors_hidden(model, n_images, *, image_shape, n_steps=100, step_size=2.0, generator=None):
    noisy = noise_for(model, (n_images, *image_shape), generator)
    was_training = model.training
    model.eval()
    try:
        noisy = walk_in_any_mode(model, noisy, n_steps, step_size)
    finally:
        model.train(was_training)
        return noisy.clamp(0, 1)


@mistake("generate", "`model.training = False` switches the model alone, and none of the layers within it.")
def model_switched_alone(model, n_images, *, image_shape, n_steps=100, step_size=2.0, generator=None):
    noise = noise_for(model, (n_images, *image_shape), generator)
    was_training = model.training
    model.training = False
    try:
        return walk_in_any_mode(model, noise, n_steps, step_size).clamp(0, 1)
    finally:
        model.training = was_training


@mistake("generate", "The model comes back in the right mode, but its layers are left in evaluation mode.")
def layers_left_evaluating(model, n_images, *, image_shape, n_steps=100, step_size=2.0, generator=None):
    noise = noise_for(model, (n_images, *image_shape), generator)
    was_training = model.training
    model.eval()
    try:
        return walk_in_any_mode(model, noise, n_steps, step_size).clamp(0, 1)
    finally:
        model.training = was_training


@mistake("generate", "Gradients stay on while the model is called.")
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


@mistake("generate", "Gradients are switched off for the whole program, and an error keeps them off.")
def gradients_off_for_everyone(model, n_images, *, image_shape, n_steps=100, step_size=2.0, generator=None):
    torch.set_grad_enabled(False)
    noise = noise_for(model, (n_images, *image_shape), generator)
    made = walk(model, noise, n_steps, step_size).clamp(0, 1)
    torch.set_grad_enabled(True)
    return made


@mistake("generate", "The noise is float32 always; it should have the dtype of the model's weights.")
def dtype_ignored(model, n_images, *, image_shape, n_steps=100, step_size=2.0, generator=None):
    noise = torch.rand((n_images, *image_shape), generator=generator)
    return walk(model, noise, n_steps, step_size).clamp(0, 1)


@mistake("generate", "The noise is drawn on the CPU and stays there, so a model on a GPU could not use it.")
def device_ignored(model, n_images, *, image_shape, n_steps=100, step_size=2.0, generator=None):
    weights = next(model.parameters(), torch.empty(0))
    noise = torch.rand((n_images, *image_shape), generator=generator, dtype=weights.dtype)
    return walk(model, noise, n_steps, step_size).clamp(0, 1)


@mistake("generate", "A model has no device of its own; each of its weights has one.")
def device_of_the_model(model, n_images, *, image_shape, n_steps=100, step_size=2.0, generator=None):
    noise = torch.rand((n_images, *image_shape), generator=generator, device=model.device)
    return walk(model, noise, n_steps, step_size).clamp(0, 1)


@mistake("generate", "A model has no dtype of its own; each of its weights has one.")
def dtype_of_the_model(model, n_images, *, image_shape, n_steps=100, step_size=2.0, generator=None):
    noise = torch.rand((n_images, *image_shape), generator=generator, dtype=model.dtype)
    return walk(model, noise, n_steps, step_size).clamp(0, 1)


@mistake("generate", "The model's weights are frozen and stay so: it could not go on learning.")
def frozen(model, n_images, *, image_shape, n_steps=100, step_size=2.0, generator=None):
    noise = noise_for(model, (n_images, *image_shape), generator)
    return walk(model.requires_grad_(False), noise, n_steps, step_size).clamp(0, 1)


@mistake("generate", "A model without weights has no first one to look at, and `next` stops with an error.")
def weights_taken_for_granted(model, n_images, *, image_shape, n_steps=100, step_size=2.0, generator=None):
    dtype = next(model.parameters()).dtype
    noise = torch.rand((n_images, *image_shape), generator=generator, dtype=dtype)
    return walk(model, noise, n_steps, step_size).clamp(0, 1)


@mistake("generate", "`image_shape` is a tuple inside the shape; `*image_shape` lays out its numbers.")
def tuple_within_the_shape(model, n_images, *, image_shape, n_steps=100, step_size=2.0, generator=None):
    noise = torch.rand(n_images, image_shape, generator=generator)
    return walk(model, noise, n_steps, step_size).clamp(0, 1)


@mistake("generate", "A tuple and a list can't be added: `image_shape` may be either.")
def tuple_taken_for_granted(model, n_images, *, image_shape, n_steps=100, step_size=2.0, generator=None):
    noise = noise_for(model, (n_images,) + image_shape, generator)  # noqa: RUF005
    return walk(model, noise, n_steps, step_size).clamp(0, 1)


@mistake("generate", "Only one picture is made: `n_images` isn't used.")
def one_picture(model, n_images, *, image_shape, n_steps=100, step_size=2.0, generator=None):
    noise = noise_for(model, (1, *image_shape), generator)
    return walk(model, noise, n_steps, step_size).clamp(0, 1)


@mistake("generate", "The pictures come with their channels last; everything else here has them before the rows.")
def channels_last(model, n_images, *, image_shape, n_steps=100, step_size=2.0, generator=None):
    noise = noise_for(model, (n_images, *image_shape), generator)
    return walk(model, noise, n_steps, step_size).clamp(0, 1).movedim(1, -1)


@mistake("generate", "All steps are returned in a list, where the finished pictures should be.")
def all_steps(model, n_images, *, image_shape, n_steps=100, step_size=2.0, generator=None):
    noise = noise_for(model, (n_images, *image_shape), generator)
    return list(dino.sampler.denoise(model, noise, dino.sampler.noise_schedule(n_steps), step_size))


@mistake("generate", "The last Step is returned as a whole; the pictures are one part of it.")
def whole_step(model, n_images, *, image_shape, n_steps=100, step_size=2.0, generator=None):
    noise = noise_for(model, (n_images, *image_shape), generator)
    return list(dino.sampler.denoise(model, noise, dino.sampler.noise_schedule(n_steps), step_size))[-1]


@mistake("generate", "The function yields, so calling it starts nothing; it should return the finished pictures.")
def a_generator(model, n_images, *, image_shape, n_steps=100, step_size=2.0, generator=None):
    noise = noise_for(model, (n_images, *image_shape), generator)
    yield from dino.sampler.denoise(model, noise, dino.sampler.noise_schedule(n_steps), step_size)


@mistake("generate", "Nothing is returned: the pictures are made and lost.")
def nothing_returned(model, n_images, *, image_shape, n_steps=100, step_size=2.0, generator=None):
    noise = noise_for(model, (n_images, *image_shape), generator)
    walk(model, noise, n_steps, step_size).clamp(0, 1)
