"""What a product, a block and a step of Lanczos cost, and what counting adds."""

import time
from collections.abc import Callable
from statistics import median

import pytest
import torch
from pytest_benchmark.fixture import BenchmarkFixture

from hessbench.catalog import load_catalog
from hessbench.counting import CountingOperator
from hessbench.methods.eigenvalues.lanczos import lanczos
from hessbench.operators import LinearOperator
from hessbench.problems.network_families.digits_mlp import digits, train

# About 1 ms a product: a spectrum rotated by real FFTs, as 61 divides its dimension, in float32.
MILLISECOND = "student-t[n=20008,zero_fraction=0.9]"


def built(spec: str) -> LinearOperator:
    return load_catalog().problem(spec).build(torch.device("cpu"), torch.float32)


def block_for(op: LinearOperator, width: int) -> torch.Tensor:
    return torch.randn(op.dim, width, generator=torch.Generator().manual_seed(0))


def paired_ratio(first: Callable[[], object], second: Callable[[], object], pairs: int) -> float:
    """Median over pairs of the time of `second` over that of `first`, the order turned from pair to pair.

    Both halves of a pair meet the same load, so that the ratio stands where seconds would not.
    """
    ratios: list[float] = []
    for number in range(pairs):
        seconds = {}
        for which in (first, second) if number % 2 else (second, first):
            begin = time.perf_counter_ns()
            which()
            seconds[which] = time.perf_counter_ns() - begin
        ratios.append(seconds[second] / seconds[first])
    return median(ratios)


@pytest.fixture(autouse=True)
def one_thread() -> object:
    """One thread, as in a timed cell."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.mark.parametrize("spec", [MILLISECOND, "digits-mlp[step=500]", "digits-mlp[operator=ggn,step=500]"])
@pytest.mark.parametrize("width", [1, 16])
def test_a_product(benchmark: BenchmarkFixture, spec: str, width: int) -> None:
    op = built(spec)
    block = block_for(op, width)
    product = benchmark(op.matmat, block)
    benchmark.extra_info["products"] = width
    assert product.shape == block.shape


@pytest.mark.parametrize("reorth", ["full", "none"])
def test_a_step_of_lanczos(benchmark: BenchmarkFixture, reorth: str) -> None:
    op = built(MILLISECOND)
    budget = 10

    def run() -> int:
        steps = lanczos(op, num_matvecs=budget, generator=torch.Generator().manual_seed(0), reorth=reorth)
        return sum(1 for _ in steps)

    assert benchmark(run) == budget
    block = block_for(op, 1)
    ratio = paired_ratio(lambda: [op.matmat(block) for _ in range(budget)], run, 20)
    benchmark.extra_info["step_over_product"] = round(ratio, 4)


def test_a_counted_product(benchmark: BenchmarkFixture) -> None:
    op = built(MILLISECOND)
    block = block_for(op, 1)
    counted = CountingOperator(op)
    benchmark(counted.matmat, block)
    ratio = paired_ratio(lambda: op.matmat(block), lambda: counted.matmat(block), 200)
    benchmark.extra_info["counted_over_bare"] = round(ratio, 4)
    assert counted.calls == counted.matvecs > 0


@pytest.mark.slow
def test_counting_costs_less_than_five_percent_of_a_millisecond_product() -> None:
    # 5 microseconds where all is in the cache, 10 to 50 after a product of a millisecond has been through it: 0.7 to
    # 3.5 % were seen, of the same code on one kind of machine.
    op = built(MILLISECOND)
    block = block_for(op, 1)
    counted = CountingOperator(op)
    for _ in range(20):
        counted.matmat(block)
    assert paired_ratio(lambda: op.matmat(block), lambda: counted.matmat(block), 1000) < 1.05


def test_a_training_of_the_digits(benchmark: BenchmarkFixture) -> None:
    images, labels = digits()
    benchmark(train, 32, 500, images, labels)
