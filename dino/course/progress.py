"""Where a learner stands: the verdicts on their exercises, kept while neither their file nor the grader changes."""

import contextlib
import hashlib
import json
import platform
from collections.abc import Sequence
from functools import lru_cache
from importlib.metadata import version
from pathlib import Path

from ..common.atomic_file import replacing
from ..common.errors import DinoError, shell_command
from .curriculum import LESSONS, N_EXERCISES, Course, Lesson, mistakes_file
from .sandbox import Sandbox
from .verdict import Verdict


class Record:
    """The verdicts in runs/lessons/verdicts.json. One counts only while the files that led to it are the same."""

    def __init__(self, course: Course) -> None:
        self.course, self.path = course, course.output_folder / "verdicts.json"
        self.verdicts = self._saved()
        self._new: set[str] = set()

    def keep(self, verdict: Verdict, graded: str) -> None:
        """Note a verdict, if it is one on the file. `graded` is the fingerprint from before it was graded: the file may
        have been saved again since.
        """
        if verdict.outcome in ("ungraded", "stopped"):  # what ended the room may not have been the file
            return
        entry = {"fingerprint": graded, "outcome": verdict.outcome, "says": verdict.says}
        self.verdicts[verdict.number] = entry
        self._new.add(verdict.number)

    def save(self) -> None:
        """Write the new verdicts into the record, if it can be written. Another process may have written there, too."""
        merged = self._saved() | {number: self.verdicts[number] for number in self._new}
        with contextlib.suppress(DinoError), replacing(self.path) as temporary:
            temporary.write_text(json.dumps(merged, indent=1) + "\n", encoding="utf-8")

    def _saved(self) -> dict[str, dict[str, str]]:
        with contextlib.suppress(OSError, ValueError, TypeError):
            kept = json.loads(self.path.read_text(encoding="utf-8"))
            return {number: dict(entry) for number, entry in dict(kept).items()}
        return {}

    def outcome(self, lesson: Lesson, exercise: str) -> str | None:
        """The outcome of an exercise as it is now, or None if it hasn't been graded since something changed."""
        entry = self.verdicts.get(lesson.exercise_number(exercise))
        return entry.get("outcome") if entry and entry.get("fingerprint") == fingerprint(self.course, lesson) else None

    def says(self, lesson: Lesson, exercise: str) -> str:
        """What was said of it."""
        return self.verdicts.get(lesson.exercise_number(exercise), {}).get("says", "")

    def passed(self, lesson: Lesson) -> int:
        """How many exercises of a lesson are known to be right."""
        return sum(self.outcome(lesson, exercise) == "passed" for exercise in lesson.exercises)

    def standing(self, graded: list[Lesson]) -> str:
        """One line: how far these lessons and the course are, and what comes next."""
        parts = (
            [f"{self.passed(x)} of {len(x.exercises)} in lesson {x.number}" for x in graded] if len(graded) < 3 else []
        )
        parts.append(f"{sum(map(self.passed, LESSONS))} of {N_EXERCISES} in all")
        return "; ".join([*parts, self._next(graded)])

    def _next(self, graded: list[Lesson]) -> str:
        order = [x for x in LESSONS if x in graded] + [x for x in LESSONS if x not in graded]
        for lesson in order:
            for exercise in lesson.exercises:
                outcome, number = self.outcome(lesson, exercise), lesson.exercise_number(exercise)
                if outcome != "passed":
                    changed = outcome is None and number in self.verdicts
                    again = shell_command("pytest", f"lessons/{lesson.number}")
                    stale = f" (lesson {lesson.number} has changed: {again})" * changed
                    return f"next: {number} {exercise}{stale}"
        return f"all done: now train on your own parts with {shell_command('dino', 'train', '--mine')}"


def regrade(record: Record, lessons: Sequence[Lesson] = LESSONS) -> None:
    """Grade the exercises that have no verdict, or whose file has changed since, and save the record."""
    due = [(x, exercise) for x in lessons for exercise in x.exercises if record.outcome(x, exercise) is None]
    if not due:
        return
    from tqdm.auto import tqdm

    with Sandbox(record.course) as room:
        for lesson, exercise in tqdm(due, "grading", unit=" exercises", leave=False, delay=1, disable=None):
            before = fingerprint(record.course, lesson)
            record.keep(room.grade(lesson, exercise), before)
    record.save()


def fingerprint(course: Course, lesson: Lesson) -> str:
    """Return sixteen hexadecimal digits that change with anything that decides the verdicts on a lesson.

    Raises:
        DinoError: if a file of the grader is missing.
    """
    digest = hashlib.sha256(_fingerprint_of_graders(tuple(grading_files(course, lesson))).encode())
    learners_file = course.lesson_file(lesson)
    digest.update(learners_file.read_bytes() if learners_file.exists() else b"missing")
    return digest.hexdigest()[:16]


def grading_files(course: Course, lesson: Lesson) -> list[Path]:
    """Return every file besides the learner's own that decides the verdicts on a lesson.

    They are the lesson's tests and mistakes, the reference files, and all code of the course and what it imports.
    """
    package = Path(__file__).parents[1]
    reference = [package / f"{each.name}.py" for each in LESSONS]
    shared = [
        package / f"{name}.py"
        for name in ("__init__", "common/__init__", "common/errors", "common/atomic_file", "common/version")
    ]
    course_code = [path for path in sorted((package / "course").rglob("*")) if path.suffix in (".py", ".png")]
    return [course.grader(lesson), mistakes_file(lesson), *reference, *shared, *course_code]


@lru_cache
def _fingerprint_of_graders(paths: tuple[Path, ...]) -> str:
    digest = hashlib.sha256(f"Python {platform.python_version()}, torch {version('torch')}".encode())
    for path in paths:
        try:
            digest.update(hashlib.sha256(path.read_bytes()).digest())
        except OSError as error:
            raise DinoError(
                f"{path} can't be read ({error.strerror}), and grading needs it. Restore it, or install dino again"
            ) from error
    return digest.hexdigest()
