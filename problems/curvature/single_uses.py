"""Whether outputs depend on some tensors by some operations alone, as the graph of autograd has it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

from torch import Tensor
from torch.autograd.graph import Node, get_gradient_edge


def is_all_that_reaches(outputs: Tensor, made: Sequence[Tensor], parts: Sequence[Tensor]) -> bool:
    """Whether everything that was made has to do with the outputs, and each of the parts reaches them once.

    What a comparison on a few samples does not tell: a second use of a weight that vanishes on just those.

    Args:
        outputs: Outputs of a network, with their graph.
        made: What operations made, one for each of them.
        parts: What these operations read, each once: leaves, or views of leaves.

    Cost: a walk through the graph.
    """
    if not all(tensor.requires_grad for tensor in (outputs, *made, *parts)):
        return False
    ends = [get_gradient_edge(part) for part in parts]
    leaves = _reached(end.node for end in ends)
    uses: Counter[tuple[Node, int]] = Counter()
    start = get_gradient_edge(outputs).node
    seen = {start}
    waiting = [start]
    while waiting:
        for node, number in waiting.pop().next_functions:
            if node in leaves:
                uses[node, number] += 1
            elif node is not None and node not in seen:
                seen.add(node)
                waiting.append(node)
    is_reached = all(get_gradient_edge(tensor).node in seen for tensor in made)
    return is_reached and uses == Counter((end.node, end.output_nr) for end in ends)


def _reached(nodes: Iterable[Node]) -> set[Node]:
    """Nodes and all that they come from."""
    found: set[Node] = set()
    waiting = list(nodes)
    while waiting:
        node = waiting.pop()
        if node not in found:
            found.add(node)
            waiting += [one for one, _ in node.next_functions if one is not None]
    return found
