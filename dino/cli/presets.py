"""Choosing a preset, for the commands that train."""

from typing import TYPE_CHECKING

from ..common.errors import DinoError
from .output import say

if TYPE_CHECKING:
    import torch


def preset_for(name: str | None, device: "torch.device") -> str:
    """Return the name of the chosen preset, by default the one that suits the device. Prints the name and the reason.

    Raises:
        DinoError: if there is no such preset.
    """
    from ..trainer.presets import PRESETS, choose_preset

    name, why = (name, "as asked for") if name else choose_preset(device)
    if name not in PRESETS:
        raise DinoError(f"there is no preset {name}. Choose {', '.join(PRESETS)}")
    say("preset", f"{name}: {why}")
    return name
