"""Macros: `[[ name("argument") ]]`, alone on its line, which the build replaces by Markdown.

Not mkdocs-macros-plugin: the notebooks need the same macros outside of MkDocs, and a Jinja template can't hold the
lessons' Python, where `images[[1, 2]]` is an index.
"""

import ast
import re
from collections.abc import Callable, Mapping

from scripts.site.paths import SiteError

MACRO = re.compile(r"^\[\[ *(\w+)\((.*)\) *\]\] *$", re.MULTILINE)
ALMOST_A_MACRO = re.compile(r"\[\[ ?\w+[( '\"].*")
CODE = re.compile(r"```.*?```|`[^`\n]*`", re.DOTALL)

Macros = Mapping[str, Callable[..., str]]


def expand(markdown: str, macros: Macros, page: str) -> str:
    """Return the page with its macros replaced by their Markdown.

    Raises:
        SiteError: if a macro doesn't exist, is not alone on its line, or can't take its arguments.
    """

    def replace(found: re.Match[str]) -> str:
        name, arguments = found.groups()
        if name not in macros:
            raise SiteError(f"{page}: there is no {found[0]}. There are {', '.join(sorted(macros))}")
        try:
            return macros[name](*ast.literal_eval(f"({arguments},)" if arguments.strip() else "()"))
        except Exception as error:
            raise SiteError(f"{page}: {found[0]} went wrong: {error}") from error

    for found in ALMOST_A_MACRO.finditer(CODE.sub("", MACRO.sub("", markdown))):
        raise SiteError(f'{page}: {found[0]} ...: write [[ name("argument") ]], alone on its line')
    return MACRO.sub(replace, markdown)
