"""Images in the shape of a network: repeated, enlarged, with a margin, never shrunk."""

import pytest
import torch

from hessbench.problems.data import Samples, adapted, load


def samples(*shape: int) -> Samples:
    inputs = torch.rand(2, *shape, generator=torch.Generator().manual_seed(0)) + 1
    return Samples(inputs, torch.tensor([0, 1]), 2)


def test_the_right_shape_is_left_alone():
    given = samples(3, 32, 32)
    assert torch.equal(adapted(given, (3, 32, 32)).inputs, given.inputs)


def test_grey_is_repeated_in_every_channel():
    given = samples(1, 5, 5)
    assert torch.equal(adapted(given, (3, 5, 5)).inputs, given.inputs.repeat(1, 3, 1, 1))


def test_mnist_gets_a_margin_of_two_zeros():
    given = samples(1, 28, 28)
    inputs = adapted(given, (1, 32, 32)).inputs
    assert torch.equal(inputs[:, :, 2:30, 2:30], given.inputs)
    assert float(inputs.sum()) == pytest.approx(float(given.inputs.sum()))


@pytest.mark.parametrize(
    ("size", "wanted", "side", "above"), [(8, 32, 4, 0), (7, 32, 4, 2), (8, 28, 3, 2), (7, 28, 4, 0), (8, 15, 1, 3)]
)
def test_a_small_image_is_enlarged_by_a_whole_factor_and_centred(size, wanted, side, above):
    given = samples(1, size, size)
    inputs = adapted(given, (1, wanted, wanted)).inputs
    assert inputs.shape == (2, 1, wanted, wanted)
    inner = inputs[:, :, above : above + side * size, above : above + side * size]
    assert int((inputs != 0).sum()) == inner.numel()
    assert torch.equal(inner[:, :, ::side, ::side], given.inputs)
    assert torch.equal(inner[:, :, side - 1 :: side, side - 1 :: side], given.inputs)


def test_height_and_width_may_differ():
    inputs = adapted(samples(1, 4, 6), (1, 9, 19)).inputs
    assert inputs.shape == (2, 1, 9, 19)
    assert (inputs[0, 0] != 0).any(dim=1).tolist() == [True] * 8 + [False]
    assert (inputs[0, 0] != 0).any(dim=0).tolist() == [False] * 3 + [True] * 12 + [False] * 4


def test_what_comes_out_is_whole_and_keeps_labels_and_classes():
    given = load("digits", per_class=1)
    found = adapted(given, (3, 32, 32))
    assert found.inputs.is_contiguous()
    assert found.inputs.dtype == torch.float32
    assert torch.equal(found.labels, given.labels)
    assert found.classes == 10
    assert found.inputs.shape != given.inputs.shape


@pytest.mark.parametrize("shape", [(1, 27, 32), (1, 32, 27), (3, 8, 8)])
def test_shrinking_is_refused(shape):
    with pytest.raises(ValueError, match=rf"^images of 28 x 28 do not fit in {shape[1]} x {shape[2]}, and none is"):
        adapted(samples(1, 28, 28), shape)


@pytest.mark.parametrize(("given", "wanted"), [((3, 8, 8), 1), ((3, 8, 8), 4), ((1, 8, 8), 0)])
def test_other_channels_are_refused(given, wanted):
    with pytest.raises(ValueError, match=f"images with {given[0]} channels do not fit a network that takes {wanted}"):
        adapted(samples(*given), (wanted, 8, 8))
