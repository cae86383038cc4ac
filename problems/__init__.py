"""Operators with a known answer, each family in a module of its own."""

from __future__ import annotations

from hessbench.problem import Problem, ProblemFamily
from hessbench.problems.diagonal import DIAGONAL_FAMILY
from hessbench.problems.digits_mlp import DIGITS_MLP
from hessbench.problems.from_model import from_model
from hessbench.problems.network_families import CONVOLUTIONAL, MLP
from hessbench.problems.random_matrix import SPIKED_WISHART, WIGNER, WISHART
from hessbench.problems.resnet20_cifar10 import RESNET20_CIFAR10
from hessbench.problems.synthetic import SPECTRUM, STUDENT_T

__all__ = ["PROBLEMS", "from_model"]

PROBLEMS: list[Problem | ProblemFamily] = [
    STUDENT_T,
    SPECTRUM,
    DIAGONAL_FAMILY,
    WIGNER,
    WISHART,
    SPIKED_WISHART,
    DIGITS_MLP,
    MLP,
    RESNET20_CIFAR10,
    *CONVOLUTIONAL,
]
"""What the entry point offers."""
