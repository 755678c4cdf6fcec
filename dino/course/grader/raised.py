"""Errors that an answer raised: what to report, and in which of the learner's lines it happened."""

import inspect
import linecache
import types
from pathlib import Path

from ..verdict import Verdict
from .isolation import Flood


def raised(verdict: Verdict, error: BaseException, file: Path, subject: str, *, does: str = "raised") -> Verdict:
    """Return the verdict on an answer, or a file, that raised an error.

    Args:
        verdict: to start from.
        error: what was raised.
        file: the learner's file.
        subject: what raised it: "`mix`", or the name of the file.
        does: the verb for an ordinary error.
    """
    if isinstance(error, SystemExit):
        says = f"{subject} called exit(), which would end Python. Remove the call."
    elif isinstance(error, Flood):
        says = f"{subject} {error}"
    elif type(error).__name__ == "BdbQuit":
        says = f"{subject} stopped at a breakpoint, but no debugger is running. Call it from a script of your own."
    else:
        message = first_line(error)
        says = f"{subject} {does} {type(error).__name__}{': ' if message else ''}{message}"
    notes = " ".join(getattr(error, "__notes__", ()))  # a grader adds what it called the answer with
    return verdict.of("broken", says, facts=notes, where=_place(error, file))


def first_line(error: BaseException) -> str:
    """Return the first line of an error's message, at most 300 characters, without control characters."""
    try:
        text = next(iter(str(error).strip().splitlines()), "")
    except Exception:
        return "(its message can't be shown, because that raises an error too)"
    return "".join(letter if letter.isprintable() else "?" for letter in text[:300])


def is_stub(error: BaseException, file: Path) -> bool:
    """Return whether an error is the bare `NotImplementedError` of a stub in the learner's file."""
    frame = _frame_of(error)
    in_file = frame is not None and frame.f_code.co_filename == str(file)
    return isinstance(error, NotImplementedError) and not error.args and in_file


def unwritten(error: BaseException, exercise: str) -> str:
    """Return what is still a stub, in words: the whole exercise, or one method of a class."""
    frame = _frame_of(error)
    answer = frame.f_globals.get(exercise) if frame else None
    if frame and inspect.isclass(answer):
        codes = {name: value.__code__ for name, value in vars(answer).items() if inspect.isfunction(value)}
        stubs = [name for name, code in codes.items() if "NotImplementedError" in code.co_names]
        missing = frame.f_code.co_name
        if codes.get(missing) is frame.f_code and len(stubs) < len(codes):
            return f"begun: `{missing}` is not written yet"
    return "not written yet"


def _place(error: BaseException, file: Path) -> str | None:
    """Return the learner's line that an error came from: "lessons/01/noise.py, line 9: ...". None if there is none."""
    number = error.lineno if isinstance(error, SyntaxError) and error.filename == str(file) else _line_in(file, error)
    if not number:
        return None
    shown = "/".join(file.parts[-3:])
    return f"{shown}, line {number}: {linecache.getline(str(file), number).strip()}"


def _line_in(file: Path, error: BaseException) -> int | None:
    """Return the number of the last line of the learner's file in an error's traceback."""
    number, trace = None, error.__traceback__
    while trace:
        if trace.tb_frame.f_code.co_filename == str(file):
            number = trace.tb_lineno
        trace = trace.tb_next
    return number


def _frame_of(error: BaseException) -> types.FrameType | None:
    """Return the frame that raised an error."""
    trace = error.__traceback__
    while trace and trace.tb_next:
        trace = trace.tb_next
    return trace.tb_frame if trace else None
