"""Whether an engine that is costly to set up can repay a trial, told before it is tried.

Such an engine is chosen only where it is clearly faster, set-up included, and its trial comes on top. What setting up
takes grows with the operations of the network: measured 6 to 11 s for the linearisation of ResNet20 and 41 s for its
compilation, of some 250 calls of torch, and 0.2 s and 6 s for a perceptron of five.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from types import MappingProxyType
from typing import Any, Final

import torch
from torch.overrides import TorchFunctionMode

from hessbench.problems.networks.network import Batch, Network

SETUP_S: Final[Mapping[str, tuple[float, float]]] = MappingProxyType(
    {"linearised": (0.0, 0.03), "compiled": (5.0, 0.15)}
)
"""Seconds that setting up takes whatever the network, and for each call of torch in it."""

LEAST_SHARE: Final = 0.1
"""Share of the time of all products that the expected set-up must stay under."""


def may_repay(name: str, network: Network, part: Batch, seconds: float) -> bool:
    """Whether an engine may save enough to be tried.

    Args:
        name: An engine that is costly to set up.
        network: The network.
        part: Some of its samples.
        seconds: What all products take by the best engine so far.

    Cost: a forward pass of the part, without a graph.
    """
    fixed, by_call = SETUP_S[name]
    return fixed + by_call * _calls(network, part) < LEAST_SHARE * seconds


def _calls(network: Network, part: Batch) -> int:
    counter = _Counter()
    with torch.no_grad(), counter:
        network.forward(network.parameters, part.inputs)
    return counter.calls


class _Counter(TorchFunctionMode):
    """Counts the calls of torch."""

    def __init__(self) -> None:
        super().__init__()
        self.calls = 0

    def __torch_function__(
        self, func: Callable[..., Any], types: Iterable[type], args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        del types
        self.calls += 1
        return func(*args, **(kwargs or {}))
