"""Common wrong answers to lesson 02, each with the sentence that the grader reports when it recognizes the mistake.

Reading on spoils the exercises.
"""

import itertools
from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .... import denoiser
from ....denoiser import conv
from ...grader.expect import mistake

# ---- 2.1 Block ------------------------------------------------------------------------------------------------------


class Body(nn.Module):
    """The usual layers of a Block. The mistakes change them."""

    def __init__(self, channels_in: int, channels_out: int) -> None:
        super().__init__()
        self.first = conv(channels_in, channels_out)
        self.second = conv(channels_out, channels_out, bias=False)
        same = channels_in == channels_out
        self.skip = nn.Identity() if same else conv(channels_in, channels_out, bias=False)

    def body(self, x: Tensor) -> Tensor:
        return self.second(torch.relu(self.first(x)))


@mistake("Block", "There is no skip. All that is left of the input is what the convolutions let through.")
class NoSkip(Body):
    def forward(self, x: Tensor) -> Tensor:
        return self.body(x)


@mistake("Block", "A ReLU after the sum cuts off all negative values, including those from the skip.")
class ReluAfterSum(Body):
    def forward(self, x: Tensor) -> Tensor:
        return torch.relu(self.body(x) + self.skip(x))


@mistake(
    "Block", "There is a second ReLU at the end of the body, so the body can only add to the input, never subtract."
)
class ReluAtTheEndOfTheBody(Body):
    def forward(self, x: Tensor) -> Tensor:
        return torch.relu(self.body(x)) + self.skip(x)


@mistake(
    "Block",
    "There is no ReLU between the two convolutions. Without a ReLU, they can do no more than a single convolution.",
)
class NoRelu(Body):
    def forward(self, x: Tensor) -> Tensor:
        return self.second(self.first(x)) + self.skip(x)


@mistake("Block", "The ReLU comes before the first convolution. It belongs between the two.")
class ReluFirst(Body):
    def forward(self, x: Tensor) -> Tensor:
        return self.second(self.first(torch.relu(x))) + self.skip(x)


@mistake("Block", "There is a ReLU before each convolution. There should be only one, between the two.")
class ReluBeforeEach(Body):
    def forward(self, x: Tensor) -> Tensor:
        return self.body(torch.relu(x)) + self.skip(x)


@mistake("Block", "The activation between the convolutions is a SiLU. It should be a ReLU.")
class Silu(Body):
    def forward(self, x: Tensor) -> Tensor:
        return self.second(F.silu(self.first(x))) + self.skip(x)


@mistake("Block", "The activation between the convolutions is a GELU. It should be a ReLU.")
class Gelu(Body):
    def forward(self, x: Tensor) -> Tensor:
        return self.second(F.gelu(self.first(x))) + self.skip(x)


@mistake("Block", "The activation between the convolutions is a leaky ReLU. It should be a plain ReLU.")
class LeakyRelu(Body):
    def forward(self, x: Tensor) -> Tensor:
        return self.second(F.leaky_relu(self.first(x))) + self.skip(x)


@mistake("Block", "The body and the skip are averaged. They should be added.")
class Averaged(Body):
    def forward(self, x: Tensor) -> Tensor:
        return (self.body(x) + self.skip(x)) / 2


@mistake("Block", "The sum is divided by the square root of 2. It should stay a plain sum.")
class OverRootTwo(Body):
    def forward(self, x: Tensor) -> Tensor:
        return (self.body(x) + self.skip(x)) / 2**0.5


@mistake("Block", "The body and the skip are multiplied. They should be added.")
class Product(Body):
    def forward(self, x: Tensor) -> Tensor:
        return self.body(x) * self.skip(x)


@mistake("Block", "The body and the skip are concatenated as channels. They should be added.")
class Concatenated(Body):
    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([self.body(x), self.skip(x)], dim=1)


@mistake("Block", "The body gets the output of the skip as its input. It should get the input of the Block.")
class BodyAfterSkip(Body):
    def __init__(self, channels_in: int, channels_out: int) -> None:
        super().__init__(channels_in, channels_out)
        self.first = conv(channels_out, channels_out)

    def forward(self, x: Tensor) -> Tensor:
        skip = self.skip(x)
        return self.body(skip) + skip


@mistake("Block", "The second convolution is created but never called.")
class SecondNotCalled(Body):
    def forward(self, x: Tensor) -> Tensor:
        return torch.relu(self.first(x)) + self.skip(x)


@mistake("Block", "`+=` writes the sum into the input, which belongs to the caller.")
class InPlace(Body):
    def forward(self, x: Tensor) -> Tensor:
        if not isinstance(self.skip, nn.Identity):
            return self.body(x) + self.skip(x)
        x += self.body(x)
        return x


@mistake("Block", "The second convolution has a bias. It should have none.")
class BiasInSecond(Body):
    def __init__(self, channels_in: int, channels_out: int) -> None:
        super().__init__(channels_in, channels_out)
        self.second = conv(channels_out, channels_out)

    def forward(self, x: Tensor) -> Tensor:
        return self.body(x) + self.skip(x)


@mistake(
    "Block", "The first convolution has no bias. Only the second convolution and the skip's convolution have none."
)
class NoBiasInFirst(Body):
    def __init__(self, channels_in: int, channels_out: int) -> None:
        super().__init__(channels_in, channels_out)
        self.first = conv(channels_in, channels_out, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        return self.body(x) + self.skip(x)


@mistake("Block", "The bias is in the second convolution. It belongs in the first.")
class BiasesSwapped(Body):
    def __init__(self, channels_in: int, channels_out: int) -> None:
        super().__init__(channels_in, channels_out)
        self.first = conv(channels_in, channels_out, bias=False)
        self.second = conv(channels_out, channels_out)

    def forward(self, x: Tensor) -> Tensor:
        return self.body(x) + self.skip(x)


@mistake("Block", "The skip is always the input itself, which can't be added when the number of channels changes.")
class SkipIsAlwaysTheInput(Body):
    def forward(self, x: Tensor) -> Tensor:
        return self.body(x) + x


@mistake("Block", "The skip has a convolution even when the number of channels stays the same.")
class SkipIsAlwaysAConvolution(Body):
    def __init__(self, channels_in: int, channels_out: int) -> None:
        super().__init__(channels_in, channels_out)
        self.skip = conv(channels_in, channels_out, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        return self.body(x) + self.skip(x)


@mistake("Block", "The skip's convolution is created even when the skip is the input itself, and then never used.")
class SkipMadeForNothing(Body):
    def __init__(self, channels_in: int, channels_out: int) -> None:
        super().__init__(channels_in, channels_out)
        self.convolution = conv(channels_in, channels_out, bias=False)
        self.same = channels_in == channels_out

    def forward(self, x: Tensor) -> Tensor:
        return self.body(x) + (x if self.same else self.convolution(x))


@mistake("Block", "The skip has no convolution when the number of channels changes, so nothing is added there.")
class SkipOnlyWhereItFits(Body):
    def __init__(self, channels_in: int, channels_out: int) -> None:
        super().__init__(channels_in, channels_out)
        self.skip = nn.Identity()
        self.same = channels_in == channels_out

    def forward(self, x: Tensor) -> Tensor:
        return self.body(x) + x if self.same else self.body(x)


@mistake("Block", "The skip's convolution has a bias. It should have none.")
class BiasInSkip(Body):
    def __init__(self, channels_in: int, channels_out: int) -> None:
        super().__init__(channels_in, channels_out)
        if channels_in != channels_out:
            self.skip = conv(channels_in, channels_out)

    def forward(self, x: Tensor) -> Tensor:
        return self.body(x) + self.skip(x)


@mistake("Block", "The skip's convolution is 1x1. It should be 3x3, like the others.")
class SkipOfOneByOne(Body):
    def __init__(self, channels_in: int, channels_out: int) -> None:
        super().__init__(channels_in, channels_out)
        if channels_in != channels_out:
            self.skip = nn.Conv2d(channels_in, channels_out, kernel_size=1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        return self.body(x) + self.skip(x)


@mistake("Block", "There are `channels_in` channels between the two convolutions. There should be `channels_out`.")
class NarrowInTheMiddle(Body):
    def __init__(self, channels_in: int, channels_out: int) -> None:
        super().__init__(channels_in, channels_out)
        self.first = conv(channels_in, channels_in)
        self.second = conv(channels_in, channels_out, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        return self.body(x) + self.skip(x)


@mistake("Block", "The convolutions have no padding, so the image shrinks at its edges. `conv` keeps the size.")
class NoPadding(Body):
    def __init__(self, channels_in: int, channels_out: int) -> None:
        super().__init__(channels_in, channels_out)
        self.first = nn.Conv2d(channels_in, channels_out, 3)
        self.second = nn.Conv2d(channels_out, channels_out, 3, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        return self.body(x) + self.skip(x)


@mistake("Block", "One convolution is called twice. There should be two, each with its own weights.")
class OneConvolutionTwice(Body):
    def __init__(self, channels_in: int, channels_out: int) -> None:
        super().__init__(channels_in, channels_out)
        self.second = self.first

    def forward(self, x: Tensor) -> Tensor:
        return self.body(x) + self.skip(x)


@mistake("Block", "There are three convolutions in the body. There should be two.")
class ThreeConvolutions(Body):
    def __init__(self, channels_in: int, channels_out: int) -> None:
        super().__init__(channels_in, channels_out)
        self.third = conv(channels_out, channels_out, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        return self.third(torch.relu(self.body(x))) + self.skip(x)


@mistake("Block", "There is one convolution in the body. There should be two.")
class OneConvolution(Body):
    def __init__(self, channels_in: int, channels_out: int) -> None:
        super().__init__(channels_in, channels_out)
        del self.second

    def forward(self, x: Tensor) -> Tensor:
        return torch.relu(self.first(x)) + self.skip(x)


@mistake("Block", "The layers are in a plain Python list, where the module can't see them.")
class ListOfLayers(nn.Module):
    def __init__(self, channels_in: int, channels_out: int) -> None:
        super().__init__()
        self.layers = [conv(channels_in, channels_out), nn.ReLU(), conv(channels_out, channels_out, bias=False)]
        self.skip = [nn.Identity() if channels_in == channels_out else conv(channels_in, channels_out, bias=False)]

    def forward(self, x: Tensor) -> Tensor:
        y = x
        for layer in self.layers:
            y = layer(y)
        return y + self.skip[0](x)


@mistake("Block", "The layers are created in `forward`, so each call gets new layers that have learned nothing.")
class LayersMadeInForward(nn.Module):
    def __init__(self, channels_in: int, channels_out: int) -> None:
        super().__init__()
        self.shape = channels_in, channels_out

    def forward(self, x: Tensor) -> Tensor:
        layers = Body(*self.shape)
        return layers.body(x) + layers.skip(x)


@mistake("Block", "`super().__init__()` is missing. A module can't hold layers before that call.")
class NoSuper(nn.Module):
    def __init__(self, channels_in: int, channels_out: int) -> None:
        self.first = conv(channels_in, channels_out)

    def forward(self, x: Tensor) -> Tensor:
        return x


@mistake("Block", "`forward` computes the output but doesn't return it.")
class NoReturn(Body):
    def forward(self, x: Tensor) -> None:
        self.body(x) + self.skip(x)


@mistake("Block", "There is a batch normalization in the body. There should be no normalization.")
class BatchNorm(Body):
    def __init__(self, channels_in: int, channels_out: int) -> None:
        super().__init__(channels_in, channels_out)
        self.norm = nn.BatchNorm2d(channels_out)

    def forward(self, x: Tensor) -> Tensor:
        return self.second(torch.relu(self.norm(self.first(x)))) + self.skip(x)


@mistake("Block", "There is a group normalization in the body. There should be no normalization.")
class GroupNorm(Body):
    def __init__(self, channels_in: int, channels_out: int) -> None:
        super().__init__(channels_in, channels_out)
        self.norm = nn.GroupNorm(1, channels_out)

    def forward(self, x: Tensor) -> Tensor:
        return self.second(torch.relu(self.norm(self.first(x)))) + self.skip(x)


@mistake("Block", "Dropout sets some values to 0 at random. There should be no dropout.")
class Dropout(Body):
    def forward(self, x: Tensor) -> Tensor:
        return F.dropout(self.body(x), 0.1, self.training) + self.skip(x)


@mistake("Block", "The skip is detached, so gradients can't flow back through the skip.")
class DetachedSkip(Body):
    def forward(self, x: Tensor) -> Tensor:
        return self.body(x) + self.skip(x.detach())


@mistake("Block", "Under `torch.no_grad()`, nothing can be learned from the output.")
class NoGrad(Body):
    @torch.no_grad()
    def forward(self, x: Tensor) -> Tensor:
        return self.body(x) + self.skip(x)


@mistake("Block", "All weights start at 0, where every gradient is 0 too, so nothing would ever change.")
class AllZero(Body):
    def __init__(self, channels_in: int, channels_out: int) -> None:
        super().__init__(channels_in, channels_out)
        for weight in self.parameters():
            nn.init.zeros_(weight)

    def forward(self, x: Tensor) -> Tensor:
        return self.body(x) + self.skip(x)


@mistake(
    "Block", "The weights come straight from `randn`, which makes them far too large for a sum of hundreds of numbers."
)
class HugeWeights(Body):
    def __init__(self, channels_in: int, channels_out: int) -> None:
        super().__init__(channels_in, channels_out)
        for weight in self.parameters():
            nn.init.normal_(weight)

    def forward(self, x: Tensor) -> Tensor:
        return self.body(x) + self.skip(x)


# ---- 2.2 Pool -------------------------------------------------------------------------------------------------------


class Inner(nn.Module):
    """The usual layers of a Pool. The mistakes change them."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        widen, narrow = self.layers(channels)
        self.body = nn.Sequential(widen, nn.ReLU(), narrow)

    def layers(self, c: int) -> tuple[nn.Module, nn.Module]:
        return nn.Conv2d(c, 4 * c, 1), nn.Conv2d(4 * c, c, 1, bias=False)

    def found(self, x: Tensor) -> Tensor:
        return x.amax((2, 3), keepdim=True)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.body(self.found(x))


@mistake("Pool", "The Pool takes the mean over the image. It should take the maximum.")
class Average(Inner):
    def found(self, x: Tensor) -> Tensor:
        return x.mean((2, 3), keepdim=True)


@mistake("Pool", "The Pool takes the sum over the image. It should take the maximum.")
class Sum(Inner):
    def found(self, x: Tensor) -> Tensor:
        return x.sum((2, 3), keepdim=True)


@mistake("Pool", "The Pool takes the minimum over the image. It should take the maximum.")
class Smallest(Inner):
    def found(self, x: Tensor) -> Tensor:
        return x.amin((2, 3), keepdim=True)


@mistake("Pool", "The Pool takes the maximum of the absolute values, so a large negative value counts as large too.")
class LargestAbsolute(Inner):
    def found(self, x: Tensor) -> Tensor:
        return x.abs().amax((2, 3), keepdim=True)


@mistake("Pool", "The Pool takes the position of the maximum (argmax). It should take the maximum itself.")
class WhereTheLargestIs(Inner):
    def found(self, x: Tensor) -> Tensor:
        return x.flatten(2).argmax(2).view(*x.shape[:2], 1, 1).to(x.dtype)


@mistake("Pool", "The maximum is taken along each row. It should be taken over the whole image.")
class MaximumOfEachRow(Inner):
    def found(self, x: Tensor) -> Tensor:
        return x.amax(3, keepdim=True)


@mistake("Pool", "The maximum is taken along each column. It should be taken over the whole image.")
class MaximumOfEachColumn(Inner):
    def found(self, x: Tensor) -> Tensor:
        return x.amax(2, keepdim=True)


@mistake("Pool", "The maximum is taken among each pixel's neighbors. It should be taken over the whole image.")
class MaximumOfNeighbors(Inner):
    def found(self, x: Tensor) -> Tensor:
        return F.max_pool2d(x, 3, 1, 1)


@mistake(
    "Pool", "There is no maximum. Each pixel goes through the small network alone and learns nothing about the others."
)
class EachPixelByItself(Inner):
    def found(self, x: Tensor) -> Tensor:
        return x


@mistake("Pool", "The maximum is taken over the whole batch, so each image gets information about the others.")
class MaximumOfTheBatch(Inner):
    def found(self, x: Tensor) -> Tensor:
        return x.amax((0, 2, 3), keepdim=True)


@mistake("Pool", "The maximum is taken over all channels at once. Each channel has its own maximum.")
class MaximumOfAllChannels(Inner):
    def found(self, x: Tensor) -> Tensor:
        return x.amax((1, 2, 3), keepdim=True).expand(-1, x.shape[1], 1, 1)


@mistake(
    "Pool", "The maximum is taken over the channels. It should be taken over rows and columns, dimensions 2 and 3."
)
class MaximumOverTheChannels(Inner):
    def found(self, x: Tensor) -> Tensor:
        return x.amax(1, keepdim=True)


@mistake("Pool", "The small network runs on every pixel, and the maximum is taken afterward. Take the maximum first.")
class MaximumAfterTheNetwork(Inner):
    def forward(self, x: Tensor) -> Tensor:
        return x + self.found(self.body(x))


@mistake("Pool", "Without `keepdim=True`, the maxima have shape (N, C) and lose the dimensions for rows and columns.")
class NoKeepdim(Inner):
    def found(self, x: Tensor) -> Tensor:
        return x.amax((2, 3))


@mistake(
    "Pool",
    "There is only one number for each image and channel: the input itself isn't part of the sum.",
)
class OnlyTheBody(Inner):
    def forward(self, x: Tensor) -> Tensor:
        return self.body(self.found(x))


@mistake("Pool", "The output of the small network replaces the input. It should be added to the input.")
class BodyInPlaceOfTheInput(Inner):
    def forward(self, x: Tensor) -> Tensor:
        return self.body(self.found(x)).expand_as(x)


@mistake("Pool", "The maxima themselves are added too. Only the output of the small network should be added.")
class MaximaAddedToo(Inner):
    def forward(self, x: Tensor) -> Tensor:
        return x + self.found(x) + self.body(self.found(x))


@mistake("Pool", "The output of the small network is added to the maxima, and the input is lost.")
class AddedToTheMaxima(Inner):
    def forward(self, x: Tensor) -> Tensor:
        return (self.found(x) + self.body(self.found(x))).expand_as(x)


@mistake("Pool", "The input is multiplied by the output of the small network. The two should be added.")
class Multiplied(Inner):
    def forward(self, x: Tensor) -> Tensor:
        return x * self.body(self.found(x))


@mistake(
    "Pool",
    "The input is multiplied by a sigmoid of the small network's output, as in squeeze-and-excitation. Add the output "
    "instead.",
)
class Gate(Inner):
    def forward(self, x: Tensor) -> Tensor:
        return x * torch.sigmoid(self.body(self.found(x)))


@mistake("Pool", "There is a ReLU after the sum, which cuts off all negative values.")
class PoolReluAfterSum(Inner):
    def forward(self, x: Tensor) -> Tensor:
        return torch.relu(super().forward(x))


@mistake(
    "Pool",
    "There is a second ReLU, after the second convolution, so a Pool could only add to its input, never subtract.",
)
class PoolReluAtTheEnd(Inner):
    def forward(self, x: Tensor) -> Tensor:
        return x + torch.relu(self.body(self.found(x)))


@mistake(
    "Pool",
    "There is no ReLU between the 1x1 convolutions. Without a ReLU, they can do no more than a single convolution.",
)
class PoolNoRelu(Inner):
    def __init__(self, channels: int) -> None:
        super().__init__(channels)
        self.body[1] = nn.Identity()


@mistake("Pool", "`+=` writes into the input, which belongs to the caller.")
class PoolInPlace(Inner):
    def forward(self, x: Tensor) -> Tensor:
        x += self.body(self.found(x))
        return x


@mistake("Pool", "The middle of the small network is twice as wide as its input. It should be four times as wide.")
class TwiceAsWide(Inner):
    def layers(self, c: int) -> tuple[nn.Module, nn.Module]:
        return nn.Conv2d(c, 2 * c, 1), nn.Conv2d(2 * c, c, 1, bias=False)


@mistake("Pool", "The middle of the small network is no wider than its input. It should be four times as wide.")
class NoWider(Inner):
    def layers(self, c: int) -> tuple[nn.Module, nn.Module]:
        return nn.Conv2d(c, c, 1), nn.Conv2d(c, c, 1, bias=False)


@mistake("Pool", "The middle of the small network is a quarter as wide as its input. It should be four times as wide.")
class Narrower(Inner):
    def layers(self, c: int) -> tuple[nn.Module, nn.Module]:
        return nn.Conv2d(c, c // 4, 1), nn.Conv2d(c // 4, c, 1, bias=False)


@mistake("Pool", "Both 1x1 convolutions have a bias. The second should have none.")
class PoolBiasInBoth(Inner):
    def layers(self, c: int) -> tuple[nn.Module, nn.Module]:
        return nn.Conv2d(c, 4 * c, 1), nn.Conv2d(4 * c, c, 1)


@mistake("Pool", "Neither 1x1 convolution has a bias. The first should have one.")
class PoolNoBias(Inner):
    def layers(self, c: int) -> tuple[nn.Module, nn.Module]:
        return nn.Conv2d(c, 4 * c, 1, bias=False), nn.Conv2d(4 * c, c, 1, bias=False)


@mistake("Pool", "The convolutions are 3x3. Their input, the maxima, is an image of one pixel, so they should be 1x1.")
class PoolOfThreeByThree(Inner):
    def layers(self, c: int) -> tuple[nn.Module, nn.Module]:
        return conv(c, 4 * c), conv(4 * c, c, bias=False)


@mistake("Pool", "The layers are in a plain Python list, where the module can't see them.")
class PoolListOfLayers(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        self.body = [*Inner(channels).body]

    def forward(self, x: Tensor) -> Tensor:
        y = x.amax((2, 3), keepdim=True)
        for layer in self.body:
            y = layer(y)
        return x + y


@mistake("Pool", "The maxima are detached, so the network can't learn what to look for.")
class DetachedMaxima(Inner):
    def found(self, x: Tensor) -> Tensor:
        return x.detach().amax((2, 3), keepdim=True)


@mistake("Pool", "`forward` computes the output but doesn't return it.")
class PoolNoReturn(Inner):
    def forward(self, x: Tensor) -> None:
        super().forward(x)


# ---- 2.3 Stage ------------------------------------------------------------------------------------------------------


class Steps(nn.Module):
    """The usual layers of a Stage. The mistakes change them."""

    def __init__(self, channels_in: int, channels_out: int, depth: int) -> None:
        super().__init__()
        self.first = conv(channels_in, channels_out, bias=False)
        self.blocks = nn.ModuleList(denoiser.Block(channels_out, channels_out) for _ in range(depth))
        self.pool = denoiser.Pool(channels_out)

    def forward(self, x: Tensor) -> Tensor:
        x = self.first(x)
        for block in self.blocks:
            x = block(x)
        return self.pool(x)


@mistake("Stage", "The Blocks are in a plain Python list, where the module can't see them.")
class ListOfBlocks(Steps):
    def __init__(self, channels_in: int, channels_out: int, depth: int) -> None:
        super().__init__(channels_in, channels_out, depth)
        blocks = list(self.blocks)
        del self.blocks
        self.blocks = blocks


@mistake("Stage", "One Block is called again and again. Each of the `depth` Blocks should have its own weights.")
class OneBlockRepeated(Steps):
    def __init__(self, channels_in: int, channels_out: int, depth: int) -> None:
        super().__init__(channels_in, channels_out, depth)
        self.blocks = nn.ModuleList([denoiser.Block(channels_out, channels_out)] * depth)


@mistake("Stage", "There is one Block too few.")
class OneBlockTooFew(Steps):
    def __init__(self, channels_in: int, channels_out: int, depth: int) -> None:
        super().__init__(channels_in, channels_out, depth - 1)


@mistake("Stage", "There is one Block too many.")
class OneBlockTooMany(Steps):
    def __init__(self, channels_in: int, channels_out: int, depth: int) -> None:
        super().__init__(channels_in, channels_out, depth + 1)


@mistake("Stage", "There are always two Blocks: `depth` isn't used.")
class AlwaysTwoBlocks(Steps):
    def __init__(self, channels_in: int, channels_out: int, depth: int) -> None:
        super().__init__(channels_in, channels_out, 2)


@mistake("Stage", "There is always one Block: `depth` isn't used.")
class AlwaysOneBlock(Steps):
    def __init__(self, channels_in: int, channels_out: int, depth: int) -> None:
        super().__init__(channels_in, channels_out, 1)


@mistake("Stage", "The first Block replaces the convolution. The convolution should come before all the Blocks.")
class BlockForTheConvolution(Steps):
    def __init__(self, channels_in: int, channels_out: int, depth: int) -> None:
        super().__init__(channels_in, channels_out, depth)
        widths = [channels_in] + [channels_out] * depth
        self.blocks = nn.ModuleList(denoiser.Block(*pair) for pair in itertools.pairwise(widths))
        self.first = nn.Identity()


@mistake("Stage", "A Block replaces the first convolution, and `depth` more Blocks follow it.")
class BlockBeforeTheBlocks(Steps):
    def __init__(self, channels_in: int, channels_out: int, depth: int) -> None:
        super().__init__(channels_in, channels_out, depth)
        self.first = denoiser.Block(channels_in, channels_out)


@mistake("Stage", "The convolution has a bias. It should have none.")
class BiasInTheConvolution(Steps):
    def __init__(self, channels_in: int, channels_out: int, depth: int) -> None:
        super().__init__(channels_in, channels_out, depth)
        self.first = conv(channels_in, channels_out)


@mistake("Stage", "The convolution is 1x1. It should be 3x3.")
class ConvolutionOfOneByOne(Steps):
    def __init__(self, channels_in: int, channels_out: int, depth: int) -> None:
        super().__init__(channels_in, channels_out, depth)
        self.first = nn.Conv2d(channels_in, channels_out, 1, bias=False)


@mistake("Stage", "There is no Pool at the end.")
class NoPool(Steps):
    def __init__(self, channels_in: int, channels_out: int, depth: int) -> None:
        super().__init__(channels_in, channels_out, depth)
        self.pool = nn.Identity()


@mistake("Stage", "The Pool comes before the Blocks. It should come after them.")
class PoolBeforeTheBlocks(Steps):
    def forward(self, x: Tensor) -> Tensor:
        x = self.pool(self.first(x))
        for block in self.blocks:
            x = block(x)
        return x


@mistake("Stage", "The Pool comes before the convolution. It should come last.")
class PoolFirst(Steps):
    def __init__(self, channels_in: int, channels_out: int, depth: int) -> None:
        super().__init__(channels_in, channels_out, depth)
        self.pool = denoiser.Pool(channels_in)

    def forward(self, x: Tensor) -> Tensor:
        x = self.first(self.pool(x))
        for block in self.blocks:
            x = block(x)
        return x


@mistake("Stage", "The convolution comes after the Blocks. It should come before them.")
class ConvolutionAfterTheBlocks(Steps):
    def __init__(self, channels_in: int, channels_out: int, depth: int) -> None:
        super().__init__(channels_in, channels_out, depth)
        self.blocks = nn.ModuleList(denoiser.Block(channels_in, channels_in) for _ in range(depth))

    def forward(self, x: Tensor) -> Tensor:
        for block in self.blocks:
            x = block(x)
        return self.pool(self.first(x))


@mistake("Stage", "There is a Pool after each Block. There should be a single Pool, at the end.")
class PoolAfterEachBlock(Steps):
    def __init__(self, channels_in: int, channels_out: int, depth: int) -> None:
        super().__init__(channels_in, channels_out, depth)
        self.pool = nn.Identity()
        self.blocks = nn.ModuleList(nn.Sequential(block, denoiser.Pool(channels_out)) for block in self.blocks)


@mistake(
    "Stage",
    "All Blocks get the same input and their outputs are summed. Each Block should get the output of the one before "
    "it.",
)
class BlocksSideBySide(Steps):
    def forward(self, x: Tensor) -> Tensor:
        x = self.first(x)
        return self.pool(sum(block(x) for block in self.blocks) if len(self.blocks) else x)


@mistake("Stage", "Only the last Block's output is kept. Each Block should get the output of the one before it.")
class OnlyTheLastBlock(Steps):
    def forward(self, x: Tensor) -> Tensor:
        x = y = self.first(x)
        for block in self.blocks:
            y = block(x)
        return self.pool(y)


@mistake("Stage", "There is a ReLU after the convolution. There should be none.")
class StageReluAfterTheConvolution(Steps):
    def forward(self, x: Tensor) -> Tensor:
        x = torch.relu(self.first(x))
        for block in self.blocks:
            x = block(x)
        return self.pool(x)


@mistake("Stage", "There is a ReLU after each Block. There should be none.")
class ReluAfterEachBlock(Steps):
    def forward(self, x: Tensor) -> Tensor:
        x = self.first(x)
        for block in self.blocks:
            x = torch.relu(block(x))
        return self.pool(x)


@mistake("Stage", "There is a ReLU at the very end. There should be none.")
class StageReluAtTheEnd(Steps):
    def forward(self, x: Tensor) -> Tensor:
        return torch.relu(super().forward(x))


@mistake("Stage", "There is an extra skip around all the Blocks. Each Block already has its own skip.")
class SkipAroundTheBlocks(Steps):
    def forward(self, x: Tensor) -> Tensor:
        x = y = self.first(x)
        for block in self.blocks:
            y = block(y)
        return self.pool(x + y)


@mistake("Stage", "The output of the Pool is added to the Pool's input. A Pool already does that itself.")
class PoolAddedAgain(Steps):
    def forward(self, x: Tensor) -> Tensor:
        x = self.first(x)
        for block in self.blocks:
            x = block(x)
        return x + self.pool(x)


@mistake("Stage", "The Pool is created but never called.")
class PoolNotCalled(Steps):
    def forward(self, x: Tensor) -> Tensor:
        x = self.first(x)
        for block in self.blocks:
            x = block(x)
        return x


@mistake("Stage", "The Pool is called, but its output is thrown away.")
class PoolOutputDropped(Steps):
    def forward(self, x: Tensor) -> Tensor:
        x = self.first(x)
        for block in self.blocks:
            x = block(x)
        self.pool(x)
        return x


@mistake("Stage", "The Blocks are created but never called.")
class BlocksNotCalled(Steps):
    def forward(self, x: Tensor) -> Tensor:
        return self.pool(self.first(x))


@mistake("Stage", "Each Block takes `channels_in` channels, but after the convolution there are `channels_out`.")
class BlocksFromTheWrongWidth(Steps):
    def __init__(self, channels_in: int, channels_out: int, depth: int) -> None:
        super().__init__(channels_in, channels_out, depth)
        self.blocks = nn.ModuleList(denoiser.Block(channels_in, channels_out) for _ in range(depth))


@mistake("Stage", "The Pool is created for `channels_in` channels, but its input has `channels_out`.")
class PoolOfTheWrongWidth(Steps):
    def __init__(self, channels_in: int, channels_out: int, depth: int) -> None:
        super().__init__(channels_in, channels_out, depth)
        self.pool = denoiser.Pool(channels_in)


@mistake("Stage", "`nn.Sequential` gets the Blocks as a list. It takes layers as separate arguments.")
class ListNotUnpacked(Steps):
    def __init__(self, channels_in: int, channels_out: int, depth: int) -> None:
        super().__init__(channels_in, channels_out, depth)
        self.steps = nn.Sequential(self.first, list(self.blocks), self.pool)


@mistake("Stage", "An `nn.ModuleList` holds layers but can't be called: it doesn't know in which order to use them.")
class ModuleListCalled(Steps):
    def forward(self, x: Tensor) -> Tensor:
        return self.pool(self.blocks(self.first(x)))


@mistake("Stage", "`forward` computes the output but doesn't return it.")
class StageNoReturn(Steps):
    def forward(self, x: Tensor) -> None:
        super().forward(x)


# ---- 2.4 UNet -------------------------------------------------------------------------------------------------------

WIDTHS, DEPTHS = (64, 64, 64, 64, 64), (2, 2, 2, 2, 2)


class Pieces(denoiser.UNet):
    """The usual network in pieces. The mistakes change them."""

    def begin(self, noisy: Tensor, noise_level: Tensor) -> Tensor:
        return torch.cat([noisy, noise_level.expand(len(noisy), 1, *noisy.shape[2:])], dim=1)

    def shrink(self, x: Tensor) -> Tensor:
        return F.avg_pool2d(x, 2)

    def enlarge(self, x: Tensor) -> Tensor:
        return F.interpolate(x, scale_factor=2, mode="nearest")

    def go_down(self, x: Tensor) -> tuple[Tensor, list[Tensor]]:
        skips = []
        for stage in self.down[:-1]:
            x = stage(x)
            skips.append(x)
            x = self.shrink(x)
        return self.down[-1](x), skips

    def go_up(self, x: Tensor, skips: list[Tensor]) -> Tensor:
        for stage in self.up:
            x = self.enlarge(stage(x)) + skips.pop()
        return x

    def forward(self, noisy: Tensor, noise_level: Tensor) -> Tensor:
        return self.head(self.go_up(*self.go_down(self.begin(noisy, noise_level))))


@mistake("UNet", "The noise level isn't used, so the network can't know how noisy its input is.")
class LevelNotFedIn(Pieces):
    def __init__(self, channels: int = 3, widths: Sequence[int] = WIDTHS, depths: Sequence[int] = DEPTHS) -> None:
        super().__init__(channels, widths, depths)
        self.down[0] = denoiser.Stage(channels, widths[0], depths[0])

    def begin(self, noisy: Tensor, noise_level: Tensor) -> Tensor:
        return noisy


@mistake("UNet", "All images get the level of the first image. Each image has its own level.")
class LevelOfTheFirst(Pieces):
    def begin(self, noisy: Tensor, noise_level: Tensor) -> Tensor:
        return super().begin(noisy, noise_level[:1])


@mistake("UNet", "All images get the mean of the levels. Each image has its own level.")
class MeanLevel(Pieces):
    def begin(self, noisy: Tensor, noise_level: Tensor) -> Tensor:
        return super().begin(noisy, noise_level.mean().view(1, 1, 1, 1))


@mistake(
    "UNet",
    "The level is expanded over rows and columns, but not over the batch when there is one level for all images.",
)
class LevelNotOverTheBatch(Pieces):
    def begin(self, noisy: Tensor, noise_level: Tensor) -> Tensor:
        return torch.cat([noisy, noise_level.expand(-1, -1, *noisy.shape[2:])], dim=1)


@mistake(
    "UNet", "The level is reshaped as if there were always one for each image. There may be one level for all images."
)
class OneLevelRefused(Pieces):
    def begin(self, noisy: Tensor, noise_level: Tensor) -> Tensor:
        return super().begin(noisy, noise_level.view(len(noisy), 1, 1, 1))


@mistake("UNet", "The level fills as many channels as the image has. It should fill one channel.")
class LevelInEveryChannel(Pieces):
    def begin(self, noisy: Tensor, noise_level: Tensor) -> Tensor:
        return torch.cat([noisy, noise_level.expand_as(noisy)], dim=1)


@mistake("UNet", "The level is concatenated with shape (N, 1, 1, 1). It needs as many rows and columns as the image.")
class LevelNotStretched(Pieces):
    def begin(self, noisy: Tensor, noise_level: Tensor) -> Tensor:
        return torch.cat([noisy, noise_level], dim=1)


@mistake("UNet", "The first Stage takes `channels` channels, but the noise level adds one more.")
class NoChannelForTheLevel(Pieces):
    def __init__(self, channels: int = 3, widths: Sequence[int] = WIDTHS, depths: Sequence[int] = DEPTHS) -> None:
        super().__init__(channels, widths, depths)
        self.down[0] = denoiser.Stage(channels, widths[0], depths[0])


@mistake("UNet", "The level is added to the image. It should be a channel of its own.")
class LevelAdded(LevelNotFedIn):
    def begin(self, noisy: Tensor, noise_level: Tensor) -> Tensor:
        return noisy + noise_level


@mistake("UNet", "The level's channel comes first. It should come last, after the image's channels.")
class LevelFirst(Pieces):
    def begin(self, noisy: Tensor, noise_level: Tensor) -> Tensor:
        return super().begin(noisy, noise_level).roll(1, 1)


@mistake("UNet", "The network gets 1 - level, which says how clean the image is. It should get the level itself.")
class OneMinusLevel(Pieces):
    def begin(self, noisy: Tensor, noise_level: Tensor) -> Tensor:
        return super().begin(noisy, 1 - noise_level)


@mistake("UNet", "The level is multiplied by 1000. It should go in unchanged, between 0 and 1.")
class LevelTimesThousand(Pieces):
    def begin(self, noisy: Tensor, noise_level: Tensor) -> Tensor:
        return super().begin(noisy, 1000 * noise_level)


@mistake("UNet", "The level's channel contains the level in one corner and zeros everywhere else.")
class LevelInACorner(Pieces):
    def begin(self, noisy: Tensor, noise_level: Tensor) -> Tensor:
        x = super().begin(noisy, torch.zeros_like(noise_level))
        x[:, -1:, :1, :1] = noise_level
        return x


@mistake("UNet", "One resolution works. With two, the way down and up is still missing.")
class OneResolution(Pieces):
    def __init__(self, channels: int = 3, widths: Sequence[int] = WIDTHS, depths: Sequence[int] = DEPTHS) -> None:
        super().__init__(channels, widths[:1], depths[:1])


@mistake("UNet", "The output is smaller than the image. The way up, which doubles the size again, is still missing.")
class WayDownOnly(Pieces):
    def go_up(self, x: Tensor, skips: list[Tensor]) -> Tensor:
        return x


@mistake(
    "UNet", "The features are halved one time too many. Nothing should be halved after the last Stage on the way down."
)
class HalvedOnceTooOften(Pieces):
    def go_down(self, x: Tensor) -> tuple[Tensor, list[Tensor]]:
        skips = []
        for stage in self.down:
            x = stage(x)
            skips.append(x)
            x = self.shrink(x)
        return x, skips


@mistake("UNet", "There are no skips: the features from the way down aren't added on the way up.")
class NoSkips(Pieces):
    def go_up(self, x: Tensor, skips: list[Tensor]) -> Tensor:
        for stage in self.up:
            x = self.enlarge(stage(x))
        return x


@mistake(
    "UNet", "The skips come back in the wrong order. The skip that was stored last has the size that is needed first."
)
class SkipsInTheWrongOrder(Pieces):
    def go_up(self, x: Tensor, skips: list[Tensor]) -> Tensor:
        return super().go_up(x, skips[::-1])


@mistake("UNet", "A skip is stored before the Stage. It should be the output of the Stage.")
class SkipStoredBeforeTheStage(Pieces):
    def go_down(self, x: Tensor) -> tuple[Tensor, list[Tensor]]:
        skips = []
        for stage in self.down[:-1]:
            skips.append(x)
            x = self.shrink(stage(x))
        return self.down[-1](x), skips


@mistake("UNet", "A skip is smaller than the features that it is added to. What is stored, and when?")
class SkipStoredAfterHalving(Pieces):
    def go_down(self, x: Tensor) -> tuple[Tensor, list[Tensor]]:
        skips = []
        for stage in self.down[:-1]:
            x = self.shrink(stage(x))
            skips.append(x)
        return self.down[-1](x), skips


@mistake("UNet", "The skip is added before the Stage on the way up. It should be added last, after the doubling.")
class DoubledThenSkipThenStage(Pieces):
    def go_up(self, x: Tensor, skips: list[Tensor]) -> Tensor:
        for stage in self.up:
            x = stage(self.enlarge(x) + skips.pop())
        return x


@mistake("UNet", "The skip is halved and added before the doubling, so its fine detail is lost.")
class SkipHalvedAndAdded(Pieces):
    def go_up(self, x: Tensor, skips: list[Tensor]) -> Tensor:
        for stage in self.up:
            x = self.enlarge(stage(x) + self.shrink(skips.pop()))
        return x


@mistake("UNet", "The features are doubled before the Stage on the way up. The Stage should run on the smaller size.")
class DoubledBeforeTheStage(Pieces):
    def go_up(self, x: Tensor, skips: list[Tensor]) -> Tensor:
        for stage in self.up:
            x = stage(self.enlarge(x)) + skips.pop()
        return x


@mistake("UNet", "The skips are concatenated with the features as extra channels. They should be added.")
class SkipsConcatenated(Pieces):
    def __init__(self, channels: int = 3, widths: Sequence[int] = WIDTHS, depths: Sequence[int] = DEPTHS) -> None:
        super().__init__(channels, widths, depths)
        if len(widths) > 1:
            self.up = nn.ModuleList(
                denoiser.Stage((1 if i == len(widths) - 1 else 2) * widths[i], widths[i - 1], depths[i])
                for i in range(len(widths) - 1, 0, -1)
            )
            self.head[0] = denoiser.Stage(2 * widths[0], widths[0], depths[0])

    def go_up(self, x: Tensor, skips: list[Tensor]) -> Tensor:
        for stage in self.up:
            x = torch.cat([self.enlarge(stage(x)), skips.pop()], dim=1)
        return x


@mistake(
    "UNet",
    "The skips are concatenated with the features, and the next layers don't expect the extra channels. They should "
    "be added.",
)
class SkipsConcatenatedTooWide(Pieces):
    def go_up(self, x: Tensor, skips: list[Tensor]) -> Tensor:
        for stage in self.up:
            x = torch.cat([self.enlarge(stage(x)), skips.pop()], dim=1)
        return x


@mistake("UNet", "Only the skip at full size is added. Every resolution except the smallest has a skip.")
class OnlyTheFirstSkip(Pieces):
    def go_up(self, x: Tensor, skips: list[Tensor]) -> Tensor:
        for stage in self.up:
            x = self.enlarge(stage(x))
        return x + skips[0] if skips else x


@mistake("UNet", "The features are multiplied by the skips. The two should be added.")
class SkipsMultiplied(Pieces):
    def go_up(self, x: Tensor, skips: list[Tensor]) -> Tensor:
        for stage in self.up:
            x = self.enlarge(stage(x)) * skips.pop()
        return x


@mistake("UNet", "The features and the skips are averaged. They should be added.")
class SkipsAveraged(Pieces):
    def go_up(self, x: Tensor, skips: list[Tensor]) -> Tensor:
        for stage in self.up:
            x = (self.enlarge(stage(x)) + skips.pop()) / 2
        return x


@mistake("UNet", "There is a ReLU after each skip is added. There should be none.")
class ReluAfterEachSkip(Pieces):
    def go_up(self, x: Tensor, skips: list[Tensor]) -> Tensor:
        for stage in self.up:
            x = torch.relu(self.enlarge(stage(x)) + skips.pop())
        return x


@mistake("UNet", "The skips are detached, so the Stages on the way down learn less than they could.")
class SkipsDetached(Pieces):
    def go_up(self, x: Tensor, skips: list[Tensor]) -> Tensor:
        return super().go_up(x, [skip.detach() for skip in skips])


@mistake("UNet", "The size is halved by taking the largest pixel of each 2x2 square. It should be the average.")
class HalvedByMaximum(Pieces):
    def shrink(self, x: Tensor) -> Tensor:
        return F.max_pool2d(x, 2)


@mistake("UNet", "The size is halved by dropping every second pixel. Each 2x2 square should be averaged.")
class HalvedByLeavingOut(Pieces):
    def shrink(self, x: Tensor) -> Tensor:
        return x[..., ::2, ::2]


@mistake("UNet", "The size is halved by summing each 2x2 square. It should be the average.")
class HalvedBySums(Pieces):
    def shrink(self, x: Tensor) -> Tensor:
        return 4 * F.avg_pool2d(x, 2)


@mistake("UNet", "The size is doubled smoothly (bilinear). Each pixel should become a 2x2 square of the same value.")
class DoubledSmoothly(Pieces):
    def enlarge(self, x: Tensor) -> Tensor:
        return F.interpolate(x, scale_factor=2, mode="bilinear")


@mistake(
    "UNet", "The size is doubled by repeating the whole image side by side. Each pixel should become a 2x2 square."
)
class Tiled(Pieces):
    def enlarge(self, x: Tensor) -> Tensor:
        return x.repeat(1, 1, 2, 2)


@mistake("UNet", "A convolution does the doubling, which adds weights that should not be there.")
class DoubledByAConvolution(Pieces):
    def __init__(self, channels: int = 3, widths: Sequence[int] = WIDTHS, depths: Sequence[int] = DEPTHS) -> None:
        super().__init__(channels, widths, depths)
        self.enlargers = nn.ModuleList(nn.ConvTranspose2d(w, w, 2, 2) for w in reversed(widths[:-1]))

    def go_up(self, x: Tensor, skips: list[Tensor]) -> Tensor:
        for stage, enlarge in zip(self.up, self.enlargers):
            x = enlarge(stage(x)) + skips.pop()
        return x


@mistake("UNet", "The features are still small when a skip is added. They should have been doubled by then.")
class NeverDoubled(Pieces):
    def enlarge(self, x: Tensor) -> Tensor:
        return x


@mistake("UNet", "The size is never halved, so all Stages run at full size.")
class OneSizeForAll(Pieces):
    def enlarge(self, x: Tensor) -> Tensor:
        return x

    def shrink(self, x: Tensor) -> Tensor:
        return x


@mistake("UNet", "A sigmoid squeezes the prediction between 0 and 1. Nothing should follow the last convolution.")
class Sigmoid(Pieces):
    def forward(self, noisy: Tensor, noise_level: Tensor) -> Tensor:
        return torch.sigmoid(super().forward(noisy, noise_level))


@mistake("UNet", "A tanh squeezes the prediction between -1 and 1. Nothing should follow the last convolution.")
class Tanh(Pieces):
    def forward(self, noisy: Tensor, noise_level: Tensor) -> Tensor:
        return torch.tanh(super().forward(noisy, noise_level))


@mistake("UNet", "The prediction is clamped to [0, 1]. Nothing should follow the last convolution.")
class Clamped(Pieces):
    def forward(self, noisy: Tensor, noise_level: Tensor) -> Tensor:
        return super().forward(noisy, noise_level).clamp(0, 1)


@mistake("UNet", "A ReLU follows the last convolution. Nothing should.")
class ReluAtTheVeryEnd(Pieces):
    def forward(self, noisy: Tensor, noise_level: Tensor) -> Tensor:
        return torch.relu(super().forward(noisy, noise_level))


@mistake(
    "UNet",
    "The noisy image is added to the output, so the network predicts the change. It should predict the clean image.",
)
class NoisyAdded(Pieces):
    def forward(self, noisy: Tensor, noise_level: Tensor) -> Tensor:
        return noisy + super().forward(noisy, noise_level)


@mistake("UNet", "The output is subtracted from the noisy image, so the network predicts the noise.")
class TakenFromNoisy(Pieces):
    def forward(self, noisy: Tensor, noise_level: Tensor) -> Tensor:
        return noisy - super().forward(noisy, noise_level)


@mistake("UNet", "The bias of the last convolution starts at 0.")
class HeadBiasOfZero(Pieces):
    def __init__(self, channels: int = 3, widths: Sequence[int] = WIDTHS, depths: Sequence[int] = DEPTHS) -> None:
        super().__init__(channels, widths, depths)
        nn.init.zeros_(self.head[-1].bias)


@mistake("UNet", "The bias of the last convolution keeps its random initial values.")
class HeadBiasAtRandom(Pieces):
    def __init__(self, channels: int = 3, widths: Sequence[int] = WIDTHS, depths: Sequence[int] = DEPTHS) -> None:
        super().__init__(channels, widths, depths)
        self.head[-1] = conv(widths[0], channels)


@mistake("UNet", "The last convolution has no bias, so there is none to start at 0.5.")
class HeadWithoutBias(Pieces):
    def __init__(self, channels: int = 3, widths: Sequence[int] = WIDTHS, depths: Sequence[int] = DEPTHS) -> None:
        super().__init__(channels, widths, depths)
        self.head[-1] = conv(widths[0], channels, bias=False)


@mistake(
    "UNet",
    "0.5 is added to every prediction. It should be the initial value of the last bias, which training may change.",
)
class HalfAddedToEveryPrediction(HeadBiasOfZero):
    def forward(self, noisy: Tensor, noise_level: Tensor) -> Tensor:
        return super().forward(noisy, noise_level) + 0.5


@mistake("UNet", "The last bias is set to 0.5 at every call, which undoes what training has changed.")
class HalfAtEveryCall(Pieces):
    def forward(self, noisy: Tensor, noise_level: Tensor) -> Tensor:
        nn.init.constant_(self.head[-1].bias, 0.5)
        return super().forward(noisy, noise_level)


@mistake("UNet", "Every bias of the network starts at 0.5. Only the last one should.")
class EveryBiasHalf(Pieces):
    def __init__(self, channels: int = 3, widths: Sequence[int] = WIDTHS, depths: Sequence[int] = DEPTHS) -> None:
        super().__init__(channels, widths, depths)
        for weight in self.parameters():
            if weight.dim() == 1:
                nn.init.constant_(weight, 0.5)


@mistake("UNet", "The bias before the last one starts at 0.5 too. Only the last one should.")
class BothHeadBiasesHalf(Pieces):
    def __init__(self, channels: int = 3, widths: Sequence[int] = WIDTHS, depths: Sequence[int] = DEPTHS) -> None:
        super().__init__(channels, widths, depths)
        nn.init.constant_(self.head[1].bias, 0.5)


@mistake("UNet", "All weights of the last convolution start at 0.5. Only its bias should.")
class LastWeightsHalf(Pieces):
    def __init__(self, channels: int = 3, widths: Sequence[int] = WIDTHS, depths: Sequence[int] = DEPTHS) -> None:
        super().__init__(channels, widths, depths)
        nn.init.constant_(self.head[-1].weight, 0.5)


@mistake("UNet", "All weights start at 0, so nearly every gradient is 0 too and the network can't learn.")
class AllWeightsZero(Pieces):
    def __init__(self, channels: int = 3, widths: Sequence[int] = WIDTHS, depths: Sequence[int] = DEPTHS) -> None:
        super().__init__(channels, widths, depths)
        for weight in list(self.parameters())[:-1]:
            nn.init.zeros_(weight)


@mistake("UNet", "The head has no Stage. A Stage at full size comes before the head's convolutions.")
class HeadWithoutStage(Pieces):
    def __init__(self, channels: int = 3, widths: Sequence[int] = WIDTHS, depths: Sequence[int] = DEPTHS) -> None:
        super().__init__(channels, widths, depths)
        self.head[0] = nn.Identity()


@mistake("UNet", "The head has no ReLU between its two convolutions.")
class HeadWithoutRelu(Pieces):
    def __init__(self, channels: int = 3, widths: Sequence[int] = WIDTHS, depths: Sequence[int] = DEPTHS) -> None:
        super().__init__(channels, widths, depths)
        self.head[2] = nn.Identity()


@mistake("UNet", "Only one convolution follows the Stage in the head. There should be two, with a ReLU between them.")
class HeadWithOneConvolution(Pieces):
    def __init__(self, channels: int = 3, widths: Sequence[int] = WIDTHS, depths: Sequence[int] = DEPTHS) -> None:
        super().__init__(channels, widths, depths)
        self.head[1] = self.head[2] = nn.Identity()


@mistake("UNet", "The head's ReLU comes before its first convolution. It belongs between the two.")
class HeadReluTooEarly(Pieces):
    def __init__(self, channels: int = 3, widths: Sequence[int] = WIDTHS, depths: Sequence[int] = DEPTHS) -> None:
        super().__init__(channels, widths, depths)
        self.head[1], self.head[2] = self.head[2], self.head[1]


@mistake("UNet", "The head's first convolution has no bias. Both should have one.")
class HeadFirstWithoutBias(Pieces):
    def __init__(self, channels: int = 3, widths: Sequence[int] = WIDTHS, depths: Sequence[int] = DEPTHS) -> None:
        super().__init__(channels, widths, depths)
        self.head[1] = conv(widths[0], widths[0], bias=False)


@mistake("UNet", "The Stages are in plain Python lists, where the module can't see them.")
class ListOfStages(Pieces):
    def __init__(self, channels: int = 3, widths: Sequence[int] = WIDTHS, depths: Sequence[int] = DEPTHS) -> None:
        super().__init__(channels, widths, depths)
        down, up = list(self.down), list(self.up)
        del self.down, self.up
        self.down, self.up = down, up


@mistake("UNet", "The Stages on the way up are in a plain Python list, where the module can't see them.")
class ListOnTheWayUp(Pieces):
    def __init__(self, channels: int = 3, widths: Sequence[int] = WIDTHS, depths: Sequence[int] = DEPTHS) -> None:
        super().__init__(channels, widths, depths)
        up = list(self.up)
        del self.up
        self.up = up


@mistake(
    "UNet", "The way up has no Stages: features are doubled and skips are added, but no Stage processes the result."
)
class NoStagesOnTheWayUp(Pieces):
    def __init__(self, channels: int = 3, widths: Sequence[int] = WIDTHS, depths: Sequence[int] = DEPTHS) -> None:
        super().__init__(channels, widths, depths)
        self.up = nn.ModuleList(nn.Identity() for _ in widths[1:])


@mistake("UNet", "The way up uses the Stages of the way down again. It should have its own Stages.")
class StagesUsedTwice(Pieces):
    def __init__(self, channels: int = 3, widths: Sequence[int] = WIDTHS, depths: Sequence[int] = DEPTHS) -> None:
        super().__init__(channels, widths, depths)
        self.up = nn.ModuleList(reversed(self.down[1:]))


@mistake(
    "UNet",
    "Each Stage on the way up takes its depth from the resolution it leads to instead of the resolution it runs at.",
)
class DepthOfTheNextResolution(Pieces):
    def __init__(self, channels: int = 3, widths: Sequence[int] = WIDTHS, depths: Sequence[int] = DEPTHS) -> None:
        super().__init__(channels, widths, depths)
        self.up = nn.ModuleList(
            denoiser.Stage(widths[i], widths[i - 1], depths[i - 1]) for i in range(len(widths) - 1, 0, -1)
        )


@mistake("UNet", "The depths on the way up are in the same order as on the way down.")
class DepthsNotReversed(Pieces):
    def __init__(self, channels: int = 3, widths: Sequence[int] = WIDTHS, depths: Sequence[int] = DEPTHS) -> None:
        super().__init__(channels, widths, depths)
        reverse = range(len(widths) - 1, 0, -1)
        self.up = nn.ModuleList(denoiser.Stage(widths[i], widths[i - 1], d) for i, d in zip(reverse, depths))


@mistake("UNet", "The head's Stage has as many Blocks as the smallest resolution. It runs at full size.")
class DepthOfTheSmallestInTheHead(Pieces):
    def __init__(self, channels: int = 3, widths: Sequence[int] = WIDTHS, depths: Sequence[int] = DEPTHS) -> None:
        super().__init__(channels, widths, depths)
        self.head[0] = denoiser.Stage(widths[0], widths[0], depths[-1])


@mistake("UNet", "Every Stage has the first resolution's number of Blocks. Each resolution has its own number.")
class OneDepthForAll(Pieces):
    def __init__(self, channels: int = 3, widths: Sequence[int] = WIDTHS, depths: Sequence[int] = DEPTHS) -> None:
        super().__init__(channels, widths, [depths[0]] * len(depths))
        if len(widths) != len(depths):
            raise ValueError


@mistake("UNet", "When the numbers of widths and depths differ, the extra ones are silently dropped.")
class LeftOverDropped(Pieces):
    def __init__(self, channels: int = 3, widths: Sequence[int] = WIDTHS, depths: Sequence[int] = DEPTHS) -> None:
        n = min(len(widths), len(depths))
        super().__init__(channels, widths[:n], depths[:n])


@mistake(
    "UNet", "When the numbers of widths and depths differ, the result is an AssertionError. It should be a ValueError."
)
class AssertionInPlaceOfValueError(Pieces):
    def __init__(self, channels: int = 3, widths: Sequence[int] = WIDTHS, depths: Sequence[int] = DEPTHS) -> None:
        assert len(widths) == len(depths)
        super().__init__(channels, widths, depths)


@mistake("UNet", "A Stage on the way up takes as many channels as its output has. Its input has `widths[i]` channels.")
class WayUpFromTheWrongWidth(Pieces):
    def __init__(self, channels: int = 3, widths: Sequence[int] = WIDTHS, depths: Sequence[int] = DEPTHS) -> None:
        super().__init__(channels, widths, depths)
        up = range(len(widths) - 1, 0, -1)
        self.up = nn.ModuleList(denoiser.Stage(widths[i - 1], widths[i - 1], depths[i]) for i in up)


@mistake(
    "UNet", "A Stage on the way up keeps its `widths[i]` channels. It should end with `widths[i - 1]`, like its skip."
)
class WayUpToTheWrongWidth(Pieces):
    def __init__(self, channels: int = 3, widths: Sequence[int] = WIDTHS, depths: Sequence[int] = DEPTHS) -> None:
        super().__init__(channels, widths, depths)
        up = range(len(widths) - 1, 0, -1)
        self.up = nn.ModuleList(denoiser.Stage(widths[i], widths[i], depths[i]) for i in up)


@mistake("UNet", "The widths are always 64, whatever the arguments say.")
class AlwaysSixtyFour(Pieces):
    def __init__(self, channels: int = 3, widths: Sequence[int] = WIDTHS, depths: Sequence[int] = DEPTHS) -> None:
        super().__init__(channels, [64] * len(widths), depths)


@mistake("UNet", "The images always have 3 channels, whatever the arguments say.")
class AlwaysThreeChannels(Pieces):
    def __init__(self, channels: int = 3, widths: Sequence[int] = WIDTHS, depths: Sequence[int] = DEPTHS) -> None:
        super().__init__(3, widths, depths)


@mistake("UNet", "The default widths grow from one resolution to the next. They should all be 64.")
class GrowingWidths(Pieces):
    def __init__(
        self, channels: int = 3, widths: Sequence[int] = (64, 128, 128, 256, 256), depths: Sequence[int] = DEPTHS
    ) -> None:
        super().__init__(channels, widths, depths)


@mistake("UNet", "The noisy image is changed in place, but it belongs to the caller.")
class LevelWrittenIntoNoisy(Pieces):
    def begin(self, noisy: Tensor, noise_level: Tensor) -> Tensor:
        x = super().begin(noisy, noise_level)
        noisy.mul_(1 - noise_level)
        return x


@mistake("UNet", "The noisy image is scaled to the range from -1 to 1 first. It should go in unchanged.")
class FromMinusOneToOne(Pieces):
    def begin(self, noisy: Tensor, noise_level: Tensor) -> Tensor:
        return super().begin(2 * noisy - 1, noise_level)


@mistake("UNet", "There is dropout in the network. There should be none.")
class UNetDropout(Pieces):
    def shrink(self, x: Tensor) -> Tensor:
        return F.dropout(super().shrink(x), 0.2, self.training)


@mistake("UNet", "`forward` computes the output but doesn't return it.")
class UNetNoReturn(Pieces):
    def forward(self, *args: Any) -> None:
        super().forward(*args)
