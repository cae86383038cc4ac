"""All rules, by operation."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from hessbench.problems.curvature.rules.bilinear import BILINEAR
from hessbench.problems.curvature.rules.convolution import CONVOLUTION
from hessbench.problems.curvature.rules.elementwise import ELEMENTWISE
from hessbench.problems.curvature.rules.gathering import GATHERING
from hessbench.problems.curvature.rules.normalisation import NORMALISATION
from hessbench.problems.curvature.rules.pooling import POOLING
from hessbench.problems.curvature.rules.rule import Builder, Rule, Site
from hessbench.problems.curvature.rules.shapes import SHAPES
from hessbench.problems.curvature.rules.sums import SUMS
from hessbench.problems.curvature.rules.tape import UnknownNode

RULES: Final[Mapping[object, Builder]] = MappingProxyType(
    {**SHAPES, **GATHERING, **SUMS, **ELEMENTWISE, **BILINEAR, **CONVOLUTION, **POOLING, **NORMALISATION}
)
"""What makes the rule of a node, by its operation."""


def rule_of(site: Site) -> Rule:
    """The rule of a node.

    Raises:
        UnknownNode: If its operation has none, or none for this use.
    """
    builder = RULES.get(site.node.op)
    if builder is None:
        raise UnknownNode(site.node.name, f"an {site.node.op}")
    return builder(site)
