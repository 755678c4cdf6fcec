"""`dino evaluate`: measure how good a model is."""

from pathlib import Path
from typing import Annotated

import typer

from .app import app
from .loading import load, real_images
from .options import GUIDANCE, Data, Debug, Device, Guidance, Seed, Spacing, Split, Steps, StepSize, Weights
from .output import command_line, say


@app.command(
    epilog="""
[bold]Examples[/bold]

dino evaluate                           [dim]the newest run[/dim]

dino evaluate runs/quick-1 -n 1000      [dim]more images, steadier numbers[/dim]

dino evaluate runs/quick-1 --steps 25   [dim]are fewer steps as good?[/dim]

How to read the numbers: docs/guides/evaluation.md
"""
)
def evaluate(
    weights: Weights = None,
    data: Data = None,
    split: Split = None,
    n: Annotated[
        int | None,
        typer.Option(
            "-n", metavar="N", min=1, help="How many images to draw. By default 256, or fewer for a small data set."
        ),
    ] = None,
    steps: Steps = None,
    spacing: Spacing = "warped",
    step_size: StepSize = None,
    guidance: Guidance = GUIDANCE,
    seed: Seed = 0,
    json: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="The JSON file for all numbers. A page, a plot and a grid of images go beside it. By default "
            "evaluation.json beside the weights.",
        ),
    ] = None,
    fid: Annotated[bool, typer.Option("--fid", help="Also measure FID and KID; needs torchmetrics.")] = False,
    device: Device = "auto",
    debug: Debug = False,
) -> None:
    """Measure how well a model denoises, how real its images look, and whether they are copies of training images."""
    from ..reports.evaluate import RealImages, facts, markdown, measure, write
    from ..reports.report import check_name
    from ..trainer.batched_sampling import Steps as Schedule

    if json:
        check_name(json)
    model, metadata, folder = load(weights, device)
    real = RealImages.of(*real_images(metadata, data, split), metadata)
    schedule = Schedule.for_model(metadata, steps, spacing, step_size)
    report, pairs = measure(model, metadata, real, n=n, steps=schedule, guidance=guidance, seed=seed, fid=fid)
    report |= {"command": command_line()}
    typer.echo(f"\n{markdown(report)}\n")
    for label, fact in facts(report).items():
        say(label, fact)
    for path in write(report, pairs, json or folder / "evaluation.json"):
        say("wrote", path)
