"""The state of networks and their optimizer, saved and restored so that training continues as if it had never stopped.

It works for every optimizer that keeps its settings in parameter groups, and tensors and numbers for each weight, as
the optimizers of torch.optim do.
"""

import copy
from pathlib import Path
from reprlib import repr as short  # shortens a value from a file, whatever it is
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from ..common.errors import DinoError
from .tensor_file import check_fit

Tensors = dict[str, Tensor]  # by names such as "model.head.1.weight" and "optimizer.0.exp_avg"
Numbers = dict[str, Any]  # what an optimizer keeps besides tensors, by names such as "optimizer.0.step"


def state_of(networks: dict[str, nn.Module], optimizer: Optimizer) -> tuple[Tensors, dict[str, Any]]:
    """Return the state of networks and their optimizer.

    Returns:
        The tensors; and a description of the optimizer, fit for JSON: the name of its class, and the plain numbers that
        it keeps.

    Raises:
        TypeError: if the optimizer keeps anything else, such as the lists of LBFGS.
    """
    tensors, numbers = _slots_of(optimizer)
    return _weights_of(networks) | tensors, {"class": type(optimizer).__name__, "numbers": numbers}


def restore(
    path: Path,
    tensors: Tensors,
    description: dict[str, Any],
    networks: dict[str, nn.Module],
    optimizer: Optimizer,
) -> None:
    """Put the state that `state_of` returned back into networks and optimizer.

    Args:
        path: the file that the state was read from, for error messages.
        tensors, description: as `state_of` returned them.
        networks, optimizer: of the same kinds and shapes.

    Raises:
        DinoError: if the state belongs to other networks or another optimizer.
    """
    numbers, kind = description.get("numbers"), description.get("class")
    if kind != type(optimizer).__name__ or not isinstance(numbers, dict):
        raise DinoError(
            f"{path} holds the state of another optimizer: {short(kind):.80}, and this one is "
            f"{type(optimizer).__name__}. Use another copy, or start a new run"
        )
    # Weights that never had a gradient have no state.
    indices = {_index_of(path, name) for name in (*tensors, *numbers) if name.startswith("optimizer.")}
    like_tensors, like_numbers = _slots_after_a_step(optimizer) if indices else ({}, {})
    expected = {name: like for name, like in like_tensors.items() if _index_of(path, name) in indices}
    check_fit(path, _weights_of(networks) | expected, tensors)
    expected_numbers = {name for name in like_numbers if _index_of(path, name) in indices}
    if numbers.keys() != expected_numbers or not all(isinstance(n, int | float | None) for n in numbers.values()):
        raise DinoError(f"{path} does not fit its own description: the optimizer keeps other numbers. Use another copy")

    for name, network in networks.items():
        network.load_state_dict({key: tensors[f"{name}.{key}"] for key in network.state_dict()})
    # Not by `optimizer.load_state_dict`, which turns the state into the dtype of its weight.
    weights = [weight for group in optimizer.param_groups for weight in group["params"]]
    optimizer.state.clear()
    for name, like in expected.items():
        # A fused optimizer pairs a weight with its state by their place in memory. So the state must have its weight's
        # own layout (channels-last), or each weight would be moved by the history of another one.
        slot = torch.empty_like(like).copy_(tensors[name])
        optimizer.state[weights[_index_of(path, name)]][_slot_of(name)] = slot
    for name, number in numbers.items():
        optimizer.state[weights[_index_of(path, name)]][_slot_of(name)] = number


def _weights_of(networks: dict[str, nn.Module]) -> Tensors:
    return {f"{name}.{key}": tensor for name, net in networks.items() for key, tensor in net.state_dict().items()}


def _slots_of(optimizer: Optimizer) -> tuple[Tensors, Numbers]:
    """Return what an optimizer keeps for each weight, tensors and numbers apart, by names "optimizer.INDEX.SLOT"."""
    slots = {
        f"optimizer.{index}.{slot}": value
        for index, state in optimizer.state_dict()["state"].items()
        for slot, value in state.items()
    }
    tensors = {name: value for name, value in slots.items() if isinstance(value, Tensor)}
    numbers = {name: value for name, value in slots.items() if isinstance(value, int | float | None)}
    if other := slots.keys() - tensors.keys() - numbers.keys():
        raise TypeError(f"this optimizer's state can't be saved: {min(other)} is a {type(slots[min(other)]).__name__}")
    return tensors, numbers


def _slots_after_a_step(optimizer: Optimizer) -> tuple[Tensors, Numbers]:
    """Return what an optimizer keeps for each weight once it has moved all of them, with arbitrary values."""
    trial = copy.deepcopy(optimizer)  # copies its weights, too
    for group in trial.param_groups:
        for weight in group["params"]:
            weight.grad = torch.zeros_like(weight)
    trial.step()
    return _slots_of(trial)


def _index_of(path: Path, name: str) -> int:
    """Return the number of the weight that an entry such as "optimizer.3.exp_avg" belongs to."""
    index = name.split(".")[1]
    if not (index.isascii() and index.isdecimal() and len(index) < 10):
        raise DinoError(f"{path} does not fit its own description: there is no weight {index!r:.40} to optimize")
    return int(index)


def _slot_of(name: str) -> str:
    return name.split(".", 2)[2]
