"""`dino grade`: grade many learners' folders."""

import contextlib
import csv
import io
import json
import os
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ..common.atomic_file import replacing
from ..common.errors import DinoError, printable, shell_command
from ..course.curriculum import LESSONS, find_lesson
from ..course.sandbox import TIME_LIMIT
from .app import app
from .course import PANEL
from .options import Debug
from .output import say

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..course.curriculum import Lesson
    from ..course.grading import Grades


class Format(StrEnum):
    """Formats of the JSON file."""

    DINO = "dino"
    GRADESCOPE = "gradescope"


@app.command(
    rich_help_panel=PANEL,
    epilog="""
[bold]Examples[/bold]

dino grade submissions/                              [dim]every learner's folder in there[/dim]

dino grade alice bob --lesson 03 --csv grades.csv    [dim]one lesson, as a table for a spreadsheet[/dim]

dino grade . --format gradescope --json results.json [dim]one learner, for Gradescope[/dim]
""",
)
def grade(
    folders: Annotated[
        list[Path], typer.Argument(metavar="FOLDER...", help="Learners' folders, or folders that hold them.")
    ],
    lesson: Annotated[
        list[str] | None, typer.Option("--lesson", metavar="LESSON", help="Grade only this lesson. May be repeated.")
    ] = None,
    json_file: Annotated[
        Path | None, typer.Option("--json", metavar="FILE", help="Write all results here, one for each exercise.")
    ] = None,
    csv_file: Annotated[
        Path | None, typer.Option("--csv", metavar="FILE", help="Write all results here, as a table.")
    ] = None,
    form: Annotated[
        Format, typer.Option("--format", help="The format of the JSON file. Gradescope's is for one folder.")
    ] = Format.DINO,
    time_limit: Annotated[
        float, typer.Option(metavar="SECONDS", min=1, help="The processor time that one exercise may take.")
    ] = TIME_LIMIT,
    strict: Annotated[bool, typer.Option("--strict", help="An exercise that would pass with advice fails.")] = False,
    at_once: Annotated[
        int | None,
        typer.Option(metavar="N", min=1, help="How many folders to grade at a time. By default one on each processor."),
    ] = None,
    debug: Debug = False,
) -> None:
    """Grade many learners' folders. Their own copies of the graders aren't used."""
    from tqdm import tqdm

    from ..course.confinement import protections
    from ..course.grading import as_gradescope, as_json, as_rows, grade_all, learners_in, left_out

    learners, lessons = learners_in(folders), list(dict.fromkeys(map(find_lesson, lesson or ()))) or LESSONS
    if form is Format.GRADESCOPE and (len(learners) > 1 or json_file is None):
        fits = shell_command("dino", "grade", ".", "--format", "gradescope", "--json", "results.json")
        raise DinoError(f"Gradescope's format is for one folder, and goes into a JSON file. Run: {fits}")
    if missing := {"files", "memory"} - set(protections()):
        say("beware", f"this system can't protect {' and '.join(sorted(missing))} from the learners' code")
    if others := left_out(folders, learners):
        say("left out", f"without a lesson file: {', '.join(printable(path.name) for path in others)}")
    grades: list[Grades] = []
    try:
        at_once = min(at_once or os.cpu_count() or 1, len(learners))
        all_grades = grade_all(learners, lessons, at_once=at_once, time_limit=time_limit, strict=strict)
        with (
            contextlib.closing(all_grades),
            tqdm(total=len(learners), desc="grading", unit=" folders", leave=False, disable=None) as bar,
        ):
            for each in all_grades:
                grades.append(each)
                bar.update()
    finally:  # an interrupt keeps what was graded
        _print(grades, lessons)
        if json_file and grades:
            result = as_gradescope(grades[0]) if form is Format.GRADESCOPE else as_json(grades)
            _write(json_file, json.dumps(result, indent=1) + "\n")
        if csv_file and grades:
            _write(csv_file, _table(as_rows(grades)))
        if len(grades) < len(learners):
            say("stopped", f"{len(grades)} of {len(learners)} folders were graded")


def _print(grades: "list[Grades]", lessons: "Sequence[Lesson]") -> None:
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    table = Table("folder", *(x.number for x in lessons), "in all", box=None, pad_edge=False)
    for each in grades:
        in_all = f"{each.passed} of {len(each.results)}" + f", {each.advised} with advice" * (each.advised > 0)
        table.add_row(escape(printable(each.folder)), *map(each.passed_in, lessons), in_all)
    Console().print(table)


def _write(path: Path, text: str) -> None:
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8", newline="")
    say("wrote", path)


def _table(rows: list[dict[str, Any]]) -> str:
    text = io.StringIO()
    writer = csv.DictWriter(text, rows[0])
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()
