"""Parquet files with a column of encoded images."""

import json
import threading
from collections import deque
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from itertools import chain, islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..common.errors import DinoError, first_line, printable
from ..common.file_kinds import N_BYTES, PARQUET, file_kind, kind_of, sentence
from .encoded_image import EncodedImage, Found, looks_like_image
from .words import words_of_row

if TYPE_CHECKING:
    from pyarrow.parquet import ParquetFile

N_LOOKED_AT = 20  # cells of a column, to find out whether it holds images
BATCH_BYTES, MAX_ROWS = 2**22, 1024  # of a file that are read at once, about
MAX_BEHIND = 64  # rows that are kept for threads which are that far behind the fastest one
MAX_SKIPPED = 10_000  # rows that are rather read than looked for


def parquet_images(path: Path) -> Found:
    """Return the images of a Parquet file, one for each row.

    The images are in the first column that holds images: as structs with a field "bytes", as Hugging Face lays them
    out, or else as bytes. They are read when they are asked for, fast in the order of the rows. Their words come from
    columns of text, and from columns of labels whose names are in the file's metadata, where Hugging Face writes them.

    Raises:
        DinoError: if the file can't be read, or has no column of images.
    """
    with _opened(path) as file:
        columns = _columns_of_bytes(file)
        if not columns:
            raise DinoError(f"{path} has no column of images, only {printable(', '.join(file.schema_arrow.names))}")
        with_images = [column for column in columns if _begins_with_image(file, column)]
        column, *others = with_images or columns
        if not with_images and file.metadata.num_rows and not any(map(looks_like_image, _blobs(file, column))):
            raise DinoError(f"{path} has no column of images: {_what_they_are(file, column)}")
        words = _read_words(file)
    cells = _Cells(path, column)
    images = [EncodedImage(f"{path.name} row {i}", partial(cells.read, i), words[i]) for i in range(len(words))]
    return Found(images, {f"images of the column {other}": len(images) for other in others if with_images})


def n_images(path: Path) -> int:
    """Return how many rows with an image a Parquet file has: all of them, or none.

    Raises:
        DinoError: if the file can't be read.
    """
    with _opened(path) as file:
        has_images = any(_begins_with_image(file, column) for column in _columns_of_bytes(file))
        return int(file.metadata.num_rows) if has_images else 0


class _Cells:
    """The bytes in a column, read a few rows at a time, so that a file of any size needs little memory.

    Args:
        path: of the file.
        column: its name.
    """

    def __init__(self, path: Path, column: str) -> None:
        self._path, self._column = path, column
        self._lock = threading.Lock()  # images are decoded in several threads
        self._recent = deque[tuple[int, list[bytes]]]()  # the first row, and the cells from there on
        self._batches: Iterator[list[bytes]] = iter(())
        self._next = 0  # the row after those that were read

    def read(self, row: int) -> bytes:
        """Return the bytes in a row.

        Raises:
            DinoError: if the file can't be read.
        """
        with self._lock:
            if not self._recent or not self._recent[0][0] <= row < self._next + MAX_SKIPPED:
                self._batches, self._next = self._from(row)
                self._recent.clear()
            while row >= self._next:
                cells = next(self._batches)
                self._recent.append((self._next, cells))
                self._next += len(cells)
                while self._next - self._recent[0][0] - len(self._recent[0][1]) > MAX_BEHIND:
                    self._recent.popleft()
            return next(cells[row - first] for first, cells in self._recent if first <= row < first + len(cells))

    def _from(self, row: int) -> tuple[Iterator[list[bytes]], int]:
        """Return the cells from a row's group on, in batches, and the first row of that group."""
        with _opened(self._path) as file:
            first, group = 0, 0
            while row >= first + file.metadata.row_group(group).num_rows:
                first += file.metadata.row_group(group).num_rows
                group += 1
        return self._read_from(group), first

    def _read_from(self, group: int) -> Iterator[list[bytes]]:
        with _opened(self._path) as file:
            for batch in _batches(file, self._column, range(group, file.num_row_groups)):
                yield list(map(_bytes, batch))


@contextmanager
def _opened(path: Path) -> "Iterator[ParquetFile]":
    """Open a Parquet file.

    Raises:
        DinoError: if it can't be read. The message says what it is instead.
    """
    import pyarrow
    import pyarrow.parquet as parquet

    try:
        with parquet.ParquetFile(path, memory_map=True) as file:  # without the map, iter_batches reads groups whole
            yield file
    # KeyError and ValueError: two columns have the same name.
    except (pyarrow.ArrowException, OSError, KeyError, ValueError) as error:
        kind = kind_of(path)
        if kind not in (None, PARQUET):
            raise DinoError(f"{path} is {kind.name}, not a Parquet file{sentence(kind.advice)}") from error
        raise DinoError(f"{path} isn't a readable Parquet file: {printable(first_line(error))}") from error


def _columns_of_bytes(file: "ParquetFile") -> list[str]:
    """Return the names of the columns that may hold images, those in Hugging Face's layout first."""
    import pyarrow

    def is_bytes(kind: pyarrow.DataType) -> bool:
        types = pyarrow.types
        return bool(types.is_binary(kind) or types.is_large_binary(kind))

    def is_struct(kind: pyarrow.DataType) -> bool:
        if not pyarrow.types.is_struct(kind):
            return False
        return any(f.name == "bytes" and (is_bytes(f.type) or pyarrow.types.is_null(f.type)) for f in kind)

    schema = file.schema_arrow
    return [f.name for f in schema if is_struct(f.type)] + [f.name for f in schema if is_bytes(f.type)]


def _begins_with_image(file: "ParquetFile", column: str) -> bool:
    """Return whether one of the first cells of a column looks like an image."""
    return any(map(looks_like_image, islice(_blobs(file, column), N_LOOKED_AT)))


def _batches(file: "ParquetFile", column: str, groups: Iterable[int] | None = None) -> Iterator[list[Any]]:
    """Yield the cells of a column, in batches of a few rows, from all groups of rows or from some."""
    sizes = [file.metadata.row_group(group).total_byte_size for group in range(file.num_row_groups)]
    rows = BATCH_BYTES * file.metadata.num_rows // max(1, sum(sizes))
    for batch in file.iter_batches(max(1, min(MAX_ROWS, rows)), row_groups=groups, columns=[column]):
        yield batch[column].to_pylist()


def _blobs(file: "ParquetFile", column: str) -> Iterator[bytes]:
    for batch in _batches(file, column):
        yield from map(_bytes, batch)


def _bytes(cell: Any) -> bytes:
    return (cell.get("bytes") if isinstance(cell, dict) else cell) or b""


def _what_they_are(file: "ParquetFile", column: str) -> str:
    """Return what a column of bytes holds if it holds no images, and what to do."""
    name = printable(column, 80)
    first = next(filter(None, _blobs(file, column)), None)
    if first is None:
        cells = chain.from_iterable(_batches(file, column))
        has_paths = any(isinstance(cell, dict) and cell.get("path") for cell in cells)
        holds = "the paths of files. Write the table again with the files' bytes" if has_paths else "empty cells"
        return f"the column {name} holds only {holds}"
    kind = file_kind(first[:N_BYTES])
    return f"the first cell of the column {name} is {kind.name if kind else 'bytes of no known kind'}"


def _read_words(file: "ParquetFile") -> list[tuple[str, ...]]:
    """Return the words of each row. A text that can't be read is no reason to refuse the images."""
    import pyarrow

    def is_text(kind: pyarrow.DataType) -> bool:
        types = pyarrow.types
        if types.is_list(kind) or types.is_large_list(kind) or types.is_dictionary(kind):
            kind = kind.value_type
        return bool(types.is_string(kind) or types.is_large_string(kind))

    schema = file.schema_arrow
    labels = _label_names(schema.metadata or {})
    columns = [field.name for field in schema if field.name in labels or is_text(field.type)]
    columns = [name for name in columns if schema.names.count(name) == 1]
    if not columns:
        return [()] * file.metadata.num_rows
    try:
        return [
            words_of_row(with_label_names(row, labels))
            for batch in file.iter_batches(MAX_ROWS, columns=columns)
            for row in batch.to_pylist()
        ]
    except (pyarrow.ArrowException, ValueError):
        return [()] * file.metadata.num_rows


def with_label_names(row: dict[str, Any], labels: dict[str, list[str]]) -> dict[str, Any]:
    """Return a row of a table with the names of its labels in place of their numbers."""
    return {
        column: labels[column][value]
        if column in labels and isinstance(value, int) and 0 <= value < len(labels[column])
        else value
        for column, value in row.items()
    }


def _label_names(metadata: dict[bytes, bytes]) -> dict[str, list[str]]:
    """Return the names of the labels in each column of labels, from the metadata that Hugging Face writes."""
    try:
        features = json.loads(metadata[b"huggingface"])["info"]["features"]
        kinds = {column: kind for column, kind in features.items() if kind.get("_type") == "ClassLabel"}
        return {column: [str(name) for name in kind["names"]] for column, kind in kinds.items()}
    except (KeyError, ValueError, TypeError, AttributeError):  # written by other programs, or by hand
        return {}
