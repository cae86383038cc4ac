"""The figures of the study's page."""

from __future__ import annotations

from collections.abc import Sequence

from hessbench.reports.claims.figure import StudyFigure
from hessbench.reports.claims.measured import Measured
from hessbench.reports.sketch_resnet20 import named
from hessbench.reports.sketch_resnet20.readings import network
from hessbench.reports.sketch_resnet20.run_figures import convergence, own_time, per_eigenvalue
from hessbench.reports.sketch_resnet20.sketch_figures import by_rank, cumulative, pairs


def draw_figures(measured: Measured) -> Sequence[StudyFigure]:
    """Those whose numbers are there, of the document's network."""
    net = network(measured, named.DOCUMENT)
    if net is None:
        return ()
    found = (
        convergence(net),
        per_eigenvalue(net),
        own_time(net),
        cumulative(measured, net),
        by_rank(net),
        pairs(measured, net),
    )
    return [it for it in found if it is not None]
