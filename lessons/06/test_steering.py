"""Grader for lesson 06: what `ConditionalDenoiser` and the functions that steer a denoiser must do.

A denoiser is probed with a `Witness`, which records every call. Its prediction depends on all of its inputs.
"""

import contextlib
from collections.abc import Callable
from types import ModuleType
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from dino.course.grader.contact_sheet import Panel, emoji
from dino.course.grader.expect import (
    advice,
    afterward,
    all_as_evidence,
    copies,
    expect,
    expect_close,
    expect_tensor,
    explained_by,
    kind_of,
    number,
    runs,
)
from dino.course.grader.expect_draws import expect_fair_draws, expect_on_device_of, expect_uniform
from dino.sampler import generate, noise_schedule

# N, C, H, W and the number of words all differ, so that broadcasting along the wrong dimension shows.
N, C, H, W, WORDS = 6, 3, 4, 5, 7
NEAR = 1e-6  # ten float32 roundings


# ---- 6.1: words as channels -----------------------------------------------------------------------------------------


class Network(nn.Module):
    """Network that records its inputs. Each channel of its output depends on all channels of its input.

    Args:
        channels_in: channels that it takes.
        channels_out: channels that it returns.
    """

    def __init__(self, channels_in: int, channels_out: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.sin(torch.arange(1.0, 1 + channels_out * channels_in).double()))
        self.shape = (channels_out, channels_in)
        self.calls: list[tuple[Tensor, Tensor]] = []
        self.when = ""  # what is special about the call, to follow a sentence

    def forward(self, x: Any = None, noise_level: Any = None) -> Tensor:
        says = "The network should be called with two arguments: pictures with more channels, and their noise level."
        expect(x is not None and noise_level is not None, says, expected="two arguments", got="one argument")
        x = expect_tensor(x, "The first argument of the network", finite=False)
        noise_level = expect_tensor(noise_level, "The second argument of the network (the noise level)")
        says = f"The network should get pictures with one more channel for each word{self.when}."
        fits = x.dim() == 4 and x.shape[1] == self.shape[1]
        expect(fits, says, expected=f"{self.shape[1]} channels", got=_channels_of(x), evidence=x.detach())
        self.calls.append((x.detach().clone(), noise_level.detach().clone()))
        features = torch.cos(2 * x + noise_level.to(x))
        return torch.einsum("oi,nihw->nohw", self.weight.view(self.shape).to(x), features)


def _channels_of(x: Tensor) -> str:
    return f"{x.shape[1]} channel{'s' * (x.shape[1] != 1)}" if x.dim() == 4 else f"shape {tuple(x.shape)}"


@runs(2)
def test_conditionaldenoiser(conditional_denoiser: Callable[..., nn.Module], seed: int) -> None:
    """6.1: each word becomes a plane beside the noisy pictures, and the first channels are the prediction."""
    random = seeded(seed)
    noisy = wide(torch.rand(N, C, H, W, generator=random, dtype=torch.float64))
    levels = torch.rand(N, 1, 1, 1, generator=random, dtype=torch.float64)
    condition = torch.rand(N, WORDS, generator=random, dtype=torch.float64)
    probe = Asked(conditional_denoiser, Network(C + WORDS, C + WORDS), noisy)
    probe.expect_planes(levels, condition)
    probe.expect_planes(levels, None)
    probe.expect_planes(levels[:1], condition[:1])  # one level, and one row of words, for the whole batch
    probe.expect_planes(levels, torch.eye(N, WORDS).double())
    _expect_trainable(conditional_denoiser)
    with afterward():
        Asked(conditional_denoiser, Network(1 + WORDS, 1 + WORDS), noisy[:, :1]).expect_planes(levels, condition)
    with afterward():
        Asked(conditional_denoiser, Network(C + WORDS, C), noisy).expect_planes(
            levels,
            condition,
            what="If the network returns only the channels of a picture, the prediction is all of them.",
        )
    with advice("The words may have another dtype than the pictures."):
        single = Asked(conditional_denoiser, Network(C + WORDS, C + WORDS), noisy.float(), late=advice)
        single.expect_planes(levels.float(), condition)
        single.expect_planes(levels.float(), condition > 0.5)
    with advice():
        model = conditional_denoiser(Network(C + WORDS, C + WORDS), WORDS)
        expect_on_device_of(
            "noisy", "The words' channels", lambda: (model(noisy, levels), model(noisy, levels, condition))
        )


class Asked:
    """Check of a conditional denoiser with one network and one batch of noisy pictures.

    Args:
        conditional_denoiser: the answer.
        network: is put into it.
        noisy: what it is called with.
        late: keeps a wrong dtype back.
    """

    def __init__(
        self,
        conditional_denoiser: Callable[..., nn.Module],
        network: Network,
        noisy: Tensor,
        *,
        late: Callable[[], contextlib.AbstractContextManager[None]] = afterward,
    ) -> None:
        self.make, self.network, self.noisy, self.late = conditional_denoiser, network, noisy, late

    def expect_planes(
        self,
        noise_level: Tensor,
        condition: Tensor | None,
        *,
        what: str = "The prediction should be the first channels of the network's output, as many as a picture has.",
    ) -> None:
        """Check what the network gets, and what becomes of its output."""
        network, noisy, channels = self.network, self.noisy, self.noisy.shape[1]
        network.calls.clear()
        network.when = ", also if the condition is None" if condition is None else ""
        model = self.make(network, WORDS)
        expect(
            isinstance(model, nn.Module),
            "`ConditionalDenoiser` should be a module: a class that is built on nn.Module.",
            expected="class ConditionalDenoiser(nn.Module)",
            got=kind_of(model),
        )
        with copies(
            noisy=noisy, noise_level=noise_level, **({} if condition is None else {"condition": condition})
        ) as given:
            result = model(*given)
        expect(
            len(network.calls) == 1,
            "The network should be called once, for all pictures together.",
            expected="1 call",
            got=f"{len(network.calls)} calls",
        )
        x, level = network.calls[0]
        n_given = condition if condition is not None else noisy.new_zeros(1, WORDS)
        planes = n_given.to(noisy)[:, :, None, None].expand(N, WORDS, H, W)
        expect_tensor(x, "What the network gets", (N, channels + WORDS, H, W))
        with all_as_evidence([x]):
            says = "The first channels that the network gets should be the noisy pictures, unchanged."
            expect_close(x[:, :channels], noisy, says)
            if condition is None:
                says = "If the condition is None, the channel of every word should be 0."
            elif len(condition) < N:
                says = "If there is one row of words, every picture should get it."
            else:
                says = (
                    "After the noisy pictures, each word should have a channel: that picture's number, at every pixel."
                )
            expect_close(x[:, channels:], planes, says)
        same = level.shape in (noise_level.shape, (N, 1, 1, 1)) and torch.equal(
            level.expand(N, 1, 1, 1), noise_level.expand(N, 1, 1, 1)
        )
        says = "The network should get the noise level as it is."
        expect(same, says, expected=_levels(noise_level), got=_levels(level), evidence=level)
        result = expect_tensor(result, "The result of `ConditionalDenoiser`", finite=False)
        says = "The prediction should have as many channels as the noisy picture."
        as_many = result.dim() != 4 or result.shape[1] == channels
        expect(as_many, says, expected=_channels_of(noisy), got=_channels_of(result))
        expect_tensor(result, "The result of `ConditionalDenoiser`", noisy.shape, finite=False)
        with torch.no_grad():
            want = network(x, noise_level)[:, :channels]
        expect_close(result, want, what)
        with self.late():
            expect_tensor(x, "What the network gets", dtype=noisy.dtype)
            expect_tensor(result, "The result of `ConditionalDenoiser`", dtype=noisy.dtype)


def _expect_trainable(conditional_denoiser: Callable[..., nn.Module]) -> None:
    """Check that training reaches the network's weights."""
    network = Network(C + WORDS, C + WORDS)
    model = conditional_denoiser(network, WORDS)
    result = model(torch.rand(1, C, H, W).double(), torch.full((1, 1, 1, 1), 0.5).double())
    with afterward():
        expect(
            any(weight is network.weight for weight in model.parameters()),
            "The weights of the given network should be among the module's weights, so that an optimizer finds them.",
            expected="the network's weights in model.parameters()",
            got=f"{sum(1 for _ in model.parameters())} weights, none of them the network's",
        )
    with afterward():
        expect(
            result.requires_grad,
            "The prediction should be made with gradients on, so that the network can learn.",
            got="a prediction without a graph for gradients",
        )


def _levels(level: Tensor) -> str:
    return f"shape {tuple(level.shape)}, beginning with {number(level.flatten()[0])}" if level.numel() else "nothing"


# ---- 6.2: dropping words --------------------------------------------------------------------------------------------

N_CALLS = 150


@runs(2)
def test_drop_conditions(drop_conditions: Callable[..., Tensor], seed: int) -> None:
    """6.2: whole rows become zero, each with the given probability, independently of the others."""
    random, generator = seeded(seed), seeded(100 + seed)
    condition = 0.1 + 0.9 * torch.rand(N, WORDS, generator=random)
    many = condition[:1].expand(2000, WORDS)

    def drop(rows: Tensor, share: float, generator: torch.Generator | None) -> Tensor:
        with copies(condition=rows) as given:
            dropped = drop_conditions(*given, share, generator=generator)
        dropped = expect_tensor(dropped, "The result of `drop_conditions`", rows.shape).clone()
        with afterward():
            expect_tensor(dropped, "The result of `drop_conditions`", dtype=rows.dtype)
        return dropped

    calls = torch.stack([drop(condition, 0.5, generator) for _ in range(N_CALLS)])
    are_zero = calls == 0
    is_dropped, is_kept = are_zero.all(2), (calls == condition).all(2)
    shares = is_dropped.double()
    per_call, per_place = shares.mean(1), shares.mean(0)
    facts = torch.stack(
        [
            are_zero.double().mean(),
            (is_dropped | is_kept).double().mean(),
            (are_zero.any(2) & ~is_dropped).double().mean(),
            shares.mean(),
            per_call.var(),
            per_place.var(),
            (are_zero | (calls == condition)).double().mean(),
            are_zero.double().std(1).mean(),
            (calls / condition).std(),
            calls.mean(),
            is_dropped.any(),
        ]
    )
    shown = {"evidence": facts, "slack": 0.12}
    expect(
        bool((is_dropped | is_kept).all()),
        "Each row should be either as it was, or all zeros.",
        expected="rows as they were, and rows of zeros",
        got="rows with some words gone and others left" if (are_zero.any(2) & ~is_dropped).any() else "other numbers",
        **shown,
    )
    expect(
        bool(per_call.var() < 0.12),  # 0.04, if each row has a chance of its own
        "Each picture should have its own chance: in one batch, some lose their words and others don't.",
        expected="batches in which some pictures lose their words",
        got="batches in which all pictures lose their words, or none",
        **shown,
    )
    if is_dropped.any() and not is_dropped.all():
        expect(
            bool(per_place.var() < 0.02 or shares.var(0).max() > 0),
            "Which pictures lose their words should be drawn anew in each call.",
            expected="other rows in each call",
            got="the same rows in each call",
            evidence=shares[0],
        )
    _expect_share(shares, 0.5, {"evidence": shares.mean(), "slack": 0.07})
    expect(
        bool(per_place.var() < 0.02),  # 0.0017
        "The first pictures of a batch should lose their words as often as the last ones.",
        expected="about half the time, at every place in the batch",
        got=", ".join(f"{x:.0%}" for x in per_place.tolist()),
        evidence=per_place,
        slack=0.2,
    )
    expect(
        bool(per_call.var() > 0.0127),  # 0.04, and six standard errors less than that is 0.0127
        "The number of pictures that lose their words should be left to chance.",
        expected="another number in each batch",
        got="the same number in every batch",
    )
    for share in (0.1, 0.8):
        dropped = (drop(many, share, generator) == 0).all(1).double()
        _expect_share(dropped, share, {"evidence": dropped.mean(), "slack": 0.06})
    says = "With a share of 0, nothing should be dropped."
    expect_close(drop(condition, 0.0, generator), condition, says)
    expect_close(drop(condition, 1.0, generator), 0 * condition, "With a share of 1, everything should be dropped.")
    expect_fair_draws(lambda generator: drop(many, 0.5, generator), seed, "the rows that are dropped")
    with advice():
        expect_on_device_of("condition", "The random numbers", lambda: drop_conditions(condition, 0.5))


def _expect_share(is_dropped: Tensor, share: float, shown: dict[str, Any]) -> None:
    """Check how many rows were dropped, up to six standard errors."""
    near = 6 * (share * (1 - share) / is_dropped.numel()) ** 0.5
    expect(
        bool((is_dropped.mean() - share).abs() <= near),
        "A picture should lose its words with a probability of `share`.",
        expected=f"about {share:.0%} of the pictures",
        got=f"{is_dropped.mean():.0%}",
        **shown,
    )


# ---- 6.3: guidance --------------------------------------------------------------------------------------------------


def test_guide(guide: Callable[..., Tensor], seed: int) -> None:
    """6.3: from the prediction without the words through the prediction with them, `guidance` times as far."""
    free, asked = wide(torch.rand(2, N, C, H, W, generator=seeded(seed), dtype=torch.float64))

    def checked(guidance: float) -> Tensor:
        with copies(unconditional=free, conditional=asked) as given:
            result = guide(*given, guidance)
        result = expect_tensor(result, "The result of `guide`", (N, C, H, W), finite=False).clone()
        with afterward():
            expect_tensor(result, "The result of `guide`", dtype=free.dtype, finite=False)
        return result

    special = {
        1.0: "At guidance 1, the result should be the prediction with the words.",
        0.0: "At guidance 0, the result should be the prediction without the words.",
        2.0: "At guidance 2, the result should be as far beyond `conditional` as that is from `unconditional`.",
    }
    results = {guidance: checked(guidance) for guidance in (*special, 1.5, 3.0, 0.25, 8.0)}
    with all_as_evidence(results.values()):
        for guidance, found in results.items():
            says = special.get(
                guidance, "The result should be `guidance` times as far from `unconditional` as `conditional` is."
            )
            expect_close(found, free + guidance * (asked - free), says)
    single = guide(free.float(), asked.float(), 3.0)
    expect_tensor(single, "The result of `guide` for float32 predictions", (N, C, H, W), dtype=torch.float32)
    says = "In float32, `guide` should give the same result up to rounding."
    expect_close(single, (free + 3 * (asked - free)).float(), says)


# ---- denoisers that are made from others ----------------------------------------------------------------------------


class Call(NamedTuple):
    """One call of a denoiser: its inputs and its prediction."""

    noisy: Tensor
    level: Tensor
    condition: Tensor | None
    prediction: Tensor


class Witness(nn.Module):
    """Denoiser that records its calls. Each picture's prediction depends on that picture, its level and its words.

    Args:
        shift: is added to every prediction.
        phase: with another one, the pattern of every prediction is another.
        takes_words: whether it can be called with a condition.
    """

    def __init__(self, shift: float = 0.2, *, phase: float = 0.0, takes_words: bool = False) -> None:
        super().__init__()
        self.gain = nn.Parameter(torch.tensor(1.5, dtype=torch.float64))
        self.shift, self.phase, self.takes_words = shift, phase, takes_words
        self.calls: list[Call] = []

    def forward(self, noisy: Any = None, noise_level: Any = None, *words: Any, **named: Any) -> Tensor:
        says = "The denoiser should be called with the noisy pictures and their noise level."
        expect(noisy is not None and noise_level is not None, says, expected="two arguments", got="only one of them")
        noisy = expect_tensor(noisy, "The first argument of the denoiser (the noisy pictures)", finite=False)
        noise_level = expect_tensor(noise_level, "The second argument of the denoiser (the noise level)")
        fits = noisy.dim() == 4 and noisy.numel() > 1
        says = "The first argument of the denoiser should be the noisy pictures."
        expect(fits, says, expected="shape (N, C, H, W)", got=str(tuple(noisy.shape)))
        says = "The second argument of the denoiser (the noise level) has the wrong shape."
        fits = noise_level.shape in ((1, 1, 1, 1), (len(noisy), 1, 1, 1))
        expect(fits, says, expected="(1, 1, 1, 1)", got=str(tuple(noise_level.shape)))
        condition = self._condition(words, named, noisy)
        prediction = self.predict(noisy, noise_level, condition)
        self.calls.append(
            Call(*(None if x is None else x.detach().clone() for x in (noisy, noise_level, condition, prediction)))
        )  # type: ignore[arg-type]
        return prediction

    def _condition(self, words: tuple[Any, ...], named: dict[str, Any], noisy: Tensor) -> Tensor | None:
        given = [*words, *named.values()]
        if not self.takes_words:
            expect(not given, "The denoiser takes two arguments.", expected="two arguments", got=f"{2 + len(given)}")
        says = "The model should be called as model(noisy, noise_level, condition)."
        expect(
            len(given) <= 1 and set(named) <= {"condition"}, says, got=f"{2 + len(given)} arguments, or another name"
        )
        if not given or given[0] is None:
            return None
        condition = expect_tensor(given[0], "The third argument of the model (the words)")
        says = "The model should get one row of words for each picture, or one for all of them."
        fits = condition.shape in ((len(noisy), WORDS), (1, WORDS))
        expect(fits, says, expected=f"({len(noisy)}, {WORDS})", got=str(tuple(condition.shape)))
        return condition

    def predict(self, noisy: Tensor, noise_level: Tensor, condition: Tensor | None = None) -> Tensor:
        """Predict without recording it."""
        height, width = noisy.shape[-2:]
        place = torch.arange(1.0, height * width + 1).view(height, width).to(noisy)  # no two places are alike
        angle = 3 * noisy + 2 * noise_level.to(noisy) + 0.1 * place + self.phase
        prediction = self.gain.detach().to(noisy) * torch.cos(angle)
        if condition is not None:
            directions = torch.sin(torch.arange(1.0, 1 + WORDS * C)).view(WORDS, C).to(noisy)
            prediction = prediction + torch.sin(condition.to(noisy) @ directions)[:, :, None, None] * (1 + noisy)
        return prediction + self.shift


def expect_denoiser(made: Any, name: str, witness: Witness) -> Callable[..., Any]:
    """Check that a value is a denoiser, which hasn't predicted anything yet, and return it."""
    expect(
        callable(made) and not isinstance(made, Tensor),
        f"`{name}` should return a denoiser: something that can be called as denoiser(noisy, noise_level).",
        expected="a denoiser",
        got=kind_of(made),
    )
    got = "the given denoiser itself"
    expect(made is not witness, f"`{name}` should return a new denoiser.", expected="a new denoiser", got=got)
    says = f"`{name}` itself should predict nothing: the sampler calls the denoiser that it returns, once in each step."
    expect(not witness.calls, says, expected="no call of the given denoiser yet", got=f"{len(witness.calls)}")
    return made  # type: ignore[no-any-return]


def predict(denoiser: Callable[..., Any], name: str, noisy: Tensor, noise_level: Tensor) -> Tensor:
    """Call a denoiser as the sampler does, and return a copy of its prediction."""
    with copies(noisy=noisy, noise_level=noise_level) as given, torch.no_grad():
        result = denoiser(*given)
    result = expect_tensor(result, f"The prediction of `{name}`", noisy.shape, finite=False).clone()
    with afterward():
        expect_tensor(result, f"The prediction of `{name}`", dtype=noisy.dtype, finite=False)
    return result


def expect_usable(made: Any, name: str, witness: Witness) -> None:
    """Check, afterward, that `generate` can use a denoiser: it looks for the weights and switches the mode."""
    with afterward():
        says = f"What `{name}` returns should be a module, because `generate` switches its mode: wrap your function."
        expect(isinstance(made, nn.Module), says, expected="Denoiser(..., ...)", got=kind_of(made))
        says = f"What `{name}` returns should have the weights of the denoiser that it was made from."
        here = any(weight is witness.gain for weight in made.parameters())
        expect(here, says, expected="the weights of the given denoiser", got="a module without them")
        made.eval()
        says = f"Switching the mode of what `{name}` returns should switch the given denoiser, too."
        expect(not witness.training, says, expected="evaluation mode", got="training mode")


def expect_inputs(witness: Witness, noisy: Tensor, noise_level: Tensor) -> None:
    """Check what a denoiser was called with: the noisy pictures and their level, or several copies of them at once."""
    for call in witness.calls:
        says = "The given denoiser should get the noisy pictures as they are."
        n, shape = len(call.noisy), tuple(call.noisy.shape)
        expect(
            n % len(noisy) == 0 and shape[1:] == noisy.shape[1:], says, expected=str(tuple(noisy.shape)), got=str(shape)
        )
        for part in call.noisy.split(len(noisy)):
            expect_close(part, noisy, says)
        expect_level(call, noise_level)


def expect_level(call: Call, noise_level: Tensor) -> None:
    """Check the level that a denoiser was called with."""
    near = bool((call.level - noise_level.flatten()[0]).abs().max() <= NEAR)
    says = "The given denoiser should get the noise level as it is."
    expect(
        near,
        says,
        expected=number(noise_level.flatten()[0]),
        got=number(call.level.flatten()[0]),
        evidence=call.level.mean(),
    )


# ---- 6.4: asking ----------------------------------------------------------------------------------------------------


def test_asking(asking: Callable[..., Any], seed: int) -> None:
    """6.4: the predictions without and with the words, guided, from the pictures and the level of each call."""
    random = seeded(seed)
    noisy, other = torch.rand(2, N, C, H, W, generator=random, dtype=torch.float64)
    condition = (torch.rand(N, WORDS, generator=random) > 0.5).double() * 0.9 + 0.05
    here = level(0.3 + 0.6 * torch.rand(1, generator=random).item())

    def at(guidance: float | None, words: Tensor = condition) -> Probed:
        return _asked(asking, guidance, words, noisy, here)

    special = {
        1.0: "At guidance 1, the prediction should be the model's prediction with the words.",
        0.0: "At guidance 0, the prediction should be the model's prediction without words.",
    }
    probes = {guidance: at(guidance) for guidance in (*special, 3.0, 1.5, 0.5)}
    with all_as_evidence(probe.result for probe in probes.values()):
        for guidance, probe in probes.items():
            expect_inputs(probe.witness, noisy, here)
            says = special.get(
                guidance, "The prediction should be `guidance` times as far from that without words as that with them."
            )
            expect_close(probe.result, probe.wanted(noisy, here, guidance, condition), says)
    default = at(None)
    says = "If no guidance is given, it should be 1."
    expect_close(default.result, default.wanted(noisy, here, 1.0, condition), says)
    one = at(2.0, condition[:1])
    says = "One row of words should serve all pictures."
    expect_close(one.result, one.wanted(noisy, here, 2.0, condition[:1]), says)
    again = predict(probes[3.0].denoiser, "asking", other, level(0.2))
    says = "Each call should predict from the pictures and the level that it gets."
    expect_close(again, probes[3.0].wanted(other, level(0.2), 3.0, condition), says)
    expect_usable(probes[3.0].denoiser, "asking", probes[3.0].witness)
    with advice():
        for guidance in (0.0, 1.0):
            n = len(probes[guidance].witness.calls)
            says = f"At guidance {guidance:g}, one call of the model is enough, which takes half the time."
            expect(n == 1, says, expected="1 call", got=f"{n} calls")


class Probed(NamedTuple):
    """A denoiser that `asking` made, and what it predicted."""

    denoiser: Callable[..., Any]
    witness: Witness
    result: Tensor

    def wanted(self, noisy: Tensor, noise_level: Tensor, guidance: float, condition: Tensor) -> Tensor:
        """Return the right prediction."""
        free = self.witness.predict(noisy, noise_level)
        return free + guidance * (self.witness.predict(noisy, noise_level, condition) - free)


def _asked(
    asking: Callable[..., Any], guidance: float | None, condition: Tensor, noisy: Tensor, noise_level: Tensor
) -> Probed:
    witness = Witness(takes_words=True)
    given = condition.clone()
    made = asking(witness, given, *([] if guidance is None else [guidance]))
    denoiser = expect_denoiser(made, "asking", witness)
    result = predict(denoiser, "asking", noisy, noise_level)
    with afterward():
        says = "`condition` belongs to the caller and must not change."
        expect(
            torch.equal(given, condition), says, expected="`condition` unchanged", got="`condition` changed in place"
        )
    return Probed(denoiser, witness, result)


# ---- 6.5: keeping ---------------------------------------------------------------------------------------------------


def test_keeping(keeping: Callable[..., Any], seed: int) -> None:
    """6.5: the known pixels where the mask is True, and the prediction everywhere else."""
    random = seeded(seed)
    noisy, known, other = torch.rand(3, N, C, H, W, generator=random, dtype=torch.float64)
    mask = torch.rand(N, 1, H, W, generator=random) < 0.5
    mask[:, :, 0, 0], mask[:, :, 0, 1] = True, False
    here = level(0.3 + 0.6 * torch.rand(1, generator=random).item())
    cases = [(known, mask, here), (known[:1], mask[:1], level(0.1))]
    probes = [_kept(keeping, noisy, now, pictures, where) for pictures, where, now in cases]
    with all_as_evidence(result for _, _, result in probes):
        for (witness, _, result), (pictures, where, now) in zip(probes, cases, strict=True):
            expect_inputs(witness, noisy, now)
            expect(
                bool(witness.calls), "The given denoiser should be called in each step.", expected="1 call", got="none"
            )
            inside, pictures = where.expand_as(noisy), pictures.expand_as(noisy)
            says = "Where the mask is True, the prediction should be the known picture."
            expect_close(torch.where(inside, result, pictures), pictures, says)
            says = "Where the mask is False, the prediction should be that of the given denoiser."
            want = witness.predict(noisy, now)
            expect_close(torch.where(inside, want, result), want, says)
    for (pictures, where), name in (((known, mask[:1]), "One mask"), ((known[:1], mask), "One known picture")):
        witness, _, result = _kept(keeping, noisy, here, pictures, where)
        want = torch.where(where, pictures, witness.predict(noisy, here))
        expect_close(result, want, f"{name} should serve all pictures.")
    for whole in (True, False):
        where = torch.full((1, 1, H, W), whole)
        witness, _, result = _kept(keeping, noisy, here, known, where)
        rest = "the known picture" if whole else "that of the given denoiser"
        says = f"If the mask is {whole} everywhere, the prediction should be {rest}."
        expect_close(result, known if whole else witness.predict(noisy, here), says)
    witness, denoiser, _ = probes[0]
    again = predict(denoiser, "keeping", other, level(0.2))
    says = "Each call should predict from the pictures and the level that it gets."
    expect_close(again, torch.where(mask, known, witness.predict(other, level(0.2))), says)
    with afterward():
        expect(
            len(witness.calls) == 2,
            "The given denoiser should be called once in each step.",
            expected="1 call",
            got=f"{len(witness.calls) / 2:g} calls",
        )
    expect_usable(denoiser, "keeping", witness)


def _kept(
    keeping: Callable[..., Any], noisy: Tensor, noise_level: Tensor, known: Tensor, mask: Tensor
) -> tuple[Witness, Callable[..., Any], Tensor]:
    witness = Witness()
    given = known.clone(), mask.clone()
    denoiser = expect_denoiser(keeping(witness, *given), "keeping", witness)
    result = predict(denoiser, "keeping", noisy, noise_level)
    with afterward():
        for name, before, after in zip(("known", "mask"), (known, mask), given, strict=True):
            says = f"`{name}` belongs to the caller and must not change."
            expect(torch.equal(before, after), says, expected=f"`{name}` unchanged", got=f"`{name}` changed in place")
    return witness, denoiser, result


# ---- 6.6: varying ---------------------------------------------------------------------------------------------------


@runs(2)
def test_vary(vary: Callable[..., Tensor], seed: int) -> None:
    """6.6: uniform noise mixed in at the given level, and taken away along a schedule that begins at this level."""
    random = seeded(seed)
    images = 0.1 + 0.8 * torch.rand(N, C, H, W, generator=random)
    begin = 0.4 + 0.5 * torch.rand(1, generator=random).item()
    schedule = torch.tensor([1.0, 0.95, 0.7, 0.3, 0.0], dtype=torch.float64)
    _expect_start(vary, seed)
    _expect_variation(vary, images, begin, seed, schedule=schedule, step_size=1.5)
    _expect_variation(vary, images, 1.0, seed, schedule=schedule, step_size=1.0)
    if seed == 0:  # this is the slow one
        _expect_variation(vary, images[:2], begin, seed)

    def draw(generator: torch.Generator | None) -> Tensor:
        found = vary(Witness(), images, 0.5, schedule=schedule, generator=generator)
        return expect_tensor(found, "The result of `vary`", images.shape)

    expect_fair_draws(draw, seed, "the variations")
    with advice("The pictures may have another dtype than the schedule, and than torch's default."):
        _expect_variation(vary, images.double(), begin, seed, schedule=schedule.float(), step_size=1.5)
    with advice(), Draws() as draws:
        vary(Halfway(), images, 0.5, schedule=schedule)
        expect(
            not draws.are_anywhere,
            "The noise should be created on the device of `images`.",
            expected="device=images.device, where it is drawn",
            got="torch's default device",
        )


class Halfway(nn.Module):
    """Denoiser that works in any dtype."""

    def forward(self, noisy: Tensor, noise_level: Tensor) -> Tensor:
        return 0.5 * noisy + 0 * noise_level


class Draws(TorchFunctionMode):
    """Record whether random numbers were drawn without naming a device.

    Not on the "meta" device, as elsewhere: the first blend of tensors there imports modules for seconds.
    """

    are_anywhere = False

    def __torch_function__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if function in (torch.rand, torch.randn) and (kwargs or {}).get("device") is None:
            self.are_anywhere = True
        return function(*args, **(kwargs or {}))


def _expect_start(vary: Callable[..., Tensor], seed: int) -> None:
    """Check the first call: the pictures with noise mixed in, at the level where it begins."""
    images, begin = torch.rand(8, 3, 12, 14, generator=seeded(seed)), 0.75
    witness = Witness()
    steps = torch.linspace(1, 0, 3, dtype=torch.float64)
    with copies(images=images) as given:
        expect_tensor(
            vary(witness, *given, begin, schedule=steps, generator=seeded(100 + seed)),
            "The result of `vary`",
            images.shape,
        )
    expect(bool(witness.calls), "The denoiser should be called once for each step.", expected="2 calls", got="none")
    call = witness.calls[0]
    says = "The first call should get pictures of the shape of `images`."
    expect(call.noisy.shape == images.shape, says, expected=str(tuple(images.shape)), got=str(tuple(call.noisy.shape)))
    levels = torch.stack([x.level.flatten()[0] for x in witness.calls])
    near = bool((levels[0] - begin).abs() <= NEAR)
    says = "In the first call, the level should be `noise_level`."
    expect(near, says, expected=number(begin), got=number(levels[0]), evidence=levels)
    noise = (call.noisy - (1 - begin) * images) / begin
    says = "The first call should get a mix: `1 - noise_level` of the pictures, and `noise_level` of the noise."
    facts = torch.stack([noise.mean(), noise.std(), _fit(call.noisy, images), (noise - noise.roll(1, 0)).abs().mean()])
    shown = {"evidence": facts, "slack": 0.2}
    error = begin * noise.std() / images.std() / images.numel() ** 0.5  # of the fit
    fits = (_fit(call.noisy, images) - (1 - begin)).abs() < 6 * error
    got = f"about {number(_fit(call.noisy, images))} of the pictures"
    expect(fits, says, expected=f"{number(1 - begin)} of the pictures", got=got, **shown)
    for dim, name in enumerate(("picture", "channel", "row", "column")):
        different = bool((noise - noise.roll(1, dim)).abs().mean() > 0.1)  # a third, if drawn independently
        says = f"The noise should differ from {name} to {name}."
        expect(different, says, expected=f"other noise in each {name}", got=f"the same in each {name}", **shown)
    in_range = bool(noise.min() > -1e-5 and noise.max() < 1 + 1e-5)
    says = "The noise that is mixed in should be uniform in [0, 1), as in training."
    got = f"from {number(noise.min())} to {number(noise.max())}"
    expect(in_range, says, expected="from 0 to 1", got=got, **shown)
    expect_uniform(noise.clamp(0, 1 - 1e-6), "The noise that is mixed in is")


def _fit(noisy: Tensor, images: Tensor) -> Tensor:
    """Return how much of the pictures is in a mix: the slope of a straight line through all pixels."""
    x, y = images.flatten() - images.mean(), noisy.flatten() - noisy.mean()
    return (x * y).sum() / (x * x).sum()


def _expect_variation(vary: Callable[..., Tensor], images: Tensor, begin: float, seed: int, **options: Any) -> None:
    """Check every call of the denoiser in order, and the final result."""
    witness = Witness()
    with copies(images=images) as given:
        found = vary(witness, *given, begin, generator=seeded(100 + seed), **options)
    found = expect_tensor(found, "The result of `vary`", images.shape)
    with afterward() if images.dtype == torch.float32 else advice():
        expect_tensor(found, "The result of `vary`", dtype=images.dtype)
    schedule = options.get("schedule", noise_schedule(100)).double()
    size, steps = options.get("step_size", 2.0), len(schedule) - 1
    says = "The denoiser should be called once for each step of the schedule" + (
        "." if "schedule" in options else ", and 100 times if there is no schedule."
    )
    expect(len(witness.calls) == steps, says, expected=f"{steps} calls", got=str(len(witness.calls)))
    levels = torch.stack([call.level.flatten()[0] for call in witness.calls])
    want = begin * schedule[:-1]
    says = "The levels should be those of the schedule, scaled down to begin at `noise_level`."
    near = bool(((levels - want).abs() <= 10 * NEAR).all())
    expect(near, says, expected=listed(want), got=listed(levels), evidence=levels)
    shown = torch.stack([call.noisy for call in witness.calls])
    predicted = torch.stack([call.prediction for call in witness.calls])
    earlier = torch.cat([predicted[:1], predicted[:-1]])
    fraction = (schedule[1:] / schedule[:-1]).to(shown).view(-1, 1, 1, 1, 1)

    def mixes_with(size: float) -> Tensor:
        guess = earlier + size * (predicted - earlier)
        return guess + fraction * (shown - guess)

    mixes = mixes_with(size)
    says = "Each call should get the mix that the step before it reached, with the given `step_size`" + (
        "." if "step_size" in options else ", or 2 by default."
    )
    with explained_by([mixes_with(other)[:-1] for other in (1.0, 2.0)]):
        expect_close(shown[1:], mixes[:-1], says, tolerance=1e-4)
    says = "The result should be the mix that the last step reached, clamped to [0, 1]."
    last = mixes[-1]
    with explained_by([last, predicted[-1], predicted[-1].clamp(0, 1), mixes[0].clamp(0, 1), shown[-1].clamp(0, 1)]):
        expect_close(found, last.clamp(0, 1), says, tolerance=1e-4)
    with afterward():
        expect(
            not found.requires_grad, "The variations should not require gradients.", got="tensors that carry a graph"
        )


# ---- 6.7: a denoiser of the learner's own ---------------------------------------------------------------------------

SIDE = 32  # pixels, as in the course: a denoiser may be made for pictures of this size


@runs(1)
def test_my_own(my_own: Callable[..., Any], seed: int) -> None:
    """6.7: any denoiser that is made from another one: it uses the other one's predictions, and changes them."""
    noisy = torch.rand(N, C, SIDE, SIDE, generator=seeded(seed), dtype=torch.float64)
    witness = Witness()
    denoiser = expect_denoiser(my_own(witness), "my_own", witness)
    changed = False
    for value in (0.7, 1.0, 0.02):
        here, n_before = level(value), len(witness.calls)
        result = predict(denoiser, "my_own", noisy, here)
        says = "The given denoiser should be called in each step."
        expect(
            len(witness.calls) > n_before, says, expected="1 call or more", got="no call", evidence=_kind(result, noisy)
        )
        for call in witness.calls[n_before:]:
            says = "The given denoiser should get pictures of the shape of `noisy`."
            shape, fits = tuple(call.noisy.shape), call.noisy.shape[1:] == noisy.shape[1:]
            expect(fits, says, expected=f"(..., {C}, {SIDE}, {SIDE})", got=str(shape))
            expect_level(call, here)
        expect_tensor(result, "The prediction of `my_own`")
        _expect_use(my_own, noisy, here, result)
        changed |= bool((result - witness.predict(noisy, here)).abs().max() > NEAR)
    says = "Your denoiser should change the prediction, at least at some noise levels."
    expect(changed, says, expected="another prediction than the given denoiser's", got="always the same prediction")
    is_random = not torch.equal(result, predict(denoiser, "my_own", noisy, here))
    if not is_random:
        alone = torch.cat([predict(denoiser, "my_own", noisy[k : k + 1], here) for k in range(N)])
        says = "The prediction for a picture should not depend on the other pictures of the batch."
        expect_close(result, alone, says, tolerance=NEAR)
    expect_usable(denoiser, "my_own", witness)
    with advice():
        says = "Nothing should be random, so that the same starting noise always gives the same picture."
        expect(not is_random, says, expected="the same prediction in a second call", got="another prediction")
    with advice():
        _expect_no_slip(witness, noisy, here, result)


def _expect_use(my_own: Callable[..., Any], noisy: Tensor, here: Tensor, result: Tensor) -> None:
    """Check that the prediction depends on what the given denoiser predicts."""
    other = predict(my_own(Witness(shift=0.57, phase=0.9)), "my_own", noisy, here)
    expect(
        bool((other - result).abs().max() > NEAR),
        "Your denoiser should use what the given denoiser predicts.",
        expected="another prediction if the given denoiser predicts something else",
        got="the same",
        evidence=_kind(result, noisy),
    )


def _kind(result: Tensor, noisy: Tensor) -> Tensor:
    """Return which simple function of the noisy pictures a result is, as flags."""
    simple = [noisy, noisy.flip(-1), (noisy + noisy.flip(-1)) / 2, noisy.clamp(0, 1).round(), torch.zeros_like(noisy)]
    return torch.tensor([bool((result - x).abs().max() < NEAR) for x in simple])


def _expect_no_slip(witness: Witness, noisy: Tensor, here: Tensor, result: Tensor) -> None:
    """Check that a prediction isn't what two common slips make of an average over flips or turns."""
    straight = witness.predict(noisy, here)
    for dims in ((-1,), (-2,), (-1, -2)):
        turned = witness.predict(noisy.flip(dims), here)
        half = (straight + turned) / 2
        says = "If the given denoiser gets turned pictures, its prediction should be turned back."
        got = "the average of a prediction and of one that is still turned"
        expect(bool((result - half).abs().max() > NEAR), says, expected="both the right way around", got=got)
        says = "An average over two predictions should be their sum, divided by 2."
        both = straight + turned.flip(dims)
        expect(bool((result - both).abs().max() > NEAR), says, expected="half of the sum", got="the sum of both")


# ---- small helpers --------------------------------------------------------------------------------------------------


def seeded(seed: int) -> torch.Generator:
    """Return a new generator with a seed."""
    return torch.Generator().manual_seed(seed)


def wide(images: Tensor) -> Tensor:
    """Stretch images from [0, 1] to [-0.5, 1.5]."""
    return 2 * images - 0.5


def level(value: float) -> Tensor:
    """Return one noise level for the whole batch."""
    return torch.full((1, 1, 1, 1), value, dtype=torch.float64)


def listed(levels: Tensor) -> str:
    """Format the first levels for a message."""
    return ", ".join(number(x) for x in levels[:7]) + ", ..." * (len(levels) > 7)


# ---- the contact sheet ----------------------------------------------------------------------------------------------

ANIMALS, PLANTS = (1, 7, 8, 14, 15), (2, 3, 9, 12)  # of the sixteen emoji


class Remembers(nn.Module):
    """Ideal denoiser for sixteen emoji, which knows the words "animal" and "plant".

    Its prediction is the average of the emoji, weighted by how well each of them explains the mix and has the words.
    """

    def forward(self, noisy: Tensor, noise_level: Tensor, condition: Tensor | None = None) -> Tensor:
        known, t = emoji().flatten(1), noise_level.flatten()[:1].clamp(min=1e-3)
        centered, fraction = (noisy - t / 2).flatten(1), 1 - t
        apart = fraction.square() * known.square().sum(1) - 2 * fraction * centered @ known.T
        fits = -apart / (2 * t.square() / 12)
        if condition is not None:
            has = torch.zeros(16, 2)
            has[list(ANIMALS), 0], has[list(PLANTS), 1] = 1, 1
            fits = fits - 4 * condition @ (1 - has).T  # it follows a word, but isn't quite sure of it
        return (torch.softmax(fits, dim=1) @ known).view(noisy.shape)


class Shown(nn.Module):
    """Network that keeps what it gets."""

    def __init__(self) -> None:
        super().__init__()
        self.x = torch.empty(0)

    def forward(self, x: Tensor, noise_level: Tensor) -> Tensor:  # noqa: ARG002
        self.x = x
        return x


def _planes(part: ModuleType) -> Tensor:
    """Return the channels that the network gets: a gray picture, and four words."""
    network = Shown()
    gray = emoji()[14:15].mean(1, keepdim=True)
    noisy = torch.lerp(gray, torch.rand(1, 1, 32, 32, generator=seeded(0)), 0.5)
    words = torch.tensor([[1.0, 0.0, 0.5, 1.0]])
    part.ConditionalDenoiser(network, 4)(noisy, torch.full((1, 1, 1, 1), 0.5), words)
    return 0.85 * network.x.permute(1, 0, 2, 3)  # so that 1 is not as white as the paper


def _dropped(part: ModuleType) -> Tensor:
    """Draw the words of 36 pictures as a table: a column for each picture, and a row for each word."""
    words = (torch.rand(36, 5, generator=seeded(0)) < 0.6).float()
    table = part.drop_conditions(words, 0.25, generator=seeded(1))
    pixels = 1 - 0.75 * table.T[None, None]
    return pixels.repeat_interleave(6, 2).repeat_interleave(6, 3)


def _guided(part: ModuleType) -> Tensor:
    """Guide from a blurred average toward one picture."""
    free = emoji()[list(ANIMALS)].mean(0, keepdim=True)
    asked = 0.6 * free + 0.4 * emoji()[14:15]
    return torch.cat([part.guide(free, asked, guidance) for guidance in (0, 0.5, 1, 1.5, 2.5, 4)])


def _asked_for(part: ModuleType, word: int) -> Tensor:
    denoiser = part.asking(Remembers(), torch.eye(2)[word : word + 1], 1.5)
    return generate(denoiser, 7, image_shape=(3, 32, 32), n_steps=20, generator=seeded(2))


def _completed(part: ModuleType) -> Tensor:
    """Keep the upper part of a picture, first more of it and then less."""
    rows = torch.arange(32).view(1, 1, 32, 1)
    known = emoji()[1:2]
    masks = [rows < height for height in (32, 20, 14, 10, 8, 6, 0)]
    draw = [
        generate(part.keeping(Remembers(), known, x), 1, image_shape=(3, 32, 32), n_steps=20, generator=seeded(5))
        for x in masks
    ]
    return torch.cat(draw)


def _varied(part: ModuleType) -> Tensor:
    """Vary a picture, from lower and from higher levels."""
    pictures = [
        part.vary(Remembers(), emoji()[9:10], value, schedule=noise_schedule(20), generator=seeded(3))
        for value in (0.3, 0.7, 0.85, 0.9, 0.93, 0.96, 1.0)
    ]
    return torch.cat(pictures)


def _own(part: ModuleType) -> Tensor:
    return generate(part.my_own(Remembers()), 7, image_shape=(3, 32, 32), n_steps=20, generator=seeded(1))


PANELS = [
    Panel(
        "ConditionalDenoiser", "what the network gets: a noisy gray picture, then the words 1, 0, 0.5 and 1", _planes
    ),
    Panel(
        "drop_conditions", "five words of 36 pictures, one column each; a share of 0.25 has lost its words", _dropped
    ),
    Panel("guide", "guidance 0, 0.5, 1, 1.5, 2.5 and 4, from a mixture of animals toward one of them", _guided),
    Panel(
        "asking",
        "seven pictures by a model that has memorized sixteen emoji, asked for an animal",
        lambda part: _asked_for(part, 0),
    ),
    Panel("asking", "the same noise, asked for a plant", lambda part: _asked_for(part, 1)),
    Panel("keeping", "the upper part of a cat is kept: all of it, then less and less", _completed),
    Panel("vary", "variations of a mushroom, from levels 0.3, 0.7, 0.85, 0.9, 0.93, 0.96 and 1", _varied),
    Panel("my_own", "seven pictures by a denoiser of your own; the expected ones average over a flip", _own),
]
