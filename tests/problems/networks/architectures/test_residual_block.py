"""Residual blocks: where the zeros of a padded shortcut lie, and which blocks have a shortcut of their own."""

import pytest
import torch

from hessbench.problems.networks.architectures.residual_block import ResidualBlock, padded_shortcut
from hessbench.problems.networks.architectures.resnet20 import resnet20, resnet20_padded


def test_a_padded_shortcut_lays_half_of_its_zero_channels_before_and_half_after():
    x = torch.arange(1.0, 1 + 2 * 5 * 4).reshape(1, 2, 5, 4)
    y = padded_shortcut(x, 4, 2)
    assert y.shape == (1, 4, 3, 2)
    assert torch.equal(y[:, 1:3], x[:, :, [0, 2, 4]][:, :, :, [0, 2]])
    assert not y[:, 0].any()
    assert not y[:, 3].any()


@pytest.mark.parametrize("shortcuts", ["projection", "padded"])
@pytest.mark.parametrize("side", [7, 8])
def test_a_block_whose_convolutions_are_zero_is_the_relu_of_its_shortcut(shortcuts, side):
    block = ResidualBlock(2, 4, 2, shortcuts).eval()
    with torch.no_grad():
        block.bn2.weight.zero_()
        block.bn2.bias.zero_()
    x = torch.randn(1, 2, side, side, generator=torch.Generator().manual_seed(0))
    expected = block.downsample(x) if shortcuts == "projection" else padded_shortcut(x, 4, 2)
    torch.testing.assert_close(block(x), expected.relu())


@pytest.mark.parametrize(("make", "projected", "head"), [(resnet20, 2, "fc"), (resnet20_padded, 0, "linear")])
def test_only_blocks_that_change_the_shape_have_shortcuts_of_their_own(make, projected, head):
    model = make((3, 32, 32), 10)
    blocks = [module for module in model.modules() if isinstance(module, ResidualBlock)]
    assert len(blocks) == 9
    assert sum(block.projected for block in blocks) == projected
    assert sum(block.padded for block in blocks) == 2 - projected
    assert list(model.state_dict())[-1] == f"{head}.bias"


def test_while_training_the_network_normalises_by_its_batch_and_gradients_flow():
    model = resnet20_padded((1, 8, 8), 3).train()
    images = torch.randn(4, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    model(images).square().sum().backward()
    assert all(bool(parameter.grad.isfinite().all()) for parameter in model.parameters())
    assert int(model.bn1.num_batches_tracked) == 1
