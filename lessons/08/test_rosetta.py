"""Grader for lesson 08: the properties of eight formulas from other people's papers, most of them equal to `remix`."""

from collections.abc import Callable, Sequence
from itertools import pairwise
from types import ModuleType
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from dino.course.grader.contact_sheet import Panel, emoji
from dino.course.grader.expect import (
    advice,
    afterward,
    all_as_evidence,
    copies,
    expect,
    expect_close,
    expect_tensor,
    number,
)
from dino.noise import mix
from dino.rosetta import (
    GaussianMixture,
    denoised_from_noise,
    edm_denoiser,
    from_alpha_bar,
    from_variance_exploding,
    from_variance_preserving,
    to_sigma,
    variance_exploding,
    variance_preserving,
)
from dino.rosetta import predicted_noise as noise_of
from dino.rosetta import to_alpha_bar as alpha_of
from dino.sampler import remix

# N, C, H and W all differ, so that broadcasting along the wrong dimension shows.
N, C, H, W = 6, 3, 4, 5
# In multiples of the largest number. No level is below 0.2, so a safeguard such as `/ (noise_level**2 + 1e-8)` does no
# harm.
NEAR = 1e-6


class Case(NamedTuple):
    """One call of an answer: what should hold, its arguments, and its result."""

    says: str
    given: dict[str, Tensor]
    want: Tensor


def expect_cases(answer: Callable[..., Tensor], name: str, cases: Sequence[Case]) -> None:
    """Check the results of several calls, first in float64, and the first of them in float32.

    Args:
        answer: the learner's function.
        name: what it is called.
        cases: its calls. Those whose failure says most come first.
    """

    def result_of(given: dict[str, Tensor], want: Tensor) -> Tensor:
        with copies(**given) as arguments:
            result = expect_tensor(answer(*arguments), f"The result of `{name}`", want.shape, finite=False).clone()
        with afterward():
            expect_tensor(result, f"The result of `{name}`", dtype=want.dtype, finite=False)
        return result

    results = [result_of(case.given, case.want) for case in cases]
    with all_as_evidence(results):
        for case, result in zip(cases, results, strict=True):
            near = NEAR * max(1.0, case.want.abs().max().item())
            expect_close(result, case.want, case.says, tolerance=near)
    single, want = {key: value.float() for key, value in cases[0].given.items()}, cases[0].want.float()
    says = f"In float32, `{name}` should give the same result up to rounding."
    expect_close(result_of(single, want), want, says)


# ---- 8.1 to 8.4: what the network predicts --------------------------------------------------------------------------


def test_predicted_noise(predicted_noise: Callable[..., Tensor], seed: int) -> None:
    """8.1: the noise that is left if the predicted image is taken out of noisy images."""
    clean, noise, other, levels = drawn(seed)
    true = "If `denoised` is the true image, the result should be the noise that was mixed in."
    pure = "At noise level 1, the result should be `noisy`, whatever `denoised` is."
    wild = "Mixing `denoised` with the result should give `noisy` again, whatever `denoised` is."

    def case(says: str, noisy: Tensor, denoised: Tensor, t: Tensor) -> Case:
        want = noisy + (1 - t) / t * (noisy - denoised)  # beyond `noisy`, on the line that comes from `denoised`
        return Case(says, {"noisy": noisy, "denoised": denoised, "noise_level": t}, want)

    expect_cases(
        predicted_noise,
        "predicted_noise",
        [
            case(true, mix(clean, noise, levels), clean, levels),
            case(true, mix(clean, noise, level(0.3)), clean, level(0.3)),
            case(pure, noise, other, level(1)),
            case(wild, noise, other, levels),
        ],
    )


def test_denoised_from_velocity(denoised_from_velocity: Callable[..., Tensor], seed: int) -> None:
    """8.2: the image at the end of a straight line, from a point on it and the direction."""
    clean, noise, other, levels = drawn(seed)
    true = "If `velocity` is the true noise minus the true image, the result should be the true image."
    start = "At noise level 0, the result should be `noisy`, whatever `velocity` is."
    pure = "At noise level 1, where `noisy` is pure noise, the result should be `noisy` minus `velocity`."
    wild = "The result should be as far from `noisy` as `velocity` goes in `noise_level`, whatever `velocity` is."

    def case(says: str, noisy: Tensor, velocity: Tensor, t: Tensor, want: Tensor) -> Case:
        return Case(says, {"noisy": noisy, "velocity": velocity, "noise_level": t}, want)

    expect_cases(
        denoised_from_velocity,
        "denoised_from_velocity",
        [
            case(true, mix(clean, noise, levels), noise - clean, levels, clean),
            case(true, mix(clean, noise, level(0.3)), noise - clean, level(0.3), clean),
            case(pure, noise, noise - clean, level(1), clean),
            case(start, clean, other, level(0), clean),
            case(wild, noise, other, levels, noise - levels * other),
        ],
    )


def test_rectified_flow_step(rectified_flow_step: Callable[..., Tensor], seed: int) -> None:
    """8.3: along the predicted direction, from one time to the next."""
    clean, noise, other, levels = drawn(seed)
    true = "If `v` is the true image minus the true noise, the result should be their blend at `next_t`."
    end = "If `next_t` is 1 and `v` is true, the result should be the image."
    same = "If `next_t` equals `t`, the result should be `z`."
    wild = "With the `v` of any prediction, the result should be what `remix` gives."
    some = (0.5 * levels.view(-1)[:2]).tolist()

    def case(says: str, z: Tensor, image: Tensor, t: float, next_t: float) -> Case:
        """The v that leads to `image` at time 1."""
        v = (image - z) / (1 - t)
        want = remix(z, image, level(1 - t), level(1 - next_t))
        return Case(says, {"z": z, "v": v, "t": level(t), "next_t": level(next_t)}, want)

    expect_cases(
        rectified_flow_step,
        "rectified_flow_step",
        [
            case(true, mix(clean, noise, level(0.8)), clean, 0.2, 0.6),
            case(true, noise, clean, 0.0, 0.3),
            case(end, mix(clean, noise, level(0.4)), clean, 0.6, 1.0),
            case(same, noise, other, 0.5, 0.5),
            case(wild, noise, other, min(some), max(some) + 0.4),
        ],
    )


def test_predicted_score(predicted_score: Callable[..., Tensor], seed: int) -> None:
    """8.4: the gradient of the log-density, on mixtures of Gaussian distributions, whose density is known."""
    clean, noise, other, levels = drawn(seed)
    single = GaussianMixture(clean[:1], torch.zeros(1, dtype=torch.float64))
    several = GaussianMixture(other[:3], torch.tensor([0.2, 0.5, 1.0], dtype=torch.float64))
    one = "If a single image is possible, the result should be the gradient of the log of a normal distribution."
    pure = "At noise level 1, the result should be minus `noisy`."
    many = "The result should be the gradient of log p(x; t), also where many images are possible."

    def case(says: str, images: GaussianMixture, noisy: Tensor, t: Tensor) -> Case:
        x = noisy.clone().requires_grad_()
        with torch.enable_grad():
            (gradient,) = torch.autograd.grad(images.log_density(x, t).sum(), x)
        return Case(says, {"noisy": noisy, "denoised": images(noisy, t), "noise_level": t}, gradient)

    expect_cases(
        predicted_score,
        "predicted_score",
        [
            case(one, single, mix(clean[:1].expand_as(noise), noise, levels), levels),
            case(one, single, noise, level(0.4)),
            case(pure, several, noise, level(1)),
            case(many, several, mix(clean, noise, levels), levels),
        ],
    )


# ---- 8.5: levels ----------------------------------------------------------------------------------------------------


def test_to_alpha_bar(to_alpha_bar: Callable[[Tensor], Tensor], seed: int) -> None:
    """8.5: the weights of image and noise with the same proportion, whose squares add up to 1."""
    zero, one, half = (torch.tensor([value], dtype=torch.float64) for value in (0, 1, 0.5))
    some = torch.rand(7, generator=seeded(seed), dtype=torch.float64)
    known = torch.tensor([0.25, 0.75, 0.2, 1 / 3], dtype=torch.float64)
    in_proportion = "sqrt(alpha-bar) and sqrt(1 - alpha-bar) should have the proportion of 1 - t and t."

    def want(t: Tensor) -> Tensor:
        return torch.cos(torch.atan2(t, 1 - t)) ** 2  # the angle whose tangent is t / (1 - t)

    expect_cases(
        to_alpha_bar,
        "to_alpha_bar",
        [
            Case("At level 0 there is no noise, and alpha-bar should be 1.", {"noise_level": zero}, 1 - zero),
            Case("At level 1 there is only noise, and alpha-bar should be 0.", {"noise_level": one}, 1 - one),
            Case("At level 0.5, image and noise have the same weight, and alpha-bar should be 0.5.",
                 {"noise_level": half}, half),
            Case(in_proportion, {"noise_level": known}, torch.tensor([0.9, 0.1, 16 / 17, 0.8], dtype=torch.float64)),
            Case(in_proportion, {"noise_level": some}, want(some)),
            Case(in_proportion, {"noise_level": some.view(7, 1, 1, 1)}, want(some.view(7, 1, 1, 1))),
        ],
    )  # fmt: skip
    scalar = expect_tensor(to_alpha_bar(torch.tensor(0.25)), "The result of `to_alpha_bar` for one number", ())
    with afterward():
        expect_tensor(scalar, "The result of `to_alpha_bar` for one number", dtype=torch.float32)


# ---- 8.6 to 8.8: one step -------------------------------------------------------------------------------------------


def blended(image: Tensor, noise: Tensor, alpha: Tensor) -> Tensor:
    """Return noisy images in the coordinates of DDPM and DDIM."""
    return alpha.sqrt() * image + (1 - alpha).sqrt() * noise


def test_ddim_step(ddim_step: Callable[..., Tensor], seed: int) -> None:
    """8.6: the predicted image and the predicted noise, mixed anew."""
    clean, noise, other, levels = drawn(seed)
    true = "If `epsilon` is the true noise, the result should be the same image with the same noise at `next_alpha`."
    end = "If `next_alpha` is 1, the result should be the predicted image."
    same = "If `next_alpha` equals `alpha`, the result should be `x`."
    wild = "In this course's coordinates, the step should be that of `remix`, whatever `epsilon` is."
    some = levels.view(-1)[0].item()

    def case(says: str, x: Tensor, epsilon: Tensor, alpha: float, next_alpha: float) -> Case:
        here, there = from_alpha_bar(level(alpha)), from_alpha_bar(level(next_alpha))
        noisy = from_variance_preserving(x, here)
        after = remix(noisy, denoised_from_noise(noisy, epsilon, here), here, there)
        given = {"x": x, "epsilon": epsilon, "alpha": level(alpha), "next_alpha": level(next_alpha)}
        return Case(says, given, variance_preserving(after, there))

    expect_cases(
        ddim_step,
        "ddim_step",
        [
            case(true, blended(clean, noise, level(0.36)), noise, 0.36, 0.64),
            case(true, blended(clean, noise, level(0.05)), noise, 0.05, 0.2),
            case(end, blended(clean, noise, level(0.3)), noise, 0.3, 1.0),
            case(same, noise, other, 0.7, 0.7),
            case(wild, noise, other, 0.1, 0.5 + 0.4 * some),
        ],
    )


def test_ddpm_step(ddpm_step: Callable[..., Tensor], seed: int) -> None:
    """8.7: a part of the predicted noise stays, and fresh noise replaces the rest."""
    clean, noise, other, levels = drawn(seed)
    fresh = torch.randn(N, C, H, W, generator=seeded(100 + seed), dtype=torch.float64)
    none = torch.zeros_like(fresh)
    mean = "If z is 0, the result should be the mean of the paper's step."
    end = "If `next_alpha_bar` is 1, the result should be the predicted image, and z should not count."
    some = "z should be added with the weight sigma_t of the paper's equation 7."
    wild = "The result should be right for any `x`, `epsilon` and z."
    last = 0.5 + 0.4 * levels.view(-1)[0].item()

    def case(says: str, x: Tensor, epsilon: Tensor, z: Tensor, alpha_bar: float, next_alpha_bar: float) -> Case:
        now, after = level(alpha_bar), level(next_alpha_bar)
        kept = ((1 / after - 1) / (1 / now - 1)).sqrt()  # next_sigma / sigma: this much of the predicted noise stays
        image = (x - (1 - now).sqrt() * epsilon) / now.sqrt()
        want = blended(image, kept * epsilon + (1 - kept**2).sqrt() * z, after)
        return Case(says, {"x": x, "epsilon": epsilon, "alpha_bar": now, "next_alpha_bar": after, "z": z}, want)

    expect_cases(
        ddpm_step,
        "ddpm_step",
        [
            case(mean, blended(clean, noise, level(0.36)), noise, none, 0.36, 0.64),
            case(mean, blended(clean, noise, level(0.05)), noise, none, 0.05, 0.06),
            case(some, blended(clean, noise, level(0.36)), noise, fresh, 0.36, 0.64),
            case(end, blended(clean, noise, level(0.3)), noise, fresh, 0.3, 1.0),
            case(wild, fresh, other, noise, 0.2, last),
        ],
    )


class Witness:
    """EDM's denoiser that records its inputs. Its prediction depends on all of its inputs, and leaves [-1, 1]."""

    def __init__(self) -> None:
        self.calls: list[tuple[Tensor, Tensor]] = []

    def __call__(self, x: Any = None, sigma: Any = None) -> Tensor:
        says = "The denoiser should be called with two arguments: the noisy images and sigma."
        expect(x is not None and sigma is not None, says, got="only one of them")
        x = expect_tensor(x, "The first argument of the denoiser (the noisy images)", (N, C, H, W))
        sigma = expect_tensor(sigma, "The second argument of the denoiser (sigma)")
        says = "The second argument of the denoiser (sigma) has the wrong shape."
        fits = sigma.shape in ((1, 1, 1, 1), (len(x), 1, 1, 1))
        expect(fits, says, expected="(1, 1, 1, 1)", got=str(tuple(sigma.shape)))
        self.calls.append((x.detach().clone(), sigma.detach().clone()))
        return self.predict(x, sigma)

    def predict(self, x: Tensor, sigma: Tensor) -> Tensor:
        """Return the prediction, without a record."""
        return 1.5 * torch.cos(2 * x + sigma) + 0.2 * sigma


def test_edm_heun_step(edm_heun_step: Callable[..., Tensor], seed: int) -> None:
    """8.8: an Euler step as a look ahead, and the step again with the mean of both directions."""
    clean, noise, _, levels = drawn(seed)
    some = levels.view(-1)[0].item()
    for sigma, next_sigma in ((2.0, 0.7), (0.5, 0.0), (1.0 + some, some), (0.8, 0.8), (10.0, 3.0)):
        _expect_heun(edm_heun_step, clean + sigma * noise, level(sigma), level(next_sigma))
    x, now, after = (clean + 2 * noise).float(), level(2).float(), level(0.7).float()
    want = _heun(Witness().predict, clean + 2 * noise, level(2), level(0.7)).float()
    result = expect_tensor(edm_heun_step(x, Witness(), now, after), "The result of `edm_heun_step`", x.shape)
    with afterward():
        expect_tensor(result, "The result of `edm_heun_step`", dtype=torch.float32)
    expect_close(result, want, "In float32, `edm_heun_step` should give the same result up to rounding.")


def _heun(denoiser: Callable[[Tensor, Tensor], Tensor], x: Tensor, sigma: Tensor, next_sigma: Tensor) -> Tensor:
    """Return the expected result, as the page derives it: `remix` with a blend of both predictions."""
    first = denoiser(x, sigma)
    euler = torch.lerp(first, x, next_sigma / sigma)  # `remix` in EDM's coordinates
    if next_sigma == 0:
        return euler
    second = denoiser(euler, next_sigma)
    return torch.lerp(torch.lerp(first, second, sigma / (2 * next_sigma)), x, next_sigma / sigma)


def _expect_heun(edm_heun_step: Callable[..., Tensor], x: Tensor, sigma: Tensor, next_sigma: Tensor) -> None:
    """Check one step: the calls of the denoiser, and the result."""
    model = Witness()
    euler = torch.lerp(model.predict(x, sigma), x, next_sigma / sigma)
    with copies(x=x, sigma=sigma, next_sigma=next_sigma) as (given, now, after):
        result = expect_tensor(
            edm_heun_step(given, model, now, after), "The result of `edm_heun_step`", x.shape, finite=False
        ).clone()
    with afterward():
        expect_tensor(result, "The result of `edm_heun_step`", dtype=x.dtype, finite=False)
    last = next_sigma.item() == 0
    calls = model.calls
    expect(bool(calls), "The denoiser should be called with `x` and `sigma`.", expected="a call", got="none")
    _expect_call(calls[0], x, sigma, "The first call of the denoiser should get `x` and `sigma`.")
    if not last:
        says = "The denoiser should be called a second time, at the end of the Euler step."
        expect(len(calls) > 1, says, expected="2 calls", got="1 call", evidence=result)
        says = "The second prediction should be for the result of the Euler step, at `next_sigma`."
        if sigma.item() != next_sigma.item():
            _expect_call(calls[-1], euler, next_sigma, says)
    want = _heun(model.predict, x, sigma, next_sigma)
    if last:
        says = "If `next_sigma` is 0, the result should be that of the Euler step."
    elif sigma.item() == next_sigma.item():
        says = "If `next_sigma` equals `sigma`, the result should be `x`."
    else:
        says = "The result should be the step from `x` with the mean of the two directions."
    expect_close(result, want, says, tolerance=NEAR * max(1.0, want.abs().max().item()))
    most = 1 if last else 2
    with advice():
        says = "One prediction is enough for the last step, and two for every other step."
        expect(len(calls) <= most, says, expected=f"{most} calls of the denoiser", got=str(len(calls)))


def _expect_call(call: tuple[Tensor, Tensor], x: Tensor, sigma: Tensor, says: str) -> None:
    """Check the inputs of one call."""
    got_x, got_sigma = call
    heard = got_sigma.flatten()[0].item()
    near = NEAR * max(1.0, sigma.item())
    evidence = torch.cat([got_x.flatten(), got_sigma.flatten()[:1].to(got_x)])
    shown = {"expected": f"sigma {number(sigma)}", "got": f"sigma {number(heard)}", "evidence": evidence}
    expect(bool((got_sigma - sigma).abs().max() <= near), says, **shown)
    with all_as_evidence([evidence]):
        expect_close(got_x, x, says, tolerance=NEAR * max(1.0, x.abs().max().item()))


# ---- small helpers --------------------------------------------------------------------------------------------------


def seeded(seed: int) -> torch.Generator:
    """Return a new generator with a seed."""
    return torch.Generator().manual_seed(seed)


def drawn(seed: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Draw clean images, Gaussian noise, other images that go beyond [-1, 1], and a level from 0.2 to 1 for each."""
    random = seeded(seed)
    clean = 2 * torch.rand(N, C, H, W, generator=random, dtype=torch.float64) - 1
    noise, other = torch.randn(2, N, C, H, W, generator=random, dtype=torch.float64)
    levels = 0.2 + 0.8 * torch.rand(N, 1, 1, 1, generator=random, dtype=torch.float64)
    return clean, noise, 2 * other, levels


def level(value: float) -> Tensor:
    """Return one number for the whole batch."""
    return torch.full((1, 1, 1, 1), value, dtype=torch.float64)


# ---- the contact sheet ----------------------------------------------------------------------------------------------

FALLING = (0.99, 0.96, 0.92, 0.85, 0.7, 0.5, 0.25, 0.0)


def _ideal() -> nn.Module:
    """Return the best possible denoiser for a data set of sixteen emoji, in [-1, 1]."""
    return GaussianMixture(2 * emoji() - 1, torch.full((16,), 0.02))


def _pure(seed: int) -> Tensor:
    return torch.randn(1, 3, 32, 32, generator=seeded(seed))


def _walk(step: Callable[[Tensor, Tensor, Tensor], Tensor], seed: int) -> Tensor:
    """Return the images after each step, in [0, 1]: `step` takes noisy images and two noise levels."""
    noisy, images = _pure(seed), []
    for now, after in pairwise(level(value).float() for value in FALLING):
        noisy = step(noisy, now, after)
        images.append(noisy)
    return (torch.cat(images) + 1) / 2


def _five(draw: Callable[[Tensor, Tensor], Tensor]) -> Tensor:
    """Return five results for one emoji at rising noise levels, in [0, 1]."""
    picture, t = 2 * emoji()[4:5] - 1, torch.tensor([0.1, 0.3, 0.5, 0.7, 0.9]).view(5, 1, 1, 1)
    return (draw(mix(picture, _pure(0), t), t) + 1) / 2


def _noises(part: ModuleType) -> Tensor:
    picture = 2 * emoji()[4:5] - 1
    return _five(lambda noisy, t: part.predicted_noise(noisy, picture.expand_as(noisy), t) / 2)


def _images(part: ModuleType) -> Tensor:
    velocity = _pure(0) - (2 * emoji()[4:5] - 1)
    return _five(lambda noisy, t: part.denoised_from_velocity(noisy, velocity.expand_as(noisy), t))


def _scores(part: ModuleType) -> Tensor:
    model = _ideal()
    return _five(lambda noisy, t: part.predicted_score(noisy, model(noisy, t), t) * t / 2)


def _bars(part: ModuleType) -> Tensor:
    """Draw alpha-bar at eleven levels as bars."""
    values = part.to_alpha_bar(torch.linspace(0, 1, 11))
    bars = torch.ones(1, 3, 42, 11 * 21)
    for place, value in enumerate(values.tolist()):
        height = 2 + round(40 * min(max(value, 0), 1))
        bars[0, :, 42 - height :, 21 * place : 21 * place + 18] = torch.tensor([0.35, 0.55, 0.8]).view(3, 1, 1)
    return bars


def _by_flow(part: ModuleType) -> Tensor:
    model = _ideal()

    def step(noisy: Tensor, now: Tensor, after: Tensor) -> Tensor:
        v = (model(noisy, now) - noisy) / now
        return part.rectified_flow_step(noisy, v, 1 - now, 1 - after)  # type: ignore[no-any-return]

    return _walk(step, 2)


def _by_ddim(part: ModuleType) -> Tensor:
    model = _ideal()

    def step(noisy: Tensor, now: Tensor, after: Tensor) -> Tensor:
        epsilon = noise_of(noisy, model(noisy, now), now)
        x = part.ddim_step(variance_preserving(noisy, now), epsilon, alpha_of(now), alpha_of(after))
        return from_variance_preserving(x, after)

    return _walk(step, 2)


def _by_ddpm(part: ModuleType) -> Tensor:
    model, random = _ideal(), seeded(3)

    def step(noisy: Tensor, now: Tensor, after: Tensor) -> Tensor:
        epsilon, z = noise_of(noisy, model(noisy, now), now), torch.randn(noisy.shape, generator=random)
        x = part.ddpm_step(variance_preserving(noisy, now), epsilon, alpha_of(now), alpha_of(after), z)
        return from_variance_preserving(x, after)

    return _walk(step, 2)


def _by_heun(part: ModuleType) -> Tensor:
    denoiser = edm_denoiser(_ideal())

    def step(noisy: Tensor, now: Tensor, after: Tensor) -> Tensor:
        x = part.edm_heun_step(variance_exploding(noisy, now), denoiser, to_sigma(now), to_sigma(after))
        return from_variance_exploding(x, after)

    return _walk(step, 2)


PANELS = [
    Panel("predicted_noise", "the noise in a noisy emoji, at levels 0.1 to 0.9", _noises),
    Panel("denoised_from_velocity", "the picture behind the noise, from levels 0.1 to 0.9", _images),
    Panel("rectified_flow_step", "the mix after each step of rectified flow", _by_flow),
    Panel("predicted_score", "where more likely images are, at levels 0.1 to 0.9", _scores),
    Panel("to_alpha_bar", "alpha-bar at levels 0 to 1, as bars", _bars),
    Panel("ddim_step", "the mix after each step of DDIM, from the same noise", _by_ddim),
    Panel("ddpm_step", "the mix after each step of DDPM, with fresh noise", _by_ddpm),
    Panel("edm_heun_step", "the mix after each step of EDM, from the same noise", _by_heun),
]
