"""Grading many learners' folders with the graders of this package: `dino grade`.

Only the learner's lesson files are taken from a folder. An edited grader in it changes nothing. Each folder gets a
sandbox of its own, confined as far as the system allows.
"""

import contextlib
import shutil
import stat
import tempfile
import threading
import time
from collections.abc import Generator, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from ..common.errors import DinoError, first_line, printable
from ..common.version import VERSION
from .curriculum import LESSONS, Course, Lesson, packaged_course
from .sandbox import TIME_LIMIT, Sandbox
from .verdict import Verdict

SCHEMA = 1  # of the JSON; raise it when an entry is renamed or removed
LARGEST = 1_000_000  # bytes of a lesson file
MESSAGE = 2_000  # characters


@dataclass(frozen=True)
class Result:
    """The result of one exercise of one learner."""

    lesson: str  # "03"
    number: str  # "3.2"
    name: str  # "train_step"
    passed: bool
    outcome: str  # as in `dino.course.verdict.Verdict`, or "missing": there is no file for it
    message: str  # one sentence: what the answer does wrong, or ""
    advice: str  # the property that is missing, and what was expected and found; if it passes, what could be better
    seconds: float  # that grading took


@dataclass(frozen=True)
class Grades:
    """All results of one learner."""

    folder: str
    results: list[Result]

    @property
    def passed(self) -> int:
        """The number of exercises that pass."""
        return sum(result.passed for result in self.results)

    @property
    def advised(self) -> int:
        """The number of exercises that pass with advice."""
        return sum(result.passed and bool(result.advice) for result in self.results)

    def passed_in(self, lesson: Lesson) -> str:
        """Return how many exercises of a lesson pass: "3 of 4"."""
        of_lesson = [result for result in self.results if result.lesson == lesson.number]
        return f"{sum(result.passed for result in of_lesson)} of {len(of_lesson)}"


# ---- folders --------------------------------------------------------------------------------------------------------


def learners_in(folders: Sequence[Path]) -> list[Path]:
    """Return the learners' folders: each given one that holds lesson files, or else those that are in it.

    Raises:
        DinoError: if a folder holds no lesson file, and neither do the folders in it.
    """
    found: list[Path] = []
    for folder in folders:
        if not folder.is_dir():
            raise DinoError(f"there is no folder {folder}. Check its name")
        inside = [folder] if _has_lessons(folder) else sorted(filter(_has_lessons, folder.iterdir()))
        if not inside:
            raise DinoError(f"there are no lesson files in {folder}, such as lessons/00/images.py or images.py")
        found += [path for path in inside if path not in found]
    return found


def left_out(folders: Sequence[Path], learners: Sequence[Path]) -> list[Path]:
    """Return the folders beside the learners' that hold no lesson file, so they get no grade. Hidden ones don't count.

    Args:
        folders: as for `learners_in`.
        learners: what it found in them.
    """
    beside = [path for folder in folders if folder not in learners for path in sorted(folder.iterdir())]
    return [path for path in beside if path.is_dir() and path not in learners and not path.name.startswith((".", "_"))]


def lesson_file(folder: Path, lesson: Lesson) -> Path | None:
    """Return a learner's file of a lesson, at its place in the course or at the top of the folder. None if missing."""
    name = f"{lesson.name}.py"
    places = (folder / "lessons" / lesson.number / name, folder / lesson.number / name, folder / name)
    return next(filter(_is_plain_file, places), None)


def _has_lessons(folder: Path) -> bool:
    return folder.is_dir() and any(lesson_file(folder, lesson) for lesson in LESSONS)


def _is_plain_file(path: Path) -> bool:
    """Return whether a path is a file of sensible size. A link may lead to somebody else's answer, so it isn't one."""
    with contextlib.suppress(OSError):
        found = path.lstat()
        return stat.S_ISREG(found.st_mode) and found.st_size <= LARGEST
    return False


# ---- grading --------------------------------------------------------------------------------------------------------


def grade_all(
    folders: Sequence[Path],
    lessons: Sequence[Lesson] = LESSONS,
    *,
    at_once: int = 1,
    time_limit: float = TIME_LIMIT,
    strict: bool = False,
) -> Generator[Grades, None, None]:
    """Yield the grades of each folder, in order.

    An interrupt ends all grading at once, after what was graded behind a slow folder has been yielded.

    Args:
        folders: of learners.
        lessons: to grade.
        at_once: how many folders to grade at the same time. Each takes a processor and half a gigabyte.
        time_limit: seconds of processor time for one exercise.
        strict: whether an exercise with advice doesn't pass.
    """
    pool, sandboxes = ThreadPoolExecutor(at_once), _Sandboxes()

    def grade(folder: Path) -> Grades:
        return grade_folder(folder, lessons, time_limit=time_limit, strict=strict, sandboxes=sandboxes)

    grades, n_yielded = [pool.submit(grade, folder) for folder in folders], 0
    try:
        for each in grades:
            yield each.result()
            n_yielded += 1
    except KeyboardInterrupt:
        yield from (each.result() for each in grades[n_yielded:] if each.done())
        raise
    finally:
        pool.shutdown(wait=False, cancel_futures=True)
        sandboxes.abandon()  # after an interrupt, nobody waits for the folders that are being graded
        pool.shutdown()  # the threads remove their temporary files


def grade_folder(
    folder: Path,
    lessons: Sequence[Lesson] = LESSONS,
    *,
    time_limit: float = TIME_LIMIT,
    strict: bool = False,
    sandboxes: "_Sandboxes | None" = None,
) -> Grades:
    """Return the grades of one folder. Whatever is in it, this returns.

    Args:
        folder: of a learner.
        lessons, time_limit, strict: as for `grade_all`.
        sandboxes: another thread can abandon these.
    """
    results: list[Result] = []
    sandboxes = sandboxes or _Sandboxes()
    with tempfile.TemporaryDirectory(prefix="dino-grade-") as root:
        course = _copy(folder, lessons, Path(root).resolve())
        with sandboxes.keeping(Sandbox(course, time_limit=time_limit, confined=True)) as sandbox:
            for lesson in lessons:
                results += [_grade(sandbox, lesson, exercise, strict=strict) for exercise in lesson.exercises]
    return Grades(str(folder), results)


class _Sandboxes:
    """The sandboxes in use, which can be abandoned together: also those that a thread is about to open."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._in_use: set[Sandbox] = set()
        self._abandoned = False

    @contextlib.contextmanager
    def keeping(self, sandbox: Sandbox) -> Iterator[Sandbox]:
        """Keep a sandbox within this context, and close it at the end."""
        with sandbox:
            with self._lock:
                self._in_use.add(sandbox)
                if self._abandoned:
                    sandbox.abandon()
            yield sandbox
            with self._lock:
                self._in_use.discard(sandbox)

    def abandon(self) -> None:
        """Abandon all sandboxes in use, and those that come."""
        with self._lock:
            self._abandoned = True
            for sandbox in self._in_use:
                sandbox.abandon()


def _copy(folder: Path, lessons: Sequence[Lesson], root: Path) -> Course:
    """Make a course of this package's graders and a learner's files."""
    course, packaged = Course(root), packaged_course()
    for lesson in lessons:
        course.grader(lesson).parent.mkdir(parents=True)
        shutil.copyfile(packaged.grader(lesson), course.grader(lesson))
        if file := lesson_file(folder, lesson):
            course.lesson_file(lesson).write_bytes(file.read_bytes())
    return course


def _grade(sandbox: Sandbox, lesson: Lesson, exercise: str, *, strict: bool) -> Result:
    start = time.perf_counter()
    verdict = _verdict(sandbox, lesson, exercise)
    verdict = verdict.strictly() if strict else verdict
    advice = " ".join(line for line in (verdict.rule, verdict.facts, verdict.where, *verdict.advice) if line)
    return Result(
        lesson.number, lesson.exercise_number(exercise), exercise, verdict.passed, str(verdict.outcome),
        printable(str(verdict.says), MESSAGE), printable(advice, MESSAGE), round(time.perf_counter() - start, 2),
    )  # fmt: skip


def _verdict(sandbox: Sandbox, lesson: Lesson, exercise: str) -> Verdict:
    number = lesson.exercise_number(exercise)
    if not sandbox.course.lesson_file(lesson).exists():
        return Verdict(number, exercise, "missing", f"there is no lessons/{lesson.number}/{lesson.name}.py")
    try:
        verdict = sandbox.grade(lesson, exercise)
        if (verdict.number, verdict.exercise) == (number, exercise):
            return replace(verdict, advice=list(map(str, verdict.advice)))
    except DinoError as error:
        return Verdict(number, exercise, "ungraded", str(error))
    except Exception as error:  # a response that hostile code made up
        return Verdict(number, exercise, "stopped", f"the grader's response made no sense ({first_line(error)})")
    return Verdict(number, exercise, "stopped", "the grader's response was for another exercise")


# ---- reports --------------------------------------------------------------------------------------------------------


def as_json(grades: Sequence[Grades]) -> dict[str, Any]:
    """Return grades for JSON. docs/guides/teaching.md describes the entries."""
    return {
        "schema": SCHEMA,
        "dino": VERSION,
        "learners": [
            {
                "folder": each.folder, "passed": each.passed, "of": len(each.results), "advised": each.advised,
                "results": [asdict(result) for result in each.results],
            }
            for each in grades
        ],
    }  # fmt: skip


def as_rows(grades: Sequence[Grades]) -> list[dict[str, Any]]:
    """Return a row for each exercise of each learner, for CSV. No text in it can be taken for a formula."""
    rows = [{"folder": each.folder, **asdict(result)} for each in grades for result in each.results]
    return [{name: _as_cell(value) for name, value in row.items()} for row in rows]


def _as_cell(value: Any) -> Any:
    return f"'{value}" if isinstance(value, str) and value.startswith(("=", "+", "-", "@")) else value


def as_gradescope(grades: Grades) -> dict[str, Any]:
    """Return the grades of one learner in the format of Gradescope's results.json: one point for each exercise."""
    return {
        "score": grades.passed,
        "output": f"{grades.passed} of {len(grades.results)} exercises pass.",
        "tests": [
            {
                "number": result.number, "name": result.name, "score": int(result.passed), "max_score": 1,
                "status": "passed" if result.passed else "failed",
                "output": f"{result.message}\n{result.advice}".strip(),
            }
            for result in grades.results
        ],
    }  # fmt: skip
