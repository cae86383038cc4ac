"""One cell: checkpoints, thunks, clocks and how it ends, with methods written by hand."""

import dataclasses
import gc
import math
import time

import numpy as np
import pytest
import torch

from hessbench.catalog import load_catalog
from hessbench.cells.cell import MEMORY, TIME, Cell
from hessbench.cells.execute import classify, execute
from hessbench.cells.messages import Checkpoint, End
from hessbench.estimand import Density, Diagonal, Estimate, Reference, Source, TopEigenvalues, Trace
from hessbench.ledger.costs import MEMORY_PASS
from hessbench.ledger.record import Status
from hessbench.method import Method
from hessbench.operators import FunctionOperator, ProductKind
from hessbench.problem import Problem
from hessbench.seeding import make_generator
from hessbench.workers.jobs import perform
from hessbench.workers.messages import CellJob, NoReference, Outcome, ProblemHash, ReferenceJob, ReferenceProgress
from hessbench.workers.wire import Decoder, frame

N = 8
PROBLEM = Problem.of("small", np.diag(np.arange(1.0, N + 1)))


@pytest.fixture(autouse=True)
def threads():
    """A cell sets the number of threads of its process."""
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


def product(op, k=1):
    return op.matmat(torch.ones(op.dim, k, dtype=op.dtype))


def run(method, budgets=(2, 4, 6), estimands=(Trace,), estimand=None, problem=PROBLEM, pass_=TIME, **declared):
    """Run a function as a method; returns the checkpoints and the end."""
    asked = estimand or estimands[0]()
    bound = Method("mine", method, estimands, **declared).bind("mine", asked)
    cell = Cell(problem.name, "mine", asked.spec, tuple(budgets), pass_=pass_)
    emitted = []
    execute(cell, problem, bound, emitted.append)
    *checkpoints, end = emitted
    assert isinstance(end, End)
    assert all(isinstance(said, Checkpoint) for said in checkpoints)
    return checkpoints, end


def rows(checkpoints):
    return [(said.budget, said.costs.matvecs, float(said.arrays["trace"][0])) for said in checkpoints]


def steps(widths, then=()):
    """A method that spends `widths` one after another and yields after each how much it has spent."""

    def method(op, /, *, num_matvecs, generator):
        for k in widths:
            product(op, k)
            yield Estimate(float(op.matvecs))
        yield from then

    return method


@pytest.mark.parametrize(
    ("widths", "expected", "status"),
    [
        ([1] * 6, [(2, 2, 2), (4, 4, 4), (6, 6, 6)], "ok"),
        ([2, 2, 2], [(2, 2, 2), (4, 4, 4), (6, 6, 6)], "ok"),
        ([1, 2, 2], [(2, 1, 1), (4, 3, 3), (6, 5, 5)], "ok"),
        ([3, 3], [(4, 3, 3), (6, 6, 6)], "ok"),
        ([1, 4, 1], [(2, 1, 1), (4, 1, 1), (6, 6, 6)], "ok"),
        ([6], [(6, 6, 6)], "ok"),
        ([1], [(2, 1, 1), (4, 1, 1), (6, 1, 1)], "ok"),
        ([1, 2], [(2, 1, 1), (4, 3, 3), (6, 3, 3)], "ok"),
        ([1] * 9, [(2, 2, 2), (4, 4, 4), (6, 6, 6)], "ok"),
        ([5, 5], [(6, 5, 5)], "over-budget"),
        ([1, 2, 4], [(2, 1, 1), (4, 3, 3), (6, 3, 3)], "over-budget"),
        ([7], [], "over-budget"),
    ],
)
def test_the_row_of_a_budget_is_the_last_checkpoint_with_at_most_that_spent(widths, expected, status):
    checkpoints, end = run(steps(widths))
    assert rows(checkpoints) == expected
    assert end.status == status
    assert end.costs.matvecs <= 6


def test_several_estimates_at_one_spending_leave_the_last_before_more_is_spent():
    def method(op, /, *, num_matvecs, generator):
        for value in (1.0, 2.0):
            product(op)
            yield Estimate(value)
            yield Estimate(value + 0.5)

    assert rows(run(method, [3])[0]) == [(3, 2, 2.5)]


def test_thunks_are_called_only_when_a_budget_is_reached_and_once():
    called = []

    def method(op, /, *, num_matvecs, generator):
        for step in range(1, 8):
            product(op)
            yield Estimate(lambda step=step: called.append(step) or float(step))

    checkpoints, _ = run(method, [2, 5])
    assert rows(checkpoints) == [(2, 2, 2), (5, 5, 5)]
    assert called == [2, 5]


def test_a_thunk_kept_for_several_budgets_is_called_once():
    called = []

    def method(op, /, *, num_matvecs, generator):
        product(op)
        yield Estimate(lambda: called.append(1) or 1.0)

    assert len(run(method, [2, 4, 6])[0]) == 3
    assert called == [1]


def test_a_method_is_stopped_at_its_largest_budget_and_never_asked_for_more():
    reached = []

    def method(op, /, *, num_matvecs, generator):
        while True:
            product(op)
            reached.append(op.matvecs)
            yield Estimate(1.0)

    _, end = run(method, [2, 4])
    assert reached == [1, 2, 3, 4]
    assert (end.status, end.costs.matvecs, end.costs.calls) == ("ok", 4, 4)


def test_over_budget_keeps_what_was_yielded_and_says_what_was_asked_for():
    checkpoints, end = run(steps([2, 3, 3]))
    assert rows(checkpoints) == [(2, 2, 2), (4, 2, 2), (6, 5, 5)]
    assert end.status == "over-budget"
    assert end.reason == "3 more products asked for with 5 of 6 spent"


def test_a_function_that_returns_is_one_shot():
    checkpoints, end = run(lambda op, /, *, num_matvecs, generator: Estimate(float(product(op, 3).sum())), [4])
    assert rows(checkpoints) == [(4, 3, 108)]
    assert (end.status, end.costs.matvecs, end.costs.calls, end.costs.counts) == ("ok", 3, 1, {"product": 3})


def test_a_one_shot_that_overruns_has_no_checkpoint():
    checkpoints, end = run(lambda op, /, *, num_matvecs, generator: Estimate(product(op, 5)), [4])
    assert (checkpoints, end.status, end.costs.matvecs) == ([], "over-budget", 0)


def test_a_run_may_answer_other_estimands_beside_its_own():
    density = (np.ones(2), np.full(2, 0.5))

    def method(op, /, *, num_matvecs, generator):
        product(op)
        yield Estimate(lambda: density, also={Trace: Estimate(lambda: 36.0, stderr=0.5)})

    both = (Density, Trace)
    checkpoints, _ = run(method, [2, 4], both)
    assert [said.estimand for said in checkpoints] == ["density", "trace"] * 2
    assert checkpoints[1].said_stderr == 0.5
    assert [said.estimand for said in run(method, [2], both, Trace())[0]] == ["trace", "density"]


def test_beside_its_own_only_estimands_without_parameters_are_reported():
    def method(op, /, *, num_matvecs, generator):
        return Estimate(np.ones(N), also={TopEigenvalues: Estimate(np.ones(3))})

    checkpoints, _ = run(method, [2], (Diagonal, TopEigenvalues))
    assert [said.estimand for said in checkpoints] == ["diagonal"]


def test_an_answer_that_is_promised_and_not_given_is_an_error():
    _, end = run(lambda op, /, *, num_matvecs, generator: Estimate(1.0), [2], (Trace, Diagonal), Diagonal())
    assert end.status == "error"
    assert "gave no diagonal; it must be in `also`" in end.reason


SLOW = 0.1


def slow_thunks(count):
    def method(op, /, *, num_matvecs, generator):
        for _ in range(count):
            product(op)
            yield Estimate(lambda: time.sleep(SLOW) or 1.0)

    return method


def test_the_wall_of_a_checkpoint_holds_its_own_evaluation_and_no_earlier_one():
    checkpoints, end = run(slow_thunks(6))
    walls = [said.costs.wall_s for said in checkpoints]
    assert all(SLOW <= wall < 1.9 * SLOW for wall in walls)
    assert SLOW <= end.costs.wall_s < 1.9 * SLOW


def test_the_wall_of_a_filled_budget_is_that_of_the_estimate_that_fills_it():
    checkpoints, end = run(slow_thunks(1))
    assert [said.costs.wall_s >= SLOW for said in checkpoints] == [True] * 3
    assert end.costs.wall_s >= SLOW


def test_iteration_time_is_on_the_wall_of_every_later_checkpoint():
    def method(op, /, *, num_matvecs, generator):
        for _ in range(2):
            time.sleep(SLOW)
            product(op)
            yield Estimate(1.0)

    one, two = [said.costs.wall_s for said in run(method, [1, 2])[0]]
    assert SLOW <= one < 1.9 * SLOW
    assert 2 * SLOW <= two < 2.9 * SLOW


def test_load_build_and_warm_up_are_on_clocks_of_their_own():
    def build(device, dtype):
        time.sleep(SLOW)
        return FunctionOperator(lambda b: 2 * b, N, dtype, device)

    problem = Problem("slow-build", N, build, load=lambda: time.sleep(4 * SLOW))
    checkpoints, end = run(steps([1]), [1], problem=problem)
    assert end.costs.load_s >= 4 * SLOW
    assert SLOW <= end.costs.build_s < 3 * SLOW
    assert end.costs.warmup_s > 0
    assert checkpoints[0].costs.wall_s < SLOW / 2


def test_warm_up_multiplies_every_declared_width_and_charges_nothing():
    widths = []

    def matmat(block):
        widths.append(block.shape[1])
        return 2 * block

    problem = Problem("seen", N, lambda device, dtype: FunctionOperator(matmat, N, dtype, device))
    _, end = run(steps([1]), [1], problem=problem, block_widths=lambda num_matvecs: (4, 100))
    assert widths == [3, 4, N, 1, 1, 1]
    assert end.costs.matvecs == 1


def test_the_memory_pass_emits_its_checkpoint_with_peaks_and_flops():
    checkpoints, end = run(steps([2, 2]), [4], pass_=MEMORY)
    assert rows(checkpoints) == [(4, 4, 4)]
    assert end.status == "ok"
    assert end.costs.flops == 2 * N * N * 4
    assert end.costs.matvecs == 4
    assert end.costs.host_peak_bytes is None or end.costs.host_peak_bytes >= 0
    assert end.costs.device_peak_bytes is None
    assert "CPU" in end.notes["device_peak_bytes"]
    # The pass is a run that is thrown away, and the one whose time is on the wall.
    assert end.costs.peak_s > end.costs.wall_s
    assert "peak_s" not in end.notes


def test_the_time_pass_says_where_peaks_and_flops_are_measured():
    _, end = run(steps([2]), [2])
    assert {getattr(end.costs, name) for name in MEMORY_PASS} == {None}
    assert set(MEMORY_PASS) <= set(end.notes)


def kept_by(spec, pass_=TIME):
    """What the operator of a problem keeps, by the row of a cell."""
    problem = load_catalog(()).problem(spec)
    gc.collect()  # as in the new process that a cell has
    _, end = run(steps([2]), [2], problem=problem, pass_=pass_)
    return end.costs.operator_bytes


@pytest.mark.parametrize("pass_", [TIME, MEMORY])
def test_what_a_synthetic_operator_keeps_is_its_data(pass_):
    kept_by("student-t[n=20000]")  # what is imported and computed once for all counts for the first
    # Eigenvalues and signs in float32, and little beside them.
    small, large = kept_by("student-t[n=20000]", pass_), kept_by("student-t[n=40000]", pass_)
    assert large - small == pytest.approx(8 * 20_000, rel=0.1)
    assert small < 12 * 20_000


def test_what_a_network_keeps_grows_with_its_samples_as_its_activations_do():
    spec = "mlp[data=digits,engine=kept-graph,per_class={},weights=random,widths=1000]"
    # Libraries keep buffers and compiled kernels of shapes they see for the first time, so the first round is left out.
    *_, few, some, many = (kept_by(spec.format(per_class)) for per_class in 2 * (20, 40, 80))
    # Each sample has 1000 activations of 4 bytes at the least.
    assert some - few > 200 * 1000 * 4
    assert many - some == pytest.approx(2 * (some - few), rel=0.1)


def test_where_nobody_knows_what_is_kept_the_row_says_so(monkeypatch):
    monkeypatch.setattr("hessbench.cells.execute.KeptMeter.kept_bytes", lambda self: None)
    _, end = run(steps([2]), [2])
    assert end.costs.operator_bytes is None
    assert "memory is in use" in end.notes["operator_bytes"]


@pytest.mark.parametrize("draws", [0, 1])
@pytest.mark.parametrize("pass_", [TIME, MEMORY])
def test_the_end_says_whether_anything_was_drawn(draws, pass_):
    def method(op, /, *, num_matvecs, generator):
        op.matmat(product(op))
        torch.rand(draws, generator=generator)
        return Estimate(1.0)

    assert run(method, budgets=(2,), pass_=pass_)[1].drew_random is bool(draws)


def test_every_run_starts_from_the_seed_of_its_cell():
    def method(op, /, *, num_matvecs, generator):
        return Estimate(torch.randn(1, generator=generator, dtype=torch.float64))

    expected = torch.randn(
        1, generator=make_generator(Cell(PROBLEM.name, "mine", "trace", (2,)).seed), dtype=torch.float64
    )
    for pass_ in (TIME, MEMORY):
        assert run(method, [2], pass_=pass_)[0][0].arrays["trace"][0] == float(expected)


def test_claimed_intervals_are_kept_with_the_values_and_scored():
    interval = (np.array([7.9, 6.0]), np.array([8.1, 6.5]))

    def method(op, /, *, num_matvecs, generator):
        product(op)
        return Estimate(np.array([8.0, 7.0]), interval=interval)

    estimand = TopEigenvalues(2)
    (said,), _ = run(method, [1], estimands=(TopEigenvalues,), estimand=estimand)
    np.testing.assert_array_equal(said.arrays["upper"], interval[1])
    truth = Reference({"eigenvalues": np.array([8.0, 7.0])}, Source.DENSE, 8.0)
    assert estimand.errors(said.arrays, truth, "float64")["interval_misses"] == 1


def test_what_a_method_says_of_itself_is_kept_as_plain_values():
    said = {"steps": 3, "mode": "full", "bad": float("nan"), "number": torch.tensor(2.5), "large": torch.ones(3),
            "list": [1.0, float("inf")], "mixed": [1, "a"], "long": list(range(500))}  # fmt: skip
    checkpoints, _ = run(
        lambda op, /, *, num_matvecs, generator: Estimate(1.0, stderr=0.5, converged=True, diagnostics=said), [2]
    )
    said = checkpoints[0]
    assert (said.said_stderr, said.said_converged) == (0.5, True)
    assert said.diagnostics == {
        "steps": 3, "mode": "full", "bad": None, "number": 2.5, "list": [1.0, None], "mixed": "[1, 'a']",
        "long": list(range(100)),
    }  # fmt: skip


def raising(failure):
    def method(op, /, *, num_matvecs, generator):
        product(op, 2)
        yield Estimate(1.0)
        raise failure

    return method


def test_an_exception_keeps_what_was_yielded_before_and_is_named_without_a_path():
    checkpoints, end = run(raising(RuntimeError("it broke")))
    assert rows(checkpoints)[:1] == [(2, 2, 1)]
    assert end.status == "error"
    assert end.reason.startswith("RuntimeError: it broke (test_execute.py:")
    assert end.costs.matvecs == 2


@pytest.mark.parametrize(
    ("failure", "status"),
    [
        (ValueError("no"), Status.ERROR),
        (MemoryError(), Status.OOM_HOST),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried"), Status.OOM_HOST),
        (OSError(12, "Cannot allocate memory"), Status.OOM_HOST),
        (torch.OutOfMemoryError("CUDA out of memory."), Status.OOM_DEVICE),
    ],
)
def test_memory_is_told_from_other_failures(failure, status):
    assert classify(failure)[0] is status
    assert run(raising(failure))[1].status == status


def test_an_exit_is_not_caught():
    with pytest.raises(SystemExit):
        run(raising(SystemExit(3)))


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_an_estimate_that_is_not_finite_is_diverged_with_the_method_s_reason(value):
    def method(op, /, *, num_matvecs, generator):
        return Estimate(value, diagnostics={"reason": "it blew up"})

    checkpoints, end = run(method, [2])
    assert not checkpoints[0].finite
    assert (end.status, end.reason) == ("diverged", "it blew up")


@pytest.mark.parametrize(
    ("method", "says"),
    [
        (lambda op, /, *, num_matvecs, generator: 1.0, "a method returns or yields Estimate, got float"),
        (lambda op, /, *, num_matvecs, generator: None, "got NoneType"),
        (lambda op, /, *, num_matvecs, generator: Estimate(np.ones(2)), "one number"),
        (lambda op, /, *, num_matvecs, generator: Estimate(None), "NoneType"),
        (steps([]), "ended without an estimate"),
    ],
)
def test_what_is_no_estimate_is_an_error(method, says):
    checkpoints, end = run(method)
    assert (checkpoints, end.status) == ([], "error")
    assert says in end.reason


def broken_problem(build, n=N):
    return Problem("broken", n, build)


@pytest.mark.parametrize(
    ("problem", "says"),
    [
        (broken_problem(lambda d, t: FunctionOperator(lambda b: b, N, t), N + 1), "its problem declares 9"),
        (broken_problem(lambda d, t: FunctionOperator(lambda b: b, N, torch.float64)), "the cell asks for float32"),
        (broken_problem(lambda d, t: FunctionOperator(lambda b: b.cumsum(0), N, t)), "not symmetric"),
        (broken_problem(lambda d, t: FunctionOperator(lambda b: b * float("nan"), N, t)), "not finite"),
        (broken_problem(lambda d, t: 1 / 0), "ZeroDivisionError"),
    ],
)
def test_an_operator_that_is_not_what_it_says_is_an_error_before_the_method_runs(problem, says):
    checkpoints, end = run(steps([1]), problem=problem)
    assert (checkpoints, end.status) == ([], "error")
    assert says in end.reason
    assert (end.costs.matvecs, end.costs.wall_s) == (0, None)


def test_an_operator_that_fails_in_the_middle_is_blamed_and_not_the_method():
    def build(device, dtype):
        calls = []

        def matmat(block):
            calls.append(1)
            return 2 * block * (float("nan") if len(calls) == 5 else 1)

        return FunctionOperator(matmat, N, dtype, device)

    _, end = run(steps([1] * 6), problem=broken_problem(build))
    assert (end.status, end.reason) == ("error", "the operator returned values that are not finite")


def test_a_method_that_alters_the_operator_is_caught():
    def build(device, dtype):
        diagonal = torch.ones(N, 1, dtype=dtype)
        op = FunctionOperator(lambda block: diagonal * block, N, dtype, device)
        op.diagonal = diagonal
        return op

    def method(op, /, *, num_matvecs, generator):
        op._inner.diagonal.mul_(2)
        return Estimate(1.0)

    _, end = run(method, [2], problem=broken_problem(build))
    assert end.status == "error"
    assert "altered its input" in end.reason


def test_the_number_of_threads_is_that_of_the_cell():
    seen = []

    def method(op, /, *, num_matvecs, generator):
        seen.append(torch.get_num_threads())
        return Estimate(1.0)

    torch.set_num_threads(2)
    run(method, [2])
    assert seen == [1]


def test_products_of_a_lazy_value_count_in_its_row():
    def lazy(op, /, *, num_matvecs, generator):
        return Estimate(lambda: float(product(op, num_matvecs).sum()))

    checkpoints, end = run(lazy, [6])
    assert [(said.costs.matvecs, said.costs.calls, said.costs.counts) for said in checkpoints] == [
        (6, 1, {"product": 6})
    ]
    assert (end.status, end.costs.matvecs) == ("ok", 6)
    assert checkpoints[0].costs.wall_s >= checkpoints[0].costs.operator_s > 0


def test_products_of_a_lazy_value_may_not_pass_the_budget_of_its_row():
    def lazy(op, /, *, num_matvecs, generator):
        product(op)
        yield Estimate(lambda: float(product(op, 3).sum()))

    checkpoints, end = run(lazy, [1, 4, 6])
    assert [(said.budget, said.costs.matvecs) for said in checkpoints] == [(4, 4), (6, 4)]
    assert end.status == "over-budget"
    assert "while the value of budget 1 was evaluated" in end.reason


@pytest.mark.parametrize("make", [lambda: torch.zeros(1), lambda: np.zeros(1), lambda: torch.zeros(())])
def test_an_accumulator_changed_in_place_is_scored_as_it_was_yielded(make):
    def accumulates(op, /, *, num_matvecs, generator):
        total = make()
        for _ in range(3):
            product(op, 8)
            total += 8
            yield Estimate(total if total.ndim == 0 else total[0])

    checkpoints, _ = run(accumulates, [8, 20, 24])
    assert rows(checkpoints) == [(8, 8, 8), (20, 16, 16), (24, 24, 24)]


def test_the_two_parts_of_a_density_are_copied_too():
    def accumulates(op, /, *, num_matvecs, generator):
        nodes, weights = torch.zeros(2), torch.full((2,), 0.5)
        for _ in range(3):
            product(op)
            nodes += 1
            yield Estimate((nodes, weights))

    checkpoints, _ = run(accumulates, [1, 2, 3], (Density,))
    assert [float(said.arrays["nodes"][0]) for said in checkpoints] == [1, 2, 3]


def goes_round(op, /, *, num_matvecs, generator):
    op._inner.matmat(torch.ones(op.dim, 5, dtype=op.dtype))
    product(op)
    yield Estimate(1.0)


def forgets(op, /, *, num_matvecs, generator):
    product(op, 3)
    op.spending.matvecs = 1
    yield Estimate(1.0)


def idles(op, /, *, num_matvecs, generator):
    yield Estimate(36.0)


def declares(op, /, *, num_matvecs, generator):
    op.charge(ProductKind.PRODUCT, 2)
    product(op)
    yield Estimate(1.0)


@pytest.mark.parametrize(
    ("method", "note"),
    [
        (goes_round, "6 products were computed and 1 charged"),
        (forgets, "3 products were computed and 1 charged"),
        (idles, "no product was charged"),
        (declares, None),
        (steps([1, 2]), None),
    ],
)
def test_a_row_says_where_its_two_counts_differ_or_nothing_was_spent(method, note):
    _, end = run(method, [6])
    assert end.status == "ok"
    if note is None:
        assert "matvecs" not in end.notes
    else:
        assert note in end.notes["matvecs"]


def through_the_pipe(messages, cell):
    """What the supervisor makes of messages: refused where one does not fit."""
    outcome, decoder = Outcome(CellJob(cell)), Decoder()
    for message in messages:
        outcome.add(decoder.feed(frame(message)))
    return outcome.messages


@pytest.mark.parametrize("pass_", [TIME, MEMORY])
@pytest.mark.parametrize("said", [float("nan"), float("inf"), np.float32("nan"), torch.tensor(float("inf")), 0.5])
def test_an_honest_estimate_with_an_odd_error_of_its_own_is_a_message_that_fits(pass_, said):
    def method(op, /, *, num_matvecs, generator):
        product(op)
        yield Estimate(1.0, stderr=said, converged=np.bool_(True), diagnostics={"matvecs": 10**30, "x": said, 5: None})

    checkpoints, end = run(method, pass_=pass_)
    sent = [*checkpoints, end]
    assert through_the_pipe(sent, Cell("small", "mine", "trace", (2, 4, 6))) == sent
    assert end.status == "ok"
    assert {said.said_stderr for said in checkpoints} == {0.5 if said == 0.5 else None}


@pytest.mark.parametrize("pass_", [TIME, MEMORY])
def test_a_value_that_asks_for_too_much_when_it_is_evaluated_is_over_budget_in_both_passes(pass_):
    def method(op, /, *, num_matvecs, generator):
        return Estimate(lambda: float(sum(product(op).sum() for _ in range(num_matvecs + 1))))

    _, end = run(method, [3], pass_=pass_)
    assert end.status == "over-budget"


@pytest.mark.parametrize("number", [{"bound": float("inf")}, {"norm": float("nan")}, {"rounding": -1.0}])
def test_a_reference_of_numbers_that_cannot_be_costs_itself_and_says_so(tmp_path, number):
    def build(_):
        return Reference({"trace": np.array([36.0])}, Source.ANALYTIC, **({"norm": 8.0} | number))

    catalog = load_catalog()
    odd = dataclasses.replace(PROBLEM, name="odd", references={Trace: build})
    emitted = []
    job = ReferenceJob("odd", ("trace",), str(tmp_path), threads=1)
    catalog.add(problems=[odd], source="here")
    perform(job, catalog, emitted.append, lambda _: None)
    assert [type(message) for message in emitted] == [ProblemHash, ReferenceProgress, NoReference, End]
    assert f"{next(iter(number))} of a reference must be finite" in emitted[2].reason


@pytest.mark.parametrize(("traits", "known"), [(("psd",), 0.0), ((), -math.inf)])
def test_a_method_is_told_what_its_problem_declares_of_the_spectrum(traits, known):
    told = []

    def method(op, /, *, num_matvecs, generator, known_low=1.0):
        told.append(known_low)
        product(op)
        return Estimate(0.0)

    assert run(method, [1], problem=dataclasses.replace(PROBLEM, traits=traits))[1].status == "ok"
    assert told == [known]
