"""Bundles: the engine as one script, and a single-file page with a model inside."""

import base64
import json
from html import escape
from pathlib import Path

from ..data.words import EMPTY_WORDS, SYNONYMS

FOLDER = Path(__file__).parent
ENGINE = FOLDER / "engine.wasm"
PARTS = ("safetensors", "network", "random", "sampler", "words", "model")
PAGE_PARTS = ("gif", "page")
# The weights are in an element that the browser doesn't run, so that it doesn't read megabytes of text as a program.
PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>{title}</title>
<link rel="icon" href="data:,">
<style>
:root {{ color-scheme: light dark; background: light-dark(#fbfaf6, #131a19); }}
body {{ margin: 0; padding: clamp(1rem, 4vw, 2.5rem); }}
main {{ max-width: 66rem; margin: 0 auto; }}
noscript {{ font: 1rem/1.5 system-ui, sans-serif; }}
{style}</style>
</head>
<body>
<main><noscript>This page draws with a program, so it needs JavaScript.</noscript></main>
<script type="text/plain" id="weights">{weights}</script>
<script>
{script}
const weights = Dino.fromBase64(document.getElementById("weights").textContent);
Dino.page(document.querySelector("main"), {{ weights, name: {name}, words: {words} }});
</script>
</body>
</html>
"""


def engine_script(*, with_page: bool = False) -> str:
    """Return the engine as one script, for a `<script>` of a page. It defines `Dino`; see dino/web/dino.js.

    Args:
        with_page: whether to add `Dino.page`, the page around a model; `page_style` is its style sheet.
    """
    language = json.dumps({"empty": sorted(EMPTY_WORDS), "synonyms": SYNONYMS})
    data = f'Dino.engine = Dino.fromBase64("{in_base64(ENGINE.read_bytes())}");\nDino.language = {language};'
    parts = PARTS + (PAGE_PARTS if with_page else ())
    return "\n".join([_read("dino.js"), data, *(_read(f"{part}.js") for part in parts)])


def page_style() -> str:
    """Return the style sheet of `Dino.page`."""
    return _read("page.css")


def page(weights: bytes, name: str, words: str = "") -> str:
    """Return a single-file page that draws with a model, without any other file and without a network.

    Args:
        weights: the bytes of a weights file.
        name: of the model, for its readers.
        words: what to ask for first, of a model that knows words.
    """
    return PAGE.format(
        title=escape(f"{name}: out of noise"), style=page_style(), weights=in_base64(weights),
        script=engine_script(with_page=True), name=_in_script(name), words=_in_script(words),
    )  # fmt: skip


def in_base64(data: bytes) -> str:
    """Return bytes as text that a script can hold."""
    return base64.b64encode(data).decode()


def _in_script(text: str) -> str:
    """Return a text as JavaScript, which can't end the `<script>` that it stands in."""
    return json.dumps(text).replace("<", "\\u003c")


def _read(name: str) -> str:
    return (FOLDER / name).read_text(encoding="utf-8")
