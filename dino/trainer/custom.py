"""A trainer made of other parts than dino's own: a learner's files, or broken ones, to show what goes wrong.

    trainer = CustomTrainer(PRESETS["quick"], parts=Parts(sampler=mine))

The parts that aren't given are dino's own.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from .. import denoiser, images, sampler, steering, training
from ..common.errors import DinoError
from ..denoiser import UNet
from ..steering import ConditionalDenoiser
from . import distributed
from .config import PLAIN, Config, leave_out_unused_outputs
from .trainer import Trainer


class Parts(NamedTuple):
    """The lesson files that a run uses: dino's own, or others with the same functions in them."""

    images: Any = images  # has `to_unit` and `random_flip`
    denoiser: Any = denoiser  # has `UNet`
    training: Any = training  # has `train_step` and `update_average`
    sampler: Any = sampler  # has `generate`
    steering: Any = steering  # has `ConditionalDenoiser`, `drop_conditions` and `asking`
    translate: Callable[[nn.Module, UNet], None] | None = None  # copies the weights of another UNet into dino's


class CustomTrainer(Trainer):
    """A `Trainer` that uses these parts in every step.

    A network that isn't dino's needs `translate` in its parts, because otherwise its saved weights can't be loaded
    again. Such a network isn't compiled by default.

    Args:
        config: the run's configuration.
        parts: the lesson files to use.
        options: `device`, `images`, `accumulate`, `compile` and the like, as for `Trainer`.

    Raises:
        DinoError: as `Trainer`; or if the training step is custom, and a batch would be split over processes or into
            parts.
    """

    def __init__(self, config: Config, *, parts: Parts, **options: Any) -> None:
        self.parts, self.own_network = parts, parts.translate is not None or parts.steering is not steering
        self.own_training = parts.training is not training
        accumulate = options.get("accumulate", 1)
        other = [f"{name} {getattr(config, name)}" for name in PLAIN if getattr(config, name) != PLAIN[name]]
        other += [f"flaws {config.flaws:g}"] if config.flaws else []
        if other:
            raise DinoError(
                "your own parts train with the noise, target, levels and weighting of the lessons and no flaws, "
                f"not {', '.join(other)}",
                settings={"mine": False, "preset": "quick"},
            )
        if self.own_training and distributed.N_PROCESSES * accumulate > 1:
            raise DinoError(
                "your own training step runs in one process and takes its batches whole",
                settings={"accumulate": False} if accumulate > 1 else {},
            )
        if self.own_network and options.get("compile") is None:
            options["compile"] = False
        super().__init__(config, **options)
        self.generate = parts.sampler.generate
        self._to_unit, self._random_flip = parts.images.to_unit, parts.images.random_flip
        self._asking, self._drop_conditions = parts.steering.asking, parts.steering.drop_conditions

    def _new_network(self) -> nn.Module:
        parts = self.parts
        network: nn.Module = self.config.new_network(parts.denoiser.UNet, parts.steering.ConditionalDenoiser)
        if self.own_network:  # under autocast it may return bfloat16, where dino's returns the dtype of its input
            network.register_forward_hook(lambda _, inputs, denoised: denoised.to(inputs[0].dtype))
        return network

    def _train_step(
        self, network: nn.Module, clean: Tensor, condition: Tensor | None, generator: torch.Generator
    ) -> Tensor:
        if not self.own_training:
            return super()._train_step(network, clean, condition, generator)
        # A learner's step knows nothing of words.
        model = network if condition is None else self._asking(network, condition)
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
        n_words = len(self.config.vocabulary)
        if not self.own_network:
            return self.ema
        if not n_words:
            return self._plain(self.ema)
        return ConditionalDenoiser(self._plain(self._inner(self.ema)), n_words)

    def _inner(self, network: nn.Module) -> nn.Module:
        """Return the UNet in a conditional denoiser. A learner's own may call it anything."""
        if self.parts.steering is steering:
            return network.get_submodule("unet")
        return next(module for module in network.modules() if isinstance(module, self.parts.denoiser.UNet))

    def _plain(self, own: nn.Module) -> nn.Module:
        """Return dino's UNet with the weights of another one, without the outputs that aren't used."""
        if self.parts.translate is None:
            return own
        config = self.config
        plain = UNet(config.channels + len(config.vocabulary), config.widths, config.depths).to(self.device)
        self.parts.translate(own, plain)
        if config.vocabulary:
            leave_out_unused_outputs(plain, config.channels)
        return plain
