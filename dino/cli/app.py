"""The `dino` command. It reads what was asked for, calls the package, and says what came of it."""

import contextlib
import math
import shlex
import sys
import time
import warnings
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from .. import __version__
from ..common.errors import DinoError, DinoWarning, is_out_of_memory, shown, typed
from .course import Debug

if TYPE_CHECKING:  # torch takes two seconds to import, too long for --help
    import torch

    from ..denoiser import UNet
    from ..sampler import Step
    from ..trainer.trainer import Trainer

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Start with [bold]dino train[/bold], then [bold]dino sample[/bold]. Each command has its own --help.",
)


def _say_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"dino {__version__}")
        raise typer.Exit


def _checked_seed(seed: int | None) -> int | None:
    """Refuse a seed that torch can't take."""
    if seed is not None and not 0 <= seed < 2**63:
        raise typer.BadParameter("a seed is a whole number from 0 to 2**63 - 1")
    return seed


Weights = Annotated[
    Path | None,
    typer.Argument(
        metavar="RUN|WEIGHTS",
        help="A run folder or a weights file. By default the newest run; before there is one, the model that comes "
        "with dino, whose name is 'shipped'.",
    ),
]
# Each option has a metavar, for its type and range in words would take half of a narrow terminal. A flag's is empty,
# or typer writes <bool> beside it, as if it took a value.
Device = Annotated[str, typer.Option(metavar="NAME", help="auto, cpu, cuda, cuda:1, mps ...")]
Seed = Annotated[int, typer.Option(metavar="N", callback=_checked_seed, help="Decides every random number.")]
Steps = Annotated[int, typer.Option(metavar="N", min=1, help="Sampling steps: more is finer and slower.")]
StepSize = Annotated[
    float,
    typer.Option(
        metavar="X", min=0, help="How far to lean on each guess: 1 is the guess itself, 2 as far again beyond it."
    ),
]
Split = Annotated[str | None, typer.Option(metavar="NAME", help="Which split of a Hugging Face data set.")]
RealPictures = Annotated[
    str | None, typer.Option(metavar="SOURCE", help="The real pictures. By default those the model learned from.")
]


@app.callback()
def options(
    version: Annotated[
        bool,
        typer.Option("--version", metavar="", callback=_say_version, is_eager=True, help="Say which version this is."),
    ] = False,
) -> None:
    """Dino Diffusion: train a bare-bones diffusion model and draw with it."""


@app.command(
    epilog="""
[bold]Examples[/bold]

dino train                           [dim]what suits this machine[/dim]

dino train --data emoji:animals      [dim]other emoji[/dim]

dino train --data ~/photos           [dim]your own pictures[/dim]

dino train --data huggan/pokemon     [dim]a Hugging Face data set[/dim]

dino train --resume runs/quick-1     [dim]go on where a run stopped[/dim]

torchrun --standalone --nproc-per-node=8 -m dino train  [dim]on eight GPUs[/dim]

Ctrl-C saves and stops, and nothing is lost. The exit status is then 130.
"""
)
def train(
    preset: Annotated[
        str | None, typer.Option(metavar="NAME", help="quick, full or seed. By default what suits the hardware.")
    ] = None,
    data: Annotated[
        str | None,
        typer.Option(
            metavar="SOURCE", help="emoji, emoji:faces ..., a folder, a .parquet file, or a Hugging Face data set."
        ),
    ] = None,
    split: Split = None,
    size: Annotated[int | None, typer.Option(metavar="N", help="Side of the square pictures, in pixels.")] = None,
    channels: Annotated[int | None, typer.Option(metavar="N", help="3 for colour, 1 for gray.")] = None,
    images: Annotated[
        int | None,
        typer.Option(
            metavar="N", help="How long to train, in images seen, each time counted. With --resume, a longer end."
        ),
    ] = None,
    minutes: Annotated[
        float | None,
        typer.Option(metavar="X", min=0, help="Stop after so many minutes; the run can go on with --resume."),
    ] = None,
    batch_size: Annotated[int | None, typer.Option(metavar="N", help="Images in one step.")] = None,
    learning_rate: Annotated[
        float | None, typer.Option(metavar="X", help="How far one step moves the weights.")
    ] = None,
    precision: Annotated[str | None, typer.Option(metavar="NAME", help="auto, float32 or bfloat16.")] = None,
    accumulate: Annotated[
        int,
        typer.Option(
            metavar="N", min=1, help="Take each batch in so many parts, to need less memory. The run stays the same."
        ),
    ] = 1,
    compile: Annotated[
        bool | None,
        typer.Option("--compile/--no-compile", metavar="", help="Fuse the network's layers. By default on a GPU."),
    ] = None,
    seed: Annotated[
        int | None, typer.Option(metavar="N", callback=_checked_seed, help="Decides every random number of the run.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option(metavar="FOLDER", help="The run folder to write. By default a new one under runs/.")
    ] = None,
    resume: Annotated[
        Path | None, typer.Option(metavar="RUN", help="Go on with the run in this folder, by its own settings.")
    ] = None,
    mine: Annotated[
        bool,
        typer.Option("--mine", metavar="", help="Train on your own parts, from the lessons. All of them must pass."),
    ] = False,
    fill_in: Annotated[
        bool,
        typer.Option("--fill-in", metavar="", help="With --mine: take dino's part where a lesson doesn't pass yet."),
    ] = False,
    device: Device = "auto",
    debug: Debug = False,
) -> None:
    """Train a diffusion model, with a picture of its progress every so often.

    What no option says is as the preset has it.
    """
    from ..data.sources import check, located

    if fill_in and not mine:
        raise DinoError("--fill-in goes with --mine: it says what to do about lessons that don't pass")
    check(data or "emoji")  # before torch is imported, which takes seconds
    from ..trainer.device import choose_device
    from ..trainer.presets import PRESETS
    from ..trainer.run import finish
    from ..trainer.run_folder import new_run_folder, saved_config
    from ..trainer.trainer import Trainer

    given: dict[str, Any] = {
        "data": located(data), "split": split, "size": size, "channels": channels, "n_images": images,
        "batch_size": batch_size, "learning_rate": learning_rate, "precision": precision, "seed": seed,
    }  # fmt: skip
    given = {name: value for name, value in given.items() if value is not None}
    place, chosen = choose_device(device, processes.LOCAL_RANK), None
    make: Callable[..., Trainer] = Trainer
    if mine:
        from ..course.own_parts import in_words, parts_of_the_course
        from ..trainer.custom import AssembledTrainer

        chosen = parts_of_the_course(strict=not fill_in)
        make = partial(AssembledTrainer, parts=chosen.for_training())
        for line in in_words(chosen):
            say("part", line)
    if resume:
        if preset or out or given.keys() - {"n_images"}:
            raise DinoError(
                "a resumed run keeps its own settings: with --resume only --images, --minutes, --device, "
                "--accumulate and --compile go"
            )
        config = replace(saved_config(resume), **given)
    else:
        preset = _preset(preset, place)
        config = replace(PRESETS[preset], **given)
    with processes.joined(place):
        trainer = make(config, device=place, accumulate=accumulate, compile=compile)
        if resume:
            trainer.load(resume)
            say("settings", f"those of {resume}, from step {trainer.step:,} on")
        folder = resume or (new_run_folder(out, str(preset)) if processes.FIRST else Path())
        others = f", {processes.N_PROCESSES} processes" if processes.N_PROCESSES > 1 else ""
        say("device", f"{place}, {trainer.config.precision}{others}")
        say("pictures", f"{len(trainer.images):,} of {config.data}, {config.size} x {config.size}")
        say("network", f"{sum(p.numel() for p in trainer.model.parameters()):,} weights")
        if trainer.compiles:
            say("compiling", "the network for this device first; it can take a minute")
        say("run", f"{folder}  (grids of samples in {folder / 'samples'})")
        _watch(trainer, folder, minutes)
    if not processes.FIRST:
        return
    for path in finish(trainer, folder):
        say("wrote", str(path))
    if trainer.step < trainer.config.n_steps:
        say("paused", f"the time is up. Go on with: {typed('dino train --resume')} {folder}")
    say("next", f"draw with it: {typed('dino sample')} {folder} --animate")
    if chosen:
        from ..course.card import card

        say("card", f"what your own model draws: {pictures.save(card(chosen, trainer), folder / 'card.png')}")


def _watch(trainer: "Trainer", folder: Path, minutes: float | None) -> None:
    """Train behind a progress bar, until the run ends, the time is up, or a signal comes."""
    from tqdm.auto import tqdm

    from ..trainer.run import log_is_due
    from ..trainer.run import train as steps_of
    from ..trainer.signals import StopOnSignal

    end = time.monotonic() + 60 * minutes if minutes is not None else math.inf
    n_images = trainer.config.n_steps * trainer.config.batch_size
    stopped_by = 0.0
    with StopOnSignal() as stop, contextlib.closing(steps_of(trainer, folder)) as run:
        bar = tqdm(
            total=n_images,
            initial=trainer.images_seen,
            unit=" images",
            unit_scale=True,
            smoothing=0.05,
            dynamic_ncols=True,
            mininterval=0.5 if sys.stderr.isatty() else 10,
            disable=not processes.FIRST,
        )
        with bar:
            for progress in run:
                loss = f", loss {progress.loss:.4f}" if math.isfinite(progress.loss) else ""  # not before the first row
                bar.set_postfix_str(f"step {progress.step}{loss}, saved {progress.saved}", refresh=False)
                bar.update(progress.images - bar.n)
                if processes.N_PROCESSES > 1 and not log_is_due(trainer):
                    continue  # several processes stop at the same step, so they come to it together
                stopped_by, time_is_up = processes.largest(
                    stop.received or 0, time.monotonic() > end, device=trainer.device
                )
                if stopped_by or time_is_up:
                    break
    if stopped_by:
        if processes.FIRST:
            typer.echo(f"stopped and saved. Go on with: {typed('dino train --resume')} {folder}", err=True)
        raise typer.Exit(128 + int(stopped_by))


@app.command(
    epilog="""
[bold]Examples[/bold]

dino sample                              [dim]a grid from the newest run[/dim]

dino sample shipped -n 64                [dim]from the model that comes with dino[/dim]

dino sample runs/quick-1 -n 16 --seed 7  [dim]sixteen others[/dim]

dino sample runs/quick-1 --animate       [dim]a film, from noise to pictures[/dim]

dino sample model.safetensors --strip    [dim]one picture, step by step[/dim]
"""
)
def sample(
    weights: Weights = None,
    n: Annotated[int, typer.Option("-n", metavar="N", min=1, help="How many pictures.")] = 36,
    steps: Steps = 100,
    step_size: StepSize = 2.0,
    seed: Seed = 0,
    animate: Annotated[
        bool, typer.Option("--animate", metavar="", help="Write a GIF of the denoising as well.")
    ] = False,
    strip: Annotated[
        bool,
        typer.Option(
            "--strip", metavar="", help="Write a strip as well: the mix on its way, and the guesses below it."
        ),
    ] = False,
    out: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="The picture to write. By default generated.png beside the weights."),
    ] = None,
    device: Device = "auto",
    debug: Debug = False,
) -> None:
    """Draw new pictures with a trained model."""
    from ..trainer.batched_sampling import draw
    from ..trainer.model_file import shape_of

    model, about, beside = _load(weights, device)
    out = out or beside / "generated.png"
    path: list[Step] = []
    images = draw(
        model, n, image_shape=shape_of(about), n_steps=steps, step_size=step_size, seed=seed,
        path=path if animate or strip else None,
    )  # fmt: skip
    say("wrote", str(pictures.save(pictures.grid(images), out)))
    if animate:
        chosen = [path[round(k * (len(path) - 1) / 50)] for k in range(51)] if len(path) > 51 else path
        frames = [pictures.grid(step.noisy) for step in chosen]
        say("wrote", str(pictures.animation(frames, out.with_name(f"{out.stem}-film.gif"))))
    if strip:
        sheet = pictures.grid(pictures.sampling_strip(path), columns=pictures.STRIP)
        say("wrote", str(pictures.save(sheet, out.with_name(f"{out.stem}-strip.png"))))


@app.command(
    epilog="""
[bold]Examples[/bold]

dino compare                               [dim]beside what it learned from[/dim]

dino compare runs/quick-1 --data ~/photos  [dim]beside other pictures[/dim]
"""
)
def compare(
    weights: Weights = None,
    data: RealPictures = None,
    split: Split = None,
    n: Annotated[int, typer.Option("-n", metavar="N", min=1, help="How many pictures on each side.")] = 36,
    steps: Steps = 100,
    step_size: StepSize = 2.0,
    seed: Seed = 0,
    out: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="The picture to write. By default compare.png beside the weights."),
    ] = None,
    device: Device = "auto",
    debug: Debug = False,
) -> None:
    """Show real pictures on the left and generated ones on the right."""
    import torch

    from ..data.loading import load_images
    from ..images import seeded, to_unit
    from ..trainer.batched_sampling import draw
    from ..trainer.model_file import shape_of

    model, about, beside = _load(weights, device)
    shape, (source, part) = shape_of(about), _source(about, data, split)
    real = load_images(source, shape[-1], channels=shape[0], split=part)
    chosen = torch.randperm(len(real), generator=seeded("cpu", seed, "compare"))[:n]
    images = draw(model, n, image_shape=shape, n_steps=steps, step_size=step_size, seed=seed)
    say("wrote", str(pictures.save(pictures.comparison(to_unit(real[chosen]), images), out or beside / "compare.png")))


@app.command(
    epilog="""
[bold]Examples[/bold]

dino evaluate                           [dim]the newest run[/dim]

dino evaluate runs/quick-1 -n 1000      [dim]with more pictures, less by luck[/dim]

dino evaluate runs/quick-1 --steps 25   [dim]are fewer steps as good?[/dim]

How to read what it says: docs/guides/evaluation.md
"""
)
def evaluate(
    weights: Weights = None,
    data: RealPictures = None,
    split: Split = None,
    n: Annotated[
        int | None,
        typer.Option(
            "-n", metavar="N", min=1, help="How many pictures to draw. By default 256, fewer for a small set."
        ),
    ] = None,
    steps: Steps = 100,
    step_size: StepSize = 2.0,
    seed: Seed = 0,
    json: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="The file for all numbers; a page, a plot and a sheet of pictures go beside it. By default "
            "evaluation.json beside the weights.",
        ),
    ] = None,
    fid: Annotated[
        bool, typer.Option("--fid", metavar="", help="Measure FID and KID, too; needs torchmetrics.")
    ] = False,
    device: Device = "auto",
    debug: Debug = False,
) -> None:
    """Measure how good a model is: how well it denoises, how real its pictures are, and whether they are new."""
    from ..reports import evaluate as evaluation
    from ..reports import report

    if json:
        reports.check_name(json)
    model, about, beside = _load(weights, device)
    real = evaluation.Real.of(*_source(about, data, split), about)
    report, pairs = evaluation.measure(model, about, real, n=n, n_steps=steps, step_size=step_size, seed=seed, fid=fid)
    report |= {"command": _command()}
    typer.echo(f"\n{evaluation.markdown(report)}\n")
    for name, value in evaluation.facts(report).items():
        say(name, value)
    for path in evaluation.write(report, pairs, json or beside / "evaluation.json"):
        say("wrote", str(path))


@app.command(
    epilog="""
[bold]Examples[/bold]

dino doctor                 [dim]the newest run[/dim]

dino doctor runs/quick-1    [dim]also while it still trains[/dim]

What the recorded runs look like: docs/gallery.md
"""
)
def doctor(
    run: Annotated[
        Path | None, typer.Argument(metavar="RUN", help="The folder of a run. By default the newest.")
    ] = None,
    json: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="The file for all numbers; a page and a plot go beside it. By default RUN/doctor.json."
        ),
    ] = None,
    debug: Debug = False,
) -> None:
    """Tell whether a run is healthy, unfinished or broken, and where to look."""
    from ..reports import diagnosis as practice
    from ..reports import report
    from ..trainer.run_folder import newest_run

    if json:
        reports.check_name(json)
    folder = run or newest_run()
    report, figure = practice.examine(folder)
    report |= {"command": _command()}
    table, facts = practice.markdown(report), practice.facts(report)
    typer.echo(f"\n{table}\n")
    for name, value in facts.items():
        say(name, value)
    for path in reports.write(report, json or folder / "doctor.json", table, facts, figure):
        say("wrote", str(path))


@app.command(
    epilog="""
[bold]Examples[/bold]

dino info                      [dim]the newest run[/dim]

dino info model.safetensors    [dim]any weights file that dino wrote[/dim]
"""
)
def info(weights: Weights = None, debug: Debug = False) -> None:
    """Tell what a run or a weights file holds."""
    from ..trainer.run_folder import describe, find_weights

    for name, value in describe(find_weights(weights)[0]).items():
        say(name, value)


@app.command(
    epilog="""
[bold]Examples[/bold]

dino bench                                   [dim]what suits this machine[/dim]

dino bench --preset full --seconds 20        [dim]the larger network; slow on a CPU[/dim]

dino bench --batch-size 256 --json 256.json  [dim]also writes 256.md and 256.png[/dim]

Ctrl-C shows what was measured so far.
"""
)
def bench(
    preset: Annotated[
        str | None, typer.Option(metavar="NAME", help="quick, full or seed. By default what suits the hardware.")
    ] = None,
    batch_size: Annotated[
        int | None, typer.Option(metavar="N", help="Images in one step, in place of the preset's.")
    ] = None,
    seconds: Annotated[
        float, typer.Option(metavar="X", min=0.01, help="How long each loop runs in a round; 3 steps at least.")
    ] = 4,
    rounds: Annotated[int, typer.Option(metavar="N", min=1, help="How many turns each loop has.")] = 5,
    json: Annotated[
        Path,
        typer.Option(
            metavar="FILE", help="The file for all numbers. The table and a plot go beside it, as .md and .png."
        ),
    ] = Path("runs/bench.json"),
    device: Device = "auto",
    debug: Debug = False,
) -> None:
    """Measure how fast training is here, and what each of the trainer's choices adds to a plain loop."""
    from ..reports import benchmark as benchmark
    from ..reports import report
    from ..trainer.device import choose_device
    from ..trainer.presets import PRESETS

    reports.check_name(json)
    place = choose_device(device)
    preset = _preset(preset, place)
    config = PRESETS[preset] if batch_size is None else replace(PRESETS[preset], batch_size=batch_size)
    report = benchmark.measure(config, place, seconds=seconds, rounds=rounds)
    report |= {"preset": preset, "command": _command()}
    typer.echo(f"\n{benchmark.markdown(report)}\n")
    for name, value in benchmark.facts(report).items():
        say(name, value)
    for path in benchmark.write(report, json):
        say("wrote", str(path))
    if report["interrupted"]:
        raise typer.Exit(130)


def _preset(name: str | None, device: "torch.device") -> str:
    """The preset that was asked for, or the one that suits the device. Tells which, and why."""
    from ..trainer.presets import PRESETS, choose_preset

    name, why = (name, "as asked for") if name else choose_preset(device)
    if name not in PRESETS:
        raise DinoError(f"there is no preset {name}. Choose {', '.join(PRESETS)}")
    say("preset", f"{name}: {why}")
    return name


def _command() -> str:
    """What was typed, for a report to tell."""
    return shlex.join(["dino", *sys.argv[1:]])


def _source(about: dict[str, Any], data: str | None, split: str | None) -> tuple[str, str]:
    """The pictures to set beside a model's, and their split: as asked for, or those that it learned from."""
    config = about["config"]
    source = data or config.get("data")
    if source is None:
        raise DinoError("these weights don't say which pictures they learned from. Name some with --data")
    return source, split or config.get("split", "train")


def _load(weights: Path | None, device: str) -> "tuple[UNet, dict[str, Any], Path]":
    """The model to draw with, what its file says of it, and the folder to write beside it."""
    from ..trainer.device import choose_device
    from ..trainer.model_file import load_model
    from ..trainer.run_folder import SHIPPED, find_weights

    path, beside = find_weights(weights)
    model, about = load_model(path, choose_device(device))
    name = "the one that comes with dino" if path == SHIPPED else path
    say("model", f"{name}, after {about.get('images_seen', 0):,} images")
    return model, about, beside


app.add_typer(commands.app)

LONGEST = 5_000  # characters in a line of ours; a path may have as many
_usual_format = warnings.formatwarning


def say(what: str, value: str) -> None:
    """One line of the report, in two columns. Of several processes the first one speaks."""
    if not processes.RANK:
        typer.echo(f"{what:<10}{shown(value, LONGEST)}")


def main() -> None:
    """Run the command. What the person can mend is told in one line; anything else is a bug and shows its traceback."""
    warnings.formatwarning = _one_line  # type: ignore[assignment]
    if processes.RANK:  # the first process warns for all
        warnings.simplefilter("ignore")
    with processes.leaving_at_once():
        _run()


def _run() -> None:
    try:
        app(prog_name="dino")
    except (DinoError, MemoryError, RuntimeError) as error:
        message = str(error)
        if is_out_of_memory(error):
            message = "there is not enough memory for this. Take a smaller --batch-size, --size or -n"
        elif not isinstance(error, DinoError):
            raise
        if "--debug" in sys.argv:
            raise
        if processes.first_to_speak():
            line_of_its_own = "\n" if processes.TORCHRUN else ""  # a process that died may have left half a line
            print(f"{line_of_its_own}dino: {shown(message, LONGEST)}", file=sys.stderr)
        sys.exit(1)


def _one_line(message: Warning | str, category: type[Warning], *where: Any) -> str:
    """A warning of ours as one line; one of a library's as usual."""
    return (
        f"dino: {shown(str(message), LONGEST)}\n"
        if issubclass(category, DinoWarning)
        else _usual_format(message, category, *where)
    )
