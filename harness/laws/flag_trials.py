"""Whether a method that says its eigenvalues have converged is right, on operators whose spectrum is known."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from hessbench.counting import CountingOperator
from hessbench.estimand import Array, TopEigenvalues
from hessbench.method import BoundMethod
from hessbench.operators import LinearOperator
from hessbench.seeding import make_generator


@dataclass(frozen=True)
class Flag:
    """One estimate that says it has converged.

    Attributes:
        spent: Products by then.
        error: Largest error of its k values; infinite where some are missing or not finite.
        limit: Largest error the flag allows.
    """

    spent: int
    error: float
    limit: float

    @property
    def is_right(self) -> bool:
        """Whether every value is within the limit."""
        return self.error <= self.limit


@dataclass(frozen=True)
class FlagTrial:
    """Flags of one run.

    Attributes:
        given: Estimates that said they had converged, checkpoints included.
        right: Those within their limit.
        wrong: The others.
        details: A line for each wrong one.
    """

    given: int
    right: int
    wrong: int
    details: tuple[str, ...]


def flag_trial(
    bound: BoundMethod,
    op: LinearOperator,
    truth: Array,
    *,
    norm: float,
    num_matvecs: int,
    seed: int,
    tolerance: float | None = None,
) -> FlagTrial:
    """Run a method once and judge every flag it gives.

    Args:
        bound: As in `flags`, like all the others.
        op: Operator A.
        truth: The k eigenvalues asked for, shape (k,), in their order.
        norm: Largest magnitude of all eigenvalues.
        num_matvecs: Most products.
        seed: Seed of the method's generator.
        tolerance: Error in units of the norm that a flag allows.

    Returns:
        Counts, and a line for each wrong flag.
    """
    given = list(flags(bound, op, truth, norm=norm, num_matvecs=num_matvecs, seed=seed, tolerance=tolerance))
    wrong = [flag for flag in given if not flag.is_right]
    lines = tuple(
        f"{bound.spec} {bound.estimand.spec} {op.dtype} seed {seed}: at {flag.spent} products an error of "
        f"{flag.error:.3g}, allowed {flag.limit:.3g}"
        for flag in wrong
    )
    return FlagTrial(len(given), len(given) - len(wrong), len(wrong), lines)


def flags(
    bound: BoundMethod,
    op: LinearOperator,
    truth: Array,
    *,
    norm: float,
    num_matvecs: int,
    seed: int,
    tolerance: float | None = None,
) -> Iterator[Flag]:
    """Run a method and judge each estimate that says it has converged, checkpoints included.

    Values are compared place by place in the estimand's order, by magnitude where that is the order. An error may reach
    `tolerance` times the norm and a reference bound of 10 eps times the norm.

    Args:
        bound: A method bound to `TopEigenvalues`.
        op: Operator A.
        truth: The k eigenvalues asked for, shape (k,), in their order.
        norm: Largest magnitude of all eigenvalues.
        num_matvecs: Most products.
        seed: Seed of the method's generator.
        tolerance: Error in units of the norm that the flag allows. By default the residual which the estimate reports,
            within which an eigenvalue lies, and eps^(3/4) at least: never more than a flag judged by residuals allows.

    Yields:
        The flags in the order given.

    Raises:
        ValueError: If the estimand is no `TopEigenvalues`, or `truth` does not have its k values.
    """
    estimand = bound.estimand
    if not isinstance(estimand, TopEigenvalues):
        raise ValueError(f"bound must answer {TopEigenvalues.key}, got {estimand.key}")
    if truth.shape != (min(estimand.k, op.dim),):
        raise ValueError(f"truth must have shape ({min(estimand.k, op.dim)},), got {truth.shape}")
    eps = float(torch.finfo(op.dtype).eps)
    counting = CountingOperator(op, num_matvecs)
    result: Any = bound.run(counting, num_matvecs, make_generator(seed))
    for estimate in result if bound.method.is_anytime else [result]:
        spent, resolved = counting.matvecs, estimate.resolve()
        if not resolved.converged:
            continue
        found = estimand.to_arrays(resolved.value, op.dim)["eigenvalues"]
        if tolerance is None:
            allowed = max(float(resolved.diagnostics.get("residual", 0.0)), eps**0.75 * norm)
        else:
            allowed = tolerance * norm
        yield Flag(spent, _error(estimand, found, truth), allowed + 10 * eps * norm)


def _error(estimand: TopEigenvalues, found: Array, truth: Array) -> float:
    if found.size < truth.size or not np.isfinite(found).all():
        return float("inf")
    one, two = estimand.rank(found)[: truth.size], estimand.rank(truth)
    if estimand.which == "magnitude":
        one, two = np.abs(one), np.abs(two)
    return float(np.abs(one - two).max(initial=0.0))
