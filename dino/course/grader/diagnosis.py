"""The diagnosis of a wrong answer: a known mistake that fails in the same way, or else the missing property itself."""

import re
from collections.abc import Sequence
from dataclasses import replace

from ..verdict import Verdict
from .borrowed import Borrowed
from .expect import Wrong
from .isolation import Flood
from .lesson_grader import Failure, Grader
from .loader import Answer
from .raised import first_line, is_stub, raised, unwritten

SIZES = r"The size of tensor a (\(\d+\)) must match the size of tensor b (\(\d+\)) at (.*)"  # in torch's words


class Diagnosis:
    """The diagnosis of one lesson's wrong answers.

    Args:
        grader: the grader of the lesson.
    """

    def __init__(self, grader: Grader) -> None:
        self.grader = grader
        self._errors: dict[tuple[Answer, int], Exception | None] = {}
        self._advice: dict[tuple[Answer, int], list[Wrong]] = {}
        self._lines: dict[tuple[Answer, int], list[int]] = {}

    def diagnose(self, verdict: Verdict, failure: Failure) -> Verdict:
        """Return the verdict on an answer that failed.

        Args:
            verdict: to start from; it names the exercise.
            failure: how the answer failed.
        """
        error, exercise = failure.error, verdict.exercise
        if is_stub(error, self.grader.file):
            return verdict.of("unwritten", unwritten(error, exercise))
        known = None if isinstance(error, Flood | Borrowed) else self.recognize(exercise, failure)
        plain = self._wrong(verdict, error) if isinstance(error, Wrong) else self._broken(verdict, error)
        if known is None:
            return plain
        if isinstance(error, Wrong):
            return plain.of(plain.outcome, known.says, rule=plain.says, mistake=known.__name__)
        facts = ", ".join(filter(None, (plain.says, plain.facts)))
        return plain.of(plain.outcome, known.says, facts=facts, mistake=known.__name__)

    def advise(self, verdict: Verdict, advice: Sequence[Failure]) -> Verdict:
        """Return the verdict on an answer that passes, with a sentence for each property that only matters elsewhere.

        Args:
            verdict: to start from.
            advice: the properties that are missing.
        """
        missing = {(failure.error.what, failure.seed) for failure in advice if isinstance(failure.error, Wrong)}
        sentences = [self._advice_on(verdict, failure, missing) for failure in advice]
        return replace(verdict, advice=list(dict.fromkeys(sentences)))

    def _advice_on(self, verdict: Verdict, failure: Failure, missing: set[tuple[str, int]]) -> str:
        error, seed = failure
        assert isinstance(error, Wrong)
        for mistake in self.grader.mistakes(verdict.exercise):
            if self._error(verdict.exercise, mistake, seed) is None:
                found = self._advice[mistake, seed]
                # A mistake that lacks something else, too, isn't this one.
                if all((x.what, seed) in missing for x in found) and any(map(error.is_like, found)):
                    return str(mistake.says)
        plain = self._wrong(verdict, error)
        return f"{plain.says} ({plain.facts})" if plain.facts else plain.says

    def _wrong(self, verdict: Verdict, error: Wrong) -> Verdict:
        facts = [f"expected {error.expected}"] * bool(error.expected) + [f"got {error.got}"] * bool(error.got)
        outcome = "borrowed" if isinstance(error, Borrowed) else "wrong"
        return verdict.of(outcome, error.what, facts=", ".join(facts))

    def _broken(self, verdict: Verdict, error: BaseException) -> Verdict:
        return raised(verdict, error, self.grader.file, f"`{verdict.exercise}`")

    def recognize(self, exercise: str, failure: Failure) -> Answer | None:
        """Return the mistake in the catalog that fails as an answer did, if there is one."""
        error, mistakes = failure.error, self.grader.mistakes(exercise)
        lines = self._lines_of(error)
        for mistake in mistakes:
            other = self._error(exercise, mistake, failure.seed)
            if _fail_alike(error, other) and (isinstance(error, Wrong) or lines == self._lines[mistake, failure.seed]):
                return mistake
        # The two sides of an operator may come in either order, and torch names their sizes in that order.
        if sizes := _mismatched_sizes(error):
            errors = {x: self._error(exercise, x, failure.seed) for x in mistakes}
            alike = [
                x for x in mistakes if _mismatched_sizes(errors[x]) == sizes and _notes(errors[x]) == _notes(error)
            ]
            return alike[0] if len(alike) == 1 else None
        # If several indices are out of bounds, torch names any of them, because its threads race.
        if _is_out_of_bounds(error):
            return next((x for x in mistakes if _is_out_of_bounds(self._error(exercise, x, failure.seed))), None)
        return None

    def _error(self, exercise: str, mistake: Answer, seed: int) -> Exception | None:
        """Return the error that a mistake fails with. It is kept, because an answer may be compared twice."""
        if (mistake, seed) not in self._errors:
            try:
                self._advice[mistake, seed] = self.grader.check(exercise, mistake, seed)
                self._errors[mistake, seed] = None
            except Exception as error:
                self._lines[mistake, seed] = self._lines_of(error)
                self._errors[mistake, seed] = error.with_traceback(None)
        return self._errors[mistake, seed]

    def _lines_of(self, error: BaseException) -> list[int]:
        """Return the lines of the lesson's test that an error passed through. One error may have several causes."""
        trace, lines = error.__traceback__, []
        while trace:
            if trace.tb_frame.f_code.co_filename == self.grader.tests.__file__:
                lines.append(trace.tb_lineno)
            trace = trace.tb_next
        return lines


def _fail_alike(error: BaseException, other: Exception | None) -> bool:
    """Return whether an answer and a mistake failed in the same way."""
    if isinstance(error, Wrong) and isinstance(other, Wrong):
        return error.is_like(other)
    if other is None or type(other) is not type(error) or first_line(other) != first_line(error):
        return False
    return _notes(other) == _notes(error)


def _notes(error: BaseException | None) -> list[str]:
    """Return what a grader has added to an error, such as what it called the answer with."""
    return list(getattr(error, "__notes__", ()))


def _mismatched_sizes(error: BaseException | None) -> set[str]:
    """Return the sizes of two tensors that don't match, and their dimension, if torch reports that."""
    found = re.match(SIZES, first_line(error)) if isinstance(error, RuntimeError) else None
    return set(found.groups()) if found else set()


def _is_out_of_bounds(error: BaseException | None) -> bool:
    return isinstance(error, IndexError) and "is out of bounds" in str(error)
