"""Flags are judged by a known spectrum, and where copies of an eigenvalue hide no method gives a wrong one."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from hessbench.catalog import load_catalog
from hessbench.estimand import Estimate, TopEigenvalues
from hessbench.laws.flag_trials import FlagTrial, flag_trial
from hessbench.method import Method
from hessbench.problems.held_out.spectra import held_out_spectrum
from hessbench.problems.spectra.rotation import rotated_operator

CATALOG = load_catalog()
HELD_OUT = [
    (2, "lanczos", torch.float32),
    (93, "lanczos", torch.float64),
    (133, "lanczos", torch.float64),
    (23, "lanczos[reorth=periodic]", torch.float32),
    (11, "block-krylov", torch.float64),
    (35, "block-krylov", torch.float32),
    (33, "block-krylov[block=2]", torch.float64),
    (101, "thick-restart-lanczos", torch.float32),
    (105, "thick-restart-lanczos[basis=16]", torch.float64),
    (85, "sketch-and-refine[refine=davidson]", torch.float64),
    (59, "sketch-and-refine[refine=lobpcg]", torch.float64),
    (134, "sketch-and-refine[refine=rayleigh]", torch.float32),
]
"""Runs in which residuals, or a space judged exhausted, once passed for proof."""


def trial(spec: str, values, estimand, dtype, seed: int) -> FlagTrial:
    op = rotated_operator(values, seed, torch.device("cpu"), dtype)
    bound = CATALOG.methods.entry_of(spec).bind(spec, estimand)
    norm = float(np.abs(values).max())
    truth = estimand.rank(values)[: estimand.k]
    tolerance = float(torch.finfo(dtype).eps) ** 0.5 if spec.startswith("sketch") else None
    budget = 2 * values.size
    return flag_trial(bound, op, truth, norm=norm, num_matvecs=budget, seed=seed, tolerance=tolerance)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32], ids=str)
def test_no_flag_is_wrong_where_eigenvalues_are_repeated(dtype):
    bulk = np.linspace(0, 0.4, 60)
    cases = {
        "block-krylov": (np.concatenate([np.repeat([1.0, 0.9, 0.7], 10), np.zeros(60)]), TopEigenvalues(20)),
        "thick-restart-lanczos": (
            np.concatenate([np.zeros(9), [0.2, 0.4, 0.6], 0.8 + bulk]),
            TopEigenvalues(4, "smallest"),
        ),
        "lanczos": (np.concatenate([[3.0, 3.0, 3.0, 2.0, 1.5], bulk / 10]), TopEigenvalues(4)),
    }
    for spec, (values, estimand) in cases.items():
        runs = [trial(spec, values, estimand, dtype, seed) for seed in range(6)]
        assert [line for run in runs for line in run.details] == []
        assert sum(run.right for run in runs) >= 6, spec


def test_no_flag_is_wrong_on_spectra_made_to_defeat_it():
    for seed, spec, dtype in HELD_OUT:
        spectrum = held_out_spectrum(seed, low=24, high=100, max_k=12)
        tolerance = float(torch.finfo(dtype).eps) ** 0.5 if spec.startswith("sketch") else None
        judged = flag_trial(
            CATALOG.methods.entry_of(spec).bind(spec, spectrum.estimand),
            spectrum.build(dtype),
            spectrum.truth,
            norm=spectrum.norm,
            num_matvecs=3 * spectrum.eigenvalues.size,
            seed=seed,
            tolerance=tolerance,
        )
        assert judged.details == (), (spec, spectrum.name)


def claiming(*estimates: Estimate) -> Method:
    def run(op, /, *, num_matvecs, generator, k=10):
        for estimate in estimates:
            op.matmat(torch.ones(op.dim, 1, dtype=op.dtype))
            yield estimate

    return Method(name="claims", run=run, estimands=(TopEigenvalues,), version="1")


def test_every_flag_is_judged_and_nothing_else():
    values = np.array([4.0, -3.0, 1.0, 0.5])
    right = Estimate(np.array([4.0, -3.0]), converged=True)
    method = claiming(
        replace(right, converged=False, value=np.array([9.0, 9.0])),
        right,
        replace(right, value=np.array([4.0, 3.0])),  # by magnitude signs are no error
        replace(right, value=lambda: replace(right, value=np.array([4.0, 1.0]))),
        replace(right, value=np.array([4.0, np.nan])),
        replace(right, value=np.array([4.0])),
        replace(right, value=np.array([4.0, -3.01])),
        replace(right, value=np.array([4.0, -3.01]), diagnostics={"residual": 0.02}),
    )
    op = rotated_operator(values, 0, torch.device("cpu"), torch.float64)
    judge = {"op": op, "truth": values[:2], "norm": 4.0, "num_matvecs": 20, "seed": 0}
    judged = flag_trial(method.bind("claims", TopEigenvalues(2)), **judge)
    assert (judged.given, judged.right, judged.wrong) == (7, 3, 4)
    assert [line.split(" products")[0].split()[-1] for line in judged.details] == ["4", "5", "6", "7"]
    assert flag_trial(method.bind("claims", TopEigenvalues(2)), **judge, tolerance=0.01).right == 4
    with pytest.raises(ValueError, match="truth must have shape"):
        flag_trial(method.bind("claims", TopEigenvalues(3)), **judge)
