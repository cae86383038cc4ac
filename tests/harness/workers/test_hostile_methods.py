"""Whatever a method does to itself, its process or the harness: its row says so, and no other row is touched."""

import re
from dataclasses import dataclass
from pathlib import Path

import pytest

from hessbench import Ledger, Options, Record, run
from hessbench.running.plan import Conditions

# Well-framed messages that do not fit, or cannot be true.
FORGED = (
    "forges-end", "forges-checkpoint", "forges-status", "forges-notes", "forges-depth", "forges-time",
    "forges-spending", "forges-kind",
)  # fmt: skip
GOOD = ("good", "good-shot", "sleeper")

ENDS = {
    # method: status, what the reason says
    "raises": ("error", r"RuntimeError: nothing works in place\.py"),
    "raises-unspeakable": ("crash", "not even my name"),
    "raises-base": ("crash", "exit code 1 .*not an Exception"),
    "interrupts": ("crash", "exit code 1 .*KeyboardInterrupt"),
    "loops": ("timeout", "stopped after the time limit of 4 s"),
    "stops-itself": ("timeout", "stopped after the time limit of 4 s"),
    "clings": ("timeout", "stopped after the time limit of 4 s"),
    "exits-at-once": ("crash", "exit code 0 before handing in its result"),
    "exits": ("crash", "exit code 0 before handing in its result"),
    "exits-with-a-word": ("crash", "exit code 1 .*enough of this"),
    "exits-hugely": ("crash", "exit code .* before handing in its result"),
    "segfaults": ("crash", "SIGSEGV"),
    "signals-itself": ("crash", r"killed by signal \d+"),
    "hoards": ("oom-host", "memory cap of 300 MiB, holding 3"),
    "gulps": ("oom-host", "memory cap of 300 MiB, holding"),
    "hoards-in-orphans": ("oom-host", "memory cap of 300 MiB, holding"),
    "asks-too-much-memory": ("oom-host", "MemoryError"),
    "asks-too-much-tensor": ("oom-host", "allocate memory"),
    "forks-sharing": ("ok", "^$"),
    "orphans": ("ok", "left 1 process behind, killed"),
    "daemonises": ("ok", "left 1 process behind, killed"),
    "leaves-zombies": ("ok", "^$"),
    "prints": ("ok", "^$"),
    "prints-and-dies": ("crash", "SIGABRT; its last line: the very last word"),
    "lingers": ("ok", "^$"),
    "leaves-in-spite": ("ok", "^$"),
    "closes-standard-files": ("ok", "^$"),
    "closes-everything": ("crash", "exit code 1 before handing in its result"),
    "scribbles": ("crash", "something else than its result"),
    **dict.fromkeys(FORGED, ("crash", "something else than its result")),
    "forges-well": ("crash", "handed in no estimate"),
    "says-much": ("ok", "^$"),
    "truncates": ("ok", "^$"),
    "moves": ("ok", "^$"),
    "patricide": ("crash", "server was killed"),
    "nan": ("diverged", "not finite"),
    "diverges": ("diverged", "the estimate is not finite"),
    "wrong-type": ("error", "TypeError: a method returns or yields Estimate, got float"),
    "yields-wrong-type": ("error", "got str"),
    "wrong-shape": ("error", r"a trace is one number, got shape \(32, 3\)"),
    "wrong-value": ("error", "got dict"),
    "empty": ("error", "ended without an estimate"),
    "mutates": ("error", "the method altered its input"),
    "greedy": ("over-budget", "2 more products asked for with 7 of 8 spent"),
    "greedy-at-once": ("over-budget", "9 more products asked for with 0 of 8 spent"),
    "bad-widths": ("error", "TypeError"),
    "bad-footprint": ("ok", "^$"),
    "says-tensors": ("ok", "^$"),
}


@dataclass(frozen=True)
class Ran:
    """A run and what it left in its folder."""

    ledger: Ledger
    folder: Path

    def row(self, method: str) -> Record:
        """The terminal row of a method at the largest budget."""
        return next(row for row in self.ledger.terminals.values() if row.method == method and row.budget == 8)


@pytest.fixture(scope="module")
def ran(hostile, crossing, marked, tmp_path_factory) -> Ran:
    """All of them, good and bad, in one run."""
    folder = tmp_path_factory.mktemp("hostile")
    options = Options((hostile,), Conditions(timeout_s=4.0, memory_cap_bytes=300 << 20), prices=False)
    run(crossing(methods=" ".join((*GOOD, *ENDS, "comet")), budgets="8", repeats=1), folder, options)
    marked.assert_gone()
    return Ran(Ledger.read(folder), folder)


@pytest.mark.parametrize("method", ENDS)
def test_row_says_how_the_method_ended(ran, method):
    status, says = ENDS[method]
    row = ran.row(method)
    assert row.status == status, row.reason
    assert re.search(says, row.reason), row.reason


def test_every_cell_has_exactly_one_terminal_row(ran, rows_of):
    cells = [row["cell"] for row in rows_of(ran.folder)]
    assert len(cells) == len(set(cells)) == len(GOOD) + len(ENDS) + 1


def test_good_methods_beside_hostile_ones_get_the_rows_they_get_alone(ran, hostile, crossing, marked, tmp_path):
    options = Options((hostile,), Conditions(timeout_s=4.0, memory_cap_bytes=300 << 20), prices=False)
    run(crossing(methods=" ".join(GOOD), budgets="8"), tmp_path, options)
    alone = Ran(Ledger.read(tmp_path), tmp_path)
    for method in GOOD:
        for name in ("cell", "status", "matvecs", "calls", "counts", "samples", "error", "errors", "seed", "reason"):
            assert getattr(ran.row(method), name) == getattr(alone.row(method), name)


def test_what_was_spent_before_a_kill_is_in_the_row(ran):
    assert ran.row("loops").matvecs == 1
    assert ran.row("closes-everything").matvecs == 8


def test_what_was_yielded_stands_when_the_budget_runs_out(ran):
    row = ran.row("greedy")
    assert row.matvecs == 7
    assert row.error is not None
    assert [r.status for r in ran.ledger.records if r.cell == row.cell] == ["ok", "over-budget"]


def test_an_estimate_handed_in_before_a_hang_is_kept(ran):
    assert ran.row("clings").error is not None
    assert ran.row("lingers").error is not None


def test_processes_left_behind_are_counted_in_the_notes(ran):
    assert "left 1 process behind" in ran.row("daemonises").notes["processes"]
    assert "left" in ran.row("comet").notes["processes"]
    assert "processes" not in ran.row("good").notes


def test_no_row_holds_an_absolute_path_or_a_control_character(ran, hostile):
    text = "".join(file.read_text() for file in (ran.folder / "ledger").iterdir())
    assert str(Path(hostile).parent) not in text
    assert "/home/someone" not in text
    assert "\\u0000" not in text


def test_numbers_a_method_says_as_tensors_become_numbers(ran):
    row = ran.row("says-tensors")
    assert (row.said_stderr, row.said_converged, row.said_matvecs) == (0.5, True, 7)
    assert row.diagnostics["nan"] is None


def test_a_footprint_that_raises_costs_only_itself(ran):
    row = ran.row("bad-footprint")
    assert (row.own_vectors, row.own_passes) == (None, None)
    assert row.error is not None


def test_overhead_per_cell_is_far_below_the_tenths_of_a_second_a_spawn_would_cost(ran):
    overheads = sorted(row.overhead_s for row in ran.ledger.terminals.values() if row.overhead_s is not None)
    assert overheads[len(overheads) // 2] < 0.3


def test_what_a_method_says_of_itself_is_bounded_and_is_a_number_where_one_belongs(ran):
    row = ran.row("says-much")
    assert row.said_matvecs is None
    assert row.diagnostics["matvecs"] == "about 12"
    assert len(row.to_line()) < 100_000
