"""Progress: the verdicts on a learner's exercises, kept until their code or the grader changes."""

import ast
import contextlib
import hashlib
import json
import platform
from collections.abc import Sequence
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

from ..common.atomic_file import replacing
from ..common.errors import DinoError, shell_command
from .curriculum import LESSONS, MODEL_LESSONS, N_EXERCISES, Course, Lesson, mistakes_file
from .sandbox import Sandbox
from .verdict import Verdict


class Record:
    """The verdicts in runs/lessons/verdicts.json. A verdict counts only while what led to it is the same.

    Args:
        course: the copy of the course that the verdicts are about.
        strict: whether an exercise that passes with advice counts as one that doesn't pass.
    """

    def __init__(self, course: Course, *, strict: bool = False) -> None:
        self.course, self.strict, self.path = course, strict, course.output_folder / "verdicts.json"
        self.verdicts = self._saved()
        self._new: set[str] = set()

    # ---- write ------------------------------------------------------------------------------------------------------

    def keep(self, verdict: Verdict, graded: str) -> None:
        """Keep a verdict, if it is one about the file.

        Args:
            verdict: the verdict.
            graded: the fingerprint from before the file was graded, because it may have been saved again since.
        """
        if verdict.outcome in ("ungraded", "stopped"):  # the file may not be why the worker ended
            return
        says = {"says": verdict.says, "advice": list(verdict.advice)}
        entry = {"fingerprint": graded, "outcome": verdict.outcome, **says}
        self.verdicts[verdict.number] = entry
        self._new.add(verdict.number)

    def save(self) -> None:
        """Write the new verdicts, if the file can be written. Verdicts of other processes in it stay."""
        merged = self._saved() | {number: self.verdicts[number] for number in self._new}
        with contextlib.suppress(DinoError), replacing(self.path) as temporary:
            temporary.write_text(json.dumps(merged, indent=1) + "\n", encoding="utf-8")

    def _saved(self) -> dict[str, dict[str, Any]]:
        with contextlib.suppress(OSError, ValueError, TypeError):
            saved = json.loads(self.path.read_text(encoding="utf-8"))
            return {number: dict(entry) for number, entry in dict(saved).items()}
        return {}

    # ---- read -------------------------------------------------------------------------------------------------------

    def outcome(self, lesson: Lesson, exercise: str) -> str | None:
        """Return the outcome of an exercise, or None if it wasn't graded since something changed."""
        entry = self.verdicts.get(lesson.exercise_number(exercise), {})
        with contextlib.suppress(DinoError):  # a file of the grader is missing, so the verdict doesn't count
            if entry and entry.get("fingerprint") == fingerprint(self.course, lesson, exercise):
                return "wrong" if self.strict and entry.get("advice") else entry.get("outcome")
        return None

    def says(self, lesson: Lesson, exercise: str) -> str:
        """Return the sentence of the last verdict on an exercise, or ""."""
        says = self.verdicts.get(lesson.exercise_number(exercise), {}).get("says", "")
        return says or " ".join(self.advice(lesson, exercise) if self.strict else ())

    def advice(self, lesson: Lesson, exercise: str) -> list[str]:
        """Return what an exercise that passes could do better, in sentences."""
        entry = self.verdicts.get(lesson.exercise_number(exercise), {})
        return list(entry.get("advice", ())) if self.outcome(lesson, exercise) is not None else []

    def passed(self, lesson: Lesson) -> int:
        """Return how many exercises of a lesson pass."""
        return sum(self.outcome(lesson, exercise) == "passed" for exercise in lesson.exercises)

    def summary(self, graded: list[Lesson]) -> str:
        """Return one line: how many exercises pass in these lessons and in all, and what comes next."""
        counts = [f"{self.passed(x)} of {len(x.exercises)} in lesson {x.number}" for x in graded]
        counts = counts if len(graded) < 3 else []
        advised = sum(bool(self.advice(x, exercise)) for x in LESSONS for exercise in x.exercises)
        total = f"{sum(map(self.passed, LESSONS))} of {N_EXERCISES} in all" + f", {advised} with advice" * (
            advised > 0 and not self.strict
        )
        return "; ".join([*counts, total, *self._milestone(), self._next(graded)])

    def _milestone(self) -> list[str]:
        """Return what there is to do once the model's lessons pass, for those who stop here. The end says it itself."""
        done = [lesson for lesson in LESSONS if self.passed(lesson) == len(lesson.exercises)]
        if len(done) == len(LESSONS) or not set(MODEL_LESSONS) <= set(done):
            return []
        return [f"your model is complete: train it with {shell_command('dino', 'train', '--mine')}"]

    def _next(self, graded: list[Lesson]) -> str:
        order = [x for x in LESSONS if x in graded] + [x for x in LESSONS if x not in graded]
        for lesson in order:
            for exercise in lesson.exercises:
                outcome, number = self.outcome(lesson, exercise), lesson.exercise_number(exercise)
                if outcome != "passed":
                    changed = outcome is None and number in self.verdicts
                    again = shell_command("pytest", f"lessons/{lesson.number}")
                    stale = f" (lesson {lesson.number} has changed: {again})" * changed
                    return f"next: {number} {exercise}{stale}"
        return f"all done: now train on your own parts with {shell_command('dino', 'train', '--mine')}"


def grade_changed(record: Record, lessons: Sequence[Lesson] = LESSONS) -> None:
    """Grade the exercises that have no verdict, or whose file changed since, and save the record."""
    due = [(x, exercise) for x in lessons for exercise in x.exercises if record.outcome(x, exercise) is None]
    if not due:
        return
    from tqdm import tqdm

    with Sandbox(record.course) as sandbox:
        for lesson, exercise in tqdm(due, "grading", unit=" exercises", leave=False, delay=1, disable=None):
            before = fingerprint(record.course, lesson, exercise)
            record.keep(sandbox.grade(lesson, exercise), before)
    record.save()


# ---- fingerprints ---------------------------------------------------------------------------------------------------


def fingerprint(course: Course, lesson: Lesson, exercise: str) -> str:
    """Return sixteen hexadecimal digits that change with anything that decides the verdict on an exercise.

    Raises:
        DinoError: if a file of the grader is missing.
    """
    digest = hashlib.sha256(_fingerprint_of_graders(tuple(grading_files(course, lesson))).encode())
    learners_file = course.lesson_file(lesson)
    source = learners_file.read_bytes() if learners_file.exists() else b"missing"
    digest.update(_deciding_code(source, exercise))
    return digest.hexdigest()[:16]


def _deciding_code(source: bytes, exercise: str) -> bytes:
    """Return a lesson's file without the functions that an exercise doesn't use: work on them leaves its verdict.

    What the exercise uses by way of other functions stays, and so does all code that importing the file runs.
    """
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError):
        return source
    defined = {each.name: each for each in tree.body if isinstance(each, ast.FunctionDef | ast.ClassDef)}
    if exercise not in defined:
        return source
    used, found = set[str](), [exercise, *_names(_empty(ast.parse(source)))]
    while found:
        name = found.pop()
        if name in defined and name not in used:
            used.add(name)
            found += _names(defined[name])
    for name in defined.keys() - used:
        _empty(defined[name])
    return ast.unparse(tree).encode()


def _empty(code: ast.AST) -> ast.AST:
    """Take the bodies of all functions out of some code, and return it. What importing it runs is left."""
    for each in ast.walk(code):
        if isinstance(each, ast.FunctionDef):
            each.body = [ast.Pass()]
    return code


def _names(code: ast.AST) -> list[str]:
    return [each.id for each in ast.walk(code) if isinstance(each, ast.Name)]


def grading_files(course: Course, lesson: Lesson) -> list[Path]:
    """Return every file that decides the verdicts on a lesson, without the learner's own.

    They are the lesson's tests and mistakes, the reference files, all code and pictures of the course, and what that
    code imports.
    """
    package = Path(__file__).parents[1]
    reference = [package / f"{each.name}.py" for each in LESSONS]
    common = [package / "common" / f"{name}.py" for name in ("__init__", "errors", "atomic_file", "version")]
    code = [path for path in sorted((package / "course").rglob("*")) if path.suffix in (".py", ".png")]
    return [course.grader(lesson), mistakes_file(lesson), package / "__init__.py", *reference, *common, *code]


@cache
def _fingerprint_of_graders(paths: tuple[Path, ...]) -> str:
    digest = hashlib.sha256(f"Python {platform.python_version()}, torch {version('torch')}".encode())
    for path in paths:
        try:
            digest.update(hashlib.sha256(path.read_bytes()).digest())
        except OSError as error:
            raise DinoError(
                f"{path} can't be read ({error.strerror}), and grading needs it. Restore it, or install dino again"
            ) from error
    return digest.hexdigest()
