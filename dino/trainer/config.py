"""What a run learns, and on what: its configuration, the presets, and the device.

    config = PRESETS["quick"]
    longer = dataclasses.replace(config, n_images=2 * config.n_images)

PRESETS holds a `Config` under each name; docs/reference/configuration.md has a table of them.
"""

import math
from dataclasses import dataclass, fields
from reprlib import repr as short  # of a value in a file: cut to a few words, whatever it is
from typing import Any
from unicodedata import category

from ..common.errors import DinoError
from ..data.decoding import MAX_SIZE

MAX_BATCH = 65_536  # more is a slip of the finger


UNFIT_TO_PRINT = ("Cc", "Cs", "Zl", "Zp")  # Unicode's categories of control characters, broken ones, new lines


@dataclass(frozen=True)
class Config:
    """All that decides what a run learns. Lengths are counted in images, so they hold at any batch size.

    Only the warm-up is counted in steps, for it gives the optimizer time to learn how large the gradients are, and it
    learns that step by step. Too few, and a high learning rate kills the network at once (docs/guides/scaling.md).

    Raises:
        DinoError: a value can't be, or two don't go together.
    """

    data: str = "emoji"  # where the pictures come from; see `load_images`
    split: str = "train"  # of a Hugging Face data set
    size: int = 64  # side of the pictures, in pixels; divisible by 2 ** (len(widths) - 1)
    channels: int = 3  # 3 for colour, 1 for gray
    widths: tuple[int, ...] = (64, 64, 64, 64, 64)  # channels inside the network at each resolution, the finest first
    depths: tuple[int, ...] = (2, 2, 2, 2, 2)  # Blocks in a Stage at each resolution; as many numbers as widths
    n_images: int = 861_440  # the run's length; an image counts each time it is seen
    batch_size: int = 16  # images in one step, over all devices
    learning_rate: float = 3e-4  # how far one step moves the weights, at its full height
    warmup: int = 0  # steps over which the learning rate climbs to its full height
    anneal: bool = False  # whether the learning rate falls to 0 along a half cosine, from the first step to the last
    average_half_life: int = 5_540  # images after which a weight counts half in the average
    precision: str = "auto"  # "float32", "bfloat16", or "auto": whichever is faster on the device
    seed: int = 0  # decides every random number of the run

    def __post_init__(self) -> None:
        step = 2 ** (len(self.widths) - 1)
        if self.size < step or self.size % step:
            nearest = sorted({max(step, self.size // step * step), max(step, (self.size // step + 1) * step)})
            raise DinoError(
                f"this network halves its pictures {len(self.widths) - 1} times, so their size must be divisible "
                f"by {step}: instead of {self.size}, take {' or '.join(map(str, nearest))}"
            )
        if len(self.widths) != len(self.depths):
            raise DinoError(f"widths and depths must be equally many, not {len(self.widths)} and {len(self.depths)}")
        for name in ("n_images", "batch_size", "learning_rate", "average_half_life"):
            if not getattr(self, name) > 0:
                raise DinoError(f"{name.replace('_', ' ')} must be more than 0, not {getattr(self, name)}")
        if self.batch_size > MAX_BATCH:
            raise DinoError(f"batch size must be at most {MAX_BATCH:,}, not {self.batch_size:,}")
        for name in ("data", "split"):
            if any(category(character) in UNFIT_TO_PRINT for character in getattr(self, name)):
                raise DinoError(f"{name} must be one line without control characters, not {short(getattr(self, name))}")
        if self.precision not in ("auto", "float32", "bfloat16"):
            raise DinoError(f"precision is auto, float32 or bfloat16, not {short(self.precision)}")

    @property
    def n_steps(self) -> int:
        """The steps of the whole run: `n_images` over `batch_size`, rounded up."""
        return math.ceil(self.n_images / self.batch_size)

    def learning_rate_at(self, step: int) -> float:
        """The learning rate of the step after `step` others, 0 for the first."""
        scale = min(1.0, (step + 1) / max(1, self.warmup))
        if self.anneal:
            scale *= 0.5 + 0.5 * math.cos(math.pi * min(1.0, step / self.n_steps))
        return self.learning_rate * scale

    def decay_at(self, step: int) -> float:
        """The share of itself, in (0, 1), that the average keeps at step number `step`, 1 for the first.

        Early on it forgets faster, or it would remember the random start: its half-life is a tenth of the images seen
        so far, and `average_half_life` at most. EDM ramps its average up like this (Karras et al. 2022,
        arXiv:2206.00364).
        """
        half_life = min(self.average_half_life, step * self.batch_size / 10)
        return 0.5 ** (self.batch_size / half_life)

    @classmethod
    def from_dict(cls, values: Any, required: tuple[str, ...] = ()) -> "Config":
        """The configuration in a file; fields of other versions of dino are left aside.

        Args:
            values: the fields by name, as `json.load` gives them; those that are absent have their defaults.
            required: fields that must be there.

        Raises:
            DinoError: a value is of the wrong kind or beyond all bounds, or one that is required is missing.
        """
        if not isinstance(values, dict) or not values.keys() >= set(required):
            raise DinoError(f"its config lacks one of {', '.join(required)}" if required else "its config has no names")
        chosen = {field.name: values[field.name] for field in fields(cls) if field.name in values}
        for name, value in chosen.items():
            if not _fits(value, getattr(cls, name)):
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


def _fits(value: Any, default: Any) -> bool:
    """Whether a value in a file is of the kind of its field's default, and within what torch and floats can count."""
    if isinstance(default, tuple):
        listed = isinstance(value, (list, tuple)) and 1 <= len(value) <= MAX_SIZE.bit_length()
        return listed and all(_fits(entry, 0) for entry in value)
    if type(value) is not type(default) and not (isinstance(default, float) and type(value) is int):
        return False
    return isinstance(value, str) or abs(value) < 2**63
