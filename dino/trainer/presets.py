"""What a run learns, and on what: its configuration, the presets, and the device.

    config = PRESETS["quick"]
    longer = dataclasses.replace(config, n_images=2 * config.n_images)

PRESETS holds a `Config` under each name; docs/reference/configuration.md has a table of them.
"""

import torch

from .config import Config

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
        warmup=250,
        anneal=True,
        average_half_life=3_000,
    ),
    # The seed's network at the seed's size, in batches that keep one GPU busy. The learning rate grows with the root of
    # the batch, as is usual for Adam.
    "full": Config(batch_size=64, learning_rate=6e-4, warmup=300, anneal=True, average_half_life=10_000),
    # The seed's own recipe: one hour's worth of images on one GPU of its day.
    "seed": Config(batch_size=16, learning_rate=3e-4, precision="float32", n_images=861_440),
}


def choose_preset(device: torch.device) -> tuple[str, str]:
    """The name of the preset that suits a device, and why it does, in words."""
    if device.type == "cuda":
        return "full", f"there is a GPU ({torch.cuda.get_device_name(device)})"
    return "quick", "there is no CUDA GPU, and on anything slower the full one takes many hours"
