"""Stubs: a lesson's file as the learner first sees it, made from its solution.

The docstring of an exercise is written once, in the solution, and `dino reset` needs no second copy of the stubs.
"""

import ast

from .curriculum import Course, Lesson


def stub(course: Course, lesson: Lesson) -> str:
    """Return the text of a lesson's file as the learner first sees it: the solution without the exercises' bodies."""
    source = course.solution(lesson).read_text(encoding="utf-8")
    lines = source.splitlines()
    for node in reversed(ast.parse(source).body):
        if isinstance(node, ast.FunctionDef | ast.ClassDef) and node.name in lesson.exercises:
            functions = [node] if isinstance(node, ast.FunctionDef) else _methods(node)
            for function in reversed(functions):
                _empty(function, lines, lesson.exercise_number(node.name))
    return "\n".join(lines) + "\n"


def exercise_source(source: str, exercise: str) -> str:
    """Return the text of one function or class, with its decorators, or "" if there is none of that name.

    Args:
        source: the text of a Python file.
        exercise: the name.

    Raises:
        SyntaxError: if the text isn't Python.
    """
    for node in ast.parse(source).body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef) and node.name == exercise:
            first = min([node.lineno, *(decorator.lineno for decorator in node.decorator_list)])
            return "\n".join(source.splitlines()[first - 1 : node.end_lineno]) + "\n"
    return ""


def _methods(node: ast.ClassDef) -> list[ast.FunctionDef]:
    return [child for child in node.body if isinstance(child, ast.FunctionDef)]


def _empty(function: ast.FunctionDef, lines: list[str], number: str) -> None:
    """Replace the body of a function by a TODO line and `raise NotImplementedError`. Its docstring stays."""
    has_docstring = ast.get_docstring(function) is not None
    # Comments between the docstring and the first statement explain the solution, so they go as well.
    start = function.body[0].end_lineno if has_docstring else _end_of_signature(function)
    indent = " " * (function.col_offset + 4)
    begin = [f"{indent}super().__init__()"] if function.name == "__init__" else []
    todo = f"{indent}# TODO {number}: write your code here, in place of the next line"
    lines[start : function.end_lineno] = [*begin, todo, f"{indent}raise NotImplementedError"]


def _end_of_signature(function: ast.FunctionDef) -> int:
    arguments = function.args
    parts: list[ast.arg | ast.expr] = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs]
    parts += [function.returns] if function.returns else []
    return max((part.end_lineno or 0 for part in parts), default=function.lineno)
