"""Common wrong answers to lesson 01, each with the sentence that the grader reports when it recognizes the mistake.

Reading on spoils the exercises.
"""

import torch
from torch import Tensor

from ....noise import mix
from ...grader.expect import mistake

Generator = torch.Generator | None

# ---- 1.1 mix --------------------------------------------------------------------------------------------------------


@mistake("mix", "At level 0 the result is the noise instead of the clean image: the two are swapped.")
def swapped(clean: Tensor, noise: Tensor, noise_level: Tensor) -> Tensor:
    return torch.lerp(noise, clean, noise_level)


@mistake("mix", "The noise is added on top of the full image. The image should fade as the noise comes in.")
def added_on_top(clean: Tensor, noise: Tensor, noise_level: Tensor) -> Tensor:
    return clean + noise_level * noise


@mistake(
    "mix",
    "The noise is added on top of the full image. The sum is then clamped to 1, which hides that it isn't a blend.",
)
def added_and_clamped(clean: Tensor, noise: Tensor, noise_level: Tensor) -> Tensor:
    return (clean + noise_level * noise).clamp(0, 1)


@mistake("mix", "The image fades as the level rises, but the noise comes in at full strength at every level.")
def noise_at_full_strength(clean: Tensor, noise: Tensor, noise_level: Tensor) -> Tensor:
    return (1 - noise_level) * clean + noise


@mistake("mix", "Both the image and the noise are multiplied by the level, so at level 0 nothing is left of the image.")
def both_by_level(clean: Tensor, noise: Tensor, noise_level: Tensor) -> Tensor:
    return noise_level * clean + noise_level * noise


@mistake(
    "mix",
    "The weights are square roots, as for Gaussian noise. At level 0.5 they add up to 1.41, but a blend's weights add "
    "up to 1.",
)
def square_roots(clean: Tensor, noise: Tensor, noise_level: Tensor) -> Tensor:
    return (1 - noise_level).sqrt() * clean + noise_level.sqrt() * noise


@mistake(
    "mix", "The image loses the square of the level, but the noise gains the level, so the weights don't add up to 1."
)
def squared_level(clean: Tensor, noise: Tensor, noise_level: Tensor) -> Tensor:
    return (1 - noise_level**2) * clean + noise_level * noise


@mistake("mix", "The image and the noise are averaged half and half. The noise level isn't used.")
def level_ignored(clean: Tensor, noise: Tensor, noise_level: Tensor) -> Tensor:
    return (clean + noise) / 2


@mistake("mix", "All images are mixed at the level of the first image. Each image has its own level.")
def first_level_for_all(clean: Tensor, noise: Tensor, noise_level: Tensor) -> Tensor:
    return torch.lerp(clean, noise, noise_level[:1])


@mistake("mix", "All images are mixed at the mean of the levels. Each image has its own level.")
def mean_level_for_all(clean: Tensor, noise: Tensor, noise_level: Tensor) -> Tensor:
    return torch.lerp(clean, noise, noise_level.mean())


@mistake("mix", "The levels reach the images in the wrong order: the first image gets the last level.")
def levels_reversed(clean: Tensor, noise: Tensor, noise_level: Tensor) -> Tensor:
    return torch.lerp(clean, noise, noise_level.flip(0))


@mistake(
    "mix",
    "The level has lost its dimensions of size 1. The shape (N,) lines up with the columns of an image instead of the "
    "images.",
)
def bare_row(clean: Tensor, noise: Tensor, noise_level: Tensor) -> Tensor:
    return torch.lerp(clean, noise, noise_level.flatten())


@mistake(
    "mix", "At levels of 0.5 or more, the noise replaces the whole image. At lower levels, there is no noise at all."
)
def all_or_nothing(clean: Tensor, noise: Tensor, noise_level: Tensor) -> Tensor:
    return torch.where(noise_level >= 0.5, noise, clean)


@mistake("mix", "The noise is centered around 0 first, so at level 1 the result isn't the noise that was passed in.")
def centered_noise(clean: Tensor, noise: Tensor, noise_level: Tensor) -> Tensor:
    return torch.lerp(clean, noise - 0.5, noise_level)


@mistake("mix", "The result is stretched to fill the range from 0 to 1, which changes every pixel a second time.")
def normalized(clean: Tensor, noise: Tensor, noise_level: Tensor) -> Tensor:
    noisy = torch.lerp(clean, noise, noise_level)
    return (noisy - noisy.min()) / (noisy.max() - noisy.min())


@mistake("mix", "The result is written into `clean`. The caller's images must stay as they were.")
def in_place(clean: Tensor, noise: Tensor, noise_level: Tensor) -> Tensor:
    return clean.lerp_(noise, noise_level)


# ---- 1.2 sample_noise_levels ----------------------------------------------------------------------------------------


@mistake(
    "sample_noise_levels",
    "The levels have shape (n,), which lines up with the columns of an image instead of the images.",
)
def bare(n: int, *, generator: Generator = None, device: object = None) -> Tensor:
    return torch.rand(n, generator=generator, device=device)


@mistake(
    "sample_noise_levels",
    "The levels have shape (n, 1). Reaching rows and columns takes two more dimensions of size 1.",
)
def two_dimensions(n: int, *, generator: Generator = None, device: object = None) -> Tensor:
    return torch.rand(n, 1, generator=generator, device=device)


@mistake(
    "sample_noise_levels", "The n is at the end of the shape, so the levels go to the columns instead of the images."
)
def along_the_columns(n: int, *, generator: Generator = None, device: object = None) -> Tensor:
    return torch.rand(1, 1, 1, n, generator=generator, device=device)


@mistake("sample_noise_levels", "Only one level is drawn for the whole batch.")
def one_level(n: int, *, generator: Generator = None, device: object = None) -> Tensor:
    return torch.rand(1, 1, 1, 1, generator=generator, device=device)


@mistake("sample_noise_levels", "One level is drawn and repeated n times. Each image needs its own draw.")
def one_level_repeated(n: int, *, generator: Generator = None, device: object = None) -> Tensor:
    return torch.rand(1, 1, 1, 1, generator=generator, device=device).expand(n, 1, 1, 1)


@mistake("sample_noise_levels", "The levels are Gaussian, so half of them are below 0.")
def gaussian(n: int, *, generator: Generator = None, device: object = None) -> Tensor:
    return torch.randn(n, 1, 1, 1, generator=generator, device=device)


@mistake(
    "sample_noise_levels", "The levels are Gaussian and then clamped to [0, 1], so many of them are exactly 0 or 1."
)
def gaussian_clamped(n: int, *, generator: Generator = None, device: object = None) -> Tensor:
    return (0.5 + torch.randn(n, 1, 1, 1, generator=generator, device=device)).clamp(0, 1)


@mistake("sample_noise_levels", "The levels range from -1 to 1.")
def minus_one_to_one(n: int, *, generator: Generator = None, device: object = None) -> Tensor:
    return 2 * torch.rand(n, 1, 1, 1, generator=generator, device=device) - 1


@mistake("sample_noise_levels", "The levels stop at 0.5, so the network would never see the noisier half.")
def half_the_range(n: int, *, generator: Generator = None, device: object = None) -> Tensor:
    return 0.5 * torch.rand(n, 1, 1, 1, generator=generator, device=device)


@mistake("sample_noise_levels", "The levels are squared, which makes low levels far more frequent than high ones.")
def squared(n: int, *, generator: Generator = None, device: object = None) -> Tensor:
    return torch.rand(n, 1, 1, 1, generator=generator, device=device) ** 2


@mistake(
    "sample_noise_levels",
    "The levels are the same at every call. They should be drawn at random, from the generator that is passed in.",
)
def evenly_spaced(n: int, *, generator: Generator = None, device: object = None) -> Tensor:
    return torch.linspace(0, 1, n + 1, device=device)[:-1].view(n, 1, 1, 1)


@mistake("sample_noise_levels", "The levels are 0 or 1 and nothing in between.")
def coin_tosses(n: int, *, generator: Generator = None, device: object = None) -> Tensor:
    return torch.randint(0, 2, (n, 1, 1, 1), generator=generator, device=device).float()


@mistake(
    "sample_noise_levels", "The generator isn't passed to `torch.rand`, so the levels come from the global generator."
)
def generator_ignored(n: int, *, generator: Generator = None, device: object = None) -> Tensor:
    return torch.rand(n, 1, 1, 1, device=device)


@mistake("sample_noise_levels", "The generator is reseeded at each call, so every call draws the same levels.")
def generator_reseeded(n: int, *, generator: Generator = None, device: object = None) -> Tensor:
    if generator is not None:
        generator.manual_seed(0)
    return torch.rand(n, 1, 1, 1, generator=generator, device=device)


@mistake(
    "sample_noise_levels",
    "The function calls `torch.manual_seed`, so every program that uses the function repeats its random numbers.",
)
def everyone_reseeded(n: int, *, generator: Generator = None, device: object = None) -> Tensor:
    if generator is None:
        torch.manual_seed(0)
    return torch.rand(n, 1, 1, 1, generator=generator, device=device)


@mistake("sample_noise_levels", "`device` isn't passed on, so on a GPU the levels would stay behind on the CPU.")
def device_ignored(n: int, *, generator: Generator = None, device: object = None) -> Tensor:
    return torch.rand(n, 1, 1, 1, generator=generator)


# ---- 1.3 add_noise --------------------------------------------------------------------------------------------------

Pair = tuple[Tensor, Tensor]


def draw(clean: Tensor, generator: Generator) -> Pair:
    """Draw noise and levels in the usual order. The mistakes misuse them."""
    noise = torch.rand(clean.shape, generator=generator, dtype=clean.dtype)
    return noise, torch.rand(len(clean), 1, 1, 1, generator=generator).to(clean.dtype)


@mistake("add_noise", "The noise is Gaussian, so it leaves the range of the pixels. Here, noise is uniform.")
def gaussian_noise(clean: Tensor, *, generator: Generator = None) -> Pair:
    noise = torch.randn(clean.shape, generator=generator, dtype=clean.dtype)
    level = torch.rand(len(clean), 1, 1, 1, generator=generator).to(clean.dtype)
    return mix(clean, noise, level), level


@mistake("add_noise", "The noise ranges from -1 to 1, but pixels range from 0 to 1.")
def noise_from_minus_one(clean: Tensor, *, generator: Generator = None) -> Pair:
    noise, level = draw(clean, generator)
    return mix(clean, 2 * noise - 1, level), level


@mistake("add_noise", "The noise only goes up to 0.5, so images at level 1 are too dark.")
def weak_noise(clean: Tensor, *, generator: Generator = None) -> Pair:
    noise, level = draw(clean, generator)
    return mix(clean, noise / 2, level), level


@mistake("add_noise", "One level is drawn for the whole batch. Each image should have its own level.")
def one_level_for_all(clean: Tensor, *, generator: Generator = None) -> Pair:
    noise, level = draw(clean, generator)
    return mix(clean, noise, level[:1]), level[:1].expand(len(clean), 1, 1, 1)


@mistake("add_noise", "Each pixel has its own level, but the network gets one number for each image.")
def level_per_pixel(clean: Tensor, *, generator: Generator = None) -> Pair:
    noise, _ = draw(clean, generator)
    level = torch.rand(clean.shape, generator=generator, dtype=clean.dtype)
    return mix(clean, noise, level), level


@mistake("add_noise", "Each channel has its own level, but the network gets one number for each image.")
def level_per_channel(clean: Tensor, *, generator: Generator = None) -> Pair:
    noise, _ = draw(clean, generator)
    level = torch.rand(*clean.shape[:2], 1, 1, generator=generator, dtype=clean.dtype)
    return mix(clean, noise, level), level


@mistake("add_noise", "All images get the same noise. A network could memorize the noise and subtract it.")
def one_noise_for_all(clean: Tensor, *, generator: Generator = None) -> Pair:
    noise, level = draw(clean, generator)
    return mix(clean, noise[:1].expand_as(clean), level), level


@mistake("add_noise", "Red, green and blue get the same noise, so the noise is gray. Each channel needs its own noise.")
def gray_noise(clean: Tensor, *, generator: Generator = None) -> Pair:
    noise, level = draw(clean, generator)
    return mix(clean, noise[:, :1].expand_as(clean), level), level


@mistake(
    "add_noise",
    "The noise is one number for each image and channel, a tint rather than noise. Each pixel needs its own noise.",
)
def flat_noise(clean: Tensor, *, generator: Generator = None) -> Pair:
    noise, level = draw(clean, generator)
    return mix(clean, noise[:, :, :1, :1].expand_as(clean), level), level


@mistake(
    "add_noise", "The image and the noise are swapped: the higher the level that is returned, the cleaner the image."
)
def swapped_inside(clean: Tensor, *, generator: Generator = None) -> Pair:
    noise, level = draw(clean, generator)
    return mix(noise, clean, level), level


@mistake("add_noise", "The levels are drawn twice: once for mixing, and once more for returning.")
def level_drawn_twice(clean: Tensor, *, generator: Generator = None) -> Pair:
    noise, level = draw(clean, generator)
    return mix(clean, noise, level), torch.rand(len(clean), 1, 1, 1, generator=generator).to(clean.dtype)


@mistake("add_noise", "The noise is returned with the images. The network needs the noise level instead.")
def noise_returned(clean: Tensor, *, generator: Generator = None) -> Pair:
    noise, level = draw(clean, generator)
    return mix(clean, noise, level), noise


@mistake("add_noise", "Only the noisy images are returned, and the levels are lost.")
def level_forgotten(clean: Tensor, *, generator: Generator = None) -> Tensor:
    noise, level = draw(clean, generator)
    return mix(clean, noise, level)


@mistake("add_noise", "The two results are in the wrong order. The noisy images come first, then the levels.")
def wrong_order(clean: Tensor, *, generator: Generator = None) -> Pair:
    noise, level = draw(clean, generator)
    return level, mix(clean, noise, level)


@mistake("add_noise", "The levels are returned with shape (N,), which lines up with columns instead of images.")
def bare_level(clean: Tensor, *, generator: Generator = None) -> Pair:
    noise, level = draw(clean, generator)
    return mix(clean, noise, level), level.flatten()


@mistake(
    "add_noise", "The levels are drawn with shape (N,), which lines up with the columns of an image during mixing."
)
def bare_levels_mixed(clean: Tensor, *, generator: Generator = None) -> Pair:
    noise, level = draw(clean, generator)
    return mix(clean, noise, level.flatten()), level.flatten()


@mistake("add_noise", "The noise is added on top of the full image. In `mix`, the image fades as the noise comes in.")
def noise_added_on_top(clean: Tensor, *, generator: Generator = None) -> Pair:
    noise, level = draw(clean, generator)
    return clean + level * noise, level


@mistake("add_noise", "The noise is mixed into the caller's own images, in place.")
def noise_in_place(clean: Tensor, *, generator: Generator = None) -> Pair:
    noise, level = draw(clean, generator)
    return clean.lerp_(noise, level), level


@mistake("add_noise", "The generator is used for the levels but not for the noise.")
def generator_for_levels_only(clean: Tensor, *, generator: Generator = None) -> Pair:
    noise, level = torch.rand(clean.shape, dtype=clean.dtype), draw(clean, generator)[1]
    return mix(clean, noise, level), level


@mistake(
    "add_noise",
    "The generator isn't passed to the code that draws the levels, so the same seed gives different levels.",
)
def no_generator(clean: Tensor, *, generator: Generator = None) -> Pair:
    noise, level = draw(clean, None)
    return mix(clean, noise, level), level


@mistake("add_noise", "A fixed seed is set inside the function, so every batch gets the same noise.")
def reseeded_inside(clean: Tensor, *, generator: Generator = None) -> Pair:
    noise, level = draw(clean, torch.Generator().manual_seed(0))
    return mix(clean, noise, level), level


@mistake("add_noise", "The noise and the levels are float32, regardless of the dtype of `clean`.")
def always_float32(clean: Tensor, *, generator: Generator = None) -> Pair:
    noise = torch.rand(clean.shape, generator=generator, device=clean.device)
    level = torch.rand(len(clean), 1, 1, 1, generator=generator, device=clean.device)
    return clean * (1 - level) + level * noise, level


@mistake(
    "add_noise", "The noise or the levels are always made on the CPU, wherever the images are, which fails on a GPU."
)
def device_forgotten(clean: Tensor, *, generator: Generator = None) -> Pair:
    noise, level = draw(clean, generator)
    return mix(clean, noise, level), level


@mistake(
    "sample_noise_levels",
    "The levels are drawn somewhere else and then moved to `device`, which fails with a GPU's generator.",
)
def moved_to_the_device(n: int, *, generator: Generator = None, device: object = None) -> Tensor:
    return torch.rand(n, 1, 1, 1, generator=generator).to(device or "cpu")


@mistake("sample_noise_levels", "The levels are clamped near 0 and 1, so the network never sees an almost clean image.")
def cut_off(n: int, *, generator: Generator = None, device: object = None) -> Tensor:
    return torch.rand(n, 1, 1, 1, generator=generator, device=device).clamp(0.02, 0.98)


@mistake("sample_noise_levels", "The levels come in steps of 0.01. Any value between 0 and 1 should be possible.")
def hundredths(n: int, *, generator: Generator = None, device: object = None) -> Tensor:
    return torch.randint(0, 100, (n, 1, 1, 1), generator=generator, device=device) / 100


@mistake("sample_noise_levels", "The levels are n fixed values in random order, so a single level is always 0.")
def shuffled(n: int, *, generator: Generator = None, device: object = None) -> Tensor:
    return (torch.randperm(n, generator=generator, device=device) / n).view(n, 1, 1, 1)


@mistake(
    "sample_noise_levels",
    "The levels climb from the first image to the last. Each level should be drawn independently.",
)
def climbing(n: int, *, generator: Generator = None, device: object = None) -> Tensor:
    return ((torch.arange(n, device=device) + torch.rand(n, generator=generator, device=device)) / n).view(n, 1, 1, 1)
