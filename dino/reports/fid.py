"""FID and KID on the features of Google's Inception network, as papers report them, with the library torchmetrics.

torchmetrics isn't one of dino's dependencies. The weights are downloaded from github.com when they are first needed.
"""

import warnings
from typing import Any

import torch
from torch import Tensor
from tqdm import tqdm

from ..common.errors import DinoError
from ..images import to_unit
from .report import known

Metrics = tuple[Any, Any]
BATCH = 64  # images processed at once; each is enlarged to 299 x 299


def metrics(device: torch.device) -> Metrics:
    """Return FID (Heusel et al. 2017) and KID (Binkowski et al. 2018) as torchmetrics objects that have seen no image.

    Raises:
        DinoError: if a library is missing or the weights can't be downloaded.
    """
    try:
        from torchmetrics.image.fid import FrechetInceptionDistance
        from torchmetrics.image.kid import KernelInceptionDistance

        with warnings.catch_warnings(action="ignore"):  # KID warns that it keeps all features, but there are few
            fid, kid = FrechetInceptionDistance(normalize=True), KernelInceptionDistance(normalize=True)
    except (ImportError, OSError) as error:  # OSError: no network to download the weights
        raise DinoError(
            "FID and KID need torchmetrics and torch-fidelity (uv pip install torchmetrics torch-fidelity) and, once, "
            "a network connection to download some 90 MB of weights. All other numbers work without them",
            settings={"fid": False},
        ) from error
    device = torch.device("cpu") if device.type == "mps" else device  # FID uses float64, which MPS doesn't support
    return fid.to(device), kid.to(device)


@torch.no_grad()
def distances(metrics: Metrics, samples: Tensor, real: Tensor) -> dict[str, float | None]:
    """Return the FID and KID between generated and real images.

    Args:
        metrics: as `metrics` returns them, not used before, because they remember every image.
        samples: in [0, 1], (S, C, H, W).
        real: uint8, (N, C, H, W). N and S may differ.

    Returns:
        "fid", "kid", and "kid_std": the standard deviation of KID over subsets of at most 50 images. It is None if
        each subset holds all images, because then all subsets are the same. So is any number that isn't finite.
    """
    fid, kid = metrics
    kid.subset_size = min(50, len(samples), len(real))
    for images, are_real in ((samples, False), (real, True)):
        for part in tqdm(images.split(BATCH), "Inception", leave=False, disable=None):
            floats = part if part.is_floating_point() else to_unit(part)
            for metric in metrics:
                metric.update(floats.to(metric.device).expand(-1, 3, -1, -1), real=are_real)
    kid_mean, kid_std = kid.compute()
    subsets_differ = kid.subset_size < max(len(samples), len(real))
    return {
        "fid": known(fid.compute().item()),
        "kid": known(kid_mean.item()),
        "kid_std": known(kid_std.item()) if subsets_differ else None,
    }
