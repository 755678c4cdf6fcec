"""The gallery: a broken run beside a healthy one, and the verdict of `dino doctor`. Everything here is read from what
scripts/benchmarks/gallery.py wrote, so a page that uses these macros is up to date when that program has run.
"""

import json
from functools import cache
from typing import Any

from dino.reports.diagnosis import RECORDED
from scripts.site.paths import DOCS, SiteError

GRIDS = DOCS / "images" / "gallery"
VERDICTS = GRIDS / "verdicts.json"  # by the names of the runs
HEALTHY, HEALTHY_ALT = "healthy-0", "A healthy run: sixteen dinosaurs, all whole, some blotched"


@cache
def _runs() -> dict[str, dict[str, Any]]:
    runs = json.loads(RECORDED.read_text(encoding="utf-8"))["runs"]
    return {run["name"]: run for run in runs}


def _run(name: str) -> dict[str, Any]:
    if name not in _runs():
        raise SiteError(f"there is no run {name} in the gallery. There are {', '.join(_runs())}")
    return _runs()[name]


def side_by_side(name: str, alt: str) -> str:
    """Return the last grid of a healthy run and that of a broken one, beside each other.

    Args:
        name: of the broken run.
        alt: what its grid shows, without what is wrong.
    """
    _run(name)
    figures = "\n".join(
        f'<figure markdown="1">\n![{text}](images/gallery/{run}.png)\n<figcaption>{caption}</figcaption>\n</figure>'
        for run, text, caption in ((HEALTHY, HEALTHY_ALT, "healthy"), (name, alt, "this run"))
    )
    return f'<div class="side-by-side" markdown="1">\n{figures}\n</div>'


def reveal(title: str) -> str:
    """Return the beginning of a part that is closed until the reader has guessed."""
    return f'<details class="question" markdown="1">\n<summary markdown="span">{title}</summary>'


def end_reveal() -> str:
    """Return the end of such a part."""
    return "</details>"


def verdict(name: str) -> str:
    """Return the last loss of a run, beside those of the healthy runs, and what the doctor says."""
    last = {run: each["losses"][-1][1] for run, each in _runs().items()}
    healthy = [loss for run, loss in last.items() if run.startswith("healthy")]
    _run(name)
    verdicts: dict[str, str] = json.loads(VERDICTS.read_text(encoding="utf-8"))
    mine = "" if name.startswith("healthy") else f"Its last loss is {_loss(last[name])}. "
    ends = f"The healthy runs end with losses of {_loss(min(healthy))} to {_loss(max(healthy))}."
    return f"{mine}{ends} `dino doctor` says:\n\n> {verdicts[name]}"


def _loss(loss: float) -> str:
    return f"{loss:.4f}" if loss < 1 else f"{loss:.2e}"
