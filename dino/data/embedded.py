"""The embedded set of images: emoji, chosen by group, subgroup or style. NOTICE.md has their licenses."""

from pathlib import Path

from ..common.errors import DinoError, printable
from .encoded_image import EncodedImage

EMBEDDED = Path(__file__).with_name("emoji.parquet")
OPTIONAL_GROUPS = ("symbols", "flags", "keycaps")  # left out unless asked for: signs and letters rather than drawings


def is_embedded(source: str) -> bool:
    """Return whether a source is the embedded set or a part of it."""
    return source == "emoji" or source.startswith("emoji:")


def embedded_images(source: str) -> list[EncodedImage]:
    """Return the embedded images that a source such as "emoji:animals,noto" chooses.

    Terms of one column (group, subgroup or style) add up; terms of different columns narrow each other down.

    Raises:
        DinoError: if a term is unknown, or no emoji fits all of the terms.
    """
    import pyarrow.parquet as parquet

    terms = source.partition(":")[2]
    # Not `read_table`, which would import two seconds' worth of other modules.
    rows = parquet.ParquetFile(EMBEDDED).read().to_pylist()
    wanted: dict[str, set[str]] = {}
    for term in filter(None, map(str.strip, terms.split(","))):
        if term == "all":
            wanted.setdefault("group", set()).update(row["group"] for row in rows)
            continue
        column = next((c for c in ("group", "subgroup", "style") if any(row[c] == term for row in rows)), None)
        if column is None:
            known = {c: ", ".join(sorted({row[c] for row in rows})) for c in ("group", "style")}
            raise DinoError(
                f"no emoji are called '{printable(term, 80)}'. Groups: {known['group']}; styles: {known['style']}"
            )
        wanted.setdefault(column, set()).add(term)
    if not wanted.keys() & {"group", "subgroup"}:
        wanted["group"] = {row["group"] for row in rows} - set(OPTIONAL_GROUPS)
    chosen = [row for row in rows if all(row[column] in values for column, values in wanted.items())]
    if not chosen:
        raise DinoError(f"no emoji are in all of {printable(terms)}. Name fewer groups, subgroups or styles")
    return [EncodedImage.from_bytes(f"{row['name']} ({row['style']})", row["image"]["bytes"]) for row in chosen]
