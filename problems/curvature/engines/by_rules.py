"""The engine `rules`: hand-written rules for every node of the recorded network, columns of a block folded in."""

from __future__ import annotations

from typing import Final

from torch import Tensor

from hessbench.exceptions import is_out_of_memory
from hessbench.operators import Matmat
from hessbench.problems.curvature.engines.engine import EngineUnavailable, Products
from hessbench.problems.curvature.rules import RulesProducts, UnknownNode
from hessbench.problems.networks.network import Batch, Network

_FEW: Final = 2


def hessian(network: Network, batch: Batch) -> Products:
    """Hessian of a batch by the rules, their gradient compared with autograd's.

    Cost: a gradient, and another backward pass for the comparison.

    Raises:
        EngineUnavailable: If a node has no rule.
    """
    return _hessian(network, batch, check=True)


def hessian_again(network: Network, batch: Batch) -> Products:
    """The same, for another batch of a network that was compared before. Cost: a gradient."""
    return _hessian(network, batch, check=False)


def ggn(network: Network, batch: Batch) -> Products:
    """GGN of a batch by the rules, their gradient compared with autograd's.

    Cost: a gradient, and another backward pass for the comparison.

    Raises:
        EngineUnavailable: If a node has no rule.
    """
    return _ggn(network, batch, check=True)


def ggn_again(network: Network, batch: Batch) -> Products:
    """The same, for another batch of a network that was compared before. Cost: a forward pass."""
    return _ggn(network, batch, check=False)


def unknown_node(network: Network) -> str | None:
    """Which node has no rule, as one sentence; None where every node has one."""
    batch = network.batches[0]
    few = batch if network.group else batch.part(slice(_FEW))
    try:
        hessian(network, few)
    except EngineUnavailable as failure:
        return str(failure)
    return None


def _hessian(network: Network, batch: Batch, *, check: bool) -> Products:
    rules = _rules(network, batch, hessian=True, check=check)
    return _products(network, rules, rules.hessian)


def _ggn(network: Network, batch: Batch, *, check: bool) -> Products:
    rules = _rules(network, batch, hessian=False, check=check)
    return _products(network, rules, rules.ggn)


def _products(network: Network, rules: RulesProducts, multiply: Matmat) -> Products:
    return Products(
        lambda block: _scaled(multiply(block), network),
        jacobian=rules,
        width=rules.width,
        column_bytes=rules.column_bytes,
    )


def _scaled(product: Tensor, network: Network) -> Tensor:
    return product.mul_(network.scale) if network.loss.mean else product


def _rules(network: Network, batch: Batch, *, hessian: bool, check: bool) -> RulesProducts:
    try:
        return RulesProducts(network, batch, hessian=hessian, check=check)
    except UnknownNode as failure:
        raise EngineUnavailable(str(failure)) from failure
    except Exception as failure:  # a model under the recorder may raise anything, and another engine takes it
        if is_out_of_memory(failure):
            raise
        raise EngineUnavailable(f"the rules cannot take it ({type(failure).__name__}: {failure})") from failure
