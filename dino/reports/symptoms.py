"""Signs: what a run's losses, samples and weights show by themselves. What they mean, `dino.doctor` says.

Some faults leave a mark in the saved weights, which is certain. Some losses mean something by themselves, such as the
loss of a network that always answers the mean picture. And samples can be blurred, grainy, alike or dark.
"""

import csv
import math
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import Any, NamedTuple

import torch
from torch import Tensor

from ..common import grids, plots
from ..common.errors import DinoError
from ..data.loading import load_images
from ..evaluation import laplacian_pyramid
from ..images import to_unit
from ..trainer import tensor_file
from ..trainer.config import Config
from ..trainer.model_file import blueprint
from ..trainer.tensor_file import STATE

LOG, SAMPLES = "log.csv", "samples"  # in a run's folder

N_RECENT = 6  # rows of the log

Curve = list[tuple[int, float]]  # images seen, and a number


# ---- a run, as it lies in its folder --------------------------------------------------------------------------------


class Look(NamedTuple):
    """What samples look like. Each number is a ratio to the same one of real pictures, so 1 is as real ones are."""

    detail: float  # how strong the finest details are
    grain: float  # how strong they are where a picture is smoothest: leftover noise shows here first
    variety: float  # how much the pictures differ from each other
    brightness: float  # their mean


@dataclass(frozen=True)
class Run:
    """What is known of a run."""

    config: Config  # as its state has it
    step: int  # steps done at its last save
    log: Curve  # the losses, by the images seen
    looks: list[tuple[int, Look]]  # of its grids, by the images seen; none where the real pictures can't be had
    mean_picture: float  # the loss of a network that always answers the mean of all pictures, or NaN
    one_color: float  # the loss of one that always answers their mean color, or NaN
    symptoms: list["Symptom"]  # what the saved weights give away

    @property
    def images(self) -> int:
        return self.log[-1][0]

    @property
    def loss(self) -> float:
        """The loss at the end of the log."""
        return recent(self.log, self.images)


def read_run(folder: Path) -> Run:
    """Read the run in a folder.

    Raises:
        DinoError: there is none, or none that has got anywhere, or a file of it is damaged.
    """
    if not (folder / LOG).is_file():
        raise DinoError(f"there is no run in {folder} (no {LOG}). Name the folder of a run, such as runs/quick-1")
    tensors, about = tensor_file.read(folder / STATE, "state")
    config, _ = blueprint(folder / STATE, about)
    log = read_log(folder / LOG)
    if len(log) < 2:
        raise DinoError(
            f"the run in {folder} has hardly begun, so train on", settings={"resume": folder}, command="train"
        )
    real = _real_pictures(config)
    looks: list[tuple[int, Look]] = []
    mean_picture = one_color = math.nan
    if real is not None:
        looks = read_looks(folder / SAMPLES, real)
        both_ways = torch.cat([real, real.flip(-1)])
        mean_picture = both_ways.var(dim=0, correction=0).mean().item()
        one_color = real.var(dim=(0, 2, 3), correction=0).mean().item()
    symptoms = weight_symptoms(config, tensors, about)
    return Run(config, about["step"], log, looks, mean_picture, one_color, symptoms)


def read_log(path: Path) -> Curve:
    """The losses of a run's log.csv.

    Raises:
        DinoError: it isn't one.
    """
    try:
        with path.open(newline="") as file:
            return [(int(row["images"]), float(row["loss"])) for row in csv.DictReader(file)]
    except (KeyError, TypeError, ValueError) as error:
        raise DinoError(f"{path} is no log of a run: it should have the columns images and loss") from error


def smoothed(log: Curve) -> Curve:
    """Each loss as the mean of itself and its neighbors: one row of the log jumps about too much to judge by."""
    return list(zip([x for x, _ in log], plots.smooth([y for _, y in log]), strict=True))


def recent(log: Curve, images: int) -> float:
    """The mean of the last few losses up to then. It lags, so it is compared with the same of other runs alone."""
    return fmean([loss for x, loss in log if x <= images][-N_RECENT:] or [log[0][1]])


def look(samples: Tensor, real: Tensor) -> Look:
    """What samples look like beside real pictures; both in [0, 1], (N, C, H, W)."""
    ratios = (ours / max(theirs, 1e-3) for ours, theirs in zip(_measured(samples), _measured(real), strict=True))
    return Look(*ratios)


def _measured(images: Tensor) -> Look:
    details = laplacian_pyramid(images, 2)[0].abs()
    grain = details.flatten(1).median(dim=1).values.median()
    return Look(*(each.item() for each in (details.mean(), grain, images.std(dim=0).mean(), images.mean())))


def read_looks(folder: Path, real: Tensor) -> list[tuple[int, Look]]:
    """The look of each grid in a folder of samples, by the images seen, which its name tells."""
    from PIL import Image, UnidentifiedImageError

    looks = []
    for path in sorted(folder.glob("*.png")):
        try:
            samples = grids.split_grid(Image.open(path), real.shape[-1], real.shape[1])
            looks.append((int(path.stem), look(samples, real)))
        except (UnidentifiedImageError, OSError, ValueError, RuntimeError) as error:
            raise DinoError(f"{path} is no grid of samples of this run. Move it out of the way") from error
    return looks


def _real_pictures(config: Config) -> Tensor | None:
    """What the run learned from, in [0, 1]; or None where they aren't to be had any more."""
    try:
        return to_unit(
            load_images(config.data, config.size, channels=config.channels, split=config.split, part="training")
        )
    except DinoError:
        return None


# ---- signs ----------------------------------------------------------------------------------------------------------


class Symptom(NamedTuple):
    """Something that isn't as it should be, and what to do."""

    what: str  # is the matter
    advice: str  # where to look, or what to try


def weight_symptoms(config: Config, tensors: dict[str, Tensor], about: dict[str, Any]) -> list[Symptom]:
    """What a saved state gives away for certain: weights that never moved, averages that don't average."""
    step, own_network = about["step"], about.get("own_network", False)
    if not step:
        return []
    networks = {
        whose: {name.removeprefix(f"{whose}."): t for name, t in tensors.items() if name.startswith(f"{whose}.")}
        for whose in ("model", "ema")
    }
    model, average = networks["model"], networks["ema"]
    signs = []
    if not own_network:
        start = initial_weights(config)
        moved = {whose: _distance(weights, start) for whose, weights in networks.items()}
        if moved["model"] == 0:
            unmoved = "the weights are those that the run began with, to the last bit: nothing is learned"
            return [Symptom(unmoved, "does the optimizer have this network's parameters, and is its step() called?")]
        if moved["ema"] < 0.01 * moved["model"]:
            signs.append(
                Symptom(
                    "the averaged weights, which samples are drawn with, are still those that the run began with",
                    "is update_average called after each step, and does it move the average by 1 - decay?",
                )
            )
        signs += _unreached(config, tensors)
    if all(torch.equal(average[name], weight) for name, weight in model.items()):
        signs.append(
            Symptom(
                "nothing is averaged: the averaged weights are the newest ones",
                "look at update_average: it should keep most of the average, and `decay` says how much",
            )
        )
    return signs


def initial_weights(config: Config) -> dict[str, Tensor]:
    """The weights that a run of dino's network begins with."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(config.seed)
        return config.new_network().state_dict()


def _distance(weights: dict[str, Tensor], others: dict[str, Tensor]) -> float:
    return math.sqrt(sum((weights[name] - other).square().sum().item() for name, other in others.items()))


def _unreached(config: Config, tensors: dict[str, Tensor]) -> list[Symptom]:
    """Weights that no gradient has ever reached: the optimizer's mean of their squares is 0 still."""
    with torch.device("meta"):
        names = [name for name, _ in config.new_network().named_parameters()]
    squares = {name: tensors.get(f"optimizer.{k}.exp_avg_sq", torch.zeros(1)) for k, name in enumerate(names)}
    first = squares["down.0.0.weight"]
    if first.ndim == 4 and not first[:, config.channels].any() and first.any():
        return [
            Symptom(
                "no gradient has ever reached the weights that read the noise level: the network isn't told it",
                "look where the level becomes one more channel of the input: is it multiplied by 0, or left out?",
            )
        ]
    still = [name for name, square in squares.items() if not square.any()]
    if not still:
        return []
    part = f"{len(still)} of {len(names)} weight tensors never had a gradient ({', '.join(still[:3])} ...)"
    return [Symptom(part, "is that part of the network used in forward()? Or do all its ReLUs answer 0?")]


# Losses that differ by less than this share are called equal; flat are those that fell by less than half of it.
FLAT = 0.1


def loss_symptoms(run: Run) -> list[Symptom]:
    """What the losses mean by themselves, whatever is learned from."""
    values = [loss for _, loss in smoothed(run.log)]
    least = min(values)
    at = run.log[values.index(least)][0]
    quarter = max(2, len(values) // 4)
    third, last = (fmean([loss for _, loss in rows]) for rows in (run.log[-2 * quarter : -quarter], run.log[-quarter:]))
    is_flat = abs(last / third - 1) < FLAT / 2
    signs = []
    if run.loss > 2 * run.one_color and run.step >= 50:
        signs.append(
            Symptom(
                f"the loss is {run.loss:.4g}, far above that of always answering the mean color "
                f"({run.one_color:.4f}): the numbers in the network grow from step to step",
                "are the gradients cleared before each step? Is the learning rate too high? Are skips missing?",
            )
        )
    elif run.loss > 1.5 * least:
        signs.append(
            Symptom(
                f"the loss was down at {least:.4f} after {at:,} images and is up at {run.loss:.4f}",
                f"a lower learning rate than {run.config.learning_rate:g}, or a longer warm-up; it does not come back",
            )
        )
    for name, loss in (("mean color", run.one_color), ("mean picture", run.mean_picture)):
        if is_flat and abs(run.loss / loss - 1) < FLAT and run.step >= 200:
            signs.append(
                Symptom(
                    f"flat at {run.loss:.4f}, the loss of always answering the {name} ({loss:.4f})",
                    "do the noisy picture and the noise level reach the network? Is each picture asked for its own "
                    "clean one? Or did a learning rate that is too high switch all its ReLUs off?",
                )
            )
            break
    return signs
