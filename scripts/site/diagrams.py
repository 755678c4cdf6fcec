"""Diagrams: inline SVG, drawn by hand in docs/diagrams, in the colors of the page.

A diagram uses these classes and no colors of its own, so that it is right on light and dark pages and in print:

- `box`, `box accent`, `box quiet`: a rectangle. The accent is for what the text is about.
- `arrow`, `arrow quiet`: a line or path with a head at its end. `line` has none.
- `label`: the text in a box. `shape`: a shape or a piece of code. `note`: small text beside something.

Text is centered, unless it has the class `start` or `end`. At a viewBox of up to 400 units' width, letters of 13 units
are readable on a phone without sideways scrolling.

`course_map` makes the one diagram that holds links.
"""

import base64
import html
import re

from scripts.site.paths import DOCS, ROOT, SiteError

FOLDER = DOCS / "diagrams"
HEAD = (
    '<defs><marker id="arrow-{name}" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" '
    'orient="auto-start-reverse"><path class="head" d="M0,0.5 L7.5,4 L0,7.5 z"/></marker></defs>'
)
# The rules for a diagram that stands alone. In a page, docs/stylesheets/course.css has them, with the page's colors.
ALONE = """
svg{background:#fff;font:13px system-ui,sans-serif}text{fill:#1d2725;text-anchor:middle}
.start{text-anchor:start}.end{text-anchor:end}.shape{font-family:ui-monospace,monospace;font-size:12px}
.note{fill:#4d5a57;font-size:12px}.box{fill:#f5f3ec;stroke:#6b7774;stroke-width:1.2}
.accent{fill:#d9efe9;stroke:#0a6b5c}.quiet{stroke-dasharray:4 3}.arrow,.line{fill:none;stroke:#4d5a57;stroke-width:1.4}
.head{fill:#4d5a57}
"""


def inline(name: str, alt: str, caption: str = "") -> str:
    """Return a diagram of docs/diagrams as a figure for a page.

    Raises:
        SiteError: if there is no such diagram, or it is not as it should be.
    """
    wide = " wide" if _width(_read(name)) > 480 else ""
    return figure(_svg(name, alt), caption, frame=wide)


def figure(svg: str, caption: str, *, kind: str = "", frame: str = "") -> str:
    """Return a finished diagram as a figure for a page, with further classes of the figure and its frame."""
    below = f'<figcaption markdown="span">{caption}</figcaption>' if caption else ""
    return f'<figure class="diagram{kind}" markdown="1">\n<div class="frame{frame}">{svg}</div>\n{below}\n</figure>\n'


def as_image(name: str, alt: str, caption: str = "") -> str:
    """Return a diagram as an image for a notebook, which has no style sheet."""
    return image(_svg(name, alt), alt, caption)


def image(svg: str, alt: str, caption: str) -> str:
    """Return a finished diagram as an image for a notebook."""
    styled = svg.replace("<defs>", f"<style>{ALONE}</style><defs>", 1)
    encoded = base64.b64encode(styled.encode()).decode()
    below = f"\n\n*{caption}*" if caption else ""
    return f'<img alt="{html.escape(alt)}" src="data:image/svg+xml;base64,{encoded}">{below}'


def _read(name: str) -> str:
    path = FOLDER / f"{name}.svg"
    if not path.is_file():
        known = ", ".join(sorted(file.stem for file in FOLDER.glob("*.svg")))
        raise SiteError(f"there is no {path.relative_to(ROOT)}. There are {known}")
    return path.read_text(encoding="utf-8")


def _width(svg: str) -> float:
    found = re.search(r'<svg [^>]*viewBox="0 0 ([\d.]+) [\d.]+"', svg)
    if not found:
        raise SiteError('a diagram begins with <svg xmlns="..." viewBox="0 0 WIDTH HEIGHT">')
    return float(found[1])


def _svg(name: str, alt: str) -> str:
    """Return a diagram of docs/diagrams, finished.

    Raises:
        SiteError: if it has colors of its own.
    """
    svg = _read(name)
    if wrong := re.search(r'(fill|stroke|style)="(?!none)', svg):
        raise SiteError(f"docs/diagrams/{name}.svg sets {wrong[1]}. Its colors come from classes")
    return finished(svg, name, alt, "img")


def finished(svg: str, name: str, alt: str, role: str) -> str:
    """Return a diagram on one line, with a role, a description, its width, and the heads of its arrows."""
    svg = re.sub(r"<!--.*?-->", "", svg, flags=re.DOTALL)
    svg = re.sub(r">\s+<", "><", re.sub(r"\s*\n\s*", " ", svg)).strip()
    width, label = _width(svg), html.escape(alt)
    svg = re.sub(r'class="arrow\b', f'marker-end="url(#arrow-{name})" class="arrow', svg)
    svg = svg.replace("<svg ", f'<svg class="diagram-{name}" role="{role}" aria-label="{label}" width="{width:g}" ', 1)
    return re.sub(r"(<svg [^>]*>)", lambda found: found[1] + HEAD.format(name=name), svg, count=1)
