"""`dino doctor`: diagnose a run."""

from pathlib import Path
from typing import Annotated

import typer

from .app import app
from .options import Debug
from .output import command_line, say


@app.command(
    epilog="""
[bold]Examples[/bold]

dino doctor                 [dim]the newest run[/dim]

dino doctor runs/quick-1    [dim]also while it is training[/dim]

What the recorded runs look like: docs/gallery.md
"""
)
def doctor(
    run: Annotated[
        Path | None, typer.Argument(metavar="RUN", help="The folder of a run. By default the newest.")
    ] = None,
    json: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="The file for all numbers; a page and a plot go beside it. By default RUN/doctor.json."
        ),
    ] = None,
    debug: Debug = False,
) -> None:
    """Diagnose a run: is it healthy, unfinished or broken, and where is the fault?"""
    from ..reports import diagnosis
    from ..reports.report import check_name, write
    from ..trainer.run_folder import newest_run

    if json:
        check_name(json)
    folder = run or newest_run()
    report, figure = diagnosis.diagnose(folder)
    report |= {"command": command_line()}
    table, facts = diagnosis.markdown(report), diagnosis.facts(report)
    typer.echo(f"\n{table}\n")
    for name, value in facts.items():
        say(name, value)
    for path in write(report, json or folder / "doctor.json", table, facts, figure):
        say("wrote", path)
