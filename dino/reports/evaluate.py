"""Is it any good? What `dino evaluate` measures of a trained network and of its pictures, and how it is told.

    dino evaluate runs/quick-1

How well it denoises, on pictures that it learned from and on others; how far a crowd of its pictures is from a crowd of
real ones; and whether they are new. The measures are those of `dino.evaluation`. Each is set beside the same number for
real pictures alone, for by itself none says much. How to read them: docs/guides/evaluation.md.
"""

from dataclasses import dataclass
from pathlib import Path
from statistics import fmean, median
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from tqdm.auto import tqdm

from ..common.errors import DinoError, printable
from ..common.grids import grid, save_image
from ..data.loading import Part, fingerprint, load_images
from ..evaluation import PATCH, loss_by_noise_level, sliced_wasserstein
from ..images import seeded, to_unit
from ..trainer.batched_sampling import generate_batched
from ..trainer.model_file import image_shape
from . import memorization
from . import report as reports
from .fid import distances as fid_and_kid
from .fid import metrics as fid_metrics
from .report import Report

if TYPE_CHECKING:
    from matplotlib.figure import Figure


PARTS: tuple[Part, Part] = ("training", "held out")
LEVELS = tuple((2 * k + 1) / 20 for k in range(10))  # 0.05 to 0.95
N_FOR_LOSS = 256  # pictures of each part; each goes through the network once for every level
N_GENERATED = 256  # pictures that are drawn
GROUP = 64  # pictures that are compared with as many others
N_DRAWS = 24  # of such groups
LEAST_REAL, LEAST_HELD_OUT = 8, 4  # pictures; with fewer all would be chance


# ---- the real pictures ----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class RealImages:
    """The real pictures, uint8 (N, C, size, size) on the CPU, in the two parts of `load_images`."""

    source: str  # as `load_images` takes it
    training: Tensor  # those that a network learns from
    held_out: Tensor  # those that it doesn't, about a tenth
    doubt: str = ""  # why it can't be told which of them are new to the network, if so

    @property
    def all(self) -> Tensor:
        """Both parts, the training pictures first."""
        return torch.cat([self.training, self.held_out])

    @classmethod
    def of(cls, source: str, split: str, about: dict[str, Any]) -> "RealImages":
        """Load those of a source that are to be set beside a network's, of which its file says `about`.

        Raises:
            DinoError: they can't be loaded, or are too few or too small to compare.
        """
        channels, size, _ = image_shape(about)
        if size < PATCH:
            raise DinoError(f"the pictures are {size} pixels a side, and at least {PATCH} can be compared")
        training, held_out = (load_images(source, size, channels=channels, split=split, part=part) for part in PARTS)
        n, learned_from = len(training) + len(held_out), about.get("fingerprint")
        if n < LEAST_REAL:
            raise DinoError(f"there are {n} pictures in {printable(source)}, and it takes {LEAST_REAL} to compare with")
        doubt = ""
        if len(held_out) < LEAST_HELD_OUT:
            doubt = f"{len(held_out)} of the {n} real pictures are held out, and it takes at least {LEAST_HELD_OUT}"
        # As the trainer notes it. Of weights that were saved by hand nothing is known; what they say is believed.
        if learned_from not in (None, fingerprint(training)):
            doubt = "these weights learned from other pictures, or from the held-out ones as well"
        return cls(source, training, held_out, doubt)


# ---- measuring ------------------------------------------------------------------------------------------------------


def measure(
    model: nn.Module,
    about: dict[str, Any],
    real: RealImages,
    *,
    n: int | None = None,
    n_steps: int = 100,
    step_size: float = 2.0,
    seed: int = 0,
    fid: bool = False,
) -> tuple[Report, Tensor]:
    """Draw pictures and measure all that `dino evaluate` tells, behind progress bars.

    Args:
        model, about: as from `dino.weights.load_model`.
        real: as from `RealImages.of`.
        n: how many pictures to draw. By default as many as there are real ones, and at most `N_GENERATED`.
        n_steps, step_size: of `dino.sampler.generate`.
        seed: decides the pictures, and which are compared.
        fid: whether to measure FID and KID, too, with the library torchmetrics.

    Returns:
        The report, of which docs/reference/files.md tells (its "command" is the caller's to add); and the pictures that
        come closest to one of the training pictures, ready for `grid(columns=newness.IN_A_ROW)`: in turns a row of them
        and a row of the training pictures.

    Raises:
        DinoError: too few are to be drawn; they are no pictures; FID's library or its weights are missing.
    """
    group, n = min(GROUP, len(real.all) // 2), n or min(N_GENERATED, len(real.all))
    if n < group:
        raise DinoError(f"pictures are compared {group} with {group}, so draw at least as many: -n {group}")
    device = next(model.parameters()).device
    metrics = fid_metrics(device) if fid else None  # what is missing is told before the work
    shape = real.training.shape[1:]
    samples = generate_batched(model, n, image_shape=shape, n_steps=n_steps, step_size=step_size, seed=seed).to(device)
    if not samples.isfinite().all():
        raise DinoError("the network draws numbers that are not finite. Take weights from before its training failed")
    report = reports.circumstances(device) | {
        "images_seen": about.get("images_seen"),
        "data": real.source,
        "pictures": {"training": len(real.training), "held_out": len(real.held_out), "generated": n},
        "size": shape[-1],
        "sampling": {"steps": n_steps, "step_size": step_size, "seed": seed},
        "loss": losses(model, real, seed),
        "distance": distances(samples, real.all, group, seed),
        "newness": (
            {"verdict": f"can't tell whether the pictures are learned by heart: {real.doubt}"}
            if real.doubt
            else memorization.newness(samples, real.training, real.held_out)
        ),
    }
    if metrics:
        report["inception"] = fid_and_kid(metrics, samples, real.all)
    return report, memorization.closest_pairs(samples, real.training)


def losses(model: nn.Module, real: RealImages, seed: int = 0) -> Report:
    """The denoising loss at each of LEVELS, on some training pictures and on some that are held out."""
    device, told = next(model.parameters()).device, {}
    for name, part in (("training", real.training), ("held_out", real.held_out)):
        chosen = torch.randperm(len(part), generator=seeded("cpu", seed, "loss"))[:N_FOR_LOSS]
        clean = to_unit(part[chosen]).to(device)
        levels = tqdm(LEVELS, f"denoising, {name.replace('_', ' ')}", leave=False, disable=None)
        told[name] = [loss_by_noise_level(model, clean, [level]).item() for level in levels] if len(clean) else None
    return {"levels": list(LEVELS), **told}


def distances(samples: Tensor, real: Tensor, group: int = GROUP, seed: int = 0) -> Report:
    """How far generated pictures are from real ones, in units of how far two groups of real ones are apart.

    A smaller group is further from anything, by chance alone. So all groups are of one size, however many pictures
    there are. In each of `N_DRAWS` draws a group of real pictures is compared with another and with a generated one,
    by the same patches and directions. The medians over the draws are what counts. Between the 5th and the 95th
    percentile lies where they might have come out: an m-out-of-n bootstrap (Politis and Romano 1994).

    Args:
        samples: in [0, 1], (S, C, H, W), at least `group` of them.
        real: uint8, (N, C, H, W), at least twice `group`.

    Returns:
        The "ratio"; "generated_interval" and "real_interval", two numbers each; the "draws" of both; and the "group".
    """
    far: list[float] = []
    floor: list[float] = []
    for k in tqdm(range(N_DRAWS), "comparing", leave=False, disable=None):
        chance = seeded("cpu", seed, "groups", k)
        some = torch.randperm(len(real), generator=chance)[: 2 * group]
        one, other = to_unit(real[some]).to(samples.device).split(group)
        new = samples[torch.randperm(len(samples), generator=chance)[:group].to(samples.device)]
        for apart, images in ((far, new), (floor, other)):
            apart.append(sliced_wasserstein(one, images, generator=seeded(one.device, seed, "patches", k)))
    unit = max(median(floor), 1e-9)  # 0 where all real pictures are one and the same
    draws = {"generated": [each / unit for each in far], "real": [each / unit for each in floor]}
    intervals = {f"{name}_interval": _middle(values) for name, values in draws.items()}
    return {"ratio": median(far) / unit, **intervals, "draws": draws, "group": group}


def _middle(values: list[float]) -> list[float]:
    """The 5th and the 95th percentile."""
    found: list[float] = torch.tensor(values).quantile(torch.tensor([0.05, 0.95])).tolist()
    return found


# ---- telling --------------------------------------------------------------------------------------------------------

BEWARE = (
    "these numbers go with these real pictures, this size and these groups. They can't be compared with those of other "
    "data sets or sizes, nor with anyone's FID, and none of them sees whether a picture makes sense"
)


def rows(report: Report) -> list[tuple[str, ...]]:
    """The table: the losses by noise level, and their mean."""
    levels, training, held_out = (report["loss"][name] for name in ("levels", "training", "held_out"))
    lines = [("noise level", "training", "held out")]
    for k, level in enumerate(levels):
        lines.append((f"{level:.2f}", f"{training[k]:.5f}", f"{held_out[k]:.5f}" if held_out else "-"))
    return [*lines, ("mean", f"{fmean(training):.5f}", f"{fmean(held_out):.5f}" if held_out else "-")]


def facts(report: Report) -> dict[str, str]:
    """What is told below the table."""
    n, sampling, apart, new = (report[name] for name in ("pictures", "sampling", "distance", "newness"))
    draws = f"90% of {len(apart['draws']['real'])} draws of {apart['group']}"
    told = {
        "pictures": f"{n['training']:,} to learn from and {n['held_out']:,} held out of {printable(report['data'])}, "
        f"{report['size']} x {report['size']}; {n['generated']:,} drawn, {sampling['steps']} steps of size "
        f"{sampling['step_size']:g}",
        "loss": "the mean squared error of one guess, at each noise level",
        "distance": f"{apart['ratio']:.2f} times that between real pictures ({draws}: "
        f"{_range(apart['generated_interval'])}; of real ones {_range(apart['real_interval'])})",
    }
    if "quotient" in new:
        told["newness"] = (
            f"{new['quotient']:.2f}: distance to the nearest training picture over the nearest held-out one, "
            f"{new['generated']:.2f}, and {new['unseen']:.2f} for unseen real pictures; 1 is as new, 0 a copy"
        )
        told["copies"] = f"{new['copies']:.0%} are nearly one, and {new['unseen_copies']:.0%} of unseen real pictures"
    told["verdict"] = new["verdict"]
    if found := report.get("inception"):
        told["FID, KID"] = (
            f"FID {found['fid']:.1f}, KID {found['kid']:.4f} (+- {found['kid_spread']:.4f}), from {n['generated']:,} "
            "pictures; FID is higher for fewer"
        )
    return told | {"beware": BEWARE}


def _range(interval: list[float]) -> str:
    return f"{interval[0]:.2f} to {interval[1]:.2f}"


def markdown(report: Report) -> str:
    """The table, to be read in a terminal or as Markdown."""
    return reports.table(rows(report))


def plot(report: Report) -> "Figure":
    """The losses against the noise level, and the distance in each draw beside that of real pictures."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 4), layout="constrained")
    left, right = figure.subplots(1, 2, width_ratios=(2, 1))
    for name in ("training", "held_out"):
        if report["loss"][name]:
            left.plot(report["loss"]["levels"], report["loss"][name], "o-", label=name.replace("_", " "))
    left.set(xlabel="noise level", ylabel="loss (mean squared error)", yscale="log", title="One guess")
    left.grid(alpha=0.3, which="both")
    left.legend()
    for name, values in report["distance"]["draws"].items():
        right.hist(values, bins=8, alpha=0.6, label=name)
    right.set(xlabel="distance from real pictures", ylabel="draws", title="Groups of pictures")
    right.legend()
    return figure


def write(report: Report, pairs: Tensor, path: Path) -> list[Path]:
    """Write the numbers as JSON; beside it, under the same name, a page of Markdown, a plot and the sheet of pairs."""
    columns = min(memorization.IN_A_ROW, len(pairs) // 2)
    sheet = path.with_name(f"{path.stem}-nearest.png")
    return [
        *reports.write(report, path, markdown(report), facts(report), plot(report)),
        save_image(grid(pairs, columns=columns), sheet),
    ]
