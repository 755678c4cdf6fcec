"""Diagnosis of a run from its losses, samples and weights, as `dino doctor` reports it.

    dino doctor runs/quick-1

A diagnosis starts from what these show by themselves (dino/reports/symptoms.py). A run of the preset `quick` is also
compared with recorded runs: healthy ones, and runs with a bug that is known by name. docs/gallery.md shows them all.
"""

import json
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING

import torch

from ..common.errors import printable
from ..common.plots import loss_scale
from ..trainer.config import METHODS, Config
from ..trainer.run_folder import progress
from .report import Report, environment, in_words, number, table
from .symptoms import (
    INVISIBLE,
    N_RECENT,
    NEARLY_0,
    Curve,
    Run,
    SampleStats,
    Symptom,
    loss_symptoms,
    read_run,
    recent_loss,
    smoothed,
)

if TYPE_CHECKING:  # imported where it is used, because it costs a learner a second
    from matplotlib.figure import Figure


# ---- the recorded runs ----------------------------------------------------------------------------------------------

RECORDED = Path(__file__).parent / "recorded_runs.json"  # made by scripts/benchmarks/gallery.py


@dataclass(frozen=True)
class RecordedRun:
    """A recorded run: a healthy one, or one with a known bug."""

    name: str  # such as healthy-0 or no-skips
    description: str  # what is wrong
    advice: str  # where to look; empty for a healthy run
    log: Curve  # the losses
    samples: list[tuple[int, SampleStats]]  # of each sample grid, by images seen

    @property
    def healthy(self) -> bool:
        """True if nothing is wrong with the run."""
        return not self.advice


def recorded_runs() -> tuple[Config, list[RecordedRun]]:
    """Return the configuration of the recorded runs, and the runs."""
    recorded = json.loads(RECORDED.read_text(encoding="utf-8"))
    runs = [
        RecordedRun(
            run["name"],
            run["description"],
            run["advice"],
            [(images, loss) for images, loss in run["losses"]],
            [(images, SampleStats(*values)) for images, values in run["sample_stats"]],
        )
        for run in recorded["runs"]
    ]
    return Config.from_dict(recorded["config"]), runs


SAME = ("seed", *METHODS)  # may differ, and a healthy run stays as healthy
# May differ, but is the first suspect if something is wrong.
SUSPECTS = ("optimizer", "learning_rate", "matrix_learning_rate", "warmup", "anneal", "ema_half_life")


def comparable(config: Config, other: Config) -> bool:
    """Return whether two runs train the same network on the same images, so that their losses can be compared."""
    ours, theirs = asdict(config), asdict(other)
    return all(ours[name] == theirs[name] for name in ours if name not in SAME + SUSPECTS)


def differences(config: Config, other: Config) -> list[str]:
    """Describe how two configurations differ, apart from the seed and the ways to compute."""
    ours, theirs = asdict(config), asdict(other)
    return [
        f"{name.replace('_', ' ')} {_short(ours[name])} instead of {_short(theirs[name])}"
        for name in ours
        if ours[name] != theirs[name] and name not in SAME
    ]


def _short(value: object) -> str:
    return f"{value:g}" if isinstance(value, float) else f"{value}"


# ---- comparing with them --------------------------------------------------------------------------------------------

Ranges = dict[str, tuple[float, float]]  # the expected loss and sample statistics: lowest and highest

# How far beyond the recorded runs a healthy run may be, as a fraction. Four runs don't show everything chance can do.
MARGIN = {"loss": 0.1, "detail": 0.15, "grain": 0.35, "variety": 0.15, "brightness": 0.04}
EARLY = 8_000  # images; before this, runs differ by chance, and the margins are three times as wide


def healthy_ranges(recorded: Sequence[RecordedRun], run: Run) -> Ranges:
    """Return the healthy ranges of the loss at the end of a run, and of the statistics of its last sample grid.

    Each range spans the healthy recorded runs after the same number of images, and a margin beyond them.
    """
    healthy = [each for each in recorded if each.healthy]
    ranges = {"loss": _range("loss", run.images, [recent_loss(each.log, run.images) for each in healthy])}
    for images, _ in run.samples[-1:]:
        for name in SampleStats._fields:
            ranges[name] = _range(name, images, [value_at(series(each.samples, name), images) for each in healthy])
    return ranges


def _range(name: str, images: int, values: list[float]) -> tuple[float, float]:
    margin = MARGIN[name] * (3 if images < EARLY else 1)
    return max(0.0, min(values) * (1 - margin)), max(values) * (1 + margin)


def value_at(curve: Sequence[tuple[int, float]], images: int) -> float:
    """Return the value of a curve after `images` images, interpolated between the two nearest points."""
    later = next((k for k, (x, _) in enumerate(curve) if x >= images), len(curve) - 1)
    (x0, y0), (x1, y1) = curve[max(0, later - 1)], curve[later]
    fraction = min(1.0, max(0.0, (images - x0) / (x1 - x0))) if x1 > x0 else 0.0
    return y0 + fraction * (y1 - y0)


def series(samples: Sequence[tuple[int, SampleStats]], name: str) -> Curve:
    """Return one of the sample statistics as a curve, where it is known."""
    return [(images, getattr(stats, name)) for images, stats in samples if getattr(stats, name) is not None]


def dissimilarity(run: Run, recorded: RecordedRun) -> float:
    """Return the mean |log ratio| between two runs: of their losses, plus that of their later sample statistics."""
    theirs = smoothed(recorded.log)
    losses = [
        abs(math.log(max(loss, INVISIBLE) / max(value_at(theirs, x), INVISIBLE)))
        for x, loss in smoothed(run.log)
        if x >= EARLY
    ]
    samples = [
        abs(math.log((value + 0.05) / (value_at(series(recorded.samples, name), x) + 0.05)))
        for name in SampleStats._fields
        for x, value in series(run.samples, name)
        if x >= max(EARLY, run.images / 2)
    ]
    return (fmean(losses) if losses else math.inf) + (fmean(samples) if samples else 0.0)


def most_similar(run: Run, recorded: Sequence[RecordedRun]) -> tuple[RecordedRun, bool]:
    """Return the most similar recorded run, and whether the two are similar enough to have the same bug."""
    ranked = sorted(((dissimilarity(run, each), each) for each in recorded), key=lambda pair: pair[0])
    distance, closest = ranked[0]
    next_best = next(other for other, each in ranked if each.healthy != closest.healthy)
    return closest, distance < 0.6 and distance < 0.5 * next_best


# ---- symptoms beyond the expected ranges ----------------------------------------------------------------------------

# The plausible statistics of any samples, for runs without comparable recorded ones. They are wide, from experience.
PLAUSIBLE = {"detail": (0.4, 1.5), "grain": (0.0, 10.0), "variety": (0.3, 1.5), "brightness": (0.75, 1.3)}
SETTLED = 1_000  # steps; before this, any statistics are plausible


def plausible_ranges(run: Run) -> Ranges:
    """Return the plausible ranges of the sample statistics of a run that no recorded run can be compared with."""
    if run.step < SETTLED:
        return {}
    return {name: limits for name, limits in PLAUSIBLE.items() if not (name == "grain" and run.smooth)}


SAMPLER = (
    "The network has learned, so look at the sampler. Does it start from pure noise at level 1, mix in every "
    "prediction, and end at level 0? Does a noise level mean the same there as in training?"
)
UNET = "Are the U-Net's skip connections added? Does the network see the noise level?"
UNIT_RANGE = "Are images in [0, 1] everywhere, and are samples clamped to [0, 1] at the end?"
TOO_LOW = {
    "detail": ("blurred", UNET),
    "grain": ("too smooth", UNET),
    "variety": (
        "too similar to each other",
        "Does each sample start from its own noise? Does the network see the noise level?",
    ),
    "brightness": ("too dark", UNIT_RANGE),
}
TOO_HIGH = {
    "detail": ("noisy or too sharp", "Does the sampler end at level 0? Is its step size at most 2?"),
    "grain": ("grainy, with noise left in them", "Does a noise level mean the same in sampling as in training?"),
    "variety": ("more varied than real images", "Does the sampler end at level 0?"),
    "brightness": ("too bright", UNIT_RANGE),
}


def range_symptoms(run: Run, ranges: Ranges) -> list[Symptom]:
    """Return a symptom for everything outside its healthy or plausible range."""
    symptoms = _loss_range_symptoms(run.loss, *ranges["loss"]) if "loss" in ranges else []
    loss_is_healthy = "loss" in ranges and not symptoms
    kind = "healthy" if "loss" in ranges else "plausible"
    for name, value in run.samples[-1][1]._asdict().items() if run.samples else ():
        if value is None or name not in ranges:
            continue
        low, high = ranges[name]
        if not low <= value <= high:
            words, advice = (TOO_LOW if value < low else TOO_HIGH)[name]
            but = "the loss is healthy, but " if loss_is_healthy and not symptoms else ""
            finding = f"{but}the samples are {words} ({name} {value:.2f}, {kind} {low:.2f} to {high:.2f})"
            symptoms.append(Symptom(finding, SAMPLER if loss_is_healthy else advice))
    return symptoms


def _loss_range_symptoms(loss: float, low: float, high: float) -> list[Symptom]:
    healthy = f"(healthy: {low:.4f} to {high:.4f})"
    if loss > high:
        return [
            Symptom(
                f"the loss is {loss / high:.2f} times the highest healthy loss at this stage: {loss:.4f} {healthy}",
                "If the loss is still falling, train longer. If it isn't, something keeps the network from learning.",
            )
        ]
    if loss < low:
        return [
            Symptom(
                f"the loss is lower than in any healthy run: {loss:.4f} {healthy}, which is too good to be true",
                "Does training use noise levels up to 1, and new noise for each image? Can the network see the clean "
                "image?",
            )
        ]
    return []


# ---- the diagnosis --------------------------------------------------------------------------------------------------

MAX_SYMPTOMS = 3  # reported, the most serious first


def diagnose(folder: Path) -> tuple[Report, "Figure"]:
    """Diagnose the run in a folder.

    Returns:
        The report, without its "command"; docs/reference/files.md lists its entries. And a plot of the losses beside
        those of recorded runs.

    Raises:
        DinoError: as `read_run`.
    """
    run = read_run(folder)
    config, recorded = recorded_runs()
    fits = comparable(run.config, config)
    ranges = healthy_ranges(recorded, run) if fits else plausible_ranges(run)
    closest, same_bug = most_similar(run, recorded) if fits and run.images > EARLY else (None, False)
    changes = differences(run.config, config)
    symptoms = run.symptoms + _symptoms(run, ranges, changes if fits else [], closest if same_bug else None)
    report = environment(torch.device("cpu")) | {
        "run": str(folder),
        "step": run.step,
        "of_steps": run.config.n_steps,
        "progress": progress(run.step, run.config.n_steps),
        "images": run.images,
        "data": run.config.data,
        "target": run.config.target,
        "weighting": run.config.weighting,
        "flaws": run.config.flaws,
        "loss": run.loss,
        "rows": min(N_RECENT, len(run.log)),
        "loss_of_mean_image": run.loss_of_mean_image,
        "loss_of_mean_color": run.loss_of_mean_color,
        "sample_stats": run.samples[-1][1]._asdict() if run.samples else None,
        "expected": {name: list(limits) for name, limits in ranges.items()},
        "comparable": fits,
        "differences": changes,
        "most_similar": closest.name if closest else None,
        "symptoms": [symptom._asdict() for symptom in symptoms],
        "verdict": verdict(run, symptoms, fits),
        "unknown": run.unknown,
        "smooth": run.smooth,
    }
    return report, plot(run, recorded if fits else [], closest if symptoms else None)


def _symptoms(run: Run, ranges: Ranges, changes: list[str], same_bug: RecordedRun | None) -> list[Symptom]:
    """Return the symptoms of the losses and samples, explained by changed settings or a recorded bug if possible."""
    symptoms = loss_symptoms(run) or range_symptoms(run, ranges)  # a loss that explains itself says more than a range
    if symptoms and changes:
        finding = f"the settings are not those of the preset quick: {', '.join(changes)}"
        symptoms.insert(0, Symptom(finding, "Try the settings of the preset quick."))
    if symptoms and same_bug and not same_bug.healthy:
        finding = f"the run resembles the recorded run {same_bug.name}: {same_bug.description}"
        symptoms = [Symptom(finding, same_bug.advice), *(each._replace(advice=same_bug.advice) for each in symptoms)]
    return symptoms


def verdict(run: Run, symptoms: list[Symptom], fits: bool) -> str:
    """Say in a sentence or two how a run is doing.

    Args:
        run: the run.
        symptoms: of the run, the most serious first.
        fits: whether the run was compared with the recorded ones.
    """
    at = f"step {run.step:,}"
    if symptoms:
        return f"{at}: " + "; ".join(symptom.finding for symptom in symptoms[:MAX_SYMPTOMS])
    if not fits:
        return f"{at}: nothing looks broken, but no healthy run with these settings was recorded to compare with"
    if not run.samples:
        return f"{at}: the loss is within the healthy range, and nothing is known of the samples"
    if run.step >= run.config.n_steps:
        return f"{at}: within the healthy range to the end"
    stats = run.samples[-1][1]
    blurred = any(value is not None and value < limit for value, limit in ((stats.detail, 0.8), (stats.variety, 0.5)))
    return f"{at}: within the healthy range; " + (
        "blur is normal at this stage" if blurred else "the samples should improve with more training"
    )


# ---- printing -------------------------------------------------------------------------------------------------------


def rows(report: Report) -> list[tuple[str, ...]]:
    """Return the rows of the table: each number of the run beside its healthy or plausible range."""
    lines: list[tuple[str, ...]] = [
        ("at the end of the run", "this run", "healthy" if report["comparable"] else "plausible")
    ]
    numbers = {"loss": report["loss"], **(report["sample_stats"] or dict.fromkeys(SampleStats._fields))}
    for name, value in numbers.items():
        limits = report["expected"].get(name)
        digits = 4 if name == "loss" else 2
        lines.append((
            name if name == "loss" else f"samples' {name}",
            number(value, f".{digits}f"),
            f"{limits[0]:.{digits}f} to {limits[1]:.{digits}f}" if limits else "-",
        ))  # fmt: skip
    return lines


def facts(report: Report) -> dict[str, str]:
    """Return the sentences below the table, by their labels."""
    sentences = {
        "run": f"{printable(report['run'])}, step {report['step']:,} of {report['of_steps']:,} ({report['progress']}), "
        f"{report['images']:,} images",
        "loss": f"the mean of the last {report['rows']} rows of the log{_other_loss(report)}",
        "compared": (
            "with healthy runs of the preset quick, and with runs that have a bug (docs/gallery.md)"
            if report["comparable"]
            else "with no recorded run, because the settings are not those of the preset quick "
            f"({', '.join(report['differences'][:4])})"
        ),
    }
    if report["sample_stats"]:
        early = "" if report["expected"] else f"; before step {SETTLED:,} any ratio is plausible"
        sentences["samples"] = f"each number is a ratio to real images, so 1 means equal{early}"
        if report["smooth"] and report["sample_stats"]["grain"] is not None:
            sentences["grain"] = (
                f"the real images have areas without any, so it is a ratio to {NEARLY_0:g}, where black is 0 and white "
                "is 1"
            )
    if report["loss_of_mean_image"] is not None:
        sentences["baselines"] = (
            f"always predicting the mean image gives a loss of {report['loss_of_mean_image']:.4f}, "
            f"and the mean color {report['loss_of_mean_color']:.4f}"
        )
    if report["unknown"]:
        sentences["unknown"] = in_words(report["unknown"])
    if report["most_similar"]:
        sentences["similar"] = f"of the recorded runs, {report['most_similar']} is the most similar"
    sentences["verdict"] = report["verdict"]
    advice = dict.fromkeys(symptom["advice"] for symptom in report["symptoms"][:MAX_SYMPTOMS])
    return sentences | {"advice" if k == 1 else f"advice {k}": each for k, each in enumerate(advice, start=1)}


def _other_loss(report: Report) -> str:
    """Return a clause about a loss that can't be compared with those of other runs."""
    if report["target"] != "image":
        what = f"the error of the {report['target']}"
    elif report["weighting"] != "even":
        what = "an error in which low noise levels count more"
    elif report["flaws"]:
        what = "an error on images with flaws added to them"
    else:
        return ""
    return f"; it is {what}, so it can't be compared with the loss of most runs"


def markdown(report: Report) -> str:
    """Return the table, readable in a terminal and valid Markdown."""
    return table(rows(report))


def plot(run: Run, recorded: Sequence[RecordedRun], closest: RecordedRun | None) -> "Figure":
    """Plot the losses, over the healthy range if it is known, and beside the most similar recorded run."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 4.5), layout="constrained")
    axes = figure.subplots()
    if recorded:
        xs = [x for x, _ in recorded[0].log]
        healthy = [smoothed(each.log) for each in recorded if each.healthy]
        low, high = zip(*(_range("loss", x, [value_at(curve, x) for curve in healthy]) for x in xs), strict=True)
        axes.fill_between(xs, low, high, color="C0", alpha=0.25, label="healthy")
    if closest and not closest.healthy:
        curve = zip(*smoothed(closest.log), strict=True)
        axes.plot(*curve, color="C1", linestyle="--", label=f"recorded: {closest.name}")
    axes.plot(*zip(*smoothed(run.log), strict=True), color="black", label="this run")
    for name, level in (("mean image", run.loss_of_mean_image), ("mean color", run.loss_of_mean_color)):
        if level:  # a logarithmic axis has no 0
            axes.axhline(level, color="gray", linestyle=":", linewidth=1)
            label = f"always predicting the {name}"
            axes.annotate(label, (run.log[0][0], level), va="bottom", fontsize=8, color="gray")
    scale = loss_scale(loss for _, loss in run.log)
    axes.set(xlabel="images seen", ylabel="loss (mean squared error)", yscale=scale)
    axes.grid(alpha=0.3, which="both")
    axes.legend()
    return figure
