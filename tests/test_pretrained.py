"""The model that comes with dino: small, whole, and as good as its card says."""

import re
from pathlib import Path

import pytest
import torch
from typer.testing import CliRunner

from dino import cli
from dino.data.loading import fingerprint, load_images
from dino.evaluation import loss_by_noise_level
from dino.images import to_unit
from dino.reports.evaluate import LEVELS
from dino.trainer.model_file import load_model, save_model
from dino.trainer.run_folder import PRETRAINED, find_weights

CARD = (Path(__file__).parents[1] / "docs" / "model.md").read_text()


def test_it_is_at_most_5_megabytes() -> None:
    assert PRETRAINED.stat().st_size <= 5_000_000


def test_it_learned_from_the_training_pictures_alone_and_its_card_has_its_true_losses() -> None:
    model, about = load_model(PRETRAINED)
    config = about["config"]
    losses = []
    for part in "training", "held out":
        images = load_images(config["data"], config["size"], part=part)
        if part == "training":
            assert about["fingerprint"] == fingerprint(images)
        chosen = images[:: max(1, len(images) // 64)][:64]
        losses.append(loss_by_noise_level(model, to_unit(chosen), LEVELS).mean().item())
    training, held_out = losses
    row = re.search(r"^\| mean +\| +([\d.]+) \| +([\d.]+) \|$", CARD, re.MULTILINE)
    assert row, "the card has no table of losses"
    assert training < held_out
    assert training == pytest.approx(float(row[1]), rel=0.2)  # fewer pictures, other noise: the same size of number
    assert held_out == pytest.approx(float(row[2]), rel=0.2)
    assert f"{about['images_seen']:,}" in CARD


def invoke(*words: str) -> str:
    answer = CliRunner().invoke(cli.app, list(words), catch_exceptions=False)
    assert answer.exit_code == 0, answer.output
    return answer.output


def test_a_newcomer_draws_with_it_until_there_is_a_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert "the one that comes with dino" in invoke("sample", "-n", "2", "--steps", "2")
    assert (tmp_path / "runs" / "shipped" / "generated.png").exists()
    assert "emoji:faces,animals" in invoke("info")
    model, about = load_model(PRETRAINED)
    save_model(tmp_path / "runs" / "quick-1" / "model.safetensors", model, about)
    assert "runs/quick-1" in invoke("sample", "-n", "2", "--steps", "2")
    assert (tmp_path / "runs" / "quick-1" / "generated.png").exists()
    assert "the one that comes with dino" in invoke("sample", "shipped", "-n", "2", "--steps", "2")
    assert find_weights(None) == (Path("runs/quick-1"), Path("runs/quick-1"))
    assert find_weights(Path("a/b.safetensors")) == (Path("a/b.safetensors"), Path("a"))
    (tmp_path / "shipped").mkdir()  # a folder of that name is what was meant
    assert find_weights(Path("shipped")) == (Path("shipped"), Path("shipped"))


def test_its_pictures_are_pictures_and_not_one_of_them_twice() -> None:
    from dino.reports.diagnosis import PLAUSIBLE
    from dino.reports.symptoms import look
    from dino.trainer.batched_sampling import draw
    from dino.trainer.model_file import shape_of

    model, about = load_model(PRETRAINED)
    real = to_unit(load_images(about["config"]["data"], about["config"]["size"], part="training"))
    torch.manual_seed(0)
    samples = draw(model, 16, image_shape=shape_of(about), n_steps=20)
    for name, value in look(samples, real)._asdict().items():
        low, high = PLAUSIBLE[name]
        assert low < value < high, name
