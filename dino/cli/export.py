"""`dino export`: write a model for programs without PyTorch."""

from pathlib import Path
from typing import Annotated

import typer

from .app import app
from .loading import load
from .options import Debug, Weights
from .output import say


@app.command(
    epilog="""
[bold]Examples[/bold]

dino export                             [dim]the newest run, as model.onnx in its folder[/dim]

dino export pretrained --onnx dinos.onnx  [dim]the model that comes with dino[/dim]

How to use the file, without PyTorch: docs/guides/onnx.md
"""
)
def export(
    weights: Weights = None,
    onnx: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="The ONNX file to write. By default model.onnx beside the weights."),
    ] = None,
    debug: Debug = False,
) -> None:
    """Write a model as an ONNX file, and check that it predicts what PyTorch predicts.

    It takes any number of images at once, of any size that the network can halve often enough.
    """
    from ..trainer.onnx_file import check_packages, checked_shapes, export_onnx, input_shapes, size_multiple

    check_packages()  # before the model is loaded
    model, metadata, folder = load(weights, "cpu")
    path = onnx or folder / "model.onnx"
    difference = export_onnx(model, metadata, path)
    say("wrote", path)
    inputs = (f"{name} ({', '.join(map(str, shape))})" for name, shape in input_shapes(metadata).items())
    say("takes", f"{', '.join(inputs)}; H and W divisible by {size_multiple(metadata)}")
    say("checked", f"at {len(checked_shapes(metadata))} batches and sizes: at most {difference:.1e} from PyTorch's")
