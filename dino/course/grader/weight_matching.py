"""Weight matching: comparing two networks that are built differently.

A network may name its layers, create them in any order and lay out their weights as it likes. Two networks are the same
if the weights of one can be copied into the other so that both compute the same. Weights are matched by the order in
which the networks use them.
"""

import contextlib
from collections.abc import Callable, Iterator, Sequence
from functools import cache
from itertools import accumulate, chain, islice, permutations, product
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

MAX_ORDERS = 100  # orders of weights to try: a Block has two, and a network of many Blocks has too many to try

Sizes = tuple[int, ...]  # a shape without its ones
Permutation = tuple[int, ...]  # an order of dimensions


# ---- which weights a network uses -----------------------------------------------------------------------------------


class _Recorder(TorchFunctionMode):
    """A recorder of the weights in a computation: the leaf tensors in it that require a gradient."""

    def __init__(self) -> None:
        self.weights: dict[int, Tensor] = {}

    def __torch_function__(self, function: Callable[..., Any], types: Any, args: Any = (), kwargs: Any = None) -> Any:
        for value in _flat(chain(args, (kwargs or {}).values())):
            if isinstance(value, Tensor) and value.requires_grad and value.is_leaf:
                self.weights.setdefault(id(value), value)
        return function(*args, **(kwargs or {}))


def weights_used(model: nn.Module, *inputs: Tensor) -> list[Tensor]:
    """Return the weights that `model(*inputs)` uses, registered or not, in the order of their first use."""
    with watching() as weights:
        model(*inputs)
    return weights


@contextlib.contextmanager
def watching() -> Iterator[list[Tensor]]:
    """Yield a list that receives, at the end, the weights that were used within, in the order of their first use."""
    weights: list[Tensor] = []
    with _Recorder() as recorder:
        yield weights
    weights += recorder.weights.values()


def n_weights(model: nn.Module) -> int:
    """Return how many numbers a network learns."""
    return sum(weight.numel() for weight in model.parameters() if weight.requires_grad)


def fill(weights: Sequence[Tensor], seed: int, *, scale: float = 1.0) -> None:
    """Set weights to random numbers that depend only on the seed, a weight's place in the list and its size.

    Their scale keeps features about the same size from layer to layer.
    """
    random = torch.Generator()
    with torch.no_grad():
        for place, weight in enumerate(weights):
            random.manual_seed(1000 * seed + place)
            fan_in = max(1, weight[0].numel()) if weight.dim() > 1 else 4
            values = torch.randn(weight.numel(), generator=random, dtype=torch.float64) * scale / fan_in**0.5
            weight.copy_(values.view(weight.shape))


# ---- from one network to another ------------------------------------------------------------------------------------


def transplant(
    source: Sequence[Tensor], target: Sequence[Tensor], same: Callable[[], bool], *, attempts: int = 24
) -> bool:
    """Copy the weights of `source` into `target`, matched so that `same()` returns True.

    The order of use is tried first. Then weights of one size are exchanged, because a network may compute the two sides
    of a sum in either order. Square weights are also transposed, because a hand-made linear layer may hold them so.

    Args:
        source: the weights to copy.
        target: the weights to set.
        same: returns whether the two networks compute the same now.
        attempts: how many ways of matching to try.

    Returns:
        True if `same()` does. Otherwise the weights are matched by the order of use, if their sizes allow it.
    """
    first = None
    for values in islice(arrangements(source, target), attempts):
        first = first or values
        _set(target, values)
        if same():
            return True
    if first:
        _set(target, first)
    return False


def copy_weights(source: Sequence[Tensor], target: Sequence[Tensor]) -> bool:
    """Set each weight of `target` to its match in `source` by the order of use. A 1x1 convolution matches a Linear.

    Returns False, and changes nothing, if they don't match.
    """
    values = next(arrangements(source, target), None)
    if values is None:
        return False
    _set(target, values)
    return True


def arrangements(source: Sequence[Tensor], target: Sequence[Tensor]) -> Iterator[list[Tensor]]:
    """Yield every way to lay out the numbers of `source` like `target`, the likeliest first. None if sizes differ."""
    source = [weight.detach().clone() for weight in source]  # the target may share its memory
    orders = _orders([weight.numel() for weight in source], [weight.numel() for weight in target])
    seen = set()
    for order in islice(orders, MAX_ORDERS):
        pairs = [(source[i], weight) for i, weight in zip(order, target, strict=True)]
        for prefer in (None, _transposes_source, _transposes_target):
            found = [_permutation(_sizes(ours), _sizes(theirs), prefer) for ours, theirs in pairs]
            fitting = [permutation for permutation in found if permutation is not None]
            if len(fitting) < len(found) or (order, tuple(fitting)) in seen:
                continue
            seen.add((order, tuple(fitting)))
            yield [_laid_out(ours, theirs, how) for (ours, theirs), how in zip(pairs, fitting, strict=True)]


def _orders(source: list[int], target: list[int]) -> Iterator[tuple[int, ...]]:
    """Yield, for each place in `target`, a place in `source` of the same size. Each is used once."""
    if sorted(source) != sorted(target):
        return
    if source == target:
        yield tuple(range(len(source)))
    # Weights of one size come in the order of use, then in every other order.
    sizes = list(dict.fromkeys(target))
    places = [[i for i, size in enumerate(source) if size == wanted] for wanted in sizes]
    for chosen in product(*(islice(permutations(group), MAX_ORDERS) for group in places)):
        stacks = {size: iter(group) for size, group in zip(sizes, chosen, strict=True)}
        yield tuple(next(stacks[size]) for size in target)


def _transposes_source(permutation: Permutation) -> bool:
    """Return whether a permutation swaps the first two dimensions of the source: inputs and outputs."""
    return len(permutation) > 1 and permutation.index(0) > permutation.index(1)


def _transposes_target(permutation: Permutation) -> bool:
    """Return whether a permutation swaps the first two dimensions of the target."""
    return len(permutation) > 1 and permutation[0] > permutation[1]


def _permutation(source: Sizes, target: Sizes, prefer: Callable[[Permutation], bool] | None) -> Permutation | None:
    """Return an order of one weight's dimensions that gives another weight's: a preferred one, or the first that fits.

    None if no order fits.
    """
    if source == target and not prefer:
        return tuple(range(len(source)))
    fine, coarse = (source, target) if len(source) >= len(target) else (target, source)
    fitting = _permutations(fine, coarse)
    preferred = [permutation for permutation in fitting if prefer and prefer(permutation)]
    return next(iter(preferred or fitting), None)


@cache
def _permutations(fine: Sizes, coarse: Sizes) -> tuple[Permutation, ...]:
    """Return all orders of the dimensions of `fine` in which neighbors can be merged to give `coarse`."""
    wanted = set(accumulate(coarse, int.__mul__))
    orders = permutations(range(len(fine)))
    return tuple(o for o in orders if wanted <= set(accumulate((fine[i] for i in o), int.__mul__)))


def _laid_out(source: Tensor, target: Tensor, permutation: Permutation) -> Tensor:
    """Return the numbers of `source` in the shape of `target`."""
    ours, theirs = _sizes(source), _sizes(target)
    if len(ours) >= len(theirs):
        return source.reshape(ours).permute(permutation).reshape(target.shape)
    back = sorted(range(len(permutation)), key=permutation.__getitem__)
    return source.reshape([theirs[i] for i in permutation]).permute(back).reshape(target.shape)


def _set(target: Sequence[Tensor], values: Sequence[Tensor]) -> None:
    with torch.no_grad():
        for weight, value in zip(target, values, strict=True):
            weight.copy_(value)


def _sizes(weight: Tensor) -> Sizes:
    return tuple(size for size in weight.shape if size > 1)


def _flat(values: Any) -> Any:
    for value in values:
        if isinstance(value, (list, tuple)):
            yield from _flat(value)
        else:
            yield value
