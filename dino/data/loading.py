"""Lesson 00: images. Where pictures come from, and how they become numbers.

On disk a picture is a file in one of many formats. Here it is decoded once, to a square of bytes (0 to 255), and all
the pictures together are one uint8 tensor (N, C, H, W) small enough to live on the GPU. Batches of floats in [0, 1] are
made from it as training asks for them.
"""

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
    """Load all pictures of a source as square uint8 images: (N, channels, size, size), on the CPU.

    Each is turned the way its camera held it, laid on white where it is transparent, cut to its middle square and
    resized. The result is cached under `cache_folder()` by the content of the pictures.

    Args:
        source: "emoji", the embedded set; a part of it such as "emoji:faces" or "emoji:animals,noto"; "emoji:all" with
            its symbols, flags and keycaps too; a folder of pictures; a Parquet file; or a Hugging Face data set by its
            name, such as "huggan/pokemon".
        size: the side of the square, in pixels, 1 to 4096.
        channels: 3 for color, 1 for gray.
        split: which part of a Hugging Face data set.
        part: "training" leaves out about a tenth of the pictures, to test on what the network has never seen, and
            "held out" is that tenth. The bytes of each picture's file decide, so it is always the same ones, at any
            size and whatever else is in the set. Of a few pictures none may be held out.
        cache: whether to keep what was decoded, and to look for it there first.

    Raises:
        DinoError: there is no such source, no readable picture in it, or no such size or number of channels.

    Warns:
        DinoWarning: some pictures could not be read and are left out, or nothing could be written to the cache.
    """
    if channels not in (1, 3):
        raise DinoError(f"pictures have 3 channels (color) or 1 (gray), not {channels}")
    if not 1 <= size <= MAX_SIZE:
        raise DinoError(f"the size of a picture is 1 to {MAX_SIZE} pixels, not {size}")
    if not str(source):
        raise DinoError("no pictures were named. Give a folder, or use the embedded set: --data emoji")
    pictures = find_images(str(source), split)
    cached = cache_file(pictures, size, channels) if cache else None
    loaded = read_cache(cached) if cached else None
    if loaded is None:
        loaded = decode_all(pictures, size, channels)
        if cached and len(loaded.images):
            write_cache(cached, loaded)
    images, held_out, skipped = loaded
    if not pictures:
        raise DinoError(f"there are no pictures in {printable(str(source))}: it has no rows")
    if skipped:
        names = ", ".join(printable(name, 100) for name in skipped[:5]) + (", ..." if len(skipped) > 5 else "")
        if not len(images):
            raise DinoError(f"none of the {len(skipped)} pictures of {printable(str(source))} could be read: {names}")
        told = f"skipped {len(skipped)} of {len(pictures)} pictures that could not be read: {names}"
        warnings.warn(told, DinoWarning, stacklevel=2)
    if held_out.all():
        held_out = ~held_out  # or nothing would be left to learn from
    return images if part == "all" else images[held_out if part == "held out" else ~held_out]


def check_images(images_uint8: Tensor, channels: int, size: int) -> None:
    """See that images, from wherever they come, are what a network of so many channels learns from.

    Raises:
        DinoError: they aren't uint8 of shape (N, channels, size, size), or there are none.
    """
    if images_uint8.dtype != torch.uint8:
        raise DinoError(
            f"pictures are bytes from 0 to 255 (uint8), not {str(images_uint8.dtype).removeprefix('torch.')}. "
            "From floats in [0, 1]: (255 * images).round().byte()"
        )
    if images_uint8.shape[1:] != (channels, size, size) or not len(images_uint8):
        raise DinoError(
            f"pictures of shape (N, {channels}, {size}, {size}) are needed, not {tuple(images_uint8.shape)}"
        )


def fingerprint(images_uint8: Tensor) -> str:
    """Twelve hexadecimal digits that tell one set of pictures from another, on any device."""
    return hashlib.sha256(images_uint8.cpu().numpy().tobytes()).hexdigest()[:12]
