"""Messages on the command line: a problem in one line, with the option or command that would fix it."""

import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import typer
from hypothesis import given
from hypothesis import strategies as st

from dino.cli.advice import advice
from dino.cli.app import app
from dino.cli.output import LONGEST, format_warning, in_one_line
from dino.common.errors import DinoError, DinoWarning, shell_command, shell_word


@pytest.fixture(autouse=True)
def no_command(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["dino"])


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({}, ""),
        ({"batch_size": 16}, "Try --batch-size 16."),
        ({"accumulate": 2, "batch_size": 16}, "Try --accumulate 2 or --batch-size 16."),
        ({"accumulate": 2, "batch_size": 16, "size": 32}, "Try --accumulate 2, --batch-size 16 or --size 32."),
        ({"out": None}, "Change --out."),
        ({"n": None, "size": None, "n_images": None}, "Change -n, --size or --images."),
        ({"resume": "runs/a b", "out": None}, "Try --resume 'runs/a b', or change --out."),
        ({"resume": Path("it's")}, f"Try --resume {shlex.quote(chr(39).join(('it', 's')))}."),
        ({"data": ""}, "Try --data ''."),
        ({"seed": 0}, "Try --seed 0."),
        ({"compile": False}, "Try --no-compile."),
        ({"compile": True}, "Try --compile."),
        ({"mine": True}, "Try --mine."),
        ({"mine": False}, "Leave out --mine."),
        ({"fid": False, "mine": False}, "Leave out --fid or --mine."),
        ({"steps": 5, "out": None, "mine": False}, "Try --steps 5, or change --out, or leave out --mine."),
        ({"n_steps": 5}, "Try --steps 5."),
    ],
)
def test_settings_become_options(settings: dict[str, Any], sentence: str) -> None:
    assert advice(DinoError("the disk is full", settings=settings)) == sentence


@pytest.mark.parametrize(
    ("settings", "command"),
    [
        ({}, "dino train"),
        ({"resume": Path("my runs/1")}, "dino train --resume 'my runs/1'"),
        ({"mine": True, "compile": False}, "dino train --mine --no-compile"),
        ({"mine": False, "out": None}, "dino train"),
    ],
)
def test_the_settings_of_another_command_become_a_command_to_copy(
    settings: dict[str, Any], command: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    problem = DinoError("there is no run", settings=settings, command="train")
    assert in_one_line(problem) == f"dino: there is no run. Run: {command}"
    monkeypatch.setenv("UV_RUN_RECURSION_DEPTH", "1")
    assert in_one_line(problem) == f"dino: there is no run. Run: uv run {command}"


@pytest.mark.skipif(os.name == "nt", reason="POSIX shells")
@pytest.mark.parametrize(
    ("word", "typed"),
    [
        ("runs/quick-1", "runs/quick-1"),
        ("my run", "'my run'"),
        ("$(x)", "'$(x)'"),
        ("", "''"),
        (Path("-x"), "./-x"),
        ("-x", "-x"),  # an option
        ("two\nlines", r"$'two\x0alines'"),
        ("r\udce9's \\", r"$'r\xe9\'s \\'"),  # bytes that are not Unicode, as Python reads them
        ("\x01é", r"$'\x01é'"),
    ],
)
def test_a_word_of_a_command_is_one_printable_line_that_a_shell_reads_back(word: str | Path, typed: str) -> None:
    assert shell_word(word) == typed
    assert typed.isprintable()
    if shutil.which("bash"):
        done = subprocess.run(["bash", "-c", f"printf %s {typed}"], capture_output=True, check=True)
        assert done.stdout == os.fsencode(f"./{word}" if isinstance(word, Path) else word)


def test_on_windows_words_are_quoted_as_its_programs_read_them(monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(os, "name", "nt")
        typed = shell_command("dino", "sample", "my run", "C:\\x")
    assert typed == 'dino sample "my run" C:\\x'


def test_only_options_that_the_running_command_takes_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    problem = DinoError("there is not enough memory", settings={"batch_size": None, "size": None, "n": None})
    for command, sentence in {
        "train": " Change --batch-size or --size.",
        "sample": " Change -n.",
        "bench": " Change --batch-size.",
        "info": "",
    }.items():
        monkeypatch.setattr(sys, "argv", ["dino", command, "--debug"])
        assert in_one_line(problem) == f"dino: there is not enough memory.{sentence}"
    monkeypatch.setattr(sys, "argv", ["dino", "bench"])
    assert advice(DinoWarning("there is no compiler", settings={"compile": False})) == ""


def test_every_setting_that_the_library_names_is_an_option_of_some_command() -> None:
    commands = typer.main.get_command(app).commands.values()  # type: ignore[attr-defined]
    options = {
        name for command in commands for option in command.params for name in (*option.opts, *option.secondary_opts)
    }
    code = "".join(path.read_text(encoding="utf-8") for path in Path("dino").rglob("*.py"))
    named = {
        name
        for settings in re.findall(r"[(\s]settings=\{(.*?)\}", code, re.DOTALL)
        for name in re.findall(r'"(\w+)":', settings)
    }
    assert {"resume", "out", "accumulate", "batch_size"} <= named | {"accumulate", "batch_size"}
    for name in named:
        (word,) = re.findall(r"--?[\w-]+", advice(DinoError("", settings={name: None})))
        assert word in options, name


def test_a_message_ends_in_a_full_stop_unless_it_ends_in_a_command_to_copy() -> None:
    for message, line in {
        "the disk is full": "the disk is full.",
        "is the disk full?": "is the disk full?",
        "the disk is full.": "the disk is full.",
        "Fetch the file with: git lfs pull": "Fetch the file with: git lfs pull",
        "bring it back with: dino reset 03": "bring it back with: dino reset 03",
        "could not write x: Permission denied": "could not write x: Permission denied.",
    }.items():
        assert in_one_line(DinoError(message)) == f"dino: {line}"


@given(st.text(), st.text(min_size=1))
def test_a_message_is_one_printable_line_whatever_is_in_it(text: str, path: str) -> None:
    line = in_one_line(DinoError(text, settings={"resume": path}))
    assert line.isprintable()
    assert len(line) <= LONGEST + len("dino: ")


def test_a_warning_of_dino_is_one_line_and_others_keep_their_usual_form() -> None:
    warning = DinoWarning("torch.compile does not work here", settings={"compile": False})
    where = ("x.py", 3, None)
    assert format_warning(warning, DinoWarning, *where) == "dino: torch.compile does not work here. Try --no-compile.\n"
    assert "x.py:3: UserWarning: something" in format_warning(UserWarning("something"), UserWarning, *where)
