"""Draw docs/images/healthy-stages.png: four pictures of one healthy run at eight moments.

    python docs/benchmarks/healthy_stages.py

All grids of a run are drawn from the same noise, so each row shows what the network makes of one noise as it learns. It
needs the run runs/gallery/healthy-0, which docs/benchmarks/gallery.py trains.
"""

from pathlib import Path

import torch
from PIL import Image

from dino.common import grids, plots

SAMPLES = Path("runs/gallery/healthy-0/samples")
MOMENTS = (0, 896, 2_496, 4_608, 9_888, 20_000, 46_336, 104_000)  # images seen; the names of the grids
ROWS = 4  # the first pictures of each grid, whatever they are
PICTURE = Path("docs/images/healthy-stages.png")


def main() -> None:
    """Cut the pictures out of the grids, and write them side by side."""
    grids = [grids.split_grid(Image.open(SAMPLES / f"{seen:09d}.png"), 32) for seen in MOMENTS]
    rows = {f"noise {row + 1}": torch.stack([grid[row] for grid in grids]) for row in range(ROWS)}
    plots.save_figure(plots.labeled(rows, [f"{seen:,}" for seen in MOMENTS], inch=0.8), PICTURE)


if __name__ == "__main__":
    main()
