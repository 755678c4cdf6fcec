"""`[[ name("argument") ]]`, alone on its line: what the build writes there instead."""

import ast
import re
from collections.abc import Callable, Mapping

from scripts.site.places import SiteError

MACRO = re.compile(r"^\[\[ *(\w+)\((.*)\) *\]\] *$", re.MULTILINE)
ALMOST = re.compile(r"\[\[ ?\w+[( '\"].*")

Macros = Mapping[str, Callable[..., str]]


def expand(markdown: str, macros: Macros, page: str) -> str:
    """The page with its macros written out.

    Raises:
        SiteError: there is no such macro, or it can't take these arguments.
    """

    def write(found: re.Match[str]) -> str:
        name, arguments = found.groups()
        if name not in macros:
            raise SiteError(f"{page}: there is no {found[0]}. There are {', '.join(sorted(macros))}")
        try:
            return macros[name](*ast.literal_eval(f"({arguments},)" if arguments.strip() else "()"))
        except Exception as error:
            raise SiteError(f"{page}: {found[0]} went wrong: {error}") from error

    for found in ALMOST.finditer(re.sub(r"```.*?```|`[^`\n]*`", "", MACRO.sub("", markdown), flags=re.DOTALL)):
        raise SiteError(f'{page}: {found[0]} ...: write [[ name("argument") ]], alone on its line')
    return MACRO.sub(write, markdown)
