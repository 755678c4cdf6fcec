"""Common wrong answers to lesson 06, each with the sentence that the learner reads. The grader recognizes them.

Spoilers: this file gives the exercises away.
"""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from ....noise import mix
from ....sampler import denoise, noise_schedule
from ....steering import Denoiser, guide
from ...grader.expect import mistake

Generator = torch.Generator | None
Words = Tensor | None


# ---- 6.1 ConditionalDenoiser ----------------------------------------------------------------------------------------


class Wrapper(nn.Module):
    """What most wrong answers get right: the network is kept, and None becomes zeros."""

    def __init__(self, unet: nn.Module, n_words: int) -> None:
        super().__init__()
        self.unet, self.n_words = unet, n_words

    def planes(self, noisy: Tensor, condition: Words) -> Tensor:
        n, _, height, width = noisy.shape
        condition = noisy.new_zeros(1, self.n_words) if condition is None else condition.to(noisy)
        return condition[:, :, None, None].expand(n, self.n_words, height, width)


@mistake("ConditionalDenoiser", "The words come before the picture, but the docstring puts the picture first.")
class WordsFirst(Wrapper):
    def forward(self, noisy: Tensor, noise_level: Tensor, condition: Words = None) -> Tensor:
        return self.unet(torch.cat([self.planes(noisy, condition), noisy], dim=1), noise_level)[:, : noisy.shape[1]]


@mistake("ConditionalDenoiser", "The network gets the noisy pictures alone: the words aren't used.")
class WordsUnused(Wrapper):
    def forward(self, noisy: Tensor, noise_level: Tensor, condition: Words = None) -> Tensor:
        return self.unet(noisy, noise_level)[:, : noisy.shape[1]]


@mistake(
    "ConditionalDenoiser", "The words' channels are always 0: what `condition` asks for is never copied into them."
)
class AlwaysNothing(Wrapper):
    def forward(self, noisy: Tensor, noise_level: Tensor, condition: Words = None) -> Tensor:
        return self.unet(torch.cat([noisy, self.planes(noisy, None)], dim=1), noise_level)[:, : noisy.shape[1]]


@mistake("ConditionalDenoiser", "The module returns all channels of the network, but only the first are a picture.")
class AllChannels(Wrapper):
    def forward(self, noisy: Tensor, noise_level: Tensor, condition: Words = None) -> Tensor:
        return self.unet(torch.cat([noisy, self.planes(noisy, condition)], dim=1), noise_level)


@mistake("ConditionalDenoiser", "The module returns the last channels of the network's output instead of the first.")
class LastChannels(Wrapper):
    def forward(self, noisy: Tensor, noise_level: Tensor, condition: Words = None) -> Tensor:
        return self.unet(torch.cat([noisy, self.planes(noisy, condition)], dim=1), noise_level)[:, -noisy.shape[1] :]


@mistake(
    "ConditionalDenoiser",
    "The words' channels are cut off the end of the output. A network without them loses channels of the picture.",
)
class CutFromTheEnd(Wrapper):
    def forward(self, noisy: Tensor, noise_level: Tensor, condition: Words = None) -> Tensor:
        return self.unet(torch.cat([noisy, self.planes(noisy, condition)], dim=1), noise_level)[:, : -self.n_words]


@mistake("ConditionalDenoiser", "The prediction always has 3 channels, but a gray picture has one.")
class AlwaysThreeChannels(Wrapper):
    def forward(self, noisy: Tensor, noise_level: Tensor, condition: Words = None) -> Tensor:
        return self.unet(torch.cat([noisy, self.planes(noisy, condition)], dim=1), noise_level)[:, :3]


@mistake("ConditionalDenoiser", "`condition` being None isn't handled, and None can't be made into channels.")
class NoneForgotten(Wrapper):
    def forward(self, noisy: Tensor, noise_level: Tensor, condition: Words = None) -> Tensor:
        n, channels, height, width = noisy.shape
        planes = condition[:, :, None, None].expand(n, self.n_words, height, width)
        return self.unet(torch.cat([noisy, planes.to(noisy)], dim=1), noise_level)[:, :channels]


@mistake("ConditionalDenoiser", "`condition` being None isn't handled: `None.to` doesn't exist.")
class NoneMoved(Wrapper):
    def forward(self, noisy: Tensor, noise_level: Tensor, condition: Words = None) -> Tensor:
        n, channels, height, width = noisy.shape
        planes = condition.to(noisy)[:, :, None, None].expand(n, self.n_words, height, width)
        return self.unet(torch.cat([noisy, planes], dim=1), noise_level)[:, :channels]


@mistake(
    "ConditionalDenoiser",
    "If the condition is None, the words' channels are left out. The network needs the same number of channels always.",
)
class ChannelsLeftOut(Wrapper):
    def forward(self, noisy: Tensor, noise_level: Tensor, condition: Words = None) -> Tensor:
        x = noisy if condition is None else torch.cat([noisy, self.planes(noisy, condition)], dim=1)
        return self.unet(x, noise_level)[:, : noisy.shape[1]]


@mistake("ConditionalDenoiser", "If the condition is None, the words' channels are all 1, which asks for everything.")
class OnesForNothing(Wrapper):
    def forward(self, noisy: Tensor, noise_level: Tensor, condition: Words = None) -> Tensor:
        condition = noisy.new_ones(1, self.n_words) if condition is None else condition
        return self.unet(torch.cat([noisy, self.planes(noisy, condition)], dim=1), noise_level)[:, : noisy.shape[1]]


@mistake(
    "ConditionalDenoiser", "If the condition is None, the words' channels are 0.5, which asks for half of everything."
)
class HalfForNothing(Wrapper):
    def forward(self, noisy: Tensor, noise_level: Tensor, condition: Words = None) -> Tensor:
        condition = noisy.new_full((1, self.n_words), 0.5) if condition is None else condition
        return self.unet(torch.cat([noisy, self.planes(noisy, condition)], dim=1), noise_level)[:, : noisy.shape[1]]


@mistake("ConditionalDenoiser", "Every picture gets the words of the first one.")
class FirstRowForAll(Wrapper):
    def forward(self, noisy: Tensor, noise_level: Tensor, condition: Words = None) -> Tensor:
        condition = None if condition is None else condition[:1]
        return self.unet(torch.cat([noisy, self.planes(noisy, condition)], dim=1), noise_level)[:, : noisy.shape[1]]


@mistake("ConditionalDenoiser", "Every picture gets the average of all the words in the batch.")
class AverageOfTheBatch(Wrapper):
    def forward(self, noisy: Tensor, noise_level: Tensor, condition: Words = None) -> Tensor:
        condition = None if condition is None else condition.mean(0, keepdim=True)
        return self.unet(torch.cat([noisy, self.planes(noisy, condition)], dim=1), noise_level)[:, : noisy.shape[1]]


@mistake("ConditionalDenoiser", "The words are rounded or compared, but a word may also be asked for by half.")
class Rounded(Wrapper):
    def forward(self, noisy: Tensor, noise_level: Tensor, condition: Words = None) -> Tensor:
        condition = None if condition is None else condition.round()
        return self.unet(torch.cat([noisy, self.planes(noisy, condition)], dim=1), noise_level)[:, : noisy.shape[1]]


@mistake(
    "ConditionalDenoiser", "The words stay single numbers, but `cat` needs a plane of the pictures' height and width."
)
class NotExpanded(Wrapper):
    def forward(self, noisy: Tensor, noise_level: Tensor, condition: Words = None) -> Tensor:
        condition = noisy.new_zeros(len(noisy), self.n_words) if condition is None else condition
        x = torch.cat([noisy, condition.to(noisy)[:, :, None, None]], dim=1)
        return self.unet(x, noise_level)[:, : noisy.shape[1]]


@mistake("ConditionalDenoiser", "The words have two dimensions and the pictures four. `cat` needs the same number.")
class TwoDimensions(Wrapper):
    def forward(self, noisy: Tensor, noise_level: Tensor, condition: Words = None) -> Tensor:
        condition = noisy.new_zeros(len(noisy), self.n_words) if condition is None else condition
        return self.unet(torch.cat([noisy, condition.to(noisy)], dim=1), noise_level)[:, : noisy.shape[1]]


@mistake("ConditionalDenoiser", "Pictures and words are joined along dimension 0, the batch, instead of the channels.")
class JoinedAlongTheBatch(Wrapper):
    def forward(self, noisy: Tensor, noise_level: Tensor, condition: Words = None) -> Tensor:
        return self.unet(torch.cat([noisy, self.planes(noisy, condition)], dim=0), noise_level)[:, : noisy.shape[1]]


@mistake("ConditionalDenoiser", "A single row of words isn't repeated for the other pictures of the batch.")
class OneRowForgotten(Wrapper):
    def forward(self, noisy: Tensor, noise_level: Tensor, condition: Words = None) -> Tensor:
        condition = noisy.new_zeros(len(noisy), self.n_words) if condition is None else condition
        planes = condition.to(noisy)[:, :, None, None].expand(-1, -1, *noisy.shape[2:])
        return self.unet(torch.cat([noisy, planes], dim=1), noise_level)[:, : noisy.shape[1]]


@mistake("ConditionalDenoiser", "The words are added to the pixels instead of getting channels of their own.")
class AddedToThePixels(Wrapper):
    def forward(self, noisy: Tensor, noise_level: Tensor, condition: Words = None) -> Tensor:
        words = self.planes(noisy, condition).mean(1, keepdim=True)
        return self.unet(noisy + words, noise_level)[:, : noisy.shape[1]]


@mistake("ConditionalDenoiser", "All words share one channel, but each of them needs its own.")
class OneChannelForAll(Wrapper):
    def forward(self, noisy: Tensor, noise_level: Tensor, condition: Words = None) -> Tensor:
        plane = self.planes(noisy, condition).mean(1, keepdim=True)
        return self.unet(torch.cat([noisy, plane], dim=1), noise_level)[:, : noisy.shape[1]]


@mistake("ConditionalDenoiser", "The noise level is made into a channel here, but the network does that itself.")
class LevelAsAChannel(Wrapper):
    def forward(self, noisy: Tensor, noise_level: Tensor, condition: Words = None) -> Tensor:
        level = noise_level.expand(len(noisy), 1, *noisy.shape[2:])
        x = torch.cat([noisy, self.planes(noisy, condition), level], dim=1)
        return self.unet(x, noise_level)[:, : noisy.shape[1]]


@mistake("ConditionalDenoiser", "The network isn't given the noise level.")
class NoLevel(Wrapper):
    def forward(self, noisy: Tensor, noise_level: Tensor, condition: Words = None) -> Tensor:
        return self.unet(torch.cat([noisy, self.planes(noisy, condition)], dim=1))[:, : noisy.shape[1]]


@mistake("ConditionalDenoiser", "The network gets 1 minus the noise level, which says how clean the pictures are.")
class HowClean(Wrapper):
    def forward(self, noisy: Tensor, noise_level: Tensor, condition: Words = None) -> Tensor:
        x = torch.cat([noisy, self.planes(noisy, condition)], dim=1)
        return self.unet(x, 1 - noise_level)[:, : noisy.shape[1]]


@mistake("ConditionalDenoiser", "The noise in the network's input is weaker than it was: the words scale the pictures.")
class PicturesScaled(Wrapper):
    def forward(self, noisy: Tensor, noise_level: Tensor, condition: Words = None) -> Tensor:
        planes = self.planes(noisy, condition)
        x = torch.cat([noisy * (1 - planes.mean(1, keepdim=True)), planes], dim=1)
        return self.unet(x, noise_level)[:, : noisy.shape[1]]


@mistake(
    "ConditionalDenoiser", "The network is kept in a plain list, so torch doesn't know that its weights belong here."
)
class InAList(nn.Module):
    def __init__(self, unet: nn.Module, n_words: int) -> None:
        super().__init__()
        self.parts, self.n_words = [unet], n_words

    def forward(self, noisy: Tensor, noise_level: Tensor, condition: Words = None) -> Tensor:
        x = torch.cat([noisy, Wrapper.planes(self, noisy, condition)], dim=1)
        return self.parts[0](x, noise_level)[:, : noisy.shape[1]]


@mistake("ConditionalDenoiser", "Gradients are turned off in `forward`, so the network can't learn.")
class GradientsOff(Wrapper):
    @torch.no_grad()
    def forward(self, noisy: Tensor, noise_level: Tensor, condition: Words = None) -> Tensor:
        return self.unet(torch.cat([noisy, self.planes(noisy, condition)], dim=1), noise_level)[:, : noisy.shape[1]]


@mistake("ConditionalDenoiser", "The class isn't built on nn.Module.")
class NoModule:
    def __init__(self, unet: nn.Module, n_words: int) -> None:
        self.unet, self.n_words = unet, n_words

    def forward(self, noisy: Tensor, noise_level: Tensor, condition: Words = None) -> Tensor:
        return self.unet(torch.cat([noisy, Wrapper.planes(self, noisy, condition)], dim=1), noise_level)[:, :3]


@mistake("ConditionalDenoiser", "The words keep their own dtype, but a network needs all of its channels in one dtype.")
class WordsOfAnotherDtype(Wrapper):
    def forward(self, noisy: Tensor, noise_level: Tensor, condition: Words = None) -> Tensor:
        n, channels, height, width = noisy.shape
        condition = noisy.new_zeros(1, self.n_words) if condition is None else condition
        planes = condition[:, :, None, None].expand(n, self.n_words, height, width)
        return self.unet(torch.cat([noisy, planes], dim=1), noise_level)[:, :channels]


@mistake("ConditionalDenoiser", "The zeros are made on torch's default device, not on the device of the pictures.")
class ZerosElsewhere(Wrapper):
    def forward(self, noisy: Tensor, noise_level: Tensor, condition: Words = None) -> Tensor:
        n, channels, height, width = noisy.shape
        condition = torch.zeros(1, self.n_words, dtype=noisy.dtype) if condition is None else condition.to(noisy)
        planes = condition[:, :, None, None].expand(n, self.n_words, height, width)
        return self.unet(torch.cat([noisy, planes], dim=1), noise_level)[:, :channels]


# ---- 6.2 drop_conditions --------------------------------------------------------------------------------------------


def numbers(condition: Tensor, generator: Generator) -> Tensor:
    """Draw one number for each row, (N, 1)."""
    return torch.rand(len(condition), 1, generator=generator, device=condition.device)


@mistake("drop_conditions", "Single words are dropped. All words of a picture should be kept or dropped together.")
def word_by_word(condition: Tensor, share: float, *, generator: Generator = None) -> Tensor:
    return condition * (torch.rand(condition.shape, generator=generator, device=condition.device) >= share)


@mistake("drop_conditions", "The comparison is the wrong way around: `share` is the probability with which words stay.")
def kept_with_the_share(condition: Tensor, share: float, *, generator: Generator = None) -> Tensor:
    return condition * (numbers(condition, generator) < share)


@mistake("drop_conditions", "One random number decides for the whole batch.")
def one_for_all(condition: Tensor, share: float, *, generator: Generator = None) -> Tensor:
    return condition * (torch.rand(1, generator=generator, device=condition.device) >= share)


@mistake("drop_conditions", "It is always the first pictures of the batch that lose their words.")
def the_first_ones(condition: Tensor, share: float, *, generator: Generator = None) -> Tensor:
    result = condition.clone()
    result[: round(share * len(result))] = 0
    return result


@mistake("drop_conditions", "It is always the last pictures of the batch that lose their words.")
def the_last_ones(condition: Tensor, share: float, *, generator: Generator = None) -> Tensor:
    result = condition.clone()
    result[len(result) - round(share * len(result)) :] = 0
    return result


@mistake(
    "drop_conditions",
    "The same number of pictures loses its words in every batch. A batch of one picture would always be treated alike.",
)
def an_exact_number(condition: Tensor, share: float, *, generator: Generator = None) -> Tensor:
    result = condition.clone()
    order = torch.randperm(len(result), generator=generator, device=condition.device)
    result[order[: round(share * len(result))]] = 0
    return result


@mistake("drop_conditions", "The words fade: they are multiplied by `1 - share` instead of being dropped.")
def faded(condition: Tensor, share: float, *, generator: Generator = None) -> Tensor:
    return condition * (1 - share)


@mistake(
    "drop_conditions", "The words are multiplied by the random numbers themselves. Compare the numbers with `share`."
)
def times_random_numbers(condition: Tensor, share: float, *, generator: Generator = None) -> Tensor:
    return condition * numbers(condition, generator)


@mistake("drop_conditions", "The words that stay are scaled up, as dropout does. They should stay as they were.")
def scaled_up(condition: Tensor, share: float, *, generator: Generator = None) -> Tensor:
    kept = numbers(condition, generator) >= share
    return condition * kept / max(1 - share, 1e-6)


@mistake("drop_conditions", "Nothing is dropped: the words come back as they were.")
def nothing_dropped(condition: Tensor, share: float, *, generator: Generator = None) -> Tensor:
    return condition.clone()


@mistake("drop_conditions", "All words of all pictures are dropped.")
def all_dropped(condition: Tensor, share: float, *, generator: Generator = None) -> Tensor:
    return torch.zeros_like(condition)


@mistake("drop_conditions", "Dropped words become 1, which asks for everything, instead of 0.")
def ones_for_dropped(condition: Tensor, share: float, *, generator: Generator = None) -> Tensor:
    return torch.where(numbers(condition, generator) < share, torch.ones_like(condition), condition)


@mistake("drop_conditions", "Dropped words become 0.5. Nothing is asked for only if all words are 0.")
def halves_for_dropped(condition: Tensor, share: float, *, generator: Generator = None) -> Tensor:
    return torch.where(numbers(condition, generator) < share, torch.full_like(condition, 0.5), condition)


@mistake("drop_conditions", "Dropped rows are left out, so there are fewer rows than pictures.")
def rows_left_out(condition: Tensor, share: float, *, generator: Generator = None) -> Tensor:
    return condition[numbers(condition, generator)[:, 0] >= share]


@mistake("drop_conditions", "Whole columns are dropped: one random number for each word instead of each picture.")
def whole_columns(condition: Tensor, share: float, *, generator: Generator = None) -> Tensor:
    return condition * (torch.rand(condition.shape[1], generator=generator, device=condition.device) >= share)


@mistake(
    "drop_conditions",
    "The random numbers have the shape (N,), which lines up with the words. They need the shape (N, 1).",
)
def a_bare_row(condition: Tensor, share: float, *, generator: Generator = None) -> Tensor:
    return condition * (torch.rand(len(condition), generator=generator, device=condition.device) >= share)


@mistake("drop_conditions", "The random numbers are Gaussian, so they are below `share` too often.")
def gaussian_numbers(condition: Tensor, share: float, *, generator: Generator = None) -> Tensor:
    return condition * (torch.randn(len(condition), 1, generator=generator, device=condition.device) >= share)


@mistake("drop_conditions", "The probability is always a half: `share` isn't used.")
def always_half(condition: Tensor, share: float, *, generator: Generator = None) -> Tensor:
    return condition * (numbers(condition, generator) >= 0.5)


@mistake("drop_conditions", "The probability is always a tenth: `share` isn't used.")
def always_a_tenth(condition: Tensor, share: float, *, generator: Generator = None) -> Tensor:
    return condition * (numbers(condition, generator) >= 0.1)


@mistake("drop_conditions", "The result is random also with a share of 0 or 1: the probability isn't quite `share`.")
def never_certain(condition: Tensor, share: float, *, generator: Generator = None) -> Tensor:
    return condition * (numbers(condition, generator) >= 0.1 + 0.8 * share)


@mistake("drop_conditions", "`generator` isn't used, so a run can't be repeated.")
def generator_unused(condition: Tensor, share: float, *, generator: Generator = None) -> Tensor:
    return condition * (torch.rand(len(condition), 1, device=condition.device) >= share)


@mistake("drop_conditions", "Each call starts from the same seed, so the same rows are dropped every time.")
def same_seed(condition: Tensor, share: float, *, generator: Generator = None) -> Tensor:
    return condition * (numbers(condition, torch.Generator().manual_seed(0)) >= share)


@mistake("drop_conditions", "The zeros are written into `condition`, which belongs to the caller.")
def in_place(condition: Tensor, share: float, *, generator: Generator = None) -> Tensor:
    condition[numbers(condition, generator)[:, 0] < share] = 0
    return condition


@mistake("drop_conditions", "The random numbers are drawn on torch's default device, not on that of `condition`.")
def device_forgotten(condition: Tensor, share: float, *, generator: Generator = None) -> Tensor:
    return condition * (torch.rand(len(condition), 1, generator=generator) >= share)


# ---- 6.3 guide ------------------------------------------------------------------------------------------------------


@mistake("guide", "The two predictions are swapped: a guidance of 0 gives the prediction with the words.")
def predictions_swapped(unconditional: Tensor, conditional: Tensor, guidance: float) -> Tensor:
    return torch.lerp(conditional, unconditional, guidance)


@mistake(
    "guide", "The distance is counted from the prediction with the words, so a guidance of 1 goes too far already."
)
def counted_from_the_asked(unconditional: Tensor, conditional: Tensor, guidance: float) -> Tensor:
    return conditional + guidance * (conditional - unconditional)


@mistake("guide", "The guidance has the wrong sign: it leads away from the words.")
def away_from_the_words(unconditional: Tensor, conditional: Tensor, guidance: float) -> Tensor:
    return unconditional - guidance * (conditional - unconditional)


@mistake("guide", "The result is always the prediction with the words: `guidance` isn't used.")
def always_the_asked(unconditional: Tensor, conditional: Tensor, guidance: float) -> Tensor:
    return conditional.clone()


@mistake("guide", "The result is always the prediction without the words.")
def always_the_free(unconditional: Tensor, conditional: Tensor, guidance: float) -> Tensor:
    return unconditional.clone()


@mistake("guide", "The result is the change alone. It should be added to the prediction without the words.")
def the_change_alone(unconditional: Tensor, conditional: Tensor, guidance: float) -> Tensor:
    return guidance * (conditional - unconditional)


@mistake("guide", "The whole prediction with the words is added, instead of the difference of the two.")
def added_whole(unconditional: Tensor, conditional: Tensor, guidance: float) -> Tensor:
    return unconditional + guidance * conditional


@mistake("guide", "The prediction with the words is multiplied by the guidance, and the other one isn't used.")
def only_multiplied(unconditional: Tensor, conditional: Tensor, guidance: float) -> Tensor:
    return guidance * conditional


@mistake("guide", "The two predictions are averaged, and `guidance` isn't used.")
def averaged(unconditional: Tensor, conditional: Tensor, guidance: float) -> Tensor:
    return (unconditional + conditional) / 2


@mistake("guide", "The result is clamped to [0, 1], but it may leave that range.")
def clamped(unconditional: Tensor, conditional: Tensor, guidance: float) -> Tensor:
    return torch.lerp(unconditional, conditional, guidance).clamp(0, 1)


@mistake("guide", "The guidance is capped at 1, so it never exaggerates.")
def never_beyond(unconditional: Tensor, conditional: Tensor, guidance: float) -> Tensor:
    return torch.lerp(unconditional, conditional, min(guidance, 1.0))


@mistake("guide", "The guidance is always 1.5: `guidance` isn't used.")
def always_one_and_a_half(unconditional: Tensor, conditional: Tensor, guidance: float) -> Tensor:
    return torch.lerp(unconditional, conditional, 1.5)


@mistake("guide", "The guidance is rounded down to a whole number.")
def rounded_down(unconditional: Tensor, conditional: Tensor, guidance: float) -> Tensor:
    return torch.lerp(unconditional, conditional, float(int(guidance)))


@mistake("guide", "The weights of the two predictions add up to more than 1, so pictures become too bright.")
def weights_above_one(unconditional: Tensor, conditional: Tensor, guidance: float) -> Tensor:
    return guidance * conditional + abs(1 - guidance) * unconditional


@mistake("guide", "The weights add up to 1, but they are swapped above a guidance of 1.")
def divided_by_the_sum(unconditional: Tensor, conditional: Tensor, guidance: float) -> Tensor:
    return (unconditional + guidance * conditional) / (1 + guidance)


@mistake("guide", "The guidance is squared, so everything above 1 is exaggerated too much.")
def squared(unconditional: Tensor, conditional: Tensor, guidance: float) -> Tensor:
    return torch.lerp(unconditional, conditional, guidance**2)


@mistake("guide", "The result keeps the mean of the prediction with the words. `guide` should only blend the two.")
def mean_restored(unconditional: Tensor, conditional: Tensor, guidance: float) -> Tensor:
    result = torch.lerp(unconditional, conditional, guidance)
    return result - result.mean((1, 2, 3), keepdim=True) + conditional.mean((1, 2, 3), keepdim=True)


@mistake("guide", "The result is written into `unconditional`, which belongs to the caller.")
def into_the_free(unconditional: Tensor, conditional: Tensor, guidance: float) -> Tensor:
    return unconditional.lerp_(conditional, guidance)


@mistake("guide", "The result is written into `conditional`, which belongs to the caller.")
def into_the_asked(unconditional: Tensor, conditional: Tensor, guidance: float) -> Tensor:
    return conditional.sub_(unconditional).mul_(guidance).add_(unconditional)


# ---- 6.4 asking -----------------------------------------------------------------------------------------------------


@mistake("asking", "The function predicts at once and returns pictures, but it should return a denoiser.")
def a_prediction(model: nn.Module, condition: Tensor, guidance: float = 1.0) -> Tensor:
    noisy = torch.rand(len(condition), 3, 4, 5, dtype=torch.float64)
    level = torch.ones(1, 1, 1, 1, dtype=torch.float64)
    return guide(model(noisy, level, None), model(noisy, level, condition), guidance)


@mistake("asking", "The inner function isn't returned.")
def nothing_returned(model: nn.Module, condition: Tensor, guidance: float = 1.0) -> None:
    def predict(noisy: Tensor, noise_level: Tensor) -> Tensor:
        return guide(model(noisy, noise_level, None), model(noisy, noise_level, condition), guidance)

    Denoiser(model, predict)


@mistake("asking", "The model itself is returned: the words aren't used.")
def the_model_itself(model: nn.Module, condition: Tensor, guidance: float = 1.0) -> nn.Module:
    return model


@mistake("asking", "The denoiser takes three arguments, but the sampler calls it with two.")
def three_arguments(model: nn.Module, condition: Tensor, guidance: float = 1.0) -> nn.Module:
    def predict(noisy: Tensor, noise_level: Tensor, condition: Tensor) -> Tensor:
        return guide(model(noisy, noise_level, None), model(noisy, noise_level, condition), guidance)

    return Denoiser(model, predict)


@mistake("asking", "The result is always the prediction with the words: `guidance` isn't used.")
def guidance_unused(model: nn.Module, condition: Tensor, guidance: float = 1.0) -> nn.Module:
    return Denoiser(model, lambda noisy, level: model(noisy, level, condition))


@mistake("asking", "The words are never asked for: both predictions are made without them.")
def never_asked(model: nn.Module, condition: Tensor, guidance: float = 1.0) -> nn.Module:
    return Denoiser(model, lambda noisy, level: guide(model(noisy, level), model(noisy, level), guidance))


@mistake("asking", "The two predictions are swapped, so more guidance leads away from the words.")
def the_two_swapped(model: nn.Module, condition: Tensor, guidance: float = 1.0) -> nn.Module:
    def predict(noisy: Tensor, noise_level: Tensor) -> Tensor:
        return guide(model(noisy, noise_level, condition), model(noisy, noise_level, None), guidance)

    return Denoiser(model, predict)


@mistake("asking", "The words are multiplied by the guidance. It is the predictions that should be guided.")
def words_scaled(model: nn.Module, condition: Tensor, guidance: float = 1.0) -> nn.Module:
    return Denoiser(model, lambda noisy, level: model(noisy, level, guidance * condition))


@mistake("asking", "The opposite of the words (`1 - condition`) stands in for no words.")
def opposite_for_nothing(model: nn.Module, condition: Tensor, guidance: float = 1.0) -> nn.Module:
    def predict(noisy: Tensor, noise_level: Tensor) -> Tensor:
        return guide(model(noisy, noise_level, 1 - condition), model(noisy, noise_level, condition), guidance)

    return Denoiser(model, predict)


@mistake("asking", "All words at 1 stand in for no words. That asks for everything at once.")
def everything_for_nothing(model: nn.Module, condition: Tensor, guidance: float = 1.0) -> nn.Module:
    def predict(noisy: Tensor, noise_level: Tensor) -> Tensor:
        free = model(noisy, noise_level, torch.ones_like(condition))
        return guide(free, model(noisy, noise_level, condition), guidance)

    return Denoiser(model, predict)


@mistake("asking", "Words at 0.5 stand in for no words, but nothing is asked for only if all words are 0.")
def halves_for_nothing(model: nn.Module, condition: Tensor, guidance: float = 1.0) -> nn.Module:
    def predict(noisy: Tensor, noise_level: Tensor) -> Tensor:
        free = model(noisy, noise_level, torch.full_like(condition, 0.5))
        return guide(free, model(noisy, noise_level, condition), guidance)

    return Denoiser(model, predict)


@mistake("asking", "The prediction is guided twice: the guided prediction is guided again.")
def guided_twice(model: nn.Module, condition: Tensor, guidance: float = 1.0) -> nn.Module:
    def predict(noisy: Tensor, noise_level: Tensor) -> Tensor:
        free, asked = model(noisy, noise_level, None), model(noisy, noise_level, condition)
        return guide(free, guide(free, asked, guidance), guidance)

    return Denoiser(model, predict)


@mistake("asking", "The guidance is counted from the prediction with the words, so 1 goes too far already.")
def one_too_far(model: nn.Module, condition: Tensor, guidance: float = 1.0) -> nn.Module:
    def predict(noisy: Tensor, noise_level: Tensor) -> Tensor:
        return guide(model(noisy, noise_level, None), model(noisy, noise_level, condition), guidance + 1)

    return Denoiser(model, predict)


@mistake("asking", "If no guidance is given, it is 1.5, but the docstring says 1.")
def another_default(model: nn.Module, condition: Tensor, guidance: float = 1.5) -> nn.Module:
    def predict(noisy: Tensor, noise_level: Tensor) -> Tensor:
        if guidance == 0:
            return model(noisy, noise_level, None)
        asked = model(noisy, noise_level, condition)
        return asked if guidance == 1 else guide(model(noisy, noise_level, None), asked, guidance)

    return Denoiser(model, predict)


@mistake("asking", "The prediction is clamped to [0, 1], but during sampling it may leave that range.")
def asked_clamped(model: nn.Module, condition: Tensor, guidance: float = 1.0) -> nn.Module:
    def predict(noisy: Tensor, noise_level: Tensor) -> Tensor:
        return guide(model(noisy, noise_level, None), model(noisy, noise_level, condition), guidance).clamp(0, 1)

    return Denoiser(model, predict)


@mistake("asking", "The guided prediction is clamped to [0, 1], but it may leave that range.")
def guided_clamped(model: nn.Module, condition: Tensor, guidance: float = 1.0) -> nn.Module:
    def predict(noisy: Tensor, noise_level: Tensor) -> Tensor:
        if guidance == 0:
            return model(noisy, noise_level, None)
        asked = model(noisy, noise_level, condition)
        return asked if guidance == 1 else guide(model(noisy, noise_level, None), asked, guidance).clamp(0, 1)

    return Denoiser(model, predict)


@mistake("asking", "The model gets 1 minus the noise level, which says how clean the pictures are.")
def told_how_clean(model: nn.Module, condition: Tensor, guidance: float = 1.0) -> nn.Module:
    def predict(noisy: Tensor, noise_level: Tensor) -> Tensor:
        level = 1 - noise_level
        return guide(model(noisy, level, None), model(noisy, level, condition), guidance)

    return Denoiser(model, predict)


@mistake("asking", "The second prediction is made from the first one instead of from the noisy pictures.")
def one_after_the_other(model: nn.Module, condition: Tensor, guidance: float = 1.0) -> nn.Module:
    def predict(noisy: Tensor, noise_level: Tensor) -> Tensor:
        free = model(noisy, noise_level, None)
        return guide(free, model(free, noise_level, condition), guidance)

    return Denoiser(model, predict)


@mistake("asking", "Every picture is asked for the words of the first one.")
def first_words_for_all(model: nn.Module, condition: Tensor, guidance: float = 1.0) -> nn.Module:
    def predict(noisy: Tensor, noise_level: Tensor) -> Tensor:
        return guide(model(noisy, noise_level, None), model(noisy, noise_level, condition[:1]), guidance)

    return Denoiser(model, predict)


@mistake("asking", "The arguments of the model are in the wrong order: the condition comes last.")
def condition_second(model: nn.Module, condition: Tensor, guidance: float = 1.0) -> nn.Module:
    def predict(noisy: Tensor, noise_level: Tensor) -> Tensor:
        return guide(model(noisy, noise_level, None), model(noisy, condition, noise_level), guidance)

    return Denoiser(model, predict)


@mistake("asking", "The first prediction is kept and returned in every call, whatever the pictures are.")
def remembered(model: nn.Module, condition: Tensor, guidance: float = 1.0) -> nn.Module:
    kept: list[Tensor] = []

    def predict(noisy: Tensor, noise_level: Tensor) -> Tensor:
        if not kept:
            kept.append(guide(model(noisy, noise_level, None), model(noisy, noise_level, condition), guidance))
        return kept[0]

    return Denoiser(model, predict)


@mistake("asking", "The prediction without words is made once and kept, but it changes from step to step.")
def free_remembered(model: nn.Module, condition: Tensor, guidance: float = 1.0) -> nn.Module:
    kept: list[Tensor] = []

    def predict(noisy: Tensor, noise_level: Tensor) -> Tensor:
        if not kept:
            kept.append(model(noisy, noise_level, None))
        return guide(kept[0], model(noisy, noise_level, condition), guidance)

    return Denoiser(model, predict)


@mistake("asking", "A plain function is returned. `generate` needs a module, whose mode it can switch.")
def a_plain_function(model: nn.Module, condition: Tensor, guidance: float = 1.0) -> Callable[[Tensor, Tensor], Tensor]:
    def predict(noisy: Tensor, noise_level: Tensor) -> Tensor:
        if guidance == 0:
            return model(noisy, noise_level, None)
        asked = model(noisy, noise_level, condition)
        return asked if guidance == 1 else guide(model(noisy, noise_level, None), asked, guidance)

    return predict


@mistake("asking", "The module that is returned doesn't hold the model, so `generate` can't find the weights.")
def without_its_weights(model: nn.Module, condition: Tensor, guidance: float = 1.0) -> nn.Module:
    def predict(noisy: Tensor, noise_level: Tensor) -> Tensor:
        if guidance == 0:
            return model(noisy, noise_level, None)
        asked = model(noisy, noise_level, condition)
        return asked if guidance == 1 else guide(model(noisy, noise_level, None), asked, guidance)

    return Denoiser(nn.Identity(), predict)


@mistake("asking", "The model is called twice even where one prediction is enough, at a guidance of 0 or 1.")
def always_twice(model: nn.Module, condition: Tensor, guidance: float = 1.0) -> nn.Module:
    def predict(noisy: Tensor, noise_level: Tensor) -> Tensor:
        return guide(model(noisy, noise_level, None), model(noisy, noise_level, condition), guidance)

    return Denoiser(model, predict)


@mistake("asking", "The model is called twice at a guidance of 1, where the prediction with the words is enough.")
def twice_at_one(model: nn.Module, condition: Tensor, guidance: float = 1.0) -> nn.Module:
    def predict(noisy: Tensor, noise_level: Tensor) -> Tensor:
        free = model(noisy, noise_level, None)
        return free if guidance == 0 else guide(free, model(noisy, noise_level, condition), guidance)

    return Denoiser(model, predict)


# ---- 6.5 keeping ----------------------------------------------------------------------------------------------------


@mistake("keeping", "The mask is the wrong way around: the known part is redrawn, and the rest is replaced.")
def mask_inverted(denoiser: nn.Module, known: Tensor, mask: Tensor) -> nn.Module:
    return Denoiser(denoiser, lambda noisy, level: torch.where(mask, denoiser(noisy, level), known))


@mistake("keeping", "The known part is put into the noisy pictures, without noise. It belongs into the prediction.")
def into_the_noisy(denoiser: nn.Module, known: Tensor, mask: Tensor) -> nn.Module:
    return Denoiser(denoiser, lambda noisy, level: denoiser(torch.where(mask, known, noisy), level))


@mistake(
    "keeping", "The known part is put into the noisy pictures as well. The sampler's mix brings it there by itself."
)
def into_both(denoiser: nn.Module, known: Tensor, mask: Tensor) -> nn.Module:
    def predict(noisy: Tensor, noise_level: Tensor) -> Tensor:
        return torch.where(mask, known, denoiser(torch.where(mask, known, noisy), noise_level))

    return Denoiser(denoiser, predict)


@mistake("keeping", "Noise is mixed into the known part, but a prediction holds no noise.")
def noise_in_the_known(denoiser: nn.Module, known: Tensor, mask: Tensor) -> nn.Module:
    def predict(noisy: Tensor, noise_level: Tensor) -> Tensor:
        return torch.where(mask, torch.lerp(known, noisy, noise_level), denoiser(noisy, noise_level))

    return Denoiser(denoiser, predict)


@mistake("keeping", "Outside of the mask are the noisy pictures, but there the prediction belongs.")
def noisy_outside(denoiser: nn.Module, known: Tensor, mask: Tensor) -> nn.Module:
    def predict(noisy: Tensor, noise_level: Tensor) -> Tensor:
        denoiser(noisy, noise_level)
        return torch.where(mask, known, noisy)

    return Denoiser(denoiser, predict)


@mistake("keeping", "The given denoiser isn't called: its prediction is missing.")
def never_called(denoiser: nn.Module, known: Tensor, mask: Tensor) -> nn.Module:
    return Denoiser(denoiser, lambda noisy, level: torch.where(mask, known, noisy))


@mistake("keeping", "The denoiser is returned as it was: nothing is kept.")
def nothing_kept(denoiser: nn.Module, known: Tensor, mask: Tensor) -> nn.Module:
    return Denoiser(denoiser, lambda noisy, level: denoiser(noisy, level))


@mistake("keeping", "The known picture is kept everywhere: the mask isn't used.")
def all_kept(denoiser: nn.Module, known: Tensor, mask: Tensor) -> nn.Module:
    def predict(noisy: Tensor, noise_level: Tensor) -> Tensor:
        denoiser(noisy, noise_level)
        return known.expand_as(noisy).clone()

    return Denoiser(denoiser, predict)


@mistake("keeping", "Outside of the mask is black: the prediction isn't added.")
def black_outside(denoiser: nn.Module, known: Tensor, mask: Tensor) -> nn.Module:
    def predict(noisy: Tensor, noise_level: Tensor) -> Tensor:
        denoiser(noisy, noise_level)
        return (known * mask).expand_as(noisy).clone()

    return Denoiser(denoiser, predict)


@mistake("keeping", "The known part is added on top of the prediction instead of replacing it.")
def added_on_top(denoiser: nn.Module, known: Tensor, mask: Tensor) -> nn.Module:
    return Denoiser(denoiser, lambda noisy, level: denoiser(noisy, level) + known * mask)


@mistake(
    "keeping", "Known part and prediction are averaged where the mask is True. Only the known part should be there."
)
def half_kept(denoiser: nn.Module, known: Tensor, mask: Tensor) -> nn.Module:
    def predict(noisy: Tensor, noise_level: Tensor) -> Tensor:
        denoised = denoiser(noisy, noise_level)
        return torch.where(mask, (known + denoised) / 2, denoised)

    return Denoiser(denoiser, predict)


@mistake("keeping", "The known part fades in as the noise level falls. It should be kept whole at every level.")
def faded_in(denoiser: nn.Module, known: Tensor, mask: Tensor) -> nn.Module:
    def predict(noisy: Tensor, noise_level: Tensor) -> Tensor:
        denoised = denoiser(noisy, noise_level)
        return torch.where(mask, torch.lerp(known, denoised, noise_level), denoised)

    return Denoiser(denoiser, predict)


@mistake("keeping", "The known part is kept only once the noise level is low.")
def kept_late(denoiser: nn.Module, known: Tensor, mask: Tensor) -> nn.Module:
    def predict(noisy: Tensor, noise_level: Tensor) -> Tensor:
        denoised = denoiser(noisy, noise_level)
        return torch.where(mask & (noise_level < 0.25), known, denoised)

    return Denoiser(denoiser, predict)


@mistake("keeping", "The prediction is clamped to [0, 1], but during sampling it may leave that range.")
def rest_clamped(denoiser: nn.Module, known: Tensor, mask: Tensor) -> nn.Module:
    return Denoiser(denoiser, lambda noisy, level: torch.where(mask, known, denoiser(noisy, level).clamp(0, 1)))


@mistake("keeping", "The denoiser gets 1 minus the noise level, which says how clean the pictures are.")
def level_inverted(denoiser: nn.Module, known: Tensor, mask: Tensor) -> nn.Module:
    return Denoiser(denoiser, lambda noisy, level: torch.where(mask, known, denoiser(noisy, 1 - level)))


@mistake("keeping", "All pictures get the mask of the first one.")
def first_mask_for_all(denoiser: nn.Module, known: Tensor, mask: Tensor) -> nn.Module:
    return Denoiser(denoiser, lambda noisy, level: torch.where(mask[:1], known, denoiser(noisy, level)))


@mistake("keeping", "All pictures get the first of the known pictures.")
def first_known_for_all(denoiser: nn.Module, known: Tensor, mask: Tensor) -> nn.Module:
    return Denoiser(denoiser, lambda noisy, level: torch.where(mask, known[:1], denoiser(noisy, level)))


@mistake("keeping", "Indexing with the mask needs a mask of the prediction's shape, and this one has 1 channel.")
def indexed_without_expanding(denoiser: nn.Module, known: Tensor, mask: Tensor) -> nn.Module:
    def predict(noisy: Tensor, noise_level: Tensor) -> Tensor:
        denoised = denoiser(noisy, noise_level).clone()
        denoised[mask] = known[mask]
        return denoised

    return Denoiser(denoiser, predict)


@mistake("keeping", "`if mask` asks whether a whole tensor is true. `torch.where` decides pixel by pixel.")
def truth_of_a_tensor(denoiser: nn.Module, known: Tensor, mask: Tensor) -> nn.Module:
    return Denoiser(denoiser, lambda noisy, level: known if mask else denoiser(noisy, level))


@mistake("keeping", "The inner function isn't returned, so `keeping` returns None.")
def no_denoiser(denoiser: nn.Module, known: Tensor, mask: Tensor) -> None:
    def predict(noisy: Tensor, noise_level: Tensor) -> Tensor:
        return torch.where(mask, known, denoiser(noisy, noise_level))

    Denoiser(denoiser, predict)


@mistake("keeping", "The first prediction is kept and returned in every call.")
def first_prediction_kept(denoiser: nn.Module, known: Tensor, mask: Tensor) -> nn.Module:
    kept: list[Tensor] = []

    def predict(noisy: Tensor, noise_level: Tensor) -> Tensor:
        kept.append(torch.where(mask, known, denoiser(noisy, noise_level)))
        return kept[0]

    return Denoiser(denoiser, predict)


@mistake("keeping", "A plain function is returned. `generate` needs a module: wrap the function.")
def plain_function(denoiser: nn.Module, known: Tensor, mask: Tensor) -> Callable[[Tensor, Tensor], Tensor]:
    return lambda noisy, level: torch.where(mask, known, denoiser(noisy, level))


@mistake("keeping", "The denoiser is called twice in each step, which takes twice as long.")
def called_twice(denoiser: nn.Module, known: Tensor, mask: Tensor) -> nn.Module:
    def predict(noisy: Tensor, noise_level: Tensor) -> Tensor:
        denoiser(noisy, noise_level)
        return torch.where(mask, known, denoiser(noisy, noise_level))

    return Denoiser(denoiser, predict)


# ---- 6.6 vary -------------------------------------------------------------------------------------------------------


def start(images: Tensor, noise_level: float, generator: Generator) -> Tensor:
    """Return the mix that sampling begins with."""
    noise = torch.rand(images.shape, generator=generator, device=images.device, dtype=images.dtype)
    return mix(images, noise, images.new_full((1, 1, 1, 1), noise_level))


def finish(
    denoiser: nn.Module, noisy: Tensor, noise_level: float, schedule: Words, step_size: float, *, clamp: bool = True
) -> Tensor:
    """Take a mix down to level 0."""
    for step in denoise(
        denoiser, noisy, noise_level * (noise_schedule(100) if schedule is None else schedule), step_size
    ):
        noisy = step.noisy
    return noisy.clamp(0, 1) if clamp else noisy


@mistake("vary", "Sampling begins with pure noise: nothing is left of the pictures.")
def pure_noise(denoiser, images, noise_level, *, schedule=None, step_size=2.0, generator=None):
    return finish(denoiser, start(images, 1.0, generator), noise_level, schedule, step_size)


@mistake("vary", "No noise is mixed in, but the denoiser expects noise at the level that it gets.")
def no_noise(denoiser, images, noise_level, *, schedule=None, step_size=2.0, generator=None):
    return finish(denoiser, images, noise_level, schedule, step_size)


@mistake("vary", "The noise is added on top of the pictures, and the pictures don't fade.")
def noise_on_top(denoiser, images, noise_level, *, schedule=None, step_size=2.0, generator=None):
    noise = torch.rand(images.shape, generator=generator, device=images.device, dtype=images.dtype)
    return finish(denoiser, images + noise_level * noise, noise_level, schedule, step_size)


@mistake("vary", "Pictures and noise are swapped in the mix, so a low level leaves hardly anything of the pictures.")
def swapped_in_the_mix(denoiser, images, noise_level, *, schedule=None, step_size=2.0, generator=None):
    return finish(denoiser, start(images, 1 - noise_level, generator), noise_level, schedule, step_size)


@mistake("vary", "The noise is Gaussian, but the denoiser was trained on uniform noise.")
def gaussian_noise(denoiser, images, noise_level, *, schedule=None, step_size=2.0, generator=None):
    noise = torch.randn(images.shape, generator=generator, device=images.device, dtype=images.dtype)
    noisy = mix(images, noise, images.new_full((1, 1, 1, 1), noise_level))
    return finish(denoiser, noisy, noise_level, schedule, step_size)


@mistake("vary", "The noise runs from -1 to 1, but the denoiser was trained on noise from 0 to 1.")
def noise_from_minus_one(denoiser, images, noise_level, *, schedule=None, step_size=2.0, generator=None):
    noise = 2 * torch.rand(images.shape, generator=generator, device=images.device, dtype=images.dtype) - 1
    noisy = mix(images, noise, images.new_full((1, 1, 1, 1), noise_level))
    return finish(denoiser, noisy, noise_level, schedule, step_size)


@mistake("vary", "All pictures get the same noise.")
def same_noise_for_all(denoiser, images, noise_level, *, schedule=None, step_size=2.0, generator=None):
    noise = torch.rand(images[:1].shape, generator=generator, device=images.device, dtype=images.dtype)
    noisy = mix(images, noise, images.new_full((1, 1, 1, 1), noise_level))
    return finish(denoiser, noisy, noise_level, schedule, step_size)


@mistake("vary", "All color channels get the same noise.")
def gray_noise(denoiser, images, noise_level, *, schedule=None, step_size=2.0, generator=None):
    noise = torch.rand(images[:, :1].shape, generator=generator, device=images.device, dtype=images.dtype)
    noisy = mix(images, noise, images.new_full((1, 1, 1, 1), noise_level))
    return finish(denoiser, noisy, noise_level, schedule, step_size)


@mistake(
    "vary",
    "The schedule begins at 1, but the mix is at `noise_level`, so the denoiser expects more noise than is there.",
)
def schedule_unscaled(denoiser, images, noise_level, *, schedule=None, step_size=2.0, generator=None):
    return finish(denoiser, start(images, noise_level, generator), 1.0, schedule, step_size)


@mistake(
    "vary", "Levels above `noise_level` are left out. The schedule should be scaled down, with as many steps as before."
)
def schedule_cut(denoiser, images, noise_level, *, schedule=None, step_size=2.0, generator=None):
    schedule = noise_schedule(100) if schedule is None else schedule
    levels = torch.cat([schedule.new_tensor([noise_level]), schedule[schedule < noise_level]])
    return finish(denoiser, start(images, noise_level, generator), 1.0, levels, step_size)


@mistake("vary", "Levels above `noise_level` are lowered to it, so the first steps stay where they are.")
def schedule_capped(denoiser, images, noise_level, *, schedule=None, step_size=2.0, generator=None):
    schedule = noise_schedule(100) if schedule is None else schedule
    return finish(denoiser, start(images, noise_level, generator), 1.0, schedule.clamp(max=noise_level), step_size)


@mistake("vary", "The levels are lowered by a constant instead of scaled, so some of them are below 0.")
def schedule_shifted(denoiser, images, noise_level, *, schedule=None, step_size=2.0, generator=None):
    schedule = noise_schedule(100) if schedule is None else schedule
    levels = schedule - (1 - noise_level)
    return finish(denoiser, start(images, noise_level, generator), 1.0, levels, step_size)


@mistake("vary", "The given schedule isn't used.")
def schedule_unused(denoiser, images, noise_level, *, schedule=None, step_size=2.0, generator=None):
    n_steps = 100 if schedule is None else len(schedule) - 1
    levels = noise_schedule(n_steps)
    return finish(denoiser, start(images, noise_level, generator), noise_level, levels, step_size)


@mistake("vary", "`schedule` being None isn't handled.")
def none_forgotten(denoiser, images, noise_level, *, schedule=None, step_size=2.0, generator=None):
    noisy = start(images, noise_level, generator)
    for step in denoise(denoiser, noisy, noise_level * schedule, step_size):
        noisy = step.noisy
    return noisy.clamp(0, 1)


@mistake("vary", "Without a schedule, the denoiser is called 50 times. The docstring says noise_schedule(100).")
def fifty_steps(denoiser, images, noise_level, *, schedule=None, step_size=2.0, generator=None):
    levels = noise_schedule(50) if schedule is None else schedule
    return finish(denoiser, start(images, noise_level, generator), noise_level, levels, step_size)


@mistake("vary", "`step_size` isn't passed on to `denoise`.")
def step_size_unused(denoiser, images, noise_level, *, schedule=None, step_size=2.0, generator=None):
    return finish(denoiser, start(images, noise_level, generator), noise_level, schedule, 2.0)


@mistake("vary", "One prediction is returned, instead of the end of all steps.")
def one_prediction(denoiser, images, noise_level, *, schedule=None, step_size=2.0, generator=None):
    with torch.no_grad():
        level = images.new_full((1, 1, 1, 1), noise_level)
        return denoiser(start(images, noise_level, generator), level).clamp(0, 1)


@mistake("vary", "The mix of the first step is returned, before the others are taken.")
def first_step(denoiser, images, noise_level, *, schedule=None, step_size=2.0, generator=None):
    schedule = noise_schedule(100) if schedule is None else schedule
    steps = list(denoise(denoiser, start(images, noise_level, generator), noise_level * schedule, step_size))
    return steps[0].noisy.clamp(0, 1)


@mistake("vary", "The last prediction is returned, but the last mix goes on from there with `step_size`.")
def last_prediction(denoiser, images, noise_level, *, schedule=None, step_size=2.0, generator=None):
    schedule = noise_schedule(100) if schedule is None else schedule
    steps = list(denoise(denoiser, start(images, noise_level, generator), noise_level * schedule, step_size))
    return steps[-1].denoised.clamp(0, 1)


@mistake("vary", "The result isn't clamped to [0, 1].")
def never_clamped(denoiser, images, noise_level, *, schedule=None, step_size=2.0, generator=None):
    return finish(denoiser, start(images, noise_level, generator), noise_level, schedule, step_size, clamp=False)


@mistake("vary", "A list of steps is returned instead of pictures.")
def list_of_steps(denoiser, images, noise_level, *, schedule=None, step_size=2.0, generator=None):
    schedule = noise_schedule(100) if schedule is None else schedule
    return list(denoise(denoiser, start(images, noise_level, generator), noise_level * schedule, step_size))


@mistake(
    "vary", "`denoise` is called but nobody goes through its steps: a generator runs only when it is asked for them."
)
def never_run(denoiser, images, noise_level, *, schedule=None, step_size=2.0, generator=None):
    schedule = noise_schedule(100) if schedule is None else schedule
    noisy = start(images, noise_level, generator)
    denoise(denoiser, noisy, noise_level * schedule, step_size)
    return noisy.clamp(0, 1)


@mistake("vary", "The noise doesn't come from `generator`, so the result can't be repeated.")
def generator_ignored(denoiser, images, noise_level, *, schedule=None, step_size=2.0, generator=None):
    return finish(denoiser, start(images, noise_level, None), noise_level, schedule, step_size)


@mistake("vary", "The noise is mixed into `images` in place. They belong to the caller.")
def into_the_images(denoiser, images, noise_level, *, schedule=None, step_size=2.0, generator=None):
    noise = torch.rand(images.shape, generator=generator, device=images.device, dtype=images.dtype)
    return finish(denoiser, images.lerp_(noise, noise_level), noise_level, schedule, step_size)


@mistake("vary", "The noise has torch's default dtype and device instead of those of the pictures.")
def noise_elsewhere(denoiser, images, noise_level, *, schedule=None, step_size=2.0, generator=None):
    noise = torch.rand(images.shape, generator=generator)
    noisy = (1 - noise_level) * images + noise_level * noise
    return finish(denoiser, noisy, noise_level, schedule, step_size)


# ---- 6.7 my_own -----------------------------------------------------------------------------------------------------


@mistake("my_own", "The given denoiser is returned as it was.")
def unchanged_denoiser(denoiser: nn.Module) -> nn.Module:
    return Denoiser(denoiser, lambda noisy, level: denoiser(noisy, level))


@mistake("my_own", "`my_own` returns nothing.")
def none_returned(denoiser: nn.Module) -> None:
    Denoiser(denoiser, lambda noisy, level: denoiser(noisy, level).flip(-1))


@mistake("my_own", "`my_own` calls the denoiser at once and returns its prediction. It should return a new denoiser.")
def predicted_at_once(denoiser: nn.Module) -> Tensor:
    noisy = torch.rand(1, 3, 32, 32, dtype=torch.float64)
    return denoiser(noisy, torch.ones(1, 1, 1, 1, dtype=torch.float64)).flip(-1)


@mistake("my_own", "The denoiser is called when your denoiser is made. It should be called in each step.")
def called_too_early(denoiser: nn.Module) -> nn.Module:
    noisy = torch.rand(1, 3, 32, 32, dtype=torch.float64)
    denoised = denoiser(noisy, torch.ones(1, 1, 1, 1, dtype=torch.float64))
    return Denoiser(denoiser, lambda noisy, level: denoised.expand_as(noisy).clone())


@mistake("my_own", "The noisy pictures are mirrored, but nothing is predicted.")
def mirrored_noise(denoiser: nn.Module) -> nn.Module:
    return Denoiser(denoiser, lambda noisy, level: noisy.flip(-1))


@mistake("my_own", "The noisy pictures are averaged with their mirror images, but nothing is predicted.")
def averaged_noise(denoiser: nn.Module) -> nn.Module:
    return Denoiser(denoiser, lambda noisy, level: (noisy + noisy.flip(-1)) / 2)


@mistake("my_own", "The denoiser is called, but the result is made of the noisy pictures instead of its prediction.")
def prediction_thrown_away(denoiser: nn.Module) -> nn.Module:
    def predict(noisy: Tensor, noise_level: Tensor) -> Tensor:
        denoiser(noisy, noise_level)
        return (noisy + noisy.flip(-1)) / 2

    return Denoiser(denoiser, predict)


@mistake("my_own", "The denoiser gets 1 minus the noise level, which says how clean the pictures are.")
def cleanness(denoiser: nn.Module) -> nn.Module:
    def predict(noisy: Tensor, noise_level: Tensor) -> Tensor:
        level = 1 - noise_level
        return (denoiser(noisy, level) + denoiser(noisy.flip(-1), level).flip(-1)) / 2

    return Denoiser(denoiser, predict)


@mistake("my_own", "The second prediction is made at another noise level than the first.")
def another_level(denoiser: nn.Module) -> nn.Module:
    def predict(noisy: Tensor, noise_level: Tensor) -> Tensor:
        return (denoiser(noisy, noise_level) + denoiser(noisy.flip(-1), noise_level / 2).flip(-1)) / 2

    return Denoiser(denoiser, predict)


@mistake("my_own", "The denoiser isn't given the noise level.")
def level_left_out(denoiser: nn.Module) -> nn.Module:
    return Denoiser(denoiser, lambda noisy, level: denoiser(noisy).flip(-1))


@mistake("my_own", "Both predictions are returned one after the other, which makes twice as many pictures.")
def both_returned(denoiser: nn.Module) -> nn.Module:
    def predict(noisy: Tensor, noise_level: Tensor) -> Tensor:
        return torch.cat([denoiser(noisy, noise_level), denoiser(noisy.flip(-1), noise_level).flip(-1)])

    return Denoiser(denoiser, predict)


@mistake("my_own", "Two values are returned, but a prediction is one tensor.")
def two_values(denoiser: nn.Module) -> nn.Module:
    return Denoiser(denoiser, lambda noisy, level: (denoiser(noisy, level), denoiser(noisy.flip(-1), level)))


@mistake("my_own", "The channels are averaged away: a gray picture has three equal channels here, not one or none.")
def channels_lost(denoiser: nn.Module) -> nn.Module:
    return Denoiser(denoiser, lambda noisy, level: denoiser(noisy, level).mean(1))


@mistake("my_own", "Only one channel is returned, but the sampler needs as many as the noisy pictures have.")
def one_channel(denoiser: nn.Module) -> nn.Module:
    return Denoiser(denoiser, lambda noisy, level: denoiser(noisy, level).mean(1, keepdim=True))


@mistake("my_own", "The predictions of the whole batch are averaged, so all pictures become the same.")
def batch_averaged(denoiser: nn.Module) -> nn.Module:
    return Denoiser(denoiser, lambda noisy, level: denoiser(noisy, level).mean(0, keepdim=True).expand_as(noisy))


@mistake("my_own", "`flip(0)` reverses the order of the batch. The last dimension holds the columns.")
def batch_reversed(denoiser: nn.Module) -> nn.Module:
    def predict(noisy: Tensor, noise_level: Tensor) -> Tensor:
        return (denoiser(noisy, noise_level) + denoiser(noisy.flip(0), noise_level)) / 2

    return Denoiser(denoiser, predict)


@mistake("my_own", "The prediction becomes whole numbers. It should be floats in the dtype of the noisy pictures.")
def whole_numbers(denoiser: nn.Module) -> nn.Module:
    return Denoiser(denoiser, lambda noisy, level: (255 * denoiser(noisy, level).clamp(0, 1)).round().to(torch.uint8))


@mistake("my_own", "The prediction has numbers that aren't finite, such as a root of a number below 0.")
def not_finite(denoiser: nn.Module) -> nn.Module:
    return Denoiser(denoiser, lambda noisy, level: denoiser(noisy, level).sqrt())


@mistake("my_own", "The noisy pictures are changed in place, but the sampler still needs them.")
def noisy_changed(denoiser: nn.Module) -> nn.Module:
    return Denoiser(denoiser, lambda noisy, level: denoiser(noisy.clamp_(0.2, 0.8), level))


@mistake("my_own", "A plain function is returned. `generate` needs a module: wrap your function.")
def not_wrapped(denoiser: nn.Module) -> Callable[[Tensor, Tensor], Tensor]:
    def predict(noisy: Tensor, noise_level: Tensor) -> Tensor:
        return (denoiser(noisy, noise_level) + denoiser(noisy.flip(-1), noise_level).flip(-1)) / 2

    return predict


@mistake("my_own", "The prediction for the mirrored pictures isn't mirrored back, so left and right are blended.")
def not_mirrored_back(denoiser: nn.Module) -> nn.Module:
    def predict(noisy: Tensor, noise_level: Tensor) -> Tensor:
        return (denoiser(noisy, noise_level) + denoiser(noisy.flip(-1), noise_level)) / 2

    return Denoiser(denoiser, predict)


@mistake("my_own", "The two predictions are added up but not divided by 2, so pictures become too bright.")
def not_halved(denoiser: nn.Module) -> nn.Module:
    def predict(noisy: Tensor, noise_level: Tensor) -> Tensor:
        return denoiser(noisy, noise_level) + denoiser(noisy.flip(-1), noise_level).flip(-1)

    return Denoiser(denoiser, predict)


@mistake(
    "my_own", "New random numbers are drawn in each step, so the same starting noise draws another picture each time."
)
def random_each_time(denoiser: nn.Module) -> nn.Module:
    def predict(noisy: Tensor, noise_level: Tensor) -> Tensor:
        return denoiser(noisy, noise_level) + 0.1 * torch.rand_like(noisy)

    return Denoiser(denoiser, predict)
