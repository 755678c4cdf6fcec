"""Common wrong answers to lesson 05, each with the sentence that the grader reports when it recognizes the mistake.

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
N_PATCHES, N_DIRECTIONS = 64, 128  # fewer than in the exercise, but enough to recognize a mistake
FEWER = (N_DIRECTIONS / 512) ** 0.5  # how much shorter each of 512 directions would be if all share one length


# ---- 5.1 loss_by_noise_level ----------------------------------------------------------------------------------------


def fixed(images: Tensor, seed: int = 0) -> Tensor:
    """Draw the noise, which most mistakes do right."""
    return torch.rand(images.shape, generator=torch.Generator().manual_seed(seed), dtype=images.dtype)


def at_each(images: Tensor, levels: Sequence[float]) -> Tensor:
    """Return the levels, one tensor each, which most mistakes do right."""
    return torch.as_tensor(levels).to(images).view(-1, 1, 1, 1, 1)


def loop(model, images, levels, *, noisy=mix, told=lambda level: level, error=F.mse_loss, noise=fixed):
    """Run the loop, which most mistakes do right."""
    drawn, losses = noise(images), []
    for level in at_each(images, levels):
        with torch.no_grad():
            losses.append(error(model(noisy(images, drawn, level), told(level)), images))
    return torch.stack(losses)


@mistake("loss_by_noise_level", "New noise is drawn for each level, so the levels also differ by luck.")
def noise_anew_at_each_level(model: nn.Module, images: Tensor, levels: Sequence[float]) -> Tensor:
    generator = torch.Generator().manual_seed(0)
    return loop(model, images, levels, noisy=lambda c, n, t: mix(c, torch.rand(c.shape, generator=generator).to(c), t))


@mistake("loss_by_noise_level", "The noise is drawn without a seed, so each call returns different numbers.")
def noise_without_a_seed(model: nn.Module, images: Tensor, levels: Sequence[float]) -> Tensor:
    return loop(model, images, levels, noise=torch.rand_like)


@mistake(
    "loss_by_noise_level",
    "torch's global generator is reseeded, which changes all random numbers after this call.",
)
def reseeded(model: nn.Module, images: Tensor, levels: Sequence[float]) -> Tensor:
    torch.manual_seed(0)
    return loop(model, images, levels, noise=torch.rand_like)


@mistake(
    "loss_by_noise_level",
    "numpy's global generator is reseeded, which changes all of numpy's random numbers after this call.",
)
def numpy_reseeded(model: nn.Module, images: Tensor, levels: Sequence[float]) -> Tensor:
    np.random.seed(0)
    return loop(model, images, levels, noise=lambda images: torch.from_numpy(np.random.rand(*images.shape)).to(images))


@mistake(
    "loss_by_noise_level",
    "The noise is float32 whatever the images are. The grader's images are float64 (torch calls it double), "
    "and `mix` needs both in the same dtype.",
)
def noise_of_another_dtype(model: nn.Module, images: Tensor, levels: Sequence[float]) -> Tensor:
    return loop(model, images, levels, noise=lambda images: fixed(images).float())


@mistake(
    "loss_by_noise_level",
    "The levels are float32 whatever the images are. The grader's images are float64 (torch calls it double), "
    "and `mix` needs both in the same dtype.",
)
def levels_of_another_dtype(model: nn.Module, images: Tensor, levels: Sequence[float]) -> Tensor:
    return loop(model, images, levels, noisy=lambda clean, noise, level: mix(clean, noise, level.float()))


@mistake(
    "loss_by_noise_level",
    "The second argument of the model says how much of the image is left. It should say how much noise there is.",
)
def told_the_rest(model: nn.Module, images: Tensor, levels: Sequence[float]) -> Tensor:
    return loop(model, images, levels, told=lambda level: 1 - level)


@mistake("loss_by_noise_level", "The model always gets a noise level of 0, as if the images had no noise.")
def told_nothing(model: nn.Module, images: Tensor, levels: Sequence[float]) -> Tensor:
    return loop(model, images, levels, told=torch.zeros_like)


@mistake("loss_by_noise_level", "The model always gets a noise level of 1, as if the images were pure noise.")
def told_one(model: nn.Module, images: Tensor, levels: Sequence[float]) -> Tensor:
    return loop(model, images, levels, told=torch.ones_like)


@mistake("loss_by_noise_level", "Images and noise are swapped: at level 0, the model gets nothing but noise.")
def swapped(model: nn.Module, images: Tensor, levels: Sequence[float]) -> Tensor:
    return loop(model, images, levels, noisy=lambda clean, noise, level: mix(noise, clean, level))


@mistake(
    "loss_by_noise_level",
    "The noise is added on top of the whole image. In a blend, the image gets weaker as the noise gets stronger.",
)
def noise_on_top(model: nn.Module, images: Tensor, levels: Sequence[float]) -> Tensor:
    return loop(model, images, levels, noisy=lambda clean, noise, level: clean + level * noise)


@mistake(
    "loss_by_noise_level",
    "The noise is mixed into what the level before has left. Each level should start from the clean images.",
)
def mixed_again_and_again(model: nn.Module, images: Tensor, levels: Sequence[float]) -> Tensor:
    noise, losses, noisy = fixed(images), [], images
    for level in at_each(images, levels):
        noisy = mix(noisy, noise, level)
        with torch.no_grad():
            losses.append(F.mse_loss(model(noisy, level), images))
    return torch.stack(losses)


@mistake("loss_by_noise_level", "The model gets the clean images: the noise is never mixed in.")
def clean_ones_shown(model: nn.Module, images: Tensor, levels: Sequence[float]) -> Tensor:
    return loop(model, images, levels, noisy=lambda clean, noise, level: clean)


@mistake("loss_by_noise_level", "The noise is Gaussian. In this course, noise is uniform, from 0 to 1.")
def gaussian(model: nn.Module, images: Tensor, levels: Sequence[float]) -> Tensor:
    def noise(images: Tensor) -> Tensor:
        return torch.randn(images.shape, generator=torch.Generator().manual_seed(0), dtype=images.dtype)

    return loop(model, images, levels, noise=noise)


@mistake("loss_by_noise_level", "All images get the same noise. Each pixel of each image needs its own.")
def one_noise_for_all(model: nn.Module, images: Tensor, levels: Sequence[float]) -> Tensor:
    return loop(model, images, levels, noise=lambda images: fixed(images[:1]).expand_as(images))


@mistake("loss_by_noise_level", "The noise is gray: all channels of a pixel get the same number.")
def gray_noise(model: nn.Module, images: Tensor, levels: Sequence[float]) -> Tensor:
    return loop(model, images, levels, noise=lambda images: fixed(images[:, :1]).expand_as(images))


@mistake("loss_by_noise_level", "The noise levels are drawn at random, as in training. Here they are given.")
def random_levels(model: nn.Module, images: Tensor, levels: Sequence[float]) -> Tensor:
    losses = []
    for _ in levels:
        noisy, level = add_noise(images, generator=torch.Generator().manual_seed(0))
        with torch.no_grad():
            losses.append(F.mse_loss(model(noisy, level), images))
    return torch.stack(losses)


@mistake(
    "loss_by_noise_level",
    "The function returns in the first round of its loop, so the other levels are never measured.",
)
def returned_in_the_loop(model: nn.Module, images: Tensor, levels: Sequence[float]) -> Tensor:
    return loop(model, images, levels[:1])


@mistake("loss_by_noise_level", "The model is called twice at each level. One prediction is enough.")
def asked_twice(model: nn.Module, images: Tensor, levels: Sequence[float]) -> Tensor:
    def error(denoised: Tensor, clean: Tensor) -> Tensor:
        model(clean, told[-1])
        return F.mse_loss(denoised, clean)

    told: list[Tensor] = []
    return loop(model, images, levels, told=lambda level: told.append(level) or level, error=error)


@mistake("loss_by_noise_level", "The numbers measure the noisy images. They should measure the model's prediction.")
def noisy_judged(model: nn.Module, images: Tensor, levels: Sequence[float]) -> Tensor:
    noise, losses = fixed(images), []
    for level in at_each(images, levels):
        noisy = mix(images, noise, level)
        with torch.no_grad():
            model(noisy, level)
        losses.append(F.mse_loss(noisy, images))
    return torch.stack(losses)


@mistake("loss_by_noise_level", "The prediction is compared with the noisy images. The clean images are the target.")
def against_the_noisy(model: nn.Module, images: Tensor, levels: Sequence[float]) -> Tensor:
    noise, losses = fixed(images), []
    for level in at_each(images, levels):
        noisy = mix(images, noise, level)
        with torch.no_grad():
            losses.append(F.mse_loss(model(noisy, level), noisy))
    return torch.stack(losses)


@mistake("loss_by_noise_level", "The prediction is compared with the noise. This network predicts the clean image.")
def against_the_noise(model: nn.Module, images: Tensor, levels: Sequence[float]) -> Tensor:
    noise = fixed(images)
    return loop(model, images, levels, error=lambda denoised, clean: F.mse_loss(denoised, noise))


@mistake("loss_by_noise_level", "The differences aren't squared.")
def not_squared(model: nn.Module, images: Tensor, levels: Sequence[float]) -> Tensor:
    return loop(model, images, levels, error=F.l1_loss)


@mistake("loss_by_noise_level", "The result is the square root of the mean squared error.")
def rooted(model: nn.Module, images: Tensor, levels: Sequence[float]) -> Tensor:
    return loop(model, images, levels, error=F.mse_loss).sqrt()


@mistake("loss_by_noise_level", "The squares are summed, so the number grows with the number of images.")
def summed(model: nn.Module, images: Tensor, levels: Sequence[float]) -> Tensor:
    return loop(model, images, levels, error=lambda one, other: F.mse_loss(one, other, reduction="sum"))


@mistake(
    "loss_by_noise_level",
    "The prediction is clamped to [0, 1] before it is compared, which hides some of its error.",
)
def cut_off(model: nn.Module, images: Tensor, levels: Sequence[float]) -> Tensor:
    return loop(model, images, levels, error=lambda denoised, clean: F.mse_loss(denoised.clamp(0, 1), clean))


@mistake("loss_by_noise_level", "The mean is taken over the levels as well, so only one number is left.")
def mean_over_levels(model: nn.Module, images: Tensor, levels: Sequence[float]) -> Tensor:
    return loop(model, images, levels).mean()


@mistake("loss_by_noise_level", "There is one number for each image at each level. Each level should have one number.")
def one_for_each_picture(model: nn.Module, images: Tensor, levels: Sequence[float]) -> Tensor:
    return loop(model, images, levels, error=lambda one, other: (one - other).square().mean((1, 2, 3)))


@mistake("loss_by_noise_level", "The numbers are returned as a list. The code that plots them expects a tensor.")
def as_a_list(model: nn.Module, images: Tensor, levels: Sequence[float]) -> list[float]:
    return loop(model, images, levels).tolist()


@mistake(
    "loss_by_noise_level",
    "The numbers are in the order of the sorted levels. They should keep the order of `levels`.",
)
def in_another_order(model: nn.Module, images: Tensor, levels: Sequence[float]) -> Tensor:
    return loop(model, images, sorted(levels))


@mistake("loss_by_noise_level", "The caller's own list of levels is sorted.")
def callers_levels_sorted(model: nn.Module, images: Tensor, levels: list[float]) -> Tensor:
    levels.sort()
    return loop(model, images, levels)


@mistake(
    "loss_by_noise_level",
    "The numbers are float32 whatever the images are: they were converted to Python floats.",
)
def through_floats(model: nn.Module, images: Tensor, levels: Sequence[float]) -> Tensor:
    return torch.tensor(loop(model, images, levels).tolist())


@mistake("loss_by_noise_level", "Gradients stay on, so torch records every call until the memory is full.")
def gradients_kept(model: nn.Module, images: Tensor, levels: Sequence[float]) -> Tensor:
    noise = fixed(images)
    return torch.stack([F.mse_loss(model(mix(images, noise, x), x), images) for x in at_each(images, levels)])


@mistake("loss_by_noise_level", "Gradients are thrown away after the call, but they are on during the call.")
def detached_afterwards(model: nn.Module, images: Tensor, levels: Sequence[float]) -> Tensor:
    return gradients_kept(model, images, levels).detach()


@mistake(
    "loss_by_noise_level",
    "The level is passed as a plain number. A network expects a tensor with four dimensions.",
)
def told_a_float(model: nn.Module, images: Tensor, levels: Sequence[float]) -> Tensor:
    return loop(model, images, levels, told=lambda level: level.item())


@mistake("loss_by_noise_level", "The level is passed with shape (N,). A network would line it up with the columns.")
def told_in_a_row(model: nn.Module, images: Tensor, levels: Sequence[float]) -> Tensor:
    return loop(model, images, levels, told=lambda level: level.flatten().expand(len(images)))


@mistake("loss_by_noise_level", "The model is left in evaluation mode. Its mode is up to the caller.")
def left_evaluating(model: nn.Module, images: Tensor, levels: Sequence[float]) -> Tensor:
    model.eval()
    return loop(model, images, levels)


@mistake("loss_by_noise_level", "The noise is mixed into the caller's own images, more of it at each level.")
def mixed_in_place(model: nn.Module, images: Tensor, levels: Sequence[float]) -> Tensor:
    return loop(model, images, levels, noisy=lambda clean, noise, level: clean.lerp_(noise, level))


# ---- 5.2 laplacian_pyramid ------------------------------------------------------------------------------------------


def double(images: Tensor) -> Tensor:
    """Repeat each pixel 2 x 2 times."""
    return F.interpolate(images, scale_factor=2)


def pyramid(images, n_levels, halve=lambda x: F.avg_pool2d(x, 2), double=double, lost=torch.sub):
    """Run the loop, which most mistakes do right."""
    levels = []
    for _ in range(n_levels - 1):
        smaller = halve(images)
        levels.append(lost(images, double(smaller)))
        images = smaller
    return [*levels, images]


@mistake("laplacian_pyramid", "Of each 2 x 2 pixels, the largest is kept. It should be their mean.")
def largest_kept(images: Tensor, n_levels: int) -> list[Tensor]:
    return pyramid(images, n_levels, halve=lambda x: F.max_pool2d(x, 2))


@mistake("laplacian_pyramid", "Of each 2 x 2 pixels, one is kept and three are thrown away. It should be their mean.")
def one_of_four_kept(images: Tensor, n_levels: int) -> list[Tensor]:
    return pyramid(images, n_levels, halve=lambda x: x[:, :, ::2, ::2])


@mistake("laplacian_pyramid", "2 x 2 pixels are summed, so the halved image is four times as bright.")
def added_up(images: Tensor, n_levels: int) -> list[Tensor]:
    return pyramid(images, n_levels, halve=lambda x: 4 * F.avg_pool2d(x, 2))


@mistake(
    "laplacian_pyramid",
    "The doubled image is smoothed between the pixels. Each pixel should be repeated as it is.",
)
def smoothed(images: Tensor, n_levels: int) -> list[Tensor]:
    return pyramid(images, n_levels, double=lambda x: F.interpolate(x, scale_factor=2, mode="bilinear"))


@mistake(
    "laplacian_pyramid",
    "`repeat` puts four copies of the small image side by side. Each pixel should be repeated.",
)
def tiled(images: Tensor, n_levels: int) -> list[Tensor]:
    return pyramid(images, n_levels, double=lambda x: x.repeat(1, 1, 2, 2))


@mistake(
    "laplacian_pyramid",
    "In the doubled image, three of every four pixels are black. Each pixel should be repeated.",
)
def gaps_left_black(images: Tensor, n_levels: int) -> list[Tensor]:
    def with_gaps(x: Tensor) -> Tensor:
        wide = x.new_zeros(*x.shape[:2], 2 * x.shape[2], 2 * x.shape[3])
        wide[:, :, ::2, ::2] = x
        return wide

    return pyramid(images, n_levels, double=with_gaps)


@mistake("laplacian_pyramid", "The image is subtracted from its coarse copy. It should be the other way around.")
def signs_swapped(images: Tensor, n_levels: int) -> list[Tensor]:
    return pyramid(images, n_levels, lost=lambda fine, coarse: coarse - fine)


@mistake("laplacian_pyramid", "The details have lost their sign, so darker and brighter details look the same.")
def without_signs(images: Tensor, n_levels: int) -> list[Tensor]:
    return pyramid(images, n_levels, lost=lambda fine, coarse: (fine - coarse).abs())


@mistake("laplacian_pyramid", "The details are clamped to [0, 1]. They lie around 0, and half of them are negative.")
def levels_cut_off(images: Tensor, n_levels: int) -> list[Tensor]:
    return pyramid(images, n_levels, lost=lambda fine, coarse: (fine - coarse).clamp(0, 1))


@mistake("laplacian_pyramid", "The details are shifted to lie around 0.5. They should lie around 0.")
def levels_shifted(images: Tensor, n_levels: int) -> list[Tensor]:
    return pyramid(images, n_levels, lost=lambda fine, coarse: fine - coarse + 0.5)


@mistake(
    "laplacian_pyramid",
    "The levels are smaller and smaller images. Each level but the last should hold what its halving loses.",
)
def nothing_subtracted(images: Tensor, n_levels: int) -> list[Tensor]:
    return pyramid(images, n_levels, lost=lambda fine, coarse: fine)


@mistake(
    "laplacian_pyramid",
    "The levels are the coarse copies. They should hold what the coarse copies lack of the image.",
)
def coarse_copies(images: Tensor, n_levels: int) -> list[Tensor]:
    return pyramid(images, n_levels, lost=lambda fine, coarse: coarse)


@mistake("laplacian_pyramid", "The last level is missing: the small image that is left at the end.")
def last_level_dropped(images: Tensor, n_levels: int) -> list[Tensor]:
    return pyramid(images, n_levels)[:-1]


@mistake("laplacian_pyramid", "There is one level too many. The last level counts as a level as well.")
def one_level_too_many(images: Tensor, n_levels: int) -> list[Tensor]:
    return pyramid(images, n_levels + 1)


@mistake(
    "laplacian_pyramid",
    "There is one halving too many, so the last level is what this halving loses. It should be the image that is left.",
)
def one_halving_too_many(images: Tensor, n_levels: int) -> list[Tensor]:
    return pyramid(images, n_levels + 1)[:-1]


@mistake(
    "laplacian_pyramid",
    "With one level, the loop never runs, so a name that is set only inside the loop doesn't exist.",
)
def name_of_the_loop(images: Tensor, n_levels: int) -> list[Tensor]:
    levels = []
    for _ in range(n_levels - 1):
        smaller = F.avg_pool2d(images, 2)
        levels.append(images - double(smaller))
        images = smaller
    return [*levels, smaller]


@mistake("laplacian_pyramid", "The levels go from coarse to fine. The finest level should come first.")
def coarsest_first(images: Tensor, n_levels: int) -> list[Tensor]:
    return pyramid(images, n_levels)[::-1]


@mistake("laplacian_pyramid", "Each level starts from the full image again. It should continue from the halved image.")
def never_going_on(images: Tensor, n_levels: int) -> list[Tensor]:
    levels = [images - double(F.avg_pool2d(images, 2)) for _ in range(n_levels - 1)]
    return [*levels, images]


@mistake("laplacian_pyramid", "The next round halves what was lost. It should continue from the halved image.")
def going_on_with_the_lost(images: Tensor, n_levels: int) -> list[Tensor]:
    levels, smaller = [], images
    for _ in range(n_levels - 1):
        smaller = F.avg_pool2d(images, 2)
        images = images - double(smaller)
        levels.append(images)
    return [*levels, smaller]


@mistake("laplacian_pyramid", "The next round continues from the doubled copy, so nothing gets smaller.")
def going_on_with_the_doubled(images: Tensor, n_levels: int) -> list[Tensor]:
    levels = []
    for _ in range(n_levels - 1):
        coarse = double(F.avg_pool2d(images, 2))
        levels.append(images - coarse)
        images = coarse
    return [*levels, images]


@mistake(
    "laplacian_pyramid",
    "Each level is as large as the first image, and holds everything that is lost since then.",
)
def each_from_the_first(images: Tensor, n_levels: int) -> list[Tensor]:
    sizes = [2**i for i in range(n_levels)]
    lost = [images - F.interpolate(F.avg_pool2d(images, size), scale_factor=size) for size in sizes[1:]]
    return [*lost, F.avg_pool2d(images, sizes[-1])]


@mistake(
    "laplacian_pyramid",
    "The two images that are subtracted differ in size. Is the small one doubled by then?",
)
def never_doubled(images: Tensor, n_levels: int) -> list[Tensor]:
    return pyramid(images, n_levels, double=lambda x: x)


@mistake("laplacian_pyramid", "The doubled copy is made as high as it is wide. Height and width may differ.")
def doubled_to_a_square(images: Tensor, n_levels: int) -> list[Tensor]:
    return pyramid(images, n_levels, double=lambda x: F.interpolate(x, size=2 * x.shape[3]))


@mistake(
    "laplacian_pyramid",
    "Each level holds everything that is lost since the first image, not what this halving loses.",
)
def lost_since_the_first(images: Tensor, n_levels: int) -> list[Tensor]:
    levels, smaller = [], images
    for i in range(n_levels - 1):
        smaller = F.avg_pool2d(smaller, 2)
        lost = images - F.interpolate(smaller, size=images.shape[2:])
        levels.append(lost[:, :, :: 2**i, :: 2**i])
    return [*levels, smaller]


@mistake("laplacian_pyramid", "All levels are enlarged to the size of the images. Each level should have its own size.")
def all_enlarged(images: Tensor, n_levels: int) -> list[Tensor]:
    return [F.interpolate(level, size=images.shape[2:]) for level in pyramid(images, n_levels)]


@mistake(
    "laplacian_pyramid",
    "The last level is the full image again. It should be the image left after the last halving.",
)
def ends_with_the_whole(images: Tensor, n_levels: int) -> list[Tensor]:
    return [*pyramid(images, n_levels)[:-1], images]


@mistake(
    "laplacian_pyramid",
    "The last level is the doubled copy. It should be the small image that the copy is made from.",
)
def ends_with_the_doubled(images: Tensor, n_levels: int) -> list[Tensor]:
    *levels, last = pyramid(images, n_levels)
    return [*levels, last if n_levels == 1 else double(last)]


@mistake(
    "laplacian_pyramid",
    "The mean of the last level is subtracted, so the colors are gone. Keep the last level as it is.",
)
def mean_of_the_last_gone(images: Tensor, n_levels: int) -> list[Tensor]:
    *levels, last = pyramid(images, n_levels)
    return [*levels, last - last.mean((2, 3), keepdim=True)]


@mistake("laplacian_pyramid", "The images are turned gray: the channels are averaged as well.")
def channels_averaged(images: Tensor, n_levels: int) -> list[Tensor]:
    return pyramid(images.mean(1, keepdim=True), n_levels)


@mistake("laplacian_pyramid", "The levels are joined into one tensor. They differ in size, so they should stay a list.")
def joined(images: Tensor, n_levels: int) -> Tensor:
    return torch.cat([level.flatten(2) for level in pyramid(images, n_levels)], dim=2)


@mistake("laplacian_pyramid", "The levels are stacked, which needs equal sizes. A list can hold tensors of any size.")
def stacked(images: Tensor, n_levels: int) -> Tensor:
    return torch.stack(pyramid(images, n_levels))


@mistake("laplacian_pyramid", "The coarse copy is subtracted from the caller's own images, in place.")
def subtracted_in_place(images: Tensor, n_levels: int) -> list[Tensor]:
    return pyramid(images, n_levels, lost=lambda fine, coarse: fine.sub_(coarse))


# ---- 5.3 patches ----------------------------------------------------------------------------------------------------


def cut(images: Tensor, places: Tensor, size: int = PATCH) -> Tensor:
    """Cut out all patches, (N, M, C, size, size), which most mistakes do right."""
    squares = [images[:, :, y : y + size, x : x + size] for y, x in places.tolist()]
    return torch.stack(squares, dim=1)


def rows(squares: Tensor) -> Tensor:
    """Put each patch in a row."""
    return squares.flatten(0, 1).flatten(1)


@mistake("patches", "Row and column are swapped: the first number of a place is its row, the second its column.")
def row_and_column_swapped(images: Tensor, places: Tensor) -> Tensor:
    windows = images.unfold(2, PATCH, 1).unfold(3, PATCH, 1)
    rows, columns = places[:, 1] % windows.shape[2], places[:, 0] % windows.shape[3]
    return windows[:, :, rows, columns].transpose(1, 2).flatten(0, 1).flatten(1)


@mistake("patches", "`places[0]` is one place, with its row and its column. Here it is used as the rows of all places.")
def places_taken_for_columns(images: Tensor, places: Tensor) -> Tensor:
    windows = images.unfold(2, PATCH, 1).unfold(3, PATCH, 1)
    return rows(windows[:, :, places[0], places[1]].transpose(1, 2))


@mistake("patches", "Channels and places aren't swapped before the dimensions are merged, so rows mix several places.")
def channels_and_places_mixed(images: Tensor, places: Tensor) -> Tensor:
    chosen = cut(images, places).transpose(1, 2)
    return chosen.reshape(len(images) * len(places), -1)


@mistake("patches", "Images and channels are merged into the rows. It should be images and places.")
def pictures_and_channels_joined(images: Tensor, places: Tensor) -> Tensor:
    return rows(cut(images, places).transpose(1, 2))


@mistake("patches", "Places and channels are merged into the rows. It should be images and places.")
def places_and_channels_joined(images: Tensor, places: Tensor) -> Tensor:
    return rows(cut(images, places).transpose(1, 2).transpose(0, 2))


@mistake("patches", "The patches of all images at the first place come first. All patches of the first image should.")
def place_after_place(images: Tensor, places: Tensor) -> Tensor:
    return rows(cut(images, places).transpose(0, 1))


@mistake(
    "patches",
    "Images and places are mixed up when the dimensions are merged: rows hold parts of several patches.",
)
def pictures_and_places_mixed(images: Tensor, places: Tensor) -> Tensor:
    return cut(images, places).permute(2, 0, 1, 3, 4).reshape(len(images) * len(places), -1)


@mistake("patches", "A place is used as the center of its patch. It is the upper left pixel.")
def around_the_place(images: Tensor, places: Tensor) -> Tensor:
    return rows(cut(F.pad(images, (3, 3, 3, 3)), places))


@mistake("patches", "A place is used as the lower right pixel of its patch. It is the upper left pixel.")
def up_to_the_place(images: Tensor, places: Tensor) -> Tensor:
    return rows(cut(F.pad(images, (6, 0, 6, 0)), places))


@mistake("patches", "Each patch lies one row and one column too far: counting starts at 0.")
def one_too_far(images: Tensor, places: Tensor) -> Tensor:
    return rows(cut(F.pad(images, (0, 1, 0, 1)), places + 1))


@mistake("patches", "The patches lie on their side: rows and columns within each patch are swapped.")
def turned(images: Tensor, places: Tensor) -> Tensor:
    return rows(cut(images, places).transpose(3, 4))


@mistake(
    "patches",
    "Within a row, the colors of each pixel are side by side. All of the first channel should come first.",
)
def channels_last(images: Tensor, places: Tensor) -> Tensor:
    return rows(cut(images, places).movedim(2, 4))


@mistake("patches", "The patches are upside down.")
def upside_down(images: Tensor, places: Tensor) -> Tensor:
    return rows(cut(images, places).flip(3))


@mistake("patches", "The windows move by 7 pixels, so most places point somewhere else. They should move by 1.")
def windows_side_by_side(images: Tensor, places: Tensor) -> Tensor:
    windows = images.unfold(2, PATCH, PATCH).unfold(3, PATCH, PATCH)
    chosen = windows[:, :, places[:, 0] // PATCH, places[:, 1] // PATCH]
    return chosen.transpose(1, 2).flatten(0, 1).flatten(1)


@mistake("patches", "The windows move by 7 pixels, so a place counts windows. It should count pixels.")
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
    "patches",
    "The slices end at `PATCH`, which is counted from the image's edge and not from where the slices start.",
)
def slices_end_at_seven(images: Tensor, places: Tensor) -> Tensor:
    return torch.stack([image[:, y:PATCH, x:PATCH].flatten() for image in images for y, x in places.tolist()])


@mistake("patches", "The slices cut channels and rows. The first dimension of an image is its channels.")
def channels_sliced(images: Tensor, places: Tensor) -> Tensor:
    squares = [image[y : y + PATCH, x : x + PATCH] for image in images for y, x in places.tolist()]
    return torch.stack([square.flatten() for square in squares])


@mistake("patches", "Only the first image is cut. Each image has a patch at each place.")
def first_picture_only(images: Tensor, places: Tensor) -> Tensor:
    return rows(cut(images[:1], places))


@mistake("patches", "The patches are cut at the first place only.")
def first_place_only(images: Tensor, places: Tensor) -> Tensor:
    return rows(cut(images, places[:1]))


@mistake("patches", "Only one image is cut at each place. Each image has a patch at each place.")
def one_picture_for_each_place(images: Tensor, places: Tensor) -> Tensor:
    return rows(torch.stack([cut(images, places)[i % len(images), i] for i in range(len(places))])[None])


@mistake("patches", "The channels are cut apart. A patch should have all channels of its pixels.")
def a_row_for_each_channel(images: Tensor, places: Tensor) -> Tensor:
    return cut(images, places).flatten(0, 2).flatten(1)


@mistake("patches", "Only the first channel is cut out.")
def first_channel_only(images: Tensor, places: Tensor) -> Tensor:
    return rows(cut(images[:, :1], places))


@mistake("patches", "The patches are still squares. Each patch should be one row of numbers.")
def still_squares(images: Tensor, places: Tensor) -> Tensor:
    return cut(images, places).flatten(0, 1)


@mistake("patches", "Images and places are still two dimensions. All the rows should be below each other.")
def three_dimensions(images: Tensor, places: Tensor) -> Tensor:
    return cut(images, places).flatten(2)


@mistake("patches", "Each row holds all patches of an image. Each patch should have its own row.")
def a_row_for_each_picture(images: Tensor, places: Tensor) -> Tensor:
    return cut(images, places).flatten(1)


@mistake("patches", "All patches are in one long row. Each patch should have its own row.")
def one_long_row(images: Tensor, places: Tensor) -> Tensor:
    return cut(images, places).flatten()


@mistake(
    "patches",
    "Each row holds the patches of all images at a place: `images` is cut where a single image should be.",
)
def all_pictures_in_each_row(images: Tensor, places: Tensor) -> Tensor:
    return cut(images, places).transpose(0, 1).flatten(1).repeat(len(images), 1)


@mistake("patches", "There is one column per patch. There should be one row per patch.")
def columns_for_rows(images: Tensor, places: Tensor) -> Tensor:
    return rows(cut(images, places)).T


@mistake("patches", "The patches are returned as a list. The next exercise multiplies them as one tensor.")
def a_list_of_patches(images: Tensor, places: Tensor) -> list[Tensor]:
    return list(rows(cut(images, places)))


# ---- 5.4 sliced_distance --------------------------------------------------------------------------------------------


def ordered(points: Tensor, directions: Tensor) -> Tensor:
    """Sort the points along each direction, which most mistakes do right."""
    return torch.sort(points @ directions, dim=0).values


@mistake("sliced_distance", "Nothing is sorted: each point is compared with the point in the same row.")
def nothing_sorted(points_a: Tensor, points_b: Tensor, directions: Tensor) -> Tensor:
    return (points_a @ directions - points_b @ directions).abs().mean()


@mistake("sliced_distance", "The numbers of each point are sorted. The points should be sorted along each direction.")
def sorted_across(points_a: Tensor, points_b: Tensor, directions: Tensor) -> Tensor:
    along_a, along_b = (torch.sort(points @ directions, dim=1).values for points in (points_a, points_b))
    return (along_a - along_b).abs().mean()


@mistake(
    "sliced_distance",
    "The points are sorted before they are multiplied by the directions, and each coordinate by itself.",
)
def sorted_too_soon(points_a: Tensor, points_b: Tensor, directions: Tensor) -> Tensor:
    a, b = (torch.sort(points, dim=0).values for points in (points_a, points_b))
    return ((a - b) @ directions).abs().mean()


@mistake(
    "sliced_distance",
    "All numbers are sorted as one list. The numbers along each direction should be sorted by themselves.",
)
def sorted_together(points_a: Tensor, points_b: Tensor, directions: Tensor) -> Tensor:
    along_a, along_b = ((points @ directions).flatten().sort().values for points in (points_a, points_b))
    return (along_a - along_b).abs().mean()


@mistake(
    "sliced_distance",
    "A table of indices in square brackets picks a whole row for each index. Each column has its own order.",
)
def whole_rows_picked(points_a: Tensor, points_b: Tensor, directions: Tensor) -> Tensor:
    a, b = points_a @ directions, points_b @ directions
    return (a[a.argsort(0)] - b[b.argsort(0)]).abs().mean()


@mistake(
    "sliced_distance",
    "The results of `sort` are subtracted, but each result is two things: the sorted values and their indices.",
)
def both_things_subtracted(points_a: Tensor, points_b: Tensor, directions: Tensor) -> Tensor:
    return (torch.sort(points_a @ directions, dim=0) - torch.sort(points_b @ directions, dim=0)).abs().mean()


@mistake("sliced_distance", "Only one of the two distributions is sorted.")
def one_sorted(points_a: Tensor, points_b: Tensor, directions: Tensor) -> Tensor:
    return (ordered(points_a, directions) - points_b @ directions).abs().mean()


@mistake(
    "sliced_distance",
    "One distribution is sorted up and the other down. The smallest should go with the smallest.",
)
def opposite_orders(points_a: Tensor, points_b: Tensor, directions: Tensor) -> Tensor:
    return (ordered(points_a, directions) - ordered(points_b, directions).flip(0)).abs().mean()


@mistake("sliced_distance", "The indices that `sort` returns are compared. Compare its values.")
def indices_compared(points_a: Tensor, points_b: Tensor, directions: Tensor) -> Tensor:
    a, b = (torch.sort(points @ directions, dim=0).indices for points in (points_a, points_b))
    return (a - b).abs().to(points_a).mean()


@mistake("sliced_distance", "The differences keep their signs, so moves to the left and to the right cancel out.")
def signs_kept(points_a: Tensor, points_b: Tensor, directions: Tensor) -> Tensor:
    return (ordered(points_a, directions) - ordered(points_b, directions)).mean()


@mistake(
    "sliced_distance",
    "The mean is taken before the signs are dropped, so moves to the left and to the right cancel out.",
)
def signs_dropped_at_last(points_a: Tensor, points_b: Tensor, directions: Tensor) -> Tensor:
    return (ordered(points_a, directions) - ordered(points_b, directions)).mean().abs()


@mistake("sliced_distance", "The differences are squared. How far a point is carried is the difference itself.")
def squared(points_a: Tensor, points_b: Tensor, directions: Tensor) -> Tensor:
    return F.mse_loss(ordered(points_a, directions), ordered(points_b, directions))


@mistake(
    "sliced_distance",
    "The result is the root of a mean of squares, which weights long moves more than short ones.",
)
def root_of_squares(points_a: Tensor, points_b: Tensor, directions: Tensor) -> Tensor:
    return squared(points_a, points_b, directions).sqrt()


@mistake(
    "sliced_distance",
    "Along each direction, the root of a mean of squares is taken. It should be the mean of the moves.",
)
def root_of_squares_along_each(points_a: Tensor, points_b: Tensor, directions: Tensor) -> Tensor:
    return (ordered(points_a, directions) - ordered(points_b, directions)).square().mean(0).sqrt().mean()


@mistake(
    "sliced_distance",
    "The result is the length of all differences as one vector. It should be the mean of their sizes.",
)
def length_of_the_differences(points_a: Tensor, points_b: Tensor, directions: Tensor) -> Tensor:
    return (ordered(points_a, directions) - ordered(points_b, directions)).norm()


@mistake("sliced_distance", "The moves are summed. Take their mean over points and directions.")
def ways_added_up(points_a: Tensor, points_b: Tensor, directions: Tensor) -> Tensor:
    return (ordered(points_a, directions) - ordered(points_b, directions)).abs().sum()


@mistake("sliced_distance", "The moves are summed over the points, and averaged only over the directions.")
def points_added_up(points_a: Tensor, points_b: Tensor, directions: Tensor) -> Tensor:
    return (ordered(points_a, directions) - ordered(points_b, directions)).abs().sum(0).mean()


@mistake("sliced_distance", "The moves are summed over the directions, and averaged only over the points.")
def directions_added_up(points_a: Tensor, points_b: Tensor, directions: Tensor) -> Tensor:
    return (ordered(points_a, directions) - ordered(points_b, directions)).abs().mean(0).sum()


@mistake("sliced_distance", "Only the longest move counts. It should be the mean.")
def longest_way(points_a: Tensor, points_b: Tensor, directions: Tensor) -> Tensor:
    return (ordered(points_a, directions) - ordered(points_b, directions)).abs().max()


@mistake(
    "sliced_distance",
    "Only the direction along which the distributions differ most counts. It should be the mean.",
)
def worst_direction(points_a: Tensor, points_b: Tensor, directions: Tensor) -> Tensor:
    return (ordered(points_a, directions) - ordered(points_b, directions)).abs().mean(0).max()


@mistake("sliced_distance", "Only the first direction is used.")
def first_direction(points_a: Tensor, points_b: Tensor, directions: Tensor) -> Tensor:
    return (ordered(points_a, directions) - ordered(points_b, directions)).abs()[:, 0].mean()


@mistake("sliced_distance", "The distributions are centered first, so a shift of one distribution goes unnoticed.")
def means_taken_out(points_a: Tensor, points_b: Tensor, directions: Tensor) -> Tensor:
    a, b = (ordered(points - points.mean(0), directions) for points in (points_a, points_b))
    return (a - b).abs().mean()


@mistake(
    "sliced_distance",
    "A mean is taken too early, so only the centers of the distributions are compared. "
    "Different distributions may have the same center.",
)
def means_compared(points_a: Tensor, points_b: Tensor, directions: Tensor) -> Tensor:
    return ((points_a.mean(0) - points_b.mean(0)) @ directions).abs().mean()


@mistake("sliced_distance", "The centers of the distributions are subtracted as points, without the directions.")
def middles_apart(points_a: Tensor, points_b: Tensor, directions: Tensor) -> Tensor:
    return (points_a.mean(0) - points_b.mean(0)).norm()


@mistake("sliced_distance", "The directions aren't used: the coordinates are sorted and compared as they are.")
def directions_not_used(points_a: Tensor, points_b: Tensor, directions: Tensor) -> Tensor:
    return (points_a.sort(0).values - points_b.sort(0).values).abs().mean()


@mistake(
    "sliced_distance",
    "The directions are transposed. They are columns already, with one number for each coordinate.",
)
def directions_transposed(points_a: Tensor, points_b: Tensor, directions: Tensor) -> Tensor:
    along_a, along_b = (torch.sort(points @ directions.T, dim=0).values for points in (points_a, points_b))
    return (along_a - along_b).abs().mean()


@mistake("sliced_distance", "A `for` loop goes through the rows of `directions`. Each direction is a column.")
def rows_taken_for_directions(points_a: Tensor, points_b: Tensor, directions: Tensor) -> Tensor:
    ways = [(points_a @ way).sort().values - (points_b @ way).sort().values for way in directions]
    return torch.stack(ways).abs().mean()


@mistake(
    "sliced_distance",
    "Directions and points are multiplied in the wrong order: the matrix on the left gives the rows.",
)
def multiplied_the_wrong_way_round(points_a: Tensor, points_b: Tensor, directions: Tensor) -> Tensor:
    a, b = directions @ points_a, directions @ points_b
    return (a.sort(0).values - b.sort(0).values).abs().mean()


@mistake(
    "sliced_distance",
    "Two tensors of different shapes are combined number by number. (`@` multiplies matrices, `*` doesn't.)",
)
def multiplied_one_by_one(points_a: Tensor, points_b: Tensor, directions: Tensor) -> Tensor:
    along_a, along_b = (torch.sort(points * directions, dim=0).values for points in (points_a, points_b))
    return (along_a - along_b).abs().mean()


@mistake(
    "sliced_distance",
    "Each point goes to its nearest point in the other distribution, so many may go to the same point.",
)
def nearest_taken(points_a: Tensor, points_b: Tensor, directions: Tensor) -> Tensor:
    a, b = points_a @ directions, points_b @ directions
    return (a[:, None] - b).abs().min(1).values.mean()


@mistake("sliced_distance", "All pairs of points are compared. Each point should be carried to one place.")
def all_pairs(points_a: Tensor, points_b: Tensor, directions: Tensor) -> Tensor:
    a, b = points_a @ directions, points_b @ directions
    return (a[:, None] - b).abs().mean()


@mistake("sliced_distance", "There is one number per direction. Take the mean over the directions as well.")
def one_for_each_direction(points_a: Tensor, points_b: Tensor, directions: Tensor) -> Tensor:
    return (ordered(points_a, directions) - ordered(points_b, directions)).abs().mean(0)


@mistake("sliced_distance", "The result is a plain float. The next exercise stacks tensors.")
def plain_float(points_a: Tensor, points_b: Tensor, directions: Tensor) -> float:
    return (ordered(points_a, directions) - ordered(points_b, directions)).abs().mean().item()


@mistake("sliced_distance", "The caller's points are sorted in place.")
def sorted_in_place(points_a: Tensor, points_b: Tensor, directions: Tensor) -> Tensor:
    points_a[:] = points_a.sort(0).values
    return (ordered(points_a, directions) - ordered(points_b, directions)).abs().mean()


# ---- 5.5 sliced_wasserstein -----------------------------------------------------------------------------------------


def refuse(images_a: Tensor, images_b: Tensor) -> None:
    """Refuse unequal shapes, which most mistakes do right."""
    if images_a.shape != images_b.shape:
        raise ValueError("the sets must be equal in shape")


def some_places(level: Tensor, generator: Generator, n: int = N_PATCHES) -> Tensor:
    """Draw places, which most mistakes do right."""
    tops = [torch.randint(side - PATCH + 1, (n,), generator=generator, device="cpu") for side in level.shape[2:]]
    return torch.stack(tops, dim=1)


def some_directions(points: Tensor, generator: Generator) -> Tensor:
    """Draw directions, which most mistakes do right."""
    directions = torch.randn(points.shape[1], N_DIRECTIONS, generator=generator, device="cpu").to(points)
    return directions / directions.norm(dim=0)


def by_both(points_a: Tensor, points_b: Tensor) -> tuple[Tensor, Tensor]:
    """Scale both sets by one number, which most mistakes do right."""
    scale = torch.cat([points_a, points_b]).std().clamp(min=1e-6)
    return points_a / scale, points_b / scale


def usual_pyramid(images: Tensor) -> list[Tensor]:
    """Make the pyramid, which most mistakes do right."""
    return evaluation.laplacian_pyramid(images, n_levels_for(images))


def at_the_level(
    a: Tensor, b: Tensor, generator: Generator, places=some_places, directions=some_directions, scaled=by_both
):
    """Measure the distance at one level, which most mistakes do right."""
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
    """Measure the distance over all levels, which most mistakes do right."""
    refuse(images_a, images_b)
    pairs = zip(levels(images_a), levels(images_b), strict=True)
    return join(torch.stack([at_the_level(a, b, generator, **parts) for a, b in pairs])).item()


@mistake("sliced_wasserstein", "Sets of different shapes aren't refused. The result, if there is one, means nothing.")
def nothing_refused(images_a: Tensor, images_b: Tensor, *, generator: Generator = None) -> float:
    n = min(len(images_a), len(images_b))
    channels, height, width = map(min, images_a.shape[1:], images_b.shape[1:])
    a, b = (x[:n, :channels, :height, :width] for x in (images_a, images_b))
    return measure(a, b, generator)


@mistake("sliced_wasserstein", "Only the number of images is compared. Channels, height and width count as well.")
def number_compared(images_a: Tensor, images_b: Tensor, *, generator: Generator = None) -> float:
    if len(images_a) != len(images_b):
        raise ValueError("not equally many")
    return nothing_refused(images_a, images_b, generator=generator)


@mistake("sliced_wasserstein", "Sets of different shapes go unnoticed until torch raises an error of its own.")
def torch_stumbles(images_a: Tensor, images_b: Tensor, *, generator: Generator = None) -> float:
    pairs = zip(usual_pyramid(images_a), usual_pyramid(images_b), strict=False)
    return torch.stack([at_the_level(a, b, generator) for a, b in pairs]).mean().item()


@mistake(
    "sliced_wasserstein",
    "The number of images is compared, but other differences in shape make torch raise an error of its own.",
)
def torch_stumbles_later(images_a: Tensor, images_b: Tensor, *, generator: Generator = None) -> float:
    if len(images_a) != len(images_b):
        raise ValueError("not equally many")
    return torch_stumbles(images_a, images_b, generator=generator)


@mistake(
    "sliced_wasserstein",
    "Sets of different shapes are refused with an assert. The docstring promises a ValueError.",
)
def asserted(images_a: Tensor, images_b: Tensor, *, generator: Generator = None) -> float:
    assert images_a.shape == images_b.shape
    return measure(images_a, images_b, generator)


@mistake("sliced_wasserstein", "The distance is a tensor. It should be a float.")
def a_tensor(images_a: Tensor, images_b: Tensor, *, generator: Generator = None) -> Tensor:
    return torch.tensor(measure(images_a, images_b, generator))


@mistake("sliced_wasserstein", "Random numbers are drawn without a device, so the function wouldn't work on a GPU.")
def device_not_told(images_a: Tensor, images_b: Tensor, *, generator: Generator = None) -> float:
    def directions(points: Tensor, generator: Generator) -> Tensor:
        drawn = torch.randn(points.shape[1], N_DIRECTIONS, generator=generator).to(points)
        return drawn / drawn.norm(dim=0)

    return measure(images_a, images_b, generator, directions=directions)


@mistake("sliced_wasserstein", "The directions are always float32. The points may have another dtype.")
def dtype_not_told(images_a: Tensor, images_b: Tensor, *, generator: Generator = None) -> float:
    def directions(points: Tensor, generator: Generator) -> Tensor:
        drawn = torch.randn(points.shape[1], N_DIRECTIONS, generator=generator, device="cpu")
        return points[:0] @ drawn if points.dtype != drawn.dtype else drawn / drawn.norm(dim=0)

    return measure(images_a, images_b, generator, directions=directions)


@mistake(
    "sliced_wasserstein",
    "The last row and the last column are never used: one more row and one more column are possible.",
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
    "Some places are too far down or too far right: a patch that starts there sticks out of its level.",
)
def places_anywhere(images_a: Tensor, images_b: Tensor, *, generator: Generator = None) -> float:
    def places(level: Tensor, generator: Generator) -> Tensor:
        sides = level.shape[2:]
        return torch.stack([torch.randint(side, (N_PATCHES,), generator=generator, device="cpu") for side in sides], 1)

    return measure(images_a, images_b, generator, places=places)


@mistake(
    "sliced_wasserstein",
    "Rows and columns of the places are mixed up: rows depend on the height, columns on the width.",
)
def places_turned(images_a: Tensor, images_b: Tensor, *, generator: Generator = None) -> float:
    return measure(images_a, images_b, generator, places=lambda level, draws: some_places(level, draws, 128).flip(1))


@mistake(
    "sliced_wasserstein",
    "The places are those of the first level. The next level is smaller, so some places lie outside.",
)
def places_of_the_first_level(images_a: Tensor, images_b: Tensor, *, generator: Generator = None) -> float:
    return measure(images_a, images_b, generator, places=lambda _, draws: some_places(images_a, draws))


@mistake("sliced_wasserstein", "The places are those of the last level, so only a corner of each larger level is used.")
def places_of_the_last_level(images_a: Tensor, images_b: Tensor, *, generator: Generator = None) -> float:
    last = usual_pyramid(images_a)[-1]
    return measure(images_a, images_b, generator, places=lambda _, draws: some_places(last, draws))


@mistake("sliced_wasserstein", "Some random numbers don't come from the generator. Pass it to every draw.")
def generator_forgotten(images_a: Tensor, images_b: Tensor, *, generator: Generator = None) -> float:
    return measure(images_a, images_b, generator, directions=lambda points, _: some_directions(points, None))


@mistake(
    "sliced_wasserstein",
    "The random numbers start from the same seed in each call, whatever generator is passed in.",
)
def a_seed_of_its_own(images_a: Tensor, images_b: Tensor, *, generator: Generator = None) -> float:
    return measure(images_a, images_b, torch.Generator().manual_seed(0))


@mistake(
    "sliced_wasserstein",
    "Without a generator, the numbers start from the same seed in each call. "
    "None means torch's global generator, as it is.",
)
def a_seed_for_none(images_a: Tensor, images_b: Tensor, *, generator: Generator = None) -> float:
    return measure(images_a, images_b, generator or torch.Generator().manual_seed(0))


@mistake(
    "sliced_wasserstein",
    "The patches of the two sets are cut at different places, and this alone makes the sets differ.",
)
def other_places(images_a: Tensor, images_b: Tensor, *, generator: Generator = None) -> float:
    refuse(images_a, images_b)
    distances = []
    for a, b in zip(usual_pyramid(images_a), usual_pyramid(images_b), strict=True):
        points = by_both(*(evaluation.patches(x, some_places(x, generator, 128)) for x in (a, b)))
        distances.append(evaluation.sliced_distance(*points, some_directions(points[0], generator)))
    return torch.stack(distances).mean().item()


@mistake(
    "sliced_wasserstein",
    "The two sets are compared along different directions, and this alone makes them differ.",
)
def other_directions(images_a: Tensor, images_b: Tensor, *, generator: Generator = None) -> float:
    refuse(images_a, images_b)
    distances = []
    for a, b in zip(usual_pyramid(images_a), usual_pyramid(images_b), strict=True):
        places = some_places(a, generator)
        points = by_both(*(evaluation.patches(x, places) for x in (a, b)))
        along_a, along_b = ((x @ some_directions(x, generator)).sort(0).values for x in points)
        distances.append((along_a - along_b).abs().mean())
    return torch.stack(distances).mean().item()


@mistake("sliced_wasserstein", "Each image has its own places, so the order of the images matters.")
def places_for_each_picture(images_a: Tensor, images_b: Tensor, *, generator: Generator = None) -> float:
    refuse(images_a, images_b)
    distances = []
    for a, b in zip(usual_pyramid(images_a), usual_pyramid(images_b), strict=True):
        places = [
            some_places(a, generator, 128) for _ in a
        ]  # how much the order matters depends on the number of places
        points = (torch.cat([evaluation.patches(y[None], x) for y, x in zip(z, places, strict=True)]) for z in (a, b))
        points_a, points_b = by_both(*points)
        distances.append(evaluation.sliced_distance(points_a, points_b, some_directions(points_a, generator)))
    return torch.stack(distances).mean().item()


@mistake(
    "sliced_wasserstein",
    "Each image is compared with the one at the same index. The sets should be compared as distributions.",
)
def pair_by_pair(images_a: Tensor, images_b: Tensor, *, generator: Generator = None) -> float:
    refuse(images_a, images_b)
    return sum(measure(a[None], b[None], generator) for a, b in zip(images_a, images_b, strict=True)) / len(images_a)


@mistake(
    "sliced_wasserstein",
    "If all images are equal, the code divides by a standard deviation of 0, and the result is nan.",
)
def divided_by_zero(images_a: Tensor, images_b: Tensor, *, generator: Generator = None) -> float:
    def scaled(a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
        scale = torch.cat([a, b]).std()
        return a / scale, b / scale

    return measure(images_a, images_b, generator, scaled=scaled)


@mistake("sliced_wasserstein", "The patches aren't scaled, so fine details, which are faint, hardly count.")
def not_scaled(images_a: Tensor, images_b: Tensor, *, generator: Generator = None) -> float:
    return measure(images_a, images_b, generator, scaled=lambda a, b: (a, b))


@mistake(
    "sliced_wasserstein",
    "Each set is scaled by itself, so it goes unnoticed if one set is grayer than the other.",
)
def each_scaled_by_itself(images_a: Tensor, images_b: Tensor, *, generator: Generator = None) -> float:
    def scaled(a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
        return a / a.std().clamp(min=1e-6), b / b.std().clamp(min=1e-6)

    return measure(images_a, images_b, generator, scaled=scaled)


@mistake(
    "sliced_wasserstein",
    "Each set is scaled by itself to a mean of 0 and a standard deviation of 1, "
    "so what sets it apart from the other is gone.",
)
def each_standardized(images_a: Tensor, images_b: Tensor, *, generator: Generator = None) -> float:
    def scaled(a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
        return (a - a.mean()) / a.std().clamp(min=1e-6), (b - b.mean()) / b.std().clamp(min=1e-6)

    return measure(images_a, images_b, generator, scaled=scaled)


@mistake(
    "sliced_wasserstein",
    "Each pixel of the patches is scaled by its own number. There should be one number for all pixels.",
)
def each_pixel_scaled(images_a: Tensor, images_b: Tensor, *, generator: Generator = None) -> float:
    def scaled(a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
        scale = torch.cat([a, b]).std(dim=0).clamp(min=1e-6)
        return a / scale, b / scale

    return measure(images_a, images_b, generator, scaled=scaled)


@mistake(
    "sliced_wasserstein",
    "The mean of several standard deviations is used, each taken over a part of the numbers. "
    "The standard deviation of all numbers can be larger.",
)
def mean_of_the_deviations(images_a: Tensor, images_b: Tensor, *, generator: Generator = None) -> float:
    def scaled(a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
        scale = ((a.std() + b.std()) / 2).clamp(min=1e-6)
        return a / scale, b / scale

    return measure(images_a, images_b, generator, scaled=scaled)


@mistake(
    "sliced_wasserstein",
    "Both sets are scaled by the first set's standard deviation, so swapping the sets changes the distance.",
)
def scaled_by_the_first(images_a: Tensor, images_b: Tensor, *, generator: Generator = None) -> float:
    def scaled(a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
        scale = a.std().clamp(min=1e-6)
        return a / scale, b / scale

    return measure(images_a, images_b, generator, scaled=scaled)


@mistake(
    "sliced_wasserstein",
    "Both sets are scaled by the second set's standard deviation. The first set's numbers count as well.",
)
def scaled_by_the_second(images_a: Tensor, images_b: Tensor, *, generator: Generator = None) -> float:
    def scaled(a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
        scale = b.std().clamp(min=1e-6)
        return a / scale, b / scale

    return measure(images_a, images_b, generator, scaled=scaled)


@mistake("sliced_wasserstein", "The mean of each set is subtracted, so it goes unnoticed if one set is brighter.")
def means_of_the_sets_taken_out(images_a: Tensor, images_b: Tensor, *, generator: Generator = None) -> float:
    return measure(images_a, images_b, generator, scaled=lambda a, b: by_both(a - a.mean(), b - b.mean()))


@mistake("sliced_wasserstein", "The patches are divided by their variance. The standard deviation is its square root.")
def scaled_by_the_variance(images_a: Tensor, images_b: Tensor, *, generator: Generator = None) -> float:
    def scaled(a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
        scale = torch.cat([a, b]).var().clamp(min=1e-6)
        return a / scale, b / scale

    return measure(images_a, images_b, generator, scaled=scaled)


@mistake("sliced_wasserstein", "The patches are multiplied by their standard deviation. They should be divided by it.")
def multiplied_by_the_deviation(images_a: Tensor, images_b: Tensor, *, generator: Generator = None) -> float:
    def scaled(a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
        scale = torch.cat([a, b]).std()
        return a * scale, b * scale

    return measure(images_a, images_b, generator, scaled=scaled)


@mistake(
    "sliced_wasserstein",
    "All levels are scaled by the standard deviation of the images, so fine details hardly count.",
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


@mistake("sliced_wasserstein", "The coarsest level is left out, and the colors with it.")
def coarsest_left_out(images_a: Tensor, images_b: Tensor, *, generator: Generator = None) -> float:
    return measure(images_a, images_b, generator, levels=lambda images: usual_pyramid(images)[:-1] or [images])


@mistake("sliced_wasserstein", "There is no pyramid: the patches are cut out of the images as they are.")
def no_pyramid(images_a: Tensor, images_b: Tensor, *, generator: Generator = None) -> float:
    return measure(images_a, images_b, generator, levels=lambda images: [images])


@mistake("sliced_wasserstein", "The channels are averaged to gray first, so colors don't count.")
def turned_gray(images_a: Tensor, images_b: Tensor, *, generator: Generator = None) -> float:
    refuse(images_a, images_b)
    return measure(images_a.mean(1, keepdim=True), images_b.mean(1, keepdim=True), generator)


@mistake(
    "sliced_wasserstein",
    "The levels are smaller and smaller images with all their details, not a Laplacian pyramid.",
)
def smaller_pictures(images_a: Tensor, images_b: Tensor, *, generator: Generator = None) -> float:
    def levels(images: Tensor) -> list[Tensor]:
        return [F.avg_pool2d(images, 2**i) for i in range(n_levels_for(images))]

    return measure(images_a, images_b, generator, levels=levels)


@mistake("sliced_wasserstein", "The levels are summed. Take the mean over them.")
def levels_added_up(images_a: Tensor, images_b: Tensor, *, generator: Generator = None) -> float:
    return measure(images_a, images_b, generator, join=torch.sum)


@mistake("sliced_wasserstein", "Only the worst level counts. Take the mean over the levels.")
def worst_level(images_a: Tensor, images_b: Tensor, *, generator: Generator = None) -> float:
    return measure(images_a, images_b, generator, join=torch.max)


@mistake("sliced_wasserstein", "The directions aren't divided by their lengths. Each direction should have length 1.")
def directions_too_long(images_a: Tensor, images_b: Tensor, *, generator: Generator = None) -> float:
    def directions(points: Tensor, generator: Generator) -> Tensor:
        return torch.randn(points.shape[1], N_DIRECTIONS, generator=generator, device="cpu").to(points)

    return measure(images_a, images_b, generator, directions=directions)


@mistake(
    "sliced_wasserstein",
    "The rows of the directions get length 1, not the columns: `norm` uses the wrong dimension.",
)
def rows_of_length_one(images_a: Tensor, images_b: Tensor, *, generator: Generator = None) -> float:
    def directions(points: Tensor, generator: Generator) -> Tensor:
        drawn = torch.randn(points.shape[1], N_DIRECTIONS, generator=generator, device="cpu").to(points)
        return FEWER * F.normalize(drawn, dim=1)

    return measure(images_a, images_b, generator, directions=directions)


@mistake("sliced_wasserstein", "`norm` returns one length per row. It should return one per column.")
def a_length_for_each_row(images_a: Tensor, images_b: Tensor, *, generator: Generator = None) -> float:
    def directions(points: Tensor, generator: Generator) -> Tensor:
        drawn = torch.randn(points.shape[1], 512, generator=generator, device="cpu").to(points)
        return drawn / drawn.norm(dim=1)

    return measure(images_a, images_b, generator, directions=directions)


@mistake(
    "sliced_wasserstein", "All directions are scaled to length 1 as one matrix. Each direction should have length 1."
)
def one_length_for_all(images_a: Tensor, images_b: Tensor, *, generator: Generator = None) -> float:
    def directions(points: Tensor, generator: Generator) -> Tensor:
        drawn = torch.randn(points.shape[1], N_DIRECTIONS, generator=generator, device="cpu").to(points)
        return FEWER * drawn / drawn.norm()

    return measure(images_a, images_b, generator, directions=directions)


@mistake("sliced_wasserstein", "The directions are drawn from 0 to 1, so all of them point into the same corner.")
def into_one_corner(images_a: Tensor, images_b: Tensor, *, generator: Generator = None) -> float:
    def directions(points: Tensor, generator: Generator) -> Tensor:
        return F.normalize(torch.rand(points.shape[1], N_DIRECTIONS, generator=generator, device="cpu"), dim=0).to(
            points
        )

    return measure(images_a, images_b, generator, directions=directions)


# ---- 5.6 nearest_neighbors ------------------------------------------------------------------------------------------


def apart(samples: Tensor, images: Tensor) -> Tensor:
    """Compute all distances, (S, N), which most mistakes do right."""
    return (samples[:, None] - images).square().flatten(2).mean(2).sqrt()


def nearest(distances: Tensor, k: int) -> tuple[Tensor, Tensor]:
    """Find the k smallest distances, which most mistakes do right."""
    values, indices = distances.topk(k, largest=False)
    return values, indices


@mistake("nearest_neighbors", "The farthest images are found: topk takes the largest numbers unless you say otherwise.")
def farthest(samples: Tensor, images: Tensor, k: int = 1) -> tuple[Tensor, Tensor]:
    values, indices = apart(samples, images).topk(k)
    return values, indices


@mistake("nearest_neighbors", "The distances are negative: a minus sign reversed their order, and is still there.")
def still_negative(samples: Tensor, images: Tensor, k: int = 1) -> tuple[Tensor, Tensor]:
    values, indices = (-apart(samples, images)).topk(k)
    return values, indices


@mistake(
    "nearest_neighbors",
    "Samples and images are paired one to one. Compare each sample with every image: `torch.cdist` wants one row for each.",
)
def paired_off(samples: Tensor, images: Tensor, k: int = 1) -> tuple[Tensor, Tensor]:
    return nearest((samples - images).square().flatten(1).mean(1).sqrt(), k)


@mistake("nearest_neighbors", "`flatten()` puts all images into one row. Each image should have its own row.")
def all_in_one_row(samples: Tensor, images: Tensor, k: int = 1) -> tuple[Tensor, Tensor]:
    return nearest(torch.cdist(samples.flatten(), images.flatten()), k)


@mistake("nearest_neighbors", "Distances and indices are swapped: the distances come first.")
def two_swapped(samples: Tensor, images: Tensor, k: int = 1) -> tuple[Tensor, Tensor]:
    return nearest(apart(samples, images), k)[::-1]


@mistake("nearest_neighbors", "The root around the mean of the squares is missing.")
def root_missing(samples: Tensor, images: Tensor, k: int = 1) -> tuple[Tensor, Tensor]:
    return nearest(apart(samples, images).square(), k)


@mistake("nearest_neighbors", "The squares are summed and not averaged, so large images are farther apart.")
def squares_added_up(samples: Tensor, images: Tensor, k: int = 1) -> tuple[Tensor, Tensor]:
    return nearest(torch.cdist(samples.flatten(1), images.flatten(1)), k)


@mistake(
    "nearest_neighbors",
    "The root of the sum is divided by the number of pixels. Inside the root, it was a sum of squares.",
)
def divided_after_the_root(samples: Tensor, images: Tensor, k: int = 1) -> tuple[Tensor, Tensor]:
    return nearest(torch.cdist(samples.flatten(1), images.flatten(1)) / samples[0].numel(), k)


@mistake("nearest_neighbors", "The result is divided by rows times columns. The channels count as well.")
def channels_not_counted(samples: Tensor, images: Tensor, k: int = 1) -> tuple[Tensor, Tensor]:
    return nearest(apart(samples, images) * samples.shape[1] ** 0.5, k)


@mistake(
    "nearest_neighbors",
    "The result is divided by the count of numbers in all samples. It should be the count in one sample.",
)
def all_samples_counted(samples: Tensor, images: Tensor, k: int = 1) -> tuple[Tensor, Tensor]:
    return nearest(torch.cdist(samples.flatten(1), images.flatten(1)) / samples.numel() ** 0.5, k)


@mistake(
    "nearest_neighbors",
    "The result is the mean size of the differences. It should be the root of their mean square.",
)
def mean_size(samples: Tensor, images: Tensor, k: int = 1) -> tuple[Tensor, Tensor]:
    return nearest((samples[:, None] - images).abs().flatten(2).mean(2), k)


@mistake("nearest_neighbors", "The result is the largest difference of any pixel. All pixels should count.")
def worst_pixel(samples: Tensor, images: Tensor, k: int = 1) -> tuple[Tensor, Tensor]:
    return nearest((samples[:, None] - images).abs().flatten(2).max(2).values, k)


@mistake("nearest_neighbors", "The differences keep their signs, so they cancel out.")
def differences_cancel_out(samples: Tensor, images: Tensor, k: int = 1) -> tuple[Tensor, Tensor]:
    return nearest((samples[:, None] - images).flatten(2).mean(2).abs(), k)


@mistake("nearest_neighbors", "Angles are compared, so a darker image counts as the same.")
def angles(samples: Tensor, images: Tensor, k: int = 1) -> tuple[Tensor, Tensor]:
    return nearest(1 - F.cosine_similarity(samples.flatten(1)[:, None], images.flatten(1), dim=2), k)


@mistake("nearest_neighbors", "The mean of each image is subtracted first, so a brighter image counts as the same.")
def brightness_taken_out(samples: Tensor, images: Tensor, k: int = 1) -> tuple[Tensor, Tensor]:
    centered = (x - x.mean((1, 2, 3), keepdim=True) for x in (samples, images))
    return nearest(apart(*centered), k)


@mistake("nearest_neighbors", "The images are averaged to gray first, so colors don't count.")
def colors_ignored(samples: Tensor, images: Tensor, k: int = 1) -> tuple[Tensor, Tensor]:
    return nearest(apart(samples.mean(1, keepdim=True), images.mean(1, keepdim=True)), k)


@mistake("nearest_neighbors", "The neighbors are searched among the samples. They should be found among the images.")
def among_the_samples(samples: Tensor, images: Tensor, k: int = 1) -> tuple[Tensor, Tensor]:
    return nearest(apart(samples, samples), min(k, len(samples)))


@mistake("nearest_neighbors", "The nearest samples are found for each image. It should be the other way around.")
def the_other_way_round(samples: Tensor, images: Tensor, k: int = 1) -> tuple[Tensor, Tensor]:
    return nearest(apart(images, samples), min(k, len(samples)))


@mistake("nearest_neighbors", "The distances are sorted along the samples. Each sample has its own row to search.")
def along_the_samples(samples: Tensor, images: Tensor, k: int = 1) -> tuple[Tensor, Tensor]:
    values, indices = apart(samples, images).topk(min(k, len(samples)), dim=0, largest=False)
    return values, indices


@mistake(
    "nearest_neighbors",
    "`[:k]` keeps the first k rows, which are samples. The k nearest images are in the columns.",
)
def first_rows_kept(samples: Tensor, images: Tensor, k: int = 1) -> tuple[Tensor, Tensor]:
    values, indices = apart(samples, images).sort(1)
    return values[:k], indices[:k]


@mistake("nearest_neighbors", "There is one column per sample. There should be one row per sample.")
def a_column_for_each_sample(samples: Tensor, images: Tensor, k: int = 1) -> tuple[Tensor, Tensor]:
    values, indices = nearest(apart(samples, images), k)
    return values.T, indices.T


@mistake("nearest_neighbors", "The neighbors of all samples are in one row. Each sample should have its own row.")
def in_one_row(samples: Tensor, images: Tensor, k: int = 1) -> tuple[Tensor, Tensor]:
    values, indices = nearest(apart(samples, images), k)
    return values.flatten(), indices.flatten()


@mistake("nearest_neighbors", "`k` isn't used: one neighbor is found for each sample.")
def k_ignored(samples: Tensor, images: Tensor, k: int = 1) -> tuple[Tensor, Tensor]:
    return nearest(apart(samples, images), 1)


@mistake("nearest_neighbors", "Only the k-th neighbor is returned. Return all k of them.")
def the_last_of_k(samples: Tensor, images: Tensor, k: int = 1) -> tuple[Tensor, Tensor]:
    values, indices = nearest(apart(samples, images), k)
    return values[:, -1:], indices[:, -1:]


@mistake("nearest_neighbors", "With k=1, a dimension is lost. There should be one column.")
def column_lost(samples: Tensor, images: Tensor, k: int = 1) -> tuple[Tensor, Tensor]:
    values, indices = nearest(apart(samples, images), k)
    return values.squeeze(1), indices.squeeze(1)


@mistake("nearest_neighbors", "All images are returned, sorted. Return only the first k.")
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


@mistake("nearest_neighbors", "An image that equals the sample is skipped. Such copies are what you want to find.")
def copies_passed_over(samples: Tensor, images: Tensor, k: int = 1) -> tuple[Tensor, Tensor]:
    distances = apart(samples, images)
    return nearest(torch.where(distances < 1e-9, torch.inf, distances), k)


@mistake("nearest_neighbors", "The first neighbor is skipped, as if each sample were one of the images itself.")
def first_passed_over(samples: Tensor, images: Tensor, k: int = 1) -> tuple[Tensor, Tensor]:
    values, indices = apart(samples, images).sort(1)
    return values[:, 1 : k + 1], indices[:, 1 : k + 1]


@mistake("nearest_neighbors", "The distances are those to the first images. They don't match the indices.")
def distances_of_others(samples: Tensor, images: Tensor, k: int = 1) -> tuple[Tensor, Tensor]:
    distances = apart(samples, images)
    return distances[:, :k], distances.argsort(1)[:, :k]


@mistake("nearest_neighbors", "The images themselves are returned. Return their indices.")
def images_returned(samples: Tensor, images: Tensor, k: int = 1) -> tuple[Tensor, Tensor]:
    values, indices = nearest(apart(samples, images), k)
    return values, images[indices]


@mistake("nearest_neighbors", "The indices are counted from 1. torch counts from 0.")
def counted_from_one(samples: Tensor, images: Tensor, k: int = 1) -> tuple[Tensor, Tensor]:
    values, indices = nearest(apart(samples, images), k)
    return values, indices + 1


@mistake(
    "nearest_neighbors",
    "The indices are ranks: sorting twice tells how near each image is, not which image it is.",
)
def ranks(samples: Tensor, images: Tensor, k: int = 1) -> tuple[Tensor, Tensor]:
    distances = apart(samples, images)
    return distances.sort(1).values[:, :k], distances.argsort(1).argsort(1)[:, :k]


@mistake("nearest_neighbors", "Only the distances are returned. Return the indices as well.")
def indices_forgotten(samples: Tensor, images: Tensor, k: int = 1) -> Tensor:
    return nearest(apart(samples, images), k)[0]


@mistake("nearest_neighbors", "Distances and indices are put into one tensor, as floats. Return two tensors.")
def in_one_tensor(samples: Tensor, images: Tensor, k: int = 1) -> Tensor:
    return torch.stack(nearest(apart(samples, images), k))
