"""Every command in the README, the docs, the lessons and the docstrings is one that can be typed."""

import importlib
import re
import shlex
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from dino.cli import app

ROOT = Path(__file__).parents[1]
PAGES = [
    ROOT / "README.md", ROOT / "CONTRIBUTING.md",
    *sorted((ROOT / "docs").rglob("*.md")), *sorted((ROOT / "docs" / "benchmarks").glob("*.py")),
]  # fmt: skip
COMMAND = re.compile(r"(?:uv run )?(?:python (?:-m )?)?(dino|docs/benchmarks/\w+\.py)((?: [^`#|\n]+)?)")
CODE = re.compile(r"^ *```[^\n]*\n(.*?)^ *```|`([^`]+)`|^ {4}([^`\n]+)$", re.MULTILINE | re.DOTALL)


def commands_in(text: str) -> list[tuple[str, list[str]]]:
    """Each program with its arguments, from what is set as code."""
    found = []
    for block, inline, indented in CODE.findall(text):
        code = re.sub(r"\\\n\s*", " ", block or indented) or inline.replace("\n", " ")
        commands = (COMMAND.match(line.strip()) for line in code.splitlines())
        found += [(command[1], shlex.split(command[2])) for command in commands if command]
    return [(name, arguments) for name, arguments in found if "..." not in arguments]


def test_commands_are_found() -> None:
    text = "Say `dino sample\n-n 4` or\n```sh\nuv run dino train \\\n  --mine  # real\n```\n"
    text += "\n    python docs/benchmarks/gpu.py --out x\n    and `dino info`.\n"
    assert commands_in(text) == [
        ("dino", ["sample", "-n", "4"]), ("dino", ["train", "--mine"]), ("docs/benchmarks/gpu.py", ["--out", "x"]),
        ("dino", ["info"]),
    ]  # fmt: skip
    assert sum(len(commands_in(page.read_text(encoding="utf-8"))) for page in PAGES) > 150


@cache
def program(name: str) -> typer.Typer:
    if name == "dino":
        return app
    sys.path.insert(0, str((ROOT / name).parent))  # one of the scripts takes things from another
    module = importlib.import_module(Path(name).stem)
    sys.path.pop(0)
    if hasattr(module, "app"):
        return module.app  # type: ignore[no-any-return]
    alone = typer.Typer()
    alone.command()(module.main)
    return alone


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_commands_on_the_page_can_be_typed(page: Path) -> None:
    for name, arguments in commands_in(page.read_text(encoding="utf-8")):
        told = CliRunner().invoke(program(name), [*arguments, "--help"])  # an option that isn't there is told first
        assert told.exit_code == 0, f"{name} {shlex.join(arguments)}:\n{told.output}"


def test_the_script_for_gpus_is_tried_on_a_cpu() -> None:
    script = ROOT / "docs" / "benchmarks" / "gpu.py"
    command = [sys.executable, script, "kernels", "--preset", "quick", "--batch", "8", "--device", "cpu"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "batches of 8: " in done.stdout
