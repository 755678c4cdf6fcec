"""`dino train`: train a model, with images of its progress in a run folder."""

import contextlib
import math
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ..common.errors import DinoError, shell_command
from ..common.memory import size_in_words
from ..trainer import distributed
from .app import app
from .options import Debug, Device, Split, checked_seed
from .output import say
from .presets import preset_for

if TYPE_CHECKING:  # importing torch takes two seconds, too long for --help
    import torch

    from ..course.grader.combine import Parts
    from ..course.milestone import Milestone
    from ..data.space import Needs
    from ..trainer.config import Config
    from ..trainer.trainer import Trainer

LARGE = 10**8  # bytes of images, from which on their size is printed


# ---- options --------------------------------------------------------------------------------------------------------

Preset = Annotated[
    str | None,
    typer.Option(metavar="NAME", help="quick, full, iadb, original. By default what suits the hardware."),
]
TrainingData = Annotated[
    str | None,
    typer.Option(
        metavar="SOURCE", help="dinos, emoji, emoji:faces ..., a folder, a .parquet file, or a Hugging Face data set."
    ),
]
Size = Annotated[int | None, typer.Option(metavar="N", help="Side of the square images, in pixels.")]
Channels = Annotated[int | None, typer.Option(metavar="N", help="3 for color, 1 for gray.")]
StartFrom = Annotated[
    str | None,
    typer.Option(
        metavar="RUN|WEIGHTS",
        help="Fine-tune these weights on the images of --data: pretrained, hf:USER/NAME, a run, or a weights file. "
        "For few pictures of your own.",
    ),
]
Images = Annotated[
    int | None,
    typer.Option(
        metavar="N",
        help="How long to train: the number of images seen, counting repeats. With --resume, a later end.",
    ),
]
Minutes = Annotated[
    float | None,
    typer.Option(metavar="X", min=0, help="Stop after this many minutes. You can --resume the run later."),
]
BatchSize = Annotated[int | None, typer.Option(metavar="N", help="Images in one step.")]
LearningRate = Annotated[float | None, typer.Option(metavar="X", help="How far one step moves the weights.")]
MatrixLearningRate = Annotated[
    float | None, typer.Option(metavar="X", help="How far one step of Muon moves the weights of inner layers.")
]
Precision = Annotated[str | None, typer.Option(metavar="NAME", help="auto, float32 or bfloat16.")]
Optimizer = Annotated[str | None, typer.Option(metavar="NAME", help="muon or adamw.")]
MaxWords = Annotated[
    int | None,
    typer.Option(
        metavar="N", min=0, help="How many of the words that describe the images to learn, if they have words."
    ),
]
NoWords = Annotated[bool, typer.Option("--no-words", help="Learn no words: the model can't be asked for anything.")]
Accumulate = Annotated[
    int,
    typer.Option(
        metavar="N", min=1, help="Process each batch in N parts, to need less memory. The result is the same."
    ),
]
MemoryMap = Annotated[
    bool | None,
    typer.Option(
        "--memory-map/--no-memory-map",
        help="Read each batch from the disk, or copy all images to the device first. By default they are copied if "
        "they take at most half of its free memory. The result is the same.",
    ),
]
Compile = Annotated[
    bool | None,
    typer.Option("--compile/--no-compile", help="Fuse the network's layers. By default on a GPU."),
]
RunSeed = Annotated[
    int | None,
    typer.Option(metavar="N", callback=checked_seed, help="Determines every random number of the run."),
]
Out = Annotated[
    Path | None, typer.Option(metavar="FOLDER", help="The run folder to write. By default a new one under runs/.")
]
Resume = Annotated[
    Path | None, typer.Option(metavar="RUN", help="Resume the run in this folder, with its own settings.")
]
Mine = Annotated[
    bool,
    typer.Option(
        "--mine", help="Train with your own code: lessons 00 to 04 must pass. If 06 passes, it does the asking."
    ),
]
UseReference = Annotated[
    bool,
    typer.Option("--fill-in", help="With --mine: use dino's code for lessons that don't pass yet."),
]


# ---- the command ----------------------------------------------------------------------------------------------------


@app.command(
    epilog="""
[bold]Examples[/bold]

dino train                           [dim]what suits this machine[/dim]

dino train --data emoji:animals      [dim]emoji instead of dinosaurs[/dim]

dino train --data ~/photos           [dim]your own pictures[/dim]

dino train --data huggan/pokemon     [dim]a Hugging Face data set[/dim]

dino train --data ~/photos --start-from pretrained-32  [dim]few pictures: fine-tune a trained model[/dim]

dino train --mine                    [dim]your own code of the lessons[/dim]

dino train --resume runs/quick-1     [dim]resume a run that stopped[/dim]

torchrun --standalone --nproc-per-node=8 -m dino train  [dim]on eight GPUs[/dim]

Ctrl-C saves and stops, and nothing is lost. The exit status is then 130.
"""
)
def train(
    preset: Preset = None,
    data: TrainingData = None,
    split: Split = None,
    start_from: StartFrom = None,
    size: Size = None,
    channels: Channels = None,
    images: Images = None,
    minutes: Minutes = None,
    batch_size: BatchSize = None,
    learning_rate: LearningRate = None,
    matrix_learning_rate: MatrixLearningRate = None,
    optimizer: Optimizer = None,
    precision: Precision = None,
    max_words: MaxWords = None,
    no_words: NoWords = False,
    accumulate: Accumulate = 1,
    compile: Compile = None,
    memory_map: MemoryMap = None,
    seed: RunSeed = None,
    out: Out = None,
    resume: Resume = None,
    mine: Mine = False,
    fill_in: UseReference = False,
    device: Device = "auto",
    debug: Debug = False,
) -> None:
    """Train a diffusion model, with images of its progress along the way.

    Settings that no option changes are those of the preset.
    """
    from ..data.embedded import DEFAULT
    from ..data.sources import absolute, check

    if fill_in and not mine:
        raise DinoError("--fill-in goes with --mine: it says what to do about lessons that don't pass")
    if start_from and not data and not resume:
        raise DinoError("--start-from goes with --data: it says which images the weights learn from now on")
    check(data or DEFAULT)  # before torch is imported, which takes seconds
    from ..trainer.device import choose_device, flushing_denormals

    place = choose_device(device, distributed.LOCAL_RANK, distributed.N_PROCESSES)
    parts = _own_parts(fill_in) if mine else None
    given: dict[str, Any] = {
        "data": absolute(data), "split": split, "size": size, "channels": channels, "n_images": images,
        "batch_size": batch_size, "learning_rate": learning_rate, "matrix_learning_rate": matrix_learning_rate,
        "optimizer": optimizer, "precision": precision, "max_words": 0 if no_words else max_words, "seed": seed,
    }  # fmt: skip
    given = {name: value for name, value in given.items() if value is not None}
    start_from = absolute(start_from)
    config, name = _settings(preset, given, resume, out, place, start_from)
    with flushing_denormals(), distributed.joined(place):
        trainer = _trainer_class(parts)(
            config, device=place, accumulate=accumulate, compile=compile, memory_map=memory_map,
            before_decoding=_announce_decoding, start_from=start_from,
        )  # fmt: skip
        folder = _run_folder(trainer, resume, out, name)
        _introduce(trainer, folder)
        _train(trainer, folder, minutes)
    if distributed.is_main():
        _summarize(trainer, folder, parts)


# ---- before training ------------------------------------------------------------------------------------------------


def _own_parts(fill_in: bool) -> "Parts":
    """Load the learner's code, and print which parts are the learner's and which are dino's."""
    from ..course.parts import in_words, parts_of_the_course

    parts = parts_of_the_course(strict=not fill_in)
    for line in in_words(parts):
        say("part", line)
    return parts


def _trainer_class(parts: "Parts | None") -> "Callable[..., Trainer]":
    if parts is None:
        from ..trainer.trainer import Trainer

        return Trainer
    from ..trainer.custom import CustomTrainer

    return partial(CustomTrainer, parts=parts.for_training())


def _settings(
    preset: str | None,
    given: dict[str, Any],
    resume: Path | None,
    out: Path | None,
    place: "torch.device",
    start_from: str | None,
) -> "tuple[Config, str]":
    """Return the run's configuration and the name of its preset."""
    from ..trainer import fine_tuning
    from ..trainer.presets import PRESETS
    from ..trainer.run_folder import saved_config

    if start_from and not resume:
        if preset:
            raise DinoError(
                "with --start-from, the network is that of the weights, and the settings are those for few images. "
                "Leave out --preset; other options change single settings"
            )
        config = fine_tuning.recipe(start_from, **given)
        say("recipe", f"fine-tuning {start_from}: its network, lower learning rates, a shorter run")
        return config, "tuned"
    if resume is None:
        name = preset_for(preset, place)
        return replace(PRESETS[name], **given), name
    if preset or out or start_from or given.keys() - {"n_images"}:
        raise DinoError(
            "a resumed run keeps its own settings: besides --resume, only --images, --minutes, --device, --accumulate, "
            "--compile and --memory-map are allowed"
        )
    return replace(saved_config(resume), **given), ""


def _announce_decoding(needs: "Needs") -> None:
    if needs.n_bytes >= LARGE:
        say("decoding", needs)


def _run_folder(trainer: "Trainer", resume: Path | None, out: Path | None, name: str) -> Path:
    """Load the run to resume, or make a folder for a new one."""
    from ..trainer.run_folder import new_run_folder

    if resume:
        trainer.load(resume)
        say("settings", f"those of {resume}, from step {trainer.step:,} on")
        return resume
    return new_run_folder(out, name) if distributed.is_main() else Path()


def _introduce(trainer: "Trainer", folder: Path) -> None:
    from ..data.loading import are_gray

    config = trainer.config
    others = f", {distributed.N_PROCESSES} processes" if distributed.N_PROCESSES > 1 else ""
    say("device", f"{trainer.device}{others}")
    say("computing", f"{trainer.trial}{', found by trial' if trainer.trial.seconds else ''}")
    say("images", f"{len(trainer.images):,} of {config.data}, {config.size} x {config.size}")
    if trainer.images.nbytes >= LARGE or trainer.image_file:
        say("memory", _where_the_images_are(trainer))
    if trainer.step == 0 and config.channels == 3 and not config.start_from and are_gray(trainer.images):
        say("hint", "all of these images are gray, but the run is in color and may tint what it draws: --channels 1")
    if words := config.vocabulary:
        shown = ", ".join(words[:8]) + (", ..." if len(words) > 8 else "")
        known = f", {trainer.n_known_words} of them known to {config.start_from}" if config.start_from else ""
        say("words", f"{len(words)} that describe the images{known * (trainer.step == 0)}: {shown}")
    say("network", f"{sum(p.numel() for p in trainer.model.parameters()):,} weights")
    if trainer.compiles:
        say("compiling", "the network for this device first, which can take a minute")
    say("run", f"{folder}  (grids of samples in {folder / 'samples'})")


def _where_the_images_are(trainer: "Trainer") -> str:
    n_bytes = size_in_words(trainer.images.nbytes)
    if trainer.image_file:
        return f"{n_bytes} of images stay on the disk: each batch is read from the cache (memory-mapped)"
    return f"{n_bytes} of images, all in the memory of {trainer.images.device}"


# ---- training, and after it -----------------------------------------------------------------------------------------


def _train(trainer: "Trainer", folder: Path, minutes: float | None) -> None:
    """Train with a progress bar until the run ends, the time is up, or a signal arrives."""
    from ..trainer.run import log_is_due
    from ..trainer.run import train as steps_of
    from ..trainer.signals import StopOnSignal

    end = time.monotonic() + 60 * minutes if minutes is not None else math.inf
    stopped_by = 0.0
    with (
        StopOnSignal(on_signal=_announce_stop) as stop,
        contextlib.closing(steps_of(trainer, folder)) as run,
        _progress_bar(trainer) as bar,
    ):
        for progress in run:
            loss = f", loss {progress.loss:.4f}" if math.isfinite(progress.loss) else ""  # before the first row
            bar.set_postfix_str(f"step {progress.step}{loss}, saved {progress.saved}", refresh=False)
            bar.update(progress.images - bar.n)
            if distributed.N_PROCESSES > 1 and not log_is_due(trainer):
                continue  # several processes must stop at the same step, so they decide together
            stopped_by, time_is_up = distributed.largest(
                stop.received or 0, time.monotonic() > end, device=trainer.device
            )
            if stopped_by or time_is_up:
                break
    if stopped_by:
        if distributed.is_main():
            typer.echo(f"stopped and saved. Resume with: {_resume_command(folder)}", err=True)
        raise typer.Exit(128 + int(stopped_by))


def _progress_bar(trainer: "Trainer") -> Any:
    from tqdm import tqdm

    return tqdm(
        total=trainer.config.n_steps * trainer.config.batch_size,
        initial=trainer.images_seen,
        unit=" images",
        unit_scale=True,
        smoothing=0.05,
        dynamic_ncols=True,
        mininterval=0.5 if sys.stderr.isatty() else 10,
        disable=not distributed.is_main(),
    )


def _announce_stop() -> bytes:
    """Return the message for the first signal, or none under torchrun, which passes on one signal and soon kills."""
    return b"" if distributed.TORCHRUN else b"\nstopping after this step; press Ctrl-C again to end at once, unsaved\n"


def _summarize(trainer: "Trainer", folder: Path, parts: "Parts | None") -> None:
    from ..data.words import short_request
    from ..trainer.run import finish

    for path in finish(trainer, folder):
        say("wrote", path)
    if trainer.step < trainer.config.n_steps:
        say("paused", f"the time is up. Resume with: {_resume_command(folder)}")
    request = short_request(trainer.config.vocabulary, trainer.words[0].tolist())
    ask = ["--ask", request] if request else []
    say("next", f"draw with it: {shell_command('dino', 'sample', folder, *ask, '--animate')}")
    if parts:
        _show_own_model(trainer, folder, parts)


def _show_own_model(trainer: "Trainer", folder: Path, parts: "Parts") -> None:
    """Draw with a model made of the learner's parts, and print a verdict on what it draws."""
    from ..common.grids import save_image
    from ..course.card import card
    from ..course.milestone import N_IMAGES, Milestone, has_bar

    images, milestone = trainer.sample(N_IMAGES, fine=True), None
    if has_bar(trainer.config):
        milestone = Milestone(_distance(images, trainer), trainer.images_seen)
        say("verdict", milestone.in_words())
    if milestone and not milestone.passed:
        say("look at", f"{milestone.advice()}: {_what_helps(trainer, folder, milestone)}")
    drawn = card(parts, trainer, images, milestone)
    say("card", f"what your own model draws: {save_image(drawn, folder / 'card.png')}")
    if not milestone or milestone.passed:
        say("page", f"put it into a web page of your own: {shell_command('dino', 'page', folder)}")


def _distance(images: "torch.Tensor", trainer: "Trainer") -> float | None:
    from ..reports.evaluate import distances

    found: float | None = distances(images, trainer.images, len(images))["ratio"]
    return found


def _what_helps(trainer: "Trainer", folder: Path, milestone: "Milestone") -> str:
    from ..course.milestone import ENOUGH

    if not milestone.needs_training:
        return shell_command("dino", "doctor", folder)
    later_end = ["--images", ENOUGH] if trainer.step >= trainer.config.n_steps else []
    return shell_command("dino", "train", "--mine", "--resume", folder, *later_end)


def _resume_command(folder: Path) -> str:
    return shell_command("dino", "train", "--resume", folder)
