"""Grading one exercise: load the learner's file, run the lesson's test on the answer, and diagnose what is wrong.

This runs a learner's code, so it belongs into the sandbox, whose process may hang or die.
"""

import types

from ...common.errors import shell_command
from ..curriculum import Course, Lesson
from ..verdict import Verdict
from .borrowed import Borrowed
from .diagnosis import Diagnosis
from .isolation import captured_output
from .lesson_grader import SIDE_EFFECT, Failure, Grader, SideEffectOnLoad
from .raised import raised

NOTE = "with the course's own answers in place of others in this file that aren't right yet"


def grade(course: Course, lesson: Lesson, exercise: str, *, alone: bool = False) -> Verdict:
    """Grade the learner's answer to one exercise.

    An answer may call another one of its file, and one mistake should not count twice. So an answer that fails is
    tried once more, with the reference's answers to all other exercises.

    Args:
        course: the copy of the course whose lesson is graded.
        lesson: the lesson.
        exercise: its exercise, by name.
        alone: make only the second trial.
    """
    grader = Grader(course, lesson)
    verdict = Verdict(lesson.exercise_number(exercise), exercise, "passed")
    with captured_output(grader.file) as printed:
        try:
            found = grader.load(exercise)
        except BaseException as error:
            verdict = _unloaded(verdict, error, grader)
        else:
            trial = None if alone else grader.trial(found, exercise)
            if trial is None or trial.failure:
                verdict = _without_neighbors(grader, verdict, trial and trial.failure)
            else:
                verdict = Diagnosis(grader).advise(verdict, trial.advice)
    return verdict.with_printed(printed.getvalue())


def has_side_effect(verdict: Verdict) -> bool:
    """Return whether an answer changed something outside itself, so that its process should grade no other."""
    return SIDE_EFFECT in (verdict.says, verdict.rule)


def _unloaded(verdict: Verdict, error: BaseException, grader: Grader) -> Verdict:
    """Return the verdict on an exercise whose file can't be loaded."""
    file, lesson = grader.file, grader.lesson
    if isinstance(error, Borrowed):
        return Diagnosis(grader).diagnose(verdict, Failure(error, 0))
    if isinstance(error, SideEffectOnLoad):
        says = f"{file.name} changes something outside itself when it is loaded: {error}."
        return verdict.of("unloaded", says, rule=SIDE_EFFECT)
    if not file.exists():
        remedy = f"bring it back with: {shell_command('dino', 'reset', lesson.number)}"
        return verdict.of("unloaded", f"There is no file {'/'.join(file.parts[-3:])}.", facts=remedy)
    return raised(verdict, error, file, file.name, does="can't be loaded:").of("unloaded")


def _without_neighbors(grader: Grader, verdict: Verdict, failure: Failure | None) -> Verdict:
    """Return the fairer of two verdicts: on an answer that failed, or on it among the reference's other answers."""
    diagnosis, exercise = Diagnosis(grader), verdict.exercise
    if failure and isinstance(failure.error, Borrowed):
        return diagnosis.diagnose(verdict, failure)
    again = grader.trial(_with_reference_neighbors(grader, exercise), exercise)
    if not again.failure:
        return diagnosis.advise(verdict.of("passed", note=NOTE), again.advice)
    if not failure:
        return diagnosis.diagnose(verdict, again.failure)
    first = diagnosis.diagnose(verdict, failure)
    if first.mistake is not None:
        return first
    later = diagnosis.diagnose(verdict, again.failure)
    return later if first.outcome == "unwritten" or later.outcome == "wrong" else first


def _with_reference_neighbors(grader: Grader, exercise: str) -> types.ModuleType:
    """Load the learner's file, and replace its answers to all other exercises by the reference's."""
    found = grader.load(exercise)
    for name in grader.lesson.exercises:
        if name != exercise and hasattr(found, name):
            setattr(found, name, getattr(grader.reference, name))
    return found
