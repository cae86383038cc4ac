"""Exact curvature products of a traced network by hand-written rules, one for each operation."""

from __future__ import annotations

from hessbench.problems.curvature.rules.products import RulesProducts
from hessbench.problems.curvature.rules.tape import UnknownNode

__all__ = ["RulesProducts", "UnknownNode"]
