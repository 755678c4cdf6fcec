"""Links of a page that can't stay as they are: to files outside docs, and to pages that aren't written yet."""

import posixpath
import re
from collections.abc import Callable, Collection

from scripts.site.address import Address
from scripts.site.places import ROOT, SiteError

LINK = re.compile(r"(?<!!)\[((?:[^\[\]]|\[[^\]]*\])*)\]\(([^)\s#:]+)(#[^)\s]*)?\)")


def mended(markdown: str, page: str, pages: Collection[str], planned: Collection[str], address: Address) -> str:
    """The page with those links turned into ones that lead somewhere, or into plain words.

    Args:
        markdown: of the page.
        page: where it lies below docs, as all names here: "guides/scaling.md".
        pages: the files there are.
        planned: pages that are in the menu and not written yet.
        address: of the repository, to which files outside docs are linked.

    Raises:
        SiteError: a file outside docs isn't there.
    """
    folder = posixpath.dirname(page)

    def mend(found: re.Match[str]) -> str:
        words, target, _ = found.groups()
        place = posixpath.normpath(posixpath.join(folder, target))
        if place in planned:
            return words
        if not place.startswith("../"):
            return found[0]
        path = place.removeprefix("../")
        if not (ROOT / path).exists():
            raise SiteError(f"{page}: it links to {target}, and there is no {path}")
        if address.url:
            return f"[{words}]({address.file(path)})"
        own_page = f"reference/{posixpath.basename(path).removesuffix('.py')}.md"
        if posixpath.dirname(path) == "dino" and own_page in pages:  # it shows the source
            return f"[{words}]({posixpath.relpath(own_page, folder or '.')})"
        plain = words.strip("`")
        return words if posixpath.basename(path) in plain and "/" in plain else f"{words} (`{path}`)"

    return outside_code(markdown, lambda text: LINK.sub(mend, text))


def outside_code(markdown: str, change: Callable[[str], str]) -> str:
    """The page changed everywhere but in its code blocks."""
    pieces = re.split(r"(^ *(```+).*?^ *\2 *$)", markdown, flags=re.MULTILINE | re.DOTALL)
    return "".join(piece if n % 3 == 1 else change(piece) for n, piece in enumerate(pieces) if n % 3 != 2)
