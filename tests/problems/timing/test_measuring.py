"""What products cost beside a gradient: every way takes part, agrees before it is timed, and is counted."""

import math

import pytest
import torch

from hessbench.problems.curvature.engines.operator import EngineOperator
from hessbench.problems.network_families.digits_mlp import digits_mlp_problem
from hessbench.problems.networks.network import Network
from hessbench.problems.timing.measuring import YARDSTICK, Way, engine_way, measure


@pytest.fixture(scope="module")
def network() -> Network:
    return digits_mlp_problem(step=0, width=3).network()


def rows_of(found, way):
    return [row for row in found if row.way == way]


@pytest.mark.parametrize("matrix", ["hessian", "ggn"])
def test_every_way_and_width_has_a_row_with_a_time_a_ratio_and_a_memory(network, matrix):
    found = measure(network, matrix, [engine_way("auto"), engine_way("double-backward")], widths=(1, 3), repeats=2)
    assert [(row.way, row.width) for row in found] == [
        ("auto", 1), ("auto", 3), ("double-backward", 1), ("double-backward", 3), (YARDSTICK, 1), (YARDSTICK, 3),
    ]  # fmt: skip
    for row in found:
        assert row.matrix == matrix
        assert row.seconds > 0
        assert 0 < row.low <= row.ratio <= row.high
        assert row.setup > 0
        assert row.flops > 0
        assert row.peak_bytes >= row.kept_bytes >= 0
        assert row.difference < 1e-5
    assert rows_of(found, YARDSTICK)[0].over_kept == 1
    assert rows_of(found, "double-backward")[0].kept_bytes == 0


def test_a_block_of_the_kept_graph_keeps_what_one_vector_keeps_and_peaks_higher(network):
    one, block = measure(network, "hessian", [engine_way(YARDSTICK)], widths=(1, 8), repeats=1)
    assert one.kept_bytes == block.kept_bytes
    assert block.peak_bytes > one.peak_bytes


def test_a_product_that_disagrees_is_not_timed(network):
    wrong = Way("wrong", lambda network, matrix: lambda block: 2 * block)
    (row,) = rows_of(measure(network, "hessian", [wrong], widths=(1,), repeats=1), "wrong")
    assert row.seconds is None
    assert "differs from that of the kept graph" in row.note


def test_a_way_that_gives_nan_is_not_timed(network):
    wrong = Way("nan", lambda network, matrix: lambda block: block * math.nan)
    (row,) = rows_of(measure(network, "hessian", [wrong], widths=(1,), repeats=1), "nan")
    assert row.seconds is None
    assert row.difference is None  # the page takes no number that is none


def test_a_way_that_is_wrong_for_blocks_alone_is_not_timed(network):
    def make(network, matrix):
        op = EngineOperator(network, matrix, YARDSTICK)
        return lambda block: op.matmat(block) * (1 + 0.1 * (block.shape[1] > 1))

    (row,) = rows_of(measure(network, "ggn", [Way("wide", make)], widths=(1, 4), repeats=1), "wide")
    assert row.seconds is None
    assert row.difference == pytest.approx(0.1, rel=1e-3)


def test_every_way_out_of_memory_leaves_its_notes(network):
    def refuse(network, matrix):
        raise RuntimeError

    ways = [Way("none", refuse), Way(YARDSTICK, refuse)]
    assert [(row.way, row.note) for row in measure(network, "ggn", ways, repeats=1)] == [
        ("none", "RuntimeError"), (YARDSTICK, "RuntimeError"),
    ]  # fmt: skip


def test_a_way_that_cannot_be_set_up_says_why_and_the_others_go_on(network):
    def refuse(network, matrix):
        raise ImportError("no such library: install it")

    found = measure(network, "ggn", [Way("absent", refuse)], widths=(1,), repeats=1)
    assert rows_of(found, "absent")[0].note == "no such library: install it"
    assert rows_of(found, YARDSTICK)[0].seconds > 0


def test_the_yardstick_is_the_network_as_it_is_written(network):
    calls: list[str] = []

    def counted(parameters, inputs):
        calls.append("as written")
        return network.forward(parameters, inputs)

    written = Network(network.forward, network.parameters, network.batches, network.loss, as_written=counted)
    measure(written, "hessian", [engine_way(YARDSTICK)], widths=(1,), repeats=1)
    assert calls


@pytest.mark.parametrize(("widths", "repeats"), [((0,), 1), ((), 1), ((1,), 0)])
def test_numbers_below_one_are_refused(network, widths, repeats):
    with pytest.raises(ValueError, match="repeats and widths must be at least 1"):
        measure(network, "hessian", [], widths=widths, repeats=repeats)


def test_nothing_of_the_network_changes(network):
    before = network.parameters.clone()
    measure(network, "hessian", [engine_way("auto")], widths=(1,), repeats=1)
    assert torch.equal(network.parameters, before)
    assert not network.parameters.requires_grad
