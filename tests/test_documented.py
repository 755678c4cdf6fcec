"""Every command in the README, the docs, the lessons and the docstrings of scripts can be run as it is written."""

import ast
import importlib
import inspect
import re
import shlex
import subprocess
import sys
from functools import cache
from pathlib import Path
from types import ModuleType

import pytest
import typer
from typer.testing import CliRunner

from dino.cli import app
from scripts.site.reference import MEASUREMENTS

ROOT = Path(__file__).parents[1]
PAGES = [
    ROOT / "README.md", ROOT / "CONTRIBUTING.md",
    *sorted((ROOT / "docs").rglob("*.md")), *sorted((ROOT / "scripts").glob("*/*.py")),
]  # fmt: skip
COMMAND = re.compile(
    r"(?:uv run )?(?P<program>(?:python -m )?dino|python scripts/\w+/\w+\.py|python -m scripts\.\w+\.\w+)(?=[ `]|$)"
    r"(?P<arguments>(?: [^`#|\n]+)?)"
)
CODE = re.compile(r"^ *```[^\n]*\n(.*?)^ *```|`([^`]+)`|^ {4}([^`\n]+)$", re.MULTILINE | re.DOTALL)


def text_of(page: Path) -> str:
    """Return the text of a page, or the docstring of a program."""
    text = page.read_text(encoding="utf-8")
    return text if page.suffix == ".md" else ast.get_docstring(ast.parse(text)) or ""


def commands_in(text: str) -> list[tuple[str, list[str]]]:
    """Return each program in code blocks and code spans, with its arguments."""
    found = []
    for block, inline, indented in CODE.findall(text):
        code = re.sub(r"\\\n\s*", " ", block or indented) or inline.replace("\n", " ")
        commands = (COMMAND.match(line.strip()) for line in code.splitlines())
        found += [
            (command["program"].split()[-1], shlex.split(command["arguments"])) for command in commands if command
        ]
    return [(name, arguments) for name, arguments in found if "..." not in arguments]


def test_commands_are_found() -> None:
    text = "Say `dino sample\n-n 4` or\n```sh\nuv run dino train \\\n  --mine  # real\n```\n"
    text += "\n    python scripts/benchmarks/gpu.py --out x\n"
    text += "    or `python -m scripts.site.notebooks --check`; not `dino.noise`\n"
    assert commands_in(text) == [
        ("dino", ["sample", "-n", "4"]), ("dino", ["train", "--mine"]), ("scripts/benchmarks/gpu.py", ["--out", "x"]),
        ("scripts.site.notebooks", ["--check"]),
    ]  # fmt: skip
    assert sum(len(commands_in(text_of(page))) for page in PAGES) > 150


def module_of(name: str) -> ModuleType:
    return importlib.import_module(name.removesuffix(".py").replace("/", "."))


@cache
def program(name: str) -> typer.Typer:
    if name == "dino":
        return app
    module = module_of(name)
    if hasattr(module, "app"):
        return module.app  # type: ignore[no-any-return]
    alone = typer.Typer()
    alone.command()(module.main)
    return alone


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_commands_on_the_page_can_be_run(page: Path) -> None:
    for name, arguments in commands_in(text_of(page)):
        if name.startswith("scripts.site."):  # these programs use argparse, which ignores unknown options before --help
            source = inspect.getsource(module_of(name).main)
            assert all(f'"{argument}"' in source for argument in arguments), f"{name} {shlex.join(arguments)}"
            continue
        done = CliRunner().invoke(program(name), [*arguments, "--help"])  # unknown options are reported before the help
        assert done.exit_code == 0, f"{name} {shlex.join(arguments)}:\n{done.output}"


@pytest.mark.parametrize(
    "how", [["scripts/benchmarks/gpu.py"], ["-m", "scripts.benchmarks.gpu"]], ids=["file", "module"]
)
def test_the_gpu_script_runs_on_a_cpu(how: list[str]) -> None:
    command = [sys.executable, *how, "kernels", "--preset", "quick", "--batch", "8", "--device", "cpu"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "batches of 8: " in done.stdout


def test_every_page_of_measurements_has_an_introduction_and_a_place_in_their_index() -> None:
    pages = {path.stem for path in (ROOT / "docs" / "benchmarks").glob("*.md")} - {"index"}
    assert pages == set(MEASUREMENTS)
    index = (ROOT / "docs" / "benchmarks" / "index.md").read_text(encoding="utf-8")
    assert not [page for page in pages if f"({page}.md)" not in index]
