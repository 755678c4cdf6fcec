"""Dino Diffusion: a bare-bones diffusion model, one file for each lesson of the course, and a fast trainer.

    import dino

    model, metadata = dino.load_model("pretrained")
    images = dino.generate(model, 16, image_shape=dino.image_shape(metadata))
    dino.save_grid(images, "sixteen.png")

The names in `__all__` are imported when they are first used, so that `import dino` costs no more than importing torch.
"""

import importlib
from typing import TYPE_CHECKING

from .common.version import VERSION

if TYPE_CHECKING:  # what the lazy import below gives, for editors and type checkers
    from .common.errors import DinoError, DinoWarning
    from .common.grids import save_grid
    from .data.loading import load_images
    from .denoiser import UNet
    from .sampler import denoise, generate
    from .trainer.batched_sampling import generate_as_saved
    from .trainer.config import Config
    from .trainer.model_file import image_shape, load_model
    from .trainer.presets import PRESETS
    from .trainer.run import train
    from .trainer.trainer import Trainer

__version__ = VERSION

__all__ = [
    "PRESETS", "Config", "DinoError", "DinoWarning", "Trainer", "UNet", "__version__", "denoise", "generate",
    "generate_as_saved", "image_shape", "load_images", "load_model", "save_grid", "train",
]  # fmt: skip

_HOME = {
    "DinoError": "common.errors", "DinoWarning": "common.errors", "save_grid": "common.grids",
    "load_images": "data.loading", "UNet": "denoiser", "denoise": "sampler", "generate": "sampler",
    "generate_as_saved": "trainer.batched_sampling", "Config": "trainer.config", "image_shape": "trainer.model_file",
    "load_model": "trainer.model_file", "PRESETS": "trainer.presets", "train": "trainer.run",
    "Trainer": "trainer.trainer",
}  # fmt: skip


def __getattr__(name: str) -> object:
    """Import a public name when it is first used."""
    if name not in _HOME:
        raise AttributeError(f"module 'dino' has no attribute {name!r}")
    value = getattr(importlib.import_module(f".{_HOME[name]}", __name__), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
