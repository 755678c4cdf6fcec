"""Right answers to lesson 00, each written differently. The grader must accept all of them."""

import torch
from torch import Tensor

from tests.alternative_solutions import answers

Generator = torch.Generator | None


@answers("to_unit")
def plain_division(images_uint8: Tensor) -> Tensor:
    return images_uint8 / 255  # dividing whole numbers gives float32 in torch


@answers("to_unit")
def by_the_reciprocal(images_uint8: Tensor) -> Tensor:
    return images_uint8.float() * (1 / 255)


@answers("to_unit")
def divided_in_its_own_copy(images_uint8: Tensor) -> Tensor:
    images = images_uint8.to(torch.float)
    images /= 255.0
    return images.clamp_(0, 1)


@answers("to_unit")
def looked_up(images_uint8: Tensor) -> Tensor:
    return torch.linspace(0, 1, 256)[images_uint8.long()]


@answers("to_unit")
def by_numpy(images_uint8: Tensor) -> Tensor:
    import numpy as np

    return torch.from_numpy((images_uint8.numpy() / 255.0).astype(np.float32))


@answers("to_unit")
def through_double(images_uint8: Tensor) -> Tensor:
    return images_uint8.double().div(255).float()


@answers("to_unit")
def by_lerp(images_uint8: Tensor) -> Tensor:
    return torch.lerp(torch.tensor(0.0), torch.tensor(1.0), images_uint8.float() / torch.iinfo(torch.uint8).max)


@answers("to_unit")
def image_by_image(images_uint8: Tensor) -> Tensor:
    return torch.stack([part.type(torch.float32) / 255 for part in images_uint8])


@answers("center_square")
def other_rounding(image: Tensor) -> Tensor:
    _, h, w = image.shape
    s = min(h, w)
    top, left = (h - s + 1) // 2, (w - s + 1) // 2
    return image[:, top : top + s, left : left + s]


@answers("center_square")
def by_cases(image: Tensor) -> Tensor:
    _, height, width = image.shape
    if width > height:
        left = int((width - height) / 2)
        return image[:, :, left : left + height]
    if height > width:
        top = int((height - width) / 2)
        return image[:, top : top + width, :]
    return image


@answers("center_square")
def by_narrow(image: Tensor) -> Tensor:
    for dim in (1, 2):
        side = min(image.shape[1:])
        image = image.narrow(dim, (image.shape[dim] - side) // 2, side)
    return image.clone()


@answers("center_square")
def around_the_middle(image: Tensor) -> Tensor:
    height, width = image.size(1), image.size(2)
    side = min(height, width)
    rows = torch.arange(side) + height // 2 - side // 2
    columns = torch.arange(side) + width // 2 - side // 2
    return image[:, rows][:, :, columns]


@answers("center_square")
def cut_from_both_ends(image: Tensor) -> Tensor:
    while image.shape[1] != image.shape[2]:
        dim = 1 if image.shape[1] > image.shape[2] else 2
        too_much = image.shape[dim] - min(image.shape[1:])
        image = image.narrow(dim, 0 if too_much % 2 else 1, image.shape[dim] - 1)
    return image


@answers("center_square")
def by_negative_padding(image: Tensor) -> Tensor:
    _, h, w = image.shape
    down, right = h - min(h, w), w - min(h, w)
    cut = (-(right // 2), -(right - right // 2), -(down // 2), -(down - down // 2))
    return torch.nn.functional.pad(image, cut)


@answers("center_square")
def rounded_half_to_even(image: Tensor) -> Tensor:
    _, h, w = image.shape
    s = h if h < w else w
    y, x = round((h - s) / 2), round((w - s) / 2)
    return torch.stack([torch.stack([row[x : x + s] for row in channel[y : y + s]]) for channel in image])


@answers("center_square")
def by_numpy_too(image: Tensor) -> Tensor:
    array = image.numpy()
    s = min(array.shape[1:])
    y, x = [(length - s) // 2 for length in array.shape[1:]]
    return torch.from_numpy(array[:, y : y + s, x : x + s].copy())


@answers("random_flip")
def in_a_loop(images: Tensor, *, generator: Generator = None) -> Tensor:
    result = []
    for image in images:
        if torch.rand(1, generator=generator, device=images.device) < 0.5:
            image = torch.flip(image, dims=[2])
        result.append(image)
    return torch.stack(result)


@answers("random_flip")
def on_a_copy(images: Tensor, *, generator: Generator = None) -> Tensor:
    chosen = torch.rand(images.shape[0], generator=generator, device=images.device) >= 0.5
    flipped = images.clone()
    flipped[chosen] = flipped[chosen].flip(3)
    return flipped


@answers("random_flip")
def by_randint(images: Tensor, *, generator: Generator = None) -> Tensor:
    toss = torch.randint(0, 2, (len(images),), generator=generator, device=images.device).bool()
    return torch.where(toss[:, None, None, None], torch.fliplr(images.movedim(-1, 1)).movedim(1, -1), images)


@answers("random_flip")
def by_weights(images: Tensor, *, generator: Generator = None) -> Tensor:
    toss = (torch.rand(len(images), 1, 1, 1, generator=generator, device=images.device) > 0.5).float()
    return images + toss * (images.flip(-1) - images)


@answers("random_flip")
def by_gather(images: Tensor, *, generator: Generator = None) -> Tensor:
    n, width = len(images), images.shape[-1]
    toss = torch.rand(n, generator=generator, device=images.device).round().long().view(n, 1, 1, 1)
    columns = torch.arange(width, device=images.device).view(1, 1, 1, width)
    places = toss * (width - 1 - columns) + (1 - toss) * columns
    return images.gather(3, places.expand_as(images))


@answers("random_flip")
def by_bernoulli(images: Tensor, *, generator: Generator = None) -> Tensor:
    toss = torch.bernoulli(torch.full((len(images), 1, 1, 1), 0.5, device=images.device), generator=generator)
    return torch.lerp(images, images.flip(-1), toss)


@answers("random_flip")
def by_gaussian_signs(images: Tensor, *, generator: Generator = None) -> Tensor:
    both = torch.stack([images, images.flip(-1)])
    toss = (torch.randn(len(images), generator=generator, device=images.device) < 0).long()
    return both[toss, torch.arange(len(images), device=images.device)]


@answers("random_flip")
def columns_by_matrix(images: Tensor, *, generator: Generator = None) -> Tensor:
    width = images.shape[-1]
    mirror = torch.eye(width, device=images.device).flip(0)
    toss = torch.empty(len(images), 1, 1, 1, device=images.device).uniform_(generator=generator) < 0.5
    return torch.einsum(
        "nchw,nwv->nchv", images, torch.where(toss[:, 0], mirror, torch.eye(width, device=images.device))
    )
