"""The parts of a model (lessons 00 to 04, and 06): the learner's if their lesson passes, and dino's otherwise.

    from dino.course.parts import parts

    mine = parts()
    noisy, noise_level = mine.noise.add_noise(clean)

`mine.whose` says which parts are the learner's.
"""

from ..common.errors import DinoError, shell_command
from .curriculum import MODEL_LESSONS, PART_LESSONS, STEERING, Course, Lesson, find_course
from .grader.combine import Parts, assemble
from .grader.loader import load_lesson
from .progress import Record, grade_changed


def parts(course: Course | None = None) -> Parts:
    """Return all parts, and print a line for each that says whose it is. Files that changed are graded first."""
    chosen = parts_of_the_course(course)
    print("\n".join(in_words(chosen)))
    return chosen


def parts_of_the_course(course: Course | None = None, *, strict: bool = False) -> Parts:
    """Return all parts, and print nothing.

    Args:
        course: the copy of the course; by default it is found from the current folder.
        strict: don't use dino's parts for lessons that don't pass. Lesson 06 needn't pass: a model can do without it.

    Raises:
        DinoError: if a lesson doesn't pass, and `strict` is on.
    """
    course = course or find_course()
    record = Record(course)
    grade_changed(record, PART_LESSONS)
    open_exercises = {lesson: _not_passed(record, lesson) for lesson in PART_LESSONS}
    unfinished = next((lesson for lesson in MODEL_LESSONS if open_exercises[lesson]), None)
    if strict and unfinished:
        raise DinoError(
            f"lesson {unfinished.number} ({unfinished.name}) doesn't pass yet: {open_exercises[unfinished][0]}. "
            f"Run: {shell_command('pytest', f'lessons/{unfinished.number}')}. Or train with dino's part in its place",
            settings={"fill_in": True},
        )
    mine = {lesson.name: load_lesson(course, lesson) for lesson in PART_LESSONS if not open_exercises[lesson]}
    why = {
        lesson.name: f"{open_exercises[lesson][0]} doesn't pass yet" if open_exercises[lesson] else "all exercises pass"
        for lesson in PART_LESSONS
    }
    why[STEERING.name] += ", and needn't: it is for the words" if open_exercises[STEERING] else ""
    return assemble(mine, why)


def in_words(chosen: Parts) -> list[str]:
    """Return a line for each part."""
    return [f"{x.number} {x.name:<10}{chosen.whose[x.name]:<8}({chosen.why[x.name]})" for x in PART_LESSONS]


def _not_passed(record: Record, lesson: Lesson) -> list[str]:
    return [
        f"{lesson.exercise_number(exercise)} {exercise}"
        for exercise in lesson.exercises
        if record.outcome(lesson, exercise) != "passed"
    ]
