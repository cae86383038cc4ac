"""The long table of what was measured."""

import pandas as pd
import pytest

from hessbench.reports.claims.measured import Measured, measured_of

ROWS = [
    {"unit": "run=0", "problem": "p", "method": "a", "measure": "error", "value": 1.0, "num_matvecs": 3},
    {"unit": "run=0", "problem": "p", "method": "b", "measure": "error", "value": 2.0},
    {"unit": "run=1", "problem": "p", "method": "a", "measure": "error", "value": 4.0},
    {"unit": "run=1", "problem": "q", "measure": "size", "value": 8.0},
]


def test_numbers_are_found_by_measure_problem_method_and_unit():
    measured = measured_of(ROWS)
    assert measured.units == ("run=0", "run=1")
    assert measured.values("error").tolist() == [1, 2, 4]
    assert measured.values("error", method="a", unit="run=1").tolist() == [4]
    assert measured.values("nothing").size == 0
    assert measured.by_unit("error", method="a") == {"run=0": 1, "run=1": 4}
    assert measured.by_unit("size", problem="q") == {"run=1": 8}
    assert measured.select("error")["num_matvecs"].isna().tolist() == [False, True, True]


def test_several_numbers_of_a_unit_are_not_chosen_from():
    with pytest.raises(ValueError, match="'run=0' has 2"):
        measured_of(ROWS).by_unit("error")


def test_other_columns_and_arrays_that_nobody_kept_are_refused():
    with pytest.raises(ValueError, match="rows must have the columns unit, problem"):
        Measured(pd.DataFrame({"unit": []}), {})
    with pytest.raises(ValueError, match="no array 'x' was kept by the unit 'run=0'"):
        measured_of(ROWS, {"run=1/x": pd.array([1.0]).to_numpy()}).array("run=0", "x")
