"""Lesson 07: few steps. The same images in ten steps instead of a hundred.

A step is as good as the prediction that it assumes to stay true. So the steps are small where the prediction changes
fast, and each one follows the line through the last two predictions exactly.

    schedule = warped_schedule(10)
    sizes = euler_at_final(step_sizes(schedule))
    images = generate(model, 16, image_shape=(3, 32, 32), schedule=schedule, step_size=sizes)

Fewer steps still need a network that was trained for them: a student, which learns to do in one step what its teacher
does in two (`distill_step`). `dino.trainer.distillation` trains it.
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.optim import Optimizer

from .noise import mix
from .sampler import noise_schedule, remix

FEW = 10  # warped steps, with which images are as good as with 100 even ones (docs/guides/sampling.md)


def warped_schedule(n_steps: int, warp: float = 0.5) -> Tensor:
    """Return noise levels from 1 down to 0 that lie close together near 1, where it is decided what the image shows.

    An even schedule x from 1 to 0 becomes x (1 + warp) / (x + warp).

    Args:
        n_steps: number of sampling steps.
        warp: more than 0. Large numbers are nearly even; small ones spend most steps on high noise levels.

    Returns:
        Shape (n_steps + 1,).

    Raises:
        ValueError: if `n_steps` is less than 1, or `warp` isn't more than 0.
    """
    if not warp > 0:
        raise ValueError(f"warp must be more than 0, not {warp}")
    even = noise_schedule(n_steps)
    return even * (1 + warp) / (even + warp)


def step_sizes(schedule: Tensor) -> Tensor:
    """Return the step size of each step with which `extrapolate` is exact for a prediction that changes linearly.

    A step from level t to level s solves dx/dt = (x - D) / t, where D is the prediction. Its exact solution is
    x_s / s = x_t / t + the integral of D(u) / u^2 from s to t. With D on the line through the last two predictions, at
    levels p and t, this is the same as for the constant prediction that `extrapolate` returns at this step size.
    DPM-Solver++(2M) has the same idea and another approximation (Lu et al. 2022, arXiv:2211.01095).

    Args:
        schedule: falling noise levels in [0, 1], shape (n_steps + 1,).

    Returns:
        Shape (n_steps,). The first one is 1, because there is no previous prediction then.
    """
    levels = schedule.cpu().double()  # MPS has no float64
    previous, level, next_level = levels[:-2], levels[1:-1], levels[2:]
    kept = next_level / level  # papers write r: the share of the noise that the step keeps
    sizes = 1 + level / (previous - level) * (1 - kept + torch.xlogy(kept, kept)) / (1 - kept)
    return torch.cat([sizes.new_ones(1), sizes]).to(schedule)


def euler_at_final(step_sizes: Tensor) -> Tensor:
    """Return step sizes with 1 as the last one: the image is the network's last prediction as it is.

    The last step of few would extrapolate the furthest, and the network's errors with it, which then nothing corrects:
    they show as blotches. diffusers has the same setting, under the same name, for the same reason.

    Args:
        step_sizes: shape (n_steps,).

    Returns:
        The same shape.
    """
    return torch.cat([step_sizes[:-1], step_sizes.new_ones(1)])


def distillation_target(
    teacher: nn.Module, noisy: Tensor, noise_level: Tensor, middle: Tensor, next_level: Tensor
) -> Tensor:
    """Return the prediction with which one step, a `remix`, does what two steps of the teacher do.

    This is progressive distillation (Salimans and Ho 2022, arXiv:2202.00512). Two steps that keep the fractions a and b
    of the noise arrive at a b noisy + b (1 - a) D1 + (1 - b) D2. One step keeps a b, and fills 1 - a b with the target.
    So the target is a blend of the teacher's two predictions, and `noisy` cancels. For a step to level 0 it is the
    second prediction.

    Args:
        teacher: a denoiser, called as `teacher(noisy, noise_level)`.
        noisy: images at `noise_level`, shape (N, C, H, W).
        noise_level: where the two steps begin, in (0, 1], shape (N, 1, 1, 1) or (1, 1, 1, 1).
        middle: where the first step ends, in (0, noise_level), of the same shape.
        next_level: where the second step ends, in [0, middle), of the same shape.

    Returns:
        The target, shape (N, C, H, W), without gradients.
    """
    with torch.no_grad():
        first = teacher(noisy, noise_level)
        second = teacher(remix(noisy, first, noise_level, middle), middle)
    kept_first, kept_second = middle / noise_level, next_level / middle
    return torch.lerp(first, second, (1 - kept_second) / (1 - kept_first * kept_second))


def distill_step(
    student: nn.Module,
    teacher: nn.Module,
    optimizer: Optimizer,
    clean: Tensor,
    schedule: Tensor,
    *,
    generator: torch.Generator | None = None,
) -> float:
    """Take one step of gradient descent toward a student that does in one step what its teacher does in two.

    Args:
        student: a denoiser. It begins with the teacher's weights.
        teacher: a denoiser. It doesn't change.
        optimizer: of the student's weights.
        clean: images in [0, 1], shape (N, C, H, W).
        schedule: the teacher's levels, from 1 down to 0, shape (2 n_steps + 1,). Every second one is the student's.
        generator: where the random numbers come from, on the device of `clean`. By default torch's global one.

    Returns:
        The loss before the step.
    """
    levels = schedule.to(clean).view(-1, 1, 1, 1)
    step = torch.randint(len(levels) // 2, (len(clean),), generator=generator, device=clean.device)
    begin, middle, end = levels[2 * step], levels[2 * step + 1], levels[2 * step + 2]
    noise = torch.rand(clean.shape, generator=generator, device=clean.device, dtype=clean.dtype)
    noisy = mix(clean, noise, begin)
    loss = F.mse_loss(student(noisy, begin), distillation_target(teacher, noisy, begin, middle, end))
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    return loss.item()


def one_step(
    student: nn.Module, n_images: int, *, image_shape: Sequence[int], generator: torch.Generator | None = None
) -> Tensor:
    """Draw new images with one call of the model: its prediction for pure noise.

    Args:
        student: a denoiser that was distilled down to one step.
        n_images: how many images.
        image_shape: the shape (C, H, W) of one image.
        generator: where the noise comes from, on the device of the student. It determines the images.

    Returns:
        The images, in [0, 1], shape (n_images, C, H, W), on the device of the student.
    """
    weights = next(student.parameters(), torch.empty(0))  # a model without any works on the CPU, in float32
    noise = torch.rand((n_images, *image_shape), generator=generator, device=weights.device, dtype=weights.dtype)
    with torch.no_grad():
        denoised: Tensor = student(noise, noise.new_ones(1, 1, 1, 1))
    return denoised.clamp(0, 1)
