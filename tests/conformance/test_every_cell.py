"""Every cell of every suite that ships: planned, named once, and its row survives the text."""

import json

import pytest

from hessbench.catalog import load_catalog
from hessbench.cells.cell import Cell
from hessbench.estimand import parse_estimand
from hessbench.ledger.frame import to_frame
from hessbench.ledger.record import Kind, Record, Status
from hessbench.ledger.typed_fields import built, plain
from hessbench.running.plan import plan
from hessbench.running.suite import Suite, built_in_suites

CATALOG = load_catalog()
PLANS = {name: plan(Suite.load(name), CATALOG) for name in built_in_suites()}


def record_of(planned):
    """The row of a cell with every field that a plan decides."""
    cell = planned.cell
    problem = CATALOG.problem(cell.problem)
    bound = CATALOG.method(cell.method, parse_estimand(cell.estimand))
    return Record(
        Kind.TERMINAL,
        cell.id,
        cell.problem,
        cell.method,
        cell.estimand,
        Status.SKIPPED if planned.skip_reason else Status.OK,
        dim=problem.dim,
        traits=problem.traits,
        method_hash=bound.method.hash,
        repeat=cell.repeat,
        seed=cell.seed,
        pass_=cell.pass_,
        device=cell.device,
        dtype=cell.dtype,
        threads=cell.threads,
        memory_cap_bytes=cell.memory_cap_bytes,
        timeout_s=cell.timeout_s,
        budget=cell.budget,
        budgets=cell.budgets,
        counts={"product": cell.budget},
        errors={"ks": 1 / 3},
        wall_s=1e-9,
        reason=planned.skip_reason,
    )


QUICK = PLANS["quick"]


@pytest.mark.parametrize("planned", QUICK, ids=lambda planned: planned.cell.id)
def test_the_row_of_a_cell_of_quick_survives_the_round_trip_through_text(planned):
    record = record_of(planned)
    assert Record.from_row(json.loads(record.to_line())) == record


@pytest.mark.parametrize("planned", QUICK, ids=lambda planned: planned.cell.id)
def test_a_cell_of_quick_survives_the_round_trip_to_a_worker(planned):
    again = built(Cell, json.loads(json.dumps(plain(planned.cell))))
    assert (again, again.id) == (planned.cell, planned.cell.id)


@pytest.mark.parametrize("name", PLANS)
def test_ids_of_a_suite_are_all_different(name):
    ids = [planned.cell.id for planned in PLANS[name]]
    assert len(ids) == len(set(ids)) > 0


def test_quick_skips_nothing_and_covers_every_estimand():
    assert [planned.skip_reason for planned in QUICK if planned.skip_reason] == []
    keys = {parse_estimand(planned.cell.estimand).key for planned in QUICK}
    assert keys == {"top-eigenvalues", "trace", "density", "diagonal"}


def test_quick_repeats_enough_to_be_judged_and_stays_small():
    assert Suite.load("quick").label == "quick-2"
    assert len(QUICK) == 275 <= 300
    repeats = {planned.cell.repeat for planned in QUICK if planned.bound.spec.name != "dense"}
    assert repeats == set(range(5))


def test_every_cell_of_quick_has_an_exact_reference():
    for planned in QUICK:
        problem = CATALOG.problem(planned.cell.problem)
        assert type(parse_estimand(planned.cell.estimand)) in problem.references


def test_the_rows_of_quick_make_one_frame():
    frame = to_frame([record_of(planned) for planned in QUICK])
    assert len(frame) == len(QUICK)
    assert frame["cell"].is_unique
