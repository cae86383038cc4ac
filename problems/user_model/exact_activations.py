"""Activations whose derivative torch rounds to float32 whatever their dtype, evaluated by an operation that does not.

torch's derivative of CELU takes 1 / alpha in float32: in float64 it is 1e-8 off where alpha is not a power of two. ELU
is the same function with the scale handed in, and keeps it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final, final

import torch
from torch import Tensor
from torch.nn import functional
from torch.overrides import TorchFunctionMode
from typing_extensions import override

from hessbench.problems.networks.inputs import Inputs
from hessbench.problems.networks.network import Forward

_CELU: Final[frozenset[Callable[..., Any]]] = frozenset({functional.celu, functional.celu_, torch.celu, torch.celu_})


@final
class ExactCelu(TorchFunctionMode):
    """While it is entered, CELU is evaluated by the operation of ELU.

    Attributes:
        met: Whether there was one.
    """

    def __init__(self) -> None:
        super().__init__()
        self.met = False

    @override
    def __torch_function__(
        self, func: Callable[..., Any], types: Sequence[type], args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        if func in _CELU:
            self.met = True
            found = _celu_in_place if func in (functional.celu_, torch.celu_) else _celu
            return found(*args, **(kwargs or {}))
        return func(*args, **(kwargs or {}))


def _celu(input: Tensor, alpha: float = 1.0, inplace: bool = False) -> Tensor:
    if inplace:
        return _celu_in_place(input, alpha)
    return torch.ops.aten.elu(input, alpha, 1.0, 1 / alpha)


def _celu_in_place(input: Tensor, alpha: float = 1.0) -> Tensor:
    return torch.ops.aten.elu_(input, alpha, 1.0, 1 / alpha)


def exact(forward: Forward) -> Forward:
    """The forward pass with every CELU evaluated so."""

    def outputs(parameters: Tensor, inputs: Inputs) -> Tensor:
        with ExactCelu():
            return forward(parameters, inputs)

    return outputs
