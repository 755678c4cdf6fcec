"""Saving and loading: safe (nothing is unpickled), atomic (the old file or the new one), exact (every bit).

Two kinds of file, both safetensors, each with a description in its header:

- weights, `model.safetensors`: the averaged network and the configuration to rebuild it. Enough to draw with.
- state, `state.safetensors`: all that training needs to go on as if it had never stopped.
"""

import json
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, nn

from .denoiser import UNet
from .errors import DinoError
from .files import replacing

WEIGHTS, STATE = "model.safetensors", "state.safetensors"
FORMAT = 1  # raise it when an older dino could no longer read the files


def write(path: Path, kind: str, tensors: dict[str, Tensor], about: dict[str, Any]) -> None:
    """Write tensors and their description to `path`, whole or not at all."""
    # One entry holds it all, as safetensors keeps entries in no fixed order and equal runs should give equal files.
    header = {"dino": json.dumps({"format": FORMAT, "kind": kind, "about": about})}
    # safetensors wants plain row-major memory; channels-last weights get their layout back when they are loaded.
    plain = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    with replacing(path) as temporary:
        temporary.write_bytes(save(plain, metadata=header))


def read(path: Path, kind: str) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Read what `write` wrote.

    Raises:
        DinoError: there is no such file, it is cut short, it is of another program, or of the other kind.
    """
    if not path.is_file():
        raise DinoError(f"there is no file {path}")
    try:
        with safe_open(path, framework="pt") as file:
            header = json.loads((file.metadata() or {}).get("dino", "{}"))
            names = file.keys()
            tensors = {name: file.get_tensor(name) for name in names}
    except (SafetensorError, OSError) as error:
        raise DinoError(f"{path} is no safetensors file, or was cut short: {error}") from error
    if header.get("format") != FORMAT or header.get("kind") != kind:
        found = header.get("kind") or "another program's"
        raise DinoError(f"{path} holds {found} data, not {kind} of this version of dino")
    return tensors, header["about"]


def save_model(path: Path, model: nn.Module, about: dict[str, Any]) -> None:
    """Save a network. `about["config"]` must hold the channels, widths and depths it was built with."""
    write(path, "weights", model.state_dict(), about)


def load_model(path: Path, device: torch.device | str = "cpu") -> tuple[UNet, dict[str, Any]]:
    """Load a network, ready to draw, from a weights file or a run folder; and what the file says about it.

    Raises:
        DinoError: as `read`, or the weights do not fit the network that the file describes.
    """
    path = path / WEIGHTS if path.is_dir() else path
    weights, about = read(path, "weights")
    config = about["config"]
    model = UNet(config["channels"], config["widths"], config["depths"])
    _check_fit(path, model.state_dict(), weights)
    model.load_state_dict(weights)
    return model.to(device, memory_format=torch.channels_last).eval(), about  # type: ignore[call-overload]


def save_state(
    path: Path,
    modules: dict[str, nn.Module],
    optimizer: torch.optim.Optimizer,
    more: dict[str, Tensor],
    about: dict[str, Any],
) -> None:
    """Save all that training has in hand: networks, optimizer, other tensors, and a description."""
    tensors = {f"more.{name}": tensor for name, tensor in more.items()}
    for name, module in modules.items():
        tensors |= {f"{name}.{key}": tensor for key, tensor in module.state_dict().items()}
    for index, slots in optimizer.state_dict()["state"].items():
        tensors |= {f"optimizer.{index}.{slot}": value for slot, value in slots.items()}
    write(path, "state", tensors, about)


def load_state(
    path: Path, modules: dict[str, nn.Module], optimizer: torch.optim.Optimizer
) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Put a saved state back into networks and optimizer. Returns the other tensors and the description."""
    tensors, about = read(path, "state")
    parts: dict[str, dict[str, Tensor]] = {}
    for name, tensor in tensors.items():
        part, _, key = name.partition(".")
        parts.setdefault(part, {})[key] = tensor
    for name, module in modules.items():
        _check_fit(path, module.state_dict(), parts.get(name, {}))
        module.load_state_dict(parts[name])
    weights = [weight for group in optimizer.param_groups for weight in group["params"]]
    slots: dict[int, dict[str, Tensor]] = {}
    for key, tensor in parts.get("optimizer", {}).items():
        index, _, slot = key.partition(".")
        if tensor.dim():
            # The fused optimizer pairs a weight with its moments by their place in memory, so a moment must come back
            # in its weight's own layout (channels-last), or each weight would be moved by another one's history.
            tensor = torch.empty_like(weights[int(index)]).copy_(tensor)
        slots.setdefault(int(index), {})[slot] = tensor
    optimizer.load_state_dict({"state": slots, "param_groups": optimizer.state_dict()["param_groups"]})
    return parts.get("more", {}), about


def _check_fit(path: Path, expected: dict[str, Tensor], found: dict[str, Tensor]) -> None:
    for name in expected.keys() | found.keys():
        want, have = (tuple(d[name].shape) if name in d else "nothing" for d in (expected, found))
        if want != have:
            raise DinoError(f"{path} is of another network: {name} should be {want} and is {have}")
