"""Following a learner through the course: grade what changed, in order, up to the exercise that comes next."""

import contextlib
from collections.abc import Iterator, Sequence
from pathlib import Path

from ..common.errors import DinoError
from .curriculum import LESSONS, Course, Lesson, find_exercise
from .progress import Record, fingerprint
from .sandbox import Sandbox
from .verdict import Verdict

Moment = dict[Path, tuple[int, int] | None]  # when each file was saved, and its size


class Follower:
    """A grader that keeps its sandbox, so that a saved file is graded at once.

    Args:
        course: the copy of the course.
        lessons: those to follow.
    """

    def __init__(self, course: Course, lessons: Sequence[Lesson] = LESSONS) -> None:
        self.course, self.lessons = course, lessons
        self.record, self.sandbox = Record(course), Sandbox(course)

    def __enter__(self) -> "Follower":
        return self

    def __exit__(self, *_: object) -> None:
        self.sandbox.close()

    def grade(self, *, beyond: bool = False) -> Iterator[Verdict]:
        """Yield the verdict on each exercise in order, up to the first that doesn't pass.

        Args:
            beyond: go on after an exercise that doesn't pass.

        Raises:
            DinoError: if the setup isn't right.
        """
        try:
            for lesson in self.lessons:
                for exercise in lesson.exercises:
                    verdict = self._verdict(lesson, exercise)
                    yield verdict
                    if not verdict.passed and not beyond:
                        return
        finally:
            self.record.save()

    def _verdict(self, lesson: Lesson, exercise: str) -> Verdict:
        if self.record.outcome(lesson, exercise) == "passed":
            advice = self.record.advice(lesson, exercise)
            return Verdict(lesson.exercise_number(exercise), exercise, "passed", advice=advice)
        graded = fingerprint(self.course, lesson, exercise)
        verdict = self.sandbox.grade(lesson, exercise)
        self.record.keep(verdict, graded)
        if verdict.outcome == "stopped":  # a sandbox remembers what hung, and the next version may not hang
            self.sandbox.close()
            self.sandbox = Sandbox(self.course)
        return verdict

    def draw(self, verdicts: Sequence[Verdict]) -> Path | None:
        """Draw the contact sheet of the last graded lesson, if there is something to see. Returns its path."""
        shown = [x for x in verdicts if x.outcome not in ("unwritten", "unloaded", "stopped", "ungraded")]
        if not shown or any(x.outcome in ("unloaded", "stopped") for x in verdicts):
            return None
        lesson, _ = find_exercise(shown[-1].number)
        seen = {x.exercise for x in shown}
        with contextlib.suppress(DinoError):
            drawn = self.sandbox.draw(lesson, [x for x in lesson.exercises if x not in seen])
            return drawn if isinstance(drawn, Path) else None
        return None

    def moment(self) -> Moment:
        """Return when each of the learner's files was saved. It is another one after a file is saved."""
        return {path: _saved(path) for path in map(self.course.lesson_file, self.lessons)}


def _saved(path: Path) -> tuple[int, int] | None:
    """Return when a file was last saved, in nanoseconds, and its size. None if it is gone."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size


def lesson_page(course: Course, lesson: Lesson, site: str = "") -> str:
    """Return the address of a lesson's page: of the site that was built here, on the web, or else of a file.

    Args:
        course: the copy of the course.
        lesson: the lesson.
        site: the address of the course's site, if it has one.
    """
    page = f"lessons/{lesson.number}-{lesson.name}"
    built = course.root / "site" / f"{page}.html"
    if site and not built.is_file():
        return f"{site.rstrip('/')}/{page}.html"
    places = (built, course.notebook(lesson), course.root / "docs" / f"{page}.md")
    return next((path for path in places if path.is_file()), course.lesson_file(lesson)).as_uri()
