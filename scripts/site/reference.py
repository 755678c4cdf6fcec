"""The parts of the reference that are read off the code: commands, configuration, presets."""

import ast
import json
import re
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

from rich.text import Text

from scripts.site.places import ROOT, remembered

NAMED = (ast.FunctionDef, ast.ClassDef)

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
    if isinstance(value, int) and value >= 1000:
        return f"{value:,}"
    if isinstance(value, list):
        return f"({', '.join(map(str, value))})"
    return str(value)


def configuration() -> str:
    """Each field of `dino.config.Config`: the comment beside it, and its default."""
    source = (ROOT / "dino" / "config.py").read_text(encoding="utf-8")
    body = source.partition("class Config:")[2].partition("    def ")[0]
    rows = ["| field | what it is |", "|---|---|"]
    for field in re.finditer(r"^    (\w+): .+? = (.+?)  # (.*)$", body, re.MULTILINE):
        name, default, comment = field.groups()
        comment = comment.replace("`load_images`", "[`load_images`](images.md#dino.images.load_images)")
        comment = comment.replace("2 ** (len(widths) - 1)", "`2 ** (len(widths) - 1)`")
        rows.append(f"| `{name}` | {comment}. By default `{default}` |")
    return "\n".join(rows)


# ---- measurements ---------------------------------------------------------------------------------------------------

MEASURED = {  # for each page of docs/benchmarks: what it is about, and what is to be seen in its plot
    "bench-quick": (
        "Training with the preset `quick`: a plain loop, and then one more of the trainer's choices on each line. What "
        "the columns mean, [bench](../reference/bench.md) says.",
        "Bars that grow from line to line, from the plain loop to three times its speed",
    ),
    "bench-full": (
        "As [the one before](bench-quick.md), with the preset `full`: a larger network, and larger pictures.",
        "Bars that stay alike for five lines and then grow, to more than four times the plain loop's speed",
    ),
    "bench-quick-epyc": (
        "As [the first](bench-quick.md), on another processor, and another day: two cores of an AMD EPYC.",
        "Bars that grow from line to line, from the plain loop to nearly three times its speed",
    ),
    "bench-full-epyc": (
        "As [the second](bench-full.md), on two cores of an AMD EPYC. The last three lines come close to all the "
        "arithmetic that this processor can do in bfloat16.",
        "Bars that stay alike for five lines and then grow, to nearly three times the plain loop's speed",
    ),
    "sampling": (
        "One model, drawing with more steps and with fewer. What follows: [how many steps](../guides/sampling.md).",
        "Three plots of these columns against the number of steps",
    ),
    "levels": (
        "One run of the preset `quick`, and its loss taken apart by noise level as it goes on. What follows: [level by "
        "level](../guides/reading-a-run.md#level-by-level).",
        "A pair of curves for each of five moments: the loss against the noise level",
    ),
    "order": (
        "How fast the sampler's error falls with more steps, where the answer is known. What follows: [how many "
        "steps](../guides/sampling.md).",
        "Two plots for each step size: the errors against the number of steps, and the contrast of faint details",
    ),
}


def measurement(name: str, page: str) -> str:
    """A report's page of Markdown, with a word on what it is, and the plot and the numbers that lie beside it."""
    about, alt = MEASURED[name]
    plot = f'<div class="frame wide" markdown>\n\n![{alt}]({name}.png)\n\n</div>'
    return f"{about}\n\n{page}\n\n{plot}\n\nAll numbers: [{name}.json]({name}.json).\n"


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
    rows = [(f"`{_usage(argument)}`", _plain(argument.help or "")) for argument in arguments]
    rows += [(_names(option), _plain(option.help or "") + _default(option)) for option in options]
    rows.append(("`--help`, `-h`", "Show this."))
    parts.append(
        "\n".join(f"| {names} | {says} |" for names, says in [("option", "what it does"), ("---", "---"), *rows])
    )
    if command.epilog:
        parts.append(_epilog(command.epilog))
    return "\n\n".join(parts)


def _usage(argument: Any) -> str:
    shown = argument.metavar or argument.name.upper()
    return f"{shown}" if argument.required else f"[{shown}]"


def _names(option: Any) -> str:
    value = f" {option.metavar}" if option.metavar else ""
    return ", ".join(f"`{name}{value}`" for name in (*option.opts, *option.secondary_opts))


def _default(option: Any) -> str:
    default = option.default
    if default is None or default is False or callable(default) or "Sentinel" in type(default).__name__:
        return ""
    return f" By default `{default}`."


def _plain(marked_up: str) -> str:
    """A help text without rich's [bold] and the like, fit for a cell of a table."""
    return " ".join(Text.from_markup(marked_up).plain.split()).replace("|", "\\|").replace("<", "&lt;")


def _prose(text: str) -> str:
    return "\n\n".join(_plain(paragraph) for paragraph in text.split("\n\n"))


def _epilog(text: str) -> str:
    """Examples as a block of code, each below what it does, and the prose around them."""
    prose, examples = [], []
    for line in (Text.from_markup(line).plain.rstrip() for line in text.strip().splitlines()):
        if re.match(r"(dino|torchrun) ", line):
            command, _, comment = line.partition("  ")
            examples.append(f"# {comment.strip()}\n{command}" if comment else command)
        elif line and line != "Examples":
            prose.append(line)
    block = "\n".join(examples)
    return "\n\n".join([f"```bash\n{block}\n```"] * bool(examples) + [_plain(line) for line in prose])


# ---- code -----------------------------------------------------------------------------------------------------------


def code(name: str) -> str:
    """The code of a function or a method of dino, such as "trainer.Trainer.steps", without its docstring.

    Raises:
        KeyError: there is no such name.
    """
    module, *names = name.split(".")
    path = ROOT / "dino" / f"{module}.py"
    source = path.read_text(encoding="utf-8")
    place: ast.AST = ast.parse(source)
    for each in names:
        inside = {node.name: node for node in ast.iter_child_nodes(place) if isinstance(node, NAMED)}
        place = inside[each]
    assert isinstance(place, NAMED)
    first = min([place.lineno, *(decorator.lineno for decorator in place.decorator_list)])
    lines = source.splitlines()
    kept = lines[first - 1 : place.end_lineno]
    if ast.get_docstring(place):
        said = place.body[0]
        assert said.end_lineno is not None
        kept = lines[first - 1 : said.lineno - 1] + lines[said.end_lineno : place.end_lineno]
    body = textwrap.dedent(re.sub(r"  # (?:type: ignore|noqa)\b.*", "", "\n".join(kept)))
    narrow = [sys.executable, "-m", "ruff", "format", "--quiet", "--line-length", "88", "-"]  # fits a page
    laid_out = subprocess.run(narrow, input=body, capture_output=True, text=True, check=True).stdout.strip()
    return f'```{{ .python title="dino/{path.name}" }}\n{laid_out}\n```'
