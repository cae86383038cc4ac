"""Errors of the trace at equal products: figures of the field's own test spectra, medians over seeds."""

import numpy as np
import pytest
import torch

from hessbench.methods.trace.xnystrace import xnystrace
from hessbench.methods.trace.xtrace import xtrace
from hessbench.operators import FunctionOperator
from hessbench.seeding import make_generator

N = 1000
SPECTRA = {
    "poly": np.arange(1.0, N + 1) ** -2,
    "exp": 0.7 ** np.arange(N),
    "step": np.r_[np.ones(50), np.full(N - 50, 1e-3)],
}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("method", "name", "num_matvecs", "reach"),
    [
        (xnystrace, "exp", 30, 1.5e-4),
        (xnystrace, "poly", 30, 3.4e-3),
        (xnystrace, "poly", 120, 2.0e-4),
        (xtrace, "step", 120, 1.6e-5),
    ],
)
def test_the_median_error_over_400_seeds(method, name, num_matvecs, reach):
    values = torch.from_numpy(SPECTRA[name])
    op = FunctionOperator(lambda block: values[:, None] * block, N, torch.float64)
    truth = float(values.sum())
    runs = (method(op, num_matvecs=num_matvecs, generator=make_generator(seed)).value for seed in range(400))
    assert np.median([abs(value - truth) / truth for value in runs]) <= reach
