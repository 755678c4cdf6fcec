"""dino.pictures: grids, strips, films and curves come out as they should look."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from dino.common import grids, plots
from dino.noise import mix
from dino.sampler import denoise, noise_schedule
from dino.trainer import strips


def pixels(image: Image.Image) -> torch.Tensor:
    return torch.from_numpy(np.array(image.convert("RGB"))).permute(2, 0, 1)


def test_a_grid_shows_every_picture_in_reading_order_enlarged_without_blur() -> None:
    colors = torch.rand(5, 3, 1, 1).expand(5, 3, 8, 8)
    image = pixels(grids.grid(colors, columns=3))
    cell = 64 + 2  # eight times as large, and a gap
    assert image.shape == (3, 2 * cell + 2, 3 * cell + 2)
    for index, color in enumerate(colors):
        top, left = 2 + cell * (index // 3), 2 + cell * (index % 3)
        shown = image[:, top : top + 64, left : left + 64] / 255
        assert (shown - color[:, :1, :1]).abs().max() <= 0.51 / 255
    assert (image[:, -30, -30] == 255).all()  # the place that is left is white


@pytest.mark.parametrize("channels", [1, 3])
def test_values_outside_the_range_of_pixels_are_cut_off_not_wrapped(channels: int) -> None:
    image = pixels(grids.grid(torch.tensor([-0.5, 1.5]).view(2, 1, 1, 1).expand(2, channels, 64, 64), columns=2))
    assert image[:, 20, 20].tolist() == [0, 0, 0]
    assert image[:, 20, 90].tolist() == [255, 255, 255]


def test_a_noise_strip_goes_from_the_picture_to_noise_with_the_same_noise_all_along() -> None:
    images = torch.rand(2, 3, 8, 8)
    strip = strips.noise_strip(images, [0.0, 0.5, 1.0], generator=torch.Generator().manual_seed(0))
    rows = strip.unflatten(0, (2, 3))
    assert torch.equal(rows[:, 0], images)
    torch.testing.assert_close(rows[:, 1], mix(images, rows[:, 2], torch.tensor(0.5)))


def test_a_denoising_strip_has_the_models_answer_below_each_mix(denoiser_of: type) -> None:
    images = torch.rand(2, 3, 8, 8)
    strip = strips.denoising_strip(denoiser_of(lambda noisy, level: noisy * level), images, [0.25, 0.5, 1.0])
    rows = strip.unflatten(0, (2, 2, 3))  # image, mix or answer, level
    torch.testing.assert_close(rows[:, 1], rows[:, 0] * torch.tensor([0.25, 0.5, 1.0]).view(1, 3, 1, 1, 1))


def test_a_sampling_strip_runs_from_the_first_step_to_the_last(denoiser_of: type) -> None:
    path = list(denoise(denoiser_of(lambda noisy, level: noisy.round()), torch.rand(2, 3, 8, 8), noise_schedule(30)))
    strip = strips.sampling_strip(path)
    assert strip.shape == (2 * strips.STRIP_COLUMNS, 3, 8, 8)
    assert torch.equal(strip[0], path[0].noisy[0])
    assert torch.equal(strip[strips.STRIP_COLUMNS - 1], path[-1].noisy[0])
    assert torch.equal(strip[-1], path[-1].denoised[0])
    assert strips.sampling_strip(path[:1]).shape[0] == 2 * strips.STRIP_COLUMNS  # a single step is repeated


def test_real_pictures_stand_left_and_generated_ones_right() -> None:
    sheet = pixels(grids.comparison(torch.zeros(4, 3, 64, 64), torch.full((4, 3, 64, 64), 0.5)))
    assert sheet[0, 30, 30] == 0
    assert sheet[0, 30, -30] == 128
    assert (sheet[0, 30] == 255).sum() >= 32  # a gap between them


def test_a_film_has_all_frames_and_lasts_as_long_as_asked(tmp_path: Path) -> None:
    frames = [grids.grid(torch.full((1, 3, 64, 64), k / 9)) for k in range(10)]
    with Image.open(grids.animation(frames, tmp_path / "film.gif", seconds=1.8)) as film:
        assert film.n_frames == 10
        durations = []
        for index in range(10):
            film.seek(index)
            durations.append(film.info["duration"])
    assert sum(durations[:-1]) == pytest.approx(1800, abs=200)
    assert durations[-1] == 2000


def test_the_loss_curve_shows_every_row_of_the_log(tmp_path: Path) -> None:
    log = tmp_path / "log.csv"
    log.write_text("step,images,loss,images_per_second\n25,400,0.1,5\n50,800,0.05,5\n")
    figure = plots.loss_curve(log)
    assert figure.axes[0].lines[0].get_xydata().tolist() == [[400, 0.1], [800, 0.05]]
    path = plots.save_figure(figure, tmp_path / "loss.png")
    with Image.open(path) as image:
        assert image.format == "PNG"
        assert min(image.size) > 300


def test_the_ending_of_the_name_decides_the_format(tmp_path: Path) -> None:
    for ending, kind in {".png": "PNG", ".jpg": "JPEG", ".webp": "WEBP"}.items():
        with Image.open(grids.save(grids.grid(torch.rand(1, 3, 64, 64)), tmp_path / f"x{ending}")) as image:
            assert image.format == kind


def test_labelled_rows_show_each_picture_in_its_place_and_leave_the_style_as_it_was() -> None:
    import matplotlib as mpl

    before = dict(mpl.rcParams)
    rows = {"color": torch.rand(3, 3, 4, 4), "gray": torch.rand(2, 1, 4, 4)}
    figure = plots.labeled(rows, ["a", "b", "c"])
    shown = [axes.images[0].get_array() for axes in figure.axes if axes.images]
    expected = [image.permute(1, 2, 0) if len(image) == 3 else image[0] for row in rows.values() for image in row]
    assert len(shown) == 5
    for array, image in zip(shown, expected, strict=True):
        torch.testing.assert_close(torch.tensor(array), image)
    assert [axes.get_ylabel() for axes in figure.axes if axes.get_ylabel()] == ["color", "gray"]
    assert [axes.get_title() for axes in figure.axes if axes.get_title()] == ["a", "b", "c"]
    assert dict(mpl.rcParams) == before
