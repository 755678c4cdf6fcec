"""`dino watch`: grade what is saved, go on when an exercise passes, and help at the press of a key."""

import queue
import sys
import threading
import time
import webbrowser
from collections.abc import Callable, Sequence
from importlib import metadata
from typing import Annotated

import typer

from ..common.errors import DinoError
from ..common.version import DISTRIBUTION
from ..course.curriculum import LESSONS, Lesson, find_course, find_exercise, find_lesson
from ..course.following import Follower, Moment, lesson_page
from ..course.verdict import Verdict
from .app import app
from .course import PANEL, hint, print_progress, reset, short, solution
from .keys import CLOSED, Keys
from .options import Debug
from .output import in_one_line

LOOK = "look"  # an event: a file may have been saved
SETTLE = 0.1  # seconds without a change, after which a file counts as saved
EVERY = 1.0  # seconds between two looks at the files, in case an event gets lost
KEYS = {"h": "hint", "s": "solution", "l": "list", "o": "open the page", "r": "reset", "q": "quit"}


@app.command(rich_help_panel=PANEL)
def watch(
    lesson: Annotated[
        str | None,
        typer.Argument(metavar="[LESSON]", help="Stay with one lesson: 03, or training. By default, all of them."),
    ] = None,
    poll: Annotated[
        float | None,
        typer.Option(
            metavar="SECONDS",
            min=0.1,
            help="Look at the files this often. For network drives and containers, where the system doesn't say that a "
            "file was saved.",
        ),
    ] = None,
    debug: Debug = False,
) -> None:
    """Grade what you save, and go on to the next exercise when one passes. Stop with q or Ctrl-C."""
    course, lessons = find_course(), [find_lesson(lesson)] if lesson else list(LESSONS)
    for each in lessons:
        folder = course.lesson_file(each).parent
        if not folder.is_dir():
            raise DinoError(f"there is no folder {folder}")
    events: queue.SimpleQueue[str] = queue.SimpleQueue()
    with Follower(course, lessons) as follower, Keys(events) as keys:
        folders = [str(course.lesson_file(each).parent) for each in lessons]
        threading.Thread(target=_look_at_files, args=(events, folders, poll), daemon=True).start()
        try:
            Watch(follower, events, has_keys=keys.are_here, whole_lesson=lesson is not None, poll=poll).run()
        except KeyboardInterrupt:
            typer.echo()
    typer.echo("stopped watching")


def _look_at_files(events: "queue.SimpleQueue[str]", folders: Sequence[str], poll: float | None) -> None:
    """Put an event into the queue when a file may have been saved."""
    if poll is None:
        import watchfiles

        try:
            # It also looks each second: a file may be saved before anything is watched, and events can get lost.
            pause = int(1000 * EVERY)
            for _ in watchfiles.watch(
                *folders, raise_interrupt=False, recursive=False, yield_on_timeout=True, rust_timeout=pause
            ):
                events.put(LOOK)
        except OSError:  # the system can't watch any more files
            pass
    while True:
        time.sleep(poll or EVERY)
        events.put(LOOK)


class Watch:
    """The loop of `dino watch`.

    Args:
        follower: grades the files.
        events: looks at files, and key presses.
        has_keys: whether keys can be pressed.
        whole_lesson: report on all exercises, not only up to the current one.
        poll: seconds between two looks, if no events are used.
    """

    def __init__(
        self,
        follower: Follower,
        events: "queue.SimpleQueue[str]",
        *,
        has_keys: bool,
        whole_lesson: bool,
        poll: float | None,
    ) -> None:
        self.follower, self.events, self.poll = follower, events, poll
        self.has_keys, self.whole_lesson = has_keys, whole_lesson
        self.graded = follower.moment()
        self.current: Verdict | None = None  # on the exercise that comes next
        self.passed: set[str] | None = None  # numbers of the exercises that passed the last time
        self.actions: dict[str, Callable[[], None]] = {
            "h": self._hint, "s": self._solution, "l": self._list, "o": self._open, "r": self._reset
        }  # fmt: skip

    @property
    def lesson(self) -> Lesson:
        """The lesson that the learner is at."""
        return find_exercise(self.current.number)[0] if self.current else self.follower.lessons[-1]

    def run(self) -> None:
        """Grade what is saved and do what the keys say, until it is time to quit."""
        self._grade()
        while (event := self._next_event()) not in ("q", CLOSED):
            if event == LOOK:
                if self.follower.moment() != self.graded:
                    self._grade()
                continue
            try:
                self.actions.get(event, lambda: None)()
            except DinoError as error:
                typer.echo(in_one_line(error))
            self._prompt()

    def _next_event(self) -> str:
        while True:
            try:
                return self.events.get(timeout=0.5)  # without a timeout, Windows doesn't react to Ctrl-C
            except queue.Empty:
                continue

    # ---- grading ----------------------------------------------------------------------------------------------------

    def _grade(self) -> None:
        self.graded = self._saved_moment()  # from before, because a file may be saved while it is graded
        verdicts = list(self.follower.grade(beyond=self.whole_lesson))
        before, self.passed = self.passed, {verdict.number for verdict in verdicts if verdict.passed}
        self.current = next((verdict for verdict in verdicts if not verdict.passed), None)
        _clear()
        shown = [x for x in verdicts if self.whole_lesson or x is self.current or x.number not in (before or ())]
        if before is None and not self.whole_lesson:  # at the start, what passed long ago is no news
            shown = [x for x in verdicts if x is self.current]
        self._report(shown)
        drawn = self.follower.draw([x for x in verdicts if find_exercise(x.number)[0] == self.lesson])
        if drawn:
            typer.echo(f"  picture  {short(drawn)}  (yours on the left)")
        typer.echo(f"  {self.follower.record.summary([self.lesson])}")
        self._prompt()

    def _saved_moment(self) -> Moment:
        """Wait until no file is in the middle of being saved. Editors may write a file in several pieces."""
        moment = None
        while moment != (moment := self.follower.moment()):
            time.sleep(SETTLE)
        return moment

    def _report(self, verdicts: Sequence[Verdict]) -> None:
        from rich.console import Console
        from rich.padding import Padding
        from rich.table import Table
        from rich.text import Text

        from ..course.tutor import COLORS, in_words

        table = Table.grid("", "", padding=(0, 2, 0, 0))
        for verdict in verdicts:
            says, *more = in_words(verdict)
            words = Text(says, COLORS.get(verdict.outcome, "red")).append("".join(f"\n{line}" for line in more), "none")
            table.add_row(Text(f"{verdict.number} {verdict.exercise}"), words)
        console = Console(highlight=False)
        console.print()
        console.print(Padding(table, (0, 0, 1, 2)))

    def _prompt(self) -> None:
        file = short(self.follower.course.lesson_file(self.lesson))
        exercise = f" for {self.current.number} {self.current.exercise}" if self.current else ""
        how = f", every {self.poll:g} seconds" if self.poll else ""
        typer.echo(f"\nwatching {file}{exercise}{how}: save the file to grade it again")
        if self.has_keys:
            typer.echo("  ".join(f"[{key}] {does}" for key, does in KEYS.items()))
        else:
            typer.echo("Ctrl-C to stop")

    # ---- what the keys do -------------------------------------------------------------------------------------------

    def _hint(self) -> None:
        if self.current:
            hint(self.current.number)

    def _solution(self) -> None:
        number = self.current.number if self.current else self.lesson.exercise_number(self.lesson.exercises[-1])
        if self.current is None or self._confirmed(f"{number} doesn't pass yet. Show the solution anyway?"):
            solution(number, yes=True)

    def _list(self) -> None:
        print_progress(self.follower.record)

    def _open(self) -> None:
        page = lesson_page(self.follower.course, self.lesson, _site())
        typer.echo(page if webbrowser.open(page) else f"no browser was found. The page: {page}")

    def _reset(self) -> None:
        if self._confirmed(f"Put the stubs of lesson {self.lesson.number} back? Your attempt is kept."):
            reset(self.lesson.number)

    def _confirmed(self, question: str) -> bool:
        """Ask a question, and return whether the next key is y."""
        typer.echo(f"{question} [y/n] ", nl=False)
        while (answer := self._next_event()) == LOOK:
            pass
        typer.echo(answer)
        if answer == CLOSED:
            self.events.put(CLOSED)
        return answer == "y"


def _clear() -> None:
    from rich.console import Console

    if sys.stdout.isatty():
        Console().clear()


def _site() -> str:
    """Return the address of the course's site, or ""."""
    try:
        addresses = metadata.metadata(DISTRIBUTION).get_all("Project-URL") or []
    except metadata.PackageNotFoundError:
        return ""
    named = dict(each.split(", ", 1) for each in addresses if ", " in each)
    return named.get("Homepage", "")
