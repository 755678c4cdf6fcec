"""Lesson 05: is it any good? Numbers that need no download, for a network and for the pictures that it makes.

- `loss_by_noise_level`: how well it denoises. On pictures that it has never seen, this says whether it still learns.
- `sliced_wasserstein`: how far generated pictures are from real ones, taken as two crowds of small patches.
- `nearest_neighbors`: which real pictures come closest to each generated one. Has it only learned them by heart?
"""

from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .images import seeded
from .noise import mix

PATCH = 7  # pixels, the side of a patch
N_PATCHES = 128  # of each picture, at each level of the pyramid
N_DIRECTIONS = 512  # along which two crowds of patches are compared
COARSEST = 16  # pixels; the pyramid's smallest level is no smaller
AT_ONCE = 256  # pictures; more would need much memory at once


@torch.no_grad()
def loss_by_noise_level(model: nn.Module, images: Tensor, levels: Sequence[float]) -> Tensor:
    """The mean squared error of the network's guess, at each of several noise levels.

    Noise is drawn from a fixed seed. It is the same at each level and in each call, so that two numbers differ by what
    they compare and not by luck.

    Args:
        model: called as model(noisy, noise_level), with a level of shape (1, 1, 1, 1).
        images: clean, float, (N, C, H, W).
        levels: in [0, 1].

    Returns:
        One error per level: shape (len(levels),), on the device and of the dtype of the images.
    """
    noise = torch.rand(images.shape, generator=seeded(images.device, "loss by noise level"), device=images.device)
    losses = []
    for level in torch.as_tensor(levels).to(images).view(-1, 1, 1, 1, 1):
        parts = zip(images.split(AT_ONCE), noise.to(images).split(AT_ONCE), strict=True)
        squares = [(model(mix(clean, noise, level), level) - clean).square().sum() for clean, noise in parts]
        losses.append(torch.stack(squares).sum() / images.numel())
    return torch.stack(losses)


def laplacian_pyramid(images: Tensor, n_levels: int) -> list[Tensor]:
    """Split pictures by the size of their details, finest first.

    Each level but the last holds what is lost when a picture is halved, by averaging 2 x 2 pixels, and doubled again,
    by repeating each pixel. The last is the picture as small as it got. (Burt and Adelson 1983, with a smoother blur.)

    Args:
        images: (N, C, H, W), their height and width divisible by 2 ** (n_levels - 1).

    Returns:
        n_levels tensors: (N, C, H, W), (N, C, H / 2, W / 2) and so on.
    """
    levels = []
    for _ in range(n_levels - 1):
        smaller = F.avg_pool2d(images, 2)
        levels.append(images - F.interpolate(smaller, scale_factor=2))
        images = smaller
    return [*levels, images]


def n_levels_for(images: Tensor) -> int:
    """How many levels a pyramid has whose last is as small as it gets by halving, but not below `COARSEST`."""
    n_levels, sides = 1, images.shape[2:]
    while all(side % 2**n_levels == 0 and side // 2**n_levels >= COARSEST for side in sides):
        n_levels += 1
    return n_levels


def patches(images: Tensor, places: Tensor) -> Tensor:
    """Cut squares of `PATCH` pixels a side out of all pictures, at the same places in each.

    Args:
        images: (N, C, H, W).
        places: whole numbers, (M, 2): row and column of each patch's upper left pixel.

    Returns:
        One patch per row: (N * M, C * PATCH * PATCH).
    """
    windows = images.unfold(2, PATCH, 1).unfold(3, PATCH, 1)  # (N, C, rows, columns, PATCH, PATCH), nothing copied
    chosen = windows[:, :, places[:, 0], places[:, 1]]  # (N, C, M, PATCH, PATCH)
    return chosen.transpose(1, 2).flatten(0, 1).flatten(1)


def sliced_distance(points_a: Tensor, points_b: Tensor, directions: Tensor) -> Tensor:
    """How far two crowds of points are apart, seen along many directions.

    Along one direction each crowd is a list of numbers. Sorted, the lists are compared number by number; that is the
    least total way the one crowd must move to become the other. (The sliced Wasserstein distance, Rabin et al. 2011.)

    Args:
        points_a: (M, D).
        points_b: (M, D), equally many.
        directions: (D, K), each column of length 1.

    Returns:
        The mean difference over points and directions: a scalar tensor.
    """
    # A row for each direction: side by side in memory, its numbers are sorted twice as fast.
    along_a, along_b = (_sorted(directions.T @ points.T) for points in (points_a, points_b))
    return (along_a - along_b).abs().mean()


def _sorted(rows: Tensor) -> Tensor:
    """The numbers of each row in order."""
    if rows.is_cpu and not rows.requires_grad:
        # The same numbers. numpy sorts with the widest instructions of the processor and keeps no indices: five times
        # as fast, and sorting is most of the work.
        return torch.from_numpy(np.sort(rows.numpy()))
    return torch.sort(rows).values


@torch.no_grad()
def sliced_wasserstein(images_a: Tensor, images_b: Tensor, *, generator: torch.Generator | None = None) -> float:
    """How far two sets of pictures are apart, by their patches at several sizes of detail.

    After Karras et al. 2018 (progressive growing of GANs): a Laplacian pyramid down to 16 pixels; at each level 128
    patches of 7 x 7 a picture, scaled to a standard deviation of 1; 512 random directions; the mean over the levels.
    Unlike there, the patches lie at the same places in all pictures, and both sets are scaled alike. So equal sets are
    exactly 0 apart, their order doesn't matter, and a set that is grayer than the other is further away.

    Args:
        images_a: (N, C, H, W), at least 7 pixels high and wide.
        images_b: equally many, of the same shape.
        generator: chooses places and directions. It must live on the device of the images.

    Returns:
        0 or more, in standard deviations of the patches.

    Raises:
        ValueError: the sets differ in number or shape.
    """
    if images_a.shape != images_b.shape:
        raise ValueError(f"the sets must be equal in shape, not {tuple(images_a.shape)} and {tuple(images_b.shape)}")
    distances = []
    pyramids = (laplacian_pyramid(images, n_levels_for(images)) for images in (images_a, images_b))
    for level_a, level_b in zip(*pyramids, strict=True):
        (height, width), device = level_a.shape[2:], level_a.device
        rows = torch.randint(height - PATCH + 1, (N_PATCHES,), generator=generator, device=device)
        columns = torch.randint(width - PATCH + 1, (N_PATCHES,), generator=generator, device=device)
        places = torch.stack([rows, columns], dim=1)
        points_a, points_b = patches(level_a, places), patches(level_b, places)
        scale = torch.cat([points_a, points_b]).std().clamp(min=1e-6)
        directions = torch.randn(points_a.shape[1], N_DIRECTIONS, generator=generator, device=device)
        directions = (directions / directions.norm(dim=0)).to(points_a)
        distances.append(sliced_distance(points_a / scale, points_b / scale, directions))
    return torch.stack(distances).mean().item()


@torch.no_grad()
def nearest_neighbors(samples: Tensor, images: Tensor, k: int = 1) -> tuple[Tensor, Tensor]:
    """For each sample the `k` pictures that differ least from it, nearest first.

    Args:
        samples: (S, C, H, W).
        images: (N, C, H, W), at least k of them.

    Returns:
        Their distances, (S, k): the root of the mean squared difference over all pixels, so that 0 is the same picture
        and 1 is white against black. And their indices among the images, (S, k).
    """
    parts = [torch.cdist(part.flatten(1), images.flatten(1)) for part in samples.split(AT_ONCE)]
    distances, indices = torch.cat(parts).topk(k, largest=False)
    return distances / samples[0].numel() ** 0.5, indices
