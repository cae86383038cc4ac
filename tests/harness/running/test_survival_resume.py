"""What lies in a folder decides what runs: nothing twice, the stale again, the torn again, and never in silence."""

import os
import re
import signal
from collections import Counter
from pathlib import Path
from typing import ClassVar

import pytest
from rich.console import Console

from hessbench import Ledger, Options, Problem, Status, run
from hessbench.catalog import load_catalog
from hessbench.ledger.merging import merge
from hessbench.ledger.writing import LedgerWriter
from hessbench.operators import FunctionOperator, OperatorInfo
from hessbench.running.cell_locks import try_claim
from hessbench.running.options import retry_statuses
from hessbench.running.plan import Conditions, plan
from hessbench.running.progress import Lines, Silent

OPTIONS = Options(prices=False)


@pytest.fixture
def catalog(hostile):
    return load_catalog((hostile,))


def test_a_second_run_runs_nothing_and_writes_no_row(crossing, catalog, tmp_path, rows_of):
    suite = crossing(methods="good good-shot raises nan greedy")
    first = run(suite, tmp_path, OPTIONS, catalog=catalog)
    rows = rows_of(tmp_path)
    second = run(suite, tmp_path, OPTIONS, catalog=catalog)
    assert (first.ran, first.kept, first.failed) == (first.planned, 0, 4)
    assert first.text == (
        "8 cells planned: 8 run (3 ok, 2 diverged, 2 error, 1 over-budget), 0 kept, 0 stale, 0 skipped"
    )
    assert (second.ran, second.kept, second.failed) == (0, first.planned, 0)
    assert rows_of(tmp_path) == rows


def test_a_changed_plugin_makes_its_cells_stale_said_run_again_and_superseded(crossing, hostile, tmp_path, rows_of):
    plugin = tmp_path / "mine.py"
    plugin.write_text(Path(hostile).read_text())
    suite = crossing(methods="good good-shot hutchinson")
    folder = tmp_path / "run"
    first = run(suite, folder, OPTIONS, catalog=load_catalog((str(plugin),)))
    plugin.write_text(plugin.read_text() + "\n# a second thought\n")
    said = Console(file=(tmp_path / "said").open("w"))
    second = run(suite, folder, OPTIONS, catalog=load_catalog((str(plugin),)), reporter=Lines(said))
    said.file.close()
    assert (second.stale, second.ran, second.kept) == (3, 3, first.planned - 3)
    assert "3 cells are stale" in (tmp_path / "said").read_text()
    ledger = Ledger.read(folder)
    assert ledger.superseded == 3
    hashes = {row.method_hash for row in ledger.terminals.values() if row.method.startswith("good")}
    assert hashes == {load_catalog((str(plugin),)).methods["good"].hash}
    assert len(ledger.terminals) == first.planned == len(rows_of(folder)) - 3
    assert run(suite, folder, OPTIONS, catalog=load_catalog((str(plugin),))).ran == 0


def test_a_change_that_is_taken_back_shows_what_runs_now(crossing, hostile, tmp_path, rows_of):
    plugin, folder = tmp_path / "mine.py", tmp_path / "run"
    suite = crossing(methods="good-shot", budgets="8")
    texts = {"first": Path(hostile).read_text()}
    texts["second"] = texts["first"].replace(
        "    return list(_hutchinson", "    return Estimate(1e6) or list(_hutchinson"
    )
    assert texts["second"] != texts["first"]

    def ran(which):
        plugin.write_text(texts[which])
        summary = run(suite, folder, OPTIONS, catalog=load_catalog((str(plugin),)))
        (row,) = Ledger.read(folder).terminals.values()
        return (summary.ran, summary.kept, summary.stale), row

    one, good = ran("first")
    two, bad = ran("second")
    three, again = ran("first")
    assert (one, two, three) == ((1, 0, 0), (1, 0, 1), (0, 1, 0))
    assert bad.error > 10 * good.error
    assert (again.error, again.method_hash, again.attempt) == (good.error, good.method_hash, 3)
    assert ran("first")[1] == again
    assert len(rows_of(folder)) == 3


def test_a_row_dated_in_the_future_does_not_stand_for_ever(crossing, hostile, tmp_path):
    plugin, folder = tmp_path / "mine.py", tmp_path / "run"
    suite = crossing(methods="good-shot", budgets="8")
    plugin.write_text(Path(hostile).read_text())
    run(suite, folder, OPTIONS, catalog=load_catalog((str(plugin),)))
    (file,) = (folder / "ledger").iterdir()
    file.write_text(re.sub(r'"time":"20', '"time":"21', file.read_text()))
    plugin.write_text(plugin.read_text() + "\n# changed\n")
    catalog = load_catalog((str(plugin),))
    run(suite, folder, OPTIONS, catalog=catalog)
    (row,) = Ledger.read(folder).terminals.values()
    assert row.method_hash == catalog.methods["good-shot"].hash


def test_a_cell_that_got_another_engine_than_those_before_it_says_so(crossing, tmp_path):
    def build(device, dtype):
        mark = tmp_path / "second"
        name = "kept-graph" if mark.exists() else "rules"
        mark.touch()
        return FunctionOperator(lambda block: block.clone(), 8, dtype, device, OperatorInfo(engine=f"{name} (auto)"))

    catalog = load_catalog()
    catalog.add(problems=[Problem("fickle", 8, build, fingerprint=lambda: "same")], source="here")
    run(crossing("fickle", "hutchinson", "4", repeats=3), tmp_path / "run", OPTIONS, catalog=catalog)
    notes = sorted(row.notes.get("engine", "") for row in Ledger.read(tmp_path / "run").terminals.values())
    assert notes[0] == ""
    assert "kept-graph was chosen here and rules before" in notes[-1]


def test_retry_runs_the_named_statuses_and_no_other(crossing, catalog, tmp_path, rows_of, monkeypatch):
    monkeypatch.setenv("HOSTILE_FLAG", str(tmp_path / "cell"))
    suite = crossing(methods="good raises hangs-once", budgets="4")
    options = Options(conditions=Conditions(timeout_s=2.0), prices=False)
    assert run(suite, tmp_path, options, catalog=catalog).failed == 2
    again = Options(conditions=options.conditions, prices=False, retry=retry_statuses(["timeout"]))
    summary = run(suite, tmp_path, again, catalog=catalog)
    assert (summary.ran, summary.kept, summary.failed, summary.stale) == (1, 2, 0, 0)
    assert Counter(row["status"] for row in rows_of(tmp_path)) == {"ok": 2, "error": 1, "timeout": 1}
    ended = {row.method: row.status for row in Ledger.read(tmp_path).terminals.values()}
    assert ended == {"good": Status.OK, "raises": Status.ERROR, "hangs-once": Status.OK}
    assert run(suite, tmp_path, again, catalog=catalog).ran == 0


def test_a_ledger_of_another_schema_is_refused_and_left_as_it_is(crossing, catalog, tmp_path):
    run(crossing(budgets="4"), tmp_path, OPTIONS, catalog=catalog)
    file = next((tmp_path / "ledger").iterdir())
    file.write_text(re.sub(r'"schema":1', '"schema":2', file.read_text()))
    kept = file.read_bytes()
    with pytest.raises(ValueError, match="schema 2; this version reads schema 1"):
        run(crossing(budgets="4"), tmp_path, OPTIONS, catalog=catalog)
    assert [path.read_bytes() for path in (tmp_path / "ledger").iterdir()] == [kept]


@pytest.mark.parametrize("kept_bytes", [1, 40, -1], ids=["first byte", "inside", "all but the last byte"])
def test_a_torn_last_line_costs_only_itself(kept_bytes, crossing, catalog, tmp_path, rows_of):
    suite = crossing(methods="good-shot", budgets="4", repeats=3)
    run(suite, tmp_path, OPTIONS, catalog=catalog)
    file = next((tmp_path / "ledger").iterdir())
    whole = file.read_bytes()
    last = whole.rindex(b"\n") + 1
    file.write_bytes(whole[: last + kept_bytes] if kept_bytes > 0 else whole[:kept_bytes])
    assert Ledger.read(tmp_path).torn == 1
    summary = run(suite, tmp_path, OPTIONS, catalog=catalog)
    assert (summary.ran, summary.kept) == (1, 2)
    ledger = Ledger.read(tmp_path)
    assert (len(ledger.terminals), ledger.torn, ledger.superseded) == (3, 1, 0)


def test_damage_in_the_middle_of_a_file_costs_only_the_lines_it_hits(crossing, catalog, tmp_path):
    suite = crossing(methods="good-shot", budgets="4", repeats=3)
    run(suite, tmp_path, OPTIONS, catalog=catalog)
    file = next((tmp_path / "ledger").iterdir())
    lines = file.read_bytes().split(b"\n")
    lines[3] = b"\x00\xff" + lines[3][7:]
    file.write_bytes(b"\n".join(lines))
    assert run(suite, tmp_path, OPTIONS, catalog=catalog).ran <= 1
    assert len(Ledger.read(tmp_path).terminals) == 3


def test_lines_that_a_method_writes_into_the_ledger_stop_no_run(crossing, hostile, catalog, tmp_path, monkeypatch):
    monkeypatch.setenv("HOSTILE_FOLDER", str(tmp_path))
    suite = crossing(methods="writes-into-the-ledger good", budgets="4")
    options = Options(plugins=(hostile,), prices=False)
    assert run(suite, tmp_path, options).ran == 2
    # The row that the first line was written behind, on its line, is lost with it.
    summary = run(suite, tmp_path, options, catalog=catalog)
    assert (summary.ran <= 1, summary.ran + summary.kept) == (True, 2)
    ledger = Ledger.read(tmp_path)
    assert sorted(row.status for row in ledger.terminals.values()) == [Status.OK] * 2
    assert len(ledger.damaged) >= 4


def test_a_run_that_waits_for_a_stopped_one_says_so_and_goes_on_with_it(crossing, catalog, tmp_path, main_process):
    suite = crossing(methods="good", budgets="4", repeats=2)
    first = plan(suite, catalog)[0].cell

    class Listens(Silent):
        said: ClassVar[list[str]] = []

        def phase(self, text):
            self.said.append(text)
            if "is stopped" in text:
                os.kill(main.pid, signal.SIGCONT)

    def holds():
        claim = try_claim(tmp_path, first.id)
        os.kill(os.getpid(), signal.SIGSTOP)
        claim.release()

    main = main_process(holds)
    os.waitid(os.P_PID, main.pid, os.WSTOPPED)
    assert run(suite, tmp_path, OPTIONS, catalog=catalog, reporter=Listens()).ran == 2
    assert main.wait() == 0
    (waits,) = [text for text in Listens.said if "is stopped" in text]
    assert waits.startswith(f"waiting for 1 cell that another process has claimed; {main.pid} is stopped: let it go on")


def test_two_processes_on_one_folder_run_every_cell_once(
    crossing, hostile, catalog, tmp_path, rows_of, main_process, monkeypatch
):
    log = tmp_path / "log"
    log.touch()
    monkeypatch.setenv("HOSTILE_LOG", str(log))
    suite = crossing("tiny tiny-too", "logs good-shot", "4 8", repeats=4)
    folder = tmp_path / "run"
    mains = [main_process(lambda: run(suite, folder, OPTIONS, catalog=catalog).ran) for _ in range(2)]
    assert [main.wait() for main in mains] == [0, 0]
    cells = [row["cell"] for row in rows_of(folder)]
    planned = len(plan(suite, catalog))
    assert len(cells) == len(set(cells)) == planned == sum(main.answer for main in mains)
    assert len(log.read_text().splitlines()) == sum("logs" in row["method"] for row in rows_of(folder))
    assert list((folder / "claims").iterdir()) == []


def test_shards_merged_are_the_whole_plan(crossing, catalog, tmp_path, rows_of):
    suite = crossing("tiny tiny-too", "good good-shot raises", repeats=3)
    whole = {planned.cell.id for planned in plan(suite, catalog)}
    parts = [tmp_path / f"part{index}" for index in (1, 2, 3)]
    for index, part in enumerate(parts, 1):
        run(suite, part, Options(shard=(index, 3), prices=False), catalog=catalog)
    held = [{row["cell"] for row in rows_of(part)} for part in parts]
    assert sum(map(len, held)) == len(whole)
    merge(parts, tmp_path / "whole")
    assert set(Ledger.read(tmp_path / "whole").terminals) == whole
    assert run(suite, tmp_path / "whole", OPTIONS, catalog=catalog).ran == 0


def test_two_jobs_at_once_run_the_plan_and_mark_every_row_contended(crossing, catalog, tmp_path, rows_of):
    suite = crossing("tiny", "sleeper good-shot", "4 8", repeats=4)
    summary = run(suite, tmp_path, Options(jobs=2, prices=False), catalog=catalog)
    rows = rows_of(tmp_path)
    assert summary.ran == summary.planned == len({row["cell"] for row in rows}) == len(rows)
    assert all(row["contended"] for row in rows)
    assert {row["status"] for row in rows} == {"ok"}


def test_threads_above_one_are_refused_where_cells_are_forked_from_the_caller(crossing, catalog, tmp_path):
    with pytest.raises(ValueError, match="threads must be 1"):
        run(crossing(), tmp_path, Options(conditions=Conditions(threads=2), prices=False), catalog=catalog)


@pytest.mark.slow
def test_a_price_that_another_run_has_measured_meanwhile_is_not_measured_again(crossing, tmp_path, rows_of):
    suite = crossing("wigner[n=60] spiked-wishart[n=60]", "hutchinson", "4")
    run(suite, tmp_path / "one", Options())
    measured, written = rows_of(tmp_path / "one", "price"), []

    class Beside(Silent):
        def phase(self, text: str) -> None:
            if text.startswith("price of a product of") and not written:
                written.append(text)
                writer = LedgerWriter(tmp_path / "two")
                for price in measured:
                    if price["problem"] not in text:
                        writer.append_price({k: v for k, v in price.items() if k not in ("schema", "kind")})
                writer.close()

    run(suite, tmp_path / "two", Options(), reporter=Beside())
    prices = Counter((row["problem"], row["dim"]) for row in rows_of(tmp_path / "two", "price"))
    assert prices == Counter((row["problem"], row["dim"]) for row in measured)
    assert len({problem for problem, _ in prices}) == 2
