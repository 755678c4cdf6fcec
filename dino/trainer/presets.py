"""The presets: what to train on, with which network, for how long. docs/reference/configuration.md has their table."""

from dataclasses import replace

import torch

from .config import Config

# Cartoon dinosaurs that can be asked for. About four minutes on two CPU cores, without bfloat16.
QUICK = Config(
    data="dinos",
    size=32,
    widths=(16, 32, 64, 128),
    depths=(1, 1, 1, 1),
    n_images=40_000,
    batch_size=32,
    optimizer="muon",
    learning_rate=1.5e-3,
    matrix_learning_rate=0.01,
    warmup=100,
    anneal=True,
    ema_half_life=1_250,
    max_words=64,
    hide_words=0.1,
)

PRESETS = {
    "quick": QUICK,
    # The original's network and image size, in batches that keep one GPU busy.
    "full": replace(
        QUICK,
        size=64,
        widths=(64, 64, 64, 64, 64),
        depths=(2, 2, 2, 2, 2),
        n_images=861_440,
        batch_size=64,
        warmup=300,
        ema_half_life=10_000,
    ),
    # The same with Gaussian noise and a network that predicts image minus noise: iterative alpha-(de)blending (Heitz et
    # al. 2023, arXiv:2305.03486), with stratified lognormal noise levels.
    "iadb": replace(QUICK, noise="gaussian", target="velocity", levels="lognormal"),
    # The settings of the original Dino Diffusion: one hour of training on one GPU of its day.
    "original": Config(data="emoji", batch_size=16, learning_rate=3e-4, precision="float32", n_images=861_440),
}


def choose_preset(device: torch.device) -> tuple[str, str]:
    """Return the name of the preset that suits a device, and the reason in words."""
    if device.type == "cuda":
        return "full", f"there is a GPU ({torch.cuda.get_device_name(device)})"
    return "quick", "there is no CUDA GPU, and without one the preset full takes many hours"
