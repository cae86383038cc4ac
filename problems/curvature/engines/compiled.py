"""The engine `compiled`: one product traced to its plain operations and compiled by `torch.compile`.

Setting up takes tens of seconds. Where compiling fails, the same traced operations run as they are, and the ledger says
so.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.fx.experimental.proxy_tensor import make_fx

from hessbench.exceptions import first_line
from hessbench.problems.curvature.engines.engine import Products
from hessbench.problems.curvature.engines.forward_mode import map_columns, outputs_and_vjp
from hessbench.problems.networks.linearisation import quiet_transforms
from hessbench.problems.networks.network import Batch, Network

_FAILURES = (RuntimeError, OSError, ImportError, TypeError, AssertionError)


def hessian(network: Network, batch: Batch) -> Products:
    """Hessian of a batch: the compiled forward-mode derivative of its gradient, column by column.

    Cost: a trace and a compilation, tens of seconds.
    """
    gradient = torch.func.grad(network.part_of(batch))

    def column(parameters: Tensor, direction: Tensor) -> Tensor:
        return torch.func.jvp(gradient, (parameters,), (direction,))[1]

    return _compiled(column, network)


def ggn(network: Network, batch: Batch) -> Products:
    """GGN of a batch: a compiled forward-mode JVP, the loss's curvature, and the VJP, column by column.

    Cost: a trace and a compilation, tens of seconds.

    Raises:
        ValueError: If the loss has no closed form of its curvature to trace.
    """
    outputs_at = network.on(batch)

    def column(parameters: Tensor, direction: Tensor) -> Tensor:
        outputs, vjp = outputs_and_vjp(outputs_at, parameters)
        change = torch.func.jvp(outputs_at, (parameters,), (direction,))[1]
        weights = network.loss.bend(outputs, batch.targets)(change[:, :, None])[:, :, 0]
        return vjp(weights * network.scale)

    return _compiled(column, network)


def _compiled(column: Callable[[Tensor, Tensor], Tensor], network: Network) -> Products:
    parameters = network.parameters.detach()
    direction = torch.zeros_like(parameters)
    note = ""
    with quiet_transforms():
        traced = make_fx(column)(parameters, direction)
        product: Callable[[Tensor, Tensor], Tensor] = traced
        try:
            product = torch.compile(traced)
            product(parameters, direction)  # nothing is compiled before the first call
        except _FAILURES as failure:
            said = first_line(failure, "no reason given")
            product, note = traced, f"eager, as compiling failed: {type(failure).__name__}: {said}"

    def multiply(block: Tensor) -> Tensor:
        with quiet_transforms(), torch.no_grad():
            return map_columns(lambda direction: product(parameters, direction), block, batched=False)

    return Products(multiply, note=note)
