"""Spectra by the Gram matrix against the dense matrix, with any memory."""

from dataclasses import replace
from itertools import product

import numpy as np
import pytest

from hessbench.estimand import Density, Diagonal, TopEigenvalues, Trace
from hessbench.estimand.from_dense import dense_references
from hessbench.problems.networks.losses import CROSS_ENTROPY, SQUARED, Loss
from hessbench.problems.references import gram
from hessbench.problems.references.dense import DENSE
from hessbench.problems.references.gram import (
    GRAM_OPERATORS,
    gram_of,
    gram_references,
    gram_spectrum,
    ntk_matrix,
    passes,
)
from hessbench.problems.references.rows import SampleRows, ggn_rows, gradient_rows, jacobian_rows

ROW = 8 * 30
SUMMED = replace(CROSS_ENTROPY, mean=False)


CUTS = (((2,), 4 * ROW), ((2,), 2**31), ((3, 1, 1), 11 * ROW), ((20, 9, 13), 40 * ROW), ((20, 9, 13), 2**31))


@pytest.mark.parametrize("operator", GRAM_OPERATORS)
def test_gram_references_are_those_of_the_dense_matrix(operator, network_of):
    for loss, (sizes, memory), batched in product((CROSS_ENTROPY, SQUARED, SUMMED), CUTS, (True, False)):
        check_references(network_of(sizes, loss, batched), operator, memory)


def check_references(network, operator, memory):
    found = gram_references(lambda: network, 50.0, operator, memory)
    truth = dense_references(lambda: DENSE[operator](network))
    norm = truth[Trace](Trace()).norm
    for estimand in (TopEigenvalues(30), Trace(), Diagonal()):
        answer, expected = found[type(estimand)](estimand), truth[type(estimand)](estimand)
        assert answer.rounding == 50
        for name, values in expected.arrays.items():
            np.testing.assert_allclose(answer.arrays[name], values, rtol=0, atol=1e-13 * norm, err_msg=name)
    density, expected = found[Density](Density()), truth[Density](Density())
    score = Density().errors(Density().to_arrays(tuple(density.arrays.values()), 30), expected, "float64")
    assert score["wasserstein1"] * norm < 1e-12 * norm
    assert density.arrays["weights"].sum() == pytest.approx(1, rel=1e-12)


def test_the_bound_covers_the_difference_to_the_dense_matrix(network_of):
    network = network_of((20, 9, 13))
    spectrum = gram_spectrum(network, "ggn")
    gap = np.abs(np.sort(spectrum.eigenvalues) - np.linalg.eigvalsh(DENSE["ggn"](network))).max()
    assert 0 < gap <= spectrum.bound < 1e-11 * spectrum.norm


def test_the_null_column_of_cross_entropy_and_the_classes_a_sample_rules_out_cost_no_rows(network_of):
    network = network_of((6,))
    assert len(ggn_rows(network)) == 6 * 3
    sure = replace(network, parameters=network.parameters * 12)
    rows = ggn_rows(sure)
    assert 6 < len(rows) < 18
    B = rows.make(0, len(rows))
    expected = DENSE["ggn"](sure)
    np.testing.assert_allclose(B.T @ B, expected, rtol=0, atol=1e-13 * np.abs(expected).max())


def test_the_kernel_of_traces_is_the_explicit_one(network_of, explicit):
    for sizes, memory, batched in product(((2,), (7, 3, 11)), (9 * ROW, 2**31), (True, False)):
        network = network_of(sizes, batched=batched)
        np.testing.assert_allclose(ntk_matrix(network, memory), explicit(network, "ntk"), rtol=0, atol=1e-12)


def test_any_range_of_rows_over_ragged_batches_is_that_part_of_all(network_of):
    for batched in (True, False):
        rows = jacobian_rows(network_of((3, 1, 5), batched=batched))
        whole = rows.make(0, len(rows))
        assert whole.shape == (36, 30)
        for start, stop in ((0, 1), (5, 14), (11, 13), (35, 36)):
            np.testing.assert_allclose(rows.make(start, stop), whole[start:stop], rtol=0, atol=1e-14)


@pytest.mark.parametrize("fitting", [4, 7, 16, 1000])
def test_rows_are_made_as_often_as_said_and_no_more_are_held_than_fit(fitting, network_of, monkeypatch):
    rows = ggn_rows(network_of((10, 2, 3)))
    made, largest = 0, 0
    make = SampleRows.make

    def counted(self, start, stop):
        nonlocal made, largest
        made, largest = made + stop - start, max(largest, stop - start)
        return make(self, start, stop)

    monkeypatch.setattr(SampleRows, "make", counted)
    result = gram_of(rows, fitting * ROW)
    B = make(rows, 0, len(rows))
    np.testing.assert_allclose(result.matrix, B @ B.T, rtol=0, atol=1e-12)
    keep, chunk = gram._sizes(len(rows), 30, fitting * ROW)
    assert keep + 2 * chunk <= max(fitting, len(rows) + 2 * chunk)
    assert largest <= chunk
    blocks = -(-len(rows) // keep)
    assert made == sum(len(rows) - block * keep for block in range(blocks))
    assert made <= len(rows) * passes(len(rows), 30, fitting * ROW)


def test_every_row_is_made_once_where_all_fit(network_of):
    assert passes(100, 30, 2**31) == 1


def test_memory_for_less_than_four_rows_is_refused(network_of):
    with pytest.raises(ValueError, match="memory must hold four rows of 30 parameters, 960 bytes, got 959"):
        gram_of(gradient_rows(network_of()), 959)


def test_a_loss_without_a_root_and_an_unknown_operator_are_refused(network_of):
    with pytest.raises(ValueError, match="the loss quartic has no root"):
        gram_spectrum(network_of(loss=Loss("quartic", lambda outputs, targets: (outputs**4).sum())), "ggn")
    with pytest.raises(ValueError, match="one of ggn, gradient-second-moment, gradient-covariance, got 'hessian'"):
        gram_spectrum(network_of(), "hessian")


def test_more_rows_than_the_limit_are_refused(network_of, monkeypatch):
    monkeypatch.setattr(gram, "ROW_LIMIT", 17)
    with pytest.raises(ValueError, match="at most 17 rows is made, got 18"):
        gram_spectrum(network_of((6,)), "ggn")
