"""Build the wheel and the sdist, and check both from clean environments, as those who install them will.

    scripts/check_wheel
    scripts/check_wheel --out dist --tag v0.2.0     # for a release

The wheel is built twice, from the sdist and from here, and both must hold the same files. Then a learner's first
minutes are tried from the wheel, with the oldest and the newest Python that pyproject.toml names: `dino init`,
`pytest lessons/00`, a right answer, `dino sample`. If a Python isn't here and can't be downloaded, this program prints
that, and only resolves the dependencies for it. It needs uv, and no library.
"""

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
import tomllib
import zipfile
from pathlib import Path
from typing import Any

from dino.common.version import VERSION

ROOT = Path(__file__).parents[1]
MAX_WHEEL, MAX_SDIST = 30e6, 60e6  # bytes
# What would lead uv and Python to another environment than a new one.
NOT_CLEAN = (
    "VIRTUAL_ENV",
    "PYTHONPATH",
    "PYTHONHOME",
    "UV",
    "UV_PYTHON",
    "UV_RUN_RECURSION_DEPTH",
    "UV_PROJECT_ENVIRONMENT",
)


class Failed(Exception):
    """A check that failed, in words."""


def run(*command: object, fails: bool = False, settings: dict[str, str] | None = None, where: Path = ROOT) -> str:
    """Run a command in a clean environment, and return what it prints.

    Args:
        command: its words.
        fails: whether it must fail.
        settings: environment variables.
        where: the folder to run it in.

    Raises:
        Failed: if it fails, or doesn't although it must.
    """
    words = [str(word) for word in command]
    environment = {name: value for name, value in os.environ.items() if name not in NOT_CLEAN}
    # One thread, because threads of two programs at once crawl.
    environment |= {"OMP_NUM_THREADS": "1", "PYTHONUTF8": "1", "NO_COLOR": "1"} | (settings or {})
    done = subprocess.run(
        words, env=environment, cwd=where, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        encoding="utf-8", errors="replace", check=False,
    )  # fmt: skip
    if bool(done.returncode) != fails:
        raise Failed(f"exit status {done.returncode} of: {' '.join(words)}\n{done.stdout}")
    return done.stdout


def expect(condition: bool, problem: str) -> None:
    """Raise `Failed` unless a condition holds."""
    if not condition:
        raise Failed(problem)


# ---- the files ------------------------------------------------------------------------------------------------------


def build(out: Path) -> tuple[Path, Path]:
    """Build the sdist, and the wheel from it. Returns the wheel and the sdist."""
    run("uv", "build", "--out-dir", out)
    (wheel,), (sdist,) = out.glob("*.whl"), out.glob("*.tar.gz")
    return wheel, sdist


def check_files(wheel: Path, sdist: Path, work: Path) -> None:
    """Check the metadata, the sizes and the contents of both files."""
    run("uvx", "twine", "check", "--strict", wheel, sdist)
    for path, most in ((wheel, MAX_WHEEL), (sdist, MAX_SDIST)):
        size = path.stat().st_size
        expect(size <= most, f"{path.name} has {size / 1e6:.1f} MB, and at most {most / 1e6:.0f} are allowed")
        print(f"{path.name}: {size / 1e6:.1f} MB")
    run("uv", "build", "--wheel", "--out-dir", work / "direct")
    (direct,) = (work / "direct").glob("*.whl")
    ours, theirs = contents(direct), contents(wheel)
    different = sorted(name for name in ours.keys() | theirs.keys() if ours.get(name) != theirs.get(name))
    expect(not different, f"the wheel from the sdist differs from the wheel from here in {', '.join(different[:5])}")
    strange = [name for name in theirs if not re.match(r"dino/|dino_diffusion-[^/]+\.dist-info/", name)]
    expect(not strange, f"the wheel would install {', '.join(strange[:5])}")
    print(f"{len(theirs)} files in the wheel, the same from the sdist")


def contents(wheel: Path) -> dict[str, int]:
    """Return a checksum of each file in a wheel, by the file's name."""
    with zipfile.ZipFile(wheel) as archive:
        return {entry.filename: entry.CRC for entry in archive.infolist()}


# ---- a learner's first minutes --------------------------------------------------------------------------------------


def supported() -> list[str]:
    """Return the versions of Python that pyproject.toml names, the oldest first."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    return re.findall(r"Python :: (3\.\d+)$", "\n".join(project["classifiers"]), re.MULTILINE)


def find_python(version: str) -> str | None:
    """Return the path of a Python, downloaded if need be, or None if it can't be had."""
    quickly = {"UV_HTTP_TIMEOUT": "20", "UV_HTTP_RETRIES": "0"}
    for get in ((), ("install",)):
        try:
            if get:
                run("uv", "python", *get, version, settings=quickly)
            return run("uv", "python", "find", "--no-project", version).strip().splitlines()[-1]
        except Failed:
            continue
    return None


def try_course(wheel: Path, python: str, work: Path) -> None:
    """Make a learner's folder from the wheel, solve lesson 00 and draw, with one Python."""
    folder = work / "my course"  # a space, because people have spaces in their folders
    settings = {"UV_PYTHON": python, "DINO_CACHE": str(work / "cache")}
    made = run("uvx", "--from", wheel, "dino", "init", folder, settings=settings)
    expect("pytest lessons/00" in made, f"dino init doesn't say how to start:\n{made}")
    there: dict[str, Any] = {"settings": settings, "where": folder}
    fresh = run("uv", "run", "pytest", "lessons/00", fails=True, **there)
    expect(fresh.count("not written yet") == 3, f"a new lesson isn't unwritten:\n{fresh}")
    with zipfile.ZipFile(wheel) as archive:
        answer = archive.read("dino/course/files/solutions/00/images.py")
    (folder / "lessons" / "00" / "images.py").write_bytes(answer)
    solved = run("uv", "run", "pytest", "lessons/00", **there)
    expect("3 of 3 in lesson 00" in solved, f"a right answer doesn't pass:\n{solved}")
    run("uv", "run", "dino", "sample", "-n", 2, "--steps", 2, "--device", "cpu", "--out", "two.png", **there)
    expect((folder / "two.png").stat().st_size > 500, "dino sample drew nothing")
    print(run("uv", "run", "dino", "--version", **there).strip())


def check_python(wheel: Path, version: str, work: Path) -> bool:
    """Try the course with one Python, or only resolve its dependencies. Returns whether that Python is here."""
    start, python = time.perf_counter(), find_python(version)
    if python is None:
        requirement = work / "requirements.in"
        requirement.write_text(f"dino-diffusion @ {wheel.as_uri()}\n", encoding="utf-8")
        run("uv", "pip", "compile", "--quiet", "--python-version", version, requirement)
        print(f"Python {version}: not here, and it can't be downloaded. All dependencies have wheels for it")
        return False
    (work / "course").mkdir()
    try_course(wheel, python, work / "course")
    print(f"Python {version}: made a folder, graded it and drew with it in {time.perf_counter() - start:.0f} s")
    return True


def main() -> None:
    """Build and check. The exit status is 1 if a check fails."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, help="keep the wheel and the sdist in this folder, which must be new")
    parser.add_argument("--tag", help="of a release: v and the version")
    parser.add_argument("--python", action="append", help="a version to try, or the path of a Python; repeat it")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="dino-wheel-", ignore_cleanup_errors=True) as made:
        work = Path(made).resolve()
        try:
            check(arguments.out, arguments.tag, arguments.python or [supported()[0], supported()[-1]], work)
        except Failed as failure:
            sys.exit(str(failure))


def check(out: Path | None, tag: str | None, versions: list[str], work: Path) -> None:
    """Run all checks.

    Raises:
        Failed: if one fails.
    """
    expect(tag in (None, f"v{VERSION}"), f"the tag is {tag}, and the version in dino/common/version.py is {VERSION}")
    expect(out is None or not out.exists(), f"{out} exists. Choose a new folder, or delete that one")
    wheel, sdist = build(work / "dist")
    check_files(wheel, sdist, work)
    tried = []
    for number, version in enumerate(versions):
        place = work / str(number)
        place.mkdir()
        if check_python(wheel, version, place):
            tried.append(version)
    expect(bool(tried), "the wheel was tried with no Python")
    print(f"the wheel and the sdist are fine; tried with Python {' and '.join(tried)}")
    if out is not None:
        shutil.copytree(work / "dist", out, ignore=shutil.ignore_patterns(".gitignore"))


if __name__ == "__main__":
    main()
