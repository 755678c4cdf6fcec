"""Lesson 00: images. How pictures become numbers.

An image is a grid of pixels, and the color of a pixel is three numbers: how much red, green and blue it contains. torch
keeps these numbers in a *tensor*: a block of numbers of one type, arranged along one or more dimensions. A tensor's
`shape` says how long it is in each dimension, and its `dtype` says which type its numbers have. Two shapes appear
throughout the course:

    (C, H, W)       one image: C channels (red, green and blue: 3), each with H rows and W columns
    (N, C, H, W)    a batch: N such images in one tensor

Row 0 is at the top and column 0 is at the left, so `image[0, 4, 2]` is how red the pixel in row 4, column 2 is. To
begin with, you need two dtypes:

    uint8           a byte: a whole number from 0 (none of the color) to 255 (all of it). Image files contain these
    float32         a number with a fraction, such as 0.498. Networks compute with these

To get a feel for tensors, start `uv run python` and try:

    import torch
    image = torch.zeros(3, 2, 4, dtype=torch.uint8)     # a black image with 2 rows and 4 columns
    image[0, 1] = 255                                   # its lower row turns red
    image.shape, image.dtype, image

Fill in the three functions, then run: uv run pytest lessons/00
"""

import torch
from torch import Tensor


def to_unit(images_uint8: Tensor) -> Tensor:
    """Convert bytes to numbers from 0 to 1.

    Args:
        images_uint8: bytes (dtype torch.uint8) of any shape: one image, a batch of images, or a few pixels. The
            function doesn't change them.

    Returns:
        float32 numbers in [0, 1], of the same shape. Black, the byte 0, becomes 0.0. White, the byte 255, becomes 1.0.
        The bytes in between are evenly spaced.

    Example:
        to_unit(torch.tensor([0, 51, 255], dtype=torch.uint8)) is tensor([0.0000, 0.2000, 1.0000]).

    Good to know:
        A byte can't hold a fraction or a number above 255: in uint8, 200 + 100 is 44. `x.to(torch.float32)` makes a
        copy of x that can hold both. Arithmetic on a tensor applies to all of its numbers at once, so you don't need a
        loop: `x + 1` adds 1 to each number.
    """
    # Convert to floats first, then divide. (`images_uint8 / 255` does the same, because `/` returns floats.) There are
    # 256 different bytes, but the largest byte is 255, and 255 should become 1.
    return images_uint8.to(torch.float32) / 255


def center_square(image: Tensor) -> Tensor:
    """Crop the largest possible square from the middle of an image.

    Photos are wide or tall, but the networks of this course draw squares.

    Args:
        image: one image, (C, H, W), of bytes or floats.

    Returns:
        The middle of the image, (C, S, S), where S is the smaller of H and W. The same number of pixels is cut off on
        both sides. If the number to cut off is odd, the extra pixel may be cut off on either side. The remaining pixels
        are the image's own, with the same dtype: nothing is squeezed or stretched.

    Example:
        An image with 4 rows and 10 columns, shape (3, 4, 10), keeps its columns 3, 4, 5 and 6: the result is (3, 4, 4).

    Good to know:
        You can slice each dimension of a tensor like a list: `image[:, 2:5, 1:]` contains all the channels, the rows 2,
        3 and 4, and the columns from 1 on. And `channels, height, width = image.shape` unpacks a shape.
    """
    _, height, width = image.shape
    side = min(height, width)
    # The extra pixels are cut off in two halves, one at each end. The shorter dimension has no extra pixels, so the
    # same formula gives a start of 0: wide, tall and square images need no special cases. Indices are whole numbers, so
    # use `//`. It rounds down, so an odd extra pixel is cut off at the right or at the bottom.
    top, left = (height - side) // 2, (width - side) // 2
    # A slice ends before its second number. The result is a *view*: it uses the numbers of `image` and copies none.
    return image[:, top : top + side, left : left + side]


def random_flip(images: Tensor, *, generator: torch.Generator | None = None) -> Tensor:
    """Mirror about half of the images left-right, with a separate coin toss for each image.

    A cat that looks to the left is as good as a cat that looks to the right. So a network gets up to twice as many
    images to learn from.

    Args:
        images: a batch, (N, C, H, W), of floats. The function doesn't change it.
        generator: the source of random numbers, a torch.Generator. None means torch's global generator. Generators with
            the same seed give the same numbers, which makes a run repeatable.

    Returns:
        (N, C, H, W), with the same dtype. Each image stays in its place. With probability 1/2, the image is mirrored:
        its columns are in reverse order. Otherwise it is unchanged.

    Example:
        An image of one row, 1 2 3, stays 1 2 3 or becomes 3 2 1.

    Good to know:
        `torch.rand(5, generator=generator, device=images.device)` draws five random numbers, uniform in [0, 1), on the
        device (CPU or GPU) of the images. `x.flip(d)` is a copy of x with dimension d in reverse order. As in lists, -1
        is the last dimension. `torch.stack([a, b])` combines single images into a batch.
    """
    # Draw one random number for each image. The number is below 0.5 half of the time, which gives N booleans, the
    # tosses. The three ones in the shape make each toss apply to all the channels, rows and columns of its own image:
    # where a tensor has a 1 in its shape, torch repeats its numbers to match the other tensor.
    mirrored = torch.rand(len(images), 1, 1, 1, generator=generator, device=images.device) < 0.5
    # The columns are the last dimension, -1. `flip` mirrors all images. Then `where` takes each number from the
    # mirrored image where the toss is True, and from the original where it is False. Mirroring all images and
    # discarding half of the results is still faster than a loop in Python.
    return torch.where(mirrored, images.flip(-1), images)
