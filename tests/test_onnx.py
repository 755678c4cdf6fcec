"""`dino export` and docs/guides/onnx.md: an exported network predicts what PyTorch predicts, without PyTorch."""

import importlib.util
import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor, nn
from typer.testing import CliRunner

import dino
from dino import cli
from dino.common.errors import DinoError
from dino.steering import asking
from dino.trainer import onnx_file
from dino.trainer.config import Config
from dino.trainer.model_file import save_model, vocabulary
from dino.trainer.onnx_file import PACKAGES, export_onnx, largest_difference, size_multiple

PAGE = Path(__file__).parents[1] / "docs" / "guides" / "onnx.md"
CONFIG: dict[str, Any] = {
    "channels": 1, "widths": [4, 4, 4], "depths": [1, 0, 1], "size": 16, "vocabulary": ["stegosaurus", "green", "hat"],
}  # fmt: skip

installed = all(importlib.util.find_spec(name) for name in PACKAGES)
needs_onnx = pytest.mark.skipif(not installed, reason="onnx, onnxscript and onnxruntime aren't installed")


def new_model() -> nn.Module:
    torch.manual_seed(0)
    return Config.from_dict(CONFIG).new_network().eval()


@pytest.fixture(scope="module")
def pretrained(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """The small pretrained model, exported by the command line; and what that printed."""
    path = tmp_path_factory.mktemp("pretrained") / "model.onnx"
    result = CliRunner().invoke(cli.app, ["export", "pretrained-32", "--onnx", str(path)])
    assert result.exit_code == 0, result.output
    return path, result.output


@pytest.fixture(scope="module")
def dinos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny gray network that knows three words, exported beside its weights."""
    folder = tmp_path_factory.mktemp("dinos")
    save_model(folder / "model.safetensors", new_model(), {"config": CONFIG})
    result = CliRunner().invoke(cli.app, ["export", str(folder)])
    assert result.exit_code == 0, result.output
    return folder / "model.onnx"


def run(path: Path, *inputs: Tensor) -> Tensor:
    import onnxruntime

    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    named = zip(session.get_inputs(), inputs, strict=True)
    (denoised,) = session.run(None, {each.name: values.numpy() for each, values in named})
    return torch.from_numpy(denoised)


@needs_onnx
@pytest.mark.parametrize(("n", "height", "width"), [(1, 32, 32), (7, 32, 32), (1, 8, 8), (2, 8, 72), (3, 48, 16)])
def test_any_batch_and_size_predicts_what_pytorch_predicts(
    n: int, height: int, width: int, pretrained: tuple[Path, str], generator: torch.Generator
) -> None:
    model, metadata = dino.load_model("pretrained-32")
    noisy = torch.rand(n, 3, height, width, generator=generator)
    level = torch.rand(n, 1, 1, 1, generator=generator)
    condition = torch.rand(n, len(vocabulary(metadata)), generator=generator).round()
    with torch.no_grad():
        expected = model(noisy, level, condition)
    torch.testing.assert_close(run(pretrained[0], noisy, level, condition), expected, atol=1e-5, rtol=0)


@needs_onnx
@pytest.mark.parametrize(("n", "height", "width"), [(1, 16, 16), (5, 4, 12)])
def test_words_predict_what_pytorch_predicts(
    n: int, height: int, width: int, dinos: Path, generator: torch.Generator
) -> None:
    noisy = torch.rand(n, 1, height, width, generator=generator)
    level = torch.rand(n, 1, 1, 1, generator=generator)
    for condition in (torch.zeros(n, 3), torch.rand(n, 3, generator=generator).round()):
        with torch.no_grad():
            expected = new_model()(noisy, level, condition)
        torch.testing.assert_close(run(dinos, noisy, level, condition), expected, atol=1e-5, rtol=0)


@needs_onnx
def test_the_command_says_what_the_file_takes_and_how_it_was_checked(pretrained: tuple[Path, str]) -> None:
    path, printed = pretrained
    assert f"wrote     {path}" in printed
    _, metadata = dino.load_model("pretrained-32")
    words, multiple = len(vocabulary(metadata)), size_multiple(metadata)
    inputs = f"noisy (N, 3, H, W), noise_level (N, 1, 1, 1), condition (N, {words}); H and W divisible by {multiple}"
    assert inputs in " ".join(printed.split())
    found = re.search(r"checked +at 4 batches and sizes: at most (\S+) from PyTorch's", printed)
    assert found
    assert 0 < float(found[1]) < 1e-4


@needs_onnx
def test_the_file_describes_itself_and_not_this_machine(dinos: Path) -> None:
    import onnx

    proto = onnx.load(dinos)
    onnx.checker.check_model(proto, full_check=True)
    shapes = {
        value.name: [side.dim_param or side.dim_value for side in value.type.tensor_type.shape.dim]
        for value in [*proto.graph.input, *proto.graph.output]
    }
    assert shapes == {
        "noisy": ["N", 1, "H", "W"], "noise_level": ["N", 1, 1, 1], "condition": ["N", 3],
        "denoised": ["N", 1, "H", "W"],
    }  # fmt: skip
    facts = {entry.key: json.loads(entry.value) for entry in proto.metadata_props}
    assert facts == {
        "channels": 1, "size": 16, "size_multiple": 4, "vocabulary": ["stegosaurus", "green", "hat"],
    }  # fmt: skip
    for name in (str(Path(dino.__file__).parent), str(Path(torch.__file__).parent), "Traceback", "File "):
        assert name.encode() not in dinos.read_bytes()


@needs_onnx
def test_another_network_differs_and_is_noticed(dinos: Path) -> None:
    model = new_model()
    assert largest_difference(model, {"config": CONFIG}, dinos) < 1e-5
    with torch.no_grad():
        next(model.parameters()).add_(0.1)
    assert largest_difference(model, {"config": CONFIG}, dinos) > 1e-3


@needs_onnx
def test_a_file_that_predicts_something_else_is_not_kept(
    dinos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import onnx

    monkeypatch.setattr(onnx_file, "_exported", lambda *_: onnx.load(dinos))
    model, path = new_model(), tmp_path / "model.onnx"
    path.write_bytes(b"an older file")
    with torch.no_grad():
        next(model.parameters()).add_(0.1)
    with pytest.raises(DinoError, match=r"would differ from PyTorch's by 0\.\d+, so it isn't kept"):
        export_onnx(model, {"config": CONFIG}, path)
    assert path.read_bytes() == b"an older file"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("name", PACKAGES)
def test_a_missing_package_is_reported_with_how_to_install_it(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    found = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda n: None if n == name else n in PACKAGES or found(n))
    result = CliRunner().invoke(cli.app, ["export", "pretrained"])
    assert isinstance(result.exception, DinoError)
    assert f"other packages ({name})" in str(result.exception)
    assert "uv sync --extra onnx" in str(result.exception)


# ---- the page -------------------------------------------------------------------------------------------------------


def code_of_the_page() -> tuple[str, str]:
    script, words = re.findall(r"^```python\n(.*?)^```", PAGE.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    return script, words


def run_script(code: str, folder: Path) -> np.ndarray[Any, Any]:
    """Run a script in a folder, where PyTorch and dino can't be imported. Returns the picture that it wrote."""
    absent = "import sys\nsys.modules['torch'] = sys.modules['dino'] = None\n"
    done = subprocess.run(
        [sys.executable, "-c", absent + code], cwd=folder, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return np.asarray(Image.open(folder / "drawn.png"))


def drawn_by_dino(model: nn.Module, channels: int, size: int) -> np.ndarray[Any, Any]:
    """Return the picture that the script should write: the same noise, through dino's own sampler."""
    noise = np.random.default_rng(0).random((16, channels, size, size), dtype=np.float32)
    *_, last = dino.denoise(model, torch.from_numpy(noise), torch.linspace(1, 0, 51))
    pixels = last.noisy.clamp(0, 1).mul(255).round().reshape(4, 4, channels, size, size).permute(0, 3, 1, 4, 2)
    return pixels.reshape(4 * size, 4 * size, channels).squeeze().numpy()


@needs_onnx
def test_the_script_on_the_page_draws_what_dino_draws(pretrained: tuple[Path, str]) -> None:
    script, _ = code_of_the_page()
    assert set(re.findall(r"^(?:import|from) (\w+)", script, re.MULTILINE)) == {"json", "numpy", "onnxruntime", "PIL"}
    drawn, (model, metadata) = run_script(script, pretrained[0].parent), dino.load_model("pretrained-32")
    words = vocabulary(metadata)
    condition = torch.tensor([[float(f'"{word}"' in script) for word in words]])
    assert condition.sum() == 5
    expected = drawn_by_dino(asking(model, condition, guidance=1.5), 3, 32)
    assert np.abs(drawn - expected).max() <= 1
    without = drawn_by_dino(asking(model, torch.zeros_like(condition)), 3, 32)
    assert np.abs(drawn - without).max() > 1, "the words matter"


@needs_onnx
def test_the_page_has_a_denoiser_for_models_without_words(tmp_path: Path) -> None:
    torch.manual_seed(0)
    config = CONFIG | {"vocabulary": []}
    model = Config.from_dict(config).new_network().eval()
    export_onnx(model, {"config": config}, tmp_path / "model.onnx")
    script, shorter = code_of_the_page()
    start, _, _, rest = re.split(r"\n\n(asked = .*?)\n\n\n(def denoiser.*?)\n\n\n", script, maxsplit=1, flags=re.DOTALL)
    drawn = run_script(f"{start}\n\n\n{shorter}\n\n{rest}", tmp_path)
    assert np.abs(drawn - drawn_by_dino(model, 1, 16)).max() <= 1
