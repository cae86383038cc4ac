"""Cell ids: frozen, made of the canonical description alone."""

import dataclasses
import json
from pathlib import Path

import pytest

from hessbench.cells.cell import MEMORY, Cell
from hessbench.ledger.identity import cell_id, id_now
from hessbench.ledger.record import Kind, Record, Status
from hessbench.ledger.typed_fields import built, plain
from hessbench.seeding import cell_seed

GOLDEN = json.loads((Path(__file__).with_name("cells.json")).read_text())
BASE = Cell("student-t[zero_fraction=0.9]", "lanczos", "trace", (20, 40))
CHANGES = {
    "problem": "student-t",
    "method": "slq",
    "estimand": "density",
    "budgets": (20, 41),
    "repeat": 1,
    "pass_": MEMORY,
    "device": "cuda",
    "dtype": "float64",
    "threads": 2,
    "memory_cap_bytes": 1,
    "timeout_s": 1.0,
}


@pytest.mark.parametrize("row", GOLDEN, ids=lambda row: row["id"])
def test_ids_and_seeds_are_frozen_under_schema_1(row):
    cell = built(Cell, row["cell"])
    assert (cell.id, cell.seed) == (row["id"], row["seed"])


@pytest.mark.parametrize("row", GOLDEN, ids=lambda row: row["id"])
def test_an_id_of_before_with_limits_in_it_is_that_of_its_cell_now(row):
    cell = built(Cell, row["cell"])
    described = {field.name: getattr(cell, field.name) for field in dataclasses.fields(Cell)}
    before = row.get("former", row["id"])
    assert cell_id(**described) == before
    written = Record(Kind.TERMINAL, before, status=Status.OK, **described)
    assert id_now(written) == id_now(dataclasses.replace(written, cell=row["id"])) == row["id"]


def test_every_field_of_a_cell_is_in_the_golden_file():
    assert set(GOLDEN[0]["cell"]) == {field.name for field in dataclasses.fields(Cell)}


@pytest.mark.parametrize("row", GOLDEN, ids=lambda row: row["id"])
def test_a_cell_survives_the_round_trip_through_text(row):
    cell = built(Cell, row["cell"])
    again = built(Cell, json.loads(json.dumps(plain(cell))))
    assert again == cell
    assert again.id == cell.id


def test_every_field_changes_the_id_but_the_limits():
    assert set(CHANGES) == {field.name for field in dataclasses.fields(Cell)}
    ids = {name: dataclasses.replace(BASE, **{name: value}).id for name, value in CHANGES.items()}
    assert {name for name, changed in ids.items() if changed == BASE.id} == {"memory_cap_bytes", "timeout_s"}
    assert len(set(ids.values())) == len(CHANGES) - 1


def test_the_seed_leaves_the_method_and_the_conditions_out():
    seeds = {name: dataclasses.replace(BASE, **{name: value}).seed for name, value in CHANGES.items()}
    assert {name for name, seed in seeds.items() if seed != BASE.seed} == {"problem", "estimand", "repeat"}
    assert BASE.seed == cell_seed(BASE.problem, BASE.estimand, 0)


def test_a_row_that_does_not_describe_its_cell_keeps_the_id_it_has():
    row = Record(Kind.TERMINAL, "of no cell", BASE.problem, BASE.method, BASE.estimand, Status.OK, timeout_s=60.0)
    assert id_now(row) == "of no cell"


def test_the_budget_of_a_cell_is_its_largest():
    assert BASE.budget == 40
