"""The integration check: a small training run on all of a learner's parts, and the part at fault if it goes wrong."""

from types import ModuleType
from typing import Any

from ...common.errors import shell_command
from ..curriculum import MODEL_LESSONS, Course, Lesson
from .combine import assemble
from .isolation import captured_output
from .loader import load, load_lesson
from .raised import first_line

# The most that a learner's figure may be, in multiples of dino's. A test makes sure that right parts which draw other
# random numbers stay well below it.
WORST = 1.5


def check_integration(course: Course) -> dict[str, Any]:
    """Check that a learner's parts work together. Returns a report: `passed`, a sentence `says`, and some `facts`."""
    measure = load(course.integration_test).measure
    mine, missing = _written_files(course)
    if not mine:
        return _report(False, "none of your parts is written yet")
    reference = measure(assemble({}))
    trouble = _trouble(measure, mine, reference)
    used = f"your {', '.join(mine)}" + f" (and dino's {', '.join(missing)}, not written yet)" * bool(missing)
    if not trouble:
        return _report(True, "passed", f"a small network, trained and sampled with {used}, is as good as dino's")
    # Replace one part at a time by dino's. If that fixes the run, the part is at fault.
    at_fault = [name for name in mine if not _trouble(measure, _without(mine, name), reference)]
    if not at_fault:
        facts = (f"tried with {used}", "run the tests of each lesson")
        return _report(False, f"{trouble}. No single part explains it", *facts)
    lessons = [lesson for lesson in MODEL_LESSONS if lesson.name in at_fault]
    names = " or ".join(f"lesson {lesson.number} ({lesson.name})" for lesson in lessons)
    again = shell_command("pytest", f"lessons/{lessons[0].number}")
    fix = f"with dino's {at_fault[0]} in place of yours it works; run {again}"
    return _report(False, f"{trouble}. It comes from {names}", fix)


def _written_files(course: Course) -> tuple[dict[str, ModuleType], list[str]]:
    """Return the learner's files that hold no stub, by name, and the names of the others."""
    found = {}
    for lesson in MODEL_LESSONS:
        if not _is_written(course, lesson):
            continue
        try:
            with captured_output(course.lesson_file(lesson)):
                found[lesson.name] = load_lesson(course, lesson)
        except BaseException:  # the lesson's own tests report it
            continue
    return found, [lesson.name for lesson in MODEL_LESSONS if lesson.name not in found]


def _is_written(course: Course, lesson: Lesson) -> bool:
    try:
        return "raise NotImplementedError" not in course.lesson_file(lesson).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return False


def _without(mine: dict[str, ModuleType], name: str) -> dict[str, ModuleType]:
    return {other: file for other, file in mine.items() if other != name}


def _trouble(measure: Any, mine: dict[str, ModuleType], reference: dict[str, float]) -> str:
    """Return what goes wrong with some parts, or ""."""
    try:
        with captured_output():
            figures = measure(assemble(mine))
    except BaseException as error:
        message = first_line(error)
        return f"your parts raise {type(error).__name__}{': ' if message else ''}{message}"
    for what, figure in figures.items():
        if not figure <= WORST * reference[what]:  # true for nan, too
            return f"{what} is {figure:.3g} with your parts and {reference[what]:.3g} with dino's"
    return ""


def _report(passed: bool, says: str, *facts: str) -> dict[str, Any]:
    return {"passed": passed, "says": says, "facts": list(facts)}
