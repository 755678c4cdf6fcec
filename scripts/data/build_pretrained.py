"""Make the model that comes with dino (model.safetensors) from a run.

    dino train --preset quick --data emoji:faces,animals --images 2000000 --out runs/shipped
    python -m dino.data.build_model runs/shipped

docs/model.md is its card. Bring that up to date with it.
"""

from pathlib import Path
from typing import Annotated

import typer

from dino.trainer.batched_sampling import draw
from dino.trainer.model_file import load_model, save_model, shape_of
from dino.trainer.run_folder import PRETRAINED

LARGEST = 5_000_000  # bytes; every clone carries it for ever


def main(run: Annotated[Path, typer.Argument(help="The run to take the averaged weights of.")]) -> None:
    """Round the weights to 16 bits, write them, and tell by how much that changes the pictures."""
    model, about = load_model(run)
    save_model(PRETRAINED, model, about, half=True)
    size = PRETRAINED.stat().st_size
    before, after = (
        draw(each, 64, image_shape=shape_of(about), n_steps=25) for each in (model, load_model(PRETRAINED)[0])
    )
    change = 255 * (before - after).abs()
    print(f"{PRETRAINED.name}: {size / 1e6:.1f} MB")
    print(f"its pixels change by {change.mean():.2f} of 255, at most {change.max():.0f}")
    if size > LARGEST:
        raise typer.Exit(1)


if __name__ == "__main__":
    typer.run(main)
