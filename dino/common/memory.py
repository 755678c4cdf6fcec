"""Memory and disk space: how much there is, and sizes in words."""

import ctypes
import os
import shutil
import sys
from pathlib import Path

CGROUPS = Path("/sys/fs/cgroup")


def free_memory() -> int | None:
    """Return the bytes of main memory that this process can still get, or None if the system doesn't say.

    A container's limit counts, too. Memory that only holds copies of files is free. macOS doesn't say what is free, so
    there it is all that the machine has.
    """
    if sys.platform == "win32":
        return _free_on_windows()
    meminfo = _numbers(Path("/proc/meminfo"))
    if "MemAvailable:" in meminfo:
        return max(0, min([1024 * meminfo["MemAvailable:"], *_left_in_containers()]))
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (ValueError, OSError):
        return None


def free_disk(folder: Path) -> int | None:
    """Return the free bytes of the disk that a folder is on, or will be once it exists. None if nobody knows."""
    existing = next((each for each in (folder, *folder.absolute().parents) if each.exists()), None)
    try:
        return shutil.disk_usage(existing).free if existing else None
    except OSError:
        return None


def size_in_words(n_bytes: int | None) -> str:
    """Return a number of bytes as "31 MB", "1.2 GB" and the like, with two digits or more, or "unknown"."""
    if n_bytes is None:
        return "unknown"
    amount, units = float(n_bytes), ["bytes", "kB", "MB", "GB", "TB"]
    while amount >= 999.5 and len(units) > 1:
        amount, units = amount / 1000, units[1:]
    return f"{amount:.1f} {units[0]}" if amount < 9.95 and units[0] != "bytes" else f"{amount:.0f} {units[0]}"


def _left_in_containers() -> list[int]:
    """Return what is left of the limits of this process's control groups on Linux, and of the groups around them."""
    try:
        name = next(line[3:] for line in _lines(Path("/proc/self/cgroup")) if line.startswith("0::"))
    except StopIteration:
        return []
    group, left = CGROUPS / name.strip().lstrip("/"), []
    for folder in (group, *group.parents):
        limit, used = ("".join(_lines(folder / f"memory.{kind}")).strip() for kind in ("max", "current"))
        if limit.isdecimal() and used.isdecimal():
            files = _numbers(folder / "memory.stat").get("inactive_file", 0)  # which make way for anything else
            left.append(int(limit) - int(used) + files)
        if folder == CGROUPS:
            break
    return left


def _numbers(file: Path) -> dict[str, int]:
    """Return the numbers of a file whose lines are "name number ..."."""
    pairs = (line.split()[:2] for line in _lines(file))
    return {pair[0]: int(pair[1]) for pair in pairs if len(pair) == 2 and pair[1].isdecimal()}


def _lines(file: Path) -> list[str]:
    try:
        return file.read_text(encoding="utf-8").splitlines()
    except OSError:
        return []


class _MemoryStatus(ctypes.Structure):
    """The structure MEMORYSTATUSEX of Windows."""

    _fields_ = [
        ("length", ctypes.c_ulong),
        ("load", ctypes.c_ulong),
        *((name, ctypes.c_ulonglong) for name in ("all", "free", "all_pages", "free_pages", "all_here", "free_here")),
        ("extended", ctypes.c_ulonglong),
    ]


def _free_on_windows() -> int | None:
    status = _MemoryStatus()
    status.length = ctypes.sizeof(status)
    windows = getattr(ctypes, "windll", None)
    return int(status.free) if windows and windows.kernel32.GlobalMemoryStatusEx(ctypes.byref(status)) else None
