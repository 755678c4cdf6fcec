"""The command line in odd environments: names of files, consoles, folders and homes that aren't as usual."""

import io
import os
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image
from torch import Tensor

from dino import cli
from dino.common.errors import DinoError, DinoWarning
from dino.data.cache import cache_folder
from dino.data.loading import are_gray, load_images
from dino.trainer import run as run_module
from dino.trainer.config import Config
from dino.trainer.presets import PRESETS
from dino.trainer.run import train
from dino.trainer.trainer import Trainer
from tests.test_cli import inside, refusal

TINY = Config(size=8, widths=(4, 8), depths=(1, 1), n_images=16, batch_size=8, precision="float32")
NOT_UNICODE = "r\udce9"  # the byte 0xe9, as Python reads it


@pytest.fixture(autouse=True)
def tiny_and_without_summary(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(PRESETS, "quick", TINY)
    monkeypatch.setattr(run_module, "finish", lambda *_: [])


@pytest.fixture
def gray_folder(tmp_path: Path, blobs: Tensor) -> Path:
    folder = tmp_path / "gray"
    folder.mkdir()
    for index, image in enumerate(blobs):
        Image.fromarray(image[0].numpy()).save(folder / f"{index}.png")
    return folder


# ---- names ----------------------------------------------------------------------------------------------------------


@pytest.mark.skipif(os.name == "nt", reason="Windows has other names")
@pytest.mark.parametrize(
    ("name", "typed"), [("my run", "'my run'"), ("-x", "./-x"), ("it's", "'it'\"'\"'s'"), ("a\nb", r"$'a\x0ab'")]
)
def test_the_suggested_command_draws_with_the_run_whatever_its_name_is(
    image_folder: Path, tmp_path: Path, name: str, typed: str
) -> None:
    report = inside("train", "--preset", "quick", "--data", image_folder, "--out", name, cwd=tmp_path)
    assert f"draw with it: dino sample {typed} --animate" in report
    assert (tmp_path / name / "model.safetensors").is_file()


def test_a_run_folder_whose_name_is_not_unicode_is_refused_before_anything_is_made(
    image_folder: Path, tmp_path: Path, capsys: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    line = refusal(
        "train", "--preset", "quick", "--data", image_folder, "--out", NOT_UNICODE,
        capsys=capsys, monkeypatch=monkeypatch,
    )  # fmt: skip
    assert r"the name r\udce9 is not Unicode" in line
    assert line.endswith("Change --out.")
    assert not Path(NOT_UNICODE).exists()
    trainer = Trainer(TINY, device="cpu", images=load_images(image_folder, 8))
    with pytest.raises(DinoError, match="is not Unicode"):
        next(train(trainer, Path(NOT_UNICODE)))


@pytest.mark.parametrize("command", [["info"], ["train", "--preset", "quick", "--resume"], ["sample"]])
def test_a_name_that_no_file_can_have_is_refused(
    command: list[str], capsys: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = command[1:] if command[-1] == "--resume" else []
    words = ["train", "--resume"] if options else command
    line = refusal(*words, "a" * 300, capsys=capsys, monkeypatch=monkeypatch)
    assert "too long. Use a shorter one" in line


@pytest.mark.parametrize("name", ["emoji_cats", "emojis", "dinosaurs", "dinos-2"])
def test_a_folder_whose_name_begins_like_an_embedded_set_is_a_folder_from_anywhere(
    image_folder: Path, tmp_path: Path, name: str
) -> None:
    image_folder.rename(tmp_path / name)
    (tmp_path / "elsewhere").mkdir()
    run = tmp_path / "run"
    inside("train", "--preset", "quick", "--data", name, "--out", run, cwd=tmp_path)
    report = inside("train", "--resume", run, "--images", "24", cwd=tmp_path / "elsewhere")
    assert f"of {tmp_path / name}, 8 x 8" in report


# ---- folders and consoles -------------------------------------------------------------------------------------------


@pytest.mark.skipif(os.name == "nt", reason="Windows finds a home without HOME")
def test_without_a_home_images_are_loaded_and_not_cached(image_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import pwd

    def no_entry(_: int) -> None:
        raise KeyError

    for name in ("HOME", "DINO_CACHE", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(pwd, "getpwuid", no_entry)
    with pytest.raises(DinoError, match="Name another folder in DINO_CACHE"):
        cache_folder()
    with pytest.warns(DinoWarning, match="not cached: there is no home folder"):
        assert len(load_images(image_folder, 8)) == 40
    # The result of a trial is not kept either.
    trainer = Trainer(TINY, device="cpu", images=load_images(image_folder, 8, cache=False))
    assert trainer.config.layout != "auto"
    monkeypatch.setenv("DINO_CACHE", "/elsewhere")
    assert cache_folder() == Path("/elsewhere")


def test_a_current_folder_that_was_deleted_is_reported(capsys: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def deleted() -> str:
        raise FileNotFoundError

    monkeypatch.setattr(os, "getcwd", deleted)
    line = refusal("progress", capsys=capsys, monkeypatch=monkeypatch)
    assert line == "dino: the current folder was deleted. Go to another folder, and try again."


def test_a_console_that_knows_few_characters_shows_the_others_spelled_out(
    image_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = io.BytesIO()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(out, encoding="cp1252"))
    monkeypatch.setattr(sys, "argv", ["dino", "train", "--preset", "quick", "--data", str(image_folder), "--out", "ł"])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    assert ended.value.code == 0
    sys.stdout.flush()
    assert rb"dino sample '\u0142'" in out.getvalue()


# ---- gray images ----------------------------------------------------------------------------------------------------


def test_training_on_gray_images_in_color_hints_at_one_channel(
    gray_folder: Path, image_folder: Path, tmp_path: Path
) -> None:
    def hints(data: Path, name: str, *options: str) -> list[str]:
        words = ["train", "--preset", "quick", "--data", data, "--out", name, *options]
        return [line for line in inside(*words, cwd=tmp_path).splitlines() if line.startswith("hint")]

    (hint,) = hints(gray_folder, "1")
    assert "all of these images are gray" in hint
    assert hint.endswith(" --channels 1")
    assert not hints(gray_folder, "2", "--channels", "1")
    assert not hints(image_folder, "3")
    resumed = inside("train", "--resume", tmp_path / "1", "--images", "24", cwd=tmp_path)
    assert "hint " not in resumed, "a run that has begun keeps its channels"


def test_one_colored_image_makes_a_set_colored() -> None:
    images = torch.full((3, 3, 2, 2), 7, dtype=torch.uint8)
    assert are_gray(images)
    images[2, 1, 0, 0] = 8
    assert not are_gray(images)
