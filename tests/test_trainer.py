"""The trainer: a resumed run equals one that never stopped, and a run folder holds what it promises."""

import csv
import json
import math
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import save_file
from torch import Tensor, nn

from dino import training
from dino.common.errors import DinoError
from dino.data.loading import LabeledImages, load_images, load_labeled_images
from dino.trainer import run, run_folder, tensor_file
from dino.trainer.config import Config
from dino.trainer.custom import CustomTrainer, Parts
from dino.trainer.device import choose_device
from dino.trainer.model_file import load_model
from dino.trainer.presets import PRESETS
from dino.trainer.trainer import Trainer

TINY = Config(
    data="blobs", size=8, widths=(4, 8), depths=(1, 1), n_images=60 * 16, batch_size=16, learning_rate=1e-3,
    warmup=10, anneal=True, precision="float32", seed=3,
)  # fmt: skip


MUON = replace(TINY, optimizer="muon", matrix_learning_rate=0.02, max_words=64, drop_words=0.3)
IADB = replace(MUON, noise="gaussian", target="velocity", levels="lognormal")
VOCABULARY = ("left", "red", "right", "big")


@pytest.fixture
def labeled(blobs: Tensor) -> LabeledImages:
    """The blobs with words: each is left or right, and may be red or big."""
    words = torch.randint(0, 2, (len(blobs), 4), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)
    words[:, 2] = 1 - words[:, 0]
    return LabeledImages(blobs, words, VOCABULARY)


def train(trainer: Trainer, folder: Path, until: int | None = None) -> None:
    steps = run.train(trainer, folder)
    for progress in steps:
        if progress.step == until:
            break
    steps.close()


def losses(folder: Path) -> list[tuple[str, str]]:
    with (folder / "log.csv").open() as file:
        return [(row["step"], row["loss"]) for row in csv.DictReader(file)]


@pytest.mark.parametrize("stop_at", [1, 25, 37])
@pytest.mark.parametrize("kind", ["adamw", "muon and words", "iadb"])
def test_a_resumed_run_equals_one_that_never_stopped_bit_for_bit(
    tmp_path: Path, blobs: Tensor, labeled: LabeledImages, kind: str, stop_at: int
) -> None:
    config, images = {"adamw": (TINY, blobs), "muon and words": (MUON, labeled), "iadb": (IADB, labeled)}[kind]
    whole = Trainer(config, images=images)
    train(whole, tmp_path / "whole")
    first = Trainer(config, images=images)
    train(first, tmp_path / "parts", until=stop_at)
    assert first.step == stop_at
    torch.rand(100)  # the global random state may change in between
    second = Trainer(run_folder.saved_config(tmp_path / "parts"), images=images)
    second.load(tmp_path / "parts")
    assert second.step == stop_at
    train(second, tmp_path / "parts")
    for ours, theirs in zip(
        [*whole.model.parameters(), *whole.ema.parameters()],
        [*second.model.parameters(), *second.ema.parameters()],
        strict=True,
    ):
        assert torch.equal(ours, theirs)
    assert losses(tmp_path / "whole") == losses(tmp_path / "parts")
    for name in ("model.safetensors", "state.safetensors"):
        assert (tmp_path / "whole" / name).read_bytes() == (tmp_path / "parts" / name).read_bytes()
    grids = [sorted(p.name for p in (tmp_path / name / "samples").iterdir()) for name in ("whole", "parts")]
    assert grids[0] == grids[1]


def test_a_resumed_run_that_chose_its_precision_writes_the_same_files(tmp_path: Path, blobs: Tensor) -> None:
    config = replace(TINY, precision="auto", n_images=128)
    train(Trainer(config, images=blobs), tmp_path / "whole")
    train(Trainer(config, images=blobs), tmp_path / "parts", until=3)
    second = Trainer(run_folder.saved_config(tmp_path / "parts"), images=blobs)
    second.load(tmp_path / "parts")
    train(second, tmp_path / "parts")
    for name in ("model.safetensors", "state.safetensors", "config.json"):
        assert (tmp_path / "whole" / name).read_bytes() == (tmp_path / "parts" / name).read_bytes(), name


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda images: images / 255, "bytes from 0 to 255 (uint8), not float32"),
        (lambda images: images[:, :1], "must have the shape (N, 3, 8, 8), not (40, 1, 8, 8)"),
        (lambda images: images[..., :4], "not (40, 3, 8, 4)"),
        (lambda images: images[0], "not (3, 8, 8)"),
        (lambda images: images[:0], "not (0, 3, 8, 8)"),
    ],
    ids=["floats", "gray", "not square", "a single image", "none"],
)
def test_images_of_another_dtype_or_shape_are_refused(
    blobs: Tensor, spoil: Callable[[Tensor], Tensor], message: str
) -> None:
    with pytest.raises(DinoError, match=re.escape(message)):
        Trainer(TINY, images=spoil(blobs))


def test_a_run_that_is_further_along_is_not_overwritten(tmp_path: Path, blobs: Tensor) -> None:
    train(Trainer(TINY, images=blobs), tmp_path / "run", until=5)
    before = (tmp_path / "run" / "state.safetensors").read_bytes()
    with pytest.raises(DinoError, match="holds a run that is at step 5, and this one, at step 0, would"):
        train(Trainer(TINY, images=blobs), tmp_path / "run", until=9)
    assert (tmp_path / "run" / "state.safetensors").read_bytes() == before


def test_a_custom_step_that_calls_the_optimizer_twice_reports_the_step_at_which_it_broke(blobs: Tensor) -> None:
    def train_step(model: nn.Module, optimizer: Any, clean: Tensor, *, generator: torch.Generator) -> float:
        clean = clean * math.nan if trainer.step == 6 else clean
        for _ in range(2):
            loss = training.train_step(model, optimizer, clean, generator=generator)
        return loss

    own = SimpleNamespace(train_step=train_step, update_average=training.update_average)
    trainer = CustomTrainer(TINY, images=blobs, parts=Parts(training=own))
    for _ in zip(range(20), trainer.steps(), strict=False):
        pass
    with pytest.raises(DinoError, match="at step 7 the loss was not a finite number"):
        trainer.read_losses()


PIECES = ("model", "ema", "exp_avg", "exp_avg_sq", "max_exp_avg_sq", "optimizer step", "losses", "step", "seed")


@pytest.mark.parametrize("piece", PIECES)
def test_a_resumed_run_differs_if_any_piece_of_its_state_is_missing(tmp_path: Path, blobs: Tensor, piece: str) -> None:
    """The negative control of the resume test: each piece is needed, and the test would notice its absence."""
    train(Trainer(TINY, images=blobs), tmp_path / "whole")
    first = Trainer(TINY, images=blobs)
    train(first, tmp_path / "parts", until=37)
    fresh = Trainer(TINY, images=blobs)
    tensors, metadata = tensor_file.read(tmp_path / "parts" / "state.safetensors", "state")
    for name, tensor in tensors.items():
        if name.startswith(f"{piece}.") or name.endswith(f".{piece}") or name == piece:
            initial = {
                f"{net}.{key}": value
                for net in ("model", "ema")
                for key, value in getattr(fresh, net).state_dict().items()
            }
            tensors[name] = initial.get(name, torch.zeros_like(tensor))
        if piece == "optimizer step" and name.startswith("optimizer.") and name.endswith(".step"):
            tensors[name] = torch.zeros_like(tensor)
    if piece == "step":
        metadata["step"] = 36
    if piece == "seed":
        metadata["config"]["seed"] = 4
    tensor_file.write(tmp_path / "parts" / "state.safetensors", "state", tensors, metadata)
    second = Trainer(run_folder.saved_config(tmp_path / "parts"), images=blobs)
    second.load(tmp_path / "parts")
    train(second, tmp_path / "parts")
    states = [tensor_file.read(tmp_path / name / "state.safetensors", "state")[0] for name in ("whole", "parts")]
    same_weights = all(torch.equal(states[0][name], states[1][name]) for name in states[0])
    assert not same_weights or losses(tmp_path / "whole") != losses(tmp_path / "parts")
    assert same_weights == (piece == "losses")  # which are reported, and change no weight


def test_rows_logged_after_the_last_save_are_removed_on_resume(tmp_path: Path, blobs: Tensor) -> None:
    trainer = Trainer(TINY, images=blobs)
    train(trainer, tmp_path, until=30)
    with (tmp_path / "log.csv").open("a") as file:
        file.write("50,800,0.5,1.0\n")  # as a run killed at step 50 would leave it
    resumed = Trainer(TINY, images=blobs)
    resumed.load(tmp_path)
    train(resumed, tmp_path)
    assert [step for step, _ in losses(tmp_path)] == ["25", "50", "60"]
    assert losses(tmp_path)[1][1] != "0.5"


def test_a_run_writes_all_files_that_it_promises(tmp_path: Path, blobs: Tensor) -> None:
    trainer = Trainer(TINY, images=blobs)
    train(trainer, tmp_path)
    wrote = run.finish(trainer, tmp_path)
    names = {path.name for path in tmp_path.iterdir()}
    assert {"config.json", "log.csv", "samples", "model.safetensors", "state.safetensors"} <= names
    assert {"loss.png", "animation.gif", "compare.png", "levels.png"} == {path.name for path in wrote} <= names
    assert any(name.startswith("events.out.tfevents") for name in names)
    assert json.loads((tmp_path / "config.json").read_text())["seed"] == 3
    assert not [name for name in names if name.endswith(".tmp")]
    model, metadata = load_model(tmp_path / "model.safetensors")
    assert metadata["images_seen"] == 960
    assert math.isfinite(metadata["loss"])
    for ours, theirs in zip(trainer.ema.parameters(), model.parameters(), strict=True):
        assert torch.equal(ours, theirs)
    assert "complete" in run_folder.describe(tmp_path)["run"]


def test_training_lowers_the_loss(tmp_path: Path, blobs: Tensor) -> None:
    train(Trainer(replace(TINY, n_images=3200), images=blobs), tmp_path)
    values = [float(loss) for _, loss in losses(tmp_path)]
    assert values[-1] < 0.5 * values[0]


def test_the_ema_and_the_learning_rate_depend_on_images_not_on_steps(blobs: Tensor) -> None:
    config = replace(TINY, ema_half_life=64)
    for batch_size in (8, 32):
        trainer = Trainer(replace(config, batch_size=batch_size), images=blobs)
        trainer.step = 10_000 // batch_size
        assert trainer.config.ema_decay_at(trainer.step) ** (64 / batch_size) == pytest.approx(0.5)
    trainer = Trainer(TINY, images=blobs, device="cpu")
    rates = []
    for step in range(60):
        trainer.step = step
        rates.append(trainer.config.learning_rate * trainer.config.schedule_at(trainer.step))
    assert rates[0] == pytest.approx(1e-4)
    assert max(rates) == rates[9] == pytest.approx(1e-3 * 51 / 60)
    assert rates[-1] == pytest.approx(1e-3 / 60)


def test_every_step_uses_its_own_learning_rate_and_ema_decay(blobs: Tensor) -> None:
    trainer = Trainer(replace(TINY, ema_half_life=200), images=blobs)
    expected = [weight.detach().clone() for weight in trainer.ema.parameters()]
    rates = set()
    for _, _ in zip(range(40), trainer.steps(), strict=False):
        trainer.step -= 1
        assert trainer.optimizer.param_groups[0]["lr"] == trainer.config.learning_rate * trainer.config.schedule_at(
            trainer.step
        )
        rates.add(trainer.config.learning_rate * trainer.config.schedule_at(trainer.step))
        trainer.step += 1
        decay = 0.5 ** (16 / min(200, trainer.step * 16 / 10))
        expected = [
            decay * a + (1 - decay) * w.detach() for a, w in zip(expected, trainer.model.parameters(), strict=True)
        ]
    assert len(rates) == 39, "while it rises, the rate passes one value that it passes again when it falls"
    for found, wanted in zip(trainer.ema.parameters(), expected, strict=True):
        torch.testing.assert_close(found, wanted)


def test_the_optimizer_is_adamw_with_amsgrad(blobs: Tensor) -> None:
    trainer = Trainer(TINY, images=blobs)
    next(trainer.steps())
    assert isinstance(trainer.optimizer, torch.optim.AdamW)
    assert "max_exp_avg_sq" in next(iter(trainer.optimizer.state.values()))


def test_with_bfloat16_the_convolutions_use_it_and_the_weights_stay_float32(blobs: Tensor) -> None:
    for precision in ("float32", "bfloat16"):
        trainer = Trainer(replace(TINY, precision=precision), images=blobs, device="cpu")
        seen = set()
        for module in trainer.model.modules():
            if isinstance(module, torch.nn.Conv2d):
                module.register_forward_hook(lambda module, inputs, output, seen=seen: seen.add(output.dtype))
        next(trainer.steps())
        assert seen == {getattr(torch, precision)}
        assert {weight.dtype for weight in trainer.model.parameters()} == {torch.float32}


def test_grids_are_drawn_with_the_ema_and_always_from_the_same_noise(blobs: Tensor) -> None:
    trainer = Trainer(TINY, images=blobs)
    first = trainer.sample(3)
    trainer.step = 7
    for weight in trainer.model.parameters():
        weight.data.zero_()
    assert torch.equal(trainer.sample(3), first)
    trainer.ema.head[-1].get_parameter("bias").data += 0.1
    assert not torch.equal(trainer.sample(3), first)


def test_a_trainer_does_not_change_the_callers_random_state(blobs: Tensor, tmp_path: Path) -> None:
    torch.manual_seed(999)
    state = torch.random.get_rng_state()
    trainer = Trainer(TINY, images=blobs)
    train(trainer, tmp_path, until=3)
    run.finish(trainer, tmp_path)
    assert torch.equal(torch.random.get_rng_state(), state)


def test_a_killed_run_can_be_resumed_and_ends_the_same(tmp_path: Path, blobs: Tensor) -> None:
    """A real process, killed without warning after a step that was not saved, in bfloat16."""
    config = replace(TINY, precision="bfloat16")
    train(Trainer(config, images=blobs), tmp_path / "whole")
    save_file({"blobs": blobs}, tmp_path / "blobs")
    code = f"""
import os, signal, pathlib
from safetensors.torch import load_file
from dino.trainer.config import Config
from dino.trainer.run import train
from dino.trainer.trainer import Trainer
trainer = Trainer(Config(**{asdict(config)!r}), images=load_file({str(tmp_path / "blobs")!r})["blobs"])
for progress in train(trainer, pathlib.Path({str(tmp_path / "killed")!r})):
    if progress.step == 45:
        os.kill(os.getpid(), signal.SIGKILL)
"""
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == -signal.SIGKILL
    resumed = Trainer(run_folder.saved_config(tmp_path / "killed"), images=blobs)
    resumed.load(tmp_path / "killed")
    assert 0 < resumed.step < 45
    train(resumed, tmp_path / "killed")
    for name in ("model.safetensors", "state.safetensors"):
        assert (tmp_path / "whole" / name).read_bytes() == (tmp_path / "killed" / name).read_bytes()
    assert losses(tmp_path / "whole") == losses(tmp_path / "killed")
    for grid in (tmp_path / "whole" / "samples").iterdir():
        assert (tmp_path / "killed" / "samples" / grid.name).read_bytes() == grid.read_bytes()


def test_half_a_row_in_the_log_is_dropped_on_resume(tmp_path: Path, blobs: Tensor) -> None:
    train(Trainer(TINY, images=blobs), tmp_path, until=30)
    with (tmp_path / "log.csv").open("ab") as file:
        file.write(b"5\xff")
    resumed = Trainer(TINY, images=blobs)
    resumed.load(tmp_path)
    train(resumed, tmp_path)
    assert [step for step, _ in losses(tmp_path)] == ["25", "50", "60"]


def test_tensorboard_gets_the_losses_and_the_grids(tmp_path: Path, blobs: Tensor) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    train(Trainer(TINY, images=blobs), tmp_path)
    events = EventAccumulator(str(tmp_path))
    events.Reload()
    logged = [(event.step // 16, event.value) for event in events.Scalars("loss")]
    assert logged == [(int(step), pytest.approx(float(loss), rel=1e-5)) for step, loss in losses(tmp_path)]
    assert events.Images("samples")


def test_a_run_is_saved_regularly(tmp_path: Path, blobs: Tensor, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run, "SAVE_EVERY", 0)
    for progress in run.train(Trainer(TINY, images=blobs), tmp_path):
        if progress.step == 5:
            assert tensor_file.read(tmp_path / "state.safetensors", "state")[1]["step"] == 5
            break


def test_a_run_folder_that_vanishes_is_reported_in_one_line(tmp_path: Path, blobs: Tensor) -> None:
    steps = run.train(Trainer(TINY, images=blobs), tmp_path / "run")
    next(steps)
    shutil.rmtree(tmp_path / "run")
    with pytest.raises(DinoError, match="could not write"):
        list(steps)


def test_a_run_cannot_be_resumed_to_an_end_that_it_has_passed(tmp_path: Path, blobs: Tensor) -> None:
    train(Trainer(TINY, images=blobs), tmp_path, until=30)
    with pytest.raises(DinoError, match="has seen 480 images already"):
        Trainer(replace(TINY, n_images=160), images=blobs).load(tmp_path)


def test_other_images_are_refused_on_resume(tmp_path: Path, blobs: Tensor) -> None:
    train(Trainer(TINY, images=blobs), tmp_path, until=2)
    other = Trainer(TINY, images=blobs.flip(0))
    with pytest.raises(DinoError, match="not those that the run"):
        other.load(tmp_path)


def test_gray_images_and_other_sizes_train(tmp_path: Path, image_folder: Path) -> None:
    config = replace(TINY, data=str(image_folder), channels=1, size=12, widths=(4, 4, 4), depths=(1, 1, 1), n_images=32)
    trainer = Trainer(config)
    train(trainer, tmp_path / "run")
    assert trainer.sample(2).shape == (2, 1, 12, 12)
    assert len(run.finish(trainer, tmp_path / "run")) == 4


@given(size=st.integers(1, 300), resolutions=st.integers(1, 6))
def test_a_size_that_the_network_cannot_halve_is_refused_and_the_nearest_ones_are_named(
    size: int, resolutions: int
) -> None:
    def config(side: int) -> Config:
        return replace(TINY, size=side, widths=(4,) * resolutions, depths=(1,) * resolutions)

    step = 2 ** (resolutions - 1)
    if size % step == 0:
        assert config(size).size == size
        return
    with pytest.raises(DinoError, match=f"divisible by {step}") as caught:
        config(size)
    offered = [int(word) for word in str(caught.value).partition("use ")[2].split(" or ")]
    assert offered
    for side in offered:
        assert config(side).size == side
        assert abs(side - size) < step


@pytest.mark.parametrize("name", ["n_images", "batch_size", "learning_rate", "ema_half_life"])
def test_impossible_settings_are_refused(name: str) -> None:
    with pytest.raises(DinoError, match=f"{name.replace('_', ' ')} must be more than 0"):
        replace(TINY, **{name: 0})


@pytest.mark.parametrize("rate", [math.nan, math.inf])
def test_a_learning_rate_that_json_can_not_hold_is_refused(rate: float) -> None:
    with pytest.raises(DinoError, match=f"learning rate must be more than 0 and finite, not {rate}"):
        replace(TINY, learning_rate=rate)


def test_a_loss_that_is_not_finite_leaves_its_cell_of_the_log_empty_and_the_run_resumes(
    tmp_path: Path, blobs: Tensor
) -> None:
    def train_step(*arguments: Any, **options: Any) -> float:
        training.train_step(*arguments, **options)
        return math.nan

    parts = Parts(training=SimpleNamespace(train_step=train_step, update_average=training.update_average))
    config = replace(TINY, n_images=27 * TINY.batch_size)
    trainer = CustomTrainer(config, device="cpu", images=blobs, parts=parts)
    for progress in run.train(trainer, tmp_path):
        if progress.step == 26:
            break
    assert (tmp_path / "log.csv").read_text().splitlines()[1].split(",")[2] == ""
    assert run_folder.describe(tmp_path)["loss"].startswith("unknown, because the log had no row with a finite loss")
    assert run_folder.describe(tmp_path)["run"] == "96% done"
    resumed = CustomTrainer(config, device="cpu", images=blobs, parts=parts)
    resumed.load(tmp_path)
    for _ in run.train(resumed, tmp_path):
        pass
    assert [line.split(",")[2] for line in (tmp_path / "log.csv").read_text().splitlines()] == ["loss", "", ""]


def test_the_presets_are_as_documented() -> None:
    assert set(PRESETS) == {"quick", "full", "iadb", "original"}
    original, full, quick = PRESETS["original"], PRESETS["full"], PRESETS["quick"]
    assert (original.batch_size, original.learning_rate, original.precision) == (16, 3e-4, "float32")
    assert original.n_images == 861_440
    assert not original.anneal
    for preset in (original, full):
        assert (preset.size, preset.widths, preset.depths) == (64, (64,) * 5, (2,) * 5)
    assert (original.data, original.optimizer, original.max_words) == ("emoji", "adamw", 0)
    for preset in (quick, full):
        assert (preset.data, preset.optimizer, preset.anneal) == ("dinos", "muon", True)
    assert quick.size == 32


def test_run_folders_are_numbered_and_never_taken_twice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert run_folder.new_run_folder(None, "quick") == Path("runs/quick-1")
    assert run_folder.new_run_folder(None, "quick") == Path("runs/quick-2")
    Path("runs/quick-9").mkdir()
    assert run_folder.new_run_folder(None, "quick") == Path("runs/quick-10")
    assert run_folder.new_run_folder(Path("mine"), "quick") == Path("mine")
    Path("mine/photo.jpg").touch()
    with pytest.raises(DinoError, match="not empty"):
        run_folder.new_run_folder(Path("mine"), "quick")
    with pytest.raises(DinoError, match="not empty"):
        run_folder.new_run_folder(Path("mine/photo.jpg"), "quick")
    Path("runs/quick-9/state.safetensors").touch()
    with pytest.raises(DinoError, match="already holds a run"):
        run_folder.new_run_folder(Path("runs/quick-9"), "quick")


def test_the_newest_run_is_the_one_whose_weights_were_written_last(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for name, age in (("quick-1", 10), ("quick-2", 20)):
        Path("runs", name).mkdir(parents=True)
        Path("runs", name, "model.safetensors").touch()
        os.utime(Path("runs", name, "model.safetensors"), (1_000_000 - age, 1_000_000 - age))
    assert run_folder.newest_run() == Path("runs/quick-1")


def test_a_missing_device_is_refused() -> None:
    with pytest.raises(DinoError, match="no device tpu here"):
        choose_device("tpu")


def test_a_run_trains_on_all_images_except_those_held_out() -> None:
    trainer = Trainer(replace(TINY, data="emoji:faces,noto"), device="cpu")
    assert torch.equal(trainer.images, load_images("emoji:faces,noto", 8, part="training"))


# ---- words and Muon -------------------------------------------------------------------------------------------------


def conditions(trainer: Trainer, n: int) -> list[Tensor]:
    """The conditions that the network gets in the first n steps."""
    seen: list[Tensor] = []
    trainer.model.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[2]))
    for _ in zip(range(n), trainer.steps(), strict=False):
        pass
    return seen


def test_every_image_comes_with_its_own_words_also_when_it_is_mirrored(blobs: Tensor, labeled: LabeledImages) -> None:
    """An image tells which one it is, and its mirror image too."""
    images = torch.full((40, 3, 8, 8), 255, dtype=torch.uint8)
    images[:, 0, 0, 0] = torch.arange(40, dtype=torch.uint8)  # the mark is in the left corner, or mirrored in the right
    trainer = Trainer(replace(MUON, drop_words=0.0), images=labeled._replace(images=images))
    told = conditions(trainer, 5)
    n_mirrored = n_complete = 0
    for step, (clean, condition) in enumerate(zip(trainer._batches(0), told, strict=False)):
        assert condition.shape == (16, 4)
        for image, words in zip(clean, condition, strict=True):
            left, right = round(image[0, 0, 0].item() * 255), round(image[0, 0, 7].item() * 255)
            number, is_mirrored = (left, False) if left < 255 else (right, True)
            n_mirrored += is_mirrored
            expected = labeled.words[number].tolist()
            if is_mirrored:
                expected[0], expected[2] = expected[2], expected[0]
            assert all(asked <= has for asked, has in zip(words.tolist(), expected, strict=True)), (
                f"step {step}: image {number}, mirrored: {is_mirrored}"
            )
            n_complete += words.tolist() == expected
    assert n_complete > 50, "most of the images keep all of their words"
    assert 20 < n_mirrored < 60


def test_the_words_of_some_training_images_are_kept_with_the_weights(labeled: LabeledImages) -> None:
    kept = Trainer(MUON, images=labeled).metadata()["word_sets"]
    assert kept == [row.nonzero().flatten().tolist() for row in labeled.words]
    assert Trainer(MUON, images=labeled.images).metadata()["word_sets"] == []


def test_a_share_of_the_words_is_dropped(labeled: LabeledImages) -> None:
    free = []
    for share in (0.0, 0.5):
        told = torch.cat(conditions(Trainer(replace(MUON, drop_words=share), images=labeled), 60))
        free.append((told == 0).all(1).float().mean().item())
    assert free[0] < 0.35
    assert free[1] - 0.5 == pytest.approx(0.5 * free[0], abs=0.06)


def test_with_words_a_batch_in_parts_gives_the_same_run(labeled: LabeledImages) -> None:
    runs = [Trainer(replace(MUON, optimizer="adamw"), images=labeled, accumulate=parts) for parts in (1, 3)]
    for trainer in runs:
        for _ in zip(range(10), trainer.steps(), strict=False):
            pass
    for one, other in zip(runs[0].weights, runs[1].weights, strict=True):
        assert torch.allclose(one, other, atol=1e-5)


def test_a_model_with_words_is_saved_with_them_and_draws_with_and_without(
    tmp_path: Path, labeled: LabeledImages
) -> None:
    trainer = Trainer(replace(MUON, n_images=160), images=labeled)
    train(trainer, tmp_path)
    model, metadata = load_model(tmp_path)
    assert tuple(metadata["config"]["vocabulary"]) == VOCABULARY
    assert run_folder.describe(tmp_path)["can be asked for"] == "left, red, right, big"
    noisy, level = torch.rand(2, 3, 8, 8), torch.full((1, 1, 1, 1), 0.7)
    assert torch.equal(model(noisy, level), trainer.ema(noisy, level))
    asked = model(noisy, level, torch.eye(4)[:2])
    assert torch.equal(asked, trainer.ema(noisy, level, torch.eye(4)[:2]))
    assert not torch.equal(asked, model(noisy, level))


def test_no_words_are_learned_if_none_are_wanted_or_there_are_none(image_folder: Path) -> None:
    for data, max_words in (("dinos:100", 0), (str(image_folder), 64)):
        trainer = Trainer(replace(TINY, data=data, max_words=max_words))
        assert trainer.config.vocabulary == ()
        assert next(trainer.model.parameters()).shape[1] == 4, "three colors and the noise level"


def test_a_run_finds_the_words_of_its_source() -> None:
    trainer = Trainer(replace(TINY, data="dinos:200", max_words=64))
    expected = load_labeled_images("dinos:200", 8, part="training")
    assert trainer.config.vocabulary == expected.vocabulary
    assert torch.equal(trainer.words, expected.words)


def test_muon_moves_the_inner_convolutions_and_both_rates_follow_the_schedule(labeled: LabeledImages) -> None:
    trainer = Trainer(MUON, images=labeled)
    assert type(trainer.optimizer).__name__ == "Muon"
    for _ in trainer.steps():
        rates = [group["lr"] for group in trainer.optimizer.param_groups]
        share = MUON.schedule_at(trainer.step - 1)
        assert rates == pytest.approx([0.02 * share, 1e-3 * share])


def test_muon_learns(labeled: LabeledImages, tmp_path: Path) -> None:
    config = replace(MUON, n_images=200 * 16)
    train(Trainer(config, images=labeled), tmp_path)
    values = [float(loss) for _, loss in losses(tmp_path)]
    assert values[-1] < 0.6 * values[0]


def test_a_nonfinite_number_stops_muon_before_that_step(labeled: LabeledImages) -> None:
    trainer = Trainer(MUON, images=labeled)
    for _ in zip(range(5), trainer.steps(), strict=False):
        pass
    before = [weight.detach().clone() for weight in trainer.weights]
    trainer._train_step(trainer.model, torch.full((16, 3, 8, 8), math.nan), torch.zeros(16, 4), torch.Generator())
    trainer.step += 1
    trainer.nonfinite.count()
    assert all(torch.equal(old, new) for old, new in zip(before, trainer.weights, strict=True))
    with pytest.raises(DinoError, match="not a finite number"):
        trainer.check_finite()


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
@pytest.mark.parametrize("optimizer", ["adamw", "muon"])
def test_a_learners_step_and_flips_train_with_words_like_dinos(
    labeled: LabeledImages, optimizer: str, precision: str
) -> None:
    """The learner's files know nothing of words, nor of bfloat16."""
    config = replace(MUON, optimizer=optimizer, precision=precision)
    own = SimpleNamespace(train_step=training.train_step, update_average=training.update_average)
    ours, theirs = Trainer(config, images=labeled), CustomTrainer(config, images=labeled, parts=Parts(training=own))
    for trainer in (ours, theirs):
        for _ in zip(range(10), trainer.steps(), strict=False):
            pass
    for one, other in zip(ours.weights, theirs.weights, strict=True):
        assert torch.allclose(one, other, atol=1e-6)
