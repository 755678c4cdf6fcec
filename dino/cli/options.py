"""Arguments and options that several commands share."""

import math
from pathlib import Path
from typing import Annotated

import typer


def checked_seed(seed: int | None) -> int | None:
    """Refuse a seed that torch can't take."""
    if seed is not None and not 0 <= seed < 2**63:
        raise typer.BadParameter("a seed is a whole number from 0 to 2**63 - 1")
    return seed


def checked_finite(value: float | None) -> float | None:
    """Refuse a NaN and an infinity, which would make every image NaN."""
    if value is not None and not math.isfinite(value):
        raise typer.BadParameter("it must be a finite number")
    return value


def checked_spacing(spacing: str) -> str:
    """Refuse an unknown spacing of the steps."""
    if spacing not in ("warped", "even"):
        raise typer.BadParameter("steps are warped or even")
    return spacing


# Every option has a metavar, because its type and range in words would fill half of a narrow terminal.
Weights = Annotated[
    Path | None,
    typer.Argument(
        metavar="RUN|WEIGHTS",
        help="A run folder, a weights file, or hf:USER/NAME: a model of the Hugging Face hub. By default the newest "
        "run or, before there is one, 'pretrained': the model that comes with dino.",
    ),
]
Data = Annotated[
    str | None,
    typer.Option(metavar="SOURCE", help="The real images. By default those the model was trained on."),
]
Split = Annotated[
    str | None, typer.Option(metavar="NAME", help="The split of a Hugging Face data set, or of a folder with splits.")
]
Device = Annotated[str, typer.Option(metavar="NAME", help="auto, cpu, cuda, cuda:1, mps ...")]
Steps = Annotated[
    int | None,
    typer.Option(
        metavar="N", min=1, help="Sampling steps: more is finer and slower. By default 10 warped or 100 even ones."
    ),
]
Spacing = Annotated[
    str,
    typer.Option(
        metavar="NAME",
        callback=checked_spacing,
        help="warped: small steps at first, where it is decided what the image shows; or even, as in lesson 04.",
    ),
]
StepSize = Annotated[
    float | None,
    typer.Option(
        metavar="X",
        min=0,
        callback=checked_finite,
        help="How far to extrapolate from the previous prediction through the new one: 1 is the new one itself. By "
        "default 2 for even steps. For warped ones what is exact for each step, and 1 for the last.",
    ),
]
Guidance = Annotated[
    float,
    typer.Option(
        metavar="X",
        callback=checked_finite,
        help="How strictly to follow the words: 0 ignores them, 1 is neutral, more exaggerates.",
    ),
]
GUIDANCE = 1.5  # `dino.steering.GUIDANCE`
Seed = Annotated[int, typer.Option(metavar="N", callback=checked_seed, help="Determines every random number.")]
Debug = Annotated[bool, typer.Option("--debug", help="On an error, show where in the code it happened.")]
