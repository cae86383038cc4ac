"""Blocks that memory does not hold: cut beforehand by what a column takes, and again where memory runs out."""

import pytest
import torch

from hessbench.exceptions import is_out_of_memory
from hessbench.problems.curvature.engines.choosing import Limits
from hessbench.problems.curvature.engines.live_bytes import LiveBytes
from hessbench.problems.curvature.engines.operator import EngineOperator
from hessbench.problems.curvature.engines.splitting import SplitBlocks, memory_of
from hessbench.problems.curvature.matrices import curvature_operator

A = torch.randn(6, 6, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
BLOCK = torch.randn(6, 11, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
TOO_BIG = RuntimeError("[enforce fail at alloc_cpu.cpp:117] DefaultCPUAllocator: can't allocate memory: you tried ...")


class Recorder:
    """A product that remembers widths, and fails for those above a limit."""

    def __init__(self, limit=100, failure=TOO_BIG):
        self.widths = []
        self.measured = 0
        self.limit = limit
        self.failure = failure

    def __call__(self, block):
        self.widths.append(block.shape[1])
        if block.shape[1] > self.limit:
            raise self.failure
        return A @ block

    def measure(self):
        self.measured += 1
        return 100


def test_a_block_is_cut_where_its_columns_would_pass_the_cap_and_measured_once():
    product = Recorder()
    split = SplitBlocks(product, 450, product.measure)
    for _ in range(2):
        torch.testing.assert_close(split(BLOCK), A @ BLOCK, rtol=0, atol=1e-14)
    assert product.widths == [4, 4, 3] * 2
    assert product.measured == 1


def test_a_single_column_needs_no_measure_and_no_column_no_product():
    product = Recorder()
    split = SplitBlocks(product, 450, product.measure)
    assert split(BLOCK[:, :1]).shape == (6, 1)
    assert split(BLOCK[:, :0]).shape == (6, 0)
    assert (product.widths, product.measured) == ([1], 0)


def test_a_block_that_surely_fits_is_not_measured():
    product = Recorder()
    split = SplitBlocks(product, 100, product.measure, most_bytes=9)
    for block in (BLOCK, BLOCK.repeat(1, 2)):
        torch.testing.assert_close(split(block), A @ block, rtol=0, atol=1e-14)
    assert (product.widths[0], product.measured) == (11, 1)


def test_one_that_surely_fits_is_halved_where_memory_runs_out_all_the_same():
    product = Recorder(limit=6)
    SplitBlocks(product, 10**9, product.measure, most_bytes=1)(BLOCK)
    assert (product.widths, product.measured) == ([11, 5, 5, 1], 0)


@pytest.mark.parametrize("name", ["dense", "convolutions"])
@pytest.mark.parametrize("matrix", ["hessian", "ggn"])
def test_the_rules_take_no_more_than_they_say(network, name, matrix):
    op = EngineOperator(network(name), matrix, "rules")
    for width in (1, 4):
        with LiveBytes() as meter:
            op.matmat(torch.ones(op.dim, width, dtype=torch.float64))
        assert 0 < meter.peak <= width * op._kept[0].column_bytes


@pytest.mark.parametrize("failure", [TOO_BIG, torch.OutOfMemoryError("CUDA out of memory"), MemoryError("bad_alloc")])
def test_where_memory_runs_out_the_block_is_halved_and_the_width_remembered(failure):
    product = Recorder(limit=3, failure=failure)
    split = SplitBlocks(product, 10**9, product.measure)
    torch.testing.assert_close(split(BLOCK), A @ BLOCK, rtol=0, atol=1e-14)
    assert product.widths == [11, 5, 2, 2, 2, 2, 2, 1]
    product.widths.clear()
    split(BLOCK)
    assert product.widths == [2, 2, 2, 2, 2, 1]


def test_memory_that_one_column_does_not_find_is_an_error():
    product = Recorder(limit=0)
    with pytest.raises(RuntimeError, match="can't allocate memory"):
        SplitBlocks(product, 10**9, product.measure)(BLOCK)
    assert product.widths == [11, 5, 2, 1]


def test_another_failure_is_not_tried_again():
    product = Recorder(limit=3, failure=RuntimeError("shapes do not match"))
    with pytest.raises(RuntimeError, match="shapes do not match"):
        SplitBlocks(product, 10**9, product.measure)(BLOCK)
    assert product.widths == [11]
    assert not is_out_of_memory(RuntimeError("shapes do not match"))


@pytest.mark.parametrize("engine", ["auto", "kept-graph", "double-backward", "rules"])
def test_a_wide_block_of_a_network_is_cut_under_its_cap(network, engine):
    net = network("dense")
    whole = curvature_operator(net, "hessian", engine)
    tight = curvature_operator(net, "hessian", engine, Limits(cap_bytes=12_000))
    block = torch.randn(36, 30, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    torch.testing.assert_close(tight.matmat(block), whole.matmat(block), rtol=0, atol=1e-12)
    assert tight._product.width is not None
    assert 1 <= tight._product.width < 30
    assert whole._product.width is None or whole._product.width >= 30


def test_blocks_whose_columns_are_looped_over_are_not_cut(network):
    op = curvature_operator(network("convolutions"), "hessian", "kept-graph", Limits(cap_bytes=1))
    op.matmat(torch.ones(op.dim, 9, dtype=torch.float64))
    assert op._product.width >= 9


def test_half_of_the_free_memory_is_the_cap():
    assert 0 < memory_of(torch.device("cpu")) < 2**50
