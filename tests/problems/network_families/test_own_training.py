"""The training behind a registered problem, and the network in front of it."""

import numpy as np
import pytest
import torch

from hessbench.catalog import load_catalog
from hessbench.problem import Problem
from hessbench.problems.network_families.weights_source import weights_of
from hessbench.problems.networks.of_problem import network_of
from hessbench.problems.training.left_out import leave_one_out


def test_training_again_with_every_sample_ends_at_the_weights_of_the_problem():
    problem = load_catalog().problem("mlp[widths=4,step=7,train_per_class=10,per_class=10]")
    weights, network = weights_of(problem), network_of(problem, dtype=torch.float64)
    (batch,) = network.batches
    data = weights.samples
    assert torch.equal(data.labels, batch.targets)
    found = leave_one_out(
        weights.shell, weights.initial, data.inputs, data.labels, weights.recipe, [0], (batch.inputs, batch.targets),
        step=7,
    )  # fmt: skip
    # The weights of the problem are rounded to float32.
    assert found.whole == pytest.approx(float(network.objective(network.parameters)), rel=1e-6)


def test_problems_without_a_training_or_a_network_are_refused():
    catalog = load_catalog()
    with pytest.raises(ValueError, match="weights=trained is accepted"):
        weights_of(catalog.problem("mlp[weights=random,widths=4]"))
    with pytest.raises(ValueError, match="not made of a network"):
        network_of(Problem.of("small", np.eye(3)))
