"""Rows, subsets and parts of the matrices of small networks, held against dense matrices."""

from dataclasses import replace

import pytest
import torch
from small_networks import LOSSES, SAMPLES, small_network

from hessbench.counting import CountingOperator
from hessbench.flops import counting_flops
from hessbench.ledger.record import WITHOUT_ENGINE
from hessbench.operators import info_of, to_dense
from hessbench.problems.curvature.choice import MatrixChoice
from hessbench.problems.curvature.engines import operator as engine_operator
from hessbench.problems.curvature.network_rows import NetworkRows
from hessbench.problems.curvature.structured import FACTOR_ALONE, ROWS_ALONE
from hessbench.problems.curvature.subset import subset_network, subset_operator
from hessbench.problems.networks import module_forward
from hessbench.problems.networks.losses import CROSS_ENTROPY, cross_entropy
from hessbench.problems.networks.network import Batch, Network
from hessbench.problems.references.dense import dense_ggn, dense_hessian

ROOTED = [name for name, loss in LOSSES.items() if loss.root is not None]


def name_of(loss):
    return "sequence" if loss.startswith("of-positions") else "dense"


def close(found, expected):
    expected = torch.as_tensor(expected)
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-12 * max(float(expected.abs().max()), 1e-300))


@pytest.mark.parametrize("batched", [True, False])
@pytest.mark.parametrize("loss", ROOTED)
def test_rows_add_up_to_the_ggn_whatever_the_loss(loss, batched):
    network = replace(small_network(name_of(loss), loss, sizes=(4, 3)), batched=batched)
    rows = NetworkRows(network)
    norms = rows.root_norms()
    order = torch.randperm(norms.numel(), generator=torch.Generator().manual_seed(0))
    B = rows(order)
    close(B @ B.T, dense_ggn(network))
    # By descending norm where all outputs share a loss; and each row in its place whatever the order asked for.
    if network.loss.width is None:
        assert bool((norms.reshape(SAMPLES, -1).diff(dim=1) <= 0).all())
    close(rows.sample_norms(), norms.reshape(SAMPLES, -1).norm(dim=1))
    torch.testing.assert_close(rows(order[2:3]), B[:, 2:3])
    sample = torch.arange(rows.per_sample) + 5 * rows.per_sample
    part = rows(sample)
    close(part @ part.T, to_dense(subset_operator(network, "ggn", torch.tensor([5]))))


@pytest.mark.parametrize("loss", list(LOSSES))
@pytest.mark.parametrize("matrix", ["hessian", "ggn"])
def test_a_subset_is_the_sum_over_its_samples(matrix, loss):
    network = small_network(name_of(loss), loss, sizes=(4, 3))
    dense = {"hessian": dense_hessian, "ggn": dense_ggn}[matrix]
    samples = torch.tensor([6, 0, 3])
    found = to_dense(subset_operator(network, matrix, samples))
    total = sum(to_dense(subset_operator(network, matrix, torch.tensor([i]))) for i in range(SAMPLES))
    close(total, dense(network))
    close(found, sum(to_dense(subset_operator(network, matrix, torch.tensor([i]))) for i in (0, 3, 6)))
    info = info_of(subset_operator(network, matrix, samples))
    assert (info.samples, info.population) == (3, SAMPLES)


@pytest.mark.parametrize("matrix", ["hessian", "ggn"])
def test_weights_of_a_subset_weigh_its_samples(matrix):
    network = small_network(sizes=(4, 3))
    samples, weights = torch.tensor([6, 0, 3]), torch.tensor([0.5, 3.0, 0.0])
    single = [to_dense(subset_operator(network, matrix, torch.tensor([i]))) for i in (6, 0)]
    close(to_dense(subset_operator(network, matrix, samples, weights)), 0.5 * single[0] + 3 * single[1])
    alike = to_dense(subset_operator(network, matrix, samples[:2], torch.full((2,), 2.0)))
    close(alike, 2 * (single[0] + single[1]))


@pytest.mark.parametrize(
    ("samples", "weights", "said"),
    [
        ([], None, "with r at least 1"),
        ([1, 1], None, "each sample once"),
        ([0, SAMPLES], None, "numbers from 0 to 6"),
        ([0, 1], [1.0, -1.0], "at least 0"),
        ([0, 1], [1.0, float("nan")], "at least 0"),
        ([0, 1], [1.0], "one number"),
    ],
)
def test_a_subset_out_of_range_is_refused(samples, weights, said):
    weights = None if weights is None else torch.tensor(weights)
    with pytest.raises(ValueError, match=said):
        subset_network(small_network(), torch.tensor(samples, dtype=torch.int64), weights)


@pytest.mark.parametrize("numbers", [[0, 1], 3, torch.tensor([0.5]), torch.tensor([SAMPLES * 10]), torch.tensor(2)])
def test_rows_of_no_numbers_or_of_none_there_are_refused(numbers):
    with pytest.raises(ValueError, match=r"rows takes (a tensor of )?numbers"):
        MatrixChoice("ggn").of(small_network(), by_rows=True).rows(numbers)


@pytest.mark.parametrize(
    ("samples", "weights", "said"),
    [
        ([0, 1], None, "a subset takes a tensor of numbers from 0 to 6, .* got list"),
        (torch.tensor([0.5]), None, "a subset takes numbers .* got shape .1,. of torch.float32"),
        (torch.tensor([0, 1]), [1.0, 2.0], "weights takes a tensor of one number of at least 0 .* 2 samples, got list"),
    ],
)
def test_a_subset_of_what_is_no_tensor_is_refused(samples, weights, said):
    with pytest.raises(ValueError, match=said):
        MatrixChoice("hessian").of(small_network(), by_rows=True).subset(samples, weights)


def test_weights_that_differ_need_a_root():
    rootless = replace(CROSS_ENTROPY, root=None, product=None)
    with pytest.raises(ValueError, match="need a loss with a root"):
        subset_network(replace(small_network(), loss=rootless), torch.tensor([0, 1]), torch.tensor([1.0, 2.0]))


def test_outputs_that_are_not_finite_are_refused():
    network = small_network()
    broken = replace(network, parameters=network.parameters * float("nan"))
    with pytest.raises(ValueError, match="loss of batch 1 is nan"):
        NetworkRows(broken).root_norms()


def test_a_network_that_is_sure_of_every_sample_has_rows_without_weight():
    network = small_network()
    sure = replace(network, forward=lambda parameters, inputs: 1e4 * network.forward(parameters, inputs))
    labels = [sure.forward(sure.parameters, batch.inputs).argmax(dim=1) for batch in sure.batches]
    sure = replace(sure, batches=tuple(Batch(b.inputs, y) for b, y in zip(sure.batches, labels, strict=True)))
    rows = NetworkRows(sure)
    for norms in (rows.root_norms(), rows.sample_norms()):
        assert bool(norms.isfinite().all())
        assert float(norms.max()) < 1e-6


def test_a_hessian_is_its_parts():
    op = MatrixChoice("hessian", weight_decay=0.5).of(replace(small_network(), loss=cross_entropy(smoothing=0.1)))
    G, R = (to_dense(part) for part in (op.parts.ggn, op.parts.residual))
    close(G + R + op.parts.shift * torch.eye(op.dim, dtype=op.dtype), to_dense(op))
    close(to_dense(op.subset(torch.arange(SAMPLES))), G + R)


def test_the_engine_of_whole_products_waits_for_the_first_of_them():
    op = MatrixChoice("ggn").of(small_network(), by_rows=True)
    op.rows(torch.tensor([0]))
    assert info_of(op).engine == ROWS_ALONE
    op.matmat(torch.ones(op.dim, 1, dtype=op.dtype))
    # Which engine is the fastest is a matter of the clock.
    for built in (op, MatrixChoice("ggn").of(small_network())):
        assert "auto of" in info_of(built).engine or "remembered" in info_of(built).engine


def test_products_with_the_factor_make_no_engine():
    op = MatrixChoice("ggn").of(small_network(), by_rows=True)
    eye = torch.eye(op.factor.num_outputs, dtype=op.dtype).repeat(op.factor.num_samples, 1)
    diagonal = op.factor.summed_squares(eye)
    assert info_of(op).engine == FACTOR_ALONE
    assert info_of(op).engine.split(":")[0] in WITHOUT_ENGINE
    close(diagonal, to_dense(op).diagonal())
    close(MatrixChoice("ggn").of(small_network()).factor.summed_squares(eye), diagonal)


def test_the_engine_of_what_stands_for_whole_products_is_named():
    op = MatrixChoice("hessian").of(small_network(), by_rows=True)
    x = torch.ones(op.dim, 1, dtype=op.dtype)
    op.parts.ggn.rows(torch.tensor([0]))
    assert info_of(op).engine == ROWS_ALONE
    op.parts.residual.matmat(x)
    assert info_of(op).engine.startswith(f"{ROWS_ALONE}; residual by rules")
    op.subset(torch.tensor([0])).matmat(x)
    assert "; subsets by rules" in info_of(op).engine
    op.matmat(x)
    assert not info_of(op).engine.startswith(ROWS_ALONE)


def test_the_engine_of_subsets_is_compared_once(monkeypatch):
    compared = []
    compare = engine_operator.compare
    monkeypatch.setattr(
        engine_operator, "compare", lambda *asked, **named: compared.append(1) or compare(*asked, **named)
    )
    op = MatrixChoice("hessian").of(small_network(sizes=(4, 3)), by_rows=True)
    first, other = op.subset(torch.tensor([0, 2])), op.subset(torch.tensor([1, 3, 4, 5, 6]))
    assert len(compared) == 1
    close(to_dense(first) + to_dense(other), dense_hessian(small_network(sizes=(4, 3))))
    op.subset(torch.tensor([0, 2]), torch.tensor([1.0, 2.0]))  # under another loss
    assert len(compared) == 2


def test_what_needs_single_samples_is_not_offered_by_a_group():
    group = replace(small_network(), group=True)
    for operator in ("hessian", "ggn"):
        op = MatrixChoice(operator, group=True).of(group)
        assert not any(hasattr(op, name) for name in ("rows", "subset", "parts", "structure"))


def test_the_charge_of_rows_is_what_their_multiplications_are():
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        layers = [torch.nn.Linear(256, 256), torch.nn.ReLU(), torch.nn.Linear(256, 256), torch.nn.ReLU()]
        forward, parameters = module_forward(torch.nn.Sequential(*layers, torch.nn.Linear(256, 4)).double())
        inputs, labels = torch.randn(16, 256, dtype=torch.float64), torch.randint(0, 4, (16,))
    network = Network(forward, parameters, (Batch(inputs, labels),), traced=False)
    with counting_flops() as flops:
        network.gradient()
        gradient = flops.get_total_flops()
    op = CountingOperator(MatrixChoice("ggn").of(network, by_rows=True))
    with counting_flops() as flops:
        op.rows(torch.arange(0, 64, 4))
        found = flops.get_total_flops()
    charged = op.spending.gradient_equivalents
    assert found / gradient == pytest.approx(charged, rel=0.2)
