"""The tolerance behind a flag: in the spec, in what a library was asked for, or by default."""

import pytest

from hessbench.ledger.claimed_tolerance import claimed_tolerance, default_tolerance
from hessbench.ledger.record import Kind, Record, Status


@pytest.mark.parametrize(
    ("method", "asked", "expected"),
    [
        ("power-iteration[tol=0.05]", "", 0.05),
        ("adaptive-hutchpp[epsilon=0.1]", "trace(tol=1e-3)", 0.1),
        ("pyhessian-power", "eigenvalues(maxIter=16, tol=0.001, top_n=5)", 0.001),
        ("pyhessian-power", "eigsh(k=5, tol=1e-08)", 1e-8),
        ("power-iteration", "", 1e-3),
        ("home-made", "", None),
        ("no [ spec", "", None),
        ("home-made[tol=tight]", "", None),
    ],
)
def test_where_the_tolerance_is_found(method, asked, expected):
    row = Record(Kind.TERMINAL, "c", "p", method, "trace", Status.OK, diagnostics={"asked": asked})
    assert claimed_tolerance(row, {"power-iteration": 1e-3}) == expected


def test_a_switch_is_no_tolerance():
    assert default_tolerance({"tol": True, "epsilon": 0.1}) == 0.1
    assert default_tolerance({"steps": 3}) is None
