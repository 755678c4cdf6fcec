"""The milestone after lesson 04: are the images that a learner's own model draws close to real ones?

The distance is that of `dino evaluate`, in units of the distance between real images. The bar was measured for the
dinosaurs at 32 pixels. Other data sets have other distances, so there it means nothing.
"""

import math
from dataclasses import dataclass

from ..trainer.config import Config
from ..trainer.presets import PRESETS

N_IMAGES = 64  # to draw: one group, as `dino evaluate` compares them
BAR = 2.0  # complete runs of the preset `quick` reach 1.5 or less, and runs with a bug that shows are above 2.5
ENOUGH = PRESETS["quick"].n_images


def has_bar(config: Config) -> bool:
    """Return whether the bar is known for a run of this configuration."""
    return (config.data, config.size, config.channels) == ("dinos", 32, 3)


@dataclass(frozen=True)
class Milestone:
    """The distance of a model's images to real ones, and how long it trained."""

    distance: float | None  # None if it isn't known
    images_seen: int

    @property
    def passed(self) -> bool:
        """True if the distance is within the bar."""
        return self.distance is not None and self.distance <= BAR

    def in_words(self) -> str:
        """Return the verdict, with the numbers."""
        if self.distance is None or not math.isfinite(self.distance):
            return f"not yet: the images can't be compared with real ones, and the bar is a distance of {BAR:.1f}"
        yours = f"yours {self.distance:.1f}, where 1.0 is as close as real images are to each other"
        if self.passed:
            return f"passed: whole dinosaurs, at a distance of at most {BAR:.1f} from real ones ({yours})"
        return f"not yet: whole dinosaurs have a distance of at most {BAR:.1f} from real ones ({yours})"

    @property
    def needs_training(self) -> bool:
        """True if the model has seen fewer images than it needs, so that nothing may be wrong with it."""
        return self.images_seen < 0.9 * ENOUGH

    def advice(self) -> str:
        """Return what to look at if the distance is too large."""
        if self.needs_training:
            return f"the model has seen {self.images_seen:,} images, and the bar is for {ENOUGH:,}. Train it longer"
        return "the model has seen enough images, so look for a bug. Ask the doctor"
