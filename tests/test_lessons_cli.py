"""The course in the terminal: real pytest and dino processes on a copy of the course."""

import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from dino.course.curriculum import LESSONS, N_EXERCISES, Course, find_lesson
from dino.course.stubs import stub
from tests.test_course import REPOSITORY, solved_but
from tests.waiting import PATIENCE, wait_until

NOISE = find_lesson("01")
SWAPPED = solved_but(
    NOISE, "mix", "def mix(clean, noise, noise_level):\n    return torch.lerp(noise, clean, noise_level)"
)


@pytest.fixture
def course(tmp_path: Path) -> Course:
    """A fresh copy of the course: nothing is solved."""
    for name in ("lessons", "solutions"):
        shutil.copytree(REPOSITORY.root / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(REPOSITORY.root / "pyproject.toml", tmp_path)
    course = Course(tmp_path)
    for lesson in LESSONS:
        course.lesson_file(lesson).write_text(stub(REPOSITORY, lesson))
    return course


@pytest.fixture
def run(course: Course) -> Callable[..., subprocess.CompletedProcess[str]]:
    def run(*command: str, where: Path | None = None, say: str = "") -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", *command],
            cwd=where or course.root,
            env=os.environ | {"PYTHONPATH": str(REPOSITORY.root), "COLUMNS": "100"},
            capture_output=True,
            text=True,
            input=say,
            check=False,
            timeout=PATIENCE,
        )

    return run


def solve(course: Course, *numbers: str) -> None:
    for number in numbers:
        lesson = find_lesson(number)
        shutil.copy(course.solution(lesson), course.lesson_file(lesson))


# ---- pytest lessons/NN ----------------------------------------------------------------------------------------------


def test_a_fresh_lesson_says_what_is_not_written_yet(course: Course, run) -> None:
    done = run("pytest", "lessons/01")
    assert done.returncode == 1
    assert done.stderr == ""
    lines = done.stdout.strip().splitlines()
    assert lines[0] == "lesson 01, mixing noise in: lessons/01/noise.py"
    assert done.stdout.count("not written yet") == 3
    assert lines[-2].strip().startswith("picture  runs/lessons/01.png")
    assert lines[-1].strip() == f"0 of 3 in lesson 01; 0 of {N_EXERCISES} in all; next: 1.1 mix"
    Image.open(course.root / "runs/lessons/01.png").load()


def test_a_wrong_answer_is_diagnosed_and_the_others_pass(course: Course, run) -> None:
    course.lesson_file(NOISE).write_text(SWAPPED)
    done = run("pytest", "lessons/01")
    assert done.returncode == 1
    output = " ".join(done.stdout.split())
    assert "1.1 mix" in output
    assert "At level 0 the result is the noise instead of the clean image: the two are swapped." in output
    assert re.search(r"expected [\d.]+, got [\d.]+ \(image 0, channel \d, row \d, column \d\)", output)
    assert "dino hint 1.1" in output
    assert "1.2 sample_noise_levels passed" in output
    assert f"2 of 3 in lesson 01; 2 of {N_EXERCISES} in all; next: 1.1 mix" in output
    assert not re.search(r"Traceback|test session starts|FAILURES|assert|catalog|grader", output)


def test_commands_begin_with_uv_run_if_the_learners_did(course: Course, run, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "; dino hint 1.1 helps" in run("pytest", "lessons/01").stdout
    monkeypatch.setenv("UV_RUN_RECURSION_DEPTH", "1")  # as uv sets it
    assert "; uv run dino hint 1.1 helps" in run("pytest", "lessons/01").stdout


def test_a_solved_lesson_passes_and_points_on(course: Course, run) -> None:
    solve(course, "01")
    done = run("pytest", "lessons/01")
    assert done.returncode == 0, done.stdout
    assert done.stdout.count("passed") == 3
    assert f"3 of 3 in lesson 01; 3 of {N_EXERCISES} in all; next: 0.1 to_unit" in done.stdout


def test_an_error_is_reported_with_the_learners_own_line(course: Course, run) -> None:
    code = "def mix(clean, noise, noise_level):\n    return clean + nose"
    course.lesson_file(NOISE).write_text(solved_but(NOISE, "mix", code))
    output = run("pytest", "lessons/01", "-k", "mix").stdout
    assert "NameError: name 'nose' is not defined" in output
    assert re.search(r"lessons/01/noise.py, line \d+: return clean \+ nose", output)
    assert "Traceback" not in output


@pytest.mark.parametrize("where", ["lessons", "lessons/01", "solutions"])
def test_it_works_from_any_folder(course: Course, run, where: str) -> None:
    solve(course, "01")
    folder = course.root / where
    done = run("pytest", os.path.relpath(course.root / "lessons" / "01", folder), where=folder)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "3 of 3 in lesson 01" in done.stdout


def test_it_works_from_inside_the_lesson_without_arguments(course: Course, run) -> None:
    solve(course, "01")
    done = run("pytest", where=course.root / "lessons" / "01")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "3 of 3 in lesson 01" in done.stdout


def test_k_x_q_and_xdist_work_as_usual(course: Course, run) -> None:
    course.lesson_file(NOISE).write_text(SWAPPED)
    one = run("pytest", "lessons/01", "-k", "add_noise")
    assert one.returncode == 0
    assert "1.3 add_noise" in one.stdout
    assert "1.1" not in one.stdout.partition("next:")[0]
    first = run("pytest", "lessons/01", "-x")
    assert first.returncode == 1
    assert "1.1 mix" in first.stdout
    assert "1.2 sample_noise_levels" not in first.stdout
    brief = run("pytest", "lessons/01", "-q")
    assert "the two are swapped" in " ".join(brief.stdout.split())
    assert "dino hint" not in brief.stdout
    parallel = run("pytest", "lessons/01", "-n", "2")
    assert parallel.returncode == 1
    assert [parallel.stdout.index(name) for name in ("1.1 mix", "1.2 sample", "1.3 add")] == sorted(
        parallel.stdout.index(name) for name in ("1.1 mix", "1.2 sample", "1.3 add")
    )
    assert "the two are swapped" in " ".join(parallel.stdout.split())
    single = run("pytest", "lessons/01/test_noise.py::test_sample_noise_levels")
    assert single.returncode == 0
    assert "1.2 sample_noise_levels  passed" in single.stdout
    nothing = run("pytest", "lessons/01", "-k", "no_such_exercise")
    assert nothing.returncode == 5
    assert "No exercise was graded" in nothing.stdout


def test_grading_needs_no_plug_in_of_pytest(run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")  # as after `pip install -e .`, without the group test
    done = run("pytest", "lessons/00", "--strict-config")
    assert done.stderr == ""
    assert "0.1 to_unit        not written yet" in done.stdout
    mistyped = run("pytest", "lessons/00", "--no-such-option")
    assert mistyped.returncode == 4
    assert "unrecognized arguments: --no-such-option" in mistyped.stderr
    assert "No exercise was graded" not in mistyped.stdout


def test_a_mistake_in_pytests_own_settings_is_no_mistake_in_the_names_of_exercises(course: Course, run) -> None:
    with (course.root / "pyproject.toml").open("a") as file:
        file.write('[tool.pytest.ini_options]\nno_such_setting = 1\naddopts = "--strict-config"\n')
    text = (course.root / "pyproject.toml").read_text()
    (course.root / "pyproject.toml").write_text(text[text.rindex("[tool.pytest") :])
    done = run("pytest", "lessons/00")
    assert "no_such_setting" in done.stdout + done.stderr
    assert "No exercise was graded" not in done.stdout


def test_a_test_view_can_list_the_exercises(run) -> None:
    done = run("pytest", "--collect-only", "-q", "lessons")
    for lesson in LESSONS:
        for exercise in lesson.exercises:
            assert f"lessons/{lesson.number}/test_{lesson.name}.py::test_{exercise.lower()}" in done.stdout


def test_all_lessons_at_once_end_with_the_integration_check(course: Course, run) -> None:
    solve(course, *(lesson.number for lesson in LESSONS))
    done = run("pytest", "lessons")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "integration  passed" in done.stdout
    everything = f"{N_EXERCISES} of {N_EXERCISES} in all"
    assert f"{everything}; all done: now train on your own parts with dino train --mine" in done.stdout


def test_who_stops_after_lesson_04_learns_that_the_model_is_complete(course: Course, run) -> None:
    solve(course, "00", "01", "02", "03")
    assert "your model is complete" not in run("dino", "progress").stdout
    solve(course, "04")
    output = run("pytest", "lessons/04").stdout
    assert "in all; your model is complete: train it with dino train --mine; next: 5.1 loss_by_noise_level" in output
    shown = run("dino", "progress").stdout.splitlines()
    assert shown[-2].endswith("your model is complete: train it with dino train --mine")
    assert shown[-1] == "next: 5.1 loss_by_noise_level"


def test_a_verdict_counts_until_the_code_changes(course: Course, run) -> None:
    solve(course, "00", "01")
    run("pytest", "lessons/00")
    assert f"6 of {N_EXERCISES} in all" in run("pytest", "lessons/01").stdout
    with course.lesson_file(find_lesson("00")).open("a") as file:
        file.write("THOUGHT = 1\n")
    output = run("pytest", "lessons/01").stdout
    assert f"3 of {N_EXERCISES} in all" in output
    assert "lesson 00 has changed: pytest lessons/00" in output


# ---- the commands ---------------------------------------------------------------------------------------------------


def test_hints_come_one_by_one(run) -> None:
    first, second, third, fourth = (run("dino", "hint", "1.1").stdout for _ in range(4))
    assert "hint 1 of 3" in first
    assert "hint 2 of 3" not in first
    assert "hint 2 of 3" in second
    assert "hint 3 of 3" in third
    assert fourth == third
    assert "dino solution 1.1" in third
    wrong = run("dino", "hint", "99.9")
    assert wrong.returncode == 1
    assert "there is no exercise 99.9" in wrong.stderr


@pytest.mark.parametrize("lesson", LESSONS, ids=[lesson.number for lesson in LESSONS])
def test_every_exercise_has_three_hints(lesson) -> None:
    from dino.course.hints import hints

    for exercise in lesson.exercises:
        three = hints(lesson, exercise)
        assert len(three) == 3, exercise
        assert all(len(text) > 40 for text in three)


def test_a_solution_is_shown_after_a_question_and_compared_with_the_learners(course: Course, run) -> None:
    course.lesson_file(NOISE).write_text(SWAPPED)
    declined = run("dino", "solution", "1.1", say="n\n")
    assert declined.returncode == 1
    assert "doesn't pass yet" in declined.stdout
    assert "torch.lerp(clean" not in declined.stdout
    shown = run("dino", "solution", "1.1", say="y\n").stdout
    assert "    return torch.lerp(clean, noise, noise_level)" in shown
    assert "-    return torch.lerp(noise, clean, noise_level)" in shown
    assert "+    return torch.lerp(clean, noise, noise_level)" in shown
    passed = run("dino", "solution", "1.2")
    assert passed.returncode == 0
    assert "torch.rand(n, 1, 1, 1" in passed.stdout
    assert "From yours" not in passed.stdout


def test_reset_keeps_the_old_attempt(course: Course, run) -> None:
    course.lesson_file(NOISE).write_text(SWAPPED)
    done = run("dino", "reset", "01")
    kept = re.search(r"kept\s+(\S+)", done.stdout)
    assert kept
    assert (course.root / kept.group(1)).read_text() == SWAPPED
    assert course.lesson_file(NOISE).read_text() == stub(REPOSITORY, NOISE)
    assert "nothing to reset" in run("dino", "reset", "noise").stdout
    course.lesson_file(NOISE).unlink()
    run("dino", "reset", "1")
    assert course.lesson_file(NOISE).read_text() == stub(REPOSITORY, NOISE)


def test_progress_grades_what_has_changed(course: Course, run) -> None:
    course.lesson_file(NOISE).write_text(SWAPPED)
    output = run("dino", "progress").stdout
    assert "2 of 3" in output
    assert f"2 of {N_EXERCISES} in all" in output
    assert "the two are swapped" in " ".join(output.split())
    solve(course, "01")
    assert f"3 of {N_EXERCISES} in all" in run("dino", "progress").stdout


def test_watch_grades_again_when_the_file_is_saved(course: Course, tmp_path: Path) -> None:
    log = tmp_path / "log.txt"
    with log.open("w") as output:
        process = subprocess.Popen(
            [sys.executable, "-u", "-m", "dino", "watch", "01"],
            cwd=course.root,
            env=os.environ | {"PYTHONPATH": str(REPOSITORY.root)},
            stdout=output,
            stderr=subprocess.STDOUT,
        )
        try:
            wait_until(lambda: "watching lessons/01/noise.py" in log.read_text(), process)
            assert "0 of 3 in lesson 01" in log.read_text()
            solve(course, "01")
            wait_until(lambda: "3 of 3 in lesson 01" in log.read_text(), process)
            wait_until(lambda: log.read_text().count("watching lessons/01/noise.py") >= 2, process)
            process.send_signal(signal.SIGINT)
            assert process.wait(PATIENCE) == 0
        finally:
            process.kill()
    assert "stopped watching" in log.read_text()
    assert "Traceback" not in log.read_text()


def test_training_on_own_parts_refuses_fills_in_and_ends_with_a_card(course: Course, run) -> None:
    solve(course, "00", "01", "03", "04")
    options = ["--data", "emoji:face-hat", "--size", "16", "--images", "64", "--batch-size", "8"]
    refused = run("dino", "train", "--mine", *options)
    assert refused.returncode == 1
    assert refused.stderr.count("\n") == 1
    assert "lesson 02 (denoiser) doesn't pass yet: 2.1 Block" in refused.stderr
    filled = run("dino", "train", "--mine", "--fill-in", *options)
    assert filled.returncode == 0, filled.stderr
    assert re.search(r"02 denoiser\s+dino's\s+\(2.1 Block doesn't pass yet\)", filled.stdout)
    assert re.search(r"04 sampler\s+yours", filled.stdout)
    solve(course, "02")
    done = run("dino", "train", "--mine", *options)
    assert done.returncode == 0, done.stderr
    assert len(re.findall(r"part\s+\d\d \w+\s+yours", done.stdout)) == 5
    card = re.search(r"card +what your own model draws: (\S+card\.png)", done.stdout)
    assert card
    assert re.search(r"page +put it into a web page of your own: .*dino page \S+", done.stdout)
    Image.open(course.root / card.group(1)).load()
    alone = run("dino", "train", "--fill-in")
    assert alone.returncode == 1
    assert "--fill-in goes with --mine" in alone.stderr


def test_lesson_00_reports_a_broken_torch(course: Course, run, tmp_path: Path) -> None:
    (tmp_path / "broken" / "torch").mkdir(parents=True)
    (tmp_path / "broken" / "torch" / "__init__.py").write_text("raise ImportError('no libtorch')")
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "lessons/00"],
        cwd=course.root,
        env=os.environ | {"PYTHONPATH": os.pathsep.join([str(tmp_path / "broken"), str(REPOSITORY.root)])},
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE,
    )
    assert done.returncode == 1
    assert "can't be imported (no libtorch)" in done.stdout
    assert "Traceback" not in done.stdout + done.stderr
    solve(course, "00")
    assert "3 of 3 in lesson 00" in run("pytest", "lessons/00").stdout


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="looks for child processes in /proc")
def test_ctrl_c_ends_an_endless_loop_at_once_and_leaves_no_process(course: Course) -> None:
    running = course.root / "running"
    code = (
        f"def mix(clean, noise, noise_level):\n    open({str(running)!r}, 'w').close()\n    while True:\n        pass"
    )
    course.lesson_file(NOISE).write_text(solved_but(NOISE, "mix", code))
    process = subprocess.Popen(
        [sys.executable, "-m", "pytest", "lessons/01"],
        cwd=course.root,
        env=os.environ | {"PYTHONPATH": str(REPOSITORY.root)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
    wait_until(running.exists, process)
    worker = Path("/proc", children.read_text().split()[0])
    process.send_signal(signal.SIGINT)
    output, _ = process.communicate(timeout=PATIENCE)
    assert process.returncode == 2
    assert output.strip() == "stopped"
    assert not worker.exists()
