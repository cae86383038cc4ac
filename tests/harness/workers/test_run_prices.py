"""Measured prices of runs: what a job says, in order, and rehearsals that ask for what a run asks for."""

import pytest
import torch

from hessbench.catalog import load_catalog
from hessbench.estimand import parse_estimand
from hessbench.workers import run_prices
from hessbench.workers.jobs import perform
from hessbench.workers.messages import RunPriceJob
from hessbench.workers.price_messages import BlockPrice, BuiltPrice, MemoryPassPrice, Rehearsal
from hessbench.workers.rehearsal import MOST_PRODUCTS, SlowlyDecaying, rehearse

CATALOG = load_catalog(())
LIKE = torch.empty(0)


@pytest.fixture(autouse=True)
def settings(monkeypatch):
    """A job sets the number of threads and the allocator of its process."""
    monkeypatch.setattr(run_prices, "_allocate_as_in_the_memory_pass", lambda: None)
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


def said(problem, *runs, limit_s=20.0, rehearsed=True):
    found = []
    methods, estimands, budgets = zip(*runs, strict=True)
    job = RunPriceJob(problem, "cpu", "float32", 1, methods, estimands, budgets, (rehearsed,) * len(runs), limit_s)
    perform(job, CATALOG, found.append, lambda spent: None)
    *messages, end = found
    assert end.status == "ok", end.reason
    assert end.busy_s > 0
    return messages


def rehearsed(method, budget, dim, estimand="trace", factor=None):
    return rehearse(CATALOG.method(method, parse_estimand(estimand)), budget, dim, LIKE, factor)


def test_a_problem_is_built_blocks_are_timed_up_to_the_widest_and_runs_are_rehearsed():
    built, *rest = said("student-t[n=300]", ("sketch", "trace", 20), ("hutchinson", "trace", 8))
    assert isinstance(built, BuiltPrice)
    assert (built.kind_of_product, built.dim, built.bandwidth) == ("product", 300, None)
    blocks = [one for one in rest if isinstance(one, BlockPrice)]
    assert [one.width for one in blocks] == [1, 4, 16, 20]
    assert all(one.seconds > 0 for one in blocks)
    counted = [one for one in rest if isinstance(one, MemoryPassPrice)]
    assert [one.width for one in counted] == [1, 4]
    assert all(one.counted_s > 0 for one in counted)
    assert [one.method for one in rest if isinstance(one, Rehearsal)] == ["sketch", "hutchinson"]


def test_runs_that_were_rehearsed_before_say_only_how_wide_blocks_are():
    messages = said("student-t[n=300]", ("sketch", "trace", 20), rehearsed=False)
    assert [type(one) for one in messages] == [BuiltPrice, *[BlockPrice] * 4, *[MemoryPassPrice] * 2]


def test_the_factor_is_priced_where_a_method_needs_it():
    messages = said("digits-mlp[operator=ggn,step=0]", ("ggn-diagonal-exact", "diagonal", 20))
    kinds = {one.kind_of_product for one in messages if isinstance(one, BlockPrice)}
    assert kinds == {"ggn", "vjp", "per-example-square"}
    (run,) = (one for one in messages if isinstance(one, Rehearsal))
    # Ten classes: one square for each.
    assert (run.spent, run.blocks) == (10, {"per-example-square 10": 1})


def test_what_the_limit_leaves_no_time_for_is_left_out():
    messages = said("student-t[n=300]", ("sketch", "trace", 200), limit_s=0.0)
    assert [type(one) for one in messages] == [BuiltPrice, BlockPrice, *[MemoryPassPrice] * 2]


@pytest.mark.parametrize(
    ("method", "estimand", "budget", "blocks"),
    [
        ("lanczos[reorth=full]", "top-eigenvalues[k=3]", 12, {"product 1": 12}),
        ("power-iteration", "top-eigenvalues[k=3]", 30, {"product 1": 30}),
        ("sketch", "trace", 20, {"product 20": 1}),
        ("hutchpp", "trace", 20, {"product 6": 1, "product 14": 1}),
    ],
)
def test_a_rehearsal_asks_for_the_products_of_a_run(method, estimand, budget, blocks):
    found = rehearsed(method, budget, 500, estimand)
    assert found.blocks == blocks
    assert (found.dim, found.allowed, found.spent) == (500, budget, budget)
    assert found.own_s >= 0


def test_a_long_run_is_rehearsed_in_part_and_one_of_the_whole_dimension_as_such():
    assert rehearsed("hutchinson", 10_000, 10**6).allowed == MOST_PRODUCTS
    whole = rehearsed("dense", 40, 40)
    assert (whole.dim, whole.allowed, whole.spent) == (40, 40, 40)


@pytest.mark.parametrize("signs", [True, False])
def test_the_operator_of_rehearsals_is_symmetric_with_the_spectrum_it_says(signs):
    op = SlowlyDecaying(40, torch.empty(0, dtype=torch.float64), signs=signs, factor=None)
    A = op.matmat(torch.eye(40, dtype=torch.float64))
    assert torch.allclose(A, A.T)
    found = torch.linalg.eigvalsh(A).abs().sort(descending=True).values
    index = torch.arange(40, dtype=torch.float64)
    assert torch.allclose(found, 1 / (1 + 2 * index / 40))
    assert bool((torch.linalg.eigvalsh(A) < 0).any()) is signs
