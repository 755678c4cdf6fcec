"""The grader of lesson 03: what `denoising_loss`, `train_step`, `update_average` and `train` must do.

Random draws may come in any order, so the grader compares nothing with its own draws. Instead, the network under
training records its inputs. From these inputs follow the right loss, gradients and step.
"""

import contextlib
import copy
import inspect
from collections.abc import Callable, Generator, Iterator, Sequence
from itertools import islice, pairwise
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.optim import Optimizer

from dino.course.grader.contact_sheet import Panel, emoji
from dino.course.grader.expect import (
    Wrong,
    advice,
    afterward,
    copies,
    expect,
    expect_close,
    expect_tensor,
    kind_of,
    number,
    unchanged,
)
from dino.course.grader.expect_draws import expect_fair_draws, expect_uniform
from dino.noise import mix

# N, C, H and W all differ, so a noise level along the wrong dimension is noticed.
N, C, H, W = 6, 3, 5, 7


# ---- a network that records its calls -------------------------------------------------------------------------------


class Call(NamedTuple):
    """One call of the network: its inputs, its prediction and its state at that moment."""

    noisy: Tensor
    level: Tensor
    prediction: Tensor
    training: bool
    grad_enabled: bool


class Log(list[Call]):
    """The calls of a network, and the number of copies made of it. A copy starts with an empty log."""

    copies = 0

    def __deepcopy__(self, memo: object) -> "Log":
        self.copies += 1
        return Log()


class RecordingModel(nn.Module):
    """A network of nine weights that records its calls.

    Args:
        seed: the seed of its weights.
        predict: a function that replaces its own prediction.
        far_off: how much too bright its predictions are. The brighter, the larger its gradients.
        dtype: the dtype of its weights.
    """

    def __init__(
        self,
        seed: int,
        predict: Callable[[Tensor, Tensor], Tensor] | None = None,
        *,
        far_off: float = 0.0,
        dtype: torch.dtype = torch.float64,
    ) -> None:
        super().__init__()
        gain, tilt, bias = torch.rand(3, C, 1, 1, generator=seeded(1000 + seed), dtype=torch.float64).to(dtype)
        self.gain, self.tilt, self.bias = nn.Parameter(gain), nn.Parameter(tilt), nn.Parameter(bias + far_off)
        self.predict, self.log = predict, Log()

    def forward(self, noisy: Tensor, noise_level: Any = "nothing") -> Tensor:
        """Record the inputs, and return a prediction."""
        first, second = "The network's first argument", "The network's second argument (the noise levels)"
        noisy = expect_tensor(noisy, first)
        size = tuple(noisy.shape)
        is_batch = len(size) == 4 and size[1] == C and noisy.numel() > size[0] * C
        expect(is_batch, f"{first} is a batch of noisy images.", expected="(N, 3, H, W)", got=str(size))
        expect(
            isinstance(noise_level, Tensor),
            "The network gets the noise levels as its second argument.",
            expected="a tensor with one noise level per image",
            got=noise_level if isinstance(noise_level, str) else plain_kind_of(noise_level),
        )
        expect_tensor(noise_level, second, (size[0], 1, 1, 1))
        with advice():
            expect_tensor(noisy, first, dtype=self.gain.dtype)
            expect_tensor(noise_level, second, dtype=self.gain.dtype)
        noisy, noise_level = noisy.to(self.gain.dtype), noise_level.to(self.gain.dtype)
        own = self.gain * noisy + self.tilt * noise_level + self.bias
        prediction = own if self.predict is None else self.predict(noisy, noise_level) + 0 * own
        inputs = noisy.detach().clone(), noise_level.detach().clone()
        self.log.append(Call(*inputs, prediction, self.training, torch.is_grad_enabled()))
        return prediction


def weights(model: nn.Module) -> Tensor:
    """Return all current weights of a network in one row."""
    return torch.cat([weight.detach().flatten() for weight in model.parameters()])


def gradients(model: nn.Module, call: Call, clean: Tensor) -> list[Tensor]:
    """Return the gradients of the mean squared error of `model`, on the inputs of `call`."""
    with torch.enable_grad():
        loss = F.mse_loss(model(call.noisy, call.level), clean)
        return list(torch.autograd.grad(loss, list(model.parameters())))


def coefficients(value: Tensor, *others: Tensor) -> Tensor:
    """Return the coefficients of `others` in the sum nearest to `value`, and then 1 if no sum is near, or else 0.

    The coefficients don't depend on the random numbers, so they distinguish mistakes whatever was drawn.
    """
    if any(other.shape != value.shape for other in others):
        return torch.tensor([0.0] * len(others) + [1], dtype=value.dtype)
    value, *of = (x.nan_to_num(0, 1e9, -1e9) for x in (value, *others))
    columns = torch.stack(of, dim=1)
    found = torch.linalg.lstsq(columns, value.unsqueeze(1)).solution[:, 0]
    rest = (columns @ found - value).norm() > 1e-6 * (value.norm() + columns.norm())
    return torch.cat([found, rest.to(found).view(1)])


def near(one: Tensor, other: Tensor) -> bool:
    """Return True if two rows of weights are equal up to rounding."""
    return one.shape == other.shape and bool((one - other).abs().max() < 1e-10)


def without_compiler(kind: type[Optimizer]) -> Any:
    """Return an optimizer that counts its steps, without torch's wrappers for its compiler, which take 2 s to load."""
    plain = {name: inspect.unwrap(getattr(kind, name)) for name in ("add_param_group", "zero_grad", "step")}

    def step(self: Any, closure: Callable[[], float] | None = None) -> Any:
        self.n_steps += 1
        with torch.no_grad():
            return plain["step"](self, closure)

    return type(kind.__name__, (kind,), plain | {"step": step, "n_steps": 0})


SGD, AdamW = without_compiler(torch.optim.SGD), without_compiler(torch.optim.AdamW)


def settings(optimizer: Optimizer) -> list[dict[str, Any]]:
    """Return the settings of an optimizer, such as learning rates."""
    return [{name: value for name, value in group.items() if name != "params"} for group in optimizer.param_groups]


def random_images(seed: int, n: int = N) -> Tensor:
    """Draw a batch of random images. Their seed differs from that of the noise, or images and noise would be equal."""
    return torch.rand(n, C, H, W, generator=seeded(500 + seed), dtype=torch.float64)


def seeded(seed: int) -> torch.Generator:
    """Return a new generator with this seed."""
    return torch.Generator().manual_seed(seed)


def times(number: Tensor | float) -> str:
    """Return a factor in words, with three decimals: "0.75 times"."""
    return f"{round(float(number), 3) + 0.0:g} times"


def apart(got: float, expected: float) -> dict[str, str]:
    """Return two numbers as text, with enough digits to show their difference."""
    words = [f"{x:.10g}" if number(got) == number(expected) else number(x) for x in (expected, got)]
    return {"expected": words[0], "got": words[1]}


def count(n: int, thing: str) -> str:
    """Return a count in words: "1 batch", "2 batches"."""
    return f"{n} {thing}" + ("" if n == 1 else "es" if thing.endswith(("h", "s")) else "s")


def plain_kind_of(value: Any) -> str:
    """Return what kind of value this is, for values that don't come from a `return`."""
    return "None" if value is None else kind_of(value)


def mode(training: bool) -> str:
    """Return a network's mode in words."""
    return "training mode" if training else "evaluation mode"


def expect_whole_batch(call: Call, clean: Tensor) -> None:
    """Raise `Wrong` if the network didn't get the whole batch."""
    expect(
        call.noisy.shape == clean.shape,
        "The network gets the whole batch.",
        expected=f"noisy images of shape {tuple(clean.shape)}",
        got=str(tuple(call.noisy.shape)),
    )


def is_noised(call: Call, clean: Tensor) -> bool:
    """Return True if the network got `clean` with noise mixed in, at the noise level that it got."""
    if call.noisy.shape != clean.shape or torch.equal(call.noisy, clean):
        return False
    seen = (call.level > 1e-4).flatten()  # where noise is larger than rounding
    noise = (clean + (call.noisy - clean) / call.level)[seen]
    return bool(((noise > -1e-9) & (noise < 1 + 1e-9)).all())


def expect_noised(call: Call, clean: Tensor) -> None:
    """Raise `Wrong` if the network didn't get `clean` with noise mixed in, at the noise level that it got."""
    expect_whole_batch(call, clean)
    expect(
        is_noised(call, clean),
        "The network gets the batch with noise mixed in, and the levels of this noise.",
        expected="noisy images: the blend of clean images and noise at noise_level",
        got="the clean images" if torch.equal(call.noisy, clean) else "something else",
    )


# ---- 3.1 ------------------------------------------------------------------------------------------------------------


def test_denoising_loss(denoising_loss: Callable[..., Tensor], seed: int) -> None:
    """3.1: the mean squared error between prediction and clean images, ready for `backward`."""

    def call_with(model: RecordingModel, images: Tensor, generator: torch.Generator | None) -> tuple[Tensor, Call]:
        model.log.clear()
        with unchanged(clean=images):
            loss = denoising_loss(model, images, generator=generator)
        loss = expect_tensor(loss, "The result of `denoising_loss`", (), dtype=images.dtype)
        calls = len(model.log)
        expect(
            calls == 1,
            "The network is called once, for the whole batch.",
            expected="1 call",
            got=count(calls, "call"),
        )
        expect_whole_batch(model.log[0], images)
        return loss, model.log[0]

    def loss_of(predict: Callable[[Tensor, Tensor], Tensor]) -> Tensor:
        """Return the loss of a network with these predictions."""
        return call_with(RecordingModel(seed, predict), clean, seeded(seed))[0].detach()

    clean = random_images(seed)
    model = RecordingModel(seed)
    for weight in model.parameters():
        weight.grad = torch.ones_like(weight)
    for training in (True, False):
        loss, call = call_with(model.train(training), clean, seeded(seed))
        with advice():
            expect(
                model.training == call.training == training,
                "The network's mode stays as it is, because this function only measures.",
                expected=f"{mode(training)}, as before",
                got=mode(not training),
            )
    left = [weight.grad for weight in model.parameters()]
    cleared = all(x is None or not x.any() for x in left)
    with afterward() if cleared else contextlib.nullcontext():  # other gradients come from `backward`
        expect(
            all(x is not None and bool((x == 1).all()) for x in left),
            "The function returns the loss and leaves `backward` to the caller.",
            expected="the gradients of the network's weights as they were",
            got="no gradients" if cleared else "other gradients",
        )

    perfect = loss_of(lambda *_: clean)
    if perfect.abs() > 1e-12:
        others: list[Callable[[Tensor, Tensor], Tensor]] = [
            lambda noisy, _: noisy,
            lambda noisy, level: clean + (noisy - clean) / level,
            lambda noisy, level: (noisy - clean) / level,
            lambda noisy, level: (clean - noisy) / level,
            lambda noisy, _: noisy - clean,
            lambda noisy, level: level.expand_as(noisy),
        ]
        best = torch.stack([loss_of(other).abs() < 1e-12 for other in others]).double()
        raise Wrong(
            "A network that predicts the clean images exactly has a loss of 0.",
            expected="0",
            got=number(perfect),
            evidence=torch.cat([best, perfect.view(1) * (not best.any())]),
        )
    # Off by a different amount at every pixel, and far enough to leave [0, 1].
    off = 0.2 + 0.7 * torch.randn(clean.shape, generator=seeded(600 + seed), dtype=clean.dtype)
    expect_close(
        loss_of(lambda *_: clean + off),
        off.square().mean(),
        "The loss is the mean of all squared differences. Every number of every image counts the same.",
    )

    cut = "a loss cut off from the prediction" if call.grad_enabled else "a prediction made under torch.no_grad()"
    found: Sequence[Tensor | None] = [None]
    if loss.requires_grad:
        cut = "a loss that isn't connected to the weights"
        with contextlib.suppress(RuntimeError):
            found = torch.autograd.grad(loss, list(model.parameters()), allow_unused=True)
    expect(
        all(x is not None for x in found),
        "The loss leads back to the network's weights, so that their gradients can be computed.",
        expected="the loss as it was computed from the network's prediction",
        got=cut,
    )
    expect_close(
        torch.cat([x.flatten() for x in found if x is not None]),
        torch.cat([x.flatten() for x in gradients(copy.deepcopy(model), call, clean)]),
        "The gradients are those of the mean squared error.",
    )

    _expect_fresh_noise(lambda images: call_with(RecordingModel(seed), images, seeded(seed))[1], seed)

    def draw(generator: torch.Generator | None) -> Call:
        return call_with(RecordingModel(seed), clean, generator)[1]

    expect_fair_draws(lambda generator: draw(generator).level, seed, "the noise levels")
    expect_fair_draws(lambda generator: draw(generator).noisy, seed, "the noisy images")

    single, call = call_with(RecordingModel(seed, dtype=torch.float32), clean.float(), seeded(seed))
    expect_close(single, F.mse_loss(call.prediction, clean.float()), "In float32, the loss is the same up to rounding.")


def _expect_fresh_noise(show: Callable[[Tensor], Call], seed: int) -> None:
    """Raise `Wrong` unless noise and noise levels are those of lesson 01, and the network gets the true levels."""
    # In black and white images, noise moves each number by between 0 and the noise level.
    n, h, w = 200, 5, 6
    clean = (torch.rand(n, C, h, w, generator=seeded(700 + seed), dtype=torch.float64) < 0.5).double()
    call = show(clean)
    seen = (call.level > 0.05).flatten() | (call.level <= 0).flatten()  # where noise is larger than rounding
    moved = ((call.noisy - clean).abs() / call.level.clamp(min=1e-9))[seen]
    most = moved.amax((1, 2, 3))  # the largest of many numbers: near 1 if the level is the true one
    true, given = (call.noisy - clean).abs().amax((1, 2, 3)), call.level.flatten()
    facts = torch.stack(
        [(most < 0.8).double().mean(), (most > 1 + 1e-9).double().mean(), (most > 2.2).double().mean()]
        + [torch.corrcoef(torch.stack([true, level]))[0, 1] for level in (given, given.flip(0))]
    )
    several = call.level.unique().numel() > 1
    expect(
        several,
        "Each image has its own noise level.",
        expected=f"{n} noise levels for {n} images",
        got="one noise level for all",
        evidence=facts,
        slack=0.3,
    )
    expect_uniform(call.level, "The noise levels that the network gets are")
    same = torch.equal(call.noisy, clean)
    expect(
        bool(facts[0] == 0 and facts[1] == 0),
        "The network gets the clean images with noise mixed in, and the levels of this noise.",
        expected="images that differ from the clean images by up to 1 times their noise level",
        got="the clean images themselves"
        if same
        else f"images that differ by up to {most.min():.1f} to {most.max():.1f} times their noise level",
        evidence=facts,
        slack=0.3,
    )
    noise = (clean + (call.noisy - clean) / call.level)[seen]
    for dim, name in ((0, "image"), (1, "channel"), (2, "row"), (3, "column")):
        expect(
            bool((noise - noise.roll(1, dim)).abs().mean() > 0.1),  # a third, if they are drawn separately
            f"The noise differs from {name} to {name}.",
            expected="a separate random number for each",
            got=f"the same noise in each {name}",
        )
    expect_uniform(noise, "The noise is")


# ---- 3.2 ------------------------------------------------------------------------------------------------------------


def test_train_step(train_step: Callable[..., float], seed: int) -> None:
    """3.2: one step of the optimizer with this batch's gradients, in training mode. Returns a float."""
    clean, model, rate, random = random_images(seed), RecordingModel(seed, far_off=12).eval(), 0.5, seeded(seed)
    for weight in model.parameters():  # gradients left by an earlier batch
        weight.grad = torch.randn(weight.shape, generator=random, dtype=weight.dtype)
    stale = torch.cat([weight.grad.flatten() for weight in model.parameters() if weight.grad is not None])
    twin, before = copy.deepcopy(model), weights(model)
    optimizer = SGD(model.parameters(), lr=rate)
    settings_before = settings(optimizer)
    with copies(clean=clean) as given:
        loss = train_step(model, optimizer, *given, generator=seeded(seed))

    calls, steps = len(model.log), optimizer.n_steps
    by_old_weights = sum(torch.equal(twin(*call[:2]), call.prediction) for call in model.log)
    expect(
        calls == 1,
        "For one step, the network is called once.",
        expected="1 call of the network and 1 step of the optimizer",
        got=f"{count(calls, 'call')} and {count(steps, 'step')}",
        evidence=torch.tensor([calls, steps, by_old_weights]),
    )
    expect_tensor(weights(model), "The network's weights after the step", before.shape)
    call = model.log[0]
    expect_noised(call, clean)
    freed = _is_freed(call, model)
    now = [weight.grad for weight in model.parameters()]
    left = torch.cat([torch.zeros(C, dtype=torch.float64) if x is None else x.flatten() for x in now])
    fresh = torch.cat([x.flatten() for x in gradients(twin, call, clean)])
    moved = (before - weights(model)) / rate
    factors, factors_left = coefficients(moved, fresh, stale), coefficients(left, fresh, stale)
    expect(
        steps == 1,
        "The optimizer that was passed in takes one step.",
        expected="1 step",
        got=count(steps, "step") + ", although the weights have moved" * bool(steps == 0 and moved.any()),
        evidence=torch.tensor([steps, factors[2]] if moved.any() else [steps, *factors_left]),
    )
    uphill = (factors - torch.tensor([-1.0, 0, 0])).abs().max() < 1e-6
    expect(
        near(moved, fresh),
        "The weights move by the gradients of this batch, and by nothing else.",
        expected="1 times the gradients of this batch and 0 times those left from before",
        got="a step in the opposite direction, in which the loss grows"
        if uphill
        else "a step that doesn't follow the gradients"
        if factors[2]
        else f"{times(factors[0])} and {times(factors[1])}" + " (nothing has moved)" * (not moved.any()),
        evidence=torch.cat([factors, factors_left, torch.tensor([float(freed and not moved.any())])]),
    )
    holds = isinstance(loss, Tensor) and loss.requires_grad
    if isinstance(loss, float) or (isinstance(loss, Tensor) and loss.numel() == 1):
        number_returned = loss.item() if isinstance(loss, Tensor) else loss
        true_loss = F.mse_loss(call.prediction.detach(), clean).item()
        near_enough = 1e-9 if isinstance(loss, float) or loss.dtype == torch.float64 else 1e-6
        expect(
            abs(number_returned - true_loss) < near_enough * true_loss,
            "The float is the loss whose gradients the step used.",
            **apart(number_returned, true_loss),
            evidence=torch.tensor([number_returned / true_loss]),
        )
    with afterward():
        expect(
            isinstance(loss, float),
            "`train_step` returns a plain float.",
            expected="a float",
            got="a tensor that keeps the whole computation behind it" if holds else kind_of(loss),
        )
    expect(
        settings(optimizer) == settings_before,
        "The optimizer's settings are up to the caller.",
        expected=f"a learning rate of {rate}, as before",
        got=f"a learning rate of {number(settings(optimizer)[0]['lr'])}",
        evidence=torch.tensor([float(settings(optimizer)[0]["lr"] != rate)]),
    )
    with advice():
        expect(
            call.training,
            "The network is in training mode while it learns.",
            expected="training mode before the network is called",
            got="training mode only after the call" if model.training else "evaluation mode, as the caller left it",
        )
        expect(
            model.training,
            "The network stays in training mode.",
            expected="training mode after the step",
            got="evaluation mode",
        )
    with advice():
        expect(
            freed or holds,  # the returned tensor keeps the computation, too
            "Once the gradients are computed, the memory of the computation is freed.",
            expected="loss.backward(), which frees the memory",
            got="a computation that stays in memory",
        )

    # An optimizer with a memory, batches of other sizes, and a caller who looks at results in between.
    model, twin = RecordingModel(seed), RecordingModel(seed)
    optimizer, expected = AdamW(model.parameters(), lr=0.05), AdamW(twin.parameters(), lr=0.05)
    for k, n in enumerate((4, 2, 5)):
        clean = random_images(seed + k, n)
        train_step(model.eval(), optimizer, clean, generator=None)
        _expect_called(model, k + 1)
        expect_noised(model.log[k], clean)
        for weight, gradient in zip(twin.parameters(), gradients(twin, model.log[k], clean), strict=True):
            weight.grad = gradient
        expected.step()
        expect_close(
            weights(model),
            weights(twin),
            f"With AdamW, the weights after {k + 1} steps are those that AdamW makes of the batches' gradients.",
        )

    def draw(generator: torch.Generator | None) -> Tensor:
        model = RecordingModel(seed)
        train_step(model, SGD(model.parameters(), lr=rate), clean, generator=generator)
        _expect_called(model, 1)
        return model.log[0].noisy

    expect_fair_draws(draw, seed, "the noisy images")


def _expect_called(model: RecordingModel, n_steps: int) -> None:
    """Raise `Wrong` unless the network was called once for each step so far."""
    expect(
        len(model.log) == n_steps,
        "At each step, the network is called once.",
        expected=f"{count(n_steps, 'call')} in {count(n_steps, 'step')}",
        got=count(len(model.log), "call"),
    )


def _is_freed(call: Call, model: RecordingModel) -> bool:
    """Return True if the computation behind a prediction is freed, as it is after `backward`."""
    try:
        torch.autograd.grad(call.prediction.sum(), [model.gain])
    except RuntimeError:
        return True
    return False


# ---- 3.3 ------------------------------------------------------------------------------------------------------------


class Layer(nn.Module):
    """A layer with weights of several shapes, and perhaps with buffers, including whole numbers, and an inner layer."""

    running_mean: Tensor
    n_seen: Tensor

    def __init__(self, random: torch.Generator, inner: "Layer | None" = None, *, buffers: bool = False) -> None:
        super().__init__()
        weight, bias, mean = (torch.randn(n, generator=random, dtype=torch.float64) for n in (6, 3, 4))
        self.weight, self.bias = nn.Parameter(weight.view(2, 3)), nn.Parameter(bias)
        self.inner = inner
        if buffers:
            self.register_buffer("running_mean", mean)
            self.register_buffer("n_seen", torch.randint(100, (), generator=random))


def small_network(seed: int, *, buffers: bool = False) -> nn.Module:
    """Return a network of three layers, one of them inside another."""
    random = seeded(seed)
    first, inner = (Layer(random, buffers=buffers) for _ in range(2))
    return nn.Sequential(first, Layer(random, inner, buffers=buffers))


def buffers(model: nn.Module) -> Tensor:
    """Return all current buffers of a network in one row."""
    return torch.cat([torch.zeros(0), *(x.detach().double().flatten() for x in model.buffers())])


def test_update_average(update_average: Callable[..., None], seed: int) -> None:
    """3.3: the EMA moves a little toward the model, the model stays, and the two share nothing."""

    def update(average: nn.Module, model: nn.Module, decay: float) -> Any:
        held, start, target, numbers = list(average.parameters()), weights(average), weights(model), buffers(model)
        shapes, model_dtype = [weight.shape for weight in held], target.dtype
        training, learns = model.training, [weight.requires_grad for weight in model.parameters()]
        returned = update_average(average, model, decay)
        now = list(average.parameters())
        expect(
            torch.equal(weights(model), target),
            "The model stays as it is.",
            expected="changes only in the EMA",
            got="a model with other weights",
            evidence=torch.cat([coefficients(weights(model), target, start), shared(average, model)]),
        )
        with afterward():
            expect(
                torch.equal(buffers(model), numbers) and learns == [x.requires_grad for x in model.parameters()],
                "The model stays as it is.",
                expected="changes only in the EMA",
                got="a model with other buffers, or with weights that can no longer learn",
            )
        with advice():
            expect(
                model.training == training,
                "The model's mode stays as it is.",
                expected=f"{mode(training)}, as before",
                got=mode(model.training),
            )
        model.train(training)
        expect(
            len(now) == len(held) and all(ours is theirs for ours, theirs in zip(held, now, strict=True)),
            "The function changes the weights that the EMA already has, and doesn't replace them with new ones.",
            expected="the same tensors with other numbers",
            got="new tensors",
        )
        for weight, shape in zip(held, shapes, strict=True):
            expect_tensor(weight, "Each weight of the EMA", shape, dtype=model_dtype)
        with afterward():
            expect(
                all(weight.is_leaf for weight in held),
                "The update of the EMA isn't part of the computation to learn from.",
                expected="the same weights with other numbers",
                got="weights that record how they were computed",
            )
        return returned

    model = small_network(seed + 7)
    for decay, what in (
        (0.75, "Each weight becomes decay * (its old value) + (1 - decay) * (the model's weight)."),
        (0.0, "With a decay of 0, nothing of the EMA is kept: its weights become the model's weights."),
        (1.0, "With a decay of 1, all of the EMA is kept: its weights stay as they were."),
    ):
        average = small_network(seed + 3).requires_grad_(False)
        start, target = weights(average), weights(model)
        returned = update(average, model, decay)
        want = decay * start + (1 - decay) * target
        if not near(weights(average), want):
            factors = coefficients(weights(average), start, target)
            would = factors[1].abs() < 1e-9 and _would_move(update_average, small_network(seed + 3), model)
            gave = 0 if returned is None else 1 if isinstance(returned, nn.Module) else 2
            facts = torch.tensor([gave, would])
            expected = f"{times(decay)} the EMA and {times(1 - decay)} the model"
            got = f"{times(factors[0])} the EMA and {times(factors[1])} the model"
            raise Wrong(
                what,
                expected=expected,
                got="something else, at least for some of the weights"
                if factors[2]
                else got + ", but with more rounding than necessary" * (got == expected),
                evidence=torch.cat([weights(average) - want, shared(average, model), facts]),
            )
        _expect_apart(average, model)
        with advice():
            expect(
                returned is None,
                "`update_average` changes the EMA that is passed in, and returns nothing.",
                expected="None",
                got=kind_of(returned),
            )

    # An EMA whose weights require gradients, as after copy.deepcopy(model), and several updates of it, in float32.
    model, average = small_network(seed + 7).float(), small_network(seed + 3).float()
    want = weights(average)
    for _ in range(3):
        update(average, model, 0.9)
        want = 0.9 * want + 0.1 * weights(model)
        with torch.no_grad():
            for weight in model.parameters():
                weight.mul_(-2)
    expect_close(weights(average), want, "Update after update, the EMA follows the model.")
    says = "Buffers are copied as they are, even if they are whole numbers."
    with advice(says):
        model, average = small_network(seed + 7, buffers=True), small_network(seed + 3, buffers=True)
        update(average.requires_grad_(False), model, 0.75)
        copied = torch.equal(buffers(average), buffers(model))
        expect(
            copied and [x.dtype for x in average.buffers()] == [x.dtype for x in model.buffers()],
            says,
            expected="the model's buffers",
            got="other numbers" if not copied else "the model's buffers in another dtype",
            evidence=buffers(average),
        )
        _expect_apart(average, model)


def shared(average: nn.Module, model: nn.Module) -> Tensor:
    """Return 1 if two networks share a tensor, else 0."""
    pairs = zip(average.parameters(), model.parameters(), strict=False)
    return torch.tensor([float(any(ours.data_ptr() == theirs.data_ptr() for ours, theirs in pairs))])


def _would_move(update_average: Callable[..., Any], average: nn.Module, model: nn.Module) -> bool:
    """Return True if an EMA whose weights require gradients changes at all."""
    before = weights(average)
    with contextlib.suppress(Exception):
        update_average(average, model, 0.75)
    return not torch.equal(weights(average), before)


def _expect_apart(average: nn.Module, model: nn.Module) -> None:
    """Raise `Wrong` if a change of the model also changes the EMA."""
    kept, numbers = weights(average), buffers(average)
    old = [tensor.detach().clone() for tensor in (*model.parameters(), *model.buffers())]
    with torch.no_grad():
        for tensor in (*model.parameters(), *model.buffers()):
            tensor.add_(1)
        same_weights, same_buffers = torch.equal(weights(average), kept), torch.equal(buffers(average), numbers)
        for tensor, value in zip((*model.parameters(), *model.buffers()), old, strict=True):
            tensor.copy_(value)
    expect(
        same_weights and same_buffers,
        "The EMA has its own numbers, which stay the same when the model learns on.",
        expected="an EMA that stays the same when the model changes",
        got=f"{'buffers' if same_weights else 'weights'} that change along with the model's",
    )


# ---- 3.4 ------------------------------------------------------------------------------------------------------------


class Stream:
    """Batches that come one at a time, as from a disk, and can't be counted in advance."""

    def __init__(self, batches: Sequence[Tensor]) -> None:
        self.batches, self.taken, self.taken_after_end = batches, 0, 0

    def __iter__(self) -> "Stream":
        return self

    def __next__(self) -> Tensor:
        if self.taken == len(self.batches):
            self.taken_after_end += 1
            if self.taken_after_end > 3:
                raise Wrong(ENDS, expected="one pass over the batches", got="a loop that starts them again and again")
            raise StopIteration
        self.taken += 1
        return self.batches[self.taken - 1]


class Counted(Stream):
    """Batches that can also be counted, and picked by their numbers, as from a list."""

    def __len__(self) -> int:
        return len(self.batches)

    def __getitem__(self, place: int) -> Tensor:
        batch = self.batches[place]
        self.taken = max(self.taken, place % len(self.batches) + 1)
        return batch


class Endless(Stream):
    """The same batch forever."""

    LIMIT = 50

    def __next__(self) -> Tensor:
        self.taken += 1
        expect(
            self.taken <= self.LIMIT,
            "The batches may never end, so they are taken one at a time.",
            expected="one batch for each loss",
            got="an attempt to collect all batches",
        )
        return self.batches[0]


class Moment(NamedTuple):
    """The state at the moment when a loss is handed out."""

    loss: Any
    taken: int
    calls: int
    steps: int
    model: Tensor
    average: Tensor
    training: bool


ENDS = "Training ends when the batches end."


def started(train: Callable[..., Any], *args: Any, **more: Any) -> Generator[Any, None, None]:
    """Call the learner's `train`, and return its generator."""
    losses = train(*args, **more)
    expect(
        isinstance(losses, Generator),
        "`train` is a generator, which hands out its losses with `yield`.",
        expected="a generator",
        got=plain_kind_of(losses),
    )
    return losses  # type: ignore[no-any-return]


def test_train(train: Callable[..., Iterator[float]], seed: int) -> None:
    """3.4: a step for each batch, the EMA after the step, then the loss, all at the caller's pace."""
    rate, decay, sizes = 0.5, 0.75, (2, 5, 4, 3)
    stream = Counted([random_images(seed + k, n) for k, n in enumerate(sizes)])
    model, twin = RecordingModel(seed, far_off=12), RecordingModel(seed, far_off=12)
    average = RecordingModel(seed + 1).requires_grad_(False)
    optimizer, expected = SGD(model.parameters(), lr=rate), SGD(twin.parameters(), lr=rate)

    def now(loss: Any) -> Moment:
        facts = stream.taken, len(model.log), optimizer.n_steps
        return Moment(loss, *facts, weights(model), weights(average), model.training)

    losses = started(train, model, optimizer, stream, average=average, decay=decay, generator=seeded(seed))
    begun = now(None)
    expect(
        begun[1:4] == (0, 0, 0),
        "Nothing happens before the caller asks for the first loss.",
        expected="code that waits for the first next()",
        got=f"{count(begun.taken, 'batch')} and {count(begun.steps, 'step')} taken already",
    )
    moments = []
    for loss in islice(losses, len(sizes) + 1):
        moments.append(now(loss))
        expect_tensor(moments[-1].model, f"The network's weights after step {len(moments)}", begun.model.shape)
        expect_tensor(moments[-1].average, f"The EMA's weights after step {len(moments)}", begun.average.shape)
        model.eval()  # as a caller does to generate an image in between
    ended = now(None)

    for moment in moments:
        expect(
            isinstance(moment.loss, float),
            "Each loss is handed out as a float, with nothing else.",
            expected="a float",
            got=plain_kind_of(moment.loss),
        )
    pace = torch.tensor([m[1:4] for m in (*moments, ended)])
    seen = [len(call.noisy) for call in model.log]
    the_first = all(is_noised(call, stream.batches[0]) for call in model.log)
    facts = torch.tensor([len(moments), the_first, *(seen + 9 * [0])[:9]])
    expect(
        len(moments) == len(sizes),
        "Each batch gives one loss, and training ends when the batches end.",
        expected="4 losses for 4 batches",
        got=("more than 4 losses" if len(moments) > len(sizes) else count(len(moments), "loss"))
        + f" for {count(ended.taken, 'batch')}",
        evidence=facts,
    )
    expect(
        seen == list(sizes),
        "Training uses each batch once, in the given order.",
        expected=f"batches of {', '.join(map(str, sizes))} images",
        got=f"batches of {', '.join(map(str, seen)) or 'no'} images",
        evidence=facts,
    )
    for k, moment in enumerate(moments):
        expect(
            moment[1:4] == (k + 1, k + 1, k + 1),
            "Each loss is handed out right after its step, before the next batch is taken.",
            expected=f"loss {k + 1} after {count(k + 1, 'batch')} and {count(k + 1, 'step')}",
            got=f"loss {k + 1} after {count(moment.taken, 'batch')} and {count(moment.steps, 'step')}",
            evidence=pace,
        )
    true_losses = [
        F.mse_loss(x.prediction.detach(), clean).item() for x, clean in zip(model.log, stream.batches, strict=True)
    ]
    for k, (moment, call, clean) in enumerate(zip(moments, model.log, stream.batches, strict=True)):
        expect_noised(call, clean)
        with advice():
            expect(
                call.training,
                "The network is in training mode at each step, even if the caller switches to evaluation mode.",
                expected="one train_step for each batch",
                got=f"evaluation mode at step {k + 1}",
            )
            expect(
                moment.training,
                "The network is in training mode when a loss is handed out, as `train_step` leaves it.",
                expected="training mode",
                got="evaluation mode",
            )
        expect(
            abs(moment.loss - true_losses[k]) < 1e-9 * true_losses[k],
            f"Each loss is the loss of the step that was taken last (here: step {k + 1}).",
            **apart(moment.loss, true_losses[k]),
            evidence=_made_of_earlier([m.loss for m in moments], true_losses),
        )
    # Before the weights, which another learning rate changes.
    expect(
        settings(optimizer) == settings(expected),
        "The optimizer's settings are up to the caller.",
        expected=f"a learning rate of {rate}, as before",
        got=f"a learning rate of {number(settings(optimizer)[0]['lr'])}",
        evidence=torch.tensor([float(settings(optimizer)[0]["lr"] != rate)]),
    )
    _expect_steps(twin, expected, moments, begun, model.log, stream.batches)
    _expect_averages([begun, *moments, ended], decay, model.log.copies)
    _expect_any_caller(train, seed)

    def draw(generator: torch.Generator | None) -> Tensor:
        model, batch = RecordingModel(seed), random_images(seed)
        for _ in started(train, model, SGD(model.parameters(), lr=rate), [batch, batch], generator=generator):
            pass
        _expect_called(model, 2)
        first, second = (call.noisy for call in model.log)
        is_new = not torch.equal(first, second)
        expect(
            is_new, "Each step draws new noise.", expected="new noise at each step", got="the same noise at each step"
        )
        return torch.cat([first, second])

    expect_fair_draws(draw, seed, "the noisy images")
    _expect_learning(train, seed)


def _made_of_earlier(losses: list[float], true: list[float]) -> Tensor | None:
    """Return which of four mistakes explains the losses that were handed out, or None."""
    so_far = [true[: k + 1] for k in range(len(true))]
    ways = [sum, lambda x: sum(x) / len(x), lambda x: x[0], lambda x: x[-2:][0]]
    found = torch.tensor([[abs(way(x) - y) < 1e-9 * y for x, y in zip(so_far, losses, strict=True)] for way in ways])
    return found.all(1).double() if found.all(1).any() else None


def _expect_steps(
    twin: RecordingModel, expected: Any, moments: list[Moment], begun: Moment, log: Log, batches: Sequence[Tensor]
) -> None:
    """Raise `Wrong` unless the weights after each step are those that the optimizer makes of the batch's gradients."""
    average = begun.average
    for k, (moment, call, clean) in enumerate(zip(moments, log, batches, strict=True)):
        for weight, gradient in zip(twin.parameters(), gradients(twin, call, clean), strict=True):
            weight.grad = gradient
        expected.step()
        factors = coefficients(moment.model, weights(twin), average)
        expect(
            near(moment.model, weights(twin)),
            "Only the steps change the model's weights.",
            expected="a model changed only by `train_step`",
            got=f"a model that has moved toward the EMA by step {k + 1}"
            if not factors[2] and factors[1] > 1e-3
            else f"other weights after step {k + 1}",
            evidence=factors,
        )
        average = moment.average


def _expect_averages(moments: list[Moment], decay: float, copies: int) -> None:
    """Raise `Wrong` unless the EMA takes in the model's new weights once from each moment to the next."""
    pairs = list(pairwise(moments))
    factors = [coefficients(new.average, old.average, new.model, old.model) for old, new in pairs[:-1]]
    end = coefficients(moments[-1].average, moments[-2].average, moments[-2].model)
    for k, (old, new) in enumerate(pairs[:-1]):
        want = decay * old.average + (1 - decay) * new.model
        kept, taken, late = (times(x) for x in factors[k][:3])
        sum_of = f"{kept} the EMA, {taken} the new weights and {late} the weights before the step"
        expect(
            near(new.average, want),
            "When a loss is handed out, the EMA has already taken in the new weights, once.",
            expected=f"{decay:g} times the EMA and {1 - decay:g} times the new weights, at step {k + 1}",
            got="an EMA that stayed as it was" if torch.equal(new.average, old.average) else sum_of,
            evidence=torch.cat([*factors, end, torch.tensor([float(copies)])]),
        )
    old, new = pairs[-1]
    expect(
        torch.equal(old.average, new.average) and torch.equal(old.model, new.model),
        "Nothing more happens after the last loss.",
        expected="the networks as they were when the last loss was handed out",
        got="networks that have changed once more",
    )


def _expect_any_caller(train: Callable[..., Any], seed: int) -> None:
    """Check training without an EMA, with several decays, with batches that never end, and stopped in the middle."""

    def run(batches: Any, **more: Any) -> tuple[Generator[Any, None, None], RecordingModel]:
        model = RecordingModel(seed)
        return started(train, model, SGD(model.parameters(), lr=0.5), batches, **more), model

    batches = [random_images(seed + k, 2 + k) for k in range(3)]
    losses, model = run(batches)
    n, seen = len(list(islice(losses, 9))), len(model.log)
    expect(
        n == seen == 3,
        "Training works the same way without an EMA, and with a list of batches.",
        expected="3 losses for 3 batches",
        got=f"{count(n, 'loss')} and {count(seen, 'step')}",
    )
    for decay, more in ((0.998, {}), (0.0, {"decay": 0.0}), (0.25, {"decay": 0.25})):
        average = RecordingModel(seed + 1)
        start = weights(average)
        losses, model = run(batches[:1], average=average, **more)
        next(losses, None)
        kept = coefficients(weights(average), start, weights(model))
        expect(
            near(weights(average), decay * start + (1 - decay) * weights(model)),
            f"With decay={decay:g}, the EMA's old weights have a factor of {decay:g}."
            if more
            else "The default decay is 0.998.",
            expected=f"{decay:g} times the EMA",
            got="something else" if kept[2] else f"{times(kept[0])} the EMA",
            evidence=kept,
        )

    stream = Endless(batches)
    losses, model = run(stream)
    next(losses, None)
    next(losses, None)
    stopped = "2 losses"
    try:
        losses.close()
    except RuntimeError:
        stopped = "a loop that goes on after it is closed"
    so_far = f"{count(stream.taken, 'batch')}, {count(len(model.log), 'step')}, {stopped}"
    with contextlib.suppress(BaseException):  # end a loop that goes on
        stream.taken = Endless.LIMIT
        next(losses)
    expect(
        so_far == "2 batches, 2 steps, 2 losses",
        "The caller may stop after any loss. Then nothing more happens.",
        expected="2 batches, 2 steps, 2 losses",
        got=so_far,
    )


# ---- a network that learns in a few steps ---------------------------------------------------------------------------


class TinyDenoiser(nn.Module):
    """A small denoiser without convolutions. It blends a learned image with its input, sharp and blurred.

    The share of each depends on the noise level. Its weights are these shares and the learned image, the same for all.
    """

    def __init__(self, size: int) -> None:
        super().__init__()
        self.image = nn.Parameter(torch.full((3, size, size), 0.5))
        self.trust = nn.Parameter(torch.zeros(3, 2))  # in the input, sharp and blurred, by powers of the noise level

    def forward(self, noisy: Tensor, noise_level: Tensor) -> Tensor:
        """Predict the clean images."""
        blurred = noisy
        for dim in (2, 3):
            for far in (1, 2):  # rolling around the edges is many times faster than pooling
                blurred = (blurred.roll(far, dim) + blurred + blurred.roll(-far, dim)) / 3
        level = noise_level.flatten(1)
        sharp, soft = (torch.cat([level**0, level, level**2], dim=1) @ self.trust).T.reshape(2, -1, 1, 1, 1)
        return self.image + sharp * (noisy - 0.5) + soft * (blurred - 0.5)


def _expect_learning(train: Callable[..., Any], seed: int) -> None:
    """Raise `Wrong` unless a trained network is better than two trivial predictions."""
    clean, n_steps = F.avg_pool2d(emoji(), 2), 20
    level = ((torch.arange(len(clean)) + 0.5) / len(clean)).view(-1, 1, 1, 1)
    noisy = mix(clean, torch.rand(clean.shape, generator=seeded(800 + seed)), level)
    model = TinyDenoiser(clean.shape[-1])
    average = copy.deepcopy(model)
    optimizer = AdamW(model.parameters(), lr=0.1)
    batches = [clean] * n_steps
    made = sum(1 for _ in started(train, model, optimizer, batches, average=average, decay=0.8, generator=seeded(seed)))
    expect(
        made == n_steps,
        "Training goes on until the batches end, however many batches there are.",
        expected=count(n_steps, "loss"),
        got=count(made, "loss"),
    )
    with torch.no_grad():
        lazy = min(F.mse_loss(noisy, clean).item(), clean.var(dim=0, correction=0).mean().item())
        for network, name in ((model, "the network"), (average, "its EMA")):
            reached = F.mse_loss(network(noisy, level), clean).item()
            expect(
                reached < lazy,
                "After training, the network's prediction is better than its input, and better than the mean image.",
                expected=f"a loss below {number(lazy)} after {n_steps} steps",
                got=f"{number(reached)} for {name}",
            )


# ---- the contact sheet ----------------------------------------------------------------------------------------------


class Canvas(nn.Module):
    """A network whose weights are an image, which it predicts for any input."""

    def __init__(self, image: Tensor) -> None:
        super().__init__()
        self.image = nn.Parameter(image.clone())

    def forward(self, noisy: Tensor, noise_level: Tensor) -> Tensor:  # noqa: ARG002
        """Return the image."""
        return self.image.expand_as(noisy)


def images_of_zero_loss(part: Any) -> Tensor:
    """Return the images at which the loss is lowest, found by one step along the gradient."""
    canvas = Canvas(torch.full((6, 3, 32, 32), 0.5))
    part.denoising_loss(canvas, emoji()[:6], generator=seeded(0)).backward()
    assert canvas.image.grad is not None
    return canvas.image.detach() - canvas.image.grad * (canvas.image.numel() / 2)


def steps_toward_an_image(part: Any) -> Tensor:
    """Return a canvas after 0, 1, 2, 4, 8 and 16 steps, each a quarter of the way."""
    canvas, frames = Canvas(torch.full((1, 3, 32, 32), 0.5)), []
    optimizer = SGD(canvas.parameters(), lr=canvas.image.numel() / 8)
    for k in range(17):
        if k in (0, 1, 2, 4, 8, 16):
            frames.append(canvas.image.detach().clone())
        part.train_step(canvas, optimizer, emoji()[6:7], generator=seeded(k))
    return torch.cat(frames)


def averaged_images(part: Any) -> Tensor:
    """Return a canvas that jitters (above) and its EMA (below), after 1, 2, 4, 8, 16 and 32 updates."""
    model, average, frames = Canvas(emoji()[7:8]), Canvas(torch.full((1, 3, 32, 32), 0.5)), []
    random = seeded(0)
    for k in range(1, 33):
        level = torch.full((1, 1, 1, 1), 0.6)
        with torch.no_grad():
            model.image.copy_(mix(emoji()[7:8], torch.rand(1, 3, 32, 32, generator=random), level))
        part.update_average(average, model, 0.9)
        if k in (1, 2, 4, 8, 16, 32):
            both = [network.image.detach().clone() for network in (model, average)]
            frames.append(torch.cat([both[0], torch.ones(1, 3, 2, 32), both[1]], dim=2))
    return torch.cat(frames)


def averaged_path(part: Any) -> Tensor:
    """Plot one weight that jitters, and its EMA, over time."""
    width, height = 202, 48
    paper = torch.ones(1, 3, height, width)
    model, average = Canvas(torch.zeros(1)), Canvas(torch.full((1,), 0.1))
    random = seeded(1)
    for x in range(width):
        with torch.no_grad():
            model.image.fill_(0.5 + 0.35 * x / width + 0.3 * (torch.rand((), generator=random).item() - 0.5))
        part.update_average(average, model, 0.95)
        for network, color in ((model, (0.75, 0.75, 0.75)), (average, (0.1, 0.3, 0.8))):
            y = height - 2 - int(min(1.0, max(0.0, network.image.item())) * (height - 3))
            paper[0, :, y : y + 2, x] = torch.tensor(color).view(3, 1)
    return paper


def learning(part: Any) -> Tensor:
    """Plot the loss of each step as a bar. Below, show noisy images and the predictions of the trained network."""
    width, height, bar, clean = 202, 40, 5, emoji()[:8]
    bars, blue = torch.ones(3, height, width), torch.tensor((0.35, 0.55, 0.8)).view(3, 1, 1)
    scale = height / (1.5 * clean.var(dim=0, correction=0).mean().item())
    model = TinyDenoiser(clean.shape[-1])
    optimizer = AdamW(model.parameters(), lr=0.02)
    losses = part.train(model, optimizer, [clean] * (width // bar), generator=seeded(0))
    for k, loss in enumerate(islice(losses, width // bar)):
        top = height - max(0, min(height, round(scale * float(loss))))
        bars[:, top:, k * bar : (k + 1) * bar - 1] = blue
    bars[:, height - round(height / 1.5), ::3] = 0.3  # the loss of the mean image
    some, level = clean[[1, 3, 4, 0, 2, 7]], torch.linspace(0.2, 0.7, 6).view(6, 1, 1, 1)
    noisy = mix(some, torch.rand(some.shape, generator=seeded(3)), level)
    with torch.no_grad():
        rows = [noisy, model(noisy, level).clamp(0, 1)]
    beside = [torch.cat([F.pad(image, (0, 2, 2, 0), value=1.0) for image in row], dim=2)[:, :, :width] for row in rows]
    return torch.cat([bars, *beside], dim=1).unsqueeze(0)


PANELS = [
    Panel("denoising_loss", "the images at which the loss would be 0", images_of_zero_loss),
    Panel("train_step", "an image as the network's weights, after 0, 1, 2, 4, 8 and 16 steps", steps_toward_an_image),
    Panel("update_average", "images as weights that jitter (above) and their EMA (below)", averaged_images),
    Panel("update_average", "one weight that jitters (gray) and its EMA (blue), over time", averaged_path),
    Panel("train", "the loss of each step (dots: loss of the mean image); noisy images; predictions", learning),
]
