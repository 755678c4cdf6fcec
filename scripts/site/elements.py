"""The interactive elements of the pages, such as `<dino-pixels>`. Each stands around a figure, which is its fallback.

Their code is in dino/web/elements. The site gets one script and one file of styles with all elements, and for each
element a data file, which `elements_data` computes. Only pages that use elements load them, and an element loads its
data when it comes near the window. Some elements use the pretrained network. They load the engine and the weights,
which are files of `playground`, when they are in the window. All of these files are scripts, because pages opened from
a disk can't load anything else.
"""

import json
import re
import subprocess
import sys
from html import escape
from pathlib import Path

from markdown import Extension, Markdown

from scripts.site.cache import cached
from scripts.site.paths import ROOT, SiteError

SOURCES = ROOT / "dino" / "web" / "elements"
RECORDINGS = ROOT / "scripts" / "site" / "recordings"
SHARED = ("common", "network")
NAMES = tuple(f"dino-{path.stem}" for path in sorted(SOURCES.glob("*.js")) if path.stem not in SHARED)
SCRIPT, STYLES = "javascripts/elements.js", "stylesheets/elements.css"
NEEDS_SCRIPT = '<noscript><p class="notice">With JavaScript, you could move this figure yourself.</p></noscript>'
USED = re.compile(rf"<({'|'.join(NAMES)})[ >]")


class KnownToMarkdown(Extension):  # type: ignore[misc]
    """Makes Markdown treat the elements as blocks, like div, so that there may be Markdown inside."""

    def extendMarkdown(self, md: Markdown) -> None:  # noqa: N802
        """Add the names of the elements to those of HTML's blocks."""
        md.block_level_elements.extend(NAMES)


def around(figure: str, name: str, question: str, where: str) -> str:
    """Return the Markdown of an element around a figure.

    Args:
        figure: the Markdown of the figure.
        name: of the element.
        question: one line, which the reader answers by moving something.
        where: the place in the page, for messages.

    Raises:
        SiteError: if there is no such element, or no question.
    """
    if name not in NAMES:
        raise SiteError(f"{where}: there is no element {name}. There are {', '.join(NAMES)}")
    if not question:
        raise SiteError(f'{where}: an element needs question="..." on its fence line')
    opening = f'<{name} class="live-element" question="{escape(question)}" markdown="1">'
    return "\n\n".join([opening, figure.strip(), NEEDS_SCRIPT, f"</{name}>\n"])


def files() -> dict[str, str]:
    """Return the files that the elements need, by their paths below the site."""
    made = {SCRIPT: script(), STYLES: (SOURCES / "elements.css").read_text(encoding="utf-8")}
    for name, numbers in data().items():
        made[f"javascripts/elements/{name}.js"] = f'dino.receive("{name}", {json.dumps(numbers)})\n'
    return made


def script() -> str:
    """Return the code of all elements as one script. Comments are left out."""
    sources = [SOURCES / f"{name.removeprefix('dino-')}.js" for name in (*SHARED, *NAMES)]
    return "".join(f"{_without_comments(path.read_text(encoding='utf-8'))};\n" for path in sources)


def _without_comments(code: str) -> str:
    lines = (line.strip() for line in code.splitlines() if not re.match(r" *(//|/\*\*.*\*/ *$)", line))
    return "\n".join(filter(None, lines))


def data() -> dict[str, object]:
    """Return the data of each element. They are computed in a process of their own, which needs torch, and cached."""
    dino, here = ROOT / "dino", Path(__file__).with_name("elements_data.py")
    used = [here, *dino.glob("*.py"), *dino.glob("data/*.py"), *RECORDINGS.glob("*")]
    used += [path for kind in ("parquet", "safetensors") for path in dino.glob(f"data/*.{kind}")]

    def compute() -> tuple[dict[str, object], list[Path]]:
        command = [sys.executable, "-m", "scripts.site.elements_data"]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, encoding="utf-8", check=False)
        if done.returncode:
            raise SiteError(f"the data of the elements: {done.stderr.strip().splitlines()[-1]}")
        return json.loads(done.stdout.splitlines()[-1]), used

    result: dict[str, object] = cached("elements", list(NAMES), compute)
    return result


def load_in(html: str, to_root: str) -> str:
    """Return a page that loads the script and the style sheet, if it uses elements.

    Args:
        html: of the page.
        to_root: the relative path from the page to the root of the site, such as "../".
    """
    if not USED.search(html):
        return html
    styles, code = (
        f'<link rel="stylesheet" href="{to_root}{STYLES}">',
        f'<script src="{to_root}{SCRIPT}" defer></script>',
    )
    return html.replace("</head>", f"{styles}{code}</head>", 1)
