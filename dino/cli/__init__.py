"""The `dino` command: one file per command or family of commands.

Each file adds its commands to `app` when it is imported, and `--help` lists them in this order. Nothing here imports
torch before a command runs, because that takes two seconds.
"""

from . import train, sample, compare, evaluate, doctor, info, page, push, export, bench, init, course, watch, grade  # noqa: I001 - the order of --help
from .app import app
from .main import main

__all__ = [
    "app", "bench", "compare", "course", "doctor", "evaluate", "export", "grade", "info", "init", "main", "page",
    "push", "sample", "train", "watch",
]  # fmt: skip
