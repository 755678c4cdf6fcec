"""Grader of lesson 01: what `mix`, `sample_noise_levels` and `add_noise` must do."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from dino.course.grader.contact_sheet import Panel, emoji
from dino.course.grader.expect import Wrong, advice, copies, expect, expect_close, expect_tensor, kind_of
from dino.course.grader.expect_draws import expect_fair_draws, expect_on_device_of, expect_uniform

# N, C, H and W all differ, so that a level along the wrong dimension is noticed.
N, C, H, W = 6, 3, 5, 7


def test_mix(mix: Callable[..., Tensor], seed: int) -> None:
    """1.1: a blend, with each image at its own level."""
    random = torch.Generator().manual_seed(seed)
    clean, noise = torch.rand(2, N, C, H, W, generator=random, dtype=torch.float64)
    level = torch.tensor([0.0, 1.0, 0.5, 0.25, 0.9, 0.1], dtype=torch.float64).view(N, 1, 1, 1)
    with copies(clean=clean, noise=noise, noise_level=level) as given:
        noisy = expect_tensor(mix(*given), "The result of `mix`", (N, C, H, W)).clone()
    halfway = "At level 0.5 the noisy image is halfway between the clean image and the noise."
    try:
        expect_close(noisy[:1], clean[:1], "At level 0 the noisy image is the clean image.")
        expect_close(noisy[1:2], noise[1:2], "At level 1 the noisy image is the noise.")
        expect_close(noisy[2:3], (clean + noise)[2:3] / 2, halfway)
    except Wrong as wrong:
        # Of all levels, also in reverse order, because one level, and one first image, have several explanations.
        again = mix(clean.flip(0), noise.flip(0), level.flip(0))
        wrong.evidence = torch.stack([noisy, expect_tensor(again, "The result of `mix`", (N, C, H, W))]).detach()
        raise
    want = clean + level * (noise - clean)
    expect_close(noisy, want, "At every level, the weights of the clean image and the noise are 1 - level and level.")
    with advice():
        expect_tensor(noisy, "The result of `mix` for float64 images", dtype=torch.float64)
    single = mix(clean.float(), noise.float(), level.float())
    expect_tensor(single, "The result of `mix` for float32 images", (N, C, H, W), dtype=torch.float32)
    expect_close(single, want.float(), "In float32, the noisy image is the same up to rounding.")


def test_sample_noise_levels(sample_noise_levels: Callable[..., Tensor], seed: int) -> None:
    """1.2: n independent levels, uniform in [0, 1)."""

    def draw(generator: torch.Generator | None, n: int = 4000) -> Tensor:
        levels = sample_noise_levels(n, generator=generator)
        return expect_tensor(levels, "The result of `sample_noise_levels`", (n, 1, 1, 1), dtype=torch.float32)

    random = torch.Generator().manual_seed(seed)
    draw(random, n=5)
    expect_fair_draws(draw, seed, "the levels")
    many = draw(random)
    expect_uniform(many, "The levels are")
    expect_uniform(torch.cat([draw(random, n=1) for _ in range(100)]), "Levels that are drawn one by one are")
    neighbors = torch.corrcoef(torch.stack([many[1:].flatten(), many[:-1].flatten()]))[0, 1]
    expect(
        bool(neighbors.abs() < 0.1),  # six standard errors
        "Each level is independent of the one before it.",
        expected="independent levels",
        got="levels that depend on the one before",
    )
    with advice("The levels are on the requested device."):
        there = sample_noise_levels(3, device="meta")
        expect(
            there.device.type == "meta",
            "The levels are on the requested device.",
            expected="`device=device` in the call that draws them",
            got=f"levels on {there.device}",
        )
    here = torch.Generator("cpu").manual_seed(seed)
    with advice():
        expect_on_device_of(None, "The levels", lambda: sample_noise_levels(3, generator=here, device="cpu"))


def test_add_noise(add_noise: Callable[..., tuple[Tensor, Tensor]], seed: int) -> None:
    """1.3: new uniform noise for every number, one level for every image, and the level that was used is returned."""
    clean = torch.rand(N, C, H, W, generator=torch.Generator().manual_seed(seed))

    def run(images: Tensor, generator: torch.Generator | None) -> tuple[Tensor, Tensor]:
        with copies(clean=images) as given:
            pair = add_noise(*given, generator=generator)
        expect(
            isinstance(pair, tuple) and len(pair) == 2,
            "`add_noise` returns two tensors: the noisy images and their levels.",
            expected="(noisy, noise_level)",
            got=kind_of(pair),
        )
        noisy = expect_tensor(pair[0], "The noisy images (the first result)", images.shape)
        level = expect_tensor(pair[1], "The noise level (the second result)")
        if level.shape == images.shape:
            raise Wrong(
                "The noise level (the second result) is one number for each image.",
                expected=str((len(images), 1, 1, 1)),
                got=f"{tuple(images.shape)}, the shape of the images",
                evidence=(noisy / level).std((1, 2, 3)).mean(),  # 0 for a black image if this is the noise
                slack=0.1,
            )
        return noisy, expect_tensor(level, "The noise level (the second result)", (len(images), 1, 1, 1))

    run(torch.zeros(N, C, H, W), torch.Generator().manual_seed(seed))
    expect_fair_draws(lambda generator: run(clean, generator)[1], seed, "the levels")
    expect_fair_draws(lambda generator: run(clean, generator)[0], seed, "the noisy images")

    # A black image shows the noise alone, because then noisy = level * noise. A white image shows what is left of it.
    n, c, h, w = 40, 3, 12, 14
    black, level = run(torch.zeros(n, c, h, w), torch.Generator().manual_seed(seed))
    white, white_level = run(torch.ones(n, c, h, w), torch.Generator().manual_seed(seed))
    several = level.unique().numel() > 1
    expect(several, "Each image has its own noise level.", expected=f"{n} levels", got="one level for all")
    expect_uniform(level, "The levels are")
    seen = (level > 0.05).flatten()  # where the noise is much larger than rounding errors
    noise = (black / level)[seen]
    lost = ((1 - white) / white_level)[(white_level > 0.05).flatten()]
    rounding = 1e-5  # of a float32 near 1, divided by a level of 0.05, with a margin
    deciles = torch.cat([x.flatten().quantile(torch.tensor([0.1, 0.5, 0.9])) for x in (lost, noise)])
    for x, name in ((lost, "A white image gets darker"), (noise, "A black image gets brighter")):
        # In each image, the largest of the many numbers is near 1 if the image was mixed at the level that is returned.
        most = x.amax((1, 2, 3))
        expect(
            bool((most > 0.8).all() and (most < 1 + rounding).all() and x.min() > -rounding),
            f"{name} by 0 to 1 times the level that is returned.",
            expected="0 to 1 times the level",
            got=f"{x.min().item():.1f} to {x.max().item():.1f} times the level",
            evidence=torch.cat([deciles, most.std().view(1)]),
            slack=0.05,
        )
    for dim, name in ((0, "image"), (1, "channel"), (2, "row"), (3, "column")):
        other = noise.roll(1, dim)
        expect(
            bool((noise - other).abs().mean() > 0.1),  # 1/3 if the draws are independent
            f"The noise differs from {name} to {name}.",
            expected="a random number for each",
            got=f"the same noise in each {name}",
        )
    expect_uniform(noise, "The noise is")
    # In an image of many colors, what was mixed in must be noise too: (noisy - clean) / level + clean.
    colors = torch.rand(n, c, h, w, generator=torch.Generator().manual_seed(seed))
    noisy, level = run(colors, torch.Generator().manual_seed(seed))
    mixed_in = ((noisy - colors) / level + colors)[(level > 0.05).flatten()]
    expect(
        bool(mixed_in.min() > -rounding and mixed_in.max() < 1 + rounding),
        "Under the noise is the clean image, in its place and with its colors.",
        expected="noise from 0 to 1 mixed into the clean image",
        got=f"a result that would need noise from {mixed_in.min().item():.1f} to {mixed_in.max().item():.1f}",
    )
    correlation = torch.corrcoef(torch.stack([noise.mean((1, 2, 3)), level[seen].flatten()]))[0, 1]
    expect(
        bool(correlation.abs() < 0.9),
        "The noise and the noise level are independent.",
        got="noise that depends on the level",
    )
    generator = torch.Generator("cpu").manual_seed(seed)
    with advice():
        expect_on_device_of("clean", "Noise and levels", lambda: add_noise(clean, generator=generator))
    with advice():
        try:
            dtypes = {result.dtype for result in run(clean.double(), torch.Generator().manual_seed(seed))}
        except RuntimeError:  # torch.lerp doesn't take float32 and float64 together
            dtypes = {torch.float32}
        expect(
            dtypes == {torch.float64},
            "The noise, the levels and the result have the dtype of `clean`, here float64, which has more digits.",
            expected="`dtype=clean.dtype` or `.to(clean.dtype)` wherever numbers are drawn",
            got="torch's default dtype, float32",
        )


# ---- the contact sheet ----------------------------------------------------------------------------------------------


def show_mix(part: Any) -> Tensor:
    """Return one image at six levels."""
    noise = torch.rand(6, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    return part.mix(emoji()[:1].expand(6, -1, -1, -1), noise, torch.linspace(0, 1, 6).view(6, 1, 1, 1))


def show_levels(part: Any) -> Tensor:
    """Return a bar for each of 96 levels, sorted by height."""
    levels = part.sample_noise_levels(96, generator=torch.Generator().manual_seed(0)).flatten()
    heights = levels.sort().values.view(1, 1, 1, 96)
    return 1 - 0.7 * (torch.linspace(1, 0, 32).view(1, 1, 32, 1) < heights).float()


def show_noisy(part: Any) -> Tensor:
    """Return six images, each with noise at its own level."""
    return part.add_noise(emoji()[:6], generator=torch.Generator().manual_seed(0))[0]


PANELS = [
    Panel("mix", "one image at the levels 0, 0.2, 0.4, 0.6, 0.8 and 1", show_mix),
    Panel("sample_noise_levels", "96 levels as bars, sorted: an even slope", show_levels),
    Panel("add_noise", "six images, each at its own random level; other draws are equally good", show_noisy),
]
