"""The trial of how to compute: measured, remembered, written into the run."""

import json
import math
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from dino.common.errors import DinoError
from dino.data.cache import cache_folder
from dino.trainer import trial
from dino.trainer.config import METHODS, Config
from dino.trainer.trainer import Trainer
from dino.trainer.trial import Method, Trial, all_methods, apply, choose, measure, usual_method

CPU = torch.device("cpu")
TINY = Config(size=8, widths=(4, 8), depths=(1, 1), batch_size=4, n_images=40, vocabulary=("red", "green"))
MAX_POOL, AMAX = Method("float32", "channels_last", "max_pool"), Method("float32", "contiguous", "amax")


def timing(monkeypatch: pytest.MonkeyPatch, seconds: dict[Method, float]) -> list[int]:
    """Make trials find these times, the rest taking a second. Returns a list that grows by one entry for each trial."""
    calls: list[int] = []

    def measured(_config: Config, _network: nn.Module, methods: list[Method]) -> dict[Method, float]:
        calls.append(len(methods))
        return {method: seconds.get(method, 1.0) for method in methods}

    monkeypatch.setattr(trial, "measure", measured)
    return calls


def test_every_method_is_measured_and_the_network_stays() -> None:
    network = TINY.new_network()
    before = {name: weight.clone() for name, weight in network.state_dict().items()}
    methods = [Method(precision, "channels_last", "amax") for precision in METHODS["precision"]] + [MAX_POOL]
    random_state = torch.get_rng_state()
    found = measure(TINY, network, methods, 0.01)
    assert found.keys() == set(methods)
    assert all(0 < seconds < math.inf for seconds in found.values())
    assert torch.equal(torch.get_rng_state(), random_state)
    for name, weight in network.state_dict().items():
        assert torch.equal(weight, before[name])
    assert all(weight.grad is None for weight in network.parameters())


def test_a_slow_method_is_given_up_after_one_round(monkeypatch: pytest.MonkeyPatch) -> None:
    steps: list[Method] = []

    def step(_network: nn.Module, method: Method, _inputs: list[Tensor]) -> float:
        steps.append(method)
        return 2.0 if method == AMAX else 1.0

    monkeypatch.setattr(trial, "_step", step)
    assert measure(TINY, TINY.new_network(), [MAX_POOL, AMAX], 0.0) == {MAX_POOL: 1.0, AMAX: 2.0}
    assert steps.count(AMAX) == 2, "to warm up, and once"
    assert steps.count(MAX_POOL) == 2 + 1 + trial.MIN_ROUNDS


def test_a_large_batch_is_tried_in_part(monkeypatch: pytest.MonkeyPatch) -> None:
    sizes: list[int] = []
    monkeypatch.setattr(torch, "get_num_threads", lambda: 2)

    def step(_network: nn.Module, _method: Method, inputs: list[Tensor]) -> float:
        sizes.append(len(inputs[0]))
        return 0.01 * len(inputs[0])

    monkeypatch.setattr(trial, "_step", step)
    measure(replace(TINY, batch_size=100), TINY.new_network(), [MAX_POOL], 0.0)
    assert sizes[-1] == round(trial.STEP_SECONDS / 0.01)
    sizes.clear()
    monkeypatch.setattr(trial, "STEP_SECONDS", 10.0)
    measure(replace(TINY, batch_size=100), TINY.new_network(), [MAX_POOL], 0.0)
    assert sizes[-1] == trial.MAX_IMAGES


def test_the_fastest_method_is_chosen_once_and_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    calls, network = timing(monkeypatch, {AMAX: 0.5}), TINY.new_network()
    assert choose(TINY, network, CPU).method == AMAX
    timing(monkeypatch, {})
    assert choose(TINY, network, CPU).method == AMAX, "from the cache"
    assert len(calls) == 1
    wider = replace(TINY, widths=(8, 8))
    assert choose(wider, wider.new_network(), CPU).method == usual_method(CPU), "another network is another trial"


def test_a_small_difference_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    timing(monkeypatch, {AMAX: 0.98})
    assert choose(TINY, TINY.new_network(), CPU).method == usual_method(CPU)


@pytest.mark.parametrize("damage", ["", "{", "[]", '{"float32": 1}', '{"float32, contiguous, amax": "fast"}'])
def test_a_damaged_memory_means_a_new_trial(damage: str, monkeypatch: pytest.MonkeyPatch) -> None:
    calls, network = timing(monkeypatch, {}), TINY.new_network()
    choose(TINY, network, CPU)
    (file,) = cache_folder().glob("*.trial.json")
    file.write_text(damage)
    assert choose(TINY, network, CPU).method == usual_method(CPU)
    assert len(calls) == 2
    assert json.loads(file.read_text())


def test_without_a_cache_every_run_tries(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("DINO_CACHE", str(tmp_path / "file"))
    calls = timing(monkeypatch, {AMAX: 0.5})
    for _ in range(2):
        assert choose(TINY, TINY.new_network(), CPU).method == AMAX
    assert len(calls) == 2


def test_what_the_configuration_says_is_not_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    calls = timing(monkeypatch, {AMAX: 0.5})
    fixed = replace(TINY, precision="float32", layout="channels_last", maximum="max_pool")
    assert choose(fixed, fixed.new_network(), CPU) == Trial(MAX_POOL, {})
    assert not calls
    some = replace(TINY, precision="float32", layout="contiguous")
    assert choose(some, some.new_network(), CPU).method == AMAX
    assert calls == [2]


def test_on_other_devices_nothing_is_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    calls = timing(monkeypatch, {})
    for device in ("cuda", "mps"):
        chosen = choose(replace(TINY, layout="contiguous"), TINY.new_network(), torch.device(device))
        assert chosen.method.layout == "contiguous"
        assert chosen.method.maximum == ("amax" if device == "cuda" else "max_pool")
    assert not calls


def test_a_network_without_pools_has_one_maximum() -> None:
    assert {method.maximum for method in all_methods(nn.Conv2d(4, 3, 1))} == {"max_pool"}
    assert {method.maximum for method in all_methods(TINY.new_network())} == set(METHODS["maximum"])


def test_a_method_is_applied() -> None:
    network, inputs = TINY.new_network(), (torch.rand(2, 3, 8, 8), torch.rand(2, 1, 1, 1), torch.rand(2, 2))
    expected = network(*inputs)
    for method in (MAX_POOL, AMAX):
        apply(method, network, CPU)
        weight = network.unet.down[1][0].weight
        assert weight.is_contiguous() == (method.layout == "contiguous")
        assert torch.allclose(network(*inputs), expected, atol=1e-5)
        assert network.unet.down[0][-1].largest is trial.devices.MAXIMA[method.maximum]


def test_the_words_say_by_what_factor_a_choice_is_faster() -> None:
    found = Trial(MAX_POOL, {MAX_POOL: 1.0, AMAX: 1.5, replace(MAX_POOL, maximum="amax"): 1.2})
    assert str(found) == (
        "float32, channels-last (1.50 times as fast as contiguous), max-pool (1.20 times as fast as amax)"
    )


def test_a_run_keeps_its_method(monkeypatch: pytest.MonkeyPatch, blobs: Tensor, tmp_path: Path) -> None:
    timing(monkeypatch, {AMAX: 0.5})
    config = replace(TINY, vocabulary=())
    run = Trainer(config, images=blobs, device="cpu")
    assert asdict(AMAX).items() <= asdict(run.config).items()
    next(run.steps())
    run.save(tmp_path, 0.0)
    timing(monkeypatch, {MAX_POOL: 0.5})
    resumed = Trainer(run.config, images=blobs, device="cpu")
    resumed.load(tmp_path)
    assert resumed.trial == Trial(AMAX, {})
    for one, other in zip(run.steps(), resumed.steps(), strict=True):
        assert torch.equal(one, other)


@pytest.mark.parametrize(("name", "value"), [("layout", "columns"), ("maximum", "mean"), ("precision", "float8")])
def test_an_unknown_method_is_an_error(name: str, value: Any) -> None:
    with pytest.raises(DinoError, match=f"{name} is auto, {' or '.join(METHODS[name])}, not"):
        Config(**{name: value})


def test_without_enough_memory_the_usual_method_is_chosen(monkeypatch: pytest.MonkeyPatch) -> None:
    def run_out(*_: Any) -> dict[Method, float]:
        raise torch.OutOfMemoryError("DefaultCPUAllocator: can't allocate memory")

    monkeypatch.setattr(trial, "measure", run_out)
    assert choose(TINY, TINY.new_network(), CPU) == Trial(usual_method(CPU), {})
    assert not list(cache_folder().glob("*.trial.json")), "nothing is remembered"
