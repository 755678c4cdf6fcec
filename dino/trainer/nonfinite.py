"""A guard at the optimizer: once a number is NaN or infinite no weight moves any more, and no step waits for it."""

import math
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.optim import Optimizer

from ..common.errors import DinoError


class Guard:
    """Keeps a fused optimizer from the first step whose gradients are not all finite, and from each step after it.

    A NaN in the pictures, the weights or the loss ends up in the gradients, too, so these are all it looks at.

    Args:
        weights: all that the optimizer moves.

    Attributes:
        broken: whether such a gradient has been seen; a scalar on the device of the weights.
        refused: in how many of the trainer's steps no weight could move; another one.
    """

    def __init__(self, optimizer: Optimizer, weights: Sequence[Tensor]) -> None:
        self.weights, self.refused = weights, torch.tensor(0, device=weights[0].device)
        self.broken = torch.tensor(False, device=weights[0].device)
        optimizer.register_step_pre_hook(self._before_a_step)

    @torch.no_grad()
    def _before_a_step(self, optimizer: Optimizer, *_: Any) -> None:
        norm = torch.nn.utils.get_total_norm([weight.grad for weight in self.weights if weight.grad is not None])
        self.broken |= ~norm.isfinite()
        # The optimizer skips its step where this is 1: it is how torch's own GradScaler has it skip one.
        optimizer.found_inf = self.broken.float()  # type: ignore[attr-defined]

    def count(self) -> None:
        """Count a step of the trainer, in which the optimizer may have taken several or none."""
        self.refused += self.broken

    def check(self, step: int, losses: list[Tensor], batch_at: Callable[[int], Tensor], remedy: str) -> None:
        """Tell if numbers are not finite any more: where it began, and what to do. This waits for the device.

        Args:
            step: steps done.
            losses: of the latest of them.
            batch_at: gives the clean images of the step after so many others.
            remedy: what to do, to end the sentence with.

        Raises:
            DinoError: a step had to be refused, or a weight is NaN or infinite.
        """
        weights_broken = not torch.stack([weight.detach().sum() for weight in self.weights]).isfinite().all()
        refused = min(int(self.refused), step)
        if not weights_broken and not refused:
            return
        loss = losses[-refused].item() if 0 < refused <= len(losses) else math.nan
        what = "a weight" if weights_broken else "a gradient" if math.isfinite(loss) else "the loss"
        if refused and not batch_at(step - refused).isfinite().all():
            what = "a picture"
        raise DinoError(
            f"at step {step - refused + 1 if refused else step} {what} was not a finite number, so the run stopped "
            f"before that step; what was saved last is good. {remedy}"
        )
