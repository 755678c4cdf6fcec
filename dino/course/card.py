"""The card at the end of a run on a learner's parts: images that the model draws, and whose each part is."""

from typing import TYPE_CHECKING

from ..common import grids
from .curriculum import MODEL_LESSONS
from .grader.combine import Parts

if TYPE_CHECKING:
    from PIL.Image import Image

    from ..trainer.trainer import Trainer

INK, FAINT, GREEN = (35, 35, 45), (125, 125, 135), (20, 125, 70)
MARGIN, LINE, MIN_WIDTH = 40, 34, 660


def card(parts: Parts, trainer: "Trainer") -> "Image":
    """Draw the card: thirty-six images by the learner's sampler, and below them the parts that made them."""
    from PIL import Image, ImageDraw, ImageFont

    grid = grids.grid(trainer.sample(36, fine=True))
    width, height = grid.width + 2 * MARGIN, grid.height + 3 * MARGIN + LINE * (len(MODEL_LESSONS) + 2) + 20
    image = Image.new("RGB", (max(width, MIN_WIDTH), height), "white")
    pen = ImageDraw.Draw(image)
    large, small = ImageFont.load_default(26), ImageFont.load_default(17)
    image.paste(grid, ((image.width - grid.width) // 2, MARGIN))
    left, y = MARGIN, grid.height + 2 * MARGIN
    own = [lesson for lesson in MODEL_LESSONS if parts.whose[lesson.name] == "yours"]
    built_all = len(own) == len(MODEL_LESSONS)
    title = "Drawn by a model I built myself" if built_all else "Drawn by a model built of these parts"
    pen.text((left, y), title, INK, large)
    y += LINE + 10
    for lesson in MODEL_LESSONS:
        mine = lesson in own
        pen.text((left, y), f"{lesson.number} {lesson.name}", INK, small)
        pen.text((left + 140, y), "mine" if mine else "dino's", GREEN if mine else FAINT, small)
        pen.text((left + 215, y), lesson.teaches, FAINT, small)
        y += LINE
    n_images, source = len(trainer.images), trainer.config.data
    learned = f"It learned from {n_images:,} pictures ({source}), seeing {trainer.images_seen:,} images."
    pen.text((left, y), learned, FAINT, small)
    return image
