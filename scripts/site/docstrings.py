"""Additions of the reference to the docstrings of the code: the comments beside fields and constants, and links.

The code explains a field or a constant in the comment beside it, which mkdocstrings doesn't read. (The extension
griffe-sphinx reads only `#:` comments, and griffe-fieldz only `dataclasses.field(metadata=...)`.) And a name in
backticks becomes a link where the reference documents that name.
"""

import re
from collections.abc import Callable, Iterator
from typing import Any

import griffe

from scripts.site.links import module_pages

NAME = re.compile(r"(?<![\[`\w])`([A-Za-z_][\w.]*)`(?![\]`])")
FILE = re.compile(r"`?\bdino/((?:\w+/)*\w+)\.py\b`?")
PAGE = re.compile(r"`?\bdocs/((?:guides/|reference/)?[\w-]+)\.md\b`?")
COMMAND = re.compile(r"`dino (\w+)`")
COMMENT = re.compile(r"  # (?!fmt:|type:|noqa)(.+)$")
NUMBER = re.compile(r"[\d_.]+")


class CompleteDocstrings(griffe.Extension):
    """Completes the docstrings of a package once griffe has read all of the package."""

    def on_package(self, *, pkg: griffe.Module, **_: Any) -> None:
        """Complete the docstrings of all modules, classes and functions that the reference shows."""
        shown = [pkg.modules_collection[path] for path in module_pages()]
        documented = {each.path: each for module in shown for each in _documented(module)}
        for module in shown:
            for each in _documented(module):
                _complete(each, module, documented)


def _documented(parent: griffe.Object) -> Iterator[griffe.Object]:
    """Yield an object and its members, as far as they have docstrings and the reference shows them."""
    if parent.docstring:
        yield parent
    for name, child in parent.members.items():
        kinds = (griffe.Class, griffe.Function, griffe.Attribute)
        if isinstance(child, kinds) and (not name.startswith("_") or name == "__init__"):
            yield from _documented(child)


def _complete(each: griffe.Object, module: griffe.Module, documented: dict[str, griffe.Object]) -> None:
    assert each.docstring
    link = _linker(each, module, documented)
    # An indent of four is code in the docstring of a module, and a section in any other docstring.
    lines = each.docstring.value.splitlines()
    lines = [line if each is module and line.startswith("    ") else link(line) for line in lines]
    if rows := [link(row) for row in _fields(each)]:
        lines += ["", "Attributes: Constants:" if each is module else "Attributes:", *rows]
    each.docstring.value = "\n".join(lines)


# ---- fields and constants -------------------------------------------------------------------------------------------


def _fields(parent: griffe.Object) -> Iterator[str]:
    """Yield a line for each field of a dataclass or NamedTuple, or constant of a module, that has a comment."""
    bases = [str(base) for base in parent.bases] if isinstance(parent, griffe.Class) else []
    if not isinstance(parent, griffe.Module) and "dataclass" not in parent.labels and "NamedTuple" not in bases:
        return
    for name, field in parent.members.items():
        if isinstance(field, griffe.Attribute) and not name.startswith("_") and not field.docstring:
            value = "" if field.annotation or not NUMBER.fullmatch(str(field.value)) else f" ({field.value})"
            if comment := field_comment(field):
                yield f"    {name}{value}: {comment}"


def field_comment(field: griffe.Attribute) -> str:
    """Return the comment at the end of a field's first line, or of its last."""
    found = (COMMENT.search(line) for line in (field.lines[0], field.lines[-1]))
    return next((comment[1] for comment in found if comment), "")


# ---- links ----------------------------------------------------------------------------------------------------------


def _linker(each: griffe.Object, module: griffe.Module, documented: dict[str, griffe.Object]) -> Callable[[str], str]:
    """Return a function that turns names in backticks, files and commands in a line into links."""
    own = {parameter.name for parameter in each.parameters} if isinstance(each, griffe.Function) else set()

    def link_name(found: re.Match[str]) -> str:
        target = None if found[1] in own else _target(found[1], each, module, documented)
        return f"[{found[0]}][{target}]" if target and target != each.path else found[0]

    def link_file(found: re.Match[str]) -> str:
        target = "dino." + found[1].replace("/", ".")
        return f"[{found[0]}][{target}]" if target in documented and target != module.path else found[0]

    def link(line: str) -> str:
        line = FILE.sub(link_file, NAME.sub(link_name, line))
        line = COMMAND.sub(r"[\g<0>](command-line.md#\1)", line)
        return PAGE.sub(r"[\g<0>](../\1.md)", line)

    return link


def _target(name: str, each: griffe.Object, module: griffe.Module, documented: dict[str, griffe.Object]) -> str | None:
    """Return the path of the object that a name means here: in the class, in the module, or anywhere else."""
    first, _, rest = name.partition(".")
    imported = module.members.get(first)
    full = f"{imported.target_path}.{rest}".rstrip(".") if isinstance(imported, griffe.Alias) else name
    here = each.parent.path if each.parent else module.path
    for path in (f"{each.path}.{name}", f"{here}.{name}", f"{module.path}.{name}", full, f"dino.{full}"):
        if path in documented:
            return path
    parents = {path: documented.get(path.removesuffix(f".{name}")) for path in documented if path.endswith(f".{name}")}
    elsewhere = [path for path, parent in parents.items() if isinstance(parent, griffe.Module)]
    return elsewhere[0] if len(elsewhere) == 1 else None
