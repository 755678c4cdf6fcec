"""The sandbox: a process of its own in which a learner's code may hang, exit or crash without harm to pytest.

`Sandbox` is the parent's side and free of torch. The other side is `python -m dino.course.grader.worker`. The two
exchange requests and responses, one line of JSON each. The worker's watchdog ends it when a request takes too long, and
writes down the line that was running.
"""

import contextlib
import json
import os
import re
import secrets
import signal
import subprocess
import sys
import tempfile
import threading
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

from ..common.errors import DinoError
from .curriculum import Course, Lesson
from .verdict import Verdict

TIME_LIMIT = 20.0  # seconds of processor time for one exercise; a right answer takes less than one
INTEGRATION = 6  # how many times as long the integration check may take
# How many times as long as in processor time it may take in real time. Windows can't limit processor time.
PATIENCE = 1 if sys.platform == "win32" else 3
GRACE = 10  # seconds that the worker's own watchdog gets before the parent ends the worker
STILL_RUNNING = {  # why a worker was ended, and what the learner should look for
    "computing": "Is there an endless loop?",
    "waiting": "Is there an endless loop, or does it wait for something? Or is the computer busy with something else?",
}
WORKER = "dino.course.grader.worker"  # started by its name, because importing it would import torch
HARMLESS = {"PATH", "LANG", "LC_ALL", "TZ", "SYSTEMROOT", "TEMP", "TMPDIR", "VIRTUAL_ENV", "OMP_NUM_THREADS"}
LONGEST = 1_000_000  # characters of a response; a longer one isn't the worker's own


def patience() -> float:
    """Return how many times as long a request may take in real time: longer if a busy computer makes workers wait."""
    load = os.getloadavg()[0] / (os.cpu_count() or 1) if hasattr(os, "getloadavg") else 0.0
    return PATIENCE * max(1.0, load / 2)  # twice as many tasks as processors are no trouble


class Sandbox:
    """The parent's side of the sandbox.

    The worker starts at once, because importing torch takes seconds. A worker that ended is replaced at the next
    request.

    Args:
        course: the copy of the course whose lessons are graded.
        time_limit: seconds of processor time for one exercise, or None for no limit. Real time is limited as well, to
            `patience()` times as many seconds, because code that waits for something computes nothing.
        confined: whether the worker gives up its access to files and most of the memory before it runs any code of a
            learner, as far as the system can do that: see `dino.course.confinement`.
    """

    def __init__(self, course: Course, *, time_limit: float | None = TIME_LIMIT, confined: bool = False) -> None:
        self.course, self.time_limit, self.confined = course, time_limit, confined
        self._trace = Path(tempfile.mkdtemp(prefix="dino-sandbox-")) / "trace.txt"
        self._process: subprocess.Popen[str] | None = None
        self._lock = threading.Lock()  # held while a worker is started or the sandbox abandoned
        self._abandoned = False
        self._ready = False  # True once the worker has imported torch
        self._hung: set[str] = set()  # numbers of the lessons with an exercise that hung
        self._never_loads: dict[bytes, Verdict] = {}  # by the contents of a file: it hangs before any exercise runs
        self.open()

    def open(self) -> None:
        """Start the worker, unless it is running.

        Raises:
            DinoError: if the sandbox was abandoned.
        """
        with self._lock:
            if self._abandoned:
                raise DinoError("grading was stopped")
            if self._process is None:
                self._process = self._start()

    def _start(self) -> "subprocess.Popen[str]":
        self._ready = False
        # In a session of its own (on Windows: a group), the worker doesn't receive Ctrl-C. It ends when its input does.
        return subprocess.Popen(
            [sys.executable, "-m", WORKER, str(self.course.root), str(self._trace), *["confined"] * self.confined],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            encoding="utf-8",
            env=_environment(confined=self.confined),
            start_new_session=True,  # Windows ignores this, and other systems have no flags
            creationflags=getattr(subprocess, "CREATE_NEW_PROCESS_GROUP", 0),
        )

    def abandon(self) -> None:
        """End the worker at once, and start no other. For another thread than the one that waits for a response."""
        with self._lock:
            self._abandoned = True
            if process := self._process:
                _kill(process)

    def close(self) -> None:
        """End the worker and delete its temporary files."""
        self._end_worker()
        with contextlib.suppress(OSError):
            self._trace.unlink(missing_ok=True)
            self._trace.parent.rmdir()

    def __enter__(self) -> "Sandbox":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # ---- requests ---------------------------------------------------------------------------------------------------

    def grade(self, lesson: Lesson, exercise: str) -> Verdict:
        """Grade the learner's answer to one exercise.

        Raises:
            DinoError: if the setup isn't right.
        """
        file, number = self.course.lesson_file(lesson), lesson.exercise_number(exercise)
        content = file.read_bytes() if file.is_file() else b""
        if content in self._never_loads:
            return replace(self._never_loads[content], number=number, exercise=exercise)
        # Once an exercise has hung, the others of its file are graded without it. Each would wait for it again.
        response, why = self._request(grade=exercise, lesson=lesson.number, alone=lesson.number in self._hung)
        line = None if response else self._running_line(file)
        if line and line.function in lesson.exercises and line.function != exercise:
            # Another exercise of the file hung. This one may be right.
            response, _ = self._request(grade=exercise, lesson=lesson.number, alone=True)
        if line:
            self._hung.add(lesson.number)
        if response is not None:
            return Verdict(**response["verdict"])
        if why in STILL_RUNNING:
            assert self.time_limit is not None
            seconds = self.time_limit * (self._patience if why == "waiting" else 1)
            what = file.name if line and line.function == "<module>" else f"`{exercise}`"
            says = f"{what} was still running after {seconds:.3g} seconds, and was stopped. {STILL_RUNNING[why]}"
        else:
            says = f"`{exercise}` ended Python ({why}). It should return instead."
        where = f"lessons/{lesson.number}/{file.name}, line {line.number}: {line.code}" if line else None
        verdict = Verdict(number, exercise, "stopped", says, where=where)
        if why in STILL_RUNNING and line and line.function == "<module>":
            self._never_loads[content] = verdict
        return verdict

    def draw(self, lesson: Lesson, skip: list[str]) -> Path | str:
        """Draw the contact sheet of a lesson. Returns its path, or a line that says why it wasn't drawn.

        Args:
            lesson: the lesson.
            skip: exercises whose output is left out.
        """
        response, why = self._request(draw=lesson.number, skip=skip)
        if response is None:
            return "none: your code took too long" if why in STILL_RUNNING else f"none: your code ended Python ({why})"
        return self.course.contact_sheet(lesson) if response["drawn"] else f"none: {response['why']}"

    def check_integration(self) -> dict[str, Any]:
        """Train a small network on all of the learner's parts. Returns the report of `grader.integration`."""
        response, why = self._request(integration=True)
        why = "they took too long" if why in STILL_RUNNING else f"they ended Python, {why}"
        return response or {"passed": False, "says": f"your parts did not finish ({why})", "facts": []}

    def check_setup(self) -> list[tuple[str, str, bool]]:
        """Check everything that the course needs. Returns the rows of `setup_check.check_setup`."""
        response, why = self._request(setup=True)
        if response is None:
            return [("setup", why, False)]
        return [(what, found, is_fine) for what, found, is_fine in response["setup"]]

    # ---- the worker -------------------------------------------------------------------------------------------------

    def _request(self, **request: Any) -> tuple[dict[str, Any] | None, str]:
        """Send a request.

        Returns:
            The response and "". Or None and why the worker ended: a key of `STILL_RUNNING`, or its exit status.
        """
        self.open()
        process = self._process
        assert process is not None and process.stdin is not None and process.stdout is not None  # noqa: PT018
        # The worker's own watchdog knows the line that is running. This one is for code that turned that one off.
        out_of_time = threading.Event()
        seconds = self.time_limit * (INTEGRATION if "integration" in request else 1) if self.time_limit else None

        def end() -> None:
            out_of_time.set()
            _kill(process)

        self._patience = patience()
        watchdog = threading.Timer(seconds * self._patience + GRACE if seconds else 0, end)
        try:
            if not self._ready:  # the time begins once torch is imported, because a disk may be slow
                self._ready = bool(process.stdout.readline())
            if seconds:
                watchdog.start()
            key = secrets.token_hex(8)
            limits = {"seconds": seconds, "patience": self._patience}
            process.stdin.write(json.dumps(request | limits | {"key": key}) + "\n")
            process.stdin.flush()
            line = process.stdout.readline(LONGEST)
        except OSError:  # the worker is gone: a broken pipe, or on Windows an invalid argument
            line = ""
        except BaseException:  # Ctrl-C: nobody will ask for the response
            self._end_worker()
            raise
        finally:
            watchdog.cancel()
        if not line:
            return None, self._why_it_ended(process, out_of_time.is_set())
        response = _parsed(line)
        if response is None or response.pop("key", None) != key:
            self._end_worker()
            return None, "its response made no sense"
        if response.get("leaving"):
            self._end_worker()
        if "trouble" in response:
            raise DinoError(response["trouble"])
        return response, ""

    def _why_it_ended(self, process: "subprocess.Popen[str]", out_of_time: bool) -> str:
        status = process.wait()
        self._end_worker()
        if sys.platform != "win32" and status == -signal.SIGPROF:
            return "computing"
        with contextlib.suppress(OSError):
            out_of_time = out_of_time or "Timeout" in self._trace.read_text(errors="replace", encoding="utf-8")[:100]
        return "waiting" if out_of_time else f"exit status {status}"

    def _running_line(self, file: Path) -> "Line | None":
        """Return the line of a file that was running when the time ran out, if the watchdog wrote one down."""
        with contextlib.suppress(OSError):
            trace = self._trace.read_text(errors="replace", encoding="utf-8")  # the innermost frame comes first
            if found := re.search(rf'File "{re.escape(_as_faulthandler(file))}", line (\d+) in (\w+|<module>)', trace):
                number, lines = int(found.group(1)), file.read_text(encoding="utf-8", errors="replace").splitlines()
                return Line(number, found.group(2), lines[number - 1].strip() if number <= len(lines) else "")
        return None

    def _end_worker(self) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        _kill(process)
        process.wait()
        for stream in (process.stdin, process.stdout):
            with contextlib.suppress(OSError):
                stream.close()  # type: ignore[union-attr]


def _parsed(line: str) -> dict[str, Any] | None:
    """Return a response, or None if the line isn't one: a learner's code may have found the pipe and written to it."""
    with contextlib.suppress(ValueError, RecursionError):
        response = json.loads(line)
        return response if isinstance(response, dict) else None
    return None


class Line(NamedTuple):
    """A line of a learner's file, and the function that it is in."""

    number: int
    function: str
    code: str


def _kill(process: "subprocess.Popen[str]") -> None:
    """Kill a worker and all processes that it started."""
    with contextlib.suppress(OSError):
        if sys.platform == "win32":
            process.kill()
        else:
            os.killpg(process.pid, signal.SIGKILL)  # the worker leads a session, and so a process group, of its own


def _as_faulthandler(path: Path) -> str:
    """Return a path as it is in the watchdog's traceback, where characters outside ASCII are spelled out (\\xe4)."""
    return "".join(c if c.isascii() else ascii(c)[1:-1] for c in str(path))


def _environment(*, confined: bool) -> dict[str, str]:
    """Return the environment of the worker. A confined one gets no variable that may hold a secret."""
    kept = {name: value for name, value in os.environ.items() if not confined or name in HARMLESS}
    paths = [path for path in os.environ.get("PYTHONPATH", "").split(os.pathsep) if path]
    return kept | {"PYTHONPATH": os.pathsep.join([str(Path(__file__).parents[2]), *paths])}
