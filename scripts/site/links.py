"""Links that need changing: links to files outside docs, and links to pages that are planned but not written."""

import posixpath
import re
from collections.abc import Callable, Collection

from scripts.site.address import Address
from scripts.site.paths import DOCS, ROOT, SiteError

LINK = re.compile(r"(?<!!)\[((?:[^\[\]]|\[[^\]]*\])*)\]\(([^)\s#:]+)(#[^)\s]*)?\)")


def module_pages() -> dict[str, str]:
    """Return the page of each module that the reference shows: {"dino.noise": "reference/noise.md", ...}."""
    return {
        module: page.relative_to(DOCS).as_posix()
        for page in sorted((DOCS / "reference").glob("*.md"))
        for module in re.findall(r"^::: (.+)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    }


def resolve_links(
    markdown: str, page: str, pages: Collection[str], planned: Collection[str], address: Address
) -> str:  # fmt: skip
    """Return the page with each of these links changed to one that works, or to plain words.

    Args:
        markdown: of the page.
        page: the path of the page below docs, like all paths here: "guides/scaling.md".
        pages: the files that exist.
        planned: pages that are in the menu and not written yet.
        address: of the repository. Files outside docs are linked there.

    Raises:
        SiteError: if a file outside docs doesn't exist.
    """
    folder = posixpath.dirname(page)

    def resolve(found: re.Match[str]) -> str:
        words, target, _ = found.groups()
        path = posixpath.normpath(posixpath.join(folder, target))
        if path in planned:
            return words
        if not path.startswith("../"):
            return found[0]
        path = path.removeprefix("../")
        if not (ROOT / path).exists():
            raise SiteError(f"{page}: it links to {target}, and there is no {path}")
        if address.url:
            return f"[{words}]({address.file(path)})"
        reference = module_pages().get(path.removesuffix(".py").replace("/", "."), "")
        if reference in pages:  # it shows the source
            return f"[{words}]({posixpath.relpath(reference, folder or '.')})"
        plain = words.strip("`")
        return words if posixpath.basename(path) in plain and "/" in plain else f"{words} (`{path}`)"

    return outside_code(markdown, lambda text: LINK.sub(resolve, text))


def outside_code(markdown: str, change: Callable[[str], str]) -> str:
    """Return the page changed everywhere except in its code blocks."""
    pieces = re.split(r"(^ *(```+).*?^ *\2 *$)", markdown, flags=re.MULTILINE | re.DOTALL)
    return "".join(piece if n % 3 == 1 else change(piece) for n, piece in enumerate(pieces) if n % 3 != 2)
