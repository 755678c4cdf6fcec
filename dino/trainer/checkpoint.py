"""All that networks and their optimizer remember of a run, so that it goes on as if it had never stopped."""

from pathlib import Path

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from .tensor_file import check_fit

SLOTS = ("step", "exp_avg", "exp_avg_sq", "max_exp_avg_sq")  # what AdamW with amsgrad remembers of each weight


def state_of(networks: dict[str, nn.Module], optimizer: Optimizer) -> dict[str, Tensor]:
    """All tensors of networks and optimizer, each under its own name.

    The optimizer is AdamW with amsgrad, which has taken no step yet or has moved all its weights.
    """
    tensors = {f"{name}.{key}": tensor for name, net in networks.items() for key, tensor in net.state_dict().items()}
    for index, slots in optimizer.state_dict()["state"].items():
        tensors |= {f"optimizer.{index}.{slot}": slots[slot] for slot in SLOTS}
    return tensors


def restore(path: Path, tensors: dict[str, Tensor], networks: dict[str, nn.Module], optimizer: Optimizer) -> None:
    """Put the tensors of `state_of`, as read from `path`, back into networks and optimizer.

    Raises:
        DinoError: they belong to other networks.
    """
    expected = {f"{name}.{key}": tensor for name, net in networks.items() for key, tensor in net.state_dict().items()}
    slots: dict[tuple[int, str], Tensor] = {}
    if any(name.startswith("optimizer.") for name in tensors):  # not before the first step
        weights = [weight for group in optimizer.param_groups for weight in group["params"]]
        slots = {(i, slot): torch.empty(()) if slot == "step" else w for i, w in enumerate(weights) for slot in SLOTS}
    check_fit(path, expected | {f"optimizer.{i}.{slot}": like for (i, slot), like in slots.items()}, tensors)
    for name, network in networks.items():
        network.load_state_dict({key: tensors[f"{name}.{key}"] for key in network.state_dict()})
    state: dict[int, dict[str, Tensor]] = {}
    for (i, slot), like in slots.items():
        # The fused optimizer pairs a weight with its moments by their place in memory, so a moment must come back in
        # its weight's own layout (channels-last), or each weight would be moved by another one's history.
        state.setdefault(i, {})[slot] = torch.empty_like(like).copy_(tensors[f"optimizer.{i}.{slot}"])
    optimizer.load_state_dict({"state": state, "param_groups": optimizer.state_dict()["param_groups"]})
