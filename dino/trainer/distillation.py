"""Distillation: students that draw in four steps, two or one what their teacher draws in many.

    for student in distill("pretrained-32"):
        student.save_weights(Path(f"student-{student.n_student_steps}.safetensors"))

This is progressive distillation (Salimans and Ho 2022, arXiv:2202.00512). The first student begins with the teacher's
weights, and learns to do in one step what its teacher does in several. Then it teaches the next student, each of whose
steps does what two of its teacher's do. `dino.few_steps.distillation_target` explains the target.
"""

from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from tqdm import tqdm

from ..common.errors import DinoError
from ..data.loading import LabeledImages
from ..few_steps import step_sizes, warped_schedule
from ..noise import mix
from ..sampler import remix
from ..steering import GUIDANCE, asking
from . import distributed, fine_tuning
from .config import Config
from .model_file import distilled, load_model, save_model
from .trainer import Trainer

STUDENTS = (4, 2, 1)  # steps of one student after another
PARTS = 4  # steps of the first teacher for each step of the first student


def target(teacher: nn.Module, noisy: Tensor, levels: Tensor, sizes: Tensor) -> Tensor:
    """Return the prediction with which one step does what several steps of the teacher do.

    With two steps of size 1 this is `distillation_target`.

    Args:
        teacher: a denoiser, called as `teacher(noisy, noise_level)`.
        noisy: images at the first level, shape (N, C, H, W).
        levels: falling, shape (n + 1, N, 1, 1, 1).
        sizes: the teacher's step sizes, shape (n, N, 1, 1, 1). The first one isn't used.

    Returns:
        Shape (N, C, H, W), without gradients.
    """
    mixed, previous = noisy, None
    with torch.no_grad():
        for (level, next_level), size in zip(pairwise(levels), sizes, strict=True):
            denoised = teacher(mixed, level)
            guess = denoised if previous is None else torch.lerp(previous, denoised, size)
            mixed, previous = remix(mixed, guess, level, next_level), denoised
    kept = levels[-1] / levels[0]
    return (mixed - kept * noisy) / (1 - kept)


class Student(Trainer):
    """A run in which a student learns from a teacher. It begins with the teacher's weights.

    Args:
        config: the run's configuration: the teacher's network, vocabulary and images.
        teacher: a denoiser on the run's device.
        n_steps: the student's steps.
        parts: the teacher's steps for each of them.
        guidance: how strictly the teacher follows the words, if it knows any; see `dino.steering.guide`.
        in_weights: the guidance that the student's weights hold in the end. By default that of the teacher; if the
            teacher is a student, that of the first one.
        is_exact: whether the teacher extrapolates, with exact step sizes. A student's predictions are for whole steps,
            so a student that teaches takes steps of size 1.
        options: as for `Trainer`.

    Raises:
        DinoError: as `Trainer`; or if there are several processes, or batches in parts.
    """

    guidance = 1.0  # of samples: that of the teacher is in the weights

    def __init__(
        self,
        config: Config,
        teacher: nn.Module,
        *,
        n_steps: int,
        parts: int = 2,
        guidance: float = 1.0,
        in_weights: float | None = None,
        is_exact: bool = False,
        **options: Any,
    ) -> None:
        if distributed.N_PROCESSES * options.get("accumulate", 1) > 1:
            raise DinoError("a student learns in one process, and from whole batches")
        self.teacher, self.n_student_steps, self.teachers_guidance = teacher, n_steps, guidance
        super().__init__(config, **options)
        self.in_weights = guidance if in_weights is None else in_weights
        self.schedule = warped_schedule(n_steps * parts).to(self.device)
        begins = torch.arange(n_steps) * parts
        self.levels = torch.stack([self.schedule[begins + k] for k in range(parts + 1)], dim=1)  # (n_steps, parts + 1)
        self.sizes = torch.ones(n_steps, parts, device=self.device)
        if is_exact:
            self.sizes = torch.stack([step_sizes(levels) for levels in self.levels])
            self.sizes[-1, -1] = 1  # as `euler_at_final`

    def _new_network(self) -> nn.Module:
        network = super()._new_network()
        network.load_state_dict(self.teacher.state_dict())
        return network

    def _train_step(
        self, network: nn.Module, clean: Tensor, condition: Tensor | None, generator: torch.Generator
    ) -> Tensor:
        """Take a step like `dino.few_steps.distill_step`."""
        teacher, student = self.teacher, network
        if condition is not None:
            teacher, student = asking(teacher, condition, self.teachers_guidance), asking(network, condition)
        step = torch.randint(self.n_student_steps, (len(clean),), generator=generator, device=self.device)
        levels, sizes = (rows[step].T[..., None, None, None] for rows in (self.levels, self.sizes))
        noisy = mix(clean, torch.rand(clean.shape, generator=generator, device=self.device), levels[0])
        with self.autocast():
            wanted = target(teacher, noisy, levels, sizes)
            denoised = student(noisy, levels[0])
        loss = F.mse_loss(denoised, wanted)
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()
        return loss.detach()

    def _steps(self, *, fine: bool) -> dict[str, Any]:  # noqa: ARG002 - it knows no others
        return {"schedule": warped_schedule(self.n_student_steps), "step_size": 1.0}

    def metadata(self) -> dict[str, Any]:
        """Return the metadata of a saved file: those of `Trainer`, and for how many steps and what guidance it is."""
        return super().metadata() | {"distilled": {"n_steps": self.n_student_steps, "guidance": self.in_weights}}

    def save_weights(self, path: Path) -> None:
        """Write the student as an ordinary model file. `dino sample` and the web page draw with its number of steps.

        Raises:
            DinoError: if a number is not finite any more, or the file can't be written.
        """
        self.check_finite()
        save_model(path, self._portable_network(), self.metadata())


def distill(
    weights: Path | str,
    *,
    students: Sequence[int] = STUDENTS,
    guidance: float = GUIDANCE,
    device: torch.device | str = "auto",
    images: Tensor | LabeledImages | None = None,
    **settings: Any,
) -> Iterator[Student]:
    """Train one student after another, and yield each of them when it is done.

    Args:
        weights: the teacher, as `load_model` takes it: not itself a student.
        students: the numbers of their steps, each half of the one before.
        guidance: how strictly the teacher follows the words, if it knows any. The students do the same, with one call a
            step where the teacher takes two.
        device: see `choose_device`.
        images: training images to use instead of those that the teacher was trained on; see `Trainer`.
        settings: fields of the configuration to choose otherwise, such as `n_images`, the length of each run.

    Raises:
        DinoError: if there are no such weights, they are a student's, or the numbers don't halve; or as `Trainer`.
    """
    if not students or students[-1] < 1 or any(now != 2 * after for now, after in pairwise(students)):
        raise DinoError(f"each student takes half of the steps of the one before, such as 4, 2, 1, not {students}")
    teacher: nn.Module
    teacher, metadata = load_model(weights, device)
    if distilled(metadata):
        raise DinoError(f"{weights} is a student already. Distill the model that it learned from")
    trained = Config.from_dict(metadata["config"])
    data = {name: getattr(trained, name) for name in ("data", "split", "vocabulary", "max_words")}
    data["start_from"] = str(weights)
    config = fine_tuning.recipe(weights, **(data | {"hide_words": trained.hide_words} | settings))
    guidance = guidance if trained.vocabulary else 1.0
    first: dict[str, Any] = {"parts": PARTS, "guidance": guidance, "is_exact": True}
    for n_steps in students:
        student = Student(config, teacher, n_steps=n_steps, device=device, images=images, **first)
        for _ in tqdm(
            student.steps(), total=student.config.n_steps, desc=f"{n_steps} steps", leave=False, disable=None
        ):
            pass
        yield student
        teacher, config, first = student.ema, student.config, {"in_weights": guidance}
