"""Every registered problem at a small size, and families at the smallest: symmetric, linear, and truly known."""

import functools
import re

import numpy as np
import pytest
import torch

from hessbench.catalog import load_catalog
from hessbench.estimand import (
    CountAbove,
    Density,
    Diagonal,
    LogDeterminant,
    Mass,
    Solve,
    TopEigenspace,
    TopEigenvalues,
    Trace,
    TraceFunction,
)
from hessbench.estimand.scalar_functions import FUNCTIONS
from hessbench.estimand.spectral import Atoms
from hessbench.operators import check_operator, info_of, to_dense
from hessbench.problem import NETWORK
from hessbench.problems.curvature.engines.table import ENGINES
from hessbench.seeding import make_generator
from hessbench.specs import Spec, parse_one

CATALOG = load_catalog()
CPU = torch.device("cpu")
# What makes a family small, by parameter; a family with none of these is taken as it is.
SMALL = {"n": 48, "width": 1, "widths": 3, "samples": 2, "per_class": 1}
LARGEST = 600
MILLION = 1_000_000
LARGEST_LOG = np.log(np.finfo(np.float64).max)
"""Where exp ends."""
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


def with_engine_of(op, problem):
    """The problem with the engine that an operator of it was given, by name, so that none is measured again."""
    if NETWORK not in problem.traits or engine_name(op) not in ENGINES:
        return CATALOG.problem(problem.name)
    asked = parse_one(problem.name)
    return CATALOG.problem(str(Spec(asked.name, (*asked.params, ("engine", engine_name(op))))))


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
    first = problem.build(CPU, torch.float32)
    again = with_engine_of(first, problem)
    # Choosing an engine takes most of the time of a large network, whose choice in double precision tests no more.
    double = (again if problem.dim > LARGEST else problem).build(CPU, torch.float64)
    for dtype, op in ((torch.float32, first), (torch.float64, double)):
        assert (op.dim, op.dtype, op.device.type) == (problem.dim, dtype, "cpu"), spec
        check_operator(op, make_generator(0))
    block = torch.randn(problem.dim, 3, generator=make_generator(1))
    second = again.build(CPU, torch.float32)
    one, two = first.matmat(block), second.matmat(block)
    # An engine is chosen by measuring, and another rounds in another way.
    if engine_name(first) == engine_name(second):
        assert torch.equal(one, two), spec
    else:
        torch.testing.assert_close(one, two, rtol=0, atol=1e-4 * float(one.abs().max()))
    assert CATALOG.problem(spec).hash == problem.hash


def functions_of(problem, norm):
    """Numbers and solutions that the eigenvalues decide, at dampings from none to above the norm."""
    size = norm or 1.0
    asked = [
        *(LogDeterminant(share * size) for share in (0.0, 1e-3, 2.0)),
        *(TraceFunction(f, share * size) for f in FUNCTIONS for share in (0.0, 2.0)),
        *(Mass(of=part) for part in ("negative", "zero", "bulk")), Mass(low=-0.3 * size, high=0.01 * size),
        *(CountAbove(share * size) for share in (-0.1, 0.0, 0.37, 1.5)),
        *(Solve(share * size) for share in (0.0, 1e-3, 2.0)),
    ]  # fmt: skip
    rows_are_parameters = NETWORK in problem.traits and problem.shapes
    return [*asked, Solve(2.0 * size, "gradient")] if rows_are_parameters else asked


def check_functions(problem, A, eigenvalues):
    """A truth that agrees with the dense matrix; or a sentence where f is not finite, or a system singular."""
    norm = float(np.abs(eigenvalues).max())
    for estimand in functions_of(problem, norm):
        told = (problem.name, estimand.spec)
        defined = margin(estimand, eigenvalues, norm)
        reference, refusal = found_or_refused(problem, estimand)
        if reference is None:
            assert defined <= 1e-9, told
            assert re.fullmatch(rf"{re.escape(estimand.spec)}: \S.*", refusal), told
            continue
        assert defined >= -1e-9, told
        arrays = estimand.to_arrays(answer(problem, estimand, A, eigenvalues), problem.dim)
        found = estimand.errors(arrays, reference, "float64")
        assert found[estimand.primary] <= 2 * max(estimand.floor(reference, "float64"), 1e-14), told


def found_or_refused(problem, estimand):
    try:
        return problem.finder(type(estimand))(estimand), ""
    except ValueError as refusal:
        return None, str(refusal)


def margin(estimand, eigenvalues, norm):
    """How far a spectrum is from where a number is not defined, in parts of its norm; below 0 where it is not."""
    if isinstance(estimand, Mass | CountAbove):
        return 1.0
    if isinstance(estimand, Solve):
        return np.abs(eigenvalues + estimand.damping).min() / norm if norm else estimand.damping
    if estimand.function.name == "exp":
        return LARGEST_LOG - (eigenvalues.max() + estimand.shift)
    least = eigenvalues.min() + estimand.shift
    return least / norm if norm else least


def answer(problem, estimand, A, eigenvalues):
    if isinstance(estimand, Solve):
        b = estimand.right_side(problem.dim, problem.network)
        return np.linalg.solve(A + estimand.damping * np.eye(problem.dim), b)
    ones = np.ones(problem.dim)
    norm = float(np.abs(eigenvalues).max())
    return estimand.read(Atoms(eigenvalues, ones, problem.dim, norm), 1e-9 * norm)


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
    check_functions(problem, A, eigenvalues)


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
