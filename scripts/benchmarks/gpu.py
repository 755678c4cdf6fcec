"""Measure all that needs a GPU, in one go of under eight minutes on a fresh machine without a network.

    python docs/benchmarks/gpu.py --out results

It needs torch and what `dino` imports, no more; the repository need not be installed. What it writes to the folder:
the tables and plots of `dino bench` for batches of 16 and of 64, the loss against images of several batch sizes, the
seed's budget trained by the preset `full` (its log and pictures), which kernels a step's time goes to, and two checks:
that no step waits for the device, and that a resumed run goes on as it would have. The parts come in the order of
their worth, each with a limit of time. All of it but the run's folder is in results.zip, too, to be carried home.

With the name of a command it does that part alone: see `--help`. On a CPU, `--device cpu --scale 0.001` tries the
script itself.
"""

import os
import shutil
import signal
import subprocess
import sys
import time
import zipfile
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

HERE = Path(__file__).resolve().parent
app = typer.Typer(add_completion=False)


@app.callback(invoke_without_command=True)
def everything(
    context: typer.Context,
    out: Annotated[Path, typer.Option(help="The folder to write to.")] = Path("gpu-results"),
    device: str = "cuda",
    scale: Annotated[float, typer.Option(help="1 for the real thing; less for shorter runs.")] = 1,
    minutes: Annotated[float, typer.Option(help="No part begins after this.")] = 8,
) -> None:
    """Run every part, and print how each went; or, with the name of a command, that part alone."""
    if context.invoked_subcommand:
        return
    out = out.resolve()
    out.mkdir(parents=True, exist_ok=True)
    me, dino = [sys.executable, str(HERE / "gpu.py")], [sys.executable, "-m", "dino"]
    seconds, preset = ("1", "full") if scale == 1 else ("0.1", "quick")
    rounds = "3" if scale == 1 else "1"
    bench = [*dino, "bench", "--device", device, "--rounds", rounds, "--seconds", seconds, "--preset", preset]
    sizes = [sys.executable, str(HERE / "batch_sizes.py"), "--device", device, "--preset", preset]
    run, seen, fewer = out / "run", str(max(640, int(861_440 * scale))), str(max(640, int(215_040 * scale)))
    recipes = ["16:3e-4", "64:6e-4", "128:8.5e-4", "256:1.2e-3"]
    parts = {
        "dino bench": ([*bench, "--json", str(out / "bench-64.json")], 240),
        "the seed's budget": (
            [*dino, "train", "--device", device, "--preset", preset, "--images", seen, "--out", str(run)],
            120,
        ),
        "kernels, batches of 64": ([*me, "kernels", "--device", device, "--preset", preset, "--batch", "64"], 60),
        "kernels, batches of 256": ([*me, "kernels", "--device", device, "--preset", preset, "--batch", "256"], 60),
        "no step waits for the device": ([*me, "waits", "--device", device, "--preset", preset], 120),
        "batch sizes": ([*sizes, *recipes, "--images", fewer, "--out", str(out / "batch-sizes.csv")], 150),
        "dino bench, the seed's batch": ([*bench, "--batch-size", "16", "--json", str(out / "bench-16.json")], 120),
        "resume": ([*me, "resume", "--device", device], 60),
    }
    end, log = time.monotonic() + 60 * minutes, out / "log.txt"
    environment = os.environ | {"PYTHONPATH": str(HERE.parents[1]), "PYTHONUNBUFFERED": "1", "COLUMNS": "150"}
    for name, (command, limit) in parts.items():
        began = time.monotonic()
        left = end - began
        if left < 10:
            print(f"{name}: no time left for it")
            continue
        with log.open("a") as file:
            file.write(f"\n\n== {name}: {' '.join(command)}\n")
            file.flush()
            process = subprocess.Popen(command, stdout=file, stderr=subprocess.STDOUT, cwd=out, env=environment)
            how = "done"
            try:
                process.wait(min(limit, left))
            except subprocess.TimeoutExpired:
                process.send_signal(signal.SIGINT)  # upon which dino keeps what it has
                how = "stopped, its time was up"
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
            if process.wait() and how == "done":
                how = f"failed ({process.returncode})"
        print(f"{name}: {how} after {time.monotonic() - began:.0f} s")
    for name in ("log.csv", "compare.png", "levels.png", "model.safetensors"):
        if (run / name).exists():
            shutil.copy(run / name, out / f"run-{name}")
    with zipfile.ZipFile(out / "results.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        for path in sorted(path for path in out.iterdir() if path.is_file() and path.suffix != ".zip"):
            archive.write(path, path.name)
    print(log.read_text()[-9000:])


@app.command()
def waits(device: str = "cuda", preset: str = "full") -> None:
    """Train some steps with torch told to raise an error wherever the host would wait for the GPU."""
    import torch

    from dino.trainer.presets import PRESETS
    from dino.trainer.trainer import Trainer

    for batch in (16, 256):
        for compile in (False, True):
            config = replace(PRESETS[preset], batch_size=batch)
            trainer = Trainer(config, device=device, compile=compile and device == "cuda")
            steps = trainer.steps()
            for _ in range(8):  # while kernels are chosen and compiled, it may wait
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
    """Time steps of the trainer, then look which kernels that time goes to: to know why before tuning anything."""
    import torch
    from torch.profiler import ProfilerActivity, profile

    from dino.reports.training_loops import speed
    from dino.trainer.presets import PRESETS
    from dino.trainer.trainer import Trainer

    trainer = Trainer(replace(PRESETS[preset], batch_size=batch, n_images=10**12), device=device)
    steps, here = trainer.steps(), torch.device(device)
    on_gpu = here.type == "cuda"
    speed(steps, 1, here)  # while kernels are chosen and compiled
    rate = speed(steps, 3, here)
    activities = [ProfilerActivity.CPU, ProfilerActivity.CUDA] if on_gpu else [ProfilerActivity.CPU]
    with profile(activities=activities) as profiled:
        speed(steps, 0.1, here)
    # A launch's own time is the host's; what matters is how long the device was busy with each kernel.
    order = "self_device_time_total" if on_gpu else "self_cpu_time_total"
    print(profiled.key_averages().table(sort_by=order, row_limit=30, max_name_column_width=90))
    print(f"batches of {batch}: {rate * batch:,.0f} images/s, {1000 / rate:.2f} ms a step")


@app.command()
def resume(device: str = "cuda") -> None:
    """Compare a run with one stopped halfway and resumed. On a GPU they are equal up to rounding."""
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
    lost.step = 20  # all else of its state is lost: it tells how far apart runs are that have nothing in common
    train(second, until=40)
    train(lost, until=40)

    def apart(other: Trainer) -> float:
        return max((a - b).abs().max().item() for a, b in zip(whole.weights, other.weights, strict=True))

    print("the largest difference between weights after 40 steps, 20 of them resumed:", end=" ")
    print(f"{apart(second):.3g}, and {apart(lost):.3g} if nothing was restored")
    if apart(second) > 0.1 * apart(lost):
        sys.exit("a resumed run goes its own way")


if __name__ == "__main__":
    app()
