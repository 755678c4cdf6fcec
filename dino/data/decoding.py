"""Decoding: encoded images of any format become square uint8 images of one size."""

import hashlib
import io
import sys
import warnings
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from operator import itemgetter
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, TypeVar

import torch
from torch import Tensor

from ..common.errors import first_line, is_out_of_memory
from ..common.file_kinds import HEIC, N_BYTES, file_kind
from .encoded_image import EncodedImage
from .losses import Loss, loss_of_depth, loss_of_frames, loss_of_shape, loss_of_transparency, loss_of_values

if TYPE_CHECKING:  # imported where it is used, because it makes every start of dino slower
    from PIL.Image import Image

Item = TypeVar("Item")

N_AHEAD = 64  # images that are decoded and wait for the images before them
MAX_SIZE = 4096  # pixels a side, of a decoded image
MAX_PIXELS = 100_000_000  # an image that claims more is a mistake or an attack, and is skipped before it is decoded


class Survey(NamedTuple):
    """Facts that the bytes of all files of a source determine, before any is decoded."""

    digest: bytes  # of the names and the bytes, in their order
    held_out: list[bool]  # one for each encoded image

    @property
    def order(self) -> list[int]:
        """The order to decode in: images for training first, then the held-out ones, so that each part is one block."""
        return sorted(range(len(self.held_out)), key=self.held_out.__getitem__)  # sorting is stable


class Decoded(NamedTuple):
    """All images of a source that can be read, what decoding took from them, and the names of the other images."""

    images: Tensor  # uint8, (N, C, H, W): those for training first, then the held-out ones
    positions: list[int]  # N of them: where each image is among the encoded images
    n_training: int
    skipped: list[str]  # names, each with the reason
    losses: dict[str, list[str]]  # kinds of losses (`dino.data.losses`), each with its images and their numbers
    file: Path | None = None  # from which the images are memory-mapped; None if they are in memory


class DecodedImage(NamedTuple):
    """One image, and what decoding took from it."""

    pixels: Tensor  # uint8, (C, H, W)
    losses: list[Loss]


class Outcome(NamedTuple):
    """The outcome of decoding one image."""

    position: int  # among the encoded images
    pixels: Tensor | None = None  # uint8, (C, H, W); None if it can't be read
    losses: Sequence[tuple[str, str]] = ()  # kinds, each with the image's name and the numbers
    skipped: str = ""  # the image's name and the reason, if it can't be read


@dataclass
class Notes:
    """Notes on the images that were tried so far, all but their pixels. The fields are fit for JSON."""

    n_tried: int = 0
    positions: list[int] = field(default_factory=list)  # of the images that can be read
    skipped: list[tuple[int, str]] = field(default_factory=list)  # positions of the others, and what to print
    losses: list[tuple[int, str, str]] = field(default_factory=list)  # positions, kinds, and what to print

    def add(self, outcome: Outcome) -> None:
        """Add the outcome of one more image."""
        self.n_tried += 1
        if outcome.pixels is None:
            self.skipped.append((outcome.position, outcome.skipped))
        else:
            self.positions.append(outcome.position)
            self.losses += [(outcome.position, kind, text) for kind, text in outcome.losses]

    def extend(self, later: "Notes") -> None:
        """Append the notes on the images after these."""
        self.n_tried += later.n_tried
        self.positions += later.positions
        self.skipped += later.skipped
        self.losses += later.losses

    def decoded(self, images: Tensor, survey: Survey, file: Path | None = None) -> Decoded:
        """Return everything together. Names are listed in the order of the source.

        Args:
            images: that can be read, in the order of `positions`.
            survey: of the encoded images.
            file: from which the images are mapped, if they are.
        """
        losses: dict[str, list[str]] = {}
        for _, kind, text in sorted(self.losses, key=itemgetter(0)):
            losses.setdefault(kind, []).append(text)
        n_training = sum(not survey.held_out[position] for position in self.positions)
        skipped = [text for _, text in sorted(self.skipped)]
        return Decoded(images, self.positions, n_training, skipped, losses, file)


# ---- all images of a source -----------------------------------------------------------------------------------------


def survey(encoded_images: Sequence[EncodedImage]) -> Survey:
    """Read all images once, without decoding them, with a progress bar if that takes longer than a second.

    About a tenth of the images is held out from training, chosen by a hash of each file's bytes.
    """
    digest, held_out = hashlib.sha256(), []
    for image in _with_progress(encoded_images, "reading", len(encoded_images)):
        try:
            encoded = image.read()
        except OSError:
            encoded = b"unreadable"
        of_bytes = hashlib.sha256(encoded).digest()
        digest.update(f"{image.name!r}\0".encode())  # !r: a file's name need not be valid unicode
        digest.update(of_bytes)
        held_out.append(int.from_bytes(of_bytes[:8]) % 10 == 0)
    return Survey(digest.digest(), held_out)


def decode_all(encoded_images: Sequence[EncodedImage], survey: Survey, size: int, channels: int) -> Decoded:
    """Decode images into memory.

    Args:
        encoded_images: N of them, or more if some can't be read.
        survey: of these images.
        size: side of the decoded images, in pixels.
        channels: 3 for color, 1 for gray.

    Raises:
        MemoryError, RuntimeError: if there is not enough memory.
    """
    images = torch.empty(len(encoded_images), channels, size, size, dtype=torch.uint8)
    notes = Notes()
    for outcome in decode_in_order(encoded_images, survey.order, size, channels):
        if outcome.pixels is not None:
            images[len(notes.positions)] = outcome.pixels
        notes.add(outcome)
    return notes.decoded(images[: len(notes.positions)], survey)


def decode_in_order(
    encoded_images: Sequence[EncodedImage], order: Sequence[int], size: int, channels: int, *, start: int = 0
) -> Generator[Outcome, None, None]:
    """Decode images in parallel, with a progress bar if it takes longer than a second. Only a few are in memory.

    Args:
        encoded_images: what to decode.
        order: the positions of the images, in the order to decode in.
        size, channels: as in `decode_all`.
        start: how many images of that order are decoded already.

    Raises:
        MemoryError, RuntimeError: if there is not enough memory.
    """

    def attempt(position: int) -> Outcome:
        image = encoded_images[position]
        try:
            pixels, losses = decode(image.read(), size, channels)
        except Exception as error:  # a broken file can make its decoder raise anything
            if is_out_of_memory(error):
                raise  # nothing is wrong with the file
            return Outcome(position, skipped=f"{image.name} ({first_line(error)})")
        return Outcome(position, pixels, [(loss.kind, f"{image.name}: {loss.numbers}") for loss in losses])

    with warnings.catch_warnings(), ThreadPoolExecutor() as threads:  # decoding releases Python's lock
        warnings.simplefilter("ignore")  # Pillow's name no file, and the skipped files are reported by the caller
        outcomes = _few_ahead(threads, attempt, order[start:])
        yield from _with_progress(outcomes, "decoding", len(order), start)


def _few_ahead(
    threads: ThreadPoolExecutor, function: Callable[[int], Outcome], items: Sequence[int]
) -> Iterator[Outcome]:
    """Yield the results of a function in order, computed by threads that are at most `N_AHEAD` items ahead.

    A few items are handed over at once, because threads that switch for each of them take a tenth longer.
    """
    n = max(1, N_AHEAD // 8)
    pending = deque[Future[list[Outcome]]]()
    try:
        for first in range(0, len(items), n):
            pending.append(threads.submit(lambda some: list(map(function, some)), items[first : first + n]))
            if len(pending) * n > N_AHEAD:
                yield from pending.popleft().result()
        while pending:
            yield from pending.popleft().result()
    finally:
        for future in pending:
            future.cancel()


def _with_progress(items: Iterable[Item], what: str, n: int, start: int = 0) -> Iterator[Item]:
    """Yield items with a progress bar, which estimates the time that is left, after a second."""
    from tqdm import tqdm

    every = 0.1 if sys.stderr.isatty() else 10  # seconds, so that a log isn't flooded
    yield from tqdm(items, what, n, initial=start, unit=" images", delay=1, leave=False, mininterval=every)


# ---- one image ------------------------------------------------------------------------------------------------------


def decode(encoded: bytes, size: int, channels: int) -> DecodedImage:
    """Decode an image, and make it upright, opaque and square.

    The first frame of an animation counts. EXIF orientation is applied, transparency becomes white, and the middle
    square is resized.

    Args:
        encoded: the bytes of a file, in any format that Pillow reads, except EPS.
        size: side of the result, in pixels.
        channels: 3 for color, 1 for gray.

    Returns:
        The pixels, uint8, (channels, size, size), and what was lost.

    Raises:
        Exception: if the file is damaged, too large or not an image. Its class varies. Its message is the reason.
    """
    import numpy as np
    from PIL import Image, ImageOps, UnidentifiedImageError

    if not encoded:
        raise ValueError("empty")
    try:
        image = Image.open(io.BytesIO(encoded))
    except UnidentifiedImageError:
        raise ValueError(_reason(encoded)) from None
    with image:
        if image.format == "EPS":
            raise ValueError("an EPS file is a program, and is not run")
        if image.width * image.height > MAX_PIXELS:
            raise ValueError(f"too large: {image.width} x {image.height}")
        width, height, stored = image.width, image.height, _stored(image)
        # A JPEG that is far larger than needed is decoded at a half, quarter or eighth of its size.
        image.draft(None, (2 * size, 2 * size))
        upright = ImageOps.exif_transpose(image)
        shallow, lost_values = _to_8_bits(upright, stored)
        opaque = _on_white(shallow)
        flat = opaque.convert("RGB" if channels == 3 else "L")
        losses = [
            lost_values,
            loss_of_transparency(shallow, opaque) if shallow.has_transparency_data else None,
            loss_of_shape(width, height, size),
            loss_of_frames(image),
        ]
    side = min(flat.size)
    left, top = (flat.width - side) // 2, (flat.height - side) // 2  # like `dino.images.center_square`
    square = flat.resize((size, size), Image.Resampling.LANCZOS, box=(left, top, left + side, top + side))
    pixels = torch.from_numpy(np.array(square))
    pixels = pixels.unsqueeze(0) if channels == 1 else pixels.permute(2, 0, 1).contiguous()
    return DecodedImage(pixels, [loss for loss in losses if loss])


def _reason(encoded: bytes) -> str:
    """Return why bytes can't be read as an image: what they are instead, and what to do."""
    kind = file_kind(encoded[:N_BYTES])
    if kind is None:
        return "not an image"
    if kind == HEIC:
        return "HEIC can't be read, save it as a JPEG"
    what = f"{kind.name} that can't be read" if kind.is_image else kind.name
    return f"{what}, {kind.advice or 'not an image'}" if kind.advice or not kind.is_image else what


def _stored(image: "Image") -> str:
    """Return how the file of an image stores its pixels, in Pillow's words: "RGB", "RGB;16B" and so on."""
    tile = getattr(image, "tile", None)
    return str(tile[0][3]) if tile else ""


def _to_8_bits(image: "Image", stored: str) -> "tuple[Image, Loss | None]":
    """Scale an image with 16 or 32 bits a pixel to the usual 8. Pillow would clip every value above 255.

    Args:
        image: of any kind. Pillow has already reduced colored ones to 8 bits a channel.
        stored: how its file stores the pixels.

    Returns:
        The image with 8 bits a channel, and what was lost.
    """
    import numpy as np
    from PIL import Image

    if image.mode not in ("F", "I") and not image.mode.startswith("I;16"):
        return image, loss_of_depth(image) if ";16" in stored else None
    numbers = np.array(image).astype(np.float64)
    white = 4095.0 if ";12" in stored else 65535.0
    if image.mode == "F":  # floats are either in 0 to 1 or in 0 to 255
        white = 1.0 if np.max(numbers, initial=0, where=np.isfinite(numbers)) <= 1 else 255.0
    values = np.nan_to_num(numbers)
    values[values == image.info.get("transparency")] = white  # the value that stands for transparent, if there is one
    eight_bits = (values / white * 255).round().clip(0, 255).astype(np.uint8)
    return Image.fromarray(eight_bits), loss_of_values(numbers, white)


def _on_white(image: "Image") -> "Image":
    """Put an image with transparent pixels on a white background."""
    from PIL import Image

    if not image.has_transparency_data:
        return image
    image = image.convert("RGBA")
    return Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
