"""Operators with a known answer, each family in a module of its own."""

from __future__ import annotations

from hessbench.problem import Problem, ProblemFamily
from hessbench.problems.network_families.by_architecture import CONVOLUTIONAL, MLP
from hessbench.problems.network_families.digits_mlp import DIGITS_MLP
from hessbench.problems.network_families.resnet20_cifar10 import RESNET20_CIFAR10
from hessbench.problems.spectra.known_diagonal import DIAGONAL_FAMILY
from hessbench.problems.spectra.random_matrix import SPIKED_WISHART, WIGNER, WISHART
from hessbench.problems.spectra.synthetic import SPECTRUM, STUDENT_T
from hessbench.problems.user_model.from_model import from_model

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
