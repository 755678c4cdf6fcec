"""The map of the course at the top of a lesson: how the lessons' parts fit together, and where the reader is.

It is made from the list of lessons. The first six have places of their own: the training loop, and the sampler
that uses the denoiser that the loop has trained. Further lessons follow in rows below the sampler.
"""

import html

from dino.course.curriculum import LESSONS, Lesson, find_lesson
from scripts.site import diagrams
from scripts.site.lessons import page_of
from scripts.site.paths import DOCS

WIDTH, BOX, HEIGHT = 360, 106, 42  # in units of the viewBox, which are about as large as a phone's pixels
COLUMNS, ROW = (2, 127, 252), 66  # where boxes begin, and the distance from row to row
# The column and row of a lesson's box, and what the part does, in at most 16 letters.
PARTS = {
    "images": (0, 0, "pictures in"),
    "noise": (1, 0, "mix noise in"),
    "denoiser": (2, 0, "predict pictures"),
    "training": (1, 1, "correct, repeat"),
    "sampler": (1, 2, "new pictures"),
    "evaluation": (2, 2, "any good?"),
}
LATER = {"steering": "ask for things", "few_steps": "in fewer steps", "rosetta": "in other words"}
FIRST_LATER_ROW = 3
ARROWS = """
<path class="arrow" d="M108,25 H123"/><path class="arrow" d="M233,25 H248"/>
<path class="arrow" d="M305,46 V91 H237"/><path class="arrow" d="M127,91 H55 V50"/>
<text class="note end" x="299" y="74">compare</text><text class="note start" x="62" y="74">again</text>
<path class="arrow" d="M180,112 V132"/><text class="note start" x="188" y="126">trained denoiser</text>
<text class="note end" x="88" y="161">pure noise</text><path class="arrow" d="M94,157 H123"/>
<path class="arrow" d="M233,157 H248"/>
"""
CAPTION = "The parts of the course."


def inline(number: str = "", folder: str = "") -> str:
    """Return the map as a figure for a page, with each box a link to its lesson.

    Args:
        number: of the lesson to mark as the reader's place. Empty: none is marked.
        folder: the way from the page to the lessons' pages: "lessons/" on the home page.
    """
    return diagrams.figure(_svg(number, folder), _caption(number), kind=" course-map")


def as_image(number: str = "") -> str:
    """Return the map as an image for a notebook."""
    return diagrams.image(_svg(number, ""), _description(number), _caption(number))


def _svg(number: str, folder: str) -> str:
    here = find_lesson(number) if number else None
    later = [lesson for lesson in LESSONS if lesson.name not in PARTS]
    rows = FIRST_LATER_ROW + -(-len(later) // len(COLUMNS))
    parts = [ARROWS]
    if later:
        parts.append(_ways_to(later[: len(COLUMNS)]))
    parts += [_box(lesson, *PARTS[lesson.name], here, folder) for lesson in LESSONS if lesson.name in PARTS]
    for n, lesson in enumerate(later):
        row, column = divmod(n, len(COLUMNS))
        parts.append(_box(lesson, column, FIRST_LATER_ROW + row, LATER.get(lesson.name, ""), here, folder))
    size = f"0 0 {WIDTH} {rows * ROW - (ROW - HEIGHT) + 8}"
    svg = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="{size}">{"".join(parts)}</svg>'
    return diagrams.finished(svg, "course-map", _description(number), "group")


def _ways_to(lessons: list[Lesson]) -> str:
    """Return arrows from the sampler to the lessons that build on it."""
    top = FIRST_LATER_ROW * ROW + 4
    ends = [COLUMNS[n] + BOX // 2 for n in range(len(lessons))]
    return "".join(f'<path class="arrow" d="M180,{top - 24} V{top - 13} H{end} V{top - 4}"/>' for end in ends)


def _box(lesson: Lesson, column: int, row: int, does: str, here: Lesson | None, folder: str) -> str:
    left, top, middle = COLUMNS[column], row * ROW + 4, COLUMNS[column] + BOX // 2
    title = f"{lesson.number} {lesson.name.replace('_', ' ')}"
    accent, current = (" accent", ' aria-current="page"') if lesson is here else ("", "")
    box = f'<rect class="box{accent}" x="{left}" y="{top}" width="{BOX}" height="{HEIGHT}" rx="4"/>'
    words = f'<text class="label" x="{middle}" y="{top + (18 if does else 26)}">{title}</text>'
    if does:
        words += f'<text class="note" x="{middle}" y="{top + 34}">{html.escape(does)}</text>'
    page = page_of(lesson)
    if not page.is_file():
        return box + words
    name = html.escape(f"Lesson {title}: {does or lesson.teaches}")
    href = f"{folder}{page.relative_to(DOCS / 'lessons').with_suffix('.html').as_posix()}"
    return f'<a href="{href}" aria-label="{name}"{current}>{box}{words}</a>'


def _description(number: str) -> str:
    here = f" You are in lesson {find_lesson(number).number}." if number else ""
    return (
        "Map of the course. Training goes around in a loop: pictures, noise mixed in, the denoiser's prediction, a "
        f"correction, and again. The sampler makes pictures from noise with the trained denoiser.{here}"
    )


def _caption(number: str) -> str:
    return f"{CAPTION} You are here: lesson {find_lesson(number).number}." if number else CAPTION
