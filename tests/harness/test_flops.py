"""Counting floating-point operations."""

import pytest
import torch

from hessbench.flops import counting_flops

A, B, x, y = torch.ones(3, 4), torch.ones(4, 5), torch.ones(4), torch.ones(3)


@pytest.mark.parametrize(
    ("run", "flops"),
    [
        (lambda: A @ B, 2 * 3 * 4 * 5),
        (lambda: A @ x, 2 * 3 * 4),
        (lambda: torch.addmv(y, A, x), 2 * 3 * 4),
        (lambda: y.clone().addmv_(A, x), 2 * 3 * 4),
        (lambda: torch.mv(A, x, out=torch.empty(3)), 2 * 3 * 4),
        (lambda: x @ x, 2 * 4),
        (lambda: torch.dot(x, x), 2 * 4),
        (lambda: torch.ones(3, 5).addmm_(A, B), 2 * 3 * 4 * 5),
        (lambda: torch.ones(2, 3, 5).baddbmm_(A.expand(2, 3, 4), B.expand(2, 4, 5)), 2 * 2 * 3 * 4 * 5),
        (lambda: x + x, 0),
    ],
)
def test_a_product_is_counted_whatever_its_shape(run, flops):
    with counting_flops() as counter:
        run()
    assert counter.get_total_flops() == flops


def test_a_convolution_is_counted():
    with counting_flops() as counter:
        torch.nn.functional.conv2d(torch.ones(2, 3, 8, 8), torch.ones(4, 3, 3, 3), padding=1)
    assert counter.get_total_flops() == 2 * 2 * 8 * 8 * 4 * 3 * 9
