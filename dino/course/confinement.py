"""Confinement: a process gives up what a learner's code doesn't need, before that code runs. Nothing brings it back.

On Linux 5.13 and newer the process can then read no files but Python's, the libraries' and its own course, and write
only in one folder of it. This is Landlock (https://docs.kernel.org/userspace-api/landlock.html), which needs no
privileges. From Linux 6.7 on the process can't open TCP connections either, and from 6.12 on it can't signal other
processes. Linux also limits its memory, and Linux and macOS the size of its files. `protections` says what holds here.
"""

import ctypes
import os
import sys
import sysconfig
from collections.abc import Iterable
from pathlib import Path

PACKAGE = Path(__file__).parents[1]
MEMORY = 4 * 2**30  # bytes on top of what Python and torch take
LARGEST_FILE = 50_000_000  # bytes

# From include/uapi/linux/landlock.h and the tables of system calls, which are the same on x86-64 and ARM.
CREATE_RULESET, ADD_RULE, RESTRICT_SELF = 444, 445, 446
VERSION_FLAG, PATH_BENEATH, NO_NEW_PRIVILEGES = 1, 1, 38
EXECUTE, WRITE_FILE, READ_FILE, READ_FOLDER = 1 << 0, 1 << 1, 1 << 2, 1 << 3
ALL_FILE_RIGHTS = {1: (1 << 13) - 1, 2: (1 << 14) - 1, 3: (1 << 15) - 1, 4: (1 << 15) - 1, 5: (1 << 16) - 1}
CONNECTIONS = 0b11  # to bind and to connect TCP, from version 4 on
SIGNALS = 0b11  # to processes outside, and to their abstract sockets, from version 6 on
READ = EXECUTE | READ_FILE | READ_FOLDER
SYSTEM = (
    "/usr", "/lib", "/lib64", "/bin", "/etc/ld.so.cache", "/etc/localtime", "/proc/self", "/proc/meminfo",
    "/proc/cpuinfo", "/sys/devices/system", "/dev/urandom", "/dev/random", "/dev/zero",
)  # fmt: skip


class _Ruleset(ctypes.Structure):
    _fields_ = [(name, ctypes.c_uint64) for name in ("files", "connections", "signals")]


class _PathBeneath(ctypes.Structure):
    _pack_ = 1
    _fields_ = [("allowed", ctypes.c_uint64), ("folder", ctypes.c_int32)]


def protections() -> list[str]:
    """Return what `confine` protects here, in words: "files", "connections", "processes", "memory"."""
    version = _landlock_version()
    held = {"files": version >= 1, "connections": version >= 4, "processes": version >= 6}
    return [name for name, holds in held.items() if holds] + ["memory"] * sys.platform.startswith("linux")


def confine(readable: Iterable[Path], writable: Iterable[Path]) -> None:
    """Give up access to files, other processes and most of the memory, as far as this system can do that.

    Args:
        readable: folders that the process may still read, beside those of Python and the system.
        writable: folders in which it may also write.
    """
    _limit_memory()
    if version := _landlock_version():
        _restrict(version, readable, writable)


def _limit_memory() -> None:
    if sys.platform == "win32":
        return
    import resource

    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_FSIZE, (LARGEST_FILE, LARGEST_FILE))
    if sys.platform.startswith("linux"):  # macOS ignores the limit
        used = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0]) * resource.getpagesize()
        _, hard = resource.getrlimit(resource.RLIMIT_AS)
        limit = used + MEMORY if hard == resource.RLIM_INFINITY else min(hard, used + MEMORY)
        resource.setrlimit(resource.RLIMIT_AS, (limit, limit))


def _landlock_version() -> int:
    """Return the version of Landlock in the kernel, or 0 if it has none."""
    if not sys.platform.startswith("linux"):
        return 0
    return max(0, ctypes.CDLL(None).syscall(CREATE_RULESET, None, ctypes.c_size_t(0), VERSION_FLAG))


def _restrict(version: int, readable: Iterable[Path], writable: Iterable[Path]) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    rights = ALL_FILE_RIGHTS[min(version, max(ALL_FILE_RIGHTS))]
    ruleset = _Ruleset(rights, CONNECTIONS, SIGNALS)
    size = 24 if version >= 6 else 16 if version >= 4 else 8  # older kernels refuse fields that they don't know
    rules = _checked(libc.syscall(CREATE_RULESET, ctypes.byref(ruleset), ctypes.c_size_t(size), 0))
    try:
        for path in {*map(Path, SYSTEM), *_python_folders(), *readable}:
            _allow(libc, rules, path, READ)
        _allow(libc, rules, Path(os.devnull), READ_FILE | WRITE_FILE)
        for path in writable:
            _allow(libc, rules, path, rights)
        _checked(libc.prctl(NO_NEW_PRIVILEGES, 1, 0, 0, 0))
        _checked(libc.syscall(RESTRICT_SELF, rules, 0))
    finally:
        os.close(rules)


def _allow(libc: ctypes.CDLL, rules: int, path: Path, rights: int) -> None:
    if sys.platform != "linux" or not path.exists():
        return
    folder = os.open(path, os.O_PATH | os.O_CLOEXEC)
    try:
        if not path.is_dir():
            rights &= EXECUTE | READ_FILE | WRITE_FILE
        rule = _PathBeneath(rights, folder)
        _checked(libc.syscall(ADD_RULE, rules, PATH_BENEATH, ctypes.byref(rule), 0))
    finally:
        os.close(folder)


def _checked(result: int) -> int:
    if result < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return result


def _python_folders() -> set[Path]:
    """Return the folders of Python, its libraries and this package."""
    return {Path(sys.prefix), Path(sys.base_prefix), *map(Path, sysconfig.get_paths().values()), PACKAGE}
