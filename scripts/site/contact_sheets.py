"""`python -m scripts.site.contact_sheets` draws docs/images/lesson-NN.png: each lesson's contact sheet, as the grader
draws it, of the answers in solutions.
"""

import shutil
import tempfile
from pathlib import Path

from dino.course.curriculum import LESSONS, Course
from scripts.site.paths import DOCS, ROOT, SiteError


def main() -> None:
    """Draw all contact sheets, in a copy of the course whose lessons are solved."""
    from dino.course.grader.contact_sheet import draw

    with tempfile.TemporaryDirectory() as folder:
        course = Course(Path(folder))
        shutil.copytree(ROOT / "lessons", course.root / "lessons")
        for lesson in LESSONS:
            shutil.copy(Course(ROOT).solution(lesson), course.lesson_file(lesson))
            if problem := draw(course, lesson, []):
                raise SiteError(problem)
            target = DOCS / "images" / f"lesson-{lesson.number}.png"
            _compress(course.contact_sheet(lesson), target)
            print(f"{target.relative_to(ROOT)}: {target.stat().st_size / 1000:.0f} KB")


def _compress(source: Path, target: Path) -> None:
    """Write the same image with PNG's strongest compression."""
    from PIL import Image

    with Image.open(source) as image:
        image.save(target, "PNG", optimize=True)


if __name__ == "__main__":
    main()
