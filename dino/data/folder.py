"""Folders of image files.

Words come from `metadata.jsonl` or `metadata.csv`, which name the files and describe them, as in Hugging Face's image
folders. Without such a file, they are the names of the folders in which the images lie.
"""

import csv
import json
from pathlib import Path
from typing import Any

from ..common.errors import DinoError, first_line, printable
from .encoded_image import EncodedImage
from .parquet import parquet_images
from .words import split_words, words_of_row

NOT_IMAGES = {".pdf", ".ps", ".eps", ".h5", ".hdf", ".mpg", ".mpeg"}  # Pillow lists these endings, but can't use them
HEIC = {".heic", ".heif"}  # phones save these, and Pillow can't read them: they are found so that they are reported
METADATA = ("metadata.jsonl", "metadata.csv")
SPLITS = {"train", "training", "test", "testing", "val", "valid", "validation"}  # folders that say nothing about images


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
    described = {name: words for path in paths if path.name in METADATA for name, words in _described(path).items()}
    images = [
        EncodedImage(
            str(p.relative_to(folder)), p.read_bytes, described.get(p, ()) if described else _folder_words(p, folder)
        )
        for p in paths
        if p.suffix.lower() in endings
    ]
    tables = [p for p in paths if p.suffix.lower() == ".parquet"]
    if not images and not tables:
        raise DinoError(
            f"there are no images in the folder {printable(str(folder))} (looked for .png, .jpg, .webp and others)"
        )
    return images or [image for table in tables for image in parquet_images(table)]


def _folder_words(path: Path, folder: Path) -> tuple[str, ...]:
    """Return the words in the names of the folders between `folder` and an image."""
    parts = [part for part in path.relative_to(folder).parts[:-1] if part.lower() not in SPLITS]
    return tuple(dict.fromkeys(word for part in parts for word in split_words(part)))


def _described(path: Path) -> dict[Path, tuple[str, ...]]:
    """Return the words of each image that a metadata file describes.

    Raises:
        DinoError: if the file can't be read, or its rows don't name files.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
        if path.suffix == ".csv":
            rows: list[Any] = list(csv.DictReader(text.splitlines()))
        else:
            rows = [json.loads(line) for line in text.splitlines() if line.strip()]
        return {path.parent / row["file_name"]: words_of_row(row) for row in rows}
    except (OSError, ValueError, KeyError, TypeError, csv.Error) as error:
        reason = "a row has no file_name" if isinstance(error, KeyError) else first_line(error)
        raise DinoError(f"{printable(str(path))} doesn't describe images: {printable(reason)}") from error


def image_endings() -> set[str]:
    """Return how the names of image files end, in lower case: ".png", ".jpg" and so on."""
    from PIL import Image

    Image.init()
    return (Image.EXTENSION.keys() | HEIC) - NOT_IMAGES
