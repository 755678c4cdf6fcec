"""`dino sample`: draw new images."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from .app import app
from .loading import load
from .options import Debug, Device, Seed, Steps, StepSize, Weights
from .output import say

if TYPE_CHECKING:
    from ..sampler import Step

N_FRAMES = 51  # of an animation, at most


@app.command(
    epilog="""
[bold]Examples[/bold]

dino sample                              [dim]a grid from the newest run[/dim]

dino sample pretrained -n 64             [dim]from the model that comes with dino[/dim]

dino sample runs/quick-1 -n 16 --seed 7  [dim]sixteen others[/dim]

dino sample runs/quick-1 --animate       [dim]a GIF from noise to pictures[/dim]

dino sample model.safetensors --strip    [dim]one picture, step by step[/dim]
"""
)
def sample(
    weights: Weights = None,
    n: Annotated[int, typer.Option("-n", metavar="N", min=1, help="How many images.")] = 36,
    steps: Steps = 100,
    step_size: StepSize = 2.0,
    seed: Seed = 0,
    animate: Annotated[
        bool, typer.Option("--animate", help="Also write a GIF of the images coming out of the noise.")
    ] = False,
    strip: Annotated[
        bool,
        typer.Option("--strip", help="Also write a strip: one image at ten steps, above the predictions made there."),
    ] = False,
    out: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="The image to write. By default generated.png beside the weights."),
    ] = None,
    device: Device = "auto",
    debug: Debug = False,
) -> None:
    """Draw new images with a trained model."""
    from ..common.grids import animation, grid, save_image
    from ..trainer.batched_sampling import generate_batched
    from ..trainer.model_file import image_shape
    from ..trainer.strips import STRIP_COLUMNS, sampling_strip

    model, metadata, folder = load(weights, device)
    out = out or folder / "generated.png"
    path: list[Step] = []
    images = generate_batched(
        model, n, image_shape=image_shape(metadata), n_steps=steps, step_size=step_size, seed=seed,
        path=path if animate or strip else None,
    )  # fmt: skip
    say("wrote", save_image(grid(images), out))
    if animate:
        frames = [grid(step.noisy) for step in _at_most(path, N_FRAMES)]
        say("wrote", animation(frames, out.with_name(f"{out.stem}-animation.gif")))
    if strip:
        rows = grid(sampling_strip(path), columns=STRIP_COLUMNS)
        say("wrote", save_image(rows, out.with_name(f"{out.stem}-strip.png")))


def _at_most(path: "list[Step]", n: int) -> "list[Step]":
    """Return `n` of the steps, evenly spaced, or all of them if there are fewer."""
    return path if len(path) <= n else [path[round(k * (len(path) - 1) / (n - 1))] for k in range(n)]
