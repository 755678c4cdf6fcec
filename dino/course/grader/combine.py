"""The parts of a model (lessons 00 to 04), the learner's where their lesson passes and dino's otherwise.

    from dino.course.parts import parts
    mine = parts()
    noisy, noise_level = mine.noise.add_noise(clean)

Whose each of them is, `mine.whose` says.
"""

import contextlib
import importlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

import torch
from torch import nn

from ...common.errors import DinoError
from ...denoiser import UNet
from ...trainer import custom
from ..curriculum import MAKING
from .loader import load
from .weight_matching import transplant, weights_used

# Which names of its file an earlier lesson provides: there a learner's own take the place of dino's.
BORROWED = {"training": {"add_noise": "noise"}}


@dataclass(frozen=True)
class Parts:
    """The files of the lessons, each the learner's or dino's, and whose they are."""

    images: ModuleType
    noise: ModuleType
    denoiser: ModuleType
    training: ModuleType
    sampler: ModuleType
    whose: dict[str, str]  # "yours" or "dino's" for each name
    why: dict[str, str]  # in a few words

    def for_training(self) -> custom.Parts:
        """What the full trainer is made of."""
        own_network = translate if self.whose["denoiser"] == "yours" else None
        return custom.Parts(self.images, self.denoiser, self.training, self.sampler, own_network)


def assemble(mine: dict[str, ModuleType], why: dict[str, str] | None = None) -> Parts:
    """These files of the learner's, and dino's for the rest, connected with each other."""
    files = {lesson.name: mine.get(lesson.name) or importlib.import_module(f"dino.{lesson.name}") for lesson in MAKING}
    for name, borrowed in BORROWED.items():
        for function, lender in borrowed.items():
            if name not in mine and lender in mine:
                # A copy of dino's own, for dino's own must stay as it is. It comes with the learner's function, so
                # that whose `name` is says nothing of whose `lender` is.
                files[name] = load(Path(str(files[name].__file__)), package="dino")
            if name in mine or lender in mine:
                setattr(files[name], function, getattr(files[lender], function))
    whose = {name: "yours" if name in mine else "dino's" for name in files}
    return Parts(**files, whose=whose, why=why or dict.fromkeys(files, ""))


def translate(own: nn.Module, plain: UNet) -> None:
    """Copy the weights of a learner's UNet, however it is built, into dino's.

    Raises:
        DinoError: the two don't compute the same.
    """
    weight, side = next(own.parameters()), 2 ** (len(plain.down) - 1)
    channels = len(plain.head[-1].get_parameter("bias"))
    noisy = torch.rand(1, channels, side, side, generator=torch.Generator().manual_seed(0)).to(weight)
    question = (noisy, torch.full((1, 1, 1, 1), 0.5).to(weight))

    @torch.no_grad()
    def same() -> bool:
        return torch.allclose(own(*question), plain(*question), atol=1e-3)

    with _asking_for_gradients(own):  # by which its weights are found
        used = weights_used(own, *question)
    if not transplant(used, weights_used(plain, *question), same):
        raise DinoError("your UNet computes something else than dino's, and can't be saved. Run: pytest lessons/02")


@contextlib.contextmanager
def _asking_for_gradients(network: nn.Module) -> Iterator[None]:
    wanted = [weight.requires_grad for weight in network.parameters()]
    try:
        network.requires_grad_(True)
        yield
    finally:
        for weight, want in zip(network.parameters(), wanted, strict=True):
            weight.requires_grad_(want)
