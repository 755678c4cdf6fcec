"""The embedded dinosaurs: the program that draws them, and the file that holds them."""

import hashlib
import json
from collections import Counter
from itertools import combinations

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch

from dino.data.embedded import SETS
from dino.data.loading import load_images, load_labeled_images
from scripts.data import build_dinos, shapes
from scripts.data.build_dinos import N_IMAGES, compare, deal, make_dinosaurs, make_row, pixels
from scripts.data.dinosaurs import ACCESSORIES, COLORS, FACINGS, KINDS, MARGIN, MOODS, PATTERNS, Dinosaur, draw
from scripts.data.image_table import make_table, write_table

FILE = SETS["dinos"].file
VALUES = {
    "kind": set(KINDS), "color": set(COLORS), "pattern": set(PATTERNS), "mood": set(MOODS), "facing": set(FACINGS),
    "accessory": {"", *ACCESSORIES},
}  # fmt: skip


@pytest.fixture(scope="module")
def table():
    return pq.read_table(FILE)


# ---- the file -------------------------------------------------------------------------------------------------------


def test_the_file_holds_ten_thousand_in_ten_megabytes(table) -> None:
    assert table.num_rows == N_IMAGES == 10_000
    assert FILE.stat().st_size <= 10_000_000
    assert {name: set(table[name].to_pylist()) for name in VALUES} == VALUES
    features = json.loads(table.schema.metadata[b"huggingface"])["info"]["features"]
    assert features["image"] == {"_type": "Image"}, "`datasets` shows the images, not their bytes"


def test_the_file_is_what_the_program_draws(table) -> None:
    """All words, and every two-hundredth image; `--check` compares all of them."""
    dinosaurs = make_dinosaurs()
    assert [Dinosaur(*words) for words in zip(*(table[name].to_pylist() for name in VALUES), strict=True)] == dinosaurs
    for number in range(0, N_IMAGES, 200):
        drawn = draw(dinosaurs[number], number)
        assert np.array_equal(drawn, pixels(table["image"][number].as_py())), f"image {number} is drawn otherwise"


def test_a_difference_is_found_and_named(table, tmp_path) -> None:
    rows = table.slice(0, 3).to_pylist()
    write_table(make_table(rows, Dinosaur._fields, "ours"), tmp_path / "t.parquet")
    same = make_table(rows, Dinosaur._fields, "ours")
    assert compare(same, tmp_path / "t.parquet") == []
    rows[1] = make_row(7, Dinosaur(*(rows[1][name] for name in Dinosaur._fields)))
    other = make_table(rows, Dinosaur._fields, "ours")
    assert compare(other, tmp_path / "t.parquet") == ["1 images differ, the first is number 1"]
    rows[0]["color"] = "teal" if rows[0]["color"] != "teal" else "red"
    assert "column color differs" in compare(make_table(rows, Dinosaur._fields, "ours"), tmp_path / "t.parquet")
    assert "has 3 rows, not 2" in compare(other.slice(0, 2), tmp_path / "t.parquet")[0]


def test_other_tools_are_refused_because_they_would_write_other_bytes(monkeypatch, tmp_path) -> None:
    from typer.testing import CliRunner

    monkeypatch.setattr(build_dinos, "TOOLS", {"pillow": "1.0"})
    result = CliRunner().invoke(build_dinos.app, ["--out", str(tmp_path / "x.parquet")])
    assert result.exit_code == 1
    assert "--with pillow==1.0 python -m scripts.data.build_dinos" in result.output
    assert not (tmp_path / "x.parquet").exists()


# ---- balance --------------------------------------------------------------------------------------------------------


def test_words_are_balanced_also_in_a_part() -> None:
    for n in (N_IMAGES, 1_000):
        for name, words in zip(Dinosaur._fields, zip(*make_dinosaurs(n), strict=True), strict=True):
            counts = Counter(words)
            expected = {word: n / len(counts) for word in counts}
            if name == "accessory":
                expected = {word: n / 2 if word == "" else n / 6 for word in counts}
            assert all(abs(counts[word] - expected[word]) < 6 for word in counts), f"{name}: {counts}"


def test_words_are_independent_of_each_other() -> None:
    dinosaurs = make_dinosaurs()
    for one, other in combinations(range(len(Dinosaur._fields)), 2):
        pairs = Counter((d[one], d[other]) for d in dinosaurs)
        first, second = Counter(d[one] for d in dinosaurs), Counter(d[other] for d in dinosaurs)
        for (a, b), n in pairs.items():
            expected = first[a] * second[b] / len(dinosaurs)
            assert abs(n - expected) < 5 * expected**0.5, f"{a} and {b} meet {n} times, by chance {expected:.0f}"


def test_dealing_uses_up_a_deck_before_the_next() -> None:
    dealt = deal("abc", 31, "seed")
    for k in range(0, 30, 3):
        assert sorted(dealt[k : k + 3]) == ["a", "b", "c"]
    assert deal("abc", 31, "other") != dealt


# ---- the drawings ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
def test_every_drawing_is_whole_and_on_white(kind: str) -> None:
    """Nothing reaches the border, whatever the words."""
    margin = int(MARGIN) - 1
    for seed, accessory in enumerate(("", *ACCESSORIES) * 3):
        drawn = draw(Dinosaur(kind, "blue", "striped", "awake", "right", accessory), seed)
        assert drawn.shape == (64, 64, 3)
        assert drawn.dtype == np.uint8
        border = np.ones((64, 64), dtype=bool)
        border[margin:-margin, margin:-margin] = False
        assert (drawn[border] == 255).all(), f"{kind} with seed {seed} is cut off"
        share = (drawn != 255).any(-1).mean()
        assert 0.12 < share < 0.6, f"{kind} with seed {seed} covers {share:.0%} of the image"


def test_each_word_changes_the_drawing_and_the_rest_stays() -> None:
    plain = Dinosaur("stegosaurus", "green", "plain", "awake", "right", "")
    before = draw(plain, 3).astype(int)
    assert np.array_equal(draw(plain._replace(facing="left"), 3), before[:, ::-1]), "facing left is the mirror image"
    for name, value, least, most in (
        ("mood", "happy", 0.002, 0.05), ("pattern", "spotted", 0.01, 0.2), ("color", "red", 0.15, 0.6),
    ):  # fmt: skip
        changed = (np.abs(draw(plain._replace(**{name: value}), 3) - before).max(-1) > 24).mean()
        assert least < changed < most, f"{name}={value} changes {changed:.1%} of the pixels"


@pytest.mark.parametrize("color", COLORS)
def test_the_color_that_covers_most_is_the_one_that_is_named(color: str) -> None:
    for seed, kind in enumerate(KINDS):
        drawn = draw(Dinosaur(kind, color, "plain", "happy", "left", ""), seed).reshape(-1, 3).astype(int)
        painted = drawn[(drawn < 250).any(1)]
        most = np.array(Counter(map(tuple, painted)).most_common(1)[0][0])
        nearest = min(COLORS, key=lambda name: np.abs(most - COLORS[name]).sum())
        assert nearest == color, f"most of a {color} {kind} is {nearest}"


def test_seeds_vary_the_drawing() -> None:
    dinosaur = Dinosaur("pteranodon", "teal", "striped", "sleepy", "right", "scarf")
    drawings = {draw(dinosaur, seed).tobytes() for seed in range(20)}
    assert len(drawings) == 20


def test_the_same_drawing_has_the_same_bytes_everywhere() -> None:
    """A machine with another result would train on other images. (The numbers are those of the machine of the file.)"""
    digest = hashlib.sha256()
    for number, dinosaur in enumerate(make_dinosaurs(24)):
        digest.update(draw(dinosaur, number).tobytes())
    stored = load_images("dinos:24", 64, cache=False).permute(0, 2, 3, 1).contiguous().numpy()
    assert hashlib.sha256(stored.tobytes()).hexdigest() == digest.hexdigest()


def test_shapes_are_distances() -> None:
    """A circle's edge is where it should be, also when it is stretched, turned or made of a line or a polygon."""
    canvas = shapes.Canvas(64)
    right, down = canvas.x - 32, canvas.y - 32
    circle = np.sqrt(right**2 + down**2) - 10
    assert np.abs(canvas.ellipse(32, 32, 10, 10, slope=0.7) - circle).max() < 1e-5
    assert np.abs(canvas.limb([(32, 32), (32, 32)], [10, 10]) - circle).max() < 1e-5
    square = canvas.polygon([(22, 22), (42, 22), (42, 42), (22, 42)])
    assert ((square < 0) == (np.maximum(np.abs(right), np.abs(down)) < 10)).all()
    assert np.allclose(square, canvas.polygon([(22, 42), (42, 42), (42, 22), (22, 22)])), "either way around"
    canvas.paint(circle, (0, 0, 0))
    area = (255 - canvas.pixels[..., 0]).sum() / 255
    assert abs(area - np.pi * 100) < 6


# ---- as a source ----------------------------------------------------------------------------------------------------


def test_words_come_with_the_images() -> None:
    labeled = load_labeled_images("dinos:500", 16)
    assert labeled.images.shape == (500, 3, 16, 16)
    assert set(labeled.vocabulary) == {word for words in VALUES.values() for word in words} - {""}
    assert labeled.words.shape == (500, len(labeled.vocabulary))
    for row, dinosaur in zip(labeled.words.tolist(), make_dinosaurs(500), strict=True):
        shown = {word for word, has in zip(labeled.vocabulary, row, strict=True) if has}
        assert shown == set(dinosaur) - {""}


def test_parts_can_be_chosen() -> None:
    everything = load_images("dinos", 8)
    assert torch.equal(load_images("dinos:100", 8), everything[:100])
    kinds = [d.kind for d in make_dinosaurs()]
    chosen = load_labeled_images("dinos:stegosaurus,green,hat", 8)
    assert {"stegosaurus", "green", "hat"}.isdisjoint(chosen.vocabulary), "words of all images tell nothing"
    assert len(load_images("dinos:stegosaurus", 8)) == kinds.count("stegosaurus")
    assert len(load_images("dinos:stegosaurus,triceratops,50", 8)) == 50
