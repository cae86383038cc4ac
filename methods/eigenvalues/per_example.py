"""Extreme eigenvalues of many matrices at once, such as the Hessians of the losses of single samples."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from hessbench.estimand import Array
from hessbench.methods.arguments import check_at_least
from hessbench.methods.krylov.lockstep import lanczos_lockstep
from hessbench.methods.krylov.tridiagonal import first_block, solve_tridiagonal
from hessbench.operators import LinearOperator

STEPS: Final = 20
BASIS_ENTRIES: Final = 2**26
"""Numbers of all bases held at a time: 0.5 GiB in float64."""


class Examples(Protocol):
    """Matrices A_i (n, n) of samples, such as `hessbench.problems.curvature.example_curvature.ExampleCurvature`."""

    dim: int
    num_samples: int
    dtype: torch.dtype
    device: torch.device

    def parts(self, samples: Tensor | None = None, most: int = 512) -> Iterator[tuple[Tensor, LinearOperator]]:
        """Groups of samples: their numbers, and what multiplies column j with the matrix of the j-th of them."""
        ...


@dataclass(frozen=True)
class ExampleEigenvalues:
    """The ends of the spectra of single samples.

    Attributes:
        samples: Numbers of the samples (m,), ascending.
        largest: Largest Ritz value of each (m,), at most its lambda_1.
        smallest: Smallest Ritz value of each (m,), at least its smallest eigenvalue.
        residuals: Norms |A u - theta u| of the Ritz pairs of the largest (m,): an eigenvalue is that near.
    """

    samples: NDArray[np.int64]
    largest: Array
    smallest: Array
    residuals: Array


def example_eigenvalues(
    examples: Examples,
    *,
    generator: torch.Generator,
    samples: Tensor | None = None,
    steps: int = STEPS,
) -> ExampleEigenvalues:
    """Largest and smallest eigenvalue of the matrix of each sample, by Lanczos in lock-step, one start for each.

    Args:
        examples: The matrices.
        generator: Source of the starts, on the device of the matrices.
        samples: Numbers of the samples, each once; all of them by default.
        steps: Products of each sample, at least 1, at most n.

    Returns:
        The ends of each spectrum. The matrix of one sample has a low rank, which few steps exhaust.

    Cost: `steps` products of each sample, which touch that sample alone; memory of `steps` vectors for each sample of
    a group.

    Raises:
        ValueError: If an argument is out of range.

    Source:
        Lanczos, J. Res. Natl. Bur. Stand. 45 (1950), doi:10.6028/jres.045.026.
    """
    check_at_least("steps", steps, 1)
    if steps > examples.dim:
        raise ValueError(f"steps must be at most the dimension {examples.dim}, got {steps}")
    found: list[tuple[int, float, float, float]] = []
    for numbers, op in examples.parts(samples, max(1, BASIS_ENTRIES // (examples.dim * (steps + 4)))):
        shape = (examples.dim, numbers.numel())
        starts = torch.randn(shape, generator=generator, dtype=examples.dtype, device=examples.device)
        runs = lanczos_lockstep(op, starts, steps)
        found += [(number, *_ends(*run)) for number, run in zip(numbers.tolist(), runs, strict=True)]
    table = np.asarray(found)
    return ExampleEigenvalues(table[:, 0].astype(np.int64), table[:, 1], table[:, 2], table[:, 3])


def _ends(alphas: Array, betas: Array) -> tuple[float, float, float]:
    """Largest and smallest Ritz value, and the residual of the first of them."""
    alphas, betas = first_block(alphas, betas)
    ritz = solve_tridiagonal(alphas, betas)
    return float(ritz.values[-1]), float(ritz.values[0]), float(abs(betas[-1] * ritz.last[-1]))
