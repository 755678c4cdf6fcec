"""A mistake is named only when nothing else explains the evidence: these wrong answers aren't what they look like.

Each of them was once taken for a mistake that the code doesn't make.
"""

from typing import Any

import pytest

from dino.course.verdict import Verdict
from tests.test_ideas_first import ANSWERS, Answer, verdict_on

BY_NAME = {answer.exercise: answer for answer in ANSWERS}

BLOCK = Answer(
    "02",
    "Block",
    """
class Block(nn.Module):
    def __init__(self, channels_in, channels_out):
        super().__init__()
        self.body = nn.Sequential(
            conv(channels_in, channels_out), nn.ReLU(), conv(channels_out, channels_out, bias=False)
        )
        same = channels_in == channels_out
        self.skip = nn.Identity() if same else conv(channels_in, channels_out, bias=False)

    def forward(self, x):
        return self.body(x) + self.skip(x)
""",
    {},
    {},
)
POOL = Answer(
    "02",
    "Pool",
    """
class Pool(nn.Module):
    def __init__(self, channels):
        super().__init__()
        first, last = nn.Conv2d(channels, 4 * channels, 1), nn.Conv2d(4 * channels, channels, 1, bias=False)
        self.body = nn.Sequential(first, nn.ReLU(), last)

    def forward(self, x):
        found = x.amax((2, 3), keepdim=True)
        return x + self.body(found)
""",
    {},
    {},
)
STAGE = Answer(
    "02",
    "Stage",
    """
class Stage(nn.Module):
    def __init__(self, channels_in, channels_out, depth):
        super().__init__()
        self.first = conv(channels_in, channels_out, bias=False)
        self.blocks = nn.ModuleList(Block(channels_out, channels_out) for _ in range(depth))
        self.pool = Pool(channels_out)

    def forward(self, x):
        x = self.first(x)
        for block in self.blocks:
            x = block(x)
        return self.pool(x)
""",
    {},
    {},
)
PYRAMID = Answer(
    "05",
    "laplacian_pyramid",
    """
def laplacian_pyramid(images, n_levels):
    levels = []
    for _ in range(n_levels - 1):
        smaller = F.avg_pool2d(images, 2)
        levels.append(images - F.interpolate(smaller, scale_factor=2))
        images = smaller
    return [*levels, images]
""",
    {},
    {},
)

# The answer, its change, and words that would be wrong to say about it.
CASES = [
    (STAGE, ("in self.blocks:", "in self.blocks[:-1]:"), "Pool is created but never called"),
    (STAGE, ("range(depth)", "range(channels_out)"), "one Block too many"),
    (STAGE, ("range(depth)", "range(channels_in)"), "always two Blocks"),
    (BLOCK, ("channels_in == channels_out", "channels_in >= channels_out"), "always the input"),
    (POOL, ("return x +", "return found +"), "returned alone"),
    (BY_NAME["to_unit"], (" / 255", " // 255"), "converted to floats only afterward"),
    (BY_NAME["center_square"], ("top : top + side", "top : top - side"), "A slice like `x[0:-0]`"),
    (BY_NAME["center_square"], ("(width - side) // 2", "width - side - 2"), "starts at the middle"),
    (BY_NAME["center_square"], ("left : left + side", "left : left + channels"), "end at the side length"),
    (BY_NAME["random_flip"], ("images.flip(-1)", "tosses.flip(-1)"), "is added to the image"),
    (BY_NAME["random_flip"], ("len(images), 1, 1, 1", "1, len(images), 1, 1"), "have shape (N, 1, 1)"),
    (BY_NAME["mix"], ("(1 - noise_level) * clean", "(1 - noise_level) * noise"), "swapped"),
    (BY_NAME["mix"], ("noise_level * noise", "noise_level * clean"), "at the level of the first image"),
    (BY_NAME["add_noise"], ("noise_level * noise, ", "noise_level * clean, "), "fixed seed"),
    (BY_NAME["denoising_loss"], ("model(noisy, noise_level)", "model(noise_level)"), "swapped"),
    (BY_NAME["denoising_loss"], ("model(noisy, noise_level)", "model(noise_level, noise_level)"), "swapped"),
    (BY_NAME["train_step"], ("loss.backward()", "clean.backward()"), "loss is computed under torch.no_grad()"),
    (BY_NAME["generate"], ("noise_schedule(n_steps), step_size", "noise_schedule(n_steps), n_images"), "always use 2"),
    (BY_NAME["loss_by_noise_level"], ("(denoised - images)", "(denoised - denoised)"), "measure the noisy images"),
    (PYRAMID, ("images - F.", "smaller - F."), "subtracted as it is"),
    (PYRAMID, ("avg_pool2d(images, 2)", "avg_pool2d(images, 4)"), "subtracted as it is"),
]  # fmt: skip


@pytest.mark.parametrize(("answer", "change", "untrue"), CASES)
def test_what_is_said_about_a_wrong_answer_is_true(answer: Answer, change: tuple[str, str], untrue: str) -> None:
    verdict: Verdict = verdict_on(answer, change)
    assert not verdict.passed
    assert untrue not in f"{verdict.says} {verdict.rule}", verdict


@pytest.mark.parametrize("answer", [BLOCK, POOL, STAGE, PYRAMID], ids=str)
def test_the_answers_that_are_changed_pass(answer: Any) -> None:
    verdict = verdict_on(answer)
    assert verdict.passed, verdict
    assert not verdict.advice
