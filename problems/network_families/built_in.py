"""A curvature matrix of one of the built-in networks on its data, as a problem."""

from __future__ import annotations

import math
from collections.abc import Callable
from copy import deepcopy
from dataclasses import replace
from typing import Final

from hessbench.problem import Problem, array_hash
from hessbench.problems import data
from hessbench.problems.curvature.choice import MatrixChoice
from hessbench.problems.network_families.weights_source import RANDOM, Weights
from hessbench.problems.network_problem import network_problem
from hessbench.problems.networks import flat_forward, flat_parameters
from hessbench.problems.networks.architectures.batch_norm import has_batch_norm, unfolded
from hessbench.problems.networks.losses import LOSSES, MEAN, REDUCTIONS
from hessbench.problems.networks.network import Batch, Network
from hessbench.problems.networks.own_module import OwnModule, filled
from hessbench.problems.networks.restriction import block_index, block_shapes, restricted
from hessbench.problems.parameters import in_range, one_of
from hessbench.specs import Spec

MAX_PER_CLASS: Final = 10_000


def built_in_problem(
    spec: Spec,
    weights: Weights,
    choice: MatrixChoice,
    *,
    family: str,
    batched: bool,
    per_class: int,
    split: str,
    block: str,
    reduction: str,
    ladder: Callable[[int], Problem] | None = None,
) -> Problem:
    """A curvature matrix of a network at weights that are trained, untrained or the user's.

    Args:
        spec: Canonical spec, without an engine.
        weights: Where the weights come from, and what the network is.
        choice: Which matrix of it.
        family: Registered name, for messages.
        batched: Whether blocks are vectorised.
        per_class: Images of each class.
        split: train or test.
        block: Parameters it is restricted to.
        reduction: mean or sum over the samples.
        ladder: The problem at other dimensions.

    Raises:
        ValueError: If a parameter is out of range.
    """
    dataset = data.DATASETS[weights.dataset]
    in_range(family, "per_class", per_class, 1, MAX_PER_CLASS)
    one_of(family, "split", split, dataset.splits)
    one_of(family, "reduction", reduction, REDUCTIONS)
    choice.check(family)
    weights.check(family)
    pieces = block_shapes(block, weights.shapes)
    loss = replace(LOSSES[weights.loss], mean=reduction == MEAN)

    def samples() -> data.Samples:
        """The data, in the shape the network takes."""
        return data.adapted(data.load(weights.dataset, split=split, per_class=per_class), weights.shape)

    def network() -> Network:
        """The network at its weights, as a function of the parameters of the block."""
        with data.read_once():
            state, chosen, shapes = weights.state(), samples(), weights.shapes
        model = weights.shell.train(choice.group)
        written = unfolded(model) if has_batch_norm(model) else model
        whole = Network(
            flat_forward(model, state, tuple(shapes)),
            flat_parameters(state, tuple(shapes)),
            (Batch(chosen.inputs, chosen.labels),),
            loss,
            batched,
            group=choice.group,
            as_written=flat_forward(written, state, tuple(shapes)) if has_batch_norm(model) else None,
            own=OwnModule(lambda: filled(deepcopy(written), state), shapes),
        )
        return restricted(whole, block_index(block, shapes))

    def fingerprint() -> str:
        """Hash of weights, statistics and data."""
        with data.read_once():
            state, chosen = weights.state(), samples()
        arrays = (state[name].numpy() for name in sorted(state))
        return array_hash(*arrays, chosen.inputs.numpy(), chosen.labels.numpy())

    def prepare(say: Callable[[str], None]) -> None:
        """Download the data where it is missing."""
        if data.unavailable(weights.dataset):
            data.fetch(weights.dataset, say)

    problem = network_problem(
        spec,
        choice,
        network,
        dim=choice.dim(sum(map(math.prod, pieces.values())), per_class * dataset.classes, dataset.classes),
        loss=loss,
        fingerprint=fingerprint,
        shapes=pieces,
    )
    return replace(
        problem,
        # Why it cannot be built here, and the remedy, which trains it under the name without an engine.
        unavailable=lambda: data.unavailable(weights.dataset) or weights.unavailable(str(spec)),
        ladder=ladder,
        modules=("sklearn.datasets", *problem.modules),
        prepare=prepare,
        train=None if weights.choice == RANDOM else weights.train,
    )
