"""Steering: asking, keeping and varying, with denoisers whose answers are known."""

import pytest
import torch
from torch import Tensor, nn

from dino.denoiser import UNet
from dino.sampler import generate
from dino.steering import ConditionalDenoiser, asking, drop_conditions, flip_averaged, guide, hide_words, keeping, vary
from tests.conftest import FromFunction

N_WORDS = 4


class Painter(nn.Module):
    """A conditional denoiser that knows two words: 'bright' paints 0.8, and no words paint 0.4."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: list[Tensor | None] = []

    def forward(self, noisy: Tensor, noise_level: Tensor, condition: Tensor | None = None) -> Tensor:
        self.calls.append(condition)
        bright = 0 if condition is None else condition[:, :1, None, None]
        return (0.4 + 0.4 * bright + 0 * noise_level) * torch.ones_like(noisy)


def small(n_words: int = N_WORDS) -> ConditionalDenoiser:
    torch.manual_seed(0)
    return ConditionalDenoiser(UNet(3 + n_words, (8, 8), (1, 1)), n_words)


def test_words_are_channels_beside_the_noisy_image() -> None:
    seen = []

    def network(x: Tensor, noise_level: Tensor) -> Tensor:
        seen.append((x, noise_level))
        return x

    model = ConditionalDenoiser(FromFunction(network), N_WORDS)
    noisy, level = torch.rand(2, 3, 5, 7), torch.rand(2, 1, 1, 1)
    condition = torch.tensor([[1.0, 0, 0, 1], [0, 0.5, 0, 0]])
    denoised = model(noisy, level, condition)
    ((x, told),) = seen
    assert torch.equal(denoised, noisy), "the first channels of the output are the prediction"
    assert torch.equal(told, level)
    assert x.shape == (2, 3 + N_WORDS, 5, 7)
    assert torch.equal(x[:, 3:], condition[:, :, None, None].expand(2, N_WORDS, 5, 7))


def test_no_condition_and_zeros_are_the_same() -> None:
    model, noisy, level = small(), torch.rand(2, 3, 8, 8), torch.rand(2, 1, 1, 1)
    assert torch.equal(model(noisy, level), model(noisy, level, torch.zeros(2, N_WORDS)))
    row = torch.tensor([[1.0, 0, 1, 0]])
    assert torch.equal(model(noisy, level, row), model(noisy, level, row.expand(2, -1))), "one row serves the batch"


def test_each_word_changes_the_prediction() -> None:
    model, noisy, level = small(), torch.rand(1, 3, 8, 8), torch.full((1, 1, 1, 1), 0.5)
    free = model(noisy, level)
    for word in range(N_WORDS):
        asked = model(noisy, level, torch.eye(N_WORDS)[word : word + 1])
        assert not torch.allclose(asked, free, atol=1e-5)


def test_dropping_hides_whole_rows() -> None:
    condition = torch.rand(10_000, N_WORDS) + 0.1
    dropped = drop_conditions(condition, 0.15, generator=torch.Generator().manual_seed(0))
    is_hidden = (dropped == 0).all(1)
    assert torch.equal(dropped[~is_hidden], condition[~is_hidden]), "the others stay as they are"
    assert is_hidden.float().mean().item() == pytest.approx(0.15, abs=0.02)
    assert torch.equal(drop_conditions(condition, 0.0), condition)
    assert (drop_conditions(condition, 1.0) == 0).all()


@pytest.mark.parametrize("share", [0.2, 0.5, 1.0])
def test_most_images_keep_all_words_and_the_others_any_part_of_them(share: float) -> None:
    condition = torch.ones(8_000, 50)
    hidden = hide_words(condition, share, generator=torch.Generator().manual_seed(0))
    assert set(hidden.unique().tolist()) == {0.0, 1.0}
    shares = hidden.mean(1)
    assert (shares == 1).float().mean().item() == pytest.approx(1 - share, abs=0.05)
    others = shares[shares < 1]
    assert others.mean().item() == pytest.approx(0.5, abs=0.05)
    assert others.std().item() == pytest.approx(12**-0.5, abs=0.05), "evenly from none to all"
    assert torch.equal(hide_words(torch.zeros(3, 4), share), torch.zeros(3, 4))


def test_guidance_goes_from_the_free_prediction_through_the_asked_one() -> None:
    free, asked = torch.rand(2, 2, 3, 4, 4)
    assert torch.equal(guide(free, asked, 0), free)
    assert torch.allclose(guide(free, asked, 1), asked)
    assert torch.allclose(guide(free, asked, 3), free + 3 * (asked - free), atol=1e-6)


@pytest.mark.parametrize(("guidance", "calls", "value"), [(0, 1, 0.4), (1, 1, 0.8), (1.5, 2, 1.0), (0.5, 2, 0.6)])
def test_asking_calls_the_model_as_often_as_it_must(guidance: float, calls: int, value: float) -> None:
    model = Painter()
    denoised = asking(model, torch.tensor([[1.0, 0]]), guidance)(torch.rand(2, 3, 4, 4), torch.ones(1, 1, 1, 1))
    assert len(model.calls) == calls
    assert torch.allclose(denoised, torch.full_like(denoised, value))


def test_a_steered_model_draws_like_any_other() -> None:
    condition = torch.tensor([[1.0, 0], [0.0, 0]])
    drawn = generate(asking(Painter(), condition), 2, image_shape=(3, 4, 4), n_steps=3)
    assert torch.allclose(drawn[0], torch.tensor(0.8))
    assert torch.allclose(drawn[1], torch.tensor(0.4))
    model = small()
    model.train()
    generate(asking(model, torch.eye(N_WORDS)), N_WORDS, image_shape=(3, 8, 8), n_steps=2)
    assert model.training, "generate puts the model back into training mode, through the steering"


def test_keeping_returns_the_known_pixels_exactly_and_draws_the_rest() -> None:
    known, mask = torch.rand(1, 3, 4, 4), torch.zeros(1, 1, 4, 4, dtype=torch.bool)
    mask[..., :2] = True
    for size in (1.0, 2.0):
        drawn = generate(keeping(Painter(), known, mask), 5, image_shape=(3, 4, 4), n_steps=4, step_size=size)
        assert torch.allclose(drawn[..., :2], known[..., :2].expand(5, -1, -1, -1), atol=1e-6)
        assert torch.allclose(drawn[..., 2:], torch.tensor(0.4))


def test_a_mirrored_image_gets_the_mirrored_prediction_from_an_average_over_a_flip() -> None:
    model, noisy, level = small(1), torch.rand(2, 3, 8, 8), torch.rand(2, 1, 1, 1)
    fair = flip_averaged(model)
    assert torch.allclose(fair(noisy.flip(-1), level), fair(noisy, level).flip(-1), atol=1e-6)
    assert not torch.allclose(model(noisy.flip(-1), level), model(noisy, level).flip(-1), atol=1e-6)
    image = torch.rand(1, 3, 8, 8)
    certain = flip_averaged(FromFunction(lambda x, _: image if torch.equal(x, noisy) else image.flip(-1)))
    assert torch.allclose(certain(noisy, level), image), "two predictions that agree stay as they are"


def test_variations_stay_close_to_the_image_at_low_levels() -> None:
    images = torch.rand(4, 3, 8, 8)
    mean = FromFunction(lambda noisy, level: noisy.mean(dim=(2, 3), keepdim=True).expand_as(noisy))
    distances = []
    for level in (0.1, 0.4, 0.9):
        drawn = vary(mean, images, level, schedule=torch.linspace(1, 0, 6), generator=torch.Generator().manual_seed(0))
        assert drawn.shape == images.shape
        distances.append((drawn - images).square().mean().item())
    assert distances == sorted(distances)
    levels = []
    watched = FromFunction(lambda noisy, level: levels.append(level.item()) or noisy)
    vary(watched, images, 0.4, schedule=torch.tensor([1.0, 0.5, 0.0]))
    assert levels == pytest.approx([0.4, 0.2]), "the schedule is scaled down to begin at the level"


def test_variations_at_level_1_are_new_images() -> None:
    images = torch.rand(2, 3, 4, 4)
    model = FromFunction(lambda noisy, level: (noisy * 0.3 + 0.1 * level).clamp(0, 1))
    schedule = torch.linspace(1, 0, 5)
    new = generate(model, 2, image_shape=(3, 4, 4), schedule=schedule, generator=torch.Generator().manual_seed(3))
    varied = vary(model, images, 1.0, schedule=schedule, generator=torch.Generator().manual_seed(3))
    assert torch.allclose(new, varied, atol=1e-6)
