"""The check that the set-up works: what the course needs, what was found, and what to do where something is wrong.

Free of torch on import. The libraries that take long to import are looked up by their version alone.
"""

import errno
import os
import re
import shutil
import sys
import tempfile
import warnings
from collections.abc import Callable
from importlib import metadata

from ..common.errors import DinoError, first_line
from ..data.sources import EMBEDDED
from .curriculum import Course, find_course

PYTHON = (3, 11)
NEEDED = {  # the oldest version of each that will do, as in pyproject.toml
    "torch": "2.11",
    "torchvision": "0.26",
    "datasets": "3",
    "filelock": "0",
    "huggingface_hub": "0.36",
    "matplotlib": "3.8",
    "numpy": "0",
    "pillow": "11.1",
    "pyarrow": "0",
    "pytest": "8",
    "rich": "0",
    "safetensors": "0.4.5",
    "tensorboard": "0",
    "tqdm": "0",
    "typer": "0.16",
    "watchfiles": "0",
}
INSTALL = "in the course's folder run: pip install -e . --group dev (or, with uv: uv sync)"


def check_setup(course: Course | None = None) -> list[tuple[str, str, bool]]:
    """Look at everything that the course needs. Takes as long as importing torch.

    Args:
        course: where the lessons are; by default they are looked for.

    Returns:
        For each thing: what it is, in a word; what was found, in a line that ends with a remedy if something is wrong;
        and whether it is fine.
    """
    checks: list[tuple[str, Callable[[], str]]] = [
        ("Python", check_python),
        ("torch", check_torch),
        ("libraries", check_libraries),
        ("device", check_device),
        ("pictures", check_pictures),
        ("folder", lambda: check_folder(course or find_course())),
    ]
    return [(what, *_tried(check)) for what, check in checks]


def _tried(check: Callable[[], str]) -> tuple[str, bool]:
    try:
        return check(), True
    except DinoError as trouble:
        return str(trouble), False
    except Exception as error:  # it is here to find what is broken, so it must not break
        return f"could not be checked: {type(error).__name__}: {first_line(error)}", False


# ---- the checks: each returns what it found, or raises a DinoError that says what to do -----------------------------


def check_python(version: tuple[int, ...] = tuple(sys.version_info[:3])) -> str:
    """Python itself is new enough."""
    shown = ".".join(map(str, version))
    if version < PYTHON:
        wanted = ".".join(map(str, PYTHON))
        raise DinoError(f"{shown} is too old: {wanted} or newer is needed; get it from python.org, or with uv: uv sync")
    return shown


def check_torch() -> str:
    """It is there, new enough, can be imported, and calculates."""
    if wrong := _lacking("torch"):
        raise DinoError(f"{wrong}; {INSTALL}")
    try:
        import torch
        import torch.nn.functional as F
    except (ImportError, OSError) as error:
        why = first_line(error)
        raise DinoError(f"can't be imported ({why}); try: pip install --force-reinstall torch torchvision") from error
    square = torch.ones(1, 1, 3, 3)
    neighbors = F.conv2d(square, square, padding=1)  # how many pixels of the square are near each of its pixels
    if neighbors.flatten().tolist() != [4, 6, 4, 6, 9, 6, 4, 6, 4]:
        raise DinoError(f"{torch.__version__} calculates wrongly; try: pip install --force-reinstall torch torchvision")
    return f"{torch.__version__}, and a convolution comes out right"


def check_libraries() -> str:
    """The others are there and new enough."""
    others = [name for name in NEEDED if name != "torch"]
    if wrong := [lack for name in others if (lack := _lacking(name))]:
        raise DinoError(f"{', '.join(wrong)}; {INSTALL}")
    shown = ("pillow", "pyarrow", "datasets", "torchvision", "matplotlib")
    return f"{', '.join(shown)} and {len(others) - len(shown)} more are here"


def check_device() -> str:
    """What torch can calculate on. No GPU is needed, but one that is there should work."""
    import torch

    n_cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    cores = f"{n_cores} CPU core{'s' * (n_cores > 1)}"
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        n_gpus = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if n_gpus:
        name = torch.cuda.get_device_name(0)
        try:
            torch.ones(2, device="cuda").add_(1).tolist()
        except RuntimeError as error:
            raise DinoError(
                f"{cores}; the GPU ({name}) does not work ({first_line(error)}); update its driver and torch, "
                "or go on without: the lessons don't need it"
            ) from error
        return f"{cores} and {n_gpus} GPU{'s' * (n_gpus > 1)} ({name})"
    if told:
        why = str(told[0].message).splitlines()[0]
        raise DinoError(
            f"{cores}; torch can't use the GPU ({why}); update its driver, or go on without: the lessons don't need it"
        )
    if torch.backends.mps.is_available():
        return f"{cores} and Apple's GPU"
    if shutil.which("nvidia-smi") and not torch.version.cuda:
        return f"{cores}; your GPU needs another build of torch (pytorch.org has it), but the lessons don't need a GPU"
    return f"{cores} and no GPU; the lessons don't need one"


def check_pictures() -> str:
    """The embedded emoji are there and whole, as far as can be told without reading them."""
    shown = "/".join(EMBEDDED.parts[-3:])
    again = f"bring it back with: git checkout -- {shown}"
    try:
        with EMBEDDED.open("rb") as file:
            begins, size = file.read(64), file.seek(0, os.SEEK_END)
            file.seek(max(0, size - 4))
            ends = file.read()
    except OSError as error:
        raise DinoError(f"{shown} can't be read ({error.strerror or type(error).__name__}); {again}") from error
    if begins.startswith(b"version https://git-lfs"):
        raise DinoError(f"{shown} is a pointer of git-lfs in place of the file; fetch it with: git lfs pull")
    if not begins.startswith(b"PAR1") or ends != b"PAR1":  # as every Parquet file begins and ends
        raise DinoError(f"{shown} is damaged ({size:,} bytes); {again}")
    return f"the embedded emoji are here ({size / 1e6:.0f} MB)"


def check_folder(course: Course) -> str:
    """What the lessons leave behind can be written."""
    desk = course.output_folder
    try:
        desk.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=desk) as file:
            file.write(bytes(10_000))
            file.flush()
    except OSError as error:
        full = error.errno in (errno.ENOSPC, errno.EDQUOT)
        remedy = "free some space" if full else "move the course to a folder of your own, or make this one writable"
        raise DinoError(f"{desk} can't be written to ({error.strerror or type(error).__name__}); {remedy}") from error
    return f"{desk.relative_to(course.root)} can be written to"


# ---- versions -------------------------------------------------------------------------------------------------------


def _lacking(name: str) -> str:
    """In words, what is wrong with an installed library, or nothing."""
    version = _version(name)
    if version is None:
        return f"{name} is missing"
    if _release(version) < _release(NEEDED[name]):
        return f"{name} {version} is too old ({NEEDED[name]} is needed)"
    return ""


def _version(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def _release(version: str) -> tuple[int, ...]:
    """(2, 11) for "2.11", "2.11.0" and "2.11.0a0+git1234": numbers without trailing zeros."""
    found = re.match(r"\d+(\.\d+)*", version)
    return tuple(int(part) for part in re.sub(r"(\.0+)+$", "", found[0]).split(".")) if found else ()
