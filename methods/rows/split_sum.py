"""A Hessian's trace and diagonal from its parts: rows of the GGN, probes of the residual, shared out by variances."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np
import torch
from torch import Tensor

from hessbench.estimand import Estimate
from hessbench.methods.arguments import check_at_least
from hessbench.methods.rows.curved_probes import CurvedProbes, ProbedResidual
from hessbench.methods.rows.flat_check import check_flat, check_products
from hessbench.methods.rows.parted import PartedOperator, split
from hessbench.methods.rows.sampled_sum import RowSampler, SampledSum
from hessbench.operators import ProductKind
from hessbench.spending import PRICES

_LEAST_PROBES: Final = 2
"""Probes made in any case: a single one has no standard error."""


@dataclass(frozen=True, eq=False)
class SplitSum:
    """What rows and probes so far say of G + R + c I.

    Attributes:
        ggn: Rows.
        residual: Probes; None where diag(R) = 0.
        shift: c.
    """

    ggn: SampledSum
    residual: ProbedResidual | None
    shift: float

    @property
    def is_exact(self) -> bool:
        """Whether nothing was estimated."""
        return self.ggn.is_whole and self.residual is None

    @property
    def diagonal(self) -> Tensor:
        """The diagonal in float64, (n,)."""
        found = self.ggn.diagonal + self.shift
        return found if self.residual is None else found + self.residual.diagonal

    def trace(self, confidence: float) -> Estimate:
        """The trace; its standard error joins those of the parts, its degrees of freedom by Welch and Satterthwaite.

        Args:
            confidence: Of the interval in the diagnostics.
        """
        rows = self.ggn.trace
        forms = np.zeros(0) if self.residual is None else self.residual.forms
        added, spread = (0.0, 0.0) if self.residual is None else self.residual.trace
        value = (self.ggn.lower_bound if rows is None else rows.value) + added + self.shift * self.ggn.known.numel()
        said: dict[str, float] = {
            "rows": self.ggn.made,
            "probes": forms.size,
            "null_rows": self.ggn.ranking.null_rows,
            "ggn_lower_bound": self.ggn.lower_bound,
        }
        if rows is None or spread is None:
            return Estimate(value, converged=False, diagnostics=said)
        squares, freedoms = np.asarray([rows.stderr, spread]) ** 2, np.asarray([rows.dof, max(forms.size - 1.0, 1.0)])
        total = float(squares.sum())
        said |= {"ggn_stderr": rows.stderr, "residual_stderr": spread}
        dof = total**2 / float((squares**2 / freedoms).sum()) if total > 0 and not self.is_exact else None
        found = Estimate(value, stderr=total**0.5, stderr_dof=dof, converged=self.is_exact, diagnostics=said)
        half = found.half_width(confidence) or 0.0
        said |= {"low": value - half, "high": value + half}
        return found


@dataclass(frozen=True)
class Aim:
    """What is to be known well: its variance from the rows as they stand, and from one probe."""

    of_rows: Callable[[SampledSum], float]
    of_probe: Callable[[ProbedResidual], float]


def split_sums(
    op: PartedOperator, aim: Aim, *, num_matvecs: int, generator: torch.Generator, chunk: int, draws: int
) -> Iterator[SplitSum]:
    """Spend where the variance falls most for each gradient-equivalent: on a chunk of rows, or on a probe of R.

    After a first chunk and a probe come the certain rows, two chunks of draws and a second probe; from there on a chunk
    of r rows, at r / N gradient-equivalents, is compared with a probe, at 2. What rows are worth is told by the first
    chunk of draws, which is then left out of the mean: the number of draws does not depend on those that count. What a
    probe is worth is told by ||R v||, which hardly varies. Nothing is spent on R where its diagonal is shown to vanish
    everywhere.

    Args:
        op: Hessian with parts and structure.
        aim: What is to be known well.
        num_matvecs: Most rows, probes and columns of the check together; what the next step takes may stay unspent.
        generator: Source of the check, the draws and the signs.
        chunk: Rows made at once at first, see `RowSampler`.
        draws: As in `sampled_rows`.

    Yields:
        What stands after each step.

    Raises:
        ValueError: If the budget does not hold the check, a chunk and a probe, or the structure's claim is wrong.
    """
    check_at_least("num_matvecs", num_matvecs, chunk + 1)
    found = split(op)
    assert found.parts is not None
    assert found.structure is not None
    is_flat = bool(found.structure.flat.all())
    spent = check_products(found.structure)
    check_at_least("num_matvecs", num_matvecs, spent + chunk + (not is_flat))
    residual = found.parts.residual
    check_flat(residual, found.structure, found.rows.num_samples, generator)
    sampler = RowSampler(found.rows, op, generator, chunk=chunk, draws=draws, pilot=chunk)
    probes = None if is_flat else CurvedProbes(residual, found.structure.flat, generator)
    rows, probed = sampler.step(), None if probes is None else probes.step()
    spent += rows.made + (not is_flat)
    spread = np.inf
    while True:
        yield SplitSum(rows, probed, found.parts.shift)
        weight = float(rows.weights.sum())
        if sampler.drawn == chunk:
            spread = aim.of_rows(rows) * weight
        if probes is None or probed is None or not sampler.width:
            is_probe = probes is not None
        elif sampler.drawn < 2 * chunk or probes.made < _LEAST_PROBES:
            is_probe = sampler.drawn >= 2 * chunk
        else:
            by_rows = spread * (1 / weight - 1 / sampler.next_weight) * found.rows.num_samples / sampler.width
            by_probe = aim.of_probe(probed) / (probes.made * (probes.made + 1)) / PRICES[ProductKind.HESSIAN]
            is_probe = by_probe > by_rows
        step = 1 if is_probe else sampler.width
        if not step or spent + step > num_matvecs:
            return
        spent += step
        if is_probe and probes is not None:
            probed = probes.step()
        else:
            rows = sampler.step()
