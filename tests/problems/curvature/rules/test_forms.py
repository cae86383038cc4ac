"""Forms of the residual inside groups of parameters, by tangents alone, against dense matrices."""

from dataclasses import replace
from itertools import pairwise

import pytest
import torch
from small_networks import NETWORKS, SAMPLES, small_network
from torch import nn

from hessbench.counting import CountingOperator
from hessbench.flops import counting_flops
from hessbench.methods.rows.flat_check import check_flat
from hessbench.operator_structure import Structure
from hessbench.problems.curvature.rules.forms import FormsProgram
from hessbench.problems.curvature.rules.rule import Rule
from hessbench.problems.curvature.structured import StructuredHessian
from hessbench.problems.networks.flat import module_forward
from hessbench.problems.networks.network import Batch, Network
from hessbench.problems.references.dense import dense_residual
from hessbench.seeding import make_generator

GROUPLESS = [name for name in NETWORKS if not small_network(name).group]


class Residual(nn.Module):
    """Convolutions, batch norm on stored statistics and a sum of two branches; a tanh before the last layer."""

    def __init__(self, bend):
        super().__init__()
        self.one, self.norm = nn.Conv2d(1, 3, 3, padding=1), nn.BatchNorm2d(3)
        self.two, self.wide, self.last = nn.Conv2d(3, 3, 3, padding=1, bias=False), nn.Linear(48, 5), nn.Linear(5, 3)
        self.bend = bend

    def forward(self, x):
        h = torch.relu(self.norm(self.one(x)))
        return self.last(self.bend(self.wide((h + torch.relu(self.two(h))).flatten(1))))


def convolutional(bend=torch.tanh):
    generator = make_generator(0)
    module = Residual(bend).double().eval()
    parameters = 0.4 * torch.randn(sum(p.numel() for p in module.parameters()), generator=generator).double()
    inputs = torch.randn(SAMPLES, 1, 4, 4, generator=generator).double()
    return Network(module_forward(module)[0], parameters, (Batch(inputs, torch.arange(SAMPLES) % 3),), batched=False)


def parts_of(network, number):
    """Parts of all sizes, some of which cut tensors, and all parameters."""
    n = network.parameters.numel()
    cuts = torch.linspace(0, n, number + 1).long().tolist()
    return [*pairwise(cuts), (0, n), (1, n // 2), (n - 1, n)]


def dense_forms(R, v, groups):
    parts = [torch.zeros_like(v).index_copy(0, torch.arange(*group), v[slice(*group)]) for group in groups]
    return torch.stack([part @ R @ part for part in parts])


@pytest.mark.parametrize("name", [*GROUPLESS, "convolutional"])
def test_forms_are_those_of_the_dense_residual_of_the_samples(name):
    loss = "of-positions mean" if name == "sequence" else "cross-entropy mean"
    network = convolutional() if name == "convolutional" else small_network(name, loss)
    part = replace(network, batches=(network.batches[0].part(torch.tensor([1, 4])),))
    found = StructuredHessian(network, lambda: None).parts.residual.subset(torch.tensor([1, 4]))
    v = torch.randn(network.parameters.numel(), generator=make_generator(1), dtype=torch.float64)
    groups = parts_of(network, 5)
    R = torch.from_numpy(dense_residual(part)) * part.num_samples / network.num_samples
    expected = dense_forms(R, v, groups)
    forms = found.forms(v, groups)
    assert bool((forms.sizes >= forms.values.abs() * (1 - 1e-12)).all())
    torch.testing.assert_close(forms.values, expected, rtol=0, atol=1e-12 * float(forms.sizes.max()) + 1e-300)


def test_columns_that_do_not_fit_at_once_are_carried_in_turn(monkeypatch):
    network = convolutional()
    part = StructuredHessian(network, lambda: None).parts.residual.subset(torch.tensor([2]))
    v, groups = torch.ones(part.dim, dtype=torch.float64), parts_of(network, 9)
    whole = part.forms(v, groups).values
    monkeypatch.setattr("hessbench.problems.curvature.rules.forms._ENTRIES", 100)
    part = StructuredHessian(network, lambda: None).parts.residual.subset(torch.tensor([2]))
    torch.testing.assert_close(part.forms(v, groups).values, whole)


def test_groups_that_are_flat_are_told_from_those_that_are_claimed_to_be():
    op = StructuredHessian(convolutional(), lambda: None)
    residual, shown = op.parts.residual, op.structure
    assert 0 < len(shown.groups) < len(list(Residual(torch.tanh).parameters()))
    for seed in range(5):
        check_flat(residual, shown, SAMPLES, make_generator(seed))
        for wrong in ((0, 27), (30, 33), (36, 117)):
            with pytest.raises(ValueError, match=f"{wrong[0]} to {wrong[1] - 1}, where it claims 0"):
                check_flat(residual, Structure(shown.flat, (wrong, *shown.groups)), SAMPLES, make_generator(seed))


def test_two_forms_are_charged_as_a_product():
    network = convolutional()
    counted = CountingOperator(StructuredHessian(network, lambda: None), num_matvecs=2)
    part = counted.parts.residual.subset(torch.tensor([0]))
    part.forms(torch.ones(part.dim, dtype=torch.float64), ((0, 27), (27, 30), (30, 33)))
    assert counted.matvecs == 2
    assert counted.spending.gradient_equivalents == pytest.approx(2 * 2 / SAMPLES)
    with pytest.raises(ValueError, match="takes a block"):
        part.forms(torch.ones(3, dtype=torch.float64), ((0, 3),))


def test_forms_take_no_more_multiplications_than_they_are_charged():
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        layers = [layer for _ in range(3) for layer in (nn.Linear(128, 128), nn.ReLU())]
        forward, parameters = module_forward(nn.Sequential(*layers, nn.Linear(128, 4)).double())
        inputs = torch.randn(16, 128, dtype=torch.float64)
    network = Network(forward, parameters, (Batch(inputs, torch.arange(16) % 4),), traced=False)
    with counting_flops() as flops:
        network.gradient()
        gradient = flops.get_total_flops()
    op = StructuredHessian(network, lambda: None)
    counted = CountingOperator(op)
    forms = counted.parts.residual.subset(torch.tensor([3])).forms
    with counting_flops() as flops:
        forms(torch.ones(parameters.numel(), dtype=torch.float64), op.structure.groups)
        found = flops.get_total_flops()
    assert len(op.structure.groups) == 8
    assert 0 < found / gradient <= counted.spending.gradient_equivalents


class Own(torch.autograd.Function):
    """A function with a backward pass of its own."""

    @staticmethod
    def forward(ctx, x):
        return x * 2

    @staticmethod
    def backward(ctx, gradient):
        return gradient * 2


def test_a_function_with_a_backward_pass_of_its_own_has_no_forms():
    network = convolutional(Own.apply)
    part = StructuredHessian(network, lambda: None).parts.residual.subset(torch.tensor([0]))
    assert not hasattr(part, "forms")
    assert not hasattr(CountingOperator(part), "forms")


@pytest.mark.parametrize("fault", ["jvp", "hvp_term"])
def test_a_wrong_rule_is_noticed(fault, monkeypatch):
    from hessbench.problems.curvature.rules import table

    tanh = torch.ops.aten.tanh.default
    right = table.RULES[tanh]

    def wrong(site):
        rule = right(site)
        if fault == "hvp_term":
            return replace(rule, hvp_term=None)
        return Rule(lambda T: 1.1 * rule.jvp(T), rule.vjp, rule.hvp_term, rule.width, rule.fresh)

    monkeypatch.setattr(table, "RULES", {**table.RULES, tanh: wrong})
    part = StructuredHessian(convolutional(), lambda: None).parts.residual.subset(torch.tensor([0]))
    assert not hasattr(part, "forms")


def test_outputs_without_parameters_have_forms_of_zero():
    network = replace(convolutional(), forward=lambda parameters, inputs: inputs.flatten(1)[:, :3])
    program = FormsProgram(network, network.batches[0])
    found = program(torch.ones(network.parameters.numel(), dtype=torch.float64), [(0, 5), (5, 9)])
    assert not found.second.any()
    assert not found.first.any()
