"""dino.data.loading: images of every kind of source and file become one tensor, and are cached.

All files are made here, at run time. Most hold one image, QUARTERS: four colors, one in each corner, so that an image
that is mirrored, turned, shifted or wrongly colored can't pass for the right one.
"""

import errno
import io
import os
import struct
import warnings
import zipfile
import zlib
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import safetensors.torch
import torch
from PIL import Image, ImageFile
from torch import Tensor

from dino.common.errors import DinoError, DinoWarning
from dino.data import cache, decoding, sources
from dino.data.cache import cache_folder
from dino.data.embedded import SETS, embedded_images
from dino.data.encoded_image import EncodedImage, Found
from dino.data.loading import load_image, load_images, load_labeled_images
from dino.images import center_square

SIZE = 16
RED, GREEN, BLUE, BLACK, WHITE = (255, 0, 0), (0, 255, 0), (0, 0, 255), (0, 0, 0), (255, 255, 255)


def in_quarters(values: Iterable[Any], dtype: npt.DTypeLike = np.uint8) -> np.ndarray:
    """Return 16 x 16 pixels (H, W, ...) with the values in the top left, top right, bottom left and bottom right."""
    top_left, top_right, bottom_left, bottom_right = np.array(list(values), dtype=dtype)
    pixels = np.empty((SIZE, SIZE, *top_left.shape), dtype)
    pixels[:8, :8], pixels[:8, 8:], pixels[8:, :8], pixels[8:, 8:] = top_left, top_right, bottom_left, bottom_right
    return pixels


COLORS = [RED, GREEN, BLUE, BLACK]
QUARTERS = in_quarters(COLORS)


def encoded(image: np.ndarray | Image.Image, kind: str = "PNG", **options: Any) -> bytes:
    image = Image.fromarray(image) if isinstance(image, np.ndarray) else image
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def png(width: int, height: int, depth: int, color: int, rows: bytes, transparent: bytes = b"") -> bytes:
    """Return a PNG file from its parts, for the kinds that Pillow reads but doesn't write, and for false headers."""

    def chunk(name: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, color, 0, 0, 0))
    transparency = chunk(b"tRNS", transparent) if transparent else b""
    return b"\x89PNG\r\n\x1a\n" + header + transparency + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def deep_png(pixels: np.ndarray, color: int, transparent: int | None = None) -> bytes:
    """Return a PNG with 16 bits a channel. Every row begins with the number of its filter, 0 for none."""
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in pixels)
    return png(SIZE, SIZE, 16, color, rows, b"" if transparent is None else struct.pack(">H", transparent))


def animated(kind: str, **options: Any) -> bytes:
    later = [Image.new("RGB", (SIZE, SIZE), color) for color in ("yellow", "magenta")]
    return encoded(QUARTERS, kind, save_all=True, append_images=later, duration=100, **options)


def folder_of(folder: Path, **files: bytes) -> Path:
    """Write these files to a folder. In the names, `__` stands for a dot."""
    for name, blob in files.items():
        write(folder / name.replace("__", "."), blob)
    return folder


def write(path: Path, blob: bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(blob)
    return path


def load_one(folder: Path, name: str, blob: bytes, size: int = SIZE, channels: int = 3) -> np.ndarray:
    """Load a folder with this one file, and return its image as (H, W, C) integers. Warnings are errors.

    Those on other frames, an uneven shape or a small size are tested below.
    """
    write(folder / name, blob)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.filterwarnings("ignore", "decoding 1 image lost (all frames|more than half of the area|the sharpness)")
        loaded = load_images(folder, size, channels=channels, cache=False)
    assert loaded.dtype == torch.uint8
    assert loaded.shape == (1, channels, size, size)
    assert loaded.is_contiguous()
    return loaded[0].permute(1, 2, 0).numpy().astype(int)


POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a214614ab2935c943f9e0ff69d22e\nsize 12345\n"


def loaded_with(call: Callable[[], Tensor]) -> tuple[Tensor, list[str]]:
    """Return the result of the call, and the texts of its warnings."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        result = call()
    return result, [str(w.message) for w in caught]


def one_warning(call: Callable[[], Tensor]) -> tuple[Tensor, str]:
    """Return the result of the call, and the text of its only warning."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        result = call()
    assert [w.category for w in caught] == [DinoWarning], [str(w.message) for w in caught]
    assert caught[0].filename == __file__, "the warning points at the line that called load_images"
    return result, str(caught[0].message)


# ---- every kind of image file ---------------------------------------------------------------------------------------


def palette() -> Image.Image:
    image = Image.fromarray(in_quarters([0, 1, 2, 3])).convert("L")
    image.putpalette([*RED, *GREEN, *BLUE, *BLACK])
    return image


def cmyk() -> Image.Image:
    return Image.fromarray(in_quarters([(0, 255, 255, 0), (255, 0, 255, 0), (255, 255, 0, 0), (0, 0, 0, 255)]), "CMYK")


GRAYS = [0, 85, 170, 255]  # in 8 bits
DEEP = [gray * 257 for gray in GRAYS]  # the same in 16 bits: 255 * 257 = 65535
ALPHAS = [128, 0, 255, 51]
ON_WHITE = [(255, 127, 127), WHITE, BLUE, (204, 204, 204)]  # the COLORS with these ALPHAS
SEE_THROUGH = np.concatenate([QUARTERS, in_quarters(ALPHAS)[..., None]], axis=-1)

# The file's name, its contents, and the expected colors of the four corners.
EXACT: dict[str, tuple[str, Callable[[], bytes], list[Any]]] = {
    "RGB": ("a.png", lambda: encoded(QUARTERS), COLORS),
    "gray": ("a.png", lambda: encoded(in_quarters(GRAYS)), GRAYS),
    "1 bit": ("a.png", lambda: encoded(in_quarters([0, 1, 1, 0], bool)), [0, 255, 255, 0]),
    "gray, alpha": ("a.png", lambda: encoded(in_quarters([(0, 255), (0, 128), (0, 0), (9, 255)])), [0, 127, 255, 9]),
    "gray, one transparent": ("a.png", lambda: encoded(in_quarters(GRAYS), transparency=85), [0, 255, 170, 255]),
    "palette": ("a.png", lambda: encoded(palette()), COLORS),
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
    "16-bit RGB": ("a.png", lambda: deep_png(QUARTERS.astype(int) * 257, 2), COLORS),
    "16-bit RGBA": ("a.png", lambda: deep_png(SEE_THROUGH.astype(int) * 257, 6), ON_WHITE),
    "32-bit whole numbers": ("a.tiff", lambda: encoded(in_quarters(DEEP, np.int32), "TIFF"), GRAYS),
    "floats, 0 to 1": ("a.tiff", lambda: encoded(in_quarters([0, 1 / 3, 2 / 3, 1], np.float32), "TIFF"), GRAYS),
    "floats, 0 to 255": ("a.tiff", lambda: encoded(in_quarters(GRAYS, np.float32), "TIFF"), GRAYS),
    "floats, one not": ("a.tiff", lambda: encoded(in_quarters([0, np.nan, 0.2, 1], "f4"), "TIFF"), [0, 0, 51, 255]),
    "animated GIF": ("a.gif", lambda: animated("GIF"), COLORS),
    "animated WebP": ("a.webp", lambda: animated("WEBP", lossless=True), COLORS),
    "animated PNG": ("a.png", lambda: animated("PNG"), COLORS),
    "TIFF of several pages": ("a.tiff", lambda: animated("TIFF"), COLORS),
    "GIF, one transparent": ("a.gif", lambda: encoded(palette(), "GIF", transparency=1), [RED, WHITE, BLUE, BLACK]),
    "BMP": ("a.bmp", lambda: encoded(QUARTERS, "BMP"), COLORS),
    "TIFF": ("a.tiff", lambda: encoded(QUARTERS, "TIFF"), COLORS),
    "compressed TIFF": ("a.tiff", lambda: encoded(QUARTERS, "TIFF", compression="tiff_lzw"), COLORS),
    "CMYK TIFF": ("a.tiff", lambda: encoded(cmyk(), "TIFF"), COLORS),
    "lossless WebP": ("a.webp", lambda: encoded(QUARTERS, "WEBP", lossless=True), COLORS),
    "ICO": ("a.ico", lambda: encoded(QUARTERS, "ICO", sizes=[(SIZE, SIZE)]), COLORS),
    "PPM": ("a.ppm", lambda: encoded(QUARTERS, "PPM"), COLORS),
    "PNG named as a JPEG": ("a.jpg", lambda: encoded(QUARTERS), COLORS),
    "an upper-case ending": ("A.PNG", lambda: encoded(QUARTERS), COLORS),
}  # fmt: skip


@pytest.mark.parametrize("kind", EXACT)
def test_a_lossless_image_is_decoded_exactly(tmp_path: Path, kind: str) -> None:
    name, make, colors = EXACT[kind]
    colors = [color if isinstance(color, tuple) else (color,) * 3 for color in colors]
    assert np.array_equal(load_one(tmp_path, name, make()), in_quarters(colors))


@pytest.mark.parametrize("kind", EXACT)
def test_a_gray_image_has_the_brightness_of_the_colored_one(tmp_path: Path, kind: str) -> None:
    name, make, _ = EXACT[kind]
    colored = load_one(tmp_path, name, make())
    gray = load_one(tmp_path, name, make(), channels=1)[..., 0]
    assert np.abs(gray - colored @ [0.299, 0.587, 0.114]).max() <= 0.51  # ITU-R 601, rounded
    if (colored == colored[..., :1]).all():
        assert np.array_equal(gray, colored[..., 0])


FINE = {"quality": 95, "subsampling": 0}  # each 8 x 8 block of QUARTERS is one block of the JPEG, so nothing bleeds
# Levels that a JPEG may be off: colors are rounded on the way to YCbCr and back, and so is each block's average.
NEAR = 3
NEARLY: dict[str, Callable[[], bytes]] = {
    "JPEG": lambda: encoded(QUARTERS, "JPEG", **FINE),
    "progressive JPEG": lambda: encoded(QUARTERS, "JPEG", progressive=True, **FINE),
    "YCbCr JPEG": lambda: encoded(Image.fromarray(QUARTERS).convert("YCbCr"), "JPEG", **FINE),
    "CMYK JPEG": lambda: encoded(cmyk(), "JPEG", **FINE),
    "JPEG with damaged EXIF": lambda: encoded(QUARTERS, "JPEG", exif=b"Exif\0\0II*\0\x08\0\0\0\xff\xff", **FINE),
}


@pytest.mark.parametrize("kind", NEARLY)
def test_a_jpeg_is_decoded_nearly_exactly(tmp_path: Path, kind: str) -> None:
    assert np.abs(load_one(tmp_path, "a.jpeg", NEARLY[kind]()) - QUARTERS).max() <= NEAR


# For each EXIF orientation, where the file's first row and first column are in the upright image, in the words of the
# standard (EXIF 2.3, tag 274).
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
def test_a_rotated_image_is_turned_upright(
    tmp_path: Path, orientation: int, kind: str, options: dict[str, Any], tolerance: int
) -> None:
    stored, exif = as_stored(QUARTERS, orientation)
    loaded = load_one(tmp_path, f"a.{kind}", encoded(stored, kind, exif=exif, **options))
    assert np.abs(loaded - QUARTERS).max() <= tolerance


def test_a_photo_that_is_decoded_at_a_fraction_of_its_size_is_whole_and_upright(tmp_path: Path) -> None:
    photo = QUARTERS.repeat(64, axis=0).repeat(64, axis=1)  # 1024 x 1024, which is 64 times too large
    stored, exif = as_stored(photo, 6)
    off = np.abs(load_one(tmp_path, "a.jpg", encoded(stored, "JPEG", exif=exif, **FINE)) - QUARTERS)
    off[5:11], off[:, 5:11] = 0, 0  # resizing looks at three pixels on either side, so it mixes colors at the middle
    assert off.max() <= NEAR


@pytest.mark.parametrize(("height", "width"), [(16, 22), (22, 16), (16, 21), (21, 16), (2, 3000), (3000, 2), (1, 7)])
def test_an_image_is_cut_like_center_square_cuts_it(tmp_path: Path, height: int, width: int) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)
    square = center_square(torch.from_numpy(pixels).permute(2, 0, 1)).permute(1, 2, 0).numpy()
    assert np.array_equal(load_one(tmp_path, "a.png", encoded(pixels), size=min(height, width)), square)


@pytest.mark.parametrize(("height", "width"), [(1, 1), (1, 900), (900, 1), (3, 2), (16, 16), (70, 50)])
@pytest.mark.parametrize("size", [1, 8, 33])
def test_an_image_of_one_color_keeps_its_color_at_any_size(tmp_path: Path, height: int, width: int, size: int) -> None:
    plain = np.full((height, width, 3), (1, 130, 254), dtype=np.uint8)
    assert (load_one(tmp_path, "a.png", encoded(plain), size=size) == (1, 130, 254)).all()


def test_an_image_is_made_smaller_by_averaging_and_not_by_dropping_pixels(tmp_path: Path) -> None:
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
    """Return a valid black PNG with one bit a pixel, which is a small file at any size."""
    return png(width, height, 1, 0, bytes((1 + -(-width // 8)) * height))


HEIC = b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(200)  # the beginning of a phone's photographs

BROKEN: dict[str, tuple[str, Callable[[], bytes]]] = {
    "a truncated PNG": ("cut.png", lambda: half(encoded(noise()))),
    "a truncated JPEG": ("cut.jpg", lambda: half(encoded(noise(), "JPEG"))),
    "a truncated GIF": ("cut.gif", lambda: half(encoded(noise(), "GIF"))),
    "a truncated WebP": ("cut.webp", lambda: half(encoded(noise(), "WEBP"))),
    "a truncated BMP": ("cut.bmp", lambda: half(encoded(noise(), "BMP"))),
    "a truncated TIFF": ("cut.tiff", lambda: half(encoded(noise(), "TIFF"))),
    "a PNG of its header alone": ("cut.png", lambda: encoded(noise())[:33]),
    "a PNG with a damaged middle": ("bad.png", lambda: holed(encoded(noise()))),
    "a text": ("text.png", lambda: b"this is not an image"),
    "a phone's photograph": ("IMG_0001.HEIC", lambda: HEIC),
    "an empty file": ("empty.jpg", lambda: b""),
    "a PostScript program": ("program.png", lambda: encoded(QUARTERS, "EPS")),
    "a name in unicode": ("größe 大.png", lambda: b"?"),
}  # fmt: skip


@pytest.mark.parametrize("kind", BROKEN)
def test_a_broken_image_is_skipped_counted_and_named(tmp_path: Path, kind: str) -> None:
    name, make = BROKEN[kind]
    write(tmp_path / "good.png", encoded(QUARTERS))
    write(tmp_path / name, make())
    loaded, warning = one_warning(lambda: load_images(tmp_path, SIZE))
    assert np.array_equal(loaded[0].permute(1, 2, 0).numpy(), QUARTERS)
    assert len(loaded) == 1
    assert warning.startswith(f"skipped 1 of 2 images that could not be read: {name} (")
    assert warning.endswith(")")
    assert "0x" not in warning, "the address of an object tells nobody anything"
    assert "\n" not in warning


@pytest.mark.parametrize("kind", BROKEN)
def test_a_folder_with_only_broken_images_is_an_error_that_names_them(tmp_path: Path, kind: str) -> None:
    name, make = BROKEN[kind]
    write(tmp_path / name, make())
    message = error_of(lambda: load_images(tmp_path, SIZE))
    assert f"none of the 1 images of {tmp_path} could be read: {name} (" in message


@pytest.mark.parametrize(
    "blob",
    [bits(10_500, 10_000), png(100_000, 100_000, 8, 2, b""), png(2**31 - 1, 2**31 - 1, 8, 6, b"")],
    ids=["105 million", "ten billion", "2**62"],
)
def test_an_image_with_far_too_many_pixels_is_skipped_before_it_is_decoded(
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
    assert "skipped 1 of 2 images that could not be read: huge.png (" in warning


def test_images_are_not_skipped_because_memory_is_full(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path / "good.png", encoded(QUARTERS))
    with monkeypatch.context() as full:
        full.setattr(decoding, "decode", Mock(side_effect=MemoryError))
        with pytest.raises(MemoryError):
            load_images(tmp_path, SIZE)
    assert len(load_images(tmp_path, SIZE)) == 1


def test_a_photograph_from_a_phone_is_skipped_with_advice(tmp_path: Path) -> None:
    write(tmp_path / "good.png", encoded(QUARTERS))
    write(tmp_path / "cat.heic", HEIC)
    _, warning = one_warning(lambda: load_images(tmp_path, SIZE))
    assert warning.endswith("cat.heic (HEIC can't be read, save it as a JPEG)")


def test_many_skipped_images_are_counted_and_five_of_them_named(tmp_path: Path) -> None:
    write(tmp_path / "z.png", encoded(QUARTERS))
    for i in range(7):
        write(tmp_path / f"{i}.png", b"broken")
    _, warning = one_warning(lambda: load_images(tmp_path, SIZE))
    assert warning == (
        "skipped 7 of 8 images that could not be read: 0.png (not an image), 1.png (not an image), "
        "2.png (not an image), 3.png (not an image), 4.png (not an image), ..."
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


def test_a_broken_link_is_skipped_and_named(tmp_path: Path) -> None:
    write(tmp_path / "good.png", encoded(QUARTERS))
    link_to(tmp_path / "gone.png", tmp_path / "nowhere.png")
    loaded, warning = one_warning(lambda: load_images(tmp_path, SIZE))
    assert len(loaded) == 1
    assert "skipped 1 of 2 images that could not be read: gone.png (" in warning


def test_a_link_to_an_image_is_followed(tmp_path: Path) -> None:
    target = write(tmp_path / "elsewhere" / "image", encoded(QUARTERS))
    link_to(tmp_path / "images" / "link.png", target)
    assert len(load_images(tmp_path / "images", SIZE)) == 1


def link_to(path: Path, target: Path) -> None:
    path.parent.mkdir(exist_ok=True)
    try:
        path.symlink_to(target)
    except OSError:
        pytest.skip("this system makes no links")


# What is in place of an image, and the reason that is given.
IN_PLACE_OF_AN_IMAGE: dict[str, tuple[bytes, str]] = {
    "a pointer": (POINTER, "a Git LFS pointer, fetch the file with: git lfs pull"),
    "a web page": (b"\n<!DOCTYPE html><title>404</title>", "a web page, download the file itself"),
    "a drawing": (b"<svg xmlns='x'></svg>", "an SVG drawing that can't be read, save it as a PNG"),
    "an archive": (b"PK\x03\x04" + bytes(99), "a zip archive, unpack it"),
    "a PDF": (b"%PDF-1.7", "a PDF, save its pages as image files"),
    "a video": (b"\0\0\0\x18ftypisom" + bytes(99), "a video, save its frames as image files"),
    "a network": (bytes(8) + b'{"__metadata__":{}}', "a safetensors file, not an image"),
    "JPEG XL": (b"\xff\x0a" + bytes(99), "a JPEG XL image that can't be read, save it as a JPEG"),
    "OpenEXR": (b"v/1\x01" + bytes(99), "an OpenEXR image that can't be read, save it with 8 bits a channel"),
    "an unusual TIFF": (b"II*\0" + bytes(99), "a TIFF image that can't be read, save it with 8 bits a channel"),
    "a damaged PNG": (b"\x89PNG\r\n\x1a\n" + bytes(9), "a PNG image that can't be read"),
    "anything": (b"123", "not an image"),
}


@pytest.mark.parametrize("kind", IN_PLACE_OF_AN_IMAGE)
def test_what_is_in_place_of_an_image_is_said(tmp_path: Path, kind: str) -> None:
    blob, reason = IN_PLACE_OF_AN_IMAGE[kind]
    path = write(tmp_path / "a.png", blob)
    assert f"a.png ({reason}" in error_of(lambda: load_images(tmp_path, SIZE))
    assert reason in error_of(lambda: load_image(path, SIZE))


# ---- folders --------------------------------------------------------------------------------------------------------


def plain(level: int, kind: str = "PNG", **options: Any) -> bytes:
    """Return a gray image, which its level identifies."""
    return encoded(np.full((4, 4), level, dtype=np.uint8), kind, **options)


def levels(images: Tensor) -> list[int]:
    assert (images == images[:, :1, :1, :1]).all()
    return images[:, 0, 0, 0].tolist()


def test_a_folder_is_read_in_order_including_its_subfolders(tmp_path: Path) -> None:
    for level, name in enumerate(["a/deep/er/x.png", "a/x.png", "b with spaces/ä 大.PNG", "c.png", "d.Webp"]):
        kind = "WEBP" if name.endswith("Webp") else "PNG"
        write(tmp_path / name, plain(level, kind, lossless=True))
    assert levels(load_images(tmp_path, 2)) == [0, 1, 2, 3, 4]
    assert levels(load_images(str(tmp_path), 2)) == [0, 1, 2, 3, 4]


def test_hidden_files_and_files_of_other_kinds_are_left_out(tmp_path: Path) -> None:
    write(tmp_path / "seen.png", plain(7))
    for name in [".hidden.png", "._seen.png", ".git/x.png", "a/.thumbnails/x.png", "notes.txt", "README", "labels.csv"]:
        write(tmp_path / name, plain(9))
    for name in ["paper.pdf", "clip.mpg", "clip.mp4", "table.h5", "images.zip", "png", "table.parquet"]:
        write(tmp_path / name, b"something else")
    (tmp_path / "folder.png").mkdir()
    loaded, warning = one_warning(lambda: load_images(tmp_path, 2))
    assert levels(loaded) == [7]
    assert warning == (
        "found 1 image and passed over 13 others: hidden .png files (3), files without an ending (2), "
        ".csv files (1), .h5 files (1), .mp4 files (1), .mpg files (1), .pdf files (1), .txt files (1), others (2)"
    )


def test_a_folder_may_be_inside_a_hidden_folder(tmp_path: Path) -> None:
    write(tmp_path / ".cache" / "images" / "a.png", plain(7))
    assert levels(load_images(tmp_path / ".cache" / "images", 2)) == [7]


def test_a_file_name_need_not_be_valid_unicode(tmp_path: Path) -> None:
    write(tmp_path / "good.png", plain(7))
    try:
        write(tmp_path / os.fsdecode(b"caf\xe9.png"), b"broken")
    except (OSError, UnicodeError):
        pytest.skip("this system has no such names")
    for _ in range(2):  # decoded, then from the cache
        loaded, warning = one_warning(lambda: load_images(tmp_path, 2))
        assert levels(loaded) == [7]
        assert "skipped 1 of 2" in warning


def test_gray_and_colored_images_can_be_mixed(tmp_path: Path) -> None:
    write(tmp_path / "a.png", plain(7))
    write(tmp_path / "b.png", encoded(np.full((3, 5, 4), 255, dtype=np.uint8)))
    assert levels(load_images(tmp_path, 2)) == [7, 255]
    assert load_images(tmp_path, 2, channels=1).shape == (2, 1, 2, 2)


# ---- what is not a source -------------------------------------------------------------------------------------------


def error_of(call: Callable[[], Any]) -> str:
    """Return the message of the DinoError that the call raises, which must be one line."""
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
    monkeypatch.setattr(sources, "hub_images", None)
    assert f"there is no folder or file {source}" in error_of(lambda: load_images(source, 8))


def test_a_single_image_is_an_error(tmp_path: Path) -> None:
    path = write(tmp_path / "a.png", plain(7))
    assert f"{path} is a single file" in error_of(lambda: load_images(path, 8))


SINGLE: dict[str, tuple[bytes, str]] = {
    "a.zip": (b"PK\x03\x04", "is a zip archive. Unpack it, and give the folder"),
    "a.tar": (bytes(257) + b"ustar\x0000", "is a tar archive. Unpack it, and give the folder"),
    "a.tar.gz": (b"\x1f\x8b\x08", "is a gzip archive. Unpack it, and give the folder"),
    "a.7z": (b"7z\xbc\xaf\x27\x1c", "is a 7z archive. Unpack it, and give the folder"),
    "a.rar": (b"Rar!\x1a\x07\x01\0", "is a RAR archive. Unpack it, and give the folder"),
    "a.png": (POINTER, "is a Git LFS pointer. Fetch the file with: git lfs pull. Give a folder"),
    "a": (b"PAR1", "is a Parquet file. Let its name end in .parquet. Give a folder"),
    "model.safetensors": (bytes(8) + b'{"', "is a safetensors file. Give a folder"),
    "a.csv": (b"a,b", "is a single file. Give a folder or a .parquet file"),
}


@pytest.mark.parametrize("name", SINGLE)
def test_a_single_file_is_an_error_that_says_what_it_is(tmp_path: Path, name: str) -> None:
    blob, message = SINGLE[name]
    path = write(tmp_path / name, blob)
    assert f"{path} {message}" in error_of(lambda: load_images(path, 8))
    assert f"{path} {message}" in error_of(lambda: sources.check(str(path)))


POKEMON = "is the address of the data set huggan/pokemon of the Hugging Face hub. Give its name alone"
ADDRESSES = {
    "https://huggingface.co/datasets/huggan/pokemon": POKEMON,
    "https://huggingface.co/datasets/huggan/pokemon/viewer/default/train?p=1": POKEMON,
    "http://www.hf.co/datasets/huggan/pokemon#card": POKEMON,
    "huggingface.co/datasets/huggan/pokemon/": POKEMON,
    "hf://datasets/huggan/pokemon@main/data/train.parquet": POKEMON,
    "datasets/huggan/pokemon": "there is no folder datasets/huggan/pokemon. If the data set huggan/pokemon of the Hugg",
    "https://huggingface.co/datasets/mnist/viewer": "of the data set mnist of the Hugging Face hub",
    "https://huggingface.co/google/ddpm-cat-256": "is the address of a model of the Hugging Face hub. Give the name of",
    "https://huggingface.co/spaces/owner/name": "is the address of a program (a space) of the Hugging Face hub",
    "https://huggingface.co/datasets": "is the address of a list of data sets of the Hugging Face hub",
    "https://huggingface.co/": "is the address of the start page of the Hugging Face hub",
    "https://example.com/cats.zip": "is an address on the web. Download the images from there, and give their folder",
    "www.example.com": "is an address on the web. Download the images",
    "s3://bucket/cats": "is an address on the web. Download the images",
    "git@github.com:owner/name.git": "is the address of a repository. Clone it with git, and give its folder",
    "file:///home/me/cats": "is an address. Give the path itself: /home/me/cats",
}


@pytest.mark.parametrize("source", ADDRESSES)
def test_an_address_is_an_error_that_says_what_to_give_instead(source: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sources, "hub_images", None)
    for call in (lambda: load_images(source, 8), lambda: sources.check(source)):
        with pytest.raises(DinoError) as caught:
            call()
        assert ADDRESSES[source] in str(caught.value)
        assert "\n" not in str(caught.value)
        if "data set huggan/pokemon" in str(caught.value):
            assert caught.value.settings == {"data": "huggan/pokemon"}


def test_a_folder_without_images_is_an_error(tmp_path: Path) -> None:
    write(tmp_path / "notes.txt", b"words")
    assert f"there are no images in the folder {tmp_path}" in error_of(lambda: load_images(tmp_path, 8))


def test_another_kind_of_file_needs_only_a_function_in_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def zip_images(path: Path) -> Found:
        with zipfile.ZipFile(path) as archive:
            return Found([EncodedImage.from_bytes(name, archive.read(name)) for name in archive.namelist()])

    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for level in (1, 2):
            archive.writestr(f"{level}.png", plain(level))
    assert error_of(lambda: load_images(path, 8)).endswith("a.zip is a zip archive. Unpack it, and give the folder")
    monkeypatch.setitem(sources.FILES, ".zip", zip_images)
    assert levels(load_images(path, 2)) == [1, 2]
    assert levels(load_images(path.rename(tmp_path / "B.ZIP"), 2)) == [1, 2]


def test_a_path_becomes_absolute_and_other_sources_stay_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "emoji-photos").mkdir()
    (tmp_path / "emoji").mkdir()
    monkeypatch.chdir(tmp_path)
    assert sources.absolute("emoji-photos") == str(tmp_path / "emoji-photos")
    for source in ("emoji", "emoji:faces", "owner/name", "./nowhere", None):
        assert sources.absolute(source) == source


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
    """Return cells in the layout of Hugging Face."""
    return [{"bytes": blob, "path": f"{i}.png"} for i, blob in enumerate(blobs)]


COLUMNS: dict[str, Callable[[], Any]] = {
    "nested": lambda: nested(*map(plain, range(5))),
    "nested, without paths": lambda: [{"bytes": plain(i)} for i in range(5)],
    "bare": lambda: [plain(i) for i in range(5)],
    "bare and large": lambda: pa.array([plain(i) for i in range(5)], pa.large_binary()),
}


@pytest.mark.parametrize("kind", COLUMNS)
def test_the_images_of_a_parquet_file_are_loaded_in_order(tmp_path: Path, kind: str) -> None:
    path = table(tmp_path / "a.parquet", label=range(5), image=COLUMNS[kind](), name=list("abcde"))
    assert levels(load_images(path, 2)) == [0, 1, 2, 3, 4]


def test_the_column_of_images_is_found_behind_another_column_of_bytes(tmp_path: Path) -> None:
    path = table(tmp_path / "a.parquet", checksum=[b"123", b"456"], image=nested(plain(1), plain(2)))
    assert levels(load_images(path, 2)) == [1, 2]


def test_a_folder_of_parquet_files_gives_all_their_images(tmp_path: Path) -> None:
    table(tmp_path / "train-0.parquet", image=nested(plain(1), plain(2)))
    table(tmp_path / "kind=cat" / "0.parquet", image=[plain(0)])
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
    names = "a.parquet row 1 (empty), a.parquet row 2 (empty), a.parquet row 3 (not an image)"
    assert warning == f"skipped 3 of 4 images that could not be read: {names}"


def test_a_parquet_file_without_images_is_an_error_that_names_its_columns(tmp_path: Path) -> None:
    path = table(tmp_path / "a.parquet", label=[1], text=["x"], other=[{"bytes": "words"}])
    assert error_of(lambda: load_images(path, 2)).endswith("has no column of images, only label, text, other")


def test_a_parquet_file_without_rows_is_an_error(tmp_path: Path) -> None:
    path = table(tmp_path / "a.parquet", image=pa.array([], pa.binary()))
    assert f"there are no images in {path}" in error_of(lambda: load_images(path, 2))


def test_a_parquet_file_with_only_broken_images_is_an_error(tmp_path: Path) -> None:
    path = table(tmp_path / "a.parquet", image=[half(encoded(noise()))] * 2)
    assert "none of the 2 images" in error_of(lambda: load_images(path, 2))


@pytest.mark.parametrize("kept", [0.0, 0.1, 0.5, 0.99])
def test_a_truncated_parquet_file_is_an_error(tmp_path: Path, kept: float) -> None:
    blob = table(tmp_path / "a.parquet", image=nested(encoded(noise()), plain(2))).read_bytes()
    path = write(tmp_path / "cut.parquet", blob[: int(kept * len(blob))])
    assert f"{path} isn't a readable Parquet file" in error_of(lambda: load_images(path, 2))
    assert f"{path} isn't a readable Parquet file" in error_of(lambda: load_images(path.parent, 2))


def test_a_parquet_file_with_a_damaged_middle_is_an_error_or_skips_the_damage(tmp_path: Path) -> None:
    path = table(tmp_path / "a.parquet", image=[encoded(noise()), plain(2)])
    blob = bytearray(path.read_bytes())
    blob[4:60] = bytes(56)
    path.write_bytes(blob)
    assert str(path) in error_of(lambda: load_images(path, 2))


COLUMNS_WITHOUT_IMAGES: dict[str, tuple[list[Any], str]] = {
    "hashes": ([b"123", None], "the first cell of the column it is bytes of no known kind"),
    "archives": ([b"PK\x03\x04123"], "the first cell of the column it is a zip archive"),
    "paths": (nested(None, None), "the column it holds only the paths of files. Write the table again with the files'"),
    "nothing": (pa.array([None, b""], pa.binary()), "the column it holds only empty cells"),  # type: ignore[dict-item]
}


@pytest.mark.parametrize("kind", COLUMNS_WITHOUT_IMAGES)
def test_a_parquet_file_whose_bytes_are_no_images_is_an_error_that_says_what_they_are(
    tmp_path: Path, kind: str
) -> None:
    cells, message = COLUMNS_WITHOUT_IMAGES[kind]
    path = table(tmp_path / "a.parquet", it=cells)
    assert f"{path} has no column of images: {message}" in error_of(lambda: load_images(path, 2))


@pytest.mark.parametrize("first", [[b"123", b"456"], nested(b"123", b"456"), nested(None, None)])
def test_a_first_column_that_only_looks_like_images_is_not_used(tmp_path: Path, first: list[Any]) -> None:
    path = table(tmp_path / "a.parquet", first=first, picture=[plain(1), plain(2)])
    loaded, messages = loaded_with(lambda: load_images(path, 2))
    assert levels(loaded) == [1, 2]
    assert not messages


def test_a_second_column_of_images_is_passed_over_and_named(tmp_path: Path) -> None:
    path = table(tmp_path / "a.parquet", picture=nested(plain(1), plain(2)), mask=nested(plain(3), plain(4)))
    loaded, warning = one_warning(lambda: load_images(path, 2))
    assert levels(loaded) == [1, 2]
    assert warning == "found 2 images and passed over 2 others: images of the column mask (2)"


NOT_PARQUET = {
    "pointer": (POINTER, "is a Git LFS pointer, not a Parquet file. Fetch the file with: git lfs pull"),
    "web page": (b"<!DOCTYPE html><title>404</title>", "is a web page, not a Parquet file. Download the file itself"),
    "archive": (b"PK\x03\x04" + bytes(99), "is a zip archive, not a Parquet file. Unpack it"),
}


@pytest.mark.parametrize("kind", NOT_PARQUET)
def test_another_file_named_like_parquet_is_an_error_that_says_what_it_is(tmp_path: Path, kind: str) -> None:
    blob, message = NOT_PARQUET[kind]
    path = write(tmp_path / "data" / "a.parquet", blob)
    for source in (path, tmp_path):
        assert f"{path} {message}" in error_of(lambda source=source: load_images(source, 2))  # type: ignore[misc]


# ---- what a folder holds, and isn't loaded --------------------------------------------------------------------------


def test_links_to_folders_are_followed_each_folder_once_and_in_circles_too(tmp_path: Path) -> None:
    folder = folder_of(tmp_path / "images", a__png=plain(1))
    write(tmp_path / "elsewhere" / "b.png", plain(2))
    write(folder / "sub" / "c.png", plain(3))
    link_to(folder / "linked", tmp_path / "elsewhere")
    link_to(folder / "circle", folder)
    link_to(folder / "sub" / "up", folder)
    link_to(folder / "sub" / "self", folder / "sub" / "self")
    link_to(folder / "again", folder / "sub")
    link_to(folder / "gone", tmp_path / "nowhere")
    loaded, warning = one_warning(lambda: load_images(folder, 2))
    assert levels(loaded) == [1, 2, 3]
    assert warning == (
        "found 3 images and passed over 5 others: links to folders that are loaded already (3), broken links (2)"
    )


def test_a_linked_folder_gives_its_words_by_its_own_name(tmp_path: Path) -> None:
    for level, name in enumerate(("zebras/1.png", "zebras/2.png", "cats/3.png")):
        write(tmp_path / name, plain(level))
    link_to(tmp_path / "animals", tmp_path / "zebras")
    with pytest.warns(DinoWarning, match="loaded already"):
        assert load_labeled_images(tmp_path, 2).vocabulary == ("zebras",)


def test_a_folder_that_cannot_be_opened_is_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path / "a.png", plain(1))
    write(tmp_path / "locked" / "b.png", plain(2))
    iterdir = Path.iterdir

    def refuse(path: Path) -> Any:
        if path.name == "locked":
            raise PermissionError(13, "Permission denied")
        return iterdir(path)

    monkeypatch.setattr(Path, "iterdir", refuse)
    _, warning = one_warning(lambda: load_images(tmp_path, 2))
    assert warning == "found 1 image and passed over 1 other: folders that can't be opened (1)"


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no such pipes")
def test_a_pipe_is_not_read(tmp_path: Path) -> None:
    write(tmp_path / "a.png", plain(1))
    os.mkfifo(tmp_path / "b.png")
    _, warning = one_warning(lambda: load_images(tmp_path, 2))
    assert warning == "found 1 image and passed over 1 other: devices and pipes (1)"


def test_a_folder_without_images_says_what_it_holds(tmp_path: Path) -> None:
    for name in ("IMG_1", "IMG_2", "a.tar.gz", "data-00000-of-00001.arrow"):
        write(tmp_path / name, b"something")
    assert error_of(lambda: load_images(tmp_path, 2)).endswith(
        "only files without an ending (2), .arrow files, which you need to save as Parquet files (1), "
        ".gz archives, which you need to unpack (1)"
    )


def test_what_is_passed_over_is_counted_afresh_when_the_images_come_from_the_cache(
    tmp_path: Path, no_decoder: Callable[[], None]
) -> None:
    write(tmp_path / "a.png", plain(1))
    write(tmp_path / "b", plain(2))
    first = one_warning(lambda: load_images(tmp_path, 2))[1]
    no_decoder()
    assert one_warning(lambda: load_images(tmp_path, 2))[1] == first
    write(tmp_path / "c", plain(2))
    assert "files without an ending (2)" in one_warning(lambda: load_images(tmp_path, 2))[1]


def test_metadata_that_is_read_is_not_passed_over(tmp_path: Path) -> None:
    write(tmp_path / "a.png", plain(1))
    write(tmp_path / "metadata.jsonl", b'{"file_name": "a.png", "text": "a cat"}')
    assert loaded_with(lambda: load_images(tmp_path, 2))[1] == []


def test_of_image_files_and_parquet_files_those_with_more_images_are_loaded(tmp_path: Path) -> None:
    write(tmp_path / "preview.png", plain(9))
    table(tmp_path / "data" / "train.parquet", image=nested(plain(1), plain(2)))
    table(tmp_path / "data" / "labels.parquet", label=[1, 2, 3])
    write(tmp_path / "data" / "broken.parquet", b"PAR1")
    loaded, warning = one_warning(lambda: load_images(tmp_path, 2))
    assert levels(loaded) == [1, 2]
    assert warning == (
        "found 2 images and passed over 3 others: Parquet files without images (2), "
        "image files beside the Parquet files (1)"
    )
    for name in ("a.png", "b.png"):
        write(tmp_path / name, plain(5))
    loaded, warning = one_warning(lambda: load_images(tmp_path, 2))
    assert levels(loaded) == [5, 5, 9]
    assert warning == (
        "found 3 images and passed over 4 others: Parquet files without images (2), images in Parquet files (2)"
    )


def test_a_pointer_to_a_parquet_file_beside_image_files_is_an_error(tmp_path: Path) -> None:
    write(tmp_path / "preview.png", plain(9))
    path = write(tmp_path / "data" / "train.parquet", POINTER)
    assert f"{path} is a Git LFS pointer" in error_of(lambda: load_images(tmp_path, 2))


def test_a_table_without_images_beside_others_is_passed_over(tmp_path: Path) -> None:
    table(tmp_path / "a.parquet", image=[plain(1)])
    table(tmp_path / "b.parquet", text=["x"])
    loaded, warning = one_warning(lambda: load_images(tmp_path, 2))
    assert levels(loaded) == [1]
    assert warning == "found 1 image and passed over 1 other: Parquet files without images (1)"


# ---- splits of a folder ---------------------------------------------------------------------------------------------


@pytest.fixture(params=["folders", "folders in a folder", "words first", "Parquet files", "folders of Parquet files"])
def with_splits(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A folder with the level 1 for training, 2 for validation and 3 for testing."""
    for level, split in enumerate(("train", "val", "test"), start=1):
        if request.param == "Parquet files":
            table(tmp_path / "data" / f"{split}-00000-of-00001.parquet", image=nested(plain(level)))
        elif request.param == "folders of Parquet files":
            table(tmp_path / "default" / split / "0000.parquet", image=nested(plain(level)))
        else:
            places = {"folders": split, "folders in a folder": f"images/{split}/cats", "words first": f"cats/{split}"}
            write(tmp_path / places[request.param] / "1.png", plain(level))
    return tmp_path


@pytest.mark.parametrize(
    ("split", "expected"),
    [("train", [1]), ("val", [2]), ("validation", [2]), ("Test", [3]), ("train+test", [1, 3]), ("all", [1, 2, 3])],
)
def test_a_split_of_a_folder_is_loaded_and_the_others_are_counted(
    with_splits: Path, split: str, expected: list[int]
) -> None:
    loaded, messages = loaded_with(lambda: load_images(with_splits, 2, split=split))
    assert sorted(levels(loaded)) == expected
    assert len(messages) == (len(expected) < 3)
    for level, name in enumerate(("train", "validation", "test"), start=1):
        assert (f"of the split {name} (1)" in "".join(messages)) == (level not in expected)


def test_a_missing_split_of_a_folder_is_an_error_that_names_the_others(with_splits: Path) -> None:
    for split in ("extra", "train[:1]", "train+extra", ""):
        with pytest.raises(DinoError, match="only test, train, validation") as caught:
            load_images(with_splits, 2, split=split)
        assert caught.value.settings == {"split": "train"}


def test_images_outside_of_the_splits_are_counted(tmp_path: Path) -> None:
    for level, name in enumerate(("train/a.png", "train/b.png", "test/c.png", "preview.png")):
        write(tmp_path / name, plain(level))
    loaded, warning = one_warning(lambda: load_images(tmp_path, 2))
    assert levels(loaded) == [0, 1]
    assert "images of the split test (1), images outside of the splits (1)" in warning


@pytest.mark.parametrize("names", [("train", "bus", "car"), ("train",), ("test",), ("valid", "test")])
def test_folders_that_could_be_kinds_of_things_are_no_splits(tmp_path: Path, names: tuple[str, ...]) -> None:
    for level, name in enumerate(names):
        write(tmp_path / name / "1.png", plain(level))
    write(tmp_path / names[0] / "2.png", plain(9))
    write(tmp_path / names[0] / "3.png", plain(9))
    loaded, messages = loaded_with(lambda: load_images(tmp_path, 2))
    assert len(loaded) == len(names) + 2
    assert not messages


def test_two_folders_among_many_are_no_splits(tmp_path: Path) -> None:
    for level, name in enumerate(("2019/training/a.png", "2019/test/b.png", "2020/c.png", "d.png")):
        write(tmp_path / name, plain(level))
    assert sorted(levels(load_images(tmp_path, 2))) == [0, 1, 2, 3]


def test_a_split_that_is_asked_for_may_be_the_only_one(tmp_path: Path) -> None:
    write(tmp_path / "val" / "1.png", plain(1))
    assert loaded_with(lambda: load_images(tmp_path, 2, split="validation"))[1] == []


def test_a_split_of_a_source_without_splits_is_ignored_aloud(tmp_path: Path) -> None:
    write(tmp_path / "a.png", plain(1))
    path = table(tmp_path / "parquet" / "a.parquet", image=[plain(1)])
    for source in (path, "emoji:face-hat"):
        _, warning = one_warning(lambda source=source: load_images(source, 2, split="test"))  # type: ignore[misc]
        assert warning == f"{source} has no splits, so all of it is used and not only the split test"


# ---- what decoding takes from an image ------------------------------------------------------------------------------

RAMP = np.linspace(0, 1, 32 * 32).reshape(32, 32)


def tiff(values: np.ndarray, kind: str) -> bytes:
    return encoded(values.astype(kind), "TIFF")


def tiff_of_12_bits(values: np.ndarray) -> bytes:
    """Return a gray TIFF with 12 bits a pixel, which Pillow reads but doesn't write."""
    height, width = values.shape
    pairs = values.astype(int).reshape(-1, 2)
    data = b"".join(bytes([a >> 4, (a & 15) << 4 | b >> 8, b & 255]) for a, b in pairs.tolist())
    tags = {256: width, 257: height, 258: 12, 259: 1, 262: 1, 273: 8, 277: 1, 278: height, 279: len(data)}
    entries = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in tags.items())
    return struct.pack("<2sHI", b"II", 42, 8 + len(data)) + data + struct.pack("<H", len(tags)) + entries + bytes(4)


def with_alpha(alpha: np.ndarray, color: int) -> bytes:
    return encoded(np.dstack([np.full((32, 32, 3), color), alpha]).astype(np.uint8))


def outliers() -> np.ndarray:
    values = RAMP.copy()
    values[0, :5] = [np.inf, -np.inf, np.nan, -0.1, 0]
    return values


SCALE = "scale the values to 0 to 255 first"
OUTSIDE, DARK = "the values outside of the range that fits of 1 (a:", "most levels of brightness of 1 (a:"
LOST: dict[str, tuple[Callable[[], bytes], str]] = {
    "floats to 4095": (lambda: tiff(RAMP * 4095, "f4"), f"{OUTSIDE} 0 to 4,095, where 0 to 255 fits; {SCALE})"),
    "floats from -1": (lambda: tiff(RAMP * 2 - 1, "f4"), f"{OUTSIDE} -1 to 1, where 0 to 1 fits; {SCALE})"),
    "floats over 1": (lambda: tiff(RAMP * 1.02, "f4"), f"{DARK} 0 to 1.02 of 255 became 2 levels; {SCALE})"),
    "no numbers": (lambda: tiff(RAMP * np.nan, "f4"), f"{OUTSIDE} 100% of the values are not finite; {SCALE})"),
    "32 bits, too large": (lambda: tiff(RAMP * 1e6, "i4"), f"{OUTSIDE} 0 to 1e+06, where 0 to 65,535 fits; {SCALE})"),
    "32 bits, negative": (lambda: tiff(RAMP * 999 - 500, "i4"), f"{OUTSIDE} -500 to 499, where 0 to 65,535"),
    "32 bits, small": (lambda: tiff(RAMP * 255, "i4"), f"{DARK} 0 to 255 of 65,535 became 2 levels; {SCALE})"),
    "16 bits, 12 used": (
        lambda: encoded((RAMP * 4095).astype("u2")), f"{DARK} 0 to 4,095 of 65,535 became 17 levels; {SCALE})"
    ),
    "big end first": (lambda: tiff(RAMP * 4095, ">u2"), f"{DARK} 0 to 4,095 of 65,535 became 17 levels"),
    "16-bit RGB, 12 used": (
        lambda: deep_png(np.dstack([RAMP[:16, :16] * 8000] * 3).astype(int), 2), f"{DARK} 0 to "
    ),
    "transparent": (
        lambda: with_alpha(RAMP * 0, 9),
        "everything but the white background of 1 (a: fully transparent; put the drawing on another color first)",
    ),
    "white icon": (lambda: with_alpha(RAMP * 255, 255), "white background of 1 (a: white on transparent;"),
    "panorama": (
        lambda: encoded(np.zeros((20, 900), np.uint8)), "more than half of the area of 1 (a: 900 x 20; crop to a square"
    ),
    "screenshot": (lambda: encoded(np.zeros((390, 180), np.uint8)), "more than half of the area of 1 (a: 180 x 390"),
    "icon": (lambda: encoded(np.zeros((7, 9), np.uint8)), "the sharpness of 1 (a: 9 x 7; choose a smaller size)"),
    "GIF": (lambda: animated("GIF"), "all frames or pages but the first of 1 (a: 3 of them; save each as a file)"),
    "WebP": (lambda: animated("WEBP"), "all frames or pages but the first of 1 (a: 3 of them"),
    "PNG": (lambda: animated("PNG"), "all frames or pages but the first of 1 (a: 3 of them"),
    "TIFF": (lambda: animated("TIFF"), "all frames or pages but the first of 1 (a: 3 of them"),
}  # fmt: skip


@pytest.mark.parametrize("kind", LOST)
def test_much_that_is_lost_of_an_image_is_reported_with_numbers_and_from_the_cache_too(
    tmp_path: Path, kind: str, no_decoder: Callable[[], None]
) -> None:
    make, message = LOST[kind]
    path = write(tmp_path / "images" / "a.png", make())
    _, warning = one_warning(lambda: load_images(path.parent, SIZE))
    assert warning.startswith("decoding 1 image lost ")
    assert message.replace("(a:", "(a.png:") in warning
    one, alone = one_warning(lambda: load_image(path, SIZE))
    assert alone == warning
    assert one.shape == (3, SIZE, SIZE)
    no_decoder()
    assert one_warning(lambda: load_images(path.parent, SIZE))[1] == warning


KEPT = {
    "all 16 bits": lambda: encoded((RAMP * 65535).astype("u2")),
    "all 12 bits": lambda: tiff_of_12_bits(RAMP * 4095),
    "floats with a few outliers": lambda: tiff(outliers(), "f4"),
    "black": lambda: tiff(RAMP * 0, "f4"),
    "black and white in 32 bits": lambda: tiff(RAMP.round() * 65535, "i4"),
    "16-bit RGB": lambda: deep_png(np.dstack([RAMP[:16, :16] * 65535] * 3).astype(int), 2),
    "black 16-bit RGB": lambda: deep_png(np.zeros((16, 16, 3), int), 2),
    "opaque white with alpha": lambda: with_alpha(RAMP * 0 + 255, 255),
    "black on transparent": lambda: with_alpha(RAMP * 255, 0),
    "twice as wide": lambda: encoded(np.zeros((20, 40), np.uint8)),
    "half the size": lambda: encoded(np.zeros((8, 8), np.uint8)),
}


@pytest.mark.parametrize("kind", KEPT)
def test_nothing_is_reported_of_an_image_that_keeps_most(tmp_path: Path, kind: str) -> None:
    write(tmp_path / "a.png", KEPT[kind]())
    assert loaded_with(lambda: load_images(tmp_path, SIZE))[1] == []


@pytest.mark.parametrize("kind", ["all 12 bits", "floats with a few outliers"])
def test_values_fill_the_range_whatever_their_type(tmp_path: Path, kind: str) -> None:
    write(tmp_path / "a.png", KEPT[kind]())
    pixels = load_images(tmp_path, 32)[0, 0].float()
    assert (pixels[1:] - torch.from_numpy(RAMP[1:] * 255)).abs().max() < 1


def test_what_many_images_lose_is_one_line_with_counts_and_two_examples_of_each_kind(tmp_path: Path) -> None:
    for i in range(4):
        write(tmp_path / f"{i}.gif", animated("GIF"))
    write(tmp_path / "a.png", encoded(np.zeros((40, 100), np.uint8)))
    write(tmp_path / "b.png", encoded(QUARTERS))
    _, warning = one_warning(lambda: load_images(tmp_path, SIZE))
    assert warning == (
        "decoding 6 images lost all frames or pages but the first of 4 (0.gif: 3 of them; 1.gif: 3 of them; ...; save "
        "each as a file), and more than half of the area of 1 (a.png: 100 x 40; crop to a square yourself)"
    )


def test_the_embedded_images_lose_nothing() -> None:
    assert loaded_with(lambda: load_images("emoji:faces", 64))[1] == []


# ---- the cache ------------------------------------------------------------------------------------------------------


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with two images and a broken one."""
    return folder_of(tmp_path / "images", a__png=plain(1), b__png=plain(2), c__png=b"broken")


@pytest.fixture
def no_decoder(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """After a call of this function, any decoding fails."""

    def refuse(*_: Any) -> Tensor:
        raise AssertionError("decoded although it is in the cache")

    return lambda: monkeypatch.setattr(decoding, "decode", refuse)


def load(folder: Path, size: int = 2, channels: int = 3) -> Tensor:
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "skipped")
        return load_images(folder, size, channels=channels)


def cached_file() -> Path:
    (file,) = cache_folder().iterdir()
    return file


def test_a_second_load_is_equal_and_comes_from_the_cache(folder: Path, no_decoder: Callable[[], None]) -> None:
    first = load(folder)
    first_warning = one_warning(lambda: load_images(folder, 2))[1]
    no_decoder()
    second, second_warning = one_warning(lambda: load_images(folder, 2))
    assert torch.equal(first, second)
    assert second.dtype == torch.uint8
    assert first_warning == second_warning, "skipped files are named again"
    assert cached_file().suffix == ".safetensors", "and nothing else was left in the folder"


def test_without_the_cache_nothing_is_written_or_read(folder: Path, no_decoder: Callable[[], None]) -> None:
    one_warning(lambda: load_images(folder, 2, cache=False))
    assert not list(cache_folder().iterdir())
    load(folder)
    no_decoder()
    with pytest.raises(DinoError):
        load_images(folder, 2, cache=False)


def test_changing_the_loaded_images_does_not_change_the_cache(folder: Path) -> None:
    load(folder)
    load(folder).zero_()
    assert levels(load(folder)) == [1, 2]


def test_a_changed_file_changes_the_result_even_if_its_size_and_time_stay_the_same(folder: Path) -> None:
    path = write(folder / "a.png", plain(100, "BMP"))  # uncompressed
    before = path.stat()
    assert levels(load(folder)) == [100, 2]
    path.write_bytes(plain(200, "BMP"))
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert (path.stat().st_size, path.stat().st_mtime_ns) == (before.st_size, before.st_mtime_ns)
    assert levels(load(folder)) == [200, 2]


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
def test_another_set_of_files_gives_another_result(
    folder: Path, change: Callable[[Path], Any], result: list[int]
) -> None:
    assert levels(load(folder)) == [1, 2]
    change(folder)
    assert levels(load(folder)) == result


def test_bytes_that_move_from_one_file_to_the_next_are_another_set(tmp_path: Path) -> None:
    one, other = plain(1), plain(2)
    load(folder_of(tmp_path / "x", a__png=one, b__png=other + one))
    assert levels(load(folder_of(tmp_path / "y", a__png=one + other, b__png=one))) == [1, 1]


def test_sizes_and_channels_do_not_mix(folder: Path) -> None:
    for _ in range(2):
        for size, channels in [(2, 3), (3, 3), (2, 1), (3, 1)]:
            assert load(folder, size, channels).shape == (2, channels, size, size)


def test_a_folder_that_was_moved_is_still_loaded_from_the_cache(folder: Path, no_decoder: Callable[[], None]) -> None:
    load(folder)
    no_decoder()
    assert levels(load(folder.rename(folder.parent / "moved"))) == [1, 2]


def test_a_skipped_file_is_reported_by_its_present_name(folder: Path) -> None:
    load(folder)
    (folder / "c.png").rename(folder / "d.png")
    assert "d.png (" in one_warning(lambda: load_images(folder, 2))[1]


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
        lambda blob: safetensors.torch.save({"images": torch.zeros(2)}, {"skipped, losses": "no json"}),
    ],
    ids=["empty", "5 bytes", "half", "one byte short", "zeros", "ones", "longer", "other tensors", "other metadata"],
)
def test_a_damaged_cache_file_is_replaced(
    folder: Path, no_decoder: Callable[[], None], damage: Callable[[bytes], bytes]
) -> None:
    load(folder)
    sound = cached_file().read_bytes()
    cached_file().write_bytes(damage(sound))
    assert levels(load(folder)) == [1, 2]
    assert cached_file().read_bytes() == sound
    no_decoder()
    assert levels(load(folder)) == [1, 2]


def test_a_cache_that_cannot_be_written_only_warns(
    folder: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (folder / "c.png").unlink()
    monkeypatch.setenv("DINO_CACHE", str(write(tmp_path / "file", b"")))
    loaded, warning = one_warning(lambda: load_images(folder, 2))
    assert levels(loaded) == [1, 2]
    assert warning.startswith("the decoded images were not cached: could not write ")


def test_a_full_disk_only_warns(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    (folder / "c.png").unlink()
    monkeypatch.setattr(cache._Unfinished, "_end_part", fail)
    loaded, warning = one_warning(lambda: load_images(folder, 2))
    assert levels(loaded) == [1, 2]
    assert "not cached: the disk is full" in warning
    assert not list(cache_folder().iterdir())


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        ({"DINO_CACHE": "/a/b"}, "/a/b"),
        ({"DINO_CACHE": "", "XDG_CACHE_HOME": "/c"}, "/c/dino-diffusion"),
        ({"XDG_CACHE_HOME": "", "HOME": "/h", "USERPROFILE": "/h"}, "/h/.cache/dino-diffusion"),
        ({"DINO_CACHE": "~/x", "HOME": "/h", "USERPROFILE": "/h"}, "/h/x"),
    ],
)
def test_the_environment_determines_the_folder_of_the_cache(
    monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], expected: str
) -> None:
    monkeypatch.delenv("DINO_CACHE")
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert cache_folder() == Path(expected)


# ---- the embedded emoji ---------------------------------------------------------------------------------------------


def chosen(terms: str) -> set[bytes]:
    return {image.read() for image in embedded_images(f"emoji:{terms}")}


def test_the_faces_are_loaded_whole() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        faces = load_images("emoji:faces", 64)
    assert faces.shape == (387, 3, 64, 64)
    assert (faces[..., 0, 0] == 255).float().mean() > 0.95  # drawn on white: few reach the corner
    assert len(faces.flatten(1).unique(dim=0)) == 387


def test_flags_symbols_and_keycaps_are_left_out_unless_asked_for() -> None:
    assert len(chosen("")) == 3964
    for group in SETS["emoji"].optional:
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


def test_the_same_images_are_held_out_at_any_size_among_any_others_and_from_the_cache(tmp_path: Path) -> None:
    colors = [(x, 255 - x, x * 7 % 256) for x in range(60)]
    for x, color in enumerate(colors):
        (tmp_path / f"{x:02d}.png").write_bytes(encoded(np.full((8, 8, 3), color, dtype=np.uint8)))

    def held_out(size: int, **options: object) -> set[tuple[int, ...]]:
        return {tuple(image[:, 0, 0].tolist()) for image in load_images(tmp_path, size, part="held out", **options)}

    first = held_out(8)
    assert 0 < len(first) < 20
    assert held_out(8) == held_out(8, cache=False) == held_out(16) == first
    for x in range(30):
        (tmp_path / f"{x:02d}.png").rename(tmp_path / f"moved-{x}.png")
    for x in range(30, 60):
        (tmp_path / f"{x:02d}.png").unlink()
    assert held_out(8) == first & set(colors[:30])


def test_a_single_image_is_for_training(tmp_path: Path) -> None:
    for seed in range(40):  # among which some would be held out
        pixels = np.random.default_rng(seed).integers(0, 256, (4, 4, 3), dtype=np.uint8)
        (tmp_path / "one.png").write_bytes(encoded(pixels))
        assert len(load_images(tmp_path, 4, part="training", cache=False)) == 1
        assert len(load_images(tmp_path, 4, part="held out", cache=False)) == 0
