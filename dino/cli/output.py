"""What the command line prints: reports in two columns, errors and warnings in one line each."""

import shlex
import sys
import warnings
from typing import Any

import typer

from ..common.errors import DinoError, DinoWarning, printable
from ..trainer import distributed
from .advice import advice

LONGEST = 5_000  # characters of a message; a path in it may have as many

_usual_format = warnings.formatwarning


def say(label: str, value: object) -> None:
    """Print one line of a report in two columns. Of several processes only the main one prints."""
    if distributed.is_main():
        typer.echo(f"{label:<10}{printable(str(value), LONGEST)}")


def in_one_line(problem: DinoError | DinoWarning) -> str:
    """Return the line that tells of a problem: what is wrong, and which option or command would help."""
    return f"dino: {printable(' '.join(filter(None, (_sentence(str(problem)), advice(problem)))), LONGEST)}"


def _sentence(message: str) -> str:
    return message if message.endswith((".", "?", "!")) else f"{message}."


def format_warning(message: Warning | str, category: type[Warning], *where: Any) -> str:
    """Return a warning of dino's as one line, and one of a library's as usual. Stands in for `warnings.formatwarning`."""
    if isinstance(message, DinoWarning):
        return f"{in_one_line(message)}\n"
    return _usual_format(message, category, *where)


def command_line() -> str:
    """Return the command as it was typed, for a report to quote."""
    return shlex.join(["dino", *sys.argv[1:]])
