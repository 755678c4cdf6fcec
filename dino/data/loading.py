"""Loading images: `load_images` turns a source into one uint8 tensor, which is small enough to live on a GPU."""

import hashlib
import warnings
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor

from ..common.errors import DinoError, DinoWarning, printable
from .cache import cache_file, read_cache, write_cache
from .decoding import MAX_SIZE, decode_all
from .sources import find_images

Part = Literal["all", "training", "held out"]


def load_images(
    source: str | Path,
    size: int,
    *,
    channels: int = 3,
    split: str = "train",
    part: Part = "all",
    cache: bool = True,
) -> Tensor:
    """Load all images of a source as square uint8 images.

    Each image is turned upright as its camera recorded it, put on white where it is transparent, cut to its middle
    square, and resized. The result is cached under `dino.data.cache.cache_folder()` by the content of the images.

    Args:
        source: "emoji", the embedded set; a part of it such as "emoji:faces" or "emoji:animals,noto"; "emoji:all",
            which adds its symbols, flags and keycaps; a folder of images; a Parquet file; or the name of a Hugging Face
            data set, such as "huggan/pokemon".
        size: side of the square, in pixels, 1 to 4096.
        channels: 3 for color, 1 for gray.
        split: which split of a Hugging Face data set.
        part: "training" leaves out about a tenth of the images, to test on what the network has never seen, and
            "held out" is that tenth. The bytes of each image's file decide, so the same images are held out at any
            size and whatever else is in the set. Of a few images none may be held out.
        cache: whether to look for the decoded images in the cache, and to keep them there.

    Returns:
        uint8, (N, channels, size, size), on the CPU.

    Raises:
        DinoError: if the source doesn't exist, none of its images can be read, or the size or number of channels is
            impossible.

    Warns:
        DinoWarning: if some images can't be read and are left out, or the cache can't be written.
    """
    if channels not in (1, 3):
        raise DinoError(f"images have 3 channels (color) or 1 (gray), not {channels}")
    if not 1 <= size <= MAX_SIZE:
        raise DinoError(f"the size of an image is 1 to {MAX_SIZE} pixels, not {size}")
    if not str(source):
        raise DinoError("no images were named. Give a folder, or use the embedded set", settings={"data": "emoji"})
    encoded_images = find_images(str(source), split)
    cached = cache_file(encoded_images, size, channels) if cache else None
    decoded = read_cache(cached) if cached else None
    if decoded is None:
        decoded = decode_all(encoded_images, size, channels)
        if cached and len(decoded.images):
            write_cache(cached, decoded)
    images, held_out, skipped = decoded
    if not encoded_images:
        raise DinoError(f"there are no images in {printable(str(source))}: it has no rows")
    if skipped:
        names = ", ".join(printable(name, 100) for name in skipped[:5]) + (", ..." if len(skipped) > 5 else "")
        if not len(images):
            raise DinoError(f"none of the {len(skipped)} images of {printable(str(source))} could be read: {names}")
        message = f"skipped {len(skipped)} of {len(encoded_images)} images that could not be read: {names}"
        warnings.warn(DinoWarning(message), stacklevel=2)
    if held_out.all():
        held_out = ~held_out  # otherwise no image would be left for training
    return images if part == "all" else images[held_out if part == "held out" else ~held_out]


def check_images(images_uint8: Tensor, channels: int, size: int) -> None:
    """Raise an error if images don't fit a network with this number of channels and this size.

    Raises:
        DinoError: if the images aren't uint8 of shape (N, channels, size, size), or there are none.
    """
    if images_uint8.dtype != torch.uint8:
        raise DinoError(
            f"images must be bytes from 0 to 255 (uint8), not {str(images_uint8.dtype).removeprefix('torch.')}. "
            "From floats in [0, 1]: (255 * images).round().byte()"
        )
    if images_uint8.shape[1:] != (channels, size, size) or not len(images_uint8):
        raise DinoError(f"images must have the shape (N, {channels}, {size}, {size}), not {tuple(images_uint8.shape)}")


def fingerprint(images_uint8: Tensor) -> str:
    """Return twelve hexadecimal digits that identify a set of images, on any device."""
    return hashlib.sha256(images_uint8.cpu().numpy().tobytes()).hexdigest()[:12]
