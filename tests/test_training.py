"""Lesson 03, training: the loss, a step, the EMA, and the loop."""

import copy

import pytest
import torch
from torch import Tensor, nn

from dino.denoiser import UNet
from dino.images import batches, to_unit
from dino.noise import add_noise, mix
from dino.training import denoising_loss, train, train_step, update_average


def tiny() -> UNet:
    torch.manual_seed(0)
    return UNet(3, (8, 8), (1, 1))


def test_the_loss_is_the_mean_squared_distance_to_the_clean_image(denoiser_of: type) -> None:
    clean = torch.rand(4, 3, 8, 8)
    assert denoising_loss(denoiser_of(lambda noisy, level: clean), clean) == 0
    assert denoising_loss(denoiser_of(lambda noisy, level: clean + 0.5), clean).item() == pytest.approx(0.25)


def test_the_model_gets_the_noisy_images_and_their_levels(denoiser_of: type) -> None:
    seen: list[tuple[Tensor, Tensor]] = []

    def spy(noisy: Tensor, level: Tensor) -> Tensor:
        seen.append((noisy, level))
        return noisy

    clean = torch.rand(4, 3, 8, 8)
    denoising_loss(denoiser_of(spy), clean, generator=torch.Generator().manual_seed(3))
    expected = add_noise(clean, generator=torch.Generator().manual_seed(3))
    assert all(torch.equal(a, b) for a, b in zip(seen[0], expected, strict=True))


def test_a_step_follows_the_new_gradient_and_returns_the_loss_before_the_step() -> None:
    model, clean = tiny(), torch.rand(4, 3, 8, 8)
    for weight in model.parameters():  # left over from before
        weight.grad = torch.full_like(weight, 9.0)
    twin = copy.deepcopy(model)
    loss = denoising_loss(twin, clean, generator=torch.Generator().manual_seed(0))
    gradients = torch.autograd.grad(loss, list(twin.parameters()))
    model.eval()
    returned = train_step(
        model, torch.optim.SGD(model.parameters(), 0.1), clean, generator=torch.Generator().manual_seed(0)
    )
    assert returned == pytest.approx(loss.item())
    assert model.training
    for ours, before, gradient in zip(model.parameters(), twin.parameters(), gradients, strict=True):
        torch.testing.assert_close(ours, before - 0.1 * gradient)


def test_update_average_computes_the_exponential_moving_average_of_the_weights() -> None:
    model, average = nn.Linear(2, 1).double(), nn.Linear(2, 1).double()
    expected = average.weight.detach().clone()
    for _ in range(5):
        nn.init.normal_(model.weight)
        update_average(average, model, 0.9)
        expected = 0.9 * expected + 0.1 * model.weight.detach()
    torch.testing.assert_close(average.weight.detach(), expected, rtol=0, atol=1e-14)
    kept = model.weight.detach().clone()
    average.weight.data.zero_()
    assert torch.equal(model.weight, kept)  # no shared storage


def test_buffers_are_copied_into_the_ema() -> None:
    model, average = nn.BatchNorm2d(3), nn.BatchNorm2d(3)
    model(torch.randn(4, 3, 5, 5))
    update_average(average, model, 0.9)
    torch.testing.assert_close(average.state_dict()["running_mean"], model.state_dict()["running_mean"])
    assert average.state_dict()["num_batches_tracked"] == 1


def test_training_takes_one_step_per_batch_and_stops_when_the_batches_end_or_the_caller_stops() -> None:
    model, clean = tiny(), [torch.rand(2, 3, 8, 8) for _ in range(5)]
    optimizer = torch.optim.AdamW(model.parameters())
    assert len(list(train(model, optimizer, clean))) == 5
    served = iter(clean)
    losses = train(model, optimizer, served)
    next(losses)
    next(losses)
    losses.close()
    assert len(list(served)) == 3


def test_training_updates_the_ema_after_each_step() -> None:
    model = tiny()
    average = copy.deepcopy(model)
    expected = [weight.detach().clone() for weight in average.parameters()]
    steps = train(
        model, torch.optim.AdamW(model.parameters()), [torch.rand(2, 3, 8, 8)] * 3, average=average, decay=0.5
    )
    for _ in steps:
        expected = [(a + w.detach()) / 2 for a, w in zip(expected, model.parameters(), strict=True)]
    for found, wanted in zip(average.parameters(), expected, strict=True):
        torch.testing.assert_close(found, wanted)


@pytest.mark.slow
def test_one_batch_can_be_memorized(blobs: Tensor) -> None:
    clean = to_unit(blobs[:4])
    constant = clean.var(dim=(0, 2, 3), correction=0).mean().item()  # the loss of the best single color
    torch.manual_seed(0)
    model = UNet(3, (16, 32), (1, 1))
    losses = list(train(model, torch.optim.AdamW(model.parameters(), 2e-3), [clean.repeat(4, 1, 1, 1)] * 400))
    # Over all levels some loss remains, because near level 1 the four images look the same.
    assert sum(losses[-50:]) / 50 < 0.25 * constant
    half = torch.full((4, 1, 1, 1), 0.5)
    with torch.no_grad():
        denoised = model(mix(clean, torch.rand(clean.shape), half), half)
    assert (denoised - clean).square().mean() < 0.15 * constant


def test_the_same_seed_gives_the_same_run(blobs: Tensor) -> None:
    def run() -> list[float]:
        model = tiny()
        stream = (batch for batch, _ in zip(batches(blobs, 8, seed=5), range(5), strict=False))
        optimizer = torch.optim.AdamW(model.parameters(), amsgrad=True)
        return list(train(model, optimizer, stream, generator=torch.Generator().manual_seed(2)))

    assert run() == run()
