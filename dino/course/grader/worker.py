"""The worker: the process of the sandbox that runs a learner's code. Each request and each response is a line of JSON.

`dino.course.sandbox.Sandbox` starts it as `python -m dino.course.grader.worker`. Its watchdog ends the process when a
request takes too long, and writes down the line that was running.
"""

import contextlib
import faulthandler
import importlib
import json
import os
import signal
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TextIO

from ...common.errors import shell_command
from ..confinement import confine
from ..curriculum import LESSONS, Course, find_lesson


def main(root: Path, trace: Path, *, confined: bool = False) -> None:
    """Respond to requests until the input ends.

    Args:
        root: the folder of the course.
        trace: the file for the watchdog's traceback.
        confined: whether to give up access to all other files first.
    """
    responses = os.fdopen(os.dup(1), "w", encoding="utf-8")
    requests = os.fdopen(os.dup(0), encoding="utf-8")
    _disconnect_standard_streams()
    course, trouble = Course(root), warm_up()
    if confined:
        course.output_folder.mkdir(parents=True, exist_ok=True)
        confine(readable=[root], writable=[course.output_folder, trace.parent])
    responses.write("ready\n")
    responses.flush()
    for line in requests:
        request = json.loads(line)
        trace.parent.mkdir(parents=True, exist_ok=True)  # a program may clean the folder of temporary files
        with trace.open("w", encoding="utf-8") as file, _watchdog(request["seconds"], request["patience"], file):
            response = _respond(course, request, trouble)
        responses.write(json.dumps(response | {"key": request["key"]}) + "\n")
        responses.flush()
        if response.get("leaving"):
            return


def _disconnect_standard_streams() -> None:
    """Discard what a learner's code writes around Python's print, and give it nothing to read."""
    nowhere = os.open(os.devnull, os.O_RDWR)
    for stream in (0, 1, 2):
        os.dup2(nowhere, stream)


@contextlib.contextmanager
def _watchdog(seconds: float | None, patience: float, file: TextIO) -> Iterator[None]:
    """End the process if the body takes too long, and write down in `file` what was running.

    Processor time decides, because on a busy machine a right answer may take any time. Code that waits for something
    uses none, so real time is limited too, more generously.
    """
    if seconds is None:
        yield
        return
    faulthandler.dump_traceback_later(seconds * patience, exit=True, file=file)
    if sys.platform != "win32":
        signal.signal(signal.SIGPROF, signal.SIG_DFL)  # which ends the process, after the traceback
        faulthandler.register(signal.SIGPROF, file=file, chain=True)
        signal.setitimer(signal.ITIMER_PROF, seconds)
    try:
        yield
    finally:
        if sys.platform != "win32":
            signal.setitimer(signal.ITIMER_PROF, 0)
            faulthandler.unregister(signal.SIGPROF)
        faulthandler.cancel_dump_traceback_later()


def warm_up() -> str:
    """Import everything slow while pytest still collects its tests. Returns what went wrong, or ""."""
    try:
        import torch

        for name in ("contact_sheet", "grade"):
            importlib.import_module(f"dino.course.grader.{name}")
        for name in ("PIL.ImageDraw", *(f"dino.{lesson.name}" for lesson in LESSONS)):
            importlib.import_module(name)
        torch.set_num_threads(1)  # the inputs are small, and one thread is faster for them
        torch.nn.Conv2d(1, 1, 3)(torch.zeros(1, 1, 3, 3)).sum().backward()  # the first convolution is slow
    except Exception as error:
        remedy = shell_command("pytest", "lessons/00")
        return f"torch can't be used here ({type(error).__name__}: {error}). What to do: {remedy}"
    return ""


def _respond(course: Course, request: dict[str, Any], trouble: str) -> dict[str, Any]:
    """Return the response to a request. With "leaving" in it, the process is unfit for another request and ends."""
    try:
        if "setup" in request:
            from ..setup_check import check_setup

            return {"setup": check_setup(course)}
        if trouble:
            return {"trouble": trouble}
        if "draw" in request:
            from .contact_sheet import draw

            why_not = draw(course, find_lesson(request["draw"]), request["skip"])
            return {"drawn": not why_not, "why": why_not}
        if "integration" in request:
            from .integration import check_integration

            return check_integration(course)
        return _grade(course, request)
    except Exception as error:
        return {"trouble": f"the grader itself failed, not your code: {type(error).__name__}: {error}"}


def _grade(course: Course, request: dict[str, Any]) -> dict[str, Any]:
    from .grade import grade, has_side_effect

    verdict = grade(course, find_lesson(request["lesson"]), request["grade"], alone=request["alone"])
    unfit = has_side_effect(verdict) or threading.active_count() > 1
    return {"verdict": verdict.as_dict(), "leaving": unfit}


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), confined="confined" in sys.argv[3:])
