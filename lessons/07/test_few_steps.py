"""Grader for lesson 07: `warped_schedule`, `step_sizes`, `distillation_target`, `distill_step` and `one_step`.

Step sizes are checked by what they do: each step must land on the exact solution. The teacher and the student record
what they are shown. From that follow the right target, loss and step, in whatever order an answer draws its numbers.
"""

import contextlib
import inspect
from collections.abc import Callable, Iterator, Sequence
from functools import cache
from types import ModuleType
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.optim import SGD

from dino.course.grader.contact_sheet import Panel, emoji
from dino.course.grader.expect import (
    Wrong,
    advice,
    afterward,
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
from dino.sampler import denoise, noise_schedule, remix

# N, C, H and W all differ, so that broadcasting along the wrong dimension shows.
N, C, H, W = 6, 3, 4, 5
MANY = 120  # pictures in a batch whose random numbers are counted
SINGLE = nn.Parameter(torch.tensor(1.5))  # a weight in float32
NEAR = 1e-6  # some ten roundings of float32 numbers


# ---- 7.1: where the steps are ---------------------------------------------------------------------------------------


@runs(1)
def test_warped_schedule(warped_schedule: Callable[..., Tensor], seed: int) -> None:  # noqa: ARG001
    """7.1: one more level than steps, from 1 down to 0, close together near 1."""
    for n_steps, warp in ((4, None), (4, 0.2), (1, 0.5), (2, 1.0), (3, 3.0), (10, None), (5, 0.05), (8, 2.0), (50, 20)):
        call = f"warped_schedule({n_steps}{'' if warp is None else f', {warp:g}'})"
        result = warped_schedule(n_steps) if warp is None else warped_schedule(n_steps, warp)
        _expect_warped(
            expect_tensor(result, "The result of `warped_schedule`", finite=False), n_steps, warp or 0.5, call
        )
    with advice("`warp` may be given by its name."):
        warped_schedule(4, warp=0.2)
    with advice():
        _expect_refused(warped_schedule, "Fewer than one step should raise a ValueError.", (0, 0.5), (-1, 0.5))
        _expect_refused(
            warped_schedule, "A warp that isn't more than 0 should raise a ValueError.", (4, 0.0), (4, -0.2)
        )


def _expect_warped(result: Tensor, n: int, warp: float, call: str) -> None:
    levels, even = result.detach().double(), 1 - torch.arange(n + 1).double() / n
    want = even * (1 + warp) / (even + warp)
    got = f"{listed(levels)} from {call}" if levels.dim() == 1 else f"shape {tuple(levels.shape)} from {call}"
    shown: dict[str, Any] = {"expected": listed(want), "got": got, "evidence": result}
    expect(levels.dim() == 1, "The levels should have one dimension.", **shown)
    expect(len(levels) == n + 1, "There should be one more level than steps.", **shown)
    expect(abs(levels[0] - 1) <= NEAR, "The first level should be 1, pure noise.", **shown)
    expect(abs(levels[-1]) <= NEAR, "The last level should be 0, no noise at all.", **shown)
    expect(bool((levels.diff() < 0).all()), "Each level should be lower than the level before it.", **shown)
    falls = -levels.diff()
    expect(
        n == 1 or bool((falls.diff() > 0).all()),
        "The steps should be small at first, near level 1, and grow from step to step.",
        **shown,
    )
    says = "Each even level x should become x (1 + warp) / (x + warp)."
    expect(bool(((levels - want).abs() <= 10 * NEAR).all()), says, **shown)
    with afterward():
        expect_tensor(result, "The result of `warped_schedule`", dtype=torch.float32)


def _expect_refused(function: Callable[..., Any], says: str, *cases: tuple[Any, ...]) -> None:
    """Check that a ValueError is raised in these cases."""
    for case in cases:
        call = f"{function.__name__}({', '.join(f'{x:g}' for x in case)})"
        try:
            function(*case)
            got = f"no error from {call}"
        except ValueError:
            continue
        except Exception as error:
            got = f"{kind_of(error)} from {call}"
        raise Wrong(says, expected="a ValueError", got=got)


# ---- 7.2: how far each step extrapolates ----------------------------------------------------------------------------


def test_step_sizes(step_sizes: Callable[[Tensor], Tensor], seed: int) -> None:
    """7.2: each step lands on the exact solution, if the prediction changes linearly with the level."""
    random = seeded(seed)
    falls = torch.rand(7, generator=random, dtype=torch.float64) + 0.1
    uneven = 1 - falls.cumsum(0) / (falls.sum() + 0.2)
    cases = {
        "steps that become longer": torch.tensor([1.0, 0.9, 0.75, 0.5, 0.1], dtype=torch.float64),
        "steps of equal length": noise_schedule(4).double()[:-1],
        "steps that become shorter": torch.tensor([1.0, 0.5, 0.25, 0.15, 0.1], dtype=torch.float64),
        "uneven steps": torch.cat([torch.tensor([0.95 + 0.05 * torch.rand((), generator=random)]).double(), uneven]),
        "a last step to level 0": torch.tensor([1.0, 0.8, 0.4, 0.0], dtype=torch.float64),
        "a single step": torch.tensor([1.0, 0.3], dtype=torch.float64),
    }
    for name, schedule in cases.items():
        with copies(schedule=schedule) as given:
            result = step_sizes(*given)
        _expect_exact(result, schedule, name)
        with advice():
            expect_tensor(result, "The result of `step_sizes`", dtype=torch.float64)
    single = expect_tensor(step_sizes(torch.tensor([1.0, 0.8, 0.4, 0.0])), "The result of `step_sizes`", (3,))
    want = exact_sizes(torch.tensor([1.0, 0.8, 0.4, 0.0]).double()).float()
    expect_close(single, want, "In float32, the sizes should be the same up to rounding.", tolerance=1e-4)
    with advice():
        expect_tensor(single, "The result of `step_sizes` for float32 levels", dtype=torch.float32)


def _expect_exact(result: Any, schedule: Tensor, name: str) -> None:
    """Check that the steps land where the exact solution is, for a prediction that is 0 and then 1, on a line."""
    sizes = expect_tensor(result, "The result of `step_sizes`", finite=False).detach().double()
    n = len(schedule) - 1
    seen = f"{number(len(sizes)) if sizes.dim() == 1 else f'shape {tuple(sizes.shape)}'} for {n + 1} levels"
    says = "There should be one step size for each step."
    expect(sizes.dim() == 1 and len(sizes) == n, says, expected=f"{n} for {n + 1} levels", got=seen)
    shown: dict[str, Any] = {"evidence": sizes, "slack": 1e-5}
    says = "The first step has no previous prediction, so its size should be 1."
    expect(abs(sizes[0] - 1) <= NEAR, says, expected="1", got=number(sizes[0]), **shown)
    want = exact_sizes(schedule)
    for k in range(1, n):
        before, now, after = (number(level) for level in schedule[k - 1 : k + 2])
        where = f" (step {k + 1} of {n}, from level {now} to {after}; the previous prediction was at {before})"
        if schedule[k + 1] == 0:
            says = "A step to level 0 should extrapolate to the point that the line has at level 0."
        else:
            says = "If the prediction changes linearly with the level, a step should land on the exact solution."
        near = bool((sizes[k] - want[k]).abs() <= 1e-5 * max(1.0, want[k].abs().item()))
        expect(near, says, expected=f"a size of {number(want[k])}", got=number(sizes[k]) + f"{where}: {name}", **shown)


def exact_sizes(schedule: Tensor) -> Tensor:
    """Return the sizes that land on the exact solution.

    The predictions 0 at level p and 1 at level t are on the line D(u) = (p - u) / (p - t). The solution of
    dx/dt = (x - D) / t is then x(u) = c u + (p + u log u) / (p - t), and any c will do. What `remix` must mix in to
    get from x(t) to x(s) is (x(s) - s / t x(t)) / (1 - s / t), and from 0 to this guess it is the step size.
    """
    before, now, after = schedule[:-2], schedule[1:-1], schedule[2:]
    x_now = (before + torch.xlogy(now, now)) / (before - now)
    x_after = (before + torch.xlogy(after, after)) / (before - now)
    sizes = (x_after - after / now * x_now) / (1 - after / now)
    return torch.cat([sizes.new_ones(1), sizes])


# ---- 7.3: two steps of the teacher in one ---------------------------------------------------------------------------


class Call(NamedTuple):
    """One call of a denoiser: its inputs, its prediction, and whether gradients were on."""

    noisy: Tensor
    level: Tensor
    prediction: Tensor
    gradients: bool


class Log(list[Any]):
    """Record of calls. A copy of the denoiser writes to the same record."""

    def __deepcopy__(self, memo: Any) -> "Log":
        return self


class Witness(nn.Module):
    """Denoiser that records its inputs. Its prediction depends on all of them, and leaves [0, 1].

    Args:
        who: what to call it in messages.
        weight: its one weight. By default it is 1.5, in float64. None makes a denoiser without weights, in float32.
    """

    def __init__(self, who: str, weight: nn.Parameter | float | None = 1.5) -> None:
        super().__init__()
        given = torch.tensor(weight, dtype=torch.float64) if isinstance(weight, float) else weight
        self.gain: Any = 1.5 if given is None else nn.Parameter(given) if not isinstance(given, nn.Parameter) else given
        self.who, self.calls = who, Log()
        self.dtype = torch.float32 if given is None else given.dtype

    def forward(self, noisy: Any = None, noise_level: Any = None) -> Tensor:
        says = f"The {self.who} should be called with two arguments: the noisy pictures and their noise level."
        expect(noisy is not None and noise_level is not None, says, got="only one of them")
        noisy = expect_tensor(noisy, f"The first argument of the {self.who} (the noisy pictures)")
        says = f"The first argument of the {self.who} should be the noisy pictures."
        fits = noisy.dim() == 4 and noise_level is not noisy and noisy.numel() > len(noisy)
        expect(fits, says, expected="shape (N, C, H, W)", got=str(tuple(noisy.shape)))
        noise_level = expect_tensor(noise_level, f"The second argument of the {self.who} (the noise level)")
        expect(
            noise_level.shape in ((1, 1, 1, 1), (len(noisy), 1, 1, 1)),
            f"The second argument of the {self.who} (the noise level) has the wrong shape.",
            expected="(N, 1, 1, 1) or (1, 1, 1, 1)",
            got=str(tuple(noise_level.shape)),
        )
        with advice():
            expect_tensor(noisy, f"The first argument of the {self.who} (the noisy pictures)", dtype=self.dtype)
            expect_tensor(noise_level, f"The second argument of the {self.who} (the noise level)", dtype=self.dtype)
        prediction = self.predict(noisy.to(self.dtype), noise_level.to(self.dtype))
        seen = (noisy.detach().clone(), noise_level.detach().clone(), prediction.detach().clone())
        self.calls.append(Call(*seen, torch.is_grad_enabled()))
        return prediction

    def predict(self, noisy: Tensor, noise_level: Tensor) -> Tensor:
        """Return the prediction, without a record."""
        return self.gain * torch.cos(3 * noisy + 2 * noise_level) + 0.2


class Fixed(Witness):
    """Denoiser that always predicts the same picture."""

    def __init__(self, picture: Tensor) -> None:
        super().__init__("teacher")
        self.picture = picture / 1.5

    def predict(self, noisy: Tensor, noise_level: Tensor) -> Tensor:  # noqa: ARG002
        return (self.gain * self.picture).expand(len(noisy), -1, -1, -1)


Levels = tuple[Tensor, Tensor, Tensor]


def two_steps(teacher: Witness, noisy: Tensor, levels: Levels) -> tuple[Tensor, Tensor, Tensor]:
    """Return the two predictions of a teacher, and the mix at which its two steps arrive."""
    now, middle, after = levels
    with torch.no_grad():
        first = teacher.predict(noisy, now)
        halfway = remix(noisy, first, now, middle)
        second = teacher.predict(halfway, middle)
        return first, second, remix(halfway, second, middle, after)


def right_target(teacher: Witness, noisy: Tensor, levels: Levels) -> Tensor:
    """Return the target: what one `remix` must mix in to arrive there, too."""
    *_, arrived = two_steps(teacher, noisy, levels)
    kept = levels[2] / levels[0]
    return (arrived - kept * noisy) / (1 - kept)


def test_distillation_target(distillation_target: Callable[..., Tensor], seed: int) -> None:
    """7.3: one step with the target arrives where two steps of the teacher arrive."""
    random = seeded(seed)
    noisy = 2 * torch.rand(N, C, H, W, generator=random, dtype=torch.float64) - 0.5
    shares = 0.1 + 0.8 * torch.rand(3, N, 1, 1, 1, generator=random, dtype=torch.float64)
    own = (
        1.1 * shares[0] + 0.01,
        (1.1 * shares[0] + 0.01) * shares[1],
        (1.1 * shares[0] + 0.01) * shares[1] * shares[2],
    )

    def found(teacher: Witness, levels: Levels, pictures: Tensor = noisy) -> Tensor:
        now, middle, after = levels
        with copies(noisy=pictures, noise_level=now, middle=middle, next_level=after) as given:
            result = distillation_target(teacher, *given)
        result = expect_tensor(result, "The target", pictures.shape, finite=False)
        with afterward():
            says = "The target should carry no gradients, because the teacher doesn't learn."
            expect(not result.requires_grad, says, expected="a plain tensor", got="a tensor that carries a graph")
        return result.detach().clone()

    with every_result() as results:
        for levels in (single(0.8, 0.4, 0.2), own, single(0.9, 0.6, 0.0)):
            teacher = Witness("teacher")
            results.append(found(teacher, levels))
            _expect_two_calls(teacher, noisy, levels)
        for levels, result in zip((single(0.8, 0.4, 0.2), own, single(0.9, 0.6, 0.0)), results, strict=True):
            _expect_target(result, Witness("teacher"), noisy, levels)
    fixed = torch.rand(1, C, H, W, generator=random, dtype=torch.float64)
    says = "If the teacher predicts the same picture in both steps, the target should be this picture."
    expect_close(found(Fixed(fixed), single(1.0, 0.7, 0.1)), fixed.expand(N, -1, -1, -1), says, tolerance=NEAR)
    teacher, levels = Witness("teacher", SINGLE), single(1.0, 0.75, 0.3, dtype=torch.float32)
    single_precision = found(teacher, levels, noisy.float())
    with afterward():
        expect_tensor(single_precision, "The target of float32 pictures", dtype=torch.float32)
    want = right_target(Witness("teacher"), noisy, single(1.0, 0.75, 0.3)).float()
    expect_close(single_precision, want, "In float32, the target should be the same up to rounding.", tolerance=1e-4)


def _expect_target(result: Tensor, teacher: Witness, noisy: Tensor, levels: Levels) -> None:
    first, second, arrived = two_steps(teacher, noisy, levels)
    want = right_target(teacher, noisy, levels)
    if bool((levels[2] == 0).all()):
        says = "If `next_level` is 0, the target should be the teacher's second prediction."
        expect_close(result, second, says, tolerance=NEAR)
    says = "One step with the target should arrive where the teacher's two steps arrive."
    with explained_by([first, second, arrived]):
        expect_close(result, want, says, tolerance=NEAR)


def _expect_two_calls(teacher: Witness, noisy: Tensor, levels: Levels) -> None:
    """Check what the teacher was shown, if an answer shows it the whole batch."""
    calls = teacher.calls
    says = "The teacher should be called for each of its two steps."
    expect(len(calls) >= 2, says, expected="2 calls", got=f"{len(calls)} call{'s' * (len(calls) != 1)}")
    with afterward():
        says = "The teacher should be called with gradients off."
        expect(not any(call.gradients for call in calls), says, expected="gradients off", got="gradients on")
    if len(calls[0].noisy) != N:
        return
    says = "The teacher's first prediction should be for `noisy` at `noise_level`."
    expect_close(calls[0].noisy, noisy, says, tolerance=NEAR)
    expect_close(calls[0].level.expand(N, 1, 1, 1), levels[0].expand(N, 1, 1, 1), says, tolerance=NEAR)
    says = "The teacher's second prediction should be for the pictures that its first step reached."
    halfway = remix(noisy, calls[0].prediction, levels[0], levels[1])
    expect_close(calls[1].noisy, halfway, says, tolerance=NEAR)
    says = "The teacher's second prediction should be at the level that its first step reached."
    expect_close(calls[1].level.expand(N, 1, 1, 1), levels[1].expand(N, 1, 1, 1), says, tolerance=NEAR)


# ---- 7.4: the student learns ----------------------------------------------------------------------------------------

SCHEDULE = torch.tensor([1.0, 0.95, 0.85, 0.7, 0.5, 0.2, 0.0])  # three steps of a student


class Recording(SGD):
    """Gradient descent that records whether it took a step, and whether it had to erase gradients.

    Without torch's wrappers for its compiler, which take 2 s to load.
    """

    add_param_group = inspect.unwrap(SGD.add_param_group)

    def __init__(self, weight: nn.Parameter, lr: float) -> None:
        super().__init__([weight], lr=lr)
        self.weight, self.stepped, self.erased = weight, False, False

    def zero_grad(self, set_to_none: bool = True) -> None:
        self.erased |= self.weight.grad is not None
        inspect.unwrap(SGD.zero_grad)(self, set_to_none)

    def step(self, closure: Callable[[], float] | None = None) -> Any:
        self.stepped = True
        with torch.no_grad():
            return inspect.unwrap(SGD.step)(self, closure)


def test_distill_step(distill_step: Callable[..., float], seed: int) -> None:
    """7.4: noise up to where a random step of the student begins, the teacher's target, and a step of descent."""
    # In float32, as pictures are, so that an answer needn't care about dtypes.
    clean = torch.rand(MANY, C, H, W, generator=seeded(100 + seed)).square()
    weight = nn.Parameter(torch.tensor(0.5))
    student, optimizer = Witness("student", weight), Recording(weight, 0.1)
    teacher = Witness("teacher", nn.Parameter(torch.tensor(1.5)))

    def step(generator: torch.Generator | None, n: int = MANY, schedule: Tensor = SCHEDULE) -> Batch:
        student.calls.clear()
        before = weight.item()
        with copies(clean=clean[:n], schedule=schedule) as (pictures, levels):
            loss = distill_step(student, teacher, optimizer, pictures, levels, generator=generator)
        return _batch(student, clean[:n], before, loss)

    first = step(seeded(seed))
    _expect_begins(first.level)
    _expect_noised(first)
    _expect_descent(first, teacher, optimizer, "The step should be one of gradient descent on this loss.")
    says = "The second step should follow from the gradient of its own batch alone."
    _expect_descent(step(seeded(seed + 1000)), teacher, optimizer, says)
    expect_fair_draws(lambda generator: step(generator, N).noisy, seed, "the noise and the steps")
    level = step(seeded(seed), N, torch.tensor([1.0, 0.6, 0.0])).level
    says = "A student of a single step should always be shown level 1."
    expect(bool((level - 1).abs().max() <= NEAR), says, expected="1", got=listed(level.flatten().unique()))
    with afterward():
        says = "The teacher should be called with gradients off."
        graded = any(call.gradients for call in teacher.calls)
        expect(not graded, says, expected="gradients off", got="gradients on")
    with afterward():
        says = "The teacher should not change."
        same = teacher.gain.item() == 1.5 and teacher.gain.requires_grad
        expect(same, says, expected="the same weights as before", got="other weights")


class Batch(NamedTuple):
    """What one step of an answer did: what the student was shown, and what came back."""

    clean: Tensor
    noisy: Tensor
    level: Tensor
    before: float  # the student's weight
    after: float
    loss: Any


def _batch(student: Witness, clean: Tensor, before: float, loss: Any) -> Batch:
    says = "The student should be called, to predict from the noisy pictures."
    expect(len(student.calls) > 0, says, expected="a call of the student", got="none")
    noisy = torch.cat([call.noisy for call in student.calls])
    level = torch.cat([call.level.expand(len(call.noisy), 1, 1, 1) for call in student.calls])
    says = "The student should be shown each picture of the batch once."
    expect(len(noisy) == len(clean), says, expected=f"{len(clean)} pictures", got=str(len(noisy)))
    return Batch(clean, noisy.double(), level.double(), before, student.gain.item(), loss)


def _expect_begins(level: Tensor) -> None:
    """Check that the student's levels are the begins of its steps, at random and independently for each picture."""
    begins = SCHEDULE[:-1:2].double()
    found, shown = level.flatten(), listed(level.flatten().unique().flip(0))
    near = (found[:, None] - begins).abs() <= NEAR
    kinds = torch.stack([((found - x).abs() <= NEAR).double().mean() for x in SCHEDULE])  # how often each level comes
    evidence: dict[str, Any] = {"evidence": torch.cat([kinds, found.std().view(1) > 0]), "slack": 0.15}
    says = "The student should be shown only levels at which one of its own steps begins."
    expect(bool(near.any(1).all()), says, expected=listed(begins), got=shown, **evidence)
    says = "Each picture should get a step of its own."
    several = len(found.unique()) > 1
    expect(several, says, expected="different levels in a batch", got=f"{shown} for all {MANY} pictures", **evidence)
    says = "Each of the student's steps should come up, the first and the last as well."
    expect(bool(near.any(0).all()), says, expected=listed(begins), got=shown, **evidence)
    counts = near.sum(0)
    even = bool(((counts - MANY / 3).abs() <= 6 * (MANY * 2 / 9) ** 0.5).all())
    says = "Each of the student's steps should come up equally often."
    expect(even, says, expected=f"about {MANY // 3} each", got=listed(counts), **evidence)
    says = "The steps should be drawn at random, not in an order."
    sorted_ = bool((found.diff() >= 0).all() or (found.diff() <= 0).all()) or bool((found[3:] == found[:-3]).all())
    expect(not sorted_, says, expected="a random order", got="the levels in an order", evidence=torch.tensor(1.0))


def _expect_noised(batch: Batch) -> None:
    """Check that the student is shown the clean pictures with noise mixed in."""
    clean, noisy, level = batch[:3]
    noise = (noisy - (1 - level) * clean) / level
    pure = noise[level.flatten() > 0.99]
    for dim, name in enumerate(("picture", "channel", "row", "column")):
        says = f"The noise should differ from {name} to {name}."
        bare = bool((pure - pure.roll(1, dim)).abs().mean() > 0.1)
        evidence: dict[str, Any] = {"evidence": torch.tensor(float(dim)), "slack": 0.1}
        expect(bare, says, expected=f"different noise in each {name}", got=f"the same noise in each {name}", **evidence)
    untouched = (noisy - clean).abs().flatten(1).amax(1) < NEAR
    says = "At level 1, the student should be shown noise, and nothing of the clean pictures."
    shown = "clean pictures at every level" if untouched.all() else "the clean pictures"
    evidence = {"evidence": untouched.double().mean() == 1}
    is_noise = not untouched[level.flatten() > 0.99].any()
    expect(is_noise, says, expected="noise alone", got=shown, **evidence)
    expect_uniform(pure, "At level 1, the student's pictures are")
    below = noise[level.flatten() <= 0.99]
    says = "Below level 1, the student should be shown a mix of the clean pictures and noise, at the given level."
    in_range = bool((below > -NEAR).all() and (below < 1 + NEAR).all())
    even = abs(below.mean() - 0.5) < 0.05 and abs(below.std() - 12**-0.5) < 0.03
    got = "something else" if in_range else "a mix that can't be made of `clean` and noise in [0, 1)"
    evidence = {"evidence": torch.stack([below.mean(), below.std()]), "slack": 0.1}
    expect(in_range and even, says, expected="mix(clean, noise, noise_level)", got=got, **evidence)


def _expect_descent(batch: Batch, teacher: Witness, optimizer: Recording, says: str) -> None:
    """Check the loss and the step: both follow from what the student was shown."""
    _, noisy, level, before, after, loss = batch
    place = (SCHEDULE[:-1:2].double() - level.view(-1, 1)).abs().argmin(1)
    now, middle, end = (SCHEDULE.double().view(-1, 1, 1, 1)[2 * place + k] for k in range(3))
    target = right_target(teacher, noisy, (now, middle, end))
    slope = torch.cos(3 * noisy + 2 * level)
    predicted = before * slope + 0.2  # see Witness.predict
    want, change = F.mse_loss(predicted, target), -0.1 * (2 * (predicted - target) * slope).mean()
    is_number = isinstance(loss, int | float) or (isinstance(loss, Tensor) and loss.numel() == 1)
    plain = loss.item() if isinstance(loss, Tensor) else loss
    found = float(plain) if is_number else float("nan")
    is_right = abs(found - want) <= 1e-4 * want
    moved = abs(after - before - change) <= 1e-4 * change.abs()
    first, second, arrived = two_steps(teacher, noisy, (now, middle, end))
    others = [F.mse_loss(predicted, x) for x in (batch.clean, first, second, arrived)] + [F.l1_loss(predicted, target)]
    expect(
        is_right or moved,
        "The loss should be the mean squared error between the student's prediction and the distillation target.",
        expected=number(want),
        got=number(found) if is_number else kind_of(loss),
        evidence=_which(found, others, want),
        slack=0.05,
    )
    ratio = torch.tensor([(after - before) / change, optimizer.stepped, optimizer.erased])
    expected, got = f"a change of the weight by {number(change)}", number(after - before)
    expect(moved, says, expected=expected, got=got, evidence=ratio, slack=0.02)
    if is_number:
        expect(is_right, "The result should be the loss before the step.", expected=number(want), got=number(found))
    with afterward():
        says = "The loss should be a plain number, so that nothing holds on to the graph."
        expect(isinstance(loss, float), says, expected="a float", got=kind_of(loss))


def _which(found: float, others: Sequence[Tensor], want: Tensor) -> Tensor:
    """Return which of some losses a number is, whatever was drawn; or else how many times too large it is."""
    which = [bool(abs(found - other) <= 1e-4 * other) for other in others]
    return torch.tensor(which) if any(which) else torch.tensor([found / float(want)])


# ---- 7.5: a single call ---------------------------------------------------------------------------------------------


def test_one_step(one_step: Callable[..., Tensor], seed: int) -> None:
    """7.5: pictures from the prediction for pure noise, in one call."""

    def draw(generator: torch.Generator | None) -> Tensor:
        return expect_tensor(one_step(Witness("student"), N, image_shape=(C, H, W), generator=generator), "The result")

    student = Witness("student")
    made = expect_tensor(
        one_step(student, N, image_shape=(C, H, W), generator=seeded(seed)), "The result of `one_step`", (N, C, H, W)
    )
    _expect_one_call(student.calls)
    prediction = student.calls[0].prediction
    says = "The pictures should be the student's prediction, clamped to [0, 1]."
    noise = student.calls[0].noisy
    others = [
        prediction,
        noise,
        prediction.sigmoid(),
        (prediction - prediction.min()) / prediction.std(),
        (prediction + 1) / 2,
    ]
    with explained_by(others):
        expect_close(made, prediction.clamp(0, 1), says, tolerance=NEAR)
    _expect_noise(one_step, seed)
    expect_fair_draws(draw, seed, "the pictures")
    with afterward():
        expect(not made.requires_grad, "The pictures should carry no gradients.", got="tensors that carry a graph")
    with afterward():
        says = "The student should be called with gradients off."
        expect(not student.calls[0].gradients, says, expected="gradients off during the call", got="gradients on")
    with afterward():
        says = "Afterward, it should be possible to continue training the student."
        expect(student.gain.requires_grad, says, got="a weight that no longer requires gradients")
    with advice():
        expect_tensor(made, "The result of `one_step`", dtype=torch.float64)
    with advice("`image_shape` may be a list."):
        one_step(Witness("student"), N, image_shape=[C, H, W])
    with advice("A student may have no weights. Then the pictures are on the CPU, and float32."):
        made = one_step(Witness("student", None), N, image_shape=(C, H, W))
        expect_tensor(made, "The result of `one_step`", (N, C, H, W), dtype=torch.float32)


def _expect_one_call(calls: list[Call]) -> None:
    says = "The student should be called once, for all pictures."
    counts = f"{len(calls)} call{'s' * (len(calls) != 1)}"
    expect(len(calls) == 1, says, expected="1 call", got=counts)
    [call] = calls
    says = "The student should be shown as many pictures as it should draw, of the right shape."
    shapes: dict[str, Any] = {"expected": str((N, C, H, W)), "got": str(tuple(call.noisy.shape))}
    expect(call.noisy.shape == (N, C, H, W), says, **shapes)
    says = "The noise level of pure noise should be 1."
    near = bool((call.level - 1).abs().max() <= NEAR)
    found = call.level.double().mean().view(1)
    expect(near, says, expected="1", got=number(call.level.flatten()[0]), evidence=found)


def _expect_noise(one_step: Callable[..., Tensor], seed: int) -> None:
    """Check that the student gets noise as in training."""
    student = Witness("student", SINGLE)
    one_step(student, 8, image_shape=(3, 12, 14), generator=seeded(seed))
    noise = student.calls[0].noisy
    for dim, name in enumerate(("picture", "channel", "row", "column")):
        expect(
            bool((noise - noise.roll(1, dim)).abs().mean() > 0.1),  # a third, if the numbers are drawn independently
            f"The noise should differ from {name} to {name}.",
            expected=f"different noise in each {name}",
            got=f"the same noise in each {name}",
            evidence=noise.std(),  # 0 if there is no noise at all
            slack=0.1,
        )
    expect_uniform(noise, "The noise is")


# ---- small helpers --------------------------------------------------------------------------------------------------


@contextlib.contextmanager
def every_result() -> Iterator[list[Tensor]]:
    """Collect results, and attach all of them as evidence, whichever property fails within this context."""
    results: list[Tensor] = []
    try:
        yield results
    except Wrong as wrong:
        if wrong.evidence is not None and results:
            wrong.evidence = torch.stack(results)
        raise


def seeded(seed: int) -> torch.Generator:
    """Return a new generator with a seed."""
    return torch.Generator().manual_seed(seed)


def single(now: float, middle: float, after: float, dtype: torch.dtype = torch.float64) -> Levels:
    """Return three levels, each for the whole batch."""
    one, two, three = (torch.full((1, 1, 1, 1), value, dtype=dtype) for value in (now, middle, after))
    return one, two, three


def listed(levels: Tensor) -> str:
    """Format the first numbers for a message."""
    return ", ".join(number(x) for x in levels[:7]) + ", ..." * (len(levels) > 7)


# ---- the contact sheet ----------------------------------------------------------------------------------------------


class Remembers(nn.Module):
    """Ideal denoiser for a data set of sixteen emoji: their average, weighted by how well each emoji explains the mix.

    Args:
        doubt: factor on the variance of the noise. Above 1, the denoiser decides later.
    """

    def __init__(self, doubt: float = 8.0) -> None:
        super().__init__()
        self.doubt = doubt

    def forward(self, noisy: Tensor, noise_level: Tensor) -> Tensor:
        known, t = emoji().flatten(1), noise_level.flatten()[:, None].clamp(min=1e-3)
        centered, fraction = noisy.flatten(1) - t / 2, 1 - t
        apart = fraction.square() * known.square().sum(1) - 2 * fraction * centered @ known.T
        weights = torch.softmax(-apart / (2 * self.doubt * t.square() / 12), dim=1)
        return (weights @ known).view(noisy.shape)


class Impatient(nn.Module):
    """A student that makes up its mind at once: the emoji that pure noise agrees with best."""

    def forward(self, noisy: Tensor, noise_level: Tensor) -> Tensor:  # noqa: ARG002
        known = emoji().flatten(1)
        agreement = (noisy.flatten(1) - 0.5) @ (known - known.mean(0)).T / known.std(1)
        return emoji()[agreement.argmax(1)]


class Canvas(nn.Module):
    """A student that can only learn one picture. It begins gray."""

    def __init__(self) -> None:
        super().__init__()
        self.picture = nn.Parameter(torch.full((1, 3, 32, 32), 0.5))

    def forward(self, noisy: Tensor, noise_level: Tensor) -> Tensor:  # noqa: ARG002
        return self.picture.expand(len(noisy), -1, -1, -1)


def _bars(values: Tensor, highest: float) -> Tensor:
    """Draw numbers as a row of bars, at most eleven."""
    bars = torch.ones(1, 3, 42, 11 * 21)
    for place, value in enumerate(values[:11].tolist()):
        height = 2 + round(40 * min(max(value / highest, 0), 1))
        bars[0, :, 42 - height :, 21 * place : 21 * place + 18] = torch.tensor([0.35, 0.55, 0.8]).view(3, 1, 1)
    return bars


@cache
def _start() -> Tensor:
    return torch.rand(1, 3, 32, 32, generator=seeded(4))


def _drawn(part: ModuleType) -> Tensor:
    """Draw in four steps, with the sizes of `step_sizes`."""
    schedule = torch.tensor([1.0, 0.9, 0.75, 0.5, 0.2, 0.0])
    steps = denoise(Remembers(), _start(), schedule, part.step_sizes(schedule))
    return torch.cat([step.noisy for step in steps]).clamp(0, 1)


def _targets(part: ModuleType) -> Tensor:
    """Show the teacher's two predictions, and the targets for lower and lower ends of the second step."""
    teacher, (now, middle, _) = Remembers(), single(0.97, 0.85, 0, dtype=torch.float32)
    first = teacher(_start(), now)
    ends = [torch.full((1, 1, 1, 1), x) for x in (0.84, 0.6, 0.4, 0.2, 0.0)]
    targets = [part.distillation_target(teacher, _start(), now, middle, end) for end in ends]
    return torch.cat([_start(), first, *targets])


def _learning(part: ModuleType) -> Tensor:
    """Let a student that can only learn one picture learn from a teacher that knows only one."""
    student, cat = Canvas(), emoji()[1:2]

    class Knows(nn.Module):
        def forward(self, noisy: Tensor, noise_level: Tensor) -> Tensor:  # noqa: ARG002
            return cat.expand(len(noisy), -1, -1, -1)

    optimizer, schedule, random = Recording(student.picture, 400), torch.tensor([1.0, 0.9, 0.5, 0.2, 0.0]), seeded(0)
    pictures = [student.picture.detach().clone()]
    for n in range(1, 25):
        part.distill_step(student, Knows(), optimizer, cat.expand(2, -1, -1, -1), schedule, generator=random)
        if n in (1, 2, 4, 8, 16, 24):
            pictures.append(student.picture.detach().clone())
    return torch.cat(pictures)


PANELS = [
    Panel("warped_schedule", "the levels for 10 steps, as bars", lambda part: _bars(part.warped_schedule(10), 1.0)),
    Panel(
        "step_sizes",
        "the sizes for 10 warped steps, as bars",
        lambda part: _bars(part.step_sizes(noise_schedule(10) * 1.5 / (noise_schedule(10) + 0.5)), 3.0),
    ),
    Panel("step_sizes", "five steps with these sizes", _drawn),
    Panel("distillation_target", "noise, the first prediction, and targets for lower and lower ends", _targets),
    Panel("distill_step", "a student after 0, 1, 2, 4, 8, 16 and 24 steps", _learning),
    Panel(
        "one_step",
        "seven pictures, each in one call",
        lambda part: part.one_step(Impatient(), 7, image_shape=(3, 32, 32), generator=seeded(1)),
    ),
]
