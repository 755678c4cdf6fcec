"""The full trainer: lesson 03's loop as fast as the hardware, on one device or many, and exact when resumed.

    trainer = Trainer(PRESETS["quick"])
    for loss in trainer.steps():  # runs.train does this with a log, pictures and saves
        ...

Two rules make a resumed run equal to one that never stopped, and N processes equal to one. The random numbers of a step
depend on the seed and the step alone; and all else that a step changes is in the saved state. On a CPU a resumed run is
equal bit for bit; on a GPU, and between one process and several, whose sums have another order, up to rounding.

One rule makes it fast: nothing in a step waits for the device. Pictures, noise, losses, even the check that all numbers
are finite stay there, and are looked at every `runs.LOG_EVERY` steps.
"""

import copy
import math
from collections.abc import Callable, Iterator
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.optim.swa_utils import get_ema_multi_avg_fn

from .. import __version__, sampler
from ..common.errors import DinoError
from ..data.loading import check_images, fingerprint, load_images
from ..denoiser import UNet
from ..images import batches, seeded
from ..noise import add_noise
from . import checkpoint, device, distributed, model_file, tensor_file
from .config import Config
from .device import choose_device
from .nonfinite import Guard
from .tensor_file import STATE, WEIGHTS


class Trainer:
    """A run in memory: the network, its average, the optimizer, the pictures, and how many steps are done.

    Making one loads the pictures, but for the tenth that is held out, and makes the network.

    Args:
        config: what is learned.
        device: see `choose_device`.
        images: stand in for the pictures to learn from: uint8, (N, C, size, size), at least one.
        accumulate: in how many parts a batch goes through the network, so that it fits in memory.
        compile: whether `torch.compile` fuses the network. By default on CUDA GPUs, where it pays.

    Raises:
        DinoError: there are no such pictures or no such device, these images are of another kind or shape, or a batch
            can't be taken in so many parts.

    Attributes:
        config: as it was given; its precision is the one that was chosen, if that was left open.
        device: where all of it lives.
        accumulate: as it was given.
        step: steps done.
        images: what is learned from, uint8, (N, C, size, size), on the device.
        fingerprint: of the images, as `dino.images.fingerprint` takes it.
        model: the network that learns.
        average: the running average of its weights, which samples are drawn with.
        weights, averages: the parameters of the two, in one order.
        optimizer: AdamW with amsgrad.
        guard: what keeps it from a step with numbers that aren't finite.
        precision: what convolutions are done in: torch.float32 or torch.bfloat16.
        compiles: whether the network is fused by torch.compile.
        unlogged: the losses of the steps since `read_losses`.
        own_network, own_training: whether the network or the steps are a learner's own; see `dino.assembly`.
    """

    own_network = own_training = False
    generate: Callable[..., Tensor] = staticmethod(sampler.generate)

    def __init__(
        self,
        config: Config,
        *,
        device: torch.device | str = "auto",
        images: Tensor | None = None,
        accumulate: int = 1,
        compile: bool | None = None,
    ) -> None:
        self.device, self.step, self.accumulate = choose_device(str(device), distributed.LOCAL_RANK), 0, accumulate
        self.precision = device.choose_precision(config.precision, self.device)
        self.config = replace(config, precision=str(self.precision).removeprefix("torch."))
        distributed.check_shares(config.batch_size, accumulate)
        if images is None:
            with distributed.one_first():
                images = load_images(
                    config.data, config.size, channels=config.channels, split=config.split, part="training"
                )
        check_images(images, config.channels, config.size)
        self.fingerprint = fingerprint(images)
        if not distributed.all_equal(int(self.fingerprint, 16), self.device):
            raise DinoError(f"the processes found different pictures in {config.data}. Give all boxes the same ones")
        self.images = images.to(self.device)
        with torch.random.fork_rng(devices=[]):  # the caller's random numbers stay as they were
            torch.manual_seed(config.seed)
            self.model = device.to_fast_layout(self._new_network(), self.device)
        self.average = copy.deepcopy(self.model).requires_grad_(False)
        self.weights, self.averages = list(self.model.parameters()), list(self.average.parameters())
        self.optimizer = torch.optim.AdamW(self.weights, lr=config.learning_rate, amsgrad=True, fused=True)
        self.guard = Guard(self.optimizer, self.weights)
        self.unlogged: list[Tensor] = []
        self.compiles = self.device.type == "cuda" if compile is None else compile
        device.prepare(self.device)

    def _new_network(self) -> nn.Module:
        return UNet(self.config.channels, self.config.widths, self.config.depths)

    @property
    def images_seen(self) -> int:
        """Images seen so far, each counted each time."""
        return self.step * self.config.batch_size

    def autocast(self) -> torch.autocast:
        """Within this context convolutions are done in the run's precision. The weights stay float32."""
        return device.autocast(self.precision, self.device)

    # ---- training ---------------------------------------------------------------------------------------------------

    def steps(self) -> Iterator[Tensor]:
        """Train to the end of the run, yielding after each step.

        Yields:
            The loss of the step, a scalar, still on the device: reading it would wait.

        Raises:
            DinoError: there isn't enough memory for a batch.
        """
        config = self.config
        with device.explaining_memory(self._smaller_batch):
            network = self._fast_network()
            for clean in self._batches(self.step):
                if self.step >= config.n_steps:
                    return
                self.optimizer.param_groups[0]["lr"] = config.learning_rate_at(self.step)
                loss = self._train_step(network, clean, seeded(self.device, config.seed, "noise", self.step))
                self.step += 1
                self.guard.count()
                self._update_average(config.decay_at(self.step))
                self.unlogged.append(loss)
                yield loss

    def _batches(self, start: int) -> Iterator[Tensor]:
        return batches(self.images, self.config.batch_size, seed=self.config.seed, start=start)

    def _train_step(self, network: nn.Module, clean: Tensor, generator: torch.Generator) -> Tensor:
        """As `training.train_step`, but for a share of the batch, in parts. The noise is drawn for all of it."""
        self.optimizer.zero_grad()
        noisy, noise_level = add_noise(clean, generator=generator)
        shares = [distributed.share(each).tensor_split(self.accumulate) for each in (noisy, noise_level, clean)]
        losses = []
        for number, (noisy, noise_level, clean) in enumerate(zip(*shares, strict=True), start=1):
            with distributed.sharing_gradients(network, number == self.accumulate):
                with self.autocast():
                    denoised = network(noisy, noise_level)
                loss = F.mse_loss(denoised, clean) * (len(clean) / self.config.batch_size)
                # The gradients' mean is taken over the processes, and it is their sum that is wanted.
                (loss * distributed.N_PROCESSES).backward()
            losses.append(loss.detach())
        self.optimizer.step()
        return distributed.summed(torch.stack(losses).sum())

    def _update_average(self, decay: float) -> None:
        """As `training.update_average`, but all weights in one call."""
        get_ema_multi_avg_fn(decay)(self.averages, self.weights, 0)

    def _fast_network(self) -> nn.Module:
        """The network as it is trained: compiled where that pays, its gradients shared with the other processes."""
        network, parts = self.model, distributed.N_PROCESSES * self.accumulate
        if self.compiles:
            n = math.ceil(self.config.batch_size / parts)
            shape = (n, self.config.channels, self.config.size, self.config.size)
            example = torch.rand(shape, device=self.device), torch.rand(n, 1, 1, 1, device=self.device)
            graphs = self.device.type == "cuda" and n < device.SMALL_BATCH and parts == 1
            network = device.compiled(network, example, self.autocast(), graphs=graphs)
        return distributed.synchronised(network, self.device)

    @property
    def _smaller_batch(self) -> str:
        """What to do where a batch doesn't fit in memory."""
        half, parts = f"--batch-size {max(1, self.config.batch_size // 2)}", 2 * self.accumulate
        if self.own_training or self.config.batch_size < distributed.N_PROCESSES * parts:
            return f"take {half}"
        return f"take --accumulate {parts} (the same run, its batches in {parts} parts), or {half}"

    def sample(self, n: int, *, n_steps: int = 25) -> Tensor:
        """Draw `n` pictures with the averaged weights: (n, C, size, size), in [0, 1], on the device.

        They begin with the same noise each time, so that a run's grids make a film.
        """
        shape = (self.config.channels, self.config.size, self.config.size)
        with self.autocast():
            generator = seeded(self.device, self.config.seed, "samples")
            return self.generate(self.average, n, image_shape=shape, n_steps=n_steps, generator=generator)

    # ---- saving and loading -----------------------------------------------------------------------------------------

    def about(self) -> dict[str, Any]:
        """What a saved file says of this run; docs/reference/files.md tells of each entry."""
        return {
            "config": asdict(self.config),
            "step": self.step,
            "images_seen": self.images_seen,
            "n_pictures": len(self.images),
            "fingerprint": self.fingerprint,
            "precision": self.config.precision,
            "own_network": self.own_network,
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
        tensor_file.write(folder / STATE, "state", tensors, self.about())
        known_loss = loss if math.isfinite(loss) else None
        model_file.save_model(folder / WEIGHTS, self._for_all_to_read(), self.about() | {"loss": known_loss})

    def _for_all_to_read(self) -> nn.Module:
        """The averaged network, as dino's own UNet."""
        return self.average

    def load(self, folder: Path) -> None:
        """Go back to the state that is saved in a folder.

        Raises:
            DinoError: there is none, or it is of another network or of other pictures, or past the run's end.
        """
        tensors, about = tensor_file.read(folder / STATE, "state")
        if (own := about.get("own_network", False)) != self.own_network:
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
        remedy = (
            f"Start again with a lower --learning-rate than {self.config.learning_rate:g}, or with --precision float32"
        )
        self.guard.check(self.step, self.unlogged, lambda step: next(self._batches(step)), remedy)
