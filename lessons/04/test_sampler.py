"""The grader of lesson 04: what `noise_schedule`, `extrapolate`, `remix`, `denoise` and `generate` must do."""

import contextlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice, pairwise
from types import ModuleType
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from dino.course.grader.contact_sheet import Panel, emoji
from dino.course.grader.expect import (
    Wrong,
    expect,
    expect_close,
    expect_fair_draws,
    expect_tensor,
    expect_uniform,
    kind_of,
    number,
    runs,
    unchanged,
)
from dino.noise import mix
from dino.sampler import Step

# N, C, H and W all differ, so that what is lined up with the wrong one of them shows.
N, C, H, W = 2, 3, 4, 5
# Ten roundings of float32, which is what pictures are in: a guard such as `/ (noise_level + 1e-8)` does no harm.
NEAR = 1e-6
ROUNDING = torch.finfo(torch.float32).eps


# ---- 4.1 to 4.3: the three formulas ---------------------------------------------------------------------------------


@runs(1)
def test_noise_schedule(noise_schedule: Callable[[int], Tensor], seed: int) -> None:  # noqa: ARG001
    """4.1: one level more than steps, evenly from 1 down to 0."""
    for n in (5, 1, *range(2, 21), 49, 50, 64, 100, 1000):  # some formulas are one level off at a few of these only
        result = expect_tensor(noise_schedule(n), "What `noise_schedule` returns")
        levels, shown = result.detach().double(), {"expected": listed(1 - torch.arange(n + 1) / n), "evidence": result}
        expect(levels.dim() == 1, "The levels stand in one row.", expected=f"({n + 1},)", got=str(tuple(levels.shape)))
        shown["got"] = listed(levels)
        steps = f"{n} step{'s' * (n > 1)}"
        counts = {"expected": f"{n + 1} levels for {steps}", "got": f"{len(levels)}: {listed(levels)}"}
        expect(len(levels) == n + 1, "There is one level more than there are steps.", **{**shown, **counts})
        expect(bool((levels.diff() < 0).all()), "The levels fall, from each one to the next.", **shown)
        near = n * ROUNDING  # if each level comes from the one before it, n roundings add up
        expect(abs(levels[0] - 1) <= near, "The first level is 1, pure noise.", **shown)
        expect(abs(levels[-1]) <= near, "The last level is 0, no noise at all.", **shown)
        even = (levels.diff() + 1 / n).abs() <= 2 * near
        expect(bool(even.all()), "The levels fall by the same amount each time.", **shown)
        expect_tensor(result, "What `noise_schedule` returns", dtype=torch.float32)
    for n in (0, -1, -5):
        try:
            noise_schedule(n)
            got = f"no error from noise_schedule({n})"
        except ValueError:
            continue
        except Exception as error:
            got = f"{kind_of(error)} from noise_schedule({n})"
        raise Wrong("Less than one step is refused, with a ValueError.", expected="a ValueError", got=got)


def test_extrapolate(extrapolate: Callable[..., Tensor], seed: int) -> None:
    """4.2: from the previous answer through the new one, step_size times as far."""
    denoised, previous = wide(torch.rand(2, N, C, H, W, generator=seeded(seed), dtype=torch.float64))

    def guess(before: Tensor | None, step_size: float) -> Tensor:
        with unchanged(denoised=denoised, **({} if before is None else {"previous": before})):
            result = extrapolate(denoised, before, step_size)
        return expect_tensor(result, "What `extrapolate` returns", (N, C, H, W), dtype=denoised.dtype, finite=False)

    special = {
        0.75: "With a step size of 0.75 the guess is three quarters of the way from the old answer to the new one.",
        1.0: "With a step size of 1 the guess is the new answer.",
        2.0: "With a step size of 2 the guess is as far beyond the new answer as that is from the previous one.",
    }
    guesses = {step_size: guess(previous, step_size) for step_size in (*special, 1.5, 3.0, 0.25, 1.9)}
    with all_as_evidence(guesses.values()):
        for step_size, found in guesses.items():
            says = special.get(
                step_size, "The guess is `step_size` times as far from the previous answer as the new one."
            )
            expect_close(found, previous + step_size * (denoised - previous), says)
    for step_size in (2.0, 1.0, 0.5):
        says = "Where there is no previous answer, the guess is the new answer itself, at any step size."
        expect_close(guess(None, step_size), denoised, says)
    single = extrapolate(denoised.float(), previous.float(), 2.0)
    expect_tensor(single, "What `extrapolate` returns for float32 images", (N, C, H, W), dtype=torch.float32)
    expect_close(single, (2 * denoised - previous).float(), "In float32, the guess is the same up to rounding.")


def test_remix(remix: Callable[..., Tensor], seed: int) -> None:
    """4.3: down to the next level, with the guess in place of what is left out."""
    random = seeded(seed)
    clean, noise, other = torch.rand(3, N, C, H, W, generator=random, dtype=torch.float64)

    def at(noisy: Tensor, guess: Tensor, here: Tensor, there: Tensor) -> Tensor:
        with unchanged(noisy=noisy, guess=guess, noise_level=here, next_level=there):
            result = remix(noisy, guess, here, there)
        return expect_tensor(result, "What `remix` returns", (N, C, H, W), dtype=noisy.dtype, finite=False)

    high, low = torch.rand(2, generator=random).tolist()
    high = 0.2 + 0.8 * high
    # A blend, whatever is blended: neither need the guess be true, nor need it lie within [0, 1].
    noisy, guess = wide(noise), wide(other)
    true = "If the guess is the true picture, the result is this picture with the same noise at `next_level`."
    zero = "At a next level of 0, nothing but the guess is left."
    same = "Where the next level is the level now, `noisy` stays as it is."
    wild = "A guess that isn't the true picture, or leaves [0, 1], is mixed in like any other."
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
    expect_close(single, want, "In float32, the result is the same up to rounding.")


# ---- 4.4: the walk, watched at each step ----------------------------------------------------------------------------


class Call(NamedTuple):
    """What the model saw when it was called, and what it answered."""

    noisy: Tensor
    level: Tensor
    answer: Tensor
    gradients: bool
    modes: tuple[bool, bool]  # whether it was in training mode, and whether its part was


class Log(list[Any]):
    """Notes. A copy of the model writes into the same ones."""

    def __deepcopy__(self, memo: Any) -> "Log":
        return self


class ModelError(Exception):
    """What a model raises that stops halfway."""


class Witness(nn.Module):
    """A denoiser that notes what it is told. Its answer depends on all of it, and leaves [0, 1].

    Args:
        dtype: of its one weight; None makes a model without weights, which takes float32.
        stops_at: the call that raises ModelError, counted from 1.
    """

    def __init__(self, dtype: torch.dtype | None, *, stops_at: int | None = None) -> None:
        super().__init__()
        self.gain = 1.5 if dtype is None else nn.Parameter(torch.tensor(1.5, dtype=dtype))
        self.part = nn.Identity()  # as a layer would, it has a mode of its own
        self.takes, self.stops_at = dtype or torch.float32, stops_at
        self.calls = Log()

    def forward(self, noisy: Any = None, noise_level: Any = None) -> Tensor:
        says = "The model is called with two things: the noisy images and their level."
        expect(noisy is not None and noise_level is not None, says, got="one of them alone")
        noisy = expect_tensor(noisy, "What the model is shown (its first argument)", dtype=self.takes)
        says = "The model is shown all images at once, as its first argument."
        fits = noisy.dim() == 4 and noise_level is not noisy and noisy.numel() > 1
        expect(fits, says, expected="shape (N, C, H, W)", got=str(tuple(noisy.shape)))
        noise_level = expect_tensor(noise_level, "The level that the model is told (its second argument)")
        expect(
            noise_level.shape in ((1, 1, 1, 1), (len(noisy), 1, 1, 1)),
            "The level that the model is told (its second argument) has the wrong shape.",
            expected="(1, 1, 1, 1)",
            got=str(tuple(noise_level.shape)),
        )
        expect_tensor(noise_level, "The level that the model is told (its second argument)", dtype=self.takes)
        answer = self.gain * torch.cos(3 * noisy + 2 * noise_level) + 0.2
        seen = (noisy.detach().clone(), noise_level.detach().clone(), answer.detach().clone())
        self.calls.append(Call(*seen, torch.is_grad_enabled(), self.modes))
        if len(self.calls) == self.stops_at:
            raise ModelError("the model stopped halfway")
        return self.part(answer)

    @property
    def modes(self) -> tuple[bool, bool]:
        """Whether the model and its part are in training mode."""
        return self.training, self.part.training


def test_denoise(denoise: Callable[..., Iterator[Any]], seed: int) -> None:
    """4.4: each step asks once, leans on the last answer and remixes; and who watches is left in peace."""
    noisy = torch.rand(N, C, H, W, generator=seeded(seed), dtype=torch.float64)
    _expect_no_chance(denoise, noisy)
    _follow(denoise, noisy, torch.tensor([0.9, 0.8, 0.5, 0.4, 0.05, 0.0], dtype=torch.float64), 2.0)
    _follow(denoise, wide(noisy), torch.linspace(1, 0, 5), 1.5)
    _follow(denoise, noisy, [1.0, 0.7, 0.1, 0.0], 1.0, training=False)
    _follow(denoise, noisy, [0.9, 0.6, 0.3, 0.2], 0.5)
    _follow(denoise, noisy[:1].float(), torch.tensor([1.0, 0.0], dtype=torch.float64), 2.0)
    _follow(denoise, noisy.float(), [0.75, 0.5, 0.4, 0.3], None)
    _expect_to_stop_early(denoise, noisy)


def _expect_no_chance(denoise: Callable[..., Iterator[Any]], noisy: Tensor) -> None:
    """The same walk, twice."""

    def walk() -> list[Tensor]:
        steps = denoise(Witness(noisy.dtype), noisy.clone(), [1.0, 0.6, 0.2, 0.0], 2.0)
        found = [getattr(s, "noisy", None) for s in islice(steps, 3)] if isinstance(steps, Iterator) else []
        return [x.detach().nan_to_num() for x in found if isinstance(x, Tensor) and x.dtype == noisy.dtype]

    first, again = walk(), walk()
    expect(
        len(first) == len(again) and all(map(torch.equal, first, again)),
        "Nothing is random on the way: from the same start, the walk is the same.",
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
    """Walk down a schedule beside the answer, and check each step on its own: from what it had, to what it made."""
    model = Witness(noisy.dtype).train(training)
    levels = [float(x) for x in schedule]
    n, size = len(levels) - 1, 2.0 if step_size is None else step_size
    given = {"schedule": schedule} if isinstance(schedule, Tensor) else {}
    walk = denoise(model, noisy, schedule, *([] if step_size is None else [step_size]))
    expect(
        isinstance(walk, Iterator),
        "`denoise` is a generator: it yields one Step after the other.",
        expected="a function with a `yield`",
        got="None (is a `yield` missing?)" if walk is None else f"a function that returns {kind_of(walk)}",
    )
    state, previous, kept = noisy.clone(), None, []
    for place, (now, after) in enumerate(pairwise(levels), 1):
        with unchanged(noisy=noisy, **given):
            try:
                step = next(walk)
            except StopIteration:
                says = "There is a Step for every step, down to the last level."
                got = f"the end after {place - 1}"
                raise Wrong(says, expected=f"{n} Steps for {n + 1} levels", got=got) from None
        gradients = torch.is_grad_enabled()
        torch.set_grad_enabled(True)
        says = "The model is called once for each step, at the moment when the Step is asked for."
        got = f"{len(model.calls)} after Step {place}"
        if len(model.calls) > place and place < n and not list(islice(walk, 1)):
            got += ", and no Step after that"
        expect(len(model.calls) == place, says, expected=f"{place} call{'s' * (place > 1)} after Step {place}", got=got)
        step = _expect_step(step, noisy)
        _expect_level(step.noise_level, after, "A Step's noise_level is the level that the step arrived at.")
        call = model.calls[-1]
        _expect_asked(call, state, now, place)
        expect(
            gradients,
            "While the function stands still at `yield`, gradients are on for its caller as they were.",
            expected="a caller that can go on learning",
            got="gradients switched off for everyone until the next Step",
        )
        expect(
            model.modes == (training, training),
            "The model's mode is left to the caller.",
            expected=mode(training),
            got=f"{mode(not training)} after the step",
        )
        near = NEAR if noisy.dtype == torch.float64 else 10 * NEAR
        expect_close(step.denoised, call.answer, "A Step's denoised is what the model answered.", tolerance=near)
        guess = call.answer if previous is None else previous + size * (call.answer - previous)
        if previous is None:
            says = "In the first step the guess is the answer itself; `remix` mixes it in."
        elif place == 2:
            says = "In the second step `extrapolate` leans on the first answer; `remix` mixes its guess in."
        else:
            says = "Each later step, too, leans on what the model answered one step earlier, and nothing is cut off."
        expect_close(step.noisy, guess + after / now * (state - guess), says, tolerance=near)
        got = "tensors that still carry the graph for gradients"
        free = not (step.noisy.requires_grad or step.denoised.requires_grad)
        expect(free, "A Step keeps no gradients.", expected="tensors alone", got=got)
        state, previous = step.noisy.clone(), call.answer
        kept.append((step, [x.clone() for x in step]))
    end = object()
    expect(next(walk, end) is end, "The walk ends at the last level.", expected=f"{n} Steps", got="one more")
    same = all(torch.equal(x, before) for step, copies in kept for x, before in zip(step, copies, strict=True))
    _expect_not_frozen(model)
    says = "Later steps leave the tensors of an earlier Step as they are."
    expect(same, says, expected="tensors of its own for each Step", got="an earlier Step that a later one has changed")


def _expect_asked(call: Call, state: Tensor, now: float, place: int) -> None:
    """The model was shown the mix as it is, told its level, and kept nothing to learn from."""
    if place == 1:
        says = "The first thing that the model is shown is `noisy`, as it was handed in."
    else:
        says = "The model is shown the mix that the step before arrived at."
    expect_close(call.noisy, state, says, tolerance=NEAR)
    for told in call.level:
        _expect_level(told, now, "The model is told the level that the images are at when it is shown them.")
    expect(
        not call.gradients,
        "The model is called without gradients.",
        expected="gradients off during the call",
        got="gradients on",
    )


def _expect_level(found: Tensor, want: float, says: str) -> None:
    value = found.detach().view(1)
    near = bool((value - want).abs() <= NEAR)
    expect(near, says, expected=number(want), got=number(value), evidence=value)


def _expect_step(step: Any, noisy: Tensor) -> Any:
    """A Step, of three tensors."""
    named = all(hasattr(step, name) for name in Step._fields)
    got = "None" if step is None else kind_of(step) + ", which is not a tuple" * (named and not isinstance(step, tuple))
    expect(
        named and isinstance(step, tuple),
        "What is yielded is a Step.",
        expected="Step(noise_level, noisy, denoised)",
        got=got,
    )
    expect_tensor(step.noise_level, "A Step's noise_level", (1, 1, 1, 1), dtype=noisy.dtype)
    expect_tensor(step.noisy, "A Step's noisy", noisy.shape, dtype=noisy.dtype, finite=False)
    expect_tensor(step.denoised, "A Step's denoised", noisy.shape, dtype=noisy.dtype, finite=False)
    return step


def _expect_to_stop_early(denoise: Callable[..., Iterator[Any]], noisy: Tensor) -> None:
    """Who has seen enough after one Step may go."""
    model = Witness(noisy.dtype)
    walk = denoise(model, noisy, [1.0, 0.5, 0.25, 0.0], 2.0)
    next(walk)
    try:
        getattr(walk, "close", int)()
        got = f"{len(model.calls)} calls" if len(model.calls) > 1 else ""
    except Exception as error:
        got = kind_of(error)
    says = "A caller may stop after the first Step, and that is the end of it."
    expect(not got, says, expected="1 call of the model and no error", got=got)


# ---- 4.5: from noise to pictures ------------------------------------------------------------------------------------


class Elsewhere(nn.Module):
    """A model on torch's "meta" device, where tensors have shapes but no numbers. It notes where its input lives."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(3, device="meta"))
        self.devices = Log()

    def forward(self, noisy: Tensor, noise_level: Tensor) -> Tensor:
        self.devices += [noisy.device.type, noise_level.device.type]
        raise ModelError("far enough")


def test_generate(generate: Callable[..., Tensor], seed: int) -> None:
    """4.5: uniform noise, walked down an even schedule by a model that gets its mode back."""

    def draw(generator: torch.Generator | None) -> Tensor:
        made = generate(Witness(torch.float64), N, image_shape=(C, H, W), n_steps=2, generator=generator)
        return expect_tensor(made, "What `generate` returns", (N, C, H, W), dtype=torch.float64)

    _expect_walk(generate, Witness(torch.float64), seed, N, (C, H, W), n_steps=5, step_size=1.5)
    _expect_noise(generate, seed)
    expect_fair_draws(draw, seed, "the pictures")
    _expect_walk(generate, Witness(torch.float64).eval(), seed, N, (C, H, W), n_steps=1, step_size=0.5)
    if seed % 3 == 0:  # this is the slow one
        _expect_walk(generate, Witness(None), seed, 1, [C, H, W])  # with the defaults
    _expect_mode_after_an_error(generate)
    elsewhere = Elsewhere()
    with contextlib.suppress(Exception):  # its own, or that of who looks at numbers where there are none
        generate(elsewhere, N, image_shape=(C, H, W), n_steps=2)
    expect(
        set(elsewhere.devices) <= {"meta"},
        "The noise and the levels live where the model's weights live.",
        expected="tensors on the device of the weights",
        got="tensors on the CPU for a model that is elsewhere",
    )


def _expect_walk(
    generate: Callable[..., Tensor], model: Witness, seed: int, n: int, image_shape: Sequence[int], **options: Any
) -> None:
    """From the model's calls, one after the other: what was it shown, and what came out in the end?"""
    before = model.modes
    result = generate(model, n, image_shape=image_shape, generator=seeded(seed), **options)
    made = expect_tensor(result, "What `generate` returns", (n, *image_shape), dtype=model.takes)
    steps, size = options.get("n_steps", 100), options.get("step_size", 2.0)
    calls = model.calls
    says = "The model is called once for each step" + (
        ", and there are 100 if no number is given." * (not options) or "."
    )
    expect(len(calls) == steps, says, expected=f"{steps} call{'s' * (steps > 1)}", got=str(len(calls)))
    levels = torch.stack([call.level.flatten()[0] for call in calls])
    want = 1 - torch.arange(steps).to(levels) / steps
    says = "The levels that the model is told fall evenly, from 1 in the first call, and end at 0 after the last."
    even = bool(((levels - want).abs() <= steps * ROUNDING).all())
    expect(even, says, expected=listed(want), got=listed(levels), evidence=levels)
    expect(
        not any(call.gradients for call in calls),
        "The model is called without gradients.",
        expected="gradients off during the call",
        got="gradients on",
    )
    modes = {call.modes for call in calls}
    expect(
        modes == {(False, False)},
        "Whenever it is called, the model is in evaluation mode, with all of its parts.",
        expected="evaluation mode",
        got="a part of it in training mode" if modes == {(False, True)} else "training mode",
    )
    expect(
        model.modes == before,
        "Afterwards the model is back in the mode that it came in.",
        expected=mode(before[0]),
        got=mode(model.training) if model.modes[0] == model.modes[1] else "a part of it in another mode",
    )
    shown, answers = torch.stack([call.noisy for call in calls]), torch.stack([call.answer for call in calls])
    earlier = torch.cat([answers[:1], answers[:-1]])
    guess = earlier + size * (answers - earlier)
    share = torch.cat([levels[1:], levels.new_zeros(1)]) / levels
    mixes = guess + share.view(-1, 1, 1, 1, 1) * (shown - guess)
    says = "From one call to the next, the mix takes one step of `denoise`, with the `step_size` that is given" + (
        "." if options else " or else with 2."
    )
    near = 10 * NEAR if model.takes == torch.float64 else None
    off = (shown[1:] - mixes[:-1]).abs().flatten(1).amax(1) > (near or 1e-4)
    for place in off.nonzero().flatten().tolist():
        expect_close(shown[1 + place], mixes[place], says, tolerance=near)
    says = "The pictures are the mix that the last step arrived at, cut off to [0, 1]."
    expect_close(made, mixes[-1].clamp(0, 1), says, tolerance=near)
    expect(not made.requires_grad, "The pictures keep no gradients.", got="tensors that carry a graph")
    _expect_not_frozen(model)


def _expect_noise(generate: Callable[..., Tensor], seed: int) -> None:
    """The first thing that the model is shown is noise as in training."""
    model = Witness(torch.float32)
    generate(model, 8, image_shape=(3, 12, 14), n_steps=1, generator=seeded(seed))
    noise = model.calls[0].noisy
    for dim, name in enumerate(("image", "channel", "row", "column")):
        expect(
            bool((noise - noise.roll(1, dim)).abs().mean() > 0.1),  # a third, if they are drawn apart
            f"The noise at the start differs from {name} to {name}.",
            expected="a random number for each of them",
            got=f"the same noise in each {name}",
            evidence=noise.std(),  # 0 where there is no noise at all
            slack=0.1,
        )
    expect_uniform(noise, "The noise at the start is")
    low, high = noise.min().item(), noise.max().item()  # of 4032 numbers, one in 100 million draws has none that near
    says, whole = "The noise at the start goes all the way from 0 to 1.", low < 0.005 and high > 0.995
    expect(whole, says, expected="from 0 to 1", got=f"from {number(low)} to {number(high)}")


def _expect_not_frozen(model: Witness) -> None:
    """Its weights ask for gradients, as they did."""
    free = all(weight.requires_grad for weight in model.parameters())
    expect(free, "Afterwards the model can go on learning.", got="weights that don't take gradients any more")


def _expect_mode_after_an_error(generate: Callable[..., Tensor]) -> None:
    """Whatever the model raises: the caller hears of it, and has the model back as it was."""
    model = Witness(torch.float64, stops_at=2)
    try:
        generate(model, N, image_shape=(C, H, W), n_steps=3)
    except Wrong:
        raise
    except Exception:
        pass
    else:
        raise Wrong("If the model raises an error, the caller hears of it.", expected="the error", got="pictures")
    expect(
        model.modes == (True, True),
        "If the model raises an error halfway, it is back in the mode that it came in, too.",
        expected=mode(True),
        got=f"{mode(False)}, and a training that goes on would go on in it",
    )
    gradients = torch.is_grad_enabled()
    torch.set_grad_enabled(True)
    expect(gradients, "If the model raises an error halfway, gradients are on again.", got="gradients off for everyone")


# ---- small helpers --------------------------------------------------------------------------------------------------


@contextlib.contextmanager
def all_as_evidence(results: Iterable[Tensor]) -> Iterator[None]:
    """Whichever property within is missing: what is known of the answer is all of its results."""
    try:
        yield
    except Wrong as wrong:
        wrong.evidence = torch.stack([result.detach() for result in results])
        raise


def seeded(seed: int) -> torch.Generator:
    """A generator of its own."""
    return torch.Generator().manual_seed(seed)


def wide(images: Tensor) -> Tensor:
    """From [0, 1] to beyond it on both sides."""
    return 2 * images - 0.5


def level(value: float) -> Tensor:
    """One level for the whole batch."""
    return torch.full((1, 1, 1, 1), value, dtype=torch.float64)


def listed(levels: Tensor) -> str:
    """The first levels, as people write them."""
    return ", ".join(number(x) for x in levels[:7]) + ", ..." * (len(levels) > 7)


def mode(training: bool) -> str:
    """The name of a model's mode."""
    return "training mode" if training else "evaluation mode"


# ---- the picture ----------------------------------------------------------------------------------------------------


class Remembers(nn.Module):
    """The best denoiser for a world of sixteen emoji: their average, each weighted by how well it explains the mix.

    Args:
        doubt: 1 for the noise's own spread. More makes it decide later.
    """

    def __init__(self, doubt: float = 1.0) -> None:
        super().__init__()
        self.doubt = doubt

    def forward(self, noisy: Tensor, noise_level: Tensor) -> Tensor:
        known, t = emoji().flatten(1), noise_level.flatten()[:1].clamp(min=1e-3)
        # If the clean picture were this emoji, how large would the noise be? Less what is the same for all of them.
        noise, share = (noisy - t / 2).flatten(1), 1 - t
        apart = share.square() * known.square().sum(1) - 2 * share * noise @ known.T
        weights = torch.softmax(-apart / (2 * self.doubt * t.square() / 12), dim=1)
        return (weights @ known).view(noisy.shape)


def _bars(levels: Tensor) -> Tensor:
    """Levels as a row of bars, eleven of them at most."""
    sheet = torch.ones(1, 3, 42, 11 * 21)
    for place, value in enumerate(levels[:11].tolist()):
        height = 2 + round(40 * min(max(value, 0), 1))
        sheet[0, :, 42 - height :, 21 * place : 21 * place + 18] = torch.tensor([0.35, 0.55, 0.8]).view(3, 1, 1)
    return sheet


def _sharpened(part: ModuleType) -> Tensor:
    """An emoji once as a very blurred answer, then as a less blurred one, and the guesses from them."""
    picture = emoji()[1:2]
    previous, denoised = (nn.functional.avg_pool2d(picture, k, 1, k // 2, count_include_pad=False) for k in (7, 5))
    guesses = [part.extrapolate(denoised, previous, size) for size in (0.5, 1.0, 1.5, 2.0, 3.0)]
    return torch.cat([part.extrapolate(previous, None, 2.0), *guesses])


def _remixed(part: ModuleType) -> Tensor:
    """One noisy emoji, taken to lower levels with another emoji as the guess."""
    picture, noise = emoji()[4:5], torch.rand(1, 3, 32, 32, generator=seeded(0))
    here = torch.full((1, 1, 1, 1), 0.8)
    lower = (torch.full((1, 1, 1, 1), x) for x in (0.8, 0.6, 0.4, 0.2, 0.0))
    return torch.cat([part.remix(torch.lerp(picture, noise, 0.8), picture, here, there) for there in lower])


def _walked(part: ModuleType, what: str) -> Tensor:
    """The mixes or the answers on one walk."""
    schedule = [1.0, 0.95, 0.88, 0.75, 0.6, 0.4, 0.2, 0.0]
    steps = part.denoise(Remembers(8), torch.rand(1, 3, 32, 32, generator=seeded(4)), schedule, 2.0)
    return torch.cat([getattr(step, what) for step in islice(steps, 7)])


def _made(part: ModuleType) -> Tensor:
    return part.generate(Remembers(), 7, image_shape=(3, 32, 32), n_steps=50, generator=seeded(1))  # type: ignore[no-any-return]


PANELS = [
    Panel("noise_schedule", "the levels for 10 steps, as bars", lambda part: _bars(part.noise_schedule(10))),
    Panel("extrapolate", "no previous answer, then step sizes 0.5, 1, 1.5, 2, 3", _sharpened),
    Panel("remix", "from level 0.8 to 0.8, 0.6, 0.4, 0.2 and 0", _remixed),
    Panel("denoise", "the mix after each step", lambda part: _walked(part, "noisy")),
    Panel("denoise", "the model's answer in each step", lambda part: _walked(part, "denoised")),
    Panel("generate", "seven pictures, by a model that knows sixteen emoji", _made),
]
