"""Where a learner stands: the verdicts on their exercises, kept while neither their file nor the grader changes."""

import contextlib
import hashlib
import json
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

from ..errors import DinoError, typed
from ..files import replacing
from .curriculum import LESSONS, N_EXERCISES, Course, Lesson
from .room import Room
from .verdict import Verdict


class Record:
    """The verdicts in runs/lessons/verdicts.json. One counts only while the files that led to it are the same."""

    def __init__(self, course: Course) -> None:
        self.course, self.path = course, course.desk / "verdicts.json"
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
                    again = typed(f"pytest lessons/{lesson.number}")
                    stale = f" (lesson {lesson.number} has changed: {again})" * changed
                    return f"next: {number} {exercise}{stale}"
        return f"all done: now train on your own parts with {typed('dino train --mine')}"


def regrade(record: Record, lessons: Sequence[Lesson] = LESSONS) -> None:
    """Grade the exercises that have no verdict, or whose file has changed since, and save the record."""
    due = [(x, exercise) for x in lessons for exercise in x.exercises if record.outcome(x, exercise) is None]
    if not due:
        return
    from tqdm.auto import tqdm

    with Room(record.course) as room:
        for lesson, exercise in tqdm(due, "grading", unit=" exercises", leave=False, delay=1, disable=None):
            before = fingerprint(record.course, lesson)
            record.keep(room.grade(lesson, exercise), before)
    record.save()


def fingerprint(course: Course, lesson: Lesson) -> str:
    """Names the files that decide a verdict: the learner's, the lesson's grader, and the code it leans on."""
    digest = hashlib.sha256(_of_the_grader(course.grader(lesson), course.mistakes(lesson)).encode())
    with contextlib.suppress(OSError):
        digest.update(course.lesson_file(lesson).read_bytes())
    return digest.hexdigest()[:16]


@lru_cache
def _of_the_grader(*graders: Path) -> str:
    package = Path(__file__).parents[1]
    parts = [package / f"{name}.py" for name in ("images", "noise", "denoiser", "training", "sampler", "evaluation")]
    tools = [package / "course" / f"{name}.py" for name in ("grading", "expect", "modules", "room")]
    return hashlib.sha256(
        b"\0".join(path.read_bytes() for path in (*graders, *parts, *tools) if path.exists())
    ).hexdigest()
