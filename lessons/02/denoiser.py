"""Lesson 02: the denoiser. A network of convolutions and ReLUs that guesses the clean picture in a noisy one.

Small parts make bigger ones: `conv` (given) -> `Block` -> `Stage`, which ends in a `Pool` -> `UNet`.

Every part is a class, an nn.Module. Its `__init__` makes the layers and keeps them on `self`. The layers hold the
weights: the numbers, random at first, that training will change. Its `forward` says how an answer is made from an
input, and runs when the part is called like a function: `answer = block(x)`.

Fill in the four classes, then run: uv run pytest lessons/02
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn


def conv(channels_in: int, channels_out: int, *, bias: bool = True) -> nn.Conv2d:
    """A 3x3 convolution that keeps the height and width. (Given: use it as it is.)

    Each number of the answer is a weighted sum of the 3x3 pixels around its place, over all channels of the input. The
    weights are the same at every place. A bias is a number for each channel of the answer, added to the sum.
    """
    return nn.Conv2d(channels_in, channels_out, kernel_size=3, padding=1, bias=bias)


class Block(nn.Module):
    """Two convolutions with a ReLU between them, added to what came in.

    The input goes two ways at once. The first way, the body, is a convolution, a ReLU (which turns negative numbers
    into 0) and a convolution without bias. The second way, the skip, leads around the body. The answer is the sum of
    the two, and nothing comes after the sum.

    The skip is the input itself. Only where the number of channels changes, the skip is a convolution of the input,
    without bias, since the two sides of a sum need equally many channels. All convolutions are 3x3: use `conv`.

    Args:
        channels_in: how many channels the input has.
        channels_out: how many the answer has, and how many there are between the two convolutions.

    Example:
        Block(4, 8) turns (N, 4, H, W) into (N, 8, H, W). It has 4*8*9 + 8, 8*8*9 and, in its skip, 4*8*9 weights.

    Good to know:
        nn.Sequential(a, b, c) is a layer that calls a, then b, then c. nn.ReLU() is a layer, torch.relu(x) a function.
    """

    def __init__(self, channels_in: int, channels_out: int) -> None:
        super().__init__()
        # TODO 2.1: write your code here, in place of the next line
        raise NotImplementedError

    def forward(self, x: Tensor) -> Tensor:
        # TODO 2.1: write your code here, in place of the next line
        raise NotImplementedError


class Pool(nn.Module):
    """Tell every pixel what is anywhere in the picture.

    A 3x3 convolution sees a pixel's neighbors only. A Pool takes each channel's largest number over the whole
    picture, for each image on its own, and sends these maxima through a small network: a 1x1 convolution to four times
    as many channels, a ReLU, and a 1x1 convolution back to `channels`, without bias. What comes out, a number for each
    image and channel, is added to every pixel of the input.

    Args:
        channels: how many channels the input has, and the answer too.

    Example:
        Pool(8) turns (N, 8, H, W) into (N, 8, H, W). It has 8*32 + 32 and 32*8 weights.

    Good to know:
        nn.Conv2d(8, 32, kernel_size=1) is a 1x1 convolution: it mixes the channels of each pixel by itself.
        x.amax(dim) is the largest number along a dimension or several; with keepdim=True these stay, with length 1.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        # TODO 2.2: write your code here, in place of the next line
        raise NotImplementedError

    def forward(self, x: Tensor) -> Tensor:
        # TODO 2.2: write your code here, in place of the next line
        raise NotImplementedError


class Stage(nn.Module):
    """All the work at one resolution: a convolution, then `depth` Blocks, then a Pool, each fed by the one before.

    The convolution (3x3, without bias) changes the number of channels from `channels_in` to `channels_out`. The Blocks
    and the Pool keep it. Each Block has weights of its own.

    Args:
        channels_in: how many channels the input has.
        channels_out: how many the answer has.
        depth: how many Blocks; 0 is allowed.

    Example:
        Stage(4, 8, 2) turns (N, 4, H, W) into (N, 8, H, W).

    Good to know:
        A module sees the layers that are assigned to `self`, and those inside an nn.Sequential or nn.ModuleList. It
        doesn't look into a Python list: layers in there are never trained.
    """

    def __init__(self, channels_in: int, channels_out: int, depth: int) -> None:
        super().__init__()
        # TODO 2.3: write your code here, in place of the next line
        raise NotImplementedError

    def forward(self, x: Tensor) -> Tensor:
        # TODO 2.3: write your code here, in place of the next line
        raise NotImplementedError


class UNet(nn.Module):
    """The denoiser: it sees a noisy picture, is told how noisy it is, and guesses the clean one.

    Drawn on paper it is a U: down on the left, from large pictures to small ones, up again on the right, and skips
    straight across. With three resolutions:

        noisy, level -> Stage ----------- skip ----------> (+) -> head -> denoised
                          | halve                           | double
                        Stage ---- skip ----> (+) -------> Stage
                          | halve              | double
                        Stage --------------> Stage

    In: the noise level joins the picture as one more channel, the last, filled with the image's own level.
    Down: a Stage at each resolution i, to widths[i] channels, with depths[i] Blocks. The first starts from
    channels + 1 channels, each other from the width of the one above. Between resolutions the picture is halved: each
    square of 2x2 pixels becomes one, their average.
    Up: for each i from the last down to 1, a Stage from widths[i] channels to widths[i - 1], with depths[i] Blocks;
    then the picture is doubled, each pixel becoming a square of 2x2; then the skip is added: what the Stage on the way
    down answered at resolution i - 1, which now has the same size.
    Head, at full size: a Stage that keeps widths[0] channels, with depths[0] Blocks; a convolution that keeps them too;
    a ReLU; and a convolution to `channels`, whose bias starts at 0.5. Both convolutions are 3x3 and have a bias.

    Args:
        channels: of the pictures: 3 for color, 1 for gray.
        widths: how many channels there are at each resolution, from the full picture to the smallest.
        depths: how many Blocks the Stages have at each resolution.

    Raises:
        ValueError: there are not as many depths as widths.

    Example:
        UNet() has 2,178,819 weights. UNet(1, (8, 16), (1, 1)) is a small one for gray pictures, with two resolutions.

    Good to know:
        torch.cat([a, b], dim=1) puts channels together. F.avg_pool2d(x, 2) averages squares of 2x2 pixels, and
        F.interpolate(x, scale_factor=2, mode="nearest") makes them out of single ones.
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
        # TODO 2.4: write your code here, in place of the next line
        raise NotImplementedError

    def forward(self, noisy: Tensor, noise_level: Tensor) -> Tensor:
        """Guess the clean images.

        Args:
            noisy: (N, C, H, W). H and W can be halved len(widths) - 1 times without a remainder. It stays as it is.
            noise_level: one for each image, (N, 1, 1, 1), or one for all of them, (1, 1, 1, 1); in [0, 1].

        Returns:
            The guesses, (N, C, H, W). Training brings them near [0, 1], but nothing cuts them off there.
        """
        # TODO 2.4: write your code here, in place of the next line
        raise NotImplementedError
