"""Lesson 05: evaluation. Numbers that say how good a network is, and how good the images are that it generates.

Looking at images is a good test, but a slow one, and the verdict depends on your mood. Three numbers answer three
questions:

    loss_by_noise_level     How far off are the network's predictions, with little noise and with much noise?
    sliced_wasserstein      How far is the set of generated images from a set of real images?
    nearest_neighbors       Which real image is each generated image most like? Has the network memorized that image?

The second number takes four functions, 5.2 to 5.5. They split images into details of several sizes, cut small squares
(patches) out of each size, and compare the patches of one set with those of the other, as two distributions of points.

Fill in the six functions, then run: uv run pytest lessons/05
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dino.noise import mix

# You need not change these.
PATCH = 7  # pixels: the height and width of a patch
N_PATCHES = 128  # patches cut out of each image, at each level of the pyramid
N_DIRECTIONS = 512  # directions along which two distributions of patches are compared
COARSEST = 16  # pixels; the pyramid's last level is no smaller


def loss_by_noise_level(model: nn.Module, images: Tensor, levels: Sequence[float]) -> Tensor:
    """Measure how far off the network's predictions are, at each of several noise levels.

    The training loss mixes easy cases (little noise) with hard ones (much noise). This function separates them. On
    images that were kept out of training, it also shows whether the network has learned what images look like, or only
    what the training images look like.

    The noise is the same at each level and in each call: draw it once, from your own generator that always starts from
    the same seed. Then two numbers differ because of what they compare, and not because of luck.

    Args:
        model: called as model(noisy, noise_level), it returns its prediction of the clean images, shape (N, C, H, W).
            Pass the noise level as a tensor of shape (1, 1, 1, 1), in the dtype of `images`. Whether the model is in
            training or evaluation mode is up to the caller.
        images: clean images, shape (N, C, H, W).
        levels: the noise levels to measure at, in any order: a list of floats in [0, 1].

    Returns:
        One mean squared error per level, in the order of `levels`: a tensor of shape (len(levels),), in the dtype of
        `images` and on their device. It carries no gradients.

    Example:
        loss_by_noise_level(model, images, [0.2, 0.8]) might return tensor([0.0031, 0.0274]).

    Good to know:
        `torch.Generator(images.device).manual_seed(0)` is a generator that starts from seed 0. It leaves torch's global
        generator alone. Pass it to `torch.rand(shape, generator=..., device=..., dtype=...)`. `mix` needs noise and
        level in the dtype of the images. `images.new_full((1, 1, 1, 1), 0.2)` is a level of 0.2 in their dtype, on
        their device. `torch.stack([a, b])` makes one tensor out of a list of tensors of equal shape. Call the model
        without gradients: inside `with torch.no_grad():`.
    """
    # TODO 5.1: write your code here, in place of the next line
    raise NotImplementedError


def laplacian_pyramid(images: Tensor, n_levels: int) -> list[Tensor]:
    """Split images by the size of their details, the finest first.

    Halve an image, by averaging each 2 x 2 pixels into one. Double it again, by repeating each pixel 2 x 2 times. The
    fine details are gone. The image minus this coarse copy is exactly what is gone: the first level of the pyramid. The
    second level is what the halved image loses in the same way, and so on. The last level is the small image that is
    left.

    Args:
        images: shape (N, C, H, W); H and W can be halved n_levels - 1 times.
        n_levels: the number of levels, at least 1.

    Returns:
        A list of n_levels tensors, of shapes (N, C, H, W), (N, C, H / 2, W / 2) and so on.

    Example:
        With two levels, the pixels 0.2, 0.4, 0.6, 0.8 of a square give the levels -0.3, -0.1, 0.1, 0.3 (what is lost)
        and 0.5 (what is left). With one level, the list holds only `images`.

    Good to know:
        `F.avg_pool2d(x, 2)` averages each 2 x 2 pixels, and `F.interpolate(x, scale_factor=2)` repeats each pixel. All
        levels but the last lie around 0 and may be negative. Nothing is lost: double the last level, add the level
        before it, and so on up, and you get the image back. (Burt and Adelson 1983; they blur more smoothly.)
    """
    # TODO 5.2: write your code here, in place of the next line
    raise NotImplementedError


def n_levels_for(images: Tensor) -> int:
    """Return the number of levels of a pyramid whose last level is as small as possible, but not below `COARSEST`.

    You need not change this. Images of 64 x 64 have three levels: 64, 32 and 16 pixels.
    """
    n_levels, sides = 1, images.shape[2:]
    while all(side % 2**n_levels == 0 and side // 2**n_levels >= COARSEST for side in sides):
        n_levels += 1
    return n_levels


def patches(images: Tensor, places: Tensor) -> Tensor:
    """Cut squares of `PATCH` x `PATCH` pixels out of each image, at the same places in each.

    Args:
        images: shape (N, C, H, W).
        places: the row and column of each patch's upper left pixel: whole numbers, shape (M, 2). Every patch lies
            within the images.

    Returns:
        One patch per row, shape (N * M, C * PATCH * PATCH): first the M patches of the first image, in the order of
        `places`, then those of the second image, and so on. In a row, all pixels of the patch's first channel come
        first, line by line in reading order, then those of the second channel.

    Example:
        Two images of shape (3, 32, 32) and five places give ten patches of 3 * 7 * 7 numbers: shape (10, 147). Row 5 is
        the patch of the second image at the first place.

    Good to know:
        One patch is a slice, `image[:, row : row + PATCH, column : column + PATCH]`. `x.flatten()` puts all numbers of
        x into one row, and `torch.stack(list)` puts rows of equal length below each other. To cut all patches at once:
        `x.unfold(d, 7, 1)` slides a window of 7 along dimension d, one step at a time. Dimension d then counts the
        windows, and a new last dimension of 7 holds the contents of each window. `x.transpose(a, b)` swaps two
        dimensions, and `x.flatten(a, b)` merges the dimensions a to b into one.
    """
    # TODO 5.3: write your code here, in place of the next line
    raise NotImplementedError


def sliced_distance(points_a: Tensor, points_b: Tensor, directions: Tensor) -> Tensor:
    """Measure how far apart two distributions of points are, along many directions.

    Think of each distribution as a heap of sand. The distance is how far you have to carry a grain, on average, to turn
    one heap into the other. In many dimensions, this is hard to compute. Along one direction it is easy: each
    distribution is a list of numbers. Sort both lists, and carry the smallest number to the smallest, the second to the
    second, and so on. No other way is shorter. So do this along many directions, and take the mean.

    Args:
        points_a: one point per row, shape (M, D).
        points_b: the same number of points, in the same shape.
        directions: one direction per column, shape (D, K), each of length 1.

    Returns:
        The mean distance that a point is carried, over all directions and points: a scalar tensor.

    Example:
        Along one direction, take a distribution at 1, 5, 2 and a distribution at 2, 1, 8. Sorted, they are 1, 2, 5 and
        1, 2, 8. The points are carried by 0, 0 and 3, so the distance is 1.

    Good to know:
        `points @ directions` multiplies matrices: the number in row i and column k of the result says how far point i
        lies along direction k. `torch.sort(x, dim=0)` sorts each column by itself and returns two things: the sorted
        `.values`, and the `.indices` of where they were. (The sliced Wasserstein distance, Rabin et al. 2011.)
    """
    # TODO 5.4: write your code here, in place of the next line
    raise NotImplementedError


def sliced_wasserstein(images_a: Tensor, images_b: Tensor, *, generator: torch.Generator | None = None) -> float:
    """Measure how far apart two sets of images are, by their patches at several sizes of detail.

    Make the pyramid of each set, with the number of levels that `n_levels_for` returns. At each level of the two
    pyramids:

    1. Choose `N_PATCHES` places at random, among all places at which a patch lies within the level. Cut out the patches
       of both sets, at the same places.
    2. Divide both sets of patches by one number: the standard deviation of all numbers in both sets. Then every level
       counts, although fine details are fainter than the whole.
    3. Choose `N_DIRECTIONS` random directions of length 1, in the dtype of the images, and take the `sliced_distance`.

    The result is the mean over the levels.

    Args:
        images_a: shape (N, C, H, W), at least 7 pixels high and wide.
        images_b: the same number of images, in the same shape.
        generator: the source of random numbers for places and directions, on the device of the images; None means
            torch's global generator.

    Returns:
        The distance, a float. Equal sets are 0 apart, even if their order differs, and even if they are blank. If all
        numbers are equal and the standard deviation is 0, the distance is 0 and not nan.

    Raises:
        ValueError: if the sets differ in number or shape.

    Example:
        The first 64 emoji of 32 pixels and the same 64 at a noise level of 0.2 are about 0.12 apart. At a noise level
        of 0.5, they are 0.39 apart.

    Good to know:
        `torch.randint(n, (5,), generator=..., device=...)` draws five whole numbers from 0 to n - 1, and
        `torch.stack([x, y], dim=1)` puts two such lists side by side, as columns. `torch.randn(shape, generator=...,
        device=...)` draws numbers from a normal distribution (a bell curve). A column of these numbers, divided by its
        length, is a random direction, and all directions are equally likely. `x.norm(dim=0)` is the length of each
        column. `torch.cat([x, y])` puts y below x, and `x.std()` is the standard deviation. `x.clamp(min=1e-6)` raises
        x to at least 1e-6. `x.item()` is the float in a scalar tensor. (After Karras et al. 2018, who scale each set
        and each channel by itself.)
    """
    # TODO 5.5: write your code here, in place of the next line
    raise NotImplementedError


def nearest_neighbors(samples: Tensor, images: Tensor, k: int = 1) -> tuple[Tensor, Tensor]:
    """Find the `k` images that each sample is most like, the nearest first.

    Side by side, they show whether a network makes something new, or reproduces images that it has seen.

    Args:
        samples: shape (S, C, H, W).
        images: the images to search, shape (N, C, H, W); at least k of them.
        k: how many neighbors to find for each sample.

    Returns:
        Two tensors of shape (S, k). First the distances: the root of the mean squared difference over all pixels and
        channels, so that 0 is the same image and 1 is black against white. Then the indices of the neighbors among
        `images`.

    Example:
        If sample 0 is image 4, the first distance in row 0 is 0 (or, because of rounding, up to about 0.001), and the
        first index in row 0 is 4.

    Good to know:
        `x.flatten(1)` makes one row of each image. `torch.cdist(x, y)` is the distance between each row of x and each
        row of y, shape (S, N): the root of the *sum* of the squared differences. `x.topk(k)` finds the k largest
        numbers in each row, largest first. With `largest=False`, it finds the k smallest, smallest first. It returns
        two things: the values and their indices.
    """
    # TODO 5.6: write your code here, in place of the next line
    raise NotImplementedError
