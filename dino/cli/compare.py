"""`dino compare`: real images beside generated ones."""

from pathlib import Path
from typing import Annotated

import typer

from .app import app
from .loading import load, real_images
from .options import Data, Debug, Device, Seed, Split, Steps, StepSize, Weights
from .output import say


@app.command(
    epilog="""
[bold]Examples[/bold]

dino compare                               [dim]beside the images it was trained on[/dim]

dino compare runs/quick-1 --data ~/photos  [dim]beside other images[/dim]
"""
)
def compare(
    weights: Weights = None,
    data: Data = None,
    split: Split = None,
    n: Annotated[int, typer.Option("-n", metavar="N", min=1, help="How many images on each side.")] = 36,
    steps: Steps = 100,
    step_size: StepSize = 2.0,
    seed: Seed = 0,
    out: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="The image to write. By default compare.png beside the weights."),
    ] = None,
    device: Device = "auto",
    debug: Debug = False,
) -> None:
    """Show real images on the left and generated ones on the right."""
    import torch

    from ..common.grids import comparison, save_image
    from ..data.loading import load_images
    from ..images import seeded, to_unit
    from ..trainer.batched_sampling import generate_batched
    from ..trainer.model_file import image_shape

    model, metadata, folder = load(weights, device)
    shape, (source, part) = image_shape(metadata), real_images(metadata, data, split)
    real = load_images(source, shape[-1], channels=shape[0], split=part)
    chosen = torch.randperm(len(real), generator=seeded("cpu", seed, "compare"))[:n]
    images = generate_batched(model, n, image_shape=shape, n_steps=steps, step_size=step_size, seed=seed)
    say("wrote", save_image(comparison(to_unit(real[chosen]), images), out or folder / "compare.png"))
