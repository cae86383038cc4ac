"""Operators made of others: their matrices, their factors, and what a counting operator charges for them."""

import math

import pytest
import torch

from hessbench.counting import BudgetExceeded, CountingOperator
from hessbench.operators import Factored, LinearOperator, OperatorInfo, ProductKind, dense_operator, info_of, to_dense
from hessbench.transforms import deflated, normalised, scaled, shifted

N, SAMPLES, OUTPUTS = 6, 4, 2


def drawn(*shape):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(sum(shape)), dtype=torch.float64)


F = drawn(N, SAMPLES * OUTPUTS)
A = F @ F.T
U = drawn(N, 2)
VALUES = torch.tensor([2.0, -0.5], dtype=torch.float64)
EYE = torch.eye(N, dtype=torch.float64)


class DenseFactor:
    num_samples, num_outputs, num_columns = SAMPLES, OUTPUTS, SAMPLES * OUTPUTS

    def rmatmat(self, block, /):
        return F @ block

    def squared_sum(self, block, /):
        columns = F.view(N, SAMPLES, OUTPUTS)
        return torch.einsum("psc,sck->psk", columns, block.view(SAMPLES, OUTPUTS, -1)).square().sum(dim=1)


class Ggn:
    """A dense GGN of a quarter of the samples, which counts its own calls."""

    dim, dtype, device = N, torch.float64, torch.device("cpu")
    info = OperatorInfo(ProductKind.GGN, samples=SAMPLES, population=4 * SAMPLES, engine="dense")

    def __init__(self):
        self.calls = 0
        self.factor = DenseFactor()

    def matmat(self, block, /):
        self.calls += 1
        return A @ block


MADE = {
    "shifted": (lambda op: shifted(op, -0.75), A - 0.75 * EYE),
    "scaled": (lambda op: scaled(op, 3.0), 3 * A),
    "turned round": (lambda op: scaled(op, -2.0), -2 * A),
    "normalised": (lambda op: normalised(op, -1.0, 30.0), (2 * A - 29 * EYE) / 31),
    "deflated": (lambda op: deflated(op, U, VALUES), A - U @ torch.diag(VALUES) @ U.T),
    "one after the other": (lambda op: shifted(scaled(deflated(op, U, VALUES), 2.0), 1.0),
                            2 * (A - U @ torch.diag(VALUES) @ U.T) + EYE),
}  # fmt: skip


@pytest.mark.parametrize("made", MADE)
def test_the_matrix_is_the_one_written_down(made):
    make, expected = MADE[made]
    op = make(Ggn())
    assert isinstance(op, LinearOperator)
    assert (op.dim, op.dtype, op.device) == (N, torch.float64, torch.device("cpu"))
    # Sums of at most 8 products of order 10: some tens of roundings.
    torch.testing.assert_close(to_dense(op, 4), expected, rtol=0, atol=1e-13)
    vector = drawn(N)
    torch.testing.assert_close(op @ vector, expected @ vector, rtol=0, atol=1e-12)


@pytest.mark.parametrize("made", MADE)
def test_products_are_charged_as_those_of_the_operator_inside_wherever_they_are_counted(made):
    make, _ = MADE[made]
    inner = Ggn()
    outside = CountingOperator(make(inner))
    inside = CountingOperator(inner)
    for op in (outside, make(inside)):
        op.matmat(drawn(N, 3))
        op.matmat(drawn(N, 1))
    assert inner.calls == 4
    for spending in (outside.spending, inside.spending):
        assert (spending.counts, spending.calls, spending.samples) == ({ProductKind.GGN: 4}, 2, 4 * SAMPLES)
        # 4/3 of a gradient for each of four columns, on a quarter of the data.
        assert spending.gradient_equivalents == pytest.approx(4 / 3)


@pytest.mark.parametrize("made", MADE)
def test_a_budget_holds_inside(made):
    make, _ = MADE[made]
    inner = Ggn()
    op = make(CountingOperator(inner, num_matvecs=2))
    with pytest.raises(BudgetExceeded):
        op.matmat(drawn(N, 3))
    assert inner.calls == 0


@pytest.mark.parametrize("made", MADE)
def test_the_block_handed_in_and_the_operator_inside_are_left_as_they_were(made):
    make, _ = MADE[made]
    kept = drawn(N, 2)
    returned = []

    class Same:
        """The identity, which hands back the very block."""

        dim, dtype, device = N, torch.float64, torch.device("cpu")

        def matmat(self, block, /):
            returned.append(block)
            return block

    block = kept.clone()
    make(Same()).matmat(block)
    assert torch.equal(block, kept)
    assert torch.equal(returned[0], kept)


def test_only_a_positive_multiple_keeps_the_factor():
    op = scaled(Ggn(), 3.0)
    assert isinstance(op, Factored)
    assert (op.factor.num_samples, op.factor.num_outputs, op.factor.num_columns) == (4, 2, 8)
    columns = op.factor.rmatmat(torch.eye(8, dtype=torch.float64))
    torch.testing.assert_close(columns @ columns.T, 3 * A, rtol=0, atol=1e-13)
    block = drawn(8, 2)
    truth = torch.einsum("psc,sck->psk", columns.view(N, 4, 2), block.view(4, 2, 2)).square().sum(dim=1)
    torch.testing.assert_close(op.factor.squared_sum(block), truth, rtol=0, atol=1e-12)
    torch.testing.assert_close(op.factor.summed_squares(block), truth.sum(dim=1), rtol=0, atol=1e-12)
    assert op.factor.summed_work(2) == 1
    for made in set(MADE) - {"scaled"}:
        assert not isinstance(MADE[made][0](Ggn()), Factored)
    assert not isinstance(scaled(dense_operator(A), 3.0), Factored)


def test_the_factor_of_a_multiple_is_counted():
    counted = CountingOperator(scaled(Ggn(), 3.0))
    counted.factor.squared_sum(drawn(8, 5))
    counted.factor.rmatmat(drawn(8, 2))
    assert counted.spending.counts == {ProductKind.PER_EXAMPLE_SQUARE: 5, ProductKind.VJP: 2}


def test_nothing_is_wrapped_where_nothing_changes():
    op = Ggn()
    assert shifted(op, 0.0) is op
    assert scaled(op, 1.0) is op


def test_the_engine_says_what_was_done():
    assert info_of(shifted(scaled(Ggn(), 2.0), 0.5)).engine == "dense, scaled by 2, shifted by 0.5"
    assert info_of(normalised(dense_operator(A), 0.0, 4.0)).engine == "[0, 4] mapped to [-1, 1]"
    assert info_of(deflated(dense_operator(A), U, VALUES)).engine == "less 2 directions"


def test_eigenpairs_taken_out_leave_zeros():
    values, vectors = torch.linalg.eigh(A)
    left = to_dense(deflated(Ggn(), vectors[:, -2:], values[-2:]))
    expected = torch.cat([torch.zeros(2, dtype=torch.float64), values[:-2]])
    torch.testing.assert_close(torch.linalg.eigvalsh(left).sort().values, expected.sort().values, rtol=0, atol=1e-12)


def test_an_interval_that_holds_the_spectrum_is_mapped_onto_one_of_minus_one_to_one():
    values = torch.linalg.eigvalsh(A)
    mapped = torch.linalg.eigvalsh(to_dense(normalised(Ggn(), float(values[0]), float(values[-1]))))
    assert float(mapped[0]) == pytest.approx(-1, abs=1e-13)
    assert float(mapped[-1]) == pytest.approx(1, abs=1e-13)


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda op: shifted(op, math.nan), "shift must be a finite number, got nan"),
        (lambda op: scaled(op, 0.0), "scale must be a finite number other than 0, got 0.0"),
        (lambda op: scaled(op, math.inf), "scale must be a finite number other than 0, got inf"),
        (lambda op: normalised(op, 1.0, 1.0), "low and high must be finite with low < high, got 1.0 and 1.0"),
        (lambda op: normalised(op, -math.inf, 1.0), "low and high must be finite with low < high, got -inf and 1.0"),
        (lambda op: deflated(op, U[:5], VALUES), "U takes the shape (6, k) with k at least 1, got (5, 2)"),
        (lambda op: deflated(op, U[:, :0], VALUES[:0]), "U takes the shape (6, k) with k at least 1, got (6, 0)"),
        (lambda op: deflated(op, U, VALUES[:1]), "values takes the shape (2,), one for each column of U, got (1,)"),
        (lambda op: deflated(op, U.float(), VALUES), "U takes torch.float64 on cpu, got torch.float32 on cpu"),
        (lambda op: deflated(op, U, VALUES * math.nan), "values takes finite entries"),
    ],
)
def test_what_is_out_of_range_is_refused(make, says):
    with pytest.raises(ValueError, match=r"\A[^\n]*\Z") as caught:
        make(Ggn())
    assert str(caught.value) == says
