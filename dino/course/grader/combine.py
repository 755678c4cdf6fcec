"""Combining the parts of a model: a learner's files for some lessons, and dino's for the others."""

import contextlib
import importlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

import torch
from torch import nn

from ...common.errors import DinoError, shell_command
from ...denoiser import UNet
from ...trainer import custom
from ..curriculum import PART_LESSONS, STEERING
from .loader import load
from .weight_matching import transplant, weights_used

# What a lesson's file imports from an earlier lesson: by file, the function and the lesson that it comes from.
IMPORTED = {
    "training": {"add_noise": "noise"},
    "steering": {"mix": "noise", "denoise": "sampler", "noise_schedule": "sampler"},
}


@dataclass(frozen=True)
class Parts:
    """The files of lessons 00 to 04 and 06, each the learner's or dino's."""

    images: ModuleType
    noise: ModuleType
    denoiser: ModuleType
    training: ModuleType
    sampler: ModuleType
    steering: ModuleType
    whose: dict[str, str]  # "yours" or "dino's", by the lesson's name
    why: dict[str, str]  # the reason in a few words, by the lesson's name

    def for_training(self) -> custom.Parts:
        """Return the parts as the full trainer takes them."""
        own_network = translate if self.whose["denoiser"] == "yours" else None
        return custom.Parts(self.images, self.denoiser, self.training, self.sampler, self.steering, own_network)


def assemble(mine: dict[str, ModuleType], why: dict[str, str] | None = None) -> Parts:
    """Combine a learner's files with dino's for the other lessons.

    Args:
        mine: the learner's files, by the lesson's name.
        why: the reason why a part is the learner's or dino's, by the lesson's name.
    """
    files = {
        lesson.name: mine.get(lesson.name) or importlib.import_module(f"dino.{lesson.name}") for lesson in PART_LESSONS
    }
    for name, functions in IMPORTED.items():
        if name == STEERING.name and name not in mine:
            continue  # a copy's `ConditionalDenoiser` would be another class, which no file of weights holds
        for function, source in functions.items():
            if name not in mine and source in mine:
                # dino's own file must not change, so a copy of it gets the learner's function.
                files[name] = load(Path(str(files[name].__file__)), package="dino")
            if name in mine or source in mine:
                setattr(files[name], function, getattr(files[source], function))
    whose = {name: "yours" if name in mine else "dino's" for name in files}
    return Parts(**files, whose=whose, why=why or dict.fromkeys(files, ""))


def translate(own: nn.Module, plain: UNet) -> None:
    """Copy the weights of a learner's UNet into dino's, in whatever way the learner's is built.

    Raises:
        DinoError: if the two networks don't compute the same.
    """
    weight, side = next(own.parameters()), 2 ** (len(plain.down) - 1)
    channels = len(plain.head[-1].get_parameter("bias"))
    noisy = torch.rand(1, channels, side, side, generator=torch.Generator().manual_seed(0)).to(weight)
    inputs = (noisy, torch.full((1, 1, 1, 1), 0.5).to(weight))

    @torch.no_grad()
    def same() -> bool:
        return torch.allclose(own(*inputs), plain(*inputs), atol=1e-3)

    with _requiring_gradients(own):  # a weight is recognized by the gradient that it requires
        used = weights_used(own, *inputs)
    if not transplant(used, weights_used(plain, *inputs), same):
        again = shell_command("pytest", "lessons/02")
        raise DinoError(f"your UNet computes something else than dino's, and can't be saved. Run: {again}")


@contextlib.contextmanager
def _requiring_gradients(network: nn.Module) -> Iterator[None]:
    required = [weight.requires_grad for weight in network.parameters()]
    try:
        network.requires_grad_(True)
        yield
    finally:
        for weight, was_required in zip(network.parameters(), required, strict=True):
            weight.requires_grad_(was_required)
