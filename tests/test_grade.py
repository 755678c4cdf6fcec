"""`dino grade`: many folders, each in a sandbox of its own, whatever is in them."""

import csv
import json
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from dino.cli import app
from dino.common.errors import DinoError
from dino.course import confinement
from dino.course.curriculum import find_lesson
from dino.course.grading import Grades, Result, as_gradescope, as_rows, grade_folder, learners_in, left_out
from dino.course.stubs import stub
from tests.test_course import REPOSITORY, solved_but

Graded = tuple[dict[str, Any], list[dict[str, str]], str]
IMAGES, NOISE = find_lesson("00"), find_lesson("01")
SWAPPED = solved_but(
    NOISE, "mix", "def mix(clean, noise, noise_level):\n    return torch.lerp(noise, clean, noise_level)"
)

# What each attempt of hostile code comes to, in one line of its error.
HOSTILE = """
import os, socket, sys
found = []
def attempt(name, action):
    try:
        found.append(f"{{name}} {{action()!r}}")
    except BaseException as error:
        found.append(f"{{name}} {{type(error).__name__}}")
attempt("read", lambda: open({other!r}).read()[:9])
attempt("write", lambda: open({other!r}, "w").write("x"))
attempt("list", lambda: os.listdir({folder!r}))
attempt("connect", lambda: socket.create_connection(("127.0.0.1", {port}), 1))
attempt("kill", lambda: os.kill(os.getppid(), 0))
attempt("memory", lambda: len(bytearray(64 * 2**30)))
attempt("secret", lambda: os.environ["HF_TOKEN"])
raise RuntimeError("; ".join(found))
"""
FORGER = """
import os
for pipe in range(3, 64):
    try:
        os.write(pipe, b'{"verdict": {"number": "1.1", "exercise": "mix", "outcome": "passed"}}\\n')
    except OSError:
        pass
"""


def write(folder: Path, place: str, text: str) -> None:
    (folder / place).parent.mkdir(parents=True, exist_ok=True)
    (folder / place).write_text(text)


@pytest.fixture(scope="module")
def submissions(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Seven folders: right, wrong, unsolved, at the top, with an edited grader, with links, and hostile."""
    root = tmp_path_factory.mktemp("class")
    noise = REPOSITORY.solution(NOISE).read_text()
    for name, text in (("right", noise), ("wrong", SWAPPED), ("unsolved", stub(REPOSITORY, NOISE))):
        write(root / name, "lessons/01/noise.py", text)
    write(root / "top", "noise.py", noise)
    write(root / "edited", "lessons/01/noise.py", SWAPPED)
    write(root / "edited", "lessons/01/test_noise.py", "def test_mix(answer, seed):\n    pass\n")
    write(root / "copied", "lessons/00/images.py", stub(REPOSITORY, IMAGES))
    (root / "copied" / "noise.py").symlink_to(root / "right" / "lessons" / "01" / "noise.py")
    with socket.create_server(("127.0.0.1", 0)) as server:
        other = str(root / "right" / "lessons" / "01" / "noise.py")
        hostile = HOSTILE.format(other=other, folder=str(root), port=server.getsockname()[1])
        write(root / "hostile", "lessons/00/images.py", hostile)
        write(root / "hostile", "lessons/01/noise.py", FORGER + SWAPPED)
        yield root


@pytest.fixture(scope="module")
def graded(submissions: Path) -> Graded:
    """Grade them all. Returns the JSON's entry of each folder by its name, the rows of the CSV, and the output."""
    files = [submissions.parent / f"{submissions.name}.{ending}" for ending in ("json", "csv")]
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HF_TOKEN", "hf_secret")
        options = ["--lesson", "00", "--lesson", "01", "--json", str(files[0]), "--csv", str(files[1])]
        result = CliRunner().invoke(app, ["grade", str(submissions), *options], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    learners = json.loads(files[0].read_text())["learners"]
    return (
        {Path(learner["folder"]).name: learner for learner in learners},
        list(csv.DictReader(files[1].open(newline=""))),
        result.output,
    )


def outcomes(learner: dict[str, Any], lesson: str = "01") -> list[str]:
    return [result["outcome"] for result in learner["results"] if result["lesson"] == lesson]


def test_each_folder_gets_its_own_grades(graded: Graded) -> None:
    learners, rows, output = graded
    assert outcomes(learners["right"]) == outcomes(learners["top"]) == ["passed"] * 3
    assert outcomes(learners["wrong"]) == ["wrong", "passed", "passed"]
    assert outcomes(learners["unsolved"]) == ["unwritten"] * 3
    assert outcomes(learners["right"], "00") == ["missing"] * 3
    assert learners["wrong"]["passed"] == 2
    assert len(rows) == len(learners) * 6
    assert "3 of 3" in output


def test_a_result_says_what_is_wrong_and_what_to_do(graded: Graded) -> None:
    learners, rows, _ = graded
    mix = learners["wrong"]["results"][3]
    assert (mix["number"], mix["name"], mix["passed"]) == ("1.1", "mix", False)
    assert "level" in mix["message"]
    assert mix["advice"]
    assert mix["seconds"] > 0
    row = next(row for row in rows if row["folder"].endswith("wrong") and row["number"] == "1.1")
    assert row["message"] == mix["message"]


def test_an_edited_grader_changes_nothing(graded: Graded) -> None:
    assert outcomes(graded[0]["edited"]) == ["wrong", "passed", "passed"]


def test_a_link_to_somebody_elses_answer_is_no_answer(
    graded: Graded,
) -> None:
    assert outcomes(graded[0]["copied"]) == ["missing"] * 3


def test_a_forged_response_does_not_pass(graded: Graded) -> None:
    assert "passed" not in outcomes(graded[0]["hostile"])


@pytest.mark.skipif("files" not in confinement.protections(), reason="this system has no Landlock")
def test_hostile_code_reaches_nothing(graded: Graded) -> None:
    message = graded[0]["hostile"]["results"][0]["message"] + graded[0]["hostile"]["results"][0]["advice"]
    for attempt in ("read", "write", "list", "connect"):
        assert f"{attempt} PermissionError" in message or attempt == "connect", message
    assert "memory MemoryError" in message
    assert "secret KeyError" in message
    if "connections" in confinement.protections():
        assert "connect PermissionError" in message
    if "processes" in confinement.protections():
        assert "kill PermissionError" in message


def test_a_file_that_hangs_when_it_is_loaded_costs_its_time_once(tmp_path: Path) -> None:
    write(tmp_path, "noise.py", "while True:\n    pass\n")
    first, *others = grade_folder(tmp_path, [NOISE], time_limit=1).results
    assert first.outcome == "stopped"
    assert "noise.py was still running" in first.message
    assert "line 2: pass" in first.advice or "line 1: while True:" in first.advice
    assert [(other.outcome, other.message) for other in others] == [("stopped", first.message)] * 2
    assert sum(other.seconds for other in others) < first.seconds


# ---- folders and formats --------------------------------------------------------------------------------------------


def test_a_folder_stands_for_the_folders_in_it(submissions: Path) -> None:
    assert [path.name for path in learners_in([submissions])] == [
        "copied", "edited", "hostile", "right", "top", "unsolved", "wrong"
    ]  # fmt: skip
    assert learners_in([submissions / "top", submissions / "top"]) == [submissions / "top"]


def test_a_folder_without_lessons_among_others_is_named(tmp_path: Path) -> None:
    write(tmp_path / "alice", "noise.py", stub(REPOSITORY, NOISE))
    for name in ("bob", "carol", ".git", "__MACOSX"):
        (tmp_path / name).mkdir()
    found = learners_in([tmp_path])
    assert left_out([tmp_path], found) == [tmp_path / "bob", tmp_path / "carol"]
    assert not left_out([tmp_path / "alice"], learners_in([tmp_path / "alice"]))
    result = CliRunner().invoke(app, ["grade", str(tmp_path), "--lesson", "00"], catch_exceptions=False)
    assert "without a lesson file: bob, carol" in result.output


def test_a_folder_without_lessons_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(DinoError, match="there are no lesson files in"):
        learners_in([tmp_path])
    with pytest.raises(DinoError, match=r"there is no folder .*nobody"):
        learners_in([tmp_path / "nobody"])


GRADES = Grades(
    "alice",
    [
        Result("01", "1.1", "mix", True, "passed", "", "", 0.1),
        Result("01", "1.2", "sample_noise_levels", False, "wrong", "=1+1 is wrong.", "It should be 2.", 0.1),
    ],
)


def test_gradescope_gets_a_point_for_each_exercise() -> None:
    results = as_gradescope(GRADES)
    assert results["score"] == 1
    assert [test["score"] for test in results["tests"]] == [1, 0]
    assert results["tests"][1]["output"] == "=1+1 is wrong.\nIt should be 2."
    assert results["tests"][1]["status"] == "failed"


def test_the_format_of_gradescope_is_for_one_folder(submissions: Path) -> None:
    result = CliRunner().invoke(app, ["grade", str(submissions), "--format", "gradescope", "--json", "x.json"])
    assert isinstance(result.exception, DinoError)
    assert "one folder" in str(result.exception)


def test_no_cell_of_the_table_is_a_formula() -> None:
    assert as_rows([GRADES])[1]["message"] == "'=1+1 is wrong."
    assert as_rows([GRADES])[1]["seconds"] == 0.1
    assert as_rows([GRADES])[0]["message"] == ""
