"""Wrong answers to lesson 01 that people give, and what to say to each. The grader knows a mistake when it sees one.

Reading on spoils the exercises.
"""

import torch
from torch import Tensor

from ....noise import mix
from ...grader.expect import mistake

Generator = torch.Generator | None

# ---- 1.1 mix --------------------------------------------------------------------------------------------------------


@mistake("mix", "At level 0 I expected your picture and got the noise: the two are swapped.")
def swapped(clean: Tensor, noise: Tensor, noise_level: Tensor) -> Tensor:
    return torch.lerp(noise, clean, noise_level)


@mistake("mix", "The noise is added on top of the whole picture; the picture should make room for it.")
def added_on_top(clean: Tensor, noise: Tensor, noise_level: Tensor) -> Tensor:
    return clean + noise_level * noise


@mistake(
    "mix", "The noise is added on top of the whole picture and the sum cut off at 1, which hides that it is no blend."
)
def added_and_clamped(clean: Tensor, noise: Tensor, noise_level: Tensor) -> Tensor:
    return (clean + noise_level * noise).clamp(0, 1)


@mistake("mix", "The picture fades with the level, but the noise comes in at full strength at every level.")
def noise_at_full_strength(clean: Tensor, noise: Tensor, noise_level: Tensor) -> Tensor:
    return (1 - noise_level) * clean + noise


@mistake("mix", "Both are multiplied by the level, so at level 0 nothing is left of the picture.")
def both_by_level(clean: Tensor, noise: Tensor, noise_level: Tensor) -> Tensor:
    return noise_level * clean + noise_level * noise


@mistake(
    "mix", "The weights are square roots, as for Gaussian noise: at level 0.5 they add up to 1.41, where a blend has 1."
)
def square_roots(clean: Tensor, noise: Tensor, noise_level: Tensor) -> Tensor:
    return (1 - noise_level).sqrt() * clean + noise_level.sqrt() * noise


@mistake(
    "mix", "The picture loses the square of the level and the noise comes in with the level: they don't add up to 1."
)
def squared_level(clean: Tensor, noise: Tensor, noise_level: Tensor) -> Tensor:
    return (1 - noise_level**2) * clean + noise_level * noise


@mistake("mix", "EncodedImage and noise are averaged half and half: the noise level isn't used.")
def level_ignored(clean: Tensor, noise: Tensor, noise_level: Tensor) -> Tensor:
    return (clean + noise) / 2


@mistake("mix", "All images are mixed at the level of the first one; each has a level of its own.")
def first_level_for_all(clean: Tensor, noise: Tensor, noise_level: Tensor) -> Tensor:
    return torch.lerp(clean, noise, noise_level[:1])


@mistake("mix", "All images are mixed at the mean of the levels; each has a level of its own.")
def mean_level_for_all(clean: Tensor, noise: Tensor, noise_level: Tensor) -> Tensor:
    return torch.lerp(clean, noise, noise_level.mean())


@mistake("mix", "The levels reach the images in the wrong order: the first image got the last one's.")
def levels_reversed(clean: Tensor, noise: Tensor, noise_level: Tensor) -> Tensor:
    return torch.lerp(clean, noise, noise_level.flip(0))


@mistake(
    "mix", "The level has lost its ones: a bare row (N,) lines up with the columns of an image, not with the images."
)
def bare_row(clean: Tensor, noise: Tensor, noise_level: Tensor) -> Tensor:
    return torch.lerp(clean, noise, noise_level.flatten())


@mistake("mix", "The noise replaces whole pixels, as a level of 0.5 or more were all and less were nothing.")
def all_or_nothing(clean: Tensor, noise: Tensor, noise_level: Tensor) -> Tensor:
    return torch.where(noise_level >= 0.5, noise, clean)


@mistake("mix", "The noise is shifted around zero first, so at level 1 it isn't the noise that was handed in.")
def centerd_noise(clean: Tensor, noise: Tensor, noise_level: Tensor) -> Tensor:
    return torch.lerp(clean, noise - 0.5, noise_level)


@mistake("mix", "The result is stretched to fill 0 to 1, which changes every pixel a second time.")
def normalized(clean: Tensor, noise: Tensor, noise_level: Tensor) -> Tensor:
    noisy = torch.lerp(clean, noise, noise_level)
    return (noisy - noisy.min()) / (noisy.max() - noisy.min())


@mistake("mix", "The result is written into `clean`; the caller's pictures must stay as they were.")
def in_place(clean: Tensor, noise: Tensor, noise_level: Tensor) -> Tensor:
    return clean.lerp_(noise, noise_level)


# ---- 1.2 sample_noise_levels ----------------------------------------------------------------------------------------


@mistake(
    "sample_noise_levels",
    "The levels come as a bare row (n,), which lines up with the columns of an image, not with the images.",
)
def bare(n: int, *, generator: Generator = None, device: object = None) -> Tensor:
    return torch.rand(n, generator=generator, device=device)


@mistake("sample_noise_levels", "The levels come as (n, 1): two more ones are needed to reach rows and columns.")
def two_dimensions(n: int, *, generator: Generator = None, device: object = None) -> Tensor:
    return torch.rand(n, 1, generator=generator, device=device)


@mistake(
    "sample_noise_levels", "The n stands at the end of the shape, so the levels go to the columns, not to the images."
)
def along_the_columns(n: int, *, generator: Generator = None, device: object = None) -> Tensor:
    return torch.rand(1, 1, 1, n, generator=generator, device=device)


@mistake("sample_noise_levels", "Only one level is drawn, for the whole batch.")
def one_level(n: int, *, generator: Generator = None, device: object = None) -> Tensor:
    return torch.rand(1, 1, 1, 1, generator=generator, device=device)


@mistake("sample_noise_levels", "One level is drawn and repeated n times: each image needs a draw of its own.")
def one_level_repeated(n: int, *, generator: Generator = None, device: object = None) -> Tensor:
    return torch.rand(1, 1, 1, 1, generator=generator, device=device).expand(n, 1, 1, 1)


@mistake("sample_noise_levels", "The levels are Gaussian: half of them are below 0.")
def gaussian(n: int, *, generator: Generator = None, device: object = None) -> Tensor:
    return torch.randn(n, 1, 1, 1, generator=generator, device=device)


@mistake("sample_noise_levels", "The levels are Gaussian, cut off at 0 and 1, so that many are exactly 0 or 1.")
def gaussian_clamped(n: int, *, generator: Generator = None, device: object = None) -> Tensor:
    return (0.5 + torch.randn(n, 1, 1, 1, generator=generator, device=device)).clamp(0, 1)


@mistake("sample_noise_levels", "The levels go from -1 to 1.")
def minus_one_to_one(n: int, *, generator: Generator = None, device: object = None) -> Tensor:
    return 2 * torch.rand(n, 1, 1, 1, generator=generator, device=device) - 1


@mistake("sample_noise_levels", "The levels stop at 0.5, so the network would never see the noisier half.")
def half_the_range(n: int, *, generator: Generator = None, device: object = None) -> Tensor:
    return 0.5 * torch.rand(n, 1, 1, 1, generator=generator, device=device)


@mistake("sample_noise_levels", "The levels are squared, which makes low ones far more frequent than high ones.")
def squared(n: int, *, generator: Generator = None, device: object = None) -> Tensor:
    return torch.rand(n, 1, 1, 1, generator=generator, device=device) ** 2


@mistake(
    "sample_noise_levels",
    "The levels are the same at every call; they should be drawn at random, from the generator that is handed in.",
)
def evenly_spaced(n: int, *, generator: Generator = None, device: object = None) -> Tensor:
    return torch.linspace(0, 1, n + 1, device=device)[:-1].view(n, 1, 1, 1)


@mistake("sample_noise_levels", "The levels are 0 or 1 and nothing between.")
def coin_tosses(n: int, *, generator: Generator = None, device: object = None) -> Tensor:
    return torch.randint(0, 2, (n, 1, 1, 1), generator=generator, device=device).float()


@mistake("sample_noise_levels", "The generator isn't handed on to torch.rand, so the numbers come from the global one.")
def generator_ignored(n: int, *, generator: Generator = None, device: object = None) -> Tensor:
    return torch.rand(n, 1, 1, 1, device=device)


@mistake("sample_noise_levels", "The generator is given a new seed at each call, so each call draws the same levels.")
def generator_reseeded(n: int, *, generator: Generator = None, device: object = None) -> Tensor:
    if generator is not None:
        generator.manual_seed(0)
    return torch.rand(n, 1, 1, 1, generator=generator, device=device)


@mistake(
    "sample_noise_levels", "torch.manual_seed is called inside, which makes every program that calls it repeat itself."
)
def everyone_reseeded(n: int, *, generator: Generator = None, device: object = None) -> Tensor:
    if generator is None:
        torch.manual_seed(0)
    return torch.rand(n, 1, 1, 1, generator=generator, device=device)


@mistake("sample_noise_levels", "The `device` isn't handed on, so on a GPU the levels would stay behind on the CPU.")
def device_ignored(n: int, *, generator: Generator = None, device: object = None) -> Tensor:
    return torch.rand(n, 1, 1, 1, generator=generator)


# ---- 1.3 add_noise --------------------------------------------------------------------------------------------------

Pair = tuple[Tensor, Tensor]


def draw(clean: Tensor, generator: Generator) -> Pair:
    """Noise and levels in the usual order, for the mistakes to spoil."""
    noise = torch.rand(clean.shape, generator=generator, dtype=clean.dtype)
    return noise, torch.rand(len(clean), 1, 1, 1, generator=generator).to(clean.dtype)


@mistake("add_noise", "The noise is Gaussian, so it leaves the range of pixels; here it is uniform.")
def gaussian_noise(clean: Tensor, *, generator: Generator = None) -> Pair:
    noise = torch.randn(clean.shape, generator=generator, dtype=clean.dtype)
    level = torch.rand(len(clean), 1, 1, 1, generator=generator).to(clean.dtype)
    return mix(clean, noise, level), level


@mistake("add_noise", "The noise goes from -1 to 1, and pixels from 0 to 1.")
def noise_from_minus_one(clean: Tensor, *, generator: Generator = None) -> Pair:
    noise, level = draw(clean, generator)
    return mix(clean, 2 * noise - 1, level), level


@mistake("add_noise", "The noise reaches only up to 0.5, so at level 1 pictures are too dark.")
def weak_noise(clean: Tensor, *, generator: Generator = None) -> Pair:
    noise, level = draw(clean, generator)
    return mix(clean, noise / 2, level), level


@mistake("add_noise", "One level is drawn for the whole batch; each image should have its own.")
def one_level_for_all(clean: Tensor, *, generator: Generator = None) -> Pair:
    noise, level = draw(clean, generator)
    return mix(clean, noise, level[:1]), level[:1].expand(len(clean), 1, 1, 1)


@mistake("add_noise", "Each pixel has a level of its own, but the network is told one number for each image.")
def level_per_pixel(clean: Tensor, *, generator: Generator = None) -> Pair:
    noise, _ = draw(clean, generator)
    level = torch.rand(clean.shape, generator=generator, dtype=clean.dtype)
    return mix(clean, noise, level), level


@mistake("add_noise", "Each channel has a level of its own, but the network is told one number for each image.")
def level_per_channel(clean: Tensor, *, generator: Generator = None) -> Pair:
    noise, _ = draw(clean, generator)
    level = torch.rand(*clean.shape[:2], 1, 1, generator=generator, dtype=clean.dtype)
    return mix(clean, noise, level), level


@mistake("add_noise", "All images get the same noise: a network could learn it by heart and subtract it.")
def one_noise_for_all(clean: Tensor, *, generator: Generator = None) -> Pair:
    noise, level = draw(clean, generator)
    return mix(clean, noise[:1].expand_as(clean), level), level


@mistake("add_noise", "Red, green and blue get the same noise, so it is gray: draw it for every channel.")
def gray_noise(clean: Tensor, *, generator: Generator = None) -> Pair:
    noise, level = draw(clean, generator)
    return mix(clean, noise[:, :1].expand_as(clean), level), level


@mistake(
    "add_noise",
    "The noise is one number for each image and channel, a tint rather than noise: draw it for every pixel.",
)
def flat_noise(clean: Tensor, *, generator: Generator = None) -> Pair:
    noise, level = draw(clean, generator)
    return mix(clean, noise[:, :, :1, :1].expand_as(clean), level), level


@mistake(
    "add_noise", "EncodedImage and noise are swapped: the higher the level that is returned, the cleaner the image."
)
def swapped_inside(clean: Tensor, *, generator: Generator = None) -> Pair:
    noise, level = draw(clean, generator)
    return mix(noise, clean, level), level


@mistake("add_noise", "The level is drawn twice: once to mix at, and a new one to return.")
def level_drawn_twice(clean: Tensor, *, generator: Generator = None) -> Pair:
    noise, level = draw(clean, generator)
    return mix(clean, noise, level), torch.rand(len(clean), 1, 1, 1, generator=generator).to(clean.dtype)


@mistake("add_noise", "The noise itself is returned with the images; what the network needs to be told is the level.")
def noise_returned(clean: Tensor, *, generator: Generator = None) -> Pair:
    noise, level = draw(clean, generator)
    return mix(clean, noise, level), noise


@mistake("add_noise", "Only the noisy images are returned, and the level is lost.")
def level_forgotten(clean: Tensor, *, generator: Generator = None) -> Tensor:
    noise, level = draw(clean, generator)
    return mix(clean, noise, level)


@mistake("add_noise", "The two results are in the wrong order: the noisy images come first, then the levels.")
def wrong_order(clean: Tensor, *, generator: Generator = None) -> Pair:
    noise, level = draw(clean, generator)
    return level, mix(clean, noise, level)


@mistake("add_noise", "The level is returned as a bare row (N,), which lines up with columns, not with images.")
def bare_level(clean: Tensor, *, generator: Generator = None) -> Pair:
    noise, level = draw(clean, generator)
    return mix(clean, noise, level), level.flatten()


@mistake(
    "add_noise",
    "The levels are drawn as a bare row (N,), which lines up with the columns of an image when it is mixed.",
)
def bare_levels_mixed(clean: Tensor, *, generator: Generator = None) -> Pair:
    noise, level = draw(clean, generator)
    return mix(clean, noise, level.flatten()), level.flatten()


@mistake("add_noise", "The noise is added on top of the whole picture, where `mix` makes room for it.")
def noise_added_on_top(clean: Tensor, *, generator: Generator = None) -> Pair:
    noise, level = draw(clean, generator)
    return clean + level * noise, level


@mistake("add_noise", "The noise is mixed into the caller's own pictures, in place.")
def noise_in_place(clean: Tensor, *, generator: Generator = None) -> Pair:
    noise, level = draw(clean, generator)
    return clean.lerp_(noise, level), level


@mistake("add_noise", "The generator isn't used for the noise (the levels alone come from it).")
def generator_for_levels_only(clean: Tensor, *, generator: Generator = None) -> Pair:
    noise, level = torch.rand(clean.shape, dtype=clean.dtype), draw(clean, generator)[1]
    return mix(clean, noise, level), level


@mistake(
    "add_noise", "The generator isn't handed on to where the levels are drawn, so the same seed gives different ones."
)
def no_generator(clean: Tensor, *, generator: Generator = None) -> Pair:
    noise, level = draw(clean, None)
    return mix(clean, noise, level), level


@mistake("add_noise", "The generator is seeded anew inside, so that every batch gets the same noise.")
def reseeded_inside(clean: Tensor, *, generator: Generator = None) -> Pair:
    noise, level = draw(clean, torch.Generator().manual_seed(0))
    return mix(clean, noise, level), level


@mistake("add_noise", "Noise and levels are float32 whatever `clean` is.")
def always_float32(clean: Tensor, *, generator: Generator = None) -> Pair:
    noise = torch.rand(clean.shape, generator=generator, device=clean.device)
    level = torch.rand(len(clean), 1, 1, 1, generator=generator, device=clean.device)
    return clean * (1 - level) + level * noise, level


@mistake("add_noise", "The noise or the levels are made on the CPU wherever the pictures are, which fails on a GPU.")
def device_forgotten(clean: Tensor, *, generator: Generator = None) -> Pair:
    noise, level = draw(clean, generator)
    return mix(clean, noise, level), level


@mistake(
    "sample_noise_levels",
    "The levels are made somewhere else and moved to `device`, which fails with a GPU's generator.",
)
def moved_to_the_device(n: int, *, generator: Generator = None, device: object = None) -> Tensor:
    return torch.rand(n, 1, 1, 1, generator=generator).to(device or "cpu")


@mistake(
    "sample_noise_levels", "The levels are cut off near 0 and 1, so the network never sees a hardly touched picture."
)
def cut_off(n: int, *, generator: Generator = None, device: object = None) -> Tensor:
    return torch.rand(n, 1, 1, 1, generator=generator, device=device).clamp(0.02, 0.98)


@mistake("sample_noise_levels", "The levels come in steps of a hundredth; they can be anywhere between 0 and 1.")
def hundredths(n: int, *, generator: Generator = None, device: object = None) -> Tensor:
    return torch.randint(0, 100, (n, 1, 1, 1), generator=generator, device=device) / 100


@mistake("sample_noise_levels", "The levels are n fixed ones, shuffled: a single one is always 0.")
def shuffled(n: int, *, generator: Generator = None, device: object = None) -> Tensor:
    return (torch.randperm(n, generator=generator, device=device) / n).view(n, 1, 1, 1)


@mistake("sample_noise_levels", "The levels climb from the first image to the last; each should be drawn by itself.")
def climbing(n: int, *, generator: Generator = None, device: object = None) -> Tensor:
    return ((torch.arange(n, device=device) + torch.rand(n, generator=generator, device=device)) / n).view(n, 1, 1, 1)
