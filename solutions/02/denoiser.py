"""Lesson 02: the denoiser. A network of convolutions and ReLUs that predicts the clean image from a noisy one.

Small parts make bigger ones: `conv` (given) -> `Block` -> `Stage`, which ends in a `Pool` -> `UNet`.

Every part is a class, an nn.Module. Its `__init__` creates the layers and stores them on `self`. The layers hold the
weights: numbers that start out random and that training will change. Its `forward` computes an output from an input. It
runs when you call the part like a function: `output = block(x)`.

Fill in the four classes, then run: uv run pytest lessons/02
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn


def conv(channels_in: int, channels_out: int, *, bias: bool = True) -> nn.Conv2d:
    """Return a 3x3 convolution that keeps the height and width. (Given: use it as it is.)

    Each number of the output is a weighted sum of the 3x3 pixels around its position, over all channels of the input.
    The weights are the same at every position. The bias is one number for each channel of the output, added to the sum.
    """
    return nn.Conv2d(channels_in, channels_out, kernel_size=3, padding=1, bias=bias)


class Block(nn.Module):
    """Two convolutions with a ReLU between them, and a skip around them.

    The input takes two paths. The first path, the body, is a convolution, a ReLU (which replaces negative numbers by 0)
    and a convolution without bias. The second path, the skip, goes around the body. The output is the sum of the two
    paths, and nothing comes after the sum.

    The skip is usually the input itself. If the number of channels changes, the skip is a convolution of the input
    without bias, because both sides of a sum need the same number of channels. All convolutions are 3x3: use `conv`.

    Args:
        channels_in: the number of channels of the input.
        channels_out: the number of channels of the output, and between the two convolutions.

    Example:
        Block(4, 8) turns (N, 4, H, W) into (N, 8, H, W). It has 4*8*9 + 8, 8*8*9 and, in its skip, 4*8*9 weights.

    Good to know:
        nn.Sequential(a, b, c) is a layer that calls a, then b, then c. nn.ReLU() is a layer, torch.relu(x) a function.
    """

    def __init__(self, channels_in: int, channels_out: int) -> None:
        super().__init__()
        # Without the ReLU, the two convolutions would collapse into one, because a weighted sum of weighted sums is a
        # weighted sum. The bend of the ReLU at 0 lets a network compute more than that.
        # The second convolution needs no bias, because later layers can add a number to each channel too.
        self.body = nn.Sequential(
            conv(channels_in, channels_out), nn.ReLU(), conv(channels_out, channels_out, bias=False)
        )
        # nn.Identity returns its input unchanged and has no weights.
        same = channels_in == channels_out
        self.skip = nn.Identity() if same else conv(channels_in, channels_out, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        # The body doesn't have to reproduce x, only what to change about x. That is much easier to learn, and it keeps
        # deep networks trainable: along the skip, gradients reach the first layers undiminished. (He et al. 2015, "Deep
        # Residual Learning".) A ReLU after the sum would cut off all negative numbers of the skip.
        return self.body(x) + self.skip(x)


class Pool(nn.Module):
    """Global max pooling that shares information about the whole image with every pixel.

    A 3x3 convolution sees only a pixel's neighbors. A Pool takes the maximum of each channel over the whole image,
    separately for each image of the batch. It sends these maxima through a small network: a 1x1 convolution to four
    times as many channels, a ReLU, and a 1x1 convolution back to `channels`, without bias. The output of the small
    network, one number for each image and channel, is added to every pixel of the input.

    Args:
        channels: the number of channels of the input and of the output.

    Example:
        Pool(8) turns (N, 8, H, W) into (N, 8, H, W). It has 8*32 + 32 and 32*8 weights.

    Good to know:
        nn.Conv2d(8, 32, kernel_size=1) is a 1x1 convolution: it mixes the channels of each pixel separately.
        x.amax(dim) is the maximum along one or more dimensions; keepdim=True keeps these dimensions, with length 1.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        # The maxima are an image of a single pixel, where a larger convolution could do no more than a 1x1 convolution.
        # The middle has four times as many channels, so that the network can combine its findings: "an eye and a beak".
        self.body = nn.Sequential(
            nn.Conv2d(channels, 4 * channels, kernel_size=1),
            nn.ReLU(),
            nn.Conv2d(4 * channels, channels, kernel_size=1, bias=False),
        )

    def forward(self, x: Tensor) -> Tensor:
        # A channel is large where it detects its feature. The maximum says whether the feature appears anywhere in the
        # image. A mean would be dominated by all the pixels where the feature is absent.
        found = x.amax(dim=(2, 3), keepdim=True)  # (N, C, 1, 1)
        # (N, C, H, W) + (N, C, 1, 1): broadcasting adds the result to every pixel.
        return x + self.body(found)


class Stage(nn.Module):
    """All the layers at one resolution: a convolution, then `depth` Blocks, then a Pool, one after the other.

    The convolution (3x3, without bias) changes the number of channels from `channels_in` to `channels_out`. The Blocks
    and the Pool keep that number. Each Block has its own weights.

    Args:
        channels_in: the number of channels of the input.
        channels_out: the number of channels of the output.
        depth: the number of Blocks. 0 is allowed.

    Example:
        Stage(4, 8, 2) turns (N, 4, H, W) into (N, 8, H, W).

    Good to know:
        A module finds the layers that are assigned to `self`, including those inside an nn.Sequential or nn.ModuleList.
        It doesn't look inside a Python list: layers in a list are never trained.
    """

    def __init__(self, channels_in: int, channels_out: int, depth: int) -> None:
        super().__init__()
        # The comprehension calls Block(...) once for each Block. [Block(...)] * depth would repeat a single Block.
        blocks = [Block(channels_out, channels_out) for _ in range(depth)]
        # The star unpacks the list: nn.Sequential takes its layers as separate arguments and registers each one.
        self.steps = nn.Sequential(conv(channels_in, channels_out, bias=False), *blocks, Pool(channels_out))

    def forward(self, x: Tensor) -> Tensor:
        return self.steps(x)


class UNet(nn.Module):
    """The denoiser: it takes a noisy image and its noise level, and predicts the clean image.

    In a diagram, the network has the shape of a U: down on the left, from large to small, up again on the right, and
    with skips straight across. With three resolutions:

        noisy, level -> Stage ----------- skip ----------> (+) -> head -> denoised
                          | halve                           | double
                        Stage ---- skip ----> (+) -------> Stage
                          | halve              | double
                        Stage --------------> Stage

    In: the noise level becomes one more channel of the image, the last channel, filled with the level of that image.
    Down: a Stage at each resolution i, to widths[i] channels, with depths[i] Blocks. The first Stage takes channels + 1
    channels, and each other Stage takes the width of the Stage above it. Between resolutions, the size is halved: each
    2x2 square of pixels becomes one pixel, their average.
    Up: for each i from the last down to 1, a Stage from widths[i] channels to widths[i - 1], with depths[i] Blocks.
    Then the size is doubled: each pixel becomes a 2x2 square. Then the skip is added: the output of the Stage on the
    way down at resolution i - 1, which has the same size.
    Head, at full size: a Stage that keeps widths[0] channels, with depths[0] Blocks; a convolution that keeps them too;
    a ReLU; and a convolution to `channels`, whose bias starts at 0.5. Both convolutions are 3x3 and have a bias.

    Args:
        channels: the number of channels of the images: 3 for color, 1 for gray.
        widths: the number of channels at each resolution, from full size to the smallest.
        depths: the number of Blocks in each Stage at each resolution.

    Raises:
        ValueError: if the numbers of widths and depths differ.

    Example:
        UNet() has 2,178,819 weights. UNet(1, (8, 16), (1, 1)) is a small UNet for gray images, with two resolutions.

    Good to know:
        torch.cat([a, b], dim=1) concatenates channels. F.avg_pool2d(x, 2) averages each 2x2 square of pixels, and
        F.interpolate(x, scale_factor=2, mode="nearest") turns each pixel into a 2x2 square.
        x.expand(N, 1, H, W) repeats a tensor along dimensions of length 1.
        nn.init.constant_(tensor, 0.5) sets the numbers of a weight or bias before training starts.
    """

    def __init__(
        self,
        channels: int = 3,
        widths: Sequence[int] = (64, 64, 64, 64, 64),
        depths: Sequence[int] = (2, 2, 2, 2, 2),
    ) -> None:
        super().__init__()
        # zip() would silently drop the extra numbers, and a network of the wrong size would then train for hours. It is
        # better to raise an error at once.
        if len(widths) != len(depths):
            raise ValueError(f"one width and one depth for each resolution, got {widths=} and {depths=}")
        # The number of input channels of each Stage on the way down. The + 1 is the channel with the noise level.
        into = [channels + 1, *widths]
        resolutions = range(len(widths))
        # An nn.ModuleList is a list that registers its layers. A plain list would hide their weights from training.
        self.down = nn.ModuleList(Stage(into[i], widths[i], depths[i]) for i in resolutions)
        # On the way up, the last resolution comes first. Resolution 0 has no Stage here, because the head runs there.
        self.up = nn.ModuleList(Stage(widths[i], widths[i - 1], depths[i]) for i in reversed(resolutions[1:]))
        last = conv(widths[0], channels)
        self.head = nn.Sequential(Stage(widths[0], widths[0], depths[0]), conv(widths[0], widths[0]), nn.ReLU(), last)
        # Start at mid-gray, the middle of [0, 1], so that the first thing to learn isn't how bright images are.
        nn.init.constant_(last.bias, 0.5)

    def forward(self, noisy: Tensor, noise_level: Tensor) -> Tensor:
        """Predict the clean images.

        Args:
            noisy: (N, C, H, W). H and W can be halved len(widths) - 1 times without a remainder. The function doesn't
                change it.
            noise_level: in [0, 1]. One level for each image, (N, 1, 1, 1), or one for all images, (1, 1, 1, 1).

        Returns:
            The predictions, (N, C, H, W). Training brings them close to [0, 1], but they aren't clamped.
        """
        # Each image's level becomes a whole channel of that number. `expand` repeats without copying. So the first
        # convolution gets the noise level at every pixel and can pass it on.
        level = noise_level.expand(len(noisy), 1, *noisy.shape[2:])
        x = torch.cat([noisy, level], dim=1)

        # Down. The smaller the size, the more of the image a 3x3 convolution sees. Store each Stage's output...
        skips = []
        for stage in self.down[:-1]:
            x = stage(x)
            skips.append(x)
            x = F.avg_pool2d(x, 2)
        x = self.down[-1](x)  # the smallest size: nothing to halve, and no skip

        # ... and pop it again on the way up, because the skip that was stored last has the size that is needed first.
        # So fine detail goes straight across and doesn't have to pass through the smallest size. (Ronneberger et al.
        # 2015, "U-Net".)
        for stage in self.up:
            x = F.interpolate(stage(x), scale_factor=2, mode="nearest") + skips.pop()

        # No sigmoid and no clamp: they are flat near 0 and 1, where many pixels are, so learning would stop there.
        return self.head(x)
