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
import copy
import json
import multiprocessing
import signal
import subprocess
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field, replace
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.optim.swa_utils import get_ema_multi_avg_fn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.data import DataLoader, Dataset
from torch.utils.flop_counter import FlopCounterMode
from tqdm.auto import tqdm

from . import denoiser, training
from .config import Config
from .denoiser import UNet
from .errors import DinoError
from .images import batches, load_images, seeded, to_unit
from .noise import add_noise, mix
from .reports import Report, circumstances, table
from .reports import write as write_report
from .runs import LOG_EVERY, log_is_due
from .speed import SMALL_BATCH, autocast, choose_precision, compiled, keep_freed_memory, to_fast_layout
from .trainer import Trainer

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Batch = tuple[Tensor, Tensor, Tensor]  # noisy, noise level, clean

LEAST_STEPS = 3  # in a turn, however short
DECAY = 0.998  # of the average
PLAIN, TRAINER = "plain loop", "dino's trainer"


# ---- the ways to train ----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Choices:
    """One way to train. The defaults are the plain loop's."""

    name: str = PLAIN
    batch_size: int = 16
    read_every: int = 1  # steps between two looks at the losses; each look waits for the device
    on_device: bool = False  # batches are made there, instead of picture by picture in two worker processes
    fused: bool = False  # all weights in one call, for the optimizer and for the average
    cheap_maximum: bool = False  # see `dino.denoiser._largest`
    channels_last: bool = False
    keeps_memory: bool = False  # see `dino.speed.keep_freed_memory`
    tries_convolutions: bool = False  # cuDNN measures its ways to convolve and keeps the fastest
    precision: torch.dtype = torch.float32
    compiled: bool = False
    graphs: bool = False


def ladder(config: Config, device: torch.device) -> list[Choices]:
    """The plain loop, then the trainer's choices for this device one at a time, then the trainer."""
    on_cpu, on_gpu, precision = device.type == "cpu", device.type == "cuda", choose_precision(config.precision, device)
    added: list[tuple[bool, str, dict[str, Any]]] = [
        (True, f"losses every {LOG_EVERY} steps", {"read_every": LOG_EVERY}),
        (True, "batches on the device", {"on_device": True}),
        (True, "fused optimizer, average", {"fused": True}),
        (on_cpu, "maximum by max_pool2d", {"cheap_maximum": True}),
        (device.type != "mps", "channels-last", {"channels_last": True}),
        (on_cpu, "freed memory kept", {"keeps_memory": True}),
        (on_gpu, "cuDNN's fastest convolutions", {"tries_convolutions": True}),
        (precision == torch.bfloat16, "bfloat16", {"precision": torch.bfloat16}),
        (config.batch_size != Choices.batch_size, f"batch {config.batch_size}", {"batch_size": config.batch_size}),
        (on_gpu, "torch.compile", {"compiled": True}),
        (on_gpu and config.batch_size < SMALL_BATCH, "CUDA graphs", {"graphs": True}),
        (True, TRAINER, {}),
    ]
    rungs = [Choices()]
    for applies, name, change in added:
        if applies:
            rungs.append(replace(rungs[-1], name=name, **change))
    return rungs


def steps_of(choices: Choices, config: Config, images: Tensor, device: torch.device) -> Iterator[Tensor]:
    """Train without end as the choices say, yielding the loss of each step."""
    model, precisely = network(choices, config, device), autocast(choices.precision, device)
    average = copy.deepcopy(model).requires_grad_(False)
    weights, averages = list(model.parameters()), list(average.parameters())
    optimizer = torch.optim.AdamW(weights, lr=3e-4, amsgrad=True, fused=choices.fused or None)
    fast: Callable[[Tensor, Tensor], Tensor] = model
    if choices.compiled:
        noisy, noise_level, _ = a_batch(choices, config, device)
        fast = compiled(model, (noisy, noise_level), precisely, graphs=choices.graphs)
    unread: list[Tensor] = []
    for noisy, noise_level, clean in batches_of(choices, images, device):
        optimizer.zero_grad()
        with precisely:
            denoised = fast(noisy, noise_level)
        loss = F.mse_loss(denoised, clean)
        loss.backward()
        optimizer.step()
        if choices.fused:
            get_ema_multi_avg_fn(DECAY)(averages, weights, 0)
        else:
            training.update_average(average, model, DECAY)
        unread.append(loss.detach())
        if len(unread) == choices.read_every:
            torch.stack(unread).mean().item()
            unread = []
        yield loss.detach()


def network(choices: Choices, config: Config, device: torch.device) -> UNet:
    """A new network in its layout of memory."""
    model = UNet(config.channels, config.widths, config.depths)
    return to_fast_layout(model, device) if choices.channels_last else model.to(device)


def a_batch(choices: Choices, config: Config, device: torch.device) -> Batch:
    """One batch of the right shape."""
    clean = torch.rand(choices.batch_size, config.channels, config.size, config.size, device=device)
    return *add_noise(clean), clean


def batches_of(choices: Choices, images: Tensor, device: torch.device) -> Iterator[Batch]:
    """Batches without end, with noise: made on the device, or by two worker processes as the notebook does it."""
    if choices.on_device:
        for k, clean in enumerate(batches(images.to(device), choices.batch_size)):
            yield *add_noise(clean, generator=seeded(device, "noise", k)), clean
    options: dict[str, Any] = {"shuffle": True, "drop_last": True, "num_workers": 2, "persistent_workers": True}
    with warnings.catch_warnings(action="ignore"):  # a machine of one core is told that two workers are many
        loader = DataLoader(NoisyPictures(images), choices.batch_size, pin_memory=device.type == "cuda", **options)
    while True:
        for batch in loader:
            noisy, noise_level, clean = (each.to(device, non_blocking=True) for each in batch)
            yield noisy, noise_level, clean


class NoisyPictures(Dataset[Batch]):
    """Pictures as the original notebook serves them: one at a time, flipped or not, with noise of their own."""

    def __init__(self, images_uint8: Tensor) -> None:
        self.images = images_uint8

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> Batch:
        clean = to_unit(self.images[index])
        if torch.rand(()) < 0.5:
            clean = clean.flip(-1)
        noise_level = torch.rand(1, 1, 1)
        return mix(clean, torch.rand_like(clean), noise_level), noise_level, clean


# ---- what a step costs, and what the device can do ------------------------------------------------------------------


class Traffic(TorchDispatchMode):
    """Adds up the bytes of all that operations take in and give out. A view does neither."""

    def __init__(self) -> None:
        super().__init__()
        self.total = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        answer = func(*args, **(kwargs or {}))
        if not func.is_view:
            self.total += sum(each.nbytes for each in tree_leaves((args, kwargs, answer)) if isinstance(each, Tensor))
        return answer


def cost(choices: Choices, config: Config, device: torch.device) -> Report:
    """What a forward and a backward pass cost for each image: FLOP and bytes.

    A multiplication and an addition are two FLOP. Those of the convolutions are counted, nearly all there are.
    """
    device = torch.device("cpu") if device.type == "mps" else device  # the counter doesn't know its convolutions
    model, (noisy, noise_level, clean) = network(choices, config, device), a_batch(choices, config, device)
    with FlopCounterMode(display=False) as flop, Traffic() as traffic:
        with autocast(choices.precision, device):
            denoised = model(noisy, noise_level)
        F.mse_loss(denoised, clean).backward()
    n = choices.batch_size
    return {"flop_per_image": flop.get_total_flops() / n, "bytes_per_image": traffic.total / n}


def matmul_rate(device: torch.device, precision: torch.dtype) -> float:
    """The FLOP a second of a large matrix product. On CUDA in TF32, as cuDNN convolves what is in float32."""
    n = 8192 if device.type == "cuda" else 2048
    left, right = (torch.rand(n, n, device=device).to(precision) for _ in range(2))
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("high" if device.type == "cuda" else before)
    try:
        return 2 * n**3 / fastest(lambda: torch.mm(left, right), device)
    finally:
        torch.set_float32_matmul_precision(before)


def copy_rate(device: torch.device) -> float:
    """The bytes a second that a large copy reads and writes."""
    source = torch.ones(2**30 if device.type == "cuda" else 2**28, dtype=torch.uint8, device=device)
    target = torch.zeros_like(source)
    return 2 * source.nbytes / fastest(lambda: target.copy_(source), device)


def fastest(work: Callable[[], object], device: torch.device, trials: int = 10) -> float:
    """The seconds that `work` takes when nothing disturbs it."""
    return min(timed(work, device) for _ in range(trials))


def timed(work: Callable[[], object], device: torch.device) -> float:
    """The seconds until `work` is done, also on the device."""
    wait_for(device)
    start = time.perf_counter()
    work()
    wait_for(device)
    return time.perf_counter() - start


def wait_for(device: torch.device) -> None:
    """Return when the device has done all that it was given."""
    if device.type != "cpu":
        torch.accelerator.synchronize(device)


def memory(device: torch.device, *, peak: bool) -> int | None:
    """The bytes that this process has in use, or the most it ever had. None where the system doesn't tell."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device) if peak else torch.cuda.memory_allocated(device)
    with contextlib.suppress(OSError):  # Linux tells
        name = "VmHWM:" if peak else "VmRSS:"
        lines = Path("/proc/self/status").read_text().splitlines()
        return next(1024 * int(line.split()[1]) for line in lines if line.startswith(name))
    return None


# ---- a process for each way -----------------------------------------------------------------------------------------


def work(told: Connection, choices: Choices, config: Config, device: torch.device) -> None:
    """The life of a process: it trains for as many seconds as it is told to, again and again, and says how it went."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the process that asks
    try:
        images = load_images(config.data, config.size, channels=config.channels, split=config.split)
        if not choices.cheap_maximum:
            denoiser._largest = lambda x: x.amax(dim=(2, 3), keepdim=True)  # as one would write it at first
        before = memory(device, peak=False)
        told.send(cost(choices, config, device))
        if device.type == "cuda":
            torch.cuda.reset_peak_memory_stats(device)  # that was unfused; the loop may need less
        torch.backends.cudnn.benchmark = choices.tries_convolutions
        if choices.keeps_memory:
            keep_freed_memory()
        if choices.name == TRAINER:
            trainer = Trainer(replace(config, n_images=10**12), device=device, images=images)
            steps = steps_of_trainer(trainer)
        else:
            steps = steps_of(choices, config, images, device)
        while seconds := told.recv():
            rate, peak = choices.batch_size * speed(steps, seconds, device), memory(device, peak=True)
            told.send((rate, peak - before if peak is not None and before is not None else None))
        told.send(sampling(trainer))
    except (EOFError, BrokenPipeError):  # no one asks any more
        pass
    except Exception as error:
        told.send(error)


def speed(steps: Iterator[Tensor], seconds: float, device: torch.device) -> float:
    """Take steps for a while, `LEAST_STEPS` at least, and tell how many a second that was."""
    n = 0

    def turn() -> None:
        nonlocal n
        start = time.perf_counter()
        while n < LEAST_STEPS or time.perf_counter() - start < seconds:
            next(steps)
            n += 1

    elapsed = timed(turn, device)
    return n / elapsed


def steps_of_trainer(trainer: Trainer) -> Iterator[Tensor]:
    """The steps of a trainer, with what `dino.runs.train` does between them."""
    for loss in trainer.steps():
        if log_is_due(trainer):
            trainer.read_losses()
        yield loss


def sampling(trainer: Trainer) -> Report:
    """How fast the trainer's averaged network draws."""
    n, n_steps = 64 if trainer.device.type == "cuda" else 16, 100
    trainer.sample(n, n_steps=2)
    seconds = timed(lambda: trainer.sample(n, n_steps=n_steps), trainer.device)
    return {"at_once": n, "steps": n_steps, "images_per_second": n / seconds}


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


# ---- telling --------------------------------------------------------------------------------------------------------

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
