"""Loading images: `load_images` turns a source into one uint8 tensor, in memory or mapped from the cache.

`load_labeled_images` returns the words of the images, too.
"""

import hashlib
import warnings
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Literal, NamedTuple

import torch
from torch import Tensor

from ..common.errors import DinoError, DinoWarning, first_line, printable
from ..common.memory import free_memory
from .cache import cache_file, decode_into_cache, read_cache
from .decoding import MAX_SIZE, Decoded, decode, decode_all, survey
from .embedded import DEFAULT
from .encoded_image import EncodedImage, Found, counted
from .losses import losses_in_words
from .sources import find
from .space import Needs, fits, in_memory
from .splits import ALL, TRAIN
from .words import choose_vocabulary, to_multi_hot

Part = Literal["all", "training", "held out"]


class LabeledImages(NamedTuple):
    """Images and the words that describe them.

    Attributes:
        images: uint8, (N, C, size, size).
        words: which image has which word, zeros and ones, uint8, (N, n_words).
        vocabulary: the words, one for each column of `words`. Empty if nothing is known of the images.
        file: the cache's file that the images are mapped from, or None if they are in memory.
    """

    images: Tensor
    words: Tensor
    vocabulary: tuple[str, ...]
    file: Path | None = None


def _ignore(_: Needs) -> None: ...


def load_image(path: Path, size: int, *, channels: int = 3) -> Tensor:
    """Load one image file like the images of `load_images`: uint8, (channels, size, size).

    Raises:
        DinoError: if the file can't be read.

    Warns:
        DinoWarning: if decoding took much from the image.
    """
    try:
        pixels, losses = decode(path.read_bytes(), size, channels)
    except Exception as error:  # a broken file can make its decoder raise anything
        raise DinoError(f"{printable(str(path))} can't be read as an image: {first_line(error)}") from error
    if losses:
        named = {loss.kind: [f"{path.name}: {loss.numbers}"] for loss in losses}
        warnings.warn(DinoWarning(losses_in_words(named, 1)), stacklevel=2)
    return pixels


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
    memory_map: bool | None = None,
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
        split: which split of a Hugging Face data set, or of a folder that has splits (`dino.data.splits`), such as
            "train", "validation", "train+test" or "all".
        part: "training" leaves out about a tenth of the images, to test on what the network has never seen, and
            "held out" is that tenth. The bytes of each image's file decide, so the same images are held out at any
            size and whatever else is in the set. Of a few images none may be held out.
        cache: whether to look for the decoded images in the cache, and to keep them there.
        memory_map: whether to leave the images in the cache's file, and to map it into memory; see
            `dino.data.space`. By default that is done if the images would take more than half of the free memory.
            Mapped images can't be changed: a program that tries to is ended by the system. With the part "all" the
            images always come into memory, unless none are held out, because their order in the file is another one.

    Returns:
        uint8, (N, channels, size, size), on the CPU.

    Raises:
        DinoError: if the source doesn't exist, none of its images can be read, the size or number of channels is
            impossible, or there is no space for the images.

    Warns:
        DinoWarning: if some images can't be read and are left out; if files or images of the source aren't loaded for
            another reason; if decoding takes much from some images, such as values that are clipped; if the source has
            no splits and one was asked for; or if the cache can't be written.
    """
    decoded, _ = _load(source, size, channels, split, cache, _ignore)
    images, _, _ = _part(decoded, part, memory_map)
    return images


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
    memory_map: bool | None = None,
    before_decoding: Callable[[Needs], None] = _ignore,
) -> LabeledImages:
    """Load images like `load_images`, and the words that describe them.

    The words of the embedded sets are theirs. In a folder, they are the names of its sub-folders, or what
    `metadata.jsonl` or `metadata.csv` says of each file. In Parquet files and Hugging Face data sets, they are the
    words in columns of texts and labels.

    Args:
        vocabulary: the words to look for. By default those that tell the images apart, the same for all parts.
        max_words: the number of words to look for by default, the most frequent first.
        source, size, channels, split, part, cache, memory_map: as for `load_images`.
        before_decoding: called with what the images need, unless they are in the cache already.

    Raises:
        DinoError: as `load_images`.

    Warns:
        DinoWarning: as `load_images`, or if there are more words.
    """
    decoded, encoded_images = _load(source, size, channels, split, cache, before_decoding)
    every = [encoded_images[position] for position in decoded.positions]
    words = choose_vocabulary(every, max_words) if vocabulary is None else tuple(vocabulary)
    images, places, file = _part(decoded, part, memory_map)
    return LabeledImages(images, to_multi_hot([every[place] for place in places], words), words, file)


def _load(
    source: str | Path, size: int, channels: int, split: str, cache: bool, before_decoding: Callable[[Needs], None]
) -> tuple[Decoded, list[EncodedImage]]:
    """Return all images of a source, decoded, and as they were found."""
    if channels not in (1, 3):
        raise DinoError(f"images have 3 channels (color) or 1 (gray), not {channels}")
    if not 1 <= size <= MAX_SIZE:
        raise DinoError(f"the size of an image is 1 to {MAX_SIZE} pixels, not {size}")
    if not str(source):
        raise DinoError("no images were named. Give a folder, or use the embedded set", settings={"data": DEFAULT})
    found = find(str(source), split)
    if not found.images:
        raise DinoError(f"there are no images in {printable(str(source))}: it has no rows")
    decoded, not_cached = _decoded(found.images, size, channels, cache, before_decoding)
    if not len(decoded.images):
        n, names = len(found.images), _listed(decoded.skipped)
        raise DinoError(f"none of the {n} images of {printable(str(source))} could be read: {names}")
    for warning in _warnings(str(source), split, found, decoded, not_cached):
        warnings.warn(DinoWarning(warning), stacklevel=3)
    return decoded, found.images


def _decoded(
    encoded_images: list[EncodedImage], size: int, channels: int, cache: bool, before_decoding: Callable[[Needs], None]
) -> tuple[Decoded, str]:
    """Return images from the cache, or decode them: into the cache if that is possible, otherwise into memory.

    Returns:
        The images; and the reason why they are not in the cache, if they should be.
    """
    surveyed, file, not_cached = survey(encoded_images), None, ""
    try:
        file = cache_file(surveyed, size, channels) if cache else None
    except DinoError as error:
        not_cached = first_line(error)
    if file and (decoded := read_cache(file, surveyed)):
        return decoded, ""
    needs = Needs.of(len(encoded_images), size, channels, file)
    before_decoding(needs)
    needs.check()
    if file and not needs.fit_on_disk:
        not_cached = f"{needs}. Name a folder on a larger disk in DINO_CACHE"
    elif file:
        try:
            if decoded := decode_into_cache(file, encoded_images, surveyed, size, channels):
                return decoded, ""
        except DinoError as error:
            not_cached = first_line(error)
    return decode_all(encoded_images, surveyed, size, channels), not_cached


def _warnings(source: str, split: str, found: Found, decoded: Decoded, not_cached: str) -> Iterator[str]:
    """Yield a line for each kind of thing that the user should know about: the same ones from the cache."""
    n, n_others = len(found.images), sum(found.passed_over.values())
    if not_cached:
        yield f"the decoded images were not cached: {not_cached}"
    if decoded.skipped:
        yield f"skipped {len(decoded.skipped)} of {n} images that could not be read: {_listed(decoded.skipped)}"
    if found.passed_over:
        yield (
            f"found {n:,} image{'s' * (n != 1)} and passed over {n_others:,} other{'s' * (n_others != 1)}: "
            f"{counted(found.passed_over)}"
        )
    if decoded.losses:
        yield losses_in_words(decoded.losses, n)
    if split not in (TRAIN, ALL) and not found.has_splits:
        yield f"{printable(source)} has no splits, so all of it is used and not only the split {printable(split, 80)}"


def _listed(skipped: list[str]) -> str:
    return ", ".join(printable(name, 100) for name in skipped[:5]) + (", ..." if len(skipped) > 5 else "")


def _part(decoded: Decoded, part: Part, memory_map: bool | None) -> tuple[Tensor, Sequence[int], Path | None]:
    """Return the images of a part, their places among all that are decoded, and the file if they are mapped from it."""
    n_all = len(decoded.images)
    n = decoded.n_training or n_all  # if all are held out, because otherwise no image would be left for training
    if part == "all" and n < n_all:  # the order of the source isn't that of the file
        source_order = sorted(range(n_all), key=decoded.positions.__getitem__)
        return in_memory(decoded.images, torch.tensor(source_order)), source_order, None
    places = range(n, n_all) if part == "held out" else range(n)
    images = decoded.images[places.start : places.stop]
    if memory_map is None:
        memory_map = not fits(images.nbytes, free_memory())
    if memory_map or decoded.file is None:
        return images, places, decoded.file
    return in_memory(images), places, None


def are_gray(images_uint8: Tensor) -> bool:
    """Return whether all images, (N, C, H, W), are without color: their channels are equal."""
    return all(bool((part == part[:, :1]).all()) for part in images_uint8.split(1_024))


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
    digest = hashlib.sha256()
    for part in images_uint8.split(1_024):
        digest.update(part.cpu().numpy().tobytes())
    return digest.hexdigest()[:12]
