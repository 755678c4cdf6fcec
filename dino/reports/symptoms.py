"""Symptoms: what the losses, samples and weights of a run show by themselves. `dino.reports.diagnosis` interprets them.

Some bugs leave certain evidence in the saved weights. Some losses mean something by themselves, such as the loss of
always predicting the mean image. And samples can be blurred, grainy, too similar to each other, or too dark.
"""

import csv
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import fmean
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from ..common import plots
from ..common.errors import DinoError, first_line, printable
from ..common.grids import split_grid
from ..data.loading import load_images
from ..evaluation import laplacian_pyramid
from ..images import seeded, to_unit
from ..noise import mix
from ..trainer import tensor_file
from ..trainer.config import Config
from ..trainer.model_file import blueprint, load_model
from ..trainer.muon import inner_matrices
from ..trainer.noising import draw_noise, noise_kind
from ..trainer.run_folder import LOG, SAMPLES, progress
from ..trainer.tensor_file import STATE, WEIGHTS

N_RECENT = 6  # rows of the log
MIN_ROWS = 2  # rows of the log, for a diagnosis
NEARLY_0 = 1e-3  # where black is 0 and white is 1, a quarter of a byte; a quotient by less would be chance

Curve = list[tuple[int, float]]  # images seen, and a number


class Symptom(NamedTuple):
    """Something that is not as it should be, and what to do about it."""

    finding: str  # a clause, without a capital or a period
    advice: str  # sentences: where to look, or what to try


# ---- reading a run folder -------------------------------------------------------------------------------------------


class SampleStats(NamedTuple):
    """Statistics of samples, each divided by the same statistic of real images: 1 means equal. None is unknown.

    Most drawings have areas without any grain, and a quotient by 0 says nothing. So grain is divided by at least
    `NEARLY_0`.
    """

    detail: float | None  # mean strength of the finest details
    grain: float | None  # strength of the finest details in the smoothest areas, where leftover noise shows first
    variety: float | None  # how much the images differ from each other
    brightness: float | None  # mean


@dataclass(frozen=True)
class Run:
    """The contents of a run folder. What can't be known is None."""

    config: Config
    step: int  # steps done at the last save
    log: Curve  # the losses, except those that are not finite
    samples: list[tuple[int, SampleStats]]  # of each sample grid, by images seen; empty if there are no real images
    loss_of_mean_image: float | None  # of always predicting the mean of all real images
    loss_of_mean_color: float | None  # of always predicting the mean color of all real images
    symptoms: list[Symptom]  # what the saved weights show, and losses that are not finite
    unknown: dict[str, str] = field(default_factory=dict)  # why a number is unknown, by its name in a report
    smooth: bool = False  # whether real images have areas without grain, so that no amount of grain is plausible

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
    rows = read_log(folder / LOG)
    log = [(images, loss) for images, loss in rows if math.isfinite(loss)]
    if len(log) < MIN_ROWS:
        raise _too_short(folder, config, metadata["step"], len(rows), len(log))
    symptoms = weight_symptoms(config, tensors, metadata) + nonfinite_symptoms(rows)
    try:
        real = real_images(config)
    except DinoError as error:
        why = f"the images of {printable(config.data)} can't be loaded ({first_line(error)})"
        unknown = dict.fromkeys(("sample_stats", "loss_of_mean_image", "loss_of_mean_color"), why)
        return Run(config, metadata["step"], log, [], None, None, symptoms, unknown)
    if (folder / WEIGHTS).is_file():
        model, model_metadata = load_model(folder)
        symptoms += level_symptoms(model, noise_kind(model_metadata), real)
    of_real = statistics(real)
    samples = read_sample_stats(folder / SAMPLES, real, of_real)
    unknown = unknown_stats(samples, of_real, len(real))
    smooth = _is_nearly_0(of_real.grain)
    if why := why_of_another_scale(config):
        unknown |= dict.fromkeys(("loss_of_mean_image", "loss_of_mean_color"), why)
        return Run(config, metadata["step"], log, samples, None, None, symptoms, unknown, smooth)
    loss_of_mean_image = torch.cat([real, real.flip(-1)]).var(dim=0, correction=0).mean().item()
    loss_of_mean_color = real.var(dim=(0, 2, 3), correction=0).mean().item()
    return Run(
        config, metadata["step"], log, samples, loss_of_mean_image, loss_of_mean_color, symptoms, unknown, smooth
    )


def why_of_another_scale(config: Config) -> str:
    """Return why the losses of a run aren't in the scale of the errors of images, or nothing if they are.

    The weighting "low" keeps the scale if noise levels are drawn evenly, because the mean of its weights is then 1.
    """
    if config.target != "image":
        return f"the loss is that of the {config.target}, in another scale than the errors of images"
    if config.weighting != "even" and config.levels != "uniform":
        return "low noise levels count more in the loss, and they aren't drawn evenly"
    return ""


def _too_short(folder: Path, config: Config, step: int, n_rows: int, n_finite: int) -> DinoError:
    """Return the error for a run whose log has too few losses."""
    if n_finite < n_rows:
        return DinoError(
            f"the loss is a finite number in {n_finite} of the {n_rows} rows of {folder / LOG}, and a diagnosis needs "
            f"{MIN_ROWS}. The training step must return the loss of its batch"
        )
    longer = {"resume": folder} | ({"n_images": 2 * config.n_images} if step == config.n_steps else {})
    return DinoError(
        f"the run in {folder} is too short to diagnose: it is {progress(step, config.n_steps)} at step {step:,} of "
        f"{config.n_steps:,}, its log has {n_rows} row{'s' * (n_rows != 1)}, and a diagnosis needs {MIN_ROWS}. "
        "Train longer",
        settings=longer,
        command="train",
    )


def read_log(path: Path) -> Curve:
    """Return the losses in a run's log.csv. A loss that wasn't a finite number is NaN or infinite.

    Raises:
        DinoError: if the file isn't such a log.
    """
    try:
        with path.open(newline="", encoding="utf-8") as file:
            return [(int(row["images"]), _loss(row["loss"])) for row in csv.DictReader(file)]
    except (KeyError, TypeError, ValueError) as error:
        raise DinoError(f"{path} isn't the log of a run: it needs the columns images and loss") from error


def _loss(cell: str) -> float:
    return float(cell) if cell != "" else math.nan


def smoothed(log: Curve) -> Curve:
    """Return the mean of each loss and its neighbors, because single rows of the log vary too much to judge by."""
    return list(zip([x for x, _ in log], plots.smooth([y for _, y in log]), strict=True))


def recent_loss(log: Curve, images: int) -> float:
    """Return the mean of the last few losses up to `images`. It lags behind, so compare it only with itself."""
    return fmean([loss for x, loss in log if x <= images][-N_RECENT:] or [log[0][1]])


def sample_stats(samples: Tensor, real: Tensor) -> SampleStats:
    """Return the statistics of samples relative to those of real images; both in [0, 1], (N, C, H, W)."""
    return _relative(statistics(samples), statistics(real))


def _is_nearly_0(value: float | None) -> bool:
    """Return whether a statistic of real images is too small to divide by, or unknown."""
    return value is None or value < NEARLY_0


def _relative(stats: SampleStats, of_real: SampleStats) -> SampleStats:
    real = of_real._replace(grain=None if of_real.grain is None else max(of_real.grain, NEARLY_0))
    pairs = zip(stats, real, strict=True)
    return SampleStats(
        *(None if value is None or unit is None or unit < NEARLY_0 else value / unit for value, unit in pairs)
    )


def statistics(images: Tensor) -> SampleStats:
    """Return the statistics of images by themselves. A single image has no variety, and one pixel has no details."""
    height, width = (side // 2 * 2 for side in images.shape[-2:])  # a pyramid needs even sides
    variety = images.std(dim=0).mean().item() if len(images) > 1 else None
    if not height or not width:
        return SampleStats(None, None, variety, images.mean().item())
    details = laplacian_pyramid(images[..., :height, :width], 2)[0].abs()
    grain = details.flatten(1).median(dim=1).values.median()
    return SampleStats(details.mean().item(), grain.item(), variety, images.mean().item())


def unknown_stats(samples: Sequence[tuple[int, SampleStats]], of_real: SampleStats, n_real: int) -> dict[str, str]:
    """Return why statistics of the last samples are unknown, by their names in a report.

    Args:
        samples: the statistics of each sample grid.
        of_real: the statistics of the real images.
        n_real: how many real images there are.
    """
    if not samples:
        return {"sample_stats": f"the folder {SAMPLES} of the run has no sample grids"}
    reasons = {
        "detail": "the real images have no fine details",
        "grain": "the images have a side of one pixel",
        "variety": "there is only one real image" if n_real == 1 else "the real images are all equal, or nearly so",
        "brightness": "the real images are black, or nearly so",
    }
    if of_real.detail is None:
        reasons["detail"] = reasons["grain"]
    if not _is_nearly_0(of_real.variety):
        reasons["variety"] = "the last sample grid has a single image"
    last = samples[-1][1]._asdict()
    return {f"sample_stats.{name}": reason for name, reason in reasons.items() if last[name] is None}


def read_sample_stats(folder: Path, real: Tensor, of_real: SampleStats | None = None) -> list[tuple[int, SampleStats]]:
    """Return the statistics of every sample grid in a folder, by the images seen, which are the name of the file.

    Args:
        folder: of the grids.
        real: the real images, in [0, 1], (N, C, H, W).
        of_real: their statistics, if the caller has them already.

    Raises:
        DinoError: if a file isn't a sample grid.
    """
    from PIL import Image, UnidentifiedImageError

    stats, of_real = [], of_real or statistics(real)
    for path in sorted(folder.glob("*.png")):
        try:
            samples = split_grid(Image.open(path), real.shape[-1], real.shape[1])
            stats.append((int(path.stem), _relative(statistics(samples), of_real)))
        except (UnidentifiedImageError, OSError, ValueError, RuntimeError) as error:
            raise DinoError(f"{path} isn't a sample grid of this run. Move it out of the folder") from error
    return stats


def real_images(config: Config) -> Tensor:
    """Return the images that the run learns from, in [0, 1].

    Raises:
        DinoError: if they can't be loaded any more.
    """
    return to_unit(load_images(config.data, config.size, channels=config.channels, split=config.split, part="training"))


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

OPPOSITE_LEVEL = Symptom(
    "the network predicts better with the opposite noise level: in training, level 1 was the clean image",
    "At level 1, mix(clean, noise, level) should return the noise, in training and in sampling alike.",
)
TRIED, N_TRIED = (0.15, 0.85), 32  # the noise levels at which the network is tried, and the number of images


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


def level_symptoms(model: nn.Module, noise: str, real: Tensor) -> list[Symptom]:
    """Find a network that predicts better with the opposite noise level. This symptom is certain.

    Training can't show it: all levels are drawn equally often, so it doesn't matter there which end is called 1.

    Args:
        model: the network that draws the samples. Without words.
        noise: the kind of noise that it was trained with; see `draw_noise`.
        real: the real images, in [0, 1], (N, C, H, W).
    """
    clean, generator = real[:: max(1, len(real) // N_TRIED)][:N_TRIED], seeded("cpu", "levels")
    errors = {"told": 0.0, "opposite": 0.0}
    for level in TRIED:
        noisy = mix(clean, draw_noise(clean.shape, noise, generator=generator), torch.full((1, 1, 1, 1), level))
        for name, told in (("told", level), ("opposite", 1 - level)):
            with torch.inference_mode():
                denoised = model(noisy, torch.full((1, 1, 1, 1), told))
            errors[name] += (denoised - clean).square().mean().item() / len(TRIED)
    of_color = clean.var(dim=(0, 2, 3), correction=0).mean().item()  # a network that knows nothing shows nothing
    return [OPPOSITE_LEVEL] if errors["opposite"] < min(0.5 * errors["told"], of_color) else []


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
# Mean squared errors, where black is 0 and white is 1.
LARGEST = 1.0  # that of a black image in place of a white one; numbers in [0, 1] can't have a larger error
LARGE = 0.01  # a tenth of the way from black to white; with less, no number has grown
INVISIBLE = 1e-5  # less than one step of a byte; by how much such losses rise or fall means nothing


def nonfinite_symptoms(rows: Curve) -> list[Symptom]:
    """Return the symptom of losses that are NaN or infinite, if there are any."""
    broken = [images for images, loss in rows if not math.isfinite(loss)]
    if not broken:
        return []
    finding = f"the loss is not a finite number in {len(broken)} of the {len(rows)} rows of the log, first after "
    advice = "Does the training step return the loss of its batch? Is something divided by 0 there?"
    return [Symptom(f"{finding}{broken[0]:,} images", advice)]


def loss_symptoms(run: Run) -> list[Symptom]:
    """Return what the losses show by themselves, whatever the run learns from."""
    values = [loss for _, loss in smoothed(run.log)]
    lowest = min(values)
    at = run.log[values.index(lowest)][0]
    symptoms = []
    if _grows(run):
        symptoms.append(
            Symptom(
                f"the loss is {run.loss:.4g}, far above that of always predicting the mean color "
                f"({run.loss_of_mean_color:.4f}): the numbers in the network grow from step to step",
                "Are the gradients cleared before each step (optimizer.zero_grad())? Is the learning rate too high? "
                "Are the skip connections missing?",
            )
        )
    elif run.loss > max(1.5 * lowest, INVISIBLE):
        symptoms.append(
            Symptom(
                f"the loss fell to {lowest:.4f} after {at:,} images and then rose to {run.loss:.4f}",
                f"Start again with a lower learning rate than {run.config.learning_rate:g}, or with a longer warm-up. "
                "A run whose loss has risen like this does not recover.",
            )
        )
    for name, loss in (("mean color", run.loss_of_mean_color), ("mean image", run.loss_of_mean_image)):
        if loss is not None and abs(run.loss - loss) < CLOSE * loss and _is_flat(run.log) and run.step >= 200:
            symptoms.append(
                Symptom(
                    f"the loss is flat at {run.loss:.4f}, the loss of always predicting the {name} ({loss:.4f})",
                    "Do the noisy image and the noise level reach the network? Is each prediction compared with its "
                    "own clean image? Or has a learning rate that is too high made all ReLUs output 0?",
                )
            )
            break
    return symptoms


def _grows(run: Run) -> bool:
    """Return whether a loss is so high that numbers in the network must be growing.

    A high loss that falls belongs to a run that has only begun, however low the loss of the mean color is: it is 0 if
    all images have one color.
    """
    if run.loss_of_mean_color is None or run.step < 50:
        return False
    falls = _change(run.log) < -FLAT and run.log[-1][1] < LARGEST
    return run.loss > max(2 * run.loss_of_mean_color, LARGE) and not falls


def _is_flat(log: Curve) -> bool:
    return len(log) >= 4 and abs(_change(log)) < FLAT  # fewer rows vary too much to be called flat


def _change(log: Curve) -> float:
    """Return by which fraction the loss changed from the third quarter of a log to the last; of at least two rows."""
    quarter = max(2, len(log) // 4) if len(log) >= 4 else 1
    third, last = (fmean([loss for _, loss in rows]) for rows in (log[-2 * quarter : -quarter], log[-quarter:]))
    return last / third - 1 if third > 0 else 0.0 if last == third else math.inf
