"""Weights files: a trained network and the configuration to rebuild it, in one file that is enough to draw with.

    model, metadata = load_model("runs/quick-1")
    images = generate(model, 16, image_shape=image_shape(metadata))

The file may come from anywhere, so its metadata is checked against its contents before it is used.
"""

from pathlib import Path
from reprlib import repr as short
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from ..common.errors import DinoError, first_line
from ..denoiser import UNet
from ..rosetta import VelocityDenoiser
from ..steering import ConditionalDenoiser
from .config import Config
from .device import choose_device
from .model_hub import download, is_hub_model
from .tensor_file import WEIGHTS, check_fit, read, write
from .trial import apply, usual_method

DATA = Path(__file__).parents[1] / "data"
PRETRAINED = {  # the models that come with dino, by name; docs/model.md has their cards
    "pretrained": DATA / "pretrained-32.safetensors",
    "pretrained-32": DATA / "pretrained-32.safetensors",
}
MAX_WORD_SETS = 4_096
MAX_STUDENT_STEPS = 1_000
HALF = "float16"  # in the metadata of weights that were rounded


class Distilled(NamedTuple):
    """The way to draw with a student of `dino.trainer.distillation`."""

    n_steps: int  # warped ones, of size 1
    guidance: float  # what the student draws like with one call a step


def save_model(path: Path, model: nn.Module, metadata: dict[str, Any], *, half: bool = False) -> None:
    """Save a network.

    Args:
        path: the file.
        model: a `UNet`, or a `ConditionalDenoiser` with one inside.
        metadata: a description, fit for JSON. Its "config" must hold "size", "channels", "widths" and "depths".
        half: whether to round the numbers to 16 bits, which halves the file and is enough to draw with.

    Raises:
        DinoError: if the file can't be written, for example because the disk is full.
    """
    weights = model.state_dict()
    if half:
        weights, metadata = {name: weight.half() for name, weight in weights.items()}, metadata | {"stored": HALF}
    write(path, "weights", weights, metadata)


def load_model(
    path: Path | str, device: torch.device | str = "cpu"
) -> tuple[UNet | ConditionalDenoiser | VelocityDenoiser, dict[str, Any]]:
    """Load a network that is ready to draw.

        model, metadata = dino.load_model("pretrained")

    Args:
        path: a weights file, a run folder, a model of the Hugging Face hub as "hf:USER/NAME", or the name of a model
            that comes with dino, such as "pretrained".
        device: where to put the network: "cpu", "cuda", "auto" and the like.

    Returns:
        The network, in float32 and in eval mode: a `UNet`, or a `ConditionalDenoiser` if it has learned words, or a
        `VelocityDenoiser` around either. And the metadata of its file, a dict. If the "noise" of its "config" is
        "gaussian", draw with `dino.generate_as_saved`: `dino.generate` and `vary` know only uniform noise.

    Raises:
        DinoError: if there is no such file, model or device, the file is damaged, or its metadata describes another
            network than it holds.
    """
    path = resolve(path)
    path = path / WEIGHTS if path.is_dir() else path
    weights, metadata = read(path, "weights")
    _, model = blueprint(path, metadata)
    if metadata.get("stored") == HALF:
        weights = {name: weight.float() if weight.dtype == torch.half else weight for name, weight in weights.items()}
    check_fit(path, model.state_dict(), weights)
    model.load_state_dict(weights, assign=True)
    place = choose_device(str(device))
    apply(usual_method(place), model, place)
    return model.eval(), metadata


def resolve(path: Path | str) -> Path:
    """Return the path of weights. A file or folder of this name comes before the models that have a name.

    Args:
        path: a path; "pretrained" and the like for a model that comes with dino; or "hf:USER/NAME" for a model of the
            Hugging Face hub, which is downloaded unless it is in the cache.

    Raises:
        DinoError: if a model of the hub can't be downloaded, or isn't one of dino's.
    """
    path = Path(path)
    if path.exists():
        return path
    return download(path.as_posix()) if is_hub_model(path.as_posix()) else PRETRAINED.get(str(path), path)


def image_shape(metadata: dict[str, Any]) -> tuple[int, int, int]:
    """Return the shape (C, H, W) of the images that a network draws, from the metadata of its file."""
    channels, size = metadata["config"]["channels"], metadata["config"]["size"]
    return channels, size, size


def vocabulary(metadata: dict[str, Any]) -> tuple[str, ...]:
    """Return the words that a network knows, from the metadata of its file. Empty for most networks."""
    return tuple(metadata["config"].get("vocabulary", ()))


def word_sets(metadata: dict[str, Any]) -> Tensor:
    """Return the words of some training images, from the metadata of a file: zeros and ones, (M, n_words).

    `dino.data.words.complete` completes requests with them.
    """
    sets = metadata.get("word_sets", [])
    table = torch.zeros(len(sets), len(vocabulary(metadata)))
    for row, columns in zip(table, sets, strict=True):
        row[columns] = 1
    return table


def distilled(metadata: dict[str, Any]) -> Distilled | None:
    """Return how to draw with a student, from the metadata of its file, or None if the network is no student."""
    return Distilled(**metadata["distilled"]) if metadata.get("distilled") else None


def guidance_beyond(metadata: dict[str, Any], guidance: float) -> float:
    """Return the guidance to draw with, from what is asked for: less what the weights of a student hold already.

    A student that is asked for its teacher's guidance needs none, and takes one call a step.
    """
    student = distilled(metadata)
    return guidance / student.guidance if student else guidance


def blueprint(path: Path, metadata: dict[str, Any]) -> tuple[Config, UNet | ConditionalDenoiser | VelocityDenoiser]:
    """Return the configuration in a file's metadata, and its network on the meta device, where it takes no memory.

    Raises:
        DinoError: if the metadata can't be true, for example because such a network is larger than the file.
    """
    counts = {name: metadata.get(name, 0) for name in ("step", "images_seen", "n_training_images")}
    size = path.stat().st_size
    try:
        config = Config.from_dict(metadata.get("config"), required=("size", "channels", "widths", "depths"))
        if not all(type(count) is int and 0 <= count < 2**63 for count in counts.values()):
            raise DinoError(f"not all are counts: {short(counts)}")
        if not _are_word_sets(metadata.get("word_sets", []), len(config.vocabulary)):
            raise DinoError("its word sets don't fit its vocabulary")
        if not _is_distilled(metadata.get("distilled")):
            raise DinoError(f"no student draws like this: {short(metadata['distilled'])}")
        if 200 * sum(config.depths) < size:  # the header of a Block alone takes some hundred bytes
            with torch.device("meta"):
                model = config.new_network()
            each = 2 if metadata.get("stored") == HALF else 4  # bytes
            if each * sum(weight.numel() for weight in model.parameters()) < size:
                return config, model
        raise DinoError("such a network is larger than the file")
    except (DinoError, RuntimeError) as error:  # torch's own if the weights are too many to count
        raise DinoError(
            f"the metadata of {path} does not describe its network: {first_line(error):.200}. Use another copy"
        ) from error


def _are_word_sets(sets: Any, n_words: int) -> bool:
    """Return whether a value from a file is a list of lists of columns of a vocabulary."""
    if not isinstance(sets, list) or len(sets) > MAX_WORD_SETS or not all(isinstance(each, list) for each in sets):
        return False
    return all(type(column) is int and 0 <= column < n_words for each in sets for column in each)


def _is_distilled(value: Any) -> bool:
    """Return whether a value from a file is a `Distilled`, or absent."""
    if value is None:
        return True
    if not isinstance(value, dict) or value.keys() != {"n_steps", "guidance"}:
        return False
    n_steps, guidance = value["n_steps"], value["guidance"]
    if type(n_steps) is not int or not 1 <= n_steps <= MAX_STUDENT_STEPS:
        return False
    return type(guidance) in (int, float) and 0.01 <= guidance <= 100
