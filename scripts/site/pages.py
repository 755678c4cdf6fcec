"""Rendering a lesson's source, a notebook in Markdown, to its page: macros expanded, cells run, figures added."""

import base64
import html
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import jupytext
import nbformat
import yaml
from nbformat import NotebookNode

from scripts.site import elements
from scripts.site.lessons import folded
from scripts.site.macros import Macros, expand
from scripts.site.paths import SiteError
from scripts.site.running import run

MAX_FIGURE_SIZE = 150_000  # bytes
PHONES = "(max-width: 44.98em)"  # as in docs/stylesheets/course.css


@dataclass
class Page:
    """The Markdown of a page, and its figures by their file names."""

    markdown: str
    figures: dict[str, bytes] = field(default_factory=dict)


def is_notebook(source: str) -> bool:
    """Return whether a page's code is to be run, as its front matter says."""
    return source.startswith("---") and "\njupyter:" in source.split("\n---", 1)[0]


def parse(source: str, name: str) -> NotebookNode:
    """Return the cells of a page. Its front matter becomes the notebook's metadata. Only Python is a code cell.

    Raises:
        SiteError: if the front matter is not YAML.
    """
    try:
        notebook: NotebookNode = jupytext.reads(source, fmt="md")
    except yaml.YAMLError as error:
        raise SiteError(f"{name}: its front matter, between the two lines of ---, is not YAML: {error}") from None
    notebook.cells = [_shown(cell) if _is_of_another_language(cell) else cell for cell in notebook.cells]
    return notebook


def _is_of_another_language(cell: NotebookNode) -> bool:
    """Return whether a cell was a fence such as ```sh, which Jupytext makes a cell that runs `%%sh`."""
    return cell.cell_type == "code" and cell.source.startswith("%%")


def _shown(cell: NotebookNode) -> NotebookNode:
    """Return a cell of another language as a fence in Markdown, which is shown and not run."""
    language, _, code = cell.source.removeprefix("%%").partition("\n")
    shown: NotebookNode = nbformat.v4.new_markdown_cell(f"```{language}\n{code}\n```")
    return shown


def render(source: str, name: str, macros: Macros) -> Page:
    """Return the page of a lesson.

    Args:
        source: its Markdown, with code cells.
        name: of its file, for messages and the names of figures: "lessons/01-noise.md".
        macros: the macros that it may use.

    Raises:
        SiteError: if the page has a mistake that its author can correct.
    """
    notebook = parse(source, name)
    outputs = iter(run(name, notebook))
    page, n_code = Page(""), 0
    parts = []
    for cell in notebook.cells:
        if cell.cell_type == "code":
            n_code += 1
            parts.append(_code(page, cell, next(outputs), name, n_code))
        elif cell.cell_type == "markdown":
            parts.append(expand(cell.source, macros, name))
    page.markdown = "\n\n".join(part for part in parts if part) + "\n"
    return page


def _code(page: Page, cell: NotebookNode, outputs: list[dict[str, Any]], name: str, n: int) -> str:
    if "setup" in cell.metadata.get("tags", []):
        return ""
    where = f"{name}, cell {n} ({(cell.source.strip().splitlines() or ['empty'])[0]} ...)"
    images = [output for output in outputs if "image" in output]
    text = "".join(output.get("text", "") for output in outputs)
    code = f"```python\n{cell.source}\n```"
    printed = f"```{{ .text .output }}\n{text.rstrip()}\n```" if text.strip() else ""
    if not images:
        if "folded" in cell.metadata.get("tags", []):
            return f"{printed}\n\n{folded('How these numbers are made', code, 'made')}"
        return f"{code}\n\n{printed}"
    alt, caption = cell.metadata.get("alt", ""), cell.metadata.get("caption", "")
    if not alt or not caption:
        raise SiteError(f'{where}: a figure needs alt="what the figure shows" and caption="..." on its fence line')
    stem = f"{Path(name).stem}-{n}"
    figures = [figure(page, image, alt, f"{stem}-{k}", where) for k, image in enumerate(images, 1)]
    shown = "\n".join(figures)
    made = (
        f'<figure class="made" markdown="1">\n{shown}\n'
        f'<figcaption markdown="span">{caption}</figcaption>\n</figure>\n\n'
        f"{printed}\n\n"
        f"{folded('How this figure is made', code, 'made')}"
    )
    if element := cell.metadata.get("element", ""):
        return elements.around(made, element, cell.metadata.get("question", ""), where)
    return made


def figure(page: Page, image: dict[str, Any], alt: str, stem: str, where: str, folder: str = "figures") -> str:
    """Add the files of a figure and of its variants, and return the HTML that shows the right one.

    Args:
        page: gets the files.
        image: with its "variants", as `running.run` returns it.
        alt: what the figure shows.
        stem: the beginning of the files' names.
        where: it was made, for messages.
        folder: of the files, as seen from the page.
    """
    all_of_it = {"": image} | {f"-{name}": each for name, each in image.get("variants", {}).items()}
    for variant, each in all_of_it.items():
        content = base64.b64decode(each["image"])
        if len(content) > MAX_FIGURE_SIZE:
            raise SiteError(
                f"{where}: the figure has {len(content) / 1000:.0f} KB, and at most {MAX_FIGURE_SIZE // 1000} are "
                "allowed. Show fewer pictures, or a smaller part"
            )
        page.figures[f"{stem}{variant}.webp"] = content

    def shown(variant: str, on_phones: str, kind: str) -> str:
        file, size = f"{folder}/{stem}{variant}.webp", _size(all_of_it[variant])
        shown_one = f'<img src="{file}" alt="{html.escape(alt)}" {size} loading="lazy">'
        if on_phones in all_of_it:
            source = f'srcset="{folder}/{stem}{on_phones}.webp" {_size(all_of_it[on_phones])}'
            shown_one = f'<source media="{PHONES}" {source}>{shown_one}'
        return f'<picture class="{kind}">{shown_one}</picture>' if kind or on_phones in all_of_it else shown_one

    frame = "frame restacks" if "-phone" in all_of_it else "frame wide" if image["width"] > 480 else "frame"
    if "-dark" not in all_of_it:
        return f'<div class="{frame}">{shown("", "-phone", "")}</div>'
    on_dark = shown("-dark", "-phone-dark", "for-dark")
    return f'<div class="{frame}">{shown("", "-phone", "for-light")}{on_dark}</div>'


def _size(image: dict[str, Any]) -> str:
    return f'width="{image["width"]}" height="{image["height"]}"'
