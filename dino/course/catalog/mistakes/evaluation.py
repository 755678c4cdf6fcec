"""Wrong answers to lesson 05 that people give, and what to say to each. The grader knows a mistake when it sees one.

Reading on spoils the exercises.
"""

from collections.abc import Callable, Sequence

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .... import evaluation
from ....evaluation import n_levels_for
from ....noise import add_noise, mix
from ...grader.expect import mistake

Generator = torch.Generator | None
PATCH = 7
N_PATCHES, N_DIRECTIONS = 64, 128  # fewer than in the exercise are enough to know a mistake by
FEWER = (N_DIRECTIONS / 512) ** 0.5  # how much shorter all 512 directions would be, if they share one length


# ---- 5.1 loss_by_noise_level ----------------------------------------------------------------------------------------


def fixed(images: Tensor, seed: int = 0) -> Tensor:
    """The noise, as most mistakes get it right."""
    return torch.rand(images.shape, generator=torch.Generator().manual_seed(seed), dtype=images.dtype)


def at_each(images: Tensor, levels: Sequence[float]) -> Tensor:
    """The levels, as most mistakes get them right."""
    return torch.as_tensor(levels).to(images).view(-1, 1, 1, 1, 1)


def loop(model, images, levels, *, noisy=mix, told=lambda level: level, error=F.mse_loss, noise=fixed):
    """The loop, as most mistakes get it right."""
    drawn, losses = noise(images), []
    for level in at_each(images, levels):
        with torch.no_grad():
            losses.append(error(model(noisy(images, drawn, level), told(level)), images))
    return torch.stack(losses)


@mistake("loss_by_noise_level", "The noise is drawn anew for each level, so that the levels differ by luck as well.")
def noise_anew_at_each_level(model: nn.Module, images: Tensor, levels: Sequence[float]) -> Tensor:
    generator = torch.Generator().manual_seed(0)
    return loop(model, images, levels, noisy=lambda c, n, t: mix(c, torch.rand(c.shape, generator=generator).to(c), t))


@mistake("loss_by_noise_level", "The noise is drawn without a seed, so that each call gives other numbers.")
def noise_without_a_seed(model: nn.Module, images: Tensor, levels: Sequence[float]) -> Tensor:
    return loop(model, images, levels, noise=torch.rand_like)


@mistake("loss_by_noise_level", "torch's global generator gets a new seed, and with it all random numbers after this.")
def reseeded(model: nn.Module, images: Tensor, levels: Sequence[float]) -> Tensor:
    torch.manual_seed(0)
    return loop(model, images, levels, noise=torch.rand_like)


@mistake("loss_by_noise_level", "numpy's global generator gets a new seed, and with it all its numbers after this.")
def numpy_reseeded(model: nn.Module, images: Tensor, levels: Sequence[float]) -> Tensor:
    np.random.seed(0)
    return loop(model, images, levels, noise=lambda images: torch.from_numpy(np.random.rand(*images.shape)).to(images))


@mistake(
    "loss_by_noise_level",
    "The noise is float32 whatever the pictures are (the grader's are float64, which torch calls double), "
    "and `mix` wants both to be alike.",
)
def noise_of_another_dtype(model: nn.Module, images: Tensor, levels: Sequence[float]) -> Tensor:
    return loop(model, images, levels, noise=lambda images: fixed(images).to(torch.float16).float())


@mistake(
    "loss_by_noise_level",
    "The levels are float32 whatever the pictures are (the grader's are float64, which torch calls double), "
    "and `mix` wants both to be alike.",
)
def levels_of_another_dtype(model: nn.Module, images: Tensor, levels: Sequence[float]) -> Tensor:
    return loop(model, images, levels, noisy=lambda clean, noise, level: mix(clean, noise, level.float()))


@mistake(
    "loss_by_noise_level", "The model is told how much of the picture is left, where it should hear how much noise."
)
def told_the_rest(model: nn.Module, images: Tensor, levels: Sequence[float]) -> Tensor:
    return loop(model, images, levels, told=lambda level: 1 - level)


@mistake("loss_by_noise_level", "The model is told a level of 0 always, as if the pictures had no noise.")
def told_nothing(model: nn.Module, images: Tensor, levels: Sequence[float]) -> Tensor:
    return loop(model, images, levels, told=torch.zeros_like)


@mistake("loss_by_noise_level", "The model is told a level of 1 always, as if the pictures were noise alone.")
def told_one(model: nn.Module, images: Tensor, levels: Sequence[float]) -> Tensor:
    return loop(model, images, levels, told=torch.ones_like)


@mistake("loss_by_noise_level", "Pictures and noise are swapped: at level 0 the model is shown nothing but noise.")
def swapped(model: nn.Module, images: Tensor, levels: Sequence[float]) -> Tensor:
    return loop(model, images, levels, noisy=lambda clean, noise, level: mix(noise, clean, level))


@mistake("loss_by_noise_level", "The noise is put on top of the whole picture; a mix leaves room for it.")
def noise_on_top(model: nn.Module, images: Tensor, levels: Sequence[float]) -> Tensor:
    return loop(model, images, levels, noisy=lambda clean, noise, level: clean + level * noise)


@mistake(
    "loss_by_noise_level",
    "The noise is mixed into what the level before has left; each level begins with the clean pictures.",
)
def mixed_again_and_again(model: nn.Module, images: Tensor, levels: Sequence[float]) -> Tensor:
    noise, losses, noisy = fixed(images), [], images
    for level in at_each(images, levels):
        noisy = mix(noisy, noise, level)
        with torch.no_grad():
            losses.append(F.mse_loss(model(noisy, level), images))
    return torch.stack(losses)


@mistake("loss_by_noise_level", "The model is shown the clean pictures: the noise is never mixed in.")
def clean_ones_shown(model: nn.Module, images: Tensor, levels: Sequence[float]) -> Tensor:
    return loop(model, images, levels, noisy=lambda clean, noise, level: clean)


@mistake("loss_by_noise_level", "The noise is that of a bell curve; in this course it is uniform, from 0 to 1.")
def gaussian(model: nn.Module, images: Tensor, levels: Sequence[float]) -> Tensor:
    def noise(images: Tensor) -> Tensor:
        return torch.randn(images.shape, generator=torch.Generator().manual_seed(0), dtype=images.dtype)

    return loop(model, images, levels, noise=noise)


@mistake("loss_by_noise_level", "All pictures get the same noise; each pixel of each picture needs its own.")
def one_noise_for_all(model: nn.Module, images: Tensor, levels: Sequence[float]) -> Tensor:
    return loop(model, images, levels, noise=lambda images: fixed(images[:1]).expand_as(images))


@mistake("loss_by_noise_level", "The noise is gray: all channels of a pixel get the same number.")
def gray_noise(model: nn.Module, images: Tensor, levels: Sequence[float]) -> Tensor:
    return loop(model, images, levels, noise=lambda images: fixed(images[:, :1]).expand_as(images))


@mistake("loss_by_noise_level", "The levels are drawn at random, as in training; here they are given.")
def random_levels(model: nn.Module, images: Tensor, levels: Sequence[float]) -> Tensor:
    losses = []
    for _ in levels:
        noisy, level = add_noise(images, generator=torch.Generator().manual_seed(0))
        with torch.no_grad():
            losses.append(F.mse_loss(model(noisy, level), images))
    return torch.stack(losses)


@mistake("loss_by_noise_level", "The function returns in the first round of its loop, and the other levels never come.")
def returned_in_the_loop(model: nn.Module, images: Tensor, levels: Sequence[float]) -> Tensor:
    return loop(model, images, levels[:1])


@mistake("loss_by_noise_level", "The model is asked twice at each level; its first answer will do.")
def asked_twice(model: nn.Module, images: Tensor, levels: Sequence[float]) -> Tensor:
    def error(denoised: Tensor, clean: Tensor) -> Tensor:
        model(clean, told[-1])
        return F.mse_loss(denoised, clean)

    told: list[Tensor] = []
    return loop(model, images, levels, told=lambda level: told.append(level) or level, error=error)


@mistake(
    "loss_by_noise_level",
    "The numbers are those of the noisy pictures; it is the model's answer that should be judged.",
)
def noisy_judged(model: nn.Module, images: Tensor, levels: Sequence[float]) -> Tensor:
    noise, losses = fixed(images), []
    for level in at_each(images, levels):
        noisy = mix(images, noise, level)
        with torch.no_grad():
            model(noisy, level)
        losses.append(F.mse_loss(noisy, images))
    return torch.stack(losses)


@mistake("loss_by_noise_level", "The answer is compared with the noisy pictures; the clean ones are the truth.")
def against_the_noisy(model: nn.Module, images: Tensor, levels: Sequence[float]) -> Tensor:
    noise, losses = fixed(images), []
    for level in at_each(images, levels):
        noisy = mix(images, noise, level)
        with torch.no_grad():
            losses.append(F.mse_loss(model(noisy, level), noisy))
    return torch.stack(losses)


@mistake("loss_by_noise_level", "The answer is compared with the noise; this network guesses the clean picture.")
def against_the_noise(model: nn.Module, images: Tensor, levels: Sequence[float]) -> Tensor:
    noise = fixed(images)
    return loop(model, images, levels, error=lambda denoised, clean: F.mse_loss(denoised, noise))


@mistake("loss_by_noise_level", "The differences are not squared.")
def not_squared(model: nn.Module, images: Tensor, levels: Sequence[float]) -> Tensor:
    return loop(model, images, levels, error=F.l1_loss)


@mistake("loss_by_noise_level", "There is a root around the mean squared error.")
def rooted(model: nn.Module, images: Tensor, levels: Sequence[float]) -> Tensor:
    return loop(model, images, levels, error=F.mse_loss).sqrt()


@mistake("loss_by_noise_level", "The squares are added up, so that the number grows with the number of pictures.")
def summed(model: nn.Module, images: Tensor, levels: Sequence[float]) -> Tensor:
    return loop(model, images, levels, error=lambda one, other: F.mse_loss(one, other, reduction="sum"))


@mistake("loss_by_noise_level", "The answer is cut off to [0, 1] before it is judged, which hides some of its error.")
def cut_off(model: nn.Module, images: Tensor, levels: Sequence[float]) -> Tensor:
    return loop(model, images, levels, error=lambda denoised, clean: F.mse_loss(denoised.clamp(0, 1), clean))


@mistake("loss_by_noise_level", "The mean is taken over the levels as well, and one number is left.")
def mean_over_levels(model: nn.Module, images: Tensor, levels: Sequence[float]) -> Tensor:
    return loop(model, images, levels).mean()


@mistake("loss_by_noise_level", "There is a number for each picture at each level; a level should have one.")
def one_for_each_picture(model: nn.Module, images: Tensor, levels: Sequence[float]) -> Tensor:
    return loop(model, images, levels, error=lambda one, other: (one - other).square().mean((1, 2, 3)))


@mistake("loss_by_noise_level", "The numbers come as a list; what draws them expects a tensor.")
def as_a_list(model: nn.Module, images: Tensor, levels: Sequence[float]) -> list[float]:
    return loop(model, images, levels).tolist()


@mistake(
    "loss_by_noise_level", "The numbers are in the order of sorted levels; they should keep the order that is given."
)
def in_another_order(model: nn.Module, images: Tensor, levels: Sequence[float]) -> Tensor:
    return loop(model, images, sorted(levels))


@mistake("loss_by_noise_level", "The caller's own list of levels is sorted.")
def callers_levels_sorted(model: nn.Module, images: Tensor, levels: list[float]) -> Tensor:
    levels.sort()
    return loop(model, images, levels)


@mistake("loss_by_noise_level", "The numbers are float32 whatever the pictures are: they went through Python's floats.")
def through_floats(model: nn.Module, images: Tensor, levels: Sequence[float]) -> Tensor:
    return torch.tensor(loop(model, images, levels).tolist())


@mistake("loss_by_noise_level", "Gradients stay on, and torch keeps notes of every call until the memory is full.")
def gradients_kept(model: nn.Module, images: Tensor, levels: Sequence[float]) -> Tensor:
    noise = fixed(images)
    return torch.stack([F.mse_loss(model(mix(images, noise, x), x), images) for x in at_each(images, levels)])


@mistake("loss_by_noise_level", "Gradients are thrown away after the call, but during the call they are on.")
def detached_afterwards(model: nn.Module, images: Tensor, levels: Sequence[float]) -> Tensor:
    return gradients_kept(model, images, levels).detach()


@mistake("loss_by_noise_level", "The level is told as a plain number; a network expects a tensor with four dimensions.")
def told_a_float(model: nn.Module, images: Tensor, levels: Sequence[float]) -> Tensor:
    return loop(model, images, levels, told=lambda level: level.item())


@mistake("loss_by_noise_level", "The level is told with the shape (N,); in a network it would be taken for columns.")
def told_in_a_row(model: nn.Module, images: Tensor, levels: Sequence[float]) -> Tensor:
    return loop(model, images, levels, told=lambda level: level.flatten().expand(len(images)))


@mistake("loss_by_noise_level", "The model is left in evaluation mode; which mode it is in is the caller's business.")
def left_evaluating(model: nn.Module, images: Tensor, levels: Sequence[float]) -> Tensor:
    model.eval()
    return loop(model, images, levels)


@mistake("loss_by_noise_level", "The noise is mixed into the caller's own pictures, deeper at each level.")
def mixed_in_place(model: nn.Module, images: Tensor, levels: Sequence[float]) -> Tensor:
    return loop(model, images, levels, noisy=lambda clean, noise, level: clean.lerp_(noise, level))


# ---- 5.2 laplacian_pyramid ------------------------------------------------------------------------------------------


def double(images: Tensor) -> Tensor:
    """Each pixel, 2 x 2 times."""
    return F.interpolate(images, scale_factor=2)


def pyramid(images, n_levels, halve=lambda x: F.avg_pool2d(x, 2), double=double, lost=torch.sub):
    """The loop, as most mistakes get it right."""
    levels = []
    for _ in range(n_levels - 1):
        smaller = halve(images)
        levels.append(lost(images, double(smaller)))
        images = smaller
    return [*levels, images]


@mistake("laplacian_pyramid", "Of each 2 x 2 pixels the largest is kept; it should be their mean.")
def largest_kept(images: Tensor, n_levels: int) -> list[Tensor]:
    return pyramid(images, n_levels, halve=lambda x: F.max_pool2d(x, 2))


@mistake("laplacian_pyramid", "Of each 2 x 2 pixels one is kept and three are thrown away; it should be their mean.")
def one_of_four_kept(images: Tensor, n_levels: int) -> list[Tensor]:
    return pyramid(images, n_levels, halve=lambda x: x[:, :, ::2, ::2])


@mistake("laplacian_pyramid", "2 x 2 pixels are added up, and the halved picture is four times as bright.")
def added_up(images: Tensor, n_levels: int) -> list[Tensor]:
    return pyramid(images, n_levels, halve=lambda x: 4 * F.avg_pool2d(x, 2))


@mistake("laplacian_pyramid", "The doubled picture is smoothed between the pixels; each should be repeated as it is.")
def smoothed(images: Tensor, n_levels: int) -> list[Tensor]:
    return pyramid(images, n_levels, double=lambda x: F.interpolate(x, scale_factor=2, mode="bilinear"))


@mistake(
    "laplacian_pyramid", "`repeat` puts four copies of the small picture side by side; each pixel should be repeated."
)
def tiled(images: Tensor, n_levels: int) -> list[Tensor]:
    return pyramid(images, n_levels, double=lambda x: x.repeat(1, 1, 2, 2))


@mistake("laplacian_pyramid", "In the doubled picture three of four pixels are black; each should be repeated.")
def gaps_left_black(images: Tensor, n_levels: int) -> list[Tensor]:
    def spread(x: Tensor) -> Tensor:
        wide = x.new_zeros(*x.shape[:2], 2 * x.shape[2], 2 * x.shape[3])
        wide[:, :, ::2, ::2] = x
        return wide

    return pyramid(images, n_levels, double=spread)


@mistake("laplacian_pyramid", "The picture is subtracted from its coarse copy; what is lost is the other way round.")
def signs_swapped(images: Tensor, n_levels: int) -> list[Tensor]:
    return pyramid(images, n_levels, lost=lambda fine, coarse: coarse - fine)


@mistake("laplacian_pyramid", "What is lost has lost its sign; darker and brighter details become the same.")
def without_signs(images: Tensor, n_levels: int) -> list[Tensor]:
    return pyramid(images, n_levels, lost=lambda fine, coarse: (fine - coarse).abs())


@mistake("laplacian_pyramid", "What is lost is cut off to [0, 1]; it lies around 0, and half of it is negative.")
def levels_cut_off(images: Tensor, n_levels: int) -> list[Tensor]:
    return pyramid(images, n_levels, lost=lambda fine, coarse: (fine - coarse).clamp(0, 1))


@mistake("laplacian_pyramid", "What is lost is shifted to lie around one half; it should lie around 0.")
def levels_shifted(images: Tensor, n_levels: int) -> list[Tensor]:
    return pyramid(images, n_levels, lost=lambda fine, coarse: fine - coarse + 0.5)


@mistake(
    "laplacian_pyramid",
    "The levels are the pictures themselves, smaller and smaller; what each halving loses is wanted.",
)
def nothing_subtracted(images: Tensor, n_levels: int) -> list[Tensor]:
    return pyramid(images, n_levels, lost=lambda fine, coarse: fine)


@mistake("laplacian_pyramid", "The levels are the coarse copies; what they lack of the picture is wanted.")
def coarse_copies(images: Tensor, n_levels: int) -> list[Tensor]:
    return pyramid(images, n_levels, lost=lambda fine, coarse: coarse)


@mistake("laplacian_pyramid", "The last level is missing: the picture that is left in the end.")
def last_level_dropped(images: Tensor, n_levels: int) -> list[Tensor]:
    return pyramid(images, n_levels)[:-1]


@mistake("laplacian_pyramid", "There is one level too many: the last one counts as a level as well.")
def one_level_too_many(images: Tensor, n_levels: int) -> list[Tensor]:
    return pyramid(images, n_levels + 1)


@mistake(
    "laplacian_pyramid",
    "There is a halving too many, and the last level is what it loses; it should be the picture that is left.",
)
def one_halving_too_many(images: Tensor, n_levels: int) -> list[Tensor]:
    return pyramid(images, n_levels + 1)[:-1]


@mistake(
    "laplacian_pyramid", "With one level the loop never runs, so that a name which is set in it alone doesn't exist."
)
def name_of_the_loop(images: Tensor, n_levels: int) -> list[Tensor]:
    levels = []
    for _ in range(n_levels - 1):
        smaller = F.avg_pool2d(images, 2)
        levels.append(images - double(smaller))
        images = smaller
    return [*levels, smaller]


@mistake("laplacian_pyramid", "The levels come coarse to fine; the finest should be the first.")
def coarsest_first(images: Tensor, n_levels: int) -> list[Tensor]:
    return pyramid(images, n_levels)[::-1]


@mistake("laplacian_pyramid", "Each level is taken from the full picture again: nothing goes on from the halved one.")
def never_going_on(images: Tensor, n_levels: int) -> list[Tensor]:
    levels = [images - double(F.avg_pool2d(images, 2)) for _ in range(n_levels - 1)]
    return [*levels, images]


@mistake("laplacian_pyramid", "The next round halves what is lost; it should go on from the halved picture.")
def going_on_with_the_lost(images: Tensor, n_levels: int) -> list[Tensor]:
    levels, smaller = [], images
    for _ in range(n_levels - 1):
        smaller = F.avg_pool2d(images, 2)
        images = images - double(smaller)
        levels.append(images)
    return [*levels, smaller]


@mistake("laplacian_pyramid", "The next round goes on from the doubled copy, so that nothing gets smaller.")
def going_on_with_the_doubled(images: Tensor, n_levels: int) -> list[Tensor]:
    levels = []
    for _ in range(n_levels - 1):
        coarse = double(F.avg_pool2d(images, 2))
        levels.append(images - coarse)
        images = coarse
    return [*levels, images]


@mistake(
    "laplacian_pyramid", "Each level is as large as the first picture, and holds all that is lost since then at once."
)
def each_from_the_first(images: Tensor, n_levels: int) -> list[Tensor]:
    sizes = [2**i for i in range(n_levels)]
    lost = [images - F.interpolate(F.avg_pool2d(images, size), scale_factor=size) for size in sizes[1:]]
    return [*lost, F.avg_pool2d(images, sizes[-1])]


@mistake("laplacian_pyramid", "The small picture is subtracted as it is; it should be doubled first.")
def never_doubled(images: Tensor, n_levels: int) -> list[Tensor]:
    return pyramid(images, n_levels, double=lambda x: x)


@mistake("laplacian_pyramid", "The doubled copy is made as high as it is wide; height and width need not be the same.")
def doubled_to_a_square(images: Tensor, n_levels: int) -> list[Tensor]:
    return pyramid(images, n_levels, double=lambda x: F.interpolate(x, size=2 * x.shape[3]))


@mistake("laplacian_pyramid", "Each level holds all that is lost since the first picture, not what this halving loses.")
def lost_since_the_first(images: Tensor, n_levels: int) -> list[Tensor]:
    levels, smaller = [], images
    for i in range(n_levels - 1):
        smaller = F.avg_pool2d(smaller, 2)
        lost = images - F.interpolate(smaller, size=images.shape[2:])
        levels.append(lost[:, :, :: 2**i, :: 2**i])
    return [*levels, smaller]


@mistake("laplacian_pyramid", "All levels are enlarged to the size of the pictures; each should have its own size.")
def all_enlarged(images: Tensor, n_levels: int) -> list[Tensor]:
    return [F.interpolate(level, size=images.shape[2:]) for level in pyramid(images, n_levels)]


@mistake(
    "laplacian_pyramid", "The last level is the whole picture again; it should be the one that the halving ended with."
)
def ends_with_the_whole(images: Tensor, n_levels: int) -> list[Tensor]:
    return [*pyramid(images, n_levels)[:-1], images]


@mistake("laplacian_pyramid", "The last level is the doubled copy; it should be the small picture that it is made of.")
def ends_with_the_doubled(images: Tensor, n_levels: int) -> list[Tensor]:
    *levels, last = pyramid(images, n_levels)
    return [*levels, last if n_levels == 1 else double(last)]


@mistake("laplacian_pyramid", "The last level has lost its mean; it is kept as it is, or the colors are gone.")
def mean_of_the_last_gone(images: Tensor, n_levels: int) -> list[Tensor]:
    *levels, last = pyramid(images, n_levels)
    return [*levels, last - last.mean((2, 3), keepdim=True)]


@mistake("laplacian_pyramid", "The pictures are turned gray: the channels are averaged as well.")
def channels_averaged(images: Tensor, n_levels: int) -> list[Tensor]:
    return pyramid(images.mean(1, keepdim=True), n_levels)


@mistake("laplacian_pyramid", "The levels are joined to one tensor; as they differ in size, they should stay a list.")
def joined(images: Tensor, n_levels: int) -> Tensor:
    return torch.cat([level.flatten(2) for level in pyramid(images, n_levels)], dim=2)


@mistake("laplacian_pyramid", "The levels are stacked, which needs equal sizes; a list can hold tensors of any size.")
def stacked(images: Tensor, n_levels: int) -> Tensor:
    return torch.stack(pyramid(images, n_levels))


@mistake("laplacian_pyramid", "The coarse copy is subtracted in the caller's own pictures.")
def subtracted_in_place(images: Tensor, n_levels: int) -> list[Tensor]:
    return pyramid(images, n_levels, lost=lambda fine, coarse: fine.sub_(coarse))


# ---- 5.3 patches ----------------------------------------------------------------------------------------------------


def cut(images: Tensor, places: Tensor, size: int = PATCH) -> Tensor:
    """All patches, (N, M, C, size, size), as most mistakes get them right."""
    squares = [images[:, :, y : y + size, x : x + size] for y, x in places.tolist()]
    return torch.stack(squares, dim=1)


def rows(squares: Tensor) -> Tensor:
    """One patch per row."""
    return squares.flatten(0, 1).flatten(1)


@mistake("patches", "Row and column are swapped: the first number of a place is its row, the second its column.")
def row_and_column_swapped(images: Tensor, places: Tensor) -> Tensor:
    windows = images.unfold(2, PATCH, 1).unfold(3, PATCH, 1)
    rows, columns = places[:, 1] % windows.shape[2], places[:, 0] % windows.shape[3]
    return windows[:, :, rows, columns].transpose(1, 2).flatten(0, 1).flatten(1)


@mistake("patches", "`places[0]` is one place, its row and its column; here it is taken for the rows of all places.")
def places_taken_for_columns(images: Tensor, places: Tensor) -> Tensor:
    windows = images.unfold(2, PATCH, 1).unfold(3, PATCH, 1)
    return rows(windows[:, :, places[0], places[1]].transpose(1, 2))


@mistake("patches", "Channels and places are not swapped before the dimensions are joined, so rows mix several places.")
def channels_and_places_mixed(images: Tensor, places: Tensor) -> Tensor:
    chosen = cut(images, places).transpose(1, 2)
    return chosen.reshape(len(images) * len(places), -1)


@mistake("patches", "Pictures and channels are joined to be the rows; it should be pictures and places.")
def pictures_and_channels_joined(images: Tensor, places: Tensor) -> Tensor:
    return rows(cut(images, places).transpose(1, 2))


@mistake("patches", "Places and channels are joined to be the rows; it should be pictures and places.")
def places_and_channels_joined(images: Tensor, places: Tensor) -> Tensor:
    return rows(cut(images, places).transpose(1, 2).transpose(0, 2))


@mistake("patches", "The patches of all pictures at the first place come first; all of the first picture should.")
def place_after_place(images: Tensor, places: Tensor) -> Tensor:
    return rows(cut(images, places).transpose(0, 1))


@mistake(
    "patches", "Pictures and places are mixed up when the dimensions are joined: rows hold parts of several patches."
)
def pictures_and_places_mixed(images: Tensor, places: Tensor) -> Tensor:
    return cut(images, places).permute(2, 0, 1, 3, 4).reshape(len(images) * len(places), -1)


@mistake("patches", "A place is taken for the middle of its patch; it is the upper left pixel.")
def around_the_place(images: Tensor, places: Tensor) -> Tensor:
    return rows(cut(F.pad(images, (3, 3, 3, 3)), places))


@mistake("patches", "A place is taken for the lower right pixel of its patch; it is the upper left one.")
def up_to_the_place(images: Tensor, places: Tensor) -> Tensor:
    return rows(cut(F.pad(images, (6, 0, 6, 0)), places))


@mistake("patches", "Each patch lies one row and one column too far: counting begins at 0.")
def one_too_far(images: Tensor, places: Tensor) -> Tensor:
    return rows(cut(F.pad(images, (0, 1, 0, 1)), places + 1))


@mistake("patches", "The patches are lying on their side: rows and columns within each are swapped.")
def turned(images: Tensor, places: Tensor) -> Tensor:
    return rows(cut(images, places).transpose(3, 4))


@mistake("patches", "Within a row the colors of each pixel stand together; all of the first channel should come first.")
def channels_last(images: Tensor, places: Tensor) -> Tensor:
    return rows(cut(images, places).movedim(2, 4))


@mistake("patches", "The patches are upside down.")
def upside_down(images: Tensor, places: Tensor) -> Tensor:
    return rows(cut(images, places).flip(3))


@mistake("patches", "The windows move on by 7 pixels, so that most places point somewhere else; they should move by 1.")
def windows_side_by_side(images: Tensor, places: Tensor) -> Tensor:
    windows = images.unfold(2, PATCH, PATCH).unfold(3, PATCH, PATCH)
    chosen = windows[:, :, places[:, 0] // PATCH, places[:, 1] // PATCH]
    return chosen.transpose(1, 2).flatten(0, 1).flatten(1)


@mistake("patches", "The windows move on by 7 pixels, so that a place counts windows; it should count pixels.")
def windows_side_by_side_and_counted(images: Tensor, places: Tensor) -> Tensor:
    windows = images.unfold(2, PATCH, PATCH).unfold(3, PATCH, PATCH)
    return windows[:, :, places[:, 0], places[:, 1]].transpose(1, 2).flatten(0, 1).flatten(1)


@mistake("patches", "The patches are 8 pixels wide: a slice ends before its second number.")
def one_pixel_too_large(images: Tensor, places: Tensor) -> Tensor:
    return rows(cut(F.pad(images, (0, 1, 0, 1)), places, PATCH + 1))


@mistake("patches", "The patches are 6 pixels wide: a slice ends before its second number.")
def one_pixel_too_small(images: Tensor, places: Tensor) -> Tensor:
    return rows(cut(images, places, PATCH - 1))


@mistake(
    "patches", "The slices end at `PATCH`, which is counted from the picture's edge and not from where they begin."
)
def slices_end_at_seven(images: Tensor, places: Tensor) -> Tensor:
    return torch.stack([image[:, y:PATCH, x:PATCH].flatten() for image in images for y, x in places.tolist()])


@mistake("patches", "The slices cut channels and rows; the first dimension of a picture is its channels.")
def channels_sliced(images: Tensor, places: Tensor) -> Tensor:
    squares = [image[y : y + PATCH, x : x + PATCH] for image in images for y, x in places.tolist()]
    return torch.stack([square.flatten() for square in squares])


@mistake("patches", "Only the first picture is cut; each picture has a patch at each place.")
def first_picture_only(images: Tensor, places: Tensor) -> Tensor:
    return rows(cut(images[:1], places))


@mistake("patches", "The patches are cut at the first place only.")
def first_place_only(images: Tensor, places: Tensor) -> Tensor:
    return rows(cut(images, places[:1]))


@mistake("patches", "Pictures take turns with the places; each picture has a patch at each place.")
def one_picture_for_each_place(images: Tensor, places: Tensor) -> Tensor:
    return rows(torch.stack([cut(images, places)[i % len(images), i] for i in range(len(places))])[None])


@mistake("patches", "The channels are cut apart: a patch should have all channels of its pixels.")
def a_row_for_each_channel(images: Tensor, places: Tensor) -> Tensor:
    return cut(images, places).flatten(0, 2).flatten(1)


@mistake("patches", "Only the first channel is cut out.")
def first_channel_only(images: Tensor, places: Tensor) -> Tensor:
    return rows(cut(images[:, :1], places))


@mistake("patches", "The patches are still squares; each should be laid out in one row of numbers.")
def still_squares(images: Tensor, places: Tensor) -> Tensor:
    return cut(images, places).flatten(0, 1)


@mistake("patches", "Pictures and places are still two dimensions; the rows should all stand below each other.")
def three_dimensions(images: Tensor, places: Tensor) -> Tensor:
    return cut(images, places).flatten(2)


@mistake("patches", "Each row holds all patches of a picture; each patch should have a row of its own.")
def a_row_for_each_picture(images: Tensor, places: Tensor) -> Tensor:
    return cut(images, places).flatten(1)


@mistake("patches", "All patches stand in one long row; each should have a row of its own.")
def one_long_row(images: Tensor, places: Tensor) -> Tensor:
    return cut(images, places).flatten()


@mistake("patches", "Each row holds the patches of all pictures at a place: `images` is cut where one image should be.")
def all_pictures_in_each_row(images: Tensor, places: Tensor) -> Tensor:
    return cut(images, places).transpose(0, 1).flatten(1).repeat(len(images), 1)


@mistake("patches", "There is a column for each patch; it should be a row.")
def columns_for_rows(images: Tensor, places: Tensor) -> Tensor:
    return rows(cut(images, places)).T


@mistake("patches", "The patches come as a list; the next exercise multiplies them as one tensor.")
def a_list_of_patches(images: Tensor, places: Tensor) -> list[Tensor]:
    return list(rows(cut(images, places)))


# ---- 5.4 sliced_distance --------------------------------------------------------------------------------------------


def ordered(points: Tensor, directions: Tensor) -> Tensor:
    """Sorted along each direction, as most mistakes get it right."""
    return torch.sort(points @ directions, dim=0).values


@mistake("sliced_distance", "Nothing is sorted: each point is compared with the one in the same row.")
def nothing_sorted(points_a: Tensor, points_b: Tensor, directions: Tensor) -> Tensor:
    return (points_a @ directions - points_b @ directions).abs().mean()


@mistake(
    "sliced_distance", "Each point's own numbers are sorted; it is the points along each direction that should be."
)
def sorted_across(points_a: Tensor, points_b: Tensor, directions: Tensor) -> Tensor:
    along_a, along_b = (torch.sort(points @ directions, dim=1).values for points in (points_a, points_b))
    return (along_a - along_b).abs().mean()


@mistake("sliced_distance", "The points are sorted before one looks along a direction, and each coordinate by itself.")
def sorted_too_soon(points_a: Tensor, points_b: Tensor, directions: Tensor) -> Tensor:
    a, b = (torch.sort(points, dim=0).values for points in (points_a, points_b))
    return ((a - b) @ directions).abs().mean()


@mistake(
    "sliced_distance", "All numbers are sorted together; those along each direction should be sorted by themselves."
)
def sorted_together(points_a: Tensor, points_b: Tensor, directions: Tensor) -> Tensor:
    along_a, along_b = ((points @ directions).flatten().sort().values for points in (points_a, points_b))
    return (along_a - along_b).abs().mean()


@mistake(
    "sliced_distance",
    "A table of indices in square brackets picks a whole row for each of them; each column has an order of its own.",
)
def whole_rows_picked(points_a: Tensor, points_b: Tensor, directions: Tensor) -> Tensor:
    a, b = points_a @ directions, points_b @ directions
    return (a[a.argsort(0)] - b[b.argsort(0)]).abs().mean()


@mistake("sliced_distance", "What `sort` gives is subtracted, but that is two things: the sorted values, and indices.")
def both_things_subtracted(points_a: Tensor, points_b: Tensor, directions: Tensor) -> Tensor:
    return (torch.sort(points_a @ directions, dim=0) - torch.sort(points_b @ directions, dim=0)).abs().mean()


@mistake("sliced_distance", "Only one of the two crowds is sorted.")
def one_sorted(points_a: Tensor, points_b: Tensor, directions: Tensor) -> Tensor:
    return (ordered(points_a, directions) - points_b @ directions).abs().mean()


@mistake("sliced_distance", "One crowd is sorted up and the other down: the smallest should go with the smallest.")
def opposite_orders(points_a: Tensor, points_b: Tensor, directions: Tensor) -> Tensor:
    return (ordered(points_a, directions) - ordered(points_b, directions).flip(0)).abs().mean()


@mistake("sliced_distance", "The indices that sort gives are compared; its values are wanted.")
def indices_compared(points_a: Tensor, points_b: Tensor, directions: Tensor) -> Tensor:
    a, b = (torch.sort(points @ directions, dim=0).indices for points in (points_a, points_b))
    return (a - b).abs().to(points_a).mean()


@mistake("sliced_distance", "Differences to the left and to the right cancel out: their signs are not dropped.")
def signs_kept(points_a: Tensor, points_b: Tensor, directions: Tensor) -> Tensor:
    return (ordered(points_a, directions) - ordered(points_b, directions)).mean()


@mistake("sliced_distance", "The mean is taken before the signs are dropped: ways to the left and to the right cancel.")
def signs_dropped_at_last(points_a: Tensor, points_b: Tensor, directions: Tensor) -> Tensor:
    return (ordered(points_a, directions) - ordered(points_b, directions)).mean().abs()


@mistake("sliced_distance", "The differences are squared; how far a point is carried is the difference itself.")
def squared(points_a: Tensor, points_b: Tensor, directions: Tensor) -> Tensor:
    return F.mse_loss(ordered(points_a, directions), ordered(points_b, directions))


@mistake("sliced_distance", "It is the root of a mean of squares; that weighs long ways more than short ones.")
def root_of_squares(points_a: Tensor, points_b: Tensor, directions: Tensor) -> Tensor:
    return squared(points_a, points_b, directions).sqrt()


@mistake("sliced_distance", "Along each direction it is the root of a mean of squares; the mean of the ways is wanted.")
def root_of_squares_along_each(points_a: Tensor, points_b: Tensor, directions: Tensor) -> Tensor:
    return (ordered(points_a, directions) - ordered(points_b, directions)).square().mean(0).sqrt().mean()


@mistake("sliced_distance", "It is the length of all differences as one vector; the mean of their sizes is wanted.")
def length_of_the_differences(points_a: Tensor, points_b: Tensor, directions: Tensor) -> Tensor:
    return (ordered(points_a, directions) - ordered(points_b, directions)).norm()


@mistake("sliced_distance", "The ways are added up; the mean over points and directions is wanted.")
def ways_added_up(points_a: Tensor, points_b: Tensor, directions: Tensor) -> Tensor:
    return (ordered(points_a, directions) - ordered(points_b, directions)).abs().sum()


@mistake("sliced_distance", "The ways of all points are added up, and the mean is over the directions only.")
def points_added_up(points_a: Tensor, points_b: Tensor, directions: Tensor) -> Tensor:
    return (ordered(points_a, directions) - ordered(points_b, directions)).abs().sum(0).mean()


@mistake("sliced_distance", "The directions are added up, and the mean is over the points only.")
def directions_added_up(points_a: Tensor, points_b: Tensor, directions: Tensor) -> Tensor:
    return (ordered(points_a, directions) - ordered(points_b, directions)).abs().mean(0).sum()


@mistake("sliced_distance", "The longest way counts alone; it should be the mean.")
def longest_way(points_a: Tensor, points_b: Tensor, directions: Tensor) -> Tensor:
    return (ordered(points_a, directions) - ordered(points_b, directions)).abs().max()


@mistake("sliced_distance", "It is that of the direction along which the crowds differ most; it should be the mean.")
def worst_direction(points_a: Tensor, points_b: Tensor, directions: Tensor) -> Tensor:
    return (ordered(points_a, directions) - ordered(points_b, directions)).abs().mean(0).max()


@mistake("sliced_distance", "One looks along the first direction only.")
def first_direction(points_a: Tensor, points_b: Tensor, directions: Tensor) -> Tensor:
    return (ordered(points_a, directions) - ordered(points_b, directions)).abs()[:, 0].mean()


@mistake("sliced_distance", "The crowds are put in the middle first, so that it goes unseen when one has moved.")
def means_taken_out(points_a: Tensor, points_b: Tensor, directions: Tensor) -> Tensor:
    a, b = (ordered(points - points.mean(0), directions) for points in (points_a, points_b))
    return (a - b).abs().mean()


@mistake(
    "sliced_distance",
    "A mean is taken too early, so that only the middles of the crowds are compared; crowds that differ may share one.",
)
def means_compared(points_a: Tensor, points_b: Tensor, directions: Tensor) -> Tensor:
    return ((points_a.mean(0) - points_b.mean(0)) @ directions).abs().mean()


@mistake("sliced_distance", "The middles of the crowds are subtracted as points, without looking along the directions.")
def middles_apart(points_a: Tensor, points_b: Tensor, directions: Tensor) -> Tensor:
    return (points_a.mean(0) - points_b.mean(0)).norm()


@mistake("sliced_distance", "The directions aren't used: the coordinates are sorted and compared as they are.")
def directions_not_used(points_a: Tensor, points_b: Tensor, directions: Tensor) -> Tensor:
    return (points_a.sort(0).values - points_b.sort(0).values).abs().mean()


@mistake("sliced_distance", "The directions are transposed; they stand in columns already, one below each coordinate.")
def directions_transposed(points_a: Tensor, points_b: Tensor, directions: Tensor) -> Tensor:
    along_a, along_b = (torch.sort(points @ directions.T, dim=0).values for points in (points_a, points_b))
    return (along_a - along_b).abs().mean()


@mistake("sliced_distance", "A `for` goes through the rows of `directions`; each direction is a column.")
def rows_taken_for_directions(points_a: Tensor, points_b: Tensor, directions: Tensor) -> Tensor:
    ways = [(points_a @ way).sort().values - (points_b @ way).sort().values for way in directions]
    return torch.stack(ways).abs().mean()


@mistake(
    "sliced_distance", "Directions and points are multiplied the wrong way round: what is on the left gives the rows."
)
def multiplied_the_wrong_way_round(points_a: Tensor, points_b: Tensor, directions: Tensor) -> Tensor:
    a, b = directions @ points_a, directions @ points_b
    return (a.sort(0).values - b.sort(0).values).abs().mean()


@mistake("sliced_distance", "Points and directions are multiplied number by number; `@` multiplies matrices.")
def multiplied_one_by_one(points_a: Tensor, points_b: Tensor, directions: Tensor) -> Tensor:
    along_a, along_b = (torch.sort(points * directions, dim=0).values for points in (points_a, points_b))
    return (along_a - along_b).abs().mean()


@mistake("sliced_distance", "Each point goes to its nearest in the other crowd, and many may go to the same one.")
def nearest_taken(points_a: Tensor, points_b: Tensor, directions: Tensor) -> Tensor:
    a, b = points_a @ directions, points_b @ directions
    return (a[:, None] - b).abs().min(1).values.mean()


@mistake("sliced_distance", "All pairs of points are compared; each point should be carried to one place.")
def all_pairs(points_a: Tensor, points_b: Tensor, directions: Tensor) -> Tensor:
    a, b = points_a @ directions, points_b @ directions
    return (a[:, None] - b).abs().mean()


@mistake("sliced_distance", "There is a number for each direction; the mean over them is wanted as well.")
def one_for_each_direction(points_a: Tensor, points_b: Tensor, directions: Tensor) -> Tensor:
    return (ordered(points_a, directions) - ordered(points_b, directions)).abs().mean(0)


@mistake("sliced_distance", "The result is a plain float; the next exercise stacks tensors.")
def plain_float(points_a: Tensor, points_b: Tensor, directions: Tensor) -> float:
    return (ordered(points_a, directions) - ordered(points_b, directions)).abs().mean().item()


@mistake("sliced_distance", "The points of the caller are sorted in place.")
def sorted_in_place(points_a: Tensor, points_b: Tensor, directions: Tensor) -> Tensor:
    points_a[:] = points_a.sort(0).values
    return (ordered(points_a, directions) - ordered(points_b, directions)).abs().mean()


# ---- 5.5 sliced_wasserstein -----------------------------------------------------------------------------------------


def refuse(images_a: Tensor, images_b: Tensor) -> None:
    """The part that most mistakes get right."""
    if images_a.shape != images_b.shape:
        raise ValueError("the sets must be equal in shape")


def some_places(level: Tensor, generator: Generator, n: int = N_PATCHES) -> Tensor:
    """Places, as most mistakes get them right."""
    tops = [torch.randint(side - PATCH + 1, (n,), generator=generator, device="cpu") for side in level.shape[2:]]
    return torch.stack(tops, dim=1)


def some_directions(points: Tensor, generator: Generator) -> Tensor:
    """Directions, as most mistakes get them right."""
    directions = torch.randn(points.shape[1], N_DIRECTIONS, generator=generator, device="cpu").to(points)
    return directions / directions.norm(dim=0)


def by_both(points_a: Tensor, points_b: Tensor) -> tuple[Tensor, Tensor]:
    """One scale for both, as most mistakes get it right."""
    scale = torch.cat([points_a, points_b]).std().clamp(min=1e-6)
    return points_a / scale, points_b / scale


def usual_pyramid(images: Tensor) -> list[Tensor]:
    """The pyramid, as most mistakes get it right."""
    return evaluation.laplacian_pyramid(images, n_levels_for(images))


def at_the_level(
    a: Tensor, b: Tensor, generator: Generator, places=some_places, directions=some_directions, scaled=by_both
):
    """The distance at one level, as most mistakes get it right."""
    where = places(a, generator)
    points = scaled(evaluation.patches(a, where), evaluation.patches(b, where))
    return evaluation.sliced_distance(*points, directions(points[0], generator))


def measure(
    images_a: Tensor,
    images_b: Tensor,
    generator: Generator,
    levels: Callable[[Tensor], list[Tensor]] = usual_pyramid,
    join: Callable[[Tensor], Tensor] = torch.mean,
    **parts,
) -> float:
    """The whole, as most mistakes get it right."""
    refuse(images_a, images_b)
    pairs = zip(levels(images_a), levels(images_b), strict=True)
    return join(torch.stack([at_the_level(a, b, generator, **parts) for a, b in pairs])).item()


@mistake(
    "sliced_wasserstein", "Sets of different shapes are not refused; what comes out then, if anything, means nothing."
)
def nothing_refused(images_a: Tensor, images_b: Tensor, *, generator: Generator = None) -> float:
    n = min(len(images_a), len(images_b))
    height, width = (min(one, other) for one, other in zip(images_a.shape[2:], images_b.shape[2:], strict=True))
    a, b = (x[:n, :1, :height, :width] for x in (images_a, images_b))
    return measure(a, b, generator)


@mistake("sliced_wasserstein", "Only the number of pictures is compared; channels, height and width count as well.")
def number_compared(images_a: Tensor, images_b: Tensor, *, generator: Generator = None) -> float:
    if len(images_a) != len(images_b):
        raise ValueError("not equally many")
    return nothing_refused(images_a, images_b, generator=generator)


@mistake("sliced_wasserstein", "Sets of different shapes go unnoticed, until torch stumbles with an error of its own.")
def torch_stumbles(images_a: Tensor, images_b: Tensor, *, generator: Generator = None) -> float:
    pairs = zip(usual_pyramid(images_a), usual_pyramid(images_b), strict=False)
    return torch.stack([at_the_level(a, b, generator) for a, b in pairs]).mean().item()


@mistake(
    "sliced_wasserstein", "The number of pictures is compared, and over other differences in shape torch stumbles."
)
def torch_stumbles_later(images_a: Tensor, images_b: Tensor, *, generator: Generator = None) -> float:
    if len(images_a) != len(images_b):
        raise ValueError("not equally many")
    return torch_stumbles(images_a, images_b, generator=generator)


@mistake(
    "sliced_wasserstein", "Sets of different shapes are refused with an assert; the docstring promises a ValueError."
)
def asserted(images_a: Tensor, images_b: Tensor, *, generator: Generator = None) -> float:
    assert images_a.shape == images_b.shape
    return measure(images_a, images_b, generator)


@mistake("sliced_wasserstein", "The distance is a tensor; a float is wanted.")
def a_tensor(images_a: Tensor, images_b: Tensor, *, generator: Generator = None) -> Tensor:
    return torch.tensor(measure(images_a, images_b, generator))


@mistake("sliced_wasserstein", "The device isn't told where random numbers are drawn, so it would not work on a GPU.")
def device_not_told(images_a: Tensor, images_b: Tensor, *, generator: Generator = None) -> float:
    def directions(points: Tensor, generator: Generator) -> Tensor:
        drawn = torch.randn(points.shape[1], N_DIRECTIONS, generator=generator).to(points)
        return drawn / drawn.norm(dim=0)

    return measure(images_a, images_b, generator, directions=directions)


@mistake("sliced_wasserstein", "The directions are float32 always; the points may be of another dtype.")
def dtype_not_told(images_a: Tensor, images_b: Tensor, *, generator: Generator = None) -> float:
    def directions(points: Tensor, generator: Generator) -> Tensor:
        drawn = torch.randn(points.shape[1], N_DIRECTIONS, generator=generator, device="cpu")
        return points[:0] @ drawn if points.dtype != drawn.dtype else drawn / drawn.norm(dim=0)

    return measure(images_a, images_b, generator, directions=directions)


@mistake(
    "sliced_wasserstein", "The last row and the last column are never seen: one more place is possible on each side."
)
def one_place_short(images_a: Tensor, images_b: Tensor, *, generator: Generator = None) -> float:
    def places(level: Tensor, generator: Generator) -> Tensor:
        height, width = level.shape[2:]
        rows = torch.randint(height - PATCH, (N_PATCHES,), generator=generator, device=level.device)
        columns = torch.randint(width - PATCH, (N_PATCHES,), generator=generator, device=level.device)
        return torch.stack([rows, columns], dim=1)

    return measure(images_a, images_b, generator, places=places)


@mistake(
    "sliced_wasserstein",
    "Some of the places are too far down or too far right: a patch that begins there sticks out of its level.",
)
def places_anywhere(images_a: Tensor, images_b: Tensor, *, generator: Generator = None) -> float:
    def places(level: Tensor, generator: Generator) -> Tensor:
        sides = level.shape[2:]
        return torch.stack([torch.randint(side, (N_PATCHES,), generator=generator, device="cpu") for side in sides], 1)

    return measure(images_a, images_b, generator, places=places)


@mistake(
    "sliced_wasserstein",
    "Rows and columns of the places aren't told apart: rows go by the height, columns by the width.",
)
def places_turned(images_a: Tensor, images_b: Tensor, *, generator: Generator = None) -> float:
    return measure(images_a, images_b, generator, places=lambda level, draws: some_places(level, draws, 128).flip(1))


@mistake(
    "sliced_wasserstein",
    "The places are those of the first level, and in the next, which is smaller, some lie outside.",
)
def places_of_the_first_level(images_a: Tensor, images_b: Tensor, *, generator: Generator = None) -> float:
    return measure(images_a, images_b, generator, places=lambda _, draws: some_places(images_a, draws))


@mistake("sliced_wasserstein", "The places are those of the last level, so that of a larger one only a corner is seen.")
def places_of_the_last_level(images_a: Tensor, images_b: Tensor, *, generator: Generator = None) -> float:
    last = usual_pyramid(images_a)[-1]
    return measure(images_a, images_b, generator, places=lambda _, draws: some_places(last, draws))


@mistake("sliced_wasserstein", "Some random numbers don't come from the generator: it should be handed to every draw.")
def generator_forgotten(images_a: Tensor, images_b: Tensor, *, generator: Generator = None) -> float:
    return measure(images_a, images_b, generator, directions=lambda points, _: some_directions(points, None))


@mistake(
    "sliced_wasserstein", "The random numbers start from the same seed in each call, whatever generator is handed in."
)
def a_seed_of_its_own(images_a: Tensor, images_b: Tensor, *, generator: Generator = None) -> float:
    return measure(images_a, images_b, torch.Generator().manual_seed(0))


@mistake(
    "sliced_wasserstein",
    "Without a generator the numbers start from the same seed in each call; None means torch's own, as it is.",
)
def a_seed_for_none(images_a: Tensor, images_b: Tensor, *, generator: Generator = None) -> float:
    return measure(images_a, images_b, generator or torch.Generator().manual_seed(0))


@mistake(
    "sliced_wasserstein", "The patches of the two sets are cut out at different places, which alone makes them differ."
)
def other_places(images_a: Tensor, images_b: Tensor, *, generator: Generator = None) -> float:
    refuse(images_a, images_b)
    distances = []
    for a, b in zip(usual_pyramid(images_a), usual_pyramid(images_b), strict=True):
        points = by_both(*(evaluation.patches(x, some_places(x, generator, 128)) for x in (a, b)))
        distances.append(evaluation.sliced_distance(*points, some_directions(points[0], generator)))
    return torch.stack(distances).mean().item()


@mistake("sliced_wasserstein", "The two sets are looked at along different directions, which alone makes them differ.")
def other_directions(images_a: Tensor, images_b: Tensor, *, generator: Generator = None) -> float:
    refuse(images_a, images_b)
    distances = []
    for a, b in zip(usual_pyramid(images_a), usual_pyramid(images_b), strict=True):
        places = some_places(a, generator)
        points = by_both(*(evaluation.patches(x, places) for x in (a, b)))
        along_a, along_b = ((x @ some_directions(x, generator)).sort(0).values for x in points)
        distances.append((along_a - along_b).abs().mean())
    return torch.stack(distances).mean().item()


@mistake("sliced_wasserstein", "Each picture has places of its own, so that the order of the pictures matters.")
def places_for_each_picture(images_a: Tensor, images_b: Tensor, *, generator: Generator = None) -> float:
    refuse(images_a, images_b)
    distances = []
    for a, b in zip(usual_pyramid(images_a), usual_pyramid(images_b), strict=True):
        places = [some_places(a, generator, 128) for _ in a]  # how much it matters depends on their number
        points = (torch.cat([evaluation.patches(y[None], x) for y, x in zip(z, places, strict=True)]) for z in (a, b))
        points_a, points_b = by_both(*points)
        distances.append(evaluation.sliced_distance(points_a, points_b, some_directions(points_a, generator)))
    return torch.stack(distances).mean().item()


@mistake("sliced_wasserstein", "Each picture is compared with the one that has its number; they should be two crowds.")
def pair_by_pair(images_a: Tensor, images_b: Tensor, *, generator: Generator = None) -> float:
    refuse(images_a, images_b)
    return sum(measure(a[None], b[None], generator) for a, b in zip(images_a, images_b, strict=True)) / len(images_a)


@mistake(
    "sliced_wasserstein",
    "Where all pictures are equal, it divides by a standard deviation of 0, and the result is nan.",
)
def divided_by_zero(images_a: Tensor, images_b: Tensor, *, generator: Generator = None) -> float:
    def scaled(a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
        scale = torch.cat([a, b]).std()
        return a / scale, b / scale

    return measure(images_a, images_b, generator, scaled=scaled)


@mistake("sliced_wasserstein", "The patches are not scaled, so that fine details, which are faint, hardly count.")
def not_scaled(images_a: Tensor, images_b: Tensor, *, generator: Generator = None) -> float:
    return measure(images_a, images_b, generator, scaled=lambda a, b: (a, b))


@mistake(
    "sliced_wasserstein", "Each set is scaled by itself, so that it goes unseen when one is grayer than the other."
)
def each_scaled_by_itself(images_a: Tensor, images_b: Tensor, *, generator: Generator = None) -> float:
    def scaled(a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
        return a / a.std().clamp(min=1e-6), b / b.std().clamp(min=1e-6)

    return measure(images_a, images_b, generator, scaled=scaled)


@mistake(
    "sliced_wasserstein",
    "Each set is brought to a mean of 0 and a deviation of 1 by itself, and what sets it apart from the other is gone.",
)
def each_standardised(images_a: Tensor, images_b: Tensor, *, generator: Generator = None) -> float:
    def scaled(a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
        return (a - a.mean()) / a.std().clamp(min=1e-6), (b - b.mean()) / b.std().clamp(min=1e-6)

    return measure(images_a, images_b, generator, scaled=scaled)


@mistake(
    "sliced_wasserstein", "Each pixel of the patches is scaled by a number of its own; there should be one for all."
)
def each_pixel_scaled(images_a: Tensor, images_b: Tensor, *, generator: Generator = None) -> float:
    def scaled(a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
        scale = torch.cat([a, b]).std(dim=0).clamp(min=1e-6)
        return a / scale, b / scale

    return measure(images_a, images_b, generator, scaled=scaled)


@mistake(
    "sliced_wasserstein",
    "Deviations are averaged that were each taken of a part; all numbers together have their own, which can be larger.",
)
def mean_of_the_deviations(images_a: Tensor, images_b: Tensor, *, generator: Generator = None) -> float:
    def scaled(a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
        scale = ((a.std() + b.std()) / 2).clamp(min=1e-6)
        return a / scale, b / scale

    return measure(images_a, images_b, generator, scaled=scaled)


@mistake(
    "sliced_wasserstein", "Both sets are scaled by the first one's deviation, so that the way back is another one."
)
def scaled_by_the_first(images_a: Tensor, images_b: Tensor, *, generator: Generator = None) -> float:
    def scaled(a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
        scale = a.std().clamp(min=1e-6)
        return a / scale, b / scale

    return measure(images_a, images_b, generator, scaled=scaled)


@mistake(
    "sliced_wasserstein", "Both sets are scaled by the second one's deviation; what the first one has counts as well."
)
def scaled_by_the_second(images_a: Tensor, images_b: Tensor, *, generator: Generator = None) -> float:
    def scaled(a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
        scale = b.std().clamp(min=1e-6)
        return a / scale, b / scale

    return measure(images_a, images_b, generator, scaled=scaled)


@mistake("sliced_wasserstein", "The mean of each set is taken out, so that it goes unseen when one is brighter.")
def means_of_the_sets_taken_out(images_a: Tensor, images_b: Tensor, *, generator: Generator = None) -> float:
    return measure(images_a, images_b, generator, scaled=lambda a, b: by_both(a - a.mean(), b - b.mean()))


@mistake("sliced_wasserstein", "The patches are divided by their variance; the standard deviation is its root.")
def scaled_by_the_variance(images_a: Tensor, images_b: Tensor, *, generator: Generator = None) -> float:
    def scaled(a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
        scale = torch.cat([a, b]).var().clamp(min=1e-6)
        return a / scale, b / scale

    return measure(images_a, images_b, generator, scaled=scaled)


@mistake("sliced_wasserstein", "The patches are multiplied by their standard deviation; they should be divided by it.")
def multiplied_by_the_deviation(images_a: Tensor, images_b: Tensor, *, generator: Generator = None) -> float:
    def scaled(a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
        scale = torch.cat([a, b]).std()
        return a * scale, b * scale

    return measure(images_a, images_b, generator, scaled=scaled)


@mistake(
    "sliced_wasserstein", "All levels are scaled by the deviation of the pictures, so that fine details hardly count."
)
def scaled_by_the_pictures(images_a: Tensor, images_b: Tensor, *, generator: Generator = None) -> float:
    refuse(images_a, images_b)
    scale = torch.cat([images_a, images_b]).std().clamp(min=1e-6)
    return measure(images_a / scale, images_b / scale, generator, scaled=lambda a, b: (a, b))


@mistake("sliced_wasserstein", "Only the finest level is compared.")
def finest_only(images_a: Tensor, images_b: Tensor, *, generator: Generator = None) -> float:
    return measure(images_a, images_b, generator, levels=lambda images: usual_pyramid(images)[:1])


@mistake("sliced_wasserstein", "Only the coarsest level is compared.")
def coarsest_only(images_a: Tensor, images_b: Tensor, *, generator: Generator = None) -> float:
    return measure(images_a, images_b, generator, levels=lambda images: usual_pyramid(images)[-1:])


@mistake("sliced_wasserstein", "The coarsest level is left out, and with it the colors.")
def coarsest_left_out(images_a: Tensor, images_b: Tensor, *, generator: Generator = None) -> float:
    return measure(images_a, images_b, generator, levels=lambda images: usual_pyramid(images)[:-1] or [images])


@mistake("sliced_wasserstein", "There is no pyramid: the patches are cut out of the pictures as they are.")
def no_pyramid(images_a: Tensor, images_b: Tensor, *, generator: Generator = None) -> float:
    return measure(images_a, images_b, generator, levels=lambda images: [images])


@mistake("sliced_wasserstein", "The channels are averaged to gray first, so that colors don't count.")
def turned_gray(images_a: Tensor, images_b: Tensor, *, generator: Generator = None) -> float:
    refuse(images_a, images_b)
    return measure(images_a.mean(1, keepdim=True), images_b.mean(1, keepdim=True), generator)


@mistake(
    "sliced_wasserstein",
    "The levels are smaller and smaller pictures, with all their details, not a Laplacian pyramid.",
)
def smaller_pictures(images_a: Tensor, images_b: Tensor, *, generator: Generator = None) -> float:
    def levels(images: Tensor) -> list[Tensor]:
        return [F.avg_pool2d(images, 2**i) for i in range(n_levels_for(images))]

    return measure(images_a, images_b, generator, levels=levels)


@mistake("sliced_wasserstein", "The levels are added up; the mean over them is wanted.")
def levels_added_up(images_a: Tensor, images_b: Tensor, *, generator: Generator = None) -> float:
    return measure(images_a, images_b, generator, join=torch.sum)


@mistake("sliced_wasserstein", "The worst level counts alone; the mean over them is wanted.")
def worst_level(images_a: Tensor, images_b: Tensor, *, generator: Generator = None) -> float:
    return measure(images_a, images_b, generator, join=torch.max)


@mistake("sliced_wasserstein", "The directions are not divided by their lengths; they should have length 1.")
def directions_too_long(images_a: Tensor, images_b: Tensor, *, generator: Generator = None) -> float:
    def directions(points: Tensor, generator: Generator) -> Tensor:
        return torch.randn(points.shape[1], N_DIRECTIONS, generator=generator, device="cpu").to(points)

    return measure(images_a, images_b, generator, directions=directions)


@mistake(
    "sliced_wasserstein", "The rows of the directions get length 1, not the columns: `norm` takes the wrong dimension."
)
def rows_of_length_one(images_a: Tensor, images_b: Tensor, *, generator: Generator = None) -> float:
    def directions(points: Tensor, generator: Generator) -> Tensor:
        drawn = torch.randn(points.shape[1], N_DIRECTIONS, generator=generator, device="cpu").to(points)
        return FEWER * F.normalize(drawn, dim=1)

    return measure(images_a, images_b, generator, directions=directions)


@mistake("sliced_wasserstein", "`norm` gives the length of each row; it should give one for each column.")
def a_length_for_each_row(images_a: Tensor, images_b: Tensor, *, generator: Generator = None) -> float:
    def directions(points: Tensor, generator: Generator) -> Tensor:
        drawn = torch.randn(points.shape[1], 512, generator=generator, device="cpu").to(points)
        return drawn / drawn.norm(dim=1)

    return measure(images_a, images_b, generator, directions=directions)


@mistake("sliced_wasserstein", "All directions together get a length of 1; each of them should have it.")
def one_length_for_all(images_a: Tensor, images_b: Tensor, *, generator: Generator = None) -> float:
    def directions(points: Tensor, generator: Generator) -> Tensor:
        drawn = torch.randn(points.shape[1], N_DIRECTIONS, generator=generator, device="cpu").to(points)
        return FEWER * drawn / drawn.norm()

    return measure(images_a, images_b, generator, directions=directions)


@mistake("sliced_wasserstein", "The directions are drawn from 0 to 1, and all point into the same corner.")
def into_one_corner(images_a: Tensor, images_b: Tensor, *, generator: Generator = None) -> float:
    def directions(points: Tensor, generator: Generator) -> Tensor:
        return F.normalize(torch.rand(points.shape[1], N_DIRECTIONS, generator=generator, device="cpu"), dim=0).to(
            points
        )

    return measure(images_a, images_b, generator, directions=directions)


# ---- 5.6 nearest_neighbors -----------------------------------------------------------------------------------------


def apart(samples: Tensor, images: Tensor) -> Tensor:
    """All distances, (S, N), as most mistakes get them right."""
    return (samples[:, None] - images).square().flatten(2).mean(2).sqrt()


def nearest(distances: Tensor, k: int) -> tuple[Tensor, Tensor]:
    """The k smallest, as most mistakes get them right."""
    values, indices = distances.topk(k, largest=False)
    return values, indices


@mistake("nearest_neighbors", "The farthest images are found: topk takes the largest unless it is told otherwise.")
def farthest(samples: Tensor, images: Tensor, k: int = 1) -> tuple[Tensor, Tensor]:
    values, indices = apart(samples, images).topk(k)
    return values, indices


@mistake("nearest_neighbors", "The distances are negative: a minus sign turned their order round, and is still there.")
def still_negative(samples: Tensor, images: Tensor, k: int = 1) -> tuple[Tensor, Tensor]:
    values, indices = (-apart(samples, images)).topk(k)
    return values, indices


@mistake(
    "nearest_neighbors",
    "Samples and images are paired off one to one; each sample should be held against every image.",
)
def paired_off(samples: Tensor, images: Tensor, k: int = 1) -> tuple[Tensor, Tensor]:
    return nearest((samples - images).square().flatten(1).mean(1).sqrt(), k)


@mistake("nearest_neighbors", "`flatten()` lays all pictures out in one row; each should have a row of its own.")
def all_in_one_row(samples: Tensor, images: Tensor, k: int = 1) -> tuple[Tensor, Tensor]:
    return nearest(torch.cdist(samples.flatten(), images.flatten()), k)


@mistake("nearest_neighbors", "Distances and indices are swapped: the distances come first.")
def two_swapped(samples: Tensor, images: Tensor, k: int = 1) -> tuple[Tensor, Tensor]:
    return nearest(apart(samples, images), k)[::-1]


@mistake("nearest_neighbors", "The root is missing around the mean of the squares.")
def root_missing(samples: Tensor, images: Tensor, k: int = 1) -> tuple[Tensor, Tensor]:
    return nearest(apart(samples, images).square(), k)


@mistake("nearest_neighbors", "The squares are added up and not averaged, so that large pictures are further apart.")
def squares_added_up(samples: Tensor, images: Tensor, k: int = 1) -> tuple[Tensor, Tensor]:
    return nearest(torch.cdist(samples.flatten(1), images.flatten(1)), k)


@mistake(
    "nearest_neighbors",
    "The root of the sum is divided by the number of pixels; inside the root it was a sum of squares.",
)
def divided_after_the_root(samples: Tensor, images: Tensor, k: int = 1) -> tuple[Tensor, Tensor]:
    return nearest(torch.cdist(samples.flatten(1), images.flatten(1)) / samples[0].numel(), k)


@mistake("nearest_neighbors", "It is divided by rows times columns; the channels count as well.")
def channels_not_counted(samples: Tensor, images: Tensor, k: int = 1) -> tuple[Tensor, Tensor]:
    return nearest(apart(samples, images) * samples.shape[1] ** 0.5, k)


@mistake(
    "nearest_neighbors", "It is divided by how many numbers all samples have together; it should be how many one has."
)
def all_samples_counted(samples: Tensor, images: Tensor, k: int = 1) -> tuple[Tensor, Tensor]:
    return nearest(torch.cdist(samples.flatten(1), images.flatten(1)) / samples.numel() ** 0.5, k)


@mistake("nearest_neighbors", "It is the mean of the differences' sizes; they should be squared, averaged and rooted.")
def mean_size(samples: Tensor, images: Tensor, k: int = 1) -> tuple[Tensor, Tensor]:
    return nearest((samples[:, None] - images).abs().flatten(2).mean(2), k)


@mistake("nearest_neighbors", "It is the largest difference of any pixel; all pixels should count.")
def worst_pixel(samples: Tensor, images: Tensor, k: int = 1) -> tuple[Tensor, Tensor]:
    return nearest((samples[:, None] - images).abs().flatten(2).max(2).values, k)


@mistake("nearest_neighbors", "The differences keep their signs, so that they cancel out.")
def differences_cancel_out(samples: Tensor, images: Tensor, k: int = 1) -> tuple[Tensor, Tensor]:
    return nearest((samples[:, None] - images).flatten(2).mean(2).abs(), k)


@mistake("nearest_neighbors", "Angles are compared, so that a darker picture counts as the same.")
def angles(samples: Tensor, images: Tensor, k: int = 1) -> tuple[Tensor, Tensor]:
    return nearest(1 - F.cosine_similarity(samples.flatten(1)[:, None], images.flatten(1), dim=2), k)


@mistake(
    "nearest_neighbors", "The mean of each picture is taken out first, so that a brighter picture counts as the same."
)
def brightness_taken_out(samples: Tensor, images: Tensor, k: int = 1) -> tuple[Tensor, Tensor]:
    centerd = (x - x.mean((1, 2, 3), keepdim=True) for x in (samples, images))
    return nearest(apart(*centerd), k)


@mistake("nearest_neighbors", "The pictures are averaged to gray first, so that colors don't count.")
def colors_ignored(samples: Tensor, images: Tensor, k: int = 1) -> tuple[Tensor, Tensor]:
    return nearest(apart(samples.mean(1, keepdim=True), images.mean(1, keepdim=True)), k)


@mistake("nearest_neighbors", "Neighbors are sought among the samples; it is the images they should be found in.")
def among_the_samples(samples: Tensor, images: Tensor, k: int = 1) -> tuple[Tensor, Tensor]:
    return nearest(apart(samples, samples), min(k, len(samples)))


@mistake("nearest_neighbors", "For each image the nearest samples are found; it should be the other way round.")
def the_other_way_round(samples: Tensor, images: Tensor, k: int = 1) -> tuple[Tensor, Tensor]:
    return nearest(apart(images, samples), min(k, len(samples)))


@mistake("nearest_neighbors", "The distances are sorted along the samples; each sample has its own row to search.")
def along_the_samples(samples: Tensor, images: Tensor, k: int = 1) -> tuple[Tensor, Tensor]:
    values, indices = apart(samples, images).topk(min(k, len(samples)), dim=0, largest=False)
    return values, indices


@mistake("nearest_neighbors", "`[:k]` keeps the first k rows, which are samples; the k nearest stand in the columns.")
def first_rows_kept(samples: Tensor, images: Tensor, k: int = 1) -> tuple[Tensor, Tensor]:
    values, indices = apart(samples, images).sort(1)
    return values[:k], indices[:k]


@mistake("nearest_neighbors", "There is a column for each sample; it should be a row.")
def a_column_for_each_sample(samples: Tensor, images: Tensor, k: int = 1) -> tuple[Tensor, Tensor]:
    values, indices = nearest(apart(samples, images), k)
    return values.T, indices.T


@mistake(
    "nearest_neighbors", "The neighbors of all samples stand in one row; each sample should have a row of its own."
)
def in_one_row(samples: Tensor, images: Tensor, k: int = 1) -> tuple[Tensor, Tensor]:
    values, indices = nearest(apart(samples, images), k)
    return values.flatten(), indices.flatten()


@mistake("nearest_neighbors", "`k` isn't used: one neighbor is found for each sample.")
def k_ignored(samples: Tensor, images: Tensor, k: int = 1) -> tuple[Tensor, Tensor]:
    return nearest(apart(samples, images), 1)


@mistake("nearest_neighbors", "Only the k-th neighbor is returned; all k of them are wanted.")
def the_last_of_k(samples: Tensor, images: Tensor, k: int = 1) -> tuple[Tensor, Tensor]:
    values, indices = nearest(apart(samples, images), k)
    return values[:, -1:], indices[:, -1:]


@mistake("nearest_neighbors", "With a k of 1 a dimension is lost; it should be one column.")
def column_lost(samples: Tensor, images: Tensor, k: int = 1) -> tuple[Tensor, Tensor]:
    values, indices = nearest(apart(samples, images), k)
    return values.squeeze(1), indices.squeeze(1)


@mistake("nearest_neighbors", "All images are returned, sorted; the first k are wanted.")
def all_of_them(samples: Tensor, images: Tensor, k: int = 1) -> tuple[Tensor, Tensor]:
    return nearest(apart(samples, images), len(images))


@mistake("nearest_neighbors", "The k neighbors are right, but the nearest comes last.")
def nearest_last(samples: Tensor, images: Tensor, k: int = 1) -> tuple[Tensor, Tensor]:
    values, indices = nearest(apart(samples, images), k)
    return values.flip(1), indices.flip(1)


@mistake("nearest_neighbors", "The k neighbors are right, but they are in no order: `sorted` is switched off.")
def in_no_order(samples: Tensor, images: Tensor, k: int = 1) -> tuple[Tensor, Tensor]:
    values, indices = apart(samples, images).topk(k, largest=False, sorted=False)
    return values, indices


@mistake(
    "nearest_neighbors",
    "An image that equals the sample is passed over; that it was copied is what one wants to know.",
)
def copies_passed_over(samples: Tensor, images: Tensor, k: int = 1) -> tuple[Tensor, Tensor]:
    distances = apart(samples, images)
    return nearest(torch.where(distances < 1e-9, torch.inf, distances), k)


@mistake("nearest_neighbors", "The first neighbor is passed over, as if a sample were one of the images itself.")
def first_passed_over(samples: Tensor, images: Tensor, k: int = 1) -> tuple[Tensor, Tensor]:
    values, indices = apart(samples, images).sort(1)
    return values[:, 1 : k + 1], indices[:, 1 : k + 1]


@mistake("nearest_neighbors", "The distances are those to the first images, and don't go with the indices.")
def distances_of_others(samples: Tensor, images: Tensor, k: int = 1) -> tuple[Tensor, Tensor]:
    distances = apart(samples, images)
    return distances[:, :k], distances.argsort(1)[:, :k]


@mistake("nearest_neighbors", "The images themselves are returned; their indices are wanted.")
def images_returned(samples: Tensor, images: Tensor, k: int = 1) -> tuple[Tensor, Tensor]:
    values, indices = nearest(apart(samples, images), k)
    return values, images[indices]


@mistake("nearest_neighbors", "The indices are counted from 1; torch counts from 0.")
def counted_from_one(samples: Tensor, images: Tensor, k: int = 1) -> tuple[Tensor, Tensor]:
    values, indices = nearest(apart(samples, images), k)
    return values, indices + 1


@mistake("nearest_neighbors", "The indices are ranks: sorting was done twice, and says how near each image is.")
def ranks(samples: Tensor, images: Tensor, k: int = 1) -> tuple[Tensor, Tensor]:
    distances = apart(samples, images)
    return distances.sort(1).values[:, :k], distances.argsort(1).argsort(1)[:, :k]


@mistake("nearest_neighbors", "Only the distances are returned; the indices are wanted as well.")
def indices_forgotten(samples: Tensor, images: Tensor, k: int = 1) -> Tensor:
    return nearest(apart(samples, images), k)[0]


@mistake("nearest_neighbors", "Distances and indices are put into one tensor, as floats; two tensors are wanted.")
def in_one_tensor(samples: Tensor, images: Tensor, k: int = 1) -> Tensor:
    return torch.stack(nearest(apart(samples, images), k))
