"""What a grader says of an answer: data that travels from the room to the screen and into the record."""

from dataclasses import asdict, dataclass, replace
from typing import Any


@dataclass(frozen=True)
class Verdict:
    """The outcome of one exercise: passed; wrong (a property is missing); borrowed (not the learner's own); broken (its
    code raised); stopped (it hung or ended Python); unwritten (still the stub, or a part of it is); unloaded (nothing
    in the file can be graded); or ungraded (the set-up isn't right).
    """

    number: str  # "3.2"
    exercise: str  # "train_step"
    outcome: str  # one of those above
    says: str = ""  # one sentence
    rule: str = ""  # the property that is missing, where `says` names the mistake instead
    facts: str = ""  # what was expected and what came
    where: str | None = None  # the learner's own line, where their code raised
    note: str = ""  # on how it was graded, if not as usual
    mistake: str | None = None  # its name in mistakes.py
    printed: str = ""  # by the answer, the first lines

    @property
    def passed(self) -> bool:
        """Whether the exercise is done."""
        return self.outcome == "passed"

    def of(self, outcome: str, says: str | None = None, **more: Any) -> "Verdict":
        """The same with another outcome."""
        return replace(self, outcome=outcome, says=self.says if says is None else says, **more)

    def with_printed(self, text: str) -> "Verdict":
        """The same with what the answer printed: its first lines."""
        return replace(self, printed=text[:2000])

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)
