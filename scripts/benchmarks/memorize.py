"""Memorize or generalize: the same network trained on 10, 100, 1,000 and all dinosaurs.

    python -m scripts.benchmarks.memorize --json docs/benchmarks/memorize.json

With few images a network memorizes them: the loss on its own images falls, the loss on others rises, and it draws
copies. With many it can't, and draws new ones. Kadkhodaie et al. 2024 (arXiv:2310.02557) saw this on photographs.
All networks see the same number of images, counting repeats, and begin with the same weights.

Finished runs are kept, so an interrupted measurement goes on where it stopped.
"""

import multiprocessing
import os
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import torch
import typer
from torch import Tensor
from tqdm import tqdm

from dino.common.plots import STYLE
from dino.data.loading import load_images
from dino.evaluation import loss_by_noise_level
from dino.images import seeded, to_unit
from dino.reports.evaluate import LEVELS
from dino.reports.memorization import memorization, nearest, neighbors
from dino.reports.report import Report, environment, number, table
from dino.reports.report import write as write_report
from dino.trainer.batched_sampling import generate_batched
from dino.trainer.config import Config
from dino.trainer.model_file import image_shape, load_model
from dino.trainer.presets import PRESETS
from dino.trainer.tensor_file import WEIGHTS
from dino.trainer.trainer import Trainer

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SIZES = (10, 100, 1_000, 9_000)  # training images; the last is nearly all that aren't held out
N_DRAWN, N_SHOWN, N_LOSS = 256, 10, 256
BASE = replace(PRESETS["quick"], max_words=0)


def subset(config: Config, n: int) -> Tensor:
    """Return the first n training images: uint8, (n, C, size, size)."""
    return load_images(config.data, config.size, part="training")[:n]


def train(n: int, config: Config, folder: Path) -> None:
    """Train on n images, and keep the network in a folder. A network that is there already is kept."""
    if (folder / WEIGHTS).exists():
        return
    torch.set_num_threads(1)
    trainer = Trainer(config, images=subset(config, n), device="cpu")
    for _ in trainer.steps():
        pass
    folder.mkdir(parents=True, exist_ok=True)
    trainer.save(folder, trainer.read_losses())


def measure(n: int, config: Config, folder: Path) -> tuple[Report, Tensor]:
    """Return the losses of a network, how near its images are to the training images, and pairs of both to look at.

    Returns:
        The numbers; and images in [0, 1], (2 N_SHOWN, C, H, W): drawn ones, then the nearest training image of each.
    """
    model, metadata = load_model(folder)
    training, held_out = subset(config, n), load_images(config.data, config.size, part="held out")
    drawn = generate_batched(model, N_DRAWN, image_shape=image_shape(metadata))
    losses = {}
    for name, images in ("training", training), ("held_out", held_out):
        chosen = torch.randperm(len(images), generator=seeded("cpu", name))[:N_LOSS]
        losses[name] = loss_by_noise_level(model, to_unit(images[chosen]), LEVELS).mean().item()
    _, index = nearest(drawn[:N_SHOWN], training)
    found = {"images": n} | losses | memorization(drawn, training, held_out)
    return found, torch.cat([drawn[:N_SHOWN], neighbors(training, index)])


# ---- printing and writing -------------------------------------------------------------------------------------------


def markdown(report: Report) -> str:
    """Return the table: a row for each number of training images."""
    rows = [("training images", "loss on them", "loss on held-out images", "nearness", "copies", "verdict")]
    for row in report["rows"]:
        rows.append((
            f"{row['images']:,}", f"{row['training']:.5f}", f"{row['held_out']:.5f}", number(row["quotient"], ".2f"),
            number(row["copies"], ".0%"), row["verdict"].split(":")[0],
        ))  # fmt: skip
    return table(rows)


def facts(report: Report) -> dict[str, str]:
    """Return the sentences below the table, by their labels."""
    return {
        "networks": f"one for each row, each has seen {report['seen']:,} images of {report['data']}, counting repeats",
        "nearness": "how near generated images are to training images, where unseen real images have 1",
        "copies": f"the share of {N_DRAWN} generated images that are near copies of training images",
    }


def plot(report: Report, pairs: list[Tensor]) -> "Figure":
    """Plot the losses, and below them for each network what it draws above the nearest training images."""
    import matplotlib as mpl
    from matplotlib.figure import Figure

    sizes = [row["images"] for row in report["rows"]]
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(9, 3 + 1.9 * len(pairs)), layout="constrained")
        top, *others = figure.subplots(1 + len(pairs), 1, height_ratios=[1.8, *[1.0] * len(pairs)])
        top.plot(sizes, [row["training"] for row in report["rows"]], "o-", label="loss on the training images")
        top.plot(sizes, [row["held_out"] for row in report["rows"]], "o-", label="loss on held-out images")
        top.set(xlabel="training images", xscale="log", yscale="log")
        top.set_xticks(sizes, [f"{size:,}" for size in sizes])
        top.legend()
        for axes, images, size in zip(others, pairs, sizes, strict=True):
            rows = [torch.cat(list(row), dim=-1) for row in images.split(N_SHOWN)]
            axes.imshow(torch.cat(rows, dim=-2).permute(1, 2, 0).numpy(), interpolation="nearest")
            axes.set_title(f"{size:,} training images: drawn, and below each the nearest of them", fontsize=9)
            axes.axis("off")
    return figure


def main(
    images: Annotated[int, typer.Option(help="Images that each network sees, counting repeats.")] = BASE.n_images,
    runs: Annotated[Path, typer.Option(help="Where the trained networks are kept.")] = Path("runs/memorize"),
    out: Annotated[Path, typer.Option("--json", help="The report to write.")] = Path("memorize.json"),
) -> None:
    """Train one network on more and more dinosaurs, and look at what it memorizes."""
    config = replace(BASE, n_images=images)
    folders = {n: runs / f"{n}-of-{images}" for n in SIZES}
    load_images(config.data, config.size)  # into the cache, before the processes look for it
    with ProcessPoolExecutor(os.cpu_count(), multiprocessing.get_context("spawn")) as processes:
        jobs = [processes.submit(train, n, config, folder) for n, folder in folders.items()]
        for job in tqdm(jobs, "training", unit=" networks", disable=None):
            job.result()
    found = [measure(n, config, folder) for n, folder in folders.items()]
    report = environment(torch.device("cpu")) | {
        "data": config.data, "seen": images, "rows": [row for row, _ in found],
        "command": f"python -m scripts.benchmarks.memorize --images {images}",
    }  # fmt: skip
    typer.echo(markdown(report))
    for path in write_report(report, out, markdown(report), facts(report), plot(report, [pairs for _, pairs in found])):
        typer.echo(f"wrote {path}")


if __name__ == "__main__":
    typer.run(main)
