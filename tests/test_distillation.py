"""Distillation: students that draw in few steps, and how they are saved and drawn with."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from dino.cli.sample import _wishes
from dino.common.errors import DinoError
from dino.few_steps import distillation_target, step_sizes, warped_schedule
from dino.sampler import denoise, remix
from dino.trainer import tensor_file
from dino.trainer.batched_sampling import Steps, generate_as_saved
from dino.trainer.distillation import Student, distill, target
from dino.trainer.model_file import Distilled, distilled, guidance_beyond, load_model
from dino.trainer.trainer import Trainer
from tests.test_fine_tuning import TINY, labeled

SHORT = replace(TINY, n_images=32)


@pytest.fixture
def weights(tmp_path: Path, blobs: Tensor) -> Path:
    """The folder of a teacher that learned three words."""
    trainer = Trainer(SHORT, device="cpu", images=labeled(blobs, "red", "big", "left"))
    for _ in trainer.steps():
        pass
    trainer.save(tmp_path / "teacher", 0.5)
    return tmp_path / "teacher"


def students_of(weights: Path, blobs: Tensor, **options: Any) -> list[Student]:
    images = labeled(blobs, "red", "big", "left")
    return list(distill(weights, images=images, device="cpu", n_images=32, batch_size=16, **options))


class Bends(nn.Module):
    def forward(self, noisy: Tensor, noise_level: Tensor) -> Tensor:
        return torch.cos(3 * noisy + noise_level)


def test_one_step_with_the_target_arrives_where_all_steps_of_the_teacher_arrive() -> None:
    noisy = torch.rand(2, 3, 4, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    schedule = torch.tensor([1.0, 0.9, 0.7, 0.4]).double()
    sizes = step_sizes(schedule)
    *_, last = denoise(Bends(), noisy, schedule, sizes)
    levels = schedule.view(-1, 1, 1, 1, 1).expand(-1, 2, 1, 1, 1)
    wanted = target(Bends(), noisy, levels, sizes.view(-1, 1, 1, 1, 1).expand(-1, 2, 1, 1, 1))
    assert torch.allclose(remix(noisy, wanted, levels[0], levels[-1]), last.noisy, atol=1e-12)
    two = target(Bends(), noisy, levels[:3], torch.ones(2, 2, 1, 1, 1).double())
    assert torch.allclose(two, distillation_target(Bends(), noisy, *levels[:3]), atol=1e-12)


def test_each_student_begins_with_the_weights_of_its_teacher_and_takes_half_of_its_steps(
    weights: Path, blobs: Tensor
) -> None:
    first, second = students_of(weights, blobs, students=(4, 2), guidance=3.0)
    assert (first.n_student_steps, second.n_student_steps) == (4, 2)
    assert second.teacher is first.ema
    assert (first.teachers_guidance, second.teachers_guidance) == (3.0, 1.0), "the first student holds the guidance"
    assert first.levels.shape == (4, 5)
    assert torch.equal(first.levels[:, 0], warped_schedule(4)[:-1])
    assert torch.equal(first.levels[:, -1], warped_schedule(4)[1:])
    assert (first.sizes[:-1, 1:] > 1).all()
    assert first.sizes[-1, -1] == 1, "as `euler_at_final`"
    assert (second.sizes == 1).all()
    original, _ = load_model(weights)
    new = first._new_network().state_dict()
    assert all(torch.equal(value, new[name]) for name, value in original.state_dict().items())
    trained = first.model.state_dict()
    assert any(not torch.equal(value, trained[name]) for name, value in original.state_dict().items())


def test_a_student_learns_to_predict_the_guided_target_with_one_call(weights: Path, blobs: Tensor) -> None:
    (student,) = students_of(weights, blobs, students=(1,))
    calls = []
    student.teacher.register_forward_hook(lambda *_: calls.append("teacher"))
    student.model.register_forward_hook(lambda *_: calls.append("student"))
    student._train_step(student.model, torch.rand(16, 3, 8, 8), torch.ones(16, 3), torch.Generator().manual_seed(0))
    assert calls.count("teacher") == 8, "four steps of two calls"
    assert calls.count("student") == 1


def test_a_student_is_an_ordinary_model_file_that_says_how_to_draw(
    weights: Path, blobs: Tensor, tmp_path: Path
) -> None:
    *_, student = students_of(weights, blobs, students=(2, 1))
    student.save_weights(tmp_path / "student.safetensors")
    model, metadata = load_model(tmp_path / "student.safetensors")
    assert metadata["config"]["start_from"] == str(weights)
    assert distilled(metadata) == Distilled(1, 1.5), "the guidance of the first teacher"
    steps = Steps.for_model(metadata)
    assert steps.n_steps == 1
    assert steps.step_size == 1.0
    assert Steps.for_model(metadata, 3, step_size=1.5).n_steps == 3
    calls = []
    model.register_forward_hook(lambda *_: calls.append(1))
    wishes = _wishes(metadata, ["red"], 2, 1.5, 0, is_free=True)
    generate_as_saved(model, metadata, 2, image_shape=(3, 8, 8), wishes=wishes)  # in one step
    assert len(calls) == 1, "asked for its own guidance, it is called once"
    assert guidance_beyond(metadata, 3.0) == 2.0
    with pytest.raises(DinoError, match="is a student already"):
        next(distill(tmp_path / "student.safetensors"))


def test_other_models_are_drawn_with_as_before(weights: Path) -> None:
    _, metadata = load_model(weights)
    assert distilled(metadata) is None
    assert guidance_beyond(metadata, 2.5) == 2.5
    plain, usual = Steps.for_model(metadata), Steps.of()
    assert torch.equal(plain.schedule, usual.schedule)
    assert torch.equal(torch.as_tensor(plain.step_size), torch.as_tensor(usual.step_size))


@pytest.mark.parametrize("students", [(), (4, 3), (2, 4), (1, 0)])
def test_steps_that_don_t_halve_are_refused(weights: Path, students: tuple[int, ...]) -> None:
    with pytest.raises(DinoError, match="half of the steps"):
        next(distill(weights, students=students))


@pytest.mark.parametrize(
    "value",
    [
        3, [], {}, {"n_steps": 4}, {"n_steps": 0, "guidance": 1.5}, {"n_steps": 4, "guidance": 0},
        {"n_steps": 4, "guidance": "1"}, {"n_steps": True, "guidance": 1.5}, {"n_steps": 10**9, "guidance": 1.0},
    ],
)  # fmt: skip
def test_a_file_that_describes_an_impossible_student_is_refused(weights: Path, tmp_path: Path, value: Any) -> None:
    model, metadata = load_model(weights)
    path = tmp_path / "bad.safetensors"
    tensor_file.write(path, "weights", model.state_dict(), metadata | {"distilled": value})
    with pytest.raises(DinoError, match="no student draws like this"):
        load_model(path)
