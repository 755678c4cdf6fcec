"""dino.trainer: a run folder, and a resumed run equal to one that never stopped."""

import csv
import json
import math
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from dino import trainer as t
from dino.checkpoint import load_model
from dino.errors import DinoError
from dino.trainer import PRESETS, Config, Trainer

TINY = Config(
    data="blobs", size=8, widths=(4, 8), depths=(1, 1), n_images=60 * 16, batch_size=16, learning_rate=1e-3,
    warmup=160, anneal=True, precision="float32", seed=3,
)  # fmt: skip


def run(trainer: Trainer, folder: Path, until: int | None = None) -> None:
    steps = t.train(trainer, folder)
    for progress in steps:
        if progress.step == until:
            break
    steps.close()


def losses(folder: Path) -> list[tuple[str, str]]:
    with (folder / "log.csv").open() as file:
        return [(row["step"], row["loss"]) for row in csv.DictReader(file)]


@pytest.mark.parametrize("stop_at", [1, 25, 37])
def test_a_run_stopped_and_resumed_equals_one_that_was_not_bit_for_bit(
    tmp_path: Path, blobs: Tensor, stop_at: int
) -> None:
    whole = Trainer(TINY, images=blobs)
    run(whole, tmp_path / "whole")
    first = Trainer(TINY, images=blobs)
    run(first, tmp_path / "parts", until=stop_at)
    assert first.step == stop_at
    torch.rand(100)  # whatever else happens in between
    second = Trainer(t.saved_config(tmp_path / "parts"), images=blobs)
    second.load(tmp_path / "parts")
    assert second.step == stop_at
    run(second, tmp_path / "parts")
    for ours, theirs in zip(
        [*whole.model.parameters(), *whole.average.parameters()],
        [*second.model.parameters(), *second.average.parameters()],
        strict=True,
    ):
        assert torch.equal(ours, theirs)
    assert losses(tmp_path / "whole") == losses(tmp_path / "parts")
    for name in ("model.safetensors", "state.safetensors"):
        assert (tmp_path / "whole" / name).read_bytes() == (tmp_path / "parts" / name).read_bytes()
    grids = [sorted(p.name for p in (tmp_path / run / "samples").iterdir()) for run in ("whole", "parts")]
    assert grids[0] == grids[1]


def test_rows_logged_after_the_last_save_are_taken_back_on_resume(tmp_path: Path, blobs: Tensor) -> None:
    trainer = Trainer(TINY, images=blobs)
    run(trainer, tmp_path, until=30)
    with (tmp_path / "log.csv").open("a") as file:
        file.write("50,800,0.5,1.0\n")  # as a run killed at step 50 would leave it
    resumed = Trainer(TINY, images=blobs)
    resumed.load(tmp_path)
    run(resumed, tmp_path)
    assert [step for step, _ in losses(tmp_path)] == ["25", "50", "60"]
    assert losses(tmp_path)[1][1] != "0.5"


def test_a_run_writes_all_that_it_promises(tmp_path: Path, blobs: Tensor) -> None:
    trainer = Trainer(TINY, images=blobs)
    run(trainer, tmp_path)
    wrote = t.finish(trainer, tmp_path)
    names = {path.name for path in tmp_path.iterdir()}
    assert {"config.json", "log.csv", "samples", "model.safetensors", "state.safetensors"} <= names
    assert {"loss.png", "film.gif", "compare.png", "levels.png"} == {path.name for path in wrote} <= names
    assert any(name.startswith("events.out.tfevents") for name in names)
    assert json.loads((tmp_path / "config.json").read_text())["seed"] == 3
    assert not [name for name in names if name.endswith(".tmp")]
    model, about = load_model(tmp_path / "model.safetensors")
    assert about["images_seen"] == 960
    assert math.isfinite(about["loss"])
    for ours, theirs in zip(trainer.average.parameters(), model.parameters(), strict=True):
        assert torch.equal(ours, theirs)
    assert "complete" in t.describe(tmp_path)["run"]


def test_training_lowers_the_loss(tmp_path: Path, blobs: Tensor) -> None:
    run(Trainer(replace(TINY, n_images=3200), images=blobs), tmp_path)
    values = [float(loss) for _, loss in losses(tmp_path)]
    assert values[-1] < 0.5 * values[0]


def test_the_average_and_the_learning_rate_follow_the_images_not_the_steps(blobs: Tensor) -> None:
    config = replace(TINY, average_half_life=64)
    for batch_size in (8, 32):
        trainer = Trainer(replace(config, batch_size=batch_size), images=blobs)
        trainer.step = 10_000 // batch_size
        assert trainer._decay() ** (64 / batch_size) == pytest.approx(0.5)
    trainer = Trainer(TINY, images=blobs)
    rates = []
    for step in range(60):
        trainer.step = step
        rates.append(trainer._learning_rate())
    assert rates[0] == pytest.approx(1e-4)
    assert max(rates) == pytest.approx(1e-3, rel=0.1)
    assert rates[-1] < 2e-6


def test_a_trainer_leaves_the_callers_random_numbers_alone(blobs: Tensor, tmp_path: Path) -> None:
    state = torch.random.get_rng_state()
    run(Trainer(TINY, images=blobs), tmp_path, until=3)
    assert torch.equal(torch.random.get_rng_state(), state)


def test_numbers_that_blow_up_stop_the_run_and_spare_the_last_good_state(tmp_path: Path, blobs: Tensor) -> None:
    trainer = Trainer(TINY, images=blobs)
    run(trainer, tmp_path, until=30)
    good = (tmp_path / "state.safetensors").read_bytes()
    with torch.no_grad():
        next(trainer.model.parameters()).fill_(math.nan)
    with pytest.raises(DinoError, match=r"blew up by step \d+.*lower --learning-rate"):
        run(trainer, tmp_path)
    assert (tmp_path / "state.safetensors").read_bytes() == good


def test_other_pictures_are_refused_on_resume(tmp_path: Path, blobs: Tensor) -> None:
    run(Trainer(TINY, images=blobs), tmp_path, until=2)
    other = Trainer(TINY, images=blobs.flip(0))
    with pytest.raises(DinoError, match="have changed"):
        other.load(tmp_path)


def test_gray_pictures_and_other_sizes_train(tmp_path: Path, picture_folder: Path) -> None:
    config = replace(
        TINY, data=str(picture_folder), channels=1, size=12, widths=(4, 4, 4), depths=(1, 1, 1), n_images=32
    )
    trainer = Trainer(config)
    run(trainer, tmp_path / "run")
    assert trainer.sample(2).shape == (2, 1, 12, 12)
    assert len(t.finish(trainer, tmp_path / "run")) == 4


@given(size=st.integers(1, 300), resolutions=st.integers(1, 6))
def test_a_size_the_network_cannot_halve_is_refused_with_the_nearest_that_it_can(size: int, resolutions: int) -> None:
    def config(side: int) -> Config:
        return replace(TINY, size=side, widths=(4,) * resolutions, depths=(1,) * resolutions)

    step = 2 ** (resolutions - 1)
    if size % step == 0:
        assert config(size).size == size
        return
    with pytest.raises(DinoError, match=f"divisible by {step}") as caught:
        config(size)
    offered = [int(word) for word in str(caught.value).partition("take ")[2].split(" or ")]
    assert offered
    for side in offered:
        assert config(side).size == side
        assert abs(side - size) < step


@pytest.mark.parametrize("name", ["n_images", "batch_size", "learning_rate", "average_half_life"])
def test_nonsense_settings_are_refused(name: str) -> None:
    with pytest.raises(DinoError, match=f"{name} must be more than 0"):
        replace(TINY, **{name: 0})


def test_the_presets_are_what_they_say() -> None:
    assert set(PRESETS) == {"quick", "full", "seed"}
    seed, full, quick = PRESETS["seed"], PRESETS["full"], PRESETS["quick"]
    assert (seed.batch_size, seed.learning_rate, seed.precision) == (16, 3e-4, "float32")
    assert seed.n_images == 861_440
    assert not seed.anneal
    for preset in (seed, full):
        assert (preset.size, preset.widths, preset.depths) == (64, (64,) * 5, (2,) * 5)
    assert quick.size == 32


def test_run_folders_are_numbered_on_and_never_taken_twice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert t.new_run_folder(None, "quick") == Path("runs/quick-1")
    (tmp_path / "runs" / "quick-9").mkdir(parents=True)
    assert t.new_run_folder(None, "quick") == Path("runs/quick-10")
    (tmp_path / "runs" / "quick-9" / "state.safetensors").touch()
    with pytest.raises(DinoError, match="already holds a run"):
        t.new_run_folder(Path("runs/quick-9"), "quick")


def test_a_missing_device_is_refused() -> None:
    with pytest.raises(DinoError, match="no device tpu here"):
        t.choose_device("tpu")
