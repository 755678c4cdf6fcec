"""Right answers to lesson 02, each written differently. The grader must accept all of them."""

import functools
from collections import OrderedDict
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dino import denoiser
from dino.denoiser import conv
from tests.alternative_solutions import answers

# ---- Block ----------------------------------------------------------------------------------------------------------


@answers("Block")
class SkipFirst(nn.Module):
    """A Block that creates and computes the skip before the body."""

    def __init__(self, channels_in: int, channels_out: int) -> None:
        super().__init__()
        if channels_in != channels_out:
            self.shortcut = conv(channels_in, channels_out, bias=False)
        self.b = conv(channels_out, channels_out, bias=False)
        self.a = conv(channels_in, channels_out)

    def forward(self, x: Tensor) -> Tensor:
        out = self.shortcut(x) if hasattr(self, "shortcut") else x
        return out + self.b(F.relu(self.a(x)))


@answers("Block")
class RawParameters(nn.Module):
    """A Block without layers. The bias is added by hand, before the sum over the pixels."""

    def __init__(self, n_in: int, n_out: int) -> None:
        super().__init__()
        self.w1 = nn.Parameter(torch.randn(n_out, n_in, 3, 3) / (9 * n_in) ** 0.5)
        self.b1 = nn.Parameter(torch.zeros(1, n_out, 1, 1))
        self.w2 = nn.Parameter(torch.randn(n_out, n_out, 3, 3) / (9 * n_out) ** 0.5)
        self.w3 = nn.Parameter(torch.randn(n_out, n_in, 3, 3) / (9 * n_in) ** 0.5) if n_in != n_out else None

    def forward(self, features: Tensor) -> Tensor:
        hidden = (self.b1 + F.conv2d(features, self.w1, padding=1)).clamp(min=0)
        skip = features if self.w3 is None else F.conv2d(features, self.w3, padding="same")
        return skip + F.conv2d(hidden, self.w2, padding=1)


@answers("Block")
class UnfoldedIntoLinear(nn.Module):
    """A Block whose convolutions are Linear layers on 3x3 patches."""

    def __init__(self, n_in: int, n_out: int) -> None:
        super().__init__()
        self.first, self.second = nn.Linear(9 * n_in, n_out), nn.Linear(9 * n_out, n_out, bias=False)
        self.skip = nn.Linear(9 * n_in, n_out, bias=False) if n_in != n_out else None

    @staticmethod
    def patches(x: Tensor) -> Tensor:
        return F.unfold(x, 3, padding=1).transpose(1, 2)

    def forward(self, x: Tensor) -> Tensor:
        def image(rows: Tensor) -> Tensor:
            return rows.transpose(1, 2).unflatten(2, x.shape[2:])

        body = self.second(self.patches(torch.relu(image(self.first(self.patches(x))))))
        return image(body) + (image(self.skip(self.patches(x))) if self.skip is not None else x)


@answers("Block")
class EinsumOfShiftedImages(nn.Module):
    """A Block with weights of shape (rows, columns, in, out), as in other libraries."""

    def __init__(self, n_in: int, n_out: int) -> None:
        super().__init__()
        self.kernels = nn.ParameterList([torch.randn(3, 3, n_in, n_out) * 0.1, torch.randn(3, 3, n_out, n_out) * 0.1])
        self.bias = nn.Parameter(torch.rand(n_out))
        self.same = n_in == n_out
        if not self.same:
            self.kernels.append(torch.randn(3, 3, n_in, n_out) * 0.1)

    def convolve(self, x: Tensor, kernel: Tensor) -> Tensor:
        windows = F.pad(x, (1, 1, 1, 1)).unfold(2, 3, 1).unfold(3, 3, 1)
        return torch.einsum("nihwyx,yxio->nohw", windows, kernel)

    def forward(self, x: Tensor) -> Tensor:
        hidden = self.convolve(x, self.kernels[0]) + self.bias[:, None, None]
        hidden = torch.where(hidden > 0, hidden, 0.0)
        return self.convolve(hidden, self.kernels[1]) + (x if self.same else self.convolve(x, self.kernels[2]))


@answers("Block")
class InChannelOrder(nn.Module):
    """A Block with weights of shape (in, out, rows, columns), even when in and out are equal."""

    def __init__(self, n_in: int, n_out: int) -> None:
        super().__init__()
        self.first = nn.Parameter(torch.randn(n_in, n_out, 3, 3) * 0.1)
        self.bias = nn.Parameter(torch.randn(n_out) * 0.1)
        self.second = nn.Parameter(torch.randn(n_out, n_out, 3, 3) * 0.1)
        self.skip = nn.Parameter(torch.randn(n_in, n_out, 3, 3) * 0.1) if n_in != n_out else None

    def forward(self, x: Tensor) -> Tensor:
        y = F.conv2d(x, self.first.transpose(0, 1), self.bias, padding=1).relu()
        y = F.conv2d(y, self.second.transpose(0, 1), padding=1)
        return y.add(x if self.skip is None else F.conv2d(x, self.skip.transpose(0, 1), padding=1))


@answers("Block")
class SubclassOfSequential(nn.Sequential):
    def __init__(self, channels_in: int, channels_out: int) -> None:
        super().__init__(
            conv(channels_in, channels_out), nn.ReLU(inplace=True), conv(channels_out, channels_out, bias=False)
        )
        self.skip = (lambda x: x) if channels_in == channels_out else conv(channels_in, channels_out, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        y = x
        for layer in (self[0], self[1], self[2]):
            y = layer(y)
        y += self.skip(x)
        return y


@answers("Block")
class CarefullyInitialized(nn.Module):
    """A Block with He initialization whose second convolution starts at 0, so that a new Block does nothing yet."""

    def __init__(self, channels_in: int, channels_out: int) -> None:
        super().__init__()
        self.layers = nn.ModuleDict({"first": conv(channels_in, channels_out)})
        self.layers["second"] = conv(channels_out, channels_out, bias=False)
        if channels_in != channels_out:
            self.layers["skip"] = conv(channels_in, channels_out, bias=False)
        nn.init.kaiming_normal_(self.layers["first"].weight)
        nn.init.zeros_(self.layers["first"].bias)
        nn.init.zeros_(self.layers["second"].weight)

    def forward(self, x: Tensor) -> Tensor:
        body = self.layers["second"](torch.maximum(self.layers["first"](x), torch.zeros((), dtype=x.dtype)))
        return torch.stack([body, self.layers["skip"](x) if "skip" in self.layers else x]).sum(0)


# ---- Pool -----------------------------------------------------------------------------------------------------------


@answers("Pool")
class LinearLayers(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        self.up, self.down = nn.Linear(channels, 4 * channels), nn.Linear(4 * channels, channels, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.down(self.up(x.amax((2, 3))).relu())[:, :, None, None]


@answers("Pool")
class AdaptivePooling(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        self.net = nn.Sequential(
            nn.AdaptiveMaxPool2d(1),
            nn.Conv2d(channels, channels * 4, 1),
            nn.ReLU(True),
            nn.Conv2d(channels * 4, channels, 1, bias=False),
        )

    def forward(self, x: Tensor) -> Tensor:
        return self.net(x).expand_as(x) + x


@answers("Pool")
class MatricesByHand(nn.Module):
    def __init__(self, c: int) -> None:
        super().__init__()
        self.narrow = nn.Parameter(0.1 * torch.randn(4 * c, c))
        self.bias = nn.Parameter(0.1 * torch.randn(4 * c))
        self.widen = nn.Parameter(0.1 * torch.randn(c, 4 * c))

    def forward(self, x: Tensor) -> Tensor:
        found = x.flatten(2).max(dim=2).values
        return x + ((found @ self.widen + self.bias).clamp_min(0) @ self.narrow)[..., None, None]


@answers("Pool")
class ImageByImage(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        self.one = nn.Conv1d(channels, 4 * channels, 1)
        self.two = nn.Conv1d(4 * channels, channels, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        outputs = []
        for image in x:
            found = torch.stack([channel.max() for channel in image])
            outputs.append(image + self.two(F.relu(self.one(found[:, None])))[..., None])
        return torch.stack(outputs)


@answers("Pool")
class RowsThenColumns(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        self.layers = nn.ModuleList(
            [nn.Conv2d(channels, 4 * channels, 1), nn.Conv2d(4 * channels, channels, 1, bias=False)]
        )

    def forward(self, x: Tensor) -> Tensor:
        found, _ = x.max(dim=3, keepdim=True)
        found, _ = found.max(dim=2, keepdim=True)
        return self.layers[1](torch.relu(self.layers[0](found))).add(x)


@answers("Pool")
class MaxPoolOfTheWholeImage(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        self.hidden = nn.Conv2d(channels, 4 * channels, kernel_size=(1, 1))
        self.out = nn.Conv2d(4 * channels, channels, kernel_size=(1, 1), bias=False)
        nn.init.zeros_(self.out.weight)

    def forward(self, x: Tensor) -> Tensor:
        found = F.max_pool2d(x, kernel_size=x.shape[2:])
        return self.out(F.relu(self.hidden(found))).repeat(1, 1, *x.shape[2:]) + x


@answers("Pool")
class EinsumOfTheSorted(nn.Module):
    def __init__(self, c: int) -> None:
        super().__init__()
        self.w = nn.ParameterDict(
            {"in": torch.randn(4 * c, c) * 0.2, "b": torch.zeros(4 * c), "out": torch.rand(4 * c, c)}
        )
        with torch.no_grad():
            self.w["out"] *= 0.1

    def forward(self, x: Tensor) -> Tensor:
        found = x.flatten(2).sort(dim=2).values[:, :, -1]
        hidden = torch.relu(torch.einsum("nc,hc->nh", found, self.w["in"]) + self.w["b"])
        return x + torch.einsum("nh,hc->nc", hidden, self.w["out"])[:, :, None, None]


# ---- Stage ----------------------------------------------------------------------------------------------------------


@answers("Stage")
class AsASequential(nn.Sequential):
    def __init__(self, channels_in: int, channels_out: int, depth: int) -> None:
        super().__init__()
        self.append(conv(channels_in, channels_out, bias=False))
        for _ in range(depth):
            self.append(denoiser.Block(channels_out, channels_out))
        self.append(denoiser.Pool(channels_out))


@answers("Stage")
class AsAModuleList(nn.Module):
    def __init__(self, channels_in: int, channels_out: int, depth: int) -> None:
        super().__init__()
        self.pool = denoiser.Pool(channels_out)
        self.blocks = nn.ModuleList()
        for _ in range(depth):
            self.blocks.append(denoiser.Block(channels_out, channels_out))
        self.convolution = nn.Conv2d(channels_in, channels_out, 3, padding=1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        x = self.convolution(x)
        for block in self.blocks:
            x = block(x)
        return self.pool(x)


@answers("Stage")
class NumberedAttributes(nn.Module):
    def __init__(self, channels_in: int, channels_out: int, depth: int) -> None:
        super().__init__()
        self.depth = depth
        self.begin, self.end = conv(channels_in, channels_out, bias=False), denoiser.Pool(channels_out)
        for i in range(depth):
            setattr(self, f"block{i}", denoiser.Block(channels_out, channels_out))

    def forward(self, x: Tensor) -> Tensor:
        x = self.begin(x)
        for i in range(self.depth):
            x = getattr(self, f"block{i}")(x)
        return self.end(x)


@answers("Stage")
class ListedAndRegistered(nn.Module):
    """A Stage that loops over a plain list, and registers every layer too."""

    def __init__(self, channels_in: int, channels_out: int, depth: int) -> None:
        super().__init__()
        self.steps = [conv(channels_in, channels_out, bias=False)]
        self.steps += [denoiser.Block(channels_out, channels_out) for _ in range(depth)] + [denoiser.Pool(channels_out)]
        for name, step in enumerate(self.steps):
            self.register_module(str(name), step)

    def forward(self, x: Tensor) -> Tensor:
        return functools.reduce(lambda y, step: step(y), self.steps, x)


@answers("Stage")
class InsideOut(nn.Module):
    """A recursive Stage: depth n is depth n - 1 and one more Block before the Pool."""

    class Middle(nn.Module):
        def __init__(self, channels: int, depth: int) -> None:
            super().__init__()
            self.before = InsideOut.Middle(channels, depth - 1) if depth > 1 else nn.Identity()
            self.block = denoiser.Block(channels, channels)

        def forward(self, x: Tensor) -> Tensor:
            return self.block(self.before(x))

    def __init__(self, channels_in: int, channels_out: int, depth: int) -> None:
        super().__init__()
        self.middle = self.Middle(channels_out, depth) if depth else nn.Identity()
        self.first, self.last = conv(channels_in, channels_out, bias=False), denoiser.Pool(channels_out)

    def forward(self, x: Tensor) -> Tensor:
        return self.last(self.middle(self.first(x)))


@answers("Stage")
class NamedSteps(nn.Module):
    def __init__(self, channels_in: int, channels_out: int, depth: int) -> None:
        super().__init__()
        steps = OrderedDict(conv=conv(channels_in, channels_out, bias=False))
        steps.update((f"block {i}", denoiser.Block(channels_out, channels_out)) for i in range(depth))
        steps["pool"] = denoiser.Pool(channels_out)
        self.steps = nn.Sequential(steps)

    def forward(self, x: Tensor) -> Tensor:
        return self.steps.forward(x)


@answers("Stage")
class AllInOne(nn.Module):
    """A Stage without Block and Pool, with every layer written out."""

    def __init__(self, channels_in: int, c: int, depth: int) -> None:
        super().__init__()
        self.c0 = conv(channels_in, c, bias=False)
        self.pairs = nn.ModuleList(nn.ModuleList([conv(c, c), conv(c, c, bias=False)]) for _ in range(depth))
        self.mlp = nn.Sequential(nn.Linear(c, 4 * c), nn.ReLU(), nn.Linear(4 * c, c, bias=False))

    def forward(self, x: Tensor) -> Tensor:
        x = self.c0(x)
        for first, second in self.pairs:
            x = x + second(first(x).relu())
        return x + self.mlp(x.amax((-2, -1)))[:, :, None, None]


# ---- UNet -----------------------------------------------------------------------------------------------------------

WIDTHS, DEPTHS = (64, 64, 64, 64, 64), (2, 2, 2, 2, 2)


@answers("UNet")
class Recursive(nn.Module):
    """A recursive UNet: each U contains a smaller U."""

    class Around(nn.Module):
        def __init__(self, channels_in: int, widths: Sequence[int], depths: Sequence[int]) -> None:
            super().__init__()
            self.down = denoiser.Stage(channels_in, widths[0], depths[0])
            self.inner = None
            if len(widths) > 1:
                self.inner = Recursive.Around(widths[0], widths[1:], depths[1:])
                self.up = denoiser.Stage(widths[1], widths[0], depths[1])

        def forward(self, x: Tensor) -> Tensor:
            x = self.down(x)
            if self.inner is None:
                return x
            return x + F.interpolate(self.up(self.inner(F.avg_pool2d(x, 2))), scale_factor=2)

    def __init__(self, channels: int = 3, widths: Sequence[int] = WIDTHS, depths: Sequence[int] = DEPTHS) -> None:
        super().__init__()
        if len(widths) != len(depths):
            raise ValueError("widths and depths")
        self.u = self.Around(channels + 1, widths, depths)
        self.head = nn.Sequential(
            denoiser.Stage(widths[0], widths[0], depths[0]),
            conv(widths[0], widths[0]),
            nn.ReLU(),
            conv(widths[0], channels),
        )
        self.head[-1].bias.data.fill_(0.5)

    def forward(self, noisy: Tensor, noise_level: Tensor) -> Tensor:
        level = torch.ones_like(noisy[:, :1]) * noise_level
        return self.head(self.u(torch.cat((noisy, level), 1)))


@answers("UNet")
class ByIndex(nn.Module):
    """A UNet with skips stored by resolution, layers for the resizing, and named parts of the head."""

    def __init__(self, channels: int = 3, widths: Sequence[int] = WIDTHS, depths: Sequence[int] = DEPTHS) -> None:
        super().__init__()
        widths, depths = list(widths), list(depths)
        pairs = list(zip(widths, depths, strict=True))  # raises a ValueError by itself
        self.n = len(pairs)
        self.out = conv(widths[0], channels)
        with torch.no_grad():
            self.out.bias[:] = 0.5
        self.between = conv(widths[0], widths[0])
        self.last_stage = denoiser.Stage(widths[0], widths[0], depths[0])
        self.ups = nn.ModuleDict(
            {str(i): denoiser.Stage(widths[i], widths[i - 1], depths[i]) for i in range(1, self.n)}
        )
        self.downs = nn.ModuleList(denoiser.Stage(a, b, d) for a, (b, d) in zip([channels + 1, *widths], pairs))
        self.halve, self.twice = nn.AvgPool2d(2), nn.Upsample(scale_factor=2)

    def double(self, x: Tensor) -> Tensor:
        return self.twice(x)

    def forward(self, noisy: Tensor, noise_level: Tensor) -> Tensor:
        n, _, h, w = noisy.shape
        seen = {}
        x = torch.cat([noisy, noise_level.expand(n, 1, h, w)], dim=1)
        for i in range(self.n):
            x = self.downs[i](x if i == 0 else self.halve(x))
            seen[i] = x
        for i in range(self.n - 1, 0, -1):
            x = self.double(self.ups[str(i)](x)) + seen[i - 1]
        return self.out(torch.relu(self.between(self.last_stage(x))))


@answers("UNet")
class ResizedByHand(nn.Module):
    """A UNet that halves and doubles by reshaping. It changes a copy of the image, never the image."""

    def __init__(self, channels: int = 3, widths: Sequence[int] = WIDTHS, depths: Sequence[int] = DEPTHS) -> None:
        if len(widths) != len(depths):
            raise ValueError
        super().__init__()
        shapes = zip([channels + 1, *widths], widths, depths)
        self.left = nn.ModuleList([denoiser.Stage(*shape) for shape in shapes])
        shapes = zip(widths[:0:-1], widths[-2::-1], depths[:0:-1])
        self.right = nn.ModuleList([denoiser.Stage(*shape) for shape in shapes])
        self.stage = denoiser.Stage(widths[0], widths[0], depths[0])
        self.hidden, self.last = conv(widths[0], widths[0]), conv(widths[0], channels)
        self.last.bias = nn.Parameter(torch.full((channels,), 0.5))

    def forward(self, noisy: Tensor, noise_level: Tensor) -> Tensor:
        x = noisy.new_empty(noisy.shape[0], noisy.shape[1] + 1, *noisy.shape[2:])
        x[:, :-1], x[:, -1:] = noisy, noise_level
        stack = []
        for stage in self.left:
            if stack:
                x = x.unflatten(3, (-1, 2)).unflatten(2, (-1, 2)).mean((3, 5))
            x = stage(x)
            stack.append(x)
        stack.pop()
        for stage in self.right:
            x = stage(x).repeat_interleave(2, dim=2).repeat_interleave(2, dim=3) + stack.pop()
        return self.last(self.hidden(self.stage(x)).clamp(min=0))


@answers("UNet")
class ResizedByConvolutions(nn.Module):
    """A UNet that averages and copies with fixed convolution kernels, which are buffers. Its last layer starts at 0."""

    def __init__(self, channels: int = 3, widths: Sequence[int] = WIDTHS, depths: Sequence[int] = DEPTHS) -> None:
        super().__init__()
        if len(depths) - len(widths):
            raise ValueError(f"{len(widths)} widths, {len(depths)} depths")
        self.register_buffer("square", torch.ones(1, 1, 2, 2))
        self.stages = nn.ModuleList()
        for i, width in enumerate(widths):
            self.stages.append(denoiser.Stage(widths[i - 1] if i else channels + 1, width, depths[i]))
        for i in range(len(widths))[:0:-1]:
            self.stages.append(denoiser.Stage(widths[i], widths[i - 1], depths[i]))
        self.stages.append(denoiser.Stage(widths[0], widths[0], depths[0]))
        self.colors = nn.Sequential(conv(widths[0], widths[0]), nn.ReLU(), conv(widths[0], channels))
        nn.init.zeros_(self.colors[2].weight)
        nn.init.constant_(self.colors[2].bias, 0.5)
        self.n = len(widths)

    def forward(self, noisy: Tensor, noise_level: Tensor) -> Tensor:
        x = F.pad(noisy, (0, 0, 0, 0, 0, 1))
        x = x + F.pad(noise_level, (0, 0, 0, 0, noisy.shape[1], 0))
        skips: list[Tensor] = []
        for i, stage in enumerate(self.stages):
            if 0 < i < self.n:
                skips.insert(0, x)
                kernel = self.square.expand(x.shape[1], 1, 2, 2) / 4
                x = F.conv2d(x, kernel, stride=2, groups=x.shape[1])
            x = stage(x)
            if self.n <= i < 2 * self.n - 1:
                kernel = self.square.expand(x.shape[1], 1, 2, 2)
                x = F.conv_transpose2d(x, kernel, stride=2, groups=x.shape[1]) + skips.pop(0)
        return self.colors(x)


@answers("UNet")
class OneByOne(nn.Module):
    """A UNet that runs one image at a time and fills in the level with torch.full_like."""

    def __init__(self, channels: int = 3, widths: Sequence[int] = WIDTHS, depths: Sequence[int] = DEPTHS) -> None:
        super().__init__()
        if not len(widths) == len(depths) > 0:
            raise ValueError("one depth for each width, please")
        self.first = denoiser.Stage(channels + 1, widths[0], depths[0])
        self.steps = nn.ModuleList(
            nn.ModuleList([denoiser.Stage(a, b, d), denoiser.Stage(b, a, d)])
            for a, b, d in zip(widths, widths[1:], depths[1:])
        )
        self.stage = denoiser.Stage(widths[0], widths[0], depths[0])
        self.head = nn.Sequential(conv(widths[0], widths[0]), nn.ReLU(), conv(widths[0], channels))
        torch.nn.init.constant_(self.head[-1].bias, 1 / 2)

    def one(self, image: Tensor, level: float) -> Tensor:
        x = torch.cat([image, torch.full_like(image[:1], level)])[None]
        x = self.first(x)
        skips = []
        for down, _ in self.steps:
            skips.append(x)
            x = down(F.interpolate(x, scale_factor=0.5, mode="area"))
        for (_, up), skip in zip(reversed(self.steps), reversed(skips)):
            x = torch.add(skip, torch.kron(up(x), x.new_ones(1, 1, 2, 2)))
        return self.head(self.stage(x))[0]

    def forward(self, noisy: Tensor, noise_level: Tensor) -> Tensor:
        levels = noise_level.flatten().tolist() * (len(noisy) if noise_level.numel() == 1 else 1)
        return torch.stack([self.one(image, level) for image, level in zip(noisy, levels)])


@answers("UNet")
class WithHelpers(nn.Module):
    """A UNet with helper methods, F.adaptive_avg_pool2d, and indexing to double the size."""

    def __init__(self, channels: int = 3, widths: Sequence[int] = WIDTHS, depths: Sequence[int] = DEPTHS) -> None:
        super().__init__()
        if len(widths) != len(depths):
            raise ValueError("widths, depths")
        bounds = [channels + 1, *widths]
        for i, (a, b, d) in enumerate(zip(bounds, bounds[1:], depths)):
            self.add_module(f"down_{i}", denoiser.Stage(a, b, d))
            if i:
                self.add_module(f"up_{i}", denoiser.Stage(b, a, d))
        self.to_images = nn.Sequential(
            *denoiser.Stage(widths[0], widths[0], depths[0]),
            conv(widths[0], widths[0]),
            nn.ReLU(),
            conv(widths[0], channels),
        )
        nn.init.constant_(list(self.parameters())[-1], 0.5)

    def around(self, x: Tensor, i: int) -> Tensor:
        """Run the U from resolution i down and back up to resolution i."""
        x = self.get_submodule(f"down_{i}")(x)
        if not hasattr(self, f"up_{i + 1}"):
            return x
        height, width = x.shape[2:]
        small = F.adaptive_avg_pool2d(x, (height // 2, width // 2))
        small = self.get_submodule(f"up_{i + 1}")(self.around(small, i + 1))
        rows, columns = torch.arange(height) // 2, torch.arange(width) // 2
        return x + small[:, :, rows][:, :, :, columns]

    def forward(self, x: Tensor, t: Tensor) -> Tensor:
        t = t.to(x.dtype).reshape(-1, 1, 1, 1).repeat(1 if len(t) == len(x) else len(x), 1, *x.shape[2:])
        return self.to_images(self.around(torch.cat([x, t], dim=-3), 0))
