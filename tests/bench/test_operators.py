"""What products cost beside one gradient of the same batch, engine by engine, in one interleaved run."""

import sys

import pytest
import torch
from pytest_benchmark.fixture import BenchmarkFixture

from hessbench.catalog import load_catalog
from hessbench.problems.curvature.engines.operator import EngineOperator
from hessbench.problems.networks.network import Network
from hessbench.problems.timing.measuring import engine_way, measure

PROBLEMS = (
    "digits-mlp",
    "mlp[activation=relu,data=mnist,per_class=100,weights=random,widths=128-128]",
    "resnet20-cifar10",
)


def network_of(spec: str) -> Network:
    problem = load_catalog().problem(spec)
    why = problem.unavailable() if problem.unavailable else None
    if why:
        pytest.skip(why)
    assert problem.network is not None
    network = problem.network()
    assert isinstance(network, Network)
    return network.to(torch.device("cpu"), torch.float32)


@pytest.mark.parametrize("matrix", ["hessian", "ggn"])
@pytest.mark.parametrize("spec", PROBLEMS)
def test_products_beside_a_gradient(benchmark: BenchmarkFixture, spec: str, matrix: str) -> None:
    if benchmark.disabled and spec != PROBLEMS[0]:
        pytest.skip("timed by `make bench` only")
    network = network_of(spec)
    before = torch.get_num_threads()
    torch.set_num_threads(1 if benchmark.disabled else 2)
    try:
        op = EngineOperator(network, matrix)
        column = torch.ones(op.dim, 1)
        benchmark(op.matmat, column)
        found = measure(network, matrix, [engine_way("auto")], repeats=1 if benchmark.disabled else 7)
    finally:
        torch.set_num_threads(before)
    rows = {
        f"{row.way}, block of {row.width}": (row.ratio, row.low, row.high, row.over_kept, row.setup) for row in found
    }
    benchmark.extra_info["over_a_gradient"] = rows
    for name, (ratio, low, high, over_kept, setup) in rows.items():
        text = f"{ratio:.2f} gradients ({low:.2f} to {high:.2f}), {over_kept:.2f} of the kept graph, set-up {setup:.1f}"
        sys.stderr.write(f"{spec} {matrix} {name}: {text}\n")
