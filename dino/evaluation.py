"""Lesson 05: evaluation. Three measures of a trained network and of its images, none of which needs a download.

- `loss_by_noise_level`: how well the network denoises. On held-out images, this shows whether training still helps.
- `sliced_wasserstein`: the distance between generated and real images, compared as two distributions of small patches.
- `nearest_neighbors`: the real images closest to each generated one. They show whether the network has memorized its
  training images.
"""

from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .images import seeded
from .noise import mix

PATCH = 7  # side of a patch, in pixels
N_PATCHES = 128  # patches of each image, at each level of the pyramid
N_DIRECTIONS = 512  # directions along which two distributions of patches are compared
COARSEST = 16  # no level of the pyramid is smaller than this, in pixels
BATCH = 256  # images processed at once, to limit memory


@torch.no_grad()
def loss_by_noise_level(model: nn.Module, images: Tensor, levels: Sequence[float]) -> Tensor:
    """Return the mean squared error of the network's prediction at each noise level.

    The noise comes from a fixed seed and is the same at every level and in every call. Two results therefore differ
    only because of the model, the images or the levels.

    Args:
        model: called as model(noisy, noise_level), with a level of shape (1, 1, 1, 1).
        images: clean images, float, (N, C, H, W).
        levels: noise levels in [0, 1].

    Returns:
        One error per level: shape (len(levels),), with the device and dtype of the images.
    """
    noise = torch.rand(images.shape, generator=seeded(images.device, "loss by noise level"), device=images.device)
    losses = []
    for level in torch.as_tensor(levels).to(images).view(-1, 1, 1, 1, 1):
        parts = zip(images.split(BATCH), noise.to(images).split(BATCH), strict=True)
        squares = [(model(mix(clean, noise, level), level) - clean).square().sum() for clean, noise in parts]
        losses.append(torch.stack(squares).sum() / images.numel())
    return torch.stack(losses)


def laplacian_pyramid(images: Tensor, n_levels: int) -> list[Tensor]:
    """Split images by the size of their details, the finest first.

    Halving an image averages each 2 x 2 pixels, and doubling repeats each pixel. Every level but the last holds what
    an image loses when it is halved and doubled again. The last level is the smallest image. (Burt and Adelson 1983,
    who used a smoother blur.)

    Args:
        images: (N, C, H, W), with height and width divisible by 2 ** (n_levels - 1).
        n_levels: the number of levels, at least 1.

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
    """Return the number of pyramid levels: images are halved as often as possible, but not below `COARSEST` pixels."""
    n_levels, sides = 1, images.shape[2:]
    while all(side % 2**n_levels == 0 and side // 2**n_levels >= COARSEST for side in sides):
        n_levels += 1
    return n_levels


def patches(images: Tensor, places: Tensor) -> Tensor:
    """Cut square patches out of images, at the same places in every image. The side of a patch is `PATCH` pixels.

    Args:
        images: (N, C, H, W).
        places: integers, (M, 2): the row and column of each patch's upper left pixel.

    Returns:
        One patch per row: (N * M, C * PATCH * PATCH).
    """
    windows = images.unfold(2, PATCH, 1).unfold(3, PATCH, 1)  # (N, C, rows, columns, PATCH, PATCH), a view
    chosen = windows[:, :, places[:, 0], places[:, 1]]  # (N, C, M, PATCH, PATCH)
    return chosen.transpose(1, 2).flatten(0, 1).flatten(1)


def sliced_distance(points_a: Tensor, points_b: Tensor, directions: Tensor) -> Tensor:
    """Return the sliced Wasserstein distance between two sets of points (Rabin et al. 2011).

    Projected onto one direction, each set is a list of numbers. Both lists are sorted and compared number by number.
    The mean difference is the shortest average distance by which points of one set must move to become the other set.

    Args:
        points_a: (M, D).
        points_b: (M, D), the same number of points.
        directions: (D, K), each column of length 1.

    Returns:
        The mean difference over points and directions: a scalar tensor.
    """
    # One row for each direction, because numbers that are adjacent in memory sort twice as fast.
    along_a, along_b = (_sorted(directions.T @ points.T) for points in (points_a, points_b))
    return (along_a - along_b).abs().mean()


def _sorted(rows: Tensor) -> Tensor:
    """Sort the numbers of each row."""
    if rows.is_cpu and not rows.requires_grad:
        # numpy gives the same numbers five times as fast: it uses the processor's widest instructions and keeps no
        # indices. Sorting is most of the work.
        return torch.from_numpy(np.sort(rows.numpy()))
    return torch.sort(rows).values


@torch.no_grad()
def sliced_wasserstein(images_a: Tensor, images_b: Tensor, *, generator: torch.Generator | None = None) -> float:
    """Return the distance between two sets of images, measured on their patches at several sizes of detail.

    This follows Karras et al. 2018 (progressive growing of GANs): a Laplacian pyramid down to 16 pixels; at each level
    128 patches of 7 x 7 pixels per image, scaled to a standard deviation of 1; 512 random directions; the mean over
    the levels. Two things differ from the paper: the patches lie at the same places in all images, and both sets are
    scaled by the same number. Therefore equal sets have a distance of exactly 0, the order of the images doesn't
    matter, and a set with less contrast than the other is further away.

    Args:
        images_a: (N, C, H, W), at least 7 pixels high and wide.
        images_b: the same number of images, of the same shape.
        generator: draws places and directions. It must live on the device of the images.

    Returns:
        The distance, 0 or more, in standard deviations of the patches.

    Raises:
        ValueError: if the sets differ in number or shape.
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
    """Find the `k` images closest to each sample, nearest first.

    The distance between two images is the root of the mean squared difference over all pixels. It is 0 between equal
    images and 1 between white and black.

    Args:
        samples: (S, C, H, W).
        images: (N, C, H, W), at least k of them.
        k: how many neighbors to find.

    Returns:
        The distances, (S, k), and the indices of the neighbors in `images`, (S, k).
    """
    parts = [torch.cdist(part.flatten(1), images.flatten(1)) for part in samples.split(BATCH)]
    distances, indices = torch.cat(parts).topk(k, largest=False)
    return distances / samples[0].numel() ** 0.5, indices
