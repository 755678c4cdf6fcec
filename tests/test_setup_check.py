"""The setup check: what it finds on a machine that is fine, and what it reports on one that isn't."""

import errno
import re
import subprocess
import sys
import tempfile
import tomllib
import warnings
from pathlib import Path
from typing import Any

import pytest
import torch
from packaging.requirements import Requirement

from dino.common.errors import DinoError
from dino.course import setup_check
from dino.course.curriculum import Course
from dino.course.setup_check import (
    check_device,
    check_folder,
    check_images,
    check_libraries,
    check_python,
    check_setup,
    check_torch,
)

ROOT = Path(__file__).parents[1]


@pytest.fixture
def versions(monkeypatch: pytest.MonkeyPatch) -> dict[str, str | None]:
    """The versions that seem to be installed, or None for a missing library. All are new until a test changes them."""
    installed: dict[str, str | None] = dict.fromkeys((r.name for r in setup_check.requirements()), "99.1")

    def version(name: str) -> str:
        found = installed[name]
        if found is None:
            raise setup_check.metadata.PackageNotFoundError(name)
        return found

    monkeypatch.setattr(setup_check.metadata, "version", version)
    return installed


def test_here_everything_is_fine_and_reported_in_a_line_each(tmp_path: Path) -> None:
    rows = check_setup(Course(tmp_path))
    assert [what for what, _, _ in rows] == ["Python", "torch", "libraries", "device", "pictures", "folder"]
    assert all(fine for _, _, fine in rows), rows
    assert all(found and "\n" not in found for _, found, _ in rows)
    findings = {what: found for what, found, _ in rows}
    assert torch.__version__ in findings["torch"]
    assert "datasets" in findings["libraries"]
    assert "CPU core" in findings["device"]


@pytest.mark.slow
def test_it_imports_torch_when_it_checks_and_slower_libraries_never(tmp_path: Path) -> None:
    code = f"""
import sys
from pathlib import Path
from dino.course.curriculum import Course
from dino.course.setup_check import check_setup
assert "torch" not in sys.modules
assert all(fine for _, _, fine in check_setup(Course(Path({str(tmp_path)!r}))))
assert not sys.modules.keys() & {{"torchvision", "matplotlib", "datasets", "pyarrow", "PIL"}}
"""
    subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT)


PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def not_installed(name: str) -> list[str]:
    raise setup_check.metadata.PackageNotFoundError(name)


def test_the_requirements_are_those_of_the_installed_distribution(monkeypatch: pytest.MonkeyPatch) -> None:
    listed = ["torch>=3", "numpy", "colorama; sys_platform == 'no such system'", "fancy; extra == 'all'"]
    monkeypatch.setattr(setup_check.metadata, "requires", {"dino-diffusion": listed}.get)
    assert setup_check.requirements() == [Requirement("torch>=3"), Requirement("numpy")]


def test_without_an_installed_distribution_the_requirements_are_those_of_pyproject(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(setup_check.metadata, "requires", not_installed)
    assert setup_check.requirements() == [Requirement(line) for line in PROJECT["dependencies"]]
    names = [requirement.name for requirement in setup_check.requirements()]
    assert {"torch", "packaging"} <= set(names)
    monkeypatch.setattr(setup_check, "PYPROJECT", tmp_path / "pyproject.toml")
    assert [requirement.name for requirement in setup_check.requirements()] == list(setup_check.LEAST)
    (tmp_path / "pyproject.toml").write_text("[project]\nname = 'another'\ndependencies = ['flask']")
    assert [requirement.name for requirement in setup_check.requirements()] == list(setup_check.LEAST)


def test_python_is_checked_against_the_version_of_pyproject() -> None:
    assert PROJECT["name"] == setup_check.DISTRIBUTION
    assert PROJECT["requires-python"] == ">=" + ".".join(map(str, setup_check.PYTHON))


@pytest.mark.parametrize(("version", "is_fine"), [((3, 10, 9), False), ((3, 11, 0), True), ((4, 0, 0), True)])
def test_python_must_be_new_enough(version: tuple[int, ...], is_fine: bool) -> None:
    if is_fine:
        assert check_python(version) == ".".join(map(str, version))
    else:
        with pytest.raises(DinoError, match=r"3\.10\.9 is too old: 3\.11 or newer"):
            check_python(version)


@pytest.mark.parametrize("version", ["2.9.1+cpu", "2.10.0", "1.13"])
def test_an_old_torch_is_named_with_its_remedy(version: str, versions: dict[str, str | None]) -> None:
    versions["torch"] = version
    says = rf"torch {re.escape(version)} is installed, but the course needs >=2\.11; .*pip install -e"
    with pytest.raises(DinoError, match=says):
        check_torch()


@pytest.mark.parametrize("version", ["2.11", "2.11.0+cu130", "2.11.1", "2.12.0a0+git12ab", "3.0"])
def test_a_new_torch_will_do(version: str, versions: dict[str, str | None]) -> None:
    versions["torch"] = version
    check_torch()


def test_a_missing_torch_and_a_broken_one_are_reported_differently(
    versions: dict[str, str | None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)  # importing it now raises ImportError
    with pytest.raises(DinoError, match=r"can't be imported .*--force-reinstall"):
        check_torch()
    versions["torch"] = None
    with pytest.raises(DinoError, match=r"torch is missing; .*pip install -e"):
        check_torch()


def test_a_torch_that_calculates_wrong_numbers_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.nn.functional, "conv2d", lambda *_, **__: torch.zeros(1, 1, 3, 3))
    with pytest.raises(DinoError, match="calculates wrong numbers"):
        check_torch()


def test_all_missing_and_old_libraries_are_named_at_once(versions: dict[str, str | None]) -> None:
    assert check_libraries().endswith(f"and {len(versions) - 6} more are installed")
    versions |= {"datasets": None, "pillow": "11.0.0", "safetensors": "0.4.4", "numpy": "0.1"}
    with pytest.raises(DinoError) as raised:
        check_libraries()
    assert str(raised.value).startswith(
        "datasets is missing, pillow 11.0.0 is installed, but the course needs >=11.1, "
        "safetensors 0.4.4 is installed, but the course needs >=0.4.5; in the course's folder run: "
    )


@pytest.mark.parametrize(("count", "words"), [(1, "and 1 GPU (Sun 5000)"), (3, "and 3 GPUs (Sun 5000)")])
def test_gpus_are_counted_and_named(count: int, words: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with_gpus(monkeypatch, count)
    monkeypatch.setattr(torch, "ones", lambda *_, device, real=torch.ones: real(2))
    assert check_device().endswith(words)


def test_a_gpu_that_does_not_work_is_reported_with_a_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise RuntimeError("CUDA error: no kernel image is available\nand many more lines")

    with_gpus(monkeypatch, 1)
    monkeypatch.setattr(torch, "ones", fail)
    with pytest.raises(
        DinoError, match=r"\(Sun 5000\) does not work \(CUDA error: no kernel image is available\); upd"
    ):
        check_device()


def with_gpus(monkeypatch: pytest.MonkeyPatch, count: int) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: count)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda _: "Sun 5000")


def test_a_driver_that_torch_complains_about_is_reported_with_a_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    def complain() -> bool:
        warnings.warn("The NVIDIA driver on your system is too old\nmore", stacklevel=1)
        return False

    monkeypatch.setattr(torch.cuda, "is_available", complain)
    with pytest.raises(DinoError, match=r"\(The NVIDIA driver on your system is too old\); update its driver"):
        check_device()


def test_without_a_gpu_all_is_fine_and_a_torch_without_cuda_is_mentioned(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    monkeypatch.setattr(torch.version, "cuda", None)
    monkeypatch.setattr(setup_check.shutil, "which", lambda _: None)
    assert check_device().endswith("and no GPU; the lessons don't need one")
    monkeypatch.setattr(setup_check.shutil, "which", lambda _: "/usr/bin/nvidia-smi")
    assert "another build of torch" in check_device()
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: True)
    assert check_device().endswith("and Apple's GPU")


POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 13847712\n"


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (None, r"can't be read \(No such file or directory\); restore it with: git checkout"),
        (POINTER, "is a git-lfs pointer, and not the file itself; fetch it with: git lfs pull"),
        (b"", r"is damaged \(0 bytes\); restore it"),
        (b"PAR1 and the rest is missing", "is damaged"),
        (b"the beginning is missing PAR1", "is damaged"),
    ],
)
def test_missing_and_incomplete_pictures_are_reported(
    content: bytes | None, says: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "emoji.parquet"
    if content is not None:
        file.write_bytes(content)
    monkeypatch.setitem(setup_check.SETS, "emoji", setup_check.SETS["emoji"]._replace(file=file))
    with pytest.raises(DinoError, match=says):
        check_images()


def test_the_folder_is_created_and_left_empty(tmp_path: Path) -> None:
    folder = tmp_path / "runs" / "lessons"
    assert check_folder(Course(tmp_path)) == f"{Path('runs', 'lessons')} can be written to"
    assert list(folder.iterdir()) == []


def test_an_unwritable_folder_and_a_full_disk_are_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "runs").write_text("a file where the folder should be")
    with pytest.raises(DinoError, match=r"runs.lessons can't be written to \(.*\); move the course"):
        check_folder(Course(tmp_path))

    def full(**_: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(tempfile, "TemporaryFile", full)
    with pytest.raises(DinoError, match=r"\(No space left on device\); free some space"):
        check_folder(Course(tmp_path / "elsewhere"))


def test_one_problem_hides_no_other(
    versions: dict[str, str | None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    versions["tqdm"] = None
    monkeypatch.setattr(setup_check, "SETS", 42)  # for example, a bug of ours
    rows = {what: (found, fine) for what, found, fine in check_setup(Course(tmp_path))}
    assert [what for what, (_, fine) in rows.items() if not fine] == ["libraries", "pictures"]
    assert rows["libraries"][0].startswith("tqdm is missing; ")
    assert rows["pictures"][0].startswith("could not be checked: AttributeError: ")


def test_missing_lessons_are_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    def not_here() -> Course:
        raise DinoError("the lessons are not here")

    monkeypatch.setattr(setup_check, "find_course", not_here)
    assert check_setup()[-1] == ("folder", "the lessons are not here", False)
