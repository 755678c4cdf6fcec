"""The entry point: run the command, and report in one line what the user can fix."""

import contextlib
import errno
import io
import os
import sys
import warnings

from ..common.errors import DinoError, is_out_of_memory, printable
from ..trainer import distributed
from ..trainer.signals import stopping_like_ctrl_c
from .app import app
from .output import format_warning, in_one_line


def main() -> None:
    """Run the `dino` command. An error that the user can't fix is a bug and shows its traceback."""
    warnings.formatwarning = format_warning  # type: ignore[assignment]
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # a character that the console can't show is spelled out
            stream.reconfigure(errors="backslashreplace")
    if not distributed.is_main():  # the main process warns for all
        warnings.simplefilter("ignore")
    # torchrun's own processes end at once: torchrun kills those that clean up
    with contextlib.nullcontext() if distributed.TORCHRUN else stopping_like_ctrl_c(), distributed.exit_at_once():
        _run()


def _run() -> None:
    try:
        _check_current_folder()
        app(prog_name="dino")
    except (DinoError, MemoryError, RuntimeError, OSError) as error:
        if "--debug" in sys.argv:
            raise
        problem = _in_the_users_terms(error)
        if distributed.first_to_report():
            new_line = "\n" if distributed.TORCHRUN else ""  # a process that died may have left half a line
            print(f"{new_line}{in_one_line(problem)}", file=sys.stderr)
        sys.exit(1)


def _check_current_folder() -> None:
    """Raise a `DinoError` if the current folder was deleted. Even importing torch would fail there."""
    try:
        os.getcwd()  # noqa: PTH109 - Path.cwd() may be a patched one
    except FileNotFoundError as error:
        raise DinoError("the current folder was deleted. Go to another folder, and try again") from error


def _in_the_users_terms(error: Exception) -> DinoError:
    if isinstance(error, DinoError):
        return error
    if isinstance(error, OSError) and error.errno == errno.ENAMETOOLONG:
        return DinoError(f"the name {printable(str(error.filename))} is too long. Use a shorter one")
    if is_out_of_memory(error):
        return DinoError(
            "there is not enough memory for this. Use fewer or smaller images",
            settings={"batch_size": None, "size": None, "n": None},
        )
    raise error
