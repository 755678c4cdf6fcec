"""The grader of lesson 02: what `Block`, `Pool`, `Stage` and `UNet` must do.

An answer is held against the course's own network: both are given the same weights, in the order in which they use
them, and must then answer alike. So it doesn't matter how an answer names, makes, arranges or calls its layers.
"""

import contextlib
from collections.abc import Callable, Iterator, Sequence
from functools import cache
from types import ModuleType
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dino import denoiser
from dino.course.grader.contact_sheet import Panel, emoji
from dino.course.grader.expect import Wrong, expect, expect_close, expect_tensor, kind_of, number, runs, unchanged
from dino.course.grader.weight_matching import copy_weights, fill, n_weights, transplant, watching, weights_used

Part = Callable[..., nn.Module]

# No channels of 3 where it can be helped: a weight of 3 x 3 x 3 x 3 numbers can be read in too many ways.


@runs(2)
def test_block(block: Part, seed: int) -> None:
    """2.1: convolution, ReLU, convolution, plus the skip, whether the number of channels stays, grows or shrinks."""
    for n, channels_in, channels_out in ((2, 4, 4), (3, 2, 5), (1, 5, 2)):
        exam = Exam(block, "Block", channels_in, channels_out, shape=(n, channels_in, 6, 7), seed=seed)
        exam.expect_sound(shape=(n, channels_out, 6, 7))
        exam.expect_weights()
        if channels_in == channels_out:
            exam.expect_nothing_added(
                "With all its weights at 0, a Block that keeps the number of channels returns its input."
            )
        exam.expect_same(
            "A Block is a convolution, a ReLU and a convolution, plus the skip, with nothing after the sum."
        )
    exam.expect_can_learn()
    expect_modest(block(16, 20), "Block", seed)


@runs(2)
def test_pool(pool: Part, seed: int) -> None:
    """2.2: a small network of each channel's maximum, added to every pixel."""
    exam = Exam(pool, "Pool", 5, shape=(3, 5, 6, 7), seed=seed)
    exam.expect_sound(shape=(3, 5, 6, 7))
    exam.expect_weights()
    exam.expect_nothing_added("With all its weights at 0, a Pool returns its input.")
    (x,) = exam.question
    answer = exam.ours(x)
    added = answer - x
    even = added.mean((2, 3), keepdim=True).expand_as(added)
    expect_close(added, even, "What a Pool adds is the same number at all pixels of a channel.", tolerance=TOLERANCE)
    alone = torch.cat([exam.ours(image[None]) for image in x])
    expect_close(answer, alone, "Each image has maxima of its own, whatever else is in the batch.", tolerance=TOLERANCE)
    lower = torch.where(x == x.amax((2, 3), keepdim=True), x, x - 0.5)
    what = "What a Pool adds depends on each channel's largest number alone: lower ones may change."
    expect_close(exam.ours(lower) - lower, added, what, tolerance=TOLERANCE)
    exam.expect_same("What a Pool adds is a 1x1 convolution, a ReLU and a 1x1 convolution of the maxima.")
    exam.expect_can_learn()
    expect_modest(pool(16), "Pool", seed)


@runs(2)
def test_stage(stage: Part, seed: int) -> None:
    """2.3: a convolution, some Blocks, a Pool."""
    for n, channels_in, channels_out, depth in ((2, 2, 5, 4), (3, 4, 4, 1), (1, 5, 2, 0)):
        exam = Exam(stage, "Stage", channels_in, channels_out, depth, shape=(n, channels_in, 6, 7), seed=seed)
        exam.expect_sound(shape=(n, channels_out, 6, 7))
        exam.expect_weights()
        exam.expect_same(f"A Stage is a convolution, then its Blocks (here {depth}), then a Pool.", attempts=2)
    exam.expect_can_learn()


NETWORKS: list[tuple[tuple[Any, ...], tuple[int, ...], str]] = [
    ((3, (4,), (1,)), (2, 3, 5, 7), "A UNet with one resolution is picture and level, a Stage, then the head."),
    (
        (3, (4, 4), (0, 0)),
        (3, 3, 4, 6),
        "With two resolutions, it is a Stage, halving, two Stages, doubling, plus the skip, then the head.",
    ),
    ((1, (4, 4, 4), (0, 0, 0)), (1, 1, 8, 12), "With three resolutions, each skip is added where it came from."),
    ((2, (4, 5, 2, 6), (2, 0, 1, 0)), (3, 2, 16, 24), "Each resolution has its own number of channels and of Blocks."),
]


@runs(2)
def test_unet(unet: Part, seed: int) -> None:
    """2.4: the level comes in, the U goes down and up with its skips, the head answers from mid-gray on."""
    first = seed % 2 == 0  # at the other seeds the largest network alone is asked again, at other weights
    networks = NETWORKS if first else NETWORKS[-1:]
    exams = [Exam(unet, "UNet", *arguments, shape=shape, seed=seed, make=False) for arguments, shape, _ in networks]
    for exam, (_, shape, what) in zip(exams, networks, strict=True):
        exam.make()
        exam.expect_sound(shape=shape)
        if exam.arguments == NETWORKS[0][0]:
            expect_level_used(exam)
        exam.expect_weights()
        exam.expect_same(what, attempts=2)
    if not first:
        return
    expect_mid_gray(exams[0])
    exams[0].expect_can_learn()
    for widths, depths in (((4, 4), (1,)), ((4,), (1, 1))):
        expect_refused(unet, widths, depths)
    with trying("UNet()"):
        total = n_weights(unet())
    expect(total == 2_178_819, "`UNet()` has 2,178,819 weights.", expected="2,178,819", got=f"{total:,}")


# ---- an answer and the course's own ---------------------------------------------------------------------------------

TOLERANCE = 1e-9  # in float64, where these small networks differ by some 1e-15 if they are the same


class Course(NamedTuple):
    """The course's own network, what it is asked, and what it says. All in float64."""

    weights: list[Tensor]  # in the order of their first use
    question: tuple[Tensor, ...]  # x, or noisy and noise_level
    answer: Tensor
    pull: Tensor  # which way the answer is pulled, to see what that does to the input
    slope: Tensor  # the gradient at the input


@cache  # as an answer that fails is compared with many mistakes
def course_network(kind: str, arguments: tuple[Any, ...], shape: tuple[int, ...], seed: int) -> Course:
    """The course's network with these arguments, at random weights."""
    with torch.random.fork_rng(devices=[]):
        network = getattr(denoiser, kind)(*arguments).double()
    if kind == "UNet":
        question: tuple[Tensor, ...] = uniform(seed, *shape), levels(shape[0])
    else:  # with some channels negative all over, and numbers of all sizes
        question = (4 * normal(seed, *shape) + torch.linspace(-16, 8, shape[1]).view(-1, 1, 1),)
    weights = weights_used(network, *question)
    fill(weights, seed, scale=1.5)
    x = question[0].clone().requires_grad_()
    answer = network(x, *question[1:])
    pull = normal(seed + 1, *answer.shape)
    (slope,) = torch.autograd.grad((answer * pull).sum(), x)
    return Course(weights, question, answer.detach(), pull, slope)


class Exam:
    """An answer, held against the course's network with the same arguments."""

    def __init__(
        self, answer: Part, kind: str, *arguments: Any, shape: tuple[int, ...], seed: int, make: bool = True
    ) -> None:
        self.answer, self.kind, self.arguments, self.seed = answer, kind, arguments, seed
        self.name = f"{kind}({', '.join(map(str, arguments))})"
        self.course = course_network(kind, arguments, shape, seed)
        self.question = tuple(x.clone() for x in self.course.question)
        if make:
            self.make()

    def make(self) -> nn.Module:
        """A new one of theirs, to be asked from now on."""
        with trying(self.name):
            self.ours = self.answer(*self.arguments)
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
        return self.ours

    def expect_sound(self, shape: Sequence[int]) -> None:
        """What holds for every network of the course, with the weights it happens to start with."""
        question = tuple(x.float() for x in self.question)
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

    def expect_weights(self) -> None:
        """As many weights as the course's, of the same sizes. They then have the same numbers in them, in float64."""
        nn.Module.double(self.ours)  # a UNet may well have a method `double` of its own
        if copy_weights(self.course.weights, self.weights):
            return
        fill(self.weights, self.seed, scale=1.5)
        with trying(self.name, *self.question):
            answer = self.ours(*self.question).detach().flatten()
        raise Wrong(
            f"`{self.name}` has the weights that its layers need, no more and no fewer.",
            expected=sizes(self.course.weights),
            got=sizes(self.weights),
            evidence=torch.cat([torch.tensor([weight.numel() for weight in self.weights]), answer]),
        )

    def expect_nothing_added(self, what: str) -> None:
        """What is left of the answer when all weights are 0 is the input."""
        before = self.ours(*self.question)
        fill(self.weights, 0, scale=0.0)
        try:
            expect_close(left := self.ours(*self.question), self.question[0], what)
        except Wrong as wrong:
            wrong.evidence = torch.stack([before, left]).detach()  # a product and a lack leave the same: nothing
            raise
        copy_weights(self.course.weights, self.weights)

    def expect_same(self, what: str, attempts: int = 24) -> None:
        """With the same weights, the same answers, and the same gradients at the input."""
        x, *more = self.question
        x = x.clone().requires_grad_()
        got, want = None, self.course.answer
        tolerance = TOLERANCE * max(1.0, want.abs().max().item())

        def same() -> bool:
            nonlocal got
            got = self.ours(x, *more)
            fits = isinstance(got, Tensor) and got.shape == want.shape
            return fits and bool((got.detach() - want).abs().max() <= tolerance)

        with trying(self.name, x, *more):
            if not transplant(self.course.weights, self.weights, same, attempts=attempts):
                expect_close(self.ours(x, *more), want, what, tolerance=tolerance)
        what = f"Gradients flow back through all of `{self.kind}`, to its weights and to its input."
        expect(got is not None and got.requires_grad, what, got="an answer that is cut off from the weights")
        try:
            slope, *slopes = torch.autograd.grad((got * self.course.pull).sum(), [x, *self.weights], allow_unused=True)
        except RuntimeError as error:
            raise Wrong(what, got=str(error).strip().partition("\n")[0]) from error
        missing = sum(s is None or not s.any() for s in slopes)
        expect(not missing, what, got=f"{missing} of {len(slopes)} weights and biases that they don't reach")
        expect(slope is not None, what, got="none at the input")
        tolerance = TOLERANCE * max(1.0, self.course.slope.abs().max().item())
        expect_close(slope, self.course.slope, what, tolerance=tolerance)

    def expect_can_learn(self) -> None:
        """The weights that it starts with differ, or come to differ in training: alike ones would do the same work."""
        what = f"The weights of a new `{self.kind}` are random, for those that start alike learn alike."
        new = nn.Module.double(self.make())
        weights = weights_used(new, *self.question)
        for weight in weights:
            first = weight.flatten()[0].item()
            stuck = is_matrix(weight) and first != 0 and bool((weight == first).all())
            expect(not stuck, what, got=f"{weight.numel()} weights that all start as {number(first)}")
        target: Tensor | None = None
        for _ in range(3):  # a weight at 0 may hold up the one before it for a step
            answer = new(*self.question)
            target = normal(self.seed + 2, *answer.shape) if target is None else target
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


def expect_level_used(exam: Exam) -> None:
    """The answer to each image depends on its own level."""
    noisy, level = (x.float() for x in exam.question)
    fill(exam.weights, exam.seed)  # for a network may well start with a last layer of zeros
    other, single = level.clone(), level[:1]
    other[1] = 0.1
    with trying(exam.name, noisy, level):
        changed = (exam.ours(noisy, other) - (answer := exam.ours(noisy, level))).abs().amax((1, 2, 3)) > 1e-6
        if changed.tolist() != [False, True]:
            expect(
                not alike(answer, exam.ours(noisy, 1 - level)),
                "The answer depends on the noise level.",
                expected="different answers at different levels",
                got="the same answer",
            )
            raise Wrong(
                "Each image is told its own level: a new level for image 1 changes the answer to that image alone.",
                expected="a new answer to image 1 alone",
                got="a new answer to " + (" and ".join(f"image {i}" for i in range(2) if changed[i]) or "none"),
            )
    with trying(exam.name, noisy, single):
        got = expect_tensor(exam.ours(noisy, single), "The answer at one level for the whole batch", noisy.shape)
    want = exam.ours(noisy, single.expand_as(level))
    expect_close(got, want, "One level, (1, 1, 1, 1), serves for every image of the batch.")


def expect_mid_gray(exam: Exam) -> None:
    """Only the last bias starts at 0.5. Where all else is 0, nothing but it is left of the answer."""
    new = nn.Module.double(exam.make())
    weights = weights_used(new, *exam.question)
    halves = sum(bool((weight == 0.5).all()) for weight in weights if not is_matrix(weight))
    with torch.no_grad():
        for weight in weights:
            if is_matrix(weight):
                weight.zero_()
    answer = new(*exam.question)
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
    """A noise level for each of n images, all different, and the same in float32 and float64."""
    return torch.tensor([0.1875, 0.875, 0.5625], dtype=torch.float64)[:n].view(n, 1, 1, 1)


# ---- the picture ----------------------------------------------------------------------------------------------------


DRAWN: dict[Any, tuple[nn.Module, list[Tensor], Tensor]] = {}  # dino's networks, which both sides need


def with_the_same_weights(
    part: ModuleType, kind: str, *arguments: Any, question: tuple[Tensor, ...], seed: int = 2
) -> nn.Module:
    """A network of the learner's or dino's, with the weights that dino's is drawn with, as far as they fit."""
    question = tuple(x[:1] for x in question)  # one image tells enough
    if (kind, arguments, seed) not in DRAWN:
        usual = getattr(denoiser, kind)(*arguments)
        weights = weights_used(usual, *question)
        fill(weights, seed)
        DRAWN[kind, arguments, seed] = usual, weights, usual(*question).detach()
    usual, weights, answer = DRAWN[kind, arguments, seed]
    if part is denoiser:
        return usual
    # Each row shows one exercise: a mistake in another should not show here as well.
    own_parts = {name: getattr(part, name) for name in ("Block", "Pool", "Stage", "UNet") if hasattr(part, name)}
    for name in own_parts.keys() - {kind}:
        setattr(part, name, getattr(denoiser, name))
    try:
        network: nn.Module = own_parts[kind](*arguments)
    finally:
        for name, value in own_parts.items():
            setattr(part, name, value)
    own = weights_used(network, *question)
    if not transplant(weights, own, lambda: torch.allclose(network(*question), answer, atol=1e-4), attempts=4):
        fill(own, seed)
    return network


def features(part: ModuleType) -> Tensor:
    """What a Block makes of a gray emoji: five channels, 0 as mid-gray."""
    x = 2 * emoji()[1:2].mean(1, keepdim=True) - 1
    block = with_the_same_weights(part, "Block", 1, 5, question=(x,))
    return torch.cat([x, block(x)], dim=1).transpose(0, 1) / 5 + 0.5


def one_bright_pixel(part: ModuleType) -> Tensor:
    """What a Pool answers with and without one bright pixel, and the difference."""
    plain = emoji()[5:6].clone()
    bright = plain.clone()
    bright[:, :, 8, 20] = 2
    pool = with_the_same_weights(part, "Pool", 3, question=(plain,))
    before, after = pool(plain), pool(bright)
    return torch.cat([plain, before / 3 + 0.5, after / 3 + 0.5, (after - before) / 3 + 0.5])


def reach(network: nn.Module, *question: Tensor) -> Tensor:
    """Which pixels the middle one of the answer depends on: the brighter, the more; black are those without effect."""
    x = question[0].clone().requires_grad_()
    answer = network(x, *question[1:])
    (slope,) = torch.autograd.grad(answer[..., 16, 16].abs().sum(), x)
    slope = slope.abs().amax(1, keepdim=True)
    return (1 + (slope / slope.max() + 1e-9).log10() / 5).clamp(0, 1)


def reach_of_stages(part: ModuleType) -> Tensor:
    """How far Stages of several depths see."""
    x = uniform(0, 1, 3, 32, 32).float()
    return torch.cat([reach(with_the_same_weights(part, "Stage", 3, 6, n, question=(x,)), x) for n in (0, 1, 2, 4)])


def reach_of_unets(part: ModuleType) -> Tensor:
    """How far UNets of several resolutions see."""
    question = uniform(0, 1, 3, 32, 32).float(), torch.full((1, 1, 1, 1), 0.5)
    sizes = [((6,) * n, (0,) * n) for n in (1, 2, 3)]
    return torch.cat(
        [reach(with_the_same_weights(part, "UNet", 3, *size, question=question), *question) for size in sizes]
    )


def answers_by_level(part: ModuleType) -> Tensor:
    """What a UNet with random weights answers to one picture, told different levels, without the margins."""
    question = emoji()[1:2].expand(5, -1, -1, -1), torch.linspace(0, 1, 5).view(5, 1, 1, 1)
    network, usual = (
        with_the_same_weights(whose, "UNet", 3, (6, 6, 6), (0, 0, 0), question=question, seed=4)
        for whose in (part, denoiser)
    )
    with torch.no_grad():
        answer, scale = (model(*question)[..., 4:-4, 4:-4] for model in (network, usual))
    mean, spread = scale.mean((0, 2, 3), keepdim=True), scale.std((0, 2, 3), keepdim=True)
    return (answer - mean) / spread / 5 + 0.5


PANELS = [
    Panel("Block", "a gray emoji, and the five channels that a Block with random weights makes of it", features),
    Panel("Pool", "an emoji; its answer; the answer if one pixel is made bright; the difference", one_bright_pixel),
    Panel("Stage", "the pixels that the middle one depends on, with 0, 1, 2 and 4 Blocks", reach_of_stages),
    Panel("UNet", "the pixels that the middle one depends on, with 1, 2 and 3 resolutions", reach_of_unets),
    Panel("UNet", "random weights' answers to one picture, told levels from 0 to 1", answers_by_level),
]
