"""Weight matching: the weights of a network are found, and copied into a network that is built differently."""

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dino import denoiser
from dino.course.grader.weight_matching import (
    arrangements,
    copy_weights,
    fill,
    n_weights,
    transplant,
    watching,
    weights_used,
)
from dino.denoiser import Block, Pool, UNet
from tests.alternative_solutions import denoiser as right_answers


def shapes(weights: list[Tensor]) -> list[tuple[int, ...]]:
    return [tuple(weight.shape) for weight in weights]


# ---- which weights, in which order ----------------------------------------------------------------------------------


def test_weights_are_found_in_the_order_of_use_not_of_registration() -> None:
    class Backwards(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.last, self.first, self.unused = nn.Linear(3, 2), nn.Linear(5, 3, bias=False), nn.Linear(7, 7)

        def forward(self, x: Tensor) -> Tensor:
            return self.last(self.first(x))

    model = Backwards()
    used = weights_used(model, torch.rand(4, 5))
    assert [id(weight) for weight in used] == [id(w) for w in (model.first.weight, model.last.weight, model.last.bias)]


def test_a_weight_used_twice_is_listed_once() -> None:
    class Twice(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = nn.Linear(3, 3, bias=False)

        def forward(self, x: Tensor) -> Tensor:
            return self.layer(self.layer(x))

    assert shapes(weights_used(Twice(), torch.rand(2, 3))) == [(3, 3)]


def test_weights_in_a_plain_list_and_bare_tensors_are_found_too() -> None:
    class Hidden(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layers = [nn.Linear(3, 4)]
            self.bare = torch.rand(5, 4, requires_grad=True)
            self.constant = torch.rand(5)

        def forward(self, x: Tensor) -> Tensor:
            for layer in self.layers:
                x = layer(x)
            return x @ self.bare.T + self.constant

    model = Hidden()
    assert list(model.parameters()) == []
    assert shapes(weights_used(model, torch.rand(2, 3))) == [(4, 3), (4,), (5, 4)]


def test_neither_inputs_nor_results_count_as_weights() -> None:
    layer = nn.Linear(3, 3)
    with watching() as weights:
        y = layer(torch.rand(2, 3)) * layer.weight.sum()
        torch.stack([y, y.relu()]).sum()
    assert [id(weight) for weight in weights] == [id(layer.weight), id(layer.bias)]


def test_weights_are_found_under_no_grad_and_in_keyword_arguments() -> None:
    weight = nn.Parameter(torch.rand(4, 3))
    with torch.no_grad(), watching() as weights:
        F.linear(torch.rand(2, 3), weight=weight)
    assert len(weights) == 1


def test_n_weights_counts_numbers_that_can_be_trained() -> None:
    layer = nn.Linear(3, 4)
    assert n_weights(layer) == 16
    layer.bias.requires_grad_(False)
    assert n_weights(layer) == 12
    assert n_weights(UNet()) == 2_178_819


def test_filled_weights_depend_only_on_seed_place_and_size() -> None:
    one, other = [torch.empty(4, 3), torch.empty(4)], [torch.empty(4, 3).double(), torch.empty(2, 2)]
    fill(one, 1)
    state = torch.get_rng_state()
    fill(other, 1)
    assert torch.equal(state, torch.get_rng_state())
    assert torch.allclose(one[0], other[0].float())
    assert not torch.equal(one[0].flatten()[:4], one[1])
    fill(other, 2)
    assert not torch.allclose(one[0], other[0].float())
    fill(other, 2, scale=0)
    assert not other[0].any()


# ---- from one network to another ------------------------------------------------------------------------------------


def alike(one: nn.Module, other: nn.Module, *inputs: Tensor) -> bool:
    with torch.no_grad():
        return torch.allclose(one(*inputs), other(*inputs), atol=1e-5)


def test_a_linear_layer_and_a_1x1_convolution_exchange_weights() -> None:
    class Linear(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.up, self.down = nn.Linear(5, 20), nn.Linear(20, 5, bias=False)

        def forward(self, x: Tensor) -> Tensor:
            return x + self.down(self.up(x.amax((2, 3))).relu())[..., None, None]

    usual, linear, x = Pool(5), Linear(), torch.randn(2, 5, 4, 3)
    assert copy_weights(weights_used(usual, x), weights_used(linear, x))
    assert alike(usual, linear, x)
    fresh = Pool(5)
    assert copy_weights(weights_used(linear, x), weights_used(fresh, x))
    assert alike(usual, fresh, x)


@pytest.mark.parametrize("order", [(0, 1, 2, 3), (1, 0, 2, 3), (2, 3, 1, 0), (2, 3, 0, 1)])
@pytest.mark.parametrize("merged", [False, True])
@pytest.mark.parametrize("channels", [(4, 4), (2, 5)])
def test_any_layout_of_a_convolution_is_found(order: tuple[int, ...], merged: bool, channels: tuple[int, int]) -> None:
    class Odd(nn.Module):
        """A convolution with its weight's dimensions in another order, perhaps with some merged into one."""

        def __init__(self) -> None:
            super().__init__()
            usual = [channels[1], channels[0], 3, 3]
            self.shape = [usual[i] for i in order]
            both = [self.shape[0] * self.shape[1], *self.shape[2:]]
            self.weight = nn.Parameter(torch.empty(both if merged else self.shape))

        def forward(self, x: Tensor) -> Tensor:
            back = [order.index(i) for i in range(4)]
            return F.conv2d(x, self.weight.view(self.shape).permute(back), padding=1)

    usual, odd = nn.Conv2d(*channels, 3, padding=1, bias=False), Odd()
    x = torch.randn(2, channels[0], 6, 7)
    nn.init.zeros_(odd.weight)
    ambiguous = merged or (channels == (4, 4) and order == (2, 3, 0, 1))
    fits = transplant(weights_used(usual, x), weights_used(odd, x), lambda: alike(usual, odd, x))
    assert fits or ambiguous
    if fits:
        fresh = nn.Conv2d(*channels, 3, padding=1, bias=False)
        assert transplant(weights_used(odd, x), weights_used(fresh, x), lambda: alike(odd, fresh, x))


def test_the_skip_may_be_computed_before_the_body() -> None:
    class SkipFirst(Block):
        def forward(self, x: Tensor) -> Tensor:
            return self.skip(x) + self.body(x)

    usual, other, x = Block(2, 5), SkipFirst(2, 5), torch.randn(2, 2, 6, 7)
    theirs, ours = weights_used(usual, x), weights_used(other, x)
    assert shapes(theirs) != shapes(ours)
    assert transplant(theirs, ours, lambda: alike(usual, other, x))


def test_a_network_that_computes_something_else_does_not_match() -> None:
    class ReluAfterSum(Block):
        def forward(self, x: Tensor) -> Tensor:
            return super().forward(x).relu()

    usual, other, x = Block(2, 5), ReluAfterSum(2, 5), torch.randn(2, 2, 6, 7)
    theirs, ours = weights_used(usual, x), weights_used(other, x)
    assert not transplant(theirs, ours, lambda: alike(usual, other, x))
    assert all(torch.equal(one, another) for one, another in zip(theirs, ours, strict=True))  # the likeliest match


def test_weights_of_other_sizes_or_another_number_do_not_match_and_do_not_change() -> None:
    ours = [torch.zeros(4, 3), torch.zeros(4)]
    for theirs in ([torch.ones(4, 3)], [torch.ones(4, 3), torch.ones(5)], [torch.ones(2, 6), torch.ones(4)], []):
        assert not copy_weights(theirs, ours)
        assert not transplant(theirs, ours, lambda: True)
    assert not any(weight.any() for weight in ours)
    assert copy_weights([], [])


def test_the_search_through_many_equal_weights_ends_soon() -> None:
    theirs, ours = [torch.rand(2, 8) for _ in range(30)], [torch.rand(4, 4) for _ in range(30)]
    assert next(arrangements(theirs, ours), None) is None
    tries = []
    assert not transplant(theirs, [w.clone() for w in theirs], lambda: bool(tries.append(1)), attempts=7)
    assert len(tries) == 7


def test_source_and_target_may_be_the_same_tensors() -> None:
    weights = [torch.rand(3, 3), torch.rand(3)]
    before = [weight.clone() for weight in weights]
    assert copy_weights(weights, weights)
    assert all(torch.equal(one, other) for one, other in zip(weights, before, strict=True))


@pytest.mark.parametrize("answer", [x for x in vars(right_answers).values() if hasattr(x, "answers")])
def test_the_weights_of_every_right_answer_match_the_reference(answer: type[nn.Module]) -> None:
    kind = answer.answers
    arguments = {"Block": (4, 4), "Pool": (4,), "Stage": (4, 4, 2), "UNet": (3, (4, 4, 4), (1, 0, 2))}[kind]
    inputs = (torch.randn(2, 3 if kind == "UNet" else 4, 8, 12), torch.rand(2, 1, 1, 1))[: 1 + (kind == "UNet")]
    own, plain = answer(*arguments), getattr(denoiser, kind)(*arguments)
    learned = weights_used(own, *inputs)
    fill(learned, 3)
    assert transplant(learned, weights_used(plain, *inputs), lambda: alike(own, plain, *inputs))
