"""Figures and ledger of the capstone from planted numbers."""

from __future__ import annotations

import numpy as np
import pytest

from hessbench.reports.capstone.figures import figures
from hessbench.reports.capstone.ledger_table import ledger_table, predicted_seconds
from hessbench.reports.capstone.measures import (
    APPROXIMATIONS,
    HUTCHINSON,
    LANCZOS,
    LATE,
    METHODS,
    SLQ,
    STEPS,
    TEN_MILLION,
    TOP,
    WIDTHS,
    step,
    width,
)
from hessbench.reports.claims.measured import measured_of

LAYERS = {"fc1.weight": 30, "fc2.weight": 12}
ERRORS = dict(zip(METHODS, ("top_error", "trace_error", "density_error", "kernel_error"), strict=True))
NUMBERS = (
    "loss", "trace", "gradient_norm_squared", "top", "relative_difference", "class_share", "kernel_space_error"
)  # fmt: skip


def planted(nets=2):
    rng = np.random.default_rng(3)
    rows, arrays = [], {}
    for net in range(nets):
        unit = f"run={net}"

        def add(measure, value, problem="", method="", unit=unit, **costs):
            rows.append(
                {"unit": unit, "problem": problem, "method": method, "measure": measure, "value": value, **costs}
            )

        for number in (*STEPS, LATE):
            at = step(number)
            for name in NUMBERS:
                add(name, 0.1 + rng.random(), at, METHODS[-1] if name == "kernel_space_error" else "")
            add("trace_estimate", 1.0, at, HUTCHINSON)
            add("trace_stderr", 0.1, at, HUTCHINSON)
            for name in APPROXIMATIONS:
                add("step_cosine", 0.9, at, name)
            for name, size in LAYERS.items():
                add("layer_share", 0.5, at, name)
                add("block_top", 0.4, at, name)
                add("block_size", size, at, name)
            for method, measure in ERRORS.items():
                add(measure, 1e-3, at, method, num_matvecs=40.0, gradient_equivalents=80.0, seconds=0.02)
            values = np.sort(rng.standard_normal(42))
            arrays |= {
                f"{unit}/{at} top magnitudes": np.sort(np.abs(values))[::-1][:TOP],
                f"{unit}/{at} ritz magnitudes": np.sort(np.abs(values))[::-1][:TOP],
                f"{unit}/{at} participation": 1 + 10 * rng.random(TOP),
                f"{unit}/{at} eigenvalues": values,
                f"{unit}/{at} nodes": values[::3],
                f"{unit}/{at} weights": np.full(14, 1 / 14),
                f"{unit}/{at} images found": rng.standard_normal((6, 7, 7)),
                f"{unit}/{at} example tops": 1 + rng.random(30),
            }
        for units in WIDTHS:
            for name in ("overlap", "prediction_r2", "change_r2", "kernel_drift"):
                add(name, rng.random(), width(units))
        arrays |= {f"{unit}/solve errors": np.geomspace(1, 1e-8, 40), f"{unit}/predicted changes": rng.random(60),
                   f"{unit}/retrained changes": rng.random(60)}  # fmt: skip
    for size, parameters in (("P = 10^5", 1e5), ("P = 10^6", 1e6), (TEN_MILLION, 1e7)):
        for method in METHODS:
            told = {"parameters": parameters, "product_seconds": 2e-6 * parameters, "own_seconds": 0.0,
                    "basis_bytes": 40 * parameters, "products_measured": 6.0}  # fmt: skip
            rows += [{"unit": f"{size}, {method}", "problem": size, "method": method, "measure": name, "value": value}
                     for name, value in told.items()]  # fmt: skip
    return measured_of(rows, arrays)


@pytest.mark.slow
def test_every_figure_is_drawn_with_its_numbers_and_is_small():
    made = figures(planted())
    assert [figure.name for figure in made] == [
        "top-eigenvalues", "trace-and-gradient", "densities", "eigenfunctions", "laziness", "localisation", "fisher",
        "influence", "methods",
    ]  # fmt: skip
    for figure in made:
        assert len(figure.picture.svg) < 300_000
        assert len(figure.frame) > 0


def test_figures_whose_numbers_are_missing_are_left_out():
    assert figures(measured_of([])) == []
    assert ledger_table(measured_of([])) == []


def test_the_density_keeps_the_mass_outside_of_its_grid():
    values = np.concatenate([np.full(9, 0.5), [7.0]])
    arrays = {f"run=0/{step(0)} {what}": array for what, array in
              (("eigenvalues", values), ("nodes", values), ("weights", np.full(10, 0.1)))}  # fmt: skip
    (drawn,) = figures(measured_of([], arrays))
    assert b"mass outside the grid: 10.00%" in drawn.picture.svg


def test_what_ten_million_parameters_take_is_predicted_by_the_line_through_smaller_sizes():
    results = planted()
    assert predicted_seconds(results, LANCZOS) == pytest.approx(20.0)
    (table,) = ledger_table(results)
    row = table.frame.iloc[METHODS.index(SLQ)]
    assert row["P = 10^7 (s)"] == pytest.approx(20.0)
    assert row["counted"] == 40
    assert table.frame["said"].tolist() == [40, 200, 240, 32]
