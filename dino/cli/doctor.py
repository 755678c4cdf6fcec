"""`dino doctor`: diagnose a run."""

from pathlib import Path
from typing import Annotated

import typer

from ..common.errors import shell_command
from .app import app
from .options import Debug
from .output import command_line, say


@app.command(
    epilog="""
[bold]Examples[/bold]

dino doctor                 [dim]the newest run[/dim]

dino doctor runs/quick-1    [dim]even while it is still training[/dim]

The runs that yours is compared with: docs/gallery.md
"""
)
def doctor(
    run: Annotated[Path | None, typer.Argument(metavar="RUN", help="A run folder. By default the newest run.")] = None,
    json: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="The JSON file for all numbers. A page and a plot go beside it. By default RUN/doctor.json.",
        ),
    ] = None,
    debug: Debug = False,
) -> None:
    """Diagnose a run: is it healthy, unfinished or broken, and where is the fault?"""
    from ..reports.diagnosis import diagnose, facts, markdown
    from ..reports.report import check_name, write
    from ..trainer.run_folder import newest_run

    if json:
        check_name(json)
    folder = run or newest_run()
    report, figure = diagnose(folder)
    report |= {"command": command_line()}
    table, sentences = markdown(report), facts(report)
    typer.echo(f"\n{table}\n")
    for label, fact in sentences.items():
        say(label, fact)
    for path in write(report, json or folder / "doctor.json", table, sentences, figure):
        say("wrote", path)
    if report["comparable"] and not report["symptoms"] and report["step"] == report["of_steps"]:
        say("next", f"measure how good its images are: {shell_command('dino', 'evaluate', folder)}")
