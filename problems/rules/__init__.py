"""Exact curvature products of a traced network by hand-written rules, one for each operation."""

from __future__ import annotations

from hessbench.problems.rules.products import RulesProducts
from hessbench.problems.rules.tape import UnknownNode

__all__ = ["RulesProducts", "UnknownNode"]
