"""The grader of lesson 05: what the functions that evaluate a network and its images must do."""

import contextlib
import math
import random
from collections.abc import Callable, Iterator, Sequence
from types import ModuleType
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from dino import evaluation
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
    runs,
    short,
    unchanged,
)
from dino.course.grader.expect_draws import expect_fair_draws, expect_uniform

PATCH = 7
NEAR = 1e-6  # ten roundings of float32, the usual dtype of images


# ---- 5.1 loss_by_noise_level ----------------------------------------------------------------------------------------


class RecordingModel(nn.Module):
    """A denoiser that records its inputs, image by image. Its prediction depends on all inputs, and leaves [0, 1]."""

    def __init__(self, like: Tensor) -> None:
        super().__init__()
        self.gain = nn.Parameter(torch.tensor(1.5, dtype=like.dtype))
        self.part = nn.Identity()  # has a mode of its own, as a layer does
        self.like = like
        self.noisy: list[Tensor] = []
        self.levels: list[Tensor] = []
        self.predictions: list[Tensor] = []
        self.gradients: list[bool] = []

    def __deepcopy__(self, memo: dict[int, Any]) -> "RecordingModel":
        """Return a copy that records in the same lists, so a call of a copy counts as a call of the model."""
        twin = RecordingModel(self.like).train(self.training)
        twin.noisy, twin.levels, twin.predictions, twin.gradients = (
            self.noisy,
            self.levels,
            self.predictions,
            self.gradients,
        )
        return twin

    def forward(self, noisy: Any = None, noise_level: Any = None) -> Tensor:
        says = "The model is called with two arguments: the noisy images and their noise level."
        expect(noisy is not None and noise_level is not None, says, got="only one of them")
        noisy = expect_tensor(noisy, "The model's first argument (the noisy images)")
        says = "The model's first argument is a batch of images."
        fits = noisy.dim() == 4 and noisy.shape[1:] == self.like.shape[1:] and len(noisy) > 0
        expect(fits, says, expected=f"shape (N, {', '.join(map(str, self.like.shape[1:]))})", got=shape(noisy))
        name = "The model's second argument (the noise level)"
        noise_level = expect_tensor(noise_level, name)
        says, fits = f"{name} has the wrong shape.", noise_level.shape in ((1, 1, 1, 1), (len(noisy), 1, 1, 1))
        expect(fits, says, expected="(1, 1, 1, 1)", got=shape(noise_level))
        with advice():
            expect_tensor(noisy, "The model's first argument (the noisy images)", dtype=self.like.dtype)
            expect_tensor(noise_level, name, dtype=self.like.dtype)
        noisy, noise_level = noisy.to(self.like.dtype), noise_level.to(self.like.dtype)
        prediction = self.gain * torch.cos(3 * noisy + 2 * noise_level) + 0.2
        self.noisy += noisy.detach().clone()
        self.levels += noise_level.detach().flatten().expand(len(noisy)).clone()
        self.predictions += prediction.detach().clone()
        self.gradients.append(torch.is_grad_enabled())
        return self.part(prediction)


def test_loss_by_noise_level(loss_by_noise_level: Callable[..., Tensor], seed: int) -> None:
    """5.1: the mean squared error of the predictions at each noise level, with noise that is always the same."""
    # A seed that no one uses for the noise, or the noise would equal the images.
    images = 0.2 + 0.5 * torch.rand(3, 2, 44, 48, generator=seeded(598_317 + seed))
    levels = [0.7, 0.0, 1.0, 0.35]  # unsorted, because the result must keep this order

    def measure(model: RecordingModel, levels: Sequence[float]) -> Tensor:
        given, others = list(levels), _random_states()
        with unchanged(images=model.like):
            losses = loss_by_noise_level(model, model.like, given)
        says = "`levels` belongs to the caller and must not change."
        expect(given == list(levels), says, expected="`levels` unchanged", got="`levels` changed in place")
        with afterward():
            for name, state in _random_states().items():
                says = "The global random generators of Python and numpy stay as they were."
                expect(state == others[name], says, got=f"{name}'s global generator seeded or used")
        return expect_tensor(losses, "The result of `loss_by_noise_level`", finite=False)

    def expect_right(model: RecordingModel) -> Tensor:
        losses = measure(model, levels)
        _expect_losses(model, losses, levels)
        with advice():
            expect_tensor(losses, "The result of `loss_by_noise_level`", dtype=model.like.dtype)
        return losses

    model = RecordingModel(images)
    losses = expect_right(model)
    with afterward():
        free = not losses.requires_grad
        expect(free, "The result carries no gradients.", expected="only numbers", got="numbers that require gradients")
    with afterward():
        says, got = "The model is called with gradients off.", "gradients on during the call"
        expect(not any(model.gradients), says, expected="gradients off during the call", got=got)

    again = RecordingModel(images)
    twice = measure(again, levels)
    expect(
        all(torch.equal(one, other) for one, other in zip(model.noisy, again.noisy, strict=True)),
        "The noise is the same in each call.",
        expected=f"{listed(losses)} in both calls",
        got=f"{listed(twice)} in the second call",
    )
    for mode in (True, False):
        single = RecordingModel(images[:1, :, :5, :4]).train(mode)
        alone = measure(single, [0.5])
        expect_tensor(alone, "The result of `loss_by_noise_level` for one image", (1,))
        says = "For one image and one level, the number is the mean squared error, too."
        expect_close(alone, _errors(single, single.like, [0.5]), says, tolerance=1e-5)
        with advice():
            says = "The model's mode is up to the caller."
            expect(single.training == single.part.training == mode, says, got="a different mode than before")
        with afterward():
            free = all(weight.requires_grad for weight in single.parameters())
            expect(free, "The model can still learn afterward.", got="weights that no longer require gradients")
    with advice("Images of another dtype, here float64, are measured in the same way."):
        expect_right(RecordingModel(images.double()))


def _expect_losses(model: RecordingModel, losses: Tensor, levels: Sequence[float]) -> None:
    """Check the numbers, and what the model got to compute them."""
    noisy = _expect_called(model, levels)
    _expect_the_same_noise(noisy, model.like, levels)
    want = _errors(model, model.like, levels)
    says = "There is one number for each noise level."
    expect(losses.shape == want.shape, says, expected=shape(want), got=shape(losses))
    ratios = losses.detach() / want
    says = "Each number is the mean squared error of the model's predictions at its noise level."
    near = bool(((ratios - 1).abs() <= 1e-5).all())
    expect(
        near,
        says,
        expected=listed(want),
        got=listed(losses),
        evidence=torch.cat([ratios, (losses == 0).to(ratios)]),
        slack=0.08,
    )


def _random_states() -> dict[str, bytes]:
    """Return the states of the global random generators of Python and numpy."""
    return {"Python": repr(random.getstate()).encode(), "numpy": repr(np.random.get_state(legacy=False)).encode()}


def _expect_called(model: RecordingModel, levels: Sequence[float]) -> list[Tensor]:
    """Check that the model got all images at each noise level. Returns its inputs, (N, C, H, W) for each level."""
    n, given = len(model.like), torch.stack(model.levels) if model.levels else torch.zeros(0)
    says = "The model gets each image once at each noise level."
    count = {
        "expected": f"{n * len(levels)} images ({n} at each of {len(levels)} levels)",
        "got": f"{len(given)} images",
    }
    expect(len(given) == n * len(levels), says, **count, evidence=given)
    near = [(given - level).abs() <= NEAR for level in levels]
    says = "The model gets each of the noise levels, with all of the images."
    fits = all(int(which.sum()) == n for which in near)
    found = given.unique()
    expect(fits, says, expected=listed(sorted(levels)), got=listed(found), evidence=given.sort().values)
    return [torch.stack([x for x, here in zip(model.noisy, which, strict=True) if here]) for which in near]


def _expect_the_same_noise(inputs: list[Tensor], images: Tensor, levels: Sequence[float]) -> None:
    """Check that the model's inputs are the images, mixed with the same uniform noise at each noise level."""
    centered = images - images.mean()
    # The weight of the images in each input, the standard deviation of the input, and its mean.
    traces = [((x - x.mean()) * centered).mean() / centered.square().mean() for x in inputs]
    evidence = torch.stack([*traces, *(x.std() for x in inputs), *(x.mean() for x in inputs)])
    noises = []
    for level, noisy in zip(levels, inputs, strict=True):
        if level == 0:
            says = "At level 0, the model gets the images as they are."
            apart = (noisy - images).abs().max()
            facts = {"expected": "the images", "got": f"numbers that differ from the images by up to {number(apart)}"}
            expect(bool(apart < NEAR), says, **facts, evidence=evidence, slack=0.15)
        else:
            noises.append((noisy - (1 - level) * images) / level)
    noise = noises[levels.index(1.0) - 1]  # at level 1, the input is the noise itself
    only_noise = bool(abs(traces[levels.index(1.0)]) < 0.2)
    says = "At level 1, nothing of the images is left, and the model gets pure noise."
    expect(only_noise, says, expected="pure noise", got="a trace of the images", evidence=evidence, slack=0.15)
    inside = bool(noise.min() >= -NEAR and noise.max() <= 1 + NEAR)
    says = "The noise consists of numbers from 0 to 1."
    span = {"expected": "0 to 1", "got": f"{number(noise.min())} to {number(noise.max())}"}
    expect(inside, says, **span, evidence=torch.stack([noise.mean(), noise.std()]), slack=0.05)
    for dim, name in enumerate(("image", "channel", "row", "column")):
        says = f"The noise differs from {name} to {name}."
        differs = bool((noise - noise.roll(1, dim)).abs().mean() > 0.1)  # a third, if they are drawn separately
        expect(differs, says, expected="a separate random number for each", got=f"the same noise in each {name}")
    expect_uniform(noise, "At level 1, the model gets pure noise, and its numbers are")
    same = all(bool((other - noise).abs().max() < 1e-5) for other in noises)
    if not same:
        traces = [torch.corrcoef(torch.stack([x.flatten(), noise.flatten()]))[0, 1] for x in noises]
        scales = [x.std() / noise.std() for x in noises]
        raise Wrong(
            "At each noise level, the same noise is mixed into the images, as much of it as the level says.",
            expected="the same noise at each level",
            got="noise that differs between levels",
            evidence=torch.stack(traces + scales),
            slack=0.15,
        )


def _errors(model: RecordingModel, images: Tensor, levels: Sequence[float]) -> Tensor:
    """Return the mean squared errors of the recorded predictions."""
    given, predictions = torch.stack(model.levels), torch.stack(model.predictions)
    by_level = [predictions[(given - level).abs() <= NEAR] for level in levels]
    return torch.stack([(prediction - images).square().mean() for prediction in by_level])


# ---- 5.2 laplacian_pyramid ------------------------------------------------------------------------------------------


def test_laplacian_pyramid(laplacian_pyramid: Callable[..., list[Tensor]], seed: int) -> None:
    """5.2: what each halving loses, and the image that is left at the end."""
    random = seeded(seed)
    _expect_pyramid(laplacian_pyramid, torch.rand(2, 3, 8, 24, generator=random, dtype=torch.float64), 3)
    _expect_pyramid(laplacian_pyramid, torch.rand(1, 2, 6, 10, generator=random, dtype=torch.float64), 2)
    _expect_pyramid(laplacian_pyramid, torch.rand(3, 1, 16, 8, generator=random), 4)
    _expect_pyramid(laplacian_pyramid, 3 * torch.rand(2, 4, 5, 7, generator=random, dtype=torch.float64) - 1, 1)


def _expect_pyramid(laplacian_pyramid: Callable[..., list[Tensor]], images: Tensor, n_levels: int) -> None:
    with copies(images=images) as given, tried(f"images of shape {shape(images)} and n_levels={n_levels}"):
        levels = laplacian_pyramid(*given, n_levels)
    says = "The result is a list of levels."
    expect(isinstance(levels, list | tuple), says, expected="a list of tensors", got=kind_of(levels))
    for level in levels:
        expect_tensor(level, "Each level", finite=False)
    sizes, want = [images], []
    for _ in range(n_levels - 1):
        sizes.append(_halved(sizes[-1]))
        want.append(sizes[-2] - _doubled(sizes[-1]))
    want.append(sizes[-1])
    says = (
        "There are `n_levels` levels. The first is as large as the images, and each next one is half as high and wide."
    )
    evidence = torch.cat([level.detach().flatten() for level in [*levels, torch.zeros(0)]])
    shapes = {"expected": ", ".join(map(shape, want)), "got": ", ".join(map(shape, levels)) or "none"}
    expect([x.shape for x in levels] == [x.shape for x in want], says, **shapes, evidence=evidence)
    with advice():
        for level in levels:
            expect_tensor(level, f"Each level of {short(images.dtype)} images", dtype=images.dtype, finite=False)
    try:
        if n_levels == 1:
            expect_close(levels[0], images, "With one level, that level is the images themselves.")
        expect_close(
            levels[-1], want[-1], "The last level is the small image that is left, made by averaging 2 x 2 pixels."
        )
        for level, lost in zip(levels[:-1], want[:-1], strict=True):
            says = "Each level but the last is what an image loses when it is halved and doubled again."
            expect_close(level, lost, says)
    except Wrong as wrong:
        wrong.evidence = evidence
        raise


def _halved(images: Tensor) -> Tensor:
    """Return the mean of each 2 x 2 pixels."""
    return images.unflatten(3, (-1, 2)).mean(4).unflatten(2, (-1, 2)).mean(3)


def _doubled(images: Tensor) -> Tensor:
    """Repeat each pixel 2 x 2 times."""
    return images.repeat_interleave(2, 2).repeat_interleave(2, 3)


# ---- 5.3 patches ----------------------------------------------------------------------------------------------------


def test_patches(patches: Callable[..., Tensor], seed: int) -> None:
    """5.3: the right pixels in each row, in the right order."""
    # N, C, H, W and the number of places all differ. All pixels differ too, so each shows where it comes from. In the
    # large images of the first check, even a misread place lies within the image, and shows how it was misread.
    _expect_patches(patches, _numbered(2, 3, 30, 37), [(0, 0), (3, 2), (2, 3), (1, 3)], seed)
    _expect_patches(patches, _numbered(2, 3, 10, 13), [(0, 0), (3, 6), (2, 5), (1, 4)], seed)
    _expect_patches(patches, _numbered(3, 2, 14, 11), [(7, 4), (0, 4), (7, 0), (4, 1), (4, 1)], seed)
    _expect_patches(patches, _numbered(1, 1, 7, 9), [(0, 1)], seed)
    _expect_patches(patches, _numbered(4, 3, 9, 8).float(), [(2, 1), (0, 0)], seed)


def _expect_patches(patches: Callable[..., Tensor], images: Tensor, where: list[tuple[int, int]], seed: int) -> None:
    order = torch.randperm(len(where), generator=seeded(seed)).tolist()
    where = [where[i] for i in order]
    places = torch.tensor(where)
    what = f"images of shape {shape(images)} and the places {where}"
    with copies(images=images, places=places) as given, tried(what):
        found = patches(*given)
    n, channels, _, _ = images.shape
    name = "The result of `patches`"
    found = expect_tensor(found, name, finite=False)
    size = (n * len(where), channels * PATCH * PATCH)
    expect(
        found.shape == size,
        "There is one row for each patch: each image has a patch at each place, with all of its channels.",
        expected=f"{size} for images of shape {shape(images)} and {len(where)} place{'s' * (len(where) > 1)}",
        got=shape(found),
        evidence=found.detach(),
    )
    with advice():
        expect_tensor(found, name, dtype=images.dtype, finite=False)
    want = torch.stack(
        [image[:, row : row + PATCH, column : column + PATCH].reshape(-1) for image in images for row, column in where]
    )
    if torch.equal(found, want):
        return
    off = (found != want).flatten()
    index = int(off.int().argmax())
    row, column = divmod(index, size[1])
    evidence = found.detach()
    same_pixels_in_each_row = torch.equal(found.sort(1).values, want.sort(1).values)
    if same_pixels_in_each_row:
        says = "In a row, the pixels are in reading order: channel after channel, and in each channel line after line."
    elif torch.equal(_sorted_rows(found), _sorted_rows(want)):
        says = "First come the patches of the first image, in the order of `places`, then those of the second image."
    else:
        says = "Each row holds the pixels of one patch: from one image, at one place, with all of its channels."
    raise Wrong(
        says,
        expected=_pixel(want[row, column], images) + f" in row {row}, column {column}",
        got=_pixel(found[row, column], images),
        evidence=evidence,
    )


def _numbered(n: int, channels: int, height: int, width: int) -> Tensor:
    """Return images in which no two pixels are equal."""
    size = n * channels * height * width
    return (torch.arange(size, dtype=torch.float64) / 4096).view(n, channels, height, width)


def _sorted_rows(rows: Tensor) -> Tensor:
    """Sort the rows by their first number, which differs from row to row unless two rows are equal."""
    return rows[rows[:, 0].sort(stable=True).indices]


def _pixel(value: Tensor, images: Tensor) -> str:
    """Return where a number is in the images."""
    place = (images == value).nonzero()
    if not len(place):
        return f"{number(value)}, which isn't a pixel"
    return "the pixel of image {}, channel {}, row {}, column {}".format(*place[0].tolist())


# ---- 5.4 sliced_distance --------------------------------------------------------------------------------------------


def test_sliced_distance(sliced_distance: Callable[..., Tensor], seed: int) -> None:
    """5.4: the points sorted along each direction, compared number by number, and averaged."""
    random = seeded(seed)

    def draw(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=random, dtype=torch.float64)

    def distance(a: Tensor, b: Tensor, directions: Tensor) -> Tensor:
        with copies(points_a=a, points_b=b, directions=directions) as given:
            result = sliced_distance(*given)
        return expect_tensor(result, "The result of `sliced_distance`", (), dtype=a.dtype, finite=False)

    line = torch.ones(1, 1, dtype=torch.float64)
    one, other = torch.tensor([1.0, 5, 2]).double().view(3, 1), torch.tensor([2.0, 1, 8]).double().view(3, 1)
    a, b = draw(11, 5), 1.5 * draw(11, 5)
    slices = F.normalize(draw(5, 3), dim=0)
    shuffled = a[torch.randperm(11, generator=random)]
    moved = a + 0.75 * slices[:, 0]
    along_a, along_b = a @ slices, b @ slices
    each = [
        sum(abs(x - y) for x, y in zip(sorted(p), sorted(q), strict=True)) / len(p)
        for p, q in zip(along_a.T.tolist(), along_b.T.tolist(), strict=True)
    ]
    wide = 3 * draw(4, 9)  # fewer points than numbers in each
    narrow = F.normalize(draw(9, 9), dim=0)
    away = torch.cat([wide[:2] + 1, wide[2:] - 1])
    cases = [
        ("Along one direction, the distance between 1, 5, 2 and 2, 1, 8 is 1.", (one, other, line), 1.0),
        ("The order of the points doesn't matter.", (a, shuffled, slices), 0.0),
        ("A distribution that moves by 0.75 along the only direction is 0.75 away.", (a, moved, slices[:, :1]), 0.75),
        ("With several directions, the distance is the mean over the directions.", (a, b, slices), sum(each) / 3),
        ("The distance is the same if the two distributions are swapped.", (b, a, slices), sum(each) / 3),
        ("A few points with many numbers each are measured in the same way.", (wide, away, narrow), None),
    ]
    results = [distance(*given) for _, given, _ in cases]
    evidence = torch.stack([result.detach() for result in results])
    for (says, (x, y, directions), want), result in zip(cases, results, strict=True):
        right = (
            evaluation.sliced_distance(x, y, directions) if want is None else torch.tensor(want, dtype=torch.float64)
        )
        near = bool((result - right).abs() <= 1e-9)
        expect(near, says, expected=number(right), got=number(result), evidence=evidence)
    single = distance(a.float(), b.float(), slices.float())
    expect_close(single, torch.tensor(sum(each) / 3), "In float32, the distance is the same up to rounding.")


# ---- 5.5 sliced_wasserstein -----------------------------------------------------------------------------------------


class DrawsWithoutDevice(TorchFunctionMode):
    """A detector of random numbers that are drawn without a device argument."""

    found = False

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        draws = func in (torch.rand, torch.randn, torch.randint, torch.randperm)
        self.found |= draws and (kwargs or {}).get("device") is None
        return func(*args, **(kwargs or {}))


@runs(1)
def test_sliced_wasserstein(sliced_wasserstein: Callable[..., float], seed: int) -> None:
    """5.5: 0 for equal sets, and more the more the sets differ, at each size of detail, whatever is drawn."""

    def distance(a: Tensor, b: Tensor, generator: torch.Generator | None) -> float:
        with copies(images_a=a, images_b=b) as given:
            result = sliced_wasserstein(*given, generator=generator)
        is_number = isinstance(result, int | float) or (isinstance(result, Tensor) and result.numel() == 1)
        with afterward() if is_number else contextlib.nullcontext():
            expect(isinstance(result, float), "The distance is a float.", expected="a float", got=kind_of(result))
        return float(result)

    small = torch.rand(2, 1, 1, 16, 18, generator=seeded(seed))
    says = "At each place, the patch lies within the level."
    _expect_inside(lambda: distance(*small[..., :16], seeded(seed)), says, of_torch=False)
    says = "An image may be wider than it is high, or higher than it is wide."
    _expect_inside(lambda: distance(*small, seeded(seed)), says)
    _expect_inside(lambda: distance(*small.transpose(3, 4), seeded(seed)), says)
    _expect_all_seen(lambda a, b: distance(a, b, seeded(300 + seed)), small[0])
    _expect_all_seen_at_each_level(lambda a, b: distance(a, b, seeded(300 + seed)))

    def draw(generator: torch.Generator | None) -> Tensor:
        return torch.tensor([distance(*small, generator)], dtype=torch.float64)

    expect_fair_draws(draw, seed, "the places and directions")
    _expect_distances(lambda a, b: distance(a, b, seeded(100 + seed)), seed)
    distance(*small[..., :7, :7], None)  # the smallest possible images: one patch
    with advice():
        _expect_equal_shapes(sliced_wasserstein)
    with advice():
        white = torch.ones(1, 3, 32, 32)
        nothing = distance(white, white, None)
        says = "The distance of two sets of white images is 0, although the standard deviation is 0."
        expect(abs(nothing) < 1e-4, says, expected="0", got=number(nothing))
    with advice("Images of another dtype, here float64, are measured in the same way."):
        distance(*small.double(), None)
    with DrawsWithoutDevice() as draws:
        distance(*small, seeded(seed))
    with advice():
        expect(
            not draws.found,
            "Places and directions are drawn on the device of the images.",
            expected="device=images_a.device, wherever random numbers are drawn",
            got="torch's default device",
        )


def _expect_equal_shapes(sliced_wasserstein: Callable[..., float]) -> None:
    """Check that sets that differ in number, channels or size are refused."""
    images = torch.zeros(2, 3, 16, 20)
    others = {
        "3 images and 2 images": torch.zeros(3, 3, 16, 20),
        "1 channel and 3 channels": torch.zeros(2, 1, 16, 20),
        "20 x 16 pixels and 16 x 20 pixels": torch.zeros(2, 3, 20, 16),
    }
    for which, other in others.items():
        for pair in ((images, other), (other, images)):
            try:
                sliced_wasserstein(*pair, generator=seeded(0))
                got = f"no error for {which}"
            except ValueError:
                continue
            except Exception as error:
                got = f"{kind_of(error)} for {which}"
            raise Wrong("Sets that differ in number or shape are refused with a ValueError.", got=got)


def _expect_inside(measure: Callable[[], Any], says: str, *, of_torch: bool = True) -> Any:
    """Return the measured distance. Raises `Wrong` with the sentence `says` if a place lies outside the level.

    Args:
        measure: returns the distance.
        says: the property that is missing. It depends on where the error happens first.
        of_torch: whether an index out of bounds in torch counts too, and not only a slice that is cut short.
    """
    try:
        return measure()
    except (IndexError, RuntimeError) as error:
        got = str(error).partition("\n")[0]
        if not (of_torch if isinstance(error, IndexError) else got.startswith("stack expects each tensor")):
            raise
        raise Wrong(says, got=f"{kind_of(error)}: {got}", evidence=torch.zeros(1)) from error


def _expect_all_seen(distance: Callable[[Tensor, Tensor], float], images: Tensor) -> None:
    """Check that patches lie at each border. The chance that none of 128 places does is one in 65,000."""
    borders = {"top row": (2, 0), "bottom row": (2, -1), "left column": (3, 0), "right column": (3, -1)}
    unseen = []
    for name, (dim, place) in borders.items():
        other = images.clone()
        other.select(dim, place).neg_()
        if abs(distance(images, other)) < 1e-5:
            unseen.append(name)
    says = "Patches come from everywhere in the images, up to their borders."
    got = f"no patch at the {' and the '.join(unseen)}" if len(unseen) < 4 else "no difference"
    expect(not unseen, says, expected="a distance above 0 if only a border differs", got=got)


def _expect_all_seen_at_each_level(distance: Callable[[Tensor, Tensor], float]) -> None:
    """Check two levels, 48 x 56 and 24 x 28 pixels, with a checkerboard of single pixels that only the first shows."""
    plain, board = torch.full((1, 1, 48, 56), 0.5), _board(1)[..., :48, :56] / 4
    lower, right = torch.zeros_like(board), torch.zeros_like(board)
    lower[:, :, 24:], right[..., 28:] = board[:, :, 24:], board[..., 28:]
    says = "Each level has its own places, at which the patch lies within the level."
    everywhere = _expect_inside(lambda: distance(plain, plain + board), says)
    seen = {name: distance(plain, plain + half) > 1e-5 for name, half in (("lower", lower), ("right", right))}
    missed = [name for name, is_seen in seen.items() if not is_seen]
    if not everywhere > 1e-5:  # the whole level is missed, which another check reports
        return
    expect(
        not missed,
        "Patches come from everywhere in each level.",
        expected="a distance above 0 if fine details differ in only one half",
        got=f"no patch in the {' and the '.join(missed)} half of the finest level",
        evidence=torch.tensor([float(is_seen) for is_seen in seen.values()]),
    )


def _expect_distances(distance: Callable[[Tensor, Tensor], float], seed: int) -> None:
    """Check distances between images: some have a known distance, and others are compared with dino's own result."""
    real = emoji()[2 * (seed % 8) :][:2]
    noise = torch.rand(real.shape, generator=seeded(seed))
    little, much = real.lerp(noise, 0.2), real.lerp(noise, 0.5)
    # Multiples of 1/32 have means without rounding, so equal numbers stay equal.
    halves = torch.where(torch.arange(80) < 40, 0.125, 0.875).expand(1, 1, 64, 80)
    gray, lost = 0.25 + 0.5 * real, real[:1].expand_as(real)
    pairs = {
        "same": (real[:1], real[:1]),
        "turned": (real, real.flip(0)),
        **{
            size: (halves + _board(2**i) / 32, halves + 3 * _board(2**i) / 32)
            for i, size in enumerate(("fine", "middle"))
        },
        "coarse": (torch.full((1, 1, 64, 80), 0.375), torch.full((1, 1, 64, 80), 0.625)),
        "little": (real, little),
        "much": (real, much),
        "gray": (real, gray),
        "yarg": (gray, real),
        "dyed": (real, real.roll(1, 1)),
        "lost": (real, lost),
    }
    found = {name: distance(*pair) for name, pair in pairs.items()}
    # Logarithms, because random draws change the distances by a factor. The last distance varies too much.
    evidence = torch.tensor(list(found.values())[:-1], dtype=torch.float64).abs().clamp(min=1e-3).log()

    def hold(holds: bool, what: str, expected: str, got: str) -> None:
        expect(holds, what, expected=expected, got=got, evidence=evidence, slack=0.3)

    def zero(name: str, what: str) -> None:
        hold(abs(found[name]) < 1e-4, what, "0", number(found[name]))

    zero("same", "The distance of two equal sets is 0, whatever is drawn.")
    zero("turned", "The order of the images in a set doesn't matter.")
    # A patch that differs by x in each of its D pixels moves by x sqrt(D) u along a random direction, where u is close
    # to normally distributed. So the mean is sqrt(2 / pi) x, and one of three levels has this mean.
    third = math.sqrt(2 / math.pi) / 3
    sizes = (("fine", "finest", 2 / 5**0.5), ("middle", "middle", 2 / 5**0.5), ("coarse", "coarse", 2.0))
    for name, which, difference in sizes:
        what = f"If two sets differ only in their {which} details, one level of three is above 0."
        want = third * difference
        # Over 512 directions, |u| has a standard error of 1/30, so these bounds are six standard errors wide.
        hold(0.8 * want < found[name] < 1.25 * want, what, f"about {want:.2g}", number(found[name]))
    what, color = "Images in other colors are farther away.", number(found["dyed"])
    hold(found["dyed"] > 0.03, what, "more than 0 if red, green and blue have changed places", color)
    what, numbers = "Images with more noise are farther away.", f"{number(found['little'])} and {number(found['much'])}"
    hold(1.3 * found["little"] < found["much"], what, "more at noise level 0.5 than at 0.2", f"{numbers}")
    what = "The distance is the same if the two sets are swapped."
    numbers = f"{number(found['gray'])} and {number(found['yarg'])}"
    hold(
        0.8 * found["yarg"] <= found["gray"] <= 1.25 * found["yarg"], what, "two numbers that are almost equal", numbers
    )
    others = {
        "gray": ("The grayer a set is, the farther away it is.", 0.8),
        "lost": ("A set that repeats one image is away from a set of several images.", 0.6),
        "little": ("The distance depends on how much the sets differ, and hardly on the random draws.", 0.8),
    }
    for name, (what, low) in others.items():
        want = evaluation.sliced_wasserstein(*pairs[name], generator=seeded(200 + seed))
        hold(low < found[name] / want < 1 / low, what, f"about {want:.2g}", number(found[name]))


def _board(size: int) -> Tensor:
    """Return a checkerboard of 1 and -1, with squares of `size` pixels, shape (1, 1, 64, 80)."""
    rows, columns = torch.arange(64) // size, torch.arange(80) // size
    return (1.0 - 2 * ((rows[:, None] + columns) % 2)).expand(1, 1, 64, 80)


# ---- 5.6 nearest_neighbors ------------------------------------------------------------------------------------------


def test_nearest_neighbors(nearest_neighbors: Callable[..., tuple[Tensor, Tensor]], seed: int) -> None:
    """5.6: the k images with the smallest mean squared difference, the nearest first."""
    random = seeded(seed)
    images = torch.rand(7, 3, 4, 5, generator=random, dtype=torch.float64)
    # A shifted color or a faded contrast makes a sample farther from the image that it is like. That counts as well.
    samples = torch.stack([images[5], images[1] * 0.8, images[2].lerp(images[6], 0.3), images[0] + 0.3])
    _expect_neighbors(nearest_neighbors, samples, images, 3)
    _expect_neighbors(nearest_neighbors, samples, images, None)
    black, white = torch.zeros(1, 2, 6, 3, dtype=torch.float64), torch.ones(2, 2, 6, 3, dtype=torch.float64)
    white[1] *= 0.5
    _expect_neighbors(nearest_neighbors, black, white, 2)
    # With this many images, a partial sort leaves the neighbors unordered.
    many = torch.rand(300, 1, 3, 2, generator=random, dtype=torch.float64)
    _expect_neighbors(nearest_neighbors, torch.rand(30, 1, 3, 2, generator=random, dtype=torch.float64), many, 9)
    _expect_neighbors(nearest_neighbors, 3 * samples[1:] - 1, images, 7)
    _expect_neighbors(nearest_neighbors, samples.float(), images.float(), 1)


def _expect_neighbors(
    nearest_neighbors: Callable[..., tuple[Tensor, Tensor]], samples: Tensor, images: Tensor, k: int | None
) -> None:
    given = f"{len(samples)} samples and {len(images)} images of shape {shape(samples[0])}"
    with copies(samples=samples, images=images) as both, tried(given + (f", k={k}" if k else "")):
        found = nearest_neighbors(*both, *([] if k is None else [k]))
    says, got = "`nearest_neighbors` returns two tensors.", kind_of(found)
    if isinstance(found, Tensor):
        got = f"one tensor of shape {shape(found)}"
    elif isinstance(found, tuple | list):
        got += f" of {len(found)}"
    two = isinstance(found, tuple | list) and len(found) == 2
    expect(two, says, expected="a tuple of 2, (distances, indices)", got=got)
    distances = expect_tensor(found[0], "The first result (the distances)", finite=False)
    indices = expect_tensor(found[1], "The second result (the indices)", finite=False)
    n, size = k or 1, (len(samples), k or 1)
    evidence = torch.cat([distances.flatten(), indices.flatten()]).detach()
    numbers = "`k` numbers" if k else "one number if no `k` is given"
    says = f"Both tensors have one row for each sample, and each row has {numbers}."
    expect(
        distances.shape == indices.shape == size,
        says,
        expected=f"{size} for {len(samples)} samples",
        got=f"{shape(distances)} and {shape(indices)}",
        evidence=evidence,
    )
    expect(
        not indices.is_floating_point() and distances.is_floating_point(),
        "The distances come first, as floats. The indices come second, as whole numbers.",
        expected=f"{short(samples.dtype)} and int64",
        got=f"{short(distances.dtype)} and {short(indices.dtype)}",
        evidence=evidence,
    )
    with advice():
        expect_tensor(distances, "The first result (the distances)", dtype=samples.dtype, finite=False)
    every = torch.stack([(sample - images).square().flatten(1).mean(1).sqrt() for sample in samples])
    want, order = every.sort(1)
    inside = bool(((indices >= 0) & (indices < len(images))).all())
    expect(
        inside,
        "Each index is that of an image.",
        expected=f"0 to {len(images) - 1}",
        got="other numbers",
        evidence=evidence,
    )
    near = NEAR if samples.dtype == torch.float64 else 1e-3  # a root magnifies rounding near 0
    chosen = every.gather(1, indices.long())
    wrong = (chosen - want[:, :n]).abs() > near
    if wrong.any():
        row = int(wrong.any(1).int().argmax())
        mixed = bool(((chosen.sort(1).values - want[:, :n]).abs() <= near).all())
        raise Wrong(
            "The neighbors are in order, the nearest first."
            if mixed
            else "The indices are those of the nearest images, the nearest first.",
            expected=f"{order[row, :n].tolist()} for sample {row}",
            got=str(indices[row].tolist()),
            evidence=evidence,
        )
    says = "Each distance is the root of the mean squared difference over all pixels and channels."
    try:
        expect_close(distances, want[:, :n], says, tolerance=near)
    except Wrong as apart:
        apart.evidence = evidence
        raise


# ---- small helpers --------------------------------------------------------------------------------------------------


@contextlib.contextmanager
def tried(what: str) -> Iterator[None]:
    """Add to an error which inputs raised it."""
    try:
        yield
    except (Wrong, NotImplementedError):
        raise
    except Exception as error:
        error.add_note(f"tried with {what}")
        raise


def seeded(seed: int) -> torch.Generator:
    """Return a new generator with this seed."""
    return torch.Generator().manual_seed(seed)


def shape(value: Tensor) -> str:
    """Return a tensor's shape as text."""
    return str(tuple(value.shape))


def listed(values: Tensor | Sequence[float]) -> str:
    """Return the first numbers as text."""
    flat = torch.as_tensor(values).detach().flatten()
    return ", ".join(number(x) for x in flat[:7]) + ", ..." * (len(flat) > 7)


# ---- the contact sheet ----------------------------------------------------------------------------------------------


class Blur(nn.Module):
    """A poor denoiser, which blurs its input at every noise level."""

    def forward(self, noisy: Tensor, noise_level: Tensor) -> Tensor:  # noqa: ARG002
        return F.avg_pool2d(noisy, 5, 1, 2, count_include_pad=False)


def _bars(values: Sequence[float] | Tensor, most: float) -> Tensor:
    """Plot numbers from 0 to `most` as a row of bars."""
    canvas = torch.ones(1, 3, 42, 11 * 21)
    for place, value in enumerate(torch.as_tensor(values).flatten()[:11].tolist()):
        height = 2 + round(40 * min(max(value / most, 0), 1))
        canvas[0, :, 42 - height :, 21 * place : 21 * place + 18] = torch.tensor([0.35, 0.55, 0.8]).view(3, 1, 1)
    return canvas


def _levels(part: ModuleType) -> Tensor:
    """Return the pyramids of two emoji, all levels enlarged to one size. In all but the last level, gray is 0."""
    *details, smallest = part.laplacian_pyramid(emoji()[[4, 1]], 3)
    levels = [*(0.5 + detail for detail in details), smallest]
    return (
        torch.cat([F.interpolate(level, size=(32, 32)) for level in levels], dim=3)
        .unflatten(3, (3, 32))
        .movedim(3, 1)
        .flatten(0, 1)
    )


def _cut_out(part: ModuleType) -> Tensor:
    """Return an emoji, and patches of it, enlarged."""
    places = torch.tensor([[2, 4], [6, 11], [6, 18], [14, 12], [12, 5], [22, 12]])
    squares = part.patches(emoji()[1:2], places).view(-1, 3, PATCH, PATCH)
    return torch.cat([emoji()[1:2], F.pad(F.interpolate(squares, scale_factor=4), (2, 2, 2, 2), value=1.0)])


def _moved(part: ModuleType) -> Tensor:
    """Plot the distances of a distribution from itself, moved farther and farther away."""
    random = seeded(0)
    points, directions = torch.randn(64, 3, generator=random), torch.randn(3, 32, generator=random)
    directions = directions / directions.norm(dim=0)
    distances = [part.sliced_distance(points, points.flip(0) + 0.2 * i, directions) for i in range(11)]
    return _bars(torch.stack(distances), 1.8)


def _noised(part: ModuleType) -> Tensor:
    """Plot the distances of an emoji from itself, with more and more noise."""
    noise = torch.rand(1, 3, 32, 32, generator=seeded(0))
    levels = torch.linspace(0, 1, 11).tolist()
    distances = [
        part.sliced_wasserstein(emoji()[4:5], emoji()[4:5].lerp(noise, level), generator=seeded(1)) for level in levels
    ]
    return _bars(distances, 0.9)


def _found(part: ModuleType) -> Tensor:
    """Return two noisy emoji, each followed by its three nearest neighbors."""
    samples = emoji()[[9, 2]].lerp(torch.rand(2, 3, 32, 32, generator=seeded(0)), 0.5)
    _, indices = part.nearest_neighbors(samples, emoji(), 3)
    return torch.cat([torch.cat([samples[i : i + 1], emoji()[indices[i]]]) for i in range(2)])


PANELS = [
    Panel(
        "loss_by_noise_level",
        "the loss of a network that only blurs, from noise level 0 to 1",
        lambda part: _bars(part.loss_by_noise_level(Blur(), emoji(), torch.linspace(0, 1, 11).tolist()), 0.22),
    ),
    Panel("laplacian_pyramid", "two emoji in three levels each, from fine to coarse", _levels),
    Panel("patches", "an image, and six patches of it, enlarged", _cut_out),
    Panel("sliced_distance", "the distance of a distribution from itself, moved farther and farther", _moved),
    Panel("sliced_wasserstein", "the distance of an image from itself, with more and more noise", _noised),
    Panel("nearest_neighbors", "two noisy emoji, each followed by its three nearest neighbors", _found),
]
