"""Plots: the loss curve, and labeled rows of images."""

import warnings
from pathlib import Path

import pytest
import torch
from PIL import Image

from dino.common import plots


def test_the_loss_curve_shows_every_row_of_the_log(tmp_path: Path) -> None:
    log = tmp_path / "log.csv"
    log.write_text("step,images,loss,images_per_second\n25,400,0.1,5\n50,800,0.05,5\n")
    figure = plots.loss_curve(log)
    assert figure.axes[0].lines[0].get_xydata().tolist() == [[400, 0.1], [800, 0.05]]
    path = plots.save_figure(figure, tmp_path / "loss.png")
    with Image.open(path) as image:
        assert image.format == "PNG"
        assert min(image.size) > 300


@pytest.mark.parametrize("losses", [[], [""], ["nan", "inf"], ["0.00000000", "0.00000000"], ["0.1", "", "0.2"]])
def test_the_loss_curve_of_any_log_is_drawn_without_a_warning_and_says_if_no_loss_is_known(
    losses: list[str], tmp_path: Path
) -> None:
    log = tmp_path / "log.csv"
    rows = [f"{k},{k},{loss},5" for k, loss in enumerate(losses, start=1)]
    log.write_text("\n".join(["step,images,loss,images_per_second", *rows, ""]))
    figure = plots.loss_curve(log)
    with warnings.catch_warnings(action="error"):
        figure.canvas.draw()
    is_known = any(loss.startswith("0.") for loss in losses)
    assert [text.get_text() for text in figure.axes[0].texts] == ([] if is_known else ["no loss is known yet"])


def test_labeled_rows_show_each_image_in_its_place_and_do_not_change_the_global_style() -> None:
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
