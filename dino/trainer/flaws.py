"""Flaws: small mistakes in training images, so that a network learns to repair its own.

In training, what is under the noise is always a real image. In sampling, it is what the network itself has drawn so
far, with soft edges, crooked lines and smudges. The network never saw such images, so it keeps their mistakes. Ning et
al. 2023 (arXiv:2301.11706) show it a little more noise than it is told of. Here it sees mistakes like its own.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

SPOT = 8  # pixels from one spot of a mask to the next
SCALES = (2, 4, 8)  # pixels from one bump of a random field to the next
BEND = 1.6  # pixels by which an image is bent at most, in standard deviations
SMUDGE = 0.3  # how strong smudges are at most, in standard deviations
SOFT = (1, 3)  # how often an image is blurred with weights 1, 2, 1


def add_flaws(clean: Tensor, share: float, *, generator: torch.Generator | None = None) -> Tensor:
    """Return copies of images with mistakes: blurred in places, bent, and smudged.

    Args:
        clean: images in [0, 1], shape (N, C, H, W).
        share: of the images that get a mistake, for each of the three kinds on its own, in [0, 1].
        generator: where the random numbers come from, on the device of `clean`. By default torch's global one.

    Returns:
        The copies, of the same shape. Smudges may leave [0, 1].
    """
    blurred = torch.lerp(clean, _blur(clean, generator), _strength(clean, share, generator) * _spots(clean, generator))
    bent = _bend(blurred, BEND * _strength(clean, share, generator).square(), generator)
    strength = SMUDGE * _strength(clean, share, generator).square()
    return bent + strength * _spots(clean, generator) * _field(
        clean, clean.shape[1], _scale(generator, clean), generator
    )


def _strength(clean: Tensor, share: float, generator: torch.Generator | None) -> Tensor:
    """Draw how strong a mistake is in each image, uniform in [0, 1) for a share of them and 0 for the others."""
    strength, chosen = torch.rand(2, len(clean), 1, 1, 1, generator=generator, device=clean.device, dtype=clean.dtype)
    return strength * (chosen < share)


def _scale(generator: torch.Generator | None, clean: Tensor) -> int:
    return SCALES[int(torch.randint(len(SCALES), (), generator=generator, device=clean.device))]


def _field(clean: Tensor, channels: int, scale: int, generator: torch.Generator | None) -> Tensor:
    """Draw random bumps, `scale` pixels apart, with mean 0: shape (N, channels, H, W)."""
    height, width = clean.shape[2:]
    shape = (len(clean), channels, height // scale + 2, width // scale + 2)  # at the edges too, there is a bump beyond
    bumps = torch.randn(shape, generator=generator, device=clean.device, dtype=clean.dtype)
    whole = F.interpolate(bumps, scale_factor=scale, mode="bilinear", align_corners=False)
    return whole[..., scale // 2 :, scale // 2 :][..., :height, :width]


def _spots(clean: Tensor, generator: torch.Generator | None) -> Tensor:
    """Draw where mistakes are: shape (N, 1, H, W), near 1 in about half of an image and near 0 in the rest."""
    return torch.sigmoid(4 * _field(clean, 1, SPOT, generator))


def _blur(images: Tensor, generator: torch.Generator | None) -> Tensor:
    """Blur a batch a little or more."""
    times = SOFT[int(torch.randint(len(SOFT), (), generator=generator, device=images.device))]
    line = torch.tensor([0.25, 0.5, 0.25], device=images.device, dtype=images.dtype)
    kernel = torch.outer(line, line).expand(images.shape[1], 1, 3, 3)
    for _ in range(times):
        images = F.conv2d(F.pad(images, (1, 1, 1, 1), mode="replicate"), kernel, groups=images.shape[1])
    return images


def _bend(images: Tensor, pixels: Tensor, generator: torch.Generator | None) -> Tensor:
    """Move each image's pixels along a random field, by about as many pixels as `pixels` says, shape (N, 1, 1, 1)."""
    size = torch.tensor(images.shape[:1:-1], device=images.device, dtype=images.dtype)  # width and height
    moves = (pixels * _field(images, 2, _scale(generator, images), generator)).permute(0, 2, 3, 1) * 2 / size
    still = F.affine_grid(
        torch.eye(2, 3, device=images.device, dtype=images.dtype).expand(len(images), 2, 3),
        list(images.shape),
        align_corners=False,
    )
    return F.grid_sample(images, still + moves, mode="bilinear", padding_mode="border", align_corners=False)
