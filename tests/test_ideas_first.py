"""A wrong idea is named even if the answer also lacks a nicety, such as `model.train()` or a device.

Each exercise has a right answer here, and small changes of it: `ideas` break the lesson's idea, and `niceties` leave out
what only matters elsewhere, or what can wait. Every pair of them makes a wrong answer, and the message is about the idea.
"""

# ruff: noqa: E501 - the changes are easier to read in one line

from dataclasses import dataclass
from functools import cache
from itertools import product
from typing import Any

import pytest

from dino.course.curriculum import find_lesson
from dino.course.grader.lesson_grader import Failure
from dino.course.verdict import Verdict
from tests.test_catalog import diagnosis_of, grader_of

Change = tuple[str, str]  # from, to


@dataclass(frozen=True)
class Answer:
    """A right answer and the changes of it. An idea is called by the name of its mistake in the catalog."""

    lesson: str
    exercise: str
    code: str
    ideas: dict[str, Change]
    niceties: dict[str, Change]

    def __str__(self) -> str:
        return self.exercise


ANSWERS = [
    Answer(
        "00",
        "to_unit",
        """
def to_unit(images_uint8):
    return images_uint8.to(torch.float32) / 255
""",
        {
            "by_256": ("255", "256"),
            "minus_one_to_one": ("/ 255", "/ 127.5 - 1"),
            "never_divided": (" / 255", ""),
            "divided_twice": ("255", "255 / 255"),
            "by_the_brightest": ("255", "images_uint8.max()"),
        },
        {"float64": ("torch.float32", "torch.float64")},
    ),
    Answer(
        "00",
        "center_square",
        """
def center_square(image):
    channels, height, width = image.shape
    side = min(height, width)
    top, left = (height - side) // 2, (width - side) // 2
    return image[:, top : top + side, left : left + side]
""",
        {
            "top_left_corner": ("(height - side) // 2, (width - side) // 2", "0, 0"),
            "bottom_right_corner": ("(height - side) // 2, (width - side) // 2", "height - side, width - side"),
            "one_too_small": ("top + side, left : left + side", "top + side - 1, left : left + side - 1"),
        },
        {"floats": ("return image", "return image.float()")},
    ),
    Answer(
        "00",
        "random_flip",
        """
def random_flip(images, *, generator=None):
    tosses = torch.rand(len(images), 1, 1, 1, generator=generator, device=images.device) < 0.5
    return torch.where(tosses, images.flip(-1), images)
""",
        {
            "upside_down": ("flip(-1)", "flip(-2)"),
            "colors_swapped": ("flip(-1)", "flip(1)"),
            "one_in_four": ("< 0.5", "< 0.25"),
            "all_together": ("len(images), 1, 1, 1", "1, 1, 1, 1"),
        },
        {"device": (", device=images.device", ""), "generator": ("generator=generator, ", "")},
    ),
    Answer(
        "01",
        "mix",
        """
def mix(clean, noise, noise_level):
    return (1 - noise_level) * clean + noise_level * noise
""",
        {
            "swapped": (
                "(1 - noise_level) * clean + noise_level * noise",
                "noise_level * clean + (1 - noise_level) * noise",
            ),
            "added_on_top": ("(1 - noise_level) * clean", "clean"),
            "level_ignored": ("(1 - noise_level) * clean + noise_level * noise", "(clean + noise) / 2"),
            "first_level_for_all": ("return", "noise_level = noise_level[:1]\n    return"),
        },
        {
            "in place": ("return", "noise.mul_(2)\n    noise = noise / 2\n    return"),
            "float32": (
                "    return",
                "    clean, noise, noise_level = clean.float(), noise.float(), noise_level.float()\n    return",
            ),
        },
    ),
    Answer(
        "01",
        "sample_noise_levels",
        """
def sample_noise_levels(n, *, generator=None, device=None):
    return torch.rand(n, 1, 1, 1, generator=generator, device=device)
""",
        {
            "bare": ("n, 1, 1, 1", "n"),
            "gaussian": ("torch.rand(", "torch.randn("),
            "half_the_range": ("device=device)", "device=device) / 2"),
            "one_level_repeated": (
                "(n, 1, 1, 1, generator=generator, device=device)",
                "(1, 1, 1, 1, generator=generator, device=device).repeat(n, 1, 1, 1)",
            ),
        },
        {"device": (", device=device)", ")"), "generator": ("generator=generator, ", "")},
    ),
    Answer(
        "01",
        "add_noise",
        """
def add_noise(clean, *, generator=None):
    given = {"generator": generator, "device": clean.device, "dtype": clean.dtype}
    noise = torch.rand(clean.shape, **given)
    noise_level = torch.rand(len(clean), 1, 1, 1, **given)
    return (1 - noise_level) * clean + noise_level * noise, noise_level
""",
        {
            "gaussian_noise": ("torch.rand(clean.shape", "torch.randn(clean.shape"),
            "one_level_for_all": ("len(clean), 1, 1, 1, **given)", "1, 1, 1, 1, **given).expand(len(clean), 1, 1, 1)"),
            "gray_noise": ("clean.shape, **given)", "clean[:, :1].shape, **given).expand(clean.shape)"),
            "level_forgotten": (", noise_level\n", "\n"),
            "wrong_order": (
                "return (1 - noise_level) * clean + noise_level * noise, noise_level",
                "return noise_level, (1 - noise_level) * clean + noise_level * noise",
            ),
            "noise_added_on_top": ("return (1 - noise_level) * clean", "return clean"),
        },
        {
            "device": (', "device": clean.device', ""),
            "dtype": (', "dtype": clean.dtype', ""),
            "generator": ('"generator": generator, ', ""),
        },
    ),
    Answer(
        "02",
        "UNet",
        """
class UNet(nn.Module):
    def __init__(self, channels=3, widths=(64,) * 5, depths=(2,) * 5):
        super().__init__()
        if len(widths) != len(depths):
            raise ValueError("one width and one depth for each resolution")
        into = [channels + 1, *widths]
        self.down = nn.ModuleList(Stage(into[i], widths[i], depths[i]) for i in range(len(widths)))
        self.up = nn.ModuleList(Stage(widths[i], widths[i - 1], depths[i]) for i in range(len(depths) - 1, 0, -1))
        last = conv(widths[0], channels)
        self.head = nn.Sequential(Stage(widths[0], widths[0], depths[0]), conv(widths[0], widths[0]), nn.ReLU(), last)
        nn.init.constant_(last.bias, 0.5)

    def forward(self, noisy, noise_level):
        n, _, height, width = noisy.shape
        x = torch.cat([noisy, noise_level.expand(n, 1, height, width)], dim=1)
        skips = []
        for stage in self.down[:-1]:
            x = stage(x)
            skips.append(x)
            x = F.avg_pool2d(x, 2)
        x = self.down[-1](x)
        for stage in self.up:
            x = F.interpolate(stage(x), scale_factor=2, mode="nearest") + skips.pop()
        return self.head(x)
""",
        {
            "LevelFirst": (
                "[noisy, noise_level.expand(n, 1, height, width)]",
                "[noise_level.expand(n, 1, height, width), noisy]",
            ),
            "NoSkips": (" + skips.pop()", ""),
            "HalvedByMaximum": ("avg_pool2d", "max_pool2d"),
            "HeadWithoutRelu": ("nn.ReLU(), ", ""),
            "Sigmoid": ("return self.head(x)", "return torch.sigmoid(self.head(x))"),
            "HeadBiasOfZero": ("last.bias, 0.5", "last.bias, 0.0"),
        },
        {
            "no ValueError": (
                '        if len(widths) != len(depths):\n            raise ValueError("one width and one depth for each resolution")\n',
                "",
            ),
            "one level for all": ("        skips = []", "        assert len(noise_level) == n\n        skips = []"),
        },
    ),
    Answer(
        "03",
        "denoising_loss",
        """
def denoising_loss(model, clean, *, generator=None):
    noisy, noise_level = add_noise(clean, generator=generator)
    return F.mse_loss(model(noisy, noise_level), clean)
""",
        {
            "target_is_noisy": ("noise_level), clean)", "noise_level), noisy)"),
            "target_is_what_was_added": ("noise_level), clean)", "noise_level), noisy - clean)"),
            "absolute": ("mse_loss", "l1_loss"),
            "shown_the_clean": ("model(noisy,", "model(clean,"),
            "told_what_is_left": ("model(noisy, noise_level)", "model(noisy, 1 - noise_level)"),
            "told_zero": ("model(noisy, noise_level)", "model(noisy, 0 * noise_level)"),
            "sum_for_mean": ("noise_level), clean)", 'noise_level), clean, reduction="sum")'),
        },
        {
            "mode": ("    noisy, noise_level =", "    model.train()\n    noisy, noise_level ="),
            "gradients": ("    noisy, noise_level =", "    model.zero_grad()\n    noisy, noise_level ="),
            "generator": ("generator=generator", ""),
        },
    ),
    Answer(
        "03",
        "train_step",
        """
def train_step(model, optimizer, clean, *, generator=None):
    model.train()
    loss = denoising_loss(model, clean, generator=generator)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    return loss.item()
""",
        {
            "gradients_pile_up": ("    optimizer.zero_grad()\n", ""),
            "cleared_too_late": (
                "    optimizer.zero_grad()\n    loss.backward()\n",
                "    loss.backward()\n    optimizer.zero_grad()\n",
            ),
            "no_backward": ("    loss.backward()\n", ""),
            "no_step": ("    optimizer.step()\n", ""),
            "two_steps": ("    optimizer.step()\n", "    optimizer.step()\n    optimizer.step()\n"),
            "uphill": ("loss.backward()", "(-loss).backward()"),
            "loss_times_images": ("loss.item()", "loss.item() * len(clean)"),
        },
        {
            "model.train()": ("    model.train()\n", ""),
            "generator": (", generator=generator)", ")"),
            "learning rate": ("    return", "    optimizer.param_groups[0]['lr'] *= 0.99\n    return"),
            "eval": ("    return", "    model.eval()\n    return"),
        },
    ),
    Answer(
        "03",
        "update_average",
        """
def update_average(average, model, decay):
    with torch.no_grad():
        for ours, theirs in zip(average.parameters(), model.parameters()):
            ours.lerp_(theirs, 1 - decay)
        for ours, theirs in zip(average.buffers(), model.buffers()):
            ours.copy_(theirs)
""",
        {
            "decay_swapped": ("lerp_(theirs, 1 - decay)", "lerp_(theirs, decay)"),
            "roles_swapped": ("ours.lerp_(theirs,", "theirs.lerp_(ours,"),
            "copied": ("lerp_(theirs, 1 - decay)", "copy_(theirs)"),
            "half_and_half": ("lerp_(theirs, 1 - decay)", "lerp_(theirs, 0.5)"),
            "name_rebound": ("ours.lerp_(theirs, 1 - decay)", "ours = ours.lerp(theirs, 1 - decay)"),
            "decay_fixed": ("1 - decay", "1 - 0.998"),
            "first_weight_only": ("1 - decay)\n", "1 - decay)\n            break\n"),
        },
        {
            "buffers": (
                "        for ours, theirs in zip(average.buffers(), model.buffers()):\n            ours.copy_(theirs)\n",
                "",
            ),
            "averaged buffers": (
                "model.buffers()):\n            ours.copy_(theirs)",
                "model.buffers()):\n            ours.lerp_(theirs, 0.5)",
            ),
            "eval": ("    with torch", "    model.eval()\n    with torch"),
        },
    ),
    Answer(
        "03",
        "train",
        """
def train(model, optimizer, batches, *, average=None, decay=0.998, generator=None):
    for clean in batches:
        loss = train_step(model, optimizer, clean, generator=generator)
        if average is not None:
            update_average(average, model, decay)
        yield loss
""",
        {
            "average_forgotten": ("            update_average(average, model, decay)\n", "            pass\n"),
            "average_and_model_swapped": ("average, model, decay", "model, average, decay"),
            "one_minus_decay": ("model, decay)", "model, 1 - decay)"),
            "only_with_an_average": ("        yield loss", "            yield loss"),
            "decay_not_handed_on": ("model, decay)", "model, 0.998)"),
        },
        {
            "eval": ("        yield", "        model.eval(); yield"),
            "counted": ("    for clean in batches:", "    for i in range(len(batches)):\n        clean = batches[i]"),
            "generator": ("clean, generator=generator)", "clean)"),
        },
    ),
    Answer(
        "04",
        "noise_schedule",
        """
def noise_schedule(n_steps):
    if n_steps < 1:
        raise ValueError("at least one step")
    return torch.linspace(1, 0, n_steps + 1, dtype=torch.float32)
""",
        {
            "one_level_short": ("n_steps + 1", "n_steps"),
            "ascending": ("linspace(1, 0,", "linspace(0, 1,"),
            "squared": ("dtype=torch.float32)", "dtype=torch.float32) ** 2"),
            "one_level_too_many": ("n_steps + 1", "n_steps + 2"),
        },
        {
            "no ValueError": ('    if n_steps < 1:\n        raise ValueError("at least one step")\n', ""),
            "asserted": (
                '    if n_steps < 1:\n        raise ValueError("at least one step")\n',
                "    assert n_steps > 0\n",
            ),
            "float64": ("torch.float32", "torch.float64"),
        },
    ),
    Answer(
        "04",
        "extrapolate",
        """
def extrapolate(denoised, previous, step_size):
    if previous is None:
        return denoised
    return torch.lerp(previous, denoised, step_size)
""",
        {
            "predictions_swapped": ("(previous, denoised,", "(denoised, previous,"),
            "counted_from_the_new": (
                "torch.lerp(previous, denoised, step_size)",
                "denoised + step_size * (denoised - previous)",
            ),
            "guess_clamped": ("step_size)\n", "step_size).clamp(0, 1)\n"),
            "always_two": ("denoised, step_size)", "denoised, 2.0)"),
        },
        {
            "in place": (
                "    if previous is None:\n        return denoised\n",
                "    if previous is None:\n        return denoised\n    previous.mul_(2)\n    previous = previous / 2\n",
            )
        },
    ),
    Answer(
        "04",
        "denoise",
        """
def denoise(model, noisy, schedule, step_size=2.0):
    levels = torch.as_tensor(schedule).to(noisy).view(-1, 1, 1, 1, 1)
    previous = None
    for noise_level, next_level in zip(levels[:-1], levels[1:]):
        with torch.no_grad():
            denoised = model(noisy, noise_level)
            guess = extrapolate(denoised, previous, step_size)
            noisy = remix(noisy, guess, noise_level, next_level)
        previous = denoised
        yield Step(next_level, noisy, denoised)
""",
        {
            "told_the_next_level": ("model(noisy, noise_level)", "model(noisy, next_level)"),
            "told_how_clean": ("model(noisy, noise_level)", "model(noisy, 1 - noise_level)"),
            "guess_remembered": ("previous = denoised", "previous = guess"),
            "never_remembered": ("        previous = denoised\n", ""),
            "step_size_ignored": ("previous, step_size)", "previous, 2.0)"),
            "levels_swapped": ("guess, noise_level, next_level)", "guess, next_level, noise_level)"),
            "mix_clamped": ("noise_level, next_level)\n", "noise_level, next_level).clamp(0, 1)\n"),
            "guess_yielded": ("noisy, denoised)\n", "noisy, guess)\n"),
            "level_left_behind": ("Step(next_level,", "Step(noise_level,"),
            "places_changed": ("noisy, denoised)\n", "denoised, noisy)\n"),
        },
        {
            "no list": ("torch.as_tensor(schedule)", "schedule"),
            "dtype": (".to(noisy)", ""),
            "gradients": ("        with torch.no_grad():", "        if True:"),
            "eval": ("    previous = None\n", "    previous = None\n    model.eval()\n"),
            "gradients off for the caller": (
                "        with torch.no_grad():",
                "        torch.set_grad_enabled(False)\n        if True:",
            ),
        },
    ),
    Answer(
        "04",
        "generate",
        """
def generate(model, n_images, *, image_shape, n_steps=100, step_size=2.0, generator=None):
    like = next(model.parameters(), torch.empty(0))
    shape = (n_images, *image_shape)
    noisy = torch.rand(shape, generator=generator, device=like.device, dtype=like.dtype)
    was_training = model.training
    model.eval()
    try:
        for step in denoise(model, noisy, noise_schedule(n_steps), step_size):
            noisy = step.noisy
    finally:
        model.train(was_training)
    return noisy.clamp(0, 1)
""",
        {
            "gaussian_start": ("torch.rand(", "torch.randn("),
            "not_clamped": (".clamp(0, 1)", ""),
            "last_prediction": ("noisy = step.noisy", "noisy = step.denoised"),
            "one_step_short": ("noise_schedule(n_steps)", "noise_schedule(max(1, n_steps - 1))"),
            "one_step_too_many": ("noise_schedule(n_steps)", "noise_schedule(n_steps + 1)"),
            "step_size_not_handed_on": ("n_steps), step_size)", "n_steps))"),
            "one_noise_for_all": ("dtype=like.dtype)", "dtype=like.dtype)[:1].repeat(n_images, 1, 1, 1)"),
            "squeezed": (".clamp(0, 1)", ".sigmoid()"),
        },
        {
            "model.eval()": ("    model.eval()\n", ""),
            "mode restored": ("        model.train(was_training)", "        pass"),
            "finally": ("    finally:\n", "    except ZeroDivisionError:\n        pass\n    else:\n"),
            "dtype": (", dtype=like.dtype)", ")"),
            "device": ("device=like.device, ", ""),
            "no weights": (", torch.empty(0))", ")"),
            "no list": ("(n_images, *image_shape)", "(n_images,) + image_shape"),
            "generator": ("generator=generator, ", ""),
        },
    ),
    Answer(
        "05",
        "loss_by_noise_level",
        """
def loss_by_noise_level(model, images, levels):
    random = torch.Generator().manual_seed(0)
    noise = torch.rand(images.shape, generator=random, dtype=images.dtype)
    losses = []
    for value in levels:
        level = torch.full((1, 1, 1, 1), value, dtype=images.dtype)
        with torch.no_grad():
            denoised = model(mix(images, noise, level), level)
        losses.append((denoised - images).square().mean())
    return torch.stack(losses)
""",
        {
            "told_the_rest": ("level), level)", "level), 1 - level)"),
            "told_nothing": ("level), level)", "level), 0 * level)"),
            "swapped": ("mix(images, noise, level)", "mix(noise, images, level)"),
            "not_squared": (".square()", ".abs()"),
            "gaussian": ("torch.rand(", "torch.randn("),
            "against_the_noise": ("(denoised - images)", "(denoised - noise)"),
        },
        {
            "dtype of the noise": ("generator=random, dtype=images.dtype)", "generator=random)"),
            "dtype of the level": ("value, dtype=images.dtype)", "value)"),
            "mode": ("    losses = []", "    model.eval()\n    losses = []"),
            "gradients": ("with torch.no_grad():", "if True:"),
        },
    ),
    Answer(
        "05",
        "sliced_wasserstein",
        """
def sliced_wasserstein(images_a, images_b, *, generator=None):
    if images_a.shape != images_b.shape:
        raise ValueError("sets of different shapes")
    distances, device, n = [], images_a.device, n_levels_for(images_a)
    for a, b in zip(laplacian_pyramid(images_a, n), laplacian_pyramid(images_b, n)):
        height, width = a.shape[2:]
        rows = torch.randint(height - PATCH + 1, (N_PATCHES,), generator=generator, device=device)
        columns = torch.randint(width - PATCH + 1, (N_PATCHES,), generator=generator, device=device)
        places = torch.stack([rows, columns], dim=1)
        points_a, points_b = patches(a, places), patches(b, places)
        scale = torch.cat([points_a, points_b]).std().clamp(min=1e-6)
        directions = torch.randn(points_a.shape[1], N_DIRECTIONS, generator=generator, device=device)
        directions = (directions / directions.norm(dim=0)).to(a.dtype)
        distances.append(sliced_distance(points_a / scale, points_b / scale, directions))
    return torch.stack(distances).mean().item()
""",
        {
            "turned_gray": (
                "    distances, device",
                "    images_a, images_b = (x.mean(1, keepdim=True) for x in (images_a, images_b))\n    distances, device",
            ),
            "scaled_by_the_first": ("torch.cat([points_a, points_b]).std()", "points_a.std()"),
            "directions_too_long": ("(directions / directions.norm(dim=0))", "directions"),
            "levels_added_up": (".mean().item()", ".sum().item()"),
            "scaled_by_the_variance": (".std()", ".var()"),
        },
        {
            "no ValueError": (
                '    if images_a.shape != images_b.shape:\n        raise ValueError("sets of different shapes")\n',
                "",
            ),
            "device": (", device=device)", ")"),
            "tensor": (".item()", ""),
        },
    ),
    Answer(
        "06",
        "ConditionalDenoiser",
        """
class ConditionalDenoiser(nn.Module):
    def __init__(self, unet, n_words):
        super().__init__()
        self.unet, self.n_words = unet, n_words

    def forward(self, noisy, noise_level, condition=None):
        n, channels, height, width = noisy.shape
        if condition is None:
            condition = noisy.new_zeros(1, self.n_words)
        planes = condition.to(noisy)[:, :, None, None].expand(n, -1, height, width)
        return self.unet(torch.cat([noisy, planes], dim=1), noise_level)[:, :channels]
""",
        {
            "WordsFirst": ("[noisy, planes]", "[planes, noisy]"),
            "AverageOfTheBatch": ("condition.to(noisy)[:, ", "condition.to(noisy).mean(0, keepdim=True)[:, "),
            "FirstRowForAll": ("condition.to(noisy)[:, ", "condition.to(noisy)[:1, "),
            "HowClean": ("noise_level)[", "1 - noise_level)["),
        },
        {
            "dtype": ("condition.to(noisy)", "condition"),
            "device": ("noisy.new_zeros(1, self.n_words)", "torch.zeros(1, self.n_words, dtype=noisy.dtype)"),
            "gradients off": ("    def forward", "    @torch.no_grad()\n    def forward"),
            "not registered": (
                "self.unet, self.n_words = unet, n_words",
                "self.n_words = n_words; self.unet = lambda *x: unet(*x)",
            ),
            "as many channels as it gets": ("noise_level)[:, :channels]", "noise_level)[:, :-self.n_words]"),
        },
    ),
    Answer(
        "06",
        "drop_conditions",
        """
def drop_conditions(condition, share, *, generator=None):
    kept = torch.rand(len(condition), 1, generator=generator, device=condition.device) >= share
    return condition * kept
""",
        {
            "word_by_word": ("len(condition), 1,", "*condition.shape,"),
            "kept_with_the_share": (">= share", "< share"),
            "one_for_all": ("len(condition), 1,", "1,"),
            "gaussian_numbers": ("torch.rand(", "torch.randn("),
        },
        {
            "device": (", device=condition.device", ""),
            "generator": ("generator=generator, ", ""),
            "in place": ("condition * kept", "condition.mul_(kept)"),
        },
    ),
    Answer(
        "06",
        "asking",
        """
def asking(model, condition, guidance=1.0):
    def predict(noisy, noise_level):
        if guidance == 0:
            return model(noisy, noise_level, None)
        if guidance == 1:
            return model(noisy, noise_level, condition)
        return guide(model(noisy, noise_level, None), model(noisy, noise_level, condition), guidance)
    return Denoiser(model, predict)
""",
        {
            "guided_twice": (", guidance)\n", ", guidance**2)\n"),
            "one_too_far": (
                "        if guidance == 0:\n            return model(noisy, noise_level, None)\n        if guidance == 1:\n            return model(noisy, noise_level, condition)\n        return guide(model(noisy, noise_level, None), model(noisy, noise_level, condition), guidance)",
                "        return guide(model(noisy, noise_level, None), model(noisy, noise_level, condition), guidance + 1)",
            ),
            "guided_clamped": (", guidance)\n", ", guidance).clamp(0, 1)\n"),
            "told_how_clean": ("noise_level,", "1 - noise_level,"),
        },
        {
            "not wrapped": ("Denoiser(model, predict)", "predict"),
            "other weights": ("Denoiser(model, predict)", "Denoiser(nn.Identity(), predict)"),
            "in place": ("    def predict", "    condition.mul_(2).div_(2).add_(1).sub_(1)\n    def predict"),
        },
    ),
    Answer(
        "06",
        "keeping",
        """
def keeping(denoiser, known, mask):
    def predict(noisy, noise_level):
        return torch.where(mask, known, denoiser(noisy, noise_level))
    return Denoiser(denoiser, predict)
""",
        {
            "mask_inverted": ("known, denoiser(noisy, noise_level))", "denoiser(noisy, noise_level), known)"),
            "into_the_noisy": (
                "torch.where(mask, known, denoiser(noisy, noise_level))",
                "denoiser(torch.where(mask, known, noisy), noise_level)",
            ),
            "rest_clamped": ("denoiser(noisy, noise_level))", "denoiser(noisy, noise_level).clamp(0, 1))"),
            "level_inverted": ("noise_level))", "1 - noise_level))"),
        },
        {
            "not wrapped": ("Denoiser(denoiser, predict)", "predict"),
            "other weights": ("Denoiser(denoiser, predict)", "Denoiser(nn.Identity(), predict)"),
            "called twice": ("        return", "        denoiser(noisy, noise_level)\n        return"),
        },
    ),
    Answer(
        "06",
        "vary",
        """
def vary(denoiser, images, noise_level, *, schedule=None, step_size=2.0, generator=None):
    noise = torch.rand(images.shape, generator=generator, device=images.device, dtype=images.dtype)
    noisy = (1 - noise_level) * images + noise_level * noise
    levels = noise_level * (noise_schedule(100) if schedule is None else schedule)
    for step in denoise(denoiser, noisy, levels, step_size):
        noisy = step.noisy
    return noisy.clamp(0, 1)
""",
        {
            "schedule_unscaled": ("levels = noise_level * ", "levels = "),
            "swapped_in_the_mix": (
                "(1 - noise_level) * images + noise_level * noise",
                "noise_level * images + (1 - noise_level) * noise",
            ),
            "gaussian_noise": ("torch.rand(", "torch.randn("),
            "step_size_unused": ("levels, step_size", "levels, 2.0"),
            "never_clamped": (".clamp(0, 1)", ""),
        },
        {
            "elsewhere": (", device=images.device, dtype=images.dtype", ""),
            "generator": ("generator=generator", "generator=None"),
            "in place": ("    levels = ", "    images.add_(1)\n    levels = "),
        },
    ),
    Answer(
        "07",
        "warped_schedule",
        """
def warped_schedule(n_steps, warp=0.5):
    if not warp > 0:
        raise ValueError("no such warp")
    x = noise_schedule(n_steps)
    return (x * (1 + warp) / (x + warp)).float()
""",
        {
            "bent_toward_zero": ("x * (1 + warp) / (x + warp)", "x * warp / (1 + warp - x)"),
            "factor_forgotten": ("x * (1 + warp)", "x"),
            "always_one_half": ("    x = noise", "    warp = 0.5\n    x = noise"),
            "rising": ("noise_schedule(n_steps)", "noise_schedule(n_steps).flip(0)"),
        },
        {
            "no ValueError": ('    if not warp > 0:\n        raise ValueError("no such warp")\n', ""),
            "float64": (".float()", ".double()"),
        },
    ),
    Answer(
        "07",
        "step_sizes",
        """
def step_sizes(schedule):
    p, t, s = schedule[:-2].double(), schedule[1:-1].double(), schedule[2:].double()
    kept = s / t
    mean = -t * torch.xlogy(kept, kept) / (1 - kept)
    sizes = torch.cat([torch.ones(1), (p - mean) / (p - t)])
    return sizes.to(schedule)
""",
        {
            "read_halfway": ("mean = -t * torch.xlogy(kept, kept) / (1 - kept)", "mean = (t + s) / 2"),
            "read_at_the_end": ("mean = -t * torch.xlogy(kept, kept) / (1 - kept)", "mean = s"),
            "in_units_of_this_step": ("/ (p - t)", "/ (t - s)"),
            "measured_from_the_new_prediction": ("(p - mean) / (p - t)", "(t - mean) / (p - t)"),
            "first_missing": ("torch.cat([torch.ones(1), (p - mean) / (p - t)])", "(p - mean) / (p - t)"),
        },
        {
            "float64": (".to(schedule)", ""),
            "in place": ("    return sizes", "    schedule += 1e-6\n    return sizes"),
        },
    ),
    Answer(
        "07",
        "distillation_target",
        """
def distillation_target(teacher, noisy, noise_level, middle, next_level):
    with torch.no_grad():
        first = teacher(noisy, noise_level)
        second = teacher(remix(noisy, first, noise_level, middle), middle)
    a, b = middle / noise_level, next_level / middle
    return torch.lerp(first, second, (1 - b) / (1 - a * b))
""",
        {
            "second_alone": ("torch.lerp(first, second, (1 - b) / (1 - a * b))", "second"),
            "weights_swapped": ("torch.lerp(first, second,", "torch.lerp(second, first,"),
            "share_not_divided": ("(1 - b) / (1 - a * b)", "1 - b"),
            "shown_noisy_twice": (
                "teacher(remix(noisy, first, noise_level, middle), middle)",
                "teacher(noisy, middle)",
            ),
            "same_level_twice": ("middle), middle)", "middle), noise_level)"),
        },
        {
            "gradients": ("    with torch.no_grad():", "    if True:"),
            "in place": ("    return", "    noisy.zero_()\n    return"),
        },
    ),
    Answer(
        "07",
        "distill_step",
        """
def distill_step(student, teacher, optimizer, clean, schedule, *, generator=None):
    levels = schedule.to(clean).view(-1, 1, 1, 1)
    step = 2 * torch.randint(len(levels) // 2, (len(clean),), generator=generator)
    noise = torch.rand(clean.shape, generator=generator, dtype=clean.dtype)
    noisy = mix(clean, noise, levels[step])
    target = distillation_target(teacher, noisy, levels[step], levels[step + 1], levels[step + 2])
    loss = F.mse_loss(student(noisy, levels[step]), target)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    return loss.item()
""",
        {
            "compared_with_clean": (", target)\n    optimizer", ", clean)\n    optimizer"),
            "gaussian": ("torch.rand(clean", "torch.randn(clean"),
            "same_noise": ("dtype=clean.dtype)", "dtype=clean.dtype)[:1]"),
            "first_never_drawn": ("randint(len", "randint(1, len"),
            "summed": ("    optimizer.zero_grad()", "    loss = loss * clean.numel()\n    optimizer.zero_grad()"),
            "no_step": ("    optimizer.step()\n", ""),
        },
        {
            "generator": ("generator=generator, ", ""),
            "tensor": ("loss.item()", "loss"),
            "in place": ("    return", "    clean.zero_()\n    return"),
        },
    ),
    Answer(
        "07",
        "one_step",
        """
def one_step(student, n_images, *, image_shape, generator=None):
    like = next(student.parameters(), torch.empty(0))
    noise = torch.rand((n_images, *image_shape), generator=generator, dtype=like.dtype)
    level = noise.new_ones(1, 1, 1, 1)
    with torch.no_grad():
        return student(noise, level).clamp(0, 1)
""",
        {
            "level_zero": ("new_ones", "new_zeros"),
            "gaussian_noise": ("torch.rand(", "torch.randn("),
            "not_clamped": (".clamp(0, 1)", ""),
            "one_noise_for_all": ("    level", "    noise = noise[:1].repeat(n_images, 1, 1, 1)\n    level"),
        },
        {
            "gradients": ("    with torch.no_grad():", "    if True:"),
            "no weights": (", torch.empty(0))", ")"),
            "dtype": (", dtype=like.dtype)", ")"),
            "generator": ("generator=generator, ", ""),
        },
    ),
    Answer(
        "08",
        "predicted_noise",
        """
def predicted_noise(noisy, denoised, noise_level):
    return (noisy - (1 - noise_level) * denoised) / noise_level
""",
        {
            "velocity_in_place_of_noise": ("(1 - noise_level) * denoised", "denoised"),
            "weight_left_on": (" / noise_level", ""),
            "image_added": ("noisy - (1", "noisy + (1"),
            "noise_clamped": (
                "    return (noisy - (1 - noise_level) * denoised) / noise_level",
                "    return ((noisy - (1 - noise_level) * denoised) / noise_level).clamp(-1, 1)",
            ),
        },
        {
            "in place": ("    return", "    denoised.mul_(2)\n    denoised = denoised / 2\n    return"),
            "float32": (
                "    return",
                "    noisy, denoised, noise_level = noisy.float(), denoised.float(), noise_level.float()\n    return",
            ),
        },
    ),
    Answer(
        "08",
        "denoised_from_velocity",
        """
def denoised_from_velocity(noisy, velocity, noise_level):
    return noisy - noise_level * velocity
""",
        {
            "away_from_the_image": ("noisy - noise", "noisy + noise"),
            "whole_velocity": ("noise_level * velocity", "velocity"),
            "length_of_the_other_part": ("noise_level * velocity", "(1 - noise_level) * velocity"),
        },
        {
            "in place": ("    return", "    velocity.mul_(2)\n    velocity = velocity / 2\n    return"),
            "float32": (
                "    return",
                "    noisy, velocity = noisy.float(), velocity.float()\n    noise_level = noise_level.float()\n    return",
            ),
        },
    ),
    Answer(
        "08",
        "rectified_flow_step",
        """
def rectified_flow_step(z, v, t, next_t):
    return z + (next_t - t) * v
""",
        {
            "back_in_time": ("next_t - t", "t - next_t"),
            "whole_v": ("(next_t - t) * v", "v"),
            "all_the_way": ("next_t - t", "1 - t"),
        },
        {
            "in place": ("    return", "    v.mul_(2)\n    v = v / 2\n    return"),
            "float32": (
                "    return",
                "    z, v, t, next_t = z.float(), v.float(), t.float(), next_t.float()\n    return",
            ),
        },
    ),
    Answer(
        "08",
        "predicted_score",
        """
def predicted_score(noisy, denoised, noise_level):
    return ((1 - noise_level) * denoised - noisy) / noise_level**2
""",
        {
            "divided_once": ("noise_level**2", "noise_level"),
            "mean_unscaled": ("(1 - noise_level) * denoised", "denoised"),
            "downhill": ("(1 - noise_level) * denoised - noisy", "noisy - (1 - noise_level) * denoised"),
        },
        {
            "in place": ("    return", "    denoised.mul_(2)\n    denoised = denoised / 2\n    return"),
            "float32": (
                "    return",
                "    noisy, denoised = noisy.float(), denoised.float()\n    noise_level = noise_level.float()\n    return",
            ),
        },
    ),
    Answer(
        "08",
        "to_alpha_bar",
        """
def to_alpha_bar(noise_level):
    return (1 - noise_level) ** 2 / ((1 - noise_level) ** 2 + noise_level**2)
""",
        {
            "square_not_divided": (" / ((1 - noise_level) ** 2 + noise_level**2)", ""),
            "share_of_the_noise": ("return (1 - noise_level) ** 2 /", "return noise_level**2 /"),
            "weight_over_squares": ("return (1 - noise_level) ** 2 /", "return (1 - noise_level) /"),
        },
        {
            "in place": ("    return", "    noise_level.mul_(2)\n    noise_level = noise_level / 2\n    return"),
            "float32": ("    return", "    noise_level = noise_level.float()\n    return"),
        },
    ),
    Answer(
        "08",
        "ddim_step",
        """
def ddim_step(x, epsilon, alpha, next_alpha):
    image = (x - (1 - alpha).sqrt() * epsilon) / alpha.sqrt()
    return next_alpha.sqrt() * image + (1 - next_alpha).sqrt() * epsilon
""",
        {
            "roots_forgotten_at_last": (
                "next_alpha.sqrt() * image + (1 - next_alpha).sqrt()",
                "next_alpha * image + (1 - next_alpha)",
            ),
            "noise_left_out": (" + (1 - next_alpha).sqrt() * epsilon", ""),
            "x_taken_for_the_image": ("return next_alpha.sqrt() * image", "return next_alpha.sqrt() * x"),
            "image_not_divided": (" / alpha.sqrt()", ""),
        },
        {
            "in place": ("    return", "    epsilon.mul_(2)\n    epsilon = epsilon / 2\n    return"),
            "float32": (
                "    image =",
                "    x, epsilon, alpha, next_alpha = x.float(), epsilon.float(), alpha.float(), next_alpha.float()\n    image =",
            ),
        },
    ),
    Answer(
        "08",
        "ddpm_step",
        """
def ddpm_step(x, epsilon, alpha_bar, next_alpha_bar, z):
    alpha = alpha_bar / next_alpha_bar
    beta = 1 - alpha
    mean = (x - beta / (1 - alpha_bar).sqrt() * epsilon) / alpha.sqrt()
    variance = (1 - next_alpha_bar) / (1 - alpha_bar) * beta
    return mean + variance.sqrt() * z
""",
        {
            "weight_is_the_variance": ("variance.sqrt() * z", "variance * z"),
            "first_choice": ("variance = (1 - next_alpha_bar) / (1 - alpha_bar) * beta", "variance = beta"),
            "alpha_bar_for_alpha": ("alpha_bar / next_alpha_bar", "alpha_bar"),
            "mean_not_divided": (" / alpha.sqrt()", ""),
        },
        {
            "in place": ("    return", "    z.mul_(2)\n    z = z / 2\n    return"),
            "float32": (
                "    alpha =",
                "    x, epsilon, z = x.float(), epsilon.float(), z.float()\n    alpha_bar, next_alpha_bar = alpha_bar.float(), next_alpha_bar.float()\n    alpha =",
            ),
        },
    ),
    Answer(
        "08",
        "edm_heun_step",
        """
def edm_heun_step(x, denoiser, sigma, next_sigma):
    d = (x - denoiser(x, sigma)) / sigma
    euler = x + (next_sigma - sigma) * d
    if next_sigma == 0:
        return euler
    next_d = (euler - denoiser(euler, next_sigma)) / next_sigma
    return x + (next_sigma - sigma) * (d + next_d) / 2
""",
        {
            "from_the_end": ("return x + (", "return euler + ("),
            "directions_added": (" / 2", ""),
            "second_at_the_old_sigma": ("denoiser(euler, next_sigma)", "denoiser(euler, sigma)"),
            "end_direction_alone": ("(d + next_d) / 2", "next_d"),
        },
        {
            "in place": ("    d =", "    sigma.mul_(2)\n    sigma = sigma / 2\n    d ="),
            "asked twice": ("    next_d =", "    denoiser(x, sigma)\n    next_d ="),
        },
    ),
]


@cache
def usable_names() -> dict[str, Any]:
    """Return what the answers use."""
    space: dict[str, Any] = {}
    exec("import torch\nimport torch.nn.functional as F\nfrom torch import nn\n", space)
    for name in ("noise", "denoiser", "training", "sampler", "evaluation", "steering", "few_steps"):
        exec(f"from dino.{name} import *", space)
    exec(
        "from dino.denoiser import conv\nfrom dino.evaluation import N_DIRECTIONS, N_PATCHES, PATCH, n_levels_for\n",
        space,
    )
    return space


def changed(answer: Answer, *changes: Change) -> Any:
    """Return the function, or the class, that an answer becomes with these changes."""
    code = answer.code
    for old, new in changes:
        assert old in code, (answer.exercise, old, code)
        code = code.replace(old, new)
    space = dict(usable_names())
    exec(code, space)
    return space[answer.exercise]


def verdict_on(answer: Answer, *changes: Change) -> Verdict:
    """Return the verdict on an answer with these changes."""
    lesson, exercise = find_lesson(answer.lesson), answer.exercise
    grader, diagnosis, given = grader_of(lesson), diagnosis_of(lesson), changed(answer, *changes)
    verdict = Verdict(lesson.exercise_number(exercise), exercise, "passed")
    for seed in range(grader.n_seeds(exercise)):
        try:
            advice = grader.check(exercise, given, seed)
        except Exception as error:
            return diagnosis.diagnose(verdict, Failure(error, seed))
        verdict = diagnosis.advise(verdict, [Failure(wrong, seed) for wrong in advice]) if advice else verdict
    return verdict


PAIRS = [
    pytest.param(answer, idea, nicety, id=f"{answer}-{idea}-{nicety}")
    for answer in ANSWERS
    for idea, nicety in product(answer.ideas, answer.niceties)
]


@pytest.mark.parametrize("answer", ANSWERS, ids=str)
def test_the_answer_that_is_changed_passes_without_advice(answer: Answer) -> None:
    verdict = verdict_on(answer)
    assert verdict.passed, verdict
    assert not verdict.advice


@pytest.mark.parametrize(("answer", "idea", "nicety"), PAIRS)
def test_a_wrong_idea_is_named_although_a_nicety_is_missing_too(answer: Answer, idea: str, nicety: str) -> None:
    assert len(PAIRS) >= 70
    verdict = verdict_on(answer, answer.ideas[idea], answer.niceties[nicety])
    assert verdict.mistake == idea, verdict
