"""What a tolerance cost in every repeat: the rule of an answer, one repeat at a time."""

import dataclasses

from planted_ledgers import cell, repeats, shots

from hessbench.ledger.answering import State, attainments
from hessbench.ledger.record import Status


def found(rows, tolerance=0.05):
    (asked,) = attainments(rows, (tolerance,))
    return {(it.method, it.repeat): it for it in asked.attainments}


def test_each_repeat_is_reached_at_its_own_budget():
    known = found(repeats(error=lambda budget, repeat: (1 + repeat) / budget))
    assert {repeat: (it.state, it.budget) for (_, repeat), it in known.items()} == {
        0: (State.REACHED, 20),
        1: (State.REACHED, 40),
        2: (State.NOT_REACHED, 40),
    }
    assert known["lanczos", 0].costs["products"] == 20
    assert known["lanczos", 0].costs["seconds"] == 0.05 + 20 * 0.001
    assert known["lanczos", 2].costs == {}


def test_one_that_leaves_the_tolerance_again_has_not_reached_it_before():
    known = found(shots("hutchinson", error=lambda budget, repeat: 0.2 if budget == 20 else 0.01))
    assert [it.budget for it in known.values()] == [40, 40, 40]


def test_a_repeat_that_failed_is_censored_and_the_others_stand():
    rows = [*repeats("lanczos", number=2), *cell("lanczos", repeat=2, status=Status.TIMEOUT)]
    known = found(rows)
    assert [it.state for it in known.values()] == [State.REACHED, State.REACHED, State.FAILED]


def test_seconds_that_do_not_compare_are_no_cost_and_memory_is_that_of_the_one_pass():
    rows = [
        *repeats("lanczos", number=2),
        *cell("lanczos", repeat=2, contended=True),
        *repeats("kpm", 2, engine="functional"),
        *cell("lanczos", pass_="memory", host_peak_bytes=4 << 20),
        *cell("kpm", pass_="memory", budgets=(10,), host_peak_bytes=1),
    ]
    known = found(rows)
    assert "seconds" in known["lanczos", 0].costs
    assert "seconds" not in known["lanczos", 2].costs
    assert "seconds" not in known["kpm", 0].costs
    assert [known["lanczos", repeat].costs["memory"] for repeat in range(3)] == [4 << 20] * 3
    assert "memory" not in known["kpm", 0].costs  # taken at a smaller budget than the tolerance needs


def test_versions_of_a_method_are_never_one():
    later = [dataclasses.replace(row, library_version="hessbench 0.2.0", cell=f"{row.cell}-2") for row in repeats()]
    names = {it.method for it in attainments([*repeats(), *later], (0.05,))[0].attainments}
    assert names == {"lanczos hessbench 0.1.0", "lanczos hessbench 0.2.0"}
