"""How fast the sampler's error falls with more steps, where the perfect answer is known; the scripts of its guide."""

import importlib.util
import json
import math
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from types import ModuleType
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


def script(name: str) -> ModuleType:
    path = Path(__file__).parents[1] / "docs" / "benchmarks" / f"{name}.py"
    spec = importlib.util.spec_from_file_location(f"benchmark_{name}", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def order() -> ModuleType:
    return script("order")


@pytest.fixture
def sampling(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The script with few steps, and with a coarse distance."""
    module = script("sampling")
    few = {"STEPS": (1, 3), "USUAL": (3, 2.0), "MANY": (4, 1.5), "STEPS_PARTWAY": (2, 4), "MANY_PARTWAY": 8}
    for name, value in few.items():
        monkeypatch.setattr(module, name, value)
    monkeypatch.setattr(evaluate, "N_DRAWS", 3)
    monkeypatch.setattr(evaluation, "N_PATCHES", 4)
    monkeypatch.setattr(evaluation, "N_DIRECTIONS", 8)
    return module


def slope(error: Callable[[int], float], n: int) -> float:
    """By which power of 2 an error shrinks when the steps are doubled from n."""
    return math.log2(abs(error(n) / error(2 * n)))


# ---- the orders -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("spread", [0.1, 0.25])
def test_twice_the_steps_halve_the_error_of_step_sizes_1_and_2_and_nearly_quarter_that_of_1_5(
    order: ModuleType, spread: float
) -> None:
    halved, nearly_quartered, halved_too = (
        slope(lambda n, size=size: order.contrast_error(n, size, spread), 512) for size in (1.0, 1.5, 2.0)
    )
    assert halved == pytest.approx(1, abs=0.01)
    assert halved_too == pytest.approx(1, abs=0.05)
    assert 1.8 < nearly_quartered < 2


def test_step_size_1_leaves_too_little_contrast_and_2_as_much_too_much(order: ModuleType) -> None:
    flat, harsh = (order.contrast_error(1024, size) for size in (1.0, 2.0))
    assert flat < 0 < harsh
    assert harsh == pytest.approx(-flat, rel=0.02)
    assert abs(order.contrast_error(1024, 1.5)) < harsh / 400


@pytest.mark.parametrize(("step_size", "expected"), [(1.0, 1), (1.25, 1), (1.5, 2), (2.0, 1)])
def test_before_level_0_comes_near_only_1_5_is_of_second_order(
    order: ModuleType, step_size: float, expected: int
) -> None:
    end = 0.1
    spread = math.hypot((1 - end) * order.SPREAD, end * order.NOISE_SPREAD)
    one_above_the_mean = (1 - end) * order.MEAN + end * order.NOISE_MEAN + spread

    def error(n: int) -> float:
        noisy = torch.full((1, 1, 1, 1), order.NOISE_MEAN + order.NOISE_SPREAD, dtype=torch.float64)
        levels = torch.linspace(1, end, n + 1, dtype=torch.float64)
        *_, last = denoise(order.PerfectDenoiser(), noisy, levels, step_size)
        return last.noisy.item() - one_above_the_mean

    assert slope(error, 512) == pytest.approx(expected, abs=0.02)


def test_the_orders_hold_where_the_answers_bend_and_choose(order: ModuleType, denoiser_of: Any) -> None:
    """Pictures of two kinds, dark and bright: near the middle a pixel's answer turns from one kind to the other."""

    def answer(noisy: Tensor, level: Tensor) -> Tensor:
        means = torch.tensor([0.2, 0.8], dtype=noisy.dtype)
        variance = ((1 - level) * 0.1) ** 2 + (level * order.NOISE_SPREAD) ** 2
        differs = noisy.unsqueeze(-1) - (1 - level) * means - level * order.NOISE_MEAN
        which = torch.softmax(-differs.square() / (2 * variance), dim=-1)
        return (which * (means + (1 - level) * 0.1**2 / variance * differs)).sum(-1)

    def end(n: int, step_size: float) -> Tensor:
        noisy = torch.linspace(0.3, 0.7, 6, dtype=torch.float64).view(6, 1, 1, 1)
        *_, last = denoise(denoiser_of(answer), noisy, noise_schedule(n), step_size)
        return last.noisy

    settled = end(4096, 1.5)
    for step_size, least, most in [(1.0, 0.9, 1.1), (1.5, 1.7, 2.1), (2.0, 0.9, 1.1)]:
        assert least < slope(lambda n, size=step_size: (end(n, size) - settled).norm().item(), 256) < most


# ---- the scripts ----------------------------------------------------------------------------------------------------


def test_the_script_on_orders_writes_numbers_page_and_plot(
    order: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    order.main(tmp_path / "order.json")
    assert {path.name for path in tmp_path.iterdir()} == {"order.json", "order.md", "order.png"}
    lines = json.loads((tmp_path / "order.json").read_text())["lines"]
    assert [round(line["order"]) for line in lines] == [1, 2, 1]
    assert "| order |        1.00 |          1.89 |        1.05 |" in (tmp_path / "order.md").read_text()


def untrained(folder: Path, source: Path) -> Path:
    """A weights file of a tiny network, for the pictures of a folder."""
    torch.manual_seed(0)
    config = Config(data=str(source), size=8, widths=(4, 4), depths=(1, 1))
    save_model(folder / "tiny.safetensors", UNet(3, (4, 4), (1, 1)), {"config": asdict(config)})
    return folder / "tiny.safetensors"


def test_the_script_on_sampling_measures_every_recipe(
    sampling: ModuleType, tmp_path: Path, picture_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out" / "sampling.json"
    out.parent.mkdir()
    sampling.main(untrained(tmp_path, picture_folder), n=20, seeds=2, out=out, device="cpu")
    assert {path.suffix for path in out.parent.iterdir()} == {".json", ".md", ".png"}
    Image.open(out.with_name("sampling-pictures.png")).verify()
    report = json.loads(out.read_text())
    lines = {(line["steps"], line["step_size"]): line for line in report["lines"]}
    assert list(lines) == [(1, 1.0), (1, 1.5), (1, 2.0), (3, 1.0), (3, 1.5), (3, 2.0), (4, 1.5)]
    assert lines[1, 1.0] | {"step_size": 2.0} == lines[1, 2.0]  # there is nothing to lean on yet
    assert lines[4, 1.5]["from_many"] == 0 < lines[3, 1.5]["from_many"] < lines[1, 1.5]["from_many"]
    assert lines[3, 2.0]["nearer"] == 0
    assert all(low <= middle <= high for low, middle, high in (line["distance"] for line in report["lines"]))
    assert [line["step_size"] for line in report["on_the_way"]] == [1, 1.5, 2]
    assert all(few > more > 0 for few, more in (line["errors"] for line in report["on_the_way"]))
    assert out.with_suffix(".md").read_text().count("\n| ") == 9


def test_its_distances_are_those_of_dino_evaluate(sampling: ModuleType, blobs: Tensor) -> None:
    drawn = {(3, 2.0): torch.rand(30, 3, 8, 8), sampling.MANY: torch.rand(30, 3, 8, 8).square()}
    apart = sampling.distances(drawn, blobs, 20, 7)
    for recipe, images in drawn.items():
        expected = evaluate.distances(images, blobs, 20, 7)
        assert apart[recipe] == pytest.approx(expected["draws"]["generated"])
        assert apart["real"] == pytest.approx(expected["draws"]["real"])
        low, middle, high = sampling.interval([apart], recipe)
        assert [low, high] == pytest.approx(expected["generated_interval"])
        assert middle == pytest.approx(expected["ratio"])


def test_too_few_pictures_are_refused(sampling: ModuleType, tmp_path: Path, picture_folder: Path) -> None:
    with pytest.raises(DinoError, match="-n 20"):
        sampling.main(untrained(tmp_path, picture_folder), n=19, out=tmp_path / "out.json", device="cpu")
