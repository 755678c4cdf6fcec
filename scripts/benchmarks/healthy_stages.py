"""Draw docs/images/healthy-stages.png: four images of one healthy run at eight stages of its training.

    python scripts/benchmarks/healthy_stages.py

All sample grids of a run start from the same noise, so each row shows what the network makes of one noise as it learns.
The script needs the run runs/gallery/healthy-0, which scripts/benchmarks/gallery.py trains.
"""

from pathlib import Path

import torch
from PIL import Image

from dino.common.grids import split_grid
from dino.common.plots import labeled, save_figure

SAMPLES = Path("runs/gallery/healthy-0/samples")
STAGES = (0, 352, 960, 1_760, 3_808, 7_712, 17_824, 40_000)  # images seen, which are the names of the grids
ROWS = 4  # the first images of each grid, not selected
OUT = Path("docs/images/healthy-stages.png")


def main() -> None:
    """Cut the images out of the grids, and write them side by side."""
    grids = [split_grid(Image.open(SAMPLES / f"{seen:09d}.png"), 32) for seen in STAGES]
    rows = {f"noise {row + 1}": torch.stack([grid[row] for grid in grids]) for row in range(ROWS)}
    figure = labeled(rows, [f"{seen:,}" for seen in STAGES], inch=0.8)
    figure.set_facecolor("white")  # readable on dark pages, too
    save_figure(figure, OUT)


if __name__ == "__main__":
    main()
