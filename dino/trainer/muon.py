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
from torch.optim.adamw import adamw


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
        matrix_decay: the share of itself, times its learning rate, that a matrix loses in each step. All steps of Muon
            are equally long, so without it matrices grow in a long run, and more and more ReLUs are never active again.
        betas, eps, weight_decay: as for AdamW.

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
        matrix_decay: float = 0.0,
        betas: tuple[float, float] = (0.9, 0.99),
        eps: float = 1e-8,
        weight_decay: float = 0.01,
    ) -> None:
        muon = {
            "params": list(matrices), "lr": matrix_lr, "momentum": momentum, "iterations": iterations,
            "decay": matrix_decay,
        }  # fmt: skip
        adamw = {"params": list(others), "lr": lr, "betas": betas, "eps": eps, "weight_decay": weight_decay}
        super().__init__([muon, adamw], {})

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # type: ignore[override]  # noqa: ARG002 - torch's signature
        """Move all weights that have a gradient."""
        if self.found_inf is not None and self.found_inf.device.type == "cpu" and self.found_inf > 0:
            return  # on a GPU this would wait, so the updates are masked there
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
            last = is_channels_last(weight)
            shapes[weight.shape].append((as_matrix(weight, channels_last=last), as_matrix(update, channels_last=last)))
        stacks = [torch.stack([update for _, update in pairs]) for pairs in shapes.values()]
        # A learner's train_step calls this inside the trainer's autocast, which would round the products to bfloat16.
        # The iterations need all digits: rounded, they grow until they are infinite.
        with torch.autocast(weights[0].device.type, enabled=False):
            directions = orthogonalize(stacks, group["iterations"])
        if group["decay"]:
            kept = 1 - group["lr"] * group["decay"]
            torch._foreach_mul_(weights, kept if self.found_inf is None else torch.where(self.found_inf > 0, 1.0, kept))
        for pairs, updates in zip(shapes.values(), directions, strict=True):
            if self.found_inf is not None:
                updates = torch.where(self.found_inf > 0, 0.0, updates)
            rows, columns = updates.shape[1:]
            scale = max(1.0, rows / columns) ** 0.5
            torch._foreach_add_([matrix for matrix, _ in pairs], list(updates), alpha=-group["lr"] * scale)

    def _step_adamw(self, group: dict[str, Any]) -> None:
        weights = [weight for weight in group["params"] if weight.grad is not None]
        if not weights:
            return
        beta1, beta2 = group["betas"]
        adamw(
            weights, [weight.grad for weight in weights],
            [self._slot(weight, "exp_avg") for weight in weights],
            [self._slot(weight, "exp_avg_sq") for weight in weights],
            [], [self._slot(weight, "step", torch.zeros(())) for weight in weights],
            lr=group["lr"], beta1=beta1, beta2=beta2, eps=group["eps"], weight_decay=group["weight_decay"],
            amsgrad=False, maximize=False, fused=True, found_inf=self.found_inf,
        )  # fmt: skip

    def _slot(self, weight: Tensor, name: str, like: Tensor | None = None) -> Tensor:
        """Return a tensor that belongs to a weight: zeros like the weight or like another tensor, the first time."""
        state = self.state[weight]
        if name not in state:
            state[name] = torch.zeros_like(weight if like is None else like, device=weight.device)
        slot: Tensor = state[name]
        return slot


def as_matrix(weight: Tensor, *, channels_last: bool) -> Tensor:
    """Return a weight of shape (out, in, 3, 3) as a matrix, (out, 9 in), with its columns in the order of its memory.

    Muon does the same for every order of the columns, and in this order nothing has to be copied.
    """
    return (weight.permute(0, 2, 3, 1) if channels_last else weight).flatten(1)


def is_channels_last(weight: Tensor) -> bool:
    """Return whether a weight keeps the numbers of one input position together."""
    return weight.ndim == 4 and weight.is_contiguous(memory_format=torch.channels_last)


# The odd polynomial a x + b x^3 + c x^5, applied to a singular value again and again, brings it near 1. Its slope at 0
# is steep, so that small ones catch up fast. The price is that they end between 0.7 and 1.2. The numbers are Jordan's.
A, B, C = 3.4445, -4.7750, 2.0315


def orthogonalize(stacks: Sequence[Tensor], iterations: int = 5) -> list[Tensor]:
    """Return the nearest matrices with all singular values about 1: U V^T for matrices U S V^T.

    Newton-Schulz iterations do this with multiplications alone. A step multiplies X by a I + b X X^T + c (X X^T)^2.
    All these factors are polynomials of the first X X^T, which is square and small. So they are multiplied among
    themselves, and with the matrix itself only in the end. That takes less than half of the arithmetic, and all
    squares of one size go through it together, whatever the matrices' other side is.

    Args:
        stacks: matrices of one shape each: (N, rows, columns), float32.
        iterations: how many.

    Returns:
        The same shapes.
    """
    wide = [x if x.shape[1] <= x.shape[2] else x.mT for x in stacks]
    sizes = defaultdict(list)
    for index, x in enumerate(wide):
        sizes[x.shape[1]].append(index)
    found = list(stacks)
    for indices in sizes.values():
        factors = inverse_square_root(torch.cat([wide[i] @ wide[i].mT for i in indices]), iterations)
        for i, factor in zip(indices, factors.split([len(wide[i]) for i in indices]), strict=True):
            found[i] = factor @ wide[i]
    return [x if x.shape == like.shape else x.mT for x, like in zip(found, stacks, strict=True)]


def inverse_square_root(grams: Tensor, iterations: int) -> Tensor:
    """Return about (X X^T)^(-1/2), given X X^T: the factor that makes all singular values of X about 1.

    Args:
        grams: shape (N, rows, rows).
        iterations: how many.

    Returns:
        The same shape.
    """
    # The trace is the sum of the squared singular values. Divided by it, none is above 1.
    traces = grams.diagonal(dim1=1, dim2=2).sum(1)[:, None, None] + 1e-24
    grams = grams / traces
    product = None
    for iteration in range(iterations):
        factor = torch.baddbmm(grams, grams, grams, beta=B, alpha=C)
        factor.diagonal(dim1=1, dim2=2).add_(A)
        product = factor if product is None else factor @ product
        if iteration < iterations - 1:
            grams = factor @ grams @ factor
    assert product is not None
    return product / traces.sqrt()


def inner_matrices(network: nn.Module) -> list[nn.Parameter]:
    """Return the weights that Muon moves: those of all convolutions of a network but the first and the last."""
    return [weight for weight in network.parameters() if weight.ndim > 1][1:-1]


def muon_for(network: nn.Module, *, matrix_lr: float, lr: float, matrix_decay: float = 0.0) -> Muon:
    """Return the optimizer for a network: Muon for the layers inside it, AdamW for biases and the outer layers."""
    matrices = inner_matrices(network)
    inner = {id(weight) for weight in matrices}
    others = [weight for weight in network.parameters() if id(weight) not in inner]
    return Muon(matrices, others, matrix_lr=matrix_lr, lr=lr, matrix_decay=matrix_decay)
