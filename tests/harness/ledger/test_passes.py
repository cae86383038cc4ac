"""Passes over the data: a block is one, a part of the data is none that a row tells."""

import pytest

from hessbench.counting import CountingOperator
from hessbench.ledger.passes import data_share, passes_of
from hessbench.ledger.record import Kind, Record, Status
from hessbench.operators import OperatorInfo, ProductKind


def row(**fields):
    return Record(Kind.TERMINAL, "c", "p", "m", "trace", Status.OK, **fields)


@pytest.mark.parametrize(
    ("counts", "calls", "gradients", "passes"),
    [
        ({"hessian": 20}, 20, 40.0, 20.0),  # one by one
        ({"hessian": 20}, 2, 40.0, 2.0),  # the same products in two blocks
        ({"product": 7}, 3, 7.0, 3.0),  # no data: the matrix is read
        ({"ggn": 3, "forward": 2}, 1, 3 * 4 / 3 + 2 / 3, 3.0),  # a forward pass reads the data too
        ({"ggn": 3}, 1, 2.0, None),  # half of the data
        ({}, 0, 0.0, None),
        ({"unheard-of": 3}, 1, 3.0, None),
    ],
)
def test_a_row_tells_its_passes_where_every_product_touched_all_of_the_data(counts, calls, gradients, passes):
    assert passes_of(row(counts=counts, calls=calls, gradient_equivalents=gradients, matvecs=20)) == passes


class Halves:
    """A sum over 8 samples, half of which a part of it touches."""

    def __init__(self, samples):
        import torch

        self.dim, self.dtype, self.device = 4, torch.float32, torch.device("cpu")
        self.info = OperatorInfo(ProductKind.GGN, samples, 8, "by hand")

    def matmat(self, block, /):
        return block.clone()


@pytest.mark.parametrize(("samples", "share", "passes"), [(8, 1.0, 2.0), (4, 0.5, None)])
def test_what_the_meter_charges_is_read_back(samples, share, passes):
    import torch

    op = CountingOperator(Halves(samples))
    op.matmat(torch.ones(4, 3))
    op.matmat(torch.ones(4, 1))
    spent = op.spending
    charged = row(
        counts={kind.value: number for kind, number in spent.counts.items()},
        calls=spent.calls,
        gradient_equivalents=spent.gradient_equivalents,
    )
    assert data_share(charged) == pytest.approx(share)
    assert passes_of(charged) == passes
