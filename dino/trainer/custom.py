"""A trainer made of other parts than dino's own: a learner's files, or broken ones, to show what goes wrong.

    trainer = CustomTrainer(PRESETS["quick"], parts=Parts(sampler=mine))

The parts that aren't given are dino's own.
"""

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from .. import denoiser, images, sampler, training
from ..common.errors import DinoError
from ..denoiser import UNet
from ..images import batches
from ..steering import ConditionalDenoiser, asking
from . import distributed
from .config import Config, leave_out_unused_outputs
from .trainer import Trainer


class Parts(NamedTuple):
    """The lesson files that a run uses: dino's own, or others with the same functions in them."""

    images: Any = images  # has `to_unit` and `random_flip`
    denoiser: Any = denoiser  # has `UNet`
    training: Any = training  # has `train_step` and `update_average`
    sampler: Any = sampler  # has `generate`
    translate: Callable[[nn.Module, UNet], None] | None = None  # copies the weights of another UNet into dino's


class CustomTrainer(Trainer):
    """A `Trainer` that uses these parts in every step.

    A network that isn't dino's needs `translate` in its parts, because otherwise its saved weights can't be loaded
    again. Such a network isn't compiled by default.

    Args:
        config: the run's configuration.
        parts: the lesson files to use.
        options: `device`, `images`, `accumulate` and `compile`, as for `Trainer`.

    Raises:
        DinoError: as `Trainer`; or if the training step is custom, and a batch would be split over processes or into
            parts.
    """

    def __init__(self, config: Config, *, parts: Parts, **options: Any) -> None:
        self.parts, self.own_network = parts, parts.translate is not None
        self.own_training = parts.training is not training
        accumulate = options.get("accumulate", 1)
        if self.own_training and distributed.N_PROCESSES * accumulate > 1:
            raise DinoError(
                "your own training step runs in one process and takes its batches whole",
                settings={"accumulate": False} if accumulate > 1 else {},
            )
        if self.own_network and options.get("compile") is None:
            options["compile"] = False
        super().__init__(config, **options)
        self.generate = parts.sampler.generate
        self._random_flip = parts.images.random_flip

    def _new_network(self) -> nn.Module:
        network: nn.Module = self.config.new_network(self.parts.denoiser.UNet)
        if self.own_network:  # under autocast it may return bfloat16, where dino's returns the dtype of its input
            network.register_forward_hook(lambda _, inputs, denoised: denoised.to(inputs[0].dtype))
        return network

    def _batches(self, start: int) -> Iterator[Tensor]:
        own, config = self.parts.images, self.config
        changes = {"to_unit": own.to_unit, "random_flip": own.random_flip}
        return batches(self.images, config.batch_size, seed=config.seed, start=start, **changes)

    def _train_step(
        self, network: nn.Module, clean: Tensor, condition: Tensor | None, generator: torch.Generator
    ) -> Tensor:
        if not self.own_training:
            return super()._train_step(network, clean, condition, generator)
        # A learner's step knows nothing of words.
        model = network if condition is None else asking(network, condition)
        with self.autocast():
            loss = self.parts.training.train_step(model, self.optimizer, clean, generator=generator)
        return torch.tensor(loss, device=self.device)

    def _update_ema(self, decay: float) -> None:
        if self.own_training:
            self.parts.training.update_average(self.ema, self.model, decay)
        else:
            super()._update_ema(decay)

    def _steps(self, *, fine: bool) -> dict[str, Any]:
        if self.parts.sampler is sampler:
            return super()._steps(fine=fine)
        return {"n_steps": 100 if fine else 25}  # a learner's `generate` knows even steps only

    def _portable_network(self) -> nn.Module:
        if self.parts.translate is None:
            return self.ema
        config, n_words = self.config, len(self.config.vocabulary)
        plain = UNet(config.channels + n_words, config.widths, config.depths).to(self.device)
        if not n_words:
            self.parts.translate(self.ema, plain)
            return plain
        self.parts.translate(self.ema.get_submodule("unet"), plain)
        leave_out_unused_outputs(plain, config.channels)
        return ConditionalDenoiser(plain, n_words)
