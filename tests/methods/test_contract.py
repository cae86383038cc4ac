"""What every registered method promises beside the laws, which tests/conformance holds the presets against.

Cases of a few milliseconds are looped over; a test is one setting of one method.
"""

import itertools

import numpy as np
import pytest
import torch

from hessbench.counting import CountingOperator
from hessbench.estimand import Density, Diagonal, Solve, TopEigenspace, TopEigenvalues, Trace
from hessbench.estimand.density import wasserstein1
from hessbench.laws.checks import check_method, small_estimand
from hessbench.methods import ESTIMATORS as METHODS
from hessbench.operators import FunctionOperator, dense_operator
from hessbench.seeding import make_generator

BY_NAME = {method.name: method for method in METHODS}
ESTIMANDS = {kind: small_estimand(kind) for kind in (TopEigenvalues, TopEigenspace, Trace, Density, Diagonal, Solve)}
SPECS = [
    "power-iteration",
    "power-iteration[stopping=pyhessian,vectors=true]",
    "simultaneous-iteration",
    "simultaneous-iteration[eigenvalue=norm]",
    "simultaneous-iteration[eigenvalue=ritz,oversampling=1,vectors=true]",
    "lanczos",
    "lanczos[reorth=none]",
    "lanczos[reorth=periodic]",
    "lanczos[reorth=selective]",
    "lanczos[reorth=window,window=3]",
    "lanczos[meters=true,vectors=true]",
    "thick-restart-lanczos[basis=9]",
    "thick-restart-lanczos[basis=9,vectors=true]",
    "block-krylov",
    "block-krylov[block=3,vectors=true]",
    "sketch",
    "randomized-eigh",
    "randomized-eigh[num_power_iterations=1]",
    "randomized-eigh[oversampling=2]",
    "single-pass",
    "nystrom",
    "sketch-and-refine",
    "sketch-and-refine[refine=lobpcg]",
    "sketch-and-refine[inner=3,refine=rayleigh]",
    "hutchinson",
    "hutchinson[block=1,probe=normal]",
    "hutchpp",
    "hutchpp[probe=sphere]",
    "adaptive-hutchpp",
    "adaptive-hutchpp[block=2,delta=0.5,epsilon=0.1]",
    "slq",
    "slq[probe=signs,steps=4]",
    "slq[max_vectors=24,reorth=none,steps=10]",
    "slq[reorth=periodic]",
    "slq[reorth=selective,steps=10]",
    "slq[probe=sphere,reorth=window]",
    "deflated-slq",
    "deflated-slq[by=simultaneous,rank=3,steps=5]",
    "self-deflated-slq",
    "krylov-aware-slq",
    "krylov-aware-slq[block=3,extra=1,starts=2]",
    "lanczos-density",
    "lanczos-density[margins=explicit,num_probes=2]",
    "lanczos-density[by=simultaneous,deflation=3,margins=explicit]",
    "sketch-density",
    "sketch-density[pad=scaled]",
    "kpm",
    "kpm[bounds=tight,num_probes=2]",
    "kpm[damping=lanczos]",
    "kpm[damping=lorentz]",
    "hutchinson-diagonal",
    "hutchinson-diagonal[probe=normal]",
    "ggn-diagonal-exact",
    "ggn-diagonal-exact[block=2]",
    "ggn-diagonal-mc",
    "dense",
]
PRESETS = {method.canonical(spec) for method in METHODS for spec in (*method.presets, method.name)}
OTHERS = [spec for spec in SPECS if BY_NAME[spec.partition("[")[0]].canonical(spec) not in PRESETS]
PLAIN = [spec for spec in SPECS if not BY_NAME[spec.partition("[")[0]].requires or spec == "nystrom"]
HARD = {
    "zero": lambda n: np.zeros(n),
    "identity": lambda n: np.ones(n),
    "rank-one": lambda n: np.eye(n)[0] * 3.0,
    "repeated": lambda n: np.repeat([5.0, -2.0, 0.0], n // 3 + 1)[:n],
    "pairs": lambda n: np.concatenate([np.arange(1, n // 2 + 1), -np.arange(1, n // 2 + 1), np.zeros(n % 2)]),
}


def bind(spec, estimand=None):
    method = BY_NAME[spec.partition("[")[0]]
    return method.bind(spec, estimand or ESTIMANDS[method.estimands[0]])


def run(spec, op, num_matvecs, seed=0, estimand=None):
    """The estimates as they were yielded, each with what was spent by then, and the counted operator."""
    bound = bind(spec, estimand)
    counted = CountingOperator(op, num_matvecs)
    result = bound.run(counted, num_matvecs, make_generator(seed))
    yielded = result if bound.method.is_anytime else [result]
    return [(counted.matvecs, estimate.resolve()) for estimate in yielded], counted


def last(spec, op, num_matvecs, **keywords):
    return run(spec, op, num_matvecs, **keywords)[0][-1][1]


def arrays(spec, estimate, dim):
    """Every answer of an estimate as float64 arrays."""
    answers = [ESTIMANDS[bind(spec).method.estimands[0]].to_arrays(estimate.value, dim)]
    answers += [ESTIMANDS[kind].to_arrays(inner.value, dim) for kind, inner in estimate.also.items()]
    return [array for answer in answers for array in answer.values()]


@pytest.fixture
def operator_for(rotated, ggn):
    """A dense operator, or a GGN for the methods that need its factor."""

    def operator_for(spec, n=40, dtype=torch.float64, eigenvalues=None):
        if bind(spec).method.requires:
            return ggn(dtype=dtype, n=n)
        values = np.linspace(-1, 3, n) ** 3 if eigenvalues is None else eigenvalues
        return dense_operator(rotated(values, dtype=dtype))

    return operator_for


VERSIONS = dict.fromkeys(("lanczos", "thick-restart-lanczos", "block-krylov", "sketch-and-refine", "kpm"), "2") | {
    "pruned-lanczos": "5",
    "heavy-rows": "2",
    "sampled-rows": "2",
    "split-trace": "3",
    "split-diagonal": "3",
    "self-deflated-slq": "2",
    "ggn-diagonal-exact": "2",
}


def test_the_registry_holds_the_agreed_names():
    assert [method.name for method in METHODS] == [
        "power-iteration",
        "simultaneous-iteration",
        "lanczos",
        "thick-restart-lanczos",
        "block-krylov",
        "pruned-lanczos",
        "pruned-krylov",
        "bounded-lanczos",
        "sketch",
        "randomized-eigh",
        "single-pass",
        "nystrom",
        "sketch-and-refine",
        "hutchinson",
        "hutchpp",
        "adaptive-hutchpp",
        "xtrace",
        "xnystrace",
        "slq",
        "deflated-slq",
        "self-deflated-slq",
        "krylov-aware-slq",
        "lanczos-density",
        "sketch-density",
        "ggn-diagonal-histogram",
        "kpm",
        "hutchinson-diagonal",
        "diagpp",
        "xdiag",
        "diagonal-exact",
        "ggn-diagonal-exact",
        "ggn-diagonal-mc",
        "hessian-diagonal-exact",
        "heavy-rows",
        "sampled-rows",
        "split-trace",
        "split-diagonal",
        "cg",
        "nystrom-cg",
        "dense",
    ]


def test_a_method_declares_its_source_and_its_needs():
    for method in METHODS:
        assert any(mark in method.citation for mark in ("doi:10.", "arXiv:", "https://"))
        assert method.version == VERSIONS.get(method.name, "1")
        assert all(method.canonical(spec) for spec in method.presets)
        for num_matvecs in (20, 200):
            bound = bind(method.name)
            widths = bound.block_widths(num_matvecs)
            assert widths
            assert all(1 <= width <= num_matvecs for width in widths)
            footprint = bound.footprint(1000, num_matvecs)
            assert footprint.vectors > 0
            assert footprint.passes > 0


@pytest.mark.parametrize("spec", OTHERS)
def test_settings_that_are_no_preset_keep_the_laws_too(spec):
    verdicts = list(check_method(bind(spec).method, spec))
    assert verdicts
    assert [(verdict.law, verdict.detail) for verdict in verdicts if not verdict.passed] == []


@pytest.mark.parametrize("spec", PLAIN)
def test_blocks_are_contiguous_of_declared_widths_and_never_written_to_afterwards(spec, operator_for):
    inner, kept, widths = operator_for(spec), [], set()

    def matmat(block):
        product = inner.matmat(block)
        assert block.is_contiguous()
        widths.add(block.shape[1])
        kept.append((product, product.clone()))
        return product

    run(spec, FunctionOperator(matmat, inner.dim, inner.dtype), 40)
    assert widths <= set(bind(spec).block_widths(40))
    assert all(torch.equal(product, copy) for product, copy in kept)


@pytest.mark.parametrize("spec", SPECS)
def test_a_budget_is_spent_by_the_last_checkpoint_or_refused_by_its_range(spec, operator_for):
    op = operator_for(spec)
    least = bind(spec).min_matvecs(op.dim)
    if spec.startswith("ggn-diagonal-exact"):
        least = 3  # the outputs, which the dimension does not tell
    for num_matvecs in sorted({0, 1, 2, least - 1, least, 4, 9, 13, 21, 40, 57, 90}):
        if num_matvecs < least:
            with pytest.raises(ValueError, match=f"num_matvecs must be at least {least}, got {num_matvecs}"):
                run(spec, op, num_matvecs)
            continue
        checkpoints, counted = run(spec, op, num_matvecs)
        assert 1 <= counted.matvecs <= num_matvecs
        assert checkpoints[-1][0] == counted.matvecs


def test_another_seed_gives_other_bits(operator_for):
    for spec in SPECS:
        op = operator_for(spec)
        one, other = (arrays(spec, last(spec, op, 40, seed=seed), op.dim) for seed in (1, 2))
        same = all(np.array_equal(x, y) for x, y in zip(one, other, strict=True))
        assert same == spec.startswith(("dense", "ggn-diagonal-exact")), spec


@pytest.mark.parametrize("spec", [spec for spec in SPECS if bind(spec).method.is_anytime])
def test_the_prefix_law_holds_in_float32_and_for_small_budgets(spec, operator_for):
    op = operator_for(spec, dtype=torch.float32)
    for num_matvecs in (4, 7, 11, 20):
        small, large = run(spec, op, num_matvecs)[0], run(spec, op, 2 * num_matvecs)[0]
        begun = [checkpoint for checkpoint in large if checkpoint[0] <= num_matvecs]
        assert [spent for spent, _ in small] == [spent for spent, _ in begun]
        for (_, one), (_, two) in zip(small, begun, strict=True):
            pairs = zip(arrays(spec, one, op.dim), arrays(spec, two, op.dim), strict=True)
            assert all(np.array_equal(x, y, equal_nan=True) for x, y in pairs)
            assert (one.stderr, one.converged, one.diagnostics) == (two.stderr, two.converged, two.diagnostics)


@pytest.mark.parametrize("spec", SPECS)
def test_hard_operators_give_finite_answers_or_a_reason_within_the_budget(spec, operator_for):
    for kind, n, dtype in itertools.product(HARD, (1, 2, 30), (torch.float32, torch.float64)):
        op = operator_for(spec, n=n, dtype=dtype, eigenvalues=HARD[kind](n))
        estimand = TopEigenvalues(k=min(3, n)) if bind(spec).method.estimands[0] is TopEigenvalues else None
        budget = max(30, bind(spec).min_matvecs(n))
        checkpoints, counted = run(spec, op, budget, estimand=estimand)
        assert counted.matvecs <= budget
        for _, estimate in checkpoints:
            # Bounds that are tight may fail, and say so; nothing else may.
            failed = "bounds=tight" in spec and "reason" in estimate.diagnostics
            assert failed or all(np.isfinite(array).all() for array in arrays(spec, estimate, n)), (kind, n, dtype)


@pytest.mark.parametrize("spec", [spec for spec in SPECS if "stopping=pyhessian" not in spec])
def test_a_scaled_operator_gives_scaled_answers_in_float32(spec, rotated, ggn):
    """Not with the rule of PyHessian: it has an absolute floor, which is its known harm."""
    A = rotated(np.concatenate([np.zeros(20), np.linspace(-1, 2, 20)]), dtype=torch.float32)
    estimand = ESTIMANDS[bind(spec).method.estimands[0]]
    for scale in (2.0**-50, 2.0**50):  # powers of two: without rounding
        if bind(spec).method.requires:
            one, scaled = ggn(torch.float32), ggn(torch.float32)
            object.__setattr__(scaled, "factor", type(one.factor)(one.factor.F * scale**0.5, 6, 3))
        else:
            one, scaled = dense_operator(A), dense_operator(A * scale)
        plain, other = (estimand.to_arrays(last(spec, op, 40).value, one.dim) for op in (one, scaled))
        if type(estimand) is Density:  # nodes that differ by rounding may change places
            x, y = plain["nodes"], other["nodes"] / scale
            assert wasserstein1(x, plain["weights"], y, other["weights"]) <= 1e-4 * np.abs(x).max()
            continue
        for name, array in plain.items():
            assert np.allclose(other[name] / scale, array, rtol=1e-3, atol=1e-5 * np.abs(array).max())


SPACE = TopEigenspace(k=3)
ITERATIVE = ("power-iteration", "simultaneous-iteration", "lanczos", "thick-restart-lanczos", "block-krylov")
KRYLOV = [spec for spec in SPECS if spec.partition("[")[0] in ITERATIVE]


@pytest.mark.parametrize("spec", KRYLOV)
def test_a_space_is_held_only_where_it_is_asked_for_and_has_orthonormal_columns(spec, operator_for):
    op = operator_for(spec)
    plain = last(spec, op, 40)
    assert (TopEigenspace in plain.also) == (plain.vectors is not None) == ("vectors=true" in spec)
    if bind(spec, SPACE).refusal:
        return
    assert bind(spec, SPACE).footprint(40, 40).vectors >= bind(spec).footprint(40, 40).vectors
    for _, asked in run(spec, op, 40, estimand=SPACE)[0]:
        V = asked.also[TopEigenspace].value
        assert V is asked.vectors
        assert V.shape == (40, len(asked.value))
        # Semiorthogonal bases are orthogonal to sqrt(eps), and the columns are combinations of at most 40 rows.
        assert float((V.T @ V - torch.eye(V.shape[1], dtype=V.dtype)).abs().max()) < 40 * 1.5e-8


def test_no_space_is_promised_where_no_basis_is_kept():
    refusals = {spec: bind(spec, SPACE).refusal for spec in SPECS if bind(spec).method.name == "lanczos"}
    said = {spec: reason for spec, reason in refusals.items() if reason}
    assert said == {
        "lanczos[reorth=none]": "reorth none keeps no basis",
        "lanczos[reorth=window,window=3]": "reorth window keeps no basis",
    }


def test_what_is_answered_beside_is_what_is_promised_down_to_dimension_two(operator_for):
    for spec in SPECS:
        first, *others = bind(spec).method.estimands
        assert set(last(spec, operator_for(spec), 40, estimand=ESTIMANDS[first]).also) <= set(others)
        op = operator_for(spec, n=2)
        for kind in others:
            estimand = TopEigenspace(k=2) if kind is TopEigenspace else ESTIMANDS[kind]
            bound = bind(spec, estimand)
            if not bound.refusal:
                estimate = last(spec, op, max(4, bound.min_matvecs(2)), estimand=estimand)
                assert estimand.to_arrays(estimate.also[kind].value, 2)


def test_an_unknown_word_is_refused_by_name_in_a_spec_and_by_the_function(operator_for):
    for name, parameter in (("lanczos", "reorth"), ("hutchinson", "probe"), ("kpm", "bounds"), ("slq", "probe")):
        op = operator_for(name)
        with pytest.raises(ValueError, match=f"'{parameter}' takes .* or .*, got 'other'"):
            run(f"{name}[{parameter}=other]", op, 40)
        method, keywords = BY_NAME[name], {"num_matvecs": 40, "generator": make_generator(0), parameter: "other"}
        with pytest.raises(ValueError, match=f"{parameter} must be .* or .*, got 'other'"):
            method.run(op, **keywords) if not method.is_anytime else next(method.run(op, **keywords))


def test_a_number_out_of_range_is_refused_by_name(operator_for):
    for spec in ("hutchinson[block=0]", "slq[steps=0]", "kpm[num_probes=0]", "power-iteration[tol=1.5]"):
        with pytest.raises(ValueError, match="must be at least"):
            run(spec, operator_for(spec), 40)


def test_a_product_that_is_nan_ends_in_nan_and_not_in_an_exception():
    for spec in PLAIN:
        op = FunctionOperator(lambda block: block * float("nan"), 20, torch.float64)
        checkpoints, counted = run(spec, op, 24)
        assert counted.matvecs <= 24
        assert np.isnan(arrays(spec, checkpoints[-1][1], 20)[0]).any(), spec
