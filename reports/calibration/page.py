"""The page of the calibration study: the table of what can be believed, the figures, and the numbers behind them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pandas as pd

from hessbench.reports.calibration import verdicts
from hessbench.reports.calibration.figures import draw_coverage, draw_widths
from hessbench.reports.calibration.results import LEVELS, CalibrationResults
from hessbench.reports.calibration.verdicts import KINDS, Believed, CellCoverage, all_coverage, all_trust
from hessbench.reports.claims.study_page import PageFigure, keep_figure, write_study_page

NAME: Final = "calibration"
"""Of the study."""

_NOTES: Final = {
    "hutchinson": "independent samples",
    "hutchinson[probe=sphere]": "independent samples",
    "sketch": "independent samples: the diagonal of the sketch",
    "slq[steps=2]": "independent samples: the Rayleigh quotients of its starts",
    "ggn-diagonal-mc": "independent samples",
    "hutchpp": "independent samples of the rest, once the sketch is made",
    "adaptive-hutchpp": "as hutchpp; it sketches with at most a third of the products, so that its probes may be more",
    "xtrace": "claimed: the spread of its estimates, which share all probes but two; corrected: the jackknife",
    "xnystrace": "claimed: the spread of its estimates, which share all probes but one; corrected: the jackknife",
}


@dataclass(frozen=True)
class BelievedRow:
    """A line of the table: a method and a kind, with an answer for each number of probes."""

    method: str
    kind: str
    note: str
    answers: tuple[Believed | None, ...]


def write_calibration_study(results: CalibrationResults, out: Path | str, command: str) -> Path:
    """Write the page, its figures and the CSV behind them; the same results give the same bytes.

    Args:
        results: What was measured.
        out: Folder to write.
        command: Command line that made it, shown on the page.

    Returns:
        The page, `index.html` in `out`.

    Raises:
        ValueError: As `claim_folder`.
    """
    found = all_coverage(results.cells)
    trust = all_trust(found)
    probes = sorted({one.probes for one in trust})
    frames = {"coverage": coverage_frame(found), "believed": trust_frame(trust)}
    return write_study_page(
        NAME,
        out,
        "calibration_study.html",
        command,
        frames,
        lambda folder: {
            "seeds": results.seeds,
            "problems": results.problems,
            "probes": probes,
            "rows": _rows(trust, probes),
            "figures": _figures(found, folder),
            "rule": _paragraphs(verdicts.__doc__ or ""),
            "answer": _answer(trust),
            "shown": _shown(found, probes),
        },
    )


def coverage_frame(found: Sequence[CellCoverage]) -> pd.DataFrame:
    """One row for each problem, method, number of probes and kind of interval."""
    rows: list[dict[str, object]] = []
    for one in found:
        row: dict[str, object] = {
            "problem": one.cell.problem, "method": one.cell.method, "probes": one.cell.probes,
            "products": one.cell.products, "interval": one.kind, "width_over_error": _digits(one.ratio),
        }  # fmt: skip
        for level, seen in zip(LEVELS, one.coverage, strict=True):
            name = f"coverage_{100 * level:.0f}"
            row |= {name: _digits(seen.share), f"{name}_low": _digits(seen.low), f"{name}_high": _digits(seen.high)}
        rows.append(row)
    return pd.DataFrame(rows)


def trust_frame(trust: Sequence[Believed]) -> pd.DataFrame:
    """One row for each method, number of probes and kind of interval."""
    return pd.DataFrame([
        {
            "method": one.method, "probes": one.probes, "interval": one.kind, "believed": one.answer,
            "least_coverage_95": _digits(one.worst), "where": one.worst_problem,
            "width_over_error": _digits(one.ratio), "short_problems": one.short, "problems": one.problems,
        }
        for one in trust
    ])  # fmt: skip


def _paragraphs(text: str) -> list[str]:
    """A docstring's paragraphs and list items, each on one line."""
    parts = text.replace("\n- ", "\n\n- ").split("\n\n")
    return [" ".join(part.split()) for part in parts]


def _rows(trust: Sequence[Believed], probes: Sequence[int]) -> list[BelievedRow]:
    known = {(one.method, one.kind, one.probes): one for one in trust}
    return [
        BelievedRow(method, kind, _NOTES.get(method, ""), tuple(known.get((method, kind, number)) for number in probes))
        for method in dict.fromkeys(one.method for one in trust) for kind in KINDS
    ]  # fmt: skip


def _answer(trust: Sequence[Believed]) -> list[str]:
    """The answer in words, from the table alone."""
    sentences: list[str] = []
    for kind in KINDS:
        groups = [one for one in trust if one.kind == kind and one.answer != "exact"]
        counts = {word: sum(one.answer.startswith(word) for one in groups) for word in ("yes", "nearly", "no")}
        # "nearly" begins with neither "yes" nor "no", and each answer with one of the three.
        sentences.append(
            f"{kind.capitalize()} intervals: of {len(groups)} pairs of a method and a number of probes "
            f"{counts['yes']} can be believed on every problem, {counts['nearly']} nearly, {counts['no']} cannot."
        )
    always = [
        method for method in dict.fromkeys(one.method for one in trust)
        if all(one.answer.startswith(("yes", "exact")) for one in trust if (one.method, one.kind) == (method, KINDS[1]))
    ]  # fmt: skip
    if always:
        sentences.append(f"Believed at every number of probes, corrected: {', '.join(always)}.")
    return sentences


def _shown(
    found: Sequence[CellCoverage], probes: Sequence[int]
) -> list[tuple[str, str, str, list[CellCoverage | None]]]:
    """Lines of the full table: method, problem, kind, and a cell for each number of probes."""
    known = {(one.cell.method, one.cell.problem, one.kind, one.cell.probes): one for one in found}
    lines = dict.fromkeys(key[:3] for key in known)
    return [(*line, [known.get((*line, number)) for number in probes]) for line in lines]


def _figures(found: Sequence[CellCoverage], folder: Path) -> list[PageFigure]:
    coverage = (
        "Faint: a line for each problem; bold with markers: the least of them. Dashed: 95 %. Intervals from few probes "
        "need Student's t; what is below the line after that is the skewness of the samples."
    )
    widths = (
        "Faint: a line for each problem; bold with markers: their median. Dashed: as wide as the error is large. The "
        "axis is logarithmic; Student's t of one degree of freedom makes 2 probes wide. Lines that leave the panel are "
        "in the table."
    )
    return [
        keep_figure(
            draw_coverage(found), folder, "figures/coverage.svg", title="Coverage", caption=coverage,
            alt="Coverage of the 95 % interval against probes",
        ),
        keep_figure(
            draw_widths(found), folder, "figures/widths.svg", title="Widths", caption=widths,
            alt="Width over the true error against probes",
        ),
    ]  # fmt: skip


def _digits(value: float | None) -> float | None:
    return None if value is None else float(f"{value:.4g}")
