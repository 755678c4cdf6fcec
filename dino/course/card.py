"""The card at the end of a run on a learner's parts: images that the model draws, and whose each part is."""

from typing import TYPE_CHECKING

from ..common import grids
from .curriculum import MODEL_LESSONS, STEERING
from .grader.combine import Parts
from .milestone import BAR, Milestone

if TYPE_CHECKING:
    from PIL.Image import Image
    from torch import Tensor

    from ..trainer.trainer import Trainer

INK, FAINT, GREEN = (35, 35, 45), (110, 110, 120), (20, 125, 70)
N_SHOWN = 36
MARGIN, LINE, MIN_WIDTH = 40, 34, 660


def card(parts: Parts, trainer: "Trainer", images: "Tensor", milestone: Milestone | None = None) -> "Image":
    """Draw the card: thirty-six images by the learner's sampler, the parts that made them, and the verdict.

    Args:
        parts: says whose each part is.
        trainer: at the end of its run.
        images: that it drew, in [0, 1], (N, C, H, W). The first thirty-six are shown.
        milestone: the verdict, if there is one.
    """
    from PIL import Image, ImageDraw, ImageFont

    grid = grids.grid(images[:N_SHOWN])
    asks_itself = parts.whose[STEERING.name] == "yours" and trainer.config.vocabulary
    shown = (*MODEL_LESSONS, STEERING) if asks_itself else MODEL_LESSONS  # the card is whole without lesson 06
    n_lines = len(shown) + 2 + bool(milestone)
    width, height = grid.width + 2 * MARGIN, grid.height + 3 * MARGIN + LINE * n_lines + 20
    image = Image.new("RGB", (max(width, MIN_WIDTH), height), "white")
    pen = ImageDraw.Draw(image)
    large, small = ImageFont.load_default(26), ImageFont.load_default(17)
    image.paste(grid, ((image.width - grid.width) // 2, MARGIN))
    left, y = MARGIN, grid.height + 2 * MARGIN
    own = [lesson for lesson in shown if parts.whose[lesson.name] == "yours"]
    built_all = len(own) == len(shown)
    title = "Drawn by a model I built myself" if built_all else "Drawn by a model built of these parts"
    pen.text((left, y), title, INK, large)
    y += LINE + 10
    for lesson in shown:
        mine = lesson in own
        pen.text((left, y), f"{lesson.number} {lesson.name}", INK, small)
        pen.text((left + 140, y), "mine" if mine else "dino's", GREEN if mine else FAINT, small)
        pen.text((left + 215, y), lesson.teaches, FAINT, small)
        y += LINE
    n_images, source = len(trainer.images), trainer.config.data
    learned = f"It learned from {n_images:,} pictures ({source}), seeing {trainer.images_seen:,} images."
    pen.text((left, y), learned, FAINT, small)
    if milestone:
        passed = milestone.passed
        pen.text((left, y + LINE), f"Milestone {_short(milestone)}", GREEN if passed else INK, small)
    return image


def _short(milestone: Milestone) -> str:
    if milestone.distance is None:
        return "not reached yet"
    reached = "reached" if milestone.passed else "not reached yet"
    return f"{reached}: distance to real images {milestone.distance:.1f}, at most {BAR:.1f} wanted"
