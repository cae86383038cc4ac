"""Limit laws of random matrix spectra, as nodes and weights."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import numpy as np

from hessbench.estimand.base import Array, Arrays

NODES: Final = 2000
"""Quantiles that stand for the continuous part of a law, of equal weight."""

_GRID: Final = 2**16


def semicircle() -> Arrays:
    """Semicircle law on [-2, 2], density sqrt(4 - x^2) / (2 pi).

    Wigner 1958, https://doi.org/10.2307/1970008.
    """
    return _quantiles(-2.0, 2.0, lambda x: np.ones_like(x), mass=1.0)


def marchenko_pastur(ratio: float, less: float = 0.0) -> Arrays:
    """Marchenko-Pastur law of X^T X / m for X (m, n) of independent standard entries, n / m -> ratio.

    Density sqrt((b - x)(x - a)) / (2 pi ratio x) on [a, b] = [(1 - sqrt(ratio))^2, (1 + sqrt(ratio))^2], and an atom
    of mass 1 - 1 / ratio at 0 where ratio > 1. Marchenko and Pastur 1967,
    https://doi.org/10.1070/SM1967v001n04ABEH001994.

    Args:
        ratio: Dimensions over samples, above 0.
        less: Mass taken from the continuous part, for outliers.
    """
    a, b = (1 - ratio**0.5) ** 2, (1 + ratio**0.5) ** 2
    atom = max(0.0, 1 - 1 / ratio)
    law = _quantiles(a, b, lambda x: 1 / x, mass=1 - atom - less)
    return with_atoms(law, np.zeros(1), np.asarray([atom])) if atom else law


def outlier_positions(population: Array, ratio: float) -> Array:
    """Where the top sample eigenvalues settle: l (1 + ratio / (l - 1)) for population eigenvalues l > 1 + sqrt(ratio).

    A smaller l leaves no outlier and is left out. The threshold is that of Baik, Ben Arous and Peche 2005,
    https://doi.org/10.1214/009117905000000233; the positions for real data are those of Baik and Silverstein 2006,
    https://doi.org/10.1016/j.jmva.2005.08.003.
    """
    outside = population[population > 1 + ratio**0.5]
    return outside * (1 + ratio / (outside - 1))


def with_atoms(law: Arrays, positions: Array, weights: Array) -> Arrays:
    """A law with point masses added, nodes sorted."""
    nodes = np.concatenate([law["law_nodes"], positions])
    order = np.argsort(nodes, kind="stable")
    return {"law_nodes": nodes[order], "law_weights": np.concatenate([law["law_weights"], weights])[order]}


def _quantiles(a: float, b: float, factor: Callable[[Array], Array], mass: float) -> Arrays:
    """Quantiles of the density sqrt((b - x)(x - a)) factor(x) on [a, b], at the middles of equal parts.

    With x = (a + b) / 2 - (b - a) / 2 cos(t) the root becomes smooth, so the midpoint rule in t is accurate even where
    factor is 1 / x and a is 0.
    """
    edges = np.linspace(0.0, np.pi, _GRID + 1)
    middles = (edges[1:] + edges[:-1]) / 2

    def place(t: Array) -> Array:
        return a + (b - a) * np.sin(t / 2) ** 2

    cumulative = np.concatenate([[0.0], np.cumsum(np.sin(middles) ** 2 * factor(place(middles)))])
    levels = (np.arange(NODES) + 0.5) / NODES
    nodes = place(np.interp(levels * cumulative[-1], cumulative, edges))
    return {"law_nodes": nodes, "law_weights": np.full(NODES, mass / NODES)}
