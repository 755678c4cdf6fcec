"""The parts of a model (lessons 00 to 04), the learner's where their lesson passes and dino's otherwise.

    from dino.course.parts import parts
    mine = parts()
    noisy, noise_level = mine.noise.add_noise(clean)

Whose each of them is, `mine.whose` says.
"""

from ..common.errors import DinoError, shell_command
from .curriculum import MAKING, Course, Lesson, find_course
from .grader.combine import Parts, assemble
from .grader.loader import load
from .progress import Record, regrade


def parts(course: Course | None = None) -> Parts:
    """All parts, and a printed line for each that says whose it is. What changed since it was graded is graded now."""
    chosen = parts_of_the_course(course)
    print("\n".join(in_words(chosen)))
    return chosen


def parts_of_the_course(course: Course | None = None, *, strict: bool = False) -> Parts:
    """As `parts`, but it prints nothing, and with `strict` it refuses to fill in dino's parts.

    Raises:
        DinoError: a lesson doesn't pass, and `strict` is on.
    """
    course = course or find_course()
    record = Record(course)
    regrade(record, MAKING)
    open_exercises = {lesson: _not_passed(record, lesson) for lesson in MAKING}
    if strict and (wanting := next((lesson for lesson in MAKING if open_exercises[lesson]), None)):
        raise DinoError(
            f"lesson {wanting.number} ({wanting.name}) doesn't pass yet: {open_exercises[wanting][0]}. "
            f"Run: {shell_command('pytest', f'lessons/{wanting.number}')}. Or train with dino's part in its place",
            settings={"fill_in": True},
        )
    mine = {lesson.name: load(course.lesson_file(lesson)) for lesson in MAKING if not open_exercises[lesson]}
    why = {
        lesson.name: f"{open_exercises[lesson][0]} doesn't pass yet" if open_exercises[lesson] else "all exercises pass"
        for lesson in MAKING
    }
    return assemble(mine, why)


def in_words(chosen: Parts) -> list[str]:
    """A line for each part."""
    return [f"{x.number} {x.name:<10}{chosen.whose[x.name]:<8}({chosen.why[x.name]})" for x in MAKING]


def _not_passed(record: Record, lesson: Lesson) -> list[str]:
    return [
        f"{lesson.exercise_number(exercise)} {exercise}"
        for exercise in lesson.exercises
        if record.outcome(lesson, exercise) != "passed"
    ]
