"""What the person at the keyboard is told, in one line each."""


class DinoError(Exception):
    """Something the person at the keyboard can put right. Its message is one line: what is wrong and what to do.

    The command line prints the message alone; every other exception is a bug in dino and keeps its traceback.
    """


class DinoWarning(UserWarning):
    """Something the person at the keyboard should know, though work goes on. One line, too."""


def is_out_of_memory(error: BaseException) -> bool:
    """Whether this is how a GPU, torch on a CPU, or Python says that there is no memory left."""
    words = str(error)
    return (
        isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError" or "can't allocate memory" in words
    )


def first_line(error: BaseException) -> str:
    """What an error says, in one line."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
