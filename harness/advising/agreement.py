"""How far answers are off that say nothing of their own error, from how far they are from one another."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from hessbench.advising.observed import PilotPoint
from hessbench.estimand import Density, Estimand, Reference, Source
from hessbench.estimand.base import Arrays


def disagreements(points: Sequence[PilotPoint], estimand: Estimand, dtype: str) -> dict[tuple[str, int], float]:
    """Root mean square of the error of each method at each budget, other answers being taken for the truth.

    The truth is stood for by an exact answer, where a pilot gave one; else by the mean, or the mixture, of the answers
    at the largest budget of each method, without those of the start that is judged. What all of these have in common is
    not seen.

    Args:
        points: Answers; those whose arrays were not kept are left out.
        estimand: A diagonal or a density.
        dtype: In which the operator computed.

    Returns:
        The error by spec of the method and budget, where two starts or more were compared.
    """
    kept = [point for point in points if point.arrays]
    exact = [point for point in kept if point.half_width(0.5) == 0.0]
    largest: dict[str, int] = {}
    for point in kept:
        largest[point.candidate.spec] = max(point.budget, largest.get(point.candidate.spec, 0))
    best = [point for point in kept if point.budget == largest[point.candidate.spec]]
    found: dict[tuple[str, int], list[float]] = {}
    for point in kept:
        others = exact or [other for other in best if other.repeat != point.repeat]
        if others and point not in exact:
            truth = pooled([other.arrays for other in others], estimand)
            errors = estimand.errors(point.arrays, truth, dtype)
            found.setdefault((point.candidate.spec, point.budget), []).append(errors[estimand.primary])
    return {
        key: math.sqrt(float(np.mean(np.square(errors)))) for key, errors in found.items() if len(errors) > 1
    }  # fmt: skip


def pooled(answers: Sequence[Arrays], estimand: Estimand) -> Reference:
    """Answers put together, in the form of a reference: the mean of diagonals, the mixture of densities."""
    if isinstance(estimand, Density):
        nodes = np.concatenate([answer["nodes"] for answer in answers])
        weights = np.concatenate([answer["weights"] for answer in answers]) / len(answers)
        order = np.argsort(nodes, kind="stable")
        arrays = {"nodes": nodes[order], "weights": weights[order]}
        return Reference(arrays, Source.STATISTICAL, norm=float(np.abs(nodes).max()), rounding=0.0)
    mean = np.mean([answer["diagonal"] for answer in answers], axis=0)
    return Reference({"diagonal": mean}, Source.STATISTICAL, norm=float(np.abs(mean).max()), rounding=0.0)
