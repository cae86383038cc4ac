"""What a graph holds that need not be differentiated rightly: custom functions, and an operation of torch."""

from __future__ import annotations

from collections.abc import Generator
from typing import Final, Protocol

from torch import Tensor
from torch.autograd.function import BackwardCFunction

_WEIGHT_NORM: Final = "WeightNormInterfaceBackward0"


class _Node(Protocol):
    @property
    def next_functions(self) -> tuple[tuple[_Node | None, int], ...]: ...


def custom_functions(output: Tensor) -> list[str]:
    """Names of the custom autograd functions that an output is made by, the last one first.

    Cost: one walk through the graph of the output.
    """
    customs = (node for node in _nodes(output) if isinstance(node, BackwardCFunction))
    return list(dict.fromkeys(type(node).__name__.removesuffix("Backward") for node in customs))


def refuse_weight_norm(output: Tensor) -> None:
    """Refuse to differentiate twice what holds torch's fused weight norm.

    Its derivative, made differentiable, takes the norms that the forward pass saved for constants (torch 2.13), and so
    lacks the terms of their change.

    Raises:
        ValueError: If it is there.
    """
    if any(type(node).__name__ == _WEIGHT_NORM for node in _nodes(output)):
        raise ValueError(
            "the second derivative that torch has of _weight_norm_interface (weight_norm over dim 0) is wrong, as it "
            "takes the saved norms for constants: merge the weights by nn.utils.parametrize.remove_parametrizations, "
            "or write the layer as g * v / v.norm(...)"
        )


def _nodes(output: Tensor) -> Generator[_Node]:
    """Every node of the graph of an output once, from the last one on."""
    waiting, seen = [output.grad_fn], set[object]()
    while waiting:
        node = waiting.pop()
        if node is None or node in seen:
            continue
        seen.add(node)
        yield node
        waiting += [before for before, _ in node.next_functions]
