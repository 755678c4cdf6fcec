"""Borrowed work: an answer must not call the reference or the solution of its lesson.

While a learner's code runs, stand-ins replace the reference everywhere in `dino`. A stand-in raises `Borrowed` when it
is called. An audit hook raises it when Python opens the file of the reference or of a solution. Graders keep the real
functions, because they were loaded before.
"""

import contextlib
import functools
import inspect
import os
import sys
import types
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from ..curriculum import Lesson
from .expect import Wrong


class Borrowed(Wrong):
    """The answer isn't the learner's own work."""

    @property
    def can_wait(self) -> bool:
        """False: it ends the test."""
        return False


@dataclass(frozen=True)
class _RunningAnswer:
    """The lesson and the exercise whose answer is running."""

    lesson: Lesson
    exercise: str
    reference: types.ModuleType

    def refusal(self, deed: str) -> Borrowed:
        return Borrowed(f"`{self.exercise}` must be your own work, and it {deed}.")


_running: _RunningAnswer | None = None  # the answer that is running, if any is


@contextlib.contextmanager
def reference_hidden(lesson: Lesson, exercise: str, reference: types.ModuleType) -> Iterator[None]:
    """Keep a lesson's reference out of reach while the learner's code runs.

    Raises:
        Borrowed: if the code calls the reference, or opens its file or the file of its solution.
    """
    global _running
    _install_audit_hook()
    stand_ins = list(_stand_ins(lesson, reference))  # keeps them alive, so that nothing else gets their ids
    _replace({id(real): stand_in for real, stand_in in stand_ins})
    _running = _RunningAnswer(lesson, exercise, reference)
    try:
        yield
    finally:
        _running = None
        _replace({id(stand_in): real for real, stand_in in stand_ins})
        sys.modules[reference.__name__] = reference


# ---- stand-ins ------------------------------------------------------------------------------------------------------


def _stand_ins(lesson: Lesson, reference: types.ModuleType) -> Iterator[tuple[Any, Any]]:
    """Yield the reference, its functions and the classes that are exercises, each with its stand-in."""
    module = types.ModuleType(reference.__name__)
    vars(module).update(vars(reference))
    for name, value in vars(reference).items():
        is_exercise = name in lesson.exercises
        if getattr(value, "__module__", "") == module.__name__ and (is_exercise or not inspect.isclass(value)):
            stand_in = _refusing_class(value, lesson) if inspect.isclass(value) else _refusing(value, name, lesson)
            setattr(module, name, stand_in)
            yield value, stand_in
    yield reference, module


def _refusing(function: Callable[..., Any], name: str, lesson: Lesson) -> Callable[..., Any]:
    """Return a function that raises `Borrowed` while an answer of the lesson runs, and calls the real one otherwise.

    A module that is imported while an answer runs may keep a stand-in, for example as a default argument.
    """

    @functools.wraps(function)
    def refuse(*args: Any, **options: Any) -> Any:
        if _running and _running.lesson == lesson:
            raise _running.refusal(f"calls `{name}` of dino/{lesson.name}.py")
        return function(*args, **options)

    return refuse


def _refusing_class(real: type, lesson: Lesson) -> type:
    """Return a subclass whose every method raises `Borrowed` while an answer of the lesson runs."""
    methods = {name: _refusing(value, real.__name__, lesson) for name, value in vars(real).items() if callable(value)}
    return type(real)(real.__name__, (real,), {"__module__": real.__module__} | methods)


def _replace(replacements: dict[int, Any]) -> None:
    """Replace values by their ids, in `sys.modules` and in the global names of every module of `dino`."""
    for path, module in list(sys.modules.items()):
        if path.partition(".")[0] != "dino" or module is None:
            continue
        if id(module) in replacements:
            sys.modules[path] = replacements[id(module)]
            continue
        for name, value in list(vars(module).items()):
            if id(value) in replacements:
                setattr(module, name, replacements[id(value)])


# ---- files ----------------------------------------------------------------------------------------------------------


@cache
def _install_audit_hook() -> None:
    """Watch which files Python opens. A hook can't be removed, so this one does nothing when no answer is running."""

    def refuse(event: str, arguments: tuple[Any, ...]) -> None:
        if event == "open" and _running and isinstance(arguments[0], str | bytes):
            path = Path(os.path.abspath(os.fsdecode(arguments[0])))  # noqa: PTH100 - `resolve` would follow links
            if _is_another_answer(path, _running):
                raise _running.refusal(f"opens {'/'.join(path.parts[-3:])}")

    sys.addaudithook(refuse)


def _is_another_answer(path: Path, answer: _RunningAnswer) -> bool:
    """Return whether a file is the source or the bytecode of the reference or the solution of the lesson."""
    folder = path.parent.parent if path.parent.name == "__pycache__" else path.parent
    is_solution = folder.parts[-2:] == ("solutions", answer.lesson.number)
    return is_solution or folder / f"{path.name.partition('.')[0]}.py" == Path(str(answer.reference.__file__))
