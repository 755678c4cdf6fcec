"""Right answers to lesson 03, each written in a different way. The grader must accept them all."""

import itertools
from collections.abc import Iterable, Iterator
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.optim import Optimizer

from dino import training
from dino.noise import add_noise, mix, sample_noise_levels
from tests.alternative_solutions import answers

Random = torch.Generator | None


@answers("denoising_loss")
def squares_and_mean(model: nn.Module, clean: Tensor, *, generator: Random = None) -> Tensor:
    noisy, noise_level = add_noise(clean, generator=generator)
    return ((model(noisy, noise_level) - clean) ** 2).mean()


@answers("denoising_loss")
def sum_and_count(model: nn.Module, clean: Tensor, *, generator: Random = None) -> Tensor:
    x, t = add_noise(clean, generator=generator)
    error = clean - model(x, t)
    return error.square().sum() / error.numel()


@answers("denoising_loss")
def image_after_image(model: nn.Module, clean: Tensor, *, generator: Random = None) -> Tensor:
    predictions = model(*add_noise(clean, generator=generator))
    total = torch.zeros((), dtype=clean.dtype)
    for prediction, target in zip(predictions, clean):
        total = total + (prediction - target).pow(2).mean()
    return total / len(clean)


@answers("denoising_loss")
def level_drawn_first(model: nn.Module, clean: Tensor, *, generator: Random = None) -> Tensor:
    level = sample_noise_levels(len(clean), generator=generator).to(clean)
    noise = torch.empty_like(clean).uniform_(generator=generator)
    noisy = mix(clean, noise, level)
    return nn.MSELoss()(model(noisy=noisy, noise_level=level), clean)


@answers("denoising_loss")
def by_dot_product(model: nn.Module, clean: Tensor, *, generator: Random = None) -> Tensor:
    noisy, level = add_noise(clean, generator=generator)
    off = (model.forward(noisy, level) - clean).flatten()
    return torch.dot(off, off) / off.shape[0]


@answers("denoising_loss")
def by_norm(model: nn.Module, clean: Tensor, *, generator: Random = None) -> Tensor:
    def draw(*shape: int) -> Tensor:
        return torch.rand(shape, generator=generator, dtype=clean.dtype, device=clean.device)

    images = []
    levels = []
    for image in clean:
        levels.append(draw(1, 1, 1))
        images.append((1 - levels[-1]) * image + levels[-1] * draw(*image.shape))
    denoised = model(torch.stack(images), torch.stack(levels))
    return torch.einsum("nchw,nchw->", denoised - clean, denoised - clean) / clean.numel()


@answers("denoising_loss")
def mean_of_means(model: nn.Module, clean: Tensor, *, generator: Random = None) -> Tensor:
    noisy, level = add_noise(clean.clone(), generator=generator)
    with torch.enable_grad():
        return F.mse_loss(model(noisy, level), clean, reduction="none").mean((2, 3)).mean(1).mean(0)


@answers("train_step")
def model_zero_grad(model: nn.Module, optimizer: Optimizer, clean: Tensor, *, generator: Random = None) -> float:
    model.train()
    loss = training.denoising_loss(model, clean, generator=generator)
    model.zero_grad()
    loss.backward()
    optimizer.step()
    return float(loss.detach())


@answers("train_step")
def cleared_before_and_after(
    model: nn.Module, optimizer: Optimizer, clean: Tensor, *, generator: Random = None
) -> float:
    optimizer.zero_grad(set_to_none=False)
    loss = training.denoising_loss(model.train(True), clean, generator=generator)
    loss.backward()
    optimizer.step()
    optimizer.zero_grad()
    return loss.detach().cpu().item()


@answers("train_step")
def with_a_closure(model: nn.Module, optimizer: Optimizer, clean: Tensor, *, generator: Random = None) -> float:
    def closure() -> float:
        optimizer.zero_grad()
        loss = training.denoising_loss(model, clean, generator=generator)
        loss.backward()
        return loss.item()

    model.train()
    return optimizer.step(closure)


@answers("train_step")
def by_autograd(model: nn.Module, optimizer: Optimizer, clean: Tensor, *, generator: Random = None) -> float:
    if not model.training:
        model.train()
    loss = training.denoising_loss(model, clean, generator=generator)
    weights = list(model.parameters())
    for weight, gradient in zip(weights, torch.autograd.grad(loss, weights)):
        weight.grad = gradient
    optimizer.step()
    return loss.tolist()


@answers("train_step")
def cleared_by_hand(model: nn.Module, optimizer: Optimizer, clean: Tensor, *, generator: Random = None) -> float:
    for module in model.modules():
        module.training = True
    for weight in model.parameters():
        weight.grad = None
    loss = training.denoising_loss(model, clean, generator=generator)
    value = loss.item()
    loss.backward()
    optimizer.step()
    return value


@answers("train_step")
def all_in_one(model: nn.Module, optimizer: Optimizer, clean: Tensor, *, generator: Random = None) -> float:
    model.train()
    noisy, noise_level = add_noise(clean, generator=generator)
    denoised = model(noisy, noise_level)
    loss = (denoised - clean).square().mean()
    for group in optimizer.param_groups:
        for weight in group["params"]:
            if weight.grad is not None:
                weight.grad.zero_()
    loss.backward()
    optimizer.step()
    return loss.detach().numpy().item()


@answers("update_average")
@torch.no_grad()
def weights(average: nn.Module, model: nn.Module, decay: float) -> None:
    for a, m in zip(average.parameters(), model.parameters()):
        a.mul_(decay).add_(m, alpha=1 - decay)
    for a, m in zip(average.buffers(), model.buffers()):
        a.copy_(m)


@answers("update_average")
def through_data(average: nn.Module, model: nn.Module, decay: float) -> None:
    for a, m in zip(average.parameters(), model.parameters()):
        a.data = decay * a.data + (1 - decay) * m.data
    for a, m in zip(average.buffers(), model.buffers()):
        a.data = m.data.clone()


@answers("update_average")
def by_name(average: nn.Module, model: nn.Module, decay: float) -> None:
    theirs = dict(model.named_parameters())
    for name, ours in average.named_parameters():
        ours.detach().sub_((1 - decay) * (ours.detach() - theirs[name].detach()))
    numbers = dict(model.named_buffers())
    for name, ours in average.named_buffers():
        ours.copy_(numbers[name])


@answers("update_average")
def by_state_dict(average: nn.Module, model: nn.Module, decay: float) -> None:
    learned = {name for name, _ in model.named_parameters()}
    ours, theirs = average.state_dict(), model.state_dict()
    mixed = {k: decay * ours[k] + (1 - decay) * theirs[k] if k in learned else theirs[k] for k in theirs}
    average.load_state_dict(mixed)


@answers("update_average")
def all_at_once(average: nn.Module, model: nn.Module, decay: float) -> None:
    with torch.inference_mode(False), torch.no_grad():
        torch._foreach_lerp_(list(average.parameters()), list(model.parameters()), 1 - decay)
        for ours, theirs in zip(average.buffers(), model.buffers()):
            ours.fill_(0).add_(theirs)


@answers("update_average")
def layer_by_layer(average: nn.Module, model: nn.Module, decay: float) -> None:
    def visit(ours: nn.Module, theirs: nn.Module) -> None:
        for a, m in zip(ours.parameters(recurse=False), theirs.parameters(recurse=False)):
            a.copy_(torch.lerp(m, a, decay))
        for a, m in zip(ours.buffers(recurse=False), theirs.buffers(recurse=False)):
            a.copy_(m)
        for a, m in zip(ours.children(), theirs.children()):
            visit(a, m)

    with torch.no_grad():
        visit(average, model)


@answers("update_average")
def kept_then_loaded(average: nn.Module, model: nn.Module, decay: float) -> None:
    kept = [weight.detach().clone() for weight in average.parameters()]
    average.load_state_dict(model.state_dict())
    with torch.no_grad():
        for weight, old in zip(average.parameters(), kept):
            weight += decay * (old - weight)


Batches = Iterable[Tensor]
Average = nn.Module | None


@answers("train")
def plain(
    model: nn.Module,
    optimizer: Optimizer,
    batches: Batches,
    *,
    average: Average = None,
    decay: float = 0.998,
    generator: Random = None,
) -> Iterator[float]:
    for batch in batches:
        value = training.train_step(model, optimizer, batch, generator=generator)
        if average:
            training.update_average(average, model, decay=decay)
        yield value


@answers("train")
def by_iterator(
    model: nn.Module,
    optimizer: Optimizer,
    batches: Batches,
    *,
    average: Average = None,
    decay: float = 0.998,
    generator: Random = None,
) -> Iterator[float]:
    stream = iter(batches)
    while True:
        try:
            clean = next(stream)
        except StopIteration:
            return
        loss = training.train_step(model, optimizer, clean, generator=generator)
        if isinstance(average, nn.Module):
            training.update_average(average, model, decay)
        yield loss


@answers("train")
def a_generator_within(
    model: nn.Module,
    optimizer: Optimizer,
    batches: Batches,
    *,
    average: Average = None,
    decay: float = 0.998,
    generator: Random = None,
) -> Iterator[float]:
    def step(clean: Tensor) -> float:
        loss = training.train_step(model, optimizer, clean, generator=generator)
        if average is not None:
            training.update_average(average, model, decay)
        return loss

    return (step(clean) for clean in batches)


@answers("train")
def from_another(
    model: nn.Module,
    optimizer: Optimizer,
    batches: Batches,
    *,
    average: Average = None,
    decay: float = 0.998,
    generator: Random = None,
) -> Iterator[float]:
    if average is None:
        yield from map(lambda clean: training.train_step(model, optimizer, clean, generator=generator), batches)
        return
    for clean in batches:
        loss = training.train_step(model, optimizer, clean, generator=generator)
        training.update_average(average, model, decay)
        yield loss


@answers("train")
def all_written_out(
    model: nn.Module,
    optimizer: Optimizer,
    batches: Batches,
    *,
    average: Average = None,
    decay: float = 0.998,
    generator: Random = None,
) -> Iterator[float]:
    for clean in batches:
        model.train()
        level = torch.rand(len(clean), 1, 1, 1, generator=generator).to(clean)
        noisy = torch.lerp(clean, torch.rand(clean.shape, generator=generator).to(clean), level)
        optimizer.zero_grad()
        loss = F.mse_loss(model(noisy, level), clean)
        loss.backward()
        optimizer.step()
        if average is not None:
            with torch.no_grad():
                for ours, theirs in zip(average.parameters(), model.parameters()):
                    ours.lerp_(theirs, 1 - decay)
                for ours, theirs in zip(average.buffers(), model.buffers()):
                    ours.copy_(theirs)
        yield loss.item()


@answers("train")
def counting_and_tidy(
    model: nn.Module,
    optimizer: Optimizer,
    batches: Batches,
    *,
    average: Average = None,
    decay: float = 0.998,
    **more: Any,
) -> Iterator[float]:
    done = 0
    try:
        for done, clean in zip(itertools.count(1), batches):
            loss = training.train_step(model, optimizer, clean, **more)
            if average is not None:
                training.update_average(average, model, decay)
            yield loss
    finally:
        assert done >= 0
