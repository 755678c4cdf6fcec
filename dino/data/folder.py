"""Folders of image files.

Words come from `metadata.jsonl` or `metadata.csv`, which name the files and describe them, as in Hugging Face's image
folders. Without such a file, they are the names of the folders in which the images lie.
"""

import csv
import json
from collections import Counter
from pathlib import Path
from typing import Any

from ..common.errors import DinoError, first_line, printable
from ..common.file_kinds import LFS_POINTER, kind_of
from .encoded_image import EncodedImage, Found, counted
from .parquet import n_images, parquet_images
from .splits import ALL, SPLITS, chosen_splits, find_splits
from .words import split_words, words_of_row

NOT_IMAGES = {".pdf", ".ps", ".eps", ".h5", ".hdf", ".mpg", ".mpeg"}  # Pillow lists these endings, but can't use them
HEIC = {".heic", ".heif"}  # phones save these, and Pillow can't read them: they are found so that they are reported
ARCHIVES = {".zip", ".tar", ".gz", ".tgz", ".bz2", ".tbz", ".xz", ".txz", ".zst", ".7z", ".rar"}
METADATA = ("metadata.jsonl", "metadata.csv")


def folder_images(folder: Path, split: str) -> Found:
    """Return the image files of a folder and the folders in it, sorted by path, without hidden ones.

    Links to files and folders are followed. If there are Parquet files with more images than there are image files,
    those of the Parquet files are returned instead. Of a folder that is laid out in splits, one split is returned.

    Args:
        folder: the folder.
        split: which split, such as "train", "val", "train+test" or "all".

    Raises:
        DinoError: if there are neither image files nor Parquet files in it, or a Parquet file can't be read, or there
            is no such split.
    """
    passed_over = Counter[str]()
    files = sorted(_files(folder, passed_over))
    visible = [path for path in files if not _is_hidden(path, folder)]
    endings = image_endings()
    images = [path for path in visible if path.suffix.lower() in endings and not _is_special(path)]
    tables = [path for path in visible if path.suffix.lower() == ".parquet" and not _is_special(path)]
    taken = {*images, *tables, *(path for path in visible if path.name in METADATA)}
    passed_over.update(what for path in files if path not in taken and (what := _kind(path, folder, endings)))
    if not images and not tables:
        raise DinoError(
            f"there are no images in the folder {printable(str(folder))} (looked for .png, .jpg, .webp and others)"
            + (f", only {counted(passed_over)}" if passed_over else "")
        )
    images, images_have_splits = _of_split(images, folder, split, passed_over)
    tables, tables_have_splits = _of_split(tables, folder, split, passed_over)
    if len(tables) > 1 or (tables and images):
        images, tables = _with_most_images(images, tables, passed_over)
    if images:
        return Found(_encoded(images, visible, folder), passed_over, images_have_splits)
    found = [parquet_images(table) for table in tables]
    for each in found:
        passed_over.update(each.passed_over)
    return Found([image for each in found for image in each.images], passed_over, tables_have_splits)


# ---- the files ------------------------------------------------------------------------------------------------------


def _files(folder: Path, passed_over: Counter[str]) -> list[Path]:
    """Return the files in a folder and in all folders below, with hidden ones and broken links.

    Links to folders are followed after all other folders, and no folder is entered twice. So links that lead in circles
    do no harm, and a folder that lies here and is linked to has its own name.
    """
    files, folders, links, entered = list[Path](), [folder], list[Path](), set[Path]()
    while folders or links:
        here = folders.pop() if folders else links.pop(0)
        try:
            if (real := here.resolve()) in entered:
                if here.is_symlink():
                    passed_over["links to folders that are loaded already"] += 1
                continue
            entered.add(real)
            for path in sorted(here.iterdir()):
                if _is_folder(path):
                    (links if path.is_symlink() else folders).append(path)
                else:
                    files.append(path)
        except OSError:
            passed_over["folders that can't be opened"] += 1
    return files


def _is_folder(path: Path) -> bool:
    try:
        return path.is_dir()
    except OSError:  # behind a locked folder
        return False


def _is_special(path: Path) -> bool:
    """Return whether a path is a device or a pipe, from which reading could take forever. A broken link isn't."""
    try:
        return path.exists() and not path.is_file()
    except OSError:
        return False


def _is_hidden(path: Path, folder: Path) -> bool:
    return any(part.startswith(".") for part in path.relative_to(folder).parts)


def _kind(path: Path, folder: Path, endings: set[str]) -> str:
    """Return what a file is that is passed over, in the plural. "" for hidden files that are no images anyway."""
    ending = path.suffix.lower()
    if _is_hidden(path, folder):
        is_image = ending in {*endings, ".parquet"} and not path.name.startswith("._")  # which macOS writes
        return f"hidden {ending} files" if is_image else ""
    if _is_special(path):
        return "devices and pipes"
    if path.is_symlink() and not path.exists():
        return "broken links"
    if ending in ARCHIVES:
        return f"{ending} archives, which you need to unpack"
    if ending == ".arrow":
        return f"{ending} files, which you need to save as Parquet files"
    return f"{ending} files" if ending else "files without an ending"


def image_endings() -> set[str]:
    """Return how the names of image files end, in lower case: ".png", ".jpg" and so on."""
    from PIL import Image

    Image.init()
    return (Image.EXTENSION.keys() | HEIC) - NOT_IMAGES


# ---- which of the files are loaded ----------------------------------------------------------------------------------


def _of_split(files: list[Path], folder: Path, wanted: str, passed_over: Counter[str]) -> tuple[list[Path], bool]:
    """Return the files of a split, and whether there are splits. Without splits, all files are returned.

    Raises:
        DinoError: if there are splits, but not this one.
    """
    splits = find_splits([path.relative_to(folder) for path in files], wanted)
    if not splits or wanted == ALL:
        return files, bool(splits)
    chosen = chosen_splits(wanted, set(splits.values()), str(folder))
    kept = [path for path in files if splits.get(path.relative_to(folder)) in chosen]
    for path in set(files) - set(kept):
        kind = "Parquet files" if path.suffix.lower() == ".parquet" else "images"
        split = splits.get(path.relative_to(folder))
        passed_over[f"{kind} of the split {split}" if split else f"{kind} outside of the splits"] += 1
    return kept, True


def _with_most_images(
    images: list[Path], tables: list[Path], passed_over: Counter[str]
) -> tuple[list[Path], list[Path]]:
    """Return image files and no tables, or the other way around: whichever hold more images.

    Raises:
        DinoError: if it can't be known how many images the Parquet files hold, because one can't be read.
    """
    rows = {table: _n_images(table, bool(images)) for table in tables}
    total = sum(rows.values())
    if not images and not total:
        return images, tables
    if empty := sum(not n for n in rows.values()):
        passed_over["Parquet files without images"] += empty
    if total > len(images):
        if images:
            passed_over["image files beside the Parquet files"] += len(images)
        return [], [table for table in tables if rows[table]]
    if total:
        passed_over["images in Parquet files"] += total
    return images, []


def _n_images(table: Path, is_among_images: bool) -> int:
    """Return how many images a Parquet file holds.

    Raises:
        DinoError: if it can't be read. Among image files, that matters only if it is a Git LFS pointer.
    """
    try:
        return n_images(table)
    except DinoError:
        if is_among_images and kind_of(table) != LFS_POINTER:
            return 0
        raise


# ---- words ----------------------------------------------------------------------------------------------------------


def _encoded(images: list[Path], files: list[Path], folder: Path) -> list[EncodedImage]:
    """Return image files with their names and words. The metadata may be in any of the folder's files."""
    described = {name: words for path in files if path.name in METADATA for name, words in _described(path).items()}
    return [
        EncodedImage(
            str(p.relative_to(folder)), p.read_bytes, described.get(p, ()) if described else _folder_words(p, folder)
        )
        for p in images
    ]


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
