"""How well `dino evaluate` tells new pictures from copies, where it is known which are which.

    python docs/benchmarks/copies.py

Real pictures that nothing learned from stand in for a network that draws new ones. Training pictures with a little
noise, half of them mirrored, stand in for one that has learned by heart; and mixtures of the two for those in between.
The pictures are parted anew for each trial. Takes a minute or two, and prints the table of docs/guides/evaluation.md.
"""

from collections import Counter

import torch
from torch import Tensor

from dino.data.loading import load_images
from dino.images import seeded, to_unit
from dino.reports.memorization import newness
from dino.reports.report import table

SOURCES = ("emoji:faces,noto", "emoji:faces", "emoji:animals", "emoji")
SHARES = (0.0, 0.1, 0.2, 0.3, 0.4, 1.0)  # of copies
SIZE, MOST, TRIALS = 32, 1500, 40


def main() -> None:
    """Measure, and print the table."""
    rows = [("pictures", "held out", "copies", "quotient", "nearly copies, beyond the usual", "by heart", "in part")]
    for source in SOURCES:
        images = load_images(source, SIZE)
        parted = [part(images, trial) for trial in range(TRIALS)]
        for share in SHARES:
            found = [newness(mixture(fresh, training, share), training, held) for training, held, fresh in parted]
            verdicts = Counter(each["verdict"].split(":")[0] for each in found)
            rows.append((
                source, str(len(parted[0][1])), f"{share:.0%}", spread([each["quotient"] for each in found]),
                spread([each["copies"] - each["unseen_copies"] for each in found]),
                f"{verdicts['learned by heart'] / TRIALS:.0%}",
                f"{sum(n for words, n in verdicts.items() if 'in part' in words) / TRIALS:.0%}",
            ))  # fmt: skip
    print(table(rows))


def part(images: Tensor, trial: int) -> tuple[Tensor, Tensor, Tensor]:
    """Training pictures, a tenth held out, and another tenth as new ones; in [0, 1] only the last."""
    some = images[torch.randperm(len(images), generator=seeded("cpu", "copies", trial))[:MOST]]
    held_out, fresh, training = some.split([len(some) // 10, len(some) // 10, len(some) - len(some) // 10 * 2])
    return training, held_out, to_unit(fresh)


def mixture(fresh: Tensor, training: Tensor, share: float) -> Tensor:
    """As many pictures as are fresh, but a share of them copied."""
    n, chance = round(share * len(fresh)), seeded("cpu", "copies", "noise")
    copies = to_unit(training[:n])
    copies[::2] = copies[::2].flip(-1)
    noise = 0.03 * torch.randn(copies.shape, generator=chance)
    return torch.cat([(copies + noise).clamp(0, 1), fresh[n:]])


def spread(values: list[float]) -> str:
    """The least, the median and the largest."""
    low, middle, high = torch.tensor(values).quantile(torch.tensor([0.0, 0.5, 1.0])).tolist()
    return f"{low:.2f} / {middle:.2f} / {high:.2f}"


if __name__ == "__main__":
    main()
