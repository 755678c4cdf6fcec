"""Loading images: `load_images` turns a source into one uint8 tensor, which is small enough to live on a GPU.

`load_labeled_images` returns the words of the images, too.
"""

import hashlib
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Literal, NamedTuple

import torch
from torch import Tensor

from ..common.errors import DinoError, DinoWarning, first_line, printable
from .cache import cache_file, read_cache, write_cache
from .decoding import MAX_SIZE, Decoded, decode, decode_all
from .embedded import DEFAULT
from .encoded_image import EncodedImage
from .sources import find_images
from .words import choose_vocabulary, to_multi_hot

Part = Literal["all", "training", "held out"]


class LabeledImages(NamedTuple):
    """Images and the words that describe them.

    Attributes:
        images: uint8, (N, C, size, size).
        words: which image has which word, zeros and ones, uint8, (N, n_words).
        vocabulary: the words, one for each column of `words`. Empty if nothing is known of the images.
    """

    images: Tensor
    words: Tensor
    vocabulary: tuple[str, ...]


def load_image(path: Path, size: int, *, channels: int = 3) -> Tensor:
    """Load one image file like the images of `load_images`: uint8, (channels, size, size).

    Raises:
        DinoError: if the file can't be read.
    """
    try:
        return decode(path.read_bytes(), size, channels)
    except Exception as error:  # a broken file can make its decoder raise anything
        raise DinoError(f"{printable(str(path))} can't be read as an image: {first_line(error)}") from error


def without_words(images: Tensor) -> LabeledImages:
    """Return images of which nothing is known."""
    return LabeledImages(images, torch.zeros(len(images), 0, dtype=torch.uint8), ())


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
        source: "dinos", the embedded set; a part of it such as "dinos:1000" or "dinos:stegosaurus,green"; "emoji", the
            other one; a part of it such as "emoji:faces" or "emoji:animals,noto"; "emoji:all", which adds its symbols,
            flags and keycaps; a folder of images; a Parquet file; or the name of a Hugging Face data set, such as
            "huggan/pokemon".
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
    decoded, _ = _load(source, size, channels, split, cache)
    return decoded.images[_part(decoded, part)]


def load_labeled_images(
    source: str | Path,
    size: int,
    *,
    vocabulary: Sequence[str] | None = None,
    max_words: int = 64,
    channels: int = 3,
    split: str = "train",
    part: Part = "all",
    cache: bool = True,
) -> LabeledImages:
    """Load images like `load_images`, and the words that describe them.

    The words of the embedded sets are theirs. In a folder, they are the names of its sub-folders, or what
    `metadata.jsonl` or `metadata.csv` says of each file. In Parquet files and Hugging Face data sets, they are the
    words in columns of texts and labels.

    Args:
        vocabulary: the words to look for. By default those that tell the images apart, the same for all parts.
        max_words: the number of words to look for by default, the most frequent first.
        source, size, channels, split, part, cache: as for `load_images`.

    Raises:
        DinoError: as `load_images`.

    Warns:
        DinoWarning: as `load_images`, or if there are more words.
    """
    decoded, encoded_images = _load(source, size, channels, split, cache)
    kept = [image for image, is_kept in zip(encoded_images, decoded.kept.tolist(), strict=True) if is_kept]
    words = choose_vocabulary(kept, max_words) if vocabulary is None else tuple(vocabulary)
    chosen = _part(decoded, part)
    return LabeledImages(decoded.images[chosen], to_multi_hot(kept, words)[chosen], words)


def _load(source: str | Path, size: int, channels: int, split: str, cache: bool) -> tuple[Decoded, list[EncodedImage]]:
    """Return all images of a source, decoded, and as they were found."""
    if channels not in (1, 3):
        raise DinoError(f"images have 3 channels (color) or 1 (gray), not {channels}")
    if not 1 <= size <= MAX_SIZE:
        raise DinoError(f"the size of an image is 1 to {MAX_SIZE} pixels, not {size}")
    if not str(source):
        raise DinoError("no images were named. Give a folder, or use the embedded set", settings={"data": DEFAULT})
    encoded_images = find_images(str(source), split)
    cached = cache_file(encoded_images, size, channels) if cache else None
    decoded = read_cache(cached) if cached else None
    if decoded is None:
        decoded = decode_all(encoded_images, size, channels)
        if cached and len(decoded.images):
            write_cache(cached, decoded)
    skipped = decoded.skipped
    if not encoded_images:
        raise DinoError(f"there are no images in {printable(str(source))}: it has no rows")
    if skipped:
        names = ", ".join(printable(name, 100) for name in skipped[:5]) + (", ..." if len(skipped) > 5 else "")
        if not len(decoded.images):
            raise DinoError(f"none of the {len(skipped)} images of {printable(str(source))} could be read: {names}")
        message = f"skipped {len(skipped)} of {len(encoded_images)} images that could not be read: {names}"
        warnings.warn(DinoWarning(message), stacklevel=3)
    return decoded, encoded_images


def _part(decoded: Decoded, part: Part) -> Tensor | slice:
    """Return an index that chooses the images of a part."""
    if part == "all":
        return slice(None)
    held_out = decoded.held_out
    if held_out.all():
        held_out = ~held_out  # otherwise no image would be left for training
    return held_out if part == "held out" else ~held_out


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
