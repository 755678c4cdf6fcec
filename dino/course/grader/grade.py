"""Grading one exercise: fetch the learner's answer, hold it against the lesson's grader, and say what came of it.

This runs the learner's code, so it is called inside `room`, a process that may hang or die.
"""

import contextlib
import importlib
import inspect
import linecache
import re
import sys
import types
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import torch

from ...common.errors import shell_command
from ..curriculum import Course, Lesson, mistakes_file
from ..verdict import Verdict
from .expect import Wrong
from .isolation import Flood, GlobalState, captured_output
from .loader import Answer, is_written_in, load, origin

N_SEEDS = 3


SIDE_EFFECT = "An answer must leave everything outside it as it was."


def grade(course: Course, lesson: Lesson, exercise: str, *, alone: bool = False) -> Verdict:
    """Grade the learner's answer to one exercise.

    Where it fails while it leans on another exercise of its file, it is tried once more with the reference's answers to
    all the others, for one mistake should not count twice. With `alone` only that second trial is made.
    """
    file, grader = course.lesson_file(lesson), Grader(course, lesson)
    number = lesson.exercise_number(exercise)
    with captured_output(file) as printed:
        verdict = Verdict(number, exercise, "passed")
        before = GlobalState()
        try:
            found = load(file)
            torch.manual_seed(before.settings[0])  # a seed at the top of a file is common, and harms nobody
        except FileNotFoundError:
            says = f"there is no file lessons/{lesson.number}/{lesson.name}.py."
            verdict = verdict.of(
                "unloaded", says, facts=f"bring it back with: {shell_command('dino', 'reset', lesson.number)}"
            )
        except BaseException as error:
            verdict = _raised(verdict, error, file, f"{file.name} could not be loaded").of("unloaded")
        else:
            if changed := before.restore():
                says = f"{file.name} changes something for all of Python when it is loaded: {changed}."
                return verdict.of("unloaded", says, rule=SIDE_EFFECT)
            failure = None if alone else grader.failure(found, exercise)
            if alone or failure:
                verdict = _without_neighbors(grader, verdict, exercise, failure)
    return verdict.with_printed(printed.getvalue())


def _without_neighbors(grader: "Grader", verdict: Verdict, exercise: str, failure: "Failure | None") -> Verdict:
    """The verdict on an answer that failed, or on the same among the reference's other parts, if that is the fairer."""
    if failure and isinstance(failure.error, Borrowed):
        return grader.diagnose(verdict, failure.error, exercise, failure.seed)
    found = load(grader.file)
    others = [name for name in grader.lesson.exercises if name != exercise and hasattr(found, name)]
    for name in others:
        setattr(found, name, getattr(grader.reference, name))
    again = grader.failure(found, exercise, watch=False)
    if not again:
        return verdict.of(
            "passed", note="with the course's own parts in place of others in this file that aren't right yet"
        )
    if not failure:
        return grader.diagnose(verdict, again.error, exercise, again.seed)
    first = grader.diagnose(verdict, failure.error, exercise, failure.seed)
    if first.mistake is not None:
        return first
    later = grader.diagnose(verdict, again.error, exercise, again.seed)
    return later if first.outcome == "unwritten" or later.outcome == "wrong" else first


class Failure(NamedTuple):
    """What an answer failed with, and at which seed."""

    error: BaseException  # `Wrong`, or whatever the answer raised
    seed: int  # of the trial


class Borrowed(Wrong):
    """The answer is not the learner's own work."""


class Grader:
    """The graders and the mistakes of one lesson."""

    def __init__(self, course: Course, lesson: Lesson) -> None:
        self.lesson, self.file = lesson, course.lesson_file(lesson)
        self.reference = importlib.import_module(f"dino.{lesson.name}")
        self.graders = load(course.grader(lesson))
        self._mistakes = mistakes_file(lesson)
        self._catalog: types.ModuleType | None = None
        self._outcomes: dict[tuple[Answer, int], Exception | None] = {}

    def grader(self, exercise: str) -> Callable[[Answer, int], None]:
        """The test of one exercise."""
        test: Callable[[Answer, int], None] = getattr(self.graders, f"test_{exercise}".lower())
        return test

    def n_seeds(self, exercise: str) -> int:
        """Over how many seeds its test runs."""
        return getattr(self.grader(exercise), "n_seeds", N_SEEDS)

    def mistakes(self, exercise: str) -> list[Answer]:
        """The named wrong answers to an exercise, in the order of the file."""
        if self._catalog is None:
            self._catalog = load(self._mistakes)
        return [value for value in vars(self._catalog).values() if getattr(value, "mistake_in", None) == exercise]

    def failure(self, found: types.ModuleType, exercise: str, *, watch: bool = True) -> Failure | None:
        """Hold the answer in a loaded file of the learner's against its grader: where it fails, if it does."""
        seed = 0
        try:
            answer = self._answer(found, exercise)
            with _watching(self, watch) as borrowed:
                for seed in range(self.n_seeds(exercise)):
                    self.check(exercise, answer, seed)
            if borrowed:
                raise Borrowed(f"`{exercise}` must be your own work, and it calls {borrowed[0]}.")
        except BaseException as error:
            return Failure(error, seed)
        return None

    def check(self, exercise: str, answer: Answer, seed: int) -> None:
        """Run the test of one exercise on an answer, in surroundings that it must leave as they were.

        Raises:
            Wrong: a property is missing. Or whatever the answer raises.
        """
        torch.manual_seed(10_000 + seed)
        before = GlobalState()
        try:
            self.grader(exercise)(answer, seed)
        finally:
            changed = before.restore()
        if changed:
            raise Wrong(SIDE_EFFECT, expected="nothing else changed", got=changed)

    def diagnose(self, verdict: Verdict, error: BaseException, exercise: str, seed: int) -> Verdict:
        """Say what went wrong: as a known mistake if one goes wrong in the same way, else as the property itself."""
        if isinstance(error, NotImplementedError) and not error.args and _raised_in(self.file, error):
            return verdict.of("unwritten", _unwritten(error, exercise))
        known = None if isinstance(error, Flood) else self.recognize(error, exercise, seed)
        says = known.says if known else ""
        if isinstance(error, Wrong):
            facts = [f"expected {error.expected}"] * bool(error.expected) + [f"got {error.got}"] * bool(error.got)
            outcome = "borrowed" if isinstance(error, Borrowed) else "wrong"
            told = verdict.of(outcome, says or error.what, rule=error.what if known else "", facts=", ".join(facts))
        else:
            told = _raised(verdict, error, self.file, f"`{exercise}` stopped")
            facts = [told.says] * bool(says) + [told.facts] * bool(told.facts)
            told = told.of("broken", says or told.says, facts=", ".join(facts))
        return told.of(told.outcome, mistake=known.__name__ if known else None)

    def recognize(self, error: BaseException, exercise: str, seed: int) -> Answer | None:
        """The mistake in the catalog that fails as this answer did, if there is one."""
        for answer in self.mistakes(exercise):
            other = self._outcome(exercise, answer, seed)
            if isinstance(error, Wrong) and isinstance(other, Wrong):
                if error.is_like(other):
                    return answer
            elif type(other) is type(error) and _first_line(other) == _first_line(error):
                return answer
        # The two sides of an operator may be written in either order, and torch names their sizes in that order.
        if sizes := _unlike_sizes(error):
            alike = [x for x in self.mistakes(exercise) if _unlike_sizes(self._outcome(exercise, x, seed)) == sizes]
            return alike[0] if len(alike) == 1 else None
        # Of several indices that are out of bounds torch names any one, for its threads are in a race.
        if isinstance(error, IndexError):
            failed = {answer: self._outcome(exercise, answer, seed) for answer in self.mistakes(exercise)}
            return next((answer for answer, other in failed.items() if _out_of_bounds(error, other)), None)
        return None

    def _outcome(self, exercise: str, mistake: Answer, seed: int) -> Exception | None:
        """What a mistake fails with. Kept, for an answer that fails twice is compared twice."""
        if (mistake, seed) not in self._outcomes:
            try:
                self.check(exercise, mistake, seed)
                self._outcomes[mistake, seed] = None
            except Exception as error:
                self._outcomes[mistake, seed] = error.with_traceback(None)
        return self._outcomes[mistake, seed]

    def _answer(self, found: types.ModuleType, exercise: str) -> Answer:
        """The learner's function or class, if it can be graded at all."""
        file = f"lessons/{self.lesson.number}/{self.lesson.name}.py"
        if not hasattr(found, exercise):
            raise Wrong(f"There is no `{exercise}` in {file}.", expected=f"`{exercise}`, by this name")
        answer, wanted = getattr(found, exercise), getattr(self.reference, exercise)
        word = "class" if inspect.isclass(wanted) else "def"
        if not is_written_in(answer, self.file):
            raise Borrowed(
                f"`{exercise}` must be your own work, written in {file}.",
                expected=f"`{word} {exercise}` with code of your own",
                got=f"something from elsewhere ({origin(answer)})",
            )
        if inspect.isclass(answer) != inspect.isclass(wanted):
            raise Wrong(f"`{exercise}` must be a {'class' if word == 'class' else 'function'}.", expected=f"`{word}`")
        _expect_same_call(exercise, answer, wanted)
        return answer


def _expect_same_call(exercise: str, answer: Answer, wanted: Answer) -> None:
    """The answer must take what the course hands it: positional arguments by place, keyword-only ones by name."""
    calls = [(exercise, answer, wanted)]
    if inspect.isclass(wanted):
        calls.append((f"{exercise}.forward", answer.forward, wanted.forward))  # type: ignore[attr-defined]
    for name, ours, theirs in calls:
        parameters = [p for p in inspect.signature(theirs).parameters.values() if p.kind != p.VAR_KEYWORD]
        places = [p.name for p in parameters if p.kind != p.KEYWORD_ONLY]
        names = [p.name for p in parameters if p.kind == p.KEYWORD_ONLY]
        required = [p.name for p in parameters if p.kind != p.KEYWORD_ONLY and p.default is p.empty]
        named = [p.name for p in parameters if p.kind == p.KEYWORD_ONLY and p.default is p.empty]
        try:
            inspect.signature(ours).bind(*places, **dict.fromkeys(names))
            inspect.signature(ours).bind(*required, **dict.fromkeys(named))
        except TypeError as error:
            shown = ", ".join([p for p in places if p != "self"] + [f"{n}=..." for n in names])
            raise Wrong(
                f"`{name}` can't be called as the course calls it.",
                expected=f"{name}({shown})",
                got=f"a function for which that is an error: {error}",
            ) from None


@contextlib.contextmanager
def _watching(grader: Grader, watch: bool) -> Iterator[list[str]]:
    """Note where the learner's code calls the reference or the solution of the same lesson."""
    borrowed: list[str] = []
    reference, graders, own = str(grader.reference.__file__), str(grader.graders.__file__), str(grader.file)

    @cache  # it is asked at every call of a function, and a path takes longer than most of them
    def is_another_answer(name: str) -> bool:
        return name == reference or "solutions" in Path(name).parts[-3:-1]

    def note(code: types.CodeType) -> None:
        borrowed[:] = borrowed or [f"`{code.co_name}` of {'/'.join(Path(code.co_filename).parts[-2:])}"]

    def see(frame: types.FrameType, event: str, value: Any) -> None:
        code = frame.f_code
        if event == "call" and is_another_answer(code.co_filename):
            caller = frame.f_back
            while caller and caller.f_code.co_filename not in (own, graders):
                caller = caller.f_back
            if caller and caller.f_code.co_filename == own:
                note(code)
        elif event == "return" and code.co_filename == own and isinstance(value, types.GeneratorType):
            # It does its work later, when the grader asks it to. torch.no_grad wraps the one that does in another.
            held = value.gi_frame.f_locals.values() if value.gi_frame else ()
            inside = [inspect.unwrap(x) for x in held if inspect.isfunction(x)]
            for work in (value.gi_code, *(function.__code__ for function in inside)):
                if is_another_answer(work.co_filename):
                    note(work)

    previous = sys.getprofile()
    if watch:
        sys.setprofile(see)
    try:
        yield borrowed
    finally:
        if watch:
            sys.setprofile(previous)


def _raised(verdict: Verdict, error: BaseException, file: Path, what: str) -> Verdict:
    """The verdict on an answer whose code raised something."""
    line = _line_in(file, error)
    if isinstance(error, SyntaxError) and error.filename == str(file):
        line = error.lineno
    if isinstance(error, SystemExit):
        says = f"{what}: it called exit(), which would end all of Python. Return instead."
    elif isinstance(error, Flood):
        says = f"{what}: {error}"
    elif type(error).__name__ == "BdbQuit":
        says = (
            f"{what} at a breakpoint, which can't be answered here. Call your function from a small script of your own."
        )
    else:
        message = _first_line(error)
        says = f"{what}: {type(error).__name__}{': ' if message else ''}{message}"
    shown = f"{file.parent.parent.name}/{file.parent.name}/{file.name}"
    code = linecache.getline(str(file), line).strip() if line else ""
    notes = " ".join(getattr(error, "__notes__", ()))  # a grader's: on what it was tried
    return verdict.of("broken", says, facts=notes, where=f"{shown}, line {line}: {code}" if line else None)


def _out_of_bounds(*errors: BaseException | None) -> bool:
    """Whether all of them say so, of whatever index."""
    return all(isinstance(error, IndexError) and "is out of bounds" in str(error) for error in errors)


def _first_line(error: BaseException) -> str:
    """What an error says, fit to be shown: one line, not too long, and nothing that a terminal would obey."""
    try:
        text = next(iter(str(error).strip().splitlines()), "")
    except Exception:
        return "(and what it has to say raises an error itself)"
    return "".join(letter if letter.isprintable() else "?" for letter in text[:300])


def _unlike_sizes(error: BaseException | None) -> set[str]:
    """The sizes of two tensors that can't be combined, and the dimension, if that is what torch complains of."""
    words = r"The size of tensor a (\(\d+\)) must match the size of tensor b (\(\d+\)) at (.*)"
    found = re.match(words, _first_line(error)) if isinstance(error, RuntimeError) else None
    return set(found.groups()) if found else set()


def _line_in(file: Path, error: BaseException) -> int | None:
    """The last line of the learner's file on the way to an error."""
    line, trace = None, error.__traceback__
    while trace:
        if trace.tb_frame.f_code.co_filename == str(file):
            line = trace.tb_lineno
        trace = trace.tb_next
    return line


def _raised_in(file: Path, error: BaseException) -> bool:
    """Whether it was the learner's file itself that raised an error, and not what it called."""
    frame = _frame_of(error)
    return frame is not None and frame.f_code.co_filename == str(file)


def _frame_of(error: BaseException) -> types.FrameType | None:
    """Where an error was raised."""
    trace = error.__traceback__
    while trace and trace.tb_next:
        trace = trace.tb_next
    return trace.tb_frame if trace else None


def _unwritten(error: NotImplementedError, exercise: str) -> str:
    """In words, what of an exercise is still a stub: all of it, or one method of a class."""
    frame = _frame_of(error)
    answer = frame.f_globals.get(exercise) if frame else None
    if frame and inspect.isclass(answer):
        codes = {name: value.__code__ for name, value in vars(answer).items() if inspect.isfunction(value)}
        stubs = [name for name, code in codes.items() if "NotImplementedError" in code.co_names]
        missing = frame.f_code.co_name
        if codes.get(missing) is frame.f_code and len(stubs) < len(codes):
            return f"begun: `{missing}` is still to be written"
    return "not written yet"
