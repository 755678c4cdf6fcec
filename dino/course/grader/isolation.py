"""Isolation: what an answer changes outside itself is noticed and undone, and what it prints is kept."""

import builtins
import contextlib
import inspect
import io
import math
import random
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F

KEPT = 2_000  # characters that are printed and kept
MAX_PRINTED = 20_000_000  # more characters than this must come from an endless loop
MAX_WRITES = 1_000_000  # and so must more pieces of text, however short; `print` writes two, its text and a new line


class GlobalState:
    """A snapshot of what an answer might change outside itself."""

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
    # Each setting: how to read it, how to restore it, and what to call a change of it.
    SETTINGS: tuple[tuple[Callable[[], Any], Callable[[Any], object], str], ...] = (
        (torch.initial_seed, torch.manual_seed, "a new seed for torch's global generator"),
        (torch.get_default_dtype, torch.set_default_dtype, "another default dtype"),
        (torch.get_default_device, lambda _: torch.set_default_device(None), "another default device"),
        (torch.is_grad_enabled, torch.set_grad_enabled, "gradients turned on or off globally"),
        (torch.is_inference_mode_enabled, lambda _: None, "inference mode left on"),
        (
            torch.are_deterministic_algorithms_enabled,
            torch.use_deterministic_algorithms,
            "deterministic algorithms turned on or off",
        ),
        (torch.get_num_threads, torch.set_num_threads, "another number of threads"),
    )

    def __init__(self) -> None:
        ours = [module for name, module in sys.modules.items() if name.partition(".")[0] == "dino" and module]
        self.names = [(place, dict(vars(place))) for place in (*self.PLACES, *ours)]
        self.settings = [read() for read, _, _ in self.SETTINGS]

    def restore(self) -> str:
        """Undo all changes. Returns the first change in words, or ""."""
        changed = ""
        for place, before in self.names:
            for name, value in before.items():
                now: Any = vars(place).get(name)
                # torch itself wraps some of its functions when it first needs to.
                if name.startswith("_") or not callable(value) or now is value or inspect.unwrap(now) is value:
                    continue
                changed = changed or f"a new {place.__name__}.{name}"
                setattr(place, name, value)
        for (read, put_back, words), value in zip(self.SETTINGS, self.settings, strict=True):
            if read() != value:
                put_back(value)
                changed = changed or words
        return changed


class Flood(BaseException):
    """An error for an answer that prints without end."""


class _Bounded(io.StringIO):
    """A text stream that keeps its first characters and counts the rest."""

    n_printed = n_writes = 0

    def write(self, text: str) -> int:
        self.n_printed += len(text)
        self.n_writes += 1
        if self.n_printed > MAX_PRINTED:
            raise Flood(f"printed more than {MAX_PRINTED:,} characters. Is there a print in an endless loop?")
        if self.n_writes > MAX_WRITES:
            raise Flood(f"printed more than {MAX_WRITES:,} pieces of text. Is there a print in an endless loop?")
        super().write(text[: max(0, KEPT - self.tell())])
        return len(text)


@contextlib.contextmanager
def captured_output(file: Path = Path("lesson")) -> Iterator[io.StringIO]:
    """Capture what is printed, and restore the arguments, the import path and the warnings afterwards.

    Args:
        file: shown to the code as the program's name.
    """
    printed, path, arguments = _Bounded(), sys.path[:], sys.argv[:]
    sys.argv = [str(file)]
    with contextlib.redirect_stdout(printed), contextlib.redirect_stderr(printed), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            yield printed
        finally:
            sys.path[:], sys.argv = path, arguments
