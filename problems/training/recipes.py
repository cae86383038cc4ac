"""The recipes of the built-in networks: which steps are named, and how these networks are trained."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from itertools import pairwise
from types import MappingProxyType
from typing import Final

from hessbench.problems.data.datasets import DATASETS, DataSet
from hessbench.problems.networks.losses import LOSSES, SQUARED
from hessbench.problems.parameters import one_of
from hessbench.problems.training.recipe import Recipe
from hessbench.problems.training.recipe_text import BUILT_IN, read_recipe

SHORT_PARAMETERS: Final = 1_000_000
"""Perceptrons up to this size are trained on demand: their 1000 steps take half a minute at most on one slow core."""

_SHORT_WORK: Final = 64 * 1000 * SHORT_PARAMETERS

_COLOUR_DIVISOR: Final = 10
_STABLE_WIDTH: Final = 512


@dataclass(frozen=True)
class _Plan:
    """A recipe for cross-entropy, and the learning rate of the squared loss, which is steeper."""

    recipe: Recipe
    squared_rate: float


def _halving(steps: int) -> tuple[tuple[int, float], ...]:
    return ((steps // 2, 0.1), (3 * steps // 4, 0.01))


_MLP = _Plan(Recipe(1000, 64, 0.1), squared_rate=0.03)
# The first steps are short: the outputs of untrained convolutions are some ten times the targets of the squared loss.
_CNN = _Plan(Recipe(300, 32, 0.01, schedule="piecewise-linear", knots=((0, 0.1), (20, 1.0))), squared_rate=0.003)
_ALL_CNN = replace(_CNN, recipe=replace(_CNN.recipe, steps=200, checkpoints=(0, 10, 100, 200)))
_RESNET20 = _Plan(
    Recipe(10_000, 128, 0.1, weight_decay=1e-4, schedule="step", knots=_halving(10_000)), squared_rate=0.03
)
_DEEP_NORMED = _Plan(
    Recipe(
        10_000,
        128,
        0.1,
        weight_decay=5e-4,
        schedule="piecewise-linear",
        knots=((0, 0.1), (500, 1.0), (5000, 1.0), (10_000, 0.01)),
    ),
    squared_rate=0.03,
)
_DEEP = replace(_DEEP_NORMED, recipe=replace(_DEEP_NORMED.recipe, learning_rate=0.01), squared_rate=0.003)

_PLANS: Final[Mapping[str, _Plan]] = MappingProxyType(
    {
        "mlp": _MLP,
        "cnn-3c3d": _CNN,
        "all-cnn-c": _ALL_CNN,
        "resnet20": _RESNET20,
        "resnet20-padded": _RESNET20,
        "resnet18": _DEEP_NORMED,
        "vgg11-bn": _DEEP_NORMED,
        "vgg16": _DEEP,
        "vgg16-bn": _DEEP_NORMED,
    }
)


def recipe_for(
    architecture: str,
    dataset: str,
    loss: str,
    *,
    widths: tuple[int, ...] = (32,),
    text: str = BUILT_IN,
    run: int = 0,
    samples: int = 0,
) -> Recipe:
    """How a built-in network is trained on a built-in data set.

    The named steps depend on the architecture alone, and the order of the samples on data set and run alone, so that
    networks and losses are compared on the same minibatches where their batches are of one size. Perceptrons up to
    10^6 parameters, trained for no longer than by the built-in recipe, are `short`; nothing else is: on one core in
    float64 a step of cnn-3c3d takes some 0.2 s, one of all-cnn-c 4 s, and the larger ones are meant for other machines.

    Args:
        architecture: mlp, cnn-3c3d, all-cnn-c, resnet20, resnet20-padded, resnet18, vgg11-bn, vgg16 or vgg16-bn.
        dataset: Name of a data set, its images normalised as by default.
        loss: cross-entropy or squared.
        widths: Hidden units of a perceptron. From 512 units on the rate falls as 1 / width, since the curvature of the
            last layer grows with the width: at width 1024 and rate 0.1 the squared loss diverges.
        text: What is changed of it; see `hessbench.problems.training.recipe_text`.
        run: Number of the run, which draws an order of its own; the initial state is the caller's.
        samples: Samples of an epoch, where the text counts in epochs.

    Raises:
        ValueError: If a name is not known, a width is below 1, or the text is not accepted.
    """
    one_of("recipe", "architecture", architecture, _PLANS)
    one_of("recipe", "dataset", dataset, DATASETS)
    one_of("recipe", "loss", loss, LOSSES)
    if widths and min(widths) < 1:
        raise ValueError(f"recipe: every width must be at least 1, got {widths}")
    plan, images = _PLANS[architecture], DATASETS[dataset]
    rate = plan.squared_rate if loss == SQUARED.name else plan.recipe.learning_rate
    perceptron = architecture == "mlp"
    if perceptron:
        # Pixels of unit variance are larger than those in [0, 1], and there are more of them.
        rate /= _COLOUR_DIVISOR if images.shape[0] > 1 else 1
        # So are the squared distances of more classes, and units that such a step switches off stay off.
        rate /= images.classes / 10 if loss == SQUARED.name else 1
        rate *= min(1.0, _STABLE_WIDTH / max(widths, default=1))
    order = ("recipe", dataset) if run == 0 else ("recipe", dataset, f"run {run}")
    recipe = read_recipe(text).applied(replace(plan.recipe, learning_rate=rate, loss=loss, seed=order), samples)
    size = _perceptron_parameters(images, widths) if perceptron else 0
    work = size * recipe.batch_size * recipe.steps
    return replace(recipe, short=perceptron and size <= SHORT_PARAMETERS and work <= _SHORT_WORK)


def _perceptron_parameters(images: DataSet, widths: tuple[int, ...]) -> int:
    sizes = (math.prod(images.shape), *widths, images.classes)
    return sum((before + 1) * after for before, after in pairwise(sizes))
