"""The derivative of a function of the parameters at one point, forwards and backwards, set up once and kept."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import final

import torch
from torch import Tensor

from hessbench.problems.networks.network import Network


@contextmanager
def quiet_transforms() -> Generator[None]:
    """Silence what forward mode and tracing warn of: deprecated parts of torch that torch itself uses in them."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


@final
class Linearisation:
    """J, the derivative of a function of the parameters (n,) to any shape, as two products.

    The vector-Jacobian product is a backward pass through the kept graph. The Jacobian-vector product is either the
    derivative of u -> J^T u, which is linear and costs nothing to set up, or a traced linearisation, which takes
    seconds to set up but does half the convolutions per product.

    Cost: one gradient to build, two where nothing is traced; the graphs keep the activations of every pass.

    Args:
        network: Where parameters are, and how blocks are multiplied.
        function: What is differentiated, of the parameters.
    """

    def __init__(self, network: Network, function: Callable[[Tensor], Tensor]) -> None:
        self._batched = network.batched
        self._parameters = network.parameters.detach().clone().requires_grad_()
        with torch.enable_grad():
            self._outputs = function(self._parameters)
        self.outputs = self._outputs.detach()
        self._jvp = self._traced_jvp(function) if network.traces else self._kept_jvp()

    def jvp(self, block: Tensor) -> Tensor:
        """J @ block: (n, k) -> (*shape, k)."""
        return self._jvp(block).reshape(*self.outputs.shape, block.shape[1])

    def vjp(self, block: Tensor) -> Tensor:
        """J^T @ block: (*shape, k) -> (n, k)."""
        k = block.shape[-1]
        return vjp_columns(self._outputs, self._parameters, block.reshape(-1, k), batched=self._batched)

    def _kept_jvp(self) -> Callable[[Tensor], Tensor]:
        with torch.enable_grad():
            weights = torch.zeros_like(self.outputs, requires_grad=True)
            (pulled,) = torch.autograd.grad(self._outputs, self._parameters, weights, create_graph=True)
        batched = self._batched  # a closure over `self` would be a cycle, and keep the graph until it is collected
        return lambda block: vjp_columns(pulled, weights, block, batched=batched)

    def _traced_jvp(self, function: Callable[[Tensor], Tensor]) -> Callable[[Tensor], Tensor]:
        parameters = self._parameters.detach()
        with quiet_transforms():
            _, jvp = torch.func.linearize(function, parameters)
            jvp(torch.zeros_like(parameters))  # the first call computes what all others share
        return lambda block: torch.stack([jvp(column).flatten() for column in block.T.contiguous().unbind()], dim=1)


@final
class KeptVjp:
    """J^T alone, by backward passes through a kept graph.

    Cost: one forward pass; the graph keeps its activations.

    Args:
        network: Where parameters are, and how blocks are multiplied.
        function: What is differentiated, of the parameters.
    """

    def __init__(self, network: Network, function: Callable[[Tensor], Tensor]) -> None:
        self._batched = network.batched
        self._parameters = network.parameters.detach().clone().requires_grad_()
        with torch.enable_grad():
            self._outputs = function(self._parameters)
        self.outputs = self._outputs.detach()

    def vjp(self, block: Tensor) -> Tensor:
        """J^T @ block: (*shape, k) -> (n, k)."""
        k = block.shape[-1]
        return vjp_columns(self._outputs, self._parameters, block.reshape(-1, k), batched=self._batched)


def vjp_columns(outputs: Tensor, inputs: Tensor, block: Tensor, *, batched: bool) -> Tensor:
    """(d outputs / d inputs)^T @ block through a kept graph.

    Args:
        outputs: Of any shape, m numbers when flattened.
        inputs: What they were made of, of any shape, n numbers when flattened.
        block: Columns (m, k).
        batched: Whether more columns than one go through the graph in one vectorised pass.

    Returns:
        Columns (n, k).
    """
    rows = block.T.reshape(-1, *outputs.shape)
    if rows.shape[0] > 1 and batched:
        (pulled,) = torch.autograd.grad(outputs, inputs, rows, retain_graph=True, is_grads_batched=True)
    else:
        pulled = torch.stack([torch.autograd.grad(outputs, inputs, row, retain_graph=True)[0] for row in rows.unbind()])
    return pulled.reshape(rows.shape[0], -1).T
