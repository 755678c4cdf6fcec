"""The script that rebuilds the embedded picture set, emoji.parquet, from three public npm packages.

    python -m dino.data.build_emoji                               # fetches the packages with npm
    python -m dino.data.build_emoji --packages path/node_modules  # uses packages that are already there

Every emoji of Unicode, without skin tones, in three drawings: Noto (Google), Twemoji (Twitter) and Fluent 3D
(Microsoft). Each becomes a 64x64 RGB picture on white, stored losslessly. Whose drawings they are, and under
which licenses they may be passed on, is in NOTICE.md beside this file. The same packages and the same
versions of Pillow and pyarrow give the same file, byte for byte.
"""

import io
import json
import shutil
import subprocess
import tempfile
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import pyarrow as pa
import pyarrow.parquet as pq
import typer
from PIL import Image
from tqdm import tqdm

SIZE = 64
EMOJI_PARQUET = Path(__file__).with_name("emoji.parquet")

NOTO, TWEMOJI, FLUENT = "emoji-datasource-google", "emoji-datasource-twitter", "@lobehub/fluent-emoji-3d"
PACKAGES = {NOTO: "16.0.0", TWEMOJI: "16.0.0", FLUENT: "1.1.0"}
FOLDERS = {
    "noto": f"{NOTO}/img/google/64",
    "twemoji": f"{TWEMOJI}/img/twitter/64",
    "fluent": f"{FLUENT}/assets",
}
STYLES = tuple(FOLDERS)

# Our groups are Unicode's categories with short names, but for what is a sign more than a picture of
# something. "Smileys & Emotion" has hearts and the signs of comics (zzz, a puff of dust, an empty speech
# balloon), "People & Body" has footprints and busts in silhouette: they go to `symbols`. So do families,
# which Noto and Twemoji draw as signs. Then `faces` is faces and `people` is people. Keycaps, letters in one
# and the same frame, are a group of their own, and "Component", loose skin tones, is left out.
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

# Territories that fly the flag of France, Norway, Spain, the United States, Australia or the British Indian
# Ocean Territory: the same drawing again, or nearly so.
SECOND_FLAGS = frozenset(
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

# The package's Noto flag of Sark is Saudi Arabia's.
WRONG_NOTO_CODES = frozenset({"1f1e8-1f1f6"})

# Microsoft publishes its Fluent drawings under MIT, but not all of them: its README excepts the paperclip
# (Clippy), the technologists (a Windows logo), the video game and national flags, and its repository has no
# families or couples in the default skin tone. The npm package took those from elsewhere, so its MIT label
# doesn't reach them, and they stay out. (Microsoft has redrawn the technologists since; the package hasn't.)
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

# Noto's drawings fill 61 of the 64 pixels (the longer side, on average), Twemoji's 63; both come at this size
# and stay as they are. Fluent's are 256 pixels wide with a margin of 16 by design, and would fill 56 of 64.
# Cutting 12 off each side makes that 62, so that the size of a drawing doesn't give its style away.
FLUENT_WINDOW = 256 - 2 * 12

# Lossless WebP is a quarter smaller than PNG here. Its "quality" is only effort: 100 would save 2 % more, and
# take ten times as long.
WEBP: dict[str, Any] = {"format": "WEBP", "lossless": True, "method": 6, "quality": 80}

# Travels in the Parquet file's metadata, so that a copy of the file alone still says whose the drawings are.
ATTRIBUTION = (
    "Noto Emoji, Google, Apache-2.0. Twemoji, Copyright 2014-2021 Twitter, Inc and other contributors, "
    "Copyright 2022-present Jason Sofonia & Justine De Caires, CC-BY 4.0 "
    "(https://creativecommons.org/licenses/by/4.0/). Fluent Emoji, Copyright (c) Microsoft Corporation, MIT. "
    "Changed: put on white, scaled to 64x64 pixels. Licenses: dino/data/NOTICE.md of Dino Diffusion."
)


class BuildError(Exception):
    """Something the person who runs the script can mend; the message is one line that says how."""


# --- the packages -------------------------------------------------------------------------------------------


@contextmanager
def fetched_packages() -> Iterator[Path]:
    """Fetches the packages with npm, yields their node_modules folder, and removes it afterwards (180 MB)."""
    npm = shutil.which("npm")
    if npm is None:
        raise BuildError("there is no npm: install Node.js, or pass --packages DIR, a node_modules folder")
    wanted = [f"{name}@{version}" for name, version in PACKAGES.items()]
    flags = ["--no-save", "--ignore-scripts", "--no-audit", "--no-fund"]
    with tempfile.TemporaryDirectory() as folder:
        command = [npm, "install", "--prefix", folder, *flags, *wanted]
        done = subprocess.run(command, check=False, capture_output=True, text=True)
        if done.returncode != 0:
            errors = [line for line in done.stderr.splitlines() if line.startswith("npm error")]
            raise BuildError(f"npm could not fetch the packages; check the network ({' '.join(errors[:2])})")
        yield Path(folder) / "node_modules"


def check_packages(packages: Path) -> None:
    """Raises BuildError unless `packages` holds each package at its pinned version."""
    for name, version in PACKAGES.items():
        manifest = packages / name / "package.json"
        install = f"npm install --prefix DIR --no-save {name}@{version}"
        if not manifest.is_file():
            raise BuildError(f"{packages} has no {name}: {install}")
        found = json.loads(manifest.read_text(encoding="utf-8"))["version"]
        if found != version:
            raise BuildError(f"{packages} has {name} {found}, not {version}: {install}")


# --- concepts and their drawings ----------------------------------------------------------------------------


@dataclass(frozen=True)
class Concept:
    """One emoji, whoever draws it: `code` is its code points in lower-case hex, joined by hyphens."""

    code: str
    name: str
    group: str
    subgroup: str


def read_concepts(packages: Path) -> list[Concept]:
    """The emoji in Unicode's order. Skin tones aren't entries of their own in emoji.json: they stay out."""
    entries = json.loads((packages / NOTO / "emoji.json").read_text(encoding="utf-8"))
    concepts = []
    for entry in sorted(entries, key=lambda entry: entry["sort_order"]):
        code, name = entry["unified"].lower(), entry["name"].lower()
        group = find_group(entry["category"], entry["subcategory"], name)
        if group is not None and code not in SECOND_FLAGS:
            concepts.append(Concept(code, name, group, entry["subcategory"]))
    return concepts


def find_group(category: str, subgroup: str, name: str) -> str | None:
    """Our group for an emoji (see GROUP_OF_CATEGORY), or None for one that is left out."""
    if category not in GROUP_OF_CATEGORY:
        raise BuildError(f"emoji.json has an unknown category, {category!r}: add it to GROUP_OF_CATEGORY")
    if name.startswith("family"):
        return "symbols"
    return GROUP_OF_SUBGROUP.get(subgroup, GROUP_OF_CATEGORY[category])


def without_selector(code: str) -> str:
    """The code without U+FE0F, which asks for an emoji, not a letter; packages disagree on writing it."""
    return "-".join(part for part in code.split("-") if part != "fe0f")


class Drawings:
    """The drawings of one style: files named by code points, with or without fe0f."""

    def __init__(self, style: str, packages: Path) -> None:
        self.style = style
        paths = sorted(path for path in (packages / FOLDERS[style]).iterdir() if path.is_file())
        self._exact = {path.stem.lower(): path for path in paths}
        self._loose = {without_selector(code): path for code, path in self._exact.items()}

    def find(self, concept: Concept) -> Path | None:
        """The file that draws `concept`: of its very code, else of its code give or take fe0f, else None."""
        if not is_usable(self.style, concept):
            return None
        return self._exact.get(concept.code) or self._loose.get(without_selector(concept.code))


def is_usable(style: str, concept: Concept) -> bool:
    """Whether the style's drawing is what it says, and free to pass on (see the tables above)."""
    if style == "noto":
        return concept.code not in WRONG_NOTO_CODES
    if style == "fluent":
        published = concept.subgroup not in FLUENT_UNPUBLISHED_SUBGROUPS
        return published and concept.code not in FLUENT_UNPUBLISHED_CODES
    return True


# --- from a drawing to a picture ----------------------------------------------------------------------------


def draw(path: Path) -> Image.Image:
    """The drawing as a picture: RGB, on white, SIZE x SIZE."""
    with Image.open(path) as file:
        drawing = file.convert("RGBA")
    on_white = Image.new("RGBA", drawing.size, "white")
    on_white.alpha_composite(drawing)
    picture = on_white.convert("RGB")
    if picture.size == (SIZE, SIZE):
        return picture
    # White comes before scaling: transparent pixels have a color too, which would leak into the edges.
    # HAMMING only averages the pixels it merges; LANCZOS and BICUBIC look further, and leave rims.
    return picture.resize((SIZE, SIZE), Image.Resampling.HAMMING, box=find_window(drawing))


def find_window(drawing: Image.Image) -> tuple[int, int, int, int]:
    """The square to cut out: FLUENT_WINDOW wide, central; moved or widened if the drawing sticks out."""
    visible = drawing.getchannel("A").point([0] * 16 + [255] * 240)  # fainter is left over from lossy files
    left, top, right, bottom = visible.getbbox() or (0, 0, 0, 0)  # None: all of it is blank
    side = max(FLUENT_WINDOW, right - left, bottom - top)
    margin = (drawing.width - side) // 2  # the height won't do: a few files have 8 empty rows more below
    x = min(max(margin, right - side), left)
    y = min(max(margin, bottom - side), top)
    return x, y, x + side, y + side


def encode(picture: Image.Image) -> bytes:
    """The picture as a lossless WebP file."""
    file = io.BytesIO()
    picture.save(file, **WEBP)
    return file.getvalue()


# --- the table ----------------------------------------------------------------------------------------------


def make_rows(packages: Path) -> Iterator[dict[str, Any]]:
    """One row per picture: concepts in Unicode's order, each in the order of STYLES.

    Left out: a picture equal to an earlier one of its style, pixel for pixel (Twemoji draws most families
    alike), and a picture that is blank.
    """
    styles = [Drawings(style, packages) for style in STYLES]
    seen: set[tuple[str, bytes]] = set()
    for concept in tqdm(read_concepts(packages), unit=" concepts", disable=None):  # None: only on a terminal
        for drawings in styles:
            path = drawings.find(concept)
            if path is None:
                continue
            picture = draw(path)
            key = (drawings.style, picture.tobytes())
            if key in seen or is_blank(picture):
                continue
            seen.add(key)
            yield {
                "image": {"bytes": encode(picture), "path": f"{drawings.style}/{concept.code}.webp"},
                "name": concept.name,
                "group": concept.group,
                "subgroup": concept.subgroup,
                "style": drawings.style,
            }


def is_blank(picture: Image.Image) -> bool:
    """Whether all pixels of an RGB picture are equal."""
    return len(picture.getcolors(2) or ()) == 1


def make_table(rows: Iterable[dict[str, Any]]) -> pa.Table:
    """The rows as an Arrow table; its metadata tells Hugging Face `datasets` that `image` holds images."""
    text = ("name", "group", "subgroup", "style")
    features: dict[str, Any] = {"image": {"_type": "Image"}}
    features |= {column: {"dtype": "string", "_type": "Value"} for column in text}
    schema = pa.schema(
        {
            "image": pa.struct({"bytes": pa.binary(), "path": pa.string()}),
            **{column: pa.string() for column in text},
        },
        metadata={"huggingface": json.dumps({"info": {"features": features}}), "attribution": ATTRIBUTION},
    )
    return pa.Table.from_pylist(list(rows), schema=schema)


def write_table(table: pa.Table, out: Path) -> None:
    """Writes Parquet. Dictionaries and statistics pay for text only: of pictures they would be copies."""
    text = [column for column in table.column_names if column != "image"]
    out.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(table, out, compression="zstd", use_dictionary=text, write_statistics=text)


def build(packages: Path, out: Path) -> pa.Table:
    """Builds the picture set from `packages` (a node_modules folder), writes it to `out` and returns it."""
    check_packages(packages)
    table = make_table(make_rows(packages))
    write_table(table, out)
    return table


def summarize(table: pa.Table) -> str:
    """How many pictures there are, by group and style, as a text table."""
    counts = Counter(zip(table["group"].to_pylist(), table["style"].to_pylist(), strict=True))
    lines = [["", *STYLES, "all"]]
    for group in dict.fromkeys(group for group, _ in counts):
        numbers = [counts[group, style] for style in STYLES]
        lines.append([group, *(f"{number:,}" for number in [*numbers, sum(numbers)])])
    totals = Counter(table["style"].to_pylist())
    lines.append(["all", *(f"{totals[style]:,}" for style in STYLES), f"{totals.total():,}"])
    return "\n".join(f"{first:12}" + "".join(f"{cell:>9}" for cell in cells) for first, *cells in lines)


# --- the command line ---------------------------------------------------------------------------------------


def main(
    packages: Annotated[Path | None, typer.Option(help="A node_modules folder, instead of npm.")] = None,
    out: Annotated[Path, typer.Option(help="The Parquet file to write.")] = EMOJI_PARQUET,
) -> None:
    """Rebuild the embedded picture set from the public packages."""
    try:
        if packages is not None:
            table = build(packages, out)
        else:
            with fetched_packages() as fetched:
                table = build(fetched, out)
    except BuildError as error:
        typer.echo(f"build_emoji: {error}", err=True)
        raise typer.Exit(1) from None
    typer.echo(summarize(table))
    typer.echo(f"{out}: {table.num_rows:,} pictures, {out.stat().st_size:,} bytes")


if __name__ == "__main__":
    typer.run(main)
