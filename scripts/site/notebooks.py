"""`python -m scripts.site.notebooks` makes lessons/NN/lesson.ipynb from the lessons' pages.

`--check` fails if a notebook differs from its page, and `--run` runs all cells of the notebooks from top to bottom.

A notebook has the prose and code of its page, and cells of its own: one that sets up the course, one for each exercise
that grades the learner's file, and one that shows the learner's contact sheet. Notebooks have no outputs.
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

from dino.course.curriculum import LESSONS, PART_LESSONS, Lesson, find_exercise, find_lesson
from scripts.site import course_map, diagrams, reference
from scripts.site.address import Address
from scripts.site.lessons import hints_of, lesson_file, page_of, report_on, shortened, stub_of
from scripts.site.links import outside_code
from scripts.site.macros import expand
from scripts.site.pages import parse
from scripts.site.papers import papers
from scripts.site.paths import ROOT, SiteError
from scripts.site.reference import measured
from scripts.site.running import AT_ONCE, execute

COLAB_BADGE = "https://colab.research.google.com/assets/colab-badge.svg"
COMMENT = re.compile(r"^<!--.*?-->\n*", re.MULTILINE | re.DOTALL)  # a page's notes to whoever writes on it
CODE = "\0code\0"  # in a macro's Markdown: stands before and after a code cell

SET_UP = """\
# Finds the course's folder and works in it. On Colab, gets the course first.
import os, shutil, subprocess, sys
from pathlib import Path

ADDRESS = "{url}"


def downloaded():
    return [file.parents[1].resolve() for file in Path("dino-diffusion").rglob("lessons/conftest.py")]


if "google.colab" in sys.modules and not downloaded():
    if ADDRESS:
        subprocess.run(["git", "clone", "--depth=1", ADDRESS, "dino-diffusion"], check=True)
    elif Path("dino-diffusion.zip").is_file():
        shutil.unpack_archive("dino-diffusion.zip", "dino-diffusion")
    if not downloaded():
        raise SystemExit("Upload the course as dino-diffusion.zip (the folder icon on the left), and run this again.")
    subprocess.run([sys.executable, "-m", "pip", "install", "--quiet", "-e", str(downloaded()[0])], check=True)
    sys.path.insert(0, str(downloaded()[0]))
here = [*downloaded(), Path.cwd(), *Path.cwd().parents]
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
# Your own code to try things with, such as `mine.{example}`. Where a lesson doesn't pass yet, it is dino's.
from dino.course.parts import parts

mine = parts()
"""


class NotebookMacros:
    """The macros of a lesson, for its notebook."""

    def facts(self, number: str) -> str:
        """Return the sentence that names the learner's file."""
        lesson = find_lesson(number)
        return (
            f"You write `{lesson_file(lesson)}`, beside this notebook: open it in another tab. The cells below "
            "each exercise grade what you wrote."
        )

    def exercise(self, name: str) -> str:
        """Return the stub, the folded hints, and a cell that grades the exercise."""
        lesson, exercise, source = stub_of(name)
        folds = "\n\n".join(_folded(title, text) for title, text in hints_of(name))
        # `-k` selects tests by a part of their names. Where this name is part of another one, both are graded.
        cell = GRADE.format(
            file=lesson_file(lesson), folder=f"lessons/{lesson.number}", exercise=exercise, test=exercise.lower()
        )
        try_it = _parts(lesson) if exercise == lesson.exercises[-1] else ""
        found = f"What you find in `{lesson_file(lesson)}`, in short:\n\n```python\n{shortened(source)}```"
        return f"{found}\n\n{folds}\n{CODE}{cell}{CODE}{try_it}"

    def deeper(self, title: str) -> str:
        """Return a heading: a fold can't hold the cells of a notebook."""
        return f"#### Deeper: {title}"

    def end_deeper(self) -> str:
        """Return a line between such a part and the text after it."""
        return "---"

    def diagram(self, name: str, alt: str, caption: str = "") -> str:
        """Return a diagram as an image."""
        return diagrams.as_image(name, alt, caption)

    def course_map(self, number: str = "") -> str:
        """Return the map of the course as an image."""
        return course_map.as_image(number)

    def contact_sheet(self, number: str) -> str:
        """Return a cell that draws the learner's contact sheet."""
        lesson = find_lesson(number)
        return (
            f"The picture of your own code, drawn by `pytest lessons/{lesson.number}`:\n"
            f"{CODE}{SHOW.format(number=number)}{CODE}"
        )

    def measured(self, name: str) -> str:
        """Return the table of a measurement."""
        return measured(name)

    def papers(self, kind: str) -> str:
        """Return a table of the papers' symbols."""
        return papers(kind)

    def mistake(self, name: str, mistake: str) -> str:
        """Return the grader's report on a wrong answer."""
        find_exercise(name)
        return f"```text\n{report_on(name, mistake)}\n```"

    def code(self, name: str) -> str:
        """Return the code of a function or method of dino."""
        return re.sub(r"^```\{.*\}", "```python", reference.code(name))


def _parts(lesson: Lesson) -> str:
    example = f"{lesson.name}.{lesson.exercises[0]}" if lesson in PART_LESSONS else "sampler.generate"
    return f"{CODE}{PARTS.format(example=example)}{CODE}"


def notebook_of(lesson: Lesson, address: Address) -> Any:
    """Return the notebook of a lesson."""
    page = page_of(lesson).relative_to(ROOT).as_posix()
    source = parse(page_of(lesson).read_text(encoding="utf-8"), page)
    cells = list(zip(("markdown", "code"), _first_cells(lesson, address), strict=True))
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


def _first_cells(lesson: Lesson, address: Address) -> tuple[str, str]:
    """Return the texts of the two cells that depend on the address."""
    return _opening(lesson, address), SET_UP.format(url=address.url).rstrip()


def _opening(lesson: Lesson, address: Address) -> str:
    notebook = f"lessons/{lesson.number}/lesson.ipynb"
    colab = address.colab(notebook)
    opened = (
        f"[![Open in Colab]({COLAB_BADGE})]({colab}) Or on your own machine:"
        if colab
        else "In Colab: upload this notebook, and the course's folder as `dino-diffusion.zip`. On your own machine:"
    )
    return (
        f"*Lesson {lesson.number} of Dino Diffusion, the course, as a notebook. {opened} "
        f"`uv run --with jupyterlab jupyter lab {notebook}`. Run the next cell first.*"
    )


def _pieces(markdown: str, page: str) -> Iterator[tuple[str, str]]:
    """Yield the cells for a piece of the page: its text in Jupyter's Markdown, split where a macro inserts code.

    Comments of the page are left out.
    """
    markdown = COMMENT.sub("", markdown)
    macros = NotebookMacros()
    names = [name for name in vars(NotebookMacros) if not name.startswith("_")]
    expanded = expand(markdown, {name: getattr(macros, name) for name in names}, page)
    for n, piece in enumerate(expanded.split(CODE)):
        if n % 2:
            yield "code", piece.rstrip()
        elif piece.strip():
            yield "markdown", _for_jupyter(piece, page).strip()


def _for_jupyter(markdown: str, page: str) -> str:
    """Convert Material's Markdown to Jupyter's."""
    text = _convert_boxes(markdown)
    return outside_code(text, lambda piece: _convert_links(_convert_math(piece), page))


FOLD = re.compile(r'^(\?\?\?|!!!)\+? *\w+(?: +"((?:[^"\\]|\\.)*)")? *\n((?:(?: {4}.*)?\n)+)', re.MULTILINE)


def _convert_boxes(markdown: str) -> str:
    """Convert `???` to details, and `!!!` to a quotation."""

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


def _convert_math(text: str) -> str:
    text = re.sub(r"\\\[(.+?)\\\]", lambda found: f"$${found[1]}$$", text, flags=re.DOTALL)
    return re.sub(r"\\\((.+?)\\\)", lambda found: f"${found[1]}$", text, flags=re.DOTALL)


def _convert_links(text: str, page: str) -> str:
    """Make links relative to lessons/NN instead of docs/lessons."""

    def change(found: re.Match[str]) -> str:
        start, target, anchor = found.groups()
        if "://" in target or target.startswith(("mailto:", "#")) or not target:
            return found[0]
        path = posixpath.normpath(posixpath.join(posixpath.dirname(page), target))
        return f"{start}({posixpath.relpath(path, 'lessons/00')}{anchor or ''})"

    return re.sub(r"(\[(?:[^\[\]]|\[[^\]]*\])*\])\(([^)\s#]*)(#[^)\s]*)?\)", change, text)


# ---- the command ----------------------------------------------------------------------------------------------------


def notebook_text(lesson: Lesson) -> str:
    """Return the contents of a lesson's notebook file."""
    return _as_text(notebook_of(lesson, Address.read()))


def with_address(text: str, lesson: Lesson, address: Address) -> str:
    """Return the contents of a lesson's notebook file with another address. No cell is made again."""
    notebook = json.loads(text)
    for cell, source in zip(notebook["cells"], _first_cells(lesson, address), strict=False):
        cell["source"] = source
    return _as_text(notebook)


def _as_text(notebook: Any) -> str:
    return json.dumps(notebook, indent=1, ensure_ascii=False, sort_keys=True) + "\n"


def main() -> None:
    """Write, check or run the notebooks."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--check", action="store_true", help="write nothing, and fail if a notebook differs from its page"
    )
    parser.add_argument("--run", action="store_true", help="run the notebooks")
    arguments = parser.parse_args()
    written = [lesson for lesson in LESSONS if page_of(lesson).is_file()]
    try:
        stale = [file for lesson in written if (file := _update(lesson, check=arguments.check))]
        if stale and arguments.check:
            raise SiteError(f"{', '.join(stale)}: not up to date with the pages. Run: python -m scripts.site.notebooks")
        with ThreadPoolExecutor(AT_ONCE) as pool:
            for line in pool.map(_run, written if arguments.run else ()):
                print(line, flush=True)
    except SiteError as error:
        sys.exit(str(error))


def notebook_file(lesson: Lesson) -> Path:
    """Return the path of a lesson's notebook."""
    return ROOT / "lessons" / lesson.number / "lesson.ipynb"


def _update(lesson: Lesson, *, check: bool) -> str:
    """Write a lesson's notebook again if it differs from its page, or only check it. Returns its name if it differs."""
    file, text = notebook_file(lesson), notebook_text(lesson)
    if file.is_file() and file.read_text(encoding="utf-8") == text:
        return ""
    if not check:
        file.write_text(text, encoding="utf-8", newline="\n")
        print(f"wrote {file.relative_to(ROOT)}")
    return file.relative_to(ROOT).as_posix()


def _run(lesson: Lesson) -> str:
    """Run a lesson's notebook in a kernel of its own. Returns a line that says how long it took."""
    from nbclient.exceptions import CellExecutionError

    started, file = time.perf_counter(), notebook_file(lesson)
    notebook = nbformat.read(file, as_version=4)
    try:
        notebook = execute(notebook, file.parent)
    except CellExecutionError as error:
        raise SiteError(f"{file.relative_to(ROOT)}: {error.ename}: {error.evalue}\n{error}") from None
    if warned := _warnings(notebook):
        raise SiteError(f"{file.relative_to(ROOT)} prints a warning: {warned}")
    return f"{file.relative_to(ROOT)}: {len(notebook.cells)} cells in {time.perf_counter() - started:.0f} s"


def _warnings(notebook: Any) -> str:
    """Return what the cells of a notebook that ran printed to stderr, if there is a warning in it."""
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", ())]
    errors = "".join(output.text for output in outputs if output.get("name") == "stderr")
    return errors.strip() if "Warning" in errors else ""


if __name__ == "__main__":
    main()
