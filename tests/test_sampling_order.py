"""The order of the sampler, where the exact result is known, and the benchmark scripts of its guide."""

import json
import math
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image
from torch import Tensor

from dino import evaluation
from dino.common.errors import DinoError
from dino.denoiser import UNet
from dino.reports import evaluate
from dino.sampler import denoise, noise_schedule
from dino.trainer.config import Config
from dino.trainer.model_file import save_model
from scripts.benchmarks import order, sampling


@pytest.fixture
def few_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    """Run the script on sampling with few steps and a coarse distance."""
    few = {"STEPS": (1, 3), "USUAL": (3, 2.0), "MANY": (4, 1.5), "STEPS_PARTWAY": (2, 4), "MANY_PARTWAY": 8}
    for name, value in few.items():
        monkeypatch.setattr(sampling, name, value)
    monkeypatch.setattr(evaluate, "N_DRAWS", 3)
    monkeypatch.setattr(evaluation, "N_PATCHES", 4)
    monkeypatch.setattr(evaluation, "N_DIRECTIONS", 8)


def order_at(error: Callable[[int], float], n: int) -> float:
    """Return the power of 2 by which an error shrinks when the number of steps doubles from n."""
    return math.log2(abs(error(n) / error(2 * n)))


# ---- the orders -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("std", [0.1, 0.25])
def test_twice_the_steps_halve_the_error_of_step_sizes_1_and_2_and_nearly_quarter_that_of_1_5(std: float) -> None:
    halved, nearly_quartered, halved_too = (
        order_at(lambda n, size=size: order.contrast_error(n, size, std), 512) for size in (1.0, 1.5, 2.0)
    )
    assert halved == pytest.approx(1, abs=0.01)
    assert halved_too == pytest.approx(1, abs=0.05)
    assert 1.8 < nearly_quartered < 2


def test_step_size_1_gives_too_little_contrast_and_2_equally_too_much() -> None:
    flat, harsh = (order.contrast_error(1024, size) for size in (1.0, 2.0))
    assert flat < 0 < harsh
    assert harsh == pytest.approx(-flat, rel=0.02)
    assert abs(order.contrast_error(1024, 1.5)) < harsh / 400


@pytest.mark.parametrize(("step_size", "expected"), [(1.0, 1), (1.25, 1), (1.5, 2), (2.0, 1)])
def test_on_a_schedule_that_ends_above_level_0_only_1_5_is_of_second_order(step_size: float, expected: int) -> None:
    end = 0.1
    std = math.hypot((1 - end) * order.STD, end * order.NOISE_STD)
    one_std_above_the_mean = (1 - end) * order.MEAN + end * order.NOISE_MEAN + std

    def error(n: int) -> float:
        noisy = torch.full((1, 1, 1, 1), order.NOISE_MEAN + order.NOISE_STD, dtype=torch.float64)
        levels = torch.linspace(1, end, n + 1, dtype=torch.float64)
        *_, last = denoise(order.PerfectDenoiser(), noisy, levels, step_size)
        return last.noisy.item() - one_std_above_the_mean

    assert order_at(error, 512) == pytest.approx(expected, abs=0.02)


def test_the_orders_hold_for_predictions_that_are_not_linear(denoiser_of: Any) -> None:
    """Images are dark or bright. Near the middle a pixel's prediction turns from one kind to the other."""

    def prediction(noisy: Tensor, level: Tensor) -> Tensor:
        means = torch.tensor([0.2, 0.8], dtype=noisy.dtype)
        variance = ((1 - level) * 0.1) ** 2 + (level * order.NOISE_STD) ** 2
        differs = noisy.unsqueeze(-1) - (1 - level) * means - level * order.NOISE_MEAN
        which = torch.softmax(-differs.square() / (2 * variance), dim=-1)
        return (which * (means + (1 - level) * 0.1**2 / variance * differs)).sum(-1)

    def end(n: int, step_size: float) -> Tensor:
        noisy = torch.linspace(0.3, 0.7, 6, dtype=torch.float64).view(6, 1, 1, 1)
        *_, last = denoise(denoiser_of(prediction), noisy, noise_schedule(n), step_size)
        return last.noisy

    converged = end(4096, 1.5)
    for step_size, least, most in [(1.0, 0.9, 1.1), (1.5, 1.7, 2.1), (2.0, 0.9, 1.1)]:
        assert least < order_at(lambda n, size=step_size: (end(n, size) - converged).norm().item(), 256) < most


# ---- the scripts ----------------------------------------------------------------------------------------------------


def test_the_script_order_writes_numbers_page_and_plot(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    order.main(tmp_path / "order.json")
    assert {path.name for path in tmp_path.iterdir()} == {"order.json", "order.md", "order.png"}
    curves = json.loads((tmp_path / "order.json").read_text())["curves"]
    assert [round(curve["order"]) for curve in curves] == [1, 2, 1]
    assert "| order |        1.00 |          1.89 |        1.05 |" in (tmp_path / "order.md").read_text()


def untrained(folder: Path, source: Path) -> Path:
    """Save an untrained tiny network for the images of a folder. Returns the path of its weights file."""
    torch.manual_seed(0)
    config = Config(data=str(source), size=8, widths=(4, 4), depths=(1, 1))
    save_model(folder / "tiny.safetensors", UNet(3, (4, 4), (1, 1)), {"config": asdict(config)})
    return folder / "tiny.safetensors"


def test_the_script_sampling_measures_every_recipe(
    few_steps: None, tmp_path: Path, image_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out" / "sampling.json"
    out.parent.mkdir()
    sampling.main(untrained(tmp_path, image_folder), n=20, seeds=2, out=out, device="cpu")
    assert {path.suffix for path in out.parent.iterdir()} == {".json", ".md", ".png"}
    Image.open(out.with_name("sampling-pictures.png")).verify()
    report = json.loads(out.read_text())
    recipes = {(each["steps"], each["step_size"]): each for each in report["recipes"]}
    assert list(recipes) == [(1, 1.0), (1, 1.5), (1, 2.0), (3, 1.0), (3, 1.5), (3, 2.0), (4, 1.5)]
    assert recipes[1, 1.0] | {"step_size": 2.0} == recipes[1, 2.0]  # one step has nothing to extrapolate from
    assert recipes[4, 1.5]["from_many"] == 0 < recipes[3, 1.5]["from_many"] < recipes[1, 1.5]["from_many"]
    assert recipes[3, 2.0]["nearer"] == 0
    assert all(low <= middle <= high for low, middle, high in (each["distance"] for each in report["recipes"]))
    assert [curve["step_size"] for curve in report["partway"]] == [1, 1.5, 2]
    assert all(few > more > 0 for few, more in (curve["errors"] for curve in report["partway"]))
    assert out.with_suffix(".md").read_text().count("\n| ") == 9


def test_its_distances_are_those_of_dino_evaluate(few_steps: None, blobs: Tensor) -> None:
    drawn = {(3, 2.0): torch.rand(30, 3, 8, 8), sampling.MANY: torch.rand(30, 3, 8, 8).square()}
    measured = sampling.distances(drawn, blobs, 20, 7)
    for recipe, images in drawn.items():
        expected = evaluate.distances(images, blobs, 20, 7)
        assert measured[recipe] == pytest.approx(expected["draws"]["generated"])
        assert measured["real"] == pytest.approx(expected["draws"]["real"])
        low, middle, high = sampling.interval([measured], recipe)
        assert [low, high] == pytest.approx(expected["generated_interval"])
        assert middle == pytest.approx(expected["ratio"])


def test_too_few_images_are_refused(few_steps: None, tmp_path: Path, image_folder: Path) -> None:
    with pytest.raises(DinoError, match="groups of 20 images") as error:
        sampling.main(untrained(tmp_path, image_folder), n=19, out=tmp_path / "out.json", device="cpu")
    assert error.value.settings == {"n": 20}
