"""Decoding: encoded images of any format become square uint8 images of one size."""

import hashlib
import io
import warnings
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, NamedTuple

import torch
from torch import Tensor

from ..common.errors import first_line, is_out_of_memory
from .encoded_image import EncodedImage

if TYPE_CHECKING:  # imported where it is used, because it makes every start of dino slower
    from PIL.Image import Image

MAX_SIZE = 4096  # pixels a side, of a decoded image
MAX_PIXELS = 100_000_000  # an image that claims more is a mistake or an attack, and is skipped before it is decoded


class Decoded(NamedTuple):
    """All images of a source that can be read, and the names of those that can't."""

    images: Tensor  # uint8, (N, C, H, W)
    held_out: Tensor  # bool, (N,): which images are held out
    skipped: list[str]  # names, each with the reason
    kept: Tensor  # bool, one for each encoded image: which of them are among `images`


def decode_all(encoded_images: list[EncodedImage], size: int, channels: int) -> Decoded:
    """Decode images in parallel, with a progress bar if it takes longer than a second.

    Args:
        encoded_images: N of them, or more if some can't be read.
        size: side of the decoded images, in pixels.
        channels: 3 for color, 1 for gray.

    Raises:
        MemoryError, RuntimeError: if there is not enough memory.
    """
    from tqdm.auto import tqdm

    def attempt(image: EncodedImage) -> tuple[Tensor, bool] | str:
        try:
            encoded = image.read()
            return decode(encoded, size, channels), is_held_out(encoded)
        except Exception as error:  # a broken file can make its decoder raise anything
            if is_out_of_memory(error):
                raise  # nothing is wrong with the file
            return f"{image.name} ({first_line(error)})"

    with warnings.catch_warnings(), ThreadPoolExecutor() as threads:  # decoding releases Python's lock
        warnings.simplefilter("ignore")  # Pillow's name no file, and the skipped files are reported by the caller
        results = list(
            tqdm(
                threads.map(attempt, encoded_images),
                "decoding",
                len(encoded_images),
                unit=" images",
                delay=1,
                leave=False,
            )
        )
    decoded = [result for result in results if not isinstance(result, str)]
    none = torch.empty(0, channels, size, size, dtype=torch.uint8)
    return Decoded(
        torch.stack([image for image, _ in decoded]) if decoded else none,
        torch.tensor([held_out for _, held_out in decoded], dtype=torch.bool),
        [result for result in results if isinstance(result, str)],
        torch.tensor([not isinstance(result, str) for result in results], dtype=torch.bool),
    )


def is_held_out(encoded: bytes) -> bool:
    """Return whether an image is held out from training: about a tenth are, chosen by a hash of the file's bytes."""
    return int.from_bytes(hashlib.sha256(encoded).digest()[:8]) % 10 == 0


def decode(encoded: bytes, size: int, channels: int) -> Tensor:
    """Decode an image, and make it upright, opaque and square.

    The first frame of an animation counts. EXIF orientation is applied, transparency becomes white, and the middle
    square is resized.

    Args:
        encoded: the bytes of a file, in any format that Pillow reads, except EPS.
        size: side of the result, in pixels.
        channels: 3 for color, 1 for gray.

    Returns:
        uint8, (channels, size, size).

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
        is_heic = encoded[4:8] == b"ftyp" and encoded[8:12] not in (b"avif", b"avis")  # as phones save photographs
        raise ValueError("HEIC can't be read, save it as a JPEG" if is_heic else "not an image") from None
    with image:
        if image.format == "EPS":
            raise ValueError("an EPS file is a program, and is not run")
        if image.width * image.height > MAX_PIXELS:
            raise ValueError(f"too large: {image.width} x {image.height}")
        # A JPEG that is far larger than needed is decoded at a half, quarter or eighth of its size.
        image.draft(None, (2 * size, 2 * size))
        upright = ImageOps.exif_transpose(image)
        flat = _on_white(_to_8_bits(upright)).convert("RGB" if channels == 3 else "L")
    side = min(flat.size)
    left, top = (flat.width - side) // 2, (flat.height - side) // 2  # like `dino.images.center_square`
    square = flat.resize((size, size), Image.Resampling.LANCZOS, box=(left, top, left + side, top + side))
    pixels = torch.from_numpy(np.array(square))
    return pixels.unsqueeze(0) if channels == 1 else pixels.permute(2, 0, 1).contiguous()


def _to_8_bits(image: "Image") -> "Image":
    """Scale an image with 16 or 32 bits a pixel to the usual 8. Pillow would clip every value above 255."""
    import numpy as np
    from PIL import Image

    if image.mode not in ("F", "I") and not image.mode.startswith("I;16"):
        return image
    values = np.nan_to_num(np.array(image).astype(np.float64))
    white = 65535.0
    if image.mode == "F":  # floats are either in 0 to 1 or in 0 to 255
        white = 1.0 if values.max(initial=0) <= 1 else 255.0
    values[values == image.info.get("transparency")] = white  # the value that stands for transparent, if there is one
    return Image.fromarray((values / white * 255).round().clip(0, 255).astype(np.uint8))


def _on_white(image: "Image") -> "Image":
    """Put an image with transparent pixels on a white background."""
    from PIL import Image

    if not image.has_transparency_data:
        return image
    image = image.convert("RGBA")
    return Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
