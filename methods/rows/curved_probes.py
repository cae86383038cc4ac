"""Trace and diagonal of a residual from sign probes on the parameters where its diagonal may not vanish."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

import numpy as np
import torch
from torch import Tensor

from hessbench.estimand import Array
from hessbench.methods.probes import draw_signs
from hessbench.methods.small_dense import mean_and_stderr
from hessbench.operator_protocol import LinearOperator


@dataclass(frozen=True, eq=False)
class ProbedResidual:
    """What a number of probes says of a residual.

    Attributes:
        forms: v^T R v of each probe, (m,).
        diagonal: Mean of v * R v, (n,) in float64; zero where the diagonal vanishes.
        squares: Mean of ||(R v)_c||^2 over the entries that are probed, whose expectation is ||R_cc||_F^2: twice that
            is no less than the variance of a form, and once that than those of the entries of v * R v together.
    """

    forms: Array
    diagonal: Tensor
    squares: float

    @property
    def trace(self) -> tuple[float, float | None]:
        """Mean of the forms and its standard error; None for a single one.

        Where few directions carry R the forms are skewed, and those of a few probes lie closer together than they
        should; so their variance is taken to be no less than what the products tell of it, 2 (||R_cc||_F^2 - sum of
        its squared diagonal), with the products of unlike probes for the latter.
        """
        mean, stderr = mean_and_stderr(self.forms)
        if stderr is None:
            return mean, None
        count = self.forms.size
        on_diagonal = (count * float(self.diagonal @ self.diagonal) - self.squares) / (count - 1)
        told = 2 * max(self.squares - max(on_diagonal, 0.0), 0.0)
        return mean, max(stderr, (told / count) ** 0.5)


@final
class CurvedProbes:
    """Hutchinson's estimator of the diagonal of R, with v of random signs where it may not vanish and 0 elsewhere.

    Entries that vanish are not estimated, and parameters with them add nothing to the variance: that of a form is
    2 (||R_cc||_F^2 - sum of its squared diagonal), R_cc the block of the others.

    Args:
        residual: R.
        flat: Where its diagonal vanishes, (n,).
        generator: Source of the signs.

    Source:
        Hutchinson, Commun. Stat. Simul. Comput. 19 (1990), doi:10.1080/03610919008812866; Bekas, Kokiopoulou and Saad,
        Appl. Numer. Math. 57 (2007), doi:10.1016/j.apnum.2007.01.003.
    """

    def __init__(self, residual: LinearOperator, flat: Tensor, generator: torch.Generator) -> None:
        self._residual = residual
        self._curved = (~flat)[:, None].to(residual.device)
        self._generator = generator
        self._forms: list[float] = []
        self._sum = torch.zeros(residual.dim, dtype=torch.float64, device=residual.device)
        self._squares = torch.zeros((), dtype=torch.float64, device=residual.device)

    @property
    def made(self) -> int:
        """Probes made."""
        return len(self._forms)

    def step(self) -> ProbedResidual:
        """Make one probe. Cost: one product of R."""
        v = draw_signs(self._residual.dim, 1, self._residual, self._generator) * self._curved
        entries = (v * self._residual.matmat(v))[:, 0].double()
        self._forms.append(float(entries.sum()))
        self._sum = self._sum + entries
        self._squares = self._squares + entries @ entries
        return ProbedResidual(np.asarray(self._forms), self._sum / self.made, float(self._squares) / self.made)
