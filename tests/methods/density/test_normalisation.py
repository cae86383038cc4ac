"""Bounds of a spectrum by a few Lanczos steps, in both forms of the margin, beside known spectra."""

import numpy as np
import pytest
import torch

from hessbench.counting import CountingOperator
from hessbench.methods.density.normalisation import find_escape, normalise, outside_share
from hessbench.operators import dense_operator, to_dense
from hessbench.seeding import make_generator

VALUES = np.concatenate([[-3.0, 40.0], np.linspace(-1, 1, 58)])


@pytest.mark.parametrize(("margins", "spent"), [("recurrence", 12), ("explicit", 14)])
def test_every_product_is_charged_and_the_interval_holds_the_spectrum(rotated, margins, spent):
    op = CountingOperator(dense_operator(rotated(VALUES)), spent)
    found = normalise(op, generator=make_generator(0), steps=12, margins=margins)
    assert found.spent == op.matvecs == spent
    assert outside_share(VALUES, found.low, found.high) == 0


def test_the_operator_is_mapped_to_minus_one_and_one(rotated):
    found = normalise(dense_operator(rotated(VALUES)), generator=make_generator(0), steps=60)
    mapped = np.linalg.eigvalsh(to_dense(found.operator).numpy())
    middle, half = (found.low + found.high) / 2, (found.high - found.low) / 2
    assert np.allclose(mapped, (np.sort(VALUES) - middle) / half, atol=1e-12)
    assert np.abs(mapped).max() <= 1


def test_both_margins_are_one_while_the_basis_is_orthogonal(rotated):
    A = dense_operator(rotated(VALUES))
    a, b = (normalise(A, generator=make_generator(1), steps=8, margins=it) for it in ("recurrence", "explicit"))
    assert (a.low, a.high) == pytest.approx((b.low, b.high), rel=1e-8)


def test_an_eigenvalue_outside_is_proved_by_a_second_run_and_measured_by_the_truth(rotated):
    A = dense_operator(rotated(VALUES))
    beyond = find_escape(A, -5.0, 39.0, num_matvecs=30, generator=make_generator(2))
    assert beyond == pytest.approx(1.0, abs=1e-8)
    assert find_escape(A, -5.0, 41.0, num_matvecs=30, generator=make_generator(2)) == 0
    assert outside_share(VALUES, -5.0, 39.0) == pytest.approx(1 / 43)
    assert outside_share(VALUES, -5.0, 40.0 - 1e-9, bound=1e-8) == 0


@pytest.mark.parametrize("margin", [-0.1, float("nan")])
def test_a_margin_below_zero_is_refused(margin):
    with pytest.raises(ValueError, match="margin must be at least 0"):
        normalise(dense_operator(torch.eye(3)), generator=make_generator(0), margin=margin)
