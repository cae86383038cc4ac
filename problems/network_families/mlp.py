"""A multilayer perceptron with one hidden tanh layer, its handwritten-digit data, and its training by plain SGD."""

from __future__ import annotations

from functools import partial
from typing import Final

import numpy as np
import torch
from torch import Tensor

from hessbench.problems.networks.network import Batch, Network
from hessbench.seeding import derive_seed

PIXELS: Final = 49
CLASSES: Final = 10
SAMPLES: Final = 500
BATCH: Final = 64
LEARNING_RATE: Final = 0.1


def mlp_logits(parameters: Tensor, inputs: Tensor, *, width: int) -> Tensor:
    """Logits (N, 10) of inputs (N, 49) from flat parameters: W1 (width, 49), b1, W2 (10, width), b2."""
    W1, b1, W2, b2 = parameters.split([width * PIXELS, width, CLASSES * width, CLASSES])
    hidden = torch.tanh(torch.nn.functional.linear(inputs, W1.view(width, PIXELS), b1))
    return torch.nn.functional.linear(hidden, W2.view(CLASSES, width), b2)


def mlp_dim(width: int) -> int:
    """Number of parameters with `width` hidden units: 60 width + 10."""
    return width * (PIXELS + 1 + CLASSES) + CLASSES


def digits() -> tuple[Tensor, Tensor]:
    """500 images of scikit-learn's handwritten digits, 50 of each class in a seeded order.

    Each 8 x 8 image is scaled to [0, 1] and pooled to 7 x 7 by means over 2 x 2 windows of stride 1: multiples of
    1 / 64, which every floating type holds exactly.

    Returns:
        Images (500, 49), float64, and labels (500,).
    """
    from sklearn.datasets import load_digits

    pixels, labels = load_digits(return_X_y=True)
    generator = np.random.default_rng(derive_seed("digits-subset"))
    per_class = SAMPLES // CLASSES
    chosen = np.stack([generator.permutation(np.flatnonzero(labels == c))[:per_class] for c in range(CLASSES)], axis=1)
    index = generator.permuted(chosen, axis=1).ravel()
    images = pixels[index].reshape(-1, 8, 8) / 16
    pooled = (images[:, :-1, :-1] + images[:, 1:, :-1] + images[:, :-1, 1:] + images[:, 1:, 1:]) / 4
    return torch.as_tensor(pooled.reshape(-1, PIXELS)), torch.as_tensor(labels[index], dtype=torch.int64)


def initial_parameters(width: int) -> Tensor:
    """Weights and biases uniform in +-1 / sqrt(fan-in), float64, from a seed."""
    generator = np.random.default_rng(derive_seed("digits-mlp-init", str(width)))
    first, second = PIXELS**-0.5, width**-0.5
    parts = [(width * PIXELS, first), (width, first), (CLASSES * width, second), (CLASSES, second)]
    return torch.as_tensor(np.concatenate([generator.uniform(-limit, limit, size) for size, limit in parts]))


def train(width: int, steps: int, inputs: Tensor, labels: Tensor) -> Tensor:
    """Train by SGD at learning rate 0.1 on batches of 64, in float64 on one thread, then round to float32.

    Every epoch is a fresh permutation cut into whole batches; the first steps of a long run are those of a short one.
    One thread makes the order of every sum, and so the weights, the same wherever the thread count differs.

    Returns:
        Flat parameters, float64 holding float32 values.
    """
    generator = np.random.default_rng(derive_seed("digits-mlp-batches"))
    parameters = initial_parameters(width)
    batches: list[Tensor] = []
    threads = torch.get_num_threads()
    try:
        torch.set_num_threads(1)
        for _ in range(steps):
            if not batches:
                order = torch.as_tensor(generator.permutation(labels.numel()))
                batches = [batch for batch in order.split(BATCH) if batch.numel() == BATCH]
            batch = batches.pop(0)
            data = (Batch(inputs[batch], labels[batch]),)
            network = Network(partial(mlp_logits, width=width), parameters, data)
            tracked = parameters.requires_grad_()
            with torch.enable_grad():
                (gradient,) = torch.autograd.grad(network.objective(tracked), tracked)
            parameters = parameters.detach() - LEARNING_RATE * gradient
    finally:
        torch.set_num_threads(threads)
    return parameters.detach().float().double()


def digits_network(width: int, steps: int) -> Network:
    """The trained network and its data, in float64 with float32 weights."""
    inputs, labels = digits()
    parameters = train(width, steps, inputs, labels)
    return Network(partial(mlp_logits, width=width), parameters, (Batch(inputs, labels),))
