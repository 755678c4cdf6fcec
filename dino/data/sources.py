"""Where pictures come from: the embedded emoji, folders, Parquet files, Hugging Face data sets.

All that is found here is names and encoded bytes; `images.py` decodes them. Nothing here needs torch, so that a source
that can't be had is told at once.
"""

import re
from collections.abc import Callable
from pathlib import Path

from ..common.errors import DinoError, first_line, printable
from .encoded_image import EncodedImage
from .hub import dataset_images, download, must_work_offline

NOT_PICTURES = {".pdf", ".ps", ".eps", ".h5", ".hdf", ".mpg", ".mpeg"}  # Pillow knows these endings, to no use here


FROM_PHONES = {".heic", ".heif"}  # Pillow can't read these, and whoever has them wants to be told


EMBEDDED = Path(__file__).parent / "emoji.parquet"


LEFT_OUT_GROUPS = ("symbols", "flags", "keycaps")  # of the emoji, unless asked for: signs and letters, not drawings


def _on_disk(source: str) -> Path | None:
    """The path that a source names, if there is anything."""
    try:
        path = Path(source).expanduser()
        return path if path.exists() else None
    except (OSError, RuntimeError):  # longer than any name, behind a locked folder, or of a user who isn't here (~x)
        return None


def absolute(source: str | None) -> str | None:
    """The source as it can be found from any working directory: paths that exist become absolute, the rest stays."""
    path = _on_disk(source) if source and not source.startswith("emoji") else None
    return str(path.resolve()) if path else source


def check(source: str) -> None:
    """Find out early, before torch is imported, if a source needs a network that isn't there.

    Raises:
        DinoError: it does.
    """
    if not source.startswith("emoji") and not _on_disk(source) and _is_hub_name(source):
        must_work_offline(source)


def find_images(source: str, split: str) -> list[EncodedImage]:
    """The pictures of a source, as `load_images` describes them, in an order that stays. `split` is of a data set.

    Raises:
        DinoError: there is no such source, it can't be read or downloaded, or there are no pictures in it.
    """
    if source == "emoji" or source.startswith("emoji:"):
        return _emoji(source.partition(":")[2])
    path = _on_disk(source)
    if path and path.is_dir():
        return _folder(path)
    if path and path.is_file() and path.suffix == ".parquet":
        return _parquet(path)
    if path and path.is_file():
        raise DinoError(f"{printable(source)} is a single file. Give a folder of pictures or a .parquet file")
    if not _is_hub_name(source):
        raise DinoError(
            f"there is no folder or file {printable(source)}. Check the path, or use the embedded set: --data emoji"
        )
    return dataset_images(download(source, split))


def _is_hub_name(source: str) -> bool:
    """Whether a source that is no path here could be the name of a data set, such as owner/name."""
    is_name = re.fullmatch(r"([\w-][\w.-]{0,95}/)?[\w-][\w.-]{0,95}", source, re.ASCII)
    return bool(is_name) and not Path(source).suffix[1:].isalpha()


def _emoji(terms: str) -> list[EncodedImage]:
    """The embedded set. Terms are groups, subgroups or styles; different kinds of them narrow each other down."""
    import pyarrow.parquet as parquet

    rows = parquet.ParquetFile(EMBEDDED).read().to_pylist()  # read_table would import two seconds' worth of more
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
        wanted["group"] = {row["group"] for row in rows} - set(LEFT_OUT_GROUPS)
    chosen = [row for row in rows if all(row[column] in values for column, values in wanted.items())]
    if not chosen:
        raise DinoError(f"no emoji are in all of {printable(terms)}. Name fewer groups, subgroups or styles")
    return [EncodedImage(f"{row['name']} ({row['style']})", _constant(row["image"]["bytes"])) for row in chosen]


def _folder(folder: Path) -> list[EncodedImage]:
    from PIL import Image

    Image.init()
    found = sorted(p for p in folder.rglob("*") if p.is_file() or not p.exists())  # a broken link is to be named
    paths = [p for p in found if not any(part.startswith(".") for part in p.relative_to(folder).parts)]
    pictures = [p for p in paths if p.suffix.lower() in (Image.EXTENSION.keys() | FROM_PHONES) - NOT_PICTURES]
    if not pictures:
        tables = [p for p in paths if p.suffix == ".parquet"]
        if not tables:
            raise DinoError(
                f"there are no pictures in the folder {printable(str(folder))} (looked for .png, .jpg, .webp and the like)"
            )
        return [picture for table in tables for picture in _parquet(table)]
    return [EncodedImage(str(p.relative_to(folder)), p.read_bytes) for p in pictures]


def _parquet(path: Path) -> list[EncodedImage]:
    """The first column that holds pictures: their encoded bytes, as Hugging Face lays them out or else bare."""
    import pyarrow
    import pyarrow.parquet as parquet

    def is_bytes(kind: pyarrow.DataType) -> bool:
        return pyarrow.types.is_binary(kind) or pyarrow.types.is_large_binary(kind)

    def is_nested(kind: pyarrow.DataType) -> bool:
        return pyarrow.types.is_struct(kind) and any(f.name == "bytes" and is_bytes(f.type) for f in kind)

    try:
        with parquet.ParquetFile(path) as file:
            schema = file.schema_arrow
            columns = [f.name for f in schema if is_nested(f.type)] + [f.name for f in schema if is_bytes(f.type)]
            if not columns:
                raise DinoError(f"{path} has no column of pictures, only {printable(', '.join(schema.names))}")
            cells = file.read(columns=columns[:1])[columns[0]].to_pylist()
    except (pyarrow.ArrowException, OSError, KeyError, ValueError) as error:  # the latter two where names come twice
        raise DinoError(f"{path} is no readable Parquet file: {printable(first_line(error))}") from error
    blobs = [cell["bytes"] if isinstance(cell, dict) else cell for cell in cells]
    return [EncodedImage(f"{path.name} row {i}", _constant(blob or b"")) for i, blob in enumerate(blobs)]


def _constant(blob: bytes) -> Callable[[], bytes]:
    return lambda: blob
