"""docs/guides/python.md: all its code runs, from top to bottom, and does what the page says."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

PAGE = Path(__file__).parents[1] / "docs" / "guides" / "python.md"


@pytest.fixture(scope="module")
def output(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """Run the code of the page. Returns the folder it ran in, and what it printed."""
    folder = tmp_path_factory.mktemp("recipes")
    code = "\n".join(re.findall(r"^```python\n(.*?)^```", PAGE.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL))
    done = subprocess.run([sys.executable, "-c", code], cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return folder, done.stdout


def test_the_code_saves_its_images(output: tuple[Path, str]) -> None:
    folder, _ = output
    names = ("drawn.png", "variations.png", "circles.png", "runs/animals/animation.gif", "runs/animals/compare.png")
    for name in names:
        with Image.open(folder / name) as image:
            assert min(image.size) > 30, name


def test_the_code_prints_its_progress_and_its_measurements(output: tuple[Path, str]) -> None:
    _, printed = output
    assert len(re.findall(r"^noise level 0\.\d\d, predictions from", printed, re.MULTILINE)) == 25
    assert "1,600 images, loss 0.0" in printed
    assert "3,200 images, drawn: (4, 3, 32, 32)" in printed
    for name in ("loss by noise level: [0.0", "distance to real images: ", "nearest images: ["):
        assert name in printed
    first, last = map(float, re.findall(r"loss (\d\.\d+) at first, (\d\.\d+) at last", printed)[0])
    assert last < first / 2
