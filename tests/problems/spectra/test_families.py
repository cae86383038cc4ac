"""Names, presets, ladders and refusals of the families; what every problem promises is asked in `conformance`."""

import subprocess
import sys

import numpy as np
import pytest
import torch

from hessbench.estimand import Diagonal, Trace
from hessbench.operators import check_operator, to_dense
from hessbench.problem import PSD
from hessbench.problems import PROBLEMS
from hessbench.registry import Registry

CPU = torch.device("cpu")
FAMILIES = Registry("problem", PROBLEMS)


def problem_of(spec):
    return FAMILIES.entry_of(spec).problem(spec)


def dense_of(op):
    A = to_dense(op).double().numpy()
    return (A + A.T) / 2


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
    for spec in (
        "student-t[n=1]",
        "student-t[n=1,zero_fraction=0.5,signed=false]",
        "student-t[df=1,n=1,zero_fraction=1]",
        "diagonal[profile=step]",
        "wishart[aspect=0.5]",
        "spiked-wishart",
    ):
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
