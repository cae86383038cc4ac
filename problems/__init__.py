"""Operators with a known answer."""

from __future__ import annotations

from hessbench.problem import Problem, ProblemFamily

PROBLEMS: list[Problem | ProblemFamily] = []
