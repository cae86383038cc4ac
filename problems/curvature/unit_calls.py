"""Calls of functions of single numbers that are curved: tanh, GELU, an exponential; what they were applied to."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

import torch
from torch import Tensor
from torch._ops import OpOverload
from torch.nn import functional
from torch.overrides import TorchFunctionMode

aten = torch.ops.aten

CURVED_OPERATIONS: Final[frozenset[OpOverload]] = frozenset(
    {
        aten.tanh.default,
        aten.sigmoid.default,
        aten.log_sigmoid_forward.default,
        aten.silu.default,
        aten.gelu.default,
        aten.mish.default,
        aten.elu.default,
        aten.celu.default,
        aten.selu.default,
        aten.softplus.default,
        aten.hardswish.default,
        aten.exp.default,
        aten.expm1.default,
        aten.log.default,
        aten.log1p.default,
        aten.sqrt.default,
        aten.sin.default,
        aten.cos.default,
        aten.erf.default,
        aten.atan.default,
        aten.pow.Tensor_Scalar,
    }
)
"""What these calls record."""


@dataclass(frozen=True, eq=False)
class UnitCall:
    """One call y_u = f(x_u) on every entry of a batch, whose sample i is row i.

    Attributes:
        units: x (m, ...), with its graph.
        values: y (m, ...), likewise.
        version: That of the values when they were made: another one later says that they were written to.
        function: f.
    """

    units: Tensor
    values: Tensor
    version: int
    function: Callable[[Tensor], Tensor]

    @property
    def second(self) -> Tensor:
        """f''(x_u) of every unit, (m, ...)."""
        x = self.units.detach().requires_grad_()
        with torch.enable_grad():
            (first,) = torch.autograd.grad(self.function(x).sum(), x, create_graph=True)
            if not first.requires_grad:
                return torch.zeros_like(x)
            (found,) = torch.autograd.grad(first.sum(), x, materialize_grads=True)
        return found


class UnitCalls(TorchFunctionMode):
    """Keeps the calls of curved functions of single numbers that autograd follows.

    Attributes:
        found: The calls, in their order.
    """

    def __init__(self) -> None:
        super().__init__()
        self.found: list[UnitCall] = []

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Iterable[type],
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        del types
        given = dict(kwargs or {})
        result = func(*args, **given)
        if func in _CURVED and isinstance(result, Tensor) and result.requires_grad:
            first, rest = (args[0], args[1:]) if args else (given.pop("input"), ())
            self.found.append(UnitCall(first, result, result._version, partial(_applied, func, rest, given)))
        return result


def _applied(func: Callable[..., Tensor], rest: tuple[Any, ...], named: Mapping[str, Any], x: Tensor) -> Tensor:
    return func(x, *rest, **named)


_OF_TENSORS: Final = (
    "tanh", "sigmoid", "exp", "expm1", "log", "log1p", "sqrt", "sin", "cos", "erf", "atan", "square", "pow"
)  # fmt: skip

_CURVED: Final[frozenset[Callable[..., Any]]] = frozenset(
    {
        *(getattr(kind, name) for name in _OF_TENSORS for kind in (torch, Tensor)),
        Tensor.__pow__,
        torch.celu,
        torch.selu,
        functional.celu,
        functional.elu,
        functional.gelu,
        functional.hardswish,
        functional.logsigmoid,
        functional.mish,
        functional.selu,
        functional.silu,
        functional.softplus,
        functional.tanhshrink,
    }
)
