"""The page of the study of advice: how many recommendations held, and each of them."""

from __future__ import annotations

import math
from dataclasses import asdict
from pathlib import Path
from typing import Final

import pandas as pd

from hessbench.ledger.answering.words import percent
from hessbench.reports.advice.results import AdviceStudyResults, AdviceTrial
from hessbench.reports.claims.study_page import write_study_page
from hessbench.reports.writing import units

NAME: Final = "advice"
"""Of the study."""


def write_advice_study(results: AdviceStudyResults, out: Path | str, command: str) -> Path:
    """Write the page and the CSV behind it.

    Args:
        results: What was found.
        out: Folder to write.
        command: Command line that made it, shown on the page.

    Returns:
        The page, `index.html` in `out`.

    Raises:
        ValueError: As `claim_folder`.
    """
    return write_study_page(
        NAME,
        out,
        "advice_study.html",
        command,
        {"trials": trials_frame(results)},
        lambda _: {
            "answer": summary(results),
            "budget": units.seconds(results.budget_s),
            "rows": [_row(trial) for trial in results.trials],
        },
    )


def trials_frame(results: AdviceStudyResults) -> pd.DataFrame:
    """One row for each question."""
    return pd.DataFrame(
        [
            {
                **asdict(trial),
                "verdict": trial.verdict,
                "holds": trial.holds,
                "promise_was_right": trial.promise_was_right,
            }
            for trial in results.trials
        ]
    ).map(lambda value: float(f"{value:.5g}") if isinstance(value, float) and math.isfinite(value) else value)


def summary(results: AdviceStudyResults) -> list[str]:
    """How many held, in all and by estimand, and how many promises were right."""
    trials = [trial for trial in results.trials if trial.method]
    held = sum(trial.holds for trial in trials)
    promised = [trial for trial in trials if trial.promised]
    right = sum(trial.promise_was_right for trial in promised)
    kinds = dict.fromkeys(trial.estimand.partition("[")[0] for trial in trials)
    by_kind = [
        f"{kind} {sum(trial.holds for trial in own)} of {len(own)}"
        for kind in kinds
        if (own := [trial for trial in trials if trial.estimand.partition("[")[0] == kind])
    ]
    none = len(results.trials) - len(trials)
    return [
        f"{held} of {len(trials)} recommendations held{': ' * bool(by_kind)}{', '.join(by_kind)}. For {none} of "
        f"{len(results.trials)} questions nothing was predicted to get there within the budget, and none was made.",
        f"{right} of {len(promised)} promises were right: {sum(trial.kept is True for trial in promised)} of these "
        "answers were said to be within the tolerance, the others to have missed it.",
    ]


def _row(trial: AdviceTrial) -> dict[str, str]:
    known = math.isfinite(trial.error)
    return {
        "problem": trial.problem,
        "estimand": trial.estimand,
        "within": percent(trial.within),
        "method": trial.method or units.DASH,
        "budget": f"{trial.budget:,}" if trial.budget else units.DASH,
        "predicted": units.seconds(trial.predicted_s) if math.isfinite(trial.predicted_s) else units.DASH,
        "taken": units.seconds(trial.taken_s) if math.isfinite(trial.taken_s) else units.DASH,
        "promised": "yes" if trial.promised else "no",
        "error": percent(max(trial.error, trial.bound)) if known else units.DASH,
        "verdict": trial.verdict,
        "style": "yes" if trial.holds else "no",
    }
