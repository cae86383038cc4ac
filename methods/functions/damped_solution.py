"""Solve one damped system to its end: what influence functions and damped steps ask of a method."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeAlias

import torch
from torch import Tensor

from hessbench.estimand import Estimate
from hessbench.methods.functions.cg import cg
from hessbench.methods.functions.conjugate_gradients import TOLERANCE
from hessbench.operators import LinearOperator

Steps: TypeAlias = Callable[..., Iterator[Estimate]]
"""A method that answers `Solve`, such as `cg` or `nystrom_cg`, its own settings bound by `functools.partial`."""


@dataclass(frozen=True)
class DampedSolution:
    """The solution of a system, and how good the method says it is.

    Attributes:
        x: (n,).
        residual: |b - (A + damping I) x| / |b| by the method's recurrence; NaN where it does not say.
        converged: Whether that reached the tolerance.
    """

    x: Tensor
    residual: float
    converged: bool


def damped_solution(
    op: LinearOperator,
    b: Tensor,
    *,
    damping: float,
    num_matvecs: int,
    tolerance: float = TOLERANCE,
    method: Steps = cg,
    generator: torch.Generator | None = None,
) -> DampedSolution:
    """Solve (A + damping I) x = b with at most so many products.

    Args:
        op: Symmetric operator A, with A + damping I positive definite; products are charged where it counts them.
        b: Right-hand side (n,).
        damping: Multiple of the identity, at least 0.
        num_matvecs: Most products.
        tolerance: Relative residual at which the run ends.
        method: Conjugate gradients by default.
        generator: For a method that draws.

    Returns:
        The last iterate, converged or not.

    Raises:
        ValueError: If an argument is out of range, or the system is not positive definite.
    """
    source = torch.Generator(device=op.device) if generator is None else generator
    steps = method(op, num_matvecs=num_matvecs, generator=source, b=b, damping=damping, tolerance=tolerance)
    (latest,) = deque(steps, maxlen=1)
    found = latest.resolve()
    said: dict[str, Any] = dict(found.diagnostics)
    if "breakdown" in said:
        raise ValueError(str(said["breakdown"]))
    return DampedSolution(found.value, float(said.get("residual", math.nan)), bool(found.converged))


def damped_solver(
    damping: float, num_matvecs: int, tolerance: float = TOLERANCE, method: Steps = cg
) -> Callable[[LinearOperator, Tensor], Tensor]:
    """What solves systems with one damping, for whoever has the operator and the right-hand side.

    Args: as of `damped_solution`.
    """
    solve = partial(damped_solution, damping=damping, num_matvecs=num_matvecs, tolerance=tolerance, method=method)
    return lambda op, b: solve(op, b).x
