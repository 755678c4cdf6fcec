"""Reports: what a command measured, told as a table and a few facts, and written as JSON, Markdown and a plot."""

import contextlib
import json
import platform
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from ..common.atomic_file import replacing
from ..common.errors import DinoError
from ..common.plots import save_figure
from ..common.version import VERSION

if TYPE_CHECKING:
    from matplotlib.figure import Figure


Report = dict[str, Any]  # what was measured, as it is written to the JSON file


def check_name(path: Path) -> None:
    """Refuse a name that would leave no names for the files beside it.

    Raises:
        DinoError: it doesn't end in .json.
    """
    if path.suffix != ".json":
        raise DinoError(f"the file for --json should end in .json, and is {path}")


def circumstances(device: torch.device) -> Report:
    """Where and when something is measured."""
    return {
        "device": str(device),
        "device_name": torch.cuda.get_device_name(device) if device.type == "cuda" else cpu_name(),
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
        "python": platform.python_version(),
        "dino": VERSION,
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
    }


def cpu_name() -> str:
    """The processor as Linux calls it, or what Python knows of it."""
    with contextlib.suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def table(rows: Sequence[Sequence[str]]) -> str:
    """Rows of cells, the first of them the headings, to be read in a terminal or as Markdown."""
    name, *widths = (max(map(len, column)) for column in zip(*rows, strict=True))
    ruled = [rows[0], ("-" * name, *("-" * (width - 1) + ":" for width in widths)), *rows[1:]]
    lines = [[row[0].ljust(name), *map(str.rjust, row[1:], widths)] for row in ruled]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def write(report: Report, path: Path, table: str, facts: dict[str, str], figure: "Figure") -> list[Path]:
    """Write the numbers as JSON; beside it, under the same name, table and facts as Markdown, and the plot.

    Args:
        report: has the "command" that made it and its "date", as from `circumstances`.
        path: ends in .json.

    Returns:
        The paths of the three files.
    """
    page = [f"`{report['command']}`, on {report['date'][:10]}:", "", table, ""]
    page += [f"- {name}: {value}" for name, value in facts.items()]
    texts = {path: json.dumps(report, indent=2), path.with_suffix(".md"): "\n".join(page)}
    for target, text in texts.items():
        with replacing(target) as temporary:
            temporary.write_text(text + "\n")
    return [*texts, save_figure(figure, path.with_suffix(".png"))]
