"""Half widths of intervals: Student's t where the standard error is that of few samples."""

import pytest

from hessbench.estimand import Estimate
from hessbench.estimand.interval import half_width


@pytest.mark.parametrize(
    ("dof", "confidence", "quantile"),
    [(None, 0.95, 1.959964), (1, 0.95, 12.706205), (4, 0.95, 2.776445), (1, 0.5, 1.0), (1e9, 0.68, 0.994458)],
)
def test_the_quantiles_are_those_of_the_tables(dof: float | None, confidence: float, quantile: float) -> None:
    assert half_width(2.0, dof, confidence) == pytest.approx(2 * quantile, rel=1e-5)
    assert Estimate(1.0, stderr=2.0, stderr_dof=dof).half_width(confidence) == half_width(2.0, dof, confidence)


def test_there_is_no_interval_without_a_standard_error() -> None:
    assert Estimate(1.0).half_width() is None


@pytest.mark.parametrize("confidence", [0.0, 1.0, -1.0, float("nan")])
def test_a_confidence_outside_of_0_and_1_is_refused(confidence: float) -> None:
    with pytest.raises(ValueError, match="confidence must be above 0 and below 1"):
        half_width(1.0, None, confidence)
