"""Image grids and image files: every image in its place, in the right colors and formats."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from dino.common import grids
from dino.common.errors import DinoError


def pixels(image: Image.Image) -> torch.Tensor:
    return torch.from_numpy(np.array(image.convert("RGB"))).permute(2, 0, 1)


def test_a_grid_shows_every_image_in_reading_order_and_enlarged_without_blur() -> None:
    colors = torch.rand(5, 3, 1, 1).expand(5, 3, 8, 8)
    image = pixels(grids.grid(colors, columns=3))
    cell = 64 + 2  # eight times as large, and a gap
    assert image.shape == (3, 2 * cell + 2, 3 * cell + 2)
    for index, color in enumerate(colors):
        top, left = 2 + cell * (index // 3), 2 + cell * (index % 3)
        shown = image[:, top : top + 64, left : left + 64] / 255
        assert (shown - color[:, :1, :1]).abs().max() <= 0.51 / 255
    assert (image[:, -30, -30] == 255).all()  # the rest of the grid is white


@pytest.mark.parametrize("channels", [1, 3])
def test_values_outside_the_range_of_pixels_are_clamped_not_wrapped(channels: int) -> None:
    image = pixels(grids.grid(torch.tensor([-0.5, 1.5]).view(2, 1, 1, 1).expand(2, channels, 64, 64), columns=2))
    assert image[:, 20, 20].tolist() == [0, 0, 0]
    assert image[:, 20, 90].tolist() == [255, 255, 255]


def test_a_comparison_shows_real_images_on_the_left_and_generated_ones_on_the_right() -> None:
    both = pixels(grids.comparison(torch.zeros(4, 3, 64, 64), torch.full((4, 3, 64, 64), 0.5)))
    assert both[0, 30, 30] == 0
    assert both[0, 30, -30] == 128
    assert (both[0, 30] == 255).sum() >= 32  # a gap between them


def test_an_animation_has_all_frames_and_the_given_length(tmp_path: Path) -> None:
    frames = [grids.grid(torch.full((1, 3, 64, 64), k / 9)) for k in range(10)]
    with Image.open(grids.animation(frames, tmp_path / "animation.gif", seconds=1.8)) as animation:
        assert animation.n_frames == 10
        durations = []
        for index in range(10):
            animation.seek(index)
            durations.append(animation.info["duration"])
    assert sum(durations[:-1]) == pytest.approx(1800, abs=200)
    assert durations[-1] == 2000


def test_the_suffix_of_the_name_decides_the_format(tmp_path: Path) -> None:
    for ending, kind in {".png": "PNG", ".jpg": "JPEG", ".webp": "WEBP"}.items():
        with Image.open(grids.save_image(grids.grid(torch.rand(1, 3, 64, 64)), tmp_path / f"x{ending}")) as image:
            assert image.format == kind
    with pytest.raises(DinoError, match=r"x\.mpg is not the name of an image file"):
        grids.save_image(grids.grid(torch.rand(1, 3, 64, 64)), tmp_path / "x.mpg")


@pytest.mark.parametrize("size", [8, 21, 64, 80])
@pytest.mark.parametrize("channels", [1, 3])
def test_split_grid_returns_the_images_of_a_grid(size: int, channels: int) -> None:
    images = torch.randint(0, 256, (5, channels, size, size)) / 255
    split = grids.split_grid(grids.grid(images, columns=3), size, channels)
    torch.testing.assert_close(split[:5], images, rtol=0, atol=1e-6)
    assert split.shape == (6, channels, size, size)
    assert (split[5] == 1).all()


def test_save_grid_writes_a_grid_to_a_path_or_the_name_of_one(tmp_path: Path) -> None:
    images = torch.rand(4, 3, 64, 64)
    for path in (tmp_path / "a.png", str(tmp_path / "b.png")):
        assert grids.save_grid(images, path, columns=4) == Path(path)
        with Image.open(path) as image:
            assert torch.equal(pixels(image), pixels(grids.grid(images, columns=4)))
