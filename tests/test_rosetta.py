"""Other people's words: round trips, equalities with `remix`, convergence, and diffusers' schedulers as oracle."""

import math
import re
from collections.abc import Callable, Iterator
from itertools import pairwise
from types import ModuleType

import pytest
import torch
from torch import Tensor, nn

from dino import rosetta
from dino.noise import mix
from dino.rosetta import (
    PAPERS,
    GaussianMixture,
    Paper,
    VelocityDenoiser,
    ddim_step,
    ddpm_step,
    edm_denoiser,
    edm_euler_step,
    edm_heun_step,
    from_alpha_bar,
    from_log_snr,
    from_sigma,
    from_variance_exploding,
    from_variance_preserving,
    iadb_step,
    lognormal_levels,
    predicted_noise,
    predicted_score,
    predicted_velocity,
    rectified_flow_step,
    to_alpha_bar,
    to_log_snr,
    to_sigma,
    variance_exploding,
    variance_preserving,
)
from dino.sampler import denoise, noise_schedule, remix

LEVELS = torch.cat([torch.logspace(-3, -1, 5, dtype=torch.float64), torch.linspace(0.2, 0.999, 9, dtype=torch.float64)])
STEPS = [(0.999, 0.9), (0.9, 0.3), (0.5, 0.49), (0.3, 0.001), (0.7, 0.7)]  # from one level to the next


@pytest.fixture
def pair(generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Noisy images and predictions that have nothing to do with each other: two of (5, 3, 2, 4), float64."""
    noisy, denoised = torch.randn(2, 5, 3, 2, 4, generator=generator, dtype=torch.float64)
    return noisy, denoised


def level(value: float) -> Tensor:
    return torch.full((1, 1, 1, 1), value, dtype=torch.float64)


def mixture() -> GaussianMixture:
    """Three components of different sizes and weights, of images of shape (2, 1, 2)."""
    means = torch.randn(3, 2, 1, 2, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
    deviations, weights = torch.tensor([[0.3, 0.1, 0.5], [2.0, 5.0, 3.0]], dtype=torch.float64)
    return GaussianMixture(means, deviations, weights)


# ---- what the network predicts ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("target", ["noise", "velocity", "score"])
def test_a_prediction_survives_the_way_to_another_target_and_back(target: str, pair: tuple[Tensor, Tensor]) -> None:
    noisy, denoised = pair
    there, back = getattr(rosetta, f"predicted_{target}"), getattr(rosetta, f"denoised_from_{target}")
    levels = torch.tensor([1e-3, 0.2, 0.5, 0.9, 0.99], dtype=torch.float64).view(5, 1, 1, 1)
    assert torch.allclose(back(noisy, there(noisy, denoised, levels), levels), denoised, rtol=0, atol=1e-9)
    assert torch.allclose(there(noisy, back(noisy, denoised, levels), levels), denoised, rtol=0, atol=1e-9)


def test_of_the_true_image_the_noise_and_the_velocity_are_the_true_ones(pair: tuple[Tensor, Tensor]) -> None:
    clean, noise = pair
    for t in (0.01, 0.5, 1.0):
        noisy = mix(clean, noise, level(t))
        assert torch.allclose(predicted_noise(noisy, clean, level(t)), noise)
        assert torch.allclose(predicted_velocity(noisy, clean, level(t)), noise - clean)


@pytest.mark.parametrize("t", [0.02, 0.3, 0.7, 1.0])
def test_the_score_is_the_gradient_of_the_log_density(t: float, generator: torch.Generator) -> None:
    model = mixture()
    noise = torch.randn(6, 2, 1, 2, generator=generator, dtype=torch.float64)
    noisy = mix(model.sample(6, generator=generator), noise, level(t)).requires_grad_()
    (gradient,) = torch.autograd.grad(model.log_density(noisy, level(t)).sum(), noisy)
    assert torch.allclose(predicted_score(noisy, model(noisy, level(t)), level(t)), gradient, rtol=1e-9, atol=1e-9)


# ---- noise levels and coordinates ------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["sigma", "alpha_bar", "log_snr"])
def test_a_noise_level_survives_the_way_to_another_unit_and_back(name: str) -> None:
    there, back = getattr(rosetta, f"to_{name}"), getattr(rosetta, f"from_{name}")
    # alpha-bar is within t^2 of 1, so half of the digits are lost at 0.001
    assert torch.allclose(back(there(LEVELS)), LEVELS, rtol=1e-9, atol=0)


def test_levels_have_the_numbers_of_the_glossary() -> None:
    t = torch.tensor([0, 0.25, 0.5, 0.75, 1], dtype=torch.float64)
    assert torch.allclose(to_sigma(t), torch.tensor([0, 1 / 3, 1, 3, math.inf], dtype=torch.float64))
    assert torch.allclose(to_alpha_bar(t), torch.tensor([1, 0.9, 0.5, 0.1, 0], dtype=torch.float64))
    nine = 2 * math.log(3)
    assert torch.allclose(to_log_snr(t), torch.tensor([math.inf, nine, 0, -nine, -math.inf], dtype=torch.float64))
    ends = torch.tensor([0.0, 1.0])
    assert torch.equal(from_alpha_bar(to_alpha_bar(ends)), ends)
    assert torch.equal(from_log_snr(to_log_snr(ends)), ends)
    assert from_sigma(torch.tensor(0.0)) == 0


def test_the_units_of_the_level_agree_with_each_other() -> None:
    assert torch.allclose(to_alpha_bar(LEVELS), 1 / (1 + to_sigma(LEVELS) ** 2))
    assert torch.allclose(to_log_snr(LEVELS), -2 * to_sigma(LEVELS).log())
    assert torch.allclose(to_log_snr(LEVELS), torch.logit(to_alpha_bar(LEVELS)))


@pytest.mark.parametrize("paper", PAPERS, ids=lambda paper: paper.name)
def test_the_formulas_of_each_paper_are_what_its_functions_compute(paper: Paper, pair: tuple[Tensor, Tensor]) -> None:
    clean, noise = pair
    for t in (level(0.2), level(0.7)):
        noisy = mix(clean, noise, t)
        assert torch.allclose(paper.to_level(t), computed(paper.level, t=t))
        assert torch.allclose(paper.coordinates(noisy, t), computed(paper.noisy, t=t, x=noisy))


def computed(latex: str, **values: Tensor) -> Tensor:
    """The value of one of the formulas."""
    python = re.sub(r"\\frac\{(.+)\}\{(.+)\}", r"(\1) / (\2)", latex)
    python = re.sub(r"\\sqrt\{(.+)\}", r"(\1) ** 0.5", python).replace("^2", " ** 2")
    return torch.as_tensor(eval(python, {"__builtins__": {}}, values))


def test_lognormal_levels_have_a_normal_logarithm_of_sigma(generator: torch.Generator) -> None:
    levels = lognormal_levels(10_000, -1.2, 0.5, generator=generator)
    assert levels.shape == (10_000, 1, 1, 1)
    log_sigma = to_sigma(levels.double()).log()
    assert log_sigma.mean().item() == pytest.approx(-1.2, abs=1e-3)
    assert log_sigma.std().item() == pytest.approx(0.5, abs=1e-3)


def test_each_part_of_the_distribution_has_one_lognormal_level(generator: torch.Generator) -> None:
    for n in (1, 2, 7, 64):
        log_sigma = -to_log_snr(lognormal_levels(n, 0.3, 2.0, generator=generator).flatten().double()) / 2
        quantiles = torch.special.ndtr((log_sigma - 0.3) / 2.0)
        assert torch.equal((quantiles * n).floor(), torch.arange(n, dtype=torch.float64))


def test_lognormal_levels_depend_on_the_generator_only() -> None:
    first, again, other = (lognormal_levels(5, generator=torch.Generator().manual_seed(k)) for k in (0, 0, 1))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


@pytest.mark.parametrize("t", [0.0, 0.1, 0.5, 0.99])
def test_the_coordinates_are_those_of_the_papers(t: float, pair: tuple[Tensor, Tensor]) -> None:
    clean, noise = pair
    noisy, alpha_bar, sigma = mix(clean, noise, level(t)), to_alpha_bar(level(t)), to_sigma(level(t))
    ddpm = alpha_bar.sqrt() * clean + (1 - alpha_bar).sqrt() * noise
    edm = clean + sigma * noise
    assert torch.allclose(variance_preserving(noisy, level(t)), ddpm)
    assert torch.allclose(variance_exploding(noisy, level(t)), edm)
    assert torch.allclose(from_variance_preserving(ddpm, level(t)), noisy)
    assert torch.allclose(from_variance_exploding(edm, level(t)), noisy)


# ---- each paper's step is `remix` ------------------------------------------------------------------------------------


def by_ddim(noisy: Tensor, denoised: Tensor, t: Tensor, s: Tensor) -> Tensor:
    x, epsilon = variance_preserving(noisy, t), predicted_noise(noisy, denoised, t)
    return from_variance_preserving(ddim_step(x, epsilon, to_alpha_bar(t), to_alpha_bar(s)), s)


def by_edm(noisy: Tensor, denoised: Tensor, t: Tensor, s: Tensor) -> Tensor:
    x = edm_euler_step(variance_exploding(noisy, t), denoised, to_sigma(t), to_sigma(s))
    return from_variance_exploding(x, s)


def by_rectified_flow(noisy: Tensor, denoised: Tensor, t: Tensor, s: Tensor) -> Tensor:
    return rectified_flow_step(noisy, -predicted_velocity(noisy, denoised, t), 1 - t, 1 - s)


def by_iadb(noisy: Tensor, denoised: Tensor, t: Tensor, s: Tensor) -> Tensor:
    return iadb_step(noisy, denoised - predicted_noise(noisy, denoised, t), 1 - t, 1 - s)


def by_remix(noisy: Tensor, denoised: Tensor, t: Tensor, s: Tensor) -> Tensor:
    return remix(noisy, denoised, t, s)


SAME = [by_ddim, by_edm, by_rectified_flow, by_iadb]


def by_heun(noisy: Tensor, model: GaussianMixture, t: Tensor, s: Tensor) -> Tensor:
    x = edm_heun_step(variance_exploding(noisy, t), edm_denoiser(model), to_sigma(t), to_sigma(s))
    return from_variance_exploding(x, s)


def by_ddpm(noisy: Tensor, denoised: Tensor, t: Tensor, s: Tensor, z: Tensor) -> Tensor:
    x, epsilon = variance_preserving(noisy, t), predicted_noise(noisy, denoised, t)
    return from_variance_preserving(ddpm_step(x, epsilon, to_alpha_bar(t), to_alpha_bar(s), z), s)


@pytest.mark.parametrize("step", SAME)
@pytest.mark.parametrize(("t", "s"), [*STEPS, (0.9, 0.0), (0.01, 0.0)])
def test_a_step_of_the_paper_is_remix(
    step: Callable[..., Tensor], t: float, s: float, pair: tuple[Tensor, Tensor]
) -> None:
    assert torch.allclose(step(*pair, level(t), level(s)), remix(*pair, level(t), level(s)), rtol=0, atol=1e-11)


@pytest.mark.parametrize("step", [by_rectified_flow, by_iadb])
def test_flows_can_start_from_pure_noise(step: Callable[..., Tensor], pair: tuple[Tensor, Tensor]) -> None:
    assert torch.allclose(step(*pair, level(1), level(0.9)), remix(*pair, level(1), level(0.9)), rtol=0, atol=1e-11)


@pytest.mark.parametrize(("t", "s"), STEPS)
def test_a_step_of_heun_is_remix_with_two_predictions(t: float, s: float, pair: tuple[Tensor, Tensor]) -> None:
    model, noisy = mixture(), pair[0][:, :2, :1, :2]
    first = model(noisy, level(t))
    second = model(remix(noisy, first, level(t), level(s)), level(s))
    guess = torch.lerp(first, second, to_sigma(level(t)) / (2 * to_sigma(level(s))))
    expected = remix(noisy, guess, level(t), level(s))
    assert torch.allclose(by_heun(noisy, model, level(t), level(s)), expected, rtol=0, atol=1e-10)


def test_the_last_step_of_heun_is_an_euler_step(pair: tuple[Tensor, Tensor]) -> None:
    model, noisy = mixture(), pair[0][:, :2, :1, :2]
    assert torch.allclose(by_heun(noisy, model, level(0.4), level(0)), model(noisy, level(0.4)), rtol=0, atol=1e-12)


@pytest.mark.parametrize(("t", "s"), [*STEPS, (0.9, 0.0)])
def test_a_step_of_ddpm_is_remix_with_fresh_noise(
    t: float, s: float, pair: tuple[Tensor, Tensor], generator: torch.Generator
) -> None:
    z = torch.randn(pair[0].shape, generator=generator, dtype=torch.float64)
    kept = to_sigma(level(s)) / to_sigma(level(t))
    fresh = (1 - kept**2).sqrt() * z - (1 - kept) * predicted_noise(*pair, level(t))
    expected = remix(*pair, level(t), level(s)) + level(s) * fresh
    assert torch.allclose(by_ddpm(*pair, level(t), level(s), z), expected, rtol=0, atol=1e-9)


def image_minus_noise(x: Tensor, noise_level: Tensor) -> Tensor:
    """Return something that depends on a number, its neighbor and the level, like a network of IADB."""
    return (x + 0.3 * x.roll(1, dims=-1)).tanh() * (1.5 - noise_level)


def test_the_sampler_draws_with_a_network_of_iadb_what_iadb_draws(
    pair: tuple[Tensor, Tensor], denoiser_of: Callable[..., nn.Module]
) -> None:
    x, model = pair[0], VelocityDenoiser(denoiser_of(image_minus_noise))
    steps = denoise(model, (x + 1) / 2, noise_schedule(7), 1.0)
    for (t, s), step in zip(pairwise(noise_schedule(7).double().view(-1, 1, 1, 1, 1)), steps, strict=True):
        x = iadb_step(x, image_minus_noise(x, t), 1 - t, 1 - s)
        assert torch.allclose(step.noisy, (x + 1) / 2, rtol=0, atol=1e-12)


def test_the_error_of_a_network_of_iadb_is_a_weighted_error_of_the_image(
    pair: tuple[Tensor, Tensor], denoiser_of: Callable[..., nn.Module]
) -> None:
    (image, noise), levels = pair, torch.tensor([0.01, 0.2, 0.5, 0.9, 1.0], dtype=torch.float64).view(5, 1, 1, 1)
    x, model = mix(image, noise, levels), VelocityDenoiser(denoiser_of(image_minus_noise))
    error = image_minus_noise(x, levels) - (image - noise)
    error_of_image = model((x + 1) / 2, levels) - (image + 1) / 2
    assert torch.allclose(error**2, 4 / levels**2 * error_of_image**2)


def test_the_example_of_the_module_is_right(pair: tuple[Tensor, Tensor]) -> None:
    code = rosetta.__doc__.partition("    level, next")[2].partition("\n\n")[0]
    *statements, last = ("level, next" + code).split("\n    ")
    names = vars(rosetta) | {"noisy": pair[0].float(), "denoised": pair[1].float(), "remix": remix}
    exec("\n".join(statements), names)
    assert eval(last, names) is True


# ---- on a Gaussian mixture, where the truth is known -----------------------------------------------------------------


def test_the_denoiser_of_a_mixture_has_the_least_error(generator: torch.Generator) -> None:
    """No multiple of its prediction and no shift of it is better, and its error is orthogonal to what it knows."""
    model, n = mixture(), 40_000
    clean = model.sample(n, generator=generator)
    noisy = mix(clean, torch.randn(clean.shape, generator=generator, dtype=torch.float64), level(0.4))
    denoised = model(noisy, level(0.4))
    for known in (torch.ones_like(noisy), noisy, denoised, noisy**3, denoised.sin()):
        products = (clean - denoised) * known
        assert (products.mean(0).abs() < 5 * products.std(0) / n**0.5).all()


def test_the_denoiser_of_points_is_their_mean_weighted_by_likelihood() -> None:
    points = torch.tensor([0.0, 1.0, 3.0], dtype=torch.float64).view(3, 1, 1, 1)
    model = GaussianMixture(points, torch.zeros(3, dtype=torch.float64))
    noisy, t = torch.tensor([0.2, 0.9], dtype=torch.float64).view(2, 1, 1, 1), level(0.5)
    likelihood = torch.exp(-((noisy.view(2, 1) - 0.5 * points.view(1, 3)) ** 2) / (2 * 0.25))
    expected = (likelihood * points.view(1, 3)).sum(1) / likelihood.sum(1)
    assert torch.allclose(model(noisy, t).flatten(), expected)


def test_a_mixture_takes_a_level_for_each_image(generator: torch.Generator) -> None:
    model = mixture()
    noisy = torch.randn(4, 2, 1, 2, generator=generator, dtype=torch.float64)
    levels = torch.tensor([0.1, 0.4, 0.8, 1.0], dtype=torch.float64).view(4, 1, 1, 1)
    each = [model(noisy[k : k + 1], levels[k : k + 1]) for k in range(4)]
    assert torch.allclose(model(noisy, levels), torch.cat(each))


def test_the_log_density_is_that_of_torch(generator: torch.Generator) -> None:
    from torch.distributions import Categorical, Independent, MixtureSameFamily, Normal

    model, t = mixture(), 0.3
    scales = ((0.7 * model.deviations) ** 2 + t**2).sqrt()[:, None].expand(3, 4)
    truth = MixtureSameFamily(Categorical(model.weights), Independent(Normal(0.7 * model.means.flatten(1), scales), 1))
    noisy = torch.randn(5, 2, 1, 2, generator=generator, dtype=torch.float64)
    assert torch.allclose(model.log_density(noisy, level(t)), truth.log_prob(noisy.flatten(1)))


def exact(noisy: Tensor, model: GaussianMixture, t: Tensor, s: Tensor) -> Tensor:
    """Where the exact solution leads images of a single Gaussian: the same number of standard deviations away."""

    def deviation(at: Tensor) -> Tensor:
        return (((1 - at) * model.deviations) ** 2 + at**2).sqrt()

    return (1 - s) * model.means + deviation(s) / deviation(t) * (noisy - (1 - t) * model.means)


def distance_from_exact(walk: Callable[[Tensor, GaussianMixture, Tensor, Tensor], Tensor], n_steps: int) -> float:
    """Return the largest error of a walk from 0.95 to 0.05 in even steps, for images of a single Gaussian."""
    model = GaussianMixture(torch.full((1, 1, 1, 1), 0.7, dtype=torch.float64), torch.full((1,), 0.4).double())
    start = torch.linspace(-2, 2, 9, dtype=torch.float64).view(9, 1, 1, 1)
    noisy = start
    for t, s in pairwise(torch.linspace(0.95, 0.05, n_steps + 1, dtype=torch.float64).view(-1, 1, 1, 1, 1)):
        noisy = walk(noisy, model, t, s)
    return (noisy - exact(start, model, level(0.95), level(0.05))).abs().max().item()


def predicting(step: Callable[..., Tensor]) -> Callable[[Tensor, GaussianMixture, Tensor, Tensor], Tensor]:
    return lambda noisy, model, t, s: step(noisy, model(noisy, t), t, s)


@pytest.mark.parametrize(
    ("walk", "order"),
    [*((predicting(step), 1) for step in [by_remix, *SAME]), (by_heun, 2)],
    ids=["remix", *(step.__name__ for step in SAME), "by_heun"],
)
def test_steps_converge_to_the_exact_solution_at_their_order(
    walk: Callable[[Tensor, GaussianMixture, Tensor, Tensor], Tensor], order: int
) -> None:
    coarse, fine, finer = (distance_from_exact(walk, n) for n in (64, 128, 256))
    assert coarse / fine == pytest.approx(2**order, rel=0.1)
    assert fine / finer == pytest.approx(2**order, rel=0.05)


def test_the_sampler_draws_from_the_mixture(generator: torch.Generator) -> None:
    model, n = mixture(), 4000
    noise = torch.randn(n, 2, 1, 2, generator=generator, dtype=torch.float64)
    *_, last = denoise(model, noise, noise_schedule(100), 2.0)
    assert_drawn_from(model, last.noisy)


def test_ddpm_draws_from_the_mixture(generator: torch.Generator) -> None:
    model, n = mixture(), 4000
    noisy = torch.randn(n, 2, 1, 2, generator=generator, dtype=torch.float64)
    for t, s in pairwise(torch.linspace(0.999, 0, 101, dtype=torch.float64).view(-1, 1, 1, 1, 1)):
        z = torch.randn(noisy.shape, generator=generator, dtype=torch.float64)
        noisy = by_ddpm(noisy, model(noisy, t), t, s, z)
    assert_drawn_from(model, noisy)


def assert_drawn_from(model: GaussianMixture, images: Tensor) -> None:
    """Compare means, variances, and how many images are nearest to each component."""
    real = model.sample(20_000, generator=torch.Generator().manual_seed(5))
    assert torch.allclose(images.mean(0), real.mean(0), atol=0.05)
    assert torch.allclose(images.var(0), real.var(0), rtol=0.1)
    assert torch.allclose(near_each(model, images), near_each(model, real), atol=0.04)


def near_each(model: GaussianMixture, images: Tensor) -> Tensor:
    nearest = torch.cdist(images.flatten(1), model.means.flatten(1)).argmin(dim=1)
    return torch.bincount(nearest, minlength=len(model.means)) / len(images)


# ---- the schedulers of diffusers, which compute in float32 -----------------------------------------------------------


@pytest.fixture
def diffusers() -> ModuleType:
    return pytest.importorskip("diffusers", reason="the oracle needs the group test: uv sync")


def close(ours: Tensor, theirs: Tensor) -> bool:
    """Return whether two results are the same but for the rounding of float32, relative to the largest number."""
    return bool((ours - theirs).abs().max() <= 2e-5 * theirs.abs().max())


def discrete(diffusers: ModuleType, name: str, **settings: object) -> Iterator[tuple[object, Tensor, Tensor, Tensor]]:
    """Yield a scheduler in DDPM's coordinates at each of its timesteps, with alpha-bar there and at the next one."""
    scheduler = getattr(diffusers, name)(clip_sample=False, **settings)
    scheduler.set_timesteps(20)
    products = scheduler.alphas_cumprod.double().view(-1, 1, 1, 1, 1)
    for timestep, next_timestep in pairwise([*scheduler.timesteps.tolist(), None]):
        next_alpha = level(1) if next_timestep is None else products[next_timestep]
        yield scheduler, timestep, products[timestep], next_alpha


@pytest.mark.parametrize("prediction", ["epsilon", "sample"])
def test_ddim_is_that_of_diffusers(prediction: str, diffusers: ModuleType, generator: torch.Generator) -> None:
    model = mixture()
    x = torch.randn(3, 2, 1, 2, generator=generator, dtype=torch.float64)
    for scheduler, timestep, alpha, next_alpha in discrete(diffusers, "DDIMScheduler", prediction_type=prediction):
        t = from_alpha_bar(alpha)
        noisy = from_variance_preserving(x, t)
        denoised = model(noisy, t)
        epsilon = predicted_noise(noisy, denoised, t)
        theirs = scheduler.step(epsilon if prediction == "epsilon" else denoised, timestep, x).prev_sample
        ours = ddim_step(x, epsilon, alpha, next_alpha)
        assert close(ours, theirs), f"timestep {timestep}"
        x = ours


@pytest.mark.parametrize("prediction", ["epsilon", "sample"])
def test_ddpm_is_that_of_diffusers(prediction: str, diffusers: ModuleType, generator: torch.Generator) -> None:
    model = mixture()
    x = torch.randn(3, 2, 1, 2, generator=generator, dtype=torch.float64)
    for scheduler, timestep, alpha, next_alpha in discrete(diffusers, "DDPMScheduler", prediction_type=prediction):
        t = from_alpha_bar(alpha)
        noisy = from_variance_preserving(x, t)
        denoised = model(noisy, t)
        epsilon = predicted_noise(noisy, denoised, t)
        output, seeded = epsilon if prediction == "epsilon" else denoised, torch.Generator().manual_seed(timestep)
        theirs = scheduler.step(output, timestep, x, generator=seeded).prev_sample
        z = torch.randn(x.shape, generator=torch.Generator().manual_seed(timestep), dtype=torch.float64)
        ours = ddpm_step(x, epsilon, alpha, next_alpha, z)
        assert close(ours, theirs), f"timestep {timestep}"
        x = ours


def test_the_euler_step_is_that_of_diffusers(diffusers: ModuleType, generator: torch.Generator) -> None:
    scheduler = diffusers.EulerDiscreteScheduler(prediction_type="sample")
    scheduler.set_timesteps(20)
    predict, sigmas = edm_denoiser(mixture()), scheduler.sigmas.double().view(-1, 1, 1, 1, 1)
    x = sigmas[0] * torch.randn(3, 2, 1, 2, generator=generator, dtype=torch.float64)
    for timestep, (sigma, next_sigma) in zip(scheduler.timesteps, pairwise(sigmas), strict=True):
        scheduler.scale_model_input(x, timestep)
        denoised = predict(x, sigma)
        theirs = scheduler.step(denoised, timestep, x).prev_sample
        ours = edm_euler_step(x, denoised, sigma, next_sigma)
        assert close(ours, theirs), f"sigma {sigma.item()}"
        x = ours


def test_the_euler_step_is_that_of_edm_in_diffusers(diffusers: ModuleType, generator: torch.Generator) -> None:
    """Here the scheduler gets what EDM's network itself returns, and computes D(x; sigma) from it."""
    scheduler = diffusers.EDMEulerScheduler()
    scheduler.set_timesteps(20)
    predict, sigmas = edm_denoiser(mixture()), scheduler.sigmas.double().view(-1, 1, 1, 1, 1)
    assert sigmas[0].item() == 80
    data = scheduler.config.sigma_data
    x = sigmas[0] * torch.randn(3, 2, 1, 2, generator=generator, dtype=torch.float64)
    for timestep, (sigma, next_sigma) in zip(scheduler.timesteps, pairwise(sigmas), strict=True):
        scheduler.scale_model_input(x, timestep)
        denoised = predict(x, sigma)
        kept, scale = data**2 / (sigma**2 + data**2), sigma * data / (sigma**2 + data**2).sqrt()  # c_skip, c_out
        theirs = scheduler.step((denoised - kept * x) / scale, timestep, x).prev_sample
        ours = edm_euler_step(x, denoised, sigma, next_sigma)
        assert close(ours, theirs), f"sigma {sigma.item()}"
        x = ours


def test_the_heun_step_is_that_of_diffusers(diffusers: ModuleType, generator: torch.Generator) -> None:
    scheduler = diffusers.HeunDiscreteScheduler(prediction_type="epsilon", use_karras_sigmas=True)
    scheduler.set_timesteps(20)
    assert len(scheduler.timesteps) == 39  # two predictions for each step but the last
    predict, sigmas = edm_denoiser(mixture()), scheduler.sigmas.double()[[0, *range(1, 40, 2)]].view(-1, 1, 1, 1, 1)
    timesteps = iter(scheduler.timesteps)
    x = sigmas[0] * torch.randn(3, 2, 1, 2, generator=generator, dtype=torch.float64)
    for sigma, next_sigma in pairwise(sigmas):
        theirs = scheduler.step((x - predict(x, sigma)) / sigma, next(timesteps), x).prev_sample
        if next_sigma > 0:
            epsilon = (theirs - predict(theirs, next_sigma)) / next_sigma
            theirs = scheduler.step(epsilon, next(timesteps), theirs).prev_sample
        ours = edm_heun_step(x, predict, sigma, next_sigma)
        assert close(ours, theirs), f"sigma {sigma.item()}"
        x = ours


@pytest.mark.parametrize("step", [rectified_flow_step, iadb_step])
def test_the_flows_are_those_of_diffusers(
    step: Callable[..., Tensor], diffusers: ModuleType, generator: torch.Generator
) -> None:
    scheduler = diffusers.FlowMatchEulerDiscreteScheduler()  # Stable Diffusion 3's; its sigma is our noise level
    scheduler.set_timesteps(20)
    model, levels = mixture(), scheduler.sigmas.double().view(-1, 1, 1, 1, 1)
    assert levels[0] == 1
    noisy = torch.randn(3, 2, 1, 2, generator=generator, dtype=torch.float64)
    for timestep, (t, s) in zip(scheduler.timesteps, pairwise(levels), strict=True):
        velocity = predicted_velocity(noisy, model(noisy, t), t)
        theirs = scheduler.step(velocity, timestep, noisy).prev_sample
        ours = step(noisy, -velocity, 1 - t, 1 - s)
        assert close(ours, theirs), f"level {t.item()}"
        assert close(remix(noisy, model(noisy, t), t, s), theirs), f"level {t.item()}"
        noisy = ours
