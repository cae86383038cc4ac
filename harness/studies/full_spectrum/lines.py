"""The document's evidence for a power law: R^2 of a line through a smoothed density, with and without one."""

from __future__ import annotations

from typing import Final

import numpy as np
import torch

from hessbench.estimand.base import Array
from hessbench.methods.density.lanczos_density import gaussian_width, smoothed
from hessbench.methods.density.normalisation import normalise
from hessbench.methods.krylov.lockstep import lanczos_lockstep
from hessbench.methods.krylov.tridiagonal import quadrature
from hessbench.problems.spectra.limit_laws import marchenko_pastur, semicircle
from hessbench.problems.spectra.rotation import rotated_operator
from hessbench.seeding import derive_seed
from hessbench.studies.full_spectrum.pipelines import HOST, STEPS, start_generator
from hessbench.studies.units import UnitRecord

_POINTS: Final = 1024
_HALF_DECADE: Final = 0.5
_STRIDE: Final = 4
_FEWEST: Final = 10


def measure_controls(record: UnitRecord, run: int, size: int = 2000) -> None:
    """R^2 of the best line through the document's density of spectra that have no power-law tail."""
    rng = np.random.default_rng(derive_seed("full-spectrum controls", str(run)))
    law = marchenko_pastur(0.5)["law_nodes"]
    drawn = {
        "semicircle": semicircle()["law_nodes"],
        "marchenko-pastur": law,
        "exponential": rng.exponential(1.0, size) * rng.choice([-1.0, 1.0], size),
    }
    for name, values in drawn.items():
        r2, slope, _ = line_fit(values, f"control {name}", run)
        record.add("line-r2", r2, problem=name)
        record.add("line-slope", slope, problem=name)


def line_fit(values: Array, problem: str, run: int) -> tuple[float, float, Array]:
    """The best line on log-log axes through the positive side of the document's density: 256 steps, one start.

    Args:
        values: Exact eigenvalues.
        problem: Of which the start is drawn.
        run: The same.

    Returns:
        R^2 and slope over the window of at least half a decade where R^2 is largest, and the density (2, K).
    """
    op = rotated_operator(values, derive_seed("full-spectrum line", problem, str(run)), *HOST)
    generator = start_generator(problem, run)
    bounds = normalise(op, generator=generator)
    start = torch.randn(values.size, 1, generator=generator, dtype=torch.float64)
    ((alphas, betas),) = lanczos_lockstep(op, start, STEPS, reorth="none")
    nodes, weights = quadrature(alphas, betas)
    half, centre = (bounds.high - bounds.low) / 2, (bounds.high + bounds.low) / 2
    grid = np.linspace(-1.0, 1.0, _POINTS)
    shown = smoothed((nodes - centre) / half, weights, grid, gaussian_width(STEPS))
    x = grid * half + centre
    keep = (x > 0) & (x <= values.max()) & (shown > 0)
    a, b = np.log10(x[keep]), np.log10(shown[keep])
    best = (0.0, 0.0)
    for first in range(0, a.size, _STRIDE):
        for last in range(first + _FEWEST, a.size + 1, _STRIDE):
            if a[last - 1] - a[first] >= _HALF_DECADE:
                slope, r2 = _line(a[first:last], b[first:last])
                if r2 > best[0] and slope < 0:
                    best = (r2, slope)
    return *best, np.stack([x, shown])


def _line(a: Array, b: Array) -> tuple[float, float]:
    """Slope and R^2 of a least-squares line."""
    da, db = a - a.mean(), b - b.mean()
    across, total = float(da @ db), float(db @ db)
    return across / float(da @ da), across**2 / (float(da @ da) * total) if total else 1.0
