"""The engine `double-backward`: the graphs of `kept-graph`, made again for every block and then dropped.

Nothing is kept between products, so that memory holds one batch's graphs at a time, and in micro-batches no more than
one of these.
"""

from __future__ import annotations

from hessbench.problems.curvature.engines import kept_graph
from hessbench.problems.curvature.engines.engine import Make, Products
from hessbench.problems.networks.network import Batch, Network


def hessian(network: Network, batch: Batch) -> Products:
    """Hessian of a batch: a gradient with its graph for each block, and one backward pass for each column."""
    return _made_again(kept_graph.hessian, network, batch)


def ggn(network: Network, batch: Batch) -> Products:
    """GGN of a batch: the double VJP made again for each block, and a JVP and a VJP for each column."""
    return _made_again(kept_graph.ggn, network, batch)


def _made_again(make: Make, network: Network, batch: Batch) -> Products:
    return Products(lambda block: make(network, batch).multiply(block))
