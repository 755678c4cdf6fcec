"""The stand-ins for the reference: they are everywhere while an answer runs, and nowhere afterwards."""

import importlib
import sys
from pathlib import Path

import pytest
import torch

import dino
from dino import denoiser, noise, sampler, training
from dino.course.curriculum import find_lesson
from dino.course.grader.borrowed import Borrowed, reference_hidden
from dino.trainer import batched_sampling, config

ROOT = Path(__file__).parents[1]


def test_stand_ins_replace_the_reference_everywhere_and_are_gone_afterwards() -> None:
    names = (sampler, "generate"), (dino, "generate"), (dino, "sampler"), (batched_sampling, "denoise")
    before = [getattr(module, name) for module, name in names]
    with reference_hidden(find_lesson("04"), "generate", sampler):
        assert sys.modules["dino.sampler"] is not sampler
        assert importlib.import_module("dino.sampler") is dino.sampler is not sampler
        assert sampler.generate is before[0]  # whoever has the real module keeps it
        for generate in (dino.generate, dino.sampler.generate):
            with pytest.raises(Borrowed, match="`generate` must be your own work, and it calls `generate` of dino/sam"):
                generate(None, 1)
        with pytest.raises(Borrowed, match="`generate` must be your own work, and it calls `denoise` of dino/sampler"):
            batched_sampling.denoise(None, torch.zeros(1), [1, 0])
    assert [getattr(module, name) for module, name in names] == before
    assert sys.modules["dino.sampler"] is sampler


def test_public_names_that_were_first_used_by_an_answer_are_real_afterwards() -> None:
    vars(dino).pop("denoise", None)
    with reference_hidden(find_lesson("04"), "denoise", sampler):
        assert dino.denoise is not sampler.denoise
    assert dino.denoise is sampler.denoise


def test_a_stand_in_that_is_kept_works_like_the_real_one_afterwards() -> None:
    with reference_hidden(find_lesson("04"), "generate", sampler):
        kept, module = dino.sampler.noise_schedule, dino.sampler
    assert torch.equal(kept(4), sampler.noise_schedule(4))
    with reference_hidden(find_lesson("01"), "mix", noise):
        assert torch.equal(module.noise_schedule(4), sampler.noise_schedule(4))
    with reference_hidden(find_lesson("02"), "UNet", denoiser):
        network = dino.denoiser.UNet
    assert network(1, (4,), (1,))(torch.rand(1, 1, 4, 4), torch.rand(1, 1, 1, 1)).shape == (1, 1, 4, 4)


def test_a_module_that_an_answer_put_in_place_of_the_reference_is_gone_afterwards() -> None:
    with reference_hidden(find_lesson("04"), "generate", sampler):
        sys.modules["dino.sampler"] = noise
    assert sys.modules["dino.sampler"] is sampler


def test_stand_ins_of_classes_can_be_subclassed_but_not_used() -> None:
    with reference_hidden(find_lesson("02"), "UNet", denoiser):
        assert config.UNet is not denoiser.UNet
        for part in (dino.UNet, config.UNet, type("Mine", (dino.denoiser.UNet,), {})):
            with pytest.raises(Borrowed, match=r"calls `UNet` of dino/denoiser\.py"):
                part()
        with pytest.raises(Borrowed, match="calls `Pool`"):
            dino.denoiser.Pool.forward(None, torch.zeros(1))
    assert dino.UNet is config.UNet is denoiser.UNet


def test_other_lessons_and_other_names_stay_as_they_are() -> None:
    with reference_hidden(find_lesson("04"), "generate", sampler):
        assert dino.sampler.Step is sampler.Step
        assert dino.noise is noise
        assert training.add_noise is noise.add_noise
    with reference_hidden(find_lesson("01"), "mix", noise), pytest.raises(Borrowed, match="calls `add_noise`"):
        training.denoising_loss(None, torch.zeros(1, 3, 4, 4))


@pytest.mark.parametrize("file", ["dino/noise.py", "solutions/01/noise.py"])
def test_files_of_other_answers_can_be_opened_only_while_no_answer_runs(
    file: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(ROOT / "solutions")
    with reference_hidden(find_lesson("01"), "mix", noise):
        for path in (ROOT / file, str(ROOT / file), Path("..", file)):
            with pytest.raises(Borrowed, match=r"`mix` must be your own work, and it opens .*/noise\.py"):
                open(path)  # noqa: PTH123, SIM115 - it raises
        assert (ROOT / "solutions" / "03" / "training.py").read_text(encoding="utf-8")  # of another lesson
        assert (ROOT / "dino" / "training.py").read_bytes()
    assert (ROOT / file).read_text(encoding="utf-8")
