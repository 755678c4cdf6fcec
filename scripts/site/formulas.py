"""Formulas: LaTeX to MathML, which browsers draw themselves, so that a page needs no JavaScript for them.

Not every system has a font for mathematics, so the site has one: docs/stylesheets/stix-two-math.woff, made by
`python -m scripts.site.math_font`.
"""

import html
import re

import math_core

from scripts.site.paths import SiteError

# What pymdownx.arithmatex leaves of a formula: \(...\) in a span, or \[...\] in a div.
FORMULA = re.compile(r'(<(span|div) class="arithmatex">)\\[(\[](.*?)\\[)\]](</\2>)', re.DOTALL)


def set_formulas(page_html: str, page: str) -> str:
    """Return the HTML of a page with its formulas as MathML.

    Raises:
        SiteError: if a formula is not LaTeX that can be converted.
    """

    def convert(found: re.Match[str]) -> str:
        start, kind, formula, end = found.groups()
        latex = html.unescape(formula).strip()
        try:
            return start + set_formula(latex, display=kind == "div") + end
        except math_core.LatexError as error:
            raise SiteError(f"{page}: the formula {latex} is not right: {error}") from None

    return FORMULA.sub(convert, page_html)


def set_formula(latex: str, *, display: bool = False) -> str:
    """Return a formula as MathML, in a line of text or on a line of its own."""
    mathml: str = math_core.LatexToMathML().convert_with_local_state(latex, displaystyle=display)
    return mathml
