"""Make a pretrained model, such as dino/data/pretrained-32.safetensors, from a run.

    python -m scripts.data.build_pretrained pretrained-32 runs/NAME

docs/model.md has the models' cards. Update it too.
"""

from pathlib import Path
from typing import Annotated

import typer

from dino.trainer.batched_sampling import generate_batched
from dino.trainer.model_file import PRETRAINED, image_shape, load_model, save_model

LARGEST = 5_000_000  # bytes; every clone carries the file forever


def main(
    name: Annotated[str, typer.Argument(help=f"The model to make: {', '.join(PRETRAINED)}.")],
    run: Annotated[Path, typer.Argument(help="The run whose EMA weights become the model.")],
) -> None:
    """Round the weights to 16 bits, write them, and report how much the rounding changes the images."""
    if name not in PRETRAINED:
        raise typer.BadParameter(f"there is no model {name}. Choose {', '.join(PRETRAINED)}")
    build(run, PRETRAINED[name])
    if PRETRAINED[name].stat().st_size > LARGEST:
        raise typer.Exit(1)


def build(run: Path, out: Path) -> None:
    """Write the weights of a run to `out`, rounded to 16 bits, and print the file's size and the images' change."""
    model, metadata = load_model(run)
    save_model(out, model, metadata, half=True)
    rounded, _ = load_model(out)
    before, after = (generate_batched(each, 64, image_shape=image_shape(metadata)) for each in (model, rounded))
    change = 255 * (before - after).abs()
    print(f"{out.name}: {out.stat().st_size / 1e6:.1f} MB")
    print(f"its pixels change by {change.mean():.2f} of 255, at most {change.max():.0f}")


if __name__ == "__main__":
    typer.run(main)
