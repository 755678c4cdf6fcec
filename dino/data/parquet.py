"""Parquet files with a column of encoded images."""

from pathlib import Path

from ..common.errors import DinoError, first_line, printable
from .encoded_image import EncodedImage


def parquet_images(path: Path) -> list[EncodedImage]:
    """Return the images of a Parquet file, one for each row.

    They are in the first column that is laid out as Hugging Face does, as structs with a field "bytes". If there is no
    such column, they are in the first column of bytes.

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
    # KeyError and ValueError: two columns have the same name.
    except (pyarrow.ArrowException, OSError, KeyError, ValueError) as error:
        raise DinoError(f"{path} isn't a readable Parquet file: {printable(first_line(error))}") from error
    blobs = [cell["bytes"] if isinstance(cell, dict) else cell for cell in cells]
    return [EncodedImage.from_bytes(f"{path.name} row {i}", blob or b"") for i, blob in enumerate(blobs)]
