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
        DinoError: there is no such file, it is cut short, of another program or version, or of the other kind.
    """
    if not path.is_file():
        raise DinoError(f"there is no file {path}. Give a run folder, or make one with: dino train")
    try:
        with safe_open(path, framework="pt") as file:
            header = (file.metadata() or {}).get("dino")
            names = file.keys()
            # Copies: the tensors as they come stay tied to the open file, which Windows then refuses to replace.
            tensors = {name: file.get_tensor(name).clone() for name in names}
    except (SafetensorError, OSError) as error:
        raise DinoError(f"{path} is no safetensors file, or was cut short. Take a copy that is whole") from error
    try:
        description = json.loads(header or "")
        found, version, about = description["kind"], description["format"], dict(description["about"])
    except (ValueError, KeyError, TypeError) as error:
        raise DinoError(f"{path} was not written by dino. Give a run folder or a model.safetensors of one") from error
    if version != FORMAT:
        raise DinoError(f"{path} is of another version of dino (format {version}, here {FORMAT}). Use that version")
    if found != kind:
        raise DinoError(f"{path} holds {found}, and {kind} is needed. A run folder has both: {WEIGHTS} and {STATE}")
    return tensors, about


def save_model(path: Path, model: nn.Module, about: dict[str, Any]) -> None:
    """Save a network. `about["config"]` must hold its channels, widths and depths, and the size of its pictures."""
    write(path, "weights", model.state_dict(), about)


def load_model(path: Path, device: torch.device | str = "cpu") -> tuple[UNet, dict[str, Any]]:
    """Load a network, ready to draw, from a weights file or a run folder; and what the file says about it.

    Raises:
        DinoError: as `read`, or the weights do not fit the network that the file describes.
    """
    path = path / WEIGHTS if path.is_dir() else path
    weights, about = read(path, "weights")
    try:
        config = about["config"]
        model = UNet(config["channels"], config["widths"], config["depths"])
        int(config["size"])
    except (KeyError, TypeError, ValueError) as error:
        raise DinoError(f"{path} does not describe its network rightly. Take a copy that is whole") from error
    _check_fit(path, model.state_dict(), weights)
    model.load_state_dict(weights)
    return to_fast_layout(model, device).eval(), about


def to_fast_layout(model: UNet, device: torch.device | str) -> UNet:
    """Move a network to a device, in the layout of memory that its convolutions like best.

    Channels-last keeps a pixel's features together. It pays on GPUs with tensor cores and on CPUs; MPS is left alone.
    """
    if torch.device(device).type == "mps":
        return model.to(device)
    return model.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]


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
    for name in sorted(expected.keys() | found.keys()):
        want, have = (tuple(d[name].shape) if name in d else "nothing" for d in (expected, found))
        if want != have:
            raise DinoError(f"{path} does not fit its own description: {name} should be {want} and is {have}")
