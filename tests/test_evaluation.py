"""dino.evaluation and `dino evaluate`: the measures are correct, and rank images whose quality is known."""

import hashlib
import json
import math
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode
from torchvision.transforms.functional import to_pil_image
from typer.testing import CliRunner, Result

from dino import cli, evaluation
from dino.cli.output import in_one_line
from dino.common.errors import DinoError
from dino.common.grids import save_image
from dino.data.loading import load_images
from dino.denoiser import UNet
from dino.evaluation import (
    laplacian_pyramid,
    loss_by_noise_level,
    n_levels_for,
    nearest_neighbors,
    sliced_distance,
    sliced_wasserstein,
)
from dino.images import to_unit
from dino.reports import evaluate, fid, memorization
from dino.reports.evaluate import LEVELS, RealImages, distances, measure
from dino.reports.memorization import closest_pairs, nearest
from dino.sampler import generate
from dino.trainer.batched_sampling import Steps, generate_batched
from dino.trainer.model_file import save_model

FACES = "emoji:faces"
seeds = st.integers(0, 2**31)


def seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.fixture(scope="module")
def faces() -> Tensor:
    """All drawings of faces in random order: uint8, (387, 3, 32, 32)."""
    images = load_images(FACES, 32, cache=False)
    return images[torch.randperm(len(images), generator=seeded(0))]


@pytest.fixture
def few_patches(monkeypatch: pytest.MonkeyPatch) -> None:
    """Measure distances with fewer patches, directions and draws: coarser, and many times as fast."""
    monkeypatch.setattr(evaluate, "N_DRAWS", 12)
    monkeypatch.setattr(evaluation, "N_PATCHES", 16)
    monkeypatch.setattr(evaluation, "N_DIRECTIONS", 32)


# ---- the loss -------------------------------------------------------------------------------------------------------


def test_a_perfect_denoiser_has_loss_0_at_every_level(faces: Tensor, denoiser_of: Any) -> None:
    clean = to_unit(faces[:20])
    losses = loss_by_noise_level(denoiser_of(lambda noisy, level: clean), clean, [0, 0.5, 1])
    assert losses.tolist() == [0, 0, 0]


def test_the_loss_of_always_predicting_gray_is_the_variance_around_gray(faces: Tensor, denoiser_of: Any) -> None:
    clean = to_unit(faces[:300])  # more than one batch
    losses = loss_by_noise_level(denoiser_of(lambda noisy, level: torch.full_like(noisy, 0.5)), clean, LEVELS)
    expected = (clean - 0.5).square().mean().item()
    assert losses.tolist() == pytest.approx([expected] * 10, rel=1e-5)


def test_the_loss_of_returning_the_noisy_image_grows_with_the_square_of_the_level(
    faces: Tensor, denoiser_of: Any
) -> None:
    clean = to_unit(faces[:300])
    at_1, *losses = loss_by_noise_level(denoiser_of(lambda noisy, level: noisy), clean, [1, *LEVELS]).tolist()
    assert losses == pytest.approx([level**2 * at_1 for level in LEVELS], rel=1e-4)
    assert at_1 == pytest.approx(((clean - 0.5).square().mean() + 1 / 12).item(), rel=0.01)  # uniform noise


# ---- the distance ---------------------------------------------------------------------------------------------------


@given(seed=seeds, n_levels=st.integers(1, 4), tall=st.integers(1, 3), wide=st.integers(1, 3))
def test_the_levels_of_a_pyramid_add_up_to_the_image(seed: int, n_levels: int, tall: int, wide: int) -> None:
    shape = (2, 3, tall * 2 ** (n_levels - 1), wide * 2 ** (n_levels - 1))
    images = torch.rand(shape, generator=seeded(seed), dtype=torch.float64)
    *finer, total = laplacian_pyramid(images, n_levels)
    assert len(finer) == n_levels - 1
    for level in reversed(finer):
        total = level + total.repeat_interleave(2, 2).repeat_interleave(2, 3)
        assert torch.allclose(F.avg_pool2d(level, 2), torch.zeros(1, dtype=torch.float64), atol=1e-12)  # details only
    assert torch.allclose(total, images, atol=1e-12)


@pytest.mark.parametrize(("size", "n_levels"), [(8, 1), (16, 1), (24, 1), (32, 2), (64, 3), (96, 3), (66, 2)])
def test_a_pyramid_ends_at_16_pixels_or_where_halving_is_impossible(size: int, n_levels: int) -> None:
    assert n_levels_for(torch.empty(1, 3, size, size)) == n_levels


@given(seed=seeds, n=st.integers(1, 20), dimensions=st.integers(1, 5))
def test_the_sliced_distance_is_a_metric(seed: int, n: int, dimensions: int) -> None:
    random = seeded(seed)
    a, b, c = torch.randn(3, n, dimensions, generator=random, dtype=torch.float64)
    directions = torch.randn(dimensions, 7, generator=random, dtype=torch.float64)
    directions /= directions.norm(dim=0)

    def apart(left: Tensor, right: Tensor) -> float:
        return sliced_distance(left, right, directions).item()

    assert apart(a, a[torch.randperm(n, generator=random)]) == pytest.approx(0, abs=1e-12)
    assert apart(a, b) == pytest.approx(apart(b, a))
    assert apart(a, c) <= apart(a, b) + apart(b, c) + 1e-12
    shift = b[:1]
    assert apart(a, a + shift) == pytest.approx((shift @ directions).abs().mean().item())


def test_the_distance_is_that_of_the_best_pairing() -> None:
    a, b = torch.tensor([[0.0], [1.0], [5.0]]), torch.tensor([[4.0], [0.5], [2.0]])
    assert sliced_distance(a, b, torch.ones(1, 1)).item() == pytest.approx((0.5 + 1 + 1) / 3)


def test_equal_sets_have_distance_0_and_order_does_not_matter(faces: Tensor, few_patches: None) -> None:
    a, b = to_unit(faces[:64]), to_unit(faces[64:128])
    assert sliced_wasserstein(a, a.clone(), generator=seeded(1)) == 0
    assert sliced_wasserstein(a, a.flip(0), generator=seeded(1)) == pytest.approx(0, abs=1e-7)
    apart = sliced_wasserstein(a, b, generator=seeded(1))
    assert apart > 0.01
    assert sliced_wasserstein(a.flip(0), b[torch.randperm(64)], generator=seeded(1)) == pytest.approx(apart, rel=1e-5)
    assert sliced_wasserstein(b, a, generator=seeded(1)) == pytest.approx(apart, rel=1e-5)


def test_sets_of_different_shapes_are_refused(faces: Tensor) -> None:
    images = to_unit(faces[:9])
    for other in (images[:8], images[..., :16, :16], images[:, :1]):
        with pytest.raises(ValueError, match="must be equal in shape"):
            sliced_wasserstein(images, other)


def test_unseen_real_images_are_as_far_from_real_images_as_those_from_each_other(
    faces: Tensor, few_patches: None
) -> None:
    measured = distances(to_unit(faces[:190]), faces[190:])
    for low, high in (measured["generated_interval"], measured["real_interval"]):
        assert low < 1 < high
        assert low <= measured["ratio"] <= high
    assert measured["ratio"] == pytest.approx(1, abs=0.2)
    assert (measured["group"], len(measured["draws"]["real"])) == (64, 12)


def blurred(images: Tensor, much: int) -> Tensor:
    small = F.avg_pool2d(images, 2**much)
    return F.interpolate(small, scale_factor=2**much, mode="bilinear")


def noised(images: Tensor, much: int) -> Tensor:
    return (images + 0.04 * 2**much * torch.randn(images.shape, generator=seeded(0))).clamp(0, 1)


def repeated(images: Tensor, much: int) -> Tensor:
    """Repeat a few of the images."""
    return images[: 64 // 8**much].repeat(len(images), 1, 1, 1)[: len(images)]


def grayed(images: Tensor, much: int) -> Tensor:
    return torch.lerp(images, torch.tensor(0.5), (0, 0.3, 0.6, 1)[much])


@pytest.mark.parametrize("damage", [blurred, noised, repeated, grayed])
def test_more_damage_means_a_larger_distance(
    damage: Callable[[Tensor, int], Tensor], faces: Tensor, few_patches: None
) -> None:
    fresh, real = to_unit(faces[:128]), faces[128:]
    levels = (1, 2) if damage is repeated else (1, 2, 3)
    measured = [distances(fresh, real), *(distances(damage(fresh, much), real) for much in levels)]
    ratios = [each["ratio"] for each in measured]
    assert ratios == sorted(ratios)
    assert ratios[0] < 1.2 < ratios[1], ratios
    assert all(each["generated_interval"][0] > each["real_interval"][1] for each in measured[2:])


def test_half_of_the_images_give_the_same_distance_within_its_interval(faces: Tensor, few_patches: None) -> None:
    generated, real = blurred(to_unit(faces[:190]), 1), faces[190:]
    whole = distances(generated, real)
    low, high = whole["generated_interval"]
    for half in (generated[:95], generated[95:]):
        assert low < distances(half, real)["ratio"] < high


def test_the_same_seed_gives_the_same_numbers_and_another_seed_gives_others(faces: Tensor, few_patches: None) -> None:
    generated, real = to_unit(faces[:64]), faces[64:]
    once, again, other = (distances(generated, real, seed=seed) for seed in (1, 1, 2))
    assert once == again
    assert once["draws"] != other["draws"]


# ---- the neighbors --------------------------------------------------------------------------------------------------


@given(seed=seeds, n=st.integers(1, 12), k=st.integers(1, 3))
def test_the_nearest_neighbors_agree_with_a_brute_force_search(seed: int, n: int, k: int) -> None:
    samples, images = torch.rand(2, n + k, 3, 2, 4, generator=seeded(seed), dtype=torch.float64)
    distances, indices = nearest_neighbors(samples[:n], images, k)
    apart = (samples[:n, None] - images[None]).square().mean(dim=(2, 3, 4)).sqrt()
    expected = apart.sort(dim=1)
    assert torch.allclose(distances, expected.values[:, :k], atol=1e-7)
    assert torch.equal(indices, expected.indices[:, :k])


def test_the_distance_between_white_and_black_is_1() -> None:
    assert nearest_neighbors(torch.ones(1, 3, 4, 5), torch.zeros(2, 3, 4, 5))[0].item() == pytest.approx(1)


@settings(max_examples=30)
@given(seed=seeds, n=st.integers(2, 12), at_once=st.integers(1, 5))
def test_mirrored_images_are_neighbors_too_but_no_image_is_its_own_neighbor(seed: int, n: int, at_once: int) -> None:
    images = torch.randint(256, (n, 3, 4, 4), generator=seeded(seed), dtype=torch.uint8)
    floats = to_unit(images)
    both = torch.cat([floats, floats.flip(-1)])
    apart = (floats[:, None] - both[None]).square().mean(dim=(2, 3, 4)).sqrt()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(memorization, "BATCH", at_once)
        _, found = nearest(floats.flip(-1), images)
        assert found.tolist() == list(range(n, 2 * n))
        distances, indices = nearest(floats, images, exclude_itself=True)
    apart[torch.arange(n), torch.arange(n)] = apart[torch.arange(n), torch.arange(n) + n] = math.inf
    assert torch.allclose(distances, apart.min(dim=1).values, atol=1e-4)
    assert torch.equal(indices, apart.argmin(dim=1))


@pytest.fixture
def parted(faces: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Faces to learn from, held-out faces, and faces that stand in for new images, the last in [0, 1]."""
    return faces[80:], faces[:40], to_unit(faces[40:80])


def nearly(images: Tensor) -> Tensor:
    """Return near copies, as a network might generate them."""
    return (images + 0.03 * torch.randn(images.shape, generator=seeded(3))).clamp(0, 1)


def test_new_images_are_not_called_memorized(parted: tuple[Tensor, Tensor, Tensor]) -> None:
    training, held_out, fresh = parted
    measured = memorization.memorization(fresh, training, held_out)
    assert measured["verdict"].startswith("not memorized")
    assert measured["quotient"] == pytest.approx(1, abs=0.2)


@pytest.mark.parametrize("mirrored", [False, True])
def test_copies_of_training_images_are_called_memorized(mirrored: bool, parted: tuple[Tensor, Tensor, Tensor]) -> None:
    training, held_out, _ = parted
    copies = to_unit(training[:50])
    measured = memorization.memorization(nearly(copies.flip(-1) if mirrored else copies), training, held_out)
    assert measured["verdict"].startswith("memorized: most")
    assert measured["quotient"] < 0.3
    assert measured["copies"] > 0.8


def test_copies_among_new_images_are_noticed_even_though_the_median_image_is_new(
    parted: tuple[Tensor, Tensor, Tensor],
) -> None:
    training, held_out, fresh = parted
    measured = memorization.memorization(torch.cat([fresh, nearly(to_unit(training[:24]))]), training, held_out)
    assert measured["verdict"].startswith("partly memorized")
    assert measured["quotient"] > memorization.MEMORIZED


def test_noise_and_gray_squares_are_not_copies(parted: tuple[Tensor, Tensor, Tensor]) -> None:
    training, held_out, fresh = parted
    for images in (torch.rand(fresh.shape, generator=seeded(0)), torch.full_like(fresh, 0.5)):
        assert memorization.memorization(images, training, held_out)["verdict"].startswith("not memorized")


def test_memorization_is_not_judged_by_held_out_images_that_equal_each_other_or_training_images(
    parted: tuple[Tensor, Tensor, Tensor],
) -> None:
    training, held_out, fresh = parted
    twins = held_out[:1].repeat(60, 1, 1, 1)
    for samples, verdict in (fresh, "not memorized"), (nearly(to_unit(training[:40])), "memorized: most"):
        measured = memorization.memorization(samples, training, torch.cat([held_out, twins]))
        assert measured["verdict"].startswith(verdict)
    for few, reason in (
        (torch.cat([held_out[:3], held_out[:1], twins]), "2 of the 64 held-out images differ from all others"),
        (training[:20], "most of the held-out images are equal to training images"),
        (held_out[:3], "3 images are held out, and at least 4 are needed"),
        (held_out[:0], "0 images are held out"),
    ):
        measured = memorization.memorization(fresh, training, few)
        assert measured.pop("verdict").startswith(f"can't tell whether the images are memorized: {reason}")
        assert set(measured.values()) == {None}


def test_the_closest_pairs_come_first_and_partners_are_mirrored_where_that_is_closer(faces: Tensor) -> None:
    samples = to_unit(faces[:20]).clone()
    samples[7] = to_unit(faces[100]).flip(-1)
    samples[3] = (to_unit(faces[101]) + 0.02).clamp(0, 1)
    pairs = closest_pairs(samples, faces[90:])
    assert pairs.shape == (32, 3, 32, 32)  # two rows of eight, and below each a row of eight
    assert torch.equal(pairs[0], samples[7])
    assert torch.equal(pairs[8], samples[7])
    assert torch.equal(pairs[1], samples[3])
    assert torch.equal(pairs[9], to_unit(faces[101]))
    upper, lower = pairs.unflatten(0, (2, 2, 8)).transpose(0, 1).flatten(1, 2)
    apart = (upper - lower).square().mean(dim=(1, 2, 3))
    assert apart.tolist() == sorted(apart.tolist())
    assert closest_pairs(samples[:5], faces).shape[0] == 10


# ---- batched sampling -----------------------------------------------------------------------------------------------


def test_batched_sampling_equals_generating_batch_by_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    model = UNet(1, (4, 4), (1, 1)).eval()
    random = seeded(7)
    options = {"image_shape": (1, 8, 8), "n_steps": 3, "step_size": 1.5}
    parts = [generate(model, n, generator=random, **options) for n in (64, 64, 5)]
    way: list[Any] = []
    steps = Steps.of(3, "even", 1.5)
    drawn = generate_batched(model, 133, image_shape=(1, 8, 8), steps=steps, seed=7, path=way)
    assert torch.equal(drawn, torch.cat(parts))
    assert [step.noise_level.item() for step in way] == pytest.approx([1, 2 / 3, 1 / 3, 0])
    assert torch.equal(way[0].noisy, torch.rand(64, 1, 8, 8, generator=seeded(7))[:16])
    assert torch.equal(way[-1].noisy.clamp(0, 1), drawn[:16])


# ---- the command ----------------------------------------------------------------------------------------------------

SMALL = "emoji:faces,noto"  # 130 images
CONFIG = {"channels": 3, "widths": [4, 4], "depths": [1, 1], "size": 16}


def saved(folder: Path, metadata: dict[str, Any] | None = None, **config: Any) -> Path:
    """Save an untrained tiny network. Returns the path of its weights file."""
    settings = CONFIG | {"data": SMALL} | config
    torch.manual_seed(0)
    model = UNet(settings["channels"], tuple(settings["widths"]), tuple(settings["depths"]))
    save_model(folder / "tiny.safetensors", model, {"config": settings} | (metadata or {}))
    return folder / "tiny.safetensors"


def command(*arguments: str | Path) -> Result:
    return CliRunner().invoke(cli.app, ["evaluate", *map(str, arguments), "--device", "cpu", "--steps", "2"])


def refused(*arguments: str | Path) -> str:
    """Return the one-line error message of the command."""
    done = command(*arguments)
    assert isinstance(done.exception, DinoError), done.output
    message = in_one_line(done.exception)
    assert len(message.splitlines()) == len(str(done.exception).splitlines()) == 1
    return message


def test_the_command_prints_the_report_and_writes_numbers_page_plot_and_pairs(
    tmp_path: Path, few_patches: None
) -> None:
    done = command(saved(tmp_path))
    assert done.exit_code == 0, done.output
    report = json.loads((tmp_path / "evaluation.json").read_text())
    assert report["images"] == {"training": 115, "held_out": 15, "generated": 130}
    assert report["loss"]["levels"] == pytest.approx([0.05 + 0.1 * k for k in range(10)])
    assert len(report["loss"]["training"]) == len(report["loss"]["held_out"]) == 10
    assert report["distance"]["ratio"] > 2  # it is untrained
    assert report["distance"]["group"] == 64
    assert report["memorization"]["verdict"].startswith("not memorized")
    page = (tmp_path / "evaluation.md").read_text()
    for printed in (done.output, page):
        assert evaluate.markdown(report) in printed
        assert report["memorization"]["verdict"] in printed
        assert "can't be compared across data sets" in printed
    assert Image.open(tmp_path / "evaluation.png").size[0] > 500
    assert Image.open(tmp_path / "evaluation-nearest.png").size == (8 * 66 + 2, 4 * 66 + 2)


def test_json_names_the_files_and_the_numbers_are_reproducible(tmp_path: Path, few_patches: None) -> None:
    weights, reports = saved(tmp_path), []
    for name in ("a", "b"):
        command(weights, "-n", "64", "--json", tmp_path / name / "new.json")
        reports.append(json.loads((tmp_path / name / "new.json").read_text()))
        assert {path.name for path in (tmp_path / name).iterdir()} == {
            "new.json", "new.md", "new.png", "new-nearest.png",
        }  # fmt: skip
    for report in reports:
        del report["command"], report["date"]
    assert reports[0] == reports[1]
    assert not (tmp_path / "evaluation.json").exists()


def test_gray_images_can_be_evaluated(tmp_path: Path, few_patches: None) -> None:
    assert command(saved(tmp_path, channels=1), "-n", "64").exit_code == 0


def test_a_network_that_generates_its_training_images_is_called_memorized(
    tmp_path: Path, few_patches: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    copies = nearly(to_unit(load_images(SMALL, 16, part="training")))
    monkeypatch.setattr(evaluate, "generate_as_saved", lambda model, metadata, n, **options: copies[:n])
    done = command(saved(tmp_path), "-n", "100")
    assert "verdict   memorized" in done.output


def test_there_is_no_verdict_on_memorization_where_it_can_not_be_known(
    tmp_path: Path, few_patches: None, image_folder: Path
) -> None:
    training = load_images(SMALL, 16, part="training")
    right = hashlib.sha256(training.numpy().tobytes()).hexdigest()[:12]
    output = command(saved(tmp_path, {"fingerprint": right}), "-n", "64").output
    assert "verdict   not memorized" in output
    output = command(saved(tmp_path, {"fingerprint": "0" * 12}), "-n", "64").output
    assert "verdict   can't tell" in output
    assert "trained on other images" in output
    for path in sorted(image_folder.iterdir())[8:]:
        path.unlink()
    output = command(saved(tmp_path, data=str(image_folder)), "-n", "8").output
    assert "verdict   can't tell" in output
    assert "at least 4 are needed" in output


@pytest.mark.parametrize("image", [torch.rand(3, 16, 16, generator=seeded(0)), torch.zeros(3, 16, 16)])
def test_the_distance_to_equal_images_is_unknown_and_the_report_says_so(
    image: Tensor, tmp_path: Path, few_patches: None
) -> None:
    for k in range(8):
        save_image(to_pil_image(image), tmp_path / "equal" / f"{k}.png")
    done = command(saved(tmp_path, data=str(tmp_path / "equal")))
    assert done.exit_code == 0, done.output
    report = json.loads((tmp_path / "evaluation.json").read_text(), parse_constant=pytest.fail)
    assert "distance  unknown, because the real images are equal to each other" in done.output
    assert "at each noise level; unknown on held-out images, because no image is held out" in done.output
    assert done.output.count("|  unknown |") == len(LEVELS) + 1
    assert (report["distance"]["ratio"], report["distance"]["draws"], report["loss"]["held_out"]) == (None, None, None)
    assert set(report["unknown"]) == {"loss.held_out", "distance", "memorization"}
    assert " nan" not in done.output


def test_losses_too_large_for_a_number_are_unknown(faces: Tensor, few_patches: None, denoiser_of: Any) -> None:
    huge = nn.Sequential(denoiser_of(lambda noisy, level: noisy + 1e30), nn.Linear(1, 1))
    huge.forward = lambda noisy, level: huge[0](noisy, level)  # type: ignore[method-assign]
    report, _ = measure(huge, {}, RealImages(FACES, faces[:70], faces[70:80]), n=40, steps=Steps.of(2, "even", 1.0))
    assert report["loss"]["training"] == [None] * len(LEVELS)
    assert evaluate.rows(report)[-1] == ("mean", "unknown", "unknown")
    assert (
        "unknown on training images, because the network's predictions are too far off"
        in (evaluate.facts(report)["loss"])
    )
    json.dumps(report, allow_nan=False)
    with warnings.catch_warnings(action="error"):
        evaluate.plot(report).canvas.draw()


@pytest.mark.parametrize("option", ["--guidance", "--step-size"])
@pytest.mark.parametrize("value", ["nan", "inf"])
def test_a_setting_that_would_make_every_image_nan_is_refused(option: str, value: str, tmp_path: Path) -> None:
    done = command(saved(tmp_path), option, value)
    assert done.exit_code == 2
    assert f"Invalid value for '{option}'" in done.output


def test_weights_saved_by_hand_do_not_claim_to_have_seen_no_images(tmp_path: Path, few_patches: None) -> None:
    assert "trained on an unknown number of images" in command(saved(tmp_path), "-n", "64").output


def test_what_can_not_be_evaluated_is_refused_in_one_line(tmp_path: Path, image_folder: Path) -> None:
    weights = saved(tmp_path)
    (tmp_path / "none").mkdir()
    assert "there are no images" in refused(weights, "--data", tmp_path / "none")
    assert "ends in .json" in refused(weights, "--json", "table.md")
    assert "Try -n 64" in refused(weights, "-n", "63")
    assert "there is no file" in refused(tmp_path / "nowhere.safetensors")
    for path in sorted(image_folder.iterdir())[7:]:
        path.unlink()
    assert f"needs at least 8 images, and {image_folder} has 7" in refused(weights, "--data", image_folder)
    assert "in patches of 7 pixels, and these are 4 pixels a side" in refused(saved(tmp_path, size=4))
    by_hand = tmp_path / "by-hand.safetensors"
    save_model(by_hand, UNet(3, (4, 4), (1, 1)), {"config": CONFIG})
    assert "Name some with --data" in refused(by_hand)


def test_a_network_whose_training_failed_is_refused(faces: Tensor, denoiser_of: Any) -> None:
    broken = nn.Sequential(denoiser_of(lambda noisy, level: noisy * math.nan), nn.Linear(1, 1))
    broken.forward = lambda noisy, level: broken[0](noisy, level)  # type: ignore[method-assign]
    with pytest.raises(DinoError, match="not finite"):
        measure(broken, {}, RealImages(FACES, faces[:70], faces[70:80]), n=40, steps=Steps.of(2))


def test_the_work_done_is_no_more_than_necessary(faces: Tensor, few_patches: None) -> None:
    model, real = UNet(3, (4, 8), (1, 1)).eval(), RealImages(FACES, faces[:300], faces[300:])
    with FlopCounterMode(display=False) as one:
        model(torch.rand(1, 3, 32, 32), torch.rand(1, 1, 1, 1))
    with FlopCounterMode(display=False) as all_of_it:
        measure(model, {}, real, n=70, steps=Steps.of(3))
    convolution = torch.ops.aten.convolution
    predictions = 70 * 3 + 10 * (256 + 87)  # sampling; ten levels of at most 256 images of each part
    counts = all_of_it.get_flop_counts()["Global"]
    assert counts[convolution] == predictions * one.get_flop_counts()["Global"][convolution]
    patches = 64 * evaluation.N_PATCHES * 3 * 7 * 7
    compared = evaluate.N_DRAWS * 2 * 2 * 2 * 2 * patches * evaluation.N_DIRECTIONS  # draws, pairs, sets, levels, FLOP
    assert counts[torch.ops.aten.mm] == compared
    assert all_of_it.get_total_flops() == counts[convolution] + compared


# ---- FID and KID ----------------------------------------------------------------------------------------------------


def test_fid_without_its_library_or_weights_is_refused_in_one_line_before_the_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(evaluate, "generate_as_saved", lambda *_, **__: pytest.fail("the work has begun"))
    monkeypatch.setitem(sys.modules, "torchmetrics", None)
    assert "uv pip install torchmetrics torch-fidelity" in refused(saved(tmp_path), "--fid")

    def no_network(**options: Any) -> None:
        raise OSError("no network")

    stand_in(monkeypatch, no_network, no_network)
    assert "Leave out --fid" in refused(saved(tmp_path), "--fid")


def stand_in(monkeypatch: pytest.MonkeyPatch, fid: Any, kid: Any) -> None:
    """Install a fake torchmetrics with the two classes that dino uses."""
    for name, content in {
        "torchmetrics": {},
        "torchmetrics.image": {},
        "torchmetrics.image.fid": {"FrechetInceptionDistance": fid},
        "torchmetrics.image.kid": {"KernelInceptionDistance": kid},
    }.items():
        module = ModuleType(name)
        vars(module).update(content)
        monkeypatch.setitem(sys.modules, name, module)


def test_fid_and_kid_see_every_image_once_and_in_color(faces: Tensor, monkeypatch: pytest.MonkeyPatch) -> None:
    shown: dict[bool, list[Tensor]] = {True: [], False: []}

    def metric(answer: Any) -> Callable[..., Any]:
        def made(*, normalize: bool) -> Any:
            assert normalize  # floats in [0, 1]
            update = lambda images, real: shown[real].append(images)  # noqa: E731
            each = SimpleNamespace(device=torch.device("cpu"), update=update, compute=lambda: answer)
            each.to = lambda device: each
            return each

        return made

    stand_in(monkeypatch, metric(torch.tensor(9.0)), metric((torch.tensor(0.5), torch.tensor(0.1))))
    metrics = fid.metrics(torch.device("cpu"))
    gray = faces[:100, :1]
    measured = fid.distances(metrics, to_unit(gray[:70]), gray)
    assert measured == pytest.approx({"fid": 9, "kid": 0.5, "kid_std": 0.1})
    assert metrics[1].subset_size == 50
    few = fid.distances(fid.metrics(torch.device("cpu")), to_unit(gray[:20]), gray[:20])
    assert few == pytest.approx({"fid": 9, "kid": 0.5, "kid_std": None})  # all subsets are the same
    for values in shown.values():
        del values[-2:]
    for real, expected in ((True, gray), (False, gray[:70])):
        seen = torch.cat(shown[real][::2])  # in turns for FID and for KID
        assert torch.equal(seen, to_unit(expected).expand(-1, 3, -1, -1))
