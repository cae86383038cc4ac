"""References from the nonzero eigenvalues against those of the whole spectrum."""

import numpy as np
import pytest

from hessbench.estimand import Density, Diagonal, Source, TopEigenvalues, Trace
from hessbench.estimand.density import density_reference, wasserstein1
from hessbench.estimand.eigenvalues import top_reference
from hessbench.estimand.trace import trace_reference
from hessbench.problems.references.spectrum import Spectrum, spectrum_references

HUGE = 28_000_000


def references(nonzero, zeros):
    values = np.asarray(nonzero, dtype=np.float64)
    diagonal = np.arange(3.0)
    return spectrum_references(lambda: Spectrum(values, zeros, diagonal, 1e-9), Source.GRAM, 7.0)


@pytest.mark.parametrize("zeros", [0, 1, 4])
@pytest.mark.parametrize("nonzero", [(3.0, -2.0, 1.0), (3.0, 2.0), (5.0, 5.0, -1.0, 0.0), (-1.0, -2.0), (1.0,)])
def test_references_are_those_of_the_whole_spectrum(nonzero, zeros):
    found = references(nonzero, zeros)
    whole = np.sort(np.concatenate([nonzero, np.zeros(zeros)]))
    for which in ("magnitude", "algebraic", "smallest"):
        for k in range(1, whole.size + 1):
            estimand = TopEigenvalues(k, which)
            expected = top_reference(whole, estimand, Source.GRAM).arrays["eigenvalues"]
            np.testing.assert_array_equal(found[TopEigenvalues](estimand).arrays["eigenvalues"], expected)
    for kind, expected in (
        (Trace, trace_reference(whole, Source.GRAM)),
        (Density, density_reference(whole, Source.GRAM)),
    ):
        answer = found[kind](kind())
        assert answer.arrays.keys() == expected.arrays.keys()
        for name, values in expected.arrays.items():
            np.testing.assert_allclose(answer.arrays[name], values, rtol=1e-15, err_msg=name)
        assert answer.norm == expected.norm
    answer = found[Diagonal](Diagonal())
    assert (answer.source, answer.bound, answer.rounding, answer.note) == (Source.GRAM, 1e-9, 7.0, "")
    assert answer.semidefinite == (whole.min() >= 0)


def test_millions_of_zeros_are_one_node():
    found = references((3.0, 2.0), HUGE)
    density = found[Density](Density()).arrays
    np.testing.assert_array_equal(density["nodes"], [0, 2, 3])
    np.testing.assert_allclose(density["weights"] * (HUGE + 2), [HUGE, 1, 1])
    np.testing.assert_array_equal(found[TopEigenvalues](TopEigenvalues(4)).arrays["eigenvalues"], [3, 2, 0, 0])
    truth = Density().to_arrays((density["nodes"], density["weights"]), HUGE)
    assert wasserstein1(truth["nodes"], truth["weights"], density["nodes"], density["weights"]) == 0


def test_the_spectrum_is_solved_once():
    calls = []

    def solve():
        calls.append(1)
        return Spectrum(np.ones(2), 0, np.ones(2), 0.0)

    found = spectrum_references(solve, Source.GRAM, 1.0)
    for kind in (Trace, Density, Diagonal):
        found[kind](kind())
    assert len(calls) == 1
