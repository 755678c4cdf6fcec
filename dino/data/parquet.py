"""Parquet files with a column of encoded images."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..common.errors import DinoError, first_line, printable
from .encoded_image import EncodedImage
from .words import words_of_row

if TYPE_CHECKING:
    from pyarrow.parquet import ParquetFile


def parquet_images(path: Path) -> list[EncodedImage]:
    """Return the images of a Parquet file, one for each row.

    They are in the first column that is laid out as Hugging Face does, as structs with a field "bytes". If there is no
    such column, they are in the first column of bytes. Their words come from columns of text, and from columns of
    labels whose names are in the file's metadata, where Hugging Face writes them.

    Raises:
        DinoError: if the file can't be read, or has no column of bytes.
    """
    import pyarrow
    import pyarrow.parquet as parquet

    def is_bytes(kind: pyarrow.DataType) -> bool:
        return pyarrow.types.is_binary(kind) or pyarrow.types.is_large_binary(kind)

    def is_struct(kind: pyarrow.DataType) -> bool:
        return pyarrow.types.is_struct(kind) and any(f.name == "bytes" and is_bytes(f.type) for f in kind)

    try:
        with parquet.ParquetFile(path) as file:
            schema = file.schema_arrow
            columns = [f.name for f in schema if is_struct(f.type)] + [f.name for f in schema if is_bytes(f.type)]
            if not columns:
                raise DinoError(f"{path} has no column of images, only {printable(', '.join(schema.names))}")
            cells = file.read(columns=columns[:1])[columns[0]].to_pylist()
            words = _read_words(file)
    # KeyError and ValueError: two columns have the same name.
    except (pyarrow.ArrowException, OSError, KeyError, ValueError) as error:
        raise DinoError(f"{path} isn't a readable Parquet file: {printable(first_line(error))}") from error
    blobs = [cell["bytes"] if isinstance(cell, dict) else cell for cell in cells]
    return [EncodedImage.from_bytes(f"{path.name} row {i}", blob or b"", words[i]) for i, blob in enumerate(blobs)]


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
    try:
        rows = file.read(columns=columns).to_pylist()
    except (pyarrow.ArrowException, ValueError):
        rows = []
    return [words_of_row(with_label_names(row, labels)) for row in rows] or [()] * file.metadata.num_rows


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
