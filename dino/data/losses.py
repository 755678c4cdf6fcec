"""Losses: what decoding takes from an image beyond its fine detail, so that the user hears of it.

Each function returns a `Loss` if more is lost than the images of a usual set lose, or None.
"""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple, cast

from ..common.errors import printable

if TYPE_CHECKING:  # imported where they are used, because they make every start of dino slower
    import numpy as np
    from PIL.Image import Image

FEW_LEVELS = 32  # of 256 levels of brightness: an eighth
MAX_OUTSIDE = 0.01  # of an image's values: a few that are too large or small are noise
MAX_COUNTED = 1_000_000  # values, which are enough to see what is lost
NEARLY_WHITE = 250
N_EXAMPLES = 2
FORMATS = ("GIF", "PNG", "WEBP", "AVIF", "TIFF")  # the formats whose frames or pages are images of their own


CLIPPED, DARK, WHITE, CUT, SMALL, FRAMES = "clipped", "dark", "white", "cut", "small", "frames"
# For each kind of loss: what is lost of an image, and what to do about it.
KINDS = {
    CLIPPED: ("the values outside of the range that fits", "scale the values to 0 to 255 first"),
    DARK: ("most levels of brightness", "scale the values to 0 to 255 first"),
    WHITE: ("everything but the white background", "put the drawing on another color first"),
    CUT: ("more than half of the area", "crop to a square yourself"),
    SMALL: ("the sharpness", "choose a smaller size"),
    FRAMES: ("all frames or pages but the first", "save each as a file"),
}


class Loss(NamedTuple):
    """A kind of loss, one of `KINDS`, and the numbers, such as "-1 to 1, where 0 to 1 fits"."""

    kind: str
    numbers: str


def loss_of_values(values: "np.ndarray", white: float) -> Loss | None:
    """Return what is lost when numbers from 0 to `white` become whole numbers from 0 to 255.

    Args:
        values: of all pixels, of any shape. Some may be NaN or infinite.
        white: the value that becomes 255. Larger ones are clipped, and so are negative ones.
    """
    import numpy as np

    values = values.ravel()[:: max(1, values.size // MAX_COUNTED)]
    finite = values[np.isfinite(values)]
    if 2 * len(finite) < len(values):
        return Loss(CLIPPED, f"{1 - len(finite) / len(values):.0%} of the values are not finite")
    low, high = finite.min(), finite.max()
    if np.mean((finite < 0) | (finite > white)) > MAX_OUTSIDE:
        return Loss(CLIPPED, f"{low:,.6g} to {high:,.6g}, where 0 to {white:,.6g} fits")
    levels = len(np.unique((finite / white * 255).round().clip(0, 255)))
    if levels <= FEW_LEVELS and len(np.unique(finite)) >= 2 * levels:
        return Loss(DARK, f"{low:,.6g} to {high:,.6g} of {white:,.6g} became {levels} levels")
    return None


def loss_of_depth(image: "Image") -> Loss | None:
    """Return what is lost when Pillow keeps the upper 8 of 16 bits of each channel, from the result."""
    highest = round(max(high for _, high in _extrema(image)))
    if 1 < highest < FEW_LEVELS:
        return Loss(DARK, f"0 to {256 * (highest + 1) - 1:,} of 65,535 became {highest + 1} levels")
    return None


def loss_of_transparency(image: "Image", flat: "Image") -> Loss | None:
    """Return what is lost when an image with transparency is put on white: all of it, if the result is white."""
    if min(low for low, _ in _extrema(flat)) < NEARLY_WHITE:
        return None
    lowest, most_opaque = image.convert("RGBA").getchannel("A").getextrema()
    if lowest == 255:
        return None
    return Loss(WHITE, "white on transparent" if most_opaque else "fully transparent")


def loss_of_shape(width: int, height: int, size: int) -> Loss | None:
    """Return what is lost when the middle square of an image is resized to `size` pixels a side."""
    side = min(width, height)
    if 2 * side < max(width, height):
        return Loss(CUT, f"{width:,} x {height:,}")
    return Loss(SMALL, f"{width:,} x {height:,}") if 2 * side < size else None


def loss_of_frames(image: "Image") -> Loss | None:
    """Return what is lost when only the first frame of an animation, or the first page, is used."""
    if image.format not in FORMATS:
        return None
    try:
        n_frames: int = getattr(image, "n_frames", 1)
    except Exception:  # a broken file can make its decoder raise anything, but the first frame has been read
        return None
    return Loss(FRAMES, f"{n_frames:,} of them") if n_frames > 1 else None


def losses_in_words(losses: Mapping[str, Sequence[str]], n_images: int) -> str:
    """Return one line on all losses, with counts and examples.

    Args:
        losses: the kinds, each with its images, such as "a.tif: -1 to 1, where 0 to 1 fits".
        n_images: number of all images.
    """
    parts = []
    for kind, images in sorted(losses.items(), key=lambda each: -len(each[1])):
        examples = [printable(image, 120) for image in images[:N_EXAMPLES]] + ["..."] * (len(images) > N_EXAMPLES)
        what, advice = KINDS[kind]
        parts.append(f"{what} of {len(images):,} ({'; '.join(examples)}; {advice})")
    return f"decoding {n_images:,} image{'s' * (n_images != 1)} lost {', and '.join(parts)}"


def _extrema(image: "Image") -> list[tuple[float, float]]:
    """Return the lowest and the highest value of red, green and blue."""
    return cast("list[tuple[float, float]]", list(image.convert("RGB").getextrema()))
