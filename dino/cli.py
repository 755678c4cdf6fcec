"""The `dino` command. It reads what was asked for, calls the package, and says what came of it."""

import contextlib
import math
import sys
import time
import warnings
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from . import __version__
from .errors import DinoError

if TYPE_CHECKING:  # torch takes two seconds to import, too long for --help
    import torch

    from .denoiser import UNet
    from .sampler import Step

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


Weights = Annotated[
    Path | None,
    typer.Argument(metavar="[RUN|WEIGHTS]", help="A run folder or a weights file. By default the newest run."),
]
Device = Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:1, mps ...")]
Seed = Annotated[int, typer.Option(help="Decides every random number.")]
Steps = Annotated[int, typer.Option(min=1, help="Sampling steps: more is finer and slower.")]
StepSize = Annotated[
    float, typer.Option(min=0, help="How far to lean on each guess: 1 is the guess itself, 2 as far again beyond it.")
]
Debug = Annotated[bool, typer.Option("--debug", help="On an error, show where in the code it happened.")]


@app.callback()
def options(
    version: Annotated[
        bool, typer.Option("--version", callback=_say_version, is_eager=True, help="Say which version this is.")
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

Ctrl-C saves and stops (exit status 130, or 143 after SIGTERM); nothing is lost.
"""
)
def train(
    preset: Annotated[str | None, typer.Option(help="quick, full or seed. By default what suits the hardware.")] = None,
    data: Annotated[
        str | None, typer.Option(help="emoji, emoji:faces ..., a folder, a .parquet file, or a Hugging Face data set.")
    ] = None,
    split: Annotated[str | None, typer.Option(help="Which split of a Hugging Face data set.")] = None,
    size: Annotated[int | None, typer.Option(help="Side of the square pictures, in pixels.")] = None,
    channels: Annotated[int | None, typer.Option(help="3 for colour, 1 for gray.")] = None,
    images: Annotated[
        int | None, typer.Option(help="How long to train, in images seen; an image counts each time it is seen.")
    ] = None,
    minutes: Annotated[float | None, typer.Option(help="Stop after so many minutes, as Ctrl-C would.")] = None,
    batch_size: Annotated[int | None, typer.Option(help="Images in one step.")] = None,
    learning_rate: Annotated[float | None, typer.Option(help="How far one step moves the weights.")] = None,
    precision: Annotated[str | None, typer.Option(help="auto, float32 or bfloat16.")] = None,
    seed: Annotated[int | None, typer.Option(help="Decides every random number of the run.")] = None,
    out: Annotated[Path | None, typer.Option(help="The run folder to write. By default a new one under runs/.")] = None,
    resume: Annotated[
        Path | None, typer.Option(metavar="RUN", help="Go on with the run in this folder, by its own settings.")
    ] = None,
    device: Device = "auto",
    debug: Debug = False,
) -> None:
    """Train a diffusion model, with a picture of its progress every so often."""
    from . import trainer as t

    given: dict[str, Any] = {
        "data": data, "split": split, "size": size, "channels": channels, "n_images": images,
        "batch_size": batch_size, "learning_rate": learning_rate, "precision": precision, "seed": seed,
    }  # fmt: skip
    given = {name: value for name, value in given.items() if value is not None}
    place = t.choose_device(device)
    if resume:
        if preset or out or given.keys() - {"n_images"}:
            raise DinoError(
                "a resumed run keeps its own settings: with --resume only --images, --minutes and --device go"
            )
        config, folder, why = replace(t.saved_config(resume), **given), resume, "as saved"
    else:
        preset, why = (preset, "as asked for") if preset else t.choose_preset(place)
        if preset not in t.PRESETS:
            raise DinoError(f"there is no preset {preset}. Choose {', '.join(t.PRESETS)}")
        config = replace(t.PRESETS[preset], **given)
        folder = t.new_run_folder(out, preset)
    trainer = t.Trainer(config, device=place)
    if resume:
        trainer.load(resume)
    say("preset", f"{preset or 'of the run'}: {why}")
    say("device", f"{place}, {str(trainer.precision).removeprefix('torch.')}")
    say("pictures", f"{len(trainer.images):,} of {config.data}, {config.size} x {config.size}")
    say("network", f"{sum(p.numel() for p in trainer.model.parameters()):,} weights")
    say("run", f"{folder}  (grids of samples in {folder / 'samples'})")
    _watch(trainer, folder, minutes)


def _watch(trainer: Any, folder: Path, minutes: float | None) -> None:
    from tqdm.auto import tqdm

    from . import trainer as t

    end = time.monotonic() + 60 * minutes if minutes else float("inf")
    n_images = trainer.config.n_steps * trainer.config.batch_size
    with t.StopOnSignal() as stop, contextlib.closing(t.train(trainer, folder)) as run:
        bar = tqdm(
            total=n_images,
            initial=trainer.images_seen,
            unit=" images",
            unit_scale=True,
            smoothing=0.05,
            dynamic_ncols=True,
            mininterval=0.5 if sys.stderr.isatty() else 10,
        )
        with bar:
            for progress in run:
                loss = f", loss {progress.loss:.4f}" if math.isfinite(progress.loss) else ""  # not before the first row
                bar.set_postfix_str(f"step {progress.step}{loss}", refresh=False)
                bar.update(progress.images - bar.n)
                if stop.received or time.monotonic() > end:
                    break
    if stop.received:
        typer.echo(f"stopped and saved. Go on with: dino train --resume {folder}", err=True)
        raise typer.Exit(128 + stop.received)
    for path in t.finish(trainer, folder):
        say("wrote", str(path))
    typer.echo(f"Now draw with it: dino sample {folder} --animate")


@app.command(
    epilog="""
[bold]Examples[/bold]

dino sample                              [dim]a grid from the newest run[/dim]

dino sample runs/quick-1 -n 16 --seed 7  [dim]sixteen others[/dim]

dino sample runs/quick-1 --animate       [dim]a film, from noise to pictures[/dim]

dino sample model.safetensors --strip    [dim]one picture, step by step[/dim]
"""
)
def sample(
    weights: Weights = None,
    n: Annotated[int, typer.Option("-n", min=1, help="How many pictures.")] = 36,
    steps: Steps = 100,
    step_size: StepSize = 2.0,
    seed: Seed = 0,
    animate: Annotated[bool, typer.Option("--animate", help="Write a GIF of the denoising as well.")] = False,
    strip: Annotated[
        bool, typer.Option("--strip", help="Write a strip as well: the mix on its way, and the guesses below it.")
    ] = False,
    out: Annotated[
        Path | None, typer.Option(help="The picture to write. By default generated.png beside the weights.")
    ] = None,
    device: Device = "auto",
    debug: Debug = False,
) -> None:
    """Draw new pictures with a trained model."""
    from . import pictures

    model, about, beside = _load(weights, device)
    out = out or beside / "generated.png"
    images, path = _draw(model, about, n, steps, step_size, seed)
    say("wrote", str(pictures.save(pictures.grid(images), out)))
    if animate:
        say("wrote", str(pictures.animation([pictures.grid(step.noisy) for step in path], out.with_suffix(".gif"))))
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
    data: Annotated[
        str | None, typer.Option(help="The real pictures. By default those the model learned from.")
    ] = None,
    n: Annotated[int, typer.Option("-n", min=1, help="How many pictures on each side.")] = 36,
    steps: Steps = 100,
    step_size: StepSize = 2.0,
    seed: Seed = 0,
    out: Annotated[
        Path | None, typer.Option(help="The picture to write. By default compare.png beside the weights.")
    ] = None,
    device: Device = "auto",
    debug: Debug = False,
) -> None:
    """Show real pictures on the left and generated ones on the right."""
    import torch

    from . import pictures
    from .images import load_images, seeded, to_unit

    model, about, beside = _load(weights, device)
    config = about["config"]
    real = load_images(data or config["data"], config["size"], channels=config["channels"], split=config["split"])
    chosen = torch.randperm(len(real), generator=seeded("cpu", seed, "compare"))[:n]
    images, _ = _draw(model, about, n, steps, step_size, seed)
    say("wrote", str(pictures.save(pictures.comparison(to_unit(real[chosen]), images), out or beside / "compare.png")))


@app.command(
    epilog="""
[bold]Examples[/bold]

dino info                      [dim]the newest run[/dim]

dino info model.safetensors    [dim]any weights file that dino wrote[/dim]
"""
)
def info(weights: Weights = None, debug: Debug = False) -> None:
    """Tell what a run or a weights file holds."""
    from . import trainer as t

    path = weights or t.newest_run()
    for name, value in t.describe(path).items():
        say(name, value)


def _load(weights: Path | None, device: str) -> "tuple[UNet, dict[str, Any], Path]":
    """The model to draw with, what its file says of it, and the folder to write beside it."""
    from . import trainer as t
    from .checkpoint import load_model

    path = weights or t.newest_run()
    model, about = load_model(path, t.choose_device(device))
    say("model", f"{path}, after {about['images_seen']:,} images of {about['config']['data']}")
    return model, about, path if path.is_dir() else path.parent


def _draw(
    model: "UNet", about: dict[str, Any], n: int, steps: int, step_size: float, seed: int
) -> "tuple[torch.Tensor, list[Step]]":
    """Generate `n` pictures behind a progress bar: the pictures, and the path of the first few from noise to there."""
    import torch
    from tqdm.auto import tqdm

    from .sampler import Step, denoise, noise_schedule

    config, device = about["config"], next(model.parameters()).device
    generator = torch.Generator(device).manual_seed(seed)
    images: list[torch.Tensor] = []
    path: list[Step] = []
    with tqdm(total=n * steps, unit=" guesses", unit_scale=True, leave=False, disable=None) as bar:
        for part in torch.empty(n).split(64):  # so that thousands fit in memory
            shape = (len(part), config["channels"], config["size"], config["size"])
            noisy = torch.rand(shape, generator=generator, device=device)
            if not images:
                path.append(Step(torch.ones(1, 1, 1, 1), noisy, torch.full_like(noisy, 0.5)))
            for step in denoise(model, noisy, noise_schedule(steps), step_size):
                if not images:
                    path.append(step)
                noisy = step.noisy
                bar.update(len(part))
            images.append(noisy.clamp(0, 1))
    return torch.cat(images), path


def say(what: str, value: str) -> None:
    """One line of the report, in two columns."""
    typer.echo(f"{what:<10}{value}")


def main() -> None:
    """Run the command. What the person can mend is told in one line; anything else is a bug and shows its traceback."""
    warnings.showwarning = lambda message, *_: print(f"dino: {message}", file=sys.stderr)
    try:
        app(prog_name="dino")
    except DinoError as error:
        if "--debug" in sys.argv:
            raise
        print(f"dino: {error}", file=sys.stderr)
        sys.exit(1)
