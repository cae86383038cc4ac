"""BackPACK's diagonals, from one backward pass over a copy of the network, charged before it is made.

It makes constants in torch's default dtype, which is therefore that of the operator while it is called.
"""

from __future__ import annotations

from typing import Any, Final

import torch
from torch import Tensor, nn

from hessbench.counting import CountingOperator
from hessbench.distributions import library
from hessbench.estimand import Diagonal, Estimate, Trace
from hessbench.method import Method
from hessbench.methods.arguments import check_at_least
from hessbench.methods.peers.backpack_work import curved_units, square_work
from hessbench.methods.peers.borrowed import Borrowed, borrowed
from hessbench.methods.peers.calling import called
from hessbench.methods.peers.torch_layers import in_torch_layers
from hessbench.operators import ProductKind
from hessbench.problem import FACTOR, NETWORK

_CITATION: Final = "Dangel, Kunstner and Hennig, BackPACK: Packing more into backprop, ICLR (2020), arXiv:1912.10985"
_LIBRARY: Final = "backpack-for-pytorch"
_MODULES: Final = ("backpack", "backpack.extensions")


def ggn_diagonal(op: CountingOperator, /, *, num_matvecs: int, generator: torch.Generator) -> Estimate:
    """BackPACK's `DiagGGNExact`, on a copy of the network.

    Args:
        op: GGN of a network with C outputs.
        num_matvecs: Most squares and gradients: C + 1 are spent.
        generator: Not used, but for what the library draws.

    Returns:
        The diagonal (n,), exactly, and in `also` the trace.

    Cost:
        A gradient, and C per-example squares.

    Raises:
        ValueError: If the budget is below C + 1, which the dimension does not tell.

    Source:
        Dangel, Kunstner and Hennig, BackPACK (2020), arXiv:1912.10985.
    """
    with called(generator, op.dtype), borrowed(op, ProductKind.GGN) as lent:
        outputs = _outputs(lent)
        check_at_least("num_matvecs", num_matvecs, outputs + 1)
        lent.charge(outputs, ProductKind.PER_EXAMPLE_SQUARE, work=square_work(lent.copy, outputs))
        extension = library("backpack.extensions").DiagGGNExact()
        return _estimate(_diagonal(lent, extension, "diag_ggn_exact"), "DiagGGNExact()")


def ggn_diagonal_mc(op: CountingOperator, /, *, num_matvecs: int, generator: torch.Generator) -> Estimate:
    """BackPACK's `DiagGGNMC`, whose targets are drawn from the prediction, on a copy of the network.

    Args:
        op: GGN of a network.
        num_matvecs: Most squares and gradients, at least 2; a gradient, and a draw for each other.
        generator: Seeds the global generators it draws from.

    Returns:
        The diagonal (n,), and in `also` the trace.

    Cost:
        A gradient, and num_matvecs - 1 per-example squares.

    Raises:
        ValueError: If the budget is below 2.

    Source:
        Dangel, Kunstner and Hennig, BackPACK (2020), arXiv:1912.10985.
    """
    check_at_least("num_matvecs", num_matvecs, 2)
    draws = num_matvecs - 1
    with called(generator, op.dtype), borrowed(op, ProductKind.GGN) as lent:
        lent.charge(draws, ProductKind.PER_EXAMPLE_SQUARE, work=square_work(lent.copy, draws))
        extension = library("backpack.extensions").DiagGGNMC(mc_samples=draws)
        return _estimate(_diagonal(lent, extension, "diag_ggn_mc"), f"DiagGGNMC(mc_samples={draws})")


def hessian_diagonal(op: CountingOperator, /, *, num_matvecs: int, generator: torch.Generator) -> Estimate:
    """BackPACK's `DiagHessian`, on a copy of the network.

    It sends back the roots of the loss and, for every unit of an activation with curvature, one root of the residual,
    with a column for either sign.

    Args:
        op: Hessian of a network with C outputs.
        num_matvecs: Most squares and gradients.
        generator: Not used, but for what the library draws.

    Returns:
        The diagonal (n,), exactly, and in `also` the trace.

    Cost:
        A gradient, C per-example squares, and one for each unit of an activation with curvature, at the price of the
        layers that they are sent through.

    Raises:
        ValueError: If the budget is below that.

    Source:
        Dangel, Kunstner and Hennig, BackPACK (2020), arXiv:1912.10985.
    """
    with called(generator, op.dtype), borrowed(op, ProductKind.HESSIAN) as lent:
        outputs = _outputs(lent)
        columns = outputs + curved_units(lent.copy)
        check_at_least("num_matvecs", num_matvecs, columns + 1)
        lent.charge(columns, ProductKind.PER_EXAMPLE_SQUARE, work=square_work(lent.copy, outputs, residual=True))
        extension = library("backpack.extensions").DiagHessian()
        return _estimate(_diagonal(lent, extension, "diag_h"), "DiagHessian()")


def _diagonal(lent: Borrowed, extension: Any, field: str) -> Tensor:
    """The sum over the batches, each weighed by its samples where the loss is a mean."""
    backpack, copy = library("backpack"), lent.copy
    mean = getattr(copy.loss, "reduction", "mean") == "mean"
    # What is not layers in a row goes through its converter, which knows torch's layers alone, and sums.
    in_a_row = isinstance(copy.model, nn.Sequential)
    layers = copy.model if in_a_row else in_torch_layers(copy.model, copy.batches[0][0][:1])
    model = backpack.extend(layers, use_converter=not in_a_row)
    loss = backpack.extend(copy.loss)
    total = torch.zeros(lent.op.dim, dtype=lent.op.dtype, device=lent.op.device)
    with torch.enable_grad():
        for inputs, targets in copy.batches:
            samples = targets.shape[0]
            lent.charge(1, ProductKind.GRADIENT, samples)
            with backpack.backpack(extension):
                loss(model(inputs), targets).backward()
            found = torch.cat([getattr(parameter, field).flatten() for parameter in copy.parameters])
            total += found.detach() * (samples / copy.population if mean else 1.0)
            for parameter in copy.parameters:
                parameter.grad = None
    return total


def _outputs(lent: Borrowed) -> int:
    with torch.no_grad():
        return lent.copy.model(lent.copy.batches[0][0][:1]).shape[1]


def _estimate(diagonal: Tensor, asked: str) -> Estimate:
    said = {"asked": asked, "reported": "no count"}
    trace = Estimate(float(diagonal.sum(dtype=torch.float64)), diagnostics=said)
    return Estimate(diagonal, diagnostics=said, also={Trace: trace})


BACKPACK_GGN_DIAGONAL = Method(
    name="backpack-own-ggn-diagonal",
    run=ggn_diagonal,
    estimands=(Diagonal, Trace),
    requires=(NETWORK, FACTOR),
    works_by="copy",
    citation=_CITATION,
    version="2",
    library=_LIBRARY,
    modules=_MODULES,
)
BACKPACK_GGN_DIAGONAL_MC = Method(
    name="backpack-own-ggn-diagonal-mc",
    run=ggn_diagonal_mc,
    estimands=(Diagonal, Trace),
    requires=(NETWORK, FACTOR),
    works_by="copy",
    citation=_CITATION,
    version="2",
    min_matvecs=2,
    library=_LIBRARY,
    modules=_MODULES,
)
BACKPACK_HESSIAN_DIAGONAL = Method(
    name="backpack-own-hessian-diagonal",
    run=hessian_diagonal,
    estimands=(Diagonal, Trace),
    requires=(NETWORK,),
    works_by="copy",
    citation=_CITATION,
    version="2",
    library=_LIBRARY,
    modules=_MODULES,
)
