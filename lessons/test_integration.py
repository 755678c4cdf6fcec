"""The check of all parts together: a small network, trained and sampled from with the parts of lessons 00 to 04.

Each lesson's own tests use dino's parts for all but that lesson. This is where yours meet. What they make is held
against what dino's own parts make from the same start; if it is worse, one part after the other is exchanged for
dino's, and the one that mends it is named. `pytest lessons` runs it last.
"""

from typing import Any

import torch
from torch import Tensor

from dino import noise as yardstick
from dino.course.grader.contact_sheet import emoji

N_STEPS, BATCH, SIZE = 100, 16, 16


def measure(parts: Any, seed: int = 0) -> dict[str, float]:
    """Train and sample with these parts. Returns what came of it, measured with dino's own tools: lower is better."""
    random = torch.Generator().manual_seed(seed)
    # A strip on either side of each picture, for `center_square` to cut off again.
    wide = torch.nn.functional.pad((255 * emoji()).round().to(torch.uint8), (5, 5), value=0)
    square = torch.stack([parts.images.center_square(image) for image in wide])
    clean = torch.nn.functional.avg_pool2d(parts.images.to_unit(square), 32 // SIZE)

    with torch.random.fork_rng(devices=[]):  # lessons' networks draw their first weights from the global generator
        torch.manual_seed(seed)
        model, average = (parts.denoiser.UNet(3, (12, 16), (1, 1)) for _ in range(2))
    average.load_state_dict(model.state_dict())
    optimizer = torch.optim.AdamW(model.parameters(), lr=4e-3)
    batches = (parts.images.random_flip(clean, generator=random) for _ in range(N_STEPS))
    losses = list(parts.training.train(model, optimizer, batches, average=average, decay=0.9, generator=random))

    torch.manual_seed(seed)
    samples = parts.sampler.generate(average, 8, image_shape=(3, SIZE, SIZE), n_steps=20, generator=random)
    return {
        "the loss of the last steps": sum(losses[-20:]) / 20,
        **{f"the error of its guesses at noise level {level}": _error(average, level) for level in (0.2, 0.6, 1.0)},
        "how far its samples are from pictures": _distance(samples),
    }


def _truth() -> Tensor:
    return torch.nn.functional.avg_pool2d(emoji(), 32 // SIZE)


@torch.no_grad()
def _error(model: Any, level: float) -> float:
    """The mean squared error of a network's guesses at one noise level, on noise that is always the same."""
    clean = _truth()
    random = torch.rand(clean.shape, generator=torch.Generator().manual_seed(1))
    levels = torch.full((len(clean), 1, 1, 1), level)
    return torch.nn.functional.mse_loss(model(yardstick.mix(clean, random, levels), levels), clean).item()


def _distance(samples: Tensor) -> float:
    """From each sample to the nearest picture, mirrored or not: the mean squared difference, averaged over samples."""
    pictures = torch.cat([_truth(), _truth().flip(-1)])
    apart = (samples[:, None] - pictures).square().mean((2, 3, 4))
    return apart.min(1).values.mean().item()
