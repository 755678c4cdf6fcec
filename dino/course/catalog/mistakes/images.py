"""Wrong answers to lesson 00 that people give, and what to say to each. The grader knows a mistake when it sees one.

Reading on spoils the exercises.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from ...grader.expect import mistake

Generator = torch.Generator | None

# ---- 0.1 to_unit ----------------------------------------------------------------------------------------------------


@mistake("to_unit", "There are 256 bytes, but the largest is 255: here white becomes 0.996 in place of 1.")
def by_256(images_uint8: Tensor) -> Tensor:
    return images_uint8.float() / 256


@mistake("to_unit", "The result is whole numbers: the fractions are cut off, so that all but white is 0.")
def whole_numbers(images_uint8: Tensor) -> Tensor:
    return images_uint8 // 255


@mistake("to_unit", "The bytes are divided without a fraction and turned to floats only then, so all but white is 0.")
def floats_too_late(images_uint8: Tensor) -> Tensor:
    return (images_uint8 // 255).float()


@mistake("to_unit", "The bytes are returned as they came.")
def nothing_done(images_uint8: Tensor) -> Tensor:
    return images_uint8


@mistake("to_unit", "The kind of number has changed, but the range hasn't: white is still 255.")
def never_divided(images_uint8: Tensor) -> Tensor:
    return images_uint8.float()


@mistake("to_unit", "The range is -1 to 1, as some other models have it; here black is 0.")
def minus_one_to_one(images_uint8: Tensor) -> Tensor:
    return images_uint8.float() / 127.5 - 1


@mistake("to_unit", "128 is taken off first, so that gray is 0 and all that is darker lies below 0.")
def around_gray(images_uint8: Tensor) -> Tensor:
    return (images_uint8.float() - 128) / 128


@mistake(
    "to_unit", "The values are stretched so that the darkest becomes 0 and the brightest 1: a dim picture must stay."
)
def stretched(images_uint8: Tensor) -> Tensor:
    x = images_uint8.float()
    return (x - x.min()) / (x.max() - x.min())


@mistake("to_unit", "Each image is stretched from its own darkest to its own brightest pixel, so none keeps its look.")
def stretched_by_image(images_uint8: Tensor) -> Tensor:
    x = images_uint8.float()
    low, high = x.amin((-3, -2, -1), keepdim=True), x.amax((-3, -2, -1), keepdim=True)
    return (x - low) / (high - low)


@mistake("to_unit", "The values are divided by the brightest of them, so what a byte becomes depends on the others.")
def by_the_brightest(images_uint8: Tensor) -> Tensor:
    return images_uint8.float() / images_uint8.max()


@mistake(
    "to_unit", "The values are divided only if one is above 1: bytes of 0 and 1 are a black picture, not a white one."
)
def only_if_above_one(images_uint8: Tensor) -> Tensor:
    x = images_uint8.float()
    return x / 255 if x.max() > 1 else x


@mistake(
    "to_unit", "The mean is taken off and the spread divided out, as networks elsewhere like it; here it's 0 to 1."
)
def standardised(images_uint8: Tensor) -> Tensor:
    x = images_uint8.float()
    return (x - x.mean()) / x.std()


@mistake("to_unit", "The means of ImageNet's colors are taken off and their spread divided out; here it's 0 to 1.")
def like_imagenet(images_uint8: Tensor) -> Tensor:
    mean, std = torch.tensor([0.485, 0.456, 0.406]).view(3, 1, 1), torch.tensor([0.229, 0.224, 0.225]).view(3, 1, 1)
    return (images_uint8.float() / 255 - mean) / std


@mistake("to_unit", "The result is written into the bytes themselves, which have no room for fractions.")
def in_place(images_uint8: Tensor) -> Tensor:
    return images_uint8.div_(255)


@mistake("to_unit", "The result is written into the caller's bytes, cut off to 0 and 1: the pictures are lost.")
def written_back(images_uint8: Tensor) -> Tensor:
    images_uint8[:] = images_uint8 / 255
    return images_uint8


@mistake("to_unit", "The numbers are right, but float64 (double): twice the memory of float32, and far slower on GPUs.")
def double(images_uint8: Tensor) -> Tensor:
    return images_uint8.double() / 255


@mistake("to_unit", "The numbers are float16 (half), which keeps about three digits: too few for what is to come.")
def half(images_uint8: Tensor) -> Tensor:
    return images_uint8.half() / 255


@mistake("to_unit", "The numbers went through float16 on the way, which rounds them to three digits for good.")
def through_half(images_uint8: Tensor) -> Tensor:
    return (images_uint8.half() / 255).float()


@mistake("to_unit", "The values are divided by 255 twice, so white is hardly brighter than black.")
def divided_twice(images_uint8: Tensor) -> Tensor:
    return images_uint8.float() / 255 / 255


@mistake("to_unit", "The values are divided by 225, which looks like the right number: white becomes 1.13.")
def by_225(images_uint8: Tensor) -> Tensor:
    return images_uint8.float() / 225


@mistake("to_unit", "The picture is a negative: black became 1 and white 0.")
def negative(images_uint8: Tensor) -> Tensor:
    return 1 - images_uint8.float() / 255


@mistake("to_unit", "The numbers are rounded to 0 or 1: of each color only all or nothing is left.")
def rounded(images_uint8: Tensor) -> Tensor:
    return torch.round(images_uint8.float() / 255)


@mistake("to_unit", "The numbers are rounded to two decimals, which leaves 101 shades of the 256.")
def two_decimals(images_uint8: Tensor) -> Tensor:
    return torch.round(images_uint8.float() / 255, decimals=2)


@mistake("to_unit", "int8 ends at 127: the brighter half of the bytes comes out negative.")
def signed_bytes(images_uint8: Tensor) -> Tensor:
    return images_uint8.to(torch.int8).float() / 255


@mistake("to_unit", "1 is added while they are still bytes, where 255 + 1 is 0 again: white turns black.")
def overflowing(images_uint8: Tensor) -> Tensor:
    return (images_uint8 + 1) / 256


@mistake("to_unit", "A sigmoid squeezes the values towards 1; an even scale is wanted, from 0 to 1.")
def through_a_sigmoid(images_uint8: Tensor) -> Tensor:
    return torch.sigmoid(images_uint8.float())


@mistake("to_unit", "`normalize` scales vectors to length 1; what a byte becomes must not depend on the others.")
def to_unit_length(images_uint8: Tensor) -> Tensor:
    return F.normalize(images_uint8.float())


@mistake("to_unit", "The numbers are cut off at 1 and never divided, so all but black is white.")
def cut_off(images_uint8: Tensor) -> Tensor:
    return images_uint8.float().clamp(0, 1)


@mistake("to_unit", "The channels have moved to the end, as other libraries have them; here a shape stays as it is.")
def channels_last(images_uint8: Tensor) -> Tensor:
    return images_uint8.movedim(-3, -1).float() / 255


@mistake("to_unit", "A dimension is added in front: the shape should stay as it is.")
def one_more_dimension(images_uint8: Tensor) -> Tensor:
    return images_uint8.unsqueeze(0).float() / 255


@mistake("to_unit", "All is laid out in one long row; the shape should stay as it is.")
def flattened(images_uint8: Tensor) -> Tensor:
    return images_uint8.flatten().float() / 255


@mistake("to_unit", "Only the first picture of the batch is returned.")
def first_only(images_uint8: Tensor) -> Tensor:
    return images_uint8[0].float() / 255


@mistake("to_unit", "The result is an array of numpy, another library; torch's functions want a tensor.")
def as_numpy(images_uint8: Tensor) -> object:
    return images_uint8.numpy() / 255


@mistake("to_unit", "The result is a list; torch's functions want a tensor.")
def as_list(images_uint8: Tensor) -> object:
    return (images_uint8 / 255).tolist()


# ---- 0.2 center_square ----------------------------------------------------------------------------------------------


def sides(image: Tensor) -> tuple[int, int, int, int, int]:
    """Height, width, the shorter side, and where the middle square begins: for the mistakes to spoil."""
    height, width = image.shape[-2:]
    side = min(height, width)
    return height, width, side, (height - side) // 2, (width - side) // 2


@mistake("center_square", "The square is cut from the top left corner, where the middle is wanted.")
def top_left_corner(image: Tensor) -> Tensor:
    _, _, side, _, _ = sides(image)
    return image[:, :side, :side]


@mistake("center_square", "All that is too much is cut off on one side: the square is the last part of the picture.")
def bottom_right_corner(image: Tensor) -> Tensor:
    height, width, side, _, _ = sides(image)
    return image[:, height - side :, width - side :]


@mistake("center_square", "The square begins in the middle of the picture; it should lie around the middle.")
def begins_in_the_middle(image: Tensor) -> Tensor:
    height, width, side, _, _ = sides(image)
    top = height // 2 if height > side else 0
    left = width // 2 if width > side else 0
    return image[:, top : top + side, left : left + side]


@mistake("center_square", "The square ends in the middle of the picture; it should lie around the middle.")
def ends_in_the_middle(image: Tensor) -> Tensor:
    height, width, side, _, _ = sides(image)
    top, left = max(0, height // 2 - side), max(0, width // 2 - side)
    return image[:, top : top + side, left : left + side]


@mistake("center_square", "The square lies a third of the way in: as much should be cut off on either side.")
def a_third_of_the_way(image: Tensor) -> Tensor:
    height, width, side, _, _ = sides(image)
    top, left = (height - side) // 3, (width - side) // 3
    return image[:, top : top + side, left : left + side]


@mistake("center_square", "The square begins at half of its own length; what matters is how much is too much.")
def begins_at_half_the_side(image: Tensor) -> Tensor:
    height, width, side, _, _ = sides(image)
    top = side // 2 if height > side else 0
    left = side // 2 if width > side else 0
    return image[:, top : top + side, left : left + side]


@mistake(
    "center_square",
    "Half of the side is taken to the left and to the right of the middle, and an odd side loses a pixel.",
)
def half_to_either_side(image: Tensor) -> Tensor:
    height, width, side, _, _ = sides(image)
    y, x, half = height // 2, width // 2, side // 2
    return image[:, y - half : y + half, x - half : x + half]


@mistake("center_square", "The square lies one pixel too far right or below.")
def one_too_far(image: Tensor) -> Tensor:
    height, width, side, top, left = sides(image)
    top, left = top + (height > side), left + (width > side)
    return image[:, top : top + side, left : left + side]


@mistake("center_square", "The square lies one pixel too far left or above.")
def one_too_near(image: Tensor) -> Tensor:
    _, _, side, top, left = sides(image)
    top, left = max(0, top - 1), max(0, left - 1)
    return image[:, top : top + side, left : left + side]


@mistake("center_square", "The result is one pixel too small: a slice ends *before* its second number.")
def one_too_small(image: Tensor) -> Tensor:
    _, _, side, top, left = sides(image)
    return image[:, top : top + side - 1, left : left + side - 1]


@mistake("center_square", "The result is one pixel too large: a slice ends *before* its second number.")
def one_too_large(image: Tensor) -> Tensor:
    _, _, side, top, left = sides(image)
    return image[:, top : top + side + 1, left : left + side + 1]


@mistake(
    "center_square", "The slices end at the length of the side; a square that begins further in ends further on, too."
)
def ends_at_the_side(image: Tensor) -> Tensor:
    _, _, side, top, left = sides(image)
    return image[:, top:side, left:side]


@mistake("center_square", "The same number is cut off at both ends, so an odd number leaves a row or column too many.")
def same_on_both_ends(image: Tensor) -> Tensor:
    height, width, _, top, left = sides(image)
    return image[:, top : height - top, left : width - left]


@mistake("center_square", "A slice such as `x[0:-0]` is empty: -0 is 0, so it ends where it begins.")
def minus_zero(image: Tensor) -> Tensor:
    _, _, _, top, left = sides(image)
    return image[:, top:-top, left:-left]


@mistake("center_square", "The division comes before the subtraction: brackets are missing around the difference.")
def brackets_missing(image: Tensor) -> Tensor:
    height, width, side, _, _ = sides(image)
    top, left = height - side // 2, width - side // 2
    return image[:, top : top + side, left : left + side]


@mistake("center_square", "`/` gives a number with a fraction, even where it is .0, and a slice needs whole ones.")
def places_with_fractions(image: Tensor) -> Tensor:
    height, width, side, _, _ = sides(image)
    top, left = (height - side) / 2, (width - side) / 2
    return image[:, top : top + side, left : left + side]


@mistake(
    "center_square", "The square takes the longer side (here the width), and the picture has no pixels to fill it."
)
def longer_side(image: Tensor) -> Tensor:
    height, width, _, _, _ = sides(image)
    side = max(height, width)
    top, left = (height - side) // 2, (width - side) // 2
    return image[:, top : top + side, left : left + side]


@mistake("center_square", "The picture is filled up with black to a square with its longer side; it should be cut.")
def filled_up(image: Tensor) -> Tensor:
    height, width, _, _, _ = sides(image)
    side = max(height, width)
    down, right = side - height, side - width
    return F.pad(image, (right // 2, right - right // 2, down // 2, down - down // 2))


@mistake("center_square", "The picture is squeezed into a square by leaving out some of its pixels; it should be cut.")
def squeezed(image: Tensor) -> Tensor:
    _, _, side, _, _ = sides(image)
    return F.interpolate(image[None].float(), size=(side, side))[0].to(image.dtype)


@mistake("center_square", "The picture is squeezed into a square by blending pixels; it should be cut.")
def squeezed_smoothly(image: Tensor) -> Tensor:
    _, _, side, _, _ = sides(image)
    return F.interpolate(image[None].float(), size=(side, side), mode="bilinear")[0].to(image.dtype)


@mistake("center_square", "The picture is resized to a square with its longer side; it should be cut.")
def blown_up(image: Tensor) -> Tensor:
    height, width, _, _, _ = sides(image)
    side = max(height, width)
    return F.interpolate(image[None].float(), size=(side, side))[0].to(image.dtype)


@mistake("center_square", "The picture is cut to a square, but resized again to the width it had.")
def resized_after_the_cut(image: Tensor) -> Tensor:
    height, width, side, top, left = sides(image)
    square = image[:, top : top + side, left : left + side]
    return F.interpolate(square[None].float(), size=(height, width))[0].to(image.dtype)


@mistake("center_square", "Height and width are swapped: a shape is (C, H, W), so the rows come before the columns.")
def swapped(image: Tensor) -> Tensor:
    _, width, height = image.shape
    side = min(height, width)
    top, left = (height - side) // 2, (width - side) // 2
    return image[:, top : top + side, left : left + side]


@mistake("center_square", "The first dimension is taken for the height, as if the shape were (H, W, C).")
def channels_last_assumed(image: Tensor) -> Tensor:
    height, width, _ = image.shape
    side = min(height, width)
    top, left = (height - side) // 2, (width - side) // 2
    return image[top : top + side, left : left + side]


@mistake(
    "center_square",
    "The first place in the brackets is the channel: without a `:` in front, the rows' slice cuts the channels.",
)
def channels_forgotten(image: Tensor) -> Tensor:
    _, _, side, top, left = sides(image)
    return image[top : top + side, left : left + side]


@mistake("center_square", "Wide pictures alone are cut; a tall one has too many rows and keeps them.")
def wide_only(image: Tensor) -> Tensor:
    height, width, side, _, left = sides(image)
    return image[:, :, left : left + side] if width > height else image


@mistake("center_square", "A wide picture comes back as it was, with all its columns.")
def tall_only(image: Tensor) -> Tensor:
    height, width, side, top, _ = sides(image)
    return image[:, top : top + side] if height > width else image


@mistake("center_square", "The side is always the height, which is the shorter one in wide pictures only.")
def side_is_the_height(image: Tensor) -> Tensor:
    height, width, _, _, _ = sides(image)
    left = (width - height) // 2
    return image[:, :, left : left + height]


@mistake("center_square", "The smallest number of the whole shape is taken as the side, and that may be the channels.")
def channels_counted(image: Tensor) -> Tensor:
    height, width = image.shape[-2:]
    side = min(image.shape)
    top, left = (height - side) // 2, (width - side) // 2
    return image[:, top : top + side, left : left + side]


@mistake("center_square", "The right square is cut, but its rows have become columns: it is turned over.")
def transposed(image: Tensor) -> Tensor:
    _, _, side, top, left = sides(image)
    return image[:, top : top + side, left : left + side].transpose(1, 2)


@mistake("center_square", "The right square is cut, but its channels have moved to the end.")
def channels_moved(image: Tensor) -> Tensor:
    _, _, side, top, left = sides(image)
    return image[:, top : top + side, left : left + side].permute(1, 2, 0)


@mistake("center_square", "The right square is cut, but a dimension is added in front.")
def batch_of_one(image: Tensor) -> Tensor:
    _, _, side, top, left = sides(image)
    return image[None, :, top : top + side, left : left + side]


@mistake("center_square", "Only the first channel is left.")
def red_only(image: Tensor) -> Tensor:
    _, _, side, top, left = sides(image)
    return image[:1, top : top + side, left : left + side]


@mistake("center_square", "What lies outside the square turns black, but is still there; it should be cut off.")
def outside_made_black(image: Tensor) -> Tensor:
    _, _, side, top, left = sides(image)
    inside = torch.zeros_like(image)
    inside[:, top : top + side, left : left + side] = 1
    return image * inside


@mistake("center_square", "The pixels are turned to floats on the way; a picture of bytes should stay one of bytes.")
def turned_to_floats(image: Tensor) -> Tensor:
    _, _, side, top, left = sides(image)
    return image[:, top : top + side, left : left + side].float()


@mistake("center_square", "The pixels are divided by 255 on the way; that is the work of `to_unit`.")
def divided_as_well(image: Tensor) -> Tensor:
    _, _, side, top, left = sides(image)
    square = image[:, top : top + side, left : left + side]
    return square / 255 if image.dtype == torch.uint8 else square


# ---- 0.3 random_flip ------------------------------------------------------------------------------------------------


def tosses(images: Tensor, generator: Generator) -> Tensor:
    """One toss for each image, for the mistakes to spoil."""
    return torch.rand(len(images), 1, 1, 1, generator=generator, device=images.device) < 0.5


@mistake(
    "random_flip",
    "The rows are reversed, so images stand on their heads; left-right reverses the columns. (`torch.fliplr` reverses "
    "dimension 1: in (C, H, W) the rows.)",
)
def upside_down(images: Tensor, *, generator: Generator = None) -> Tensor:
    return torch.where(tosses(images, generator), images.flip(-2), images)


@mistake("random_flip", "Rows and columns are both reversed, which turns an image by 180 degrees.")
def turned_around(images: Tensor, *, generator: Generator = None) -> Tensor:
    return torch.where(tosses(images, generator), images.flip(-2, -1), images)


@mistake(
    "random_flip",
    "The channels are reversed: red and blue are swapped, and nothing is mirrored. (`torch.fliplr` reverses dimension "
    "1: in (N, C, H, W) the channels.)",
)
def colors_swapped(images: Tensor, *, generator: Generator = None) -> Tensor:
    return torch.where(tosses(images, generator), images.flip(1), images)


@mistake("random_flip", "Channels, rows and columns are all reversed; the columns alone are wanted.")
def all_reversed(images: Tensor, *, generator: Generator = None) -> Tensor:
    return torch.where(tosses(images, generator), images.flip(1, 2, 3), images)


@mistake(
    "random_flip", "The batch is reversed, not the columns: some images are replaced by others, and none is mirrored."
)
def batch_reversed(images: Tensor, *, generator: Generator = None) -> Tensor:
    return torch.where(tosses(images, generator), images.flip(0), images)


@mistake("random_flip", "All dimensions are reversed, the images of the batch as well; the columns alone are wanted.")
def everything_reversed(images: Tensor, *, generator: Generator = None) -> Tensor:
    return torch.where(tosses(images, generator), images.flip(0, 1, 2, 3), images)


@mistake("random_flip", "Images are mirrored top to bottom too, by a second toss; left-right alone is wanted.")
def both_ways(images: Tensor, *, generator: Generator = None) -> Tensor:
    images = torch.where(tosses(images, generator), images.flip(-1), images)
    return torch.where(tosses(images, generator), images.flip(-2), images)


@mistake("random_flip", "One toss decides for the whole batch; each image should have its own.")
def all_together(images: Tensor, *, generator: Generator = None) -> Tensor:
    return images.flip(-1) if torch.rand(1, generator=generator) < 0.5 else images


@mistake("random_flip", "No image is ever mirrored: the toss always falls the same way, or the result is thrown away.")
def never(images: Tensor, *, generator: Generator = None) -> Tensor:
    return torch.where(torch.randint(0, 1, (len(images), 1, 1, 1), generator=generator) == 1, images.flip(-1), images)


@mistake("random_flip", "All images are mirrored, always: nothing is tossed, or the toss always falls the same way.")
def always(images: Tensor, *, generator: Generator = None) -> Tensor:
    return images.flip(-1)


@mistake("random_flip", "Fewer than half of the images are mirrored; it should be about half of them.")
def one_in_three(images: Tensor, *, generator: Generator = None) -> Tensor:
    return torch.where(torch.randint(0, 3, (len(images), 1, 1, 1), generator=generator) == 0, images.flip(-1), images)


@mistake("random_flip", "About a quarter of the images is mirrored, as of two tosses; it should be a half.")
def one_in_four(images: Tensor, *, generator: Generator = None) -> Tensor:
    return torch.where(tosses(images, generator) & tosses(images, generator), images.flip(-1), images)


@mistake("random_flip", "The tosses are Gaussian (randn): 69% of such numbers are below 0.5, not half of them.")
def gaussian_tosses(images: Tensor, *, generator: Generator = None) -> Tensor:
    return torch.where(torch.randn(len(images), 1, 1, 1, generator=generator) < 0.5, images.flip(-1), images)


@mistake("random_flip", "Each channel has a toss of its own, so that some images are mirrored in red and not in blue.")
def by_channel(images: Tensor, *, generator: Generator = None) -> Tensor:
    return torch.where(torch.rand(*images.shape[:2], 1, 1, generator=generator) < 0.5, images.flip(-1), images)


@mistake("random_flip", "Each row has a toss of its own, which tears the image apart.")
def by_row(images: Tensor, *, generator: Generator = None) -> Tensor:
    return torch.where(torch.rand(*images.shape[:3], 1, generator=generator) < 0.5, images.flip(-1), images)


@mistake("random_flip", "Each column has a toss of its own, so that some are there twice and others not at all.")
def by_column(images: Tensor, *, generator: Generator = None) -> Tensor:
    tossed = torch.rand(len(images), 1, 1, images.shape[-1], generator=generator) < 0.5
    return torch.where(tossed, images.flip(-1), images)


@mistake(
    "random_flip", "Each pixel of each channel has a toss of its own, which mixes the image with its mirror image."
)
def by_number(images: Tensor, *, generator: Generator = None) -> Tensor:
    return torch.where(torch.rand(images.shape, generator=generator) < 0.5, images.flip(-1), images)


@mistake("random_flip", "Each pixel has a toss of its own, which mixes the image with its mirror image.")
def by_pixel(images: Tensor, *, generator: Generator = None) -> Tensor:
    tossed = torch.rand(len(images), 1, *images.shape[2:], generator=generator) < 0.5
    return torch.where(tossed, images.flip(-1), images)


@mistake("random_flip", "The random number is used as a weight: image and mirror image are blended, as if seen double.")
def blended(images: Tensor, *, generator: Generator = None) -> Tensor:
    return torch.lerp(images, images.flip(-1), torch.rand(len(images), 1, 1, 1, generator=generator))


@mistake("random_flip", "An image that isn't mirrored turns black: multiplied by 0, with nothing put in its place.")
def others_black(images: Tensor, *, generator: Generator = None) -> Tensor:
    return images.flip(-1) * tosses(images, generator)


@mistake("random_flip", "The mirror image is added to the image; it should take its place.")
def added(images: Tensor, *, generator: Generator = None) -> Tensor:
    return images + images.flip(-1) * tosses(images, generator)


@mistake("random_flip", "The columns are in a random order; mirrored means the last first, and so on.")
def columns_shuffled(images: Tensor, *, generator: Generator = None) -> Tensor:
    order = torch.randperm(images.shape[-1], generator=generator)
    return torch.where(tosses(images, generator), images[..., order], images)


@mistake("random_flip", "The columns are shifted round by one; mirrored means the last first, and so on.")
def shifted(images: Tensor, *, generator: Generator = None) -> Tensor:
    return torch.where(tosses(images, generator), images.roll(1, -1), images)


@mistake("random_flip", "The images are shuffled as well: each should stay in its place in the batch.")
def shuffled(images: Tensor, *, generator: Generator = None) -> Tensor:
    images = torch.where(tosses(images, generator), images.flip(-1), images)
    return images[torch.randperm(len(images), generator=generator)]


@mistake(
    "random_flip", "The mirrored images are put behind all the others: each should stay in its place in the batch."
)
def sorted_by_toss(images: Tensor, *, generator: Generator = None) -> Tensor:
    chosen = tosses(images, generator).flatten()
    return torch.cat([images[~chosen], images[chosen].flip(-1)])


@mistake("random_flip", "Only the mirrored images are returned, and the others are lost.")
def mirrored_only(images: Tensor, *, generator: Generator = None) -> Tensor:
    return images[tosses(images, generator).flatten()].flip(-1)


@mistake("random_flip", "The mirrored images come on top of all the old ones: the batch has grown.")
def batch_grown(images: Tensor, *, generator: Generator = None) -> Tensor:
    return torch.cat([images, images[tosses(images, generator).flatten()].flip(-1)])


@mistake("random_flip", "All images are returned twice, as they were and mirrored: each should be one or the other.")
def batch_doubled(images: Tensor, *, generator: Generator = None) -> Tensor:
    return torch.cat([images, images.flip(-1)])


@mistake("random_flip", "The images are mirrored in place; the caller's must stay as they were.")
def in_the_callers_batch(images: Tensor, *, generator: Generator = None) -> Tensor:
    chosen = tosses(images, generator).flatten()
    images[chosen] = images[chosen].flip(-1)
    return images


@mistake(
    "random_flip", "The tosses have the shape (N,), which lines up with the columns of an image, not with the images."
)
def bare_tosses(images: Tensor, *, generator: Generator = None) -> Tensor:
    return torch.where(tosses(images, generator).flatten(), images.flip(-1), images)


@mistake(
    "random_flip",
    "The tosses have the shape (N, 1, 1), which lines up with channels, rows and columns: a 1 is missing.",
)
def one_dimension_short(images: Tensor, *, generator: Generator = None) -> Tensor:
    return torch.where(tosses(images, generator)[:, 0], images.flip(-1), images)


@mistake("random_flip", "An `if` asks one question, and these are N tosses at once: each is about one image.")
def if_of_many(images: Tensor, *, generator: Generator = None) -> Tensor:
    return images.flip(-1) if torch.rand(len(images), generator=generator) < 0.5 else images


@mistake("random_flip", "A step of -1, as for lists, is more than a tensor's slices can do; it has a method for it.")
def step_of_minus_one(images: Tensor, *, generator: Generator = None) -> Tensor:
    return torch.where(tosses(images, generator), images[:, :, :, ::-1], images)


@mistake("random_flip", "The result is a list of images, not yet put together to one tensor.")
def list_of_images(images: Tensor, *, generator: Generator = None) -> object:
    return [image.flip(-1) if toss else image for image, toss in zip(images, tosses(images, generator))]


@mistake("random_flip", "The tosses are returned as well; the images alone are wanted.")
def tosses_as_well(images: Tensor, *, generator: Generator = None) -> object:
    mirrored = tosses(images, generator)
    return torch.where(mirrored, images.flip(-1), images), mirrored


@mistake("random_flip", "The generator isn't used, so nobody can repeat what it did: the tosses come from elsewhere.")
def generator_ignored(images: Tensor, *, generator: Generator = None) -> Tensor:
    return torch.where(tosses(images, None), images.flip(-1), images)


@mistake("random_flip", "The generator is given a new seed at each call, so each batch gets the same tosses.")
def generator_reseeded(images: Tensor, *, generator: Generator = None) -> Tensor:
    if generator is not None:
        generator.manual_seed(0)
    return torch.where(tosses(images, generator), images.flip(-1), images)


@mistake(
    "random_flip", "A generator of its own is made at each call, from the same seed: each batch gets the same tosses."
)
def own_generator(images: Tensor, *, generator: Generator = None) -> Tensor:
    return torch.where(tosses(images, torch.Generator().manual_seed(0)), images.flip(-1), images)


@mistake(
    "random_flip", "torch.manual_seed is called inside: each batch gets the same tosses, and all other code as well."
)
def everyone_reseeded(images: Tensor, *, generator: Generator = None) -> Tensor:
    torch.manual_seed(0)
    return torch.where(tosses(images, None), images.flip(-1), images)


@mistake("random_flip", "Where no generator is given, a new one is made, and it always starts from the same seed.")
def new_generator_in_its_place(images: Tensor, *, generator: Generator = None) -> Tensor:
    return torch.where(tosses(images, generator or torch.Generator()), images.flip(-1), images)


@mistake("random_flip", "Where no generator is given, torch's global one gets a new seed, and with it all other code.")
def everyone_reseeded_without_one(images: Tensor, *, generator: Generator = None) -> Tensor:
    if generator is None:
        torch.manual_seed(0)
    return torch.where(tosses(images, generator), images.flip(-1), images)


@mistake("random_flip", "Every second image is mirrored, always the same ones; chance should decide.")
def every_second(images: Tensor, *, generator: Generator = None) -> Tensor:
    return torch.where(torch.arange(len(images)).view(-1, 1, 1, 1) % 2 == 0, images, images.flip(-1))


@mistake("random_flip", "The first half of the batch is mirrored, always; chance should decide.")
def first_half(images: Tensor, *, generator: Generator = None) -> Tensor:
    half = len(images) // 2
    return torch.cat([images[:half].flip(-1), images[half:]])


@mistake("random_flip", "The second half of the batch is mirrored, always; chance should decide.")
def second_half(images: Tensor, *, generator: Generator = None) -> Tensor:
    half = len(images) // 2
    return torch.cat([images[:half], images[half:].flip(-1)])


@mistake("random_flip", "The tosses, 0 and 1, are used as places: images 0 and 1 are mirrored, whatever falls.")
def tosses_as_places(images: Tensor, *, generator: Generator = None) -> Tensor:
    places = torch.randint(0, 2, (len(images),), generator=generator, device=images.device)
    flipped = images.clone()
    flipped[places] = images[places].flip(-1)
    return flipped


@mistake(
    "random_flip", "Exactly half of each batch is mirrored: chance picks which, but a single image would never be."
)
def exactly_half(images: Tensor, *, generator: Generator = None) -> Tensor:
    chosen = torch.randperm(len(images), generator=generator) < len(images) // 2
    return torch.where(chosen.view(-1, 1, 1, 1), images.flip(-1), images)


@mistake("random_flip", "One image of each batch is mirrored: chance picks which, but all the others stay.")
def one_of_each_batch(images: Tensor, *, generator: Generator = None) -> Tensor:
    chosen = torch.arange(len(images)) == torch.randint(0, len(images), (1,), generator=generator)
    return torch.where(chosen.view(-1, 1, 1, 1), images.flip(-1), images)


@mistake("random_flip", "The tosses are made on the CPU wherever the images are, which fails on a GPU.")
def device_forgotten(images: Tensor, *, generator: Generator = None) -> Tensor:
    return torch.where(torch.rand(len(images), 1, 1, 1, generator=generator) < 0.5, images.flip(-1), images)
