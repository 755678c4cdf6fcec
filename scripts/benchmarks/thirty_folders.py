"""Measurement of `dino grade` on a class of thirty: right, wrong, empty, hanging and hostile folders.

    python -m scripts.benchmarks.thirty_folders

Options, such as --lesson 01, go to `dino grade`. Without any it grades all lessons. Prints the table of `dino grade`,
the time that it took, and each folder whose results aren't as they should be. Processor time says what grading costs on
a busy computer, too.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from dino.course.curriculum import LESSONS, Course, find_exercise
from dino.course.stubs import exercise_source, stub
from scripts.site.lessons import wrong_source
from scripts.site.paths import ROOT

COURSE = Course(ROOT)
N_RIGHT = 12
WRONG = {  # mistakes of the catalog, by the number of the exercise
    "0.1": "by_256", "0.2": "top_left_corner", "1.1": "swapped", "1.3": "weak_noise", "3.1": "target_is_noise",
    "3.2": "gradients_pile_up", "4.1": "zero_left_out", "4.3": "fraction_inverted",
}  # fmt: skip
EMPTY = ("stubs", "stubs-too", "no-text", "no-lessons")
HANGING = {  # code at the end of noise.py
    "endless": "while True:\n    pass\n",
    "asleep": "import time\n\ntime.sleep(10**6)\n",
    "endless-function": "def mix(clean, noise, noise_level):\n    while True:\n        pass\n",
}
HOSTILE = {  # code at the end of noise.py
    "exits": "import os\n\nos._exit(0)\n",
    "floods": "while True:\n    print('x' * 10**6)\n",
    "overwrites": "from pathlib import Path\n\nfor file in Path('{root}').rglob('*.py'):\n    file.write_text('')\n",
}


def main() -> None:
    """Make the folders, grade them, and compare the results with what they should be."""
    with tempfile.TemporaryDirectory(prefix="thirty-") as made:
        root, report = Path(made, "class"), Path(made, "grades.json")
        write_class(root)
        started = time.perf_counter()
        command = [sys.executable, "-m", "dino", "grade", str(root), "--json", str(report), *sys.argv[1:]]
        subprocess.run(command, check=True)
        seconds, used = time.perf_counter() - started, os.times()
        learners = json.loads(report.read_text(encoding="utf-8"))["learners"]
    graded = {Path(learner["folder"]).name: learner["results"] for learner in learners}
    processor = used.children_user + used.children_system
    print(f"{len(graded)} folders in {seconds:.0f} s, with {processor:.0f} s of processor time")
    for name, results in graded.items():
        if problem := problem_of(name, results):
            print(f"{name}: {problem}")


def write_class(root: Path) -> None:
    """Write thirty learners' folders."""
    solved = {lesson.name: COURSE.solution(lesson).read_text(encoding="utf-8") for lesson in LESSONS}
    for n in range(N_RIGHT):
        write(root / f"right-{n:02}", solved)
    for number, mistake in WRONG.items():
        lesson, exercise = find_exercise(number)
        wrong = wrong_source(lesson, exercise, mistake)
        text = solved[lesson.name].replace(exercise_source(solved[lesson.name], exercise), f"{wrong}\n")
        write(root / f"wrong-{number}", solved | {lesson.name: text})
    stubs = {lesson.name: stub(COURSE, lesson) for lesson in LESSONS}
    for name, files in zip(EMPTY, (stubs, stubs, dict.fromkeys(stubs, ""), {}), strict=True):
        write(root / name, files)
    for name, code in (HANGING | HOSTILE).items():
        write(root / name, solved | {"noise": f"{solved['noise']}\n\n{code.format(root=root)}"})


def write(folder: Path, files: dict[str, str]) -> None:
    """Write a learner's folder: the text of each lesson's file, by its name."""
    folder.mkdir(parents=True)
    for name, text in files.items():
        (folder / f"{name}.py").write_text(text, encoding="utf-8")


def problem_of(name: str, results: list[dict[str, Any]]) -> str:
    """Return what is wrong with the results of a folder, or nothing."""
    failed = {result["number"] for result in results if not result["passed"]}
    everything = {result["number"] for result in results}
    of_noise = {number for number in everything if number.startswith("1.")}
    if name in EMPTY:
        right = failed == everything
    elif name.startswith("wrong"):
        right = failed == {name.removeprefix("wrong-")} & everything
    elif name == "endless-function":
        right = failed == {"1.1"} & everything
    elif name == "overwrites" or name.startswith("right"):  # it sees no other folder, so its answers are all it has
        right = not failed
    else:
        right = failed == of_noise
    return "" if right else f"{len(failed)} exercises fail: {', '.join(sorted(failed))}"


if __name__ == "__main__":
    main()
