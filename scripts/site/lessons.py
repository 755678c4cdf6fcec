"""The parts of a lesson's page that come from the course itself: stubs, hints, the contact sheet, and reports of the
grader. None of them is typed a second time.
"""

import ast
import json
import os
import subprocess
import sys
from html import escape
from pathlib import Path
from textwrap import fill, indent, wrap

from dino.course.curriculum import Course, Lesson, find_exercise, find_lesson, hints_file, mistakes_file
from dino.course.hints import hints
from dino.course.stubs import exercise_source, stub
from scripts.site import diagrams
from scripts.site.address import Address
from scripts.site.cache import cached
from scripts.site.paths import DOCS, ROOT, SiteError
from scripts.site.reference import formatted

COURSE = Course(ROOT)
HINT_TITLES = ("the idea", "a pointer", "nearly the code")


def page_of(lesson: Lesson) -> Path:
    """Return the Markdown file of a lesson's page."""
    return DOCS / "lessons" / f"{lesson.number}-{lesson.name}.md"


def folded(title: str, body: str, kind: str = "tip") -> str:
    """Return a box, in Markdown, that is closed until the reader opens it."""
    return f'??? {kind} "{title}"\n\n{indent(body.strip(), "    ")}\n'


def lesson_file(lesson: Lesson) -> str:
    """Return the path of the learner's file as they would type it."""
    return f"lessons/{lesson.number}/{lesson.name}.py"


def stub_of(name: str) -> tuple[Lesson, str, str]:
    """Return the lesson, the name and the stub of an exercise, such as "3.2"."""
    lesson, exercise = find_exercise(name)
    return lesson, exercise, exercise_source(stub(COURSE, lesson), exercise)


def hints_of(name: str) -> list[tuple[str, str]]:
    """Return the hints of an exercise, each with a title and a text.

    Raises:
        SiteError: if there aren't three of them.
    """
    lesson, exercise = find_exercise(name)
    texts = hints(lesson, exercise)
    if len(texts) != len(HINT_TITLES):
        file = hints_file(lesson).relative_to(ROOT)
        raise SiteError(f"exercise {name} has {len(texts)} hints in {file}, and needs {len(HINT_TITLES)}")
    return [(f"Hint {n}: {title}", text) for n, (title, text) in enumerate(zip(HINT_TITLES, texts, strict=True), 1)]


NARROW = 72  # characters in a line of a page's code, beside the line of an exercise


def shortened(source: str) -> str:
    """Return some code with only the first paragraph of each docstring, in lines that fit into a page."""
    parts = source.split('"""')
    for n in range(1, len(parts), 2):
        margin = parts[n - 1].rsplit("\n", 1)[-1]
        text = " ".join(parts[n].split("\n\n")[0].split())
        wrapped = fill(text, NARROW, initial_indent=f'{margin}"""', subsequent_indent=margin)
        parts[n] = wrapped.strip().removeprefix('"""')
        if "\n" in parts[n]:
            parts[n] += f"\n{margin}"
    return formatted('"""'.join(parts), NARROW) + "\n"


class PageMacros:
    """The macros of a lesson, for its page on the site."""

    def __init__(self, address: Address) -> None:
        self.address = address

    def facts(self, number: str) -> str:
        """Return the box below a lesson's title: the learner's file, the answers, and the notebook."""
        lesson = find_lesson(number)
        notebook = f"lessons/{lesson.number}/lesson.ipynb"
        colab = self.address.colab(notebook)
        opened = f"[Open in Colab]({colab}){{ .badge }}" if colab else "[how to open it](../set-up.md#as-notebooks)"
        rows = {
            "You write": self._linked(lesson_file(lesson)),
            "Grade it": f"`uv run pytest lessons/{lesson.number}`",
            "Answers": self._linked(f"solutions/{lesson.number}/{lesson.name}.py"),
            "Notebook": f"{self._linked(notebook)}, {opened}",
        }
        lines = "\n".join(f"- **{name}** {value}" for name, value in rows.items())
        return f'<div class="facts" markdown>\n\n{lines}\n\n</div>'

    def exercise(self, name: str) -> str:
        """Return the stub without its details, three folded hints, and the command that checks the exercise.

        The task stands above it, in the page. The stub's docstring has it once more, for the learner's editor.
        """
        lesson, exercise, source = stub_of(name)
        parts = [f'```{{ .python .stub title="{lesson_file(lesson)}" }}\n{shortened(source)}```']
        parts += [folded(title, text) for title, text in hints_of(name)]
        parts.append(
            f'<p class="check" markdown="span">**Check your answer:** `uv run pytest lessons/{lesson.number} '
            f"-k {exercise}`, or leave `uv run dino watch` running.</p>"
        )
        return "\n\n".join(['<div class="exercise" markdown="1">', *parts, "</div>"])

    def deeper(self, title: str) -> str:
        """Return the beginning of a part that is closed until the reader opens it, and may hold figures."""
        return f'<details class="deeper" markdown="1">\n<summary markdown="span">Deeper: {title}</summary>'

    def end_deeper(self) -> str:
        """Return the end of such a part."""
        return "</details>"

    def diagram(self, name: str, alt: str, caption: str = "") -> str:
        """Return a diagram of docs/diagrams."""
        return diagrams.inline(name, alt, caption)

    def contact_sheet(self, number: str) -> str:
        """Return the lesson's contact sheet, drawn from the solution.

        Raises:
            SiteError: if it hasn't been drawn yet.
        """
        lesson = find_lesson(number)
        path = DOCS / "images" / f"lesson-{number}.png"
        if not path.is_file():
            raise SiteError(f"there is no {path.relative_to(ROOT)}. Run: python -m scripts.site.contact_sheets")
        image = f"![{contact_sheet_alt(lesson)}](../images/{path.name}){{ .centered }}"
        return (
            f'<div class="frame wide" markdown>\n\n{image}\n\n</div>\n\n'
            f'<p class="caption" markdown="span">The picture that `pytest lessons/{number}` draws, '
            f"here of the answers in `solutions/{number}`.</p>"
        )

    def mistake(self, name: str, mistake: str) -> str:
        """Return the grader's report on a wrong answer, word for word. On a phone, the exercise's name is above it."""
        lesson, exercise = find_exercise(name)
        says = "\n".join(escape(line) for line in report_lines(name, mistake))
        return (
            f'<div class="grader highlight"><span class="filename">pytest lessons/{lesson.number}</span>'
            f'<pre><code><span class="name">{lesson.exercise_number(exercise)} {exercise}</span>'
            f'<span class="says">{says}</span></code></pre></div>'
        )

    def wrong_answer(self, name: str, mistake: str) -> str:
        """Return the code of a wrong answer as a learner would write it, with the exercise's name and without types."""
        lesson, exercise = find_exercise(name)
        return f'```{{ .python title="{lesson_file(lesson)}" }}\n{wrong_source(lesson, exercise, mistake)}\n```'

    def _linked(self, path: str) -> str:
        return f"[`{path}`]({self.address.file(path)})" if self.address.url else f"`{path}`"


def contact_sheet_alt(lesson: Lesson) -> str:
    """Return a description of a lesson's contact sheet, made of the captions in its grader."""
    tree = ast.parse(COURSE.grader(lesson).read_text(encoding="utf-8"))
    panels = [
        (ast.literal_eval(node.args[0]), ast.literal_eval(node.args[1]))
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "Panel"
    ]
    rows = "; ".join(f"{lesson.exercise_number(exercise)} {exercise}, {caption}" for exercise, caption in panels)
    return f"Two columns of pictures, yours and expected, with a row for each exercise: {rows}".replace('"', "'")


def wrong_source(lesson: Lesson, exercise: str, mistake: str) -> str:
    """Return the source of a wrong answer in the catalog of mistakes.

    Raises:
        ValueError: if the catalog has no such mistake.
    """
    catalog = ast.parse(mistakes_file(lesson).read_text(encoding="utf-8"))
    found = next((node for node in catalog.body if isinstance(node, ast.FunctionDef) and node.name == mistake), None)
    if found is None:
        raise ValueError(f"no mistake in {exercise} is called {mistake}")
    found.name, found.decorator_list, found.returns = exercise, [], None
    for argument in ast.walk(found.args):
        if isinstance(argument, ast.arg):
            argument.annotation = None
    return ast.unparse(found)


# ---- reports of the grader ------------------------------------------------------------------------------------------


def report_on(name: str, mistake: str) -> str:
    """Return the grader's report on a wrong answer, laid out beside the exercise's name as in a terminal.

    Raises:
        ValueError: if the catalog has no such mistake.
    """
    lesson, exercise = find_exercise(name)
    return _in_two_columns(f"{lesson.exercise_number(exercise)} {exercise}  ", report_lines(name, mistake))


def report_lines(name: str, mistake: str) -> list[str]:
    """Return the lines of the grader's report on a wrong answer from the catalog of mistakes.

    The grader needs torch, so it runs in a process of its own, and the report is cached.

    Raises:
        ValueError: if the catalog has no such mistake.
    """
    lesson, exercise = find_exercise(name)
    course = ROOT / "dino" / "course"
    files = [*course.glob("*.py"), *(course / "grader").glob("*.py"), ROOT / "dino" / f"{lesson.name}.py"]
    files += [COURSE.grader(lesson), mistakes_file(lesson)]

    def compute() -> tuple[str, list[Path]]:
        command = [sys.executable, "-m", "scripts.site.lessons", lesson.number, exercise, mistake]
        started_by_uv = os.environ | {"UV_RUN_RECURSION_DEPTH": "1"}  # like most readers' processes
        done = subprocess.run(command, cwd=ROOT, env=started_by_uv, capture_output=True, encoding="utf-8", check=False)
        if done.returncode:
            raise ValueError(done.stderr.strip().splitlines()[-1])
        return json.loads(done.stdout.splitlines()[-1]), files

    lines: list[str] = cached(f"mistake-{name}-{mistake}", ["lines", name, mistake], compute)
    return lines


def _grade(number: str, exercise: str, mistake: str) -> list[str]:
    """Grade a mistake as if a learner had made it."""
    from dino.course.grader.diagnosis import Diagnosis
    from dino.course.grader.lesson_grader import Failure, Grader
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
            verdict = Diagnosis(grader).diagnose(verdict, Failure(error, seed))
            break
    return in_words(verdict)


def _in_two_columns(name: str, lines: list[str]) -> str:
    """Lay out the lines beside the name of the exercise, as on a screen that is 80 characters wide."""
    wrapped = [part for line in lines for part in wrap(line, 78 - len(name))]
    return "\n".join((name if n == 0 else " " * len(name)) + line for n, line in enumerate(wrapped)).rstrip()


if __name__ == "__main__":
    print(json.dumps(_grade(*sys.argv[1:4])))
