"""A module as a function of one flat vector: what every curvature product is made of."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias

import torch
from torch import Tensor, nn

from hessbench.problems.networks.inputs import Inputs
from hessbench.problems.networks.network import Forward

Call: TypeAlias = Callable[[Callable[..., Any], Inputs], Tensor]

STATISTICS = ("running_mean", "running_var", "num_batches_tracked")
"""How the buffers of batch norm end, in a state dict that has no module beside it."""


def flat_forward(
    model: nn.Module, state: Mapping[str, Tensor], names: Sequence[str], call: Call | None = None
) -> Forward:
    """Outputs of a module as a function of flat parameters and inputs.

    The parameters `names` are cut from the flat vector, in this order; everything else of `state` is fixed, and follows
    the vector to its device and floating dtype. A tied weight has one place in the vector and reaches all its uses. The
    module itself is only read, and may live on the meta device. In training mode buffers are copied at each call, so
    that the running statistics of batch norm stay as they are.

    Args:
        model: Gives the computation; its mode (evaluation or training) is left as it is.
        state: Every parameter and buffer by name, as of a state dict; counters of batch norm may be missing. A buffer
            that is never part of a state dict is taken from the module.
        names: Parameters that are differentiated.
        call: Outputs from a function that calls the model with its arguments, and the inputs; by default the inputs are
            the one argument, and the outputs what is returned.

    Returns:
        Function of parameters (n,) and inputs (m, ...), n the sum of the sizes of `names`.

    Raises:
        ValueError: If a name is not a parameter of the module or two of them are one tied weight, or if `state` lacks
            a tensor.
    """
    shapes = parameter_shapes(model, names)
    sizes = [math.prod(shape) for shape in shapes.values()]
    fixed, buffers = _fixed(model, state, names)
    copied = any(module.training for module in model.modules())

    def forward(parameters: Tensor, inputs: Inputs) -> Tensor:
        def moved(value: Tensor, *, copy: bool = False) -> Tensor:
            dtype = parameters.dtype if value.is_floating_point() else value.dtype
            return value.to(device=parameters.device, dtype=dtype, copy=copy)

        pieces = parameters.split(sizes)
        tensors = {name: piece.view(shape) for (name, shape), piece in zip(shapes.items(), pieces, strict=True)}
        tensors |= {name: moved(value) for name, value in fixed.items()}
        tensors |= {name: moved(value, copy=copied) for name, value in buffers.items()}
        if call is None:
            return torch.func.functional_call(model, tensors, (inputs,))
        return call(lambda *args, **named: torch.func.functional_call(model, tensors, args, named), inputs)

    return forward


def module_forward(model: nn.Module) -> tuple[Forward, Tensor]:
    """A module at a copy of its weights: the function of `flat_forward` and the flat parameters (n,) it is at.

    Raises:
        ValueError: As `flat_forward`.
    """
    names = tuple(parameter_shapes(model))
    state = {name: value.detach().clone() for name, value in model.state_dict().items()}
    return flat_forward(model, state, names), flat_parameters(state, names)


def flat_parameters(source: nn.Module | Mapping[str, Tensor], names: Sequence[str] | None = None) -> Tensor:
    """Parameters in one vector (n,), detached: those of `names`, in this order.

    By default all of a module in the order of `named_parameters`, a tied weight once; all of a state dict but the
    statistics of batch norm, in its order.

    Raises:
        ValueError: If a name is missing.
    """
    state = dict(source.named_parameters(remove_duplicate=names is None) if isinstance(source, nn.Module) else source)
    kept = [name for name in state if not name.endswith(STATISTICS)] if names is None else names
    missing = next((name for name in kept if name not in state), None)
    if missing is not None:
        raise ValueError(f"there is no parameter {missing} among {', '.join(state)}")
    return torch.cat([state[name].detach().flatten() for name in kept])


def parameter_shapes(model: nn.Module, names: Sequence[str] | None = None) -> dict[str, tuple[int, ...]]:
    """Names and shapes of the pieces of a flat vector, in its order; by default all parameters, a tied weight once.

    Raises:
        ValueError: If a name is not a parameter of the module, or two of them are one tied weight.
    """
    if names is None:
        return {name: tuple(value.shape) for name, value in model.named_parameters()}
    known = dict(model.named_parameters(remove_duplicate=False))
    shapes: dict[str, tuple[int, ...]] = {}
    taken: dict[int, str] = {}
    for name in names:
        if name not in known:
            raise ValueError(f"the module has no parameter {name}; it has {', '.join(known)}")
        other = taken.setdefault(id(known[name]), name)
        if other != name or name in shapes:
            raise ValueError(f"the parameters {other} and {name} are one weight: name it once")
        shapes[name] = tuple(known[name].shape)
    return shapes


def _fixed(
    model: nn.Module, state: Mapping[str, Tensor], names: Sequence[str]
) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """Parameters that are not in the flat vector, one name for each tied weight, and buffers."""
    tied: dict[int, list[str]] = {}
    for name, parameter in model.named_parameters(remove_duplicate=False):
        tied.setdefault(id(parameter), []).append(name)
    fixed: dict[str, Tensor] = {}
    for together in tied.values():
        if not set(together) & set(names):
            name = next((one for one in together if one in state), together[0])
            fixed[name] = _found(state, name, model.get_parameter(name))
    buffers: dict[str, Tensor] = {}
    stored, seen = model.state_dict().keys(), set[int]()
    for name, buffer in model.named_buffers(remove_duplicate=False):
        counter = name.endswith("num_batches_tracked")
        own = name not in state and (counter or name not in stored)
        if id(buffer) in seen or (own and counter and buffer.is_meta):
            continue
        seen.add(id(buffer))
        buffers[name] = _found({name: buffer} if own else state, name, buffer)
    return fixed, buffers


def _found(state: Mapping[str, Tensor], name: str, wanted: Tensor) -> Tensor:
    value = state.get(name)
    if value is None or value.is_meta:
        raise ValueError(f"the state lacks the tensor {name} of shape {tuple(wanted.shape)}")
    return value.detach()
