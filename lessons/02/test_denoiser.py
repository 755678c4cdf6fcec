"""Grader of lesson 02: what `Block`, `Pool`, `Stage` and `UNet` must do.

The grader compares the learner's network with the reference network. Both get the same weights, in the order in which
they use the weights, and must then have the same output. So it doesn't matter how the learner's network names, makes,
arranges or calls its layers.
"""

import contextlib
from collections.abc import Callable, Iterator, Sequence
from functools import cache
from itertools import chain
from types import ModuleType
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dino import denoiser
from dino.course.grader.contact_sheet import Panel, emoji
from dino.course.grader.expect import (
    Wrong,
    advice,
    afterward,
    expect,
    expect_close,
    expect_tensor,
    kind_of,
    number,
    runs,
    unchanged,
)
from dino.course.grader.weight_matching import copy_weights, fill, n_weights, transplant, watching, weights_used

Part = Callable[..., nn.Module]

# Where possible, no network has 3 channels: the dimensions of a 3 x 3 x 3 x 3 weight could be in too many orders.


@runs(2)
def test_block(block: Part, seed: int) -> None:
    """2.1: convolution, ReLU, convolution, plus the skip, for the same, more or fewer channels in the output."""
    for n, channels_in, channels_out in ((2, 4, 4), (3, 2, 5), (1, 5, 2)):
        exam = Exam(block, "Block", channels_in, channels_out, shape=(n, channels_in, 6, 7), seed=seed)
        exam.expect_sound(shape=(n, channels_out, 6, 7))
        exam.expect_weights()
        if channels_in == channels_out:
            exam.expect_nothing_added(
                "When all its weights are 0, a Block that keeps the number of channels returns its input."
            )
        exam.expect_same(
            "A Block is a convolution, a ReLU and a convolution, plus the skip, with nothing after the sum."
        )
    exam.expect_can_learn()
    expect_modest(block(16, 20), "Block", seed)


@runs(2)
def test_pool(pool: Part, seed: int) -> None:
    """2.2: a small network applied to each channel's maximum, with its output added to every pixel."""
    exam = Exam(pool, "Pool", 5, shape=(3, 5, 6, 7), seed=seed)
    exam.expect_sound(shape=(3, 5, 6, 7))
    exam.expect_weights()
    exam.expect_nothing_added("When all its weights are 0, a Pool returns its input.")
    (x,) = exam.inputs
    output = exam.network(x)
    added = output - x
    even = added.mean((2, 3), keepdim=True).expand_as(added)
    expect_close(added, even, "A Pool adds the same number to all pixels of a channel.", tolerance=TOLERANCE)
    alone = torch.cat([exam.network(image[None]) for image in x])
    expect_close(
        output,
        alone,
        "Each image has its own maxima, regardless of the other images in the batch.",
        tolerance=TOLERANCE,
    )
    lower = torch.where(x == x.amax((2, 3), keepdim=True), x, x - 0.5)
    what = "What a Pool adds depends only on the maximum of each channel, not on lower values."
    expect_close(exam.network(lower) - lower, added, what, tolerance=TOLERANCE)
    exam.expect_same("A Pool adds the maxima after a 1x1 convolution, a ReLU and a 1x1 convolution.")
    exam.expect_can_learn()
    expect_modest(pool(16), "Pool", seed)


@runs(2)
def test_stage(stage: Part, seed: int) -> None:
    """2.3: a convolution, some Blocks, a Pool."""
    for n, channels_in, channels_out, depth in ((2, 6, 8, 4), (3, 4, 4, 1), (1, 5, 2, 0)):
        exam = Exam(stage, "Stage", channels_in, channels_out, depth, shape=(n, channels_in, 6, 7), seed=seed)
        exam.expect_sound(shape=(n, channels_out, 6, 7))
        exam.expect_weights()
        exam.expect_same(f"A Stage is a convolution, then its Blocks (here {depth}), then a Pool.", attempts=2)
    exam.expect_can_learn()


NETWORKS: list[tuple[tuple[Any, ...], tuple[int, ...], str]] = [
    (
        (3, (4,), (1,)),
        (2, 3, 5, 7),
        "A UNet with one resolution takes image and level as channels, runs a Stage and runs the head.",
    ),
    (
        (3, (4, 4), (0, 0)),
        (3, 3, 4, 6),
        "A UNet with two resolutions runs a Stage, halves, runs two Stages, doubles, adds the skip and runs the head.",
    ),
    (
        (1, (4, 4, 4), (0, 0, 0)),
        (1, 1, 8, 12),
        "With three resolutions, each skip is added at the resolution where it was stored.",
    ),
    (
        (2, (4, 5, 2, 6), (2, 0, 1, 0)),
        (3, 2, 16, 24),
        "Each resolution has its own number of channels and its own number of Blocks.",
    ),
]


@runs(2)
def test_unet(unet: Part, seed: int) -> None:
    """2.4: the level is an input, the U goes down and up with its skips, and the head starts at mid-gray."""
    first = seed % 2 == 0  # other seeds only repeat the largest network, with other weights
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
    with trying("UNet()"):
        total = n_weights(unet())
    expect(total == 2_178_819, "`UNet()` has 2,178,819 weights.", expected="2,178,819", got=f"{total:,}")
    with advice():
        for widths, depths in (((4, 4), (1,)), ((4,), (1, 1))):
            expect_refused(unet, widths, depths)


# ---- the learner's network and the reference network -----------------------------------------------------------------

TOLERANCE = 1e-9  # in float64, where equal networks of this size differ by about 1e-15


class Reference(NamedTuple):
    """The weights of a reference network, its inputs and its output. All in float64."""

    weights: list[Tensor]  # in the order of their first use
    inputs: tuple[Tensor, ...]  # x, or noisy and noise_level
    output: Tensor
    grad_output: Tensor  # a random gradient at the output, to start the backward pass from
    grad_input: Tensor  # the gradient at the first input that follows from it


@cache  # because an answer that fails is compared with many mistakes
def reference_network(kind: str, arguments: tuple[Any, ...], shape: tuple[int, ...], seed: int) -> Reference:
    """Return the reference network with these arguments and random weights."""
    with torch.random.fork_rng(devices=[]):
        network = getattr(denoiser, kind)(*arguments).double()
    if kind == "UNet":
        inputs: tuple[Tensor, ...] = uniform(seed, *shape), levels(shape[0])
    else:  # some channels are negative everywhere, and the numbers are of all sizes
        inputs = (4 * normal(seed, *shape) + torch.linspace(-16, 8, shape[1]).view(-1, 1, 1),)
    weights = weights_used(network, *inputs)
    fill(weights, seed, scale=1.5)
    x = inputs[0].clone().requires_grad_()
    output = network(x, *inputs[1:])
    grad_output = normal(seed + 1, *output.shape)
    (grad_input,) = torch.autograd.grad((output * grad_output).sum(), x)
    return Reference(weights, inputs, output.detach(), grad_output, grad_input)


class Exam:
    """A comparison of the learner's network with the reference network of the same arguments."""

    def __init__(
        self, answer: Part, kind: str, *arguments: Any, shape: tuple[int, ...], seed: int, make: bool = True
    ) -> None:
        self.answer, self.kind, self.arguments, self.seed = answer, kind, arguments, seed
        self.name = f"{kind}({', '.join(map(str, arguments))})"
        self.reference = reference_network(kind, arguments, shape, seed)
        self.inputs = tuple(x.clone() for x in self.reference.inputs)
        if make:
            self.make()

    def make(self) -> nn.Module:
        """Make a new network from the learner's class. The following checks use this network."""
        with trying(self.name):
            self.network = self.answer(*self.arguments)
        expect(
            isinstance(self.network, nn.Module),
            f"`{self.kind}` must be an nn.Module. Otherwise its weights can't be trained.",
            expected="a class that starts like the stub",
            got=kind_of(self.network),
        )
        expect(
            type(self.network).forward is not nn.Module.forward,
            f"`{self.kind}` must have a method `forward`.",
            got="no method of this name",
        )
        return self.network

    def expect_sound(self, shape: Sequence[int]) -> None:
        """Check what holds for every network of the course, with its initial weights."""
        inputs = tuple(x.float() for x in self.inputs)
        names = ("noisy", "noise_level") if len(inputs) == 2 else ("x",)
        with trying(self.name, *inputs):
            with unchanged(**dict(zip(names, inputs, strict=True))), watching() as self.weights:
                output = self.network(*inputs)
            expect_tensor(output, f"The output of `{self.name}`", shape, dtype=torch.float32)
            nn.Module.eval(self.network)
            evaluated = self.network(*inputs)
            nn.Module.train(self.network)
            if not alike(output, evaluated):
                steady = alike(output, self.network(*inputs))
                raise Wrong(
                    f"`{self.kind}` gives the same output for the same input, in training and after `.eval()`.",
                    expected="the same output",
                    got="a different output after `.eval()`" if steady else "a different output each time",
                    evidence=torch.tensor([steady, not list(self.network.parameters())]),
                )
        registered = list(self.network.parameters())
        unseen = others(self.weights, than=registered)
        expect(
            not unseen,
            f"All weights that `{self.kind}` uses are among its `parameters()`. Only parameters are trained and saved.",
            expected=f"all {len(self.weights)} weights and biases",
            got=f"{len(self.weights) - len(unseen)} of them{shapes(unseen, 'without')}",
            evidence=shape_codes(unseen, self.weights),
        )
        idle = others(registered, than=self.weights)
        expect(
            not idle,
            f"Every weight of `{self.kind}` affects its output, and can be trained.",
            expected="no unused weights",
            got=f"{len(idle)} unused ones among {len(registered)} weights and biases{shapes(idle)}",
            evidence=shape_codes(idle, self.weights),
        )

    def expect_weights(self) -> None:
        """Check the number and the sizes of the weights, then copy the reference's numbers into them."""
        nn.Module.double(self.network)  # because a UNet may have its own method `double`
        if copy_weights(self.reference.weights, self.weights):
            return
        for weight in self.weights:  # by its size alone, because the skip may be computed first or last
            fill([weight], weight.numel(), scale=1.5)
        with trying(self.name, *self.inputs):
            output = self.network(*self.inputs).detach().flatten()
        raise Wrong(
            f"`{self.name}` has the weights that its layers need, no more and no fewer.",
            expected=sizes(self.reference.weights),
            got=sizes(self.weights),
            evidence=torch.cat([layer_codes(self.weights), output]),
        )

    def expect_nothing_added(self, what: str) -> None:
        """Check that the output is the input when all weights are 0."""
        before = self.network(*self.inputs)
        fill(self.weights, 0, scale=0.0)
        try:
            expect_close(after := self.network(*self.inputs), self.inputs[0], what)
        except Wrong as wrong:
            # Both, because a product with the skip and a missing skip look the same when all weights are 0.
            wrong.evidence = torch.stack([before, after]).detach()
            raise
        copy_weights(self.reference.weights, self.weights)

    def expect_same(self, what: str, attempts: int = 24) -> None:
        """Check that the same weights give the same output and the same gradient at the input."""
        x, *more = self.inputs
        x = x.clone().requires_grad_()
        got, want = None, self.reference.output
        tolerance = TOLERANCE * max(1.0, want.abs().max().item())

        def same() -> bool:
            nonlocal got
            got = self.network(x, *more)
            fits = isinstance(got, Tensor) and got.shape == want.shape
            return fits and bool((got.detach() - want).abs().max() <= tolerance)

        with trying(self.name, x, *more):
            if not transplant(self.reference.weights, self.weights, same, attempts=attempts):
                expect_close(self.network(x, *more), want, what, tolerance=tolerance)
        what = f"Gradients flow back through all of `{self.kind}`, to its weights and to its input."
        expect(got is not None and got.requires_grad, what, got="an output that is detached from the weights")
        try:
            grads = torch.autograd.grad((got * self.reference.grad_output).sum(), [x, *self.weights], allow_unused=True)
        except RuntimeError as error:
            raise Wrong(what, got=str(error).strip().partition("\n")[0]) from error
        grad_input, *grad_weights = grads
        missing = sum(grad is None or not grad.any() for grad in grad_weights)
        expect(not missing, what, got=f"{missing} of {len(grad_weights)} weights and biases without a gradient")
        expect(grad_input is not None, what, got="no gradient at the input")
        tolerance = TOLERANCE * max(1.0, self.reference.grad_input.abs().max().item())
        expect_close(grad_input, self.reference.grad_input, what, tolerance=tolerance)

    def expect_can_learn(self) -> None:
        """Check that weights differ at the start or after a few steps. Equal weights would all do the same work."""
        what = f"The weights of a new `{self.kind}` are random. Weights that start equal stay equal."
        new = nn.Module.double(self.make())
        weights = weights_used(new, *self.inputs)
        for weight in weights:
            first = weight.flatten()[0].item()
            stuck = is_matrix(weight) and first != 0 and bool((weight == first).all())
            expect(not stuck, what, got=f"{weight.numel()} weights that all start at {number(first)}")
        target: Tensor | None = None
        for _ in range(3):  # because a weight at 0 may delay the one before it by a step
            output = new(*self.inputs)
            target = normal(self.seed + 2, *output.shape) if target is None else target
            grads = torch.autograd.grad(F.mse_loss(output, target), weights, allow_unused=True)
            grads = tuple(torch.zeros_like(w) if g is None else g for g, w in zip(grads, weights, strict=True))
            length = torch.stack([g.norm() for g in grads]).norm() + 1e-12
            with torch.no_grad():
                for weight, grad in zip(weights, grads, strict=True):
                    weight -= 0.1 * grad / length
        stuck = sum(is_matrix(weight) and has_alike(weight) for weight in weights)
        expect(
            not stuck, what, got=f"{stuck} of {len(weights)} weights and biases whose numbers stay equal in training"
        )


@contextlib.contextmanager
def trying(name: str, *inputs: Tensor) -> Iterator[None]:
    """Add a note to errors from inside: which network was tried, and the shape of its input."""
    try:
        yield
    except (Wrong, NotImplementedError):
        raise
    except Exception as error:
        shapes = " and ".join(str(tuple(x.shape)) for x in inputs)
        error.add_note(f"tried with `{name}`" + f" and an input of shape {shapes}" * bool(inputs))
        raise


def expect_modest(new: nn.Module, kind: str, seed: int) -> None:
    """Check the scale of the output. With unscaled weights from randn, each layer's output is many times its input."""
    x = normal(seed, 4, 16, 6, 7).float()
    expect(
        bool(new(x).std() < 10),
        f"The output of a new `{kind}` is about as large as its input.",
        expected="small random weights, as in new layers",
        got="an output more than 10 times as large",
    )


def expect_level_used(exam: Exam) -> None:
    """Check that the prediction for each image depends on that image's own level."""
    noisy, level = (x.float() for x in exam.inputs)
    fill(exam.weights, exam.seed)  # because the last layer of a new network may be all zeros
    other, single = level.clone(), level[:1]
    other[1] = 0.1
    with trying(exam.name, noisy, level):
        changed = (exam.network(noisy, other) - (denoised := exam.network(noisy, level))).abs().amax((1, 2, 3)) > 1e-6
        if changed.tolist() != [False, True]:
            expect(
                not alike(denoised, exam.network(noisy, 1 - level)),
                "The prediction depends on the noise level.",
                expected="different predictions at different levels",
                got="the same prediction",
            )
            raise Wrong(
                "Each image has its own level: a new level for image 1 changes only the prediction for image 1.",
                expected="a new prediction for image 1 alone",
                got="a new prediction for " + (" and ".join(f"image {i}" for i in range(2) if changed[i]) or "none"),
            )
    says = "One level of shape (1, 1, 1, 1) applies to every image of the batch."
    with afterward(says):
        name = "The prediction with one level for the whole batch"
        got = expect_tensor(exam.network(noisy, single), name, noisy.shape)
        expect_close(got, exam.network(noisy, single.expand_as(level)), says)


def expect_mid_gray(exam: Exam) -> None:
    """Check that only the last bias starts at 0.5. With only biases left, the output is the last bias."""
    new = nn.Module.double(exam.make())
    weights = weights_used(new, *exam.inputs)
    halves = sum(bool((weight == 0.5).all()) for weight in weights if not is_matrix(weight))
    with torch.no_grad():
        for weight in weights:
            if is_matrix(weight):
                weight.zero_()
    output = new(*exam.inputs)
    first = output.flatten()[0].item()
    expect(
        bool((output == 0.5).all()),
        "The last bias starts at 0.5: when all weights except the biases are 0, a new UNet predicts 0.5 everywhere.",
        expected="0.5",
        got=number(first) if bool((output == first).all()) else "different numbers",
    )
    expect(halves == 1, "Only the last bias starts at 0.5.", got=f"{halves} biases that start at 0.5")


def expect_refused(unet: Part, widths: tuple[int, ...], depths: tuple[int, ...]) -> None:
    """Check that different numbers of widths and depths raise a ValueError."""
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
        "`UNet` raises a ValueError if the numbers of widths and depths differ.",
        expected=f"a ValueError from UNet(3, {widths}, {depths})",
        got=got,
    )


def alike(one: Tensor, other: Tensor) -> bool:
    """Return True if two tensors are equal up to float32 rounding."""
    return one.shape == other.shape and torch.allclose(one, other, rtol=1e-5, atol=1e-6 * one.abs().max().item())


def is_matrix(weight: Tensor) -> bool:
    """Return True for the weight of a convolution or a linear layer, False for a bias."""
    return weight.squeeze().dim() > 1


def has_alike(weight: Tensor) -> bool:
    """Return True if all slices along some dimension are equal, as when all channels do the same work."""
    along = [dim for dim, size in enumerate(weight.shape) if size > 1]
    return any(bool((weight - weight.narrow(dim, 0, 1)).abs().max() < 1e-9) for dim in along)


def sizes(weights: list[Tensor]) -> str:
    """Describe the weights of a network: how many, and of which shapes."""
    total = sum(weight.numel() for weight in weights)
    return f"{total:,} numbers in {len(weights)} weights and biases{shapes(weights)}"


def shapes(weights: list[Tensor], word: str = "") -> str:
    """Return the shapes of a few weights, in parentheses: the largest first, in whatever order they are used."""
    largest_first = sorted(weights, key=lambda weight: (-weight.numel(), weight.shape))
    listed = ", ".join("x".join(map(str, weight.shape)) for weight in largest_first)
    return f" ({f'{word} {listed}'.lstrip()})" * (0 < len(weights) < 6)


def layer_codes(weights: list[Tensor]) -> Tensor:
    """Return the sizes of weights, each with its bias, in an order that doesn't depend on which layer is used first."""
    layers: list[list[int]] = []
    for weight in weights:
        if is_matrix(weight) or not layers:
            layers.append([])
        layers[-1].append(weight.numel())
    return torch.tensor(list(chain.from_iterable(sorted(layers))))


def shape_codes(weights: list[Tensor], used: list[Tensor]) -> Tensor:
    """Return shapes of weights as numbers, in an order that doesn't depend on names, and how many weights are used."""
    padded = sorted([*weight.shape, *[0] * (4 - weight.dim())] for weight in weights)
    return torch.tensor([*padded, [len(used), 0, 0, 0]], dtype=torch.float64)


def others(weights: list[Tensor], *, than: list[Tensor]) -> list[Tensor]:
    """Return the weights that aren't in another list."""
    return [weight for weight in weights if all(weight is not other for other in than)]


def normal(seed: int, *shape: int) -> Tensor:
    """Return standard normal numbers in float64."""
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def uniform(seed: int, *shape: int) -> Tensor:
    """Return uniform numbers from 0 to 1 in float64."""
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def levels(n: int) -> Tensor:
    """Return a noise level for each of n images, all different. float32 and float64 hold them exactly."""
    return torch.tensor([0.1875, 0.875, 0.5625], dtype=torch.float64)[:n].view(n, 1, 1, 1)


# ---- the contact sheet ----------------------------------------------------------------------------------------------


DRAWN: dict[Any, tuple[nn.Module, list[Tensor], Tensor]] = {}  # the reference networks, drawn once for both sides


def with_the_same_weights(
    part: ModuleType, kind: str, *arguments: Any, inputs: tuple[Tensor, ...], seed: int = 2
) -> nn.Module:
    """Return a network of `part`, with the weights that the reference network is drawn with, as far as they fit."""
    inputs = tuple(x[:1] for x in inputs)  # one image is enough
    if (kind, arguments, seed) not in DRAWN:
        reference = getattr(denoiser, kind)(*arguments)
        weights = weights_used(reference, *inputs)
        fill(weights, seed)
        DRAWN[kind, arguments, seed] = reference, weights, reference(*inputs).detach()
    reference, weights, output = DRAWN[kind, arguments, seed]
    if part is denoiser:
        return reference
    # Each row shows one exercise, so a mistake in another exercise should not be visible here.
    own_parts = {name: getattr(part, name) for name in ("Block", "Pool", "Stage", "UNet") if hasattr(part, name)}
    for name in own_parts.keys() - {kind}:
        setattr(part, name, getattr(denoiser, name))
    try:
        network: nn.Module = own_parts[kind](*arguments)
    finally:
        for name, value in own_parts.items():
            setattr(part, name, value)
    own = weights_used(network, *inputs)
    if not transplant(weights, own, lambda: torch.allclose(network(*inputs), output, atol=1e-4), attempts=4):
        fill(own, seed)
    return network


def features(part: ModuleType) -> Tensor:
    """Return a gray emoji and a Block's output for it: five channels, with 0 as mid-gray."""
    x = 2 * emoji()[1:2].mean(1, keepdim=True) - 1
    block = with_the_same_weights(part, "Block", 1, 5, inputs=(x,))
    return torch.cat([x, block(x)], dim=1).transpose(0, 1) / 5 + 0.5


def one_bright_pixel(part: ModuleType) -> Tensor:
    """Return an emoji, a Pool's output without and with one bright pixel, and the difference."""
    plain = emoji()[5:6].clone()
    bright = plain.clone()
    bright[:, :, 8, 20] = 2
    pool = with_the_same_weights(part, "Pool", 3, inputs=(plain,))
    before, after = pool(plain), pool(bright)
    return torch.cat([plain, before / 3 + 0.5, after / 3 + 0.5, (after - before) / 3 + 0.5])


def reach(network: nn.Module, *inputs: Tensor) -> Tensor:
    """Return how much the middle pixel of the output depends on each input pixel. Black pixels have no effect."""
    x = inputs[0].clone().requires_grad_()
    output = network(x, *inputs[1:])
    (grad,) = torch.autograd.grad(output[..., 16, 16].abs().sum(), x)
    grad = grad.abs().amax(1, keepdim=True)
    return (1 + (grad / grad.max() + 1e-9).log10() / 5).clamp(0, 1)


def reach_of_stages(part: ModuleType) -> Tensor:
    """Return how far Stages of several depths see."""
    x = uniform(0, 1, 3, 32, 32).float()
    return torch.cat([reach(with_the_same_weights(part, "Stage", 3, 6, n, inputs=(x,)), x) for n in (0, 1, 2, 4)])


def reach_of_unets(part: ModuleType) -> Tensor:
    """Return how far UNets with several resolutions see."""
    inputs = uniform(0, 1, 3, 32, 32).float(), torch.full((1, 1, 1, 1), 0.5)
    sizes = [((6,) * n, (0,) * n) for n in (1, 2, 3)]
    return torch.cat([reach(with_the_same_weights(part, "UNet", 3, *size, inputs=inputs), *inputs) for size in sizes])


def predictions_by_level(part: ModuleType) -> Tensor:
    """Return the predictions of a UNet with random weights for one image at different levels, without the margins."""
    inputs = emoji()[1:2].expand(5, -1, -1, -1), torch.linspace(0, 1, 5).view(5, 1, 1, 1)
    network, reference = (
        with_the_same_weights(whose, "UNet", 3, (6, 6, 6), (0, 0, 0), inputs=inputs, seed=4)
        for whose in (part, denoiser)
    )
    with torch.no_grad():
        output, scale = (model(*inputs)[..., 4:-4, 4:-4] for model in (network, reference))
    mean, std = scale.mean((0, 2, 3), keepdim=True), scale.std((0, 2, 3), keepdim=True)
    return (output - mean) / std / 5 + 0.5


PANELS = [
    Panel("Block", "a gray emoji, and the five output channels of a Block with random weights", features),
    Panel("Pool", "an emoji; the output for it; the output when one pixel is bright; the difference", one_bright_pixel),
    Panel("Stage", "the input pixels that affect the middle of the output, with 0, 1, 2 and 4 Blocks", reach_of_stages),
    Panel("UNet", "the input pixels that affect the middle of the output, with 1, 2 and 3 resolutions", reach_of_unets),
    Panel("UNet", "predictions of random weights for one image, at levels from 0 to 1", predictions_by_level),
]
