"""What a lesson's page takes from the course itself: its stubs, hints, picture, and what the grader says. Nothing of it
is typed twice.
"""

import ast
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from textwrap import fill, indent, wrap
from typing import Any

from dino.course.curriculum import Course, Lesson, find_exercise, find_lesson
from dino.course.hints import hints
from dino.course.stubs import exercise_source, stub
from scripts.site.address import Address
from scripts.site.places import DOCS, ROOT, SiteError, remembered

COURSE = Course(ROOT)
HELP = ("the idea", "a pointer", "nearly the code")  # what the three hints of an exercise are


def page_of(lesson: Lesson) -> Path:
    """The Markdown of a lesson."""
    return DOCS / "lessons" / f"{lesson.number}-{lesson.name}.md"


def folded(title: str, body: str, kind: str = "tip") -> str:
    """A text that opens when asked to."""
    return f'??? {kind} "{title}"\n\n{indent(body.strip(), "    ")}\n'


def own_file(lesson: Lesson) -> str:
    """The learner's file, as they would type it."""
    return f"lessons/{lesson.number}/{lesson.name}.py"


def stub_of(name: str) -> tuple[Lesson, str, str]:
    """An exercise by its number: the lesson, its name and what the learner finds in the file before they begin."""
    lesson, exercise = find_exercise(name)
    return lesson, exercise, exercise_source(stub(COURSE, lesson), exercise)


def hints_of(name: str) -> list[tuple[str, str]]:
    """The hints of an exercise: a title and a text each."""
    lesson, exercise = find_exercise(name)
    texts = hints(COURSE, lesson, exercise)
    if len(texts) != len(HELP):
        raise SiteError(f"exercise {name} has {len(texts)} hints in lessons/{lesson.number}/hints.md; it needs three")
    return [(f"Hint {n}: {what}", text) for n, (what, text) in enumerate(zip(HELP, texts, strict=True), 1)]


FULL, NARROW = 112, 84  # letters in a line of the source, and in one of a page


def narrowed(source: str) -> str:
    """Code whose docstrings, which fill the lines of the source, are wrapped to the width of a page."""
    parts = source.split('"""')
    return '"""'.join(_narrowed(part) if n % 2 else part for n, part in enumerate(parts))


def _narrowed(docstring: str) -> str:
    margin = docstring.rsplit("\n", 1)[-1] if "\n" in docstring else ""
    quotes = f'{margin}"""'  # they stand before the first line
    groups: list[list[str]] = []  # each a line and those that go on from it
    for line in (quotes + docstring).split("\n"):
        word = line.split(maxsplit=1)[0] if line.strip() else ""
        was_full = groups and word and len(groups[-1][-1]) + 1 + len(word) > FULL
        if was_full and not re.match(r" *\w+: ", line):
            groups[-1].append(line)
        else:
            groups.append([line])
    return "\n".join(_wrapped(group, margin) for group in groups).removeprefix(quotes)


def _wrapped(group: list[str], margin: str) -> str:
    first, last = (line[: len(line) - len(line.lstrip())] for line in (group[0], group[-1]))
    if group == [first]:
        return first
    text = " ".join(line.strip() for line in group)
    if len(group) == 1:
        if len(first + text) <= NARROW:
            return group[0]
        is_named = first != margin and re.match(r"\w+: |for ", text)  # an argument; "In: ..." begins a paragraph
        last = first + "    " if is_named else first
    return fill(text, NARROW, initial_indent=first, subsequent_indent=last, break_on_hyphens=False)


class OnTheSite:
    """The macros of a lesson, as its page on the site has them."""

    def __init__(self, address: Address) -> None:
        self.address = address

    def facts(self, number: str) -> str:
        """The learner's file, where the answers are, and how to open the lesson as a notebook."""
        lesson = find_lesson(number)
        notebook = f"lessons/{lesson.number}/lesson.ipynb"
        colab = self.address.colab(notebook)
        opened = f"[Open in Colab]({colab}){{ .badge }}" if colab else "[how to open it](../set-up.md#as-notebooks)"
        rows = {
            "You write": self._linked(own_file(lesson)),
            "Grade it": f"`uv run pytest lessons/{lesson.number}`",
            "Answers": self._linked(f"solutions/{lesson.number}/{lesson.name}.py"),
            "Notebook": f"{self._linked(notebook)}, {opened}",
        }
        lines = "\n".join(f"- **{name}** {value}" for name, value in rows.items())
        return f'<div class="facts" markdown>\n\n{lines}\n\n</div>'

    def exercise(self, name: str) -> str:
        """The stub, three folded hints, and the command that grades it."""
        lesson, _, source = stub_of(name)
        parts = [f'```{{ .python .stub title="{own_file(lesson)}" }}\n{narrowed(source)}```']
        parts += [folded(title, text) for title, text in hints_of(name)]
        parts.append(
            f"Ask how it went: `uv run pytest lessons/{lesson.number}`, or on each save: "
            f"`uv run dino watch {lesson.number}`."
        )
        return "\n\n".join(parts)

    def picture(self, number: str) -> str:
        """The lesson's picture, drawn from the solution."""
        lesson = find_lesson(number)
        path = DOCS / "images" / f"lesson-{number}.png"
        if not path.is_file():
            raise SiteError(f"there is no {path}. Make it with: python -m docs.site.sheets")
        return (
            f'<div class="frame wide" markdown>\n\n![{picture_in_words(lesson)}](../images/{path.name}){{ .sheet }}\n\n'
            f'</div>\n\n<p class="caption" markdown="span">The picture that `pytest lessons/{number}` draws, '
            f"here of the answers in `solutions/{number}`.</p>"
        )

    def mistake(self, name: str, mistake: str) -> str:
        """What the grader says to a wrong answer, verbatim."""
        return f'```{{ .text .grader title="pytest {own_file(find_exercise(name)[0]).rsplit("/", 1)[0]}" }}\n' + (
            told(name, mistake) + "\n```"
        )

    def _linked(self, path: str) -> str:
        return f"[`{path}`]({self.address.file(path)})" if self.address.url else f"`{path}`"


def picture_in_words(lesson: Lesson) -> str:
    """The captions of a lesson's picture, which the grader has beside what it draws."""
    tree = ast.parse(COURSE.grader(lesson).read_text(encoding="utf-8"))
    panels = [
        (ast.literal_eval(node.args[0]), ast.literal_eval(node.args[1]))
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "Panel"
    ]
    rows = "; ".join(f"{lesson.exercise_number(exercise)} {exercise}, {caption}" for exercise, caption in panels)
    return f"Two columns of pictures, yours and expected, with a row for each exercise: {rows}".replace('"', "'")


# ---- what the grader says -------------------------------------------------------------------------------------------


def told(name: str, mistake: str) -> str:
    """The lines of the grader on a wrong answer from the catalog of mistakes.

    It is asked in a process of its own, as that takes torch, and remembered.
    """
    lesson, exercise = find_exercise(name)
    depends = [*(ROOT / "dino" / "course").glob("*.py"), ROOT / "dino" / f"{lesson.name}.py"]
    depends += [COURSE.grader(lesson), COURSE.mistakes(lesson)]

    def ask() -> tuple[str, list[Path]]:
        command = [sys.executable, "-m", "docs.site.lessons", lesson.number, exercise, mistake]
        started_by_uv = os.environ | {"UV_RUN_RECURSION_DEPTH": "1"}  # as most readers will have it
        done = subprocess.run(command, cwd=ROOT, env=started_by_uv, capture_output=True, text=True, check=False)
        if done.returncode:
            raise ValueError(done.stderr.strip().splitlines()[-1])
        return json.loads(done.stdout.splitlines()[-1]), depends

    return str(remembered(f"told-{name}-{mistake}", [name, mistake], ask))


def _ask(number: str, exercise: str, mistake: str) -> str:
    """Grade a mistake as if a learner had made it."""
    from dino.course.grader.grade import Grader
    from dino.course.tutor import in_words
    from dino.course.verdict import Verdict

    lesson = find_lesson(number)
    grader = Grader(COURSE, lesson)
    known = {wrong.__name__: wrong for wrong in grader.mistakes(exercise)}
    if mistake not in known:
        raise ValueError(f"no mistake in {exercise} is called {mistake}. There are {', '.join(known)}")
    verdict = Verdict(lesson.exercise_number(exercise), exercise, "passed")
    for seed in range(grader.n_seeds(exercise)):
        try:
            grader.check(exercise, known[mistake], seed)
        except Exception as error:
            verdict = grader.diagnose(verdict, error, exercise, seed)
            break
    return _laid_out(f"{verdict.number} {exercise}  ", in_words(verdict))


def _laid_out(name: str, lines: list[str]) -> str:
    """The lines beside the name of the exercise, as on a screen 80 letters wide."""
    wrapped = [part for line in lines for part in wrap(line, 78 - len(name))]
    return "\n".join((name if n == 0 else " " * len(name)) + line for n, line in enumerate(wrapped)).rstrip()


def _main() -> None:
    answer: Any = _ask(*sys.argv[1:4])
    print(json.dumps(answer))


if __name__ == "__main__":
    _main()
