"""The commands of the course: progress, hint, solution, reset, watch. `dino.cli` puts them beside its own."""

import difflib
import subprocess
import sys
import time
from pathlib import Path
from typing import Annotated

import typer

from ..common.atomic_file import replacing
from ..common.errors import DinoError, shell_command
from ..course.curriculum import LESSONS, Course, Lesson, find_course, find_exercise, find_lesson
from ..course.hints import next_hint
from ..course.progress import Record, regrade
from ..course.stubs import exercise_source, stub
from .app import app
from .options import Debug

PANEL = "The course"

LessonName = Annotated[str, typer.Argument(metavar="LESSON", help="Its number or name: 03, or training.")]
ExerciseName = Annotated[str, typer.Argument(metavar="EXERCISE", help="Its number or name: 3.2, or train_step.")]


@app.command(rich_help_panel=PANEL)
def progress(debug: Debug = False) -> None:
    """Show which exercises pass. Files that changed since they were graded are graded now."""
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    record = Record(find_course())
    regrade(record)
    table = Table("", "exercise", "", "what was said last", header_style="bold", box=None, pad_edge=False)
    for lesson in LESSONS:
        passed = record.passed(lesson)
        table.add_row(f"[bold]{lesson.number}[/]", f"[bold]{lesson.teaches}[/]", f"{passed} of {len(lesson.exercises)}")
        for exercise in lesson.exercises:
            outcome = record.outcome(lesson, exercise)
            says = record.says(lesson, exercise) if outcome != "passed" else ""
            mark = "[green]passed[/]" if outcome == "passed" else "[red]not yet[/]"
            if outcome == "unwritten":
                begun, _, says = says.partition(": ")
                mark = f"[dim]{escape(begun)}[/]"
            table.add_row(lesson.exercise_number(exercise), exercise, mark, escape(says))
    console = Console()
    console.print(table)
    console.print()
    for line in record.standing([]).rsplit("; ", 1):  # what comes next in a line of its own
        console.print(line, highlight=False)


@app.command(rich_help_panel=PANEL)
def hint(exercise: ExerciseName, debug: Debug = False) -> None:
    """Help with an exercise. Each time you ask you get one more of three hints."""
    from rich.console import Console
    from rich.markdown import Markdown

    lesson, name = find_exercise(exercise)
    given, count = next_hint(find_course(), lesson, name)
    console, number = Console(), lesson.exercise_number(name)
    for index, text in enumerate(given, 1):
        console.print(f"[bold]{number} {name}, hint {index} of {count}[/]")
        console.print(Markdown(text))
        console.print()
    if len(given) < count:
        console.print(f"For the next one, ask again: {shell_command('dino', 'hint', number)}", highlight=False)
    else:
        console.print(
            f"That was the last hint. The whole answer: {shell_command('dino', 'solution', number)}", highlight=False
        )


@app.command(rich_help_panel=PANEL)
def solution(
    exercise: ExerciseName,
    yes: Annotated[
        bool, typer.Option("--yes", "-y", metavar="", help="Don't ask, even if the exercise doesn't pass yet.")
    ] = False,
    debug: Debug = False,
) -> None:
    """Show the answer to an exercise, explained, and how yours differs. Asks first while yours doesn't pass."""
    lesson, name = find_exercise(exercise)
    course, number = find_course(), lesson.exercise_number(name)
    record = Record(course)
    regrade(record, [lesson])
    if not yes and record.outcome(lesson, name) != "passed":
        typer.confirm(f"{number} {name} doesn't pass yet. Show the answer all the same?", abort=True)
    answer = exercise_source(course.solution(lesson).read_text(encoding="utf-8"), name)
    _show_code(answer, "python")
    difference = _difference(_own_source(course, lesson, name), answer)
    if difference:
        typer.secho("From yours (-) to this one (+)\n", bold=True)
        _show_code(difference, "diff")


def _show_code(code: str, language: str) -> None:
    """In color on a screen, and as it is into a file."""
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


def _difference(own: str, answer: str) -> str:
    lines = difflib.unified_diff(own.splitlines(), answer.splitlines(), lineterm="", n=2)
    return "\n".join(line for line in lines if not line.startswith(("---", "+++", "@@"))) if own else ""


@app.command(rich_help_panel=PANEL)
def reset(lesson: LessonName, debug: Debug = False) -> None:
    """Put a lesson's file back to its stubs. Your attempt is kept."""
    course, which = find_course(), find_lesson(lesson)
    file, fresh = course.lesson_file(which), stub(course, which)
    attempt = file.read_bytes() if file.exists() else b""
    if attempt == fresh.encode():
        typer.echo(f"{_short(file)} is as it was at the beginning; there is nothing to reset")
        return
    if attempt.strip():
        kept = course.output_folder / "attempts" / f"{which.number}-{which.name}-{time.strftime('%Y%m%d-%H%M%S')}.py"
        with replacing(kept) as temporary:
            temporary.write_bytes(attempt)
        typer.echo(f"kept      {_short(kept)}")
    with replacing(file) as temporary:
        temporary.write_text(fresh, encoding="utf-8")
    typer.echo(f"reset     {_short(file)}")


@app.command(rich_help_panel=PANEL)
def watch(lesson: LessonName, debug: Debug = False) -> None:
    """Grade a lesson each time you save its file. Ctrl-C ends it."""
    from watchfiles import watch as changes

    course, which = find_course(), find_lesson(lesson)
    file = course.lesson_file(which)
    if not file.parent.is_dir():
        raise DinoError(f"the folder {file.parent} isn't there")
    _grade(course, which)
    for changed in changes(file.parent, raise_interrupt=False, recursive=False):
        if any(Path(path).name == file.name for _, path in changed):
            _grade(course, which)
    typer.echo("stopped watching")


def _grade(course: Course, lesson: Lesson) -> None:
    from rich.console import Console

    if sys.stdout.isatty():
        Console().clear()
    folder = course.lesson_file(lesson).parent
    subprocess.run([sys.executable, "-m", "pytest", "-p", "no:cacheprovider", str(folder)], check=False)
    typer.echo(f"\nwatching {_short(course.lesson_file(lesson))}: save it to grade it again, Ctrl-C to stop")


def _short(path: Path) -> str:
    return str(path.relative_to(Path.cwd())) if path.is_relative_to(Path.cwd()) else str(path)
