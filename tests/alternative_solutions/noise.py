"""Right answers to lesson 01, each written differently. The grader must accept all of them."""

import math

import torch
from torch import Tensor

from tests.alternative_solutions import answers

Generator = torch.Generator | None
Device = torch.device | str | None


@answers("mix")
def weights(clean: Tensor, noise: Tensor, noise_level: Tensor) -> Tensor:
    return (1 - noise_level) * clean + noise_level * noise


@answers("mix")
def along_the_line(clean: Tensor, noise: Tensor, noise_level: Tensor) -> Tensor:
    return clean + noise_level * (noise - clean)


@answers("mix")
def from_the_noise(x: Tensor, e: Tensor, t: Tensor) -> Tensor:
    return torch.lerp(e, x, 1 - t)


@answers("mix")
def image_by_image(clean: Tensor, noise: Tensor, noise_level: Tensor) -> Tensor:
    return torch.stack([c * (1 - t) + n * t for c, n, t in zip(clean, noise, noise_level.flatten())])


@answers("mix")
def by_einsum(clean: Tensor, noise: Tensor, noise_level: Tensor) -> Tensor:
    weights = torch.cat([1 - noise_level, noise_level], dim=1)[:, :, 0, 0]
    return torch.einsum("nk,knchw->nchw", weights, torch.stack([clean, noise]))


@answers("mix")
def on_a_copy(clean: Tensor, noise: Tensor, noise_level: Tensor) -> Tensor:
    noisy = clean.clone()
    noisy.mul_(1 - noise_level).add_(noise_level * noise)
    return noisy.clamp(0, 1)  # has no effect on values in [0, 1]


@answers("mix")
def by_addcmul(clean: Tensor, noise: Tensor, noise_level: Tensor) -> Tensor:
    return torch.addcmul(clean, noise_level.expand_as(clean), noise.sub(clean))


@answers("sample_noise_levels")
def rand(n: int, *, generator: Generator = None, device: Device = None) -> Tensor:
    return torch.rand((n, 1, 1, 1), generator=generator, device=device)


@answers("sample_noise_levels")
def rand_and_view(n: int, *, generator: Generator = None, device: Device = None) -> Tensor:
    return torch.rand(n, generator=generator, device=device).view(-1, 1, 1, 1)


@answers("sample_noise_levels")
def rand_and_none(n: int, *, generator: Generator = None, device: Device = None) -> Tensor:
    return torch.rand(n, generator=generator, device=device)[:, None, None, None]


@answers("sample_noise_levels")
def uniform_in_place(n: int, *, generator: Generator = None, device: Device = None) -> Tensor:
    return torch.empty(n, 1, 1, 1, device=device).uniform_(0, 1, generator=generator)


@answers("sample_noise_levels")
def from_below_one(n: int, *, generator: Generator = None, device: Device = None) -> Tensor:
    levels = torch.rand(n, generator=generator, device=device)
    return (1 - 2**-24 - levels).clamp(min=0).reshape(n, 1, 1, 1)


@answers("sample_noise_levels")
def drawn_one_by_one(n: int, *, generator: Generator = None, device: Device = None) -> Tensor:
    return torch.cat([torch.rand(1, 1, 1, 1, generator=generator, device=device) for _ in range(n)])


@answers("sample_noise_levels")
def keywords_as_a_dictionary(n: int, *, generator: Generator = None, device: Device = None) -> Tensor:
    options = {"generator": generator, "device": device, "dtype": torch.float32}
    return torch.rand(1, n, **options).T.unsqueeze(-1).unsqueeze(-1)


@answers("add_noise")
def level_first(clean: Tensor, *, generator: Generator = None) -> tuple[Tensor, Tensor]:
    level = torch.rand(len(clean), 1, 1, 1, generator=generator, device=clean.device, dtype=clean.dtype)
    noise = torch.rand(clean.shape, generator=generator, device=clean.device, dtype=clean.dtype)
    return (1 - level) * clean + level * noise, level


@answers("add_noise")
def image_after_image(clean: Tensor, *, generator: Generator = None) -> tuple[Tensor, Tensor]:
    noisy, levels = [], []
    for image in clean:
        level = torch.rand(1, 1, 1, generator=generator, device=image.device).to(image)
        noise = torch.rand(image.shape, generator=generator, device=image.device).to(image)
        noisy.append(torch.lerp(image, noise, level))
        levels.append(level)
    return torch.stack(noisy), torch.stack(levels)


@answers("add_noise")
def in_one_draw(clean: Tensor, *, generator: Generator = None) -> tuple[Tensor, Tensor]:
    n, size = len(clean), math.prod(clean.shape[1:])
    numbers = torch.rand(n, size + 1, generator=generator, dtype=clean.dtype, device=clean.device)
    level, noise = numbers[:, :1].view(n, 1, 1, 1), numbers[:, 1:].view(clean.shape)
    return clean + (noise - clean) * level, level


@answers("add_noise")
def uniform_into_empty(clean: Tensor, *, generator: Generator = None) -> tuple[Tensor, Tensor]:
    noise = torch.empty_like(clean).uniform_(generator=generator)
    level = clean.new_empty(clean.shape[0], 1, 1, 1).uniform_(generator=generator)
    return clean.lerp(noise, level), level


@answers("add_noise")
def channels_last(clean: Tensor, *, generator: Generator = None) -> tuple[Tensor, Tensor]:
    options = {"generator": generator, "dtype": clean.dtype, "device": clean.device}
    noise = torch.rand(clean.movedim(1, -1).shape, **options).movedim(-1, 1)
    level = torch.rand(len(clean), **options)[:, None, None, None]
    return clean * (1 - level) + noise * level, level


@answers("add_noise")
def with_a_helper(clean: Tensor, *, generator: Generator = None) -> tuple[Tensor, Tensor]:
    def uniform(*shape: int) -> Tensor:
        return torch.rand(shape, generator=generator, dtype=clean.dtype, device=clean.device)

    noise, level = uniform(*clean.shape), uniform(len(clean), 1, 1, 1)
    return torch.where(level > 0, clean + level * (noise - clean), clean), level
