"""The full trainer: lesson 03's loop as fast as the hardware allows, on one device or many, and exact when resumed.

    trainer = Trainer(PRESETS["quick"])
    for loss in trainer.steps():  # dino.trainer.run.train does this with a log, grids and saves
        ...

Two rules make a resumed run equal to one that never stopped, and N processes equal to one. The random numbers of a step
depend on the seed and the step alone. And the saved state holds everything else that a step changes. On a CPU a resumed
run is equal bit for bit. On a GPU it is equal up to rounding, and so is a run on several processes, because their sums
are added in another order.

One rule makes training fast: nothing in a step waits for the device. Images, noise, losses, even the check that all
numbers are finite, stay there, and are read every `LOG_EVERY` steps.
"""

import copy
import math
from collections.abc import Callable, Iterator
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import get_ema_multi_avg_fn

from .. import sampler
from ..common.errors import DinoError
from ..common.version import VERSION
from ..data.loading import LabeledImages, check_images, fingerprint, load_labeled_images, without_words
from ..data.space import Needs, fits
from ..data.words import mirrored_columns
from ..few_steps import FEW, euler_at_final, step_sizes, warped_schedule
from ..images import batch_indices, batches, random_flip, seeded, to_unit
from ..steering import GUIDANCE, asking, drop_conditions, hide_words
from . import checkpoint, distributed, fine_tuning, noising, tensor_file, trial
from . import device as devices
from .config import Config
from .image_feed import batches_from_file
from .model_file import save_model
from .muon import muon_for
from .nonfinite import NonfiniteCheck
from .tensor_file import STATE, WEIGHTS

N_WORD_SETS = 256  # training images whose words are kept with the weights, to complete short requests


class Trainer:
    """A run in memory: the network, its EMA, the optimizer, the images, and the number of steps done.

    Making a Trainer loads the images, except the tenth that is held out, and makes the network.

    Args:
        config: the run's configuration.
        device: see `choose_device`.
        images: training images to use instead of those of `config.data`: uint8, (N, C, size, size), N at least 1; or
            `LabeledImages`, if they have words.
        accumulate: the number of parts in which a batch goes through the network, so that it fits into memory.
        memory_map: whether to read each batch from the cache of decoded images, instead of copying all of them to the
            device first. By default they are copied if they take at most half of the device's free memory; see
            `dino.data.space`. On several processes of one machine without GPUs they are read from the cache, which they
            share. The run is the same either way.
        before_decoding: called with what the images need, if they must be decoded; see `load_labeled_images`.
        start_from: weights to start from, as `load_model` takes them, instead of random ones; see
            `dino.trainer.fine_tuning`. Leave them out for a run that will be resumed: its state holds all weights.
        compile: whether `torch.compile` fuses the network. By default on CUDA GPUs, where it pays.

    Raises:
        DinoError: if there is no such data or device, the images have another dtype or shape, or a batch can't be
            split into that many parts, or the weights to start from don't fit.

    Attributes:
        config: as given, with the precision that was chosen if it was "auto", and with the vocabulary of the images.
        device: where networks, optimizer and images live.
        accumulate: as given.
        step: the number of steps done.
        images: the training images, uint8, (N, C, size, size), on the device; or on the CPU, if they don't fit there.
        image_file: the cache's file that the images are mapped from, or None if they are in a memory.
        words: which image has which word of the vocabulary, uint8, (N, n_words), on the device.
        n_known_words: how many of the words are known to the weights that the run started from.
        fingerprint: of the images, as `dino.data.loading.fingerprint` returns it.
        model: the network that is trained.
        ema: a network that holds the exponential moving average of its weights. Samples are drawn with this one.
        weights, ema_weights: the parameters of `model` and `ema`, in the same order.
        optimizer: AdamW with amsgrad, or Muon.
        nonfinite: keeps the optimizer from taking steps with nonfinite numbers.
        precision: the dtype of the convolutions, torch.float32 or torch.bfloat16.
        compiles: whether the network is fused by torch.compile.
        unlogged: the losses of the steps since `read_losses`.
        own_network, own_training: whether the network or the training step is a learner's own; see `CustomTrainer`.
    """

    own_network = own_training = False
    guidance = GUIDANCE  # of samples
    _to_unit: Callable[..., Tensor] = staticmethod(to_unit)
    _random_flip: Callable[..., Tensor] = staticmethod(random_flip)
    generate: Callable[..., Tensor] = staticmethod(sampler.generate)
    _drop_conditions: Callable[..., Tensor] = staticmethod(drop_conditions)
    _asking: Callable[..., nn.Module] = staticmethod(asking)

    def __init__(
        self,
        config: Config,
        *,
        device: torch.device | str = "auto",
        images: Tensor | LabeledImages | None = None,
        accumulate: int = 1,
        compile: bool | None = None,
        memory_map: bool | None = None,
        before_decoding: Callable[[Needs], None] = lambda _: None,
        start_from: Path | str | None = None,
    ) -> None:
        # The device, and how to compute on it.
        self.device = devices.choose_device(str(device), distributed.LOCAL_RANK, distributed.N_PROCESSES)
        self.config = config
        self.compiles = self.device.type == "cuda" if compile is None else compile
        distributed.check_shards(config.batch_size, accumulate)
        self.accumulate = accumulate

        # The training images, and their words.
        images = self._load_images(memory_map, before_decoding) if images is None else images
        labeled = images if isinstance(images, LabeledImages) else without_words(images)
        images, words, vocabulary = labeled.images, labeled.words, labeled.vocabulary
        check_images(images, config.channels, config.size)
        self.fingerprint = fingerprint(images)
        if not distributed.all_equal(int(self.fingerprint, 16), self.device):
            raise DinoError(f"the processes found different images in {config.data}. Give all machines the same images")
        stay = memory_map if memory_map is not None else not fits(images.nbytes, devices.free_memory(self.device))
        self.images = images if stay else images.to(self.device)
        self.image_file = labeled.file if self.images is images else None
        self.words = words.to(self.device)
        some = self.words[self.examples(min(N_WORD_SETS, len(words)))]
        self.word_sets = [row.nonzero().flatten().tolist() for row in some.cpu()] if vocabulary else []
        self.config = replace(self.config, vocabulary=vocabulary, max_words=len(vocabulary))
        self._mirrored = torch.tensor(mirrored_columns(vocabulary), dtype=torch.int64, device=self.device)
        self._left_right = torch.tensor([0.0, 1.0], device=self.device)  # two columns that a flip exchanges

        # The network, its EMA and the optimizer.
        devices.prepare(self.device)  # before the trial, which measures how fast a step is in this process
        with torch.random.fork_rng(devices=[]):  # the caller's random state stays as it was
            torch.manual_seed(config.seed)
            network = self._new_network()
            self.n_known_words = self._start_from(network, start_from) if start_from else 0
            self.trial = trial.choose(self.config, network, self.device)
        self.config = replace(self.config, **asdict(self.trial.method))
        self.precision = getattr(torch, self.config.precision)
        self.model = trial.apply(self.trial.method, network, self.device)
        self.ema = copy.deepcopy(self.model).requires_grad_(False)
        self.weights, self.ema_weights = list(self.model.parameters()), list(self.ema.parameters())
        self.optimizer = self._new_optimizer()
        self.nonfinite = NonfiniteCheck(self.optimizer, self.weights)

        # Progress.
        self.step = 0
        self.unlogged: list[Tensor] = []

    def _load_images(self, memory_map: bool | None, before_decoding: Callable[[Needs], None]) -> LabeledImages:
        """Load the training images. Of several processes one decodes them, and the others wait for it in the cache."""
        config = self.config
        if self.device.type != "cpu" or (memory_map is None and distributed.N_PROCESSES > 1):
            memory_map = True
        return load_labeled_images(
            config.data, config.size, vocabulary=config.vocabulary or None, max_words=config.max_words,
            channels=config.channels, split=config.split, part="training", memory_map=memory_map,
            before_decoding=before_decoding,
        )  # fmt: skip

    def _new_optimizer(self) -> torch.optim.Optimizer:
        config = self.config
        if config.optimizer == "muon":
            return muon_for(
                self.model, matrix_lr=config.matrix_learning_rate, lr=config.learning_rate,
                matrix_decay=config.matrix_decay,
            )  # fmt: skip
        return torch.optim.AdamW(self.weights, lr=config.learning_rate, amsgrad=True, fused=True)

    def _new_network(self) -> nn.Module:
        network: nn.Module = self.config.new_network()
        return network

    def _start_from(self, network: nn.Module, weights: Path | str) -> int:
        if self.own_network:
            raise DinoError(
                f"the weights of {weights} are for dino's UNet, and this run trains your own",
                settings={"mine": False, "start_from": False},
            )
        self.config = replace(self.config, start_from=str(weights))
        return fine_tuning.begin_with(network, self.config, weights)

    @property
    def images_seen(self) -> int:
        """The number of images seen so far, counting repeats."""
        return self.step * self.config.batch_size

    def autocast(self) -> torch.autocast:
        """Compute convolutions in the run's precision within this context. The weights stay float32."""
        return devices.autocast(self.precision, self.device)

    # ---- training ---------------------------------------------------------------------------------------------------

    def steps(self) -> Iterator[Tensor]:
        """Train to the end of the run, yielding after each step.

        Yields:
            The loss of the step, a scalar that stays on the device, because reading it would wait.

        Raises:
            DinoError: if there is not enough memory for a batch.
        """
        config = self.config
        images = f"{config.batch_size:,} image{'s' * (config.batch_size != 1)}"
        with devices.explaining_memory(f"a batch of {images}", self._smaller_batches()):
            network = self._fast_network()
            for clean in self._batches(self.step):
                if self.step >= config.n_steps:
                    return
                self._set_learning_rates(config.schedule_at(self.step))
                generator = seeded(self.device, config.seed, "noise", self.step)
                with devices.flushing_denormals():
                    loss = self._train_step(network, clean, self._condition(self.step), generator)
                self.step += 1
                self.nonfinite.count()
                self._update_ema(config.ema_decay_at(self.step))
                self.unlogged.append(loss)
                yield loss

    def _set_learning_rates(self, share: float) -> None:
        for group in self.optimizer.param_groups:
            group["lr"] = share * group.setdefault("initial_lr", group["lr"])

    def _batches(self, start: int) -> Iterator[Tensor]:
        config, functions = self.config, {"to_unit": self._to_unit, "random_flip": self._random_flip}
        if self.images.device == self.device and not self.image_file:
            return batches(self.images, config.batch_size, seed=config.seed, start=start, **functions)
        return batches_from_file(
            self.images, config.batch_size, seed=config.seed, start=start, device=self.device, **functions
        )

    def _condition(self, step: int) -> Tensor | None:
        """Return the words of the batch that follows `step` others, (batch_size, n_words), or None without words."""
        config = self.config
        if not config.vocabulary:
            return None
        chosen = batch_indices(
            len(self.images), config.batch_size, step, seed=config.seed, device=self.device
        )  # fmt: skip
        words = self.words[chosen].float()
        # Which images the batch mirrored: the same flips, of two columns that differ, show it.
        flips = seeded(self.device, config.seed, "flips", step)
        columns = self._random_flip(self._left_right.expand(len(words), 1, 1, 2), generator=flips)
        is_mirrored = columns[:, :, 0, 0] == 1
        words = torch.where(is_mirrored, words[:, self._mirrored], words)
        generator = seeded(self.device, config.seed, "words", step)
        if config.hide_words:
            words = hide_words(words, config.hide_words, generator=generator)
        return self._drop_conditions(words, config.drop_words, generator=generator)

    def _train_step(
        self, network: nn.Module, clean: Tensor, condition: Tensor | None, generator: torch.Generator
    ) -> Tensor:
        """Take a step like `training.train_step`, on this process's shard of the batch and its noise, in parts."""
        self.optimizer.zero_grad()
        noisy, noise_level = noising.add_noise(clean, self.config, generator=generator)
        whole = [clean, noisy, noise_level] if condition is None else [clean, noisy, noise_level, condition]
        shards = [distributed.shard(each).tensor_split(self.accumulate) for each in whole]
        losses = []
        for number, (clean, *inputs) in enumerate(zip(*shards, strict=True), start=1):
            with distributed.sharing_gradients(network, number == self.accumulate):
                with self.autocast():
                    denoised = network(*inputs)
                loss = noising.loss_of(denoised, clean, inputs[1], self.config)
                loss = loss * (len(clean) / self.config.batch_size)
                # Gradients are averaged over the processes, and their sum is needed.
                (loss * distributed.N_PROCESSES).backward()
            losses.append(loss.detach())
        self.optimizer.step()
        return distributed.summed(torch.stack(losses).sum())

    def _update_ema(self, decay: float) -> None:
        """Update the EMA like `training.update_average`, with all weights in one call."""
        get_ema_multi_avg_fn(decay)(self.ema_weights, self.weights, 0)

    def _fast_network(self) -> nn.Module:
        """Return the network to train: compiled if that pays, and sharing its gradients with the other processes."""
        network, parts = self.model, distributed.N_PROCESSES * self.accumulate
        if self.compiles:
            n = math.ceil(self.config.batch_size / parts)
            shape = (n, self.config.channels, self.config.size, self.config.size)
            example = [torch.rand(shape, device=self.device), torch.rand(n, 1, 1, 1, device=self.device)]
            if self.config.vocabulary:
                example.append(torch.rand(n, len(self.config.vocabulary), device=self.device))
            graphs = self.device.type == "cuda" and n < devices.SMALL_BATCH and parts == 1
            network = devices.compiled(network, example, self.autocast(), graphs=graphs)
        return distributed.synchronized(network, self.device)

    def _smaller_batches(self) -> dict[str, object]:
        """Return settings that need less memory. With `accumulate` the run stays the same."""
        settings: dict[str, object] = {"size": None}
        if self.config.batch_size > 1:
            settings = {"batch_size": self.config.batch_size // 2}
        parts = 2 * self.accumulate
        if not self.own_training and self.config.batch_size >= distributed.N_PROCESSES * parts:
            settings = {"accumulate": parts} | settings
        return settings

    def sample(self, n: int, *, fine: bool = False) -> Tensor:
        """Draw `n` images with the EMA: (n, C, size, size), in [0, 1], on the device.

        If there are words, the images are asked to show what the `examples` show. Every call starts from the same
        noise, so that a run's grids make an animation.

        Args:
            n: how many.
            fine: whether to draw as well as possible, if the sampler needs many steps for that.
        """
        shape = (self.config.channels, self.config.size, self.config.size)
        denoiser = self.ema
        if self.config.vocabulary:
            denoiser = self._asking(self.ema, self.words[self.examples(n)].float(), self.guidance)
        with self.autocast():
            generator = seeded(self.device, self.config.seed, "samples")
            if self.config.noise == "uniform":
                return self.generate(denoiser, n, image_shape=shape, generator=generator, **self._steps(fine=fine))
            noise = noising.draw_noise((n, *shape), self.config.noise, generator=generator, device=self.device)
            *_, last = sampler.denoise(denoiser, noise, **self._steps(fine=fine))
            return last.noisy.clamp(0, 1)

    def _steps(self, *, fine: bool) -> dict[str, Any]:  # noqa: ARG002 - ten steps are as fine as a hundred
        """Return the sampling steps, as arguments of `generate`."""
        schedule = warped_schedule(FEW)
        return {"schedule": schedule, "step_size": euler_at_final(step_sizes(schedule))}

    def examples(self, n: int) -> Tensor:
        """Return the indices of n training images, evenly spread, for a grid: int64, (n,), on the device."""
        return torch.arange(n, device=self.device) * len(self.images) // n

    def example_images(self, n: int) -> Tensor:
        """Return n training images, evenly spread: in [0, 1], (n, C, H, W), on the device."""
        return to_unit(self.images[self.examples(n).to(self.images.device)].to(self.device))

    # ---- saving and loading -----------------------------------------------------------------------------------------

    def metadata(self) -> dict[str, Any]:
        """Return the metadata of a saved file. docs/reference/files.md explains each entry."""
        return {
            "config": asdict(self.config),
            "step": self.step,
            "images_seen": self.images_seen,
            "n_training_images": len(self.images),
            "fingerprint": self.fingerprint,
            "precision": self.config.precision,
            "own_network": self.own_network,
            "word_sets": self.word_sets,
            "dino": VERSION,
        }

    @property
    def _networks(self) -> dict[str, nn.Module]:
        return {"model": self.model, "ema": self.ema}

    def save(self, folder: Path, loss: float) -> None:
        """Write state.safetensors and model.safetensors into a folder.

        Args:
            folder: the run folder.
            loss: the latest loss, for the metadata of the weights. NaN if there is none yet.

        Raises:
            DinoError: if a number is not finite any more (the files then stay as they were), or a file can't be
                written, for example because the disk is full.
        """
        self.check_finite()
        losses = torch.stack(self.unlogged) if self.unlogged else torch.empty(0)
        tensors, optimizer = checkpoint.state_of(self._networks, self.optimizer)
        state_metadata = self.metadata() | {"optimizer": optimizer}
        tensor_file.write(folder / STATE, "state", tensors | {"losses": losses}, state_metadata)
        known_loss = loss if math.isfinite(loss) else None
        save_model(folder / WEIGHTS, self._portable_network(), self.metadata() | {"loss": known_loss})

    def _portable_network(self) -> nn.Module:
        """Return the EMA as dino's own UNet, which anyone can load."""
        return self.ema

    def load(self, folder: Path) -> None:
        """Return to the state that is saved in a folder.

        Raises:
            DinoError: if there is no such state; or if it is of another network, of other images, or past the end of
                this run.
        """
        tensors, metadata = tensor_file.read(folder / STATE, "state")
        if (own := metadata.get("own_network", False)) != self.own_network:
            whose = "your own UNet" if own else "dino's UNet"
            raise DinoError(f"the run in {folder} trains {whose}", settings={"mine": own})
        step, losses, optimizer = metadata.get("step"), tensors.pop("losses", None), metadata.get("optimizer")
        if not isinstance(step, int) or step < 0 or losses is None or not isinstance(optimizer, dict):
            raise DinoError(f"{folder / STATE} does not say how far its run is. Use a copy that is whole")
        if metadata.get("fingerprint") != self.fingerprint:
            raise DinoError(
                f"the images of {self.config.data} are not those that the run in {folder} was trained on. "
                "Bring those images back, or start a new run"
            )
        if step > self.config.n_steps:
            seen = step * self.config.batch_size
            raise DinoError(
                f"the run has seen {seen:,} images already. Choose a later end", settings={"n_images": None}
            )
        checkpoint.restore(folder / STATE, tensors, optimizer, self._networks, self.optimizer)
        self.step, self.unlogged = step, list(losses.to(self.device))

    # ---- reading numbers, which waits for the device ----------------------------------------------------------------

    def read_losses(self) -> float:
        """Return the mean loss of the steps since the last call; there must be at least one.

        Raises:
            DinoError: if a number is not finite any more.
        """
        self.check_finite()
        mean = torch.stack(self.unlogged).mean().item()
        self.unlogged = []
        return mean

    def check_finite(self) -> None:
        """Stop a run whose numbers are not finite any more.

        Raises:
            DinoError: if a step had to be refused, or a weight is NaN or infinite.
        """
        self.nonfinite.check(self.step, self.unlogged, lambda step: next(self._batches(step)), self.config)
