"""dino doctor: what a run shows by itself is seen for what it is, and recorded runs are told apart."""

import json
import math
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
from dino.common import grids
from dino.common.errors import DinoError
from dino.denoiser import UNet
from dino.reports import symptoms
from dino.reports.diagnosis import (
    Recorded,
    band_symptoms,
    comparable,
    examine,
    healthy_bands,
    nearest,
    recorded,
    verdict,
)
from dino.reports.symptoms import Look, Run, look, loss_symptoms, read_log, smoothed
from dino.trainer import run
from dino.trainer.config import Config
from dino.trainer.custom import CustomTrainer, Parts
from dino.trainer.presets import PRESETS

TINY = Config(
    data="no such pictures.parquet", size=8, widths=(4, 8), depths=(1, 1), n_images=60 * 16, batch_size=16,
    learning_rate=3e-3, precision="float32", ema_half_life=200, seed=3,
)  # fmt: skip


def trained(folder: Path, images: Tensor, parts: Parts | None = None, config: Config = TINY) -> Path:
    """A run that was really trained, on blobs."""
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


# ---- what the weights give away -------------------------------------------------------------------------------------

MARKED: dict[str, tuple[Parts, str]] = {
    "healthy": (Parts(), ""),
    "healthy, by lesson 03's own loop": (lesson_03(), ""),
    "decay of 0": (
        lesson_03(update_average=lambda average, model, decay: training.update_average(average, model, 0.0)),
        "nothing is averaged",
    ),
    "average never updated": (
        lesson_03(update_average=lambda average, model, decay: None),
        "the averaged weights, which samples are drawn with, are still those that the run began with",
    ),
    "no step": (lesson_03(train_step=step_with(moves=False)), "to the last bit: nothing is learned"),
    "level times 0": (Parts(denoiser=SimpleNamespace(UNet=Blind)), "the network isn't told it"),
    "deepest stages unused": (
        Parts(denoiser=SimpleNamespace(UNet=WithoutTheDeepest)),
        "14 of 32 weight tensors never had a gradient (down.1.0.weight, ",
    ),
}


@pytest.mark.parametrize("name", MARKED)
def test_what_the_saved_weights_give_away_is_seen_and_nothing_else(name: str, tmp_path: Path, blobs: Tensor) -> None:
    parts, what = MARKED[name]
    report, _ = examine(trained(tmp_path / "run", blobs, parts))
    told = [sign["what"] for sign in report["signs"]]
    if what:
        assert what in told[0]
        assert what in report["verdict"]
    else:
        assert not told
    assert all(sign["advice"] for sign in report["signs"])


def test_looking_at_a_run_leaves_the_random_numbers_and_its_files_as_they_were(tmp_path: Path, blobs: Tensor) -> None:
    folder = trained(tmp_path / "run", blobs)
    files = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    examine(folder)
    assert torch.equal(torch.rand(3), expected)
    assert {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()} == files


# ---- what losses mean -----------------------------------------------------------------------------------------------


def run_with(losses: list[float], **other: Any) -> Run:
    """A run of quick with these losses, as many as its log has rows, and nothing else known of it."""
    config = PRESETS["quick"]
    curve = [(config.n_images * (k + 1) // len(losses), loss) for k, loss in enumerate(losses)]
    about = {"looks": [], "mean_picture": 0.042, "one_color": 0.11, "marks": [], "step": config.n_steps}
    return Run(config=config, log=curve, **about | other)


def test_flat_at_the_mean_picture_or_color_is_told_as_what_it_is() -> None:
    for level, name in (0.042, "mean picture"), (0.11, "mean color"):
        flat = [0.2, 0.15, *[level * (1 + 0.02 * (-1) ** k) for k in range(60)]]
        [sign] = loss_symptoms(run_with(flat))
        assert f"always answering the {name}" in sign.what
        assert "noise level" in sign.advice
        on_its_way = [math.exp(math.log(level) + 0.03 * (20 - k)) for k in range(40)]  # passes that loss, falling
        assert not loss_symptoms(run_with(on_its_way[:21]))


def test_a_loss_that_rose_is_told_with_where_it_was_least() -> None:
    fallen = [0.1 * 0.95**k for k in range(60)]
    assert not loss_symptoms(run_with(fallen))
    [sign] = loss_symptoms(run_with([*fallen, *[0.03] * 20]))
    assert sign.what.startswith("the loss was down at 0.006")
    assert sign.what.endswith("and is up at 0.0300")
    assert "lower learning rate than 0.0015" in sign.advice


def test_a_loss_above_all_reason_is_told_as_growth() -> None:
    [sign] = loss_symptoms(run_with([0.2, 0.1, *[0.1 * 1.5**k for k in range(20)]]))
    assert "far above that of always answering the mean color (0.1100)" in sign.what
    assert "gradients cleared" in sign.advice


def test_healthy_losses_with_odd_samples_point_at_the_sampler() -> None:
    run = as_run(HEALTHY[0], 60_000, BASE)
    grainy = replace(run, looks=[(60_000, run.looks[-1][1]._replace(grain=6.0))])
    [sign] = band_symptoms(grainy, healthy_bands(ENTRIES, run))
    assert sign.what.startswith("the loss is healthy, but the samples are grainy")
    assert "look at the sampler" in sign.advice


def test_the_losses_of_always_the_mean_are_those_of_such_networks(
    tmp_path: Path, blobs: Tensor, picture_folder: Path, denoiser_of: Any
) -> None:
    run = symptoms.read_run(trained(tmp_path / "run", blobs, config=replace(TINY, data=str(picture_folder))))
    real = run.to_unit(symptoms.load_images(str(picture_folder), 8, part="training"))
    both = torch.cat([real, real.flip(-1)])
    for answer, loss in (both.mean(dim=0, keepdim=True), run.mean_picture), (
        both.mean(dim=(0, 2, 3), keepdim=True), run.one_color,
    ):  # fmt: skip
        assert F.mse_loss(answer.expand_as(both), both).item() == pytest.approx(loss, rel=1e-4)
    assert run.one_color > run.mean_picture


# ---- what samples look like -----------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def faces() -> Tensor:
    return run.to_unit(symptoms.load_images("emoji:faces,noto", 32, part="training", cache=False))


def test_the_look_of_real_pictures_is_1_and_each_damage_moves_its_own_number(faces: Tensor) -> None:
    half, other = faces[::2], faces[1::2]
    assert look(faces, faces) == Look(1, 1, 1, 1)
    for value in look(half, other):
        assert 0.75 < value < 1.3
    noise = torch.rand(other.shape, generator=torch.Generator().manual_seed(0)) - 0.5
    assert look((other + 0.1 * noise).clamp(0, 1), half).grain > 2
    assert look(F.interpolate(F.avg_pool2d(other, 4), scale_factor=4), half).detail < 0.4
    assert look(other[:1].expand_as(other), half).variety < 0.01
    assert look(other * 0.7, half).brightness == pytest.approx(0.7 * look(other, half).brightness, rel=0.01)


def test_grids_of_samples_are_read_back_as_they_were_drawn(faces: Tensor, tmp_path: Path) -> None:

    grids.save(grids.grid(faces[:36]), tmp_path / "000000064.png")
    grids.save(grids.grid(faces[36:72]), tmp_path / "000001000.png")
    found = symptoms.read_looks(tmp_path, faces)
    assert [images for images, _ in found] == [64, 1000]
    for (_, ours), samples in zip(found, (faces[:36], faces[36:72]), strict=True):
        assert ours == pytest.approx(look(samples, faces), abs=0.01)


# ---- beside the recorded runs ---------------------------------------------------------------------------------------


def as_run(entry: Recorded, until: int, config: Config) -> Run:
    log = [(images, loss) for images, loss in entry.log if images <= until]
    looks = [(images, each) for images, each in entry.looks if images <= until]
    return Run(config, until // config.batch_size, log, looks, 0.042, 0.11, [])


BASE, ENTRIES = recorded()
HEALTHY = [entry for entry in ENTRIES if entry.healthy]
BUGS = [entry for entry in ENTRIES if not entry.healthy]
BY_WEIGHTS = ("no-averaging", "level-not-fed-in")  # their losses and samples are those of healthy runs


def test_the_recorded_runs_are_those_of_the_preset_as_it_is() -> None:
    assert PRESETS["quick"] == BASE, "quick has changed: run docs/benchmarks/gallery.py again, and look at its pictures"
    assert len(HEALTHY) == 4
    assert {entry.name for entry in BUGS} == {
        "swapped-target", "inverted-fraction", "level-not-fed-in", "no-skips", "no-averaging", "learning-rate-times-ten"
    }  # fmt: skip
    for entry in ENTRIES:
        if entry.name != "learning-rate-times-ten":  # which blew up
            assert entry.log[-1][0] == BASE.n_images
            assert len(entry.looks) == run.N_GRIDS + 1


@pytest.mark.parametrize("until", [5_600, 13_000, 28_800, 60_000, 104_000])
@pytest.mark.parametrize("left_out", HEALTHY, ids=lambda entry: entry.name)
def test_a_healthy_run_lies_in_the_band_of_the_others(left_out: Recorded, until: int) -> None:
    others = [entry for entry in ENTRIES if entry is not left_out]
    run = as_run(left_out, until, BASE)
    bands = healthy_bands(others, run)
    assert not band_symptoms(run, bands)
    entry, _ = nearest(run, others)
    assert entry.healthy or entry.name in BY_WEIGHTS
    assert "inside the healthy band" in verdict(run, [], True)


def test_early_blur_is_called_normal_and_late_blur_is_not() -> None:
    for until, normal in (5_600, True), (60_000, False):
        run = as_run(HEALTHY[0], until, BASE)
        said = verdict(run, [], True)
        assert ("blur is normal here" in said) is normal
    blurred = replace(run, looks=[(60_000, run.looks[-1][1]._replace(detail=0.4))])
    [sign] = band_symptoms(blurred, healthy_bands(ENTRIES, run))
    assert "blurred (detail 0.40, healthy " in sign.what


def test_losses_too_high_and_too_low_are_both_wrong() -> None:
    run = as_run(HEALTHY[1], 60_000, BASE)
    bands = healthy_bands(ENTRIES, run)
    for factor, told in (1.5, "times the highest that is healthy here"), (0.6, "too good to be true"):
        other = replace(run, log=[(images, factor * loss) for images, loss in run.log])
        [sign] = band_symptoms(other, bands)
        assert told in sign.what


NAMED = [bug for bug in BUGS if bug.name not in (*BY_WEIGHTS, "learning-rate-times-ten")]  # the last one blew up


@pytest.mark.parametrize("bug", NAMED, ids=lambda entry: entry.name)
def test_a_run_like_a_recorded_one_is_given_its_name_but_not_one_between_two(bug: Recorded) -> None:
    jitter = torch.Generator().manual_seed(1)
    run = as_run(bug, 60_000, BASE)
    like = replace(run, log=[(x, y * (1 + 0.1 * torch.randn(1, generator=jitter).item())) for x, y in run.log])
    assert nearest(like, ENTRIES) == (bug, True)
    unlike = replace(
        run,
        log=[(x, 3 * y) for x, y in run.log],
        looks=[(x, Look(*(3 * value for value in each))) for x, each in run.looks],
    )
    assert not nearest(unlike, ENTRIES)[1]


def test_other_pictures_or_lengths_are_not_laid_beside_quick_but_another_learning_rate_is() -> None:
    assert comparable(replace(BASE, seed=5, precision="float32", learning_rate=1.0), BASE)
    for other in {"data": "emoji"}, {"n_images": 6_400}, {"widths": (16, 32, 64, 64)}, {"batch_size": 64}:
        assert not comparable(replace(BASE, **other), BASE)


# ---- the command ----------------------------------------------------------------------------------------------------


def said(*words: str | Path) -> str:
    answer = CliRunner().invoke(cli.app, ["doctor", *map(str, words)], catch_exceptions=False)
    assert answer.exit_code == 0, answer.output
    return answer.output


def test_the_command_tells_and_writes_numbers_page_and_plot(
    tmp_path: Path, blobs: Tensor, picture_folder: Path
) -> None:
    folder = trained(tmp_path / "run", blobs, config=replace(TINY, data=str(picture_folder)))
    told = said(folder)
    assert "no recorded run, as these settings are others than quick's" in told
    assert "step 60: nothing looks broken" in told
    report = json.loads((folder / "doctor.json").read_text())
    assert report["signs"] == []
    assert report["look"].keys() == set(Look._fields)
    assert "| loss " in (folder / "doctor.md").read_text()
    assert (folder / "doctor.png").stat().st_size > 5_000
    said(folder, "--json", tmp_path / "elsewhere.json")
    assert (tmp_path / "elsewhere.md").exists()


def test_pictures_that_are_gone_are_told_of_and_the_rest_is_looked_at(tmp_path: Path, blobs: Tensor) -> None:
    told = said(trained(tmp_path / "run", blobs))
    assert "are not to be had" in told.replace("\n", " ")
    assert "nothing looks broken" in told


def test_what_is_no_run_is_refused_in_one_line(tmp_path: Path, blobs: Tensor, picture_folder: Path) -> None:
    def refused(folder: Path) -> str:
        with pytest.raises(DinoError) as error:
            examine(folder)
        assert "\n" not in str(error.value)
        return str(error.value)

    assert "no log.csv" in refused(tmp_path)
    folder = trained(tmp_path / "run", blobs, config=replace(TINY, data=str(picture_folder)))
    log = (folder / "log.csv").read_text()
    (folder / "log.csv").write_text("step,images\n1,2\n")
    assert "is no log of a run" in refused(folder)
    (folder / "log.csv").write_text(log.splitlines()[0] + "\n")
    assert "has hardly begun" in refused(folder)
    (folder / "log.csv").write_text(log)
    (folder / "samples" / "holiday.png").write_bytes(b"no picture")
    assert "holiday.png is no grid of samples" in refused(folder)
    (folder / "samples" / "holiday.png").unlink()
    (folder / "state.safetensors").unlink()
    assert "there is no file" in refused(folder)


def test_a_log_is_smoothed_by_its_neighbors(tmp_path: Path) -> None:
    rows = "".join(f"{k},{k * 10},{k % 2},5\n" for k in range(40))
    (tmp_path / "log.csv").write_text(f"step,images,loss,images_per_second\n{rows}")
    curve = smoothed(read_log(tmp_path / "log.csv"))
    assert [images for images, _ in curve] == list(range(0, 400, 10))
    assert all(loss == pytest.approx(0.5, abs=0.1) for _, loss in curve)
