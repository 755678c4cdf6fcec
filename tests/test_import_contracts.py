"""The import contracts of pyproject.toml hold, and a planted violation breaks them."""

import ast
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

VIOLATIONS = [  # a file, a line to add to it, and the contract that breaks
    ("dino/trainer/run.py", "from ..reports import report", "Layers"),
    ("dino/common/errors.py", "from ..images import seeded", "Layers"),
    ("dino/noise.py", "from .training import train", "Layers"),
    ("dino/reports/fid.py", "from ..course import curriculum", "Layers"),
    ("dino/data/loading.py", "from ..cli.output import say", "Layers"),
    ("dino/common/atomic_file.py", "from .grids import grid", "No cycles"),
    ("dino/course/curriculum.py", "from .grader import loader", "No cycles"),
    ("dino/data/cache.py", "from lessons import conftest", "The package imports no lessons"),
    ("dino/course/sandbox.py", "from .grader import worker", "The sandbox"),
]


def lint_imports(folder: Path) -> subprocess.CompletedProcess[str]:
    command = [Path(sys.executable).with_name("lint-imports"), "--no-cache"]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """A copy of the code whose imports are checked."""
    for name in ("dino", "scripts", "lessons", "tests"):
        skipped = shutil.ignore_patterns("__pycache__", "*.parquet", "*.safetensors", "*.png", "*.ipynb")
        shutil.copytree(ROOT / name, tmp_path / name, ignore=skipped)
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    return tmp_path


def test_the_contracts_are_kept() -> None:
    done = lint_imports(ROOT)
    assert done.returncode == 0, done.stdout
    assert "4 kept, 0 broken" in done.stdout


@pytest.mark.parametrize(
    ("file", "line", "contract"), VIOLATIONS, ids=[f"{file}-{line}" for file, line, _ in VIOLATIONS]
)
def test_a_planted_violation_breaks_its_contract(copy: Path, file: str, line: str, contract: str) -> None:
    path = copy / file
    path.write_text(f"{path.read_text(encoding='utf-8')}\n{line}\n", encoding="utf-8")
    done = lint_imports(copy)
    assert done.returncode == 1, done.stdout
    broken = " ".join(done.stdout.partition("Broken contracts")[2].split())
    assert contract in broken, done.stdout


# ---- libraries ------------------------------------------------------------------------------------------------------

OPTIONAL = {"torchmetrics", "onnx", "onnxruntime"}  # for --fid and for `dino export`, which say how to install them


def imported() -> Iterator[tuple[str, str]]:
    """Yield the name of each module that dino and the lessons import from elsewhere, and the file that imports it."""
    for path in (path for name in ("dino", "lessons", "solutions") for path in sorted((ROOT / name).rglob("*.py"))):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                yield from ((alias.name, str(path)) for alias in node.names)
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                yield node.module, str(path)


def test_dino_and_the_lessons_import_only_libraries_that_are_declared() -> None:
    lines = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["dependencies"]
    declared = {re.split(r"[^\w.-]", line)[0] for line in lines}
    ours = {"dino", *sys.stdlib_module_names, *OPTIONAL}
    distributions = packages_distributions()
    for module, path in imported():
        top = module.partition(".")[0]
        assert top in ours or set(distributions.get(top, ())) & declared, f"{path} imports {module}"


def test_progress_bars_are_text_and_warn_in_no_notebook() -> None:
    # tqdm.auto draws with ipywidgets in a notebook, and without them its import warns.
    assert not [path for module, path in imported() if module.startswith("tqdm.")]
