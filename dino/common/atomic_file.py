"""Atomic file replacement: whatever happens, a file is whole, and either the old one or the new one."""

import contextlib
import errno
import os
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

from .errors import DinoError

IS_WINDOWS = os.name == "nt"
WAITS = (0.05, 0.1, 0.2, 0.4, 0.8)  # seconds between tries to replace a file that another program has open
IN_USE = (5, 32, 33)  # Windows' numbers for: access denied, another program has it open, a part of it is locked


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yield a temporary path beside `path` to write to, and move it to `path` at the end.

    If the body fails or the process dies, the file at `path` is unchanged. The bytes reach the disk before the rename,
    so a power cut can't leave an empty file with the right name.

    Raises:
        DinoError: if the file can't be written, for example because the disk is full.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    with explaining(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            yield temporary
            move_into_place(temporary, path)
        finally:
            temporary.unlink(missing_ok=True)


def move_into_place(temporary: Path, path: Path) -> None:
    """Move a file that is whole to `path`, in the same folder, after its bytes have reached the disk.

    Raises:
        OSError: if that is impossible.
    """
    _flush_to_disk(temporary)
    _replace(temporary, path)
    # Some systems can't flush a folder. The file itself is safe by now.
    with contextlib.suppress(OSError):
        _flush_to_disk(path.parent)


@contextlib.contextmanager
def explaining(
    path: Path, then: str = "try again", *, settings: Mapping[str, object] | None = None, command: str | None = None
) -> Iterator[None]:
    """Explain in one line why `path` can't be written.

    Args:
        path: the file or folder.
        then: what to do once the cause is gone, as the end of a sentence.
        settings, command: of the `DinoError`.

    Raises:
        DinoError: in place of the operating system's error.
    """
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            message = f"the disk is full: could not write {path}. Free some space, then {then}"
        else:
            why = error.strerror or type(error).__name__
            close = "Close it in other programs, or choose" if getattr(error, "winerror", 0) in IN_USE else "Choose"
            message = f"could not write {path}: {why}. {close} a place you can write to, then {then}"
        raise DinoError(message, settings=settings, command=command) from error


def delete_leftovers(folder: Path) -> None:
    """Delete the temporary files that a killed process left in `folder` and the folders in it."""
    for leftover in folder.rglob(".*.tmp"):
        leftover.unlink(missing_ok=True)


def _replace(temporary: Path, path: Path) -> None:
    """Move a file to `path`.

    Windows refuses that while a program has the old file open, as virus scanners do for a moment.
    """
    for seconds in WAITS if IS_WINDOWS else ():
        try:
            temporary.replace(path)
            return
        except PermissionError:
            time.sleep(seconds)
    temporary.replace(path)


def _flush_to_disk(path: Path) -> None:
    handle = os.open(path, os.O_RDWR if path.is_file() else os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
