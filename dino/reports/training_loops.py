"""The training loops that `dino bench` compares, and the process that each of them runs in.

The first loop trains as the original notebook does. Each further loop keeps the choices of the loop before and adds one
of the trainer's. The last loop is the trainer itself.
"""

import copy
import signal
import time
import warnings
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, replace
from multiprocessing.connection import Connection
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.optim.swa_utils import get_ema_multi_avg_fn
from torch.utils.data import DataLoader, Dataset
from torch.utils.flop_counter import FlopCounterMode

from .. import training
from ..data.loading import LabeledImages, load_labeled_images
from ..denoiser import UNet
from ..few_steps import FEW
from ..images import batches, seeded, to_unit
from ..noise import add_noise, mix
from ..trainer import trial
from ..trainer.config import Config
from ..trainer.device import SMALL_BATCH, autocast, compiled, keep_freed_memory
from ..trainer.run import LOG_EVERY, log_is_due
from ..trainer.trainer import Trainer
from ..trainer.trial import Method
from .hardware import Traffic, memory_used, timed
from .report import Report

Batch = tuple[Tensor, Tensor, Tensor]  # noisy, noise level, clean

PLAIN, TRAINER = "plain loop", "dino's trainer"  # names of the first and the last loop
PLAIN_BATCH = 16  # images in a step of the first loop
EMA_DECAY = 0.998
MIN_STEPS = 3  # steps in a turn, however short the turn


# ---- the choices ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Choices:
    """One way to train. The defaults are those of the plain loop."""

    name: str = PLAIN
    batch_size: int = PLAIN_BATCH
    read_every: int = 1  # steps between two reads of the losses; every read waits for the device
    on_device: bool = False  # make batches on the device, instead of image by image in two worker processes
    fused: bool = False  # update all weights in one call, in the optimizer and in the EMA
    maximum: str = "amax"  # the obvious way to write it; see `dino.trainer.device.MAXIMA`
    layout: str = "contiguous"  # of the weights, in memory
    keeps_memory: bool = False  # see `dino.trainer.device.keep_freed_memory`
    tries_convolutions: bool = False  # let cuDNN time its convolution algorithms and keep the fastest
    precision: torch.dtype = torch.float32
    compiled: bool = False
    graphs: bool = False  # CUDA graphs
    is_trainer: bool = False
    optimizer: str = "adamw"  # the trainer's
    max_words: int = 0  # the trainer's

    @property
    def method(self) -> Method:
        """Return how to compute."""
        return Method(dtype_name(self.precision), self.layout, self.maximum)


def dtype_name(precision: torch.dtype) -> str:
    """Return the name of a number format as it is in a configuration."""
    return str(precision).removeprefix("torch.")


def ladder(config: Config, device: torch.device, method: Method) -> list[Choices]:
    """Return the plain loop, then loops that add the trainer's choices for this device one by one, then the trainer.

    The last loops add what costs time and makes a better model: the preset's optimizer, and its words.

    Args:
        config: the network, the images and the batch size.
        device: where to train.
        method: how the trainer computes.
    """
    on_cpu, on_gpu = device.type == "cpu", device.type == "cuda"
    added: list[tuple[bool, str, dict[str, Any]]] = [
        (True, f"losses every {LOG_EVERY} steps", {"read_every": LOG_EVERY}),
        (True, "batches on the device", {"on_device": True}),
        (True, "fused optimizer, EMA", {"fused": True}),
        (method.maximum == "max_pool", "maximum by max_pool2d", {"maximum": "max_pool"}),
        (method.layout == "channels_last", "channels-last", {"layout": "channels_last"}),
        (on_cpu, "freed memory kept", {"keeps_memory": True}),
        (on_gpu, "cuDNN's fastest convolutions", {"tries_convolutions": True}),
        (method.precision == "bfloat16", "bfloat16", {"precision": torch.bfloat16}),
        (config.batch_size != Choices.batch_size, f"batch {config.batch_size}", {"batch_size": config.batch_size}),
        (on_gpu, "torch.compile", {"compiled": True}),
        (on_gpu and config.batch_size < SMALL_BATCH, "CUDA graphs", {"graphs": True}),
        (True, TRAINER, {"is_trainer": True}),
        (config.optimizer == "muon", "Muon", {"optimizer": "muon"}),
        (config.max_words > 0, "words", {"max_words": config.max_words}),
    ]
    rungs = [Choices()]
    for applies, name, change in added:
        if applies:
            rungs.append(replace(rungs[-1], name=name, **change))
    return rungs


# ---- the loops ------------------------------------------------------------------------------------------------------


def training_steps(choices: Choices, config: Config, images: Tensor, device: torch.device) -> Iterator[Tensor]:
    """Train forever as the choices say, yielding the loss of each step."""
    model, in_precision = network(choices, config, device), autocast(choices.precision, device)
    ema = copy.deepcopy(model).requires_grad_(False)
    weights, ema_weights = list(model.parameters()), list(ema.parameters())
    optimizer = torch.optim.AdamW(weights, lr=3e-4, amsgrad=True, fused=choices.fused or None)
    fast: Callable[[Tensor, Tensor], Tensor] = model
    if choices.compiled:
        noisy, noise_level, _ = random_batch(choices, config, device)
        fast = compiled(model, (noisy, noise_level), in_precision, graphs=choices.graphs)
    unread: list[Tensor] = []
    for noisy, noise_level, clean in noisy_batches(choices, images, device):
        optimizer.zero_grad()
        with in_precision:
            denoised = fast(noisy, noise_level)
        loss = F.mse_loss(denoised, clean)
        loss.backward()
        optimizer.step()
        if choices.fused:
            get_ema_multi_avg_fn(EMA_DECAY)(ema_weights, weights, 0)
        else:
            training.update_average(ema, model, EMA_DECAY)
        unread.append(loss.detach())
        if len(unread) == choices.read_every:
            torch.stack(unread).mean().item()
            unread = []
        yield loss.detach()


def trainer_steps(trainer: Trainer) -> Iterator[Tensor]:
    """Train with the trainer, doing what `dino.trainer.run.train` does between steps. Yields the loss of each step."""
    for loss in trainer.steps():
        if log_is_due(trainer):
            trainer.read_losses()
        yield loss


def network(choices: Choices, config: Config, device: torch.device) -> nn.Module:
    """Return a new network, ready to compute with the chosen method."""
    return trial.apply(choices.method, UNet(config.channels, config.widths, config.depths), device)


def random_batch(choices: Choices, config: Config, device: torch.device) -> Batch:
    """Return one batch of random images."""
    clean = torch.rand(choices.batch_size, config.channels, config.size, config.size, device=device)
    return *add_noise(clean), clean


def noisy_batches(choices: Choices, images: Tensor, device: torch.device) -> Iterator[Batch]:
    """Yield batches forever, made on the device or, as in the original notebook, by two worker processes."""
    if choices.on_device:
        for k, clean in enumerate(batches(images.to(device), choices.batch_size)):
            yield *add_noise(clean, generator=seeded(device, "noise", k)), clean
    options: dict[str, Any] = {"shuffle": True, "drop_last": True, "num_workers": 2, "persistent_workers": True}
    with warnings.catch_warnings(action="ignore"):  # torch warns that two workers are many for one core
        loader = DataLoader(NoisyImages(images), choices.batch_size, pin_memory=device.type == "cuda", **options)
    while True:
        for batch in loader:
            noisy, noise_level, clean = (each.to(device, non_blocking=True) for each in batch)
            yield noisy, noise_level, clean


class NoisyImages(Dataset[Batch]):
    """Images as the original notebook serves them: one at a time, flipped at random, each with its own noise."""

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


# ---- measuring a loop -----------------------------------------------------------------------------------------------


def cost(choices: Choices, config: Config, device: torch.device) -> Report:
    """Return what a forward and a backward pass cost for each image: "flop_per_image" and "bytes_per_image".

    A multiplication and an addition are two FLOP. Only the FLOP of convolutions are counted, which are nearly all.
    """
    device = torch.device("cpu") if device.type == "mps" else device  # the counter doesn't know MPS's convolutions
    model, (noisy, noise_level, clean) = network(choices, config, device), random_batch(choices, config, device)
    with FlopCounterMode(display=False) as flop, Traffic() as traffic:
        with autocast(choices.precision, device):
            denoised = model(noisy, noise_level)
        F.mse_loss(denoised, clean).backward()
    n = choices.batch_size
    return {"flop_per_image": flop.get_total_flops() / n, "bytes_per_image": traffic.total / n}


def steps_per_second(steps: Iterator[Tensor], seconds: float, device: torch.device) -> float:
    """Take steps for a number of seconds, and at least `MIN_STEPS`. Return how many steps that was per second."""
    n = 0

    def take_steps() -> None:
        nonlocal n
        start = time.perf_counter()
        while n < MIN_STEPS or time.perf_counter() - start < seconds:
            next(steps)
            n += 1

    elapsed = timed(take_steps, device)
    return n / elapsed


def sampling_speed(trainer: Trainer) -> Report:
    """Measure how fast the trainer's EMA network generates images."""
    n = 64 if trainer.device.type == "cuda" else 16
    trainer.sample(n)  # to warm up
    seconds = timed(lambda: trainer.sample(n), trainer.device)
    return {"batch_size": n, "steps": FEW, "images_per_second": n / seconds}


# ---- the process of a loop ------------------------------------------------------------------------------------------


def serve(connection: Connection, choices: Choices, config: Config, device: torch.device) -> None:
    """Run one loop in a process of its own, as requested through a connection. An exception is sent as a response.

    The first message is the loop's cost. A request is a number of seconds to train for; its response is the images per
    second and the bytes of memory. The last request is None; its response is the sampling speed.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the parent process
    try:
        images = load_labeled_images(
            config.data, config.size, channels=config.channels, split=config.split, max_words=choices.max_words
        )
        memory_before = memory_used(device, peak=False)
        connection.send(cost(choices, config, device))
        trainer, steps = _prepare(choices, config, images, device)
        while seconds := connection.recv():
            rate = choices.batch_size * steps_per_second(steps, seconds, device)
            peak = memory_used(device, peak=True)
            connection.send((rate, peak - memory_before if peak is not None and memory_before is not None else None))
        if trainer is not None:
            connection.send(sampling_speed(trainer))
    except (EOFError, ConnectionError):  # the parent process closed the connection
        pass
    except Exception as error:
        connection.send(error)


def _prepare(
    choices: Choices, config: Config, images: LabeledImages, device: torch.device
) -> tuple[Trainer | None, Iterator[Tensor]]:
    """Apply the choices that hold for a whole process, and return the trainer, if it is chosen, and the steps."""
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)  # measuring the cost ran unfused; the loop may need less
    torch.backends.cudnn.benchmark = choices.tries_convolutions
    if choices.keeps_memory:
        keep_freed_memory()
    if not choices.is_trainer:
        return None, training_steps(choices, config, images.images, device)
    changes = asdict(choices.method) | {"optimizer": choices.optimizer, "n_images": 10**12}
    trainer = Trainer(replace(config, **changes), device=device, images=images)
    return trainer, trainer_steps(trainer)
