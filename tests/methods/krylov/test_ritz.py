"""What may stand before the values found: a Ritz value is a rival by all that its residual leaves open."""

import numpy as np
import pytest

from hessbench.estimand import TopEigenvalues
from hessbench.methods.krylov.ritz import has_converged, leading


def test_a_rival_is_taken_at_the_best_that_its_residual_leaves_open():
    # Values 5, 4 and 2 in magnitude; the residual of the last is 1.5, so that 3.5 may be there.
    values, coupling = np.array([2.0, 4.0, 5.0]), np.array([[1.5, 1e-9, 1e-9]])
    found = leading(TopEigenvalues(2), values, np.eye(3), coupling)
    assert found.rival == pytest.approx(-3.5)
    assert list(found.values) == [5.0, 4.0]


@pytest.mark.parametrize(("residual", "converged"), [(1.0, True), (2.5, False)])
def test_values_have_not_converged_while_a_later_one_may_come_before_them(residual, converged):
    order = TopEigenvalues(2)
    found = leading(order, np.array([2.0, 4.0, 5.0]), np.eye(3), np.array([[residual, 0.0, 0.0]]))
    assert has_converged(order, found, 1e-6, unseen=np.inf, probe=None) is converged
