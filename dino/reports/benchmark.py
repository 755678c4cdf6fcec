"""How fast training is, and what makes it so: a plain loop beside the trainer, one choice added at a time.

    dino bench

The first line is a loop as the original notebook writes it. Each line after it keeps the choices of those before and
adds one; the last is the trainer itself, with all that `dino train` does between two grids of samples. Each runs in a
process of its own, for some choices hold for a whole process, and they take turns on the same pictures, round after
round, so that a machine that slows down slows them all. Getting batches counts, too.

Two shares say how near a line comes to what the device can do, against rates that are measured here: its arithmetic
against a large matrix product in the same number format, its traffic with memory against a large copy. That traffic is
what a forward and a backward pass would move if each operation read its inputs from memory and wrote its outputs there.
Where layers are fused, or a cache keeps what comes next, less is moved, and the share can pass 100%.
"""

import contextlib
import json
import multiprocessing
import subprocess
import sys
import time
from dataclasses import asdict, dataclass, field
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

import torch
from tqdm.auto import tqdm

from ..common.errors import DinoError
from ..data.loading import load_images
from ..trainer.config import Config
from .report import Report, circumstances, table
from .report import write as write_report

if TYPE_CHECKING:
    from matplotlib.figure import Figure
from .hardware import copy_rate, matmul_rate
from .training_loops import PLAIN, TRAINER, Choices, ladder, work


@dataclass
class Line:
    """A line of the table: its process, and what was measured of it."""

    choices: Choices
    process: BaseProcess
    ask: Connection
    cost: Report = field(default_factory=dict)
    rates: list[float] = field(default_factory=list)  # images a second, round by round
    memory: int | None = None  # bytes

    @classmethod
    def begun(cls, choices: Choices, config: Config, device: torch.device) -> "Line":
        spawning = multiprocessing.get_context("spawn")
        here, there = spawning.Pipe()
        process = spawning.Process(target=work, args=(there, choices, config, device))
        process.start()
        there.close()
        return cls(choices, process, here)

    def end(self) -> None:
        self.ask.close()  # the process sees it when its turn is over
        self.process.join()

    def asked(self, request: float | None) -> Any:
        """What the process answers."""
        with contextlib.suppress(BrokenPipeError):  # then there is nothing to hear, either
            self.ask.send(request)
        return self.hear()

    def hear(self) -> Any:
        try:
            answer = self.ask.recv()
        except EOFError:
            raise DinoError(f"the process of {self.choices.name!r} died, perhaps for want of memory") from None
        if isinstance(answer, Exception):
            raise answer
        return answer

    def take_turn(self, seconds: float, *, counts: bool) -> None:
        """Train for a while, `LEAST_STEPS` at least."""
        rate, self.memory = self.asked(seconds)
        self.rates += [rate] * counts

    def measured(self, first: "Line", report: Report) -> Report:
        """All numbers of this line."""
        rate, precision = median(self.rates), name_of(self.choices.precision)
        return self.cost | {
            "name": self.choices.name,
            "batch_size": self.choices.batch_size,
            "precision": precision,
            "images_per_second": rate,
            "rounds": self.rates,
            "times_the_first": rate / median(first.rates),
            "memory": self.memory,
            "share_of_arithmetic": rate * self.cost["flop_per_image"] / report["flop_per_second"][precision],
            "share_of_bandwidth": rate * self.cost["bytes_per_image"] / report["bytes_per_second"],
        }


def measure(config: Config, device: torch.device, *, seconds: float, rounds: int) -> Report:
    """Measure all that `dino bench` tells, behind a progress bar. After Ctrl-C, what there is by then.

    Args:
        config: which network and pictures; the batch size that the later lines have.
        seconds: how long each loop runs in each round, and `LEAST_STEPS` at least.
        rounds: how many turns each loop has. A round that doesn't count comes first, to warm up.

    Returns:
        The report, of which docs/reference/files.md tells (its "preset" and "command" are the caller's to add).

    Raises:
        KeyboardInterrupt: not every loop has had a turn that counts.
        DinoError: a loop could not run; out of memory, torch's own error.
    """
    load_images(config.data, config.size, channels=config.channels, split=config.split)  # into the cache
    rungs, report, lines = ladder(config, device), about(config, device), []
    with (
        contextlib.ExitStack() as at_the_end,
        tqdm(total=3 + (1 + rounds) * len(rungs), unit=" turns", leave=False, disable=None) as bar,
    ):
        bar.set_description("the device")
        formats = dict.fromkeys(rung.precision for rung in rungs)
        report["flop_per_second"] = {name_of(precision): matmul_rate(device, precision) for precision in formats}
        report["bytes_per_second"] = copy_rate(device)
        bar.update()
        bar.set_description("the loops' processes")
        for rung in rungs:
            lines.append(Line.begun(rung, config, device))
            at_the_end.callback(lines[-1].end)
        for line in lines:
            line.cost = line.hear()
        try:
            for number in range(1 + rounds):
                for line in lines:
                    bar.set_description(line.choices.name)
                    line.take_turn(seconds, counts=number > 0)
                    bar.update()
            bar.set_description("sampling")
            report["sampling"] = lines[-1].asked(None)
            bar.update()
            bar.set_description("starting up")
            report["start_up"] = start_up(config, device)
        except KeyboardInterrupt:
            if not all(line.rates for line in lines):
                raise
            report["interrupted"] = True
    report["lines"] = [line.measured(lines[0], report) for line in lines]
    return report


_START_UP = """
import json, sys, time
times = [float(sys.argv[3]), time.time()]
import torch; times.append(time.time())
from dino.config import Config
from dino.trainer import Trainer; times.append(time.time())
trainer = Trainer(Config.from_dict(json.loads(sys.argv[1])), device=sys.argv[2]); times.append(time.time())
next(trainer.steps()).item(); times.append(time.time())
print(json.dumps([after - before for before, after in zip(times, times[1:])]))
"""


def start_up(config: Config, device: torch.device) -> dict[str, float]:
    """The seconds from the start of a process to the end of its first step, part by part."""
    arguments = [json.dumps(asdict(config)), str(device), str(time.time())]
    done = subprocess.run([sys.executable, "-c", _START_UP, *arguments], stdout=subprocess.PIPE, check=True)
    parts = ("Python", "torch", "dino", "pictures and network", "first step")
    return dict(zip(parts, json.loads(done.stdout), strict=True))


def about(config: Config, device: torch.device) -> Report:
    """What is measured, and where."""
    return circumstances(device) | {"config": asdict(config), "interrupted": False}


def name_of(precision: torch.dtype) -> str:
    """As a configuration has it."""
    return str(precision).removeprefix("torch.")


COLUMNS = ("loop", "images/s", "min to max", "ratio", "memory", "of arithmetic", "of bandwidth")


def rows(report: Report) -> list[tuple[str, ...]]:
    """The table: for each line what goes in COLUMNS."""
    digits = 0 if report["lines"][0]["images_per_second"] > 100 else 1
    return [
        (
            line["name"] if line["name"] in (PLAIN, TRAINER) else f"+ {line['name']}",
            f"{line['images_per_second']:,.{digits}f}",
            f"{min(line['rounds']):,.{digits}f} to {max(line['rounds']):,.{digits}f}",
            f"{line['times_the_first']:.2f}",
            f"{line['memory'] / 1e6:,.0f} MB" if line["memory"] else "-",
            f"{line['share_of_arithmetic']:.0%}",
            f"{line['share_of_bandwidth']:.0%}",
        )
        for line in report["lines"]
    ]


def facts(report: Report) -> dict[str, str]:
    """What is told below the table."""
    arithmetic = [f"{rate / 1e12:.3g} TFLOP/s in {name}" for name, rate in report["flop_per_second"].items()]
    last, size = report["lines"][-1], report["config"]["size"]
    told = {
        "device": f"{report['device']}, {report['device_name']}, {report['threads']} threads, torch {report['torch']}",
        "its best": f"{', '.join(arithmetic)}; copies {report['bytes_per_second'] / 1e9:,.1f} GB/s, read and written",
        "an image": f"{size} x {size}, forward and backward: {last['flop_per_image'] / 1e9:.2f} GFLOP, and in "
        f"{last['name']} {last['bytes_per_image'] / 1e6:,.0f} MB read and written, if nothing were fused or cached",
        "memory": "the most that the loop's process had in use, beyond what it took to begin, without its workers",
    }
    if drawn := report.get("sampling"):
        told["sampling"] = (
            f"{drawn['images_per_second']:.3g} images/s at {drawn['steps']} steps, {drawn['at_once']} at once"
        )
    if parts := report.get("start_up"):
        told["start-up"] = f"{sum(parts.values()):.1f} s until the first step is done: " + ", ".join(
            f"{name} {seconds:.1f}" for name, seconds in parts.items()
        )
    return told


def markdown(report: Report) -> str:
    """The table, to be read in a terminal or as Markdown."""
    return table([COLUMNS, *rows(report)])


def plot(report: Report) -> "Figure":
    """The speeds as bars, each with its slowest and its fastest round."""
    from matplotlib.figure import Figure

    lines = report["lines"]
    speeds = [line["images_per_second"] for line in lines]
    below = [line["images_per_second"] - min(line["rounds"]) for line in lines]
    above = [max(line["rounds"]) - line["images_per_second"] for line in lines]
    figure = Figure(figsize=(8, 1 + 0.4 * len(lines)), layout="constrained")
    axes = figure.subplots()
    bars = axes.barh([row[0] for row in rows(report)], speeds, xerr=[below, above], ecolor="0.3", capsize=2)
    axes.bar_label(bars, [f"{line['times_the_first']:.2f}" for line in lines], padding=8)
    axes.invert_yaxis()
    axes.margins(x=0.12)
    title = f"{report['preset']}, {report['device_name']}"
    axes.set(xlabel="images a second, and how many times the first", title=title)
    return figure


def write(report: Report, path: Path) -> list[Path]:
    """Write the numbers as JSON; beside it, under the same name, the table as Markdown and a plot."""
    return write_report(report, path, markdown(report), facts(report), plot(report))
