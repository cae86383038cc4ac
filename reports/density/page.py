"""The page of the density study: verdicts, who wins where, when KPM misbehaves, densities, and the numbers."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import pandas as pd

from hessbench.reports.claims.claim import claims_frame, judge_all
from hessbench.reports.claims.study_page import PageFigure, keep_figure, short, write_study_page
from hessbench.reports.density.figures import WIDTH, draw_densities, draw_methods, draw_when
from hessbench.reports.density.results import METRICS, TINY, CaseRuns, DensityResults
from hessbench.reports.density.verdicts import CLAIMS, KPM, LANCZOS, deflated_methods, misbehaves, ratio
from hessbench.reports.writing.units import DASH, significant

NAME: Final = "density"
"""Of the study."""


@dataclass(frozen=True)
class WinnerCell:
    """Who has the smallest median error of a problem by one metric."""

    winner: str
    error: str
    kpm: str


@dataclass(frozen=True)
class WinnerRow:
    """A problem: how far it reaches, its largest atom, and a cell for each metric."""

    case: str
    reach: str
    atom: str
    cells: tuple[WinnerCell, ...]


@dataclass(frozen=True)
class WhenRow:
    """A kind of spectrum, and on how many of its problems KPM misbehaves by each metric."""

    kind: str
    number: int
    counts: tuple[int, ...]


def write_density_study(results: DensityResults, out: Path | str, command: str) -> Path:
    """Write the page, its figures and the CSV behind them; the same results give the same bytes.

    Args:
        results: What was measured.
        out: Folder to write.
        command: Command line that made it, shown on the page.

    Returns:
        The page, `index.html` in `out`.

    Raises:
        ValueError: If `out` is a file, or a folder that holds something other than this study.
    """
    claims = judge_all(CLAIMS, results)
    frames = {"errors": errors_frame(results), "verdicts": claims_frame(claims)}
    return write_study_page(
        NAME,
        out,
        "density_study.html",
        command,
        frames,
        lambda folder: {
            "claims": claims,
            "budget": results.budget,
            "lanczos": LANCZOS,
            "methods": results.methods,
            "metrics": [METRICS[name] for name in results.metrics],
            "rows": [winner_row(it, results) for it in results.cases],
            "wins": _wins(results),
            "when": _when(results),
            "reasons": _reasons(results),
            "number": len(results.cases),
            "repeats": _repeats(results),
            "deflated": bool(deflated_methods(results)),
            "figures": _figures(results, folder),
        },
    )


def errors_frame(results: DensityResults) -> pd.DataFrame:
    """A row for each problem, method and metric."""
    rows: list[dict[str, object]] = []
    for case in results.cases:
        for method in results.methods:
            for metric in results.metrics:
                errors = case.errors[method][metric]
                found = errors[np.isfinite(errors)]
                rows.append({
                    "problem": case.name, "method": method, "metric": metric, "runs": errors.size,
                    "without_density": int(errors.size - found.size),
                    "median_error": short(float(np.median(found))) if found.size else np.nan,
                    "least": short(float(found.min())) if found.size else np.nan,
                    "largest": short(float(found.max())) if found.size else np.nan,
                    "over_lanczos": short(ratio(case, method, LANCZOS, metric)),
                    "misbehaving": int(misbehaves(errors, case.errors[LANCZOS][metric]).sum()),
                    "bounds_escaped": int(case.escaped[method].sum()),
                    "largest_mass_cut_off": short(float(case.clipped[method].max())),
                })  # fmt: skip
    return pd.DataFrame(rows)


def winner_row(case: CaseRuns, results: DensityResults) -> WinnerRow:
    """Who has the smallest median error by each metric."""
    cells: list[WinnerCell] = []
    for metric in results.metrics:
        medians = typical_errors(case, results, metric)
        best = min(medians.values(), default=float("nan"))
        winners = [method for method, error in medians.items() if error <= max(best, TINY)]
        beside = ratio(case, KPM, LANCZOS, metric)
        name = winners[0] if len(winners) == 1 else f"{len(winners)} methods alike" if winners else DASH
        cells.append(
            WinnerCell(
                name,
                "exact" if best <= TINY else f"{best:.2g}",
                significant(beside) if beside < 1e4 else "over 10,000" if beside >= 1e4 else DASH,
            )
        )
    return WinnerRow(case.name, significant(case.outlier_reach), f"{100 * case.largest_atom:.3g} %", tuple(cells))


def typical_errors(case: CaseRuns, results: DensityResults, metric: str) -> dict[str, float]:
    """Median error of each method that gave a density in every repeat."""
    errors = {method: case.errors[method][metric] for method in results.methods}
    return {method: float(np.median(it)) for method, it in errors.items() if bool(np.isfinite(it).all())}


def _wins(results: DensityResults) -> list[tuple[str, list[int]]]:
    """How often each method alone has the smallest median error, by metric."""
    rows = [winner_row(case, results) for case in results.cases]
    return [
        (method, [sum(row.cells[place].winner == method for row in rows) for place in range(len(results.metrics))])
        for method in results.methods
    ]


def _when(results: DensityResults) -> list[WhenRow]:
    kinds = (
        ("networks", [case for case in results.cases if case.is_network]),
        ("made up, an atom of 10 % or more", _made_up(results, atoms=True)),
        ("made up, no such atom, reaching beyond 10 times the spread", _reaching(results, beyond=True)),
        ("made up, no such atom, reaching less far", _reaching(results, beyond=False)),
    )
    return [
        WhenRow(kind, len(cases), tuple(_misbehaving(cases, metric) for metric in results.metrics))
        for kind, cases in kinds
    ]


def _made_up(results: DensityResults, *, atoms: bool) -> list[CaseRuns]:
    return [case for case in results.cases if not case.is_network and (case.largest_atom >= 0.1) == atoms]


def _reaching(results: DensityResults, *, beyond: bool) -> list[CaseRuns]:
    return [case for case in _made_up(results, atoms=False) if (case.outlier_reach > 10) == beyond]


def _misbehaving(cases: list[CaseRuns], metric: str) -> int:
    return sum(float(misbehaves(case.errors[KPM][metric], case.errors[LANCZOS][metric]).mean()) > 0.5 for case in cases)


def _reasons(results: DensityResults) -> list[str]:
    """Each way in which a run ended without a density, with the problems where it did."""
    found: dict[tuple[str, str], list[str]] = {}
    for case in results.cases:
        for method, reasons in case.reasons.items():
            for reason in reasons:
                found.setdefault((method, reason), []).append(case.name)
    return [f"{method}: {reason} ({', '.join(names)})" for (method, reason), names in found.items()]


def _repeats(results: DensityResults) -> int:
    if not results.cases:
        return 0
    return next(iter(results.cases[0].clipped.values())).size


def _figures(results: DensityResults, folder: Path) -> list[PageFigure]:
    made = [
        keep_figure(
            draw_methods(results), folder, "figures/methods.svg", title="Every method beside one-vector Lanczos",
            alt="Error of each method over that of Lanczos, one panel a metric",
            caption="A mark for each problem: median over the repeats of the ratio of errors from the same seed; bar: "
            "median over the problems. Left of the dashes a method is better than Lanczos. Problems on which both are "
            "exact are left out.",
        ),
        keep_figure(
            draw_when(results), folder, "figures/when.svg", title="When KPM misbehaves",
            alt="Error of KPM over that of Lanczos against the reach of the spectrum, one panel a metric",
            caption="A mark for each problem, both axes logarithmic; ratios beyond 10,000 are drawn there. Above the "
            "dashes KPM has more than twice the error of Lanczos.",
        ),
    ]  # fmt: skip
    densities = draw_densities(results)
    if densities is not None:
        made.append(keep_figure(
            densities, folder, "figures/densities.svg", title="Densities",
            alt="Estimated densities over the true ones, a problem each row, a method each column",
            caption="Grey: the true density, coloured: the estimate of the first repeat, both after a Gaussian of "
            f"{100 * WIDTH:g} % of the width of the true spectrum. Vertical axes are logarithmic over five decades.",
        ))  # fmt: skip
    return made
