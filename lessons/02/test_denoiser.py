"""The grader of lesson 02: what `Block`, `Pool`, `Stage` and `UNet` must do.

An answer is held against the course's own network: both are given the same weights, in the order in which they use
them, and must then answer alike. So it doesn't matter how an answer names, makes, arranges or calls its layers.
"""

import contextlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dino import denoiser
from dino.course.expect import Wrong, expect, expect_close, expect_tensor, kind_of, number, runs, unchanged
from dino.course.modules import copy_weights, fill, n_weights, transplant, watching, weights_used
from dino.course.sheet import Panel, emoji

Part = Callable[..., nn.Module]

# No channels of 3 where it can be helped: a weight of 3 x 3 x 3 x 3 numbers can be read in too many ways.


def test_block(block: Part, seed: int) -> None:
    """2.1: convolution, ReLU, convolution, plus the skip, whether the number of channels stays, grows or shrinks."""
    for channels_in, channels_out in ((4, 4), (2, 5), (5, 2)):
        twins = Twins(block, denoiser.Block, channels_in, channels_out)
        x = normal(seed, 2, channels_in, 6, 7)
        twins.expect_sound(x, shape=(2, channels_out, 6, 7))
        twins.expect_weights(x, seed=seed)
        if channels_in == channels_out:
            what = "With all its weights at 0, a Block that keeps the number of channels returns its input."
            twins.expect_nothing_added(x, what)
        what = "A Block is a convolution, a ReLU and a convolution, plus the skip, with nothing after the sum."
        twins.expect_same(x, what=what, seed=seed)
    twins.expect_can_learn(x, seed=seed)
    expect_modest(block(16, 16), "Block", seed)


def test_pool(pool: Part, seed: int) -> None:
    """2.2: a small network of each channel's maximum, added to every pixel."""
    x = normal(seed, 3, 5, 6, 7)
    twins = Twins(pool, denoiser.Pool, 5)
    twins.expect_sound(x, shape=x.shape)
    twins.expect_weights(x, seed=seed)
    twins.expect_nothing_added(x, "With all its weights at 0, a Pool returns its input.")
    answer = twins.ours(x)
    added = answer - x
    even = added.mean((2, 3), keepdim=True).expand_as(added)
    expect_close(added, even, "What a Pool adds is the same number at all pixels of a channel.", tolerance=TOLERANCE)
    alone = torch.cat([twins.ours(image[None]) for image in x])
    expect_close(answer, alone, "Each image has maxima of its own, whatever else is in the batch.", tolerance=TOLERANCE)
    lower = torch.where(x == x.amax((2, 3), keepdim=True), x, x - 0.5)
    what = "What a Pool adds depends on each channel's largest number alone: lower ones may change."
    expect_close(twins.ours(lower) - lower, added, what, tolerance=TOLERANCE)
    what = "What a Pool adds is a 1x1 convolution, a ReLU and a 1x1 convolution of the maxima."
    twins.expect_same(x, what=what, seed=seed)
    twins.expect_can_learn(x, seed=seed)
    expect_modest(pool(16), "Pool", seed)


def test_stage(stage: Part, seed: int) -> None:
    """2.3: a convolution, some Blocks, a Pool."""
    for channels_in, channels_out, depth in ((2, 5, 4), (4, 4, 1), (5, 2, 0)):
        twins = Twins(stage, denoiser.Stage, channels_in, channels_out, depth)
        x = normal(seed, 2, channels_in, 6, 7)
        twins.expect_sound(x, shape=(2, channels_out, 6, 7))
        twins.expect_weights(x, seed=seed)
        what = f"A Stage is a convolution, then its Blocks (here {depth}), then a Pool."
        twins.expect_same(x, what=what, seed=seed, attempts=2)
    twins.expect_can_learn(x, seed=seed)


NETWORKS: list[tuple[tuple[Any, ...], tuple[int, ...], str]] = [
    ((3, (4,), (1,)), (2, 3, 5, 7), "A UNet with one resolution is picture and level, a Stage, then the head."),
    (
        (3, (4, 4), (0, 0)),
        (3, 3, 4, 6),
        "With two resolutions, it is a Stage, halving, two Stages, doubling, plus the skip, then the head.",
    ),
    ((1, (4, 4, 4), (0, 0, 0)), (2, 1, 8, 12), "With three resolutions, each skip is added where it came from."),
    ((2, (2, 4, 5), (2, 0, 1)), (3, 2, 12, 8), "Each resolution has its own number of channels and of Blocks."),
]


@runs(2)
def test_unet(unet: Part, seed: int) -> None:
    """2.4: the level comes in, the U goes down and up with its skips, the head answers from mid-gray on."""
    for arguments, shape, what in NETWORKS:
        twins = Twins(unet, denoiser.UNet, *arguments)
        noisy, level = uniform(seed, *shape), levels(shape[0])
        twins.expect_sound(noisy, level, shape=shape)
        if arguments == NETWORKS[0][0]:
            expect_level_used(twins, noisy, level, seed)
        twins.expect_weights(noisy, level, seed=seed)
        twins.expect_same(noisy, level, what=what, seed=seed, attempts=2)
    arguments, shape, _ = NETWORKS[0]
    noisy, level = uniform(seed, *shape), levels(shape[0])
    expect_mid_gray(unet(*arguments), noisy, level)
    Twins(unet, denoiser.UNet, *arguments).expect_can_learn(noisy, level, seed=seed)
    for widths, depths in (((4, 4), (1,)), ((4,), (1, 1))):
        expect_refused(unet, widths, depths)
    if seed == 0:
        total = n_weights(unet())
        expect(total == 2_178_819, "`UNet()` has 2,178,819 weights.", expected="2,178,819", got=f"{total:,}")


# ---- an answer and the course's own ---------------------------------------------------------------------------------

TOLERANCE = 1e-9  # in float64, where these small networks differ by some 1e-15 if they are the same


class Twins:
    """An answer and the reference, made with the same arguments."""

    def __init__(self, answer: Part, reference: Part, *arguments: Any) -> None:
        self.answer, self.arguments, self.kind = answer, arguments, reference.__name__
        self.name = f"{self.kind}({', '.join(map(str, arguments))})"
        with trying(self.name):
            self.ours = answer(*arguments)
        self.theirs = reference(*arguments)
        expect(
            isinstance(self.ours, nn.Module),
            f"`{self.kind}` must be an nn.Module, or its weights can't be trained.",
            expected="a class that begins as the stub does",
            got=kind_of(self.ours),
        )
        expect(
            type(self.ours).forward is not nn.Module.forward,
            f"`{self.kind}` must have a method `forward`.",
            got="none by this name",
        )

    def expect_sound(self, *question: Tensor, shape: Sequence[int]) -> None:
        """What holds for every network of the course, with the weights it happens to start with."""
        question = tuple(x.float() for x in question)
        names = ("noisy", "noise_level") if len(question) == 2 else ("x",)
        with trying(self.name, *question):
            with unchanged(**dict(zip(names, question, strict=True))), watching() as self.weights:
                answer = self.ours(*question)
            expect_tensor(answer, f"What `{self.name}` returns", shape, dtype=torch.float32)
            nn.Module.eval(self.ours)
            evaluated = self.ours(*question)
            nn.Module.train(self.ours)
            if not alike(answer, evaluated):
                steady = alike(answer, self.ours(*question))
                raise Wrong(
                    f"`{self.kind}` answers a question alike each time, in training and after `.eval()`.",
                    expected="the same answer",
                    got="another one after `.eval()`" if steady else "another one each time",
                    evidence=torch.tensor([steady, not list(self.ours.parameters())]),
                )
        registered = list(self.ours.parameters())
        unseen = sum(all(weight is not known for known in registered) for weight in self.weights)
        expect(
            not unseen,
            f"All weights that `{self.kind}` uses are among its parameters(): only those are trained and saved.",
            expected="all of them",
            got=f"{unseen} of {len(self.weights)} weights and biases that are not",
        )
        idle = len(registered) - len(self.weights)
        expect(
            not idle,
            f"Every weight of `{self.kind}` has a say in its answer, and can be trained.",
            expected="none left out",
            got=f"{idle} of {len(registered)} weights and biases left out",
        )

    def expect_weights(self, *question: Tensor, seed: int) -> None:
        """As many weights as the reference, of the same sizes. Both then have the same numbers in them, in float64."""
        for model in (self.ours, self.theirs):
            nn.Module.double(model)  # a UNet may well have a method `double` of its own
        self.model = weights_used(self.theirs, *question)
        fill(self.model, seed, scale=1.5)
        if copy_weights(self.model, self.weights):
            return
        fill(self.weights, seed, scale=1.5)
        with trying(self.name, *question):
            answer = self.ours(*question).detach().flatten()
        raise Wrong(
            f"The weights of `{self.name}` are as many and as large as its convolutions' should be.",
            expected=sizes(self.model),
            got=sizes(self.weights),
            evidence=torch.cat([torch.tensor([weight.numel() for weight in self.weights]), answer]),
        )

    def expect_nothing_added(self, x: Tensor, what: str) -> None:
        """What is left of the answer when all weights are 0."""
        before = self.ours(x)
        fill(self.weights, 0, scale=0.0)
        try:
            expect_close(left := self.ours(x), x, what)
        except Wrong as wrong:
            wrong.evidence = torch.stack([before, left]).detach()  # a product and a lack leave the same: nothing
            raise
        copy_weights(self.model, self.weights)

    def expect_same(self, x: Tensor, *more: Tensor, what: str, seed: int, attempts: int = 24) -> None:
        """With the same weights, the same answers, and the same gradients at the input."""
        x = x.clone().requires_grad_()
        want, got = self.theirs(x, *more), None
        tolerance = TOLERANCE * max(1.0, want.detach().abs().max().item())

        def same() -> bool:
            nonlocal got
            got = self.ours(x, *more)
            fits = isinstance(got, Tensor) and got.shape == want.shape
            return fits and bool((got - want).abs().max() <= tolerance)

        with trying(self.name, x, *more):
            if not transplant(self.model, self.weights, same, attempts=attempts):
                expect_close(self.ours(x, *more), want.detach(), what, tolerance=tolerance)
        what = f"Gradients flow back through all of `{self.kind}`, to its weights and to its input."
        expect(got is not None and got.requires_grad, what, got="an answer that is cut off from the weights")
        pull = normal(seed + 1, *want.shape)
        try:
            grad, *grads = torch.autograd.grad((got * pull).sum(), [x, *self.weights], allow_unused=True)
        except RuntimeError as error:
            raise Wrong(what, got=str(error).strip().partition("\n")[0]) from error
        missing = sum(g is None or not g.any() for g in grads)
        expect(not missing, what, got=f"{missing} of {len(grads)} weights and biases that they don't reach")
        expect(grad is not None, what, got="none at the input")
        (wanted,) = torch.autograd.grad((want * pull).sum(), x)
        tolerance = TOLERANCE * max(1.0, wanted.abs().max().item())
        expect_close(grad, wanted, what, tolerance=tolerance)

    def expect_can_learn(self, *question: Tensor, seed: int) -> None:
        """The weights that it starts with differ, or come to differ in training: alike ones would do the same work."""
        what = f"The weights of a new `{self.kind}` are random, for those that start alike learn alike."
        new = nn.Module.double(self.answer(*self.arguments))
        weights = weights_used(new, *question)
        for weight in weights:
            first = weight.flatten()[0].item()
            stuck = is_matrix(weight) and first != 0 and bool((weight == first).all())
            expect(not stuck, what, got=f"{weight.numel()} weights that all start as {number(first)}")
        target: Tensor | None = None
        for _ in range(3):  # a weight at 0 may hold up the one before it for a step
            answer = new(*question)
            target = normal(seed + 2, *answer.shape) if target is None else target
            grads = torch.autograd.grad(F.mse_loss(answer, target), weights, allow_unused=True)
            grads = tuple(torch.zeros_like(w) if g is None else g for g, w in zip(grads, weights, strict=True))
            length = torch.stack([g.norm() for g in grads]).norm() + 1e-12
            with torch.no_grad():
                for weight, grad in zip(weights, grads, strict=True):
                    weight -= 0.1 * grad / length
        stuck = sum(is_matrix(weight) and has_alike(weight) for weight in weights)
        expect(not stuck, what, got=f"{stuck} of {len(weights)} weights and biases that stay alike in training")


@contextlib.contextmanager
def trying(name: str, *question: Tensor) -> Iterator[None]:
    """An error that comes from within tells with what it was tried."""
    try:
        yield
    except (Wrong, NotImplementedError):
        raise
    except Exception as error:
        shapes = " and ".join(str(tuple(x.shape)) for x in question)
        error.add_note(f"tried with `{name}`" + f" and an input of shape {shapes}" * bool(question))
        raise


def expect_modest(new: nn.Module, kind: str, seed: int) -> None:
    """Weights drawn by randn as they are would make each layer's answer many times as large as its input."""
    x = normal(seed, 4, 16, 6, 7).float()
    expect(
        bool(new(x).std() < 10),
        f"A new `{kind}` answers with numbers that are about as large as those that come in.",
        expected="small random weights, as new layers have",
        got="an answer more than 10 times as large",
    )


def expect_level_used(twins: Twins, noisy: Tensor, level: Tensor, seed: int) -> None:
    """The answer to each image depends on its own level."""
    noisy, level = noisy.float(), level.float()
    fill(twins.weights, seed)  # for a network may well start with a last layer of zeros
    other, single = level.clone(), level[:1]
    other[1] = 0.1
    with trying(twins.name, noisy, level):
        changed = (twins.ours(noisy, other) - (answer := twins.ours(noisy, level))).abs().amax((1, 2, 3)) > 1e-6
        if changed.tolist() != [False, True]:
            expect(
                not alike(answer, twins.ours(noisy, 1 - level)),
                "The answer depends on the noise level.",
                expected="different answers at different levels",
                got="the same answer",
            )
            raise Wrong(
                "Each image is told its own level: a new level for image 1 changes the answer to that image alone.",
                expected="a new answer to image 1 alone",
                got="a new answer to " + (" and ".join(f"image {i}" for i in range(2) if changed[i]) or "none"),
            )
    with trying(twins.name, noisy, single):
        got = expect_tensor(twins.ours(noisy, single), "The answer at one level for the whole batch", noisy.shape)
    want = twins.ours(noisy, single.expand_as(level))
    expect_close(got, want, "One level, (1, 1, 1, 1), serves for every image of the batch.")


def expect_mid_gray(new: nn.Module, noisy: Tensor, level: Tensor) -> None:
    """Only the last bias starts at 0.5. Where all else is 0, nothing but it is left of the answer."""
    nn.Module.double(new)
    weights = weights_used(new, noisy, level)
    halves = sum(bool((weight == 0.5).all()) for weight in weights if not is_matrix(weight))
    with torch.no_grad():
        for weight in weights:
            if is_matrix(weight):
                weight.zero_()
    answer = new(noisy, level)
    first = answer.flatten()[0].item()
    expect(
        bool((answer == 0.5).all()),
        "The last bias starts at 0.5: where all weights but the biases are 0, a new UNet answers 0.5 everywhere.",
        expected="0.5",
        got=number(first) if bool((answer == first).all()) else "different numbers",
    )
    expect(halves == 1, "Only the last bias starts at 0.5.", got=f"{halves} that do")


def expect_refused(unet: Part, widths: tuple[int, ...], depths: tuple[int, ...]) -> None:
    """Unequally many widths and depths are an error of the caller's."""
    got = "no error"
    try:
        unet(3, widths, depths)
    except (ValueError, NotImplementedError) as error:
        if isinstance(error, ValueError):
            return
        raise
    except Exception as error:
        got = f"{type(error).__name__}: {error}"
    raise Wrong(
        "As many depths as widths are needed: `UNet` raises a ValueError where their numbers differ.",
        expected=f"a ValueError from UNet(3, {widths}, {depths})",
        got=got,
    )


def alike(one: Tensor, other: Tensor) -> bool:
    """Up to float32's rounding."""
    return one.shape == other.shape and torch.allclose(one, other, rtol=1e-5, atol=1e-6 * one.abs().max().item())


def is_matrix(weight: Tensor) -> bool:
    """A convolution's or linear layer's weight, not a bias."""
    return weight.squeeze().dim() > 1


def has_alike(weight: Tensor) -> bool:
    """Whether all slices along some dimension are the same, as when all channels do the same work."""
    along = [dim for dim, size in enumerate(weight.shape) if size > 1]
    return any(bool((weight - weight.narrow(dim, 0, 1)).abs().max() < 1e-9) for dim in along)


def sizes(weights: list[Tensor]) -> str:
    """What weights a network has, in words."""
    total = sum(weight.numel() for weight in weights)
    shapes = ", ".join("x".join(map(str, weight.shape)) for weight in weights)
    return f"{total:,} numbers in {len(weights)} weights and biases" + f" ({shapes})" * (len(weights) < 6)


def normal(seed: int, *shape: int) -> Tensor:
    """Standard normal numbers, float64."""
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def uniform(seed: int, *shape: int) -> Tensor:
    """Numbers from 0 to 1, float64."""
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def levels(n: int) -> Tensor:
    """A noise level for each of n images, all different."""
    return torch.linspace(0.2, 0.9, n, dtype=torch.float64).view(n, 1, 1, 1)


# ---- the picture ----------------------------------------------------------------------------------------------------

PANELS: list[Panel] = []
