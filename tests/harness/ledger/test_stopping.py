"""The stopping count, where it is known, and read from the ledger of a run."""

import numpy as np
import pytest

from hessbench.ledger.stopping import leading_errors, stopping_count


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
