"""The integration check: a small network, trained and sampled with your parts of lessons 00 to 04.

Each lesson's own tests use dino's parts for all other lessons. Here your parts meet. They are compared with dino's own
parts, which start from the same weights. If yours do worse, one part at a time is replaced by dino's, and the part that
was at fault is named. `pytest lessons` runs this check last.
"""

from typing import Any

import torch
from torch import Tensor

from dino import noise as reference
from dino.course.grader.contact_sheet import emoji

N_STEPS, BATCH, SIZE = 100, 16, 16


def measure(parts: Any, seed: int = 0) -> dict[str, float]:
    """Train and sample with some parts. Returns figures that are measured by dino's own tools: lower is better."""
    random = torch.Generator().manual_seed(seed)
    # A strip on either side of each picture, which `center_square` should crop.
    wide = torch.nn.functional.pad((255 * emoji()).round().to(torch.uint8), (5, 5), value=0)
    square = torch.stack([parts.images.center_square(image) for image in wide])
    clean = torch.nn.functional.avg_pool2d(parts.images.to_unit(square), 32 // SIZE)

    with torch.random.fork_rng(devices=[]):  # a network draws its first weights from the global generator
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
        **{f"the error of the predictions at noise level {level}": _error(average, level) for level in (0.2, 0.6, 1.0)},
        "the distance of the samples to real pictures": _distance(samples),
    }


def _real_pictures() -> Tensor:
    return torch.nn.functional.avg_pool2d(emoji(), 32 // SIZE)


@torch.no_grad()
def _error(model: Any, level: float) -> float:
    """Return the mean squared error of a network's predictions at one noise level, with the same noise every time."""
    clean = _real_pictures()
    noise = torch.rand(clean.shape, generator=torch.Generator().manual_seed(1))
    levels = torch.full((len(clean), 1, 1, 1), level)
    return torch.nn.functional.mse_loss(model(reference.mix(clean, noise, levels), levels), clean).item()


def _distance(samples: Tensor) -> float:
    """Return the mean squared difference of each sample to its nearest picture, mirrored or not, averaged."""
    pictures = torch.cat([_real_pictures(), _real_pictures().flip(-1)])
    differences = (samples[:, None] - pictures).square().mean((2, 3, 4))
    return differences.min(1).values.mean().item()
