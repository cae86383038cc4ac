"""Custom autograd functions in a graph: what they compute and what they hand back need not belong together."""

from __future__ import annotations

from torch import Tensor
from torch.autograd.function import BackwardCFunction


def custom_functions(output: Tensor) -> list[str]:
    """Names of the custom autograd functions that an output is made by, the last one first.

    Cost: one walk through the graph of the output.
    """
    waiting, seen, found = [output.grad_fn], set[object](), dict[str, None]()
    while waiting:
        node = waiting.pop()
        if node is None or node in seen:
            continue
        seen.add(node)
        if isinstance(node, BackwardCFunction):
            found[type(node).__name__.removesuffix("Backward")] = None
        waiting += [before for before, _ in node.next_functions]
    return list(found)
