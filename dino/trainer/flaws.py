"""Flaws: small mistakes in training images, so that a network learns to repair its own.

In training, what is under the noise is always a real image. In sampling, it is what the network itself has drawn so
far, with soft edges, crooked lines and smudges. The network never saw such images, so it keeps their mistakes. Ning et
al. 2023 (arXiv:2301.11706) hide a little more noise than the noise level says. Here it sees mistakes like its own.
"""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

SPOT = 8  # pixels from one spot of a mask to the next
SCALES = (2, 4, 8)  # pixels from one bump of a random field to the next
BEND = 1.6  # pixels by which an image is bent at most, in standard deviations
SMUDGE = 0.3  # how strong smudges are at most, in standard deviations
SOFT = 3  # how often an image is blurred at most, with weights 1, 2, 1


def add_flaws(clean: Tensor, share: float, *, generator: torch.Generator | None = None) -> Tensor:
    """Return copies of images with mistakes: blurred in places, bent, and smudged.

    Args:
        clean: images in [0, 1], shape (N, C, H, W).
        share: of the images that get a mistake, for each of the three kinds on its own, in [0, 1].
        generator: where the random numbers come from, on the device of `clean`. By default torch's global one.

    Returns:
        The copies, of the same shape. Smudges may leave [0, 1].
    """
    draw = _Draw(clean, share, generator)
    flawed = torch.lerp(clean, _blur(clean, draw), draw.strength() * draw.spots())
    flawed = _bend(flawed, BEND * draw.strength().square() * draw.bumps(2))
    return flawed + SMUDGE * draw.strength().square() * draw.spots() * draw.bumps(clean.shape[1])


class _Draw:
    """Random numbers for a batch of images. Nothing here makes the host wait for a GPU."""

    def __init__(self, clean: Tensor, share: float, generator: torch.Generator | None) -> None:
        self.n, self.height, self.width, self.share = len(clean), *clean.shape[2:], share
        self.options: dict[str, Any] = {"device": clean.device, "dtype": clean.dtype, "generator": generator}

    def uniform(self) -> Tensor:
        """Return a number in [0, 1) for each image: shape (N, 1, 1, 1)."""
        return torch.rand(self.n, 1, 1, 1, **self.options)

    def strength(self) -> Tensor:
        """Return how strong a mistake is in each image: in [0, 1) for a share of them, and 0 for the others."""
        return self.uniform() * (self.uniform() < self.share)

    def field(self, channels: int, scale: int) -> Tensor:
        """Return random bumps, `scale` pixels apart, with mean 0: shape (N, channels, H, W)."""
        shape = (self.n, channels, self.height // scale + 2, self.width // scale + 2)  # with bumps beyond the edges
        whole = F.interpolate(
            torch.randn(shape, **self.options), scale_factor=scale, mode="bilinear", align_corners=False
        )
        return whole[..., scale // 2 :, scale // 2 :][..., : self.height, : self.width]

    def bumps(self, channels: int) -> Tensor:
        """Return a field for each image, of one of the scales."""
        chosen = (len(SCALES) * self.uniform()).floor()
        return torch.stack([(chosen == k) * self.field(channels, scale) for k, scale in enumerate(SCALES)]).sum(0)

    def spots(self) -> Tensor:
        """Return where mistakes are, (N, 1, H, W): near 1 in about half of an image and near 0 in the rest."""
        return torch.sigmoid(4 * self.field(1, SPOT))


def _blur(images: Tensor, draw: _Draw) -> Tensor:
    """Blur each image a little or more."""
    line = torch.tensor([0.25, 0.5, 0.25], device=images.device, dtype=images.dtype)
    kernel = torch.outer(line, line).expand(images.shape[1], 1, 3, 3)
    blurred = [images]
    for _ in range(SOFT):
        padded = F.pad(blurred[-1], (1, 1, 1, 1), mode="replicate")
        blurred.append(F.conv2d(padded, kernel, groups=images.shape[1]))
    return torch.where(draw.uniform() < 0.5, blurred[1], blurred[-1])


def _bend(images: Tensor, moves: Tensor) -> Tensor:
    """Take each pixel from another place, `moves` pixels to the right and down, shape (N, 2, H, W)."""
    height, width = images.shape[2:]
    rows, columns = (torch.arange(side, device=images.device, dtype=images.dtype) for side in (height, width))
    x, y = columns + moves[:, 0], rows[:, None] + moves[:, 1]
    # grid_sample measures places from the center of an image, in halves of its sides.
    places = torch.stack([(2 * x + 1) / width - 1, (2 * y + 1) / height - 1], dim=-1)
    return F.grid_sample(images, places, mode="bilinear", padding_mode="border", align_corners=False)
