"""The preset `iadb`: other noise, another target and other noise levels, and everything that draws follows the file."""

import json
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from typer.testing import CliRunner

import dino
from dino import cli, noise, sampler
from dino.common.errors import DinoError
from dino.data.loading import LabeledImages, without_words
from dino.images import seeded
from dino.noise import mix
from dino.reports.evaluate import losses
from dino.rosetta import VelocityDenoiser
from dino.trainer import fine_tuning, run, tensor_file
from dino.trainer.batched_sampling import Steps, Wishes, generate_batched
from dino.trainer.config import NOISING, PLAIN, Config
from dino.trainer.custom import CustomTrainer, Parts
from dino.trainer.model_file import load_model
from dino.trainer.noising import add_noise, check_plain, draw_noise, loss_of, low_noise_weight, noise_kind
from dino.trainer.presets import PRESETS
from dino.trainer.trainer import Trainer

TINY = Config(
    data="blobs", size=8, widths=(4, 8), depths=(1, 1), n_images=320, batch_size=16, learning_rate=1e-3,
    precision="float32", layout="channels_last", maximum="max_pool",
)  # fmt: skip
IADB = replace(TINY, noise="gaussian", target="velocity", levels="lognormal")


@pytest.fixture
def labeled(blobs: Tensor) -> LabeledImages:
    words = torch.randint(0, 2, (len(blobs), 2), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)
    return LabeledImages(blobs, words, ("red", "big"))


@pytest.fixture
def trained(tmp_path: Path, blobs: Tensor) -> Path:
    """The folder of a short run."""
    for _ in run.train(Trainer(IADB, images=blobs), tmp_path / "iadb"):
        pass
    return tmp_path / "iadb"


def test_the_preset_differs_from_quick_in_noise_target_and_levels_only() -> None:
    quick, iadb = asdict(PRESETS["quick"]), asdict(PRESETS["iadb"])
    assert {name: iadb[name] for name in iadb if iadb[name] != quick[name]} == {
        "noise": "gaussian", "target": "velocity", "levels": "lognormal",
    }  # fmt: skip
    assert {name: quick[name] for name in NOISING} == PLAIN


@pytest.mark.parametrize("name", NOISING)
def test_a_value_that_nobody_knows_is_refused(name: str) -> None:
    with pytest.raises(DinoError, match=f"{name} is {' or '.join(NOISING[name])}, not 'purple'"):
        replace(TINY, **{name: "purple"})


# ---- training --------------------------------------------------------------------------------------------------------


def test_a_plain_configuration_draws_the_numbers_of_lesson_01() -> None:
    clean = torch.rand(5, 3, 8, 8)
    ours, theirs = (f(seeded("cpu", "noise")) for f in (
        lambda g: add_noise(clean, TINY, generator=g), lambda g: noise.add_noise(clean, generator=g),
    ))  # fmt: skip
    assert all(map(torch.equal, ours, theirs))


def test_gaussian_noise_has_mean_0_and_standard_deviation_1_in_the_scale_of_images_in_minus_1_to_1() -> None:
    drawn = 2 * draw_noise((200, 3, 16, 16), "gaussian", generator=seeded("cpu", "gaussian")) - 1
    assert abs(drawn.mean()) < 0.01
    assert abs(drawn.std() - 1) < 0.01
    assert abs((drawn**4).mean() - 3) < 0.1


def test_lognormal_levels_are_one_from_each_part_of_the_distribution() -> None:
    clean = torch.zeros(8, 3, 2, 2)
    _, level = add_noise(clean, IADB, generator=seeded("cpu", "levels"))
    log_sigma = torch.logit(level.flatten().double())
    parts = (torch.special.ndtr(log_sigma) * 8).floor()
    assert parts.sort().values.tolist() == list(range(8))


@pytest.mark.parametrize("words", [False, True])
def test_the_loss_is_that_of_the_networks_own_output(words: bool, labeled: LabeledImages) -> None:
    images = labeled if words else without_words(labeled.images)
    trainer = Trainer(replace(IADB, max_words=2 * words), images=images)
    assert isinstance(trainer.model, VelocityDenoiser)
    clean, random = torch.rand(16, 3, 8, 8), seeded("cpu", "loss")
    condition = [labeled.words[:16].float()] * words
    noise, level = draw_noise(clean.shape, "gaussian", generator=random), 0.01 + 0.9 * torch.rand(16, 1, 1, 1)
    noisy = mix(clean, noise, level)
    output = trainer.model.network(2 * noisy - 1, level, *condition)
    direct = F.mse_loss(output, (2 * clean - 1) - (2 * noise - 1))
    ours = loss_of(trainer.model(noisy, level, *condition), clean, level, trainer.config)
    assert torch.allclose(ours, direct, rtol=1e-4)


def test_the_loss_of_a_level_of_0_is_finite() -> None:
    clean = torch.rand(4, 3, 8, 8)
    assert loss_of(clean + 1e-3, clean, torch.zeros(4, 1, 1, 1), IADB).isfinite()


def test_low_noise_levels_count_more_and_all_levels_together_the_same() -> None:
    levels = torch.linspace(0, 1, 100_001, dtype=torch.float64)
    weights = low_noise_weight(levels)
    assert weights.mean().item() == pytest.approx(1, abs=1e-3)
    assert (weights.diff() < 0).all()
    assert (weights[0] / weights[-1]).item() == pytest.approx(101)
    clean, error = torch.rand(5, 3, 8, 8), 0.1 * torch.rand(5, 3, 8, 8)
    level = torch.tensor([0.0, 0.1, 0.3, 0.7, 1.0]).view(5, 1, 1, 1)
    weighted = loss_of(clean + error, clean, level, replace(TINY, weighting="low"))
    by_hand = [low_noise_weight(level[k]).item() * error[k].square().mean().item() for k in range(5)]
    assert weighted.item() == pytest.approx(sum(by_hand) / 5, rel=1e-4)
    velocity = loss_of(clean + error, clean, level.clamp(0.1), replace(TINY, weighting="low", target="velocity"))
    by_hand = [4 / k**2 * low_noise_weight(torch.tensor(k)).item() for k in level.clamp(0.1).flatten().tolist()]
    errors = error.square().mean(dim=(1, 2, 3)).tolist()
    expected = sum(weight * each for weight, each in zip(by_hand, errors, strict=True)) / 5
    assert velocity.item() == pytest.approx(expected, rel=1e-4)


def test_each_choice_can_be_made_alone_and_trains(blobs: Tensor) -> None:
    for name, (_, other) in NOISING.items():
        trainer = Trainer(replace(TINY, **{name: other}), images=blobs)
        before = [weight.clone() for weight in trainer.weights]
        for _ in zip(range(3), trainer.steps(), strict=False):
            pass
        assert trainer.read_losses() > 0
        assert not all(map(torch.equal, before, trainer.weights))


# ---- files and sampling ----------------------------------------------------------------------------------------------


class Recorder(nn.Module):
    """A denoiser that keeps its first input."""

    def __init__(self) -> None:
        super().__init__()
        self.weight, self.first = nn.Parameter(torch.zeros(1)), torch.empty(0)

    def forward(self, noisy: Tensor, noise_level: Tensor) -> Tensor:  # noqa: ARG002
        self.first = self.first if len(self.first) else noisy.clone()
        return 0.5 * torch.ones_like(noisy)


def test_sampling_starts_from_the_noise_of_the_file() -> None:
    for kind, std in (("uniform", 12**-0.5), ("gaussian", 0.5)):
        recorder = Recorder()
        generate_batched(recorder, 40, image_shape=(3, 16, 16), steps=Steps.of(1), noise=kind)
        assert abs(recorder.first.std() - std) < 0.01


@pytest.mark.parametrize(("config", "std"), [(TINY, 12**-0.5), (IADB, 0.5)])
def test_the_grids_of_a_run_start_from_its_noise(config: Config, std: float, blobs: Tensor) -> None:
    trainer = Trainer(config, images=blobs)
    recorder = Recorder()
    trainer.ema = recorder
    images = trainer.sample(64)
    assert images.shape == (64, 3, 8, 8)
    assert abs(recorder.first.std() - std) < 0.01


def test_the_public_function_draws_and_varies_from_the_noise_of_the_file(trained: Path) -> None:
    _, metadata = load_model(trained)
    recorder, shape = Recorder(), dino.image_shape(metadata)
    drawn = dino.generate_as_saved(recorder, metadata, 64, image_shape=shape)
    assert abs(recorder.first.std() - 0.5) < 0.01
    recorder = Recorder()
    dino.generate_as_saved(recorder, metadata, 64, image_shape=shape, wishes=Wishes(start=drawn[:1], noise_level=0.5))
    assert abs(recorder.first.std() - 0.25) < 0.01


def test_a_saved_model_predicts_images_as_the_run_did(trained: Path, blobs: Tensor) -> None:
    model, metadata = load_model(trained)
    assert isinstance(model, VelocityDenoiser)
    assert noise_kind(metadata) == "gaussian"
    trainer = Trainer(IADB, images=blobs)
    trainer.load(trained)
    noisy, level = torch.rand(2, 3, 8, 8), torch.full((1, 1, 1, 1), 0.4)
    with torch.no_grad():
        assert torch.allclose(model(noisy, level), trainer.ema(noisy, level), atol=1e-6)
        *_, last = sampler.denoise(model, draw_noise((2, 3, 8, 8), "gaussian"), [1.0, 0.5, 0.0])
    assert last.noisy.isfinite().all()


def test_a_file_without_the_fields_is_a_plain_one(tmp_path: Path, blobs: Tensor) -> None:
    Trainer(TINY, images=blobs).save(tmp_path, 0.1)
    weights, metadata = tensor_file.read(tmp_path / "model.safetensors", "weights")
    for name in NOISING:
        del metadata["config"][name]
    assert Config.from_dict(json.loads(json.dumps(metadata["config"]))) == TINY
    tensor_file.write(tmp_path / "old.safetensors", "weights", weights, metadata)
    model, metadata = load_model(tmp_path / "old.safetensors")
    assert not isinstance(model, VelocityDenoiser)
    assert noise_kind(metadata) == "uniform"
    check_plain(metadata, "a page")


def test_the_measured_losses_are_of_images_and_of_the_models_own_noise(blobs: Tensor) -> None:
    from types import SimpleNamespace

    real = SimpleNamespace(training=blobs, held_out=blobs[:0], training_words=None, held_out_words=None)
    recorder = Recorder()
    report = losses(recorder, real, noise="gaussian")  # type: ignore[arg-type]
    assert all(loss is not None and loss > 0 for loss in report["training"])
    plain = losses(Recorder(), real, noise="uniform")  # type: ignore[arg-type]
    assert report["training"] == pytest.approx(plain["training"])  # it doesn't look at its input


# ---- what takes plain models only ------------------------------------------------------------------------------------


@pytest.mark.parametrize("command", [["page"], ["export"]])
def test_a_page_and_an_onnx_file_refuse_such_a_model_in_one_line(trained: Path, command: list[str]) -> None:
    result = CliRunner().invoke(cli.app, [*command, str(trained)])
    assert result.exit_code == 1
    message = str(result.exception)
    if "ONNX files need other packages" in message:
        pytest.skip("onnx isn't installed")
    assert "models that predict images from uniform noise, and this one has noise gaussian, target velocity" in message
    assert "\n" not in message


def test_a_learners_parts_refuse_such_a_run(blobs: Tensor) -> None:
    for name, (_, other) in NOISING.items():
        with pytest.raises(DinoError, match=f"of the lessons and no flaws, not {name} {other}") as refused:
            CustomTrainer(replace(TINY, **{name: other}), parts=Parts(), images=blobs)
        assert refused.value.settings == {"mine": False, "preset": "quick"}


def test_fine_tuning_keeps_the_noise_and_the_target_of_the_weights(trained: Path, blobs: Tensor) -> None:
    config = fine_tuning.recipe(trained, n_images=64)
    assert (config.noise, config.target) == ("gaussian", "velocity")
    trainer = Trainer(replace(config, data="blobs"), images=blobs, start_from=trained)
    model, _ = load_model(trained)
    assert all(map(torch.equal, trainer.model.parameters(), model.parameters()))
    with pytest.raises(DinoError, match="are for noise gaussian, and the run is for uniform"):
        Trainer(TINY, images=blobs, start_from=trained)


def test_the_command_that_samples_follows_the_file(trained: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from dino.trainer import batched_sampling

    kinds: list[str] = []
    real: Callable[..., Tensor] = batched_sampling.draw_noise

    def watched(shape: tuple[int, ...], kind: str, **options: object) -> Tensor:
        kinds.append(kind)
        return real(shape, kind, **options)

    monkeypatch.setattr(batched_sampling, "draw_noise", watched)
    result = CliRunner().invoke(cli.app, ["sample", str(trained), "-n", "2", "--device", "cpu"])
    assert result.exit_code == 0, result.output
    assert kinds == ["gaussian"]
