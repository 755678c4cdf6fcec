"""Variants of a figure: readable on light and on dark pages, and narrow enough for a phone. The kernel that runs the
cells of a page sends all of them (`install`), and the page shows the right one.

Ink of one color can't have enough contrast on white and on black. So a copy of the figure is drawn in which every color
that is too faint is mixed with white or black, as much as it takes. Colors inside of pictures stay as they are.
"""

import base64
import re
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import cache
from typing import TYPE_CHECKING, Any

from scripts.site.paths import DOCS

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.figure import Figure

FOR_TEXT, FOR_LINES = 6.0, 3.0  # the contrast; the guidelines (WCAG 2.2) ask for at least 4.5 and 3
MARGIN = 1.02  # a little more, because colors are rounded
PHONE_WIDTH = 4.6  # inches
WIDE = 6.0  # inches, from which on a figure is too wide for a phone
Color = tuple[float, float, float]


# ---- contrast -------------------------------------------------------------------------------------------------------


@cache
def backgrounds() -> dict[str, Color]:
    """Return the colors of light and dark pages, from the style sheet."""
    from matplotlib.colors import to_rgb

    css = (DOCS / "stylesheets" / "course.css").read_text(encoding="utf-8")
    found = {
        name: re.search(rf'data-md-color-scheme="{scheme}"\].*?--md-default-bg-color: (#\w+);', css, re.DOTALL)
        for name, scheme in (("light", "default"), ("dark", "slate"))
    }
    return {name: to_rgb(match[1]) for name, match in found.items() if match}


def contrast(one: Color, other: Color) -> float:
    """Return the contrast ratio of two colors, from 1 to 21, as WCAG defines it."""
    low, high = sorted((_luminance(one), _luminance(other)))
    return (high + 0.05) / (low + 0.05)


def _luminance(color: Color) -> float:
    linear = (x / 12.92 if x <= 0.04045 else ((x + 0.055) / 1.055) ** 2.4 for x in color)
    return sum(weight * x for weight, x in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


def readable(color: Color, background: Color, ratio: float) -> Color:
    """Return the color, mixed with as little white or black as gives it this contrast with the background."""
    end = 1.0 if _luminance(background) < 0.18 else 0.0
    mixed = color
    for k in range(1, 65):
        if contrast(mixed, background) >= ratio * MARGIN:
            break
        mixed = tuple(x + k / 64 * (end - x) for x in color)  # type: ignore[assignment]
    return mixed


# ---- what has a color -----------------------------------------------------------------------------------------------


def inked(figure: "Figure") -> Iterator[tuple["Artist", str, float]]:
    """Find what is drawn on the page's background: each artist, the name of a color of it, and the contrast it needs.

    What has transparency is meant to be faint, and what lies on a picture isn't on the background.
    """
    from matplotlib.collections import Collection
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch
    from matplotlib.text import Text

    names = {
        Text: ("color",),
        Line2D: ("color", "markeredgecolor", "markerfacecolor"),
        Patch: ("edgecolor", "facecolor"),
        Collection: ("edgecolor", "facecolor"),
    }
    on_images = {
        part
        for axes in figure.axes
        if axes.images
        for child in (*axes.texts, *axes.lines, *axes.patches, *axes.collections)
        for part in child.findobj()
    }
    backs = {figure.patch, *(axes.patch for axes in figure.axes)}
    for artist in figure.findobj():
        if artist in on_images or artist in backs or artist.get_alpha() not in (None, 1):
            continue
        if isinstance(artist, Text) and artist.get_bbox_patch() is not None:
            continue  # it brings a background of its own
        if isinstance(artist, Collection) and artist.get_array() is not None:
            continue  # its colors stand for numbers
        for kind, colors in names.items():
            if isinstance(artist, kind):
                yield from ((artist, name, FOR_TEXT if kind is Text else FOR_LINES) for name in colors)


@contextmanager
def recolored(figure: "Figure", background: Color) -> Iterator[bool]:
    """Give a figure colors that can be seen on a background, for a while. Yields whether that changes anything."""
    with ExitStack() as restoring:
        changes = False
        for artist, name, ratio in list(inked(figure)):
            get, put = getattr(artist, f"get_{name}"), getattr(artist, f"set_{name}")
            before = get()
            after = _readable(before, background, ratio)
            if after is not None:
                put(after)
                restoring.callback(put, before)
                changes = True
        yield changes


def _readable(colors: Any, background: Color, ratio: float) -> Any:
    """Return the color or colors of an artist with enough contrast, or None if they have it."""
    import numpy as np
    from matplotlib.colors import to_rgba_array

    if isinstance(colors, str) and colors in ("none", "auto"):
        return None
    before = to_rgba_array(colors)
    after = np.array(
        [[*readable(tuple(rgba[:3]), background, ratio), rgba[3]] if rgba[3] == 1 else rgba for rgba in before]
    )
    if len(before) == 0 or np.allclose(before, after, atol=1e-3):
        return None
    return after if np.ndim(colors) == 2 else tuple(after[0])


# ---- a figure that fits a phone -------------------------------------------------------------------------------------


@contextmanager
def stacked(figure: "Figure") -> Iterator[bool]:
    """Put plots that are beside each other below each other, for a while. Yields whether the figure is of that kind."""
    from matplotlib.gridspec import GridSpec

    width, height = figure.get_size_inches()
    specs = [axes.get_subplotspec() for axes in figure.axes]
    grids = {spec.get_gridspec() for spec in specs if spec is not None}
    columns = grids.pop().ncols if len(grids) == 1 and all(specs) else 0
    fits = (
        columns in (2, 3) and len(specs) == columns and width >= WIDE and not any(axes.images for axes in figure.axes)
    )
    if not fits:
        yield False
        return
    rows = GridSpec(columns, 1, figure=figure)
    try:
        for row, axes in enumerate(figure.axes):
            axes.set_subplotspec(rows[row])
        figure.set_size_inches(PHONE_WIDTH, columns * min(height, 0.75 * PHONE_WIDTH))
        yield True
    finally:
        for axes, spec in zip(figure.axes, specs, strict=True):
            if spec is not None:
                axes.set_subplotspec(spec)
        figure.set_size_inches(width, height)


# ---- in the kernel --------------------------------------------------------------------------------------------------


def install() -> None:
    """Make this kernel send figures as PNGs with two pixels for each one shown, and their variants beside them."""
    from IPython.core.getipython import get_ipython
    from IPython.core.pylabtools import retina_figure
    from matplotlib.figure import Figure

    def draw(figure: Figure) -> tuple[bytes, dict[str, int]]:
        return retina_figure(figure, base64=False, bbox_inches="tight")

    formatters: Any = get_ipython().display_formatter.formatters  # type: ignore[union-attr]
    formatters["image/png"].for_type(Figure, lambda figure: variants(figure, draw))


def variants(
    figure: "Figure", draw: Callable[["Figure"], tuple[bytes, dict[str, int]]]
) -> tuple[bytes, dict[str, Any]]:
    """Draw a figure for light pages, and those variants that differ: "dark", "phone" and "phone-dark".

    Args:
        figure: is the same afterward.
        draw: returns a PNG, and its width and height on the page.

    Returns:
        The PNG for light pages, and its metadata with the "variants", each a PNG in base64 with its size.
    """
    from matplotlib.colors import to_rgba

    if to_rgba(figure.get_facecolor())[3]:  # it brings a background of its own
        return draw(figure)
    light, dark = backgrounds()["light"], backgrounds()["dark"]
    found: dict[str, Any] = {}

    def add(name: str) -> None:
        png, size = draw(figure)
        found[name] = size | {"png": base64.b64encode(png).decode()}

    with recolored(figure, dark) as changes:
        if changes:
            add("dark")
    with recolored(figure, light):
        png, size = draw(figure)
    with stacked(figure) as fits:
        if fits:
            with recolored(figure, light):
                add("phone")
            with recolored(figure, dark) as changes:
                if changes:
                    add("phone-dark")
    return png, size | {"variants": found}
