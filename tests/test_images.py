"""Checks of dino.images: bytes become floats, batches keep their promises, and every oddity of a picture file is met.

All files are made here, at run time. Most hold one picture, QUARTERS: four colors, one in each corner, so that a
mirrored, turned, shifted or wrongly colored picture can't pass for the right one.
"""

import io
import os
import struct
import warnings
import zlib
from collections.abc import Callable, Iterable
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import safetensors.torch
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageFile
from torch import Tensor

from dino import images
from dino.common.errors import DinoError, DinoWarning
from dino.data import sources
from dino.data.loading import load_images
from dino.images import batches, center_square, random_flip, seeded, to_unit

SIZE = 16
RED, GREEN, BLUE, BLACK, WHITE = (255, 0, 0), (0, 255, 0), (0, 0, 255), (0, 0, 0), (255, 255, 255)


def in_quarters(values: Iterable[Any], dtype: npt.DTypeLike = np.uint8) -> np.ndarray:
    """16 x 16 pixels (H, W, ...): the four values in the top left, top right, bottom left, bottom right corner."""
    top_left, top_right, bottom_left, bottom_right = np.array(list(values), dtype=dtype)
    pixels = np.empty((SIZE, SIZE, *top_left.shape), dtype)
    pixels[:8, :8], pixels[:8, 8:], pixels[8:, :8], pixels[8:, 8:] = top_left, top_right, bottom_left, bottom_right
    return pixels


ColorS = [RED, GREEN, BLUE, BLACK]
QUARTERS = in_quarters(ColorS)


def encoded(picture: np.ndarray | Image.Image, kind: str = "PNG", **options: Any) -> bytes:
    picture = Image.fromarray(picture) if isinstance(picture, np.ndarray) else picture
    file = io.BytesIO()
    picture.save(file, kind, **options)
    return file.getvalue()


def png(width: int, height: int, depth: int, color: int, rows: bytes, transparent: bytes = b"") -> bytes:
    """A PNG file from its parts, for the kinds that Pillow reads and doesn't write, and for headers that lie."""

    def chunk(name: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, color, 0, 0, 0))
    marks = chunk(b"tRNS", transparent) if transparent else b""
    return b"\x89PNG\r\n\x1a\n" + header + marks + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def deep_png(pixels: np.ndarray, color: int, transparent: int | None = None) -> bytes:
    """A PNG of 16 bits a channel. Every row begins with the number of its filter, 0 for none."""
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in pixels)
    return png(SIZE, SIZE, 16, color, rows, b"" if transparent is None else struct.pack(">H", transparent))


def animated(kind: str, **options: Any) -> bytes:
    later = [Image.new("RGB", (SIZE, SIZE), color) for color in ("yellow", "magenta")]
    return encoded(QUARTERS, kind, save_all=True, append_images=later, duration=100, **options)


def folder_of(folder: Path, **files: bytes) -> Path:
    """A folder with these files. In the names, `__` stands for a dot."""
    for name, blob in files.items():
        write(folder / name.replace("__", "."), blob)
    return folder


def write(path: Path, blob: bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(blob)
    return path


def load_one(folder: Path, name: str, blob: bytes, size: int = SIZE, channels: int = 3) -> np.ndarray:
    """The one picture of a folder with this one file, as (H, W, C) integers. No warning is let pass."""
    write(folder / name, blob)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        loaded = load_images(folder, size, channels=channels, cache=False)
    assert loaded.dtype == torch.uint8
    assert loaded.shape == (1, channels, size, size)
    assert loaded.is_contiguous()
    return loaded[0].permute(1, 2, 0).numpy().astype(int)


def one_warning(call: Callable[[], Tensor]) -> tuple[Tensor, str]:
    """What the call returns, and the text of the one warning that it gives."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        result = call()
    assert [w.category for w in caught] == [DinoWarning], [str(w.message) for w in caught]
    assert caught[0].filename == __file__, "the warning points at the line that called load_images"
    return result, str(caught[0].message)


# ---- from bytes to floats -------------------------------------------------------------------------------------------


def test_every_byte_becomes_its_255th_to_the_last_bit() -> None:
    every_byte = torch.arange(256, dtype=torch.uint8)
    as_floats = to_unit(every_byte)
    exact = every_byte.double() / 255
    assert as_floats.dtype == torch.float32
    assert (as_floats.double() - exact).abs().max() <= 2**-25  # half the distance of float32's neighbors below 1
    assert as_floats[[0, 255]].tolist() == [0, 1]
    assert torch.equal((as_floats * 255).round().to(torch.uint8), every_byte)


@given(st.lists(st.integers(0, 4), max_size=5))
def test_floats_keep_the_shape_of_the_bytes(shape: list[int]) -> None:
    dark = torch.zeros(shape, dtype=torch.uint8)
    assert to_unit(dark).shape == dark.shape
    assert not dark.any()


@given(st.integers(1, 4), st.integers(1, 40), st.integers(1, 40))
def test_the_middle_square_is_the_middle_and_an_odd_pixel_goes_right_or_below(c: int, height: int, width: int) -> None:
    image = torch.arange(c * height * width).reshape(c, height, width)
    square = center_square(image)
    side = min(height, width)
    assert square.shape == (c, side, side)
    top, left = divmod(int(square[0, 0, 0]), width)
    assert (height - side - top) - top in (0, 1)  # as much below as above, or one more
    assert (width - side - left) - left in (0, 1)
    assert torch.equal(square, image[:, top : top + side, left : left + side])


def test_flips_mirror_whole_images_left_to_right_and_no_other_way(generator: torch.Generator) -> None:
    clean = torch.rand(64, 3, 5, 4, generator=generator)
    before = clean.clone()
    flipped = random_flip(clean, generator=generator)
    kept = (flipped == clean).flatten(1).all(1)
    mirrored = (flipped == clean.flip(-1)).flatten(1).all(1)
    assert (kept ^ mirrored).all()
    assert kept.any()
    assert mirrored.any()
    assert torch.equal(clean, before)


def test_flips_are_tossed_for_each_image_alone_and_come_up_half_of_the_time(generator: torch.Generator) -> None:
    tosses = torch.stack([mirrored(random_flip(arrow(1000), generator=generator)) for _ in range(40)])
    # 40,000 fair tosses: the share is within five standard deviations, 5 / (2 sqrt(40000)) = 0.0125, of a half
    assert abs(tosses.float().mean().item() - 0.5) < 0.0125
    neighbors_agree = (tosses[:, 1:] == tosses[:, :-1]).float().mean().item()
    assert abs(neighbors_agree - 0.5) < 0.0125
    draws_agree = (tosses[1:] == tosses[:-1]).float().mean().item()
    assert abs(draws_agree - 0.5) < 0.0125


def arrow(n: int) -> Tensor:
    """n images of one row, 0 1, that show whether they were mirrored."""
    return torch.tensor([0.0, 1.0]).expand(n, 1, 1, 2)


def mirrored(arrows: Tensor) -> Tensor:
    return arrows[:, 0, 0, 0] == 1


def test_flips_without_a_generator_follow_the_global_seed() -> None:
    torch.manual_seed(3)
    first = random_flip(arrow(64))
    torch.manual_seed(3)
    assert torch.equal(first, random_flip(arrow(64)))


def test_the_same_key_gives_the_same_numbers_and_another_key_others() -> None:
    keys: list[tuple[int | str, ...]] = [(0,), (1,), (-1,), (2**40,), (0, "noise"), (0, "noise", 1), ("noise", 0), ()]
    draws = [torch.rand(8, generator=seeded("cpu", *key)) for key in keys]
    again = [torch.rand(8, generator=seeded("cpu", *key)) for key in keys]
    assert all(map(torch.equal, draws, again))
    assert len({tuple(draw.tolist()) for draw in draws}) == len(keys)


def test_a_given_generator_leaves_the_global_one_alone(blobs: Tensor) -> None:
    before = torch.random.get_rng_state()
    random_flip(to_unit(blobs), generator=seeded("cpu", 0))
    next(batches(blobs, 8))
    assert torch.equal(torch.random.get_rng_state(), before)


# ---- batches --------------------------------------------------------------------------------------------------------


def numbered(n: int) -> Tensor:
    """n pictures that are equal to their mirror images; all pixels of picture i are i."""
    return torch.arange(n, dtype=torch.uint8).view(n, 1, 1, 1).expand(n, 1, 2, 2)


def numbers_of(batch: Tensor) -> list[int]:
    return (batch[:, 0, 0, 0] * 255).round().int().tolist()


@given(n=st.integers(1, 12), batch_size=st.integers(1, 30), seed=st.integers(0, 99))
@settings(deadline=None)
def test_every_picture_comes_once_per_pass(n: int, batch_size: int, seed: int) -> None:
    passes = 4
    n_batches = -(-passes * n // batch_size)
    drawn = [i for b in islice(batches(numbered(n), batch_size, seed=seed), n_batches) for i in numbers_of(b)]
    assert len(drawn) == n_batches * batch_size
    for start in range(0, passes * n, n):
        assert sorted(drawn[start : start + n]) == list(range(n))


@given(n=st.integers(1, 12), batch_size=st.integers(1, 30), seed=st.integers(0, 99), k=st.integers(0, 9))
@settings(deadline=None)
def test_batch_k_is_the_same_wherever_the_run_started(n: int, batch_size: int, seed: int, k: int) -> None:
    pictures = torch.randint(0, 256, (n, 3, 2, 5), dtype=torch.uint8, generator=seeded("cpu", n))
    from_the_start = list(islice(batches(pictures, batch_size, seed=seed), k + 2))[k:]
    resumed = list(islice(batches(pictures, batch_size, seed=seed, start=k), 2))
    assert all(map(torch.equal, from_the_start, resumed))


def test_batches_are_floats_of_the_pictures_each_maybe_mirrored(blobs: Tensor) -> None:
    before = blobs.clone()
    batch = next(batches(blobs, 40))
    assert batch.dtype == torch.float32
    assert batch.shape == blobs.shape
    assert batch.min() >= 0
    assert batch.max() <= 1
    expected = {picture.numpy().tobytes() for picture in to_unit(torch.cat([blobs, blobs.flip(-1)]))}
    assert {picture.numpy().tobytes() for picture in batch} <= expected
    assert torch.equal(blobs, before)


def test_passes_and_seeds_differ_in_their_order() -> None:
    first, second = (numbers_of(batch) for batch in islice(batches(numbered(100), 100), 2))
    other_seed = numbers_of(next(batches(numbered(100), 100, seed=1)))
    assert len({tuple(first), tuple(second), tuple(other_seed), tuple(range(100))}) == 4


def test_the_same_picture_is_mirrored_in_some_passes_only() -> None:
    one = (torch.tensor([0, 255], dtype=torch.uint8)).view(1, 1, 1, 2)
    tosses = [bool(mirrored(batch)) for batch in islice(batches(one, 1), 64)]
    assert 0 < sum(tosses) < 64


def test_a_far_batch_costs_no_more_than_the_first() -> None:
    next(batches(numbered(10), 4, start=10**12))


# ---- every kind of picture file -------------------------------------------------------------------------------------


def palette() -> Image.Image:
    picture = Image.fromarray(in_quarters([0, 1, 2, 3])).convert("L")
    picture.putpalette([*RED, *GREEN, *BLUE, *BLACK])
    return picture


def cmyk() -> Image.Image:
    return Image.fromarray(in_quarters([(0, 255, 255, 0), (255, 0, 255, 0), (255, 255, 0, 0), (0, 0, 0, 255)]), "CMYK")


GRAYS = [0, 85, 170, 255]  # in 8 bits
DEEP = [gray * 257 for gray in GRAYS]  # the same in 16 bits: 255 * 257 = 65535
ALPHAS = [128, 0, 255, 51]
ON_WHITE = [(255, 127, 127), WHITE, BLUE, (204, 204, 204)]  # the ColorS with these ALPHAS
SEE_THROUGH = np.concatenate([QUARTERS, in_quarters(ALPHAS)[..., None]], axis=-1)

# The file's name, what is in it, and the colors of the four corners that are to come out of it.
EXACT: dict[str, tuple[str, Callable[[], bytes], list[Any]]] = {
    "RGB": ("a.png", lambda: encoded(QUARTERS), ColorS),
    "gray": ("a.png", lambda: encoded(in_quarters(GRAYS)), GRAYS),
    "1 bit": ("a.png", lambda: encoded(in_quarters([0, 1, 1, 0], bool)), [0, 255, 255, 0]),
    "gray, alpha": ("a.png", lambda: encoded(in_quarters([(0, 255), (0, 128), (0, 0), (9, 255)])), [0, 127, 255, 9]),
    "gray, one transparent": ("a.png", lambda: encoded(in_quarters(GRAYS), transparency=85), [0, 255, 170, 255]),
    "palette": ("a.png", lambda: encoded(palette()), ColorS),
    "palette, one transparent": ("a.png", lambda: encoded(palette(), transparency=1), [RED, WHITE, BLUE, BLACK]),
    "palette, alpha": ("a.png", lambda: encoded(palette(), transparency=bytes(ALPHAS)), ON_WHITE),
    "RGB, one transparent": ("a.png", lambda: encoded(QUARTERS, transparency=BLUE), [RED, GREEN, WHITE, BLACK]),
    "RGBA": ("a.png", lambda: encoded(SEE_THROUGH), ON_WHITE),
    "RGBA WebP": ("a.webp", lambda: encoded(SEE_THROUGH, "WEBP", lossless=True, exact=True), ON_WHITE),
    "RGBA TIFF": ("a.tiff", lambda: encoded(SEE_THROUGH, "TIFF"), ON_WHITE),
    "16-bit gray": ("a.png", lambda: encoded(in_quarters(DEEP, np.uint16)), GRAYS),
    "16-bit gray, rounded": ("a.png", lambda: encoded(in_quarters([128, 129, 385, 386], np.uint16)), [0, 1, 1, 2]),
    "16 bits, one transparent": ("a.png", lambda: deep_png(in_quarters(DEEP, int), 0, DEEP[1]), [0, 255, 170, 255]),
    "16-bit gray TIFF": ("a.tif", lambda: encoded(in_quarters(DEEP, np.uint16), "TIFF"), GRAYS),
    "16-bit gray TIFF, big end first": ("a.tif", lambda: encoded(in_quarters(DEEP, np.dtype(">u2")), "TIFF"), GRAYS),
    "16-bit RGB": ("a.png", lambda: deep_png(QUARTERS.astype(int) * 257, 2), ColorS),
    "16-bit RGBA": ("a.png", lambda: deep_png(SEE_THROUGH.astype(int) * 257, 6), ON_WHITE),
    "32-bit whole numbers": ("a.tiff", lambda: encoded(in_quarters(DEEP, np.int32), "TIFF"), GRAYS),
    "floats, 0 to 1": ("a.tiff", lambda: encoded(in_quarters([0, 1 / 3, 2 / 3, 1], np.float32), "TIFF"), GRAYS),
    "floats, 0 to 255": ("a.tiff", lambda: encoded(in_quarters(GRAYS, np.float32), "TIFF"), GRAYS),
    "floats, one not": ("a.tiff", lambda: encoded(in_quarters([0, np.nan, 0.2, 1], "f4"), "TIFF"), [0, 0, 51, 255]),
    "animated GIF": ("a.gif", lambda: animated("GIF"), ColorS),
    "animated WebP": ("a.webp", lambda: animated("WEBP", lossless=True), ColorS),
    "animated PNG": ("a.png", lambda: animated("PNG"), ColorS),
    "TIFF of several pages": ("a.tiff", lambda: animated("TIFF"), ColorS),
    "GIF, one transparent": ("a.gif", lambda: encoded(palette(), "GIF", transparency=1), [RED, WHITE, BLUE, BLACK]),
    "BMP": ("a.bmp", lambda: encoded(QUARTERS, "BMP"), ColorS),
    "TIFF": ("a.tiff", lambda: encoded(QUARTERS, "TIFF"), ColorS),
    "compressed TIFF": ("a.tiff", lambda: encoded(QUARTERS, "TIFF", compression="tiff_lzw"), ColorS),
    "CMYK TIFF": ("a.tiff", lambda: encoded(cmyk(), "TIFF"), ColorS),
    "lossless WebP": ("a.webp", lambda: encoded(QUARTERS, "WEBP", lossless=True), ColorS),
    "ICO": ("a.ico", lambda: encoded(QUARTERS, "ICO", sizes=[(SIZE, SIZE)]), ColorS),
    "PPM": ("a.ppm", lambda: encoded(QUARTERS, "PPM"), ColorS),
    "PNG named as a JPEG": ("a.jpg", lambda: encoded(QUARTERS), ColorS),
    "an upper-case ending": ("A.PNG", lambda: encoded(QUARTERS), ColorS),
}  # fmt: skip


@pytest.mark.parametrize("kind", EXACT)
def test_a_lossless_picture_comes_out_exactly(tmp_path: Path, kind: str) -> None:
    name, make, colors = EXACT[kind]
    colors = [color if isinstance(color, tuple) else (color,) * 3 for color in colors]
    assert np.array_equal(load_one(tmp_path, name, make()), in_quarters(colors))


@pytest.mark.parametrize("kind", EXACT)
def test_a_gray_picture_has_the_brightness_of_the_colored_one(tmp_path: Path, kind: str) -> None:
    name, make, _ = EXACT[kind]
    colored = load_one(tmp_path, name, make())
    gray = load_one(tmp_path, name, make(), channels=1)[..., 0]
    assert np.abs(gray - colored @ [0.299, 0.587, 0.114]).max() <= 0.51  # ITU-R 601, rounded
    if (colored == colored[..., :1]).all():
        assert np.array_equal(gray, colored[..., 0])


FINE = {"quality": 95, "subsampling": 0}  # each 8 x 8 block of QUARTERS is one block of the JPEG, so nothing bleeds
NEAR = 3  # levels that a JPEG may be off: colors are rounded on the way to YCbCr and back, and each block's average
NEARLY: dict[str, Callable[[], bytes]] = {
    "JPEG": lambda: encoded(QUARTERS, "JPEG", **FINE),
    "progressive JPEG": lambda: encoded(QUARTERS, "JPEG", progressive=True, **FINE),
    "YCbCr JPEG": lambda: encoded(Image.fromarray(QUARTERS).convert("YCbCr"), "JPEG", **FINE),
    "CMYK JPEG": lambda: encoded(cmyk(), "JPEG", **FINE),
    "JPEG with damaged EXIF": lambda: encoded(QUARTERS, "JPEG", exif=b"Exif\0\0II*\0\x08\0\0\0\xff\xff", **FINE),
}


@pytest.mark.parametrize("kind", NEARLY)
def test_a_jpeg_comes_out_nearly(tmp_path: Path, kind: str) -> None:
    assert np.abs(load_one(tmp_path, "a.jpeg", NEARLY[kind]()) - QUARTERS).max() <= NEAR


# For each EXIF orientation, the side of the upright picture at which the file's first row and first column lie: the
# words of the standard (EXIF 2.3, tag 274).
ORIENTATIONS = {
    1: ("top", "left"), 2: ("top", "right"), 3: ("bottom", "right"), 4: ("bottom", "left"),
    5: ("left", "top"), 6: ("right", "top"), 7: ("right", "bottom"), 8: ("left", "bottom"),
}  # fmt: skip


def as_stored(upright: np.ndarray, orientation: int) -> tuple[np.ndarray, Image.Exif]:
    first_row, first_column = ORIENTATIONS[orientation]
    stored = upright if first_row in ("top", "bottom") else upright.swapaxes(0, 1)
    stored = stored[::-1] if first_row in ("bottom", "right") else stored
    stored = stored[:, ::-1] if first_column in ("bottom", "right") else stored
    exif = Image.Exif()
    exif[274] = orientation
    return np.ascontiguousarray(stored), exif


@pytest.mark.parametrize("orientation", ORIENTATIONS)
@pytest.mark.parametrize(("kind", "options", "tolerance"), [("PNG", {}, 0), ("TIFF", {}, 0), ("JPEG", FINE, NEAR)])
def test_a_turned_picture_is_set_upright(
    tmp_path: Path, orientation: int, kind: str, options: dict[str, Any], tolerance: int
) -> None:
    stored, exif = as_stored(QUARTERS, orientation)
    loaded = load_one(tmp_path, f"a.{kind}", encoded(stored, kind, exif=exif, **options))
    assert np.abs(loaded - QUARTERS).max() <= tolerance


def test_a_photo_that_is_decoded_at_a_part_of_its_size_is_whole_and_upright(tmp_path: Path) -> None:
    photo = QUARTERS.repeat(64, axis=0).repeat(64, axis=1)  # 1024 x 1024, which is 64 times too large
    stored, exif = as_stored(photo, 6)
    off = np.abs(load_one(tmp_path, "a.jpg", encoded(stored, "JPEG", exif=exif, **FINE)) - QUARTERS)
    off[5:11], off[:, 5:11] = 0, 0  # resizing looks at three pixels on either side, so it mixes colors at the middle
    assert off.max() <= NEAR


@pytest.mark.parametrize(("height", "width"), [(16, 22), (22, 16), (16, 21), (21, 16), (2, 3000), (3000, 2), (1, 7)])
def test_a_picture_is_cut_as_center_square_cuts_it(tmp_path: Path, height: int, width: int) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)
    square = center_square(torch.from_numpy(pixels).permute(2, 0, 1)).permute(1, 2, 0).numpy()
    assert np.array_equal(load_one(tmp_path, "a.png", encoded(pixels), size=min(height, width)), square)


@pytest.mark.parametrize(("height", "width"), [(1, 1), (1, 900), (900, 1), (3, 2), (16, 16), (70, 50)])
@pytest.mark.parametrize("size", [1, 8, 33])
def test_a_picture_of_one_color_keeps_it_at_any_size(tmp_path: Path, height: int, width: int, size: int) -> None:
    plain = np.full((height, width, 3), (1, 130, 254), dtype=np.uint8)
    assert (load_one(tmp_path, "a.png", encoded(plain), size=size) == (1, 130, 254)).all()


def test_a_picture_is_made_smaller_by_averaging_and_not_by_dropping_pixels(tmp_path: Path) -> None:
    stripes = np.tile(np.array([[0, 255]], dtype=np.uint8), (64, 32))  # 64 x 64, every other column white
    assert np.abs(load_one(tmp_path, "a.png", encoded(stripes), size=8) - 127.5).max() <= 12.75  # a twentieth


# ---- files that can't be read ---------------------------------------------------------------------------------------


def noise() -> np.ndarray:
    return np.random.default_rng(1).integers(0, 256, (40, 40, 3), dtype=np.uint8)


def half(blob: bytes) -> bytes:
    return blob[: len(blob) // 2]


def holed(blob: bytes) -> bytes:
    return blob[:900] + bytes(100) + blob[1000:]


def bits(width: int, height: int) -> bytes:
    """A sound black PNG of a bit a pixel: however large, it is a small file."""
    return png(width, height, 1, 0, bytes((1 + -(-width // 8)) * height))


HEIC = b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(200)  # as a phone's photographs begin

BROKEN: dict[str, tuple[str, Callable[[], bytes]]] = {
    "a truncated PNG": ("cut.png", lambda: half(encoded(noise()))),
    "a truncated JPEG": ("cut.jpg", lambda: half(encoded(noise(), "JPEG"))),
    "a truncated GIF": ("cut.gif", lambda: half(encoded(noise(), "GIF"))),
    "a truncated WebP": ("cut.webp", lambda: half(encoded(noise(), "WEBP"))),
    "a truncated BMP": ("cut.bmp", lambda: half(encoded(noise(), "BMP"))),
    "a truncated TIFF": ("cut.tiff", lambda: half(encoded(noise(), "TIFF"))),
    "a PNG of its header alone": ("cut.png", lambda: encoded(noise())[:33]),
    "a PNG with a damaged middle": ("bad.png", lambda: holed(encoded(noise()))),
    "a text": ("text.png", lambda: b"this is not a picture"),
    "a phone's": ("IMG_0001.HEIC", lambda: HEIC),
    "an empty file": ("empty.jpg", lambda: b""),
    "a program": ("program.png", lambda: encoded(QUARTERS, "EPS")),
    "a name in unicode": ("größe 大.png", lambda: b"?"),
}  # fmt: skip


@pytest.mark.parametrize("kind", BROKEN)
def test_a_broken_picture_is_skipped_counted_and_named(tmp_path: Path, kind: str) -> None:
    name, make = BROKEN[kind]
    write(tmp_path / "good.png", encoded(QUARTERS))
    write(tmp_path / name, make())
    loaded, warning = one_warning(lambda: load_images(tmp_path, SIZE))
    assert np.array_equal(loaded[0].permute(1, 2, 0).numpy(), QUARTERS)
    assert len(loaded) == 1
    assert warning.startswith(f"skipped 1 of 2 pictures that could not be read: {name} (")
    assert warning.endswith(")")
    assert "0x" not in warning, "the address of an object tells nobody anything"
    assert "\n" not in warning


@pytest.mark.parametrize("kind", BROKEN)
def test_a_folder_of_broken_pictures_alone_is_an_error_that_names_them(tmp_path: Path, kind: str) -> None:
    name, make = BROKEN[kind]
    write(tmp_path / name, make())
    message = error_of(lambda: load_images(tmp_path, SIZE))
    assert f"none of the 1 pictures of {tmp_path} could be read: {name} (" in message


@pytest.mark.parametrize(
    "blob",
    [bits(10_500, 10_000), png(100_000, 100_000, 8, 2, b""), png(2**31 - 1, 2**31 - 1, 8, 6, b"")],
    ids=["105 million", "ten billion", "2**62"],
)
def test_a_picture_of_far_too_many_pixels_is_skipped_before_it_is_decoded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, blob: bytes
) -> None:
    write(tmp_path / "good.png", encoded(QUARTERS))
    write(tmp_path / "huge.png", blob)
    decoded = []
    load = ImageFile.ImageFile.load

    def noted(image: ImageFile.ImageFile) -> Any:
        decoded.append(image.size)
        return load(image)

    monkeypatch.setattr(ImageFile.ImageFile, "load", noted)
    loaded, warning = one_warning(lambda: load_images(tmp_path, SIZE))
    assert len(loaded) == 1
    assert set(decoded) == {(SIZE, SIZE)}
    assert "skipped 1 of 2 pictures that could not be read: huge.png (" in warning


def test_a_photograph_from_a_phone_is_skipped_with_what_to_do(tmp_path: Path) -> None:
    write(tmp_path / "good.png", encoded(QUARTERS))
    write(tmp_path / "cat.heic", HEIC)
    _, warning = one_warning(lambda: load_images(tmp_path, SIZE))
    assert warning.endswith("cat.heic (HEIC is not read here, make it a JPEG)")


def test_many_skipped_pictures_are_counted_and_five_of_them_named(tmp_path: Path) -> None:
    write(tmp_path / "z.png", encoded(QUARTERS))
    for i in range(7):
        write(tmp_path / f"{i}.png", b"broken")
    _, warning = one_warning(lambda: load_images(tmp_path, SIZE))
    assert warning == (
        "skipped 7 of 8 pictures that could not be read: 0.png (not a picture), 1.png (not a picture), "
        "2.png (not a picture), 3.png (not a picture), 4.png (not a picture), ..."
    )


def test_a_file_without_permission_is_skipped_and_named(tmp_path: Path) -> None:
    write(tmp_path / "good.png", encoded(QUARTERS))
    locked = write(tmp_path / "locked.png", encoded(QUARTERS))
    locked.chmod(0)
    if os.access(locked, os.R_OK):
        pytest.skip("root may read every file")
    loaded, warning = one_warning(lambda: load_images(tmp_path, SIZE))
    assert len(loaded) == 1
    assert "locked.png (" in warning
    locked.chmod(0o644)
    assert len(load_images(tmp_path, SIZE)) == 2


def test_a_link_to_nowhere_is_skipped_and_named(tmp_path: Path) -> None:
    write(tmp_path / "good.png", encoded(QUARTERS))
    link_to(tmp_path / "gone.png", tmp_path / "nowhere.png")
    loaded, warning = one_warning(lambda: load_images(tmp_path, SIZE))
    assert len(loaded) == 1
    assert "skipped 1 of 2 pictures that could not be read: gone.png (" in warning


def test_a_link_to_a_picture_is_followed(tmp_path: Path) -> None:
    target = write(tmp_path / "elsewhere" / "picture", encoded(QUARTERS))
    link_to(tmp_path / "pictures" / "link.png", target)
    assert len(load_images(tmp_path / "pictures", SIZE)) == 1


def link_to(path: Path, target: Path) -> None:
    path.parent.mkdir(exist_ok=True)
    try:
        path.symlink_to(target)
    except OSError:
        pytest.skip("this system makes no links")


# ---- folders --------------------------------------------------------------------------------------------------------


def plain(level: int, kind: str = "PNG", **options: Any) -> bytes:
    """A gray picture that can be told from the others by its level."""
    return encoded(np.full((4, 4), level, dtype=np.uint8), kind, **options)


def levels(images: Tensor) -> list[int]:
    assert (images == images[:, :1, :1, :1]).all()
    return images[:, 0, 0, 0].tolist()


def test_a_folder_is_read_in_order_with_the_folders_in_it(tmp_path: Path) -> None:
    for level, name in enumerate(["a/deep/er/x.png", "a/x.png", "b with spaces/ä 大.PNG", "c.png", "d.Webp"]):
        kind = "WEBP" if name.endswith("Webp") else "PNG"
        write(tmp_path / name, plain(level, kind, lossless=True))
    assert levels(load_images(tmp_path, 2)) == [0, 1, 2, 3, 4]
    assert levels(load_images(str(tmp_path), 2)) == [0, 1, 2, 3, 4]


def test_hidden_files_and_files_that_are_no_pictures_are_left_out(tmp_path: Path) -> None:
    write(tmp_path / "seen.png", plain(7))
    for name in [".hidden.png", "._seen.png", ".git/x.png", "a/.thumbnails/x.png", "notes.txt", "README", "labels.csv"]:
        write(tmp_path / name, plain(9))
    for name in ["paper.pdf", "film.mpg", "film.mp4", "table.h5", "pictures.zip", "png", "table.parquet"]:
        write(tmp_path / name, b"something else")
    (tmp_path / "folder.png").mkdir()
    assert levels(load_images(tmp_path, 2)) == [7]


def test_a_folder_may_itself_lie_in_a_hidden_one(tmp_path: Path) -> None:
    write(tmp_path / ".cache" / "pictures" / "a.png", plain(7))
    assert levels(load_images(tmp_path / ".cache" / "pictures", 2)) == [7]


def test_a_name_that_is_not_valid_unicode_is_no_obstacle(tmp_path: Path) -> None:
    write(tmp_path / "good.png", plain(7))
    try:
        write(tmp_path / os.fsdecode(b"caf\xe9.png"), b"broken")
    except (OSError, UnicodeError):
        pytest.skip("this system has no such names")
    for _ in range(2):  # decoded, then from the cache
        loaded, warning = one_warning(lambda: load_images(tmp_path, 2))
        assert levels(loaded) == [7]
        assert "skipped 1 of 2" in warning


def test_gray_and_colored_pictures_can_be_mixed(tmp_path: Path) -> None:
    write(tmp_path / "a.png", plain(7))
    write(tmp_path / "b.png", encoded(np.full((3, 5, 4), 255, dtype=np.uint8)))
    assert levels(load_images(tmp_path, 2)) == [7, 255]
    assert load_images(tmp_path, 2, channels=1).shape == (2, 1, 2, 2)


# ---- what is no source at all ---------------------------------------------------------------------------------------


def error_of(call: Callable[[], Any]) -> str:
    """The message of the DinoError that the call raises: one line."""
    with pytest.raises(DinoError) as caught:
        call()
    assert "\n" not in str(caught.value)
    return str(caught.value)


MISSING = [
    "./nowhere", "../nowhere/", "/no/such/folder", "no/such/folder", "~/no-such-folder", "cat.png", "my/cats.parquet"
]  # fmt: skip


@pytest.mark.parametrize("source", MISSING)
def test_a_missing_folder_or_file_is_an_error_and_not_looked_for_on_the_network(
    monkeypatch: pytest.MonkeyPatch, source: str
) -> None:
    monkeypatch.setattr(sources, "_download", None)
    assert f"there is no folder or file {source}" in error_of(lambda: load_images(source, 8))


def test_a_single_picture_is_an_error(tmp_path: Path) -> None:
    path = write(tmp_path / "a.png", plain(7))
    assert f"{path} is a single file" in error_of(lambda: load_images(path, 8))


def test_a_folder_without_pictures_is_an_error(tmp_path: Path) -> None:
    write(tmp_path / "notes.txt", b"words")
    assert f"there are no pictures in the folder {tmp_path}" in error_of(lambda: load_images(tmp_path, 8))


@pytest.mark.parametrize(("size", "channels"), [(0, 3), (-1, 3), (8, 0), (8, 2), (8, 4)])
def test_an_impossible_size_or_number_of_channels_is_an_error(tmp_path: Path, size: int, channels: int) -> None:
    write(tmp_path / "a.png", plain(7))
    assert str(size if size < 1 else channels) in error_of(lambda: load_images(tmp_path, size, channels=channels))


# ---- Parquet --------------------------------------------------------------------------------------------------------


def table(path: Path, **columns: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.table(columns), path, row_group_size=2)
    return path


def nested(*blobs: bytes | None) -> list[dict[str, Any]]:
    """As Hugging Face keeps pictures."""
    return [{"bytes": blob, "path": f"{i}.png"} for i, blob in enumerate(blobs)]


COLUMNS: dict[str, Callable[[], Any]] = {
    "nested": lambda: nested(*map(plain, range(5))),
    "nested, without paths": lambda: [{"bytes": plain(i)} for i in range(5)],
    "bare": lambda: [plain(i) for i in range(5)],
    "bare and large": lambda: pa.array([plain(i) for i in range(5)], pa.large_binary()),
}


@pytest.mark.parametrize("kind", COLUMNS)
def test_a_parquet_file_gives_its_pictures_in_order(tmp_path: Path, kind: str) -> None:
    path = table(tmp_path / "a.parquet", label=range(5), picture=COLUMNS[kind](), name=list("abcde"))
    assert levels(load_images(path, 2)) == [0, 1, 2, 3, 4]


def test_pictures_are_found_behind_other_bytes(tmp_path: Path) -> None:
    path = table(tmp_path / "a.parquet", checksum=[b"123", b"456"], image=nested(plain(1), plain(2)))
    assert levels(load_images(path, 2)) == [1, 2]


def test_a_folder_of_parquet_files_gives_all_their_pictures(tmp_path: Path) -> None:
    table(tmp_path / "train-0.parquet", image=nested(plain(1), plain(2)))
    table(tmp_path / "kind=cat" / "0.parquet", image=[plain(0)])
    write(tmp_path / "README.md", b"words")
    assert levels(load_images(tmp_path, 2)) == [0, 1, 2]


@pytest.mark.parametrize(
    "cells",
    [[plain(1), None, b"", b"?"], nested(plain(1), None, b"", b"?"), [*nested(plain(1)), None, *nested(b"", b"?")]],
    ids=["bare", "nested bytes", "nested"],
)
def test_empty_cells_are_skipped_and_named(tmp_path: Path, cells: list[Any]) -> None:
    path = table(tmp_path / "a.parquet", image=cells)
    loaded, warning = one_warning(lambda: load_images(path, 2))
    assert levels(loaded) == [1]
    names = "a.parquet row 1 (empty), a.parquet row 2 (empty), a.parquet row 3 (not a picture)"
    assert warning == f"skipped 3 of 4 pictures that could not be read: {names}"


def test_a_parquet_file_without_pictures_is_an_error_that_names_its_columns(tmp_path: Path) -> None:
    path = table(tmp_path / "a.parquet", label=[1], text=["x"], other=[{"bytes": "words"}])
    assert error_of(lambda: load_images(path, 2)).endswith("has no column of pictures, only label, text, other")


def test_a_parquet_file_without_rows_is_an_error(tmp_path: Path) -> None:
    path = table(tmp_path / "a.parquet", image=pa.array([], pa.binary()))
    assert f"there are no pictures in {path}" in error_of(lambda: load_images(path, 2))


def test_a_parquet_file_of_broken_pictures_is_an_error(tmp_path: Path) -> None:
    path = table(tmp_path / "a.parquet", hash=[b"123", None])
    assert "none of the 2 pictures" in error_of(lambda: load_images(path, 2))


@pytest.mark.parametrize("kept", [0.0, 0.1, 0.5, 0.99])
def test_a_truncated_parquet_file_is_an_error(tmp_path: Path, kept: float) -> None:
    blob = table(tmp_path / "a.parquet", image=nested(encoded(noise()), plain(2))).read_bytes()
    path = write(tmp_path / "cut.parquet", blob[: int(kept * len(blob))])
    assert f"{path} is no readable Parquet file" in error_of(lambda: load_images(path, 2))
    assert f"{path} is no readable Parquet file" in error_of(lambda: load_images(path.parent, 2))


def test_a_parquet_file_with_a_damaged_middle_is_an_error_or_skips_the_damage(tmp_path: Path) -> None:
    path = table(tmp_path / "a.parquet", image=[encoded(noise()), plain(2)])
    blob = bytearray(path.read_bytes())
    blob[4:60] = bytes(56)
    path.write_bytes(blob)
    assert str(path) in error_of(lambda: load_images(path, 2))


# ---- the cache ------------------------------------------------------------------------------------------------------


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    """A folder of two pictures and a broken one."""
    return folder_of(tmp_path / "pictures", a__png=plain(1), b__png=plain(2), c__png=b"broken")


@pytest.fixture
def no_decoder(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """Call it, and from then on nothing can be decoded any more."""

    def refuse(*_: Any) -> Tensor:
        raise AssertionError("decoded although it is in the cache")

    return lambda: monkeypatch.setattr(images, "_decode", refuse)


def load(folder: Path, size: int = 2, channels: int = 3) -> Tensor:
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "skipped")
        return load_images(folder, size, channels=channels)


def cached_file() -> Path:
    (file,) = images.cache_folder().iterdir()
    return file


def test_a_second_load_is_equal_and_comes_from_the_cache(pictures: Path, no_decoder: Callable[[], None]) -> None:
    first = load(pictures)
    first_warning = one_warning(lambda: load_images(pictures, 2))[1]
    no_decoder()
    second, second_warning = one_warning(lambda: load_images(pictures, 2))
    assert torch.equal(first, second)
    assert second.dtype == torch.uint8
    assert first_warning == second_warning, "skipped files are named again"
    assert cached_file().suffix == ".safetensors", "and nothing else was left in the folder"


def test_without_the_cache_nothing_is_written_or_read(pictures: Path, no_decoder: Callable[[], None]) -> None:
    one_warning(lambda: load_images(pictures, 2, cache=False))
    assert not list(images.cache_folder().iterdir())
    load(pictures)
    no_decoder()
    with pytest.raises(DinoError):
        load_images(pictures, 2, cache=False)


def test_changing_the_loaded_pictures_leaves_the_cache_as_it_was(pictures: Path) -> None:
    load(pictures)
    load(pictures).zero_()
    assert levels(load(pictures)) == [1, 2]


def test_a_changed_picture_changes_the_result_even_at_the_same_size_and_time(pictures: Path) -> None:
    path = write(pictures / "a.png", plain(100, "BMP"))  # uncompressed
    before = path.stat()
    assert levels(load(pictures)) == [100, 2]
    path.write_bytes(plain(200, "BMP"))
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert (path.stat().st_size, path.stat().st_mtime_ns) == (before.st_size, before.st_mtime_ns)
    assert levels(load(pictures)) == [200, 2]


@pytest.mark.parametrize(
    ("change", "result"),
    [
        (lambda folder: write(folder / "c.png", plain(3)), [1, 2, 3]),
        (lambda folder: write(folder / "aa.png", plain(3)), [1, 3, 2]),
        (lambda folder: (folder / "a.png").unlink(), [2]),
        (lambda folder: (folder / "a.png").rename(folder / "x.png"), [2, 1]),
    ],
    ids=["mended", "added", "removed", "renamed"],
)
def test_another_set_of_files_is_another_result(
    pictures: Path, change: Callable[[Path], Any], result: list[int]
) -> None:
    assert levels(load(pictures)) == [1, 2]
    change(pictures)
    assert levels(load(pictures)) == result


def test_bytes_that_move_from_one_file_to_the_next_are_another_set(tmp_path: Path) -> None:
    one, other = plain(1), plain(2)
    load(folder_of(tmp_path / "x", a__png=one, b__png=other + one))
    assert levels(load(folder_of(tmp_path / "y", a__png=one + other, b__png=one))) == [1, 1]


def test_sizes_and_channels_do_not_mix(pictures: Path) -> None:
    for _ in range(2):
        for size, channels in [(2, 3), (3, 3), (2, 1), (3, 1)]:
            assert load(pictures, size, channels).shape == (2, channels, size, size)


def test_the_same_pictures_elsewhere_are_served_from_the_cache(pictures: Path, no_decoder: Callable[[], None]) -> None:
    load(pictures)
    no_decoder()
    assert levels(load(pictures.rename(pictures.parent / "moved"))) == [1, 2]


def test_a_skipped_file_is_named_by_the_name_it_has_now(pictures: Path) -> None:
    load(pictures)
    (pictures / "c.png").rename(pictures / "d.png")
    assert "d.png (" in one_warning(lambda: load_images(pictures, 2))[1]


@pytest.mark.parametrize(
    "damage",
    [
        lambda blob: b"",
        lambda blob: blob[:5],
        lambda blob: blob[: len(blob) // 2],
        lambda blob: blob[:-1],
        lambda blob: bytes(len(blob)),
        lambda blob: b"\xff" * len(blob),
        lambda blob: blob + b"more",
        lambda blob: safetensors.torch.save({"others": torch.zeros(2)}),
        lambda blob: safetensors.torch.save({"images": torch.zeros(2)}, {"skipped": "no json"}),
    ],
    ids=["empty", "5 bytes", "half", "one byte short", "zeros", "ones", "longer", "other tensors", "other metadata"],
)
def test_a_damaged_cache_file_is_made_again(
    pictures: Path, no_decoder: Callable[[], None], damage: Callable[[bytes], bytes]
) -> None:
    load(pictures)
    sound = cached_file().read_bytes()
    cached_file().write_bytes(damage(sound))
    assert levels(load(pictures)) == [1, 2]
    assert cached_file().read_bytes() == sound
    no_decoder()
    assert levels(load(pictures)) == [1, 2]


def test_a_cache_that_cannot_be_written_only_warns(
    pictures: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (pictures / "c.png").unlink()
    monkeypatch.setenv("DINO_CACHE", str(write(tmp_path / "file", b"")))
    loaded, warning = one_warning(lambda: load_images(pictures, 2))
    assert levels(loaded) == [1, 2]
    assert warning.startswith("the decoded pictures were not cached: could not write ")


def test_a_full_disk_only_warns(pictures: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise safetensors.SafetensorError("I/O error: No space left on device (os error 28)")

    (pictures / "c.png").unlink()
    monkeypatch.setattr(safetensors.torch, "save_file", fail)
    loaded, warning = one_warning(lambda: load_images(pictures, 2))
    assert levels(loaded) == [1, 2]
    assert "No space left on device" in warning
    assert not list(images.cache_folder().iterdir())


@pytest.mark.parametrize(
    ("variables", "folder"),
    [
        ({"DINO_CACHE": "/a/b"}, "/a/b"),
        ({"DINO_CACHE": "", "XDG_CACHE_HOME": "/c"}, "/c/dino-diffusion"),
        ({"XDG_CACHE_HOME": "", "HOME": "/h", "USERPROFILE": "/h"}, "/h/.cache/dino-diffusion"),
        ({"DINO_CACHE": "~/x", "HOME": "/h", "USERPROFILE": "/h"}, "/h/x"),
    ],
)
def test_the_cache_lies_where_the_environment_says(
    monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], folder: str
) -> None:
    monkeypatch.delenv("DINO_CACHE")
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert images.cache_folder() == Path(folder)


# ---- the embedded emoji ---------------------------------------------------------------------------------------------


def chosen(terms: str) -> set[bytes]:
    return {picture.read() for picture in sources._emoji(terms)}


def test_the_faces_are_loaded_whole() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        faces = load_images("emoji:faces", 64)
    assert faces.shape == (387, 3, 64, 64)
    assert (faces[..., 0, 0] == 255).float().mean() > 0.95  # drawn on white: few reach the corner
    assert len(faces.flatten(1).unique(dim=0)) == 387


def test_flags_symbols_and_keycaps_are_left_out_unless_asked_for() -> None:
    assert len(chosen("")) == 3964
    for group in sources.LEFT_OUT_GROUPS:
        assert chosen(group)
        assert not chosen(group) & chosen("")
    assert not chosen("noto") - chosen("")
    assert len(chosen("all")) == 5329
    assert chosen("all,noto") > chosen("noto")


def test_terms_of_one_kind_add_up_and_terms_of_different_kinds_narrow_down() -> None:
    animals, noto = chosen("animals"), chosen("noto")
    assert chosen("animals,noto") == chosen(" noto , animals") == animals & noto
    assert chosen("faces,animals") == chosen("faces") | animals
    assert chosen("noto,twemoji,fluent") == chosen("")
    assert 0 < len(animals & noto) < len(animals)
    assert load_images("emoji:animals,noto", 4).shape == (len(animals & noto), 3, 4, 4)


def test_an_unknown_term_is_an_error_that_names_the_groups_and_styles() -> None:
    message = error_of(lambda: load_images("emoji:dinosaurs", 8))
    assert "'dinosaurs'" in message
    for name in ("animals", "faces", "flags", "noto", "twemoji", "fluent"):
        assert name in message


def test_terms_that_exclude_each_other_are_an_error() -> None:
    assert "flags,face-smiling" in error_of(lambda: load_images("emoji:flags,face-smiling", 8))


# ---- held out -------------------------------------------------------------------------------------------------------


def test_a_tenth_is_held_out_and_the_rest_is_for_training() -> None:
    every, training, held_out = (load_images("emoji:faces", 16, part=part) for part in ("all", "training", "held out"))
    assert len(training) + len(held_out) == len(every)
    assert 0.05 < len(held_out) / len(every) < 0.15
    both = sorted(image.numpy().tobytes() for image in torch.cat([training, held_out]))
    assert both == sorted(image.numpy().tobytes() for image in every)


def test_the_same_pictures_are_held_out_at_any_size_among_any_others_and_from_the_cache(tmp_path: Path) -> None:
    colors = [(x, 255 - x, x * 7 % 256) for x in range(60)]
    for x, color in enumerate(colors):
        (tmp_path / f"{x:02d}.png").write_bytes(encoded(np.full((8, 8, 3), color, dtype=np.uint8)))

    def held_out(size: int, **options: object) -> set[tuple[int, ...]]:
        return {tuple(image[:, 0, 0].tolist()) for image in load_images(tmp_path, size, part="held out", **options)}

    first = held_out(8)
    assert 0 < len(first) < 20
    assert held_out(8) == held_out(8, cache=False) == held_out(24) == first
    for x in range(30):
        (tmp_path / f"{x:02d}.png").rename(tmp_path / f"moved-{x}.png")
    for x in range(30, 60):
        (tmp_path / f"{x:02d}.png").unlink()
    assert held_out(8) == first & set(colors[:30])


def test_a_single_picture_is_for_training(tmp_path: Path) -> None:
    for seed in range(40):  # among which some would be held out
        pixels = np.random.default_rng(seed).integers(0, 256, (4, 4, 3), dtype=np.uint8)
        (tmp_path / "one.png").write_bytes(encoded(pixels))
        assert len(load_images(tmp_path, 4, part="training", cache=False)) == 1
        assert len(load_images(tmp_path, 4, part="held out", cache=False)) == 0
