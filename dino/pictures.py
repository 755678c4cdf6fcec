"""Looking at things: grids, strips, films and curves. All images in [0, 1], shape (N, C, H, W), on any device."""

import csv
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from .errors import DinoError
from .files import replacing
from .noise import mix
from .sampler import Step

if TYPE_CHECKING:  # imported where they are used: together they cost a learner three seconds
    from matplotlib.figure import Figure
    from PIL.Image import Image

SIDE = 64  # pictures that fit in here twice are shown enlarged, or nobody could see them


def grid(images: Tensor, columns: int | None = None) -> "Image":
    """Pictures side by side with white gaps of 2 pixels, as square as it gets or with `columns` in each row.

    Small ones are enlarged, by the largest whole number that keeps them within 64 pixels a side.

    Args:
        images: in [0, 1], (N, C, H, W). What lies beyond is cut off.
    """
    from torchvision.transforms.functional import to_pil_image
    from torchvision.utils import make_grid

    pixels = images.detach().float().cpu().clamp(0, 1).mul(255).round().byte()
    zoom = max(1, SIDE // images.shape[-1])
    pixels = pixels.repeat_interleave(zoom, dim=-2).repeat_interleave(zoom, dim=-1)
    return to_pil_image(make_grid(pixels, nrow=columns or math.ceil(math.sqrt(len(images))), pad_value=255))


def cut_up(sheet: "Image", size: int, channels: int = 3) -> Tensor:
    """The pictures of a `grid` again: (N, channels, size, size), in [0, 1]. White ones fill up its last row.

    Args:
        size: of one picture before it was enlarged, in pixels.
    """
    from torchvision.transforms.functional import pil_to_tensor

    zoom, gap = max(1, SIDE // size), 2
    pixels = pil_to_tensor(sheet.convert("RGB"))[:channels, gap:, gap:]
    pitch = size * zoom + gap
    cells = pixels.unfold(1, pitch, pitch).unfold(2, pitch, pitch)[..., : size * zoom : zoom, : size * zoom : zoom]
    return cells.flatten(1, 2).transpose(0, 1).float() / 255


def noise_strip(images: Tensor, levels: Sequence[float], *, generator: torch.Generator | None = None) -> Tensor:
    """Each image at each noise level, with the same noise all along, ready for `grid(columns=len(levels))`.

    Args:
        images: in [0, 1], (N, C, H, W).
        levels: in [0, 1].
        generator: where the noise comes from.

    Returns:
        A row for each image: (N * len(levels), C, H, W).
    """
    noise = torch.rand(images.shape, generator=generator, device=images.device)
    return torch.stack(
        [mix(images, noise, torch.tensor(level, device=images.device)) for level in levels], dim=1
    ).flatten(0, 1)


@torch.no_grad()
def denoising_strip(
    model: nn.Module, images: Tensor, levels: Sequence[float], *, generator: torch.Generator | None = None
) -> Tensor:
    """Two rows for each image: the image at each noise level, and below it what the model makes of it in one go.

    Takes what `noise_strip` takes, and returns (2 * N * len(levels), C, H, W), ready for `grid(columns=len(levels))`.
    """
    noisy = noise_strip(images, levels, generator=generator)
    at = torch.tensor(levels, device=images.device).repeat(len(images)).view(-1, 1, 1, 1)
    rows = torch.stack([noisy.unflatten(0, (len(images), -1)), model(noisy, at).unflatten(0, (len(images), -1))], dim=1)
    return rows.flatten(0, 2)


STRIP = 10  # pictures in a row of a strip


def sampling_strip(path: Sequence[Step]) -> Tensor:
    """One picture on its way from noise: a row of mixes and a row of guesses, for `grid(columns=STRIP)`.

    Args:
        path: all steps of `denoise`; the first of its pictures is shown, at ten of them.
    """
    kept = [path[round(k * (len(path) - 1) / (STRIP - 1))] for k in range(STRIP)]
    return torch.cat([step.noisy[:1] for step in kept] + [step.denoised[:1] for step in kept])


def comparison(real: Tensor, generated: Tensor) -> "Image":
    """The comparison sheet: a `grid` of real pictures on the left, one of generated ones on the right."""
    from PIL import Image

    left, right = grid(real), grid(generated)
    gap = SIDE // 2
    sheet = Image.new("RGB", (left.width + gap + right.width, max(left.height, right.height)), "white")
    sheet.paste(left, (0, 0))
    sheet.paste(right, (left.width + gap, 0))
    return sheet


INK = "#808080"  # of letters and lines: it can be read on white and on black
STYLE: dict[Any, Any] = {  # for matplotlib, of all figures of the course
    "figure.facecolor": "none", "axes.facecolor": "none", "savefig.facecolor": "none", "legend.framealpha": 0,
    "text.color": INK, "axes.labelcolor": INK, "axes.edgecolor": INK, "axes.titlecolor": INK, "grid.color": INK,
    "xtick.color": INK, "ytick.color": INK, "font.size": 11, "svg.fonttype": "none",
    "axes.prop_cycle": "cycler('color', ['#0072B2', '#E69F00', '#009E73', '#CC79A7', '#56B4E9', '#D55E00'])",
}  # fmt: skip


def labelled(rows: Mapping[str, Tensor], columns: Sequence[str] | None = None, *, inch: float = 0.9) -> "Figure":
    """Rows of pictures, each row with its name on the left, and labels above the columns.

    Args:
        rows: in [0, 1], each (N, C, H, W); they may differ in N.
        columns: as many labels as the longest row has pictures, or none.
        inch: the side of a picture, in inches.
    """
    import matplotlib as mpl
    from matplotlib.figure import Figure

    wide = max(map(len, rows.values()))
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(inch * (wide + 1.4), inch * (len(rows) + 0.4)), layout="constrained")
        all_axes = figure.subplots(len(rows), wide, squeeze=False)
        for axes_of_row, (name, images) in zip(all_axes, rows.items(), strict=True):
            axes_of_row[0].set_ylabel(name, rotation=0, ha="right", va="center")
            for k, axes in enumerate(axes_of_row):
                axes.set(xticks=[], yticks=[])
                axes.spines[:].set_visible(False)
                if k < len(images):
                    pixels = images[k].detach().float().cpu().clamp(0, 1).permute(1, 2, 0).squeeze(2).numpy()
                    axes.imshow(pixels, cmap="gray", vmin=0, vmax=1, interpolation="nearest")
        for axes, label in zip(all_axes[0], columns or [], strict=False):
            axes.set_title(label, fontsize=10)
    return figure


def save(image: "Image", path: Path) -> Path:
    """Write a picture file, whole or not at all. The name's ending decides the format. Returns the path.

    Raises:
        DinoError: no such format is known, or the file can't be written.
    """
    from PIL import Image

    kind = Image.registered_extensions().get(path.suffix.lower(), "")
    if kind not in ("PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF"):
        raise DinoError(f"{path} is no name for a picture. End it in .png, .jpg or .webp")
    with replacing(path) as temporary:
        image.save(temporary, kind)
    return path


def animation(frames: Sequence["Image"], path: Path, *, seconds: float = 5.0) -> Path:
    """Write a GIF film that lasts `seconds` and rests two more on its last frame, again and again. Returns the path.

    It lasts longer where there are more than 50 frames for a second, which browsers don't show.
    """
    each = max(20, round(1000 * seconds / len(frames)))  # browsers slow down anything under 20 milliseconds
    with replacing(path) as temporary:
        frames[0].save(
            temporary,
            "GIF",
            save_all=True,
            append_images=frames[1:],
            duration=[each] * (len(frames) - 1) + [2000],
            loop=0,
        )
    return path


def loss_curve(log: Path) -> "Figure":
    """The loss against the images seen, on a logarithmic axis: every row of a log faintly, and smoothed.

    Args:
        log: the path of a run's log.csv.
    """
    from matplotlib.figure import Figure

    with log.open() as file:
        rows = list(csv.DictReader(file))
    images = [int(row["images"]) for row in rows]
    losses = [float(row["loss"]) for row in rows]
    figure = Figure(figsize=(7, 4), layout="constrained")
    axes = figure.subplots()
    axes.plot(images, losses, alpha=0.25, color="C0")
    axes.plot(images, smooth(losses), color="C0")
    axes.set(xlabel="images seen", ylabel="loss (mean squared error)", yscale="log", title=log.parent.name)
    axes.grid(alpha=0.3, which="both")
    return figure


def save_figure(figure: "Figure", path: Path) -> Path:
    """Write a matplotlib figure as a PNG, whole or not at all. Returns the path."""
    with replacing(path) as temporary:
        figure.savefig(temporary, format="png", dpi=120)
    return path


def smooth(values: list[float], reach: int = 5) -> list[float]:
    """The mean of each value and its neighbours, up to `reach` of them on either side."""
    windows = (values[max(0, i - reach) : i + reach + 1] for i in range(len(values)))
    return [sum(window) / len(window) for window in windows]
