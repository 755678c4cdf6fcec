"""Alternative solutions for lesson 04, each written differently. The grader must accept all of them."""

import copy
from collections.abc import Generator as Walk
from collections.abc import Iterator, Sequence
from itertools import accumulate
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from dino.sampler import Step
from dino.sampler import denoise as walk
from dino.sampler import noise_schedule as even
from tests.alternative_solutions import answers

Generator = torch.Generator | None
Schedule = Tensor | Sequence[float]


# ---- noise_schedule -------------------------------------------------------------------------------------------------


def refuse(n_steps: int) -> None:
    if n_steps <= 0:
        raise ValueError


@answers("noise_schedule")
def by_arange(n_steps: int) -> Tensor:
    refuse(n_steps)
    return 1 - torch.arange(n_steps + 1) / n_steps


@answers("noise_schedule")
def counted_down(n_steps: int) -> Tensor:
    refuse(n_steps)
    return torch.arange(n_steps, -1, -1) / n_steps


@answers("noise_schedule")
def from_a_list(n_steps: int) -> Tensor:
    if not n_steps >= 1:
        raise ValueError("too few steps")
    return torch.tensor([i / n_steps for i in reversed(range(n_steps + 1))])


@answers("noise_schedule")
def flipped(n_steps: int) -> Tensor:
    refuse(n_steps)
    return torch.linspace(0.0, 1.0, steps=1 + n_steps).flip(0)


@answers("noise_schedule")
def by_numpy(n_steps: int) -> Tensor:
    refuse(n_steps)
    return torch.from_numpy(np.linspace(1, 0, n_steps + 1)).float()


@answers("noise_schedule")
def one_after_the_other(n_steps: int) -> Tensor:
    refuse(n_steps)
    return torch.tensor(list(accumulate(range(n_steps), lambda level, _: level - 1 / n_steps, initial=1.0)))


@answers("noise_schedule")
def summed_in_float32(n_steps: int) -> Tensor:
    refuse(n_steps)
    fall = torch.full((n_steps,), 1 / n_steps)
    return torch.cat([torch.ones(1), 1 - fall.cumsum(0)])


@answers("noise_schedule")
def with_an_end_by_hand(n_steps: int) -> Tensor:
    refuse(n_steps)
    levels = torch.zeros(n_steps + 1)
    for i in range(n_steps):
        levels[i] = (n_steps - i) / n_steps
    return levels


# ---- extrapolate ----------------------------------------------------------------------------------------------------


@answers("extrapolate")
def along_the_line(denoised: Tensor, previous: Tensor | None, step_size: float) -> Tensor:
    if previous is None:
        return denoised
    return previous + step_size * (denoised - previous)


@answers("extrapolate")
def beyond_the_new(denoised: Tensor, previous: Tensor | None, step_size: float) -> Tensor:
    return denoised if previous is None else denoised + (step_size - 1) * (denoised - previous)


@answers("extrapolate")
def two_weights(d: Tensor, p: Tensor | None, s: float) -> Tensor:
    if p is not None:
        return s * d + (1 - s) * p
    return d.clone()


@answers("extrapolate")
def previous_is_the_same(denoised: Tensor, previous: Tensor | None, step_size: float) -> Tensor:
    if previous is None:
        previous = denoised
    return torch.lerp(previous, denoised, step_size)


@answers("extrapolate")
def from_the_other_end(denoised: Tensor, previous: Tensor | None, step_size: float) -> Tensor:
    return denoised.lerp(denoised if previous is None else previous, 1 - step_size)


@answers("extrapolate")
def by_add_alpha(denoised: Tensor, previous: Tensor | None, step_size: float) -> Tensor:
    if isinstance(previous, Tensor):
        return torch.add(previous, denoised - previous, alpha=step_size)
    return denoised


@answers("extrapolate")
def image_by_image(denoised: Tensor, previous: Tensor | None, step_size: float) -> Tensor:
    if previous is None:
        return denoised
    weights = torch.tensor([1 - step_size, step_size], dtype=denoised.dtype)
    return torch.stack([torch.einsum("k,kchw->chw", weights, torch.stack(pair)) for pair in zip(previous, denoised)])


@answers("extrapolate")
def on_a_copy(denoised: Tensor, previous: Tensor | None, step_size: float) -> Tensor:
    guess = denoised.clone()
    if previous is None:
        return guess
    guess -= previous
    guess *= step_size
    guess += previous
    return guess


# ---- remix ----------------------------------------------------------------------------------------------------------


@answers("remix")
def two_fractions(noisy: Tensor, guess: Tensor, noise_level: Tensor, next_level: Tensor) -> Tensor:
    fraction = next_level / noise_level
    return fraction * noisy + (1 - fraction) * guess


@answers("remix")
def euler(x: Tensor, d: Tensor, t: Tensor, s: Tensor) -> Tensor:
    return x + (s - t) * (x - d) / t


@answers("remix")
def ddim(noisy: Tensor, guess: Tensor, noise_level: Tensor, next_level: Tensor) -> Tensor:
    noise = (noisy - (1 - noise_level) * guess) / noise_level
    return (1 - next_level) * guess + next_level * noise


@answers("remix")
def from_noisy_towards_the_guess(noisy: Tensor, guess: Tensor, noise_level: Tensor, next_level: Tensor) -> Tensor:
    return noisy.lerp(guess, (noise_level - next_level) / noise_level)


@answers("remix")
def with_plain_numbers(noisy: Tensor, guess: Tensor, noise_level: Tensor, next_level: Tensor) -> Tensor:
    fraction = next_level.item() / noise_level.item()
    return torch.lerp(guess, noisy, fraction)


@answers("remix")
def safe_division(noisy: Tensor, guess: Tensor, noise_level: Tensor, next_level: Tensor) -> Tensor:
    fraction = (next_level / (noise_level + 1e-8)).clamp(0, 1)
    return guess + fraction * (noisy - guess)


@answers("remix")
def in_edm_s_variables(noisy: Tensor, guess: Tensor, noise_level: Tensor, next_level: Tensor) -> Tensor:
    t, s = noise_level.double().clamp(max=1 - 1e-9), next_level.double()  # at 1, sigma would be infinite
    sigma, next_sigma = t / (1 - t), s / (1 - s)
    x = noisy.double() / (1 - t)
    return ((x + (next_sigma - sigma) * (x - guess) / sigma) * (1 - s)).to(noisy)


@answers("remix")
def image_after_image(noisy: Tensor, guess: Tensor, noise_level: Tensor, next_level: Tensor) -> Tensor:
    out = torch.empty_like(noisy)
    for i in range(len(noisy)):
        out[i] = (noisy[i] * next_level[0] + guess[i] * (noise_level[0] - next_level[0])) / noise_level[0]
    return out


# ---- denoise --------------------------------------------------------------------------------------------------------


@answers("denoise")
@torch.no_grad()
def decorated_and_inlined(
    model: nn.Module, noisy: Tensor, schedule: Schedule, step_size: float = 2.0
) -> Iterator[Step]:
    previous = None
    for i in range(len(schedule) - 1):
        now, after = float(schedule[i]), float(schedule[i + 1])
        denoised = model(noisy, torch.full((1, 1, 1, 1), now).to(noisy))
        guess = denoised if previous is None else previous + step_size * (denoised - previous)
        noisy = guess + (after / now) * (noisy - guess)
        previous = denoised
        yield Step(torch.full_like(noisy[:1, :1, :1, :1], after), noisy, denoised)


@answers("denoise")
def one_level_for_each_image(model: nn.Module, x: Tensor, schedule: Schedule, step_size: float = 2.0) -> Iterator[Step]:
    n = len(x)
    ts = torch.as_tensor(schedule, dtype=x.dtype, device=x.device)
    predictions: list[Tensor] = []
    for t, s in zip(ts[:-1], ts[1:]):  # noqa: RUF007
        with torch.no_grad():
            predictions.append(model(x, t.expand(n).reshape(n, 1, 1, 1)))
        last, before = predictions[-1], predictions[max(0, len(predictions) - 2)]
        x = torch.lerp(torch.lerp(before, last, step_size), x, s / t)
        yield Step(noise_level=s.reshape(1, 1, 1, 1), noisy=x, denoised=last)


@answers("denoise")
def a_class_of_its_own(model: nn.Module, noisy: Tensor, schedule: Schedule, step_size: float = 2.0) -> Iterator[Step]:
    class Walker:
        def __init__(self) -> None:
            self.levels = [torch.tensor(float(x)).to(noisy).view(1, 1, 1, 1) for x in schedule]
            self.noisy, self.previous = noisy, None

        def __iter__(self) -> Iterator[Step]:
            return self

        def __next__(self) -> Step:
            if len(self.levels) < 2:
                raise StopIteration
            now, after = self.levels.pop(0), self.levels[0]
            with torch.no_grad():
                denoised: Any = model(self.noisy, now)
                guess = denoised if self.previous is None else 2 * denoised - self.previous
                guess = denoised if self.previous is None else denoised + (step_size - 1) * (guess - denoised)
                self.noisy = self.noisy * (after / now) + guess * (1 - after / now)
            self.previous = denoised
            return Step(after, self.noisy, denoised)

    return Walker()


@answers("denoise")
def prepared_first(model: nn.Module, noisy: Tensor, schedule: Schedule, step_size: float = 2.0) -> Iterator[Step]:
    levels = [torch.as_tensor(x, dtype=noisy.dtype).reshape(1, 1, 1, 1) for x in schedule]

    def steps(noisy: Tensor) -> Walk[Step, None, None]:
        previous = None
        for now, after in zip(levels, levels[1:]):  # noqa: RUF007
            with torch.inference_mode():
                denoised = model(noisy=noisy, noise_level=now)
            denoised = denoised.clone()  # an ordinary tensor again
            guess = denoised if previous is None else denoised * step_size + previous * (1 - step_size)
            noise = (noisy - (1 - now) * guess) / now
            noisy = (1 - after) * guess + after * noise
            previous = denoised
            yield Step(after, noisy, denoised)

    return steps(noisy)


@answers("denoise")
@torch.inference_mode()
def in_inference_mode(model: nn.Module, noisy: Tensor, schedule: Schedule, step_size: float = 2.0) -> Iterator[Step]:
    noisy, previous = noisy.clone(), None
    todo = [float(x) for x in schedule][::-1]
    now = todo.pop()
    while todo:
        after = todo.pop()
        denoised = model(noisy, noisy.new_full((1, 1, 1, 1), now))
        guess = denoised.clone()
        if previous is not None:
            guess += (step_size - 1) * (denoised - previous)
        noisy = noisy.clone()
        noisy -= (noisy - guess) * ((now - after) / now)
        yield Step(noisy.new_full((1, 1, 1, 1), after), noisy, denoised)
        now, previous = after, denoised


@answers("denoise")
def gradients_switched_by_hand(
    model: nn.Module, noisy: Tensor, schedule: Schedule, step_size: float = 2.0
) -> Iterator[Step]:
    levels = torch.stack([torch.as_tensor(x) for x in schedule]).to(noisy)[:, None, None, None, None]
    previous = None
    for place, now in enumerate(levels[:-1]):
        was = torch.is_grad_enabled()
        torch.set_grad_enabled(False)
        try:
            denoised = model(noisy, now)
        finally:
            torch.set_grad_enabled(was)
        change = 0 if previous is None else denoised - previous
        fraction = levels[place + 1] / now
        noisy = fraction * noisy + (1 - fraction) * (denoised + (step_size - 1) * change)
        previous = denoised
        yield Step(levels[place + 1], noisy, denoised)


@answers("denoise")
def recursive(model: nn.Module, noisy: Tensor, schedule: Schedule, step_size: float = 2.0) -> Iterator[Step]:
    def rest(noisy: Tensor, levels: list[Tensor], previous: Tensor | None) -> Iterator[Step]:
        if len(levels) > 1:
            with torch.no_grad():
                denoised = model(noisy, levels[0])
            guess = torch.lerp(denoised if previous is None else previous, denoised, step_size)
            noisy = torch.lerp(guess, noisy, levels[1] / levels[0])
            yield Step(levels[1], noisy, denoised)
            yield from rest(noisy, levels[1:], denoised)

    yield from rest(noisy, list(torch.as_tensor(schedule).to(noisy).view(-1, 1, 1, 1, 1)), None)


# ---- generate -------------------------------------------------------------------------------------------------------


@answers("generate")
def all_inlined(model, n_images, *, image_shape, n_steps=100, step_size=2.0, generator=None):
    some = list(model.parameters())
    dtype, device = (some[0].dtype, some[0].device) if some else (torch.float32, torch.device("cpu"))
    x = torch.rand(n_images, *image_shape, generator=generator, dtype=dtype, device=device)
    was_training = model.training
    model.eval()
    try:
        with torch.no_grad():
            before = None
            for i in range(n_steps, 0, -1):
                d = model(x, torch.full((1, 1, 1, 1), i / n_steps, dtype=dtype, device=device))
                guess = d if before is None else before + step_size * (d - before)
                x = guess + (i - 1) / i * (x - guess)
                before = d
    finally:
        model.train(was_training)
    return x.clamp(min=0, max=1)


@answers("generate")
@torch.no_grad()
def last_of_all_steps(model, n_images, *, image_shape, n_steps=100, step_size=2.0, generator=None):
    weights = next(iter(model.parameters()), torch.zeros(()))
    noise = torch.empty(n_images, *image_shape).to(weights).uniform_(generator=generator)
    training = model.training
    try:
        *_, last = walk(model.eval(), noise, even(n_steps), step_size)
    finally:
        model.train(training)
    return torch.clip(last.noisy, 0, 1)


@answers("generate")
def each_part_its_own_mode(model, n_images, *, image_shape, n_steps=100, step_size=2.0, generator=None):
    modes = {module: module.training for module in model.modules()}
    dtype, device = torch.float32, "cpu"
    for weight in model.parameters():
        dtype, device = weight.dtype, weight.device
        break
    noise = torch.rand([n_images, *image_shape], generator=generator).to(device=device, dtype=dtype)
    for module in modes:
        module.training = False
    try:
        steps = list(walk(model, noise, even(n_steps).tolist(), step_size))
    except Exception:
        for module, mode in modes.items():
            module.training = mode
        raise
    for module, mode in modes.items():
        module.training = mode
    return steps[-1].noisy.maximum(torch.zeros_like(noise)).minimum(torch.ones_like(noise))


@answers("generate")
def drawn_image_by_image(model, n_images, *, image_shape, n_steps=100, step_size=2.0, generator=None):
    weights = next(model.parameters(), torch.empty(0))
    options = {"generator": generator, "device": weights.device, "dtype": weights.dtype}
    noise = torch.stack([torch.rand(*image_shape, **options) for _ in range(n_images)])
    mode = model.training
    model.train(False)
    try:
        for _, noisy, _ in walk(model, noise, even(n_steps), step_size):
            pass
    finally:
        if mode:
            model.train()
    return noisy.clamp_(0, 1)


class evaluating:  # noqa: N801
    def __init__(self, model: nn.Module) -> None:
        self.model, self.mode = model, model.training

    def __enter__(self) -> nn.Module:
        return self.model.eval()

    def __exit__(self, *_: object) -> None:
        self.model.train(self.mode)


@answers("generate")
def with_a_helper(model, n_images, *, image_shape, n_steps=100, step_size=2.0, generator=None):
    try:
        like = next(model.parameters())
    except StopIteration:
        like = torch.zeros(1)
    c, h, w = image_shape
    noise = torch.rand((n_images, h, w, c), generator=generator, device=like.device, dtype=like.dtype)
    made = noise = noise.permute(0, 3, 1, 2)
    with evaluating(model) as model, torch.inference_mode():
        for step in walk(model, noise, even(n_steps), step_size):
            made = step.noisy
    return made.clone().clamp(0, 1)


@answers("generate")
def noise_from_one_minus(model, n_images, *, image_shape, n_steps=100, step_size=2.0, generator=None):
    weights = next((p.detach() for p in model.parameters()), torch.empty(0))
    noise = torch.rand((n_images, *image_shape), generator=generator, device=weights.device).to(weights.dtype)
    noise = (1 - 2**-24 - noise).clamp(min=0)
    was, result = model.training, noise
    model.eval()
    try:
        steps = walk(model, noise, torch.linspace(1, 0, n_steps + 1), step_size)
        while (step := next(steps, None)) is not None:
            result = step.noisy
    finally:
        model.train(mode=was)
    return torch.where(result < 0, 0, torch.where(result > 1, 1, result))


@answers("generate")
def on_a_copy_of_the_model(model, n_images, *, image_shape, n_steps=100, step_size=2.0, generator=None):
    weights = next(model.parameters(), torch.empty(0))
    noise = torch.rand((n_images, *image_shape), generator=generator, device=weights.device, dtype=weights.dtype)
    *_, last = walk(copy.deepcopy(model).eval(), noise, even(n_steps), step_size)
    return last.noisy.clamp(0, 1)
