"""A network's operations on one batch, written down as they run."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final

import torch
from torch import Tensor
from torch._ops import OpOverload
from torch.utils._python_dispatch import TorchDispatchMode

from hessbench.problems.networks.inputs import Inputs
from hessbench.problems.networks.network import Forward

aten = torch.ops.aten
CUTS: Final = frozenset(
    {
        aten.detach.default,
        *(aten.zeros_like.default, aten.ones_like.default, aten.full_like.default, aten.empty_like.default),
        *(aten.new_zeros.default, aten.new_ones.default, aten.new_full.default, aten.new_empty.default),
        *(aten.sign.default, aten.floor.default, aten.ceil.default, aten.round.default),
    }
)
"""Operations whose outputs count as constants, as they do for autograd."""


class UnknownNode(ValueError):  # noqa: N818  # what is unknown is the news, not that it is an error
    """An operation that has no rule.

    Attributes:
        node: Name of the node.
    """

    def __init__(self, node: str, operation: str) -> None:
        super().__init__(f"there is no rule for the node {node}, {operation}")
        self.node = node


@dataclass(frozen=True, eq=False)
class Node:
    """One output of one operation that depends on the parameters.

    Attributes:
        name: Operation and number, as in `convolution_3`.
        op: The operation.
        args: Its arguments, with the tensors it had.
        kwargs: Its keyword arguments.
        output: Its value.
        index: Which of the outputs of the operation it is.
    """

    name: str
    op: OpOverload
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    output: Tensor
    index: int

    def tensors(self) -> Iterator[Tensor]:
        """Tensors among the arguments, in their order, those in lists too."""
        for argument in (*self.args, *self.kwargs.values()):
            if isinstance(argument, Tensor):
                yield argument
            elif isinstance(argument, list | tuple):
                yield from (one for one in argument if isinstance(one, Tensor))


@dataclass
class Tape:
    """What ran: all nodes that depend on the parameters, in order, and what came out.

    Attributes:
        parameters: A copy (n,) of the parameters.
        nodes: The nodes.
        outputs: Outputs (m, C) as they were recorded.
        graphed: The same with the graph that autograd makes of the function as it is.
    """

    parameters: Tensor
    outputs: Tensor
    graphed: Tensor
    nodes: list[Node] = field(default_factory=list[Node])


def record(forward: Forward, parameters: Tensor, inputs: Inputs) -> Tape:
    """Run a function and write down what depends on its parameters.

    The operations are those below autograd, so that tied weights, restricted parameters and modules of any kind look
    alike. What is written to in place is made a new value first, at the price of two more runs.

    Args:
        forward: Outputs from parameters and inputs.
        parameters: Where it runs, (n,).
        inputs: Its inputs (m, ...).

    Raises:
        UnknownNode: If a tensor is written to where the write cannot be made a new value.
    """
    own = parameters.detach().clone(memory_format=torch.contiguous_format).requires_grad_()
    recorder = _Recorder(own)
    with torch.enable_grad():
        try:
            with recorder:
                outputs = graphed = forward(own, inputs)
        except _Overwritten:
            recorder = _Recorder(own)
            try:
                with recorder:
                    outputs = torch.func.functionalize(forward)(own, inputs)
            except _Overwritten as again:
                name, operation = again.args
                raise UnknownNode(name, f"an {operation}, whose write could not be made a new value") from again
            graphed = forward(own, inputs)
    return Tape(own, outputs, graphed, recorder.nodes)


class _Overwritten(Exception):  # noqa: N818  # never leaves this module
    """An operation, given by its name and its overload, wrote into a tensor."""


class _Recorder(TorchDispatchMode):
    """Writes down the operations that depend on the parameters."""

    def __init__(self, parameters: Tensor) -> None:
        super().__init__()
        self.nodes: list[Node] = []
        self._tracked: dict[int, Tensor] = {id(parameters): parameters}
        self._counts: dict[str, int] = {}

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        return False  # nothing is compiled within: the guard against it would import the compiler, 1.3 s

    def __torch_dispatch__(
        self, func: OpOverload, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        del types
        if func._schema.is_mutable:  # pyright: ignore[reportPrivateUsage]
            raise _Overwritten(func._opname, str(func))  # pyright: ignore[reportPrivateUsage]
        result = func(*args, **(kwargs or {}))
        node = Node("", func, args, kwargs or {}, torch.empty(0, device="meta"), 0)
        if func in CUTS or not torch.is_grad_enabled() or not any(id(one) in self._tracked for one in node.tensors()):
            return result
        word = func._opname  # pyright: ignore[reportPrivateUsage]
        count = self._counts[word] = self._counts.get(word, -1) + 1
        for index, output in enumerate(result if isinstance(result, list | tuple) else (result,)):
            if isinstance(output, Tensor) and output.is_floating_point():
                self._tracked[id(output)] = output
                name = f"{word}_{count}" if count else word
                self.nodes.append(Node(name, func, args, kwargs or {}, output, index))
        return result
