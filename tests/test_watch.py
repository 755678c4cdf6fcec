"""`dino watch`: real processes, with and without a terminal."""

import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from dino.common.errors import DinoError
from dino.course.curriculum import LESSONS, N_EXERCISES, Course, find_lesson
from dino.course.following import Follower, lesson_page
from dino.course.stubs import exercise_source, stub
from tests.test_course import REPOSITORY
from tests.test_lessons_cli import course, solve
from tests.waiting import PATIENCE, wait_until

__all__ = ["course"]  # the fixture
IMAGES = find_lesson("00")
needs_terminals = pytest.mark.skipif(sys.platform == "win32", reason="Windows has no pseudo terminals")


def save(course: Course, *exercises: str) -> None:
    """Save a file of lesson 00 in which these exercises are solved."""
    text, solved = stub(REPOSITORY, IMAGES), REPOSITORY.solution(IMAGES).read_text()
    for name in exercises:
        text = text.replace(exercise_source(text, name), exercise_source(solved, name))
    course.lesson_file(IMAGES).write_text(text)


class Terminal:
    """`dino watch` in a pseudo terminal: what it has printed, and keys to press."""

    def __init__(self, course: Course, *options: str, **environment: str) -> None:
        import pty
        import termios

        self.leader, self.follower = pty.openpty()
        self.mode = termios.tcgetattr(self.follower)
        self.text = ""
        self.process = subprocess.Popen(
            [sys.executable, "-m", "dino", "watch", *options],
            cwd=course.root, stdin=self.follower, stdout=self.follower, stderr=subprocess.STDOUT,
            env=os.environ | {"PYTHONPATH": str(REPOSITORY.root), "TERM": "xterm", "COLUMNS": "100"} | environment,
        )  # fmt: skip

    def read(self) -> str:
        import select

        while select.select([self.leader], [], [], 0)[0]:
            self.text += os.read(self.leader, 65536).decode()
        return " ".join(re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", self.text).split())

    def expect(self, words: str) -> str:
        """Wait until these words are printed. Returns everything since the last call."""
        wait_until(lambda: words in self.read(), self.process)
        seen, self.text = self.read(), ""
        return seen

    def press(self, key: str) -> None:
        os.write(self.leader, key.encode())

    def close(self) -> None:
        self.process.kill()
        self.process.wait()
        os.close(self.leader)
        os.close(self.follower)


@pytest.fixture
def terminal() -> Iterator[Callable[..., Terminal]]:
    opened: list[Terminal] = []

    def start(*given: object, **environment: str) -> Terminal:
        opened.append(Terminal(*given, **environment))  # type: ignore[arg-type]
        return opened[-1]

    yield start
    for each in opened:
        each.close()


@needs_terminals
def test_it_goes_on_when_an_exercise_passes_and_obeys_keys(
    course: Course, terminal: Callable[..., Terminal], tmp_path: Path
) -> None:
    import termios

    opened = tmp_path / "opened.txt"
    browser = tmp_path / "browser"
    browser.write_text(f'#!/bin/sh\necho "$1" > {opened}\n')
    browser.chmod(0o755)
    watch = terminal(course, BROWSER=f"{browser} %s")
    keys = "[h] hint [s] solution [l] list [o] open the page [r] reset [q] quit"
    seen = watch.expect(keys)
    assert "0.1 to_unit not written yet" in seen
    assert "watching lessons/00/images.py for 0.1 to_unit: save the file" in seen
    assert "1.1 mix" not in seen
    save(course, "to_unit")
    seen = watch.expect(keys)
    assert "0.1 to_unit passed" in seen
    assert "0.2 center_square not written yet" in seen
    assert "watching lessons/00/images.py for 0.2 center_square" in seen
    watch.press("h")
    assert "0.2 center_square, hint 1 of 3" in watch.expect(keys)
    watch.press("l")
    assert f"1 of {N_EXERCISES} in all" in watch.expect(keys)
    watch.press("s")
    watch.expect("0.2 doesn't pass yet. Show the solution anyway? [y/n]")
    watch.press("n")
    assert "def center_square" not in watch.expect(keys)
    watch.press("s")
    watch.press("y")
    assert "def center_square" in watch.expect(keys)
    watch.press("o")
    watch.expect(keys)
    wait_until(opened.exists)
    assert "lessons/00" in opened.read_text()
    watch.press("r")
    watch.expect("Put the stubs of lesson 00 back? Your attempt is kept. [y/n]")
    watch.press("y")
    assert "kept" in watch.expect("watching lessons/00/images.py for 0.1 to_unit")
    watch.press("q")
    watch.expect("stopped watching")
    assert watch.process.wait(PATIENCE) == 0
    assert termios.tcgetattr(watch.follower) == watch.mode


@needs_terminals
def test_it_goes_on_to_the_next_lesson_and_comes_back_when_something_breaks(
    course: Course, terminal: Callable[..., Terminal]
) -> None:
    save(course, "to_unit", "center_square")
    watch = terminal(course)
    assert "0.3 random_flip not written yet" in watch.expect("[q] quit")
    solve(course, "00")
    seen = watch.expect("[q] quit")
    assert "0.3 random_flip passed" in seen
    assert "watching lessons/01/noise.py for 1.1 mix" in seen
    save(course)
    assert "watching lessons/00/images.py for 0.1 to_unit" in watch.expect("[q] quit")
    watch.process.send_signal(signal.SIGINT)
    watch.expect("stopped watching")
    assert watch.process.wait(PATIENCE) == 0


@pytest.mark.parametrize("options", [[], ["--poll", "0.1"]], ids=["events", "polling"])
def test_without_a_terminal_it_works_without_keys(course: Course, tmp_path: Path, options: list[str]) -> None:
    log = tmp_path / "log.txt"
    with log.open("w") as output:
        process = subprocess.Popen(
            [sys.executable, "-u", "-m", "dino", "watch", *options],
            cwd=course.root, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT,
            env=os.environ | {"PYTHONPATH": str(REPOSITORY.root)},
        )  # fmt: skip
        try:
            wait_until(lambda: "Ctrl-C to stop" in log.read_text(), process)
            save(course, "to_unit")
            wait_until(lambda: "for 0.2 center_square" in log.read_text(), process)
            process.send_signal(signal.SIGINT)
            assert process.wait(PATIENCE) == 0
        finally:
            process.kill()
    text = log.read_text()
    assert "[h] hint" not in text
    assert "\x1b" not in text
    assert ("every 0.1 seconds" in text) == bool(options)
    assert "Traceback" not in text


def test_what_passed_is_graded_again_only_when_its_code_changes(course: Course) -> None:
    save(course, "to_unit")
    with Follower(course) as follower:
        assert [x.number for x in follower.grade()] == ["0.1", "0.2"]
        graded: list[str] = []
        grade = follower.sandbox.grade
        follower.sandbox.grade = lambda lesson, exercise: graded.append(exercise) or grade(lesson, exercise)  # type: ignore[method-assign, func-returns-value]
        moment = follower.moment()
        assert [x.number for x in follower.grade()] == ["0.1", "0.2"]
        assert graded == ["center_square"]
        assert follower.moment() == moment
        save(course, "to_unit", "center_square")
        assert follower.moment() != moment
        assert [x.number for x in follower.grade()] == ["0.1", "0.2", "0.3"]
        assert graded == ["center_square", "center_square", "random_flip"]


def test_the_page_of_a_lesson_is_that_of_the_built_site_or_the_web_or_a_file(course: Course) -> None:
    assert lesson_page(course, IMAGES).endswith("lessons/00/lesson.ipynb")
    assert lesson_page(course, IMAGES, "https://example.org/") == "https://example.org/lessons/00-images.html"
    built = course.root / "site" / "lessons" / "00-images.html"
    built.parent.mkdir(parents=True)
    built.touch()
    assert lesson_page(course, IMAGES, "https://example.org/") == built.as_uri()


def test_a_lesson_without_its_folder_is_an_error(
    course: Course, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    from dino.cli.watch import watch

    monkeypatch.chdir(course.root)
    (course.root / "lessons" / "03").rename(tmp_path / "moved")
    with pytest.raises(DinoError, match="there is no folder"):
        watch(LESSONS[3].number)
