"""The page of the study of a single probe: verdicts, exponents, figures, and the numbers behind them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import pandas as pd

from hessbench.reports.claims.claim import claims_frame, judge_all
from hessbench.reports.claims.rules import deviation
from hessbench.reports.claims.study_page import PageFigure, keep_figure, short, write_study_page
from hessbench.reports.one_vector.figures import draw_distances, draw_exponents, draw_moments
from hessbench.reports.one_vector.results import KS, MEASURES, MOMENTS, WASSERSTEIN, OneVectorResults, SpectrumLadder
from hessbench.reports.one_vector.verdicts import CLAIMS, SUBJECTS, exponent_of, gain, predicted_exponent

NAME: Final = "one-vector"
"""Of the study."""


@dataclass(frozen=True)
class LadderRow:
    """A family in the table of exponents: measured, then what theory gives, then what more probes gain."""

    name: str
    dimensions: str
    wasserstein: str
    scatter: str
    alone: str
    first: str
    first_law: str
    fourth: str
    fourth_law: str
    gain: str


def write_one_vector_study(results: OneVectorResults, out: Path | str, command: str) -> Path:
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
        "one_vector_study.html",
        command,
        frames,
        lambda folder: {
            "claims": claims,
            "steps": results.steps,
            "group": results.group,
            "rows": [_row(ladder) for ladder in results.ladders],
            "law": _law_holds(results),
            "families": len(results.ladders),
            "exponents": _exponents(results, folder),
            "figures": _figures(results, folder),
        },
    )


def errors_frame(results: OneVectorResults) -> pd.DataFrame:
    """A row for each family, dimension and measure: what was found over the starts, and what theory gives."""
    rows: list[dict[str, object]] = []
    for ladder in results.ladders:
        for rung in ladder.rungs:
            for measure in MEASURES:
                single, pooled, alone = rung.single[measure], rung.pooled[measure], rung.alone[measure]
                rows.append({
                    "family": ladder.name, "spec": ladder.spec, "n": rung.n, "measure": measure,
                    "starts": single.size, "median_size": short(float(np.median(np.abs(single)))),
                    "least": short(float(single.min())), "largest": short(float(single.max())),
                    "deviation": short(float(single.std(ddof=1))),
                    "pooled_median_size": short(float(np.median(np.abs(pooled)))),
                    "without_end_median_size": short(float(np.median(np.abs(alone)))),
                    "without_end_deviation": short(float(alone.std(ddof=1))) if alone.size > 1 else np.nan,
                    "deviation_by_law": short(rung.predicted[measure]) if measure in rung.predicted else np.nan,
                })  # fmt: skip
    return pd.DataFrame(rows)


def _row(ladder: SpectrumLadder) -> LadderRow:
    shown: dict[str, str] = {}
    for subject, measure, size in SUBJECTS:
        exponent = exponent_of(ladder, measure, size)
        shown[subject] = f"{exponent.value:.2f} ({exponent.low:.2f} to {exponent.high:.2f})" if exponent else "exact"
    subjects = [subject for subject, _, _ in SUBJECTS]
    scatter, error, _, first, *_, fourth = subjects
    alone = exponent_of(ladder, WASSERSTEIN, SUBJECTS[1][2], alone=True)
    laws = [predicted_exponent(ladder, moment) for moment in (MOMENTS[0], MOMENTS[-1])]
    first_law, fourth_law = ("exact" if law is None else f"{law:.2f}" for law in laws)
    factor = gain(ladder, WASSERSTEIN)
    return LadderRow(
        name=ladder.name,
        dimensions=f"{ladder.rungs[0].n:,} to {ladder.rungs[-1].n:,}",
        wasserstein=shown[error],
        scatter=shown[scatter],
        alone=f"{alone.value:.2f}" if alone else "exact",
        first=shown[first],
        first_law=first_law,
        fourth=shown[fourth],
        fourth_law=fourth_law,
        gain=f"{factor:.2f}" if np.isfinite(factor) else "exact",
    )


def _law_holds(results: OneVectorResults) -> str:
    """Measured over predicted deviation of the moments, in one sentence."""
    ratios = [
        float(deviation(rung.single[moment])) / rung.predicted[moment]
        for ladder in results.ladders for rung in ladder.rungs for moment in MOMENTS
        if rung.predicted[moment] > 0 and rung.single[moment].size > 1
    ]  # fmt: skip
    if not ratios:
        return "No moment had a scatter to compare."
    return (
        f"Measured over predicted, {len(ratios)} times: median {np.median(ratios):.2f}, middle nine tenths "
        f"{np.quantile(ratios, 0.05):.2f} to {np.quantile(ratios, 0.95):.2f}."
    )


def _exponents(results: OneVectorResults, folder: Path) -> PageFigure:
    return keep_figure(
        draw_exponents(results), folder, "figures/exponents.svg", title="Exponents",
        alt="Fitted exponent of the dimension by family, one panel a measure",
        caption="Fitted exponent of n and its 95 % interval by resampling starts. Grey: 0, at which the error does not "
        "fall; dots, the bound of the rule; dashes, -1/2.",
    )  # fmt: skip


def _figures(results: OneVectorResults, folder: Path) -> list[PageFigure]:
    note = "All axes are logarithmic; grey dashes fall as n to the power -1/2."
    shaded = "Medians over the starts; shaded from the least to the largest error of one probe. " + note
    return [
        keep_figure(
            draw_distances(results, WASSERSTEIN, "Wasserstein-1 over mean |λ - mean λ| (no unit)"), folder,
            "figures/wasserstein.svg", title="Wasserstein-1", caption=shaded,
            alt="Wasserstein-1 error against the dimension, one panel a family",
        ),
        keep_figure(
            draw_distances(results, KS, "Kolmogorov-Smirnov distance (no unit)"), folder, "figures/ks.svg",
            title="Kolmogorov-Smirnov", caption=shaded,
            alt="Kolmogorov-Smirnov distance against the dimension, one panel a family",
        ),
        keep_figure(
            draw_moments(results), folder, "figures/moments.svg", title="Moments",
            alt="Scatter of four moments against the dimension, one panel a family",
            caption="Marks: standard deviation over the starts, in one Gauss rule without any error of truncation. "
            "Lines: what the eigenvalues give by the law of a quadratic form. " + note,
        ),
    ]  # fmt: skip
