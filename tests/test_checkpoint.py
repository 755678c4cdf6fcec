"""dino.checkpoint: what is saved comes back exactly, and what isn't ours is refused in one line."""

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from dino.common.errors import DinoError
from dino.denoiser import UNet
from dino.trainer.checkpoint import restore, state_of
from dino.trainer.model_file import load_model, save_model
from dino.trainer.tensor_file import read, write

ABOUT = {"config": {"channels": 3, "widths": [4, 6], "depths": [1, 0], "size": 8}, "note": "ünïcode"}


@pytest.fixture
def model() -> UNet:
    return UNet(3, (4, 6), (1, 0))


def test_a_model_comes_back_with_every_bit_from_its_one_file(tmp_path: Path, model: UNet) -> None:
    save_model(tmp_path / "model.safetensors", model, ABOUT)
    for path in (tmp_path / "model.safetensors", tmp_path):
        loaded, about = load_model(path)
        assert about == ABOUT
        assert not loaded.training
        for ours, theirs in zip(model.parameters(), loaded.parameters(), strict=True):
            assert torch.equal(ours, theirs)


def test_halved_weights_take_half_the_file_and_come_back_as_near_as_16_bits_get(tmp_path: Path, model: UNet) -> None:
    for name, half in ("whole", False), ("half", True):
        save_model(tmp_path / name, model, ABOUT, half=half)
    n_bytes = sum(weight.nbytes for weight in model.parameters())
    whole, half = ((tmp_path / name).stat().st_size for name in ("whole", "half"))
    assert whole - half == pytest.approx(n_bytes / 2, abs=99)
    loaded, about = load_model(tmp_path / "half")
    assert about == ABOUT | {"stored": "float16"}
    for ours, theirs in zip(model.parameters(), loaded.parameters(), strict=True):
        assert theirs.dtype == torch.float32
        torch.testing.assert_close(theirs, ours, rtol=2**-11, atol=1e-7)
    weights = {name: weight.half() for name, weight in model.state_dict().items()}
    write(tmp_path / "undeclared", "weights", weights, ABOUT)
    with pytest.raises(DinoError, match="larger than the file"):
        load_model(tmp_path / "undeclared")


def test_the_state_comes_back_with_every_bit(tmp_path: Path, model: UNet) -> None:
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.01, amsgrad=True)
    for _ in range(3):
        model(torch.rand(2, 3, 4, 4), torch.rand(2, 1, 1, 1)).sum().backward()
        optimizer.step()
    path = tmp_path / "s"
    write(path, "state", state_of({"model": model}, optimizer) | {"losses": torch.tensor([1.5])}, {"step": 3})
    other = UNet(3, (4, 6), (1, 0))
    other_optimizer = torch.optim.AdamW(other.parameters(), lr=0.01, amsgrad=True)
    tensors, about = read(path, "state")
    assert tensors.pop("losses") == 1.5
    assert about == {"step": 3}
    restore(path, tensors, {"model": other}, other_optimizer)
    for mine, theirs in zip(model.parameters(), other.parameters(), strict=True):
        assert torch.equal(mine, theirs)
    ours, read_back = optimizer.state_dict()["state"], other_optimizer.state_dict()["state"]
    assert ours.keys() == read_back.keys()
    for index in ours:
        assert set(ours[index]) == {"step", "exp_avg", "exp_avg_sq", "max_exp_avg_sq"}
        assert all(torch.equal(ours[index][slot], read_back[index][slot]) for slot in ours[index])


def test_missing_truncated_foreign_and_misfit_files_are_refused_in_one_line(tmp_path: Path, model: UNet) -> None:
    good = tmp_path / "good.safetensors"
    save_model(good, model, ABOUT)
    (tmp_path / "truncated").write_bytes(good.read_bytes()[:-100])
    (tmp_path / "pickle").write_bytes(b"\x80\x04K\x01.")
    (tmp_path / "empty").write_bytes(b"")
    save_file({"x": torch.zeros(2)}, tmp_path / "foreign")
    save_model(tmp_path / "misfit", model, {"config": {"channels": 3, "widths": [4, 8], "depths": [1, 0], "size": 8}})
    save_model(tmp_path / "vague", model, {"config": {"channels": 3}})
    save_file({"x": torch.zeros(2)}, tmp_path / "odd", metadata={"dino": "[1]"})
    for name, told in {
        "nowhere": "there is no file",
        "truncated": "cut short",
        "pickle": "is a pickle",
        "empty": "no safetensors file",
        "foreign": "not written by dino",
        "vague": "does not describe its network",
        "odd": "not written by dino",
        "misfit": "does not fit its own description",
    }.items():
        with pytest.raises(DinoError, match=told) as caught:
            load_model(tmp_path / name)
        assert "\n" not in str(caught.value)
        assert name in str(caught.value)


def test_weights_are_no_state_and_a_state_no_weights(tmp_path: Path, model: UNet) -> None:
    save_model(tmp_path / "weights", model, ABOUT)
    with pytest.raises(DinoError, match="holds 'weights', and state is needed"):
        read(tmp_path / "weights", "state")
