"""The embedded sets of images: dinosaurs and emoji, whole or in part. NOTICE.md has their licenses."""

from pathlib import Path
from typing import Any, NamedTuple

from ..common.errors import DinoError, printable
from .encoded_image import EncodedImage
from .words import split_words

FOLDER = Path(__file__).parent


class EmbeddedSet(NamedTuple):
    """A set of images that comes with dino.

    Attributes:
        file: a Parquet file with a column `image`, and columns of text.
        columns: the columns that terms choose by. A term is looked for in them in this order.
        listed: the columns whose values an error message lists, each with a heading.
        words: the columns whose words belong to an image.
        optional: values of the first column that are left out unless they are asked for.
    """

    file: Path
    columns: tuple[str, ...]
    listed: dict[str, str]
    words: tuple[str, ...]
    optional: frozenset[str] = frozenset()


SETS = {
    "dinos": EmbeddedSet(
        file=FOLDER / "dinos.parquet",
        columns=("kind", "color", "pattern", "mood", "facing", "accessory"),
        listed={"kind": "Kinds", "color": "colors", "pattern": "patterns", "mood": "moods", "accessory": "accessories"},
        words=("kind", "color", "pattern", "mood", "facing", "accessory"),
    ),
    "emoji": EmbeddedSet(
        file=FOLDER / "emoji.parquet",
        columns=("group", "subgroup", "style"),
        listed={"group": "Groups", "style": "styles"},
        words=("group", "style", "name"),
        optional=frozenset({"symbols", "flags", "keycaps"}),  # signs and letters rather than drawings
    ),
}
DEFAULT = "dinos"


def is_embedded(source: str) -> bool:
    """Return whether a source is an embedded set or a part of one."""
    return source.partition(":")[0] in SETS


def embedded_images(source: str) -> list[EncodedImage]:
    """Return the embedded images that a source such as "dinos:1000" or "emoji:animals,noto" chooses.

    Terms of one column add up; terms of different columns narrow each other down. A number keeps the first so many.

    Raises:
        DinoError: if a term is unknown, or no image fits all of the terms.
    """
    import pyarrow.parquet as parquet

    name, _, terms = source.partition(":")
    embedded = SETS[name]
    # Not `read_table`, which would import two seconds' worth of other modules.
    rows = parquet.ParquetFile(embedded.file).read().to_pylist()
    wanted, at_most = _wanted(name, rows, [term.strip() for term in terms.split(",") if term.strip()])
    chosen = [row for row in rows if all(row[column] in values for column, values in wanted.items())][:at_most]
    if not chosen:
        raise DinoError(f"no {name} are in all of {printable(terms)}. Name fewer of these terms")
    return [_encoded_image(embedded, row) for row in chosen]


def _wanted(name: str, rows: list[dict[str, Any]], terms: list[str]) -> tuple[dict[str, set[str]], int | None]:
    """Return the values that columns may have, and how many images to keep.

    Raises:
        DinoError: if a term is unknown.
    """
    embedded, wanted = SETS[name], dict[str, set[str]]()
    at_most = None
    values = {column: {row[column] for row in rows} for column in embedded.columns}
    first = embedded.columns[0]
    for term in terms:
        column = next((column for column in embedded.columns if term in values[column]), None)
        if term == "all":
            wanted.setdefault(first, set()).update(values[first])
        elif column:
            wanted.setdefault(column, set()).add(term)
        elif term.isascii() and term.isdecimal() and int(term) > 0:
            at_most = int(term)
        else:
            known = "; ".join(f"{label}: {', '.join(sorted(values[c] - {''}))}" for c, label in embedded.listed.items())
            raise DinoError(f"no {name} are called '{printable(term, 80)}'. {known}")
    if embedded.optional and not wanted.keys() & set(embedded.columns[:2]):
        wanted[first] = values[first] - embedded.optional
    return wanted, at_most


def _encoded_image(embedded: EmbeddedSet, row: dict[str, Any]) -> EncodedImage:
    words = dict.fromkeys(word for column in embedded.words for word in split_words(row[column]))
    name = f"{row['name']} ({row['style']})" if "name" in row else " ".join(words)
    return EncodedImage.from_bytes(name, row["image"]["bytes"], tuple(words))
