"""Folders of image files."""

from pathlib import Path

from ..common.errors import DinoError, printable
from .encoded_image import EncodedImage
from .parquet import parquet_images

NOT_IMAGES = {".pdf", ".ps", ".eps", ".h5", ".hdf", ".mpg", ".mpeg"}  # Pillow lists these endings, but can't use them
HEIC = {".heic", ".heif"}  # phones save these, and Pillow can't read them: they are found so that they are reported


def folder_images(folder: Path) -> list[EncodedImage]:
    """Return the image files of a folder and the folders in it, sorted by path, without hidden ones.

    A folder without image files may hold Parquet files instead.

    Raises:
        DinoError: if there are neither image files nor Parquet files in it, or a Parquet file can't be read.
    """
    # A broken link is kept, so that it is reported as an image that can't be read.
    found = sorted(p for p in folder.rglob("*") if p.is_file() or not p.exists())
    paths = [p for p in found if not any(part.startswith(".") for part in p.relative_to(folder).parts)]
    endings = image_endings()
    images = [EncodedImage(str(p.relative_to(folder)), p.read_bytes) for p in paths if p.suffix.lower() in endings]
    tables = [p for p in paths if p.suffix.lower() == ".parquet"]
    if not images and not tables:
        raise DinoError(
            f"there are no images in the folder {printable(str(folder))} (looked for .png, .jpg, .webp and others)"
        )
    return images or [image for table in tables for image in parquet_images(table)]


def image_endings() -> set[str]:
    """Return how the names of image files end, in lower case: ".png", ".jpg" and so on."""
    from PIL import Image

    Image.init()
    return (Image.EXTENSION.keys() | HEIC) - NOT_IMAGES
