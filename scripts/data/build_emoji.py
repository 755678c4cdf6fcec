"""Rebuild the embedded images, dino/data/emoji.parquet, from three public npm packages.

    python -m scripts.data.build_emoji                               # downloads the packages with npm
    python -m scripts.data.build_emoji --packages path/node_modules  # uses packages that are already there

The set holds every emoji of Unicode without skin tones, in three styles: Noto (Google), Twemoji (Twitter) and Fluent 3D
(Microsoft). Each becomes a 64x64 RGB image on white, stored losslessly. dino/data/NOTICE.md names the authors and the
licenses. The same packages and the same versions of Pillow and pyarrow give the same file, byte for byte.
"""

import json
import shutil
import subprocess
import tempfile
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import pyarrow as pa
import typer
from PIL import Image
from tqdm import tqdm

from dino.data.embedded import SETS

from .image_table import encode, make_table, write_table

SIZE = 64
TEXT = ("name", "group", "subgroup", "style")  # columns

NOTO, TWEMOJI, FLUENT = "emoji-datasource-google", "emoji-datasource-twitter", "@lobehub/fluent-emoji-3d"
PACKAGES = {NOTO: "16.0.0", TWEMOJI: "16.0.0", FLUENT: "1.1.0"}
FOLDERS = {
    "noto": f"{NOTO}/img/google/64",
    "twemoji": f"{TWEMOJI}/img/twitter/64",
    "fluent": f"{FLUENT}/assets",
}
STYLES = tuple(FOLDERS)

# Our groups are Unicode's categories under short names, with exceptions, so that `faces` holds only faces and `people`
# only people. "Smileys & Emotion" also has hearts and the symbols of comics (zzz, a puff of dust, an empty speech
# balloon), and "People & Body" has footprints and busts in silhouette: these go to `symbols`. So do families, which
# Noto and Twemoji draw as symbols. Keycaps are letters that all have the same frame, and are a group of their own.
# "Component" holds separate skin tones and is left out.
GROUP_OF_CATEGORY = {
    "Smileys & Emotion": "faces",
    "People & Body": "people",
    "Animals & Nature": "animals",
    "Food & Drink": "food",
    "Travel & Places": "travel",
    "Activities": "activities",
    "Objects": "objects",
    "Symbols": "symbols",
    "Flags": "flags",
    "Component": None,
}
GROUP_OF_SUBGROUP = {
    "heart": "symbols",
    "emotion": "symbols",
    "person-symbol": "symbols",
    "keycap": "keycaps",
}

# Territories that fly the flag of France, Norway, Spain, the United States, Australia or the British Indian Ocean
# Territory. Their drawings repeat those flags, exactly or nearly.
REPEATED_FLAGS = frozenset(
    {
        "1f1e7-1f1fb",  # Bouvet Island
        "1f1e8-1f1f5",  # Clipperton Island
        "1f1e9-1f1ec",  # Diego Garcia
        "1f1ea-1f1e6",  # Ceuta & Melilla
        "1f1ed-1f1f2",  # Heard & McDonald Islands
        "1f1f2-1f1eb",  # St. Martin
        "1f1f8-1f1ef",  # Svalbard & Jan Mayen
        "1f1fa-1f1f2",  # U.S. Outlying Islands
    }
)

# In the package, Noto's flag of Sark is the flag of Saudi Arabia.
WRONG_NOTO_CODES = frozenset({"1f1e8-1f1f6"})

# Microsoft publishes most of its Fluent drawings under MIT, but not all of them. Its README excludes the paperclip
# (Clippy), the technologists (a Windows logo), the video game and national flags, and its repository has no families or
# couples in the default skin tone. The npm package took those from elsewhere, so its MIT license doesn't cover them,
# and they are left out. (Microsoft has redrawn the technologists since; the package hasn't.)
FLUENT_UNPUBLISHED_SUBGROUPS = frozenset({"country-flag", "subdivision-flag", "family"})
FLUENT_UNPUBLISHED_CODES = frozenset(
    {
        "1f3ae",  # video game
        "1f46a",  # family
        "1f4ce",  # paperclip
        "1f468-200d-1f4bb",  # man technologist
        "1f469-200d-1f4bb",  # woman technologist
        "1f9d1-200d-1f4bb",  # technologist
    }
)

# On average, the longer side of a drawing fills 61 of the 64 pixels for Noto and 63 for Twemoji. Both come at this size
# and are not scaled. Fluent's drawings are 256 pixels wide with a margin of 16 by design, and would fill 56 of 64.
# Cutting off 12 at each side makes it 62, so that the size of a drawing doesn't give its style away.
FLUENT_WINDOW = 256 - 2 * 12

# Stored in the Parquet file's metadata, so that a copy of the file alone still names the authors. Change the text, even
# its spelling, only when the file is rebuilt for another reason: every version of the file stays in every clone.
ATTRIBUTION = (
    "Noto Emoji, Google, Apache-2.0. Twemoji, Copyright 2014-2021 Twitter, Inc and other contributors, "
    "Copyright 2022-present Jason Sofonia & Justine De Caires, CC-BY 4.0 "
    "(https://creativecommons.org/licenses/by/4.0/). Fluent Emoji, Copyright (c) Microsoft Corporation, MIT. "
    "Changed: put on white, scaled to 64x64 pixels. "
    "Licences: dino/data/NOTICE.md of Dino Diffusion."  # codespell:ignore
)


class BuildError(Exception):
    """A problem that the user can fix. The message is one line that says how."""


# ---- the packages ---------------------------------------------------------------------------------------------------


@contextmanager
def downloaded_packages() -> Iterator[Path]:
    """Download the packages with npm, yield their node_modules folder, and delete it afterwards (180 MB).

    Raises:
        BuildError: if npm is missing or fails.
    """
    npm = shutil.which("npm")
    if npm is None:
        raise BuildError("npm is missing: install Node.js, or pass --packages DIR, a node_modules folder")
    wanted = [f"{name}@{version}" for name, version in PACKAGES.items()]
    flags = ["--no-save", "--ignore-scripts", "--no-audit", "--no-fund"]
    with tempfile.TemporaryDirectory() as folder:
        command = [npm, "install", "--prefix", folder, *flags, *wanted]
        done = subprocess.run(command, check=False, capture_output=True, encoding="utf-8")
        if done.returncode != 0:
            errors = [line for line in done.stderr.splitlines() if line.startswith("npm error")]
            raise BuildError(f"npm could not download the packages; check the network ({' '.join(errors[:2])})")
        yield Path(folder) / "node_modules"


def check_packages(packages: Path) -> None:
    """Raise an error unless `packages`, a node_modules folder, holds each package at its pinned version.

    Raises:
        BuildError: if a package is missing or has another version.
    """
    for name, version in PACKAGES.items():
        manifest = packages / name / "package.json"
        install = f"npm install --prefix DIR --no-save {name}@{version}"
        if not manifest.is_file():
            raise BuildError(f"{packages} has no {name}: {install}")
        found = json.loads(manifest.read_text(encoding="utf-8"))["version"]
        if found != version:
            raise BuildError(f"{packages} has {name} {found}, not {version}: {install}")


# ---- concepts and their drawings ------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Concept:
    """An emoji, independently of its style."""

    code: str  # its code points in lower-case hex, joined by hyphens
    name: str
    group: str
    subgroup: str


def read_concepts(packages: Path) -> list[Concept]:
    """Return the emoji in Unicode's order, without skin tones: those aren't entries of their own in emoji.json."""
    entries = json.loads((packages / NOTO / "emoji.json").read_text(encoding="utf-8"))
    concepts = []
    for entry in sorted(entries, key=lambda entry: entry["sort_order"]):
        code, name = entry["unified"].lower(), entry["name"].lower()
        group = find_group(entry["category"], entry["subcategory"], name)
        if group is not None and code not in REPEATED_FLAGS:
            concepts.append(Concept(code, name, group, entry["subcategory"]))
    return concepts


def find_group(category: str, subgroup: str, name: str) -> str | None:
    """Return our group for an emoji (see GROUP_OF_CATEGORY), or None if the emoji is left out."""
    if category not in GROUP_OF_CATEGORY:
        raise BuildError(f"emoji.json has an unknown category, {category!r}: add it to GROUP_OF_CATEGORY")
    if name.startswith("family"):
        return "symbols"
    return GROUP_OF_SUBGROUP.get(subgroup, GROUP_OF_CATEGORY[category])


def without_selector(code: str) -> str:
    """Return the code without U+FE0F, which selects the emoji over the letter. Packages disagree on writing it."""
    return "-".join(part for part in code.split("-") if part != "fe0f")


class Drawings:
    """The drawings of one style. Their files are named by code points, with or without fe0f."""

    def __init__(self, style: str, packages: Path) -> None:
        self.style = style
        paths = sorted(path for path in (packages / FOLDERS[style]).iterdir() if path.is_file())
        self._exact = {path.stem.lower(): path for path in paths}
        self._loose = {without_selector(code): path for code, path in self._exact.items()}

    def find(self, concept: Concept) -> Path | None:
        """Return the file that has the concept's code, or its code with or without fe0f, or None."""
        if not is_usable(self.style, concept):
            return None
        return self._exact.get(concept.code) or self._loose.get(without_selector(concept.code))


def is_usable(style: str, concept: Concept) -> bool:
    """Return whether the style's drawing shows the concept and its license allows redistribution (see above)."""
    if style == "noto":
        return concept.code not in WRONG_NOTO_CODES
    if style == "fluent":
        published = concept.subgroup not in FLUENT_UNPUBLISHED_SUBGROUPS
        return published and concept.code not in FLUENT_UNPUBLISHED_CODES
    return True


# ---- from a drawing to an image -------------------------------------------------------------------------------------


def draw(path: Path) -> Image.Image:
    """Return a drawing as an image: RGB, on white, SIZE x SIZE."""
    with Image.open(path) as file:
        drawn = file.convert("RGBA")
    on_white = Image.new("RGBA", drawn.size, "white")
    on_white.alpha_composite(drawn)
    image = on_white.convert("RGB")
    if image.size == (SIZE, SIZE):
        return image
    # White comes before scaling: transparent pixels have a color too, which would leak into the edges.
    # HAMMING averages only the pixels that it merges. LANCZOS and BICUBIC look further and leave rims.
    return image.resize((SIZE, SIZE), Image.Resampling.HAMMING, box=find_window(drawn))


def find_window(drawn: Image.Image) -> tuple[int, int, int, int]:
    """Return the square to cut out: FLUENT_WINDOW wide and central, but moved or widened if the drawing sticks out."""
    visible = drawn.getchannel("A").point([0] * 16 + [255] * 240)  # fainter pixels are traces of lossy compression
    left, top, right, bottom = visible.getbbox() or (0, 0, 0, 0)  # None: the drawing is blank
    side = max(FLUENT_WINDOW, right - left, bottom - top)
    margin = (drawn.width - side) // 2  # not from the height: a few files have 8 more empty rows at the bottom
    x = min(max(margin, right - side), left)
    y = min(max(margin, bottom - side), top)
    return x, y, x + side, y + side


# ---- the table ------------------------------------------------------------------------------------------------------


def make_rows(packages: Path) -> Iterator[dict[str, Any]]:
    """Yield one row for each image: concepts in Unicode's order, and each concept in the order of STYLES.

    Images that are blank are left out, and those that equal an earlier image of their style pixel for pixel: Twemoji
    draws most families alike.
    """
    styles = [Drawings(style, packages) for style in STYLES]
    seen: set[tuple[str, bytes]] = set()
    for concept in tqdm(read_concepts(packages), unit=" concepts", disable=None):  # None: only on a terminal
        for drawings in styles:
            path = drawings.find(concept)
            if path is None:
                continue
            image = draw(path)
            key = (drawings.style, image.tobytes())
            if key in seen or is_blank(image):
                continue
            seen.add(key)
            yield {
                "image": {"bytes": encode(image), "path": f"{drawings.style}/{concept.code}.webp"},
                "name": concept.name,
                "group": concept.group,
                "subgroup": concept.subgroup,
                "style": drawings.style,
            }


def is_blank(image: Image.Image) -> bool:
    """Return whether all pixels of an RGB image are equal."""
    return len(image.getcolors(2) or ()) == 1


def build(packages: Path, out: Path) -> pa.Table:
    """Build the set from `packages` (a node_modules folder), write it to `out` and return it.

    Raises:
        BuildError: if a package is missing or has another version, or an emoji has an unknown category.
    """
    check_packages(packages)
    table = make_table(make_rows(packages), TEXT, ATTRIBUTION)
    write_table(table, out)
    return table


def summarize(table: pa.Table) -> str:
    """Return the numbers of images by group and style, as a text table."""
    counts = Counter(zip(table["group"].to_pylist(), table["style"].to_pylist(), strict=True))
    lines = [["", *STYLES, "all"]]
    for group in dict.fromkeys(group for group, _ in counts):
        numbers = [counts[group, style] for style in STYLES]
        lines.append([group, *(f"{number:,}" for number in [*numbers, sum(numbers)])])
    totals = Counter(table["style"].to_pylist())
    lines.append(["all", *(f"{totals[style]:,}" for style in STYLES), f"{totals.total():,}"])
    return "\n".join(f"{first:12}" + "".join(f"{cell:>9}" for cell in cells) for first, *cells in lines)


# ---- the command line -----------------------------------------------------------------------------------------------


def main(
    packages: Annotated[Path | None, typer.Option(help="A node_modules folder, instead of npm.")] = None,
    out: Annotated[Path, typer.Option(help="The Parquet file to write.")] = SETS["emoji"].file,
) -> None:
    """Rebuild the embedded images from the public packages."""
    try:
        if packages is not None:
            table = build(packages, out)
        else:
            with downloaded_packages() as downloaded:
                table = build(downloaded, out)
    except BuildError as error:
        typer.echo(f"build_emoji: {error}", err=True)
        raise typer.Exit(1) from None
    typer.echo(summarize(table))
    typer.echo(f"{out}: {table.num_rows:,} images, {out.stat().st_size:,} bytes")


if __name__ == "__main__":
    typer.run(main)
