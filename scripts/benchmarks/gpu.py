"""Every measurement that needs a GPU, in one program of under eight minutes, on a new machine without a network.

    python scripts/benchmarks/gpu.py --out results

The machine needs torch and what `dino` imports. The repository doesn't have to be installed. The program writes to the
folder:

- the tables and plots of `dino bench`, for batches of 16 and of 64 images;
- the loss against the images seen, for several batch sizes;
- the log and the images of a run of the preset `full`, and of the same run with AdamW in place of Muon;
- the kernels that take most of a step's time;
- two checks: that no step waits for the device, and that a resumed run continues as if it had never stopped.

The most valuable parts come first, and each part has a time limit. results.zip holds everything except the run folders.

With the name of a command, the program runs that part alone: see `--help`. To try the program itself on a CPU, use
`--device cpu --scale 0.001`.
"""

import os
import shutil
import signal
import subprocess
import sys
import time
import zipfile
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Annotated

import typer

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
app = typer.Typer(add_completion=False)


@app.callback(invoke_without_command=True)
def everything(
    context: typer.Context,
    out: Annotated[Path, typer.Option(help="The folder to write to.")] = Path("gpu-results"),
    device: str = "cuda",
    scale: Annotated[float, typer.Option(help="1 for the real measurement, or less for shorter runs.")] = 1,
    minutes: Annotated[float, typer.Option(help="No part starts after this time.")] = 8,
) -> None:
    """Run every part and print how each ended, or run one part alone if a command is named."""
    if context.invoked_subcommand:
        return
    out = out.resolve()
    out.mkdir(parents=True, exist_ok=True)
    end, log = time.monotonic() + 60 * minutes, out / "log.txt"
    for name, (command, limit) in parts(out, device, scale).items():
        start = time.monotonic()
        if end - start < 10:
            print(f"{name}: not run, because the time is up")
            continue
        ended = run_part(name, command, min(limit, end - start), log)
        print(f"{name}: {ended} after {time.monotonic() - start:.0f} s")
    collect(out)
    print(log.read_text(encoding="utf-8")[-9000:])


def parts(out: Path, device: str, scale: float) -> dict[str, tuple[list[str], int]]:
    """Return each part's command and its time limit in seconds, the most valuable part first."""
    me, dino = [sys.executable, str(HERE / "gpu.py")], [sys.executable, "-m", "dino"]
    seconds, preset = ("1", "full") if scale == 1 else ("0.1", "quick")
    rounds = "3" if scale == 1 else "1"
    common = ["--device", device, "--preset", preset]
    bench = [*dino, "bench", *common, "--rounds", rounds, "--seconds", seconds]
    sizes = [sys.executable, str(HERE / "batch_sizes.py"), *common]
    seen, fewer = str(max(640, int(861_440 * scale))), str(max(640, int(215_040 * scale)))
    recipes = ["32:1.06e-3", "64:1.5e-3", "128:2.1e-3", "256:3e-3"]
    return {
        "dino bench": ([*bench, "--json", str(out / "bench-64.json")], 240),
        "a run as long as the preset original": (
            [*dino, "train", *common, "--images", seen, "--out", str(out / "run")],
            120,
        ),
        "the same run with AdamW": (
            [*dino, "train", *common, "--images", seen, "--optimizer", "adamw", "--out", str(out / "run-adamw")],
            120,
        ),
        "kernels, batches of 64": ([*me, "kernels", *common, "--batch", "64"], 60),
        "kernels, batches of 256": ([*me, "kernels", *common, "--batch", "256"], 60),
        "no step waits for the device": ([*me, "waits", *common], 120),
        "batch sizes": ([*sizes, *recipes, "--images", fewer, "--out", str(out / "batch-sizes.csv")], 150),
        "dino bench, batches of 16": ([*bench, "--batch-size", "16", "--json", str(out / "bench-16.json")], 120),
        "resume": ([*me, "resume", "--device", device], 60),
    }


def run_part(name: str, command: list[str], limit: float, log: Path) -> str:
    """Run a command that writes to a log, for at most `limit` seconds. Return how it ended."""
    environment = os.environ | {"PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1", "COLUMNS": "150"}
    with log.open("a", encoding="utf-8") as file:
        file.write(f"\n\n== {name}: {' '.join(command)}\n")
        file.flush()
        process = subprocess.Popen(command, stdout=file, stderr=subprocess.STDOUT, cwd=log.parent, env=environment)
        ended = "done"
        try:
            process.wait(limit)
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGINT)  # on this signal dino keeps what it has
            ended = "stopped by its time limit"
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
        if process.wait() and ended == "done":
            ended = f"failed ({process.returncode})"
    return ended


def collect(out: Path) -> None:
    """Copy the important files of the run, and write all files of the folder to results.zip."""
    for run, name in product(("run", "run-adamw"), ("log.csv", "compare.png", "levels.png", "model.safetensors")):
        if (out / run / name).exists():
            shutil.copy(out / run / name, out / f"{run}-{name}")
    with zipfile.ZipFile(out / "results.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        for path in sorted(path for path in out.iterdir() if path.is_file() and path.suffix != ".zip"):
            archive.write(path, path.name)


@app.command()
def waits(device: str = "cuda", preset: str = "full") -> None:
    """Train some steps in the mode of torch that raises an error wherever the host would wait for the GPU."""
    import torch

    from dino.trainer.presets import PRESETS
    from dino.trainer.trainer import Trainer

    for batch in (16, 256):
        for compile in (False, True):
            config = replace(PRESETS[preset], batch_size=batch)
            trainer = Trainer(config, device=device, compile=compile and device == "cuda")
            steps = trainer.steps()
            for _ in range(8):  # steps may wait while kernels are chosen and compiled
                next(steps)
            if device == "cuda":
                torch.cuda.set_sync_debug_mode("error")
            for _ in range(8 if device == "cuda" else 1):
                next(steps)
            if device == "cuda":
                torch.cuda.set_sync_debug_mode("default")
            how = "compiled" if compile else "not compiled"
            print(f"batch {batch}, {how}: no step waits; loss {trainer.read_losses():.4f}")


@app.command()
def kernels(device: str = "cuda", preset: str = "full", batch: int = 64) -> None:
    """Time steps of the trainer, and list the kernels that take most of the time."""
    import torch
    from torch.profiler import ProfilerActivity, profile

    from dino.reports.training_loops import steps_per_second
    from dino.trainer.presets import PRESETS
    from dino.trainer.trainer import Trainer

    trainer = Trainer(replace(PRESETS[preset], batch_size=batch, n_images=10**12), device=device)
    steps, here = trainer.steps(), torch.device(device)
    on_gpu = here.type == "cuda"
    steps_per_second(steps, 1, here)  # to warm up: kernels are chosen and compiled
    rate = steps_per_second(steps, 3, here)
    activities = [ProfilerActivity.CPU, ProfilerActivity.CUDA] if on_gpu else [ProfilerActivity.CPU]
    with profile(activities=activities) as profiled:
        steps_per_second(steps, 0.1, here)
    # On a GPU, what counts is how long the device is busy with each kernel, not how long the host takes to launch it.
    order = "self_device_time_total" if on_gpu else "self_cpu_time_total"
    print(profiled.key_averages().table(sort_by=order, row_limit=30, max_name_column_width=90))
    print(f"batches of {batch}: {rate * batch:,.0f} images/s, {1000 / rate:.2f} ms per step")


@app.command()
def resume(device: str = "cuda") -> None:
    """Compare an uninterrupted run with a resumed one. On a GPU they are equal up to rounding."""
    import tempfile

    from dino.trainer.presets import PRESETS
    from dino.trainer.trainer import Trainer

    def train(trainer: Trainer, *, until: int) -> None:
        for _ in trainer.steps():
            if trainer.step == until:
                return

    config = replace(PRESETS["quick"], warmup=0, precision="float32")
    whole, first, second, lost = (Trainer(config, device=device, compile=False) for _ in range(4))
    with tempfile.TemporaryDirectory() as folder:
        train(whole, until=40)
        train(first, until=20)
        first.save(Path(folder), 0.0)
        second.load(Path(folder))
    lost.step = 20  # but nothing else is restored, which shows how far apart unrelated runs are
    train(second, until=40)
    train(lost, until=40)

    def difference(other: Trainer) -> float:
        return max((a - b).abs().max().item() for a, b in zip(whole.weights, other.weights, strict=True))

    print("largest difference between the weights after 40 steps, if the last 20 are resumed:", end=" ")
    print(f"{difference(second):.3g}, and {difference(lost):.3g} if nothing is restored")
    if difference(second) > 0.1 * difference(lost):
        sys.exit("a resumed run differs from an uninterrupted one")


if __name__ == "__main__":
    app()
