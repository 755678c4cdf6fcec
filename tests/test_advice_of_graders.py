"""Advice: what only matters elsewhere doesn't fail an exercise, is counted, and fails it with --strict."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from dino.cli import app
from dino.course.curriculum import LESSONS, N_EXERCISES, Lesson, find_lesson
from dino.course.grading import grade_folder
from dino.course.progress import Record, fingerprint
from dino.course.verdict import Verdict
from tests.test_catalog import grader_of
from tests.test_course import REPOSITORY, solved_but
from tests.waiting import PATIENCE

SAMPLER = find_lesson("04")
# Accepts 0 steps, which only matters to a caller who asks for them.
CARELESS = "def noise_schedule(n_steps):\n    return torch.linspace(1, 0, n_steps + 1)"
SAYS = "The function accepts 0 steps, but a schedule needs at least one step."

# Every mistake that is advice. Any other mistake must fail.
ADVICE = {
    "center_square": {"turned_to_floats"},
    "random_flip": {"device_forgotten"},
    "sample_noise_levels": {"device_ignored", "moved_to_the_device"},
    "add_noise": {"always_float32", "device_forgotten"},
    "UNet": {"LeftOverDropped", "AssertionInPlaceOfValueError"},
    "denoising_loss": {"evaluation_mode", "training_mode"},
    "train_step": {"mode_left_alone", "training_mode_too_late", "left_in_evaluation_mode", "graph_retained"},
    "update_average": {
        "buffers_shared",
        "buffers_forgotten",
        "buffers_averaged",
        "counters_left_out",
        "all_by_lerp",
        "average_returned",
        "model_switched",
    },
    "train": {"training_mode_once", "evaluation_mode_for_the_caller"},
    "noise_schedule": {"nothing_refused", "zero_alone_refused", "asserted"},
    "denoise": {"levels_in_a_dtype_of_their_own", "mode_switched", "tensors_only"},
    "generate": {
        "never_evaluating",
        "left_evaluating",
        "always_training_after",
        "mode_lost_in_an_error",
        "model_switched_alone",
        "layers_left_evaluating",
        "dtype_ignored",
        "device_ignored",
        "weights_taken_for_granted",
        "tuple_taken_for_granted",
    },
    "warped_schedule": {"any_warp", "any_number_of_steps"},
    "step_sizes": {"sizes_in_float64"},
    "one_step": {"always_float32", "weights_needed"},
    "loss_by_noise_level": {
        "noise_of_another_dtype",
        "levels_of_another_dtype",
        "through_floats",
        "left_evaluating",
    },
    "sliced_wasserstein": {
        "nothing_refused",
        "number_compared",
        "torch_stumbles",
        "torch_stumbles_later",
        "asserted",
        "device_not_told",
        "dtype_not_told",
    },
    "ConditionalDenoiser": {"WordsOfAnotherDtype", "ZerosElsewhere"},
    "drop_conditions": {"device_forgotten"},
    "asking": {"always_twice", "twice_at_one"},
    "vary": {"noise_elsewhere"},
    "my_own": {"not_mirrored_back", "not_halved", "random_each_time"},
    "edm_heun_step": {"wasted_at_the_end", "asked_twice"},
}


def passes(lesson: Lesson, exercise: str, answer: Any) -> bool:
    try:
        for seed in range(grader_of(lesson).n_seeds(exercise)):
            grader_of(lesson).check(exercise, answer, seed)
    except Exception:
        return False
    return True


@pytest.mark.parametrize("lesson", LESSONS, ids=lambda lesson: lesson.number)
def test_only_mistakes_that_matter_elsewhere_are_advice(lesson: Lesson) -> None:
    for exercise in lesson.exercises:
        found = {x.__name__ for x in grader_of(lesson).mistakes(exercise) if passes(lesson, exercise, x)}
        assert found == ADVICE.get(exercise, set()), exercise


def test_a_strict_verdict_turns_advice_into_a_failure() -> None:
    advised = Verdict("4.1", "noise_schedule", "passed", advice=["One thing.", "Another."])
    strict = advised.strictly()
    assert (strict.passed, strict.outcome, strict.says, strict.facts) == (False, "wrong", "One thing.", "Another.")
    for same in (Verdict("4.1", "noise_schedule", "passed"), Verdict("4.1", "noise_schedule", "broken", "It broke.")):
        assert same.strictly() == same


@pytest.fixture
def careless(tmp_path: Path) -> Path:
    """A folder of a learner whose lesson 04 has advice on one exercise."""
    file = tmp_path / "lessons" / "04" / "sampler.py"
    file.parent.mkdir(parents=True)
    file.write_text(solved_but(SAMPLER, "noise_schedule", CARELESS))
    return tmp_path


def test_grades_hold_advice_on_an_exercise_that_passes(careless: Path) -> None:
    result, *others = grade_folder(careless, [SAMPLER]).results
    assert (result.passed, result.outcome, result.message, result.advice) == (True, "passed", "", SAYS)
    assert all(other.passed and not other.advice for other in others)


def test_dino_grade_counts_advice_and_fails_it_if_it_is_strict(careless: Path, tmp_path: Path) -> None:
    def grade(*options: str) -> tuple[dict[str, Any], str]:
        file = tmp_path / "grades.json"
        command = ["grade", str(careless), "--lesson", "04", "--json", str(file), *options]
        result = CliRunner().invoke(app, command, catch_exceptions=False)
        assert result.exit_code == 0
        return json.loads(file.read_text())["learners"][0], " ".join(result.output.split())

    lenient, output = grade()
    assert (lenient["passed"], lenient["advised"]) == (5, 1)
    assert "5 of 5, 1 with advice" in output
    strict, output = grade("--strict")
    assert (strict["passed"], strict["advised"]) == (4, 0)
    assert (strict["results"][0]["outcome"], strict["results"][0]["message"]) == ("wrong", SAYS)
    assert "4 of 5" in output


def test_a_record_counts_advice_and_a_strict_one_counts_it_as_a_failure(tmp_path: Path) -> None:
    course = type(REPOSITORY)(tmp_path)
    for place in (course.grader(SAMPLER), course.lesson_file(SAMPLER)):
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text("")
    record = Record(course)
    record.keep(
        Verdict("4.1", "noise_schedule", "passed", advice=[SAYS]), fingerprint(course, SAMPLER, "noise_schedule")
    )
    record.save()
    assert Record(course).passed(SAMPLER) == 1
    assert Record(course).advice(SAMPLER, "noise_schedule") == [SAYS]
    assert f"1 of {N_EXERCISES} in all, 1 with advice; next: " in Record(course).summary([])
    strict = Record(course, strict=True)
    assert strict.passed(SAMPLER) == 0
    assert strict.says(SAMPLER, "noise_schedule") == SAYS
    assert f"0 of {N_EXERCISES} in all; next: " in strict.summary([])


def test_pytest_shows_advice_and_fails_with_strict(careless: Path) -> None:
    for source in (REPOSITORY.pytest_hook, *map(REPOSITORY.grader, LESSONS)):
        target = careless / source.relative_to(REPOSITORY.root)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(source.read_bytes())

    def run(*options: str) -> tuple[int, str]:
        done = subprocess.run(
            [sys.executable, "-m", "pytest", "lessons/04", "-k", "noise_schedule", *options],
            cwd=careless, env=os.environ | {"PYTHONPATH": str(REPOSITORY.root)}, timeout=PATIENCE,
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        return done.returncode, " ".join(done.stdout.split())

    status, output = run()
    assert status == 0, output
    assert f"passed advice: {SAYS}" in output
    assert f"1 of {N_EXERCISES} in all, 1 with advice" in output
    status, output = run("--strict")
    assert status == 1
    assert f"4.1 noise_schedule {SAYS}" in output
    assert f"0 of {N_EXERCISES} in all" in output
    assert run("--strict", "-n", "1")[0] == 1
