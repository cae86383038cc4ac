"""A curvature matrix of one of the built-in networks on its data, as a problem."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache
from typing import Final

from hessbench.problem import Problem, array_hash
from hessbench.problems import data
from hessbench.problems.curvature.choice import Matrix
from hessbench.problems.curvature.matrices import BY_OUTPUT
from hessbench.problems.network_families.weights_source import RANDOM, Weights
from hessbench.problems.networks import flat_forward, flat_parameters
from hessbench.problems.networks.architectures.batch_norm import has_batch_norm, unfolded
from hessbench.problems.networks.losses import LOSSES, MEAN, REDUCTIONS
from hessbench.problems.networks.network import Batch, Network
from hessbench.problems.networks.restriction import block_index, block_shapes, restricted
from hessbench.problems.parameters import in_range, one_of, with_engine
from hessbench.problems.references.shipped import with_shipped

MAX_PER_CLASS: Final = 10_000


@dataclass(frozen=True)
class Curvature:
    """Which matrix, of which network, on which data.

    Attributes:
        family: Registered name, for messages.
        weights: Where the weights come from, and what the network is.
        batched: Whether blocks are vectorised.
        per_class: Images of each class.
        split: train or test.
        matrix: Which matrix of it.
        block: Parameters it is restricted to.
        reduction: mean or sum over the samples.
    """

    family: str
    weights: Weights
    batched: bool
    per_class: int
    split: str
    matrix: Matrix
    block: str
    reduction: str

    def problem(self, name: str, ladder: Callable[[int], Problem] | None = None) -> Problem:
        """The problem of that canonical name.

        Raises:
            ValueError: If a parameter is out of range.
        """
        self._check()
        pieces = block_shapes(self.block, self.weights.shapes)
        by_sample = self.matrix.operator in BY_OUTPUT
        problem = Problem(
            name=name,
            dim=self.dim,
            build=lambda device, dtype: self.matrix.of(self.network().to(device, dtype)),
            references=self.matrix.references(self.network, self.dim, name=name, rounding=None),
            traits=self.matrix.traits(LOSSES[self.weights.loss]),
            fingerprint=cache(self.fingerprint),
            unavailable=lambda: self.unavailable(name),
            ladder=ladder,
            modules=("sklearn.datasets", "torch._dynamo"),
            shapes={} if by_sample else pieces,
            prepare=self.prepare,
            train=None if self.weights.choice == RANDOM else self.weights.train,
            network=self.network,
        )
        return with_engine(with_shipped(problem), self.matrix.engine)

    @property
    def dim(self) -> int:
        """Dimension of the matrix."""
        known = data.DATASETS[self.weights.dataset]
        samples = self.per_class * known.classes
        if self.matrix.operator in BY_OUTPUT:
            return samples if self.matrix.operator == "ntk" else samples * known.classes
        return sum(math.prod(shape) for shape in block_shapes(self.block, self.weights.shapes).values())

    def network(self) -> Network:
        """The network at its weights, as a function of the parameters of the block."""
        state, samples, shapes = self.weights.state(), self.samples(), self.weights.shapes
        model = self.weights.shell.train(self.matrix.group)
        whole = Network(
            flat_forward(model, state, tuple(shapes)),
            flat_parameters(state, tuple(shapes)),
            (Batch(samples.inputs, samples.labels),),
            replace(LOSSES[self.weights.loss], mean=self.reduction == MEAN),
            self.batched,
            group=self.matrix.group,
            as_written=flat_forward(unfolded(model), state, tuple(shapes)) if has_batch_norm(model) else None,
        )
        return restricted(whole, block_index(self.block, shapes))

    def samples(self) -> data.Samples:
        """The data, in the shape the network takes."""
        chosen = data.load(self.weights.dataset, split=self.split, per_class=self.per_class)
        return data.adapted(chosen, self.weights.shape)

    def fingerprint(self) -> str:
        """Hash of weights, statistics and data."""
        state, samples = self.weights.state(), self.samples()
        arrays = (state[name].numpy() for name in sorted(state))
        return array_hash(*arrays, samples.inputs.numpy(), samples.labels.numpy())

    def unavailable(self, name: str) -> str | None:
        """Why the problem of that name cannot be built here, and the remedy; None when it can."""
        return data.unavailable(self.weights.dataset) or self.weights.unavailable(name)

    def prepare(self, say: Callable[[str], None]) -> None:
        """Download the data where it is missing."""
        if data.unavailable(self.weights.dataset):
            data.fetch(self.weights.dataset, say)

    def _check(self) -> None:
        in_range(self.family, "per_class", self.per_class, 1, MAX_PER_CLASS)
        one_of(self.family, "split", self.split, data.DATASETS[self.weights.dataset].splits)
        one_of(self.family, "reduction", self.reduction, REDUCTIONS)
        self.matrix.check(self.family)
        self.weights.check(self.family)
