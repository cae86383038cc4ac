"""Every registered problem at a small size, and families at the smallest: symmetric, linear, and truly known."""

import functools

import numpy as np
import pytest
import torch

from hessbench.catalog import load_catalog
from hessbench.estimand import Density, Diagonal, TopEigenspace, TopEigenvalues, Trace
from hessbench.operators import check_operator, info_of, to_dense
from hessbench.seeding import make_generator
from hessbench.specs import Spec, parse_one

CATALOG = load_catalog()
CPU = torch.device("cpu")
# What makes a family small, by parameter; a family with none of these is taken as it is.
SMALL = {"n": 48, "width": 1, "widths": 3, "samples": 2, "per_class": 1}
LARGEST = 600
MILLION = 1_000_000
# Met one after the other, since most take a few milliseconds.
SMALLEST = {
    "known spectra": [
        *(
            f"{family}n={n}]"
            for n in (1, 2, 3, 7, 64)
            for family in ("student-t[", "student-t[zero_fraction=0.5,signed=false,", "student-t[df=1,zero_fraction=1,")
        ),
        *(
            f"spectrum[name={name},n=33,signed={signed}]"
            for name in (
                "power-law", "geometric", "step", "spiked", "clustered", "linear", "zero", "rank-one", "identity",
            )
            for signed in ("true", "false")
        ),
        *(f"{family}[n={n}]" for family in ("spectrum", "diagonal") for n in (1, 2, 3, 7)),
        *(f"diagonal[n=48,profile={profile}]" for profile in ("power-law", "step", "spiked", "clustered", "linear")),
    ],
    "random matrices": [
        *(f"{family}n={n}]" for family in ("wigner[", "wishart[", "wishart[aspect=0.5,") for n in (1, 2, 3, 40)),
        "spiked-wishart[n=1,spikes=1]",
        "spiked-wishart[n=40]",
        "spiked-wishart[n=40,aspect=2]",
        "spiked-wishart[n=2,spikes=0]",
    ],
    "networks": [f"digits-mlp[operator={operator},step=10,width=2]" for operator in ("hessian", "ggn")],
}  # fmt: skip


def estimands_of(dim):
    return [
        *(TopEigenvalues(min(5, dim), which) for which in ("magnitude", "algebraic", "smallest")),
        TopEigenvalues(min(10, dim)), Trace(), Density(), Diagonal(),
        TopEigenspace(min(4, dim)), TopEigenspace(min(5, dim), which="smallest"),
    ]  # fmt: skip


def small_specs():
    for family in CATALOG.problems:
        size = {key: value for key, value in SMALL.items() if key in family.defaults}
        for text in (family.name, *family.presets):
            spec = parse_one(text)
            params = {**spec.as_dict, **size}
            yield family.canonical(str(Spec(spec.name, tuple(sorted(params.items())))))


SPECS = list(dict.fromkeys(small_specs()))


def engine_name(op):
    """Name of the engine, without what choosing it took."""
    return info_of(op).engine.partition(" (")[0]


@functools.cache
def dense(spec):
    return to_dense(CATALOG.problem(spec).build(CPU, torch.float64)).numpy()


def marked(spec):
    """A network of millions of parameters takes its time whatever the data."""
    return pytest.param(spec, marks=pytest.mark.slow) if CATALOG.problem(spec).dim > MILLION else spec


@pytest.fixture(params=[marked(spec) for spec in SPECS])
def spec(request):
    why = CATALOG.problem(request.param).unavailable
    reason = why() if why else None
    if reason:
        pytest.skip(reason)
    return request.param


def test_the_operator_is_linear_symmetric_and_what_its_problem_says_and_two_builds_give_the_same_bits(spec):
    check_operators(spec)


def test_references_are_those_of_the_dense_matrix(spec):
    check_size(spec)
    check_references(spec)


def test_declared_traits_are_true(spec):
    check_size(spec)
    check_traits(spec)


@pytest.mark.parametrize("group", SMALLEST)
def test_families_at_the_smallest_sizes_keep_the_same_promises(group):
    for text in SMALLEST[group]:
        spec = CATALOG.problem(text).name
        check_operators(spec)
        check_references(spec)
        check_traits(spec)
        check_rounding(spec)
        dense.cache_clear()


def check_size(spec):
    dim = CATALOG.problem(spec).dim
    if dim > LARGEST:
        pytest.skip(f"dimension {dim} is too large for a dense comparison")


def check_operators(spec):
    problem = CATALOG.problem(spec)
    assert problem.name == spec
    built = {dtype: problem.build(CPU, dtype) for dtype in (torch.float32, torch.float64)}
    for dtype, op in built.items():
        assert (op.dim, op.dtype, op.device.type) == (problem.dim, dtype, "cpu"), spec
        check_operator(op, make_generator(0))
    block = torch.randn(problem.dim, 3, generator=make_generator(1))
    first, second = built[torch.float32], CATALOG.problem(spec).build(CPU, torch.float32)
    one, two = first.matmat(block), second.matmat(block)
    # An engine is chosen by measuring, and another rounds in another way.
    if engine_name(first) == engine_name(second):
        assert torch.equal(one, two), spec
    else:
        torch.testing.assert_close(one, two, rtol=0, atol=1e-4 * float(one.abs().max()))
    assert CATALOG.problem(spec).hash == problem.hash


def first_places(eigenvalues, estimand):
    if not isinstance(estimand, TopEigenspace):
        return []
    keys = {"magnitude": -np.abs(eigenvalues), "algebraic": -eigenvalues, "smallest": eigenvalues}[estimand.which]
    return np.argsort(keys, kind="stable")[: estimand.k]


def check_references(spec):
    problem = CATALOG.problem(spec)
    A = dense(spec)
    eigenvalues, vectors = np.linalg.eigh((A + A.T) / 2)
    known = [estimand for estimand in estimands_of(problem.dim) if type(estimand) in problem.references]
    assert known, spec
    for estimand in known:
        check_reference(problem, estimand, A, eigenvalues, vectors)


def check_reference(problem, estimand, A, eigenvalues, vectors):
    reference = problem.references[type(estimand)](estimand)
    answers = {
        TopEigenspace: vectors[:, first_places(eigenvalues, estimand)],
        TopEigenvalues: eigenvalues,
        Trace: np.trace(A),
        Density: (eigenvalues, np.full(problem.dim, 1 / problem.dim)),
        Diagonal: A.diagonal(),
    }
    found = estimand.errors(estimand.to_arrays(answers[type(estimand)], problem.dim), reference, "float64")
    # The floor is what the reference claims of itself in float64; the eigensolver here may be off by as much again.
    told = (problem.name, estimand.spec)
    assert found[estimand.primary] <= 2 * max(estimand.floor(reference, "float64"), 1e-14), told
    norm = np.abs(eigenvalues).max()
    assert norm * (1 - 1e-12) <= reference.norm <= max(10 * norm, 1e-300), told


def check_traits(spec):
    problem = CATALOG.problem(spec)
    A = dense(spec)
    eigenvalues = np.linalg.eigvalsh((A + A.T) / 2)
    norm = max(np.abs(eigenvalues).max(), 1e-300)
    if "psd" in problem.traits:
        assert eigenvalues.min() >= -1e-12 * norm, spec
    for share in (float(trait.partition("=")[2]) for trait in problem.traits if trait.startswith("zeros=")):
        assert np.mean(np.abs(eigenvalues) <= 1e-12 * norm) == pytest.approx(share, abs=1e-6), spec
    if "diagonal" in problem.traits:
        assert np.abs(A - np.diag(A.diagonal())).max() <= 1e-12 * norm, spec
    if "factor" in problem.traits:
        factor = problem.build(CPU, torch.float64).factor
        F = factor.rmatmat(torch.eye(factor.num_columns, dtype=torch.float64)).numpy()
        assert np.abs(F @ F.T - A).max() <= 1e-12 * norm, spec
    assert ("factor" in problem.traits) == hasattr(problem.build(CPU, torch.float32), "factor"), spec


def check_rounding(spec):
    """In single precision it is the same matrix but for what the references say of its rounding."""
    problem = CATALOG.problem(spec)
    off = to_dense(problem.build(CPU, torch.float32)).double().numpy() - dense(spec)
    bound = problem.references[Density](Density()).bound_in("float32")
    assert np.linalg.norm((off + off.T) / 2, 2) <= bound, spec


def test_the_ladder_gives_the_dimension_nearest_to_the_one_asked_for(spec):
    problem = CATALOG.problem(spec)
    if problem.ladder is None:
        pytest.skip("the problem has no ladder")
    sizes = (1000, 2000, 3000)
    dims = [problem.ladder(size).dim for size in sizes]
    # A unit more of a perceptron on 784 pixels is 795 parameters, and no other step is larger.
    assert all(abs(dim - size) <= (398 if "mnist" in spec else 65) for dim, size in zip(dims, sizes, strict=True))
    assert [problem.ladder(dim).dim for dim in dims] == dims
