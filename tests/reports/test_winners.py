"""Who wins under each cost, and where the winner changes."""

import pytest
from planted_ledgers import cell, repeats

from hessbench.ledger.answering import answers_by
from hessbench.reports.winners import winners, winners_frame, winners_sheet
from hessbench.reports.writing.sheets import to_markdown


def won(rows, tolerance=0.05):
    return winners(answers_by(rows, (tolerance,)))


def both(**slow):
    """One that needs few products of much time, one by one, and one that needs many of little, in two blocks."""

    def near(budget, repeat):
        return 0.01

    few, many = {"counts": {"hessian": 20}, "calls": 20}, {"counts": {"hessian": 80}, "calls": 2}
    return [
        *repeats("few", budgets=(20,), wall=1.0, error=near, **few, **slow),
        *repeats("many", budgets=(80,), wall=0.001, error=near, **many),
        *cell("few", budgets=(20,), pass_="memory", host_peak_bytes=9 << 20),
        *cell("many", budgets=(80,), pass_="memory", host_peak_bytes=1 << 20),
    ]


def test_a_winner_that_changes_with_the_cost():
    (row,) = won(both())
    expected = {"products": "few", "gradients": "few", "seconds": "many", "memory": "many", "passes": "many"}
    assert {by: winner.methods for by, winner in row.by_cost.items()} == {by: (it,) for by, it in expected.items()}
    assert row.changes
    assert [by for by in expected if row.differs(by)] == ["seconds", "memory", "passes"]
    assert row.by_cost["passes"].cost.median == 2
    frame = winners_frame([row])
    assert frame.set_index("by")["method"].to_dict() == expected
    assert frame["winner_changes"].all()
    assert "changes" in to_markdown(winners_sheet([row]))


def test_one_winner_under_every_cost_does_not_change():
    (row,) = won([*repeats("good"), *repeats("poor", error=lambda budget, repeat: 2 / budget)])
    assert {winner.methods for winner in row.by_cost.values()} == {("good",)}
    assert not row.changes


def test_equal_medians_win_together_and_change_nothing():
    rows = [*repeats("a", wall=0.01), *repeats("b", wall=0.001)]
    (row,) = won(rows)
    assert set(row.by_cost["products"].methods) == {"a", "b"}
    assert row.by_cost["seconds"].methods == ("b",)
    assert not row.changes
    assert not row.differs("seconds")


def test_seconds_taken_while_other_work_ran_do_not_win():
    (row,) = won(both(contended=True))
    assert row.by_cost["seconds"].methods == ("many",)
    assert row.by_cost["seconds"].left_out == ("few",)
    (busy,) = won([*repeats("a", contended=True), *repeats("b", contended=True)])
    assert "seconds" not in busy.by_cost


def test_a_peak_of_a_smaller_budget_does_not_win():
    rows = [
        *repeats("a"),
        *repeats("b"),
        *cell("a", budgets=(10,), pass_="memory", host_peak_bytes=1),
        *cell("b", pass_="memory", host_peak_bytes=9 << 20),
    ]
    (row,) = won(rows)
    assert (row.by_cost["memory"].methods, row.by_cost["memory"].left_out) == (("b",), ("a",))


def test_host_peaks_that_are_noise_are_equal():
    rows = [
        *repeats("a"),
        *repeats("b"),
        *cell("a", pass_="memory", host_peak_bytes=4096),
        *cell("b", pass_="memory", host_peak_bytes=400_000),
    ]
    (row,) = won(rows)
    assert (set(row.by_cost["memory"].methods), row.by_cost["memory"].cost.median) == ({"a", "b"}, 1 << 19)


def test_what_nobody_reached_has_no_winner():
    assert won(repeats(), tolerance=1e-5) == ()


@pytest.mark.parametrize("name", ["<i>x</i>", "a|b", "=1+1"])
def test_names_are_escaped_in_markdown(name):
    text = to_markdown(winners_sheet(won([*repeats(name), *repeats("b")])))
    assert "<i>" not in text
    assert {line.replace("\\|", "").count("|") for line in text.splitlines() if line} == {9}
