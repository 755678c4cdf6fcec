"""Lesson 00: images. Where pictures come from, and how they become numbers.

On disk a picture is a file in one of many formats. Here it is decoded once, to a square of bytes (0 to 255), and all
the pictures together are one uint8 tensor (N, C, H, W) small enough to live on the GPU. Batches of floats in [0, 1] are
made from it as training asks for them.
"""

import hashlib
import io
import json
import os
import warnings
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Literal, NamedTuple

import torch
from torch import Tensor

from .errors import DinoError, DinoWarning, first_line, shown
from .files import replacing
from .sources import Picture, find_pictures

if TYPE_CHECKING:  # these are imported where they are used: each costs every start of dino up to a second
    from PIL.Image import Image


# ---- from bytes to floats: the exercises of the lesson --------------------------------------------------------------


def to_unit(images_uint8: Tensor) -> Tensor:
    """Bytes in 0..255 become float32 in [0, 1]. Any shape."""
    return images_uint8.to(torch.float32) / 255


def center_square(image: Tensor) -> Tensor:
    """The middle of a picture: (C, H, W) -> (C, S, S) with S = min(H, W). An odd leftover pixel goes right or below."""
    height, width = image.shape[-2:]
    side = min(height, width)
    top, left = (height - side) // 2, (width - side) // 2
    return image[..., top : top + side, left : left + side]


def random_flip(images: Tensor, *, generator: torch.Generator | None = None) -> Tensor:
    """Mirror each image left-right with probability 1/2, each by a toss of its own. (N, C, H, W) -> the same.

    The generator must live on the device of `images`; without one it is torch's global one.
    """
    mirrored = torch.rand(len(images), 1, 1, 1, generator=generator, device=images.device) < 0.5
    return torch.where(mirrored, images.flip(-1), images)


# ---- batches --------------------------------------------------------------------------------------------------------


def batches(
    images_uint8: Tensor,
    batch_size: int,
    *,
    seed: int = 0,
    start: int = 0,
    to_unit: Callable[[Tensor], Tensor] = to_unit,
    random_flip: Callable[..., Tensor] = random_flip,
) -> Iterator[Tensor]:
    """Clean training batches without end: each picture once per pass, every pass in a new order, flipped at random.

    Batch number k depends on `seed` and k alone (an idea from the code of EDM2, Karras et al. 2024, arXiv:2312.02696),
    so a run that stops after k batches goes on with `start=k` as if nothing had happened.

    Args:
        images_uint8: all the pictures, (N, C, H, W), at least one, on the device where the batches are wanted.
        batch_size: may be larger than N; a batch then holds several passes.
        seed: decides order and flips.
        start: the number of the first batch, counted from 0.
        to_unit, random_flip: a learner's own may take the place of ours.

    Yields:
        float32 in [0, 1], shape (batch_size, C, H, W).
    """
    n = len(images_uint8)
    for k in count(start):
        first, last = k * batch_size, (k + 1) * batch_size
        passes = range(first // n, (last - 1) // n + 1)
        order = torch.cat([_order_of_pass(n, seed, number, images_uint8.device) for number in passes])
        chosen = order[first - passes[0] * n :][:batch_size]
        clean = to_unit(images_uint8[chosen])
        yield random_flip(clean, generator=seeded(clean.device, seed, "flips", k))


def seeded(device: torch.device | str, *key: int | str) -> torch.Generator:
    """A random number generator whose numbers depend on `key` alone, such as (seed, "noise", step)."""
    digest = hashlib.sha256(repr(key).encode()).digest()
    return torch.Generator(device).manual_seed(int.from_bytes(digest[:6], "little"))


@lru_cache(maxsize=2)
def _order_of_pass(n: int, seed: int, number: int, device: torch.device) -> Tensor:
    order = torch.randperm(n, generator=seeded("cpu", seed, "order", number))  # the same on all devices
    if device.type == "cuda":  # from pinned memory it goes over while the GPU works
        return order.pin_memory().to(device, non_blocking=True)
    return order.to(device)


# ---- loading --------------------------------------------------------------------------------------------------------

CACHE_FORMAT = 2  # raise it when decoding changes, so that older cached pictures are made anew
MAX_PIXELS = 100_000_000  # a picture that claims more is a mistake or an attack, and is skipped before it is decoded
MAX_SIZE = 4096  # pixels a side


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
        channels: 3 for colour, 1 for gray.
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
        raise DinoError(f"pictures have 3 channels (colour) or 1 (gray), not {channels}")
    if not 1 <= size <= MAX_SIZE:
        raise DinoError(f"the size of a picture is 1 to {MAX_SIZE} pixels, not {size}")
    if not str(source):
        raise DinoError("no pictures were named. Give a folder, or use the embedded set: --data emoji")
    pictures = find_pictures(str(source), split)
    cached = _cache_file(pictures, size, channels) if cache else None
    loaded = _read_cache(cached) if cached else None
    if loaded is None:
        loaded = _decode_all(pictures, size, channels)
        if cached and len(loaded.images):
            _write_cache(cached, loaded)
    images, held_out, skipped = loaded
    if not pictures:
        raise DinoError(f"there are no pictures in {shown(str(source))}: it has no rows")
    if skipped:
        names = ", ".join(shown(name, 100) for name in skipped[:5]) + (", ..." if len(skipped) > 5 else "")
        if not len(images):
            raise DinoError(f"none of the {len(skipped)} pictures of {shown(str(source))} could be read: {names}")
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


# ---- decoding -------------------------------------------------------------------------------------------------------


class Decoded(NamedTuple):
    """All pictures of a source that can be read, which of them are held out, and the names of those that can't."""

    images: Tensor  # uint8, (N, C, H, W)
    held_out: Tensor  # bool, (N,)
    skipped: list[str]


def _decode_all(pictures: list[Picture], size: int, channels: int) -> Decoded:
    from tqdm.auto import tqdm

    def attempt(picture: Picture) -> tuple[Tensor, bool] | str:
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


# ---- the cache ------------------------------------------------------------------------------------------------------


def cache_folder() -> Path:
    """Where decoded pictures are kept: $DINO_CACHE, or dino-diffusion in the user's cache folder. Safe to delete."""
    if os.environ.get("DINO_CACHE"):
        return Path(os.environ["DINO_CACHE"]).expanduser()
    return Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "dino-diffusion"


def _cache_file(pictures: list[Picture], size: int, channels: int) -> Path:
    """Named by all that decides the decoded bytes, so that a changed picture can never meet an old cache."""
    import PIL

    digest = hashlib.sha256(repr((CACHE_FORMAT, PIL.__version__, size, channels)).encode())
    for picture in pictures:
        try:
            blob = picture.read()
        except OSError:
            blob = b"unreadable"
        digest.update(f"{picture.name!r} {len(blob)}\0".encode())  # !r: a file's name need not be valid unicode
        digest.update(blob)
    return cache_folder() / f"{digest.hexdigest()[:32]}.safetensors"


def _read_cache(path: Path) -> Decoded | None:
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="pt") as file:
            skipped = (file.metadata() or {}).get("skipped", "[]")
            return Decoded(file.get_tensor("images"), file.get_tensor("held_out"), json.loads(skipped))
    except (OSError, SafetensorError, ValueError):
        return None  # not there, or damaged: it is made again


def _write_cache(path: Path, decoded: Decoded) -> None:
    from safetensors import SafetensorError
    from safetensors.torch import save_file

    try:
        with replacing(path) as temporary:
            tensors = {"images": decoded.images, "held_out": decoded.held_out}
            save_file(tensors, temporary, metadata={"skipped": json.dumps(decoded.skipped)})
    except (DinoError, OSError, SafetensorError) as error:
        warnings.warn(f"the decoded pictures were not cached: {first_line(error)}", DinoWarning, stacklevel=3)
