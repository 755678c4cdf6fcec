"""The network in a web page: how long a prediction takes, against onnxruntime-web and PyTorch, and how close they are.

    npm pack onnxruntime-web && tar xzf onnxruntime-web-*.tgz      # makes the folder package/
    python -m scripts.benchmarks.web_engine --ort package --json docs/benchmarks/web-engine.json

All of them compute in one thread, in turns, many times. The fastest time counts, because other programs can only slow a
computation down. The page runs in headless Chromium, from a local server.
"""

import base64
import json
import statistics
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import torch
import typer
from torch import Tensor, nn

from dino.common.plots import STYLE
from dino.common.version import VERSION
from dino.reports.report import Report, check_name, environment, number, table
from dino.reports.report import write as write_report
from dino.trainer.model_file import image_shape, load_model, resolve, vocabulary
from dino.trainer.onnx_file import export_onnx
from dino.web.bundle import ENGINE, engine_script
from tests.browsing import Tab, chromium, served

if TYPE_CHECKING:
    from matplotlib.figure import Figure

NOISE_LEVEL = 0.7
N_CALLS = 5  # of one program before the next one has its turn
N_STEPS = 8
PAGE = "<!doctype html><title>benchmark</title><script src=dino.js></script>"
ORT_FILES = ("ort.wasm.min.js", "ort-wasm-simd-threaded.mjs", "ort-wasm-simd-threaded.wasm")


# ---- the programs ---------------------------------------------------------------------------------------------------


class InPyTorch:
    """The network in PyTorch, in one thread."""

    def __init__(self, model: nn.Module) -> None:
        self.model = model

    @torch.no_grad()
    def run(self, noisy: Tensor) -> tuple[Tensor, list[float]]:
        """Return the prediction, and the milliseconds of each call."""
        seconds = []
        for _ in range(N_CALLS):
            start = time.perf_counter()
            denoised = self.model(noisy, torch.full((1, 1, 1, 1), NOISE_LEVEL))
            seconds.append(time.perf_counter() - start)
        return denoised, [1000 * each for each in seconds]


class InPage:
    """A network in the page. `predict` is the body of a function of the noisy image that returns the prediction."""

    def __init__(self, tab: Tab, predict: str) -> None:
        self.tab, self.predict = tab, predict

    def run(self, noisy: Tensor) -> tuple[Tensor, list[float]]:
        """Return the prediction, and the milliseconds of each call."""
        body = f"""
            const times = [];
            let denoised = null;
            for (let k = 0; k < {N_CALLS}; k++) {{
              const start = performance.now();
              denoised = await (async () => {{ {self.predict} }})();
              times.push(performance.now() - start);
            }}
            return {{ denoised, times }};"""
        found = self.tab.run(body, noisy=noisy)
        return found["denoised"].view_as(noisy), found["times"]


def in_engine(tab: Tab, weights: bytes) -> InPage:
    """Return dino's own engine, in one worker."""
    tab.run("window.model = await Dino.load(weights, { workers: 1 });", weights=weights)
    size = "const side = Math.sqrt(noisy.length / model.channels);"
    predict = f"return (await model.denoise(noisy, {NOISE_LEVEL}, {{ height: side, width: side }})).denoised;"
    return InPage(tab, size + predict)


def in_onnxruntime(tab: Tab, weights: bytes, n_words: int, channels: int) -> InPage:
    """Return onnxruntime-web, with its backend of WebAssembly."""
    start = """
        await new Promise((resolve, reject) => {
          const script = { src: "ort.wasm.min.js", onload: resolve, onerror: reject };
          document.head.append(Object.assign(document.createElement("script"), script));
        });
        ort.env.wasm.numThreads = 1;
        window.session = await ort.InferenceSession.create(weights, { executionProviders: ["wasm"] });"""
    tab.run(start, weights=weights)
    condition = f"condition: new ort.Tensor('float32', new Float32Array({n_words}), [1, {n_words}])," if n_words else ""
    predict = f"""
        const side = Math.sqrt(noisy.length / {channels});
        const found = await session.run({{
          noisy: new ort.Tensor("float32", noisy, [1, {channels}, side, side]), {condition}
          noise_level: new ort.Tensor("float32", new Float32Array([{NOISE_LEVEL}]), [1, 1, 1, 1]),
        }});
        return found.denoised.data;"""
    return InPage(tab, predict)


# ---- measuring ------------------------------------------------------------------------------------------------------


def measure(named: str, ort: Path | None, rounds: int) -> Report:
    """Measure all programs in turns.

    Args:
        named: a run folder, a weights file or the name of a pretrained model.
        ort: the folder of the unpacked package onnxruntime-web, or None to leave it out.
        rounds: how many turns each of them has at each size.
    """
    torch.set_num_threads(1)
    model, metadata = load_model(named)
    channels, size, _ = image_shape(metadata)
    path = resolve(named)
    weights = (path / "model.safetensors" if path.is_dir() else path).read_bytes()
    with tempfile.TemporaryDirectory() as temporary, chromium() as browser:
        folder = Path(temporary)
        (folder / "index.html").write_text(PAGE, encoding="utf-8")
        (folder / "dino.js").write_text(engine_script(), encoding="utf-8")
        files = {"engine.wasm, and its JavaScript": ENGINE.stat().st_size + _bytes_of_script()}
        if ort:
            for name in ORT_FILES:
                (folder / name).write_bytes((ort / "dist" / name).read_bytes())
            files["onnxruntime-web"] = sum((folder / name).stat().st_size for name in ORT_FILES)
            export_onnx(model, metadata, folder / "model.onnx")
        with served(folder) as address:
            tab = Tab(browser, f"{address}index.html")
            programs: dict[str, Any] = {"engine, in Chromium": in_engine(tab, weights)}
            if ort:
                onnx = (folder / "model.onnx").read_bytes()
                n_words = len(vocabulary(metadata))
                programs["onnxruntime-web, in Chromium"] = in_onnxruntime(tab, onnx, n_words, channels)
            programs["PyTorch"] = InPyTorch(model)
            sizes = [_at(side, channels, programs, rounds) for side in (size, 2 * size)]
            whole = _whole_images(tab, rounds)
            version = browser.version
            tab.close()
    return environment(torch.device("cpu")) | {
        "model": named, "weights": sum(weight.numel() for weight in model.parameters()), "sizes": sizes,
        "whole_images": whole, "files": files, "chromium": version, "rounds": rounds, "ort": _version_of(ort),
    }  # fmt: skip


def _bytes_of_script() -> int:
    return len(engine_script().encode()) - len(base64.b64encode(ENGINE.read_bytes()))


def _version_of(ort: Path | None) -> str | None:
    return json.loads((ort / "package.json").read_text(encoding="utf-8"))["version"] if ort else None


def _at(side: int, channels: int, programs: dict[str, Any], rounds: int) -> dict[str, Any]:
    """Return the times of all programs at a size, in milliseconds, and their distance from PyTorch's prediction."""
    noisy = torch.rand(1, channels, side, side, generator=torch.Generator().manual_seed(0))
    times: dict[str, list[float]] = {name: [] for name in programs}
    predictions = {}
    for _ in range(rounds):
        for name, program in programs.items():
            predictions[name], spent = program.run(noisy)
            times[name] += spent
    return {
        "size": side,
        "programs": {
            name: {
                "fastest": min(spent), "median": statistics.median(spent),
                "difference": (predictions[name] - predictions["PyTorch"]).abs().max().item(),
            }
            for name, spent in times.items()
        },
    }  # fmt: skip


def _whole_images(tab: Tab, rounds: int) -> dict[str, float]:
    """Return how many milliseconds the engine takes for an image, with as many workers as it likes."""
    body = f"""
        const found = {{}};
        window.whole = await Dino.load(model.pool.bytes);
        for (const [name, options] of Object.entries({{ plain: {{ condition: null }}, guided: {{}} }})) {{
          found[name] = Infinity;
          for (let k = 0; k < {rounds}; k++) {{
            const start = performance.now();
            for await (const step of whole.sample({{ seed: k, steps: {N_STEPS}, ...options }}));
            found[name] = Math.min(found[name], performance.now() - start);
          }}
        }}
        return found;"""
    return tab.run(body)


# ---- printing and writing -------------------------------------------------------------------------------------------


def markdown(report: Report) -> str:
    """Return the table: a row for each program."""
    head = ["program"]
    for each in report["sizes"]:
        side = each["size"]
        head += [f"{side} x {side}, fastest", f"{side} x {side}, median", f"{side} x {side}, from PyTorch"]
    rows = [head]
    for name in report["sizes"][0]["programs"]:
        row = [name]
        for each in report["sizes"]:
            found = each["programs"][name]
            row += [number(found["fastest"], ".1f"), number(found["median"], ".1f"), number(found["difference"], ".0e")]
        rows.append(row)
    return table(rows)


def facts(report: Report) -> dict[str, str]:
    """Return the sentences below the table, by their labels."""
    small, large = (each["programs"]["engine, in Chromium"]["fastest"] for each in report["sizes"])
    sizes = "; ".join(f"{name}: {size / 1000:,.0f} kB" for name, size in report["files"].items())
    whole = report["whole_images"]
    ort = f"onnxruntime-web {report['ort']}, " if report["ort"] else "onnxruntime-web was left out, "
    return {
        "time": f"milliseconds for one prediction of one image by {report['model']} ({report['weights']:,} weights), "
        f"in one thread; the fastest and the median of {report['rounds'] * N_CALLS}",
        "from PyTorch": "the largest difference of a number of the prediction from PyTorch's",
        "size": f"four times the pixels take the engine {large / small:.1f} times as long",
        "a whole image": f"in {N_STEPS} steps at the smaller size: {whole['plain']:.0f} ms, and "
        f"{whole['guided']:.0f} ms with guidance, which predicts twice in each step; with several workers",
        "files": f"what a page loads besides the weights, uncompressed: {sizes}",
        "programs": f"{ort}Chromium {report['chromium']}, PyTorch {report['torch']}, dino {VERSION}, "
        f"on {report['device_name']}",
    }


def plot(report: Report) -> "Figure":
    """Plot the fastest times."""
    import matplotlib as mpl
    from matplotlib.figure import Figure

    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(7, 2.6), layout="constrained")
        axes = figure.subplots()
        names = list(report["sizes"][0]["programs"])[::-1]
        for k, each in enumerate(report["sizes"]):
            places = [place + 0.2 - 0.4 * k for place in range(len(names))]
            bars = axes.barh(places, [each["programs"][name]["fastest"] for name in names], height=0.36,
                             label=f"{each['size']} x {each['size']}")  # fmt: skip
            axes.bar_label(bars, fmt="%.1f", padding=3)
        axes.set_yticks(range(len(names)), names)
        axes.set(xlabel="milliseconds a prediction")
        axes.margins(x=0.12)
        axes.legend(loc="lower right")
    return figure


def main(
    model: Annotated[str, typer.Argument(help="A run folder, a weights file or a pretrained model.")] = "pretrained-32",
    ort: Annotated[Path | None, typer.Option(help="The folder of the package onnxruntime-web.")] = None,
    rounds: Annotated[int, typer.Option(help="How many turns each program has.")] = 20,
    out: Annotated[Path, typer.Option("--json", help="The report to write.")] = Path("web-engine.json"),
) -> None:
    """Measure the network in a web page against onnxruntime-web and PyTorch."""
    check_name(out)
    report = measure(model, ort, rounds)
    options = f"{' --ort package' if ort else ''} --rounds {rounds}"
    report |= {"command": f"python -m scripts.benchmarks.web_engine {model}{options}"}
    typer.echo(markdown(report))
    for path in write_report(report, out, markdown(report), facts(report), plot(report)):
        typer.echo(f"wrote {path}")


if __name__ == "__main__":
    typer.run(main)
