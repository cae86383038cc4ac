"""A ledger like a real one, made of rows: nothing is run."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest

from hessbench.ledger.reading import Ledger
from hessbench.ledger.record import Kind, Record, Status
from hessbench.reports.error_curves.figures import Drawing
from hessbench.reports.writing.drawing import Picture

BUDGETS = (10, 20, 40, 80)
PROBLEMS = {"student-t[n=1000,zero_fraction=0.9]": 1000, "mlp-digits[width=32]": 9322}
METHODS = {"lanczos": -2.0, "power-iteration": -0.7, "hutchinson": -0.5}


@dataclass
class Builder:
    """Collects rows."""

    rows: list[Record] = field(default_factory=list)

    def cell(
        self,
        problem: str = "student-t[n=1000,zero_fraction=0.9]",
        method: str = "lanczos",
        estimand: str = "trace",
        *,
        repeat: int = 0,
        status: Status = Status.OK,
        budgets: Sequence[int] = BUDGETS,
        error: Callable[[int], float | None] = lambda budget: 1 / budget,
        also: Sequence[str] = (),
        **fields: Any,
    ) -> str:
        """Add the rows of one cell and return its id."""
        pass_ = fields.get("pass_", "time")
        dtype = fields.get("dtype", "float32")
        name = f"{problem}|{method}|{estimand}|{budgets}|{repeat}|{pass_}|{dtype}"
        cell = hashlib.sha256(name.encode("utf-8", "backslashreplace")).hexdigest()[:16]
        kind = "hessian" if problem.startswith("mlp") else "product"
        known: dict[str, Any] = {
            "problem": problem,
            "method": method,
            "suite": "quick-1",
            "problem_hash": hashlib.sha256(problem.encode("utf-8", "backslashreplace")).hexdigest(),
            "dim": PROBLEMS.get(problem, 100),
            "method_hash": "a" * 16,
            "library_version": "hessbench 0.1.0",
            "repeat": repeat,
            "threads": 2,
            "environment": "e" * 12,
            "time": f"2026-01-01T00:00:{repeat:02d}Z",
            "engine": "kept-graph",
            "own_vectors": 20.0,
            "own_passes": 400.0,
        }
        for budget in budgets:
            for answered in (estimand, *also) if status is Status.OK else ():
                costs = {
                    "budget": budget,
                    "checkpoint": budget,
                    "matvecs": budget,
                    "calls": budget // 2,
                    "counts": {kind: budget},
                    "gradient_equivalents": 2.0 * budget,
                    "wall_s": 0.002 * budget * (1 + 0.1 * repeat) if pass_ == "time" else None,
                    "build_s": 0.05 if pass_ == "time" else None,
                    "operator_s": 0.0015 * budget if pass_ == "time" else None,
                    "error": error(budget),
                    "errors": {"relative": error(budget)},
                    "reference_source": "ANALYTIC",
                    "reference_bound": 1e-6,
                }
                row = known | costs | fields
                self.rows.append(Record(kind=Kind.CHECKPOINT, cell=cell, estimand=answered, status=Status.OK, **row))
        largest = budgets[-1]
        totals: dict[str, Any] = {"budget": largest}
        if status is Status.OK:
            totals |= {**costs, "checkpoint": None}  # the largest budget's: the last pass of the loop
            totals |= (
                {"notes": {"host_peak_bytes": "measured in the memory pass"}}
                if pass_ == "time"
                else {"host_peak_bytes": 3 << 20, "flops": 10**9, "notes": {"device_peak_bytes": "no device"}}
            )
        row = known | totals | fields
        self.rows.append(Record(kind=Kind.TERMINAL, cell=cell, estimand=estimand, status=status, **row))
        return cell


def price(dim: int, seconds: float, predicted: float | None = None, **fields: Any) -> dict[str, Any]:
    """A price row as a ledger holds it."""
    return {
        "kind": "price",
        "problem": "student-t",
        "kind_of_product": "product",
        "dim": dim,
        "seconds": seconds,
        "predicted_seconds": predicted,
        "bandwidth": 1e10,
        "device": "cpu",
        "dtype": "float32",
        "threads": 2,
    } | fields


@pytest.fixture
def builder() -> Builder:
    return Builder()


@pytest.fixture
def make_price() -> Callable[..., dict[str, Any]]:
    return price


@pytest.fixture
def undrawn(monkeypatch: pytest.MonkeyPatch) -> None:
    """A page in whose figures stands what would be drawn: drawing is most of its time, and has tests of its own."""

    def written(*what: object) -> bytes:
        return repr(what).encode("utf-8", "backslashreplace")

    def drawn(*what: object) -> Drawing:
        inline = '<svg class="hb" width="480" height="400"></svg>'
        return Drawing(written(*what), 480, 400, inline, traces=(), at_floor=0, zeros=0, left_out=0, hidden=0)

    monkeypatch.setattr("hessbench.reports.page.pictures.draw", drawn)
    monkeypatch.setattr("hessbench.reports.page.pictures.draw_scale", lambda *what: Picture(written(*what), 640, 480))


@pytest.fixture(scope="session")
def ledger() -> Ledger:
    """3 methods on 2 problems, 3 repeats, both passes, answers to a second estimand, failures and prices."""
    made = Builder()
    rng = np.random.default_rng(7)
    for problem in PROBLEMS:
        for method, slope in METHODS.items():
            for repeat in range(3):
                scale = float(np.exp(rng.normal(0, 0.3)))

                def error(budget: int, slope: float = slope, scale: float = scale) -> float:
                    return scale * (budget / 5) ** slope * (1e-4 if slope < -1 and budget > 50 else 1)

                also = ("density",) if method == "lanczos" else ()
                made.cell(problem, method, repeat=repeat, error=error, also=also)
            made.cell(problem, method, pass_="memory", error=error, also=also)
    made.cell(method="arpack", estimand="top-eigenvalues[k=10]", status=Status.TIMEOUT, reason="60 s passed")
    for repeat in range(3):
        made.cell(method="xtrace", repeat=repeat, status=Status.ERROR, reason="ValueError: |r| is 0\nat line 3")
        made.cell(
            method="mc-diag", repeat=repeat, status=Status.SKIPPED, reason="requires the trait 'factor'", budgets=(80,)
        )
    # One-shot: a cell per budget, no checkpoint rows, exact at the end.
    for repeat in range(3):
        for budget in BUDGETS:
            made.cell(method="hutch++", repeat=repeat, budgets=(budget,), error=lambda b: 0.0 if b == 80 else 0.3 / b)
    prices = (
        price(10_000, 1e-4),
        price(100_000, 1.2e-3),
        price(1_000_000, 1.5e-2, predicted=1.44e-2),
        price(10_000, 1e-3, problem="mlp-digits[width=32]", kind_of_product="hessian"),
    )
    facts = {"python": "3.11.9", "versions": {"torch": "2.13.0", "numpy": "2.4.6"}, "threads_default": 2,
             "command": "hessbench run quick-1", "dirty": False}  # fmt: skip
    return Ledger(tuple(made.rows), {"e" * 12: facts}, prices, torn=1)
