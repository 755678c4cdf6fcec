"""Draw the embedded dinosaurs, dino/data/dinos.parquet.

    python -m scripts.data.build_dinos            # about four minutes
    python -m scripts.data.build_dinos --check    # draws them again, and compares them with the file

`dinosaurs.py` draws them. The pixels and the words are the same on every machine. So is the whole file with the
versions of Pillow and pyarrow in `TOOLS`; other versions may pack the same pixels into other bytes.
"""

import io
import os
import random
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import typer
from PIL import Image
from tqdm import tqdm

from dino.data.embedded import SETS

from .dinosaurs import ACCESSORIES, COLORS, FACINGS, KINDS, MOODS, PATTERNS, Dinosaur, draw
from .image_table import encode, make_table, write_table

N_IMAGES = 10_000
TOOLS = {"pillow": "13.0.0", "pyarrow": "26.0.1"}
ATTRIBUTION = "Drawn by scripts/data/dinosaurs.py of Dino Diffusion, the course, and under its license."

# Every dinosaur wears one of these; half of them wear nothing.
WORN = (*ACCESSORIES, *[""] * len(ACCESSORIES))


def deal(values: Sequence[str], n: int, seed: str) -> list[str]:
    """Return n of these values in random order, each equally often, also near the beginning.

    The values are dealt like cards: a shuffled deck is used up before the next one is opened.
    """
    chance = random.Random(seed).random  # not `shuffle`, which may change from one version of Python to the next
    dealt: list[str] = []
    while len(dealt) < n:
        deck = list(values)
        while deck:
            dealt.append(deck.pop(int(chance() * len(deck))))
    return dealt[:n]


def make_dinosaurs(n: int = N_IMAGES) -> list[Dinosaur]:
    """Return the words of n dinosaurs. Kinds, colors and all the rest are balanced and independent of each other."""
    columns = (tuple(KINDS), tuple(COLORS), PATTERNS, MOODS, FACINGS, WORN)
    dealt = [deal(values, n, name) for values, name in zip(columns, Dinosaur._fields, strict=True)]
    return [Dinosaur(*words) for words in zip(*dealt, strict=True)]


def make_row(number: int, dinosaur: Dinosaur) -> dict[str, Any]:
    """Draw dinosaur number `number`, which is also its seed, and return its row of the table."""
    encoded = encode(Image.fromarray(draw(dinosaur, number)))
    return {"image": {"bytes": encoded, "path": f"{number:05d}.webp"}, **dinosaur._asdict()}


def make_rows(n: int = N_IMAGES) -> Iterator[dict[str, Any]]:
    """Yield the rows of the table, drawn on all processors."""
    with ProcessPoolExecutor(os.cpu_count()) as processes:
        rows = processes.map(make_row, range(n), make_dinosaurs(n), chunksize=50)
        yield from tqdm(rows, "drawing", n, unit=" dinosaurs", disable=None)  # None: only on a terminal


def compare(table: pa.Table, path: Path) -> list[str]:
    """Return how a table that was drawn now differs from a file, in words: nothing if pixels and words are equal."""
    stored = pq.read_table(path)
    if table.num_rows != stored.num_rows:
        return [f"{path} has {stored.num_rows:,} rows, not {table.num_rows:,}"]
    differences = [
        f"column {name} differs" for name in Dinosaur._fields if table[name].to_pylist() != stored[name].to_pylist()
    ]
    images = zip(table["image"].to_pylist(), stored["image"].to_pylist(), strict=True)
    different = [i for i, (drawn, kept) in enumerate(images) if not np.array_equal(pixels(drawn), pixels(kept))]
    if different:
        differences.append(f"{len(different):,} images differ, the first is number {different[0]}")
    return differences


def pixels(cell: dict[str, Any]) -> np.ndarray[Any, np.dtype[np.uint8]]:
    """Return the pixels of an image in the table."""
    return np.asarray(Image.open(io.BytesIO(cell["bytes"])).convert("RGB"))


def summarize(table: pa.Table) -> str:
    """Return how often each word occurs, one line for each column."""
    counts = {name: Counter(table[name].to_pylist()) for name in Dinosaur._fields}
    return "\n".join(
        f"{name:10}" + ", ".join(f"{word or 'nothing'} {n:,}" for word, n in sorted(words.items()))
        for name, words in counts.items()
    )


app = typer.Typer(add_completion=False)


@app.command()
def main(
    out: Annotated[Path, typer.Option(help="The Parquet file to write, or to compare with.")] = SETS["dinos"].file,
    check: Annotated[
        bool, typer.Option("--check", help="Write nothing; compare pixels and words with the file.")
    ] = False,
) -> None:
    """Draw the embedded dinosaurs."""
    found = {name: version(name) for name in TOOLS}
    if found != TOOLS and not check:
        pins = " ".join(f"--with {name}=={wanted}" for name, wanted in TOOLS.items())
        typer.echo(
            f"build_dinos: for the same bytes, use the same tools: uv run {pins} python -m scripts.data.build_dinos"
        )
        raise typer.Exit(1)
    table = make_table(make_rows(), Dinosaur._fields, ATTRIBUTION)
    if check:
        differences = compare(table, out)
        typer.echo("\n".join(differences) or f"{out}: {table.num_rows:,} images, all as drawn")
        raise typer.Exit(bool(differences))
    write_table(table, out)
    typer.echo(summarize(table))
    typer.echo(f"{out}: {table.num_rows:,} images, {out.stat().st_size:,} bytes")


if __name__ == "__main__":
    app()
