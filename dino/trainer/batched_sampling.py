"""Sampling any number of images in batches, with a progress bar. `dino sample`, `compare` and `evaluate` use it."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from tqdm import tqdm

from ..few_steps import FEW, euler_at_final, step_sizes, warped_schedule
from ..noise import mix
from ..sampler import Step, denoise, noise_schedule
from ..steering import GUIDANCE, asking, keeping
from .model_file import distilled, guidance_beyond
from .noising import draw_noise, noise_kind

BATCH = 64  # images, so that thousands fit in memory
N_RECORDED = 16  # the first images, of which every step can be kept


class Steps(NamedTuple):
    """The noise levels that sampling visits, and the step size of each step."""

    schedule: Tensor  # (n_steps + 1,)
    step_size: float | Tensor  # one for all, or (n_steps,)
    spacing: str = "warped"

    @classmethod
    def of(cls, n_steps: int | None = None, spacing: str = "warped", step_size: float | None = None) -> "Steps":
        """Return a schedule.

        Args:
            n_steps: how many steps. By default 10 warped or 100 even ones, which are about as good
                (docs/guides/sampling.md).
            spacing: "warped", or "even" as in lesson 04.
            step_size: one for all steps. By default 2 for even steps. For warped ones the exact sizes, and 1 for the
                last step.
        """
        if spacing == "even":
            return cls(noise_schedule(n_steps or 100), 2.0 if step_size is None else step_size, spacing)
        schedule = warped_schedule(n_steps or FEW)
        return cls(schedule, euler_at_final(step_sizes(schedule)) if step_size is None else step_size, spacing)

    @classmethod
    def for_model(
        cls,
        metadata: dict[str, Any],
        n_steps: int | None = None,
        spacing: str = "warped",
        step_size: float | None = None,
    ) -> "Steps":
        """Return the schedule for a model: that of `of`, or for a student its own number of steps, of size 1.

        Args:
            metadata: of the model.
            n_steps, spacing, step_size: as for `of`.
        """
        if student := distilled(metadata):
            return cls.of(n_steps or student.n_steps, spacing, 1.0 if step_size is None else step_size)
        return cls.of(n_steps, spacing, step_size)

    @property
    def n_steps(self) -> int:
        """The number of calls of the model for an image."""
        return len(self.schedule) - 1

    @property
    def fixed_size(self) -> float | None:
        """The step size of all steps, or None if each has the exact one."""
        return None if isinstance(self.step_size, Tensor) else self.step_size


class Wishes(NamedTuple):
    """Wishes for what images show.

    Attributes:
        condition: the words, (n, n_words) or (1, n_words), or None if nothing is asked for.
        guidance: see `dino.steering.guide`.
        known, mask: an image (1, C, H, W) to keep where the mask (1, 1, H, W) is True, or None.
        start: images (1, C, H, W) to vary, or None to begin with noise.
        noise_level: how much noise is mixed into them, in (0, 1].
    """

    condition: Tensor | None = None
    guidance: float = GUIDANCE
    known: Tensor | None = None
    mask: Tensor | None = None
    start: Tensor | None = None
    noise_level: float = 1.0

    def denoiser(self, model: nn.Module, first: int, n: int) -> nn.Module:
        """Return the denoiser that draws images number `first` to `first + n - 1`."""
        if self.condition is not None:
            device = next(model.parameters()).device
            rows = self.condition if len(self.condition) == 1 else self.condition[first : first + n]
            model = asking(model, rows.to(device), self.guidance)
        if self.known is not None and self.mask is not None:
            model = keeping(model, self.known, self.mask)
        return model


def generate_as_saved(
    model: nn.Module,
    metadata: dict[str, Any],
    n: int,
    *,
    image_shape: Sequence[int],
    steps: Steps | None = None,
    wishes: Wishes = Wishes(),  # noqa: B008 - it can't be changed
    seed: int = 0,
    path: list[Step] | None = None,
) -> Tensor:
    """Generate images as the metadata of a model's file say: from its noise, and a student in its steps.

        model, metadata = dino.load_model("runs/iadb-1")
        images = dino.generate_as_saved(model, metadata, 16, image_shape=dino.image_shape(metadata))

    `dino.generate` draws from any denoiser, a learner's too. So it can't know of a file, and starts from uniform noise.

    Args:
        model, n, image_shape, seed, path: as for `generate_batched`.
        metadata: of the model.
        steps: how to sample. By default `Steps.for_model`.
        wishes: what the images shall show. A student's weights hold a part of the guidance, so it gets the rest.

    Returns:
        (n, C, H, W), in [0, 1], on the CPU.
    """
    return generate_batched(
        model, n, image_shape=image_shape, steps=steps or Steps.for_model(metadata),
        wishes=wishes._replace(guidance=guidance_beyond(metadata, wishes.guidance)), noise=noise_kind(metadata),
        seed=seed, path=path,
    )  # fmt: skip


def generate_batched(
    model: nn.Module,
    n: int,
    *,
    image_shape: Sequence[int],
    steps: Steps | None = None,
    wishes: Wishes = Wishes(),  # noqa: B008 - it can't be changed
    noise: str = "uniform",
    seed: int = 0,
    path: list[Step] | None = None,
) -> Tensor:
    """Generate images like `dino.sampler.generate`, in batches and with a progress bar.

    It calls `denoise` instead of `generate`, because `generate` reports nothing before it is done.

    Args:
        model: ready to draw, as from `load_model`.
        n: how many images.
        image_shape: (C, H, W).
        steps: how to sample. By default 10 warped steps of exact sizes.
        wishes: what the images shall show.
        noise: the kind of noise that the model was trained with, see `draw_noise`.
        seed: determines the noise, and with it the images.
        path: a list to which each step of the first `N_RECORDED` images is appended, beginning with their noise.

    Returns:
        (n, C, H, W), in [0, 1], on the CPU.
    """
    device, (schedule, step_size, _) = next(model.parameters()).device, steps or Steps.of()
    generator = torch.Generator(device).manual_seed(seed)
    level = torch.full((1, 1, 1, 1), wishes.noise_level, device=device)
    parts: list[Tensor] = []
    with tqdm(total=n * (len(schedule) - 1), unit=" predictions", unit_scale=True, leave=False, disable=None) as bar:
        for first in range(0, n, BATCH):
            shape = (min(BATCH, n - first), *image_shape)
            noisy = draw_noise(shape, noise, generator=generator, device=device)
            if wishes.start is not None:
                noisy = mix(wishes.start, noisy, level)
            denoiser = wishes.denoiser(model, first, len(noisy))
            recorded = path if first == 0 else None
            if recorded is not None:
                recorded.append(_record(Step(level, noisy, torch.full_like(noisy, 0.5))))
            for step in denoise(denoiser, noisy, wishes.noise_level * schedule, step_size):
                noisy = step.noisy
                if recorded is not None:
                    recorded.append(_record(step))
                bar.update(len(noisy))
            parts.append(noisy.clamp(0, 1).cpu())
    return torch.cat(parts)


def _record(step: Step) -> Step:
    return Step(step.noise_level, step.noisy[:N_RECORDED].cpu(), step.denoised[:N_RECORDED].cpu())
