"""What is costly to set up is tried only where all products take ten times as long as that is expected to take."""

import pytest

from hessbench.problems.curvature.engines.repaying import SETUP_S, may_repay


@pytest.mark.parametrize("name", ["linearised", "compiled"])
def test_it_is_tried_from_ten_times_its_expected_set_up_on(network, name):
    net = network("dense")
    calls = 0

    def counted(parameters, inputs):
        nonlocal calls
        calls += 1
        return net.forward(parameters, inputs)

    fixed, by_call = SETUP_S[name]
    least = next(seconds for seconds in range(10_000) if may_repay(name, net, net.batches[0], float(seconds)))
    operations = (least / 10 - fixed) / by_call
    assert 1 <= operations <= 40


def test_a_deeper_network_asks_for_more(network):
    dense, images = network("dense"), network("convolutions")
    seconds = next(s / 10 for s in range(10_000) if may_repay("linearised", dense, dense.batches[0], s / 10))
    assert not may_repay("linearised", images, images.batches[0], seconds)
