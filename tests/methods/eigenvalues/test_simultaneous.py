"""Simultaneous iteration claims nothing that it cannot know."""

import numpy as np
import pytest


@pytest.mark.parametrize("eigenvalue", ["rayleigh", "ritz"])
def test_simultaneous_iteration_claims_nothing_of_an_order_that_it_does_not_tend_to(run, rotated, eigenvalue):
    # The largest in magnitude are the most negative here; the block settles on them, and misses 1.
    A = rotated([-100.0, -50.0, 1.0, *np.zeros(17)])
    settled = {
        which: run("simultaneous-iteration", A, 400, k=2, which=which, eigenvalue=eigenvalue).last.converged
        for which in ("magnitude", "algebraic", "smallest")
    }
    assert settled == {"magnitude": True, "algebraic": False, "smallest": False}
