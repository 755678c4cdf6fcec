"""Folders of small, freely licensed pictures that other packages bring with them, for docs/showcase.md.

    uv run --with scikit-learn --with django-countries python -m scripts.benchmarks.showcase pictures

Each set is a folder, whose sub-folders are the words of its images. `letters` needs no package besides matplotlib.
"""

import csv
import gzip
import unicodedata
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated

import typer
from PIL import Image, ImageDraw, ImageFont

from dino.common.errors import DinoError

SIZE = 32  # pixels of a side
SCRIPTS = ("LATIN", "GREEK", "CYRILLIC", "ARABIC")  # as Unicode's names of letters begin
FONTS = ("DejaVuSans", "DejaVuSans-Bold", "DejaVuSerif", "DejaVuSansMono")

Drawn = Iterator[tuple[str, str, Image.Image]]  # the folder, a name for the file, and the image


def folder_of(package: str) -> Path:
    """Return the folder of an installed package, without importing it.

    Raises:
        DinoError: if it isn't installed.
    """
    found = find_spec(package)
    if not found or not found.submodule_search_locations:
        raise DinoError(f"the package {package} isn't installed. The first lines of this program say how to run it")
    return Path(found.submodule_search_locations[0])


def letters() -> Drawn:
    """Draw letters of four scripts in four fonts.

    matplotlib brings the fonts with it: DejaVu, under the license of Bitstream Vera, which allows any use.
    """
    for name in FONTS:
        path = folder_of("matplotlib") / "mpl-data" / "fonts" / "ttf" / f"{name}.ttf"
        font = ImageFont.truetype(path, 24, layout_engine=ImageFont.Layout.BASIC)
        missing = bytes(font.getmask("\uffff"))
        for letter in map(chr, range(0x41, 0x700)):
            script, _, rest = unicodedata.name(letter, "").partition(" ")
            if script in SCRIPTS and "LETTER" in rest and "WITH" not in rest and bytes(font.getmask(letter)) != missing:
                image = Image.new("RGB", (SIZE, SIZE), "white")
                ImageDraw.Draw(image).text((SIZE / 2, SIZE / 2), letter, "black", font, anchor="mm")
                yield script.lower(), f"{name}-{ord(letter):04x}", image


def digits() -> Drawn:
    """Read the handwritten digits of scikit-learn: 1,797 images of 8x8 gray pixels.

    They are the test set of "Optical Recognition of Handwritten Digits" (Alpaydin and Kaynak 1998), CC-BY 4.0.
    """
    with gzip.open(folder_of("sklearn") / "datasets" / "data" / "digits.csv.gz", "rt", encoding="ascii") as file:
        for n, row in enumerate(csv.reader(file)):
            *pixels, digit = (round(float(cell)) for cell in row)
            gray = Image.frombytes("L", (8, 8), bytes(255 - min(255, 16 * pixel) for pixel in pixels))  # 0 to 16
            yield f"digit-{digit}", f"{n:04}", gray.convert("RGB").resize((SIZE, SIZE), Image.Resampling.BICUBIC)


def flags() -> Drawn:
    """Read the flags of django-countries: 250 images of 16x11 pixels.

    django-countries, and its flags with it, is under the MIT license.
    """
    for path in sorted((folder_of("django_countries") / "static" / "flags").glob("??.gif")):
        if path.stem != "__":
            with Image.open(path) as found:
                flag = found.convert("RGBA").resize((32, 22), Image.Resampling.NEAREST)
            image = Image.new("RGB", (SIZE, SIZE), "white")
            image.paste(flag, (0, (SIZE - flag.height) // 2), flag)
            yield "flag", path.stem, image


SETS = {"letters": letters, "digits": digits, "flags": flags}


def main(
    out: Annotated[Path, typer.Argument(metavar="FOLDER", help="Where the folders of pictures are made.")],
    only: Annotated[list[str] | None, typer.Option(metavar="SET", help=f"One of {', '.join(SETS)}.")] = None,
) -> None:
    """Make the folders of pictures of docs/showcase.md."""
    for name in only or SETS:
        n = 0
        for folder, file, image in SETS[name]():
            path = out / name / folder / f"{file}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            image.save(path)
            n += 1
        print(f"{n:,} images in {out / name}")


if __name__ == "__main__":
    typer.run(main)
