"""The pytest plug-in behind `pytest lessons/03`: it collects the exercises and grades each in the sandbox.

The process of pytest never imports torch or a learner's file. Each exercise is one test item, so -k, -x, -q, xdist and
an editor's test view work as usual. With --strict, advice counts as a failure. `lessons/conftest.py` turns the plug-in
on.
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
from .sandbox import TIME_LIMIT, Sandbox
from .tutor import Tutor, in_words
from .verdict import Verdict

SANDBOX = pytest.StashKey[Sandbox]()


# ---- start and end --------------------------------------------------------------------------------------------------


@pytest.hookimpl(trylast=True)
def pytest_configure(config: pytest.Config) -> None:
    """Start the sandbox while pytest collects, and report through the `Tutor` if only lessons are graded."""
    reporter = config.pluginmanager.get_plugin("terminalreporter")
    paths = [Path(config.invocation_params.dir, str(arg).partition("::")[0]).resolve() for arg in config.args]
    courses = {_course_of(path) for path in paths}
    if reporter is None or config.option.collectonly or config.option.usepdb or len(courses) != 1 or None in courses:
        return
    course = next(course for course in courses if course)
    if not getattr(config.option, "numprocesses", None):  # xdist's workers have sandboxes of their own
        _sandbox(config, course)
    tutor = Tutor(config, course, reporter._tw, lambda: _sandbox(config, course), strict=is_strict(config))
    # pytest's own reporter stays, because other plug-ins need it, but its output is discarded.
    reporter._tw = TerminalWriter(Path(os.devnull).open("w", encoding="utf-8"))  # noqa: SIM115 - it lives as long as the process
    config.pluginmanager.register(tutor, "dino-tutor")


def pytest_unconfigure(config: pytest.Config) -> None:
    """End the sandbox."""
    if SANDBOX in config.stash:
        config.stash[SANDBOX].close()


def _course_of(path: Path) -> Course | None:
    """Return the course whose lessons a path is in."""
    for folder in (path, *path.parents):
        if folder.name == "lessons" and Course(folder.parent).is_here:
            return Course(folder.parent)
    return None


def is_strict(config: pytest.Config) -> bool:
    """Return whether advice counts as a failure: with `pytest --strict`, an option that pytest has already."""
    given = "--strict" in map(str, config.invocation_params.args)
    # xdist's workers get no arguments, only what pytest made of them: 8 sets an option, and 9 a line of its settings.
    made_of_it = getattr(config.option, "strict", False) is True or "strict=true" in (config.option.override_ini or ())
    return given or made_of_it


def _sandbox(config: pytest.Config, course: Course) -> Sandbox:
    if SANDBOX not in config.stash:
        debugging = sys.gettrace() is not None or "debugpy" in sys.modules  # a debugger may pause for any time
        config.stash[SANDBOX] = Sandbox(course, time_limit=None if debugging else TIME_LIMIT)
    return config.stash[SANDBOX]


# ---- collection -----------------------------------------------------------------------------------------------------


def pytest_pycollect_makemodule(module_path: Path, parent: pytest.Collector) -> "LessonFile | IntegrationFile | None":
    """Collect the tests of a lesson without importing them, because they import torch."""
    if module_path == Course(module_path.parents[1]).integration_test:
        integration: IntegrationFile = IntegrationFile.from_parent(parent, path=module_path)
        integration.course = Course(module_path.parents[1])
        return integration
    course = Course(module_path.parents[2])
    for lesson in LESSONS:
        if module_path in (course.grader(lesson), course.lesson_file(lesson)):  # either one names the lesson
            file: LessonFile = LessonFile.from_parent(parent, path=module_path)
            file.course, file.lesson = course, lesson
            return file
    return None


class LessonFile(pytest.File):
    """The tests of one lesson, one for each exercise."""

    course: Course
    lesson: Lesson

    def collect(self) -> Iterator["Exercise"]:
        """Yield an item for each exercise, in order."""
        try:
            fingerprint(self.course, self.lesson, self.lesson.exercises[0])
        except DinoError as error:  # a file of the grader is missing
            raise self.CollectError(str(error)) from error
        tree = ast.parse(self.course.grader(self.lesson).read_text(encoding="utf-8"))
        lines = {node.name: node.lineno for node in tree.body if isinstance(node, ast.FunctionDef)}
        for exercise in self.lesson.exercises:
            name = f"test_{exercise}".lower()
            item: Exercise = Exercise.from_parent(self, name=name)
            item.exercise, item.line = exercise, lines[name] - 1
            yield item


class IntegrationFile(pytest.File):
    """The integration check: a small training run on all of a learner's parts."""

    course: Course

    def collect(self) -> Iterator["Integration"]:
        """Yield the one item."""
        yield Integration.from_parent(self, name="test_integration")


# ---- grading --------------------------------------------------------------------------------------------------------


class NotPassed(Exception):
    """A verdict that isn't "passed", in lines."""

    def __init__(self, lines: list[str]) -> None:
        super().__init__(lines[0])
        self.lines = lines


class Graded(pytest.Item):
    """A test item that is graded in the sandbox."""

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], *args: Any, **more: Any) -> Any:
        """Return the words of the verdict, without a traceback through the grader."""
        if isinstance(excinfo.value, NotPassed):
            return "\n".join(excinfo.value.lines)
        return super().repr_failure(excinfo, *args, **more)


class Exercise(Graded):
    """One exercise."""

    parent: LessonFile
    exercise: str
    line: int

    def runtest(self) -> None:
        """Grade the exercise."""
        file = self.parent
        self.user_properties.append(("fingerprint", fingerprint(file.course, file.lesson, self.exercise)))
        try:
            verdict = _sandbox(self.config, file.course).grade(file.lesson, self.exercise)
        except DinoError as error:
            verdict = Verdict(file.lesson.exercise_number(self.exercise), self.exercise, "ungraded", str(error))
        self.user_properties.append(("dino", verdict.as_dict()))
        judged = verdict.strictly() if is_strict(self.config) else verdict
        if not judged.passed:
            raise NotPassed(in_words(judged))

    def reportinfo(self) -> tuple[Path, int, str]:
        """Return the place that an editor should jump to."""
        return self.path, self.line, self.name


class Integration(Graded):
    """The integration check."""

    parent: IntegrationFile

    def runtest(self) -> None:
        """Run the integration check."""
        try:
            facts = _sandbox(self.config, self.parent.course).check_integration()
        except DinoError as error:
            facts = {"passed": False, "says": str(error), "facts": []}
        self.user_properties.append(("integration", facts))
        if not facts["passed"]:
            raise NotPassed([facts["says"], *facts["facts"]])

    def reportinfo(self) -> tuple[Path, int, str]:
        """Return the place that an editor should jump to."""
        return self.path, 0, self.name
