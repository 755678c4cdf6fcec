"""Fine-tuning: a run that starts from trained weights instead of random ones, for few images of one's own.

    config = fine_tuning.recipe("pretrained", data="my-pictures")
    trainer = Trainer(config, start_from="pretrained")

What the weights know of drawing at all, such as lines, areas and a white background, need not be learned again. So the
learning rates are lower than from scratch, the run is shorter, and the EMA is faster.
"""

from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from ..common.errors import DinoError
from ..rosetta import VelocityDenoiser
from ..steering import ConditionalDenoiser
from .config import Config
from .model_file import load_model
from .presets import QUICK

# Of the preset `quick`: a quarter of the images, and a quarter of the learning rates.
CHANGES: dict[str, Any] = {
    "n_images": 10_000,
    "learning_rate": 4e-4,
    "matrix_learning_rate": 2.5e-3,
    "warmup": 50,
    "ema_half_life": 1_000,
}
# The fields of a configuration that the weights decide.
NETWORK = ("size", "channels", "widths", "depths", "noise", "target")


def recipe(weights: Path | str, **settings: Any) -> Config:
    """Return a configuration for fine-tuning: the network of the weights, and how to train it on few images.

    Args:
        weights: as `load_model` takes them.
        settings: fields of the configuration to choose otherwise.

    Raises:
        DinoError: if there are no such weights, or the settings ask for another network than theirs.
    """
    _, metadata = load_model(weights)
    trained = Config.from_dict(metadata["config"])
    changes = {name: getattr(trained, name) for name in NETWORK} | CHANGES | settings
    config = replace(QUICK, **changes)
    check_fit(weights, trained, config)
    return config


def check_fit(weights: Path | str, trained: Config, config: Config) -> None:
    """Refuse weights that don't fit the network of a configuration.

    Raises:
        DinoError: if the images differ in size or channels, or the networks in widths or depths.
    """
    for name in NETWORK:
        have, want = getattr(trained, name), getattr(config, name)
        if have == want:
            continue
        if name in ("noise", "target"):
            message = f"are for {name} {have}, and the run is for {want}. Start from other weights"
        elif name in ("widths", "depths"):
            message = f"are for {name} {list(have)}, and the network has {list(want)}. Take the network of the weights"
        else:
            message = f"draw {_in_words(name, have)}, not {_in_words(name, want)}. Train on such images, or start "
            message += "from other weights"
        fitting = {name: have} if name in ("size", "channels") else {}
        raise DinoError(f"the weights of {weights} {message}", settings=fitting)


def _in_words(name: str, value: int) -> str:
    if name == "size":
        return f"images of {value} x {value} pixels"
    return f"{'color' if value == 3 else 'gray'} images"


def begin_with(network: nn.Module, config: Config, weights: Path | str) -> int:
    """Copy trained weights into a new network. Words are matched by name.

    A word is a channel of the first convolution's input. A word that the weights know keeps its channel; the channel of
    a new word begins at zero, so that it changes nothing until it has learned something.

    Args:
        network: dino's own, as `config.new_network` makes it. It is changed.
        config: of the network, with its vocabulary.
        weights: as `load_model` takes them.

    Returns:
        The number of words that the weights know.

    Raises:
        DinoError: if there are no such weights, or they don't fit.
    """
    model, metadata = load_model(weights)
    trained = Config.from_dict(metadata["config"])
    check_fit(weights, trained, config)
    state = _unet(model).state_dict()
    state["down.0.0.weight"] = _with_words(state["down.0.0.weight"], trained, config.vocabulary)
    _unet(network).load_state_dict(state)
    return len(set(trained.vocabulary) & set(config.vocabulary))


def _unet(network: nn.Module) -> nn.Module:
    """Return the UNet of a network, whatever it is wrapped in."""
    network = network.network if isinstance(network, VelocityDenoiser) else network
    return network.unet if isinstance(network, ConditionalDenoiser) else network


def _with_words(weight: Tensor, trained: Config, vocabulary: tuple[str, ...]) -> Tensor:
    """Return the weight of the first convolution for another vocabulary.

    Its input is the noisy image, one channel for each word, and the noise level.
    """
    image, words, level = weight.split([trained.channels, len(trained.vocabulary), 1], dim=1)
    place = {word: k for k, word in enumerate(trained.vocabulary)}
    zero = torch.zeros_like(level[:, 0])
    channels = [words[:, place[word]] if word in place else zero for word in vocabulary]
    return torch.cat([image, *(channel[:, None] for channel in channels), level], dim=1).contiguous()
