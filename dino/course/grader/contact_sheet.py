"""The contact sheet of a lesson: the learner's output on the left, and the expected output on the right."""

from collections.abc import Callable
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, NamedTuple

import torch
from torch import Tensor

from ..curriculum import Course, Lesson

if TYPE_CHECKING:
    from PIL.Image import Image


SCALE = 2  # a pixel of a picture is drawn as SCALE x SCALE pixels
GAP, MARGIN = 2, 16  # pixels between pictures, and around them
LINE = 24  # height of a caption, in pixels
BLANK = (225, 225, 225)  # color where output is missing


class Panel(NamedTuple):
    """One row of a contact sheet."""

    exercise: str
    caption: str  # what the pictures show, in a few words
    draw: Callable[[ModuleType], Tensor]  # from a lesson's file, the learner's or dino's: (N, C, H, W) in [0, 1]


class Row(NamedTuple):
    """The output of one panel."""

    caption: str
    own: Tensor | None  # None where there is none to show
    expected: Tensor


def draw(course: Course, lesson: Lesson, skip: list[str]) -> str:
    """Write the contact sheet of a lesson. Returns why it couldn't be written, or "".

    Args:
        course: the copy of the course.
        lesson: the lesson.
        skip: exercises whose code should not run, because it is unwritten or hangs.
    """
    from ...common.atomic_file import replacing
    from ...common.errors import DinoError
    from .lesson_grader import Grader
    from .loader import load_lesson

    grader = Grader(course, lesson)
    try:
        mine: ModuleType | None = load_lesson(course, lesson)
    except BaseException:
        mine = None
    rows = []
    for panel in grader.tests.PANELS:
        expected = panel.draw(grader.reference)
        own = None if mine is None or panel.exercise in skip else _attempt(panel, mine)
        caption = f"{lesson.exercise_number(panel.exercise)} {panel.exercise}: {panel.caption}"
        rows.append(Row(caption, own, expected))
    try:
        with replacing(course.contact_sheet(lesson)) as temporary:
            _contact_sheet(rows).save(temporary, "PNG")
    except DinoError as error:
        return str(error)
    return ""


def _attempt(panel: Panel, mine: ModuleType) -> Tensor | None:
    """Return the learner's output, or None if it can't be shown."""
    try:
        with torch.random.fork_rng(devices=[]):
            images = panel.draw(mine).detach().float()
    except BaseException:
        return None
    return images if images.dim() == 4 and images.shape[1] in (1, 3) and max(images.shape) < 1000 else None


def _contact_sheet(rows: list[Row]) -> "Image":
    from PIL import Image, ImageDraw, ImageFont

    font = ImageFont.load_default(15)
    right = [_side_by_side(row.expected) for row in rows]
    left = [
        _side_by_side(row.own) if row.own is not None else _blank(image) for row, image in zip(rows, right, strict=True)
    ]
    width = max(image.width for image in left + right)
    heights = [LINE + max(a.height, b.height) + MARGIN for a, b in zip(left, right, strict=True)]
    canvas = Image.new("RGB", (2 * width + 3 * MARGIN, LINE + MARGIN + sum(heights) + MARGIN), "white")
    pen = ImageDraw.Draw(canvas)
    columns = (MARGIN, width + 2 * MARGIN)
    for x, heading in zip(columns, ("yours", "expected"), strict=True):
        pen.text((x, MARGIN // 2), heading, "black", font)
    y = LINE + MARGIN
    for row, own, expected, height in zip(rows, left, right, heights, strict=True):
        pen.text((MARGIN, y), row.caption, (90, 90, 90), font)
        for x, image in zip(columns, (own, expected), strict=True):
            canvas.paste(image, (x, y + LINE))
        y += height
    return canvas


def _side_by_side(images: Tensor) -> "Image":
    """Lay pictures side by side. Pixels that aren't finite are red."""
    from PIL import Image

    images = images.expand(-1, 3, -1, -1).clone()
    broken = ~torch.isfinite(images).all(1, keepdim=True)
    images = torch.where(broken, torch.tensor([1.0, 0, 0]).view(1, 3, 1, 1), images).clamp(0, 1)
    n, _, height, width = images.shape
    row = torch.ones(3, height, n * (width + GAP) - GAP)
    for index, image in enumerate(images):
        row[:, :, index * (width + GAP) :][:, :, :width] = image
    pixels = (row * 255).round().to(torch.uint8).permute(1, 2, 0).contiguous().numpy()
    return Image.fromarray(pixels).resize((SCALE * row.shape[2], SCALE * height), Image.Resampling.NEAREST)


def _blank(like: "Image") -> "Image":
    from PIL import Image, ImageDraw, ImageFont

    image = Image.new("RGB", like.size, BLANK)
    font = ImageFont.load_default(15)
    ImageDraw.Draw(image).text((like.width / 2, like.height / 2), "nothing to show yet", (110, 110, 110), font, "mm")
    return image


# ---- pictures for the graders ---------------------------------------------------------------------------------------


@cache
def emoji() -> Tensor:
    """Return sixteen emoji, (16, 3, 32, 32), float in [0, 1]. Don't change them in place."""
    return _pictures()[:16]


@cache
def animals() -> Tensor:
    """Return a fish, a horse, an elephant and a sauropod, (4, 3, 32, 32). All of them look to the left."""
    return _pictures()[16:]


@cache
def _pictures() -> Tensor:
    import numpy as np
    from PIL import Image

    with Image.open(Path(__file__).with_name("emoji.png")) as file:
        strip = torch.from_numpy(np.array(file.convert("RGB"))).permute(2, 0, 1)
    return strip.unfold(2, 32, 32).permute(2, 0, 1, 3).float() / 255
