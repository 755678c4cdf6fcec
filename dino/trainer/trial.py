"""A trial of how to compute: the number format, memory layout and maximum that are fastest for a network on this CPU.

A processor's name doesn't tell. Some have instructions for bfloat16 and are slower with it, and the best memory layout
depends on the shapes in a network. So a few steps are timed with each method, for about a second. The result is
remembered, and a run keeps its method in its configuration, so that a resumed run computes the same numbers.
"""

import copy
import hashlib
import json
import math
import platform
import time
from collections.abc import Sequence
from dataclasses import asdict, astuple, dataclass, replace
from itertools import product
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..common.atomic_file import replacing
from ..common.errors import DinoError, is_out_of_memory
from ..data.cache import cache_folder
from ..denoiser import Pool
from ..images import seeded
from . import device as devices
from . import distributed
from .config import METHODS, Config

SECONDS = 1.5  # of a trial, about
STEP_SECONDS = 0.08  # of one step, about: a trial uses a part of a large batch
MAX_IMAGES = 64  # in one step, so that a trial needs little memory
MIN_ROUNDS = 3
WORTHWHILE = 1.03  # how much faster a method must be than the usual one, to be chosen


@dataclass(frozen=True)
class Method:
    """One way to compute: a value of each field of `Config` that can be "auto"."""

    precision: str
    layout: str
    maximum: str


EVERY_METHOD = [Method(*values) for values in product(*METHODS.values())]


@dataclass(frozen=True)
class Trial:
    """The method to use, and what was measured to choose it.

    Attributes:
        method: the method.
        seconds: of one step with each method that was tried, the fastest of several. Empty if nothing was tried.
    """

    method: Method
    seconds: dict[Method, float]

    def __str__(self) -> str:
        """Return the method's values, each with how many times as fast it is as the best method with another value."""
        parts = []
        for name, value in asdict(self.method).items():
            others = {method: seconds for method, seconds in self.seconds.items() if getattr(method, name) != value}
            part = value.replace("_", "-")
            if others:
                rival = min(others, key=others.__getitem__)
                factor = others[rival] / self.seconds[self.method]
                part += f" ({factor:.2f} times as fast as {getattr(rival, name).replace('_', '-')})"
            parts.append(part)
        return ", ".join(parts)


def choose(config: Config, network: nn.Module, device: torch.device) -> Trial:
    """Return the method for a run: what its configuration says, and where that says "auto", what is fastest.

    Args:
        config: the run's configuration.
        network: the network to train, on the CPU. It stays as it is.
        device: where to train. On a GPU nothing is tried, because the choice is clear there.
    """
    usual = usual_method(device)
    fixed = {name: value for name in METHODS if (value := getattr(config, name)) != "auto"}
    preferred = replace(usual, **fixed)
    if device.type != "cpu" or len(fixed) == len(METHODS):
        return Trial(preferred, {})
    methods = [method for method in all_methods(network) if fixed.items() <= asdict(method).items()]
    with distributed.one_first():  # the other processes of this machine find the result in the cache
        seconds = _seconds(config, network, methods) if len(methods) > 1 else {}
    fastest = min(seconds, key=seconds.__getitem__, default=preferred)
    if preferred in seconds and seconds[preferred] < WORTHWHILE * seconds[fastest]:
        fastest = preferred
    # All processes compute as the main one, also on machines that differ.
    number = EVERY_METHOD.index(fastest) if distributed.is_main() else 0
    (agreed,) = distributed.largest(number, device=device)
    return Trial(EVERY_METHOD[int(agreed)], seconds if fastest == EVERY_METHOD[int(agreed)] else {})


def usual_method(device: torch.device) -> Method:
    """Return the method that is best on most devices of a kind, and the only one that needs no trial."""
    if device.type == "cuda":
        halves = torch.cuda.is_bf16_supported(including_emulation=False)
        return Method("bfloat16" if halves else "float32", "channels_last", "amax")
    return Method("float32", "contiguous" if device.type == "mps" else "channels_last", "max_pool")


def all_methods(network: nn.Module) -> list[Method]:
    """Return the methods that may be the fastest for a network on this CPU."""
    has_pool = any(isinstance(module, Pool) for module in network.modules())
    return [
        method
        for method in EVERY_METHOD
        if (has_pool or method.maximum == "max_pool") and (has_bfloat16() or method.precision == "float32")
    ]


def has_bfloat16() -> bool:
    """Return whether this CPU has instructions for convolutions in bfloat16. Without them they take ten times as long.

    With them they may still be slower than in float32, which a trial shows.
    """
    try:
        return bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())
    except (AttributeError, RuntimeError):  # this build of torch has no oneDNN
        return False


def apply(method: Method, network: nn.Module, device: torch.device) -> nn.Module:
    """Move a network to a device, in the layout and with the maximum that a method says."""
    for module in network.modules():
        if isinstance(module, Pool):
            module.largest = devices.MAXIMA[method.maximum]
    return devices.to_layout(network, device, method.layout)


# ---- measuring ------------------------------------------------------------------------------------------------------


def measure(
    config: Config, network: nn.Module, methods: Sequence[Method], seconds: float = SECONDS
) -> dict[Method, float]:
    """Return the seconds of a training step with each method, the fastest of several.

    Methods that are far behind in the first round are given up.

    Args:
        config: the run's configuration.
        network: the network, on the CPU. It stays as it is.
        methods: the methods to try.
        seconds: how long to measure, about.
    """
    cpu = torch.device("cpu")
    networks = {method: apply(method, copy.deepcopy(network), cpu) for method in methods}
    inputs = _random_batch(config, _images_for(config, networks[methods[0]]))
    found = dict.fromkeys(methods, math.inf)
    trying, start, n_rounds = list(methods), time.perf_counter(), 0
    for method in trying:
        _step(networks[method], method, inputs)  # to warm up
    while n_rounds < MIN_ROUNDS or time.perf_counter() - start < seconds:
        for method in trying:
            found[method] = min(found[method], _step(networks[method], method, inputs))
        n_rounds += 1
        trying = [method for method in methods if found[method] < 1.3 * min(found.values())]
    return found


def _images_for(config: Config, network: nn.Module) -> int:
    """Return how many images a step of a trial has: the whole batch, or a part of it if that is large or slow."""
    most = min(config.batch_size, MAX_IMAGES)
    n = min(most, torch.get_num_threads())
    inputs, method = _random_batch(config, n), usual_method(torch.device("cpu"))
    _step(network, method, inputs)
    return max(n, min(most, int(n * STEP_SECONDS / _step(network, method, inputs))))


def _random_batch(config: Config, n: int) -> list[Tensor]:
    generator = seeded("cpu", config.seed, "trial")
    clean = torch.rand(n, config.channels, config.size, config.size, generator=generator)
    inputs = [clean, torch.rand(n, 1, 1, 1, generator=generator)]
    if config.vocabulary:
        inputs.append(torch.rand(n, len(config.vocabulary), generator=generator).round())
    return inputs


def _step(network: nn.Module, method: Method, inputs: list[Tensor]) -> float:
    """Take a training step without an optimizer, and return its seconds."""
    start = time.perf_counter()
    with devices.autocast(getattr(torch, method.precision), torch.device("cpu")):
        denoised = network(*inputs)
    F.mse_loss(denoised, inputs[0]).backward()
    elapsed = time.perf_counter() - start
    network.zero_grad()
    return elapsed


# ---- remembering ----------------------------------------------------------------------------------------------------


def _seconds(config: Config, network: nn.Module, methods: Sequence[Method]) -> dict[Method, float]:
    """Return the seconds of a step with each method: from the cache, or measured. Empty without enough memory."""
    key = _key(config, network, methods)
    if seconds := _remembered(key, methods):
        return seconds
    try:
        seconds = measure(config, network, methods)
    except (RuntimeError, MemoryError) as error:
        if not is_out_of_memory(error):
            raise
        return {}  # the first step of the run will say so
    _remember(key, seconds)
    return seconds


def _key(config: Config, network: nn.Module, methods: Sequence[Method]) -> str:
    """Return what a trial's result depends on, as the name of a file."""
    shapes = [(name, tuple(weight.shape)) for name, weight in network.named_parameters()]
    facts = (_processor(), torch.__version__, torch.get_num_threads(), config.size, config.batch_size, shapes, methods)
    return hashlib.sha256(repr(facts).encode()).hexdigest()[:32]


def _processor() -> str:
    """Return the processor's name and instructions."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        return "".join(sorted({line for line in lines if line.startswith(("model name", "flags", "Features"))}))
    except OSError:
        return f"{platform.processor()} {platform.machine()}"


def _remembered(key: str, methods: Sequence[Method]) -> dict[Method, float] | None:
    try:
        seconds = json.loads((cache_folder() / f"{key}.trial.json").read_text(encoding="utf-8"))
        return {method: float(seconds[_name(method)]) for method in methods}
    except (DinoError, OSError, ValueError, KeyError, TypeError):
        return None


def _remember(key: str, seconds: dict[Method, float]) -> None:
    """Keep a trial's result in the cache, if that can be written. Without it, the next run tries again."""
    try:
        with replacing(cache_folder() / f"{key}.trial.json") as temporary:
            temporary.write_text(
                json.dumps({_name(method): value for method, value in seconds.items()}), encoding="utf-8"
            )
    except (DinoError, OSError):
        pass


def _name(method: Method) -> str:
    return ", ".join(astuple(method))
