"""Attacks on writing: a file size limit, and calls that fail in the whole command or in one writer alone."""

import contextlib
import random
import shutil
from pathlib import Path

import numpy as np
from record_attacks.faults import ERRORS, NEVER, Faults
from record_attacks.place import CELLS, CODES, Place, a_sentence, demand, finished

from hessbench import Ledger
from hessbench.cli.folders import write_report
from hessbench.ledger.kept_arrays import load_arrays
from hessbench.ledger.merging import merge
from hessbench.ledger.record import Kind
from hessbench.ledger.stored_references import ReferenceStore
from hessbench.ledger.writing import LedgerWriter

CALLS: dict[str, int] = {}
"""Calls that write, by what writes, as counted where none fails."""


def drawn(chance: random.Random, root: Path, calls: int) -> Faults:
    at = chance.randrange(1, calls + 1)
    return Faults(root, at, chance.choice(ERRORS), ever=chance.random() < 0.5, torn=chance.random() < 0.7)


def full_disk(place: Place, chance: random.Random, out: Path) -> None:
    """Files may grow to so many bytes and no further."""
    code, said = place.end(
        place.start("run", str(place.suite), *place.run_arguments(out), limit=int(2 ** chance.uniform(8, 17)))
    )
    demand(code in CODES, f"exit code {code}: {said[-300:]}")
    before = finished(out)
    if (out / "ledger").is_dir():
        Ledger.read(out)
    place.call("run", str(place.suite), *place.run_arguments(out), "--retry", "crash", "--retry", "error", codes=(0, 1))
    place.completes(out, before)


def failing_run(place: Place, chance: random.Random, out: Path) -> None:
    """A call of the main process that writes into the run's folder fails; the first trial counts them."""
    arguments = ["run", str(place.suite), *place.run_arguments(out)]
    if "run" not in CALLS:
        first = place.root / "first"
        code, said, CALLS["run"] = place.forked(
            ["run", str(place.suite), *place.run_arguments(first)], Faults(first, NEVER)
        )
        demand(code == 0, f"exit code {code}: {said[-300:]}")
        return
    faults = drawn(chance, out, CALLS["run"])
    code, said, _ = place.forked(arguments, faults)
    demand(code in CODES, f"exit code {code} at call {faults.at}: {said[-300:]}")
    demand(code != 2 or said.splitlines()[-1].startswith("hessbench: "), f"no sentence: {said[-300:]}")
    before = finished(out)
    if any((out / "ledger").glob("*.jsonl")):
        found = Ledger.read(out).terminals
        demand(before.keys() <= found.keys(), "a finished cell cannot be read")
    place.completes(out, before)


def failing_writer(place: Place, chance: random.Random, out: Path) -> None:
    """One writer alone, where calls fail: the ledger's, the store of references, or the folder of a report."""
    out.mkdir()
    chance.choice([_ledger_writer, _ledger_writer, _reference_store, _reference_store, _report])(place, chance, out)


def _ledger_writer(place: Place, chance: random.Random, out: Path) -> None:
    """What was written without an error is read, whatever failed before or after it."""
    records = Ledger.read(place.whole).records
    written: set[str] = set()
    arrays: dict[str, str] = {}
    writer = None
    stops = chance.random() < 0.5
    with drawn(chance, out, 4 * len(records)):
        for record in records:
            try:
                writer = writer or LedgerWriter(out)
                if record.kind is Kind.CHECKPOINT:
                    arrays[record.cell] = writer.save_arrays(record.cell, {"trace": np.array([1.0, 2.0])})
                writer.append(record)
                written.update([record.cell] if record.kind is Kind.TERMINAL else [])
            except OSError as failure:
                a_sentence(failure)
                if stops:
                    break
    if writer:
        writer.close()
    if any((out / "ledger").glob("*.jsonl")):
        found = Ledger.read(out).terminals
        true = {record.cell: record for record in records if record.kind is Kind.TERMINAL}
        demand(written <= found.keys(), "a row that was written cannot be read")
        demand(all(found[cell] == true[cell] for cell in found), "a row is another")
        # `merge` walks what is there, half-written files under names of their own included.
        merge([out], out.with_name(f"{out.name}-merged"))
        shutil.rmtree(out.with_name(f"{out.name}-merged"))
    demand(all(load_arrays(out, name)["trace"].tolist() == [1.0, 2.0] for name in arrays.values()), "arrays differ")
    writer = LedgerWriter(out)
    for record in records:
        writer.append(record)
    writer.close()
    demand(len(Ledger.read(out).terminals) == CELLS, "the rest cannot be written")


def _reference_store(place: Place, chance: random.Random, out: Path) -> None:
    """A reference is absent or exact, an earlier one stays, and the same call completes."""
    store, whole = ReferenceStore(out), ReferenceStore(place.whole)
    file = chance.choice(sorted((place.whole / "references").rglob("*.npz")))
    key, name = file.parent.name, file.stem
    true = whole.load(key, [name])[name]
    if earlier := chance.random() < 0.3:
        store.copy(whole, key, name)
    with contextlib.suppress(OSError), drawn(chance, out, 4):
        store.copy(whole, key, name)
    demand(not earlier or store.holds(key, name), "the earlier reference is lost")
    demand(not store.is_damaged(key, name), "a damaged file is left")
    demand(not list((out / "references").rglob(".*")), "a half-written file is left")
    store.copy(whole, key, name)
    found = store.load(key, [name])[name]
    demand((found.bound, found.norm) == (true.bound, true.norm), "a number differs")
    demand(all((found.arrays[array] == true.arrays[array]).all() for array in true.arrays), "an array differs")


def _report(place: Place, chance: random.Random, out: Path) -> None:
    """A report's folder is never one that the next report refuses, and an earlier page stays whole."""
    ledger = Ledger.read(place.whole)
    page = out / "report" / "index.html"
    if "report" not in CALLS:
        with Faults(out, NEVER) as counted:
            write_report(out, ledger)
        CALLS["report"] = counted.calls
    elif chance.random() < 0.3:
        write_report(out, ledger)
    before = page.read_bytes() if page.exists() else b""
    # Its first calls make the folder a report's own.
    with contextlib.suppress(OSError), drawn(chance, out, chance.choice([4, CALLS["report"]])):
        write_report(out, ledger)
    after = page.read_bytes() if page.exists() else b""
    demand(not before or len(after) > 0.9 * len(before), "an earlier page was torn")
    write_report(out, ledger)
    demand("unfinished" not in page.read_text()[:400], "the report is not finished")
    demand(not list((out / "report").rglob(".*")), "something half-written is left")
