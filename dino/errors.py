"""The one kind of error that is the reader's to mend."""


class DinoError(Exception):
    """Something the person at the keyboard can put right. Its message is one line: what is wrong and what to do.

    The command line prints the message alone; every other exception is a bug in dino and keeps its traceback.
    """
