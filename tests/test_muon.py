"""Muon: orthogonal steps for matrices, AdamW for the rest."""

import pytest
import torch
from torch import Tensor, nn

from dino.common.errors import DinoError
from dino.denoiser import UNet
from dino.steering import ConditionalDenoiser
from dino.trainer.config import Config
from dino.trainer.muon import Muon, muon_for, orthogonalize


def matrices(n: int, rows: int, columns: int, seed: int = 0) -> Tensor:
    return torch.randn(n, rows, columns, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize(("rows", "columns"), [(16, 144), (64, 160), (64, 16), (1, 9), (128, 1152)])
def test_singular_values_come_near_1_and_directions_stay(rows: int, columns: int) -> None:
    given = matrices(3, rows, columns)
    (found,) = orthogonalize([given], 5)
    assert found.shape == given.shape
    values = torch.linalg.svdvals(found)
    assert values.min() > 0.3
    assert values.max() < 1.3
    left, _, right = torch.linalg.svd(given, full_matrices=False)
    rotated = left.mT @ found @ right.mT
    off_diagonal = rotated - torch.diag_embed(rotated.diagonal(dim1=1, dim2=2))
    assert off_diagonal.abs().max() < 0.01, "the singular vectors stay"


def test_it_equals_the_iteration_as_it_is_usually_written() -> None:
    given = matrices(2, 8, 30)
    x = given / given.norm(dim=(1, 2), keepdim=True)
    for _ in range(4):
        square = x @ x.mT
        x = 3.4445 * x + (-4.7750 * square + 2.0315 * square @ square) @ x
    assert torch.allclose(orthogonalize([given], 4)[0], x, atol=1e-4)


def test_zeros_stay_zeros_and_scale_does_not_matter() -> None:
    given = matrices(1, 4, 9)
    zeros, found, found_small = orthogonalize([torch.zeros(1, 4, 9), given, 1e-4 * given])
    assert torch.equal(zeros, torch.zeros(1, 4, 9))
    assert torch.allclose(found, found_small, atol=1e-4)


def test_stacks_of_one_height_do_not_disturb_each_other() -> None:
    stacks = [matrices(2, 6, 20), matrices(1, 6, 30), matrices(3, 40, 6), matrices(1, 7, 9)]
    for stack, found in zip(stacks, orthogonalize(stacks), strict=True):
        assert torch.allclose(found, orthogonalize([stack])[0], atol=1e-5)


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize("layout_of_gradient", [torch.contiguous_format, torch.channels_last])
def test_the_layout_of_weights_does_not_matter(
    layout: torch.memory_format, layout_of_gradient: torch.memory_format
) -> None:
    gradient = matrices(6, 4, 9).view(6, 4, 3, 3)
    expected = -0.1 * orthogonalize([gradient.flatten(1)[None]])[0].view_as(gradient)
    weight = nn.Parameter(torch.zeros(6, 4, 3, 3).to(memory_format=layout))
    weight.grad = (2 * gradient).contiguous(memory_format=layout_of_gradient)
    Muon([weight], [], matrix_lr=0.1, lr=0.0).step()
    assert torch.allclose(weight.detach(), expected, atol=1e-4)


def test_inner_convolutions_are_matrices_and_everything_else_is_not() -> None:
    network = ConditionalDenoiser(UNet(3 + 5, (8, 16), (1, 1)), 5)
    optimizer = muon_for(network, matrix_lr=0.1, lr=0.2)
    names = {id(weight): name for name, weight in network.named_parameters()}
    inner, outer = ([names[id(weight)] for weight in group["params"]] for group in optimizer.param_groups)
    assert sorted(inner + outer) == sorted(names.values())
    assert all(name.endswith("weight") for name in inner)
    assert {name for name in outer if name.endswith("weight")} == {"unet.down.0.0.weight", "unet.head.3.weight"}
    assert [group["lr"] for group in optimizer.param_groups] == [0.1, 0.2]


def test_a_step_moves_a_matrix_by_the_same_amount_in_every_direction() -> None:
    weight = nn.Parameter(torch.zeros(8, 4, 3, 3))
    optimizer = Muon([weight], [], matrix_lr=0.1, lr=0.0)
    weight.grad = matrices(8, 4, 9).view(8, 4, 3, 3) * torch.logspace(-3, 0, 8)[:, None, None, None]
    optimizer.step()
    values = torch.linalg.svdvals(weight.detach().flatten(1))
    assert values.max() / values.min() < 4
    assert values.mean().item() == pytest.approx(0.1, rel=0.3)
    assert (weight.detach() * weight.grad).sum() < 0, "downhill"


def test_tall_matrices_take_longer_steps() -> None:
    tall, wide = nn.Parameter(torch.zeros(16, 4)), nn.Parameter(torch.zeros(4, 16))
    tall.grad, wide.grad = matrices(1, 16, 4)[0], matrices(1, 16, 4)[0].T.clone()
    Muon([tall, wide], [], matrix_lr=1.0, lr=0.0).step()
    assert torch.allclose(tall.detach(), 2 * wide.detach().T, atol=1e-4)


def test_the_other_weights_move_as_adamw_moves_them() -> None:
    ours, theirs = nn.Parameter(torch.ones(5)), nn.Parameter(torch.ones(5))
    optimizers = (
        Muon([], [ours], matrix_lr=0.0, lr=0.1),
        torch.optim.AdamW([theirs], lr=0.1, betas=(0.9, 0.99), weight_decay=0.01),
    )
    for step in range(5):
        gradient = torch.randn(5, generator=torch.Generator().manual_seed(step))
        for weight, optimizer in zip((ours, theirs), optimizers, strict=True):
            weight.grad = gradient.clone()
            optimizer.step()
    assert torch.allclose(ours, theirs, atol=1e-6)


def test_many_matrices_of_one_shape_move_as_each_alone() -> None:
    together = [nn.Parameter(torch.zeros(6, 5)) for _ in range(3)]
    alone = [nn.Parameter(torch.zeros(6, 5)) for _ in range(3)]
    optimizers = [Muon(together, [], matrix_lr=0.1, lr=0.0), *(Muon([w], [], matrix_lr=0.1, lr=0.0) for w in alone)]
    for step in range(3):
        for k, (one, other) in enumerate(zip(together, alone, strict=True)):
            one.grad = matrices(1, 6, 5, seed=10 * step + k)[0]
            other.grad = one.grad.clone()
        for optimizer in optimizers:
            optimizer.step()
    for one, other in zip(together, alone, strict=True):
        assert torch.allclose(one, other, atol=1e-6)


def test_weights_without_a_gradient_stay() -> None:
    weight, bias = nn.Parameter(torch.ones(4, 4)), nn.Parameter(torch.ones(4))
    Muon([weight], [bias], matrix_lr=0.1, lr=0.1).step()
    assert torch.equal(weight, torch.ones(4, 4))
    assert torch.equal(bias, torch.ones(4))


def test_a_step_within_autocast_is_the_same() -> None:
    """A learner's training step computes everything in the trainer's autocast, the optimizer's step too."""
    weights = [nn.Parameter(torch.randn(24, 16, 3, 3, generator=torch.Generator().manual_seed(2))) for _ in range(2)]
    for weight, autocast in zip(weights, (False, True), strict=True):
        optimizer = Muon([weight], [], matrix_lr=0.1, lr=0.0)
        for seed in range(3):
            weight.grad = torch.randn(weight.shape, generator=torch.Generator().manual_seed(seed))
            with torch.autocast("cpu", dtype=torch.bfloat16, enabled=autocast):
                optimizer.step()
    assert torch.equal(*weights)


def test_no_weight_moves_while_numbers_are_not_finite() -> None:
    weight, bias = nn.Parameter(torch.ones(4, 4)), nn.Parameter(torch.ones(4))
    optimizer = Muon([weight], [bias], matrix_lr=0.1, lr=0.1)
    optimizer.found_inf = torch.tensor(1.0)
    weight.grad, bias.grad = torch.full((4, 4), float("nan")), torch.full((4,), float("inf"))
    optimizer.step()
    assert torch.equal(weight, torch.ones(4, 4))
    assert torch.equal(bias, torch.ones(4))


def test_matrices_decay_by_their_share_and_not_without_one() -> None:
    for decay in (0.0, 0.5):
        weight = nn.Parameter(matrices(1, 4, 9)[0].view(4, 1, 3, 3))
        before = weight.detach().clone()
        still = nn.Parameter(before.clone())
        optimizer = Muon([weight], [], matrix_lr=0.1, lr=0.1, matrix_decay=decay)
        plain = Muon([still], [], matrix_lr=0.1, lr=0.1)
        weight.grad, still.grad = torch.ones_like(before), torch.ones_like(before)
        optimizer.step()
        plain.step()
        moved = still.detach() - before
        assert torch.allclose(weight.detach(), (1 - 0.1 * decay) * before + moved, atol=1e-6)


def test_nothing_decays_in_a_step_that_is_not_taken() -> None:
    weight = nn.Parameter(torch.ones(4, 1, 3, 3))
    optimizer = Muon([weight], [], matrix_lr=0.1, lr=0.1, matrix_decay=0.5)
    optimizer.found_inf = torch.tensor(1.0)
    weight.grad = torch.full_like(weight, torch.inf)
    optimizer.step()
    assert torch.equal(weight.detach(), torch.ones(4, 1, 3, 3))


@pytest.mark.parametrize("decay", [-0.1, float("inf"), float("nan")])
def test_a_decay_that_is_none_is_refused(decay: float) -> None:
    with pytest.raises(DinoError, match="matrix decay must be 0 or more and finite"):
        Config(matrix_decay=decay)
