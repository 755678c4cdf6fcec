"""The report of `pytest lessons/03`: a line or a few for each exercise, the picture, and the learner's progress."""

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

COLORS = {"passed": "green", "unwritten": "yellow"}  # by outcome; every other one is red
MAX_PRINTED = 10  # lines of what the learner's code printed


class Tutor:
    """A pytest plug-in that reports on lessons instead of pytest's own reporter.

    Args:
        config: pytest's configuration.
        course: the copy of the course that is graded.
        writer: writes to the terminal.
        sandbox: returns the sandbox.
        strict: whether advice counts as a failure.
    """

    def __init__(
        self,
        config: pytest.Config,
        course: Course,
        writer: TerminalWriter,
        sandbox: Callable[[], Sandbox],
        *,
        strict: bool = False,
    ) -> None:
        self.config, self.course, self.writer, self.record = config, course, writer, Record(course, strict=strict)
        self.sandbox, self.strict = sandbox, strict
        self.verdicts: dict[Lesson, list[Verdict]] = {}
        self.brief = config.option.verbose < 0
        self.verbose = config.option.verbose > 0
        self.at_end = bool(getattr(config.option, "numprocesses", None))  # xdist's verdicts come in any order
        self.errors = 0
        self.interrupted = False
        self.lesson: Lesson | None = None  # of the last verdict that was reported

    # ---- what pytest calls ------------------------------------------------------------------------------------------

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Report a verdict when an exercise is graded."""
        facts = dict(report.user_properties)
        if "integration" in facts and report.when == "call":
            self._report_integration(dict(facts["integration"]))  # type: ignore[call-overload]
        elif "dino" in facts and report.when == "call":
            verdict = Verdict(**facts["dino"])  # type: ignore[arg-type]
            lesson, _ = find_exercise(verdict.number)
            self.verdicts.setdefault(lesson, []).append(verdict)
            self.record.keep(verdict, str(facts["fingerprint"]))
            if not self.at_end:
                self._report(lesson, verdict)
        elif report.failed:
            self._report_error(report.longrepr)

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        """Report a file that can't be collected."""
        if report.failed:
            self._report_error(report.longrepr)

    def pytest_internalerror(self, excrepr: Any) -> None:
        """Report a bug of pytest or of this package, with its traceback."""
        self._report_error(excrepr)

    def pytest_keyboard_interrupt(self) -> None:
        """Report Ctrl-C."""
        self.writer.line("\n  stopped")
        self.interrupted = True

    def pytest_sessionfinish(self, exitstatus: int) -> None:
        """Report the pictures and the progress at the end."""
        for lesson in sorted(self.verdicts, key=LESSONS.index) if self.at_end else []:
            for verdict in sorted(self.verdicts[lesson], key=lambda verdict: verdict.number):
                self._report(lesson, verdict)
        if self.verdicts:
            self.writer.line()
            if not self.interrupted:
                self._report_contact_sheets()
            self.record.save()
            self.writer.line(f"  {self.record.summary(list(self.verdicts))}")
        elif exitstatus == pytest.ExitCode.NO_TESTS_COLLECTED and not self.errors:
            self.writer.line("No exercise was graded: no name matches.")

    # ---- what is reported -------------------------------------------------------------------------------------------

    def _report(self, lesson: Lesson, verdict: Verdict) -> None:
        if lesson != self.lesson and not self.brief:
            self._report_heading(lesson)
        self.lesson = lesson
        verdict = verdict.strictly() if self.strict else verdict
        says, *more = in_words(verdict)
        if verdict.printed and (not verdict.passed or self.verbose):
            lines = verdict.printed.splitlines()
            shown = [f"  {line[:160]}" for line in lines[:MAX_PRINTED]]
            more += ["your code printed:", *shown, *["  ..."] * (len(lines) > MAX_PRINTED)]
        name = f"  {verdict.number} {verdict.exercise:<{max(map(len, lesson.exercises))}}  "
        self._write_beside(name, [says], **{COLORS.get(verdict.outcome, "red"): True})
        self._write_beside(" " * len(name), [] if self.brief else more)

    def _report_heading(self, lesson: Lesson) -> None:
        self.writer.line()
        self.writer.line(f"lesson {lesson.number}, {lesson.teaches}: {self._short(self.course.lesson_file(lesson))}")
        self.writer.line()
        if lesson is LESSONS[0]:
            self._report_setup()
            self.writer.line()

    def _report_setup(self) -> None:
        checks = self.sandbox().check_setup()
        if all(is_fine for _, _, is_fine in checks) and not self.verbose:
            found = "; ".join(found for what, found, _ in checks if what in ("torch", "device"))
            checks = [("is fine", f"torch {found}", True)]
        for what, found, is_fine in checks:
            self._write_beside(f"  setup {what:<10} ", [found], green=is_fine, red=not is_fine)

    def _report_contact_sheets(self) -> None:
        for lesson, verdicts in self.verdicts.items():
            hung = any(verdict.outcome == "stopped" for verdict in verdicts)  # drawing would hang as well
            unwritten = [verdict.exercise for verdict in verdicts if verdict.outcome == "unwritten"]
            with contextlib.suppress(DinoError):  # about the setup, and reported before
                drawn = self.sandbox().draw(lesson, list(lesson.exercises) if hung else unwritten)
                shown = f"{self._short(drawn)}  (yours on the left)" if isinstance(drawn, Path) else drawn
                self.writer.line(f"  picture  {shown}")

    def _report_integration(self, facts: dict[str, Any]) -> None:
        name = "  integration  "
        self.writer.line()
        self._write_beside(name, [facts["says"]], **{"green" if facts["passed"] else "red": True})
        self._write_beside(" " * len(name), [] if self.brief else facts["facts"])

    def _report_error(self, error: Any) -> None:
        self.errors += 1
        self.writer.line(str(error))

    # ---- the terminal -----------------------------------------------------------------------------------------------

    def _write_beside(self, name: str, lines: list[str], **color: bool) -> None:
        """Write lines to the right of a name, wrapped to the width of the screen."""
        width = max(40, self.writer.fullwidth - len(name) - 1)
        for part in (part for line in lines for part in textwrap.wrap(line, width, subsequent_indent=_indent(line))):
            self.writer.write(name)
            self.writer.line(part, **color)
            name = " " * len(name)

    def _short(self, path: Path) -> str:
        """Return a path relative to the current folder, if there is a way."""
        try:
            return os.path.relpath(path, self.config.invocation_params.dir)
        except ValueError:  # it is on another drive of Windows
            return str(path)


def _indent(line: str) -> str:
    return " " * (len(line) - len(line.lstrip()))


def in_words(verdict: Verdict) -> list[str]:
    """Return a verdict in lines: the outcome, the property, the facts, the learner's line, and where to find help."""
    if verdict.passed:
        return ["passed" + f" ({verdict.note})" * bool(verdict.note), *(f"advice: {says}" for says in verdict.advice)]
    if verdict.outcome == "unwritten":
        return [verdict.says, f"read its docstring; {shell_command('dino', 'hint', verdict.number)} helps"]
    hint = f"stuck? {shell_command('dino', 'hint', verdict.number)}" if verdict.outcome != "unloaded" else ""
    return [line for line in (verdict.says, verdict.rule, verdict.facts, verdict.where, hint) if line]
