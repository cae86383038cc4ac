"""Where a network, a choice of matrix, an engine and references become a problem."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import cache
from typing import final

from hessbench.estimand.from_dense import References
from hessbench.problem import FACTOR, PARTS, ROWS, SUBSET, Problem
from hessbench.problems.curvature.choice import MatrixChoice
from hessbench.problems.curvature.engines.table import AUTO
from hessbench.problems.networks.losses import Loss
from hessbench.problems.networks.network import Network
from hessbench.problems.references.choose import ROUNDING, references_of
from hessbench.problems.references.shipped import with_shipped
from hessbench.specs import Spec


def network_problem(
    name: Spec | str,
    choice: MatrixChoice,
    network: Callable[[], Network],
    *,
    dim: int,
    loss: Loss,
    fingerprint: Callable[[], str],
    shapes: Mapping[str, tuple[int, ...]] | None = None,
    references: References | None = None,
    rounding: float = ROUNDING,
    factored: bool = True,
) -> Problem:
    """A curvature matrix of a network as a problem.

    Args:
        name: The canonical spec of a family, without an engine, which is added where one was asked for: references are
            drawn by it, and may ship under it. Or a name of one's own.
        choice: Which matrix, and by which engine.
        network: Makes the network on the CPU, in the dtype of its weights; called when it is needed, and once where
            the problem is loaded.
        dim: Dimension of the matrix.
        loss: Loss of the network, which says what is declared of the matrix.
        fingerprint: Hash of the weights and data that are used; computed once.
        shapes: Names and shapes of the parameters, for a matrix whose rows are parameters.
        references: Its references, in place of those that its size affords.
        rounding: Constant c in the rounding c eps ||A|| of the products that are compared with these.
        factored: Whether every sample stands by itself, so that a matrix offers its factor, rows, subsets and parts.

    Returns:
        The problem, which is always to be had: a family adds what it may miss, and where to get it.
    """
    if references is None:
        seed = str(name) if isinstance(name, Spec) else ""
        references = references_of(network, choice, dim, name=seed, rounding=rounding)
    traits = choice.traits(loss)
    held = _HeldNetwork(network)
    problem = Problem(
        name=str(name),
        dim=dim,
        build=lambda device, dtype: choice.of(held().to(device, dtype)),
        references=references,
        traits=traits if factored else tuple(trait for trait in traits if trait not in (FACTOR, ROWS, SUBSET, PARTS)),
        fingerprint=cache(fingerprint),
        shapes={} if choice.is_by_output or shapes is None else shapes,
        modules=("torch._dynamo",),
        network=held,
        build_rows=(lambda device, dtype: choice.of(held().to(device, dtype), by_rows=True)) if factored else None,
        load=held.load,
    )
    return _of_family(problem, name, choice) if isinstance(name, Spec) else problem


@final
class _HeldNetwork:
    """A network that is made whenever it is asked for, until it is loaded.

    Args:
        make: Makes it.
    """

    def __init__(self, make: Callable[[], Network]) -> None:
        self._make = make
        self._made: Network | None = None

    def load(self) -> None:
        """Make it and keep it."""
        self._made = self()

    def __call__(self) -> Network:
        """The network."""
        return self._make() if self._made is None else self._made


def _of_family(problem: Problem, spec: Spec, choice: MatrixChoice) -> Problem:
    """The problem with the references that ship, under a name of its own where a way to multiply was asked for."""
    problem = with_shipped(problem)
    asked = {"engine": choice.engine} if choice.engine != AUTO else {}
    asked |= {"micro_batch": choice.micro_batch} if choice.micro_batch else {}
    if not asked:
        return problem
    return replace(problem, name=str(Spec(spec.name, tuple(sorted((*spec.params, *asked.items()))))))
