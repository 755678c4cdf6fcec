"""Other systems: what Windows and macOS do otherwise, as far as it can be simulated here."""

import ast
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from typer.testing import CliRunner

from dino.cli import app
from dino.common import atomic_file
from dino.common.atomic_file import replacing
from dino.common.errors import DinoError
from dino.course import sandbox as sandbox_module
from dino.course.curriculum import LESSONS, Course
from dino.course.learner_folder import create
from dino.course.sandbox import Sandbox
from dino.course.tutor import Tutor
from dino.few_steps import step_sizes, warped_schedule
from dino.reports.benchmark import LoopProcess
from dino.reports.training_loops import Choices
from dino.trainer.device import choose_device
from dino.trainer.signals import StopOnSignal

IMAGES = LESSONS[0]
ROOT = Path(__file__).parents[1]
PROGRAMS = [
    path for name in ("dino", "lessons", "solutions", "scripts") for path in sorted((ROOT / name).rglob("*.py"))
]


# ---- encodings: where a program doesn't say which one, Windows takes cp1252 ------------------------------------------

NOT_FILES = ("os", "Image", "self", "webbrowser")  # what has another method of this name


def without_encoding(tree: ast.AST) -> Iterator[ast.Call]:
    """Yield each call that opens a text file, or reads what a program prints, and names no encoding."""
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call):
            continue
        function, options = node.func, {keyword.arg: keyword.value for keyword in node.keywords}
        name = function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")
        owner = getattr(getattr(function, "value", None), "id", "")
        modes = [*node.args, options.get("mode")]
        is_binary = any(
            isinstance(each, ast.Constant) and str(each.value) in ("rb", "wb", "ab", "r+b", "a+b") for each in modes
        )
        opens = name in ("open", "fdopen") and (owner not in NOT_FILES or name == "fdopen") and not is_binary
        reads = name == "write_text" or (name == "read_text" and not node.args)  # of a package: read_text("file")
        runs = name in ("run", "Popen", "check_output") and "text" in options
        if (opens or reads or runs) and "encoding" not in options:
            yield node


def test_calls_that_name_no_encoding_are_found() -> None:
    wrong = """
path.read_text()
path.write_text("a", newline="")
path.open()
path.open("w", newline="")
open("a")
open("a", "w")
subprocess.run(["a"], text=True)
"""
    right = """
path.read_text(encoding="utf-8")
path.open("rb")
open("a", "wb", buffering=0)
open("a", encoding="utf-8")
Image.open(path)
os.open(path, 0)
self.open()
subprocess.run(["a"], text=True, encoding="utf-8")
subprocess.run(["a"])
"""
    assert len(list(without_encoding(ast.parse(wrong)))) == wrong.count("\n") - 1
    assert not list(without_encoding(ast.parse(right)))


def test_every_text_file_is_opened_with_its_encoding() -> None:
    found = [
        f"{path.relative_to(ROOT)}:{call.lineno}"
        for path in PROGRAMS
        for call in without_encoding(ast.parse(path.read_text(encoding="utf-8")))
    ]
    assert not found, "\n".join(found)


# ---- files: Windows replaces none that a program has open ------------------------------------------------------------


def open_elsewhere(monkeypatch: pytest.MonkeyPatch, n_tries: int) -> list[float]:
    """Let the next tries to replace a file fail as on Windows. Returns the list of the seconds that are waited."""
    waited: list[float] = []
    replace, tries = Path.replace, iter(range(n_tries))

    def refuse(self: Path, target: Path) -> Path:
        if next(tries, None) is None:
            return replace(self, target)
        error = PermissionError(13, "Access is denied")
        error.winerror = 5  # type: ignore[attr-defined]
        raise error

    monkeypatch.setattr(Path, "replace", refuse)
    monkeypatch.setattr(atomic_file, "IS_WINDOWS", True)
    monkeypatch.setattr(atomic_file.time, "sleep", waited.append)
    return waited


def test_a_file_that_is_open_for_a_moment_is_replaced_after_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    waited = open_elsewhere(monkeypatch, 3)
    with replacing(tmp_path / "a.txt") as temporary:
        temporary.write_bytes(b"new")
    assert (tmp_path / "a.txt").read_bytes() == b"new"
    assert waited == list(atomic_file.WAITS[:3])


def test_a_file_that_stays_open_is_named_and_unchanged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a.txt").write_bytes(b"old")
    open_elsewhere(monkeypatch, 100)
    refused = r"could not write .*a\.txt: Access is denied\. Close it in other programs, or choose a place"
    with pytest.raises(DinoError, match=refused), replacing(tmp_path / "a.txt") as temporary:
        temporary.write_bytes(b"new")
    assert (tmp_path / "a.txt").read_bytes() == b"old"
    assert [path.name for path in tmp_path.iterdir()] == ["a.txt"]


@pytest.fixture
def course(tmp_path: Path) -> Course:
    return create(tmp_path / "größer, 更大")


def test_a_stub_whose_lines_end_as_on_windows_is_still_a_stub(course: Course, monkeypatch: pytest.MonkeyPatch) -> None:
    file = course.lesson_file(IMAGES)
    file.write_bytes(file.read_bytes().replace(b"\n", b"\r\n"))
    monkeypatch.chdir(course.root)
    reset = CliRunner().invoke(app, ["reset", "00"], catch_exceptions=False)
    assert "nothing to reset" in reset.output
    file.write_text("answer = 42\n", encoding="utf-8")
    CliRunner().invoke(app, ["reset", "00"], catch_exceptions=False)
    assert b"\r" not in file.read_bytes()


def test_a_path_on_another_drive_is_shown_as_it_is(course: Course, monkeypatch: pytest.MonkeyPatch) -> None:
    def relpath(path: Path, start: Path) -> str:
        raise ValueError("path is on mount 'D:', start on mount 'C:'")

    monkeypatch.setattr("dino.course.tutor.os.path.relpath", relpath)
    tutor = SimpleNamespace(config=SimpleNamespace(invocation_params=SimpleNamespace(dir=Path("C:/"))))
    assert Tutor._short(tutor, course.root) == str(course.root)  # type: ignore[arg-type]


# ---- processes ------------------------------------------------------------------------------------------------------


def test_the_line_that_hangs_is_found_in_a_folder_with_any_name(course: Course) -> None:
    file = course.lesson_file(IMAGES)
    file.write_text("def to_unit(images):\n    while True:\n        pass\n", encoding="utf-8")
    with Sandbox(course, time_limit=1) as sandbox:
        verdict = sandbox.grade(IMAGES, "to_unit")
    assert verdict.outcome == "stopped"
    assert verdict.where in [f"lessons/00/images.py, line {n}" for n in ("2: while True:", "3: pass")]


@pytest.mark.parametrize("error", [BrokenPipeError(32, "Broken pipe"), OSError(22, "Invalid argument")])
def test_a_worker_that_is_gone_is_reported_on_every_system(
    course: Course, monkeypatch: pytest.MonkeyPatch, error: OSError
) -> None:
    def write(_: str) -> None:
        raise error

    class Gone:
        stdin = SimpleNamespace(write=write, close=lambda: None)
        stdout = SimpleNamespace(readline=lambda: "ready\n", close=lambda: None)
        pid = None

        def wait(self) -> int:
            return 9

    monkeypatch.setattr(sandbox_module.subprocess, "Popen", lambda *_, **__: Gone())
    monkeypatch.setattr(sandbox_module, "_kill", lambda _: None)
    with Sandbox(course) as sandbox:
        assert sandbox.grade(IMAGES, "to_unit").outcome == "stopped"


@pytest.mark.parametrize("error", [EOFError(), ConnectionResetError(104, "Connection reset by peer")])
def test_a_dead_process_of_the_benchmark_is_reported_on_every_system(error: Exception) -> None:
    def recv() -> None:
        raise error

    def send(_: object) -> None:
        raise ConnectionResetError(104, "Connection reset by peer")

    process = LoopProcess(Choices(), None, SimpleNamespace(send=send, recv=recv))  # type: ignore[arg-type]
    with pytest.raises(DinoError, match="the process of 'plain loop' died"):
        process.request(1)


def test_ctrl_break_stops_a_run_on_windows(monkeypatch: pytest.MonkeyPatch) -> None:
    """SIGUSR1 stands for Windows' SIGBREAK, and there is no SIGHUP."""
    handled: dict[int, Callable[..., object]] = {}
    names = {"SIGINT": signal.SIGINT, "SIGTERM": signal.SIGTERM, "SIGBREAK": signal.SIGUSR1}

    class Signals:
        __members__ = names

        def __class_getitem__(cls, name: str) -> signal.Signals:
            return names[name]

        def __new__(cls, number: int) -> signal.Signals:  # type: ignore[misc]
            return signal.Signals(number)

    fake = SimpleNamespace(
        Signals=Signals, signal=handled.__setitem__, getsignal=signal.getsignal, SIGTERM=signal.SIGTERM,
        SIG_IGN=signal.SIG_IGN,
    )  # fmt: skip
    monkeypatch.setattr("dino.trainer.signals.signal", fake)
    with StopOnSignal() as stop:
        handled[signal.SIGUSR1](signal.SIGUSR1, None)
    assert stop.received == signal.SIGUSR1


WITHOUT_UNIX = """
import importlib, os, pkgutil, signal, sys
import asyncio, multiprocessing.spawn, pytest, rich.console, torch, torch.utils.data, typer, watchfiles, xml.etree
import datasets, filelock, matplotlib.figure, PIL.Image, pyarrow.parquet, safetensors.torch, tqdm.auto
import torch.utils.tensorboard, torch.distributed, torchvision.transforms.v2, huggingface_hub

for name in ("fcntl", "grp", "pty", "pwd", "resource", "termios", "tty"):
    sys.modules[name] = None  # importing it fails
for name in ("fork", "forkpty", "getuid", "killpg", "mkfifo", "sched_getaffinity", "setsid", "statvfs"):
    os.__dict__.pop(name, None)
for name in ("SIGALRM", "SIGHUP", "SIGKILL", "SIGPROF", "SIGQUIT", "SIGUSR1", "alarm", "pause", "setitimer"):
    signal.__dict__.pop(name, None)

import dino
for module in pkgutil.walk_packages(dino.__path__, "dino."):
    if not module.name.endswith("__main__"):
        importlib.import_module(module.name)
from dino.course.setup_check import check_device
print(check_device())
"""


@pytest.mark.slow
def test_every_module_can_be_imported_without_what_only_unix_has() -> None:
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT_UNIX], capture_output=True, encoding="utf-8", check=False, timeout=600,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "CPU core" in done.stdout


# ---- consoles -------------------------------------------------------------------------------------------------------


def test_lessons_are_graded_in_a_console_of_windows(course: Course) -> None:
    """cp1252 lacks most characters, and a learner may print any."""
    course.lesson_file(IMAGES).write_text("def to_unit(images):\n    print('→ 更大')\n", encoding="utf-8")
    graded = subprocess.run(
        [sys.executable, "-m", "pytest", "lessons/00"], cwd=course.root, capture_output=True, check=False, timeout=240,
        env=os.environ | {"PYTHONPATH": str(ROOT), "PYTHONIOENCODING": "cp1252", "PYTHONUTF8": "0"},
    )  # fmt: skip
    assert graded.stderr == b""
    assert b"0 of 3 in lesson 00" in graded.stdout


# ---- Apple's GPU, which has no float64, and no gradients shared by processes -----------------------------------------


def test_step_sizes_are_exact_although_the_schedule_is_float32() -> None:
    schedule = warped_schedule(10)
    assert torch.equal(step_sizes(schedule), step_sizes(schedule.double()).float())
    assert step_sizes(schedule).dtype == torch.float32


def test_several_processes_on_a_mac_train_on_its_cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)
    assert choose_device().type == "mps"
    assert choose_device(n_processes=2).type == "cpu"
    assert choose_device("mps", n_processes=2).type == "mps"  # as the user says
