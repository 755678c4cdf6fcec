"""The parts of the reference that are read off the code: commands, configuration, presets."""

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

from rich.text import Text

from .places import ROOT, remembered

ASK_PRESETS = """
import json, torch
from dataclasses import asdict
from dino.config import PRESETS
from dino.denoiser import UNet
def weights(config):
    with torch.device("meta"):
        return sum(p.numel() for p in UNet(config.channels, config.widths, config.depths).parameters())
print(json.dumps({name: asdict(config) | {"weights": weights(config)} for name, config in PRESETS.items()}))
"""


def presets() -> str:
    """The presets, a column each."""
    found = _presets()
    rows = [f"| setting | {' | '.join(f'`{name}`' for name in found)} |", "|---" * (len(found) + 1) + "|"]
    first = next(iter(found.values()))
    for name in first:
        values = [_value(preset[name]) for preset in found.values()]
        shown = f"`{name}`" if name != "weights" else "weights of the network"
        rows.append(f"| {shown} | {' | '.join(values)} |")
    return "\n".join(rows)


def _presets() -> dict[str, dict[str, Any]]:
    def ask() -> tuple[Any, list[Path]]:
        done = subprocess.run([sys.executable, "-c", ASK_PRESETS], cwd=ROOT, capture_output=True, text=True, check=True)
        return json.loads(done.stdout), [ROOT / "dino" / "config.py", ROOT / "dino" / "denoiser.py"]

    answer: dict[str, dict[str, Any]] = remembered("presets", ASK_PRESETS, ask)
    return answer


def _value(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int) and value >= 10_000:
        return f"{value:,}"
    if isinstance(value, list):
        return f"({', '.join(map(str, value))})"
    return str(value)


def configuration() -> str:
    """Each field of `dino.config.Config`: its default and the comment beside it."""
    source = (ROOT / "dino" / "config.py").read_text(encoding="utf-8")
    body = source.partition("class Config:")[2].partition("    def ")[0]
    rows = ["| field | kind | default | what it says |", "|---|---|---|---|"]
    for field in re.finditer(r"^    (\w+): (.+?) = (.+?)(?:  # (.*))?$", body, re.MULTILINE):
        name, kind, default, comment = field.groups()
        comment = re.sub(r"`load_images`", "[`load_images`](images.md#dino.images.load_images)", comment or "")
        rows.append(f"| `{name}` | `{kind}` | `{default}` | {comment or MEANT.get(name, '')} |")
    return "\n".join(rows)


MEANT = {  # fields whose names say it to those who know the code
    "widths": "channels of the network at each resolution, the finest first",
    "depths": "Blocks at each resolution",
    "batch_size": "images in one step",
    "learning_rate": "how far one step moves the weights, at its full height",
    "seed": "decides every random number of the run",
}


# ---- the command line -----------------------------------------------------------------------------------------------


def command_line() -> str:
    """Every command, from its own help."""
    import typer

    from dino.cli import app

    group: Any = typer.main.get_command(app)
    parts = []
    for name, command in group.commands.items():
        parts.append(_command(name, command))
    return "\n\n".join(parts)


def _command(name: str, command: Any) -> str:
    arguments = [parameter for parameter in command.params if parameter.param_type_name == "argument"]
    options = [parameter for parameter in command.params if parameter.param_type_name == "option"]
    usage = " ".join(["dino", name, *(_usage(argument) for argument in arguments), "[options]"])
    parts = [f"## dino {name} {{ #{name} }}", _prose(command.help or ""), f"```text\n{usage}\n```"]
    rows = [(f"`{_usage(argument)}`", _plain(argument.help or ""), "") for argument in arguments]
    rows += [(_names(option), _plain(option.help or ""), _default(option)) for option in options]
    rows.append(("`--help`, `-h`", "Show this.", ""))
    parts.append(
        "| | | default |\n|---|---|---|\n"
        + "\n".join(f"| {names} | {says} | {default} |" for names, says, default in rows)
    )
    if command.epilog:
        parts.append(_epilog(command.epilog))
    return "\n\n".join(parts)


def _usage(argument: Any) -> str:
    shown = argument.metavar or argument.name.upper()
    return f"{shown}" if argument.required else f"[{shown}]"


def _names(option: Any) -> str:
    return ", ".join(f"`{name}`" for name in (*option.opts, *option.secondary_opts))


def _default(option: Any) -> str:
    default = option.default
    if default is None or default is False or callable(default) or "Sentinel" in type(default).__name__:
        return ""
    return f"`{default}`"


def _plain(marked_up: str) -> str:
    """A help text without rich's [bold] and the like, fit for a cell of a table."""
    return " ".join(Text.from_markup(marked_up).plain.split()).replace("|", "\\|").replace("<", "&lt;")


def _prose(text: str) -> str:
    return "\n\n".join(_plain(paragraph) for paragraph in text.split("\n\n"))


def _epilog(text: str) -> str:
    """Examples as a block of code, and the prose around them."""
    prose, examples = [], []
    for line in (Text.from_markup(line).plain.rstrip() for line in text.strip().splitlines()):
        if re.match(r"(dino|torchrun) ", line):
            command, _, comment = line.partition("  ")
            examples.append((command, comment.strip()))
        elif line and line != "Examples":
            prose.append(line)
    wide = max((len(command) for command, _ in examples), default=0)
    block = "\n".join(f"{command:<{wide}}  # {comment}" if comment else command for command, comment in examples)
    return "\n\n".join([f"```console\n{block}\n```"] * bool(examples) + [_plain(line) for line in prose])
