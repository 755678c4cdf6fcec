"""Weights: the averaged network and the configuration to rebuild it, in one file. Enough to draw with.

    model, about = load_model(Path("runs/quick-1"))
    pictures = generate(model, 16, image_shape=shape_of(about))

The file may come from anywhere, so nothing that it says of itself is believed before it is held against what it holds.
"""

from pathlib import Path
from reprlib import repr as short
from typing import Any

import torch
from torch import nn

from ..common.errors import DinoError, first_line
from ..denoiser import UNet
from .config import Config
from .device import choose_device, to_fast_layout
from .tensor_file import WEIGHTS, check_fit, read, write

HALF = "float16"  # how a file says that its weights were rounded


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


def load_model(path: Path | str, device: torch.device | str = "cpu") -> tuple[UNet, dict[str, Any]]:
    """Load a network, ready to draw, from a weights file or a run folder; and what the file says about it.

        model, about = load_model(Path("runs/quick-1"))
        pictures = generate(model, 16, image_shape=shape_of(about))

    The network is on `device`, in float32 and in eval mode.

    Raises:
        DinoError: as `read`, the weights do not fit the network that the file describes, or there is no such device.
    """
    path = Path(path)
    path = path / WEIGHTS if path.is_dir() else path
    weights, about = read(path, "weights")
    _, model = blueprint(path, about)
    if about.get("stored") == HALF:
        weights = {name: weight.float() if weight.dtype == torch.half else weight for name, weight in weights.items()}
    check_fit(path, model.state_dict(), weights)
    model.load_state_dict(weights, assign=True)
    return to_fast_layout(model, choose_device(str(device))).eval(), about


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


def shape_of(about: dict[str, Any]) -> tuple[int, int, int]:
    """The shape (C, H, W) of the pictures of a network, from what its file says (see `dino.weights`)."""
    channels, size = about["config"]["channels"], about["config"]["size"]
    return channels, size, size
