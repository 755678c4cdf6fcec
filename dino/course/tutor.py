"""What `pytest lessons/03` does: collect the exercises, grade each in the room, and tell the learner in their words.

The pytest process never imports torch or a learner's file. Each exercise is one test item, so -k, -x, -q, xdist and an
editor's test view work as ever. `lessons/conftest.py` switches this on.
"""

import contextlib
import os
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from _pytest._io import TerminalWriter

from ..common.errors import DinoError, shell_command
from .curriculum import LESSONS, Course, Lesson, find_exercise
from .progress import Record
from .sandbox import Sandbox
from .verdict import Verdict


class Tutor:
    """Tells of each exercise in a line or a few, of the picture, and of where the learner stands."""

    def __init__(
        self, config: pytest.Config, course: Course, writer: TerminalWriter, sandbox: Callable[[], Sandbox]
    ) -> None:
        self.config, self.course, self.writer, self.record = config, course, writer, Record(course)
        self.sandbox = sandbox
        self.verdicts: dict[Lesson, list[Verdict]] = {}
        self.brief = config.option.verbose < 0
        self.late = bool(getattr(config.option, "numprocesses", None))  # xdist's verdicts come in any order
        self.errors = 0
        self.interrupted = self.told_integration = False
        self.told_of: Lesson | None = None

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """One exercise is done: tell."""
        facts = dict(report.user_properties)
        if "integration" in facts and report.when == "call":
            self._tell_integration(dict(facts["integration"]))  # type: ignore[call-overload]
            self.told_integration = True
        elif "dino" in facts and report.when == "call":
            verdict = Verdict(**facts["dino"])  # type: ignore[arg-type]
            lesson, _ = find_exercise(verdict.number)
            self.verdicts.setdefault(lesson, []).append(verdict)
            self.record.keep(verdict, str(facts["fingerprint"]))
            if not self.late:
                self._tell(lesson, verdict)
        elif report.failed:
            self._trouble(report.longrepr)

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        """Something could not be collected."""
        if report.failed:
            self._trouble(report.longrepr)

    def pytest_internalerror(self, excrepr: Any) -> None:
        """A bug of pytest's or ours: shown whole."""
        self._trouble(excrepr)

    def pytest_keyboard_interrupt(self) -> None:
        """Ctrl-C."""
        self.writer.line("\n  stopped")
        self.interrupted = True

    def pytest_sessionfinish(self) -> None:
        """Everything is graded: the pictures, and where the learner stands."""
        for lesson in sorted(self.verdicts, key=LESSONS.index) if self.late else []:
            for verdict in sorted(self.verdicts[lesson], key=lambda verdict: verdict.number):
                self._tell(lesson, verdict)
        if self.verdicts:
            self.writer.line()
        for lesson, verdicts in self.verdicts.items() if not self.interrupted else ():
            hung = any(verdict.outcome == "stopped" for verdict in verdicts)  # drawing would hang as well
            unfit = [verdict.exercise for verdict in verdicts if verdict.outcome == "unwritten"]
            unfit = list(lesson.exercises) if hung else unfit
            with contextlib.suppress(DinoError):  # the set-up isn't right, which has been said
                picture = self.sandbox().draw(lesson, unfit)
                shown = f"{self._short(picture)}  (yours on the left)" if isinstance(picture, Path) else picture
                self.writer.line(f"  picture  {shown}")
        if self.verdicts:
            self.record.save()
            self.writer.line(f"  {self.record.standing(list(self.verdicts))}")
        elif not (self.errors or self.interrupted or self.told_integration):
            self.writer.line("No exercise was graded: none has a name that fits.")

    def _introduce(self, lesson: Lesson) -> None:
        self.writer.line()
        self.writer.line(f"lesson {lesson.number}, {lesson.teaches}: {self._short(self.course.lesson_file(lesson))}")
        self.writer.line()
        if lesson is LESSONS[0]:
            checks = self.sandbox().setup()
            if all(fine for _, _, fine in checks) and self.config.option.verbose <= 0:
                checks = [
                    (
                        "is fine",
                        "torch " + "; ".join(found for what, found, _ in checks if what in ("torch", "device")),
                        True,
                    )
                ]
            for what, found, fine in checks:
                self._write_beside(f"  set-up {what:<10} ", [found], green=fine, red=not fine)
            self.writer.line()

    def _tell(self, lesson: Lesson, verdict: Verdict) -> None:
        if lesson != self.told_of and not self.brief:
            self._introduce(lesson)
        self.told_of = lesson
        says, *more = in_words(verdict)
        if verdict.printed and (not verdict.passed or self.config.option.verbose > 0):
            lines = verdict.printed.splitlines()
            more += ["your code printed:", *(f"  {line[:160]}" for line in lines[:10]), *["  ..."] * (len(lines) > 10)]
        color = {"passed": "green", "unwritten": "yellow"}.get(verdict.outcome, "red")
        name = f"  {verdict.number} {verdict.exercise:<{max(map(len, lesson.exercises))}}  "
        self._write_beside(name, [says], **{color: True})
        self._write_beside(" " * len(name), [] if self.brief else more)

    def _write_beside(self, name: str, lines: list[str], **color: bool) -> None:
        """Lines in the room right of a name, wrapped to the width of the screen."""
        room = max(40, self.writer.fullwidth - len(name) - 1)
        for part in (part for line in lines for part in textwrap.wrap(line, room, subsequent_indent=_indent(line))):
            self.writer.write(name)
            self.writer.line(part, **color)
            name = " " * len(name)

    def _tell_integration(self, facts: dict[str, Any]) -> None:
        name = "  all parts together  "
        self.writer.line()
        self._write_beside(name, [facts["says"]], **{"green" if facts["passed"] else "red": True})
        self._write_beside(" " * len(name), [] if self.brief else facts["facts"])

    def _trouble(self, what: Any) -> None:
        self.errors += 1
        self.writer.line(str(what))

    def _short(self, path: Path) -> str:
        """A path as short as it can be and still be opened from here."""
        return os.path.relpath(path, self.config.invocation_params.dir)


def _indent(line: str) -> str:
    return " " * (len(line) - len(line.lstrip()))


def in_words(verdict: Verdict) -> list[str]:
    """A verdict in lines: what came of it, why, where, and where there is help."""
    if verdict.passed:
        return ["passed" + f" ({verdict.note})" * bool(verdict.note)]
    if verdict.outcome == "unwritten":
        return [verdict.says, f"read its docstring; {shell_command('dino', 'hint', verdict.number)} helps"]
    hint = f"stuck? {shell_command('dino', 'hint', verdict.number)}" if verdict.outcome != "unloaded" else ""
    return [line for line in (verdict.says, verdict.rule, verdict.facts, verdict.where, hint) if line]
