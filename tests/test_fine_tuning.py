"""Runs that start from trained weights: `dino train --start-from`."""

import json
import warnings
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from typer.testing import CliRunner

from dino import cli, denoiser
from dino.common.errors import DinoError
from dino.data.loading import LabeledImages
from dino.reports.model_card import card, public
from dino.trainer import fine_tuning
from dino.trainer.config import Config
from dino.trainer.custom import CustomTrainer, Parts
from dino.trainer.model_file import PRETRAINED, load_model
from dino.trainer.presets import QUICK
from dino.trainer.run import train
from dino.trainer.run_folder import describe, saved_config
from dino.trainer.trainer import Trainer

TINY = Config(
    size=8, widths=(4, 8), depths=(1, 1), n_images=40 * 16, batch_size=16, precision="float32", max_words=8,
    anneal=True, optimizer="muon", layout="contiguous", maximum="amax",
)  # fmt: skip


def labeled(blobs: Tensor, *words: str) -> LabeledImages:
    table = (torch.arange(40)[:, None] % torch.arange(2, 2 + len(words)) == 0).byte()
    return LabeledImages(blobs, table, words)


@pytest.fixture
def weights(tmp_path: Path, blobs: Tensor) -> Path:
    """The folder of a short run that learned three words."""
    trainer = Trainer(TINY, device="cpu", images=labeled(blobs, "red", "big", "left"))
    for _ in zip(range(8), trainer.steps(), strict=False):
        pass
    trainer.save(tmp_path / "trained", 0.5)
    return tmp_path / "trained"


def invoke(*words: object) -> str:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        result = CliRunner().invoke(cli.app, [str(word) for word in words], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.output


# ---- the weights ----------------------------------------------------------------------------------------------------


def test_known_words_keep_their_channels_and_new_ones_change_nothing_at_first(blobs: Tensor, weights: Path) -> None:
    old, _ = load_model(weights)
    trainer = Trainer(TINY, device="cpu", images=labeled(blobs, "tiny", "left", "red", "blue"), start_from=weights)
    assert trainer.n_known_words == 2
    assert trainer.config.vocabulary == ("tiny", "left", "red", "blue")
    noisy, level = torch.rand(3, 3, 8, 8), torch.full((1, 1, 1, 1), 0.6)
    for tiny, left, red, blue in ((0, 0, 0, 0), (1, 0, 0, 1), (0, 1, 0, 0), (1, 1, 1, 0), (0, 0, 1, 1)):
        asked = torch.tensor([[tiny, left, red, blue]]).float()
        before = old(noisy, level, torch.tensor([[red, 0, left]]).float())
        for network in (trainer.model, trainer.ema):
            torch.testing.assert_close(network(noisy, level, asked), before)
    assert not torch.allclose(old(noisy, level, torch.tensor([[1.0, 0, 0]])), old(noisy, level))
    assert trainer.model.state_dict()["unet.down.0.0.weight"].shape[1] == 3 + 4 + 1


@pytest.mark.parametrize("learned", [True, False])
def test_weights_with_words_start_runs_without_and_the_other_way_around(
    tmp_path: Path, blobs: Tensor, weights: Path, learned: bool
) -> None:
    if not learned:
        weights = tmp_path / "without"
        Trainer(TINY, device="cpu", images=blobs).save(weights, 0.5)
    old, _ = load_model(weights)
    trainer = Trainer(TINY, device="cpu", images=blobs if learned else labeled(blobs, "red"), start_from=weights)
    assert trainer.n_known_words == 0
    noisy, level = torch.rand(3, 3, 8, 8), torch.full((3, 1, 1, 1), 0.6)
    torch.testing.assert_close(trainer.model(noisy, level), old(noisy, level))


def test_a_run_that_starts_from_weights_is_better_at_once(blobs: Tensor, weights: Path, tmp_path: Path) -> None:
    longer = Trainer(replace(TINY, n_images=100 * 16), device="cpu", images=labeled(blobs, "red"))
    *_, loss = longer.steps()
    longer.save(tmp_path / "longer", loss.item())
    losses = []
    for start_from in (None, tmp_path / "longer"):
        trainer = Trainer(TINY, device="cpu", images=labeled(blobs, "red"), start_from=start_from)
        losses.append([loss.item() for _, loss in zip(range(5), trainer.steps(), strict=False)])
    assert max(losses[1]) < min(losses[0])


@pytest.mark.parametrize(
    ("changes", "message", "settings"),
    [
        (
            {"size": 16},
            "draw images of 8 x 8 pixels, not images of 16 x 16 pixels. Train on such images, or",
            {"size": 8},
        ),
        ({"channels": 1}, "draw color images, not gray images. Train on such images, or start from", {"channels": 3}),
        ({"widths": (4, 6)}, r"are for widths \[4, 8\], and the network has \[4, 6\]. Take the network of the", {}),
        ({"depths": (1, 2)}, r"are for depths \[1, 1\], and the network has \[1, 2\]. Take the network of the", {}),
    ],
    ids=["size", "channels", "widths", "depths"],
)
def test_weights_of_another_network_are_refused(
    blobs: Tensor, weights: Path, changes: dict[str, Any], message: str, settings: dict[str, Any]
) -> None:
    config = replace(TINY, **changes)
    images = torch.zeros(40, config.channels, config.size, config.size, dtype=torch.uint8)
    with pytest.raises(DinoError, match=message) as error:
        Trainer(config, device="cpu", images=images, start_from=weights)
    assert error.value.settings == settings
    if settings:
        with pytest.raises(DinoError, match=message):
            fine_tuning.recipe(weights, **changes)


def test_a_learners_own_network_does_not_start_from_weights(blobs: Tensor, weights: Path) -> None:
    parts = Parts(denoiser=denoiser, translate=lambda *_: None)
    with pytest.raises(DinoError, match="are for dino's UNet, and this run trains your own") as error:
        CustomTrainer(TINY, device="cpu", images=blobs, parts=parts, start_from=weights)
    assert error.value.settings == {"mine": False, "start_from": False}


# ---- the recipe -----------------------------------------------------------------------------------------------------


def test_the_recipe_takes_the_network_of_the_weights_and_trains_more_gently_than_the_preset(weights: Path) -> None:
    for path, size in ((weights, 8), ("pretrained-32", 32)):
        config = fine_tuning.recipe(path, data="emoji:food", batch_size=8)
        _, metadata = load_model(path)
        assert [list(config.widths), list(config.depths)] == [metadata["config"][name] for name in ("widths", "depths")]
        assert (config.size, config.data, config.batch_size) == (size, "emoji:food", 8)
        assert config.vocabulary == ()
        for name in ("n_images", "learning_rate", "matrix_learning_rate", "ema_half_life"):
            assert getattr(config, name) < getattr(QUICK, name)


# ---- the run --------------------------------------------------------------------------------------------------------


def test_a_resumed_run_needs_the_weights_no_more_and_is_equal_bit_for_bit(
    blobs: Tensor, weights: Path, tmp_path: Path
) -> None:
    images = labeled(blobs, "tiny", "left")
    whole = Trainer(TINY, device="cpu", images=images, start_from=weights)
    train_to_the_end(whole, tmp_path / "whole")
    first = Trainer(TINY, device="cpu", images=images, start_from=weights)
    steps = train(first, tmp_path / "resumed")
    for progress in steps:
        if progress.step == 17:
            break
    steps.close()
    for file in weights.iterdir():
        file.unlink()
    config = saved_config(tmp_path / "resumed")
    assert config.start_from == str(weights)
    second = Trainer(config, device="cpu", images=images)
    second.load(tmp_path / "resumed")
    train_to_the_end(second, tmp_path / "resumed")
    for name in ("state.safetensors", "model.safetensors"):
        assert (tmp_path / "whole" / name).read_bytes() == (tmp_path / "resumed" / name).read_bytes()


def train_to_the_end(trainer: Trainer, folder: Path) -> None:
    for _ in train(trainer, folder):
        pass


def test_the_run_its_description_and_its_card_say_what_it_started_from(
    blobs: Tensor, weights: Path, tmp_path: Path
) -> None:
    trainer = Trainer(TINY, device="cpu", images=blobs, start_from=weights)
    train_to_the_end(trainer, tmp_path / "tuned")
    assert json.loads((tmp_path / "tuned" / "config.json").read_text())["start_from"] == str(weights)
    assert describe(tmp_path / "tuned")["started from"] == f"{weights}, not from random weights"
    assert "started from" not in describe(weights)
    _, metadata = load_model(tmp_path / "tuned")
    shared = public(metadata | {"config": metadata["config"] | {"start_from": "/home/me/runs/trained"}})
    assert shared["config"]["start_from"] == "trained", "the path is nobody else's business"
    page = card("me/tuned", tmp_path / "tuned" / "model.safetensors", metadata, n_images=36, license="mit")
    assert f"- **started from**: {weights}, not from random weights" in page


def test_the_command_fine_tunes_and_the_run_can_be_resumed(
    image_folder: Path, weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for k, file in enumerate(sorted(image_folder.iterdir())):
        word = "red" if k % 2 else "tiny"
        (image_folder / word).mkdir(exist_ok=True)
        file.rename(image_folder / word / file.name)
    words = ["--data", image_folder, "--start-from", "trained", "--images", 96, "--device", "cpu"]
    output = invoke("train", *words)
    assert "recipe    fine-tuning " in output
    assert f"words     2 that describe the images, 1 of them known to {weights}: " in output
    assert f"started from {weights}, not from random weights" in invoke("info", "runs/tuned-1")
    assert saved_config(Path("runs/tuned-1")).widths == (4, 8)
    again = invoke("train", "--resume", "runs/tuned-1", "--images", 192)
    assert "known to" not in again
    assert saved_config(Path("runs/tuned-1")).n_images == 192


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--data", "dinos:50", "--size", 64), "not images of 64 x 64 pixels. Train on such images, or start from"),
        (("--data", "dinos:50", "--channels", 1), "draw color images, not gray images"),
        (("--data", "dinos:50", "--preset", "full"), "the network is that of the weights, and the settings are those"),
        ((), "--start-from goes with --data"),
        (("--resume", "runs/x"), "a resumed run keeps its own settings"),
    ],
)
def test_options_that_do_not_go_with_the_weights_are_refused_in_one_line(
    words: tuple[object, ...], message: str
) -> None:
    result = CliRunner().invoke(cli.app, ["train", "--start-from", "pretrained", *map(str, words)])
    assert isinstance(result.exception, DinoError)
    assert message in str(result.exception)


def test_weights_that_do_not_exist_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DinoError, match=r"there is no file .*nowhere\. Name a run folder or a weights file"):
        fine_tuning.recipe(tmp_path / "nowhere")


def test_every_pretrained_model_can_be_started_from() -> None:
    for name in PRETRAINED:
        config = replace(fine_tuning.recipe(name), precision="float32", layout="contiguous", maximum="amax")
        old, _ = load_model(name)
        images = torch.zeros(4, 3, config.size, config.size, dtype=torch.uint8)
        trainer = Trainer(config, device="cpu", images=images, start_from=name)
        noisy, level = torch.rand(1, *images.shape[1:]), torch.full((1, 1, 1, 1), 0.5)
        torch.testing.assert_close(trainer.model(noisy, level), old(noisy, level), atol=1e-4, rtol=1e-4)
        assert asdict(trainer.config)["start_from"] == name
