"""How fast training is, and what makes it so: a plain loop beside the trainer, one choice added at a time.

    dino bench

The first line is a loop as the original notebook writes it. Each line after it keeps the choices of those before and
adds one; the last is the trainer itself, with all that `dino train` does between two grids of samples. They take turns
on the same pictures, round after round, so that a machine that slows down slows them all. Getting batches counts, too.

Two shares say how near a line comes to what the device can do, against rates that are measured here: its arithmetic
against a large matrix product in the same number format, its traffic with memory against a large copy. That traffic is
what a forward and a backward pass would move if each operation read its inputs from memory and wrote its outputs there.
Where layers are fused, or a cache keeps what comes next, less is moved, and the share can pass 100%.
"""

import contextlib
import copy
import ctypes
import json
import platform
import subprocess
import sys
import time
import warnings
from collections.abc import Callable, Generator, Iterator
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.optim.swa_utils import get_ema_multi_avg_fn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.data import DataLoader, Dataset
from torch.utils.flop_counter import FlopCounterMode
from tqdm.auto import tqdm

from . import __version__, training
from .config import Config
from .denoiser import Pool, UNet
from .files import replacing
from .images import batches, load_images, seeded, to_unit
from .noise import add_noise, mix
from .pictures import save_figure
from .runs import LOG_EVERY, log_is_due
from .speed import SMALL_BATCH, choose_precision, compiled, to_fast_layout
from .trainer import Trainer

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Batch = tuple[Tensor, Tensor, Tensor]  # noisy, noise level, clean
Report = dict[str, Any]  # what was measured, as `dino bench --json` writes it

LEAST_STEPS = 3  # in a turn, however short
DECAY = 0.998  # of the average
TRAINER = "dino's trainer"


# ---- the ways to train ----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Choices:
    """One way to train. The defaults are the plain loop's."""

    name: str = "plain loop"
    batch_size: int = 16
    read_every: int = 1  # steps between two looks at the losses; each look waits for the device
    on_device: bool = False  # batches are made there, instead of picture by picture in two worker processes
    fused: bool = False  # all weights in one call, for the optimizer and for the average
    cheap_maximum: bool = False  # see `dino.denoiser._largest`
    channels_last: bool = False
    tries_convolutions: bool = False  # cuDNN measures its ways to convolve and keeps the fastest
    precision: torch.dtype = torch.float32
    compiled: bool = False
    graphs: bool = False


def ladder(config: Config, device: torch.device) -> list[Choices]:
    """The plain loop, then the trainer's choices for this device one at a time, then the trainer."""
    on_gpu, precision = device.type == "cuda", choose_precision(config.precision, device)
    added: list[tuple[bool, str, dict[str, Any]]] = [
        (True, f"losses every {LOG_EVERY} steps", {"read_every": LOG_EVERY}),
        (True, "batches on the device", {"on_device": True}),
        (True, "fused optimizer, average", {"fused": True}),
        (not on_gpu, "maximum by max_pool2d", {"cheap_maximum": True}),
        (device.type != "mps", "channels-last", {"channels_last": True}),
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


class Loop:
    """The training loop that `choices` describe. What a `Trainer` has, too, has the same name."""

    def __init__(self, choices: Choices, config: Config, images: Tensor, device: torch.device) -> None:
        self.choices, self.config, self.device = choices, config, device
        self.images = images.to(device) if choices.on_device else images
        self.model = network(choices, config, device)
        self.average = copy.deepcopy(self.model).requires_grad_(False)
        fused = True if choices.fused else None
        self.optimizer = torch.optim.AdamW(self.model.parameters(), lr=3e-4, amsgrad=True, fused=fused)

    def steps(self) -> Iterator[Tensor]:
        """Train without end, yielding the loss of each step."""
        choices, fast, unread = self.choices, self._fast_network(), []
        weights, averages = list(self.model.parameters()), list(self.average.parameters())
        for noisy, noise_level, clean in self._batches():
            self.optimizer.zero_grad()
            with autocast(choices.precision, self.device):
                denoised = fast(noisy, noise_level)
            loss = F.mse_loss(denoised, clean)
            loss.backward()
            self.optimizer.step()
            if choices.fused:
                get_ema_multi_avg_fn(DECAY)(averages, weights, 0)
            else:
                training.update_average(self.average, self.model, DECAY)
            unread.append(loss.detach())
            if len(unread) == choices.read_every:
                torch.stack(unread).mean().item()
                unread = []
            yield loss.detach()

    def _fast_network(self) -> nn.Module:
        choices, side = self.choices, self.config.size
        if not choices.compiled:
            return self.model
        noisy = torch.rand(choices.batch_size, self.config.channels, side, side, device=self.device)
        noise_level = torch.rand(choices.batch_size, 1, 1, 1, device=self.device)
        precision = autocast(choices.precision, self.device)
        return compiled(self.model, (noisy, noise_level), precision, graphs=choices.graphs)

    def _batches(self) -> Iterator[Batch]:
        if not self.choices.on_device:
            yield from plain_batches(self.images, self.choices.batch_size, self.device)
        for k, clean in enumerate(batches(self.images, self.choices.batch_size)):
            yield *add_noise(clean, generator=seeded(self.device, "noise", k)), clean


def network(choices: Choices, config: Config, device: torch.device) -> UNet:
    """The network in its layout of memory, with the same random weights each time."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(config.seed)
        model = UNet(config.channels, config.widths, config.depths)
    for module in model.modules():
        if isinstance(module, Pool) and not choices.cheap_maximum:
            module.__class__ = PlainPool  # which does the same with the same weights
    return to_fast_layout(model, device) if choices.channels_last else model.to(device)


class PlainPool(Pool):
    """A Pool whose maximum is written as one would at first."""

    def forward(self, x: Tensor) -> Tensor:
        return x + self.body(x.amax(dim=(2, 3), keepdim=True))


def autocast(precision: torch.dtype, device: torch.device) -> torch.autocast:
    """As `Trainer.autocast`."""
    return torch.autocast(device.type, torch.bfloat16, enabled=precision == torch.bfloat16)


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


def plain_batches(images_uint8: Tensor, batch_size: int, device: torch.device) -> Iterator[Batch]:
    """Batches without end out of two worker processes, which end with this generator."""
    options: dict[str, Any] = {"shuffle": True, "drop_last": True, "num_workers": 2, "persistent_workers": True}
    options |= {"pin_memory": device.type == "cuda", "generator": torch.Generator().manual_seed(0)}
    with warnings.catch_warnings(action="ignore"):  # a machine of one core is told that two workers are many
        loader = DataLoader(NoisyPictures(images_uint8), batch_size, **options)
    while True:
        for batch in loader:
            noisy, noise_level, clean = (each.to(device, non_blocking=True) for each in batch)
            yield noisy, noise_level, clean


# ---- what a step costs, and what the device can do ------------------------------------------------------------------


class Traffic(TorchDispatchMode):
    """Adds up the bytes of all that operations take in and give out. A view does neither."""

    def __init__(self) -> None:
        super().__init__()
        self.total = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        answer = func(*args, **(kwargs or {}))
        if not func.is_view:
            self.total += n_bytes((args, kwargs, answer))
        return answer


def n_bytes(tensors: object) -> int:
    """The size of all tensors anywhere in a structure of lists and dictionaries."""
    return sum(each.nbytes for each in tree_leaves(tensors) if isinstance(each, Tensor))


def cost(model: Callable[[Tensor, Tensor], Tensor], batch: Batch, precision: torch.dtype) -> tuple[float, float]:
    """What a forward and a backward pass cost for each image of a batch: FLOP and bytes.

    A multiplication and an addition are two FLOP. Those of the convolutions are counted, nearly all there are.
    """
    noisy, noise_level, clean = batch
    with FlopCounterMode(display=False) as flop, Traffic() as traffic:
        with autocast(precision, clean.device):
            denoised = model(noisy, noise_level)
        F.mse_loss(denoised, clean).backward()
    return flop.get_total_flops() / len(clean), traffic.total / len(clean)


@lru_cache
def cost_of_network(
    config: Config, batch_size: int, precision: torch.dtype, cheap_maximum: bool, device: torch.device
) -> tuple[float, float]:
    """The `cost` of dino's network. (On MPS that of a CPU, for the counter doesn't know its convolutions.)"""
    device = torch.device("cpu") if device.type == "mps" else device
    clean = torch.rand(batch_size, config.channels, config.size, config.size, device=device)
    model = network(Choices(cheap_maximum=cheap_maximum), config, device)
    return cost(model, (*add_noise(clean), clean), precision)


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
    seconds = []
    for _ in range(trials):
        wait_for(device)
        start = time.perf_counter()
        work()
        wait_for(device)
        seconds.append(time.perf_counter() - start)
    return min(seconds)


def wait_for(device: torch.device) -> None:
    """Return when the device has done all that it was given."""
    if device.type != "cpu":
        torch.accelerator.synchronize(device)


def memory_in_use(device: torch.device) -> int | None:
    """The bytes in use; from here on the peak is watched. None where the system doesn't tell."""
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
        return torch.cuda.memory_allocated(device)
    with contextlib.suppress(OSError, AttributeError, TypeError):  # Linux tells, with the usual C library
        ctypes.CDLL(None).malloc_trim(0)  # or what other loops have freed would be used again, uncounted
        Path("/proc/self/clear_refs").write_text("5")
        return _of_this_process("VmRSS")
    return None


def peak_memory(device: torch.device) -> int:
    """The most bytes in use since `memory_in_use` was asked."""
    return torch.cuda.max_memory_allocated(device) if device.type == "cuda" else _of_this_process("VmHWM")


def _of_this_process(name: str) -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(1024 * int(line.split()[1]) for line in lines if line.startswith(name))


# ---- measuring ------------------------------------------------------------------------------------------------------


class Line:
    """A line of the table: a loop, and what was measured of it."""

    def __init__(self, choices: Choices, config: Config, images: Tensor, device: torch.device) -> None:
        self.choices, self.device = choices, device
        self.loop: Loop | Trainer
        if choices.name == TRAINER:
            self.loop = Trainer(replace(config, n_images=10**12), device=device, images=images)
        else:
            self.loop = Loop(choices, config, images, device)
        self.steps = self._steps()
        self.rates: list[float] = []  # images a second, round by round
        self.peaks: list[int] = []  # bytes

    def _steps(self) -> Generator[Tensor, None, None]:
        """The loop's steps; those of a trainer with what `dino.runs.train` does between them."""
        for loss in self.loop.steps():
            if isinstance(self.loop, Trainer) and log_is_due(self.loop):
                self.loop.read_losses()
            yield loss

    def take_turn(self, seconds: float, *, counts: bool) -> None:
        """Train for a while, `LEAST_STEPS` at least."""
        torch.backends.cudnn.benchmark = self.choices.tries_convolutions
        self.loop.optimizer.zero_grad()  # gradients belong to a step, not to what is held between two
        before, n = memory_in_use(self.device), 0
        wait_for(self.device)
        start = time.perf_counter()
        while n < LEAST_STEPS or time.perf_counter() - start < seconds:
            next(self.steps)
            n += 1
        wait_for(self.device)
        elapsed = time.perf_counter() - start
        if counts:
            self.rates.append(n * self.choices.batch_size / elapsed)
        if counts and before is not None:
            held = [*self.loop.model.parameters(), *self.loop.average.parameters(), dict(self.loop.optimizer.state)]
            self.peaks.append(peak_memory(self.device) - before + n_bytes(held))
        self.loop.optimizer.zero_grad()

    def measured(self, first: "Line", config: Config, report: Report) -> Report:
        """All numbers of this line."""
        choices, rate, precision = self.choices, median(self.rates), name_of(self.choices.precision)
        flop, traffic = cost_of_network(
            config, choices.batch_size, choices.precision, choices.cheap_maximum, self.device
        )
        return {
            "name": choices.name,
            "batch_size": choices.batch_size,
            "precision": precision,
            "images_per_second": rate,
            "rounds": self.rates,
            "times_the_first": rate / median(first.rates),
            "memory": max(self.peaks, default=None),
            "flop_per_image": flop,
            "bytes_per_image": traffic,
            "share_of_arithmetic": rate * flop / report["flop_per_second"][precision],
            "share_of_bandwidth": rate * traffic / report["bytes_per_second"],
        }


def measure(config: Config, device: torch.device, *, seconds: float, rounds: int) -> Report:
    """Measure all that `dino bench` tells, behind a progress bar. After Ctrl-C, what there is by then.

    Args:
        seconds: how long each loop runs in each round. A round that doesn't count comes first, to warm up.

    Raises:
        KeyboardInterrupt: no loop has had its turn yet.
    """
    images = load_images(config.data, config.size, channels=config.channels, split=config.split)
    rungs, report = ladder(config, device), about(config, device)
    with tqdm(total=3 + (1 + rounds) * len(rungs), unit=" turns", leave=False, disable=None) as bar:
        bar.set_description("the device")
        formats = dict.fromkeys(rung.precision for rung in rungs)
        report["flop_per_second"] = {name_of(precision): matmul_rate(device, precision) for precision in formats}
        report["bytes_per_second"] = copy_rate(device)
        bar.update()
        lines = [Line(rung, config, images, device) for rung in rungs]
        try:
            for number in range(1 + rounds):
                for line in lines:
                    bar.set_description(line.choices.name)
                    line.take_turn(seconds, counts=number > 0)
                    bar.update()
            bar.set_description("sampling")
            report["sampling"] = sampling(lines[-1].loop)
            bar.update()
        except KeyboardInterrupt:
            report["interrupted"] = True
        for line in lines:
            line.steps.close()  # the plain loop's workers end here
        if not lines[0].rates:
            raise KeyboardInterrupt
        report["lines"] = [line.measured(lines[0], config, report) for line in lines if line.rates]
        if not report["interrupted"]:
            bar.set_description("starting up")
            report["start_up"] = start_up(config, device)
    return report


def sampling(trainer: Loop | Trainer) -> Report:
    """How fast the trainer's averaged network draws."""
    assert isinstance(trainer, Trainer)
    n, n_steps = 64 if trainer.device.type == "cuda" else 16, 100
    trainer.sample(n, n_steps=2)
    seconds = fastest(lambda: trainer.sample(n, n_steps=n_steps), trainer.device, trials=1)
    return {"at_once": n, "steps": n_steps, "images_per_second": n / seconds}


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
    return {
        "device": str(device),
        "device_name": torch.cuda.get_device_name(device) if device.type == "cuda" else cpu_name(),
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
        "python": platform.python_version(),
        "dino": __version__,
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "config": asdict(config),
        "interrupted": False,
    }


def cpu_name() -> str:
    """The processor as Linux calls it, or what Python knows of it."""
    with contextlib.suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


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
            line["name"] if line["name"] in (Choices.name, TRAINER) else f"+ {line['name']}",
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
    """What is told beside the table."""
    arithmetic = [f"{rate / 1e12:.3g} TFLOP/s in {name}" for name, rate in report["flop_per_second"].items()]
    last, size = report["lines"][-1], report["config"]["size"]
    told = {
        "device": f"{report['device']}, {report['device_name']}, {report['threads']} threads, torch {report['torch']}",
        "its best": f"{', '.join(arithmetic)}; copies {report['bytes_per_second'] / 1e9:,.1f} GB/s, read and written",
        "an image": f"{size} x {size}, forward and backward: {last['flop_per_image'] / 1e9:.2f} GFLOP, and in "
        f"{last['name']} {last['bytes_per_image'] / 1e6:,.0f} MB read and written, if nothing were fused or cached",
        "memory": "weights, average and the optimizer's state, and the most that a step adds, in this process",
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
    """The report as a page that can be committed."""
    table = [COLUMNS, ("---", *["--:"] * (len(COLUMNS) - 1)), *rows(report)]
    return "\n".join(
        [f"`{report['command']}`, on {report['date'][:10]}", ""]
        + ["| " + " | ".join(cells) + " |" for cells in table]
        + ["", *(f"- {name}: {value}" for name, value in facts(report).items()), ""]
    )


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
    axes.set(
        xlabel="images a second, and how many times the first", title=f"{report['preset']}, {report['device_name']}"
    )
    return figure


def show(report: Report) -> None:
    """Print the table."""
    from rich import box
    from rich.console import Console
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD)
    for number, name in enumerate(COLUMNS):
        table.add_column(name, justify="right" if number else "left", no_wrap=number < 5)
    for row in rows(report):
        table.add_row(*row)
    Console(width=None if sys.stdout.isatty() else 120).print(table)


def write(report: Report, numbers: Path, page: Path | None) -> list[Path]:
    """Write the numbers as JSON, a plot beside them, and the page, if one is wanted. Returns the paths."""
    with replacing(numbers) as temporary:
        temporary.write_text(json.dumps(report, indent=2) + "\n")
    written = [numbers, save_figure(plot(report), numbers.with_suffix(".png"))]
    if page:
        with replacing(page) as temporary:
            temporary.write_text(markdown(report))
        written.append(page)
    return written
