"""Memorization: has a network learned its training images instead of how to make new ones?

A network that has memorized its training images generates near copies of them. Its images are then closer to the
training images than to held-out ones, by more than unseen real images are.
"""

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor

from ..evaluation import nearest_neighbors
from ..images import to_unit

Neighbors = tuple[Tensor, Tensor]  # distances and indices

# Thresholds of the verdicts. `scripts/benchmarks/copies.py` measured them on images that are known to be new or copied;
# docs/guides/evaluation.md shows the table. The margins are wide because with few held-out images the numbers vary.
MEMORIZED = 0.5  # the quotient: never below 0.8 for new images, never above 0.3 for copies alone
POSSIBLY_MEMORIZED = 0.8  # the quotient
MIN_HELD_OUT = 4  # images to judge by; with fewer, the result would be chance
EQUAL = 1e-3  # the distance below which two images are equal: a quarter of a byte, as black is 0 and white is 1
COPY = 0.5  # nearness ratio of a near copy, relative to the median of unseen images; 85% of copies or more were below
EXCESS = 0.2  # share of near copies beyond that of unseen images; new images exceeded it in 1 of 160 trials

N_PAIRS, PAIRS_PER_ROW = 16, 8  # in `closest_pairs`
BATCH = 4096  # images compared at once, to limit memory


# ---- the verdict ----------------------------------------------------------------------------------------------------


def memorization(samples: Tensor, training: Tensor, held_out: Tensor) -> dict[str, Any]:
    """Measure whether generated images are closer to the training images than unseen real images are.

    Each image has a nearness ratio: its distance to the nearest training image, divided by its distance to the nearest
    held-out image. The ratio is below 1 even for new images, because there are more training images than held-out
    ones. It is therefore compared with the nearness ratios of the held-out images, each measured against the others.

    A held-out image that equals another one has no such ratio, because its distance to the others is 0. If too few
    are left, or most of them equal a training image, memorization can't be judged.

    Args:
        samples: generated images in [0, 1], (S, C, H, W).
        training: uint8, (N, C, H, W).
        held_out: uint8, (M, C, H, W).

    Returns:
        The median nearness ratios of "generated" and of "unseen" images; their "quotient"; the shares of near copies
        among both, "copies" and "unseen_copies"; and a "verdict" in words. If memorization can't be judged, all
        numbers are None, and the verdict says why.
    """
    if len(held_out) < MIN_HELD_OUT:
        return cant_tell(f"{len(held_out)} images are held out, and at least {MIN_HELD_OUT} are needed")
    unseen = to_unit(held_out).to(samples.device)
    to_training, to_others = nearest(unseen, training)[0], nearest(unseen, held_out, exclude_itself=True)[0]
    differs = to_others >= EQUAL
    if differs.sum() < MIN_HELD_OUT:
        return cant_tell(
            f"{int(differs.sum())} of the {len(held_out)} held-out images differ from all others, and at least "
            f"{MIN_HELD_OUT} are needed"
        )
    if to_training[differs].median() < EQUAL:
        return cant_tell("most of the held-out images are equal to training images")
    ratios = _nearness_ratios(nearest(samples, training)[0], nearest(samples, held_out)[0])
    unseen_ratios = _nearness_ratios(to_training[differs], to_others[differs])
    norm = unseen_ratios.median()
    measured = {
        "generated": ratios.median().item(),
        "unseen": unseen_ratios.median().item(),
        "quotient": (ratios.median() / norm).item(),
        "copies": (ratios < COPY * norm).float().mean().item(),
        "unseen_copies": (unseen_ratios < COPY * norm).float().mean().item(),
    }
    return measured | {"verdict": verdict(**measured)}


def verdict(*, quotient: float, copies: float, unseen_copies: float, **_: float) -> str:
    """Say in a sentence what the numbers of `memorization` mean."""
    if quotient < MEMORIZED:
        return "memorized: most of the images are copies of training images, or nearly so"
    if copies > unseen_copies + EXCESS:
        return f"partly memorized: {copies:.0%} of the images are near copies of training images"
    if quotient < POSSIBLY_MEMORIZED:
        return "perhaps partly memorized: closer to the training images than unseen real images usually are"
    return "not memorized: no closer to the training images than unseen real images are"


def cant_tell(reason: str) -> dict[str, Any]:
    """Return the measurements of `memorization` where it can't be judged."""
    numbers = ("generated", "unseen", "quotient", "copies", "unseen_copies")
    return dict.fromkeys(numbers) | {"verdict": f"can't tell whether the images are memorized: {reason}"}


def _nearness_ratios(to_training: Tensor, to_held_out: Tensor) -> Tensor:
    """Divide distances. The ratio is 1 for an image that equals a training image and a held-out one."""
    return to_training.clamp(min=EQUAL) / to_held_out.clamp(min=EQUAL)


# ---- nearest neighbors ----------------------------------------------------------------------------------------------


def nearest(samples: Tensor, images: Tensor, *, exclude_itself: bool = False) -> Neighbors:
    """Find the image nearest to each sample. Mirrored images count too, because training mirrors images at random.

    Args:
        samples: in [0, 1], (S, C, H, W).
        images: uint8, (N, C, H, W).
        exclude_itself: set this when the samples are the images. Then no image, nor its mirror image, is its own
            neighbor.

    Returns:
        The distances as `nearest_neighbors` defines them, (S,), and the indices of the neighbors, (S,). Indices from N
        on stand for the mirrored images, in the same order.
    """
    itself = torch.arange(len(samples), device=samples.device).unsqueeze(1)
    distances, indices = [], []
    for mirrored, first, part in _parts_and_mirrored_parts(images):
        distance, index = nearest_neighbors(samples, part.to(samples.device), k=min(2, len(part)))
        distances.append(distance.masked_fill(index + first == itself, torch.inf) if exclude_itself else distance)
        indices.append(index + first + mirrored * len(images))
    least, column = torch.cat(distances, dim=1).min(dim=1, keepdim=True)
    return least.squeeze(1), torch.cat(indices, dim=1).gather(1, column).squeeze(1)


def _parts_and_mirrored_parts(images: Tensor) -> Iterator[tuple[bool, int, Tensor]]:
    """Yield the images in parts, each as it is and mirrored: (mirrored, index of the first image, part)."""
    for first in range(0, len(images), BATCH):
        part = to_unit(images[first : first + BATCH])
        yield False, first, part
        yield True, first, part.flip(-1)


def closest_pairs(samples: Tensor, training: Tensor) -> Tensor:
    """Pair the samples that come closest to a training image with that image, the closest first.

    Args:
        samples: in [0, 1], (S, C, H, W).
        training: uint8, (N, C, H, W).

    Returns:
        (2 * n, C, H, W), in [0, 1], on the CPU, where n is `N_PAIRS` or fewer. Rows of `PAIRS_PER_ROW` samples
        alternate with rows of their training images, which are mirrored where the mirror image was closer.
    """
    distances, index = nearest(samples, training)
    n = min(N_PAIRS, len(samples) // PAIRS_PER_ROW * PAIRS_PER_ROW) or len(samples)
    closest = distances.argsort()[:n]
    index = index[closest].cpu()
    rows = zip(
        samples[closest].cpu().split(PAIRS_PER_ROW), neighbors(training, index).split(PAIRS_PER_ROW), strict=True
    )
    return torch.cat([row for pair in rows for row in pair])


def neighbors(images: Tensor, index: Tensor) -> Tensor:
    """Return the images that `nearest` found, mirrored where the mirror image was nearer.

    Args:
        images: uint8, (N, C, H, W).
        index: as `nearest` returns it, (S,), on the CPU.

    Returns:
        (S, C, H, W), in [0, 1].
    """
    found = to_unit(images[index % len(images)])
    return torch.where((index < len(images)).view(-1, 1, 1, 1), found, found.flip(-1))
