"""The engines by name."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from hessbench.problems.curvature.engines import by_rules, compiled, forward_mode, kept_graph
from hessbench.problems.curvature.engines.engine import MATRICES, Engine

AUTO: Final = "auto"
"""Stands for the engine that is fastest here, by measuring once."""

_ALL: Final = (
    Engine(
        "rules", "a hand-written rule for every node", by_rules.ggn, by_rules.hessian, by_rules.ggn_again,
        by_rules.hessian_again,
        blocks="folded",
    ),
    Engine("kept-graph", "backward through kept graphs", kept_graph.ggn, kept_graph.hessian),
    Engine(
        "double-backward", "the graphs made again for every block", kept_graph.double_backward_ggn,
        kept_graph.double_backward_hessian,
    ),
    Engine(
        "forward-over-reverse", "forward-mode derivative of the gradient", forward_mode.forward_over_reverse_ggn,
        forward_mode.forward_over_reverse_hessian,
    ),
    Engine(
        "reverse-over-forward", "gradient of the directional derivative", forward_mode.reverse_over_forward_ggn,
        forward_mode.reverse_over_forward_hessian,
    ),
    Engine(
        "linearised", "kept linearisation", forward_mode.linearised_ggn, forward_mode.linearised_hessian,
        is_costly=True,
    ),
    Engine("jvp-by-double-vjp", "GGN by a JVP made of two kept VJPs", kept_graph.ggn),
    Engine(
        "compiled", "one product compiled by torch.compile", compiled.ggn, compiled.hessian, is_costly=True,
        blocks="looped",
    ),
)  # fmt: skip

ENGINES: Final[Mapping[str, Engine]] = MappingProxyType({engine.name: engine for engine in _ALL})
"""Engines by name, in the order in which one is preferred to the next where they are about as fast."""


def engine_names(operator: str) -> tuple[str, ...]:
    """Engines that a curvature matrix can be multiplied with, `auto` first; it alone where there is but one way."""
    if operator not in MATRICES:
        return (AUTO,)
    is_ggn = MATRICES[operator] == "ggn"
    return (AUTO, *(name for name, engine in ENGINES.items() if is_ggn or engine.hessian is not None))
