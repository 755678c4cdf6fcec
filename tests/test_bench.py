"""dino bench: its loops differ by one choice each, its counts are correct, and no process is left behind."""

import json
import multiprocessing
from dataclasses import fields, replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image
from torch import nn
from typer.testing import CliRunner

from dino import cli
from dino.common.errors import DinoError
from dino.reports import benchmark
from dino.reports.benchmark import LoopProcess, facts, markdown, measure, rows
from dino.reports.hardware import Traffic
from dino.reports.training_loops import PLAIN, TRAINER, Choices, cost, ladder, network, training_steps
from dino.trainer.config import Config
from dino.trainer.presets import PRESETS
from dino.trainer.trial import Method, usual_method

CPU = torch.device("cpu")
USUAL = usual_method(CPU)
TINY = Config(data="emoji:faces,noto", size=8, widths=(4, 8), depths=(1, 1), batch_size=24, n_images=240)


@pytest.mark.parametrize("device", ["cpu", "cuda", "mps"])
@pytest.mark.parametrize("preset", PRESETS)
def test_each_loop_keeps_the_choices_of_the_loop_before_and_adds_one(device: str, preset: str) -> None:
    method = Method("bfloat16", "channels_last", "max_pool")
    rungs = ladder(PRESETS[preset], torch.device(device), method)
    assert rungs[0] == Choices()
    assert rungs[0].name == PLAIN
    assert TRAINER in [rung.name for rung in rungs[-3:]]
    assert rungs[-1].method == method
    assert (rungs[-1].optimizer, rungs[-1].max_words) == (PRESETS[preset].optimizer, PRESETS[preset].max_words)
    for before, after in pairwise(rungs):
        changed = [f.name for f in fields(Choices) if getattr(before, f.name) != getattr(after, f.name)]
        assert len(changed) == 2, changed
        assert changed[0] == "name"
    assert rungs[-1].batch_size == PRESETS[preset].batch_size


@pytest.mark.parametrize("rung", ladder(TINY, CPU, USUAL)[:-1], ids=lambda rung: rung.name)
def test_each_loop_learns(rung: Choices) -> None:
    torch.manual_seed(0)
    images = torch.full((64, 3, 8, 8), 230, dtype=torch.uint8)
    steps = training_steps(rung, TINY, images, CPU)
    losses = [next(steps).item() for _ in range(150)]
    steps.close()  # type: ignore[attr-defined]
    assert sum(losses[-20:]) < 0.3 * sum(losses[:20])


def test_all_choices_make_the_same_network() -> None:
    inputs = torch.rand(3, 3, 8, 8), torch.rand(3, 1, 1, 1)
    torch.manual_seed(0)
    plain = network(Choices(), TINY, CPU)(*inputs)
    torch.manual_seed(0)
    fast = network(Choices(maximum="max_pool", layout="channels_last"), TINY, CPU)(*inputs)
    assert torch.allclose(plain, fast, atol=1e-5)


def test_the_cost_of_the_full_network_is_as_designed() -> None:
    counted = cost(replace(Choices(), batch_size=1), PRESETS["full"], CPU)
    assert counted["flop_per_image"] == pytest.approx(12.2e9, rel=0.01)
    halves = cost(replace(Choices(), batch_size=1, precision=torch.bfloat16), PRESETS["full"], CPU)
    assert halves["flop_per_image"] == counted["flop_per_image"]
    assert 0.4 < halves["bytes_per_image"] / counted["bytes_per_image"] < 0.8


def test_traffic_counts_bytes_read_and_written_but_no_views() -> None:
    x, y = torch.rand(10, 3), torch.rand(10, 3)
    with Traffic() as traffic:
        z = x + y  # reads two tensors and writes one
        assert traffic.total == 3 * 120
        z.view(3, 10)[1:].transpose(0, 1)
        assert traffic.total == 3 * 120
        nn.functional.conv2d(torch.rand(1, 1, 5, 5), torch.rand(2, 1, 3, 3))
    assert (
        traffic.total == 3 * 120 + (25 + 18) * 4 + (25 + 18 + 18) * 4
    )  # the two random tensors, then the convolution to 2 of 3 x 3


def test_the_command_measures_all_loops_and_writes_table_plot_and_numbers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(PRESETS, "quick", TINY)
    rungs = [ladder(TINY, CPU, USUAL)[k] for k in (0, 5, -1)]  # three loops, because each process takes time to start
    monkeypatch.setattr(benchmark, "ladder", lambda *_: rungs)
    path = tmp_path / "new" / "bench.json"
    options = ["bench", "--preset", "quick", "--device", "cpu", "--seconds", "0.01", "--rounds", "2"]
    done = CliRunner().invoke(cli.app, [*options, "--json", str(path)])
    assert done.exit_code == 0, done.output
    report = json.loads(path.read_text())
    assert [loop["name"] for loop in report["loops"]] == [rung.name for rung in rungs]
    first, last = report["loops"][0], report["loops"][-1]
    for loop in report["loops"]:
        assert len(loop["rounds"]) == 2
        assert min(loop["rounds"]) <= loop["images_per_second"] <= max(loop["rounds"])
        assert loop["speedup"] == loop["images_per_second"] / first["images_per_second"]
        assert 0 < loop["flop_utilization"] < 10
        assert 0 < loop["bandwidth_utilization"] < 10
        assert loop["memory"] is None or loop["memory"] > 4 * 4 * sum(
            p.numel() for p in network(Choices(), TINY, CPU).parameters()
        )
    assert (first["batch_size"], last["batch_size"]) == (16, 24)
    assert report["sampling"]["images_per_second"] > 0
    assert set(report["start_up"]) == {"Python", "torch", "dino", "images and network", "first step"}
    assert min(report["start_up"].values()) > 0
    assert markdown(report) in done.output
    assert markdown(report) in path.with_suffix(".md").read_text()
    assert Image.open(path.with_suffix(".png")).size[0] > 500
    loops, methods = markdown(report).split("\n\n")
    for table in (loops, methods):
        assert len({len(line) for line in table.splitlines()}) == 1  # the columns are aligned
    assert [row["chosen"] for row in report["methods"]].count(True) == 1
    assert report["methods"][0]["of_the_best"] == 1
    assert not multiprocessing.active_children()


def two_loops(monkeypatch: pytest.MonkeyPatch, **change: Any) -> None:
    second = replace(Choices(), on_device=True, name="second", **change)
    monkeypatch.setattr(benchmark, "ladder", lambda *_: [Choices(), second])


def test_ctrl_c_keeps_what_was_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    two_loops(monkeypatch)
    take_turn, turns = LoopProcess.take_turn, 0

    def interrupted(loop: LoopProcess, seconds: float, *, counts: bool) -> None:
        nonlocal turns
        turns += 1
        if turns == last:
            raise KeyboardInterrupt
        take_turn(loop, seconds, counts=counts)

    monkeypatch.setattr(LoopProcess, "take_turn", interrupted)
    last = 6  # in the second round that counts
    report = measure(TINY, CPU, seconds=0.01, rounds=5)
    assert report["interrupted"]
    assert [len(loop["rounds"]) for loop in report["loops"]] == [2, 1]
    assert (report["sampling"], report["start_up"]) == (None, None)
    assert "sampling, start up, because Ctrl-C ended the benchmark before" in facts(report)["unknown"]
    assert [row[2] == "one round" for row in rows(report)] == [False, True]  # a single round has no range
    assert not multiprocessing.active_children()
    turns, last = 0, 4  # in the first
    with pytest.raises(KeyboardInterrupt):
        measure(TINY, CPU, seconds=0.01, rounds=5)
    assert not multiprocessing.active_children()


def test_a_loop_that_fails_or_dies_ends_the_others_and_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    two_loops(monkeypatch, batch_size=10**9)
    with pytest.raises(RuntimeError, match="allocate memory"):
        measure(TINY, CPU, seconds=0.01, rounds=1)
    assert not multiprocessing.active_children()
    two_loops(monkeypatch)
    receive = LoopProcess.receive

    def killed(loop: LoopProcess) -> Any:
        if loop.choices.name == "second":
            loop.process.kill()
            loop.process.join()
        return receive(loop)

    monkeypatch.setattr(LoopProcess, "receive", killed)
    with pytest.raises(DinoError, match="the process of 'second' died"):
        measure(TINY, CPU, seconds=0.01, rounds=1)
    assert not multiprocessing.active_children()


def test_images_too_few_for_a_batch_are_refused_instead_of_waited_for(image_folder: Path) -> None:
    for path in sorted(image_folder.iterdir())[8:]:
        path.unlink()
    with pytest.raises(DinoError, match=r"takes batches of 16 different images, and .* has 8"):
        measure(replace(TINY, data=str(image_folder)), CPU, seconds=0.01, rounds=1)


def test_a_report_name_that_does_not_end_in_json_is_refused_before_the_work() -> None:
    done = CliRunner().invoke(cli.app, ["bench", "--json", "table.md"])
    assert isinstance(done.exception, DinoError)
    assert "ends in .json" in str(done.exception)
