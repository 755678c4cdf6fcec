"""`dino page`: turn a model into a single-file web page."""

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from .app import app
from .loading import load
from .options import Debug, Weights
from .output import say
from .sample import known_greetings

if TYPE_CHECKING:
    from torch import nn


@app.command(
    epilog="""
[bold]Examples[/bold]

dino page                         [dim]the newest run, as page.html in its folder[/dim]

dino page runs/quick-1 --out dinos.html  [dim]a page to send to a friend[/dim]

Open the file with a double click. It needs no server and no network, and works on a phone, too.
"""
)
def page(
    weights: Weights = None,
    out: Annotated[
        Path | None, typer.Option(metavar="FILE", help="The page to write. By default page.html beside the weights.")
    ] = None,
    debug: Debug = False,
) -> None:
    """Turn a model into a single-file web page that draws live."""
    from ..common.atomic_file import replacing
    from ..trainer.noising import check_plain
    from ..web.bundle import page as bundled

    model, metadata, folder = load(weights, "cpu")
    check_plain(metadata, "a page")
    path = out or folder / "page.html"
    words = next(iter(known_greetings(metadata)), "")
    text = bundled(_in_half_precision(model, metadata), _name(weights, folder), words)
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8", newline="\n")
    say("wrote", f"{path}, {path.stat().st_size / 1e6:.1f} MB")
    say("next", "open it in a browser, or send it to a friend")


def _in_half_precision(model: "nn.Module", metadata: dict[str, Any]) -> bytes:
    """Return a weights file in float16, which is enough to draw with. It doesn't say where the training images are."""
    from ..reports.model_card import public
    from ..trainer.model_file import save_model
    from ..trainer.tensor_file import WEIGHTS

    with tempfile.TemporaryDirectory() as temporary:
        path = Path(temporary) / WEIGHTS
        save_model(path, model, public(metadata), half=True)
        return path.read_bytes()


def _name(weights: Path | None, folder: Path) -> str:
    """Return what to call a model: the name of its run or file."""
    return weights.stem if weights is not None and weights.suffix else folder.name
