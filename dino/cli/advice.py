"""Which option would fix a problem: library code names settings, and this module spells the options."""

from ..common.errors import DinoError, DinoWarning, shell_command

SPELLED = {"n_images": "--images", "n": "-n", "n_steps": "--steps"}  # the others are spelled like their setting
SWITCHED_OFF = {"compile": "--no-compile"}  # how False is spelled, where an option has a form for it


def advice(problem: DinoError | DinoWarning) -> str:
    """Return the options that would fix a problem, as a sentence, or "" if none would.

    Settings with values become "Try --accumulate 2 or --batch-size 16.", those without "Change --out.", and those of
    another command "Run: dino train --resume runs/quick-1".
    """
    if problem.command:
        words = [word for name, value in problem.settings.items() for word in _words(name, value)]
        return f"Run: {shell_command('dino', problem.command, *words)}"
    change = [option(name) for name, value in problem.settings.items() if value is None]
    leave_out = [
        option(name) for name, value in problem.settings.items() if value is False and name not in SWITCHED_OFF
    ]
    attempt = [
        " ".join(_words(name, value))
        for name, value in problem.settings.items()
        if value is not None and (value is not False or name in SWITCHED_OFF)
    ]
    parts = [("try", attempt), ("change", change), ("leave out", leave_out)]
    sentence = ", or ".join(f"{verb} {' or '.join(options)}" for verb, options in parts if options)
    return f"{sentence[0].upper()}{sentence[1:]}." if sentence else ""


def option(setting: str) -> str:
    """Return how the option for a setting is spelled: "--batch-size" for "batch_size"."""
    return SPELLED.get(setting, f"--{setting.replace('_', '-')}")


def _words(setting: str, value: object) -> list[str]:
    if value is False:
        return [SWITCHED_OFF[setting]]
    return [option(setting)] if value is True else [option(setting), str(value)]
