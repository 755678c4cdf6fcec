"""Files that are either the old one or the new one, whole: never a torn one, whatever happens in between."""

import contextlib
import errno
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

from .errors import DinoError


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A temporary path beside `path` to write to; on leaving, it takes the place of `path` in one move.

    If the body fails or the process dies, `path` is as it was. The bytes are on the disk before the name moves, so a
    power cut can't leave an empty file with the right name.

    Raises:
        DinoError: the disk is full, or the folder can't be written to.
    """
    with explaining(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".tmp", dir=path.parent)
        os.close(handle)
        temporary = Path(name)
        try:
            temporary.chmod(0o666 & ~_umask())  # mkstemp makes files private; these are to be shared like any other
            yield temporary
            _flush_to_disk(temporary)
            temporary.replace(path)
            _flush_to_disk(path.parent)
        finally:
            temporary.unlink(missing_ok=True)


@contextlib.contextmanager
def explaining(path: Path) -> Iterator[None]:
    """Tell in one line why `path` could not be written to.

    Raises:
        DinoError: in place of the operating system's error.
    """
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise DinoError(f"the disk is full: could not write {path}. Free some space and try again") from error
        if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR, errno.EEXIST):
            raise DinoError(f"could not write {path}: {error.strerror}. Choose a folder you can write to") from error
        raise


def sweep(folder: Path) -> None:
    """Delete the temporary files that a killed process left in `folder`."""
    for leftover in folder.glob(".*.tmp"):
        leftover.unlink(missing_ok=True)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def _flush_to_disk(path: Path) -> None:
    if os.name == "nt" and path.is_dir():
        return  # Windows can't open folders, and doesn't need it
    handle = os.open(path, os.O_RDONLY if os.name != "nt" else os.O_RDWR)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
