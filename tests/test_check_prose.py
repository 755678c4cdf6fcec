"""The rules of language find what they should, and leave alone what they should."""

from pathlib import Path

import pytest

from scripts import check_prose
from scripts.check_prose import check, docstring_findings, names_of_files, prose_of_markdown, read_rule

RULES = [read_rule(path) for path in sorted(check_prose.STYLE.glob("*.yml"))]


def messages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, text: str) -> list[str]:
    monkeypatch.setattr(check_prose, "ROOT", tmp_path)
    path = tmp_path / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return [finding.message for finding in check(path, RULES)]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("The learner's code runs in a room.", "'room'"),
        ("The network learned some pictures by heart.", "'learned some pictures by heart'"),
        ("It draws a film of the run.", "'film'"),
        ("Two crowds of patches.", "'crowds'"),
        ("You can simply run it.", "'simply'"),
        ("Say what came of it.", "'what came of it'"),
        ("The learner is told what is wrong.", "'is told'"),
        ("Name the model: shipped.", "'shipped'"),
    ],
)
def test_a_word_that_is_not_used_any_more_is_found_in_prose(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, found: str
) -> None:
    assert any(found in message for message in messages(tmp_path, monkeypatch, "docs/page.md", f"# Title\n\n{text}\n"))
    assert any(
        found in message for message in messages(tmp_path, monkeypatch, "dino/a.py", f'"""Module.\n\n{text}\n"""\n')
    )
    assert any(found in message for message in messages(tmp_path, monkeypatch, "dino/a.py", f'x = "{text}"\n'))
    assert any(found in message for message in messages(tmp_path, monkeypatch, "dino/a.py", f"x = 1  # {text}\n"))


@pytest.mark.parametrize(
    "text",
    [
        'We used to call the sandbox a "room".',
        "`room` was its name.",
        "> The room is retired.",
        "```\nroom = 1\n```",
        "The contact sheet, the cheat sheet and the style sheet.",
        "Noise that is spread evenly over [0, 1).",
        "There is headroom. An answer of the learner's.",
        '[[ mistake("1.1", "room") ]]',
        "[text](words-in-a-room.md)",
    ],
)
def test_quotations_code_and_ordinary_meanings_are_left_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    assert messages(tmp_path, monkeypatch, "docs/page.md", f"# Title\n\n{text}\n") == []


@pytest.mark.parametrize(
    "code",
    [
        "class Room: ...",
        "def find_pictures(): ...",
        "x.tensorfile",
        "SHIPPED = 1",
        "from . import newness",
        "kid_spread = 1",
    ],
)
def test_a_name_that_is_not_used_any_more_is_found_in_code(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: str
) -> None:
    assert messages(tmp_path, monkeypatch, "dino/a.py", f"{code}\n")
    assert not messages(tmp_path, monkeypatch, "tests/a.py", f"{code}\n")  # tests may use any name


def test_a_file_with_an_old_name_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(check_prose, "ROOT", tmp_path)
    old, new = tmp_path / "dino" / "newness.py", tmp_path / "dino" / "memorization.py"
    assert [finding.path for finding in names_of_files([old, new], RULES)] == [old]


def test_a_docstring_begins_with_a_noun_or_an_imperative() -> None:
    path = Path("a.py")
    assert list(docstring_findings(path, 'def f():\n    """Whether it is so."""\n'))
    assert list(docstring_findings(path, 'def f():\n    """What came."""\n'))
    assert not list(docstring_findings(path, 'def f():\n    """Return whether it is so."""\n'))
    raises = 'def f():\n    """Do it.\n\n    Raises:\n        DinoError: {}.\n    """\n'
    assert list(docstring_findings(path, raises.format("it is not there")))
    assert not list(docstring_findings(path, raises.format("if it is not there")))


def test_lines_keep_their_numbers_when_code_is_removed() -> None:
    text = "one\n```\ncode\n```\n`inline\ncode` four\n"
    assert len(prose_of_markdown(text).split("\n")) == len(text.split("\n"))


def test_the_table_of_terms_is_covered_by_the_rules() -> None:
    """Each retired word of CONTRIBUTING's table that a pattern can find is in a rule."""
    text = (Path(__file__).parents[1] / "CONTRIBUTING.md").read_text(encoding="utf-8")
    table = text.partition("retired terms: begin -->")[2].partition("<!-- retired terms: end")[0]
    rows = [line.split("|")[1:-1] for line in table.strip().splitlines()[2:]]
    assert sum(len(row) for row in rows) == 4 * len(rows)
    old = " ".join(cell for row in rows for cell in (row[0], row[2]))
    patterns = [pattern for rule in RULES for pattern, _ in rule.patterns]
    for word in ("room", "newness", "Surroundings", "signs", "film", "sheet", "drawing", "together", "crowd", "spread",
                 "guard", "FIRST", "assembly", "tensorfile", "shipped", "nursery", "hostile", "picture"):  # fmt: skip
        assert word in old
        assert any(pattern.fullmatch(word) for pattern in patterns), word
