"""The configuration of a run: what to train on, with which network, for how long.

    config = PRESETS["quick"]
    longer = dataclasses.replace(config, n_images=2 * config.n_images)

`dino.trainer.presets` holds the presets.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, fields
from reprlib import repr as short  # shortens a value from a file, whatever it is
from typing import Any, cast
from unicodedata import category

import torch
from torch import nn

from ..common.errors import DinoError
from ..data.decoding import MAX_SIZE
from ..data.words import MAX_WORD
from ..denoiser import UNet, conv
from ..rosetta import VelocityDenoiser
from ..steering import ConditionalDenoiser

MAX_WORDS = 1_024
MAX_BATCH = 65_536  # a larger number is taken for a typo
# The ways to compute, which say how fast a run is, and its numbers' last digits. Each field is one of these, or "auto".
METHODS = {
    "precision": ("float32", "bfloat16"),  # the number format of the convolutions
    "layout": ("channels_last", "contiguous"),  # the order of numbers in memory
    "maximum": ("max_pool", "amax"),  # how a `Pool` finds the maximum over an image
}
# What a run trains on, and for. The first value of each is that of the lessons.
NOISING = {
    "noise": ("uniform", "gaussian"),  # the kind of noise
    "target": ("image", "velocity"),  # what the network predicts
    "levels": ("uniform", "lognormal"),  # how noise levels are drawn for training
    "weighting": ("even", "low"),  # which noise levels count more in the loss
}
PLAIN = {name: values[0] for name, values in NOISING.items()}
UNPRINTABLE = ("Cc", "Cs", "Zl", "Zp")  # Unicode's categories of control characters, surrogates and line separators


@dataclass(frozen=True)
class Config:
    """Everything that determines what a run learns.

    Lengths are counted in images, so that they hold at any batch size. Only the warm-up is counted in steps, because
    it gives the optimizer time to learn how large the gradients are, and the optimizer learns that step by step. With
    too short a warm-up, a high learning rate ruins the network at once (docs/guides/scaling.md).

    Raises:
        DinoError: if a value is impossible, or two values contradict each other.
    """

    data: str = "emoji"  # where the images come from; see `load_images`
    split: str = "train"  # of a Hugging Face data set, or of a folder with splits; see `load_images`
    size: int = 64  # side of the images, in pixels; divisible by 2 ** (len(widths) - 1)
    channels: int = 3  # 3 for color, 1 for gray
    widths: tuple[int, ...] = (64, 64, 64, 64, 64)  # channels inside the network at each resolution, the finest first
    depths: tuple[int, ...] = (2, 2, 2, 2, 2)  # Blocks in a Stage at each resolution; as many numbers as widths
    n_images: int = 861_440  # the run's length; an image counts each time it is seen
    batch_size: int = 16  # images in one step, over all devices
    noise: str = "uniform"  # or "gaussian", with mean 0 and standard deviation 1 if images are in [-1, 1]
    target: str = "image"  # what the network predicts; or "velocity", which is image minus noise, in [-1, 1]
    levels: str = "uniform"  # how noise levels are drawn; or "lognormal", so that log sigma has a normal distribution
    weighting: str = "even"  # how much the error at each noise level counts; or "low", where low levels count more
    flaws: float = 0.0  # the share of the images that are shown with each kind of small mistake; see `flaws.add_flaws`
    optimizer: str = "adamw"  # or "muon", which is AdamW for biases and the outer layers only
    learning_rate: float = 3e-4  # how far one step of AdamW moves the weights, at its peak
    matrix_learning_rate: float = 0.01  # how far one step of Muon moves the weights, at its peak
    matrix_decay: float = 0.0  # the share of a matrix, times its learning rate, that is lost in a step; see `Muon`
    warmup: int = 0  # steps over which the learning rate rises to its peak
    anneal: bool = False  # whether the learning rate falls to 0 along a straight line, from the first step to the last
    ema_half_life: int = 5_540  # images after which a weight counts half in the EMA (exponential moving average)
    precision: str = "auto"  # "float32", "bfloat16", or "auto": whichever is faster on the device, found by trial
    layout: str = "auto"  # "channels_last", "contiguous", or "auto"
    maximum: str = "auto"  # "max_pool", "amax", or "auto"
    max_words: int = 0  # how many words to learn, of those that describe the images
    drop_words: float = 0.1  # the share of the images that are shown without any words, for guidance
    hide_words: float = 0.2  # the share of the images that are shown with some of their words, for short requests
    vocabulary: tuple[str, ...] = ()  # the words that the network knows; `Trainer` finds them in the data
    start_from: str = ""  # the weights that the run started from, instead of random ones
    seed: int = 0  # determines every random number of the run

    def __post_init__(self) -> None:
        self._check_size()
        if len(self.widths) != len(self.depths):
            raise DinoError(
                f"widths and depths must have the same length, and have {len(self.widths)} and {len(self.depths)}"
            )
        for name in ("n_images", "batch_size", "learning_rate", "matrix_learning_rate", "ema_half_life"):
            if not 0 < getattr(self, name) < math.inf:
                raise DinoError(f"{name.replace('_', ' ')} must be more than 0 and finite, not {getattr(self, name)}")
        if not 0 <= self.matrix_decay < math.inf:
            raise DinoError(f"matrix decay must be 0 or more and finite, not {self.matrix_decay}")
        if self.batch_size > MAX_BATCH:
            raise DinoError(f"batch size must be at most {MAX_BATCH:,}, not {self.batch_size:,}")
        for name in ("data", "split", "start_from"):
            if any(category(character) in UNPRINTABLE for character in getattr(self, name)):
                raise DinoError(f"{name} must be one line without control characters, not {short(getattr(self, name))}")
        for name, values in NOISING.items():
            if getattr(self, name) not in values:
                raise DinoError(f"{name} is {' or '.join(values)}, not {short(getattr(self, name))}")
        for name, values in METHODS.items():
            if getattr(self, name) not in ("auto", *values):
                raise DinoError(f"{name} is auto, {' or '.join(values)}, not {short(getattr(self, name))}")
        if self.optimizer not in ("adamw", "muon"):
            raise DinoError(f"the optimizer is adamw or muon, not {short(self.optimizer)}")
        if not 0 <= self.max_words <= MAX_WORDS:
            raise DinoError(f"the number of words is 0 to {MAX_WORDS:,}, not {self.max_words:,}")
        for name in ("drop_words", "hide_words", "flaws"):
            if not 0 <= getattr(self, name) <= 1:
                raise DinoError(f"{name.replace('_', ' ')} is a share of the images, 0 to 1, not {getattr(self, name)}")

    def _check_size(self) -> None:
        step = 2 ** (len(self.widths) - 1)
        if self.size < step or self.size % step:
            nearest = sorted({max(step, self.size // step * step), max(step, (self.size // step + 1) * step)})
            raise DinoError(
                f"this network halves its images {len(self.widths) - 1} times, so their size must be divisible by "
                f"{step}: instead of {self.size}, use {' or '.join(map(str, nearest))}"
            )

    @property
    def n_steps(self) -> int:
        """The steps of the whole run: `n_images` over `batch_size`, rounded up."""
        return math.ceil(self.n_images / self.batch_size)

    def new_network(
        self, unet: Callable[..., Any] = UNet, conditional_denoiser: Callable[..., Any] = ConditionalDenoiser
    ) -> Any:
        """Return a new network with random weights: a UNet, in a `ConditionalDenoiser` if there is a vocabulary.

        If its target is the velocity, the network is in a `VelocityDenoiser`, which predicts images as any other does.

        Args:
            unet: dino's UNet, or a class that takes the same arguments.
            conditional_denoiser: dino's ConditionalDenoiser, or a class that takes the same arguments.
        """
        n_words = len(self.vocabulary)
        network = unet(self.channels + n_words, self.widths, self.depths)
        if n_words and isinstance(network, UNet):
            leave_out_unused_outputs(network, self.channels)
        denoiser = conditional_denoiser(network, n_words) if n_words else network
        return VelocityDenoiser(denoiser) if self.target == "velocity" else denoiser

    def schedule_at(self, step: int) -> float:
        """Return the share of the peak learning rate that is used in the step that follows `step` others."""
        scale = min(1.0, (step + 1) / max(1, self.warmup))
        if self.anneal:
            scale *= 1 - min(1.0, step / self.n_steps)
        return scale

    def ema_decay_at(self, step: int) -> float:
        """Return the EMA's decay at step number `step` (1 for the first): the share of itself that it keeps, in (0, 1).

        Early on the EMA forgets faster, because otherwise it would remember the random initial weights. Its half-life
        is a tenth of the images seen so far, and at most `ema_half_life`. EDM ramps its EMA up in the same way (Karras
        et al. 2022, arXiv:2206.00364).
        """
        half_life = min(self.ema_half_life, step * self.batch_size / 10)
        return 0.5 ** (self.batch_size / half_life)

    @classmethod
    def from_dict(cls, values: Any, required: tuple[str, ...] = ()) -> "Config":
        """Return the configuration that a file holds. Fields of other versions of dino are ignored.

        Args:
            values: the fields by name, as `json.load` returns them. Absent fields have their defaults.
            required: fields that must be present.

        Raises:
            DinoError: if a value has the wrong type or is out of bounds, or a required field is missing.
        """
        if not isinstance(values, dict) or not values.keys() >= set(required):
            raise DinoError(
                f"its config lacks one of {', '.join(required)}" if required else "its config is not a table"
            )
        chosen = {field.name: values[field.name] for field in fields(cls) if field.name in values}
        for name, value in chosen.items():
            if not (_is_vocabulary(value) if name == "vocabulary" else _fits(value, getattr(cls, name))):
                raise DinoError(f"{name} should be {getattr(cls, name)!r} or the like, and is {short(value)}")
            if isinstance(value, list):
                chosen[name] = tuple(value)
        config = cls(**chosen)
        if config.channels not in (1, 3) or config.size > MAX_SIZE or min(config.widths) < 1 or min(config.depths) < 0:
            raise DinoError(
                f"no network has {config.channels} channels, size {config.size}, widths {short(config.widths)} and "
                f"depths {short(config.depths)}"
            )
        return config


def leave_out_unused_outputs(network: UNet, channels: int) -> None:
    """Narrow a UNet's last convolution to the channels that are used, which saves a tenth of the time at 32 pixels.

    A `ConditionalDenoiser` uses the first channels of its network's output, as many as an image has.

    Args:
        network: to be changed.
        channels: number of channels of the images.
    """
    last = cast(nn.Conv2d, network.head[-1])
    narrow = conv(last.in_channels, channels).to(last.weight)
    with torch.no_grad():
        for weight, wide in zip(narrow.parameters(), last.parameters(), strict=True):
            weight.copy_(wide[:channels])
    network.head[-1] = narrow


def _is_vocabulary(value: Any) -> bool:
    """Return whether a value from a file is a list of different words, such as `load_labeled_images` finds."""
    if not isinstance(value, (list, tuple)) or len(value) > MAX_WORDS:
        return False
    words = [word for word in value if isinstance(word, str) and word.isalnum() and len(word) <= MAX_WORD]
    return len(set(words)) == len(value)


def _fits(value: Any, default: Any) -> bool:
    """Return whether a value from a file has the type of its field's default, and a size that torch can handle."""
    if isinstance(default, tuple):
        listed = isinstance(value, (list, tuple)) and 1 <= len(value) <= MAX_SIZE.bit_length()
        return listed and all(_fits(entry, 0) for entry in value)
    if type(value) is not type(default) and not (isinstance(default, float) and type(value) is int):
        return False
    return isinstance(value, str) or abs(value) < 2**63
