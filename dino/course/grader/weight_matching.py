"""Comparing two networks that are built differently: by the weights they use, in the order in which they use them.

How a network calls its layers, in which order it makes them and how it lays out their numbers is its own business.
What it computes is not: two networks are the same if the weights of one can be handed to the other such that both give
the same answers.
"""

import contextlib
from collections.abc import Callable, Iterator, Sequence
from functools import cache
from itertools import accumulate, chain, islice, permutations, product
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

ENOUGH = 100  # orders of weights to try: a Block has two, and a network of many Blocks more than can be tried

Sizes = tuple[int, ...]  # a shape without its ones
Way = tuple[int, ...]  # an order of dimensions


class _Watch(TorchFunctionMode):
    """Notes each tensor that takes part in a computation and asks for a gradient without coming from one: a weight."""

    def __init__(self) -> None:
        self.weights: dict[int, Tensor] = {}

    def __torch_function__(self, function: Callable[..., Any], types: Any, args: Any = (), kwargs: Any = None) -> Any:
        for value in _flat(chain(args, (kwargs or {}).values())):
            if isinstance(value, Tensor) and value.requires_grad and value.is_leaf:
                self.weights.setdefault(id(value), value)
        return function(*args, **(kwargs or {}))


def weights_used(model: nn.Module, *inputs: Tensor) -> list[Tensor]:
    """The weights that `model(*inputs)` uses, in the order of their first use, registered as parameters or not."""
    with watching() as weights:
        model(*inputs)
    return weights


@contextlib.contextmanager
def watching() -> Iterator[list[Tensor]]:
    """A list that has, afterwards, the weights that were used within, in the order of their first use."""
    weights: list[Tensor] = []
    with _Watch() as watch:
        yield weights
    weights += watch.weights.values()


def n_weights(model: nn.Module) -> int:
    """How many numbers a network learns."""
    return sum(weight.numel() for weight in model.parameters() if weight.requires_grad)


def fill(weights: Sequence[Tensor], seed: int, *, scale: float = 1.0) -> None:
    """Set weights to random numbers that depend on the seed, a weight's place in the list and its size alone.

    They are as large as keeps the features about the same size from layer to layer.
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
    """Set the weights of `target` to those of `source`, matched in such a way that `same()` holds.

    The order of use decides first. Where that doesn't do, weights of one size are exchanged, as a network may compute
    the two sides of a sum in either order; and square ones are transposed, as a Linear made by hand may be.

    Returns:
        Whether `same()` holds. If not, the weights are matched in the order of use, where their sizes allow it.
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
    """Set each weight of `target` to its partner in `source` by the order of use. A 1x1 convolution may be a Linear.

    Returns False where they can't be matched; then `target` is as it was.
    """
    values = next(arrangements(source, target), None)
    if values is None:
        return False
    _set(target, values)
    return True


def arrangements(source: Sequence[Tensor], target: Sequence[Tensor]) -> Iterator[list[Tensor]]:
    """Every way to hand the numbers of `source` to `target`, the likeliest first. None if their sizes don't match."""
    source = [weight.detach().clone() for weight in source]  # a target may share its memory
    orders = _orders([weight.numel() for weight in source], [weight.numel() for weight in target])
    seen = set()
    for order in islice(orders, ENOUGH):
        pairs = [(source[i], weight) for i, weight in zip(order, target, strict=True)]
        for prefer in (None, _source_turned, _target_turned):
            ways = [_way(_sizes(ours), _sizes(theirs), prefer) for ours, theirs in pairs]
            fitting = [way for way in ways if way is not None]
            if len(fitting) < len(ways) or (order, tuple(fitting)) in seen:
                continue
            seen.add((order, tuple(fitting)))
            yield [_laid_out(ours, theirs, way) for (ours, theirs), way in zip(pairs, fitting, strict=True)]


def _orders(source: list[int], target: list[int]) -> Iterator[tuple[int, ...]]:
    """For each place in `target`, a place in `source` of the same size; each used once."""
    if sorted(source) != sorted(target):
        return
    if source == target:
        yield tuple(range(len(source)))
    # Weights of one size, in the order of use, then in every other order.
    sizes = list(dict.fromkeys(target))
    places = [[i for i, size in enumerate(source) if size == wanted] for wanted in sizes]
    for chosen in product(*(islice(permutations(group), ENOUGH) for group in places)):
        stacks = {size: iter(group) for size, group in zip(sizes, chosen, strict=True)}
        yield tuple(next(stacks[size]) for size in target)


def _source_turned(way: Way) -> bool:
    """The first two dimensions of a weight, out and in, come in the other order."""
    return len(way) > 1 and way.index(0) > way.index(1)


def _target_turned(way: Way) -> bool:
    """The same, seen from the other side."""
    return len(way) > 1 and way[0] > way[1]


def _way(source: Sizes, target: Sizes, prefer: Callable[[Way], bool] | None) -> Way | None:
    """The order in which to take the dimensions of one weight to have those of another: the first that fits, or that is
    preferred. None if none fits.
    """
    if source == target and not prefer:
        return tuple(range(len(source)))
    ways = _ways(source, target) if len(source) >= len(target) else _ways(target, source)
    preferred = [way for way in ways if prefer and prefer(way)]
    return next(iter(preferred or ways), None)


@cache
def _ways(fine: Sizes, coarse: Sizes) -> tuple[Way, ...]:
    """All orders of the dimensions of `fine` that can be merged, neighbors with neighbors, to give `coarse`."""
    wanted = set(accumulate(coarse, int.__mul__))
    orders = permutations(range(len(fine)))
    return tuple(o for o in orders if wanted <= set(accumulate((fine[i] for i in o), int.__mul__)))


def _laid_out(source: Tensor, target: Tensor, way: Way) -> Tensor:
    """The numbers of `source` in the shape of `target`."""
    ours, theirs = _sizes(source), _sizes(target)
    if len(ours) >= len(theirs):
        return source.reshape(ours).permute(way).reshape(target.shape)
    back = sorted(range(len(way)), key=way.__getitem__)
    return source.reshape([theirs[i] for i in way]).permute(back).reshape(target.shape)


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
