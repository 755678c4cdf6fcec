"""`python -m docs.site.film` makes the film of the home page and its last picture, with the model that comes with dino.

Sixteen pictures come out of noise. Noise can hardly be compressed, so the film is WebP, with losses.
"""

from dino.common import grids
from dino.sampler import Step
from dino.trainer.batched_sampling import draw
from dino.trainer.model_file import load_model, shape_of
from dino.trainer.run_folder import PRETRAINED
from scripts.site.places import DOCS, ROOT

ROWS, COLUMNS, STEPS, SEED = 2, 8, 100, 0
N_FRAMES, EACH, LAST = 50, 100, 3500  # milliseconds
LARGEST = 600_000  # bytes


def main() -> None:
    """Draw, write the film and the still, and say how large they are."""
    model, about = load_model(PRETRAINED)
    path: list[Step] = []
    draw(model, ROWS * COLUMNS, image_shape=shape_of(about), n_steps=STEPS, seed=SEED, path=path)
    kept = [path[round(k * (len(path) - 1) / (N_FRAMES - 1))] for k in range(N_FRAMES)]
    frames = [grids.grid(step.noisy, columns=COLUMNS) for step in kept]
    film, still = DOCS / "images" / "film.webp", DOCS / "images" / "film-still.webp"
    frames[0].save(
        film, "WEBP", save_all=True, append_images=frames[1:], loop=0, quality=40, method=6, minimize_size=True,
        duration=[EACH] * (len(frames) - 1) + [LAST],
    )  # fmt: skip
    frames[-1].save(still, "WEBP", lossless=True)
    for file in (film, still):
        print(f"{file.relative_to(ROOT)}: {file.stat().st_size / 1000:.0f} KB, {frames[0].width} x {frames[0].height}")
    if film.stat().st_size > LARGEST:
        raise SystemExit(f"the film has more than {LARGEST // 1000} KB")


if __name__ == "__main__":
    main()
