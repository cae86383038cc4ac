"""The trace from quadratic forms: Hutchinson's estimator."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import get_args

import torch
from torch import Tensor

from hessbench.estimand import Estimate, Trace
from hessbench.method import Footprint, Method
from hessbench.methods.arguments import Probe, check_at_least, check_choice
from hessbench.methods.probes import block_schedule, draw_probes, schedule_widths
from hessbench.methods.small_dense import freedom, mean_and_stderr
from hessbench.operators import LinearOperator


def hutchinson(
    op: LinearOperator,
    /,
    *,
    num_matvecs: int,
    generator: torch.Generator,
    probe: Probe = "signs",
    block: int = 5,
) -> Iterator[Estimate]:
    """Mean of x^T A x over random probes.

    Unbiased. The variance of one sample is 2 (||A||_F^2 - sum_i A_ii^2) for signs, 2 ||A||_F^2 for normal probes and
    2 (||A||_F^2 - tr(A)^2 / n) n / (n + 2) for probes on the sphere of radius sqrt(n).

    Args:
        op: Symmetric operator.
        num_matvecs: Most products; up to block - 1 may stay unspent (see `block_schedule`).
        generator: Source of the probes.
        probe: `signs`, `normal` or `sphere`.
        block: Probes multiplied at once, after the first `block`, which go one at a time.

    Yields:
        After each block the mean, with the standard error of the samples so far from two on.

    Cost:
        One product per probe in calls of width 1, then `block`. Nothing is read from a device before a checkpoint.

    Raises:
        ValueError: If an argument is out of range.

    Source:
        Hutchinson, Commun. Stat. Simul. Comput. 19 (1990), doi:10.1080/03610919008812866.
    """
    check_at_least("num_matvecs", num_matvecs, 1)
    check_at_least("block", block, 1)
    check_choice("probe", probe, get_args(Probe))
    samples: list[Tensor] = []
    for width in block_schedule(num_matvecs, block):
        X = draw_probes(probe, op.dim, width, op, generator)
        samples.append(torch.linalg.vecdot(X, op.matmat(X).detach(), dim=0))
        yield Estimate(value=partial(average, samples, len(samples)))


def average(samples: list[Tensor], count: int) -> Estimate:
    """Mean and standard error of the first `count` blocks of samples; the list may grow meanwhile."""
    forms = torch.cat(samples[:count]).cpu().double().numpy()
    mean, stderr = mean_and_stderr(forms)
    return Estimate(mean, stderr=stderr, stderr_dof=freedom(forms.size))


def _footprint_hutchinson(dim: int, num_matvecs: int, *, block: int, **_: object) -> Footprint:
    del dim
    return Footprint(vectors=3 * block, passes=6.0 * num_matvecs)


HUTCHINSON = Method(
    name="hutchinson",
    run=hutchinson,
    estimands=(Trace,),
    citation=(
        "Hutchinson, A stochastic estimator of the trace of the influence matrix for Laplacian smoothing splines, "
        "Commun. Stat. Simul. Comput. 19 (1990) 433-450, doi:10.1080/03610919008812866"
    ),
    version="1",
    min_matvecs=1,
    block_widths=schedule_widths,
    footprint=_footprint_hutchinson,
)
