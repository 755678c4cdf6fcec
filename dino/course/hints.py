"""Hints: three for each exercise, shown one at a time. First the idea, then a pointer, then nearly the code."""

import contextlib
import json
import re
import textwrap

from ..common.atomic_file import replacing
from ..common.errors import DinoError
from .curriculum import Course, Lesson, hints_file


def hints(lesson: Lesson, exercise: str) -> list[str]:
    """Return the hints of an exercise, as Markdown.

    Raises:
        DinoError: if their file is missing or has none for the exercise.
    """
    path = hints_file(lesson)
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise DinoError(f"the hints of lesson {lesson.number} can't be read: {path}") from error
    heading = re.escape(f"## {lesson.exercise_number(exercise)} {exercise}")
    section = re.search(rf"^{heading}\n(.*?)(?=^## |\Z)", text, re.MULTILINE | re.DOTALL)
    if section is None:
        raise DinoError(f"there are no hints for exercise {lesson.exercise_number(exercise)} in {path}")
    items = re.split(r"^\d+\. ", section.group(1), flags=re.MULTILINE)[1:]
    return [textwrap.dedent("   " + item).strip() for item in items]


def next_hint(course: Course, lesson: Lesson, exercise: str) -> tuple[list[str], int]:
    """Return the hints that were shown before and one more, and the number of all hints. Remembers what was shown."""
    every, path = hints(lesson, exercise), course.output_folder / "hints.json"
    shown: dict[str, int] = {}
    with contextlib.suppress(OSError, ValueError):
        saved = dict(json.loads(path.read_text(encoding="utf-8")))
        shown = {str(number): int(count) for number, count in saved.items()}
    number = lesson.exercise_number(exercise)
    shown[number] = min(len(every), shown.get(number, 0) + 1)
    with contextlib.suppress(DinoError), replacing(path) as temporary:
        temporary.write_text(json.dumps(shown) + "\n", encoding="utf-8")
    return every[: shown[number]], len(every)
