"""The milestone after lesson 04: a verdict on what a learner's own model draws, and what to look at next."""

from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image
from torch import Tensor

from dino.cli import train as command
from dino.course import milestone
from dino.course.card import card
from dino.course.grader.combine import assemble
from dino.course.milestone import BAR, ENOUGH, Milestone, has_bar
from dino.reports import evaluate
from dino.trainer.config import Config
from dino.trainer.custom import CustomTrainer
from dino.trainer.presets import PRESETS

TINY = Config(size=8, widths=(4, 6), depths=(1, 1), n_images=12, batch_size=4, learning_rate=1e-3)


@pytest.fixture
def trainer(blobs: Tensor) -> CustomTrainer:
    return CustomTrainer(TINY, device="cpu", images=blobs, parts=assemble({}).for_training())


@pytest.fixture
def barred(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """The bar counts for the tiny run too, and little is compared."""
    monkeypatch.setattr(milestone, "has_bar", lambda config: True)
    monkeypatch.setattr(milestone, "N_IMAGES", 8)
    monkeypatch.setattr(evaluate, "N_DRAWS", 2)
    return monkeypatch


def test_the_bar_is_for_dinosaurs_of_32_pixels() -> None:
    assert has_bar(PRESETS["quick"])
    for other in ({"data": "emoji"}, {"size": 64}, {"channels": 1}, {"data": "dinos:100"}):
        assert not has_bar(replace(PRESETS["quick"], **other))


def test_a_verdict_names_the_bar_and_the_distance() -> None:
    passed, short, broken = (Milestone(x, ENOUGH) for x in (BAR - 0.6, BAR + 1.04, None))
    assert passed.passed
    assert passed.in_words().startswith(f"passed: whole dinosaurs, at a distance of at most {BAR:.1f}")
    assert f"yours {BAR - 0.6:.1f}" in passed.in_words()
    assert not short.passed
    assert short.in_words().startswith("not yet")
    assert f"yours {BAR + 1.04:.1f}" in short.in_words()
    assert not broken.passed
    assert "can't be compared" in broken.in_words()


def test_a_model_that_saw_few_images_needs_training_and_another_one_a_doctor() -> None:
    assert "has seen 1,200 images" in Milestone(3.0, 1200).advice()
    assert "look for a bug" in Milestone(3.0, ENOUGH).advice()


def test_training_on_own_parts_ends_with_a_verdict_and_the_page_is_the_reward(
    trainer: CustomTrainer, barred: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    barred.setattr(milestone, "BAR", 1e9)
    command._show_own_model(trainer, tmp_path, assemble({}))
    printed = capsys.readouterr().out
    assert "verdict   passed: whole dinosaurs" in printed
    assert "dino page" in printed
    assert "look at" not in printed


def test_a_run_that_falls_short_says_what_to_look_at(
    trainer: CustomTrainer, barred: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    barred.setattr(milestone, "BAR", 0.01)
    command._show_own_model(trainer, tmp_path, assemble({}))
    printed = capsys.readouterr().out
    assert "verdict   not yet" in printed
    assert f"dino train --mine --resume {tmp_path}" in printed
    assert "dino page" not in printed
    trainer.step = ENOUGH // TINY.batch_size
    command._show_own_model(trainer, tmp_path, assemble({}))
    assert f"look for a bug. Ask the doctor: dino doctor {tmp_path}" in capsys.readouterr().out.replace("uv run ", "")


def test_other_images_have_no_verdict_and_the_page_all_the_same(
    trainer: CustomTrainer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command._show_own_model(trainer, tmp_path, assemble({}))
    printed = capsys.readouterr().out
    assert "verdict" not in printed
    assert "dino page" in printed


def test_the_card_shows_the_verdict(trainer: CustomTrainer) -> None:
    images = trainer.sample(4)
    plain, passed, short = (
        card(assemble({}), trainer, images, verdict)
        for verdict in (None, Milestone(1.2, ENOUGH), Milestone(3.0, ENOUGH))
    )
    assert isinstance(plain, Image.Image)
    assert passed.height > plain.height
    assert passed.size == short.size
    assert passed.tobytes() != short.tobytes()
