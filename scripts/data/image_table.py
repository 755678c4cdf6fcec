"""Tables of images: how the embedded sets are stored."""

import io
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

# Lossless WebP is a quarter smaller than PNG here. Its "quality" is only the effort: 100 would save 2 % more and take
# ten times as long.
WEBP: dict[str, Any] = {"format": "WEBP", "lossless": True, "method": 6, "quality": 80}


def encode(image: Image.Image) -> bytes:
    """Return an image as the bytes of a lossless WebP file."""
    file = io.BytesIO()
    image.save(file, **WEBP)
    return file.getvalue()


def make_table(rows: Iterable[dict[str, Any]], text: tuple[str, ...], attribution: str) -> pa.Table:
    """Return rows as an Arrow table. Its metadata declares to Hugging Face `datasets` that `image` holds images.

    Args:
        rows: each with `image`, which holds "bytes" and "path", and the columns of text.
        text: the names of these columns.
        attribution: the authors and the license, so that a copy of the file alone still names them.
    """
    features: dict[str, Any] = {"image": {"_type": "Image"}}
    features |= {column: {"dtype": "string", "_type": "Value"} for column in text}
    schema = pa.schema(
        {
            "image": pa.struct({"bytes": pa.binary(), "path": pa.string()}),
            **{column: pa.string() for column in text},
        },
        metadata={"huggingface": json.dumps({"info": {"features": features}}), "attribution": attribution},
    )
    return pa.Table.from_pylist(list(rows), schema=schema)


def write_table(table: pa.Table, out: Path) -> None:
    """Write a Parquet file. Dictionaries and statistics are for text only: for images they would hold copies."""
    text = [column for column in table.column_names if column != "image"]
    out.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(table, out, compression="zstd", use_dictionary=text, write_statistics=text)
