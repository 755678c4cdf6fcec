"""The parts of the reference that are read from the code: the public API, commands, configuration, presets."""

import ast
import json
import re
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import griffe
from rich.text import Text

from scripts.site.cache import cached
from scripts.site.docstrings import PAGE, field_comment
from scripts.site.links import module_pages
from scripts.site.paths import DOCS, ROOT, SiteError

DEFINITIONS = (ast.FunctionDef, ast.ClassDef)

# ---- the public API -------------------------------------------------------------------------------------------------


def api() -> str:
    """Return a table of the names that `import dino` gives, each with a link and the first line of its docstring."""
    dino = _package("dino")
    pages = module_pages()
    rows = ["| name | what it is |", "|---|---|"]
    for name in sorted(dino.exports or (), key=lambda name: (str(name).lower(), str(name))):
        exported = dino[str(name)]
        target = exported.final_target if isinstance(exported, griffe.Alias) else exported
        page = pages.get(target.module.path)
        place = target if target.docstring else target.module
        link = f"[`dino.{name}`]({Path(page).name}#{place.path})" if page else f"`dino.{name}`"
        what = "The version of the package." if name == "__version__" else _first_line(target)
        rows.append(f"| {link} | {what} |")
    return "\n".join(rows)


def _package(name: str) -> griffe.Module:
    package = griffe.load(name, search_paths=[ROOT])
    assert isinstance(package, griffe.Module)
    return package


def _first_line(target: griffe.Object) -> str:
    """Return the first line of a docstring, or for a constant the first line of its module's."""
    docstring = target.docstring or target.module.docstring
    return PAGE.sub(r"[\g<0>](../\1.md)", docstring.value.splitlines()[0]) if docstring else ""


# ---- configuration --------------------------------------------------------------------------------------------------

READ_PRESETS = """
import json, torch
from dataclasses import asdict
from dino.trainer.presets import PRESETS
def n_weights(config):
    with torch.device("meta"):
        return sum(weight.numel() for weight in config.new_network().parameters())
print(json.dumps({name: asdict(config) | {"weights": n_weights(config)} for name, config in PRESETS.items()}))
"""


def presets() -> str:
    """Return a table of the presets, each in a column."""
    found = _presets()
    rows = [f"| setting | {' | '.join(f'`{name}`' for name in found)} |", "|---" * (len(found) + 1) + "|"]
    first = next(iter(found.values()))
    for name in first:
        values = [_value(preset[name]) for preset in found.values()]
        shown = f"`{name}`" if name != "weights" else "weights of the network"
        rows.append(f"| {shown} | {' | '.join(values)} |")
    return "\n".join(rows)


def _presets() -> dict[str, dict[str, Any]]:
    def compute() -> tuple[Any, list[Path]]:
        done = subprocess.run(
            [sys.executable, "-c", READ_PRESETS], cwd=ROOT, capture_output=True, encoding="utf-8", check=True
        )
        trainer = ROOT / "dino" / "trainer"
        return json.loads(done.stdout), [trainer / "presets.py", trainer / "config.py", ROOT / "dino" / "denoiser.py"]

    found: dict[str, dict[str, Any]] = cached("presets", READ_PRESETS, compute)
    return found


def _value(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int) and value >= 1000:
        return f"{value:,}"
    if isinstance(value, list):
        return f"({', '.join(map(str, value))})"
    return str(value)


def configuration() -> str:
    """Return a table of the fields of `Config`: the comment beside each, and its default."""
    rows = ["| field | what it is |", "|---|---|"]
    for name, field in _package("dino.trainer.config")["Config"].attributes.items():
        if comment := field_comment(field):
            comment = comment.replace("`load_images`", "[`load_images`](data.md#dino.data.loading.load_images)")
            comment = comment.replace("2 ** (len(widths) - 1)", "`2 ** (len(widths) - 1)`")
            rows.append(f"| `{name}` | {comment}. By default `{field.value}` |")
    return "\n".join(rows)


# ---- measurements ---------------------------------------------------------------------------------------------------

MEASUREMENTS = {  # for each page of docs/benchmarks: an introduction, and a description of its plot
    "bench-quick": (
        "Training with the preset `quick`: a plain loop, and then one more of the trainer's choices on each line. "
        "[benchmark](../reference/benchmark.md) explains the columns.",
        "Bars that grow from line to line, from the plain loop to three times its speed",
    ),
    "bench-full": (
        "The same as [the page before](bench-quick.md), with the preset `full`: a larger network, and larger images.",
        "Bars that stay alike for five lines and then grow, to more than four times the plain loop's speed",
    ),
    "bench-quick-epyc": (
        "The same as [the first page](bench-quick.md), on another processor and another day: two cores of an AMD EPYC.",
        "Bars that grow from line to line, from the plain loop to nearly three times its speed",
    ),
    "bench-full-epyc": (
        "The same as [the second page](bench-full.md), on two cores of an AMD EPYC. The last three lines come close to "
        "all the arithmetic that this processor can do in bfloat16.",
        "Bars that stay alike for five lines and then grow, to nearly three times the plain loop's speed",
    ),
    "sampling": (
        "One model, sampling with more steps and with fewer. `pretrained` was a network that draws emoji then. [How "
        "many steps](../guides/sampling.md) has the conclusions.",
        "Three plots of these columns against the number of steps",
    ),
    "levels": (
        "One run of the preset `quick`, and its loss at each noise level as training goes on. [Level by "
        "level](../guides/reading-a-run.md#level-by-level) has the conclusions.",
        "A pair of curves for each of five moments: the loss against the noise level",
    ),
    "asking-quick": (
        "How often a run of the preset `quick` draws what it is asked for, as a small classifier sees it. [Ask for a "
        "picture](../guides/steering.md#guidance) has the conclusions.",
        "Two plots: how often each attribute is drawn as asked, and the distance to real images, against the guidance",
    ),
    "start-from": (
        "Small sets of pictures, learned from scratch and from the pretrained model in equal time. [Your own "
        "pictures](../guides/own-pictures.md#few-pictures-start-from-a-trained-model) has the conclusions.",
        "A plot for each set: the distance to real pictures against the seconds of training",
    ),
    "large-set": (
        "200,000 images: how long decoding takes and how much memory, and training from memory against training from "
        "the disk. [Your own pictures](../guides/own-pictures.md#many-pictures-what-a-set-needs) explains it.",
        "Images per second in each round, from memory and from the disk",
    ),
    "web-engine": (
        "How long the network of [your model in a page](../guides/page.md) takes for a prediction in a browser, "
        "against onnxruntime-web and against PyTorch.",
        "Bars for each program and two sizes: the milliseconds that a prediction takes",
    ),
    "order": (
        "How fast the sampler's error falls with more steps, where the exact result is known. [How many "
        "steps](../guides/sampling.md) has the conclusions.",
        "Two plots for each step size: the errors against the number of steps, and the contrast of faint details",
    ),
}


def measurement(name: str, page: str) -> str:
    """Return a report's page with its title in the index, an introduction, its plot, and a link to its numbers."""
    introduction, alt = MEASUREMENTS[name]
    index = (DOCS / "benchmarks" / "index.md").read_text(encoding="utf-8")
    title = re.search(rf"\[(.+?)\]\({name}\.md\)", index)
    heading = f"# {title[1]}\n\n" if title else ""
    return f"{heading}{introduction}\n\n{page}\n\n![{alt}]({name}.png)\n\nAll numbers: [{name}.json]({name}.json).\n"


def measured(name: str) -> str:
    """Return the table of a measurement, for a guide that discusses it."""
    page = (ROOT / "docs" / "benchmarks" / f"{name}.md").read_text(encoding="utf-8")
    rows = [line for line in page.splitlines() if line.startswith("|")]
    if not rows:
        raise SiteError(f"docs/benchmarks/{name}.md has no table")
    return "\n".join(rows)


# ---- the command line -----------------------------------------------------------------------------------------------


def command_line() -> str:
    """Return every command, from its own help."""
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
    rows.append(("`--help`, `-h`", "Show this help."))
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
    """Return a help text without rich's markup such as [bold], fit for a cell of a table."""
    return " ".join(Text.from_markup(marked_up).plain.split()).replace("|", "\\|").replace("<", "&lt;")


def _prose(text: str) -> str:
    return "\n\n".join(_plain(paragraph) for paragraph in text.split("\n\n"))


def _epilog(text: str) -> str:
    """Return the examples as a block of code, each below a comment, and then the prose around them."""
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
    """Return the code of a function, class or method of dino, such as "trainer.run.train", without its docstring.

    Raises:
        KeyError: if there is no such name.
    """
    path, node = _definition(name)
    first = min([node.lineno, *(decorator.lineno for decorator in node.decorator_list)])
    lines = path.read_text(encoding="utf-8").splitlines()
    kept = lines[first - 1 : node.end_lineno]
    if ast.get_docstring(node):
        docstring = node.body[0]
        assert docstring.end_lineno is not None
        kept = lines[first - 1 : docstring.lineno - 1] + lines[docstring.end_lineno : node.end_lineno]
    body = textwrap.dedent(re.sub(r"  # (?:type: ignore|noqa)\b.*", "", "\n".join(kept)))
    return _block([path], formatted(body, 88))


def short_code(*names: str) -> str:
    """Return the code of functions of dino without docstrings, comments and annotations, for a page with little space.

    Raises:
        KeyError: if there is no such name.
    """
    found = [_definition(name) for name in names]
    bodies = [ast.unparse(_WithoutAnnotations().visit(node)) for _, node in found]
    return _block([path for path, _ in found], re.sub(r"\n{3,}", "\n\n", formatted("\n\n\n".join(bodies), 66)))


class _WithoutAnnotations(ast.NodeTransformer):
    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.FunctionDef:
        node.returns = None
        if ast.get_docstring(node):
            del node.body[0]
        self.generic_visit(node)
        return node

    def visit_arg(self, node: ast.arg) -> ast.arg:
        node.annotation = None
        return node


def formatted(source: str, line_length: int) -> str:
    """Return code in lines of at most so many characters, formatted like all code here."""
    command = [sys.executable, "-m", "ruff", "format", "--quiet", "--line-length", str(line_length), "-"]
    done = subprocess.run(command, input=source, capture_output=True, encoding="utf-8", check=True)
    return done.stdout.strip()


def _block(paths: list[Path], source: str) -> str:
    files = ", ".join(dict.fromkeys(path.relative_to(ROOT).as_posix() for path in paths))
    return f'```{{ .python title="{files}" }}\n{source}\n```'


def _definition(name: str) -> tuple[Path, ast.FunctionDef | ast.ClassDef]:
    """Return the file of a definition, and the definition."""
    path, names = _module_of(name)
    node: ast.AST = ast.parse(path.read_text(encoding="utf-8"))
    for each in names:
        inside = {child.name: child for child in ast.iter_child_nodes(node) if isinstance(child, DEFINITIONS)}
        node = inside[each]
    assert isinstance(node, DEFINITIONS)
    return path, node


def _module_of(name: str) -> tuple[Path, list[str]]:
    """Return the file of the module in a name, and the rest of the name."""
    parts = name.split(".")
    for n in range(1, len(parts)):
        path = (ROOT / "dino").joinpath(*parts[:n]).with_suffix(".py")
        if path.is_file():
            return path, parts[n:]
    raise KeyError(name)
