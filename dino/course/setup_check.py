"""The setup check: what the course needs, what was found, and what to do if something is wrong.

Free of torch on import. Libraries that are slow to import are found by their metadata alone.
"""

import errno
import os
import shutil
import sys
import tempfile
import tomllib
import warnings
from collections.abc import Callable
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING

from ..common.errors import DinoError, first_line
from ..common.version import DISTRIBUTION
from ..data.embedded import SETS
from .curriculum import PACKAGED, Course, find_course

if TYPE_CHECKING:
    from packaging.requirements import Requirement

PYTHON = (3, 11)
PYPROJECT = Path(__file__).parents[2] / "pyproject.toml"
LEAST = ("torch", "numpy", "pillow", "pytest")  # what the lessons can't do without
INSTALL = (
    "in the course's folder run: uv sync (or, without uv: pip install --upgrade dino-diffusion)"
    if PACKAGED.is_dir()
    else "in the course's folder run: pip install -e . (or, with uv: uv sync)"
)


def check_setup(course: Course | None = None) -> list[tuple[str, str, bool]]:
    """Check everything that the course needs. This takes as long as importing torch.

    Args:
        course: the copy of the course; by default it is found from the current folder.

    Returns:
        For each check: its name; what was found, in a line that ends with a remedy if something is wrong; and whether
        it is fine.
    """
    checks: list[tuple[str, Callable[[], str]]] = [
        ("Python", check_python),
        ("torch", check_torch),
        ("libraries", check_libraries),
        ("device", check_device),
        ("pictures", check_images),
        ("folder", lambda: check_folder(course or find_course())),
    ]
    return [(what, *_run(check)) for what, check in checks]


def _run(check: Callable[[], str]) -> tuple[str, bool]:
    try:
        return check(), True
    except DinoError as problem:
        return str(problem), False
    except Exception as error:  # a check that fails must not hide the others
        return f"could not be checked: {type(error).__name__}: {first_line(error)}", False


# ---- the checks: each returns what it found, or raises a DinoError with a remedy ------------------------------------


def check_python(version: tuple[int, ...] = tuple(sys.version_info[:3])) -> str:
    """Check that Python is new enough."""
    shown = ".".join(map(str, version))
    if version < PYTHON:
        wanted = ".".join(map(str, PYTHON))
        raise DinoError(f"{shown} is too old: {wanted} or newer is needed; get it from python.org, or with uv: uv sync")
    return shown


def check_torch() -> str:
    """Check that torch is installed and new enough, can be imported, and calculates."""
    for requirement in requirements():
        if requirement.name == "torch" and (problem := _problem(requirement)):
            raise DinoError(f"{problem}; {INSTALL}")
    try:
        import torch
        import torch.nn.functional as F
    except (ImportError, OSError) as error:
        why = first_line(error)
        raise DinoError(f"can't be imported ({why}); try: pip install --force-reinstall torch torchvision") from error
    square = torch.ones(1, 1, 3, 3)
    neighbors = F.conv2d(square, square, padding=1)  # each pixel becomes the number of pixels in its 3 x 3 window
    if neighbors.flatten().tolist() != [4, 6, 4, 6, 9, 6, 4, 6, 4]:
        raise DinoError(
            f"{torch.__version__} calculates wrong numbers; try: pip install --force-reinstall torch torchvision"
        )
    return f"{torch.__version__}, and a convolution comes out right"


def check_libraries() -> str:
    """Check that all other libraries are installed and new enough."""
    others = [requirement for requirement in requirements() if requirement.name != "torch"]
    if problems := [problem for requirement in others if (problem := _problem(requirement))]:
        raise DinoError(f"{', '.join(problems)}; {INSTALL}")
    known = ("pillow", "pyarrow", "datasets", "torchvision", "matplotlib")
    shown = [name for name in known if name in {requirement.name for requirement in others}]
    return f"{', '.join(shown)} and {len(others) - len(shown)} more are installed"


def check_device() -> str:
    """Check what torch can calculate on. No GPU is needed, but one that exists should work."""
    import torch

    n_cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    cores = f"{n_cores} CPU core{'s' * (n_cores > 1)}"
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        n_gpus = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if n_gpus:
        name = torch.cuda.get_device_name(0)
        try:
            torch.ones(2, device="cuda").add_(1).tolist()
        except RuntimeError as error:
            raise DinoError(
                f"{cores}; the GPU ({name}) does not work ({first_line(error)}); update its driver and torch, "
                "or go on without it: the lessons don't need a GPU"
            ) from error
        return f"{cores} and {n_gpus} GPU{'s' * (n_gpus > 1)} ({name})"
    if caught:
        why = str(caught[0].message).splitlines()[0]
        raise DinoError(
            f"{cores}; torch can't use the GPU ({why}); update its driver, or go on without it: "
            "the lessons don't need a GPU"
        )
    if torch.backends.mps.is_available():
        return f"{cores} and Apple's GPU"
    if shutil.which("nvidia-smi") and not torch.version.cuda:
        return f"{cores}; your GPU needs another build of torch (see pytorch.org), but the lessons don't need a GPU"
    return f"{cores} and no GPU; the lessons don't need one"


def check_images() -> str:
    """Check that the embedded images are present and complete, as far as the ends of their files show."""
    total = sum(_check_file(embedded.file) for embedded in SETS.values())
    return f"the embedded {' and '.join(SETS)} are complete ({total / 1e6:.0f} MB)"


def _check_file(file: Path) -> int:
    """Check that a Parquet file is present and complete, and return its size in bytes."""
    shown = "/".join(file.parts[-3:])
    restore = "install dino-diffusion again" if PACKAGED.is_dir() else f"restore it with: git checkout -- {shown}"
    try:
        with file.open("rb") as opened:
            begins, size = opened.read(64), opened.seek(0, os.SEEK_END)
            opened.seek(max(0, size - 4))
            ends = opened.read()
    except OSError as error:
        raise DinoError(f"{shown} can't be read ({error.strerror or type(error).__name__}); {restore}") from error
    if begins.startswith(b"version https://git-lfs"):
        raise DinoError(f"{shown} is a git-lfs pointer, and not the file itself; fetch it with: git lfs pull")
    if not begins.startswith(b"PAR1") or ends != b"PAR1":  # every Parquet file begins and ends with these bytes
        raise DinoError(f"{shown} is damaged ({size:,} bytes); {restore}")
    return size


def check_folder(course: Course) -> str:
    """Check that the folder for the lessons' output can be written to."""
    folder = course.output_folder
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder) as file:
            file.write(bytes(10_000))
            file.flush()
    except OSError as error:
        full = error.errno in (errno.ENOSPC, errno.EDQUOT)
        remedy = "free some space" if full else "move the course to a folder of your own, or make this one writable"
        why = error.strerror or type(error).__name__
        raise DinoError(f"{folder} can't be written to ({why}); {remedy}") from error
    return f"{folder.relative_to(course.root)} can be written to"


# ---- requirements ---------------------------------------------------------------------------------------------------


def requirements() -> list["Requirement"]:
    """Return the libraries that dino needs, each with its versions.

    They are those of the installed distribution. If dino runs from a folder and isn't installed, they are those of
    pyproject.toml, or else only what the lessons can't do without.
    """
    from packaging.requirements import Requirement  # here, so that a missing library is a finding and not a crash

    try:
        lines = metadata.requires(DISTRIBUTION) or []
    except metadata.PackageNotFoundError:
        lines = _dependencies_in_pyproject() or list(LEAST)
    listed = [Requirement(line) for line in lines]
    return [requirement for requirement in listed if not requirement.marker or requirement.marker.evaluate()]


def _dependencies_in_pyproject() -> list[str]:
    try:
        project = tomllib.loads(PYPROJECT.read_text(encoding="utf-8"))["project"]
    except (OSError, KeyError, ValueError):
        return []
    return list(project.get("dependencies", [])) if project.get("name") == DISTRIBUTION else []


def _problem(requirement: "Requirement") -> str:
    """Return what is wrong with an installed library, or ""."""
    try:
        version = metadata.version(requirement.name)
    except metadata.PackageNotFoundError:
        return f"{requirement.name} is missing"
    if not requirement.specifier.contains(version, prereleases=True):
        return f"{requirement.name} {version} is installed, but the course needs {requirement.specifier}"
    return ""
