"""Lesson 05: evaluation. Numbers that say how good a network is, and how good the pictures are that it makes.

Looking at pictures is a good judge, but a slow one, and it has moods. Three numbers ask three questions:

    loss_by_noise_level     How far off are the network's guesses, with little noise and with much?
    sliced_wasserstein      How far are generated pictures, taken together, from real ones?
    nearest_neighbors      Which real picture is each generated one most like? Has it been learned by heart?

The second takes four functions, 5.2 to 5.5. It takes pictures apart into details of several sizes, cuts small squares
out of each, and compares the squares of one set with those of the other as two crowds of points.

Fill in the six functions, then run: uv run pytest lessons/05
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dino.noise import mix

# You need not change these.
PATCH = 7  # pixels: how high and how wide a patch is
N_PATCHES = 128  # patches that are cut out of each picture, at each level of the pyramid
N_DIRECTIONS = 512  # along which two crowds of patches are looked at
COARSEST = 16  # pixels; the pyramid's last level is no smaller


def loss_by_noise_level(model: nn.Module, images: Tensor, levels: Sequence[float]) -> Tensor:
    """Measure how far the network's guesses are off, at each of several noise levels.

    The loss in training mixes easy questions (little noise) with hard ones (much noise). This takes them apart. And
    asked about pictures that were kept out of training, it tells whether the network learned how pictures look, or only
    how these look.

    The noise is the same at each level and in each call: draw it once, from a generator of your own that always starts
    from the same seed. Then two numbers differ by what they compare, and not by the luck of the draw.

    Args:
        model: called as model(noisy, noise_level), it answers with clean images, shape (N, C, H, W). The level is told
            as a tensor of shape (1, 1, 1, 1), of the dtype of `images`. Whether the model is in training or evaluation
            mode is up to the caller.
        images: clean images, shape (N, C, H, W).
        levels: the noise levels to measure at, in any order: a list of floats in [0, 1].

    Returns:
        One mean squared error per level, in the order of `levels`: a tensor of shape (len(levels),), of the dtype of
        `images` and on its device. It carries no gradients.

    Example:
        loss_by_noise_level(model, images, [0.2, 0.8]) might be tensor([0.0031, 0.0274]).

    Good to know:
        `torch.Generator(images.device).manual_seed(0)` is a generator that starts from seed 0; torch's own, global one
        isn't touched. It is handed to `torch.rand(shape, generator=..., device=..., dtype=...)`, and `mix` wants noise
        and level in the dtype of the images. `images.new_full((1, 1, 1, 1), 0.2)` is a level of 0.2 in their dtype, on
        their device. `torch.stack([a, b])` makes one tensor of a list of tensors of equal shape. The model is called
        without gradients: inside of `with torch.no_grad():`.
    """
    # TODO 5.1: write your code here, in place of the next line
    raise NotImplementedError


def laplacian_pyramid(images: Tensor, n_levels: int) -> list[Tensor]:
    """Split pictures by the size of their details, the finest first.

    Halve a picture, by averaging each 2 x 2 pixels to one. Double it again, by repeating each pixel 2 x 2 times. The
    fine details are gone. What is gone, the picture minus its coarse copy, is the first level of the pyramid. The
    second is what the halved picture loses in the same way, and so on. The last level is the picture as small as it
    got.

    Args:
        images: shape (N, C, H, W); H and W can be halved n_levels - 1 times.
        n_levels: how many levels, at least 1.

    Returns:
        A list of n_levels tensors, of the shapes (N, C, H, W), (N, C, H / 2, W / 2) and so on.

    Example:
        With two levels, the pixels 0.2, 0.4, 0.6, 0.8 of a square give the levels -0.3, -0.1, 0.1, 0.3 (what is lost)
        and 0.5 (what is left). With one level, the list holds `images` alone.

    Good to know:
        `F.avg_pool2d(x, 2)` averages each 2 x 2 pixels, and `F.interpolate(x, scale_factor=2)` repeats each pixel. The
        levels but the last may be negative, and lie around 0. Nothing is lost: doubling the last level and adding the
        one before it, and so on up, gives the picture back. (Burt and Adelson 1983; they blur more smoothly.)
    """
    # TODO 5.2: write your code here, in place of the next line
    raise NotImplementedError


def n_levels_for(images: Tensor) -> int:
    """How many levels a pyramid has whose last is as small as it gets, but not below `COARSEST`.

    You need not change this. Pictures of 64 x 64 have three levels: 64, 32 and 16 pixels.
    """
    n_levels, sides = 1, images.shape[2:]
    while all(side % 2**n_levels == 0 and side // 2**n_levels >= COARSEST for side in sides):
        n_levels += 1
    return n_levels


def patches(images: Tensor, places: Tensor) -> Tensor:
    """Cut squares of `PATCH` x `PATCH` pixels out of each picture, at the same places in each.

    Args:
        images: shape (N, C, H, W).
        places: row and column of each patch's upper left pixel: whole numbers, shape (M, 2). They are such that every
            patch lies within the pictures.

    Returns:
        One patch per row, shape (N * M, C * PATCH * PATCH): first the M patches of the first picture, in the order of
        `places`, then those of the second, and so on. In a row, all pixels of the patch's first channel come first,
        line by line as one reads, then those of the second.

    Example:
        Two pictures of shape (3, 32, 32) and five places give ten patches of 3 * 7 * 7 numbers: shape (10, 147). Row 5
        is the patch of the second picture at the first place.

    Good to know:
        One patch is a slice, `image[:, row : row + PATCH, column : column + PATCH]`. `x.flatten()` lays all numbers of
        x out in one row, and `torch.stack(list)` puts rows of equal length below each other. To cut all at once:
        `x.unfold(d, 7, 1)` slides a window of 7 along dimension d, one step at a time. Dimension d then counts the
        windows, and a new last dimension of 7 holds what is in each. `x.transpose(a, b)` swaps two dimensions, and
        `x.flatten(a, b)` makes one of the dimensions a to b.
    """
    # TODO 5.3: write your code here, in place of the next line
    raise NotImplementedError


def sliced_distance(points_a: Tensor, points_b: Tensor, directions: Tensor) -> Tensor:
    """Measure how far two crowds of points are apart, by looking at them along many directions.

    Think of each crowd as a heap of sand, and of the distance as how far a grain has to be carried on average to make
    the one heap into the other. In many dimensions that is hard to find. Along one direction it is easy: there each
    crowd is a list of numbers. Sort both, and carry the smallest to the smallest, the second to the second, and so on.
    No other way is shorter. So look along many directions, and take the mean.

    Args:
        points_a: one point per row, shape (M, D).
        points_b: equally many, of the same shape.
        directions: one direction per column, shape (D, K), each of length 1.

    Returns:
        The mean over directions and points of how far they are carried: a scalar tensor.

    Example:
        Along one direction, a crowd at 1, 5, 2 and a crowd at 2, 1, 8 are sorted to 1, 2, 5 and 1, 2, 8. The points are
        carried by 0, 0 and 3, so the distance is 1.

    Good to know:
        `points @ directions` multiplies matrices: the number in row i and column k of the result says how far point i
        lies along direction k. `torch.sort(x, dim=0)` sorts each column by itself and gives two things, the sorted
        `.values` and the `.indices` where they were. (The sliced Wasserstein distance, Rabin et al. 2011.)
    """
    # TODO 5.4: write your code here, in place of the next line
    raise NotImplementedError


def sliced_wasserstein(images_a: Tensor, images_b: Tensor, *, generator: torch.Generator | None = None) -> float:
    """Measure how far two sets of pictures are apart, by their patches at several sizes of detail.

    Make the pyramid of each set, with the number of levels that `n_levels_for` tells. At each level of the two
    pyramids:

    1. Choose `N_PATCHES` places at random, among all at which a patch lies within the level. Cut the patches of both
       sets out, at the same places.
    2. Divide both sets of patches by one number, the standard deviation of all numbers in both of them together. Then
       every level counts, though details are fainter than the whole.
    3. Choose `N_DIRECTIONS` random directions of length 1, of the dtype of the images, and take the `sliced_distance`.

    The result is the mean over the levels.

    Args:
        images_a: shape (N, C, H, W), at least 7 pixels high and wide.
        images_b: equally many, of the same shape.
        generator: where the random numbers for places and directions come from, on the device of the images; None means
            torch's own, global one.

    Returns:
        The distance, a float. Equal sets are 0 apart, also if their order differs, and also if they are blank: where
        everything is equal and the standard deviation is 0, the distance is 0 and not nan.

    Raises:
        ValueError: the sets differ in number or shape.

    Example:
        The first 64 emoji of 32 pixels and the same 64 with a fifth of noise mixed in are about 0.12 apart; with half
        of noise, 0.39.

    Good to know:
        `torch.randint(n, (5,), generator=..., device=...)` draws five whole numbers from 0 to n - 1, and
        `torch.stack([x, y], dim=1)` puts two such lists side by side, as columns. `torch.randn(shape, generator=...,
        device=...)` draws numbers with a bell curve. A column of these, divided by its length, is a random direction,
        and none is likelier than another; `x.norm(dim=0)` is the length of each column. To put y below x there is
        `torch.cat([x, y])`, and `x.std()` is the standard deviation. `x.clamp(min=1e-6)` is at least 1e-6. `x.item()`
        is the float in a scalar tensor. (After Karras et al. 2018, who scale each set and each channel by itself.)
    """
    # TODO 5.5: write your code here, in place of the next line
    raise NotImplementedError


def nearest_neighbors(samples: Tensor, images: Tensor, k: int = 1) -> tuple[Tensor, Tensor]:
    """Find, for each sample, the `k` pictures that it is most like, the nearest first.

    Beside each other they show whether a network makes something new, or hands out pictures that it has seen.

    Args:
        samples: shape (S, C, H, W).
        images: where to look, shape (N, C, H, W); at least k of them.
        k: how many neighbors to find for each sample.

    Returns:
        Two tensors of shape (S, k). The distances: the root of the mean squared difference over all pixels and
        channels, so that 0 is the same picture and 1 is black against white. And the indices of the neighbors among
        `images`.

    Example:
        If sample 0 is image 4, the first distance in row 0 is 0 (or, by rounding, up to about a thousandth), and the
        first index in row 0 is 4.

    Good to know:
        `x.flatten(1)` makes one row of each picture. `torch.cdist(x, y)` is the distance between each row of x and each
        row of y, shape (S, N): the root of the *sum* of the squared differences. `x.topk(k)` finds the k largest in
        each row, largest first; with `largest=False` it is the k smallest, smallest first. It gives two things, the
        values and their indices.
    """
    # TODO 5.6: write your code here, in place of the next line
    raise NotImplementedError
