"""`dino bench`: measure how fast training is on this machine."""

from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from .app import app
from .options import Debug, Device
from .output import command_line, say
from .presets import preset_for


@app.command(
    epilog="""
[bold]Examples[/bold]

dino bench                                   [dim]what suits this machine[/dim]

dino bench --preset full --seconds 20        [dim]the larger network; slow on a CPU[/dim]

dino bench --batch-size 256 --json 256.json  [dim]also writes 256.md and 256.png[/dim]

Ctrl-C shows what was measured so far.
"""
)
def bench(
    preset: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="quick, full, iadb, original. By default what suits the hardware."),
    ] = None,
    batch_size: Annotated[
        int | None, typer.Option(metavar="N", help="Images in one step, instead of the preset's.")
    ] = None,
    seconds: Annotated[
        float, typer.Option(metavar="X", min=0.01, help="How long each loop runs in a round, at least 3 steps.")
    ] = 4,
    rounds: Annotated[int, typer.Option(metavar="N", min=1, help="How many times each loop runs.")] = 5,
    json: Annotated[
        Path,
        typer.Option(metavar="FILE", help="The file for all numbers. A table and a plot go beside it (.md and .png)."),
    ] = Path("runs/bench.json"),
    device: Device = "auto",
    debug: Debug = False,
) -> None:
    """Measure how fast training is here, and what each of the trainer's choices adds to a plain loop."""
    from ..reports.benchmark import facts, markdown, measure, write
    from ..reports.report import check_name
    from ..trainer.device import choose_device
    from ..trainer.presets import PRESETS

    check_name(json)
    place = choose_device(device)
    preset = preset_for(preset, place)
    config = PRESETS[preset] if batch_size is None else replace(PRESETS[preset], batch_size=batch_size)
    report = measure(config, place, seconds=seconds, rounds=rounds)
    report |= {"preset": preset, "command": command_line()}
    typer.echo(f"\n{markdown(report)}\n")
    for label, fact in facts(report).items():
        say(label, fact)
    for path in write(report, json):
        say("wrote", path)
    if report["interrupted"]:
        raise typer.Exit(130)
