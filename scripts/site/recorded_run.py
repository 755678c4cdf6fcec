"""`python -m scripts.site.recorded_run` trains a small network and records its run for `<dino-recorded-run>`.

It writes scripts/site/recordings/run.webp, the predictions at some moments of the run as one tall image, and run.json,
its losses and the path of its weights in a plane. An EMA of weights commutes with a projection, so the page computes
the path of any EMA from that of the weights.
"""

import argparse
import copy
import json
import time
from dataclasses import replace
from itertools import pairwise
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dino.data.loading import load_images
from dino.evaluation import loss_by_noise_level
from dino.images import seeded, to_unit
from dino.noise import mix
from dino.trainer.presets import PRESETS
from dino.trainer.trainer import Trainer
from dino.training import update_average
from scripts.site.paths import ROOT

FOLDER = ROOT / "scripts" / "site" / "recordings"
CONFIG = replace(
    PRESETS["quick"], widths=(16, 32, 64), depths=(1, 1, 1), batch_size=16, max_words=0, anneal=False, warmup=20
)
DECAYS = (0.0, 0.8, 0.95, 0.98, 0.995)  # of the EMAs; with 0 the EMA is the weights themselves
LEVELS = (0.2, 0.4, 0.6, 0.8, 1.0)  # one for each picture that is asked about
N_FRAMES, N_TESTED = 41, 12  # moments of the run; held-out pictures that the loss is measured on
MAX_SIZE = 300_000  # bytes of the image


def main() -> None:
    """Train, record, and write the two files."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=160, help="steps of training (default: 160)")
    n_steps = parser.parse_args().steps
    if n_steps < N_FRAMES:
        parser.error(f"a run has at least {N_FRAMES} steps")
    started = time.perf_counter()
    trainer = Trainer(replace(CONFIG, n_images=n_steps * CONFIG.batch_size), device="cpu")
    unseen = to_unit(load_images(CONFIG.data, CONFIG.size, part="held out"))
    clean = unseen[: len(LEVELS)]
    level = torch.tensor(LEVELS).view(-1, 1, 1, 1)
    noisy = mix(clean, torch.rand(clean.shape, generator=seeded("cpu", "recorded run")), level)
    emas = {decay: copy.deepcopy(trainer.model) for decay in DECAYS}
    moments = frame_steps(n_steps)
    path, losses, rows, tested = [flat(trainer.model)], [], [noisy, clean], []

    def record() -> None:
        with torch.no_grad():
            rows.extend(ema(noisy, level) for ema in emas.values())
        scores = [loss_by_noise_level(ema, unseen[-N_TESTED:], [0.2, 0.5, 0.8]) for ema in emas.values()]
        tested.append([float(f"{score.mean().item():.4g}") for score in scores])

    record()
    for loss in trainer.steps():
        losses.append(float(f"{loss.item():.4g}"))
        path.append(flat(trainer.model))
        for decay, ema in emas.items():
            update_average(ema, trainer.model, decay)
        if trainer.step in moments:
            record()
    recording = {
        "size": CONFIG.size, "levels": LEVELS, "decays": DECAYS, "steps": moments, "losses": losses, "tested": tested,
        "path": [[float(f"{x:.5g}") for x in point] for point in in_a_plane(torch.stack(path)).tolist()],
        "weights": path[0].numel(), "batch": CONFIG.batch_size,
    }  # fmt: skip
    write(recording, torch.stack(rows))
    print(f"{n_steps} steps in {time.perf_counter() - started:.0f} s, the last loss {tested[-1]}")


def frame_steps(n_steps: int) -> list[int]:
    """Return the steps at which to record: close together at first, when the network learns fast."""
    return sorted({round(n_steps * (k / (N_FRAMES - 1)) ** 2) for k in range(N_FRAMES)})


def flat(network: nn.Module) -> Tensor:
    """Return a copy of all weights of a network in one row."""
    return torch.cat([weight.detach().flatten() for weight in network.parameters()])


def in_a_plane(path: Tensor) -> Tensor:
    """Project the weights after each step, (T, n), to two dimensions: (T, 2). The first weights become the origin.

    The first direction leads from the first weights to the last EMA. The second is that in which consecutive steps
    differ most, among those at right angles to the three main directions of the EMA's path.
    """
    path = path - path[0]
    smooth = path.clone()
    for before, after in pairwise(smooth):
        after.lerp_(before, 0.95)  # the EMA, in place
    along = F.normalize(smooth[-1], dim=0)
    jitter = (path[1:-1] - (path[:-2] + path[2:]) / 2)[len(path) // 2 :]
    for direction in [along, *main_directions(smooth, 3)]:
        jitter = jitter - (jitter @ direction)[:, None] * direction
    (across,) = main_directions(jitter, 1)
    return torch.stack([path @ along, path @ across], dim=1)


def main_directions(rows: Tensor, n: int) -> Tensor:
    """Return the n directions in which rows, (T, n_weights), are largest: (n, n_weights), each of length 1."""
    _, vectors = torch.linalg.eigh(rows @ rows.T)  # of the small matrix: they mix the rows
    return F.normalize(vectors[:, -n:].T @ rows, dim=1)


def write(recording: dict[str, Any], rows: Tensor) -> None:
    """Write both files and print their sizes.

    Args:
        recording: what the JSON file holds.
        rows: images in [0, 1], shape (R, N, C, H, W), which the image shows in R rows.
    """
    from PIL import Image

    r, n, c, h, w = rows.shape
    tall = (rows.clamp(0, 1) * 255).round().to(torch.uint8).permute(0, 3, 1, 4, 2).reshape(r * h, n * w, c)
    FOLDER.mkdir(exist_ok=True)
    image, numbers = FOLDER / "run.webp", FOLDER / "run.json"
    Image.fromarray(tall.numpy()).save(image, "WEBP", quality=70, method=6)
    numbers.write_text(json.dumps(recording, separators=(",", ":")) + "\n", encoding="utf-8", newline="\n")
    for file in (image, numbers):
        print(f"{file.relative_to(ROOT)}: {file.stat().st_size / 1000:.0f} KB")
    if image.stat().st_size > MAX_SIZE:
        raise SystemExit(f"the image has more than {MAX_SIZE // 1000} KB")


if __name__ == "__main__":
    main()
