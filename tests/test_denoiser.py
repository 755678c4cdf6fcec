"""Lesson 02, the denoiser: the network is tested by what it does."""

import pytest
import torch
from torch import nn

from dino.denoiser import Block, Pool, Stage, UNet


def n_weights(module: nn.Module) -> int:
    return sum(weight.numel() for weight in module.parameters())


def test_the_default_network_has_the_2_178_819_weights_of_the_original() -> None:
    assert n_weights(UNet()) == 2_178_819


@pytest.mark.slow
def test_a_forward_pass_at_64_pixels_is_4_06_gflop_and_with_backward_12_15() -> None:
    from torch.utils.flop_counter import FlopCounterMode

    model, noisy, level = UNet(), torch.rand(1, 3, 64, 64), torch.rand(1, 1, 1, 1)
    with FlopCounterMode(display=False) as forward:
        denoised = model(noisy, level)
    with FlopCounterMode(display=False) as backward:
        denoised.sum().backward()
    assert forward.get_total_flops() / 1e9 == pytest.approx(4.06, abs=0.005)
    both = forward.get_total_flops() + backward.get_total_flops()
    assert both / 1e9 == pytest.approx(
        12.15, abs=0.005
    )  # not quite three times 4.06, because the input needs no gradient


def test_it_is_made_of_convolutions_and_relus_alone() -> None:
    leaves = {type(module) for module in UNet().modules() if not list(module.children())}
    assert leaves <= {nn.Conv2d, nn.ReLU, nn.Identity}


@pytest.mark.parametrize(("channels", "height", "width"), [(3, 16, 48), (1, 32, 16)])
def test_the_prediction_has_the_shape_of_the_input(channels: int, height: int, width: int) -> None:
    model = UNet(channels, widths=(4, 6, 8), depths=(1, 0, 2))
    noisy = torch.rand(2, channels, height, width)
    assert model(noisy, torch.rand(2, 1, 1, 1)).shape == noisy.shape


def test_one_level_for_the_whole_batch_is_accepted() -> None:
    model = UNet(3, (4, 4), (1, 1))
    noisy, level = torch.rand(3, 3, 8, 8), torch.rand(1, 1, 1, 1)
    torch.testing.assert_close(model(noisy, level), model(noisy, level.expand(3, 1, 1, 1)))


def test_the_level_and_every_pixel_reach_every_pixel() -> None:
    torch.manual_seed(0)
    model = UNet(3, (8, 8, 8), (1, 1, 1)).double()
    noisy = torch.rand(1, 3, 16, 16, dtype=torch.float64, requires_grad=True)
    level = torch.rand(1, 1, 1, 1, dtype=torch.float64, requires_grad=True)
    model(noisy, level)[0, :, 3, 12].sum().backward()
    assert level.grad is not None
    assert level.grad.abs() > 0
    assert noisy.grad is not None
    assert (noisy.grad != 0).float().mean() > 0.5  # far beyond what the convolutions of one resolution see


def test_images_of_a_batch_do_not_see_each_other() -> None:
    model = UNet(3, (4, 4), (1, 1)).double()
    noisy, level = torch.rand(3, 3, 8, 8, dtype=torch.float64), torch.rand(3, 1, 1, 1, dtype=torch.float64)
    torch.testing.assert_close(model(noisy, level)[1:2], model(noisy[1:2], level[1:2]), rtol=0, atol=1e-12)


def test_a_new_network_predicts_near_mid_gray() -> None:
    torch.manual_seed(0)
    model = UNet()
    bias = model.head[-1].bias
    assert isinstance(bias, torch.Tensor)
    assert torch.equal(bias, torch.full((3,), 0.5))
    with torch.no_grad():
        assert (model(torch.rand(4, 3, 64, 64), torch.rand(4, 1, 1, 1)).mean() - 0.5).abs() < 0.1


def test_a_block_with_zero_weights_is_its_skip() -> None:
    block, x = Block(4, 4), torch.randn(2, 4, 5, 6)
    nn.init.zeros_(block.body[2].get_parameter("weight"))
    assert torch.equal(block(x), x)  # no ReLU after the sum: negative values pass
    assert n_weights(Block(3, 5)) == (3 * 5 * 9 + 5) + 5 * 5 * 9 + 3 * 5 * 9


def test_a_pool_adds_one_number_per_channel_that_depends_on_the_maxima_alone() -> None:
    pool, x = Pool(4), torch.randn(2, 4, 5, 6)
    added = pool(x) - x
    torch.testing.assert_close(added, added[..., :1, :1].expand_as(added), atol=1e-6, rtol=0)
    shuffled = x.flatten(2)[..., torch.randperm(30)].view_as(x)
    torch.testing.assert_close(pool(shuffled) - shuffled, added, atol=1e-6, rtol=0)


def test_a_stage_without_blocks_is_a_convolution_and_a_pool() -> None:
    assert n_weights(Stage(3, 4, depth=0)) == 3 * 4 * 9 + n_weights(Pool(4))


def test_widths_and_depths_must_match() -> None:
    with pytest.raises(ValueError, match="one width and one depth"):
        UNet(3, (4, 4), (1,))


def test_under_autocast_the_prediction_has_the_dtype_of_the_input() -> None:
    with torch.autocast("cpu", torch.bfloat16):
        assert UNet(3, (4, 4), (1, 1))(torch.rand(1, 3, 8, 8), torch.rand(1, 1, 1, 1)).dtype == torch.float32
