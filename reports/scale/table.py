"""The table "predicted against measured": its columns, and its numbers as a frame."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import pandas as pd

from hessbench.ledger.record import SCHEMA
from hessbench.reports.costs.shown_names import asked, where
from hessbench.reports.costs.tables import error_cell, predicted_time, status_text
from hessbench.reports.scale.checks import Check
from hessbench.reports.writing import units
from hessbench.reports.writing.sheets import Column, Sheet, Shown, lay_out, range_text, single_cell


def scale_sheet(checks: Sequence[Check]) -> Sheet:
    """Lay out the checks."""
    return lay_out(SCALE_COLUMNS, checks, lambda check: check.reasons)


def scale_frame(checks: Sequence[Check]) -> pd.DataFrame:
    """The checks as numbers: seconds and bytes, nothing rounded."""
    return pd.DataFrame([_numbers(check) for check in checks])


def rests_on(check: Check) -> str:
    """The sizes the prediction rests on, in words."""
    if check.basis is None:
        return units.DASH
    run = f"counts of the run at {check.basis.dim:,}"
    if not check.price_dims:
        return run
    source = "prices in the runs" if check.has_run_prices else "prices"
    return f"{source} at {sizes(check.price_dims)}; {run}"


def sizes(dims: Sequence[int]) -> str:
    """Sizes in words: `10,000 and 100,000`."""
    *first, last = (f"{dim:,}" for dim in dims)
    return f"{', '.join(first)} and {last}" if first else last


def _problem(check: Check) -> Shown:
    return Shown(check.family.name, f"P = {check.line.dim:,}, {where(check.line.key)}")


def _method(check: Check) -> Shown:
    number = len(check.line.answers)
    return Shown(check.line.method, f"budget {check.line.budget:,}, {number} repeat{'s' * (number != 1)}")


def _predicted(check: Check) -> Shown:
    shown = predicted_time(check.prediction)
    by_runs = "" if check.has_run_prices else _named("by its own runs", check.by_runs_s)
    return Shown(shown.text, ", ".join(filter(None, (shown.detail, by_runs))), sort=shown.sort)


def _measured(check: Check) -> Shown:
    value = check.measured_s
    if value is None:
        return Shown(units.DASH)
    products = check.measured_products_s
    parts = (
        range_text(value, units.seconds),
        _named("products", None if products is None else products.median),
        _named("own", check.measured_own_s),
    )
    return Shown(units.seconds(value.median), ", ".join(filter(None, parts)), sort=value.median)


def _predicted_bytes(check: Check) -> Shown:
    detail = ""
    if check.scaled_bytes is not None:
        detail = f"peak at {check.scaled_from:,}, scaled: {units.size(check.scaled_bytes)}"
    return single_cell(check.prediction.memory_bytes, units.size, detail)


def _named(name: str, seconds: float | None) -> str:
    return "" if seconds is None else f"{name} {units.seconds(seconds)}"


def _numbers(check: Check) -> dict[str, Any]:
    line, prediction, measured = check.line, check.prediction, check.measured_s
    return {
        "schema": SCHEMA,
        "family": check.family.name,
        "problem": line.key.problem,
        "problem_hash": line.key.problem_hash,
        "dim": line.dim,
        **asked(line.key),
        "budget": line.budget,
        "repeats": len(line.answers),
        "status": status_text(line),
        "smaller_dims": " ".join(str(run.dim) for run in check.smaller),
        "counts_from_dim": None if check.basis is None else check.basis.dim,
        "price_dims": " ".join(map(str, check.price_dims)),
        "prices_of": "" if not check.price_dims else "runs" if check.has_run_prices else "ladder",
        "predicted_products_s": prediction.products_s,
        "predicted_own_s": prediction.own_s,
        "predicted_s": prediction.seconds,
        "predicted_by_runs_s": check.by_runs_s,
        "measured_products_s": None if check.measured_products_s is None else check.measured_products_s.median,
        "measured_own_s": check.measured_own_s,
        "measured_s": None if measured is None else measured.median,
        "measured_s_min": None if measured is None else measured.low,
        "measured_s_max": None if measured is None else measured.high,
        "seconds_ratio": check.time_ratio,
        "predicted_bytes": prediction.memory_bytes,
        "scaled_bytes": check.scaled_bytes,
        "scaled_from_dim": check.scaled_from,
        "measured_bytes": check.measured_bytes,
        "bytes_ratio": check.memory_ratio,
        "error": None if line.error is None else line.error.median,
        "reference_bound": line.bound,
        "at_bound": line.is_at_bound,
        "notes": "; ".join(f"{name}: {reason}" for name, reason in sorted(check.reasons.items())),
    }


SCALE_COLUMNS: Final[tuple[Column[Check], ...]] = (
    Column("problem", "Problem family", "largest size", _problem, is_number=False),
    Column("estimand", "Estimand", "", lambda check: Shown(check.line.key.estimand), is_number=False),
    Column("method", "Method", "", _method, is_number=False),
    Column("predicted_s", "Time", "predicted", _predicted),
    Column("measured_s", "Time", "measured", _measured),
    Column("seconds_ratio", "Time", "ratio", lambda check: single_cell(check.time_ratio, units.ratio)),
    Column("predicted_bytes", "Memory", "predicted", _predicted_bytes),
    Column("measured_bytes", "Memory", "measured peak", lambda check: single_cell(check.measured_bytes, units.size)),
    Column("bytes_ratio", "Memory", "ratio", lambda check: single_cell(check.memory_ratio, units.ratio)),
    Column("error", "Error", "median, range", lambda check: error_cell(check.line)),
    Column("rests", "Predicted from", "sizes", lambda check: Shown(rests_on(check)), is_number=False),
)
"""The columns of the table, in order."""
