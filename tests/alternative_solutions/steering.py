"""Right answers to lesson 06, each written in a different way. The grader must accept them all."""

import functools
import itertools
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from dino.noise import mix
from dino.sampler import denoise, extrapolate, noise_schedule, remix
from dino.steering import Denoiser
from dino.steering import guide as guided
from tests.alternative_solutions import answers

Generator = torch.Generator | None


# ---- ConditionalDenoiser --------------------------------------------------------------------------------------------


@answers("ConditionalDenoiser")
class Concatenating(nn.Module):
    def __init__(self, unet: nn.Module, n_words: int) -> None:
        super().__init__()
        self.inner = unet
        self.words = n_words

    def forward(self, noisy: Tensor, noise_level: Tensor, condition: Tensor | None = None) -> Tensor:
        n, c, h, w = noisy.shape
        if condition is None:
            planes = torch.zeros(n, self.words, h, w, dtype=noisy.dtype, device=noisy.device)
        else:
            planes = condition.to(noisy).view(-1, self.words, 1, 1) * torch.ones_like(noisy[:, :1])
        return self.inner(torch.cat((noisy, planes), 1), noise_level)[:, :c]


@answers("ConditionalDenoiser")
class FillingIn(nn.Module):
    def __init__(self, unet: nn.Module, n_words: int) -> None:
        super().__init__()
        self.network, self.n_words = unet, n_words

    def forward(self, noisy: Tensor, noise_level: Tensor, condition: Tensor | None = None) -> Tensor:
        n, channels, *size = noisy.shape
        x = noisy.new_zeros((n, channels + self.n_words, *size))
        x[:, :channels] = noisy
        if condition is not None:
            x[:, channels:] = condition[..., None, None].to(noisy)
        return self.network(x, noise_level).narrow(1, 0, channels)


@answers("ConditionalDenoiser")
class PlaneByPlane(nn.Module):
    def __init__(self, unet: nn.Module, n_words: int) -> None:
        super().__init__()
        self.add_module("net", unet)
        self.n_words = n_words

    def forward(self, noisy: Tensor, noise_level: Tensor, condition: Tensor | None = None) -> Tensor:
        channels = list(noisy.unbind(1))
        how_many = len(channels)
        for word in range(self.n_words):
            plane = torch.zeros_like(channels[0])
            if condition is not None:
                plane = plane + condition[:, word].to(noisy).view(-1, 1, 1)
            channels.append(plane)
        return self.net(torch.stack(channels, 1), noise_level)[:, 0:how_many, :, :]


@answers("ConditionalDenoiser")
class Repeating(nn.Module):
    def __init__(self, unet: nn.Module, n_words: int) -> None:
        super().__init__()
        self.parts = nn.ModuleList([unet])
        self.register_buffer("nothing", torch.zeros(1, n_words), persistent=False)

    def forward(self, noisy: Tensor, noise_level: Tensor, condition: Tensor | None = None) -> Tensor:
        words = (
            torch.zeros_like(noisy[:1, 0, :1, 0]).repeat(1, self.nothing.shape[1]) if condition is None else condition
        ).to(noisy)
        if len(words) == 1:
            words = words.repeat(len(noisy), 1)
        planes = words.reshape(*words.shape, 1, 1).repeat(1, 1, *noisy.shape[2:])
        denoised = self.parts[0](torch.hstack([noisy, planes]), noise_level)
        return denoised.split([noisy.shape[1], denoised.shape[1] - noisy.shape[1]], dim=1)[0]


@answers("ConditionalDenoiser")
class Padding(nn.Module):
    def __init__(self, unet: nn.Module, n_words: int) -> None:
        super().__init__()
        self.unet = nn.Sequential()
        self.unet.append(unet)
        self.n = n_words

    def forward(self, noisy: Tensor, noise_level: Tensor, condition: Tensor | None = None) -> Tensor:
        x = nn.functional.pad(noisy, (0, 0, 0, 0, 0, self.n))
        if condition is not None:
            c = noisy.shape[1]
            x = torch.cat([x[:, :c], x[:, c:] + torch.einsum("nk->nk", condition.to(noisy))[:, :, None, None]], dim=1)
        return self.unet[0](x, noise_level)[:, : noisy.shape[1]]


# ---- drop_conditions ------------------------------------------------------------------------------------------------


@answers("drop_conditions")
def by_where(condition: Tensor, share: float, *, generator: Generator = None) -> Tensor:
    dropped = torch.rand((condition.shape[0], 1), generator=generator, device=condition.device) < share
    return torch.where(dropped, torch.zeros_like(condition), condition)


@answers("drop_conditions")
def by_masked_fill(condition: Tensor, share: float, *, generator: Generator = None) -> Tensor:
    random = torch.rand(len(condition), generator=generator, device=condition.device)
    return condition.masked_fill((random < share).unsqueeze(1), 0)


@answers("drop_conditions")
def by_index(condition: Tensor, share: float, *, generator: Generator = None) -> Tensor:
    result = condition.clone()
    result[torch.rand(len(result), generator=generator, device=result.device) < share] = 0.0
    return result


@answers("drop_conditions")
def by_bernoulli(condition: Tensor, share: float, *, generator: Generator = None) -> Tensor:
    chances = torch.full((len(condition), 1), 1.0 - share, dtype=condition.dtype, device=condition.device)
    return condition * torch.bernoulli(chances, generator=generator)


@answers("drop_conditions")
def row_by_row(condition: Tensor, share: float, *, generator: Generator = None) -> Tensor:
    rows = []
    for row, number in zip(
        condition, torch.rand(len(condition), generator=generator, device=condition.device).tolist()
    ):
        rows.append(row if number > share or share == 0 else 0 * row)
    return torch.stack(rows)


@answers("drop_conditions")
def from_the_other_end(condition: Tensor, share: float, *, generator: Generator = None) -> Tensor:
    random = torch.rand(len(condition), 1, generator=generator, device=condition.device, dtype=torch.float64)
    return condition * (random < 1 - share).to(condition)


# ---- guide ----------------------------------------------------------------------------------------------------------


@answers("guide")
def as_a_sum(unconditional: Tensor, conditional: Tensor, guidance: float) -> Tensor:
    return unconditional + guidance * (conditional - unconditional)


@answers("guide")
def by_weights(unconditional: Tensor, conditional: Tensor, guidance: float) -> Tensor:
    return guidance * conditional + (1 - guidance) * unconditional


@answers("guide")
def from_the_asked_one(unconditional: Tensor, conditional: Tensor, guidance: float) -> Tensor:
    return conditional + (guidance - 1) * (conditional - unconditional)


@answers("guide")
def from_the_other_side(unconditional: Tensor, conditional: Tensor, guidance: float) -> Tensor:
    return torch.lerp(conditional, unconditional, 1 - guidance)


@answers("guide")
def stacked(unconditional: Tensor, conditional: Tensor, guidance: float) -> Tensor:
    weights = torch.tensor([1 - guidance, guidance], dtype=conditional.dtype, device=conditional.device)
    return torch.einsum("k,k...->...", weights, torch.stack([unconditional, conditional]))


# ---- asking ---------------------------------------------------------------------------------------------------------


@answers("asking")
def with_a_lambda(model: nn.Module, condition: Tensor, guidance: float = 1.0) -> nn.Module:
    if guidance == 0:
        return Denoiser(model, lambda noisy, noise_level: model(noisy, noise_level, None))
    if guidance == 1:
        return Denoiser(model, lambda noisy, noise_level: model(noisy, noise_level, condition))
    return Denoiser(
        model,
        lambda noisy, noise_level: guided(model(noisy, noise_level), model(noisy, noise_level, condition), guidance),
    )


class Asking(nn.Module):
    def __init__(self, model: nn.Module, condition: Tensor, guidance: float) -> None:
        super().__init__()
        self.model, self.condition, self.guidance = model, condition, guidance

    def forward(self, noisy: Tensor, noise_level: Tensor) -> Tensor:
        parts = []
        if self.guidance != 1:
            parts.append((1 - self.guidance) * self.model(noisy, noise_level, None))
        if self.guidance != 0:
            parts.append(self.guidance * self.model(noisy, noise_level, self.condition))
        return sum(parts[1:], parts[0])


@answers("asking")
def as_a_module(model: nn.Module, condition: Tensor, guidance: float = 1.0) -> nn.Module:
    return Asking(model, condition, guidance)


@answers("asking")
def in_one_batch(model: nn.Module, condition: Tensor, guidance: float = 1.0) -> nn.Module:
    def predict(noisy: Tensor, noise_level: Tensor) -> Tensor:
        if guidance in (0, 1):
            return model(noisy, noise_level, guidance * condition)
        words = condition.expand(len(noisy), -1)
        both = model(torch.cat([noisy, noisy]), noise_level, torch.cat([words * 0, words]))
        free, asked = both.chunk(2)
        return free + guidance * (asked - free)

    return Denoiser(model, predict)


@answers("asking")
def without_words_as_zeros(model: nn.Module, condition: Tensor, guidance: float = 1.0) -> nn.Module:
    nothing = torch.zeros_like(condition)

    def predict(noisy: Tensor, noise_level: Tensor) -> Tensor:
        asked = model(noisy, noise_level, condition) if guidance != 0 else None
        if guidance == 1:
            return asked
        free = model(noisy, noise_level, nothing)
        return free if asked is None else torch.lerp(free, asked, float(guidance))

    return Denoiser(model, predict)


def _predict(model: Any, condition: Tensor, guidance: float, noisy: Tensor, noise_level: Tensor) -> Tensor:
    if guidance == 1.0:
        return model(noisy, noise_level, condition)
    free = model(noisy, noise_level, None)
    return free if guidance == 0 else guided(free, model(noisy, noise_level, condition), guidance)


@answers("asking")
def by_partial(model: nn.Module, condition: Tensor, guidance: float = 1.0) -> nn.Module:
    return Denoiser(model, functools.partial(_predict, model, condition.clone(), guidance))


@answers("asking")
def per_row(model: nn.Module, condition: Tensor, guidance: float = 1.0) -> nn.Module:
    weights = {0: (1, 0), 1: (0, 1)}.get(guidance, (1 - guidance, guidance))

    def predict(noisy: Tensor, noise_level: Tensor) -> Tensor:
        words = (None, condition)
        return torch.stack([w * model(noisy, noise_level, words[k]) for k, w in enumerate(weights) if w]).sum(0)

    return Denoiser(model, predict)


# ---- keeping --------------------------------------------------------------------------------------------------------


@answers("keeping")
def by_multiplying(denoiser: nn.Module, known: Tensor, mask: Tensor) -> nn.Module:
    def predict(noisy: Tensor, noise_level: Tensor) -> Tensor:
        m = mask.to(noisy)
        return m * known + (1 - m) * denoiser(noisy, noise_level)

    return Denoiser(denoiser, predict)


@answers("keeping")
def by_lerp(denoiser: nn.Module, known: Tensor, mask: Tensor) -> nn.Module:
    return Denoiser(denoiser, lambda noisy, level: torch.lerp(denoiser(noisy, level), known, mask.to(noisy)))


@answers("keeping")
def by_writing(denoiser: nn.Module, known: Tensor, mask: Tensor) -> nn.Module:
    def predict(noisy: Tensor, noise_level: Tensor) -> Tensor:
        denoised = denoiser(noisy, noise_level).clone()
        whole = mask.expand_as(denoised)
        denoised[whole] = known.expand_as(denoised)[whole]
        return denoised

    return Denoiser(denoiser, predict)


class Keeping(nn.Module):
    def __init__(self, inner: nn.Module, known: Tensor, mask: Tensor) -> None:
        super().__init__()
        self.inner = inner
        self.register_buffer("known", known)
        self.register_buffer("unknown", ~mask)

    def forward(self, noisy: Tensor, noise_level: Tensor) -> Tensor:
        return self.inner(noisy, noise_level).where(self.unknown, self.known)


@answers("keeping")
def as_a_module_too(denoiser: nn.Module, known: Tensor, mask: Tensor) -> nn.Module:
    return Keeping(denoiser, known, mask)


@answers("keeping")
def picture_by_picture(denoiser: nn.Module, known: Tensor, mask: Tensor) -> nn.Module:
    def predict(noisy: Tensor, noise_level: Tensor) -> Tensor:
        denoised = denoiser(noisy, noise_level)
        whole, pictures = mask.expand(len(noisy), -1, -1, -1), known.expand_as(noisy)
        return torch.stack([torch.where(m, k, d) for m, k, d in zip(whole, pictures, denoised)])

    return Denoiser(denoiser, predict)


@answers("keeping")
def as_a_correction(denoiser: nn.Module, known: Tensor, mask: Tensor) -> nn.Module:
    def predict(noisy: Tensor, noise_level: Tensor) -> Tensor:
        denoised = denoiser(noisy, noise_level)
        return denoised + (known - denoised) * mask

    return Denoiser(denoiser, predict)


# ---- vary -----------------------------------------------------------------------------------------------------------


def noise_like(images: Tensor, generator: Generator) -> Tensor:
    return torch.rand(images.shape, generator=generator, device=images.device, dtype=images.dtype)


@answers("vary")
def by_hand(
    denoiser: nn.Module,
    images: Tensor,
    noise_level: float,
    *,
    schedule: Tensor | None = None,
    step_size: float = 2.0,
    generator: Generator = None,
) -> Tensor:
    noisy = (1 - noise_level) * images + noise_level * noise_like(images, generator)
    schedule = torch.linspace(1, 0, 101) if schedule is None else schedule
    *_, last = denoise(denoiser, noisy, schedule * noise_level, step_size)
    return last.noisy.clamp(0, 1)


@answers("vary")
def with_a_list(
    denoiser: nn.Module,
    images: Tensor,
    noise_level: float,
    *,
    schedule: Tensor | None = None,
    step_size: float = 2.0,
    generator: Generator = None,
) -> Tensor:
    if schedule is None:
        schedule = noise_schedule(100)
    levels = [noise_level * float(x) for x in schedule]
    x = torch.lerp(images, noise_like(images, generator), noise_level)
    for step in denoise(denoiser, x, levels, step_size=step_size):
        x = step.noisy
    return torch.clamp(x, min=0.0, max=1.0)


@answers("vary")
def without_denoise(
    denoiser: nn.Module,
    images: Tensor,
    noise_level: float,
    *,
    schedule: Tensor | None = None,
    step_size: float = 2.0,
    generator: Generator = None,
) -> Tensor:
    levels = noise_level * (noise_schedule(100) if schedule is None else schedule)
    levels = levels.to(images).view(-1, 1, 1, 1, 1)
    noisy, previous = mix(images, noise_like(images, generator), levels[0]), None
    with torch.no_grad():
        for here, there in itertools.pairwise(levels):
            denoised = denoiser(noisy, here)
            noisy = remix(noisy, extrapolate(denoised, previous, step_size), here, there)
            previous = denoised
    return noisy.clip(0, 1)


@answers("vary")
def a_level_for_each(
    denoiser: nn.Module,
    images: Tensor,
    noise_level: float,
    *,
    schedule: Tensor | None = None,
    step_size: float = 2.0,
    generator: Generator = None,
) -> Tensor:
    n = len(images)
    noisy = mix(images, noise_like(images, generator), images.new_full((n, 1, 1, 1), noise_level))
    schedule = noise_schedule(100) if schedule is None else schedule
    steps = list(denoise(denoiser, noisy, schedule.mul(noise_level), step_size))
    return steps[-1].noisy.clamp(0, 1)


@answers("vary")
def as_drawn_by_generate(
    denoiser: nn.Module,
    images: Tensor,
    noise_level: float,
    *,
    schedule: Tensor | None = None,
    step_size: float = 2.0,
    generator: Generator = None,
) -> Tensor:
    noise = images.new_empty(images.shape).uniform_(0, 1, generator=generator)
    noisy = images + noise_level * (noise - images)
    steps = denoise(
        denoiser, noisy, noise_level * (schedule if schedule is not None else noise_schedule(100)), step_size
    )
    return functools.reduce(lambda _, step: step.noisy, steps, noisy).clamp(0, 1)


# ---- my_own ---------------------------------------------------------------------------------------------------------


@answers("my_own")
def four_flips(denoiser: nn.Module) -> nn.Module:
    def predict(noisy: Tensor, noise_level: Tensor) -> Tensor:
        turns = [(), (-1,), (-2,), (-1, -2)]
        return sum(denoiser(noisy.flip(t), noise_level).flip(t) for t in turns) / 4

    return Denoiser(denoiser, predict)


@answers("my_own")
def flips_in_one_batch(denoiser: nn.Module) -> nn.Module:
    def predict(noisy: Tensor, noise_level: Tensor) -> Tensor:
        straight, mirrored = denoiser(torch.cat([noisy, noisy.flip(-1)]), noise_level).chunk(2)
        return (straight + mirrored.flip(-1)) / 2

    return Denoiser(denoiser, predict)


@answers("my_own")
def upside_down(denoiser: nn.Module) -> nn.Module:
    """The same when it is turned upside down."""

    def predict(noisy: Tensor, noise_level: Tensor) -> Tensor:
        denoised = denoiser(noisy, noise_level)
        return (denoised + denoised.flip(-1, -2)) / 2

    return Denoiser(denoiser, predict)


@answers("my_own")
def palette(denoiser: nn.Module) -> nn.Module:
    """Four colors."""
    colors = torch.tensor([[1.0, 1, 1], [0.1, 0.1, 0.1], [0.9, 0.3, 0.2], [0.2, 0.6, 0.4]])

    def predict(noisy: Tensor, noise_level: Tensor) -> Tensor:
        denoised = denoiser(noisy, noise_level)
        apart = (denoised[:, None] - colors.to(noisy)[None, :, :, None, None]).square().sum(2)
        return colors.to(noisy)[apart.argmin(1)].permute(0, 3, 1, 2)

    return Denoiser(denoiser, predict)


@answers("my_own")
def poster(denoiser: nn.Module) -> nn.Module:
    """Few brightness levels, by way of NumPy."""

    def predict(noisy: Tensor, noise_level: Tensor) -> Tensor:
        return torch.from_numpy(np.round(denoiser(noisy, noise_level).numpy(force=True) * 3) / 3).to(noisy)

    return Denoiser(denoiser, predict)


@answers("my_own")
def contrast(denoiser: nn.Module) -> nn.Module:
    """The numbers of each picture, stretched to the whole range: a shift of all of them changes nothing."""

    def predict(noisy: Tensor, noise_level: Tensor) -> Tensor:
        denoised = denoiser(noisy, noise_level)
        lowest, highest = (extreme(denoised, dim=(1, 2, 3), keepdim=True) for extreme in (torch.amin, torch.amax))
        return (denoised - lowest) / (highest - lowest)

    return Denoiser(denoiser, predict)


@answers("my_own")
def gray(denoiser: nn.Module) -> nn.Module:
    def predict(noisy: Tensor, noise_level: Tensor) -> Tensor:
        return denoiser(noisy, noise_level).mean(1, keepdim=True).expand_as(noisy)

    return Denoiser(denoiser, predict)


@answers("my_own")
def tile(denoiser: nn.Module) -> nn.Module:
    """Continues on its other side."""

    def predict(noisy: Tensor, noise_level: Tensor) -> Tensor:
        half = noisy.shape[-1] // 2
        rolled = denoiser(noisy.roll((half, half), (-1, -2)), noise_level).roll((-half, -half), (-1, -2))
        return (denoiser(noisy, noise_level) + rolled) / 2

    return Denoiser(denoiser, predict)


@answers("my_own")
def early_alone(denoiser: nn.Module) -> nn.Module:
    """Symmetric while it is decided what the picture shows, and free after that."""

    def predict(noisy: Tensor, noise_level: Tensor) -> Tensor:
        denoised = denoiser(noisy, noise_level)
        return torch.where(noise_level > 0.5, (denoised + denoised.flip(-1)) / 2, denoised)

    return Denoiser(denoiser, predict)


class Quarters(nn.Module):
    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner = inner

    def forward(self, noisy: Tensor, noise_level: Tensor) -> Tensor:
        """Four turns by a quarter."""
        turned: list[Callable[[Tensor], Tensor]] = [
            functools.partial(torch.rot90, k=k, dims=(-2, -1)) for k in range(4)
        ]
        back = [functools.partial(torch.rot90, k=-k, dims=(-2, -1)) for k in range(4)]
        return torch.stack([b(self.inner(t(noisy), noise_level)) for t, b in zip(turned, back)]).mean(0)


@answers("my_own")
def quarter_turns(denoiser: nn.Module) -> nn.Module:
    return Quarters(denoiser)
