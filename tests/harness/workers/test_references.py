"""References are made where they are asked for; what comes of the same work is kept, and nothing is computed twice."""

import dataclasses

import numpy as np
import pytest
import torch

from hessbench import Density, Diagonal, Problem, TopEigenvalues, Trace
from hessbench.estimand.base import Reference, Source
from hessbench.estimand.from_dense import dense_references
from hessbench.estimand.from_density import from_density
from hessbench.estimand.work import OwnWork, advance, has_own_work, heard, part
from hessbench.ledger.stored_references import ReferenceStore
from hessbench.problems.references.spectrum import Spectrum, spectrum_references
from hessbench.workers.messages import BuiltReference, NoReference, ReferenceJob, ReferenceProgress
from hessbench.workers.references import said_of_references

MATRIX = np.diag([3.0, -2.0, 1.0, 0.0, 0.0])
ANSWERS = {
    Trace: {"trace": np.array([2.0]), "abs_sum": np.array([6.0])},
    Density: {"nodes": np.array([-2.0, 0.0, 1.0, 3.0]), "weights": np.array([0.2, 0.4, 0.2, 0.2])},
    Diagonal: {"diagonal": MATRIX.diagonal()},
}


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    threads = torch.get_num_threads()
    monkeypatch.setenv("HESSBENCH_CACHE", str(tmp_path / "cache"))
    yield
    torch.set_num_threads(threads)


@pytest.fixture
def asked():
    return []


@pytest.fixture
def problem_of(asked):
    """Makes a problem whose references of a source say that they were asked for, each of its own work or not."""

    def make(source, own=(), dim=5):
        def find(kind):
            def answer(_):
                asked.append(kind.key)
                return Reference(ANSWERS[kind], source, 3.0)

            return OwnWork(answer) if kind in own else answer

        return Problem("told", dim, lambda device, dtype: None, {kind: find(kind) for kind in ANSWERS},
                       fingerprint=lambda: "content")  # fmt: skip

    return make


def made(problem, folder, *estimands, beside=()):
    """What a job says beside the hash and how far it is; built references are kept as a run keeps them."""
    job = ReferenceJob(problem.name, estimands, str(folder), 1, tuple(beside))
    said = [message for message in said_of_references(job, problem, lambda _: None)
            if isinstance(message, BuiltReference | NoReference)]  # fmt: skip
    for message in said:
        if isinstance(message, BuiltReference):
            ReferenceStore(folder).save(problem.hash, message.estimand, message.reference)
    return [message.estimand for message in said]


def test_what_takes_work_of_its_own_is_made_only_where_it_is_asked_for(problem_of, asked, tmp_path):
    problem = problem_of(Source.STATISTICAL, own=(Trace, Density, Diagonal), dim=10**5)
    assert made(problem, tmp_path, "trace", beside=("density", "diagonal")) == asked == ["trace"]
    assert made(problem, tmp_path, "trace", "density", beside=("diagonal",)) == ["density"]
    assert asked == ["trace", "density"]


@pytest.mark.parametrize("source", [Source.DENSE, Source.GRAM])
def test_what_all_eigenvalues_answer_is_kept_with_the_first_answer(source, problem_of, asked, tmp_path):
    problem = problem_of(source, dim=5)
    assert sorted(made(problem, tmp_path, "trace")) == ["density", "diagonal", "trace"]
    assert made(problem, tmp_path, "density", beside=("diagonal",)) == []
    assert sorted(asked) == ["density", "diagonal", "trace"]


def test_what_is_known_in_closed_form_is_made_beside_and_not_kept_beyond(problem_of, asked, tmp_path):
    problem = problem_of(Source.ANALYTIC, dim=10**5)
    assert made(problem, tmp_path, "trace") == ["trace"]
    assert made(problem, tmp_path, "trace", beside=("density",)) == ["density"]
    assert asked == ["trace", "density"]


def test_a_costly_spectrum_is_not_computed_again_for_what_nobody_asked(problem_of, asked, tmp_path):
    problem = problem_of(Source.GRAM, dim=10**5)
    ReferenceStore(tmp_path).save(problem.hash, "trace", Reference(ANSWERS[Trace], Source.GRAM, 3.0))
    assert made(problem, tmp_path, "trace", beside=("density",)) == asked == []


def test_more_eigenvalues_are_read_from_the_kept_spectrum(tmp_path):
    def dense():
        made_of.append(1)
        return MATRIX

    made_of = []
    problem = Problem("own", 5, lambda device, dtype: None, dense_references(dense), fingerprint=lambda: "content")
    assert "density" in made(problem, tmp_path, "top-eigenvalues[k=2]")
    again = Problem("own", 5, problem.build, dense_references(dense), fingerprint=lambda: "content")
    assert made(again, tmp_path, "top-eigenvalues[k=4]") == ["top-eigenvalues[k=4]"]
    assert made_of == [1]
    kept = ReferenceStore(tmp_path).load(again.hash, ["top-eigenvalues[k=4]"])["top-eigenvalues[k=4]"]
    fresh = again.references[TopEigenvalues](TopEigenvalues(4))
    assert np.array_equal(kept.arrays["eigenvalues"], fresh.arrays["eigenvalues"])
    assert (kept.norm, kept.bound, kept.rounding, kept.source) == (
        fresh.norm, fresh.bound, fresh.rounding, fresh.source,
    )  # fmt: skip


@pytest.mark.parametrize("which", ["magnitude", "algebraic", "smallest"])
@pytest.mark.parametrize("k", [1, 3, 9])
def test_a_spectrum_with_many_zeros_gives_the_same_eigenvalues(which, k):
    spectrum = Spectrum(np.array([4.0, 1.0, 1.0, 0.5]), 6, np.ones(10), 1e-12)
    found = spectrum_references(lambda: spectrum, Source.GRAM, 10.0)
    estimand = TopEigenvalues(k, which)
    read = from_density(found[Density](Density()), estimand, 10)
    assert np.array_equal(read.arrays["eigenvalues"], found[TopEigenvalues](estimand).arrays["eigenvalues"])


def test_an_estimate_of_the_density_is_no_spectrum():
    density = Reference(ANSWERS[Density], Source.STATISTICAL, 3.0)
    assert from_density(density, TopEigenvalues(2), 5) is None
    whole = Reference(ANSWERS[Density], Source.DENSE, 3.0)
    assert from_density(whole, Trace(), 5) is None
    assert from_density(whole, TopEigenvalues(2), 7) is None


def test_a_dense_matrix_is_made_once_for_the_space_and_the_values():
    made_of = []

    def dense():
        made_of.append(1)
        return MATRIX

    found = dense_references(dense)
    for estimand in (*(kind.default() for kind in found if kind.default()), TopEigenvalues(2)):
        found[type(estimand)](estimand)
    (space,) = (kind for kind in found if kind.key == "top-eigenspace")
    found[space](space(2))
    assert made_of == [1]


def test_a_job_says_how_far_a_reference_is(tmp_path, monkeypatch):
    monkeypatch.setattr("hessbench.workers.references._EVERY_S", -1.0)

    def slow(_):
        for step in (0, 1, 4, 2, 10):
            advance(step, 10)
        return Reference(ANSWERS[Trace], Source.STATISTICAL, 3.0)

    said = []
    problem = Problem("slow", 5, lambda device, dtype: None, {Trace: OwnWork(slow)}, fingerprint=lambda: "content")
    list(said_of_references(ReferenceJob("slow", ("trace",), str(tmp_path), 1), problem, said.append))
    assert said == [ReferenceProgress("trace", done) for done in (0.0, 0.1, 0.4, 1.0)]


def test_parts_of_a_reference_add_up_and_nobody_needs_to_listen():
    heard_of = []
    advance(1, 2)
    with part(0.0, 0.5):
        advance(1, 2)
    with heard(heard_of.append):
        with part(0.0, 0.5):
            advance(1, 2)
        with part(0.5, 1.0), part(0.0, 0.5):
            advance(1, 2)
    assert heard_of == [0.25, 0.5, 0.625, 0.75, 1.0]
    with heard(heard_of.append):
        advance(0, 0)
    assert heard_of[-1] == 1.0


def test_work_of_its_own_is_judged_by_the_estimand():
    find = OwnWork(lambda _: None, lambda estimand: estimand == Trace())
    assert has_own_work(find, Trace())
    assert not has_own_work(find, Density())
    assert not has_own_work(lambda _: None, Trace())
    assert not has_own_work(None, Trace())


def test_all_that_is_known_of_a_reference_is_kept(tmp_path):
    told = Reference(ANSWERS[Diagonal], Source.GRAM, 3.0, 1e-9, 7.0, "said", semidefinite=True)
    problem = Problem("told", 5, lambda device, dtype: None, {Diagonal: OwnWork(lambda _: told)},
                      fingerprint=lambda: "content")  # fmt: skip
    assert made(problem, tmp_path, "diagonal") == ["diagonal"]
    kept = ReferenceStore(tmp_path).load(problem.hash, ["diagonal"])["diagonal"]
    assert dataclasses.replace(kept, arrays={}) == dataclasses.replace(told, arrays={})
