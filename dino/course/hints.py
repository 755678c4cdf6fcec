"""Help with an exercise, in three steps, each given only when it is asked for: the idea, a pointer, nearly the code."""

import contextlib
import json
import re
import textwrap

from ..common.atomic_file import replacing
from ..common.errors import DinoError
from .curriculum import Course, Lesson, hints_file


def hints(course: Course, lesson: Lesson, exercise: str) -> list[str]:
    """The hints of an exercise, as Markdown.

    Raises:
        DinoError: its file isn't there, or holds none.
    """
    path = hints_file(lesson)
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise DinoError(f"the hints of lesson {lesson.number} can't be read: {path}") from error
    heading = re.escape(f"## {lesson.exercise_number(exercise)} {exercise}")
    section = re.search(rf"^{heading}\n(.*?)(?=^## |\Z)", text, re.MULTILINE | re.DOTALL)
    if section is None:
        raise DinoError(f"there are no hints to exercise {lesson.exercise_number(exercise)} in {path}")
    items = re.split(r"^\d+\. ", section.group(1), flags=re.MULTILINE)[1:]
    return [textwrap.dedent("   " + item).strip() for item in items]


def next_hint(course: Course, lesson: Lesson, exercise: str) -> tuple[list[str], int]:
    """The hints asked for so far and one more, and how many there are in all. How far a learner is, is kept."""
    every, path = hints(course, lesson, exercise), course.output_folder / "hints.json"
    given: dict[str, int] = {}
    with contextlib.suppress(OSError, ValueError):
        given = {str(number): int(count) for number, count in dict(json.loads(path.read_text())).items()}
    number = lesson.exercise_number(exercise)
    given[number] = min(len(every), given.get(number, 0) + 1)
    with contextlib.suppress(DinoError), replacing(path) as temporary:
        temporary.write_text(json.dumps(given) + "\n")
    return every[: given[number]], len(every)
