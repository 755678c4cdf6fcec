"""Grader for lesson 04: the properties of `noise_schedule`, `extrapolate`, `remix`, `denoise` and `generate`."""

import contextlib
from collections.abc import Callable, Iterator, Sequence
from itertools import islice, pairwise
from types import ModuleType
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from dino.course.grader.contact_sheet import Panel, emoji
from dino.course.grader.expect import (
    Wrong,
    advice,
    afterward,
    all_as_evidence,
    copies,
    expect,
    expect_close,
    expect_tensor,
    explained_by,
    kind_of,
    number,
    runs,
)
from dino.course.grader.expect_draws import expect_fair_draws, expect_uniform
from dino.noise import mix
from dino.sampler import Step

# N, C, H and W all differ, so that broadcasting along the wrong dimension shows.
N, C, H, W = 6, 3, 4, 5
# Ten float32 roundings. Pictures are float32, so a safeguard such as `/ (noise_level + 1e-8)` does no harm.
NEAR = 1e-6
ROUNDING = torch.finfo(torch.float32).eps


# ---- 4.1 to 4.3: the three formulas ---------------------------------------------------------------------------------


@runs(1)
def test_noise_schedule(noise_schedule: Callable[[int], Tensor], seed: int) -> None:  # noqa: ARG001
    """4.1: one more level than steps, evenly spaced from 1 down to 0."""
    for n in (5, 1, *range(2, 21), 49, 50, 64, 100, 1000):  # some formulas are one level off for only a few of these
        result = expect_tensor(noise_schedule(n), "The result of `noise_schedule`")
        levels, shown = result.detach().double(), {"expected": listed(1 - torch.arange(n + 1) / n), "evidence": result}
        expect(
            levels.dim() == 1,
            "The levels should have one dimension.",
            expected=f"({n + 1},)",
            got=str(tuple(levels.shape)),
        )
        shown["got"] = listed(levels)
        steps = f"{n} step{'s' * (n > 1)}"
        counts = {"expected": f"{n + 1} levels for {steps}", "got": f"{len(levels)}: {listed(levels)}"}
        expect(len(levels) == n + 1, "There should be one more level than steps.", **{**shown, **counts})
        expect(bool((levels.diff() < 0).all()), "Each level should be lower than the level before it.", **shown)
        near = n * ROUNDING  # n roundings add up if each level is computed from the level before it
        expect(abs(levels[0] - 1) <= near, "The first level should be 1, pure noise.", **shown)
        expect(abs(levels[-1]) <= near, "The last level should be 0, no noise at all.", **shown)
        even = (levels.diff() + 1 / n).abs() <= 2 * near
        expect(bool(even.all()), "The levels should fall by the same amount each time.", **shown)
        with afterward():
            expect_tensor(result, "The result of `noise_schedule`", dtype=torch.float32)
    with advice():
        _expect_refused(noise_schedule)


def _expect_refused(noise_schedule: Callable[[int], Tensor]) -> None:
    """Check that fewer than one step is refused."""
    for n in (0, -1, -5):
        try:
            noise_schedule(n)
            got = f"no error from noise_schedule({n})"
        except ValueError:
            continue
        except Exception as error:
            got = f"{kind_of(error)} from noise_schedule({n})"
        raise Wrong("Fewer than one step should raise a ValueError.", expected="a ValueError", got=got)


def test_extrapolate(extrapolate: Callable[..., Tensor], seed: int) -> None:
    """4.2: from the previous prediction through the new prediction, step_size times as far."""
    denoised, previous = wide(torch.rand(2, N, C, H, W, generator=seeded(seed), dtype=torch.float64))

    def checked(before: Tensor | None, step_size: float) -> Tensor:
        with copies(denoised=denoised, **({} if before is None else {"previous": before})) as given:
            result = extrapolate(*given, *([None] * (before is None)), step_size)
        result = expect_tensor(result, "The result of `extrapolate`", (N, C, H, W), finite=False).clone()
        with afterward():
            expect_tensor(result, "The result of `extrapolate`", dtype=denoised.dtype, finite=False)
        return result

    special = {
        0.75: "With a step size of 0.75, the result should be three quarters of the way from `previous` to `denoised`.",
        1.0: "With a step size of 1, the result should be `denoised`.",
        2.0: "With a step size of 2, the result should be as far beyond `denoised` as `denoised` is from `previous`.",
    }
    results = {step_size: checked(previous, step_size) for step_size in (*special, 1.5, 3.0, 0.25, 1.9)}
    with all_as_evidence(results.values()):
        for step_size, found in results.items():
            says = special.get(
                step_size, "The result should be `step_size` times as far from `previous` as `denoised` is."
            )
            expect_close(found, previous + step_size * (denoised - previous), says)
    for step_size in (2.0, 1.0, 0.5):
        says = "If `previous` is None, the result should be `denoised` itself, at any step size."
        expect_close(checked(None, step_size), denoised, says)
    single = extrapolate(denoised.float(), previous.float(), 2.0)
    expect_tensor(single, "The result of `extrapolate` for float32 images", (N, C, H, W), dtype=torch.float32)
    expect_close(
        single,
        (2 * denoised - previous).float(),
        "In float32, `extrapolate` should give the same result up to rounding.",
    )


def test_remix(remix: Callable[..., Tensor], seed: int) -> None:
    """4.3: down to the next level, with `guess` in place of the part that isn't kept."""
    random = seeded(seed)
    clean, noise, other = torch.rand(3, N, C, H, W, generator=random, dtype=torch.float64)

    def at(noisy: Tensor, guess: Tensor, here: Tensor, there: Tensor) -> Tensor:
        with copies(noisy=noisy, guess=guess, noise_level=here, next_level=there) as given:
            result = remix(*given)
        result = expect_tensor(result, "The result of `remix`", (N, C, H, W), finite=False).clone()
        with afterward():
            expect_tensor(result, "The result of `remix`", dtype=noisy.dtype, finite=False)
        return result

    high, low = torch.rand(2, generator=random).tolist()
    high = 0.2 + 0.8 * high
    # A blend works for any guess: it may be wrong, and it may leave [0, 1].
    noisy, guess = wide(noise), wide(other)
    true = "If `guess` is the true picture, the result should be that picture with the same noise at `next_level`."
    zero = "If `next_level` is 0, the result should be `guess`."
    same = "If `next_level` equals `noise_level`, the result should be `noisy`."
    wild = "A `guess` that isn't the true picture, or leaves [0, 1], should be mixed in like any other."
    cases = [
        (true, mix(clean, noise, level(now)), clean, now, now * x) for now, x in ((0.9, 1 / 3), (1, 0.7), (high, low))
    ]
    cases += [(zero, noise, clean, 0.5, 0.0), (same, noise, clean, 0.5, 0.5)]
    cases += [(wild, noisy, guess, now, now * x) for now, x in ((1, 0.6), (0.4, 0.25), (high, low))]
    results = [at(one, other, level(now), level(after)) for _, one, other, now, after in cases]
    with all_as_evidence(results):
        for (says, one, other, now, after), result in zip(cases, results, strict=True):
            expect_close(result, other + after / now * (one - other), says, tolerance=NEAR)
    single = at(noisy.float(), guess.float(), level(0.4).float(), level(0.1).float())
    want = (guess + 0.25 * (noisy - guess)).float()
    expect_close(single, want, "In float32, `remix` should give the same result up to rounding.")


# ---- 4.4: sampling, checked at each step ----------------------------------------------------------------------------


class Call(NamedTuple):
    """One call of the model: its inputs, its prediction, and the state of the program."""

    noisy: Tensor
    level: Tensor
    prediction: Tensor
    gradients: bool
    modes: tuple[bool, bool]  # training mode of the model, and of its part


class Log(list[Any]):
    """Record of calls. A copy of the model writes to the same record."""

    def __deepcopy__(self, memo: Any) -> "Log":
        return self


class ModelError(Exception):
    """Error that a model raises to stop halfway."""


class Witness(nn.Module):
    """Denoiser that records its inputs. Its prediction depends on all of its inputs, and leaves [0, 1].

    Args:
        dtype: dtype of its one weight. None makes a model without weights, which takes float32.
        stops_at: which call raises ModelError, counted from 1.
    """

    def __init__(self, dtype: torch.dtype | None, *, stops_at: int | None = None) -> None:
        super().__init__()
        self.gain = 1.5 if dtype is None else nn.Parameter(torch.tensor(1.5, dtype=dtype))
        self.part = nn.Identity()  # has its own mode, as a layer does
        self.takes, self.stops_at = dtype or torch.float32, stops_at
        self.calls = Log()

    def forward(self, noisy: Any = None, noise_level: Any = None) -> Tensor:
        says = "The model should be called with two arguments: the noisy images and their noise level."
        expect(noisy is not None and noise_level is not None, says, got="only one of them")
        noisy = expect_tensor(noisy, "The first argument of the model (the noisy images)")
        says = "The first argument of the model should be all of the noisy images at once."
        fits = noisy.dim() == 4 and noise_level is not noisy and noisy.numel() > 1
        expect(fits, says, expected="shape (N, C, H, W)", got=str(tuple(noisy.shape)))
        noise_level = expect_tensor(noise_level, "The second argument of the model (the noise level)")
        expect(
            noise_level.shape in ((1, 1, 1, 1), (len(noisy), 1, 1, 1)),
            "The second argument of the model (the noise level) has the wrong shape.",
            expected="(1, 1, 1, 1)",
            got=str(tuple(noise_level.shape)),
        )
        with advice():
            expect_tensor(noisy, "The first argument of the model (the noisy images)", dtype=self.takes)
            expect_tensor(noise_level, "The second argument of the model (the noise level)", dtype=self.takes)
        # As a model with weights of the images' dtype would, so that the steps that follow can be checked.
        level = noise_level.to(noisy.dtype)
        prediction = (self.gain * torch.cos(3 * noisy + 2 * level) + 0.2).to(noisy.dtype)
        seen = (noisy.detach().clone(), noise_level.detach().clone(), prediction.detach().clone())
        self.calls.append(Call(*seen, torch.is_grad_enabled(), self.modes))
        if len(self.calls) == self.stops_at:
            raise ModelError("the model stopped halfway")
        return self.part(prediction)

    @property
    def modes(self) -> tuple[bool, bool]:
        """Training mode of the model and of its part."""
        return self.training, self.part.training


def test_denoise(denoise: Callable[..., Iterator[Any]], seed: int) -> None:
    """4.4: each step calls the model once, extrapolates and remixes, without side effects on the caller."""
    noisy = torch.rand(N, C, H, W, generator=seeded(seed), dtype=torch.float64)
    _expect_nothing_random(denoise, noisy)
    _follow(denoise, noisy, descent(0.9, 0.8, 0.5, 0.4, 0.05, 0.0), 2.0)
    _follow(denoise, wide(noisy), descent(1.0, 0.75, 0.5, 0.25, 0.0), 1.5)
    _follow(denoise, noisy, descent(1.0, 0.7, 0.1, 0.0), 1.0, training=False)
    _follow(denoise, noisy, descent(0.9, 0.6, 0.3, 0.2), 0.5)
    _follow(denoise, noisy[:1].float(), descent(1.0, 0.0).float(), 2.0)
    _follow(denoise, noisy.float(), descent(0.75, 0.5, 0.4, 0.3).float(), None)
    _expect_to_stop_early(denoise, noisy)
    with advice("The schedule may have another dtype than the images."):
        _follow(denoise, noisy, torch.linspace(1, 0, 5), 1.5)
        _follow(denoise, noisy[:1].float(), descent(1.0, 0.0), 2.0)
    with advice("The schedule may be a list of floats."):
        _follow(denoise, noisy.float(), [0.75, 0.5, 0.4, 0.3], 2.0)


def _expect_nothing_random(denoise: Callable[..., Iterator[Any]], noisy: Tensor) -> None:
    """Sample twice from the same noise, and compare."""

    def walk() -> list[Tensor]:
        steps = denoise(Witness(noisy.dtype), noisy.clone(), descent(1.0, 0.6, 0.2, 0.0), 2.0)
        found = [getattr(s, "noisy", None) for s in islice(steps, 3)] if isinstance(steps, Iterator) else []
        return [x.detach().nan_to_num() for x in found if isinstance(x, Tensor) and x.dtype == noisy.dtype]

    first, again = walk(), walk()
    expect(
        len(first) == len(again) and all(map(torch.equal, first, again)),
        "Nothing should be random: the same starting noise should give the same Steps.",
        expected="the same Steps twice",
        got="different ones",
    )


def _follow(
    denoise: Callable[..., Iterator[Any]],
    noisy: Tensor,
    schedule: Tensor | Sequence[float],
    step_size: float | None,
    *,
    training: bool = True,
) -> None:
    """Run `denoise` down a schedule, and check each step by itself: from its inputs to its results."""
    model = Witness(noisy.dtype).train(training)
    visited = [float(x) for x in schedule]
    n, size = len(visited) - 1, 2.0 if step_size is None else step_size
    start, given = noisy.clone(), schedule.clone() if isinstance(schedule, Tensor) else list(schedule)
    walk = denoise(model, start, given, *([] if step_size is None else [step_size]))
    expect(
        isinstance(walk, Iterator),
        "`denoise` should be a generator that yields one Step after another.",
        expected="a function with a `yield`",
        got="None (is a `yield` missing?)" if walk is None else f"a function that returns {kind_of(walk)}",
    )
    state, previous, kept = noisy.clone(), None, []
    for place, (now, after) in enumerate(pairwise(visited), 1):
        try:
            step = next(walk)
        except StopIteration:
            says = "`denoise` should yield a Step for every step, down to the last level."
            got = f"the end after {place - 1} of them"
            raise Wrong(says, expected=f"{n} Steps for {n + 1} levels", got=got) from None
        gradients = torch.is_grad_enabled()
        torch.set_grad_enabled(True)
        says = "The model should be called once for each step, when the caller asks for the next Step."
        got = f"{len(model.calls)} after Step {place}"
        if len(model.calls) > place and place < n and not list(islice(walk, 1)):
            got += ", and no Step after that"
        expect(len(model.calls) == place, says, expected=f"{place} call{'s' * (place > 1)} after Step {place}", got=got)
        step = _expect_step(step, noisy)
        _expect_level(step.noise_level, after, "A Step's noise_level should be the level that the step reached.")
        call = model.calls[-1]
        _expect_call(call, state, now, place)
        with afterward():
            expect(
                gradients,
                "While the function is paused at `yield`, gradients should still be on for its caller.",
                expected="gradients on for the caller",
                got="gradients off in the whole program until the next Step",
            )
        with advice():
            expect(
                model.modes == (training, training),
                "`denoise` should leave the model's mode to its caller.",
                expected=mode(training),
                got=f"{mode(not training)} after the step",
            )
        with afterward():
            says = "`noisy` belongs to the caller and must not change."
            expect(torch.equal(start, noisy), says, expected="`noisy` unchanged", got="`noisy` changed in place")
        near = NEAR if noisy.dtype == torch.float64 else 10 * NEAR
        expect_close(
            step.denoised, call.prediction, "A Step's denoised should be the model's prediction.", tolerance=near
        )
        guess = call.prediction if previous is None else previous + size * (call.prediction - previous)
        if previous is None:
            says = "The first step should mix in the prediction itself, with `remix`."
        elif place == 2:
            says = "The second step should `extrapolate` from the first prediction, and `remix` with the result."
        else:
            says = "Each later step should `extrapolate` from the prediction one step earlier, and clamp nothing."
        expect_close(step.noisy, guess + after / now * (state - guess), says, tolerance=near)
        got = "tensors that still carry the graph for gradients"
        free = not (step.noisy.requires_grad or step.denoised.requires_grad)
        with afterward():
            expect(free, "The tensors of a Step should not require gradients.", expected="plain tensors", got=got)
        state, previous = step.noisy.clone(), call.prediction
        kept.append((step, [x.clone() for x in step]))
    end = object()
    expect(next(walk, end) is end, "`denoise` should end at the last level.", expected=f"{n} Steps", got="one more")
    same = all(torch.equal(x, before) for step, copies in kept for x, before in zip(step, copies, strict=True))
    with afterward():
        says = "`schedule` belongs to the caller and must not change."
        intact = [float(x) for x in given] == visited
        expect(intact, says, expected="`schedule` unchanged", got="`schedule` changed in place")
    with afterward():
        _expect_not_frozen(model)
    with afterward():
        says = "Later steps should not change the tensors of an earlier Step."
        expect(same, says, expected="each Step with its own tensors", got="an earlier Step, changed by a later step")


def _expect_call(call: Call, state: Tensor, now: float, place: int) -> None:
    """Check the inputs of a call: the current mix, its noise level, and no gradients."""
    if place == 1:
        says = "The first call of the model should get `noisy` unchanged."
    else:
        says = "Each call of the model should get the mix that the previous step reached."
    expect_close(call.noisy, state, says, tolerance=NEAR)
    for one in call.level:
        _expect_level(one, now, "The model should get the current noise level of the images.")
    with afterward():
        expect(
            not call.gradients,
            "The model should be called with gradients off.",
            expected="gradients off during the call",
            got="gradients on",
        )


def _expect_level(found: Tensor, want: float, says: str) -> None:
    value = found.detach().view(1)
    near = bool((value - want).abs() <= NEAR)
    expect(near, says, expected=number(want), got=number(value), evidence=value)


def _expect_step(step: Any, noisy: Tensor) -> Any:
    """Check that a value is a Step of three tensors, and return it."""
    named = all(hasattr(step, name) for name in Step._fields)
    got = "None" if step is None else kind_of(step) + ", which is not a tuple" * (named and not isinstance(step, tuple))
    expect(
        named and isinstance(step, tuple),
        "`denoise` should yield Steps.",
        expected="Step(noise_level, noisy, denoised)",
        got=got,
    )
    expect_tensor(step.noise_level, "A Step's noise_level", (1, 1, 1, 1))
    expect_tensor(step.noisy, "A Step's noisy", noisy.shape, finite=False)
    expect_tensor(step.denoised, "A Step's denoised", noisy.shape, finite=False)
    with advice():
        for name in Step._fields:
            expect_tensor(getattr(step, name), f"A Step's {name}", dtype=noisy.dtype, finite=False)
    return step


def _expect_to_stop_early(denoise: Callable[..., Iterator[Any]], noisy: Tensor) -> None:
    """Stop after one Step, and check that nothing else happens."""
    model = Witness(noisy.dtype)
    walk = denoise(model, noisy.clone(), descent(1.0, 0.5, 0.25, 0.0), 2.0)
    next(walk)
    try:
        getattr(walk, "close", int)()
        got = f"{len(model.calls)} calls" if len(model.calls) > 1 else ""
    except Exception as error:
        got = kind_of(error)
    says = "A caller should be able to stop after the first Step."
    expect(not got, says, expected="1 call of the model and no error", got=got)


# ---- 4.5: from noise to pictures ------------------------------------------------------------------------------------


class Elsewhere(nn.Module):
    """Model on torch's "meta" device, where tensors have shapes but no numbers. It records the device of its inputs."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(3, device="meta"))
        self.devices = Log()

    def forward(self, noisy: Tensor, noise_level: Tensor) -> Tensor:
        self.devices += [noisy.device.type, noise_level.device.type]
        raise ModelError("far enough")


def test_generate(generate: Callable[..., Tensor], seed: int) -> None:
    """4.5: uniform noise, denoised along an even schedule by a model that gets its mode back."""

    def draw(generator: torch.Generator | None) -> Tensor:
        made = generate(Witness(torch.float64), N, image_shape=(C, H, W), n_steps=2, generator=generator)
        return expect_tensor(made, "The result of `generate`", (N, C, H, W))

    _expect_sampling(generate, Witness(torch.float64), seed, N, (C, H, W), n_steps=5, step_size=1.5)
    _expect_noise(generate, seed)
    expect_fair_draws(draw, seed, "the pictures")
    _expect_sampling(generate, Witness(torch.float64).eval(), seed, N, (C, H, W), n_steps=1, step_size=0.5)
    if seed % 3 == 0:  # this is the slow one
        _expect_sampling(generate, Witness(torch.float32), seed, 1, (C, H, W))  # with the default settings
    _expect_mode_after_an_error(generate)
    with advice("A model may have no weights. Then the pictures are on the CPU, and float32."):
        _expect_sampling(generate, Witness(None), seed, N, (C, H, W), n_steps=2)
    with advice("`image_shape` may be a list."):
        _expect_sampling(generate, Witness(torch.float64), seed, N, [C, H, W], n_steps=2)
    elsewhere = Elsewhere()
    with contextlib.suppress(Exception):  # ModelError, or an error from reading numbers that don't exist
        generate(elsewhere, N, image_shape=(C, H, W), n_steps=2)
    with advice():
        expect(
            set(elsewhere.devices) <= {"meta"},
            "The noise and the levels should be on the device of the model's weights.",
            expected="tensors on the device of the weights",
            got="tensors on the CPU for a model on another device",
        )


def _expect_sampling(
    generate: Callable[..., Tensor], model: Witness, seed: int, n: int, image_shape: Sequence[int], **options: Any
) -> None:
    """Check every call of the model in order, and the final result."""
    before = model.modes
    result = generate(model, n, image_shape=image_shape, generator=seeded(seed), **options)
    made = expect_tensor(result, "The result of `generate`", (n, *image_shape))
    with advice():
        expect_tensor(made, "The result of `generate`", dtype=model.takes)
    steps, size = options.get("n_steps", 100), options.get("step_size", 2.0)
    calls = model.calls
    says = "The model should be called once for each step" + (
        "." if "n_steps" in options else ", and 100 times if `n_steps` isn't given."
    )
    expect(len(calls) == steps, says, expected=f"{steps} call{'s' * (steps > 1)}", got=str(len(calls)))
    levels = torch.stack([call.level.flatten()[0] for call in calls])
    want = 1 - torch.arange(steps).to(levels) / steps
    says = "The model's noise levels should fall evenly from 1 in the first call, and reach 0 after the last."
    even = bool(((levels - want).abs() <= steps * ROUNDING).all())
    expect(even, says, expected=listed(want), got=listed(levels), evidence=levels)
    with afterward():
        expect(
            not any(call.gradients for call in calls),
            "The model should be called with gradients off.",
            expected="gradients off during the call",
            got="gradients on",
        )
    modes = {call.modes for call in calls}
    with advice():
        expect(
            modes == {(False, False)},
            "In every call, the model and all of its parts should be in evaluation mode.",
            expected="evaluation mode",
            got="a part of the model in training mode" if modes == {(False, True)} else "training mode",
        )
    with advice():
        expect(
            model.modes == before,
            "Afterward, the model should be back in its original mode.",
            expected=mode(before[0]),
            got=mode(model.training) if model.modes[0] == model.modes[1] else "a part of the model in another mode",
        )
    shown, predicted = torch.stack([call.noisy for call in calls]), torch.stack([call.prediction for call in calls])
    earlier = torch.cat([predicted[:1], predicted[:-1]])
    guess = earlier + size * (predicted - earlier)
    fraction = torch.cat([levels[1:], levels.new_zeros(1)]) / levels
    mixes = guess + fraction.view(-1, 1, 1, 1, 1) * (shown - guess)
    says = "From one call to the next, the mix should take one step of `denoise`, with the given `step_size`" + (
        "." if "step_size" in options else ", or 2 by default."
    )
    near = 10 * NEAR if made.dtype == shown.dtype == torch.float64 else None
    off = (shown[1:] - mixes[:-1]).abs().flatten(1).amax(1) > (near or 1e-4)
    for place in off.nonzero().flatten().tolist():
        with explained_by(_other_mixes(place, predicted, earlier, shown, fraction)):
            expect_close(shown[1 + place], mixes[place], says, tolerance=near)
    says, last = "The pictures should be the mix that the last step reached, clamped to [0, 1].", mixes[-1]
    stretched = (last - last.min()) / (last.max() - last.min())
    others = [last, predicted[-1], predicted[-1].clamp(0, 1), last.sigmoid(), ((last + 1) / 2).clamp(0, 1), stretched]
    with explained_by(others):
        expect_close(made, last.clamp(0, 1), says, tolerance=near)
    with afterward():
        expect(not made.requires_grad, "The pictures should not require gradients.", got="tensors that carry a graph")
    with afterward():
        _expect_not_frozen(model)


def _other_mixes(place: int, predicted: Tensor, earlier: Tensor, shown: Tensor, fraction: Tensor) -> list[Tensor]:
    """Return what a step makes with step sizes 1 and 2, and what it makes if the mix is clamped."""
    mixes = []
    for size in (1.0, 2.0):
        guess = earlier[place] + size * (predicted[place] - earlier[place])
        mix = guess + fraction[place] * (shown[place] - guess)
        mixes += [mix, mix.clamp(0, 1)]
    return mixes


def _expect_noise(generate: Callable[..., Tensor], seed: int) -> None:
    """Check that the first call of the model gets noise as in training."""
    model = Witness(torch.float32)
    generate(model, 8, image_shape=(3, 12, 14), n_steps=1, generator=seeded(seed))
    noise = model.calls[0].noisy
    for dim, name in enumerate(("image", "channel", "row", "column")):
        expect(
            bool((noise - noise.roll(1, dim)).abs().mean() > 0.1),  # a third, if the numbers are drawn independently
            f"The starting noise should differ from {name} to {name}.",
            expected=f"different noise in each {name}",
            got=f"the same noise in each {name}",
            evidence=noise.std(),  # 0 if there is no noise at all
            slack=0.1,
        )
    expect_uniform(noise, "The starting noise is")
    low, high = noise.min().item(), noise.max().item()  # of 4032 numbers, one in 100 million draws has none so near
    says, whole = "The starting noise should go all the way from 0 to 1.", low < 0.005 and high > 0.995
    expect(whole, says, expected="from 0 to 1", got=f"from {number(low)} to {number(high)}")


def _expect_not_frozen(model: Witness) -> None:
    """Check that the model's weights still require gradients."""
    free = all(weight.requires_grad for weight in model.parameters())
    expect(
        free,
        "Afterward, it should be possible to continue training the model.",
        got="weights that no longer require gradients",
    )


def _expect_mode_after_an_error(generate: Callable[..., Tensor]) -> None:
    """Check that an error of the model reaches the caller, and that the model gets its mode back."""
    model, arrived = Witness(torch.float64, stops_at=2), False
    try:
        generate(model, N, image_shape=(C, H, W), n_steps=3)
    except Wrong:
        raise
    except Exception:
        arrived = True
    gradients = torch.is_grad_enabled()
    torch.set_grad_enabled(True)
    says = "If the model raises an error, the caller should get it."
    with afterward():
        expect(arrived, says, expected="the error", got="pictures")
    with advice():
        expect(
            model.modes == (True, True),
            "If the model raises an error halfway, it should be back in its original mode, too.",
            expected=mode(True),
            got=f"{mode(False)}, in which training would continue",
        )
    with afterward():
        expect(
            gradients,
            "If the model raises an error halfway, gradients should be on again.",
            got="gradients off in the whole program",
        )


# ---- small helpers --------------------------------------------------------------------------------------------------


def seeded(seed: int) -> torch.Generator:
    """Return a new generator with a seed."""
    return torch.Generator().manual_seed(seed)


def wide(images: Tensor) -> Tensor:
    """Stretch images from [0, 1] to [-0.5, 1.5]."""
    return 2 * images - 0.5


def descent(*values: float) -> Tensor:
    """Return a schedule, in float64."""
    return torch.tensor(values, dtype=torch.float64)


def level(value: float) -> Tensor:
    """Return one noise level for the whole batch."""
    return torch.full((1, 1, 1, 1), value, dtype=torch.float64)


def listed(levels: Tensor) -> str:
    """Format the first levels for a message."""
    return ", ".join(number(x) for x in levels[:7]) + ", ..." * (len(levels) > 7)


def mode(training: bool) -> str:
    """Return the name of a model's mode."""
    return "training mode" if training else "evaluation mode"


# ---- the contact sheet ----------------------------------------------------------------------------------------------


class Remembers(nn.Module):
    """Ideal denoiser for a data set of sixteen emoji: their average, weighted by how well each emoji explains the mix.

    Args:
        doubt: factor on the variance of the noise. Above 1, the denoiser decides later.
    """

    def __init__(self, doubt: float = 1.0) -> None:
        super().__init__()
        self.doubt = doubt

    def forward(self, noisy: Tensor, noise_level: Tensor) -> Tensor:
        known, t = emoji().flatten(1), noise_level.flatten()[:1].clamp(min=1e-3)
        # How large would the noise be if the clean picture were this emoji? Terms common to all emoji are left out.
        centered, fraction = (noisy - t / 2).flatten(1), 1 - t
        apart = fraction.square() * known.square().sum(1) - 2 * fraction * centered @ known.T
        weights = torch.softmax(-apart / (2 * self.doubt * t.square() / 12), dim=1)
        return (weights @ known).view(noisy.shape)


def _bars(levels: Tensor) -> Tensor:
    """Draw the levels as a row of bars, at most eleven."""
    bars = torch.ones(1, 3, 42, 11 * 21)
    for place, value in enumerate(levels[:11].tolist()):
        height = 2 + round(40 * min(max(value, 0), 1))
        bars[0, :, 42 - height :, 21 * place : 21 * place + 18] = torch.tensor([0.35, 0.55, 0.8]).view(3, 1, 1)
    return bars


def _sharpened(part: ModuleType) -> Tensor:
    """Extrapolate from a very blurred emoji to a less blurred one."""
    picture = emoji()[1:2]
    previous, denoised = (nn.functional.avg_pool2d(picture, k, 1, k // 2, count_include_pad=False) for k in (7, 5))
    results = [part.extrapolate(denoised, previous, size) for size in (0.5, 1.0, 1.5, 2.0, 3.0)]
    return torch.cat([part.extrapolate(previous, None, 2.0), *results])


def _remixed(part: ModuleType) -> Tensor:
    """Take a noisy emoji to lower levels, with the clean emoji as `guess`."""
    picture, noise = emoji()[4:5], torch.rand(1, 3, 32, 32, generator=seeded(0))
    here = torch.full((1, 1, 1, 1), 0.8)
    lower = (torch.full((1, 1, 1, 1), x) for x in (0.8, 0.6, 0.4, 0.2, 0.0))
    return torch.cat([part.remix(torch.lerp(picture, noise, 0.8), picture, here, there) for there in lower])


def _denoised(part: ModuleType, what: str) -> Tensor:
    """Return the mixes or the predictions of one sampling."""
    schedule = [1.0, 0.95, 0.88, 0.75, 0.6, 0.4, 0.2, 0.0]
    steps = part.denoise(Remembers(8), torch.rand(1, 3, 32, 32, generator=seeded(4)), schedule, 2.0)
    return torch.cat([getattr(step, what) for step in islice(steps, 7)])


def _made(part: ModuleType) -> Tensor:
    return part.generate(Remembers(), 7, image_shape=(3, 32, 32), n_steps=50, generator=seeded(1))  # type: ignore[no-any-return]


PANELS = [
    Panel("noise_schedule", "the levels for 10 steps, as bars", lambda part: _bars(part.noise_schedule(10))),
    Panel("extrapolate", "no previous prediction, then step sizes 0.5, 1, 1.5, 2, 3", _sharpened),
    Panel("remix", "from level 0.8 to 0.8, 0.6, 0.4, 0.2 and 0", _remixed),
    Panel("denoise", "the mix after each step", lambda part: _denoised(part, "noisy")),
    Panel("denoise", "the model's prediction at each step", lambda part: _denoised(part, "denoised")),
    Panel("generate", "seven pictures, by a model that has memorized sixteen emoji", _made),
]
