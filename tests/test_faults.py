"""What happens to a run when the machine fails it: each time really, in a process of its own.

Whatever happens, the run folder then holds a state to go on from and weights to draw with, both at least as new as the
last save that was announced; and what the person can mend is told in one line.
"""

import csv
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image
from safetensors.torch import load_file
from torch import Tensor

from dino.trainer import checkpoint, model_file, run_folder
from dino.trainer.run import train
from dino.trainer.tensor_file import STATE, WEIGHTS
from dino.trainer.trainer import Trainer

pytestmark = pytest.mark.skipif(
    sys.platform != "linux", reason="forks, tmpfs, /proc and memory limits as Linux has them"
)

ROOT = Path(__file__).parent.parent
PATIENCE = 60  # seconds; as long as a child of the nursery lives


class Child:
    """A process of the `dino` command, forked by the nursery."""

    def __init__(self, nursery: "Nursery", pid: int, folder: Path, log: Path) -> None:
        self.nursery, self.pid, self.folder, self.log = nursery, pid, folder, log

    @property
    def announced(self) -> list[tuple[int, int]]:
        """The step and the last save of each progress that was yielded."""
        lines = self.log.read_text().splitlines() if self.log.exists() else []
        return [(int(step), int(saved)) for step, saved in map(str.split, lines)]

    @property
    def saved(self) -> int:
        return max([saved for _, saved in self.announced], default=0)

    def wait(self) -> int:
        return self.nursery.ask(wait=self.pid)

    def wait_until(self, condition: Callable[[], bool]) -> None:
        deadline = time.monotonic() + PATIENCE
        while not condition():
            assert time.monotonic() < deadline
            time.sleep(0.005)

    def wait_for_step(self, step: int) -> None:
        self.wait_until(lambda: bool(self.announced) and self.announced[-1][0] >= step)

    def wait_for_save(self) -> None:
        self.wait_until(lambda: self.saved > 0)

    def send(self, number: signal.Signals) -> None:
        os.kill(self.pid, number)  # it is ours until `wait`, dead or alive

    @property
    def said(self) -> list[str]:
        """What it said beside its progress bar."""
        lines = self.log.with_suffix(".err").read_text().splitlines()
        return [line for line in lines if line.strip() and " images/s" not in line]

    def refusal(self) -> str:
        """The one line that a child must end with."""
        assert self.wait() == 1, self.said
        assert len(self.said) == 1, "\n".join(self.said)
        assert self.said[0].startswith("dino: ")
        return self.said[0]


class Nursery:
    """See nursery.py."""

    def __init__(self, work: Path, pictures: Path, *prefix: str) -> None:
        self.work, self.pictures, self.children = work, pictures, 0
        settings = {"DINO_CACHE": str(work / "cache"), "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
        self.process = subprocess.Popen(
            [*prefix, sys.executable, "-m", "tests.nursery"], cwd=ROOT, env=os.environ | settings,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip

    def ready(self) -> bool:
        assert self.process.stdout
        return self.process.stdout.readline() == "ready\n"

    def ask(self, **request: Any) -> Any:
        assert self.process.stdin
        assert self.process.stdout
        self.process.stdin.write(json.dumps(request, default=str) + "\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())

    def begin(self, folder: Path, *argv: str, resume: bool = False, **settings: Any) -> Child:
        """Start a run in `folder`, or go on with the one in it."""
        self.children += 1
        log = self.work / f"{self.children}.log"
        words = ["--resume", str(folder)] if resume else ["--data", str(self.pictures), "--out", str(folder)]
        return Child(
            self, self.ask(folder=folder, log=log, argv=["train", *words, *argv], settings=settings), folder, log
        )

    def close(self) -> str:
        return self.process.communicate()[1]


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> Iterator[None]:
    """As in the nursery: sums in another order would differ in their last bits."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def picture_files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Forty pictures of noise."""
    folder = tmp_path_factory.mktemp("pictures")
    noise = torch.randint(0, 256, (40, 8, 8, 3), dtype=torch.uint8, generator=torch.Generator().manual_seed(1))
    for index, image in enumerate(noise):
        Image.fromarray(image.numpy()).save(folder / f"{index:02d}.png")
    return folder


@pytest.fixture(scope="module")
def nursery(tmp_path_factory: pytest.TempPathFactory, picture_files: Path) -> Iterator[Nursery]:
    nursery = Nursery(tmp_path_factory.mktemp("nursery"), picture_files)
    assert nursery.ready(), nursery.close()
    yield nursery
    nursery.close()


@pytest.fixture(scope="module")
def apart(tmp_path_factory: pytest.TempPathFactory, picture_files: Path) -> Iterator[Nursery]:
    """A nursery that may mount disks, which no one else sees and which end with it."""
    if not shutil.which("unshare"):
        pytest.skip("there is no unshare here, to mount disks in a namespace of one's own")
    if (may := subprocess.run(["unshare", "-rm", "true"], capture_output=True, text=True, check=False)).returncode:
        pytest.skip(f"this system does not permit a namespace of one's own: {may.stderr.strip()}")
    nursery = Nursery(tmp_path_factory.mktemp("apart"), picture_files, "unshare", "-rm")
    assert nursery.ready(), nursery.close()
    yield nursery
    nursery.close()


@pytest.fixture(scope="module")
def whole(nursery: Nursery, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a run to which nothing happened."""
    child = nursery.begin(tmp_path_factory.mktemp("whole") / "run", save_every=1000)
    assert child.wait() == 0, child.said
    assert child.announced[-1] == (60, 60)
    return child.folder


def loaded(folder: Path, images: Tensor | None = None) -> Trainer:
    config = run_folder.saved_config(folder)
    trainer = Trainer(config, images=images, device="cpu")
    trainer.load(folder)
    return trainer


def steps_saved(folder: Path) -> tuple[int, int]:
    """How far the state and the weights in a folder are; both must load."""
    return loaded(folder).step, model_file.load_model(folder)[1]["step"]


def rows(folder: Path) -> list[list[str]]:
    with (folder / "log.csv").open() as file:
        return [row[:3] for row in csv.reader(file)]


def check_end(folder: Path, whole: Path) -> None:
    """Both runs came to the same end, bit for bit."""
    assert rows(folder) == rows(whole)
    assert steps_saved(folder) == steps_saved(whole)
    for name in (STATE, WEIGHTS):
        assert (folder / name).read_bytes() == (whole / name).read_bytes(), name


def go_on(folder: Path, whole: Path) -> None:
    """Resume a run here: it must come to the same end as one to which nothing happened."""
    trainer = loaded(folder)
    for _ in train(trainer, folder):
        pass
    assert not list(folder.rglob("*.tmp"))
    check_end(folder, whole)


# ---- killed ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(4))
def test_a_run_killed_six_times_at_random_moments_comes_to_the_same_end(
    nursery: Nursery, tmp_path: Path, whole: Path, seed: int
) -> None:
    moments, kills, folder = random.Random(seed), 0, tmp_path / "run-0"
    child = nursery.begin(folder)
    child.wait_for_save()
    while kills < 6:
        time.sleep(moments.uniform(0, 0.5))
        child.send(signal.SIGKILL)
        status = child.wait()
        assert status in (-signal.SIGKILL, 0), child.said
        state, weights = steps_saved(folder)
        assert state >= child.saved
        assert weights >= child.saved
        kills += status != 0
        if status == 0:  # it was faster; another one, from the start
            assert (folder / STATE).read_bytes() == (whole / STATE).read_bytes()
            folder = tmp_path / f"run-{kills}"
            child = nursery.begin(folder)
            child.wait_for_save()
        else:
            child = nursery.begin(folder, resume=True)
    child.send(signal.SIGKILL)
    child.wait()
    go_on(folder, whole)


@pytest.mark.parametrize(
    ("point", "state", "weights"),
    [
        ("before the temporary of state.safetensors", 8, 8),
        ("half of the bytes of state.safetensors", 8, 8),
        ("before the fsync of state.safetensors", 8, 8),
        ("after the fsync of state.safetensors", 8, 8),
        ("after the rename of state.safetensors", 9, 8),
        ("after the fsync of the folder of state.safetensors", 9, 8),
        ("half of the bytes of model.safetensors", 9, 8),
        ("after the rename of model.safetensors", 9, 9),
    ],
)
def test_a_kill_at_any_point_of_a_save_leaves_the_old_file_or_the_new_one(
    nursery: Nursery, tmp_path: Path, whole: Path, point: str, state: int, weights: int
) -> None:
    child = nursery.begin(tmp_path / "run", at=9, point=point)
    assert child.wait() == -signal.SIGKILL, child.said
    assert child.announced[-1] == (8, 8)
    assert steps_saved(child.folder) == (state, weights)
    go_on(child.folder, whole)


@pytest.mark.parametrize("point", ["after the rename of state.safetensors", "half of the bytes of model.safetensors"])
def test_a_kill_between_the_last_state_and_its_weights_is_made_good_by_going_on(
    nursery: Nursery, tmp_path: Path, whole: Path, point: str
) -> None:
    child = nursery.begin(tmp_path / "run", at=60, point=point)
    assert child.wait() == -signal.SIGKILL, child.said
    assert steps_saved(child.folder) == (60, 59)
    go_on(child.folder, whole)


# ---- a full disk ----------------------------------------------------------------------------------------------------


@pytest.fixture
def small_disk(apart: Nursery, tmp_path: Path) -> Path:
    """A disk of one megabyte that only the nursery sees."""
    disk = tmp_path / "disk"
    disk.mkdir()
    if error := apart.ask(mount=disk, size="1m"):
        pytest.skip(f"this system does not permit mounting a small disk: {error.strip()}")
    return disk


@pytest.mark.parametrize(
    ("before_weights", "pages_left"),
    [(False, 0), (False, 12), (False, -1), (True, 0), (True, 2), (True, -1)],
    ids=[f"{where} of the {what}" for what in ("state", "weights") for where in ("start", "middle", "end")],
)
def test_a_disk_that_is_full_in_a_save_is_told_and_spares_the_save_before(
    apart: Nursery, small_disk: Path, tmp_path: Path, whole: Path, before_weights: bool, pages_left: int
) -> None:
    page, name = os.sysconf("SC_PAGE_SIZE"), WEIGHTS if before_weights else STATE
    if pages_left < 0:  # all but the last page of the file fits
        pages_left += -(-(whole / name).stat().st_size // page)
    child = apart.begin(small_disk / "run", at=5, fill_to=pages_left * page, before_weights=before_weights)
    line = child.refusal()
    assert "dino: the disk is full: could not write" in line
    assert str(child.folder / name) in line
    assert "Free some space, then" in line
    assert child.announced[-1] == (5, 5)
    apart.ask(copy=child.folder, to=tmp_path / "then")
    assert steps_saved(tmp_path / "then") == ((6, 5) if before_weights else (5, 5))
    apart.ask(remove=small_disk / "ballast")
    again = apart.begin(child.folder, resume=True, save_every=1000)
    assert again.wait() == 0, again.said
    apart.ask(copy=child.folder, to=tmp_path / "end")
    assert not list((tmp_path / "end").rglob("*.tmp"))
    assert (tmp_path / "end" / STATE).read_bytes() == (whole / STATE).read_bytes()


@pytest.mark.parametrize("step", [20, 24], ids=["a grid", "a row of the log"])
def test_a_disk_that_is_full_between_saves_is_told_and_spares_the_save_before(
    apart: Nursery, small_disk: Path, tmp_path: Path, step: int
) -> None:
    child = apart.begin(small_disk / "run", at=step, fill_to=0, save_every=1000)
    assert "dino: the disk is full: could not write" in child.refusal()
    apart.ask(copy=child.folder, to=tmp_path / "then")
    assert steps_saved(tmp_path / "then") == (child.saved, child.saved)


# ---- a run folder that can't be used any more -----------------------------------------------------------------------


@pytest.mark.parametrize("how", [{"starts_read_only": True}, {"at": 30, "read_only": True}], ids=["start", "middle"])
def test_a_run_folder_that_is_read_only_is_told_and_stays_as_it_was(
    apart: Nursery, nursery: Nursery, tmp_path: Path, whole: Path, how: dict[str, Any]
) -> None:
    first = nursery.begin(tmp_path / "run", at=20, stop=True)
    assert first.wait() == 128 + signal.SIGTERM
    child = apart.begin(first.folder, resume=True, **how)
    line = child.refusal()
    if "Operation not permitted" in line or "permission denied" in line:
        pytest.skip(f"this system does not permit a read-only mount: {line}")
    assert "Read-only file system" in line
    assert f"could not write {tmp_path}" in line
    assert steps_saved(first.folder) == ((20, 20) if not child.announced else (30, 30))
    go_on(first.folder, whole)


@pytest.mark.parametrize("save_every", [0, 1000])
def test_a_run_folder_that_is_removed_is_told(nursery: Nursery, tmp_path: Path, whole: Path, save_every: int) -> None:
    child = nursery.begin(tmp_path / "run", at=30, remove=True, save_every=save_every)
    line = child.refusal()
    assert f"could not write {child.folder}" in line
    assert "No such file or directory" in line
    if (child.folder / STATE).exists():  # what was saved after that is good
        assert min(steps_saved(child.folder)) >= child.saved
        shutil.rmtree(child.folder / "samples", ignore_errors=True)
        trainer = loaded(child.folder)
        for _ in train(trainer, child.folder):
            pass
        assert (child.folder / STATE).read_bytes() == (whole / STATE).read_bytes()


def test_a_run_folder_takes_one_trainer_at_a_time_and_is_free_when_that_one_is_dead(
    nursery: Nursery, tmp_path: Path, whole: Path
) -> None:
    first = nursery.begin(tmp_path / "run", at=10, hold=True)
    held = tmp_path / "held"
    first.wait_until(held.exists)
    before = {path: path.read_bytes() for path in first.folder.rglob("*.*") if path.is_file()}
    second = nursery.begin(first.folder, resume=True)
    assert f"another process is training in {first.folder}" in second.refusal()
    assert not second.announced
    assert {path: path.read_bytes() for path in first.folder.rglob("*.*") if path.is_file()} == before
    held.unlink()
    first.wait_for_step(12)
    first.send(signal.SIGKILL)
    assert first.wait() == -signal.SIGKILL
    third = nursery.begin(first.folder, resume=True)
    assert third.wait() == 0, third.said
    assert third.announced[0][0] > first.saved
    assert (first.folder / STATE).read_bytes() == (whole / STATE).read_bytes()


def test_a_trainer_beside_which_another_was_refused_comes_to_the_same_end(
    nursery: Nursery, tmp_path: Path, whole: Path
) -> None:
    first = nursery.begin(tmp_path / "run", at=10, hold=True)
    first.wait_until((tmp_path / "held").exists)
    assert "another process" in nursery.begin(first.folder, resume=True).refusal()
    (tmp_path / "held").unlink()
    assert first.wait() == 0, first.said
    for name in (STATE, WEIGHTS):
        assert (first.folder / name).read_bytes() == (whole / name).read_bytes()


# ---- stopped --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("save_every", [0, 1000])
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
@pytest.mark.parametrize("seed", range(2))
def test_a_signal_at_a_random_moment_saves_the_very_step_that_was_reached(
    nursery: Nursery, tmp_path: Path, number: signal.Signals, save_every: int, seed: int
) -> None:
    moments = random.Random(f"{seed} {number} {save_every}")
    child = nursery.begin(tmp_path / "run", "--images", "16000", save_every=save_every)
    child.wait_for_step(moments.randint(1, 60))
    time.sleep(moments.uniform(0, 0.03))
    child.send(number)
    assert child.wait() == 128 + number, child.said
    reached = child.announced[-1][0]
    assert steps_saved(child.folder) == (reached, reached)
    assert child.said == [
        "stopping after this step; once more ends it at once, unsaved",
        f"stopped and saved. Go on with: dino train --resume {child.folder}",
    ]
    again = nursery.begin(child.folder, resume=True, at=reached + 2, stop=True)
    assert again.wait() == 128 + signal.SIGTERM, again.said
    assert [step for step, _ in again.announced] == [reached + 1, reached + 2]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_second_signal_while_it_is_stopping_ends_it_at_once_and_spares_the_save_before(
    nursery: Nursery, tmp_path: Path, whole: Path, number: signal.Signals
) -> None:
    child = nursery.begin(tmp_path / "run", at=10, slow_saves=True, stop=True, save_every=1000)
    child.wait_until((tmp_path / "saving").exists)  # it takes as long as the child may live
    child.send(number)
    assert child.wait() == 128 + number, child.said
    assert child.announced[-1] == (10, 8)
    assert steps_saved(child.folder) == (8, 8)
    go_on(child.folder, whole)


# ---- numbers that are none ------------------------------------------------------------------------------------------


def stopped_at(step: int, like: Path) -> dict[str, Tensor]:
    """What a run to which nothing happened has in memory after `step` steps."""
    config = run_folder.saved_config(like)
    trainer = Trainer(config, device="cpu")
    for _ in trainer.steps():
        if trainer.step == step:
            break
    return checkpoint.state_of({"model": trainer.model}, trainer.optimizer)


SPOILT = [
    ("picture", "nan", "a picture"),
    ("picture", "inf", "a picture"),
    ("picture", "1e30", "the loss"),
    ("loss", "nan", "the loss"),
    ("loss", "inf", "the loss"),
    ("gradient", "nan", "a gradient"),
    ("gradient", "-inf", "a gradient"),
]
# The step, whether each step is saved (then the one before it is there), and the last save before it otherwise.
PLACES = [(13, 0, 13), (11, 1000, 8), (24, 1000, 21), (58, 1000, 39)]


@pytest.mark.parametrize(
    ("what", "value", "told", "step", "save_every", "saved"),
    [
        *((*spoilt, *place) for spoilt in SPOILT for place in PLACES[:2]),
        *((*spoilt, *place) for spoilt in SPOILT if spoilt[1] == "nan" for place in PLACES[2:]),
    ],
)
def test_a_number_that_is_none_stops_the_run_before_that_very_step(
    nursery: Nursery,
    tmp_path: Path,
    whole: Path,
    what: str,
    value: str,
    told: str,
    step: int,
    save_every: int,
    saved: int,
) -> None:
    child = nursery.begin(tmp_path / "run", at=step, poison=what, value=value, save_every=save_every)
    line = child.refusal()
    assert f"at step {step + 1} {told} was not a finite number" in line
    assert "--learning-rate" in line
    memory = load_file(child.log.with_suffix(".memory"))
    for name, tensor in stopped_at(step, whole).items():
        assert torch.equal(memory[name], tensor), name
    assert child.saved == saved
    assert steps_saved(child.folder) == (saved, saved)
    go_on(child.folder, whole)


@pytest.mark.parametrize(("save_every", "saved"), [(0, 13), (1000, 8)])
def test_a_weight_that_is_no_number_stops_the_run_and_spares_the_save_before(
    nursery: Nursery, tmp_path: Path, whole: Path, save_every: int, saved: int
) -> None:
    child = nursery.begin(tmp_path / "run", at=13, spoil_weight=True, save_every=save_every)
    line = child.refusal()
    assert "at step 14 a weight was not a finite number" in line
    assert "--learning-rate" in line
    memory = load_file(child.log.with_suffix(".memory"))
    for name, tensor in stopped_at(13, whole).items():
        assert (memory[name] != tensor).sum() == (name == "model.down.0.0.weight"), name
    assert steps_saved(child.folder) == (saved, saved)
    go_on(child.folder, whole)


def test_what_is_not_finite_is_not_saved_by_a_signal_either(nursery: Nursery, tmp_path: Path, whole: Path) -> None:
    child = nursery.begin(tmp_path / "run", at=13, spoil_weight=True, stop=True, save_every=1000)
    assert child.wait() == 1
    assert [line for line in child.said if line.startswith("dino: ")] == child.said[-1:]
    assert "at step 13 a weight was not a finite number" in child.said[-1]
    assert steps_saved(child.folder) == (8, 8)
    go_on(child.folder, whole)


# ---- too little memory ----------------------------------------------------------------------------------------------

BIG = ["--batch-size", "16384", "--images", "32768"]


@pytest.mark.parametrize("megabytes", [60, 200, 300])
def test_too_little_memory_is_told_with_a_batch_to_try(nursery: Nursery, tmp_path: Path, megabytes: int) -> None:
    child = nursery.begin(tmp_path / "run", *BIG, memory=megabytes * 2**20)
    line = child.refusal()
    assert "not enough memory" in line
    assert "take --accumulate 2" in line
    assert "--batch-size 8192" in line


def test_a_batch_that_does_not_fit_any_more_spares_the_save_and_fits_in_parts(nursery: Nursery, tmp_path: Path) -> None:
    first = nursery.begin(tmp_path / "run", *BIG, at=1, stop=True)
    assert first.wait() == 128 + signal.SIGTERM, first.said
    before = (first.folder / STATE).read_bytes()
    again = nursery.begin(first.folder, resume=True, memory=300 * 2**20)
    assert "take --accumulate 2" in again.refusal()
    assert (first.folder / STATE).read_bytes() == before
    assert steps_saved(first.folder) == (1, 1)
    in_parts = nursery.begin(first.folder, "--accumulate", "16", resume=True, memory=300 * 2**20)
    assert in_parts.wait() == 0, in_parts.said
    assert steps_saved(first.folder) == (2, 2)
