"""The families `wigner`, `wishart` and `spiked-wishart`: sampled random matrices, known twice.

The truth is the spectrum of the matrix that was sampled, from a dense eigensolver in float64; beside it the density
reference carries the limit law as `law_nodes` and `law_weights`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import cache
from typing import Final

import numpy as np
import torch

from hessbench.estimand import Array, Arrays, Density, Reference
from hessbench.estimand.from_dense import DENSE_LIMIT, References, dense_references
from hessbench.operators import dense_operator
from hessbench.problem import PSD, RANDOM_MATRIX, SYNTHETIC, Problem, ProblemFamily, array_hash
from hessbench.problems.parameters import at_least, in_range, nearest, spec_text
from hessbench.problems.spectra.limit_laws import marchenko_pastur, outlier_positions, semicircle, with_atoms
from hessbench.seeding import derive_seed

MIN_ASPECT: Final = 0.1
MAX_ASPECT: Final = 100.0

_ROWS: Final = 4096


def wigner_problem(*, n: int = 1000, instance: int = 0) -> Problem:
    """Gaussian orthogonal ensemble, scaled so that its spectrum tends to the semicircle on [-2, 2].

    A = (G + G^T) / sqrt(2 n) with standard normal G: off-diagonal entries have variance 1 / n, diagonal ones 2 / n.

    Args:
        n: Dimension, 1 to 4096.
        instance: Number of the draw, from 0.

    Raises:
        ValueError: If a parameter is out of range.
    """
    _check("wigner", n, instance)
    name = spec_text("wigner", wigner_problem, n=n, instance=instance)

    def sample() -> Array:
        G = _generator(name).standard_normal((n, n))
        return (G + G.T) / (2 * n) ** 0.5

    return _sampled(name, n, sample, semicircle, (), lambda size: wigner_problem(n=size, instance=instance))


def wishart_problem(*, n: int = 1000, aspect: float = 2.0, instance: int = 0) -> Problem:
    """Sample covariance X^T X / m of m = round(n / aspect) independent standard normal vectors of dimension n.

    Its spectrum tends to the Marchenko-Pastur law; with aspect above 1 it has n - m eigenvalues equal to 0.

    Args:
        n: Dimension, 1 to 4096.
        aspect: Dimensions over samples, n / m, 0.1 to 100.
        instance: Number of the draw, from 0.

    Raises:
        ValueError: If a parameter is out of range.
    """
    _check("wishart", n, instance, aspect)
    name = spec_text("wishart", wishart_problem, n=n, aspect=float(aspect), instance=instance)
    m = _samples(n, aspect)
    return _sampled(
        name,
        n,
        lambda: _covariance(_generator(name), m, n),
        lambda: marchenko_pastur(n / m),
        (PSD, _zeros(n, m)),
        lambda size: wishart_problem(n=size, aspect=aspect, instance=instance),
    )


def spiked_wishart_problem(
    *,
    n: int = 1000,
    aspect: float = 0.5,
    spikes: int = 3,
    strength: float = 2.0,
    instance: int = 0,
) -> Problem:
    """Sample covariance of vectors whose population covariance is the identity but for a few larger eigenvalues.

    With m = round(n / aspect) samples and ratio g = n / m, the population eigenvalues are 1 + strength sqrt(g) j for
    j = 1..spikes, in random orthonormal directions, and 1 otherwise. strength 1 puts the smallest spike on the
    threshold 1 + sqrt(g) above which a sample eigenvalue leaves the bulk.

    Args:
        n: Dimension, 1 to 4096.
        aspect: Dimensions over samples, n / m, 0.1 to 100.
        spikes: Number of spikes, 0 to n.
        strength: Spacing of the spikes in units of the threshold, 0 to 1000.
        instance: Number of the draw, from 0.

    Raises:
        ValueError: If a parameter is out of range.
    """
    family = "spiked-wishart"
    _check(family, n, instance, aspect)
    in_range(family, "spikes", spikes, 0, n)
    in_range(family, "strength", strength, 0, 1000)
    name = spec_text(
        family,
        spiked_wishart_problem,
        n=n,
        aspect=float(aspect),
        spikes=spikes,
        strength=float(strength),
        instance=instance,
    )
    m = _samples(n, aspect)
    population = 1 + strength * (n / m) ** 0.5 * np.arange(spikes, 0, -1, dtype=np.float64)

    def sample() -> Array:
        generator = _generator(name)
        directions = np.linalg.qr(generator.standard_normal((n, spikes)))[0]
        C = _covariance(generator, m, n)
        # Sigma^(1/2) C Sigma^(1/2) with Sigma^(1/2) = I + V diag(sqrt(l) - 1) V^T.
        stretched = C + ((C @ directions) * (population**0.5 - 1)) @ directions.T
        return _symmetric(stretched + directions @ ((population**0.5 - 1)[:, None] * (directions.T @ stretched)))

    def law() -> Arrays:
        outliers = outlier_positions(population, n / m)[:m]
        bulk = marchenko_pastur(n / m, less=outliers.size / n)
        return with_atoms(bulk, outliers, np.full(outliers.size, 1 / n))

    return _sampled(
        name,
        n,
        sample,
        law,
        (PSD, _zeros(n, m)),
        lambda size: spiked_wishart_problem(
            n=size, aspect=aspect, spikes=min(spikes, size), strength=strength, instance=instance
        ),
    )


def _check(family: str, n: int, instance: int, aspect: float = 1.0) -> None:
    in_range(family, "n", n, 1, DENSE_LIMIT)
    at_least(family, "instance", instance, 0)
    in_range(family, "aspect", aspect, MIN_ASPECT, MAX_ASPECT)


def _generator(name: str) -> np.random.Generator:
    return np.random.default_rng(derive_seed("matrix", name))


def _samples(n: int, aspect: float) -> int:
    return max(1, round(n / aspect))


def _zeros(n: int, m: int) -> str:
    return f"zeros={max(0, n - m) / n:g}"


def _covariance(generator: np.random.Generator, m: int, n: int) -> Array:
    """X^T X / m for m rows drawn a few thousand at a time."""
    total = np.zeros((n, n))
    for start in range(0, m, _ROWS):
        X = generator.standard_normal((min(_ROWS, m - start), n))
        total += X.T @ X
    return _symmetric(total / m)


def _symmetric(A: Array) -> Array:
    return (A + A.T) / 2


def _sampled(
    name: str,
    n: int,
    sample: Callable[[], Array],
    law: Callable[[], Arrays],
    traits: tuple[str, ...],
    at_dimension: Callable[[int], Problem],
) -> Problem:
    """Put together the problem of a sampled dense matrix."""
    return Problem(
        name=name,
        dim=n,
        build=lambda device, dtype: dense_operator(torch.as_tensor(sample()), device, dtype),
        references=_with_law(dense_references(sample), law),
        traits=(SYNTHETIC, RANDOM_MATRIX, *traits),
        fingerprint=cache(lambda: array_hash(sample())),
        ladder=lambda size: at_dimension(nearest(size, 1, DENSE_LIMIT)),
    )


def _with_law(references: References, law: Callable[[], Arrays]) -> References:
    """The same references, the limit law in the arrays of the density."""

    def density(estimand: Density) -> Reference:
        known = references[Density](estimand)
        return replace(known, arrays={**known.arrays, **law()})

    return {**references, Density: density}


WIGNER: Final = ProblemFamily(
    "wigner",
    wigner_problem,
    presets=("wigner",),
    summary="Gaussian orthogonal ensemble: a sampled dense matrix and the semicircle law",
)

WISHART: Final = ProblemFamily(
    "wishart",
    wishart_problem,
    presets=("wishart", "wishart[aspect=0.5]"),
    summary="sample covariance of white noise: a sampled dense matrix and the Marchenko-Pastur law",
)

SPIKED_WISHART: Final = ProblemFamily(
    "spiked-wishart",
    spiked_wishart_problem,
    presets=("spiked-wishart", "spiked-wishart[aspect=2]"),
    summary="sample covariance with a few strong directions: bulk and outliers, sampled and in the limit",
)
