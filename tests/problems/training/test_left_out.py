"""Training again without a sample: the recipe's own training where none is missing, a plain loop where one is."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from hessbench.problems.networks.losses import TRAINING_LOSSES
from hessbench.problems.training.descent import Descent, order_of_epoch
from hessbench.problems.training.left_out import LeaveOneOut, leave_one_out
from hessbench.problems.training.recipe import Recipe

RECIPE = Recipe(20, 5, 0.1, nesterov=True, weight_decay=1e-3, checkpoints=(20,), seed=("left out",))


@pytest.fixture
def task():
    rng = np.random.default_rng(0)
    model = nn.Sequential(nn.Linear(4, 6), nn.Tanh(), nn.Linear(6, 3))
    labels = torch.as_tensor(rng.integers(0, 3, 17))
    inputs = torch.as_tensor(rng.standard_normal((17, 4))).float()
    initial = {
        n: torch.as_tensor(0.3 * rng.standard_normal(tuple(p.shape))).float() for n, p in model.named_parameters()
    }
    return model, initial, inputs, labels


def loss_of(model, state, test):
    model = model.double()
    model.load_state_dict(state)
    with torch.no_grad():
        return float(TRAINING_LOSSES["cross-entropy"].total(model(test[0].double()), test[1])) / test[1].numel()


@pytest.mark.parametrize("optimiser", ["sgd", "adam"])
def test_the_whole_is_the_training_of_the_recipe(task, optimiser):
    model, initial, inputs, labels = task
    recipe = replace(RECIPE, optimiser=optimiser, nesterov=optimiser == "sgd")
    test = (inputs[:6] + 0.1, labels[:6])
    descent = Descent(model, initial, inputs, labels, recipe)
    for _ in range(20):
        descent.advance()
    state = {name.removeprefix("model:"): value for name, value in descent.snapshot().tensors.items()
             if name.startswith("model:")}  # fmt: skip
    found = leave_one_out(model, initial, inputs, labels, recipe, [3], test)
    assert found.whole == pytest.approx(loss_of(model, state, test), rel=1e-10)


def test_a_sample_that_is_left_out_has_no_weight_and_the_others_keep_theirs(task):
    model, initial, inputs, labels = task
    recipe = Recipe(9, 5, 0.2, momentum=0.0, checkpoints=(9,), seed=("left out",))
    test = (inputs[:6] + 0.1, labels[:6])
    found = leave_one_out(model, initial, inputs, labels, recipe, [3, 11, 16], test, together=2)
    for place, change in zip(found.samples, found.changes.tolist(), strict=True):
        own = nn.Sequential(nn.Linear(4, 6), nn.Tanh(), nn.Linear(6, 3)).double()
        own.load_state_dict(initial)
        for step in range(9):
            epoch, number = divmod(step, 3)
            batch = order_of_epoch(recipe, 17, epoch)[5 * number : 5 * number + 5]
            kept = batch[batch != place]
            loss = TRAINING_LOSSES["cross-entropy"].total(own(inputs[kept].double()), labels[kept]) / 5
            for parameter, slope in zip(own.parameters(), torch.autograd.grad(loss, own.parameters()), strict=True):
                parameter.data -= 0.2 * slope
        assert loss_of(own, own.state_dict(), test) - found.whole == pytest.approx(change, rel=1e-8, abs=1e-14)


def test_the_rank_correlation_is_that_of_the_samples_left_out():
    found = LeaveOneOut((3, 0, 2), 1.0, torch.tensor([0.1, -0.5, 7.0], dtype=torch.float64))
    assert found.rank_correlation(torch.tensor([-1.0, 9.0, 5.0, 4.0])) == pytest.approx(1.0)
    assert found.rank_correlation(torch.tensor([5.0, 9.0, -1.0, 4.0])) == pytest.approx(-1.0)


def test_it_is_the_same_every_time_and_tells_how_far_it_is(task):
    told = []
    runs = [
        leave_one_out(*task, RECIPE, [0, 1, 2, 3], task[2:], step=5, together=3, progress=lambda *at: told.append(at))
        for _ in range(2)
    ]
    assert torch.equal(runs[0].changes, runs[1].changes)
    assert told[-1] == (25, 25)
    assert leave_one_out(*task, RECIPE, [0], task[2:], step=0).changes.tolist() == [0.0]


def test_what_is_not_accepted_is_said(task):
    model, initial, inputs, labels = task
    test = (inputs, labels)
    with pytest.raises(ValueError, match="numbers from 0 to 16"):
        leave_one_out(model, initial, inputs, labels, RECIPE, [17], test)
    with pytest.raises(ValueError, match="at least one"):
        leave_one_out(model, initial, inputs, labels, RECIPE, [], test)
    with pytest.raises(ValueError, match="no buffers"):
        leave_one_out(nn.BatchNorm1d(4), initial, inputs, labels, RECIPE, [1], test)
    with pytest.raises(ValueError, match="step must be between"):
        leave_one_out(model, initial, inputs, labels, RECIPE, [1], test, step=21)
    with pytest.raises(ValueError, match="diverged"):
        leave_one_out(model, initial, inputs, labels, replace(RECIPE, learning_rate=1e300, nesterov=False), [1], test)
