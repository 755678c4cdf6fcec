"""A verdict counts only while every file that decides it is the same."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from dino.common.errors import DinoError
from dino.course import progress
from dino.course.curriculum import LESSONS, Course, Lesson, mistakes_file
from dino.course.stubs import stub
from dino.course.verdict import Verdict

REPOSITORY = Course(Path(__file__).parents[1])

LOADED_BY_A_GRADER = """
import json, sys
from pathlib import Path
from dino.course.curriculum import Course, find_lesson
from dino.course.grader.contact_sheet import draw
from dino.course.grader.grade import grade
from dino.course.grader.worker import warm_up
course, lesson = Course(Path(sys.argv[1])), find_lesson(sys.argv[2])
opened = set()
sys.addaudithook(lambda event, args: opened.add(str(args[0])) if event == "open" else None)
assert warm_up() == ""
for exercise in lesson.exercises:
    grade(course, lesson, exercise)
draw(course, lesson, [])
modules = {str(getattr(module, "__file__", None)) for module in list(sys.modules.values())}
print(json.dumps(sorted(opened | modules)))
"""


@pytest.fixture
def course(tmp_path: Path) -> Course:
    for name in ("lessons", "solutions"):
        shutil.copytree(REPOSITORY.root / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
    return Course(tmp_path)


@pytest.mark.parametrize("lesson", LESSONS, ids=lambda lesson: lesson.number)
def test_every_project_file_that_a_grader_opens_is_in_the_fingerprint(lesson: Lesson, course: Course) -> None:
    file = course.lesson_file(lesson)  # one answer is wrong, so that it is compared with the known mistakes
    file.write_text(stub(REPOSITORY, lesson).replace("raise NotImplementedError", "raise ValueError", 1))
    command = [sys.executable, "-c", LOADED_BY_A_GRADER, str(course.root), lesson.number]
    done = subprocess.run(command, cwd=REPOSITORY.root, capture_output=True, text=True, check=True)
    opened = {
        Path(name).resolve() for name in json.loads(done.stdout.splitlines()[-1]) if name.endswith((".py", ".png"))
    }
    package = REPOSITORY.root / "dino"
    ours = {path for path in opened if path.is_relative_to(package) or path.is_relative_to(course.root)}
    ours -= {file, course.contact_sheet(lesson)}  # the learner's own, and what grading writes
    ours = {path for path in ours if path.exists() and not path.name.startswith(".")}  # a temporary is gone by now
    counted = {path.resolve() for path in progress.grading_files(course, lesson)}
    assert {package / f"{lesson.name}.py", mistakes_file(lesson), course.grader(lesson)} <= ours
    assert ours <= counted, sorted(map(str, ours - counted))


def test_a_missing_file_of_the_grader_is_an_error(course: Course, monkeypatch: pytest.MonkeyPatch) -> None:
    lesson = LESSONS[3]
    real = progress.grading_files(REPOSITORY, lesson)
    moved = Path("moved_away.py")
    monkeypatch.setattr(progress, "mistakes_file", lambda _: moved)
    with pytest.raises(DinoError, match=r"moved_away\.py can't be read"):
        progress.fingerprint(REPOSITORY, lesson, "train")
    monkeypatch.setattr(progress, "grading_files", lambda *_: [*real, moved])
    with pytest.raises(DinoError, match=r"moved_away\.py can't be read"):
        progress.fingerprint(REPOSITORY, lesson, "train")
    monkeypatch.undo()
    course.grader(lesson).unlink()
    with pytest.raises(DinoError, match=r"test_training\.py can't be read"):
        progress.fingerprint(course, lesson, "train")


def test_a_verdict_does_not_count_once_a_file_of_the_grader_is_missing(course: Course) -> None:
    lesson = LESSONS[3]
    record = progress.Record(course)
    record.keep(Verdict("3.2", "train_step", "passed"), progress.fingerprint(course, lesson, "train_step"))
    assert record.passed(lesson) == 1
    progress._fingerprint_of_graders.cache_clear()
    course.grader(lesson).unlink()
    assert record.passed(lesson) == 0


ANSWERS = """
import torch

SCALE = 255

def mix(clean, noise, level):
    return torch.lerp(clean, noise, level)

def sample_noise_levels(n, *, generator=None):
    return helper(n)

def helper(n):
    return torch.rand(n, 1, 1, 1)

def add_noise(clean, *, generator=None):
    levels = sample_noise_levels(len(clean))
    return mix(clean, torch.rand_like(clean), levels), levels
"""


@pytest.mark.parametrize(
    ("old", "new", "changed"),
    [
        ("lerp(clean, noise", "lerp(noise, clean", ["mix", "add_noise"]),
        ("torch.rand(n, 1, 1, 1)", "torch.zeros(n)", ["sample_noise_levels", "add_noise"]),
        ("levels = sample", "levels = 1 - sample", ["add_noise"]),
        ("SCALE = 255", "SCALE = 256", ["mix", "sample_noise_levels", "add_noise"]),
        ("SCALE = 255", "SCALE = mix(1, 2, 3)", ["mix", "sample_noise_levels", "add_noise"]),
        (
            "def mix(clean, noise, level)",
            "def mix(clean, noise, level=SCALE)",
            ["mix", "sample_noise_levels", "add_noise"],
        ),
        ("\ndef mix", "\n@helper\ndef mix", ["mix", "sample_noise_levels", "add_noise"]),
        ("return helper(n)", "return helper(n) oops", ["mix", "sample_noise_levels", "add_noise"]),
        ("\ndef helper", "\n# a comment\n\n\ndef helper", []),
    ],
)
def test_a_verdict_counts_until_the_code_changes_that_the_exercise_uses(
    course: Course, old: str, new: str, changed: list[str]
) -> None:
    lesson = LESSONS[1]
    course.lesson_file(lesson).write_text(ANSWERS)
    before = {exercise: progress.fingerprint(course, lesson, exercise) for exercise in lesson.exercises}
    assert old in ANSWERS
    course.lesson_file(lesson).write_text(ANSWERS.replace(old, new))
    after = {exercise: progress.fingerprint(course, lesson, exercise) for exercise in lesson.exercises}
    assert [exercise for exercise in lesson.exercises if before[exercise] != after[exercise]] == changed


def test_a_change_in_any_deciding_file_changes_the_fingerprint(
    course: Course, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    lesson = LESSONS[1]
    mistakes = tmp_path / "mistakes.py"  # a copy, because the real ones belong to the package
    shutil.copy(mistakes_file(lesson), mistakes)
    monkeypatch.setattr(progress, "mistakes_file", lambda _: mistakes)
    before = progress.fingerprint(course, lesson, "mix")
    for path in (course.lesson_file(lesson), course.grader(lesson), mistakes):
        progress._fingerprint_of_graders.cache_clear()  # within one process these files are taken to stay the same
        path.write_text(path.read_text() + "\nSOMETHING = 1\n")
        assert progress.fingerprint(course, lesson, "mix") != before
        before = progress.fingerprint(course, lesson, "mix")
    course.lesson_file(lesson).unlink()
    assert progress.fingerprint(course, lesson, "mix") != before
