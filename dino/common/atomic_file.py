"""Files that are either the old one or the new one, whole: never a torn one, whatever happens in between."""

import contextlib
import errno
import os
from collections.abc import Iterator
from pathlib import Path

from .errors import DinoError


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A temporary path beside `path` to write to; on leaving, it takes the place of `path` in one move.

    If the body fails or the process dies, `path` is as it was. The bytes are on the disk before the name moves, so a
    power cut can't leave an empty file with the right name.

    Raises:
        DinoError: it could not be written, say as the disk is full.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    with explaining(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            yield temporary
            _flush_to_disk(temporary)
            temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)
        # Some systems can't flush a folder; the file itself is safe by now.
        with contextlib.suppress(OSError):
            _flush_to_disk(path.parent)


@contextlib.contextmanager
def explaining(path: Path, then: str = "try again") -> Iterator[None]:
    """Tell in one line why `path` could not be written to, and what to do.

    Raises:
        DinoError: in place of the operating system's error.
    """
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise DinoError(f"the disk is full: could not write {path}. Free some space, then {then}") from error
        why = error.strerror or type(error).__name__
        raise DinoError(f"could not write {path}: {why}. Choose a place you can write to, then {then}") from error


def sweep(folder: Path) -> None:
    """Delete the temporary files that a killed process left in `folder` and the folders in it."""
    for leftover in folder.rglob(".*.tmp"):
        leftover.unlink(missing_ok=True)


def _flush_to_disk(path: Path) -> None:
    handle = os.open(path, os.O_RDWR if path.is_file() else os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
