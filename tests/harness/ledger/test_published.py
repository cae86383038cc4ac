"""Published ledgers: read as they were written, and refused in a sentence whatever was done to them."""

import hashlib
import json
import lzma

import pytest
from planted_runs import planted_run, tiny_text

from hessbench.ledger.published import LedgerDescription, published_folders, read_all, read_published, write_published
from hessbench.ledger.reading import Ledger
from hessbench.ledger.scoring import rescore

SAID = LedgerDescription("tiny-1", "0" * 64, (), 0, 0, "cpu", "float32", 1, 0, {"python": "3"}, ("run",), ("now",))


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return planted_run(tmp_path_factory.mktemp("run"))


@pytest.fixture
def folder(run, tmp_path):
    write_published(Ledger.read(run), tmp_path / "tiny-1", tiny_text(), SAID)
    return tmp_path / "tiny-1"


def lines(ledger):
    return sorted(row.to_line() for row in ledger.records)


def rows_of(folder):
    return next(folder.glob("*.xz"))


def describe(folder, **changes):
    file = folder / "ledger.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | changes))


def test_what_is_read_is_what_was_written(run, folder):
    read, before = read_published(folder), Ledger.read(run)
    assert lines(read.ledger) == lines(before)
    assert read.ledger.environments == before.environments
    assert list(read.ledger.prices) == list(before.prices)
    assert Ledger.read(folder).answer((0.01,), "products") == before.answer((0.01,), "products")
    assert read.description.cells == len(before.terminals)
    assert not [file for file in folder.iterdir() if file.stat().st_size >= 1_000_000]


def test_small_parts_are_read_as_one_ledger(run, tmp_path):
    said = write_published(Ledger.read(run), tmp_path / "parts", tiny_text(), SAID, limit=1600)
    assert len(said.parts) > 1
    assert lines(read_published(tmp_path / "parts").ledger) == lines(Ledger.read(run))


def torn(folder):
    rows_of(folder).write_bytes(rows_of(folder).read_bytes()[:-40])


def emptied(folder):
    rows_of(folder).write_bytes(b"")


def changed(folder):
    rows_of(folder).write_bytes(lzma.compress(lzma.decompress(rows_of(folder).read_bytes()).replace(b"0.0", b"0.1")))


def foreign(folder):
    (folder / "rows-2-0123456789ab.jsonl.xz").write_bytes(lzma.compress(b"{}\n"))


def plain_rows(folder):
    (folder / "more.jsonl").write_text("{}\n")


def missing(folder):
    rows_of(folder).unlink()


def large(folder):
    rows_of(folder).write_bytes(b"0" * 1_000_000)


def outside(folder):
    describe(folder, parts=[{"file": "../other.jsonl.xz", "rows": 1, "sha256": "0" * 64}])
    missing(folder)


def no_rows(folder):
    describe(folder, parts=[])
    missing(folder)


def other_cells(folder):
    describe(folder, cells=3)


def other_suite(folder):
    describe(folder, suite="quick-2")


def no_description(folder):
    (folder / "ledger.json").write_bytes(b"\xff\xfe")


def empty_description(folder):
    (folder / "ledger.json").write_text("")


def torn_description(folder):
    (folder / "ledger.json").write_text((folder / "ledger.json").read_text()[:-20])


def other_schema(folder):
    describe(folder, schema=2)


def strange_field(folder):
    describe(folder, cells="many")


def no_suite(folder):
    (folder / "suite.toml").unlink()


def a_run_beside(folder):
    (folder / "ledger").mkdir()


def duplicated(folder):
    """Rows twice, and a description that was written for them: each cell counts once."""
    rows = lzma.decompress(rows_of(folder).read_bytes()) * 2
    rows_of(folder).unlink()
    digest = hashlib.sha256(rows).hexdigest()
    name = f"rows-1-{digest[:12]}.jsonl.xz"
    (folder / name).write_bytes(lzma.compress(rows))
    describe(folder, parts=[{"file": name, "rows": rows.count(b"\n"), "sha256": digest}])


@pytest.mark.parametrize(
    ("damage", "says"),
    [(torn, "torn"), (emptied, "is empty"), (changed, "are not those"), (foreign, "which its ledger.json does not"),
     (plain_rows, "holds more.jsonl"), (missing, "lacks 'rows-1"), (large, "is not below 1,000,000 bytes"),
     (outside, "lacks '../other"), (no_rows, "must hold files"), (other_cells, "says 3 cells"),
     (other_suite, "rows of the suite tiny-1"), (no_description, "no ledger.json that can be read"),
     (empty_description, "is empty"), (torn_description, "is torn"), (other_schema, "not of schema 1"),
     (strange_field, "has a cells that does not fit"), (no_suite, "suite.toml is not there"),
     (a_run_beside, "and no run's ledger")],
)  # fmt: skip
def test_damage_is_refused_in_a_sentence_and_others_are_read(damage, says, folder, run):
    write_published(Ledger.read(run), folder.parent / "whole", tiny_text(), SAID)
    damage(folder)
    said = []
    (read,) = read_all(published_folders(folder.parent), said.append)
    assert read.folder.name == "whole"
    (sentence,) = said
    assert says in sentence
    assert "the published ledger tiny-1" in sentence
    assert "\n" not in sentence


def test_duplicated_rows_count_once(folder, run):
    duplicated(folder)
    assert lines(read_published(folder).ledger) == lines(Ledger.read(run))


def test_a_published_ledger_never_changes(folder, run):
    with pytest.raises(ValueError, match="a published ledger never changes"):
        write_published(Ledger.read(run), folder, tiny_text(), SAID)
    assert rescore(folder)[0] == 0
