"""Saving and loading: safe (nothing is unpickled), atomic (the old file or the new one), exact (every bit).

Two kinds of file, both safetensors, each with a description in its header and a fingerprint of all that it holds:

- weights, `model.safetensors`: the averaged network and the configuration to rebuild it. Enough to draw with.
- state, `state.safetensors`: all that training needs to go on as if it had never stopped.

What is in them, number by number: docs/reference/files.md.
"""

import hashlib
import json
from pathlib import Path
from reprlib import repr as short  # of a file's own words: cut to a few, and no control characters
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, nn

from .config import Config
from .denoiser import UNet
from .errors import DinoError, first_line, typed
from .files import replacing, what_it_is
from .speed import to_fast_layout

WEIGHTS, STATE = "model.safetensors", "state.safetensors"
HALF = "float16"  # how a file says that its weights were rounded
FORMAT = 2  # raise it when an older dino could no longer read the files


def write(path: Path, kind: str, tensors: dict[str, Tensor], about: dict[str, Any]) -> None:
    """Write tensors and their description to `path`, whole or not at all.

    Args:
        kind: "weights" or "state".
        tensors: by their names, on any device.
        about: what to say of them, fit for JSON.

    Raises:
        DinoError: it could not be written, say as the disk is full.
    """
    # safetensors wants plain row-major memory; channels-last weights get their layout back when they are loaded.
    plain = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    description = {"format": FORMAT, "kind": kind, "about": about, "sha256": _fingerprint(plain, about)}
    # One entry holds it all, as safetensors keeps entries in no fixed order and equal runs should give equal files.
    with replacing(path) as temporary:
        temporary.write_bytes(save(plain, metadata={"dino": json.dumps(description)}))


def read(path: Path, kind: str) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Read what `write` wrote, and hold it against its fingerprint.

    Args:
        kind: what it must be, "weights" or "state".

    Returns:
        The tensors by their names, on the CPU, and what the file says about them.

    Raises:
        DinoError: there is no such file, it is damaged, of another program or version, or of the other kind.
    """
    about, fingerprint = _describe(path, kind)
    try:
        with safe_open(path, framework="pt") as file:
            # Copies: the tensors as they come stay tied to the open file, which Windows then refuses to replace.
            tensors = {name: file.get_tensor(name).clone() for name in file.keys()}  # noqa: SIM118 (it is no dict)
        if _fingerprint(tensors, about) == fingerprint:
            return tensors, about
    # Numbers of a kind that torch hasn't; lists in lists without end; a side that is longer than torch can count.
    except (SafetensorError, RecursionError, TypeError):
        pass
    raise DinoError(f"{path} is damaged: what it holds is not what was saved. Take a copy that is whole")


def _describe(path: Path, kind: str) -> tuple[dict[str, Any], str]:
    if not path.is_file():
        raise DinoError(f"there is no file {path}. Give a run folder, or make one with: {typed('dino train')}")
    try:
        with safe_open(path, framework="pt") as file:
            header = (file.metadata() or {}).get("dino", "")
    except (SafetensorError, OSError) as error:
        raise DinoError(f"{path} {what_it_is(path)}") from error
    try:
        description = json.loads(header)
        found, version, about = description["kind"], description["format"], dict(description["about"])
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise DinoError(f"{path} was not written by dino. Give a run folder or a model.safetensors of one") from error
    if version != FORMAT:
        raise DinoError(
            f"{path} is of another version of dino (format {short(version):.80}, here {FORMAT}). Use that version"
        )
    if found != kind:
        raise DinoError(
            f"{path} holds {short(found):.80}, and {kind} is needed. A run folder has both: {WEIGHTS} and {STATE}"
        )
    return about, description.get("sha256", "")


def _fingerprint(tensors: dict[str, Tensor], about: dict[str, Any]) -> str:
    digest = hashlib.sha256(json.dumps(about, sort_keys=True).encode())
    for name, tensor in sorted(tensors.items()):
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        digest.update(tensor.reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()


# ---- a network to draw with -----------------------------------------------------------------------------------------


def save_model(path: Path, model: nn.Module, about: dict[str, Any], *, half: bool = False) -> None:
    """Save a network.

    Args:
        model: a `UNet`.
        about: what to say of it, fit for JSON. Its "config" must hold "size", "channels", "widths" and "depths".
        half: whether to round the numbers to 16 bits: a file of half the size, enough to draw with.

    Raises:
        DinoError: it could not be written, say as the disk is full.
    """
    weights = model.state_dict()
    if half:
        weights, about = {name: weight.half() for name, weight in weights.items()}, about | {"stored": HALF}
    write(path, "weights", weights, about)


def load_model(path: Path, device: torch.device | str = "cpu") -> tuple[UNet, dict[str, Any]]:
    """Load a network, ready to draw, from a weights file or a run folder; and what the file says about it.

        model, about = load_model(Path("runs/quick-1"))
        pictures = generate(model, 16, image_shape=shape_of(about))

    The network is on `device`, in float32 and in eval mode.

    Raises:
        DinoError: as `read`, or the weights do not fit the network that the file describes.
    """
    path = path / WEIGHTS if path.is_dir() else path
    weights, about = read(path, "weights")
    _, model = blueprint(path, about)
    if about.get("stored") == HALF:
        weights = {name: weight.float() if weight.dtype == torch.half else weight for name, weight in weights.items()}
    check_fit(path, model.state_dict(), weights)
    model.load_state_dict(weights, assign=True)
    return to_fast_layout(model, device).eval(), about


def blueprint(path: Path, about: dict[str, Any]) -> tuple[Config, UNet]:
    """The configuration that a file describes, and its network, whose weights take no memory yet.

    Raises:
        DinoError: the description can't be true, say as such a network is larger than the file.
    """
    counts, size = {name: about.get(name, 0) for name in ("step", "images_seen", "n_pictures")}, path.stat().st_size
    try:
        config = Config.from_dict(about.get("config"), required=("size", "channels", "widths", "depths"))
        if not all(type(count) is int and 0 <= count < 2**63 for count in counts.values()):
            raise DinoError(f"not all are counts of {short(counts)}")
        if 200 * sum(config.depths) < size:  # a Block takes some hundred bytes of header alone
            with torch.device("meta"):
                model = UNet(config.channels, config.widths, config.depths)
            each = 2 if about.get("stored") == HALF else 4  # bytes
            if each * sum(weight.numel() for weight in model.parameters()) < size:
                return config, model
        raise DinoError("such a network is larger than the file")
    except (DinoError, RuntimeError) as error:  # torch's own where the weights are too many to count
        raise DinoError(
            f"{path} does not describe its network rightly: {first_line(error):.200}. Take another copy"
        ) from error


# ---- a run to go on with --------------------------------------------------------------------------------------------

SLOTS = ("step", "exp_avg", "exp_avg_sq", "max_exp_avg_sq")  # what AdamW with amsgrad remembers of each weight


def state_of(networks: dict[str, nn.Module], optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
    """All tensors of networks and optimizer, each under its own name."""
    tensors = {f"{name}.{key}": tensor for name, net in networks.items() for key, tensor in net.state_dict().items()}
    for index, slots in optimizer.state_dict()["state"].items():
        tensors |= {f"optimizer.{index}.{slot}": slots[slot] for slot in SLOTS}
    return tensors


def restore(
    path: Path, tensors: dict[str, Tensor], networks: dict[str, nn.Module], optimizer: torch.optim.Optimizer
) -> None:
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


def check_fit(path: Path, expected: dict[str, Tensor], found: dict[str, Tensor]) -> None:
    """Compare names, shapes and kinds of numbers.

    Raises:
        DinoError: they differ; it names the first difference.
    """
    for prefix, whose in (("_orig_mod.", "torch.compile"), ("module.", "DistributedDataParallel")):
        if found and all(name.startswith(prefix) for name in found):
            raise DinoError(f"{path} holds a network wrapped by {whose} (names in {prefix}...). Save what is inside")
    for name in sorted(expected.keys() | found.keys()):
        want, have = (_in_words(tensors[name]) if name in tensors else "absent" for tensors in (expected, found))
        if want != have:
            raise DinoError(f"{path} does not fit its own description: {name!r:.80} should be {want} and is {have}")


def _in_words(tensor: Tensor) -> str:
    return f"{tuple(tensor.shape)!s:.60} {str(tensor.dtype).removeprefix('torch.')}"
