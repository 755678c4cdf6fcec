"""Tooltips: the first use of each term in a page becomes a link to the glossary, with the definition as its title.

docs/glossary.md is the only source. Its headings are the terms, and the sentences up to "Also called" or "Symbol" are
the definition. A heading marked `{ .everyday }` is an ordinary word as well, which pages don't mark.
"""

import html
import re
from collections.abc import Iterator
from functools import lru_cache
from typing import NamedTuple

from scripts.site.paths import DOCS

GLOSSARY = DOCS / "glossary.md"
ENTRY = re.compile(r"^### (.+?)( \{ \.everyday \})?\n\n(.+?)\n\n", re.MULTILINE | re.DOTALL)
NOT_THE_DEFINITION = re.compile(r" (?:Also called|Symbol|See)\b.*", re.DOTALL)
WHOLE = "pre|code|math|svg|script|style"  # elements that are taken as one piece, because their many tags don't matter
TAG = re.compile(rf"(<!--.*?-->|<(?P<whole>{WHOLE})\b.*?</(?P=whole)>|<[^>]*>)", re.DOTALL)
UNMARKED = {"a", "abbr", "button", "h1", "h2", "h3", "h4", "h5", "h6", "summary", "th"}
ADMONITION_TITLE = 'class="admonition-title"'


class Term(NamedTuple):
    """An entry of the glossary."""

    name: str
    definition: str  # plain text
    everyday: bool  # whether the term is an ordinary word too

    @property
    def anchor(self) -> str:
        """The term's place in the glossary's page."""
        return re.sub(r"[^\w-]+", "-", self.name.lower())


@lru_cache(maxsize=2)
def entries(glossary: str) -> tuple[Term, ...]:
    """Return the terms of the glossary, given as Markdown."""
    return tuple(
        Term(name, _plain(NOT_THE_DEFINITION.sub("", text)), bool(everyday))
        for name, everyday, text in ENTRY.findall(f"{glossary}\n\n")
    )


def _plain(markdown: str) -> str:
    """Return Markdown without its links and backticks, on one line."""
    return " ".join(re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", markdown).replace("`", "").split())


def mark_terms(page_html: str, page: str) -> str:
    """Return the HTML of a page with the first use of each term as a link to the glossary.

    A term is left alone in headings, links and code, and in a page that links to its entry already.

    Args:
        page_html: of the page.
        page: its path below docs, such as "guides/gpu.md".
    """
    if page == GLOSSARY.name:
        return page_html
    terms = {term.name.lower(): term for term in entries(GLOSSARY.read_text(encoding="utf-8")) if not term.everyday}
    to_mark = {name for name, term in terms.items() if f'glossary.html#{term.anchor}"' not in page_html}
    pattern = _pattern(tuple(sorted(to_mark, key=len, reverse=True)))
    glossary = "../" * page.count("/") + "glossary.html"

    def mark(found: re.Match[str]) -> str:
        name = found[1].lower()
        if name not in to_mark:
            return found[0]
        to_mark.remove(name)
        title = html.escape(terms[name].definition)
        return f'<a class="term" href="{glossary}#{terms[name].anchor}" title="{title}">{found[0]}</a>'

    return "".join(
        pattern.sub(mark, piece) if is_prose and to_mark else piece for piece, is_prose in _pieces(page_html)
    )


@lru_cache(maxsize=64)
def _pattern(names: tuple[str, ...]) -> re.Pattern[str]:
    """Return a pattern for any of the names, alone or in the plural."""
    return re.compile(
        rf"(?<![\w/-])({'|'.join(map(re.escape, names)) or '(?!)'})(?:e?s)?(?![\w/-]|\.\w)", re.IGNORECASE
    )


def _pieces(page_html: str) -> Iterator[tuple[str, bool]]:
    """Yield the tags and texts of a page, each with whether it is text in which terms may be marked."""
    inside: list[str] = []  # the element whose text is left alone, and elements of the same name in it
    end = 0
    for found in TAG.finditer(page_html):
        yield page_html[end : found.start()], not inside
        end, tag = found.end(), found[0]
        yield tag, False
        name = tag[1:].lstrip("/").partition(" ")[0].rstrip("/>")
        if found["whole"] or (inside and name != inside[0]):
            continue
        if tag.startswith("</"):
            inside = inside[:-1]
        elif inside or name in UNMARKED or ADMONITION_TITLE in tag:
            inside = [*inside, name]
    yield page_html[end:], not inside
