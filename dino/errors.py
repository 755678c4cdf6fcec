"""What the person at the keyboard is told, in one line each."""


class DinoError(Exception):
    """Something the person at the keyboard can put right. Its message is one line: what is wrong and what to do.

    The command line prints the message alone; every other exception is a bug in dino and keeps its traceback.
    """


class DinoWarning(UserWarning):
    """Something the person at the keyboard should know, though work goes on. One line, too."""
