"""The page of the sketch study: verdicts, the race, the figures of the document again, and the numbers behind them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import pandas as pd

from hessbench.reports.claims.claim import JudgedClaim, claims_frame
from hessbench.reports.claims.study_page import PageFigure, keep_figure, short, write_study_page
from hessbench.reports.sketch.figures import (
    Bands,
    draw_by_rank,
    draw_race,
    draw_sizes,
    over_matrices,
    over_realisations,
)
from hessbench.reports.sketch.results import SketchResults
from hessbench.reports.sketch.verdicts import RACE_RULE, Win, judge, wins
from hessbench.reports.writing.median_intervals import median_interval

NAME: Final = "sketch"
"""Of the study."""

_PANELS: Final = 6  # of the race, in one file


@dataclass(frozen=True)
class DesignSection:
    """Figures of one basis and design."""

    title: str
    figures: tuple[PageFigure, ...]


def write_sketch_study(results: SketchResults, out: Path | str, command: str) -> Path:
    """Write the page, its figures and the CSV behind them; the same results give the same bytes.

    Args:
        results: What was measured.
        out: Folder to write.
        command: Command line that made it, shown on the page.

    Returns:
        The page, `index.html` in `out`.

    Raises:
        ValueError: If `out` is a file, or a folder that holds something other than a sketch study.
    """
    claims, won = judge(results), wins(results)
    frames = {"errors": errors_frame(results), "verdicts": claims_frame(claims), "race": _race_frame(results)}
    first = next(iter(results.errors.values()))
    return write_study_page(
        NAME,
        out,
        "sketch_study.html",
        command,
        frames,
        lambda folder: {
            "n": results.n,
            "matrices": first.shape[2],
            "sketches": first.shape[3],
            "ranks": first.shape[4],
            "claims": claims,
            "basis_sentence": _bases(claims),
            "wins": won,
            "race_answer": _answer(results, won),
            "race_rule": RACE_RULE,
            "races": len(results.races),
            "starts": _starts(results),
            "race_figures": _race_pictures(results, folder),
            "sections": _sections(results, folder),
        },
    )


def errors_frame(results: SketchResults) -> pd.DataFrame:
    """Median error by basis, share of zeros, ratio and rank: over matrices with its interval, and in the first ones."""
    rows: list[dict[str, object]] = []
    for basis, errors in results.errors.items():
        document = over_realisations(errors[:, :, : results.document_matrices])
        typical = np.median(errors, axis=3)
        for zero, ratio, rank in np.ndindex(errors.shape[0], errors.shape[1], errors.shape[4]):
            interval = median_interval(typical[zero, ratio, :, rank])
            rows.append({
                "basis": basis,
                "zero_fraction": results.zero_fractions[zero],
                "sketch_ratio": results.ratios[ratio],
                "rank": rank + 1,
                "median_error_percent": short(interval.median),
                "low_percent": short(interval.low),
                "high_percent": short(interval.high),
                "share_negative": short(float((errors[zero, ratio, :, :, rank] < 0).mean())),
                "document_median_percent": short(float(document.middle[zero, ratio, rank])),
                "document_least_percent": short(float(document.low[zero, ratio, rank])),
                "document_largest_percent": short(float(document.high[zero, ratio, rank])),
            })  # fmt: skip
    return pd.DataFrame(rows)


def _race_frame(results: SketchResults) -> pd.DataFrame:
    return pd.DataFrame([
        {
            "problem": race.problem, "method": method, "products": budget, "start": start,
            "error": short(float(errors[start, place])), "floor": short(race.floor),
        }
        for race in results.races for method, errors in race.errors.items()
        for start in range(errors.shape[0]) for place, budget in enumerate(race.budgets)
    ])  # fmt: skip


def _sections(results: SketchResults, folder: Path) -> list[DesignSection]:
    sections: list[DesignSection] = []
    document = results.document_matrices
    for basis, errors in results.errors.items():
        number = errors.shape[2]
        bands = over_matrices(errors)
        seen = (
            f"Curves: median over {number} matrices of each one's median over {errors.shape[3]} sketches; shaded: its "
            "95 % interval over the matrices. The axis is linear within 10 % and logarithmic beyond."
        )
        file = f"figures/{basis}-size.svg"
        alt = f"Size of the error against sketch ratio and against share of zeros, {basis}"
        caption = (
            f"Median |error| over the ranks and sketches of a matrix; curves: median over {number} matrices, shaded: "
            "its 95 % interval. All axes but that of the share of zeros are logarithmic."
        )
        title = "Size of the error against both parameters"
        size = keep_figure(draw_sizes(results, basis), folder, file, title=title, alt=alt, caption=caption)
        families = [
            _family(results, bands, folder, f"{basis}-matrices", seen, by_zeros=by_zeros) for by_zeros in (True, False)
        ]
        sections.append(DesignSection(f"{number} matrices, {basis}", (size, *families)))
        pooled = over_realisations(errors[:, :, :document])
        seen = (
            f"Curves: median over all {document * errors.shape[3]} sketches of {document} matrices; shaded: from the "
            "least to the largest of them, no interval. The axis is linear within 10 % and logarithmic beyond."
        )
        families = [
            _family(results, pooled, folder, f"{basis}-document", seen, by_zeros=by_zeros) for by_zeros in (True, False)
        ]
        sections.append(DesignSection(f"The document's design, {document} matrices, {basis}", tuple(families)))
    return sections


def _family(results: SketchResults, bands: Bands, folder: Path, stem: str, seen: str, *, by_zeros: bool) -> PageFigure:
    """Draw one family: a panel for each share of zeros, or for each ratio."""
    which, numbers = ("zero fraction", "7 to 12") if by_zeros else ("sketch ratio", "13 to 18")
    file = f"figures/{stem}-by-{which.replace(' ', '-')}.svg"
    alt = f"Signed error of the top eigenvalues against rank, one panel a {which}, {stem}"
    title = f"One panel a {which}, as figures {numbers}"
    drawn = draw_by_rank(results, bands, by_zeros=by_zeros)
    return keep_figure(drawn, folder, file, title=title, alt=alt, caption=seen)


def _race_pictures(results: SketchResults, folder: Path) -> list[PageFigure]:
    caption = (
        f"Median over {_starts(results)} starts, shaded from the least to the largest; grey dashes, where in view: "
        "the bound of the reference, on which is drawn what lies below. The error axis is logarithmic."
    )
    alt = "Error against products, Lanczos and sketch-and-refine, by problem"
    made: list[PageFigure] = []
    for part in range(0, len(results.races), _PANELS):
        file = f"figures/race-{part // _PANELS + 1}.svg"
        drawn = draw_race(results.races[part : part + _PANELS])
        made.append(keep_figure(drawn, folder, file, title="race", alt=alt, caption=caption))
    return made


def _starts(results: SketchResults) -> int:
    return next(iter(results.races[0].errors.values())).shape[0] if results.races else 0


def _bases(claims: Sequence[JudgedClaim]) -> str:
    """Which basis bears out what, in one sentence a basis."""
    sentences: list[str] = []
    for place, verdict in enumerate(claims[0].verdicts):
        outcomes: dict[str, list[str]] = {}
        for judged in claims:
            outcomes.setdefault(judged.verdicts[place].text, []).append(judged.claim.title.lower())
        told = "; ".join(f"{outcome}: {', '.join(texts)}" for outcome, texts in outcomes.items())
        sentences.append(f"{verdict.subject.capitalize()}: {told}.")
    return " ".join(sentences)


def _answer(results: SketchResults, won: Sequence[Win]) -> str:
    """The answer in words, from the wins alone."""
    if not results.races:
        return "No race was run."
    if not won:
        return "No: on no problem and at no number of products was it ahead of Lanczos from every start."
    problems = list(dict.fromkeys(win.problem for win in won))
    least = min(min(win.error, win.lanczos) for win in won)
    rest = len(results.races) - len(problems)
    return (
        f"Yes, on {len(problems)} of {len(results.races)} problems ({', '.join(problems)}), at some numbers of "
        f"products; the smallest error reached in such a place is {least:.2g}, so what it wins are coarse answers. "
        f"On the other {rest} Lanczos is never behind from every start."
    )
