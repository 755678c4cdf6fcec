"""Loading files of the course and of learners, and finding out where an answer was written."""

import inspect
import linecache
import sys
import types
from pathlib import Path
from typing import Any

from ..curriculum import RENAMED, Course, Lesson

Answer = Any  # a function or a class


def load(path: Path, package: str | None = None) -> types.ModuleType:
    """Run a file as a new module. Its bytecode is never cached, because a cache may be one save behind.

    Args:
        path: the file.
        package: the package that relative imports in the file start from.
    """
    module = types.ModuleType(f"{path.parent.name}_{path.stem}")
    module.__file__, module.__package__ = str(path), package
    linecache.checkcache(str(path))
    sys.modules[module.__name__] = module  # where dataclasses and pickle look for it
    source = path.read_bytes()  # bytes, because Python reads a file's encoding from its first lines
    exec(compile(source, str(path), "exec"), module.__dict__)
    return module


def load_lesson(course: Course, lesson: Lesson) -> types.ModuleType:
    """Run a learner's file. Exercises that it has by an old name are there by the new name, too."""
    module = load(course.lesson_file(lesson))
    for old, new in RENAMED.items():
        if hasattr(module, old) and not hasattr(module, new):
            setattr(module, new, getattr(module, old))
    return module


def is_written_in(answer: Answer, file: Path) -> bool:
    """Return whether the code of a function, or of a method of a class, stands in a file."""

    def is_here(function: Any) -> bool:
        code = getattr(inspect.unwrap(function), "__code__", None) if callable(function) else None
        return code is not None and Path(code.co_filename) == file

    if inspect.isclass(answer):
        borrowed = [base for base in answer.__mro__ if base.__module__.split(".")[0] in ("dino", "solutions")]
        return not borrowed and any(is_here(value) for value in vars(answer).values())
    return is_here(answer)


def origin(answer: Answer) -> str:
    """Return the module and name that an answer comes from: "torch.lerp"."""
    module, name = getattr(answer, "__module__", None), getattr(answer, "__qualname__", type(answer).__name__)
    return f"{module}.{name}" if module else str(name)
