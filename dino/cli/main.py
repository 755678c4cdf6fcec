"""The entry point: run the command, and report in one line what the user can fix."""

import sys
import warnings

from ..common.errors import DinoError, is_out_of_memory
from ..trainer import distributed
from .app import app
from .output import format_warning, in_one_line


def main() -> None:
    """Run the `dino` command. An error that the user can't fix is a bug and shows its traceback."""
    warnings.formatwarning = format_warning  # type: ignore[assignment]
    if not distributed.is_main():  # the main process warns for all
        warnings.simplefilter("ignore")
    with distributed.exit_at_once():
        _run()


def _run() -> None:
    try:
        app(prog_name="dino")
    except (DinoError, MemoryError, RuntimeError) as error:
        if "--debug" in sys.argv:
            raise
        problem = _in_the_users_terms(error)
        if distributed.first_to_report():
            new_line = "\n" if distributed.TORCHRUN else ""  # a process that died may have left half a line
            print(f"{new_line}{in_one_line(problem)}", file=sys.stderr)
        sys.exit(1)


def _in_the_users_terms(error: Exception) -> DinoError:
    if isinstance(error, DinoError):
        return error
    if is_out_of_memory(error):
        return DinoError(
            "there is not enough memory for this. Use fewer or smaller images",
            settings={"batch_size": None, "size": None, "n": None},
        )
    raise error
