"""The family `digits-mlp`: a small perceptron really trained on real digits, small enough for a dense answer.

One hidden tanh layer; handwritten digits of 7 x 7 pixels; plain SGD.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Final

import numpy as np
import torch
from torch import Tensor, nn

from hessbench.estimand.from_dense import DENSE_LIMIT, dense_references
from hessbench.problem import Problem, ProblemFamily, array_hash
from hessbench.problems.curvature.choice import MatrixChoice
from hessbench.problems.curvature.engines.table import AUTO, engine_names
from hessbench.problems.network_problem import network_problem
from hessbench.problems.networks.architectures.mlp import mlp
from hessbench.problems.networks.flat import parameter_shapes
from hessbench.problems.networks.losses import CROSS_ENTROPY
from hessbench.problems.networks.network import Batch, Network
from hessbench.problems.networks.own_module import OwnModule
from hessbench.problems.parameters import in_range, nearest, one_of, spec_of
from hessbench.problems.references.dense import DENSE
from hessbench.seeding import derive_seed

PIXELS: Final = 49
CLASSES: Final = 10
SAMPLES: Final = 500
BATCH: Final = 64
LEARNING_RATE: Final = 0.1
STEPS: Final = (0, 10, 100, 500)
OPERATORS: Final = ("hessian", "ggn")
MAX_WIDTH: Final = 200_000


def digits_mlp_problem(*, step: int = 500, operator: str = "hessian", width: int = 32, engine: str = AUTO) -> Problem:
    """Hessian or GGN of the mean cross-entropy of a 49-width-10 tanh perceptron over 500 handwritten digits.

    All 60 width + 10 parameters (1930 by default), after `step` steps of SGD; see `train`.

    Args:
        step: Training steps made: 0, 10, 100 or 500.
        operator: hessian or ggn.
        width: Hidden units, 1 to 200000; other widths than 32 are meant for prices at other sizes.
        engine: How products are made: auto for the fastest way here, or a name of `curvature.engines.table`.

    Raises:
        ValueError: If a parameter is out of range.
    """
    family = "digits-mlp"
    one_of(family, "step", step, STEPS)
    one_of(family, "operator", operator, OPERATORS)
    one_of(family, "engine", engine, engine_names(operator))
    in_range(family, "width", width, 1, MAX_WIDTH)

    def network() -> Network:
        return digits_network(width, step)

    def fingerprint() -> str:
        made = network()
        (batch,) = made.batches
        return array_hash(made.parameters.numpy(), batch.inputs.numpy(), batch.targets.numpy())

    dim = mlp_dim(width)
    problem = network_problem(
        spec_of(family, digits_mlp_problem, step=step, operator=operator, width=width),
        MatrixChoice(operator, engine=engine),
        network,
        dim=dim,
        loss=CROSS_ENTROPY,
        fingerprint=fingerprint,
        # Dense or none, with a rounding of its own: other widths than 32 are not there for their answers.
        references=dense_references(lambda: DENSE[operator](network()), network) if dim <= DENSE_LIMIT else {},
    )

    def ladder(dim: int) -> Problem:
        """Untrained at other sizes: a price depends on the shapes alone."""
        other = nearest(round((dim - mlp_dim(0)) / 60), 1, MAX_WIDTH)
        return digits_mlp_problem(step=0, operator=operator, width=other, engine=engine)

    return replace(problem, ladder=ladder, modules=("sklearn.datasets", *problem.modules))


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

    Args:
        width: Hidden units, at least 1.
        steps: Updates made, at least 0.
        inputs: Samples (N, 49), float64; N at least 64, one batch.
        labels: Class numbers (N,), between 0 and 9.

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
    data = (Batch(inputs, labels),)
    return Network(partial(mlp_logits, width=width), parameters, data, own=_own_module(width, parameters))


def _own_module(width: int, parameters: Tensor) -> OwnModule:
    """The same perceptron as a module, whose parameters lie in the same order."""

    def make() -> nn.Module:
        module = mlp((PIXELS,), CLASSES, (width,)).double()
        with torch.no_grad():
            nn.utils.vector_to_parameters(parameters, module.parameters())
        return module

    return OwnModule(make, parameter_shapes(mlp((PIXELS,), CLASSES, (width,))))


DIGITS_MLP: Final = ProblemFamily(
    "digits-mlp",
    digits_mlp_problem,
    presets=tuple(f"digits-mlp[operator={operator},step={step}]" for operator in OPERATORS for step in STEPS),
    summary="Hessian or GGN of a 1930-parameter perceptron trained 0 to 500 steps on handwritten digits",
)
