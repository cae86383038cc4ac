"""The dense oracle of a module, a loss as a user writes it, and data in batches: by torch's derivatives alone."""

from __future__ import annotations

import copy
from typing import Any

import torch
from dense_oracle import Oracle
from torch import Tensor, nn
from torch.func import functional_call


def joined(parts: list[Any]) -> Any:
    """One tree of the samples of several, whatever kind of mapping or sequence each is."""
    if isinstance(parts[0], Tensor):
        together = torch.cat(parts)
        return together.double() if together.is_floating_point() else together
    if hasattr(parts[0], "keys"):
        return {key: joined([part[key] for part in parts]) for key in parts[0]}
    return tuple(joined(list(group)) for group in zip(*parts, strict=True))


def module_oracle(module: nn.Module, loss: Any, batches: list[tuple[Any, Tensor]], call: Any = None) -> Oracle:
    """Curvature of the loss over all samples at once, as the user would write it, in float64.

    Args:
        module: In the mode it is used in.
        loss: Of outputs as the module returns them, and targets; its `reduction` says whether it is a mean.
        batches: Inputs and targets, all samples of one shape.
        call: From module and inputs to outputs; the inputs as one argument by default.
    """
    module = copy.deepcopy(module).double()
    loss = copy.deepcopy(loss).double() if isinstance(loss, nn.Module) else loss
    inputs, targets = (joined([batch[place] for batch in batches]) for place in range(2))
    samples = targets.shape[0]
    shapes = {name: value.shape for name, value in module.named_parameters()}
    sizes = [shape.numel() for shape in shapes.values()]
    call = call or (lambda model, inputs: model(inputs))

    class Called(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.module = module

        def forward(self, inputs: Any) -> Tensor:
            return call(self.module, inputs)

    def outputs(flat: Tensor, inputs: Any) -> Tensor:
        pieces = {
            f"module.{name}": part.view(shape)
            for (name, shape), part in zip(shapes.items(), flat.split(sizes), strict=True)
        }
        return functional_call(Called(), pieces, (inputs,))

    flat = torch.cat([value.detach().flatten() for value in module.parameters()])
    shape = outputs(flat, inputs).shape
    scale = 1.0 if getattr(loss, "reduction", "mean") == "sum" else 1 / samples
    return Oracle(
        lambda flat, inputs: outputs(flat, inputs).reshape(samples, -1), flat, inputs, targets,
        lambda found, targets: loss(found.reshape(shape), targets) / scale, scale,
    )  # fmt: skip
