"""The digits, the training, and the problem made of them."""

import numpy as np
import pytest
import torch

from hessbench.estimand import Density, Diagonal
from hessbench.problems.network_families.digits_mlp import (
    STEPS,
    digits,
    digits_mlp_problem,
    digits_network,
    mlp_dim,
    train,
)


def test_the_digits_are_balanced_pooled_and_exact_in_float32():
    images, labels = digits()
    assert images.shape == (500, 49)
    assert torch.bincount(labels).tolist() == [50] * 10
    assert float(images.min()) >= 0
    assert float(images.max()) <= 1
    assert torch.equal(images.float().double(), images)
    assert torch.equal(images * 64, (images * 64).round())
    assert torch.unique(images, dim=0).shape[0] == 500


def test_every_prefix_of_whole_tens_is_balanced():
    _, labels = digits()
    assert torch.bincount(labels[:30], minlength=10).tolist() == [3] * 10
    assert not torch.equal(labels[:10], labels[10:20])


def test_the_network_has_1930_parameters():
    assert mlp_dim(32) == digits_network(32, 0).parameters.numel() == 1930


def test_loss_falls_with_the_steps_and_the_network_learns():
    networks = [digits_network(32, step) for step in STEPS]
    losses = [float(network.objective(network.parameters)) for network in networks]
    assert losses == sorted(losses, reverse=True)
    assert losses[0] == pytest.approx(np.log(10), abs=0.1)
    assert losses[-1] < 0.5
    trained = networks[-1]
    (batch,) = trained.batches
    hits = trained.forward(trained.parameters, batch.inputs).argmax(dim=1) == batch.targets
    assert float(hits.float().mean()) > 0.85


def test_weights_are_the_same_twice_for_any_thread_count_and_fit_float32():
    inputs, labels = digits()
    threads = torch.get_num_threads()
    found = []
    for count in (1, 2, 2):
        torch.set_num_threads(count)
        try:
            found.append(train(32, 100, inputs, labels))
            assert torch.get_num_threads() == count
        finally:
            torch.set_num_threads(threads)
    assert torch.equal(found[0], found[1])
    assert torch.equal(found[1], found[2])
    assert torch.equal(found[0].float().double(), found[0])


def test_training_leaves_the_global_generator_alone():
    before = torch.get_rng_state()
    digits_network(32, 10)
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize("operator", ["hessian", "ggn"])
def test_float32_products_of_the_trained_network_are_inside_the_bound(operator):
    problem = digits_mlp_problem(operator=operator)
    single, double = (problem.build(torch.device("cpu"), dtype) for dtype in (torch.float32, torch.float64))
    block = torch.linalg.qr(torch.randn(1930, 8, generator=torch.Generator().manual_seed(0)))[0]
    # The norm of the operator's error is at least that of its product with any unit vector.
    gap = (single.matmat(block) - double.matmat(block.double())).norm(dim=0).max()
    reference = problem.references[Diagonal](Diagonal())
    assert float(gap) < reference.bound_in("float32")
    signs = torch.randint(0, 2, (1930, 1), generator=torch.Generator().manual_seed(1)).double() * 2 - 1
    probe = float(signs.T @ double.matmat(signs))
    assert probe == pytest.approx(float(reference.arrays["diagonal"].sum()), rel=0.5)
    if operator == "ggn":
        assert problem.references[Density](Density()).arrays["nodes"].min() > -reference.bound


def test_step_zero_ignores_the_batches_and_other_widths_have_their_own_start():
    narrow, wide = (digits_network(width, 0).parameters for width in (8, 16))
    assert narrow.numel() == mlp_dim(8)
    assert not torch.equal(narrow[:50], wide[:50])
