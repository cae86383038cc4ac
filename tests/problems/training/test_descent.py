"""Descent: the formula of SGD, determinism, no side effects, and bad input in one sentence."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from hessbench.problems.training.descent import Descent, one_thread
from hessbench.problems.training.recipe import Recipe

RECIPE = Recipe(10, 16, 0.1, checkpoints=(0, 10))


def linear_task():
    """A linear model of 5 inputs and 3 classes, whose gradients are written by hand below."""
    generator = np.random.default_rng(3)
    inputs = torch.as_tensor(generator.standard_normal((50, 5)))
    labels = torch.as_tensor(generator.integers(0, 3, 50))
    model = nn.Linear(5, 3, bias=False)
    initial = {"weight": torch.as_tensor(generator.standard_normal((3, 5)), dtype=torch.float32)}
    return model, initial, inputs, labels


def descended(model, initial, inputs, labels, recipe, steps=None):
    """State in float64 after some steps, without the prefix of a snapshot."""
    with one_thread():
        descent = Descent(model, initial, inputs, labels, recipe)
        for _ in range(recipe.steps if steps is None else steps):
            descent.advance()
        return descent


def weights(descent):
    return {name: value for name, value in descent.snapshot().tensors.items() if name.startswith("model:")}


def equal(one, other):
    return one.keys() == other.keys() and all(torch.equal(value, other[name]) for name, value in one.items())


def by_hand(initial, inputs, labels, recipe, batches):
    """SGD in NumPy: g = gradient + decay w; b = momentum b + g; w -= rate (g + momentum b, or b)."""
    W = initial["weight"].double().numpy()
    buffer = np.zeros_like(W)
    X, Y = inputs.numpy(), np.eye(3)[labels.numpy()]
    for step, batch in enumerate(batches):
        outputs = X[batch] @ W.T
        if recipe.loss == "cross-entropy":
            outputs = np.exp(outputs)
            outputs /= outputs.sum(axis=1, keepdims=True)
        gradient = (outputs - Y[batch]).T @ X[batch] / len(batch) + recipe.weight_decay * W
        buffer = recipe.momentum * buffer + gradient
        W = W - recipe.rate(step) * (gradient + recipe.momentum * buffer if recipe.nesterov else buffer)
    return W


@pytest.mark.parametrize(
    "change",
    [
        {"momentum": 0.0},
        {},
        {"nesterov": True},
        {"weight_decay": 0.1},
        {"loss": "squared"},
        {"schedule": "step", "knots": ((4, 0.1),)},
        {"nesterov": True, "weight_decay": 0.01, "schedule": "piecewise-linear", "knots": ((0, 0.0), (5, 1.0))},
    ],
    ids=str,
)
def test_weights_are_those_of_the_formula(change):
    recipe = replace(RECIPE, **change)
    task = linear_task()
    with one_thread():
        descent = Descent(*task, recipe)
        batches = []
        for _ in range(10):
            batches.append(descent._batch().numpy())
            descent.advance()
    expected = by_hand(*task[1:], recipe, batches)
    found = weights(descent)["model:weight"]
    assert found.dtype == torch.float64
    np.testing.assert_allclose(found.numpy(), expected, rtol=0, atol=1e-13)


def test_every_epoch_is_a_fresh_permutation_in_whole_batches():
    descent = Descent(*linear_task(), replace(RECIPE, batch_size=16))
    epochs = []
    for epoch in range(4):
        batches = []
        for place in range(3):  # 50 samples make three batches of 16
            descent.step = 3 * epoch + place
            batches.append(descent._batch())
        assert {batch.numel() for batch in batches} == {16}
        epochs.append(torch.cat(batches))
        assert epochs[-1].unique().numel() == 48
    assert len({tuple(epoch.tolist()) for epoch in epochs}) == 4


def test_the_order_follows_from_the_seed_alone():
    task = linear_task()
    first, again, other = (
        Descent(*task, replace(RECIPE, seed=seed))._batch().tolist() for seed in (("a",), ("a",), ("b",))
    )
    assert first == again != other


def test_a_short_run_is_the_beginning_of_a_long_one(task, recipe):
    short = replace(recipe, steps=10, checkpoints=(0, 10))
    arguments = (task.model, task.initial, task.inputs, task.labels)
    assert equal(weights(descended(*arguments, short)), weights(descended(*arguments, recipe, steps=10)))


@pytest.mark.parametrize(("optimiser", "entry"), [("sgd", "momentum:"), ("adam", "exp_avg_sq:")])
def test_a_restored_snapshot_goes_on_in_the_same_bits(task, recipe, optimiser, entry):
    recipe = replace(recipe, optimiser=optimiser, nesterov=False)
    arguments = (task.model, task.initial, task.inputs, task.labels)
    whole = descended(*arguments, recipe, steps=20)
    begun = descended(*arguments, recipe, steps=7)
    with one_thread():
        second = Descent(*arguments, recipe)
        second.restore(begun.snapshot())
        for _ in range(13):
            second.advance()
    assert second.step == 20
    assert equal(second.snapshot().tensors, whole.snapshot().tensors)
    assert any(name.startswith(entry) for name in whole.snapshot().tensors)


@pytest.mark.parametrize("threads", [1, 2])
def test_the_callers_threads_change_no_bit_and_are_given_back(task, recipe, threads):
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(threads)
        found = weights(descended(task.model, task.initial, task.inputs, task.labels, recipe, steps=5))
        assert torch.get_num_threads() == threads
        torch.set_num_threads(1)
        assert equal(found, weights(descended(task.model, task.initial, task.inputs, task.labels, recipe, steps=5)))
    finally:
        torch.set_num_threads(before)


def test_threads_are_given_back_after_a_failure():
    def fails():
        with one_thread():
            assert torch.get_num_threads() == 1
            raise KeyError

    before = torch.get_num_threads()
    with pytest.raises(KeyError):
        fails()
    assert torch.get_num_threads() == before


def test_nothing_outside_is_changed(task, recipe):
    task.model.eval()
    own = {name: value.clone() for name, value in task.model.state_dict().items()}
    given = {name: value.clone() for name, value in task.initial.items()}
    torch_state, numpy_state = torch.random.get_rng_state(), np.random.get_state()[1].copy()
    with torch.no_grad():
        descended(task.model, task.initial, task.inputs, task.labels, recipe, steps=5).checkpoint()
        assert not torch.is_grad_enabled()
    assert torch.equal(torch.random.get_rng_state(), torch_state)
    assert (np.random.get_state()[1] == numpy_state).all()
    assert equal(task.model.state_dict(), own)
    assert equal(task.initial, given)
    assert not any(module.training for module in task.model.modules())
    assert all(parameter.grad is None for parameter in task.model.parameters())


def test_batch_norm_is_trained_in_training_mode_and_its_statistics_are_kept(task, recipe):
    descent = descended(task.model, task.initial, task.inputs, task.labels, recipe, steps=1)
    with torch.no_grad():
        first = replace(recipe, steps=1, checkpoints=(0, 1))
        batch = Descent(task.model, task.initial, task.inputs, task.labels, first)._batch()
        maps = nn.functional.conv2d(task.inputs[batch].double(), task.initial["1.weight"].double(), padding=1)
        mean = 0.1 * maps.mean(dim=(0, 2, 3))
        variance = 0.9 + 0.1 * maps.var(dim=(0, 2, 3))
    found = descent.checkpoint().state
    assert found.keys() == task.initial.keys(), "counters the initial state lacks are not added"
    torch.testing.assert_close(found["2.running_mean"], mean.float())
    torch.testing.assert_close(found["2.running_var"], variance.float())


def test_a_checkpoint_is_rounded_and_judged_as_rounded_in_evaluation_mode(task, recipe):
    checkpoint = descended(task.model, task.initial, task.inputs, task.labels, recipe, steps=8).checkpoint()
    assert {value.dtype for value in checkpoint.state.values()} == {torch.float32}
    model = task.model.double().eval()
    model.load_state_dict(checkpoint.state, strict=False)
    with torch.no_grad():
        outputs = model(task.inputs.double())
    assert checkpoint.point.step == 8
    assert checkpoint.point.loss == pytest.approx(float(nn.functional.cross_entropy(outputs, task.labels)), rel=1e-12)
    assert checkpoint.point.accuracy == float((outputs.argmax(1) == task.labels).double().mean())


def test_a_checkpoint_does_not_disturb_the_training(task, recipe):
    arguments = (task.model, task.initial, task.inputs, task.labels, recipe)
    with one_thread():
        watched = Descent(*arguments)
        for _ in range(5):
            watched.checkpoint()
            watched.advance()
    assert equal(watched.snapshot().tensors, descended(*arguments, steps=5).snapshot().tensors)


def test_the_start_is_the_initial_state(task, recipe):
    assert equal(
        descended(task.model, task.initial, task.inputs, task.labels, recipe, steps=0).checkpoint().state, task.initial
    )


def test_a_model_on_the_meta_device_trains_alike(task, recipe, small):
    with torch.device("meta"):
        meta = nn.Sequential(
            small.Paused(0.0), nn.Conv2d(1, 3, 3, padding=1, bias=False), nn.BatchNorm2d(3), nn.Tanh(),
            nn.Flatten(), nn.Linear(48, 3),
        )  # fmt: skip
    arguments = (task.initial, task.inputs, task.labels, recipe, 5)
    assert equal(weights(descended(meta, *arguments)), weights(descended(task.model, *arguments)))


def test_a_frozen_weight_stays_and_a_tied_one_stays_tied():
    model, _, inputs, labels = linear_task()
    model = nn.Sequential(nn.Linear(5, 5), nn.Linear(5, 5), nn.Linear(5, 3))
    model[1].weight = model[0].weight
    model[2].weight.requires_grad_(False)
    initial = {name: value.detach().clone() for name, value in model.state_dict().items()}
    state = descended(model, initial, inputs, labels, RECIPE).checkpoint().state
    assert torch.equal(state["0.weight"], state["1.weight"])
    assert not torch.equal(state["0.weight"], initial["0.weight"])
    assert torch.equal(state["2.weight"], initial["2.weight"])


class Noisy(nn.Linear):
    def forward(self, inputs):
        return super().forward(nn.functional.dropout(inputs, 0.5, self.training))


@pytest.mark.parametrize(
    "model",
    [nn.Sequential(nn.Dropout(0.5), nn.Linear(5, 3, bias=False)), Noisy(5, 3, bias=False)],
    ids=["module", "function"],
)
def test_a_network_that_draws_is_refused_and_the_global_generator_left(model):
    _, _, inputs, labels = linear_task()
    before = torch.random.get_rng_state()
    with pytest.raises(ValueError, match="draws random numbers while it is trained, as dropout does"):
        descended(model, model.state_dict(), inputs, labels, RECIPE)
    assert torch.equal(torch.random.get_rng_state(), before)


def test_dropout_of_nothing_is_accepted():
    _, initial, inputs, labels = linear_task()
    model = nn.Sequential(nn.Dropout(0.0), nn.Linear(5, 3, bias=False))
    descended(model, {"1.weight": initial["weight"]}, inputs, labels, RECIPE)


def test_a_diverging_training_names_the_step_and_what_to_lower():
    recipe = replace(RECIPE, loss="squared", learning_rate=1e200)
    with pytest.raises(
        ValueError,
        match=r"^training diverged: the loss is (inf|nan) at step [12]; "
        r"lower learning_rate \(1e\+200 now\) or momentum \(0.9 now\)$",
    ):
        descended(*linear_task(), recipe)


def test_weights_beyond_float32_are_not_kept():
    recipe = replace(RECIPE, loss="squared", learning_rate=1e60)
    descent = descended(*linear_task(), recipe, steps=1)
    with pytest.raises(ValueError, match="training diverged"):
        descent.checkpoint()


def with_value(tensor, place, value):
    changed = tensor.clone()
    changed[place] = value
    return changed


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda t: {"inputs": t["inputs"][:0], "labels": t["labels"][:0]}, "at least one sample, got none"),
        (lambda t: {"inputs": torch.tensor(1.0)}, "at least one sample, got none"),
        (lambda t: {"inputs": t["inputs"].long()}, "inputs must be finite floating numbers"),
        (lambda t: {"inputs": with_value(t["inputs"], (3, 1), torch.nan)}, "inputs must be finite floating numbers"),
        (lambda t: {"labels": t["labels"][:-1]}, r"labels must be one class number for each of 50 samples.*\(49,\)"),
        (lambda t: {"labels": t["labels"].double()}, "labels must be one class number .* got torch.float64"),
        (lambda t: {"labels": with_value(t["labels"], 0, 3)}, r"labels must be between 0 and 2, .* got 0 to 3"),
        (lambda t: {"labels": with_value(t["labels"], 0, -1)}, r"labels must be between 0 and 2, .* got -1 to 2"),
        (lambda t: {"recipe": replace(RECIPE, batch_size=51)}, "batch_size must be at most .* samples, 50, got 51"),
        (lambda t: {"initial": {}}, "which 'weight' is not, or lacks"),
        (lambda t: {"initial": {**t["initial"], "bias": torch.ones(3)}}, "which 'bias' is not, or lacks"),
        (lambda t: {"initial": {"weight": torch.ones(3, 4)}}, r"'weight' of shape \(3, 5\), got \(3, 4\)"),
        (lambda t: {"initial": {"weight": torch.full((3, 5), torch.inf)}}, "must be finite, which 'weight' is not"),
        (lambda t: {"model": nn.Linear(5, 3, bias=False).requires_grad_(False)}, "no parameter that may be trained"),
        (lambda t: {"inputs": t["inputs"][:, None]}, r"outputs \(m, C\), got \(1, 1, 3\) for one sample"),
    ],
)
def test_what_does_not_fit_is_refused_in_one_sentence(change, said):
    task = dict(zip(("model", "initial", "inputs", "labels"), linear_task(), strict=True)) | {"recipe": RECIPE}
    with pytest.raises(ValueError, match=said) as refused:
        Descent(**(task | change(task)))
    assert "\n" not in str(refused.value)


def test_labels_of_small_integers_are_taken():
    model, initial, inputs, labels = linear_task()
    assert equal(
        weights(descended(model, initial, inputs, labels.to(torch.uint8), RECIPE)),
        weights(descended(model, initial, inputs, labels, RECIPE)),
    )
