"""Benchmark of training: a plain loop beside the trainer, with one of the trainer's choices added at a time.

    dino bench

The first loop trains as the original notebook does. Each further loop keeps the choices of the loop before and adds
one. The last loop is the trainer itself, with everything that `dino train` does between two sample grids. Each loop
runs in a process of its own, because some choices hold for a whole process. The loops take turns on the same images,
round after round, so that a machine that slows down slows them all. Making the batches is part of the measured time.

Two percentages compare each loop with what the device can do, as measured on the same device: its arithmetic with a
large matrix product in the same number format, and its memory traffic with a large copy. The memory traffic is what a
forward and a backward pass would move if each operation read its inputs from memory and wrote its outputs there. Fused
layers and caches move less, so the percentage can exceed 100%.
"""

import contextlib
import json
import multiprocessing
import subprocess
import sys
import time
from dataclasses import asdict, dataclass, field, replace
from multiprocessing.process import BaseProcess
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

import torch
from tqdm import tqdm

from ..common.errors import DinoError, printable
from ..data.loading import load_images
from ..trainer import trial
from ..trainer.config import Config
from ..trainer.device import prepare
from ..trainer.trial import Method
from .hardware import copy_rate, matmul_rate
from .report import Report, environment, in_words, table
from .report import write as write_report
from .training_loops import PLAIN, PLAIN_BATCH, TRAINER, Choices, dtype_name, ladder, serve

if TYPE_CHECKING:  # imported where it is used, because it costs a learner a second
    from matplotlib.figure import Figure


# ---- the processes --------------------------------------------------------------------------------------------------


@dataclass
class LoopProcess:
    """A training loop in a process of its own, and what was measured of it."""

    choices: Choices
    process: BaseProcess
    connection: Any  # multiprocessing's; its class depends on the system
    cost: Report = field(default_factory=dict)
    rates: list[float] = field(default_factory=list)  # images per second, round by round
    memory: int | None = None  # bytes

    @classmethod
    def start(cls, choices: Choices, config: Config, device: torch.device) -> "LoopProcess":
        """Start the process of a loop."""
        spawn = multiprocessing.get_context("spawn")
        ours, theirs = spawn.Pipe()
        process = spawn.Process(target=serve, args=(theirs, choices, config, device))
        process.start()
        theirs.close()
        return cls(choices, process, ours)

    def end(self) -> None:
        """End the process, after the turn it is in."""
        self.connection.close()
        self.process.join()

    def request(self, seconds: float | None) -> Any:
        """Send a request, as `serve` takes it, and return the response."""
        with contextlib.suppress(ConnectionError):  # the process is dead, which `receive` reports
            self.connection.send(seconds)
        return self.receive()

    def receive(self) -> Any:
        """Return the next response.

        Raises:
            DinoError: if the process died.
            Exception: as the process sent it.
        """
        try:
            response = self.connection.recv()
        except (EOFError, ConnectionError):
            raise DinoError(
                f"the process of {self.choices.name!r} died, perhaps because there was not enough memory"
            ) from None
        if isinstance(response, Exception):
            raise response
        return response

    def take_turn(self, seconds: float, *, counts: bool) -> None:
        """Train for a number of seconds, and at least `MIN_STEPS` steps."""
        rate, self.memory = self.request(seconds)
        self.rates += [rate] * counts

    def results(self, first: "LoopProcess", report: Report) -> Report:
        """Return all numbers of this loop, as they are in the report."""
        rate, precision = median(self.rates), dtype_name(self.choices.precision)
        return self.cost | {
            "name": self.choices.name,
            "batch_size": self.choices.batch_size,
            "precision": precision,
            "images_per_second": rate,
            "rounds": self.rates,
            "speedup": rate / median(first.rates),
            "memory": self.memory,
            "flop_utilization": rate * self.cost["flop_per_image"] / report["flop_per_second"][precision],
            "bandwidth_utilization": rate * self.cost["bytes_per_image"] / report["bytes_per_second"],
        }


# ---- measuring ------------------------------------------------------------------------------------------------------


def measure(config: Config, device: torch.device, *, seconds: float, rounds: int) -> Report:
    """Measure everything that `dino bench` reports. Shows a progress bar. Ctrl-C ends it early.

    Args:
        config: the network, the images, and the batch size of the later loops.
        device: where to train.
        seconds: how long each loop runs in each round; at least `MIN_STEPS` steps.
        rounds: how many turns each loop has. A round to warm up comes first and isn't counted.

    Returns:
        The report, without its "preset" and "command"; docs/reference/files.md lists its entries.

    Raises:
        KeyboardInterrupt: if some loop has had no turn that counts yet.
        DinoError: if there are too few images for a batch of the first loop, or the process of a loop died.
        RuntimeError: if there is not enough memory for a loop.
    """
    n_images = len(load_images(config.data, config.size, channels=config.channels, split=config.split))
    if n_images < PLAIN_BATCH:
        raise DinoError(
            f"the {PLAIN} takes batches of {PLAIN_BATCH} different images, and {printable(config.data)} has {n_images}"
        )
    report = environment(device) | {"config": asdict(config), "interrupted": False, "unknown": {}}
    report |= {"sampling": None, "start_up": None}  # until they are measured
    method, report["methods"] = _methods(config, device)
    rungs, loops = ladder(config, device, method), list[LoopProcess]()
    n_turns = (1 + rounds) * len(rungs)
    with contextlib.ExitStack() as stack, tqdm(total=3 + n_turns, unit=" turns", leave=False, disable=None) as bar:
        bar.set_description("the device")
        report |= _device_rates(rungs, device)
        bar.update()
        bar.set_description("starting the loops")
        for rung in rungs:
            loops.append(LoopProcess.start(rung, config, device))
            stack.callback(loops[-1].end)
        for loop in loops:
            loop.cost = loop.receive()
        try:
            _take_turns(loops, seconds, rounds, bar)
            bar.set_description("sampling")
            report["sampling"] = loops[-1].request(None)
            bar.update()
            bar.set_description("starting up")
            report["start_up"] = start_up(config, device)
        except KeyboardInterrupt:
            if not all(loop.rates for loop in loops):
                raise
            report["interrupted"] = True
            stopped = "Ctrl-C ended the benchmark before"
            report["unknown"] = {name: stopped for name in ("sampling", "start_up") if report[name] is None}
    report["loops"] = [loop.results(loops[0], report) for loop in loops]
    if any(loop["memory"] is None for loop in report["loops"]):
        report["unknown"]["loops.memory"] = "this system doesn't report the memory of a process"
    return report


def _methods(config: Config, device: torch.device) -> tuple[Method, list[Report]]:
    """Return the method that the trainer chooses, and the time of a step with every method. The latter on CPUs only."""
    prepare(device)
    config = replace(config, max_words=0)
    network = config.new_network()
    chosen = trial.choose(config, network, device).method
    if device.type != "cpu":
        return chosen, []
    measured = trial.measure(config, network, trial.all_methods(network), 4 * trial.SECONDS)
    best = min(measured.values())
    return chosen, [
        asdict(method) | {"seconds": seconds, "of_the_best": best / seconds, "chosen": method == chosen}
        for method, seconds in sorted(measured.items(), key=lambda pair: pair[1])
    ]


def _device_rates(rungs: list[Choices], device: torch.device) -> Report:
    precisions = dict.fromkeys(rung.precision for rung in rungs)
    return {
        "flop_per_second": {dtype_name(precision): matmul_rate(device, precision) for precision in precisions},
        "bytes_per_second": copy_rate(device),
    }


def _take_turns(loops: list[LoopProcess], seconds: float, rounds: int, bar: Any) -> None:
    for number in range(1 + rounds):
        for loop in loops:
            bar.set_description(loop.choices.name)
            loop.take_turn(seconds, counts=number > 0)
            bar.update()


_START_UP = """
import json, sys, time
times = [float(sys.argv[3]), time.time()]
import torch; times.append(time.time())
from dino.trainer.config import Config
from dino.trainer.trainer import Trainer; times.append(time.time())
trainer = Trainer(Config.from_dict(json.loads(sys.argv[1])), device=sys.argv[2]); times.append(time.time())
next(trainer.steps()).item(); times.append(time.time())
print(json.dumps([after - before for before, after in zip(times, times[1:])]))
"""


def start_up(config: Config, device: torch.device) -> dict[str, float]:
    """Return the seconds from the start of a process to the end of its first step, part by part."""
    arguments = [json.dumps(asdict(config)), str(device), str(time.time())]
    done = subprocess.run([sys.executable, "-c", _START_UP, *arguments], stdout=subprocess.PIPE, check=True)
    parts = ("Python", "torch", "dino", "images and network", "first step")
    return dict(zip(parts, json.loads(done.stdout), strict=True))


# ---- printing and writing -------------------------------------------------------------------------------------------

COLUMNS = ("loop", "images/s", "min to max", "speedup", "memory", "of peak FLOP/s", "of bandwidth")


def rows(report: Report) -> list[tuple[str, ...]]:
    """Return the rows of the table, below `COLUMNS`: one for each loop."""
    digits = 0 if report["loops"][0]["images_per_second"] > 100 else 1
    return [
        (
            loop["name"] if loop["name"] in (PLAIN, TRAINER) else f"+ {loop['name']}",
            f"{loop['images_per_second']:,.{digits}f}",
            f"{min(loop['rounds']):,.{digits}f} to {max(loop['rounds']):,.{digits}f}"
            if len(loop["rounds"]) > 1
            else "one round",
            f"{loop['speedup']:.2f}",
            f"{loop['memory'] / 1e6:,.0f} MB" if loop["memory"] is not None else "unknown",
            f"{loop['flop_utilization']:.0%}",
            f"{loop['bandwidth_utilization']:.0%}",
        )
        for loop in report["loops"]
    ]


def facts(report: Report) -> dict[str, str]:
    """Return the sentences below the table, by their labels."""
    flop_rates = [f"{rate / 1e12:.3g} TFLOP/s in {name}" for name, rate in report["flop_per_second"].items()]
    last, size = report["loops"][-1], report["config"]["size"]
    sentences = {
        "device": f"{report['device']}, {report['device_name']}, {report['threads']} threads, torch {report['torch']}",
        "peak": f"{', '.join(flop_rates)}; a copy reads and writes {report['bytes_per_second'] / 1e9:,.1f} GB/s",
        "per image": f"{size} x {size}, forward and backward: {last['flop_per_image'] / 1e9:.2f} GFLOP, and in "
        f"{last['name']} {last['bytes_per_image'] / 1e6:,.0f} MB read and written, if nothing were fused or cached",
        "memory": "the peak of the loop's process, without what it used at its start and without its workers",
    }
    if sampling := report.get("sampling"):
        sentences["sampling"] = (
            f"{sampling['images_per_second']:.3g} images/s at {sampling['steps']} steps, in batches of "
            f"{sampling['batch_size']}"
        )
    if parts := report.get("start_up"):
        sentences["start-up"] = f"{sum(parts.values()):.1f} s until the first step is done: " + ", ".join(
            f"{name} {seconds:.1f}" for name, seconds in parts.items()
        )
    if report["unknown"]:
        sentences["unknown"] = in_words(report["unknown"])
    return sentences


def markdown(report: Report) -> str:
    """Return the table of the loops and that of the methods, readable in a terminal and valid Markdown."""
    tables = [table([COLUMNS, *rows(report)])]
    if report["methods"]:
        best = [
            (
                row["precision"],
                row["layout"],
                row["maximum"],
                f"{row['of_the_best']:.0%}",
                "yes" if row["chosen"] else "",
            )
            for row in report["methods"]
        ]
        tables.append(table([("precision", "layout", "maximum", "speed, of the best", "chosen by auto"), *best]))
    return "\n\n".join(tables)


def plot(report: Report) -> "Figure":
    """Plot the speeds as bars, each with its slowest and its fastest round."""
    from matplotlib.figure import Figure

    loops = report["loops"]
    speeds = [loop["images_per_second"] for loop in loops]
    below = [loop["images_per_second"] - min(loop["rounds"]) for loop in loops]
    above = [max(loop["rounds"]) - loop["images_per_second"] for loop in loops]
    figure = Figure(figsize=(8, 1 + 0.4 * len(loops)), layout="constrained")
    axes = figure.subplots()
    bars = axes.barh([row[0] for row in rows(report)], speeds, xerr=[below, above], ecolor="0.3", capsize=2)
    axes.bar_label(bars, [f"{loop['speedup']:.2f}" for loop in loops], padding=8)
    axes.invert_yaxis()
    axes.margins(x=0.12)
    title = f"{report['preset']}, {report['device_name']}"
    axes.set(xlabel="images per second, and the speedup over the plain loop", title=title)
    return figure


def write(report: Report, path: Path) -> list[Path]:
    """Write the report as JSON, Markdown and a plot under one name.

    Returns:
        The paths of the three files.
    """
    return write_report(report, path, markdown(report), facts(report), plot(report))
