"""Options that would fix a problem: library code names settings, and this module spells the options."""

import sys

import typer

from ..common.errors import DinoError, DinoWarning, shell_command, shell_word
from .app import app

SPELLED = {"n_images": "--images", "n": "-n", "n_steps": "--steps"}  # the others are spelled like their setting
# How False is spelled. Other options that are on can only be left out.
SWITCHED_OFF = {"compile": "--no-compile", "memory_map": "--no-memory-map"}


def advice(problem: DinoError | DinoWarning) -> str:
    """Return the options that would fix a problem, as a sentence, or "" if none would.

    Settings with values become "Try --accumulate 2 or --batch-size 16.", those that may have any other value "Change
    --out.", and those of another command "Run: dino train --resume runs/quick-1". Options that the running command
    doesn't take are left out.
    """
    if problem.command:
        words = [word for name, value in problem.settings.items() for word in _words(name, value)]
        return f"Run: {shell_command('dino', problem.command, *words)}"
    taken = _options_of_the_running_command()
    settings = {
        name: value for name, value in problem.settings.items() if taken is None or option(name, value) in taken
    }
    spelled = [" ".join(map(shell_word, _words(name, value))) for name, value in settings.items()]
    attempts = [words for words in spelled if words]
    changes = [option(name, value) for name, value in settings.items() if value is None]
    omissions = [option(name, value) for name, value in settings.items() if value is False and name not in SWITCHED_OFF]
    parts = [("try", attempts), ("change", changes), ("leave out", omissions)]
    sentence = ", or ".join(f"{verb} {_alternatives(options)}" for verb, options in parts if options)
    return f"{sentence[0].upper()}{sentence[1:]}." if sentence else ""


def option(setting: str, value: object = None) -> str:
    """Return how the option for a setting is spelled: "--batch-size" for "batch_size"."""
    if value is False and setting in SWITCHED_OFF:
        return SWITCHED_OFF[setting]
    return SPELLED.get(setting, f"--{setting.replace('_', '-')}")


def _words(setting: str, value: object) -> list[object]:
    """Return the words to type for a setting with this value, or none if the option must be changed or left out."""
    if value is None or (value is False and setting not in SWITCHED_OFF):
        return []
    return [option(setting, value)] if isinstance(value, bool) else [option(setting, value), value]


def _alternatives(options: list[str]) -> str:
    return " or ".join(filter(None, (", ".join(options[:-1]), options[-1])))


def _options_of_the_running_command() -> set[str] | None:
    """Return the options of the command that was typed, or None if no command of dino is running."""
    commands = getattr(typer.main.get_command(app), "commands", {})
    command = commands.get(sys.argv[1]) if len(sys.argv) > 1 else None
    return {name for option in command.params for name in (*option.opts, *option.secondary_opts)} if command else None
