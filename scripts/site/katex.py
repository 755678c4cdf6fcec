"""KaTeX, which sets the formulas: taken out of the package jupyterlab-katex, the one that brings its fonts along and
needs nothing else. So the site has it without fetching anything, and no file of it is kept in this repository.

The package is made for JupyterLab, packed by webpack into "chunks". Its version is pinned in pyproject.toml.
"""

import re
from importlib.metadata import PackageNotFoundError, files
from pathlib import Path

from scripts.site.places import SiteError

PACKAGE = "jupyterlab-katex"
# A chunk hands its modules to a list that webpack would watch. This is that list, and all that KaTeX needs of webpack.
LOADER = """(function () {
  var modules = {};
  self.webpackChunk_jupyterlab_katex_extension = { push: function (chunk) { Object.assign(modules, chunk[1]) } };
  %s
  var katex = { exports: {} };
  modules[%s].call(katex.exports, katex, katex.exports);
  window.katex = katex.exports.default || katex.exports
})()
"""


def katex() -> dict[str, bytes]:
    """The files of KaTeX: katex.js, katex.css and the fonts that it names.

    Raises:
        SiteError: the package isn't installed, or isn't the one that is known here.
    """
    try:
        paths = [Path(str(file.locate())) for file in files(PACKAGE) or ()]
    except PackageNotFoundError:
        raise SiteError(f"{PACKAGE} is missing, which has KaTeX. Install what the site needs: uv sync") from None
    chunks = {path: path.read_text(encoding="utf-8") for path in paths if path.suffix == ".js"}
    code = next((text for text in chunks.values() if "renderToString:function" in text), "")
    style = next((text for text in chunks.values() if "@font-face" in text), "")
    module = re.search(r"\.push\(\[\[\d+\],\{(\d+):", code)
    if not module or not style:
        raise SiteError(f"{PACKAGE} is not the version that docs/site/katex.py knows how to take apart")
    css, fonts = _stylesheet(style, "".join(chunks.values()))
    found = {path.name: path.read_bytes() for path in paths if path.name in fonts}
    script = LOADER % (code.rstrip(), module[1])
    return {"katex.js": script.encode(), "katex.css": css.encode(), **found}


def _stylesheet(chunk: str, chunks: str) -> tuple[str, set[str]]:
    """The rules, with the fonts as files beside them; of each font only the smallest kind, which all browsers know."""
    modules = dict(re.findall(r"([\w$]+)=new URL\(t\((\d+)\)", chunk))
    aliases = dict(re.findall(r"([\w$]+)=\w+\(\)\(([\w$]+)\)", chunk))
    names = dict(re.findall(r'(\d+):\([\w,]*\)=>\{\w+\.exports=\w+\.p\+"([^"]+)"', chunks))
    literal = re.search(r"""\.push\(\[e\.id,["'](.*?)["'],""\]\)""", chunk, re.DOTALL)
    if not literal or not names:
        raise SiteError(f"the style sheet in {PACKAGE} is not where it was")
    css = re.sub(r"""["']\+([\w$]+)\+["']""", lambda found: names[modules[aliases[found[1]]]], literal[1])
    css = re.sub(r"\\(.)", lambda found: "\n" if found[1] == "n" else found[1], css)
    css = re.sub(r"src: (url\([^)]+\.woff2\))[^;]*;", r"src: \1 format('woff2');\n  font-display: swap;", css)
    return css, set(re.findall(r"url\(([^)]+)\)", css))
