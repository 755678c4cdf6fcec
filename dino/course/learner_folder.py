"""A learner's folder: the lessons, and what pytest, uv and git need to work there. `dino init` makes it.

`dino update` replaces the files that came with an older version of dino. A file in which the learner has written stays
as it is.
"""

import hashlib
import json
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path

from ..common.atomic_file import explaining, replacing
from ..common.errors import DinoError, first_line, shell_command
from ..common.version import DISTRIBUTION, VERSION
from .curriculum import LESSONS, Course, packaged_course
from .stubs import stub

MANIFEST = ".dino.json"  # the version of dino, and a fingerprint of each file as it was written

README = """\
# {name}

My way through [Dino Diffusion, the course](https://pypi.org/project/{distribution}/): an image generator, built from
scratch.

```sh
uv run pytest lessons/00      # start here: it says what to do, what is wrong and why
uv run dino hint 0.2          # stuck? One hint; ask again for the next
uv run dino progress          # how far you are
uv run dino train --mine      # when lessons 00 to 04 pass: train a real model on your own code
uv run dino sample            # and draw with it
uv run dino update            # after an upgrade of dino-diffusion: the newest lessons. What you wrote stays
```

Read `lessons/00/lesson.ipynb` (in VS Code, or with `uv run --with jupyterlab jupyter lab`), and write your code into
`lessons/00/images.py`. Then go on with lesson 01. Without uv, leave out `uv run`, and install dino once:

```sh
pip install "{requirement}"
```
"""

GITIGNORE = """\
# made by training and grading
/runs/
*.safetensors
.venv/
__pycache__/
.pytest_cache/
.ipynb_checkpoints/
"""

PYPROJECT = """\
[project]
name = "{name}"
version = "0"
requires-python = ">=3.11"
dependencies = [{requirement}]

[tool.uv]
package = false # there is nothing to install: uv only gets what the lessons need

[tool.pytest.ini_options]
testpaths = ["lessons"]
"""


@dataclass
class Changes:
    """The files that an update wrote or kept, by their names in the learner's folder."""

    written: list[str] = field(default_factory=list)  # new, or replaced by a newer version
    kept: list[str] = field(default_factory=list)  # the learner wrote in them, so they weren't replaced


def create(folder: Path) -> Course:
    """Make a learner's folder.

    Args:
        folder: a new or an empty one. Files of git and editors don't count.

    Raises:
        DinoError: if there is something in the folder, or it can't be written to.
    """
    if folder.exists() and not folder.is_dir():
        raise DinoError(f"{folder} is a file. Choose another name for the course's folder")
    if (folder / MANIFEST).exists():
        raise DinoError(
            f"{folder} holds a course already. To bring its lessons up to date, go there and run: "
            f"{shell_command('dino', 'update')}"
        )
    with explaining(folder):
        found = [path.name for path in folder.iterdir() if not path.name.startswith(".")] if folder.exists() else []
    if found:
        raise DinoError(f"{folder} is not empty (it holds {sorted(found)[0]}). Choose a new folder for the course")
    _write(folder, _files(folder), before={})
    return Course(folder)


def update(course: Course) -> Changes:
    """Bring a learner's folder up to date with this version of dino.

    Raises:
        DinoError: if the folder wasn't made by `create`, or can't be written to.
    """
    if course.root == packaged_course().root:
        raise DinoError("this is a clone of the course. Bring it up to date with git pull")
    return _write(course.root, _files(course.root), _written_before(course.root))


# ---- the files ------------------------------------------------------------------------------------------------------


def _files(folder: Path) -> dict[str, str]:
    """Return the text of all files of a learner's folder, by their names in it."""
    packaged, requirement = packaged_course(), _requirement()
    name = folder.resolve().name
    course_files = [packaged.pytest_hook, packaged.integration_test]
    for lesson in LESSONS:
        course_files += [packaged.grader(lesson), packaged.notebook(lesson)]
    files = {path.relative_to(packaged.root).as_posix(): path.read_text(encoding="utf-8") for path in course_files}
    for lesson in LESSONS:  # from the solutions, because a clone's own files may hold somebody's answers
        files[packaged.lesson_file(lesson).relative_to(packaged.root).as_posix()] = stub(packaged, lesson)
    return files | {
        "README.md": README.format(name=name, distribution=DISTRIBUTION, requirement=requirement),
        ".gitignore": GITIGNORE,
        "pyproject.toml": PYPROJECT.format(name=_project_name(name), requirement=json.dumps(requirement)),
    }


def _project_name(name: str) -> str:
    """Return a name that pyproject.toml allows: letters of ASCII, digits, and single hyphens between them."""
    plain = "".join(c if c.isascii() and c.isalnum() else "-" for c in name)
    return "-".join(part for part in plain.split("-") if part) or "my-course"


def _requirement() -> str:
    """Return the requirement that installs this dino again, from where it came: an index, a wheel, or a clone."""
    try:
        origin = metadata.distribution(DISTRIBUTION).read_text("direct_url.json")
    except metadata.PackageNotFoundError:  # it runs from a folder
        return f"{DISTRIBUTION} @ {Path(__file__).parents[2].as_uri()}"
    if origin is None:
        return f"{DISTRIBUTION}>={VERSION}"
    found = json.loads(origin)
    vcs = found.get("vcs_info")
    url = f"{vcs['vcs']}+{found['url']}@{vcs['commit_id']}" if vcs else found["url"]
    return f"{DISTRIBUTION} @ {url}"


# ---- writing --------------------------------------------------------------------------------------------------------


def _write(folder: Path, files: dict[str, str], before: dict[str, str]) -> Changes:
    """Write files, except where a learner wrote, and then the manifest.

    Args:
        folder: of the learner.
        files: texts by the names of files.
        before: the fingerprints of the files that dino wrote last time, by their names.
    """
    changes, new = Changes(), {name: _fingerprint(text.encode()) for name, text in files.items()}
    with explaining(folder):
        current = {name: _fingerprint((folder / name).read_bytes()) for name in files if (folder / name).exists()}
    for name, text in files.items():
        if current.get(name) == new[name]:
            continue
        if name not in current or current[name] == before.get(name):
            with replacing(folder / name) as temporary:
                temporary.write_text(text, encoding="utf-8", newline="\n")
            changes.written.append(name)
        elif before.get(name) != new[name]:
            changes.kept.append(name)
    with replacing(folder / MANIFEST) as temporary:
        temporary.write_text(json.dumps({"version": VERSION, "files": new}, indent=1) + "\n", encoding="utf-8")
    return changes


def _written_before(folder: Path) -> dict[str, str]:
    """Return the fingerprints in a folder's manifest.

    Raises:
        DinoError: if there is none.
    """
    try:
        return dict(json.loads((folder / MANIFEST).read_text(encoding="utf-8"))["files"])
    except FileNotFoundError as error:
        raise DinoError(f"{folder} wasn't made by dino init, so there is nothing to bring up to date") from error
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DinoError(
            f"{folder / MANIFEST} can't be read ({first_line(error)}). Delete it and make a new folder beside this one"
        ) from error


def _fingerprint(content: bytes) -> str:
    """Return sixteen hexadecimal digits of a text, whatever ends its lines. Git may change that on Windows."""
    return hashlib.sha256(content.replace(b"\r\n", b"\n")).hexdigest()[:16]
