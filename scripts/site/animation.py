"""`python -m scripts.site.animation` makes the animation of the home page, and a file of its last frame.

The pretrained model samples sixteen dinosaurs, with words as training images have them. Noise can hardly be compressed,
so the animation is lossy WebP.
"""

import torch

from dino.common.grids import grid
from dino.images import seeded
from dino.sampler import Step
from dino.trainer.batched_sampling import Steps, Wishes, generate_batched
from dino.trainer.model_file import image_shape, load_model, word_sets
from scripts.site.paths import DOCS, ROOT

ROWS, COLUMNS, STEPS, SEED = 2, 8, 50, 0
N_FRAMES, FRAME_TIME, LAST_FRAME_TIME = 50, 100, 3500  # times in milliseconds
MAX_SIZE = 600_000  # bytes


def main() -> None:
    """Sample, write the animation and its last frame, and print their sizes."""
    model, metadata = load_model("pretrained-32")
    path: list[Step] = []
    sets = word_sets(metadata)
    words = sets[torch.randperm(len(sets), generator=seeded("cpu", SEED, "words"))[: ROWS * COLUMNS]]
    generate_batched(
        model, ROWS * COLUMNS, image_shape=image_shape(metadata), steps=Steps.of(STEPS), wishes=Wishes(words),
        seed=SEED, path=path,
    )  # fmt: skip
    kept = [path[round(k * (len(path) - 1) / (N_FRAMES - 1))] for k in range(N_FRAMES)]
    frames = [grid(step.noisy, columns=COLUMNS) for step in kept]
    animation, still = DOCS / "images" / "animation.webp", DOCS / "images" / "animation-still.webp"
    frames[0].save(
        animation, "WEBP", save_all=True, append_images=frames[1:], loop=0, quality=40, method=6, minimize_size=True,
        duration=[FRAME_TIME] * (len(frames) - 1) + [LAST_FRAME_TIME],
    )  # fmt: skip
    frames[-1].save(still, "WEBP", lossless=True)
    for file in (animation, still):
        print(f"{file.relative_to(ROOT)}: {file.stat().st_size / 1000:.0f} KB, {frames[0].width} x {frames[0].height}")
    if animation.stat().st_size > MAX_SIZE:
        raise SystemExit(f"the animation has more than {MAX_SIZE // 1000} KB")


if __name__ == "__main__":
    main()
