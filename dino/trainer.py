"""The full trainer: lesson 03's loop as fast as the hardware, on one device or many, and exact when resumed.

    trainer = Trainer(PRESETS["quick"])
    for loss in trainer.steps():  # runs.train does this with a log, pictures and saves
        ...

Two rules make a resumed run equal to one that never stopped, and N processes equal to one. The random numbers of a step
depend on the seed and the step alone; and all else that a step changes is in the saved state. On a CPU a resumed run is
equal bit for bit; on a GPU, and over several processes, whose sums have another order, up to rounding.

One rule makes it fast: nothing in a step waits for the device. Pictures, noise, losses, even the check that all numbers
are finite stay there, and are looked at every `runs.LOG_EVERY` steps.
"""

import contextlib
import copy
import math
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.optim.swa_utils import get_ema_multi_avg_fn

from . import __version__, checkpoint, denoiser, images, processes, sampler, training
from .checkpoint import STATE, WEIGHTS
from .config import Config, choose_device
from .denoiser import UNet
from .errors import DinoError
from .images import batches, fingerprint, load_images, seeded
from .noise import add_noise
from .speed import (
    SMALL_BATCH,
    autocast,
    choose_precision,
    compiled,
    explaining_memory,
    keep_freed_memory,
    to_fast_layout,
)


class Parts(NamedTuple):
    """The files of the lessons that a run is made of: dino's own, or others with the same functions in them."""

    images: Any = images  # has `to_unit` and `random_flip`
    denoiser: Any = denoiser  # has `UNet`
    training: Any = training  # has `train_step` and `update_average`
    sampler: Any = sampler  # has `generate`
    translate: Callable[[nn.Module, UNet], None] | None = None  # copies the weights of another UNet into dino's


class Trainer:
    """A run in memory: the network, its average, the optimizer, the pictures, and how many steps are done.

    Making one loads the pictures, but for the tenth that is held out, and makes the network.

    Args:
        config: what is learned.
        device: see `choose_device`.
        images: stand in for the pictures to learn from: uint8, (N, C, size, size).
        parts: dino's by default.
        accumulate: in how many parts a batch goes through the network, so that it fits in memory.
        compile: whether `torch.compile` fuses the network. By default on CUDA GPUs, where it pays.

    Raises:
        DinoError: there are no such pictures or no such device, or a batch can't be taken in so many parts.

    Attributes:
        config: as it was given.
        device: where all of it lives.
        step: steps done.
        images: what is learned from, uint8, (N, C, size, size), on the device.
        fingerprint: of the images, as `dino.images.fingerprint` takes it.
        model: the network that learns.
        average: the running average of its weights, which samples are drawn with.
        optimizer: AdamW with amsgrad.
        precision: what convolutions are done in: torch.float32 or torch.bfloat16.
        compiles: whether the network is fused by torch.compile.
    """

    def __init__(
        self,
        config: Config,
        *,
        device: torch.device | str = "auto",
        images: Tensor | None = None,
        parts: Parts | None = None,
        accumulate: int = 1,
        compile: bool | None = None,
    ) -> None:
        self.config, self.device, self.step = config, choose_device(str(device), processes.LOCAL_RANK), 0
        self.parts, self.accumulate = parts or Parts(), accumulate
        self.own_training = self.parts.training is not training
        self._check_shares()
        if images is None:
            with processes.one_first():
                images = load_images(
                    config.data, config.size, channels=config.channels, split=config.split, part="training"
                )
        self.fingerprint = fingerprint(images)
        if not processes.all_equal(int(self.fingerprint, 16), self.device):
            raise DinoError(f"the processes found different pictures in {config.data}. Give all boxes the same ones")
        self.images = images.to(self.device)
        with torch.random.fork_rng(devices=[]):  # the caller's random numbers stay as they were
            torch.manual_seed(config.seed)
            model = self.parts.denoiser.UNet(config.channels, config.widths, config.depths)
        if self.parts.translate:  # under autocast a learner's may answer in bfloat16; dino's answers as it is asked
            model.register_forward_hook(lambda _, inputs, answer: answer.to(inputs[0].dtype))
        self.model = to_fast_layout(model, self.device)
        self.average = copy.deepcopy(self.model).requires_grad_(False)
        self.weights, self.averages = list(self.model.parameters()), list(self.average.parameters())
        self.optimizer = torch.optim.AdamW(self.weights, lr=config.learning_rate, amsgrad=True, fused=True)
        self.optimizer.register_step_pre_hook(self._refuse_what_is_not_finite)
        self.precision = choose_precision(config.precision, self.device)
        self.unlogged: list[Tensor] = []  # losses since the last row of the log
        self.broken_at = torch.tensor(-1, device=self.device)  # the first step that had to be refused
        on_gpu = self.device.type == "cuda" and self.parts.translate is None
        self.compiles = on_gpu if compile is None else compile
        if self.device.type == "cpu":
            keep_freed_memory()
        torch.backends.cudnn.benchmark |= self.device.type == "cuda"  # try its ways to convolve, and keep the fastest

    def _check_shares(self) -> None:
        at_once, n = processes.N_PROCESSES * self.accumulate, self.config.batch_size
        if not 1 <= at_once <= n:
            raise DinoError(
                f"a batch of {n} can't be split over {processes.N_PROCESSES} processes in {self.accumulate} parts each"
            )
        if at_once > 1 and self.own_training:
            raise DinoError("your own training (--mine) runs in one process and takes its batches whole")

    @property
    def images_seen(self) -> int:
        """Images seen so far, each counted each time."""
        return self.step * self.config.batch_size

    @property
    def precision_name(self) -> str:
        """ "float32" or "bfloat16"."""
        return str(self.precision).removeprefix("torch.")

    def autocast(self) -> torch.autocast:
        """Within this context convolutions are done in the run's precision. The weights stay float32."""
        return autocast(self.precision, self.device)

    # ---- training ---------------------------------------------------------------------------------------------------

    def steps(self) -> Iterator[Tensor]:
        """Train to the end of the run, yielding after each step.

        Yields:
            The loss of the step, a scalar, still on the device: reading it would wait.

        Raises:
            DinoError: there isn't enough memory for a batch.
        """
        config = self.config
        with explaining_memory(self._smaller):
            network = self._fast_network()
            for clean in self._batches(self.step):
                if self.step >= config.n_steps:
                    return
                self.optimizer.param_groups[0]["lr"] = config.learning_rate_at(self.step)
                loss = self._train_step(network, clean, seeded(self.device, config.seed, "noise", self.step))
                self.step += 1
                self._update_average(config.decay_at(self.step))
                self.unlogged.append(loss)
                yield loss

    def _batches(self, start: int) -> Iterator[Tensor]:
        config, own = self.config, self.parts.images
        return batches(
            self.images,
            config.batch_size,
            seed=config.seed,
            start=start,
            to_unit=own.to_unit,
            random_flip=own.random_flip,
        )

    def _train_step(self, network: nn.Module, clean: Tensor, generator: torch.Generator) -> Tensor:
        if self.own_training:
            with self.autocast():
                loss = self.parts.training.train_step(network, self.optimizer, clean, generator=generator)
            return torch.tensor(loss)
        # As `training.train_step`, but for a share of the batch, in parts. The noise is drawn for all of it.
        self.optimizer.zero_grad()
        noisy, noise_level = add_noise(clean, generator=generator)
        shares = [processes.share(each).tensor_split(self.accumulate) for each in (noisy, noise_level, clean)]
        losses = []
        for number, (noisy, noise_level, clean) in enumerate(zip(*shares, strict=True), start=1):
            last = number == self.accumulate
            with contextlib.nullcontext() if last else processes.unshared(network):
                with self.autocast():
                    denoised = network(noisy, noise_level)
                loss = F.mse_loss(denoised, clean) * (len(clean) / self.config.batch_size)
                (loss * processes.N_PROCESSES).backward()  # as the gradients' mean is taken over the processes
            losses.append(loss.detach())
        self.optimizer.step()
        return processes.summed(torch.stack(losses).sum())

    def _update_average(self, decay: float) -> None:
        if self.own_training:
            self.parts.training.update_average(self.average, self.model, decay)
        else:  # as `training.update_average`, but all weights in one call
            get_ema_multi_avg_fn(decay)(self.averages, self.weights, 0)

    @torch.no_grad()
    def _refuse_what_is_not_finite(self, optimizer: torch.optim.Optimizer, *_: Any) -> None:
        """Before each step of the optimizer: if a gradient is NaN or infinite, no weight moves, now or later.

        A NaN in the pictures, the weights or the loss ends up in the gradients, too. The fused optimizer skips its step
        where `found_inf` is 1 (it is how torch's own GradScaler skips one), so nothing has to wait for the answer.
        """
        norm = torch.nn.utils.get_total_norm([weight.grad for weight in self.weights if weight.grad is not None])
        now_broken = ~norm.isfinite() & (self.broken_at < 0)
        self.broken_at = torch.where(now_broken, self.step, self.broken_at)
        optimizer.found_inf = (self.broken_at >= 0).float()  # type: ignore[attr-defined]

    def _fast_network(self) -> nn.Module:
        """The network as it is trained: compiled where that pays, its gradients shared with the other processes."""
        network, parts = self.model, processes.N_PROCESSES * self.accumulate
        if self.compiles:
            n = math.ceil(self.config.batch_size / parts)
            shape = (n, self.config.channels, self.config.size, self.config.size)
            example = torch.rand(shape, device=self.device), torch.rand(n, 1, 1, 1, device=self.device)
            graphs = self.device.type == "cuda" and n < SMALL_BATCH and parts == 1
            network = compiled(network, example, self.autocast(), graphs=graphs)
        return processes.synchronised(network, self.device)

    @property
    def _smaller(self) -> str:
        """What to do where a batch doesn't fit in memory."""
        half, parts = f"--batch-size {max(1, self.config.batch_size // 2)}", 2 * self.accumulate
        if self.own_training or self.config.batch_size < processes.N_PROCESSES * parts:
            return f"take {half}"
        return f"take --accumulate {parts} (the same run, its batches in {parts} parts), or {half}"

    def sample(self, n: int, *, n_steps: int = 25) -> Tensor:
        """Draw `n` pictures with the averaged weights: (n, C, size, size), in [0, 1], on the device.

        They begin with the same noise each time, so that a run's grids make a film.
        """
        shape = (self.config.channels, self.config.size, self.config.size)
        with self.autocast():
            generator = seeded(self.device, self.config.seed, "samples")
            generate = self.parts.sampler.generate
            pictures: Tensor = generate(self.average, n, image_shape=shape, n_steps=n_steps, generator=generator)
        return pictures

    # ---- saving and loading -----------------------------------------------------------------------------------------

    def about(self) -> dict[str, Any]:
        """What a saved file says of this run; docs/reference/files.md tells of each entry."""
        return {
            "config": asdict(self.config),
            "step": self.step,
            "images_seen": self.images_seen,
            "n_pictures": len(self.images),
            "fingerprint": self.fingerprint,
            "precision": self.precision_name,
            "own_network": self.parts.translate is not None,
            "dino": __version__,
        }

    @property
    def _networks(self) -> dict[str, nn.Module]:
        return {"model": self.model, "average": self.average}

    def save(self, folder: Path, loss: float) -> None:
        """Write state.safetensors and model.safetensors into a folder.

        Args:
            loss: goes with the weights, for who wants to know what they are worth. NaN where none is known yet.

        Raises:
            DinoError: a number is not finite any more; the files stay as they were. Or the disk is full.
        """
        self.check_finite()
        losses = torch.stack(self.unlogged) if self.unlogged else torch.empty(0)
        tensors = checkpoint.state_of(self._networks, self.optimizer) | {"losses": losses}
        checkpoint.write(folder / STATE, "state", tensors, self.about())
        known_loss = loss if math.isfinite(loss) else None
        checkpoint.save_model(folder / WEIGHTS, self._for_all_to_read(), self.about() | {"loss": known_loss})

    def _for_all_to_read(self) -> nn.Module:
        """The averaged network, as dino's own UNet."""
        if self.parts.translate is None:
            return self.average
        plain = UNet(self.config.channels, self.config.widths, self.config.depths).to(self.device)
        self.parts.translate(self.average, plain)
        return plain

    def load(self, folder: Path) -> None:
        """Go back to the state that is saved in a folder.

        Raises:
            DinoError: there is none, or it is of another network or of other pictures, or past the run's end.
        """
        tensors, about = checkpoint.read(folder / STATE, "state")
        if about.get("own_network", False) != (self.parts.translate is not None):
            own = about.get("own_network", False)
            whose, remedy = ("your own UNet", "add --mine") if own else ("dino's UNet", "leave out --mine")
            raise DinoError(f"the run in {folder} trains {whose}: {remedy}")
        step, losses = about.get("step"), tensors.pop("losses", None)
        if not isinstance(step, int) or step < 0 or losses is None:
            raise DinoError(f"{folder / STATE} does not say how far its run is. Take a copy that is whole")
        if about.get("fingerprint") != self.fingerprint:
            raise DinoError(
                f"the pictures of {self.config.data} are not those that the run in {folder} learned from. "
                "Bring those back, or start a new run"
            )
        if step > self.config.n_steps:
            seen = step * self.config.batch_size
            raise DinoError(f"the run has seen {seen:,} images already. Ask for more with --images")
        checkpoint.restore(folder / STATE, tensors, self._networks, self.optimizer)
        self.step, self.unlogged = step, list(losses.to(self.device))

    def read_losses(self) -> float:
        """The mean loss of the steps since it was last read, one at least. This waits for the device.

        Raises:
            DinoError: a number is not finite any more.
        """
        self.check_finite()
        mean = torch.stack(self.unlogged).mean().item()
        self.unlogged = []
        return mean

    def check_finite(self) -> None:
        """Stop a run whose numbers are no numbers any more. This waits for the device.

        Raises:
            DinoError: a step had to be refused, or a weight is NaN or infinite.
        """
        weights = torch.stack([weight.detach().sum() for weight in self.weights])
        broken, step = weights.isfinite().logical_not().any().item(), int(self.broken_at)
        if not broken and step < 0:
            return
        ago = self.step - step
        loss = self.unlogged[-ago].item() if step >= 0 and ago <= len(self.unlogged) else math.nan
        what = "a weight" if broken else "a gradient" if math.isfinite(loss) else "the loss"
        if not next(self._batches(max(step, 0))).isfinite().all():
            what = "a picture"
        raise DinoError(
            f"at step {step + 1 if step >= 0 else self.step} {what} was not a finite number, so the run stopped before "
            "that step; what was saved last is good. Start again with a lower --learning-rate than "
            f"{self.config.learning_rate:g}, or with --precision float32"
        )
