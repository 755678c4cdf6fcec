"""Looking at things: grids, strips, films and curves. All images in [0, 1], shape (N, C, H, W), on any device."""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from torch import Tensor

from .atomic_file import replacing
from .errors import DinoError

if TYPE_CHECKING:  # imported where they are used: together they cost a learner three seconds
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


def comparison(real: Tensor, generated: Tensor) -> "Image":
    """The comparison sheet: a `grid` of real pictures on the left, one of generated ones on the right."""
    from PIL import Image

    left, right = grid(real), grid(generated)
    gap = SIDE // 2
    sheet = Image.new("RGB", (left.width + gap + right.width, max(left.height, right.height)), "white")
    sheet.paste(left, (0, 0))
    sheet.paste(right, (left.width + gap, 0))
    return sheet


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
