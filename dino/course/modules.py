"""Comparing two networks that are built differently: by the weights they use, in the order they use them."""

from collections.abc import Callable
from itertools import chain
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode


class _Watch(TorchFunctionMode):
    """Notes each tensor that takes part in a computation and asks for a gradient without coming from one: a weight."""

    def __init__(self) -> None:
        self.weights: list[Tensor] = []

    def __torch_function__(self, function: Callable[..., Any], types: Any, args: Any = (), kwargs: Any = None) -> Any:
        for value in _flat(chain(args, (kwargs or {}).values())):
            if isinstance(value, Tensor) and value.requires_grad and value.is_leaf:
                if not any(value is known for known in self.weights):
                    self.weights.append(value)
        return function(*args, **(kwargs or {}))


def weights_used(model: nn.Module, *inputs: Tensor) -> list[Tensor]:
    """The weights that `model(*inputs)` uses, in the order of their first use, registered as parameters or not."""
    watch = _Watch()
    with watch:
        model(*inputs)
    return watch.weights


def fill(weights: list[Tensor], seed: int, *, scale: float = 1.0) -> None:
    """Set weights to random numbers that depend on the seed, a weight's place in the list and its size alone.

    They are as large as keeps the features about the same size from layer to layer.
    """
    with torch.no_grad():
        for place, weight in enumerate(weights):
            random = torch.Generator().manual_seed(1000 * seed + place)
            fan_in = max(1, weight[0].numel()) if weight.dim() > 1 else 4
            values = torch.randn(weight.numel(), generator=random, dtype=torch.float64) * scale / fan_in**0.5
            weight.copy_(values.view(weight.shape))


def copy_weights(source: list[Tensor], target: list[Tensor]) -> bool:
    """Set each weight of `target` to its partner in `source`. A 1x1 convolution may be a Linear, or its transpose.

    Returns False where some pair has not the same size; then nothing is promised of `target`.
    """
    if len(source) != len(target):
        return False
    with torch.no_grad():
        for theirs, ours in zip(source, target):
            plain, wanted = theirs.squeeze(), ours.squeeze().shape
            if plain.shape != wanted and plain.dim() == 2 and plain.T.shape == wanted:
                plain = plain.T
            if plain.shape != wanted:
                return False
            ours.copy_(plain.reshape(ours.shape))
    return True


def n_weights(model: nn.Module) -> int:
    """How many numbers a network learns."""
    return sum(weight.numel() for weight in model.parameters() if weight.requires_grad)


def _flat(values: Any) -> Any:
    for value in values:
        if isinstance(value, (list, tuple)):
            yield from _flat(value)
        else:
            yield value
