"""The words that graders are written in: what they expect of an answer, and what they say when it isn't so.

A grader is a function `test_mix(mix, seed)` that calls the answer and raises `Wrong` through one of these. Each
property gets a sentence of its own, for the sentence is what the learner reads.
"""

import contextlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeVar

import torch
from torch import Tensor

Marked = TypeVar("Marked")


class Wrong(Exception):
    """A property that the answer lacks: what should hold, what was expected and what came.

    `evidence` is what the answer gave, as a tensor. A known mistake that fails at the same property with the same
    evidence, up to `slack`, is taken to be the one that was made; without evidence the words of `got` are compared.
    Where random draws are judged, the evidence is statistics and the slack is wide, for draws may come in any order.
    """

    def __init__(
        self, what: str, *, expected: str = "", got: str = "", evidence: Tensor | None = None, slack: float = 1e-4
    ) -> None:
        super().__init__(what)
        self.what, self.expected, self.got, self.evidence, self.slack = what, expected, got, evidence, slack

    def is_like(self, other: "Wrong") -> bool:
        """Whether two answers went wrong in the same way."""
        if self.what != other.what:
            return False
        if self.evidence is None or other.evidence is None:
            return self.evidence is other.evidence and self.got == other.got
        if self.evidence.shape != other.evidence.shape or self.evidence.is_complex() != other.evidence.is_complex():
            return False
        ours, theirs = self.evidence.double(), other.evidence.double()
        return torch.allclose(ours, theirs, rtol=1e-4, atol=self.slack, equal_nan=True)


def mistake(exercise: str, says: str) -> Callable[[Marked], Marked]:
    """Mark a wrong answer of `mistakes.py`: which exercise it answers, and what to say to who made it.

    `says` is one sentence on what the code does, in the learner's words; it never gives the answer.
    """

    def mark(answer: Marked) -> Marked:
        answer.mistake_in, answer.says = exercise, says  # type: ignore[attr-defined]
        return answer

    return mark


def runs(n: int) -> Callable[[Marked], Marked]:
    """Mark a grader that is slow: it runs over `n` seeds in place of three."""

    def mark(grader: Marked) -> Marked:
        grader.n_seeds = n  # type: ignore[attr-defined]
        return grader

    return mark


# ---- expectations ---------------------------------------------------------------------------------------------------


def expect(
    holds: bool | Tensor,
    what: str,
    *,
    expected: str = "",
    got: str = "",
    evidence: Tensor | None = None,
    slack: float = 1e-4,
) -> None:
    """`what` must hold: a whole sentence on what the answer should do, such as "Each image has its own level."."""
    if not holds:
        raise Wrong(what, expected=expected, got=got, evidence=evidence, slack=slack)


def expect_tensor(
    value: Any, name: str, shape: Sequence[int] | None = None, *, dtype: torch.dtype | None = None, finite: bool = True
) -> Tensor:
    """`value` must be a tensor of this shape and dtype. `name` tells what it is: "what mix returns"."""
    expect(isinstance(value, Tensor), f"{name} must be a tensor.", expected="a tensor", got=kind_of(value))
    plain = value.layout == torch.strided and not value.is_nested and not value.is_quantized
    expect(
        plain, f"{name} must be an ordinary tensor.", expected="a dense one", got="a sparse, nested or quantized one"
    )
    expect(
        value.device.type == "cpu",
        f"{name} must be on the device that the inputs are on.",
        expected="cpu",
        got=str(value.device),
    )
    if shape is not None:
        expect(
            tuple(value.shape) == tuple(shape),
            f"{name} has the wrong shape.",
            expected=str(tuple(shape)),
            got=str(tuple(value.shape)),
        )
    if dtype is not None:
        expect(
            value.dtype == dtype,
            f"{name} has the wrong kind of numbers (dtype).",
            expected=short(dtype),
            got=short(value.dtype),
        )
    if finite:
        expect(
            bool(torch.isfinite(value.detach()).all()),
            f"{name} must be finite numbers.",
            expected="no nan and no inf",
            got="nan or inf",
        )
    return value


def expect_close(got: Any, want: Tensor, what: str, *, tolerance: float | None = None) -> None:
    """Every number of `got` must be that of `want`, up to rounding: a thousand roundings of their dtype.

    Says where the two differ most, and gives what came as evidence.
    """
    got = expect_tensor(got, "the result", want.shape, finite=False)
    expect(not got.is_complex(), "The result must be real numbers.", got=short(got.dtype))
    got, want = got.detach(), want.detach()
    if tolerance is None:
        coarser = max((torch.finfo(x.dtype).eps for x in (got, want) if x.is_floating_point()), default=0.0)
        tolerance = 1000 * coarser * max(1.0, want.abs().max().item() if want.numel() else 1.0)
    apart = (got.double() - want.double()).abs().nan_to_num(nan=torch.inf)
    if apart.numel() == 0 or apart.max() <= tolerance:
        return
    place = where_largest(apart)
    raise Wrong(
        what,
        expected=number(want[tuple(place)]),
        got=number(got[tuple(place)]) + where(place),
        evidence=got,
    )


@contextlib.contextmanager
def unchanged(**tensors: Tensor) -> Iterator[None]:
    """Nothing within may change these tensors in place. Names are those the learner knows: `unchanged(clean=clean)`."""
    before = {name: tensor.detach().clone() for name, tensor in tensors.items()}
    yield
    for name, tensor in tensors.items():
        same = tensor.shape == before[name].shape and torch.equal(tensor.detach(), before[name])
        what = f"`{name}` belongs to the caller and must stay as it was."
        expect(same, what, expected=f"`{name}` as it was", got=f"`{name}` changed in place")


def expect_fair_draws(draw: Callable[[torch.Generator | None], Tensor], seed: int, name: str) -> None:
    """`draw(generator)` must take its random numbers from the generator, and from torch's global one when it is None.

    Args:
        draw: calls the answer and returns one tensor that its random numbers decide, large enough never to repeat.
        name: what is drawn, for the message: "the levels".
    """
    global_state, global_seed = torch.get_rng_state(), torch.initial_seed()
    first, again = (draw(_generator(seed)) for _ in range(2))
    untouched = torch.equal(global_state, torch.get_rng_state())
    expect(
        _same(first, again) and untouched,
        f"Given a generator, {name} must be decided by it alone: the same seed, the same result.",
        expected="the same result from two generators with the same seed",
        got="random numbers from torch's global generator as well" if _same(first, again) else "two different results",
    )
    generator = _generator(seed)
    first, second = draw(generator), draw(generator)
    unseeded = draw(None)
    expect(
        not _same(first, second),
        f"Each call must draw {name} anew.",
        expected="new random numbers at the second call",
        got="the same result always" if _same(first, unseeded) else "the same ones as at the first call",
    )
    expect(
        torch.initial_seed() == global_seed,
        f"Without a generator, {name} must come from torch's global one as it is.",
        expected="the global generator left to run on",
        got="a new seed for it",
    )
    state = torch.get_rng_state()
    first, second = draw(None), draw(None)
    expect(
        not _same(first, second),
        f"Without a generator too, each call must draw {name} anew.",
        expected="two different results",
        got="the same result twice",
    )
    torch.set_rng_state(state)
    expect(
        _same(first, draw(None)),
        f"Without a generator, {name} must be decided by torch's global one.",
        expected="the same result from the same state of it",
        got="random numbers from somewhere else",
    )


def expect_on_device_of(owner: str | None, name: str, call: Callable[[], Any]) -> None:
    """`call()` must make its new tensors on the device of its argument `owner`, or on the one it is given: the CPU.

    Shown without a GPU: tensors that are made with no word on where go to another place, in which they hold no numbers.
    """
    with torch.device("meta"):
        try:
            call()
        except (RuntimeError, NotImplementedError):
            raise Wrong(
                f"{name} must be made on the device {f'where `{owner}` lives' if owner else 'that is asked for'}.",
                expected=f"device={f'{owner}.' if owner else ''}device, wherever random numbers are drawn",
                got="torch's default device",
            ) from None


def _same(one: Tensor, other: Tensor) -> bool:
    return one.shape == other.shape and torch.equal(one, other)


def expect_uniform(values: Tensor, name: str) -> None:
    """`values` must be spread evenly over [0, 1). The bounds are six standard errors wide: a fair draw always passes.

    Args:
        name: what they are, with its verb: "The levels are", "The noise is".
    """
    values = values.detach().double().flatten()
    n, mean, spread = values.numel(), values.mean().item(), values.std().item()
    different = values.unique().numel()
    wrong: dict[str, Any] = {
        "what": f"{name} spread evenly over [0, 1).",
        "evidence": torch.cat(
            [values.quantile(torch.linspace(0.1, 0.9, 9).double()), values.new_tensor([different / n])]
        ),
        "slack": 1 / n**0.5,  # eight standard errors of two medians' difference, or more
    }
    if values.min() < 0 or values.max() >= 1 + 1e-5:
        got = "numbers below 0" if values.min() < 0 else "numbers above 1"
        raise Wrong(expected="numbers from 0 to 1", got=got, **wrong)
    if different < 0.9 * n:
        drawn = f"{n:,} {'levels' if 'levels' in name.lower() else 'numbers'}"
        got = f"only {different:,} different value{'s' * (different != 1)} in {drawn}"
        raise Wrong(expected="numbers anywhere between 0 and 1", got=got, **wrong)
    if n >= 1000 and not (values.min() < 20 / n and values.max() > 1 - 20 / n):  # a fair draw fails once in 10^8
        got = f"none below {values.min():.3f} or above {values.max():.3f}"
        raise Wrong(expected="some near 0 and some near 1", got=got, **wrong)
    if abs(mean - 0.5) > 6 * (1 / 12 / n) ** 0.5:
        raise Wrong(expected="a mean of 0.5", got=f"a mean of {mean:.2f}", **wrong)
    if abs(spread - (1 / 12) ** 0.5) > 6 * (1 / 60 / n) ** 0.5:
        raise Wrong(expected="a standard deviation of 0.29", got=f"one of {spread:.2f}", **wrong)


# ---- words ----------------------------------------------------------------------------------------------------------


def number(value: Tensor | float) -> str:
    """A number as people write it: four significant digits."""
    return f"{float(value):.4g}"


def where_largest(values: Tensor) -> list[int]:
    """The indices of the largest number. (torch.unravel_index would do, and imports what takes half a second.)"""
    index = int(values.argmax())
    place: list[int] = []
    for size in reversed(values.shape):
        index, here = divmod(index, size)
        place.insert(0, here)
    return place


def where(place: Sequence[int]) -> str:
    """ " (image 2, channel 0, row 1, column 3)" for four indices; fewer are given as indices."""
    if len(place) == 4:
        return " ({})".format(
            ", ".join(f"{w} {i}" for w, i in zip(("image", "channel", "row", "column"), place, strict=True))
        )
    return f" (at index {', '.join(map(str, place))})" if place else ""


def kind_of(value: Any) -> str:
    """What a value is, in words for who wrote it."""
    return "None (is a `return` missing?)" if value is None else f"{_article(type(value).__name__)}"


def short(dtype: torch.dtype) -> str:
    """ "float32" for torch.float32."""
    return str(dtype).removeprefix("torch.")


def _article(word: str) -> str:
    by_ear = {"ndarray": "an", "UNet": "a"}
    return f"{by_ear.get(word, 'an' if word[0].lower() in 'aeiou' else 'a')} {word}"


def _generator(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)
