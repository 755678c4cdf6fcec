"""Weights files and saved states: every bit comes back, and files that don't fit are refused in one line."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.optim import Optimizer

from dino.common.errors import DinoError
from dino.denoiser import UNet
from dino.trainer.checkpoint import restore, state_of
from dino.trainer.model_file import load_model, save_model
from dino.trainer.tensor_file import STATE, read, write

METADATA = {"config": {"channels": 3, "widths": [4, 6], "depths": [1, 0], "size": 8}, "note": "ünïcode"}


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> Iterator[None]:
    """Compute on one thread, which is faster for tiny networks."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def model() -> UNet:
    return UNet(3, (4, 6), (1, 0))


# ---- weights --------------------------------------------------------------------------------------------------------


def test_a_saved_model_loads_with_every_bit_from_its_file_or_its_folder(tmp_path: Path, model: UNet) -> None:
    save_model(tmp_path / "model.safetensors", model, METADATA)
    for path in (tmp_path / "model.safetensors", tmp_path):
        loaded, metadata = load_model(path)
        assert metadata == METADATA
        assert not loaded.training
        for ours, theirs in zip(model.parameters(), loaded.parameters(), strict=True):
            assert torch.equal(ours, theirs)


def test_half_weights_take_half_the_file_and_load_as_near_as_16_bits_get(tmp_path: Path, model: UNet) -> None:
    for name, half in ("whole", False), ("half", True):
        save_model(tmp_path / name, model, METADATA, half=half)
    n_bytes = sum(weight.nbytes for weight in model.parameters())
    whole, half = ((tmp_path / name).stat().st_size for name in ("whole", "half"))
    assert whole - half == pytest.approx(n_bytes / 2, abs=99)
    loaded, metadata = load_model(tmp_path / "half")
    assert metadata == METADATA | {"stored": "float16"}
    for ours, theirs in zip(model.parameters(), loaded.parameters(), strict=True):
        assert theirs.dtype == torch.float32
        torch.testing.assert_close(theirs, ours, rtol=2**-11, atol=1e-7)
    weights = {name: weight.half() for name, weight in model.state_dict().items()}
    write(tmp_path / "undeclared", "weights", weights, METADATA)
    with pytest.raises(DinoError, match="larger than the file"):
        load_model(tmp_path / "undeclared")


# ---- the state of a run ---------------------------------------------------------------------------------------------


class TwoKinds(Optimizer):
    """Two kinds of steps in one optimizer, as when convolutions are trained with Muon and the rest with AdamW.

    Its state has what no optimizer of torch keeps: integer tensors, plain numbers, and dtypes other than the weight's.
    """

    def __init__(self, weights: list[nn.Parameter]) -> None:
        convolutions = [weight for weight in weights if weight.ndim == 4]
        others = [weight for weight in weights if weight.ndim != 4]
        groups = [{"params": convolutions, "kind": "normalized"}, {"params": others, "kind": "signed"}]
        super().__init__(groups, {"lr": 0.01})

    @torch.no_grad()
    def step(self, closure: Any = None) -> None:  # noqa: ARG002
        for group in self.param_groups:
            for weight in group["params"]:
                if weight.grad is None:
                    continue
                state = self.state[weight]
                if group["kind"] == "normalized":
                    buffer = state.setdefault("buffer", torch.zeros_like(weight, dtype=torch.float64))
                    count = state.setdefault("count", torch.zeros((), dtype=torch.int64))
                    buffer.lerp_(weight.grad.double(), 0.3)
                    count += 1
                    weight -= (group["lr"] / count * F.normalize(buffer.flatten(1)).view_as(weight)).float()
                else:
                    state["rate"] = 0.9 * state.get("rate", 1.0)
                    state["steps"] = state.get("steps", 0) + 1
                    state["last"] = None
                    weight -= group["lr"] * state["rate"] / state["steps"] * weight.grad.sign()


Make = Callable[[list[nn.Parameter]], Optimizer]


def with_options(kind: type[Optimizer], **options: Any) -> tuple[str, Make]:
    words = [kind.__name__, *(f"{name}={value}" for name, value in options.items() if name != "lr")]
    return " ".join(words), lambda weights: kind(weights, **options)


OPTIMIZERS = dict(
    [
        with_options(torch.optim.AdamW, lr=0.01, amsgrad=True, fused=True),
        with_options(torch.optim.AdamW, lr=0.01, amsgrad=True, fused=False),
        with_options(torch.optim.AdamW, lr=0.01, foreach=True),
        with_options(torch.optim.Adam, lr=0.01),
        with_options(torch.optim.Adam, lr=0.01, fused=True),
        with_options(torch.optim.SGD, lr=0.01),
        with_options(torch.optim.SGD, lr=0.01, momentum=0.9, nesterov=True),
        with_options(torch.optim.SGD, lr=0.01, momentum=0.9, fused=True),
        with_options(torch.optim.RMSprop, lr=0.01, centered=True, momentum=0.9),
        with_options(torch.optim.Adagrad, lr=0.01, lr_decay=0.1, initial_accumulator_value=0.1),
        with_options(torch.optim.Adagrad, lr=0.01, fused=True),
        with_options(torch.optim.Adadelta, lr=0.5),
        with_options(torch.optim.NAdam, lr=0.01, momentum_decay=0.01),
        with_options(torch.optim.RAdam, lr=0.01),
        with_options(torch.optim.Adamax, lr=0.01),
        with_options(torch.optim.ASGD, lr=0.01, t0=2),
        with_options(torch.optim.Rprop, lr=0.01),
        with_options(torch.optim.Adafactor, lr=0.01),
        with_options(TwoKinds),
    ]
)

AMSGRAD = "AdamW amsgrad=True fused=True"  # what the trainer uses


def new(name: str, seed: int = 0) -> tuple[UNet, Optimizer]:
    """Return a network in the channels-last layout, and its optimizer."""
    torch.manual_seed(seed)
    network = UNet(3, (4, 6), (1, 0)).to(memory_format=torch.channels_last)
    return network, OPTIMIZERS[name](list(network.parameters()))


def take_step(network: UNet, optimizer: Optimizer, number: int, frozen: str = "nothing") -> None:
    random = torch.Generator().manual_seed(number)
    noisy, noise_level = torch.rand(2, 3, 4, 4, generator=random), torch.rand(2, 1, 1, 1, generator=random)
    optimizer.zero_grad()
    (network(noisy, noise_level) - 0.25).square().mean().backward()
    for name, weight in network.named_parameters():
        if name.startswith(frozen):
            weight.grad = None
    optimizer.step()


def save(folder: Path, network: UNet, optimizer: Optimizer) -> Path:
    tensors, description = state_of({"model": network}, optimizer)
    write(folder / STATE, "state", tensors, {"optimizer": description})
    return folder / STATE


def load(path: Path, network: UNet, optimizer: Optimizer) -> None:
    tensors, metadata = read(path, "state")
    restore(path, tensors, metadata["optimizer"], {"model": network}, optimizer)


def bits(network: UNet, optimizer: Optimizer) -> tuple[dict[str, Tensor], dict[str, Any]]:
    tensors, description = state_of({"model": network}, optimizer)
    return {name: tensor.detach().clone() for name, tensor in tensors.items()}, description["numbers"]


def assert_equal(ours: tuple[UNet, Optimizer], theirs: tuple[UNet, Optimizer]) -> None:
    """Check that two networks and their optimizers have the same state, bit for bit, and of the same types."""
    (our_tensors, our_numbers), (their_tensors, their_numbers) = bits(*ours), bits(*theirs)
    assert our_tensors.keys() == their_tensors.keys()
    for name, tensor in our_tensors.items():
        assert tensor.dtype == their_tensors[name].dtype, name
        assert torch.equal(tensor, their_tensors[name]), name
    assert our_numbers == their_numbers
    assert {name: type(number) for name, number in our_numbers.items()} == {
        name: type(number) for name, number in their_numbers.items()
    }


@pytest.mark.parametrize("n_steps", [0, 1, 3])
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_any_optimizer_continues_bit_for_bit_from_a_saved_state(tmp_path: Path, name: str, n_steps: int) -> None:
    ours = new(name)
    for number in range(n_steps):
        take_step(*ours, number)
    path = save(tmp_path, *ours)
    theirs = new(name, seed=1)
    take_step(*theirs, 99)  # the state that is replaced need not be fresh
    load(path, *theirs)
    assert_equal(ours, theirs)
    for number in range(n_steps, n_steps + 2):
        take_step(*ours, number)
        take_step(*theirs, number)
        assert_equal(ours, theirs)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_the_resume_test_would_notice_a_lost_state(name: str) -> None:
    ours, fresh = new(name), new(name)
    for number in range(3):
        take_step(*ours, number)
    fresh[0].load_state_dict(ours[0].state_dict())
    take_step(*ours, 3)
    take_step(*fresh, 3)
    same = all(torch.equal(a, b) for a, b in zip(ours[0].parameters(), fresh[0].parameters(), strict=True))
    keeps_nothing = isinstance(ours[1], torch.optim.SGD) and not ours[1].defaults["momentum"]
    assert same == keeps_nothing


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_weights_that_never_had_a_gradient_have_none_after_loading_either(tmp_path: Path, name: str) -> None:
    ours, theirs = new(name), new(name, seed=1)
    for number in range(3):
        take_step(*ours, number, frozen="up.")
    load(save(tmp_path, *ours), *theirs)
    assert_equal(ours, theirs)
    # torch's own fused SGD can't start to move a weight after others.
    thawed = "up." if name == "SGD momentum=0.9 fused=True" else "nothing"
    for number, frozen in (3, "up."), (4, thawed), (5, thawed):
        take_step(*ours, number, frozen)
        take_step(*theirs, number, frozen)
        assert_equal(ours, theirs)


def test_restoring_changes_neither_the_gradients_nor_the_settings_of_the_optimizer(tmp_path: Path) -> None:
    ours, theirs = new(AMSGRAD), new(AMSGRAD, seed=1)
    take_step(*ours, 0)
    take_step(*theirs, 1)
    theirs[1].param_groups[0]["lr"] = 0.123
    gradients = [weight.grad for weight in theirs[0].parameters()]
    copies = [gradient.clone() for gradient in gradients if gradient is not None]
    load(save(tmp_path, *ours), *theirs)
    assert theirs[1].param_groups[0]["lr"] == 0.123
    for weight, gradient, copy in zip(theirs[0].parameters(), gradients, copies, strict=True):
        assert weight.grad is gradient
        assert torch.equal(weight.grad, copy)


@pytest.mark.parametrize(
    ("saved", "wanted"),
    [
        (AMSGRAD, "AdamW foreach=True"),
        ("AdamW foreach=True", AMSGRAD),
        (AMSGRAD, "Adam"),
        (AMSGRAD, "SGD"),
        ("SGD", AMSGRAD),
        ("SGD momentum=0.9 nesterov=True", "SGD"),
        (AMSGRAD, "Adafactor"),
        ("Adafactor", AMSGRAD),
        (AMSGRAD, "TwoKinds"),
        ("TwoKinds", AMSGRAD),
    ],
)
def test_the_state_of_another_optimizer_is_refused_in_one_line_and_changes_nothing(
    tmp_path: Path, saved: str, wanted: str
) -> None:
    ours, theirs = new(saved), new(wanted, seed=1)
    for number in range(2):
        take_step(*ours, number)
        take_step(*theirs, number)
    before = bits(*theirs)
    path = save(tmp_path, *ours)
    with pytest.raises(
        DinoError, match=r"does not fit its own description|holds the state of another optimizer"
    ) as caught:
        load(path, *theirs)
    assert str(path) in str(caught.value)
    assert str(caught.value).isprintable()
    after = bits(*theirs)
    assert after[1] == before[1]
    assert all(torch.equal(after[0][name], tensor) for name, tensor in before[0].items())


def test_the_state_of_another_network_is_refused(tmp_path: Path) -> None:
    ours, other = new(AMSGRAD), UNet(3, (4, 8), (1, 0))
    take_step(*ours, 0)
    with pytest.raises(DinoError, match=r"does not fit its own description: .* should be .* and is"):
        load(save(tmp_path, *ours), other, OPTIMIZERS[AMSGRAD](list(other.parameters())))


def test_an_optimizer_that_keeps_lists_is_refused_when_its_state_is_saved() -> None:
    weight = nn.Parameter(torch.ones(3))
    optimizer = torch.optim.LBFGS([weight], max_iter=2)

    def closure() -> float:
        optimizer.zero_grad()
        loss = weight.square().sum()
        loss.backward()
        return loss.item()

    optimizer.step(closure)
    with pytest.raises(TypeError, match=r"state can't be saved: optimizer\.0\.\w+ is a list"):
        state_of({}, optimizer)


# ---- files that are refused -----------------------------------------------------------------------------------------


def test_missing_truncated_foreign_and_misfit_files_are_refused_in_one_line(tmp_path: Path, model: UNet) -> None:
    good = tmp_path / "good.safetensors"
    save_model(good, model, METADATA)
    (tmp_path / "truncated").write_bytes(good.read_bytes()[:-100])
    (tmp_path / "pickle").write_bytes(b"\x80\x04K\x01.")
    (tmp_path / "empty").write_bytes(b"")
    save_file({"x": torch.zeros(2)}, tmp_path / "foreign")
    save_model(tmp_path / "misfit", model, {"config": {"channels": 3, "widths": [4, 8], "depths": [1, 0], "size": 8}})
    save_model(tmp_path / "vague", model, {"config": {"channels": 3}})
    save_file({"x": torch.zeros(2)}, tmp_path / "odd", metadata={"dino": "[1]"})
    for name, message in {
        "nowhere": "there is no file",
        "truncated": "cut short",
        "pickle": "is a pickle",
        "empty": "is not a safetensors file",
        "foreign": "not written by dino",
        "vague": "does not describe its network",
        "odd": "not written by dino",
        "misfit": "does not fit its own description",
    }.items():
        with pytest.raises(DinoError, match=message) as caught:
            load_model(tmp_path / name)
        assert "\n" not in str(caught.value)
        assert name in str(caught.value)


def test_a_file_of_an_older_version_is_refused_in_one_line_that_says_so(tmp_path: Path, model: UNet) -> None:
    for kind, name in ("weights", "model.safetensors"), ("state", STATE):
        weights = {key: weight.contiguous() for key, weight in model.state_dict().items()}
        # Format 2: its metadata was called "about".
        header = f'{{"format": 2, "kind": "{kind}", "about": {{"config": {{}}}}, "sha256": ""}}'
        save_file(weights, tmp_path / name, metadata={"dino": header})
        with pytest.raises(DinoError, match="was written by an older version of dino") as caught:
            read(tmp_path / name, kind)
        assert "\n" not in str(caught.value)
        assert "its format is 2, and this version reads format 3" in str(caught.value)
        assert str(tmp_path / name) in str(caught.value)


def test_weights_are_not_taken_for_a_state_or_a_state_for_weights(tmp_path: Path, model: UNet) -> None:
    save_model(tmp_path / "weights", model, METADATA)
    with pytest.raises(DinoError, match="holds 'weights', and state is needed"):
        read(tmp_path / "weights", "state")
    write(tmp_path / "state", "state", state_of({"model": model}, torch.optim.SGD(model.parameters()))[0], METADATA)
    with pytest.raises(DinoError, match="holds 'state', and weights is needed"):
        load_model(tmp_path / "state")
