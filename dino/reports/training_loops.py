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

import copy
import signal
import time
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from multiprocessing.connection import Connection
from typing import TYPE_CHECKING, Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.optim.swa_utils import get_ema_multi_avg_fn
from torch.utils.data import DataLoader, Dataset

from .. import denoiser, training
from ..data.loading import load_images
from ..denoiser import UNet
from ..images import batches, seeded, to_unit
from ..noise import add_noise, mix
from ..trainer.config import Config
from ..trainer.device import SMALL_BATCH, autocast, choose_precision, compiled, keep_freed_memory, to_fast_layout
from ..trainer.run import LOG_EVERY, log_is_due
from ..trainer.trainer import Trainer
from .report import Report

if TYPE_CHECKING:
    pass
from .hardware import cost, memory, timed

Batch = tuple[Tensor, Tensor, Tensor]  # noisy, noise level, clean


LEAST_STEPS = 3  # in a turn, however short


DECAY = 0.998  # of the average


PLAIN, TRAINER = "plain loop", "dino's trainer"


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
    model = config.new_network()
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
