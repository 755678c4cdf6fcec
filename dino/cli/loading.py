"""Loading a model, for the commands that draw with one."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..common.errors import DinoError
from .output import say

if TYPE_CHECKING:
    from ..denoiser import UNet
    from ..rosetta import VelocityDenoiser
    from ..steering import ConditionalDenoiser


def load(
    weights: Path | None, device: str
) -> "tuple[UNet | ConditionalDenoiser | VelocityDenoiser, dict[str, Any], Path]":
    """Return the model to draw with, the metadata of its file, and the folder to write to. Prints the model's name."""
    from ..trainer.device import choose_device
    from ..trainer.model_file import PRETRAINED, load_model
    from ..trainer.run_folder import find_weights

    path, folder = find_weights(weights)
    model, metadata = load_model(path, choose_device(device))
    name = "the pretrained model" if path in PRETRAINED.values() else weights or path
    seen = metadata.get("images_seen")
    say("model", f"{name}, trained on {'an unknown number of' if seen is None else f'{seen:,}'} images")
    return model, metadata, folder


def real_images(metadata: dict[str, Any], data: str | None, split: str | None) -> tuple[str, str]:
    """Return the source and split of real images, by default those the model was trained on.

    Raises:
        DinoError: if no source was given, and the weights don't name one.
    """
    config = metadata["config"]
    source = data or config.get("data")
    if source is None:
        raise DinoError("these weights don't say which images they were trained on. Name some with --data")
    return source, split or config.get("split", "train")
