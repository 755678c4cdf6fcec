"""The room in which learners' code runs: a process of its own, which may hang, exit or crash and takes nothing along.

`Room` is the side that asks and is free of torch; `python -m dino.course.room` is the side that answers. One question
and one answer are one line of JSON each. A watchdog ends a room that thinks too long, and says in which line it was.
"""

import faulthandler
import importlib
import json
import os
import threading
from pathlib import Path
from typing import Any

import torch

from ..curriculum import LESSONS, Course, find_lesson
from ..sandbox import _patience
from .grade import TRESPASS, grade


def main(root: Path, trace: Path, limit: float) -> None:
    """Answer questions until there are no more."""
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    nowhere = os.open(os.devnull, os.O_RDWR)
    questions = os.fdopen(os.dup(0), encoding="utf-8")
    for stream in (0, 1, 2):  # what a learner's code writes past Python's print, or reads, is nobody's
        os.dup2(nowhere, stream)
    from ..setup_check import check_setup

    course, trouble = Course(root), ""
    try:
        pass  # imports torch, while the other side still collects its tests

        warm_up()
    except Exception as error:
        trouble = f"torch can't be used here ({type(error).__name__}: {error}). What to do: pytest lessons/00"
    answers.write("ready\n")
    answers.flush()
    for line in questions:
        question = json.loads(line)
        if trouble and "setup" not in question:
            answers.write(json.dumps({"trouble": trouble}) + "\n")
            answers.flush()
            continue
        trace.parent.mkdir(parents=True, exist_ok=True)  # someone may sweep the folder of temporary files
        with trace.open("w") as file:
            if limit:
                faulthandler.dump_traceback_later(_patience(limit, question), exit=True, file=file)
            try:
                reply = {"setup": check_setup(course)} if "setup" in question else answer(course, question)
            except Exception as error:
                reply = {"trouble": f"the grader itself failed, not your code: {type(error).__name__}: {error}"}
            faulthandler.cancel_dump_traceback_later()
        answers.write(json.dumps(reply) + "\n")
        answers.flush()
        if reply.get("leaving"):
            return


def answer(course: Course, question: dict[str, Any]) -> dict[str, Any]:
    """What the room answers. `leaving` says that the process is no longer fit for another question."""
    if "draw" in question:
        from .contact_sheet import draw

        why = draw(course, find_lesson(question["draw"]), question["skip"])
        return {"drawn": not why, "why": why}
    if "together" in question:
        from .integration import try_together

        return try_together(course)
    verdict = grade(course, find_lesson(question["lesson"]), question["grade"], alone=question["alone"])
    unfit = TRESPASS in (verdict.says, verdict.rule) or threading.active_count() > 1
    return {"verdict": verdict.as_dict(), "leaving": unfit}


def warm_up() -> None:
    """What takes time only once, before the watchdog counts: imports, and torch's first convolution."""
    for name in ("dino.course.sheet", "PIL.ImageDraw", *(f"dino.{lesson.name}" for lesson in LESSONS)):
        importlib.import_module(name)
    torch.set_num_threads(1)  # the probes are small, and one thread is the faster for them
    torch.nn.Conv2d(1, 1, 3)(torch.zeros(1, 1, 3, 3)).sum().backward()
