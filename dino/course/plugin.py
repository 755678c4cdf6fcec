"""What `pytest lessons/03` does: collect the exercises, grade each in the room, and tell the learner in their words.

The pytest process never imports torch or a learner's file. Each exercise is one test item, so -k, -x, -q, xdist and an
editor's test view work as ever. `lessons/conftest.py` switches this on.
"""

import ast
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from _pytest.terminal import TerminalReporter

from .curriculum import LESSONS, N_EXERCISES, Course, Lesson
from .progress import Record
from .room import LIMIT, Room
from .verdict import Verdict

ROOM = pytest.StashKey[Room]()


# ---- collecting and running -----------------------------------------------------------------------------------------


def pytest_pycollect_makemodule(module_path: Path, parent: pytest.Collector) -> "LessonFile | None":
    """Collect a lesson's grader without importing it, as that would take torch."""
    course = Course(module_path.parents[2])
    for lesson in LESSONS:
        if course.grader(lesson) == module_path:
            file: LessonFile = LessonFile.from_parent(parent, path=module_path)
            file.course, file.lesson = course, lesson
            return file
    return None


class LessonFile(pytest.File):
    """The grader of one lesson; its tests are the exercises."""

    course: Course
    lesson: Lesson

    def collect(self) -> Iterator["Exercise"]:
        """One item for each exercise, in their order."""
        tree = ast.parse(self.path.read_text(encoding="utf-8"))
        lines = {node.name: node.lineno for node in tree.body if isinstance(node, ast.FunctionDef)}
        for exercise in self.lesson.exercises:
            name = f"test_{exercise}".lower()
            item: Exercise = Exercise.from_parent(self, name=name)
            item.exercise, item.line = exercise, lines[name] - 1
            yield item


class Exercise(pytest.Item):
    """One exercise."""

    parent: LessonFile
    exercise: str
    line: int

    def runtest(self) -> None:
        """Grade it in the room."""
        file = self.parent
        verdict = _room(self.config, file.course).grade(file.lesson, self.exercise)
        self.user_properties += [("dino", verdict.as_dict()), ("lesson", file.lesson.number)]
        if not verdict.passed:
            raise NotPassed(verdict)

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], *args: Any, **more: Any) -> Any:
        """What pytest itself shows of a failure: the words of the verdict, and no traceback through the grader."""
        if isinstance(excinfo.value, NotPassed):
            return "\n".join(in_words(excinfo.value.verdict))
        return super().repr_failure(excinfo, *args, **more)

    def reportinfo(self) -> tuple[Path, int, str]:
        """Where an editor should jump to."""
        return self.path, self.line, self.name


class NotPassed(Exception):
    """Carries the verdict on an exercise that isn't done."""

    def __init__(self, verdict: Verdict) -> None:
        super().__init__(verdict.says)
        self.verdict = verdict


def _room(config: pytest.Config, course: Course) -> Room:
    if ROOM not in config.stash:
        watched = sys.gettrace() is not None or "debugpy" in sys.modules  # a debugger may stop for as long as it likes
        config.stash[ROOM] = Room(course, limit=None if watched else LIMIT)
    return config.stash[ROOM]


# ---- telling --------------------------------------------------------------------------------------------------------


@pytest.hookimpl(trylast=True)
def pytest_configure(config: pytest.Config) -> None:
    """Where lessons are all that is asked for, report as a tutor does. And wake the room, while pytest collects."""
    plain = config.pluginmanager.get_plugin("terminalreporter")
    course = Course(Path(__file__).parents[2])
    paths = [Path(config.invocation_params.dir, str(arg).partition("::")[0]) for arg in config.args]
    roots = {_course_of(path.resolve()) for path in paths}
    if plain is None or None in roots or len(roots) != 1 or config.option.collectonly or config.option.usepdb:
        return
    course = next(root for root in roots if root)
    if getattr(config.option, "numprocesses", None) in (None, 0):  # xdist's workers have rooms of their own
        _room(config, course)
    config.pluginmanager.unregister(plain)
    config.pluginmanager.register(Tutor(config, course), "terminalreporter")


def _course_of(path: Path) -> Course | None:
    for folder in (path, *path.parents):
        if folder.name == "lessons":
            return Course(folder.parent)
    return None


def pytest_unconfigure(config: pytest.Config) -> None:
    """Leave no process behind."""
    if ROOM in config.stash:
        config.stash[ROOM].close()


class Tutor(TerminalReporter):
    """Tells of each exercise in a line or a few, of the picture, and of where the learner stands."""

    def __init__(self, config: pytest.Config, course: Course) -> None:
        super().__init__(config)
        self.course, self.record = course, Record(course)
        self.verdicts: dict[str, list[Verdict]] = {}

    # What pytest would say, and a learner need not read.
    def pytest_sessionstart(self, session: pytest.Session) -> None:
        """No platform, no plug-ins."""
        self._session = session

    def pytest_collection(self) -> None:
        """No "collecting"."""

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        """No count of items."""

    def report_collect(self, final: bool = False) -> None:
        """No count of items."""

    def pytest_runtest_logstart(self, nodeid: str, location: Any) -> None:
        """No name before the verdict."""

    def pytest_runtest_logfinish(self, nodeid: str) -> None:
        """No percentage."""

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """One exercise is done: tell."""
        category = "failed" if report.failed else report.outcome
        if report.when == "call" or report.failed:
            self._add_stats(category, [report])
        facts = dict(report.user_properties)
        if report.when != "call" or "dino" not in facts:
            if report.failed:
                self._tw.line(str(report.longrepr))
            return
        verdict, number = Verdict(**facts["dino"]), str(facts["lesson"])  # type: ignore[arg-type]
        lesson = next(lesson for lesson in LESSONS if lesson.number == number)
        if number not in self.verdicts:
            self._introduce(lesson)
        self.verdicts.setdefault(number, []).append(verdict)
        self.record.keep(lesson, verdict)
        self._tell(lesson, verdict)

    def pytest_sessionfinish(self, session: pytest.Session, exitstatus: int | pytest.ExitCode) -> None:
        """Everything is graded: the pictures, and where the learner stands."""
        for number, verdicts in self.verdicts.items():
            lesson = next(lesson for lesson in LESSONS if lesson.number == number)
            dead = [v.exercise for v in verdicts if v.outcome == "unwritten" or (v.outcome == "broken" and not v.says)]
            picture = _room(self.config, self.course).draw(lesson, dead)
            self._tw.line()
            shown = self._short(picture) if isinstance(picture, Path) else picture
            self._tw.line(
                f"  picture  {shown}" + "  (yours on the left, expected on the right)" * isinstance(picture, Path)
            )
        if self.verdicts:
            self._tw.line(f"  {self.record.standing(list(self.verdicts))}")
        elif not self.stats.get("error"):
            self._tw.line("No exercise was graded: nothing fits what you asked for.")
        for report in self.stats.get("error", []):
            self._tw.line(str(report.longrepr))
        self.record.save()

    def pytest_terminal_summary(self) -> None:
        """All is said."""

    def _introduce(self, lesson: Lesson) -> None:
        if self.verdicts:
            self._tw.line()
        if self.verbosity >= 0:
            self._tw.line(
                f"lesson {lesson.number}, {lesson.teaches}: grading {self._short(self.course.lesson_file(lesson))}"
            )
            self._tw.line()

    def _tell(self, lesson: Lesson, verdict: Verdict) -> None:
        width = max(map(len, lesson.exercises))
        self._tw.write(f"  {verdict.number} {verdict.exercise:<{width}}  ")
        first, *more = in_words(verdict)
        colour = {"passed": "green", "unwritten": "yellow"}.get(verdict.outcome, "red")
        self._tw.line(first, **{colour: True})
        for line in more if self.verbosity >= 0 else []:
            self._tw.line(f"  {'':<{width + 4}}  {line}")
        if verdict.printed and (not verdict.passed or self.verbosity > 0):
            self._tw.line(f"  {'':<{width + 4}}  your code printed:")
            lines = verdict.printed.splitlines()
            for line in lines[:10] + ["..."] * (len(lines) > 10):
                self._tw.line(f"  {'':<{width + 4}}    {line[:160]}")

    def _short(self, path: Path) -> str:
        """A path as short as it can be and still be opened from here."""
        here = Path(self.config.invocation_params.dir)
        return str(path.relative_to(here)) if path.is_relative_to(here) else str(path)


def in_words(verdict: Verdict) -> list[str]:
    """A verdict in lines: what came of it, why, where, and where there is help."""
    if verdict.passed:
        return ["passed" + f" ({verdict.note})" * bool(verdict.note)]
    if verdict.outcome == "unwritten":
        return ["not written yet", f"read its docstring; dino hint {verdict.number} helps"]
    lines = [verdict.says, verdict.detail, verdict.where or "", f"stuck? dino hint {verdict.number}"]
    return [line for line in lines if line]
