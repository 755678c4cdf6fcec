"""Where pictures come from: the embedded emoji, folders, Parquet files, Hugging Face data sets.

All that is found here is names and encoded bytes; `images.py` decodes them. Nothing here needs torch, so that a source
that can't be had is told at once.
"""

import os
import re
import threading
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from .errors import DinoError, first_line, shown

if TYPE_CHECKING:  # imported where it is used: it costs up to three seconds
    import datasets

NOT_PICTURES = {".pdf", ".ps", ".eps", ".h5", ".hdf", ".mpg", ".mpeg"}  # Pillow knows these endings, to no use here
FROM_PHONES = {".heic", ".heif"}  # Pillow can't read these, and whoever has them wants to be told
EMBEDDED = Path(__file__).parent / "data" / "emoji.parquet"
LEFT_OUT_GROUPS = ("symbols", "flags", "keycaps")  # of the emoji, unless asked for: signs and letters, not drawings


class Picture(NamedTuple):
    """A picture not yet decoded."""

    name: str  # for messages
    read: Callable[[], bytes]  # gives the encoded bytes; raises OSError where they can't be had


def _on_disk(source: str) -> Path | None:
    """The path that a source names, if there is anything."""
    try:
        path = Path(source).expanduser()
        return path if path.exists() else None
    except (OSError, RuntimeError):  # longer than any name, behind a locked folder, or of a user who isn't here (~x)
        return None


def located(source: str | None) -> str | None:
    """The source as it can be found from any working directory: paths that exist become absolute, the rest stays."""
    path = _on_disk(source) if source and not source.startswith("emoji") else None
    return str(path.resolve()) if path else source


def check(source: str) -> None:
    """Find out early, before torch is imported, if a source needs a network that isn't there.

    Raises:
        DinoError: it does.
    """
    if not source.startswith("emoji") and not _on_disk(source) and _is_hub_name(source):
        _must_work_offline(source)


def find_pictures(source: str, split: str) -> list[Picture]:
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
        raise DinoError(f"{shown(source)} is a single file. Give a folder of pictures or a .parquet file")
    if not _is_hub_name(source):
        raise DinoError(
            f"there is no folder or file {shown(source)}. Check the path, or use the embedded set: --data emoji"
        )
    return _dataset(_download(source, split))


def _is_hub_name(source: str) -> bool:
    """Whether a source that is no path here could be the name of a data set, such as owner/name."""
    is_name = re.fullmatch(r"([\w-][\w.-]{0,95}/)?[\w-][\w.-]{0,95}", source, re.ASCII)
    return bool(is_name) and not Path(source).suffix[1:].isalpha()


def _emoji(terms: str) -> list[Picture]:
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
                f"no emoji are called '{shown(term, 80)}'. Groups: {known['group']}; styles: {known['style']}"
            )
        wanted.setdefault(column, set()).add(term)
    if not wanted.keys() & {"group", "subgroup"}:
        wanted["group"] = {row["group"] for row in rows} - set(LEFT_OUT_GROUPS)
    chosen = [row for row in rows if all(row[column] in values for column, values in wanted.items())]
    if not chosen:
        raise DinoError(f"no emoji are in all of {shown(terms)}. Name fewer groups, subgroups or styles")
    return [Picture(f"{row['name']} ({row['style']})", _constant(row["image"]["bytes"])) for row in chosen]


def _folder(folder: Path) -> list[Picture]:
    from PIL import Image

    Image.init()
    found = sorted(p for p in folder.rglob("*") if p.is_file() or not p.exists())  # a broken link is to be named
    paths = [p for p in found if not any(part.startswith(".") for part in p.relative_to(folder).parts)]
    pictures = [p for p in paths if p.suffix.lower() in (Image.EXTENSION.keys() | FROM_PHONES) - NOT_PICTURES]
    if not pictures:
        tables = [p for p in paths if p.suffix == ".parquet"]
        if not tables:
            raise DinoError(
                f"there are no pictures in the folder {shown(str(folder))} (looked for .png, .jpg, .webp and the like)"
            )
        return [picture for table in tables for picture in _parquet(table)]
    return [Picture(str(p.relative_to(folder)), p.read_bytes) for p in pictures]


def _parquet(path: Path) -> list[Picture]:
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
                raise DinoError(f"{path} has no column of pictures, only {shown(', '.join(schema.names))}")
            cells = file.read(columns=columns[:1])[columns[0]].to_pylist()
    except (pyarrow.ArrowException, OSError, KeyError, ValueError) as error:  # the latter two where names come twice
        raise DinoError(f"{path} is no readable Parquet file: {shown(first_line(error))}") from error
    blobs = [cell["bytes"] if isinstance(cell, dict) else cell for cell in cells]
    return [Picture(f"{path.name} row {i}", _constant(blob or b"")) for i, blob in enumerate(blobs)]


def _constant(blob: bytes) -> Callable[[], bytes]:
    return lambda: blob


# ---- Hugging Face data sets -----------------------------------------------------------------------------------------


def _download(name: str, split: str) -> "datasets.Dataset":
    """One split of a data set of the Hugging Face hub, from the local cache or downloaded."""
    import huggingface_hub.constants as hub

    was_offline = hub.HF_HUB_OFFLINE
    offline = _must_work_offline(name)
    import datasets
    from datasets.packaged_modules import _PACKAGED_DATASETS_MODULES as READERS  # csv, imagefolder and the like

    if name in READERS:  # these are no data sets: they would read whatever lies in the working directory
        raise DinoError(f"{name} is no data set, but a way to read one. Give a folder of pictures or a .parquet file")
    try:
        hub.HF_HUB_OFFLINE = offline  # or `datasets` would try for 23 seconds
        return datasets.load_dataset(name, split=split)
    except Exception as error:  # the library raises many kinds, most with long texts; the first line says what it is
        raise DinoError(
            f"could not load the data set {name}, split {shown(split)}: {shown(first_line(error))}"
        ) from error
    finally:
        hub.HF_HUB_OFFLINE = was_offline  # the network may be back at the next call


def _must_work_offline(name: str) -> bool:
    """Whether only the local cache can give this data set.

    Raises:
        DinoError: that hasn't got it either.
    """
    try:
        import huggingface_hub.constants as hub
    except ImportError as error:
        raise DinoError(f"data sets of the hub, such as {name}, need another package: pip install datasets") from error
    offline = hub.HF_HUB_OFFLINE or not _hub_answers(hub.ENDPOINT)
    if offline and not _is_downloaded(name, Path(hub.HF_HOME)):
        raise DinoError(
            f"there is no folder {name} here, and the data set {name} can't be downloaded without a network. "
            "Use the embedded pictures instead: --data emoji"
        )
    return offline


def _is_downloaded(name: str, home: Path) -> bool:
    """Whether `datasets` has (some of) this data set in its cache. It writes owner/CelebA as owner___celeb_a."""

    def plain(name: str) -> str:
        return name.replace("/", "").replace("_", "").lower()

    folder = Path(os.environ.get("HF_DATASETS_CACHE") or home / "datasets")
    return any(plain(entry.name) == plain(name) for entry in folder.glob("*"))


def _hub_answers(address: str) -> bool:
    """Whether the hub can be reached, found out in 1.5 seconds. In a thread, as name look-ups know no time limit."""
    from huggingface_hub import get_session

    answered = threading.Event()

    def ask() -> None:
        try:
            get_session().head(address, timeout=1.5)
            answered.set()
        except Exception:  # no network shows itself in a dozen ways; each means no
            return

    asking = threading.Thread(target=ask, daemon=True)
    asking.start()
    asking.join(1.5)
    return answered.is_set()


def _dataset(dataset: "datasets.Dataset") -> list[Picture]:
    """The pictures of a data set: its first column of type Image, still encoded."""
    import datasets

    columns = [name for name, kind in dataset.features.items() if isinstance(kind, datasets.Image)]
    if not columns:
        raise DinoError(f"this data set has no column of pictures, only {shown(', '.join(dataset.features))}")
    encoded = dataset.cast_column(columns[0], datasets.Image(decode=False)).select_columns(columns[:1])

    def reader(i: int) -> Callable[[], bytes]:
        def read() -> bytes:
            cell = encoded[i][columns[0]] or {}
            return cell.get("bytes") or (_downloaded(cell["path"]) if cell.get("path") else b"")

        return read

    return [Picture(f"row {i}", reader(i)) for i in range(len(encoded))]


def _downloaded(path: str) -> bytes:
    """A file of a data set. Its maker wrote the path, so it counts only among what was downloaded.

    Raises:
        OSError: it lies elsewhere, or can't be read.
    """
    import huggingface_hub.constants as hub
    from datasets import config

    caches = (hub.HF_HUB_CACHE, config.HF_DATASETS_CACHE, config.DOWNLOADED_DATASETS_PATH)
    if not any(Path(path).resolve().is_relative_to(Path(cache).resolve()) for cache in caches):
        raise OSError("it is not in the data set")
    return Path(path).read_bytes()
