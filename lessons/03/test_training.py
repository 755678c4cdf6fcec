"""The grader of lesson 03: what `denoising_loss`, `train_step`, `update_average` and `train` must do.

Random draws may come in any order, so nothing is compared with draws of the grader's own. The network under training is
a witness instead: it remembers what it was shown and told, and from that follows what loss, gradient and step must be.
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
    expect,
    expect_close,
    expect_fair_draws,
    expect_tensor,
    expect_uniform,
    kind_of,
    number,
    unchanged,
)
from dino.noise import mix

# N, C, H and W all differ, so that a level that lands on the wrong one of them shows.
N, C, H, W = 6, 3, 5, 7


# ---- witnesses ------------------------------------------------------------------------------------------------------


class Call(NamedTuple):
    """One question to the network: what it was shown and told, and how it stood at that moment."""

    noisy: Tensor
    level: Tensor
    answer: Tensor
    training: bool
    prepares_gradients: bool


class Log(list[Call]):
    """What a network remembers, and how often it was copied. A copy of it starts with an empty memory."""

    copies = 0

    def __deepcopy__(self, memo: object) -> "Log":
        self.copies += 1
        return Log()


class Witness(nn.Module):
    """A network of nine weights that remembers what it was asked.

    Args:
        seed: of its weights.
        answer: what it says in place of its own guess.
        far_off: how much brighter its guesses are than they should be. Then its gradients are large.
        dtype: of its weights.
    """

    def __init__(
        self,
        seed: int,
        answer: Callable[[Tensor, Tensor], Tensor] | None = None,
        *,
        far_off: float = 0.0,
        dtype: torch.dtype = torch.float64,
    ) -> None:
        super().__init__()
        gain, tilt, bias = torch.rand(3, C, 1, 1, generator=seeded(1000 + seed), dtype=torch.float64).to(dtype)
        self.gain, self.tilt, self.bias = nn.Parameter(gain), nn.Parameter(tilt), nn.Parameter(bias + far_off)
        self.answer, self.log = answer, Log()

    def forward(self, noisy: Tensor, noise_level: Any = "nothing") -> Tensor:
        """Answer, and remember."""
        shown, told = (
            "What the network is shown (its first argument)",
            "The level that the network is told (its second argument)",
        )
        noisy = expect_tensor(noisy, shown)
        size = tuple(noisy.shape)
        is_batch = len(size) == 4 and size[1] == C and noisy.numel() > size[0] * C
        expect(is_batch, f"{shown} is a batch of noisy images.", expected="(N, 3, H, W)", got=str(size))
        expect_tensor(noisy, shown, dtype=self.gain.dtype)
        expect(
            isinstance(noise_level, Tensor),
            "The network is told the noise levels (its second argument).",
            expected="a tensor with a level for each image",
            got=noise_level if isinstance(noise_level, str) else plain_kind_of(noise_level),
        )
        expect_tensor(noise_level, told, (size[0], 1, 1, 1), dtype=self.gain.dtype)
        own = self.gain * noisy + self.tilt * noise_level + self.bias
        answer = own if self.answer is None else self.answer(noisy, noise_level) + 0 * own
        kept = noisy.detach().clone(), noise_level.detach().clone()
        self.log.append(Call(*kept, answer, self.training, torch.is_grad_enabled()))
        return answer


def weights(model: nn.Module) -> Tensor:
    """All the weights of a network in one row, as they are now."""
    return torch.cat([weight.detach().flatten() for weight in model.parameters()])


def gradients(model: nn.Module, call: Call, clean: Tensor) -> list[Tensor]:
    """What the gradients are of the mean squared error of `model`, shown what was shown in `call`."""
    with torch.enable_grad():
        loss = F.mse_loss(model(call.noisy, call.level), clean)
        return list(torch.autograd.grad(loss, list(model.parameters())))


def shares(value: Tensor, *others: Tensor) -> Tensor:
    """How `value` is made up of the others: their weights in the sum nearest to it, and 1 if that isn't near at all.

    It doesn't depend on what was drawn, so it tells one mistake from another whatever the random numbers were.
    """
    if any(other.shape != value.shape for other in others):
        return torch.tensor([0.0] * len(others) + [1], dtype=value.dtype)
    value, *of = (x.nan_to_num(0, 1e9, -1e9) for x in (value, *others))
    columns = torch.stack(of, dim=1)
    found = torch.linalg.lstsq(columns, value.unsqueeze(1)).solution[:, 0]
    rest = (columns @ found - value).norm() > 1e-6 * (value.norm() + columns.norm())
    return torch.cat([found, rest.to(found).view(1)])


def near(one: Tensor, other: Tensor) -> bool:
    """Whether two rows of weights are the same up to rounding."""
    return one.shape == other.shape and bool((one - other).abs().max() < 1e-10)


def without_compiler(kind: type[Optimizer]) -> Any:
    """The same optimizer, counting its steps, and free of torch's wrappers for its compiler, which take 2 s to load."""
    plain = {name: inspect.unwrap(getattr(kind, name)) for name in ("add_param_group", "zero_grad", "step")}

    def step(self: Any, closure: Callable[[], float] | None = None) -> Any:
        self.n_steps += 1
        with torch.no_grad():
            return plain["step"](self, closure)

    return type(kind.__name__, (kind,), plain | {"step": step, "n_steps": 0})


SGD, AdamW = without_compiler(torch.optim.SGD), without_compiler(torch.optim.AdamW)


def settings(optimizer: Optimizer) -> list[dict[str, Any]]:
    """How an optimizer is set: learning rates and so on."""
    return [{name: value for name, value in group.items() if name != "params"} for group in optimizer.param_groups]


def pictures(seed: int, n: int = N) -> Tensor:
    """A batch of random pictures, by another seed than the noise, which would be the same numbers else."""
    return torch.rand(n, C, H, W, generator=seeded(500 + seed), dtype=torch.float64)


def seeded(seed: int) -> torch.Generator:
    """A generator of its own."""
    return torch.Generator().manual_seed(seed)


def times(number: Tensor | float) -> str:
    """How many times something is in something else, in words: to three decimals."""
    return f"{round(float(number), 3) + 0.0:g} times"


def apart(got: float, expected: float) -> dict[str, str]:
    """Two numbers in words, with as many digits as show their difference."""
    words = [f"{x:.10g}" if number(got) == number(expected) else number(x) for x in (expected, got)]
    return {"expected": words[0], "got": words[1]}


def count(n: int, thing: str) -> str:
    """ "1 batch", "2 batches"."""
    return f"{n} {thing}" + ("" if n == 1 else "es" if thing.endswith(("h", "s")) else "s")


def plain_kind_of(value: Any) -> str:
    """What a value is, where nobody has forgotten a `return`."""
    return "None" if value is None else kind_of(value)


def mode(training: bool) -> str:
    """A network's mode in words."""
    return "training mode" if training else "evaluation mode"


def expect_whole(call: Call, clean: Tensor) -> None:
    """The network must be shown as much as there is."""
    expect(
        call.noisy.shape == clean.shape,
        "The network is shown the whole batch.",
        expected=f"noisy images of shape {tuple(clean.shape)}",
        got=str(tuple(call.noisy.shape)),
    )


def is_noised(call: Call, clean: Tensor) -> bool:
    """Whether the network was shown `clean` with noise mixed in, at the level it was told."""
    if call.noisy.shape != clean.shape or torch.equal(call.noisy, clean):
        return False
    seen = (call.level > 1e-4).flatten()  # where the noise can be told apart from rounding
    noise = (clean + (call.noisy - clean) / call.level)[seen]
    return bool(((noise > -1e-9) & (noise < 1 + 1e-9)).all())


def expect_noised(call: Call, clean: Tensor) -> None:
    """The network must be shown `clean` with noise mixed in, at the level it is told."""
    expect_whole(call, clean)
    expect(
        is_noised(call, clean),
        "The network is shown the batch with noise mixed in, at the levels it is told.",
        expected="noisy = the blend of clean and noise at noise_level",
        got="the clean images" if torch.equal(call.noisy, clean) else "something else",
    )


# ---- 3.1 ------------------------------------------------------------------------------------------------------------


def test_denoising_loss(denoising_loss: Callable[..., Tensor], seed: int) -> None:
    """3.1: the mean squared error of the network's answer, to the clean images, ready for `backward`."""

    def ask(model: Witness, images: Tensor, generator: torch.Generator | None) -> tuple[Tensor, Call]:
        model.log.clear()
        with unchanged(clean=images):
            loss = denoising_loss(model, images, generator=generator)
        loss = expect_tensor(loss, "What `denoising_loss` returns", (), dtype=images.dtype)
        asked = len(model.log)
        expect(
            asked == 1,
            "The network is asked once, for the whole batch.",
            expected="one call of the model",
            got=count(asked, "call"),
        )
        expect_whole(model.log[0], images)
        return loss, model.log[0]

    def loss_of(answer: Callable[[Tensor, Tensor], Tensor]) -> Tensor:
        """The loss of a network that answers just this."""
        return ask(Witness(seed, answer), clean, seeded(seed))[0].detach()

    clean = pictures(seed)
    model = Witness(seed)
    for weight in model.parameters():
        weight.grad = torch.ones_like(weight)
    for training in (True, False):
        loss, call = ask(model.train(training), clean, seeded(seed))
        expect(
            model.training == call.training == training,
            "The network's mode stays as it is: this function only measures.",
            expected=f"{mode(training)}, as before",
            got=mode(not training),
        )
    left = [weight.grad for weight in model.parameters()]
    expect(
        all(x is not None and bool((x == 1).all()) for x in left),
        "The loss is returned as it is, and `backward` is left to the caller.",
        expected="the gradients in the network's weights as they were",
        got="no gradients any more" if all(x is None or not x.any() for x in left) else "other gradients",
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
            "A network that answers with the clean images has a loss of 0.",
            expected="0",
            got=number(perfect),
            evidence=torch.cat([best, perfect.view(1) * (not best.any())]),
        )
    # Off by something else at every pixel, and far enough to leave [0, 1].
    off = 0.2 + 0.7 * torch.randn(clean.shape, generator=seeded(600 + seed), dtype=clean.dtype)
    expect_close(
        loss_of(lambda *_: clean + off),
        off.square().mean(),
        "The loss is the mean of all squared differences: every number of every image counts the same.",
    )

    cut = "a loss that was cut off from its answer" if call.prepares_gradients else "an answer under torch.no_grad()"
    found: Sequence[Tensor | None] = [None]
    if loss.requires_grad:
        cut = "a loss from which no way leads to the weights"
        with contextlib.suppress(RuntimeError):
            found = torch.autograd.grad(loss, list(model.parameters()), allow_unused=True)
    expect(
        all(x is not None for x in found),
        "The loss leads back to the network's weights, so that their gradients can be found.",
        expected="the loss as it was computed from the network's answer",
        got=cut,
    )
    expect_close(
        torch.cat([x.flatten() for x in found if x is not None]),
        torch.cat([x.flatten() for x in gradients(copy.deepcopy(model), call, clean)]),
        "The gradients are those of the mean squared error.",
    )

    _expect_fresh_noise(lambda images: ask(Witness(seed), images, seeded(seed))[1], seed)
    expect_fair_draws(lambda generator: ask(Witness(seed), clean, generator)[1].level, seed, "the levels")
    expect_fair_draws(lambda generator: ask(Witness(seed), clean, generator)[1].noisy, seed, "the noisy images")

    single, call = ask(Witness(seed, dtype=torch.float32), clean.float(), seeded(seed))
    expect_close(single, F.mse_loss(call.answer, clean.float()), "In float32, the loss is the same up to rounding.")


def _expect_fresh_noise(show: Callable[[Tensor], Call], seed: int) -> None:
    """The noise and the levels must be those of lesson 01, and what the network is told must be true."""
    # Black and white pictures: the noise takes each number between 0 and the level away from where it was.
    n, h, w = 200, 5, 6
    clean = (torch.rand(n, C, h, w, generator=seeded(700 + seed), dtype=torch.float64) < 0.5).double()
    call = show(clean)
    seen = (call.level > 0.05).flatten() | (call.level <= 0).flatten()  # where noise can be told apart from rounding
    moved = ((call.noisy - clean).abs() / call.level.clamp(min=1e-9))[seen]
    most = moved.amax((1, 2, 3))  # of so many numbers the largest is near 1, if the level is the true one
    true, told = (call.noisy - clean).abs().amax((1, 2, 3)), call.level.flatten()
    facts = torch.stack(
        [(most < 0.8).double().mean(), (most > 1 + 1e-9).double().mean(), (most > 2.2).double().mean()]
        + [torch.corrcoef(torch.stack([true, level]))[0, 1] for level in (told, told.flip(0))]
    )
    several = call.level.unique().numel() > 1
    expect(
        several,
        "Each image has a noise level of its own.",
        expected=f"{n} levels for {n} images",
        got="one level for all",
        evidence=facts,
        slack=0.3,
    )
    expect_uniform(call.level, "The levels that the network is told are")
    same = torch.equal(call.noisy, clean)
    expect(
        bool(facts[0] == 0 and facts[1] == 0),
        "The network is shown the clean images with noise mixed in, at the levels it is told.",
        expected="images that differ from the clean ones by up to 1 times their level",
        got="the clean images themselves" if same else f"by up to {most.min():.1f} to {most.max():.1f} times the level",
        evidence=facts,
        slack=0.3,
    )
    noise = (clean + (call.noisy - clean) / call.level)[seen]
    for dim, name in ((0, "image"), (1, "channel"), (2, "row"), (3, "column")):
        expect(
            bool((noise - noise.roll(1, dim)).abs().mean() > 0.1),  # a third, if they are drawn apart
            f"The noise differs from {name} to {name}.",
            expected="a random number for each of them",
            got=f"the same noise in each {name}",
        )
    expect_uniform(noise, "The noise is")


# ---- 3.2 ------------------------------------------------------------------------------------------------------------


def test_train_step(train_step: Callable[..., float], seed: int) -> None:
    """3.2: one step of the optimizer by this batch's gradients, in training mode; a float comes back."""
    clean, model, rate, random = pictures(seed), Witness(seed, far_off=12).eval(), 0.5, seeded(seed)
    for weight in model.parameters():  # what an earlier batch left behind
        weight.grad = torch.randn(weight.shape, generator=random, dtype=weight.dtype)
    stale = torch.cat([weight.grad.flatten() for weight in model.parameters() if weight.grad is not None])
    twin, before = copy.deepcopy(model), weights(model)
    optimizer = SGD(model.parameters(), lr=rate)
    set_so = settings(optimizer)
    with unchanged(clean=clean):
        loss = train_step(model, optimizer, clean, generator=seeded(seed))

    asked, steps = len(model.log), optimizer.n_steps
    by_old_weights = sum(torch.equal(twin(*call[:2]), call.answer) for call in model.log)
    expect(
        asked == 1,
        "For one step, the network is asked once.",
        expected="1 question to the network and 1 step of the optimizer",
        got=f"{count(asked, 'question')} and {count(steps, 'step')}",
        evidence=torch.tensor([asked, steps, by_old_weights]),
    )
    expect_tensor(weights(model), "The network after the step", before.shape)
    call = model.log[0]
    expect_noised(call, clean)
    freed = _is_freed(call, model)
    now = [weight.grad for weight in model.parameters()]
    left = torch.cat([torch.zeros(C, dtype=torch.float64) if x is None else x.flatten() for x in now])
    fresh = torch.cat([x.flatten() for x in gradients(twin, call, clean)])
    moved = (before - weights(model)) / rate
    share, remains = shares(moved, fresh, stale), shares(left, fresh, stale)
    expect(
        steps == 1,
        "The optimizer that was handed in takes one step.",
        expected="1 step",
        got=count(steps, "step") + " of it, though the weights have moved" * bool(steps == 0 and moved.any()),
        evidence=torch.tensor([steps, share[2]] if moved.any() else [steps, *remains]),
    )
    expect(
        call.training,
        "The network is in training mode while it learns.",
        expected="training mode before the network is asked",
        got="training mode only afterwards" if model.training else "evaluation mode, as the caller had left it",
    )
    expect(
        settings(optimizer) == set_so,
        "How the optimizer is set is up to the caller.",
        expected=f"a learning rate of {rate}, as before",
        got=f"one of {number(settings(optimizer)[0]['lr'])}",
        evidence=torch.tensor([float(settings(optimizer)[0]["lr"] != rate)]),
    )
    uphill = (share - torch.tensor([-1.0, 0, 0])).abs().max() < 1e-6
    expect(
        near(moved, fresh),
        "The weights move by the gradients of this batch, and by nothing else.",
        expected="1 times the gradients of this batch and 0 times those left from before",
        got="a step the other way, in which the loss grows"
        if uphill
        else "a move that doesn't follow the gradients"
        if share[2]
        else f"{times(share[0])} and {times(share[1])}" + " (nothing has moved)" * (not moved.any()),
        evidence=torch.cat([share, remains, torch.tensor([float(freed)])]),
    )
    expect(
        model.training,
        "The network stays in training mode.",
        expected="training mode after the step",
        got="evaluation mode",
    )
    expect(
        freed,
        "Once the gradients are there, the computation behind them is let go.",
        expected="loss.backward(), which frees its memory",
        got="a computation that is kept for another time",
    )
    holds = isinstance(loss, Tensor) and loss.requires_grad
    expect(
        isinstance(loss, float),
        "`train_step` returns a plain float.",
        expected="a float",
        got="a tensor that holds on to the whole computation behind it" if holds else kind_of(loss),
    )
    true_loss = F.mse_loss(call.answer.detach(), clean).item()
    expect(
        abs(loss - true_loss) < 1e-9 * true_loss,
        "The float is the loss that the step was taken for.",
        **apart(loss, true_loss),
        evidence=torch.tensor([loss / true_loss]),
    )

    # An optimizer with a memory, batches of other sizes, and a caller who looks at results in between.
    model, twin = Witness(seed), Witness(seed)
    optimizer, expected = AdamW(model.parameters(), lr=0.05), AdamW(twin.parameters(), lr=0.05)
    for k, n in enumerate((4, 2, 5)):
        clean = pictures(seed + k, n)
        train_step(model.eval(), optimizer, clean, generator=None)
        _expect_asked(model, k + 1)
        expect_noised(model.log[k], clean)
        for weight, gradient in zip(twin.parameters(), gradients(twin, model.log[k], clean), strict=True):
            weight.grad = gradient
        expected.step()
        expect_close(
            weights(model),
            weights(twin),
            f"With AdamW as well, the weights after {k + 1} steps are those that it makes of the batches' gradients.",
        )

    def draw(generator: torch.Generator | None) -> Tensor:
        model = Witness(seed)
        train_step(model, SGD(model.parameters(), lr=rate), clean, generator=generator)
        _expect_asked(model, 1)
        return model.log[0].noisy

    expect_fair_draws(draw, seed, "the noisy images")


def _expect_asked(model: Witness, n_steps: int) -> None:
    """So far, the network must have been asked once for each step."""
    expect(
        len(model.log) == n_steps,
        "At each step, the network is asked once.",
        expected=f"{count(n_steps, 'question')} in {count(n_steps, 'step')}",
        got=count(len(model.log), "question"),
    )


def _is_freed(call: Call, model: Witness) -> bool:
    """Whether the way back from the network's answer is gone, as it is once `backward` has been along it."""
    try:
        torch.autograd.grad(call.answer.sum(), [model.gain])
    except RuntimeError:
        return True
    return False


# ---- 3.3 ------------------------------------------------------------------------------------------------------------


class Layer(nn.Module):
    """A layer with weights and buffers of several shapes, whole numbers among them, and maybe a layer within."""

    running_mean: Tensor
    n_seen: Tensor

    def __init__(self, random: torch.Generator, inner: "Layer | None" = None) -> None:
        super().__init__()
        weight, bias, mean = (torch.randn(n, generator=random, dtype=torch.float64) for n in (6, 3, 4))
        self.weight, self.bias = nn.Parameter(weight.view(2, 3)), nn.Parameter(bias)
        self.inner = inner
        self.register_buffer("running_mean", mean)
        self.register_buffer("n_seen", torch.randint(100, (), generator=random))


def small_network(seed: int) -> nn.Module:
    """A network of three layers, two of them within others."""
    random = seeded(seed)
    return nn.Sequential(Layer(random), Layer(random, Layer(random)))


def buffers(model: nn.Module) -> Tensor:
    """All the buffers of a network in one row, as they are now."""
    return torch.cat([x.detach().double().flatten() for x in model.buffers()])


def test_update_average(update_average: Callable[..., None], seed: int) -> None:
    """3.3: the average moves a little towards the model; the model stays; the two share nothing."""

    def update(average: nn.Module, model: nn.Module, decay: float) -> Any:
        held, start, target, numbers = list(average.parameters()), weights(average), weights(model), buffers(model)
        shapes, model_dtype = [weight.shape for weight in held], target.dtype
        state = [model.training, *(weight.requires_grad for weight in model.parameters())]
        returned = update_average(average, model, decay)
        same, now = torch.equal(weights(model), target), list(average.parameters())
        expect(
            same
            and torch.equal(buffers(model), numbers)
            and state == [model.training, *(weight.requires_grad for weight in model.parameters())],
            "The model stays as it is.",
            expected="changes in the average alone",
            got="a model with other weights"
            if not same
            else f"a model in {mode(model.training)}"
            if model.training != state[0]
            else "a model with other buffers, or with weights that can't be learned any more",
            evidence=torch.cat([shares(weights(model), target, start), shared(average, model)]),
        )
        expect(
            len(now) == len(held) and all(ours is theirs for ours, theirs in zip(held, now, strict=True)),
            "The change is made in the weights that the average has, not in new ones that take their place.",
            expected="the same tensors with other numbers",
            got="new tensors",
        )
        for weight, shape in zip(held, shapes, strict=True):
            expect_tensor(weight, "A weight of the average", shape, dtype=model_dtype)
        expect(
            all(weight.is_leaf for weight in held),
            "An update of the average is no part of what gradients are computed through.",
            expected="weights as before, with other numbers",
            got="weights that remember how they were computed",
        )
        return returned

    model = small_network(seed + 7)
    for decay, what in (
        (0.75, "Each weight becomes decay * (what it was) + (1 - decay) * (the model's)."),
        (0.0, "With a decay of 0, nothing is kept of the average: its weights become the model's."),
        (1.0, "With a decay of 1, all is kept of the average: its weights stay as they were."),
    ):
        average = small_network(seed + 3).requires_grad_(False)
        start, target = weights(average), weights(model)
        returned = update(average, model, decay)
        want, copied = decay * start + (1 - decay) * target, torch.equal(buffers(average), buffers(model))
        if not near(weights(average), want):
            share = shares(weights(average), start, target)
            would = share[1].abs() < 1e-9 and _would_move(update_average, small_network(seed + 3), model)
            gave = 0 if returned is None else 1 if isinstance(returned, nn.Module) else 2
            facts = torch.tensor([copied, gave, would])
            asked_for = f"{times(decay)} the average and {times(1 - decay)} the model"
            got = f"{times(share[0])} the average and {times(share[1])} the model"
            raise Wrong(
                what,
                expected=asked_for,
                got="something else, for some of the weights at least"
                if share[2]
                else got + ", but rounded more than need be" * (got == asked_for),
                evidence=torch.cat([weights(average) - want, shared(average, model), facts]),
            )
        expect(
            copied and [x.dtype for x in average.buffers()] == [x.dtype for x in model.buffers()],
            "Buffers are copied as they are, also where they are whole numbers.",
            expected="the model's buffers",
            got="other numbers" if not copied else "the model's, with another dtype",
            evidence=buffers(average),
        )
        _expect_apart(average, model)
        expect(
            returned is None,
            "`update_average` changes the average that it is given, and returns nothing.",
            expected="None",
            got=kind_of(returned),
        )

    # An average that asks for gradients, as copy.deepcopy(model) gives; and several updates of it, in single precision.
    model, average = small_network(seed + 7).float(), small_network(seed + 3).float()
    want = weights(average)
    for _ in range(3):
        update(average, model, 0.9)
        want = 0.9 * want + 0.1 * weights(model)
        with torch.no_grad():
            for weight in model.parameters():
                weight.mul_(-2)
    expect_close(weights(average), want, "Update after update, the average follows the model.")


def shared(average: nn.Module, model: nn.Module) -> Tensor:
    """1 where two networks hold one tensor in common, else 0."""
    pairs = zip(average.parameters(), model.parameters(), strict=False)
    return torch.tensor([float(any(ours.data_ptr() == theirs.data_ptr() for ours, theirs in pairs))])


def _would_move(update_average: Callable[..., Any], average: nn.Module, model: nn.Module) -> bool:
    """Whether an average that asks for gradients is changed at all."""
    before = weights(average)
    with contextlib.suppress(Exception):
        update_average(average, model, 0.75)
    return not torch.equal(weights(average), before)


def _expect_apart(average: nn.Module, model: nn.Module) -> None:
    """A change of the one must not show in the other."""
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
        "The average has numbers of its own: when the model learns on, they stay.",
        expected="an average that stays when the model changes",
        got=f"{'buffers' if same_weights else 'weights'} that change along with the model's",
    )


# ---- 3.4 ------------------------------------------------------------------------------------------------------------


class Stream:
    """Batches that come one at a time, as from a disk, and can't be counted beforehand."""

    def __init__(self, batches: Sequence[Tensor]) -> None:
        self.batches, self.taken, self.asked_in_vain = batches, 0, 0

    def __iter__(self) -> "Stream":
        return self

    def __next__(self) -> Tensor:
        if self.taken == len(self.batches):
            self.asked_in_vain += 1
            if self.asked_in_vain > 3:
                raise Wrong(ENDS, expected="one pass over the batches", got="a loop that begins them again and again")
            raise StopIteration
        self.taken += 1
        return self.batches[self.taken - 1]


class Endless(Stream):
    """The same batch for ever."""

    LIMIT = 50

    def __next__(self) -> Tensor:
        self.taken += 1
        expect(
            self.taken <= self.LIMIT,
            "The batches may never end, so they are taken one at a time.",
            expected="one batch for each loss",
            got="an attempt to collect them all",
        )
        return self.batches[0]


class Moment(NamedTuple):
    """How things stand when a loss is handed out."""

    loss: Any
    taken: int
    asked: int
    steps: int
    model: Tensor
    average: Tensor
    training: bool


ENDS = "Training ends when the batches do."


def started(train: Callable[..., Any], *args: Any, **more: Any) -> Generator[Any, None, None]:
    """Call the answer: it must give a generator."""
    losses = train(*args, **more)
    expect(
        isinstance(losses, Generator),
        "`train` is a generator: it hands out its losses with `yield`.",
        expected="a generator",
        got=plain_kind_of(losses),
    )
    return losses  # type: ignore[no-any-return]


def test_train(train: Callable[..., Iterator[float]], seed: int) -> None:
    """3.4: a step for each batch, the average after it, then the loss; all at the caller's pace."""
    rate, decay, sizes = 0.5, 0.75, (2, 5, 4, 3)
    stream = Stream([pictures(seed + k, n) for k, n in enumerate(sizes)])
    model, twin = Witness(seed, far_off=12), Witness(seed, far_off=12)
    average = Witness(seed + 1).requires_grad_(False)
    optimizer, expected = SGD(model.parameters(), lr=rate), SGD(twin.parameters(), lr=rate)

    def now(loss: Any) -> Moment:
        facts = stream.taken, len(model.log), optimizer.n_steps
        return Moment(loss, *facts, weights(model), weights(average), model.training)

    losses = started(train, model, optimizer, stream, average=average, decay=decay, generator=seeded(seed))
    begun = now(None)
    expect(
        begun[1:4] == (0, 0, 0),
        "Nothing happens before the first loss is asked for.",
        expected="all the code waiting for the first next()",
        got=f"{count(begun.taken, 'batch')} taken and {count(begun.steps, 'step')} made already",
    )
    moments = []
    for loss in islice(losses, len(sizes) + 1):
        moments.append(now(loss))
        expect_tensor(moments[-1].model, f"The network after step {len(moments)}", begun.model.shape)
        expect_tensor(moments[-1].average, f"The average after step {len(moments)}", begun.average.shape)
        model.eval()  # as a caller does who draws a picture in between
    ended = now(None)

    for moment in moments:
        expect(
            isinstance(moment.loss, float),
            "Each loss is handed out as a float, and nothing else with it.",
            expected="a float",
            got=plain_kind_of(moment.loss),
        )
    pace = torch.tensor([m[1:4] for m in (*moments, ended)])
    seen = [len(call.noisy) for call in model.log]
    the_first = all(is_noised(call, stream.batches[0]) for call in model.log)
    facts = torch.tensor([len(moments), the_first, *(seen + 9 * [0])[:9]])
    expect(
        len(moments) == len(sizes),
        "Each batch gives one loss, and training ends when the batches do.",
        expected="4 losses for 4 batches",
        got=("more than 4 losses" if len(moments) > len(sizes) else count(len(moments), "loss"))
        + f" for {count(ended.taken, 'batch')}",
        evidence=facts,
    )
    expect(
        seen == list(sizes),
        "Each batch is learned from once, in the order in which they come.",
        expected=f"batches of {', '.join(map(str, sizes))} images",
        got=f"batches of {', '.join(map(str, seen)) or 'no'} images",
        evidence=facts,
    )
    for k, moment in enumerate(moments):
        expect(
            moment[1:4] == (k + 1, k + 1, k + 1),
            "Each loss is handed out right after its step, and before the next batch is taken.",
            expected=f"loss {k + 1} after {count(k + 1, 'batch')} and {count(k + 1, 'step')}",
            got=f"loss {k + 1} after {count(moment.taken, 'batch')} and {count(moment.steps, 'step')}",
            evidence=pace,
        )
    true_losses = [
        F.mse_loss(x.answer.detach(), clean).item() for x, clean in zip(model.log, stream.batches, strict=True)
    ]
    for k, (moment, call, clean) in enumerate(zip(moments, model.log, stream.batches, strict=True)):
        expect_noised(call, clean)
        expect(
            call.training,
            "The network is in training mode at each step, also after the caller has switched it off in between.",
            expected="one train_step for each batch",
            got=f"evaluation mode at step {k + 1}",
        )
        expect(
            moment.training,
            "The network is in training mode when a loss is handed out, as train_step leaves it.",
            expected="training mode",
            got="evaluation mode",
        )
        expect(
            abs(moment.loss - true_losses[k]) < 1e-9 * true_losses[k],
            f"Each loss is that of the step just made (here: step {k + 1}).",
            **apart(moment.loss, true_losses[k]),
            evidence=_made_of_earlier([m.loss for m in moments], true_losses),
        )
    expect(
        settings(optimizer) == settings(expected),
        "How the optimizer is set is up to the caller.",
        expected=f"a learning rate of {rate}, as before",
        got=f"one of {number(settings(optimizer)[0]['lr'])}",
        evidence=torch.tensor([float(settings(optimizer)[0]["lr"] != rate)]),
    )
    _expect_steps(twin, expected, moments, begun, model.log, stream.batches)
    _expect_averages([begun, *moments, ended], decay, model.log.copies)
    _expect_any_caller(train, seed)

    def draw(generator: torch.Generator | None) -> Tensor:
        model, batch = Witness(seed), pictures(seed)
        for _ in started(train, model, SGD(model.parameters(), lr=rate), [batch, batch], generator=generator):
            pass
        _expect_asked(model, 2)
        first, second = (call.noisy for call in model.log)
        anew = not torch.equal(first, second)
        expect(anew, "Each step draws noise anew.", expected="other noise at each step", got="the same at each step")
        return torch.cat([first, second])

    expect_fair_draws(draw, seed, "the noisy images")
    _expect_learning(train, seed)


def _made_of_earlier(losses: list[float], true: list[float]) -> Tensor | None:
    """Which of four ways leads from the losses of the steps to what was handed out."""
    so_far = [true[: k + 1] for k in range(len(true))]
    ways = [sum, lambda x: sum(x) / len(x), lambda x: x[0], lambda x: x[-2:][0]]
    found = torch.tensor([[abs(way(x) - y) < 1e-9 * y for x, y in zip(so_far, losses, strict=True)] for way in ways])
    return found.all(1).double() if found.all(1).any() else None


def _expect_steps(
    twin: Witness, expected: Any, moments: list[Moment], begun: Moment, log: Log, batches: Sequence[Tensor]
) -> None:
    """After each step the weights must be those that the optimizer makes of the batch's gradients."""
    average = begun.average
    for k, (moment, call, clean) in enumerate(zip(moments, log, batches, strict=True)):
        for weight, gradient in zip(twin.parameters(), gradients(twin, call, clean), strict=True):
            weight.grad = gradient
        expected.step()
        share = shares(moment.model, weights(twin), average)
        expect(
            near(moment.model, weights(twin)),
            "The model's weights are those that its steps have given it.",
            expected="the model changed by train_step alone",
            got=f"a model that has moved towards the average by step {k + 1}"
            if not share[2] and share[1] > 1e-3
            else f"other weights after step {k + 1}",
            evidence=share,
        )
        average = moment.average


def _expect_averages(moments: list[Moment], decay: float, copies: int) -> None:
    """From each moment to the next the average must have taken in the model's new weights, once."""
    pairs = list(pairwise(moments))
    made_of = [shares(new.average, old.average, new.model, old.model) for old, new in pairs[:-1]]
    end = shares(moments[-1].average, moments[-2].average, moments[-2].model)
    for k, (old, new) in enumerate(pairs[:-1]):
        want = decay * old.average + (1 - decay) * new.model
        kept, taken, late = (times(x) for x in made_of[k][:3])
        sum_of = f"{kept} the average, {taken} the new weights and {late} those before the step"
        expect(
            near(new.average, want),
            "When a loss is handed out, the average has just taken in the new weights.",
            expected=f"{decay:g} times the average and {1 - decay:g} times the new weights, at step {k + 1}",
            got="an average that stayed as it was" if torch.equal(new.average, old.average) else sum_of,
            evidence=torch.cat([*made_of, end, torch.tensor([float(copies)])]),
        )
    old, new = pairs[-1]
    expect(
        torch.equal(old.average, new.average) and torch.equal(old.model, new.model),
        "After the last loss nothing more happens.",
        expected="the networks as they were when the last loss was handed out",
        got="networks that have changed once more",
    )


def _expect_any_caller(train: Callable[..., Any], seed: int) -> None:
    """Without an average; with the usual decay, and none; with batches that never end; stopped in the middle."""

    def run(batches: Any, **more: Any) -> tuple[Generator[Any, None, None], Witness]:
        model = Witness(seed)
        return started(train, model, SGD(model.parameters(), lr=0.5), batches, **more), model

    batches = [pictures(seed + k, 2 + k) for k in range(3)]
    losses, model = run(batches)
    n, seen = len(list(islice(losses, 9))), len(model.log)
    expect(
        n == seen == 3,
        "Without an average, and from a list of batches, training goes the same way.",
        expected="3 losses for 3 batches",
        got=f"{count(n, 'loss')} and {count(seen, 'step')}",
    )
    for decay, more in ((0.998, {}), (0.0, {"decay": 0.0}), (0.25, {"decay": 0.25})):
        average = Witness(seed + 1)
        start = weights(average)
        losses, model = run(batches[:1], average=average, **more)
        next(losses, None)
        kept = shares(weights(average), start, weights(model))
        expect(
            near(weights(average), decay * start + (1 - decay) * weights(model)),
            f"With decay={decay:g}, that is what the average keeps."
            if more
            else "Where the caller gives no decay, it is 0.998.",
            expected=f"{decay:g} times the average",
            got="something else" if kept[2] else f"{times(kept[0])} the average",
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
        stopped = "a loop that goes on when it is closed"
    so_far = f"{count(stream.taken, 'batch')}, {count(len(model.log), 'step')}, {stopped}"
    with contextlib.suppress(BaseException):  # bring a loop that goes on to its end
        stream.taken = Endless.LIMIT
        next(losses)
    expect(
        so_far == "2 batches, 2 steps, 2 losses",
        "The caller may stop after any loss, and then nothing more happens.",
        expected="2 batches, 2 steps, 2 losses",
        got=so_far,
    )


# ---- a network that learns in no time -------------------------------------------------------------------------------


class Sketcher(nn.Module):
    """A small denoiser without a single convolution: it blends what it sees, sharp and blurred, with what it learned.

    How much of each it takes depends on the noise level. That is among its weights, and a picture, the same for all.
    """

    def __init__(self, size: int) -> None:
        super().__init__()
        self.picture = nn.Parameter(torch.full((3, size, size), 0.5))
        self.trust = nn.Parameter(torch.zeros(3, 2))  # in what is seen, sharp and blurred; by powers of the level

    def forward(self, noisy: Tensor, noise_level: Tensor) -> Tensor:
        """Guess the clean images."""
        blurred = noisy
        for dim in (2, 3):
            for far in (1, 2):  # rolling around the edges is many times quicker than pooling
                blurred = (blurred.roll(far, dim) + blurred + blurred.roll(-far, dim)) / 3
        level = noise_level.flatten(1)
        sharp, soft = (torch.cat([level**0, level, level**2], dim=1) @ self.trust).T.reshape(2, -1, 1, 1, 1)
        return self.picture + sharp * (noisy - 0.5) + soft * (blurred - 0.5)


def _expect_learning(train: Callable[..., Any], seed: int) -> None:
    """A network that is trained must do better than one that answers without thinking."""
    clean, n_steps = F.avg_pool2d(emoji(), 2), 20
    level = ((torch.arange(len(clean)) + 0.5) / len(clean)).view(-1, 1, 1, 1)
    noisy = mix(clean, torch.rand(clean.shape, generator=seeded(800 + seed)), level)
    model = Sketcher(clean.shape[-1])
    average = copy.deepcopy(model)
    optimizer = AdamW(model.parameters(), lr=0.1)
    batches = [clean] * n_steps
    made = sum(1 for _ in started(train, model, optimizer, batches, average=average, decay=0.8, generator=seeded(seed)))
    expect(
        made == n_steps,
        "Training goes on until the batches end, however many there are.",
        expected=count(n_steps, "loss"),
        got=count(made, "loss"),
    )
    with torch.no_grad():
        lazy = min(F.mse_loss(noisy, clean).item(), clean.var(dim=0, correction=0).mean().item())
        for network, name in ((model, "the network"), (average, "its average")):
            reached = F.mse_loss(network(noisy, level), clean).item()
            expect(
                reached < lazy,
                "After training, the network is better than answering with what it sees or with the mean picture.",
                expected=f"a loss below {number(lazy)} after {n_steps} steps",
                got=f"{number(reached)} for {name}",
            )


# ---- the picture ----------------------------------------------------------------------------------------------------


class Canvas(nn.Module):
    """A network that paints the same whatever it sees: its weights are a picture."""

    def __init__(self, picture: Tensor) -> None:
        super().__init__()
        self.picture = nn.Parameter(picture.clone())

    def forward(self, noisy: Tensor, noise_level: Tensor) -> Tensor:  # noqa: ARG002
        """Show the picture."""
        return self.picture.expand_as(noisy)


def what_is_asked_for(part: Any) -> Tensor:
    """The picture at which the loss is least, by going there along the gradient."""
    canvas = Canvas(torch.full((6, 3, 32, 32), 0.5))
    part.denoising_loss(canvas, emoji()[:6], generator=seeded(0)).backward()
    assert canvas.picture.grad is not None
    return canvas.picture.detach() - canvas.picture.grad * (canvas.picture.numel() / 2)


def steps_towards_a_picture(part: Any) -> Tensor:
    """A canvas after 0, 1, 2, 4, 8 and 16 steps, each a quarter of the way."""
    canvas, frames = Canvas(torch.full((1, 3, 32, 32), 0.5)), []
    optimizer = SGD(canvas.parameters(), lr=canvas.picture.numel() / 8)
    for k in range(17):
        if k in (0, 1, 2, 4, 8, 16):
            frames.append(canvas.picture.detach().clone())
        part.train_step(canvas, optimizer, emoji()[6:7], generator=seeded(k))
    return torch.cat(frames)


def averaged_pictures(part: Any) -> Tensor:
    """Above, a canvas that jitters; below, its average. After 1, 2, 4, 8, 16 and 32 updates."""
    model, average, frames = Canvas(emoji()[7:8]), Canvas(torch.full((1, 3, 32, 32), 0.5)), []
    random = seeded(0)
    for k in range(1, 33):
        level = torch.full((1, 1, 1, 1), 0.6)
        with torch.no_grad():
            model.picture.copy_(mix(emoji()[7:8], torch.rand(1, 3, 32, 32, generator=random), level))
        part.update_average(average, model, 0.9)
        if k in (1, 2, 4, 8, 16, 32):
            both = [network.picture.detach().clone() for network in (model, average)]
            frames.append(torch.cat([both[0], torch.ones(1, 3, 2, 32), both[1]], dim=2))
    return torch.cat(frames)


def averaged_path(part: Any) -> Tensor:
    """One weight that jitters, and its average: up is more."""
    width, height = 202, 48
    paper = torch.ones(1, 3, height, width)
    model, average = Canvas(torch.zeros(1)), Canvas(torch.full((1,), 0.1))
    random = seeded(1)
    for x in range(width):
        with torch.no_grad():
            model.picture.fill_(0.5 + 0.35 * x / width + 0.3 * (torch.rand((), generator=random).item() - 0.5))
        part.update_average(average, model, 0.95)
        for network, color in ((model, (0.75, 0.75, 0.75)), (average, (0.1, 0.3, 0.8))):
            y = height - 2 - int(min(1.0, max(0.0, network.picture.item())) * (height - 3))
            paper[0, :, y : y + 2, x] = torch.tensor(color).view(3, 1)
    return paper


def learning(part: Any) -> Tensor:
    """The loss of each step as a bar; under it noisy pictures, and what the trained network makes of them."""
    width, height, bar, clean = 202, 40, 5, emoji()[:8]
    bars, blue = torch.ones(3, height, width), torch.tensor((0.35, 0.55, 0.8)).view(3, 1, 1)
    scale = height / (1.5 * clean.var(dim=0, correction=0).mean().item())
    model = Sketcher(clean.shape[-1])
    optimizer = AdamW(model.parameters(), lr=0.02)
    losses = part.train(model, optimizer, [clean] * (width // bar), generator=seeded(0))
    for k, loss in enumerate(islice(losses, width // bar)):
        top = height - max(0, min(height, round(scale * float(loss))))
        bars[:, top:, k * bar : (k + 1) * bar - 1] = blue
    bars[:, height - round(height / 1.5), ::3] = 0.3  # the loss of the mean picture
    some, level = clean[[1, 3, 4, 0, 2, 7]], torch.linspace(0.2, 0.7, 6).view(6, 1, 1, 1)
    noisy = mix(some, torch.rand(some.shape, generator=seeded(3)), level)
    with torch.no_grad():
        rows = [noisy, model(noisy, level).clamp(0, 1)]
    beside = [torch.cat([F.pad(image, (0, 2, 2, 0), value=1.0) for image in row], dim=2)[:, :, :width] for row in rows]
    return torch.cat([bars, *beside], dim=1).unsqueeze(0)


PANELS = [
    Panel("denoising_loss", "the pictures at which the loss would be 0", what_is_asked_for),
    Panel(
        "train_step", "a picture as the network's weights, after 0, 1, 2, 4, 8 and 16 steps", steps_towards_a_picture
    ),
    Panel("update_average", "pictures as weights that jitter (above) and their average (below)", averaged_pictures),
    Panel("update_average", "one weight that jitters (gray) and its average (blue), over time", averaged_path),
    Panel("train", "the loss of each step (dots: that of the mean picture); noisy pictures; answers", learning),
]
