"""Products with the Hessian and the GGN of a network on one batch, by rules written for each operation.

The tangents of all values are pushed forwards and the derivatives of all adjoints pulled back, with the values and
adjoints of the batch kept (the R-operator of Pearlmutter 1994, https://doi.org/10.1162/neco.1994.6.1.147). Nothing is
derived from a graph at each product: a layer's part is as many matrix products or convolutions as its multiplications
ask for, with all columns of a block in each where that is faster.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, final

import torch
from torch import Tensor

from hessbench.problems.curvature.rules.program import Program
from hessbench.problems.curvature.rules.tape import Tape, UnknownNode, record
from hessbench.problems.networks.custom_functions import custom_functions
from hessbench.problems.networks.network import Batch, Network

_AGREEMENT: Final = 0.02
"""Relative distance up to which two gradients count as the same; a wrong rule is off by its layer's whole part."""


@final
class RulesProducts:
    """Hessian and GGN of the sum of the losses of one batch, without the network's factor 1 / N.

    Cost: one gradient, and a second backward pass where it is checked. A Hessian product does two gradients'
    multiplications for each column, a GGN product four thirds of one. Values and adjoints of all layers are kept, and
    during a product the tangents of the values that are multiplied with others.

    Args:
        network: The network, where and in the dtype in which it shall be multiplied.
        batch: The batch.
        hessian: Whether Hessian products are wanted; without them the adjoints are neither made nor kept.
        check: Whether the rules' gradient is compared with autograd's, and functions that have a backward pass of
            their own are looked for.

    Attributes:
        width: Columns that are multiplied at a time; wider blocks are taken in parts.
        outputs: Outputs (m, C).

    Raises:
        UnknownNode: If an operation between parameters and outputs has no rule, or the check fails.
    """

    def __init__(self, network: Network, batch: Batch, *, hessian: bool = True, check: bool = True) -> None:
        if batch.inputs.device.type == "cpu":
            _keep_pages()
        tape = record(network.forward, network.parameters, batch.inputs)
        self.outputs = tape.outputs.detach()
        self._parameters = network.parameters.detach()
        slope = network.loss.slope(self.outputs, batch.targets)
        with torch.no_grad():
            self._program = Program(tape)
            self._gradient = self._program.gradient(slope, keep=hessian) if hessian or check else None
        if check and self._gradient is not None:
            with torch.no_grad():
                _compare(self._gradient, tape, slope, self._program.pull)
        self._curved = hessian
        self.width = self._program.width
        self._loss_bend = network.loss.bend(self.outputs, batch.targets)

    @property
    def gradient(self) -> Tensor:
        """Gradient (n,) of the sum of the losses."""
        if self._gradient is None:
            raise ValueError("the gradient is kept where hessian or check is asked for")
        return self._gradient

    def hessian(self, block: Tensor) -> Tensor:
        """The Hessian times a block (n, k).

        Raises:
            ValueError: If it was not asked for.
        """
        if not self._curved:
            raise ValueError("Hessian products need hessian=True")
        return self._by_columns(block, lambda V: self._program.curve(V, self._bend))

    def ggn(self, block: Tensor) -> Tensor:
        """The GGN times a block (n, k)."""
        return self._by_columns(block, self._ggn)

    def push(self, block: Tensor) -> Tensor:
        """The Jacobian of the outputs times a block: (n, k) -> (m, C, k)."""
        return self._by_columns(block, self._pushed)

    def pull(self, block: Tensor) -> Tensor:
        """The transposed Jacobian of the outputs times a block: (m, C, k) -> (n, k)."""
        return self._by_columns(block.flatten(0, 1), lambda D: self._program.pull(D.view(-1, *self.outputs.shape)))

    def _ggn(self, V: Tensor) -> Tensor:
        return self._program.pull(self._bend(self._pushed(V)))

    def _pushed(self, V: Tensor) -> Tensor:
        tangent = self._program.push(V)
        return self.outputs.new_zeros(V.shape[0], *self.outputs.shape) if tangent is None else tangent

    def _bend(self, tangent: Tensor) -> Tensor:
        """The Hessian of the loss in the outputs times their tangents (k, m, C)."""
        return self._loss_bend(tangent.permute(1, 2, 0)).permute(2, 0, 1).contiguous()

    def _by_columns(self, block: Tensor, multiply: Callable[[Tensor], Tensor]) -> Tensor:
        """Multiply rows (k, ...) of the transposed block, as many at a time as are best; back to columns last."""
        with torch.no_grad():
            rows = block.detach().T.contiguous()
            parts = [multiply(part) for part in rows.split(self.width)]
            product = parts[0] if len(parts) == 1 else torch.cat(parts)
            return product.movedim(0, -1)


def _keep_pages() -> None:
    """Let the allocator of glibc keep what products free.

    It hands memory back to the kernel at once, and every product then pays for the same pages again (5 to 30 % of its
    time), until the process has freed one block of up to 32 MiB: it then keeps up to 64 MiB. The block is never touched
    and so costs nothing; other allocators take no notice, nor does glibc where its thresholds are set by hand.
    """
    torch.empty(2**25 - 2**15, dtype=torch.uint8)


def _compare(gradient: Tensor, tape: Tape, slope: Tensor, pull: Callable[[Tensor], Tensor]) -> None:
    """Compare a gradient with autograd's.

    Where the weights are stationary, the parts of the samples cancel and leave rounding alone: what differs is compared
    again, with slopes that do not cancel.

    Args:
        gradient: The gradient (n,) for the slope.
        tape: What ran.
        slope: Slope (m, C) of the loss.
        pull: From (1, m, C) to (1, n), as the rules have it.

    Raises:
        UnknownNode: If a custom function is among the operations, or the gradients differ by more than rounding.
    """
    customs = custom_functions(tape.graphed)
    if customs:
        raise UnknownNode(customs[0], "a custom autograd.Function")
    if _agree(gradient, tape, slope):
        return
    waves = torch.arange(slope.numel(), dtype=slope.dtype, device=slope.device).sin().view_as(slope)
    if not _agree(pull(waves[None])[0], tape, waves):
        raise UnknownNode("outputs", "whose derivative is not that of the operations it is made of")


def _agree(gradient: Tensor, tape: Tape, slope: Tensor) -> bool:
    if tape.graphed.requires_grad:
        (expected,) = torch.autograd.grad(tape.graphed, tape.parameters, slope, retain_graph=True)
    else:
        expected = torch.zeros_like(gradient)
    distance = torch.linalg.vector_norm(gradient - expected)
    return bool(distance <= _AGREEMENT * torch.linalg.vector_norm(expected))
