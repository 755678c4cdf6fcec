"""`dino sample`: draw new images, and ask for what they show."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ..common.errors import DinoError
from .app import app
from .loading import load
from .options import GUIDANCE, Debug, Device, Guidance, Seed, Spacing, Steps, StepSize, Weights
from .output import say

if TYPE_CHECKING:
    from PIL.Image import Image
    from torch import Tensor, nn

    from ..sampler import Step
    from ..trainer.batched_sampling import Wishes

N_FRAMES = 51  # of an animation, at most
N_IMAGES = 36  # without --ask
N_PER_ROW = 6  # images for each --ask
# What a model of dinosaurs is asked for if nobody asks for anything.
GREETING = (
    "green stegosaurus", "purple triceratops with a scarf", "red tyrannosaurus", "blue brontosaurus, sleepy",
    "orange parasaurolophus with a hat", "teal pteranodon, striped",
)  # fmt: skip

# ---- options --------------------------------------------------------------------------------------------------------

Ask = Annotated[
    list[str] | None,
    typer.Option("--ask", metavar="WORDS", help="What to draw. Give it several times for one row each."),
]
Keep = Annotated[
    Path | None, typer.Option(metavar="IMAGE", help="Keep a part of this image, and draw the rest. Needs --mask.")
]
Mask = Annotated[Path | None, typer.Option(metavar="IMAGE", help="With --keep: white where the image is kept.")]
Vary = Annotated[Path | None, typer.Option(metavar="IMAGE", help="Draw variations of this image.")]
From = Annotated[
    float | None,
    typer.Option(
        "--from",
        metavar="X",
        help="With --vary: the noise level to start from, 0 to 1. Less stays closer to the image.",
    ),
]


# ---- the command ----------------------------------------------------------------------------------------------------


@app.command(
    epilog="""
[bold]Examples[/bold]

dino sample                              [dim]a grid from the newest run[/dim]

dino sample pretrained -n 64             [dim]from the model that comes with dino[/dim]

dino sample --ask "green stegosaurus with a hat" --ask "sleepy blue triceratops"  [dim]a row each[/dim]

dino sample runs/quick-1 --animate       [dim]a GIF from noise to pictures[/dim]

dino sample --keep dino.png --mask mask.png  [dim]draw what the mask leaves black[/dim]

dino sample --vary drawing.png --from 0.8    [dim]redraw a drawing[/dim]
"""
)
def sample(
    weights: Weights = None,
    ask: Ask = None,
    n: Annotated[
        int | None, typer.Option("-n", metavar="N", min=1, help="How many images; with --ask, in each row.")
    ] = None,
    guidance: Guidance = GUIDANCE,
    keep: Keep = None,
    mask: Mask = None,
    vary: Vary = None,
    noise_level: From = None,
    steps: Steps = None,
    spacing: Spacing = "warped",
    step_size: StepSize = None,
    seed: Seed = 0,
    animate: Annotated[
        bool, typer.Option("--animate", help="Also write a GIF of the images coming out of the noise.")
    ] = False,
    strip: Annotated[
        bool,
        typer.Option("--strip", help="Also write a strip: one image at ten steps, above the predictions made there."),
    ] = False,
    out: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="The image to write. By default generated.png beside the weights."),
    ] = None,
    device: Device = "auto",
    debug: Debug = False,
) -> None:
    """Draw new images with a trained model."""
    _check(keep, mask, vary, noise_level)
    from ..common.grids import animation, grid, labeled_grid, save_image
    from ..trainer.batched_sampling import Steps as Schedule
    from ..trainer.batched_sampling import generate_as_saved
    from ..trainer.model_file import image_shape
    from ..trainer.strips import STRIP_COLUMNS, sampling_strip

    model, metadata, folder = load(weights, device)
    shape, out = image_shape(metadata), out or folder / "generated.png"
    requests = _requests(ask, metadata, is_free=n is None and not keep and not vary)
    each = n or (N_PER_ROW if requests else N_IMAGES)
    wishes = _wishes(metadata, requests, each, guidance, seed, is_free=not keep and not vary)
    wishes = _from_images(wishes, shape, next(model.parameters()).device, keep, mask, vary, noise_level)
    path: list[Step] = []
    images = generate_as_saved(
        model, metadata, each * max(1, len(requests)), image_shape=shape,
        steps=Schedule.for_model(metadata, steps, spacing, step_size), wishes=wishes, seed=seed,
        path=path if animate or strip else None,
    )  # fmt: skip

    def laid_out(images: "Tensor") -> "Image":
        return labeled_grid(images, requests) if requests else grid(images)

    say("wrote", save_image(laid_out(images), out))
    if animate:
        frames = [grid(step.noisy) for step in _at_most(path, N_FRAMES)]
        say("wrote", animation(frames, out.with_name(f"{out.stem}-animation.gif")))
    if strip:
        rows = grid(sampling_strip(path), columns=STRIP_COLUMNS)
        say("wrote", save_image(rows, out.with_name(f"{out.stem}-strip.png")))


def draw_without_options(model: "nn.Module", metadata: dict[str, Any]) -> "tuple[Image, int]":
    """Return the grid that `dino sample` draws if it gets no options, and the number of images in it."""
    from ..common.grids import grid, labeled_grid
    from ..trainer.batched_sampling import generate_as_saved
    from ..trainer.model_file import image_shape

    requests = _requests(None, metadata, is_free=True)
    each = N_PER_ROW if requests else N_IMAGES
    wishes = _wishes(metadata, requests, each, GUIDANCE, 0, is_free=True)
    n = each * max(1, len(requests))
    images = generate_as_saved(model, metadata, n, image_shape=image_shape(metadata), wishes=wishes)
    return labeled_grid(images, requests) if requests else grid(images), len(images)


def _check(keep: Path | None, mask: Path | None, vary: Path | None, noise_level: float | None) -> None:
    """Refuse options that contradict each other, before torch is imported."""
    if (keep is None) != (mask is None):
        raise DinoError("--keep and --mask go together: an image, and a mask that is white where to keep it")
    if keep and vary:
        raise DinoError("--keep and --vary can't be used together. Leave one out")
    if noise_level is not None and not vary:
        raise DinoError("--from goes with --vary: it says how much noise to mix into that image")
    if noise_level is not None and not 0 < noise_level <= 1:
        raise DinoError(f"--from is a noise level, more than 0 and at most 1, not {noise_level:g}")


def _requests(ask: list[str] | None, metadata: dict[str, Any], *, is_free: bool) -> list[str]:
    """Return what to ask for, one request for each row. By default a model of dinosaurs is asked for those it knows."""
    return known_greetings(metadata) if ask is None and is_free else ask or []


def known_greetings(metadata: dict[str, Any]) -> list[str]:
    """Return those requests of `GREETING` whose words a model knows, all of them."""
    from ..data.words import split_words
    from ..trainer.model_file import vocabulary

    known = set(vocabulary(metadata))
    return [request for request in GREETING if known.issuperset(split_words(request))]


def _wishes(
    metadata: dict[str, Any], requests: list[str], each: int, guidance: float, seed: int, *, is_free: bool
) -> "Wishes":
    """Return the condition of each image: `each` images for each request. Without requests, they show all sorts.

    Args:
        metadata: of the model.
        requests: what to draw, in words.
        each: how many images for each of them; all images, if there are none.
        guidance: how strictly to follow the words.
        seed: determines what the requests leave open.
        is_free: whether nothing but the words says what to draw.
    """
    import torch

    from ..data.words import Request, complete, parse_request
    from ..images import seeded
    from ..trainer.batched_sampling import Wishes
    from ..trainer.model_file import vocabulary, word_sets

    words, sets = vocabulary(metadata), word_sets(metadata)
    if not requests and not (len(sets) and is_free):
        return Wishes(guidance=guidance)
    parsed = [parse_request(request, words) for request in requests] or [Request(())]
    asked, unwanted = (
        torch.tensor([[float(word in chosen) for word in words] for chosen in column]).repeat_interleave(each, dim=0)
        for column in zip(*parsed, strict=True)
    )
    return Wishes(complete(asked, unwanted, sets, generator=seeded("cpu", seed, "words")), guidance)


def _from_images(
    wishes: "Wishes",
    shape: tuple[int, int, int],
    device: Any,
    keep: Path | None,
    mask: Path | None,
    vary: Path | None,
    noise_level: float | None,
) -> "Wishes":
    """Add the images to keep or to vary."""
    from ..data.loading import load_image
    from ..images import to_unit

    def read(path: Path, channels: int) -> "Tensor":
        return to_unit(load_image(path, shape[-1], channels=channels))[None].to(device)

    if keep and mask:
        wishes = wishes._replace(known=read(keep, shape[0]), mask=read(mask, 1) > 0.5)
    if vary:
        wishes = wishes._replace(start=read(vary, shape[0]), noise_level=noise_level or 0.7)
    return wishes


def _at_most(path: "list[Step]", n: int) -> "list[Step]":
    """Return `n` of the steps, evenly spaced, or all of them if there are fewer."""
    return path if len(path) <= n else [path[round(k * (len(path) - 1) / (n - 1))] for k in range(n)]
