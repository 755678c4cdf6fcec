"""The room in which learners' code runs: a process of its own, which may hang, exit or crash and takes nothing along.

`Sandbox` is the side that asks and is free of torch; `python -m dino.course.room` is the side that answers. One question
and one answer are one line of JSON each. A watchdog ends a room that thinks too long, and says in which line it was.
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

LIMIT = 20.0  # seconds for one exercise; a right answer needs less than one, but a slow disk may take its time


WORKER = "dino.course.grader.worker"  # started by its name, because importing it would import torch
INTEGRATION = 6  # how many times as long all parts together may take


class Sandbox:
    """Grades in a process of its own, started at once, as importing torch takes seconds, and anew when it died."""

    def __init__(self, course: Course, *, limit: float | None = LIMIT) -> None:
        self.course, self.limit = course, limit
        self._trace = Path(tempfile.mkdtemp(prefix="dino-room-")) / "trace.txt"
        self._process: subprocess.Popen[str] | None = None
        self._ready = False  # whether it has said that it has imported torch
        self._hung: set[str] = set()
        self.open()

    def open(self) -> None:
        """Start the process, if there is none."""
        if self._process is None:
            self._ready = False
            # A session of its own keeps Ctrl-C for us: the room ends when its input does.
            self._process = subprocess.Popen(
                [sys.executable, "-m", WORKER, str(self.course.root), str(self._trace), str(self.limit or 0)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                text=True,
                encoding="utf-8",
                env=os.environ | {"PYTHONPATH": os.pathsep.join([str(Path(__file__).parents[2]), *_python_path()])},
                start_new_session=True,
            )

    def grade(self, lesson: Lesson, exercise: str) -> Verdict:
        """Grade one exercise of the learner's."""
        file = self.course.lesson_file(lesson)
        # Once an exercise of the file has hung, the others are graded without it, or each would wait for it again.
        answer, why = self._request(grade=exercise, lesson=lesson.number, alone=lesson.number in self._hung)
        place = None if answer else self._place_in(file)
        if answer is None and place and place.function in lesson.exercises and place.function != exercise:
            # It was another exercise of the file that never came back. Has this one a fault of its own?
            answer, _ = self._request(grade=exercise, lesson=lesson.number, alone=True)
        if place:
            self._hung.add(lesson.number)
        if answer is not None:
            return Verdict(**answer["verdict"])
        if why == "time":
            told = (
                f"`{exercise}` was stopped after {self.limit:g} seconds, still running. Is there a loop without an "
                "end? Or is the computer very busy with something else?"
            )
        else:
            told = f"`{exercise}` ended all of Python ({why}), where it should return."
        where = f"lessons/{lesson.number}/{file.name}, line {place.line}: {place.code}" if place else None
        return Verdict(lesson.exercise_number(exercise), exercise, "stopped", told, where=where)

    def draw(self, lesson: Lesson, skip: list[str]) -> Path | str:
        """Draw the lesson's picture, without the learner's output for the exercises in `skip`. Or why there is none."""
        answer, why = self._request(draw=lesson.number, skip=skip)
        if answer is None:
            return "none: your code took too long or ended Python" if why else "none"
        return self.course.contact_sheet(lesson) if answer["drawn"] else f"none: {answer['why']}"

    def integrate(self) -> dict[str, Any]:
        """Run the learner's parts together; see `together`."""
        answer, why = self._request(integration=True)
        return answer or {"passed": False, "says": f"the parts together did not come to an end ({why})", "facts": []}

    def setup(self) -> list[tuple[str, str, bool]]:
        """What the course needs and what was found of it; see `setup_check`."""
        answer, why = self._request(setup=True)
        return [(what, found, fine) for what, found, fine in answer["setup"]] if answer else [("set-up", why, False)]

    def close(self) -> None:
        """End the process and sweep up."""
        self._leave()
        with contextlib.suppress(OSError):
            self._trace.unlink(missing_ok=True)
            self._trace.parent.rmdir()

    def __enter__(self) -> "Sandbox":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _request(self, **request: Any) -> tuple[dict[str, Any] | None, str]:
        """The answer, or None and why the room died: "time" or how the process ended."""
        self.open()
        process = self._process
        assert process is not None and process.stdin is not None and process.stdout is not None  # noqa: PT018
        # The room watches itself and can say where it hangs. Should its watchdog be put to sleep, there is this one.
        out_of_time = threading.Event()
        patience = time_limit(self.limit, request) + 5 if self.limit else None

        def put_an_end_to_it() -> None:
            out_of_time.set()
            _kill(process)

        watchdog = threading.Timer(patience or 0, put_an_end_to_it)
        try:
            if not self._ready:  # its time begins when it has imported torch: a slow disk is no loop without an end
                self._ready = bool(process.stdout.readline())
            if patience:
                watchdog.start()
            process.stdin.write(json.dumps(request) + "\n")
            process.stdin.flush()
            line = process.stdout.readline()
        except BrokenPipeError:
            line = ""
        except BaseException:  # Ctrl-C: what the room is at would never be asked for
            self._leave()
            raise
        finally:
            watchdog.cancel()
        if not line:
            status = process.wait()
            self._leave()
            with contextlib.suppress(OSError):
                if "Timeout" in self._trace.read_text(errors="replace")[:100]:
                    out_of_time.set()
            return None, "time" if out_of_time.is_set() else f"exit status {status}"
        answer = json.loads(line)
        if answer.get("leaving"):
            self._leave()
        if "trouble" in answer:
            raise DinoError(answer["trouble"])
        return answer, ""

    def _leave(self) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        _kill(process)
        process.wait()
        for stream in (process.stdin, process.stdout):
            with contextlib.suppress(OSError):
                stream.close()  # type: ignore[union-attr]

    def _place_in(self, file: Path) -> "Place | None":
        """Where in a file the room was when its time ran out. The watchdog lists the innermost frame first."""
        with contextlib.suppress(OSError):
            trace = self._trace.read_text(errors="replace")
            if found := re.search(rf'File "{re.escape(str(file))}", line (\d+) in (\w+)', trace):
                line, lines = int(found.group(1)), file.read_text(encoding="utf-8", errors="replace").splitlines()
                return Place(line, found.group(2), lines[line - 1].strip() if line <= len(lines) else "")
        return None


class Place(NamedTuple):
    """A line of a learner's file."""

    line: int
    function: str
    code: str


def time_limit(limit: float, request: dict[str, Any]) -> float:
    """How many seconds the answer to a question may take."""
    return limit * (INTEGRATION if "integration" in request else 1)


def _kill(process: "subprocess.Popen[str]") -> None:
    """End a room and all that it started."""
    with contextlib.suppress(OSError):
        if hasattr(os, "killpg"):
            os.killpg(process.pid, signal.SIGKILL)  # the room leads a session, and so a group, of its own
        else:
            process.kill()


def _python_path() -> list[str]:
    return [path for path in os.environ.get("PYTHONPATH", "").split(os.pathsep) if path]
