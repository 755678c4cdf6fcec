"""What is the matter with a run? `dino doctor` looks at its losses, samples and weights, and says what they look like.

    dino doctor runs/quick-1

It goes by what they show by themselves (dino/signs.py). And a run of the preset `quick` is laid beside recorded ones:
healthy runs, and runs with a bug that has a name. docs/gallery.md shows them all.
"""

import json
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING

import torch

from ..common.errors import printable, shell_command
from ..trainer.config import Config
from .report import Report, circumstances, table
from .symptoms import Curve, Look, Run, Symptom, loss_symptoms, read_run, recent, smoothed

if TYPE_CHECKING:
    from matplotlib.figure import Figure


RECORDED = Path(__file__).parent / "recorded_runs.json"  # made by scripts/benchmarks/gallery.py
FREE = ("seed", "precision", "learning_rate", "warmup", "anneal", "ema_half_life")  # may differ from a recorded run


# ---- the recorded runs ----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Recorded:
    """A recorded run: healthy, or with a bug that has a name."""

    name: str  # such as healthy-0 or no-skips
    told: str  # what the bug is
    advice: str  # where to look; empty for a healthy run
    log: Curve  # the losses, by the images seen
    looks: list[tuple[int, Look]]  # of its grids, by the images seen

    @property
    def healthy(self) -> bool:
        return not self.advice


def recorded() -> tuple[Config, list[Recorded]]:
    """The configuration of the recorded runs, and the runs."""
    found = json.loads(RECORDED.read_text())
    entries = [
        Recorded(
            each["name"],
            each["told"],
            each["advice"],
            [(images, loss) for images, loss in each["losses"]],
            [(images, Look(*values)) for images, values in each["looks"]],
        )
        for each in found["runs"]
    ]
    return Config.from_dict(found["config"]), entries


def differences(config: Config, other: Config) -> list[str]:
    """In what two configurations differ, in words; the seed and the precision aside."""
    ours, theirs = asdict(config), asdict(other)
    return [
        f"{name.replace('_', ' ')} {_short(ours[name])} instead of {_short(theirs[name])}"
        for name in ours
        if ours[name] != theirs[name] and name not in ("seed", "precision")
    ]


def _short(value: object) -> str:
    return f"{value:g}" if isinstance(value, float) else f"{value}"


def comparable(config: Config, other: Config) -> bool:
    """Whether two runs learn the same from the same, so that their losses can be laid beside each other."""
    ours, theirs = asdict(config), asdict(other)
    return all(ours[name] == theirs[name] for name in ours if name not in FREE)


def at(curve: Sequence[tuple[int, float]], images: int) -> float:
    """The number after so many images, on the straight line between the two points beside."""
    later = next((k for k, (x, _) in enumerate(curve) if x >= images), len(curve) - 1)
    (x0, y0), (x1, y1) = curve[max(0, later - 1)], curve[later]
    share = min(1.0, max(0.0, (images - x0) / (x1 - x0))) if x1 > x0 else 0.0
    return y0 + share * (y1 - y0)


def looks_of(looks: Sequence[tuple[int, Look]], name: str) -> Curve:
    """One number of the looks, by the images seen."""
    return [(images, getattr(each, name)) for images, each in looks]


MARGIN = {"loss": 0.08, "detail": 0.15, "grain": 0.35, "variety": 0.3, "brightness": 0.06}  # beyond the recorded runs
EARLY = 10_000  # images; before, runs differ by luck, and the margins are three times as wide


Bands = dict[str, tuple[float, float]]  # what is healthy or plausible: a range for the loss and each number of a look


def healthy_bands(entries: Sequence[Recorded], run: Run) -> Bands:
    """What is healthy where a run stands: for its loss after as many images, for its look at its last grid.

    From the least of the healthy runs to their largest, and a margin beyond: four runs don't show all that luck can do.
    """
    healthy = [entry for entry in entries if entry.healthy]
    bands = {"loss": _band("loss", run.images, [recent(entry.log, run.images) for entry in healthy])}
    for images, _ in run.looks[-1:]:
        for name in Look._fields:
            bands[name] = _band(name, images, [at(looks_of(entry.looks, name), images) for entry in healthy])
    return bands


def _band(name: str, images: int, values: list[float]) -> tuple[float, float]:
    margin = MARGIN[name] * (3 if images < EARLY else 1)
    return max(0.0, min(values) * (1 - margin)), max(values) * (1 + margin)


def apart(run: Run, entry: Recorded) -> float:
    """How unlike two runs are: the mean |log ratio| of their losses, and of their looks since the middle of the run."""
    theirs = smoothed(entry.log)
    losses = [abs(math.log(loss / at(theirs, x))) for x, loss in smoothed(run.log) if x >= EARLY]
    late = [(x, each) for x, each in run.looks if x >= max(EARLY, run.images / 2)]
    looks = [
        abs(math.log((getattr(each, name) + 0.05) / (at(looks_of(entry.looks, name), x) + 0.05)))
        for x, each in late
        for name in Look._fields
    ]
    return (fmean(losses) if losses else math.inf) + (fmean(looks) if looks else 0.0)


def nearest(run: Run, entries: Sequence[Recorded]) -> tuple[Recorded, bool]:
    """The recorded run that is most like this one, and whether it is so like that its name can be given to it."""
    by_distance = sorted(((apart(run, entry), entry) for entry in entries), key=lambda pair: pair[0])
    closest, like = by_distance[0]
    next_best = next(distance for distance, entry in by_distance if entry.healthy != like.healthy)
    return like, closest < 0.6 and closest < 0.5 * next_best


# ---- the verdict ----------------------------------------------------------------------------------------------------

MOST_SYMPTOMS = 3  # told; the gravest come first
# What is plausible of any pictures, where no healthy run of the same settings is recorded. Wide, and from experience.
PLAUSIBLE = {"detail": (0.4, 1.5), "grain": (0.0, 5.0), "variety": (0.3, 1.5), "brightness": (0.75, 1.3)}
SETTLED = 1_000  # steps; before, anything is plausible
SAMPLER = (
    "the network has learned, so look at the sampler: does it begin with pure noise at level 1, mix in each answer, "
    "and end at level 0? Does a noise level mean there what it means in training?"
)
LOW = {
    "detail": ("blurred", "are the U-Net's skips added, and is the noise level fed in?"),
    "grain": ("smoother than they should be", "are the U-Net's skips added, and is the noise level fed in?"),
    "variety": ("too much alike", "do the samples begin with noise of their own? Is the noise level fed in?"),
    "brightness": ("too dark", "are the pictures in [0, 1] everywhere, and clamped at the end?"),
}
HIGH = {
    "detail": ("noisy or too sharp", "does the sampler end at level 0? Is its step size 2 or less?"),
    "grain": ("grainy: noise is left in them", "does a noise level mean the same in sampling and in training?"),
    "variety": ("more unlike each other than real pictures", "does the sampler end at level 0?"),
    "brightness": ("too bright", "are the pictures in [0, 1] everywhere, and clamped at the end?"),
}  # fmt: skip


def diagnose(folder: Path) -> tuple[Report, "Figure"]:
    """Look at the run in a folder.

    Returns:
        The report, of which docs/reference/files.md tells (its "command" is the caller's to add), and a plot of the
        losses beside the recorded ones.

    Raises:
        DinoError: as `read_run`.
    """
    run = read_run(folder)
    base, entries = recorded()
    fits, changed = comparable(run.config, base), differences(run.config, base)
    bands = healthy_bands(entries, run) if fits else PLAUSIBLE if run.step >= SETTLED else {}
    like, sure = nearest(run, entries) if fits and run.images > EARLY else (None, False)
    signs = loss_symptoms(run) or band_symptoms(
        run, bands
    )  # the band says less, where a loss tells what it is by itself
    if signs and fits and changed:
        signs.insert(0, Symptom(f"its settings are not quick's: {', '.join(changed)}", "try it with those of quick"))
    if signs and like and sure and not like.healthy:
        named = Symptom(f"it goes like the recorded run {like.name}: {like.told}", like.advice)
        signs = [named, *(sign._replace(advice=like.advice) for sign in signs)]
    signs = [*run.symptoms, *signs]
    report = circumstances(torch.device("cpu")) | {
        "run": str(folder),
        "step": run.step,
        "of_steps": run.config.n_steps,
        "images": run.images,
        "data": run.config.data,
        "loss": run.loss,
        "loss_of_mean_picture": run.mean_picture if run.looks else None,
        "loss_of_mean_color": run.one_color if run.looks else None,
        "look": run.looks[-1][1]._asdict() if run.looks else None,
        "healthy": {name: list(limits) for name, limits in bands.items()},
        "comparable": fits,
        "settings": changed,
        "like": like.name if like else None,
        "signs": [sign._asdict() for sign in signs],
        "verdict": verdict(run, signs, fits),
    }
    return report, plot(run, entries if fits else [], None if not signs else like)


def band_symptoms(run: Run, bands: Bands) -> list[Symptom]:
    """What lies outside of what is healthy or plausible."""
    signs: list[Symptom] = []
    if "loss" in bands:
        low, high = bands["loss"]
        said = f"(healthy: {low:.4f} to {high:.4f})"
        if run.loss > high:
            signs.append(
                Symptom(
                    f"the loss is {run.loss / high:.2f} times the highest that is healthy here: {run.loss:.4f} {said}",
                    "if it still falls, train on; else something is in the way of learning",
                )
            )
        elif run.loss < low:
            signs.append(
                Symptom(
                    f"the loss is lower than in any healthy run: {run.loss:.4f} {said}, too good to be true",
                    "does the noise reach level 1, fresh for each picture? Does the network see the clean picture?",
                )
            )
    learned = "loss" in bands and not signs
    usual = "healthy" if "loss" in bands else "plausible"
    for name, value in run.looks[-1][1]._asdict().items() if run.looks else ():
        low, high = bands.get(name, (0.0, math.inf))
        if not low <= value <= high:
            words, advice = (LOW if value < low else HIGH)[name]
            but = "the loss is healthy, but " if learned and not signs else ""
            what = f"{but}the samples are {words} ({name} {value:.2f}, {usual} {low:.2f} to {high:.2f})"
            signs.append(Symptom(what, SAMPLER if learned else advice))
    return signs


def verdict(run: Run, signs: list[Symptom], fits: bool) -> str:
    """The run in a sentence or two."""
    where = f"step {run.step:,}"
    if signs:
        return f"{where}: " + "; ".join(sign.what for sign in signs[:MOST_SYMPTOMS])
    if not fits:
        return f"{where}: nothing looks broken, as far as that can be told without healthy runs of the same settings"
    blurred = run.looks and (run.looks[-1][1].detail < 0.8 or run.looks[-1][1].variety < 0.5)
    if run.step < run.config.n_steps:
        return f"{where}: inside the healthy band; " + (
            "blur is normal here" if blurred else "what is still missing comes with more training"
        )
    return f"{where}: inside the healthy band to the end. How good that is, {shell_command('dino', 'evaluate')} tells"


def rows(report: Report) -> list[tuple[str, ...]]:
    """The table: each number of the run, beside what is healthy."""
    lines: list[tuple[str, ...]] = [
        ("at its last step", "this run", "healthy" if report["comparable"] else "plausible")
    ]
    numbers = {"loss": report["loss"], **(report["look"] or {})}
    for name, value in numbers.items():
        limits = report["healthy"].get(name)
        digits = 4 if name == "loss" else 2
        lines.append((
            name if name == "loss" else f"samples' {name}",
            f"{value:.{digits}f}",
            f"{limits[0]:.{digits}f} to {limits[1]:.{digits}f}" if limits else "-",
        ))  # fmt: skip
    return lines


def facts(report: Report) -> dict[str, str]:
    """What is told below the table."""
    compared = (
        "healthy runs of the preset quick, and runs with bugs (docs/gallery.md)"
        if report["comparable"]
        else f"no recorded run, as these settings are others than quick's ({', '.join(report['settings'][:4])})"
    )
    told = {
        "run": f"{printable(report['run'])}, step {report['step']:,} of {report['of_steps']:,}, "
        f"{report['images']:,} images",
        "beside": compared,
    }
    if report["look"]:
        early = "" if report["healthy"] else f"; before step {SETTLED:,} anything is plausible"
        told["samples"] = f"their numbers are ratios to real pictures: 1 is as real ones are{early}"
        told["losses"] = (
            f"{report['loss_of_mean_picture']:.4f} for always answering the mean picture, "
            f"{report['loss_of_mean_color']:.4f} for the mean color"
        )
    else:
        told["samples"] = f"not compared, as the pictures of {printable(report['data'])} or the grids are not to be had"
    if report["like"]:
        told["like"] = f"of the recorded runs, {report['like']} is most like it"
    told["verdict"] = report["verdict"]
    advice = dict.fromkeys(sign["advice"] for sign in report["signs"][:MOST_SYMPTOMS])
    return told | {"try" if k == 1 else f"try {k}": each for k, each in enumerate(advice, start=1)}


def markdown(report: Report) -> str:
    """The table, to be read in a terminal or as Markdown."""
    return table(rows(report))


def plot(run: Run, entries: Sequence[Recorded], like: Recorded | None) -> "Figure":
    """The losses, in the healthy band where one is known, and beside the recorded run that is most like it."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 4.5), layout="constrained")
    axes = figure.subplots()
    if entries:
        xs = [x for x, _ in entries[0].log]
        healthy = [smoothed(entry.log) for entry in entries if entry.healthy]
        low, high = zip(*(_band("loss", x, [at(curve, x) for curve in healthy]) for x in xs), strict=True)
        axes.fill_between(xs, low, high, color="C0", alpha=0.25, label="healthy")
    if like and not like.healthy:
        axes.plot(*zip(*smoothed(like.log), strict=True), color="C1", linestyle="--", label=f"recorded: {like.name}")
    axes.plot(*zip(*smoothed(run.log), strict=True), color="black", label="this run")
    for name, level in (("mean picture", run.mean_picture), ("mean color", run.one_color)):
        if math.isfinite(level):
            axes.axhline(level, color="gray", linestyle=":", linewidth=1)
            axes.annotate(f"always the {name}", (run.log[0][0], level), va="bottom", fontsize=8, color="gray")
    axes.set(xlabel="images seen", ylabel="loss (mean squared error)", yscale="log")
    axes.grid(alpha=0.3, which="both")
    axes.legend()
    return figure
