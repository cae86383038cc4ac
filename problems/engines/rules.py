"""The engine `rules`: hand-written rules for every node of the traced network, columns of a block folded in."""

from __future__ import annotations

from importlib import import_module
from typing import Final, Protocol, cast

from torch import Tensor

from hessbench.problems.engines.engine import EngineUnavailable, Products
from hessbench.problems.network import Batch, Network

_FEW: Final = 2


class RulesProducts(Protocol):
    """Products with the matrices of the sum of the losses of one batch."""

    @property
    def outputs(self) -> Tensor: ...
    def hessian(self, block: Tensor) -> Tensor: ...
    def ggn(self, block: Tensor) -> Tensor: ...
    def pull(self, block: Tensor) -> Tensor: ...


def hessian(network: Network, batch: Batch) -> Products:
    """Hessian of a batch by the rules.

    Cost: a trace and one gradient.

    Raises:
        EngineUnavailable: If a node has no rule.
    """
    found = _rules(network, batch)
    return Products(lambda block: found.hessian(block.contiguous()) * network.scale)


def ggn(network: Network, batch: Batch) -> Products:
    """GGN of a batch by the rules.

    Cost: a trace and one gradient.

    Raises:
        EngineUnavailable: If a node has no rule.
    """
    found = _rules(network, batch)
    return Products(lambda block: found.ggn(block.contiguous()) * network.scale, jacobian=found)


def unknown_node(network: Network) -> str | None:
    """The node that has no rule, as one sentence; None where every node has one."""
    batch = network.batches[0]
    few = Batch(batch.inputs[:_FEW], batch.targets[:_FEW])
    try:
        _rules(network, batch if network.group else few)
    except EngineUnavailable as failure:
        return str(failure)
    return None


def _rules(network: Network, batch: Batch) -> RulesProducts:
    try:
        module = import_module("hessbench.problems.rules")
    except ModuleNotFoundError as failure:
        raise EngineUnavailable("there are no rules here") from failure
    try:
        return cast("RulesProducts", module.RulesProducts(network, batch))
    except module.UnknownNode as failure:
        raise EngineUnavailable(str(failure)) from failure
