"""Expectations about random draws: where they come from, and how they are distributed."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from .expect import Wrong, afterward, expect

Draw = Callable[[torch.Generator | None], Tensor]  # calls an answer with a generator


def expect_fair_draws(draw: Draw, seed: int, name: str) -> None:
    """Check that each call draws anew, from the generator it is given, or torch's global one if that is None.

    A result that is the same in every call fails at once. Where the numbers come from is checked afterward.

    Args:
        draw: calls the answer with a generator, and returns a tensor that the random numbers determine. It must be so
            large that two draws are never equal by chance.
        seed: the seed of the generators.
        name: what is drawn, in the middle of a sentence: "the levels".

    Raises:
        Wrong: if it doesn't.
    """
    _expect_new_draws(draw, seed, name)
    with afterward():
        _expect_own_generator(draw, seed, name)
        _expect_global_generator(draw, name)


def _expect_own_generator(draw: Draw, seed: int, name: str) -> None:
    global_state = torch.get_rng_state()
    first, again = (draw(_generator(seed)) for _ in range(2))
    expect(
        _same(first, again) and torch.equal(global_state, torch.get_rng_state()),
        f"With a generator, {name} must depend on it alone: the same seed gives the same result.",
        expected="the same result from two generators with the same seed",
        got="draws from torch's global generator as well" if _same(first, again) else "two different results",
    )


def _expect_new_draws(draw: Draw, seed: int, name: str) -> None:
    global_seed = torch.initial_seed()
    generator = _generator(seed)
    first, second = draw(generator), draw(generator)
    unseeded = draw(None)
    expect(
        not _same(first, second),
        f"Each call must draw {name} anew.",
        expected="new random numbers in the second call",
        got=("the same result in every call" if _same(first, unseeded) else "the same numbers as in the first call")
        + ", and a new seed in torch's global generator" * (torch.initial_seed() != global_seed),
    )
    with afterward():
        expect(
            torch.initial_seed() == global_seed,
            f"Without a generator, {name} must come from torch's global generator, which keeps its seed.",
            expected="the global generator's own seed",
            got="a new seed",
        )


def _expect_global_generator(draw: Draw, name: str) -> None:
    state = torch.get_rng_state()
    first, second = draw(None), draw(None)
    expect(
        not _same(first, second),
        f"Without a generator, each call must draw {name} anew.",
        expected="two different results",
        got="the same result twice",
    )
    torch.set_rng_state(state)
    expect(
        _same(first, draw(None)),
        f"Without a generator, {name} must come from torch's global generator.",
        expected="the same result whenever that generator is in the same state",
        got="random numbers from another source",
    )


def expect_on_device_of(owner: str | None, name: str, call: Callable[[], Any]) -> None:
    """Check that an answer creates its tensors on the right device. No GPU is needed.

    Tensors that are created without a device go to torch's default device. Here that is "meta", whose tensors hold no
    numbers.

    Args:
        owner: the argument whose device must be used, or None for an argument `device`.
        name: what is created, as the start of a sentence: "The levels".
        call: calls the answer with tensors on the CPU.

    Raises:
        Wrong: if it doesn't.
    """
    with torch.device("meta"):
        try:
            call()
        except (RuntimeError, NotImplementedError):
            raise Wrong(
                f"{name} must be created on {f'the device of `{owner}`' if owner else 'the requested device'}.",
                expected=f"device={f'{owner}.' if owner else ''}device, wherever random numbers are drawn",
                got="torch's default device",
            ) from None


def expect_uniform(values: Tensor, name: str) -> None:
    """Check that values are uniform in [0, 1). The bounds are six standard errors wide, so a fair draw always passes.

    Args:
        values: what was drawn, in any shape.
        name: what the values are, with a verb: "The levels are", "The noise is".

    Raises:
        Wrong: if they aren't. Its evidence is nine quantiles, and the share of different values.
    """
    values = values.detach().double().flatten()
    n, mean, deviation = values.numel(), values.mean().item(), values.std().item()
    different = values.unique().numel()
    quantiles = values.quantile(torch.linspace(0.1, 0.9, 9).double())
    # Which value it is that was drawn only once is a matter of chance.
    evidence = torch.cat([quantiles * (different > 1), values.new_tensor([different / n])])
    # At least four standard errors of the difference between two deciles, of Gaussian numbers as well.
    slack = min(0.15, 8 / n**0.5)

    def hold(holds: bool, expected: str, got: str) -> None:
        expect(holds, f"{name} uniform in [0, 1).", expected=expected, got=got, evidence=evidence, slack=slack)

    in_range = not (values.min() < 0 or values.max() >= 1 + 1e-5)
    hold(in_range, "numbers from 0 to 1", "numbers below 0" if values.min() < 0 else "numbers above 1")
    drawn = f"{n:,} {'levels' if 'levels' in name.lower() else 'numbers'}"
    few = f"only {different:,} different value{'s' * (different != 1)} in {drawn}"
    hold(different >= 0.9 * n, "numbers anywhere between 0 and 1", few)
    near_ends = bool(values.min() < 20 / n and values.max() > 1 - 20 / n)  # a fair draw fails once in 10^8
    gap = f"none below {values.min():.3f} or above {values.max():.3f}"
    hold(n < 1000 or near_ends, "some near 0 and some near 1", gap)
    hold(abs(mean - 0.5) <= 6 * (1 / 12 / n) ** 0.5, "a mean of 0.5", f"a mean of {mean:.2f}")
    is_wide = abs(deviation - (1 / 12) ** 0.5) <= 6 * (1 / 60 / n) ** 0.5
    hold(is_wide, "a standard deviation of 0.29", f"a standard deviation of {deviation:.2f}")


def _same(one: Tensor, other: Tensor) -> bool:
    return one.shape == other.shape and torch.equal(one, other)


def _generator(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)
