"""The picture of a lesson: for each exercise the learner's own output on the left and the expected one on the right."""

from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, NamedTuple

import torch
from torch import Tensor

from ..curriculum import Course, Lesson

if TYPE_CHECKING:
    from PIL.Image import Image


SCALE, GAP, MARGIN = 2, 2, 16  # one pixel of a picture is drawn as SCALE x SCALE
MISSING = (225, 225, 225)


class Panel(NamedTuple):
    """One row of a lesson's picture."""

    exercise: str
    caption: str  # what is to be seen, in a few words
    draw: Callable[[ModuleType], Tensor]  # (N, C, H, W) in [0, 1], by the parts in a module: the learner's or dino's


def draw(course: Course, lesson: Lesson, skip: list[str]) -> str:
    """Write a lesson's picture. `skip` names exercises whose code is not fit to be run. Returns why not, or nothing."""
    from ...common.atomic_file import replacing
    from ...common.errors import DinoError
    from .grade import Grader
    from .loader import load

    grader = Grader(course, lesson)
    try:
        mine: ModuleType | None = load(course.lesson_file(lesson))
    except BaseException:
        mine = None
    rows = []
    for panel in grader.graders.PANELS:
        expected = panel.draw(grader.reference)
        own = None if mine is None or panel.exercise in skip else _attempt(panel, mine)
        rows.append((f"{lesson.exercise_number(panel.exercise)} {panel.exercise}: {panel.caption}", own, expected))
    try:
        with replacing(course.contact_sheet(lesson)) as temporary:
            _sheet(rows).save(temporary, "PNG")
    except DinoError as error:
        return str(error)
    return ""


def _attempt(panel: Panel, mine: ModuleType) -> Tensor | None:
    """The learner's output, if there is one that can be shown."""
    try:
        with torch.random.fork_rng(devices=[]):
            images = panel.draw(mine).detach().float()
    except BaseException:
        return None
    return images if images.dim() == 4 and images.shape[1] in (1, 3) and max(images.shape) < 1000 else None


def _sheet(rows: list[tuple[str, Tensor | None, Tensor]]) -> "Image":
    from PIL import Image, ImageDraw, ImageFont

    font, line = ImageFont.load_default(15), 24
    right = [_row(expected) for _, _, expected in rows]
    left = [_row(own) if own is not None else _blank(image) for (_, own, _), image in zip(rows, right, strict=True)]
    width = max(image.width for image in left + right)
    heights = [line + max(a.height, b.height) + MARGIN for a, b in zip(left, right, strict=True)]
    sheet = Image.new("RGB", (2 * width + 3 * MARGIN, line + MARGIN + sum(heights) + MARGIN), "white")
    pen = ImageDraw.Draw(sheet)
    columns = (MARGIN, width + 2 * MARGIN)
    for x, heading in zip(columns, ("yours", "expected"), strict=True):
        pen.text((x, MARGIN // 2), heading, "black", font)
    y = line + MARGIN
    for (caption, _, _), own, expected, height in zip(rows, left, right, heights, strict=True):
        pen.text((MARGIN, y), caption, (90, 90, 90), font)
        for x, image in zip(columns, (own, expected), strict=True):
            sheet.paste(image, (x, y + line))
        y += height
    return sheet


def _row(images: Tensor) -> "Image":
    """Pictures side by side. What isn't a number is shown in red."""
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

    image = Image.new("RGB", like.size, MISSING)
    font = ImageFont.load_default(15)
    ImageDraw.Draw(image).text((like.width / 2, like.height / 2), "nothing to show yet", (110, 110, 110), font, "mm")
    return image


@lru_cache
def emoji() -> Tensor:
    """Sixteen emoji to look at, (16, 3, 32, 32), float in [0, 1]. Don't change them in place."""
    return _pictures()[:16]


@lru_cache
def animals() -> Tensor:
    """A fish, a horse, an elephant and a sauropod, (4, 3, 32, 32): they all look to the left."""
    return _pictures()[16:]


@lru_cache
def _pictures() -> Tensor:
    import numpy as np
    from PIL import Image

    with Image.open(Path(__file__).with_name("emoji.png")) as file:
        sheet = torch.from_numpy(np.array(file.convert("RGB"))).permute(2, 0, 1)
    return sheet.unfold(2, 32, 32).permute(2, 0, 1, 3).float() / 255
