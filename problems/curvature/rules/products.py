"""Products with the Hessian and the GGN of a network on one batch, by rules written for each operation.

The tangents of all values are carried forwards and the derivatives of all cotangents backwards, with the values and
cotangents of the batch kept (the R-operator of Pearlmutter 1994, https://doi.org/10.1162/neco.1994.6.1.147). Nothing is
derived from a graph at each product: a layer's part is as many matrix products or convolutions as its multiplications
ask for, with all columns of a block in each where that is faster.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, final

import torch
from torch import Tensor

from hessbench.kept_pages import keep_pages
from hessbench.problems.curvature.rules.program import LinearisedGradient, Program
from hessbench.problems.curvature.rules.tape import Tape, UnknownNode, record
from hessbench.problems.networks.custom_functions import custom_functions
from hessbench.problems.networks.network import Batch, Network

below_autograd: Final = torch._C._AutoDispatchBelowAutograd  # pyright: ignore[reportPrivateUsage]
"""Operations skip the layer of autograd, which even without gradients is a sixth of a product of a small perceptron;
unlike in inference mode, what comes out is an ordinary tensor."""

SERIAL: Final = 2**15
"""Entries of the largest tangent up to which a product takes one thread: torch splits nothing shorter, and what a
library of matrix products wins by a second thread it loses waiting for it, fiftyfold where others use the machine."""

_ON_THE_WAY: Final = 4
"""Values of the largest size that a rule makes at most on its way to a tangent or a cotangent."""

_AGREEMENT: Final = 0.02
"""Relative distance up to which two gradients count as the same; a wrong rule is off by its layer's whole part."""


@final
class RulesProducts:
    """Hessian and GGN of the sum of the losses of one batch, without the network's factor 1 / N.

    Cost: one gradient, and a second backward pass where it is checked. A Hessian product does two gradients'
    multiplications for each column, a GGN product four thirds of one. Values and cotangents of all layers are kept, and
    during a product the tangents of the values that are multiplied with others.

    Args:
        network: The network, where and in the dtype in which it shall be multiplied.
        batch: The batch.
        hessian: Whether Hessian products are wanted; without them the cotangents are neither made nor kept.
        check: Whether the rules' gradient is compared with autograd's, and functions that have a backward pass of
            their own are looked for.

    Attributes:
        width: Columns that are multiplied at a time; wider blocks are taken in parts.
        column_bytes: Bytes that one more column takes at most.
        outputs: Outputs (m, C).

    Raises:
        UnknownNode: If an operation between parameters and outputs has no rule, or the check fails.
    """

    def __init__(self, network: Network, batch: Batch, *, hessian: bool = True, check: bool = True) -> None:
        if network.parameters.device.type == "cpu":
            keep_pages()
        tape = record(network.forward, network.parameters, batch.inputs)
        self.outputs = tape.outputs.detach()
        self._parameters = network.parameters.detach()
        with torch.no_grad():
            self._program = program = Program(tape)
            self._linearised: LinearisedGradient | None = None
            if hessian or check:
                cotangent = network.loss.slope(self.outputs, batch.targets)
                self._linearised = program.gradient(cotangent) if hessian else None
                if check:
                    gradient = self._linearised.value if self._linearised else program.vjp(cotangent[None])[0]
                    _compare(gradient, tape, cotangent, program.vjp)
        self.width = self._program.width
        self.column_bytes = _column_bytes(tape, self._program.largest)
        self._loss_hessian = network.loss.bend(self.outputs, batch.targets)

    @property
    def gradient(self) -> Tensor:
        """Gradient (n,) of the sum of the losses.

        Raises:
            ValueError: If Hessian products were not asked for.
        """
        return self._linearised_gradient.value

    def hessian(self, block: Tensor) -> Tensor:
        """The Hessian times a block (n, k).

        Raises:
            ValueError: If it was not asked for.
        """
        linearised = self._linearised_gradient
        return self._by_columns(block, lambda V: linearised.jvp(V, self._through_loss))

    def ggn(self, block: Tensor) -> Tensor:
        """The GGN times a block (n, k)."""
        return self._by_columns(block, self._ggn)

    def jvp(self, block: Tensor) -> Tensor:
        """The Jacobian of the outputs times a block: (n, k) -> (m, C, k)."""
        return self._by_columns(block, self._output_tangents)

    def vjp(self, block: Tensor) -> Tensor:
        """The transposed Jacobian of the outputs times a block: (m, C, k) -> (n, k)."""
        return self._by_columns(block.flatten(0, 1), lambda D: self._program.vjp(D.view(-1, *self.outputs.shape)))

    @property
    def _linearised_gradient(self) -> LinearisedGradient:
        if self._linearised is None:
            raise ValueError("the gradient and Hessian products need hessian=True")
        return self._linearised

    def _ggn(self, V: Tensor) -> Tensor:
        return self._program.vjp(self._through_loss(self._output_tangents(V)))

    def _output_tangents(self, V: Tensor) -> Tensor:
        tangent = self._program.jvp(V)
        return self.outputs.new_zeros(V.shape[0], *self.outputs.shape) if tangent is None else tangent

    def _through_loss(self, tangent: Tensor) -> Tensor:
        """The Hessian of the loss in the outputs times their tangents (k, m, C)."""
        return self._loss_hessian(tangent.permute(1, 2, 0)).permute(2, 0, 1).contiguous()

    def _by_columns(self, block: Tensor, multiply: Callable[[Tensor], Tensor]) -> Tensor:
        """Multiply rows (k, ...) of the transposed block, as many at a time as are best; back to columns last."""
        columns = block.shape[-1]
        threads = torch.get_num_threads()
        is_short = threads > 1 and block.device.type == "cpu" and columns * self._program.largest <= SERIAL
        if is_short:
            torch.set_num_threads(1)
        try:
            with below_autograd():
                rows = block.detach().T.contiguous()
                parts = [multiply(part) for part in rows.split(self.width)]
                product = parts[0] if len(parts) == 1 else torch.cat(parts)
                return product.movedim(0, -1)
        finally:
            if is_short:
                torch.set_num_threads(threads)


def _column_bytes(tape: Tape, largest: int) -> int:
    """Bytes that a column takes at most: tangents and cotangents of all values, and what a rule makes on the way."""
    entries = 2 * sum(node.output.numel() for node in tape.nodes) + _ON_THE_WAY * largest + 4 * tape.parameters.numel()
    return entries * tape.parameters.element_size()


def _compare(gradient: Tensor, tape: Tape, cotangent: Tensor, vjp: Callable[[Tensor], Tensor]) -> None:
    """Compare a gradient with autograd's.

    Where the weights are stationary, the parts of the samples cancel and leave rounding alone: what differs is compared
    again, with cotangents that do not cancel.

    Args:
        gradient: The gradient (n,) for the cotangent.
        tape: What ran.
        cotangent: That of the outputs (m, C), the derivative of the loss.
        vjp: From (1, m, C) to (1, n), as the rules have it.

    Raises:
        UnknownNode: If a custom function is among the operations, or the gradients differ by more than rounding.
    """
    customs = custom_functions(tape.graphed)
    if customs:
        raise UnknownNode(customs[0], "a custom autograd.Function")
    if _agree(gradient, tape, cotangent):
        return
    waves = torch.arange(cotangent.numel(), dtype=cotangent.dtype, device=cotangent.device).sin().view_as(cotangent)
    if not _agree(vjp(waves[None])[0], tape, waves):
        raise UnknownNode("outputs", "whose derivative is not that of the operations it is made of")


def _agree(gradient: Tensor, tape: Tape, cotangent: Tensor) -> bool:
    if tape.graphed.requires_grad:
        (expected,) = torch.autograd.grad(tape.graphed, tape.parameters, cotangent, retain_graph=True)
    else:
        expected = torch.zeros_like(gradient)
    distance = torch.linalg.vector_norm(gradient - expected)
    return bool(distance <= _AGREEMENT * torch.linalg.vector_norm(expected))
