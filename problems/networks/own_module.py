"""The module that a network is a function of, as its user has it: what a gradient is timed with.

A gradient through one flat vector pays for cutting the vector, for `functional_call` and for putting the parts together
again, which on a small perceptron is half of its time. A user takes
`torch.autograd.grad(loss(model(X), y), list(model.parameters()))`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from hessbench.problems.networks.inputs import Inputs


def called_with_inputs(model: nn.Module, inputs: Inputs) -> Tensor:
    """Outputs (m, C) of a module that takes its inputs alone."""
    return model(inputs)


@dataclass(frozen=True)
class OwnModule:
    """A module at the weights of a network, and which of its parameters the network is a function of.

    Attributes:
        make: Makes the module on the CPU; nobody else holds it.
        shapes: Names and shapes of the parameters that are differentiated, in the order of the flat vector.
        call: Outputs (m, C) of the module for inputs (m, ...).
    """

    make: Callable[[], nn.Module]
    shapes: Mapping[str, tuple[int, ...]]
    call: Callable[[nn.Module, Inputs], Tensor] = called_with_inputs

    def touched_by(self, places: Tensor) -> OwnModule:
        """The same, differentiated by the parameters that hold any of some places of the flat vector.

        Args:
            places: Places in the flat vector, integers of shape (k,).
        """
        sizes = [math.prod(shape) for shape in self.shapes.values()]
        stops = torch.tensor(sizes).cumsum(dim=0)
        reached = set(torch.searchsorted(stops, places.cpu(), right=True).unique().tolist())
        kept = {name: shape for number, (name, shape) in enumerate(self.shapes.items()) if number in reached}
        return replace(self, shapes=kept)

    def placed(self, like: Tensor) -> tuple[nn.Module, list[Tensor]]:
        """The module on the device and in the dtype of a tensor, and its parameters that are differentiated."""
        model = self.make().to(device=like.device, dtype=like.dtype)
        model.requires_grad_(requires_grad=False)
        parameters = [model.get_parameter(name).requires_grad_() for name in self.shapes]
        return model, list(parameters)


def filled(shell: nn.Module, state: Mapping[str, Tensor]) -> nn.Module:
    """A module without memory, filled with weights and statistics; counters of batch norm may be missing."""
    model = shell.to_empty(device="cpu")
    model.load_state_dict(dict(state), strict=False)
    return model
