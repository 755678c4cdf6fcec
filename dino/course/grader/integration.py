"""All of a learner's parts in one small training run; and if they don't work together, which of them is to blame."""

from types import ModuleType
from typing import Any

from ..curriculum import MAKING, Course, Lesson
from .combine import assemble
from .isolation import captured_output
from .loader import load

WORSE = 1.5  # how many times dino's own figure a learner's may be; runs of right parts that differ in their random
# draws stay well within it, which a test holds us to


def check_integration(course: Course) -> dict[str, Any]:
    """Whether the learner's parts work together, in a sentence and some facts."""
    measure = load(course.integration_test).measure
    mine, missing = _files(course)
    if not mine:
        return _report(False, "none of your parts is written yet")
    theirs = measure(assemble({}))
    trouble = _trouble(measure, mine, theirs)
    used = f"your {', '.join(mine)}" + f" (and dino's {', '.join(missing)}, not written yet)" * bool(missing)
    if not trouble:
        return _report(True, "passed", f"a small network, trained and sampled from with {used}, is as good as dino's")
    # One part at a time gives way to dino's: the one whose absence mends it is the culprit.
    culprits = [name for name in mine if not _trouble(measure, _without(mine, name), theirs)]
    if not culprits:
        return _report(False, f"{trouble}, and no single part is to blame", f"tried with {used}", "grade each lesson")
    lessons = [lesson for lesson in MAKING if lesson.name in culprits]
    names = " or ".join(f"lesson {lesson.number} ({lesson.name})" for lesson in lessons)
    mended = f"with dino's {culprits[0]} in place of yours it works; run pytest lessons/{lessons[0].number}"
    return _report(False, f"{trouble}. It comes from {names}", mended)


def _files(course: Course) -> tuple[dict[str, ModuleType], list[str]]:
    """The learner's files that hold no stub any more, and the names of the others."""
    written = [x for x in MAKING if _is_written(course, x)]
    found = {}
    for lesson in written:
        try:
            with captured_output(course.lesson_file(lesson)):
                found[lesson.name] = load(course.lesson_file(lesson))
        except BaseException:  # its own lesson's tests say what is wrong with it
            continue
    return found, [lesson.name for lesson in MAKING if lesson.name not in found]


def _is_written(course: Course, lesson: Lesson) -> bool:
    try:
        return "raise NotImplementedError" not in course.lesson_file(lesson).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return False


def _without(mine: dict[str, ModuleType], name: str) -> dict[str, ModuleType]:
    return {other: file for other, file in mine.items() if other != name}


def _trouble(measure: Any, mine: dict[str, ModuleType], theirs: dict[str, float]) -> str:
    """What is wrong with these parts together, or nothing."""
    try:
        with captured_output():
            ours = measure(assemble(mine))
    except BaseException as error:
        return f"your parts together raise {type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}"
    for what, value in ours.items():
        if not value <= WORSE * theirs[what]:  # nan is worse, too
            return f"{what} is {value:.3g} with your parts and {theirs[what]:.3g} with dino's"
    return ""


def _report(passed: bool, says: str, *facts: str) -> dict[str, Any]:
    return {"passed": passed, "says": says, "facts": list(facts)}
