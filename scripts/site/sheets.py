"""`python -m docs.site.sheets` draws docs/images/lesson-NN.png: each lesson's picture, as the grader draws it, of the
answers in solutions.
"""

import shutil
import tempfile
from pathlib import Path

from dino.course.curriculum import LESSONS, Course
from scripts.site.places import DOCS, ROOT, SiteError


def main() -> None:
    """Draw all six, in a copy of the course whose lessons are solved."""
    from dino.course.grader.contact_sheet import draw

    with tempfile.TemporaryDirectory() as folder:
        course = Course(Path(folder))
        shutil.copytree(ROOT / "lessons", course.root / "lessons")
        for lesson in LESSONS:
            shutil.copy(Course(ROOT).solution(lesson), course.lesson_file(lesson))
            if why := draw(course, lesson, []):
                raise SiteError(why)
            target = DOCS / "images" / f"lesson-{lesson.number}.png"
            _smaller(course.picture(lesson), target)
            print(f"{target.relative_to(ROOT)}: {target.stat().st_size / 1000:.0f} KB")


def _smaller(picture: Path, target: Path) -> None:
    """The same picture in the fewest bytes that PNG allows."""
    from PIL import Image

    with Image.open(picture) as image:
        image.save(target, "PNG", optimize=True)


if __name__ == "__main__":
    main()
