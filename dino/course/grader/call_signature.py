"""The check that an answer can be called as the course calls it."""

import inspect
from collections.abc import Callable
from typing import Any

from .expect import Wrong
from .loader import Answer

# Keyword arguments that a later lesson adds to the reference, by the exercise. An answer needn't take them.
ADDED_LATER = {"generate": {"schedule"}}


def expect_same_call(exercise: str, answer: Answer, reference: Answer) -> None:
    """Check that an answer takes the reference's arguments: positional ones by place, keyword-only ones by name.

    Raises:
        Wrong: if it doesn't.
    """
    _expect_same_parameters(exercise, answer, reference)
    if inspect.isclass(reference):
        _expect_same_parameters(f"{exercise}.forward", answer.forward, reference.forward)  # type: ignore[attr-defined]


def _expect_same_parameters(name: str, answer: Callable[..., Any], reference: Callable[..., Any]) -> None:
    parameters = [p for p in inspect.signature(reference).parameters.values() if p.kind != p.VAR_KEYWORD]
    positional = [p for p in parameters if p.kind != p.KEYWORD_ONLY]
    added = ADDED_LATER.get(name, set())
    keyword_only = [p for p in parameters if p.kind == p.KEYWORD_ONLY and p.name not in added]
    signature = inspect.signature(answer)
    try:
        signature.bind(*positional, **{p.name: p for p in keyword_only})
        signature.bind(*_required(positional), **{p.name: p for p in _required(keyword_only)})
    except TypeError as error:
        shown = ", ".join([p.name for p in positional if p.name != "self"] + [f"{p.name}=..." for p in keyword_only])
        raise Wrong(
            f"`{name}` can't be called as the course calls it.",
            expected=f"{name}({shown})",
            got=f"an error from this call: {error}",
        ) from None


def _required(parameters: list[inspect.Parameter]) -> list[inspect.Parameter]:
    return [p for p in parameters if p.default is p.empty]
