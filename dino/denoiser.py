"""Lesson 02: the denoiser. A U-Net of convolutions and ReLUs that predicts the clean image from a noisy one.

Small parts make bigger ones: `conv` -> `Block` -> `Stage` (which ends in a `Pool`) -> `UNet`.
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn


def conv(channels_in: int, channels_out: int, *, bias: bool = True) -> nn.Conv2d:
    """Return a 3x3 convolution that keeps the height and width: (N, channels_in, H, W) -> (N, channels_out, H, W)."""
    return nn.Conv2d(channels_in, channels_out, kernel_size=3, padding=1, bias=bias)


class Block(nn.Module):
    """Two convolutions with a ReLU between them, added to a skip connection.

    The skip is the input itself, or a convolution of the input if the number of channels changes. This is the residual
    block of He et al. 2015 (arXiv:1512.03385) without normalization, and with nothing after the sum.

    (N, channels_in, H, W) -> (N, channels_out, H, W).
    """

    def __init__(self, channels_in: int, channels_out: int) -> None:
        super().__init__()
        first, second = conv(channels_in, channels_out), conv(channels_out, channels_out, bias=False)
        self.body = nn.Sequential(first, nn.ReLU(), second)
        same = channels_in == channels_out
        self.skip = nn.Identity() if same else conv(channels_in, channels_out, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        return self.body(x) + self.skip(x)


class Pool(nn.Module):
    """Global max pooling that shares information about the whole image with every pixel.

    The maximum of each channel over the image goes through a small network, and the result is added to every pixel. A
    3x3 convolution sees only a pixel's neighbors, so this layer tells a pixel what the whole image shows.

    (N, channels, H, W) -> the same shape.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        widen = nn.Conv2d(channels, 4 * channels, kernel_size=1)
        narrow = nn.Conv2d(4 * channels, channels, kernel_size=1, bias=False)
        self.body = nn.Sequential(widen, nn.ReLU(), narrow)
        self.largest = largest  # the trainer replaces it by a form that is faster on its device

    def forward(self, x: Tensor) -> Tensor:
        return x + self.body(self.largest(x))


def largest(x: Tensor) -> Tensor:
    """Return the maximum of each channel over the image: (N, C, H, W) -> (N, C, 1, 1)."""
    return x.amax(dim=(2, 3), keepdim=True)


class Stage(nn.Sequential):
    """All layers at one resolution: a convolution to the right number of channels, `depth` Blocks and a Pool.

    (N, channels_in, H, W) -> (N, channels_out, H, W). A depth of 0 is allowed.
    """

    def __init__(self, channels_in: int, channels_out: int, depth: int) -> None:
        blocks = [Block(channels_out, channels_out) for _ in range(depth)]
        super().__init__(conv(channels_in, channels_out, bias=False), *blocks, Pool(channels_out))


class UNet(nn.Module):
    """The denoiser: `model(noisy, noise_level)` predicts the clean images. See `forward` for the shapes.

    Papers write D(x; sigma), or call this x0-prediction.

    Down: a Stage at each resolution. Between resolutions, the size is halved. Up: back through the resolutions. At each
    one, the features from the way down are added, so that fine detail doesn't have to pass through the smallest size
    (Ronneberger et al. 2015, arXiv:1505.04597). The noise level is one more channel of the input.

    Args:
        channels: number of channels of the images: 3 for color, 1 for gray.
        widths: number of channels inside the network at each resolution, from full size to the smallest.
        depths: number of Blocks in a Stage at each resolution.

    Raises:
        ValueError: if widths and depths differ in length, or are empty.
    """

    def __init__(
        self,
        channels: int = 3,
        widths: Sequence[int] = (64, 64, 64, 64, 64),
        depths: Sequence[int] = (2, 2, 2, 2, 2),
    ) -> None:
        super().__init__()
        if not widths or len(widths) != len(depths):
            raise ValueError(f"one width and one depth for each resolution, got {widths=} and {depths=}")
        into = [channels + 1, *widths]  # + 1: the noise level is one more channel
        resolutions = range(len(widths))
        self.down = nn.ModuleList(Stage(into[i], widths[i], depths[i]) for i in resolutions)
        self.up = nn.ModuleList(Stage(widths[i], widths[i - 1], depths[i]) for i in reversed(resolutions[1:]))
        stage, last = Stage(widths[0], widths[0], depths[0]), conv(widths[0], channels)
        self.head = nn.Sequential(stage, conv(widths[0], widths[0]), nn.ReLU(), last)
        nn.init.constant_(last.get_parameter("bias"), 0.5)  # start at mid-gray, the middle of [0, 1]

    def forward(self, noisy: Tensor, noise_level: Tensor) -> Tensor:
        """Predict the clean images.

        Args:
            noisy: shape (N, C, H, W); H and W divisible by 2 ** (len(widths) - 1), which is 16 by default. Papers
                write x_t.
            noise_level: in [0, 1], shape (N, 1, 1, 1), or (1, 1, 1, 1) for the whole batch. Papers write t.

        Returns:
            The predictions, shape (N, C, H, W). They are near [0, 1], but not clamped.
        """
        level = noise_level.expand(len(noisy), 1, *noisy.shape[2:])
        x = torch.cat([noisy, level], dim=1)
        skips = []
        for stage in self.down[:-1]:
            x = stage(x)
            skips.append(x)
            x = F.avg_pool2d(x, 2)
        x = self.down[-1](x)
        for stage in self.up:
            x = F.interpolate(stage(x), scale_factor=2, mode="nearest") + skips.pop()
        return self.head(x).to(noisy.dtype)  # under autocast the convolutions return bfloat16
