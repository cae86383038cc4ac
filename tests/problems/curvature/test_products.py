"""Operator x engine x loss x network: every product against the dense matrix of one oracle."""

from itertools import cycle

import pytest
import torch
from small_networks import LOSSES, NETWORKS, SPLITS, oracle_of, small_network, takes

from hessbench.operators import check_operator, to_dense
from hessbench.problems.curvature.engines.choosing import Limits
from hessbench.problems.curvature.engines.table import AUTO, ENGINES, engine_names
from hessbench.problems.curvature.matrices import OPERATORS, curvature_operator, operator_dim

USUAL = "cross-entropy mean"
SAMPLES = [loss for loss in LOSSES if not loss.startswith("of-positions")]
THREE = (USUAL, "squared sum", "log-cosh mean")
# Compiling takes half a minute a product, and what is compiled is the kept graph: `engines/test_compiled.py`.
NAMED = {name: [e for e in engine_names(name) if e not in ("compiled", AUTO)] for name in OPERATORS}
CROSS = [(operator, network) for operator in OPERATORS for network in NETWORKS]


@pytest.fixture(autouse=True)
def one_thread():
    """Products this small wait for a second thread longer than they take."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def near(op, truth, width, told):
    # A few dozen terms of order 10 at most, so 1e-13 is a few hundred roundings.
    found = to_dense(op, width)
    bound = 1e-13 * max(1.0, float(truth.abs().max()))
    assert float((found - truth).abs().max()) <= bound, told


def losses_of(operator, network):
    """All on the dense network, one of each formula elsewhere; the kernel asks the loss for nothing."""
    if network == "sequence":
        return ("of-positions mean",)
    names = (USUAL, "log-cosh sum") if operator == "ntk" else SAMPLES if network == "dense" else THREE
    return [loss for loss in names if takes(loss, operator)]


def engines_of(operator, network, loss):
    """All on the usual loss; on others all where blocks are quick and the matrix is an engine's own, else the first."""
    named = NAMED[operator] or [AUTO]
    if loss == USUAL and operator == "hessian" and network == "dense":
        return [AUTO, *named]
    if operator in ("hessian", "ggn") and (loss == USUAL or (network == "dense" and loss in THREE)):
        return named
    if loss == USUAL and network == "dense":
        return [name for name in named if not is_costly(name)]
    return [name for name in named if not is_costly(name)] if network == "sequence" else named[:2]


def is_costly(engine):
    return engine in ENGINES and ENGINES[engine].is_costly


def splits_of(engine, loss, turn):
    """Both on the usual loss, one in turn on others; one for what is traced anew for every batch."""
    if is_costly(engine):
        return ["one batch"]
    return list(SPLITS) if loss == USUAL else [next(turn)]


@pytest.mark.parametrize(("operator", "network"), CROSS)
def test_every_engine_and_loss_multiplies_with_the_dense_matrix_in_any_cut_and_width(operator, network):
    turn, widths = cycle(SPLITS), cycle((1, 5, 64))
    for loss in losses_of(operator, network):
        truth = oracle_of(network, loss).matrix(operator)
        for engine in engines_of(operator, network, loss):
            for split in splits_of(engine, loss, turn):
                net = small_network(network, loss, SPLITS[split])
                op = curvature_operator(net, operator, engine)
                assert op.dim == operator_dim(net, operator) == len(truth)
                near(op, truth, next(widths), (loss, engine, split))
            if loss == USUAL:
                check_manners(op, truth)


def check_manners(op, truth):
    """Symmetric and linear; the same with or without gradients, twice, from any layout, and column by column."""
    check_operator(op, torch.Generator().manual_seed(2))
    block = torch.randn(3, op.dim, generator=torch.Generator().manual_seed(1), dtype=torch.float64).T
    with torch.no_grad():
        quiet = op.matmat(block)
    assert not quiet.requires_grad
    torch.testing.assert_close(quiet, truth @ block, rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(quiet, op.matmat(block), rtol=0, atol=0)
    one_by_one = torch.cat([op.matmat(block[:, j : j + 1].contiguous()) for j in range(3)], dim=1)
    torch.testing.assert_close(quiet, one_by_one, rtol=0, atol=1e-13)
    torch.testing.assert_close(quiet, op.matmat(block.contiguous()), rtol=0, atol=1e-13)
    assert not op.matmat(block.requires_grad_()).requires_grad


@pytest.mark.parametrize("network", ["dense", "convolutions"])
def test_the_ways_of_making_blocks_and_jacobians_differ_in_no_digit_that_counts(network):
    for operator in OPERATORS:
        truth = oracle_of(network, USUAL).matrix(operator)
        for batched, traced in ((True, False), (False, False), (False, True)):
            net = small_network(network, sizes=(4, 3), batched=batched, traced=traced)
            engine = "kept-graph" if NAMED[operator] else AUTO
            near(curvature_operator(net, operator, engine), truth, 5, (operator, batched, traced))


@pytest.mark.parametrize("matrix", ["hessian", "ggn"])
def test_micro_batches_of_any_size_weigh_every_sample_the_same(matrix):
    for engine in (name for name in NAMED[matrix] if not ENGINES[name].is_costly):
        # Of batches of 3, 3 and 1 micro-batches of 2 leave the most that are cut short.
        for network, loss, split, sizes in (
            ("dense", USUAL, "one batch", (1, 3, 7, 8)), ("convolutions", "squared sum", "ragged batches", (2, 8)),
        ):  # fmt: skip
            truth = oracle_of(network, loss).matrix(matrix)
            for micro_batch in sizes:
                net = small_network(network, loss, SPLITS[split])
                op = curvature_operator(net, matrix, engine, Limits(micro_batch=micro_batch))
                assert f"micro-batches of {micro_batch}" in op.info.engine
                near(op, truth, 64, (engine, network, micro_batch))


@pytest.mark.parametrize("operator", OPERATORS)
def test_single_precision_is_off_by_its_rounding_only(operator):
    for network in NETWORKS:
        for loss in losses_of(operator, network) if network in ("dense", "sequence") else [USUAL]:
            truth = oracle_of(network, loss).matrix(operator)
            named = NAMED[operator] or [AUTO]
            for engine in named if (network, loss) == ("dense", USUAL) else named[:1]:
                net = small_network(network, loss, (3, 3, 1), torch.float32)
                found = to_dense(curvature_operator(net, operator, engine))
                assert found.dtype == torch.float32
                off = float((found.double() - truth).norm())
                assert off <= 20 * 2.0**-23 * float(truth.norm()), (network, loss, engine)
