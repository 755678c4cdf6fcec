"""Symptoms: what the losses, samples and weights of a run show by themselves. `dino.reports.diagnosis` interprets them.

Some bugs leave certain evidence in the saved weights. Some losses mean something by themselves, such as the loss of
always predicting the mean image. And samples can be blurred, grainy, too similar to each other, or too dark.
"""

import csv
import math
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import Any, NamedTuple

import torch
from torch import Tensor

from ..common import plots
from ..common.errors import DinoError
from ..common.grids import split_grid
from ..data.loading import load_images
from ..evaluation import laplacian_pyramid
from ..images import to_unit
from ..trainer import tensor_file
from ..trainer.config import Config
from ..trainer.model_file import blueprint
from ..trainer.muon import inner_matrices
from ..trainer.run_folder import LOG, SAMPLES
from ..trainer.tensor_file import STATE

N_RECENT = 6  # rows of the log

Curve = list[tuple[int, float]]  # images seen, and a number


class Symptom(NamedTuple):
    """Something that is not as it should be, and what to do about it."""

    finding: str  # a clause, without a capital or a period
    advice: str  # sentences: where to look, or what to try


# ---- reading a run folder -------------------------------------------------------------------------------------------


class SampleStats(NamedTuple):
    """Statistics of samples, each divided by the same statistic of real images: 1 means equal."""

    detail: float  # mean strength of the finest details
    grain: float  # strength of the finest details in the smoothest areas, where leftover noise shows first
    variety: float  # how much the images differ from each other
    brightness: float  # mean


@dataclass(frozen=True)
class Run:
    """The contents of a run folder."""

    config: Config
    step: int  # steps done at the last save
    log: Curve  # the losses
    samples: list[tuple[int, SampleStats]]  # of each sample grid, by images seen; empty if there are no real images
    loss_of_mean_image: float  # of always predicting the mean of all real images, or NaN
    loss_of_mean_color: float  # of always predicting the mean color of all real images, or NaN
    symptoms: list[Symptom]  # what the saved weights show

    @property
    def images(self) -> int:
        """The number of images seen."""
        return self.log[-1][0]

    @property
    def loss(self) -> float:
        """The loss at the end of the log."""
        return recent_loss(self.log, self.images)


def read_run(folder: Path) -> Run:
    """Read a run folder.

    Raises:
        DinoError: if there is no run in it, the run is too short, or one of its files is damaged.
    """
    if not (folder / LOG).is_file():
        raise DinoError(f"there is no run in {folder} (no {LOG}). Give a run folder, such as runs/quick-1")
    tensors, metadata = tensor_file.read(folder / STATE, "state")
    config, _ = blueprint(folder / STATE, metadata)
    log = read_log(folder / LOG)
    if len(log) < 2:
        longer = {"resume": folder} | ({"n_images": 2 * config.n_images} if metadata["step"] == config.n_steps else {})
        raise DinoError(f"the run in {folder} is too short to diagnose. Train longer", settings=longer, command="train")
    real = _real_images(config)
    samples: list[tuple[int, SampleStats]] = []
    loss_of_mean_image = loss_of_mean_color = math.nan
    if real is not None:
        samples = read_sample_stats(folder / SAMPLES, real)
        with_mirrored = torch.cat([real, real.flip(-1)])
        loss_of_mean_image = with_mirrored.var(dim=0, correction=0).mean().item()
        loss_of_mean_color = real.var(dim=(0, 2, 3), correction=0).mean().item()
    symptoms = weight_symptoms(config, tensors, metadata)
    return Run(config, metadata["step"], log, samples, loss_of_mean_image, loss_of_mean_color, symptoms)


def read_log(path: Path) -> Curve:
    """Return the losses in a run's log.csv.

    Raises:
        DinoError: if the file isn't such a log.
    """
    try:
        with path.open(newline="") as file:
            return [(int(row["images"]), float(row["loss"])) for row in csv.DictReader(file)]
    except (KeyError, TypeError, ValueError) as error:
        raise DinoError(f"{path} isn't the log of a run: it needs the columns images and loss") from error


def smoothed(log: Curve) -> Curve:
    """Return the mean of each loss and its neighbors, because single rows of the log vary too much to judge by."""
    return list(zip([x for x, _ in log], plots.smooth([y for _, y in log]), strict=True))


def recent_loss(log: Curve, images: int) -> float:
    """Return the mean of the last few losses up to `images`. It lags behind, so compare it only with itself."""
    return fmean([loss for x, loss in log if x <= images][-N_RECENT:] or [log[0][1]])


def sample_stats(samples: Tensor, real: Tensor) -> SampleStats:
    """Return the statistics of samples relative to those of real images; both in [0, 1], (N, C, H, W)."""
    return _relative(_statistics(samples), _statistics(real))


def _relative(stats: SampleStats, of_real: SampleStats) -> SampleStats:
    return SampleStats(*(value / max(real, 1e-3) for value, real in zip(stats, of_real, strict=True)))


def _statistics(images: Tensor) -> SampleStats:
    details = laplacian_pyramid(images, 2)[0].abs()
    grain = details.flatten(1).median(dim=1).values.median()
    return SampleStats(*(each.item() for each in (details.mean(), grain, images.std(dim=0).mean(), images.mean())))


def read_sample_stats(folder: Path, real: Tensor) -> list[tuple[int, SampleStats]]:
    """Return the statistics of every sample grid in a folder, by the images seen, which are the name of the file.

    Raises:
        DinoError: if a file isn't a sample grid.
    """
    from PIL import Image, UnidentifiedImageError

    stats, of_real = [], _statistics(real)
    for path in sorted(folder.glob("*.png")):
        try:
            samples = split_grid(Image.open(path), real.shape[-1], real.shape[1])
            stats.append((int(path.stem), _relative(_statistics(samples), of_real)))
        except (UnidentifiedImageError, OSError, ValueError, RuntimeError) as error:
            raise DinoError(f"{path} isn't a sample grid of this run. Move it out of the folder") from error
    return stats


def _real_images(config: Config) -> Tensor | None:
    """Return the images that the run learns from, in [0, 1], or None if they can't be loaded any more."""
    try:
        return to_unit(
            load_images(config.data, config.size, channels=config.channels, split=config.split, part="training")
        )
    except DinoError:
        return None


# ---- symptoms of the weights ----------------------------------------------------------------------------------------


NOTHING_LEARNED = Symptom(
    "the weights are exactly those that the run started with, so nothing was learned",
    "Was the optimizer created with this network's parameters? Is optimizer.step() called?",
)
EMA_NEVER_MOVED = Symptom(
    "the EMA weights, which draw the samples, are still those that the run started with",
    "Is update_average called after each step? It should move each weight of the average the fraction 1 - decay of the "
    "way to the model's weight.",
)
NOTHING_AVERAGED = Symptom(
    "the EMA weights equal the newest weights, so nothing is averaged",
    "Look at update_average: at every step, the average should keep the fraction `decay` of itself.",
)
NO_NOISE_LEVEL = Symptom(
    "the weights that read the noise level never received a gradient: the network doesn't see the noise level",
    "In forward(), the noise level should be one more channel of the input. Is it left out, or multiplied by 0?",
)


def weight_symptoms(config: Config, tensors: dict[str, Tensor], metadata: dict[str, Any]) -> list[Symptom]:
    """Return the symptoms in a saved state, such as weights that never moved. These symptoms are certain."""
    if not metadata["step"]:
        return []
    networks = {
        name: {key.removeprefix(f"{name}."): t for key, t in tensors.items() if key.startswith(f"{name}.")}
        for name in ("model", "ema")
    }
    symptoms = []
    if not metadata.get("own_network", False):
        initial = initial_weights(config)
        moved = {name: _distance(weights, initial) for name, weights in networks.items()}
        if moved["model"] == 0:
            return [NOTHING_LEARNED]
        if moved["ema"] < 0.01 * moved["model"]:
            symptoms.append(EMA_NEVER_MOVED)
        symptoms += _gradient_symptoms(config, tensors)
    if all(torch.equal(networks["ema"][name], weight) for name, weight in networks["model"].items()):
        symptoms.append(NOTHING_AVERAGED)
    return symptoms


def initial_weights(config: Config) -> dict[str, Tensor]:
    """Return the weights that a run of dino's network starts with."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(config.seed)
        return config.new_network().state_dict()


def _distance(weights: dict[str, Tensor], others: dict[str, Tensor]) -> float:
    return math.sqrt(sum((weights[name] - other).square().sum().item() for name, other in others.items()))


def _gradient_symptoms(config: Config, tensors: dict[str, Tensor]) -> list[Symptom]:
    """Find weights that never received a gradient: the optimizer's running mean of their gradients is still 0."""
    with torch.device("meta"):
        network = config.new_network()
    weights = list(network.named_parameters())
    if config.optimizer == "muon":  # its matrices come first in the file
        matrices = {id(matrix) for matrix in inner_matrices(network)}
        weights.sort(key=lambda named: id(named[1]) not in matrices)
    means = {name: _mean_gradient(tensors, number) for number, (name, _) in enumerate(weights)}
    first = means[next(name for name, _ in network.named_parameters())]
    if first.ndim == 4 and not first[:, -1].any() and first.any():  # the noise level is the last channel
        return [NO_NOISE_LEVEL]
    without = [name for name, _ in network.named_parameters() if not means[name].any()]
    if not without:
        return []
    finding = f"{len(without)} of {len(means)} weight tensors never received a gradient ({', '.join(without[:3])} ...)"
    return [Symptom(finding, "Does forward() use that part of the network? Or do all of its ReLUs output 0?")]


def _mean_gradient(tensors: dict[str, Tensor], number: int) -> Tensor:
    """Return the mean of weight number `number`'s squared gradients (AdamW) or gradients (Muon), or a 0 without any."""
    names = [f"optimizer.{number}.{name}" for name in ("exp_avg_sq", "momentum")]
    return next((tensors[name] for name in names if name in tensors), torch.zeros(1))


# ---- symptoms of the losses -----------------------------------------------------------------------------------------

CLOSE = 0.1  # losses that differ by a smaller fraction count as equal
FLAT = 0.05  # losses that change by a smaller fraction, from one quarter of a run to the next, count as flat


def loss_symptoms(run: Run) -> list[Symptom]:
    """Return what the losses show by themselves, whatever the run learns from."""
    values = [loss for _, loss in smoothed(run.log)]
    lowest = min(values)
    at = run.log[values.index(lowest)][0]
    symptoms = []
    if run.loss > 2 * run.loss_of_mean_color and run.step >= 50:
        symptoms.append(
            Symptom(
                f"the loss is {run.loss:.4g}, far above that of always predicting the mean color "
                f"({run.loss_of_mean_color:.4f}): the numbers in the network grow from step to step",
                "Are the gradients cleared before each step (optimizer.zero_grad())? Is the learning rate too high? "
                "Are the skip connections missing?",
            )
        )
    elif run.loss > 1.5 * lowest:
        symptoms.append(
            Symptom(
                f"the loss fell to {lowest:.4f} after {at:,} images and then rose to {run.loss:.4f}",
                f"Start again with a lower learning rate than {run.config.learning_rate:g}, or with a longer warm-up. "
                "A run whose loss has risen like this does not recover.",
            )
        )
    for name, loss in (("mean color", run.loss_of_mean_color), ("mean image", run.loss_of_mean_image)):
        if _is_flat(run.log) and abs(run.loss / loss - 1) < CLOSE and run.step >= 200:
            symptoms.append(
                Symptom(
                    f"the loss is flat at {run.loss:.4f}, the loss of always predicting the {name} ({loss:.4f})",
                    "Do the noisy image and the noise level reach the network? Is each prediction compared with its "
                    "own clean image? Or has a learning rate that is too high made all ReLUs output 0?",
                )
            )
            break
    return symptoms


def _is_flat(log: Curve) -> bool:
    quarter = max(2, len(log) // 4)
    third, last = (fmean([loss for _, loss in rows]) for rows in (log[-2 * quarter : -quarter], log[-quarter:]))
    return abs(last / third - 1) < FLAT
