"""One run on several processes: equal to a run on one process, and stopped, resumed and ended as a whole."""

import csv
import io
import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file
from torch import Tensor

from tests.waiting import PATIENCE, wait_until

# The program of each process. Its arguments are the runs to make: NAME:ACCUMULATE:STOP:STOP...
DRIVER = """
import sys
from dataclasses import replace
from pathlib import Path
import torch
from safetensors.torch import load_file
from dino.data.loading import LabeledImages
from dino.trainer import distributed
from dino.trainer.config import Config
from dino.trainer.run import train
from dino.trainer.trainer import Trainer

torch.set_num_threads(1)
folder, kind, *runs = Path(sys.argv[1]), *sys.argv[2:]
config = Config(
    data="blobs", size=8, widths=(4, 8), depths=(1, 1), n_images=60 * 17, batch_size=17, learning_rate=1e-3,
    warmup=10, anneal=True, precision="float32", seed=3,
)
images = load_file(folder / "blobs")["blobs"]
if kind == "muon and words":
    config = replace(config, optimizer="muon", matrix_learning_rate=0.01, drop_words=0.2)
    words = (images.flatten(1).sum(1, keepdim=True) % torch.tensor([2, 3, 5]) == 0).byte()
    images = LabeledImages(images, words, ("left", "right", "big"))
with distributed.exit_at_once(), distributed.joined(torch.device("cpu")):
    for name, accumulate, *stops in (word.split(":") for word in runs):
        for stop in [*map(int, stops), config.n_steps]:
            trainer = Trainer(config, device="cpu", images=images, accumulate=int(accumulate))
            if stop != min([*map(int, stops), config.n_steps]):
                trainer.load(folder / name)
            steps = train(trainer, folder / name)
            for progress in steps:
                if progress.step == stop:
                    break
            steps.close()
            if distributed.N_PROCESSES > 1:  # the main process may still be saving
                torch.distributed.barrier()
    sys.exit()
"""


def run_driver(tmp_path: Path, kind: str, *runs: str, n: int) -> None:
    (tmp_path / "driver.py").write_text(DRIVER)
    launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={n}"]
    command = [*(launcher if n > 1 else [sys.executable]), str(tmp_path / "driver.py"), str(tmp_path), kind, *runs]
    done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("kind", ["adamw", "muon and words"])
def test_two_processes_train_like_one_up_to_rounding_and_resume_bit_for_bit(
    tmp_path: Path, blobs: Tensor, kind: str
) -> None:
    save_file({"blobs": blobs}, tmp_path / "blobs")
    # Batches of 17 split unevenly.
    run_driver(tmp_path, kind, "one:1", "parts of one:4", "parts of one, resumed:4:31", n=1)
    run_driver(tmp_path, kind, "two:1", "two, resumed:1:1:25:38", "parts of two:3", "parts of two, resumed:3:29", n=2)
    one = load_file(tmp_path / "one" / "state.safetensors")
    for name in ("two", "parts of one", "parts of two"):
        other = load_file(tmp_path / name / "state.safetensors")
        assert one.keys() == other.keys()
        for key, tensor in one.items():
            torch.testing.assert_close(
                other[key], tensor, rtol=2e-3, atol=2e-5, msg=lambda message, key=key: f"{key} {message}"
            )
        rows = [list(csv.DictReader((tmp_path / run / "log.csv").open())) for run in ("one", name)]
        assert [row["step"] for row in rows[0]] == [row["step"] for row in rows[1]] == ["25", "50", "60"]
        for ours, theirs in zip(*rows, strict=True):
            assert float(ours["loss"]) == pytest.approx(float(theirs["loss"]), rel=1e-4)
    for name in ("two", "parts of one", "parts of two"):
        for file in ("state.safetensors", "model.safetensors"):
            whole, resumed = tmp_path / name / file, tmp_path / f"{name}, resumed" / file
            assert whole.read_bytes() == resumed.read_bytes(), name


SHARING = """
import json
import sys
from pathlib import Path
import torch
from dino.data import decoding
from dino.trainer import distributed
from dino.trainer.config import Config
from dino.trainer.trainer import Trainer

decoded, decode = [], decoding.decode
decoding.decode = lambda *given: (decoded.append(1), decode(*given))[1]
torch.set_num_threads(1)
folder = Path(sys.argv[1])
config = Config(data=str(folder / "set.parquet"), size=8, widths=(4, 8), depths=(1, 1), n_images=96, batch_size=16)
with distributed.exit_at_once(), distributed.joined(torch.device("cpu")):
    trainer = Trainer(config, device="cpu")
    losses = [loss.item() for loss in trainer.steps()]
    maps = Path("/proc/self/maps")
    mapped = not maps.exists() or str(trainer.image_file) in maps.read_text()
    found = {"decoded": len(decoded), "file": str(trainer.image_file), "mapped": mapped, "losses": losses}
    (folder / f"{torch.distributed.get_rank()}.json").write_text(json.dumps(found))
    torch.distributed.barrier()
    sys.exit()
"""


def test_processes_decode_a_set_once_and_map_the_same_file(tmp_path: Path) -> None:
    images = []
    for k in range(40):
        file = io.BytesIO()
        Image.new("RGB", (8, 8), (6 * k, 0, 255 - 6 * k)).save(file, "PNG")
        images.append(file.getvalue())
    pq.write_table(pa.table({"image": images}), tmp_path / "set.parquet")
    (tmp_path / "driver.py").write_text(SHARING)
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
    environment = os.environ | {"DINO_CACHE": str(tmp_path / "cache")}
    done = subprocess.run(
        [*command, str(tmp_path / "driver.py"), str(tmp_path)], capture_output=True, text=True, timeout=PATIENCE,
        check=False, env=environment,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    first, second = (json.loads((tmp_path / f"{rank}.json").read_text()) for rank in (0, 1))
    assert first["decoded"] + second["decoded"] == 40
    assert first["file"] == second["file"]
    assert Path(first["file"]).is_relative_to(tmp_path)
    assert first["mapped"]
    assert second["mapped"]
    assert len(first["losses"]) == len(second["losses"]) == 6


# ---- the command ----------------------------------------------------------------------------------------------------

TRAIN = ["train", "--preset", "quick", "--size", "8", "--precision", "float32", "--device", "cpu"]


def launch(tmp_path: Path, *options: str) -> "subprocess.Popen[str]":
    """Start `dino train` on two processes, with its standard error in the file `errors`."""
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    return subprocess.Popen(
        [*command, "-m", "dino", *TRAIN, *options],
        stdout=(tmp_path / "output").open("w"), stderr=(tmp_path / "errors").open("w"), env=environment, text=True,
    )  # fmt: skip


def wait_for(text: str, path: Path, process: "subprocess.Popen[str]") -> None:
    wait_until(lambda: path.exists() and text in path.read_text(), process)


def process_of_rank(rank: int, launcher: "subprocess.Popen[str]") -> int:
    for child in Path(f"/proc/{launcher.pid}/task/{launcher.pid}/children").read_text().split():
        if f"\0RANK={rank}\0" in Path(f"/proc/{child}/environ").read_text():
            return int(child)
    raise AssertionError(f"there is no process of rank {rank}")


def messages(tmp_path: Path) -> list[str]:
    """Return what dino reported, except that another test's process is decoding the same images."""
    found = re.findall("^dino: .*$", (tmp_path / "errors").read_text(), re.MULTILINE)
    return [message for message in found if "another process is decoding" not in message]


@pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="finds the processes by Linux's /proc")
@pytest.mark.parametrize("rank", [0, 1])
def test_a_process_that_dies_ends_all_processes_with_one_message(tmp_path: Path, rank: int) -> None:
    launcher = launch(tmp_path, "--images", "1000000", "--out", str(tmp_path / "run"))
    wait_for("\n25,", tmp_path / "run" / "log.csv", launcher)
    pids = [process_of_rank(number, launcher) for number in range(2)]
    os.kill(pids[rank], signal.SIGKILL)
    assert launcher.wait(PATIENCE) == 1
    assert len(messages(tmp_path)) == 1, (tmp_path / "errors").read_text()
    assert "another process of this run died" in messages(tmp_path)[0]
    assert "resume the run with the same torchrun command. Try --resume RUN." in messages(tmp_path)[0]
    assert not any(Path(f"/proc/{pid}").exists() for pid in pids)


@pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="finds the processes by Linux's /proc")
@pytest.mark.parametrize("to", ["launcher", "second process"])
def test_a_signal_stops_all_processes_after_the_same_step_and_saves(tmp_path: Path, to: str) -> None:
    launcher = launch(tmp_path, "--images", "1000000", "--out", str(tmp_path / "run"))
    wait_for("\n25,", tmp_path / "run" / "log.csv", launcher)
    os.kill(launcher.pid if to == "launcher" else process_of_rank(1, launcher), signal.SIGTERM)
    launcher.wait(PATIENCE)
    assert "stopped and saved. Resume with" in (tmp_path / "errors").read_text()
    assert not messages(tmp_path)
    last = list(csv.DictReader((tmp_path / "run" / "log.csv").open()))[-1]
    from dino.trainer.tensor_file import STATE, read

    assert read(tmp_path / "run" / STATE, "state")[1]["step"] == int(last["step"])


@pytest.mark.parametrize("of_torchrun", [True, False])
def test_a_process_of_torchrun_exits_with_its_status_before_python_is_torn_down(of_torchrun: bool) -> None:
    code = """
import atexit, sys
from dino.cli import main
atexit.register(print, "torn down")
main()
"""
    environment = {"TORCHELASTIC_RUN_ID": "1", "RANK": "0", "LOCAL_RANK": "0", "WORLD_SIZE": "1"} if of_torchrun else {}
    for words, status in ("--version", 0), ("--nonsense", 2):
        command = [sys.executable, "-c", code, words]
        done = subprocess.run(command, env=os.environ | environment, capture_output=True, text=True, check=False)
        assert done.returncode == status, done.stderr
        assert ("torn down" in done.stdout) is not of_torchrun
        assert "dino" in done.stdout + done.stderr  # all output has arrived


def test_an_error_is_reported_once_not_by_each_process(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "photo.jpg").touch()
    for options, message in {
        ("--data", "no-such-folder/x.parquet"): "no-such-folder",  # found by all processes
        ("--out", str(tmp_path / "run")): "not empty",  # found by the main process alone
        ("--batch-size", "1"): "a batch of 1 can't be split over 2 processes, into 1 part each",
    }.items():
        assert launch(tmp_path, *options).wait(PATIENCE) == 1
        assert len(messages(tmp_path)) == 1, (tmp_path / "errors").read_text()
        assert message in messages(tmp_path)[0]
