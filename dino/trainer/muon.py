"""Muon: an optimizer that moves a weight matrix by the same amount in every direction.

A gradient is large in a few directions of a matrix and tiny in all others, so a plain step hardly moves the others.
Muon (Jordan et al. 2024, kellerjordan.github.io/posts/muon) takes the nearest matrix whose singular values are all 1,
and steps along that.
"""

from collections import defaultdict
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer


class Muon(Optimizer):
    """Muon for the convolutions inside a network, AdamW for everything else.

    Args:
        matrices: the weights of convolutions or linear layers. A weight of shape (out, in, 3, 3) counts as a matrix of
            out rows and 9 in columns.
        others: biases, and the first and the last layer, whose numbers are colors.
        matrix_lr: how far a step moves a matrix.
        lr: how far a step moves the other weights.
        momentum: the share of itself that the mean of past gradients keeps at each step.
        iterations: of Newton-Schulz; see `orthogonalize`.
        betas, eps, weight_decay: as for AdamW. Matrices don't decay.

    Attributes:
        found_inf: 1 if no weight may move, a tensor; set by `NonfiniteCheck`.
    """

    found_inf: Tensor | None = None

    def __init__(
        self,
        matrices: Sequence[Tensor],
        others: Sequence[Tensor],
        *,
        matrix_lr: float,
        lr: float,
        momentum: float = 0.95,
        iterations: int = 5,
        betas: tuple[float, float] = (0.9, 0.99),
        eps: float = 1e-8,
        weight_decay: float = 0.01,
    ) -> None:
        muon = {"params": list(matrices), "lr": matrix_lr, "momentum": momentum, "iterations": iterations}
        adamw = {"params": list(others), "lr": lr, "betas": betas, "eps": eps, "weight_decay": weight_decay}
        super().__init__([muon, adamw], {})

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # type: ignore[override]  # noqa: ARG002 - torch's signature
        """Move all weights that have a gradient."""
        if self.found_inf is not None and self.found_inf.device.type == "cpu" and self.found_inf > 0:
            return  # on a GPU this would wait, so `_allowed` keeps the weights there
        muon, adamw = self.param_groups
        self._step_muon(muon)
        self._step_adamw(adamw)

    def _step_muon(self, group: dict[str, Any]) -> None:
        weights = [weight for weight in group["params"] if weight.grad is not None]
        if not weights:
            return
        gradients = [weight.grad for weight in weights]
        means = [self._slot(weight, "momentum") for weight in weights]
        torch._foreach_lerp_(means, gradients, 1 - group["momentum"])
        ahead = torch._foreach_lerp(gradients, means, group["momentum"])  # Nesterov's momentum

        shapes = defaultdict(list)  # matrices of one shape go through each multiplication together
        for weight, update in zip(weights, ahead, strict=True):
            shapes[weight.shape].append((weight, update))
        for shape, pairs in shapes.items():
            updates = torch.stack([update for _, update in pairs])
            updates = orthogonalize(updates.flatten(2), group["iterations"]).view_as(updates)
            rows, columns = shape[0], shape[1:].numel()
            for (weight, _), update in zip(pairs, self._allowed(updates), strict=True):
                weight.add_(update, alpha=-group["lr"] * max(1.0, rows / columns) ** 0.5)

    def _step_adamw(self, group: dict[str, Any]) -> None:
        weights = [weight for weight in group["params"] if weight.grad is not None]
        beta1, beta2 = group["betas"]
        for weight in weights:
            mean, square = self._slot(weight, "mean"), self._slot(weight, "square")
            state = self.state[weight]
            state["step"] = state.get("step", 0) + 1
            mean.lerp_(weight.grad, 1 - beta1)
            square.lerp_(weight.grad.square(), 1 - beta2)
            scale = (square / (1 - beta2 ** state["step"])).sqrt_().add_(group["eps"])
            update = mean / scale / (1 - beta1 ** state["step"]) + weight * group["weight_decay"]
            weight.add_(self._allowed(update), alpha=-group["lr"])

    def _slot(self, weight: Tensor, name: str) -> Tensor:
        """Return a tensor that belongs to a weight: zeros, the first time."""
        state = self.state[weight]
        if name not in state:
            state[name] = torch.zeros_like(weight)
        slot: Tensor = state[name]
        return slot

    def _allowed(self, update: Tensor) -> Tensor:
        """Return an update, or zeros if no weight may move. Nothing waits for the device to find out."""
        return update if self.found_inf is None else torch.where(self.found_inf > 0, 0.0, update)


# The odd polynomial a x + b x^3 + c x^5, applied to a singular value again and again, brings it near 1. Its slope at 0
# is steep, so that small ones catch up fast. The price is that they end between 0.7 and 1.2. The numbers are Jordan's.
A, B, C = 3.4445, -4.7750, 2.0315


def orthogonalize(matrices: Tensor, iterations: int = 5) -> Tensor:
    """Return the nearest matrices with all singular values about 1: U V^T for matrices U S V^T.

    Newton-Schulz iterations do this with multiplications alone. A step multiplies X by a I + b X X^T + c (X X^T)^2.
    All these factors are polynomials of the first X X^T, which is square and small. So they are multiplied among
    themselves, and with the matrix itself only in the end. That takes less than half of the arithmetic.

    Args:
        matrices: shape (N, rows, columns), float32.
        iterations: how many.

    Returns:
        The same shape.
    """
    if matrices.shape[1] > matrices.shape[2]:
        return orthogonalize(matrices.mT, iterations).mT
    x = matrices / (matrices.norm(dim=(1, 2), keepdim=True) + 1e-12)
    gram = x @ x.mT
    identity = torch.eye(gram.shape[1], device=gram.device, dtype=gram.dtype)
    product = identity.expand_as(gram)
    for _ in range(iterations):
        factor = A * identity + B * gram + C * (gram @ gram)
        product = factor @ product
        gram = factor @ gram @ factor
    return product @ x


def muon_for(network: nn.Module, *, matrix_lr: float, lr: float) -> Muon:
    """Return the optimizer for a network: Muon for the layers inside it, AdamW for biases and the outer layers."""
    matrices = [weight for weight in network.parameters() if weight.ndim > 1][1:-1]
    inner = {id(weight) for weight in matrices}
    return Muon(matrices, [w for w in network.parameters() if id(w) not in inner], matrix_lr=matrix_lr, lr=lr)
