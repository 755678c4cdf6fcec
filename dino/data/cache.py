"""Lesson 00: images. Where pictures come from, and how they become numbers.

On disk a picture is a file in one of many formats. Here it is decoded once, to a square of bytes (0 to 255), and all
the pictures together are one uint8 tensor (N, C, H, W) small enough to live on the GPU. Batches of floats in [0, 1] are
made from it as training asks for them.
"""

import hashlib
import json
import os
import warnings
from pathlib import Path

from ..common.atomic_file import replacing
from ..common.errors import DinoError, DinoWarning, first_line
from .decoding import Decoded
from .encoded_image import EncodedImage

CACHE_FORMAT = 2  # raise it when decoding changes, so that older cached pictures are made anew


def cache_folder() -> Path:
    """Where decoded pictures are kept: $DINO_CACHE, or dino-diffusion in the user's cache folder. Safe to delete."""
    if os.environ.get("DINO_CACHE"):
        return Path(os.environ["DINO_CACHE"]).expanduser()
    return Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "dino-diffusion"


def cache_file(pictures: list[EncodedImage], size: int, channels: int) -> Path:
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


def read_cache(path: Path) -> Decoded | None:
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="pt") as file:
            skipped = (file.metadata() or {}).get("skipped", "[]")
            return Decoded(file.get_tensor("images"), file.get_tensor("held_out"), json.loads(skipped))
    except (OSError, SafetensorError, ValueError):
        return None  # not there, or damaged: it is made again


def write_cache(path: Path, decoded: Decoded) -> None:
    from safetensors import SafetensorError
    from safetensors.torch import save_file

    try:
        with replacing(path) as temporary:
            tensors = {"images": decoded.images, "held_out": decoded.held_out}
            save_file(tensors, temporary, metadata={"skipped": json.dumps(decoded.skipped)})
    except (DinoError, OSError, SafetensorError) as error:
        warnings.warn(f"the decoded pictures were not cached: {first_line(error)}", DinoWarning, stacklevel=3)
