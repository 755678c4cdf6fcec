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


def what_it_is(path: Path) -> str:
    """What a file that should be safetensors, and can't be read, is instead: in words. Nothing in it is run."""
    try:
        with path.open("rb") as file:
            start = file.read(200)
    except OSError as error:
        return f"can't be read: {error.strerror}"
    if start[8:10] == b'{"':  # safetensors; the length before it may look like anything below
        return "was cut short or damaged. Take a copy that is whole"
    if start.startswith((b"PK\x03\x04", b"\x80")):
        return "is a pickle (torch.save), which could run anything and is never loaded. Save it as safetensors"
    if start.startswith(b"version https://git-lfs"):
        return "is a git-LFS pointer, not the file itself. Fetch that with: git lfs pull"
    if start.lstrip()[:1] == b"<":
        return "is a web page, not weights. Download the file itself (its raw address)"
    return "is no safetensors file, or was cut short or damaged. Take a copy that is whole"


def _flush_to_disk(path: Path) -> None:
    handle = os.open(path, os.O_RDWR if path.is_file() else os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
