"""The grader of lesson 00: what `to_unit`, `center_square` and `random_flip` must do."""

from collections.abc import Callable
from itertools import product
from types import ModuleType

import torch
from torch import Tensor

from dino.course.grader.contact_sheet import Panel, animals, emoji
from dino.course.grader.expect import (
    Wrong,
    expect,
    expect_fair_draws,
    expect_on_device_of,
    expect_tensor,
    number,
    short,
    unchanged,
    where,
    where_largest,
)

# ---- 0.1 to_unit ----------------------------------------------------------------------------------------------------


def test_to_unit(to_unit: Callable[..., Tensor], seed: int) -> None:
    """0.1: each byte is divided by 255, whatever the shape and whatever the other bytes are."""
    random = _generator(seed)

    def check(images: Tensor, what: str) -> None:
        with unchanged(images_uint8=images):
            unit = expect_tensor(to_unit(images), "What `to_unit` returns", finite=False)
        expect(
            unit.shape == images.shape,
            "Every byte becomes one number, in its old place.",
            expected=f"the shape {tuple(images.shape)}",
            got=str(tuple(unit.shape)),
        )
        expect(
            unit.dtype == torch.float32,
            "The result is float32: numbers with a fraction.",
            expected="float32",
            got=short(unit.dtype),
            evidence=unit,
            slack=1e-6,
        )
        want = images.double() / 255
        apart = (unit.double() - want).abs().nan_to_num(nan=torch.inf)
        place = tuple(where_largest(apart))
        expect(
            bool(apart.max() < 5e-7),  # four roundings of float32
            what,
            expected=f"{number(want[place])} for a byte of {images[place].item()}",
            got=number(unit[place]) + where(place),
            evidence=unit,
        )

    extra = torch.randint(0, 256, (32,), generator=random)
    every = torch.cat([torch.arange(256), extra])[torch.randperm(288, generator=random)]
    check(
        every.view(2, 3, 6, 8).to(torch.uint8), "Black (0) becomes 0, white (255) becomes 1, the rest evenly between."
    )
    dim = torch.randint(40, 200, (4, 3, 5, 7), generator=random, dtype=torch.uint8)
    check(dim, "What a byte becomes depends on nothing else: a picture without black and white stays dim.")
    dark = torch.randint(0, 2, (2, 3, 4, 5), generator=random, dtype=torch.uint8)
    check(dark, "What a byte becomes depends on nothing else: a picture that is almost black stays so.")
    check(dim[0], "One picture alone, (C, H, W), is turned in the same way as a batch.")
    check(dim[0, 0, 0], "A few bytes in a row are turned in the same way as a batch.")


# ---- 0.2 center_square ----------------------------------------------------------------------------------------------


def test_center_square(center_square: Callable[[Tensor], Tensor], seed: int) -> None:
    """0.2: the middle of pictures of all sizes, and nothing done to its pixels."""
    random = _generator(seed)

    def check(channels: int, height: int, width: int, what: str, dtype: torch.dtype = torch.float32) -> None:
        shape, side = (channels, height, width), min(height, width)
        pixels = torch.randperm(channels * height * width, generator=random).view(shape)  # no two of them alike
        image = pixels.to(dtype) if dtype == torch.uint8 else pixels / pixels.numel()
        with unchanged(image=image):
            square = center_square(image)
        what_returns = "What `center_square` returns"
        form = "wide" if width > height else "tall" if height > width else "square already"
        got = f"None for a picture that is {form} (is a `return` missing?)"
        expect(square is not None, f"{what_returns} must be a tensor.", expected="a tensor", got=got)
        square = expect_tensor(square, what_returns, finite=False)
        expect(
            square.shape == (channels, side, side),
            "The result is a square with the picture's shorter side, and has all its channels.",
            expected=f"{(channels, side, side)} for a picture of {shape}",
            got=str(tuple(square.shape)),
            evidence=square,
        )
        expect(
            square.dtype == dtype,
            f"A picture of {short(dtype)} stays one of {short(dtype)}.",
            expected=short(dtype),
            got=short(square.dtype),
            evidence=square,
        )
        # An odd number of pixels can be cut off in two ways.
        tops, lefts = ({(length - side) // 2, (length - side + 1) // 2} for length in (height, width))
        crops = [image[:, top : top + side, left : left + side] for top, left in product(tops, lefts)]
        expect(
            any(torch.equal(square, crop) for crop in crops),
            what,
            expected=f"{_from_to('row', min(tops), side)}, {_from_to('column', min(lefts), side)} of {shape}",
            got=_origin(square, image),
            evidence=square,
        )

    check(3, 10, 24, "Of a wide picture, all rows and the middle columns are left.")
    check(3, 25, 11, "Of a tall picture, all columns and the middle rows are left.")
    check(3, 7, 7, "A picture that is square already stays whole.")
    for height, width in ((4, 9), (9, 6), (5, 6), (8, 7), (2, 13)):
        check(3, height, width, "An odd number is cut off so that the two sides differ by one pixel.")
    check(3, 10, 6, "Bytes are cut in the same way as floats.", torch.uint8)
    check(3, 6, 11, "Bytes are cut in the same way as floats.", torch.uint8)
    for channels, height, width in ((1, 5, 8), (4, 9, 5), (1, 6, 6), (4, 6, 12)):
        check(channels, height, width, "Gray pictures and those with four channels are cut in the same way.")
    for height, width in ((1, 1), (1, 2), (6, 1), (1, 9), (3, 2), (2, 3), (40, 17), (16, 45), (17, 16)):
        check(3, height, width, "Small and large pictures are cut in the same way.")


def _from_to(name: str, first: int, n: int) -> str:
    return f"{name}s {first} to {first + n - 1}" if n > 1 else f"{name} {first}"


def _origin(square: Tensor, image: Tensor) -> str:
    """In words, which part of the picture a square is."""
    side, (_, height, width) = square.shape[-1], image.shape
    for top, left in product(range(height - side + 1), range(width - side + 1)):
        if torch.equal(square, image[:, top : top + side, left : left + side]):
            return f"{_from_to('row', top, side)}, {_from_to('column', left, side)}"
    if not torch.isin(square, image).all():
        return "pixels that are not in the picture"
    return "other pixels of the picture, or in another order"


# ---- 0.3 random_flip ------------------------------------------------------------------------------------------------


def test_random_flip(random_flip: Callable[..., Tensor], seed: int) -> None:
    """0.3: left-right and nothing else, half of the time, each image by a toss of its own from the generator."""
    random, before = _generator(seed), torch.initial_seed()

    def tosses(images: Tensor, generator: torch.Generator | None) -> Tensor:
        """Which images are mirrored: (N,) truths."""
        with unchanged(images=images):
            flipped = expect_tensor(
                random_flip(images, generator=generator), "What `random_flip` returns", finite=False
            )
        expect(
            flipped.shape == images.shape,
            "As many images come back as go in, each as large as before.",
            expected=f"the shape {tuple(images.shape)}",
            got=str(tuple(flipped.shape)),
            evidence=torch.tensor(flipped.shape) / torch.tensor(images.shape) if flipped.dim() == 4 else None,
            slack=0.25,
        )
        expect_tensor(flipped, "What `random_flip` returns", dtype=images.dtype, finite=False)
        stays, mirrored = _alike(flipped, images).flatten(1).all(1), _alike(flipped, images.flip(-1)).flatten(1).all(1)
        if not (stays | mirrored).all():
            wrong = int((stays | mirrored).int().argmin())
            raise Wrong(
                "Each image is in its old place, as it was or mirrored left-right.",
                expected="one of these two",
                got=_done_to(wrong, flipped, images),
                evidence=_resemblance(flipped, images),
                slack=0.25,  # of shares of 128 images: four standard errors of two draws' difference
            )
        return mirrored

    many = torch.rand(128, 3, 5, 7, generator=random)
    tosses(many, random)
    tosses(torch.rand(9, 1, 6, 6, generator=random), random)

    # Many small batches show whether the images of a batch hang together.
    by_batch = torch.stack([tosses(many[:8], random) for _ in range(16)])
    if by_batch.all() or not by_batch.any():
        got = "all of them mirrored" if by_batch.all() else "none of them mirrored"
        raise Wrong("Some images are mirrored and some are not.", expected="about half of them", got=got)
    together = bool((by_batch == by_batch[:, :1]).all())
    expect(
        not together,
        "Each image has a toss of its own.",
        expected="some images mirrored, and others of the same batch not",
        got="in each batch all of them or none",
    )

    one, other, unseeded = tosses(many, _generator(seed)), tosses(many, _generator(seed + 50)), tosses(many, None)
    expect(
        torch.initial_seed() == before,
        "Without a generator, the tosses come from torch's global one as it is.",
        expected="the global generator left to run on",
        got="a new seed for it",
        evidence=torch.tensor(torch.equal(one, other)),
    )
    halves = one.view(2, 64)
    always_these = [
        (one[1:] == one[:-1]).float().mean(),
        *halves.float().mean(1),
        (halves == halves[:, :1]).all(),  # each half alike
        one[:2].all() and not one[2:].any(),
        torch.equal(one, unseeded),
    ]
    expect(
        not torch.equal(one, other),
        "Which images are mirrored is up to chance: other tosses for each batch.",
        expected="some other images at the second call",
        got="the same ones",
        evidence=torch.tensor([float(x) for x in always_these]),
        slack=0.25,
    )
    counts = set(by_batch.sum(1).tolist())
    expect(
        len(counts) > 1,
        "Each image has a toss of its own: in some batches more are mirrored, in others fewer.",
        expected="numbers from 0 to 8 in batches of 8",
        got=f"{min(counts)} in each batch",
    )
    few = many[:64]
    expect_fair_draws(lambda generator: tosses(few, generator), seed, "the tosses")
    # A large batch, of pictures of two pixels, shows how often the tosses fall which way. The bounds are six standard
    # errors wide: fair tosses always pass.
    n = 2000
    large = tosses(torch.tensor([0.25, 0.75]).repeat(n, 1, 1, 1), random)
    share = large.float().mean()
    expect(
        bool((share - 0.5).abs() < 3 / n**0.5),
        "An image is mirrored with a probability of 1/2.",
        expected="about 50% of them",
        got=f"{100 * share:.0f}%",
        evidence=share,
        slack=0.05,
    )
    for distance in (1, 2, 3, n // 2):
        agree = (large[distance:] == large[:-distance]).float().mean()
        expect(
            bool((agree - 0.5).abs() < 3 / (n - distance) ** 0.5),
            "An image's toss tells nothing of another image's.",
            expected=f"images {distance} apart that fare alike half of the time",
            got=f"{100 * agree:.0f}% of the time",
        )
    here = torch.Generator("cpu").manual_seed(seed)
    expect_on_device_of("images", "The tosses", lambda: random_flip(few, generator=here))


def _alike(one: Tensor, other: Tensor) -> Tensor:
    return (one - other).abs() < 1e-5


CHANGES = {
    "upside down": (2,),
    "turned by 180 degrees": (2, 3),
    "with its channels in reverse order": (1,),
    "mirrored, and with its channels in reverse order": (1, 3),
    "turned by 180 degrees, and with its channels in reverse order": (1, 2, 3),
}


def _done_to(index: int, flipped: Tensor, images: Tensor) -> str:
    """In words, what became of an image."""
    for words, dims in CHANGES.items():
        if _alike(flipped[index], images.flip(dims)[index]).all():
            return f"image {index} {words}"
    for pictures, words in ((images, ""), (images.flip(-1), ", mirrored,")):
        found = _alike(flipped[index], pictures).flatten(1).all(1)
        if found.any():
            return f"image {int(found.int().argmax())}{words} in the place of image {index}"
    return f"an image {index} that is neither"


def _resemblance(flipped: Tensor, images: Tensor) -> Tensor:
    """What kind of damage was done, as numbers that hardly depend on how the tosses fell."""
    mirrored = images.flip(-1)
    stays, flips = _alike(flipped, images), _alike(flipped, mirrored)
    shares = [stays, flips, stays | flips]  # of pixels; then of channels, rows, columns, pixels with all their channels
    shares += [stays.flatten(2).all(2) | flips.flatten(2).all(2)]
    shares += [stays.all(dim) | flips.all(dim) for dim in (3, 2, 1)]
    shares += [_alike(flipped, x.roll(step, -1)) for x in (images, mirrored) for step in (1, 2, 3)]
    shares += [_alike(flipped.sort(-1).values, images.sort(-1).values), flipped == 0, flipped > images.max()]
    # Each image, turned in all these ways: is it in its place, or somewhere else in the batch, and in which order?
    weights = torch.linspace(0.1, 1, images[0].numel(), dtype=torch.float64)
    ways = [images, mirrored, *(images.flip(dims) for dims in CHANGES.values())]
    found = torch.stack([way.flatten(1).double() @ weights for way in ways])
    apart = (flipped.flatten(1).double() @ weights - found.unsqueeze(-1)).abs()  # of each way, original and result
    shares += [*(apart.diagonal(dim1=1, dim2=2) < 1e-4), *(apart.amin(1) < 1e-4)]
    shares += [apart.amin(0).argmin(0).diff() > 0]
    return torch.stack([share.float().mean() for share in shares])


def _generator(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


# ---- the picture ----------------------------------------------------------------------------------------------------


def _on_paper(image: Tensor, size: int) -> Tensor:
    """A picture on a gray sheet of size x size, so that pictures of several shapes can stand in a row."""
    paper = torch.full((3, size, size), 0.85)
    height, width = image.shape[-2:]
    top, left = max(0, size - height) // 2, max(0, size - width) // 2
    paper[:, top : top + height, left : left + width] = image[:, :size, :size]
    return paper


def _bytes() -> Tensor:
    """A ramp from black to white, two emoji, and one of them with its blacks and whites taken away."""
    ramp = torch.linspace(0, 1, 32).expand(3, 32, 32)
    return (torch.stack([ramp, emoji()[0], emoji()[8], 0.3 + emoji()[8] / 3]) * 255).round().to(torch.uint8)


def _cut(part: ModuleType) -> Tensor:
    """A wide and a tall picture, and what is left of them."""
    cat, tiger = emoji()[1], emoji()[14]
    wide = torch.cat([tiger[:, :, 16:], cat, tiger[:, :, :16]], dim=2)
    tall = torch.cat([cat[:, 16:], tiger, cat[:, :16]], dim=1)
    shown = [wide, part.center_square(wide.clone()), tall, part.center_square(tall.clone())]
    return torch.stack([_on_paper(image, 64) for image in shown])


def _flip(part: ModuleType) -> Tensor:
    """Above the images as they were, below what became of them."""
    images = torch.cat([emoji()[[4, 7, 8, 15]], animals()])
    return torch.cat([images, part.random_flip(images.clone(), generator=_generator(0))], dim=2)


PANELS = [
    Panel("to_unit", "a ramp, two pictures, and a dim one that stays dim", lambda part: part.to_unit(_bytes())),
    Panel("center_square", "a wide and a tall picture, and beside each its middle", _cut),
    Panel("random_flip", "above as they were, below about half mirrored (which ones is up to chance)", _flip),
]
