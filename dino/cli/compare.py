"""`dino compare`: real images beside generated ones."""

from pathlib import Path
from typing import Annotated

import typer

from .app import app
from .loading import load, real_images
from .options import Data, Debug, Device, Seed, Spacing, Split, Steps, StepSize, Weights
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
    steps: Steps = None,
    spacing: Spacing = "warped",
    step_size: StepSize = None,
    seed: Seed = 0,
    out: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="The image to write. By default compare.png beside the weights."),
    ] = None,
    device: Device = "auto",
    debug: Debug = False,
) -> None:
    """Show real images on the left and generated ones on the right.

    A model that knows words is asked for what the real image in the same place shows.
    """
    import torch

    from ..common.grids import comparison, save_image
    from ..data.loading import load_labeled_images
    from ..images import seeded, to_unit
    from ..trainer.batched_sampling import Steps as Schedule
    from ..trainer.batched_sampling import Wishes, generate_as_saved
    from ..trainer.model_file import image_shape, vocabulary

    model, metadata, folder = load(weights, device)
    shape, (source, part) = image_shape(metadata), real_images(metadata, data, split)
    words = vocabulary(metadata)
    real = load_labeled_images(source, shape[-1], vocabulary=words, channels=shape[0], split=part)
    chosen = torch.randperm(len(real.images), generator=seeded("cpu", seed, "compare"))[:n]
    condition = real.words[chosen[torch.arange(n) % len(chosen)]].float() if words else None
    images = generate_as_saved(
        model, metadata, n, image_shape=shape, steps=Schedule.for_model(metadata, steps, spacing, step_size),
        wishes=Wishes(condition), seed=seed,
    )  # fmt: skip
    say("wrote", save_image(comparison(to_unit(real.images[chosen]), images), out or folder / "compare.png"))
