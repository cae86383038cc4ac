"""References in files: used where the hash is theirs and the answer covers what is asked, else computed."""

import json
import re
import warnings
from dataclasses import replace

import numpy as np
import pytest

from hessbench.estimand import Density, Diagonal, TopEigenvalues, Trace
from hessbench.problem import Problem
from hessbench.problems import PROBLEMS
from hessbench.problems.references import shipped
from hessbench.problems.references.shipped import (
    FOLDER,
    MAX_BYTES,
    file_name,
    shipped_bytes,
    with_shipped,
    without_shipped,
    write_shipped,
)

A = np.diag([5.0, -4.0, 3.0, 1 / 3, 0.1, 0.0])
STORED = (TopEigenvalues(4), TopEigenvalues(2, "smallest"), Trace(), Density())


@pytest.fixture
def problem():
    """A problem that counts how often its references are computed."""
    plain = Problem.of("six", A)

    def counted(kind, find):
        def ask(estimand):
            asked.append(estimand)
            return find(estimand)

        return ask

    asked = []
    references = {kind: counted(kind, find) for kind, find in plain.references.items()}
    return replace(plain, references=references), asked


@pytest.fixture
def shelf(problem, tmp_path):
    """The problem with its file, and what has been computed since that was written."""
    plain, asked = problem
    write_shipped(plain, STORED, "a command", tmp_path)
    asked.clear()
    return with_shipped(plain, tmp_path), asked, tmp_path / file_name("six")


@pytest.mark.parametrize("estimand", STORED)
def test_a_stored_answer_is_the_computed_one_bit_for_bit(estimand, shelf):
    found, asked, _ = shelf
    answer = found.references[type(estimand)](estimand)
    assert not asked
    expected = Problem.of("six", A).references[type(estimand)](estimand)
    assert answer.arrays.keys() == expected.arrays.keys()
    for name, values in expected.arrays.items():
        np.testing.assert_array_equal(answer.arrays[name], values)
    for field in ("source", "norm", "bound", "rounding", "note"):
        assert getattr(answer, field) == getattr(expected, field)


@pytest.mark.parametrize("k", [1, 2, 3, 4])
def test_fewer_eigenvalues_of_the_same_order_are_covered(k, shelf):
    found, asked, _ = shelf
    values = found.references[TopEigenvalues](TopEigenvalues(k)).arrays["eigenvalues"]
    np.testing.assert_array_equal(values, [5, -4, 3, 1 / 3][:k])
    assert not asked


def test_a_stored_answer_says_the_dimension_that_the_bulk_is_counted_from(shelf):
    found, _, _ = shelf
    reference = found.references[Density](Density(outliers=2))
    assert reference.dim == 6
    assert Density(outliers=2).errors(reference.arrays, reference, "float64")["bulk_wasserstein1"] == 0.0


def test_a_density_is_covered_whatever_its_delta(shelf):
    found, asked, _ = shelf
    found.references[Density](Density(0.1))
    assert not asked


@pytest.mark.parametrize("estimand", [TopEigenvalues(5), TopEigenvalues(3, "smallest"), TopEigenvalues(1, "algebraic")])
def test_what_the_file_does_not_cover_is_computed(estimand, shelf):
    found, asked, _ = shelf
    values = found.references[TopEigenvalues](estimand).arrays["eigenvalues"]
    np.testing.assert_array_equal(values, estimand.rank(A.diagonal())[: estimand.k])
    assert asked == [estimand]


def test_an_estimand_without_a_stored_answer_is_computed(shelf):
    found, asked, _ = shelf
    np.testing.assert_array_equal(found.references[Diagonal](Diagonal()).arrays["diagonal"], A.diagonal())
    assert asked == [Diagonal()]


def test_a_file_of_another_hash_is_passed_over_in_silence(problem, shelf):
    _, asked, path = shelf
    other = with_shipped(replace(problem[0], fingerprint=lambda: "other content"), path.parent)
    other.references[Trace](Trace())
    assert asked == [Trace()]


def test_an_answer_that_only_ships_needs_the_hash(problem, shelf):
    _, _, path = shelf
    bare = replace(problem[0], references={})
    assert with_shipped(bare, path.parent).references[Trace](Trace()).arrays["trace"][0] == pytest.approx(A.trace())
    other = with_shipped(replace(bare, fingerprint=lambda: "other"), path.parent)
    with pytest.raises(ValueError, match="no reference of trace ships for six as it is here"):
        other.references[Trace](Trace())


def other_digit(data):
    return data.replace(b"5.0", b"6.0", 1)


def other_schema(data):
    return data.replace(b'"schema": 1', b'"schema": 2')


@pytest.mark.parametrize(
    "damage",
    [lambda data: data[:-40], lambda data: b"", lambda data: b"[]", lambda data: b"\xff\xfe", other_digit, other_schema,
     lambda data: data.replace(b"problem_hash", b"problem_hush")],
    ids=["truncated", "empty", "a list", "no text", "a digit", "schema", "a key"],
)  # fmt: skip
def test_a_damaged_file_is_a_warning_and_the_answer_is_computed(damage, problem, shelf):
    _, asked, path = shelf
    path.write_bytes(damage(path.read_bytes()))
    with pytest.warns(RuntimeWarning, match=re.escape("shipped references six.json are damaged")):
        found = with_shipped(problem[0], path.parent)
    assert found.references[Trace](Trace()).arrays["trace"][0] == pytest.approx(A.trace())
    assert asked == [Trace()]


def test_without_a_file_the_problem_stays_as_it_is(problem, tmp_path):
    assert with_shipped(problem[0], tmp_path) is problem[0]


def test_writing_computes_and_never_reads_what_ships(shelf, tmp_path):
    found, asked, path = shelf
    lie = json.loads(path.read_text())
    lie["references"]["trace"]["arrays"]["trace"] = [99.0]
    lie["digest"] = shipped._digest(lie["references"])
    path.write_text(json.dumps(lie))
    lying = with_shipped(without_shipped(found), path.parent)
    assert lying.references[Trace](Trace()).arrays["trace"][0] == 99
    again = json.loads(write_shipped(lying, [Trace()], "a command", tmp_path).read_text())
    assert again["references"]["trace"]["arrays"]["trace"] == [pytest.approx(A.trace())]
    assert asked == [Trace()]


def test_the_file_says_what_made_it(shelf):
    _, _, path = shelf
    content = json.loads(path.read_text())
    assert content["command"] == "a command"
    assert content["problem"] == "six"
    assert {"hessbench", "torch", "problem_hash", "digest", "schema"} <= content.keys()
    assert content["references"]["top-eigenvalues[k=4]"]["arrays"]["eigenvalues"] == [5, -4, 3, 1 / 3]


def test_an_answer_too_large_to_ship_is_refused(problem, tmp_path, monkeypatch):
    monkeypatch.setattr(shipped, "MAX_BYTES", 200)
    with pytest.raises(ValueError, match=r"references of six take \d+ bytes, 200 at most are shipped"):
        write_shipped(problem[0], [Density()], "a command", tmp_path)
    assert not list(tmp_path.iterdir())


def test_an_estimand_without_a_reference_is_refused(problem):
    with pytest.raises(ValueError, match="problem six has no reference of trace"):
        shipped_bytes(replace(problem[0], references={}), [Trace()], "a command")


def test_every_file_that_ships_is_whole_and_of_a_registered_problem():
    families = {family.name: family for family in PROBLEMS if hasattr(family, "problem")}
    for path in FOLDER.glob("*.json"):
        assert path.stat().st_size <= MAX_BYTES
        spec = json.loads(path.read_text())["problem"]
        assert path.name == file_name(spec)
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            problem = families[spec.partition("[")[0]].problem(spec)
        assert problem.name == spec
