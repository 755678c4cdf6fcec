"""Flaws: mistakes in the noisy images of training, and none in what they are compared with."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor

from dino.common.errors import DinoError
from dino.images import seeded
from dino.trainer.config import Config
from dino.trainer.custom import CustomTrainer, Parts
from dino.trainer.flaws import BEND, SMUDGE, add_flaws
from dino.trainer.noising import add_noise
from dino.trainer.trainer import Trainer

TINY = Config(
    data="blobs", size=8, widths=(4, 8), depths=(1, 1), n_images=320, batch_size=16, learning_rate=1e-3,
    precision="float32", layout="channels_last", maximum="max_pool",
)  # fmt: skip


@pytest.fixture
def clean() -> Tensor:
    """White images of 64 sizes of a black square, a little larger in height than in width."""
    images = torch.ones(64, 3, 40, 32)
    for k, image in enumerate(images):
        image[:, 10 : 14 + k % 16, 8 : 12 + k % 16] = 0
    return images


def test_no_image_gets_a_flaw_if_the_share_is_0(clean: Tensor) -> None:
    assert torch.allclose(add_flaws(clean, 0.0, generator=seeded("cpu", "flaws")), clean, atol=1e-5)


def test_about_the_share_of_images_gets_each_of_the_three_kinds(clean: Tensor) -> None:
    generator = seeded("cpu", "flaws")
    changed = [
        (add_flaws(clean, 0.3, generator=generator) - clean).abs().flatten(1).max(1).values > 1e-4 for _ in range(20)
    ]
    share = torch.stack(changed).float().mean().item()
    assert share == pytest.approx(1 - 0.7**3, abs=0.06)


def test_flaws_are_small_and_leave_the_images_whole(clean: Tensor) -> None:
    flawed = add_flaws(clean, 1.0, generator=seeded("cpu", "flaws"))
    assert flawed.shape == clean.shape
    assert flawed.dtype == clean.dtype
    error = (flawed - clean).square().mean().sqrt()
    assert 0.01 < error < 0.15
    assert (flawed.mean((1, 2, 3)) - clean.mean((1, 2, 3))).abs().mean() < 0.02  # nothing is moved far, or recolored


@pytest.mark.parametrize("kind", ["BEND", "SMUDGE"])
def test_each_kind_changes_images(clean: Tensor, kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the other kinds, there is still a difference, and without any there is none."""
    monkeypatch.setattr("dino.trainer.flaws._blur", lambda images, _: images)
    for name in ("BEND", "SMUDGE"):
        monkeypatch.setattr(
            f"dino.trainer.flaws.{name}", 0.0 if name != kind else {"BEND": BEND, "SMUDGE": SMUDGE}[name]
        )
    flawed = add_flaws(clean, 1.0, generator=seeded("cpu", "flaws"))
    assert (flawed - clean).abs().mean() > 1e-3
    monkeypatch.setattr(f"dino.trainer.flaws.{kind}", 0.0)
    assert torch.allclose(add_flaws(clean, 1.0, generator=seeded("cpu", "flaws")), clean, atol=1e-5)


def test_the_generator_determines_the_flaws(clean: Tensor) -> None:
    first, second, other = (add_flaws(clean, 0.5, generator=seeded("cpu", name)) for name in ("a", "a", "b"))
    assert torch.equal(first, second)
    assert not torch.equal(first, other)


def test_only_the_noisy_images_have_flaws(clean: Tensor) -> None:
    config = replace(TINY, flaws=0.5)
    before = clean.clone()
    noisy, level = add_noise(clean, config, generator=seeded("cpu", "noise"))
    plain, same_level = add_noise(clean, TINY, generator=seeded("cpu", "noise"))
    assert torch.equal(clean, before)
    assert torch.equal(level, same_level)
    change = (noisy - plain) / (1 - level)  # the noise is equal, so what is left is the change of the image
    assert change.abs().max() > 0.05
    assert change.isfinite().all()


def test_a_run_with_flaws_trains_and_resumes_bit_for_bit(blobs: Tensor, tmp_path: Path) -> None:
    config = replace(TINY, flaws=0.5)
    whole = Trainer(config, images=blobs)
    for _ in whole.steps():
        pass
    again = Trainer(config, images=blobs)
    for _ in again.steps():
        if again.step == 7:
            again.save(tmp_path, 0.1)
            break
    resumed = Trainer(config, images=blobs)
    resumed.load(tmp_path)
    for _ in resumed.steps():
        pass
    assert all(map(torch.equal, whole.ema.parameters(), resumed.ema.parameters()))


@pytest.mark.parametrize("share", [-0.1, 1.5])
def test_a_share_that_is_none_is_refused(share: float) -> None:
    with pytest.raises(DinoError, match="flaws is a share of the images, 0 to 1"):
        replace(TINY, flaws=share)


def test_a_learners_parts_refuse_flaws(blobs: Tensor) -> None:
    with pytest.raises(DinoError, match=r"no flaws, not flaws 0\.5") as refused:
        CustomTrainer(replace(TINY, flaws=0.5), parts=Parts(), images=blobs)
    assert refused.value.settings == {"mine": False, "preset": "quick"}
