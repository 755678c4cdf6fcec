"""dino.images: bytes become floats, and batches show every image once per pass."""

from itertools import islice

import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from dino.images import batches, center_square, random_flip, seeded, to_unit

# ---- from bytes to floats -------------------------------------------------------------------------------------------


def test_every_byte_becomes_its_255th_to_the_last_bit() -> None:
    every_byte = torch.arange(256, dtype=torch.uint8)
    as_floats = to_unit(every_byte)
    exact = every_byte.double() / 255
    assert as_floats.dtype == torch.float32
    assert (as_floats.double() - exact).abs().max() <= 2**-25  # half the distance of float32's neighbors below 1
    assert as_floats[[0, 255]].tolist() == [0, 1]
    assert torch.equal((as_floats * 255).round().to(torch.uint8), every_byte)


@given(st.lists(st.integers(0, 4), max_size=5))
def test_floats_keep_the_shape_of_the_bytes(shape: list[int]) -> None:
    dark = torch.zeros(shape, dtype=torch.uint8)
    assert to_unit(dark).shape == dark.shape
    assert not dark.any()


@given(st.integers(1, 4), st.integers(1, 40), st.integers(1, 40))
def test_the_center_square_is_central_and_an_odd_pixel_is_cut_off_right_or_below(
    c: int, height: int, width: int
) -> None:
    image = torch.arange(c * height * width).reshape(c, height, width)
    square = center_square(image)
    side = min(height, width)
    assert square.shape == (c, side, side)
    top, left = divmod(int(square[0, 0, 0]), width)
    assert (height - side - top) - top in (0, 1)  # as much below as above, or one more
    assert (width - side - left) - left in (0, 1)
    assert torch.equal(square, image[:, top : top + side, left : left + side])


def test_flips_mirror_whole_images_left_to_right_and_no_other_way(generator: torch.Generator) -> None:
    clean = torch.rand(64, 3, 5, 4, generator=generator)
    before = clean.clone()
    flipped = random_flip(clean, generator=generator)
    kept = (flipped == clean).flatten(1).all(1)
    mirrored = (flipped == clean.flip(-1)).flatten(1).all(1)
    assert (kept ^ mirrored).all()
    assert kept.any()
    assert mirrored.any()
    assert torch.equal(clean, before)


def test_each_image_is_flipped_independently_half_of_the_time(generator: torch.Generator) -> None:
    tosses = torch.stack([mirrored(random_flip(arrow(1000), generator=generator)) for _ in range(40)])
    # 40,000 fair tosses: the share is within five standard deviations, 5 / (2 sqrt(40000)) = 0.0125, of a half
    assert abs(tosses.float().mean().item() - 0.5) < 0.0125
    neighbors_agree = (tosses[:, 1:] == tosses[:, :-1]).float().mean().item()
    assert abs(neighbors_agree - 0.5) < 0.0125
    draws_agree = (tosses[1:] == tosses[:-1]).float().mean().item()
    assert abs(draws_agree - 0.5) < 0.0125


def arrow(n: int) -> Tensor:
    """Return n images of one row, 0 1, which shows whether they were mirrored."""
    return torch.tensor([0.0, 1.0]).expand(n, 1, 1, 2)


def mirrored(arrows: Tensor) -> Tensor:
    return arrows[:, 0, 0, 0] == 1


def test_flips_without_a_generator_follow_the_global_seed() -> None:
    torch.manual_seed(3)
    first = random_flip(arrow(64))
    torch.manual_seed(3)
    assert torch.equal(first, random_flip(arrow(64)))


def test_the_same_key_gives_the_same_numbers_and_another_key_gives_others() -> None:
    keys: list[tuple[int | str, ...]] = [(0,), (1,), (-1,), (2**40,), (0, "noise"), (0, "noise", 1), ("noise", 0), ()]
    draws = [torch.rand(8, generator=seeded("cpu", *key)) for key in keys]
    again = [torch.rand(8, generator=seeded("cpu", *key)) for key in keys]
    assert all(map(torch.equal, draws, again))
    assert len({tuple(draw.tolist()) for draw in draws}) == len(keys)


def test_a_given_generator_leaves_the_global_one_alone(blobs: Tensor) -> None:
    before = torch.random.get_rng_state()
    random_flip(to_unit(blobs), generator=seeded("cpu", 0))
    next(batches(blobs, 8))
    assert torch.equal(torch.random.get_rng_state(), before)


# ---- batches --------------------------------------------------------------------------------------------------------


def numbered(n: int) -> Tensor:
    """Return n images that equal their mirror images: all pixels of image i are i."""
    return torch.arange(n, dtype=torch.uint8).view(n, 1, 1, 1).expand(n, 1, 2, 2)


def numbers_of(batch: Tensor) -> list[int]:
    return (batch[:, 0, 0, 0] * 255).round().int().tolist()


@given(n=st.integers(1, 12), batch_size=st.integers(1, 30), seed=st.integers(0, 99))
@settings(deadline=None)
def test_every_image_comes_once_per_pass(n: int, batch_size: int, seed: int) -> None:
    passes = 4
    n_batches = -(-passes * n // batch_size)
    drawn = [i for b in islice(batches(numbered(n), batch_size, seed=seed), n_batches) for i in numbers_of(b)]
    assert len(drawn) == n_batches * batch_size
    for start in range(0, passes * n, n):
        assert sorted(drawn[start : start + n]) == list(range(n))


@given(n=st.integers(1, 12), batch_size=st.integers(1, 30), seed=st.integers(0, 99), k=st.integers(0, 9))
@settings(deadline=None)
def test_batch_k_is_the_same_wherever_the_run_started(n: int, batch_size: int, seed: int, k: int) -> None:
    images = torch.randint(0, 256, (n, 3, 2, 5), dtype=torch.uint8, generator=seeded("cpu", n))
    from_the_start = list(islice(batches(images, batch_size, seed=seed), k + 2))[k:]
    resumed = list(islice(batches(images, batch_size, seed=seed, start=k), 2))
    assert all(map(torch.equal, from_the_start, resumed))


def test_batches_hold_the_images_as_floats_each_mirrored_or_not(blobs: Tensor) -> None:
    before = blobs.clone()
    batch = next(batches(blobs, 40))
    assert batch.dtype == torch.float32
    assert batch.shape == blobs.shape
    assert batch.min() >= 0
    assert batch.max() <= 1
    expected = {image.numpy().tobytes() for image in to_unit(torch.cat([blobs, blobs.flip(-1)]))}
    assert {image.numpy().tobytes() for image in batch} <= expected
    assert torch.equal(blobs, before)


def test_passes_and_seeds_differ_in_their_order() -> None:
    first, second = (numbers_of(batch) for batch in islice(batches(numbered(100), 100), 2))
    other_seed = numbers_of(next(batches(numbered(100), 100, seed=1)))
    assert len({tuple(first), tuple(second), tuple(other_seed), tuple(range(100))}) == 4


def test_the_same_image_is_mirrored_in_some_passes_only() -> None:
    one = (torch.tensor([0, 255], dtype=torch.uint8)).view(1, 1, 1, 2)
    tosses = [bool(mirrored(batch)) for batch in islice(batches(one, 1), 64)]
    assert 0 < sum(tosses) < 64


def test_a_far_batch_costs_no_more_than_the_first() -> None:
    next(batches(numbered(10), 4, start=10**12))
