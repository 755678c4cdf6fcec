"""The grader of lesson 01: what `mix`, `sample_noise_levels` and `add_noise` must do."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from dino.course.grader.contact_sheet import Panel, emoji
from dino.course.grader.expect import (
    Wrong,
    expect,
    expect_close,
    expect_fair_draws,
    expect_on_device_of,
    expect_tensor,
    expect_uniform,
    kind_of,
    unchanged,
)

# N, C, H and W all differ, so that a level that lands on the wrong one of them shows.
N, C, H, W = 6, 3, 5, 7


def test_mix(mix: Callable[..., Tensor], seed: int) -> None:
    """1.1: a blend, at each image's own level."""
    random = torch.Generator().manual_seed(seed)
    clean, noise = torch.rand(2, N, C, H, W, generator=random, dtype=torch.float64)
    level = torch.tensor([0.0, 1.0, 0.5, 0.25, 0.9, 0.1], dtype=torch.float64).view(N, 1, 1, 1)
    with unchanged(clean=clean, noise=noise, noise_level=level):
        noisy = expect_tensor(mix(clean, noise, level), "What `mix` returns", (N, C, H, W), dtype=torch.float64)
    expect_close(noisy[:1], clean[:1], "At level 0 the mix is the picture itself.")
    expect_close(noisy[1:2], noise[1:2], "At level 1 the mix is the noise itself.")
    expect_close(noisy[2:3], (clean + noise)[2:3] / 2, "At level 0.5 the mix is halfway between picture and noise.")
    want = clean + level * (noise - clean)
    expect_close(noisy, want, "At every level the weights of picture and noise are 1 - level and level.")
    single = mix(clean.float(), noise.float(), level.float())
    expect_tensor(single, "What `mix` returns for float32 images", (N, C, H, W), dtype=torch.float32)
    expect_close(single, want.float(), "In float32, the mix is the same up to rounding.")


def test_sample_noise_levels(sample_noise_levels: Callable[..., Tensor], seed: int) -> None:
    """1.2: n levels, uniform in [0, 1), each its own."""

    def draw(generator: torch.Generator | None, n: int = 4000) -> Tensor:
        levels = sample_noise_levels(n, generator=generator)
        return expect_tensor(levels, "What `sample_noise_levels` returns", (n, 1, 1, 1), dtype=torch.float32)

    random = torch.Generator().manual_seed(seed)
    draw(random, n=5)
    expect_fair_draws(draw, seed, "the levels")
    many = draw(random)
    expect_uniform(many, "The levels are")
    expect_uniform(torch.cat([draw(random, n=1) for _ in range(100)]), "Levels that are drawn one by one are")
    neighbors = torch.corrcoef(torch.stack([many[1:].flatten(), many[:-1].flatten()]))[0, 1]
    expect(
        bool(neighbors.abs() < 0.1),  # six standard errors
        "A level tells nothing of the next one.",
        expected="each drawn by itself",
        got="levels that follow each other in an order",
    )
    there = sample_noise_levels(3, device="meta")
    expect(
        there.device.type == "meta",
        "The levels live on the device that is asked for.",
        expected="device=device handed on",
        got=f"levels on {there.device}",
    )
    here = torch.Generator("cpu").manual_seed(seed)
    expect_on_device_of(None, "The levels", lambda: sample_noise_levels(3, generator=here, device="cpu"))


def test_add_noise(add_noise: Callable[..., tuple[Tensor, Tensor]], seed: int) -> None:
    """1.3: fresh uniform noise for every number, one level for every image, and both tell the truth."""
    clean = torch.rand(N, C, H, W, generator=torch.Generator().manual_seed(seed))

    def run(images: Tensor, generator: torch.Generator | None) -> tuple[Tensor, Tensor]:
        with unchanged(clean=images):
            pair = add_noise(images, generator=generator)
        expect(
            isinstance(pair, tuple) and len(pair) == 2,
            "`add_noise` returns two things: the noisy images and their levels.",
            expected="(noisy, noise_level)",
            got=kind_of(pair),
        )
        noisy = expect_tensor(pair[0], "The noisy images (the first result)", images.shape)
        level = expect_tensor(pair[1], "The level (the second result)")
        if level.shape == images.shape:
            raise Wrong(
                "The level (the second result) is one number for each image.",
                expected=str((len(images), 1, 1, 1)),
                got=f"{tuple(images.shape)}, as many as the images have",
                evidence=(noisy / level).std((1, 2, 3)).mean(),  # 0 for a black picture if this is the noise
                slack=0.1,
            )
        return noisy, expect_tensor(level, "The level (the second result)", (len(images), 1, 1, 1))

    run(torch.zeros(N, C, H, W), torch.Generator().manual_seed(seed))
    expect_fair_draws(lambda generator: run(clean, generator)[1], seed, "noise and levels")
    expect_fair_draws(lambda generator: run(clean, generator)[0], seed, "noise and levels")

    # A black picture shows the noise alone, as then noisy = level * noise; a white one what is left of the picture.
    n, c, h, w = 40, 3, 12, 14
    black, level = run(torch.zeros(n, c, h, w), torch.Generator().manual_seed(seed))
    white, white_level = run(torch.ones(n, c, h, w), torch.Generator().manual_seed(seed))
    several = level.unique().numel() > 1
    expect(several, "Each image has a noise level of its own.", expected=f"{n} levels", got="one level for all")
    expect_uniform(level, "The levels are")
    seen = (level > 0.05).flatten()  # where the noise can be told apart from rounding
    noise = (black / level)[seen]
    lost = ((1 - white) / white_level)[(white_level > 0.05).flatten()]
    rounding = 1e-5  # of a float32 near 1, divided by a level of 0.05, and some more
    for x, name in ((lost, "A white picture loses"), (noise, "A black picture gains")):
        # Of each image's many numbers the largest is near 1, if the level is the one that the image was mixed at.
        most = x.amax((1, 2, 3))
        expect(
            bool((most > 0.8).all() and (most < 1 + rounding).all() and x.min() > -rounding),
            f"{name} between nothing and the level that is returned with it.",
            expected="from 0 to 1 times the level",
            got=f"from {x.min().item():.1f} to {x.max().item():.1f} times the level",
            evidence=torch.cat([x.flatten().quantile(torch.tensor([0.1, 0.5, 0.9])), most.std().view(1)]),
            slack=0.05,
        )
    for dim, name in ((0, "image"), (1, "channel"), (2, "row"), (3, "column")):
        other = noise.roll(1, dim)
        expect(
            bool((noise - other).abs().mean() > 0.1),  # a third, if they are drawn apart
            f"The noise differs from {name} to {name}.",
            expected="a random number for each of them",
            got=f"the same noise in each {name}",
        )
    expect_uniform(noise, "The noise is")
    # On a picture of many colors, what was mixed in must be noise, too: (noisy - clean) / level + clean.
    colors = torch.rand(n, c, h, w, generator=torch.Generator().manual_seed(seed))
    noisy, level = run(colors, torch.Generator().manual_seed(seed))
    mixed_in = ((noisy - colors) / level + colors)[(level > 0.05).flatten()]
    expect(
        bool(mixed_in.min() > -rounding and mixed_in.max() < 1 + rounding),
        "What is under the noise is the picture itself, in its place and with its colors.",
        expected="noise from 0 to 1 mixed into it",
        got=f"what would be noise from {mixed_in.min().item():.1f} to {mixed_in.max().item():.1f}",
    )
    together = torch.corrcoef(torch.stack([noise.mean((1, 2, 3)), level[seen].flatten()]))[0, 1]
    expect(
        bool(together.abs() < 0.9), "The noise and the level are drawn apart.", got="noise that follows from the level"
    )
    generator = torch.Generator("cpu").manual_seed(seed)
    expect_on_device_of("clean", "Noise and levels", lambda: add_noise(clean, generator=generator))
    try:
        kinds = {result.dtype for result in run(clean.double(), torch.Generator().manual_seed(seed))}
    except RuntimeError:  # torch mixes no float32 into float64
        kinds = {torch.float32}
    expect(
        kinds == {torch.float64},
        "Noise, levels and result have the dtype of `clean`, here float64, whose numbers have more digits.",
        expected="dtype=clean.dtype, or .to(clean.dtype), wherever numbers are drawn",
        got="numbers of torch's usual dtype, float32",
    )


# ---- the picture ----------------------------------------------------------------------------------------------------


def show_mix(part: Any) -> Tensor:
    """One picture at six levels."""
    noise = torch.rand(6, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    return part.mix(emoji()[:1].expand(6, -1, -1, -1), noise, torch.linspace(0, 1, 6).view(6, 1, 1, 1))


def show_levels(part: Any) -> Tensor:
    """A bar as high as each of 32 levels, sorted."""
    levels = part.sample_noise_levels(96, generator=torch.Generator().manual_seed(0)).flatten()
    heights = levels.sort().values.view(1, 1, 1, 96)
    return 1 - 0.7 * (torch.linspace(1, 0, 32).view(1, 1, 32, 1) < heights).float()


def show_noisy(part: Any) -> Tensor:
    """Six pictures, each with noise at a level of its own."""
    return part.add_noise(emoji()[:6], generator=torch.Generator().manual_seed(0))[0]


PANELS = [
    Panel("mix", "one picture at the levels 0, 0.2, 0.4, 0.6, 0.8 and 1", show_mix),
    Panel("sample_noise_levels", "96 levels as bars, sorted: an even slope", show_levels),
    Panel("add_noise", "six pictures, each at a level drawn for it; other draws than these are as good", show_noisy),
]
