"""Verdicts: what a grader reports about a learner's answer, as data for the screen and the record."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any


@dataclass(frozen=True)
class Verdict:
    """The verdict on one exercise.

    Its outcome is one of these:

    - `passed`: the answer is right.
    - `wrong`: a property is missing.
    - `borrowed`: the answer isn't the learner's own work.
    - `broken`: the answer raised an error.
    - `stopped`: the answer hung, or ended Python.
    - `unwritten`: the exercise, or a part of it, is still a stub.
    - `unloaded`: the file can't be loaded.
    - `ungraded`: the setup isn't right.
    """

    number: str  # "3.2"
    exercise: str  # "train_step"
    outcome: str
    says: str = ""  # one sentence
    rule: str = ""  # the property that is missing, if `says` names the mistake instead
    facts: str = ""  # what was expected, and what the answer gave
    where: str | None = None  # the learner's own line, if their code raised an error
    note: str = ""  # how the answer was graded, if not as usual
    mistake: str | None = None  # the mistake's name in the catalog
    printed: str = ""  # the first lines that the answer printed
    advice: Sequence[str] = ()  # if it passed: sentences on what only matters elsewhere, such as on a GPU

    @property
    def passed(self) -> bool:
        """True if the answer is right."""
        return self.outcome == "passed"

    def of(self, outcome: str, says: str | None = None, **more: Any) -> "Verdict":
        """Return a copy with another outcome, and other fields changed."""
        return replace(self, outcome=outcome, says=self.says if says is None else says, **more)

    def strictly(self) -> "Verdict":
        """Return the verdict of a strict grader, for whom advice is a failure."""
        if not (self.passed and self.advice):
            return self
        first, *others = self.advice
        return self.of("wrong", first, facts=" ".join(others), advice=())

    def with_printed(self, text: str) -> "Verdict":
        """Return a copy with the first lines that the answer printed."""
        return replace(self, printed=text[:2000])

    def as_dict(self) -> dict[str, Any]:
        """Return the fields, ready for JSON."""
        return asdict(self)
