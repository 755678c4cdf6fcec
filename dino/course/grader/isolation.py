"""Grading one exercise: fetch the learner's answer, hold it against the lesson's grader, and say what came of it.

This runs the learner's code, so it is called inside `room`, a process that may hang or die.
"""

import builtins
import contextlib
import inspect
import io
import math
import random
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F

KEPT, MAX_PRINTED = 2_000, 20_000_000  # characters: the first are shown, and so many are a loop without an end


class GlobalState:
    """What an answer might change outside itself, as it is now."""

    PLACES: tuple[Any, ...] = (
        builtins,
        math,
        random,
        time,
        torch,
        F,
        torch.nn,
        torch.Tensor,
        torch.nn.Module,
        torch.optim,
    )
    # What to look at, how to put it back, and what to call it.
    SETTINGS: tuple[tuple[Callable[[], Any], Callable[[Any], object], str], ...] = (
        (torch.initial_seed, torch.manual_seed, "a new seed for torch's global random numbers"),
        (torch.get_default_dtype, torch.set_default_dtype, "another default dtype"),
        (torch.get_default_device, lambda _: torch.set_default_device(None), "another default device"),
        (torch.is_grad_enabled, torch.set_grad_enabled, "gradients switched on or off for everyone"),
        (torch.is_inference_mode_enabled, lambda _: None, "inference mode left on"),
        (torch.are_deterministic_algorithms_enabled, torch.use_deterministic_algorithms, "other algorithms"),
        (torch.get_num_threads, torch.set_num_threads, "another number of threads"),
    )

    def __init__(self) -> None:
        ours = [module for name, module in sys.modules.items() if name.partition(".")[0] == "dino" and module]
        self.names = [(place, dict(vars(place))) for place in (*self.PLACES, *ours)]
        self.settings = [look() for look, _, _ in self.SETTINGS]

    def restore(self) -> str:
        """Put back what was changed. Returns the first such thing, in words, or nothing."""
        changed = ""
        for place, before in self.names:
            for name, value in before.items():
                now: Any = vars(place).get(name)
                # torch itself wraps some of its functions when it first needs to.
                if name.startswith("_") or not callable(value) or now is value or inspect.unwrap(now) is value:
                    continue
                changed = changed or f"a new {place.__name__}.{name}"
                setattr(place, name, value)
        for (look, put_back, words), value in zip(self.SETTINGS, self.settings, strict=True):
            if look() != value:
                put_back(value)
                changed = changed or words
        return changed


class Flood(BaseException):
    """The answer prints without end."""


class _Bounded(io.StringIO):
    """Keeps the first characters that are printed, and counts the rest."""

    n_printed = 0

    def write(self, text: str) -> int:
        self.n_printed += len(text)
        if self.n_printed > MAX_PRINTED:
            raise Flood(f"it printed more than {MAX_PRINTED:,} characters. Is there a print in a loop without an end?")
        super().write(text[: max(0, KEPT - self.tell())])
        return len(text)


@contextlib.contextmanager
def captured_output(file: Path = Path("lesson")) -> Iterator[io.StringIO]:
    """Keep what is printed; put arguments, path and warnings back afterwards."""
    import warnings

    printed, path, arguments = _Bounded(), sys.path[:], sys.argv[:]
    sys.argv = [str(file)]
    with contextlib.redirect_stdout(printed), contextlib.redirect_stderr(printed), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            yield printed
        finally:
            sys.path[:], sys.argv = path, arguments
