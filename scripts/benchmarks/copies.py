"""Measurement of how reliably `dino evaluate` tells new images from copies, on images known to be one or the other.

    python scripts/benchmarks/copies.py

Unseen real images stand in for the images of a network that makes new ones. Training images with slight noise, half of
them mirrored, stand in for those of a network that has memorized its training images. Mixtures of both are the cases
between. Each trial splits the images anew. Takes a minute or two, and prints the table of docs/guides/evaluation.md.
"""

from collections import Counter

import torch
from torch import Tensor

from dino.data.loading import load_images
from dino.images import seeded, to_unit
from dino.reports.memorization import memorization
from dino.reports.report import table

SOURCES = ("emoji:faces,noto", "emoji:faces", "emoji:animals", "emoji")
SHARES = (0.0, 0.1, 0.2, 0.3, 0.4, 1.0)  # of copies
SIZE, MAX_IMAGES, TRIALS = 32, 1500, 40


def main() -> None:
    """Measure, and print the table."""
    rows = [("images", "held out", "copies", "quotient", "excess of near copies", "memorized", "partly memorized")]
    for source in SOURCES:
        images = load_images(source, SIZE)
        splits = [split(images, trial) for trial in range(TRIALS)]
        for share in SHARES:
            found = [
                memorization(mixture(unseen, training, share), training, held) for training, held, unseen in splits
            ]
            verdicts = Counter(each["verdict"].split(":")[0] for each in found)
            rows.append((
                source, str(len(splits[0][1])), f"{share:.0%}",
                extent([each["quotient"] for each in found if each["quotient"] is not None]),
                extent([each["copies"] - each["unseen_copies"] for each in found if each["copies"] is not None]),
                f"{verdicts['memorized'] / TRIALS:.0%}",
                f"{sum(n for words, n in verdicts.items() if 'partly memorized' in words) / TRIALS:.0%}",
            ))  # fmt: skip
    print(table(rows))


def split(images: Tensor, trial: int) -> tuple[Tensor, Tensor, Tensor]:
    """Split images into training images, a tenth held out, and a tenth unseen. Only the last are floats in [0, 1]."""
    chosen = images[torch.randperm(len(images), generator=seeded("cpu", "copies", trial))[:MAX_IMAGES]]
    held_out, unseen, training = chosen.split(
        [len(chosen) // 10, len(chosen) // 10, len(chosen) - len(chosen) // 10 * 2]
    )
    return training, held_out, to_unit(unseen)


def mixture(unseen: Tensor, training: Tensor, share: float) -> Tensor:
    """Replace a share of the unseen images by noisy copies of training images, half of them mirrored."""
    n, generator = round(share * len(unseen)), seeded("cpu", "copies", "noise")
    copies = to_unit(training[:n])
    copies[::2] = copies[::2].flip(-1)
    noise = 0.03 * torch.randn(copies.shape, generator=generator)
    return torch.cat([(copies + noise).clamp(0, 1), unseen[n:]])


def extent(values: list[float]) -> str:
    """Return the minimum, the median and the maximum in words."""
    if not values:
        return "unknown"
    low, middle, high = torch.tensor(values).quantile(torch.tensor([0.0, 0.5, 1.0])).tolist()
    return f"{low:.2f} / {middle:.2f} / {high:.2f}"


if __name__ == "__main__":
    main()
