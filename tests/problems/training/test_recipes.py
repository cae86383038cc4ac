"""Recipes of the built-in networks: there for every one, of the same named steps, and they learn."""

from dataclasses import replace
from itertools import product

import pytest
import torch
from sklearn.datasets import load_digits
from torch import nn

from hessbench.problems.data.datasets import DATASETS
from hessbench.problems.networks.architectures.table import ARCHITECTURES
from hessbench.problems.networks.losses import LOSSES
from hessbench.problems.training import history, recipe_for, trained


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_every_network_has_one_for_every_data_set_and_loss_with_the_same_named_steps(architecture):
    recipes = [recipe_for(architecture, dataset, loss) for dataset, loss in product(DATASETS, LOSSES)]
    assert len({recipe.checkpoints for recipe in recipes}) == 1
    assert {recipe.loss for recipe in recipes} == set(LOSSES)
    assert len({recipe.seed for recipe in recipes}) == len(DATASETS)


@pytest.mark.parametrize(
    ("architecture", "widths", "short"),
    [
        ("mlp", (32,), True),
        ("mlp", (1000, 1000), False),
        ("mlp", (), True),
        ("cnn-3c3d", (32,), False),
        ("resnet20", (32,), False),
    ],
)
def test_perceptrons_that_train_in_seconds_are_short(architecture, widths, short):
    assert recipe_for(architecture, "mnist", "cross-entropy", widths=widths).short is short


def test_wide_perceptrons_get_a_smaller_rate():
    usual, wide, widest = (
        recipe_for("mlp", "digits", "squared", widths=widths).learning_rate
        for widths in ((32, 512), (1024,), (16, 5120))
    )
    assert wide == pytest.approx(usual / 2)
    assert widest == pytest.approx(usual / 10)


@pytest.mark.parametrize(
    ("arguments", "keywords", "said"),
    [
        (("mlpp", "digits", "squared"), {}, r"architecture must be one of mlp, .*got 'mlpp' \(did you mean 'mlp'"),
        (("mlp", "digit", "squared"), {}, r"dataset must be one of .*got 'digit' \(did you mean 'digits'"),
        (("mlp", "digits", "square"), {}, r"loss must be one of .*got 'square' \(did you mean 'squared'"),
        (("mlp", "digits", "squared"), {"widths": (8, 0)}, r"every width must be at least 1, got \(8, 0\)"),
    ],
)
def test_what_is_not_known_is_refused(arguments, keywords, said):
    with pytest.raises(ValueError, match=f"^recipe: {said}"):
        recipe_for(*arguments, **keywords)


def perceptron(widths, activation):
    """A perceptron over 64 pixels, and weights and biases uniform in +-1 / sqrt(fan-in)."""
    sizes = (64, *widths)
    hidden = [layer for pair in zip(sizes, widths, strict=False) for layer in (nn.Linear(*pair), activation())]
    model = nn.Sequential(*hidden, nn.Linear(sizes[-1], 10))
    generator = torch.Generator().manual_seed(1)
    state = model.state_dict()
    fan_in = {name: state[name.replace("bias", "weight")].shape[1] for name in state}
    initial = {
        name: (torch.rand(value.shape, generator=generator) * 2 - 1) * fan_in[name] ** -0.5
        for name, value in state.items()
    }
    return model, initial


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize(
    ("widths", "activation", "steps", "accuracy"),
    [((16,), nn.Tanh, 1000, 0.95), ((32, 16), nn.ReLU, 1000, 0.95), ((1500,), nn.Tanh, 100, 0.85)],
    ids=["narrow", "deep", "wide"],
)
def test_perceptrons_learn_the_digits(widths, activation, steps, accuracy, loss):
    pixels, labels = load_digits(return_X_y=True)
    inputs, labels = torch.as_tensor(pixels[:500] / 16).float(), torch.as_tensor(labels[:500])
    model, initial = perceptron(widths, activation)
    recipe = replace(recipe_for("mlp", "digits", loss, widths=widths), steps=steps, checkpoints=(0, 10, steps))
    trained(model, initial, "perceptron", inputs, labels, recipe, steps)
    points = history(initial, "perceptron", inputs, labels, recipe)
    assert points[0].accuracy < 0.3
    assert points[-1].accuracy > accuracy
    assert [point.loss for point in points] == sorted((point.loss for point in points), reverse=True)
