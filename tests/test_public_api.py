"""The public API: what `import dino` gives, how long it takes, and that README's example runs."""

import importlib
import inspect
import re
import subprocess
import sys
from pathlib import Path

import pytest

import dino

REPOSITORY = Path(__file__).parent.parent


@pytest.mark.parametrize("name", dino.__all__)
def test_every_public_name_can_be_imported_and_is_documented(name: str) -> None:
    value = getattr(dino, name)
    assert name in dir(dino)
    assert name in vars(dino)  # the next access costs nothing
    if inspect.isclass(value) or inspect.isroutine(value):
        assert (value.__doc__ or "").strip()
        assert value.__doc__ != getattr(value.__mro__[1], "__doc__", None) if inspect.isclass(value) else True
    else:
        assert name in ("PRESETS", "__version__")


def test_type_checkers_see_the_same_public_names() -> None:
    source = inspect.getsource(dino)
    for_type_checkers = source.partition("if TYPE_CHECKING:")[2].partition("__all__")[0]
    imported = re.findall(r"    from \.([\w.]+) import (.+)", for_type_checkers)
    homes = {name: module for module, names in imported for name in names.split(", ")}
    assert {*homes, "__version__"} == set(dino.__all__)
    for name, module in homes.items():
        assert getattr(dino, name) is getattr(importlib.import_module(f"dino.{module}"), name)


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="module 'dino' has no attribute 'dinosaur'"):
        _ = dino.dinosaur  # type: ignore[attr-defined]


def test_the_package_has_types() -> None:
    assert (Path(dino.__file__).parent / "py.typed").exists()


def run(code: str, cwd: Path | None = None) -> str:
    done = subprocess.run([sys.executable, "-c", code], cwd=cwd, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_importing_dino_does_not_import_torch() -> None:
    slow = {"torch", "numpy", "torchvision", "datasets", "matplotlib", "PIL", "typer"}
    assert run(f"import sys, dino; dir(dino); print({slow} & set(sys.modules))").strip() == "set()"


def test_the_whole_api_costs_at_most_a_tenth_more_than_torch() -> None:
    code = """
import sys, time
start = time.process_time()
import torch
torch_only = time.process_time() - start
import dino
for name in dino.__all__:
    getattr(dino, name)
print((time.process_time() - start) / torch_only, *{"torchvision", "datasets", "matplotlib", "PIL"} & set(sys.modules))
"""
    ratio, *slow = run(code).split()
    assert not slow
    assert float(ratio) <= 1.1


@pytest.mark.slow
def test_the_example_of_the_readme_runs_in_at_most_six_lines(tmp_path: Path) -> None:
    blocks = re.findall(
        r"^```python\n(.*?)^```", (REPOSITORY / "README.md").read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE
    )
    example = next((block for block in blocks if "import dino" in block), None)
    assert example, "README.md has no Python block with `import dino`"
    assert len([line for line in example.splitlines() if line.strip()]) <= 6
    run(example, tmp_path)
    assert list(tmp_path.rglob("*.png"))
    assert dino.__doc__
    assert "".join(example.split()) in "".join(dino.__doc__.split())  # the docstring has the same example
