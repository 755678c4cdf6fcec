"""A learner's parts: used where their lesson passes, connected with each other, and really used in training."""

import shutil
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch
from PIL import Image
from torch import Tensor

from dino import denoiser, images, noise, sampler, steering, training
from dino.common.errors import DinoError
from dino.course.card import card
from dino.course.curriculum import LESSONS, MODEL_LESSONS, STEERING, Course, find_lesson
from dino.course.grader.combine import assemble, translate
from dino.course.grader.integration import check_integration
from dino.course.grader.loader import load
from dino.course.parts import in_words, parts_of_the_course
from dino.course.stubs import stub
from dino.data.loading import LabeledImages
from dino.steering import ConditionalDenoiser
from dino.trainer.config import Config
from dino.trainer.custom import CustomTrainer, Parts
from dino.trainer.model_file import load_model
from dino.trainer.run import train
from tests.test_catalog import right_answers

REPOSITORY = Course(Path(__file__).parents[1])
TINY = Config(size=8, widths=(4, 6), depths=(1, 1), n_images=12, batch_size=4, learning_rate=1e-3, precision="bfloat16")


@pytest.fixture
def course(tmp_path: Path) -> Course:
    """A copy of the course in which lessons 00, 01 and 03 are solved."""
    for name in ("lessons", "solutions"):
        shutil.copytree(REPOSITORY.root / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
    course = Course(tmp_path)
    for lesson in LESSONS:
        course.lesson_file(lesson).write_text(stub(REPOSITORY, lesson))
    for number in ("00", "01", "03"):
        shutil.copy(course.solution(find_lesson(number)), course.lesson_file(find_lesson(number)))
    return course


def all_solved() -> dict[str, ModuleType]:
    return {lesson.name: load(REPOSITORY.solution(lesson)) for lesson in LESSONS}


def test_a_part_is_the_learners_where_its_lesson_passes_and_dinos_otherwise(course: Course) -> None:
    chosen = parts_of_the_course(course)
    assert chosen.whose == {
        "images": "yours", "noise": "yours", "denoiser": "dino's", "training": "yours", "sampler": "dino's",
        "steering": "dino's",
    }  # fmt: skip
    assert chosen.denoiser is denoiser
    assert chosen.noise.__file__ == str(course.lesson_file(find_lesson("01")))
    assert "02 denoiser  dino's  (2.1 Block doesn't pass yet)" in in_words(chosen)
    with pytest.raises(DinoError, match=r"lesson 02 \(denoiser\) doesn't pass yet: 2.1 Block. Run: pytest lessons/02"):
        parts_of_the_course(course, strict=True)


def test_a_model_needs_no_part_of_the_evaluation_lesson(course: Course) -> None:
    for lesson in MODEL_LESSONS:
        shutil.copy(course.solution(lesson), course.lesson_file(lesson))
    chosen = parts_of_the_course(course, strict=True)
    assert [name for name, whose in chosen.whose.items() if whose == "yours"] == [x.name for x in MODEL_LESSONS]
    says = "06 steering  dino's  (6.1 ConditionalDenoiser doesn't pass yet, and needn't: it is for the words)"
    assert in_words(chosen)[-1] == says
    assert check_integration(course)["passed"]
    course.lesson_file(find_lesson("05")).write_text("def")
    shutil.copy(course.solution(STEERING), course.lesson_file(STEERING))
    assert set(parts_of_the_course(course, strict=True).whose.values()) == {"yours"}


def test_the_learners_training_uses_the_learners_noise() -> None:
    mine = all_solved()
    assert assemble(mine).training.add_noise is mine["noise"].add_noise
    del mine["noise"]
    assert assemble(mine).training.add_noise is noise.add_noise
    assert training.add_noise is noise.add_noise  # dino's own file is never touched


def test_the_trainer_runs_on_the_learners_parts_and_on_nothing_else(
    tmp_path: Path, blobs: Tensor, monkeypatch: pytest.MonkeyPatch
) -> None:
    mine = all_solved()
    calls: dict[str, int] = {}

    def count(module: Any, name: str) -> None:
        original = getattr(module, name)

        def counted(*args: Any, **options: Any) -> Any:
            calls[name] = calls.get(name, 0) + 1
            return original(*args, **options)

        monkeypatch.setattr(module, name, counted)

    def refuse(*args: Any, **options: Any) -> Any:
        raise AssertionError("dino's own part was called")

    wanted = {
        "images": ["to_unit", "random_flip"], "noise": ["add_noise", "mix"], "sampler": ["generate", "remix"],
        "training": ["denoising_loss", "train_step", "update_average"], "denoiser": ["UNet"],
    }  # fmt: skip
    for name, functions in wanted.items():
        for function in functions:
            count(mine[name], function)
    chosen = assemble(mine)
    for module, name in ((training, "denoising_loss"), (training, "update_average"), (sampler, "denoise")):
        monkeypatch.setattr(module, name, refuse)
    monkeypatch.setattr(noise, "mix", refuse)
    trainer = CustomTrainer(TINY, device="cpu", images=blobs, parts=chosen.for_training())
    for _ in train(trainer, tmp_path):
        pass
    assert calls.keys() == {function for functions in wanted.values() for function in functions}
    assert calls["train_step"] == calls["update_average"] == 3
    monkeypatch.undo()
    plain, metadata = load_model(tmp_path)  # it needs none of the learner's code
    assert type(plain) is denoiser.UNet
    assert metadata["own_network"]
    image = card(chosen, trainer, trainer.sample(4))
    assert isinstance(image, Image.Image)


def test_with_words_the_trainer_asks_with_the_learners_steering_and_saves_dinos(
    tmp_path: Path, blobs: Tensor, monkeypatch: pytest.MonkeyPatch
) -> None:
    mine, calls = all_solved(), set()
    own = right_answers(STEERING, "ConditionalDenoiser")[3]  # its attributes have other names than dino's
    assert not hasattr(own(denoiser.UNet(3, (4,), (1,)), 1), "unet")
    monkeypatch.setattr(mine["steering"], "ConditionalDenoiser", own)
    for name in ("drop_conditions", "asking", "guide"):
        original = getattr(mine["steering"], name)

        def counted(*args: Any, name: str = name, original: Any = original, **options: Any) -> Any:
            calls.add(name)
            return original(*args, **options)

        monkeypatch.setattr(mine["steering"], name, counted)
    for name in ("ConditionalDenoiser", "drop_conditions", "asking"):  # of dino
        monkeypatch.setattr(f"dino.trainer.trainer.{name}", None, raising=False)
    words = (torch.rand(len(blobs), 2, generator=torch.Generator().manual_seed(0)) < 0.5).to(torch.uint8)
    labeled = LabeledImages(blobs, words, ("red", "round"))
    for chosen in (assemble(mine), assemble({"steering": mine["steering"]})):
        folder = tmp_path / chosen.whose["denoiser"]
        trainer = CustomTrainer(TINY, device="cpu", images=labeled, parts=chosen.for_training())
        for _ in train(trainer, folder):
            pass
        assert calls == {"drop_conditions", "asking", "guide"}
        calls.clear()
        saved, metadata = load_model(folder)  # it needs none of the learner's code
        assert type(saved) is ConditionalDenoiser
        assert metadata["own_network"]
        noisy, level, condition = torch.rand(2, 3, 8, 8), torch.rand(2, 1, 1, 1), torch.eye(2)
        assert torch.allclose(saved(noisy, level, condition), trainer.ema(noisy, level, condition), atol=1e-4)
    assert isinstance(card(assemble(mine), trainer, trainer.sample(4)), Image.Image)


def test_steering_calls_the_learners_sampler(monkeypatch: pytest.MonkeyPatch) -> None:
    mine = all_solved()
    assert assemble(mine).steering.denoise is mine["sampler"].denoise
    del mine["steering"]
    assert assemble(mine).steering is steering  # no copy of it: its class is that of every file of weights


def test_a_run_on_own_parts_resumes_bit_for_bit_and_only_with_them(tmp_path: Path, blobs: Tensor) -> None:
    def trainer(parts: Parts) -> CustomTrainer:
        return CustomTrainer(TINY, device="cpu", images=blobs, parts=parts)

    whole, first, second = (trainer(parts=assemble(all_solved()).for_training()) for _ in range(3))
    for _ in whole.steps():
        pass
    steps = first.steps()
    next(steps)
    first.save(tmp_path, 0.0)
    second.load(tmp_path)
    for _ in second.steps():
        pass
    for ours, theirs in zip(second.ema.parameters(), whole.ema.parameters(), strict=True):
        assert torch.equal(ours, theirs)
    with pytest.raises(DinoError, match="trains your own UNet") as refused:
        trainer(Parts()).load(tmp_path)
    assert refused.value.settings == {"mine": True}


@pytest.mark.parametrize(
    "own", [denoiser.UNet, *right_answers(find_lesson("02"), "UNet")], ids=lambda network: network.__name__
)
def test_any_right_unet_is_saved_as_dinos(own: Any) -> None:
    torch.manual_seed(0)
    network, plain = own(3, (4, 6, 8), (1, 2, 1)), denoiser.UNet(3, (4, 6, 8), (1, 2, 1))
    network.requires_grad_(False)
    translate(network, plain)
    noisy, level = torch.rand(2, 3, 8, 12), torch.rand(2, 1, 1, 1)
    assert torch.allclose(network(noisy, level), plain(noisy, level), atol=1e-5)
    assert not any(weight.requires_grad for weight in network.parameters())


def test_a_unet_that_computes_something_else_is_not_saved() -> None:
    class Doubled(denoiser.UNet):
        def forward(self, noisy: Tensor, noise_level: Tensor) -> Tensor:
            return 2 * super().forward(noisy, noise_level)

    with pytest.raises(DinoError, match="pytest lessons/02"):
        translate(Doubled(3, (4, 6), (1, 1)), denoiser.UNet(3, (4, 6), (1, 1)))


def test_batches_can_use_other_functions(blobs: Tensor) -> None:
    one = next(images.batches(blobs, 4, to_unit=lambda x: x.float(), random_flip=lambda x, generator: x))
    assert one.max() == 255
