"""Which noise levels does a network learn when? Train the preset `quick`, and take the loss apart by level on the way.

    python docs/benchmarks/levels.py

It writes docs/benchmarks/levels.json and levels.png. About six minutes on two CPU cores; nothing else is saved. The run
is that of `dino train --preset quick --seed 0`, and the loss is that of the averaged weights, on the pictures that are
learned from and on those that are held out.
"""

import json
from pathlib import Path

import matplotlib
from matplotlib.figure import Figure
from tqdm.auto import tqdm

from dino import pictures
from dino.config import PRESETS
from dino.evaluate import LEVELS
from dino.evaluation import loss_by_noise_level
from dino.files import replacing
from dino.images import load_images, to_unit
from dino.reports import circumstances
from dino.trainer import Trainer

MOMENTS = (2_496, 9_888, 20_000, 46_336, 104_000)  # images seen; healthy_stages.py shows pictures of these
TABLE = Path("docs/benchmarks/levels.json")
PLOT = TABLE.with_suffix(".png")


def main() -> None:
    """Train and measure, then draw."""
    config = PRESETS["quick"]
    parts = {
        name: to_unit(load_images(config.data, config.size, part=part))
        for name, part in (("training", "training"), ("held_out", "held out"))
    }
    trainer, found = Trainer(config), []
    with tqdm(total=config.n_images, unit=" images", unit_scale=True) as bar:
        for _ in trainer.steps():
            bar.update(trainer.images_seen - bar.n)
            if trainer.images_seen in MOMENTS:
                losses = {
                    name: loss_by_noise_level(trainer.average, images, LEVELS).tolist()
                    for name, images in parts.items()
                }
                found.append({"images_seen": trainer.images_seen, **losses})
    answers = {"levels": LEVELS, "moments": found, "circumstances": circumstances(trainer.device)}
    with replacing(TABLE) as temporary:
        temporary.write_text(json.dumps(answers, indent=1) + "\n", encoding="utf-8")
    pictures.save_figure(drawn(found), PLOT)


def drawn(found: list[dict]) -> Figure:
    """A pair of curves for each moment."""
    with matplotlib.rc_context(pictures.STYLE):
        figure = Figure(figsize=(7, 4.2), layout="constrained")
        axes = figure.subplots()
        for moment, marker in zip(found, "os^Dv", strict=True):
            (line,) = axes.plot(LEVELS, moment["training"], marker=marker, ms=5, label=f"{moment['images_seen']:,}")
            axes.plot(LEVELS, moment["held_out"], "--", color=line.get_color())
        axes.set(xlabel="noise level", ylabel="loss", yscale="log", xticks=[k / 10 for k in range(11)])
        ticks = (0.002, 0.005, 0.01, 0.02, 0.05)
        axes.set_yticks(ticks, map(str, ticks))
        axes.minorticks_off()
        axes.grid(alpha=0.3)
        axes.legend(title="images seen", fontsize=9)
    return figure


if __name__ == "__main__":
    main()
