"""Figures."""

from __future__ import annotations

from collections.abc import Sequence

from hessbench.reports.claims.figure import StudyFigure
from hessbench.reports.claims.measured import Measured


def draw_figures(measured: Measured) -> Sequence[StudyFigure]:
    """None yet."""
    del measured
    return ()
