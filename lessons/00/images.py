"""Lesson 00: images. How pictures become numbers.

A picture is a grid of pixels, and the color of a pixel is three numbers: how much red, green and blue is in it. torch
keeps such numbers in a *tensor*: a block of numbers of one kind, laid out along one or more dimensions. How long it is
in each dimension is its `shape`, and the kind of its numbers is its `dtype`. Two shapes run through the whole course:

    (C, H, W)       one picture: C channels (red, green and blue: 3), each of H rows of W columns
    (N, C, H, W)    N such pictures in one block, a batch

Row 0 is at the top and column 0 at the left, so `image[0, 4, 2]` is how red the pixel in row 4, column 2 is. And two
dtypes, to begin with:

    uint8           a byte: a whole number from 0 (none of the color) to 255 (all of it). Files keep pictures like this
    float32         a number with a fraction, such as 0.498. Networks calculate with these

To get a feeling for it, start `uv run python` and try:

    import torch
    image = torch.zeros(3, 2, 4, dtype=torch.uint8)     # a black picture of 2 rows and 4 columns
    image[0, 1] = 255                                   # its lower row turns red
    image.shape, image.dtype, image

Fill in the three functions, then run: uv run pytest lessons/00
"""

import torch
from torch import Tensor


def to_unit(images_uint8: Tensor) -> Tensor:
    """Turn bytes into numbers from 0 to 1.

    Args:
        images_uint8: bytes (dtype torch.uint8), of any shape: one picture, a batch of them, or a few pixels. They stay
            as they are.

    Returns:
        float32 numbers in [0, 1], of the same shape. Black, a byte of 0, becomes 0.0; white, 255, becomes 1.0; and the
        bytes between lie evenly between.

    Example:
        to_unit(torch.tensor([0, 51, 255], dtype=torch.uint8)) is tensor([0.0000, 0.2000, 1.0000]).

    Good to know:
        A byte has no room for a fraction, nor for anything above 255: in uint8, 200 + 100 is 44. `x.to(torch.float32)`
        makes a copy of x that has the room. Arithmetic with a tensor works on all of its numbers at once, so no loop is
        needed: `x + 1` adds 1 to each.
    """
    # TODO 0.1: write your code here, in place of the next line
    raise NotImplementedError


def center_square(image: Tensor) -> Tensor:
    """Cut the largest possible square out of the middle of a picture.

    Photos are wide or tall, and the networks of this course draw squares.

    Args:
        image: one picture, (C, H, W), of bytes or floats.

    Returns:
        Its middle, (C, S, S), where S is the shorter of H and W: as much is cut off on one side as on the other. Where
        that isn't possible, as the number to cut off is odd, the one pixel more may go on either side. The pixels that
        are kept are the picture's own, of the same dtype: nothing is squeezed or stretched.

    Example:
        Of a picture with 4 rows and 10 columns, shape (3, 4, 10), the columns 3, 4, 5 and 6 are kept: (3, 4, 4).

    Good to know:
        Each dimension of a tensor can be sliced like a list: `image[:, 2:5, 1:]` has all the channels, the rows 2, 3
        and 4, and the columns from 1 on. And `channels, height, width = image.shape` takes a shape apart.
    """
    # TODO 0.2: write your code here, in place of the next line
    raise NotImplementedError


def random_flip(images: Tensor, *, generator: torch.Generator | None = None) -> Tensor:
    """Mirror about half of the images left-right: each by a coin toss of its own.

    A cat that looks to the left is as good a cat as one that looks to the right. So there are up to twice as many
    pictures to learn from.

    Args:
        images: a batch, (N, C, H, W), of floats. They stay as they are.
        generator: where random numbers come from, a torch.Generator; None means torch's own, global one. Generators
            that start from the same seed give the same numbers, which is how a run can be repeated.

    Returns:
        (N, C, H, W), of the same dtype. Each image is in its old place, and either as it was or, with a probability of
        1/2, mirrored: its columns in reverse order.

    Example:
        An image of one row, 1 2 3, stays 1 2 3 or becomes 3 2 1.

    Good to know:
        `torch.rand(5, generator=generator, device=images.device)` draws five random numbers, evenly spread over [0, 1),
        on the device (CPU or GPU) where the images are. `x.flip(d)` is a copy of x with dimension d in reverse order;
        as in lists, -1 is the last one. `torch.stack([a, b])` makes a batch of single images.
    """
    # TODO 0.3: write your code here, in place of the next line
    raise NotImplementedError
