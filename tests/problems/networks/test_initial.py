"""Untrained weights: the same from the same seed, of order 1, and drawn from nothing global."""

import hashlib

import pytest
import torch
from torch import nn

from hessbench.problems.networks import ARCHITECTURES, flat_forward, initial_state
from hessbench.problems.networks.architectures.mlp import mlp

CIFAR = (3, 32, 32)


def on_meta(name, shape=CIFAR, classes=10):
    with torch.device("meta"):
        return ARCHITECTURES[name].make(shape, classes)


def test_weights_of_resnet20_are_those_that_ledgers_know():
    state = initial_state(on_meta("resnet20"), "resnet20-init")
    digest = hashlib.sha256()
    for name, value in state.items():
        digest.update(name.encode())
        digest.update(value.numpy().tobytes())
    assert digest.hexdigest()[:16] == "2e6fc1394b3c1d71"


def test_the_same_seed_gives_the_same_weights_and_another_seed_others():
    model = on_meta("mlp", (1, 4, 4))
    one, same, other = (initial_state(model, "seed", part) for part in ("a", "a", "b"))
    assert all(torch.equal(one[name], same[name]) for name in one)
    assert not torch.equal(one["fc1.weight"], other["fc1.weight"])


def test_the_global_generator_is_left_alone_and_the_module_too():
    model = ARCHITECTURES["mlp"].make((1, 4, 4), 3)
    kept = {name: value.clone() for name, value in model.state_dict().items()}
    before = torch.get_rng_state()
    initial_state(model, "seed")
    assert torch.equal(torch.get_rng_state(), before)
    assert all(torch.equal(value, kept[name]) for name, value in model.state_dict().items())


@pytest.mark.parametrize("name", ["resnet20", "resnet20-padded", "vgg11-bn", "cnn-3c3d"])
def test_every_weight_and_statistic_is_there_in_order_and_fits_the_module(name):
    shape = (1, 32, 32) if name == "vgg11-bn" else (1, 16, 16)
    model = ARCHITECTURES[name].make(shape, 3)
    state = initial_state(model, "seed")
    assert list(state) == [key for key in model.state_dict() if not key.endswith("num_batches_tracked")]
    assert all(value.dtype == torch.float32 for value in state.values())
    model.load_state_dict(state)


def test_batch_norm_starts_at_the_identity():
    state = initial_state(on_meta("resnet20"), "seed")
    assert all(bool((state[f"layer1.0.bn1.{own}"] == 1).all()) for own in ("weight", "running_var"))
    assert not any(bool(state[f"layer1.0.bn1.{own}"].any()) for own in ("bias", "running_mean"))


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_logits_of_unit_images_are_of_order_one(name):
    model = on_meta(name)
    state = initial_state(model, "order", name)
    images = torch.randn(4, *CIFAR, generator=torch.Generator().manual_seed(2))
    logits = flat_forward(model, state, [])(torch.empty(0), images)
    assert 0.05 < float(logits.square().mean().sqrt()) < 5


@pytest.mark.parametrize(("activation", "gain"), [("tanh", 1), ("relu", 2)])
def test_hidden_layers_are_drawn_for_their_activation(activation, gain):
    state = initial_state(mlp((400,), 10, widths=(500,), activation=activation), "seed")
    # 200,000 normal draws: the relative error of their variance has deviation sqrt(2 / 200,000), 0.3 %.
    assert float(state["fc1.weight"].var()) == pytest.approx(gain / 400, rel=0.015)
    assert not state["fc1.bias"].any()
    assert 0.9 * 500**-0.5 < float(state["fc2.weight"].abs().max()) <= 500**-0.5


def test_a_layer_without_a_rule_is_refused_by_name():
    with pytest.raises(ValueError, match=r"no rule says how to draw 0\.weight, which belongs to a Embedding"):
        initial_state(nn.Sequential(nn.Embedding(3, 2)), "seed")
