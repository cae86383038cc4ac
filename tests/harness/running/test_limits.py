"""Limits are no part of a cell: what is ok stands under any, and what a limit ended runs again when it is raised."""

import dataclasses
import json
import shutil

import numpy as np
import pytest

from hessbench import Ledger, Options, Problem, Status, run
from hessbench.catalog import load_catalog
from hessbench.ledger.identity import cell_id
from hessbench.ledger.merging import merge
from hessbench.ledger.reading import LedgerTail
from hessbench.ledger.record import Kind, Record
from hessbench.ledger.scoring import rescore
from hessbench.running.plan import Conditions, plan
from hessbench.running.replay import cell_of, find_cell, replay
from hessbench.running.run_folder import has_more_room, is_raised

DESCRIBED = ("problem", "method", "estimand", "budgets", "repeat", "device", "dtype", "threads")


@pytest.fixture
def catalog(hostile):
    return load_catalog((hostile,))


def limited(timeout_s=None, memory=None, **options):
    return Options(conditions=Conditions(timeout_s=timeout_s, memory_cap_bytes=memory), prices=False, **options)


def as_before(folder, **limits):
    """Rewrite a ledger as if it was written under limits that were part of a cell's id; the ids it then has."""
    ids = {}
    for file in (folder / "ledger").iterdir():
        rows = [json.loads(line) for line in file.read_text().splitlines() if line.strip()]
        for row in rows:
            if row["kind"] == "terminal":
                ids[row["cell"]] = cell_id(**{name: row[name] for name in DESCRIBED}, pass_=row["pass"], **limits)
        for row in rows:
            if row["kind"] in ("terminal", "checkpoint"):
                row |= {"cell": ids[row["cell"]], **limits}
        file.write_text("".join(f"\n{json.dumps(row)}" for row in rows))
    return ids


@pytest.mark.parametrize(("before", "now", "raised"), [
    ([60.0], 60.0, False), ([60.0], 30.0, False), ([60.0], 61.0, True), ([60.0], None, True), ([None], None, False),
    ([None], 60.0, False), ([60.0, 10.0], 30.0, False), ([60.0, 10.0], 90.0, True), ([60.0, None], 90.0, False),
])  # fmt: skip
def test_a_limit_is_raised_where_it_is_above_all_that_were_met(before, now, raised):
    assert is_raised(before, now) is raised


def test_no_other_status_has_to_do_with_a_limit(crossing, catalog):
    cell = plan(crossing(budgets="4"), catalog)[0].cell
    for status in set(Status) - {Status.TIMEOUT, Status.OOM_HOST}:
        row = dataclasses.replace(_row(cell, status), timeout_s=1.0, memory_cap_bytes=1)
        assert not has_more_room(cell, [row])


def _row(cell, status):
    return Record(Kind.TERMINAL, cell.id, cell.problem, cell.method, cell.estimand, status)


def test_under_other_limits_nothing_that_is_ok_runs_again(crossing, catalog, tmp_path, rows_of):
    suite = crossing(methods="good good-shot raises", budgets="4 8")
    first = run(suite, tmp_path, limited(60.0), catalog=catalog)
    rows = rows_of(tmp_path)
    for options in (limited(), limited(30.0), limited(90.0, 2**40)):
        again = run(suite, tmp_path, options, catalog=catalog)
        assert (again.ran, again.kept, again.stale) == (0, first.planned, 0)
    assert rows_of(tmp_path) == rows


def test_what_a_limit_ended_runs_again_when_it_is_raised_and_only_then(crossing, catalog, tmp_path, monkeypatch):
    monkeypatch.setenv("HOSTILE_FLAG", str(tmp_path / "cell"))
    suite = crossing(methods="good raises hangs-once", budgets="4")
    assert run(suite, tmp_path, limited(2.0), catalog=catalog).failed == 2
    for same_or_lower in (2.0, 1.0):
        assert run(suite, tmp_path, limited(same_or_lower), catalog=catalog).ran == 0
    summary = run(suite, tmp_path, limited(30.0), catalog=catalog)
    assert (summary.ran, summary.kept, summary.failed, summary.stale) == (1, 2, 0, 0)
    assert {row.status for row in Ledger.read(tmp_path).terminals.values()} == {Status.OK, Status.ERROR}
    assert run(suite, tmp_path, limited(), catalog=catalog).ran == 0


def test_a_ledger_of_before_is_resumed_with_its_limits_and_without(crossing, catalog, tmp_path):
    suite = crossing(methods="good good-shot raises", budgets="4 8")
    planned = run(suite, tmp_path, limited(), catalog=catalog).planned
    errors = {cell: row.error for cell, row in Ledger.read(tmp_path).terminals.items()}
    ids = as_before(tmp_path, timeout_s=60.0)
    assert not set(ids.values()) & set(ids)
    ledger = Ledger.read(tmp_path)
    assert {cell: row.error for cell, row in ledger.terminals.items()} == errors
    assert {now: before for before, now in ledger.former.items()} == ids
    assert {row.cell for row in ledger.records} == set(errors)
    for options in (limited(60.0), limited()):
        again = run(suite, tmp_path, options, catalog=catalog)
        assert (again.ran, again.kept, again.stale) == (0, planned, 0)


def test_two_cells_of_before_that_differ_in_limits_alone_are_one_and_the_ok_one_stands(crossing, catalog, tmp_path):
    suite = crossing(methods="good", budgets="4")
    one, two = tmp_path / "one", tmp_path / "two"
    run(suite, one, limited(), catalog=catalog)
    shutil.copytree(one, two)
    first = as_before(one, timeout_s=60.0)
    second = as_before(two, timeout_s=1.0)
    for file in (two / "ledger").iterdir():
        file.write_text(file.read_text().replace('"status": "ok"', '"status": "timeout"'))
        file.rename(file.with_name("two.jsonl"))
    assert merge([one, two], tmp_path / "both") == 2
    both = Ledger.read(tmp_path / "both")
    (row,) = both.terminals.values()
    assert (row.status, row.timeout_s, both.superseded) == (Status.OK, 60.0, 1)
    for ids in (first, second):
        (before,) = ids.values()
        assert find_cell(both, before[:8]) == find_cell(both, row.cell[:8]) == row


def test_a_ledger_of_before_and_one_of_now_merge(crossing, catalog, tmp_path):
    suite = crossing(methods="good good-shot", budgets="4 8")
    old, new = tmp_path / "old", tmp_path / "new"
    planned = run(suite, old, limited(), catalog=catalog).planned
    as_before(old, timeout_s=60.0, memory_cap_bytes=2**34)
    run(suite, new, limited(90.0), catalog=catalog)
    merge([old, new], tmp_path / "both")
    both = Ledger.read(tmp_path / "both")
    assert (len(both.terminals), both.superseded) == (planned, planned)
    assert {row.timeout_s for row in both.terminals.values()} == {90.0}


def test_a_cell_of_before_is_scored_and_replayed_by_either_id(tmp_path, crossing):
    suite = crossing("spectrum[n=30,name=step]", "hutchinson", "4 8")
    run(suite, tmp_path, limited(), catalog=load_catalog())
    ids = as_before(tmp_path, timeout_s=60.0)
    assert rescore(tmp_path)[0] > 0
    (now, before), *_ = ids.items()
    ledger = Ledger.read(tmp_path)
    row = find_cell(ledger, before)
    assert row == find_cell(ledger, now)
    assert cell_of(row).timeout_s == 60.0
    after = replay(tmp_path, cell_of(row), load_catalog(), (), tmp_path / "replayed")[-1]
    assert (after.cell, after.error, after.matvecs) == (now, row.error, row.matvecs)
    tail = LedgerTail(tmp_path)
    tail.refresh()
    assert all((tmp_path / kept.arrays).is_file() for kept in tail.attempts(now)[0].checkpoints)


def test_a_cell_is_in_the_same_shard_whatever_its_limits(crossing, catalog):
    suite = crossing(methods="good good-shot", budgets="4 8")
    ids = [{planned.cell.id for planned in plan(suite, catalog, Conditions(timeout_s=limit))} for limit in (None, 9.0)]
    assert ids[0] == ids[1]


def test_a_problem_of_the_caller_is_resumed_under_another_limit(crossing, tmp_path):
    catalog = load_catalog()
    catalog.add(problems=[Problem.of("own", np.eye(8))], source="here")
    suite = crossing("own", "hutchinson", "4")
    assert run(suite, tmp_path, limited(5.0), catalog=catalog).ran == 1
    assert run(suite, tmp_path, limited(), catalog=catalog).ran == 0
