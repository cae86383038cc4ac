"""References on disk: whole or absent, by problem hash and estimand."""

import dataclasses

import numpy as np
import pytest

from hessbench.estimand.base import Reference, Source
from hessbench.ledger.stored_references import ReferenceStore, Truth, cached_references

ARRAYS = {"eigenvalues": np.array([3.0, -1.0])}
SPEC = "top-eigenvalues[k=2]"


def truth(**changes):
    facts = {
        "source": Source.DENSE,
        "norm": 3.0,
        "bound": 1e-12,
        "rounding": 10.0,
        "note": "said",
        "semidefinite": True,
    }
    return Reference(ARRAYS, **(facts | changes))


def test_a_reference_is_read_back_as_it_was(tmp_path):
    store = ReferenceStore(tmp_path)
    store.save("h0", SPEC, truth())
    found = store.load("h0", [SPEC, "trace"])
    assert list(found) == [SPEC]
    assert found[SPEC].arrays["eigenvalues"].tolist() == [3.0, -1.0]
    assert found[SPEC].arrays["eigenvalues"].dtype == np.float64
    facts = dataclasses.replace(found[SPEC], arrays={})
    assert facts == Reference({}, Source.DENSE, 3.0, 1e-12, 10.0, "said", semidefinite=True)


def test_another_hash_knows_nothing(tmp_path):
    store = ReferenceStore(tmp_path)
    store.save("h0", SPEC, truth())
    assert store.load("h1", [SPEC]) == {}


def test_what_is_stored_is_known(tmp_path):
    store = ReferenceStore(tmp_path)
    assert not store.holds("h0", SPEC)
    store.save("h0", SPEC, truth())
    assert store.holds("h0", SPEC)
    assert not store.holds("h0", "trace")
    assert not store.holds("h1", SPEC)


def test_what_another_store_holds_can_be_taken_over(tmp_path):
    store, other = ReferenceStore(tmp_path / "run"), ReferenceStore(tmp_path / "cache")
    other.save("h0", SPEC, truth())
    store.copy(other, "h0", "trace")
    assert not store.holds("h0", "trace")
    store.copy(other, "h0", SPEC)
    assert store.load("h0", [SPEC])[SPEC].arrays["eigenvalues"].tolist() == [3.0, -1.0]


def test_a_reference_computed_in_another_way_counts_as_absent(tmp_path, monkeypatch):
    store = ReferenceStore(tmp_path)
    store.save("h0", SPEC, truth())
    monkeypatch.setattr("hessbench.ledger.stored_references.REFERENCE_VERSION", 99)
    assert not store.holds("h0", SPEC)


def test_the_cache_lies_where_the_variable_says(tmp_path, monkeypatch):
    monkeypatch.setenv("HESSBENCH_CACHE", str(tmp_path))
    cached_references().save("h0", SPEC, truth())
    assert len(list((tmp_path / "references" / "h0").glob("*.npz"))) == 1


def test_saving_again_replaces(tmp_path):
    store = ReferenceStore(tmp_path)
    store.save("h0", SPEC, truth())
    store.save("h0", SPEC, truth(note="new"))
    assert store.load("h0", [SPEC])[SPEC].note == "new"


@pytest.mark.parametrize(
    "damage",
    [
        "empty",
        "rubbish",
        "no-header",
        "no-estimand",
        "unknown-source",
        "cut",
        "lost-array",
        "other-value",
        "other-problem",
        "deep",
    ],
)
def test_a_damaged_file_counts_as_absent(tmp_path, damage):
    store = ReferenceStore(tmp_path)
    store.save("h0", SPEC, truth())
    (file,) = (tmp_path / "references").rglob("*.npz")
    data = file.read_bytes()
    if damage == "no-header":
        np.savez(file, **ARRAYS)
    elif damage in ("no-estimand", "unknown-source"):
        store.save("h0", SPEC, truth(source="GUESS"))
        if damage == "no-estimand":
            np.savez(file, header=np.frombuffer(b"{}", dtype=np.uint8))
    elif damage == "deep":
        np.savez(file, header=np.frombuffer(b"[" * 200_000, dtype=np.uint8))
    elif damage in ("lost-array", "other-value"):
        with np.load(file) as stored:
            told = stored["header"]
        np.savez(file, header=told, **({} if damage == "lost-array" else {"eigenvalues": np.array([3.0, -2.0])}))
    elif damage == "other-problem":
        store.save("h1", SPEC, truth())
        (other,) = (tmp_path / "references" / "h1").iterdir()
        other.replace(file)
    else:
        file.write_bytes({"empty": b"", "rubbish": b"rubbish", "cut": data[: len(data) // 2]}[damage])
    assert store.load("h0", [SPEC]) == {}
    assert not store.holds("h0", SPEC)
    assert store.is_damaged("h0", SPEC)


def test_no_byte_that_changes_ends_in_anything_but_absent_or_the_same(tmp_path):
    store = ReferenceStore(tmp_path)
    store.save("h0", SPEC, truth())
    (file,) = (tmp_path / "references").rglob("*.npz")
    data = file.read_bytes()
    for place in range(len(data)):
        changed = bytearray(data)
        changed[place] ^= 1 + place % 255
        file.write_bytes(changed)
        found = store.load("h0", [SPEC])
        assert not found or found[SPEC].arrays["eigenvalues"].tolist() == [3.0, -1.0]


def test_nothing_half_written_is_left(tmp_path):
    ReferenceStore(tmp_path).save("h0", SPEC, truth())
    assert len([path for path in tmp_path.rglob("*") if path.is_file()]) == 1


def test_nothing_is_known_at_first():
    assert (Truth().problem_hash, Truth().references, Truth().missing) == ("", {}, {})
