"""A library on its own operator: charged before each product, reconciled by FLOPs, and the network left as it was."""

from dataclasses import replace

import pytest
import torch
from torch import nn

from hessbench.counting import BudgetExceeded, CountingOperator
from hessbench.flops import counting_flops
from hessbench.laws.small_network import SmallNetworkOperator
from hessbench.methods.peers import PEERS
from hessbench.methods.peers.borrowed import borrowed
from hessbench.operators import ProductKind
from hessbench.seeding import make_generator

pytestmark = pytest.mark.filterwarnings("ignore:`torch.jit.script` is deprecated:DeprecationWarning")

BY_NAME = {method.name: method for method in PEERS}
HESSIAN, GGN, GRADIENT = ProductKind.HESSIAN, ProductKind.GGN, ProductKind.GRADIENT


def run(spec, kind, budget, op=None):
    """The estimate, the counted operator, and the FLOPs of the run alone."""
    method = BY_NAME[spec.partition("[")[0]]
    if method.lack:
        pytest.skip(method.lack)
    counted = CountingOperator(op or SmallNetworkOperator(kind, torch.float64), budget)
    bound, found = method.bind(spec, method.estimands[0].of_size(3)), []
    measured = flops(lambda: found.append(bound.run(counted, budget, make_generator(0))))
    return found[0], counted, measured


def flops(compute):
    with counting_flops() as counter:
        compute()
    return counter.get_total_flops()


def pyhessian_prices():
    """FLOPs of its gradient and of one of its products, by the library alone."""
    from pyhessian import hessian
    from pyhessian.utils import hessian_vector_product

    copy = SmallNetworkOperator(HESSIAN, torch.float64).network_copy()
    made = []
    gradient = flops(lambda: made.append(hessian(copy.model, copy.loss, data=copy.batches[0], cuda=False)))
    v = [torch.randn_like(parameter) for parameter in copy.parameters]
    return gradient, flops(lambda: hessian_vector_product(made[0].gradsH, made[0].params, v))


def curvlinops_prices(kind, columns):
    """FLOPs of its gradient and of one of its blocks, by the library alone."""
    import curvlinops

    copy = SmallNetworkOperator(kind, torch.float64).network_copy()
    name = "HessianLinearOperator" if kind is HESSIAN else "GGNLinearOperator"
    make = getattr(curvlinops, name)
    op = make(copy.model, copy.loss, list(copy.parameters), list(copy.batches), check_deterministic=False)
    block = torch.randn(op.shape[1], columns, dtype=torch.float64)
    return flops(op.gradient_and_loss), flops(lambda: op @ block)


@pytest.mark.parametrize(
    "spec", ["pyhessian-own-power", "pyhessian-own-trace[tol=0.0]", "pyhessian-own-density-eig-shim"]
)
@pytest.mark.filterwarnings("ignore:Using backward")
def test_flops_of_pyhessian_are_those_of_what_was_charged(spec):
    _, op, measured = run(spec, HESSIAN, 40)
    gradient, product = pyhessian_prices()
    counts = op.spending.counts
    assert counts[GRADIENT] == 1
    assert counts[HESSIAN] == op.matvecs - 1 == op.spending.outside - 1 > 1
    assert measured == gradient + counts[HESSIAN] * product


@pytest.mark.parametrize("kind", [HESSIAN, GGN])
@pytest.mark.parametrize("check", ["true", "false"])
def test_flops_of_curvlinops_are_those_of_what_was_charged_its_check_included(kind, check):
    estimate, op, measured = run(f"curvlinops-own-eigsh[check={check}]", kind, 60)
    gradient, product = curvlinops_prices(kind, 1)
    counts = op.spending.counts
    checking = op.matvecs - counts[kind]
    assert checking == (2 if check == "true" else 0)
    assert measured == checking * gradient + counts[kind] * product
    # It keeps no graph: each product makes the gradient again, or the outputs twice, which are no products.
    beside = {HESSIAN: (GRADIENT, 1), GGN: (ProductKind.FORWARD, 2)}[kind]
    assert counts[beside[0]] - checking * (kind is HESSIAN) == beside[1] * counts[kind]
    assert estimate.converged


def test_a_block_of_curvlinops_is_charged_by_its_columns():
    _, op, measured = run("curvlinops-own-trace[check=false]", HESSIAN, 12)
    assert op.spending.counts == {HESSIAN: 12, GRADIENT: 1}
    assert (op.matvecs, op.calls) == (12, 1)
    # Its own sum over the probes beside.
    assert measured == curvlinops_prices(HESSIAN, 12)[1] + 2 * 48 * 12


def backpack_flops(spec, kind, budget):
    _, op, measured = run(spec, kind, budget)
    return measured, op


def test_each_draw_of_backpack_costs_the_same_and_is_charged_as_one_square():
    (one, few), (two, more) = (backpack_flops("backpack-own-ggn-diagonal-mc", GGN, budget) for budget in (4, 7))
    three, most = backpack_flops("backpack-own-ggn-diagonal-mc", GGN, 10)
    assert [op.spending.counts[ProductKind.PER_EXAMPLE_SQUARE] for op in (few, more, most)] == [3, 6, 9]
    assert two - one == three - two > 0
    exact, op = backpack_flops("backpack-own-ggn-diagonal", GGN, 10)
    assert op.spending.counts == {ProductKind.PER_EXAMPLE_SQUARE: 3, GRADIENT: 1}
    # Three roots in place of three draws: what is sent back is as wide. It asks for the outputs of one sample beside.
    assert exact - one == 2 * (5 * 5 + 5 * 3)


def test_a_library_that_takes_one_matrix_refuses_another():
    for spec, kind in (("pyhessian-own-trace", GGN), ("backpack-own-ggn-diagonal", HESSIAN)):
        with pytest.raises(ValueError, match=f"got its {kind.value}"):
            run(spec, kind, 40)


def test_a_product_that_does_not_fit_is_not_made():
    method = BY_NAME["curvlinops-own-density"]
    if method.lack:
        pytest.skip(method.lack)
    op = CountingOperator(SmallNetworkOperator(HESSIAN, torch.float64), 30)

    def exceeds():
        with pytest.raises(BudgetExceeded):
            method.bind(method.name, method.estimands[0].of_size(1)).run(op, 30, make_generator(0))

    measured = flops(exceeds)
    gradient, product = curvlinops_prices(HESSIAN, 1)
    assert op.matvecs == 30
    assert measured == 2 * gradient + 28 * product


class Offering:
    """An operator with a copy of another model."""

    def __init__(self, model):
        self.inner = SmallNetworkOperator(HESSIAN, torch.float64)
        self.dim, self.dtype, self.device = self.inner.dim, self.inner.dtype, self.inner.device
        self.info, self.matmat, self.model = self.inner.info, self.inner.matmat, model

    def network_copy(self):
        return replace(self.inner.network_copy(), model=self.model, parameters=list(self.model.parameters()))


def normed():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(5, 5), nn.BatchNorm1d(5), nn.Linear(5, 3)).double()


@pytest.mark.filterwarnings("ignore:Using backward")
def test_a_library_that_changes_the_mode_of_the_network_is_told_of():
    """PyHessian puts every model in evaluation mode: its products are those of another matrix."""
    with pytest.raises(RuntimeError, match="the library changed the network it was handed: mode of the module"):
        run("pyhessian-own-trace", HESSIAN, 10, Offering(normed().train()))
    estimate, _, _ = run("pyhessian-own-trace", HESSIAN, 10, Offering(normed().eval()))
    assert estimate.value


def test_buffers_and_parameters_are_compared_with_what_they_were():
    op = CountingOperator(Offering(normed().train()))
    with (
        pytest.raises(RuntimeError, match=r"changed the network .*: 1.running_mean, 1.running_var"),
        borrowed(op) as lent,
    ):
        lent.copy.model(lent.copy.batches[0][0])
    with pytest.raises(RuntimeError, match=r"changed the network .*: 0.weight"), borrowed(op) as lent, torch.no_grad():
        lent.copy.parameters[0].add_(1)
    with borrowed(op):
        pass


def test_a_charge_is_one_of_the_whole_data_unless_less_is_said():
    op = CountingOperator(SmallNetworkOperator(GGN, torch.float64))
    with borrowed(op, GGN) as lent:
        lent.charge(2)
        lent.charge(1, GRADIENT, 3)
    assert op.spending.counts == {GGN: 2, GRADIENT: 1}
    assert op.spending.gradient_equivalents == pytest.approx(2 * 4 / 3 + 0.5)
    assert op.spending.samples == 2 * 6 + 3
