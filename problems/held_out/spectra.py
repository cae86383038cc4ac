"""Spectra made to defeat eigenvalue solvers: ties and clusters around place k, ranks below k, values near rounding."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

import numpy as np
import torch

from hessbench.estimand import Array, TopEigenvalues
from hessbench.estimand.base import ORDERS
from hessbench.operators import FunctionOperator
from hessbench.problems.spectra.rotation import rotated_operator

MAX_MULTIPLICITY: Final = 40


@dataclass(frozen=True)
class HeldOutSpectrum:
    """A spectrum, what is asked of it, and the rotation that hides it.

    Attributes:
        name: Kind, dimension, estimand and seed: enough to draw it again.
        eigenvalues: The spectrum (n,), known by construction; in no order.
        estimand: Which eigenvalues are asked for.
        seed: Seed of the rotation.
    """

    name: str
    eigenvalues: Array
    estimand: TopEigenvalues
    seed: int

    @property
    def truth(self) -> Array:
        """The eigenvalues asked for, (k,), in their order."""
        return self.estimand.rank(self.eigenvalues)[: self.estimand.k]

    @property
    def norm(self) -> float:
        """Largest magnitude."""
        return float(np.abs(self.eigenvalues).max())

    def build(self, dtype: torch.dtype = torch.float64) -> FunctionOperator:
        """The rotated operator on the CPU."""
        return rotated_operator(self.eigenvalues, self.seed, torch.device("cpu"), dtype)


Draw = Callable[[np.random.Generator, int, int], Array]
"""From a generator, a dimension n and a count k: eigenvalues (n,), the interesting places around the k-th."""


def multiple(generator: np.random.Generator, n: int, k: int) -> Array:
    """Every level of a geometric ladder has the same multiplicity, 1 to 40; below the last, a bulk or zeros."""
    copies = int(generator.integers(1, MAX_MULTIPLICITY + 1))
    levels = k // copies + int(generator.integers(1, 4))
    top = np.repeat(_ladder(generator, levels), copies)
    return _filled(generator, top, n)


def mixed_multiplicities(generator: np.random.Generator, n: int, k: int) -> Array:
    """Levels of multiplicities drawn one by one, the one around place k tied across it."""
    copies: list[int] = []
    while sum(copies) < k + 2:
        copies.append(int(generator.integers(1, MAX_MULTIPLICITY + 1)))
    levels = np.sort(generator.uniform(0.2, 1.0, size=len(copies)))[::-1]
    return _filled(generator, np.repeat(levels, copies), n)


def clusters(generator: np.random.Generator, n: int, k: int) -> Array:
    """Clusters of 2 to 40 values, their relative width 1e-3 to 1e-15."""
    copies = int(generator.integers(2, MAX_MULTIPLICITY + 1))
    levels = k // copies + int(generator.integers(1, 4))
    width = 10.0 ** -generator.uniform(3, 15)
    centres = np.repeat(_ladder(generator, levels), copies)
    return _filled(generator, centres * (1 - width * generator.uniform(0, 1, size=centres.size)), n)


def step(generator: np.random.Generator, n: int, k: int) -> Array:
    """Two values only, the first filling k places or a few more or fewer."""
    first = int(np.clip(k + generator.integers(-3, 30), 1, n - 1))
    return np.where(np.arange(n) < first, 1.0, 10.0 ** -generator.uniform(0.1, 8))


def low_rank(generator: np.random.Generator, n: int, k: int) -> Array:
    """A rank below k, tied or not, and zeros."""
    rank = int(generator.integers(1, max(k, 2)))
    values = generator.choice([1.0, 0.5, 0.25], size=rank) if generator.random() < 0.5 else generator.random(rank)
    return np.concatenate([values, np.zeros(n - rank)])


def null_space(generator: np.random.Generator, n: int, _k: int) -> Array:
    """Non-negative, with a null space of up to half the dimension; from the bottom all answers are zero or near it."""
    zeros = int(generator.integers(1, n // 2 + 1))
    return np.concatenate([np.zeros(zeros), 10.0 ** -generator.uniform(0, generator.uniform(1, 9), size=n - zeros)])


def far_below(generator: np.random.Generator, n: int, k: int) -> Array:
    """One or few large values, and the others many decades below, around 1e-10 of the norm and less."""
    large = int(generator.integers(1, max(2, k)))
    decades = generator.uniform(8, 14)
    return np.concatenate([1 + generator.random(large), 10.0**-decades * generator.random(n - large)])


def signed_pairs(generator: np.random.Generator, n: int, k: int) -> Array:
    """Plus and minus the same, each several times: ties in magnitude."""
    copies = int(generator.integers(1, MAX_MULTIPLICITY // 2 + 1))
    levels = k // (2 * copies) + 2
    half = np.repeat(_ladder(generator, levels), copies)
    return _filled(generator, np.concatenate([half, -half]), n)


def heavy_tail(generator: np.random.Generator, n: int, _k: int) -> Array:
    """Student-t values of both signs and a large share of zeros."""
    values = generator.standard_t(generator.uniform(1.5, 4), size=n)
    values[generator.random(n) < generator.uniform(0.3, 0.99)] = 0.0
    return values


def outliers(generator: np.random.Generator, n: int, _k: int) -> Array:
    """One tied group of outliers above a bulk with no gap at place k."""
    copies = int(generator.integers(2, min(MAX_MULTIPLICITY, n // 4) + 1))
    return np.concatenate([np.full(copies, generator.uniform(1.2, 10)), generator.uniform(-0.2, 1, size=n - copies)])


def constant(generator: np.random.Generator, n: int, _k: int) -> Array:
    """The zero matrix, the identity, or one value that differs from all others."""
    values = np.full(n, generator.choice([0.0, 1.0, -1.0]))
    if generator.random() < 0.5:
        values[0] = generator.choice([2.0, 1e-6, -1e-3])
    return values


def few_levels(generator: np.random.Generator, n: int, _k: int) -> Array:
    """Two to nine distinct values in all, so that every Krylov space closes at once."""
    levels = generator.uniform(-1, 1, size=int(generator.integers(2, 10)))
    return generator.choice(levels, size=n, p=generator.dirichlet(np.full(levels.size, 0.5)))


KINDS: Final = MappingProxyType[str, Draw](
    {
        "multiple": multiple,
        "mixed-multiplicities": mixed_multiplicities,
        "clusters": clusters,
        "step": step,
        "low-rank": low_rank,
        "null-space": null_space,
        "far-below": far_below,
        "signed-pairs": signed_pairs,
        "heavy-tail": heavy_tail,
        "outliers": outliers,
        "constant": constant,
        "few-levels": few_levels,
    }
)
"""Ways to draw a spectrum by name."""


def held_out_spectrum(seed: int, *, low: int = 90, high: int = 5000, max_k: int = 20) -> HeldOutSpectrum:
    """Draw a spectrum, an order and a count from a seed.

    Args:
        seed: Of everything; the kinds take turns, so that consecutive seeds meet all of them.
        low: Least dimension.
        high: Largest dimension; the logarithm is uniform between the two.
        max_k: Most eigenvalues asked for, `low` at most.

    Returns:
        The spectrum; its sign may be turned, and its norm lies between 1e-6 and 1e6.

    Raises:
        ValueError: If the dimensions do not ascend from 4, or max_k is below 1 or above `low`.
    """
    if not 4 <= low <= high:
        raise ValueError(f"low and high must ascend from 4, got {low} and {high}")
    if not 1 <= max_k <= low:
        raise ValueError(f"max_k must be between 1 and low = {low}, got {max_k}")
    kind = list(KINDS)[seed % len(KINDS)]
    generator = np.random.default_rng([seed, 0x5BEC])
    n = int(np.exp(generator.uniform(np.log(low), np.log(high + 1))))
    n = min(max(n, low), high)
    k = int(generator.integers(1, max_k + 1))
    which = ORDERS[int(generator.integers(3))]
    values = KINDS[kind](generator, n, k)[:n]
    if generator.random() < 0.2:
        values = -values
    if generator.random() < 0.3:
        values = values * 10.0 ** generator.uniform(-6, 6)
    estimand = TopEigenvalues(k, which)
    return HeldOutSpectrum(f"{kind} n={n} {estimand.spec} seed={seed}", values, estimand, seed)


def _ladder(generator: np.random.Generator, levels: int) -> Array:
    """1, q, q^2, ... with q between 0.3 and 0.95."""
    return np.power(float(generator.uniform(0.3, 0.95)), np.arange(levels, dtype=np.float64))


def _filled(generator: np.random.Generator, top: Array, n: int) -> Array:
    """The values given, cut to n, and below them zeros, a decaying bulk, or a tied floor."""
    rest = n - top.size
    if rest <= 0:
        return top[:n]
    floor = float(np.abs(top).min())
    style = int(generator.integers(3))
    if style == 0:
        tail = np.zeros(rest)
    elif style == 1:
        tail = floor * generator.uniform(0.1, 0.9) * generator.random(rest)
    else:
        tail = np.full(rest, floor * generator.uniform(0.01, 0.5))
    return np.concatenate([top, tail])
