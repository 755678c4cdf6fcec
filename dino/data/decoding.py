"""Lesson 00: images. Where pictures come from, and how they become numbers.

On disk a picture is a file in one of many formats. Here it is decoded once, to a square of bytes (0 to 255), and all
the pictures together are one uint8 tensor (N, C, H, W) small enough to live on the GPU. Batches of floats in [0, 1] are
made from it as training asks for them.
"""

import hashlib
import io
import warnings
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, NamedTuple

import torch
from torch import Tensor

from ..common.errors import first_line
from .encoded_image import EncodedImage

if TYPE_CHECKING:  # these are imported where they are used: each costs every start of dino up to a second
    from PIL.Image import Image


MAX_PIXELS = 100_000_000  # a picture that claims more is a mistake or an attack, and is skipped before it is decoded


MAX_SIZE = 4096  # pixels a side


class Decoded(NamedTuple):
    """All pictures of a source that can be read, which of them are held out, and the names of those that can't."""

    images: Tensor  # uint8, (N, C, H, W)
    held_out: Tensor  # bool, (N,)
    skipped: list[str]


def decode_all(pictures: list[EncodedImage], size: int, channels: int) -> Decoded:
    from tqdm.auto import tqdm

    def attempt(picture: EncodedImage) -> tuple[Tensor, bool] | str:
        try:
            blob = picture.read()
            return _decode(blob, size, channels), _is_held_out(blob)
        except Exception as error:  # a broken file can make its decoder raise anything
            return f"{picture.name} ({first_line(error)})"

    with warnings.catch_warnings(), ThreadPoolExecutor() as threads:  # decoding releases Python's lock
        warnings.simplefilter("ignore")  # Pillow's name no file, and what matters is told of the skipped ones
        answers = list(
            tqdm(threads.map(attempt, pictures), "decoding", len(pictures), unit=" pictures", delay=1, leave=False)
        )
    read = [answer for answer in answers if not isinstance(answer, str)]
    none = torch.empty(0, channels, size, size, dtype=torch.uint8)
    return Decoded(
        torch.stack([image for image, _ in read]) if read else none,
        torch.tensor([is_held_out for _, is_held_out in read], dtype=torch.bool),
        [answer for answer in answers if isinstance(answer, str)],
    )


def _is_held_out(blob: bytes) -> bool:
    return int.from_bytes(hashlib.sha256(blob).digest()[:8]) % 10 == 0


def _decode(blob: bytes, size: int, channels: int) -> Tensor:
    import numpy as np
    from PIL import Image, ImageOps, UnidentifiedImageError

    if not blob:
        raise ValueError("empty")
    try:
        image = Image.open(io.BytesIO(blob))
    except UnidentifiedImageError:
        from_a_phone = blob[4:8] == b"ftyp" and blob[8:12] not in (b"avif", b"avis")  # as HEIC files begin
        raise ValueError("HEIC is not read here, make it a JPEG" if from_a_phone else "not a picture") from None
    with image:  # the first frame, where there are several
        if image.format == "EPS":
            raise ValueError("an EPS file is a program, and is not run")
        if image.width * image.height > MAX_PIXELS:
            raise ValueError(f"too large: {image.width} x {image.height}")
        image.draft(None, (2 * size, 2 * size))  # a JPEG far larger than needed is decoded at a half, quarter or eighth
        upright = ImageOps.exif_transpose(image)
        flat = _on_white(_eight_bits(upright)).convert("RGB" if channels == 3 else "L")
    side = min(flat.size)
    left, top = (flat.width - side) // 2, (flat.height - side) // 2  # as `center_square` does
    square = flat.resize((size, size), Image.Resampling.LANCZOS, box=(left, top, left + side, top + side))
    pixels = torch.from_numpy(np.array(square))
    return pixels.unsqueeze(0) if channels == 1 else pixels.permute(2, 0, 1).contiguous()


def _eight_bits(image: "Image") -> "Image":
    """Pictures with 16 or 32 bits a pixel, brought to the usual 8. Pillow would cut off all above 255."""
    import numpy as np
    from PIL import Image

    if image.mode not in ("F", "I") and not image.mode.startswith("I;16"):
        return image
    values = np.nan_to_num(np.array(image).astype(np.float64))
    top = 65535.0
    if image.mode == "F":  # floats are kept as 0 to 1 or as 0 to 255
        top = 1.0 if values.max(initial=0) <= 1 else 255.0
    values[values == image.info.get("transparency")] = top  # the value that stands for transparent, if there is one
    return Image.fromarray((values / top * 255).round().clip(0, 255).astype(np.uint8))


def _on_white(image: "Image") -> "Image":
    from PIL import Image

    if not image.has_transparency_data:
        return image
    image = image.convert("RGBA")
    return Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
