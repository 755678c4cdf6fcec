"""Are the pictures new, or learned by heart? The nearest neighbors of generated pictures, and what they tell.

A network that has learned by heart draws what it learned from. So its pictures are nearer to the training pictures than
to held-out ones, by more than real pictures are.
"""

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor

from ..evaluation import nearest_neighbors
from ..images import to_unit

Neighbors = tuple[Tensor, Tensor]  # distances and indices

# Where the verdicts part. `docs/benchmarks/copies.py` measured what they come to where it is known which pictures are
# copies: docs/guides/evaluation.md has its table. With few held-out pictures chance is large, hence the wide margins.
BY_HEART = 0.5  # the quotient of new pictures was never below 0.8, and of copies alone never above 0.3
COPY = 0.5  # of the usual leaning; at least 85% of copies leaned further
SOME = 0.2  # by so much the share of such copies must exceed the usual; new pictures did in 1 of 160 trials
CLOSE = 0.8

N_PAIRS, IN_A_ROW = 16, 8  # of pictures, in `closest_pairs`
AT_ONCE = 4096  # pictures; more would need much memory at once


def newness(samples: Tensor, training: Tensor, held_out: Tensor) -> dict[str, Any]:
    """Whether generated pictures keep to the training pictures, more than real ones do that were never learned from.

    Each picture has a leaning: its distance to the nearest training picture over that to the nearest held-out one.
    It is below 1 even for new pictures, as there are more training pictures to be near to. So it is set beside the
    leaning of each held-out picture, whose nearest other held-out one counts.

    Args:
        samples: in [0, 1], (S, C, H, W).
        training, held_out: uint8, (N, C, H, W); at least two are held out.

    Returns:
        The median leaning of the "generated" and of the "unseen" pictures, their "quotient", which shares of both are
        nearly "copies", and a "verdict" in words.
    """
    unseen = to_unit(held_out).to(samples.device)
    leaning = _leaning(nearest(samples, training), nearest(samples, held_out))
    usual = _leaning(nearest(unseen, training), nearest(unseen, held_out, but_itself=True))
    norm = usual.median().clamp(min=1e-6)
    told = {
        "generated": leaning.median().item(),
        "unseen": usual.median().item(),
        "quotient": (leaning.median() / norm).item(),
        "copies": (leaning < COPY * norm).float().mean().item(),
        "unseen_copies": (usual < COPY * norm).float().mean().item(),
    }
    return told | {"verdict": verdict(**told)}


def verdict(*, quotient: float, copies: float, unseen_copies: float, **_: float) -> str:
    """What the numbers of `newness` mean, in a sentence."""
    if quotient < BY_HEART:
        return "learned by heart: most pictures are copies of training pictures, or nearly so"
    if copies > unseen_copies + SOME:
        return f"learned by heart in part: {copies:.0%} of the pictures are nearly copies of training pictures"
    if quotient < CLOSE:
        return "perhaps learned by heart in part: closer to the training pictures than unseen real pictures usually are"
    return "not learned by heart: no closer to the training pictures than unseen real pictures are"


def _leaning(training: Neighbors, held_out: Neighbors) -> Tensor:
    return training[0] / held_out[0].clamp(min=1e-4)  # a twin among the held-out ones is at 0


def nearest(samples: Tensor, images: Tensor, *, but_itself: bool = False) -> Neighbors:
    """The nearest of the images to each sample. Mirrored ones count, too, as training mirrors at random.

    Args:
        samples: in [0, 1], (S, C, H, W).
        images: uint8, (N, C, H, W).
        but_itself: the samples are the images, and none is its own neighbor, nor is its own mirror image.

    Returns:
        The distances as `nearest_neighbors` gives them, (S,), and the indices, (S,); N and more stand for mirrored
        images, in the same order.
    """
    itself = torch.arange(len(samples), device=samples.device).unsqueeze(1)
    distances, indices = [], []
    for turned, first, part in _mirrored(images):
        apart, index = nearest_neighbors(samples, part.to(samples.device), k=min(2, len(part)))
        distances.append(apart.masked_fill(index + first == itself, torch.inf) if but_itself else apart)
        indices.append(index + first + turned * len(images))
    least, column = torch.cat(distances, dim=1).min(dim=1, keepdim=True)
    return least.squeeze(1), torch.cat(indices, dim=1).gather(1, column).squeeze(1)


def _mirrored(images: Tensor) -> Iterator[tuple[bool, int, Tensor]]:
    """Parts of the pictures, as they are and mirrored: whether they are mirrored, the first one's index, the part."""
    for first in range(0, len(images), AT_ONCE):
        part = to_unit(images[first : first + AT_ONCE])
        yield False, first, part
        yield True, first, part.flip(-1)


def closest_pairs(samples: Tensor, training: Tensor) -> Tensor:
    """The samples that are nearest to a training picture, the nearest first: a row of them, then a row of those.

    Args:
        samples: in [0, 1], (S, C, H, W).
        training: uint8, (N, C, H, W).

    Returns:
        At most `N_PAIRS` pairs, `IN_A_ROW` in a row: (2 * n, C, H, W), in [0, 1], on the CPU. A training picture is
        mirrored where its mirror image was the nearer.
    """
    apart, index = nearest(samples, training)
    n = min(N_PAIRS, len(samples) // IN_A_ROW * IN_A_ROW) or len(samples)
    first = apart.argsort()[:n]
    index = index[first].cpu()
    beside = to_unit(training[index % len(training)])
    beside = torch.where((index < len(training)).view(-1, 1, 1, 1), beside, beside.flip(-1))
    rows = zip(samples[first].cpu().split(IN_A_ROW), beside.split(IN_A_ROW), strict=True)
    return torch.cat([row for pair in rows for row in pair])
