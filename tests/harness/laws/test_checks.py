"""Each law: a method that keeps it passes, and a method that breaks it alone is caught."""

import random

import numpy as np
import pytest
import torch

from hessbench.estimand import Density, Diagonal, Estimate, TopEigenvalues, Trace
from hessbench.laws.checks import LAWS, check_method
from hessbench.laws.small_operator import DIM, SmallOperator, small_operator
from hessbench.method import Method
from hessbench.operators import check_operator, to_dense
from hessbench.seeding import make_generator


@pytest.fixture(autouse=True)
def globals_as_they_were():
    """Some methods here change global state on purpose."""
    state = torch.get_rng_state(), np.random.get_state(), random.getstate()
    dtype, threads, gradients = torch.get_default_dtype(), torch.get_num_threads(), torch.is_grad_enabled()
    torch.set_num_threads(1)
    yield
    torch.set_rng_state(state[0])
    np.random.set_state(state[1])
    random.setstate(state[2])
    torch.set_default_dtype(dtype)
    torch.set_num_threads(threads)
    torch.set_grad_enabled(gradients)


def normal(op, k, generator):
    return torch.randn(op.dim, k, generator=generator, dtype=op.dtype, device=op.device)


def sound(op, /, *, num_matvecs, generator):
    """Hutchinson's estimator, one probe after another."""
    total, count = torch.zeros((), dtype=op.dtype), 0
    while op.matvecs < num_matvecs:
        x = normal(op, 1, generator)
        total, count = total + (x * op.matmat(x)).sum(), count + 1
        yield Estimate(lambda total=total, count=count: total / count)


def sound_once(op, /, *, num_matvecs, generator):
    if num_matvecs < 4:
        raise ValueError(f"num_matvecs must be at least 4, got {num_matvecs}")
    x = normal(op, num_matvecs, generator)
    return Estimate((x * op.matmat(x)).sum() / num_matvecs)


def laws_broken(run, estimands=(Trace,), **declared):
    method = Method("mine", run, estimands, **declared)
    return [verdict.law.partition(" (")[0] for verdict in check_method(method, "mine") if not verdict.passed]


def test_methods_that_keep_every_law_pass():
    assert laws_broken(sound) == []
    assert laws_broken(sound_once, min_matvecs=4) == []


def test_a_method_whose_least_budget_is_large_keeps_the_prefix_law():
    def late(op, /, *, num_matvecs, generator):
        if num_matvecs < DIM - 8:
            raise ValueError(f"num_matvecs must be at least {DIM - 8}")
        op.matmat(normal(op, DIM - 9, generator))
        yield from sound(op, num_matvecs=num_matvecs, generator=generator)

    assert laws_broken(late, min_matvecs=DIM - 8) == []


def no_answer(op, /, *, num_matvecs, generator):
    return
    yield


def not_finite(op, /, *, num_matvecs, generator):
    for estimate in sound(op, num_matvecs=num_matvecs, generator=generator):
        yield Estimate(lambda estimate=estimate: estimate.resolve().value * float("nan"))


def one_too_many(op, /, *, num_matvecs, generator):
    """Asks for one product more than it was given, but only in blocks: what it yields before is sound."""
    spent = 0
    while spent < num_matvecs:
        width = 2 if num_matvecs - spent == 1 else 1
        x = normal(op, width, generator)
        yield Estimate((x * op.matmat(x)).sum() / width)
        spent += width


def overruns_odd_budgets(op, /, *, num_matvecs, generator):
    while op.matvecs < num_matvecs:
        x = normal(op, 2, generator)
        yield Estimate((x * op.matmat(x)).sum() / 2)


def depends_on_its_budget(op, /, *, num_matvecs, generator):
    for estimate in sound(op, num_matvecs=num_matvecs, generator=generator):
        yield Estimate(lambda estimate=estimate: estimate.resolve().value * num_matvecs)


def yields_only_at_the_end(op, /, *, num_matvecs, generator):
    for estimate in sound(op, num_matvecs=num_matvecs, generator=generator):
        if op.matvecs == num_matvecs:
            yield estimate


def yields_an_extra_at_the_end(op, /, *, num_matvecs, generator):
    for estimate in sound(op, num_matvecs=num_matvecs, generator=generator):
        if op.matvecs % 5 == 0 or op.matvecs == num_matvecs:
            yield estimate


def counts_its_runs():
    runs = []

    def method(op, /, *, num_matvecs, generator):
        if op.dtype == torch.float64 and num_matvecs == DIM:
            runs.append(1)
        x = normal(op, num_matvecs, generator)
        return Estimate((x * op.matmat(x)).sum() + len(runs))

    return method


def looks_late(op, /, *, num_matvecs, generator):
    """Its thunk reads what the loop has made of the total by the time it is called."""
    totals = []
    while op.matvecs < num_matvecs:
        x = normal(op, 1, generator)
        totals.append(float((x * op.matmat(x)).sum()))
        yield Estimate(lambda: sum(totals) / len(totals))


def alters_the_operator(op, /, *, num_matvecs, generator):
    inner = op._inner
    kept = inner._A
    yield from sound(op, num_matvecs=num_matvecs, generator=generator)
    inner._A = kept * 2


def alters_what_it_was_handed(op, /, *, num_matvecs, generator):
    for estimate in sound(op, num_matvecs=num_matvecs, generator=generator):
        if op.matvecs == num_matvecs:
            op._inner._A = op._inner._A * 2
        yield estimate


def always_float64(op, /, *, num_matvecs, generator):
    while op.matvecs < num_matvecs:
        x = torch.randn(op.dim, 1, generator=generator, dtype=torch.float64)
        yield Estimate((x * op.matmat(x)).sum())


def touching(touch):
    def method(op, /, *, num_matvecs, generator):
        touch()
        yield from sound(op, num_matvecs=num_matvecs, generator=generator)

    return method


GLOBALS = {
    "torch": lambda: torch.rand(1),
    "seed": lambda: torch.manual_seed(0),
    "numpy": lambda: np.random.rand(),
    "random": random.random,
    "dtype": lambda: torch.set_default_dtype(torch.float64),
    "threads": lambda: torch.set_num_threads(2),
    "gradients": lambda: torch.set_grad_enabled(False),
}


def accepts_less_than_it_says(op, /, *, num_matvecs, generator):
    yield from sound(op, num_matvecs=num_matvecs, generator=generator)


def refuses_without_the_number(op, /, *, num_matvecs, generator):
    if num_matvecs < 4:
        raise ValueError("too few products")
    yield from sound(op, num_matvecs=num_matvecs, generator=generator)


def overruns_below_its_least(op, /, *, num_matvecs, generator):
    x = normal(op, 4, generator)
    yield Estimate((x * op.matmat(x)).sum())
    op.spending.num_matvecs = num_matvecs
    yield from sound(op, num_matvecs=num_matvecs, generator=generator)


def accumulates_in_place(op, /, *, num_matvecs, generator):
    total = torch.zeros((), dtype=op.dtype)
    while op.matvecs < num_matvecs:
        x = normal(op, 1, generator)
        total += (x * op.matmat(x)).sum()
        yield Estimate(total)


def multiplies_when_it_is_asked(op, /, *, num_matvecs, generator):
    while op.matvecs < num_matvecs:
        x = normal(op, 1, generator)
        op.matmat(x)
        yield Estimate(lambda x=x: (x * op.matmat(x)).sum())


def goes_round_the_count(op, /, *, num_matvecs, generator):
    while op.matvecs < num_matvecs:
        x = normal(op, 1, generator)
        op.matmat(x)
        yield Estimate((x * op._inner.matmat(x)).sum())


def knows_without_a_product(op, /, *, num_matvecs, generator):
    return Estimate(1.0)


def fails_below_its_least(op, /, *, num_matvecs, generator):
    torch.zeros(num_matvecs)[3]
    yield from sound(op, num_matvecs=num_matvecs, generator=generator)


def loses_its_starts(op, /, *, num_matvecs, generator):
    x = normal(op, num_matvecs, generator)
    nodes = (x * op.matmat(x)).sum(0) / (x * x).sum(0)
    return Estimate((nodes, torch.full_like(nodes, 1 / num_matvecs)), starts=np.zeros(1, dtype=np.int64))


# Law, method, what it declares.
ONLY = [
    ("budget obeyed to the unit", overruns_odd_budgets, {}),
    ("prefix law or one-shot", depends_on_its_budget, {}),
    ("prefix law or one-shot", yields_only_at_the_end, {}),
    ("prefix law or one-shot", yields_an_extra_at_the_end, {}),
    ("same seed, same bits", counts_its_runs(), {}),
    ("values may be evaluated late", looks_late, {}),
    ("values stay as yielded", accumulates_in_place, {}),
    ("every product charged", goes_round_the_count, {}),
    ("every product charged", knows_without_a_product, {}),
    ("inputs untouched", alters_what_it_was_handed, {}),
    ("dtype and device kept", always_float64, {}),
    ("no global generator touched", touching(GLOBALS["torch"]), {}),
    ("too small a budget refused", refuses_without_the_number, {"min_matvecs": 4}),
    ("too small a budget refused", fails_below_its_least, {"min_matvecs": 4}),
    ("what is read from it", loses_its_starts, {"estimands": (Density,)}),
]


@pytest.mark.parametrize(("law", "run", "declared"), ONLY, ids=[run.__name__ for _, run, _ in ONLY])
def test_a_method_that_breaks_one_law_is_caught_by_that_law_alone(law, run, declared):
    assert laws_broken(run, **declared) == [law]


@pytest.mark.parametrize("run", [accepts_less_than_it_says, overruns_below_its_least], ids=lambda run: run.__name__)
def test_a_declared_least_budget_is_enough_for_the_harness_to_refuse_less(run):
    assert laws_broken(run, min_matvecs=4) == []
    assert laws_broken(run) == ([] if run is accepts_less_than_it_says else ["budget obeyed to the unit"])


def test_what_fails_below_the_least_budget_for_another_reason_is_named():
    verdicts = check_method(Method("mine", fails_below_its_least, (Trace,), min_matvecs=4), "mine")
    (broken,) = (verdict for verdict in verdicts if not verdict.passed)
    assert "with 3 products" in broken.detail
    assert "another reason" in broken.detail
    assert "IndexError: index 3 is out of bounds" in broken.detail


@pytest.mark.parametrize("run", [no_answer, not_finite], ids=lambda run: run.__name__)
def test_a_method_that_does_not_answer_breaks_the_first_law(run):
    assert "answers its estimand" in laws_broken(run)


def test_a_method_that_asks_for_one_product_too_many_breaks_the_budget():
    assert "budget obeyed to the unit" in laws_broken(one_too_many)


@pytest.mark.parametrize("touched", GLOBALS)
def test_every_kind_of_global_state_is_watched(touched):
    assert "no global generator touched" in laws_broken(touching(GLOBALS[touched]))


def test_a_method_that_multiplies_when_its_value_is_read_breaks_a_law_of_its_own():
    assert "no products after the yield" in laws_broken(multiplies_when_it_is_asked)


def test_every_law_is_broken_by_some_method_here():
    assert {law for law, _, _ in ONLY} | {"answers its estimand", "no products after the yield"} == set(LAWS)


@pytest.mark.parametrize(
    ("value", "estimands"),
    [
        (1.0, (Trace, Diagonal)),
        (np.ones(DIM - 1), (Diagonal,)),
        (np.ones(3), (Density,)),
        ("high", (Trace,)),
        (np.ones((2, 2)), (TopEigenvalues,)),
    ],
)
def test_an_answer_of_another_shape_or_none_breaks_the_first_law(value, estimands):
    def run(op, /, *, num_matvecs, generator):
        return Estimate(value)

    assert "answers its estimand" in laws_broken(run, estimands)


def test_what_is_no_estimate_is_named():
    def run(op, /, *, num_matvecs, generator):
        return 1.0

    for verdict in check_method(Method("mine", run, (Trace,)), "mine"):
        if verdict.law.startswith("answers"):
            assert (verdict.passed, verdict.detail) == (False, "a method returns or yields Estimate, got float")


def test_every_law_is_checked_for_every_estimand():
    def run(op, /, *, num_matvecs, generator):
        x = normal(op, 1, generator)
        trace = (x * op.matmat(x)).sum()
        return Estimate(trace, also={Diagonal: Estimate(trace.expand(op.dim))})

    found = list(check_method(Method("mine", run, (Trace, Diagonal)), "mine"))
    assert len(found) == 2 * len(LAWS)
    assert all(verdict.passed for verdict in found)


def test_an_estimand_that_the_settings_refuse_is_said_and_not_run():
    def run(op, /, *, num_matvecs, generator):
        raise RuntimeError("must not run")

    mine = Method("mine", run, (Trace,), refuses=lambda kind: f"no {kind.key} here")
    (found,) = check_method(mine, "mine")
    assert (found.law, found.passed, found.detail) == ("refused in a sentence (trace)", True, "no trace here")


@pytest.mark.parametrize("requires", [(), ("psd",), ("factor", "psd")])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_the_small_operator_is_what_the_method_requires(requires, dtype):
    op = small_operator(Method("mine", sound, (Trace,), requires=requires), dtype)
    assert (op.dim, op.dtype) == (DIM, dtype)
    check_operator(op, make_generator(0))
    least = float(torch.linalg.eigvalsh(to_dense(op).double()).min())
    assert (least > -1e-6) == bool(requires)
    assert hasattr(op, "factor") == ("factor" in requires)


def test_the_factor_of_the_small_operator_is_its_factor():
    op = small_operator(Method("mine", sound, (Trace,), requires=("factor",)))
    eye = torch.eye(op.factor.num_columns, dtype=op.dtype)
    F = op.factor.rmatmat(eye)
    assert torch.allclose(F @ F.T, to_dense(op))
    ones = torch.ones(op.factor.num_columns, 1, dtype=op.dtype)
    per_sample = F.reshape(DIM, op.factor.num_samples, op.factor.num_outputs).sum(dim=2)
    assert torch.allclose(op.factor.squared_sum(ones)[:, 0], per_sample.square().sum(dim=1))
    assert isinstance(op, SmallOperator)
