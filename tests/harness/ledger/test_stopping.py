"""The stopping count, where it is known, and read from the ledger of a run."""

from dataclasses import replace

import numpy as np
import pytest
from planted_ledgers import cell

from hessbench.estimand.base import Reference, Source
from hessbench.ledger.stopping import leading_errors, stopping_count, stopping_counts
from hessbench.ledger.stored_references import ReferenceStore
from hessbench.ledger.writing import LedgerWriter


@pytest.mark.parametrize(
    ("errors", "expected"),
    [
        ([0.5, 0.01, 0.005, 0.001], 4),
        ([0.5, 0.005, 0.2, 0.001], 8),  # what is left again has not been reached
        ([0.001, 0.001, 0.001, 0.5], np.inf),
        ([0.001, 0.001, 0.001, np.nan], np.inf),
        ([0.0, 0.0, 0.0, 0.0], 2),
    ],
)
def test_the_count_is_the_first_from_which_the_error_stays_small(errors, expected):
    assert stopping_count(np.asarray([2.0, 4.0, 6.0, 8.0]), np.asarray(errors)) == expected


def test_a_run_without_checkpoints_never_stops_and_unlike_lengths_are_refused():
    assert stopping_count(np.zeros(0), np.zeros(0)) == np.inf
    with pytest.raises(ValueError, match="each of 2 checkpoints"):
        stopping_count(np.asarray([1.0, 2.0]), np.zeros(3))
    with pytest.raises(ValueError, match="ascend"):
        stopping_count(np.asarray([2.0, 1.0]), np.zeros(2))


def test_a_missing_value_is_an_error_of_one_and_signs_do_not_count():
    values = np.asarray([[-4.04, np.nan], [4.0, 1.8]])
    assert leading_errors(values, np.asarray([4.0, -2.0]), 1) == pytest.approx([0.01, 0.0])
    assert leading_errors(values, np.asarray([4.0, -2.0]), 2) == pytest.approx([1.0, 0.1])
    with pytest.raises(ValueError, match="hold 3 eigenvalues"):
        leading_errors(values, np.asarray([4.0, -2.0]), 3)


def test_the_count_is_read_from_the_kept_values_of_a_ledger(tmp_path):
    truth = np.asarray([4.0, -2.0, 1.0])
    estimand = "top-eigenvalues[k=3]"
    ReferenceStore(tmp_path).save("p" * 16, estimand, Reference({"eigenvalues": truth}, Source.DENSE, 4.0))
    rows = cell(estimand=estimand, budgets=(3, 6, 9), dtype="float64")
    found = iter(([3.9, -1.0, 0.5], [4.0, -1.999, 0.5], [4.0, -2.0, 1.001]))
    writer = LedgerWriter(tmp_path)
    for number, row in enumerate(rows):
        kept = ""
        if row.checkpoint is not None:
            kept = writer.save_arrays(f"run/{number}", {"eigenvalues": np.asarray(next(found))})
        writer.append(replace(row, arrays=kept))
    writer.close()
    stops = stopping_counts(tmp_path, (1, 2, 3, 4))
    assert [(it.k, it.products) for it in stops] == [(1, 6), (2, 6), (3, 9)]
    assert stops[-1].error == pytest.approx(1e-3)
    assert [it.products for it in stopping_counts(tmp_path, tolerance=1e-4)] == [np.inf]
