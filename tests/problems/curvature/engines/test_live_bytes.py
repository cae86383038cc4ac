"""Bytes of tensors that live at a time."""

import torch

from hessbench.problems.curvature.engines.live_bytes import LiveBytes
from hessbench.problems.networks.linearisation import quiet_transforms


def test_what_lives_and_the_most_that_lived_are_counted_with_what_a_graph_keeps():
    x = torch.ones(100, 100, requires_grad=True)
    size = 40_000
    with LiveBytes() as meter:
        y = x @ x
        z = y.tanh()
        assert (meter.live, meter.peak) == (2 * size, 2 * size)
        del y  # the product of matrices keeps its factors, tanh its result
        assert meter.live == size
        view = z.T[1:]
        assert meter.live == size
        del z
        assert meter.live == size
        del view
        assert (meter.live, meter.peak) == (0, 2 * size)
        small = x[0] + 1
        assert (meter.live, meter.peak) == (400, 2 * size)
        del small


def test_the_peak_can_be_taken_anew_and_what_was_there_before_counts_nothing():
    before = torch.ones(1000)
    with LiveBytes() as meter:
        kept = before + 1
        torch.ones(5000).sum()
        assert meter.peak >= 24_000
        meter.restart()
        assert meter.peak == meter.live == 4000
        del before
        assert meter.live == 4000
        del kept
    assert meter.live == 0


def test_zeros_that_forward_mode_stands_for_by_no_memory_do_not_end_the_process():
    labels = torch.tensor([0, 2, 1])

    def loss(outputs):
        return 0.3 * torch.nn.functional.cross_entropy(outputs, labels, reduction="sum", label_smoothing=0.1)

    def slope(outputs):
        return torch.func.jvp(loss, (outputs,), (torch.eye(3),))[1]

    with quiet_transforms():
        expected = torch.func.grad(slope)(torch.ones(3, 3))
        with LiveBytes():
            found = torch.func.grad(slope)(torch.ones(3, 3))
    assert torch.equal(found, expected)
