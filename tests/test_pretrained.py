"""The pretrained models: small, undamaged, and as good as their cards say."""

import re
from pathlib import Path

import pytest
import torch
from typer.testing import CliRunner

from dino import cli
from dino.data.loading import fingerprint, load_images, load_labeled_images
from dino.evaluation import loss_by_noise_level
from dino.images import to_unit
from dino.reports.evaluate import LEVELS
from dino.steering import asking
from dino.trainer.batched_sampling import Steps, Wishes, generate_batched
from dino.trainer.model_file import PRETRAINED, image_shape, load_model, save_model, vocabulary, word_sets
from dino.trainer.run_folder import find_weights

NAMES = [path.stem for path in sorted(set(PRETRAINED.values()))]
PAGE = (Path(__file__).parents[1] / "docs" / "model.md").read_text()
_, *SECTIONS = re.split(r"^## `(pretrained-\d+)`$", PAGE, flags=re.MULTILINE)
CARDS = dict(zip(SECTIONS[::2], SECTIONS[1::2], strict=True))


@pytest.mark.parametrize("file", sorted(set(PRETRAINED.values())), ids=lambda file: file.stem)
def test_each_file_has_at_most_5_megabytes(file: Path) -> None:
    assert file.stat().st_size <= 5_000_000


@pytest.mark.parametrize("name", NAMES)
def test_it_was_trained_on_the_training_images_alone_and_its_card_has_its_true_losses(name: str) -> None:
    model, metadata = load_model(name)
    config, words, losses = metadata["config"], vocabulary(metadata), []
    for part in "training", "held out":
        real = load_labeled_images(config["data"], config["size"], vocabulary=words, part=part)
        if part == "training":
            assert metadata["fingerprint"] == fingerprint(real.images)
        chosen = torch.arange(len(real.images))[:: max(1, len(real.images) // 64)][:64]
        denoiser = asking(model, real.words[chosen].float()) if words else model
        losses.append(loss_by_noise_level(denoiser, to_unit(real.images[chosen]), LEVELS).mean().item())
    row = re.search(r"^\| mean +\| +([\d.]+) \| +([\d.]+) \|$", CARDS[name], re.MULTILINE)
    assert row, "the card has no table of losses"
    # The card's are of more images and of other noise, so the numbers are only similar.
    assert losses == pytest.approx([float(row[1]), float(row[2])], rel=0.2)
    assert f"{metadata['images_seen']:,}" in CARDS[name]


def invoke(*words: str) -> str:
    result = CliRunner().invoke(cli.app, list(words), catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.output


def test_the_commands_draw_with_it_until_there_is_a_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert "the pretrained model" in invoke("sample", "-n", "2", "--steps", "2")
    assert (tmp_path / "runs" / "pretrained" / "generated.png").exists()
    assert "stegosaurus" in invoke("info")
    model, metadata = load_model("pretrained-32")
    save_model(tmp_path / "runs" / "quick-1" / "model.safetensors", model, metadata)
    assert "runs/quick-1" in invoke("sample", "-n", "2", "--steps", "2")
    assert (tmp_path / "runs" / "quick-1" / "generated.png").exists()
    assert "the pretrained model" in invoke("sample", "pretrained", "-n", "2", "--steps", "2")
    assert find_weights(None) == (Path("runs/quick-1"), Path("runs/quick-1"))
    assert find_weights(Path("a/b.safetensors")) == (Path("a/b.safetensors"), Path("a"))
    (tmp_path / "pretrained").mkdir()  # a folder of that name comes first
    assert find_weights(Path("pretrained")) == (Path("pretrained"), Path("pretrained"))


@pytest.mark.parametrize("name", NAMES)
def test_its_images_are_plausible_and_all_different(name: str) -> None:
    from dino.reports.diagnosis import PLAUSIBLE
    from dino.reports.symptoms import sample_stats

    model, metadata = load_model(name)
    real = to_unit(load_images(metadata["config"]["data"], metadata["config"]["size"], part="training"))
    sets = word_sets(metadata)[:16]
    wishes = Wishes(sets if len(sets) else None)
    samples = generate_batched(model, 16, image_shape=image_shape(metadata), steps=Steps.of(20), wishes=wishes)
    for measure, value in sample_stats(samples, real)._asdict().items():
        low, high = PLAUSIBLE[measure]
        assert low < value < high, measure
