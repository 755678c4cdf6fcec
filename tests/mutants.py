"""Mutation testing of the graders: they should notice every small change to a solution.

    uv run --with mutmut --with cosmic-ray python -m tests.mutants 03

The program makes mutants with the operators of mutmut and cosmic-ray, grades each one in the sandbox as the learner's
file, and lists those that pass. A survivor computes the same as the solution, or shows a hole in the grader.
"""

import ast
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from tqdm import tqdm

from dino.course.curriculum import LESSONS, Course, Lesson, find_lesson
from dino.course.sandbox import Sandbox
from dino.course.stubs import exercise_source

REPOSITORY = Course(Path(__file__).parents[1])


def mutants(source: str) -> list[str]:
    """Return all different mutants of a source text that change more than a docstring or an annotation."""
    found: dict[str, str] = {}
    for text in (*_by_mutmut(source), *_by_cosmic_ray(source)):
        try:
            found.setdefault(_meaning(text), text)
        except (SyntaxError, ValueError):
            continue
    found.pop(_meaning(source), None)
    return list(found.values())


def _by_mutmut(source: str) -> Iterator[str]:
    from mutmut.mutation.file_mutation import create_mutations, deep_replace

    module, mutations, *_ = create_mutations("solution.py", source)
    for mutation in mutations:
        yield deep_replace(module, mutation.original_node, mutation.mutated_node).code


def _by_cosmic_ray(source: str) -> Iterator[str]:
    from cosmic_ray.mutating import mutate_code
    from cosmic_ray.plugins import get_operator, operator_names

    for name in operator_names():
        try:
            operator = get_operator(name)()
        except TypeError:  # an operator that takes arguments
            continue
        for occurrence in range(1000):
            text = mutate_code(source, operator, occurrence)
            if text is None:
                break
            yield text


def _meaning(source: str) -> str:
    """Return the syntax tree without docstrings and annotations."""
    tree = ast.parse(source)
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef):
            node.returns = None
        if isinstance(node, ast.arg):
            node.annotation = None
        if isinstance(node, ast.FunctionDef | ast.ClassDef | ast.Module) and ast.get_docstring(node) is not None:
            node.body[0] = ast.Pass()
    return ast.dump(tree)


def survivors(course: Course, lesson: Lesson) -> tuple[int, list[tuple[str, str]]]:
    """Return the number of a solution's mutants, and those that pass: each one's exercises and changed lines."""
    source = REPOSITORY.solution(lesson).read_text()
    every, left = mutants(source), []
    with Sandbox(course, time_limit=5) as sandbox:
        for text in tqdm(every, f"lesson {lesson.number}", unit=" mutants", leave=False, disable=None):
            course.lesson_file(lesson).write_text(text)
            touched = [x for x in lesson.exercises if exercise_source(text, x) != exercise_source(source, x)]
            verdicts = [sandbox.grade(lesson, exercise) for exercise in touched or lesson.exercises]
            if all(verdict.passed and not verdict.note for verdict in verdicts):
                left.append((", ".join(touched), _changes(source, text)))
    return len(every), left


def _changes(source: str, text: str) -> str:
    import difflib

    lines = difflib.unified_diff(source.splitlines(), text.splitlines(), lineterm="", n=0)
    return "\n".join(line for line in lines if not line.startswith(("---", "+++", "@@")))


def main() -> None:
    """Print the survivors of the lessons that are named, or of all lessons."""
    lessons = [find_lesson(name) for name in sys.argv[1:]] or LESSONS
    with tempfile.TemporaryDirectory() as folder:
        for name in ("lessons", "solutions"):
            shutil.copytree(REPOSITORY.root / name, Path(folder, name))
        for lesson in lessons:
            made, left = survivors(Course(Path(folder)), lesson)
            print(f"\nlesson {lesson.number}: {made - len(left)} of {made} mutants killed")
            for exercise, changes in left:
                print(f"\n{exercise} survives:\n{changes}")


if __name__ == "__main__":
    main()
