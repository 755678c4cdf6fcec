"""Words: where they come from, which of them are kept, and what a request means."""

import csv
import json
import warnings
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from PIL import Image
from torch import Tensor

from dino.common.errors import DinoError, DinoWarning
from dino.data.encoded_image import EncodedImage
from dino.data.loading import LabeledImages, load_image, load_images, load_labeled_images
from dino.data.words import (
    choose_vocabulary,
    complete,
    mirrored_columns,
    parse_request,
    short_request,
    split_words,
    to_multi_hot,
    words_of_row,
)

WORDS = ("left", "right", "stegosaurus", "tyrannosaurus", "triceratops", "green", "blue", "hat", "spotted", "happy")


def described(*words: str) -> EncodedImage:
    return EncodedImage.from_bytes("x", b"", words)


def words_by_level(labeled: LabeledImages) -> dict[int, set[str]]:
    """The words of each image, by its gray level."""
    return {
        int(image.flatten()[0]): {word for word, has in zip(labeled.vocabulary, row, strict=True) if has}
        for image, row in zip(labeled.images, labeled.words.tolist(), strict=True)
    }


def save(path: Path, level: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("L", (2, 2), level).save(path)


# ---- the vocabulary -------------------------------------------------------------------------------------------------


def test_texts_are_split_into_lower_case_words_that_say_something() -> None:
    assert split_words("A green, Stegosaurus with_the HAT (2)!") == ("green", "stegosaurus", "hat", "2")
    assert split_words("Größe 恐竜") == ("größe", "恐竜")
    assert split_words("x" * 41) == ()


def test_the_vocabulary_has_the_words_that_tell_images_apart_the_most_frequent_first() -> None:
    images = [described("all", "red", "cat"), described("all", "red", "dog"), described("all", "blue", "dog", "once"),
              described("all", "red", "cat"), described("all", "blue")]  # fmt: skip
    assert choose_vocabulary(images, 64) == ("red", "blue", "cat", "dog")
    with pytest.warns(
        DinoWarning, match="4 words describe these images. The 2 most frequent are learned, not cat, dog"
    ):
        assert choose_vocabulary(images, 2) == ("red", "blue")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert choose_vocabulary(images, 4) == ("red", "blue", "cat", "dog")
        assert choose_vocabulary([], 64) == ()


def test_no_words_are_wanted_and_nothing_is_said() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert choose_vocabulary([described("a", "b"), described("b"), described("a")], 0) == ()


def test_the_table_has_a_row_for_each_image_and_a_column_for_each_word() -> None:
    table = to_multi_hot([described("cat", "red"), described(), described("red", "unknown")], ["red", "cat"])
    assert table.dtype == torch.uint8
    assert table.tolist() == [[1, 1], [0, 0], [1, 0]]


def test_left_and_right_change_places_in_a_mirror() -> None:
    assert mirrored_columns(["left", "hat", "right"]) == [2, 1, 0]
    assert mirrored_columns(["left", "hat"]) == [0, 1], "there is nothing to change places with"
    assert mirrored_columns([]) == []


def test_a_model_gets_the_words_in_its_own_order(tmp_path: Path) -> None:
    for level, name in enumerate(("red/1.png", "red/2.png", "cat/1.png")):
        save(tmp_path / name, level)
    labeled = load_labeled_images(tmp_path, 2, vocabulary=("cat", "unknown", "red"))
    assert labeled.vocabulary == ("cat", "unknown", "red")
    order = labeled.images[:, 0, 0, 0].tolist()
    assert dict(zip(order, labeled.words.tolist(), strict=True)) == {
        0: [0, 0, 1], 1: [0, 0, 1], 2: [1, 0, 0],
    }  # fmt: skip


# ---- sources --------------------------------------------------------------------------------------------------------


def test_emoji_have_group_style_and_name() -> None:
    labeled = load_labeled_images("emoji:animals", 4, max_words=10_000)
    cat = [column for column, word in enumerate(labeled.vocabulary) if word == "cat"]
    assert {"noto", "twemoji", "fluent", "cat", "face"} <= set(labeled.vocabulary)
    assert 3 <= labeled.words[:, cat].sum() < 30


def test_words_are_the_names_of_folders(tmp_path: Path) -> None:
    for level, name in enumerate(("red cats/1.png", "red cats/2.png", "train/dogs/1.png", "dogs/big/2.png", "3.png")):
        save(tmp_path / name, level)
    assert words_by_level(load_labeled_images(tmp_path, 2)) == {
        0: {"red", "cats"}, 1: {"red", "cats"}, 2: {"dogs"}, 3: {"dogs"}, 4: set(),
    }  # fmt: skip


@pytest.mark.parametrize("kind", ["jsonl", "csv"])
def test_a_metadata_file_describes_the_images(tmp_path: Path, kind: str) -> None:
    rows = [
        {"file_name": "a.png", "text": "A red cat", "license": "CC0"},
        {"file_name": "sub/b.png", "text": "A red dog", "license": "CC0"},
        {"file_name": "gone.png", "text": "a dog", "license": "CC0"},
        {"file_name": "c.png", "text": "the cat", "license": "CC0"},
        {"file_name": "d.png", "text": "my dog", "license": "CC0"},
    ]
    for level, name in enumerate(("a.png", "sub/b.png", "c.png", "d.png", "e.png")):
        save(tmp_path / name, level)
    if kind == "jsonl":
        text = "\n".join(map(json.dumps, rows))
        (tmp_path / "metadata.jsonl").write_text(f"﻿{text}\n\n", encoding="utf-8")
    else:
        with (tmp_path / "metadata.csv").open("w", newline="") as file:
            writer = csv.DictWriter(file, rows[0])
            writer.writeheader()
            writer.writerows(rows)
    found = words_by_level(load_labeled_images(tmp_path, 2))
    assert found == {0: {"red", "cat"}, 1: {"red", "dog"}, 2: {"cat"}, 3: {"dog"}, 4: set()}


@pytest.mark.parametrize("text", ["{", '{"text": "a cat"}', "[1]", '"x"', "\xff\xfe"])
def test_a_metadata_file_that_describes_nothing_is_named(tmp_path: Path, text: str) -> None:
    save(tmp_path / "a.png", 1)
    (tmp_path / "metadata.jsonl").write_bytes(text.encode("latin-1"))
    with pytest.raises(DinoError, match=r"metadata\.jsonl doesn't describe images: "):
        load_images(tmp_path, 2)


def test_parquet_files_have_texts_and_labels(tmp_path: Path) -> None:
    for level in range(4):
        save(tmp_path / "images" / f"{level}.png", level)
    blobs = [(tmp_path / "images" / f"{level}.png").read_bytes() for level in range(4)]
    features = {"label": {"_type": "ClassLabel", "names": ["cat", "dog"]}}
    table = pa.table(
        {"image": pa.array([{"bytes": blob, "path": None} for blob in blobs]), "label": [0, 1, 1, 7],
         "tags": [["red"], ["red", "big"], [], None], "url": ["x red", "y", "z", "z"], "n": [1, 2, 3, 4]}
    ).replace_schema_metadata({"huggingface": json.dumps({"info": {"features": features}})})  # fmt: skip
    pq.write_table(table, tmp_path / "t.parquet")
    found = words_by_level(load_labeled_images(tmp_path / "t.parquet", 2))
    assert found == {0: {"red"}, 1: {"red", "dog"}, 2: {"dog"}, 3: set()}


def test_unreadable_images_take_their_words_with_them(tmp_path: Path) -> None:
    for level, name in enumerate(("cat/1.png", "cat/2.png", "dog/1.png", "dog/2.png")):
        save(tmp_path / name, level)
    (tmp_path / "cat" / "3.png").write_bytes(b"not an image")
    for _ in range(2):  # decoded, and from the cache
        with pytest.warns(DinoWarning, match="skipped 1 of 5"):
            labeled = load_labeled_images(tmp_path, 2)
        assert words_by_level(labeled) == {0: {"cat"}, 1: {"cat"}, 2: {"dog"}, 3: {"dog"}}


def test_parts_have_the_same_vocabulary_and_their_own_rows() -> None:
    everything, training, held_out = (
        load_labeled_images("dinos:300", 8, part=part) for part in ("all", "training", "held out")
    )
    assert everything.vocabulary == training.vocabulary == held_out.vocabulary
    together = {row.tobytes() for row in torch.cat([held_out.images, training.images]).numpy()}
    assert together == {row.tobytes() for row in everything.images.numpy()}
    words_of = {
        image.numpy().tobytes(): row.tolist() for image, row in zip(everything.images, everything.words, strict=True)
    }
    for part in (training, held_out):
        for image, row in zip(part.images, part.words, strict=True):
            assert words_of[image.numpy().tobytes()] == row.tolist()


def test_a_row_is_described_by_its_texts() -> None:
    row = {"text": "a red cat", "file_name": "dog.png", "n": 3, "tags": ["big", 4], "image url": "blue", "none": None}
    assert words_of_row(row) == ("red", "cat", "big")


def test_one_image_is_loaded_like_many(tmp_path: Path) -> None:
    save(tmp_path / "a.png", 7)
    assert load_image(tmp_path / "a.png", 2, channels=1).tolist() == [[[7, 7], [7, 7]]]
    with pytest.raises(DinoError, match=r"b\.png can't be read as an image"):
        load_image(tmp_path / "b.png", 2)


# ---- requests -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("request_", "words"),
    [
        ("green stegosaurus with a hat", {"green", "stegosaurus", "hat"}),
        ("GREEN, Stegosaurus!", {"green", "stegosaurus"}),
        ("two hats", {"hat"}),
        ("a t-rex", {"tyrannosaurus"}),
        ("T Rex", {"tyrannosaurus"}),
        ("stego", {"stegosaurus"}),
        ("spots", {"spotted"}),
        ("smiling green green stegosaurus", {"happy", "green", "stegosaurus"}),
    ],
)
def test_requests_are_understood(request_: str, words: set[str]) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore" if request_.startswith("two") else "error")
        found = parse_request(request_, WORDS).words
    assert set(found) == words
    assert len(found) == len(words)


@pytest.mark.parametrize(
    ("request_", "words", "unwanted"),
    [
        ("a stegosaurus without a green hat", {"stegosaurus"}, {"green", "hat"}),
        ("no hats, green stegosaurus", {"green", "stegosaurus"}, {"hat"}),
        ("green, not spotted but with a hat", {"green", "hat"}, {"spotted"}),
        ("happy without hat and spots", {"happy"}, {"hat", "spotted"}),
    ],
)
def test_what_follows_without_is_unwanted(request_: str, words: set[str], unwanted: set[str]) -> None:
    found = parse_request(request_, WORDS)
    assert (set(found.words), set(found.unwanted)) == (words, unwanted)


def test_unknown_words_are_ignored_with_a_warning_that_names_the_nearest() -> None:
    with pytest.warns(DinoWarning, match=r"doesn't know grene \(nearest: green\), zebra$"):
        assert parse_request("grene stegosaurus zebra", WORDS).words == ("stegosaurus",)


def test_a_beginning_that_several_words_share_is_unknown() -> None:
    with pytest.raises(DinoError, match="knows none of the words in 'tric'"):
        parse_request("tric", (*WORDS, "tricky"))


@pytest.mark.parametrize("request_", ["", "a zebra", "of the", "\x1b[31m"])
def test_a_request_without_a_known_word_is_an_error_that_lists_what_is_known(request_: str) -> None:
    with pytest.raises(DinoError, match="It knows: left, right, stegosaurus") as caught:
        parse_request(request_, WORDS)
    assert str(caught.value).isprintable()


def test_a_model_without_words_can_not_be_asked() -> None:
    with pytest.raises(DinoError, match="trained without words"):
        parse_request("green", ())


# ---- completing requests --------------------------------------------------------------------------------------------

# Columns: red, green; hat, scarf; tall. A row is an image.
SETS = torch.tensor([[1, 0, 1, 0, 1], [1, 0, 0, 1, 0], [0, 1, 1, 0, 0], [0, 1, 0, 0, 1.0], [0, 1, 0, 1, 1]])


def completed(*asked: int, unwanted: tuple[int, ...] = (), n: int = 200) -> Tensor:
    rows = torch.zeros(2, n, 5)
    rows[0][:, list(asked)] = 1
    rows[1][:, list(unwanted)] = 1
    return complete(*rows, SETS, generator=torch.Generator().manual_seed(0))


def test_without_a_request_an_image_gets_the_words_of_a_real_one() -> None:
    found = completed()
    assert {tuple(row) for row in found.tolist()} == {tuple(row) for row in SETS.tolist()}


def test_a_request_is_completed_with_words_that_fit_it() -> None:
    found = completed(0)
    assert (found[:, 0] == 1).all(), "what was asked for"
    assert (found[:, 1] == 0).all(), "no image is red and green"
    for column in (2, 3, 4):
        assert 0 < found[:, column].mean() < 1, "the rest varies"
    assert (completed(0, 2)[:, 3] == 0).all(), "no image has a hat and a scarf"


def test_unwanted_words_are_left_out() -> None:
    found = completed(1, unwanted=(2, 4))
    assert (found[:, [2, 4]] == 0).all()
    assert 0 < found[:, 3].mean() < 1


def test_an_impossible_request_and_one_of_rare_words_stay_as_they_are() -> None:
    assert (completed(0, 1)[:, :2] == 1).all(), "red and green, as asked for"
    rare = torch.zeros(4, 6)
    rare[:, 5] = 1
    sets = torch.cat([SETS, torch.zeros(5, 1)], dim=1)
    assert torch.equal(complete(rare, torch.zeros(4, 6), sets), rare)
    assert torch.equal(complete(rare, torch.zeros(4, 6), torch.zeros(0, 6)), rare)


def test_a_short_request_names_the_rarest_words_of_an_image() -> None:
    words = ["left", "plain", "hat", "stegosaurus", "green"]
    assert short_request(words, [1, 1, 0, 1, 1]) == "green stegosaurus"
    assert short_request(words, [1, 0, 0, 0, 0]) == "left"
    assert short_request(words, [0, 0, 0, 0, 0]) == ""
