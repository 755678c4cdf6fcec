"""docs/guides/python.md: all its code runs, in the order in which it stands, and does what the page says."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

PAGE = Path(__file__).parents[1] / "docs" / "guides" / "python.md"


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """The folder that the code was run in, and what it printed."""
    folder = tmp_path_factory.mktemp("recipes")
    code = "\n".join(re.findall(r"^```python\n(.*?)^```", PAGE.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL))
    done = subprocess.run([sys.executable, "-c", code], cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return folder, done.stdout


def test_the_pictures_that_it_saves_are_there(told: tuple[Path, str]) -> None:
    folder, _ = told
    for name in ("drawn.png", "variations.png", "circles.png", "runs/animals/animation.gif", "runs/animals/compare.png"):
        with Image.open(folder / name) as image:
            assert min(image.size) > 30, name


def test_it_says_how_far_it_is(told: tuple[Path, str]) -> None:
    _, said = told
    assert len(re.findall(r"^noise level 0\.\d\d, predictions from", said, re.MULTILINE)) == 25
    assert "1,600 images, loss 0.1" in said
    assert "3,200 images, drawn: (4, 3, 32, 32)" in said
    for name in ("loss by noise level: [0.0", "distance to real images: ", "nearest images: ["):
        assert name in said
    first, last = map(float, re.findall(r"loss (\d\.\d+) at first, (\d\.\d+) at last", said)[0])
    assert last < first / 2
