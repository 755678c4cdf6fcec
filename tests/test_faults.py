"""Runs that fail: killed processes, full disks, lost folders, signals, nonfinite numbers, too little memory.

Every fault is real, and happens in a process of its own. Afterwards the run folder must hold a state to resume from and
weights to draw with, both at least as new as the last save that was announced. A problem that the user can fix must be
reported in one line.
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
from collections.abc import Iterator
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
from tests.waiting import wait_until

pytestmark = pytest.mark.skipif(
    sys.platform != "linux", reason="needs the forks, tmpfs, /proc and memory limits of Linux"
)

ROOT = Path(__file__).parent.parent
MUON = ("--optimizer", "muon")


class Child:
    """A process of the `dino` command, forked by the fork server."""

    def __init__(self, server: "ForkServer", pid: int, folder: Path, log: Path) -> None:
        self.server, self.pid, self.folder, self.log = server, pid, folder, log

    @property
    def announced(self) -> list[tuple[int, int]]:
        """The step and the last save of each progress that was yielded."""
        lines = self.log.read_text().splitlines() if self.log.exists() else []
        return [(int(step), int(saved)) for step, saved in map(str.split, lines)]

    @property
    def saved(self) -> int:
        return max([saved for _, saved in self.announced], default=0)

    def wait(self) -> int:
        return self.server.request(wait=self.pid)

    def wait_for_step(self, step: int) -> None:
        wait_until(lambda: bool(self.announced) and self.announced[-1][0] >= step)

    def wait_for_save(self) -> None:
        wait_until(lambda: self.saved > 0)

    def send(self, number: signal.Signals) -> None:
        os.kill(self.pid, number)  # dead or alive, the process keeps its id until `wait`

    @property
    def errors(self) -> list[str]:
        """The lines on its error stream, without the progress bar."""
        lines = self.log.with_suffix(".err").read_text().splitlines()
        return [line for line in lines if line.strip() and " images/s" not in line]

    def refusal(self) -> str:
        """Wait for a child that must fail. Returns the one line that it prints."""
        assert self.wait() == 1, self.errors
        assert len(self.errors) == 1, "\n".join(self.errors)
        assert self.errors[0].startswith("dino: ")
        return self.errors[0]


class ForkServer:
    """A process of `tests.fork_server`."""

    def __init__(self, work: Path, images: Path, *prefix: str) -> None:
        self.work, self.images, self.children = work, images, 0
        settings = {"DINO_CACHE": str(work / "cache"), "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
        self.process = subprocess.Popen(
            [*prefix, sys.executable, "-m", "tests.fork_server"], cwd=ROOT, env=os.environ | settings,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip

    def ready(self) -> bool:
        assert self.process.stdout
        return self.process.stdout.readline() == "ready\n"

    def request(self, **request: Any) -> Any:
        assert self.process.stdin
        assert self.process.stdout
        self.process.stdin.write(json.dumps(request, default=str) + "\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())

    def begin(self, folder: Path, *argv: str, resume: bool = False, **settings: Any) -> Child:
        """Start a run in `folder`, or resume the run in it."""
        self.children += 1
        log = self.work / f"{self.children}.log"
        words = ["--resume", str(folder)] if resume else ["--data", str(self.images), "--out", str(folder)]
        return Child(
            self, self.request(folder=folder, log=log, argv=["train", *words, *argv], settings=settings), folder, log
        )

    def close(self) -> str:
        return self.process.communicate()[1]


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> Iterator[None]:
    """Compute on one thread, like the fork server, because sums in another order differ in their last bits."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def image_files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Forty images of noise."""
    folder = tmp_path_factory.mktemp("images")
    noise = torch.randint(0, 256, (40, 8, 8, 3), dtype=torch.uint8, generator=torch.Generator().manual_seed(1))
    for index, image in enumerate(noise):
        Image.fromarray(image.numpy()).save(folder / f"{index:02d}.png")
    return folder


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, image_files: Path) -> Iterator[ForkServer]:
    server = ForkServer(tmp_path_factory.mktemp("server"), image_files)
    assert server.ready(), server.close()
    yield server
    server.close()


@pytest.fixture(scope="module")
def mounting_server(tmp_path_factory: pytest.TempPathFactory, image_files: Path) -> Iterator[ForkServer]:
    """A fork server that may mount disks. Only the server and its children see the disks, which end with the server."""
    if not shutil.which("unshare"):
        pytest.skip("mounting disks in a separate namespace needs unshare, which is not installed")
    if (may := subprocess.run(["unshare", "-rm", "true"], capture_output=True, text=True, check=False)).returncode:
        pytest.skip(f"this system does not permit a separate namespace: {may.stderr.strip()}")
    server = ForkServer(tmp_path_factory.mktemp("mounting"), image_files, "unshare", "-rm")
    assert server.ready(), server.close()
    yield server
    server.close()


@pytest.fixture(scope="module")
def whole(server: ForkServer, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a run without faults."""
    child = server.begin(tmp_path_factory.mktemp("whole") / "run", save_every=1000)
    assert child.wait() == 0, child.errors
    assert child.announced[-1] == (60, 60)
    return child.folder


@pytest.fixture(scope="module")
def whole_muon(server: ForkServer, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a run without faults whose optimizer is Muon."""
    child = server.begin(tmp_path_factory.mktemp("whole") / "run", *MUON, save_every=1000)
    assert child.wait() == 0, child.errors
    return child.folder


def loaded(folder: Path, images: Tensor | None = None) -> Trainer:
    config = run_folder.saved_config(folder)
    trainer = Trainer(config, images=images, device="cpu")
    trainer.load(folder)
    return trainer


def steps_saved(folder: Path) -> tuple[int, int]:
    """Return the steps of the state and of the weights in a folder. Both must load."""
    return loaded(folder).step, model_file.load_model(folder)[1]["step"]


def rows(folder: Path) -> list[list[str]]:
    with (folder / "log.csv").open() as file:
        return [row[:3] for row in csv.reader(file)]


def check_end(folder: Path, whole: Path) -> None:
    """Check that two runs have the same end, bit for bit."""
    assert rows(folder) == rows(whole)
    assert steps_saved(folder) == steps_saved(whole)
    for name in (STATE, WEIGHTS):
        assert (folder / name).read_bytes() == (whole / name).read_bytes(), name


def resume(folder: Path, whole: Path) -> None:
    """Resume a run in this process, and check that it ends like the run without faults."""
    trainer = loaded(folder)
    for _ in train(trainer, folder):
        pass
    assert not list(folder.rglob("*.tmp"))
    check_end(folder, whole)


# ---- killed ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("seed", "options", "whole_run"),
    [*((seed, (), "whole") for seed in range(4)), (4, MUON, "whole_muon")],
    ids=[*map(str, range(4)), "muon"],
)
def test_a_run_killed_six_times_at_random_moments_ends_the_same(
    server: ForkServer,
    tmp_path: Path,
    request: pytest.FixtureRequest,
    seed: int,
    options: tuple[str, ...],
    whole_run: str,
) -> None:
    whole: Path = request.getfixturevalue(whole_run)
    moments, kills, folder = random.Random(seed), 0, tmp_path / "run-0"
    child = server.begin(folder, *options)
    child.wait_for_save()
    while kills < 6:
        time.sleep(moments.uniform(0, 0.5))
        child.send(signal.SIGKILL)
        status = child.wait()
        assert status in (-signal.SIGKILL, 0), child.errors
        state, weights = steps_saved(folder)
        assert state >= child.saved
        assert weights >= child.saved
        kills += status != 0
        if status == 0:  # the run was faster than the kill: start another one
            assert (folder / STATE).read_bytes() == (whole / STATE).read_bytes()
            folder = tmp_path / f"run-{kills}"
            child = server.begin(folder, *options)
            child.wait_for_save()
        else:
            child = server.begin(folder, resume=True)
    child.send(signal.SIGKILL)
    child.wait()
    resume(folder, whole)


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
    server: ForkServer, tmp_path: Path, whole: Path, point: str, state: int, weights: int
) -> None:
    child = server.begin(tmp_path / "run", at=9, point=point)
    assert child.wait() == -signal.SIGKILL, child.errors
    assert child.announced[-1] == (8, 8)
    assert steps_saved(child.folder) == (state, weights)
    resume(child.folder, whole)


@pytest.mark.parametrize("point", ["after the rename of state.safetensors", "half of the bytes of model.safetensors"])
def test_after_a_kill_between_the_last_state_and_its_weights_resuming_writes_the_weights(
    server: ForkServer, tmp_path: Path, whole: Path, point: str
) -> None:
    child = server.begin(tmp_path / "run", at=60, point=point)
    assert child.wait() == -signal.SIGKILL, child.errors
    assert steps_saved(child.folder) == (60, 59)
    resume(child.folder, whole)


# ---- a full disk ----------------------------------------------------------------------------------------------------


@pytest.fixture
def small_disk(mounting_server: ForkServer, tmp_path: Path) -> Path:
    """A disk of one megabyte that only the fork server sees."""
    disk = tmp_path / "disk"
    disk.mkdir()
    if error := mounting_server.request(mount=disk, size="1m"):
        pytest.skip(f"this system does not permit mounting a small disk: {error.strip()}")
    return disk


@pytest.mark.parametrize(
    ("before_weights", "pages_left"),
    [(False, 0), (False, 12), (False, -1), (True, 0), (True, 2), (True, -1)],
    ids=[f"{where} of the {what}" for what in ("state", "weights") for where in ("start", "middle", "end")],
)
def test_a_disk_that_fills_up_during_a_save_is_reported_and_leaves_the_previous_save(
    mounting_server: ForkServer, small_disk: Path, tmp_path: Path, whole: Path, before_weights: bool, pages_left: int
) -> None:
    page, name = os.sysconf("SC_PAGE_SIZE"), WEIGHTS if before_weights else STATE
    if pages_left < 0:  # all but the last page of the file fits
        pages_left += -(-(whole / name).stat().st_size // page)
    child = mounting_server.begin(small_disk / "run", at=5, fill_to=pages_left * page, before_weights=before_weights)
    line = child.refusal()
    assert "dino: the disk is full: could not write" in line
    assert str(child.folder / name) in line
    assert "Free some space, then" in line
    assert child.announced[-1] == (5, 5)
    mounting_server.request(copy=child.folder, to=tmp_path / "then")
    assert steps_saved(tmp_path / "then") == ((6, 5) if before_weights else (5, 5))
    mounting_server.request(remove=small_disk / "ballast")
    again = mounting_server.begin(child.folder, resume=True, save_every=1000)
    assert again.wait() == 0, again.errors
    mounting_server.request(copy=child.folder, to=tmp_path / "end")
    assert not list((tmp_path / "end").rglob("*.tmp"))
    assert (tmp_path / "end" / STATE).read_bytes() == (whole / STATE).read_bytes()


@pytest.mark.parametrize("step", [20, 24], ids=["a grid", "a row of the log"])
def test_a_disk_that_fills_up_between_saves_is_reported_and_leaves_the_previous_save(
    mounting_server: ForkServer, small_disk: Path, tmp_path: Path, step: int
) -> None:
    child = mounting_server.begin(small_disk / "run", at=step, fill_to=0, save_every=1000)
    assert "dino: the disk is full: could not write" in child.refusal()
    mounting_server.request(copy=child.folder, to=tmp_path / "then")
    assert steps_saved(tmp_path / "then") == (child.saved, child.saved)


# ---- a run folder that can't be written -----------------------------------------------------------------------------


@pytest.mark.parametrize("how", [{"starts_read_only": True}, {"at": 30, "read_only": True}], ids=["start", "middle"])
def test_a_read_only_run_folder_is_reported_and_stays_unchanged(
    mounting_server: ForkServer, server: ForkServer, tmp_path: Path, whole: Path, how: dict[str, Any]
) -> None:
    first = server.begin(tmp_path / "run", at=20, stop=True)
    assert first.wait() == 128 + signal.SIGTERM
    child = mounting_server.begin(first.folder, resume=True, **how)
    line = child.refusal()
    if "Operation not permitted" in line or "permission denied" in line:
        pytest.skip(f"this system does not permit a read-only mount: {line}")
    assert "Read-only file system" in line
    assert f"could not write {tmp_path}" in line
    assert steps_saved(first.folder) == ((20, 20) if not child.announced else (30, 30))
    resume(first.folder, whole)


@pytest.mark.parametrize("save_every", [0, 1000])
def test_a_removed_run_folder_is_reported(server: ForkServer, tmp_path: Path, whole: Path, save_every: int) -> None:
    child = server.begin(tmp_path / "run", at=30, remove=True, save_every=save_every)
    line = child.refusal()
    assert f"could not write {child.folder}" in line
    assert "No such file or directory" in line
    if (child.folder / STATE).exists():  # a save after the removal is good
        assert min(steps_saved(child.folder)) >= child.saved
        shutil.rmtree(child.folder / "samples", ignore_errors=True)
        trainer = loaded(child.folder)
        for _ in train(trainer, child.folder):
            pass
        assert (child.folder / STATE).read_bytes() == (whole / STATE).read_bytes()


def test_a_run_folder_takes_one_trainer_at_a_time_and_is_free_when_that_trainer_is_dead(
    server: ForkServer, tmp_path: Path, whole: Path
) -> None:
    first = server.begin(tmp_path / "run", at=10, hold=True)
    held = tmp_path / "held"
    wait_until(held.exists)
    before = {path: path.read_bytes() for path in first.folder.rglob("*.*") if path.is_file()}
    second = server.begin(first.folder, resume=True)
    assert f"another process is training in {first.folder}" in second.refusal()
    assert not second.announced
    assert {path: path.read_bytes() for path in first.folder.rglob("*.*") if path.is_file()} == before
    held.unlink()
    first.wait_for_step(12)
    first.send(signal.SIGKILL)
    assert first.wait() == -signal.SIGKILL
    third = server.begin(first.folder, resume=True)
    assert third.wait() == 0, third.errors
    assert third.announced[0][0] > first.saved
    assert (first.folder / STATE).read_bytes() == (whole / STATE).read_bytes()


def test_a_trainer_is_not_disturbed_when_another_is_refused(server: ForkServer, tmp_path: Path, whole: Path) -> None:
    first = server.begin(tmp_path / "run", at=10, hold=True)
    wait_until((tmp_path / "held").exists)
    assert "another process" in server.begin(first.folder, resume=True).refusal()
    (tmp_path / "held").unlink()
    assert first.wait() == 0, first.errors
    for name in (STATE, WEIGHTS):
        assert (first.folder / name).read_bytes() == (whole / name).read_bytes()


# ---- stopped --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("save_every", [0, 1000])
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
@pytest.mark.parametrize("seed", range(2))
def test_a_signal_at_a_random_moment_saves_exactly_the_step_that_was_reached(
    server: ForkServer, tmp_path: Path, number: signal.Signals, save_every: int, seed: int
) -> None:
    moments = random.Random(f"{seed} {number} {save_every}")
    child = server.begin(tmp_path / "run", "--images", "16000000", save_every=save_every)  # never ends by itself
    child.wait_for_step(moments.randint(1, 60))
    time.sleep(moments.uniform(0, 0.03))
    child.send(number)
    assert child.wait() == 128 + number, child.errors
    reached = child.announced[-1][0]
    assert steps_saved(child.folder) == (reached, reached)
    assert child.errors == [
        "stopping after this step; press Ctrl-C again to end at once, unsaved",
        f"stopped and saved. Resume with: dino train --resume {child.folder}",
    ]
    again = server.begin(child.folder, resume=True, at=reached + 2, stop=True)
    assert again.wait() == 128 + signal.SIGTERM, again.errors
    assert [step for step, _ in again.announced] == [reached + 1, reached + 2]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_second_signal_while_stopping_ends_the_program_at_once_and_leaves_the_previous_save(
    server: ForkServer, tmp_path: Path, whole: Path, number: signal.Signals
) -> None:
    child = server.begin(tmp_path / "run", at=10, slow_saves=True, stop=True, save_every=1000)
    wait_until((tmp_path / "saving").exists)  # the save takes as long as the child may live
    child.send(number)
    assert child.wait() == 128 + number, child.errors
    assert child.announced[-1] == (10, 8)
    assert steps_saved(child.folder) == (8, 8)
    resume(child.folder, whole)


# ---- nonfinite numbers ----------------------------------------------------------------------------------------------


def stopped_at(step: int, like: Path) -> dict[str, Tensor]:
    """Return the state that a run without faults has in memory after `step` steps."""
    config = run_folder.saved_config(like)
    trainer = Trainer(config, device="cpu")
    for _ in trainer.steps():
        if trainer.step == step:
            break
    return checkpoint.state_of({"model": trainer.model}, trainer.optimizer)[0]


SPOILT = [
    ("image", "nan", "an image"),
    ("image", "inf", "an image"),
    ("image", "1e30", "the loss"),
    ("loss", "nan", "the loss"),
    ("loss", "inf", "the loss"),
    ("gradient", "nan", "a gradient"),
    ("gradient", "-inf", "a gradient"),
]
# The step; 0 if every step is saved; and the step of the last save before the fault.
PLACES = [(13, 0, 13), (11, 1000, 8), (24, 1000, 21), (58, 1000, 39)]


@pytest.mark.parametrize(
    ("what", "value", "message", "step", "save_every", "saved"),
    [
        *((*spoilt, *place) for spoilt in SPOILT for place in PLACES[:2]),
        *((*spoilt, *place) for spoilt in SPOILT if spoilt[1] == "nan" for place in PLACES[2:]),
    ],
)
def test_a_nonfinite_number_stops_the_run_before_that_step(
    server: ForkServer,
    tmp_path: Path,
    whole: Path,
    what: str,
    value: str,
    message: str,
    step: int,
    save_every: int,
    saved: int,
) -> None:
    child = server.begin(tmp_path / "run", at=step, poison=what, value=value, save_every=save_every)
    line = child.refusal()
    assert f"at step {step + 1} {message} was not a finite number" in line
    assert line.endswith("Start again with a lower learning rate than 0.001. Try --learning-rate 0.0005.")
    memory = load_file(child.log.with_suffix(".memory"))
    for name, tensor in stopped_at(step, whole).items():
        assert torch.equal(memory[name], tensor), name
    assert child.saved == saved
    assert steps_saved(child.folder) == (saved, saved)
    resume(child.folder, whole)


@pytest.mark.parametrize(("what", "message"), [("image", "an image"), ("loss", "the loss"), ("gradient", "a gradient")])
def test_a_nonfinite_number_stops_muon_before_that_step(
    server: ForkServer, tmp_path: Path, whole_muon: Path, what: str, message: str
) -> None:
    child = server.begin(tmp_path / "run", *MUON, at=11, poison=what, value="nan", save_every=1000)
    assert f"at step 12 {message} was not a finite number" in child.refusal()
    memory = load_file(child.log.with_suffix(".memory"))
    for name, tensor in stopped_at(11, whole_muon).items():
        assert torch.equal(memory[name], tensor), name
    assert steps_saved(child.folder) == (8, 8)
    resume(child.folder, whole_muon)


@pytest.mark.parametrize(("save_every", "saved"), [(0, 13), (1000, 8)])
def test_a_nonfinite_weight_stops_the_run_and_leaves_the_previous_save(
    server: ForkServer, tmp_path: Path, whole: Path, save_every: int, saved: int
) -> None:
    child = server.begin(tmp_path / "run", at=13, spoil_weight=True, save_every=save_every)
    line = child.refusal()
    assert "at step 14 a weight was not a finite number" in line
    assert line.endswith("Start again with a lower learning rate than 0.001. Try --learning-rate 0.0005.")
    memory = load_file(child.log.with_suffix(".memory"))
    for name, tensor in stopped_at(13, whole).items():
        assert (memory[name] != tensor).sum() == (name == "model.down.0.0.weight"), name
    assert steps_saved(child.folder) == (saved, saved)
    resume(child.folder, whole)


def test_a_nonfinite_weight_is_not_saved_by_a_signal_either(server: ForkServer, tmp_path: Path, whole: Path) -> None:
    child = server.begin(tmp_path / "run", at=13, spoil_weight=True, stop=True, save_every=1000)
    assert child.wait() == 1
    assert [line for line in child.errors if line.startswith("dino: ")] == child.errors[-1:]
    assert "at step 13 a weight was not a finite number" in child.errors[-1]
    assert steps_saved(child.folder) == (8, 8)
    resume(child.folder, whole)


# ---- too little memory ----------------------------------------------------------------------------------------------

BIG = ["--batch-size", "16384", "--images", "32768"]


@pytest.mark.parametrize("megabytes", [60, 200, 300])
@pytest.mark.usefixtures("whole")  # a run before has decoded the images, so that the memory is full in training
def test_a_full_memory_is_reported_with_settings_to_try(server: ForkServer, tmp_path: Path, megabytes: int) -> None:
    child = server.begin(tmp_path / "run", *BIG, memory=megabytes * 2**20)
    line = child.refusal()
    assert "not enough memory" in line
    assert "Try --accumulate 2 or --batch-size 8192." in line


def test_a_batch_that_no_longer_fits_leaves_the_save_and_fits_in_parts(server: ForkServer, tmp_path: Path) -> None:
    first = server.begin(tmp_path / "run", *BIG, at=1, stop=True)
    assert first.wait() == 128 + signal.SIGTERM, first.errors
    before = (first.folder / STATE).read_bytes()
    again = server.begin(first.folder, resume=True, memory=300 * 2**20)
    assert "Try --accumulate 2" in again.refusal()
    assert (first.folder / STATE).read_bytes() == before
    assert steps_saved(first.folder) == (1, 1)
    in_parts = server.begin(first.folder, "--accumulate", "16", resume=True, memory=300 * 2**20)
    assert in_parts.wait() == 0, in_parts.errors
    assert steps_saved(first.folder) == (2, 2)
