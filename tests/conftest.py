"""Fixtures for all tests: a separate cache, and small images to train on."""

import os
import signal
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import settings
from torch import Tensor, nn

from dino.trainer import trial
from dino.trainer.trial import Method

from .browsing import chromium

for name in ("UV", "UV_RUN_RECURSION_DEPTH"):  # `uv run pytest` sets them, and the messages of dino depend on them
    os.environ.pop(name, None)
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # as under nohup; tests press Ctrl-C in the processes they start
    signal.signal(signal.SIGINT, signal.default_int_handler)
TIME_LIMIT = 900  # seconds for a test; only a hang takes that long, even on a slow machine
# The tests are for the CPU, and GitHub's Macs have a GPU without memory. torch.compile looks inside a cached function.
torch.backends.mps.is_available = cache(lambda: False)
settings.register_profile("dino", deadline=None)  # the first call into torch takes much longer than the next ones
settings.load_profile("dino")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Limit the time of tests. Not in pyproject.toml: learners' pytest reads it, and has no plug-in pytest-timeout."""
    for item in items:
        if item.get_closest_marker("timeout") is None:
            item.add_marker(pytest.mark.timeout(TIME_LIMIT))


@pytest.fixture(autouse=True)
def own_cache(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Keep tests from reading or writing the user's cache."""
    monkeypatch.setenv("DINO_CACHE", str(tmp_path_factory.mktemp("cache")))


@pytest.fixture(autouse=True)
def no_trials(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make trials choose the usual method at once, because what is fastest can change between two runs of a test."""
    monkeypatch.setattr(trial, "measure", _measured)


def _measured(_config: object, _network: nn.Module, methods: list[Method], _seconds: float = 0) -> dict[Method, float]:
    return {method: 1.0 + k for k, method in enumerate(methods)}


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """A running Chromium."""
    with chromium() as started:
        yield started


@pytest.fixture
def generator() -> torch.Generator:
    return torch.Generator().manual_seed(0)


@pytest.fixture
def blobs() -> Tensor:
    """Forty 8 x 8 images of one colored square each: uint8, (40, 3, 8, 8)."""
    random = torch.Generator().manual_seed(1)
    images = torch.full((40, 3, 8, 8), 255, dtype=torch.uint8)
    for image in images:
        top, left = torch.randint(0, 5, (2,), generator=random).tolist()
        image[:, top : top + 3, left : left + 3] = torch.randint(0, 200, (3, 1, 1), generator=random, dtype=torch.uint8)
    return images


@pytest.fixture
def image_folder(tmp_path: Path, blobs: Tensor) -> Path:
    from PIL import Image

    folder = tmp_path / "pictures"
    folder.mkdir()
    for index, image in enumerate(blobs):
        Image.fromarray(image.permute(1, 2, 0).numpy()).save(folder / f"{index:02d}.png")
    return folder


class FromFunction(nn.Module):
    """A denoiser that is any function of (noisy, noise_level)."""

    def __init__(self, function: Callable[[Tensor, Tensor], Tensor]) -> None:
        super().__init__()
        self.function = function

    def forward(self, noisy: Tensor, noise_level: Tensor) -> Tensor:
        return self.function(noisy, noise_level)


@pytest.fixture
def denoiser_of() -> type[FromFunction]:
    return FromFunction
