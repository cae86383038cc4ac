"""All figures of the capstone's page."""

from __future__ import annotations

from hessbench.reports.capstone.kernel_figures import kernel_figures
from hessbench.reports.capstone.localisation_figure import localisation_figure
from hessbench.reports.capstone.practice_figures import practice_figures
from hessbench.reports.capstone.spectrum_figures import spectrum_figures
from hessbench.reports.claims.figure import StudyFigure
from hessbench.reports.claims.measured import Measured


def figures(results: Measured) -> list[StudyFigure]:
    """The figures whose numbers there are, in the order of the document."""
    beyond = localisation_figure(results)
    return [
        *spectrum_figures(results), *kernel_figures(results), *([] if beyond is None else [beyond]),
        *practice_figures(results),
    ]  # fmt: skip
