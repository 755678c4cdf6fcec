"""The grader of lesson 05: what the functions must do that say how good a network and its pictures are."""

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
    expect,
    expect_close,
    expect_fair_draws,
    expect_tensor,
    expect_uniform,
    kind_of,
    number,
    runs,
    short,
    unchanged,
)

PATCH = 7
NEAR = 1e-6  # ten roundings of float32, which is what pictures are in


# ---- 5.1 loss_by_noise_level ----------------------------------------------------------------------------------------


class Witness(nn.Module):
    """A denoiser that notes what it is told, image by image. Its answer depends on all of it, and leaves [0, 1]."""

    def __init__(self, like: Tensor) -> None:
        super().__init__()
        self.gain = nn.Parameter(torch.tensor(1.5, dtype=like.dtype))
        self.part = nn.Identity()  # as a layer would, it has a mode of its own
        self.like = like
        self.shown: list[Tensor] = []
        self.told: list[Tensor] = []
        self.answers: list[Tensor] = []
        self.gradients: list[bool] = []

    def __deepcopy__(self, memo: dict[int, Any]) -> "Witness":
        """A copy notes in the same lists: whoever asks a copy has asked the model."""
        twin = Witness(self.like).train(self.training)
        twin.shown, twin.told, twin.answers, twin.gradients = self.shown, self.told, self.answers, self.gradients
        return twin

    def forward(self, noisy: Any = None, noise_level: Any = None) -> Tensor:
        says = "The model is called with two things: the noisy images and their level."
        expect(noisy is not None and noise_level is not None, says, got="one of them alone")
        noisy = expect_tensor(noisy, "What the model is shown (its first argument)", dtype=self.like.dtype)
        says = "The model is shown a batch of images, as its first argument."
        fits = noisy.dim() == 4 and noisy.shape[1:] == self.like.shape[1:] and len(noisy) > 0
        expect(fits, says, expected=f"shape (N, {', '.join(map(str, self.like.shape[1:]))})", got=shape(noisy))
        name = "The level that the model is told (its second argument)"
        noise_level = expect_tensor(noise_level, name)
        says, fits = f"{name} has the wrong shape.", noise_level.shape in ((1, 1, 1, 1), (len(noisy), 1, 1, 1))
        expect(fits, says, expected="(1, 1, 1, 1)", got=shape(noise_level))
        expect_tensor(noise_level, name, dtype=self.like.dtype)
        answer = self.gain * torch.cos(3 * noisy + 2 * noise_level) + 0.2
        self.shown += noisy.detach().clone()
        self.told += noise_level.detach().flatten().expand(len(noisy)).clone()
        self.answers += answer.detach().clone()
        self.gradients.append(torch.is_grad_enabled())
        return self.part(answer)


def test_loss_by_noise_level(loss_by_noise_level: Callable[..., Tensor], seed: int) -> None:
    """5.1: the mean squared error of the guesses, at each level, on noise that is always the same."""
    # From a seed that nobody takes for the noise, or the noise would be the picture.
    images = 0.2 + 0.5 * torch.rand(3, 2, 44, 48, generator=seeded(598_317 + seed), dtype=torch.float64)
    levels = [0.7, 0.0, 1.0, 0.35]  # in no order, for the answer should keep theirs

    def measure(model: Witness, levels: Sequence[float]) -> Tensor:
        given, others = list(levels), _random_states()
        with unchanged(images=model.like):
            losses = loss_by_noise_level(model, model.like, given)
        says = "`levels` belongs to the caller and must stay as it was."
        expect(given == levels, says, expected="`levels` as it was", got="`levels` changed in place")
        for name, state in _random_states().items():
            says = "Python's and numpy's own random numbers go on as if nothing had been drawn."
            expect(state == others[name], says, got=f"{name}'s global generator seeded or used")
        return expect_tensor(losses, "What `loss_by_noise_level` returns", finite=False)

    model = Witness(images)
    losses = measure(model, levels)
    shown = _expect_asked(model, levels)
    _expect_the_same_noise(shown, images, levels)
    want = _errors(model, images, levels)
    says = "There is one number for each level."
    expect(losses.shape == want.shape, says, expected=shape(want), got=shape(losses))
    expect_tensor(losses, "What `loss_by_noise_level` returns", dtype=images.dtype)
    ratios, says = losses.detach() / want, "Each number is the mean squared error of the model's answers at its level."
    near = bool(((ratios - 1).abs() <= NEAR).all())
    expect(near, says, expected=listed(want), got=listed(losses), evidence=ratios, slack=0.08)
    free = not losses.requires_grad
    expect(free, "The numbers carry no gradients.", expected="numbers alone", got="the graph behind them as well")
    says = "The model is called without gradients."
    expect(not any(model.gradients), says, expected="gradients off during the call", got="gradients on")

    again = Witness(images)
    twice = measure(again, levels)
    expect(
        all(torch.equal(one, other) for one, other in zip(model.shown, again.shown, strict=True)),
        "The noise is the same in each call.",
        expected=f"{listed(losses)} twice",
        got=f"{listed(twice)} the second time",
    )
    for mode in (True, False):
        single = Witness(images[:1, :, :5, :4].float()).train(mode)
        alone = measure(single, [0.5])
        expect_tensor(alone, "What `loss_by_noise_level` returns for float32 images", (1,), dtype=torch.float32)
        says = "In float32, the number is the same up to rounding."
        expect_close(alone, _errors(single, single.like, [0.5]), says, tolerance=1e-5)
        says = "The model's mode is left to the caller."
        expect(single.training == single.part.training == mode, says, got="another mode than before")
        free = all(weight.requires_grad for weight in single.parameters())
        expect(free, "Afterwards the model can go on learning.", got="weights that don't take gradients any more")


def _random_states() -> dict[str, bytes]:
    """Where the global generators stand that aren't torch's."""
    return {"Python": repr(random.getstate()).encode(), "numpy": repr(np.random.get_state(legacy=False)).encode()}


def _expect_asked(model: Witness, levels: Sequence[float]) -> list[Tensor]:
    """At each level the model was asked about all pictures. Returns what it was shown, (N, C, H, W) for each level."""
    n, told = len(model.like), torch.stack(model.told) if model.told else torch.zeros(0)
    says = "The model is asked about each picture once at each level."
    count = {"expected": f"{n} pictures at {len(levels)} levels: {n * len(levels)}", "got": str(len(told))}
    expect(len(told) == n * len(levels), says, **count, evidence=told)
    near = [(told - level).abs() <= NEAR for level in levels]
    says = "The model is told each of the levels, with all of the pictures."
    fits = all(int(which.sum()) == n for which in near)
    found = told.unique()
    expect(fits, says, expected=listed(sorted(levels)), got=listed(found), evidence=told.sort().values)
    return [torch.stack([x for x, here in zip(model.shown, which, strict=True) if here]) for which in near]


def _expect_the_same_noise(shown: list[Tensor], images: Tensor, levels: Sequence[float]) -> None:
    """What the model was shown are the pictures, mixed with the same uniform noise at each level."""
    spread = images - images.mean()
    # Which share of the pictures is still in there, how wide it spreads, and around which number.
    traces = [((x - x.mean()) * spread).mean() / spread.square().mean() for x in shown]
    evidence = torch.stack([*traces, *(x.std() for x in shown), *(x.mean() for x in shown)])
    noises = []
    for level, noisy in zip(levels, shown, strict=True):
        if level == 0:
            says = "At level 0 the model is shown the pictures as they are."
            apart = (noisy - images).abs().max()
            facts = {"expected": "the pictures", "got": f"numbers that differ from theirs by up to {number(apart)}"}
            expect(bool(apart < NEAR), says, **facts, evidence=evidence, slack=0.15)
        else:
            noises.append((noisy - (1 - level) * images) / level)
    noise = noises[levels.index(1.0) - 1]  # where it can be seen bare
    bare = bool(abs(traces[levels.index(1.0)]) < 0.2)
    says = "At level 1 nothing of the pictures is left, the model is shown noise."
    expect(bare, says, expected="noise alone", got="something of the pictures", evidence=evidence, slack=0.15)
    inside, says = bool(noise.min() >= 0 and noise.max() <= 1), "The noise is numbers from 0 to 1."
    span = {"expected": "0 to 1", "got": f"{number(noise.min())} to {number(noise.max())}"}
    expect(inside, says, **span, evidence=torch.stack([noise.mean(), noise.std()]), slack=0.05)
    for dim, name in enumerate(("picture", "channel", "row", "column")):
        says = f"The noise differs from {name} to {name}."
        differs = bool((noise - noise.roll(1, dim)).abs().mean() > 0.1)  # a third, if they are drawn apart
        expect(differs, says, expected="a random number for each pixel", got=f"the same in each {name}")
    expect_uniform(noise, "At level 1 the model is shown noise alone, and its numbers are")
    same = all(bool((other - noise).abs().max() < 1e-5) for other in noises)
    if not same:
        traces = [torch.corrcoef(torch.stack([x.flatten(), noise.flatten()]))[0, 1] for x in noises]
        scales = [x.std() / noise.std() for x in noises]
        raise Wrong(
            "At each level the same noise is mixed into the pictures, as much of it as the level says.",
            expected="noise that is the same at each level",
            got="noise that differs between the levels",
            evidence=torch.stack(traces + scales),
            slack=0.15,
        )


def _errors(model: Witness, images: Tensor, levels: Sequence[float]) -> Tensor:
    """The mean squared errors of the answers that the model gave."""
    told, answers = torch.stack(model.told), torch.stack(model.answers)
    by_level = [answers[(told - level).abs() <= NEAR] for level in levels]
    return torch.stack([(answer - images).square().mean() for answer in by_level])


# ---- 5.2 laplacian_pyramid ------------------------------------------------------------------------------------------


def test_laplacian_pyramid(laplacian_pyramid: Callable[..., list[Tensor]], seed: int) -> None:
    """5.2: what each halving loses, and what is left in the end."""
    random = seeded(seed)
    _expect_pyramid(laplacian_pyramid, torch.rand(2, 3, 8, 24, generator=random, dtype=torch.float64), 3)
    _expect_pyramid(laplacian_pyramid, torch.rand(1, 2, 6, 10, generator=random, dtype=torch.float64), 2)
    _expect_pyramid(laplacian_pyramid, torch.rand(3, 1, 16, 8, generator=random), 4)
    _expect_pyramid(laplacian_pyramid, 3 * torch.rand(2, 4, 5, 7, generator=random, dtype=torch.float64) - 1, 1)


def _expect_pyramid(laplacian_pyramid: Callable[..., list[Tensor]], images: Tensor, n_levels: int) -> None:
    with unchanged(images=images), tried(f"pictures of {shape(images)} and n_levels={n_levels}"):
        levels = laplacian_pyramid(images, n_levels)
    says = "The levels come in a list."
    expect(isinstance(levels, list | tuple), says, expected="a list of tensors", got=kind_of(levels))
    for level in levels:
        expect_tensor(level, "Each level", finite=False)
    sizes, want = [images], []
    for _ in range(n_levels - 1):
        sizes.append(_halved(sizes[-1]))
        want.append(sizes[-2] - _doubled(sizes[-1]))
    want.append(sizes[-1])
    says = "There are `n_levels` levels: first as large as the pictures, then half as high and wide each time."
    evidence = torch.cat([level.detach().flatten() for level in [*levels, torch.zeros(0)]])
    shapes = {"expected": ", ".join(map(shape, want)), "got": ", ".join(map(shape, levels)) or "none"}
    expect([x.shape for x in levels] == [x.shape for x in want], says, **shapes, evidence=evidence)
    for level in levels:
        expect_tensor(level, f"Each level of pictures that are {short(images.dtype)}", dtype=images.dtype)
    try:
        if n_levels == 1:
            expect_close(levels[0], images, "With one level, it is the pictures themselves.")
        expect_close(
            levels[-1], want[-1], "The last level is the picture as small as it got, by averaging 2 x 2 pixels."
        )
        for level, lost in zip(levels[:-1], want[:-1], strict=True):
            says = "Each level but the last is what is lost when a picture is halved and doubled again."
            expect_close(level, lost, says)
    except Wrong as wrong:
        wrong.evidence = evidence
        raise


def _halved(images: Tensor) -> Tensor:
    """The mean of each 2 x 2 pixels."""
    return images.unflatten(3, (-1, 2)).mean(4).unflatten(2, (-1, 2)).mean(3)


def _doubled(images: Tensor) -> Tensor:
    """Each pixel, 2 x 2 times."""
    return images.repeat_interleave(2, 2).repeat_interleave(2, 3)


# ---- 5.3 patches ----------------------------------------------------------------------------------------------------


def test_patches(patches: Callable[..., Tensor], seed: int) -> None:
    """5.3: which pixels stand in which row, and in which order."""
    # N, C, H, W and the number of places all differ, and so do all pixels: each says where it comes from. At first the
    # pictures are so large that a place lies within them even if it is misread, and one sees as what.
    _expect_patches(patches, _numbered(2, 3, 30, 37), [(0, 0), (3, 2), (2, 3), (1, 3)], seed)
    _expect_patches(patches, _numbered(2, 3, 10, 13), [(0, 0), (3, 6), (2, 5), (1, 4)], seed)
    _expect_patches(patches, _numbered(3, 2, 14, 11), [(7, 4), (0, 4), (7, 0), (4, 1), (4, 1)], seed)
    _expect_patches(patches, _numbered(1, 1, 7, 9), [(0, 1)], seed)
    _expect_patches(patches, _numbered(4, 3, 9, 8).float(), [(2, 1), (0, 0)], seed)


def _expect_patches(patches: Callable[..., Tensor], images: Tensor, where: list[tuple[int, int]], seed: int) -> None:
    order = torch.randperm(len(where), generator=seeded(seed)).tolist()
    where = [where[i] for i in order]
    places = torch.tensor(where)
    with unchanged(images=images, places=places), tried(f"pictures of {shape(images)} and the places {where}"):
        found = patches(images, places)
    n, channels, _, _ = images.shape
    name = "What `patches` returns"
    found = expect_tensor(found, name, finite=False)
    size = (n * len(where), channels * PATCH * PATCH)
    expect(
        found.shape == size,
        "There is one row for each patch: for each picture as many as there are places, with all of their channels.",
        expected=f"{size} for pictures of {shape(images)} and {len(where)} place{'s' * (len(where) > 1)}",
        got=shape(found),
        evidence=found.detach(),
    )
    expect_tensor(found, name, dtype=images.dtype)
    want = torch.stack(
        [image[:, row : row + PATCH, column : column + PATCH].reshape(-1) for image in images for row, column in where]
    )
    if torch.equal(found, want):
        return
    off = (found != want).flatten()
    index = int(off.int().argmax())
    row, column = divmod(index, size[1])
    evidence = found.detach()
    together = torch.equal(found.sort(1).values, want.sort(1).values)
    if together:
        says = "In a row, the pixels stand as one reads: channel after channel, in each line after line."
    elif torch.equal(_sorted_rows(found), _sorted_rows(want)):
        says = "First come the patches of the first picture, in the order of `places`, then those of the second."
    else:
        says = "A row holds the pixels of one patch: of one picture, at one place, with all of its channels."
    raise Wrong(
        says,
        expected=_pixel(want[row, column], images) + f" in row {row}, column {column}",
        got=_pixel(found[row, column], images),
        evidence=evidence,
    )


def _numbered(n: int, channels: int, height: int, width: int) -> Tensor:
    """Pictures of which no two pixels are alike."""
    size = n * channels * height * width
    return (torch.arange(size, dtype=torch.float64) / 4096).view(n, channels, height, width)


def _sorted_rows(rows: Tensor) -> Tensor:
    """The rows in the order of their first number, which differs from row to row unless two rows are the same."""
    return rows[rows[:, 0].sort(stable=True).indices]


def _pixel(value: Tensor, images: Tensor) -> str:
    """Where a number stands in the pictures."""
    place = (images == value).nonzero()
    if not len(place):
        return f"{number(value)}, which is no pixel"
    return "the pixel of picture {}, channel {}, row {}, column {}".format(*place[0].tolist())


# ---- 5.4 sliced_distance --------------------------------------------------------------------------------------------


def test_sliced_distance(sliced_distance: Callable[..., Tensor], seed: int) -> None:
    """5.4: sort along each direction, compare number by number, take the mean."""
    random = seeded(seed)

    def draw(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=random, dtype=torch.float64)

    def distance(a: Tensor, b: Tensor, directions: Tensor) -> Tensor:
        with unchanged(points_a=a, points_b=b, directions=directions):
            result = sliced_distance(a, b, directions)
        return expect_tensor(result, "What `sliced_distance` returns", (), dtype=a.dtype, finite=False)

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
        ("Along one direction, 1, 5, 2 and 2, 1, 8 are 1 apart.", (one, other, line), 1.0),
        ("The order of the points doesn't matter.", (a, shuffled, slices), 0.0),
        ("A crowd that moves by 0.75 along the only direction is 0.75 away.", (a, moved, slices[:, :1]), 0.75),
        ("Along several directions, it is the mean over them.", (a, b, slices), sum(each) / 3),
        ("It is the same seen from the other crowd.", (b, a, slices), sum(each) / 3),
        ("Few points with many numbers each are measured in the same way.", (wide, away, narrow), None),
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
    expect_close(single, torch.tensor(sum(each) / 3), "In float32, it is the same up to rounding.")


# ---- 5.5 sliced_wasserstein -----------------------------------------------------------------------------------------


class Homeless(TorchFunctionMode):
    """Notes random numbers that are drawn with no word on which device."""

    found = False

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        draws = func in (torch.rand, torch.randn, torch.randint, torch.randperm)
        self.found |= draws and (kwargs or {}).get("device") is None
        return func(*args, **(kwargs or {}))


@runs(1)
def test_sliced_wasserstein(sliced_wasserstein: Callable[..., float], seed: int) -> None:
    """5.5: 0 for equal sets, more the more they differ, at each size of detail; and never mind the luck of the draw."""

    def distance(a: Tensor, b: Tensor, generator: torch.Generator | None) -> float:
        with unchanged(images_a=a, images_b=b):
            result = sliced_wasserstein(a, b, generator=generator)
        expect(isinstance(result, float), "The distance is a float.", expected="a float", got=kind_of(result))
        return float(result)

    small = torch.rand(2, 1, 1, 16, 18, generator=seeded(seed))
    says = "Each place is one at which a patch lies within the level."
    _expect_inside(lambda: distance(*small[..., :16], seeded(seed)), says, of_torch=False)
    says = "A picture may be wider than it is high, or higher than it is wide."
    _expect_inside(lambda: distance(*small, seeded(seed)), says)
    _expect_inside(lambda: distance(*small.transpose(3, 4), seeded(seed)), says)
    _expect_equal_shapes(sliced_wasserstein)
    _expect_all_seen(lambda a, b: distance(a, b, seeded(300 + seed)), small[0])
    _expect_all_seen_at_each_level(lambda a, b: distance(a, b, seeded(300 + seed)))

    def draw(generator: torch.Generator | None) -> Tensor:
        return torch.tensor([distance(*small, generator)], dtype=torch.float64)

    expect_fair_draws(draw, seed, "places and directions")
    _expect_distances(lambda a, b: distance(a, b, seeded(100 + seed)), seed)
    distance(*small.double(), None)
    distance(*small[..., :7, :7], None)  # the smallest there can be: one patch
    with Homeless() as homeless:
        distance(*small, seeded(seed))
    expect(
        not homeless.found,
        "Places and directions are drawn on the device of the images.",
        expected="device=images_a.device, wherever random numbers are drawn",
        got="torch's default device",
    )


def _expect_equal_shapes(sliced_wasserstein: Callable[..., float]) -> None:
    """Sets that differ in number, channels or size can't be compared."""
    images = torch.zeros(2, 3, 16, 20)
    others = {
        "3 pictures with 2": torch.zeros(3, 3, 16, 20),
        "1 channel with 3": torch.zeros(2, 1, 16, 20),
        "20 x 16 pixels with 16 x 20": torch.zeros(2, 3, 20, 16),
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
            raise Wrong("Sets that differ in number or shape are refused, with a ValueError.", got=got)


def _expect_inside(measure: Callable[[], Any], says: str, *, of_torch: bool = True) -> Any:
    """What is wrong with a place that lies outside is told by where it happens first. Returns what was measured.

    Args:
        of_torch: whether it also counts if torch itself finds an index out of bounds, and not only a slice cut short.
    """
    try:
        return measure()
    except (IndexError, RuntimeError) as error:
        got = str(error).partition("\n")[0]
        if not (of_torch if isinstance(error, IndexError) else got.startswith("stack expects each tensor")):
            raise
        raise Wrong(says, got=f"{kind_of(error)}: {got}", evidence=torch.zeros(1)) from error


def _expect_all_seen(distance: Callable[[Tensor, Tensor], float], images: Tensor) -> None:
    """A patch can lie at each border: that none of 128 places does happens once in 65,000 draws."""
    borders = {"top row": (2, 0), "bottom row": (2, -1), "left column": (3, 0), "right column": (3, -1)}
    unseen = []
    for name, (dim, place) in borders.items():
        other = images.clone()
        other.select(dim, place).neg_()
        if abs(distance(images, other)) < 1e-5:
            unseen.append(name)
    says = "Patches come from all over the pictures, up to their borders."
    got = f"no patch ever at the {' and the '.join(unseen)}" if len(unseen) < 4 else "no difference"
    expect(not unseen, says, expected="a distance above 0 where a border alone differs", got=got)


def _expect_all_seen_at_each_level(distance: Callable[[Tensor, Tensor], float]) -> None:
    """Two levels, of 48 x 56 and 24 x 28 pixels, and a board of single pixels, which only the first can show."""
    plain, board = torch.full((1, 1, 48, 56), 0.5), _board(1)[..., :48, :56] / 4
    lower, right = torch.zeros_like(board), torch.zeros_like(board)
    lower[:, :, 24:], right[..., 28:] = board[:, :, 24:], board[..., 28:]
    says = "Each level has places of its own, at which a patch lies within it."
    everywhere = _expect_inside(lambda: distance(plain, plain + board), says)
    seen = {name: distance(plain, plain + half) > 1e-5 for name, half in (("lower", lower), ("right", right))}
    missed = [name for name, is_seen in seen.items() if not is_seen]
    if not everywhere > 1e-5:  # it misses the whole level, which is something else
        return
    expect(
        not missed,
        "Patches come from all over each level.",
        expected="a distance above 0 where fine details differ in one half alone",
        got=f"no patch ever in the {' and the '.join(missed)} half of the finest level",
        evidence=torch.tensor([float(is_seen) for is_seen in seen.values()]),
    )


def _expect_distances(distance: Callable[[Tensor, Tensor], float], seed: int) -> None:
    """On pictures of which one knows how far they are apart, and on some where dino's own number tells."""
    real = emoji()[2 * (seed % 8) :][:2]
    noise = torch.rand(real.shape, generator=seeded(seed))
    little, much = real.lerp(noise, 0.2), real.lerp(noise, 0.5)
    # Multiples of 1/32: their means are not rounded, and what is equal stays equal.
    halves = torch.where(torch.arange(80) < 40, 0.125, 0.875).expand(1, 1, 64, 80)
    gray, white, lost = 0.25 + 0.5 * real, torch.ones_like(real[:1]), real[:1].expand_as(real)
    pairs = {
        "same": (real[:1], real[:1]),
        "turned": (real, real.flip(0)),
        "blank": (white, white),
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
    # Logarithms, for the luck of the draw makes them larger or smaller by a factor. The last depends on it too much.
    evidence = torch.tensor(list(found.values())[:-1], dtype=torch.float64).abs().clamp(min=1e-3).log()

    def hold(holds: bool, what: str, expected: str, got: str) -> None:
        expect(holds, what, expected=expected, got=got, evidence=evidence, slack=0.3)

    def zero(name: str, what: str) -> None:
        hold(abs(found[name]) < 1e-4, what, "0", number(found[name]))

    zero("same", "Two equal sets are 0 apart, whatever is drawn.")
    zero("turned", "In which order the pictures of a set come doesn't matter.")
    zero("blank", "Two sets of white pictures are 0 apart, where there is nothing to scale.")
    # Along a random direction, a patch that differs by x in each of its D pixels is moved by x sqrt(D) u, where u is
    # spread as in a bell curve, near enough. So the mean is sqrt(2 / pi) x, and one of three levels has it.
    third = math.sqrt(2 / math.pi) / 3
    sizes = (("fine", "finest", 2 / 5**0.5), ("middle", "middle", 2 / 5**0.5), ("coarse", "coarse", 2.0))
    for name, which, difference in sizes:
        what = f"The two sets differ in their {which} details alone, so one level of three is above 0."
        want = third * difference
        # Over 512 directions |u| has a standard error of a thirtieth, so these bounds are six of them wide.
        hold(0.8 * want < found[name] < 1.25 * want, what, f"about {want:.2g}", number(found[name]))
    what, color = "Pictures in other colors are further away.", number(found["dyed"])
    hold(found["dyed"] > 0.03, what, "more than 0 where red, green and blue have changed places", color)
    what, numbers = "More noise is further away.", f"{number(found['little'])} and {number(found['much'])}"
    hold(1.3 * found["little"] < found["much"], what, "more for half of noise than for a fifth", f"{numbers}")
    what = "The way from one set to the other is as long as the way back."
    numbers = f"{number(found['gray'])} and {number(found['yarg'])}"
    hold(0.8 * found["yarg"] <= found["gray"] <= 1.25 * found["yarg"], what, "two numbers that hardly differ", numbers)
    others = {
        "gray": ("A set that is grayer is further away, by how much grayer it is.", 0.8),
        "lost": ("A set that shows one picture again and again is away from one that shows several.", 0.6),
        "little": ("How far a set is away depends on how much it differs, and hardly on what is drawn.", 0.8),
    }
    for name, (what, low) in others.items():
        want = evaluation.sliced_wasserstein(*pairs[name], generator=seeded(200 + seed))
        hold(low < found[name] / want < 1 / low, what, f"about {want:.2g}", number(found[name]))


def _board(size: int) -> Tensor:
    """A chessboard with fields of some pixels: 1 and -1, shape (1, 1, 64, 80)."""
    rows, columns = torch.arange(64) // size, torch.arange(80) // size
    return (1.0 - 2 * ((rows[:, None] + columns) % 2)).expand(1, 1, 64, 80)


# ---- 5.6 nearest_neighbors -----------------------------------------------------------------------------------------


def test_nearest_neighbors(nearest_neighbors: Callable[..., tuple[Tensor, Tensor]], seed: int) -> None:
    """5.6: the k pictures with the least mean squared difference, the nearest first."""
    random = seeded(seed)
    images = torch.rand(7, 3, 4, 5, generator=random, dtype=torch.float64)
    # As far as a color shifts or a contrast fades, samples are further from what they are like: that counts as well.
    samples = torch.stack([images[5], images[1] * 0.8, images[2].lerp(images[6], 0.3), images[0] + 0.3])
    _expect_neighbors(nearest_neighbors, samples, images, 3)
    _expect_neighbors(nearest_neighbors, samples, images, None)
    black, white = torch.zeros(1, 2, 6, 3, dtype=torch.float64), torch.ones(2, 2, 6, 3, dtype=torch.float64)
    white[1] *= 0.5
    _expect_neighbors(nearest_neighbors, black, white, 2)
    # What sorts no further than it must leaves so many in no order.
    many = torch.rand(300, 1, 3, 2, generator=random, dtype=torch.float64)
    _expect_neighbors(nearest_neighbors, torch.rand(30, 1, 3, 2, generator=random, dtype=torch.float64), many, 9)
    _expect_neighbors(nearest_neighbors, 3 * samples[1:] - 1, images, 7)
    _expect_neighbors(nearest_neighbors, samples.float(), images.float(), 1)


def _expect_neighbors(
    nearest_neighbors: Callable[..., tuple[Tensor, Tensor]], samples: Tensor, images: Tensor, k: int | None
) -> None:
    given = f"{len(samples)} samples and {len(images)} images of {shape(samples[0])}"
    with unchanged(samples=samples, images=images), tried(given + (f", k={k}" if k else "")):
        found = nearest_neighbors(samples, images, *([] if k is None else [k]))
    says, got = "Two tensors are returned.", kind_of(found)
    if isinstance(found, Tensor):
        got = f"one tensor of shape {shape(found)}"
    elif isinstance(found, tuple | list):
        got += f" of {len(found)}"
    two = isinstance(found, tuple | list) and len(found) == 2
    expect(two, says, expected="a tuple of 2, (distances, indices)", got=got)
    distances = expect_tensor(found[0], "The distances", finite=False)
    indices = expect_tensor(found[1], "The indices", finite=False)
    n, size = k or 1, (len(samples), k or 1)
    evidence = torch.cat([distances.flatten(), indices.flatten()]).detach()
    says = f"Both have a row for each sample, and in it {'`k` numbers' if k else 'one number if no `k` is given'}."
    expect(
        distances.shape == indices.shape == size,
        says,
        expected=f"{size} for {len(samples)} samples",
        got=f"{shape(distances)} and {shape(indices)}",
        evidence=evidence,
    )
    expect(
        not indices.is_floating_point() and distances.is_floating_point(),
        "The distances come first and are floats. The indices come second and are whole numbers.",
        expected=f"{short(samples.dtype)} and int64",
        got=f"{short(distances.dtype)} and {short(indices.dtype)}",
        evidence=evidence,
    )
    expect_tensor(distances, "The tensor of distances", dtype=samples.dtype, finite=False)
    every = torch.stack([(sample - images).square().flatten(1).mean(1).sqrt() for sample in samples])
    want, order = every.sort(1)
    inside = bool(((indices >= 0) & (indices < len(images))).all())
    expect(
        inside, "An index is one of the images'.", expected=f"0 to {len(images) - 1}", got="others", evidence=evidence
    )
    near = NEAR if samples.dtype == torch.float64 else 1e-3  # a root makes much of a rounding near 0
    chosen = every.gather(1, indices.long())
    wrong = (chosen - want[:, :n]).abs() > near
    if wrong.any():
        row = int(wrong.any(1).int().argmax())
        mixed = bool(((chosen.sort(1).values - want[:, :n]).abs() <= near).all())
        raise Wrong(
            "The neighbors come in their order, the nearest first."
            if mixed
            else "The indices are those of the nearest images, the nearest first.",
            expected=f"{order[row, :n].tolist()} for sample {row}",
            got=str(indices[row].tolist()),
            evidence=evidence,
        )
    says = "A distance is the root of the mean squared difference, over all pixels and channels."
    try:
        expect_close(distances, want[:, :n], says, tolerance=near)
    except Wrong as apart:
        apart.evidence = evidence
        raise


# ---- small helpers --------------------------------------------------------------------------------------------------


@contextlib.contextmanager
def tried(what: str) -> Iterator[None]:
    """An error that comes from within tells with what it was tried."""
    try:
        yield
    except (Wrong, NotImplementedError):
        raise
    except Exception as error:
        error.add_note(f"tried with {what}")
        raise


def seeded(seed: int) -> torch.Generator:
    """A generator of its own."""
    return torch.Generator().manual_seed(seed)


def shape(value: Tensor) -> str:
    """A tensor's shape, as people write it."""
    return str(tuple(value.shape))


def listed(values: Tensor | Sequence[float]) -> str:
    """The first numbers, as people write them."""
    flat = torch.as_tensor(values).detach().flatten()
    return ", ".join(number(x) for x in flat[:7]) + ", ..." * (len(flat) > 7)


# ---- the picture ----------------------------------------------------------------------------------------------------


class Blurs(nn.Module):
    """A poor denoiser: it blurs, whatever it is told."""

    def forward(self, noisy: Tensor, noise_level: Tensor) -> Tensor:  # noqa: ARG002
        return F.avg_pool2d(noisy, 5, 1, 2, count_include_pad=False)


def _bars(values: Sequence[float] | Tensor, most: float) -> Tensor:
    """Numbers from 0 to `most` as a row of bars."""
    sheet = torch.ones(1, 3, 42, 11 * 21)
    for place, value in enumerate(torch.as_tensor(values).flatten()[:11].tolist()):
        height = 2 + round(40 * min(max(value / most, 0), 1))
        sheet[0, :, 42 - height :, 21 * place : 21 * place + 18] = torch.tensor([0.35, 0.55, 0.8]).view(3, 1, 1)
    return sheet


def _levels(part: ModuleType) -> Tensor:
    """The pyramids of two emoji, each level enlarged to the size of the first. Gray is 0 but in the last."""
    *details, smallest = part.laplacian_pyramid(emoji()[[4, 1]], 3)
    levels = [*(0.5 + detail for detail in details), smallest]
    return (
        torch.cat([F.interpolate(level, size=(32, 32)) for level in levels], dim=3)
        .unflatten(3, (3, 32))
        .movedim(3, 1)
        .flatten(0, 1)
    )


def _cut_out(part: ModuleType) -> Tensor:
    """An emoji, and patches of it, enlarged."""
    places = torch.tensor([[2, 4], [6, 11], [6, 18], [14, 12], [12, 5], [22, 12]])
    squares = part.patches(emoji()[1:2], places).view(-1, 3, PATCH, PATCH)
    return torch.cat([emoji()[1:2], F.pad(F.interpolate(squares, scale_factor=4), (2, 2, 2, 2), value=1.0)])


def _moved(part: ModuleType) -> Tensor:
    """A crowd, and the same crowd moved further and further away."""
    random = seeded(0)
    crowd, directions = torch.randn(64, 3, generator=random), torch.randn(3, 32, generator=random)
    directions = directions / directions.norm(dim=0)
    distances = [part.sliced_distance(crowd, crowd.flip(0) + 0.2 * i, directions) for i in range(11)]
    return _bars(torch.stack(distances), 1.8)


def _noised(part: ModuleType) -> Tensor:
    """Emoji, and the same emoji with more and more noise."""
    noise = torch.rand(1, 3, 32, 32, generator=seeded(0))
    shares = torch.linspace(0, 1, 11).tolist()
    distances = [
        part.sliced_wasserstein(emoji()[4:5], emoji()[4:5].lerp(noise, share), generator=seeded(1)) for share in shares
    ]
    return _bars(distances, 0.9)


def _found(part: ModuleType) -> Tensor:
    """Two noisy emoji, and after each the three that are nearest."""
    samples = emoji()[[9, 2]].lerp(torch.rand(2, 3, 32, 32, generator=seeded(0)), 0.5)
    _, indices = part.nearest_neighbors(samples, emoji(), 3)
    return torch.cat([torch.cat([samples[i : i + 1], emoji()[indices[i]]]) for i in range(2)])


PANELS = [
    Panel(
        "loss_by_noise_level",
        "how wrong a network is that blurs, from level 0 to 1",
        lambda part: _bars(part.loss_by_noise_level(Blurs(), emoji(), torch.linspace(0, 1, 11).tolist()), 0.22),
    ),
    Panel("laplacian_pyramid", "two emoji in three levels each, fine to coarse", _levels),
    Panel("patches", "a picture, and six patches of it, enlarged", _cut_out),
    Panel("sliced_distance", "how far a crowd is from itself, moved further and further", _moved),
    Panel("sliced_wasserstein", "how far a picture is from itself with more and more noise", _noised),
    Panel("nearest_neighbors", "two noisy emoji, and after each the three that are nearest", _found),
]
