"""What the reference adds to the docstrings in the code: the comments beside fields and constants, and links.

What a field or a constant is stands in the comment beside it, which mkdocstrings doesn't read. And a name in backticks
becomes a link where the reference has a place for it.
"""

import io
import re
import textwrap
import tokenize
from collections.abc import Callable, Iterator
from typing import Any

import griffe

from scripts.site.places import DOCS

NAME = re.compile(r"(?<![\[`\w])`([A-Za-z_][\w.]*)`(?![\]`])")
FILE = re.compile(r"`?\bdino/(\w+)\.py\b`?")
PAGE = re.compile(r"`?\bdocs/((?:guides/|reference/)?[\w-]+)\.md\b`?")
COMMAND = re.compile(r"`dino (\w+)`")
FOR_TOOLS = ("fmt:", "type:", "noqa")
NUMBER = re.compile(r"[\d_.]+")


class Completed(griffe.Extension):
    """Completes the docstrings of a package once all of it is read."""

    def on_package(self, *, pkg: griffe.Module, **_: Any) -> None:
        """Look at all modules, classes and functions that the reference shows."""
        pages = [page.read_text(encoding="utf-8") for page in sorted((DOCS / "reference").glob("*.md"))]
        shown = [
            pkg.modules_collection[path] for page in pages for path in re.findall("^::: (.+)$", page, re.MULTILINE)
        ]
        places = {each.path for module in shown for each in _documented(module)}
        for module in shown:
            for each in _documented(module):
                _complete(each, module, places)


def _documented(parent: griffe.Object) -> Iterator[griffe.Object]:
    """An object and those in it, as far as they have docstrings and the reference shows them."""
    if parent.docstring:
        yield parent
    for name, child in parent.members.items():
        kinds = (griffe.Class, griffe.Function, griffe.Attribute)
        if isinstance(child, kinds) and (not name.startswith("_") or name == "__init__"):
            yield from _documented(child)


def _complete(each: griffe.Object, module: griffe.Module, places: set[str]) -> None:
    assert each.docstring
    link = _linked(each, module, places)
    # What is set in by four is code in the docstring of a module, and a section in any other.
    lines = each.docstring.value.splitlines()
    lines = [line if each is module and line.startswith("    ") else link(line) for line in lines]
    if rows := [link(row) for row in _fields(each)]:
        lines += ["", "Attributes: Constants:" if each is module else "Attributes:", *rows]
    each.docstring.value = "\n".join(lines)


# ---- fields and constants -------------------------------------------------------------------------------------------


def _fields(parent: griffe.Object) -> Iterator[str]:
    """The fields of a class that is made of them, or the constants of a module: those that have a comment."""
    bases = [str(base) for base in parent.bases] if isinstance(parent, griffe.Class) else []
    if not isinstance(parent, griffe.Module) and "dataclass" not in parent.labels and "NamedTuple" not in bases:
        return
    for name, field in parent.members.items():
        if isinstance(field, griffe.Attribute) and not name.startswith("_") and not field.docstring:
            value = "" if field.annotation or not NUMBER.fullmatch(str(field.value)) else f" ({field.value})"
            if comment := _comment(field):
                yield f"    {name}{value}: {comment}"


def _comment(field: griffe.Attribute) -> str:
    """The comment at the end of a field's first line, or of its last."""
    ends = (tokenize.NEWLINE, tokenize.NL, tokenize.ENDMARKER)
    tokens = tokenize.generate_tokens(io.StringIO(textwrap.dedent("\n".join(field.lines))).readline)
    said = [token for token in tokens if token.type not in ends]
    lines = (1, said[-1].start[0])
    comments = [
        token.string.lstrip("# ") for token in said if token.type == tokenize.COMMENT and token.start[0] in lines
    ]
    return next((comment for comment in comments if not comment.startswith(FOR_TOOLS)), "")


# ---- links ----------------------------------------------------------------------------------------------------------


def _linked(each: griffe.Object, module: griffe.Module, places: set[str]) -> Callable[[str], str]:
    """What turns names in backticks, and files of the course, into links to where they are told of."""
    own = {parameter.name for parameter in each.parameters} if isinstance(each, griffe.Function) else set()

    def link_name(found: re.Match[str]) -> str:
        place = None if found[1] in own else _place(found[1], each, module, places)
        return f"[{found[0]}][{place}]" if place and place != each.path else found[0]

    def link_file(found: re.Match[str]) -> str:
        place = f"dino.{found[1]}"
        return f"[{found[0]}][{place}]" if place in places and place != module.path else found[0]

    def link(line: str) -> str:
        line = FILE.sub(link_file, NAME.sub(link_name, line))
        line = COMMAND.sub(r"[\g<0>](command-line.md#\1)", line)
        return PAGE.sub(r"[\g<0>](../\1.md)", line)

    return link


def _place(name: str, each: griffe.Object, module: griffe.Module, places: set[str]) -> str | None:
    """Where the reference tells of what goes by this name here: in the class, in the module, or anywhere else."""
    first, _, rest = name.partition(".")
    imported = module.members.get(first)
    full = f"{imported.target_path}.{rest}".rstrip(".") if isinstance(imported, griffe.Alias) else name
    here = each.parent.path if each.parent else module.path
    for place in (f"{each.path}.{name}", f"{here}.{name}", f"{module.path}.{name}", full, f"dino.{full}"):
        if place in places:
            return place
    elsewhere = [place for place in places if place.count(".") == 2 and place.endswith(f".{name}")]
    return elsewhere[0] if len(elsewhere) == 1 else None
