"""The plots of the measurements, drawn from their numbers for light and dark pages and for phones, as `figures` says.

The PNGs beside the numbers are for readers of the repository. A page of the site shows these in their place.
"""

import base64
import csv
import html
import json
import posixpath
import re
from importlib import import_module
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from scripts.site.cache import cached
from scripts.site.figures import variants
from scripts.site.pages import Page, figure
from scripts.site.paths import DOCS, ROOT
from scripts.site.running import LIBRARIES, webp

if TYPE_CHECKING:
    from matplotlib.figure import Figure

FOLDER = DOCS / "benchmarks"
PLOTS = {  # for each measurement with a plot, the module whose `plot` draws it
    "asking-quick": "scripts.benchmarks.asking",
    "batch-sizes": "scripts.benchmarks.batch_sizes",
    "bench-full": "dino.reports.benchmark",
    "bench-full-epyc": "dino.reports.benchmark",
    "bench-quick": "dino.reports.benchmark",
    "bench-quick-epyc": "dino.reports.benchmark",
    "large-set": "scripts.benchmarks.large_set",
    "levels": "scripts.benchmarks.levels",
    "order": "scripts.benchmarks.order",
    "sampling": "scripts.benchmarks.sampling",
    "start-from": "scripts.benchmarks.start_from",
    "web-engine": "scripts.benchmarks.web_engine",
}
DPI = 80  # pixels of a page for an inch of a plot
IMAGE = re.compile(r'<p><img alt="([^"]*)" src="([^"]*)"[^>]*></p>')


def files() -> dict[str, bytes]:
    """Return the files of all plots, by their paths in the site."""
    page = Page("")
    for name, image in _images().items():
        figure(page, image, "", name, name)
    return {f"benchmarks/figures/{name}": content for name, content in page.figures.items()}


def with_plots(content: str, page: str) -> str:
    """Return the HTML of a page in which each PNG of a plot is replaced by the plot's variants.

    Args:
        content: the HTML.
        page: the path of its source below docs/.
    """
    here = posixpath.dirname(page)

    def replaced(found: re.Match[str]) -> str:
        alt, source = html.unescape(found[1]), found[2]
        folder, file = posixpath.split(posixpath.normpath(posixpath.join(here, source)))
        name = file.removesuffix(".png")
        if folder != "benchmarks" or name not in PLOTS:
            return found[0]
        figures = posixpath.join(posixpath.dirname(source), "figures")
        return figure(Page(""), _images()[name], alt, name, page, figures)

    return IMAGE.sub(replaced, content)


def _images() -> dict[str, dict[str, Any]]:
    """Return the image of each plot with its variants, as `running.run` returns a cell's."""
    inputs = [PLOTS, DPI, *(version(name) for name in LIBRARIES)]

    def compute() -> tuple[dict[str, dict[str, Any]], list[Path]]:
        modules = {Path(str(import_module(module).__file__)) for module in PLOTS.values()}
        style = [ROOT / "dino" / "common" / "plots.py", DOCS / "stylesheets" / "course.css"]
        variants_of = [Path(__file__), Path(__file__).with_name("figures.py")]
        return {name: _draw(name) for name in PLOTS}, [*map(_numbers, PLOTS), *modules, *style, *variants_of]

    images: dict[str, dict[str, Any]] = cached("plots", inputs, compute)
    return images


def _numbers(name: str) -> Path:
    return next(path for kind in (".json", ".csv") if (path := FOLDER / f"{name}{kind}").is_file())


def _draw(name: str) -> dict[str, Any]:
    import matplotlib as mpl
    from IPython.core.pylabtools import retina_figure

    from dino.common.plots import STYLE

    def draw(figure: "Figure") -> tuple[bytes, dict[str, int]]:
        return retina_figure(figure, base64=False, bbox_inches="tight")

    with mpl.rc_context(STYLE | {"figure.dpi": DPI}):
        png, size = variants(plot(name), draw)
    others = {kind: webp(each["png"]) for kind, each in size.pop("variants", {}).items()}
    return webp(base64.b64encode(png).decode()) | ({"variants": others} if others else {})


def plot(name: str) -> "Figure":
    """Plot a measurement from its numbers, with the program that made them."""
    path, module = _numbers(name), import_module(PLOTS[name])
    if path.suffix == ".csv":
        with path.open(newline="", encoding="utf-8") as file:
            drawn: Figure = module.plot(module.recorded(csv.reader(file)), "quick")
    else:
        drawn = module.plot(json.loads(path.read_text(encoding="utf-8")))
    return drawn
