"""What the person at the keyboard is told, in one line each."""

import os


class DinoError(Exception):
    """Something the person at the keyboard can put right. Its message is one line: what is wrong and what to do.

    The command line prints the message alone; every other exception is a bug in dino and keeps its traceback.
    """


class DinoWarning(UserWarning):
    """Something the person at the keyboard should know, though work goes on. One line, too."""


# torch's own on a CPU, and what its convolutions (oneDNN) say when they get no memory to work in.
OUT_OF_MEMORY = ("can't allocate memory", "could not create a primitive")


def typed(command: str) -> str:
    """A command as this reader has to type it: behind `uv run`, if that is how they started the one at work."""
    return f"uv run {command}" if "UV_RUN_RECURSION_DEPTH" in os.environ else command


def is_out_of_memory(error: BaseException) -> bool:
    """Whether this is how a GPU, torch on a CPU, or Python says that there is no memory left."""
    named = isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError"
    return named or any(words in str(error) for words in OUT_OF_MEMORY)


def first_line(error: BaseException) -> str:
    """What an error says, in one line."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0]


def shown(text: str, most: int = 200) -> str:
    """A name from outside, for a line of ours: cut short, and what would not print spelled out (an ESC as \\x1b)."""
    plain = "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text[: most + 1])
    return plain if len(plain) <= most else f"{plain[: most - 3]}..."
