"""`python -m docs.site.notebooks` makes lessons/NN/lesson.ipynb from the lessons' pages. `--check` tells whether they
are what it would make, and `--run` runs them, all cells from top to bottom.

A notebook has the page's prose and code, and cells of its own: one that sets up, one for each exercise, which grades
the learner's file, and one that shows the learner's picture beside the expected one. It has no outputs.
"""

import argparse
import json
import posixpath
import re
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from textwrap import dedent
from typing import Any

import nbformat

from dino.course.curriculum import LESSONS, MAKING, Lesson, find_exercise, find_lesson
from scripts.site.address import Address
from scripts.site.lessons import hints_of, own_file, page_of, stub_of, told
from scripts.site.links import outside_code
from scripts.site.macros import expand
from scripts.site.pages import parsed
from scripts.site.places import ROOT, SiteError
from scripts.site.running import AT_ONCE, executed

CODE = "\0code\0"  # in what a macro gives: a cell of code begins, and ends at the next one

SET_UP = """\
# Finds the course's folder and works in it. On Colab it fetches the course first.
import os, shutil, subprocess, sys
from pathlib import Path

ADDRESS = "{url}"


def fetched():
    return [file.parents[1].resolve() for file in Path("dino-diffusion").rglob("lessons/conftest.py")]


if "google.colab" in sys.modules and not fetched():
    if ADDRESS:
        subprocess.run(["git", "clone", "--depth=1", ADDRESS, "dino-diffusion"], check=True)
    elif Path("dino-diffusion.zip").is_file():
        shutil.unpack_archive("dino-diffusion.zip", "dino-diffusion")
    if not fetched():
        raise SystemExit("Upload the course as dino-diffusion.zip (the folder icon on the left), and run this again.")
    subprocess.run([sys.executable, "-m", "pip", "install", "--quiet", "-e", str(fetched()[0])], check=True)
    sys.path.insert(0, str(fetched()[0]))
here = [*fetched(), Path.cwd(), *Path.cwd().parents]
os.chdir(next(folder for folder in here if (folder / "lessons" / "conftest.py").is_file()))
%matplotlib inline
"""

GRADE = """\
# Your file: {file}. Write `{exercise}` there, save it, and run this cell.
!{{sys.executable}} -m pytest {folder} -k "test_{test}"
"""

SHOW = """\
# Yours on the left, what is expected on the right.
from IPython.display import Image, display

!{{sys.executable}} -m pytest -q lessons/{number}
display(Image("runs/lessons/{number}.png"))
"""

PARTS = """\
# Your own code to try things with, such as `mine.{example}`; dino's where a lesson doesn't pass yet.
from dino.course.parts import parts

mine = parts()
"""


class InANotebook:
    """The macros of a lesson, as its notebook has them."""

    def facts(self, number: str) -> str:
        """Where the learner writes."""
        lesson = find_lesson(number)
        return (
            f"You write `{own_file(lesson)}`, beside this notebook: open it in another tab. The cells below "
            "each exercise grade what you wrote."
        )

    def exercise(self, name: str) -> str:
        """The stub, the hints, folded, and a cell that grades."""
        lesson, exercise, source = stub_of(name)
        folds = "\n\n".join(_folded(title, text) for title, text in hints_of(name))
        # A test is chosen by a part of its name; where that is part of another one's, both are graded.
        cell = GRADE.format(
            file=own_file(lesson), folder=f"lessons/{lesson.number}", exercise=exercise, test=exercise.lower()
        )
        try_it = _parts(lesson) if exercise == lesson.exercises[-1] else ""
        return (
            f"What you find in `{own_file(lesson)}`:\n\n```python\n{source}```\n\n{folds}\n{CODE}{cell}{CODE}{try_it}"
        )

    def picture(self, number: str) -> str:
        """A cell that draws the learner's picture."""
        lesson = find_lesson(number)
        return (
            f"The picture of your own code, drawn by `pytest lessons/{lesson.number}`:\n"
            f"{CODE}{SHOW.format(number=number)}{CODE}"
        )

    def mistake(self, name: str, mistake: str) -> str:
        """What the grader says to a wrong answer."""
        find_exercise(name)
        return f"```text\n{told(name, mistake)}\n```"


def _parts(lesson: Lesson) -> str:
    example = f"{lesson.name}.{lesson.exercises[0]}" if lesson in MAKING else "sampler.generate"
    return f"{CODE}{PARTS.format(example=example)}{CODE}"


def notebook_of(lesson: Lesson, address: Address) -> Any:
    """The notebook of a lesson."""
    page = page_of(lesson).relative_to(ROOT).as_posix()
    source = parsed(page_of(lesson).read_text(encoding="utf-8"), page)
    cells = [("markdown", _opening(lesson, address)), ("code", SET_UP.format(url=address.url).rstrip())]
    for cell in source.cells:
        if cell.cell_type == "code":
            cells.append(("code", cell.source))
            if caption := cell.metadata.get("caption"):
                cells.append(("markdown", _for_jupyter(f"*{caption}*", page)))
        elif cell.cell_type == "markdown":
            cells += _pieces(cell.source, page)
    made = nbformat.v4.new_notebook(metadata={"kernelspec": dict(source.metadata.kernelspec)})
    made.metadata.kernelspec.pop("path", None)
    made.metadata["language_info"] = {"name": "python"}
    for n, (kind, text) in enumerate(cells, 1):
        new = nbformat.v4.new_code_cell if kind == "code" else nbformat.v4.new_markdown_cell
        made.cells.append(new(text, id=f"cell-{n:03}"))
    nbformat.validate(made)
    return made


def _opening(lesson: Lesson, address: Address) -> str:
    notebook = f"lessons/{lesson.number}/lesson.ipynb"
    colab = address.colab(notebook)
    opened = (
        f"[![Open in Colab](https://colab.research.google.com/assets/colab-badge.svg)]({colab}) Or on your own machine:"
        if colab
        else "In Colab: upload this notebook, and the course's folder as `dino-diffusion.zip`. On your own machine:"
    )
    return (
        f"*Lesson {lesson.number} of Dino Diffusion, the course, as a notebook. {opened} "
        f"`uv run --with jupyterlab jupyter lab {notebook}`. Run the next cell first.*"
    )


def _pieces(markdown: str, page: str) -> Iterator[tuple[str, str]]:
    """Cells from a piece of the page: its text in Jupyter's Markdown, cut where a macro brings in code."""
    macros = InANotebook()
    names = ("facts", "exercise", "picture", "mistake")
    expanded = expand(markdown, {name: getattr(macros, name) for name in names}, page)
    for n, piece in enumerate(expanded.split(CODE)):
        if n % 2:
            yield "code", piece.rstrip()
        elif piece.strip():
            yield "markdown", _for_jupyter(piece, page).strip()


def _for_jupyter(markdown: str, page: str) -> str:
    """Material's Markdown as Jupyter understands it."""
    text = _unfolded(markdown)
    return outside_code(text, lambda piece: _links(_maths(piece), page))


FOLD = re.compile(r'^(\?\?\?|!!!)\+? *\w+(?: +"((?:[^"\\]|\\.)*)")? *\n((?:(?: {4}.*)?\n)+)', re.MULTILINE)


def _unfolded(markdown: str) -> str:
    """`???` as details, `!!!` as a quotation."""

    def change(found: re.Match[str]) -> str:
        kind, title, body = found.groups()
        text = dedent(body).strip()
        if kind == "???":
            return _folded(title or "More", text) + "\n\n"
        quoted = "\n".join(f"> {line}".rstrip() for line in text.splitlines())
        return f"> **{title or 'Note'}**\n>\n{quoted}\n\n"

    return FOLD.sub(change, markdown + "\n")


def _folded(title: str, text: str) -> str:
    title = re.sub(r"`([^`]+)`", r"<code>\1</code>", title)
    return f"<details><summary>{title}</summary>\n\n{text}\n\n</details>"


def _maths(text: str) -> str:
    text = re.sub(r"\\\[(.+?)\\\]", lambda found: f"$${found[1]}$$", text, flags=re.DOTALL)
    return re.sub(r"\\\((.+?)\\\)", lambda found: f"${found[1]}$", text, flags=re.DOTALL)


def _links(text: str, page: str) -> str:
    """Links that lead from lessons/NN where they led from docs/lessons."""

    def change(found: re.Match[str]) -> str:
        start, target, anchor = found.groups()
        if "://" in target or target.startswith(("mailto:", "#")) or not target:
            return found[0]
        place = posixpath.normpath(posixpath.join(posixpath.dirname(page), target))
        return f"{start}({posixpath.relpath(place, 'lessons/00')}{anchor or ''})"

    return re.sub(r"(\[(?:[^\[\]]|\[[^\]]*\])*\])\(([^)\s#]*)(#[^)\s]*)?\)", change, text)


# ---- the command ----------------------------------------------------------------------------------------------------


def text_of(lesson: Lesson) -> str:
    """The file of a lesson's notebook, letter for letter."""
    return json.dumps(notebook_of(lesson, Address.read()), indent=1, ensure_ascii=False, sort_keys=True) + "\n"


def main() -> None:
    """Write, check or run them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="write nothing; fail if one differs")
    parser.add_argument("--run", action="store_true", help="run those that are there")
    asked = parser.parse_args()
    written = [lesson for lesson in LESSONS if page_of(lesson).is_file()]
    try:
        stale = [file for lesson in written if (file := _bring_up_to_date(lesson, check=asked.check))]
        if stale and asked.check:
            raise SiteError(f"{', '.join(stale)}: not as the pages make them. Run: python -m docs.site.notebooks")
        with ThreadPoolExecutor(AT_ONCE) as pool:
            for told in pool.map(_run, written if asked.run else ()):
                print(told, flush=True)
    except SiteError as error:
        sys.exit(str(error))


def file_of(lesson: Lesson) -> Path:
    """Where a lesson's notebook lies."""
    return ROOT / "lessons" / lesson.number / "lesson.ipynb"


def _bring_up_to_date(lesson: Lesson, *, check: bool) -> str:
    """The name of a notebook that differs, which is written anew unless it is only checked."""
    file, text = file_of(lesson), text_of(lesson)
    if file.is_file() and file.read_text(encoding="utf-8") == text:
        return ""
    if not check:
        file.write_text(text, encoding="utf-8", newline="\n")
        print(f"wrote {file.relative_to(ROOT)}")
    return file.relative_to(ROOT).as_posix()


def _run(lesson: Lesson) -> str:
    """Run a lesson's notebook in a kernel of its own, and say how long it took."""
    from nbclient.exceptions import CellExecutionError

    started, file = time.perf_counter(), file_of(lesson)
    notebook = nbformat.read(file, as_version=4)
    try:
        executed(notebook, file.parent)
    except CellExecutionError as error:
        raise SiteError(f"{file.relative_to(ROOT)}: {error.ename}: {error.evalue}\n{error}") from None
    return f"{file.relative_to(ROOT)}: {len(notebook.cells)} cells in {time.perf_counter() - started:.0f} s"


if __name__ == "__main__":
    main()
