"""Where the diagonal of the residual vanishes, parameter by parameter: read off what a network computes.

Where all outputs are affine in a parameter, piece by piece, they have no second derivative in it, so that the residual
R = Hessian - GGN, a sum of second derivatives of outputs with the derivatives of the loss as weights, has a zero on its
diagonal. So it is with a weight that enters one operation, affinely, when all that comes after is piecewise affine in
what depends on it: every weight of layers joined by ReLU, maxima, means and sums, the last layer of a tanh network. It
is not so with tied weights, nor upstream of a tanh, a softmax, a norm by statistics, or a product of two branches that
both depend on the weight.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import pairwise
from typing import Final

import torch

from hessbench.operator_structure import Structure
from hessbench.problems.curvature.rules.supports import curved_parts
from hessbench.problems.curvature.rules.tape import Tape, record
from hessbench.problems.networks.custom_functions import custom_functions
from hessbench.problems.networks.network import Batch, Network

_SAMPLES: Final = 64


def structure_of(network: Network) -> Structure:
    """Where the diagonal of the residual of a network is shown to vanish, for every loss of its outputs.

    Established from the recorded operations. What they do not tell, and a function with a backward pass of its own or a
    hook on a gradient, leaves nothing shown: false in every place. As everywhere here, a kink has the derivatives that
    autograd gives it, none of second order.

    Args:
        network: The network; it is recorded on all its samples, since a network may choose its way by them.

    Returns:
        Per parameter whether every output is affine in it, and the parts in which they are jointly so.

    Cost: one forward pass that autograd follows, 64 samples at a time: about half a gradient.
    """
    n = network.parameters.numel()
    curved = torch.zeros(n, dtype=torch.bool)
    ends: set[int] = {0, n}
    for batch in network.batches:
        for part in [batch] if network.group else _parts(batch):
            try:
                tape = record(network.forward, network.parameters, part.inputs)
                if _hides(tape):
                    return _nothing(n)
                found = curved_parts(tape)
            except Exception:  # noqa: BLE001 -- a model under the recorder may raise anything; nothing is shown then
                return _nothing(n)
            ends.update(found.ends)
            sizes = torch.tensor(found.ends).diff()
            curved |= torch.tensor(found.curved).repeat_interleave(sizes)
            if bool(curved.all()):
                return _nothing(n)
    flat = ~curved
    groups = tuple((start, stop) for start, stop in pairwise(sorted(ends)) if flat[start])
    return Structure(flat, groups)


def is_affine_in_each(network: Network) -> bool:
    """Whether it is shown that every output of a network is affine in each parameter alone, on all of its data.

    Args:
        network: As of `structure_of`.

    Cost: that of `structure_of`.
    """
    return bool(structure_of(network).flat.all())


def _nothing(n: int) -> Structure:
    return Structure(torch.zeros(n, dtype=torch.bool), ())


def _parts(batch: Batch) -> Iterable[Batch]:
    return (batch.part(slice(start, start + _SAMPLES)) for start in range(0, batch.size, _SAMPLES))


def _hides(tape: Tape) -> bool:
    """Whether the derivatives of what ran may be others than those of the operations that were written down."""
    hooked = any(node.output._backward_hooks for node in tape.nodes)  # pyright: ignore[reportPrivateUsage]
    return bool(hooked or tape.hidden or custom_functions(tape.graphed))
