"""What every problem promises, at the smallest sizes; at usual ones `conformance/test_every_problem.py` holds it."""

import subprocess
import sys

import numpy as np
import pytest
import torch

from hessbench.estimand import Density, Diagonal, TopEigenspace, TopEigenvalues, Trace
from hessbench.operators import check_operator, info_of, to_dense
from hessbench.problem import FACTOR, PSD
from hessbench.problems import PROBLEMS
from hessbench.registry import Registry

CPU = torch.device("cpu")
FAMILIES = Registry("problem", PROBLEMS)

SYNTHETIC = [
    f"{spec}n={n}]"
    for n in (1, 2, 3, 7, 64)
    for spec in ("student-t[", "student-t[zero_fraction=0.5,signed=false,", "student-t[df=1,zero_fraction=1,")
] + [
    *(
        f"spectrum[name={name},n=33,signed={signed}]"
        for name in ("power-law", "geometric", "step", "spiked", "clustered", "linear", "zero", "rank-one", "identity")
        for signed in ("true", "false")
    ),
    *(f"spectrum[n={n}]" for n in (1, 2, 3, 7)),
    *(f"diagonal[n={n}]" for n in (1, 2, 3, 7)),
    *(f"diagonal[n=48,profile={profile}]" for profile in ("power-law", "step", "spiked", "clustered", "linear")),
]
SAMPLED = [
    *(f"{name}[n={n}]" for name in ("wigner", "wishart", "wishart[aspect=0.5]") for n in (1, 2, 3, 40)),
    "spiked-wishart[n=1,spikes=1]",
    "spiked-wishart[n=40]",
    "spiked-wishart[n=40,aspect=2]",
    "spiked-wishart[n=2,spikes=0]",
]
SAMPLED = [spec.replace("][", ",") for spec in SAMPLED]
NETWORKS = [f"digits-mlp[operator={operator},step=10,width=2]" for operator in ("hessian", "ggn")]
GROUPS = {"known spectra": SYNTHETIC, "random matrices": SAMPLED, "networks": NETWORKS}


def problem_of(spec):
    return FAMILIES.entry_of(spec).problem(spec)


def dense_of(op):
    A = to_dense(op).double().numpy()
    return (A + A.T) / 2


@pytest.mark.parametrize("group", GROUPS)
def test_problems_of_the_smallest_sizes_are_what_they_say(group):
    for spec in GROUPS[group]:
        problem, again = problem_of(spec), problem_of(spec)
        ops = {dtype: problem.build(CPU, dtype) for dtype in (torch.float32, torch.float64)}
        for dtype, op in ops.items():
            assert (op.dim, op.dtype) == (problem.dim, dtype), spec
            check_operator(op, torch.Generator().manual_seed(0))
        check_bits(ops[torch.float32], again.build(CPU, torch.float32), spec)
        assert (problem.hash, problem.name) == (again.hash, again.name), spec
        close, exact = (dense_of(ops[dtype]) for dtype in (torch.float32, torch.float64))
        bound = problem.references[Density](Density()).bound_in("float32")
        assert np.linalg.norm(close - exact, 2) <= bound, spec
        check_references(problem, exact)
        check_traits(problem, ops[torch.float32], exact)


def check_bits(one, two, spec):
    block = torch.randn(one.dim, 2, generator=torch.Generator().manual_seed(0))
    # An engine is chosen by measuring, and another rounds in another way.
    if info_of(one).engine.partition(" (")[0] == info_of(two).engine.partition(" (")[0]:
        assert torch.equal(one.matmat(block), two.matmat(block)), spec
    else:
        torch.testing.assert_close(one.matmat(block), two.matmat(block), rtol=1e-4, atol=1e-6)


def check_references(problem, A):
    eigenvalues = np.linalg.eigvalsh(A)
    slack = max(problem.dim, 10) * 2.0**-50 * max(np.abs(eigenvalues).max(), 1e-300)
    said = problem.name
    assert set(problem.references) == {TopEigenvalues, Trace, Density, Diagonal, TopEigenspace}, said
    for which in ("magnitude", "algebraic", "smallest"):
        top = TopEigenvalues(min(5, problem.dim), which)
        found = problem.references[TopEigenvalues](top)
        errors = top.errors(top.to_arrays(eigenvalues[:0], problem.dim), found, "float64")
        assert errors["missing"] == top.k, said
        truth = np.sort(np.abs(top.rank(eigenvalues)[: top.k]))
        np.testing.assert_allclose(np.sort(np.abs(found.arrays["eigenvalues"])), truth, atol=slack, err_msg=said)
    trace = problem.references[Trace](Trace())
    assert abs(trace.arrays["trace"][0] - eigenvalues.sum()) <= slack * problem.dim, said
    assert abs(trace.arrays["abs_sum"][0] - np.abs(eigenvalues).sum()) <= slack * problem.dim, said
    density = problem.references[Density](Density())
    counts = np.round(density.arrays["weights"] * problem.dim).astype(int)
    np.testing.assert_allclose(np.repeat(density.arrays["nodes"], counts), eigenvalues, atol=slack, err_msg=said)
    diagonal = problem.references[Diagonal](Diagonal())
    np.testing.assert_allclose(diagonal.arrays["diagonal"], A.diagonal(), atol=slack, err_msg=said)
    norm = np.abs(eigenvalues).max()
    assert all(norm - slack <= known.norm <= 2.5 * norm + slack for known in (trace, density, diagonal)), said


def check_traits(problem, op, A):
    eigenvalues = np.linalg.eigvalsh(A)
    tolerance = max(problem.dim, 10) * 2.0**-50 * max(np.abs(eigenvalues).max(), 1e-300)
    if PSD in problem.traits:
        assert eigenvalues.min() >= -tolerance, problem.name
    zeros = [float(trait.removeprefix("zeros=")) for trait in problem.traits if trait.startswith("zeros=")]
    if zeros:
        assert zeros[0] == pytest.approx(np.mean(np.abs(eigenvalues) <= tolerance), abs=1e-5), problem.name
    assert (FACTOR in problem.traits) == hasattr(op, "factor"), problem.name


def test_a_problem_that_is_not_psd_does_not_say_so():
    for spec in ("student-t[n=64]", "spectrum[name=step,n=64,signed=true]", "wigner[n=64]"):
        problem = problem_of(spec)
        assert np.linalg.eigvalsh(dense_of(problem.build(CPU, torch.float64))).min() < 0, spec
        assert PSD not in problem.traits, spec


def test_every_preset_is_canonical_and_makes_a_problem_of_that_name():
    for entry in PROBLEMS:
        assert entry.presets, entry.name
        assert entry.summary, entry.name
        for preset in entry.presets:
            canonical = entry.canonical(preset)
            problem = entry.problem(preset)
            assert problem.name == canonical
            assert entry.problem(canonical).name == canonical


def test_the_ladder_keeps_the_problem_and_changes_its_size_and_its_name_can_be_read_back():
    for spec in (*SYNTHETIC[:3], "diagonal[profile=step]", "wishart[aspect=0.5]", "spiked-wishart"):
        wider = problem_of(spec).ladder(50)
        assert wider.dim == 50, spec
        again = problem_of(wider.name)
        assert (again.name, again.hash) == (wider.name, wider.hash), spec


def test_the_ladder_gives_the_nearest_size_there_is():
    for spec, n, expected in (
        ("student-t", 10**9, 10**7), ("wigner", 10**9, 4096), ("diagonal", 0, 1),
        ("digits-mlp", 10**6, 999_970), ("digits-mlp", 1, 70), ("digits-mlp[operator=ggn]", 10**7, 9_999_970),
    ):  # fmt: skip
        assert problem_of(spec).ladder(n).dim == expected, spec


BAD = [
    ("student-t[n=0]", "n must be between 1 and 10000000, got 0"),
    ("student-t[n=10000001]", "n must be between 1 and 10000000"),
    ("student-t[zero_fraction=1.5]", "zero_fraction must be between 0 and 1, got 1.5"),
    ("student-t[zero_fraction=-0.1]", "zero_fraction must be between 0 and 1"),
    ("student-t[df=0]", "df must be finite and above 0, got 0"),
    ("student-t[instance=-1]", "instance must be at least 0, got -1"),
    ("spectrum[name=power]", "name must be one of power-law, geometric"),
    ("spectrum[n=0]", "n must be between 1 and 10000000"),
    ("diagonal[profile=flat]", "profile must be one of power-law, step"),
    ("diagonal[n=0]", "n must be between 1 and 10000000"),
    ("wigner[n=4097]", "n must be between 1 and 4096, got 4097"),
    ("wigner[instance=-1]", "instance must be at least 0"),
    ("wishart[aspect=0.01]", "aspect must be between 0.1 and 100"),
    ("wishart[n=0]", "n must be between 1 and 4096"),
    ("spiked-wishart[spikes=1001]", "spikes must be between 0 and 1000"),
    ("spiked-wishart[strength=-1]", "strength must be between 0 and 1000"),
    ("digits-mlp[step=7]", "step must be one of 0, 10, 100, 500, got 7"),
    ("digits-mlp[operator=fisher]", "operator must be one of hessian, ggn"),
    ("digits-mlp[width=0]", "width must be between 1 and 200000"),
    ("resnet20-cifar10[samples=0]", "samples must be between 1 and 7500"),
    ("resnet20-cifar10[weights=mine]", "weights must be one of pyhessian, random"),
    ("resnet20-cifar10[operator=fisher]", "operator must be one of hessian, ggn"),
]


def test_a_bad_parameter_is_refused_in_one_sentence_with_the_range():
    for spec, message in BAD:
        with pytest.raises(ValueError, match=message) as refusal:
            problem_of(spec)
        assert "\n" not in str(refusal.value), spec
        assert str(refusal.value).startswith(spec.partition("[")[0]), spec


def test_importing_the_problems_imports_no_data_library():
    code = "import sys, hessbench.problems; sys.exit('sklearn' in sys.modules or 'sympy' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_creating_a_large_problem_computes_nothing():
    problem = problem_of("student-t[n=10000000]")
    assert problem.dim == 10_000_000
    assert Diagonal not in problem.references


@pytest.mark.parametrize("spec", ["student-t", "diagonal", "spectrum"])
def test_a_million_dimensions_have_exact_references_and_products(spec):
    problem = problem_of(f"{spec}[n=1000000]")
    check_operator(problem.build(CPU, torch.float32), torch.Generator().manual_seed(0))
    trace = problem.references[Trace](Trace())
    assert trace.source == "ANALYTIC"
    assert trace.bound <= 2.0**-52 * abs(float(trace.arrays["trace"][0]))  # the sum, rounded once


@pytest.mark.slow
@pytest.mark.parametrize("spec", ["student-t", "diagonal", "spectrum"])
def test_ten_million_dimensions_have_exact_products(spec):
    check_operator(problem_of(f"{spec}[n=10000000]").build(CPU, torch.float32), torch.Generator().manual_seed(0))
