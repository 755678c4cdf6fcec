"""Right answers to lesson 05, each written in a different way. The grader must accept them all."""

import copy
from collections.abc import Iterator, Sequence
from itertools import pairwise

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dino.noise import mix
from tests.alternative_solutions import answers

Generator = torch.Generator | None
PATCH, N_PATCHES, N_DIRECTIONS, COARSEST = 7, 128, 512, 16


# ---- loss_by_noise_level --------------------------------------------------------------------------------------------


@answers("loss_by_noise_level")
@torch.no_grad()
def decorated(model: nn.Module, images: Tensor, levels: Sequence[float]) -> Tensor:
    noise = torch.rand(images.shape, generator=torch.Generator(images.device).manual_seed(17), device=images.device)
    losses = images.new_zeros(len(levels))
    for i, level in enumerate(levels):
        t = images.new_full((1, 1, 1, 1), level)
        losses[i] = (model((1 - t) * images + t * noise.to(images), t) - images).pow(2).mean()
    return losses


@answers("loss_by_noise_level")
def image_by_image(model: nn.Module, images: Tensor, levels: Sequence[float]) -> Tensor:
    generator = torch.Generator().manual_seed(3)
    sums = torch.zeros(len(levels), dtype=images.dtype)
    for image in images.split(1):
        noise = torch.rand(image.shape, generator=generator, dtype=image.dtype)
        for i, level in enumerate(levels):
            t = torch.full((1, 1, 1, 1), level, dtype=image.dtype)
            with torch.inference_mode():
                sums[i] += F.mse_loss(model(mix(image, noise, t), t), image).item()
    return sums / len(images)


@answers("loss_by_noise_level")
def all_in_one_call(model: nn.Module, images: Tensor, levels: Sequence[float]) -> Tensor:
    n, many = len(images), len(levels)
    noise = torch.rand(images.shape, generator=torch.Generator().manual_seed(0)).to(images).repeat(many, 1, 1, 1)
    clean = images.repeat(many, 1, 1, 1)
    given = torch.tensor(levels, dtype=images.dtype).repeat_interleave(n).view(-1, 1, 1, 1)
    with torch.no_grad():
        denoised = model(clean.lerp(noise, given), given)
    return (denoised - clean).square().view(many, -1).mean(1)


@answers("loss_by_noise_level")
def seeded_again_at_each_level(model: nn.Module, images: Tensor, levels: Sequence[float]) -> Tensor:
    def one(level: float) -> Tensor:
        noise = torch.rand(images.shape, generator=torch.Generator().manual_seed(5), dtype=torch.float64).to(images)
        given = torch.full((len(images), 1, 1, 1), level).to(images)
        with torch.no_grad():
            return torch.mean((images - model(torch.lerp(images, noise, given), given)) ** 2)

    return torch.stack(list(map(one, levels)))


@answers("loss_by_noise_level")
def on_a_forked_global_generator(model: nn.Module, images: Tensor, levels: Sequence[float]) -> Tensor:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(123)
        noise = torch.rand_like(images)
    was_training, found = model.training, []
    model.eval()
    with torch.no_grad():
        for level in levels:
            t = torch.tensor(level, dtype=images.dtype).reshape(1, 1, 1, 1)
            denoised = torch.cat([model(mix(c, n, t), t) for c, n in zip(images.split(2), noise.split(2))])
            found.append(((denoised - images) ** 2).mean().item())
    model.train(was_training)
    return torch.tensor(found, dtype=images.dtype, device=images.device)


@answers("loss_by_noise_level")
def with_numpys_noise(model: nn.Module, images: Tensor, levels: Sequence[float]) -> Tensor:
    noise = torch.from_numpy(np.random.default_rng(0).random(tuple(images.shape))).to(images)
    return torch.cat([F.mse_loss(_ask(model, images, noise, level), images).view(1) for level in levels])


@answers("loss_by_noise_level")
def asked_of_a_copy(model: nn.Module, images: Tensor, levels: Sequence[float]) -> Tensor:
    twin = copy.deepcopy(model).eval()
    noise = torch.rand(images.shape, generator=torch.Generator().manual_seed(1), dtype=images.dtype)
    found = {}
    for level in sorted(levels):
        given = images.new_full((1, 1, 1, 1), level)
        with torch.no_grad():
            found[level] = F.mse_loss(twin(mix(images, noise, given), given), images)
    return torch.stack([found[level] for level in levels])


def _ask(model: nn.Module, images: Tensor, noise: Tensor, level: float) -> Tensor:
    given = images.new_tensor([[[[level]]]])
    with torch.no_grad():
        return model(noisy=images + level * (noise - images), noise_level=given).detach()


# ---- laplacian_pyramid ----------------------------------------------------------------------------------------------


@answers("laplacian_pyramid")
def by_recursion(images: Tensor, n_levels: int) -> list[Tensor]:
    if n_levels == 1:
        return [images]
    smaller = F.avg_pool2d(images, kernel_size=2)
    lost = images - smaller.repeat_interleave(2, dim=2).repeat_interleave(2, dim=3)
    return [lost, *by_recursion(smaller, n_levels - 1)]


@answers("laplacian_pyramid")
def all_sizes_first(images: Tensor, n_levels: int) -> list[Tensor]:
    sizes = [images]
    while len(sizes) < n_levels:
        sizes.append(F.avg_pool2d(sizes[-1], 2))
    levels = [fine - F.interpolate(coarse, fine.shape[2:]) for fine, coarse in pairwise(sizes)]
    levels.append(sizes[-1])
    return levels


@answers("laplacian_pyramid")
def from_the_first_image(images: Tensor, n_levels: int) -> list[Tensor]:
    sizes = [F.avg_pool2d(images, 2**i) for i in range(n_levels)]
    return [a - F.interpolate(b, scale_factor=2, mode="nearest") for a, b in pairwise(sizes)] + sizes[-1:]


@answers("laplacian_pyramid")
def by_slices(images: Tensor, n_levels: int) -> list[Tensor]:
    levels, now = [], images.clone()
    for _ in range(1, n_levels):
        corners = [now[:, :, y::2, x::2] for y in (0, 1) for x in (0, 1)]
        mean = sum(corners) / 4
        lost = torch.empty_like(now)
        for (y, x), corner in zip(((0, 0), (0, 1), (1, 0), (1, 1)), corners):
            lost[:, :, y::2, x::2] = corner - mean
        levels.append(lost)
        now = mean
    levels.append(now)
    return levels


@answers("laplacian_pyramid")
def as_a_tuple_by_blocks(images: Tensor, n_levels: int) -> tuple[Tensor, ...]:
    levels: tuple[Tensor, ...] = ()
    for _ in range(n_levels - 1):
        n, c, h, w = images.shape
        blocks = images.reshape(n, c, h // 2, 2, w // 2, 2)
        mean = blocks.mean((3, 5), keepdim=True)
        levels += ((blocks - mean).reshape(n, c, h, w),)
        images = mean[:, :, :, 0, :, 0]
    return (*levels, images)


@answers("laplacian_pyramid")
def by_resizing(images: Tensor, n_levels: int) -> list[Tensor]:
    levels = []
    for _ in range(n_levels - 1):
        half = F.interpolate(images, scale_factor=0.5, mode="bilinear")  # at exactly one half, the mean of 2 x 2
        levels.append(images - torch.kron(half, torch.ones(2, 2, dtype=half.dtype)))
        images = half
    return [*levels, images]


# ---- patches --------------------------------------------------------------------------------------------------------


@answers("patches")
def one_by_one(images: Tensor, places: Tensor) -> Tensor:
    found = []
    for image in images:
        for row, column in places:
            found.append(image[:, row : row + PATCH, column : column + PATCH].reshape(-1))
    return torch.stack(found)


@answers("patches")
def filled_in(images: Tensor, places: Tensor) -> Tensor:
    n, c, _, _ = images.shape
    out = images.new_empty(n, len(places), c, PATCH, PATCH)
    for j, (y, x) in enumerate(places.tolist()):
        out[:, j] = images[:, :, y : y + PATCH, x : x + PATCH]
    return out.view(n * len(places), -1)


@answers("patches")
def by_indices(images: Tensor, places: Tensor) -> Tensor:
    steps = torch.arange(PATCH)
    rows = (places[:, :1] + steps)[:, :, None]  # (M, PATCH, 1)
    columns = (places[:, 1:] + steps)[:, None, :]
    return images[:, :, rows, columns].movedim(1, 2).reshape(len(images) * len(places), -1)


@answers("patches")
def by_f_unfold(images: Tensor, places: Tensor) -> Tensor:
    every = F.unfold(images, PATCH)  # (N, C * PATCH * PATCH, all places)
    across = images.shape[3] - PATCH + 1
    return every[:, :, places[:, 0] * across + places[:, 1]].transpose(1, 2).flatten(0, 1)


@answers("patches")
def by_unfold_the_other_way(images: Tensor, places: Tensor) -> Tensor:
    windows = images.unfold(3, PATCH, 1).unfold(2, PATCH, 1).transpose(4, 5)
    picked = [windows[:, :, y, x].flatten(1) for y, x in places.tolist()]
    return torch.stack(picked, 1).flatten(0, 1)


@answers("patches")
def by_gather(images: Tensor, places: Tensor) -> Tensor:
    n, c, h, w = images.shape
    y, x = torch.meshgrid(torch.arange(PATCH), torch.arange(PATCH), indexing="ij")
    inside = (y * w + x).flatten() + torch.arange(c)[:, None] * h * w
    start = places @ torch.tensor([w, 1])
    index = (start[:, None] + inside.flatten()).expand(n, -1, -1)
    return images.flatten(1)[:, None].expand(-1, len(places), -1).gather(2, index).flatten(0, 1)


# ---- sliced_distance ------------------------------------------------------------------------------------------------


@answers("sliced_distance")
def rows_for_directions(points_a: Tensor, points_b: Tensor, directions: Tensor) -> Tensor:
    a, b = (directions.T @ points.T for points in (points_a, points_b))
    return F.l1_loss(a.sort().values, b.sort().values)


@answers("sliced_distance")
def direction_by_direction(points_a: Tensor, points_b: Tensor, directions: Tensor) -> Tensor:
    total = points_a.new_zeros(())
    for direction in directions.T:
        total = total + ((points_a @ direction).sort()[0] - (points_b @ direction).sort()[0]).abs().mean()
    return total / directions.shape[1]


@answers("sliced_distance")
def sorted_downwards(points_a: Tensor, points_b: Tensor, directions: Tensor) -> Tensor:
    a, _ = torch.sort(points_a.matmul(directions), 0, descending=True)
    b, _ = torch.sort(points_b.matmul(directions), 0, descending=True)
    return (b - a).abs().sum() / a.numel()


@answers("sliced_distance")
def by_the_area_between(points_a: Tensor, points_b: Tensor, directions: Tensor) -> Tensor:
    """Return the area between the two distribution functions: the same number, from another definition."""
    m, means = len(points_a), []
    for direction in directions.unbind(1):
        both = torch.cat([points_a @ direction, points_b @ direction])
        signs = torch.cat([both.new_ones(m), -both.new_ones(m)])
        where, order = both.sort()
        means.append((signs[order].cumsum(0)[:-1].abs() * where.diff()).sum() / m)
    return torch.stack(means).mean()


@answers("sliced_distance")
def by_numpy(points_a: Tensor, points_b: Tensor, directions: Tensor) -> Tensor:
    a, b = (np.sort((points @ directions).numpy(), axis=0) for points in (points_a, points_b))
    return torch.tensor(np.abs(a - b).mean(), dtype=points_a.dtype)


@answers("sliced_distance")
def by_einsum_and_argsort(points_a: Tensor, points_b: Tensor, directions: Tensor) -> Tensor:
    a, b = (torch.einsum("md,dk->mk", points, directions) for points in (points_a, points_b))
    a, b = a.gather(0, a.argsort(0)), b.gather(0, b.argsort(0))
    return torch.maximum(a - b, b - a).mean(0).mean()


# ---- sliced_wasserstein ---------------------------------------------------------------------------------------------


def refuse(images_a: Tensor, images_b: Tensor) -> None:
    if images_a.shape != images_b.shape:
        raise ValueError


def sizes(images: Tensor) -> Iterator[Tensor]:
    """Yield the levels of the pyramid, computed in another way."""
    while True:
        height, width = images.shape[2:]
        if height % 2 or width % 2 or min(height, width) < 2 * COARSEST:
            yield images
            return
        smaller = F.avg_pool2d(images, 2)
        yield images - F.interpolate(smaller, scale_factor=2)
        images = smaller


def patches_in_rows(level: Tensor, places: Tensor) -> Tensor:
    """Return the patches, in another order than in the exercise. The order doesn't change the distance."""
    return torch.cat([level[:, :, y : y + PATCH, x : x + PATCH].flatten(1) for y, x in places.tolist()])


def apart(a: Tensor, b: Tensor, directions: Tensor) -> Tensor:
    return ((directions.T @ a.T).sort().values - (directions.T @ b.T).sort().values).abs().mean()


@answers("sliced_wasserstein")
def directions_before_places(images_a: Tensor, images_b: Tensor, *, generator: Generator = None) -> float:
    refuse(images_a, images_b)
    found = []
    for a, b in zip(sizes(images_a), sizes(images_b)):
        dims = a.shape[1] * PATCH**2
        directions = torch.randn(N_DIRECTIONS, dims, generator=generator, device=a.device).T.to(a)
        directions = F.normalize(directions, dim=0)
        high, wide = (side - PATCH + 1 for side in a.shape[2:])
        flat = torch.randint(high * wide, (N_PATCHES,), generator=generator, device=a.device)
        places = torch.stack([flat // wide, flat % wide], 1)
        a, b = patches_in_rows(a, places), patches_in_rows(b, places)
        deviation = torch.stack([a, b]).std()
        found.append(apart(a, b, directions).item() / max(deviation.item(), 1e-8))
    return sum(found) / len(found)


@answers("sliced_wasserstein")
def scaled_at_the_end(images_a: Tensor, images_b: Tensor, *, generator: Generator = None) -> float:
    refuse(images_a, images_b)
    total, n = 0.0, 0
    for a, b in zip(sizes(images_a), sizes(images_b)):
        n += 1
        scale = torch.tensor([float(side - PATCH + 1) for side in a.shape[2:]])
        places = (torch.rand(N_PATCHES, 2, generator=generator, device=a.device) * scale).long()
        a, b = patches_in_rows(a, places), patches_in_rows(b, places)
        directions = torch.randn(a.shape[1], N_DIRECTIONS, generator=generator, device=a.device, dtype=a.dtype)
        directions /= directions.norm(dim=0, keepdim=True)
        deviation = torch.cat([a.flatten(), b.flatten()]).std(unbiased=False)
        if deviation > 1e-6:
            total += float(apart(a, b, directions) / deviation)
    return total / n


@answers("sliced_wasserstein")
def the_same_directions_at_all_levels(images_a: Tensor, images_b: Tensor, *, generator: Generator = None) -> float:
    refuse(images_a, images_b)
    directions = torch.empty(images_a.shape[1] * PATCH**2, N_DIRECTIONS, dtype=images_a.dtype, device=images_a.device)
    directions.normal_(generator=generator)
    directions = directions / directions.square().sum(0).sqrt()
    found = []
    for a, b in zip(sizes(images_a), sizes(images_b)):
        high, wide = (side - PATCH + 1 for side in a.shape[2:])
        rows = torch.randint(0, high, (N_PATCHES, 1), generator=generator, device=a.device)
        columns = torch.randint(0, wide, (N_PATCHES, 1), generator=generator, device=a.device)
        places = torch.cat([rows, columns], dim=1)
        both = torch.cat([patches_in_rows(a, places), patches_in_rows(b, places)])
        both = both / (both.std() + 1e-8)
        found.append(apart(*both.chunk(2), directions))
    return float(sum(found) / len(found))


@answers("sliced_wasserstein")
def places_without_repeats(images_a: Tensor, images_b: Tensor, *, generator: Generator = None) -> float:
    refuse(images_a, images_b)
    total = torch.zeros((), dtype=torch.float64)
    levels = list(zip(sizes(images_a), sizes(images_b)))
    for a, b in levels:
        high, wide = (side - PATCH + 1 for side in a.shape[2:])
        flat = torch.randperm(high * wide, generator=generator, device=a.device)[:N_PATCHES]
        every = [F.unfold(x.double(), PATCH)[:, :, flat].transpose(1, 2).flatten(0, 1) for x in (a, b)]
        deviation = torch.cat(every).std()
        directions = torch.randn(every[0].shape[1], N_DIRECTIONS, generator=generator, device=a.device).double()
        directions = directions / torch.linalg.vector_norm(directions, dim=0)
        if float(deviation) != 0:
            total += apart(every[0] / deviation, every[1] / deviation, directions)
    return total.item() / len(levels)


@answers("sliced_wasserstein")
@torch.inference_mode()
def direction_after_direction(images_a: Tensor, images_b: Tensor, *, generator: Generator = None) -> float:
    if len(images_a) != len(images_b) or images_a[0].shape != images_b[0].shape:
        raise ValueError("not the same shape")
    distances = []
    for level in zip(sizes(images_a), sizes(images_b)):
        tops = [
            torch.randint(x - PATCH + 1, (N_PATCHES,), generator=generator, device="cpu") for x in level[0].shape[2:]
        ]
        a, b = (patches_in_rows(x, torch.stack(tops, 1)) for x in level)
        scale = torch.cat((a, b)).std().clamp_min(1e-9)
        parts = []
        for _ in range(8):
            some = torch.randn(a.shape[1], N_DIRECTIONS // 8, generator=generator, device="cpu").to(a)
            parts.append(apart(a / scale, b / scale, some / some.norm(dim=0)))
        distances.append(torch.stack(parts).mean())
    return np.mean([distance.item() for distance in distances])  # a float64 of numpy is a float


# ---- nearest_neighbors ----------------------------------------------------------------------------------------------


@answers("nearest_neighbors")
def all_at_once(samples: Tensor, images: Tensor, k: int = 1) -> tuple[Tensor, Tensor]:
    distances = (samples[:, None] - images[None]).pow(2).mean((2, 3, 4)).sqrt()
    return torch.topk(distances, k, dim=1, largest=False)


@answers("nearest_neighbors")
def sample_by_sample(samples: Tensor, images: Tensor, k: int = 1) -> tuple[Tensor, Tensor]:
    distances, indices = [], []
    for sample in samples:
        every = torch.stack([F.mse_loss(sample, image).sqrt() for image in images])
        order = every.argsort()[:k]
        distances.append(every[order])
        indices.append(order)
    return torch.stack(distances), torch.stack(indices)


@answers("nearest_neighbors")
def by_sorting_pairs(samples: Tensor, images: Tensor, k: int = 1) -> tuple[Tensor, Tensor]:
    table = []
    for sample in samples:
        pairs = sorted(((sample - image).square().mean().item() ** 0.5, i) for i, image in enumerate(images))
        table.append(pairs[:k])
    distances = torch.tensor([[distance for distance, _ in row] for row in table], dtype=samples.dtype)
    return distances, torch.tensor([[i for _, i in row] for row in table])


@answers("nearest_neighbors")
def multiplied_out(samples: Tensor, images: Tensor, k: int = 1) -> tuple[Tensor, Tensor]:
    a, b = samples.flatten(1), images.flatten(1)
    squares = a.square().sum(1, keepdim=True) + b.square().sum(1) - 2 * a @ b.T
    values, indices = (squares.clamp(min=0) / a.shape[1]).sqrt().sort(dim=1)
    return values[:, :k], indices[:, :k]


@answers("nearest_neighbors")
def the_least_again_and_again(samples: Tensor, images: Tensor, k: int = 1) -> tuple[Tensor, Tensor]:
    left = torch.cdist(samples.reshape(len(samples), -1), images.reshape(len(images), -1)) / samples[0].numel() ** 0.5
    values, indices = [], []
    for _ in range(k):
        value, index = left.min(dim=1, keepdim=True)
        values.append(value)
        indices.append(index)
        left = left.scatter(1, index, torch.inf)
    return torch.cat(values, 1), torch.cat(indices, 1)


@answers("nearest_neighbors")
def negated_and_back(samples: Tensor, images: Tensor, k: int = 1) -> tuple[Tensor, Tensor]:
    apart = torch.linalg.vector_norm(samples[:, None] - images, dim=(2, 3, 4)) / samples[0].numel() ** 0.5
    values, indices = torch.topk(-apart, k)
    return -values, indices


@answers("nearest_neighbors")
def by_sort_of_numpy(samples: Tensor, images: Tensor, k: int = 1) -> list[Tensor]:
    a, b = samples.numpy()[:, None], images.numpy()[None]
    every = np.sqrt(((a - b) ** 2).mean(axis=(2, 3, 4)))
    order = np.argsort(every, axis=1)[:, :k]
    return [torch.from_numpy(np.take_along_axis(every, order, 1)), torch.from_numpy(order)]
