"""Evaluation of a trained network and of its images, as `dino evaluate` reports it.

    dino evaluate runs/quick-1

The report has the denoising loss on training images and on held-out ones, the distance between generated and real
images, and whether the generated images are copies. `dino.evaluation` defines the measures. Each number is shown
next to the same number for real images, because alone it says little. docs/guides/evaluation.md explains all of them.
"""

import math
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean, median
from typing import TYPE_CHECKING, Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from tqdm import tqdm

from ..common.errors import DinoError, printable
from ..common.grids import grid, save_image
from ..common.plots import loss_scale
from ..data.loading import Part, fingerprint, load_labeled_images
from ..evaluation import PATCH, loss_by_noise_level, sliced_wasserstein
from ..images import seeded, to_unit
from ..noise import mix
from ..steering import GUIDANCE, asking
from ..trainer.batched_sampling import Steps, Wishes, generate_as_saved
from ..trainer.model_file import image_shape, vocabulary
from ..trainer.noising import draw_noise, noise_kind
from .fid import distances as fid_and_kid
from .fid import metrics as fid_metrics
from .memorization import MIN_HELD_OUT, PAIRS_PER_ROW, cant_tell, closest_pairs, memorization
from .report import Report, environment, in_words, known, number, table
from .report import write as write_report

if TYPE_CHECKING:  # imported where it is used, because it costs a learner a second
    from matplotlib.figure import Figure


PARTS: tuple[Part, Part] = ("training", "held out")
LEVELS = tuple((2 * k + 1) / 20 for k in range(10))  # 0.05 to 0.95
N_FOR_LOSS = 256  # images of each part; the network sees each image once per level
N_GENERATED = 256  # images to generate by default
GROUP = 64  # images on either side of a comparison
N_DRAWS = 24  # random draws of such groups
MIN_REAL = 8  # images; with fewer, the results would be chance
EQUAL = 1e-4  # the distance below which two groups of real images are equal, in standard deviations of their patches
ALL_EQUAL = "the real images are equal to each other, or nearly so, and the distance between them is the unit"


# ---- the real images ------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class RealImages:
    """The real images that a network is compared with: uint8, (N, C, size, size), on the CPU."""

    source: str  # as `load_images` takes it
    training: Tensor  # the images that a network learns from
    held_out: Tensor  # the images that it doesn't learn from, about a tenth
    training_words: Tensor | None = None  # what they show, (N, n_words), in the network's vocabulary if it has one
    held_out_words: Tensor | None = None
    no_verdict: str = ""  # the reason why memorization can't be judged, or "" if it can

    @property
    def all(self) -> Tensor:
        """Both parts, the training images first."""
        return torch.cat([self.training, self.held_out])

    @property
    def all_words(self) -> Tensor | None:
        """The words of both parts, or None if the network has no vocabulary."""
        words = [part for part in (self.training_words, self.held_out_words) if part is not None]
        return torch.cat(words) if words else None

    @classmethod
    def of(cls, source: str, split: str, metadata: dict[str, Any]) -> "RealImages":
        """Load the real images to compare a network with.

        Args:
            source, split: as `load_images` takes them.
            metadata: of the network's file.

        Raises:
            DinoError: if the images can't be loaded, or they are too few or too small to compare.
        """
        channels, size, _ = image_shape(metadata)
        if size < PATCH:
            raise DinoError(f"images are compared in patches of {PATCH} pixels, and these are {size} pixels a side")
        words = vocabulary(metadata)
        parts = [
            load_labeled_images(source, size, vocabulary=words, channels=channels, split=split, part=part)
            for part in PARTS
        ]
        training, held_out = (part.images for part in parts)
        shown = [part.words.float() if words else None for part in parts]
        n, trained_on = len(training) + len(held_out), metadata.get("fingerprint")
        if n < MIN_REAL:
            raise DinoError(f"a comparison needs at least {MIN_REAL} images, and {printable(source)} has {n}")
        no_verdict = ""
        if len(held_out) < MIN_HELD_OUT:
            no_verdict = f"{len(held_out)} of the {n} real images are held out, and at least {MIN_HELD_OUT} are needed"
        # Weights that weren't saved by the trainer have no fingerprint. What their metadata says is taken as true.
        if trained_on not in (None, fingerprint(training)):
            no_verdict = "these weights were trained on other images, or on the held-out images too"
        return cls(source, training, held_out, shown[0], shown[1], no_verdict)


# ---- measuring ------------------------------------------------------------------------------------------------------


def measure(
    model: nn.Module,
    metadata: dict[str, Any],
    real: RealImages,
    *,
    n: int | None = None,
    steps: Steps | None = None,
    guidance: float = GUIDANCE,
    seed: int = 0,
    fid: bool = False,
) -> tuple[Report, Tensor]:
    """Generate images and measure everything that `dino evaluate` reports. Shows progress bars.

    Args:
        model, metadata: as `load_model` returns them.
        real: as from `RealImages.of`.
        n: how many images to generate. By default as many as there are real images, and at most `N_GENERATED`.
        steps: how to sample, as for `generate_as_saved`.
        guidance: see `dino.steering.guide`. A network that knows words is asked for what real images show.
        seed: determines the generated images, and which images are compared.
        fid: whether to measure FID and KID too, with the library torchmetrics.

    Returns:
        The report, without its "command"; docs/reference/files.md lists its entries. And the generated images that
        come closest to a training image, with that image, as from `closest_pairs`.

    Raises:
        DinoError: if n is too small, the network's output is not finite, or FID's library or weights are missing.
    """
    n = n or min(N_GENERATED, len(real.all))
    group = group_size(n, len(real.all))
    device = next(model.parameters()).device
    metrics = fid_metrics(device) if fid else None  # before the long work, so that a missing library is reported first
    shape = real.training.shape[1:]
    steps, words = steps or Steps.for_model(metadata), real.all_words
    if words is not None:
        words = words[torch.randperm(len(words), generator=seeded("cpu", seed, "words"))[torch.arange(n) % len(words)]]
    samples = generate_as_saved(
        model, metadata, n, image_shape=shape, steps=steps, wishes=Wishes(words, guidance), seed=seed
    ).to(device)
    if not samples.isfinite().all():
        raise DinoError("the network generates numbers that are not finite. Use weights from before training failed")
    report = environment(device) | {
        "images_seen": metadata.get("images_seen"),
        "data": real.source,
        "images": {"training": len(real.training), "held_out": len(real.held_out), "generated": n},
        "size": shape[-1],
        "sampling": {
            "steps": steps.n_steps,
            "spacing": steps.spacing,
            "step_size": steps.fixed_size,
            "guidance": None if words is None else guidance,
            "seed": seed,
        },
        "loss": losses(model, real, seed, noise_kind(metadata)),
        "distance": distances(samples, real.all, group, seed),
        "memorization": (
            cant_tell(real.no_verdict) if real.no_verdict else memorization(samples, real.training, real.held_out)
        ),
    }
    if metrics:
        report["inception"] = fid_and_kid(metrics, samples, real.all)
    return report | {"unknown": _unknown(report)}, closest_pairs(samples, real.training)


def _unknown(report: Report) -> dict[str, str]:
    """Return why numbers of a report are unknown, by their names."""
    reasons = {}
    for part, n in (("training", 1), ("held_out", report["images"]["held_out"])):
        if not n:
            reasons[f"loss.{part}"] = "no image is held out"
        elif None in report["loss"][part]:
            reasons[f"loss.{part}"] = "the network's predictions are too far off for a finite number"
    if report["distance"]["ratio"] is None:
        reasons["distance"] = ALL_EQUAL
    if report["memorization"]["quotient"] is None:
        reasons["memorization"] = report["memorization"]["verdict"].partition(": ")[2]
    for name, value in report.get("inception", {}).items():
        if value is None:
            few = name == "kid_std" and report["inception"]["kid"] is not None
            why = "there are too few images for subsets that differ" if few else "the features are not finite numbers"
            reasons[f"inception.{name}"] = why
    return reasons


def group_size(n: int, n_real: int) -> int:
    """Return how many images are compared at a time: `GROUP`, or half of fewer real ones.

    Args:
        n: how many images are generated.
        n_real: how many real images there are.

    Raises:
        DinoError: if n doesn't fill a group.
    """
    group = min(GROUP, n_real // 2)
    if n < group:
        raise DinoError(
            f"groups of {group} images are compared, so {n} generated images are too few", settings={"n": group}
        )
    return group


def losses(model: nn.Module, real: RealImages, seed: int = 0, noise: str = "uniform") -> Report:
    """Return the denoising loss at each of `LEVELS`, on training images and on held-out images.

    A loss is None if it is not finite, and all losses on a part are None if the part has no images. All of them are of
    predicted images, whatever the network's target is.
    """
    device, by_part = next(model.parameters()).device, {}
    for name, part, words in (
        ("training", real.training, real.training_words),
        ("held_out", real.held_out, real.held_out_words),
    ):
        chosen = torch.randperm(len(part), generator=seeded("cpu", seed, "loss"))[:N_FOR_LOSS]
        clean = to_unit(part[chosen]).to(device)
        denoiser = model if words is None else asking(model, words[chosen].to(device))
        levels = tqdm(LEVELS, f"denoising, {name.replace('_', ' ')}", leave=False, disable=None)
        by_part[name] = [known(_loss(denoiser, clean, level, noise)) for level in levels] if len(clean) else None
    return {"levels": list(LEVELS), **by_part}


@torch.no_grad()
def _loss(denoiser: nn.Module, clean: Tensor, level: float, kind: str) -> float:
    if kind == "uniform":
        return loss_by_noise_level(denoiser, clean, [level]).item()
    generator = seeded(clean.device, "loss by noise level")
    noise_level = torch.full((len(clean), 1, 1, 1), level, device=clean.device)
    noisy = mix(clean, draw_noise(clean.shape, kind, generator=generator, device=clean.device), noise_level)
    return F.mse_loss(denoiser(noisy, noise_level), clean).item()


def distances(samples: Tensor, real: Tensor, group: int = GROUP, seed: int = 0) -> Report:
    """Measure the distance between generated and real images, in units of the distance between two real groups.

    By chance alone, small groups are further apart than large ones. Therefore all groups have the same size, however
    many images there are. Each of `N_DRAWS` draws compares a group of real images with another real group and with a
    generated group, using the same patches and directions. The medians over the draws are the result. The interval
    from the 5th to the 95th percentile shows how far chance can move it: an m-out-of-n bootstrap (Politis and Romano
    1994).

    Args:
        samples: in [0, 1], (S, C, H, W), at least `group` of them.
        real: uint8, (N, C, H, W), at least twice `group`.
        group: the number of images in a group.
        seed: determines the groups, patches and directions.

    Returns:
        The "ratio"; "generated_interval" and "real_interval", two numbers each; the "draws" of both; and the "group".
        If the real images are all equal, nothing but the group is known, and the rest is None.
    """
    to_generated: list[float] = []
    to_real: list[float] = []
    for k in tqdm(range(N_DRAWS), "comparing", leave=False, disable=None):
        generator = seeded("cpu", seed, "groups", k)
        chosen = torch.randperm(len(real), generator=generator)[: 2 * group]
        one, other = to_unit(real[chosen]).to(samples.device).split(group)
        generated = samples[torch.randperm(len(samples), generator=generator)[:group].to(samples.device)]
        for found, images in ((to_generated, generated), (to_real, other)):
            found.append(sliced_wasserstein(one, images, generator=seeded(one.device, seed, "patches", k)))
    unit = unit_of(to_real)
    if unit is None:
        return dict.fromkeys(("ratio", "generated_interval", "real_interval", "draws")) | {"group": group}
    draws = {"generated": [value / unit for value in to_generated], "real": [value / unit for value in to_real]}
    intervals = {f"{name}_interval": _middle_90_percent(values) for name, values in draws.items()}
    return {"ratio": median(to_generated) / unit, **intervals, "draws": draws, "group": group}


def unit_of(to_real: list[float]) -> float | None:
    """Return the distance between real images that is the unit of all distances, or None if it is nearly 0.

    Args:
        to_real: the distances between two groups of real images, in each draw.
    """
    unit = median(to_real)
    return unit if unit >= EQUAL else None


def _middle_90_percent(values: list[float]) -> list[float]:
    """Return the 5th and the 95th percentile."""
    found: list[float] = torch.tensor(values).quantile(torch.tensor([0.05, 0.95])).tolist()
    return found


# ---- printing and writing -------------------------------------------------------------------------------------------

BEWARE = (
    "compare these numbers only with numbers for the same real images, image size and group size. They can't be "
    "compared across data sets, nor with published FIDs, and none of them says whether an image makes sense"
)


def rows(report: Report) -> list[tuple[str, ...]]:
    """Return the rows of the table: the losses by noise level, and their mean."""
    levels = report["loss"]["levels"]
    columns = [report["loss"][name] or [None] * len(levels) for name in ("training", "held_out")]
    lines: list[tuple[str, ...]] = [("noise level", "training", "held out")]
    for level, *of_parts in zip(levels, *columns, strict=True):
        lines.append((f"{level:.2f}", *(number(loss, ".5f") for loss in of_parts)))
    return [*lines, ("mean", *(number(None if None in column else fmean(column), ".5f") for column in columns))]


def facts(report: Report) -> dict[str, str]:
    """Return the sentences below the table, by their labels."""
    n, sampling, found = (report[name] for name in ("images", "sampling", "memorization"))
    sentences = {
        "images": f"{n['training']:,} training and {n['held_out']:,} held out of {printable(report['data'])}, "
        f"{report['size']} x {report['size']}; {n['generated']:,} generated in {sampling['steps']} "
        f"{_steps(sampling['spacing'], sampling['step_size'])}{_guided(sampling['guidance'])}",
        "loss": f"the mean squared error of one prediction, at each noise level{_unknown_losses(report['unknown'])}",
        "distance": _distance_in_words(report["distance"]),
    }
    if found["quotient"] is not None:
        sentences["memorization"] = (
            f"{found['quotient']:.2f}, where 1 means new and 0 means copied: the distance to the nearest training "
            f"image over that to the nearest held-out one is {found['generated']:.2f}, and {found['unseen']:.2f} for "
            "unseen real images"
        )
        sentences["copies"] = (
            f"{found['copies']:.0%} are near copies of a training image, as are {found['unseen_copies']:.0%} of unseen "
            "real images"
        )
    sentences["verdict"] = found["verdict"]
    if inception := report.get("inception"):
        sentences["FID, KID"] = (
            f"FID {number(inception['fid'], '.1f')}, KID {number(inception['kid'], '.4f')} "
            f"(+- {number(inception['kid_std'], '.4f')}), from {n['generated']:,} images; fewer images make FID higher"
        )
        if reasons := {name: why for name, why in report["unknown"].items() if name.startswith("inception")}:
            sentences["unknown"] = in_words(reasons)
    return sentences | {"beware": BEWARE}


def _unknown_losses(reasons: dict[str, str]) -> str:
    parts = {"loss.training": "training images", "loss.held_out": "held-out images"}
    return "".join(f"; unknown on {parts[name]}, because {reasons[name]}" for name in parts if name in reasons)


def _distance_in_words(distance: Report) -> str:
    if distance["ratio"] is None:
        return f"unknown, because {ALL_EQUAL}"
    draws = f"90% of {len(distance['draws']['real'])} draws of {distance['group']}"
    return (
        f"{distance['ratio']:.2f} times the distance between real images ({draws}: "
        f"{_range(distance['generated_interval'])}; real images: {_range(distance['real_interval'])})"
    )


def _steps(spacing: str, step_size: float | None) -> str:
    size = "exact size, the last of size 1" if step_size is None else f"size {step_size:g}"
    return f"warped steps of {size}" if spacing == "warped" else f"steps of {size}"


def _guided(guidance: float | None) -> str:
    return "" if guidance is None else f", with guidance {guidance:g}"


def _range(interval: list[float]) -> str:
    return f"{interval[0]:.2f} to {interval[1]:.2f}"


def markdown(report: Report) -> str:
    """Return the table, readable in a terminal and valid Markdown."""
    return table(rows(report))


def plot(report: Report) -> "Figure":
    """Plot the losses by noise level, and histograms of the distances to real images."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 4), layout="constrained")
    left, right = figure.subplots(1, 2, width_ratios=(2, 1))
    levels, columns = report["loss"]["levels"], {name: report["loss"][name] for name in ("training", "held_out")}
    for name, column in columns.items():
        known_losses = [math.nan if loss is None else loss for loss in column or [None] * len(levels)]
        left.plot(levels, known_losses, "o-", label=name.replace("_", " ") + ", unknown" * (None in (column or [None])))
    scale = loss_scale([loss for column in columns.values() for loss in column or ()])
    left.set(xlabel="noise level", ylabel="loss (mean squared error)", yscale=scale, title="Loss of one prediction")
    left.grid(alpha=0.3, which="both")
    left.legend()
    right.set(xlabel="distance to real images", ylabel="draws", title="Groups of images")
    if report["distance"]["draws"] is None:
        right.text(0.5, 0.5, "unknown", ha="center", va="center", transform=right.transAxes)
        return figure
    for name, values in report["distance"]["draws"].items():
        right.hist(values, bins=8, alpha=0.6, label=name)
    right.legend()
    return figure


def write(report: Report, pairs: Tensor, path: Path) -> list[Path]:
    """Write the report as JSON, Markdown and a plot under one name, and the grid of pairs beside them.

    Returns:
        The paths of the four files.
    """
    columns = min(PAIRS_PER_ROW, len(pairs) // 2)
    pairs_path = path.with_name(f"{path.stem}-nearest.png")
    return [
        *write_report(report, path, markdown(report), facts(report), plot(report)),
        save_image(grid(pairs, columns=columns), pairs_path),
    ]
