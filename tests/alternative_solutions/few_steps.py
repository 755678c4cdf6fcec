"""Alternative solutions for lesson 07, each written differently. The grader must accept all of them."""

import copy
import math
from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from dino.few_steps import distillation_target as target_of
from dino.noise import mix
from dino.sampler import denoise, generate, noise_schedule, remix
from tests.alternative_solutions import answers

Generator = torch.Generator | None


# ---- warped_schedule ------------------------------------------------------------------------------------------------


def refuse(n_steps: int, warp: float) -> None:
    if n_steps < 1 or not warp > 0:
        raise ValueError


@answers("warped_schedule")
def with_names(n_steps: int, warp: float = 0.5) -> Tensor:
    refuse(n_steps, warp)
    x = torch.linspace(1, 0, n_steps + 1)
    return x * (1 + warp) / (x + warp)


@answers("warped_schedule")
def one_after_the_other(n_steps: int, warp: float = 0.5) -> Tensor:
    refuse(n_steps, warp)
    levels = []
    for i in range(n_steps, -1, -1):
        x = i / n_steps
        levels.append((1 + warp) * x / (x + warp))
    return torch.tensor(levels)


@answers("warped_schedule")
def counted_in_steps(n_steps: int, warp: float = 0.5) -> Tensor:
    refuse(n_steps, warp)
    left = torch.arange(n_steps, -1, -1)  # steps that are left: left / n_steps is the even level
    return left * (1 + warp) / (left + warp * n_steps)


@answers("warped_schedule")
def from_the_other_end(n_steps: int, warp: float = 0.5) -> Tensor:
    refuse(n_steps, warp)
    done = torch.linspace(0, 1, n_steps + 1)
    return 1 - warp * done / (1 - done + warp)


@answers("warped_schedule")
def by_numpy(n_steps: int, warp: float = 0.5) -> Tensor:
    refuse(n_steps, warp)
    x = np.linspace(1, 0, n_steps + 1)
    return torch.from_numpy(x * (1 + warp) / (x + warp)).float()


@answers("warped_schedule")
def a_harmonic_blend(n_steps: int, warp: float = 0.5) -> Tensor:
    refuse(n_steps, warp)
    x = noise_schedule(n_steps)
    levels = torch.zeros_like(x)
    levels[:-1] = (1 + warp) / (1 + warp / x[:-1])
    return levels


@answers("warped_schedule")
def asked_after(n_steps: int, warp: float = 0.5) -> Tensor:
    x = noise_schedule(n_steps)
    if warp <= 0:
        raise ValueError("no such warp")
    return x.mul(1 + warp).div(x.add(warp))


# ---- step_sizes -----------------------------------------------------------------------------------------------------


@answers("step_sizes")
def in_a_loop(schedule: Tensor) -> Tensor:
    levels, sizes = schedule.tolist(), [1.0]
    for k in range(1, len(levels) - 1):
        p, t, s = levels[k - 1], levels[k], levels[k + 1]
        mean = s * t * math.log(t / s) / (t - s) if s > 0 else 0.0
        sizes.append((p - mean) / (p - t))
    return torch.tensor(sizes, dtype=schedule.dtype)


@answers("step_sizes")
def one_plus_a_correction(schedule: Tensor) -> Tensor:
    u = schedule.double()
    p, t, s = u[:-2], u[1:-1], u[2:]
    r = s / t
    c = t * (1 - r + torch.xlogy(r, r)) / ((p - t) * (1 - r))
    return torch.cat([torch.ones(1).double(), 1 + c]).to(schedule.dtype)


@answers("step_sizes")
def zero_by_where(schedule: Tensor) -> Tensor:
    u = schedule.to(torch.float64)
    t, s = u[1:-1], u[2:]
    logarithm = torch.where(s > 0, s * torch.log(t / s.clamp(min=1e-300)), 0.0)
    mean = t * logarithm / (t - s)
    sizes = torch.ones(len(u) - 1, dtype=torch.float64)
    sizes[1:] = (u[:-2] - mean) / (u[:-2] - t)
    return sizes.to(schedule.dtype)


@answers("step_sizes")
def by_the_solution_itself(schedule: Tensor) -> Tensor:
    """Solve for x = 0 at level t and predictions 0 at p and 1 at t, and see which guess leads there."""
    u = schedule.double()
    sizes = [1.0]
    for p, t, s in zip(u[:-2].tolist(), u[1:-1].tolist(), u[2:].tolist(), strict=True):
        # D = (p - u) / (p - t), and x / s is the integral of D / u^2 from s to t.
        x = (p * (1 - s / t) - (s * math.log(t / s) if s else 0)) / (p - t)
        sizes.append(x / (1 - s / t))
    return schedule.new_tensor(sizes)


@answers("step_sizes")
def by_adding_up(schedule: Tensor) -> Tensor:
    """The mean level of many pieces of the step, each counted by 1 / u^2, without a logarithm."""
    u, sizes = schedule.double(), [1.0]
    for p, t, s in zip(u[:-2].tolist(), u[1:-1].tolist(), u[2:].tolist(), strict=True):
        if s == 0:
            mean = 0.0
        else:
            borders = np.geomspace(s, t, 1001)
            weights = 1 / borders[:-1] - 1 / borders[1:]
            mean = float((weights * np.sqrt(borders[:-1] * borders[1:])).sum() / weights.sum())
        sizes.append((p - mean) / (p - t))
    return schedule.new_tensor(sizes)


@answers("step_sizes")
def by_numpy_arrays(schedule: Tensor) -> Tensor:
    u = schedule.numpy().astype("float64")
    p, t, s = u[:-2], u[1:-1], u[2:]
    with np.errstate(divide="ignore", invalid="ignore"):
        mean = np.nan_to_num(s * t * np.log(t / s) / (t - s))
    return torch.from_numpy(np.concatenate([[1.0], (p - mean) / (p - t)])).to(schedule)


@answers("step_sizes")
def with_log1p(schedule: Tensor) -> Tensor:
    u = schedule.double()
    sizes = u.new_ones(len(u) - 1)
    for k, ((p, t), (_, s)) in enumerate(pairwise(pairwise(u)), 1):
        sizes[k] = (p - (0 if s == 0 else -s * torch.log1p((s - t) / t) / (1 - s / t))) / (p - t)
    return sizes.to(schedule)


# ---- distillation_target --------------------------------------------------------------------------------------------


@answers("distillation_target")
def solved_for_the_guess(teacher: nn.Module, x: Tensor, t: Tensor, m: Tensor, s: Tensor) -> Tensor:
    with torch.no_grad():
        halfway = remix(x, teacher(x, t), t, m)
        arrived = remix(halfway, teacher(halfway, m), m, s)
    return (arrived - s / t * x) / (1 - s / t)


@answers("distillation_target")
def two_weights(teacher: nn.Module, noisy: Tensor, noise_level: Tensor, middle: Tensor, next_level: Tensor) -> Tensor:
    with torch.no_grad():
        first = teacher(noisy, noise_level)
        second = teacher(first + middle / noise_level * (noisy - first), middle)
    a, b = middle / noise_level, next_level / middle
    return (b * (1 - a) * first + (1 - b) * second) / (1 - a * b)


@answers("distillation_target")
@torch.no_grad()
def by_levels_alone(
    teacher: nn.Module, noisy: Tensor, noise_level: Tensor, middle: Tensor, next_level: Tensor
) -> Tensor:
    first = teacher(noisy, noise_level)
    second = teacher(remix(noisy, first, noise_level, middle), middle)
    weight = noise_level * (middle - next_level) / (middle * (noise_level - next_level))
    return weight * second + (1 - weight) * first


@answers("distillation_target")
def in_the_paper_s_symbols(teacher: nn.Module, z: Tensor, t: Tensor, middle: Tensor, s: Tensor) -> Tensor:
    """Salimans and Ho 2022, algorithm 2, with alpha = 1 - t and sigma = t."""
    with torch.no_grad():
        x = teacher(z, t)
        z_half = (1 - middle) * x + middle / t * (z - (1 - t) * x)
        x = teacher(z_half, middle)
        z_end = (1 - s) * x + s / middle * (z_half - (1 - middle) * x)
    return (z_end - s / t * z) / ((1 - s) - s / t * (1 - t))


@answers("distillation_target")
def image_by_image(
    teacher: nn.Module, noisy: Tensor, noise_level: Tensor, middle: Tensor, next_level: Tensor
) -> Tensor:
    levels = [level.expand(len(noisy), 1, 1, 1) for level in (noise_level, middle, next_level)]
    targets = []
    for k in range(len(noisy)):
        one, (t, m, s) = noisy[k : k + 1], (level[k].item() for level in levels)
        *_, last = denoise(teacher, one, [t, m, s], 1.0)
        targets.append((last.noisy - s / t * one) / (1 - s / t))
    return torch.cat(targets).detach()


@answers("distillation_target")
def with_detach(teacher: nn.Module, noisy: Tensor, noise_level: Tensor, middle: Tensor, next_level: Tensor) -> Tensor:
    was = torch.is_grad_enabled()
    torch.set_grad_enabled(False)
    try:
        guesses, mixed = [], noisy.clone()
        for now, after in pairwise((noise_level, middle, next_level)):
            guesses.append(teacher(mixed, now))
            mixed = torch.lerp(guesses[-1], mixed, after / now)
    finally:
        torch.set_grad_enabled(was)
    share = (1 - next_level / middle) / (1 - next_level / noise_level)
    return guesses[0].detach() + share * (guesses[1] - guesses[0]).detach()


@answers("distillation_target")
@torch.inference_mode()
def in_inference_mode(
    teacher: nn.Module, noisy: Tensor, noise_level: Tensor, middle: Tensor, next_level: Tensor
) -> Tensor:
    first = teacher(noisy, noise_level)
    second = teacher(torch.lerp(noisy, first, 1 - middle / noise_level), middle)
    return torch.lerp(second, first, next_level / middle * (1 - middle / noise_level) / (1 - next_level / noise_level))


# ---- distill_step ---------------------------------------------------------------------------------------------------


@answers("distill_step")
def noise_first(student, teacher, optimizer, clean, schedule, *, generator=None):
    optimizer.zero_grad(set_to_none=False)
    noise = torch.rand(clean.shape, generator=generator, device=clean.device, dtype=clean.dtype)
    which = torch.randint((len(schedule) - 1) // 2, (clean.shape[0],), generator=generator, device=clean.device) * 2
    t, m, s = (schedule[which + k].to(clean)[:, None, None, None] for k in range(3))
    noisy = (1 - t) * clean + t * noise
    loss = (target_of(teacher, noisy, t, m, s) - student(noisy, t)).pow(2).mean()
    loss.backward()
    optimizer.step()
    return float(loss.detach())


@answers("distill_step")
def with_its_own_target(
    student: nn.Module, teacher: nn.Module, optimizer: Optimizer, clean: Tensor, schedule: Tensor,
    *, generator: Generator = None,
) -> float:  # fmt: skip
    n = len(schedule) // 2
    step = torch.multinomial(torch.ones(n), len(clean), replacement=True, generator=generator)
    t, m, s = schedule.view(-1, 1, 1, 1).to(clean)[torch.stack([2 * step, 2 * step + 1, 2 * step + 2])]
    noisy = torch.lerp(clean, torch.empty_like(clean).uniform_(generator=generator), t)
    with torch.no_grad():
        halfway = remix(noisy, teacher(noisy, t), t, m)
        end = remix(halfway, teacher(halfway, m), m, s)
        target = (end - s / t * noisy) / (1 - s / t)
    optimizer.zero_grad()
    loss = nn.functional.mse_loss(student(noisy, t), target)
    loss.backward()
    optimizer.step()
    return loss.item()


@answers("distill_step")
def rows_of_levels(student, teacher, optimizer, clean, schedule, *, generator=None):
    rows = torch.stack([schedule[:-2:2], schedule[1:-1:2], schedule[2::2]], dim=1).to(clean)
    chosen = rows[(torch.rand(len(clean), generator=generator) * len(rows)).long()]
    t, m, s = (column.reshape(-1, 1, 1, 1) for column in chosen.unbind(1))
    noisy = mix(clean, torch.rand(*clean.shape, generator=generator).to(clean), t)
    with torch.enable_grad():
        loss = torch.mean(torch.square(student(noisy, t) - target_of(teacher, noisy, t, m, s)))
        for group in optimizer.param_groups:
            for weight in group["params"]:
                weight.grad = None
        loss.backward()
    optimizer.step()
    return loss.detach().cpu().item()


@answers("distill_step")
def picture_by_picture(student, teacher, optimizer, clean, schedule, *, generator=None):
    """Each picture goes through the networks by itself, and the gradients add up."""
    optimizer.zero_grad()
    total = 0.0
    levels = [torch.full((1, 1, 1, 1), x).to(clean) for x in schedule.tolist()]
    for picture in clean.split(1):
        k = 2 * int(torch.randint(len(levels) // 2, (), generator=generator))
        noise = torch.rand(picture.shape, generator=generator, dtype=clean.dtype)
        noisy = mix(picture, noise, levels[k])
        target = target_of(teacher, noisy, *levels[k : k + 3])
        loss = (student(noisy, levels[k]) - target).square().mean() / len(clean)
        loss.backward()
        total += loss.item()
    optimizer.step()
    return total


@answers("distill_step")
def a_frozen_copy_teaches(student, teacher, optimizer, clean, schedule, *, generator=None):
    frozen = copy.deepcopy(teacher).requires_grad_(False).eval()
    steps = list(zip(schedule[:-1:2].tolist(), schedule[1::2].tolist(), schedule[2::2].tolist(), strict=True))
    drawn = torch.randint(0, len(steps), [len(clean)], generator=generator).tolist()
    t, m, s = torch.tensor([steps[k] for k in drawn]).to(clean).T.reshape(3, -1, 1, 1, 1)
    noise = torch.rand(clean.size(), generator=generator, dtype=clean.dtype)
    noisy = t * noise + (1 - t) * clean
    target = target_of(frozen, noisy, t, m, s)
    optimizer.zero_grad()
    (loss := (student(noisy, t) - target).square().mean()).backward()
    optimizer.step()
    return loss.item()


@answers("distill_step")
def by_gradients(student, teacher, optimizer, clean, schedule, *, generator=None):
    steps = torch.randint(len(schedule) // 2, (len(clean), 1, 1, 1), generator=generator)
    t, m, s = (schedule.to(clean)[2 * steps + k] for k in (0, 1, 2))
    noisy = clean.lerp(torch.rand(clean.shape, generator=generator, dtype=clean.dtype), t)
    loss = nn.MSELoss()(student(noisy, t), target_of(teacher, noisy, t, m, s))
    weights = [weight for weight in student.parameters() if weight.requires_grad]
    for weight, gradient in zip(weights, torch.autograd.grad(loss, weights), strict=True):
        weight.grad = gradient
    optimizer.step()
    return loss.item()


# ---- one_step -------------------------------------------------------------------------------------------------------


@answers("one_step")
def by_generate(student, n_images, *, image_shape, generator=None):
    return generate(student, n_images, image_shape=image_shape, n_steps=1, step_size=1.0, generator=generator)


@answers("one_step")
@torch.no_grad()
def by_denoise(student: nn.Module, n_images: int, *, image_shape: Sequence[int], generator: Generator = None) -> Tensor:
    weights = next(student.parameters(), torch.empty(0))
    noise = torch.rand((n_images, *image_shape), generator=generator, device=weights.device, dtype=weights.dtype)
    [step] = denoise(student, noise, [1.0, 0.0], 1.0)
    return step.noisy.clamp(0, 1)


@answers("one_step")
def level_for_each(student: nn.Module, n_images: int, *, image_shape: Sequence[int], generator: Generator = None):
    some = list(student.parameters())
    like = some[0] if some else torch.zeros(())
    noise = torch.empty(n_images, *image_shape).to(like).uniform_(generator=generator)
    with torch.no_grad():
        pictures = student(noise, torch.ones(n_images, 1, 1, 1).to(like))
    return torch.minimum(torch.maximum(pictures, torch.zeros_like(pictures)), torch.ones_like(pictures))


@answers("one_step")
def drawn_one_by_one(student, n_images, *, image_shape, generator=None):
    like = {"dtype": torch.float32, "device": "cpu"}
    for weight in student.parameters():
        like = {"dtype": weight.dtype, "device": weight.device}
        break
    noise = torch.stack([torch.rand(*image_shape, generator=generator, **like) for _ in range(n_images)])
    with torch.inference_mode():
        denoised = student(noise, torch.full((1, 1, 1, 1), 1.0, **like))
    return denoised.clone().clip(0, 1)


@answers("one_step")
def detached(student, n_images, *, image_shape, generator=None):
    parameters = next(iter(student.parameters()), torch.ones(1))
    channels, height, width = image_shape
    noise = torch.rand(n_images, channels, height, width, generator=generator, dtype=parameters.dtype)
    was = torch.is_grad_enabled()
    torch.set_grad_enabled(False)
    made = student(noise.to(parameters.device), torch.ones_like(noise[:1, :1, :1, :1])).detach()
    torch.set_grad_enabled(was)
    return torch.clamp(made, min=0.0, max=1.0)


@answers("one_step")
@torch.no_grad()
def through_remix(student, n_images, *, image_shape, generator=None):
    weights = next(student.parameters(), torch.empty(0))
    noise = torch.rand([n_images, *image_shape], generator=generator).to(weights)
    one, zero = noise.new_ones(1, 1, 1, 1), noise.new_zeros(1, 1, 1, 1)
    return remix(noise, student(noise, one), one, zero).clamp(0, 1)
