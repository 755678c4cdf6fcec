"""The sandbox: a process of its own in which a learner's code may hang, exit or crash without harm to pytest.

`Sandbox` is the parent's side and free of torch. The other side is `python -m dino.course.grader.worker`. The two
exchange requests and responses, one line of JSON each. The worker's watchdog ends it when a request takes too long, and
writes down the line that was running.
"""

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import threading
from pathlib import Path
from typing import Any, NamedTuple

from ..common.errors import DinoError
from .curriculum import Course, Lesson
from .verdict import Verdict

TIME_LIMIT = 20.0  # seconds for one exercise; a right answer takes less than one, but a disk may be slow
INTEGRATION = 6  # how many times as long the integration check may take
GRACE = 5  # seconds that the worker's own watchdog gets before the parent ends the worker
WORKER = "dino.course.grader.worker"  # started by its name, because importing it would import torch


class Sandbox:
    """The parent's side of the sandbox.

    The worker starts at once, because importing torch takes seconds. A worker that ended is replaced at the next
    request.

    Args:
        course: the copy of the course whose lessons are graded.
        time_limit: seconds for one exercise, or None for no limit.
    """

    def __init__(self, course: Course, *, time_limit: float | None = TIME_LIMIT) -> None:
        self.course, self.time_limit = course, time_limit
        self._trace = Path(tempfile.mkdtemp(prefix="dino-sandbox-")) / "trace.txt"
        self._process: subprocess.Popen[str] | None = None
        self._ready = False  # True once the worker has imported torch
        self._hung: set[str] = set()  # numbers of the lessons with an exercise that hung
        self.open()

    def open(self) -> None:
        """Start the worker, unless it is running."""
        if self._process is None:
            self._ready = False
            # In a session of its own, the worker doesn't receive Ctrl-C. It ends when its input does.
            self._process = subprocess.Popen(
                [sys.executable, "-m", WORKER, str(self.course.root), str(self._trace), str(self.time_limit or 0)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                text=True,
                encoding="utf-8",
                env=os.environ | {"PYTHONPATH": os.pathsep.join([str(Path(__file__).parents[2]), *_python_path()])},
                start_new_session=True,
            )

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
        file = self.course.lesson_file(lesson)
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
        if why == "time":
            says = (
                f"`{exercise}` was still running after {self.time_limit:g} seconds, and was stopped. "
                "Is there an endless loop? Or is the computer busy with something else?"
            )
        else:
            says = f"`{exercise}` ended Python ({why}). It should return instead."
        where = f"lessons/{lesson.number}/{file.name}, line {line.number}: {line.code}" if line else None
        return Verdict(lesson.exercise_number(exercise), exercise, "stopped", says, where=where)

    def draw(self, lesson: Lesson, skip: list[str]) -> Path | str:
        """Draw the contact sheet of a lesson. Returns its path, or a line that says why it wasn't drawn.

        Args:
            lesson: the lesson.
            skip: exercises whose output is left out.
        """
        response, why = self._request(draw=lesson.number, skip=skip)
        if response is None:
            return "none: your code took too long" if why == "time" else f"none: your code ended Python ({why})"
        return self.course.contact_sheet(lesson) if response["drawn"] else f"none: {response['why']}"

    def check_integration(self) -> dict[str, Any]:
        """Train a small network on all of the learner's parts. Returns the report of `grader.integration`."""
        response, why = self._request(integration=True)
        why = "they took too long" if why == "time" else f"they ended Python, {why}"
        return response or {"passed": False, "says": f"your parts did not finish ({why})", "facts": []}

    def check_setup(self) -> list[tuple[str, str, bool]]:
        """Check everything that the course needs. Returns the rows of `setup_check.check_setup`."""
        response, why = self._request(setup=True)
        if response is None:
            return [("setup", why, False)]
        return [(what, found, is_fine) for what, found, is_fine in response["setup"]]

    # ---- the worker -------------------------------------------------------------------------------------------------

    def _request(self, **request: Any) -> tuple[dict[str, Any] | None, str]:
        """Send a request. Returns the response and "", or None and why the worker ended: "time" or its exit status."""
        self.open()
        process = self._process
        assert process is not None and process.stdin is not None and process.stdout is not None  # noqa: PT018
        # The worker's own watchdog knows the line that is running. This one is for code that turned that one off.
        out_of_time = threading.Event()
        patience = limit_for(request, self.time_limit) + GRACE if self.time_limit else None

        def end() -> None:
            out_of_time.set()
            _kill(process)

        watchdog = threading.Timer(patience or 0, end)
        try:
            if not self._ready:  # the time begins once torch is imported, because a disk may be slow
                self._ready = bool(process.stdout.readline())
            if patience:
                watchdog.start()
            process.stdin.write(json.dumps(request) + "\n")
            process.stdin.flush()
            line = process.stdout.readline()
        except BrokenPipeError:
            line = ""
        except BaseException:  # Ctrl-C: nobody will ask for the response
            self._end_worker()
            raise
        finally:
            watchdog.cancel()
        if not line:
            return None, self._why_it_ended(process, out_of_time.is_set())
        response = json.loads(line)
        if response.get("leaving"):
            self._end_worker()
        if "trouble" in response:
            raise DinoError(response["trouble"])
        return response, ""

    def _why_it_ended(self, process: "subprocess.Popen[str]", out_of_time: bool) -> str:
        status = process.wait()
        self._end_worker()
        with contextlib.suppress(OSError):
            out_of_time = out_of_time or "Timeout" in self._trace.read_text(errors="replace")[:100]
        return "time" if out_of_time else f"exit status {status}"

    def _running_line(self, file: Path) -> "Line | None":
        """Return the line of a file that was running when the time ran out, if the watchdog wrote one down."""
        with contextlib.suppress(OSError):
            trace = self._trace.read_text(errors="replace")  # the innermost frame comes first
            if found := re.search(rf'File "{re.escape(str(file))}", line (\d+) in (\w+)', trace):
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


class Line(NamedTuple):
    """A line of a learner's file, and the function that it is in."""

    number: int
    function: str
    code: str


def limit_for(request: dict[str, Any], time_limit: float) -> float:
    """Return how many seconds the response to a request may take."""
    return time_limit * (INTEGRATION if "integration" in request else 1)


def _kill(process: "subprocess.Popen[str]") -> None:
    """Kill a worker and all processes that it started."""
    with contextlib.suppress(OSError):
        if hasattr(os, "killpg"):
            os.killpg(process.pid, signal.SIGKILL)  # the worker leads a session, and so a process group, of its own
        else:
            process.kill()


def _python_path() -> list[str]:
    return [path for path in os.environ.get("PYTHONPATH", "").split(os.pathsep) if path]
