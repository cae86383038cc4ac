"""The parameters of a user's model that are differentiated, and the model as a function of them."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from torch import Tensor, nn

from hessbench.problems.networks.flat import flat_forward, flat_parameters, parameter_shapes
from hessbench.problems.networks.inputs import Inputs
from hessbench.problems.networks.network import Forward, Network
from hessbench.problems.networks.own_module import OwnModule
from hessbench.problems.networks.restriction import block_index, block_pieces, restricted
from hessbench.problems.user_model.calling import Arguments, tensor_of, whole
from hessbench.problems.user_model.check import differentiable_attention
from hessbench.problems.user_model.layout import Layout


@dataclass(frozen=True)
class ModelPart:
    """The parameters of a model that are differentiated: those of the block, of the chosen names."""

    model: nn.Module
    state: dict[str, Tensor]
    names: tuple[str, ...]
    block: str

    @cached_property
    def parameters(self) -> Tensor:
        """What they are, (n,)."""
        return self._function(whole)[1]

    def forward(self, arguments: Arguments) -> Forward:
        """Outputs as a function of them, of a model that takes its inputs so."""
        return self._function(arguments)[0]

    def module(self, arguments: Arguments, layout: Layout) -> OwnModule:
        """The module itself, differentiated by the parameters that hold any of the block."""
        shapes = parameter_shapes(self.model, self.names)

        def make() -> nn.Module:
            model = copy.deepcopy(self.model)
            model.load_state_dict(self.state, strict=False)
            return model

        def call(model: nn.Module, inputs: Inputs) -> Tensor:
            positional, named = arguments(inputs)
            return layout.rows_of(tensor_of(model(*positional, **named)))

        places = torch.cat([torch.arange(one.start, one.stop, one.step) for one in block_index(self.block, shapes)])
        return OwnModule(make, shapes, call).touched_by(places)

    def _function(self, arguments: Arguments) -> tuple[Forward, Tensor]:
        """Outputs as a function of them, and what they are.

        A block of whole parameters leaves the others out of the flat vector, so that nothing is differentiated for
        them; any other is cut from the vector of all.
        """
        shapes = parameter_shapes(self.model, self.names)
        pieces = [piece.name for piece in block_pieces(self.block, shapes)]
        if all(piece in shapes for piece in pieces):
            return self._of(tuple(pieces), arguments)
        network = restricted(Network(*self._of(self.names, arguments), batches=()), block_index(self.block, shapes))
        return network.forward, network.parameters

    def _of(self, names: tuple[str, ...], arguments: Arguments) -> tuple[Forward, Tensor]:
        def call(called: Callable[..., Any], inputs: Inputs) -> Tensor:
            positional, named = arguments(inputs)
            return tensor_of(called(*positional, **named))

        inner = flat_forward(self.model, self.state, names, call)

        def forward(parameters: Tensor, inputs: Inputs) -> Tensor:
            with differentiable_attention():
                return inner(parameters, inputs)

        return forward, flat_parameters(self.state, names)
