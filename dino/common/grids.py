"""Image grids, and image files. All images are in [0, 1], shape (N, C, H, W), on any device."""

import math
import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from torch import Tensor

from .atomic_file import replacing
from .errors import DinoError

if TYPE_CHECKING:  # imported where it is used, because importing takes time
    from PIL.Image import Image

CELL = 64  # pixels; an image is enlarged if it fits at least twice into a square of this side
MARGIN = 8  # pixels on either side of a label
GAP = 2  # pixels between the images of a grid


def grid(images: Tensor, columns: int | None = None) -> "Image":
    """Lay images out in a grid with white gaps. A single image has none.

    Small images are enlarged by the largest whole number that keeps them within 64 pixels a side.

    Args:
        images: in [0, 1], (N, C, H, W). Values outside that range are clamped.
        columns: how many images in a row. By default the grid is as square as it can be.
    """
    from PIL import Image

    pixels = images.detach().float().cpu().clamp(0, 1).mul(255).round().byte()
    columns = min(columns or math.ceil(math.sqrt(len(images))), len(images))
    gap = GAP if len(images) > 1 else 0
    zoom, (height, width) = _zoom(images.shape[-1]), images.shape[-2:]
    down, right = zoom * height + gap, zoom * width + gap
    laid_out = Image.new("RGB", (columns * right + gap, math.ceil(len(images) / columns) * down + gap), "white")
    for k, rows in enumerate(pixels.permute(0, 2, 3, 1).squeeze(3).numpy()):  # Pillow's gray images have no channels
        image = Image.fromarray(rows).resize((zoom * width, zoom * height), Image.Resampling.NEAREST)
        laid_out.paste(image, (gap + k % columns * right, gap + k // columns * down))
    return laid_out


def labeled_grid(images: Tensor, labels: Sequence[str]) -> "Image":
    """Lay images out in a grid with one row for each label, and the label on the left of its row.

    Args:
        images: in [0, 1], (N, C, H, W), the same number for each label.
        labels: wrapped if they are long.
    """
    from PIL import Image, ImageDraw, ImageFont

    rows = grid(images, columns=len(images) // len(labels))
    pitch = (rows.height - GAP) // len(labels)
    font = ImageFont.load_default(size=max(11, pitch / 6))
    lines = [textwrap.wrap(label, 18) for label in labels]
    width = 2 * MARGIN + math.ceil(max(font.getlength(line) for wrapped in lines for line in wrapped))
    both = Image.new("RGB", (width + rows.width, rows.height), "white")
    both.paste(rows, (width, 0))
    draw = ImageDraw.Draw(both)
    for k, wrapped in enumerate(lines):
        place = (width - MARGIN, GAP + (k + 0.5) * pitch)
        draw.multiline_text(place, "\n".join(wrapped), fill="#444444", font=font, anchor="rm", align="right")
    return both


def split_grid(image: "Image", size: int, channels: int = 3) -> Tensor:
    """Return the images of a `grid`: (N, channels, size, size), in [0, 1]. White images fill the rest of the last row.

    Args:
        image: a grid, as `grid` returns it.
        size: side of one image before it was enlarged, in pixels.
        channels: 3, or 1 for gray.
    """
    from torchvision.transforms.functional import pil_to_tensor

    zoom = _zoom(size)
    pixels = pil_to_tensor(image.convert("RGB"))[:channels, GAP:, GAP:]
    pitch = size * zoom + GAP
    cells = pixels.unfold(1, pitch, pitch).unfold(2, pitch, pitch)[..., : size * zoom : zoom, : size * zoom : zoom]
    return cells.flatten(1, 2).transpose(0, 1).float() / 255


def _zoom(size: int) -> int:
    return max(1, CELL // size)


def comparison(real: Tensor, generated: Tensor) -> "Image":
    """Lay out a grid of real images on the left and a grid of generated ones on the right."""
    from PIL import Image

    left, right = grid(real), grid(generated)
    gap = CELL // 2
    both = Image.new("RGB", (left.width + gap + right.width, max(left.height, right.height)), "white")
    both.paste(left, (0, 0))
    both.paste(right, (left.width + gap, 0))
    return both


# ---- files ----------------------------------------------------------------------------------------------------------


def save_image(image: "Image", path: Path) -> Path:
    """Write an image file atomically, in the format that its name ends in. Returns the path.

    Raises:
        DinoError: if the format is unknown or the file can't be written.
    """
    from PIL import Image

    kind = Image.registered_extensions().get(path.suffix.lower(), "")
    if kind not in ("PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF"):
        raise DinoError(f"{path} is not the name of an image file. End it in .png, .jpg or .webp")
    with replacing(path) as temporary:
        image.save(temporary, kind)
    return path


def save_grid(images: Tensor, path: Path | str, columns: int | None = None) -> Path:
    """Lay images out in a grid and write it to an image file. Returns the path.

    Args:
        images: in [0, 1], (N, C, H, W), on any device.
        path: ends in .png, .jpg or .webp.
        columns: how many images in a row. By default the grid is as square as it can be.

    Raises:
        DinoError: if the format is unknown or the file can't be written.
    """
    return save_image(grid(images, columns), Path(path))


def animation(frames: Sequence["Image"], path: Path, *, seconds: float = 5.0) -> Path:
    """Write a GIF that plays for `seconds`, rests on its last frame for two more, and repeats. Returns the path.

    With more than 50 frames for each second the GIF plays longer, because browsers don't show more.
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
