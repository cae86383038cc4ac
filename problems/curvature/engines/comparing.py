"""An engine compared with the kept graph on a few samples, once, before any of its products is used.

What torch gives as forward-mode or traced derivatives is wrong for some operations, without a word. Whatever engine a
choice names is therefore compared where the choice becomes products: one column and a block of two, at random, on a few
samples spread over the first batch. The yardstick is autograd's backward pass through the graph of the gradient; models
for which it is wrong itself are refused before there is an engine.

Where they differ, the network is cut after its k-th call of torch, and k is halved in on, some ten comparisons for a
thousand calls: the first value that the engine has wrong names the operation. Where none is wrong, the loss is.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Any, Final, cast

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

from hessbench.problems.curvature.engines import kept_graph
from hessbench.problems.curvature.engines.engine import Engine, EngineUnavailable, Products
from hessbench.problems.curvature.engines.table import ENGINES
from hessbench.problems.curvature.engines.yardstick import SMOOTH, disagrees, gap_of
from hessbench.problems.networks.inputs import Inputs
from hessbench.problems.networks.network import Batch, Forward, Network

_FAILURES: Final = (RuntimeError, ValueError, TypeError, IndexError, AssertionError, NotImplementedError)


SAMPLES: Final = 2
"""Samples that an engine is compared on."""

GROUPED: Final = 8
"""The same where they are one group: two that are normalised by each other leave nothing to differentiate."""


class EngineDisagrees(EngineUnavailable):
    """An engine's products are not those of the kept graph."""


def few_samples(network: Network) -> Batch:
    """A few samples of the first batch, spread over it."""
    batch = network.batches[0]
    size = GROUPED if network.group else SAMPLES
    if batch.size <= size:
        return batch
    at = torch.linspace(0, batch.size - 1, size, device=batch.targets.device).long()
    return batch.part(at)


def compare(network: Network, engine: Engine, matrix: str, made: Products | None = None, *, again: bool = True) -> None:
    """Compare an engine with the kept graph, in float64 on a few samples.

    Args:
        network: The network.
        engine: The engine.
        matrix: hessian or ggn.
        made: What an engine that is costly to set up has set up for the first batch: compared as it is, in its dtype.
        again: Whether the engine has taken the network before, and what it checks at first need not be checked.

    Cost: a set-up of both on a few samples and three columns, one where columns are multiplied one by one; of what was
    set up, three columns and the kept graph of the first batch.

    Raises:
        EngineDisagrees: Naming the first operation that the engine has wrong.
        EngineUnavailable: If it cannot make the products.
    """
    if _is_yardstick(engine, matrix):
        return
    if made is None:
        few = few_samples(network).to(network.parameters.device, torch.float64)
        network = replace(network, parameters=network.parameters.double(), batches=(few,))
        compared = engine.of(matrix, again=again)(network, few)
        looped = compared.width == 1 or not engine.columns_at_once(network)
        gap = gap_of(network, compared.multiply, matrix, columns=1 if looped else 2)
    else:
        whole, network = network, replace(network, batches=network.batches[:1])
        share = network.scale / whole.scale  # a mean over one batch, where the product's is over all
        gap = gap_of(network, lambda block: made.multiply(block) * share, matrix)
    if disagrees(gap, network.parameters.dtype):
        raise EngineDisagrees(
            f"the engine {engine.name} has products with the {matrix} of this network wrong, {_written(gap)} from "
            f"those of the kept graph: {_culprit(network, engine, matrix)}; take engine=auto or engine=kept-graph"
        )


def _is_yardstick(engine: Engine, matrix: str) -> bool:
    return engine.of(matrix) is {"hessian": kept_graph.hessian, "ggn": kept_graph.ggn}[matrix]


def _written(gap: float) -> str:
    return f"{gap:.1e}" if gap == gap else "not a number"


@dataclass(frozen=True)
class _Call:
    number: int
    name: str


class _Cut(Exception):  # noqa: N818  # never leaves this module
    """A network was cut after an operation, whose value this holds."""


class _Calls(TorchFunctionMode):
    """Counts the calls of torch, and cuts after one of them."""

    def __init__(self, last: int | None = None) -> None:
        super().__init__()
        self.found: list[_Call] = []
        self._last = last
        self._count = 0

    def __torch_function__(
        self, func: Callable[..., Any], types: Iterable[type], args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        del types
        value = func(*args, **(kwargs or {}))
        self._count += 1
        made = _made(value)
        if made is not None and made.requires_grad:
            self.found.append(_Call(self._count, func.__name__))
        if self._count == self._last:
            raise _Cut(made)
        return value


def _culprit(network: Network, engine: Engine, matrix: str) -> str:
    """The operation, as part of a sentence.

    Args:
        network: A network of one batch with whose matrix the engine is wrong.
        engine: The engine.
        matrix: hessian or ggn.

    Cost: a comparison for each halving; one that is compiled is looked through with the derivative it compiles.
    """
    engine = ENGINES["forward-over-reverse"] if engine.name == "compiled" else engine
    try:
        return _first_wrong(network, engine, matrix)
    except _FAILURES:
        return "which operation it is could not be told"


def _first_wrong(network: Network, engine: Engine, matrix: str) -> str:
    (batch,) = network.batches
    smooth = replace(network, loss=SMOOTH)
    if not _wrong(smooth, engine, matrix):
        return f"they are wrong from the loss {network.loss.name} on"
    mode = _Calls()
    parameters = network.parameters.detach().clone().requires_grad_()
    with torch.enable_grad(), mode:
        network.forward(parameters, batch.inputs)
    calls = mode.found
    right, wrong = -1, len(calls) - 1
    while wrong - right > 1:
        middle = (right + wrong) // 2
        if _wrong(replace(smooth, forward=_cut(network.forward, calls[middle].number)), engine, matrix):
            wrong = middle
        else:
            right = middle
    return f"they are wrong from the operation {calls[wrong].name} on"


def _wrong(network: Network, engine: Engine, matrix: str) -> bool:
    multiply = engine.of(matrix)(network, network.batches[0]).multiply
    return disagrees(gap_of(network, multiply, matrix), network.parameters.dtype)


def _cut(forward: Forward, last: int) -> Forward:
    def outputs(parameters: Tensor, inputs: Inputs) -> Tensor:
        try:
            with _Calls(last):
                return forward(parameters, inputs)
        except _Cut as cut:
            return cast("Tensor", cut.args[0]).reshape(1, -1)

    return outputs


def _made(value: object) -> Tensor | None:
    """The first real tensor of what a call returned."""
    parts = cast("tuple[object, ...]", value) if isinstance(value, tuple | list) else (value,)
    return next((part for part in parts if isinstance(part, Tensor) and part.is_floating_point()), None)
