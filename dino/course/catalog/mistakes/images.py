"""Common wrong answers to lesson 00, each with the sentence that the grader reports when it recognizes the mistake.

Reading on spoils the exercises.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from ...grader.expect import mistake

Generator = torch.Generator | None

# ---- 0.1 to_unit ----------------------------------------------------------------------------------------------------


@mistake("to_unit", "White becomes 0.996 instead of 1. There are 256 byte values, but the largest one is 255.")
def by_256(images_uint8: Tensor) -> Tensor:
    return images_uint8.float() / 256


@mistake(
    "to_unit",
    "The result contains only whole numbers. The fractions are cut off, so everything except white becomes 0.",
)
def whole_numbers(images_uint8: Tensor) -> Tensor:
    return images_uint8 // 255


@mistake(
    "to_unit",
    "The division leaves only whole numbers, as with `//` or with bytes that become floats too late, "
    "so everything except white becomes 0.",
)
def floats_too_late(images_uint8: Tensor) -> Tensor:
    return (images_uint8 // 255).float()


@mistake("to_unit", "The bytes are returned unchanged.")
def nothing_done(images_uint8: Tensor) -> Tensor:
    return images_uint8


@mistake("to_unit", "The dtype has changed, but the range hasn't: white is still 255.")
def never_divided(images_uint8: Tensor) -> Tensor:
    return images_uint8.float()


@mistake("to_unit", "The range is -1 to 1, as in some other models. Here, black should be 0.")
def minus_one_to_one(images_uint8: Tensor) -> Tensor:
    return images_uint8.float() / 127.5 - 1


@mistake("to_unit", "The code subtracts 128 first, so gray becomes 0 and everything darker becomes negative.")
def around_gray(images_uint8: Tensor) -> Tensor:
    return (images_uint8.float() - 128) / 128


@mistake(
    "to_unit",
    "The values are stretched so that the darkest becomes 0 and the brightest becomes 1. A dim image should stay dim.",
)
def stretched(images_uint8: Tensor) -> Tensor:
    x = images_uint8.float()
    return (x - x.min()) / (x.max() - x.min())


@mistake(
    "to_unit",
    "Each image is stretched between its own darkest and brightest pixels, which changes how every image looks.",
)
def stretched_by_image(images_uint8: Tensor) -> Tensor:
    x = images_uint8.float()
    low, high = x.amin((-3, -2, -1), keepdim=True), x.amax((-3, -2, -1), keepdim=True)
    return (x - low) / (high - low)


@mistake(
    "to_unit", "The values are divided by the largest of them, so the result for a byte depends on the other bytes."
)
def by_the_brightest(images_uint8: Tensor) -> Tensor:
    return images_uint8.float() / images_uint8.max()


@mistake(
    "to_unit",
    "The values are divided only if one of them is above 1. An image of the bytes 0 and 1 should be black, not white.",
)
def only_if_above_one(images_uint8: Tensor) -> Tensor:
    x = images_uint8.float()
    return x / 255 if x.max() > 1 else x


@mistake(
    "to_unit",
    "The mean is subtracted and the result is divided by the standard deviation, as for other networks. Here, the "
    "range is 0 to 1.",
)
def standardized(images_uint8: Tensor) -> Tensor:
    x = images_uint8.float()
    return (x - x.mean()) / x.std()


@mistake(
    "to_unit",
    "ImageNet's means are subtracted and the result is divided by ImageNet's standard deviations. Here, the range is "
    "0 to 1.",
)
def like_imagenet(images_uint8: Tensor) -> Tensor:
    mean, std = torch.tensor([0.485, 0.456, 0.406]).view(3, 1, 1), torch.tensor([0.229, 0.224, 0.225]).view(3, 1, 1)
    return (images_uint8.float() / 255 - mean) / std


@mistake("to_unit", "The result is written into the byte tensor itself, which can't hold fractions.")
def in_place(images_uint8: Tensor) -> Tensor:
    return images_uint8.div_(255)


@mistake(
    "to_unit", "The result is written back into the caller's bytes, which become 0 or 1. The original images are lost."
)
def written_back(images_uint8: Tensor) -> Tensor:
    images_uint8[:] = images_uint8 / 255
    return images_uint8


@mistake(
    "to_unit",
    "The values are right, but they are float64 (double): twice the memory of float32, and much slower on a GPU.",
)
def double(images_uint8: Tensor) -> Tensor:
    return images_uint8.double() / 255


@mistake(
    "to_unit", "The values are float16 (half), which keeps about three digits. That is too few for what comes next."
)
def half(images_uint8: Tensor) -> Tensor:
    return images_uint8.half() / 255


@mistake("to_unit", "The values pass through float16 on the way, which permanently rounds them to about three digits.")
def through_half(images_uint8: Tensor) -> Tensor:
    return (images_uint8.half() / 255).float()


@mistake("to_unit", "The values are divided by 255 twice, so white is barely brighter than black.")
def divided_twice(images_uint8: Tensor) -> Tensor:
    return images_uint8.float() / 255 / 255


@mistake("to_unit", "The values are divided by 225, which looks like the right number: white becomes 1.13.")
def by_225(images_uint8: Tensor) -> Tensor:
    return images_uint8.float() / 225


@mistake("to_unit", "The image is a negative: black becomes 1 and white becomes 0.")
def negative(images_uint8: Tensor) -> Tensor:
    return 1 - images_uint8.float() / 255


@mistake("to_unit", "The values are rounded to 0 or 1, so each color is either completely on or completely off.")
def rounded(images_uint8: Tensor) -> Tensor:
    return torch.round(images_uint8.float() / 255)


@mistake("to_unit", "The values are rounded to two decimals, which leaves only 101 of the 256 shades.")
def two_decimals(images_uint8: Tensor) -> Tensor:
    return torch.round(images_uint8.float() / 255, decimals=2)


@mistake(
    "to_unit", "The bytes are converted to int8, whose largest value is 127, so the brighter half comes out negative."
)
def signed_bytes(images_uint8: Tensor) -> Tensor:
    return images_uint8.to(torch.int8).float() / 255


@mistake("to_unit", "The code adds 1 while the values are still bytes. In uint8, 255 + 1 is 0, so white turns black.")
def overflowing(images_uint8: Tensor) -> Tensor:
    return (images_uint8 + 1) / 256


@mistake("to_unit", "A sigmoid squeezes the values toward 1. The values should be evenly spaced from 0 to 1.")
def through_a_sigmoid(images_uint8: Tensor) -> Tensor:
    return torch.sigmoid(images_uint8.float())


@mistake(
    "to_unit", "`normalize` scales vectors to length 1. The result for a byte should not depend on the other bytes."
)
def to_unit_length(images_uint8: Tensor) -> Tensor:
    return F.normalize(images_uint8.float())


@mistake("to_unit", "The values are clamped to 1 and never divided, so everything except black becomes white.")
def cut_off(images_uint8: Tensor) -> Tensor:
    return images_uint8.float().clamp(0, 1)


@mistake(
    "to_unit",
    "The channels have moved to the last dimension, where some other libraries keep them. Here, the shape should not "
    "change.",
)
def channels_last(images_uint8: Tensor) -> Tensor:
    return images_uint8.movedim(-3, -1).float() / 255


@mistake("to_unit", "The result has an extra dimension in front. The shape should not change.")
def one_more_dimension(images_uint8: Tensor) -> Tensor:
    return images_uint8.unsqueeze(0).float() / 255


@mistake("to_unit", "The values are flattened into one long row. The shape should not change.")
def flattened(images_uint8: Tensor) -> Tensor:
    return images_uint8.flatten().float() / 255


@mistake("to_unit", "Only the first image of the batch is returned.")
def first_only(images_uint8: Tensor) -> Tensor:
    return images_uint8[0].float() / 255


@mistake("to_unit", "The result is an array from another library, NumPy. torch's functions expect a tensor.")
def as_numpy(images_uint8: Tensor) -> object:
    return images_uint8.numpy() / 255


@mistake("to_unit", "The result is a Python list. torch's functions expect a tensor.")
def as_list(images_uint8: Tensor) -> object:
    return (images_uint8 / 255).tolist()


# ---- 0.2 center_square ----------------------------------------------------------------------------------------------


def sides(image: Tensor) -> tuple[int, int, int, int, int]:
    """Return height, width, the shorter side, and the top and left of the center square. The mistakes misuse them."""
    height, width = image.shape[-2:]
    side = min(height, width)
    return height, width, side, (height - side) // 2, (width - side) // 2


@mistake("center_square", "The square is cut from the top left corner instead of the middle.")
def top_left_corner(image: Tensor) -> Tensor:
    _, _, side, _, _ = sides(image)
    return image[:, :side, :side]


@mistake("center_square", "All the extra pixels are cut off on one side, so the square is the last part of the image.")
def bottom_right_corner(image: Tensor) -> Tensor:
    height, width, side, _, _ = sides(image)
    return image[:, height - side :, width - side :]


@mistake("center_square", "The square starts at the middle of the image. It should be centered on the middle.")
def begins_in_the_middle(image: Tensor) -> Tensor:
    height, width, side, _, _ = sides(image)
    top = height // 2 if height > side else 0
    left = width // 2 if width > side else 0
    return image[:, top : top + side, left : left + side]


@mistake("center_square", "The square ends at the middle of the image. It should be centered on the middle.")
def ends_in_the_middle(image: Tensor) -> Tensor:
    height, width, side, _, _ = sides(image)
    top, left = max(0, height // 2 - side), max(0, width // 2 - side)
    return image[:, top : top + side, left : left + side]


@mistake(
    "center_square",
    "The square starts after a third of the extra pixels. The same number should be cut off on both sides.",
)
def a_third_of_the_way(image: Tensor) -> Tensor:
    height, width, side, _, _ = sides(image)
    top, left = (height - side) // 3, (width - side) // 3
    return image[:, top : top + side, left : left + side]


@mistake(
    "center_square", "The square starts at half of its own side length. What matters is the number of extra pixels."
)
def begins_at_half_the_side(image: Tensor) -> Tensor:
    height, width, side, _, _ = sides(image)
    top = side // 2 if height > side else 0
    left = side // 2 if width > side else 0
    return image[:, top : top + side, left : left + side]


@mistake(
    "center_square",
    "The slice takes half of the side to the left and half to the right of the middle, so an odd side loses a pixel.",
)
def half_to_either_side(image: Tensor) -> Tensor:
    height, width, side, _, _ = sides(image)
    y, x, half = height // 2, width // 2, side // 2
    return image[:, y - half : y + half, x - half : x + half]


@mistake("center_square", "The square is one pixel too far right or too far down.")
def one_too_far(image: Tensor) -> Tensor:
    height, width, side, top, left = sides(image)
    top, left = top + (height > side), left + (width > side)
    return image[:, top : top + side, left : left + side]


@mistake("center_square", "The square is one pixel too far left or too far up.")
def one_too_near(image: Tensor) -> Tensor:
    _, _, side, top, left = sides(image)
    top, left = max(0, top - 1), max(0, left - 1)
    return image[:, top : top + side, left : left + side]


@mistake("center_square", "The result is one pixel too small. A slice ends *before* its second number.")
def one_too_small(image: Tensor) -> Tensor:
    _, _, side, top, left = sides(image)
    return image[:, top : top + side - 1, left : left + side - 1]


@mistake("center_square", "The result is one pixel too large. A slice ends *before* its second number.")
def one_too_large(image: Tensor) -> Tensor:
    _, _, side, top, left = sides(image)
    return image[:, top : top + side + 1, left : left + side + 1]


@mistake("center_square", "The slices end at the side length. A square that starts farther in also ends farther in.")
def ends_at_the_side(image: Tensor) -> Tensor:
    _, _, side, top, left = sides(image)
    return image[:, top:side, left:side]


@mistake(
    "center_square",
    "The same number of pixels is cut off at both ends, so an odd difference leaves one row or column too many.",
)
def same_on_both_ends(image: Tensor) -> Tensor:
    height, width, _, top, left = sides(image)
    return image[:, top : height - top, left : width - left]


@mistake(
    "center_square",
    "A slice is empty: it ends where it starts, or before that. (In `x[0:-0]` too, because -0 is 0.)",
)
def minus_zero(image: Tensor) -> Tensor:
    _, _, _, top, left = sides(image)
    return image[:, top:-top, left:-left]


@mistake("center_square", "Division happens before subtraction, so the difference needs parentheses.")
def brackets_missing(image: Tensor) -> Tensor:
    height, width, side, _, _ = sides(image)
    top, left = height - side // 2, width - side // 2
    return image[:, top : top + side, left : left + side]


@mistake(
    "center_square", "`/` returns a float, even if the result is a whole number such as 2.0. A slice needs integers."
)
def places_with_fractions(image: Tensor) -> Tensor:
    height, width, side, _, _ = sides(image)
    top, left = (height - side) / 2, (width - side) / 2
    return image[:, top : top + side, left : left + side]


@mistake(
    "center_square",
    "The square uses the longer side (here the width), and the image doesn't have enough pixels to fill the square.",
)
def longer_side(image: Tensor) -> Tensor:
    height, width, _, _, _ = sides(image)
    side = max(height, width)
    top, left = (height - side) // 2, (width - side) // 2
    return image[:, top : top + side, left : left + side]


@mistake("center_square", "The image is padded with black to a square with the longer side. It should be cropped.")
def filled_up(image: Tensor) -> Tensor:
    height, width, _, _, _ = sides(image)
    side = max(height, width)
    down, right = side - height, side - width
    return F.pad(image, (right // 2, right - right // 2, down // 2, down - down // 2))


@mistake("center_square", "The image is squeezed into a square by dropping some of its pixels. It should be cropped.")
def squeezed(image: Tensor) -> Tensor:
    _, _, side, _, _ = sides(image)
    return F.interpolate(image[None].float(), size=(side, side))[0].to(image.dtype)


@mistake("center_square", "The image is squeezed into a square by blending its pixels. It should be cropped.")
def squeezed_smoothly(image: Tensor) -> Tensor:
    _, _, side, _, _ = sides(image)
    return F.interpolate(image[None].float(), size=(side, side), mode="bilinear")[0].to(image.dtype)


@mistake("center_square", "The image is resized to a square with the longer side. It should be cropped.")
def blown_up(image: Tensor) -> Tensor:
    height, width, _, _, _ = sides(image)
    side = max(height, width)
    return F.interpolate(image[None].float(), size=(side, side))[0].to(image.dtype)


@mistake(
    "center_square", "The image is cropped to a square, but then resized to the height and width that it had before."
)
def resized_after_the_cut(image: Tensor) -> Tensor:
    height, width, side, top, left = sides(image)
    square = image[:, top : top + side, left : left + side]
    return F.interpolate(square[None].float(), size=(height, width))[0].to(image.dtype)


@mistake("center_square", "Height and width are swapped. A shape is (C, H, W), so the rows come before the columns.")
def swapped(image: Tensor) -> Tensor:
    _, width, height = image.shape
    side = min(height, width)
    top, left = (height - side) // 2, (width - side) // 2
    return image[:, top : top + side, left : left + side]


@mistake("center_square", "The first dimension is treated as the height, as if the shape were (H, W, C).")
def channels_last_assumed(image: Tensor) -> Tensor:
    height, width, _ = image.shape
    side = min(height, width)
    top, left = (height - side) // 2, (width - side) // 2
    return image[top : top + side, left : left + side]


@mistake(
    "center_square",
    "The first index is for the channels. Without a `:` in front, the slice for the rows cuts the channels.",
)
def channels_forgotten(image: Tensor) -> Tensor:
    _, _, side, top, left = sides(image)
    return image[top : top + side, left : left + side]


@mistake("center_square", "Only wide images are cropped. A tall image keeps its extra rows.")
def wide_only(image: Tensor) -> Tensor:
    height, width, side, _, left = sides(image)
    return image[:, :, left : left + side] if width > height else image


@mistake("center_square", "A wide image comes back unchanged, with all its columns.")
def tall_only(image: Tensor) -> Tensor:
    height, width, side, top, _ = sides(image)
    return image[:, top : top + side] if height > width else image


@mistake("center_square", "The side is always the height, which is the shorter side only in wide images.")
def side_is_the_height(image: Tensor) -> Tensor:
    height, width, _, _, _ = sides(image)
    left = (width - height) // 2
    return image[:, :, left : left + height]


@mistake("center_square", "The side is the smallest number in the whole shape, which may be the number of channels.")
def channels_counted(image: Tensor) -> Tensor:
    height, width = image.shape[-2:]
    side = min(image.shape)
    top, left = (height - side) // 2, (width - side) // 2
    return image[:, top : top + side, left : left + side]


@mistake("center_square", "The right square is cut, but its rows have become columns.")
def transposed(image: Tensor) -> Tensor:
    _, _, side, top, left = sides(image)
    return image[:, top : top + side, left : left + side].transpose(1, 2)


@mistake("center_square", "The right square is cut, but its channels have moved to the last dimension.")
def channels_moved(image: Tensor) -> Tensor:
    _, _, side, top, left = sides(image)
    return image[:, top : top + side, left : left + side].permute(1, 2, 0)


@mistake("center_square", "The right square is cut, but it has an extra dimension in front.")
def batch_of_one(image: Tensor) -> Tensor:
    _, _, side, top, left = sides(image)
    return image[None, :, top : top + side, left : left + side]


@mistake("center_square", "Only the first channel is left.")
def red_only(image: Tensor) -> Tensor:
    _, _, side, top, left = sides(image)
    return image[:1, top : top + side, left : left + side]


@mistake("center_square", "The pixels outside the square turn black, but they are still there. They should be cut off.")
def outside_made_black(image: Tensor) -> Tensor:
    _, _, side, top, left = sides(image)
    inside = torch.zeros_like(image)
    inside[:, top : top + side, left : left + side] = 1
    return image * inside


@mistake("center_square", "The pixels are converted to floats. An image of bytes should stay an image of bytes.")
def turned_to_floats(image: Tensor) -> Tensor:
    _, _, side, top, left = sides(image)
    return image[:, top : top + side, left : left + side].float()


@mistake("center_square", "The pixels are divided by 255. That is the job of `to_unit`.")
def divided_as_well(image: Tensor) -> Tensor:
    _, _, side, top, left = sides(image)
    square = image[:, top : top + side, left : left + side]
    return square / 255 if image.dtype == torch.uint8 else square


# ---- 0.3 random_flip ------------------------------------------------------------------------------------------------


def tosses(images: Tensor, generator: Generator) -> Tensor:
    """Return one toss for each image. The mistakes misuse them."""
    return torch.rand(len(images), 1, 1, 1, generator=generator, device=images.device) < 0.5


@mistake(
    "random_flip",
    "The rows are reversed, so images are upside down. Mirroring left-right reverses the columns. (`torch.fliplr` "
    "reverses dimension 1, which is the rows in (C, H, W).)",
)
def upside_down(images: Tensor, *, generator: Generator = None) -> Tensor:
    return torch.where(tosses(images, generator), images.flip(-2), images)


@mistake("random_flip", "Both the rows and the columns are reversed, which rotates an image by 180 degrees.")
def turned_around(images: Tensor, *, generator: Generator = None) -> Tensor:
    return torch.where(tosses(images, generator), images.flip(-2, -1), images)


@mistake(
    "random_flip",
    "The channels are reversed: red and blue are swapped, and nothing is mirrored. (`torch.fliplr` reverses dimension "
    "1, which is the channels in (N, C, H, W).)",
)
def colors_swapped(images: Tensor, *, generator: Generator = None) -> Tensor:
    return torch.where(tosses(images, generator), images.flip(1), images)


@mistake("random_flip", "Channels, rows and columns are all reversed. Only the columns should be.")
def all_reversed(images: Tensor, *, generator: Generator = None) -> Tensor:
    return torch.where(tosses(images, generator), images.flip(1, 2, 3), images)


@mistake(
    "random_flip",
    "The batch is reversed instead of the columns. Some images are replaced by others, and none is mirrored.",
)
def batch_reversed(images: Tensor, *, generator: Generator = None) -> Tensor:
    return torch.where(tosses(images, generator), images.flip(0), images)


@mistake(
    "random_flip",
    "All dimensions are reversed, including the order of the images in the batch. Only the columns should be.",
)
def everything_reversed(images: Tensor, *, generator: Generator = None) -> Tensor:
    return torch.where(tosses(images, generator), images.flip(0, 1, 2, 3), images)


@mistake("random_flip", "A second toss also mirrors images top to bottom. Images should only be mirrored left-right.")
def both_ways(images: Tensor, *, generator: Generator = None) -> Tensor:
    images = torch.where(tosses(images, generator), images.flip(-1), images)
    return torch.where(tosses(images, generator), images.flip(-2), images)


@mistake("random_flip", "One toss decides for the whole batch. Each image should have its own toss.")
def all_together(images: Tensor, *, generator: Generator = None) -> Tensor:
    return images.flip(-1) if torch.rand(1, generator=generator) < 0.5 else images


@mistake(
    "random_flip", "No image is ever mirrored. Either every toss comes out the same way, or the result is thrown away."
)
def never(images: Tensor, *, generator: Generator = None) -> Tensor:
    return torch.where(torch.randint(0, 1, (len(images), 1, 1, 1), generator=generator) == 1, images.flip(-1), images)


@mistake(
    "random_flip", "All images are mirrored every time. Either nothing is tossed, or every toss comes out the same way."
)
def always(images: Tensor, *, generator: Generator = None) -> Tensor:
    return images.flip(-1)


@mistake("random_flip", "Fewer than half of the images are mirrored. It should be about half of them.")
def one_in_three(images: Tensor, *, generator: Generator = None) -> Tensor:
    return torch.where(torch.randint(0, 3, (len(images), 1, 1, 1), generator=generator) == 0, images.flip(-1), images)


@mistake(
    "random_flip",
    "About a quarter of the images are mirrored, as with two tosses per image. It should be about half of them.",
)
def one_in_four(images: Tensor, *, generator: Generator = None) -> Tensor:
    return torch.where(tosses(images, generator) & tosses(images, generator), images.flip(-1), images)


@mistake(
    "random_flip",
    "The tosses are Gaussian (`randn`), and 69% of Gaussian numbers are below 0.5 instead of half of them.",
)
def gaussian_tosses(images: Tensor, *, generator: Generator = None) -> Tensor:
    return torch.where(torch.randn(len(images), 1, 1, 1, generator=generator) < 0.5, images.flip(-1), images)


@mistake("random_flip", "Each channel has its own toss, so some images are mirrored in red but not in blue.")
def by_channel(images: Tensor, *, generator: Generator = None) -> Tensor:
    return torch.where(torch.rand(*images.shape[:2], 1, 1, generator=generator) < 0.5, images.flip(-1), images)


@mistake("random_flip", "Each row has its own toss, which tears the image apart.")
def by_row(images: Tensor, *, generator: Generator = None) -> Tensor:
    return torch.where(torch.rand(*images.shape[:3], 1, generator=generator) < 0.5, images.flip(-1), images)


@mistake("random_flip", "Each column has its own toss, so some columns appear twice and others not at all.")
def by_column(images: Tensor, *, generator: Generator = None) -> Tensor:
    tossed = torch.rand(len(images), 1, 1, images.shape[-1], generator=generator) < 0.5
    return torch.where(tossed, images.flip(-1), images)


@mistake("random_flip", "Each pixel of each channel has its own toss, which mixes the image with its mirror image.")
def by_number(images: Tensor, *, generator: Generator = None) -> Tensor:
    return torch.where(torch.rand(images.shape, generator=generator) < 0.5, images.flip(-1), images)


@mistake("random_flip", "Each pixel has its own toss, which mixes the image with its mirror image.")
def by_pixel(images: Tensor, *, generator: Generator = None) -> Tensor:
    tossed = torch.rand(len(images), 1, *images.shape[2:], generator=generator) < 0.5
    return torch.where(tossed, images.flip(-1), images)


@mistake(
    "random_flip",
    "The random number is used as a weight, so the image and its mirror image are blended, as in double vision.",
)
def blended(images: Tensor, *, generator: Generator = None) -> Tensor:
    return torch.lerp(images, images.flip(-1), torch.rand(len(images), 1, 1, 1, generator=generator))


@mistake(
    "random_flip",
    "An image that isn't mirrored turns black: nothing takes its place.",
)
def others_black(images: Tensor, *, generator: Generator = None) -> Tensor:
    return images.flip(-1) * tosses(images, generator)


@mistake("random_flip", "The mirror image is added to the image. It should replace the image.")
def added(images: Tensor, *, generator: Generator = None) -> Tensor:
    return images + images.flip(-1) * tosses(images, generator)


@mistake("random_flip", "The columns are in random order. In a mirrored image, the last column comes first, and so on.")
def columns_shuffled(images: Tensor, *, generator: Generator = None) -> Tensor:
    order = torch.randperm(images.shape[-1], generator=generator)
    return torch.where(tosses(images, generator), images[..., order], images)


@mistake(
    "random_flip",
    "The columns are shifted by one, with wraparound. In a mirrored image, the last column comes first, and so on.",
)
def shifted(images: Tensor, *, generator: Generator = None) -> Tensor:
    return torch.where(tosses(images, generator), images.roll(1, -1), images)


@mistake("random_flip", "The images are shuffled too. Each image should keep its place in the batch.")
def shuffled(images: Tensor, *, generator: Generator = None) -> Tensor:
    images = torch.where(tosses(images, generator), images.flip(-1), images)
    return images[torch.randperm(len(images), generator=generator)]


@mistake("random_flip", "The mirrored images come after all the others. Each image should keep its place in the batch.")
def sorted_by_toss(images: Tensor, *, generator: Generator = None) -> Tensor:
    chosen = tosses(images, generator).flatten()
    return torch.cat([images[~chosen], images[chosen].flip(-1)])


@mistake("random_flip", "Only the mirrored images are returned, and the others are lost.")
def mirrored_only(images: Tensor, *, generator: Generator = None) -> Tensor:
    return images[tosses(images, generator).flatten()].flip(-1)


@mistake("random_flip", "The mirrored images are added to the end of the batch, so the batch has grown.")
def batch_grown(images: Tensor, *, generator: Generator = None) -> Tensor:
    return torch.cat([images, images[tosses(images, generator).flatten()].flip(-1)])


@mistake(
    "random_flip", "All images are returned twice, as they were and mirrored. Each image should be one or the other."
)
def batch_doubled(images: Tensor, *, generator: Generator = None) -> Tensor:
    return torch.cat([images, images.flip(-1)])


@mistake("random_flip", "The images are mirrored in place. The caller's images must stay as they were.")
def in_the_callers_batch(images: Tensor, *, generator: Generator = None) -> Tensor:
    chosen = tosses(images, generator).flatten()
    images[chosen] = images[chosen].flip(-1)
    return images


@mistake(
    "random_flip", "The tosses have shape (N,), which lines up with the columns of an image instead of the images."
)
def bare_tosses(images: Tensor, *, generator: Generator = None) -> Tensor:
    return torch.where(tosses(images, generator).flatten(), images.flip(-1), images)


@mistake(
    "random_flip",
    "The tosses line up with the channels instead of the images, as tosses of shape (N, 1, 1) do.",
)
def one_dimension_short(images: Tensor, *, generator: Generator = None) -> Tensor:
    return torch.where(tosses(images, generator)[:, 0], images.flip(-1), images)


@mistake("random_flip", "An `if` needs a single True or False, but there are N tosses, one for each image.")
def if_of_many(images: Tensor, *, generator: Generator = None) -> Tensor:
    return images.flip(-1) if torch.rand(len(images), generator=generator) < 0.5 else images


@mistake("random_flip", "Lists can be sliced with a step of -1, but tensors can't. They have a method for it.")
def step_of_minus_one(images: Tensor, *, generator: Generator = None) -> Tensor:
    return torch.where(tosses(images, generator), images[:, :, :, ::-1], images)


@mistake("random_flip", "The result is a list of images that aren't combined into one tensor yet.")
def list_of_images(images: Tensor, *, generator: Generator = None) -> object:
    return [image.flip(-1) if toss else image for image, toss in zip(images, tosses(images, generator))]


@mistake("random_flip", "The tosses are returned too. Only the images should be.")
def tosses_as_well(images: Tensor, *, generator: Generator = None) -> object:
    mirrored = tosses(images, generator)
    return torch.where(mirrored, images.flip(-1), images), mirrored


@mistake("random_flip", "The generator isn't used: the tosses come from somewhere else, so nobody can repeat a run.")
def generator_ignored(images: Tensor, *, generator: Generator = None) -> Tensor:
    return torch.where(tosses(images, None), images.flip(-1), images)


@mistake("random_flip", "The generator is reseeded at each call, so every batch gets the same tosses.")
def generator_reseeded(images: Tensor, *, generator: Generator = None) -> Tensor:
    if generator is not None:
        generator.manual_seed(0)
    return torch.where(tosses(images, generator), images.flip(-1), images)


@mistake("random_flip", "Each call makes its own generator with the same seed, so every batch gets the same tosses.")
def own_generator(images: Tensor, *, generator: Generator = None) -> Tensor:
    return torch.where(tosses(images, torch.Generator().manual_seed(0)), images.flip(-1), images)


@mistake(
    "random_flip",
    "The function calls `torch.manual_seed`, so each batch, and all other code, gets the same random numbers again.",
)
def everyone_reseeded(images: Tensor, *, generator: Generator = None) -> Tensor:
    torch.manual_seed(0)
    return torch.where(tosses(images, None), images.flip(-1), images)


@mistake(
    "random_flip", "When no generator is given, the function makes a new one, which always starts from the same seed."
)
def new_generator_in_its_place(images: Tensor, *, generator: Generator = None) -> Tensor:
    return torch.where(tosses(images, generator or torch.Generator()), images.flip(-1), images)


@mistake(
    "random_flip", "When no generator is given, torch's global generator is reseeded, which affects all other code too."
)
def everyone_reseeded_without_one(images: Tensor, *, generator: Generator = None) -> Tensor:
    if generator is None:
        torch.manual_seed(0)
    return torch.where(tosses(images, generator), images.flip(-1), images)


@mistake("random_flip", "Every second image is mirrored, always the same ones. Chance should decide.")
def every_second(images: Tensor, *, generator: Generator = None) -> Tensor:
    return torch.where(torch.arange(len(images)).view(-1, 1, 1, 1) % 2 == 0, images, images.flip(-1))


@mistake("random_flip", "The first half of the batch is always mirrored. Chance should decide.")
def first_half(images: Tensor, *, generator: Generator = None) -> Tensor:
    half = len(images) // 2
    return torch.cat([images[:half].flip(-1), images[half:]])


@mistake("random_flip", "The second half of the batch is always mirrored. Chance should decide.")
def second_half(images: Tensor, *, generator: Generator = None) -> Tensor:
    half = len(images) // 2
    return torch.cat([images[:half], images[half:].flip(-1)])


@mistake(
    "random_flip",
    "The tosses, 0 and 1, are used as indices, so images 0 and 1 are mirrored however the tosses come out.",
)
def tosses_as_places(images: Tensor, *, generator: Generator = None) -> Tensor:
    places = torch.randint(0, 2, (len(images),), generator=generator, device=images.device)
    flipped = images.clone()
    flipped[places] = images[places].flip(-1)
    return flipped


@mistake(
    "random_flip",
    "Exactly half of each batch is mirrored. Chance picks which half, but a batch of one image never changes.",
)
def exactly_half(images: Tensor, *, generator: Generator = None) -> Tensor:
    chosen = torch.randperm(len(images), generator=generator) < len(images) // 2
    return torch.where(chosen.view(-1, 1, 1, 1), images.flip(-1), images)


@mistake(
    "random_flip",
    "Exactly one image of each batch is mirrored. Chance picks which one, but all the others stay the same.",
)
def one_of_each_batch(images: Tensor, *, generator: Generator = None) -> Tensor:
    chosen = torch.arange(len(images)) == torch.randint(0, len(images), (1,), generator=generator)
    return torch.where(chosen.view(-1, 1, 1, 1), images.flip(-1), images)


@mistake("random_flip", "The tosses are always made on the CPU, wherever the images are, which fails on a GPU.")
def device_forgotten(images: Tensor, *, generator: Generator = None) -> Tensor:
    return torch.where(torch.rand(len(images), 1, 1, 1, generator=generator) < 0.5, images.flip(-1), images)
