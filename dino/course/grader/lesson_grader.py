"""The grader of one lesson: its tests, run on a learner's answers."""

import difflib
import importlib
import inspect
import types
from collections.abc import Callable, Sequence
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

import torch

from ..curriculum import Course, Lesson
from .borrowed import Borrowed, reference_hidden
from .call_signature import expect_same_call
from .expect import Wrong, keeping_back
from .isolation import GlobalState
from .loader import Answer, is_written_in, load, load_lesson, origin

N_SEEDS = 3
SIDE_EFFECT = "An answer must leave everything outside itself as it was."


class Failure(NamedTuple):
    """The error that an answer failed with, and the seed of the trial."""

    error: BaseException  # `Wrong`, or an error that the answer raised
    seed: int


class Trial(NamedTuple):
    """The result of one trial: the failure that ended it, or else what the answer could do better."""

    failure: Failure | None
    advice: Sequence[Failure] = ()


class SideEffectOnLoad(Exception):
    """The learner's file changes something outside itself when it is loaded."""


class Grader:
    """The tests, the reference and the common mistakes of one lesson.

    Args:
        course: the copy of the course whose lesson is graded.
        lesson: the lesson.
    """

    def __init__(self, course: Course, lesson: Lesson) -> None:
        self.course, self.lesson = course, lesson
        self.reference = importlib.import_module(f"dino.{lesson.name}")
        self.tests = load(course.grader(lesson))

    @property
    def file(self) -> Path:
        """The learner's file."""
        return self.course.lesson_file(self.lesson)

    @cached_property
    def _catalog(self) -> types.ModuleType:
        # By name, because the catalog imports `expect` and would make a cycle.
        return importlib.import_module(f"dino.course.catalog.mistakes.{self.lesson.name}")

    def mistakes(self, exercise: str) -> list[Answer]:
        """Return the known wrong answers to an exercise, in the order of the catalog."""
        return [value for value in vars(self._catalog).values() if getattr(value, "mistake_in", None) == exercise]

    def test(self, exercise: str) -> Callable[[Answer, int], None]:
        """Return the test of an exercise."""
        function: Callable[[Answer, int], None] = getattr(self.tests, f"test_{exercise}".lower())
        return function

    def n_seeds(self, exercise: str) -> int:
        """Return the number of seeds that the test of an exercise runs over."""
        return getattr(self.test(exercise), "n_seeds", N_SEEDS)

    # ---- the learner's answer ---------------------------------------------------------------------------------------

    def load(self, exercise: str) -> types.ModuleType:
        """Load the learner's file to grade an exercise.

        Raises:
            SideEffectOnLoad: if the file changes something outside itself.
            Borrowed: if the file calls or opens the reference or the solution.
        """
        with reference_hidden(self.lesson, exercise, self.reference):
            before = GlobalState()
            try:
                found = load_lesson(self.course, self.lesson)
                torch.manual_seed(before.settings[0])  # a seed at the top of a file is common and harmless
            finally:
                changed = before.restore()
        if changed:
            raise SideEffectOnLoad(changed)
        return found

    def trial(self, found: types.ModuleType, exercise: str) -> Trial:
        """Run the test of an exercise on a loaded file, over all seeds or until it fails."""
        seed, advice = 0, list[Failure]()
        try:
            answer = self._answer(found, exercise)
            with reference_hidden(self.lesson, exercise, self.reference):
                for seed in range(self.n_seeds(exercise)):
                    known = {str(failure.error) for failure in advice}
                    advised = self.check(exercise, answer, seed)
                    advice += [Failure(wrong, seed) for wrong in advised if wrong.what not in known]
        except BaseException as error:
            return Trial(Failure(error, seed))
        return Trial(None, advice)

    def check(self, exercise: str, answer: Answer, seed: int) -> list[Wrong]:
        """Run the test of an exercise on an answer, with one seed. Returns advice for an answer that passes.

        Raises:
            Wrong: if a property is missing, or the answer has a side effect. Any error of the answer passes through.
        """
        torch.manual_seed(10_000 + seed)
        before = GlobalState()
        with keeping_back() as findings:
            try:
                self.test(exercise)(answer, seed)
            finally:
                changed = before.restore()
        if changed:
            raise Wrong(SIDE_EFFECT, expected="nothing else changed", got=changed)
        if findings.late:
            raise findings.late[0]
        return findings.advice

    def _answer(self, found: types.ModuleType, exercise: str) -> Answer:
        """Return the learner's function or class, ready to be tested.

        Raises:
            Wrong: if it is missing, of the wrong kind, or can't be called as the course calls it.
            Borrowed: if it was written elsewhere.
        """
        file = "/".join(self.file.parts[-3:])
        if not hasattr(found, exercise):
            says = f"There is no `{exercise}` in {file}.{self._similar_name(found, exercise)}"
            raise Wrong(says, expected=f"`{exercise}`, by this name")
        answer, reference = getattr(found, exercise), getattr(self.reference, exercise)
        word, kind = ("class", "class") if inspect.isclass(reference) else ("def", "function")
        if not is_written_in(answer, self.file):
            raise Borrowed(
                f"`{exercise}` must be your own work, written in {file}.",
                expected=f"`{word} {exercise}` with code of your own",
                got=f"code from elsewhere ({origin(answer)})",
            )
        if inspect.isclass(answer) != inspect.isclass(reference):
            raise Wrong(f"`{exercise}` must be a {kind}.", expected=f"`{word} {exercise}`")
        expect_same_call(exercise, answer, reference)
        return answer

    def _similar_name(self, found: types.ModuleType, exercise: str) -> str:
        """Return a question about a similar name in the learner's file, or ""."""
        names = {
            name.lower(): name
            for name, value in vars(found).items()
            if callable(value) and name not in self.lesson.exercises and is_written_in(value, self.file)
        }
        close = difflib.get_close_matches(exercise.lower(), names, n=1)
        return f" Did you mean `{names[close[0]]}`?" if close else ""
