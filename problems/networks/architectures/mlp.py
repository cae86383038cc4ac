"""The multilayer perceptron: dense layers of any widths, tanh or ReLU between them."""

from __future__ import annotations

import math
from collections import OrderedDict
from itertools import pairwise
from typing import Final

from torch import nn

from hessbench.problems.networks.architectures.making import check_classes, evaluating

ACTIVATIONS: Final = {"tanh": nn.Tanh, "relu": nn.ReLU}


def mlp(
    shape: tuple[int, ...], classes: int, widths: tuple[int, ...] = (32,), activation: str = "tanh"
) -> nn.Sequential:
    """Inputs of any shape, flattened, through hidden layers `fc1`, `fc2`, ... to logits.

    Args:
        shape: Shape of one input.
        classes: Number of logits.
        widths: Units of the hidden layers, from the input on; none makes a linear model.
        activation: tanh or relu.

    Returns:
        Module in evaluation mode, of sum over layers of (in + 1) out parameters.

    Raises:
        ValueError: If a width, the shape or the number of classes is not positive, or the activation is another.
    """
    if not shape or min(shape) < 1:
        raise ValueError(f"mlp takes inputs of a shape of positive sizes, got {shape}")
    if widths and min(widths) < 1:
        raise ValueError(f"mlp: every width must be at least 1, got {'-'.join(map(str, widths))}")
    if activation not in ACTIVATIONS:
        raise ValueError(f"mlp: activation must be one of {', '.join(ACTIVATIONS)}, got {activation!r}")
    check_classes("mlp", classes)
    sizes = (math.prod(shape), *widths, classes)

    def build() -> nn.Sequential:
        layers = OrderedDict[str, nn.Module](flatten=nn.Flatten())
        for number, (before, after) in enumerate(pairwise(sizes), start=1):
            layers[f"fc{number}"] = nn.Linear(before, after)
            if number <= len(widths):
                layers[f"{activation}{number}"] = ACTIVATIONS[activation]()
        return nn.Sequential(layers)

    return evaluating(build)
