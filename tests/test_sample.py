"""`dino sample`: asking, keeping and varying, from the command line."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from typer.testing import CliRunner, Result

from dino import steering
from dino.cli import options as cli_options
from dino.cli.main import app
from dino.cli.sample import GREETING, _requests, _wishes
from dino.common.grids import GAP
from dino.data.sources import find_images
from dino.data.words import choose_vocabulary
from dino.trainer.config import Config
from dino.trainer.model_file import save_model
from dino.trainer.presets import PRESETS

VOCABULARY = ("stegosaurus", "triceratops", "green", "blue", "hat")
CONFIG: dict[str, Any] = {"channels": 3, "widths": [4, 4], "depths": [1, 1], "size": 16, "vocabulary": VOCABULARY}
FEW = ("--steps", "2", "--spacing", "warped")


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    """The file of an untrained tiny network that knows five words."""
    torch.manual_seed(0)
    save_model(tmp_path / "tiny.safetensors", Config.from_dict(CONFIG).new_network(), {"config": CONFIG})
    return tmp_path / "tiny.safetensors"


def sample(weights: Path, *options: object) -> Result:
    return CliRunner().invoke(app, ["sample", str(weights), *FEW, *map(str, options)])


def pixels(path: Path) -> np.ndarray[Any, Any]:
    return np.asarray(Image.open(path).convert("RGB")).astype(int)


def write(path: Path, image: np.ndarray[Any, Any]) -> Path:
    Image.fromarray(image.astype(np.uint8)).save(path)
    return path


def refusal(result: Result) -> str:
    assert result.exit_code != 0
    return str(result.exception)


def test_each_request_is_a_labeled_row(weights: Path, tmp_path: Path) -> None:
    result = sample(weights, "--ask", "green stegosaurus", "--ask", "a blue triceratops with a hat", "-n", 3)
    assert result.exit_code == 0, result.output
    drawn = pixels(tmp_path / "generated.png")
    pitch = 64 + GAP
    assert drawn.shape[0] == 2 * pitch + GAP
    label_width = drawn.shape[1] - (3 * pitch + GAP)
    assert label_width > 60
    for row in range(2):
        label = drawn[row * pitch : (row + 1) * pitch, :label_width]
        assert (label < 128).any(), "there is text beside the row"


def test_a_request_changes_the_images_and_the_seed_too(weights: Path, tmp_path: Path) -> None:
    drawn = {}
    for name, options in {
        "green": ("--ask", "green"), "again": ("--ask", "Green!"), "blue": ("--ask", "blue"),
        "strict": ("--ask", "green", "--guidance", 5), "seed": ("--ask", "green", "--seed", 1),
    }.items():  # fmt: skip
        assert sample(weights, *options, "-n", 2, "--out", tmp_path / f"{name}.png").exit_code == 0
        drawn[name] = pixels(tmp_path / f"{name}.png")[:, -130:]
    assert np.array_equal(drawn["green"], drawn["again"])
    for name in ("blue", "strict", "seed"):
        assert not np.array_equal(drawn["green"], drawn[name]), name


def test_without_guidance_the_words_are_ignored(weights: Path, tmp_path: Path) -> None:
    for name, options in {"green": ("--ask", "green"), "blue": ("--ask", "blue")}.items():
        sample(weights, *options, "--guidance", 0, "-n", 2, "--out", tmp_path / f"{name}.png")
    assert np.array_equal(*(pixels(tmp_path / f"{name}.png")[:, -130:] for name in ("green", "blue")))


def wishes(*requests: str, word_sets: list[list[int]], is_free: bool = True) -> set[str]:
    """What twenty images are asked to show, in words."""
    metadata = {"config": CONFIG, "word_sets": word_sets}
    condition = _wishes(metadata, list(requests), 20, 2.0, 0, is_free=is_free).condition
    if condition is None:
        return set()
    return {" ".join(word for word, has in zip(VOCABULARY, row, strict=True) if has) for row in condition.tolist()}


def test_short_requests_are_completed_with_words_of_training_images() -> None:
    sets = [[0, 2, 4], [0, 2], [1, 2], [1, 3, 4]]
    assert wishes("green stegosaurus", word_sets=sets) == {"stegosaurus green hat", "stegosaurus green"}
    assert wishes("green stegosaurus without a hat", word_sets=sets) == {"stegosaurus green"}
    assert wishes("green stegosaurus", word_sets=[]) == {"stegosaurus green"}, "weights of a custom run"


def test_without_requests_images_show_what_training_images_show() -> None:
    assert wishes(word_sets=[[0, 2, 4], [1, 3]]) == {"stegosaurus green hat", "triceratops blue"}
    assert wishes(word_sets=[[0, 2, 4], [1, 3]], is_free=False) == set(), "a known part says what the image shows"
    assert wishes(word_sets=[]) == set()


@pytest.mark.parametrize("word_sets", [3, [3], [[5]], [[-1]], [["hat"]], [[True]], [[0.0]], [[]] * 5_000])
def test_false_word_sets_are_refused(word_sets: Any, tmp_path: Path) -> None:
    metadata = {"config": CONFIG, "word_sets": word_sets}
    save_model(tmp_path / "tiny.safetensors", Config.from_dict(CONFIG).new_network(), metadata)
    assert "its word sets don't fit its vocabulary" in refusal(sample(tmp_path / "tiny.safetensors", "--ask", "hat"))


@pytest.mark.parametrize(
    ("vocabulary", "greeted"),
    [
        ("stegosaurus green hat", ["green stegosaurus"]),
        ("stegosaurus tyrannosaurus green red hat", ["green stegosaurus", "red tyrannosaurus"]),
        ("cat green", []),
        ("", []),
    ],
)
def test_by_default_a_model_is_asked_only_for_what_it_knows(vocabulary: str, greeted: list[str]) -> None:
    metadata = {"config": CONFIG | {"vocabulary": vocabulary.split()}}
    assert _requests(None, metadata, is_free=True) == greeted
    assert _requests(None, metadata, is_free=False) == []


def test_the_preset_quick_knows_all_that_it_is_asked_for_by_default() -> None:
    images = find_images(PRESETS["quick"].data, "train")
    words = choose_vocabulary(images, PRESETS["quick"].max_words)
    assert _requests(None, {"config": CONFIG | {"vocabulary": words}}, is_free=True) == list(GREETING)


def test_unknown_words_warn_and_no_known_word_is_refused(weights: Path) -> None:
    with pytest.warns(UserWarning, match=r"doesn't know grenn \(nearest: green\)"):
        assert sample(weights, "--ask", "grenn stegosaurus", "-n", 1).exit_code == 0
    assert "It knows: stegosaurus, triceratops, green, blue, hat" in refusal(sample(weights, "--ask", "zebra"))


def test_a_model_without_words_can_not_be_asked(tmp_path: Path) -> None:
    config = CONFIG | {"vocabulary": ()}
    save_model(tmp_path / "plain.safetensors", Config.from_dict(config).new_network(), {"config": config})
    assert "trained without words" in refusal(sample(tmp_path / "plain.safetensors", "--ask", "green"))


def test_a_known_part_is_kept_and_the_rest_is_drawn(weights: Path, tmp_path: Path) -> None:
    image = np.random.default_rng(0).integers(0, 256, (16, 16, 3))
    mask = np.zeros((16, 16))
    mask[:, :8] = 255
    keep, shown = write(tmp_path / "keep.png", image), write(tmp_path / "mask.png", mask)
    result = sample(weights, "--keep", keep, "--mask", shown, "-n", 4)
    assert result.exit_code == 0, result.output
    drawn = pixels(tmp_path / "generated.png")
    first, second = (drawn[GAP : GAP + 64 : 4, start : start + 64 : 4] for start in (GAP, 2 * GAP + 64))
    for one in (first, second):
        assert np.abs(one[:, :8] - image[:, :8]).max() <= 1
    assert np.abs(first[:, 8:] - second[:, 8:]).max() > 2, "the rest differs from image to image"


def test_variations_depend_on_the_level(weights: Path, tmp_path: Path) -> None:
    image = np.full((16, 16, 3), 255)
    image[4:12, 4:12] = (0, 0, 200)
    start = write(tmp_path / "start.png", image)
    drawn = {}
    for level in (0.05, 1):
        out = tmp_path / f"{level}.png"
        assert sample(weights, "--vary", start, "--from", level, "-n", 1, "--out", out).exit_code == 0
        drawn[level] = pixels(out)
    assert not np.array_equal(drawn[0.05], drawn[1])
    sample(weights, "-n", 1, "--out", tmp_path / "new.png")
    assert np.array_equal(drawn[1], pixels(tmp_path / "new.png")), "at level 1 nothing is left of the image"


@pytest.mark.parametrize(
    ("given", "says"),
    [
        (("--keep", "a.png"), "--keep and --mask go together"),
        (("--mask", "a.png"), "--keep and --mask go together"),
        (("--from", "0.5"), "--from goes with --vary"),
        (("--vary", "a.png", "--from", "0"), "more than 0 and at most 1, not 0"),
        (("--vary", "a.png", "--from", "1.5"), "more than 0 and at most 1, not 1.5"),
        (("--vary", "a.png", "--keep", "b.png", "--mask", "c.png"), "can't be used together"),
        (("--vary", "missing.png"), "missing.png can't be read as an image"),
    ],
)
def test_contradicting_options_are_refused_in_one_line(weights: Path, given: tuple[str, ...], says: str) -> None:
    assert says in refusal(sample(weights, *given))


def test_the_command_line_knows_the_default_guidance_without_importing_torch() -> None:
    assert cli_options.GUIDANCE == steering.GUIDANCE


def test_an_unknown_spacing_is_refused(weights: Path) -> None:
    result = CliRunner().invoke(app, ["sample", str(weights), "--spacing", "odd"])
    assert result.exit_code == 2
    assert "steps are warped or even" in result.output
