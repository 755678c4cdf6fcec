"""Atomic file replacement: a file is the old one or the new one, never half of one."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from dino.common.atomic_file import delete_leftovers, replacing
from dino.common.errors import DinoError


def names(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir()]


def test_a_new_file_replaces_the_old_one(tmp_path: Path) -> None:
    path = tmp_path / "deeper" / "file.txt"
    for text in ("old", "new"):
        with replacing(path) as temporary:
            temporary.write_text(text)
        assert path.read_text() == text
    assert names(path.parent) == ["file.txt"]


def test_if_writing_fails_the_old_file_stays_and_nothing_is_left_over(tmp_path: Path) -> None:
    path = tmp_path / "file.txt"
    path.write_text("old")
    with pytest.raises(UnicodeEncodeError), replacing(path) as temporary:
        temporary.write_text("ne" + "\ud800", encoding="utf-8")  # not a character
    assert path.read_text() == "old"
    assert names(tmp_path) == ["file.txt"]


def test_a_process_killed_while_writing_leaves_the_old_file_and_a_leftover_that_can_be_deleted(tmp_path: Path) -> None:
    path = tmp_path / "file.txt"
    path.write_text("old")
    code = f"""
import os, signal, pathlib
from dino.common.atomic_file import replacing
with replacing(pathlib.Path({str(path)!r})) as temporary:
    temporary.write_text("ne")
    os.kill(os.getpid(), getattr(signal, "SIGKILL", signal.SIGTERM))
"""
    done = subprocess.run([sys.executable, "-c", code], check=False)
    assert done.returncode in (-9, signal.SIGTERM)  # the second on Windows, where a killed process returns the signal
    assert path.read_text() == "old"
    assert len(names(tmp_path)) == 2
    delete_leftovers(tmp_path)
    assert names(tmp_path) == ["file.txt"]


def test_a_path_under_a_file_is_refused_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(DinoError, match="Choose a place you can write to"), replacing(tmp_path / "file" / "x"):
        pass


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs Linux's /dev/full")
def test_a_full_disk_is_reported_in_one_line(tmp_path: Path) -> None:
    path = tmp_path / "file.txt"
    path.write_text("old")
    with (
        pytest.raises(DinoError, match="the disk is full"),
        replacing(path),
        Path("/dev/full").open("wb", buffering=0) as full,
    ):
        full.write(b"x")  # the real error of a full device
    assert path.read_text() == "old"


@pytest.mark.skipif(os.name == "nt", reason="Windows keeps no such modes")
def test_the_file_has_the_usual_permissions(tmp_path: Path) -> None:
    with replacing(tmp_path / "ours") as temporary:
        temporary.write_text("")
    (tmp_path / "usual").write_text("")
    assert (tmp_path / "ours").stat().st_mode == (tmp_path / "usual").stat().st_mode
