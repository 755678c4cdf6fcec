"""Rendering a lesson's source, a notebook in Markdown, to its page: macros expanded, cells run, figures added."""

import base64
import html
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import jupytext
import yaml
from nbformat import NotebookNode

from scripts.site.lessons import folded
from scripts.site.macros import Macros, expand
from scripts.site.paths import SiteError
from scripts.site.running import run

MAX_FIGURE_SIZE = 150_000  # bytes


@dataclass
class Page:
    """The Markdown of a page, and its figures by their file names."""

    markdown: str
    figures: dict[str, bytes] = field(default_factory=dict)


def is_notebook(source: str) -> bool:
    """Return whether a page's code is to be run, as its front matter says."""
    return source.startswith("---") and "\njupyter:" in source.split("\n---", 1)[0]


def parse(source: str, name: str) -> NotebookNode:
    """Return the cells of a page. Its front matter becomes the notebook's metadata.

    Raises:
        SiteError: if the front matter is not YAML.
    """
    try:
        notebook: NotebookNode = jupytext.reads(source, fmt="md")
    except yaml.YAMLError as error:
        raise SiteError(f"{name}: its front matter, between the two lines of ---, is not YAML: {error}") from None
    return notebook


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
    figures = [_figure(page, image, alt, Path(name).stem, n, where) for image in images]
    shown = "\n".join(figures)
    return (
        f'<figure class="made" markdown="1">\n{shown}\n'
        f'<figcaption markdown="span">{caption}</figcaption>\n</figure>\n\n'
        f"{printed}\n\n"
        f"{folded('How this figure is made', code, 'made')}"
    )


def _figure(page: Page, image: dict[str, Any], alt: str, stem: str, n: int, where: str) -> str:
    content = base64.b64decode(image["image"])
    if len(content) > MAX_FIGURE_SIZE:
        raise SiteError(
            f"{where}: the figure has {len(content) / 1000:.0f} KB, and at most {MAX_FIGURE_SIZE // 1000} are allowed. "
            "Show fewer pictures, or a smaller part"
        )
    n_before = sum(file.startswith(f"{stem}-{n}-") for file in page.figures)
    file = f"{stem}-{n}-{n_before + 1}.webp"
    page.figures[file] = content
    wide = " wide" if image["width"] > 480 else ""
    return (
        f'<div class="frame{wide}"><img src="figures/{file}" alt="{html.escape(alt)}" width="{image["width"]}" '
        f'height="{image["height"]}" loading="lazy"></div>'
    )
