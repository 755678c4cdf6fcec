"""Signals that ask a program to stop, and those that stay ignored."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from dino.trainer.signals import StopOnSignal
from tests.test_course import REPOSITORY
from tests.waiting import PATIENCE, wait_until

pytestmark = pytest.mark.skipif(os.name == "nt", reason="signals are POSIX")


@pytest.fixture(params=["SIGINT", "SIGHUP"])
def ignored(request: pytest.FixtureRequest) -> Iterator[signal.Signals]:
    """A signal that is ignored, as in a program that nohup or a script started."""
    number = signal.Signals[request.param]
    before = signal.signal(number, signal.SIG_IGN)
    yield number
    signal.signal(number, before)


def test_an_ignored_signal_stays_ignored_and_sigterm_stops(ignored: signal.Signals) -> None:
    with StopOnSignal() as stop:
        os.kill(os.getpid(), ignored)
        assert stop.received is None
        os.kill(os.getpid(), signal.SIGTERM)
        assert stop.received == signal.SIGTERM
    assert signal.getsignal(ignored) == signal.SIG_IGN


def test_the_handlers_from_before_are_back_afterwards() -> None:
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    before = [signal.getsignal(number) for number in numbers]
    with StopOnSignal() as stop:
        os.kill(os.getpid(), signal.SIGINT)
    assert stop.received == signal.SIGINT
    assert [signal.getsignal(number) for number in numbers] == before


# ---- commands that leave nothing behind -----------------------------------------------------------------------------

SLOW_COMMAND = """
import importlib, sys, tempfile, time

def slow(*_):
    with tempfile.TemporaryDirectory(prefix="page-"):
        time.sleep(600)

importlib.import_module("dino.cli.page")._in_half_precision = slow
sys.argv = ["dino", "page", "pretrained", "--out", "page.html"]
importlib.import_module("dino.cli.main").main()
"""


def in_temporary(folder: Path) -> dict[str, str]:
    """Return an environment whose temporary files are in a folder."""
    folder.mkdir()
    return os.environ | {"TMPDIR": str(folder), "PYTHONPATH": str(REPOSITORY.root)}


def children(process: "subprocess.Popen[str]") -> list[str]:
    """Return the numbers of the processes that a process started."""
    return [pid for x in Path(f"/proc/{process.pid}/task").glob("*/children") for pid in x.read_text().split()]


def processor_time(pid: str) -> float:
    """Return the seconds that a process has computed so far."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def stop(process: "subprocess.Popen[str]", number: signal.Signals) -> str:
    """Send a signal. Returns what the process printed on its error stream, after it ended as it should."""
    process.send_signal(number)
    _, errors = process.communicate(timeout=PATIENCE)
    assert process.returncode == 128 + number, errors
    assert "Traceback" not in errors
    return errors


@pytest.mark.parametrize("name", ["SIGTERM", "SIGHUP"])
def test_a_signal_removes_temporary_folders(tmp_path: Path, name: str) -> None:
    temporary = tmp_path / "temporary"
    process = subprocess.Popen(
        [sys.executable, "-c", SLOW_COMMAND], cwd=tmp_path, env=in_temporary(temporary), stderr=subprocess.PIPE,
        text=True,
    )  # fmt: skip
    wait_until(lambda: any(temporary.glob("page-*")), process)
    assert stop(process, signal.Signals[name]) == f"dino: stopped by {name}.\n"
    assert not list(temporary.iterdir())


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="finds the processes by Linux's /proc")
@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM", "SIGHUP"])
def test_a_signal_ends_grading_at_once_and_keeps_what_was_graded(tmp_path: Path, name: str) -> None:
    """Two learners are graded at a time. The first and the third hang, in sandboxes that would wait for minutes."""
    right = (REPOSITORY.root / "solutions/00/images.py").read_text()
    for folder, text in {"a": "while True:\n    pass\n", "b": right, "c": "while True:\n    pass\n"}.items():
        (tmp_path / "class" / folder).mkdir(parents=True)
        (tmp_path / "class" / folder / "images.py").write_text(text)
    temporary = tmp_path / "temporary"
    options = ["--lesson", "00", "--at-once", "2", "--time-limit", "600", "--json", "grades.json"]
    process = subprocess.Popen(
        [sys.executable, "-m", "dino", "grade", "class", *options], cwd=tmp_path, env=in_temporary(temporary),
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    workers: list[str] = []

    def third_hangs() -> bool:
        workers.extend(x for x in children(process) if x not in workers)
        return len(workers) == 3 and processor_time(workers[-1]) > 1

    wait_until(third_hangs, process)
    errors = stop(process, signal.Signals[name])
    assert name == "SIGINT" or errors == f"dino: stopped by {name}.\n"
    assert (tmp_path / "grades.json").read_text().count('"passed": true') == 3
    assert not any(Path(f"/proc/{worker}").exists() for worker in workers)
    assert not list(temporary.iterdir())


@pytest.mark.parametrize("command", ["train", "grade"])
def test_a_terminal_that_is_closed_loses_nothing(tmp_path: Path, command: str) -> None:
    """Nothing can be printed there any more, and what was done is saved all the same."""
    import pty

    (tmp_path / "images.py").write_text((REPOSITORY.root / "solutions/00/images.py").read_text())
    small = ["--data", "emoji:face-hat", "--size", "16", "--batch-size", "8", "--precision", "float32"]
    arguments = {
        "train": ["train", "--images", "100000000", "--out", "run", *small],
        "grade": ["grade", ".", "--lesson", "00", "--json", "grades.json"],
    }[command]
    temporary, log = tmp_path / "temporary", tmp_path / "run" / "log.csv"
    leader, follower = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "dino", *arguments], cwd=tmp_path, env=in_temporary(temporary), stdin=follower,
        stdout=follower, stderr=follower, start_new_session=True, preexec_fn=_take_terminal,
    )  # fmt: skip
    os.close(follower)
    started = {"train": lambda: log.exists() and "\n25," in log.read_text(), "grade": lambda: any(temporary.iterdir())}
    wait_until(started[command], process)
    os.close(leader)
    assert process.wait(PATIENCE) == 128 + signal.SIGHUP
    if command == "train":
        from dino.trainer.tensor_file import STATE, read

        assert read(tmp_path / "run" / STATE, "state")[1]["step"] >= 25
    assert not list(temporary.glob("dino-*"))


def _take_terminal() -> None:
    """Make the terminal on the input the one whose closing sends SIGHUP."""
    import fcntl
    import termios

    fcntl.ioctl(0, termios.TIOCSCTTY, 0)
