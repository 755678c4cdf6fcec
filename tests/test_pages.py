"""What the build and the script of the site add to pages: cards for tables, metadata for sharing, ticks."""

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("mkdocs", reason="the site needs the group docs: uv sync")
from PIL import Image

from scripts.site import sharing
from scripts.site.tables import with_cards

from .browsing import Tab

ROOT = Path(__file__).parents[1]


def table(rows: list[list[str]]) -> str:
    head, *body = rows
    cells = "\n".join(f"<tr>\n{''.join(f'<td>{cell}</td>' for cell in row)}\n</tr>" for row in body)
    return (
        f"<table>\n<thead>\n<tr>\n{''.join(f'<th>{cell}</th>' for cell in head)}\n</tr>\n</thead>\n"
        f"<tbody>\n{cells}\n</tbody>\n</table>"
    )


def test_cells_of_a_table_of_sentences_know_their_headings() -> None:
    sentence = "a sentence that doesn't fit beside others"
    found = with_cards(
        table([["what", "<code>why</code> &amp; how", "then"], ["<b>x</b>", sentence, ""], [sentence] * 3])
    )
    assert '<table data-cards role="table">' in found
    assert f'<td role="cell" data-label="why &amp; how">{sentence}</td>' in found
    assert found.count('role="row"') == 3
    assert found.count('role="columnheader"') == 3
    assert '<td role="cell" data-label="what"><b>x</b></td>' in found


def test_tables_of_numbers_and_tables_of_two_columns_stay_tables() -> None:
    for rows in ([["a", "b", "c"], ["1", "2", "3"]], [["a", "b"], ["a sentence that is long enough"] * 2]):
        assert with_cards(table(rows)) == table(rows)
    code = '<table class="highlighttable"><td>a</td></table>'
    assert with_cards(code) == code


def test_a_shared_page_has_a_title_a_description_and_an_image() -> None:
    page = "<html><head></head><body></body></html>"
    public = sharing.with_metadata(
        page, 'A "title"', "Words.", "lessons/a.html", "https://someone.github.io/dino", "../"
    )
    assert '<meta property="og:title" content="A &quot;title&quot;">' in public
    assert '<meta property="og:description" content="Words.">' in public
    assert '<meta property="og:url" content="https://someone.github.io/dino/lessons/a.html">' in public
    assert '<meta property="og:image" content="https://someone.github.io/dino/images/sharing.png">' in public
    private = sharing.with_metadata(page, "A", "Words.", "lessons/a.html", "", "../")
    assert '<meta property="og:image" content="../images/sharing.png">' in private
    assert "og:url" not in private


def test_the_shared_image_is_small_and_has_the_recommended_size() -> None:
    path = ROOT / "docs" / sharing.IMAGE
    assert path.stat().st_size < sharing.MAX_SIZE
    with Image.open(path) as image:
        assert image.size == (1200, 630)


LESSON = """<!doctype html><meta charset="utf-8"><script src="../course.js"></script>
<nav><a class="md-nav__link" href="01-noise.html">01</a><a class="md-nav__link" href="02-denoiser.html">02</a></nav>
<div class="md-typeset"><h2>1.1 A section</h2><p>Words.</p><h3>Exercise 1.1: mix</h3><p>Task.</p>
<h3>1.2 add_noise</h3><div class="exercise"></div></div>"""


@pytest.fixture
def lesson(browser: Any, tmp_path: Path) -> Iterator[Tab]:
    """A lesson of two exercises, opened from a disk."""
    (tmp_path / "lessons").mkdir()
    (tmp_path / "lessons" / "01-noise.html").write_text(LESSON, encoding="utf-8")
    shutil.copy(ROOT / "docs" / "javascripts" / "course.js", tmp_path)
    tab = Tab(browser, (tmp_path / "lessons" / "01-noise.html").as_uri())
    yield tab
    tab.close()


def test_exercises_can_be_ticked_with_the_keyboard_and_the_browser_keeps_the_ticks(lesson: Tab) -> None:
    page = lesson.page
    boxes = page.get_by_role("checkbox")
    assert [boxes.nth(n).get_attribute("aria-label") for n in range(boxes.count())] == [
        "Exercise 1.1 is done", "Exercise 1.2 is done",
    ]  # fmt: skip
    assert page.locator(".md-nav__link .progress").count() == 0
    boxes.nth(1).focus()
    page.keyboard.press("Space")
    assert page.get_by_role("link", name="01, 1 of 2 exercises done").count() == 1
    page.reload()
    assert [boxes.nth(n).is_checked() for n in range(2)] == [False, True]
    boxes.nth(0).check()
    assert page.get_by_role("link", name="01, all exercises done").count() == 1
    assert page.locator(".md-nav__link").nth(1).inner_text() == "02"
    for n in range(2):
        boxes.nth(n).uncheck()
    assert page.locator(".md-nav__link .progress").count() == 0
    assert not lesson.problems
