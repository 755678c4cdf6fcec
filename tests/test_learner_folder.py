"""`dino init` and `dino update`: a learner's folder, from a clone and from a wheel."""

import json
import os
import subprocess
import sys
import tomllib
from importlib import metadata
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from typer.testing import CliRunner

from dino.cli import app
from dino.common.errors import DinoError
from dino.course import curriculum, learner_folder
from dino.course.curriculum import LESSONS, Course, find_course, packaged_course
from dino.course.learner_folder import MANIFEST, create, update
from dino.course.stubs import stub

IMAGES = LESSONS[0]


@pytest.fixture
def course(tmp_path: Path) -> Course:
    return create(tmp_path / "my-course")


def invoke(*words: str) -> str:
    return CliRunner().invoke(app, list(words), catch_exceptions=False).output


def newer(monkeypatch: pytest.MonkeyPatch, changed: str) -> None:
    """Pretend that a newer version of dino has another text in one file."""
    files = learner_folder._files

    def changed_files(folder: Path) -> dict[str, str]:
        return {name: text + "# newer\n" * (name == changed) for name, text in files(folder).items()}

    monkeypatch.setattr(learner_folder, "_files", changed_files)


# ---- init -----------------------------------------------------------------------------------------------------------


def test_a_new_folder_holds_every_lesson_unsolved(course: Course) -> None:
    for lesson in LESSONS:
        assert course.lesson_file(lesson).read_text() == stub(packaged_course(), lesson)
        assert course.grader(lesson).exists()
        assert json.loads(course.notebook(lesson).read_text())["cells"]
    assert not (course.root / "solutions").exists()
    assert course.is_here


def test_answers_in_a_clone_do_not_reach_a_new_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clone = Course(tmp_path / "clone")
    create(clone.root)
    (clone.root / "solutions").symlink_to(packaged_course().root / "solutions")
    clone.lesson_file(IMAGES).write_text("solved = True\n")
    monkeypatch.setattr(learner_folder, "packaged_course", lambda: clone)
    assert "solved" not in create(tmp_path / "new").lesson_file(IMAGES).read_text()


def test_pytest_grades_the_lessons_of_a_new_folder(course: Course) -> None:
    course.lesson_file(IMAGES).write_bytes(packaged_course().solution(IMAGES).read_bytes())
    graded = subprocess.run(
        [sys.executable, "-m", "pytest", "lessons/00"], cwd=course.root, capture_output=True, text=True, check=False,
        env=os.environ | {"PYTHONPATH": str(packaged_course().root)}, timeout=240,
    )  # fmt: skip
    assert "3 of 3 in lesson 00" in graded.stdout
    assert course.contact_sheet(IMAGES).exists()


def test_the_folder_is_a_project_whose_dependencies_uv_can_read(tmp_path: Path) -> None:
    course = create(tmp_path / "Mein Kurs, größer")
    project = tomllib.loads((course.root / "pyproject.toml").read_text())["project"]
    assert project["name"] == "Mein-Kurs-gr-er"
    assert [Requirement(line).name for line in project["dependencies"]] == ["dino-diffusion"]


@pytest.mark.parametrize(
    ("origin", "requirement"),
    [
        (None, f"dino-diffusion>={learner_folder.VERSION}"),
        ({"url": "file:///tmp/dino.whl", "archive_info": {}}, "dino-diffusion @ file:///tmp/dino.whl"),
        ({"url": "file:///home/me/clone", "dir_info": {"editable": True}}, "dino-diffusion @ file:///home/me/clone"),
        (
            {"url": "https://example.org/dino.git", "vcs_info": {"vcs": "git", "commit_id": "abc123"}},
            "dino-diffusion @ git+https://example.org/dino.git@abc123",
        ),
    ],
)
def test_a_folder_gets_dino_from_where_this_one_came(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, origin: dict[str, object] | None, requirement: str
) -> None:
    class Installed:
        def read_text(self, name: str) -> str | None:
            return json.dumps(origin) if origin and name == "direct_url.json" else None

    monkeypatch.setattr(metadata, "distribution", lambda name: Installed())
    course = create(tmp_path / "new")
    assert tomllib.loads((course.root / "pyproject.toml").read_text())["project"]["dependencies"] == [requirement]


def test_a_folder_with_something_in_it_is_refused(course: Course, tmp_path: Path) -> None:
    with pytest.raises(DinoError, match="holds a course already"):
        create(course.root)
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "taxes.txt").touch()
    with pytest.raises(DinoError, match=r"full is not empty \(it holds taxes\.txt\)"):
        create(tmp_path / "full")
    with pytest.raises(DinoError, match=r"taxes\.txt is a file"):
        create(tmp_path / "full" / "taxes.txt")


def test_a_new_repository_is_an_empty_folder(tmp_path: Path) -> None:
    (tmp_path / ".git").mkdir()
    assert create(tmp_path).is_here


def test_init_says_how_to_start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert "Start with:\n  cd 'my course'\n  pytest lessons/00\n" in invoke("init", "my course")
    assert find_course(tmp_path / "my course" / "lessons").root == tmp_path / "my course"


# ---- update ---------------------------------------------------------------------------------------------------------


def test_an_update_without_news_writes_nothing(course: Course) -> None:
    before = {path: path.stat().st_mtime_ns for path in course.root.rglob("*.py")}
    changes = update(course)
    assert (changes.written, changes.kept) == ([], [])
    assert before == {path: path.stat().st_mtime_ns for path in course.root.rglob("*.py")}


def test_an_update_brings_newer_files_and_missing_ones(course: Course, monkeypatch: pytest.MonkeyPatch) -> None:
    course.notebook(IMAGES).unlink()
    newer(monkeypatch, "lessons/00/test_images.py")
    assert sorted(update(course).written) == ["lessons/00/lesson.ipynb", "lessons/00/test_images.py"]
    assert course.grader(IMAGES).read_text().endswith("# newer\n")
    assert course.notebook(IMAGES).exists()


def test_an_update_leaves_what_the_learner_wrote_and_says_so_once(
    course: Course, monkeypatch: pytest.MonkeyPatch
) -> None:
    course.lesson_file(IMAGES).write_text("answer = 42\n")
    assert update(course).kept == []  # there is no newer version of the file
    newer(monkeypatch, "lessons/00/images.py")
    assert update(course).kept == ["lessons/00/images.py"]
    assert update(course).kept == []
    assert course.lesson_file(IMAGES).read_text() == "answer = 42\n"


def test_line_endings_are_no_change(course: Course, monkeypatch: pytest.MonkeyPatch) -> None:
    file = course.lesson_file(IMAGES)
    file.write_bytes(file.read_bytes().replace(b"\n", b"\r\n"))  # as git does on Windows
    newer(monkeypatch, "lessons/00/images.py")
    assert update(course).written == ["lessons/00/images.py"]


def test_an_update_elsewhere_is_refused(course: Course, tmp_path: Path) -> None:
    with pytest.raises(DinoError, match="git pull"):
        update(packaged_course())
    (course.root / MANIFEST).write_text("[]")
    with pytest.raises(DinoError, match="can't be read"):
        update(course)
    (course.root / MANIFEST).unlink()
    with pytest.raises(DinoError, match="wasn't made by dino init"):
        update(course)


def test_update_reports_each_file(course: Course, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(course.root)
    assert "up to date" in invoke("update")
    newer(monkeypatch, "lessons/00/test_images.py")
    assert "updated   lessons/00/test_images.py" in invoke("update")


# ---- from a wheel ---------------------------------------------------------------------------------------------------


def test_a_wheel_brings_the_course_with_it(course: Course, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files = tmp_path / "files"
    files.mkdir()
    for name in ("lessons", "solutions"):
        (files / name).symlink_to(packaged_course().root / name)
    monkeypatch.setattr(curriculum, "PACKAGED", files)
    assert packaged_course().root == files
    assert course.solution(IMAGES) == files / "solutions" / "00" / "images.py"
    assert create(tmp_path / "from-a-wheel").lesson_file(IMAGES).read_text() == course.lesson_file(IMAGES).read_text()


def test_without_a_course_the_error_says_how_to_make_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(curriculum, "__file__", str(tmp_path / "site-packages" / "dino" / "course" / "curriculum.py"))
    with pytest.raises(DinoError, match="dino init my-course"):
        find_course(tmp_path)
