"""Grading one exercise: fetch the learner's answer, hold it against the lesson's grader, and say what came of it.

This runs the learner's code, so it is called inside `room`, a process that may hang or die.
"""

import inspect
import linecache
import sys
import types
from pathlib import Path
from typing import Any

Answer = Any  # a function or a class


def load(path: Path, package: str | None = None) -> types.ModuleType:
    """Run a file as a module of its own, fresh each time, never from a cache of bytecode, which may be a save old."""
    module = types.ModuleType(f"{path.parent.name}_{path.stem}")
    module.__file__, module.__package__ = str(path), package
    linecache.checkcache(str(path))
    sys.modules[module.__name__] = module  # so that dataclasses and pickling find it
    source = path.read_bytes()  # bytes, as Python knows all encodings of its files
    exec(compile(source, str(path), "exec"), module.__dict__)
    return module


def is_written_in(answer: Answer, file: Path) -> bool:
    def is_here(function: Any) -> bool:
        code = getattr(inspect.unwrap(function), "__code__", None) if callable(function) else None
        return code is not None and Path(code.co_filename) == file

    if inspect.isclass(answer):
        borrowed = [base for base in answer.__mro__ if base.__module__.split(".")[0] in ("dino", "solutions")]
        return not borrowed and any(is_here(value) for value in vars(answer).values())
    return is_here(answer)


def origin(answer: Answer) -> str:
    module, name = getattr(answer, "__module__", None), getattr(answer, "__qualname__", type(answer).__name__)
    return f"{module}.{name}" if module else str(name)
