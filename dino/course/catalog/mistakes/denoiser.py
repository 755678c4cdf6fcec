"""Wrong answers to lesson 02 that people give, and what to say to each. The grader knows a mistake when it sees one.

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
    """The usual layers of a Block, for the mistakes to spoil."""

    def __init__(self, channels_in: int, channels_out: int) -> None:
        super().__init__()
        self.first = conv(channels_in, channels_out)
        self.second = conv(channels_out, channels_out, bias=False)
        same = channels_in == channels_out
        self.skip = nn.Identity() if same else conv(channels_in, channels_out, bias=False)

    def body(self, x: Tensor) -> Tensor:
        return self.second(torch.relu(self.first(x)))


@mistake("Block", "There is no skip: nothing of the input is left in the answer but what the convolutions let through.")
class NoSkip(Body):
    def forward(self, x: Tensor) -> Tensor:
        return self.body(x)


@mistake("Block", "A ReLU after the sum cuts off all that is negative, in the skip as well.")
class ReluAfterSum(Body):
    def forward(self, x: Tensor) -> Tensor:
        return torch.relu(self.body(x) + self.skip(x))


@mistake("Block", "There is a second ReLU at the end of the body, so it can only add to the input, never take away.")
class ReluAtTheEndOfTheBody(Body):
    def forward(self, x: Tensor) -> Tensor:
        return torch.relu(self.body(x)) + self.skip(x)


@mistake("Block", "There is no ReLU between the two convolutions: without it they do no more than a single one could.")
class NoRelu(Body):
    def forward(self, x: Tensor) -> Tensor:
        return self.second(self.first(x)) + self.skip(x)


@mistake("Block", "The ReLU stands before the first convolution; its place is between the two.")
class ReluFirst(Body):
    def forward(self, x: Tensor) -> Tensor:
        return self.second(self.first(torch.relu(x))) + self.skip(x)


@mistake("Block", "There is a ReLU before each convolution; there should be one, between the two.")
class ReluBeforeEach(Body):
    def forward(self, x: Tensor) -> Tensor:
        return self.body(torch.relu(x)) + self.skip(x)


@mistake("Block", "The bend between the convolutions is a SiLU; a ReLU is asked for.")
class Silu(Body):
    def forward(self, x: Tensor) -> Tensor:
        return self.second(F.silu(self.first(x))) + self.skip(x)


@mistake("Block", "The bend between the convolutions is a GELU; a ReLU is asked for.")
class Gelu(Body):
    def forward(self, x: Tensor) -> Tensor:
        return self.second(F.gelu(self.first(x))) + self.skip(x)


@mistake("Block", "The bend between the convolutions is a leaky ReLU; a plain ReLU is asked for.")
class LeakyRelu(Body):
    def forward(self, x: Tensor) -> Tensor:
        return self.second(F.leaky_relu(self.first(x))) + self.skip(x)


@mistake("Block", "Body and skip are averaged; their plain sum is asked for.")
class Averaged(Body):
    def forward(self, x: Tensor) -> Tensor:
        return (self.body(x) + self.skip(x)) / 2


@mistake("Block", "The sum is divided by the square root of 2; the plain sum is asked for.")
class OverRootTwo(Body):
    def forward(self, x: Tensor) -> Tensor:
        return (self.body(x) + self.skip(x)) / 2**0.5


@mistake("Block", "Body and skip are multiplied; their sum is asked for.")
class Product(Body):
    def forward(self, x: Tensor) -> Tensor:
        return self.body(x) * self.skip(x)


@mistake("Block", "Body and skip are put side by side as channels; their sum is asked for.")
class Concatenated(Body):
    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([self.body(x), self.skip(x)], dim=1)


@mistake("Block", "The body is fed with what the skip gives, not with the input.")
class BodyAfterSkip(Body):
    def __init__(self, channels_in: int, channels_out: int) -> None:
        super().__init__(channels_in, channels_out)
        self.first = conv(channels_out, channels_out)

    def forward(self, x: Tensor) -> Tensor:
        skip = self.skip(x)
        return self.body(skip) + skip


@mistake("Block", "The second convolution is made but not called.")
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


@mistake("Block", "The second convolution has a bias; it should have none.")
class BiasInSecond(Body):
    def __init__(self, channels_in: int, channels_out: int) -> None:
        super().__init__(channels_in, channels_out)
        self.second = conv(channels_out, channels_out)

    def forward(self, x: Tensor) -> Tensor:
        return self.body(x) + self.skip(x)


@mistake("Block", "The first convolution has no bias; only the second one and the skip's go without.")
class NoBiasInFirst(Body):
    def __init__(self, channels_in: int, channels_out: int) -> None:
        super().__init__(channels_in, channels_out)
        self.first = conv(channels_in, channels_out, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        return self.body(x) + self.skip(x)


@mistake("Block", "The bias is in the second convolution; it belongs to the first.")
class BiasesSwapped(Body):
    def __init__(self, channels_in: int, channels_out: int) -> None:
        super().__init__(channels_in, channels_out)
        self.first = conv(channels_in, channels_out, bias=False)
        self.second = conv(channels_out, channels_out)

    def forward(self, x: Tensor) -> Tensor:
        return self.body(x) + self.skip(x)


@mistake("Block", "The skip is always the input itself, which can't be added where the number of channels changes.")
class SkipIsAlwaysTheInput(Body):
    def forward(self, x: Tensor) -> Tensor:
        return self.body(x) + x


@mistake("Block", "The skip has a convolution even where the number of channels stays.")
class SkipIsAlwaysAConvolution(Body):
    def __init__(self, channels_in: int, channels_out: int) -> None:
        super().__init__(channels_in, channels_out)
        self.skip = conv(channels_in, channels_out, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        return self.body(x) + self.skip(x)


@mistake("Block", "The skip's convolution is made even where the skip is the input itself, and then never used.")
class SkipMadeForNothing(Body):
    def __init__(self, channels_in: int, channels_out: int) -> None:
        super().__init__(channels_in, channels_out)
        self.convolution = conv(channels_in, channels_out, bias=False)
        self.same = channels_in == channels_out

    def forward(self, x: Tensor) -> Tensor:
        return self.body(x) + (x if self.same else self.convolution(x))


@mistake("Block", "The skip has no convolution where the number of channels changes, so nothing is added there.")
class SkipOnlyWhereItFits(Body):
    def __init__(self, channels_in: int, channels_out: int) -> None:
        super().__init__(channels_in, channels_out)
        self.skip = nn.Identity()
        self.same = channels_in == channels_out

    def forward(self, x: Tensor) -> Tensor:
        return self.body(x) + x if self.same else self.body(x)


@mistake("Block", "The skip's convolution has a bias; it should have none.")
class BiasInSkip(Body):
    def __init__(self, channels_in: int, channels_out: int) -> None:
        super().__init__(channels_in, channels_out)
        if channels_in != channels_out:
            self.skip = conv(channels_in, channels_out)

    def forward(self, x: Tensor) -> Tensor:
        return self.body(x) + self.skip(x)


@mistake("Block", "The skip's convolution is 1x1; it should be 3x3, as the others.")
class SkipOfOneByOne(Body):
    def __init__(self, channels_in: int, channels_out: int) -> None:
        super().__init__(channels_in, channels_out)
        if channels_in != channels_out:
            self.skip = nn.Conv2d(channels_in, channels_out, kernel_size=1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        return self.body(x) + self.skip(x)


@mistake(
    "Block", "Between the two convolutions there are channels_in channels; there should be channels_out from the first."
)
class NarrowInTheMiddle(Body):
    def __init__(self, channels_in: int, channels_out: int) -> None:
        super().__init__(channels_in, channels_out)
        self.first = conv(channels_in, channels_in)
        self.second = conv(channels_in, channels_out, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        return self.body(x) + self.skip(x)


@mistake("Block", "The convolutions have no padding, so the picture shrinks by their margins. `conv` keeps its size.")
class NoPadding(Body):
    def __init__(self, channels_in: int, channels_out: int) -> None:
        super().__init__(channels_in, channels_out)
        self.first = nn.Conv2d(channels_in, channels_out, 3)
        self.second = nn.Conv2d(channels_out, channels_out, 3, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        return self.body(x) + self.skip(x)


@mistake("Block", "One convolution is called twice; there should be two, each with weights of its own.")
class OneConvolutionTwice(Body):
    def __init__(self, channels_in: int, channels_out: int) -> None:
        super().__init__(channels_in, channels_out)
        self.second = self.first

    def forward(self, x: Tensor) -> Tensor:
        return self.body(x) + self.skip(x)


@mistake("Block", "There are three convolutions in the body; there should be two.")
class ThreeConvolutions(Body):
    def __init__(self, channels_in: int, channels_out: int) -> None:
        super().__init__(channels_in, channels_out)
        self.third = conv(channels_out, channels_out, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        return self.third(torch.relu(self.body(x))) + self.skip(x)


@mistake("Block", "There is one convolution in the body; there should be two.")
class OneConvolution(Body):
    def __init__(self, channels_in: int, channels_out: int) -> None:
        super().__init__(channels_in, channels_out)
        del self.second

    def forward(self, x: Tensor) -> Tensor:
        return torch.relu(self.first(x)) + self.skip(x)


@mistake("Block", "The layers are kept in a plain Python list, where the module doesn't see them.")
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


@mistake("Block", "The layers are made in `forward`, so each call gets new ones that have learned nothing.")
class LayersMadeInForward(nn.Module):
    def __init__(self, channels_in: int, channels_out: int) -> None:
        super().__init__()
        self.shape = channels_in, channels_out

    def forward(self, x: Tensor) -> Tensor:
        layers = Body(*self.shape)
        return layers.body(x) + layers.skip(x)


@mistake("Block", "super().__init__() is missing, and a module can't hold layers before it has been called.")
class NoSuper(nn.Module):
    def __init__(self, channels_in: int, channels_out: int) -> None:
        self.first = conv(channels_in, channels_out)

    def forward(self, x: Tensor) -> Tensor:
        return x


@mistake("Block", "`forward` computes the answer but doesn't return it.")
class NoReturn(Body):
    def forward(self, x: Tensor) -> None:
        self.body(x) + self.skip(x)


@mistake("Block", "There is a batch normalization in the body; none is asked for.")
class BatchNorm(Body):
    def __init__(self, channels_in: int, channels_out: int) -> None:
        super().__init__(channels_in, channels_out)
        self.norm = nn.BatchNorm2d(channels_out)

    def forward(self, x: Tensor) -> Tensor:
        return self.second(torch.relu(self.norm(self.first(x)))) + self.skip(x)


@mistake("Block", "There is a group normalization in the body; none is asked for.")
class GroupNorm(Body):
    def __init__(self, channels_in: int, channels_out: int) -> None:
        super().__init__(channels_in, channels_out)
        self.norm = nn.GroupNorm(1, channels_out)

    def forward(self, x: Tensor) -> Tensor:
        return self.second(torch.relu(self.norm(self.first(x)))) + self.skip(x)


@mistake("Block", "Dropout sets some numbers to 0 at random; none is asked for.")
class Dropout(Body):
    def forward(self, x: Tensor) -> Tensor:
        return F.dropout(self.body(x), 0.1, self.training) + self.skip(x)


@mistake("Block", "The skip is detached, so gradients can't take the short way back.")
class DetachedSkip(Body):
    def forward(self, x: Tensor) -> Tensor:
        return self.body(x) + self.skip(x.detach())


@mistake("Block", "Under torch.no_grad() nothing can be learned from the answer.")
class NoGrad(Body):
    @torch.no_grad()
    def forward(self, x: Tensor) -> Tensor:
        return self.body(x) + self.skip(x)


@mistake("Block", "All weights start at 0, where every gradient is 0 too: nothing would ever change.")
class AllZero(Body):
    def __init__(self, channels_in: int, channels_out: int) -> None:
        super().__init__(channels_in, channels_out)
        for weight in self.parameters():
            nn.init.zeros_(weight)

    def forward(self, x: Tensor) -> Tensor:
        return self.body(x) + self.skip(x)


@mistake("Block", "The weights are drawn by randn as they are: far too large for a sum of hundreds of numbers.")
class HugeWeights(Body):
    def __init__(self, channels_in: int, channels_out: int) -> None:
        super().__init__(channels_in, channels_out)
        for weight in self.parameters():
            nn.init.normal_(weight)

    def forward(self, x: Tensor) -> Tensor:
        return self.body(x) + self.skip(x)


# ---- 2.2 Pool -------------------------------------------------------------------------------------------------------


class Inner(nn.Module):
    """The usual layers of a Pool, for the mistakes to spoil."""

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


@mistake("Pool", "It averages over the picture, where it should look for the largest number.")
class Average(Inner):
    def found(self, x: Tensor) -> Tensor:
        return x.mean((2, 3), keepdim=True)


@mistake("Pool", "It sums over the picture, where it should look for the largest number.")
class Sum(Inner):
    def found(self, x: Tensor) -> Tensor:
        return x.sum((2, 3), keepdim=True)


@mistake("Pool", "It looks for the smallest number; the largest is asked for.")
class Smallest(Inner):
    def found(self, x: Tensor) -> Tensor:
        return x.amin((2, 3), keepdim=True)


@mistake("Pool", "It takes the largest of the absolute values, so a large negative number counts as a find.")
class LargestAbsolute(Inner):
    def found(self, x: Tensor) -> Tensor:
        return x.abs().amax((2, 3), keepdim=True)


@mistake("Pool", "It tells where the largest number is (argmax); how large it is is asked for.")
class WhereTheLargestIs(Inner):
    def found(self, x: Tensor) -> Tensor:
        return x.flatten(2).argmax(2).view(*x.shape[:2], 1, 1).to(x.dtype)


@mistake("Pool", "The maximum is taken along each row only; it should be over the whole picture.")
class MaximumOfEachRow(Inner):
    def found(self, x: Tensor) -> Tensor:
        return x.amax(3, keepdim=True)


@mistake("Pool", "The maximum is taken along each column only; it should be over the whole picture.")
class MaximumOfEachColumn(Inner):
    def found(self, x: Tensor) -> Tensor:
        return x.amax(2, keepdim=True)


@mistake("Pool", "The maximum is taken among each pixel's neighbors only; it should be over the whole picture.")
class MaximumOfNeighbors(Inner):
    def found(self, x: Tensor) -> Tensor:
        return F.max_pool2d(x, 3, 1, 1)


@mistake("Pool", "There is no maximum: each pixel goes through the small network by itself and learns of no other.")
class EachPixelByItself(Inner):
    def found(self, x: Tensor) -> Tensor:
        return x


@mistake("Pool", "The maximum is taken over the whole batch, so each image is told what is in the others.")
class MaximumOfTheBatch(Inner):
    def found(self, x: Tensor) -> Tensor:
        return x.amax((0, 2, 3), keepdim=True)


@mistake("Pool", "The maximum is taken over all channels together; each channel has one of its own.")
class MaximumOfAllChannels(Inner):
    def found(self, x: Tensor) -> Tensor:
        return x.amax((1, 2, 3), keepdim=True).expand(-1, x.shape[1], 1, 1)


@mistake("Pool", "The maximum is taken over the channels; it should be over rows and columns, dimensions 2 and 3.")
class MaximumOverTheChannels(Inner):
    def found(self, x: Tensor) -> Tensor:
        return x.amax(1, keepdim=True)


@mistake("Pool", "The small network runs on every pixel and the maximum comes after it; take the maximum first.")
class MaximumAfterTheNetwork(Inner):
    def forward(self, x: Tensor) -> Tensor:
        return x + self.found(self.body(x))


@mistake("Pool", "Without keepdim=True the maxima come as (N, C), and the rows and columns they need are gone.")
class NoKeepdim(Inner):
    def found(self, x: Tensor) -> Tensor:
        return x.amax((2, 3))


@mistake("Pool", "What comes out of the small network is returned alone; it should be added to the input.")
class OnlyTheNews(Inner):
    def forward(self, x: Tensor) -> Tensor:
        return self.body(self.found(x))


@mistake("Pool", "What comes out of the small network takes the input's place; it should be added to the input.")
class NewsInPlaceOfTheInput(Inner):
    def forward(self, x: Tensor) -> Tensor:
        return self.body(self.found(x)).expand_as(x)


@mistake("Pool", "The maxima themselves are added as well; only what comes out of the small network should be.")
class MaximaAddedToo(Inner):
    def forward(self, x: Tensor) -> Tensor:
        return x + self.found(x) + self.body(self.found(x))


@mistake("Pool", "What comes out is added to the maxima, and the input is lost.")
class AddedToTheMaxima(Inner):
    def forward(self, x: Tensor) -> Tensor:
        return (self.found(x) + self.body(self.found(x))).expand_as(x)


@mistake("Pool", "The input is multiplied by what comes out of the small network; the two should be added.")
class Multiplied(Inner):
    def forward(self, x: Tensor) -> Tensor:
        return x * self.body(self.found(x))


@mistake(
    "Pool", "The input is multiplied by a sigmoid of what comes out, as in squeeze-and-excitation; add it instead."
)
class Gate(Inner):
    def forward(self, x: Tensor) -> Tensor:
        return x * torch.sigmoid(self.body(self.found(x)))


@mistake("Pool", "There is a ReLU after the sum, which cuts off all that is negative.")
class PoolReluAfterSum(Inner):
    def forward(self, x: Tensor) -> Tensor:
        return torch.relu(super().forward(x))


@mistake("Pool", "There is a second ReLU, after the second convolution, so a Pool could only ever add.")
class PoolReluAtTheEnd(Inner):
    def forward(self, x: Tensor) -> Tensor:
        return x + torch.relu(self.body(self.found(x)))


@mistake("Pool", "There is no ReLU between the 1x1 convolutions: without it they do no more than a single one could.")
class PoolNoRelu(Inner):
    def __init__(self, channels: int) -> None:
        super().__init__(channels)
        self.body[1] = nn.Identity()


@mistake("Pool", "`+=` writes into the input, which belongs to the caller.")
class PoolInPlace(Inner):
    def forward(self, x: Tensor) -> Tensor:
        x += self.body(self.found(x))
        return x


@mistake("Pool", "The small network is twice as wide in its middle; it should be four times.")
class TwiceAsWide(Inner):
    def layers(self, c: int) -> tuple[nn.Module, nn.Module]:
        return nn.Conv2d(c, 2 * c, 1), nn.Conv2d(2 * c, c, 1, bias=False)


@mistake("Pool", "The small network is no wider in its middle; it should be four times as wide.")
class NoWider(Inner):
    def layers(self, c: int) -> tuple[nn.Module, nn.Module]:
        return nn.Conv2d(c, c, 1), nn.Conv2d(c, c, 1, bias=False)


@mistake("Pool", "The small network gets narrower in its middle, to a quarter; it should get four times as wide.")
class Narrower(Inner):
    def layers(self, c: int) -> tuple[nn.Module, nn.Module]:
        return nn.Conv2d(c, c // 4, 1), nn.Conv2d(c // 4, c, 1, bias=False)


@mistake("Pool", "Both 1x1 convolutions have a bias; the second should have none.")
class PoolBiasInBoth(Inner):
    def layers(self, c: int) -> tuple[nn.Module, nn.Module]:
        return nn.Conv2d(c, 4 * c, 1), nn.Conv2d(4 * c, c, 1)


@mistake("Pool", "Neither 1x1 convolution has a bias; the first should have one.")
class PoolNoBias(Inner):
    def layers(self, c: int) -> tuple[nn.Module, nn.Module]:
        return nn.Conv2d(c, 4 * c, 1, bias=False), nn.Conv2d(4 * c, c, 1, bias=False)


@mistake("Pool", "The convolutions are 3x3; on maxima, pictures of one pixel, they should be 1x1.")
class PoolOfThreeByThree(Inner):
    def layers(self, c: int) -> tuple[nn.Module, nn.Module]:
        return conv(c, 4 * c), conv(4 * c, c, bias=False)


@mistake("Pool", "The layers are kept in a plain Python list, where the module doesn't see them.")
class PoolListOfLayers(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        self.body = [*Inner(channels).body]

    def forward(self, x: Tensor) -> Tensor:
        y = x.amax((2, 3), keepdim=True)
        for layer in self.body:
            y = layer(y)
        return x + y


@mistake("Pool", "The maxima are detached, so nothing can be learned about what to look for.")
class DetachedMaxima(Inner):
    def found(self, x: Tensor) -> Tensor:
        return x.detach().amax((2, 3), keepdim=True)


@mistake("Pool", "`forward` computes the answer but doesn't return it.")
class PoolNoReturn(Inner):
    def forward(self, x: Tensor) -> None:
        super().forward(x)


# ---- 2.3 Stage ------------------------------------------------------------------------------------------------------


class Steps(nn.Module):
    """The usual layers of a Stage, for the mistakes to spoil."""

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


@mistake("Stage", "The Blocks are kept in a plain Python list, where the module doesn't see them.")
class ListOfBlocks(Steps):
    def __init__(self, channels_in: int, channels_out: int, depth: int) -> None:
        super().__init__(channels_in, channels_out, depth)
        blocks = list(self.blocks)
        del self.blocks
        self.blocks = blocks


@mistake("Stage", "One Block is called again and again; each of the `depth` Blocks should have weights of its own.")
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


@mistake("Stage", "The first Block takes the convolution's place; the convolution comes before all the Blocks.")
class BlockForTheConvolution(Steps):
    def __init__(self, channels_in: int, channels_out: int, depth: int) -> None:
        super().__init__(channels_in, channels_out, depth)
        widths = [channels_in] + [channels_out] * depth
        self.blocks = nn.ModuleList(denoiser.Block(*pair) for pair in itertools.pairwise(widths))
        self.first = nn.Identity()


@mistake("Stage", "A Block does the first convolution's work, and `depth` more follow it.")
class BlockBeforeTheBlocks(Steps):
    def __init__(self, channels_in: int, channels_out: int, depth: int) -> None:
        super().__init__(channels_in, channels_out, depth)
        self.first = denoiser.Block(channels_in, channels_out)


@mistake("Stage", "The convolution has a bias; it should have none.")
class BiasInTheConvolution(Steps):
    def __init__(self, channels_in: int, channels_out: int, depth: int) -> None:
        super().__init__(channels_in, channels_out, depth)
        self.first = conv(channels_in, channels_out)


@mistake("Stage", "The convolution is 1x1; it should be 3x3.")
class ConvolutionOfOneByOne(Steps):
    def __init__(self, channels_in: int, channels_out: int, depth: int) -> None:
        super().__init__(channels_in, channels_out, depth)
        self.first = nn.Conv2d(channels_in, channels_out, 1, bias=False)


@mistake("Stage", "There is no Pool at the end.")
class NoPool(Steps):
    def __init__(self, channels_in: int, channels_out: int, depth: int) -> None:
        super().__init__(channels_in, channels_out, depth)
        self.pool = nn.Identity()


@mistake("Stage", "The Pool comes before the Blocks; it should come after them.")
class PoolBeforeTheBlocks(Steps):
    def forward(self, x: Tensor) -> Tensor:
        x = self.pool(self.first(x))
        for block in self.blocks:
            x = block(x)
        return x


@mistake("Stage", "The Pool comes first of all, before the convolution; it should come last.")
class PoolFirst(Steps):
    def __init__(self, channels_in: int, channels_out: int, depth: int) -> None:
        super().__init__(channels_in, channels_out, depth)
        self.pool = denoiser.Pool(channels_in)

    def forward(self, x: Tensor) -> Tensor:
        x = self.first(self.pool(x))
        for block in self.blocks:
            x = block(x)
        return x


@mistake("Stage", "The convolution comes after the Blocks; it should come before them.")
class ConvolutionAfterTheBlocks(Steps):
    def __init__(self, channels_in: int, channels_out: int, depth: int) -> None:
        super().__init__(channels_in, channels_out, depth)
        self.blocks = nn.ModuleList(denoiser.Block(channels_in, channels_in) for _ in range(depth))

    def forward(self, x: Tensor) -> Tensor:
        for block in self.blocks:
            x = block(x)
        return self.pool(self.first(x))


@mistake("Stage", "There is a Pool after each Block; there should be a single one, at the end.")
class PoolAfterEachBlock(Steps):
    def __init__(self, channels_in: int, channels_out: int, depth: int) -> None:
        super().__init__(channels_in, channels_out, depth)
        self.pool = nn.Identity()
        self.blocks = nn.ModuleList(nn.Sequential(block, denoiser.Pool(channels_out)) for block in self.blocks)


@mistake("Stage", "Each Block is fed with the same input and the answers are summed; each should be fed by the last.")
class BlocksSideBySide(Steps):
    def forward(self, x: Tensor) -> Tensor:
        x = self.first(x)
        return self.pool(sum(block(x) for block in self.blocks) if len(self.blocks) else x)


@mistake("Stage", "Only the last Block's answer is kept: each Block should be fed with the answer of the one before.")
class OnlyTheLastBlock(Steps):
    def forward(self, x: Tensor) -> Tensor:
        x = y = self.first(x)
        for block in self.blocks:
            y = block(x)
        return self.pool(y)


@mistake("Stage", "There is a ReLU after the convolution, where nothing is asked for.")
class StageReluAfterTheConvolution(Steps):
    def forward(self, x: Tensor) -> Tensor:
        x = torch.relu(self.first(x))
        for block in self.blocks:
            x = block(x)
        return self.pool(x)


@mistake("Stage", "There is a ReLU after each Block, where nothing is asked for.")
class ReluAfterEachBlock(Steps):
    def forward(self, x: Tensor) -> Tensor:
        x = self.first(x)
        for block in self.blocks:
            x = torch.relu(block(x))
        return self.pool(x)


@mistake("Stage", "There is a ReLU at the very end, where nothing is asked for.")
class StageReluAtTheEnd(Steps):
    def forward(self, x: Tensor) -> Tensor:
        return torch.relu(super().forward(x))


@mistake("Stage", "There is another skip, around all the Blocks; each Block has its own already.")
class SkipAroundTheBlocks(Steps):
    def forward(self, x: Tensor) -> Tensor:
        x = y = self.first(x)
        for block in self.blocks:
            y = block(y)
        return self.pool(x + y)


@mistake("Stage", "The answer of the Pool is added to its input; a Pool does so itself.")
class PoolAddedAgain(Steps):
    def forward(self, x: Tensor) -> Tensor:
        x = self.first(x)
        for block in self.blocks:
            x = block(x)
        return x + self.pool(x)


@mistake("Stage", "The Pool is made but not called.")
class PoolNotCalled(Steps):
    def forward(self, x: Tensor) -> Tensor:
        x = self.first(x)
        for block in self.blocks:
            x = block(x)
        return x


@mistake("Stage", "The Pool is called, but its answer is dropped.")
class PoolsAnswerDropped(Steps):
    def forward(self, x: Tensor) -> Tensor:
        x = self.first(x)
        for block in self.blocks:
            x = block(x)
        self.pool(x)
        return x


@mistake("Stage", "The Blocks are made but not called.")
class BlocksNotCalled(Steps):
    def forward(self, x: Tensor) -> Tensor:
        return self.pool(self.first(x))


@mistake("Stage", "Each Block starts from channels_in channels, but after the convolution there are channels_out.")
class BlocksFromTheWrongWidth(Steps):
    def __init__(self, channels_in: int, channels_out: int, depth: int) -> None:
        super().__init__(channels_in, channels_out, depth)
        self.blocks = nn.ModuleList(denoiser.Block(channels_in, channels_out) for _ in range(depth))


@mistake("Stage", "The Pool is made for channels_in channels, but what comes to it has channels_out.")
class PoolOfTheWrongWidth(Steps):
    def __init__(self, channels_in: int, channels_out: int, depth: int) -> None:
        super().__init__(channels_in, channels_out, depth)
        self.pool = denoiser.Pool(channels_in)


@mistake("Stage", "The list of Blocks is handed to nn.Sequential as it is; it takes layers, one by one.")
class ListNotUnpacked(Steps):
    def __init__(self, channels_in: int, channels_out: int, depth: int) -> None:
        super().__init__(channels_in, channels_out, depth)
        self.steps = nn.Sequential(self.first, list(self.blocks), self.pool)


@mistake("Stage", "An nn.ModuleList holds layers and can't be called: it doesn't say in which order to use them.")
class ModuleListCalled(Steps):
    def forward(self, x: Tensor) -> Tensor:
        return self.pool(self.blocks(self.first(x)))


@mistake("Stage", "`forward` computes the answer but doesn't return it.")
class StageNoReturn(Steps):
    def forward(self, x: Tensor) -> None:
        super().forward(x)


# ---- 2.4 UNet -------------------------------------------------------------------------------------------------------

WIDTHS, DEPTHS = (64, 64, 64, 64, 64), (2, 2, 2, 2, 2)


class Pieces(denoiser.UNet):
    """The usual network, in pieces for the mistakes to spoil."""

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


@mistake("UNet", "The noise level isn't used: nothing tells the network how noisy its picture is.")
class LevelNotFedIn(Pieces):
    def __init__(self, channels: int = 3, widths: Sequence[int] = WIDTHS, depths: Sequence[int] = DEPTHS) -> None:
        super().__init__(channels, widths, depths)
        self.down[0] = denoiser.Stage(channels, widths[0], depths[0])

    def begin(self, noisy: Tensor, noise_level: Tensor) -> Tensor:
        return noisy


@mistake("UNet", "All images are told the level of the first one; each has its own.")
class LevelOfTheFirst(Pieces):
    def begin(self, noisy: Tensor, noise_level: Tensor) -> Tensor:
        return super().begin(noisy, noise_level[:1])


@mistake("UNet", "All images are told the mean of the levels; each has its own.")
class MeanLevel(Pieces):
    def begin(self, noisy: Tensor, noise_level: Tensor) -> Tensor:
        return super().begin(noisy, noise_level.mean().view(1, 1, 1, 1))


@mistake("UNet", "The level is stretched over rows and columns, but not over the images where one serves for all.")
class LevelNotOverTheBatch(Pieces):
    def begin(self, noisy: Tensor, noise_level: Tensor) -> Tensor:
        return torch.cat([noisy, noise_level.expand(-1, -1, *noisy.shape[2:])], dim=1)


@mistake("UNet", "The level is shaped as if there were always one for each image; one may serve for all.")
class OneLevelRefused(Pieces):
    def begin(self, noisy: Tensor, noise_level: Tensor) -> Tensor:
        return super().begin(noisy, noise_level.view(len(noisy), 1, 1, 1))


@mistake("UNet", "The level fills as many channels as the picture has; it should be one.")
class LevelInEveryChannel(Pieces):
    def begin(self, noisy: Tensor, noise_level: Tensor) -> Tensor:
        return torch.cat([noisy, noise_level.expand_as(noisy)], dim=1)


@mistake("UNet", "The level is put beside the picture as it is, (N, 1, 1, 1): it needs as many rows and columns.")
class LevelNotStretched(Pieces):
    def begin(self, noisy: Tensor, noise_level: Tensor) -> Tensor:
        return torch.cat([noisy, noise_level], dim=1)


@mistake("UNet", "The first Stage starts from `channels` channels, but with the noise level there is one more.")
class NoRoomForTheLevel(Pieces):
    def __init__(self, channels: int = 3, widths: Sequence[int] = WIDTHS, depths: Sequence[int] = DEPTHS) -> None:
        super().__init__(channels, widths, depths)
        self.down[0] = denoiser.Stage(channels, widths[0], depths[0])


@mistake("UNet", "The level is added to the picture; it should be a channel of its own.")
class LevelAdded(LevelNotFedIn):
    def begin(self, noisy: Tensor, noise_level: Tensor) -> Tensor:
        return noisy + noise_level


@mistake("UNet", "The level's channel comes first; it should come last, after the picture's own.")
class LevelFirst(Pieces):
    def begin(self, noisy: Tensor, noise_level: Tensor) -> Tensor:
        return super().begin(noisy, noise_level).roll(1, 1)


@mistake("UNet", "The network is told 1 - level, how clean its picture is; it should be told the level itself.")
class OneMinusLevel(Pieces):
    def begin(self, noisy: Tensor, noise_level: Tensor) -> Tensor:
        return super().begin(noisy, 1 - noise_level)


@mistake("UNet", "The level is multiplied by 1000; it should come in as it is, between 0 and 1.")
class LevelTimesThousand(Pieces):
    def begin(self, noisy: Tensor, noise_level: Tensor) -> Tensor:
        return super().begin(noisy, 1000 * noise_level)


@mistake("UNet", "The level's channel holds the level in one corner and zeros elsewhere.")
class LevelInACorner(Pieces):
    def begin(self, noisy: Tensor, noise_level: Tensor) -> Tensor:
        x = super().begin(noisy, torch.zeros_like(noise_level))
        x[:, -1:, :1, :1] = noise_level
        return x


@mistake("UNet", "One resolution is right; with two, the way down and up is still to come.")
class OneResolution(Pieces):
    def __init__(self, channels: int = 3, widths: Sequence[int] = WIDTHS, depths: Sequence[int] = DEPTHS) -> None:
        super().__init__(channels, widths[:1], depths[:1])


@mistake("UNet", "The answer is smaller than the picture: the way up, where it is doubled, is still to come.")
class WayDownOnly(Pieces):
    def go_up(self, x: Tensor, skips: list[Tensor]) -> Tensor:
        return x


@mistake("UNet", "It halves once too often: nothing is halved after the last Stage on the way down.")
class HalvedOnceTooOften(Pieces):
    def go_down(self, x: Tensor) -> tuple[Tensor, list[Tensor]]:
        skips = []
        for stage in self.down:
            x = stage(x)
            skips.append(x)
            x = self.shrink(x)
        return x, skips


@mistake("UNet", "There are no skips: what was seen on the way down isn't added on the way up.")
class NoSkips(Pieces):
    def go_up(self, x: Tensor, skips: list[Tensor]) -> Tensor:
        for stage in self.up:
            x = self.enlarge(stage(x))
        return x


@mistake("UNet", "The skips come back in the wrong order: the one stored last has the size that is needed first.")
class SkipsInTheWrongOrder(Pieces):
    def go_up(self, x: Tensor, skips: list[Tensor]) -> Tensor:
        return super().go_up(x, skips[::-1])


@mistake("UNet", "A skip is stored before the Stage; it should be what the Stage answered.")
class SkipStoredBeforeTheStage(Pieces):
    def go_down(self, x: Tensor) -> tuple[Tensor, list[Tensor]]:
        skips = []
        for stage in self.down[:-1]:
            skips.append(x)
            x = self.shrink(stage(x))
        return self.down[-1](x), skips


@mistake("UNet", "A skip comes from a smaller picture than the one that it is added to: what is stored, and when?")
class SkipStoredAfterHalving(Pieces):
    def go_down(self, x: Tensor) -> tuple[Tensor, list[Tensor]]:
        skips = []
        for stage in self.down[:-1]:
            x = self.shrink(stage(x))
            skips.append(x)
        return self.down[-1](x), skips


@mistake("UNet", "The skip is added before the Stage on the way up; it should be added last, after the doubling.")
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


@mistake("UNet", "The picture is doubled before the Stage on the way up; the Stage should work on the small one.")
class DoubledBeforeTheStage(Pieces):
    def go_up(self, x: Tensor, skips: list[Tensor]) -> Tensor:
        for stage in self.up:
            x = stage(self.enlarge(x)) + skips.pop()
        return x


@mistake("UNet", "The skips are put beside the features as more channels; they should be added.")
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
    "The skips are put beside the features as more channels, for which what follows has no room; they should be added.",
)
class SkipsConcatenatedWithoutRoom(Pieces):
    def go_up(self, x: Tensor, skips: list[Tensor]) -> Tensor:
        for stage in self.up:
            x = torch.cat([self.enlarge(stage(x)), skips.pop()], dim=1)
        return x


@mistake("UNet", "Only the skip at full size is added; there is one at each resolution but the smallest.")
class OnlyTheFirstSkip(Pieces):
    def go_up(self, x: Tensor, skips: list[Tensor]) -> Tensor:
        for stage in self.up:
            x = self.enlarge(stage(x))
        return x + skips[0] if skips else x


@mistake("UNet", "The skips are multiplied with the features; they should be added.")
class SkipsMultiplied(Pieces):
    def go_up(self, x: Tensor, skips: list[Tensor]) -> Tensor:
        for stage in self.up:
            x = self.enlarge(stage(x)) * skips.pop()
        return x


@mistake("UNet", "Features and skip are averaged; they should be added.")
class SkipsAveraged(Pieces):
    def go_up(self, x: Tensor, skips: list[Tensor]) -> Tensor:
        for stage in self.up:
            x = (self.enlarge(stage(x)) + skips.pop()) / 2
        return x


@mistake("UNet", "There is a ReLU after each skip is added, where nothing is asked for.")
class ReluAfterEachSkip(Pieces):
    def go_up(self, x: Tensor, skips: list[Tensor]) -> Tensor:
        for stage in self.up:
            x = torch.relu(self.enlarge(stage(x)) + skips.pop())
        return x


@mistake("UNet", "The skips are detached, so the Stages on the way down learn less than they could.")
class SkipsDetached(Pieces):
    def go_up(self, x: Tensor, skips: list[Tensor]) -> Tensor:
        return super().go_up(x, [skip.detach() for skip in skips])


@mistake("UNet", "The picture is halved by taking each square's largest pixel; the average is asked for.")
class HalvedByMaximum(Pieces):
    def shrink(self, x: Tensor) -> Tensor:
        return F.max_pool2d(x, 2)


@mistake("UNet", "The picture is halved by leaving out every second pixel; squares of 2x2 should be averaged.")
class HalvedByLeavingOut(Pieces):
    def shrink(self, x: Tensor) -> Tensor:
        return x[..., ::2, ::2]


@mistake("UNet", "The squares of 2x2 pixels are summed; their average is asked for.")
class HalvedBySums(Pieces):
    def shrink(self, x: Tensor) -> Tensor:
        return 4 * F.avg_pool2d(x, 2)


@mistake("UNet", "The picture is doubled smoothly (bilinear); each pixel should become a square of 2x2 like it.")
class DoubledSmoothly(Pieces):
    def enlarge(self, x: Tensor) -> Tensor:
        return F.interpolate(x, scale_factor=2, mode="bilinear")


@mistake("UNet", "The picture is repeated beside itself; each pixel should become a square of 2x2.")
class Tiled(Pieces):
    def enlarge(self, x: Tensor) -> Tensor:
        return x.repeat(1, 1, 2, 2)


@mistake("UNet", "A convolution does the doubling, with weights that nobody asked for.")
class DoubledByAConvolution(Pieces):
    def __init__(self, channels: int = 3, widths: Sequence[int] = WIDTHS, depths: Sequence[int] = DEPTHS) -> None:
        super().__init__(channels, widths, depths)
        self.enlargers = nn.ModuleList(nn.ConvTranspose2d(w, w, 2, 2) for w in reversed(widths[:-1]))

    def go_up(self, x: Tensor, skips: list[Tensor]) -> Tensor:
        for stage, enlarge in zip(self.up, self.enlargers):
            x = enlarge(stage(x)) + skips.pop()
        return x


@mistake("UNet", "Where a skip is added the features are still small: they should have been doubled by then.")
class NeverDoubled(Pieces):
    def enlarge(self, x: Tensor) -> Tensor:
        return x


@mistake("UNet", "The picture is never halved, so all Stages work at full size.")
class OneSizeForAll(Pieces):
    def enlarge(self, x: Tensor) -> Tensor:
        return x

    def shrink(self, x: Tensor) -> Tensor:
        return x


@mistake("UNet", "A sigmoid squeezes the answer between 0 and 1; nothing should follow the last convolution.")
class Sigmoid(Pieces):
    def forward(self, noisy: Tensor, noise_level: Tensor) -> Tensor:
        return torch.sigmoid(super().forward(noisy, noise_level))


@mistake("UNet", "A tanh squeezes the answer between -1 and 1; nothing should follow the last convolution.")
class Tanh(Pieces):
    def forward(self, noisy: Tensor, noise_level: Tensor) -> Tensor:
        return torch.tanh(super().forward(noisy, noise_level))


@mistake("UNet", "The answer is cut off at 0 and 1; nothing should follow the last convolution.")
class Clamped(Pieces):
    def forward(self, noisy: Tensor, noise_level: Tensor) -> Tensor:
        return super().forward(noisy, noise_level).clamp(0, 1)


@mistake("UNet", "A ReLU follows the last convolution; nothing should.")
class ReluAtTheVeryEnd(Pieces):
    def forward(self, noisy: Tensor, noise_level: Tensor) -> Tensor:
        return torch.relu(super().forward(noisy, noise_level))


@mistake(
    "UNet", "The noisy picture is added to the answer, so the network guesses the change; the picture is asked for."
)
class NoisyAdded(Pieces):
    def forward(self, noisy: Tensor, noise_level: Tensor) -> Tensor:
        return noisy + super().forward(noisy, noise_level)


@mistake("UNet", "The answer is taken away from the noisy picture, so the network guesses the noise.")
class TakenFromNoisy(Pieces):
    def forward(self, noisy: Tensor, noise_level: Tensor) -> Tensor:
        return noisy - super().forward(noisy, noise_level)


@mistake("UNet", "The bias of the last convolution starts at 0.")
class HeadBiasOfZero(Pieces):
    def __init__(self, channels: int = 3, widths: Sequence[int] = WIDTHS, depths: Sequence[int] = DEPTHS) -> None:
        super().__init__(channels, widths, depths)
        nn.init.zeros_(self.head[-1].bias)


@mistake("UNet", "The bias of the last convolution is left as it was made, at random.")
class HeadBiasAtRandom(Pieces):
    def __init__(self, channels: int = 3, widths: Sequence[int] = WIDTHS, depths: Sequence[int] = DEPTHS) -> None:
        super().__init__(channels, widths, depths)
        self.head[-1] = conv(widths[0], channels)


@mistake("UNet", "The last convolution has no bias, so there is none to start at 0.5.")
class HeadWithoutBias(Pieces):
    def __init__(self, channels: int = 3, widths: Sequence[int] = WIDTHS, depths: Sequence[int] = DEPTHS) -> None:
        super().__init__(channels, widths, depths)
        self.head[-1] = conv(widths[0], channels, bias=False)


@mistake("UNet", "0.5 is added to every answer; it should be where the last bias starts, and training may move it.")
class HalfAddedToEveryAnswer(HeadBiasOfZero):
    def forward(self, noisy: Tensor, noise_level: Tensor) -> Tensor:
        return super().forward(noisy, noise_level) + 0.5


@mistake("UNet", "The last bias is set to 0.5 at every call, which undoes what training has changed.")
class HalfAtEveryCall(Pieces):
    def forward(self, noisy: Tensor, noise_level: Tensor) -> Tensor:
        nn.init.constant_(self.head[-1].bias, 0.5)
        return super().forward(noisy, noise_level)


@mistake("UNet", "Every bias of the network starts at 0.5; only the last one should.")
class EveryBiasHalf(Pieces):
    def __init__(self, channels: int = 3, widths: Sequence[int] = WIDTHS, depths: Sequence[int] = DEPTHS) -> None:
        super().__init__(channels, widths, depths)
        for weight in self.parameters():
            if weight.dim() == 1:
                nn.init.constant_(weight, 0.5)


@mistake("UNet", "The bias before the last starts at 0.5 too; only the last one should.")
class BothHeadBiasesHalf(Pieces):
    def __init__(self, channels: int = 3, widths: Sequence[int] = WIDTHS, depths: Sequence[int] = DEPTHS) -> None:
        super().__init__(channels, widths, depths)
        nn.init.constant_(self.head[1].bias, 0.5)


@mistake("UNet", "All weights of the last convolution start at 0.5; only its bias should.")
class LastWeightsHalf(Pieces):
    def __init__(self, channels: int = 3, widths: Sequence[int] = WIDTHS, depths: Sequence[int] = DEPTHS) -> None:
        super().__init__(channels, widths, depths)
        nn.init.constant_(self.head[-1].weight, 0.5)


@mistake("UNet", "All weights start at 0, so that nearly every gradient is 0 too and the network can't learn.")
class AllWeightsZero(Pieces):
    def __init__(self, channels: int = 3, widths: Sequence[int] = WIDTHS, depths: Sequence[int] = DEPTHS) -> None:
        super().__init__(channels, widths, depths)
        for weight in list(self.parameters())[:-1]:
            nn.init.zeros_(weight)


@mistake("UNet", "The head has no Stage; one at full size comes before its convolutions.")
class HeadWithoutStage(Pieces):
    def __init__(self, channels: int = 3, widths: Sequence[int] = WIDTHS, depths: Sequence[int] = DEPTHS) -> None:
        super().__init__(channels, widths, depths)
        self.head[0] = nn.Identity()


@mistake("UNet", "The head has no ReLU between its two convolutions.")
class HeadWithoutRelu(Pieces):
    def __init__(self, channels: int = 3, widths: Sequence[int] = WIDTHS, depths: Sequence[int] = DEPTHS) -> None:
        super().__init__(channels, widths, depths)
        self.head[2] = nn.Identity()


@mistake("UNet", "In the head, only one convolution follows the Stage; there should be two, with a ReLU between them.")
class HeadWithOneConvolution(Pieces):
    def __init__(self, channels: int = 3, widths: Sequence[int] = WIDTHS, depths: Sequence[int] = DEPTHS) -> None:
        super().__init__(channels, widths, depths)
        self.head[1] = self.head[2] = nn.Identity()


@mistake("UNet", "The head's ReLU comes before its first convolution; it belongs between the two.")
class HeadReluTooEarly(Pieces):
    def __init__(self, channels: int = 3, widths: Sequence[int] = WIDTHS, depths: Sequence[int] = DEPTHS) -> None:
        super().__init__(channels, widths, depths)
        self.head[1], self.head[2] = self.head[2], self.head[1]


@mistake("UNet", "The head's first convolution has no bias; both have one.")
class HeadFirstWithoutBias(Pieces):
    def __init__(self, channels: int = 3, widths: Sequence[int] = WIDTHS, depths: Sequence[int] = DEPTHS) -> None:
        super().__init__(channels, widths, depths)
        self.head[1] = conv(widths[0], widths[0], bias=False)


@mistake("UNet", "The Stages are kept in plain Python lists, where the module doesn't see them.")
class ListOfStages(Pieces):
    def __init__(self, channels: int = 3, widths: Sequence[int] = WIDTHS, depths: Sequence[int] = DEPTHS) -> None:
        super().__init__(channels, widths, depths)
        down, up = list(self.down), list(self.up)
        del self.down, self.up
        self.down, self.up = down, up


@mistake("UNet", "The Stages on the way up are kept in a plain Python list, where the module doesn't see them.")
class ListOnTheWayUp(Pieces):
    def __init__(self, channels: int = 3, widths: Sequence[int] = WIDTHS, depths: Sequence[int] = DEPTHS) -> None:
        super().__init__(channels, widths, depths)
        up = list(self.up)
        del self.up
        self.up = up


@mistake("UNet", "The way up has no Stages: features are doubled and added to the skips, and nothing works on them.")
class NoStagesOnTheWayUp(Pieces):
    def __init__(self, channels: int = 3, widths: Sequence[int] = WIDTHS, depths: Sequence[int] = DEPTHS) -> None:
        super().__init__(channels, widths, depths)
        self.up = nn.ModuleList(nn.Identity() for _ in widths[1:])


@mistake("UNet", "The way up uses the Stages of the way down again; it should have Stages of its own.")
class StagesUsedTwice(Pieces):
    def __init__(self, channels: int = 3, widths: Sequence[int] = WIDTHS, depths: Sequence[int] = DEPTHS) -> None:
        super().__init__(channels, widths, depths)
        self.up = nn.ModuleList(reversed(self.down[1:]))


@mistake("UNet", "The Stages on the way up take their depth from the resolution they go to, not the one they work at.")
class DepthOfTheNextResolution(Pieces):
    def __init__(self, channels: int = 3, widths: Sequence[int] = WIDTHS, depths: Sequence[int] = DEPTHS) -> None:
        super().__init__(channels, widths, depths)
        self.up = nn.ModuleList(
            denoiser.Stage(widths[i], widths[i - 1], depths[i - 1]) for i in range(len(widths) - 1, 0, -1)
        )


@mistake("UNet", "The depths on the way up are in the order of the way down.")
class DepthsNotReversed(Pieces):
    def __init__(self, channels: int = 3, widths: Sequence[int] = WIDTHS, depths: Sequence[int] = DEPTHS) -> None:
        super().__init__(channels, widths, depths)
        reverse = range(len(widths) - 1, 0, -1)
        self.up = nn.ModuleList(denoiser.Stage(widths[i], widths[i - 1], d) for i, d in zip(reverse, depths))


@mistake("UNet", "The head's Stage has as many Blocks as the smallest resolution; it works at full size.")
class DepthOfTheSmallestInTheHead(Pieces):
    def __init__(self, channels: int = 3, widths: Sequence[int] = WIDTHS, depths: Sequence[int] = DEPTHS) -> None:
        super().__init__(channels, widths, depths)
        self.head[0] = denoiser.Stage(widths[0], widths[0], depths[-1])


@mistake("UNet", "Every Stage has the first number of Blocks; each resolution has its own.")
class OneDepthForAll(Pieces):
    def __init__(self, channels: int = 3, widths: Sequence[int] = WIDTHS, depths: Sequence[int] = DEPTHS) -> None:
        super().__init__(channels, widths, [depths[0]] * len(depths))
        if len(widths) != len(depths):
            raise ValueError


@mistake("UNet", "Where widths and depths are unequally many, what is left over is dropped without a word.")
class LeftOverDropped(Pieces):
    def __init__(self, channels: int = 3, widths: Sequence[int] = WIDTHS, depths: Sequence[int] = DEPTHS) -> None:
        n = min(len(widths), len(depths))
        super().__init__(channels, widths[:n], depths[:n])


@mistake("UNet", "Unequally many widths and depths end in an AssertionError; a ValueError is promised.")
class AssertionInPlaceOfValueError(Pieces):
    def __init__(self, channels: int = 3, widths: Sequence[int] = WIDTHS, depths: Sequence[int] = DEPTHS) -> None:
        assert len(widths) == len(depths)
        super().__init__(channels, widths, depths)


@mistake("UNet", "A Stage on the way up starts from as many channels as its answer has: it gets widths[i] of them.")
class WayUpFromTheWrongWidth(Pieces):
    def __init__(self, channels: int = 3, widths: Sequence[int] = WIDTHS, depths: Sequence[int] = DEPTHS) -> None:
        super().__init__(channels, widths, depths)
        up = range(len(widths) - 1, 0, -1)
        self.up = nn.ModuleList(denoiser.Stage(widths[i - 1], widths[i - 1], depths[i]) for i in up)


@mistake(
    "UNet", "A Stage on the way up keeps its widths[i] channels; it should end with widths[i - 1], as its skip has."
)
class WayUpToTheWrongWidth(Pieces):
    def __init__(self, channels: int = 3, widths: Sequence[int] = WIDTHS, depths: Sequence[int] = DEPTHS) -> None:
        super().__init__(channels, widths, depths)
        up = range(len(widths) - 1, 0, -1)
        self.up = nn.ModuleList(denoiser.Stage(widths[i], widths[i], depths[i]) for i in up)


@mistake("UNet", "The widths are 64 whatever was asked for.")
class AlwaysSixtyFour(Pieces):
    def __init__(self, channels: int = 3, widths: Sequence[int] = WIDTHS, depths: Sequence[int] = DEPTHS) -> None:
        super().__init__(channels, [64] * len(widths), depths)


@mistake("UNet", "The pictures have 3 channels whatever was asked for.")
class AlwaysThreeChannels(Pieces):
    def __init__(self, channels: int = 3, widths: Sequence[int] = WIDTHS, depths: Sequence[int] = DEPTHS) -> None:
        super().__init__(3, widths, depths)


@mistake("UNet", "The default widths grow from one resolution to the next; they should all be 64.")
class GrowingWidths(Pieces):
    def __init__(
        self, channels: int = 3, widths: Sequence[int] = (64, 128, 128, 256, 256), depths: Sequence[int] = DEPTHS
    ) -> None:
        super().__init__(channels, widths, depths)


@mistake("UNet", "The noisy picture is changed in place, and it belongs to the caller.")
class LevelWrittenIntoNoisy(Pieces):
    def begin(self, noisy: Tensor, noise_level: Tensor) -> Tensor:
        x = super().begin(noisy, noise_level)
        noisy.mul_(1 - noise_level)
        return x


@mistake("UNet", "The noisy picture is moved to the range from -1 to 1 first; it should come in as it is.")
class FromMinusOneToOne(Pieces):
    def begin(self, noisy: Tensor, noise_level: Tensor) -> Tensor:
        return super().begin(2 * noisy - 1, noise_level)


@mistake("UNet", "There is dropout in the network; none is asked for.")
class UNetDropout(Pieces):
    def shrink(self, x: Tensor) -> Tensor:
        return F.dropout(super().shrink(x), 0.2, self.training)


@mistake("UNet", "`forward` computes the answer but doesn't return it.")
class UNetNoReturn(Pieces):
    def forward(self, *args: Any) -> None:
        super().forward(*args)
