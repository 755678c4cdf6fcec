"""Expectations: the functions that graders are written with. Each one checks a property, and raises `Wrong` without it.

A grader is a function `test_mix(mix, seed)` that calls the answer and checks its properties. Each property has a
sentence of its own, because the learner reads that sentence.
"""

import contextlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, TypeVar

import torch
from torch import Tensor

Marked = TypeVar("Marked")


class Wrong(Exception):
    """A property that an answer lacks.

    A known mistake explains an answer if both lack the same property with the same evidence. Without evidence, the
    words of `got` are compared.

    Args:
        what: a sentence on what should hold.
        expected: what was expected, to follow the word "expected".
        got: what the answer gave, to follow the word "got".
        evidence: what the answer gave, as a tensor. Where random draws are tested, it holds statistics.
        slack: how far the evidence of two answers may differ. It is wide for statistics, because draws may come in any
            order.
    """

    def __init__(
        self, what: str, *, expected: str = "", got: str = "", evidence: Tensor | None = None, slack: float = 1e-4
    ) -> None:
        super().__init__(what)
        self.what, self.expected, self.got, self.evidence, self.slack = what, expected, got, evidence, slack

    @property
    def can_wait(self) -> bool:
        """True if a test may keep this back and go on."""
        return True

    def is_like(self, other: "Wrong") -> bool:
        """Return whether two answers went wrong in the same way."""
        if self.what != other.what:
            return False
        if self.evidence is None or other.evidence is None:
            return self.evidence is other.evidence and self.got == other.got
        if self.evidence.shape != other.evidence.shape or self.evidence.is_complex() != other.evidence.is_complex():
            return False
        ours, theirs = self.evidence.double(), other.evidence.double()
        return torch.allclose(ours, theirs, rtol=1e-4, atol=self.slack, equal_nan=True)


# ---- properties that can wait ---------------------------------------------------------------------------------------


class Findings:
    """Missing properties that a test has kept back, in the order in which they were found."""

    def __init__(self) -> None:
        self.late: list[Wrong] = []  # these fail the answer, if nothing else does
        self.advice: list[Wrong] = []  # the answer passes with these

    def add(self, to: "list[Wrong]", wrong: Wrong) -> None:
        """Keep a missing property, unless it was found before with another probe."""
        if all(wrong.what != known.what for known in to):
            to.append(wrong)


_findings: Findings | None = None  # of the test that is running


@contextlib.contextmanager
def keeping_back() -> Iterator[Findings]:
    """Collect what `afterward` and `advice` keep back. Without this, they raise as everything else does."""
    global _findings
    before, _findings = _findings, Findings()
    try:
        yield _findings
    finally:
        _findings = before


@contextlib.contextmanager
def afterward(what: str = "") -> Iterator[None]:
    """Keep a missing property back, so that the lesson's idea is checked first. It fails the answer in the end.

    Args:
        what: a sentence about the property, for an error that the answer raises in here. Without a sentence, such an
            error is raised at once.
    """
    with _kept_back(what, as_advice=False):
        yield


@contextlib.contextmanager
def advice(what: str = "") -> Iterator[None]:
    """Keep a missing property back as advice, which the answer passes with. It is about what only matters elsewhere.

    Args:
        what: as for `afterward`.
    """
    with _kept_back(what, as_advice=True):
        yield


@contextlib.contextmanager
def _kept_back(what: str, *, as_advice: bool) -> Iterator[None]:
    try:
        yield
    except Exception as error:
        if isinstance(error, NotImplementedError) and not error.args:
            raise  # a stub
        wrong = error if isinstance(error, Wrong) else _as_wrong(error, what)
        if _findings is None or not wrong.can_wait or not wrong.what:
            raise
        _findings.add(_findings.advice if as_advice else _findings.late, wrong)


def _as_wrong(error: Exception, what: str) -> Wrong:
    wrong = Wrong(what, got=f"{type(error).__name__}: {str(error).strip().partition(chr(10))[0][:200]}")
    return wrong.with_traceback(error.__traceback__)


def mistake(exercise: str, says: str) -> Callable[[Marked], Marked]:
    """Mark a wrong answer in the catalog of mistakes.

    Args:
        exercise: the exercise that it answers.
        says: one sentence about what the code does, in the learner's words. It never gives the solution away.
    """

    def mark(answer: Marked) -> Marked:
        answer.mistake_in, answer.says = exercise, says  # type: ignore[attr-defined]
        return answer

    return mark


def runs(n: int) -> Callable[[Marked], Marked]:
    """Mark a slow grader, which runs over `n` seeds instead of three."""

    def mark(grader: Marked) -> Marked:
        grader.n_seeds = n  # type: ignore[attr-defined]
        return grader

    return mark


# ---- values ---------------------------------------------------------------------------------------------------------


def expect(
    holds: bool | Tensor,
    what: str,
    *,
    expected: str = "",
    got: str = "",
    evidence: Tensor | None = None,
    slack: float = 1e-4,
) -> None:
    """Check that a property holds.

    Args:
        holds: True if it does.
        what: a whole sentence about what the answer should do: "Each image has its own noise level."
        expected, got, evidence, slack: as for `Wrong`.

    Raises:
        Wrong: if it doesn't hold.
    """
    if not holds:
        raise Wrong(what, expected=expected, got=got, evidence=evidence, slack=slack)


def expect_tensor(
    value: Any, name: str, shape: Sequence[int] | None = None, *, dtype: torch.dtype | None = None, finite: bool = True
) -> Tensor:
    """Check that a value is a tensor of this shape and dtype, on the CPU. Returns it.

    Args:
        value: what the answer gave.
        name: what to call it, as the start of a sentence: "What `mix` returns".
        shape: the shape it must have, or None for any.
        dtype: the dtype it must have, or None for any.
        finite: also check that no number in it is nan or infinite.

    Raises:
        Wrong: if it isn't.
    """
    expect(isinstance(value, Tensor), f"{name} must be a tensor.", expected="a tensor", got=kind_of(value))
    dense = value.layout == torch.strided and not value.is_nested and not value.is_quantized
    says = f"{name} must be an ordinary tensor."
    expect(dense, says, expected="a dense tensor", got="a sparse, nested or quantized tensor")
    says = f"{name} must be on the same device as the inputs."
    expect(value.device.type == "cpu", says, expected="cpu", got=str(value.device))
    if shape is not None:
        want, have = tuple(shape), tuple(value.shape)
        expect(have == want, f"{name} has the wrong shape.", expected=str(want), got=str(have))
    if dtype is not None:
        says = f"{name} has the wrong dtype."
        expect(value.dtype == dtype, says, expected=short(dtype), got=short(value.dtype))
    if finite:
        is_finite = bool(torch.isfinite(value.detach()).all())
        expect(is_finite, f"{name} must be finite.", expected="no nan and no inf", got="nan or inf")
    return value


def expect_close(got: Any, want: Tensor, what: str, *, tolerance: float | None = None) -> None:
    """Check that two tensors are equal up to rounding. The message shows the place where they differ most.

    Args:
        got: what the answer gave.
        want: what it should give.
        what: a whole sentence about the property.
        tolerance: the largest difference that is allowed. By default it is a thousand rounding errors of their dtype.

    Raises:
        Wrong: if they differ. Its evidence is what the answer gave.
    """
    got = expect_tensor(got, "The result", want.shape, finite=False)
    expect(not got.is_complex(), "The result must be real.", expected="real numbers", got=short(got.dtype))
    got, want = got.detach(), want.detach()
    if tolerance is None:
        coarser = max((torch.finfo(x.dtype).eps for x in (got, want) if x.is_floating_point()), default=0.0)
        tolerance = 1000 * coarser * max(1.0, want.abs().max().item() if want.numel() else 1.0)
    difference = (got.double() - want.double()).abs().nan_to_num(nan=torch.inf)
    if difference.numel() == 0 or difference.max() <= tolerance:
        return
    place = where_largest(difference)
    raise Wrong(what, expected=number(want[tuple(place)]), got=number(got[tuple(place)]) + where(place), evidence=got)


@contextlib.contextmanager
def unchanged(**tensors: Tensor) -> Iterator[None]:
    """Check that the code within changes no tensor in place.

    Args:
        tensors: each by the name that the learner knows it by: `unchanged(clean=clean)`.

    Raises:
        Wrong: if a tensor changed.
    """
    before = {name: tensor.detach().clone() for name, tensor in tensors.items()}
    yield
    _expect_unchanged(tensors, before)


@contextlib.contextmanager
def copies(**tensors: Tensor) -> Iterator[list[Tensor]]:
    """Make copies for an answer, and check afterward that it changed none of them in place.

    Unlike `unchanged`, this doesn't come before the lesson's idea: the results are checked first.

    Args:
        tensors: as for `unchanged`.
    """
    given = {name: tensor.detach().clone() for name, tensor in tensors.items()}
    yield list(given.values())
    with afterward():
        _expect_unchanged(given, tensors)


def _expect_unchanged(tensors: Mapping[str, Tensor], before: Mapping[str, Tensor]) -> None:
    for name, tensor in tensors.items():
        same = tensor.shape == before[name].shape and torch.equal(tensor.detach(), before[name])
        says = f"`{name}` belongs to the caller and must not change."
        expect(same, says, expected=f"`{name}` unchanged", got=f"`{name}` changed in place")


# ---- evidence -------------------------------------------------------------------------------------------------------


@contextlib.contextmanager
def all_as_evidence(results: Iterable[Tensor]) -> Iterator[None]:
    """Attach all results as evidence, whichever property fails within this context."""
    try:
        yield
    except Wrong as wrong:
        wrong.evidence = torch.cat([result.detach().flatten() for result in results])
        raise


@contextlib.contextmanager
def explained_by(others: Sequence[Tensor]) -> Iterator[None]:
    """Replace the evidence within by which of some other values it is, if any, whatever was drawn."""
    try:
        yield
    except Wrong as wrong:
        if wrong.evidence is not None and wrong.evidence.shape == others[0].shape:
            which = [bool((wrong.evidence - other).abs().max() < 1e-4) for other in others]
            wrong.evidence = torch.tensor(which) if any(which) else wrong.evidence
        raise


# ---- words ----------------------------------------------------------------------------------------------------------


def number(value: Tensor | float) -> str:
    """Return a number with four significant digits."""
    return f"{float(value):.4g}"


def where_largest(values: Tensor) -> list[int]:
    """Return the indices of the largest number."""
    # torch.unravel_index does the same, but imports modules for half a second.
    index = int(values.argmax())
    place: list[int] = []
    for size in reversed(values.shape):
        index, here = divmod(index, size)
        place.insert(0, here)
    return place


def where(place: Sequence[int]) -> str:
    """Return a place in words: " (image 2, channel 0, row 1, column 3)" for four indices, else " (at index 2)"."""
    if len(place) == 4:
        names = ("image", "channel", "row", "column")
        return f" ({', '.join(f'{name} {index}' for name, index in zip(names, place, strict=True))})"
    return f" (at index {', '.join(map(str, place))})" if place else ""


def kind_of(value: Any) -> str:
    """Return the type of a value in words: "a list"."""
    if value is None:
        return "None (is a `return` missing?)"
    word = type(value).__name__
    by_ear = {"ndarray": "an", "UNet": "a"}
    return f"{by_ear.get(word, 'an' if word[0].lower() in 'aeiou' else 'a')} {word}"


def short(dtype: torch.dtype) -> str:
    """Return the name of a dtype: "float32" for torch.float32."""
    return str(dtype).removeprefix("torch.")
