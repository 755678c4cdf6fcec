"""The noise of a run: how images are made noisy for training, what the loss is, and what sampling starts from.

A configuration has a kind of noise, a way to draw noise levels, a target that the network predicts, and a weight of the
loss at each noise level. By default all four are those of the lessons.
"""

import math
from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from ..common.errors import DinoError
from ..noise import mix, sample_noise_levels
from ..rosetta import lognormal_levels
from .config import PLAIN, Config
from .flaws import add_flaws

KNEE = 0.1  # the weighting "low" falls with the square of the noise level from about here on
LOWEST = 1e-3  # below this level the velocity loss counts an image as if it were at this level; it is divided by levels


def draw_noise(
    shape: Sequence[int],
    kind: str,
    *,
    generator: torch.Generator | None = None,
    device: torch.device | str | None = None,
    dtype: torch.dtype | None = None,
) -> Tensor:
    """Draw pure noise, in the scale of images in [0, 1].

    Args:
        shape: of the noise, such as (N, C, H, W).
        kind: "uniform", in [0, 1); or "gaussian", with mean 0.5 and standard deviation 0.5, which is 0 and 1 in the
            scale of images in [-1, 1].
        generator: where the random numbers come from, on `device`. By default torch's global one.
        device, dtype: of the result.
    """
    if kind == "gaussian":
        return (1 + torch.randn(tuple(shape), generator=generator, device=device, dtype=dtype)) / 2
    return torch.rand(tuple(shape), generator=generator, device=device, dtype=dtype)


def add_noise(clean: Tensor, config: Config, *, generator: torch.Generator | None = None) -> tuple[Tensor, Tensor]:
    """Mix new noise into images, as a configuration says. With uniform noise and levels it is `dino.noise.add_noise`.

    Args:
        clean: images in [0, 1], shape (N, C, H, W).
        config: its `noise`, `levels` and `flaws` count.
        generator: where the random numbers come from, on the device of `clean`.

    Returns:
        The noisy images, shape (N, C, H, W), and their noise levels, shape (N, 1, 1, 1).
    """
    noise = draw_noise(clean.shape, config.noise, generator=generator, device=clean.device, dtype=clean.dtype)
    draw_levels = lognormal_levels if config.levels == "lognormal" else sample_noise_levels
    noise_level = draw_levels(len(clean), generator=generator, device=clean.device).to(clean.dtype)
    shown = add_flaws(clean, config.flaws, generator=generator) if config.flaws else clean
    return mix(shown, noise, noise_level), noise_level


def loss_of(denoised: Tensor, clean: Tensor, noise_level: Tensor, config: Config) -> Tensor:
    """Return the loss of a configuration, from the predictions of the images.

    It is the mean squared error of what the network predicts. A network that predicts image minus noise, in [-1, 1], is
    off by 2 / t times as much as its prediction of the image; see `VelocityDenoiser`.

    Args:
        denoised: the prediction of the images, shape (N, C, H, W).
        clean: the images in [0, 1], of the same shape.
        noise_level: t, shape (N, 1, 1, 1).
        config: its `target` and `weighting` count.
    """
    if config.target == "image" and config.weighting == "even":
        return F.mse_loss(denoised, clean)
    error = denoised - clean
    if config.target == "velocity":
        error = 2 / noise_level.clamp(min=LOWEST) * error
    weight = low_noise_weight(noise_level) if config.weighting == "low" else 1
    return (weight * error.square()).mean()


def low_noise_weight(noise_level: Tensor) -> Tensor:
    """Return how much the error at a noise level t counts if low levels count more: c / (t^2 + KNEE^2).

    With c = KNEE / atan(1 / KNEE) the mean over all levels is 1. The error of an image falls with its noise level, so
    an even loss hardly sees the lowest levels, and the network is careless in the sampler's last steps: areas come out
    mottled, and small things smeared. Without KNEE this is the weight of the velocity, which is infinite at 0.
    """
    return KNEE / math.atan(1 / KNEE) / (noise_level.square() + KNEE**2)


def noise_kind(metadata: dict[str, Any]) -> str:
    """Return the kind of noise that a model starts from, from the metadata of its file. See `draw_noise`."""
    return str(metadata.get("config", PLAIN).get("noise", PLAIN["noise"]))


def check_plain(metadata: dict[str, Any], what: str) -> None:
    """Refuse a model that doesn't predict images from uniform noise.

    Args:
        metadata: of the model's file.
        what: what takes other models only, as the start of a sentence.

    Raises:
        DinoError: if the model has another target or another kind of noise.
    """
    found = {name: metadata["config"].get(name, PLAIN[name]) for name in ("noise", "target")}
    other = ", ".join(f"{name} {value}" for name, value in found.items() if value != PLAIN[name])
    if other:
        raise DinoError(
            f"{what} takes only models that predict images from uniform noise, and this one has {other}. "
            "Train one with the preset quick or full"
        )
