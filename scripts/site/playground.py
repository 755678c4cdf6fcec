"""The playground: the engine, the page around it and the pretrained models, as files of the site.

Other pages can use the engine too: javascripts/dino.js defines `Dino` (see dino/web/dino.js), and a script such as
javascripts/models/pretrained-32.js adds its weights as `Dino.pretrained["pretrained-32"]`, in base64.
"""

import json

from dino.cli.sample import GREETING
from dino.trainer.model_file import PRETRAINED
from dino.web.bundle import engine_script, in_base64, page_style

SCRIPT, STYLE, MODELS = "javascripts/dino.js", "stylesheets/dino-page.css", "javascripts/models/"


def files() -> dict[str, str]:
    """Return the files by their paths in the site."""
    made = {SCRIPT: engine_script(with_page=True), STYLE: page_style()}
    for path in set(PRETRAINED.values()):
        weights = json.dumps(in_base64(path.read_bytes()))
        made[f"{MODELS}{path.stem}.js"] = f"(Dino.pretrained ??= {{}})[{json.dumps(path.stem)}] = {weights};\n"
    return made


def playground() -> str:
    """Return the place of the playground in a page at the root of the site. It opens the smallest model first."""
    names = " ".join(path.stem for path in sorted(set(PRETRAINED.values()), key=lambda path: path.stat().st_size))
    return (
        f'<link rel="stylesheet" href="{STYLE}">\n'
        f'<div class="playground" data-models="{MODELS}" data-names="{names}" data-words="{GREETING[0]}"></div>\n'
        "<noscript>The playground is a program, so it needs JavaScript.</noscript>\n"
        f'<script src="{SCRIPT}" defer></script>\n<script src="javascripts/playground.js" defer></script>'
    )
