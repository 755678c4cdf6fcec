"""The cache of decoded images: one file for each set of images, size and number of channels."""

import hashlib
import json
import os
import warnings
from pathlib import Path

from ..common.atomic_file import replacing
from ..common.errors import DinoError, DinoWarning, first_line
from .decoding import Decoded
from .encoded_image import EncodedImage

CACHE_FORMAT = 3  # raise it when decoding changes, so that images in older caches are decoded again


def cache_folder() -> Path:
    """Return the folder of the cache: $DINO_CACHE, or dino-diffusion in the user's cache folder. Safe to delete."""
    if os.environ.get("DINO_CACHE"):
        return Path(os.environ["DINO_CACHE"]).expanduser()
    return Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "dino-diffusion"


def cache_file(encoded_images: list[EncodedImage], size: int, channels: int) -> Path:
    """Return the cache's file for these images.

    A hash of everything that determines the decoded bytes is its name, so a changed image never meets an old cache.
    """
    import PIL

    digest = hashlib.sha256(repr((CACHE_FORMAT, PIL.__version__, size, channels)).encode())
    for image in encoded_images:
        try:
            encoded = image.read()
        except OSError:
            encoded = b"unreadable"
        digest.update(f"{image.name!r} {len(encoded)}\0".encode())  # !r: a file's name need not be valid unicode
        digest.update(encoded)
    return cache_folder() / f"{digest.hexdigest()[:32]}.safetensors"


def read_cache(path: Path) -> Decoded | None:
    """Return what `write_cache` wrote to a file, or None if the file is missing or damaged."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="pt") as file:
            skipped = (file.metadata() or {}).get("skipped", "[]")
            images, held_out, kept = (file.get_tensor(name) for name in ("images", "held_out", "kept"))
            return Decoded(images, held_out, json.loads(skipped), kept)
    except (OSError, SafetensorError, ValueError):
        return None


def write_cache(path: Path, decoded: Decoded) -> None:
    """Write decoded images to a file of the cache.

    Warns:
        DinoWarning: if the file can't be written.
    """
    from safetensors import SafetensorError
    from safetensors.torch import save_file

    try:
        with replacing(path) as temporary:
            tensors = {"images": decoded.images, "held_out": decoded.held_out, "kept": decoded.kept}
            save_file(tensors, temporary, metadata={"skipped": json.dumps(decoded.skipped)})
    except (DinoError, OSError, SafetensorError) as error:
        # The level of the line that called `load_images`.
        warnings.warn(DinoWarning(f"the decoded images were not cached: {first_line(error)}"), stacklevel=4)
