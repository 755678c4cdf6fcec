"""`dino push`: upload a model to the Hugging Face hub."""

import json
import math
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ..common.errors import shell_command
from .app import app
from .loading import load
from .options import Debug, Device, Weights
from .output import say

if TYPE_CHECKING:
    from torch import nn

    from ..trainer.model_hub import Destination


@app.command(
    epilog="""
[bold]Examples[/bold]

dino push alice/dinos                         [dim]the newest run, as a public model of yours[/dim]

dino push alice/cats runs/cats-1 --private    [dim]only you can see it[/dim]

Log in first: [bold]hf auth login[/bold], or set HF_TOKEN. Then anybody can draw with it: dino sample hf:alice/dinos
"""
)
def push(
    name: Annotated[str, typer.Argument(metavar="USER/NAME", help="Your name on the hub, and the model's.")],
    weights: Weights = None,
    private: Annotated[bool, typer.Option("--private", help="Only you can see a new model.")] = False,
    license: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="The license of the weights, as the hub spells it. By default mit if the training images came with "
            "dino, and unknown otherwise.",
        ),
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Don't ask before uploading.")] = False,
    device: Device = "auto",
    debug: Debug = False,
) -> None:
    """Upload a model to the Hugging Face hub: its weights, a card that describes it, and images that it drew.

    It prints what it will upload, how large that is, and where to, and asks first.
    """
    from ..trainer.model_hub import PREFIX, check_repository, find_destination, upload
    from ..trainer.noising import check_plain

    check_repository(name)
    destination = find_destination(name, private=private)
    model, metadata, _ = load(weights, device)
    check_plain(metadata, "the model card, whose example starts from uniform noise,")
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        _prepare(folder, name, model, metadata, license)
        _announce(folder, destination)
        if not yes:
            typer.confirm("Upload these files?", abort=True)
        upload(folder, destination)
    say("wrote", destination.address)
    say("next", f"draw with it, anywhere: {shell_command('dino', 'sample', f'{PREFIX}{name}')}")


def _prepare(folder: Path, name: str, model: "nn.Module", metadata: dict[str, Any], license: str | None) -> None:
    """Write the files to upload into a folder."""
    from ..common.grids import save_image
    from ..reports.model_card import SAMPLES, card, default_license, public
    from ..trainer.model_file import HALF, save_model
    from ..trainer.tensor_file import WEIGHTS
    from .sample import draw_without_options

    license, metadata = license or default_license(metadata), public(metadata)
    save_model(folder / WEIGHTS, model, metadata, half=metadata.get("stored") == HALF)
    config = json.dumps(metadata["config"], indent=2)
    (folder / "config.json").write_text(f"{config}\n", encoding="utf-8")
    image, n_images = draw_without_options(model, metadata)
    save_image(image, folder / SAMPLES)
    page = card(name, folder / WEIGHTS, metadata, n_images=n_images, license=license)
    (folder / "README.md").write_text(page, encoding="utf-8")


def _announce(folder: Path, destination: "Destination") -> None:
    """Print what will be uploaded, how large it is, and where to."""
    is_new, who = destination.files is None, "only for you" if destination.is_private else "public"
    say("to", f"{destination.address}, {'new' if is_new else 'which exists'} and {who}, as {destination.user}")
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        name = path.relative_to(folder).as_posix()
        replaced = " (replaces the one there)" if name in (destination.files or ()) else ""
        say("upload", f"{name}, {math.ceil(path.stat().st_size / 1000):,} kB{replaced}")
