"""Protection from nonfinite numbers. After a NaN or an infinity no weight moves any more.

No step waits for the device to find out.
"""

import math
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.optim import Optimizer

from ..common.errors import DinoError
from .config import Config


class NonfiniteCheck:
    """Keeps a fused optimizer from the first step whose gradients are not all finite, and from every later step.

    A NaN in the images, the weights or the loss reaches the gradients, so it is enough to look at the gradients.

    Args:
        optimizer: a fused optimizer of torch.
        weights: all the weights that the optimizer moves.

    Attributes:
        broken: whether a nonfinite gradient has been seen; a scalar on the device of the weights.
        refused: the number of the trainer's steps in which no weight could move; another such scalar.
    """

    def __init__(self, optimizer: Optimizer, weights: Sequence[Tensor]) -> None:
        self.weights, self.refused = weights, torch.tensor(0, device=weights[0].device)
        self.broken = torch.tensor(False, device=weights[0].device)
        optimizer.register_step_pre_hook(self._before_step)

    @torch.no_grad()
    def _before_step(self, optimizer: Optimizer, *_: Any) -> None:
        norm = torch.nn.utils.get_total_norm([weight.grad for weight in self.weights if weight.grad is not None])
        self.broken |= ~norm.isfinite()
        # The optimizer skips its step where this is 1, as torch's own GradScaler makes it do. Not on MPS before torch
        # 2.13 or so: weights become NaN there, and `check` finds them before they are saved.
        optimizer.found_inf = self.broken.float()  # type: ignore[attr-defined]

    def count(self) -> None:
        """Count a step of the trainer, in which the optimizer may have taken several steps or none."""
        self.refused += self.broken

    def check(self, step: int, losses: list[Tensor], batch_at: Callable[[int], Tensor], config: Config) -> None:
        """Raise an error that says where numbers stopped being finite. This waits for the device.

        Args:
            step: the number of steps done.
            losses: the losses of the latest of these steps.
            batch_at: returns the clean images of the step that follows a number of others.
            config: the run's configuration.

        Raises:
            DinoError: if a step was refused, or a weight is NaN or infinite.
        """
        weights_broken = not torch.stack([weight.detach().sum() for weight in self.weights]).isfinite().all()
        refused = min(int(self.refused), step)
        if not weights_broken and not refused:
            return
        loss = losses[-refused].item() if 0 < refused <= len(losses) else math.nan
        what = "a weight" if weights_broken else "a gradient" if math.isfinite(loss) else "the loss"
        if refused and not batch_at(step - refused).isfinite().all():
            what = "an image"
        name = "matrix_learning_rate" if config.optimizer == "muon" else "learning_rate"
        rate = getattr(config, name)
        remedy, settings = f"Start again with a lower learning rate than {rate:g}", {name: f"{rate / 2:g}"}
        if config.precision != "float32":
            remedy, settings = f"{remedy}, or in float32", settings | {"precision": "float32"}
        raise DinoError(
            f"at step {step - refused + 1 if refused else step} {what} was not a finite number, so the run stopped "
            f"before that step. The last save is good. {remedy}",
            settings=settings,
        )
