"""Has pytest grade the lessons: `pytest lessons/03`. Nothing here needs to be changed."""

pytest_plugins = ["dino.course.plugin"]
