"""The `dino` command, end to end, in real processes where the process matters."""

import contextlib
import io
import os
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from dino import __version__, cli
from tests.waiting import PATIENCE, wait_until

DINO = [sys.executable, "-m", "dino"]
QUICK_RUN = ["--size", "16", "--batch-size", "8", "--precision", "float32"]


def dino(*arguments: str | Path, cwd: Path) -> str:
    """Run a command that must succeed, in a process of its own. Returns its report."""
    done = subprocess.run([*DINO, *map(str, arguments)], cwd=cwd, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def inside(*arguments: str | Path, cwd: Path) -> str:
    """Run a command like `dino`, but in this process, which has imported torch already."""
    report = io.StringIO()
    with pytest.MonkeyPatch.context() as patch, contextlib.redirect_stdout(report):
        patch.chdir(cwd)
        patch.setattr(sys, "argv", ["dino", *map(str, arguments)])
        with pytest.raises(SystemExit) as caught:
            cli.main()
    assert caught.value.code == 0
    return report.getvalue()


def refusal(*arguments: str | Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> str:
    """Run a command that must fail. Returns the one line that it prints."""
    monkeypatch.setattr(sys, "argv", ["dino", *map(str, arguments)])
    with pytest.raises(SystemExit) as caught:
        cli.main()
    assert caught.value.code == 1
    lines = capsys.readouterr().err.strip().splitlines()
    assert len(lines) == 1
    assert lines[0].startswith("dino: ")
    return lines[0]


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a short run on real images, trained by the command line."""
    folder = tmp_path_factory.mktemp("work")
    dino("train", "--data", "emoji:face-smiling", "--images", "160", *QUICK_RUN, cwd=folder)
    return folder


@pytest.mark.parametrize("command", ["train", "sample", "compare", "evaluate", "doctor", "info", "push", "export"])
def test_every_command_has_help_with_examples(command: str, tmp_path: Path) -> None:
    report = dino(command, "--help", cwd=tmp_path)
    assert "Examples" in report
    assert f"dino {command}" in report


def test_the_version_is_printed(tmp_path: Path) -> None:
    assert inside("--version", cwd=tmp_path) == f"dino {__version__}\n"


def test_help_does_not_wait_for_torch(tmp_path: Path) -> None:
    code = "import sys; from dino import cli; print('torch' in sys.modules, 'datasets' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "False"]


def test_the_trainer_imports_torch_and_nothing_else_that_is_slow() -> None:
    slow = {"torchvision", "datasets", "matplotlib", "PIL"}
    modules = "denoiser, sampler, training, images, noise; from dino.trainer import trainer, model_file, presets"
    code = f"import sys; from dino import {modules}; print({slow} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


def test_training_writes_a_run_folder_with_images(trained: Path) -> None:
    run = trained / "runs" / "quick-1"
    written = {path.name for path in run.iterdir()}
    assert {"config.json", "log.csv", "model.safetensors", "state.safetensors", "samples"} <= written
    for name in ("compare.png", "levels.png", "loss.png", "animation.gif"):
        with Image.open(run / name) as image:
            image.load()
            assert min(image.size) > 60


def test_sampling_is_seeded_and_animates(trained: Path, tmp_path: Path) -> None:
    def draw(name: str, seed: int) -> bytes:
        out = tmp_path / name
        dino(
            "sample", "-n", "4", "--steps", "3", "--seed", str(seed), "--out", out, "--animate", "--strip", cwd=trained
        )
        return out.read_bytes()

    assert draw("a.png", 5) == draw("b.png", 5)
    assert draw("c.png", 6) != draw("a.png", 5)
    with Image.open(tmp_path / "a-animation.gif") as animation:
        assert animation.n_frames == 4  # the noise, and three steps
    with Image.open(tmp_path / "a-strip.png") as strip:
        assert strip.width > 4 * strip.height


def test_a_weights_file_alone_is_enough_to_draw(trained: Path, tmp_path: Path) -> None:
    shutil.copy(trained / "runs" / "quick-1" / "model.safetensors", tmp_path / "mine.safetensors")
    inside("sample", "mine.safetensors", "-n", "1", "--steps", "2", cwd=tmp_path)
    assert (tmp_path / "generated.png").exists()
    assert "160 images" in inside("info", "mine.safetensors", cwd=tmp_path)


def test_compare_asks_for_a_source_if_the_weights_name_none(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from dino.denoiser import UNet
    from dino.trainer.model_file import save_model

    config = {"channels": 3, "widths": [4], "depths": [1], "size": 8}
    save_model(tmp_path / "by-hand.safetensors", UNet(3, (4,), (1,)), {"config": config})
    assert "Name some with --data" in refusal(
        "compare", tmp_path / "by-hand.safetensors", capsys=capsys, monkeypatch=monkeypatch
    )


def test_compare_shows_real_images_beside_generated_ones(trained: Path) -> None:
    report = inside("compare", "-n", "4", "--steps", "2", "--data", "emoji:face-hat", cwd=trained)
    path = trained / report.split("wrote")[1].strip()
    with Image.open(path) as both:
        assert both.width > 2 * both.height * 0.9


@pytest.mark.skipif(os.name == "nt", reason="signals are POSIX")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_saves_and_stops_and_the_run_resumes_from_there(tmp_path: Path, number: signal.Signals) -> None:
    arguments = ["train", "--data", "emoji:face-hat", "--images", "100000000", "--out", "run", *QUICK_RUN]
    process = subprocess.Popen([*DINO, *arguments], cwd=tmp_path, stderr=subprocess.PIPE, text=True)
    log = tmp_path / "run" / "log.csv"
    wait_until(lambda: log.exists() and len(log.read_text().splitlines()) > 1, process)
    process.send_signal(number)
    _, errors = process.communicate(timeout=PATIENCE)
    assert process.returncode == 128 + number
    assert "Resume with: dino train --resume run" in errors
    assert "Traceback" not in errors
    seen = re.search(r"seeing ([\d,]+) images", inside("info", "run", cwd=tmp_path))
    assert seen
    n_images = int(seen[1].replace(",", ""))
    assert n_images >= 25 * 8
    inside("train", "--resume", "run", "--images", str(n_images + 16), cwd=tmp_path)
    assert f"seeing {n_images + 16:,} images" in inside("info", "run", cwd=tmp_path)


def test_an_impossible_command_is_refused_in_one_line_that_says_what_to_do(
    trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(*arguments: str | Path) -> str:
        return refusal(*arguments, capsys=capsys, monkeypatch=monkeypatch)

    monkeypatch.chdir(tmp_path)
    run = trained / "runs" / "quick-1"
    weights = (run / "model.safetensors").read_bytes()
    Path("empty").mkdir()
    Path("bad").mkdir()
    Path("bad/text.png").write_text("not a picture")
    Path("cut.safetensors").write_bytes(weights[:-9])
    Path("foreign.safetensors").write_bytes(b"\x00" * 99)

    assert "Check the path" in refused("train", "--data", "./nowhere")
    assert "there are no images in the folder" in refused("train", "--data", "empty")
    assert "none of the 1 images" in refused("train", "--data", "bad")
    assert "Groups: activities" in refused("train", "--data", "emoji:dinosaurs")
    assert "use 32 or 40" in refused("train", "--size", "33")
    assert "Choose quick, full, iadb, original" in refused("train", "--preset", "slow")
    assert "3 channels (color) or 1 (gray)" in refused("train", "--channels", "2", "--data", "emoji:face-hat")
    assert "no device tpu" in refused("train", "--device", "tpu")
    assert "learning rate must be more than 0" in refused("train", "--learning-rate", "0")
    assert f"already holds a run. Resume it, or choose another folder. Try --resume {run}, or change --out." in refused(
        "train", "--out", run, "--data", "emoji:face-hat"
    )
    assert "not empty" in refused("train", "--out", "bad", "--data", "emoji:face-hat")
    assert "no images were named" in refused("train", "--data", "")
    assert "1 to 4096 pixels" in refused("train", "--size", "8192")
    assert "at most 65,536" in refused("train", "--batch-size", "100000000000")
    assert "no run to resume" in refused("train", "--resume", "empty")
    assert "keeps its own settings" in refused("train", "--resume", run, "--size", "64")
    assert refused("doctor").endswith("yet. Run: dino train")
    assert "there is no file" in refused("sample", "nowhere.safetensors")
    assert "there is no file" in refused("info", "empty")
    assert "cut short" in refused("info", "cut.safetensors")
    assert "is not a safetensors file" in refused("sample", "foreign.safetensors")
    assert "is not the name of an image file" in refused("sample", run, "-n", "1", "--steps", "1", "--out", "x.mpg")
    assert "could not write" in refused("sample", run, "-n", "1", "--steps", "1", "--out", "cut.safetensors/x.png")
    assert not list(Path.cwd().glob("runs/*/*.safetensors"))  # nothing was trained


def test_a_full_memory_is_reported_in_one_line(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def allocate(_: Path) -> dict[str, str]:
        import torch

        return {"size": str(torch.empty(2**60).shape)}  # the allocator's own error

    monkeypatch.setattr("dino.trainer.run_folder.describe", allocate)
    assert "not enough memory" in refusal("info", "x", capsys=capsys, monkeypatch=monkeypatch)


def test_without_a_network_a_hub_name_is_refused_before_torch_is_imported(tmp_path: Path) -> None:
    code = """
import sys
from dino import cli
sys.argv = ["dino", "train", "--data", "owner/name"]
try:
    cli.main()
finally:
    print("torch" in sys.modules)
"""
    # The discard port of this machine, where no server answers.
    environment = os.environ | {"HF_ENDPOINT": "http://127.0.0.1:9", "HF_HOME": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert "--data dinos" in done.stderr
    assert done.stdout.split() == ["False"]


def test_the_time_can_be_limited(tmp_path: Path) -> None:
    report = inside("train", "--data", "emoji:face-hat", "--minutes", "0", "--out", "run", *QUICK_RUN, cwd=tmp_path)
    assert "Resume with: dino train --resume run" in report
    assert "seeing 8 images" in inside("info", "run", cwd=tmp_path)


def test_a_second_signal_ends_the_program_at_once(tmp_path: Path) -> None:
    code = """
import os, signal
from dino.cli.train import _announce_stop
from dino.trainer.signals import StopOnSignal
with StopOnSignal(on_signal=_announce_stop) as stop:
    os.kill(os.getpid(), signal.SIGINT)
    print("first", stop.received, flush=True)
    os.kill(os.getpid(), signal.SIGINT)
    print("never")
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 128 + signal.SIGINT
    assert done.stdout.split() == ["first", "2"]
    assert "press Ctrl-C again to end at once" in done.stderr


def test_a_model_saved_by_hand_can_draw(tmp_path: Path) -> None:
    from dino.denoiser import UNet
    from dino.trainer.model_file import save_model

    config = {"channels": 1, "widths": [4, 4], "depths": [1, 1], "size": 8}
    save_model(tmp_path / "mine.safetensors", UNet(1, (4, 4), (1, 1)), {"config": config})
    assert "8 x 8 images, gray" in inside("info", "mine.safetensors", cwd=tmp_path)
    inside("sample", "mine.safetensors", "-n", "2", "--steps", "2", cwd=tmp_path)
    assert (tmp_path / "generated.png").exists()


def test_debug_shows_where_the_error_happened(tmp_path: Path) -> None:
    command = [*DINO, "info", "nowhere", "--debug"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "Traceback" in done.stderr
    assert "load_model" in done.stderr


def test_unreadable_images_are_named_and_the_rest_is_used(image_folder: Path, tmp_path: Path) -> None:
    (image_folder / "text.png").write_text("not a picture")
    done = subprocess.run(
        [*DINO, "train", "--data", str(image_folder), "--images", "8", *QUICK_RUN],
        cwd=tmp_path, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0
    assert "skipped 1 of 41 images" in done.stderr
    assert "text.png" in done.stderr
    assert "warn" not in done.stderr.lower()


def test_a_full_disk_is_reported_in_one_line(tmp_path: Path) -> None:
    small = tmp_path / "small"
    small.mkdir()
    if subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", small], capture_output=True, check=False
    ).returncode:
        pytest.skip("making a small disk takes root")
    try:
        done = subprocess.run(
            [*DINO, "train", "--data", "emoji:face-hat", "--images", "80", "--out", str(small / "run"), *QUICK_RUN],
            cwd=tmp_path, capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 1
        assert "the disk is full" in done.stderr
        assert "Traceback" not in done.stderr
        assert not list(small.rglob("*.tmp"))
    finally:
        subprocess.run(["umount", small], check=True)


def test_a_path_with_control_characters_is_reported_in_one_printable_line(tmp_path: Path) -> None:
    name = "no\x1b[31m\nsuch\r.safetensors"
    done = subprocess.run([*DINO, "info", name], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr.splitlines() == [
        r"dino: there is no file no\x1b[31m\nsuch\r.safetensors. "
        "Name a run folder or a weights file, or train a model first."
    ]
