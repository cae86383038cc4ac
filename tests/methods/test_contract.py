"""What every registered method promises, whatever it estimates."""

import numpy as np
import pytest
import torch

from hessbench.counting import CountingOperator
from hessbench.estimand import Density, Diagonal, TopEigenspace, TopEigenvalues, Trace
from hessbench.laws.checks import small_estimand
from hessbench.methods import METHODS
from hessbench.operators import FunctionOperator, dense_operator
from hessbench.seeding import make_generator

BY_NAME = {method.name: method for method in METHODS}
ESTIMANDS = {kind: small_estimand(kind) for kind in (TopEigenvalues, TopEigenspace, Trace, Density, Diagonal)}
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
    "slq",
    "slq[probe=signs,steps=4]",
    "kpm",
    "kpm[bounds=tight,num_probes=2]",
    "hutchinson-diagonal",
    "hutchinson-diagonal[probe=normal]",
    "ggn-diagonal-exact",
    "ggn-diagonal-exact[block=2]",
    "ggn-diagonal-mc",
    "dense",
]
ANYTIME = [spec for spec in SPECS if BY_NAME[spec.partition("[")[0]].is_anytime]
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
    """Checkpoints as (spent, resolved when yielded, resolved at the end), and the counted operator."""
    bound = bind(spec, estimand)
    counted = CountingOperator(op, num_matvecs)
    result = bound.run(counted, num_matvecs, make_generator(seed))
    if bound.method.is_anytime:
        taken = [(counted.matvecs, estimate, estimate.resolve()) for estimate in result]
    else:
        taken = [(counted.matvecs, result, result.resolve())]
    return [(spent, now, late.resolve()) for spent, late, now in taken], counted


def arrays(spec, estimate, dim):
    """Every answer of an estimate as float64 arrays, with what it says of itself."""
    method = bind(spec).method
    answers = [ESTIMANDS[method.estimands[0]].to_arrays(estimate.value, dim)]
    answers += [ESTIMANDS[kind].to_arrays(inner.value, dim) for kind, inner in estimate.also.items()]
    said = [estimate.stderr, estimate.converged, *estimate.diagnostics.values()]
    return [array for answer in answers for array in answer.values()], said


def equal(spec, one, two, dim):
    (arrays_one, said_one), (arrays_two, said_two) = arrays(spec, one, dim), arrays(spec, two, dim)
    same = all(np.array_equal(x, y, equal_nan=True) for x, y in zip(arrays_one, arrays_two, strict=True))
    return same and said_one == said_two


@pytest.fixture
def operator_for(rotated, ggn):
    """A dense operator, or a GGN for the methods that need its factor."""

    def operator_for(spec, n=40, dtype=torch.float64, eigenvalues=None):
        if bind(spec).method.requires:
            return ggn(dtype=dtype, n=n)
        values = np.linspace(-1, 3, n) ** 3 if eigenvalues is None else eigenvalues
        return dense_operator(rotated(values, dtype=dtype))

    return operator_for


VERSIONS = dict.fromkeys(("lanczos", "thick-restart-lanczos", "block-krylov", "sketch-and-refine"), "2")


def test_the_registry_holds_the_agreed_names():
    assert [method.name for method in METHODS] == [
        "power-iteration",
        "simultaneous-iteration",
        "lanczos",
        "thick-restart-lanczos",
        "block-krylov",
        "sketch",
        "randomized-eigh",
        "single-pass",
        "nystrom",
        "sketch-and-refine",
        "hutchinson",
        "hutchpp",
        "slq",
        "kpm",
        "hutchinson-diagonal",
        "ggn-diagonal-exact",
        "ggn-diagonal-mc",
        "dense",
    ]


@pytest.mark.parametrize("method", METHODS, ids=lambda method: method.name)
def test_a_method_declares_its_source_and_its_needs(method):
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


@pytest.mark.parametrize("spec", SPECS)
def test_the_declared_widths_are_those_of_the_blocks(spec, operator_for):
    seen = set()
    inner = operator_for(spec)
    if bind(spec).method.requires:
        pytest.skip("its blocks go to the factor")

    def matmat(block):
        seen.add(block.shape[1])
        return inner.matmat(block)

    run(spec, FunctionOperator(matmat, inner.dim, inner.dtype), 40)
    declared = bind(spec).block_widths(40)
    assert seen <= set(declared)


@pytest.mark.parametrize("num_matvecs", [1, 2, 3, 4, 6, 9, 10, 12, 13, 20, 21, 33, 40, 57, 90])
@pytest.mark.parametrize("spec", SPECS)
def test_the_budget_is_kept_to_the_unit_or_refused_by_its_range(spec, num_matvecs, operator_for):
    op = operator_for(spec)
    least = bind(spec).min_matvecs(op.dim)
    if spec.startswith("ggn-diagonal-exact"):
        least = 3  # the outputs, which the dimension does not tell
    if num_matvecs < least:
        with pytest.raises(ValueError, match=f"num_matvecs must be at least {least}, got {num_matvecs}"):
            run(spec, op, num_matvecs)
        return
    checkpoints, counted = run(spec, op, num_matvecs)
    assert 1 <= counted.matvecs <= num_matvecs
    assert checkpoints[-1][0] == counted.matvecs, "nothing is spent after the last checkpoint"


@pytest.mark.parametrize("spec", SPECS)
def test_no_budget_at_all_is_refused(spec, operator_for):
    with pytest.raises(ValueError, match="num_matvecs must be at least"):
        run(spec, operator_for(spec), 0)


@pytest.mark.parametrize("num_matvecs", [4, 7, 11, 20])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
@pytest.mark.parametrize("spec", ANYTIME)
def test_the_run_at_a_budget_is_the_beginning_of_the_run_at_twice_that(spec, dtype, num_matvecs, operator_for):
    op = operator_for(spec, dtype=dtype)
    small, _ = run(spec, op, num_matvecs)
    large, _ = run(spec, op, 2 * num_matvecs)
    begun = [checkpoint for checkpoint in large if checkpoint[0] <= num_matvecs]
    assert [spent for spent, *_ in small] == [spent for spent, *_ in begun]
    for (_, one, _), (_, two, _) in zip(small, begun, strict=True):
        assert equal(spec, one, two, op.dim)


@pytest.mark.parametrize("spec", ANYTIME)
def test_a_checkpoint_read_late_says_what_it_said_at_once(spec, operator_for):
    op = operator_for(spec)
    for _, now, late in run(spec, op, 30)[0]:
        assert equal(spec, now, late, op.dim)


@pytest.mark.parametrize("spec", SPECS)
def test_the_same_seed_gives_the_same_bits_and_another_seed_others(spec, operator_for):
    op = operator_for(spec)
    one, two, other = (run(spec, op, 40, seed=seed)[0][-1][1] for seed in (1, 1, 2))
    assert equal(spec, one, two, op.dim)
    if not spec.startswith(("dense", "ggn-diagonal-exact")):
        assert not equal(spec, one, other, op.dim)


@pytest.mark.parametrize("spec", SPECS)
def test_the_global_generators_are_left_alone(spec, operator_for):
    op = operator_for(spec)
    before, numpy_before = torch.get_rng_state(), np.random.get_state()[1].copy()
    run(spec, op, 40)
    assert torch.equal(torch.get_rng_state(), before)
    assert np.array_equal(np.random.get_state()[1], numpy_before)


@pytest.mark.parametrize("spec", SPECS)
def test_products_and_blocks_already_handed_over_are_never_written_to(spec, rotated):
    if bind(spec).method.requires:
        pytest.skip("its blocks go to the factor")
    A = rotated(np.linspace(-1, 2, 20))
    kept = []

    def matmat(block):
        product = A @ block
        kept.append((product, product.clone()))
        return product

    run(spec, FunctionOperator(matmat, 20, torch.float64), 24)
    assert all(torch.equal(product, copy) for product, copy in kept)


@pytest.mark.parametrize("spec", SPECS)
def test_blocks_are_contiguous(spec, operator_for):
    if bind(spec).method.requires:
        pytest.skip("its blocks go to the factor")
    inner = operator_for(spec)

    def matmat(block):
        assert block.is_contiguous()
        return inner.matmat(block)

    run(spec, FunctionOperator(matmat, inner.dim, inner.dtype), 40)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
@pytest.mark.parametrize("spec", SPECS)
def test_every_product_is_asked_for_in_the_operators_dtype(spec, dtype, operator_for):
    # The counting operator refuses a block of another dtype.
    op = operator_for(spec, dtype=dtype)
    found, _ = arrays(spec, run(spec, op, 40)[0][-1][1], op.dim)
    assert all(np.isfinite(array).all() for array in found)


@pytest.mark.parametrize("n", [1, 2, 30])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
@pytest.mark.parametrize("kind", HARD)
@pytest.mark.parametrize("spec", SPECS)
def test_hard_operators_give_finite_answers_or_a_reason_within_the_budget(spec, kind, dtype, n, operator_for):
    op = operator_for(spec, n=n, dtype=dtype, eigenvalues=HARD[kind](n))
    estimand = TopEigenvalues(k=min(3, n)) if bind(spec).method.estimands[0] is TopEigenvalues else None
    budget = max(30, bind(spec).min_matvecs(n))
    checkpoints, counted = run(spec, op, budget, estimand=estimand)
    assert counted.matvecs <= budget
    for _, estimate, _ in checkpoints:
        found, _ = arrays(spec, estimate, n)
        # Bounds that are tight may fail, and say so; nothing else may.
        failed = "bounds=tight" in spec and "reason" in estimate.diagnostics
        assert failed or all(np.isfinite(array).all() for array in found)


@pytest.mark.parametrize("scale", [1e-15, 1e15])
@pytest.mark.parametrize("spec", SPECS)
def test_a_scaled_operator_gives_scaled_answers_in_float32(spec, scale, rotated, ggn):
    if "stopping=pyhessian" in spec:
        pytest.skip("its rule has an absolute floor: that is its known harm")
    values = np.concatenate([np.zeros(20), np.linspace(-1, 2, 20)])
    if bind(spec).method.requires:
        one, scaled = ggn(torch.float32), ggn(torch.float32)
        object.__setattr__(scaled, "factor", type(one.factor)(one.factor.F * scale**0.5, 6, 3))
    else:
        # A power of two scales without rounding.
        scale = 2.0 ** round(np.log2(scale))
        A = rotated(values, dtype=torch.float32)
        one, scaled = dense_operator(A), dense_operator(A * scale)
    plain = run(spec, one, 40)[0][-1][1]
    other = run(spec, scaled, 40)[0][-1][1]
    estimand = ESTIMANDS[bind(spec).method.estimands[0]]
    for name, array in estimand.to_arrays(plain.value, one.dim).items():
        factor = 1.0 if name == "weights" else scale
        found = estimand.to_arrays(other.value, one.dim)[name]
        assert np.allclose(found / factor, array, rtol=1e-3, atol=1e-5 * np.abs(array).max())


@pytest.mark.parametrize("spec", SPECS)
def test_every_answer_promised_is_given(spec, operator_for):
    op = operator_for(spec)
    first, *others = bind(spec).method.estimands
    for kind in [kind for kind in others if not bind(spec, ESTIMANDS[kind]).refusal]:
        assert kind in run(spec, op, 40, estimand=ESTIMANDS[kind])[0][-1][1].also
    assert set(run(spec, op, 40, estimand=ESTIMANDS[first])[0][-1][1].also) <= set(others)


SPACE = TopEigenspace(k=3)
KRYLOV = [
    spec for spec in SPECS if spec.startswith(("power", "simultaneous", "lanczos", "thick", "block"))
]  # fmt: skip


@pytest.mark.parametrize("spec", KRYLOV)
def test_a_space_is_held_only_where_it_is_asked_for(spec, operator_for):
    last = run(spec, operator_for(spec), 40)[0][-1][1]
    assert (TopEigenspace in last.also) == (last.vectors is not None) == ("vectors=true" in spec)
    if not bind(spec, SPACE).refusal:
        asked = run(spec, operator_for(spec), 40, estimand=SPACE)[0][-1][1]
        assert asked.also[TopEigenspace].value is asked.vectors
        assert bind(spec, SPACE).footprint(40, 40).vectors >= bind(spec).footprint(40, 40).vectors


@pytest.mark.parametrize("spec", [spec for spec in KRYLOV if not bind(spec, SPACE).refusal])
def test_a_space_evaluated_late_is_that_of_its_checkpoint(spec, operator_for):
    op = operator_for(spec)
    for budget, late, now in run(spec, op, 40, estimand=SPACE)[0]:
        assert budget <= 40
        assert torch.equal(late.also[TopEigenspace].value, now.also[TopEigenspace].value)
        V = late.also[TopEigenspace].value
        assert V.shape[0] == 40
        assert V.shape[1] == len(late.value)
        # Semiorthogonal bases are orthogonal to sqrt(eps), and the columns are combinations of at most 40 rows.
        assert float((V.T @ V - torch.eye(V.shape[1], dtype=V.dtype)).abs().max()) < 40 * 1.5e-8


def test_no_space_is_promised_where_no_basis_is_kept():
    refusals = {spec: bind(spec, SPACE).refusal for spec in SPECS if bind(spec).method.name == "lanczos"}
    said = {spec: reason for spec, reason in refusals.items() if reason}
    assert said == {
        "lanczos[reorth=none]": "reorth none keeps no basis",
        "lanczos[reorth=window,window=3]": "reorth window keeps no basis",
    }


@pytest.mark.parametrize("spec", [spec for spec in SPECS if len(bind(spec).method.estimands) > 1])
def test_each_estimand_can_be_asked_for_alone_at_dimension_two(spec, operator_for):
    method = bind(spec).method
    op = operator_for(spec, n=2)
    for kind in method.estimands[1:]:
        estimand = TopEigenspace(k=2) if kind is TopEigenspace else ESTIMANDS[kind]
        bound = method.bind(spec, estimand)
        budget = max(4, bound.min_matvecs(2))
        if not bound.refusal:
            estimate = run(spec, op, budget, estimand=estimand)[0][-1][1]
            assert estimand.to_arrays(estimate.also[kind].value, 2)


WORDS = [("lanczos", "reorth"), ("hutchinson", "probe"), ("kpm", "bounds"), ("slq", "probe")]


@pytest.mark.parametrize(("name", "parameter"), WORDS)
def test_an_unknown_word_in_a_spec_is_refused_by_name(name, parameter, operator_for):
    with pytest.raises(ValueError, match=f"'{parameter}' takes .* or .*, got 'other'"):
        run(f"{name}[{parameter}=other]", operator_for(name), 40)


@pytest.mark.parametrize(("name", "parameter"), WORDS)
def test_an_unknown_word_handed_to_the_function_is_refused_by_name(name, parameter, operator_for):
    function = next(method.run for method in METHODS if method.name == name)

    def start():
        keywords = {"num_matvecs": 40, "generator": make_generator(0), parameter: "other"}
        return next(iter(function(operator_for(name), **keywords)))

    with pytest.raises(ValueError, match=f"{parameter} must be .* or .*, got 'other'"):
        start()


@pytest.mark.parametrize(
    "spec", ["hutchinson[block=0]", "slq[steps=0]", "kpm[num_probes=0]", "power-iteration[tol=1.5]"]
)
def test_a_number_out_of_range_is_refused_by_name(spec, operator_for):
    with pytest.raises(ValueError, match="must be at least"):
        run(spec, operator_for(spec), 40)


@pytest.mark.parametrize("spec", SPECS)
def test_a_product_that_is_nan_ends_in_nan_and_not_in_an_exception(spec):
    if bind(spec).method.requires:
        pytest.skip("its blocks go to the factor")
    op = FunctionOperator(lambda block: block * float("nan"), 20, torch.float64)
    checkpoints, counted = run(spec, op, 24)
    found, _ = arrays(spec, checkpoints[-1][1], 20)
    assert counted.matvecs <= 24
    assert np.isnan(found[0]).any()
