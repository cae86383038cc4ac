"""The cost table: its columns, and its numbers as a frame."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Sequence
from typing import Any, Final

import pandas as pd

from hessbench.ledger.costs import MEMORY_PASS, REPEATED
from hessbench.ledger.record import SCHEMA
from hessbench.ledger.shown_errors import error_definition, shown_error
from hessbench.reports.costs.lines import CostLine
from hessbench.reports.costs.predict import PREDICTED_DIM, Prediction
from hessbench.reports.costs.shown_names import asked, where
from hessbench.reports.writing import units
from hessbench.reports.writing.sheets import Column, Sheet, Shown, Spread, lay_out, single_cell, spread, spread_cell


def sheet(lines: Sequence[CostLine]) -> Sheet:
    """Lay out the lines."""
    return lay_out(COLUMNS, lines, reasons)


def reasons(line: CostLine) -> dict[str, str]:
    """Why a value is missing, or what a reader must know of it, by column."""
    peak = "host_peak_bytes" if line.key.device == "cpu" else "device_peak_bytes"
    shared = {"seconds": line.reasons.get("wall_s", ""), "peak_bytes": line.reasons.get(peak, "")}
    return {**line.reasons, **shared}


def frame(lines: Sequence[CostLine]) -> pd.DataFrame:
    """The cost table as numbers, one row per line: seconds, bytes and products, nothing rounded."""
    return pd.DataFrame([_numbers(line) for line in lines])


def repeats_frame(lines: Sequence[CostLine]) -> pd.DataFrame:
    """What the lines were made from: one row per repeat, at the budget of its line."""
    return pd.DataFrame(
        [
            {
                "problem": line.key.problem,
                "problem_hash": line.key.problem_hash,
                **asked(line.key),
                "budget": line.budget,
                "repeat": answer.terminal.repeat,
                "pass": answer.terminal.pass_,
                "cell": answer.terminal.cell,
                "status": answer.terminal.status.value,
                "matvecs": answer.terminal.matvecs,
                "calls": answer.terminal.calls,
                "gradient_equivalents": answer.terminal.gradient_equivalents,
                "build_s": answer.build_s,
                "wall_s": answer.wall_s,
                "operator_s": answer.terminal.operator_s,
                "error": shown_error(answer.row).value,
                "error_name": shown_error(answer.row).name,
                "primary_error": answer.error,
                "reference_bound": shown_error(answer.row).bound,
                "reference_source": answer.row.reference_source,
                "contended": answer.terminal.contended,
            }
            for line in lines
            for answer in line.answers
        ]
    )


def status_text(line: CostLine) -> str:
    """How the cells of a line ended: `ok`, or how many ended how."""
    if len(line.statuses) == 1:
        return next(iter(line.statuses))
    return ", ".join(f"{number} {status}" for status, number in line.statuses.items())


def seconds(line: CostLine) -> Spread | None:
    """Build and wall clock, repeat by repeat; the memory pass is not in it."""
    return spread(
        None if answer.build_s is None or answer.wall_s is None else answer.build_s + answer.wall_s
        for answer in line.answers
        if answer.terminal.pass_ == "time"
    )


def peak_bytes(line: CostLine) -> int | None:
    """Memory above the built operator: that of the device where the line ran on one."""
    return line.host_peak_bytes if line.key.device == "cpu" else line.device_peak_bytes


def error_cell(line: CostLine) -> Shown:
    """The error, marked where it is at or below what its reference can tell; of a trace with the scaled one."""
    badge = "useless, at the bound" if line.is_useless else "at the bound" if line.is_at_bound else ""
    cell = spread_cell(line.error, units.share, badge)
    if line.scaled_error is None:
        return cell
    scaled = f"scaled {units.share(line.scaled_error.median)}"
    if scaled == f"scaled {cell.text}":
        return cell
    return dataclasses.replace(cell, detail="; ".join(filter(None, [cell.detail, scaled])))


def error_sentences(lines: Iterable[CostLine]) -> tuple[str, ...]:
    """What the errors of some lines are, one sentence for each estimand and error."""
    found: dict[str, None] = {}
    for line in lines:
        if line.error is not None:
            key = line.key.estimand.partition("[")[0]
            found[f"{key}: {error_definition(line.key.estimand, line.error_name).sentence}"] = None
    return tuple(sorted(found))


def predicted_time(prediction: Prediction) -> Shown:
    """Seconds with their parts; where there is no total, a dash and the part that can be prediction."""
    parts = [
        f"{name} {units.seconds(value)}"
        for name, value in (("products", prediction.products_s), ("own", prediction.own_s))
        if value is not None
    ]
    if prediction.seconds is None:
        return Shown(units.DASH, f"{parts[0]} alone" if parts else "")
    return Shown(units.seconds(prediction.seconds), ", ".join(parts), sort=prediction.seconds)


def _problem(line: CostLine) -> Shown:
    return Shown(line.problem, f"n = {line.dim:,}, {where(line.key)}")


def _method(line: CostLine) -> Shown:
    return Shown(line.method, "" if len(line.statuses) == 1 and "ok" in line.statuses else status_text(line))


def _bound(line: CostLine) -> Shown:
    return single_cell(line.bound, units.error, line.bound_source)


def _numbers(line: CostLine) -> dict[str, Any]:
    row: dict[str, Any] = {
        "schema": SCHEMA,
        "problem": line.key.problem,
        "problem_hash": line.key.problem_hash,
        "dim": line.dim,
        **asked(line.key),
        "budget": line.budget,
        "repeats": len(line.answers),
        "status": status_text(line),
    }
    for name in (*REPEATED, "error"):
        value: Spread | None = getattr(line, name)
        row[name] = None if value is None else value.median
        row[f"{name}_min"] = None if value is None else value.low
        row[f"{name}_max"] = None if value is None else value.high
    scaled, spent = line.scaled_error, seconds(line)
    row |= {
        "error_name": line.error_name,
        "scaled_error": None if scaled is None else scaled.median,
        "seconds": None if spent is None else spent.median,
        "peak_bytes": peak_bytes(line),
    }
    return row | {
        "repeats_with_error": 0 if line.error is None else line.error.number,
        "reference_bound": line.bound,
        "reference_source": line.bound_source,
        "at_bound": line.is_at_bound,
        **{name: getattr(line.memory, name) if line.memory else None for name in MEMORY_PASS},
        "predicted_dim": PREDICTED_DIM,
        "predicted_products_s": line.prediction.products_s,
        "predicted_own_s": line.prediction.own_s,
        "predicted_s": line.prediction.seconds,
        "predicted_bytes": line.prediction.memory_bytes,
        "notes": "; ".join(f"{name}: {reason}" for name, reason in sorted(line.reasons.items())),
    }


COLUMNS: Final[tuple[Column[CostLine], ...]] = (
    Column("problem", "Problem", "", _problem, is_number=False),
    Column("estimand", "Estimand", "", lambda line: Shown(line.key.estimand), is_number=False),
    Column("method", "Method", "", _method, is_number=False),
    Column("budget", "Budget", "products", lambda line: single_cell(line.budget, units.count)),
    Column("error", "Error", "median, range", error_cell),
    Column("seconds", "Seconds", "build and wall", lambda line: spread_cell(seconds(line), units.seconds)),
    Column("matvecs", "Products", "columns", lambda line: spread_cell(line.matvecs, units.count)),
    Column("peak_bytes", "Peak", "bytes", lambda line: single_cell(peak_bytes(line), units.size)),
    Column("build_s", "Build", "median, range", lambda line: spread_cell(line.build_s, units.seconds)),
    Column("wall_s", "Wall clock", "median, range", lambda line: spread_cell(line.wall_s, units.seconds)),
    Column("calls", "Calls", "blocks", lambda line: spread_cell(line.calls, units.count)),
    Column(
        "gradient_equivalents",
        "Gradient-equivalents",
        "gradients",
        lambda line: spread_cell(line.gradient_equivalents, units.count),
    ),
    Column("operator_bytes", "Operator", "bytes kept", lambda line: spread_cell(line.operator_bytes, units.size)),
    Column("host_peak_bytes", "Host peak", "bytes", lambda line: single_cell(line.host_peak_bytes, units.size)),
    Column("device_peak_bytes", "GPU peak", "bytes", lambda line: single_cell(line.device_peak_bytes, units.size)),
    Column("bound", "Reference bound", "source", _bound),
    Column("predicted_s", "Time at P = 10^7", "predicted", lambda line: predicted_time(line.prediction)),
    Column(
        "predicted_bytes",
        "Memory at P = 10^7",
        "predicted",
        lambda line: single_cell(line.prediction.memory_bytes, units.size),
    ),
    Column("repeats", "Repeats", "", lambda line: single_cell(len(line.answers), units.count)),
    Column("status", "Status", "cells", lambda line: Shown(status_text(line)), is_number=False),
)
"""The columns of the cost table, in order; `PREDICTED_DIM` is the P of the headers."""
