"""Reports: measurements, printed as a table and a few facts, and written as JSON, Markdown and a plot.

Some numbers can't be known, such as how varied a single image is. Such a number is None in a report, "unknown" where it
is printed, and null in JSON. The entry "unknown" of the report has the reason, in words, under the number's name.
"""

import contextlib
import json
import math
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

if TYPE_CHECKING:  # imported where it is used, because it costs a learner a second
    from matplotlib.figure import Figure


Report = dict[str, Any]  # measurements, as they are written to the JSON file


# ---- what every report starts with ----------------------------------------------------------------------------------


def environment(device: torch.device) -> Report:
    """Return the device, the versions and the date of a measurement."""
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
    """Return the processor's name, from Linux if it reports one and otherwise from Python."""
    with contextlib.suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


# ---- numbers that can't be known ------------------------------------------------------------------------------------


def known(value: float) -> float | None:
    """Return a number, or None if it isn't finite."""
    return value if math.isfinite(value) else None


def number(value: float | None, form: str) -> str:
    """Return a number in the form of a format specification, or "unknown" if it is None or not finite."""
    return "unknown" if value is None or not math.isfinite(value) else f"{value:{form}}"


def with_nulls(report: Report) -> Report:
    """Return a report as JSON can hold it: every NaN and infinity is None, and explained under "unknown"."""
    reasons: dict[str, str] = {}
    finite = _finite(report, "", reasons)
    return finite | {"unknown": reasons | report.get("unknown", {})}


def _finite(value: Any, name: str, reasons: dict[str, str]) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        reasons[name] = f"the measurement gave {value}"
        return None
    if isinstance(value, dict):
        return {key: _finite(each, f"{name}.{key}".lstrip("."), reasons) for key, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(each, f"{name}.{place}", reasons) for place, each in enumerate(value)]
    return value


def in_words(reasons: dict[str, str]) -> str:
    """Return a sentence about numbers that can't be known.

    Args:
        reasons: by the names of the numbers. Of "sample_stats.variety" the sentence shows the last word.
    """
    names: dict[str, list[str]] = {}  # by their reason, because several numbers may share one
    for name, reason in reasons.items():
        names.setdefault(reason, []).append(name.rpartition(".")[2].replace("_", " "))
    return "; ".join(f"{', '.join(each)}, because {reason}" for reason, each in names.items())


# ---- printing and writing -------------------------------------------------------------------------------------------


def table(rows: Sequence[Sequence[str]]) -> str:
    """Lay rows of cells out as a table that is readable in a terminal and valid Markdown. The first row is the head."""
    name, *widths = (max(map(len, column)) for column in zip(*rows, strict=True))
    ruled = [rows[0], ("-" * name, *("-" * (width - 1) + ":" for width in widths)), *rows[1:]]
    lines = [[row[0].ljust(name), *map(str.rjust, row[1:], widths)] for row in ruled]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def check_name(path: Path) -> None:
    """Refuse a report's file name that leaves no names for the files beside it.

    Raises:
        DinoError: if the name doesn't end in .json.
    """
    if path.suffix != ".json":
        raise DinoError(f"a report goes into a file that ends in .json, and {path} does not", settings={"json": None})


def write(report: Report, path: Path, table: str, facts: dict[str, str], figure: "Figure") -> list[Path]:
    """Write a report as JSON and, under the same name, its table and facts as Markdown and its plot as PNG.

    A NaN or an infinity in the report becomes null, because neither is JSON.

    Args:
        report: with the "command" that made it and its "date", as from `environment`.
        path: ends in .json.
        table: in Markdown.
        facts: sentences by their labels, for below the table.
        figure: the plot.

    Returns:
        The paths of the three files.
    """
    valid = with_nulls(report)
    unexplained = {name: why for name, why in valid["unknown"].items() if name not in report.get("unknown", {})}
    page = [f"`{report['command']}`, on {report['date'][:10]}:", "", table, ""]
    page += [f"- {label}: {fact}" for label, fact in facts.items()]
    page += [f"- not finite: {in_words(unexplained)}"] * bool(unexplained)
    texts = {path: json.dumps(valid, indent=2, allow_nan=False), path.with_suffix(".md"): "\n".join(page)}
    for target, text in texts.items():
        with replacing(target) as temporary:
            temporary.write_text(text + "\n", encoding="utf-8")
    return [*texts, save_figure(figure, path.with_suffix(".png"))]
