"""What `pytest lessons/03` does: collect the exercises, grade each in the room, and tell the learner in their words.

The pytest process never imports torch or a learner's file. Each exercise is one test item, so -k, -x, -q, xdist and an
editor's test view work as ever. `lessons/conftest.py` switches this on.
"""

import ast
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from _pytest._io import TerminalWriter

from ..common.errors import DinoError
from .curriculum import LESSONS, Course, Lesson
from .progress import fingerprint
from .sandbox import LIMIT, Sandbox
from .tutor import Tutor, in_words
from .verdict import Verdict

SANDBOX = pytest.StashKey[Sandbox]()


def pytest_pycollect_makemodule(module_path: Path, parent: pytest.Collector) -> "LessonFile | IntegrationFile | None":
    """Collect a lesson's grader without importing it, as that would take torch."""
    if module_path == Course(module_path.parents[1]).integration_test:
        integration: IntegrationFile = IntegrationFile.from_parent(parent, path=module_path)
        integration.course = Course(module_path.parents[1])
        return integration
    course = Course(module_path.parents[2])
    for lesson in LESSONS:
        if module_path in (course.grader(lesson), course.lesson_file(lesson)):  # either names the lesson
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
        tree = ast.parse(self.course.grader(self.lesson).read_text(encoding="utf-8"))
        lines = {node.name: node.lineno for node in tree.body if isinstance(node, ast.FunctionDef)}
        for exercise in self.lesson.exercises:
            name = f"test_{exercise}".lower()
            item: Exercise = Exercise.from_parent(self, name=name)
            item.exercise, item.line = exercise, lines[name] - 1
            yield item


class Graded(pytest.Item):
    """What is graded in the room, and fails in words."""

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], *args: Any, **more: Any) -> Any:
        """What pytest itself shows of a failure: the words of the verdict, and no traceback through the grader."""
        if isinstance(excinfo.value, NotPassed):
            return "\n".join(excinfo.value.lines)
        return super().repr_failure(excinfo, *args, **more)


class Exercise(Graded):
    """One exercise."""

    parent: LessonFile
    exercise: str
    line: int

    def runtest(self) -> None:
        """Grade it in the room."""
        file = self.parent
        self.user_properties.append(("fingerprint", fingerprint(file.course, file.lesson)))
        try:
            verdict = _sandbox(self.config, file.course).grade(file.lesson, self.exercise)
        except DinoError as error:
            verdict = Verdict(file.lesson.exercise_number(self.exercise), self.exercise, "ungraded", str(error))
        self.user_properties.append(("dino", verdict.as_dict()))
        if not verdict.passed:
            raise NotPassed(in_words(verdict))

    def reportinfo(self) -> tuple[Path, int, str]:
        """Where an editor should jump to."""
        return self.path, self.line, self.name


class IntegrationFile(pytest.File):
    """The integration check: all of the learner's parts in one small training run."""

    course: Course

    def collect(self) -> Iterator["Integration"]:
        """One item."""
        yield Integration.from_parent(self, name="test_integration")


class Integration(Graded):
    """The learner's parts together."""

    parent: IntegrationFile

    def runtest(self) -> None:
        """Try them in the room."""
        try:
            facts = _sandbox(self.config, self.parent.course).integrate()
        except DinoError as error:
            facts = {"passed": False, "says": str(error), "facts": []}
        self.user_properties.append(("integration", facts))
        if not facts["passed"]:
            raise NotPassed([facts["says"], *facts["facts"]])

    def reportinfo(self) -> tuple[Path, int, str]:
        """Where an editor should jump to."""
        return self.path, 0, self.name


class NotPassed(Exception):
    """Carries what is to be said."""

    def __init__(self, lines: list[str]) -> None:
        super().__init__(lines[0])
        self.lines = lines


def _sandbox(config: pytest.Config, course: Course) -> Sandbox:
    if SANDBOX not in config.stash:
        watched = sys.gettrace() is not None or "debugpy" in sys.modules  # a debugger may stop for as long as it likes
        config.stash[SANDBOX] = Sandbox(course, limit=None if watched else LIMIT)
    return config.stash[SANDBOX]


@pytest.hookimpl(trylast=True)
def pytest_configure(config: pytest.Config) -> None:
    """Where lessons are all that is asked for, report as a tutor does. And wake the room, while pytest collects."""
    reporter = config.pluginmanager.get_plugin("terminalreporter")
    paths = [Path(config.invocation_params.dir, str(arg).partition("::")[0]).resolve() for arg in config.args]
    courses = {_course_of(path) for path in paths}
    if reporter is None or config.option.collectonly or config.option.usepdb or len(courses) != 1 or None in courses:
        return
    course = next(course for course in courses if course)
    if not getattr(config.option, "numprocesses", None):  # xdist's workers have rooms of their own
        _sandbox(config, course)
    tutor = Tutor(config, course, reporter._tw, lambda: _sandbox(config, course))
    # pytest's own reporter stays, as other plug-ins lean on it, but speaks into the void.
    reporter._tw = TerminalWriter(Path(os.devnull).open("w"))  # noqa: SIM115 - it lives as long as the process
    config.pluginmanager.register(tutor, "dino-tutor")


def _course_of(path: Path) -> Course | None:
    for folder in (path, *path.parents):
        if folder.name == "lessons" and Course(folder.parent).is_here:
            return Course(folder.parent)
    return None


def pytest_unconfigure(config: pytest.Config) -> None:
    """Leave no process behind."""
    if SANDBOX in config.stash:
        config.stash[SANDBOX].close()
