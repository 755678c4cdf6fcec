"""Splits of a folder: `train`, `validation` and `test`, laid out as in Hugging Face's image folders.

The splits are folders, such as train/ and val/, or Parquet files, such as data/train-00000-of-00002.parquet.
"""

import re
from collections import defaultdict
from collections.abc import Collection
from pathlib import Path

from ..common.errors import DinoError, printable

TRAIN, ALL = "train", "all"
# Names of folders and beginnings of names of Parquet files, each with its split. They say nothing about images.
SPLITS = {
    "train": TRAIN, "training": TRAIN,
    "validation": "validation", "valid": "validation", "val": "validation", "dev": "validation",
    "test": "test", "testing": "test", "eval": "test", "evaluation": "test",
}  # fmt: skip
BEGINNING = re.compile(rf"({'|'.join(SPLITS)})(?![a-z])")


def find_splits(paths: Collection[Path], wanted: str) -> dict[Path, str]:
    """Return the split of each file that is in one, or {} if the files aren't laid out in splits.

    They are if most of them are in folders (or Parquet files) that are named like splits, and `train` has another split
    beside it. A folder `train` alone may hold pictures of trains. A split that is asked for needs no other one.

    Args:
        paths: of files, relative to the source.
        wanted: the split that is asked for.
    """
    found = {path: place for path in paths if (place := _place(path))}
    beside = defaultdict[tuple[str, ...], set[str]](set)
    for parent, split in found.values():
        beside[parent].add(split)
    asked_for = set(_names(wanted)) - {TRAIN}
    laid_out = any((TRAIN in splits and len(splits) > 1) or splits & asked_for for splits in beside.values())
    if not laid_out or 2 * len(found) <= len(paths):
        return {}
    return {path: split for path, (_, split) in found.items()}


def chosen_splits(wanted: str, available: set[str], source: str) -> set[str]:
    """Return the splits that a text such as "train", "val" or "train+test" asks for.

    Raises:
        DinoError: if one of them isn't available.
    """
    names = set(_names(wanted))
    if missing := names - available:
        raise DinoError(
            f"{printable(source)} has no split {printable(', '.join(sorted(missing)), 80)}, only "
            f"{', '.join(sorted(available))}. Name one of these, several joined by +, or all",
            settings={"split": TRAIN if TRAIN in available else min(available)},
        )
    return names


def _names(wanted: str) -> list[str]:
    return [SPLITS.get(name.strip().lower(), name.strip()) for name in wanted.split("+")]


def _place(path: Path) -> tuple[tuple[str, ...], str] | None:
    """Return where a file's split lies and which one it is, or None if the file is in no split."""
    for depth, part in enumerate(path.parts[:-1]):
        if part.lower() in SPLITS:
            return path.parts[:depth], SPLITS[part.lower()]
    beginning = BEGINNING.match(path.stem.lower()) if path.suffix.lower() == ".parquet" else None
    return (path.parts[:-1], SPLITS[beginning[1]]) if beginning else None
