"""What the published pages of this checkout say of a method, a sentence each."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final

from hessbench.estimand import Density, Diagonal, Estimand, TopEigenvalues, Trace
from hessbench.ledger.answering.words import percent, plural
from hessbench.reports.writing import units

_SUBJECTS: Final[dict[type[Estimand], str]] = {
    Trace: "trace",
    TopEigenvalues: "top",
    Diagonal: "diagonal",
    Density: "density",
}
"""How the questions of the study few-gradients begin."""

NOWHERE: Final = "The published pages are not here: the pilot is all the evidence there is."


def evidence(
    published: Path | None, method: str, estimand: Estimand, within: float, probes: int | None
) -> Sequence[str]:
    """What is known of a method from studies that were run.

    Args:
        published: Folder of the published pages; None where there is none, as in a wheel.
        method: Spec of the method.
        estimand: What is asked of it.
        within: Largest relative error accepted.
        probes: Probes that it would draw, where its interval was judged by them.

    Returns:
        Sentences, at least one.
    """
    if published is None:
        return [NOWHERE]
    said = [
        *_believed(published, method, probes),
        *_costs(published, method, estimand, within),
        *(_densities(published, method) if isinstance(estimand, Density) else ()),
    ]
    return said or [f"No published study has asked {method} this: the pilot is all the evidence there is."]


def _believed(published: Path, method: str, probes: int | None) -> Iterable[str]:
    """How often its interval held, at the largest number of probes of the study that is not above those here."""
    if probes is None:
        return
    rows = [
        row
        for row in _rows(published / "calibration" / "believed.csv")
        if row["method"] == method and row["interval"] == "corrected" and int(row["probes"]) <= probes
    ]
    if rows:
        row = max(rows, key=lambda it: int(it["probes"]))
        yield (
            f"Calibration study, {row['probes']} probes: its 95 % interval held the truth in at least "
            f"{percent(float(row['least_coverage_95']))} of the seeds on each of {row['problems']} problems "
            f"(believed: {row['believed']}), {units.significant(float(row['width_over_error']))} times as wide as the "
            "error."
        )


def _costs(published: Path, method: str, estimand: Estimand, within: float) -> Iterable[str]:
    """On how many networks it was within the nearest tolerance of the study that is not above what is asked."""
    subject = _SUBJECTS[type(estimand)]
    rows = [
        row
        for row in _rows(published / "few-gradients" / "costs.csv")
        if row["question"].split()[0] == subject
        and "known" not in row["question"]
        and row["method"].partition("[")[0] == method.partition("[")[0]
    ]
    levels = sorted({float(row["level"]) for row in rows})
    if not levels:
        return
    level = max((it for it in levels if it <= within * (1 + 1e-9)), default=levels[0])
    for question in sorted({row["question"] for row in rows}):
        here = [row for row in rows if row["question"] == question and float(row["level"]) == level]
        gradients = sorted(float(row["gradients"]) for row in here if row["gradients"])
        reached = f"within {percent(level)} on {len(gradients)} of {plural(len(here), 'network')}"
        cost = ""
        if gradients:
            low, high = (units.significant(it) for it in (gradients[0], gradients[-1]))
            cost = f", in the time of {low}{'' if low == high else f' to {high}'} gradients"
        yield f"Study few-gradients, {question}: {reached}{cost}."


def _densities(published: Path, method: str) -> Iterable[str]:
    rows = [
        row
        for row in _rows(published / "density" / "errors.csv")
        if row["method"].partition("[")[0] == method.partition("[")[0] and row["metric"] == "wasserstein1"
    ]
    errors = sorted(float(row["median_error"]) for row in rows if row["median_error"])
    if errors:
        names = sorted({row["method"] for row in rows})
        yield (
            f"Density study, {', '.join(names)}: median error {percent(errors[0])} to {percent(errors[-1])} over "
            f"{plural(len({row['problem'] for row in rows}), 'problem')}, all at equal products."
        )


def _rows(file: Path) -> list[dict[str, str]]:
    """The rows of a published table; none where it is not there."""
    if not file.is_file():
        return []
    with file.open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))
