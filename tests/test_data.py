"""scripts.data.build_emoji and the file it makes: dino/data/emoji.parquet, as NOTICE.md describes it."""

import io
import json
import re
from collections import Counter
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from PIL import Image
from typer.testing import CliRunner

from dino.data.embedded import SETS
from scripts.data import build_emoji

EMBEDDED = SETS["emoji"].file
DATA = EMBEDDED.parent
GROUPS = {
    "faces", "people", "animals", "food", "travel", "activities", "objects", "symbols", "flags", "keycaps",
}  # fmt: skip
LEFT_OUT_BY_DEFAULT = {"symbols", "flags", "keycaps"}


# ---- the embedded file ----------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def table() -> pa.Table:
    return pq.ParquetFile(EMBEDDED).read()  # pq.read_table imports two seconds' worth more


@pytest.fixture(scope="module")
def images(table: pa.Table) -> list[Image.Image]:
    files = table["image"].combine_chunks().field("bytes").to_pylist()
    return [Image.open(io.BytesIO(file)) for file in files]


def test_size_and_columns(table: pa.Table) -> None:
    assert (EMBEDDED).stat().st_size <= 16_000_000
    assert table.column_names == ["image", "name", "group", "subgroup", "style"]
    assert table.schema.field("image").type == pa.struct({"bytes": pa.binary(), "path": pa.string()})
    assert all(table[column].null_count == 0 for column in table.column_names)


def test_images_are_lossless_rgb_of_64_pixels(table: pa.Table, images: list[Image.Image]) -> None:
    kinds = {(image.format, image.mode, image.size) for image in images}
    assert kinds == {("WEBP", "RGB", (64, 64))}
    # RIFF, the file's length, WEBP, then the kind of the first chunk: VP8L is the lossless one.
    chunks = {file[12:16] for file in table["image"].combine_chunks().field("bytes").to_pylist()}
    assert chunks == {b"VP8L"}


def test_no_image_is_blank_or_repeated_in_its_style(table: pa.Table, images: list[Image.Image]) -> None:
    styles = table["style"].to_pylist()
    drawn = {(style, image.tobytes()) for style, image in zip(styles, images, strict=True)}
    assert len(drawn) == len(images)
    assert not any(build_emoji.is_blank(image) for image in images)


def test_every_group_has_every_style(table: pa.Table) -> None:
    counts = Counter(zip(table["group"].to_pylist(), table["style"].to_pylist(), strict=True))
    assert set(counts) == {(group, style) for group in GROUPS for style in ("noto", "twemoji", "fluent")}
    kept = sum(count for (group, _), count in counts.items() if group not in LEFT_OUT_BY_DEFAULT)
    assert kept == 3_964
    assert sum(counts["faces", style] for style in ("noto", "twemoji", "fluent")) == 387


def test_groups_hold_what_their_names_say(table: pa.Table) -> None:
    subgroups: dict[str, set[str]] = {group: set() for group in GROUPS}
    for group, subgroup in zip(table["group"].to_pylist(), table["subgroup"].to_pylist(), strict=True):
        subgroups[group].add(subgroup)
    assert all(name.startswith("face-") or name in {"cat-face", "monkey-face"} for name in subgroups["faces"])
    assert subgroups["keycaps"] == {"keycap"}
    assert subgroups["flags"] == {"flag", "country-flag", "subdivision-flag"}
    assert {"heart", "emotion"} <= subgroups["symbols"]


def test_names_are_lower_case_and_without_skin_tones(table: pa.Table) -> None:
    names, paths = table["name"].to_pylist(), table["image"].combine_chunks().field("path").to_pylist()
    assert "grinning face" in names
    assert all(name == name.lower().strip() != "" for name in names)
    assert not any("skin tone" in name or "fitzpatrick" in name for name in names)
    assert not any(re.search("1f3f[b-f]", path) for path in paths)
    assert len(set(paths)) == len(paths)


def test_the_order_is_that_of_unicode_and_then_of_the_styles(table: pa.Table) -> None:
    # The drawings of one concept are neighbors, always in the same order of styles.
    styles = [build_emoji.STYLES.index(style) for style in table["style"].to_pylist()]
    codes = [path.partition("/")[2] for path in table["image"].combine_chunks().field("path").to_pylist()]
    runs = [code for i, code in enumerate(codes) if i == 0 or codes[i - 1] != code]
    assert len(runs) == len(set(runs))
    assert all(codes[i - 1] != codes[i] or styles[i - 1] < styles[i] for i in range(1, len(codes)))
    assert table["name"][0].as_py() == "grinning face"


def test_all_styles_fill_the_frame_equally(table: pa.Table, images: list[Image.Image]) -> None:
    sides: dict[str, list[int]] = {style: [] for style in build_emoji.STYLES}
    for style, image in zip(table["style"].to_pylist(), images, strict=True):
        ink = image.convert("L").point([255] * 245 + [0] * 11)
        left, top, right, bottom = ink.getbbox() or (0, 0, 0, 0)
        sides[style].append(max(right - left, bottom - top))
    means = [sum(values) / len(values) for values in sides.values()]
    assert max(means) - min(means) < 3


def test_datasets_reads_images_offline(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    datasets = pytest.importorskip("datasets")
    file = str(EMBEDDED)
    data = datasets.load_dataset("parquet", data_files=file, split="train", cache_dir=str(tmp_path))
    assert isinstance(data.features["image"], datasets.Image)
    assert data[0]["image"].size == (64, 64)
    assert (data[0]["name"], data[0]["group"], data[0]["style"]) == ("grinning face", "faces", "noto")


# ---- the licenses ---------------------------------------------------------------------------------------------------


def test_the_counts_and_links_of_the_notice_are_right(table: pa.Table) -> None:
    notice = (DATA / "NOTICE.md").read_text(encoding="utf-8")
    assert f"{table.num_rows:,} images" in notice
    for style, count in Counter(table["style"].to_pylist()).items():
        assert re.search(rf"`{style}`.*\| {count:,} \|", notice)
    for name, version in build_emoji.PACKAGES.items():
        assert name in notice
        assert version in notice
    links = set(re.findall(r"\((licenses/[^)]+\.txt)\)", notice))
    assert links == {f"licenses/{path.name}" for path in (DATA / "licenses").iterdir()}


def test_the_file_itself_names_the_authors(table: pa.Table) -> None:
    assert table.schema.metadata[b"attribution"].decode() == build_emoji.ATTRIBUTION
    licenses = ("Apache-2.0", "creativecommons.org/licenses/by/4.0", "MIT")
    assert all(word in build_emoji.ATTRIBUTION for word in ("Google", "Twitter", "Microsoft", *licenses))


def test_fluent_has_only_drawings_that_microsoft_published(table: pa.Table) -> None:
    fluent = table.filter(pc.equal(table["style"], "fluent"))
    assert not {"country-flag", "subdivision-flag", "family"} & set(fluent["subgroup"].to_pylist())
    names = fluent["name"].to_pylist()
    assert not any("technologist" in name or name in {"paperclip", "video game"} for name in names)


# ---- the builder, on a made-up package tree -------------------------------------------------------------------------


def entry(code: str, name: str, category: str, subgroup: str, order: int, **more: Any) -> dict[str, Any]:
    fields = {"unified": code, "name": name, "category": category, "subcategory": subgroup}
    return {**fields, "sort_order": order, **more}


ENTRIES = [
    entry("2764-FE0F", "HEAVY BLACK HEART", "Smileys & Emotion", "heart", 20),
    entry("1F600", "GRINNING FACE", "Smileys & Emotion", "face-smiling", 10),
    entry("1F601", "TWIN FACE", "Smileys & Emotion", "face-smiling", 11),
    entry(
        "1F44D", "THUMBS UP SIGN", "People & Body", "hand-fingers-closed", 30,
        skin_variations={"1F3FB": {"unified": "1F44D-1F3FB"}},
    ),
    entry("1F46A", "FAMILY", "People & Body", "person-symbol", 40),
    entry("1F468-200D-1F469-200D-1F466", "FAMILY: MAN, WOMAN, BOY", "People & Body", "family", 41),
    entry("0023-FE0F-20E3", "HASH KEY", "Symbols", "keycap", 50),
    entry("1F1F3-1F1F4", "Norway Flag", "Flags", "country-flag", 60),
    entry("1F1E7-1F1FB", "Bouvet Island Flag", "Flags", "country-flag", 59),
    entry("1F4CE", "PAPERCLIP", "Objects", "office", 70),
    entry("1F3FB", "EMOJI MODIFIER FITZPATRICK TYPE-1-2", "Component", "skin-tone", 80),
]  # fmt: skip


def save_drawing(path: Path, hue: int, size: int = 64) -> None:
    """Save a colored square on a transparent background, a quarter of the width from each edge."""
    drawing = Image.new("RGBA", (size, size), (0, 255, 0, 0))
    drawing.paste((hue, 40, 200, 255), (size // 4, size // 4, size - size // 4, size - size // 4))
    path.parent.mkdir(parents=True, exist_ok=True)
    drawing.save(path, lossless=True)


@pytest.fixture
def packages(tmp_path: Path) -> Path:
    """A node_modules folder with the three packages: few drawings, and file names that disagree on fe0f."""
    root = tmp_path / "node_modules"
    for name, version in build_emoji.PACKAGES.items():
        (root / name).mkdir(parents=True)
        (root / name / "package.json").write_text(json.dumps({"name": name, "version": version}))
    (root / build_emoji.NOTO / "emoji.json").write_text(json.dumps(ENTRIES))
    for i, item in enumerate(ENTRIES):
        code = item["unified"].lower()
        hue = 20 * (i if code != "1f601" else 1)  # in Noto and Twemoji, the twin looks like the grinning face
        save_drawing(root / build_emoji.FOLDERS["noto"] / f"{code}.png", hue)
        save_drawing(root / build_emoji.FOLDERS["twemoji"] / f"{code.replace('-fe0f', '')}.png", hue)
        save_drawing(root / build_emoji.FOLDERS["fluent"] / f"{code.replace('-fe0f', '')}.webp", 20 * i, 256)
    save_drawing(root / build_emoji.FOLDERS["noto"] / "1f44d-1f3fb.png", 255)
    return root


def test_build_takes_the_right_concepts(packages: Path, tmp_path: Path) -> None:
    table = build_emoji.build(packages, tmp_path / "out" / "emoji.parquet")
    columns = [table[column].to_pylist() for column in ("name", "group", "style")]
    all_styles = build_emoji.STYLES
    expected = [
        *(("grinning face", "faces", style) for style in all_styles),
        ("twin face", "faces", "fluent"),
        *(("heavy black heart", "symbols", style) for style in all_styles),
        *(("thumbs up sign", "people", style) for style in all_styles),
        *(("family", "symbols", style) for style in ("noto", "twemoji")),
        *(("family: man, woman, boy", "symbols", style) for style in ("noto", "twemoji")),
        *(("hash key", "keycaps", style) for style in all_styles),
        *(("norway flag", "flags", style) for style in ("noto", "twemoji")),
        *(("paperclip", "objects", style) for style in ("noto", "twemoji")),
    ]
    assert list(zip(*columns, strict=True)) == expected


def test_build_is_deterministic(packages: Path, tmp_path: Path) -> None:
    for name in ("a.parquet", "b.parquet"):
        build_emoji.build(packages, tmp_path / name)
    assert (tmp_path / "a.parquet").read_bytes() == (tmp_path / "b.parquet").read_bytes()


def test_drawings_are_on_white_at_the_right_scale(packages: Path) -> None:
    noto = build_emoji.draw(packages / build_emoji.FOLDERS["noto"] / "1f44d.png")
    assert sorted(color for _, color in noto.getcolors() or []) == [(60, 40, 200), (255, 255, 255)]
    fluent = build_emoji.draw(packages / build_emoji.FOLDERS["fluent"] / "1f44d.webp")
    assert (fluent.mode, fluent.size, fluent.getpixel((32, 32))) == ("RGB", (64, 64), (60, 40, 200))
    left, _, right, _ = fluent.convert("L").point([255] * 250 + [0] * 6).getbbox() or (0, 0, 0, 0)
    assert abs((right - left) - 64 * 128 / 232) < 2.5  # 128 of 256 pixels, magnified by the smaller window
    # Between the drawing and the white there are only mixtures of the two, without green, the color of the transparent
    # pixels.
    assert all(green <= max(red, blue) for _, (red, green, blue) in fluent.getcolors(4096) or [])


def test_a_drawing_that_sticks_out_is_kept_whole() -> None:
    drawing = Image.new("RGBA", (256, 256))
    drawing.paste((0, 0, 0, 255), (100, 2, 140, 100))
    assert build_emoji.find_window(drawing) == (12, 2, 244, 234)
    drawing.paste((0, 0, 0, 255), (0, 100, 256, 140))
    assert build_emoji.find_window(drawing) == (0, 0, 256, 256)
    taller = Image.new("RGBA", (256, 264))  # like a few files of the package
    assert build_emoji.find_window(taller) == (0, 0, 232, 232)
    taller.paste((0, 0, 0, 255), (16, 17, 240, 241))
    assert build_emoji.find_window(taller) == (12, 12, 244, 244)


def test_encoding_loses_nothing() -> None:
    image = Image.frombytes("RGB", (64, 64), bytes((7 * i * i + i) % 256 for i in range(64 * 64 * 3)))
    assert Image.open(io.BytesIO(build_emoji.encode(image))).tobytes() == image.tobytes()


@pytest.mark.parametrize("written", ["2764", "2764-fe0f", "2764-FE0F"])
def test_fe0f_may_be_written_or_not(written: str, tmp_path: Path) -> None:
    path = tmp_path / build_emoji.FOLDERS["fluent"] / f"{written}.webp"
    path.parent.mkdir(parents=True)
    path.touch()
    drawings = build_emoji.Drawings("fluent", tmp_path)
    for code in ("2764", "2764-fe0f"):
        assert drawings.find(build_emoji.Concept(code, "heart", "symbols", "heart")) == path
    assert drawings.find(build_emoji.Concept("2765", "other", "symbols", "heart")) is None


def test_the_exact_file_name_wins(tmp_path: Path) -> None:
    folder = tmp_path / build_emoji.FOLDERS["fluent"]
    folder.mkdir(parents=True)
    for name in ("26a7.webp", "26a7-fe0f.webp"):
        (folder / name).touch()
    drawings = build_emoji.Drawings("fluent", tmp_path)
    for code in ("26a7", "26a7-fe0f"):
        found = drawings.find(build_emoji.Concept(code, "transgender symbol", "symbols", "gender"))
        assert found == folder / f"{code}.webp"


def run_script(*arguments: str) -> str:
    """Return what the script prints when it fails, which is one line."""
    app = build_emoji.typer.Typer()
    app.command()(build_emoji.main)
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 1
    assert result.output.count("\n") == 1
    return result.output


def test_errors_are_one_line_that_says_what_to_do(
    packages: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = ("--out", str(tmp_path / "out.parquet"))
    monkeypatch.setattr("shutil.which", lambda _: None)
    assert "install Node.js" in run_script(*out)
    empty = tmp_path / "empty"
    empty.mkdir()
    assert "npm install" in run_script("--packages", str(empty), *out)
    (packages / build_emoji.FLUENT / "package.json").write_text('{"version": "9.9.9"}')
    assert "9.9.9, not 1.1.0" in run_script("--packages", str(packages), *out)
    assert not (tmp_path / "out.parquet").exists()
