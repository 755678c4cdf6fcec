"""FID and KID, as others measure them: on features of Google's Inception network, by the library torchmetrics.

They are no part of dino's dependencies. The weights are fetched from github.com when they are first needed.
"""

import warnings
from typing import Any

import torch
from torch import Tensor
from tqdm.auto import tqdm

from ..common.errors import DinoError
from ..images import to_unit

Metrics = tuple[Any, Any]
AT_ONCE = 64  # pictures; each is enlarged to 299 x 299


def metrics(device: torch.device) -> Metrics:
    """FID (Heusel et al. 2017) and KID (Binkowski et al. 2018), ready to be shown pictures.

    Raises:
        DinoError: the libraries or the weights aren't there.
    """
    try:
        from torchmetrics.image.fid import FrechetInceptionDistance
        from torchmetrics.image.kid import KernelInceptionDistance

        with warnings.catch_warnings(action="ignore"):  # that KID keeps its features; they are few
            fid, kid = FrechetInceptionDistance(normalize=True), KernelInceptionDistance(normalize=True)
    except (ImportError, OSError) as error:  # no library, or no network to fetch the weights from
        raise DinoError(
            "--fid needs torchmetrics and torch-fidelity (uv pip install torchmetrics torch-fidelity) and, once, a "
            "network to fetch some 90 MB of weights. All other numbers do without: leave out --fid"
        ) from error
    device = torch.device("cpu") if device.type == "mps" else device  # FID takes float64, which MPS hasn't
    return fid.to(device), kid.to(device)


@torch.no_grad()
def distances(metrics: Metrics, samples: Tensor, real: Tensor) -> dict[str, float]:
    """Both distances of generated pictures to real ones.

    Args:
        metrics: as from `metrics`, fresh: they remember what they were shown.
        samples: in [0, 1], (S, C, H, W).
        real: uint8, (N, C, H, W), of any number.

    Returns:
        "fid", "kid", and "kid_spread", the standard deviation of KID over subsets of at most 50 pictures.
    """
    fid, kid = metrics
    kid.subset_size = min(50, len(samples), len(real))
    for images, are_real in ((samples, False), (real, True)):
        for part in tqdm(images.split(AT_ONCE), "Inception", leave=False, disable=None):
            floats = part if part.is_floating_point() else to_unit(part)
            for metric in metrics:
                metric.update(floats.to(metric.device).expand(-1, 3, -1, -1), real=are_real)
    mean, spread = kid.compute()
    return {"fid": fid.compute().item(), "kid": mean.item(), "kid_spread": spread.item()}
