"""The lessons, their exercises and their files. Free of torch, because many parts of the course need only names."""

import re
from dataclasses import dataclass
from pathlib import Path

from ..common.errors import DinoError, shell_command


@dataclass(frozen=True)
class Lesson:
    """One lesson: its number, its name and its exercises in order."""

    number: str  # "03"
    name: str  # "training": names the learner's file, the solution, the reference and the lesson's page
    exercises: tuple[str, ...]  # exercise 3.2 is the second of lesson 03
    teaches: str  # a few words for headings: "how it learns"

    def exercise_number(self, exercise: str) -> str:
        """Return the number of an exercise: "3.2" for "train_step"."""
        return f"{int(self.number)}.{self.exercises.index(exercise) + 1}"


LESSONS = (
    Lesson("00", "images", ("to_unit", "center_square", "random_flip"), "pictures as numbers"),
    Lesson("01", "noise", ("mix", "sample_noise_levels", "add_noise"), "mixing noise in"),
    Lesson("02", "denoiser", ("Block", "Pool", "Stage", "UNet"), "the network that predicts the clean picture"),
    Lesson("03", "training", ("denoising_loss", "train_step", "update_average", "train"), "how it learns"),
    Lesson(
        "04", "sampler", ("noise_schedule", "extrapolate", "remix", "denoise", "generate"), "from noise to pictures"
    ),
    Lesson(
        "05",
        "evaluation",
        (
            "loss_by_noise_level",
            "laplacian_pyramid",
            "patches",
            "sliced_distance",
            "sliced_wasserstein",
            "nearest_neighbors",
        ),
        "is it any good?",
    ),
    Lesson(
        "06",
        "steering",
        ("ConditionalDenoiser", "drop_conditions", "guide", "asking", "keeping", "vary", "my_own"),
        "ask for it",
    ),
    Lesson(
        "07",
        "few_steps",
        ("warped_schedule", "step_sizes", "distillation_target", "distill_step", "one_step"),
        "fewer steps",
    ),
    Lesson(
        "08",
        "rosetta",
        (
            "predicted_noise",
            "denoised_from_velocity",
            "rectified_flow_step",
            "predicted_score",
            "to_alpha_bar",
            "ddim_step",
            "ddpm_step",
            "edm_heun_step",
        ),
        "in other people's words",
    ),
)
MODEL_LESSONS = LESSONS[:5]  # their files make up a model; the later ones evaluate it, ask it for something ...
STEERING = LESSONS[6]  # its file is a part of a model that learns words, if the lesson passes
PART_LESSONS = (*MODEL_LESSONS, STEERING)  # what `dino train --mine` may use
N_EXERCISES = sum(len(lesson.exercises) for lesson in LESSONS)

# Exercises that had another name once, new name by old name. A file with the old name is still graded.
RENAMED = {"nearest_neighbours": "nearest_neighbors"}


def find_lesson(name: str) -> Lesson:
    """Return the lesson called "03", "3", "training", or by its folder or file.

    Raises:
        DinoError: if there is no such lesson.
    """
    words = re.split(r"[/\\]", name.strip().rstrip("/\\"))
    for lesson in LESSONS:
        if {lesson.number, lesson.number.lstrip("0") or "0", lesson.name, f"{lesson.name}.py"} & set(words):
            return lesson
    known = ", ".join(f"{lesson.number} ({lesson.name})" for lesson in LESSONS)
    raise DinoError(f"there is no lesson {name}. The lessons are {known}")


def find_exercise(name: str) -> tuple[Lesson, str]:
    """Return the lesson and the exercise called "3.2" or "train_step".

    Raises:
        DinoError: if there is no such exercise.
    """
    wanted = name.strip()
    wanted = RENAMED.get(wanted, wanted).lower()
    for lesson in LESSONS:
        for exercise in lesson.exercises:
            if wanted in (lesson.exercise_number(exercise), exercise.lower()):
                return lesson, exercise
    first, last = LESSONS[0], LESSONS[-1]
    raise DinoError(
        f"there is no exercise {name}. They run from {first.exercise_number(first.exercises[0])} "
        f"({first.exercises[0]}) to {last.exercise_number(last.exercises[-1])} ({last.exercises[-1]})"
    )


# ---- files ----------------------------------------------------------------------------------------------------------

CATALOG = Path(__file__).parent / "catalog"


def mistakes_file(lesson: Lesson) -> Path:
    """Return the file of a lesson's common mistakes."""
    return CATALOG / "mistakes" / f"{lesson.name}.py"


def hints_file(lesson: Lesson) -> Path:
    """Return the file of a lesson's hints: three for each exercise."""
    return CATALOG / "hints" / f"{lesson.name}.md"


@dataclass(frozen=True)
class Course:
    """A copy of the course on disk: a clone of the repository, or a learner's folder, which has no solutions."""

    root: Path  # the folder that holds `lessons`

    def lesson_file(self, lesson: Lesson) -> Path:
        """Return the path of the learner's file."""
        return self.root / "lessons" / lesson.number / f"{lesson.name}.py"

    def grader(self, lesson: Lesson) -> Path:
        """Return the path of the tests that grade the learner's file."""
        return self.root / "lessons" / lesson.number / f"test_{lesson.name}.py"

    def notebook(self, lesson: Lesson) -> Path:
        """Return the path of the lesson as a notebook."""
        return self.root / "lessons" / lesson.number / "lesson.ipynb"

    def solution(self, lesson: Lesson) -> Path:
        """Return the path of the lesson's file, solved and explained: here, or else in this package."""
        place = Path("solutions", lesson.number, f"{lesson.name}.py")
        return self.root / place if (self.root / "solutions").is_dir() else packaged_course().root / place

    @property
    def pytest_hook(self) -> Path:
        """The file that makes pytest grade the lessons."""
        return self.root / "lessons" / "conftest.py"

    @property
    def integration_test(self) -> Path:
        """The test that trains a small network on all of a learner's parts."""
        return self.root / "lessons" / "test_integration.py"

    @property
    def output_folder(self) -> Path:
        """The folder that grading writes to: contact sheets, verdicts, old attempts."""
        return self.root / "runs" / "lessons"

    def contact_sheet(self, lesson: Lesson) -> Path:
        """Return the path of the picture that shows the learner's output beside the expected one."""
        return self.output_folder / f"{lesson.number}.png"

    @property
    def is_here(self) -> bool:
        """True if the folder holds a course."""
        return self.pytest_hook.is_file() and self.grader(LESSONS[0]).is_file()


PACKAGED = Path(__file__).parent / "files"  # the lessons and solutions in a wheel; a clone has them at its top


def packaged_course() -> Course:
    """Return the course that comes with this package. In a clone, it is the clone's own."""
    return Course(PACKAGED if PACKAGED.is_dir() else Path(__file__).parents[2])


def find_course(start: Path | None = None) -> Course:
    """Return the course that the current folder is in, or else the clone that this package was installed from.

    Raises:
        DinoError: if the lessons are in neither place.
    """
    here = (start or Path.cwd()).resolve()
    clone = Path(__file__).parents[2]
    for root in (here, *here.parents, clone):
        if (course := Course(root)).is_here:
            return course
    raise DinoError(
        "the lessons are not here. Go to the folder of the course (the one with lessons/ in it) and try again, or make "
        f"one with {shell_command('dino', 'init', 'my-course')}"
    )
