"""The catalog: every mistake gets its own message, and every right answer passes over twenty seeds, without advice."""

import importlib
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from torch import Tensor

from dino.course.catalog.mistakes import denoiser
from dino.course.curriculum import LESSONS, Course, Lesson
from dino.course.grader.diagnosis import Diagnosis
from dino.course.grader.expect import Wrong
from dino.course.grader.lesson_grader import Failure, Grader
from dino.course.verdict import Verdict

COURSE = Course(Path(__file__).parents[1])


@cache
def grader_of(lesson: Lesson) -> Grader:
    return Grader(COURSE, lesson)


@cache
def diagnosis_of(lesson: Lesson) -> Diagnosis:
    return Diagnosis(grader_of(lesson))


def all_mistakes() -> list[Any]:
    return [
        pytest.param(lesson, exercise, mistake, id=f"{lesson.number}-{exercise}-{mistake.__name__}")
        for lesson in LESSONS
        for exercise in lesson.exercises
        for mistake in grader_of(lesson).mistakes(exercise)
    ]


def right_answers(lesson: Lesson, exercise: str) -> list[Any]:
    values = vars(importlib.import_module(f"tests.alternative_solutions.{lesson.name}")).values()
    return [value for value in values if getattr(value, "answers", None) == exercise]


def all_right_answers() -> list[Any]:
    return [
        pytest.param(lesson, exercise, answer, id=f"{lesson.number}-{exercise}-{answer.__name__}")
        for lesson in LESSONS
        for exercise in lesson.exercises
        for answer in [getattr(grader_of(lesson).reference, exercise), *right_answers(lesson, exercise)]
    ]


@pytest.mark.parametrize(("lesson", "exercise", "mistake"), all_mistakes())
def test_every_mistake_fails_with_its_own_message_or_has_it_as_advice(
    lesson: Lesson, exercise: str, mistake: Any
) -> None:
    grader, verdict = grader_of(lesson), Verdict(lesson.exercise_number(exercise), exercise, "passed")
    advice: list[Failure] = []
    for seed in range(grader.n_seeds(exercise)):
        try:
            advice += [Failure(wrong, seed) for wrong in grader.check(exercise, mistake, seed)]
        except Exception as error:
            verdict = diagnosis_of(lesson).diagnose(verdict, Failure(error, seed))
            assert verdict.mistake == mistake.__name__, f"taken for {verdict.mistake}: {error!r} {vars(error)}"
            assert verdict.says == mistake.says
            return
    assert advice, "the grader let it pass"
    assert mistake.says in diagnosis_of(lesson).advise(verdict, advice).advice


@pytest.mark.parametrize(("lesson", "exercise", "answer"), all_right_answers())
def test_every_right_answer_passes_over_twenty_seeds_without_advice(lesson: Lesson, exercise: str, answer: Any) -> None:
    for seed in range(20):
        assert not grader_of(lesson).check(exercise, answer, seed)


@pytest.mark.parametrize("lesson", LESSONS, ids=[lesson.number for lesson in LESSONS])
def test_the_catalog_is_large_enough(lesson: Lesson) -> None:
    for exercise in lesson.exercises:
        mistakes = grader_of(lesson).mistakes(exercise)
        assert len(mistakes) >= 12, exercise
        assert len({mistake.says for mistake in mistakes}) == len(mistakes), f"two of {exercise} say the same"
        assert len(right_answers(lesson, exercise)) >= 5, exercise


def test_a_biased_skip_is_recognized_even_if_it_runs_first() -> None:
    class SkipFirst(denoiser.BiasInSkip):
        def forward(self, x: Tensor) -> Tensor:
            return self.skip(x) + self.body(x)

    lesson = next(lesson for lesson in LESSONS if lesson.number == "02")
    with pytest.raises(Wrong) as wrong:
        grader_of(lesson).check("Block", SkipFirst, 0)
    assert diagnosis_of(lesson).recognize("Block", Failure(wrong.value, 0)) is denoiser.BiasInSkip


@pytest.mark.parametrize(
    ("error", "name"),
    [
        (IndexError("index 99 is out of bounds for dimension 1 with size 98"), "places_anywhere"),
        (IndexError("list index out of range"), None),
    ],
)
def test_any_index_out_of_bounds_is_the_same_mistake(error: IndexError, name: str | None) -> None:
    """torch's threads search at the same time, and any of them may find one first."""
    lesson = next(lesson for lesson in LESSONS if lesson.number == "05")
    found = diagnosis_of(lesson).recognize("sliced_wasserstein", Failure(error, 0))
    assert getattr(found, "__name__", None) == name
