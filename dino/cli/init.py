"""`dino init` and `dino update`: a learner's folder, new and up to date."""

import os
from pathlib import Path
from typing import Annotated

import typer

from ..common.errors import shell_command, shell_word
from ..course.curriculum import LESSONS, find_course
from ..course.learner_folder import create
from ..course.learner_folder import update as bring_up_to_date
from .app import app
from .course import PANEL
from .options import Debug
from .output import say


@app.command(rich_help_panel=PANEL)
def init(
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="A new folder for the lessons and your answers.")],
    debug: Debug = False,
) -> None:
    """Make a folder to take the course in: the lessons, with everything that pytest and uv need."""
    course = create(folder)
    first = course.lesson_file(LESSONS[0])
    say("made", folder)
    say("open", first)
    typer.echo("\nStart with:")
    if folder.resolve() != Path.cwd():  # in a line of its own, because PowerShell has no && before version 7
        typer.echo(f"  cd {shell_word(folder)}")
    typer.echo(f"  {shell_command('pytest', f'lessons/{LESSONS[0].number}')}")


@app.command(rich_help_panel=PANEL)
def update(debug: Debug = False) -> None:
    """Bring the lessons up to date with the installed version of dino. What you wrote stays."""
    course = find_course()
    changes = bring_up_to_date(course)
    for name in changes.written:
        say("updated", os.path.relpath(course.root / name))
    for name in changes.kept:
        say("kept", f"{os.path.relpath(course.root / name)}: you changed it. For the new version, move yours away")
    if not changes.written and not changes.kept:
        typer.echo("The lessons are up to date.")
