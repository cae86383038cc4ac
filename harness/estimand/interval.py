"""Intervals from standard errors."""

from __future__ import annotations

from scipy.special import ndtri, stdtrit


def half_width(stderr: float | None, dof: float | None, confidence: float) -> float | None:
    """Half the width of the interval that a standard error stands for; None where there is none.

    Args:
        stderr: The standard error.
        dof: Its degrees of freedom, where it is that of few samples: the quantile is Student's t, and normal elsewhere.
        confidence: Between 0 and 1.

    Raises:
        ValueError: If `confidence` is out of range.
    """
    if not 0 < confidence < 1:
        raise ValueError(f"confidence must be above 0 and below 1, got {confidence}")
    if stderr is None:
        return None
    p = (1 + confidence) / 2
    return stderr * float(ndtri(p) if dof is None else stdtrit(dof, p))
