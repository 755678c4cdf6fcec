"""The presets: what to train on, with which network, for how long. docs/reference/configuration.md has their table."""

from dataclasses import replace

import torch

from .config import Config

# About five minutes on two CPU cores. The samples are clearly emoji faces.
QUICK = Config(
    data="emoji:faces,noto",
    size=32,
    widths=(16, 32, 64, 128),
    depths=(1, 1, 2, 2),
    n_images=104_000,
    batch_size=32,
    learning_rate=1.5e-3,
    warmup=250,
    anneal=True,
    ema_half_life=3_000,
)

PRESETS = {
    "quick": QUICK,
    # The original's network and image size, in batches that keep one GPU busy. The learning rate grows with the square
    # root of the batch size, as is usual for Adam.
    "full": Config(batch_size=64, learning_rate=6e-4, warmup=300, anneal=True, ema_half_life=10_000),
    # The settings of the original Dino Diffusion: one hour of training on one GPU of its day.
    "original": Config(batch_size=16, learning_rate=3e-4, precision="float32", n_images=861_440),
    # Cartoon dinosaurs that can be asked for. About four minutes on two CPU cores, without bfloat16.
    "dinos": replace(
        QUICK,
        data="dinos",
        depths=(1, 1, 1, 1),
        n_images=40_000,
        optimizer="muon",
        matrix_learning_rate=0.01,
        warmup=100,
        ema_half_life=1_250,
        max_words=64,
        hide_words=0.1,
    ),
}


def choose_preset(device: torch.device) -> tuple[str, str]:
    """Return the name of the preset that suits a device, and the reason in words."""
    if device.type == "cuda":
        return "full", f"there is a GPU ({torch.cuda.get_device_name(device)})"
    return "quick", "there is no CUDA GPU, and anything slower needs many hours for the preset full"
