"""dino doctor: symptoms of a run are recognized, and runs with recorded bugs are distinguished from healthy ones."""

import json
import math
import shutil
import warnings
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from typer.testing import CliRunner

from dino import cli, training
from dino.common.errors import DinoError
from dino.common.grids import save_grid
from dino.data.loading import LabeledImages, load_images
from dino.denoiser import UNet
from dino.images import to_unit
from dino.reports import diagnosis, symptoms
from dino.reports.diagnosis import (
    RecordedRun,
    comparable,
    diagnose,
    dissimilarity,
    healthy_ranges,
    most_similar,
    plausible_ranges,
    plot,
    range_symptoms,
    recorded_runs,
    verdict,
)
from dino.reports.symptoms import (
    Run,
    SampleStats,
    level_symptoms,
    loss_symptoms,
    read_log,
    read_run,
    read_sample_stats,
    sample_stats,
    smoothed,
    statistics,
    unknown_stats,
)
from dino.trainer import run
from dino.trainer.config import Config
from dino.trainer.custom import CustomTrainer, Parts
from dino.trainer.presets import PRESETS
from dino.trainer.run_folder import describe, progress
from dino.trainer.trainer import Trainer
from scripts.benchmarks import gallery

TINY = Config(
    data="no such images.parquet", size=8, widths=(4, 8), depths=(1, 1), n_images=60 * 16, batch_size=16,
    learning_rate=3e-3, precision="float32", ema_half_life=200, seed=3,
)  # fmt: skip


def trained(folder: Path, images: Tensor | LabeledImages, parts: Parts | None = None, config: Config = TINY) -> Path:
    """Train a run, on blobs. Returns its folder."""
    for _ in run.train(CustomTrainer(config, device="cpu", images=images, parts=parts or Parts()), folder):
        pass
    return folder


def step_with(loss_of: Callable[..., Tensor] = training.denoising_loss, *, moves: bool = True) -> Callable[..., float]:
    def train_step(
        model: nn.Module, optimizer: torch.optim.Optimizer, clean: Tensor, *, generator: torch.Generator | None = None
    ) -> float:
        optimizer.zero_grad()
        loss = loss_of(model, clean, generator=generator)
        loss.backward()
        if moves:
            optimizer.step()
        return loss.item()

    return train_step


def lesson_03(**other: Any) -> Parts:
    names = {"train_step": training.train_step, "update_average": training.update_average}
    return Parts(training=SimpleNamespace(**names | other))


class Blind(UNet):
    def forward(self, noisy: Tensor, noise_level: Tensor) -> Tensor:
        return super().forward(noisy, 0 * noise_level)


class WithoutTheDeepest(UNet):
    def forward(self, noisy: Tensor, noise_level: Tensor) -> Tensor:
        level = noise_level.expand(len(noisy), 1, *noisy.shape[2:])
        return self.head(self.down[0](torch.cat([noisy, level], dim=1)))


# ---- symptoms of the weights ----------------------------------------------------------------------------------------

CASES: dict[str, tuple[Parts, str]] = {
    "healthy": (Parts(), ""),
    "healthy, with the training step of lesson 03": (lesson_03(), ""),
    "EMA with a decay of 0": (
        lesson_03(update_average=lambda average, model, decay: training.update_average(average, model, 0.0)),
        "nothing is averaged",
    ),
    "EMA never updated": (
        lesson_03(update_average=lambda average, model, decay: None),
        "the EMA weights, which draw the samples, are still those that the run started with",
    ),
    "no step": (
        lesson_03(train_step=step_with(moves=False)),
        "exactly those that the run started with, so nothing was learned",
    ),
    "level times 0": (Parts(denoiser=SimpleNamespace(UNet=Blind)), "the network doesn't see the noise level"),
    "deepest stages unused": (
        Parts(denoiser=SimpleNamespace(UNet=WithoutTheDeepest)),
        "14 of 32 weight tensors never received a gradient (down.1.0.weight, ",
    ),
}


class Careful(nn.Module):
    """Trust the noisy image as far as the noise level allows, and the mean color for the rest."""

    def __init__(self, real: Tensor, *, is_inverted: bool = False) -> None:
        super().__init__()
        self.mean, self.is_inverted = real.mean(dim=(0, 2, 3), keepdim=True), is_inverted

    def forward(self, noisy: Tensor, noise_level: Tensor) -> Tensor:
        return torch.lerp(noisy, self.mean, 1 - noise_level if self.is_inverted else noise_level)


def test_a_network_that_knows_the_opposite_noise_level_is_recognized(blobs: Tensor) -> None:
    real = to_unit(blobs)
    assert not level_symptoms(Careful(real), "uniform", real)
    [symptom] = level_symptoms(Careful(real, is_inverted=True), "uniform", real)
    assert "predicts better with the opposite noise level" in symptom.finding
    for knows_nothing in (nn.Identity(), nn.Conv2d(3, 3, 1)):  # whatever the level
        assert not level_symptoms(Always(knows_nothing), "uniform", real)


class Always(nn.Module):
    """A network that doesn't look at the noise level."""

    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner = inner

    def forward(self, noisy: Tensor, noise_level: Tensor) -> Tensor:  # noqa: ARG002
        predicted: Tensor = self.inner(noisy)
        return predicted


@pytest.mark.parametrize("name", CASES)
def test_symptoms_of_the_saved_weights_are_found_and_no_others(name: str, tmp_path: Path, blobs: Tensor) -> None:
    parts, finding = CASES[name]
    report, _ = diagnose(trained(tmp_path / "run", blobs, parts))
    findings = [symptom["finding"] for symptom in report["symptoms"]]
    if finding:
        assert finding in findings[0]
        assert finding in report["verdict"]
    else:
        assert not findings
    assert all(symptom["advice"] for symptom in report["symptoms"])


@pytest.mark.parametrize("name", ["healthy", "no step", "level times 0", "deepest stages unused"])
def test_symptoms_of_the_weights_are_the_same_with_words_and_muon(name: str, tmp_path: Path, blobs: Tensor) -> None:
    parts, finding = CASES[name]
    labeled = LabeledImages(blobs, (blobs[:, :2].float().mean(dim=(2, 3)) > 215).byte(), ("red", "green"))
    config = replace(TINY, optimizer="muon", max_words=2)
    report, _ = diagnose(trained(tmp_path / "run", labeled, parts, config))
    findings = [symptom["finding"] for symptom in report["symptoms"]]
    assert len(findings) == bool(finding)
    if finding:
        assert finding.replace("(down", "(unet.down") in findings[0]


OTHER_LOSSES: dict[str, tuple[dict[str, Any], str]] = {
    "iadb": ({"noise": "gaussian", "target": "velocity", "levels": "lognormal"}, "the error of the velocity"),
    "velocity": ({"target": "velocity"}, "the error of the velocity"),
    "low": ({"weighting": "low"}, "an error in which low noise levels count more"),
    "flaws": ({"flaws": 0.5}, "an error on images with flaws added to them"),
    "low and lognormal": ({"weighting": "low", "levels": "lognormal"}, "in which low noise levels count more"),
}


@pytest.mark.parametrize("name", OTHER_LOSSES)
def test_a_healthy_run_with_another_loss_is_not_blamed(
    name: str, tmp_path: Path, blobs: Tensor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(symptoms, "real_images", lambda _: to_unit(blobs))
    monkeypatch.setattr(diagnosis, "SETTLED", 10**6)  # so short a run draws nothing that is plausible
    fields, said = OTHER_LOSSES[name]
    config = replace(TINY, n_images=300 * 16, **fields)
    for _ in run.train(Trainer(config, images=blobs, device="cpu"), tmp_path / "run"):
        pass
    printed = doctor(tmp_path / "run", "--json", tmp_path / "doctor.json")
    report = strictly(tmp_path / "doctor.json")
    assert not report["symptoms"], report["verdict"]
    assert said in printed
    assert "nothing looks broken" in printed
    assert report["sample_stats"]["brightness"] is not None
    another_scale = name not in ("low", "flaws")
    assert (report["loss_of_mean_color"] is None) == ("loss_of_mean_color" in report["unknown"]) == another_scale
    assert ("baselines" in printed) != another_scale


def test_a_diagnosis_changes_neither_the_random_state_nor_the_run_folder(tmp_path: Path, blobs: Tensor) -> None:
    folder = trained(tmp_path / "run", blobs)
    files = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    diagnose(folder)
    assert torch.equal(torch.rand(3), expected)
    assert {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()} == files


# ---- symptoms of the losses -----------------------------------------------------------------------------------------


def run_with(losses: list[float], **other: Any) -> Run:
    """Return a run of the preset quick with these losses, one for each row of its log, and with nothing else."""
    config = PRESETS["quick"]
    curve = [(config.n_images * (k + 1) // len(losses), loss) for k, loss in enumerate(losses)]
    rest = {"samples": [], "loss_of_mean_image": 0.042, "loss_of_mean_color": 0.11, "symptoms": []}
    return Run(config=config, log=curve, step=config.n_steps, **rest | other)


def test_a_loss_flat_at_that_of_the_mean_image_or_color_is_recognized() -> None:
    for level, name in (0.042, "mean image"), (0.11, "mean color"):
        flat = [0.2, 0.15, *[level * (1 + 0.02 * (-1) ** k) for k in range(60)]]
        [symptom] = loss_symptoms(run_with(flat))
        assert f"always predicting the {name}" in symptom.finding
        assert "noise level" in symptom.advice
        falling = [math.exp(math.log(level) + 0.03 * (20 - k)) for k in range(40)]  # it falls past that loss
        assert not loss_symptoms(run_with(falling[:21]))


def test_a_loss_that_rose_is_reported_with_its_lowest_value() -> None:
    fallen = [0.1 * 0.95**k for k in range(60)]
    assert not loss_symptoms(run_with(fallen))
    [symptom] = loss_symptoms(run_with([*fallen, *[0.03] * 20]))
    assert symptom.finding.startswith("the loss fell to 0.006")
    assert symptom.finding.endswith("and then rose to 0.0300")
    assert "lower learning rate than 0.0015" in symptom.advice


def test_a_huge_loss_is_reported_as_growing_numbers() -> None:
    [symptom] = loss_symptoms(run_with([0.2, 0.1, *[0.1 * 1.5**k for k in range(20)]]))
    assert "far above that of always predicting the mean color (0.1100)" in symptom.finding
    assert "gradients cleared" in symptom.advice


def test_healthy_losses_with_unhealthy_samples_point_to_the_sampler() -> None:
    run = as_run(HEALTHY[0], 24_000, BASE)
    grainy = replace(run, samples=[(24_000, run.samples[-1][1]._replace(grain=20.0))])
    [symptom] = range_symptoms(grainy, healthy_ranges(RECORDED, run))
    assert symptom.finding.startswith("the loss is healthy, but the samples are grainy")
    assert "look at the sampler" in symptom.advice


def test_the_losses_of_always_predicting_the_mean_are_computed_correctly(
    tmp_path: Path, blobs: Tensor, image_folder: Path, denoiser_of: Any
) -> None:
    run = read_run(trained(tmp_path / "run", blobs, config=replace(TINY, data=str(image_folder))))
    real = to_unit(load_images(str(image_folder), 8, part="training"))
    both = torch.cat([real, real.flip(-1)])
    for prediction, loss in (both.mean(dim=0, keepdim=True), run.loss_of_mean_image), (
        both.mean(dim=(0, 2, 3), keepdim=True), run.loss_of_mean_color,
    ):  # fmt: skip
        assert F.mse_loss(prediction.expand_as(both), both).item() == pytest.approx(loss, rel=1e-4)
    assert run.loss_of_mean_color > run.loss_of_mean_image


# ---- statistics of samples ------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def faces() -> Tensor:
    return to_unit(load_images("emoji:faces,noto", 32, part="training", cache=False))


def test_the_statistics_of_real_images_are_1_and_each_damage_moves_its_own_number(faces: Tensor) -> None:
    half, other = faces[::2], faces[1::2]
    assert sample_stats(faces, faces) == SampleStats(1, 1, 1, 1)
    for value in sample_stats(half, other):
        assert 0.75 < value < 1.3
    noise = torch.rand(other.shape, generator=torch.Generator().manual_seed(0)) - 0.5
    assert sample_stats((other + 0.1 * noise).clamp(0, 1), half).grain > 2
    assert sample_stats(F.interpolate(F.avg_pool2d(other, 4), scale_factor=4), half).detail < 0.4
    assert sample_stats(other[:1].expand_as(other), half).variety < 0.01
    assert sample_stats(other * 0.7, half).brightness == pytest.approx(
        0.7 * sample_stats(other, half).brightness, rel=0.01
    )


def test_sample_grids_are_read_back_as_they_were_drawn(faces: Tensor, tmp_path: Path) -> None:
    save_grid(faces[:36], tmp_path / "000000064.png")
    save_grid(faces[36:72], tmp_path / "000001000.png")
    found = read_sample_stats(tmp_path, faces)
    assert [images for images, _ in found] == [64, 1000]
    for (_, ours), samples in zip(found, (faces[:36], faces[36:72]), strict=True):
        assert ours == pytest.approx(sample_stats(samples, faces), abs=0.01)


# ---- numbers that can't be known ------------------------------------------------------------------------------------

SHORT = replace(TINY, n_images=50 * 4, batch_size=4)  # two rows of the log


@pytest.fixture(scope="module")
def short_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A complete run of fifty steps. It must stay as it is."""
    random = torch.Generator().manual_seed(1)
    images = torch.randint(0, 255, (9, 3, 8, 8), generator=random, dtype=torch.uint8)
    return trained(tmp_path_factory.mktemp("short") / "run", images, config=SHORT)


def strictly(path: Path) -> Any:
    """Parse JSON as other languages do, which know no NaN and no Infinity."""
    return json.loads(path.read_text(), parse_constant=lambda name: pytest.fail(f"{name} is no JSON"))


def test_a_log_of_two_rows_is_enough_and_info_and_doctor_agree_on_the_state(
    short_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(symptoms, "real_images", lambda _: torch.rand(9, 3, 8, 8))
    assert len(read_log(short_run / "log.csv")) == 2
    printed = doctor(short_run, "--json", tmp_path / "doctor.json")
    assert "step 50 of 50 (complete), 200 images" in printed
    assert "the mean of the last 2 rows of the log" in printed
    assert "step 50: nothing looks broken" in printed
    assert strictly(tmp_path / "doctor.json")["progress"] == describe(short_run)["run"] == "complete"


@pytest.mark.parametrize("n_rows", range(2, 12))
def test_a_log_of_any_length_is_judged_without_an_error(n_rows: int) -> None:
    assert not loss_symptoms(run_with([0.2 * 0.8**k for k in range(n_rows)]))
    assert not loss_symptoms(run_with([0.0] * n_rows, loss_of_mean_image=0.0, loss_of_mean_color=0.0))


EQUAL_ONES = torch.rand(1, 3, 8, 8, generator=torch.Generator().manual_seed(0)).expand(8, -1, -1, -1)
FEW: dict[str, tuple[Tensor, dict[str, str]]] = {
    "one picture": (EQUAL_ONES[:1], {"variety": "there is only one real image"}),
    "eight equal ones": (EQUAL_ONES, {"variety": "the real images are all equal, or nearly so"}),
    "eight black ones": (
        torch.zeros(8, 3, 8, 8),
        {
            "detail": "the real images have no fine details",
            "variety": "the real images are all equal, or nearly so",
            "brightness": "the real images are black, or nearly so",
        },
    ),
    "two different ones": (torch.cat([EQUAL_ONES[:1], 1 - EQUAL_ONES[:1]]), {}),
}


@pytest.mark.parametrize("name", FEW)
def test_statistics_that_few_or_equal_pictures_do_not_have_are_unknown_and_decide_nothing(
    name: str, short_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, unknown = FEW[name]
    monkeypatch.setattr(symptoms, "real_images", lambda _: real)
    monkeypatch.setattr(diagnosis, "SETTLED", 1)  # from the first step on, samples may be implausible
    printed = doctor(short_run, "--json", tmp_path / "doctor.json")
    report = strictly(tmp_path / "doctor.json")
    assert report["unknown"] == {f"sample_stats.{each}": reason for each, reason in unknown.items()}
    for each, value in report["sample_stats"].items():
        assert (value is None) == (each in unknown)
        assert (f"| samples' {each:<12} |  unknown |" in printed) == (each in unknown)
        if each in unknown:
            assert f"({each} " not in report["verdict"]
            assert f"because {unknown[each]}" in printed
    assert "nan" not in printed
    assert " inf" not in printed


def test_a_grid_of_one_sample_and_images_of_one_pixel_have_no_variety_and_no_details() -> None:
    one, many, pixels = torch.rand(1, 3, 9, 9), torch.rand(5, 3, 9, 9), torch.rand(5, 3, 1, 1)
    assert sample_stats(one, many).variety is None
    assert sample_stats(many, many) == SampleStats(1, 1, 1, 1)  # an odd side
    assert sample_stats(pixels, pixels) == SampleStats(None, None, 1, 1)
    of_one = [(0, sample_stats(one, many))]
    assert unknown_stats(of_one, statistics(many), 5) == {
        "sample_stats.variety": "the last sample grid has a single image"
    }
    assert set(unknown_stats([(0, SampleStats(None, None, 1, 1))], statistics(pixels), 5).values()) == {
        "the images have a side of one pixel"
    }


def test_real_images_without_grain_make_no_grain_implausible() -> None:
    run = run_with([0.2, 0.1], samples=[(40_000, SampleStats(1, 20, 1, 1))])
    [symptom] = range_symptoms(run, plausible_ranges(run))
    assert "grainy" in symptom.finding
    smooth = replace(run, smooth=True)
    assert not range_symptoms(smooth, plausible_ranges(smooth))


def test_a_loss_that_falls_is_not_called_growing_however_low_that_of_the_mean_color_is() -> None:
    for color in (0.0, 1e-4, None):
        assert not loss_symptoms(run_with([0.3, 0.2, 0.12, 0.08], loss_of_mean_color=color, loss_of_mean_image=color))
        assert not loss_symptoms(run_with([3e-3] * 8, loss_of_mean_color=color, loss_of_mean_image=None))
    [symptom] = loss_symptoms(run_with([0.3] * 8, loss_of_mean_color=0.0))
    assert "far above that of always predicting the mean color (0.0000)" in symptom.finding
    [symptom] = loss_symptoms(run_with([900.0, 500.0, 300.0, 200.0]))  # no image has such a loss
    assert "far above" in symptom.finding
    assert not loss_symptoms(run_with([0.1, 1e-7, 1e-7, *[1e-6] * 20], loss_of_mean_color=0.0))  # can't be seen


def with_losses(run: Path, copy: Path, losses: list[str]) -> Path:
    """Copy a run, with other losses in its log."""
    shutil.copytree(run, copy)
    rows = [f"{25 * (k + 1)},{100 * (k + 1)},{loss},9" for k, loss in enumerate(losses)]
    (copy / "log.csv").write_text("\n".join(["step,images,loss,images_per_second", *rows, ""]))
    return copy


def test_losses_that_are_not_finite_are_a_symptom_and_the_others_are_judged(short_run: Path, tmp_path: Path) -> None:
    folder = with_losses(short_run, tmp_path / "run", ["0.3", "nan", "0.2", "", "inf"])
    printed = doctor(folder)
    report = strictly(folder / "doctor.json")
    assert report["loss"] == pytest.approx(0.25)
    assert "the loss is not a finite number in 3 of the 5 rows of the log, first after 200 images" in report["verdict"]
    assert "Does the training step return the loss of its batch?" in printed
    for losses, line in (["nan"] * 3, "0 of the 3 rows"), (["0.1", "inf"], "1 of the 2 rows"):
        with pytest.raises(DinoError, match=f"the loss is a finite number in {line}"):
            diagnose(with_losses(short_run, tmp_path / line, losses))


def test_a_run_that_is_too_short_is_refused_with_its_state(short_run: Path, tmp_path: Path) -> None:
    with pytest.raises(DinoError) as error:
        diagnose(with_losses(short_run, tmp_path / "run", ["0.3"]))
    assert "too short to diagnose: it is complete at step 50 of 50, its log has 1 row, and a diagnosis needs 2" in str(
        error.value
    )
    assert error.value.settings["n_images"] == 400


def test_losses_of_0_are_plotted_and_compared_without_an_error() -> None:
    run = run_with([0.0] * 20, samples=[(40_000, SampleStats(1, None, None, 1))], loss_of_mean_image=0.0)
    with warnings.catch_warnings(action="error"):
        plot(run, [], None).canvas.draw()
    assert math.isfinite(dissimilarity(run, RECORDED[0]))
    assert verdict(run, [], True) == "step 1,250: within the healthy range to the end"


def test_without_samples_the_verdict_is_about_the_loss_alone() -> None:
    assert "the loss is within the healthy range, and nothing is known of the samples" in verdict(
        run_with([0.1, 0.05]), [], True
    )


def test_the_state_of_a_run_is_never_rounded_up_to_its_end() -> None:
    states = [progress(step, 1_000) for step in (0, 1, 10, 999, 1_000, 1_001)]
    assert states == ["not begun", "less than 1% done", "1% done", "99% done", "complete", "complete"]


# ---- the recorded runs ----------------------------------------------------------------------------------------------


def as_run(recorded: RecordedRun, until: int, config: Config) -> Run:
    log = [(images, loss) for images, loss in recorded.log if images <= until]
    samples = [(images, stats) for images, stats in recorded.samples if images <= until]
    return Run(config, until // config.batch_size, log, samples, 0.042, 0.11, [])


BASE, RECORDED = recorded_runs()
HEALTHY = [each for each in RECORDED if each.healthy]
BUGS = [each for each in RECORDED if not each.healthy]
ONLY_IN_WEIGHTS = ("no-ema", "level-not-fed-in")  # their losses and samples are those of healthy runs


def test_the_recorded_runs_have_the_settings_of_the_preset() -> None:
    assert PRESETS["quick"] == replace(BASE, vocabulary=(), max_words=PRESETS["quick"].max_words), (
        "quick has changed: run scripts/benchmarks/gallery.py again, and look at its images"
    )
    assert len(HEALTHY) == 4
    assert {bug.name for bug in BUGS} == {
        "swapped-target", "inverted-fraction", "level-not-fed-in", "no-skips", "no-ema", "learning-rate-times-ten"
    }  # fmt: skip
    for recorded in RECORDED:
        if recorded.name != "learning-rate-times-ten":  # its weights diverged
            assert recorded.log[-1][0] == BASE.n_images
            assert len(recorded.samples) == run.N_GRIDS + 1


def test_the_recorded_runs_are_described_as_in_the_script_that_makes_them() -> None:
    described = [(recorded.name, recorded.description, recorded.advice) for recorded in RECORDED]
    assert described == [(entry.name, entry.description, entry.advice) for entry in gallery.ENTRIES]


@pytest.mark.parametrize("until", [2_400, 5_600, 9_600, 24_000, 40_000])
@pytest.mark.parametrize("left_out", HEALTHY, ids=lambda recorded: recorded.name)
def test_a_healthy_run_is_within_the_healthy_range_of_the_others(left_out: RecordedRun, until: int) -> None:
    others = [each for each in RECORDED if each is not left_out]
    run = as_run(left_out, until, BASE)
    assert not range_symptoms(run, healthy_ranges(others, run))
    closest, _ = most_similar(run, others)
    assert closest.healthy or closest.name in ONLY_IN_WEIGHTS
    assert "within the healthy range" in verdict(run, [], True)


def test_blur_is_called_normal_early_but_not_late() -> None:
    for until, normal in (2_400, True), (24_000, False):
        run = as_run(HEALTHY[0], until, BASE)
        assert ("blur is normal at this stage" in verdict(run, [], True)) is normal
    blurred = replace(run, samples=[(24_000, run.samples[-1][1]._replace(detail=0.4))])
    [symptom] = range_symptoms(blurred, healthy_ranges(RECORDED, run))
    assert "blurred (detail 0.40, healthy " in symptom.finding


def test_a_loss_that_is_too_high_or_too_low_is_a_symptom() -> None:
    run = as_run(HEALTHY[1], 24_000, BASE)
    ranges = healthy_ranges(RECORDED, run)
    for factor, finding in (1.5, "times the highest healthy loss at this stage"), (0.6, "too good to be true"):
        other = replace(run, log=[(images, factor * loss) for images, loss in run.log])
        [symptom] = range_symptoms(other, ranges)
        assert finding in symptom.finding


NAMED = [bug for bug in BUGS if bug.name not in (*ONLY_IN_WEIGHTS, "learning-rate-times-ten")]  # the last one diverged


@pytest.mark.parametrize("bug", NAMED, ids=lambda bug: bug.name)
def test_a_run_similar_to_a_recorded_one_is_given_its_name_and_a_dissimilar_run_is_not(bug: RecordedRun) -> None:
    jitter = torch.Generator().manual_seed(1)
    run = as_run(bug, 24_000, BASE)
    similar = replace(run, log=[(x, y * (1 + 0.1 * torch.randn(1, generator=jitter).item())) for x, y in run.log])
    assert most_similar(similar, RECORDED) == (bug, True)
    dissimilar = replace(
        run,
        log=[(x, 3 * y) for x, y in run.log],
        samples=[(x, SampleStats(*(3 * value for value in stats))) for x, stats in run.samples],
    )
    assert not most_similar(dissimilar, RECORDED)[1]


def test_runs_of_other_images_or_lengths_are_not_compared_with_quick_but_another_learning_rate_is() -> None:
    assert comparable(replace(BASE, seed=5, precision="float32", layout="contiguous", learning_rate=1.0), BASE)
    for other in {"data": "emoji"}, {"n_images": 6_400}, {"widths": (16, 32, 64, 64)}, {"batch_size": 64}:
        assert not comparable(replace(BASE, **other), BASE)


# ---- the command ----------------------------------------------------------------------------------------------------


def doctor(*words: str | Path) -> str:
    done = CliRunner().invoke(cli.app, ["doctor", *map(str, words)], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return done.output


def test_the_command_prints_a_diagnosis_and_writes_numbers_page_and_plot(
    tmp_path: Path, blobs: Tensor, image_folder: Path
) -> None:
    folder = trained(tmp_path / "run", blobs, config=replace(TINY, data=str(image_folder)))
    printed = doctor(folder)
    assert "with no recorded run, because the settings are not those of the preset quick" in printed
    assert "step 60: nothing looks broken" in printed
    report = json.loads((folder / "doctor.json").read_text())
    assert report["symptoms"] == []
    assert report["sample_stats"].keys() == set(SampleStats._fields)
    assert "| loss " in (folder / "doctor.md").read_text()
    assert (folder / "doctor.png").stat().st_size > 5_000
    doctor(folder, "--json", tmp_path / "elsewhere.json")
    assert (tmp_path / "elsewhere.md").exists()


def test_missing_images_are_reported_and_the_rest_is_diagnosed(tmp_path: Path, blobs: Tensor) -> None:
    printed = doctor(trained(tmp_path / "run", blobs))
    assert "unknown   sample stats, loss of mean image, loss of mean color, because the images of no such" in printed
    assert "| samples' variety      |  unknown |" in printed
    assert "nothing looks broken" in printed


def test_a_folder_that_is_not_a_run_is_refused_in_one_line(tmp_path: Path, blobs: Tensor, image_folder: Path) -> None:
    def refused(folder: Path) -> str:
        with pytest.raises(DinoError) as error:
            diagnose(folder)
        assert "\n" not in str(error.value)
        return str(error.value)

    assert "no log.csv" in refused(tmp_path)
    folder = trained(tmp_path / "run", blobs, config=replace(TINY, data=str(image_folder)))
    log = (folder / "log.csv").read_text()
    (folder / "log.csv").write_text("step,images\n1,2\n")
    assert "isn't the log of a run" in refused(folder)
    (folder / "log.csv").write_text(log.splitlines()[0] + "\n")
    assert "is too short to diagnose" in refused(folder)
    (folder / "log.csv").write_text(log)
    (folder / "samples" / "holiday.png").write_bytes(b"no picture")
    assert "holiday.png isn't a sample grid" in refused(folder)
    (folder / "samples" / "holiday.png").unlink()
    (folder / "state.safetensors").unlink()
    assert "there is no file" in refused(folder)


def test_each_loss_of_a_log_is_smoothed_over_its_neighbors(tmp_path: Path) -> None:
    rows = "".join(f"{k},{k * 10},{k % 2},5\n" for k in range(40))
    (tmp_path / "log.csv").write_text(f"step,images,loss,images_per_second\n{rows}")
    curve = smoothed(read_log(tmp_path / "log.csv"))
    assert [images for images, _ in curve] == list(range(0, 400, 10))
    assert all(loss == pytest.approx(0.5, abs=0.1) for _, loss in curve)
