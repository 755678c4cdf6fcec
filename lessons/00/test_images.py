"""Grader of lesson 00: what `to_unit`, `center_square` and `random_flip` must do."""

from collections.abc import Callable
from itertools import product
from types import ModuleType

import torch
from torch import Tensor

from dino.course.grader.contact_sheet import Panel, animals, emoji
from dino.course.grader.expect import (
    Wrong,
    advice,
    afterward,
    copies,
    expect,
    expect_tensor,
    number,
    short,
    where,
    where_largest,
)
from dino.course.grader.expect_draws import expect_fair_draws, expect_on_device_of

# ---- 0.1 to_unit ----------------------------------------------------------------------------------------------------


def test_to_unit(to_unit: Callable[..., Tensor], seed: int) -> None:
    """0.1: each byte is divided by 255, regardless of the shape and of the other bytes."""
    random = _generator(seed)

    def check(images: Tensor, what: str) -> None:
        with copies(images_uint8=images) as given:
            unit = expect_tensor(to_unit(*given), "The result of `to_unit`", finite=False).detach().clone()
        expect(
            unit.shape == images.shape,
            "Each byte becomes one number, in the same place.",
            expected=f"the shape {tuple(images.shape)}",
            got=str(tuple(unit.shape)),
        )
        unchanged = [torch.equal(*given, images)]
        want = images.double() / 255
        apart = (unit.double() - want).abs().nan_to_num(nan=torch.inf)
        place = tuple(where_largest(apart))
        rounding = 2e-3 if unit.dtype in (torch.float16, torch.bfloat16) else 5e-7  # four roundings of float32
        expect(
            bool(apart.max() < rounding),
            what,
            expected=f"{number(want[place])} for a byte of {images[place].item()}",
            got=number(unit[place]) + where(place),
            evidence=torch.cat([unit.double().flatten(), torch.tensor([unit.is_floating_point(), *unchanged])]),
        )
        with afterward():
            expect(
                unit.dtype == torch.float32,
                "The result is float32, which can hold fractions.",
                expected="float32",
                got=short(unit.dtype),
            )

    extra = torch.randint(0, 256, (32,), generator=random)
    every = torch.cat([torch.arange(256), extra])[torch.randperm(288, generator=random)]
    evenly = "Black (0) becomes 0, white (255) becomes 1, and the bytes in between are evenly spaced."
    check(every.view(2, 3, 6, 8).to(torch.uint8), evenly)
    dim = torch.randint(40, 200, (4, 3, 5, 7), generator=random, dtype=torch.uint8)
    check(dim, "The result for a byte depends on that byte alone: an image without black and white stays dim.")
    dark = torch.randint(0, 2, (2, 3, 4, 5), generator=random, dtype=torch.uint8)
    check(dark, "The result for a byte depends on that byte alone: an almost black image stays almost black.")
    check(dim[0], "A single image, (C, H, W), is converted in the same way as a batch.")
    check(dim[0, 0, 0], "A few bytes in a row are converted in the same way as a batch.")


# ---- 0.2 center_square ----------------------------------------------------------------------------------------------


def test_center_square(center_square: Callable[[Tensor], Tensor], seed: int) -> None:
    """0.2: the middle of images of all sizes, with unchanged pixels."""
    random = _generator(seed)

    def check(channels: int, height: int, width: int, what: str, dtype: torch.dtype = torch.float32) -> None:
        shape, side = (channels, height, width), min(height, width)
        pixels = torch.randperm(channels * height * width, generator=random).view(shape)  # all different
        image = pixels.to(dtype) if dtype == torch.uint8 else pixels / pixels.numel()
        with copies(image=image) as given:
            square = center_square(*given)
        result = "The result of `center_square`"
        form = "wide" if width > height else "tall" if height > width else "already square"
        got = f"None for an image that is {form} (is a `return` missing?)"
        expect(square is not None, f"{result} must be a tensor.", expected="a tensor", got=got)
        square = expect_tensor(square, result, finite=False)
        expect(
            square.shape == (channels, side, side),
            "The result is a square with the image's shorter side, and it has all the channels.",
            expected=f"{(channels, side, side)} for an image of {shape}",
            got=str(tuple(square.shape)),
            evidence=square,
        )
        with advice() if dtype == torch.uint8 else afterward():
            expect(
                square.dtype == dtype,
                f"The result for a {short(dtype)} image is {short(dtype)} too.",
                expected=short(dtype),
                got=short(square.dtype),
                evidence=square,
            )
        # There are two ways to cut off an odd number of pixels.
        tops, lefts = ({(length - side) // 2, (length - side + 1) // 2} for length in (height, width))
        crops = [image[:, top : top + side, left : left + side] for top, left in product(tops, lefts)]
        expect(
            any(torch.equal(square.double(), crop.double()) for crop in crops),
            what,
            expected=f"{_from_to('row', min(tops), side)}, {_from_to('column', min(lefts), side)} of {shape}",
            got=_origin(square, image),
            evidence=square,
        )

    check(3, 14, 34, "A wide image keeps all its rows and its middle columns.")
    check(3, 25, 11, "A tall image keeps all its columns and its middle rows.")
    check(3, 7, 7, "An image that is already square stays whole.")
    for height, width in ((4, 9), (9, 6), (5, 6), (8, 7), (2, 13)):
        check(3, height, width, "When an odd number of pixels is cut off, the two sides differ by one pixel.")
    for channels, height, width in ((1, 5, 8), (4, 9, 5), (1, 6, 6), (4, 6, 12)):
        check(channels, height, width, "Images with one or four channels are cropped in the same way.")
    for height, width in ((1, 1), (1, 2), (6, 1), (1, 9), (3, 2), (2, 3), (40, 17), (16, 45), (17, 16)):
        check(3, height, width, "Small and large images are cropped in the same way.")
    for height, width in ((10, 6), (6, 11)):
        check(3, height, width, "An image of bytes is cropped in the same way as an image of floats.", torch.uint8)


def _from_to(name: str, first: int, n: int) -> str:
    return f"{name}s {first} to {first + n - 1}" if n > 1 else f"{name} {first}"


def _origin(square: Tensor, image: Tensor) -> str:
    """Describe which part of the image a square is."""
    side, (_, height, width) = square.shape[-1], image.shape
    for top, left in product(range(height - side + 1), range(width - side + 1)):
        if torch.equal(square, image[:, top : top + side, left : left + side]):
            return f"{_from_to('row', top, side)}, {_from_to('column', left, side)}"
    if not torch.isin(square, image).all():
        return "pixels that are not in the image"
    return "other pixels of the image, or the right pixels in another order"


# ---- 0.3 random_flip ------------------------------------------------------------------------------------------------


def test_random_flip(random_flip: Callable[..., Tensor], seed: int) -> None:
    """0.3: left-right and nothing else, half of the time, each image by its own toss from the generator."""
    random, before = _generator(seed), torch.initial_seed()

    def tosses(images: Tensor, generator: torch.Generator | None) -> Tensor:
        """Return which images are mirrored: (N,) booleans."""
        with copies(images=images) as given:
            flipped = expect_tensor(
                random_flip(*given, generator=generator), "The result of `random_flip`", finite=False
            ).clone()
        expect(
            flipped.shape == images.shape,
            "The result has as many images as the input, and each image keeps its size.",
            expected=f"the shape {tuple(images.shape)}",
            got=str(tuple(flipped.shape)),
            evidence=torch.tensor(flipped.shape) / torch.tensor(images.shape) if flipped.dim() == 4 else None,
            slack=0.25,
        )
        expect_tensor(flipped, "The result of `random_flip`", dtype=images.dtype, finite=False)
        stays, mirrored = _alike(flipped, images).flatten(1).all(1), _alike(flipped, images.flip(-1)).flatten(1).all(1)
        if not (stays | mirrored).all():
            wrong = int((stays | mirrored).int().argmin())
            raise Wrong(
                "Each image stays in its place, either unchanged or mirrored left-right.",
                expected="one of the two",
                got=_done_to(wrong, flipped, images),
                evidence=_resemblance(flipped, images),
                slack=0.25,  # fractions of 128 images: four standard errors of the difference of two draws
            )
        return mirrored

    many = torch.rand(128, 3, 5, 7, generator=random)
    tosses(many, random)
    tosses(torch.rand(9, 1, 6, 6, generator=random), random)

    # Many small batches show whether the tosses of a batch depend on each other.
    by_batch = torch.stack([tosses(many[:8], random) for _ in range(16)])
    if by_batch.all() or not by_batch.any():
        got = "all of them mirrored" if by_batch.all() else "none of them mirrored"
        raise Wrong("Some images are mirrored and some are not.", expected="about half of them", got=got)
    alike = bool((by_batch == by_batch[:, :1]).all())
    expect(
        not alike,
        "Each image has its own toss.",
        expected="some images of a batch mirrored and others not",
        got="all images of a batch mirrored, or none",
    )

    one, other, unseeded = tosses(many, _generator(seed)), tosses(many, _generator(seed + 50)), tosses(many, None)
    expect(
        torch.initial_seed() == before,
        "Without a generator, the tosses come from torch's global generator, which keeps its seed.",
        expected="the global generator's own seed",
        got="a new seed",
        evidence=torch.tensor(torch.equal(one, other)),
    )
    halves = one.view(2, 64)
    always_these = [
        (one[1:] == one[:-1]).float().mean(),
        *halves.float().mean(1),
        (halves == halves[:, :1]).all(),  # the same toss within each half
        one[:2].all() and not one[2:].any(),
        torch.equal(one, unseeded),
    ]
    expect(
        not torch.equal(one, other),
        "Chance decides which images are mirrored, with new tosses for each batch.",
        expected="different images at the second call",
        got="the same images",
        evidence=torch.tensor([float(x) for x in always_these]),
        slack=0.25,
    )
    counts = set(by_batch.sum(1).tolist())
    expect(
        len(counts) > 1,
        "Each image has its own toss, so some batches have more mirrored images than others.",
        expected="from 0 to 8 mirrored images in batches of 8",
        got=f"{min(counts)} in each batch",
    )
    few = many[:64]
    expect_fair_draws(lambda generator: tosses(few, generator), seed, "the tosses")
    # A large batch of two-pixel images shows how often the tosses come out each way. The bounds are six standard errors
    # wide, so fair tosses always pass.
    n = 2000
    large = tosses(torch.tensor([0.25, 0.75]).repeat(n, 1, 1, 1), random)
    fraction = large.float().mean()
    expect(
        bool((fraction - 0.5).abs() < 3 / n**0.5),
        "Each image is mirrored with probability 1/2.",
        expected="about 50% of the images",
        got=f"{100 * fraction:.0f}%",
        evidence=fraction,
        slack=0.05,
    )
    for distance in (1, 2, 3, n // 2):
        agree = (large[distance:] == large[:-distance]).float().mean()
        expect(
            bool((agree - 0.5).abs() < 3 / (n - distance) ** 0.5),
            "The tosses of different images are independent.",
            expected=f"the same toss for 50% of the images that are {distance} apart",
            got=f"the same toss for {100 * agree:.0f}%",
        )
    here = torch.Generator("cpu").manual_seed(seed)
    with advice():
        expect_on_device_of("images", "The tosses", lambda: random_flip(few, generator=here))


def _alike(one: Tensor, other: Tensor) -> Tensor:
    return (one - other).abs() < 1e-5


CHANGES = {
    "upside down": (2,),
    "rotated by 180 degrees": (2, 3),
    "with its channels in reverse order": (1,),
    "mirrored, and with its channels in reverse order": (1, 3),
    "rotated by 180 degrees, and with its channels in reverse order": (1, 2, 3),
}


def _done_to(index: int, flipped: Tensor, images: Tensor) -> str:
    """Describe what happened to an image."""
    for words, dims in CHANGES.items():
        if _alike(flipped[index], images.flip(dims)[index]).all():
            return f"image {index} {words}"
    for originals, words in ((images, ""), (images.flip(-1), ", mirrored,")):
        found = _alike(flipped[index], originals).flatten(1).all(1)
        if found.any():
            return f"image {int(found.int().argmax())}{words} in the place of image {index}"
    return f"image {index} changed in some other way"


def _resemblance(flipped: Tensor, images: Tensor) -> Tensor:
    """Return numbers that describe how the result is wrong. They hardly depend on how the tosses came out."""
    mirrored = images.flip(-1)
    stays, flips = _alike(flipped, images), _alike(flipped, mirrored)
    matches = [stays, flips, stays | flips]  # pixels; then channels, rows, columns, and pixels with all their channels
    matches += [stays.flatten(2).all(2) | flips.flatten(2).all(2)]
    matches += [stays.all(dim) | flips.all(dim) for dim in (3, 2, 1)]
    matches += [_alike(flipped, x.roll(step, -1)) for x in (images, mirrored) for step in (1, 2, 3)]
    matches += [flipped.flatten(1).amax(1) - flipped.flatten(1).amin(1) < 1e-6]  # images of a single color
    matches += [_alike(flipped.sort(-1).values, images.sort(-1).values), flipped == 0, flipped > images.max()]
    # Each image, changed in each of these ways: is it in its place or elsewhere in the batch, and in which order?
    weights = torch.linspace(0.1, 1, images[0].numel(), dtype=torch.float64)
    ways = [images, mirrored, *(images.flip(dims) for dims in CHANGES.values())]
    found = torch.stack([way.flatten(1).double() @ weights for way in ways])
    apart = (flipped.flatten(1).double() @ weights - found.unsqueeze(-1)).abs()  # for each way, original and result
    matches += [*(apart.diagonal(dim1=1, dim2=2) < 1e-4), *(apart.amin(1) < 1e-4)]
    matches += [apart.amin(0).argmin(0).diff() > 0]
    return torch.stack([x.float().mean() for x in matches])


def _generator(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


# ---- the contact sheet ----------------------------------------------------------------------------------------------


def _on_gray(image: Tensor, size: int) -> Tensor:
    """Put an image on a gray square of size x size, so that images of different shapes fit in a row."""
    square = torch.full((3, size, size), 0.85)
    height, width = image.shape[-2:]
    top, left = max(0, size - height) // 2, max(0, size - width) // 2
    square[:, top : top + height, left : left + width] = image[:, :size, :size]
    return square


def _bytes() -> Tensor:
    """Return a ramp from black to white, two emoji, and one of the two again without black and white."""
    ramp = torch.linspace(0, 1, 32).expand(3, 32, 32)
    return (torch.stack([ramp, emoji()[0], emoji()[8], 0.3 + emoji()[8] / 3]) * 255).round().to(torch.uint8)


def _cut(part: ModuleType) -> Tensor:
    """Return a wide and a tall image, each followed by its center square."""
    cat, tiger = emoji()[1], emoji()[14]
    wide = torch.cat([tiger[:, :, 16:], cat, tiger[:, :, :16]], dim=2)
    tall = torch.cat([cat[:, 16:], tiger, cat[:, :16]], dim=1)
    shown = [wide, part.center_square(wide.clone()), tall, part.center_square(tall.clone())]
    return torch.stack([_on_gray(image, 64) for image in shown])


def _flip(part: ModuleType) -> Tensor:
    """Return the images, with the result of `random_flip` below them."""
    images = torch.cat([emoji()[[4, 7, 8, 15]], animals()])
    return torch.cat([images, part.random_flip(images.clone(), generator=_generator(0))], dim=2)


PANELS = [
    Panel("to_unit", "a ramp, two images, and a dim image that stays dim", lambda part: part.to_unit(_bytes())),
    Panel("center_square", "a wide and a tall image, each with its middle beside it", _cut),
    Panel("random_flip", "the originals above; below, about half of them mirrored (chance decides which)", _flip),
]
