"""Ledgers: reading, tails, torn lines, which attempt stands, frames, merging and arrays."""

import dataclasses
import json

import numpy as np
import pytest

from hessbench.ledger.attempts import Attempt, best_attempt
from hessbench.ledger.frame import to_frame
from hessbench.ledger.kept_arrays import ARRAY_LIMIT, load_arrays
from hessbench.ledger.merging import merge
from hessbench.ledger.reading import Ledger, LedgerTail
from hessbench.ledger.record import COLUMNS, Kind, Record, Status
from hessbench.ledger.writing import LedgerWriter, now

# The names the design publishes; scripts use them.
PUBLISHED = {
    "schema", "kind", "cell", "suite", "problem", "problem_hash", "dim", "traits", "method", "method_hash",
    "library_version", "estimand", "repeat", "pass", "device", "dtype", "threads", "contended", "budget", "checkpoint",
    "matvecs", "calls", "gradient_equivalents", "samples", "flops", "wall_s", "operator_s", "build_s", "warmup_s",
    "overhead_s", "host_peak_bytes", "device_peak_bytes", "engine", "error", "reference_source", "reference_bound",
    "said_stderr", "said_converged", "said_matvecs", "status", "reason", "environment", "time",
}  # fmt: skip
BASE = Record(Kind.TERMINAL, "c0", "student-t", "lanczos", "trace", Status.OK)
PRICE = {
    "problem": "student-t", "measured_problem": "student-t[n=100]", "kind_of_product": "product", "dim": 100,
    "seconds": 0.5, "predicted_seconds": None, "bandwidth": 1e10, "device": "cpu", "dtype": "float32", "threads": 1,
}  # fmt: skip
replace = dataclasses.replace


def terminal(time="2024-01-01", **changes):
    return replace(BASE, time=time, **changes)


def checkpoint(budget=20, **changes):
    return replace(BASE, kind=Kind.CHECKPOINT, budget=budget, **changes)


def write(folder, *records):
    writer = LedgerWriter(folder)
    for record in records:
        writer.append(record)
    writer.close()
    return writer.path


def test_what_was_written_is_read_back_from_the_run_or_its_ledger_folder(tmp_path):
    rows = (checkpoint(20), checkpoint(40), terminal())
    write(tmp_path, *rows)
    assert Ledger.read(tmp_path).records == rows
    assert Ledger.read(str(tmp_path / "ledger")).records == rows
    assert Ledger.read(tmp_path).terminals == {"c0": rows[-1]}


def test_environments_and_prices_are_kept_beside_the_rows(tmp_path):
    writer = LedgerWriter(tmp_path)
    writer.append_environment("e1", {"cpu": "model", "load": float("nan")})
    writer.append_price(PRICE)
    writer.append(terminal(environment="e1"))
    writer.close()
    ledger = Ledger.read(tmp_path)
    assert ledger.environments == {"e1": {"cpu": "model", "load": None}}
    assert [price["dim"] for price in ledger.prices] == [100]
    assert len(ledger.records) == 1


@pytest.mark.parametrize("make", [lambda p: p / "missing", lambda p: p])
def test_a_folder_without_a_ledger_is_refused_without_its_path(tmp_path, make):
    with pytest.raises(ValueError, match="holds no ledger") as caught:
        Ledger.read(make(tmp_path))
    assert str(tmp_path) not in str(caught.value)


@pytest.mark.parametrize("row", ['{"schema":2,"kind":"terminal"}', '{"kind":"terminal"}', "[1]", "3"])
def test_a_file_of_another_schema_is_refused_and_a_row_of_one_among_others_costs_only_itself(tmp_path, row):
    path = write(tmp_path, terminal())
    ours = path.read_text()
    for text in (f"{row}\n{ours}", f"{ours}\n{row}"):
        path.write_text(text)
        ledger = Ledger.read(tmp_path)
        assert (len(ledger.terminals), len(ledger.damaged)) == (1, 1)
    path.write_text(row)
    with pytest.raises(ValueError, match="schema"):
        Ledger.read(tmp_path)


DAMAGED = {
    "cell": [], "time": 5, "counts": None, "wall_s": "x", "matvecs": 1.5, "said_matvecs": "about 12", "calls": True,
    "status": "fine", "kind": "row", "budgets": [1, "n"], "traits": "psd", "errors": {"ks": "low"}, "notes": {"a": 1},
    "samples": 2**63, "flops": 10**30, "attempt": None,
}  # fmt: skip


def test_a_row_whose_values_do_not_fit_costs_only_itself_and_is_named(tmp_path):
    rows = [json.dumps(json.loads(terminal(cell="bad").to_line()) | {name: value}) for name, value in DAMAGED.items()]
    rows.append('{"schema":1,"kind":"environment","environment":"e1"}')
    rows.append(json.dumps({"schema": 1, "kind": "price", **PRICE, "dim": "wide"}))
    rows.append("[" * 200_000)
    rows.append('{"schema":1,"kind":"terminal","cell":"lonely"}')
    path = write(tmp_path, terminal(), checkpoint(cell="c1"), terminal(cell="c1"))
    path.write_text("\n".join([path.read_text(), *rows, terminal(cell="c2").to_line()]))
    ledger = Ledger.read(tmp_path)
    assert set(ledger.terminals) == {"c0", "c1", "c2"}
    assert (ledger.torn, len(ledger.damaged)) == (len(rows), len(rows))
    for number, (name, said) in enumerate(zip(DAMAGED, ledger.damaged, strict=False)):
        assert f"{path.name}, line {5 + number}: " in said
        assert name in said


def test_a_row_of_a_later_version_is_refused_with_its_place(tmp_path):
    path = write(tmp_path, terminal())
    ours, later = path.read_text(), json.dumps(json.loads(terminal().to_line()) | {"colour": 1})
    path.write_text(f"\n\n{later}")
    with pytest.raises(ValueError, match=rf"{path.name}, line 3: ledger row has fields .* colour"):
        Ledger.read(tmp_path)
    path.write_text(f"{ours}\n{later}")
    assert "colour" in Ledger.read(tmp_path).damaged[0]


@pytest.mark.parametrize("cut", [1, 10, 300, -1])
def test_a_torn_last_line_costs_only_itself(tmp_path, cut):
    path = write(tmp_path, terminal(), terminal(cell="c1"))
    last = terminal(cell="c2").to_line()
    path.write_text(path.read_text() + "\n" + last[:cut])
    ledger = Ledger.read(tmp_path)
    assert set(ledger.terminals) == {"c0", "c1"}
    assert ledger.torn == 1


@pytest.mark.parametrize("rubbish", [b'{"schema":1,"ki', b"\xff\xfe\x00", b"not json", b'{"a":"\xe9"}'])
def test_a_torn_line_in_the_middle_costs_only_itself(tmp_path, rubbish):
    path = write(tmp_path, terminal())
    path.write_bytes(path.read_bytes() + b"\n" + rubbish + b"\n" + terminal(cell="c1").to_line().encode())
    ledger = Ledger.read(tmp_path)
    assert set(ledger.terminals) == {"c0", "c1"}
    assert ledger.torn == 1


def test_every_cut_of_a_file_reads_as_its_whole_rows(tmp_path):
    path = write(tmp_path, checkpoint(20), terminal(), checkpoint(20, cell="c1"), terminal(cell="c1"))
    data = path.read_bytes()
    ends = [data.index(b"\n" + line) + len(line) + 1 for line in data.split(b"\n")[1:]]
    for size in range(1, len(data) + 1, 97):
        path.write_bytes(data[:size])
        assert len(Ledger.read(tmp_path).terminals) == sum(size >= end for end in (ends[1], ends[3]))


def test_checkpoints_of_a_cell_that_never_ended_are_left_out(tmp_path):
    write(tmp_path, checkpoint(20), checkpoint(40))
    assert Ledger.read(tmp_path).records == ()


def test_checkpoints_belong_to_the_attempt_of_their_own_file(tmp_path):
    write(tmp_path, checkpoint(20, error=0.9))
    write(tmp_path, checkpoint(20, error=0.1), terminal())
    assert [r.error for r in Ledger.read(tmp_path).records if r.kind is Kind.CHECKPOINT] == [0.1]


def test_a_tail_reads_only_what_was_added(tmp_path):
    writer = LedgerWriter(tmp_path)
    tail = LedgerTail(tmp_path)
    tail.refresh()
    assert tail.ledger().records == ()
    writer.append(terminal())
    tail.refresh()
    tail.refresh()
    assert len(tail.ledger().records) == 1
    writer.append(terminal(cell="c1"))
    other = LedgerWriter(tmp_path)
    other.append(terminal(cell="c2"))
    tail.refresh()
    assert set(tail.ledger().terminals) == {"c0", "c1", "c2"}
    assert len(tail.attempts("c1")) == 1
    writer.close()
    other.close()


def test_a_line_that_arrives_in_two_parts_is_taken_once(tmp_path):
    path = write(tmp_path, terminal())
    tail = LedgerTail(tmp_path)
    line = b"\n" + terminal(cell="c1").to_line().encode()
    for part in (line[:50], line[50:]):
        with path.open("ab") as stream:
            stream.write(part)
        tail.refresh()
    assert set(tail.ledger().terminals) == {"c0", "c1"}
    assert tail.ledger().torn == 0


OK, ERROR, SKIPPED = Status.OK, Status.ERROR, Status.SKIPPED


@pytest.mark.parametrize(
    ("attempts", "stands"),
    [
        ([("1", OK, "a")], 0),
        ([("1", OK, "a"), ("2", OK, "a")], 1),
        ([("2", OK, "a"), ("1", OK, "a")], 0),
        ([("1", OK, "a"), ("2", ERROR, "a")], 0),
        ([("1", ERROR, "a"), ("2", OK, "a")], 1),
        ([("1", ERROR, "a"), ("2", Status.CRASH, "a")], 1),
        ([("1", OK, "a"), ("2", ERROR, "b")], 1),
        ([("1", OK, "b"), ("2", ERROR, "a"), ("3", OK, "a")], 2),
        ([("1", OK, "a"), ("2", SKIPPED, "")], 0),
        ([("1", ERROR, "a"), ("2", SKIPPED, "")], 0),
        ([("1", SKIPPED, ""), ("2", SKIPPED, "")], 1),
    ],
)
@pytest.mark.parametrize("which", ["method_hash", "problem_hash", "library_version"])
def test_of_the_latest_hashes_ok_stands_first_then_the_latest(attempts, stands, which):
    rows = [Attempt(terminal(time, status=status, **{which: hash_})) for time, status, hash_ in attempts]
    assert best_attempt(rows) is rows[stands]


def test_attempts_follow_their_number_whatever_the_clock_said(tmp_path):
    ahead = terminal("2031", attempt=1, method_hash="a")
    write(tmp_path, ahead, terminal("2026", attempt=2, method_hash="b"))
    assert Ledger.read(tmp_path).terminals["c0"].method_hash == "b"
    tail = LedgerTail(tmp_path)
    tail.refresh()
    assert (tail.next_attempt("c0"), tail.next_attempt("c1")) == (3, 1)
    # Rows from before attempts were numbered.
    assert best_attempt([Attempt(terminal("1")), Attempt(terminal("2"))]).terminal.time == "2"


def test_attempts_that_do_not_stand_are_counted(tmp_path):
    write(tmp_path, terminal("1", status=ERROR), terminal("2"), terminal("1", cell="c1"))
    ledger = Ledger.read(tmp_path)
    assert ledger.superseded == 1
    assert [ledger.terminals[cell].time for cell in ("c0", "c1")] == ["2", "1"]


def test_the_frame_has_the_published_columns_and_one_for_each_count_and_error():
    frame = to_frame([terminal(counts={"ggn": 3}, errors={"ks": 0.5}, traits=("psd", "network"), budgets=(1, 2))])
    assert set(frame.columns) == set(COLUMNS) - {"counts", "errors"} | {"counts.ggn", "errors.ks"}
    assert set(frame.columns) >= PUBLISHED
    row = frame.iloc[0]
    assert (row["counts.ggn"], row["errors.ks"], row["traits"], row["budgets"]) == (3, 0.5, "psd,network", "1,2")


def test_a_frame_without_rows_has_the_columns():
    frame = to_frame([])
    assert len(frame) == 0
    assert set(frame.columns) >= PUBLISHED


def test_every_writer_has_a_file_of_its_own_and_an_empty_one_is_removed(tmp_path):
    one, two = LedgerWriter(tmp_path), LedgerWriter(tmp_path)
    assert one.path != two.path
    one.append(terminal())
    one.close()
    two.close()
    assert [path.name for path in (tmp_path / "ledger").iterdir()] == [one.path.name]


def test_merging_takes_every_row_and_leaves_the_sources(tmp_path):
    a, b = tmp_path / "a", tmp_path / "b"
    write(a, terminal("1"), terminal("1", cell="only-a"))
    write(b, terminal("2"), terminal("1", cell="only-b"))
    before = {path: path.read_bytes() for path in tmp_path.rglob("*.jsonl")}
    assert merge([a, b], tmp_path / "out") == 2
    assert merge([a, b], tmp_path / "out") == 2
    merged = Ledger.read(tmp_path / "out")
    assert set(merged.terminals) == {"c0", "only-a", "only-b"}
    assert merged.terminals["c0"].time == "2"
    assert all(path.read_bytes() == data for path, data in before.items())


def test_merging_into_one_of_the_sources_adds_the_others(tmp_path):
    a, b = tmp_path / "a", tmp_path / "b"
    write(a, terminal())
    write(b, terminal(cell="c1"))
    assert merge([a, b], a) == 2


def test_merging_again_takes_what_a_file_has_grown_by_and_refuses_another_of_its_name(tmp_path):
    a, out = tmp_path / "a", tmp_path / "out"
    path = write(a, terminal(), terminal(cell="c1"))
    whole = path.read_bytes()
    path.write_bytes(whole[: whole.rindex(b"\n")])
    merge([a], out)
    assert set(Ledger.read(out).terminals) == {"c0"}
    path.write_bytes(whole)
    merge([a], out)
    assert set(Ledger.read(out).terminals) == {"c0", "c1"}
    path.write_bytes(whole[:-40])
    merge([a], out)
    assert (out / "ledger" / path.name).read_bytes() == whole
    for other in (whole.replace(b"c1", b"c2"), whole + b"x\n"):
        path.write_bytes(other)
        with pytest.raises(ValueError, match="does not begin as"):
            merge([a], out)
    assert (out / "ledger" / path.name).read_bytes() == whole


def test_merging_something_else_is_refused_before_anything_is_written(tmp_path):
    write(tmp_path / "a", terminal())
    (tmp_path / "b").mkdir()
    with pytest.raises(ValueError, match="b holds no ledger"):
        merge([tmp_path / "a", tmp_path / "b"], tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_merging_the_ledger_folder_itself_takes_its_rows(tmp_path):
    write(tmp_path / "a", terminal())
    assert merge([tmp_path / "a" / "ledger"], tmp_path / "out") == 1


def test_merging_two_runs_of_one_cell_keeps_the_arrays_of_the_attempt_that_stands(tmp_path):
    for name, time, value in (("a", "1", 1.0), ("b", "2", 2.0)):
        writer = LedgerWriter(tmp_path / name)
        kept = writer.save_arrays("c0/0-trace", {"trace": np.array([value])})
        writer.append(checkpoint(time=time, arrays=kept))
        writer.append(terminal(time))
        writer.close()
    merge([tmp_path / "a", tmp_path / "b"], tmp_path / "out")
    standing = Ledger.read(tmp_path / "out").records[0]
    assert standing.time == "2"
    assert load_arrays(tmp_path / "out", standing.arrays)["trace"].tolist() == [2.0]


def test_arrays_are_kept_inside_the_folder_and_read_back(tmp_path):
    writer = LedgerWriter(tmp_path)
    relative = writer.save_arrays("cell/0-trace", {"trace": np.array([1.5]), "more": np.arange(3.0)})
    writer.close()
    assert (tmp_path / relative).is_file()
    found = load_arrays(tmp_path, relative)
    assert {name: array.tolist() for name, array in found.items()} == {"trace": [1.5], "more": [0, 1, 2]}


def test_arrays_above_the_limit_are_not_kept(tmp_path):
    writer = LedgerWriter(tmp_path)
    assert writer.save_arrays("big", {"a": np.zeros(ARRAY_LIMIT // 8 + 1)}) == ""
    assert writer.save_arrays("fits", {"a": np.zeros(ARRAY_LIMIT // 8)}) != ""
    writer.close()
    assert not (tmp_path / "arrays" / "big.npz").exists()


@pytest.mark.parametrize("relative", ["../outside.npz", "arrays/../../outside.npz", "/etc/passwd"])
def test_arrays_outside_of_the_folder_are_refused(tmp_path, relative):
    np.savez(tmp_path / "outside.npz", a=np.ones(1))
    (tmp_path / "run").mkdir()
    with pytest.raises(ValueError, match="outside"):
        load_arrays(tmp_path / "run", relative)


def test_a_link_that_leads_outside_is_refused(tmp_path):
    np.savez(tmp_path / "outside.npz", a=np.ones(1))
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "link.npz").symlink_to(tmp_path / "outside.npz")
    with pytest.raises(ValueError, match="outside"):
        load_arrays(tmp_path / "run", "link.npz")


@pytest.mark.parametrize(
    "damage",
    [
        "missing",
        "empty",
        "rubbish",
        "pickled",
        "cut",
        "flipped",
    ],
)
def test_damaged_arrays_are_refused_in_one_sentence(tmp_path, damage):
    file = tmp_path / "a.npz"
    np.savez(file, a=np.arange(100.0))
    data = file.read_bytes()
    if damage == "missing":
        file.unlink()
    elif damage == "pickled":
        np.savez(file, a=np.array([object()]))
    else:
        middle = len(data) // 2
        flipped = data[:middle] + bytes([data[middle] ^ 255]) + data[middle + 1 :]
        file.write_bytes({"empty": b"", "rubbish": b"rubbish", "cut": data[:middle], "flipped": flipped}[damage])
    with pytest.raises(ValueError, match="cannot be read"):
        load_arrays(tmp_path, "a.npz")


def test_times_sort_as_text():
    one, two = now(), now()
    assert one <= two
    assert one.endswith("Z")
    assert json.loads(terminal(one).to_line())["time"] == one


def test_kept_arrays_whose_header_says_less_than_there_is_are_refused(tmp_path):
    np.savez(tmp_path / "a.npz", diagonal=np.ones(1000))
    (tmp_path / "a.npz").write_bytes((tmp_path / "a.npz").read_bytes().replace(b"(1000,)", b"(0100,)"))
    (tmp_path / "b.npz").write_bytes((tmp_path / "a.npz").read_bytes().replace(b"(0100,)", b"( 100,)"))
    for name in ("a.npz", "b.npz"):
        with pytest.raises(ValueError, match=f"{name} cannot be read"):
            load_arrays(tmp_path, name)
