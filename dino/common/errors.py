"""Errors and warnings that the user can act on, each reported in one line."""

import os
import shlex
import subprocess
from collections.abc import Mapping
from pathlib import Path


class _Fixable(Exception):
    """A message, and the settings that would fix the problem.

    Library code states facts and names settings. Only the command line knows how an option is spelled, and adds the
    option to the message (see `dino.cli.advice`).

    Args:
        message: one line: what is wrong, and what to do about it.
        settings: parameters or fields of `Config` that would help, each with a value to try, or None for any other
            value.
        command: the `dino` command that takes these settings, if that isn't the one that is running.

    Attributes:
        settings, command: as given.
    """

    def __init__(
        self, message: str, *, settings: Mapping[str, object] | None = None, command: str | None = None
    ) -> None:
        super().__init__(message)
        self.settings, self.command = dict(settings or {}), command


class DinoError(_Fixable):
    """A problem that the user can fix.

    The command line prints the message alone. Every other exception is a bug in dino and keeps its traceback.
    """


class DinoWarning(_Fixable, UserWarning):
    """A problem that the user should know about, although the work continues."""


# From the errors of torch on a CPU, and of its convolutions (oneDNN), when they get no memory.
OUT_OF_MEMORY = ("can't allocate memory", "could not create a primitive")


def is_out_of_memory(error: BaseException) -> bool:
    """Return whether an error of a GPU, of torch on a CPU, or of Python means that the memory is full."""
    named = isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError"
    return named or any(words in str(error) for words in OUT_OF_MEMORY)


def first_line(error: BaseException) -> str:
    """Return the first line of an error's message, or the name of its class."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0]


def printable(text: str, most: int = 200) -> str:
    """Return text that is safe to print: at most `most` characters, with control characters spelled out (\\x1b)."""
    plain = "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text[: most + 1])
    return plain if len(plain) <= most else f"{plain[: most - 3]}..."


def shell_command(*words: object) -> str:
    """Return a command as the user should type it: quoted, and after `uv run` if uv started this program."""
    started_by_uv = "UV_RUN_RECURSION_DEPTH" in os.environ or "UV" in os.environ  # `uv run`; uvx sets only the second
    return " ".join(["uv run"] * started_by_uv + [shell_word(word) for word in words])


def shell_word(word: object) -> str:
    """Return a word of a command as the user should type it: quoted for the shell, in one line that can be printed.

    A `Path` that begins with a dash gets "./" before it, because it would be taken for an option.
    """
    text = f"./{word}" if isinstance(word, Path) and str(word).startswith("-") else str(word)
    if os.name == "nt":
        return subprocess.list2cmdline([text])
    if text.isprintable():
        return shlex.quote(text)
    # The form of bash and zsh for any bytes, such as $'two\nlines'.
    escaped = "".join(_escaped(character) for character in text)
    return f"$'{escaped}'"


def _escaped(character: str) -> str:
    if character in "\\'":
        return f"\\{character}"
    if character.isprintable():
        return character
    return "".join(f"\\x{byte:02x}" for byte in character.encode("utf-8", "surrogateescape"))
