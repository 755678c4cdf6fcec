"""The full trainer: lesson 03's loop with a configuration, a fast path, a run folder, and nothing lost.

    trainer = Trainer(PRESETS["quick"])
    for progress in train(trainer, Path("runs/mine")):
        print(progress.images, progress.loss)

Two rules make a resumed run equal to one that never stopped. The random numbers of a step depend on the seed and the
step alone; and all else that a step changes is in the saved state. On a CPU the two are equal bit for bit; on a GPU,
whose sums have no fixed order, up to rounding.
"""

import contextlib
import copy
import csv
import hashlib
import json
import math
import os
import signal
import time
from collections.abc import Callable, Generator, Iterator
from dataclasses import asdict, dataclass, fields
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from . import __version__, checkpoint, denoiser, images, pictures, sampler, training
from .checkpoint import STATE, WEIGHTS
from .denoiser import UNet
from .errors import DinoError
from .files import explaining, replacing, sweep
from .images import batches, load_images, seeded, to_unit

if TYPE_CHECKING:
    from PIL.Image import Image


MAX_BATCH = 65_536  # more is a slip of the finger


@dataclass(frozen=True)
class Config:
    """All that decides what a run learns. Lengths are counted in images, so they hold at any batch size."""

    data: str = "emoji"  # see `load_images`
    split: str = "train"  # of a Hugging Face data set
    size: int = 64  # side of the pictures, in pixels
    channels: int = 3  # 3 for colour, 1 for gray
    widths: tuple[int, ...] = (64, 64, 64, 64, 64)
    depths: tuple[int, ...] = (2, 2, 2, 2, 2)
    n_images: int = 861_440  # the run's length; an image counts each time it is seen
    batch_size: int = 16
    learning_rate: float = 3e-4
    warmup: int = 0  # images over which the learning rate climbs to its full height
    anneal: bool = False  # whether the learning rate then falls to 0 along a half cosine
    average_half_life: int = 5_540  # images after which a weight counts half in the average
    precision: str = "auto"  # "float32", "bfloat16", or whichever is faster on the device
    seed: int = 0

    def __post_init__(self) -> None:
        step = 2 ** (len(self.widths) - 1)
        if self.size < step or self.size % step:
            nearest = sorted({max(step, self.size // step * step), max(step, (self.size // step + 1) * step)})
            raise DinoError(
                f"this network halves its pictures {len(self.widths) - 1} times, so their size must be divisible "
                f"by {step}: instead of {self.size}, take {' or '.join(map(str, nearest))}"
            )
        if len(self.widths) != len(self.depths):
            raise DinoError(f"widths and depths must be equally many, not {len(self.widths)} and {len(self.depths)}")
        for name in ("n_images", "batch_size", "learning_rate", "average_half_life"):
            if not getattr(self, name) > 0:
                raise DinoError(f"{name.replace('_', ' ')} must be more than 0, not {getattr(self, name)}")
        if self.batch_size > MAX_BATCH:
            raise DinoError(f"batch size must be at most {MAX_BATCH:,}, not {self.batch_size:,}")
        if self.precision not in ("auto", "float32", "bfloat16"):
            raise DinoError(f"precision is auto, float32 or bfloat16, not {self.precision}")

    @property
    def n_steps(self) -> int:
        return math.ceil(self.n_images / self.batch_size)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> "Config":
        """The configuration in a file; fields of other versions of dino are left aside."""
        known = {field.name for field in fields(cls)} & values.keys()
        chosen: dict[str, Any] = {}
        for name in known:
            chosen[name] = tuple(values[name]) if isinstance(values[name], list) else values[name]
        return cls(**chosen)


PRESETS = {
    # About five minutes on two CPU cores, ending in samples that are plainly emoji faces.
    "quick": Config(
        data="emoji:faces,noto",
        size=32,
        widths=(16, 32, 64, 128),
        depths=(1, 1, 2, 2),
        n_images=104_000,
        batch_size=32,
        learning_rate=1.5e-3,
        warmup=8_000,
        anneal=True,
        average_half_life=3_000,
    ),
    # The seed's network at the seed's size, in batches that keep one GPU busy. The learning rate grows with the root of
    # the batch, as is usual for Adam.
    "full": Config(batch_size=64, learning_rate=6e-4, warmup=20_000, anneal=True, average_half_life=10_000),
    # The seed's own recipe: one hour's worth of images on one GPU of its day.
    "seed": Config(batch_size=16, learning_rate=3e-4, precision="float32", n_images=861_440),
}


def choose_device(name: str = "auto") -> torch.device:
    """The device called `name`, or the fastest one here.

    Raises:
        DinoError: there is no such device.
    """
    available = [f"cuda:{index}" for index in range(torch.cuda.device_count())]
    available += ["mps"] * torch.backends.mps.is_available() + ["cpu"]
    if name == "auto":
        return torch.device(available[0])
    if name not in available and f"{name}:0" not in available:
        raise DinoError(f"there is no device {name} here. Available: {', '.join(available)}")
    return torch.device(name)


def choose_preset(device: torch.device) -> tuple[str, str]:
    """The preset that suits a device, and why."""
    if device.type == "cuda":
        return "full", f"there is a GPU ({torch.cuda.get_device_name(device)})"
    return "quick", "there is no CUDA GPU, and on anything slower the full one takes many hours"


def _bfloat16_is_faster(device: torch.device) -> bool:
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    # On CPUs it pays where there are instructions for it: measured 2.3 times float32 on an AMD EPYC with AVX512-BF16.
    return device.type == "cpu" and (torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported())


class Parts(NamedTuple):
    """The files of the lessons that a run is made of: dino's own, or others with the same functions in them."""

    images: Any = images
    denoiser: Any = denoiser
    training: Any = training
    sampler: Any = sampler
    # How a network that isn't dino's is saved so that all can read it: copy its weights into one that is.
    translate: Callable[[nn.Module, UNet], None] | None = None


class Trainer:
    """A run in memory: the network, its average, the optimizer, the pictures, and how many steps are done."""

    def __init__(
        self,
        config: Config,
        *,
        device: torch.device | str = "auto",
        images: Tensor | None = None,
        parts: Parts | None = None,
    ) -> None:
        """`images`, if given, stand in for `config.data`: uint8, (N, C, size, size). `parts` are dino's by default."""
        self.config, self.device, self.step = config, choose_device(str(device)), 0
        self.parts = parts = parts or Parts()
        self.unlogged: list[Tensor] = []  # losses since the last row of the log
        if images is None:
            images = load_images(config.data, config.size, channels=config.channels, split=config.split)
        self.fingerprint = hashlib.sha256(images.cpu().numpy().tobytes()).hexdigest()[:16]
        self.images = images.to(self.device)
        with torch.random.fork_rng(devices=[]):  # the caller's random numbers stay as they were
            torch.manual_seed(config.seed)
            model = parts.denoiser.UNet(config.channels, config.widths, config.depths)
        # Under autocast a network may answer in bfloat16; the question's precision is the one to answer in.
        model.register_forward_hook(_answer_in_kind)
        self.model = checkpoint.to_fast_layout(model, self.device)
        self.average = copy.deepcopy(self.model).requires_grad_(False)
        self.optimizer = torch.optim.AdamW(self.model.parameters(), lr=config.learning_rate, amsgrad=True, fused=True)
        low = config.precision == "bfloat16" or (config.precision == "auto" and _bfloat16_is_faster(self.device))
        self.precision = torch.bfloat16 if low else torch.float32

    @property
    def images_seen(self) -> int:
        return self.step * self.config.batch_size

    @property
    def precision_name(self) -> str:
        return str(self.precision).removeprefix("torch.")

    def autocast(self) -> torch.autocast:
        """The weights stay float32; where it is faster, convolutions are done in bfloat16."""
        return torch.autocast(self.device.type, torch.bfloat16, enabled=self.precision == torch.bfloat16)

    def steps(self) -> Iterator[Tensor]:
        """Train to the end of the run, yielding the loss of each step, still on the device: reading it would wait."""
        for clean in batches(
            self.images,
            self.config.batch_size,
            seed=self.config.seed,
            start=self.step,
            to_unit=self.parts.images.to_unit,
            random_flip=self.parts.images.random_flip,
        ):
            if self.step >= self.config.n_steps:
                return
            generator = seeded(self.device, self.config.seed, "noise", self.step)
            self.optimizer.param_groups[0]["lr"] = self._learning_rate()
            loss = self._train_step(clean, generator)
            self.step += 1
            self.parts.training.update_average(self.average, self.model, self._decay())
            self.unlogged.append(loss)
            yield loss

    def _train_step(self, clean: Tensor, generator: torch.Generator) -> Tensor:
        if self.parts.training is not training:
            with self.autocast():
                loss = self.parts.training.train_step(self.model, self.optimizer, clean, generator=generator)
            return torch.tensor(loss)
        # As in `training.train_step`, but that the loss stays on the device and backward is left out of autocast.
        self.optimizer.zero_grad()
        with self.autocast():
            loss = training.denoising_loss(self.model, clean, generator=generator)
        loss.backward()
        self.optimizer.step()
        return loss.detach()

    def _learning_rate(self) -> float:
        config, seen = self.config, self.images_seen + self.config.batch_size
        scale = min(1.0, seen / max(1, config.warmup))
        if config.anneal:
            scale *= 0.5 + 0.5 * math.cos(math.pi * min(1.0, self.step / config.n_steps))
        return config.learning_rate * scale

    def _decay(self) -> float:
        """What the average keeps at this step. Early on it forgets faster, or it would remember the random start."""
        half_life = min(self.config.average_half_life, self.images_seen / 10)
        return 0.5 ** (self.config.batch_size / half_life)

    def sample(self, n: int, *, n_steps: int = 25) -> Tensor:
        """`n` pictures from the averaged weights, always from the same noise, so that a run's grids make a film."""
        shape = (self.config.channels, self.config.size, self.config.size)
        with self.autocast():
            generator = seeded(self.device, self.config.seed, "samples")
            generate = self.parts.sampler.generate
            images: Tensor = generate(self.average, n, image_shape=shape, n_steps=n_steps, generator=generator)
        return images

    def about(self) -> dict[str, Any]:
        """What a saved file says of this run."""
        return {
            "config": asdict(self.config),
            "step": self.step,
            "images_seen": self.images_seen,
            "n_pictures": len(self.images),
            "fingerprint": self.fingerprint,
            "precision": self.precision_name,
            "own_network": self.parts.translate is not None,
            "dino": __version__,
        }

    @property
    def _networks(self) -> dict[str, nn.Module]:
        return {"model": self.model, "average": self.average}

    def save(self, folder: Path, loss: float) -> None:
        """Write the state and the weights. `loss` goes with them, for who wants to know what they are worth.

        Raises:
            DinoError: a weight is not finite any more; the files stay as they were. Or the disk is full.
        """
        weights = torch.stack([weight.sum() for weight in self.model.parameters()])
        self.check_finite(weights.sum().item())
        losses = torch.stack(self.unlogged) if self.unlogged else torch.empty(0)
        checkpoint.save_state(folder / STATE, self._networks, self.optimizer, {"losses": losses}, self.about())
        known_loss = loss if math.isfinite(loss) else None
        checkpoint.save_model(folder / WEIGHTS, self._for_all_to_read(), self.about() | {"loss": known_loss})

    def _for_all_to_read(self) -> nn.Module:
        """The averaged network, as dino's own UNet."""
        if self.parts.translate is None:
            return self.average
        plain = UNet(self.config.channels, self.config.widths, self.config.depths).to(self.device)
        self.parts.translate(self.average, plain)
        return plain

    def load(self, folder: Path) -> None:
        """Go back to a saved state.

        Raises:
            DinoError: there is none, or it is of another network or of other pictures, or past the run's end.
        """
        _, about = checkpoint.read(folder / STATE, "state")
        if about.get("own_network", False) != (self.parts.translate is not None):
            whose, remedy = (
                ("your own UNet", "add --mine") if about.get("own_network") else ("dino's UNet", "leave out --mine")
            )
            raise DinoError(f"the run in {folder} trains {whose}: {remedy}")
        more, about = checkpoint.load_state(folder / STATE, self._networks, self.optimizer)
        if about["fingerprint"] != self.fingerprint:
            raise DinoError(
                f"the pictures of {self.config.data} are not those that the run in {folder} learned from. "
                "Bring those back, or start a new run"
            )
        self.step, self.unlogged = about["step"], list(more["losses"].to(self.device))
        if self.step > self.config.n_steps:
            raise DinoError(f"the run has seen {self.images_seen:,} images already. Ask for more with --images")

    def check_finite(self, value: float) -> None:
        """Stop a run whose numbers are no numbers any more.

        Raises:
            DinoError: `value` is NaN or infinite.
        """
        if not math.isfinite(value):
            raise DinoError(
                f"the numbers blew up by step {self.step} (loss or weights are not finite), and were not saved. "
                f"Start again with a lower --learning-rate than {self.config.learning_rate:g}"
            )


def _answer_in_kind(_: nn.Module, inputs: tuple[Tensor, ...], answer: Tensor) -> Tensor:
    return answer.to(inputs[0].dtype)


# ---- the run folder -------------------------------------------------------------------------------------------------

RUNS = Path("runs")
LOG_EVERY = 25  # steps; in between, losses stay on the device and nothing waits for them
SAVE_EVERY = 60  # seconds
N_GRIDS = 24  # sample grids in a run, closer together at its start, where more changes; fewer in a very short run


class Progress(NamedTuple):
    """Where a run stands after a step."""

    step: int
    images: int
    loss: float  # mean over the steps of the last row of the log


def train(trainer: Trainer, folder: Path) -> Generator[Progress, None, None]:
    """Carry a run to its end in a run folder, yielding after each step. A generator: close it and all is saved.

    Written are config.json, log.csv, TensorBoard's events, a grid of samples now and then, and the two files of
    `checkpoint`. An exception in the middle of a step, such as Ctrl-C without `StopOnSignal`, saves nothing, for a step
    half done is no state to go on from; what was saved last stays.

    Raises:
        DinoError: the disk is full or the folder gone, or the numbers blew up.
    """
    with explaining(folder, then=f"go on with: dino train --resume {folder}"):
        yield from _train(trainer, folder)


def _train(trainer: Trainer, folder: Path) -> Generator[Progress, None, None]:
    if trainer.step:
        sweep(folder)
    with replacing(folder / "config.json") as temporary:
        temporary.write_text(json.dumps(asdict(trainer.config), indent=2) + "\n")
    log = Log(folder, trainer)
    if trainer.step == 0:
        log.add_grid(trainer, _save_grid(trainer, folder))
        log.restart_clock(trainer)
    n_steps = trainer.config.n_steps
    n_grids = min(N_GRIDS, 1 + n_steps // 20)
    grids_at = {round(n_steps * (k / n_grids) ** 1.5) for k in range(1, n_grids + 1)}
    saved_at = time.monotonic()
    with contextlib.suppress(GeneratorExit):  # the caller stopped between two steps: save, and be done
        for _ in trainer.steps():
            log.update(trainer)
            # The grid comes first: if the process dies between the two, the same grid is drawn once more.
            if trainer.step in grids_at:
                log.add_grid(trainer, _save_grid(trainer, folder))
            if trainer.step in grids_at or time.monotonic() - saved_at > SAVE_EVERY:
                trainer.save(folder, log.loss)
                saved_at = time.monotonic()
                log.restart_clock(trainer)
            yield Progress(trainer.step, trainer.images_seen, log.loss)
    trainer.save(folder, log.loss)
    log.close()


class Log:
    """A run's losses, in log.csv and for TensorBoard: means over LOG_EVERY steps, read from the device at once."""

    COLUMNS = ("step", "images", "loss", "images_per_second")

    def __init__(self, folder: Path, trainer: Trainer) -> None:
        from torch.utils.tensorboard import SummaryWriter

        self.path, self.loss = folder / "log.csv", math.nan
        rows = self._rows_until(trainer.step) if trainer.step and self.path.exists() else []
        if rows:
            self.loss = float(rows[-1][2])
        with replacing(self.path) as temporary, temporary.open("w", newline="") as file:
            csv.writer(file).writerows([self.COLUMNS, *rows])
        self.tensorboard = SummaryWriter(str(folder), purge_step=trainer.images_seen + 1)
        self.restart_clock(trainer)

    def _rows_until(self, step: int) -> list[list[str]]:
        """The rows of steps that were saved. A run that was killed may have logged later ones, or half a row."""
        with self.path.open(newline="", encoding="utf-8", errors="replace") as file:
            rows = [row for row in csv.reader(file) if len(row) == len(self.COLUMNS) and row[0].isdigit()]
        return [row for row in rows if int(row[0]) <= step]

    def restart_clock(self, trainer: Trainer) -> None:
        """Measure speed from here on: sampling and saving are not training."""
        self._clock_step, self._clock = trainer.step, time.perf_counter()

    def update(self, trainer: Trainer) -> None:
        """After each step: write a row if one is due."""
        if trainer.step % LOG_EVERY and trainer.step < trainer.config.n_steps:
            return
        self.loss = torch.stack(trainer.unlogged).mean().item()
        trainer.check_finite(self.loss)
        rate = (trainer.step - self._clock_step) * trainer.config.batch_size / (time.perf_counter() - self._clock)
        with self.path.open("r+", newline="") as file:  # not "a", which would begin anew in a folder that was removed
            file.seek(0, os.SEEK_END)
            csv.writer(file).writerow([trainer.step, trainer.images_seen, f"{self.loss:.8f}", f"{rate:.1f}"])
        self.tensorboard.add_scalar("loss", self.loss, trainer.images_seen)
        self.tensorboard.add_scalar("images_per_second", rate, trainer.images_seen)
        trainer.unlogged = []
        self.restart_clock(trainer)

    def add_grid(self, trainer: Trainer, image: "Image") -> None:
        """Show TensorBoard a grid of samples."""
        self.tensorboard.add_image("samples", np.asarray(image), trainer.images_seen, dataformats="HWC")

    def close(self) -> None:
        """Write out what TensorBoard still holds."""
        self.tensorboard.close()


def _save_grid(trainer: Trainer, folder: Path) -> "Image":
    """Write a grid of samples, named by the images seen."""
    image = pictures.grid(trainer.sample(36))
    pictures.save(image, folder / "samples" / f"{trainer.images_seen:09d}.png")
    return image


def finish(trainer: Trainer, folder: Path) -> list[Path]:
    """Draw what sums up a run: its loss, its film, real beside generated, and its guesses at each noise level."""
    from PIL import Image

    grids = [Image.open(path) for path in sorted((folder / "samples").glob("*.png"))]
    real = to_unit(trainer.images[:64])
    some = real[:: max(1, len(real) // 4)][:4]
    with trainer.autocast():
        generator = seeded(trainer.device, trainer.config.seed, "levels")
        guesses = pictures.denoising_strip(trainer.average, some, [k / 8 for k in range(9)], generator=generator)
    film = [pictures.animation(grids, folder / "film.gif")] if grids else []
    return [
        *film,
        pictures.save_figure(pictures.loss_curve(folder / "log.csv"), folder / "loss.png"),
        pictures.save(pictures.comparison(real, trainer.sample(64, n_steps=100)), folder / "compare.png"),
        pictures.save(pictures.grid(guesses, columns=9), folder / "levels.png"),
    ]


def new_run_folder(out: Path | None, name: str) -> Path:
    """Make the folder for a new run: `out`, or the next free one under runs/ such as runs/quick-3.

    Raises:
        DinoError: `out` has something in it already.
    """
    if out is None:
        taken = [int(p.name.rpartition("-")[2]) for p in RUNS.glob(f"{name}-*") if p.name.rpartition("-")[2].isdigit()]
        for number in count(max(taken, default=0) + 1):
            folder = RUNS / f"{name}-{number}"
            with explaining(folder), contextlib.suppress(FileExistsError):  # another run may have taken it just now
                folder.mkdir(parents=True)
                return folder
        raise AssertionError("there are always more numbers")
    if (out / STATE).exists():
        raise DinoError(f"{out} already holds a run. Go on with it by --resume {out}, or choose another --out")
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise DinoError(f"{out} is there already and is not empty. Choose a new folder for --out")
    with explaining(out):
        out.mkdir(parents=True, exist_ok=True)
    return out


def newest_run() -> Path:
    """The run under runs/ whose weights were written last.

    Raises:
        DinoError: there is none.
    """
    weights = sorted(RUNS.glob(f"*/{WEIGHTS}"), key=lambda path: path.stat().st_mtime)
    if not weights:
        raise DinoError(f"there is no run under {RUNS.resolve()} yet. Make one with: dino train")
    return weights[-1].parent


def saved_config(folder: Path) -> Config:
    """The configuration of the run saved in a folder, with the precision that was chosen for it.

    Raises:
        DinoError: there is no run in the folder.
    """
    if not (folder / STATE).exists():
        raise DinoError(f"there is no run to resume in {folder} (no {STATE})")
    _, about = checkpoint.read(folder / STATE, "state")
    return Config.from_dict(about["config"] | {"precision": about["precision"]})


def describe(path: Path) -> dict[str, str]:
    """What a run folder or a weights file holds, in words."""
    model, about = checkpoint.load_model(path)
    config = about["config"]
    words = {
        "weights": f"{sum(p.numel() for p in model.parameters()):,} in {len(config['widths'])} resolutions, "
        f"widths {config['widths']}, depths {config['depths']}",
        "draws": f"{config['size']} x {config['size']} pictures, {'colour' if config['channels'] == 3 else 'gray'}",
    }
    if "images_seen" not in about:
        return words  # saved by hand, and nothing is known of its training
    seen, n_pictures = about["images_seen"], about["n_pictures"]
    words["learned"] = (
        f"from {n_pictures:,} pictures of {config['data']}, seeing {seen:,} images ({seen / n_pictures:.0f} times each)"
    )
    words["trained"] = (
        f"{about['step']:,} steps of {config['batch_size']}, learning rate {config['learning_rate']:g}, "
        f"in {about['precision']}, seed {config['seed']}"
    )
    if about["loss"] is not None:
        words["loss"] = f"{about['loss']:.5f} at the end"
    if path.is_dir():
        done = about["step"] / Config.from_dict(config).n_steps
        words["run"] = "complete" if done >= 1 else f"{done:.0%} done; go on with: dino train --resume {path}"
    return words


class StopOnSignal:
    """Within this context Ctrl-C, SIGTERM and a closed terminal only raise a flag, for a loop to see between two steps.

    A second signal ends the program at once.
    """

    def __init__(self) -> None:
        self.received: signal.Signals | None = None

    def __enter__(self) -> "StopOnSignal":
        names = ("SIGINT", "SIGTERM", "SIGHUP")  # Windows has no SIGHUP
        numbers = [signal.Signals[name] for name in names if name in signal.Signals.__members__]
        self._before = {number: signal.signal(number, self._receive) for number in numbers}
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _receive(self, number: int, _: object) -> None:
        if self.received is not None:
            os._exit(128 + number)
        self.received = signal.Signals(number)
        os.write(2, b"\nstopping after this step; once more ends it at once, unsaved\n")
