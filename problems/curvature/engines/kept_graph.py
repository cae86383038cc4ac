"""The engines `kept-graph`, by graphs that are made once and kept, and `double-backward`, by the same made again.

A Hessian product is one backward pass through the graph of the gradient (Pearlmutter 1994,
https://doi.org/10.1162/neco.1994.6.1.147). A GGN product is one Jacobian-vector and one vector-Jacobian product
(Schraudolph 2002, https://doi.org/10.1162/08997660260028683), the first by the kept graph of u -> J^T u, whose
derivative in u is J: a JVP by double VJP, which needs no forward mode.

`double-backward` makes these graphs for every block and drops them: memory holds one batch's graphs at a time, and in
micro-batches no more than one of these.
"""

from __future__ import annotations

from dataclasses import replace

import torch

from hessbench.problems.curvature.engines.engine import Make, Products
from hessbench.problems.networks.custom_functions import custom_functions
from hessbench.problems.networks.linearisation import Linearisation, vjp_columns
from hessbench.problems.networks.network import Batch, Network


def hessian(network: Network, batch: Batch) -> Products:
    """Hessian of a batch by one backward pass a product through the kept graph of its gradient.

    Cost: one gradient; the graph keeps the activations of both passes.

    Raises:
        ValueError: If the gradient is constant, unless the network of a residual is linear in its parameters.
    """
    parameters = network.parameters.detach().clone().requires_grad_()
    with torch.enable_grad():
        total = network.loss.total(network.forward(parameters, batch.inputs), batch.targets)
        (gradient,) = torch.autograd.grad(total * network.scale, parameters, create_graph=True)
        if network.loss.linear and not custom_functions(total):
            gradient = gradient + 0.0 * parameters  # of a network linear in its parameters there is no graph between
    if not gradient.requires_grad:
        raise ValueError(
            "the gradient does not change with the parameters: the loss is linear in them, or an operation hides "
            "its derivative (detach, torch.no_grad, a custom autograd.Function), and there is no Hessian to measure"
        )
    return Products(
        lambda block: vjp_columns(gradient, parameters, block, batched=network.batched), total=total.detach()
    )


def ggn(network: Network, batch: Batch) -> Products:
    """GGN of a batch by a JVP and a VJP through kept graphs.

    Cost: about two gradients; the graphs keep the activations of both passes.
    """
    return between_jacobians(network, batch, Linearisation(replace(network, traced=False), network.on(batch)))


def double_backward_hessian(network: Network, batch: Batch) -> Products:
    """Hessian of a batch: a gradient with its graph for each block, and one backward pass for each column."""
    return _made_again(hessian, network, batch)


def double_backward_ggn(network: Network, batch: Batch) -> Products:
    """GGN of a batch: the double VJP made again for each block, and a JVP and a VJP for each column."""
    return _made_again(ggn, network, batch)


def _made_again(make: Make, network: Network, batch: Batch) -> Products:
    return Products(lambda block: make(network, batch).multiply(block))


def between_jacobians(network: Network, batch: Batch, jacobian: Linearisation) -> Products:
    """J^T Lambda J of a batch, by a JVP and a VJP of its outputs."""
    loss = network.loss
    bend = loss.bend(jacobian.outputs, batch.targets)
    return Products(
        lambda block: jacobian.vjp(bend(jacobian.jvp(block)) * network.scale),
        total=loss.total(jacobian.outputs, batch.targets),
        jacobian=jacobian,
    )
