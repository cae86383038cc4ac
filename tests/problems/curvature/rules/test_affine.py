"""The table of operations that are affine in their arguments agrees with the rules they are multiplied by."""

import pytest
import torch
from small_networks import NETWORKS, small_network

from hessbench.problems.curvature.rules.affine import JOINTLY, LINEAR, affine_places
from hessbench.problems.curvature.rules.rule import Site, Store
from hessbench.problems.curvature.rules.table import RULES, rule_of
from hessbench.problems.curvature.rules.tape import record
from hessbench.problems.curvature.rules.values import values_of

aten = torch.ops.aten


@pytest.mark.parametrize("name", NETWORKS)
def test_an_operation_is_affine_where_its_rule_has_no_second_derivative(name):
    network = small_network(name)
    tape = record(network.forward, network.parameters, network.batches[0].inputs)
    values, store = values_of(tape), Store(lambda tensor: tensor)
    for value in values.ordered:
        node = value.node
        if node is None or value.base is not None:
            continue
        sets = affine_places(node.op, node.index, node.args)
        live = {place for place, one in enumerate(node.args) if isinstance(one, torch.Tensor) and values.live(one)}
        affine = sets is None or any(live <= one for one in sets)
        assert affine is (rule_of(Site(node, values.live, store)).hvp_term is None), node.op


def test_functions_of_single_numbers_that_bend_are_in_no_table():
    for op in (aten.tanh, aten.sigmoid, aten.gelu, aten.softplus, aten.silu, aten.exp, aten.elu, aten._softmax):
        assert op.default in RULES
        assert op.default not in LINEAR
        assert op.default not in JOINTLY


def test_statistics_of_the_batch_make_a_norm_curved_in_what_it_normalises():
    def norm(training):
        return affine_places(aten.native_batch_norm.default, 0, (None, None, None, None, None, training, 0.1, 1e-5))

    assert norm(False) == (frozenset({0, 2}), frozenset({1, 2}))
    assert norm(True) == (frozenset({1, 2}),)
    assert affine_places(aten.native_batch_norm.default, 1, (None,) * 5 + (True, 0.1, 1e-5)) == ()
