"""The commands of the course: progress, hint, solution and reset. `watch` is in a file of its own."""

import difflib
import sys
import time
from pathlib import Path
from typing import Annotated

import typer

from ..common.atomic_file import replacing
from ..common.errors import shell_command
from ..course.curriculum import LESSONS, Course, Lesson, find_course, find_exercise, find_lesson
from ..course.hints import next_hint
from ..course.progress import Record, grade_changed
from ..course.stubs import exercise_source, stub
from .app import app
from .options import Debug

PANEL = "The course"

LessonName = Annotated[str, typer.Argument(metavar="LESSON", help="Its number or name: 03, or training.")]
ExerciseName = Annotated[str, typer.Argument(metavar="EXERCISE", help="Its number or name: 3.2, or train_step.")]


@app.command(rich_help_panel=PANEL)
def progress(
    strict: Annotated[bool, typer.Option("--strict", help="An exercise with advice doesn't count as passed.")] = False,
    debug: Debug = False,
) -> None:
    """Show which exercises pass. Files that changed since they were graded are graded first."""
    record = Record(find_course(), strict=strict)
    grade_changed(record)
    print_progress(record)


def print_progress(record: Record) -> None:
    """Print the table of all exercises, and what comes next."""
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    table = Table("", "exercise", "", "last verdict", header_style="bold", box=None, pad_edge=False)
    for lesson in LESSONS:
        passed = record.passed(lesson)
        table.add_row(f"[bold]{lesson.number}[/]", f"[bold]{lesson.teaches}[/]", f"{passed} of {len(lesson.exercises)}")
        for exercise in lesson.exercises:
            outcome = record.outcome(lesson, exercise)
            says = record.says(lesson, exercise)
            if outcome == "passed":
                says = " ".join(f"advice: {sentence}" for sentence in record.advice(lesson, exercise))
            mark = "[green]passed[/]" if outcome == "passed" else "[red]not yet[/]"
            if outcome == "unwritten":  # "not written yet", or "begun: `forward` is not written yet"
                state, _, says = says.partition(": ")
                mark = f"[dim]{escape(state)}[/]"
            table.add_row(lesson.exercise_number(exercise), exercise, mark, escape(says))
    console = Console()
    console.print(table)
    console.print()
    for line in record.summary([]).rsplit("; ", 1):  # what comes next, on a line of its own
        console.print(line, highlight=False)


@app.command(rich_help_panel=PANEL)
def hint(exercise: ExerciseName, debug: Debug = False) -> None:
    """Show a hint for an exercise. There are three, and each call shows one more."""
    from rich.console import Console
    from rich.markdown import Markdown

    lesson, name = find_exercise(exercise)
    shown, count = next_hint(find_course(), lesson, name)
    console, number = Console(), lesson.exercise_number(name)
    for index, text in enumerate(shown, 1):
        console.print(f"[bold]{number} {name}, hint {index} of {count}[/]")
        console.print(Markdown(text))
        console.print()
    if len(shown) < count:
        console.print(f"The next hint: {shell_command('dino', 'hint', number)}", highlight=False)
    else:
        console.print(
            f"That was the last hint. The solution: {shell_command('dino', 'solution', number)}", highlight=False
        )


@app.command(rich_help_panel=PANEL)
def solution(
    exercise: ExerciseName,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Don't ask first if the exercise doesn't pass yet.")] = False,
    debug: Debug = False,
) -> None:
    """Show the solution of an exercise, and how yours differs. Asks first if yours doesn't pass yet."""
    lesson, name = find_exercise(exercise)
    course, number = find_course(), lesson.exercise_number(name)
    record = Record(course)
    grade_changed(record, [lesson])
    if not yes and record.outcome(lesson, name) != "passed":
        typer.confirm(f"{number} {name} doesn't pass yet. Show the solution anyway?", abort=True)
    solved = exercise_source(course.solution(lesson).read_text(encoding="utf-8"), name)
    _show_code(solved, "python")
    difference = _difference(_own_source(course, lesson, name), solved)
    if difference:
        typer.secho("From yours (-) to the solution (+)\n", bold=True)
        _show_code(difference, "diff")


def _show_code(code: str, language: str) -> None:
    """Print code: in color on a screen, and plain into a file."""
    from rich.console import Console
    from rich.syntax import Syntax

    if sys.stdout.isatty():
        Console().print(Syntax(code, language, background_color="default", word_wrap=True))
    else:
        typer.echo(code)


def _own_source(course: Course, lesson: Lesson, name: str) -> str:
    try:
        return exercise_source(course.lesson_file(lesson).read_text(encoding="utf-8-sig"), name)
    except (OSError, SyntaxError, UnicodeDecodeError):
        return ""


def _difference(own: str, solved: str) -> str:
    lines = difflib.unified_diff(own.splitlines(), solved.splitlines(), lineterm="", n=2)
    return "\n".join(line for line in lines if not line.startswith(("---", "+++", "@@"))) if own else ""


@app.command(rich_help_panel=PANEL)
def reset(lesson: LessonName, debug: Debug = False) -> None:
    """Put the stubs back into a lesson's file. Your attempt is kept."""
    course, which = find_course(), find_lesson(lesson)
    file, stubs = course.lesson_file(which), stub(course, which)
    attempt = file.read_bytes() if file.exists() else b""
    if attempt.replace(b"\r\n", b"\n") == stubs.encode():  # git and editors may end lines as Windows does
        typer.echo(f"{short(file)} holds only stubs; there is nothing to reset")
        return
    if attempt.strip():
        kept = course.output_folder / "attempts" / f"{which.number}-{which.name}-{time.strftime('%Y%m%d-%H%M%S')}.py"
        with replacing(kept) as temporary:
            temporary.write_bytes(attempt)
        typer.echo(f"kept      {short(kept)}")
    with replacing(file) as temporary:
        temporary.write_text(stubs, encoding="utf-8", newline="\n")
    typer.echo(f"reset     {short(file)}")


def short(path: Path) -> str:
    """Return a path relative to the current folder, if it is in there."""
    return str(path.relative_to(Path.cwd())) if path.is_relative_to(Path.cwd()) else str(path)
