"""The output of the command line: reports in two columns, errors and warnings in one line each."""

import re
import sys
import warnings
from typing import Any

import typer

from ..common.errors import DinoError, DinoWarning, printable, shell_word
from ..trainer import distributed
from .advice import advice

LONGEST = 5_000  # characters of a message; a path in it may be that long
ENDS_IN_A_COMMAND = re.compile(r": (uv |dino |pytest |git |pip |hf )[^:]*$")

_usual_format = warnings.formatwarning


def say(label: str, value: object) -> None:
    """Print one line of a report in two columns. Of several processes only the main one prints."""
    if distributed.is_main():
        typer.echo(f"{label:<9} {printable(str(value), LONGEST)}")


def in_one_line(problem: DinoError | DinoWarning) -> str:
    """Return the line that reports a problem: what is wrong, and which option or command would help."""
    return f"dino: {printable(' '.join(filter(None, (_sentence(str(problem)), advice(problem)))), LONGEST)}"


def _sentence(message: str) -> str:
    """Add a full stop, unless the message has one or ends in a command, which should be easy to copy."""
    stands_alone = message.endswith((".", "?", "!")) or ENDS_IN_A_COMMAND.search(message)
    return message if stands_alone else f"{message}."


def format_warning(message: Warning | str, category: type[Warning], *where: Any) -> str:
    """Return a warning of dino as one line, and a library's as usual. Stands in for `warnings.formatwarning`."""
    if isinstance(message, DinoWarning):
        return f"{in_one_line(message)}\n"
    return _usual_format(message, category, *where)


def command_line() -> str:
    """Return the command as it was typed, for a report to quote."""
    return " ".join(map(shell_word, ["dino", *sys.argv[1:]]))
